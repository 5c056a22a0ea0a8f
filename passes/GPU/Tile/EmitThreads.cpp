//===- EmitThreads.cpp - From tiles to what each thread does --------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/GPU/Tile/EmitThreads.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace rondo::tile;

Grid::Grid(TileType type, int64_t warps) {
  rows = std::min(warps, type.getRows() / 16);
  columns = warps / rows;
  rowBlocks = type.getRows() / 16 / rows;
  columnBlocks = type.getColumns() / 8 / columns;
}

const char *Grid::check(TileType type, int64_t warps) {
  int64_t rows = std::min(warps, type.getRows() / 16);
  if (type.getRows() % 16 || type.getColumns() % 16 ||
      (type.getRows() / 16) % rows || warps % rows)
    return "its rows don't divide among the warps";
  int64_t columns = warps / rows, blocks = type.getColumns() / 8 / columns;
  if (type.getColumns() % (16 * columns) ||
      (columns > 1 && (blocks & (blocks - 1))))
    return "its columns don't divide among the warps";
  return nullptr;
}

int64_t rondo::tile::getPlanes(Type element) { return element.isBF16() ? 1 : 2; }

ThreadEmitter::ThreadEmitter(gpu::GPUFuncOp function, int64_t warps,
                             bool warpgroups)
    : function(function), warps(warps), warpgroups(warpgroups),
      builder(function.getContext()),
      at(builder, function.getLoc()) {}

FailureOr<int64_t> ThreadEmitter::run() {
  auto module = function->getParentOfType<gpu::GPUModuleOp>();
  static constexpr llvm::StringLiteral kShared = "tile_shared";
  if (!module.lookupSymbol(kShared)) {
    OpBuilder outer(module.getBody(), module.getBody()->begin());
    LLVM::GlobalOp::create(
        outer, function.getLoc(),
        LLVM::LLVMArrayType::get(outer.getI8Type(), 0), /*isConstant=*/false,
        LLVM::Linkage::External, kShared, Attribute(), /*alignment=*/kSharedAlignment,
        /*addrSpace=*/3);
  }
  builder.setInsertionPointToStart(&function.getBody().front());
  at.shared = LLVM::AddressOfOp::create(
      builder, function.getLoc(),
      LLVM::LLVMPointerType::get(builder.getContext(), 3), kShared);
  thread = at.threadId();
  if (function->hasAttr("tile.groups")) // within its group
    thread = at.bitAnd(thread, 32 * warps - 1);
  lane = at.bitAnd(thread, 31);
  warp = at.shiftRight(thread, 5);
  group = at.shiftRight(lane, 2);
  quad = at.bitAnd(lane, 3);
  lane7 = at.bitAnd(lane, 7);
  lane15 = at.bitAnd(lane, 15);
  lane8 = at.bitAnd(at.shiftRight(lane, 3), 1);
  lane16 = at.shiftRight(lane, 4);
  if (failed(emitBlock(function.getBody().front())))
    return failure();
  for (Operation *op : done)
    op->dropAllReferences();
  for (Operation *op : llvm::reverse(done))
    op->erase();
  return sharedBytes;
}

LogicalResult ThreadEmitter::emitBlock(Block &block) {
  for (Operation &op : llvm::make_early_inc_range(block)) {
    if (failed(emitOp(op)))
      return failure();
    releaseBuffers(op);
  }
  return success();
}

/// The last operation in the buffer's block in which it or a view of it is used.
static Operation *lastUse(AllocOp alloc) {
  Operation *last = alloc;
  SmallVector<Value> values{alloc.getResult()};
  while (!values.empty())
    for (Operation *user : values.pop_back_val().getUsers()) {
      if (isa<ViewOp, TransposeOp>(user))
        values.push_back(user->getResult(0));
      Operation *here = alloc->getBlock()->findAncestorOpInBlock(*user);
      if (here && last->isBeforeInBlock(here))
        last = here;
    }
  return last;
}

void ThreadEmitter::releaseBuffers(Operation &op) {
  llvm::erase_if(buffers, [&](const Buffer &buffer) {
    if (buffer.last != &op)
      return false;
    release(buffer.offset, buffer.bytes);
    return true;
  });
}

bool rondo::tile::hasStoringCopies(Operation *op) {
  while (isa<scf::ForOp>(op->getParentOp()))
    op = op->getParentOp();
  auto result = op->getParentRegion()->walk([](CopyOp copy) {
    BufferType type = copy.getBuffer().getType();
    bool stores = !copy->hasAttr(kWhole) && type.getRows() > 1 &&
                  type.getColumns() > 1;
    return stores ? WalkResult::interrupt() : WalkResult::advance();
  });
  return result.wasInterrupted();
}

