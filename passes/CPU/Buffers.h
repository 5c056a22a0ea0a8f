//===- Buffers.h - What views of memory are views of ------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Within a step of a loop over time, buffers are disjoint unless they are one
// value; so are arguments (the caller's are checked).
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_CPU_BUFFERS_H
#define RONDO_PASSES_CPU_BUFFERS_H

#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/Value.h"
#include "llvm/ADT/SmallVector.h"

namespace rondo::cpu {

/// The buffer or argument behind a view, or those between which it is chosen.
void collectRoots(mlir::Value memref,
                  llvm::SmallVectorImpl<mlir::Value> &roots);

bool mayOverlap(mlir::Value a, mlir::Value b);

/// The sizes of a view, as far as they are known.
llvm::SmallVector<mlir::OpFoldResult> getShape(mlir::Value memref);

} // namespace rondo::cpu

#endif // RONDO_PASSES_CPU_BUFFERS_H
