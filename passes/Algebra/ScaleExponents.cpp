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

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "passes/Algebra/BodyIndices.h"
#include "passes/Algebra/Passes.h"

namespace rondo::algebra {
#define GEN_PASS_DEF_SCALEEXPONENTS
#include "passes/Algebra/Passes.h.inc"
} // namespace rondo::algebra

using namespace mlir;
using namespace rondo;
using rondo::algebra::BodyIndices;

namespace {

/// The use of the largest part of a product that has fewer indices than all of
/// it; null: there is none, or something else needs the product as it is.
OpOperand *findFactor(OpOperand &use, const BodyIndices &indices,
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
      std::optional<BodyIndices> indices;
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
