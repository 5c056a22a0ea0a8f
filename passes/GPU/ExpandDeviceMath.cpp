//===- ExpandDeviceMath.cpp - Functions without a device library ----------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// f32 goes through MathExpansion. The functions of f64 are here: exp and log by
// reduction and a Taylor series to the last place, the others from them, with
// relative errors of a few 1e-16 (erf, powers: 1e-14). f32 powers are f64
// powers, rounded.
//
//===----------------------------------------------------------------------===//

#include "dialects/Rondo/IR/RondoOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Transforms/WalkPatternRewriteDriver.h"
#include "passes/Common/Expansions.h"
#include "passes/Common/MathExpansions.h"
#include "passes/GPU/Passes.h"
#include "llvm/ADT/TypeSwitch.h"

namespace rondo::gpu {
#define GEN_PASS_DEF_EXPANDDEVICEMATH
#include "passes/GPU/Passes.h.inc"
} // namespace rondo::gpu

using namespace mlir;
using namespace rondo;

namespace {

/// Arithmetic on f64 scalars.
class DoubleMath {
public:
  DoubleMath(ImplicitLocOpBuilder &builder) : b(builder) {}

  Value exp(Value x);
  Value expm1(Value x);
  Value log(Value x);
  Value log1p(Value x);
  Value tanh(Value x);
  Value erf(Value x);
  Value sinOrCos(Value x, bool isCos);
  Value pow(Value x, Value y);
  Value constant(double value) {
    return createFloat(b, b.getLoc(), b.getF64Type(), value);
  }
  Value mul(Value x, Value y) { return arith::MulFOp::create(b, x, y); }

private:
  Value add(Value x, Value y) { return arith::AddFOp::create(b, x, y); }
  Value sub(Value x, Value y) { return arith::SubFOp::create(b, x, y); }
  Value div(Value x, Value y) { return arith::DivFOp::create(b, x, y); }
  Value fma(Value x, Value y, Value z) {
    return math::FmaOp::create(b, x, y, z);
  }
  Value abs(Value x) { return math::AbsFOp::create(b, x); }
  Value select(Value c, Value x, Value y) {
    return arith::SelectOp::create(b, c, x, y);
  }
  Value compare(arith::CmpFPredicate predicate, Value x, Value y) {
    return arith::CmpFOp::create(b, predicate, x, y);
  }
  Value less(Value x, Value y) {
    return compare(arith::CmpFPredicate::OLT, x, y);
  }
  Value equal(Value x, Value y) {
    return compare(arith::CmpFPredicate::OEQ, x, y);
  }
  Value integer(int64_t value) {
    return arith::ConstantOp::create(b, b.getI64IntegerAttr(value));
  }
  Value toBits(Value x) {
    return arith::BitcastOp::create(b, b.getI64Type(), x);
  }
  Value fromBits(Value x) {
    return arith::BitcastOp::create(b, b.getF64Type(), x);
  }
  Value clamp(Value x, double low, double high) {
    x = select(less(x, constant(low)), constant(low), x);
    return select(less(constant(high), x), constant(high), x);
  }
  Value powerOfTwo(Value n) {
    return fromBits(arith::ShLIOp::create(
        b, arith::AddIOp::create(b, n, integer(1023)), integer(52)));
  }
  /// sum of x^k / (k + skip)! for k from 0 to `degree`.
  Value taylor(Value x, int degree, int skip) {
    double factorial = 1;
    for (int i = 2; i <= degree + skip; ++i)
      factorial *= i;
    Value result = constant(1 / factorial);
    for (int k = degree; k > 0; --k) {
      factorial /= k + skip;
      result = fma(result, x, constant(1 / factorial));
    }
    return result;
  }

