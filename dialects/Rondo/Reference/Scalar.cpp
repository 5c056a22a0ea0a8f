//===- Scalar.cpp - Scalar operations of the interpreter ------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/Rondo/Reference/Scalar.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/StringMap.h"
#include <algorithm>
#include <cmath>
#include <limits>

using namespace mlir;
using namespace rondo::reference;

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

Scalar rondo::reference::getConstant(TypedAttr attribute) {
  if (auto real = dyn_cast<FloatAttr>(attribute)) {
    bool losesInfo;
    APFloat value = real.getValue();
    value.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven,
                  &losesInfo);
    return makeReal(value.convertToDouble());
  }
  auto integer = cast<IntegerAttr>(attribute);
  // A true condition is 1, not the -1 that a signed reading of i1 gives.
  if (integer.getType().isInteger(1))
    return makeInteger(integer.getValue().getBoolValue());
  return makeInteger(integer.getValue().getSExtValue());
}

int64_t rondo::reference::toInteger(double value) {
  if (std::isnan(value))
    return 0;
  if (value >= 9223372036854775808.0)
    return std::numeric_limits<int64_t>::max();
  if (value < -9223372036854775808.0)
    return std::numeric_limits<int64_t>::min();
  return static_cast<int64_t>(value);
}

double rondo::reference::toElement(Scalar value, Type type) {
  return isa<FloatType>(type) ? value.real : static_cast<double>(value.integer);
}

Scalar rondo::reference::fromElement(double element, Type type) {
  return isa<FloatType>(type) ? makeReal(element)
                              : makeInteger(toInteger(element));
}

//===----------------------------------------------------------------------===//
// Integer arithmetic, defined for all operands
//===----------------------------------------------------------------------===//

static int64_t add(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) +
                              static_cast<uint64_t>(b));
}
static int64_t subtract(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) -
                              static_cast<uint64_t>(b));
}
static int64_t multiply(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) *
                              static_cast<uint64_t>(b));
}
static int64_t quotient(int64_t a, int64_t b) {
  if (b == 0)
    return 0;
  return b == -1 ? subtract(0, a) : a / b;
}
static int64_t remainder(int64_t a, int64_t b) {
  return subtract(a, multiply(quotient(a, b), b));
}
static int64_t floorQuotient(int64_t a, int64_t b) {
  int64_t rest = remainder(a, b);
  return quotient(a, b) - (b != 0 && rest != 0 && (rest < 0) != (b < 0));
}
static int64_t ceilQuotient(int64_t a, int64_t b) {
  int64_t rest = remainder(a, b);
  return quotient(a, b) + (b != 0 && rest != 0 && (rest < 0) == (b < 0));
}
static int64_t floorRemainder(int64_t a, int64_t b) {
  return b == 0 ? 0 : subtract(a, multiply(floorQuotient(a, b), b));
}
static int64_t power(int64_t base, int64_t exponent) {
  if (exponent < 0) // 1 / base^-exponent, rounded to zero
    return base == 1 ? 1 : base == -1 ? (exponent % 2 ? -1 : 1) : 0;
  int64_t result = 1;
  for (; exponent > 0; exponent /= 2, base = multiply(base, base))
    if (exponent % 2)
      result = multiply(result, base);
  return result;
}

//===----------------------------------------------------------------------===//
// Real functions that the C library does not have
//===----------------------------------------------------------------------===//

// NaN if either operand is NaN, unlike std::fmax and std::fmin.
static double maximum(double a, double b) {
  return std::isnan(a) || std::isnan(b) ? std::nan("") : std::fmax(a, b);
}
static double minimum(double a, double b) {
  return std::isnan(a) || std::isnan(b) ? std::nan("") : std::fmin(a, b);
}
static double sigmoid(double x) {
  return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x));
}
static double softplus(double x) {
  return maximum(x, 0) + std::log1p(std::exp(-std::fabs(x)));
}

//===----------------------------------------------------------------------===//
// The table
//===----------------------------------------------------------------------===//

#define REAL(EXPRESSION)                                                       \
  [](Scalar sa, Scalar sb, Scalar sc) -> Scalar {                              \
    [[maybe_unused]] double a = sa.real, b = sb.real, c = sc.real;             \
    return makeReal(EXPRESSION);                                               \
  }
#define INTEGER(EXPRESSION)                                                    \
  [](Scalar sa, Scalar sb, Scalar sc) -> Scalar {                              \
    [[maybe_unused]] int64_t a = sa.integer, b = sb.integer, c = sc.integer;   \
    return makeInteger(EXPRESSION);                                            \
  }
