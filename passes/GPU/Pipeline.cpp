//===- Pipeline.cpp - From the forms level to NVVM ------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/GPU/Pipeline.h"
#include "mlir/Conversion/ReconcileUnrealizedCasts/ReconcileUnrealizedCasts.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "passes/Common/Cleanup.h"
#include "passes/Common/ExpandViews.h"
#include "passes/GPU/Passes.h"

using namespace mlir;

void rondo::gpu::buildDevicePipeline(OpPassManager &pm) {
  pm.addPass(createDistributeThreads());
  addCleanup(pm);
  pm.addPass(createExpandDeviceMath());
  pm.addPass(createVerifyKernels());
  addExpandViews(pm);
  pm.addPass(createSCFToControlFlowPass());
  pm.addPass(createLowerKernels());
  pm.addPass(createReconcileUnrealizedCastsPass());
}

void rondo::gpu::buildHostPipeline(OpPassManager &pm) {
  pm.addPass(createLowerLaunches());
}

void rondo::gpu::registerPasses() {
  registerGPUPasses();
  PassPipelineRegistration<>(
      "rondo-device-pipeline", "Lower kernels at the forms level to NVVM",
      [](OpPassManager &pm) { buildDevicePipeline(pm); });
}

void rondo::gpu::registerDialects(DialectRegistry &registry) {
  registry.insert<affine::AffineDialect, arith::ArithDialect,
                  mlir::gpu::GPUDialect, LLVM::LLVMDialect, math::MathDialect,
                  memref::MemRefDialect, NVVM::NVVMDialect, scf::SCFDialect>();
}
