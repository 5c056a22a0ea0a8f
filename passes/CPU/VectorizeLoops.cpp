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
#include "mlir/IR/Matchers.h"
#include "passes/CPU/Ahead.h"
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
  LogicalResult lower(linalg::LinalgOp op, linalg::FillOp fill,
                      const Target &target);
  SmallVector<RowsAhead> takeRowsAhead(OpBuilder &builder, linalg::GenericOp op,
                                       const LoopNest &nest, const Tile &tile);

  /// Rows that no product fetches yet.
  SmallVector<CopiedRows> copiedRows;
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

/// The fill right before a reduction that it need not read: the fill of its
/// output with the identity.
static linalg::FillOp findFill(linalg::GenericOp op) {
  if (op.getOutputs().size() != 1 || op.getNumReductionLoops() == 0)
    return {};
  Block *body = op.getBody();
  Operation *combiner = body->getTerminator()->getOperand(0).getDefiningOp();
  if (!combiner || combiner->getBlock() != body ||
      combiner->getNumOperands() != 2 || !combiner->hasOneUse() ||
      !body->getArguments().back().hasOneUse() ||
      *body->getArguments().back().user_begin() != combiner)
    return {};
  for (Operation *before = op->getPrevNode(); before;
       before = before->getPrevNode()) {
    auto fill = dyn_cast<linalg::FillOp>(before);
    if (!fill) {
      if (!isMemoryEffectFree(before))
        return {};
      continue;
    }
    Attribute value;
    if (fill.getOutputs()[0] != op.getOutputs()[0] ||
        !matchPattern(fill.getInputs()[0], m_Constant(&value)) ||
        value != getIdentity(combiner, combiner->getResult(0).getType()))
      return {};
    return fill;
  }
  return {};
}

/// What this product fetches for the next step: rows of one copy, or of more
/// where there are fewer products.
SmallVector<RowsAhead> VectorizeLoops::takeRowsAhead(OpBuilder &builder,
                                                     linalg::GenericOp op,
                                                     const LoopNest &nest,
                                                     const Tile &tile) {
  SmallVector<RowsAhead> result;
  if (!nest.hasReduction() || tile.rowDim < 0)
    return result;
  scf::ForOp loop = getLoop(op);
  int64_t numRows = nest.staticExtents[tile.rowDim];
  auto fits = [&](const CopiedRows &rows) {
    return rows.loop == loop && (rows.rows == numRows || rows.rows < 0);
  };
  if (!loop || !llvm::any_of(copiedRows, fits))
    return result;
  unsigned numProducts = 1;
  for (Operation *next = op->getNextNode(); next; next = next->getNextNode())
    if (auto generic = dyn_cast<linalg::GenericOp>(next))
      numProducts += generic.getNumReductionLoops() > 0 &&
                     generic.getStaticLoopRanges()[0] == numRows;
  unsigned count =
      llvm::divideCeil(llvm::count_if(copiedRows, fits), numProducts);
  for (; count > 0; --count) {
    auto it = llvm::find_if(copiedRows, fits);
    result.push_back(moveAhead(builder, *it));
    copiedRows.erase(it);
  }
  return result;
}

LogicalResult VectorizeLoops::lower(linalg::LinalgOp op, linalg::FillOp fill,
                                    const Target &target) {
  auto generic = dyn_cast<linalg::GenericOp>(op.getOperation());
  if (!generic) {
    IRRewriter rewriter(op);
    FailureOr<linalg::GenericOp> general =
        linalg::generalizeNamedOp(rewriter, op);
    if (failed(general))
      return op.emitError("can't be brought into the form of linalg.generic");
    generic = *general;
  }
  OpBuilder builder(generic);
  FailureOr<LoopNest> nest = LoopNest::create(generic, builder);
  if (failed(nest))
    return failure();
  nest->startsFresh = static_cast<bool>(fill);
  std::optional<Lanes> lanes;
  Tile tile = chooseTile(*nest, target, lanes);
  ++(lanes ? numVectorized : numScalar);
  if (tile.triangle)
    nest->dropFilter(*tile.triangle);
  bool hasTerms = true;
  for (unsigned dim = 0; dim < nest->getNumDims(); ++dim)
    hasTerms &= !nest->isReduction(dim) || nest->staticExtents[dim] > 0;
  builder.setInsertionPoint(generic);
  SmallVector<RowsAhead> ahead = takeRowsAhead(builder, generic, *nest, tile);
  scf::IfOp guard =
      emitLoops(builder, *nest, tile, lanes ? &*lanes : nullptr, ahead);
  generic.erase();
  if (!fill)
    return success();
  if (!guard || hasTerms) {
    fill.erase();
    return success();
  }
  // Without terms the fill is all there is.
  Block *otherwise = builder.createBlock(&guard.getElseRegion());
  scf::YieldOp::create(builder, guard.getLoc());
  fill->moveBefore(otherwise->getTerminator());
  return lower(fill, {}, target);
}

void VectorizeLoops::runOnOperation() {
  Target target = getTarget(getOperation());
  replaceMemRefCopies(getOperation());
  copiedRows = findCopiedRows(getOperation());
  SmallVector<linalg::LinalgOp> ops;
  getOperation().walk([&](linalg::LinalgOp op) { ops.push_back(op); });
  llvm::DenseMap<Operation *, linalg::FillOp> fills; // by reduction
  llvm::DenseSet<Operation *> filled;
  for (linalg::LinalgOp op : ops)
    if (auto generic = dyn_cast<linalg::GenericOp>(op.getOperation()))
      if (linalg::FillOp fill = findFill(generic)) {
        fills[generic] = fill;
        filled.insert(fill);
      }
  for (linalg::LinalgOp op : ops)
    if (!filled.contains(op) && failed(lower(op, fills.lookup(op), target)))
      return signalPassFailure();
}