  ImplicitLocOpBuilder &b;
};

Value DoubleMath::exp(Value x) {
  x = clamp(x, -746.0, 710.0);
  Value shift = constant(0x1.8p52);
  Value shifted = add(mul(x, constant(0x1.71547652b82fep0)), shift);
  Value n = sub(shifted, shift);
  Value integerPart =
      arith::SubIOp::create(b, toBits(shifted), toBits(shift));
  Value r = fma(n, constant(-0x1.62e42fefa0000p-1), x);
  r = fma(n, constant(-0x1.cf79abc9e3b39p-40), r);
  Value half = arith::ShRSIOp::create(b, integerPart, integer(1));
  Value rest = arith::SubIOp::create(b, integerPart, half);
  return mul(mul(taylor(r, 13, 0), powerOfTwo(half)), powerOfTwo(rest));
}

Value DoubleMath::expm1(Value x) {
  Value small = clamp(x, -0.5, 0.5);
  small = mul(small, taylor(small, 15, 1));
  Value large = sub(exp(x), constant(1.0));
  return select(less(abs(x), constant(0.5)), small, large);
}

Value DoubleMath::log(Value x) {
  Value tiny = less(x, constant(0x1p-1022));
  Value y = select(tiny, mul(x, constant(0x1p54)), x);
  // y = m * 2^e, m in [sqrt(1/2), sqrt(2))
  Value offset =
      arith::SubIOp::create(b, toBits(y), integer(0x3fe6a09e667f3bcd));
  Value exponent = arith::ShRSIOp::create(b, offset, integer(52));
  Value m = fromBits(arith::SubIOp::create(
      b, toBits(y), arith::ShLIOp::create(b, exponent, integer(52))));
  Value e = arith::SIToFPOp::create(b, b.getF64Type(), exponent);
  e = select(tiny, sub(e, constant(54.0)), e);
  // log m = 2 artanh f, f = (m - 1) / (m + 1)
  Value f = div(sub(m, constant(1.0)), add(m, constant(1.0)));
  Value s = mul(f, f);
  Value p = constant(1.0 / 23);
  for (int k = 21; k >= 3; k -= 2)
    p = fma(p, s, constant(1.0 / k));
  Value twice = add(f, f);
  Value small = fma(mul(twice, s), p, mul(e, constant(0x1.cf79abc9e3b39p-40)));
  Value result = fma(e, constant(0x1.62e42fefa0000p-1), add(twice, small));
  result = select(less(x, constant(__builtin_inf())), result, x);
  result = select(equal(x, constant(0.0)), constant(-__builtin_inf()), result);
  return select(less(x, constant(0.0)), constant(__builtin_nan("")), result);
}

Value DoubleMath::log1p(Value x) {
  Value u = add(x, constant(1.0));
  // What was lost in u, to first order.
  Value lost = div(sub(x, sub(u, constant(1.0))), u);
  Value result = add(log(u), lost);
  Value finite = less(abs(x), constant(__builtin_inf()));
  Value regular = less(constant(0.0), u);
  result = select(arith::AndIOp::create(b, finite, regular), result, log(u));
  return select(equal(u, constant(1.0)), x, result);
}

Value DoubleMath::tanh(Value x) {
  Value y = abs(x);
  y = select(less(constant(22.0), y), constant(22.0), y);
  Value e = expm1(add(y, y));
  return math::CopySignOp::create(b, div(e, add(e, constant(2.0))), x);
}

Value DoubleMath::erf(Value x) {
  // 2 / sqrt(pi) exp(-x^2) sum 2^n x^(2n+1) / (2n+1)!!: no term is negative.
  Value y = abs(x);
  Value limit = constant(6.0);
  y = select(less(limit, y), limit, y);
  Value square = mul(y, y);
  Value twice = add(square, square);
  Value from = arith::ConstantIndexOp::create(b, 1);
  Value to = arith::ConstantIndexOp::create(b, 120);
  auto loop = scf::ForOp::create(b, from, to, from, ValueRange{y, y, constant(1.0)});
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    ValueRange state = loop.getRegionIterArgs();
    Value odd = add(state[2], constant(2.0));
    Value term = div(mul(state[0], twice), odd);
    scf::YieldOp::create(b, ValueRange{term, add(state[1], term), odd});
  }
  Value scale = mul(constant(1.1283791670955126), exp(sub(constant(-0.0), square)));
  Value result = mul(scale, loop.getResult(1));
  return math::CopySignOp::create(b, result, x);
}

