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

/// The view that `value`, or what it is a row of, is where all rows exist.
static memref::SubViewOp getView(Value value) {
  auto row = value.getDefiningOp<memref::SubViewOp>();
  if (row && row.getSource().getDefiningOp<arith::SelectOp>())
    value = row.getSource();
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
    bool reduces = op.getNumReductionLoops() > 0;
    for (OpOperand &operand : op->getOpOperands()) {
      if (reduces && !operand.get().getDefiningOp<arith::SelectOp>())
        continue;
      if (memref::SubViewOp view = getView(operand.get())) {
        bool isKnown = llvm::any_of(
            result, [&](const CopiedRows &rows) { return rows.view == view; });
        std::optional<CopiedRows> rows =
            isKnown ? std::nullopt : matchRows(view, op.isDpsInit(&operand));
        if (rows)
          result.push_back(*rows);
      }
    }
  });
  // A step writes as many rows as it reads.
  for (CopiedRows &rows : result)
    for (const CopiedRows &other : result)
      if (rows.view.getType().isDynamicDim(0) && rows.loop == other.loop)
        rows.rows = std::max(rows.rows, other.rows);
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
  RowsAhead result{rows.view.getSource(), rows.isWritten, {},
                   rows.rowDim,           rows.rows,      rows.bytes};
  IRMapping map;
  Value step = rows.loop.getInductionVar();
  Operation *where = builder.getInsertionBlock()->findAncestorOpInBlock(
      *rows.view.getOperation());
  bool isLater = where && builder.getInsertionPoint()->isBeforeInBlock(where);
  map.map(step,
          rows.isWritten && isLater
              ? step
              : arith::AddIOp::create(builder, loc, step, rows.loop.getStep()));
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
  return llvm::all_of(
             view.getOffsets(),
             [&](Value offset) { return canRepeat(offset, loop, changes); }) &&
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
    at.push_back(repeat(builder,
                        getValueOrCreateConstantIndexOp(builder, loc, offset),
                        loop, map));
  int64_t elementBytes = view.getType().getElementTypeBitWidth() / 8;
  Value length = getValueOrCreateConstantIndexOp(builder, loc,
                                                 view.getMixedSizes().back());
  auto lines = scf::ForOp::create(
      builder, loc, arith::ConstantIndexOp::create(builder, loc, 0), length,
      arith::ConstantIndexOp::create(builder, loc, kLineBytes / elementBytes));
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(lines.getBody());
  at.back() =
      arith::AddIOp::create(builder, loc, at.back(), lines.getInductionVar());
  memref::PrefetchOp::create(builder, loc, view.getSource(), at,
                             /*isWrite=*/false, /*localityHint=*/3,
                             /*isDataCache=*/true);
}

void rondo::cpu::fetchNextPieces(func::FuncOp func) {
  if (!func->hasAttr("rondo.channels"))
    return;
  func.walk([&](scf::ForOp loop) {
    // Steps that do little with what they read are better off without.
    bool hasWork =
        llvm::any_of(loop.getBody()->getOps<linalg::LinalgOp>(),
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

int64_t RowsAhead::getLinesPerRow() const {
  return llvm::divideCeil(bytes, kLineBytes);
}

static void fetch(OpBuilder &builder, const RowsAhead &rows, Value row,
                  Value column) {
  Location loc = row.getLoc();
  SmallVector<Value> at(rows.offsets);
  at[rows.rowDim] = arith::AddIOp::create(builder, loc, at[rows.rowDim], row);
  at.back() = arith::AddIOp::create(builder, loc, at.back(), column);
  memref::PrefetchOp::create(builder, loc, rows.memref, at, rows.isWritten,
                             kSecondLevel, /*isDataCache=*/true);
}

static int64_t getLineElements(const RowsAhead &rows) {
  auto type = cast<MemRefType>(rows.memref.getType());
  return kLineBytes * 8 / type.getElementTypeBitWidth();
}

void rondo::cpu::fetchRow(OpBuilder &builder, const RowsAhead &rows,
                          Value row) {
  int64_t elements = getLineElements(rows);
  for (int64_t line = 0; line < rows.getLinesPerRow(); ++line)
    fetch(
        builder, rows, row,
        arith::ConstantIndexOp::create(builder, row.getLoc(), line * elements));
}

void rondo::cpu::fetchLine(OpBuilder &builder, const RowsAhead &rows,
                           Value line) {
  Location loc = line.getLoc();
  Value perRow =
      arith::ConstantIndexOp::create(builder, loc, rows.getLinesPerRow());
  Value row = arith::DivUIOp::create(builder, loc, line, perRow);
  Value inRow = arith::RemUIOp::create(builder, loc, line, perRow);
  Value elements =
      arith::ConstantIndexOp::create(builder, loc, getLineElements(rows));
  fetch(builder, rows, row,
        arith::MulIOp::create(builder, loc, inRow, elements));
}
