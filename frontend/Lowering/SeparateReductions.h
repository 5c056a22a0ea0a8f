//===- SeparateReductions.h - Every reduction its own equation --*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_FRONTEND_LOWERING_SEPARATEREDUCTIONS_H
#define RONDO_FRONTEND_LOWERING_SEPARATEREDUCTIONS_H

#include "frontend/Sema/Model.h"

namespace rondo::frontend {

/// Rewrites a resolved kernel so that a reduction stands only as the root of
/// an equation:
///
///   o[t, j] = scale * sum[i] q[t, i] * S[t, i, j]
/// becomes
///   o.sum[t, j] = sum[i] q[t, i] * S[t, i, j]
///   o[t, j]     = scale * o.sum[t, j]
///
/// The new local runs over the indices that its terms use and no others, so a
/// reduction is computed as often as it has different values. Softmax and
/// logsumexp become a max, a sum of shifted exponentials and pointwise code;
/// the shift keeps every exponent at most 0. Bounds of a reduction index that
/// use other indices become bounds over sizes and a filter.
void separateReductions(model::Kernel &kernel);

} // namespace rondo::frontend

#endif // RONDO_FRONTEND_LOWERING_SEPARATEREDUCTIONS_H
