//===- CompleteBatch.h - Every tensor gets every batch dim ------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_FRONTEND_LOWERING_COMPLETEBATCH_H
#define RONDO_FRONTEND_LOWERING_COMPLETEBATCH_H

#include "frontend/Sema/Model.h"

namespace rondo::frontend {

/// What a kernel computes for one point of the batch dims, it computes
/// independently of all others. So that this is true of every tensor, finds
/// where the batch dims of each one stand (`Tensor::batchDims`), and gives it
/// those that it lacks:
///
///   batch B                     batch B
///   n[d, e] = w[d, e] ..        n[b, d, e] = w[d, e] ..
///   y[b, t] = sum[d] n[d, t]    y[b, t] = sum[d] n[b, d, t]
///
/// A result that lacks one is held by a local that has it (`Tensor::whole`).
void completeBatch(model::Kernel &kernel);

} // namespace rondo::frontend

#endif // RONDO_FRONTEND_LOWERING_COMPLETEBATCH_H
