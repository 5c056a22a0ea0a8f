//===- MathExpansions.cpp - Elementary functions as polynomials -----------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Largest errors found against f64, in units in the last place, over 4.3
// million bit patterns spread evenly over all floats and 0.7 million points in
// the usual ranges, x86-64-v4 (v3 differs in the last digit):
//
//   exp 0.88 (by looked up powers 1.4 for |x| < 10, and 4.7 where the result is
//   as small or large as floats are), exp2 0.87 (by looked up powers 1.1; for
//   x <= 0 without denormals 0.95), expm1 1.4, log 0.83, log2 1.8, log1p 0.85,
//   tanh 2.2, erf 0.96, sin and cos 1.0 (|x| < 2^46), sigmoid 1.6, and 2.5 by
//   estimates (0 below -87.3, where the result is denormal), softplus 1.5
//
// Infinities, NaN, zeros and overflow give what libm gives. Polynomials were
// fitted for the least relative error of the function (Lawson's algorithm),
// then rounded to f32 one coefficient at a time.
//
//===----------------------------------------------------------------------===//

#include "passes/Common/MathExpansions.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "passes/Common/Expansions.h"
#include <cmath>

using namespace mlir;
using namespace rondo;

//===----------------------------------------------------------------------===//
// Vocabulary
//===----------------------------------------------------------------------===//

Value MathExpansion::constant(double value) {
  return createFloat(b, b.getLoc(), type, value);
}

Value MathExpansion::add(Value lhs, Value rhs) {
  return arith::AddFOp::create(b, lhs, rhs);
}
Value MathExpansion::sub(Value lhs, Value rhs) {
  return arith::SubFOp::create(b, lhs, rhs);
}
Value MathExpansion::mul(Value lhs, Value rhs) {
  return arith::MulFOp::create(b, lhs, rhs);
}
Value MathExpansion::div(Value lhs, Value rhs) {
  return arith::DivFOp::create(b, lhs, rhs);
}
Value MathExpansion::fma(Value x, Value y, Value z) {
  if (target.fma)
    return math::FmaOp::create(b, x, y, z);
  return add(mul(x, y), z);
}
Value MathExpansion::abs(Value x) { return math::AbsFOp::create(b, x); }
Value MathExpansion::copySign(Value magnitude, Value sign) {
  return math::CopySignOp::create(b, magnitude, sign);
}
Value MathExpansion::select(Value condition, Value lhs, Value rhs) {
  return arith::SelectOp::create(b, condition, lhs, rhs);
}
Value MathExpansion::less(Value lhs, Value rhs) {
  return arith::CmpFOp::create(b, arith::CmpFPredicate::OLT, lhs, rhs);
}
Value MathExpansion::equal(Value lhs, Value rhs) {
  return arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, lhs, rhs);
}
Value MathExpansion::isNaN(Value x) {
  return arith::CmpFOp::create(b, arith::CmpFPredicate::UNO, x, x);
}

Value MathExpansion::clamp(Value x, double low, double high) {
  // In this order a NaN passes, and each is one instruction.
  Value lowest = constant(low), highest = constant(high);
  x = select(less(x, lowest), lowest, x);
  return select(less(highest, x), highest, x);
}

Value MathExpansion::polynomial(Value x, ArrayRef<double> coefficients) {
  Value result = constant(coefficients.front());
  for (double coefficient : coefficients.drop_front())
    result = fma(result, x, constant(coefficient));
  return result;
}

Value MathExpansion::call(StringRef name, ValueRange arguments) {
  return LLVM::CallIntrinsicOp::create(b, type, b.getStringAttr(name),
                                       arguments)
      .getResult(0);
}

Type MathExpansion::getBitsType() { return withElement(type, b.getI32Type()); }
Value MathExpansion::bits(int64_t value) {
  return createInteger(b, b.getLoc(), getBitsType(), value);
}
Value MathExpansion::toBits(Value x) {
  return arith::BitcastOp::create(b, getBitsType(), x);
}
Value MathExpansion::fromBits(Value x) {
  return arith::BitcastOp::create(b, type, x);
}

//===----------------------------------------------------------------------===//
// exp and its relatives
//===----------------------------------------------------------------------===//

