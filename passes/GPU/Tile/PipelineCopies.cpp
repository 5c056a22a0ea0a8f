//===- PipelineCopies.cpp - Loads ahead of their step ---------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/Tile/IR/TileOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"
#include "passes/GPU/Tile/EmitThreads.h"
#include "passes/GPU/Tile/Groups.h"
#include "passes/GPU/Tile/Passes.h"

namespace rondo::tile {
#define GEN_PASS_DEF_PIPELINECOPIES
#include "passes/GPU/Tile/Passes.h.inc"
} // namespace rondo::tile

using namespace mlir;
using namespace rondo::tile;

/// Whether a scalar of a loop depends on its index and outer values only.
bool rondo::tile::isEarly(scf::ForOp loop, Value value) {
  if (value == loop.getInductionVar() || loop.isDefinedOutsideOfLoop(value))
    return true;
  Operation *op = value.getDefiningOp();
  return op && op->getBlock() == loop.getBody() &&
         isa<arith::ArithDialect>(op->getDialect()) &&
         llvm::all_of(op->getOperands(),
                      [&](Value each) { return isEarly(loop, each); });
}

/// The value as of another step.
static Value at(OpBuilder &builder, scf::ForOp loop, Value value,
                IRMapping &step) {
  if (step.contains(value) || loop.isDefinedOutsideOfLoop(value))
    return step.lookupOrDefault(value);
  Operation *op = value.getDefiningOp();
  for (Value operand : op->getOperands())
    at(builder, loop, operand, step);
  return builder.clone(*op, step)->getResult(0);
}

LoadOp rondo::tile::placeLoad(OpBuilder &builder, scf::ForOp loop, LoadOp load,
                              Value step, Value runs) {
  IRMapping mapping;
  mapping.map(loop.getInductionVar(), step);
  for (Value operand : load->getOperands())
    at(builder, loop, operand, mapping);
  auto moved = cast<LoadOp>(builder.clone(*load, mapping));
  OperandRange limit = moved.getRowLimit() ? moved.getODSOperands(2)
                                           : moved.getODSOperands(3);
  if (!limit.empty() && runs) {
    builder.setInsertionPoint(moved);
    Value zero = arith::ConstantIndexOp::create(builder, load.getLoc(), 0);
    Value bounded = arith::SelectOp::create(builder, load.getLoc(), runs,
                                            limit.front(), zero);
    moved->setOperand(limit.getBeginOperandIndex(), bounded);
    builder.setInsertionPointAfter(moved);
  }
  return moved;
}

void rondo::tile::placeCopy(OpBuilder &builder, scf::ForOp loop, LoadOp load,
                            Value step, Value runs, Value buffer,
                            Value stage) {
  LoadOp moved = placeLoad(builder, loop, load, step, runs);
  CopyOp::create(builder, load.getLoc(), moved.getSource(), moved.getIndices(),
                 moved.getRowDim(), moved.getRowLimit(), moved.getColumnDim(),
                 moved.getColumnLimit(), buffer, stage);
  moved.erase();
}

bool rondo::tile::hasWords(LoadOp load) {
  TileType type = load.getType();
  auto memory = cast<MemRefType>(load.getSource().getType());
  int64_t offset = 0, length = type.getRows() * type.getColumns();
  SmallVector<int64_t> strides;
  if (type.isMatrix() || !memory.getElementType().isF32() ||
      !type.getElementType().isF32() || (length > 1 && length % 32) ||
      failed(memory.getStridesAndOffset(strides, offset)))
    return false;
  int64_t dim = static_cast<int64_t>(type.getColumns() > 1 ? load.getColumnDim()
                                                           : load.getRowDim());
  return type.isScalar() || (dim >= 0 && strides[dim] == 1);
}

namespace {

/// Buffers of loops that have ended: those behind them use them again.
using Buffers = SmallVector<Value>;

class LoopPipeliner {
public:
  LoopPipeliner(scf::ForOp loop, Buffers &ended, bool isOnly, int64_t memory)
      : loop(loop), builder(loop), ended(ended), isOnly(isOnly),
        memory(memory) {}
  void run();

private:
  void chooseStages(ArrayRef<LoadOp> copied);
  Value takeBuffer(TileType type);

