//===- OverlapSteps.cpp - Ends of steps beside the next step --------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A step whose states go through products one behind the other begins and ends
// with what matrix units wait for: states are rounded for the first product,
// results of the last one are stored. Both move across the border of steps:
// states are rounded while another dot of the step before is under way, and a
// result is stored while the next step's first dot is.
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/IRMapping.h"
#include "passes/GPU/Tile/Groups.h"
#include "passes/GPU/Tile/Passes.h"

namespace rondo::tile {
#define GEN_PASS_DEF_OVERLAPSTEPS
#include "passes/GPU/Tile/Passes.h.inc"
} // namespace rondo::tile

using namespace mlir;
using namespace rondo::tile;

namespace {

class StepOverlapper {
public:
  explicit StepOverlapper(scf::ForOp loop)
      : loop(loop), builder(loop), loc(loop.getLoc()) {}
  void run();

private:
  bool waitsForProducts();
  void findOperands();
  void findStores();
  void carryOperands(ArrayRef<BlockArgument> arguments);
  void carryResults(ArrayRef<BlockArgument> arguments);
  Value makeZero(TileType type);
  void storeAt(StoreOp store, Value value, Value step, Value isStep);

  /// A state as a left operand: rounded, perhaps, and packed.
  struct Operand {
    unsigned state;
    MapOp rounding; // or null
    ConvertOp convert;
  };
  scf::ForOp loop;
  OpBuilder builder;
  Location loc;
  SmallVector<Operand> operands;
  SmallVector<StoreOp> stores;
};

/// Whether a state leads through a product of it to the next states.
bool StepOverlapper::waitsForProducts() {
  llvm::DenseSet<Value> multiplied;
  llvm::DenseSet<Value> states(loop.getRegionIterArgs().begin(),
                               loop.getRegionIterArgs().end());
  for (Operation &op : loop.getBody()->without_terminator()) {
    if (op.getNumRegions() && !isa<MapOp>(op))
      return false;
    for (Value operand : op.getOperands()) {
      auto dot = dyn_cast<DotOp>(op);
      bool isFactor =
          dot && (operand == dot.getLeft() || operand == dot.getRight());
      bool isState = states.contains(operand);
      if (multiplied.contains(operand) || (isState && isFactor))
        multiplied.insert(op.result_begin(), op.result_end());
      else if (isState)
        states.insert(op.result_begin(), op.result_end());
    }
  }
  return llvm::any_of(loop.getYieldedValues(),
                      [&](Value each) { return multiplied.contains(each); });
}

static bool isRounding(Operation *op) {
  auto map = dyn_cast_or_null<MapOp>(op);
  return map && map.getInputs().size() == 1 &&
         isa<YieldOp>(map.getBody().front().front());
}

void StepOverlapper::findOperands() {
  for (auto convert : loop.getBody()->getOps<ConvertOp>()) {
    if (convert.getType().getLayout() != Layout::Operand)
      continue;
    Value from = convert.getSource();
    MapOp rounding;
    if (isRounding(from.getDefiningOp())) {
      rounding = from.getDefiningOp<MapOp>();
      from = rounding.getInputs()[0];
    }
    auto state = dyn_cast<BlockArgument>(from);
    bool isInStep = llvm::all_of(convert->getUsers(), [&](Operation *user) {
      return user->getBlock() == loop.getBody() && isa<DotOp>(user);
    });
    if (state && state.getOwner() == loop.getBody() && state.getArgNumber() &&
        isInStep)
      operands.push_back({state.getArgNumber() - 1, rounding, convert});
  }
}

/// Stores of bf16 whose values are products of the step, at places that the
/// number of the step says.
void StepOverlapper::findStores() {
  for (auto store : loop.getBody()->getOps<StoreOp>()) {
    TileType type = store.getValue().getType();
    auto memory = cast<MemRefType>(store.getTarget().getType());
    int64_t last = memory.getRank() - 1;
    int64_t rowDim = store.getRowDim(), columnDim = store.getColumnDim();
    bool isRight = type.isMatrix() && type.getElementType().isBF16() &&
                   type.getLayout() == Layout::Accumulator &&
                   memory.getElementType().isBF16() && rowDim >= 0 &&
                   columnDim >= 0 && (rowDim == last || columnDim == last) &&
                   store.getRowLimit() && store.getColumnLimit();
    Value from = store.getValue();
    bool isEarlyPlace =
        llvm::all_of(store->getOperands().drop_front(),
                     [&](Value each) { return isEarly(loop, each); });
    if (isRight && isEarlyPlace && from.getParentBlock() == loop.getBody() &&
        computes(loop, from.getDefiningOp(), /*isVector=*/false))
      stores.push_back(store);
  }
}

Value StepOverlapper::makeZero(TileType type) {
  TileType computed = type.withLayout(Layout::Accumulator);
  auto map = MapOp::create(builder, loc, computed, ValueRange());
  {
    OpBuilder::InsertionGuard guard(builder);
    Type index = builder.getIndexType();
    builder.createBlock(&map.getBody(), {}, {index, index}, {loc, loc});
    Value zero =
        arith::ConstantOp::create(builder, loc, builder.getF32FloatAttr(0));
    YieldOp::create(builder, loc, zero);
  }
  return ConvertOp::create(builder, loc, type, map.getResult());
}

/// What the step before has computed, where that step would have stored it,
/// if there was one.
void StepOverlapper::storeAt(StoreOp store, Value value, Value step,
                             Value isStep) {
  IRMapping mapping;
  mapping.map(loop.getInductionVar(), step);
  mapping.map(store.getValue(), value);
  std::function<void(Value)> place = [&](Value operand) {
    if (mapping.contains(operand) || loop.isDefinedOutsideOfLoop(operand))
      return;
    Operation *op = operand.getDefiningOp();
    llvm::for_each(op->getOperands(), place);
    builder.clone(*op, mapping);
  };
  llvm::for_each(store->getOperands().drop_front(), place);
  auto moved = cast<StoreOp>(builder.clone(*store, mapping));
  // Pieces lie along the innermost dim: nothing is left of the other one.
  auto memory = cast<MemRefType>(store.getTarget().getType());
  bool isRow = static_cast<int64_t>(store.getRowDim()) != memory.getRank() - 1;
  MutableOperandRange limit =
      isRow ? moved.getRowLimitMutable() : moved.getColumnLimitMutable();
  builder.setInsertionPoint(moved);
  Value none = arith::ConstantIndexOp::create(builder, loc, 0);
  limit.assign(arith::SelectOp::create(builder, loc, isStep,
                                       OperandRange(limit).front(), none));
  builder.setInsertionPointAfter(moved);
}

void StepOverlapper::carryOperands(ArrayRef<BlockArgument> arguments) {
  Operation *yield = loop.getBody()->getTerminator();
  for (auto [operand, argument] : llvm::zip_equal(operands, arguments)) {
    builder.setInsertionPoint(yield);
    IRMapping next;
    Value state = loop.getRegionIterArgs()[operand.state];
    next.map(state, loop.getYieldedValues()[operand.state]);
    if (operand.rounding)
      builder.clone(*operand.rounding, next);
    Value packed = builder.clone(*operand.convert, next)->getResult(0);
    yield->setOperand(argument.getArgNumber() - 1, packed);
    operand.convert.getResult().replaceAllUsesWith(argument);
    operand.convert.erase();
    if (operand.rounding && operand.rounding->use_empty())
      operand.rounding.erase();
  }
}

void StepOverlapper::carryResults(ArrayRef<BlockArgument> arguments) {
  Operation *yield = loop.getBody()->getTerminator();
  for (auto [store, argument] : llvm::zip_equal(stores, arguments)) {
    builder.setInsertionPoint(store);
    Value packed = ConvertOp::create(
        builder, loc, cast<TileType>(argument.getType()), store.getValue());
    yield->setOperand(argument.getArgNumber() - 1, packed);
    // Behind what this step waits for.
    Value index = loop.getInductionVar(), lower = loop.getLowerBound();
    Value before =
        arith::SubIOp::create(builder, loc, index, loop.getStep());
    Value isStep = arith::CmpIOp::create(
        builder, loc, arith::CmpIPredicate::sgt, index, lower);
    storeAt(store, argument, before, isStep);
    // The last one. There may have been none.
    builder.setInsertionPointAfter(loop);
    Value upper = loop.getUpperBound();
    Value last = arith::SubIOp::create(builder, loc, upper, loop.getStep());
    Value isAny = arith::CmpIOp::create(
        builder, loc, arith::CmpIPredicate::sgt, upper, lower);
    storeAt(store, loop.getResult(argument.getArgNumber() - 1), last, isAny);
    store.erase();
  }
}

void StepOverlapper::run() {
  if (!waitsForProducts())
    return;
  findOperands();
  findStores();
  if (operands.empty() && stores.empty())
    return;
  SmallVector<Value> inits(loop.getInitArgs());
  for (Operand &each : operands) {
    IRMapping first;
    first.map(loop.getRegionIterArgs()[each.state],
              loop.getInitArgs()[each.state]);
    if (each.rounding)
      builder.clone(*each.rounding, first);
    inits.push_back(builder.clone(*each.convert, first)->getResult(0));
  }
  for (StoreOp each : stores)
    inits.push_back(
        makeZero(each.getValue().getType().withLayout(Layout::Operand)));
  size_t count = loop.getInitArgs().size();
  auto next = scf::ForOp::create(builder, loc, loop.getLowerBound(),
                                 loop.getUpperBound(), loop.getStep(), inits);
  if (!next.getBody()->empty())
    next.getBody()->getTerminator()->erase();
  Block *body = next.getBody();
  body->getOperations().splice(body->end(), loop.getBody()->getOperations());
  loop.getInductionVar().replaceAllUsesWith(next.getInductionVar());
  for (auto [old, now] :
       llvm::zip(loop.getRegionIterArgs(), next.getRegionIterArgs()))
    old.replaceAllUsesWith(now);
  for (auto [old, now] : llvm::zip(loop.getResults(), next.getResults()))
    old.replaceAllUsesWith(now);
  loop.erase();
  loop = next;
  // Until there is something to hand on, what was handed.
  Operation *yield = body->getTerminator();
  SmallVector<Value> yielded(yield->getOperands());
  SmallVector<BlockArgument> carried;
  for (Value each : next.getRegionIterArgs().drop_front(count)) {
    yielded.push_back(each);
    carried.push_back(cast<BlockArgument>(each));
  }
  yield->setOperands(yielded);
  ArrayRef<BlockArgument> arguments(carried);
  carryOperands(arguments.take_front(operands.size()));
  carryResults(arguments.drop_front(operands.size()));
}

struct OverlapSteps
    : public rondo::tile::impl::OverlapStepsBase<OverlapSteps> {
  void runOnOperation() override {
    if (!getOperation()->hasAttr("tile.groups"))
      return;
    SmallVector<scf::ForOp> loops;
    getOperation().walk([&](scf::ForOp loop) { loops.push_back(loop); });
    for (scf::ForOp loop : loops)
      StepOverlapper(loop).run();
  }
};

} // namespace
