//===- Range.h - Bounds on the values of expressions ------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_ALGEBRA_RANGE_H
#define RONDO_PASSES_ALGEBRA_RANGE_H

#include "passes/Algebra/Expr.h"

namespace rondo::algebra {

/// A closed interval of real numbers, its ends perhaps infinite.
struct Range {
  double lower, upper;
  bool isNonNegative() const { return lower >= 0; }
  bool isWithin(double a, double b) const { return lower >= a && upper <= b; }
};

/// An interval that holds every value of `expr`, whatever the kernel's arguments
/// hold. Equations that it reads are looked into; correlations between its parts
/// are not seen.
Range rangeOf(Expr expr);

} // namespace rondo::algebra

#endif // RONDO_PASSES_ALGEBRA_RANGE_H
