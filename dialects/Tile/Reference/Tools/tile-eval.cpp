//===- tile-eval.cpp - Print what functions on tiles return ---------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// For tests: evaluates every function without arguments of an .mlir file and
// prints the tiles and the memory that it returns, one row a line.
//
//===----------------------------------------------------------------------===//

#include "dialects/Tile/IR/TileDialect.h"
#include "dialects/Tile/Reference/Eval.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/Format.h"

using namespace mlir;
using namespace rondo::tile;

static void print(const Array &array) {
  int64_t columns = array.shape.empty() ? 1 : array.shape.back();
  for (size_t i = 0; i < array.values.size(); ++i)
    llvm::outs() << llvm::format("%g", array.values[i])
                 << ((i + 1) % columns ? ' ' : '\n');
}

int main(int argc, char **argv) {
  if (argc != 2) {
    llvm::errs() << "usage: tile-eval FILE.mlir\n";
    return 2;
  }
  DialectRegistry registry;
  registry.insert<TileDialect, arith::ArithDialect, func::FuncDialect,
                  gpu::GPUDialect, math::MathDialect, memref::MemRefDialect,
                  scf::SCFDialect>();
  MLIRContext context(registry);
  OwningOpRef<ModuleOp> module = parseSourceFile<ModuleOp>(argv[1], &context);
  if (!module)
    return 1;
  for (auto function : module->getOps<func::FuncOp>()) {
    if (function.getNumArguments() || function.isExternal())
      continue;
    FailureOr<SmallVector<Datum>> results = evaluate(function, {});
    if (failed(results))
      return 1;
    llvm::outs() << function.getName() << '\n';
    for (const Datum &datum : *results)
      if (auto *array = std::get_if<std::shared_ptr<Array>>(&datum))
        print(**array);
  }
  return 0;
}
