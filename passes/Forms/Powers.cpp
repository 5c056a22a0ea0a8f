//===- Powers.cpp - Constant transitions over chunks ----------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Letters: c a chunk; r and s steps in it; l a power; k a write; e the indices
// of a readout that the state does not have. A *row* is a place of the vector
// of all states, [state, m..], where the first is there if there are several;
// a *column* is the part of it that A mixes: without m.. if A is diagonal.
// Tensors have the dims [batch.., along.., kept.., rest..], where `kept` are
// those outer dims that they depend on.
//
//===----------------------------------------------------------------------===//

#include "passes/Forms/Powers.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::algebra;

namespace {

using Exprs = SmallVector<Expr>;
using Values = SmallVector<Value>;
using Point = ArrayRef<Expr>;

class PowersEmitter {
public:
  PowersEmitter(Context &context, PowersStructure &structure, int64_t chunk)
      : context(context), s(structure), op(s.recurrence), chunk(chunk),
        builder(op), loc(op.getLoc()),
        type(getElementTypeOrSelf(s.state.getResult())),
        index(builder.getIndexType()), numBatch(op.getBatch()),
        numStates(op.getNumStates()), isStacked(numStates > 1),
        isDense(s.isDense && !s.rows.empty()), name(op.getName(0)) {}

  void run();

private:
  using Body = llvm::function_ref<Expr(Point)>;
  using SumBody = llvm::function_ref<Expr(Point, Point)>;

  //===--------------------------------------------------------------------===//
  // Building blocks
  //===--------------------------------------------------------------------===//

  Value equation(OpBuilder &at, const Twine &suffix, ValueRange sizes,
                 Body body);
  Value sum(OpBuilder &at, const Twine &suffix, ValueRange sizes,
            ValueRange extents, SumBody body, SumBody filter = nullptr);
  RecurrenceOp recurrence(OpBuilder &at, const Twine &suffix, Value steps,
                          unsigned rank, Value initial = Value());
  Expr read(Value tensor, Point subscripts) {
    return context.read(tensor, subscripts, {}, {}, type);
  }
  Expr readElse(Value tensor, Point subscripts, Value fallback,
                Point fallbackSubscripts) {
    return context.read(tensor, subscripts, fallback, fallbackSubscripts, type);
  }
  Expr add(Expr a, Expr b) {
    return context.apply("arith.addi", {a, b}, index);
  }
  Expr sub(Expr a, Expr b) {
    return context.apply("arith.subi", {a, b}, index);
  }
  Expr previous(Expr e) { return sub(e, integer(1)); }
  Expr compare(arith::CmpIPredicate predicate, Expr a, Expr b) {
    return context.compareIndex(static_cast<int64_t>(predicate), a, b);
  }
  Expr less(Expr a, Expr b) { return compare(arith::CmpIPredicate::slt, a, b); }
  Expr integer(int64_t number) { return context.integer(number); }
  Expr real(double number) { return context.real(number, type); }
  Expr isFirst(Expr e) { return context.equal(e, integer(0)); }
  static Exprs concat(std::initializer_list<Point> parts) {
    Exprs all;
    for (Point part : parts)
      llvm::append_range(all, part);
    return all;
  }
  static Values sizes(std::initializer_list<ValueRange> parts) {
    Values all;
    for (ValueRange part : parts)
      llvm::append_range(all, part);
    return all;
  }
  static Values extents(Point leaves);
  Value constant(int64_t number) {
    return arith::ConstantIndexOp::create(builder, loc, number);
  }
  static Exprs used(Point leaves, Point expressions);
  static Exprs pick(Point wanted, Point leaves, Point point);
  Expr substitute(Expr expr, Point leaves, Point point);
  Expr choose(Expr state, ArrayRef<Expr> values);
  Expr stepOf(Expr c, Expr r) {
    return add(context.apply("arith.muli", {c, integer(chunk)}, index), r);
  }
  Expr timeAt(Expr step) {
    return s.reversed ? sub(previous(context.leaf(length)), step) : step;
  }

