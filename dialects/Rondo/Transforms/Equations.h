//===- Equations.h - Building equations from bodies -------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Helpers of `rondo-decompose`: index ranges and copies of parts of bodies.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_DIALECTS_RONDO_TRANSFORMS_EQUATIONS_H
#define RONDO_DIALECTS_RONDO_TRANSFORMS_EQUATIONS_H

#include "dialects/Rondo/IR/RondoOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/IRMapping.h"

namespace rondo {

/// An index of a body and its range in a tensor over it: the tensor has the
/// extent upper - lower and is read at index - lower. `lower` is null for 0. A
/// constant lower bound counts as 0 where computing points below it does no
/// harm: sizes stay the kernel's own.
struct IndexRange {
  mlir::Value index, lower, upper;
};

/// The ranges of block arguments of `top`: of extents, and of lower and upper
/// bounds.
void appendExtents(llvm::SmallVectorImpl<IndexRange> &ranges,
                   llvm::ArrayRef<mlir::BlockArgument> indices,
                   mlir::ValueRange extents);
void appendRanges(mlir::Operation *top,
                  llvm::SmallVectorImpl<IndexRange> &ranges,
                  llvm::ArrayRef<mlir::BlockArgument> indices,
                  mlir::ValueRange lowers, mlir::ValueRange uppers);

/// Builds the extent of a tensor over the range, outside of bodies.
mlir::Value buildExtent(mlir::OpBuilder &builder, mlir::Location loc,
                        const IndexRange &range);

/// In a body: the position in a tensor of an index of the range, and back.
mlir::Value buildPosition(mlir::OpBuilder &builder, mlir::Location loc,
                          mlir::Value index, const IndexRange &range);
mlir::Value buildIndex(mlir::OpBuilder &builder, mlir::Location loc,
                       mlir::Value position, const IndexRange &range);

/// The operations inside `top` that compute `values`, in program order. Block
/// arguments of `top`'s regions that they use are added to `arguments`.
llvm::SmallVector<mlir::Operation *>
collectSlice(mlir::Operation *top, mlir::ValueRange values,
             llvm::SmallPtrSetImpl<mlir::Value> &arguments);

/// Copies what computes `value` inside `top` to the insertion point; block
/// arguments are replaced as `mapping` says.
mlir::Value cloneValue(mlir::OpBuilder &builder, mlir::Operation *top,
                       mlir::Value value, mlir::IRMapping &mapping);

/// The element type of a tensor that holds scalars of a body.
mlir::Type getElementType(mlir::Type scalar);

/// How many batch dims equations have in front where `op` stands.
unsigned getNumBatch(mlir::Operation *op);

/// Rewrites, in Decompose*.cpp. Each erases its operation.
void decomposeReduce(ReduceOp op);
void decomposeAttention(AttentionOp op);
void decomposeScan(ScanOp op);
void decomposeConvolution(ConvolutionOp op);
void decomposeTriangularSolve(TriangularSolveOp op);

} // namespace rondo

#endif // RONDO_DIALECTS_RONDO_TRANSFORMS_EQUATIONS_H
