//===- SplitGroups.cpp - A loop over chunks by several groups of warps ----===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Transforms/LoopInvariantCodeMotionUtils.h"
#include "mlir/Transforms/RegionUtils.h"
#include "passes/GPU/Tile/Groups.h"
#include "passes/GPU/Tile/Passes.h"

namespace rondo::tile {
#define GEN_PASS_DEF_SPLITGROUPS
#include "passes/GPU/Tile/Passes.h.inc"
} // namespace rondo::tile

using namespace mlir;
using namespace rondo::tile;

namespace {

/// Places in shared memory through which tiles pass.
struct Channel {
  Value ring;
  SmallVector<Value> buffers;
};

class GroupSplitter {
public:
  GroupSplitter(scf::ForOp loop, const LoopParts &parts)
      : loop(loop), parts(parts), builder(loop), loc(loop.getLoc()) {}
  void run();

private:
  Channel open(int64_t places, ArrayRef<Value> tiles);
  Value constant(int64_t value) {
    return arith::ConstantIndexOp::create(builder, loc, value);
  }
  Value itemOf(Value step) {
    return arith::SubIOp::create(builder, loc, step, loop.getLowerBound());
  }
  Value await(RingState state, Value ring, Value item) {
    return AwaitOp::create(builder, loc, builder.getIndexType(), state, ring,
                           item);
  }
  void mark(RingState state, Value ring, Value item) {
    MarkOp::create(builder, loc, state, ring, item);
  }
  scf::ForOp makeLoop(Value lower, Value upper, ValueRange inits);
  Value fetch(Value value, IRMapping &mapping);
  void copyAt(unsigned number, Value step, Value runs);
  void copyFirst(unsigned group);
  void copyLater(unsigned group, Value index);

  // One step of a group.
  struct Step {
    unsigned group;
    Value item;
    IRMapping &mapping;
    llvm::MapVector<Value, Value> places; // of rings that were waited for
  };
  void view(Step &step, Value tile, const Channel &channel, unsigned number);
  void emit(Step &step);
  void release(Step &step);
  void releaseEarly(Step &step);

  struct Compare {
    arith::CmpIOp op;
    int64_t rows, length;
  };
  SmallVector<Compare> findCompares();
  bool isSteady(Value value);
  Value findWhole();
  void emitAheadLoop(Value lower, Value upper, bool isWhole);
  void emitAhead(Block &block);
  void endCopies();
  void emitChain(Block &block);
  void emitReaders(Block &block);

  scf::ForOp loop;
  const LoopParts &parts;
  OpBuilder builder;
  Location loc;
  Channel copied[2], ahead;
  llvm::MapVector<Value, Channel> fromChain;
  SmallVector<Operation *> before, behind; // the loop, on tiles
};

bool concernsTiles(Operation *op) {
  bool found = false;
  op->walk([&](Operation *inner) {
    found |= isa_and_nonnull<TileDialect>(inner->getDialect());
  });
  return found;
}

/// Room for several of each tile, and what says when it is filled.
Channel GroupSplitter::open(int64_t places, ArrayRef<Value> tiles) {
  Channel result;
  for (Value tile : tiles) {
    auto type = cast<TileType>(tile.getType());
    result.buffers.push_back(AllocOp::create(
        builder, loc,
        BufferType::get(builder.getContext(), places, type.getRows(),
                        type.getColumns(), type.getElementType())));
  }
  result.ring =
      RingOp::create(builder, loc, RingType::get(builder.getContext(), places));
  return result;
}

scf::ForOp GroupSplitter::makeLoop(Value lower, Value upper, ValueRange inits) {
  auto result =
      scf::ForOp::create(builder, loc, lower, upper, loop.getStep(), inits);
  if (!result.getBody()->empty())
    result.getBody()->getTerminator()->erase();
  builder.setInsertionPointToEnd(result.getBody());
  return result;
}

/// A tile from in front of the loop, computed in front of this group's loop.
Value GroupSplitter::fetch(Value value, IRMapping &mapping) {
  Operation *source = value.getDefiningOp();
  if (!source || mapping.contains(value) || !llvm::is_contained(before, source))
    return mapping.lookupOrDefault(value);
  llvm::SetVector<Value> read(source->operand_begin(), source->operand_end());
  getUsedValuesDefinedAbove(source->getRegions(), read);
  for (Value each : read)
    fetch(each, mapping);
  OpBuilder::InsertionGuard guard(builder);
  Operation *place = builder.getInsertionBlock()->getParentOp();
  if (isa<scf::ForOp>(place))
    builder.setInsertionPoint(place);
  builder.clone(*source, mapping);
  return mapping.lookup(value);
}

/// Begins copies of a step. `runs`: there is such a step.
void GroupSplitter::copyAt(unsigned number, Value step, Value runs) {
  const Channel &channel = copied[number];
  Value item = itemOf(step);
  Value place = await(RingState::Empty, channel.ring, item);
  for (auto [load, buffer] :
       llvm::zip_equal(parts.copies[number].loads, channel.buffers))
    placeCopy(builder, loop, load, step, runs, buffer, place);
  mark(RingState::Full, channel.ring, item);
}

/// A group's copies of the first steps, as far as there are stages.
void GroupSplitter::copyFirst(unsigned group) {
  for (auto [number, copies] : llvm::enumerate(parts.copies)) {
    if (copies.group != group || copies.loads.empty())
      continue;
    Value lower = loop.getLowerBound();
    Value some = arith::MinSIOp::create(
        builder, loc,
        arith::AddIOp::create(builder, loc, lower, constant(copies.stages - 1)),
        loop.getUpperBound());
    scf::ForOp first = makeLoop(lower, some, {});
    copyAt(number, first.getInductionVar(), {});
    scf::YieldOp::create(builder, loc);
    builder.setInsertionPointAfter(first);
  }
}

/// Those of a later step, which go where the step before was.
void GroupSplitter::copyLater(unsigned group, Value index) {
  for (auto [number, copies] : llvm::enumerate(parts.copies)) {
    if (copies.group != group || copies.loads.empty())
      continue;
    Value later = arith::AddIOp::create(builder, loc, index,
                                        constant(copies.stages - 1));
    Value runs = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::slt,
                                       later, loop.getUpperBound());
    copyAt(number, later, runs);
  }
}

