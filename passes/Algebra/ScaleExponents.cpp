//===- ScaleExponents.cpp - Exponentials of products as powers of two -----===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// An exponential multiplies by log2(e) first. Where its argument is a product
// with a factor of fewer indices, that factor is multiplied instead, once for
// all values of the others:
//
//   exp(dt[t, d] * A[d, n])  ->  2^((dt[t, d] * log2(e)) * A[d, n])
//
//===----------------------------------------------------------------------===//

#include "dialects/Rondo/IR/RondoOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "passes/Algebra/Passes.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/SmallBitVector.h"

namespace rondo::algebra {
#define GEN_PASS_DEF_SCALEEXPONENTS
#include "passes/Algebra/Passes.h.inc"
} // namespace rondo::algebra

using namespace mlir;
using namespace rondo;

namespace {

/// What the values in the body of an equation depend on.
class Indices {
public:
  explicit Indices(EquationOp equation) {
    Block &block = equation.getBlock();
    unsigned count = block.getNumArguments();
    none.resize(count);
    for (BlockArgument argument : block.getArguments()) {
      llvm::SmallBitVector &set = sets[argument];
      set.resize(count);
      set.set(argument.getArgNumber());
    }
    for (Operation &op : block.without_terminator()) {
      llvm::SmallBitVector set(count);
      for (Value operand : op.getOperands())
        set |= get(operand);
      for (Value result : op.getResults())
        sets[result] = set;
    }
  }

  const llvm::SmallBitVector &get(Value value) const {
    auto found = sets.find(value);
    return found == sets.end() ? none : found->second;
  }

private:
  llvm::DenseMap<Value, llvm::SmallBitVector> sets;
  llvm::SmallBitVector none;
};

/// The use of the largest part of a product that has fewer indices than all of
/// it; null: there is none, or something else needs the product as it is.
OpOperand *findFactor(OpOperand &use, const Indices &indices,
                      const llvm::SmallBitVector &all) {
  if (indices.get(use.get()) != all)
    return &use;
  Operation *op = use.get().getDefiningOp();
  if (!isa_and_nonnull<arith::MulFOp, arith::NegFOp>(op) || !op->hasOneUse())
    return nullptr;
  for (OpOperand &operand : op->getOpOperands())
    if (OpOperand *factor = findFactor(operand, indices, all))
      return factor;
  return nullptr;
}

struct ScaleExponents
    : rondo::algebra::impl::ScaleExponentsBase<ScaleExponents> {
  void runOnOperation() override {
    getOperation().walk([&](EquationOp equation) {
      std::optional<Indices> indices;
      for (auto exp :
           llvm::make_early_inc_range(equation.getBlock().getOps<math::ExpOp>())) {
        if (!exp.getType().isF32())
          continue;
        if (!indices)
          indices.emplace(equation);
        OpOperand &argument = exp->getOpOperand(0);
        const llvm::SmallBitVector &all = indices->get(argument.get());
        OpOperand *factor = findFactor(argument, *indices, all);
        if (!factor)
          continue;
        OpBuilder builder(factor->getOwner());
        Location loc = exp.getLoc();
        Value log2e = arith::ConstantOp::create(
            builder, loc, builder.getF32FloatAttr(1.4426950408889634f));
        factor->set(arith::MulFOp::create(builder, loc, factor->get(), log2e));
        builder.setInsertionPoint(exp);
        Value power = math::Exp2Op::create(builder, loc, exp.getOperand());
        exp.replaceAllUsesWith(power);
        exp.erase();
        ++numScaled;
      }
    });
  }
};

} // namespace
