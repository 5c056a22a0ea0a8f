//===- AttentionStructure.h - The parts of an attention ---------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_FORMS_ATTENTIONSTRUCTURE_H
#define RONDO_PASSES_FORMS_ATTENTIONSTRUCTURE_H

#include "passes/Algebra/Inline.h"
#include "passes/Algebra/Linear.h"
#include <string>

namespace rondo {

/// A contraction in the score: sum over `variables` of left * right.
struct ScoreDot {
  /// What stands for it in the score: the sum, scaled as far as possible.
  algebra::Expr expr;
  algebra::Expr left;  // of t and the variables; the scale is in it
  algebra::Expr right; // of u and the variables
  llvm::SmallVector<const algebra::Variable *, 1> variables;
};

/// An attention with rows t and keys u that has a tiled form:
///
///   weight(t, u) = score(t, u), which reads the dots
///   result[t, j] = sum over u of weight * factor(t, u) * value(u, j)
struct AttentionStructure {
  AttentionOp op;
  llvm::SmallVector<algebra::Expr> batch;
  algebra::Expr t, u;
  llvm::SmallVector<algebra::Expr> j;

  algebra::Expr score;
  llvm::SmallVector<ScoreDot> dots;
  llvm::SmallSetVector<algebra::Expr, 4> mask;
  algebra::Expr factor; // of t and u, 1 for none
  algebra::Expr guard;  // where not, the value does not count; null for none
  algebra::Expr value;  // of u and j
};

/// The parts of an attention; none, with the reason, if it has no tiled form.
std::optional<AttentionStructure>
findAttentionStructure(algebra::Context &context, AttentionOp op,
                       std::string &reason);

/// The keys that a block of rows meets, t0 <= t <= t1.
struct KeyRange {
  /// No other u passes the mask for any row. Null: not bounded.
  algebra::Expr first = nullptr, last = nullptr;
  /// These u pass it for all rows, unless `never`. Null: not bounded.
  algebra::Expr sureFirst = nullptr, sureLast = nullptr;
  bool never = false;
};

/// What comparisons of indices in a condition of t and u say about u. Knows
/// sums and multiples of t, u, sizes and elements of tensors that are the same
/// for all rows and batch points; of anything else, that it may pass.
KeyRange findKeyRange(algebra::Context &context, algebra::Expr condition,
                      algebra::Expr t, algebra::Expr u, algebra::Expr t0,
                      algebra::Expr t1);
/// Both conditions.
KeyRange intersect(algebra::Context &context, const KeyRange &a,
                   const KeyRange &b);

} // namespace rondo

#endif // RONDO_PASSES_FORMS_ATTENTIONSTRUCTURE_H
