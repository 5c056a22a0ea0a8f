//===- FormsToTileLoops.cpp - Recurrences within a step, and scalars ------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "passes/GPU/Tile/FormsToTile.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::tile;
using algebra::Expr;
using algebra::Kind;

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

/// Whether a recurrence lies in the step that is evaluated.
bool TileEvaluator::isInner(RecurrenceOp recurrence) {
  return llvm::is_contained(recurrences,
                            recurrence->getParentOfType<RecurrenceOp>());
}

/// The index of a recurrence's steps.
Expr TileEvaluator::stepOf(RecurrenceOp recurrence) {
  return isInner(recurrence) ? context.leaf(recurrence.getAlongIndices()[0])
                             : chunk;
}

/// A loop that carries the states as tiles: vectors over our rows, and matrices
/// whose second dim is bound.
bool TileEvaluator::emitLoop(RecurrenceOp op, ArrayRef<Expr> batch) {
  unsigned numStates = op.getNumStates();
  if (op.getNumAlong() != 1 || op.getReversed()[0] || !numStates)
    return !!fail("a recurrence within a step runs along several dims, "
                  "backwards, or has no states");
  Operation *yield = op.getBlock().getTerminator();
  SmallVector<State> carried;
  SmallVector<Value> inits;
  auto axis = [&](int64_t extent, Value limit) {
    TileAxis result;
    result.leaf = context.variable(context.fresh(Value(), Value()));
    result.extent = extent;
    result.limit = limit;
    return result;
  };
  auto placeOf = [&](const State &state) {
    SmallVector<Expr> place(batch);
    place.push_back(state.rows.leaf);
    if (!state.columns.isNone())
      place.push_back(state.columns.leaf);
    return place;
  };
  auto evaluateAt = [&](Value tensor, const State &state) -> Value {
    Value tile = evaluate(
        context.read(tensor, placeOf(state), {}, {}, builder.getF32Type()),
        state.rows, state.columns);
    return tile ? roundTo(
                      broadcast(tile, state.rows.extent, state.columns.extent),
                      builder.getF32Type())
                : tile;
  };
  for (unsigned m = 0; m < numStates; ++m) {
    auto slice = yield->getOperand(m).getDefiningOp<EquationOp>();
    ValueRange sizes = slice ? slice.getSizes() : ValueRange();
    if (sizes.size() != batch.size() + 1 && sizes.size() != batch.size() + 2)
      return !!fail("a state is neither a vector nor a matrix");
    Expr height = importer.import(sizes[batch.size()]);
    if (!height->isInteger(chunkSize) &&
        (!height->isOp("arith.minsi") ||
         !height->args[1]->isInteger(chunkSize)))
      return !!fail("a state's first dim is not that of the step's rows");
    State state;
    state.rows = axis(rowsHere.extent, rowsHere.limit);
    if (sizes.size() == batch.size() + 2) {
      APInt width;
      if (!matchPattern(sizes.back(), m_ConstantInt(&width)))
        return !!fail("a dim of a state is not bound to a number");
      if (width.getSExtValue() > 256)
        return !!fail("a dim of a state is larger than 256");
      state.columns = axis(
          llvm::alignTo(width.getSExtValue(), 64),
          arith::ConstantIndexOp::create(builder, loc, width.getSExtValue()));
    }
    inits.push_back(evaluateAt(op.getInitials()[m], state));
    if (!inits.back())
      return false;
    carried.push_back(state);
  }
  Value count = emitScalar(importer.import(op.getSizes()[0]));
  if (!count)
    return false;
  Value zero = arith::ConstantIndexOp::create(builder, loc, 0);
  Value one = arith::ConstantIndexOp::create(builder, loc, 1);
  auto loop = scf::ForOp::create(builder, loc, zero, count, one, inits);
  // What the loop computes is not known behind it.
  std::map<Key, Value> before = known;
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(loop.getBody());
  fixed[stepOf(op)] = loop.getInductionVar();
  SmallVector<Value> next;
  for (unsigned m = 0; m < numStates; ++m) {
    carried[m].tile = loop.getRegionIterArgs()[m];
    states[{op, m}] = carried[m];
  }
  for (unsigned m = 0; m < numStates; ++m) {
    next.push_back(evaluateAt(yield->getOperand(m), carried[m]));
    if (!next.back()) {
      next.assign(inits);
      break;
    }
  }
  scf::YieldOp::create(builder, loc, next);
  known = std::move(before);
  for (unsigned m = 0; m < numStates; ++m) {
    carried[m].tile = loop.getResult(m);
    finals[{op, m}] = carried[m];
  }
  return reason.empty();
}