Value DoubleMath::sinOrCos(Value x, bool isCos) {
  Value shift = constant(0x1.8p52);
  Value shifted = fma(x, constant(0x1.45f306dc9c883p-1), shift);
  Value k = sub(shifted, shift);
  Value quadrant = toBits(shifted);
  Value r = fma(k, constant(-0x1.921fb54442d18p0), x);
  r = fma(k, constant(-0x1.1a62633145c07p-54), r);
  Value s = mul(r, r);
  auto series = [&](int first) {
    // 1 - s / (first (first - 1)) (1 - s / ..)
    Value sum = constant(1.0);
    for (int n = first + 14; n >= first; n -= 2)
      sum = fma(mul(s, constant(-1.0 / (double(n) * (n - 1)))), sum,
                constant(1.0));
    return sum;
  };
  Value sine = mul(r, series(3)), cosine = series(2);
  if (isCos)
    quadrant = arith::AddIOp::create(b, quadrant, integer(1));
  Value odd = arith::CmpIOp::create(
      b, arith::CmpIPredicate::ne,
      arith::AndIOp::create(b, quadrant, integer(1)), integer(0));
  Value sign = arith::ShLIOp::create(
      b, arith::AndIOp::create(b, quadrant, integer(2)), integer(62));
  return fromBits(
      arith::XOrIOp::create(b, toBits(select(odd, cosine, sine)), sign));
}

Value DoubleMath::pow(Value x, Value y) {
  Value result = exp(mul(y, log(abs(x))));
  Value whole = equal(math::FloorOp::create(b, y), y);
  Value halfY = mul(y, constant(0.5));
  Value even = equal(math::FloorOp::create(b, halfY), halfY);
  Value negated = arith::NegFOp::create(b, result);
  Value ofNegative = select(whole, select(even, result, negated),
                            constant(__builtin_nan("")));
  Value isNegative = less(x, constant(0.0));
  result = select(isNegative, ofNegative, result);
  result = select(equal(x, constant(1.0)), constant(1.0), result);
  return select(equal(y, constant(0.0)), constant(1.0), result);
}

} // namespace

//===----------------------------------------------------------------------===//
// Which op becomes what
//===----------------------------------------------------------------------===//

static Value expandF32(ImplicitLocOpBuilder &b, Operation *op) {
  Value x = op->getOperand(0);
  MathTarget target;
  target.fma = target.nvidia = true;
  MathExpansion expansion(b, x.getType(), target);
  auto scaled = [&](Value value, double factor) -> Value {
    return arith::MulFOp::create(
        b, value, createFloat(b, b.getLoc(), x.getType(), factor));
  };
  return llvm::TypeSwitch<Operation *, Value>(op)
      .Case([&](math::ExpOp) { return expansion.exp(x); })
      .Case([&](math::Exp2Op) { return expansion.exp2(x); })
      .Case([&](math::ExpM1Op) { return expansion.expm1(x); })
      .Case([&](math::LogOp) { return expansion.log(x); })
      .Case([&](math::Log2Op) {
        return scaled(expansion.log(x), 1.4426950408889634);
      })
      .Case([&](math::Log1pOp) { return expansion.log1p(x); })
      .Case([&](math::TanhOp) { return expansion.tanh(x); })
      .Case([&](math::ErfOp) { return expansion.erf(x); })
      .Case([&](SigmoidOp) { return expansion.sigmoid(x); })
      .Case([&](SoftplusOp) { return expansion.softplus(x); })
      .Case([&](math::SinOp) { return expansion.sinOrCos(x, false); })
      .Case([&](math::CosOp) { return expansion.sinOrCos(x, true); })
      .Case([&](math::PowFOp) {
        DoubleMath wide(b);
        Type f64 = b.getF64Type();
        Value base = arith::ExtFOp::create(b, f64, x);
        Value power = arith::ExtFOp::create(b, f64, op->getOperand(1));
        return Value(arith::TruncFOp::create(b, x.getType(),
                                             wide.pow(base, power)));
      })
      .Default([](Operation *) { return Value(); });
}

