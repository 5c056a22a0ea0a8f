//===- ChunkedScores.cpp - Decays and products within a chunk -------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every decay is a product of factors a over a range of steps, and every range
// lies between a write and a query that meets it: nothing is divided.
//
//   without i   scores[r, s] = (q[r] . x[s]) prod a (s, r]
//   with i      s in block S < R of r: q[r] prod a [start of R, r]   meets
//                                      x[s] prod a (s, start of R)
//               s in the block of r, one of
//     running   x[s] decays along with r > s and meets the query at every step
//     by pairs  sum over i of q[r] x[s] prod a (s, r], all products at once
//
//===----------------------------------------------------------------------===//

#include "passes/Forms/ChunkEmitter.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::algebra;

//===----------------------------------------------------------------------===//
// Decays
//===----------------------------------------------------------------------===//

void ChunkEmitter::emitDecays() {
  if (s.decay->isReal(1))
    return;
  decay = chunkTensor(builder, "a", s.decay, s.decayUsesLeft, false, 1,
                      /*inBlocks=*/s.decayUsesLeft);
  if (!s.decayUsesLeft)
    return emitScalarDecays();
  emitBlockDecays();
  if (numBlocks > 1)
    emitDecaysBetweenBlocks();
}

/// P[r], and D[r, s] = product of a in (s, r], 1 for s >= r.
void ChunkEmitter::emitScalarDecays() {
  product = products(builder, "product", decay, sizes({numChunks, chunkSize}),
                     numBatch + 1);
  pairs = emitPairs(builder, sizes({numChunks, chunkSize, chunkSize}),
                    numBatch + 1);
}

/// Products of a in (s, r], 1 for s >= r, where r is dim `dim` and s the next.
Value ChunkEmitter::emitPairs(OpBuilder &at, ValueRange extents, unsigned dim) {
  Value factors = equation(at, "factors", extents, [&](ArrayRef<Expr> at) {
    Exprs here(at);
    here.erase(here.begin() + dim + 1);
    return context.select(less(at[dim + 1], at[dim]), read(decay, here),
                          real(1));
  });
  return products(at, "pairs", factors, extents, dim);
}

/// Products within the blocks.
void ChunkEmitter::emitBlockDecays() {
  Values extents = sizes({numChunks, blockCount, blockSize, leftSizes});
  unsigned dim = numBatch + 2;
  product = products(builder, "product", decay, extents, dim);
  suffix = products(builder, "suffix", decay, extents, dim, true);
  if (byPairs)
    pairs = emitPairs(builder,
                      sizes({numChunks, blockCount, blockSize, blockSize,
                             leftSizes}),
                      dim);
}

/// Products over whole blocks.
void ChunkEmitter::emitDecaysBetweenBlocks() {
  Values extents = sizes({numChunks, blockCount, leftSizes});
  auto wholeBlock = [&](ArrayRef<Expr> at, Expr R) {
    return read(product, concat({at.take_front(numBatch + 1),
                                 {R, integer(block - 1)},
                                 at.drop_front(numBatch + 2)}));
  };
  auto emit = [&](const Twine &suffix, bool reversed) {
    Value factors =
        equation(builder, suffix + ".factors", extents, [&](ArrayRef<Expr> at) {
          Expr R = at[numBatch + 1];
          Expr end = integer(reversed ? numBlocks - 1 : 0);
          return context.select(
              context.equal(R, end), real(1),
              wholeBlock(at, reversed ? next(R) : previous(R)));
        });
    return products(builder, suffix, factors, extents, numBatch + 1, reversed);
  };
  blocksBefore = emit("before", false);
  blocksAfter = emit("after", true);
}

/// Product of a from the start of block R up to where a query of step r meets
/// the state.
Expr ChunkEmitter::fromBlockStart(ArrayRef<Expr> outer, Expr R, Expr r,
                                  ArrayRef<Expr> i, bool before) {
  Expr when = before ? previous(r) : r;
  Expr factor = read(product, concat({outer, {R, when}, i}));
  if (!before)
    return factor;
  return context.select(context.equal(r, integer(0)), real(1), factor);
}

/// Product of a behind step s of block S, to the end of the block.
Expr ChunkEmitter::toBlockEnd(ArrayRef<Expr> outer, Expr S, Expr from,
                              ArrayRef<Expr> i) {
  return context.select(context.equal(from, integer(block - 1)), real(1),
                        read(suffix, concat({outer, {S, next(from)}, i})));
}