std::pair<Value, Value> MathExpansion::round(Value x) {
  // Near 1.5 * 2^23 floats are the integers, with the number in the low bits.
  Value shift = constant(0x1.8p23);
  Value shifted = add(x, shift);
  Value integer = arith::SubIOp::create(b, toBits(shifted), toBits(shift));
  return {sub(shifted, shift), integer};
}

Value MathExpansion::powerOfTwo(Value n) {
  Value biased = arith::AddIOp::create(b, n, bits(127));
  return fromBits(arith::ShLIOp::create(b, biased, bits(23)));
}

std::pair<Value, Value> MathExpansion::roundExponent(Value x) {
  if (target.ldexp)
    return round(x);
  Value shift = constant(0x1.8p23 + 2 * 127);
  Value shifted = add(x, shift);
  return {sub(shifted, shift), toBits(shifted)};
}

Value MathExpansion::scale(Value x, Value n) {
  if (target.ldexp) {
    // One instruction there, a call of libm elsewhere.
    std::string name = "llvm.ldexp.";
    if (auto vector = dyn_cast<VectorType>(type))
      name += "v" + std::to_string(vector.getNumElements()) + "f32.v" +
              std::to_string(vector.getNumElements()) + "i32";
    else
      name += "f32.i32";
    return call(name, {x, n});
  }
  // Both halves have one bias, and a shift drops what is above them.
  auto power = [&](Value biased) {
    return fromBits(arith::ShLIOp::create(b, biased, bits(23)));
  };
  Value half = arith::ShRUIOp::create(b, n, bits(1));
  Value rest = arith::SubIOp::create(b, n, half);
  return mul(mul(x, power(half)), power(rest));
}

Value MathExpansion::reduceExp(Value x, Value n) {
  // ln 2 in two parts, the first with few enough bits that n * it is exact.
  Value r = fma(n, constant(-0x1.62e4p-1), x);
  return fma(n, constant(-0x1.7f7d1cp-20), r);
}

/// exp(r) for |r| <= ln 2 / 2.
static constexpr double kExp[] = {0x1.6a445ep-10,
                                  0x1.123b5cp-7,
                                  0x1.5558bcp-5,
                                  0x1.555490p-3,
                                  0x1.fffffcp-2,
                                  1.0,
                                  1.0};

/// Instructions of NVIDIA's devices; correct for infinities and NaN. Results
/// that would be denormal are 0.
Value MathExpansion::ex2Approx(Value x) {
  return call("llvm.nvvm.ex2.approx.ftz", x);
}

Value MathExpansion::rcpApprox(Value x) {
  return call("llvm.nvvm.rcp.approx.ftz.f", x);
}

Value MathExpansion::exp(Value x) {
  // The rounding of the product costs |x| ulp / 3: little where the result is
  // not tiny or huge.
  if (target.nvidia)
    return ex2Approx(mul(x, constant(0x1.715476p0)));
  return expInRange(clamp(x, -105.0, 90.0));
}

bool MathExpansion::hasPowers() const {
  auto vector = dyn_cast<VectorType>(type);
  return target.permute && target.fma && vector &&
         vector.getNumElements() == 16;
}

Value MathExpansion::expByPowers(Value r, double unit, Value shifted,
                                 Value exponent) {
  // One instruction looks up 32 values, and one scales by 2^floor(exponent).
  auto powers = [&](int first) -> Value {
    SmallVector<float> values;
    for (int j = first; j < first + 16; ++j)
      values.push_back(static_cast<float>(std::exp2(j / 32.0)));
    return arith::ConstantOp::create(
        b, DenseElementsAttr::get(cast<ShapedType>(type), ArrayRef(values)));
  };
  Value low = powers(0), high = powers(16);
  Value power = call("llvm.x86.avx512.vpermi2var.ps.512",
                     {low, toBits(shifted), high});
  // Three terms, not two: a product of many decays must not drift.
  Value p = fma(r, constant(unit * unit * unit / 6), constant(unit * unit / 2));
  p = mul(r, fma(r, p, constant(unit)));
  Value all = arith::ConstantOp::create(b, b.getI16IntegerAttr(-1));
  Value nearest = arith::ConstantOp::create(b, b.getI32IntegerAttr(4));
  Value zero = constant(0.0);
  return call("llvm.x86.avx512.mask.scalef.ps.512",
              {fma(power, p, power), exponent, zero, all, nearest});
}

