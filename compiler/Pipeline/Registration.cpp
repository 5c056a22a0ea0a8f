//===- Registration.cpp - Every dialect and pass that Rondo uses ----------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/Pipeline/Registration.h"
#include "dialects/Rondo/IR/RondoDialect.h"
#include "dialects/Tile/IR/TileDialect.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/DLTI/DLTI.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/UB/IR/UBOps.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/InitAllPasses.h"
#include "dialects/Rondo/Transforms/Passes.h"
#include "passes/Algebra/Passes.h"
#include "passes/CPU/Pipeline.h"
#include "passes/Forms/Passes.h"
#include "passes/GPU/Pipeline.h"
#include "passes/GPU/Tile/Passes.h"
#include "passes/Strategy/Passes.h"

void rondo::registerDialects(mlir::DialectRegistry &registry) {
  registry.insert<RondoDialect, tile::TileDialect, mlir::affine::AffineDialect,
                  mlir::arith::ArithDialect, mlir::cf::ControlFlowDialect,
                  mlir::DLTIDialect, mlir::func::FuncDialect,
                  mlir::LLVM::LLVMDialect, mlir::linalg::LinalgDialect,
                  mlir::math::MathDialect, mlir::memref::MemRefDialect,
                  mlir::scf::SCFDialect, mlir::tensor::TensorDialect,
                  mlir::ub::UBDialect, mlir::vector::VectorDialect>();
  cpu::registerDialects(registry);
  gpu::registerDialects(registry);
}

void rondo::registerEveryDialect(mlir::DialectRegistry &registry) {
  registry.insert<RondoDialect, tile::TileDialect>();
  mlir::registerAllDialects(registry);
  mlir::registerAllExtensions(registry);
  cpu::registerDialects(registry);
  gpu::registerDialects(registry);
}

void rondo::registerEveryPass() {
  mlir::registerAllPasses();
  registerRondoTransformsPasses();
  algebra::registerAlgebraPasses();
  registerFormsPasses();
  registerStrategyPasses();
  cpu::registerPasses();
  tile::registerTilePasses();
  gpu::registerPasses();
}
