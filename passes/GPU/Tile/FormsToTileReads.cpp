//===- FormsToTileReads.cpp - What equations over chunks read -------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/GPU/Tile/FormsToTile.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::tile;
using algebra::Expr;
using algebra::Kind;

/// The part of a subscript that does not depend on the axis, if the subscript
/// is that plus the axis.
static std::optional<Expr> without(algebra::Context &context, Expr subscript,
                                   Expr leaf) {
  if (subscript == leaf)
    return context.integer(0);
  if (subscript->isOp("arith.addi"))
    for (unsigned i = 0; i < 2; ++i)
      if (std::optional<Expr> rest = without(context, subscript->args[i], leaf))
        if (!TileEvaluator::uses(subscript->args[1 - i], leaf))
          return (*rest)->isInteger(0)
                     ? subscript->args[1 - i]
                     : context.apply("arith.addi",
                                     {*rest, subscript->args[1 - i]},
                                     subscript->type);
  return std::nullopt;
}

/// Whether an index is 0 at least. Leaves are: they are indices and sizes.
static bool isNeverNegative(Expr index, Expr assumed = nullptr) {
  if (index == assumed || index->kind == Kind::Value ||
      index->kind == Kind::Variable)
    return true;
  if (index->kind == Kind::Integer)
    return index->integer >= 0;
  auto is = [&](unsigned arg, Expr also = nullptr) {
    return isNeverNegative(index->args[arg], also ? also : assumed);
  };
  if (index->isOp("arith.maxsi"))
    return is(0) || is(1);
  if (index->isOp("arith.select")) {
    Expr condition = index->args[0];
    auto predicate =
        condition->isOp("arith.cmpi")
            ? condition->attributes.getAs<IntegerAttr>("predicate")
            : IntegerAttr();
    bool isSign = predicate &&
                  predicate.getInt() ==
                      static_cast<int64_t>(arith::CmpIPredicate::slt) &&
                  condition->args[1]->isInteger(0);
    return is(1) && is(2, isSign ? condition->args[0] : nullptr);
  }
  return (index->isOp("arith.addi") || index->isOp("arith.muli") ||
          index->isOp("arith.minsi") || index->isOp("arith.floordivsi")) &&
         is(0) && is(1);
}