/// A query decayed from the start of the chunk to where it meets the state; by
/// what does not depend on i, the sum over i is scaled.
Value ChunkEmitter::fromChunkStart(OpBuilder &at, Query query) {
  if (!isDiagonal())
    return query.tensor;
  return equation(
      at, "decayed", sizes({numChunks, chunkSize, leftSizes}),
      [&](ArrayRef<Expr> at) {
        ArrayRef<Expr> outer = at.take_front(numBatch + 1);
        ArrayRef<Expr> i = at.drop_front(numBatch + 2);
        Expr r = at[numBatch + 1];
        Expr factor =
            fromBlockStart(outer, blockOf(r), inBlock(r), i, query.before);
        if (blocksBefore)
          factor = context.mul(
              factor, read(blocksBefore, concat({outer, {blockOf(r)}, i})));
        return context.mul(read(query.tensor, at), factor);
      });
}

/// The sum over i of what a query meets at the start of the chunk.
Expr ChunkEmitter::scaleStart(Expr sum, ArrayRef<Expr> outer, Expr r,
                              bool before) {
  if (!decay || isDiagonal())
    return sum;
  Expr factor = read(product, concat({outer, {before ? previous(r) : r}}));
  if (before)
    factor = context.select(context.equal(r, integer(0)), real(1), factor);
  return context.mul(sum, factor);
}

/// The writes decayed to the end of the chunk.
void ChunkEmitter::emitEnds() {
  for (Value left : lefts) {
    if (!decay) {
      ends.push_back(left);
      continue;
    }
    ends.push_back(equation(
        builder, "end", sizes({numChunks, chunkSize, leftSizes}),
        [&](ArrayRef<Expr> at) {
          ArrayRef<Expr> outer = at.take_front(numBatch + 1);
          ArrayRef<Expr> i = at.drop_front(numBatch + 2);
          Expr from = at[numBatch + 1], factor;
          if (isDiagonal()) {
            factor = toBlockEnd(outer, blockOf(from), inBlock(from), i);
            if (blocksAfter)
              factor = context.mul(
                  factor,
                  read(blocksAfter, concat({outer, {blockOf(from)}, i})));
          } else {
            factor = read(pairs, concat({outer, {integer(chunk - 1), from}}));
          }
          return context.mul(read(left, at), factor);
        }));
  }
}

/// Product of a over the chunk.
Expr ChunkEmitter::wholeChunk(ArrayRef<Expr> outer, ArrayRef<Expr> i) {
  if (!isDiagonal())
    return read(product, concat({outer, {integer(chunk - 1)}}));
  Expr last = integer(numBlocks - 1);
  Expr factor = read(product, concat({outer, {last, integer(block - 1)}, i}));
  if (blocksBefore)
    factor =
        context.mul(factor, read(blocksBefore, concat({outer, {last}, i})));
  return factor;
}

/// The writes as columns of the products with them; with a decay per i, also
/// decayed to the start of every later block.
void ChunkEmitter::emitColumns() {
  if (isDiagonal() && numBlocks == 1)
    return;
  Values extents = sizes({numChunks, leftSizes, chunkSize});
  for (auto [m, left] : llvm::enumerate(lefts)) {
    Value rows = left;
    if (isDiagonal())
      rows = equation(builder, "tail", sizes({numChunks, chunkSize, leftSizes}),
                      [&, left = left](ArrayRef<Expr> at) {
                        ArrayRef<Expr> outer = at.take_front(numBatch + 1);
                        Expr from = at[numBatch + 1];
                        return context.mul(
                            read(left, at),
                            toBlockEnd(outer, blockOf(from), inBlock(from),
                                       at.drop_front(numBatch + 2)));
                      });
    columns.push_back(
        equation(builder, "columns", extents, [&](ArrayRef<Expr> at) {
          return read(rows, concat({at.take_front(numBatch + 1),
                                    {at.back()},
                                    at.drop_front(numBatch + 1).drop_back()}));
        }));
    if (!isDiagonal())
      continue;
    // blocks[R, i, s] = blocks[R-1, i, s] A[R-1, i], started by columns[i, s].
    RecurrenceOp op =
        inner(builder, blockCount, {"blocks" + std::to_string(m)},
              {static_cast<unsigned>(s.left.size()) + 1}, numBatch + 1);
    OpBuilder inside = OpBuilder::atBlockEnd(&op.getBlock());
    Expr R = context.leaf(op.getAlongIndices()[0]);
    Value column = columns.back();
    Value slice = equation(inside, "blocks", extents, [&](ArrayRef<Expr> at) {
      ArrayRef<Expr> outer = at.take_front(numBatch + 1);
      ArrayRef<Expr> i = at.drop_front(numBatch + 1).drop_back();
      Expr past =
          read(op.getPast(0), concat({outer, {previous(R)}, i, {at.back()}}));
      Expr over =
          read(product, concat({outer, {previous(R), integer(block - 1)}, i}));
      return context.select(less(at.back(), times(previous(R), block)),
                            context.mul(past, over), read(column, at));
    });
    YieldOp::create(inside, loc, slice);
    blocks.push_back(op.getHistory(0));
  }
}