  scf::ForOp loop;
  OpBuilder builder;
  Buffers &ended;
  bool isOnly;    // loop with dots in its kernel
  int64_t memory; // of a block, in bytes
  int64_t stages = 2;
};

Value LoopPipeliner::takeBuffer(TileType type) {
  auto buffer = BufferType::get(type.getContext(), stages, type.getRows(),
                                type.getColumns(), type.getElementType());
  auto found = llvm::find_if(
      ended, [&](Value each) { return each.getType() == buffer; });
  if (found == ended.end())
    return AllocOp::create(builder, loop.getLoc(), buffer);
  Value result = *found;
  ended.erase(found);
  return result;
}

/// Copies for two steps ahead, where there is memory: a step can be shorter than
/// the way to memory and the time in which all blocks' copies of one step arrive.
void LoopPipeliner::chooseStages(ArrayRef<LoadOp> copied) {
  constexpr int64_t kBesides = 18 << 10; // the buffers, about
  int64_t bytes = 0;
  for (LoadOp load : copied)
    bytes += std::max<int64_t>(2 * load.getType().getRows() *
                                   load.getType().getColumns(),
                               512); // vectors, with what they are aligned to
  if (isOnly && bytes)
    stages = std::clamp<int64_t>((memory - kBesides) / bytes, 2, 3);
}

void LoopPipeliner::run() {
  SmallVector<LoadOp> copied, carried, ahead;
  for (LoadOp load : loop.getBody()->getOps<LoadOp>()) {
    if (!llvm::all_of(load->getOperands(), [&](Value each) { return isEarly(loop, each); }))
      continue;
    TileType type = load.getType();
    if (!type.isMatrix() && llvm::all_of(load->getOperands(), [&](Value each) {
          return loop.isDefinedOutsideOfLoop(each);
        }))
      ahead.push_back(load);
    else if (hasWords(load))
      copied.push_back(load);
    else if (!type.isMatrix())
      carried.push_back(load);
    else if (type.getElementType().isBF16())
      copied.push_back(load);
  }
  // The same in all steps.
  for (LoadOp load : ahead)
    load->moveBefore(loop);
  if (copied.empty() && carried.empty())
    return;
  Location loc = loop.getLoc();
  Value lower = loop.getLowerBound(), upper = loop.getUpperBound();
  chooseStages(copied);
  auto number = [&](OpBuilder &builder, int64_t value) -> Value {
    return arith::ConstantIndexOp::create(builder, loc, value);
  };
  auto precedes = [&](OpBuilder &builder, Value step) -> Value {
    return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::slt, step,
                                 upper);
  };
  Value zero = number(builder, 0), one = number(builder, 1);
  Value runs = precedes(builder, lower);
  SmallVector<Value> buffers;
  for (LoadOp load : copied)
    buffers.push_back(takeBuffer(load.getType()));
  Value step = lower, stepRuns = runs;
  for (int64_t stage = 0; stage + 1 < stages && !copied.empty(); ++stage) {
    if (stage) {
      step = arith::AddIOp::create(builder, loc, step, loop.getStep());
      stepRuns = precedes(builder, step);
    }
    for (auto [load, buffer] : llvm::zip_equal(copied, buffers))
      placeCopy(builder, loop, load, step, stepRuns, buffer, number(builder, stage));
    CommitOp::create(builder, loc);
  }
  SmallVector<Value> inits(loop.getInitArgs());
  for (LoadOp load : carried)
    inits.push_back(placeLoad(builder, loop, load, lower, runs)->getResult(0));

