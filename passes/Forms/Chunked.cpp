//===- Chunked.cpp - Recurrences over chunks ------------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Forms/Chunked.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Dominance.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::algebra;

namespace {

using Exprs = SmallVector<Expr>;

/// A row vector over i whose products with the writes are wanted.
struct Query {
  Value tensor; // [batch.., c, r, i..]
  bool before;  // meets the state before step r, not after it
};

/// scores[query][write]: [batch.., c, r, s].
using Scores = SmallVector<SmallVector<Value>>;

class ChunkEmitter {
public:
  ChunkEmitter(Context &context, ChunkedStructure &structure, int64_t chunk)
      : context(context), s(structure), chunk(chunk), builder(s.recurrence),
        loc(s.recurrence.getLoc()), type(s.decay->type),
        index(builder.getIndexType()), numBatch(s.batch.size()),
        name(s.recurrence.getName(0)) {}

  void run();

private:
  // Building blocks. Equations have the dims [batch.., (c), ..].
  using Body = llvm::function_ref<Expr(ArrayRef<Expr>)>;
  using SumBody =
      llvm::function_ref<std::pair<Expr, Expr>(ArrayRef<Expr>, ArrayRef<Expr>)>;
  Value equation(OpBuilder &at, const Twine &suffix, ValueRange sizes,
                 Body body);
  /// The body gives the term and the filter, or null.
  Value sum(OpBuilder &at, const Twine &suffix, ValueRange sizes,
            ValueRange extents, SumBody body);
  RecurrenceOp alongChunk(OpBuilder &at, ArrayRef<std::string> names,
                          ArrayRef<unsigned> restRanks, unsigned numOuter);
  SmallVector<Value> sizes(std::initializer_list<ValueRange> parts);
  Expr read(Value tensor, ArrayRef<Expr> subscripts) {
    return context.read(tensor, subscripts, {}, {}, type);
  }
  Expr readElse(Value tensor, ArrayRef<Expr> subscripts, Value fallback,
                ArrayRef<Expr> fallbackSubscripts) {
    return context.read(tensor, subscripts, fallback, fallbackSubscripts, type);
  }
  Expr add(Expr a, Expr b) {
    return context.apply("arith.addi", {a, b}, index);
  }
  Expr sub(Expr a, Expr b) {
    return context.apply("arith.subi", {a, b}, index);
  }
  Expr compare(arith::CmpIPredicate predicate, Expr a, Expr b) {
    return context.compareIndex(static_cast<int64_t>(predicate), a, b);
  }
  /// Whether write s has happened when a query of step r meets the state.
  Expr happened(Expr from, Expr r, bool before) {
    return compare(before ? arith::CmpIPredicate::slt
                          : arith::CmpIPredicate::sle,
                   from, r);
  }
  Expr real(double number) { return context.real(number, type); }
  Expr previous(Expr e) { return sub(e, context.integer(1)); }
  /// Step r of chunk c, counted in the direction of the recurrence.
  Expr position(Expr c, Expr r) {
    return add(context.apply("arith.muli", {c, context.integer(chunk)}, index),
               r);
  }
  Expr timeAt(Expr step) {
    return s.reversed ? sub(previous(context.leaf(length)), step) : step;
  }
  /// The state's subscripts from those of dims i and of dims j.
  Exprs statePoint(ArrayRef<Expr> i, ArrayRef<Expr> j) {
    Exprs point(i.size() + j.size());
    for (auto [dim, e] : llvm::zip_equal(s.leftDims, i))
      point[dim] = e;
    for (auto [dim, e] : llvm::zip_equal(s.rightDims, j))
      point[dim] = e;
    return point;
  }
  /// sum over i of q S at the start of chunk c: the term.
  Expr meetsStart(Value query, Value states, ArrayRef<Expr> batch, Expr c,
                  Expr r, ArrayRef<Expr> i, ArrayRef<Expr> j) {
    Exprs point = statePoint(i, j);
    Expr state =
        readElse(states, concat({batch, {previous(c)}, point}),
                 s.recurrence.getInitials()[0], concat({batch, point}));
    return context.mul(read(query, concat({batch, {c, r}, i})), state);
  }
  static Exprs concat(std::initializer_list<ArrayRef<Expr>> parts) {
    Exprs all;
    for (ArrayRef<Expr> part : parts)
      llvm::append_range(all, part);
    return all;
  }

