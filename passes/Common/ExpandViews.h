//===- ExpandViews.h - Views of memrefs to arithmetic -----------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_COMMON_EXPANDVIEWS_H
#define RONDO_PASSES_COMMON_EXPANDVIEWS_H

namespace mlir {
class OpPassManager;
} // namespace mlir

namespace rondo {

/// Adds a pass that turns views of memrefs and affine expressions into
/// arithmetic: upstream's patterns, applied to these operations alone. The
/// passes upstream go through all of a function, three times or more.
void addExpandViews(mlir::OpPassManager &pm);

/// Makes it known as `rondo-expand-views`.
void registerExpandViews();

} // namespace rondo

#endif // RONDO_PASSES_COMMON_EXPANDVIEWS_H