  // The loop again, with the carried tiles and the stage.
  size_t numOld = loop.getInitArgs().size();
  inits.push_back(zero);
  auto next = scf::ForOp::create(builder, loc, lower, upper, loop.getStep(),
                                 inits);
  if (!next.getBody()->empty())
    next.getBody()->getTerminator()->erase();
  Block *body = next.getBody();
  Value index = next.getInductionVar();
  Value stage = next.getRegionIterArgs().back();
  OpBuilder inside = OpBuilder::atBlockEnd(body);
  Value following = arith::AddIOp::create(inside, loc, index, loop.getStep());
  Value follows = precedes(inside, following);
  // The stages go round: behind this one, and what is copied now in front of it.
  Value nextStage, freeStage;
  if (stages == 2) {
    nextStage = freeStage = arith::SubIOp::create(inside, loc, one, stage);
  } else {
    auto turn = [&](int64_t at, int64_t to, int64_t by) -> Value {
      Value isAt = arith::CmpIOp::create(inside, loc, arith::CmpIPredicate::eq,
                                         stage, number(inside, at));
      Value moved =
          arith::AddIOp::create(inside, loc, stage, number(inside, by));
      return arith::SelectOp::create(inside, loc, isAt, number(inside, to),
                                     moved);
    };
    nextStage = turn(stages - 1, 0, 1);
    freeStage = turn(0, stages - 1, -1);
  }
  if (!copied.empty()) {
    WaitOp::create(inside, loc, stages - 2);
    Value ahead = following, aheadRuns = follows;
    for (int64_t more = 2; more < stages; ++more) {
      ahead = arith::AddIOp::create(inside, loc, ahead, loop.getStep());
      aheadRuns = precedes(inside, ahead);
    }
    for (auto [load, buffer] : llvm::zip_equal(copied, buffers))
      placeCopy(inside, loop, load, ahead, aheadRuns, buffer, freeStage);
    CommitOp::create(inside, loc);
  }
  SmallVector<Value> carriedNext;
  for (LoadOp load : carried)
    carriedNext.push_back(
        placeLoad(inside, loop, load, following, follows)->getResult(0));

  body->getOperations().splice(body->end(), loop.getBody()->getOperations());
  loop.getInductionVar().replaceAllUsesWith(index);
  for (auto [old, now] :
       llvm::zip(loop.getRegionIterArgs(), next.getRegionIterArgs()))
    old.replaceAllUsesWith(now);
  for (auto [load, buffer] : llvm::zip_equal(copied, buffers)) {
    OpBuilder here(load);
    Value view = ViewOp::create(here, load.getLoc(), load.getType(), buffer, stage);
    load.getResult().replaceAllUsesWith(view);
    load.erase();
  }
  for (auto [i, load] : llvm::enumerate(carried)) {
    load.getResult().replaceAllUsesWith(next.getRegionIterArgs()[numOld + i]);
    load.erase();
  }
  auto yield = cast<scf::YieldOp>(body->getTerminator());
  SmallVector<Value> results(yield.getOperands());
  llvm::append_range(results, carriedNext);
  results.push_back(nextStage);
  OpBuilder end(yield);
  scf::YieldOp::create(end, loc, results);
  yield.erase();
  for (auto [old, now] : llvm::zip(loop.getResults(), next.getResults()))
    old.replaceAllUsesWith(now);
  loop.erase();
  if (!copied.empty()) {
    // The last step's copies have nothing in them, but write the buffers.
    builder.setInsertionPointAfter(next);
    WaitOp::create(builder, loc, 0);
  }
  llvm::append_range(ended, buffers);
}

/// Whether a loop's body begins with a wait.
static bool waits(Block &body) {
  for (Operation &op : body)
    if (isa<TileDialect>(op.getDialect()))
      return isa<WaitOp>(op);
  return false;
}

/// Matrices that only loops read: their copies are under way with the loop's
/// first ones, and its waits are theirs.
static void copyAhead(gpu::GPUFuncOp kernel) {
  for (LoadOp load :
       llvm::make_early_inc_range(kernel.getBody().front().getOps<LoadOp>())) {
    TileType type = load.getType();
    bool isAhead =
        type.isMatrix() && type.getElementType().isBF16() && !load->use_empty();
    for (Operation *user : load->getUsers())
      isAhead &= isa<scf::ForOp>(user->getParentOp()) && waits(*user->getBlock());
    if (!isAhead)
      continue;
    OpBuilder builder(load);
    Location loc = load.getLoc();
    Value zero = arith::ConstantIndexOp::create(builder, loc, 0);
    Value buffer = AllocOp::create(
        builder, loc,
        BufferType::get(type.getContext(), 1, type.getRows(),
                        type.getColumns(), type.getElementType()));
    CopyOp::create(builder, loc, load.getSource(), load.getIndices(),
                   load.getRowDim(), load.getRowLimit(), load.getColumnDim(),
                   load.getColumnLimit(), buffer, zero);
    load.replaceAllUsesWith(
        ViewOp::create(builder, loc, type, buffer, zero).getResult());
    load.erase();
  }
}