#define COMPARE_REAL(EXPRESSION)                                               \
  [](Scalar sa, Scalar sb, Scalar) -> Scalar {                                 \
    [[maybe_unused]] double a = sa.real, b = sb.real;                          \
    [[maybe_unused]] bool unordered = std::isnan(a) || std::isnan(b);          \
    return makeInteger(EXPRESSION);                                            \
  }

static const llvm::StringMap<ScalarFunction> &getTable() {
  static const llvm::StringMap<ScalarFunction> table = {
      // Real numbers.
      {"arith.addf", REAL(a + b)},
      {"arith.subf", REAL(a - b)},
      {"arith.mulf", REAL(a *b)},
      {"arith.divf", REAL(a / b)},
      {"arith.remf", REAL(std::fmod(a, b))},
      {"arith.negf", REAL(-a)},
      {"arith.maximumf", REAL(maximum(a, b))},
      {"arith.minimumf", REAL(minimum(a, b))},
      {"arith.maxnumf", REAL(std::fmax(a, b))},
      {"arith.minnumf", REAL(std::fmin(a, b))},
      {"arith.extf", REAL(a)},
      {"arith.truncf", REAL(a)},
      {"math.absf", REAL(std::fabs(a))},
      {"math.acos", REAL(std::acos(a))},
      {"math.acosh", REAL(std::acosh(a))},
      {"math.asin", REAL(std::asin(a))},
      {"math.asinh", REAL(std::asinh(a))},
      {"math.atan", REAL(std::atan(a))},
      {"math.atan2", REAL(std::atan2(a, b))},
      {"math.atanh", REAL(std::atanh(a))},
      {"math.cbrt", REAL(std::cbrt(a))},
      {"math.ceil", REAL(std::ceil(a))},
      {"math.clampf", REAL(minimum(maximum(a, b), c))},
      {"math.copysign", REAL(std::copysign(a, b))},
      {"math.cos", REAL(std::cos(a))},
      {"math.cosh", REAL(std::cosh(a))},
      {"math.erf", REAL(std::erf(a))},
      {"math.erfc", REAL(std::erfc(a))},
      {"math.exp", REAL(std::exp(a))},
      {"math.exp2", REAL(std::exp2(a))},
      {"math.expm1", REAL(std::expm1(a))},
      {"math.floor", REAL(std::floor(a))},
      {"math.fma", REAL(std::fma(a, b, c))},
      {"math.log", REAL(std::log(a))},
      {"math.log10", REAL(std::log10(a))},
      {"math.log1p", REAL(std::log1p(a))},
      {"math.log2", REAL(std::log2(a))},
      {"math.powf", REAL(std::pow(a, b))},
      {"math.round", REAL(std::round(a))},
      {"math.roundeven", REAL(std::nearbyint(a))},
      {"math.rsqrt", REAL(1 / std::sqrt(a))},
      {"math.sin", REAL(std::sin(a))},
      {"math.sinh", REAL(std::sinh(a))},
      {"math.sqrt", REAL(std::sqrt(a))},
      {"math.tan", REAL(std::tan(a))},
      {"math.tanh", REAL(std::tanh(a))},
      {"math.trunc", REAL(std::trunc(a))},
      {"rondo.sigmoid", REAL(sigmoid(a))},
      {"rondo.softplus", REAL(softplus(a))},
      // Integers and conditions. On i1, andi, ori and xori are the logical
      // operations because conditions are 0 or 1.
      {"arith.addi", INTEGER(add(a, b))},
      {"arith.subi", INTEGER(subtract(a, b))},
      {"arith.muli", INTEGER(multiply(a, b))},
      {"arith.divsi", INTEGER(quotient(a, b))},
      {"arith.remsi", INTEGER(remainder(a, b))},
      {"arith.floordivsi", INTEGER(floorQuotient(a, b))},
      {"arith.ceildivsi", INTEGER(ceilQuotient(a, b))},
      {"arith.maxsi", INTEGER(std::max(a, b))},
      {"arith.minsi", INTEGER(std::min(a, b))},
      {"arith.andi", INTEGER(a &b)},
      {"arith.ori", INTEGER(a | b)},
      {"arith.xori", INTEGER(a ^ b)},
      {"math.absi", INTEGER(a < 0 ? subtract(0, a) : a)},
      {"math.ipowi", INTEGER(power(a, b))},
      {"rondo.mod", INTEGER(floorRemainder(a, b))},
      // Conversions. Signed readings of i1 are in getScalarFunction.
      {"arith.index_cast", INTEGER(a)},
      {"arith.index_castui", INTEGER(a)},
      {"arith.extsi", INTEGER(a)},
      {"arith.extui", INTEGER(a)},
      {"arith.sitofp",
       [](Scalar a, Scalar, Scalar) {
         return makeReal(static_cast<double>(a.integer));
       }},
      {"arith.uitofp",
       [](Scalar a, Scalar, Scalar) {
         return makeReal(static_cast<double>(a.integer));
       }},
      {"arith.fptosi",
       [](Scalar a, Scalar, Scalar) { return makeInteger(toInteger(a.real)); }},
      {"math.fpowi",
       [](Scalar a, Scalar b, Scalar) {
         return makeReal(std::pow(a.real, static_cast<double>(b.integer)));
       }},
      {"math.isfinite", COMPARE_REAL(std::isfinite(a))},
      {"math.isinf", COMPARE_REAL(std::isinf(a))},
      {"math.isnan", COMPARE_REAL(std::isnan(a))},
      {"arith.select",
       [](Scalar condition, Scalar a, Scalar b) {
         return condition.integer ? a : b;
       }},
  };
  return table;
}