LogicalResult ThreadEmitter::emitOp(Operation &op) {
  if (auto loop = dyn_cast<scf::ForOp>(op))
    return emitFor(loop);
  if (auto groups = dyn_cast<GroupsOp>(op))
    return emitGroups(groups);
  if (!isa_and_nonnull<TileDialect>(op.getDialect())) {
    if (!running.empty() && op.getNumRegions()) {
      builder.setInsertionPoint(&op);
      finishDots(at.numGroups);
    }
    // Of several regions one is executed: they share memory.
    int64_t before = sharedBytes, most = sharedBytes;
    for (Region &region : op.getRegions()) {
      sharedBytes = before;
      released.clear();
      for (Block &block : region) {
        if (failed(emitBlock(block)))
          return failure();
        builder.setInsertionPoint(block.getTerminator());
        finishDots(at.numGroups);
      }
      most = std::max(most, sharedBytes);
    }
    sharedBytes = most;
    return success();
  }
  builder.setInsertionPoint(&op);
  at.loc = op.getLoc();
  for (Value result : op.getResults())
    if (auto type = dyn_cast<TileType>(result.getType())) {
      if (type.getLayout() == Layout::Any)
        return op.emitOpError("has a result without a layout");
      if (type.getLayout() == Layout::Accumulator)
        if (const char *why = Grid::check(type, warps))
          return op.emitOpError("has a tile of ")
                 << type << " for " << warps << " warps: " << why;
    }
  if (!isa<MapOp>(op)) // which reads something else first
    finishOperands(op);
  llvm::TypeSwitch<Operation *>(&op)
      .Case([&](LoadOp op) { emitLoad(op); })
      .Case([&](StoreOp op) { emitStore(op); })
      .Case([&](CopyOp op) { emitCopy(op); })
      .Case([&](AllocOp op) {
        BufferType type = op.getType();
        bool isMatrix = type.getRows() > 1 && type.getColumns() > 1;
        auto stage = TileType::get(type.getContext(), type.getRows(),
                                   type.getColumns(), type.getElementType(),
                                   isMatrix ? Layout::Shared : Layout::Any);
        Parts parts{stage, {}, {}};
        // Two planes of two bytes, or one f32.
        int64_t bytes = type.getStages() * getPlanes(type.getElementType()) *
                        planeBytes(parts);
        parts.offset = at.constant(allocate(bytes));
        set(op.getResult(), parts);
        buffers.push_back({lastUse(op), lastOffset, bytes});
      })
      .Case([&](CommitOp) { at.commit(); })
      .Case([&](RingOp op) { emitRing(op); })
      .Case([&](AwaitOp op) { emitAwait(op); })
      .Case([&](MarkOp op) { emitMark(op); })
      .Case([&](PutOp op) { emitPut(op); })
      .Case([&](WaitOp op) {
        at.wait(op.getPending());
        unordered |= hasStoringCopies(op);
        barrier();
        dirty = false;
      })
      .Case([&](ViewOp op) {
        if (!op.getType().isMatrix()) {
          set(op.getResult(),
              readStage(get(op.getBuffer()), op.getType(), op.getStage()));
          return;
        }
        Parts parts = get(op.getBuffer());
        int64_t bytes =
            getPlanes(parts.type.getElementType()) * planeBytes(parts);
        parts.offset = at.add(parts.offset,
                              at.mul(at.fromIndex(op.getStage()), bytes));
        set(op.getResult(), parts);
      })
      .Case([&](DotOp op) { emitDot(op); })
      .Case([&](MapOp op) { emitMap(op); })
      .Case([&](ReduceOp op) { emitReduce(op); })
      .Case([&](ScanOp op) { emitScan(op); })
      .Case([&](SegmentProductOp op) { emitSegmentProduct(op); })
      .Case([&](SegmentDotOp op) { emitSegmentDot(op); })
      .Case([&](InvertOp op) { emitInvert(op); })
      .Case([&](ConvertOp op) { emitConvert(op); })
      .Case([&](ExtractOp op) {
        if (op.getSource().getType().isMatrix())
          return extractRow(op);
        Value lane = at.constant(op.getPosition() % 32);
        Value element = at.shuffle(
            get(op.getSource()).values[op.getPosition() / 32], lane);
        set(op.getResult(), {op.getType(), {element}, {}});
      })
      .Case([&](TransposeOp op) {
        Parts parts = get(op.getSource());
        parts.type = op.getType();
        parts.transposed = !parts.transposed;
        set(op.getResult(), parts);
      });
  releaseOperands(op);
  // What was put into memory for the users of the result, all in this block.
  Value result = op.getNumResults() ? op.getResult(0) : Value();
  if (isa<ConvertOp, LoadOp>(op) &&
      cast<TileType>(result.getType()).getLayout() == Layout::Shared &&
      llvm::all_of(result.getUsers(), [&](Operation *user) {
        return user->getBlock() == op.getBlock() && !isa<TransposeOp>(user);
      })) {
    const Parts &parts = get(result);
    int64_t uses = std::distance(result.use_begin(), result.use_end());
    if (uses && !parts.transposed)
      owned[result] = {lastOffset,
                       getPlanes(parts.type.getElementType()) *
                           planeBytes(parts),
                       uses};
  }
  done.push_back(&op);
  return success();
}