/// Scalar code in front of `op` moves up to `place`.
static bool hoist(Operation *op, Operation *place) {
  if (!isa<arith::ArithDialect>(op->getDialect()) &&
      !isa<memref::CastOp, memref::ReinterpretCastOp, memref::ViewOp>(op))
    return false;
  for (Value operand : op->getOperands())
    if (Operation *source = operand.getDefiningOp())
      if (!source->isBeforeInBlock(place) && !hoist(source, place))
        return false;
  op->moveBefore(place);
  return true;
}

/// Without a loop: copies of all matrices, then one wait.
static void copyAtOnce(gpu::GPUFuncOp kernel) {
  Block &block = kernel.getBody().front();
  SmallVector<LoadOp> loads;
  Operation *place = nullptr;
  for (Operation &op : block) {
    if (!place && isa<TileDialect>(op.getDialect()))
      place = &op;
    auto load = dyn_cast<LoadOp>(op);
    if (!load || !load.getType().isMatrix() ||
        !load.getType().getElementType().isBF16())
      continue;
    bool isEarly = true;
    for (Value operand : load->getOperands())
      if (Operation *source = operand.getDefiningOp())
        isEarly &= source->isBeforeInBlock(place) || hoist(source, place);
    if (isEarly)
      loads.push_back(load);
  }
  if (loads.empty())
    return;
  OpBuilder builder(place);
  Location loc = kernel.getLoc();
  Value zero = arith::ConstantIndexOp::create(builder, loc, 0);
  SmallVector<Value> buffers;
  for (LoadOp load : loads) {
    TileType type = load.getType();
    buffers.push_back(AllocOp::create(
        builder, loc,
        BufferType::get(type.getContext(), 1, type.getRows(),
                        type.getColumns(), type.getElementType())));
    CopyOp::create(builder, load.getLoc(), load.getSource(), load.getIndices(),
                   load.getRowDim(), load.getRowLimit(), load.getColumnDim(),
                   load.getColumnLimit(), buffers.back(), zero);
  }
  CommitOp::create(builder, loc);
  WaitOp::create(builder, loc, 0);
  for (auto [load, buffer] : llvm::zip_equal(loads, buffers)) {
    Value view =
        ViewOp::create(builder, load.getLoc(), load.getType(), buffer, zero);
    load.getResult().replaceAllUsesWith(view);
  }
  // The first one may be the place itself.
  for (LoadOp load : loads)
    load.erase();
}

/// Two versions of a kernel: one in which every piece of 16 bytes is whole and
/// aligned, whose copies and stores need no branches, and one for everything.
class KernelVersions {
public:
  explicit KernelVersions(gpu::GPUFuncOp kernel)
      : kernel(kernel), builder(kernel.getContext()), loc(kernel.getLoc()) {}
  void run();

private:
  Value place(Value value);
  Value isMultiple(Value value, int64_t of);
  template <typename Op>
  bool addCondition(Op op, Value memory, int64_t innermost, Value limit,
                    int64_t extent);

  gpu::GPUFuncOp kernel;
  OpBuilder builder;
  Location loc;
  Operation *start = nullptr; // of what there is in two versions
  IRMapping known;
  Value condition;
};

/// A scalar in front of the versions, or null.
Value KernelVersions::place(Value value) {
  if (auto argument = dyn_cast<BlockArgument>(value))
    return argument.getOwner()->getParentOp() == kernel ? value : Value();
  Operation *op = value.getDefiningOp();
  if (op->getBlock() == start->getBlock() && op->isBeforeInBlock(start))
    return value;
  if (Value done = known.lookupOrNull(value))
    return done;
  if (!isa<arith::ArithDialect>(op->getDialect()) &&
      !isa<memref::CastOp, memref::ReinterpretCastOp, memref::ViewOp>(op))
    return {};
  for (Value operand : op->getOperands()) {
    Value placed = place(operand);
    if (!placed)
      return {};
    known.map(operand, placed);
  }
  builder.clone(*op, known);
  return known.lookup(value);
}

Value KernelVersions::isMultiple(Value value, int64_t of) {
  Value rest = arith::RemUIOp::create(
      builder, loc, value, arith::ConstantIndexOp::create(builder, loc, of));
  return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, rest,
                               arith::ConstantIndexOp::create(builder, loc, 0));
}

