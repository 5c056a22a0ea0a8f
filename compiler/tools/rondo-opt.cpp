//===- rondo-opt.cpp - Run passes over IR ---------------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/Pipeline/Registration.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/Support/LogicalResult.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  rondo::registerEveryDialect(registry);
  rondo::registerEveryPass();
  return mlir::asMainReturnCode(mlir::MlirOptMain(
      argc, argv, "Rondo's passes and dialects, and MLIR's\n", registry));
}