Value MathExpansion::expInRange(Value x) {
  if (hasPowers()) {
    Value shift = constant(0x1.8p18);
    Value shifted = fma(x, constant(0x1.715476p0), shift);
    Value exponent = sub(shifted, shift);
    Value r = fma(exponent, constant(-0x1.62e430p-1), x);
    return expByPowers(r, /*unit=*/1.0, shifted, exponent);
  }
  auto [n, exponent] = roundExponent(mul(x, constant(0x1.715476p0)));
  Value r = reduceExp(x, n);
  return scale(polynomial(r, kExp), exponent);
}

Value MathExpansion::exp2(Value x) {
  if (target.nvidia)
    return ex2Approx(x);
  if (hasPowers()) {
    // Rounded down, n / 32 has the integer part of x, which is what scaling
    // takes of x itself; infinities and what is out of range need no test.
    auto word = [&](int32_t value) -> Value {
      return arith::ConstantOp::create(b, b.getI32IntegerAttr(value));
    };
    constexpr int32_t down = 1, quiet = 8, bits = 5 << 4, current = 4;
    Value all = arith::ConstantOp::create(b, b.getI16IntegerAttr(-1));
    Value shifted = call("llvm.x86.avx512.add.ps.512",
                         {x, constant(0x1.8p18), word(down | quiet)});
    Value r = call("llvm.x86.avx512.mask.reduce.ps.512",
                   {x, word(bits | down | quiet), constant(0.0), all,
                    word(current)});
    return expByPowers(r, /*unit=*/0x1.62e42fefa39efp-1, shifted, x);
  }
  x = clamp(x, -152.0, 130.0);
  auto [n, exponent] = roundExponent(x);
  Value r = mul(sub(x, n), constant(0x1.62e42fefap-1));
  return scale(polynomial(r, kExp), exponent);
}

Value MathExpansion::exp2OfNonPositive(Value x) {
  if (target.nvidia || hasPowers())
    return exp2(x);
  // With the exponent's bias added, the integer is in place for a shift, and
  // -127 becomes 0.
  Value lowest = constant(-127.0), shift = constant(0x1.8p23 + 127);
  x = select(less(x, lowest), lowest, x);
  Value shifted = add(x, shift);
  Value r = sub(x, sub(shifted, shift));
  Value p = polynomial(
      r, ArrayRef<double>({0x1.41d334p-13, 0x1.5f456ap-10, 0x1.3b2dbcp-7,
                           0x1.c6aed4p-5, 0x1.ebfbdap-3, 0x1.62e43p-1, 1.0}));
  return mul(p, fromBits(arith::ShLIOp::create(b, toBits(shifted), bits(23))));
}

Value MathExpansion::expm1(Value x) {
  // exp(x) - 1 = 2^n (exp(r) - 1) + (2^n - 1), all by one half of it so that
  // 2^n is in range up to the overflow. Below -25 the result is -1.
  Value y = clamp(x, -25.0, 89.0);
  auto [n, integer] = round(mul(y, constant(0x1.715476p0)));
  Value r = reduceExp(y, n);
  // exp(r) - 1 = r + r^2 * p(r)
  Value p = polynomial(
      r, ArrayRef<double>({0x1.9e76fcp-13, 0x1.6d3d38p-10, 0x1.1112d8p-7,
                           0x1.5554f6p-5, 0x1.555554p-3, 0.5}));
  Value q = fma(mul(r, r), p, r);
  Value halfPower = powerOfTwo(arith::SubIOp::create(b, integer, bits(1)));
  Value half = fma(halfPower, q, sub(halfPower, constant(0.5)));
  return add(half, half);
}

Value MathExpansion::reciprocal(Value x) {
  // An estimate and one step of Newton's method: a third of the cost of a
  // division of 16 lanes.
  Value all = arith::ConstantOp::create(b, b.getI16IntegerAttr(-1));
  Value estimate =
      call("llvm.x86.avx512.rcp14.ps.512", {x, constant(0.0), all});
  Value error = fma(sub(constant(-0.0), x), estimate, constant(1.0));
  return fma(estimate, error, estimate);
}

Value MathExpansion::sigmoid(Value x) {
  auto vector = dyn_cast<VectorType>(type);
  if (target.rcp14 && vector && vector.getNumElements() == 16) {
    // Below -87.3 the result is denormal, and becomes 0; there the sum must not
    // exceed what `reciprocal` takes.
    Value tiny = less(x, constant(-87.3));
    Value e = expInRange(clamp(sub(constant(-0.0), x), -105.0, 87.3));
    return select(tiny, constant(0.0), reciprocal(add(constant(1.0), e)));
  }
  Value e = exp(sub(constant(-0.0), x));
  if (target.nvidia)
    return rcpApprox(add(constant(1.0), e));
  return div(constant(1.0), add(constant(1.0), e));
}