/// The tile as it has passed to this group.
void GroupSplitter::view(Step &step, Value tile, const Channel &channel,
                         unsigned number) {
  Value &place = step.places[channel.ring];
  if (!place)
    place = await(RingState::Full, channel.ring, step.item);
  step.mapping.map(tile, ViewOp::create(builder, loc, tile.getType(),
                                        channel.buffers[number], place)
                             .getResult());
}

/// The operations of a group, and what they hand on: what the chain has put is
/// marked while its next dot is under way, and copies begin behind the last one.
void GroupSplitter::emit(Step &step) {
  Operation *lastDot = nullptr;
  for (auto dot : loop.getBody()->getOps<DotOp>())
    if (parts.groupsOf(dot) & step.group)
      lastDot = dot;
  SmallVector<Value> put;
  auto markPut = [&] {
    for (Value ring : put)
      mark(RingState::Full, ring, step.item);
    put.clear();
  };
  for (Operation &op : loop.getBody()->without_terminator()) {
    if (!(parts.groupsOf(&op) & step.group))
      continue;
    llvm::SetVector<Value> read(op.operand_begin(), op.operand_end());
    getUsedValuesDefinedAbove(op.getRegions(), read);
    for (Value value : read) {
      if (step.mapping.contains(value))
        continue;
      Operation *source = value.getDefiningOp();
      for (auto [copies, channel] : llvm::zip_equal(parts.copies, copied))
        for (auto [number, load] : llvm::enumerate(copies.loads))
          if (load == source)
            view(step, value, channel, number);
      if (step.group != kAhead)
        for (auto [number, each] : llvm::enumerate(parts.fromAhead))
          if (each.first == value)
            view(step, value, ahead, number);
      if (step.group == kReaders)
        if (auto found = fromChain.find(value); found != fromChain.end())
          view(step, value, found->second, 0);
      fetch(value, step.mapping);
    }
    builder.clone(op, step.mapping);
    if (isa<DotOp>(op))
      markPut();
    if (&op == lastDot && step.group != kAhead)
      copyLater(step.group, step.mapping.lookup(loop.getInductionVar()));
    if (step.group != kChain || !op.getNumResults())
      continue;
    if (auto found = fromChain.find(op.getResult(0));
        found != fromChain.end()) {
      Value ring = found->second.ring;
      Value place = await(RingState::Empty, ring, step.item);
      PutOp::create(builder, loc, step.mapping.lookup(op.getResult(0)),
                    found->second.buffers[0], place);
      put.push_back(ring);
    }
  }
  markPut();
}

