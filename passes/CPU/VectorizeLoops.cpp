//===- VectorizeLoops.cpp - Lower linalg ops to loops over vectors --------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "passes/CPU/Ahead.h"
#include "passes/CPU/EmitLoops.h"
#include "passes/CPU/Epilogue.h"
#include "passes/CPU/Passes.h"

namespace rondo::cpu {
#define GEN_PASS_DEF_VECTORIZELOOPS
#include "passes/CPU/Passes.h.inc"
} // namespace rondo::cpu

using namespace mlir;
using namespace rondo;
using namespace rondo::cpu;

/// Bytes from which on a result is not expected to stay in a cache.
static constexpr int64_t kLeastStreamed = int64_t(16) << 20;
/// Of the largest vector.
static constexpr int64_t kVectorBytes = 64;

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

  /// Functions that write past the caches.
  llvm::SetVector<func::FuncOp> streaming;
  /// Rows that no product fetches yet.
  SmallVector<CopiedRows> copiedRows;
  /// By reduction.
  llvm::DenseMap<Operation *, FoundEpilogue> epilogues;
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

/// Whether these are the loops of a product of matrices that adds everywhere.
static bool isDense(linalg::GenericOp op) {
  return op.getNumReductionLoops() == 1 && op.getNumParallelLoops() == 2 &&
         op.getOutputs().size() == 1 &&
         llvm::none_of(op.getStaticLoopRanges(), ShapedType::isDynamic) &&
         op.getBody()->getOps<linalg::IndexOp>().empty();
}

/// What this product fetches for the next step: rows of one copy, or of more
/// where there are fewer products. Products that add everywhere come first.
SmallVector<RowsAhead> VectorizeLoops::takeRowsAhead(OpBuilder &builder,
                                                     linalg::GenericOp op,
                                                     const LoopNest &nest,
                                                     const Tile &tile) {
  SmallVector<RowsAhead> result;
  if (!nest.hasReduction() || tile.rowDim < 0)
    return result;
  scf::ForOp loop = getLoop(op);
  bool dense = countsSteps(nest, tile);
  int64_t numRows = nest.staticExtents[tile.rowDim];
  auto fits = [&](const CopiedRows &rows) {
    return rows.loop == loop &&
           (dense ? rows.rows > 0 : rows.rows == numRows || rows.rows < 0);
  };
  if (!loop || !llvm::any_of(copiedRows, fits))
    return result;
  unsigned numProducts = 1;
  for (Operation *next = op->getNextNode(); next; next = next->getNextNode()) {
    auto generic = dyn_cast<linalg::GenericOp>(next);
    if (!generic)
      continue;
    if (!dense && isDense(generic))
      return result;
    numProducts += dense ? isDense(generic)
                         : generic.getNumReductionLoops() > 0 &&
                               generic.getStaticLoopRanges()[0] == numRows;
  }
  unsigned count =
      llvm::divideCeil(llvm::count_if(copiedRows, fits), numProducts);
  for (; count > 0; --count) {
    auto it = llvm::find_if(copiedRows, fits);
    result.push_back(moveAhead(builder, *it));
    copiedRows.erase(it);
  }
  return result;
}

/// The result of a kernel behind a view.
static BlockArgument getResult(Value memref) {
  while (auto view = memref.getDefiningOp<memref::SubViewOp>())
    memref = view.getSource();
  auto argument = dyn_cast<BlockArgument>(memref);
  return argument && isa<func::FuncOp>(argument.getOwner()->getParentOp())
             ? argument
             : BlockArgument();
}

/// Results that a step only writes: when they are large, nobody finds them in a
/// cache later, and to fetch their lines before they are overwritten is a third
/// of the traffic.
static SmallVector<unsigned> findStreamed(const LoopNest &nest,
                                          const Tile &tile) {
  SmallVector<unsigned> result;
  scf::ForOp loop = getLoop(nest.op);
  if (!loop || !loop->hasAttr("rondo.steps") || nest.hasReduction() ||
      nest.getNumDims() != 1 || tile.vectorDim != 0)
    return result;
  for (auto [i, output] : llvm::enumerate(nest.outputs))
    if (output.accumulator.use_empty() && getResult(output.memref))
      result.push_back(i);
  return result;
}

