//===- VectorizeLoops.cpp - Lower linalg ops to loops over vectors --------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "passes/CPU/EmitLoops.h"
#include "passes/CPU/Passes.h"

namespace rondo::cpu {
#define GEN_PASS_DEF_VECTORIZELOOPS
#include "passes/CPU/Passes.h.inc"
} // namespace rondo::cpu

using namespace mlir;
using namespace rondo;
using namespace rondo::cpu;

namespace {
class VectorizeLoops
    : public rondo::cpu::impl::VectorizeLoopsBase<VectorizeLoops> {
public:
  void runOnOperation() override;

private:
  LogicalResult lower(linalg::GenericOp op, const Target &target);
};
} // namespace

/// memref.copy may have a library call behind it; a linalg.copy has not.
static void replaceMemRefCopies(ModuleOp module) {
  module.walk([](memref::CopyOp copy) {
    OpBuilder builder(copy);
    linalg::CopyOp::create(builder, copy.getLoc(), copy.getSource(),
                           copy.getTarget());
    copy.erase();
  });
}

LogicalResult VectorizeLoops::lower(linalg::GenericOp op,
                                    const Target &target) {
  OpBuilder builder(op);
  FailureOr<LoopNest> nest = LoopNest::create(op, builder);
  if (failed(nest))
    return failure();
  std::optional<Lanes> lanes;
  Tile tile = chooseTile(*nest, target, lanes);
  ++(lanes ? numVectorized : numScalar);
  builder.setInsertionPoint(op);
  emitLoops(builder, *nest, tile, lanes ? &*lanes : nullptr);
  op.erase();
  return success();
}

void VectorizeLoops::runOnOperation() {
  Target target = getTarget(getOperation());
  replaceMemRefCopies(getOperation());
  IRRewriter rewriter(&getContext());
  SmallVector<linalg::LinalgOp> ops;
  getOperation().walk([&](linalg::LinalgOp op) { ops.push_back(op); });
  for (linalg::LinalgOp op : ops) {
    auto generic = dyn_cast<linalg::GenericOp>(op.getOperation());
    if (!generic) {
      rewriter.setInsertionPoint(op);
      FailureOr<linalg::GenericOp> general =
          linalg::generalizeNamedOp(rewriter, op);
      if (failed(general)) {
        op.emitError("can't be brought into the form of linalg.generic");
        return signalPassFailure();
      }
      generic = *general;
    }
    if (failed(lower(generic, target)))
      return signalPassFailure();
  }
}