static Value expandF64(ImplicitLocOpBuilder &b, Operation *op) {
  Value x = op->getOperand(0);
  DoubleMath wide(b);
  return llvm::TypeSwitch<Operation *, Value>(op)
      .Case([&](math::ExpOp) { return wide.exp(x); })
      .Case([&](math::Exp2Op) {
        return wide.exp(wide.mul(x, wide.constant(0.6931471805599453)));
      })
      .Case([&](math::ExpM1Op) { return wide.expm1(x); })
      .Case([&](math::LogOp) { return wide.log(x); })
      .Case([&](math::Log2Op) {
        return wide.mul(wide.log(x), wide.constant(1.4426950408889634));
      })
      .Case([&](math::Log1pOp) { return wide.log1p(x); })
      .Case([&](math::TanhOp) { return wide.tanh(x); })
      .Case([&](math::ErfOp) { return wide.erf(x); })
      .Case([&](math::SinOp) { return wide.sinOrCos(x, false); })
      .Case([&](math::CosOp) { return wide.sinOrCos(x, true); })
      .Case([&](math::PowFOp) { return wide.pow(x, op->getOperand(1)); })
      .Case([&](SigmoidOp) {
        Value one = wide.constant(1.0);
        Value e = wide.exp(arith::NegFOp::create(b, x));
        return Value(
            arith::DivFOp::create(b, one, arith::AddFOp::create(b, one, e)));
      })
      .Case([&](SoftplusOp) {
        Value size = math::AbsFOp::create(b, x);
        Value log = wide.log1p(wide.exp(arith::NegFOp::create(b, size)));
        Value positive = arith::MaximumFOp::create(b, x, wide.constant(0.0));
        return Value(arith::AddFOp::create(b, positive, log));
      })
      .Default([](Operation *) { return Value(); });
}

static Value expand(ImplicitLocOpBuilder &b, Operation *op) {
  Type type = op->getOperand(0).getType();
  if (isa<math::RsqrtOp>(op)) {
    Value root = math::SqrtOp::create(b, op->getOperand(0));
    return arith::DivFOp::create(b, createFloat(b, b.getLoc(), type, 1.0),
                                 root);
  }
  // div.full: within 2 ulp, without the exact division's slow path.
  if (isa<arith::DivFOp>(op))
    return type.isF32()
               ? LLVM::CallIntrinsicOp::create(
                     b, type, b.getStringAttr("llvm.nvvm.div.full"),
                     op->getOperands())
                     .getResult(0)
               : Value();
  if (type.isF32())
    return expandF32(b, op);
  if (type.isF64())
    return expandF64(b, op);
  return {};
}

namespace {
struct ExpandMod : OpRewritePattern<ModOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ModOp op,
                                PatternRewriter &rewriter) const override {
    APInt constant;
    std::optional<int64_t> divisor;
    if (matchPattern(op.getRhs(), m_ConstantInt(&constant)))
      divisor = constant.getSExtValue();
    rewriter.replaceOp(op, expandFloorMod(rewriter, op.getLoc(), op.getLhs(),
                                          op.getRhs(), divisor));
    return success();
  }
};

class ExpandDeviceMath
    : public rondo::gpu::impl::ExpandDeviceMathBase<ExpandDeviceMath> {
public:
  void runOnOperation() override {
    for (auto module : getOperation().getOps<mlir::gpu::GPUModuleOp>()) {
      SmallVector<Operation *> ops;
      module.walk([&](Operation *op) {
        StringRef dialect = op->getName().getDialectNamespace();
        if ((dialect == "math" ||
             isa<SigmoidOp, SoftplusOp, arith::DivFOp>(op)) &&
            op->getNumResults() == 1)
          ops.push_back(op);
      });
      for (Operation *op : ops) {
        ImplicitLocOpBuilder b(op->getLoc(), op);
        Value result = expand(b, op);
        if (!result)
          continue;
        op->replaceAllUsesWith(ValueRange{result});
        op->erase();
      }
      RewritePatternSet patterns(&getContext());
      patterns.add<ExpandMod>(&getContext());
      arith::populateCeilFloorDivExpandOpsPatterns(patterns);
      walkAndApplyPatterns(module, std::move(patterns));
    }
  }
};
} // namespace
