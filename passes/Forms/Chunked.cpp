//===- Chunked.cpp - Recurrences over chunks ------------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Forms/Chunked.h"
#include "passes/Algebra/Inline.h"
#include "passes/Forms/ChunkEmitter.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::algebra;

/// The largest divisor of a chunk that is at most `wanted`.
static int64_t chooseBlock(int64_t chunk, int64_t wanted) {
  int64_t block = std::min(chunk, wanted);
  while (chunk % block)
    --block;
  return block;
}

ChunkEmitter::ChunkEmitter(Context &context, ChunkedStructure &structure,
                           const ChunkedOptions &options)
    : context(context), s(structure), chunk(options.chunk),
      block(chooseBlock(options.chunk, options.block)),
      numBlocks(chunk / block),
      byPairs(options.byPairs),
      builder(s.recurrence), loc(s.recurrence.getLoc()), type(s.decay->type),
      index(builder.getIndexType()), numBatch(s.batch.size()),
      name(s.recurrence.getName(0)) {}

//===----------------------------------------------------------------------===//
// Building blocks
//===----------------------------------------------------------------------===//

Value ChunkEmitter::equation(OpBuilder &at, const Twine &suffix,
                             ValueRange sizes, Body body) {
  return emitEquation(context, at, loc, name + "." + suffix, type, sizes, body);
}

Value ChunkEmitter::sum(OpBuilder &at, const Twine &suffix, ValueRange sizes,
                        ValueRange extents, SumBody body) {
  return emitReduction(context, at, loc, name + "." + suffix, type, sizes,
                       Combiner::Sum, zero, extents, body);
}

ChunkEmitter::Values
ChunkEmitter::sizes(std::initializer_list<ValueRange> parts) {
  Values all(batchSizes);
  for (ValueRange part : parts)
    llvm::append_range(all, part);
  return all;
}

Value ChunkEmitter::products(OpBuilder &at, const Twine &suffix, Value factors,
                             ValueRange sizes, unsigned dim, bool reversed) {
  auto op = ScanOp::create(at, loc, TypeRange(factors.getType()),
                           (name + "." + suffix).str(), dim, reversed,
                           ValueRange(factors), sizes, ValueRange());
  OpBuilder::InsertionGuard guard(at);
  Block *body = at.createBlock(&op.getBody(), {}, {type, type}, {loc, loc});
  Value both = arith::MulFOp::create(at, loc, body->getArgument(0),
                                     body->getArgument(1));
  YieldOp::create(at, loc, both);
  return op.getResult(0);
}

