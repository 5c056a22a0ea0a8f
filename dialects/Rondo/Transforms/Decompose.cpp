//===- Decompose.cpp - Whole forms to equations and recurrences -----------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/Rondo/Transforms/Equations.h"
#include "dialects/Rondo/Transforms/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

namespace rondo {
#define GEN_PASS_DEF_DECOMPOSE
#include "dialects/Rondo/Transforms/Passes.h.inc"
} // namespace rondo

using namespace mlir;
using namespace rondo;

namespace {

struct Decompose : rondo::impl::DecomposeBase<Decompose> {
  void runOnOperation() override {
    // Inner reductions first: what is around them then reads a tensor.
    SmallVector<ReduceOp> reduces;
    getOperation()->walk([&](ReduceOp op) { reduces.push_back(op); });
    for (ReduceOp op : reduces)
      decomposeReduce(op);
    numReduces += reduces.size();

    SmallVector<Operation *> forms;
    getOperation()->walk([&](Operation *op) {
      if (isa<AttentionOp, ScanOp, ConvolutionOp, TriangularSolveOp>(op))
        forms.push_back(op);
    });
    for (Operation *op : forms) {
      if (auto attention = dyn_cast<AttentionOp>(op))
        decomposeAttention(attention);
      else if (auto scan = dyn_cast<ScanOp>(op))
        decomposeScan(scan);
      else if (auto solve = dyn_cast<TriangularSolveOp>(op))
        decomposeTriangularSolve(solve);
      else
        decomposeConvolution(cast<ConvolutionOp>(op));
    }
    numForms += forms.size();
  }
};

} // namespace
