//===- Jacobian.h - The derivative of a recurrence's step -------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The states of a recurrence at a step as functions of the states one step
// before, and the derivatives of these functions: d x_i[p] / d x_j[q], p and q
// points of the states' dims. Their sparsity decides how a step that is
// linearised can be solved:
//
//   diagonal        one state, and p = q                     a product of numbers
//   blocks          n states, and p = q                      n x n matrices
//   block_diagonal  p and q agree in some dims (the heads)   a matrix per head
//   dense           no dim in which p and q must agree
//
// A step that compares old values has no useful derivative: it is constant
// where it has one, and jumps.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_ANALYSIS_JACOBIAN_H
#define RONDO_PASSES_ANALYSIS_JACOBIAN_H

#include "passes/Algebra/Expr.h"
#include <string>

namespace rondo::analysis {

enum class JacobianKind { Diagonal, Blocks, BlockDiagonal, Dense, None };
llvm::StringRef stringify(JacobianKind kind);

struct Jacobian {
  JacobianKind kind = JacobianKind::None;
  /// With None: why there is no derivative, in the user's words.
  std::string reason;
  /// The reason is a comparison of old values.
  bool threshold = false;
  /// Diagonal and Blocks: the number of states; else 0.
  unsigned blockSize = 0;
  /// BlockDiagonal: the dims of the states, without batch, that are kept.
  llvm::SmallVector<unsigned> keptDims;

  // For all kinds but None, over the leaves `indices` (of the states' dims
  // with batch) and the recurrence's along index.
  llvm::SmallVector<algebra::Expr> indices;
  /// The new value of each state.
  llvm::SmallVector<algebra::Expr> values;
  /// Diagonal and Blocks: the read of each state at the step before, at its
  /// own point, and derivatives[i][j] = d values[i] / d pasts[j].
  llvm::SmallVector<algebra::Expr> pasts;
  llvm::SmallVector<llvm::SmallVector<algebra::Expr>> derivatives;
  bool reversed = false;
};

/// Finds the derivative of a recurrence's step. Expressions belong to
/// `context`.
Jacobian findJacobian(algebra::Context &context, RecurrenceOp op);

} // namespace rondo::analysis

#endif // RONDO_PASSES_ANALYSIS_JACOBIAN_H