Value TileEvaluator::load(Expr read, const TileAxis &rows,
                          const TileAxis &columns, bool mayTurn) {
  Value memory = function.lookupOrNull(read->value);
  auto type = dyn_cast_or_null<MemRefType>(memory ? memory.getType() : Type());
  if (!type || !isa<FloatType>(type.getElementType()) ||
      type.getElementType().isF64())
    return fail("a tensor that is not f32, bf16 or f16");
  int64_t rank = type.getRank();
  int64_t rowDim = -1, columnDim = -1;
  SmallVector<Value> indices;
  Value rowLimit, columnLimit;
  for (auto [dim, subscript] : llvm::enumerate(read->subscripts())) {
    Expr start = subscript;
    for (bool isRow : {true, false}) {
      const TileAxis &axis = isRow ? rows : columns;
      if (axis.isNone() || !uses(subscript, axis.leaf))
        continue;
      std::optional<Expr> rest = without(context, subscript, axis.leaf);
      int64_t &axisDim = isRow ? rowDim : columnDim;
      if (!rest || axisDim != -1)
        return fail("a tensor is read at places that are not a tile");
      axisDim = dim;
      start = *rest;
    }
    Value index = emitScalar(start);
    if (!index)
      return {};
    for (bool isRow : {true, false}) {
      const TileAxis &axis = isRow ? rows : columns;
      if ((isRow ? rowDim : columnDim) != static_cast<int64_t>(dim))
        continue;
      // What is left: of the tensor for a step of time, of the axis else.
      Value extent = axis.limit;
      if (start->isInteger(0)) {
        if (axis.offset) {
          index = axis.offset;
          extent = arith::SubIOp::create(builder, loc, extent, axis.offset);
        }
      } else if (start->isOp("arith.muli") && start->args[0] == chunk &&
                 start->args[1]->isInteger(chunkSize)) {
        extent = arith::SubIOp::create(builder, loc, numSteps, index);
      } else if (isNeverNegative(start)) {
        extent = arith::MinSIOp::create(
            builder, loc, extent,
            arith::SubIOp::create(builder, loc, sizeOf(memory, dim), index));
      } else {
        return fail("a tensor is read at places before its first one");
      }
      (isRow ? rowLimit : columnLimit) = extent;
    }
    indices.push_back(index);
  }
  // Vectors are loaded as columns, matrices along the innermost dim.
  bool turned =
      mayTurn && columnDim != -1 && (rowDim == -1 || rowDim == rank - 1);
  int64_t height = rowDim == -1 ? 1 : rows.extent;
  int64_t width = columnDim == -1 ? 1 : columns.extent;
  if (turned) {
    std::swap(rowDim, columnDim);
    std::swap(rowLimit, columnLimit);
    std::swap(height, width);
  }
  // The same load serves every axis name.
  for (Operation &op : *builder.getInsertionBlock()) {
    auto other = dyn_cast<LoadOp>(op);
    if (!other || other.getSource() != memory ||
        static_cast<int64_t>(other.getRowDim()) != rowDim ||
        static_cast<int64_t>(other.getColumnDim()) != columnDim ||
        other.getType().getRows() != height ||
        other.getType().getColumns() != width)
      continue;
    bool same = true;
    auto equal = [&](Value a, Value b) {
      if (a == b)
        return true;
      // Scalars are emitted anew; equal trees are equal.
      std::function<bool(Value, Value)> tree = [&](Value x, Value y) {
        if (x == y)
          return true;
        Operation *p = x.getDefiningOp(), *q = y.getDefiningOp();
        if (!p || !q || p->getName() != q->getName() ||
            p->getAttrDictionary() != q->getAttrDictionary() ||
            p->getNumOperands() != q->getNumOperands())
          return false;
        for (auto [u, v] : llvm::zip(p->getOperands(), q->getOperands()))
          if (!tree(u, v))
            return false;
        return true;
      };
      return static_cast<bool>(a) && static_cast<bool>(b) && tree(a, b);
    };
    for (auto [a, b] : llvm::zip_equal(other.getIndices(), indices))
      same &= equal(a, b);
    same &= equal(other.getRowLimit(), rowLimit) &&
            equal(other.getColumnLimit(), columnLimit);
    if (!same)
      continue;
    Value result = other.getResult();
    return turned ? TransposeOp::create(builder, loc, result).getResult()
                  : result;
  }
  auto loaded = LoadOp::create(
      builder, loc,
      makeType(builder.getContext(), height, width,
                          type.getElementType()),
      memory, indices, rowDim, rowLimit, columnDim, columnLimit);
  Value result = loaded.getResult();
  return turned ? TransposeOp::create(builder, loc, result).getResult()
                : result;
}

/// A state at a place in it, if it is held as that tile.
Value TileEvaluator::readState(const State &held, ArrayRef<Expr> place,
                               const TileAxis &rows, const TileAxis &columns) {
  auto matches = [&](const TileAxis &axis, const TileAxis &stored) {
    return axis.extent == stored.extent && axis.offset == stored.offset;
  };
  if (place.size() == 1 && place[0] == rows.leaf && matches(rows, held.rows))
    return held.tile;
  if (place.size() == 1 && place[0] == columns.leaf &&
      matches(columns, held.rows))
    return TransposeOp::create(builder, loc, held.tile);
  if (place.size() != 2)
    return fail("a state is not read at a tile of its own");
  Expr row = place[held.rowDim], column = place[1 - held.rowDim];
  if (row == rows.leaf && column == columns.leaf && matches(rows, held.rows) &&
      matches(columns, held.columns))
    return held.tile;
  if (column == rows.leaf && row == columns.leaf &&
      matches(columns, held.rows) && matches(rows, held.columns))
    return TransposeOp::create(builder, loc, held.tile);
  return fail("a state is not read at a tile of its own");
}

