//===- Normalize.h - Give every output its own equation ---------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_FORMS_NORMALIZE_H
#define RONDO_PASSES_FORMS_NORMALIZE_H

#include "dialects/Rondo/IR/RondoOps.h"

namespace rondo {

/// Brings a kernel into the shape that Program.h describes, by copying
/// equations (`y[p] = x[p]`) and clones:
///   - every slice that a recurrence yields is defined by an equation of its
///     region, and by one that is not yielded twice;
///   - every result is defined by an equation or is a history, and every tensor
///     is returned at most once;
///   - the declared value of a `rondo.initial` is an equation without other
///   use;
///   - nothing is dead.
void normalize(KernelOp kernel);

} // namespace rondo

#endif // RONDO_PASSES_FORMS_NORMALIZE_H
