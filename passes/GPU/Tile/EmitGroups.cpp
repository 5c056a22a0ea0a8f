//===- EmitGroups.cpp - Groups of warps and what passes between them ------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A ring has two barriers in memory for each place: one counts who has filled
// it, the other who has read it. Their phases alternate, so item n meets phase
// n / places of its place.
//
//===----------------------------------------------------------------------===//

#include "passes/GPU/Tile/EmitThreads.h"

using namespace mlir;
using namespace rondo::tile;

/// Each group has its own branch, its barrier, and memory that no other has.
LogicalResult ThreadEmitter::emitGroups(GroupsOp op) {
  builder.setInsertionPoint(op);
  at.loc = op.getLoc();
  barrier(); // rings have been made
  int64_t threads = 32 * warps;
  // The same for a warp, and known to be.
  Value number = at.shuffle(
      at.shiftRight(at.threadId(), llvm::Log2_64(threads)), at.constant(0));
  int64_t last = op.getGroups().size() - 1;
  for (auto [i, region] : llvm::enumerate(op.getGroups())) {
    Block *block = builder.getInsertionBlock();
    if (static_cast<int64_t>(i) < last) {
      Value here = at.equal(number, at.constant(static_cast<int64_t>(i)));
      auto branch = scf::IfOp::create(builder, op.getLoc(), here, true);
      block = branch.thenBlock();
      builder.setInsertionPointToStart(branch.elseBlock());
    }
    OpBuilder::InsertionGuard guard(builder);
    Operation *end = static_cast<int64_t>(i) < last
                         ? block->getTerminator()
                         : &*builder.getInsertionPoint();
    SmallVector<Operation *> ops;
    for (Operation &each : llvm::make_early_inc_range(region.front())) {
      each.moveBefore(end);
      ops.push_back(&each);
    }
    released.clear();
    at.barrierId = i + 1;
    at.barrierThreads = threads;
    for (Operation *each : ops) {
      if (failed(emitOp(*each)))
        return failure();
      releaseBuffers(*each);
    }
    builder.setInsertionPoint(end);
    finishDots(at.numGroups);
    dirty = unordered = false;
  }
  released.clear();
  at.barrierId = 0;
  done.push_back(op);
  return success();
}

/// Whether something else than dots reads a view.
static bool isReadByThreads(Operation *view) {
  return llvm::any_of(view->getUsers(), [](Operation *user) {
    return isa<TransposeOp>(user) ? isReadByThreads(user) : !isa<DotOp>(user);
  });
}

void ThreadEmitter::emitRing(RingOp op) {
  Ring ring;
  ring.places = op.getType().getPlaces();
  ring.offset = allocate(16 * ring.places);
  llvm::SmallPtrSet<Region *, 4> readers;
  for (Operation *user : op->getUsers()) {
    if (auto await = dyn_cast<AwaitOp>(user))
      for (Operation *each : await->getUsers()) {
        ring.isCopied |= isa<CopyOp>(each);
        ring.isReadByThreads |= isa<ViewOp>(each) && isReadByThreads(each);
      }
    auto mark = dyn_cast<MarkOp>(user);
    if (!mark || mark.getState() == RingState::Full)
      continue;
    Region *region = mark->getParentRegion();
    while (!isa<GroupsOp>(region->getParentOp()))
      region = region->getParentRegion();
    readers.insert(region);
  }
  auto first = scf::IfOp::create(
      builder, at.loc, at.equal(at.threadId(), at.constant(0)), false);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(first.thenBlock());
  // Copies arrive by themselves for each thread. Where threads read elements,
  // each arrives for itself; where only dots do, a warp arrives at once.
  int64_t each = ring.isReadByThreads ? 32 * warps : warps;
  int64_t fill = ring.isCopied ? 32 * warps : each;
  for (int64_t place = 0; place < ring.places; ++place) {
    at.makeBarrier(ring.offset + 8 * place, fill);
    at.makeBarrier(ring.offset + 8 * (ring.places + place),
                   each * readers.size());
  }
  rings[op.getResult()] = ring;
}

/// Where the barrier of an item is; its place and the turn that it is in.
Value ThreadEmitter::barrierOf(const Ring &ring, RingState state, Value item,
                               Value &place, Value &turn) {
  Value number = at.fromIndex(item);
  place = at.remainder(number, ring.places);
  turn = at.divide(number, ring.places);
  int64_t first =
      ring.offset + (state == RingState::Full ? 0 : 8 * ring.places);
  return at.add(at.shiftLeft(place, 3), first);
}

void ThreadEmitter::emitAwait(AwaitOp op) {
  Value place, turn;
  Value offset = barrierOf(rings.lookup(op.getRing()), op.getState(),
                           op.getItem(), place, turn);
  // Empty places have been so since the phase before.
  Value parity =
      at.bitAnd(op.getState() == RingState::Full ? turn : at.add(turn, 1), 1);
  at.awaitBarrier(offset, parity, /*suspends=*/warpgroups);
  op.getPlace().replaceAllUsesWith(arith::IndexCastUIOp::create(
      builder, at.loc, builder.getIndexType(), place));
}

void ThreadEmitter::emitMark(MarkOp op) {
  const Ring &ring = rings[op.getRing()];
  Value place, turn;
  Value offset = barrierOf(ring, op.getState(), op.getItem(), place, turn);
  bool fills = op.getState() == RingState::Full;
  if (!fills) {
    finishDots(at.numGroups);
  } else if (ring.isCopied && !hasStoringCopies(op)) {
    at.arriveWithCopies(offset);
    return;
  } else {
    if (ring.isCopied)
      at.waitForCopies();
    if (warpgroups)
      at.orderStores();
  }
  if (ring.isReadByThreads || (fills && ring.isCopied)) {
    at.arriveIf(at.equal(at.constant(0), at.constant(0)), offset);
    return;
  }
  at.warpBarrier();
  at.arriveIf(at.equal(lane, at.constant(0)), offset);
}

void ThreadEmitter::emitPut(PutOp op) {
  const Parts &source = get(op.getValue());
  Parts target = get(op.getBuffer());
  int64_t length = source.type.getRows() * source.type.getColumns();
  bool isMatrix = source.type.isMatrix();
  int64_t bytes =
      isMatrix ? getPlanes(target.type.getElementType()) * planeBytes(target)
               : 4 * length;
  target.offset =
      at.add(target.offset, at.mul(at.fromIndex(op.getStage()), bytes));
  if (isMatrix) {
    Grid grid(source.type, warps);
    int64_t perBlock = 4 * grid.columnBlocks;
    for (int64_t b = 0; b < grid.rowBlocks; ++b)
      storeBlockRow(
          target, b,
          ArrayRef<Value>(source.values).slice(b * perBlock, perBlock), 0);
    return;
  }
  // All warps have it, one writes.
  auto first = scf::IfOp::create(builder, at.loc,
                                 at.less(thread, at.constant(32)), false);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(first.thenBlock());
  Value start = source.type.isScalar()
                    ? target.offset
                    : at.add(target.offset, at.shiftLeft(lane, 2));
  for (auto [i, value] : llvm::enumerate(source.values))
    at.storeShared(value, start, 128 * static_cast<int64_t>(i), 4);
}
