//===- Barriers.h - Where threads of a block wait for each other -*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_GPU_BARRIERS_H
#define RONDO_PASSES_GPU_BARRIERS_H

#include "mlir/Dialect/GPU/IR/GPUDialect.h"

namespace rondo::gpu {

/// Puts a gpu.barrier before every op whose accesses may meet, in a thread, one
/// that another thread has made since the last barrier. Returns how many.
/// linalg ops are still there, and go over `threads` as ThreadLoops.h says.
unsigned placeBarriers(mlir::gpu::GPUFuncOp func, int64_t threads);

} // namespace rondo::gpu

#endif // RONDO_PASSES_GPU_BARRIERS_H
