//===- Pipeline.cpp - From the forms level to the LLVM dialect ------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/CPU/Pipeline.h"
#include "mlir/Conversion/ReconcileUnrealizedCasts/ReconcileUnrealizedCasts.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Index/IR/IndexDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/UB/IR/UBOps.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "passes/CPU/Passes.h"
#include "passes/Common/Cleanup.h"
#include "passes/Common/ExpandViews.h"

using namespace mlir;

void rondo::cpu::buildPipeline(OpPassManager &pm, const CPUOptions &options) {
  // Bound sizes are constants before tiles are chosen.
  pm.addPass(createResolveSizes());
  addCleanup(pm);
  pm.addPass(createForwardCopies());
  pm.addPass(createJoinSteps());
  pm.addPass(createJoinRows());
  pm.addPass(createBlockRows());
  pm.addPass(createPairOperands());
  pm.addPass(createFusePointwise());
  pm.addPass(createOutlineNests());
  pm.addPass(createVectorizeLoops());
  if (!options.libm)
    pm.addPass(createApproximateMath());
  // Constants are known to be powers of two only after folding.
  addCleanup(pm);
  pm.addPass(createExpandScalars());
  pm.addPass(createInterleaveChains());
  pm.addPass(createAllowContraction());
  pm.addPass(createLowerEntry());
  addExpandViews(pm);
  pm.addPass(createSCFToControlFlowPass());
  pm.addPass(createLowerToLLVM());
  pm.addPass(createReconcileUnrealizedCastsPass());
}

namespace {
struct PipelineOptions : PassPipelineOptions<PipelineOptions> {
  Option<bool> libm{*this, "libm",
                    llvm::cl::desc("Keep calls of libm in place of our own "
                                   "functions of f32"),
                    llvm::cl::init(false)};
};
} // namespace

void rondo::cpu::registerPasses() {
  registerCPUPasses();
  registerExpandViews();
  PassPipelineRegistration<PipelineOptions>(
      "rondo-cpu-pipeline", "Lower the forms level to the LLVM dialect",
      [](OpPassManager &pm, const PipelineOptions &options) {
        CPUOptions cpuOptions;
        cpuOptions.libm = options.libm;
        buildPipeline(pm, cpuOptions);
      });
}

void rondo::cpu::registerDialects(DialectRegistry &registry) {
  registry.insert<affine::AffineDialect, arith::ArithDialect,
                  cf::ControlFlowDialect, func::FuncDialect,
                  index::IndexDialect, LLVM::LLVMDialect, linalg::LinalgDialect,
                  math::MathDialect, memref::MemRefDialect, scf::SCFDialect,
                  ub::UBDialect, vector::VectorDialect>();
}