//===----------------------------------------------------------------------===//
// Scores
//===----------------------------------------------------------------------===//

Scores ChunkEmitter::emitScores(OpBuilder &at, Query query, unsigned write) {
  Scores result;
  result.before = query.before;
  if (!isDiagonal()) {
    result.full = emitDots(at, query, write);
    return result;
  }
  result.inside =
      byPairs ? emitByPairs(at, query, write) : emitRunning(at, query, write);
  if (numBlocks > 1)
    result.earlier = emitEarlier(at, query, write);
  return result;
}

/// (q . x) D.
Value ChunkEmitter::emitDots(OpBuilder &at, Query query, unsigned write) {
  Values extents = sizes({numChunks, chunkSize, chunkSize});
  Value column = columns[write];
  Value dots =
      sum(at, "dots", extents, leftSizes,
          [&](ArrayRef<Expr> at, ArrayRef<Expr> i) -> std::pair<Expr, Expr> {
            ArrayRef<Expr> outer = at.take_front(numBatch + 1);
            Expr r = at[numBatch + 1], from = at[numBatch + 2];
            return {context.mul(read(query.tensor, concat({outer, {r}, i})),
                                read(column, concat({outer, i, {from}}))),
                    happened(from, r, query.before)};
          });
  if (!pairs)
    return dots;
  return equation(at, "scores", extents, [&](ArrayRef<Expr> at) {
    Exprs when(at);
    if (query.before)
      when[numBatch + 1] = previous(at[numBatch + 1]);
    return context.mul(read(dots, at), read(pairs, when));
  });
}

/// Writes of earlier blocks, as a matrix product for each block of queries.
Value ChunkEmitter::emitEarlier(OpBuilder &at, Query query, unsigned write) {
  Value rows =
      equation(at, "head", sizes({numChunks, blockCount, blockSize, leftSizes}),
               [&](ArrayRef<Expr> at) {
                 ArrayRef<Expr> outer = at.take_front(numBatch + 1);
                 Expr R = at[numBatch + 1], r = at[numBatch + 2];
                 ArrayRef<Expr> i = at.drop_front(numBatch + 3);
                 return context.mul(
                     read(query.tensor, concat({outer, {inChunk(R, r)}, i})),
                     fromBlockStart(outer, R, r, i, query.before));
               });
  Value column = blocks[write];
  return sum(
      at, "earlier", sizes({numChunks, blockCount, blockSize, chunkSize}),
      leftSizes,
      [&](ArrayRef<Expr> at, ArrayRef<Expr> i) -> std::pair<Expr, Expr> {
        ArrayRef<Expr> outer = at.take_front(numBatch + 1);
        Expr R = at[numBatch + 1], r = at[numBatch + 2], from = at.back();
        return {context.mul(read(rows, concat({outer, {R, r}, i})),
                            read(column, concat({outer, {R}, i, {from}}))),
                less(from, times(R, block))};
      });
}

/// The writes of each block as columns.
Value ChunkEmitter::emitBlockColumns(OpBuilder &at, unsigned write) {
  Value left = lefts[write];
  return equation(
      at, "block.columns", sizes({numChunks, blockCount, leftSizes, blockSize}),
      [&](ArrayRef<Expr> at) {
        ArrayRef<Expr> outer = at.take_front(numBatch + 1);
        ArrayRef<Expr> i = at.drop_front(numBatch + 2).drop_back();
        return read(left,
                    concat({outer, {inChunk(at[numBatch + 1], at.back())}, i}));
      });
}

