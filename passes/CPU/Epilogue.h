//===- Epilogue.h - What is computed from a reduction at once ---*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The result of a product is often read once, point by point:
//
//   b[i, j] = sum of ..           s[i, j] = a[i] * s[i, j] + b[i, j]
//
// The second op is then computed where the first one has its accumulators in
// registers, and b is not stored unless something else reads it.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_CPU_EPILOGUE_H
#define RONDO_PASSES_CPU_EPILOGUE_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "passes/CPU/EmitLoops.h"

namespace rondo::cpu {

/// Finds, in the block of the reduction `op`, the pointwise op that can be
/// computed with it, so that `op` moves down to there; null if there is none.
/// `keepsSum` tells that the sum is read by others. `isTaken` are ops that
/// can't be used.
mlir::linalg::GenericOp
findEpilogue(mlir::linalg::GenericOp op,
             const llvm::DenseSet<mlir::Operation *> &isTaken, bool &keepsSum);

/// `epilogue` as an op that has the sum as its last output.
mlir::linalg::GenericOp withSumAsOutput(mlir::linalg::GenericOp epilogue,
                                        mlir::linalg::GenericOp op);

/// Brings the epilogue into the form that the loops of `nest` need, and gives
/// these the extents of the epilogue. Fails, having changed nothing of `nest`,
/// if the tile does not allow it.
mlir::FailureOr<Epilogue> createEpilogue(mlir::OpBuilder &builder,
                                         LoopNest &nest, const Tile &tile,
                                         mlir::linalg::GenericOp epilogue,
                                         bool keepsSum);

} // namespace rondo::cpu

#endif // RONDO_PASSES_CPU_EPILOGUE_H