/// Whether these results are large, and their rows aligned.
static Value emitCanStream(OpBuilder &builder, const LoopNest &nest,
                           ArrayRef<unsigned> streamed) {
  Location loc = nest.getLoc();
  auto constant = [&](int64_t value) -> Value {
    return arith::ConstantIndexOp::create(builder, loc, value);
  };
  Value holds;
  auto require = [&](arith::CmpIPredicate predicate, Value lhs, Value rhs) {
    Value test = arith::CmpIOp::create(builder, loc, predicate, lhs, rhs);
    holds = holds ? arith::AndIOp::create(builder, loc, holds, test) : test;
  };
  for (unsigned number : streamed) {
    Value row = nest.outputs[number].memref;
    BlockArgument whole = getResult(row);
    auto type = cast<MemRefType>(whole.getType());
    int64_t elementBytes = type.getElementTypeBitWidth() / 8;
    Value bytes = constant(elementBytes);
    for (int64_t dim = 0; dim < type.getRank(); ++dim)
      bytes = arith::MulIOp::create(
          builder, loc, bytes, memref::DimOp::create(builder, loc, whole, dim));
    require(arith::CmpIPredicate::sge, bytes, constant(kLeastStreamed));
    auto metadata = memref::ExtractStridedMetadataOp::create(builder, loc, row);
    Value address = memref::ExtractAlignedPointerAsIndexOp::create(
        builder, loc, metadata.getBaseBuffer());
    Value offset = arith::MulIOp::create(builder, loc, metadata.getOffset(),
                                         constant(elementBytes));
    address = arith::AddIOp::create(builder, loc, address, offset);
    Value low = arith::AndIOp::create(builder, loc, address,
                                      constant(kVectorBytes - 1));
    require(arith::CmpIPredicate::eq, low, constant(0));
  }
  return holds;
}

LogicalResult VectorizeLoops::lower(linalg::LinalgOp op, linalg::FillOp fill,
                                    const Target &target) {
  auto generic = dyn_cast<linalg::GenericOp>(op.getOperation());
  bool isRare = op->hasAttr("rondo.rare");
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
  Tile tile = chooseTile(*nest, target, lanes, isRare);
  ++(lanes ? numVectorized : numScalar);
  if (tile.triangle)
    nest->dropFilter(*tile.triangle);
  bool hasTerms = true;
  for (unsigned dim = 0; dim < nest->getNumDims(); ++dim)
    hasTerms &= !nest->isReduction(dim) || nest->staticExtents[dim] > 0;
  builder.setInsertionPoint(generic);
  SmallVector<RowsAhead> ahead = takeRowsAhead(builder, generic, *nest, tile);
  // Taken out: an op that is made later may have the same address.
  FoundEpilogue candidate = epilogues.lookup(generic);
  epilogues.erase(generic);
  if (candidate.op) {
    linalg::GenericOp other = withSumAsOutput(candidate.op, generic);
    builder.setInsertionPoint(other);
    FailureOr<Epilogue> epilogue =
        createEpilogue(builder, *nest, tile, other, candidate.keepsSum);
    if (succeeded(epilogue)) {
      builder.setInsertionPoint(other);
      emitLoops(builder, *nest, tile, &*lanes, ahead, &*epilogue);
      ++numEpilogues;
      other.erase();
      generic.erase();
      if (fill)
        fill.erase();
      return success();
    }
    if (failed(lower(other, {}, target)))
      return failure();
    builder.setInsertionPoint(generic);
  }
  tile.streamed = findStreamed(*nest, tile);
  if (!tile.streamed.empty()) {
    auto test = scf::IfOp::create(builder, generic.getLoc(),
                                  emitCanStream(builder, *nest, tile.streamed),
                                  /*withElseRegion=*/true);
    builder.setInsertionPointToStart(test.thenBlock());
    emitLoops(builder, *nest, tile, &*lanes, ahead);
    tile.streamed.clear();
    builder.setInsertionPointToStart(test.elseBlock());
    streaming.insert(generic->getParentOfType<func::FuncOp>());
  }
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
  // One pass may run on several modules.
  streaming.clear();
  Target target = getTarget(getOperation());
  replaceMemRefCopies(getOperation());
  for (auto func : getOperation().getOps<func::FuncOp>())
    fetchNextPieces(func);
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
  epilogues = findEpilogues(getOperation());
  llvm::DenseSet<Operation *> taken;
  for (auto &[reduction, epilogue] : epilogues)
    taken.insert(epilogue.op);
  for (linalg::LinalgOp op : ops) {
    if (filled.contains(op) || taken.contains(op))
      continue;
    if (failed(lower(op, fills.lookup(op), target)))
      return signalPassFailure();
  }
  // Such writes are in no order with others but for this.
  for (func::FuncOp func : streaming) {
    OpBuilder builder(func.getBody().back().getTerminator());
    LLVM::CallIntrinsicOp::create(builder, func.getLoc(),
                                  builder.getStringAttr("llvm.x86.sse.sfence"),
                                  ValueRange());
  }
}
