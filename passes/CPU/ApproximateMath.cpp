//===- ApproximateMath.cpp - Expand functions of f32 to polynomials -------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/Rondo/IR/RondoOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "passes/Common/Expansions.h"
#include "passes/Common/MathExpansions.h"
#include "passes/CPU/Passes.h"
#include "passes/CPU/Target.h"

namespace rondo::cpu {
#define GEN_PASS_DEF_APPROXIMATEMATH
#include "passes/CPU/Passes.h.inc"
} // namespace rondo::cpu

using namespace mlir;
using namespace rondo;
using namespace rondo::cpu;

/// Functions that are arithmetic on others in every precision. Null: not one.
static Value expandAnyFloat(ImplicitLocOpBuilder &b, Operation *op) {
  Value x = op->getOperand(0);
  Type type = x.getType();
  Value one = createFloat(b, b.getLoc(), type, 1.0);
  if (isa<math::RsqrtOp>(op)) {
    Value root = math::SqrtOp::create(b, x);
    return arith::DivFOp::create(b, one, root);
  }
  if (isa<SigmoidOp>(op)) {
    Value e = math::ExpOp::create(b, arith::NegFOp::create(b, x));
    return arith::DivFOp::create(b, one, arith::AddFOp::create(b, one, e));
  }
  if (isa<SoftplusOp>(op)) {
    Value size = math::AbsFOp::create(b, x);
    Value e = math::ExpOp::create(b, arith::NegFOp::create(b, size));
    Value log = math::Log1pOp::create(b, e);
    Value positive =
        arith::MaximumFOp::create(b, x, createFloat(b, b.getLoc(), type, 0.0));
    return arith::AddFOp::create(b, positive, log);
  }
  return {};
}

static Value expandF32(ImplicitLocOpBuilder &b, Operation *op,
                       const MathTarget &target) {
  Value x = op->getOperand(0);
  MathExpansion expansion(b, x.getType(), target);
  auto scaled = [&](Value value, double factor) -> Value {
    return arith::MulFOp::create(
        b, value, createFloat(b, b.getLoc(), x.getType(), factor));
  };
  if (isa<math::ExpOp>(op))
    return expansion.exp(x);
  if (isa<math::Exp2Op>(op))
    return op->hasAttr("rondo.nonpositive") ? expansion.exp2OfNonPositive(x)
                                            : expansion.exp2(x);
  if (isa<math::ExpM1Op>(op))
    return expansion.expm1(x);
  if (isa<math::LogOp>(op))
    return expansion.log(x);
  if (isa<math::Log2Op>(op))
    return scaled(expansion.log(x), 1.4426950408889634);
  if (isa<math::Log1pOp>(op))
    return expansion.log1p(x);
  if (isa<math::TanhOp>(op))
    return expansion.tanh(x);
  if (isa<math::ErfOp>(op))
    return expansion.erf(x);
  if (isa<SigmoidOp>(op))
    return expansion.sigmoid(x);
  if (isa<SoftplusOp>(op))
    return expansion.softplus(x);
  // Without fused multiply-add the reduction of the argument is not exact.
  if (isa<math::SinOp, math::CosOp>(op) && target.fma)
    return expansion.sinOrCos(x, isa<math::CosOp>(op));
  return {};
}

namespace {
class ApproximateMath
    : public rondo::cpu::impl::ApproximateMathBase<ApproximateMath> {
public:
  void runOnOperation() override {
    Target cpu = getTarget(getOperation());
    MathTarget target;
    target.fma = cpu.hasFMA();
    target.ldexp = cpu.hasAVX512();
    target.rcp14 = cpu.hasAVX512();
    target.permute = cpu.hasAVX512();
    SmallVector<Operation *> ops;
    getOperation().walk([&](Operation *op) {
      StringRef dialect = op->getName().getDialectNamespace();
      if ((dialect == "math" || isa<SigmoidOp, SoftplusOp>(op)) &&
          op->getNumResults() == 1 &&
          isa<FloatType>(getElementTypeOrSelf(op->getOperand(0))))
        ops.push_back(op);
    });
    for (Operation *op : ops) {
      ImplicitLocOpBuilder b(op->getLoc(), op);
      Value result;
      if (getElementTypeOrSelf(op->getOperand(0)).isF32())
        result = expandF32(b, op, target);
      if (!result)
        result = expandAnyFloat(b, op);
      if (!result)
        continue;
      op->replaceAllUsesWith(ValueRange{result});
      op->erase();
    }
  }
};
} // namespace
