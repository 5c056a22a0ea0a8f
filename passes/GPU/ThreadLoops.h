//===- ThreadLoops.h - A linalg op as loops over a block's threads -*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Which thread computes which element:
//
//   one parallel dim       element i by thread i mod threads
//   several                the inner one by columns of W threads, the next one
//                          by the groups of W, others by all: (i, j) by thread
//                          (i mod groups) * W + j mod W
//   none                   the innermost reduction dim is split over the block,
//                          and every thread gets the result
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_GPU_THREADLOOPS_H
#define RONDO_PASSES_GPU_THREADLOOPS_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace rondo::gpu {

/// How the parallel dims of an op go over threads.
struct Distribution {
  int64_t inner = -1, second = -1; // dims of the op, -1: there is none
  int64_t width = 0;               // threads along `inner`
  int64_t groups = 0;              // along `second`
};

Distribution getDistribution(mlir::linalg::GenericOp op, int64_t threads);

/// Whether an op without parallel dims gives its result to every thread.
bool isComputedByAll(mlir::linalg::GenericOp op);

/// Replaces the op; `thread` is the position in a block of `threads`.
llvm::LogicalResult emitThreadLoops(mlir::linalg::GenericOp op,
                                    mlir::Value thread, int64_t threads);

} // namespace rondo::gpu

#endif // RONDO_PASSES_GPU_THREADLOOPS_H