LogicalResult ThreadEmitter::emitFor(scf::ForOp loop) {
  bool hasTiles = false;
  loop.walk([&](Operation *op) {
    hasTiles |= isa_and_nonnull<TileDialect>(op->getDialect());
  });
  if (!hasTiles)
    return success();
  builder.setInsertionPoint(loop);
  at.loc = loop.getLoc();
  finishDots(at.numGroups);
  SmallVector<Value> inits;
  for (Value init : loop.getInitArgs())
    if (isa<TileType>(init.getType()))
      llvm::append_range(inits, get(init).values);
    else
      inits.push_back(init);
  auto flat = scf::ForOp::create(builder, loop.getLoc(), loop.getLowerBound(),
                                 loop.getUpperBound(), loop.getStep(), inits);
  // Also true of a loop without results, whose body has a terminator already.
  if (!flat.getBody()->empty())
    flat.getBody()->getTerminator()->erase();
  loop.getInductionVar().replaceAllUsesWith(flat.getInductionVar());
  auto unflatten = [&](ValueRange now, ValueRange before, ValueRange inits) {
    size_t next = 0;
    for (auto [old, init] : llvm::zip_equal(before, inits)) {
      auto type = dyn_cast<TileType>(old.getType());
      if (!type) {
        old.replaceAllUsesWith(now[next++]);
        continue;
      }
      Parts parts{type, {}, {}};
      for (size_t i = 0, n = get(init).values.size(); i < n; ++i)
        parts.values.push_back(now[next++]);
      set(old, parts);
    }
  };
  unflatten(flat.getRegionIterArgs(), loop.getRegionIterArgs(),
            loop.getInitArgs());
  auto yield = cast<scf::YieldOp>(loop.getBody()->getTerminator());
  flat.getBody()->getOperations().splice(flat.getBody()->end(),
                                         loop.getBody()->getOperations());
  // What the step before read must not be overwritten by this one.
  bool waits = !flat.getBody()->getOps<WaitOp>().empty();
  Operation *start = nullptr;
  if (!waits) {
    builder.setInsertionPointToStart(flat.getBody());
    bool needed = !at.barrierId || dirty || unordered;
    barrier();
    start = needed ? nullptr : &*std::prev(builder.getInsertionPoint());
  }
  dirty = false;
  int64_t exchanges = numExchanges;
  if (failed(emitBlock(*flat.getBody())))
    return failure();
  // Rings order what groups read and write.
  if (start && exchanges == numExchanges)
    start->erase();
  builder.setInsertionPoint(yield);
  finishDots(at.numGroups);
  SmallVector<Value> yielded;
  for (Value value : yield.getOperands())
    if (isa<TileType>(value.getType()))
      llvm::append_range(yielded, get(value).values);
    else
      yielded.push_back(value);
  scf::YieldOp::create(builder, yield.getLoc(), yielded);
  yield.erase();
  unflatten(flat.getResults(), loop.getResults(), loop.getInitArgs());
  builder.setInsertionPointAfter(flat);
  barrier();
  dirty = false;
  done.push_back(loop);
  return success();
}

//===----------------------------------------------------------------------===//
// Places
//===----------------------------------------------------------------------===//

