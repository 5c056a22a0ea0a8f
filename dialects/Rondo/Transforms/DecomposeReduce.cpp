//===- DecomposeReduce.cpp - Equations for reductions in bodies -----------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/Rondo/Transforms/Equations.h"

using namespace mlir;
using namespace rondo;

/// The equation or attention around a reduce.
static Operation *getTop(ReduceOp op) {
  Operation *top = op->getParentOp();
  while (isa<ReduceOp>(top))
    top = top->getParentOp();
  return top;
}

/// All indices in scope at `op`, from the outside to the inside: `top`'s, then
/// those of the reduces around it.
static SmallVector<IndexRange> getScope(ReduceOp op, Operation *top) {
  SmallVector<IndexRange> scope;
  if (auto equation = dyn_cast<EquationOp>(top)) {
    appendExtents(scope, equation.getParallelIndices(), equation.getSizes());
    appendRanges(top, scope, equation.getReductionIndices(),
                 equation.getLowers(), equation.getUppers());
  } else {
    auto attention = cast<AttentionOp>(top);
    bool inScore = attention.getScore().isAncestor(op->getParentRegion());
    Block &block =
        inScore ? attention.getScore().front() : attention.getValue().front();
    ArrayRef<BlockArgument> indices = block.getArguments();
    unsigned sizes = attention.getSizes().size();
    unsigned ranges = attention.getLowers().size();
    appendExtents(scope, indices.take_front(sizes), attention.getSizes());
    appendRanges(top, scope, indices.slice(sizes, ranges),
                 attention.getLowers(), attention.getUppers());
    if (!inScore)
      appendExtents(scope, indices.drop_front(sizes + ranges),
                    attention.getValueSizes());
  }
  SmallVector<ReduceOp> around;
  for (Operation *parent = op->getParentOp(); parent != top;
       parent = parent->getParentOp())
    around.push_back(cast<ReduceOp>(parent));
  for (ReduceOp reduce : llvm::reverse(around))
    appendRanges(top, scope, reduce.getBlock().getArguments(),
                 reduce.getLowers(), reduce.getUppers());
  return scope;
}

static StringRef getName(Operation *top) {
  return isa<EquationOp>(top) ? cast<EquationOp>(top).getName()
                              : cast<AttentionOp>(top).getName();
}

// reduce over r of body(p, r)   becomes   e[p] with e[p] = reduce over r of ..
// where p are the batch indices and those that the body uses.
void rondo::decomposeReduce(ReduceOp op) {
  Location loc = op.getLoc();
  Operation *top = getTop(op);
  llvm::SmallPtrSet<Value, 8> used;
  SmallVector<Value> values(op.getYield()->getOperands());
  collectSlice(top, values, used);
  SmallVector<IndexRange> indices;
  for (auto [i, range] : llvm::enumerate(getScope(op, top)))
    if (i < getNumBatch(top) || used.contains(range.index))
      indices.push_back(range);

  OpBuilder builder(top);
  SmallVector<Value> extents;
  for (const IndexRange &range : indices)
    extents.push_back(buildExtent(builder, loc, range));
  std::string name =
      (getName(top) + "." + stringifyCombiner(op.getCombiner())).str();
  auto equation = EquationOp::create(
      builder, loc, name, getElementType(op.getType()), extents, op.getLowers(),
      op.getUppers(), op.getCombiner());

  OpBuilder body = OpBuilder::atBlockBegin(&equation.getBlock());
  IRMapping mapping;
  for (auto [argument, range] :
       llvm::zip_equal(equation.getParallelIndices(), indices))
    mapping.map(range.index, buildIndex(body, loc, argument, range));
  mapping.map(op.getBlock().getArguments(), equation.getReductionIndices());
  SmallVector<Value> yielded;
  for (Value value : values)
    yielded.push_back(cloneValue(body, top, value, mapping));
  YieldOp::create(body, loc, ValueRange(yielded).take_front(1),
                  yielded.size() > 1 ? yielded[1] : Value());

  OpBuilder user(op);
  SmallVector<Value> subscripts;
  for (const IndexRange &range : indices)
    subscripts.push_back(buildPosition(user, loc, range.index, range));
  Value read = ReadOp::create(user, loc, op.getType(), equation, subscripts);
  op.replaceAllUsesWith(read);
  op.erase();
}
