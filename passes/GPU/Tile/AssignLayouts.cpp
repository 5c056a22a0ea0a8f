//===- AssignLayouts.cpp - A layout for every tile ------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Builders.h"
#include "passes/GPU/Tile/EmitThreads.h"
#include "passes/GPU/Tile/Passes.h"

namespace rondo::tile {
#define GEN_PASS_DEF_ASSIGNLAYOUTS
#include "passes/GPU/Tile/Passes.h.inc"
} // namespace rondo::tile

using namespace mlir;
using namespace rondo::tile;

namespace {

struct AssignLayouts
    : public rondo::tile::impl::AssignLayoutsBase<AssignLayouts> {
  void runOnOperation() override;
  void assign(Value value);
  Value convert(OpBuilder &builder, Value value, Layout layout);
  void assignDot(DotOp dot);
  bool isSlice(Operation *op);
  void assignSlices(ArrayRef<Operation *> ops);
  void convertVectors(Operation *op);

  int64_t warps = 0;
};

/// Whether a dot reads the value as it is, or turned.
static bool meetsDot(Value value) {
  return llvm::any_of(value.getUsers(), [](Operation *user) {
    if (auto transpose = dyn_cast<TransposeOp>(user))
      return meetsDot(transpose.getResult());
    return isa<DotOp>(user);
  });
}

static Layout chooseLayout(Value value) {
  auto type = cast<TileType>(value.getType());
  if (type.isScalar())
    return Layout::Uniform;
  if (type.isVector())
    return Layout::Lanes;
  Operation *op = value.getDefiningOp();
  if (isa_and_nonnull<ViewOp, TransposeOp>(op) ||
      (isa_and_nonnull<LoadOp>(op) &&
       (type.getElementType().isBF16() || meetsDot(value))))
    return Layout::Shared;
  return Layout::Accumulator;
}

void AssignLayouts::assign(Value value) {
  auto type = dyn_cast<TileType>(value.getType());
  if (type && type.getLayout() == Layout::Any)
    value.setType(type.withLayout(chooseLayout(value)));
}

Value AssignLayouts::convert(OpBuilder &builder, Value value, Layout layout) {
  auto type = cast<TileType>(value.getType());
  if (type.getLayout() == layout)
    return value;
  // One conversion serves all uses that it dominates.
  for (Operation *user : value.getUsers())
    if (auto known = dyn_cast<ConvertOp>(user))
      if (known.getType() == type.withLayout(layout) &&
          known->getBlock() == value.getParentBlock())
        return known.getResult();
  OpBuilder::InsertionGuard guard(builder);
  if (value.getDefiningOp())
    builder.setInsertionPointAfterValue(value);
  return ConvertOp::create(builder, value.getLoc(), type.withLayout(layout),
                           value);
}

void AssignLayouts::assignDot(DotOp dot) {
  OpBuilder builder(dot);
  auto leftType = cast<TileType>(dot.getLeft().getType());
  bool wholeRows = Grid(leftType, warps).columns == 1;
  bool inRegisters = leftType.getLayout() == Layout::Accumulator &&
                     !dot.getTransposeLeft() && wholeRows;
  dot.getLeftMutable().assign(convert(
      builder, dot.getLeft(), inRegisters ? Layout::Operand : Layout::Shared));
  dot.getRightMutable().assign(
      convert(builder, dot.getRight(), Layout::Shared));
  dot.getAccumulatorMutable().assign(
      convert(builder, dot.getAccumulator(), Layout::Accumulator));
}

static bool hasLayout(Value value, Layout layout) {
  auto type = dyn_cast<TileType>(value.getType());
  return type && type.getLayout() == layout;
}

/// Whether an operation's result is a vector that threads have where they have
/// the rows of an accumulator.
bool AssignLayouts::isSlice(Operation *op) {
  auto type = dyn_cast<TileType>(op->getResult(0).getType());
  if (!type || type.isScalar() || type.getColumns() != 1 || type.getRows() % 16)
    return false;
  Grid grid(type, warps);
  if (grid.rowBlocks * grid.rows * 16 != type.getRows())
    return false;
  if (auto reduce = dyn_cast<ReduceOp>(op))
    return reduce.getSource().getType().isMatrix() && grid.columns == 1;
  return isa<MapOp>(op) && llvm::any_of(op->getOperands(), [](Value operand) {
           return hasLayout(operand, Layout::Slice);
         });
}

/// What rows are reduced to, and what is computed with it.
void AssignLayouts::assignSlices(ArrayRef<Operation *> ops) {
  bool changed = true;
  auto set = [&](Value value) {
    auto type = cast<TileType>(value.getType());
    changed |= type.getLayout() != Layout::Slice;
    value.setType(type.withLayout(Layout::Slice));
  };
  while (changed) {
    changed = false;
    for (Operation *op : ops) {
      if (isa<ReduceOp, MapOp>(op) && isSlice(op))
        set(op->getResult(0));
      auto loop = dyn_cast<scf::ForOp>(op);
      if (!loop)
        continue;
      for (auto [init, argument, yielded, result] :
           llvm::zip_equal(loop.getInits(), loop.getRegionIterArgs(),
                           loop.getYieldedValues(), loop.getResults()))
        if (hasLayout(yielded, Layout::Slice) ||
            hasLayout(init, Layout::Slice)) {
          set(argument);
          set(result);
        }
    }
  }
}

/// Maps of slices take slices; what else vectors are for is done in lanes, but
/// in accumulators and in memory.
void AssignLayouts::convertVectors(Operation *op) {
  OpBuilder builder(op);
  bool toSlice = isa<MapOp>(op) && hasLayout(op->getResult(0), Layout::Slice);
  bool takesBoth = isa<StoreOp>(op) ||
                   (isa<MapOp>(op) &&
                    hasLayout(op->getResult(0), Layout::Accumulator));
  for (OpOperand &operand : op->getOpOperands()) {
    bool isVector = hasLayout(operand.get(), Layout::Lanes) ||
                    hasLayout(operand.get(), Layout::Slice);
    if (toSlice && isVector)
      operand.set(convert(builder, operand.get(), Layout::Slice));
    else if (isVector && !takesBoth)
      operand.set(convert(builder, operand.get(), Layout::Lanes));
  }
}

/// The operation, with what leads to it, moves up to `place`.
static bool moveUp(Operation *op, Operation *place) {
  if (op->getBlock() != place->getBlock() || op->isBeforeInBlock(place))
    return true;
  if (op == place || (!isMemoryEffectFree(op) && !isa<LoadOp, ViewOp>(op)))
    return false;
  bool fits = true;
  op->walk([&](Operation *inner) {
    for (Value operand : inner->getOperands())
      if (Operation *source = operand.getDefiningOp())
        if (!op->isAncestor(source))
          fits = fits && moveUp(source, place);
  });
  if (fits)
    op->moveBefore(place);
  return fits;
}

/// Sums weighed by products down the rows stand in front of scans of the same
/// factors, which are computed on the way to them, and beside one another.
static void gatherSums(gpu::GPUFuncOp kernel) {
  SmallVector<SegmentDotOp> sums;
  kernel.walk([&](SegmentDotOp sum) { sums.push_back(sum); });
  for (SegmentDotOp sum : sums) {
    Operation *place = sum;
    for (Operation *user : sum.getFactors().getUsers())
      if (isa<ScanOp, SegmentDotOp>(user) &&
          user->getBlock() == sum->getBlock() && user->isBeforeInBlock(place))
        place = user;
    if (place == sum)
      continue;
    bool fits = true;
    for (Value operand : sum->getOperands())
      if (Operation *source = operand.getDefiningOp())
        fits = fits && moveUp(source, place);
    if (fits && isa<ScanOp>(place))
      sum->moveBefore(place);
    else if (fits)
      sum->moveAfter(place);
  }
}

void AssignLayouts::runOnOperation() {
  auto attribute = getOperation()->getAttrOfType<IntegerAttr>("tile.warps");
  if (!attribute)
    return;
  warps = attribute.getInt();
  gatherSums(getOperation());
  SmallVector<Operation *> ops;
  getOperation().walk<WalkOrder::PreOrder>([&](Operation *op) {
    for (Region &region : op->getRegions())
      for (Block &block : region)
        for (BlockArgument argument : block.getArguments())
          assign(argument);
    for (Value result : op->getResults())
      assign(result);
    ops.push_back(op);
  });
  assignSlices(ops);
  for (Operation *op : ops) {
    OpBuilder builder(op);
    if (isa<MapOp, StoreOp, PutOp, ScanOp, SegmentProductOp, SegmentDotOp, ExtractOp,
            TransposeOp, ReduceOp>(op))
      convertVectors(op);
    if (auto dot = dyn_cast<DotOp>(op)) {
      assignDot(dot);
    } else if (isa<TransposeOp, InvertOp, SegmentDotOp, ScanOp, ExtractOp>(
                   op)) {
      Layout wanted =
          isa<TransposeOp>(op) ? Layout::Shared : Layout::Accumulator;
      for (OpOperand &operand : op->getOpOperands()) {
        // Queries and keys are taken from where they are.
        auto dot = dyn_cast<SegmentDotOp>(op);
        if (dot && operand.get() != dot.getFactors())
          continue;
        if (cast<TileType>(operand.get().getType()).isMatrix())
          operand.set(convert(builder, operand.get(), wanted));
      }
    } else if (isa<StoreOp, PutOp>(op)) {
      OpOperand &value = op->getOpOperand(0);
      if (cast<TileType>(value.get().getType()).isMatrix())
        value.set(convert(builder, value.get(), Layout::Accumulator));
    } else if (auto loop = dyn_cast<scf::ForOp>(op)) {
      for (OpOperand &init : loop.getInitArgsMutable())
        if (auto type =
                dyn_cast<TileType>(loop.getTiedLoopResult(&init).getType()))
          init.set(convert(builder, init.get(), type.getLayout()));
    } else if (auto yield = dyn_cast<scf::YieldOp>(op)) {
      for (auto [i, operand] : llvm::enumerate(yield->getOpOperands()))
        if (auto type =
                dyn_cast<TileType>(op->getParentOp()->getResult(i).getType()))
          operand.set(convert(builder, operand.get(), type.getLayout()));
    }
  }
}

} // namespace