/// A recurrence within a chunk with an empty region. Its members are locals
/// with the dims [outer.., step, rest..].
RecurrenceOp ChunkEmitter::inner(OpBuilder &at, Value steps,
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
  auto op = RecurrenceOp::create(at, loc, types, ValueRange(steps),
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

/// The state's subscripts from those of dims i and of dims j.
Exprs ChunkEmitter::statePoint(ArrayRef<Expr> i, ArrayRef<Expr> j) {
  Exprs point(i.size() + j.size());
  for (auto [dim, e] : llvm::zip_equal(s.leftDims, i))
    point[dim] = e;
  for (auto [dim, e] : llvm::zip_equal(s.rightDims, j))
    point[dim] = e;
  return point;
}

/// The term of the sum over i of q S at the start of chunk c.
Expr ChunkEmitter::meetsStart(Value query, Value states, ArrayRef<Expr> batch,
                              Expr c, Expr r, ArrayRef<Expr> i,
                              ArrayRef<Expr> j) {
  Exprs point = statePoint(i, j);
  Expr state = readElse(states, concat({batch, {previous(c)}, point}),
                        s.recurrence.getInitials()[0], concat({batch, point}));
  return context.mul(read(query, concat({batch, {c, r}, i})), state);
}

/// `expr` over the state's leaves as [batch.., c, r, (i..), (j..)], or
/// [batch.., c, R, r, ..]; `padding` behind the end.
Value ChunkEmitter::chunkTensor(OpBuilder &at, const Twine &suffix, Expr expr,
                                bool withLeft, bool withRight, double padding,
                                bool inBlocks) {
  Values extents = inBlocks ? sizes({numChunks, blockCount, blockSize})
                            : sizes({numChunks, chunkSize});
  Exprs leaves(s.batch);
  leaves.append(inBlocks ? 3 : 2, nullptr);
  if (withLeft) {
    llvm::append_range(extents, leftSizes);
    llvm::append_range(leaves, s.left);
  }
  if (withRight) {
    llvm::append_range(extents, rightSizes);
    llvm::append_range(leaves, s.right);
  }
  return equation(at, suffix, extents, [&](ArrayRef<Expr> at) {
    Expr r = at[numBatch + 1];
    if (inBlocks)
      r = inChunk(r, at[numBatch + 2]);
    Expr step = position(at[numBatch], r);
    llvm::DenseMap<Expr, Expr> here{
        {s.time, timeAt(context.stepFor(expr, step, length))}};
    for (auto [leaf, value] : llvm::zip_equal(leaves, at))
      if (leaf)
        here[leaf] = value;
    // A decay that is known is not computed again.
    if (decay && !inBlocks && (withLeft || !isDiagonal())) {
      ArrayRef<Expr> outer = at.take_front(numBatch + 1);
      here[s.decay] =
          isDiagonal()
              ? read(decay, concat({outer,
                                    {blockOf(r), inBlock(r)},
                                    at.slice(numBatch + 2, s.left.size())}))
              : read(decay, concat({outer, {r}}));
    }
    return context.select(less(step, context.leaf(length)),
                          context.substitute(expr, here), real(padding));
  });
}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

/// Whether a write depends on what earlier ones of its chunk have written.
bool ChunkEmitter::isSolved(unsigned write) {
  for (auto [n, factor] : llvm::enumerate(s.writes[write].feedback))
    if (factor && !s.reads[n].frozen)
      return true;
  return false;
}

/// The queries of the writes. With one write to solve for, and factors without
/// j, the reads of a step are one query, and its values a triangular system.
void ChunkEmitter::emitQueries() {
  for (auto [n, each] : llvm::enumerate(s.reads))
    frozenQueries.push_back(each.frozen ? chunkTensor(builder, "c" + Twine(n),
                                                      each.left, true, false, 0)
                                        : Value());
  SmallVector<unsigned> depending;
  for (unsigned m = 0; m < lefts.size(); ++m)
    if (isSolved(m))
      depending.push_back(m);
  if (depending.empty())
    return;
  Expr combined = context.real(0, type);
  bool usesRight = false;
  for (auto [n, each] : llvm::enumerate(s.reads)) {
    Expr factor = s.writes[depending.front()].feedback[n];
    if (!factor || each.frozen)
      continue;
    usesRight |= contains(
        factor, [&](Expr node) { return llvm::is_contained(s.right, node); });
    combined = context.add(combined, context.mul(factor, each.left));
  }
  if (depending.size() == 1 && !usesRight) {
    solved = depending.front();
    queries.push_back(
        {chunkTensor(builder, "c", context.neg(combined), true, false, 0),
         /*before=*/true});
  } else {
    for (auto [n, each] : llvm::enumerate(s.reads))
      queries.push_back({each.frozen ? frozenQueries[n]
                                     : chunkTensor(builder, "c" + Twine(n),
                                                   each.left, true, false, 0),
                         /*before=*/!each.frozen});
  }
  for (auto [n, query] : llvm::enumerate(queries)) {
    scores.emplace_back();
    fromStart.push_back(query.before ? fromChunkStart(builder, query)
                                     : query.tensor);
    if (query.before)
      for (unsigned m = 0; m < lefts.size(); ++m)
        scores.back().push_back(emitScores(builder, query, m));
  }
}

/// U_m [batch.., r, j..] of chunk c, inside the recurrence over chunks.
ChunkEmitter::Values ChunkEmitter::emitValues(OpBuilder &at, Expr c,
                                              Value past) {
  Values extents = sizes({chunkSize, rightSizes});
  Values frozen; // what frozen reads find, by read
  for (Value query : frozenQueries)
    frozen.push_back(
        !query ? Value()
               : sum(at, "frozen", extents, leftSizes,
                     [&](ArrayRef<Expr> at,
                         ArrayRef<Expr> i) -> std::pair<Expr, Expr> {
                       return {meetsStart(query, past, at.take_front(numBatch),
                                          c, at[numBatch], i,
                                          at.drop_front(numBatch + 1)),
                               nullptr};
                     }));
  if (!queries.empty() && !solved)
    return emitRows(at, c, past, frozen);
  // w_m and what it gets from frozen reads.
  auto getKnown = [&](unsigned m, ArrayRef<Expr> at) {
    Exprs point =
        concat({at.take_front(numBatch), {c}, at.drop_front(numBatch)});
    Expr total = read(rights[m], point);
    for (unsigned n = 0; n < s.reads.size(); ++n)
      if (feedback[m][n] && frozen[n])
        total = context.add(total, context.mul(read(feedback[m][n], point),
                                               read(frozen[n], at)));
    return total;
  };
  Values known;
  for (unsigned m = 0; m < lefts.size(); ++m)
    known.push_back(solved == m ? Value()
                                : equation(at, "w", extents,
                                           [&](ArrayRef<Expr> at) {
                                             return getKnown(m, at);
                                           }));
  if (solved)
    known[*solved] = emitSystem(at, c, past, known, [&](ArrayRef<Expr> at) {
      return getKnown(*solved, at);
    });
  return known;
}

/// U = B - L U with L = -b (c . x) D; `own` is what B has of this chunk.
Value ChunkEmitter::emitSystem(OpBuilder &at, Expr c, Value past,
                               ArrayRef<Value> known, Body own) {
  Values extents = sizes({chunkSize, rightSizes});
  Value start =
      sum(at, "start", extents, leftSizes,
          [&](ArrayRef<Expr> at, ArrayRef<Expr> i) -> std::pair<Expr, Expr> {
            return {meetsStart(fromStart[0], past, at.take_front(numBatch), c,
                               at[numBatch], i, at.drop_front(numBatch + 1)),
                    nullptr};
          });
  Values terms;
  for (unsigned m = 0; m < lefts.size(); ++m) {
    if (m == *solved)
      continue;
    Value matrix = emitSlice(at, scores[0][m], c);
    terms.push_back(sum(
        at, "others", extents, chunkSize,
        [&](ArrayRef<Expr> at, ArrayRef<Expr> from) -> std::pair<Expr, Expr> {
          ArrayRef<Expr> batch = at.take_front(numBatch);
          Expr r = at[numBatch];
          return {context.mul(
                      read(matrix, concat({batch, {r, from[0]}})),
                      read(known[m],
                           concat({batch, from, at.drop_front(numBatch + 1)}))),
                  happened(from[0], r, /*before=*/true)};
        }));
  }
  Value right = equation(at, "right", extents, [&](ArrayRef<Expr> at) {
    Exprs outer = concat({at.take_front(numBatch), {c}});
    Expr total =
        context.sub(own(at),
                    scaleStart(read(start, at), outer, at[numBatch], true));
    for (Value term : terms)
      total = context.sub(total, read(term, at));
    return total;
  });
  Value matrix = emitSlice(at, scores[0][*solved], c);
  return TriangularSolveOp::create(at, loc, right.getType(),
                                   (name + ".u").str(), matrix, right,
                                   static_cast<uint64_t>(numBatch), extents);
}

/// Several writes that depend on one another, or factors with j: a recurrence
/// along the steps of the chunk.
ChunkEmitter::Values ChunkEmitter::emitRows(OpBuilder &at, Expr c, Value past,
                                            ArrayRef<Value> frozen) {
  Values extents = sizes({chunkSize, rightSizes});
  Values start; // p_n without the writes of this chunk
  SmallVector<Values> matrices(s.reads.size()); // [n][m]
  for (auto [n, each] : llvm::enumerate(s.reads)) {
    if (each.frozen) {
      start.push_back(frozen[n]);
      continue;
    }
    start.push_back(
        sum(at, "start", extents, leftSizes,
            [&, n = n](ArrayRef<Expr> at,
                       ArrayRef<Expr> i) -> std::pair<Expr, Expr> {
              return {meetsStart(fromStart[n], past, at.take_front(numBatch), c,
                                 at[numBatch], i, at.drop_front(numBatch + 1)),
                      nullptr};
            }));
    for (unsigned m = 0; m < lefts.size(); ++m)
      matrices[n].push_back(emitSlice(at, scores[n][m], c));
  }
  std::vector<std::string> names;
  for (unsigned m = 0; m < lefts.size(); ++m)
    names.push_back("u" + std::to_string(m));
  SmallVector<unsigned> ranks(lefts.size(), s.right.size());
  RecurrenceOp op = inner(at, chunkSize, names, ranks, numBatch);
  OpBuilder inside = OpBuilder::atBlockEnd(&op.getBlock());
  Expr r = context.leaf(op.getAlongIndices()[0]);
  Values rowExtents = sizes({rightSizes});
  SmallVector<Values> within(s.reads.size()); // [n][m]
  for (auto [n, each] : llvm::enumerate(s.reads))
    for (auto [m, matrix] : llvm::enumerate(matrices[n]))
      within[n].push_back(sum(
          inside, "within", rowExtents, chunkSize,
          [&, m = m, matrix = matrix](
              ArrayRef<Expr> at, ArrayRef<Expr> from) -> std::pair<Expr, Expr> {
            ArrayRef<Expr> batch = at.take_front(numBatch);
            ArrayRef<Expr> j = at.drop_front(numBatch);
            return {context.mul(read(matrix, concat({batch, {r}, from})),
                                read(op.getPast(m), concat({batch, from, j}))),
                    happened(from[0], r, /*before=*/true)};
          }));
  Values slices;
  for (unsigned m = 0; m < lefts.size(); ++m)
    slices.push_back(
        equation(inside, names[m], rowExtents, [&](ArrayRef<Expr> at) {
          ArrayRef<Expr> batch = at.take_front(numBatch);
          ArrayRef<Expr> j = at.drop_front(numBatch);
          Expr total = read(rights[m], concat({batch, {c, r}, j}));
          for (unsigned n = 0; n < s.reads.size(); ++n) {
            if (!feedback[m][n])
              continue;
            Expr p = read(start[n], concat({batch, {r}, j}));
            if (!s.reads[n].frozen)
              p = scaleStart(p, concat({batch, {c}}), r, /*before=*/true);
            for (Value part : within[n])
              p = context.add(p, read(part, at));
            Expr factor = read(feedback[m][n], concat({batch, {c, r}, j}));
            total = context.add(total, context.mul(factor, p));
          }
          return total;
        }));
  YieldOp::create(inside, loc, slices);
  Values result;
  for (unsigned m = 0; m < lefts.size(); ++m)
    result.push_back(op.getHistory(m));
  return result;
}

//===----------------------------------------------------------------------===//
// States
//===----------------------------------------------------------------------===//

/// The recurrence over chunks.
void ChunkEmitter::emitStates() {
  Value initial = s.recurrence.getInitials()[0];
  bool readsBack = !s.reads.empty();
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
    local = emitValues(inside, c, op.getPast(0));

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
          Expr x = read(ends[m], concat({batch, {c}, from, leftOf(point)}));
          return {context.mul(x, value), nullptr};
        }));
  Value slice = equation(inside, "next", extents, [&](ArrayRef<Expr> at) {
    ArrayRef<Expr> batch = at.take_front(numBatch);
    ArrayRef<Expr> point = at.drop_front(numBatch);
    Expr total = readElse(op.getPast(0), concat({batch, {previous(c)}, point}),
                          initial, at);
    if (decay) {
      Exprs i = s.decayUsesLeft ? leftOf(point) : Exprs();
      total = context.mul(wholeChunk(concat({batch, {c}}), i), total);
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

/// What the query meets at the start of the chunk, and what the chunk has
/// written.
ChunkEmitter::TermParts
ChunkEmitter::emitTerm(OpBuilder &at, ReadoutTerm &term,
                       const llvm::DenseMap<Expr, Expr> &toState) {
  Values extents = sizes({numChunks, chunkSize, rightSizes});
  Query query{chunkTensor(at, "q", context.substitute(term.left, toState), true,
                          false, 0),
              term.before};
  Value start = fromChunkStart(at, query);
  TermParts parts;
  parts.start =
      sum(at, "out.start", extents, leftSizes,
          [&](ArrayRef<Expr> at, ArrayRef<Expr> i) -> std::pair<Expr, Expr> {
            return {meetsStart(start, history, at.take_front(numBatch),
                               at[numBatch], at[numBatch + 1], i,
                               at.drop_front(numBatch + 2)),
                    nullptr};
          });
  for (auto [m, value] : llvm::enumerate(values)) {
    Scores scores = emitScores(at, query, m);
    if (scores.full) {
      parts.sums.push_back(sum(
          at, "out.within", extents, chunkSize,
          [&, value = value](ArrayRef<Expr> at,
                             ArrayRef<Expr> from) -> std::pair<Expr, Expr> {
            ArrayRef<Expr> outer = at.take_front(numBatch + 1);
            Expr r = at[numBatch + 1];
            ArrayRef<Expr> j = at.drop_front(numBatch + 2);
            return {context.mul(read(scores.full, concat({outer, {r}, from})),
                                read(value, concat({outer, from, j}))),
                    happened(from[0], r, term.before)};
          }));
      continue;
    }
    Values blockExtents = sizes({numChunks, blockCount, blockSize, rightSizes});
    if (scores.earlier)
      parts.inBlocks.push_back(
          sum(at, "out.earlier", blockExtents, chunkSize,
              [&, value = value](ArrayRef<Expr> at,
                                 ArrayRef<Expr> from) -> std::pair<Expr, Expr> {
                ArrayRef<Expr> outer = at.take_front(numBatch + 1);
                Expr R = at[numBatch + 1], r = at[numBatch + 2];
                ArrayRef<Expr> j = at.drop_front(numBatch + 3);
                return {context.mul(
                            read(scores.earlier, concat({outer, {R, r}, from})),
                            read(value, concat({outer, from, j}))),
                        less(from[0], times(R, block))};
              }));
    parts.inBlocks.push_back(sum(
        at, "out.inside", blockExtents, blockSize,
        [&, value = value](ArrayRef<Expr> at,
                           ArrayRef<Expr> from) -> std::pair<Expr, Expr> {
          ArrayRef<Expr> outer = at.take_front(numBatch + 1);
          Expr R = at[numBatch + 1], r = at[numBatch + 2];
          ArrayRef<Expr> j = at.drop_front(numBatch + 3);
          return {context.mul(
                      read(scores.inside, concat({outer, {R, r}, from})),
                      read(value, concat({outer, {inChunk(R, from[0])}, j}))),
                  happened(from[0], r, term.before)};
        }));
  }
  return parts;
}

void ChunkEmitter::emitReadout(Readout &readout) {
  EquationOp consumer = readout.consumer;
  OpBuilder at(consumer);
  ArrayRef<BlockArgument> consumerIndices = consumer.getParallelIndices();
  Expr consumerTime = context.leaf(consumerIndices[readout.timeIndex]);
  // The consumer's indices as leaves of the state.
  llvm::DenseMap<Expr, Expr> toState{{consumerTime, s.time}};
  for (auto [i, leaf] : llvm::enumerate(s.batch))
    toState[context.leaf(consumerIndices[i])] = leaf;

  SmallVector<TermParts> parts;
  for (ReadoutTerm &term : readout.terms)
    parts.push_back(emitTerm(at, term, toState));

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
  Exprs outer, j;
  for (unsigned i = 0; i < numBatch; ++i)
    outer.push_back(context.leaf(op.getParallelIndices()[i]));
  outer.push_back(c);
  for (unsigned i : readout.rightIndices)
    j.push_back(context.leaf(op.getParallelIndices()[i]));
  Expr total = context.substitute(readout.constant, here);
  for (auto [term, part] : llvm::zip_equal(readout.terms, parts)) {
    Expr value = scaleStart(read(part.start, concat({outer, {r}, j})), outer, r,
                            term.before);
    for (Value each : part.sums)
      value = context.add(value, read(each, concat({outer, {r}, j})));
    for (Value each : part.inBlocks)
      value = context.add(
          value, read(each, concat({outer, {blockOf(r), inBlock(r)}, j})));
    total = context.add(
        total, context.mul(context.substitute(term.scale, here), value));
  }
  OpBuilder inside = OpBuilder::atBlockEnd(&op.getBlock());
  Value value = Exporter(op).emit(inside, total);
  YieldOp::create(inside, loc, value);
  consumer.getResult().replaceAllUsesWith(op.getResult());
  consumer.erase();
  // What it is part of, o = scale * sum, says the rest.
  if (!op.getResult().hasOneUse())
    return;
  auto use = dyn_cast<ReadOp>(*op.getResult().user_begin());
  if (!use || !canInline(use, op) ||
      cast<EquationOp>(use->getParentOp()).getCombiner())
    return;
  inlineRead(use, op);
  op.erase();
}

void ChunkEmitter::run() {
  zero = arith::ConstantIndexOp::create(builder, loc, 0);
  chunkSize = arith::ConstantIndexOp::create(builder, loc, chunk);
  blockSize = arith::ConstantIndexOp::create(builder, loc, block);
  blockCount = arith::ConstantIndexOp::create(builder, loc, numBlocks);
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
  emitDecays();
  emitEnds();
  emitColumns();
  emitQueries();
  emitStates();
  for (Readout &readout : s.readouts)
    emitReadout(readout);
  s.recurrence.erase();
}

void rondo::toChunked(Context &context, ChunkedStructure &structure,
                      const ChunkedOptions &options) {
  ChunkEmitter(context, structure, options).run();
}