/// X[r, i, s] = X[r-1, i, s] a[r, i] for s < r; it starts as x[s, i]. What
/// stands at s > r is not used.
Value ChunkEmitter::emitRunning(OpBuilder &at, Query query, unsigned write) {
  unsigned rank = s.left.size();
  std::string number = std::to_string(write);
  Value columns = emitBlockColumns(at, write);
  Value rows = query.tensor;
  if (numBlocks > 1)
    rows = equation(
        at, "block.rows", sizes({numChunks, blockCount, blockSize, leftSizes}),
        [&](ArrayRef<Expr> at) {
          Expr step = inChunk(at[numBatch + 1], at[numBatch + 2]);
          return read(query.tensor, concat({at.take_front(numBatch + 1),
                                            {step},
                                            at.drop_front(numBatch + 3)}));
        });
  RecurrenceOp op = inner(at, blockSize, {"x" + number, "inside" + number},
                          {rank + 1, 1}, numBatch + 2);
  OpBuilder inside = OpBuilder::atBlockEnd(&op.getBlock());
  Expr r = context.leaf(op.getAlongIndices()[0]);
  Value decayed = equation(
      inside, "x", sizes({numChunks, blockCount, leftSizes, blockSize}),
      [&](ArrayRef<Expr> at) {
        ArrayRef<Expr> outer = at.take_front(numBatch + 1);
        Expr R = at[numBatch + 1], from = at.back();
        ArrayRef<Expr> i = at.drop_front(numBatch + 2).drop_back();
        Expr past =
            read(op.getPast(0), concat({outer, {R, previous(r)}, i, {from}}));
        past = context.select(context.equal(r, integer(0)),
                              read(columns, concat({outer, {R}, i, {from}})),
                              past);
        return context.select(
            less(from, r),
            context.mul(past, read(decay, concat({outer, {R, r}, i}))), past);
      });
  Value row = sum(
      inside, "inside", sizes({numChunks, blockCount, blockSize}), leftSizes,
      [&](ArrayRef<Expr> at, ArrayRef<Expr> i) -> std::pair<Expr, Expr> {
        ArrayRef<Expr> outer = at.take_front(numBatch + 1);
        Expr R = at[numBatch + 1], from = at.back();
        Expr x = query.before
                     ? read(op.getPast(0),
                            concat({outer, {R, previous(r)}, i, {from}}))
                     : read(decayed, concat({outer, {R}, i, {from}}));
        Expr q = numBlocks > 1 ? read(rows, concat({outer, {R, r}, i}))
                               : read(rows, concat({outer, {r}, i}));
        return {context.mul(q, x), nullptr};
      });
  YieldOp::create(inside, loc, ValueRange{decayed, row});
  return op.getHistory(1);
}

/// All products between steps at once.
Value ChunkEmitter::emitByPairs(OpBuilder &at, Query query, unsigned write) {
  Value left = lefts[write];
  return sum(
      at, "inside", sizes({numChunks, blockCount, blockSize, blockSize}),
      leftSizes,
      [&](ArrayRef<Expr> at, ArrayRef<Expr> i) -> std::pair<Expr, Expr> {
        ArrayRef<Expr> outer = at.take_front(numBatch + 1);
        Expr R = at[numBatch + 1], r = at[numBatch + 2], from = at.back();
        Expr end = query.before ? previous(r) : r;
        Expr q = read(query.tensor, concat({outer, {inChunk(R, r)}, i}));
        Expr x = read(left, concat({outer, {inChunk(R, from)}, i}));
        return {context.mul(context.mul(q, x),
                            read(pairs, concat({outer, {R, end, from}, i}))),
                happened(from, r, query.before)};
      });
}

/// The scores of chunk c as one matrix [batch.., r, s].
Value ChunkEmitter::emitSlice(OpBuilder &at, const Scores &scores, Expr c) {
  Value parts;
  if (scores.earlier) // [batch.., R, r, S, s]
    parts = equation(
        at, "parts", sizes({blockCount, blockSize, blockCount, blockSize}),
        [&](ArrayRef<Expr> at) {
          ArrayRef<Expr> batch = at.take_front(numBatch);
          Expr R = at[numBatch], r = at[numBatch + 1];
          Expr S = at[numBatch + 2], from = at[numBatch + 3];
          return context.select(
              context.equal(R, S),
              read(scores.inside, concat({batch, {c, R, r, from}})),
              read(scores.earlier,
                   concat({batch, {c, R, r, inChunk(S, from)}})));
        });
  return equation(
      at, "system", sizes({chunkSize, chunkSize}), [&](ArrayRef<Expr> at) {
        ArrayRef<Expr> batch = at.take_front(numBatch);
        Expr r = at[numBatch], from = at[numBatch + 1];
        if (scores.full)
          return read(scores.full, concat({batch, {c, r, from}}));
        if (!parts)
          return read(scores.inside, concat({batch, {c, integer(0), r, from}}));
        return read(parts, concat({batch,
                                   {blockOf(r), inBlock(r), blockOf(from),
                                    inBlock(from)}}));
      });
}