Value ThreadEmitter::warpRow(const Grid &grid) {
  return grid.rows == warps ? warp : at.bitAnd(warp, grid.rows - 1);
}
Value ThreadEmitter::warpColumn(const Grid &grid) {
  return grid.columns == 1 ? at.constant(0)
                           : at.shiftRight(warp, llvm::Log2_64(grid.rows));
}
Value ThreadEmitter::firstRow(const Grid &grid) {
  return at.add(at.shiftLeft(warpRow(grid), 4), group);
}
Value ThreadEmitter::firstColumn(const Grid &grid) {
  return at.add(at.mul(warpColumn(grid), 8 * grid.columnBlocks),
                at.shiftLeft(quad, 1));
}

Value ThreadEmitter::pieceOffset(const Parts &tile, Value row, Value piece,
                                 int64_t constant) {
  int64_t pieces = tile.storedColumns() / 8;
  Value start = at.add(tile.offset, at.mul(row, pitch(tile)));
  Value turn;
  if (pieces % 8 == 0)
    turn = at.bitAnd(row, 7);
  else // 2, 4 or 6 pieces: the largest power of two in them
    turn = at.bitAnd(at.shiftRight(row, pieces % 4 ? 2 : 1),
                     pieces % 4 ? 1 : 3);
  if (pieces > 8 && pieces % 8 == 0) {
    Value slab = at.bitXor(at.shiftRight(piece, 3), constant >> 3);
    start = at.add(start, at.mul(slab, slabBytes(tile)));
    piece = at.bitAnd(piece, 7);
    constant &= 7;
  }
  return at.add(start, at.bitXor(at.shiftLeft(at.bitXor(piece, turn), 4),
                                 constant << 4));
}

int64_t ThreadEmitter::allocate(int64_t bytes, bool ofWarps) {
  bytes = llvm::alignTo(bytes, kSharedAlignment);
  numExchanges += !ofWarps;
  for (Released &each : released) {
    if (each.bytes < bytes)
      continue;
    if (each.barriers == at.numBarriers) {
      barrier();
      dirty = false;
    }
    lastOffset = each.offset;
    each.offset += bytes;
    each.bytes -= bytes;
    return lastOffset;
  }
  lastOffset = sharedBytes;
  sharedBytes += bytes;
  return lastOffset;
}

void ThreadEmitter::release(int64_t offset, int64_t bytes) {
  bytes = llvm::alignTo(bytes, kSharedAlignment);
  int64_t barriers = at.numBarriers;
  // With its neighbours.
  llvm::erase_if(released, [&](const Released &each) {
    bool before = each.offset + each.bytes == offset;
    if (!each.bytes || (!before && offset + bytes != each.offset))
      return each.bytes == 0;
    offset = std::min(offset, each.offset);
    bytes += each.bytes;
    barriers = std::max(barriers, each.barriers);
    return true;
  });
  released.push_back({offset, bytes, barriers});
}

/// Memory of tiles that have been read for the last time.
void ThreadEmitter::releaseOperands(Operation &op) {
  for (Value operand : op.getOperands()) {
    auto known = owned.find(operand);
    if (known == owned.end() || --known->second.uses)
      continue;
    release(known->second.offset, known->second.bytes);
    owned.erase(known);
  }
}

Parts ThreadEmitter::allocateShared(TileType type) {
  Parts parts{type.withLayout(Layout::Shared), {}, {}};
  parts.offset = at.constant(
      allocate(getPlanes(type.getElementType()) * planeBytes(parts)));
  return parts;
}

void ThreadEmitter::finishDots(int64_t last) {
  Values sums;
  for (const Running &each : running)
    if (each.group <= last)
      llvm::append_range(sums, get(each.result).values);
  if (sums.empty())
    return;
  Values done = at.waitForGroups(at.numGroups - last, sums);
  ArrayRef<Value> rest(done);
  llvm::erase_if(running, [&](const Running &each) {
    if (each.group > last)
      return false;
    for (Value &value : get(each.result).values) {
      value = rest.front();
      rest = rest.drop_front();
    }
    return true;
  });
}

/// Waits for the dots whose results the operation reads.
void ThreadEmitter::finishOperands(Operation &op) {
  int64_t last = 0;
  for (const Running &each : running)
    if (llvm::is_contained(op.getOperands(), each.result))
      last = std::max(last, each.group);
  finishDots(last);
}

void ThreadEmitter::barrier() {
  ++numExchanges;
  finishDots(at.numGroups);
  at.barrier(warpgroups && unordered);
  unordered = false;
}

void ThreadEmitter::synchronize() {
  if (dirty)
    barrier();
  dirty = false;
}