/// What was seen may be overwritten.
void GroupSplitter::release(Step &step) {
  for (auto [ring, place] : step.places)
    mark(RingState::Empty, ring, step.item);
}

/// The same as soon as it has been read, but behind the last dot: a mark waits
/// for dots.
void GroupSplitter::releaseEarly(Step &step) {
  OpBuilder::InsertionGuard guard(builder);
  Block *block = builder.getInsertionBlock();
  Operation *lastDot = nullptr;
  for (auto dot : block->getOps<DotOp>())
    lastDot = dot;
  for (auto [ring, place] : step.places) {
    Operation *last = lastDot ? lastDot : &block->back();
    SmallVector<Value> views{place};
    while (!views.empty())
      for (Operation *user : views.pop_back_val().getUsers()) {
        if (isa<ViewOp, TransposeOp>(user))
          views.push_back(user->getResult(0));
        if (last->isBeforeInBlock(user))
          last = user;
      }
    builder.setInsertionPointAfter(last);
    mark(RingState::Empty, ring, step.item);
  }
}

/// Compares of steps with an end: index * n + row < end.
SmallVector<GroupSplitter::Compare> GroupSplitter::findCompares() {
  SmallVector<Compare> result;
  for (MapOp map : loop.getBody()->getOps<MapOp>()) {
    if (parts.groupsOf(map) != kAhead)
      continue;
    Value row = map.getBody().front().getArguments().drop_back(1).back();
    for (auto compare : map.getBody().front().getOps<arith::CmpIOp>()) {
      auto place = compare.getLhs().getDefiningOp<arith::AddIOp>();
      if (compare.getPredicate() != arith::CmpIPredicate::slt || !place ||
          !loop.isDefinedOutsideOfLoop(compare.getRhs()))
        continue;
      Value begin = place.getLhs() == row ? place.getRhs() : place.getLhs();
      auto product = begin.getDefiningOp<arith::MulIOp>();
      APInt length;
      if ((place.getLhs() != row && place.getRhs() != row) || !product ||
          product.getLhs() != loop.getInductionVar() ||
          !matchPattern(product.getRhs(), m_ConstantInt(&length)) ||
          length.getSExtValue() < 1)
        continue;
      result.push_back(
          {compare, map.getType().getRows(), length.getSExtValue()});
    }
  }
  return result;
}

/// Whether the value is the same for all whole chunks.
bool GroupSplitter::isSteady(Value value) {
  if (loop.isDefinedOutsideOfLoop(value))
    return true;
  Operation *op = value.getDefiningOp();
  if (!op || !isa<ScanOp, SegmentProductOp, MapOp, TransposeOp, ExtractOp>(op))
    return false;
  bool steady = llvm::all_of(op->getOperands(),
                             [&](Value each) { return isSteady(each); });
  op->walk([&](Operation *inner) {
    if (inner == op || llvm::any_of(findCompares(), [&](Compare &each) {
          return each.op.getLhs().getDefiningOp() == inner;
        }))
      return;
    for (Value operand : inner->getOperands())
      steady &= op->isAncestor(operand.getParentRegion()->getParentOp()) ||
                loop.isDefinedOutsideOfLoop(operand);
  });
  return steady;
}

/// The end of the chunks that no end of time cuts, if more than pointwise
/// computation is the same for all of them, or null.
Value GroupSplitter::findWhole() {
  bool pays = llvm::any_of(*loop.getBody(), [&](Operation &op) {
    return isa<ScanOp, SegmentProductOp>(op) && parts.groupsOf(&op) == kAhead &&
           isSteady(op.getResult(0));
  });
  SmallVector<Compare> compares = findCompares();
  if (!pays || compares.empty())
    return {};
  Value result = loop.getUpperBound();
  for (Compare &each : compares) {
    // index * length + rows <= end
    Value room = arith::AddIOp::create(builder, loc, each.op.getRhs(),
                                       constant(each.length - each.rows));
    result = arith::MinSIOp::create(
        builder, loc, result,
        arith::FloorDivSIOp::create(builder, loc, room, constant(each.length)));
  }
  return result;
}

