//===- SteadyStatements.h - What whole chunks have in common ----*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A statement of a loop over chunks is *steady* when it depends on the chunk c
// by nothing but whether steps exist, as decays that are the same at all times:
//
//   a[c, r] = if n c + r < T then decay else 1
//
// In all whole chunks it computes the same. What it has left in its buffer at
// the first one stays as long as chunks are whole:
//
//   for c
//     if c = 0 or n c + n > T: a
//     the rest
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_FORMS_STEADYSTATEMENTS_H
#define RONDO_PASSES_FORMS_STEADYSTATEMENTS_H

#include "passes/Forms/Storage.h"

namespace rondo {

/// Until when a statement computes the same: the steps of a chunk, n, and of
/// all, T; null if it does not depend on the chunk at all.
struct Steadiness {
  int64_t chunk = 0;
  mlir::AffineExpr length;
  /// It does so much that a test is better than to compute it again.
  bool isKept = false;
};

using SteadyStatements = llvm::DenseMap<const Statement *, Steadiness>;

/// The steady statements of loops over one dim. Those of an inner recurrence
/// are all steady, or none is.
SteadyStatements findSteadyStatements(Program &program,
                                      const Clusters &clusters,
                                      const Storage &storage);

} // namespace rondo

#endif // RONDO_PASSES_FORMS_STEADYSTATEMENTS_H
