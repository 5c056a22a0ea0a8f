//===- StepViews.h - The views that known steps of a loop make --*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_CPU_STEPVIEWS_H
#define RONDO_PASSES_CPU_STEPVIEWS_H

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/IRMapping.h"

namespace rondo::cpu {

/// Steps that loops of known length are repeated for, at most.
constexpr int64_t kMaxSteps = 16;

/// Repeats what a loop's body computes for each of its steps. Known offsets
/// make views of the same place one value.
class StepViews {
public:
  explicit StepViews(mlir::OpBuilder &builder) : builder(builder) {}
  /// A pure op of the body at the step that `map` holds, which gets its
  /// results.
  void repeat(mlir::Operation &op, mlir::IRMapping &map);
  /// Row `row` of a memref, without its first dim; null if the other sizes are
  /// not known.
  mlir::Value getRow(mlir::Value memref, int64_t row);

private:
  mlir::Value getView(mlir::Location loc, mlir::Value source,
                      llvm::ArrayRef<mlir::OpFoldResult> offsets,
                      llvm::ArrayRef<mlir::OpFoldResult> sizes,
                      llvm::ArrayRef<mlir::OpFoldResult> strides,
                      llvm::ArrayRef<int64_t> shape);

  mlir::OpBuilder &builder;
  llvm::SmallVector<mlir::memref::SubViewOp> views;
};

/// Copies an op as `map` says, and lets its results stand for the old ones: what
/// they fold to, where they do. Null then, else the copy.
mlir::Operation *cloneFolded(mlir::OpBuilder &builder, mlir::Operation &op,
                             mlir::IRMapping &map);

/// Whether two views are known to have no element in common: they are of
/// different buffers, or of places in one that are apart.
bool areApart(mlir::Value a, mlir::Value b);

} // namespace rondo::cpu

#endif // RONDO_PASSES_CPU_STEPVIEWS_H
