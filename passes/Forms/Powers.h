//===- Powers.h - Constant transitions over chunks --------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The chunkwise form of a linear recurrence whose transition does not change
// with time, and which few numbers enter and leave at a step:
//
//   S[t, m] = sum over n of A[m, n] S[t-1, n] + sum over k of B_k[m] u_k[t]
//   o[t, e] = z[t, e] sum over m of Q[e, m] S[t, m]   (or S[t-1, m])
//
// m and n stand for the *mixed* dims of the state, those that are summed over
// by the transition or by a readout; the other dims and the batch dims are
// *outer* dims, which everything may depend on. Several states that depend on
// one another are one vector. A, B and Q are free of time. State space models
// (LSSL, S4, S4D), the Legendre memory unit and moving averages are of this
// class; nothing here knows their names.
//
// Source: Gu et al., Combining recurrent, convolutional and continuous-time
// models with linear state space layers, 2021 (Krylov matrix, convolution).
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_FORMS_POWERS_H
#define RONDO_PASSES_FORMS_POWERS_H

#include "passes/Analysis/Structure.h"
#include <string>

namespace rondo {

/// B_k u_k. Null where a state is not written.
struct PowersWrite {
  algebra::Expr value;                      // u_k: over time and outer leaves
  llvm::SmallVector<algebra::Expr, 2> into; // B_k by state: over outer, rows
};

/// z sum over m of Q S for all states at once.
struct PowersTerm {
  algebra::Expr scale;                      // z, over the consumer's indices
  bool before;                              // reads S[t-1]
  llvm::SmallVector<algebra::Expr, 2> weights; // Q by state, null for 0: over
                                            // outer, rows, consumer's indices
};

struct PowersReadout {
  EquationOp consumer;
  unsigned timeIndex; // its parallel index that stands for t
  /// For each outer dim that is not a batch dim, the consumer's index.
  llvm::SmallVector<unsigned> outerIndices;
  llvm::SmallVector<PowersTerm> terms;
  algebra::Expr constant; // what is added without the states
};

struct PowersStructure {
  RecurrenceOp recurrence;
  EquationOp state; // of the first state: its indices are the leaves
  bool reversed = false;
  algebra::Expr time;
  llvm::SmallVector<algebra::Expr> outer; // batch dims first
  llvm::SmallVector<algebra::Expr> rows, columns; // m and n
  llvm::SmallVector<unsigned> outerDims, mixedDims; // without the batch dims
  /// Whether A has entries off the diagonal; if not, they are over rows only.
  bool isDense = false;
  /// A by the new and by the old state, null for 0: over outer, rows, columns.
  llvm::SmallVector<llvm::SmallVector<algebra::Expr, 2>, 2> transition;
  llvm::SmallVector<PowersWrite> writes;
  std::vector<PowersReadout> readouts;
};

/// The structure of a recurrence, or none with the reason in the user's words.
std::optional<PowersStructure> findPowersStructure(algebra::Context &context,
                                                   RecurrenceOp op,
                                                   std::string &reason);

/// Replaces a recurrence by its form over chunks c of C steps, with positions r
/// and s in them. Tables, once for all chunks, from the powers of A, which are
/// made by squaring:
///
///   V_k[l]    = A^l B_k                       0 <= l < C
///   R[r]      = Q A^(r+1)                     (Q A^r when S[t-1] is read)
///   K_k[r, s] = Q V_k[r-s]                    s <= r
///
/// and with them
///
///   S[c]    = A^C S[c-1] + sum over k, s of V_k[C-1-s] u_k[c, s]
///   o[c, r] = R[r] S[c-1] + sum over k, s of K_k[r, s] u_k[c, s]
///
/// S[c] is made for whole chunks; the final value comes from the steps after
/// the last of them, one after the other.
void toPowers(algebra::Context &context, PowersStructure &structure,
              int64_t chunk);

} // namespace rondo

#endif // RONDO_PASSES_FORMS_POWERS_H