/// `isWhole`: no end of time cuts a chunk, and what is the same for all of them
/// is computed once.
void GroupSplitter::emitAheadLoop(Value lower, Value upper, bool isWhole) {
  scf::ForOp main = makeLoop(lower, upper, {});
  Value index = main.getInductionVar();
  IRMapping mapping;
  mapping.map(loop.getInductionVar(), index);
  Step step{kAhead, itemOf(index), mapping, {}};
  emit(step);
  if (ahead.ring) {
    Value place = await(RingState::Empty, ahead.ring, step.item);
    for (auto [each, buffer] : llvm::zip_equal(parts.fromAhead, ahead.buffers))
      PutOp::create(builder, loc, mapping.lookup(each.first), buffer, place);
    mark(RingState::Full, ahead.ring, step.item);
  }
  release(step);
  copyLater(kAhead, index);
  scf::YieldOp::create(builder, loc);
  if (isWhole) {
    builder.setInsertionPoint(main);
    Value yes = arith::ConstantIntOp::create(builder, loc, 1, 1);
    for (Compare &each : findCompares()) {
      Operation *compare = mapping.lookup(each.op.getResult()).getDefiningOp();
      Operation *sum = compare->getOperand(0).getDefiningOp();
      compare->getResult(0).replaceAllUsesWith(yes);
      compare->erase();
      if (sum->use_empty())
        sum->erase();
    }
    moveLoopInvariantCode(main);
  }
  builder.setInsertionPointAfter(main);
}

void GroupSplitter::emitAhead(Block &block) {
  builder.setInsertionPointToEnd(&block);
  copyFirst(kAhead);
  Value lower = loop.getLowerBound(), upper = loop.getUpperBound();
  if (Value whole = findWhole()) {
    emitAheadLoop(lower, whole, /*isWhole=*/true);
    lower = arith::MaxSIOp::create(builder, loc, lower, whole);
  }
  emitAheadLoop(lower, upper, /*isWhole=*/false);
  endCopies();
}

/// Nothing is under way when the block ends.
void GroupSplitter::endCopies() {
  CommitOp::create(builder, loc);
  WaitOp::create(builder, loc, 0);
}

void GroupSplitter::emitChain(Block &block) {
  builder.setInsertionPointToEnd(&block);
  copyFirst(kChain);
  IRMapping mapping;
  SmallVector<Value> inits;
  for (Value init : loop.getInitArgs())
    inits.push_back(fetch(init, mapping));
  scf::ForOp main = makeLoop(loop.getLowerBound(), loop.getUpperBound(), inits);
  mapping.map(loop.getInductionVar(), main.getInductionVar());
  for (auto [old, now] :
       llvm::zip(loop.getRegionIterArgs(), main.getRegionIterArgs()))
    mapping.map(old, now);
  Step step{kChain, itemOf(main.getInductionVar()), mapping, {}};
  emit(step);
  release(step);
  SmallVector<Value> results;
  auto yield = cast<scf::YieldOp>(loop.getBody()->getTerminator());
  for (Value value : yield.getOperands())
    results.push_back(mapping.lookup(value));
  scf::YieldOp::create(builder, loc, results);
  for (auto [old, now] : llvm::zip(loop.getResults(), main.getResults()))
    mapping.map(old, now);
  builder.setInsertionPointAfter(main);
  for (Operation *op : behind) {
    for (Value operand : op->getOperands())
      fetch(operand, mapping);
    builder.clone(*op, mapping);
  }
  endCopies();
}

void GroupSplitter::emitReaders(Block &block) {
  builder.setInsertionPointToEnd(&block);
  copyFirst(kReaders);
  scf::ForOp main = makeLoop(loop.getLowerBound(), loop.getUpperBound(), {});
  IRMapping mapping;
  mapping.map(loop.getInductionVar(), main.getInductionVar());
  Step step{kReaders, itemOf(main.getInductionVar()), mapping, {}};
  emit(step);
  releaseEarly(step);
  scf::YieldOp::create(builder, loc);
  builder.setInsertionPointAfter(main);
  endCopies();
}