Value TileEvaluator::atRecurrence(Expr read, RecurrenceOp recurrence,
                                  unsigned member, const TileAxis &rows,
                                  const TileAxis &columns) {
  auto subscripts = read->subscripts();
  unsigned along = recurrence.getBatch();
  Expr step = subscripts[along], here = stepOf(recurrence);
  auto drop = [&] {
    SmallVector<Expr> rest(subscripts);
    rest.erase(rest.begin() + along);
    return rest;
  };
  if (step == here) {
    Value slice = recurrence.getBlock().getTerminator()->getOperand(member);
    Expr value = context.read(slice, drop(), {}, {}, read->type);
    return evaluate(value, rows, columns);
  }
  bool before = step->isOp("arith.subi") && step->args[0] == here &&
                step->args[1]->isInteger(1);
  auto state = states.find({recurrence, member});
  if (!before || state == states.end())
    return fail("a recurrence is read at other steps than this and the one "
                "before");
  return readState(state->second,
                   ArrayRef<Expr>(subscripts).drop_front(along + 1), rows,
                   columns);
}

/// Whether a recurrence leads to the value.
bool TileEvaluator::dependsOnStates(Expr expr) {
  bool found = false;
  algebra::walk(expr, [&](Expr each) {
    if (found || each->kind != Kind::Read)
      return;
    auto argument = dyn_cast<BlockArgument>(each->value);
    Expr meaning = inlined(each);
    found = meaning ? dependsOnStates(meaning)
                    : !argument ||
                          !isa<KernelOp>(argument.getOwner()->getParentOp());
  });
  return found;
}

/// Factors of all terms that depend on `step` alone and on no state, and what
/// is left of the expression.
std::pair<SmallVector<Expr>, Expr>
TileEvaluator::factorOut(Expr expr, Expr step, Expr other) {
  Expr meaning = dropGuards(expr);
  while (Expr next = inlined(meaning))
    meaning = dropGuards(next);
  SmallVector<Expr> common;
  if (meaning->isOp("arith.addf") || meaning->isOp("arith.subf")) {
    auto [first, rest] = factorOut(meaning->args[0], step, other);
    auto [second, further] = factorOut(meaning->args[1], step, other);
    SmallVector<Expr> all(first);
    for (Expr factor : all) {
      auto same = llvm::find(second, factor);
      if (same == second.end())
        continue;
      second.erase(same);
      first.erase(llvm::find(first, factor));
      common.push_back(factor);
    }
    if (common.empty())
      return {common, expr};
    if (Expr factor = productOf(first))
      rest = context.mul(factor, rest);
    if (Expr factor = productOf(second))
      further = context.mul(factor, further);
    return {common, context.apply(meaning->op.getValue(), {rest, further},
                                  meaning->type)};
  }
  auto fits = [&](Expr factor) {
    return uses(factor, step) && !uses(factor, other) &&
           !dependsOnStates(factor);
  };
  SmallVector<Expr> own;
  for (Expr factor : splitFactors(meaning)) {
    if (fits(factor)) {
      common.push_back(factor);
      continue;
    }
    // Those of the terms of a sum, too.
    Expr sum = factor;
    while (Expr next = inlined(sum))
      sum = dropGuards(next);
    if (sum->kind == Kind::Reduce && sum->combiner == rondo::Combiner::Sum) {
      SmallVector<Expr> outside, inside;
      for (Expr part : splitFactors(sum->args[0])) {
        bool varies = llvm::any_of(sum->variables, [&](auto *variable) {
          return uses(part, context.variable(variable));
        });
        (!varies && fits(part) ? outside : inside).push_back(part);
      }
      if (!outside.empty() && !inside.empty()) {
        llvm::append_range(common, outside);
        factor = context.reduce(sum->combiner, sum->variables,
                                productOf(inside), sum->args[1]);
      }
    }
    own.push_back(factor);
  }
  if (common.empty())
    return {common, expr};
  Expr rest = productOf(own);
  return {common, rest ? rest : context.real(1, meaning->type)};
}

Expr TileEvaluator::productOf(ArrayRef<Expr> factors) {
  Expr product = nullptr;
  for (Expr factor : factors)
    product = product ? context.mul(product, factor) : factor;
  return product;
}

