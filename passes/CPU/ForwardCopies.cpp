//===- ForwardCopies.cpp - Read rows where they are, not in a copy --------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "passes/CPU/Passes.h"

namespace rondo::cpu {
#define GEN_PASS_DEF_FORWARDCOPIES
#include "passes/CPU/Passes.h.inc"
} // namespace rondo::cpu

using namespace mlir;
using namespace rondo;

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

/// The copy that `op` is, in the `then` block of `test`.
static std::optional<Copy> matchCopy(scf::IfOp test, linalg::GenericOp op) {
  if (op.getInputs().size() != 1 || op.getOutputs().size() != 1 ||
      op.getNumReductionLoops() > 0 ||
      !llvm::all_of(op.getIndexingMapsArray(),
                    [](AffineMap map) { return map.isIdentity(); }) ||
      op.getBody()->getTerminator()->getOperand(0) !=
          op.getBody()->getArgument(0))
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
}