  Value chunkTensor(OpBuilder &at, const Twine &suffix, Expr expr,
                    bool withLeft, bool withRight, double padding);
  void emitProduct();
  void emitPairs();
  Scores emitScores(OpBuilder &at, ArrayRef<Query> queries);
  Scores emitScalarScores(OpBuilder &at, ArrayRef<Query> queries);
  Scores emitDiagonalScores(OpBuilder &at, ArrayRef<Query> queries);
  Value decayed(OpBuilder &at, Query query);
  Expr atEndAt(unsigned write, ArrayRef<Expr> outer, Expr from,
               ArrayRef<Expr> left);
  SmallVector<Value> emitValues(OpBuilder &at, Expr c, Value past,
                                const Scores &scores);
  void emitStates();
  void emitReadout(Readout &readout);

  Context &context;
  ChunkedStructure &s;
  int64_t chunk;
  OpBuilder builder;
  Location loc;
  Type type, index;
  unsigned numBatch;
  StringRef name;

  Value zero, length, numChunks, chunkSize;
  SmallVector<Value> batchSizes, leftSizes, rightSizes;
  Value decay;   // a [batch.., c, r, (i..)], 1 behind the end; null for 1
  Value product; // P [batch.., c, r, (i..)]

  Value pairs; // decay without i: D [batch.., c, r, s]
  /// With a decay per i: x_m [batch.., c, r, i.., s], decayed from s to r.
  SmallVector<Value> ends;
  SmallVector<Value> lefts;                 // x_m [batch.., c, r, i..]
  SmallVector<Value> rights;                // w_m [batch.., c, r, j..]
  SmallVector<Value> values;                // U_m [batch.., c, r, j..]
  SmallVector<SmallVector<Value>> feedback; // b_mn [batch.., c, r, j..]
  SmallVector<Query> queries;               // of the c_n
  SmallVector<Value> decayedQueries;        // from the start of the chunk
  Value history;                            // S [batch.., c, i.., j..]
};

//===----------------------------------------------------------------------===//
// Building blocks
//===----------------------------------------------------------------------===//

Value ChunkEmitter::equation(OpBuilder &at, const Twine &suffix,
                             ValueRange sizes, Body body) {
  auto op =
      EquationOp::create(at, loc, (name + "." + suffix).str(), type, sizes);
  Exprs indices;
  for (BlockArgument each : op.getParallelIndices())
    indices.push_back(context.leaf(each));
  OpBuilder inside = OpBuilder::atBlockEnd(&op.getBlock());
  Value value = Exporter(op).emit(inside, body(indices));
  YieldOp::create(inside, loc, value);
  return op.getResult();
}

Value ChunkEmitter::sum(OpBuilder &at, const Twine &suffix, ValueRange sizes,
                        ValueRange extents, SumBody body) {
  SmallVector<Value> lowers(extents.size(), zero);
  auto op = EquationOp::create(at, loc, (name + "." + suffix).str(), type,
                               sizes, lowers, extents, Combiner::Sum);
  Exprs indices, summed;
  for (BlockArgument each : op.getParallelIndices())
    indices.push_back(context.leaf(each));
  for (BlockArgument each : op.getReductionIndices())
    summed.push_back(context.leaf(each));
  OpBuilder inside = OpBuilder::atBlockEnd(&op.getBlock());
  auto [term, filter] = body(indices, summed);
  // One block of code: the filter is emitted with the term.
  Value value = Exporter(op).emit(inside, term);
  Value condition = filter ? Exporter(op).emit(inside, filter) : Value();
  YieldOp::create(inside, loc, value, condition);
  return op.getResult();
}

SmallVector<Value>
ChunkEmitter::sizes(std::initializer_list<ValueRange> parts) {
  SmallVector<Value> all(batchSizes);
  for (ValueRange part : parts)
    llvm::append_range(all, part);
  return all;
}

/// A recurrence along the positions of a chunk with an empty region. Its
/// members are locals with the dims [outer.., r, rest..].
RecurrenceOp ChunkEmitter::alongChunk(OpBuilder &at,

                                      ArrayRef<std::string> names,
                                      ArrayRef<unsigned> restRanks,
                                      unsigned numOuter) {
  SmallVector<Type> types;
  for (unsigned rank : restRanks)
    types.push_back(RankedTensorType::get(
        SmallVector<int64_t>(numOuter + 1 + rank, ShapedType::kDynamic), type));

  SmallVector<Attribute> nameAttrs;
  for (const std::string &each : names)
    nameAttrs.push_back(builder.getStringAttr(name + "." + each));
  auto op = RecurrenceOp::create(at, loc, types, ValueRange(chunkSize),
                                 ValueRange(), builder.getArrayAttr(nameAttrs),
                                 builder.getDenseBoolArrayAttr({false}),
                                 builder.getI64IntegerAttr(numOuter));
  SmallVector<Type> arguments{index};
  llvm::append_range(arguments, types);
  OpBuilder::InsertionGuard guard(at);
  at.createBlock(&op.getBody(), {}, arguments,
                 SmallVector<Location>(arguments.size(), loc));
  return op;
}

/// `expr` over the state's leaves as [batch.., c, r, (i..), (j..)]; `padding`
/// behind the end.
Value ChunkEmitter::chunkTensor(OpBuilder &at, const Twine &suffix, Expr expr,
                                bool withLeft, bool withRight, double padding) {
  SmallVector<Value> extents = sizes({numChunks, chunkSize});
  Exprs leaves(s.batch);
  leaves.append(2, nullptr);
  if (withLeft) {
    llvm::append_range(extents, leftSizes);
    llvm::append_range(leaves, s.left);
  }
  if (withRight) {
    llvm::append_range(extents, rightSizes);
    llvm::append_range(leaves, s.right);
  }
  return equation(at, suffix, extents, [&](ArrayRef<Expr> at) {
    Expr step = position(at[numBatch], at[numBatch + 1]);
    llvm::DenseMap<Expr, Expr> here{{s.time, timeAt(step)}};
    for (auto [leaf, value] : llvm::zip_equal(leaves, at))
      if (leaf)
        here[leaf] = value;
    return context.select(
        compare(arith::CmpIPredicate::slt, step, context.leaf(length)),
        context.substitute(expr, here), real(padding));
  });
}

//===----------------------------------------------------------------------===//
// Decays
//===----------------------------------------------------------------------===//

/// P[r] = P[r-1] a[r].
void ChunkEmitter::emitProduct() {
  SmallVector<Value> extents = sizes({numChunks});
  if (s.decayUsesLeft)
    llvm::append_range(extents, leftSizes);
  unsigned rank = s.decayUsesLeft ? s.left.size() : 0;
  RecurrenceOp op = alongChunk(builder, {"product"}, {rank}, numBatch + 1);
  OpBuilder inside = OpBuilder::atBlockEnd(&op.getBlock());
  Expr r = context.leaf(op.getAlongIndices()[0]);
  Value slice = equation(inside, "product", extents, [&](ArrayRef<Expr> at) {
    ArrayRef<Expr> outer = at.take_front(numBatch + 1);
    ArrayRef<Expr> rest = at.drop_front(numBatch + 1);
    Expr past = read(op.getPast(0), concat({outer, {previous(r)}, rest}));
    Expr started =
        context.select(context.equal(r, context.integer(0)), real(1), past);
    return context.mul(started, read(decay, concat({outer, {r}, rest})));
  });
  YieldOp::create(inside, loc, slice);
  product = op.getHistory(0);
}

/// For a decay without i: D[r, s] = product of a in (s, r], 0 for s > r.
void ChunkEmitter::emitPairs() {
  SmallVector<Value> extents = sizes({numChunks, chunkSize});
  RecurrenceOp op = alongChunk(builder, {"pairs"}, {1}, numBatch + 1);
  OpBuilder inside = OpBuilder::atBlockEnd(&op.getBlock());
  Expr r = context.leaf(op.getAlongIndices()[0]);
  Value slice = equation(inside, "pairs", extents, [&](ArrayRef<Expr> at) {
    ArrayRef<Expr> outer = at.take_front(numBatch + 1);
    Expr from = at.back();
    Expr past = read(op.getPast(0), concat({outer, {previous(r), from}}));
    return context.select(context.equal(from, r), real(1),
                          context.mul(past, read(decay, concat({outer, {r}}))));
  });
  YieldOp::create(inside, loc, slice);
  pairs = op.getHistory(0);
}

/// q decayed from the start of the chunk to where it meets the state.
Value ChunkEmitter::decayed(OpBuilder &at, Query query) {
  if (!product)
    return query.tensor;
  return equation(at, "decayed", sizes({numChunks, chunkSize, leftSizes}),
                  [&](ArrayRef<Expr> at) {
                    ArrayRef<Expr> outer = at.take_front(numBatch + 1);
                    Expr r = at[numBatch + 1];
                    ArrayRef<Expr> left = s.decayUsesLeft
                                              ? at.drop_front(numBatch + 2)
                                              : ArrayRef<Expr>();
                    Expr when = query.before ? previous(r) : r;
                    Expr factor = read(product, concat({outer, {when}, left}));
                    if (query.before)
                      factor =
                          context.select(context.equal(r, context.integer(0)),
                                         real(1), factor);
                    return context.mul(read(query.tensor, at), factor);
                  });
}

//===----------------------------------------------------------------------===//
// Scores
//===----------------------------------------------------------------------===//

Scores ChunkEmitter::emitScores(OpBuilder &at, ArrayRef<Query> queries) {
  return decay && s.decayUsesLeft ? emitDiagonalScores(at, queries)
                                  : emitScalarScores(at, queries);
}

/// (q . x) D, as a matrix product.
Scores ChunkEmitter::emitScalarScores(OpBuilder &at, ArrayRef<Query> queries) {
  Scores scores;
  SmallVector<Value> extents = sizes({numChunks, chunkSize, chunkSize});
  for (Query query : queries) {
    SmallVector<Value> row;
    for (Value left : lefts) {
      Value dots = sum(
          at, "dots", extents, leftSizes,
          [&](ArrayRef<Expr> at, ArrayRef<Expr> i) -> std::pair<Expr, Expr> {
            ArrayRef<Expr> outer = at.take_front(numBatch + 1);
            Expr r = at[numBatch + 1], from = at[numBatch + 2];
            return {context.mul(read(query.tensor, concat({outer, {r}, i})),
                                read(left, concat({outer, {from}, i}))),
                    nullptr};
          });
      row.push_back(equation(at, "scores", extents, [&](ArrayRef<Expr> at) {
        Expr r = at[numBatch + 1], from = at[numBatch + 2];
        Expr value = read(dots, at);
        if (pairs) {
          Exprs when(at);
          if (query.before)
            when[numBatch + 1] = previous(r);
          value = context.mul(value, read(pairs, when));
        }
        return context.select(happened(from, r, query.before), value, real(0));
      }));
    }
    scores.push_back(row);
  }
  return scores;
}

/// With a decay per i the writes decay along with r,
///   X_m[r, i, s] = X_m[r-1, i, s] a[r, i], started by x_m[r, i] at s = r,
/// and meet the queries at every step.
Scores ChunkEmitter::emitDiagonalScores(OpBuilder &at,
                                        ArrayRef<Query> queries) {
  unsigned numWrites = lefts.size(), rank = s.left.size();
  SmallVector<Value> extents = sizes({numChunks, leftSizes, chunkSize});
  SmallVector<Value> rowExtents = sizes({numChunks, chunkSize});

  SmallVector<std::string> names;
  SmallVector<unsigned> ranks;
  for (unsigned m = 0; m < numWrites; ++m) {
    names.push_back("x" + std::to_string(m));
    ranks.push_back(rank + 1);
  }
  for (unsigned n = 0; n < queries.size() * numWrites; ++n) {
    names.push_back("scores" + std::to_string(n));
    ranks.push_back(1);
  }
  RecurrenceOp op = alongChunk(at, names, ranks, numBatch + 1);
  OpBuilder inside = OpBuilder::atBlockEnd(&op.getBlock());
  Expr r = context.leaf(op.getAlongIndices()[0]);
  SmallVector<Value> slices;
  for (unsigned m = 0; m < numWrites; ++m) {
    Value left = lefts[m];
    slices.push_back(
        equation(inside, names[m], extents, [&](ArrayRef<Expr> at) {
          ArrayRef<Expr> outer = at.take_front(numBatch + 1);
          ArrayRef<Expr> i = at.drop_front(numBatch + 1).drop_back();
          Expr from = at.back();
          Expr past =
              read(op.getPast(m), concat({outer, {previous(r)}, i, {from}}));
          return context.select(
              context.equal(from, r), read(left, concat({outer, {r}, i})),
              context.mul(past, read(decay, concat({outer, {r}, i}))));
        }));
  }
  Scores scores;
  for (Query query : queries)
    for (unsigned m = 0; m < numWrites; ++m)
      slices.push_back(sum(
          inside, "scores", rowExtents, leftSizes,
          [&](ArrayRef<Expr> at, ArrayRef<Expr> i) -> std::pair<Expr, Expr> {
            ArrayRef<Expr> outer = at.take_front(numBatch + 1);
            Expr from = at.back();
            Expr write = query.before
                             ? read(op.getPast(m),
                                    concat({outer, {previous(r)}, i, {from}}))
                             : read(slices[m], concat({outer, i, {from}}));
            return {
                context.mul(read(query.tensor, concat({outer, {r}, i})), write),
                nullptr};
          }));
  YieldOp::create(inside, loc, slices);
  unsigned number = numWrites;
  for (unsigned n = 0; n < queries.size(); ++n) {
    SmallVector<Value> row;
    for (unsigned m = 0; m < numWrites; ++m)
      row.push_back(op.getHistory(number++));
    scores.push_back(row);
  }
  if (ends.empty())
    for (unsigned m = 0; m < numWrites; ++m)
      ends.push_back(op.getHistory(m));
  return scores;
}

/// x_m[s, i] decayed to the end of the chunk.
Expr ChunkEmitter::atEndAt(unsigned write, ArrayRef<Expr> outer, Expr from,
                           ArrayRef<Expr> left) {
  Expr end = context.integer(chunk - 1);
  if (decay && s.decayUsesLeft)
    return read(ends[write], concat({outer, {end}, left, {from}}));

  Expr value = read(lefts[write], concat({outer, {from}, left}));
  if (decay)
    value = context.mul(value, read(pairs, concat({outer, {end, from}})));
  return value;
}

//===----------------------------------------------------------------------===//
// States
//===----------------------------------------------------------------------===//

/// U_m [batch.., r, j..] inside the recurrence over chunks, from the state at
/// the start of chunk c.
SmallVector<Value> ChunkEmitter::emitValues(OpBuilder &at, Expr c, Value past,
                                            const Scores &scores) {
  SmallVector<Value> extents = sizes({chunkSize, rightSizes});
  SmallVector<Value> fromStart; // p_n without the writes of this chunk
  for (Value query : decayedQueries)
    fromStart.push_back(
        sum(at, "start", extents, leftSizes,
            [&](ArrayRef<Expr> at, ArrayRef<Expr> i) -> std::pair<Expr, Expr> {
              return {meetsStart(query, past, at.take_front(numBatch), c,
                                 at[numBatch], i, at.drop_front(numBatch + 1)),
                      nullptr};
            }));
  // w_m + b_mn p_n at step r, p_n from a function.
  auto value = [&](unsigned m, ArrayRef<Expr> batch, Expr r, ArrayRef<Expr> j,
                   llvm::function_ref<Expr(unsigned)> p) {
    Expr total = read(rights[m], concat({batch, {c, r}, j}));
    for (unsigned n = 0; n < s.reads.size(); ++n)
      if (Value factor = feedback[m][n])
        total = context.add(
            total, context.mul(read(factor, concat({batch, {c, r}, j})), p(n)));
    return total;
  };
  bool solves = llvm::any_of(
      s.reads, [](const ChunkedRead &each) { return !each.frozen; });
  SmallVector<Value> result;
  if (!solves) {
    for (unsigned m = 0; m < lefts.size(); ++m)
      result.push_back(equation(at, "u", extents, [&](ArrayRef<Expr> at) {
        ArrayRef<Expr> batch = at.take_front(numBatch);
        return value(m, batch, at[numBatch], at.drop_front(numBatch + 1),
                     [&](unsigned n) { return read(fromStart[n], at); });
      }));
    return result;
  }
  // Row r of U needs the rows before it: a unit triangular system.
  SmallVector<std::string> names;
  for (unsigned m = 0; m < lefts.size(); ++m)
    names.push_back("u" + std::to_string(m));
  SmallVector<unsigned> ranks(lefts.size(), s.right.size());
  RecurrenceOp op = alongChunk(at, names, ranks, numBatch);
  OpBuilder inside = OpBuilder::atBlockEnd(&op.getBlock());
  Expr r = context.leaf(op.getAlongIndices()[0]);
  SmallVector<Value> rowExtents = sizes({rightSizes});
  SmallVector<SmallVector<Value>> within(s.reads.size()); // [n][m]
  for (auto [n, each] : llvm::enumerate(s.reads)) {
    if (each.frozen)
      continue;
    for (unsigned m = 0; m < lefts.size(); ++m)
      within[n].push_back(
          sum(inside, "within", rowExtents, chunkSize,
              [&, n = n](ArrayRef<Expr> at,
                         ArrayRef<Expr> from) -> std::pair<Expr, Expr> {
                ArrayRef<Expr> batch = at.take_front(numBatch);
                ArrayRef<Expr> j = at.drop_front(numBatch);
                return {context.mul(
                            read(scores[n][m], concat({batch, {c, r}, from})),
                            read(op.getPast(m), concat({batch, from, j}))),
                        happened(from[0], r, /*before=*/true)};
              }));
  }
  SmallVector<Value> slices;
  for (unsigned m = 0; m < lefts.size(); ++m)
    slices.push_back(
        equation(inside, names[m], rowExtents, [&](ArrayRef<Expr> at) {
          ArrayRef<Expr> batch = at.take_front(numBatch);
          ArrayRef<Expr> j = at.drop_front(numBatch);
          return value(m, batch, r, j, [&](unsigned n) {
            Expr p = read(fromStart[n], concat({batch, {r}, j}));
            for (Value part : within[n])
              p = context.add(p, read(part, at));
            return p;
          });
        }));
  YieldOp::create(inside, loc, slices);
  for (unsigned m = 0; m < lefts.size(); ++m)
    result.push_back(op.getHistory(m));
  return result;
}

/// The recurrence over chunks.
void ChunkEmitter::emitStates() {
  Scores scores = emitScores(builder, queries);
  for (Query query : queries)
    decayedQueries.push_back(query.before ? decayed(builder, query)
                                          : query.tensor);
  Value initial = s.recurrence.getInitials()[0];
  bool readsBack = !queries.empty();
  unsigned numWrites = lefts.size();

  SmallVector<Type> types{s.recurrence.getHistory(0).getType()};
  SmallVector<Attribute> names{builder.getStringAttr(name)};
  if (readsBack)
    for (unsigned m = 0; m < numWrites; ++m) {
      types.push_back(RankedTensorType::get(
          SmallVector<int64_t>(numBatch + 2 + s.right.size(),
                               ShapedType::kDynamic),
          type));
      names.push_back(builder.getStringAttr(name + ".values" + Twine(m)));
    }
  SmallVector<Type> results(types);
  results.push_back(initial.getType());
  auto op = RecurrenceOp::create(
      builder, loc, results, ValueRange(numChunks), ValueRange(initial),
      builder.getArrayAttr(names), builder.getDenseBoolArrayAttr({false}),
      builder.getI64IntegerAttr(numBatch));
  SmallVector<Type> arguments{index};
  llvm::append_range(arguments, types);
  {
    OpBuilder::InsertionGuard guard(builder);
    builder.createBlock(&op.getBody(), {}, arguments,
                        SmallVector<Location>(arguments.size(), loc));
  }
  OpBuilder inside = OpBuilder::atBlockEnd(&op.getBlock());
  Expr c = context.leaf(op.getAlongIndices()[0]);
  SmallVector<Value> local;
  if (readsBack)
    local = emitValues(inside, c, op.getPast(0), scores);

  // State dims in their own order.
  SmallVector<Value> extents(s.state.getSizes());
  auto leftOf = [&](ArrayRef<Expr> point) {
    Exprs i;
    for (unsigned dim : s.leftDims)
      i.push_back(point[dim]);
    return i;
  };
  auto rightOf = [&](ArrayRef<Expr> point) {
    Exprs j;
    for (unsigned dim : s.rightDims)
      j.push_back(point[dim]);
    return j;
  };
  SmallVector<Value> written;
  for (unsigned m = 0; m < numWrites; ++m)
    written.push_back(sum(
        inside, "written", extents, chunkSize,
        [&](ArrayRef<Expr> at, ArrayRef<Expr> from) -> std::pair<Expr, Expr> {
          ArrayRef<Expr> batch = at.take_front(numBatch);
          ArrayRef<Expr> point = at.drop_front(numBatch);
          Exprs j = rightOf(point);
          Expr value = readsBack
                           ? read(local[m], concat({batch, from, j}))
                           : read(rights[m], concat({batch, {c}, from, j}));
          return {context.mul(
                      atEndAt(m, concat({batch, {c}}), from[0], leftOf(point)),
                      value),
                  nullptr};
        }));
  Value slice = equation(inside, "next", extents, [&](ArrayRef<Expr> at) {
    ArrayRef<Expr> batch = at.take_front(numBatch);
    ArrayRef<Expr> point = at.drop_front(numBatch);
    Expr total = readElse(op.getPast(0), concat({batch, {previous(c)}, point}),
                          initial, at);
    if (decay) {
      Exprs i = s.decayUsesLeft ? leftOf(point) : Exprs();
      total = context.mul(
          read(product, concat({batch, {c, context.integer(chunk - 1)}, i})),
          total);
    }
    for (Value each : written)
      total = context.add(total, read(each, at));
    return total;
  });
  SmallVector<Value> slices{slice};
  llvm::append_range(slices, local);
  YieldOp::create(inside, loc, slices);
  history = op.getHistory(0);
  for (unsigned m = 0; m < numWrites; ++m)
    values.push_back(readsBack ? Value(op.getHistory(m + 1)) : rights[m]);
  s.recurrence.getFinal(0).replaceAllUsesWith(op.getFinal(0));
}

//===----------------------------------------------------------------------===//
// Readouts
//===----------------------------------------------------------------------===//

void ChunkEmitter::emitReadout(Readout &readout) {
  EquationOp consumer = readout.consumer;
  OpBuilder at(consumer);
  ArrayRef<BlockArgument> consumerIndices = consumer.getParallelIndices();
  Expr consumerTime = context.leaf(consumerIndices[readout.timeIndex]);
  // The consumer's indices as leaves of the state.
  llvm::DenseMap<Expr, Expr> toState{{consumerTime, s.time}};
  for (auto [i, leaf] : llvm::enumerate(s.batch))
    toState[context.leaf(consumerIndices[i])] = leaf;

  SmallVector<Value> parts; // [batch.., c, r, j..] of each term
  SmallVector<Value> extents = sizes({numChunks, chunkSize, rightSizes});
  for (ReadoutTerm &term : readout.terms) {
    Query query{chunkTensor(at, "q", context.substitute(term.left, toState),
                            true, false, 0),
                term.before};
    Scores scores = emitScores(at, query);
    Value fromStart = decayed(at, query);
    SmallVector<Value> sums;
    sums.push_back(
        sum(at, "out.start", extents, leftSizes,
            [&](ArrayRef<Expr> at, ArrayRef<Expr> i) -> std::pair<Expr, Expr> {
              return {meetsStart(fromStart, history, at.take_front(numBatch),
                                 at[numBatch], at[numBatch + 1], i,
                                 at.drop_front(numBatch + 2)),
                      nullptr};
            }));
    for (auto [m, value] : llvm::enumerate(values))
      sums.push_back(sum(
          at, "out.within", extents, chunkSize,
          [&, m = m, value = value](
              ArrayRef<Expr> at, ArrayRef<Expr> from) -> std::pair<Expr, Expr> {
            ArrayRef<Expr> outer = at.take_front(numBatch + 1);
            Expr r = at[numBatch + 1];
            ArrayRef<Expr> j = at.drop_front(numBatch + 2);
            return {context.mul(read(scores[0][m], concat({outer, {r}, from})),
                                read(value, concat({outer, from, j}))),
                    happened(from[0], r, term.before)};
          }));
    parts.push_back(equation(at, "out", extents, [&](ArrayRef<Expr> at) {
      Expr total = real(0);
      for (Value each : sums)
        total = context.add(total, read(each, at));
      return total;
    }));
  }

  // The consumer again, at every step.
  auto op = EquationOp::create(at, consumer.getLoc(), consumer.getName(), type,
                               consumer.getSizes());
  llvm::DenseMap<Expr, Expr> here;
  for (auto [old, now] :
       llvm::zip_equal(consumerIndices, op.getParallelIndices()))
    here[context.leaf(old)] = context.leaf(now);
  Expr time = here[consumerTime];
  Expr step = timeAt(time); // its own inverse
  Expr c =
      context.apply("arith.floordivsi", {step, context.integer(chunk)}, index);
  Expr r = context.apply("rondo.mod", {step, context.integer(chunk)}, index);
  Exprs point;
  for (unsigned i = 0; i < numBatch; ++i)
    point.push_back(context.leaf(op.getParallelIndices()[i]));
  point.append({c, r});
  for (unsigned i : readout.rightIndices)
    point.push_back(context.leaf(op.getParallelIndices()[i]));
  Expr total = context.substitute(readout.constant, here);
  for (auto [term, part] : llvm::zip_equal(readout.terms, parts))
    total = context.add(total, context.mul(context.substitute(term.scale, here),
                                           read(part, point)));
  OpBuilder inside = OpBuilder::atBlockEnd(&op.getBlock());
  Value value = Exporter(op).emit(inside, total);
  YieldOp::create(inside, loc, value);
  consumer.getResult().replaceAllUsesWith(op.getResult());
  consumer.erase();
}

void ChunkEmitter::run() {
  zero = arith::ConstantIndexOp::create(builder, loc, 0);
  chunkSize = arith::ConstantIndexOp::create(builder, loc, chunk);
  length = s.recurrence.getSizes()[0];
  Value round = arith::ConstantIndexOp::create(builder, loc, chunk - 1);
  numChunks = builder.createOrFold<arith::FloorDivSIOp>(
      loc, builder.createOrFold<arith::AddIOp>(loc, length, round), chunkSize);
  ValueRange stateSizes = s.state.getSizes();
  llvm::append_range(batchSizes, stateSizes.take_front(numBatch));
  for (unsigned dim : s.leftDims)
    leftSizes.push_back(stateSizes[numBatch + dim]);
  for (unsigned dim : s.rightDims)
    rightSizes.push_back(stateSizes[numBatch + dim]);

  for (auto [m, write] : llvm::enumerate(s.writes)) {
    lefts.push_back(
        chunkTensor(builder, "x" + Twine(m), write.left, true, false, 0));
    rights.push_back(
        chunkTensor(builder, "w" + Twine(m), write.right, false, true, 0));
    feedback.emplace_back();
    for (Expr factor : write.feedback)
      feedback.back().push_back(
          factor ? chunkTensor(builder, "b" + Twine(m), factor, false, true, 0)
                 : Value());
  }
  for (auto [n, each] : llvm::enumerate(s.reads))
    queries.push_back(
        {chunkTensor(builder, "c" + Twine(n), each.left, true, false, 0),
         !each.frozen});
  if (!s.decay->isReal(1)) {
    decay = chunkTensor(builder, "a", s.decay, s.decayUsesLeft, false, 1);
    emitProduct();
    if (!s.decayUsesLeft)
      emitPairs();
  }
  emitStates();
  for (Readout &readout : s.readouts)
    emitReadout(readout);
  s.recurrence.erase();
}

} // namespace

void rondo::toChunked(Context &context, ChunkedStructure &structure,
                      int64_t chunk) {
  ChunkEmitter(context, structure, chunk).run();
}
