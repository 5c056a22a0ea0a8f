//===- Extrema.h - Expressions as maxima of branches ------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_ANALYSIS_EXTREMA_H
#define RONDO_PASSES_ANALYSIS_EXTREMA_H

#include "passes/Algebra/Linear.h"

namespace rondo::analysis {

/// The two operands of max(a, b) or min(a, b), also when it is written as a
/// choice (if a > b then a else b).
struct Extremum {
  bool isMax;
  algebra::Expr a, b;
};
std::optional<Extremum> asExtremum(algebra::Expr expr);

/// Takes an expression apart into branches: it is the maximum, the minimum, the
/// logarithm of the sum of exponentials, or a nest of such, of them. Sums and
/// products with factors that are not negative are distributed over it.
class Extrema {
public:
  Extrema(algebra::Context &context,
          llvm::function_ref<bool(algebra::Expr)> isState)
      : context(context), isState(isState) {}

  /// False if there are too many branches.
  bool collect(algebra::Expr expr);

  llvm::SmallVector<algebra::Expr> branches;
  bool hasMax = false, hasMin = false, hasLog = false;

private:
  llvm::SmallVector<algebra::Expr> visit(algebra::Expr expr, bool flip);
  bool isFree(algebra::Expr expr) {
    return !algebra::contains(expr, isState);
  }

  algebra::Context &context;
  llvm::function_ref<bool(algebra::Expr)> isState;
};

} // namespace rondo::analysis

#endif // RONDO_PASSES_ANALYSIS_EXTREMA_H
