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
  void copyAt(Value step, Value runs);

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

  struct Compare {
    arith::CmpIOp op;
    int64_t rows, length;
  };
  SmallVector<Compare> findCompares();
  bool isSteady(Value value);
  Value findWhole();
  void emitAheadLoop(Value lower, Value upper, bool isWhole);
  void emitAhead(Block &block);
  void emitChain(Block &block);
  void emitReaders(Block &block);

  scf::ForOp loop;
  const LoopParts &parts;
  OpBuilder builder;
  Location loc;
  Channel copied, ahead;
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

/// Begins the copies of a step. `runs`: there is such a step.
void GroupSplitter::copyAt(Value step, Value runs) {
  Value item = itemOf(step);
  Value place = await(RingState::Empty, copied.ring, item);
  for (auto [load, buffer] : llvm::zip_equal(parts.loads, copied.buffers))
    placeCopy(builder, loop, cast<LoadOp>(load.first), step, runs, buffer,
              place);
  mark(RingState::Full, copied.ring, item);
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

/// The operations of a group, and what they hand on.
void GroupSplitter::emit(Step &step) {
  for (Operation &op : loop.getBody()->without_terminator()) {
    if (!(parts.groupsOf(&op) & step.group))
      continue;
    llvm::SetVector<Value> read(op.operand_begin(), op.operand_end());
    getUsedValuesDefinedAbove(op.getRegions(), read);
    for (Value value : read) {
      if (step.mapping.contains(value))
        continue;
      Operation *source = value.getDefiningOp();
      for (auto [number, each] : llvm::enumerate(parts.loads))
        if (each.first == source)
          view(step, value, copied, number);
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
    if (step.group != kChain || !op.getNumResults())
      continue;
    if (auto found = fromChain.find(op.getResult(0));
        found != fromChain.end()) {
      Value ring = found->second.ring;
      Value place = await(RingState::Empty, ring, step.item);
      PutOp::create(builder, loc, step.mapping.lookup(op.getResult(0)),
                    found->second.buffers[0], place);
      mark(RingState::Full, ring, step.item);
    }
  }
}

/// What was seen may be overwritten.
void GroupSplitter::release(Step &step) {
  for (auto [ring, place] : step.places)
    mark(RingState::Empty, ring, step.item);
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
  Value place = await(RingState::Empty, ahead.ring, step.item);
  for (auto [each, buffer] : llvm::zip_equal(parts.fromAhead, ahead.buffers))
    PutOp::create(builder, loc, mapping.lookup(each.first), buffer, place);
  mark(RingState::Full, ahead.ring, step.item);
  release(step);
  Value later =
      arith::AddIOp::create(builder, loc, index, constant(parts.stages - 1));
  Value runs = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::slt,
                                     later, loop.getUpperBound());
  copyAt(later, runs);
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

/// Copies, as far ahead as there are stages. What is computed ahead is computed
/// before copies go where the readers' step is: they wait for it to end.
void GroupSplitter::emitAhead(Block &block) {
  builder.setInsertionPointToEnd(&block);
  Value lower = loop.getLowerBound(), upper = loop.getUpperBound();
  Value some = arith::MinSIOp::create(
      builder, loc,
      arith::AddIOp::create(builder, loc, lower, constant(parts.stages - 1)),
      upper);
  scf::ForOp first = makeLoop(lower, some, {});
  copyAt(first.getInductionVar(), {});
  scf::YieldOp::create(builder, loc);
  builder.setInsertionPointAfter(first);
  if (Value whole = findWhole()) {
    emitAheadLoop(lower, whole, /*isWhole=*/true);
    lower = arith::MaxSIOp::create(builder, loc, lower, whole);
  }
  emitAheadLoop(lower, upper, /*isWhole=*/false);
  // Nothing is under way when the block ends.
  CommitOp::create(builder, loc);
  WaitOp::create(builder, loc, 0);
}

void GroupSplitter::emitChain(Block &block) {
  builder.setInsertionPointToEnd(&block);
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
}

void GroupSplitter::emitReaders(Block &block) {
  builder.setInsertionPointToEnd(&block);
  scf::ForOp main = makeLoop(loop.getLowerBound(), loop.getUpperBound(), {});
  IRMapping mapping;
  mapping.map(loop.getInductionVar(), main.getInductionVar());
  Step step{kReaders, itemOf(main.getInductionVar()), mapping, {}};
  emit(step);
  release(step);
  scf::YieldOp::create(builder, loc);
}

void GroupSplitter::run() {
  // The same in all steps.
  for (LoadOp load :
       llvm::make_early_inc_range(loop.getBody()->getOps<LoadOp>()))
    if (!parts.loads.contains(load))
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
  SmallVector<Value> tiles;
  for (auto [load, users] : parts.loads)
    tiles.push_back(load->getResult(0));
  copied = open(parts.stages, tiles);
  tiles.clear();
  for (auto [value, users] : parts.fromAhead)
    tiles.push_back(value);
  ahead = open(2, tiles);
  for (auto [value, users] : parts.fromChain)
    fromChain[value] = open(2, value);
  auto groups = GroupsOp::create(builder, loc, 3);
  for (Region &group : groups.getGroups())
    group.emplaceBlock();
  emitAhead(groups.getGroups()[0].front());
  emitChain(groups.getGroups()[1].front());
  emitReaders(groups.getGroups()[2].front());
  for (Operation *op : llvm::reverse(behind))
    op->erase();
  loop.erase();
  for (Operation *op : llvm::reverse(before))
    op->erase();
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
    if (parts.whyOne) {
      kernel->setAttr("tile.one_group", builder.getStringAttr(parts.whyOne));
      return;
    }
    GroupSplitter(loop, parts).run();
    kernel->setAttr("tile.groups", builder.getI64IntegerAttr(3));
    ++numSplit;
  }
};

} // namespace
