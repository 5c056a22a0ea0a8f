//===- DistributeThreads.cpp - linalg ops as loops over threads -----------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Three steps over a kernel: scalars of the workspace become variables of the
// thread; barriers are placed where a thread may need what another one wrote
// (Barriers.h); ops become loops (ThreadLoops.h).
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "passes/GPU/Barriers.h"
#include "passes/GPU/Passes.h"
#include "passes/GPU/ThreadLoops.h"

namespace rondo::gpu {
#define GEN_PASS_DEF_DISTRIBUTETHREADS
#include "passes/GPU/Passes.h.inc"
} // namespace rondo::gpu

using namespace mlir;
using namespace rondo::gpu;

/// Copies and fills as linalg.generic, so that there is one kind of op.
static LogicalResult generalize(mlir::gpu::GPUFuncOp func) {
  SmallVector<Operation *> ops;
  func.walk([&](Operation *op) {
    if (isa<linalg::FillOp, linalg::CopyOp, memref::CopyOp>(op))
      ops.push_back(op);
  });
  IRRewriter rewriter(func.getContext());
  for (Operation *op : ops) {
    rewriter.setInsertionPoint(op);
    if (auto copy = dyn_cast<memref::CopyOp>(op)) {
      op = linalg::CopyOp::create(rewriter, copy.getLoc(), copy.getSource(),
                                  copy.getTarget());
      rewriter.eraseOp(copy);
    }
    if (failed(linalg::generalizeNamedOp(rewriter,
                                         cast<linalg::LinalgOp>(op))))
      return op->emitOpError("can't be generalized");
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Scalars
//===----------------------------------------------------------------------===//

/// Whether every thread can hold this scalar of the workspace itself: each of
/// its values is computed by every thread.
static bool canBeVariable(Value scalar) {
  for (OpOperand &use : scalar.getUses()) {
    Operation *user = use.getOwner();
    if (isa<memref::LoadOp>(user) ||
        (isa<memref::StoreOp>(user) && use.getOperandNumber() == 1 &&
         !user->getParentOfType<linalg::GenericOp>()))
      continue;
    auto op = dyn_cast<linalg::GenericOp>(user);
    if (!op)
      return false;
    if (op.isDpsInit(&use) &&
        (op.getNumParallelLoops() > 0 || !isComputedByAll(op)))
      return false;
  }
  return true;
}

static void makeVariables(mlir::gpu::GPUFuncOp func) {
  SmallVector<memref::ViewOp> views;
  func.walk([&](memref::ViewOp view) {
    if (view.getType().getRank() == 0)
      views.push_back(view);
  });
  // Another view of the same bytes would not see the variable.
  auto placeOf = [](memref::ViewOp view) {
    return std::pair(view.getSource(), view.getByteShift());
  };
  DenseMap<std::pair<Value, Value>, unsigned> sharing;
  func.walk([&](memref::ViewOp view) { ++sharing[placeOf(view)]; });
  OpBuilder b(func.getContext());
  for (memref::ViewOp view : views) {
    if (sharing[placeOf(view)] != 1 || !canBeVariable(view))
      continue;
    b.setInsertionPointToStart(&func.getBody().front());
    Value variable =
        memref::AllocaOp::create(b, view.getLoc(), view.getType());
    view.replaceAllUsesWith(variable);
    view.erase();
  }
}

//===----------------------------------------------------------------------===//
// Stores of scalar code
//===----------------------------------------------------------------------===//

/// Stores outside of linalg ops are made by the first thread. Faults become a
/// compare and swap, which one thread of the device wins.
static void guardStores(mlir::gpu::GPUFuncOp func, Value thread) {
  SmallVector<memref::StoreOp> stores;
  func.walk([&](memref::StoreOp store) {
    if (store.getMemRef().getDefiningOp<memref::AllocaOp>() ||
        store->getParentOfType<linalg::GenericOp>())
      return;
    auto cast = store.getMemRef().getDefiningOp<memref::CastOp>();
    if (cast && cast.getSource().getDefiningOp<memref::AllocaOp>())
      return;
    stores.push_back(store);
  });
  OpBuilder b(func.getContext());
  for (memref::StoreOp store : stores) {
    Location loc = store.getLoc();
    b.setInsertionPoint(store);
    Value zero = arith::ConstantIndexOp::create(b, loc, 0);
    Value isFirst = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq,
                                          thread, zero);
    auto guard = scf::IfOp::create(b, loc, isFirst, /*withElseRegion=*/false);
    store->moveBefore(guard.thenBlock()->getTerminator());
  }
}

/// if (fault[0] == 0) { fault[0] = site; fault[1] = index } as one exchange:
/// only the thread that changes fault[0] from 0 writes the rest.
static void exchangeFaults(mlir::gpu::GPUFuncOp func) {
  unsigned count = func.getNumArguments();
  if (count < 3)
    return;
  auto isFault = [&](Value memref) {
    auto type = dyn_cast<MemRefType>(memref.getType());
    return memref == func.getArgument(count - 3) && type &&
           type.getElementType().isInteger(64);
  };
  SmallVector<memref::StoreOp> sites;
  func.walk([&](memref::StoreOp store) {
    std::optional<int64_t> place;
    if (isFault(store.getMemRef()) && store.getIndices().size() == 1)
      place = getConstantIntValue(store.getIndices()[0]);
    if (place && *place == 0)
      sites.push_back(store);
  });
  OpBuilder b(func.getContext());
  for (memref::StoreOp site : sites) {
    Location loc = site.getLoc();
    b.setInsertionPoint(site);
    Value address = memref::ExtractAlignedPointerAsIndexOp::create(
        b, loc, site.getMemRef());
    address = arith::IndexCastOp::create(b, loc, b.getI64Type(), address);
    address = LLVM::IntToPtrOp::create(
        b, loc, LLVM::LLVMPointerType::get(b.getContext()), address);
    Value zero = arith::ConstantOp::create(b, loc, b.getI64IntegerAttr(0));
    Value exchange = LLVM::AtomicCmpXchgOp::create(
        b, loc, address, zero, site.getValue(), LLVM::AtomicOrdering::monotonic,
        LLVM::AtomicOrdering::monotonic);
    Value won = LLVM::ExtractValueOp::create(b, loc, exchange,
                                             ArrayRef<int64_t>{1});
    auto winner = scf::IfOp::create(b, loc, won, /*withElseRegion=*/false);
    // What follows in the block is the rest of the record.
    Operation *next = site->getNextNode();
    while (next && !next->hasTrait<OpTrait::IsTerminator>()) {
      Operation *after = next->getNextNode();
      next->moveBefore(winner.thenBlock()->getTerminator());
      next = after;
    }
    site.erase();
  }
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

namespace {
class DistributeThreads
    : public rondo::gpu::impl::DistributeThreadsBase<DistributeThreads> {
public:
  void runOnOperation() override {
    SmallVector<mlir::gpu::GPUFuncOp> funcs;
    getOperation().walk([&](mlir::gpu::GPUFuncOp func) {
      if (func.getKnownBlockSize() && !func.isExternal())
        funcs.push_back(func);
    });
    for (mlir::gpu::GPUFuncOp func : funcs)
      if (failed(distribute(func)))
        return signalPassFailure();
  }

private:
  LogicalResult distribute(mlir::gpu::GPUFuncOp func) {
    if (failed(generalize(func)))
      return failure();
    SmallVector<linalg::GenericOp> ops;
    func.walk([&](linalg::GenericOp op) { ops.push_back(op); });
    if (ops.empty() && !func->hasAttr("rondo.pointers"))
      return success(); // written for threads already
    makeVariables(func);
    int64_t threads = (*func.getKnownBlockSize())[0];
    numBarriers += placeBarriers(func, threads);
    OpBuilder b = OpBuilder::atBlockBegin(&func.getBody().front());
    Value thread = mlir::gpu::ThreadIdOp::create(b, func.getLoc(),
                                                 mlir::gpu::Dimension::x);
    guardStores(func, thread);
    for (linalg::GenericOp op : ops) {
      if (failed(emitThreadLoops(op, thread, threads)))
        return failure();
      ++numDistributed;
    }
    exchangeFaults(func);
    return success();
  }
};
} // namespace
