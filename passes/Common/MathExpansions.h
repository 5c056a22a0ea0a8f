//===- MathExpansions.h - Elementary functions as polynomials ---*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_COMMON_MATHEXPANSIONS_H
#define RONDO_PASSES_COMMON_MATHEXPANSIONS_H

#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace rondo {

/// What the expansions may use.
struct MathTarget {
  bool fma = false;      // fused multiply-add
  bool ldexp = false;    // x * 2^n as one instruction
  bool rcp14 = false;    // AVX-512's estimates of 1 / x in 16 lanes
  bool permute = false;  // AVX-512's look-ups in 32 lanes and scaling by floats
  bool nvidia = false;   // ex2.approx and rcp.approx: within 2 ulp and 1
};

/// Emits arithmetic on f32 scalars or vectors; all values have the type of the
/// argument of the function being expanded.
class MathExpansion {
public:
  MathExpansion(mlir::ImplicitLocOpBuilder &builder, mlir::Type type,
                const MathTarget &target)
      : b(builder), type(type), target(target) {}

  mlir::Value exp(mlir::Value x);
  mlir::Value exp2(mlir::Value x);
  /// exp2(x) for x <= 0. Results that would be denormal are 0.
  mlir::Value exp2OfNonPositive(mlir::Value x);
  mlir::Value expm1(mlir::Value x);
  mlir::Value log(mlir::Value x);
  mlir::Value log1p(mlir::Value x);
  mlir::Value tanh(mlir::Value x);
  mlir::Value erf(mlir::Value x);
  mlir::Value sigmoid(mlir::Value x);
  mlir::Value softplus(mlir::Value x);
  mlir::Value sinOrCos(mlir::Value x, bool isCos);

private:
  using Value = mlir::Value;
  // Floats.
  Value constant(double value);
  Value add(Value lhs, Value rhs);
  Value sub(Value lhs, Value rhs);
  Value mul(Value lhs, Value rhs);
  Value div(Value lhs, Value rhs);
  Value fma(Value a, Value b, Value c);
  Value abs(Value x);
  Value copySign(Value magnitude, Value sign);
  Value select(Value condition, Value lhs, Value rhs);
  Value less(Value lhs, Value rhs);
  Value equal(Value lhs, Value rhs);
  Value isNaN(Value x);
  /// min(max(x, low), high); NaN stays NaN.
  Value clamp(Value x, double low, double high);
  /// An intrinsic of LLVM whose result has this type.
  Value call(llvm::StringRef name, mlir::ValueRange arguments);
  /// Highest power first.
  Value polynomial(Value x, llvm::ArrayRef<double> coefficients);
  // The bits of floats.
  mlir::Type getBitsType();
  Value bits(int64_t value);
  Value toBits(Value x);
  Value fromBits(Value x);

  /// Nearest integer to x, as float and as bits; |x| < 2^22.
  std::pair<Value, Value> round(Value x);
  /// Nearest integer n to x, as float and for `scale`: as an integer where there
  /// is an instruction for that, else the bits of n + 2 * 127 + 1.5 * 2^23;
  /// |n| <= 2 * 126.
  std::pair<Value, Value> roundExponent(Value x);
  /// x * 2^n, correct also when the result is denormal or overflows.
  Value scale(Value x, Value n);
  /// 2^n for -126 <= n <= 127.
  Value powerOfTwo(Value n);
  Value ex2Approx(Value x);
  Value rcpApprox(Value x);
  /// exp(x) for -105 <= x <= 90.
  Value expInRange(Value x);
  /// Whether 2^(j/32) can be looked up.
  bool hasPowers() const;
  /// 2^(n/32) * exp(r * unit) for |r * unit| <= ln 2 / 32. `shifted` is
  /// n / 32 + 1.5 * 2^18, whose last bits are n; `exponent` has the integer
  /// part of n / 32.
  Value expByPowers(Value r, double unit, Value shifted, Value exponent);
  /// 1 / x for 1 <= x < 2^126, within one unit in the last place; needs rcp14.
  Value reciprocal(Value x);
  /// x = n * ln 2 + r, |r| <= ln 2 / 2.
  Value reduceExp(Value x, Value n);
  /// log((1 + f) * 2^e) for 1 + f in [3/4, 3/2).
  Value logOfParts(Value f, Value e);

  mlir::ImplicitLocOpBuilder &b;
  mlir::Type type;
  MathTarget target;
};

} // namespace rondo

#endif // RONDO_PASSES_COMMON_MATHEXPANSIONS_H
