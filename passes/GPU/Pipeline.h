//===- Pipeline.h - From the forms level to NVVM ----------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_GPU_PIPELINE_H
#define RONDO_PASSES_GPU_PIPELINE_H

#include "mlir/IR/DialectRegistry.h"

namespace mlir {
class OpPassManager;
} // namespace mlir

namespace rondo::gpu {

/// Kernels at the forms level to the NVVM dialect; the module has `rondo.chip`.
/// What is not in a gpu.module is left alone.
void buildDevicePipeline(mlir::OpPassManager &pm);
/// Launches to calls; then the CPU's pipeline lowers the rest.
void buildHostPipeline(mlir::OpPassManager &pm);
void registerPasses();
void registerDialects(mlir::DialectRegistry &registry);

} // namespace rondo::gpu

#endif // RONDO_PASSES_GPU_PIPELINE_H