  //===--------------------------------------------------------------------===//
  // Points
  //===--------------------------------------------------------------------===//

  Point batchOf(Point point) { return point.take_front(numBatch); }
  /// What a row, with the place of a column, becomes.
  Exprs rowAt(Point row, Point column) {
    return isDense ? Exprs(column)
                   : concat({column, row.drop_front(isStacked)});
  }
  Point columnOf(Point row) {
    return isDense ? row : row.take_front(isStacked);
  }
  Exprs statePoint(Point outer, Point row);
  Exprs outerOf(Point statePoint), rowOf(Point statePoint);
  Exprs inserted(Point point, Expr along) {
    return concat({batchOf(point), {along}, point.drop_front(numBatch)});
  }
  /// A, or A^C, at a point of the outer dims, a row and a column.
  Expr entry(Value matrix, Expr power, Point outer, Point row, Point column);
  /// The place of a table for a power: of `table` at a point of outer dims.
  Exprs tablePoint(Point outer, Expr power, Point rest);

  void emitMatrices();
  void emitWrites();
  Value emitInitial();
  RecurrenceOp emitStates(Value steps, Value initial, bool whole,
                          llvm::function_ref<Values(OpBuilder &, Expr)> parts);
  void emitFinal();
  Value emitTerm(OpBuilder &at, PowersTerm &term, Point rest);
  void emitReadout(PowersReadout &readout);

  Context &context;
  PowersStructure &s;
  RecurrenceOp op;
  int64_t chunk;
  OpBuilder builder;
  Location loc;
  Type type, index;
  unsigned numBatch, numStates;
  bool isStacked, isDense;
  StringRef name;