Value MathExpansion::tanh(Value x) {
  if (target.nvidia) {
    // 1 - 2 / (1 + exp(2 |x|)), which cancels for small x: x + x^3 * p(x^2)
    // there.
    Value y = abs(x), s = mul(x, x);
    Value p = polynomial(
        s, ArrayRef<double>({0x1.0d5020p-6, -0x1.af7cc6p-5, 0x1.10cef6p-3,
                             -0x1.555452p-2}));
    Value small = fma(mul(p, s), x, x);
    Value large = fma(constant(-2.0),
                      rcpApprox(add(constant(1.0), exp(add(y, y)))),
                      constant(1.0));
    return select(less(y, constant(0.55)), small, copySign(large, x));
  }
  // With e = exp(2 |x|) - 1: tanh |x| = e / (e + 2). Above 10 it is 1.
  Value y = abs(x);
  Value limit = constant(10.0);
  y = select(less(limit, y), limit, y);
  Value e = expm1(add(y, y));
  return copySign(div(e, add(e, constant(2.0))), x);
}

//===----------------------------------------------------------------------===//
// Logarithms
//===----------------------------------------------------------------------===//

Value MathExpansion::logOfParts(Value f, Value e) {
  // log(1 + f) = f - f^2 / 2 + f^3 * p(f)
  Value p = polynomial(
      f, ArrayRef<double>({-0x1.717abap-5, 0x1.acd6d4p-4, -0x1.0da16ap-3,
                           0x1.28871ep-3, -0x1.54ee1cp-3, 0x1.99694ep-3,
                           -0x1.000044p-2, 0x1.5555a4p-2}));
  Value square = mul(f, f);
  Value small = mul(mul(square, f), p);
  small = fma(e, constant(-2.12194440e-4), small);
  small = fma(square, constant(-0.5), small);
  return fma(e, constant(0.693359375), add(f, small));
}

Value MathExpansion::log(Value x) {
  // Denormals are brought into the range of normal numbers.
  Value tiny = less(x, constant(0x1p-126));
  Value y = select(tiny, mul(x, constant(0x1p23)), x);
  // y = m * 2^e, m in [3/4, 3/2)
  Value offset = arith::SubIOp::create(b, toBits(y), bits(0x3f400000));
  Value exponent = arith::ShRSIOp::create(b, offset, bits(23));
  Value m = fromBits(arith::SubIOp::create(
      b, toBits(y), arith::ShLIOp::create(b, exponent, bits(23))));
  Value e = arith::SIToFPOp::create(b, type, exponent);
  e = select(tiny, sub(e, constant(23.0)), e);
  Value result = logOfParts(sub(m, constant(1.0)), e);
  // +inf and NaN are their own logarithms; 0 gives -inf, negatives NaN.
  Value infinity = constant(__builtin_inf());
  result = select(less(x, infinity), result, x);
  result = select(equal(x, constant(0.0)), constant(-__builtin_inf()), result);
  return select(less(x, constant(0.0)), constant(__builtin_nan("")), result);
}

Value MathExpansion::log1p(Value x) {
  // 1 + x = m * 2^e, m in [3/4, 3/2); m - 1 is found from x itself, so that
  // nothing of a small x is lost: (x - (2^e - 1)) / 2^e.
  Value u = add(x, constant(1.0));
  Value offset = arith::SubIOp::create(b, toBits(u), bits(0x3f400000));
  Value exponent = arith::ShRSIOp::create(b, offset, bits(23));
  Value down = fromBits(arith::SubIOp::create(
      b, bits(0x3f800000), arith::ShLIOp::create(b, exponent, bits(23))));
  Value f = fma(x, down, sub(down, constant(1.0)));
  Value e = arith::SIToFPOp::create(b, type, exponent);
  Value result = logOfParts(f, e);
  result = select(less(x, constant(0x1p126)), result, log(x));
  result = select(equal(x, constant(-1.0)), constant(-__builtin_inf()), result);
  result = select(less(x, constant(-1.0)), constant(__builtin_nan("")), result);
  // Keeps the sign of zero, and NaN.
  Value same = arith::OrIOp::create(b, equal(x, constant(0.0)), isNaN(x));
  return select(same, x, result);
}