void GroupSplitter::run() {
  // The same in all steps.
  for (LoadOp load :
       llvm::make_early_inc_range(loop.getBody()->getOps<LoadOp>()))
    if (!llvm::is_contained(parts.copies[0].loads, load) &&
        !llvm::is_contained(parts.copies[1].loads, load))
      load->moveBefore(loop);
  for (Operation &op : *loop->getBlock())
    if (&op != loop && concernsTiles(&op))
      (op.isBeforeInBlock(loop) ? before : behind).push_back(&op);
  // Scalars behind the loop are those of its group, too.
  for (Operation *op = loop->getNextNode(), *next; !isa<gpu::ReturnOp>(op);
       op = next) {
    next = op->getNextNode();
    if (!concernsTiles(op))
      op->moveBefore(loop);
  }
  builder.setInsertionPoint(loop);
  for (auto [copies, channel] : llvm::zip_equal(parts.copies, copied))
    if (!copies.loads.empty())
      channel = open(copies.stages,
                     llvm::map_to_vector(copies.loads, [](LoadOp load) -> Value {
                       return load->getResult(0);
                     }));
  SmallVector<Value> tiles;
  for (auto [value, users] : parts.fromAhead)
    tiles.push_back(value);
  if (!tiles.empty())
    ahead = open(2, tiles);
  for (auto [value, users] : parts.fromChain)
    fromChain[value] = open(2, value);
  auto groups = GroupsOp::create(builder, loc, parts.numGroups());
  for (Region &group : groups.getGroups())
    group.emplaceBlock();
  emitAhead(groups.getGroups()[0].front());
  emitChain(groups.getGroups()[1].front());
  if (parts.hasReaders)
    emitReaders(groups.getGroups()[2].front());
  for (Operation *op : llvm::reverse(behind))
    op->erase();
  loop.erase();
  for (Operation *op : llvm::reverse(before))
    op->erase();
}

/// What is computed ahead from turned matrices is turned behind it: rows are
/// read and written as they lie in memory.
bool turnFactors(scf::ForOp loop, const LoopParts &parts) {
  bool changed = false;
  for (MapOp map : llvm::make_early_inc_range(loop.getBody()->getOps<MapOp>())) {
    TileType type = map.getType();
    auto isTurned = [](Value input) {
      auto of = cast<TileType>(input.getType());
      return !of.isMatrix() || input.getDefiningOp<TransposeOp>();
    };
    if (parts.groupsOf(map) != kAhead || !type.isMatrix() ||
        !llvm::all_of(map.getInputs(), isTurned) ||
        llvm::none_of(map.getInputs(), [](Value input) {
          return input.getDefiningOp<TransposeOp>();
        }))
      continue;
    OpBuilder builder(map);
    auto turn = [&](Value input) -> Value {
      if (auto turned = input.getDefiningOp<TransposeOp>())
        return turned.getSource();
      if (cast<TileType>(input.getType()).isScalar())
        return input;
      return TransposeOp::create(builder, map.getLoc(), input);
    };
    SmallVector<Value> inputs = llvm::map_to_vector(map.getInputs(), turn);
    IRMapping mapping;
    for (auto [old, now] : llvm::zip_equal(map.getInputs(), inputs))
      mapping.map(old, now);
    auto now = cast<MapOp>(builder.clone(*map, mapping));
    now.getResult().setType(TileType::get(
        type.getContext(), type.getColumns(), type.getRows(),
        type.getElementType(), type.getLayout()));
    // Its row is the old one's column.
    Block &body = now.getBody().front();
    unsigned last = body.getNumArguments() - 1;
    Value row = body.getArgument(last - 1), column = body.getArgument(last);
    BlockArgument other = body.addArgument(row.getType(), map.getLoc());
    row.replaceAllUsesWith(other);
    column.replaceAllUsesWith(row);
    other.replaceAllUsesWith(column);
    body.eraseArgument(last + 1);
    map.getResult().replaceAllUsesWith(
        TransposeOp::create(builder, map.getLoc(), now.getResult())
            .getResult());
    map.erase();
    changed = true;
  }
  return changed;
}

struct SplitGroups : public rondo::tile::impl::SplitGroupsBase<SplitGroups> {
  using SplitGroupsBase::SplitGroupsBase;
  void runOnOperation() override {
    gpu::GPUFuncOp kernel = getOperation();
    if (!kernel->hasAttr("tile.warps") || kernel->hasAttr("tile.blocks"))
      return;
    // The last loop that carries tiles is the one over chunks.
    scf::ForOp loop;
    for (auto each : kernel.getBody().front().getOps<scf::ForOp>())
      if (concernsTiles(each))
        loop = each;
    if (!loop)
      return;
    LoopParts parts(loop, memory);
    Builder builder(&getContext());
    if (parts.whyOne)
      kernel->setAttr("tile.one_group", builder.getStringAttr(parts.whyOne));
    if (parts.whyOne && parts.whyCopies)
      return;
    if (turnFactors(loop, parts))
      parts = LoopParts(loop, memory);
    GroupSplitter(loop, parts).run();
    kernel->setAttr("tile.groups",
                    builder.getI64IntegerAttr(parts.numGroups()));
    if (parts.isForTwoBlocks())
      kernel->setAttr("tile.blocks", builder.getI64IntegerAttr(2));
    ++numSplit;
  }
};

} // namespace
