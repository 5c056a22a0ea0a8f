//===- ForwardCopies.cpp - Read rows where they are, not in a copy --------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Rows of arguments are read where they are by what reads them once. What a
// step copies from one buffer to another, as the values that a system has for
// its solution, is read in the first one, if that still holds it.
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "passes/CPU/Buffers.h"
#include "passes/CPU/Passes.h"

namespace rondo::cpu {
#define GEN_PASS_DEF_FORWARDCOPIES
#include "passes/CPU/Passes.h.inc"
} // namespace rondo::cpu

using namespace mlir;
using namespace rondo;
using namespace rondo::cpu;

namespace {

/// if whole { buffer = rows of an argument; .. } else { .. }
struct Copy {
  scf::IfOp test;
  linalg::GenericOp op;
  memref::SubViewOp rows;
  Value buffer;
  /// The reads of the buffer that follow the test.
  SmallVector<OpOperand *> reads;
};

struct ForwardCopies : rondo::cpu::impl::ForwardCopiesBase<ForwardCopies> {
  void runOnOperation() override;
};

} // namespace

/// Whether what computes `value` can stand in front of `block`.
static bool canLeave(Value value, Block *block) {
  Operation *def = value.getDefiningOp();
  return !def || def->getBlock() != block ||
         (isPure(def) && llvm::all_of(def->getOperands(), [&](Value operand) {
            return canLeave(operand, block);
          }));
}

static void moveBefore(Value value, scf::IfOp test) {
  Operation *def = value.getDefiningOp();
  if (!def || def->getBlock() != test.thenBlock())
    return;
  for (Value operand : def->getOperands())
    moveBefore(operand, test);
  def->moveBefore(test);
}

static bool isCopy(linalg::GenericOp op) {
  return op.getInputs().size() == 1 && op.getOutputs().size() == 1 &&
         op.getNumReductionLoops() == 0 &&
         llvm::all_of(op.getIndexingMapsArray(),
                      [](AffineMap map) { return map.isIdentity(); }) &&
         op.getBody()->getTerminator()->getOperand(0) ==
             op.getBody()->getArgument(0);
}

/// The copy that `op` is, in the `then` block of `test`.
static std::optional<Copy> matchCopy(scf::IfOp test, linalg::GenericOp op) {
  if (!isCopy(op))
    return std::nullopt;
  Copy copy{test, op, {}, op.getOutputs()[0], {}};
  copy.rows = op.getInputs()[0].getDefiningOp<memref::SubViewOp>();
  if (!copy.rows || !copy.buffer.getDefiningOp<memref::ViewOp>() ||
      !canLeave(copy.rows, op->getBlock()))
    return std::nullopt;
  auto argument = dyn_cast<BlockArgument>(copy.rows.getSource());
  auto type = cast<MemRefType>(copy.buffer.getType());
  if (!argument || !isa<func::FuncOp>(argument.getOwner()->getParentOp()) ||
      type.getRank() != 2 || !type.hasStaticShape() ||
      !copy.rows.getType().isLastDimUnitStride() ||
      type.getElementType() != copy.rows.getType().getElementType())
    return std::nullopt;
  return copy;
}

/// Whether a linalg op reads its operand once, or a few rows at a time, as
/// products read the left of two matrices. The right one they read again and
/// again, and want rows that lie close together.
static bool readsOnce(OpOperand &use) {
  auto op = dyn_cast<linalg::GenericOp>(use.getOwner());
  if (!op || op.isDpsInit(&use))
    return false;
  if (op.getNumReductionLoops() == 0)
    return true;
  AffineMap map = op.getMatchingIndexingMap(&use);
  auto isReduction = [&](AffineExpr expr) {
    unsigned dim = cast<AffineDimExpr>(expr).getPosition();
    return op.getIteratorTypesArray()[dim] == utils::IteratorType::reduction;
  };
  return map.isProjectedPermutation() && map.getNumResults() == 2 &&
         op.getNumLoops() == 3 && !isReduction(map.getResult(0)) &&
         isReduction(map.getResult(1));
}

