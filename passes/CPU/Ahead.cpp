//===- Ahead.cpp - Memory that the next step of a loop will need ----------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/CPU/Ahead.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cpu;

static constexpr int64_t kLineBytes = 64;
/// What is fetched for the next step of a loop over chunks stays out of the
/// first-level cache, which this step's matrices need.
static constexpr uint32_t kSecondLevel = 2;

scf::ForOp rondo::cpu::getLoop(Operation *op) {
  Operation *parent = op->getParentOp();
  while (isa<scf::IfOp>(parent))
    parent = parent->getParentOp();
  return dyn_cast<scf::ForOp>(parent);
}

/// Whether `value` can be computed again anywhere in the loop, and whether it
/// changes from step to step.
static bool canRepeat(Value value, scf::ForOp loop, bool &changes) {
  if (value == loop.getInductionVar()) {
    changes = true;
    return true;
  }
  if (loop.isDefinedOutsideOfLoop(value))
    return true;
  Operation *def = value.getDefiningOp();
  return def && def->getNumRegions() == 0 && isPure(def) &&
         llvm::all_of(def->getOperands(), [&](Value operand) {
           return canRepeat(operand, loop, changes);
         });
}

/// The view that `value` is, or is where all of its rows exist.
static memref::SubViewOp getView(Value value) {
  if (auto either = value.getDefiningOp<arith::SelectOp>())
    value = either.getTrueValue();
  if (auto cast = value.getDefiningOp<memref::CastOp>())
    value = cast.getSource();
  return value.getDefiningOp<memref::SubViewOp>();
}

static std::optional<CopiedRows> matchRows(memref::SubViewOp view,
                                           bool isWritten) {
  auto argument = dyn_cast<BlockArgument>(view.getSource());
  if (!argument || !isa<func::FuncOp>(argument.getOwner()->getParentOp()))
    return std::nullopt;
  CopiedRows result{view, getLoop(view), isWritten, 0, 0, 0};
  MemRefType type = view.getType();
  MemRefType source = view.getSourceType();
  unsigned last = source.getRank() - 1;
  llvm::SmallBitVector dropped = view.getDroppedDims();
  if (!result.loop || type.getRank() != 2 || type.isDynamicDim(1) ||
      (type.isDynamicDim(0) && !isWritten) || !source.isLastDimUnitStride() ||
      dropped.test(last) || !view.hasUnitStride())
    return std::nullopt;
  while (dropped.test(result.rowDim))
    ++result.rowDim;
  result.rows = type.isDynamicDim(0) ? -1 : type.getDimSize(0);
  result.bytes = type.getDimSize(1) * type.getElementTypeBitWidth() / 8;
  bool changes = false;
  for (Value offset : view.getOffsets())
    if (!canRepeat(offset, result.loop, changes))
      return std::nullopt;
  if (!changes)
    return std::nullopt;
  return result;
}

SmallVector<CopiedRows> rondo::cpu::findCopiedRows(Operation *root) {
  SmallVector<CopiedRows> result;
  root->walk([&](linalg::LinalgOp op) {
    if (op.getNumReductionLoops() > 0)
      return;
    for (OpOperand &operand : op->getOpOperands())
      if (memref::SubViewOp view = getView(operand.get()))
        if (std::optional<CopiedRows> rows =
                matchRows(view, op.isDpsInit(&operand)))
          result.push_back(*rows);
  });
  return result;
}

static Value repeat(OpBuilder &builder, Value value, scf::ForOp loop,
                    IRMapping &map) {
  if (loop.isDefinedOutsideOfLoop(value) || map.contains(value))
    return map.lookupOrDefault(value);
  Operation *def = value.getDefiningOp();
  for (Value operand : def->getOperands())
    repeat(builder, operand, loop, map);
  builder.clone(*def, map);
  return map.lookup(value);
}

RowsAhead rondo::cpu::moveAhead(OpBuilder &builder, CopiedRows &rows) {
  Location loc = rows.view.getLoc();
  RowsAhead result{
      rows.view.getSource(), rows.isWritten, {}, rows.rowDim, rows.bytes};
  IRMapping map;
  Value step = rows.loop.getInductionVar();
  map.map(step, rows.isWritten ? step
                               : arith::AddIOp::create(builder, loc, step,
                                                       rows.loop.getStep()));
  for (OpFoldResult offset : rows.view.getMixedOffsets())
    result.offsets.push_back(
        repeat(builder, getValueOrCreateConstantIndexOp(builder, loc, offset),
               rows.loop, map));
  return result;
}

