//===- Cleanup.h - Canonicalisation and CSE ---------------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_COMMON_CLEANUP_H
#define RONDO_PASSES_COMMON_CLEANUP_H

namespace mlir {
class OpPassManager;
} // namespace mlir

namespace rondo {

/// Canonicalises and removes common subexpressions and dead code: the one
/// definition of "tidy" that every pipeline uses.
void addCleanup(mlir::OpPassManager &pm);

} // namespace rondo

#endif // RONDO_PASSES_COMMON_CLEANUP_H
