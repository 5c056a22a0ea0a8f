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

/// Replaces a recurrence by its chunkwise form, which is made of equations and
/// recurrences again, over chunks c of `chunk` steps and positions r in them:
///
///   P[c, r, i]    = product of a up to r            (a recurrence along r)
///   L_m[c, r, s]  = sum over i of q[r, i] x_m[s, i] product of a in (s, r]
///   U_m[c, r, j]  = w_m + b_mn p_n                  (a recurrence along r when
///                   the p_n depend on earlier U: a triangular solve)
///   S[c, i, j]    = P[c, last, i] S[c-1, i, j]
///                 + sum over m, s of x_m[s, i] product of a in (s, last]
///                 U_m[s, j]
///   o[c, r, j]    = sum over i of q[r, i] P[r, i] S[c-1, i, j]
///                 + sum over m, s of L_m[r, s] U_m[s, j]
///
/// Decays are multiplied step by step, never divided and never taken apart
/// into logarithms: every factor is one that the sequential form has too, so
/// nothing overflows that did not before, and zero or negative decays are
/// exact. The last chunk is padded with steps that change nothing.
///
/// Reads and readouts of the state are replaced; the recurrence is erased.
void toChunked(algebra::Context &context, ChunkedStructure &structure,
               int64_t chunk);

} // namespace rondo

#endif // RONDO_PASSES_FORMS_CHUNKED_H
