//===- Equations.cpp - Building equations from bodies ---------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/Rondo/Transforms/Equations.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace rondo;

void rondo::appendExtents(SmallVectorImpl<IndexRange> &ranges,
                          ArrayRef<BlockArgument> indices, ValueRange extents) {
  for (auto [index, extent] : llvm::zip_equal(indices, extents))
    ranges.push_back({index, Value(), extent});
}

/// Whether points below the lower bound may be computed: reads are total, but
/// a gather could report an index that the program never uses.
static bool mayStartAtZero(Operation *top, Value lower) {
  APInt constant;
  if (!matchPattern(lower, m_ConstantInt(&constant)) || constant.isNegative())
    return false;
  return constant.isZero() ||
         !top->walk([](GatherOp) { return WalkResult::interrupt(); })
              .wasInterrupted();
}

void rondo::appendRanges(Operation *top, SmallVectorImpl<IndexRange> &ranges,
                         ArrayRef<BlockArgument> indices, ValueRange lowers,
                         ValueRange uppers) {
  for (auto [index, lower, upper] : llvm::zip_equal(indices, lowers, uppers))
    ranges.push_back(
        {index, mayStartAtZero(top, lower) ? Value() : lower, upper});
}

Value rondo::buildExtent(OpBuilder &builder, Location loc,
                         const IndexRange &range) {
  if (!range.lower)
    return range.upper;
  return arith::SubIOp::create(builder, loc, range.upper, range.lower);
}

Value rondo::buildPosition(OpBuilder &builder, Location loc, Value index,
                           const IndexRange &range) {
  return range.lower ? arith::SubIOp::create(builder, loc, index, range.lower)
                     : index;
}

Value rondo::buildIndex(OpBuilder &builder, Location loc, Value position,
                        const IndexRange &range) {
  return range.lower
             ? arith::AddIOp::create(builder, loc, position, range.lower)
             : position;
}

SmallVector<Operation *>
rondo::collectSlice(Operation *top, ValueRange values,
                    llvm::SmallPtrSetImpl<Value> &arguments) {
  llvm::SmallPtrSet<Operation *, 16> slice;
  SmallVector<Value> worklist(values);
  while (!worklist.empty()) {
    Value value = worklist.pop_back_val();
    if (!top->isAncestor(value.getParentRegion()->getParentOp()))
      continue; // from outside
    Operation *op = value.getDefiningOp();
    if (!op) {
      arguments.insert(value);
      continue;
    }
    if (!slice.insert(op).second)
      continue;
    // Nested regions use values too.
    op->walk([&](Operation *nested) {
      for (Value operand : nested->getOperands())
        if (!op->isAncestor(operand.getParentRegion()->getParentOp()))
          worklist.push_back(operand);
    });
  }
  SmallVector<Operation *> ordered;
  top->walk<WalkOrder::PreOrder>([&](Operation *op) {
    if (slice.contains(op))
      ordered.push_back(op);
  });
  return ordered;
}

Value rondo::cloneValue(OpBuilder &builder, Operation *top, Value value,
                        IRMapping &mapping) {
  llvm::SmallPtrSet<Value, 8> arguments;
  for (Operation *op : collectSlice(top, value, arguments))
    if (!mapping.contains(op->getResult(0)))
      builder.clone(*op, mapping);
  return mapping.lookupOrDefault(value);
}

Type rondo::getElementType(Type scalar) {
  return scalar.isIndex() ? IntegerType::get(scalar.getContext(), 64) : scalar;
}

unsigned rondo::getNumBatch(Operation *op) {
  auto kernel = op->getParentOfType<KernelOp>();
  return kernel ? kernel.getBatch().size() : 0;
}
