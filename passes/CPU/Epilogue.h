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

/// Where a reduction and its epilogue are functions of what they use, the
/// epilogue stands right behind the reduction and has this attribute, which
/// tells whether the sum is read by others.
inline constexpr llvm::StringLiteral kEpilogueAttr("rondo.epilogue");

struct FoundEpilogue {
  mlir::linalg::GenericOp op;
  /// The sum is read by others.
  bool keepsSum = false;
};

/// The pointwise ops in `root` that can be computed with a reduction before
/// them in their block, by reduction, so that the reduction moves down to
/// there. The last reduction that an op reads is the one.
llvm::DenseMap<mlir::Operation *, FoundEpilogue>
findEpilogues(mlir::Operation *root);

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
