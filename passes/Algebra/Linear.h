//===- Linear.h - Affine forms of expressions -------------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// An expression as a function of some reads (the old state): a sum of terms,
// each linear in one read, plus a part without them. What decides is the
// algebra, not the spelling: products are distributed over sums, sums over
// indices are pulled out, selects by conditions on other things become
// selected coefficients.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_ALGEBRA_LINEAR_H
#define RONDO_PASSES_ALGEBRA_LINEAR_H

#include "passes/Algebra/Expr.h"

namespace rondo::algebra {

/// sum over `variables` of coefficient * read. Filters are part of the
/// coefficient.
struct LinearTerm {
  Expr coefficient;
  Expr read;
  llvm::SmallVector<const Variable *, 2> variables;
};

struct Affine {
  llvm::SmallVector<LinearTerm> terms;
  Expr constant;
};

/// The affine form of `expr` in the reads that `isState` accepts. None if it
/// is not affine in them.
std::optional<Affine> linearize(Context &context, Expr expr,
                                llvm::function_ref<bool(Expr)> isState);

/// The extent of an index that starts at 0: of an equation, a recurrence or a
/// reduction. Null for other expressions.
mlir::Value extentOf(Expr index);
/// The same extent: equal values, sizes of one name, equal constants.
bool isSameExtent(mlir::Value a, mlir::Value b);

/// Takes sums over Kronecker deltas out of an expression:
/// sum over p of (i == p ? a[p] : 0) + b[p] -> a[i] + sum over p of b[p].
Expr resolveSums(Context &context, Expr expr);

/// Whether `expr` contains a node that `test` accepts.
bool contains(Expr expr, llvm::function_ref<bool(Expr)> test);

/// A product of factors, with quotients as reciprocals: -a * b / c -> -1, a, b,
/// 1 / c. Exponentials of sums stay whole: exp(a - b) may be finite where exp(a)
/// and exp(-b) are not.
llvm::SmallVector<Expr> factors(Context &context, Expr expr);

/// A sum of products: `expr` with products distributed over sums (outside of
/// function arguments). Gives up (one summand) beyond a bound on their number.
llvm::SmallVector<Expr> summands(Context &context, Expr expr);

/// The product of the factors, 1 for none.
Expr product(Context &context, llvm::ArrayRef<Expr> factors, mlir::Type type);

/// The sum of a product over variables, with the factors that do not use them
/// in front: sum over i of a b[i] c[i] -> a sum over i of b[i] c[i].
Expr sumOut(Context &context, Expr expr,
            llvm::ArrayRef<const Variable *> variables);

/// The logarithm of `expr` as an expression that is finite wherever the
/// logarithm is: known for exponentials, sigmoids, positive constants, powers
/// and products of such. Null if the sign is not known to be positive.
Expr logarithm(Context &context, Expr expr);

} // namespace rondo::algebra

#endif // RONDO_PASSES_ALGEBRA_LINEAR_H
