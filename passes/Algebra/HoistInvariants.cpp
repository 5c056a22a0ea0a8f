//===- HoistInvariants.cpp - Expensive parts as equations -----------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/IRMapping.h"
#include "passes/Algebra/BodyIndices.h"
#include "passes/Algebra/Passes.h"
#include "llvm/ADT/SetVector.h"

namespace rondo::algebra {
#define GEN_PASS_DEF_HOISTINVARIANTS
#include "passes/Algebra/Passes.h.inc"
} // namespace rondo::algebra

using namespace mlir;
using namespace rondo;
using rondo::algebra::BodyIndices;

namespace {

/// More than a handful of cycles.
bool isExpensive(Operation *op) {
  if (isa<arith::DivFOp, SigmoidOp, SoftplusOp>(op))
    return true;
  return isa_and_nonnull<math::MathDialect>(op->getDialect()) &&
         !isa<math::AbsFOp, math::FloorOp, math::CeilOp, math::FmaOp,
              math::CopySignOp>(op);
}

/// What the values in one body depend on.
class Body {
public:
  explicit Body(EquationOp equation) : equation(equation), indices(equation) {
    for (Operation &op : equation.getBlock().without_terminator()) {
      bool costs = isExpensive(&op), gathers = isa<GatherOp, GradOp>(op);
      for (Value operand : op.getOperands()) {
        costs |= expensive.contains(operand);
        gathers |= gathering.contains(operand);
      }
      for (Value result : op.getResults()) {
        if (costs)
          expensive.insert(result);
        if (gathers)
          gathering.insert(result);
      }
    }
  }

  /// Values to hoist: expensive, of fewer indices than the body has, and used
  /// by something of more indices.
  SmallVector<Value> candidates(unsigned numBatch) {
    Block &block = equation.getBlock();
    llvm::SmallBitVector all(block.getNumArguments(), true);
    all.reset(0, numBatch);
    SmallVector<Value> result;
    for (Operation &op : block.without_terminator()) {
      if (op.getNumResults() != 1 || !expensive.contains(op.getResult(0)) ||
          gathering.contains(op.getResult(0)))
        continue;
      Value value = op.getResult(0);
      llvm::SmallBitVector own = indices.get(value);
      own.reset(0, numBatch);
      if (own == all)
        continue;
      bool isBorder = llvm::any_of(value.getUsers(), [&](Operation *user) {
        if (user == block.getTerminator() ||
            gathering.contains(user->getResult(0)))
          return true;
        llvm::SmallBitVector outer = indices.get(user->getResult(0));
        outer.reset(0, numBatch);
        return outer != own;
      });
      if (isBorder)
        result.push_back(value);
    }
    return result;
  }

  const llvm::SmallBitVector &getUses(Value value) const {
    return indices.get(value);
  }

private:
  EquationOp equation;
  BodyIndices indices;
  llvm::DenseSet<Value> expensive, gathering;
};

/// The ops of the body that `value` is computed by, in order.
SmallVector<Operation *> backwardSlice(Value value, Block &block) {
  llvm::SetVector<Operation *> slice;
  SmallVector<Value> stack{value};
  while (!stack.empty()) {
    Operation *op = stack.pop_back_val().getDefiningOp();
    if (!op || op->getBlock() != &block || !slice.insert(op))
      continue;
    llvm::append_range(stack, op->getOperands());
  }
  SmallVector<Operation *> ordered(slice.begin(), slice.end());
  llvm::sort(ordered, [](Operation *a, Operation *b) {
    return a->isBeforeInBlock(b);
  });
  return ordered;
}

/// Is it a sum, product or quotient without anything taken away?
bool isSize(Value value) {
  Operation *op = value.getDefiningOp();
  if (std::optional<int64_t> number = getConstantIntValue(value))
    return *number >= 0;
  if (isa_and_nonnull<SizeOp>(op))
    return true;
  return isa_and_nonnull<arith::AddIOp, arith::MulIOp, arith::FloorDivSIOp,
                         arith::CeilDivSIOp>(op) &&
         llvm::all_of(op->getOperands(), isSize);
}

/// A size that holds a range from 0 to `upper`, which may lie below 0: D for
/// D - 1. Null: none is known.
Value sizeFor(Value upper) {
  while (auto less = upper.getDefiningOp<arith::SubIOp>()) {
    if (getConstantIntValue(less.getRhs()).value_or(-1) < 0)
      return Value();
    upper = less.getLhs();
  }
  return isSize(upper) ? upper : Value();
}

struct HoistInvariants
    : rondo::algebra::impl::HoistInvariantsBase<HoistInvariants> {
  void hoist(EquationOp equation, Value value,
             const llvm::SmallBitVector &used, unsigned numBatch) {
    Block &block = equation.getBlock();
    unsigned numParallel = equation.getSizes().size();
    SmallVector<Value> sizes, indices;
    for (BlockArgument index : block.getArguments()) {
      unsigned i = index.getArgNumber();
      if (i >= numBatch && !used[i])
        continue;
      indices.push_back(index);
      sizes.push_back(i < numParallel
                          ? equation.getSizes()[i]
                          : sizeFor(equation.getUppers()[i - numParallel]));
      if (!sizes.back())
        return;
    }
    OpBuilder builder(equation);
    Type element = value.getType();
    if (element.isIndex())
      element = builder.getI64Type();
    auto part = EquationOp::create(builder, value.getLoc(),
                                   (equation.getName() + ".part").str(),
                                   element, sizes);
    IRMapping mapping;
    mapping.map(indices, ValueRange(part.getBlock().getArguments()));
    builder.setInsertionPointToEnd(&part.getBlock());
    for (Operation *op : backwardSlice(value, block))
      builder.clone(*op, mapping);
    YieldOp::create(builder, value.getLoc(), mapping.lookup(value));
    builder.setInsertionPointAfterValue(value);
    Value read = ReadOp::create(builder, value.getLoc(), value.getType(),
                                part.getResult(), indices);
    value.replaceAllUsesWith(read);
    ++numHoisted;
  }

  void runOnOperation() override {
    getOperation().walk([&](KernelOp kernel) {
      unsigned kernelBatch = kernel.getBatch().size();
      SmallVector<EquationOp> equations;
      kernel.walk([&](EquationOp equation) { equations.push_back(equation); });
      for (EquationOp equation : equations) {
        // A lower bound other than 0 has no counterpart among sizes.
        if (!llvm::all_of(equation.getLowers(), [](Value lower) {
              return isConstantIntValue(lower, 0);
            }))
          continue;
        unsigned numBatch = kernelBatch;
        if (auto recurrence = equation->getParentOfType<RecurrenceOp>())
          numBatch = recurrence.getBatch();
        Body body(equation);
        for (Value value : body.candidates(numBatch))
          hoist(equation, value, body.getUses(value), numBatch);
      }
    });
  }
};

} // namespace
