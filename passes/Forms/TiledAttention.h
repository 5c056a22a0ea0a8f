//===- TiledAttention.h - Attention by blocks of keys -----------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_FORMS_TILEDATTENTION_H
#define RONDO_PASSES_FORMS_TILEDATTENTION_H

#include "passes/Forms/AttentionStructure.h"

namespace rondo {

/// Replaces an attention by its tiled form, which is made of equations and
/// recurrences again: over blocks c of `rows` rows, and inside over those
/// blocks e of `keys` keys that the mask lets pass, with a running maximum m, a
/// running sum l and a running result a (Milakov and Gimelshein, Online
/// normalizer calculation for softmax, 2018; Dao et al., FlashAttention, 2022):
///
///   x[r, s]  = score of row r and key s, -inf where masked
///   m'[r]    = max(m[r], max over s of x[r, s])
///   w[r, s]  = exp(x[r, s] - m'[r])
///   l'[r]    = exp(m[r] - m'[r]) l[r] + sum over s of w[r, s]
///   a'[r, j] = exp(m[r] - m'[r]) a[r, j] + sum over s of w[r, s] v[s, j]
///   o[r, j]  = a[r, j] / l[r] at the end
///
/// For every block of rows the blocks of keys come in up to three recurrences:
/// those before, inside and behind the keys that surely pass for all rows.
/// Inside there is no mask; what the mask excludes for all rows is not visited.
/// Queries, keys and values stand in blocks of their own, scales are in the
/// queries, and everything that the score reads of t or u alone stands in
/// blocks, too. With `powers`, weights of f32 are powers of two of scores that
/// are multiplied by log2(e), in the queries where a score is their product.
void toTiledAttention(algebra::Context &context, AttentionStructure &structure,
                      int64_t rows, int64_t keys, bool powers);

} // namespace rondo

#endif // RONDO_PASSES_FORMS_TILEDATTENTION_H
