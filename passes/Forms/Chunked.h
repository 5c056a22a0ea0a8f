//===- Chunked.h - Recurrences over chunks ----------------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_FORMS_CHUNKED_H
#define RONDO_PASSES_FORMS_CHUNKED_H

#include "passes/Forms/ChunkedStructure.h"

namespace rondo {

/// How a chunkwise form is made.
struct ChunkedOptions {
  int64_t chunk; // steps a chunk
  /// With a decay per i: steps of a block of the chunk, rounded down to a
  /// divisor of the chunk.
  int64_t block = 16;
  /// Products within a block: as sums weighed by products between two steps, not
  /// step by step.
  bool byPairs = false;
};

/// Replaces a recurrence by its chunkwise form, which is made of equations and
/// recurrences again, over chunks c of C steps and positions r in them:
///
///   P[c, r, i]    = product of a up to r                            (scans)
///   L_m[c, r, s]  = sum over i of q[r, i] x_m[s, i] product of a in (s, r]
///   U_m[c, r, j]  = w_m + b_mn p_n
///   S[c, i, j]    = P[c, last, i] S[c-1, i, j]
///                 + sum over m, s of x_m[s, i] product of a in (s, last]
///                 U_m[s, j]
///   o[c, r, j]    = sum over i of q[r, i] P[r, i] S[c-1, i, j]
///                 + sum over m, s of L_m[r, s] U_m[s, j]
///
/// Where the p_n depend on earlier U, the U are a unit lower triangular system
/// (`rondo.triangular_solve`) when one write depends on them and the b_mn have
/// no j; else a recurrence along r. ChunkedScores.cpp says how L is computed.
///
/// Decays are multiplied step by step, never divided and never taken apart
/// into logarithms: every factor is one that the sequential form has too, so
/// nothing overflows that did not before, and zero or negative decays are
/// exact. The last chunk is padded with steps that change nothing.
///
/// Reads and readouts of the state are replaced; the recurrence is erased.
void toChunked(algebra::Context &context, ChunkedStructure &structure,
               const ChunkedOptions &options);

} // namespace rondo

#endif // RONDO_PASSES_FORMS_CHUNKED_H
