//===- Cleanup.cpp - Canonicalisation and CSE -----------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Common/Cleanup.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"

void rondo::addCleanup(mlir::OpPassManager &pm) {
  pm.addPass(mlir::createCanonicalizerPass());
  pm.addPass(mlir::createCSEPass());
}