/// Whether a view is a row of an argument that the loop moves over.
static bool isPiece(memref::SubViewOp view, scf::ForOp loop) {
  Value source = view.getSource();
  while (auto outer = source.getDefiningOp<memref::SubViewOp>())
    source = outer.getSource();
  auto argument = dyn_cast<BlockArgument>(source);
  unsigned last = view.getSourceType().getRank() - 1;
  if (!argument || !isa<func::FuncOp>(argument.getOwner()->getParentOp()) ||
      view.getType().getRank() != 1 || view.getDroppedDims().test(last) ||
      !view.getSourceType().isLastDimUnitStride() ||
      !loop.isDefinedOutsideOfLoop(view.getSource()))
    return false;
  bool changes = false;
  return llvm::all_of(view.getOffsets(),
                      [&](Value offset) {
                        return canRepeat(offset, loop, changes);
                      }) &&
         changes;
}

static void fetchPiece(OpBuilder &builder, memref::SubViewOp view,
                       scf::ForOp loop) {
  Location loc = view.getLoc();
  IRMapping map;
  Value step = loop.getInductionVar();
  map.map(step, arith::AddIOp::create(builder, loc, step, loop.getStep()));
  SmallVector<Value> at;
  for (OpFoldResult offset : view.getMixedOffsets())
    at.push_back(
        repeat(builder, getValueOrCreateConstantIndexOp(builder, loc, offset),
               loop, map));
  int64_t elementBytes = view.getType().getElementTypeBitWidth() / 8;
  Value length = getValueOrCreateConstantIndexOp(
      builder, loc, view.getMixedSizes().back());
  auto lines = scf::ForOp::create(
      builder, loc, arith::ConstantIndexOp::create(builder, loc, 0), length,
      arith::ConstantIndexOp::create(builder, loc, kLineBytes / elementBytes));
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(lines.getBody());
  at.back() = arith::AddIOp::create(builder, loc, at.back(),
                                    lines.getInductionVar());
  memref::PrefetchOp::create(builder, loc, view.getSource(), at,
                             /*isWrite=*/false, /*localityHint=*/3,
                             /*isDataCache=*/true);
}

void rondo::cpu::fetchNextPieces(func::FuncOp func) {
  if (!func->hasAttr("rondo.channels"))
    return;
  func.walk([&](scf::ForOp loop) {
    // Steps that do little with what they read are better off without.
    bool hasWork = llvm::any_of(
        loop.getBody()->getOps<linalg::LinalgOp>(),
        [](linalg::LinalgOp op) { return op.getNumLoops() > 1; });
    if (!loop->hasAttr("rondo.steps") || !hasWork)
      return;
    OpBuilder builder = OpBuilder::atBlockBegin(loop.getBody());
    SmallVector<memref::SubViewOp> views(
        loop.getBody()->getOps<memref::SubViewOp>());
    for (memref::SubViewOp view : views) {
      bool isRead = llvm::any_of(view->getUses(), [](OpOperand &use) {
        auto op = dyn_cast<linalg::LinalgOp>(use.getOwner());
        return op && op.isDpsInput(&use);
      });
      if (isRead && isPiece(view, loop))
        fetchPiece(builder, view, loop);
    }
  });
}

void rondo::cpu::fetchRow(OpBuilder &builder, const RowsAhead &rows,
                          Value row) {
  Location loc = row.getLoc();
  auto type = cast<MemRefType>(rows.memref.getType());
  int64_t elementBytes = type.getElementTypeBitWidth() / 8;
  SmallVector<Value> at(rows.offsets);
  at[rows.rowDim] = arith::AddIOp::create(builder, loc, at[rows.rowDim], row);
  for (int64_t byte = 0; byte < rows.bytes; byte += kLineBytes) {
    at.back() = arith::AddIOp::create(
        builder, loc, rows.offsets.back(),
        arith::ConstantIndexOp::create(builder, loc, byte / elementBytes));
    memref::PrefetchOp::create(builder, loc, rows.memref, at, rows.isWritten,
                               kSecondLevel, /*isDataCache=*/true);
  }
}