/// A final value of a loop, which runs where the first of them is asked for.
Value TileEvaluator::evaluateFinal(Expr read, RecurrenceOp recurrence,
                                   unsigned member, const TileAxis &rows,
                                   const TileAxis &columns) {
  auto subscripts = read->subscripts();
  unsigned numBatch = recurrence.getBatch();
  if (!finals.count({recurrence, member}) &&
      !emitLoop(recurrence, subscripts.take_front(numBatch)))
    return {};
  return readState(finals[{recurrence, member}],
                   subscripts.drop_front(numBatch), rows, columns);
}

//===----------------------------------------------------------------------===//
// Scalars
//===----------------------------------------------------------------------===//

/// The extent of a tensor, known in the whole function.
Value TileEvaluator::sizeOf(Value memory, int64_t dim) {
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(memory.getParentBlock());
  return memref::DimOp::create(builder, loc, memory, dim);
}

/// Whether an expression says how large an input is.
bool TileEvaluator::isSizeOf(Expr size, BlockArgument input, unsigned dim) {
  auto kernel = cast<KernelOp>(input.getOwner()->getParentOp());
  AffineExpr extent =
      kernel.getInput(input.getArgNumber()).getShape().getResult(dim);
  if (auto constant = dyn_cast<AffineConstantExpr>(extent))
    return size->isInteger(constant.getValue());
  auto symbol = dyn_cast<AffineSymbolExpr>(extent);
  if (!symbol)
    return false;
  if (size->kind == Kind::Integer)
    return kernel.getBound()[symbol.getPosition()] == size->integer;
  auto op = size->kind == Kind::Value ? size->value.getDefiningOp<SizeOp>()
                                      : SizeOp();
  return op && kernel.getSizeIndex(op.getName()) == symbol.getPosition();
}

/// A scalar argument, or an integer at a place that is the same for all of a
/// tile.
bool TileEvaluator::isScalarRead(Expr read) {
  auto argument = dyn_cast<BlockArgument>(read->value);
  if (!argument || !isa<KernelOp>(argument.getOwner()->getParentOp()))
    return false;
  return read->subscripts().empty() ||
         (!isa<FloatType>(read->type) && !isInTile(read));
}

Value TileEvaluator::emitScalarRead(Expr read) {
  if (!isScalarRead(read))
    return fail("a tensor of integers is read at a tile");
  Value value = function.lookupOrNull(read->value);
  if (!value)
    return fail("a scalar that is computed");
  if (isa<MemRefType>(value.getType())) {
    SmallVector<Value> indices;
    for (Expr subscript : read->subscripts()) {
      indices.push_back(emitScalar(subscript));
      if (!indices.back())
        return {};
    }
    value = memref::LoadOp::create(builder, loc, value, indices);
  }
  Type from = value.getType(), to = read->type;
  if (from == to)
    return value;
  if (isa<FloatType>(to)) {
    if (!isa<FloatType>(from))
      return fail("an argument is an integer that is used as a real");
    return from.getIntOrFloatBitWidth() < to.getIntOrFloatBitWidth()
               ? arith::ExtFOp::create(builder, loc, to, value).getResult()
               : arith::TruncFOp::create(builder, loc, to, value).getResult();
  }
  if (to.isInteger(1))
    return arith::CmpIOp::create(
        builder, loc, arith::CmpIPredicate::ne, value,
        arith::ConstantOp::create(builder, loc,
                                  builder.getIntegerAttr(from, 0)));
  if (to.isIndex())
    return arith::IndexCastOp::create(builder, loc, to, value);
  return fail("an argument of a type that tiles don't have");
}