  Value zero, length, numChunks, numWhole, chunkSize;
  Values stateSizes; // [batch.., state, rest..]
  Values outerSizes, rowSizes, columnSizes;
  Exprs rows, columns; // leaves
  Exprs matrixLeaves, tableLeaves;
  Value matrix;      // A [batch.., kept.., row.., column..]
  Value whole;       // A^C [batch.., power, kept.., row.., column..]
  Expr wholePower= nullptr; // its place there
  Values values;     // u_k [outer.., c, r]
  Values tables;     // V_k [batch.., l, kept.., row..]
  Value initial;     // S before the first step [batch.., state, rest..]
  Value history;     // S [batch.., c, state, rest..]
};

//===----------------------------------------------------------------------===//
// Building blocks
//===----------------------------------------------------------------------===//

Value PowersEmitter::equation(OpBuilder &at, const Twine &suffix,
                              ValueRange sizes, Body body) {
  return emitEquation(context, at, loc, name + "." + suffix, type, sizes, body);
}

/// A sum over extents, or an equation if there are none.
Value PowersEmitter::sum(OpBuilder &at, const Twine &suffix, ValueRange sizes,
                         ValueRange extents, SumBody body, SumBody filter) {
  if (extents.empty())
    return equation(at, suffix, sizes,
                    [&](Point point) { return body(point, {}); });
  return emitReduction(
      context, at, loc, name + "." + suffix, type, sizes, Combiner::Sum, zero,
      extents, [&](Point point, Point summed) {
        return std::pair<Expr, Expr>(
            body(point, summed), filter ? filter(point, summed) : nullptr);
      });
}

/// A recurrence of one member with an empty region; the member has `rank` dims
/// besides the one along. Without an initial value its past is 0 at first.
RecurrenceOp PowersEmitter::recurrence(OpBuilder &at, const Twine &suffix,
                                       Value steps, unsigned rank,
                                       Value initial) {
  Type member = RankedTensorType::get(
      SmallVector<int64_t>(rank + 1, ShapedType::kDynamic), type);
  SmallVector<Type> results{member};
  Values initials;
  if (initial) {
    initials.push_back(initial);
    results.push_back(initial.getType());
  }
  auto created = RecurrenceOp::create(
      at, loc, results, ValueRange(steps), initials,
      builder.getArrayAttr({builder.getStringAttr(name + suffix)}),
      builder.getDenseBoolArrayAttr({false}),
      builder.getI64IntegerAttr(numBatch));
  OpBuilder::InsertionGuard guard(at);
  at.createBlock(&created.getBody(), {}, {index, member}, {loc, loc});
  return created;
}

/// The extents of leaves, which are indices of equations.
Values PowersEmitter::extents(Point leaves) {
  Values result;
  for (Expr leaf : leaves)
    result.push_back(extentOf(leaf));
  return result;
}

/// Those of `leaves` that an expression uses.
Exprs PowersEmitter::used(Point leaves, Point expressions) {
  Exprs result;
  for (Expr leaf : leaves)
    if (llvm::any_of(expressions, [&](Expr expr) {
          return expr && contains(expr, [&](Expr node) { return node == leaf; });
        }))
      result.push_back(leaf);
  return result;
}

/// What the wanted leaves are at a point of `leaves`.
Exprs PowersEmitter::pick(Point wanted, Point leaves, Point point) {
  Exprs result;
  for (auto [leaf, value] : llvm::zip_equal(leaves, point))
    if (llvm::is_contained(wanted, leaf))
      result.push_back(value);
  return result;
}

Expr PowersEmitter::substitute(Expr expr, Point leaves, Point point) {
  llvm::DenseMap<Expr, Expr> here;
  for (auto [leaf, value] : llvm::zip_equal(leaves, point))
    here[leaf] = value;
  return context.substitute(expr, here);
}

/// The value of a state; null is 0.
Expr PowersEmitter::choose(Expr state, ArrayRef<Expr> values) {
  Expr result = values.back() ? values.back() : real(0);
  for (unsigned i = values.size() - 1; i-- > 0;)
    result = context.select(context.equal(state, integer(i)),
                            values[i] ? values[i] : real(0), result);
  return result;
}

//===----------------------------------------------------------------------===//
// Points
//===----------------------------------------------------------------------===//

/// [batch.., state, rest..].
Exprs PowersEmitter::statePoint(Point outer, Point row) {
  Exprs rest(s.outerDims.size() + s.mixedDims.size());
  for (auto [dim, e] : llvm::zip_equal(s.outerDims, outer.drop_front(numBatch)))
    rest[dim] = e;
  for (auto [dim, e] : llvm::zip_equal(s.mixedDims, row.drop_front(isStacked)))
    rest[dim] = e;
  return concat({batchOf(outer), row.take_front(isStacked), rest});
}

Exprs PowersEmitter::outerOf(Point point) {
  Exprs result(batchOf(point));
  for (unsigned dim : s.outerDims)
    result.push_back(point[numBatch + isStacked + dim]);
  return result;
}

Exprs PowersEmitter::rowOf(Point point) {
  Exprs result(point.slice(numBatch, isStacked));
  for (unsigned dim : s.mixedDims)
    result.push_back(point[numBatch + isStacked + dim]);
  return result;
}

Expr PowersEmitter::entry(Value tensor, Expr power, Point outer, Point row,
                          Point column) {
  Exprs point = concat({pick(matrixLeaves, s.outer, outer), row, column});
  return read(tensor, power ? inserted(point, power) : point);
}

Exprs PowersEmitter::tablePoint(Point outer, Expr power, Point rest) {
  return inserted(concat({pick(tableLeaves, s.outer, outer), rest}), power);
}

//===----------------------------------------------------------------------===//
// Tables
//===----------------------------------------------------------------------===//

/// A and A^C.
void PowersEmitter::emitMatrices() {
  unsigned numLeaves = matrixLeaves.size();
  Values extent = sizes({extents(matrixLeaves), rowSizes, columnSizes});
  Exprs leaves = concat({matrixLeaves, rows, columns});
  matrix = equation(builder, "matrix", extent, [&](Point point) {
    Exprs byNew;
    for (auto &entries : s.transition)
      byNew.push_back(choose(isStacked ? columns[0] : nullptr, entries));
    return substitute(choose(isStacked ? rows[0] : nullptr, byNew), leaves,
                      point);
  });
  if (chunk == 1) {
    whole = matrix;
    return;
  }
  // A^2, A^4, ..; or A^2, A^3, ...
  bool squares = llvm::isPowerOf2_64(chunk);
  int64_t count = squares ? llvm::Log2_64(chunk) : chunk - 1;
  RecurrenceOp powers =
      recurrence(builder, ".powers", constant(count), extent.size());
  OpBuilder inside = OpBuilder::atBlockEnd(&powers.getBlock());
  Expr power = context.leaf(powers.getAlongIndices()[0]);
  Value past = powers.getPast(0);
  auto before = [&](Point point) {
    return context.select(isFirst(power), read(matrix, point),
                          read(past, inserted(point, previous(power))));
  };
  Value last = equation(inside, "last", extent, before);
  Value product =
      sum(inside, "power", extent, columnSizes, [&](Point point, Point middle) {
        Point kept = point.take_front(numLeaves);
        Point row = point.slice(numLeaves, rows.size());
        Point column = point.drop_front(numLeaves + rows.size());
        return context.mul(
            read(last, concat({kept, row, middle})),
            read(squares ? last : matrix,
                 concat({kept, rowAt(row, middle), column})));
      });
  YieldOp::create(inside, loc, product);
  whole = powers.getHistory(0);
  wholePower = integer(count - 1);
}

/// V_k and u_k.
void PowersEmitter::emitWrites() {
  for (PowersWrite &write : s.writes) {
    Values extent = sizes({outerSizes, numChunks, chunkSize});
    values.push_back(equation(builder, "u", extent, [&](Point point) {
      Expr step = stepOf(point.drop_back().back(), point.back());
      Expr value = substitute(write.value, concat({s.outer, {s.time}}),
                              concat({point.drop_back(2),
                                      {timeAt(context.stepFor(
                                          write.value, step, length))}}));
      return context.select(less(step, context.leaf(length)), value, real(0));
    }));
    Values slice = sizes({extents(tableLeaves), rowSizes});
    RecurrenceOp powers =
        recurrence(builder, ".v", chunkSize, slice.size());
    OpBuilder inside = OpBuilder::atBlockEnd(&powers.getBlock());
    Expr power = context.leaf(powers.getAlongIndices()[0]);
    Value past = powers.getPast(0);
    Value next =
        sum(inside, "v.next", slice, columnSizes,
            [&](Point point, Point column) {
              Point kept = point.take_front(tableLeaves.size());
              Point row = point.drop_front(tableLeaves.size());
              Exprs old = concat({kept, rowAt(row, column)});
              Exprs place =
                  concat({pick(matrixLeaves, tableLeaves, kept), row, column});
              return context.mul(read(matrix, place),
                                 read(past, inserted(old, previous(power))));
            });
    Value table = equation(inside, "v", slice, [&](Point point) {
      Expr first = substitute(choose(isStacked ? rows[0] : nullptr, write.into),
                              concat({tableLeaves, rows}), point);
      return context.select(isFirst(power), first, read(next, point));
    });
    YieldOp::create(inside, loc, table);
    tables.push_back(powers.getHistory(0));
  }
}

//===----------------------------------------------------------------------===//
// States
//===----------------------------------------------------------------------===//

/// The initial values of all states.
Value PowersEmitter::emitInitial() {
  if (!isStacked)
    return op.getInitials()[0];
  return equation(builder, "initial", stateSizes, [&](Point point) {
    Exprs place = concat({batchOf(point), point.drop_front(numBatch + 1)});
    Exprs each;
    for (Value initial : op.getInitials())
      each.push_back(read(initial, place));
    return choose(point[numBatch], each);
  });
}

/// S = A S + parts, or A^C S + parts.
RecurrenceOp PowersEmitter::emitStates(
    Value steps, Value initial, bool isWhole,
    llvm::function_ref<Values(OpBuilder &, Expr)> emitParts) {
  RecurrenceOp along =
      recurrence(builder, "", steps, stateSizes.size(), initial);
  OpBuilder inside = OpBuilder::atBlockEnd(&along.getBlock());
  Expr step = context.leaf(along.getAlongIndices()[0]);
  Value past = along.getPast(0);
  Values parts = emitParts(inside, step);
  parts.push_back(
      sum(inside, "kept", stateSizes, columnSizes,
          [&](Point point, Point column) {
            Exprs outer = outerOf(point), row = rowOf(point);
            Exprs old = statePoint(outer, rowAt(row, column));
            return context.mul(
                isWhole ? entry(whole, wholePower, outer, row, column)
                        : entry(matrix, nullptr, outer, row, column),
                readElse(past, inserted(old, previous(step)), initial, old));
          }));
  Value slice = equation(inside, "next", stateSizes, [&](Point point) {
    Expr result = real(0);
    for (Value part : parts)
      result = context.add(result, read(part, point));
    return result;
  });
  YieldOp::create(inside, loc, slice);
  return along;
}

/// The steps behind the last whole chunk, for the final values.
void PowersEmitter::emitFinal() {
  auto isUsed = [&](unsigned i) { return !op.getFinal(i).use_empty(); };
  if (llvm::none_of(llvm::seq(numStates), isUsed))
    return;
  Expr end = context.leaf(numWhole);
  Value start = equation(builder, "start", stateSizes, [&](Point point) {
    return readElse(history, inserted(point, previous(end)), initial, point);
  });
  Value steps = builder.createOrFold<arith::SubIOp>(
      loc, length,
      builder.createOrFold<arith::MulIOp>(loc, numWhole, chunkSize));
  RecurrenceOp along = emitStates(
      steps, start, /*isWhole=*/false, [&](OpBuilder &at, Expr step) {
        Values parts;
        for (unsigned k = 0; k < tables.size(); ++k)
          parts.push_back(
              equation(at, "written", stateSizes, [&](Point point) {
                Exprs outer = outerOf(point);
                return context.mul(
                    read(tables[k], tablePoint(outer, integer(0), rowOf(point))),
                    read(values[k], concat({outer, {end, step}})));
              }));
        return parts;
      });
  if (!isStacked)
    return op.getFinal(0).replaceAllUsesWith(along.getFinal(0));
  for (unsigned i = 0; i < numStates; ++i) {
    if (!isUsed(i))
      continue;
    Values extent(stateSizes);
    extent.erase(extent.begin() + numBatch);
    op.getFinal(i).replaceAllUsesWith(
        equation(builder, "final", extent, [&](Point point) {
          return read(along.getFinal(0), inserted(point, integer(i)));
        }));
  }
}

//===----------------------------------------------------------------------===//
// Readouts
//===----------------------------------------------------------------------===//

/// A term without its scale, [outer.., e.., c, r], where e are `rest`.
Value PowersEmitter::emitTerm(OpBuilder &at, PowersTerm &term, Point rest) {
  unsigned numLeaves = tableLeaves.size(), numRest = rest.size(),
           numOuter = s.outer.size();
  Values restSizes = extents(rest);

  // Q A^l for l up to C: [batch.., l, kept.., e.., row..].
  Values slice = sizes({extents(tableLeaves), restSizes, rowSizes});
  RecurrenceOp queries =
      recurrence(at, ".r", constant(chunk + 1), slice.size());
  {
    OpBuilder inside = OpBuilder::atBlockEnd(&queries.getBlock());
    Expr power = context.leaf(queries.getAlongIndices()[0]);
    Value past = queries.getPast(0);
    Value next =
        sum(inside, "r.next", slice, columnSizes,
            [&](Point point, Point column) {
              Point kept = point.take_front(numLeaves);
              Point row = point.drop_front(numLeaves + numRest);
              Exprs from = rowAt(row, column);
              Exprs old =
                  concat({point.take_front(numLeaves + numRest), from});
              Exprs place = concat({pick(matrixLeaves, tableLeaves, kept), from,
                                    columnOf(row)});
              return context.mul(read(past, inserted(old, previous(power))),
                                 read(matrix, place));
            });
    Value table = equation(inside, "r", slice, [&](Point point) {
      Expr first = substitute(choose(isStacked ? rows[0] : nullptr,
                                     term.weights),
                              concat({tableLeaves, rest, rows}), point);
      return context.select(isFirst(power), first, read(next, point));
    });
    YieldOp::create(inside, loc, table);
  }
  Value query = queries.getHistory(0);

  Values extent = sizes({outerSizes, restSizes, numChunks, chunkSize});
  auto outer = [&](Point point) { return point.take_front(numOuter); };
  auto own = [&](Point point) { return point.slice(numOuter, numRest); };
  Values parts;
  parts.push_back(sum(at, "out.start", extent, rowSizes,
                      [&](Point point, Point row) {
                        Expr c = point.drop_back().back();
                        Expr r = point.back();
                        Expr power = term.before ? r : add(r, integer(1));
                        Exprs old = statePoint(outer(point), row);
                        return context.mul(
                            read(query,
                                 tablePoint(outer(point), power,
                                            concat({own(point), row}))),
                            readElse(history, inserted(old, previous(c)),
                                     initial, old));
                      }));
  for (auto [table, value] : llvm::zip_equal(tables, values)) {
    // K by power, [kept.., e.., l], and by steps, [kept.., e.., r, s].
    Value byPower = sum(
        at, "response", sizes({extents(tableLeaves), restSizes, chunkSize}),
        rowSizes, [&, table = table](Point point, Point row) {
          Exprs kept(point.take_front(numLeaves));
          Point e = point.slice(numLeaves, numRest);
          return context.mul(
              read(query, inserted(concat({kept, e, row}), integer(0))),
              read(table, inserted(concat({kept, row}), point.back())));
        });
    auto power = [&](Expr r, Expr from) {
      Expr after = sub(r, from);
      return term.before ? previous(after) : after;
    };
    Value bySteps = equation(
        at, "responses",
        sizes({extents(tableLeaves), restSizes, chunkSize, chunkSize}),
        [&](Point point) {
          Expr l = power(point.drop_back().back(), point.back());
          return context.select(
              less(l, integer(0)), real(0),
              read(byPower, concat({point.drop_back(2), {l}})));
        });
    parts.push_back(sum(
        at, "out.within", extent, chunkSize,
        [&, value = value](Point point, Point from) {
          Exprs kept = pick(tableLeaves, s.outer, outer(point));
          Expr c = point.drop_back().back(), r = point.back();
          return context.mul(
              read(bySteps, concat({kept, own(point), {r}, from})),
              read(value, concat({outer(point), {c}, from})));
        },
        [&](Point point, Point from) {
          return compare(term.before ? arith::CmpIPredicate::slt
                                     : arith::CmpIPredicate::sle,
                         from[0], point.back());
        }));
  }
  return equation(at, "out", extent, [&](Point point) {
    Expr result = real(0);
    for (Value part : parts)
      result = context.add(result, read(part, point));
    return result;
  });
}

void PowersEmitter::emitReadout(PowersReadout &readout) {
  EquationOp consumer = readout.consumer;
  OpBuilder at(consumer);
  ArrayRef<BlockArgument> indices = consumer.getParallelIndices();
  auto created = EquationOp::create(at, consumer.getLoc(), consumer.getName(),
                                    type, consumer.getSizes());
  at.setInsertionPoint(created);
  Exprs old, now;
  for (auto [from, to] :
       llvm::zip_equal(indices, created.getParallelIndices())) {
    old.push_back(context.leaf(from));
    now.push_back(context.leaf(to));
  }
  Expr step = timeAt(now[readout.timeIndex]); // its own inverse
  Expr c = context.apply("arith.floordivsi", {step, integer(chunk)}, index);
  Expr r = context.apply("rondo.mod", {step, integer(chunk)}, index);
  Exprs outer(batchOf(now));
  for (unsigned i : readout.outerIndices)
    outer.push_back(now[i]);
  Expr result = substitute(readout.constant, old, now);
  for (PowersTerm &term : readout.terms) {
    Exprs rest = used(old, term.weights);
    Value value = emitTerm(at, term, rest);
    result = context.add(
        result, context.mul(substitute(term.scale, old, now),
                            read(value, concat({outer, pick(rest, old, now),
                                                {c, r}}))));
  }
  OpBuilder inside = OpBuilder::atBlockEnd(&created.getBlock());
  Value value = Exporter(created).emit(inside, result);
  YieldOp::create(inside, loc, value);
  consumer.getResult().replaceAllUsesWith(created.getResult());
  consumer.erase();
}

void PowersEmitter::run() {
  zero = constant(0);
  chunkSize = constant(chunk);
  length = op.getSizes()[0];
  numWhole = builder.createOrFold<arith::FloorDivSIOp>(loc, length, chunkSize);
  numChunks = builder.createOrFold<arith::FloorDivSIOp>(
      loc,
      builder.createOrFold<arith::AddIOp>(loc, length, constant(chunk - 1)),
      chunkSize);
  Values sliceSizes(s.state.getSizes());
  ValueRange restSizes = ValueRange(sliceSizes).drop_front(numBatch);
  llvm::append_range(outerSizes, ValueRange(sliceSizes).take_front(numBatch));
  for (unsigned dim : s.outerDims)
    outerSizes.push_back(restSizes[dim]);
  Values stateCount;
  if (isStacked) {
    Value count = constant(numStates);
    stateCount.push_back(count);
    rows.push_back(context.variable(context.fresh(zero, count)));
    columns.push_back(context.variable(context.fresh(zero, count)));
  }
  stateSizes = sizes(
      {ValueRange(sliceSizes).take_front(numBatch), stateCount, restSizes});
  rowSizes = stateCount;
  columnSizes = stateCount;
  for (unsigned dim : s.mixedDims) {
    rowSizes.push_back(restSizes[dim]);
    if (isDense)
      columnSizes.push_back(restSizes[dim]);
  }
  llvm::append_range(rows, s.rows);
  if (isDense)
    llvm::append_range(columns, s.columns);

  Exprs entries, all;
  for (auto &row : s.transition)
    llvm::append_range(entries, row);
  all = entries;
  for (PowersWrite &write : s.writes)
    llvm::append_range(all, write.into);
  for (PowersReadout &readout : s.readouts)
    for (PowersTerm &term : readout.terms)
      llvm::append_range(all, term.weights);
  // Every tensor of a kernel is there for each batch point.
  Point batch = batchOf(s.outer), kept = Point(s.outer).drop_front(numBatch);
  matrixLeaves = concat({batch, used(kept, entries)});
  tableLeaves = concat({batch, used(kept, all)});

  emitMatrices();
  emitWrites();
  initial = emitInitial();
  history = emitStates(numWhole, initial, /*isWhole=*/true,
                       [&](OpBuilder &at, Expr c) {
                         Values parts;
                         for (auto [table, value] :
                              llvm::zip_equal(tables, values))
                           parts.push_back(sum(
                               at, "written", stateSizes, chunkSize,
                               [&, table = table, value = value](Point point,
                                                                 Point from) {
                                 Exprs outer = outerOf(point);
                                 Expr power = sub(integer(chunk - 1), from[0]);
                                 return context.mul(
                                     read(table, tablePoint(outer, power,
                                                            rowOf(point))),
                                     read(value, concat({outer, {c}, from})));
                               }));
                         return parts;
                       })
                .getHistory(0);
  emitFinal();
  for (PowersReadout &readout : s.readouts)
    emitReadout(readout);
  op.erase();
}

} // namespace

void rondo::toPowers(Context &context, PowersStructure &structure,
                     int64_t chunk) {
  PowersEmitter(context, structure, chunk).run();
}
