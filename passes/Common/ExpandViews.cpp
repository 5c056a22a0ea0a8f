//===- ExpandViews.cpp - Views of memrefs to arithmetic -------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Common/ExpandViews.h"
#include "mlir/Conversion/AffineToStandard/AffineToStandard.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/MemRef/Transforms/Transforms.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;

namespace {

class ExpandViews : public PassWrapper<ExpandViews, OperationPass<>> {
public:
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ExpandViews)

  StringRef getArgument() const override { return "rondo-expand-views"; }
  StringRef getDescription() const override {
    return "Turn views of memrefs and affine expressions into arithmetic";
  }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<affine::AffineDialect, arith::ArithDialect,
                    memref::MemRefDialect, scf::SCFDialect>();
  }

  void runOnOperation() override {
    // All views before any expression: expressions are composed on the way.
    RewritePatternSet views(&getContext());
    memref::populateExpandStridedMetadataPatterns(views);
    rewrite(std::move(views), [](Operation *op) {
      return isa<memref::SubViewOp, memref::ExpandShapeOp,
                 memref::CollapseShapeOp, memref::ReinterpretCastOp,
                 memref::ExtractStridedMetadataOp,
                 memref::ExtractAlignedPointerAsIndexOp>(op);
    });
    RewritePatternSet expressions(&getContext());
    populateAffineToStdConversionPatterns(expressions);
    rewrite(std::move(expressions), [](Operation *op) {
      return isa<affine::AffineDialect>(op->getDialect());
    });
  }

private:
  void rewrite(RewritePatternSet patterns,
               llvm::function_ref<bool(Operation *)> isMeant) {
    SmallVector<Operation *> ops;
    getOperation()->walk([&](Operation *op) {
      if (isMeant(op))
        ops.push_back(op);
    });
    GreedyRewriteConfig config;
    config.setStrictness(GreedyRewriteStrictness::ExistingAndNewOps);
    if (failed(applyOpPatternsGreedily(ops, std::move(patterns), config)))
      signalPassFailure();
  }
};

} // namespace

void rondo::addExpandViews(OpPassManager &pm) {
  pm.addPass(std::make_unique<ExpandViews>());
}

void rondo::registerExpandViews() { PassRegistration<ExpandViews>(); }