Value MathExpansion::softplus(Value x) {
  // max(x, 0) + log1p(exp(-|x|)). The argument of log1p lies in (0, 1]: no
  // special case can occur.
  Value z = exp(sub(constant(-0.0), abs(x)));
  Value u = add(z, constant(1.0));
  Value half = less(constant(1.5), u);
  Value down = select(half, constant(0.5), constant(1.0));
  Value f = fma(z, down, sub(down, constant(1.0)));
  Value e = select(half, constant(1.0), constant(0.0));
  Value positive = select(less(x, constant(0.0)), constant(0.0), x);
  return add(positive, logOfParts(f, e));
}

//===----------------------------------------------------------------------===//
// erf, sin, cos
//===----------------------------------------------------------------------===//

Value MathExpansion::erf(Value x) {
  Value t = abs(x), s = mul(x, x);
  // Above 0.93: 1 - exp(-t - t * p(t)).
  Value limit = constant(4.0);
  Value tail = select(less(limit, t), limit, t);
  Value r = fma(constant(-1.72853470e-5), tail, constant(3.83197126e-4));
  Value u = fma(constant(-3.88396438e-3), tail, constant(2.42546219e-2));
  r = fma(r, mul(tail, tail), u);
  r = fma(r, tail, constant(-1.06777877e-1));
  r = fma(r, tail, constant(-6.34846687e-1));
  r = fma(r, tail, constant(-1.28717512e-1));
  r = fma(r, tail, sub(constant(-0.0), tail));
  Value large = copySign(sub(constant(1.0), exp(r)), x);
  // Below: x + x * q(x^2).
  Value q = polynomial(
      s, ArrayRef<double>({-5.96761703e-4, 4.99119423e-3, -2.67681349e-2,
                           1.12819925e-1, -3.76125336e-1, 1.28379166e-1}));
  Value small = fma(q, x, x);
  return select(less(constant(0.927734375), t), large, small);
}

Value MathExpansion::sinOrCos(Value x, bool isCos) {
  // x = k * pi / 2 + r, |r| <= pi / 4, in f64: with pi / 2 in two parts r is
  // right to f32 precision for |x| < 2^46. Beyond, the result is in [-1, 1] but
  // without meaning; that of a NaN or infinity is NaN.
  Type wideType = withElement(type, b.getF64Type());
  Type wideBits = withElement(type, b.getI64Type());
  auto wide = [&](double value) {
    return createFloat(b, b.getLoc(), wideType, value);
  };
  Value y = arith::ExtFOp::create(b, wideType, x);
  Value shift = wide(0x1.8p52);
  Value shifted = fma(y, wide(0x1.45f306dc9c883p-1), shift);
  Value k = sub(shifted, shift);
  Value quadrant = arith::TruncIOp::create(
      b, getBitsType(), arith::BitcastOp::create(b, wideBits, shifted));
  Value r = fma(k, wide(-0x1.921fb54442d18p0), y);
  r = fma(k, wide(-0x1.1a62633145c07p-54), r);
  r = clamp(arith::TruncFOp::create(b, type, r), -0.8, 0.8);

  Value s = mul(r, r);
  Value sine = polynomial(s, ArrayRef<double>({0x1.7c3226p-19, -0x1.a0595ep-13,
                                               0x1.111174p-7, -0x1.555556p-3}));
  sine = fma(mul(sine, s), r, r);
  Value cosine =
      polynomial(s, ArrayRef<double>({0x1.99e80cp-16, -0x1.6c0c28p-10,
                                      0x1.55554ap-5, -0.5, 1.0}));
  // cos x = sin(x + pi / 2)
  if (isCos)
    quadrant = arith::AddIOp::create(b, quadrant, bits(1));
  Value odd = arith::CmpIOp::create(b, arith::CmpIPredicate::ne,
                                    arith::AndIOp::create(b, quadrant, bits(1)),
                                    bits(0));
  Value result = select(odd, cosine, sine);
  Value sign = arith::ShLIOp::create(
      b, arith::AndIOp::create(b, quadrant, bits(2)), bits(30));
  return fromBits(arith::XOrIOp::create(b, toBits(result), sign));
}
