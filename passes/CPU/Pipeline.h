//===- Pipeline.h - From the forms level to the LLVM dialect ----*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_CPU_PIPELINE_H
#define RONDO_PASSES_CPU_PIPELINE_H

namespace mlir {
class DialectRegistry;
class OpPassManager;
} // namespace mlir

namespace rondo::cpu {

struct CPUOptions {
  /// Keep calls of libm in place of our own functions of f32.
  bool libm = false;
};

/// A module at the forms level (functions with `rondo.signature` over memrefs,
/// scf and linalg), with the attribute `rondo.target`, becomes one of the LLVM
/// dialect with the functions `@<kernel>_body` and, where the kernel needs
/// scratch, `@<kernel>_worker_bytes_entry` (see rondo/abi.h).
void buildPipeline(mlir::OpPassManager &pm, const CPUOptions &options = {});

/// All passes of this folder, and `--rondo-cpu-pipeline`.
void registerPasses();

/// What the pipeline's passes need to have registered.
void registerDialects(mlir::DialectRegistry &registry);

} // namespace rondo::cpu

#endif // RONDO_PASSES_CPU_PIPELINE_H