template <typename Op>
bool KernelVersions::addCondition(Op op, Value memory, int64_t innermost,
                                  Value limit, int64_t extent) {
  memory = place(memory);
  limit = limit ? place(limit) : limit;
  Value index = place(op.getIndices()[innermost]);
  if (!memory || !limit || !index)
    return false;
  auto add = [&](Value each) {
    condition = condition ? arith::AndIOp::create(builder, loc, condition, each)
                                .getResult()
                          : each;
  };
  auto type = cast<MemRefType>(memory.getType());
  int64_t perPiece = 128 / type.getElementTypeBitWidth();
  Value address =
      memref::ExtractAlignedPointerAsIndexOp::create(builder, loc, memory);
  add(isMultiple(address, 16));
  auto metadata =
      memref::ExtractStridedMetadataOp::create(builder, loc, memory);
  for (Value stride : metadata.getStrides().drop_back())
    add(isMultiple(stride, perPiece));
  add(isMultiple(metadata.getOffset(), perPiece));
  add(isMultiple(index, perPiece));
  add(arith::CmpIOp::create(
      builder, loc, arith::CmpIPredicate::sge, limit,
      arith::ConstantIndexOp::create(builder, loc, extent)));
  return true;
}

void KernelVersions::run() {
  Block &block = kernel.getBody().front();
  for (Operation &op : block)
    if (!start && isa<TileDialect>(op.getDialect()))
      start = &op;
  if (!start)
    return;
  builder.setInsertionPoint(start);
  SmallVector<Operation *> whole;
  bool fine = true;
  kernel.walk([&](Operation *op) {
    if (auto copy = dyn_cast<CopyOp>(op)) {
      int64_t last = copy.getIndices().size() - 1;
      TileType type = TileType::get(
          op->getContext(), copy.getBuffer().getType().getRows(),
          copy.getBuffer().getType().getColumns(),
          copy.getBuffer().getType().getElementType(), Layout::Any);
      if (!type.isMatrix() || static_cast<int64_t>(copy.getColumnDim()) != last)
        return;
      fine &= addCondition(copy, copy.getSource(), last, copy.getColumnLimit(),
                           type.getColumns());
      whole.push_back(op);
    } else if (auto store = dyn_cast<StoreOp>(op)) {
      TileType type = store.getValue().getType();
      int64_t last = store.getIndices().size() - 1;
      if (!type.isMatrix() || type.getElementType().isF32())
        return;
      if (static_cast<int64_t>(store.getColumnDim()) == last) {
        fine &= addCondition(store, store.getTarget(), last,
                             store.getColumnLimit(), type.getColumns());
        whole.push_back(op);
        return;
      }
      if (static_cast<int64_t>(store.getRowDim()) != last)
        return;
      fine &= addCondition(store, store.getTarget(), last, store.getRowLimit(),
                           type.getRows());
      whole.push_back(op);
    }
  });
  if (!fine || whole.empty())
    return;
  auto versions = scf::IfOp::create(builder, loc, condition, true);
  SmallVector<Operation *> rest;
  for (Operation *op = start; !isa<gpu::ReturnOp>(op);
       op = op->getNextNode())
    rest.push_back(op);
  Operation *then = versions.thenBlock()->getTerminator();
  for (Operation *op : rest)
    op->moveBefore(then);
  IRMapping copies;
  OpBuilder other(versions.elseBlock()->getTerminator());
  for (Operation *op : rest)
    other.clone(*op, copies);
  for (Operation *op : whole)
    op->setAttr(kWhole, builder.getUnitAttr());
}

struct PipelineCopies
    : public rondo::tile::impl::PipelineCopiesBase<PipelineCopies> {
  using PipelineCopiesBase::PipelineCopiesBase;
  void runOnOperation() override {
    if (getOperation()->hasAttr("tile.groups")) // which have their copies
      return KernelVersions(getOperation()).run();
    SmallVector<scf::ForOp> loops;
    getOperation().walk([&](scf::ForOp loop) { loops.push_back(loop); });
    llvm::DenseMap<Block *, Buffers> ended;
    int64_t withDots = llvm::count_if(loops, [](scf::ForOp loop) {
      return !loop.getBody()->getOps<DotOp>().empty();
    });
    for (scf::ForOp loop : loops)
      LoopPipeliner(loop, ended[loop->getBlock()], withDots == 1, memory).run();
    if (!getOperation()->hasAttr("tile.warps"))
      return;
    if (loops.empty())
      copyAtOnce(getOperation());
    else
      copyAhead(getOperation());
    KernelVersions(getOperation()).run();
  }
};

} // namespace