/// Finds the reads after the test; fails if there is any other use.
static bool collectReads(Copy &copy, Value value) {
  for (OpOperand &use : value.getUses()) {
    Operation *user = use.getOwner();
    if (user == copy.op || copy.test.elseBlock()->findAncestorOpInBlock(*user))
      continue;
    Operation *inBlock = copy.test->getBlock()->findAncestorOpInBlock(*user);
    if (!inBlock || inBlock == copy.test ||
        !copy.test->isBeforeInBlock(inBlock))
      return false;
    if (isa<memref::LoadOp>(user)) {
      copy.reads.push_back(&use);
      continue;
    }
    if (auto view = dyn_cast<memref::SubViewOp>(user)) {
      // One row of them, or some.
      for (OpOperand &viewUse : view->getUses()) {
        auto op = dyn_cast<linalg::GenericOp>(viewUse.getOwner());
        bool isRow = view.getType().getRank() == 1;
        if (!op || op.isDpsInit(&viewUse) || (!isRow && !readsOnce(viewUse)))
          return false;
      }
      copy.reads.push_back(&use);
      continue;
    }
    if (!readsOnce(use))
      return false;
    copy.reads.push_back(&use);
  }
  return true;
}

/// The views that a step makes of the buffer are made of the rows.
static void forward(Copy &copy) {
  OpBuilder builder(copy.test);
  Location loc = copy.op.getLoc();
  moveBefore(copy.rows, copy.test);
  auto type = MemRefType::get(
      copy.rows.getType().getShape(), copy.rows.getType().getElementType(),
      StridedLayoutAttr::get(builder.getContext(), ShapedType::kDynamic,
                             {ShapedType::kDynamic, 1}));
  auto toRows = [&](Value value) -> Value {
    return value.getType() == type
               ? value
               : memref::CastOp::create(builder, loc, type, value).getResult();
  };
  Value rows = arith::SelectOp::create(builder, loc, copy.test.getCondition(),
                                       toRows(copy.rows), toRows(copy.buffer));
  for (OpOperand *read : copy.reads) {
    auto view = dyn_cast<memref::SubViewOp>(read->getOwner());
    if (!view) {
      read->set(rows);
      continue;
    }
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPoint(view);
    auto viewType =
        cast<MemRefType>(memref::SubViewOp::inferRankReducedResultType(
            view.getType().getShape(), type, view.getMixedOffsets(),
            view.getMixedSizes(), view.getMixedStrides()));
    auto other = memref::SubViewOp::create(
        builder, view.getLoc(), viewType, rows, view.getMixedOffsets(),
        view.getMixedSizes(), view.getMixedStrides());
    view.replaceAllUsesWith(other.getResult());
    view.erase();
  }
  copy.op.erase();
}

//===----------------------------------------------------------------------===//
// From buffer to buffer
//===----------------------------------------------------------------------===//

/// The ops behind a copy, in its block, in which views of what it fills are
/// read; false if there is any other use.
static bool collectReaders(Value view, linalg::GenericOp copy,
                           SmallVectorImpl<Operation *> &readers) {
  return llvm::all_of(view.getUses(), [&](OpOperand &use) {
    Operation *user = use.getOwner();
    if (user == copy)
      return true;
    Operation *inBlock = copy->getBlock()->findAncestorOpInBlock(*user);
    if (!inBlock || !copy->isBeforeInBlock(inBlock))
      return false;
    if (isa<memref::SubViewOp>(user))
      return collectReaders(user->getResult(0), copy, readers);
    readers.push_back(inBlock);
    auto op = dyn_cast<linalg::LinalgOp>(user);
    return isa<memref::LoadOp>(user) || (op && !op.isDpsInit(&use));
  });
}