static ScalarFunction getComparison(arith::CmpIPredicate predicate) {
  using P = arith::CmpIPredicate;
  switch (predicate) {
  case P::eq:
    return INTEGER(a == b);
  case P::ne:
    return INTEGER(a != b);
  case P::slt:
    return INTEGER(a < b);
  case P::sle:
    return INTEGER(a <= b);
  case P::sgt:
    return INTEGER(a > b);
  case P::sge:
    return INTEGER(a >= b);
  case P::ult:
    return INTEGER(static_cast<uint64_t>(a) < static_cast<uint64_t>(b));
  case P::ule:
    return INTEGER(static_cast<uint64_t>(a) <= static_cast<uint64_t>(b));
  case P::ugt:
    return INTEGER(static_cast<uint64_t>(a) > static_cast<uint64_t>(b));
  case P::uge:
    return INTEGER(static_cast<uint64_t>(a) >= static_cast<uint64_t>(b));
  }
  return nullptr;
}

static ScalarFunction getComparison(arith::CmpFPredicate predicate) {
  using P = arith::CmpFPredicate;
  switch (predicate) {
  case P::AlwaysFalse:
    return COMPARE_REAL(false);
  case P::OEQ:
    return COMPARE_REAL(a == b);
  case P::OGT:
    return COMPARE_REAL(a > b);
  case P::OGE:
    return COMPARE_REAL(a >= b);
  case P::OLT:
    return COMPARE_REAL(a < b);
  case P::OLE:
    return COMPARE_REAL(a <= b);
  case P::ONE:
    return COMPARE_REAL(!unordered && a != b);
  case P::ORD:
    return COMPARE_REAL(!unordered);
  case P::UEQ:
    return COMPARE_REAL(unordered || a == b);
  case P::UGT:
    return COMPARE_REAL(unordered || a > b);
  case P::UGE:
    return COMPARE_REAL(unordered || a >= b);
  case P::ULT:
    return COMPARE_REAL(unordered || a < b);
  case P::ULE:
    return COMPARE_REAL(unordered || a <= b);
  case P::UNE:
    return COMPARE_REAL(unordered || a != b);
  case P::UNO:
    return COMPARE_REAL(unordered);
  case P::AlwaysTrue:
    return COMPARE_REAL(true);
  }
  return nullptr;
}

ScalarFunction rondo::reference::getScalarFunction(llvm::StringRef name) {
  auto found = getTable().find(name);
  return found == getTable().end() ? nullptr : found->second;
}

ScalarFunction rondo::reference::getScalarFunction(Operation *op) {
  if (auto compare = dyn_cast<arith::CmpIOp>(op))
    return getComparison(compare.getPredicate());
  if (auto compare = dyn_cast<arith::CmpFOp>(op))
    return getComparison(compare.getPredicate());
  if (op->getNumResults() != 1 || op->getNumOperands() == 0 ||
      op->getNumOperands() > 3 ||
      !op->getResult(0).getType().isIntOrIndexOrFloat())
    return nullptr;
  // Read as signed numbers, a true condition is -1.
  if (op->getOperand(0).getType().isInteger(1)) {
    if (isa<arith::SIToFPOp>(op))
      return [](Scalar a, Scalar, Scalar) {
        return makeReal(a.integer ? -1.0 : 0.0);
      };
    if (isa<arith::ExtSIOp, arith::IndexCastOp>(op))
      return INTEGER(-a);
  }
  // Narrowing keeps the low bits.
  if (isa<arith::TruncIOp, arith::IndexCastOp>(op)) {
    Type type = op->getResult(0).getType();
    if (type.isInteger(1))
      return INTEGER(a & 1);
    if (type.isInteger(32))
      return INTEGER(static_cast<int32_t>(a));
    if (isa<arith::TruncIOp>(op))
      return nullptr;
  }
  return getScalarFunction(op->getName().getStringRef());
}
