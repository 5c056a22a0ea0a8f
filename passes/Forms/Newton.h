//===- Newton.h - Recurrences solved by Newton's method ---------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A recurrence x[t] = f(x[t-1], t) is a system of equations for all x[t] at
// once. With a guess x, Newton's method improves it by
//
//   e[t] = f(x[t-1], t) - x[t]               the defects, all steps at once
//   J[t] = df/dx (x[t-1], t)                 the Jacobians, all steps at once
//   d[t] = e[t] + J[t] d[t-1]                a linear recurrence
//   x[t] = x[t] + d[t]
//
// until the greatest defect, relative to max(1, |x|), is within a tolerance: a
// few units of rounding, so that x is what the sequential form gives up to
// rounding errors in every step. The first k steps are exact after k
// iterations, and the defects square from one to the next once they are small.
//
// The steps are cut into windows of C. One recurrence runs along the windows
// and hands the state on; within a window, the first guess is f at the state
// that the window starts from. A window that does not settle within a bound on
// the number of iterations, or in which something is not finite, is computed
// one step after the other. Steps behind the end keep the state.
//
// The Jacobian must be pointwise (diagonal, or blocks of the states at the same
// point): d is then a recurrence on numbers, or on vectors of n numbers with
// n x n matrices. Sources: Lim et al., Parallelizing non-linear sequential
// models over the sequence length, 2024 (DEER); Danieli et al., ParaRNN, 2025.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_FORMS_NEWTON_H
#define RONDO_PASSES_FORMS_NEWTON_H

#include "passes/Analysis/Jacobian.h"
#include <string>

namespace rondo {

/// A recurrence that has a Newton form.
struct NewtonStructure {
  RecurrenceOp recurrence;
  analysis::Jacobian jacobian;
  /// Per local that is used outside: what it is, in terms of the pasts.
  struct Local {
    unsigned member;
    EquationOp equation; // whose indices are the leaves
    algebra::Expr value;
  };
  llvm::SmallVector<Local> locals;
};

/// The structure of a recurrence, or none with the reason in the user's words.
std::optional<NewtonStructure> findNewtonStructure(algebra::Context &context,
                                                   RecurrenceOp op,
                                                   std::string &reason);

struct NewtonParameters {
  int64_t window = 0; // steps
  int64_t bound = 0;  // iterations
  /// Also return the number of iterations behind every step, as a result of the
  /// kernel with the name of the first state and ".iterations" (of recurrences
  /// along a size of the kernel).
  bool count = false;
};

/// Replaces the recurrence by its Newton form.
void toNewton(algebra::Context &context, NewtonStructure &structure,
              NewtonParameters parameters);

} // namespace rondo

#endif // RONDO_PASSES_FORMS_NEWTON_H