/// Whether an op, or one in it, may write to what is behind a view.
static bool mayWrite(Operation *op, Value view) {
  return op
      ->walk([&](Operation *inner) {
        if (auto linalgOp = dyn_cast<linalg::LinalgOp>(inner))
          return llvm::any_of(
                     linalgOp.getDpsInits(),
                     [&](Value init) { return mayOverlap(init, view); })
                     ? WalkResult::interrupt()
                     : WalkResult::advance();
        if (auto store = dyn_cast<memref::StoreOp>(inner))
          return mayOverlap(store.getMemRef(), view) ? WalkResult::interrupt()
                                                     : WalkResult::advance();
        bool isKnown =
            isPure(inner) || isa<memref::LoadOp, scf::ForOp, scf::IfOp,
                                 scf::YieldOp, linalg::YieldOp>(inner);
        return isKnown ? WalkResult::advance() : WalkResult::interrupt();
      })
      .wasInterrupted();
}

/// Whether the buffer that a copy fills holds nothing else, and what it copies
/// stays as it is until the last read.
static bool isNeedless(linalg::GenericOp op) {
  if (!isCopy(op) || op->getParentOfType<scf::IfOp>())
    return false;
  Value source = op.getInputs()[0], target = op.getOutputs()[0];
  auto type = dyn_cast<MemRefType>(source.getType());
  SmallVector<Value> roots;
  if (!type || type.getElementType() !=
                   cast<MemRefType>(target.getType()).getElementType())
    return false;
  collectRoots(source, roots);
  if (!target.getDefiningOp<memref::ViewOp>() || roots.size() != 1 ||
      !roots[0].getDefiningOp<memref::ViewOp>() || roots[0] == target)
    return false;
  SmallVector<Operation *> readers;
  if (!collectReaders(target, op, readers) || readers.empty())
    return false;
  Operation *last = readers.front();
  for (Operation *reader : readers)
    if (last->isBeforeInBlock(reader))
      last = reader;
  for (Operation *next = op; next != last;) {
    next = next->getNextNode();
    if (mayWrite(next, source))
      return false;
  }
  return true;
}

/// Makes all views of `from` views of `to`, which has the same elements.
static void replaceViews(Value from, Value to) {
  for (OpOperand &use : llvm::make_early_inc_range(from.getUses())) {
    auto view = dyn_cast<memref::SubViewOp>(use.getOwner());
    if (!view) {
      use.set(to);
      continue;
    }
    OpBuilder builder(view);
    auto type = cast<MemRefType>(memref::SubViewOp::inferRankReducedResultType(
        view.getType().getShape(), cast<MemRefType>(to.getType()),
        view.getMixedOffsets(), view.getMixedSizes(), view.getMixedStrides()));
    auto other = memref::SubViewOp::create(
        builder, view.getLoc(), type, to, view.getMixedOffsets(),
        view.getMixedSizes(), view.getMixedStrides());
    replaceViews(view, other);
    view.erase();
  }
}

void ForwardCopies::runOnOperation() {
  SmallVector<Copy> copies;
  getOperation().walk([&](scf::IfOp test) {
    if (test.getNumResults() > 0 || !test.elseBlock())
      return;
    for (auto op : test.thenBlock()->getOps<linalg::GenericOp>()) {
      std::optional<Copy> copy = matchCopy(test, op);
      if (copy && collectReads(*copy, copy->buffer))
        copies.push_back(std::move(*copy));
    }
  });
  for (Copy &copy : copies)
    forward(copy);
  numForwarded += copies.size();
  SmallVector<linalg::GenericOp> ops;
  getOperation().walk([&](linalg::GenericOp op) { ops.push_back(op); });
  for (linalg::GenericOp op : ops) {
    if (!isNeedless(op))
      continue;
    Value source = op.getInputs()[0], target = op.getOutputs()[0];
    op.erase();
    replaceViews(target, source);
    ++numForwarded;
  }
}