Value TileEvaluator::evaluateRead(Expr read, const TileAxis &rows,
                                  const TileAxis &columns) {
  if (auto argument = dyn_cast<BlockArgument>(read->value)) {
    Operation *owner = argument.getOwner()->getParentOp();
    if (isa<KernelOp>(owner))
      return load(read, rows, columns);
    auto recurrence = dyn_cast<RecurrenceOp>(owner);
    if (!recurrence || (!llvm::is_contained(recurrences, recurrence) &&
                        !isInner(recurrence)))
      return fail("a recurrence that is not over chunks");
    for (unsigned i = 0; i < recurrence.getNames().size(); ++i)
      if (recurrence.getPast(i) == argument)
        return atRecurrence(read, recurrence, i, rows, columns);
    return fail("an index of a recurrence is read");
  }
  if (Expr meaning = inlined(read))
    return evaluate(meaning, rows, columns);
  Operation *op = read->value.getDefiningOp();
  if (auto recurrence = dyn_cast<RecurrenceOp>(op)) {
    if (isInner(recurrence))
      for (unsigned i = 0; i < recurrence.getNumStates(); ++i)
        if (recurrence.getFinal(i) == read->value)
          return evaluateFinal(read, recurrence, i, rows, columns);
    if (!llvm::is_contained(recurrences, recurrence))
      return fail("a recurrence that is not over chunks");
    for (unsigned i = 0; i < recurrence.getNames().size(); ++i)
      if (recurrence.getHistory(i) == read->value)
        return atRecurrence(read, recurrence, i, rows, columns);
  }
  if (isa<rondo::ScanOp>(op))
    return evaluateScan(read, rows, columns);
  if (auto solve = dyn_cast<TriangularSolveOp>(op)) {
    auto subscripts = read->subscripts();
    unsigned dim = solve.getDim();
    if (subscripts.size() != dim + 2)
      return fail("a triangular system that is not one of tiles");
    // The system's rows are ours, or our columns.
    bool turned = subscripts[dim] == columns.leaf;
    const TileAxis &steps = turned ? columns : rows;
    if (subscripts[dim] != steps.leaf ||
        subscripts[dim + 1] != (turned ? rows : columns).leaf ||
        steps.extent != chunkSize)
      return fail("a triangular system that is not one of tiles");
    TileAxis depth = steps;
    depth.leaf = context.variable(context.fresh(Value(), Value()));
    SmallVector<Expr> place(ArrayRef<Expr>(subscripts).take_front(dim + 1));
    place.push_back(depth.leaf);
    Value matrix =
        evaluate(context.read(solve.getMatrix(), place, {}, {}, read->type),
                 steps, depth);
    // What all terms of the right side have in common, step by step, is a
    // factor of the inverse's columns: that is computed once for all values.
    auto [common, rest] = factorOut(
        context.read(solve.getRight(), subscripts, {}, {}, read->type),
        steps.leaf, (turned ? rows : columns).leaf);
    Value right = evaluate(rest, rows, columns);
    if (!matrix || !right)
      return {};
    auto square = makeType(builder.getContext(), steps.extent, steps.extent,
                           builder.getF32Type());
    Value inverse =
        InvertOp::create(builder, loc, square,
                         broadcast(matrix, steps.extent, steps.extent));
    if (Expr factor = productOf(common)) {
      Value scale = evaluate(factor, TileAxis(), steps);
      if (!scale)
        return {};
      inverse = multiply(inverse, scale);
    }
    right = broadcast(right, rows.extent, columns.extent);
    if (rounds) {
      inverse = roundTo(inverse, builder.getBF16Type());
      right = roundTo(right, builder.getBF16Type());
    }
    Value zero = evaluatePointwise(context.real(0, builder.getF32Type()), rows,
                                   columns);
    if (turned)
      return DotOp::create(builder, loc, right, inverse, zero, false, true);
    return DotOp::create(builder, loc, inverse, right, zero, false, false);
  }
  return fail("'" + op->getName().getStringRef() + "' is not for tiles");
}
