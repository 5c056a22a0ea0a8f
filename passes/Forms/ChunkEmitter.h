//===- ChunkEmitter.h - Emits one recurrence over chunks --------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Private to the chunkwise form. Chunked.h says what is emitted.
//
//   ChunkedScores.cpp   decays within a chunk, products of queries and writes
//   Chunked.cpp         the recurrence over chunks, readouts
//
// Letters: c a chunk, r and s steps in it; R and S blocks of it; m a write, n a
// read. Tensors have the dims [batch.., c, r, ..], or [batch.., c, R, r, ..]
// where r counts within block R.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_FORMS_CHUNKEMITTER_H
#define RONDO_PASSES_FORMS_CHUNKEMITTER_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "passes/Forms/Chunked.h"

namespace rondo {

using Exprs = llvm::SmallVector<algebra::Expr>;

/// A row vector over i whose products with the writes are wanted.
struct Query {
  mlir::Value tensor; // [batch.., c, r, i..]
  bool before;        // meets the state before step r, not after it
};

/// The products of a query with a write, decayed from s to r. Only entries at
/// which the write has happened have a meaning.
struct Scores {
  mlir::Value full; // [batch.., c, r, s]
  /// With a decay per i instead: s in earlier blocks, null if there is one
  /// block; and s in the block of r.
  mlir::Value earlier; // [batch.., c, R, r, s], s of the chunk
  mlir::Value inside;  // [batch.., c, R, r, s], s of the block
  bool before;
};

class ChunkEmitter {
public:
  ChunkEmitter(algebra::Context &context, ChunkedStructure &structure,
               const ChunkedOptions &options);

  void run();

private:
  using Expr = algebra::Expr;
  using Value = mlir::Value;
  using ValueRange = mlir::ValueRange;
  using OpBuilder = mlir::OpBuilder;
  using Values = llvm::SmallVector<Value>;
  template <typename T> using ArrayRef = llvm::ArrayRef<T>;

  //===--------------------------------------------------------------------===//
  // Building blocks
  //===--------------------------------------------------------------------===//

  using Body = llvm::function_ref<Expr(ArrayRef<Expr>)>;
  /// The term and the filter, or null.
  using SumBody =
      llvm::function_ref<std::pair<Expr, Expr>(ArrayRef<Expr>, ArrayRef<Expr>)>;
  Value equation(OpBuilder &at, const llvm::Twine &suffix, ValueRange sizes,
                 Body body);
  Value sum(OpBuilder &at, const llvm::Twine &suffix, ValueRange sizes,
            ValueRange extents, SumBody body);
  /// Products along a dim; reversed: from the end.
  Value products(OpBuilder &at, const llvm::Twine &suffix, Value factors,
                 ValueRange sizes, unsigned dim, bool reversed = false);
  RecurrenceOp inner(OpBuilder &at, Value steps, ArrayRef<std::string> names,
                     ArrayRef<unsigned> restRanks, unsigned numOuter);
  Values sizes(std::initializer_list<ValueRange> parts);
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
  Expr times(Expr a, int64_t b) {
    return context.apply("arith.muli", {a, integer(b)}, index);
  }
  Expr quotient(Expr a, int64_t b) {
    return context.apply("arith.floordivsi", {a, integer(b)}, index);
  }
  Expr rest(Expr a, int64_t b) {
    return context.apply("rondo.mod", {a, integer(b)}, index);
  }
  Expr compare(mlir::arith::CmpIPredicate predicate, Expr a, Expr b) {
    return context.compareIndex(static_cast<int64_t>(predicate), a, b);
  }
  Expr less(Expr a, Expr b) {
    return compare(mlir::arith::CmpIPredicate::slt, a, b);
  }
  /// Whether write s has happened when a query of step r meets the state.
  Expr happened(Expr from, Expr r, bool before) {
    return compare(before ? mlir::arith::CmpIPredicate::slt
                          : mlir::arith::CmpIPredicate::sle,
                   from, r);
  }
  Expr real(double number) { return context.real(number, type); }
  Expr integer(int64_t number) { return context.integer(number); }
  Expr previous(Expr e) { return sub(e, integer(1)); }
  Expr next(Expr e) { return add(e, integer(1)); }
  /// Step r of block R, in the chunk; and back.
  Expr inChunk(Expr R, Expr r) {
    return numBlocks == 1 ? r : add(times(R, block), r);
  }
  Expr blockOf(Expr r) {
    return numBlocks == 1 ? integer(0) : quotient(r, block);
  }
  Expr inBlock(Expr r) { return numBlocks == 1 ? r : rest(r, block); }
  /// Step r of chunk c, counted in the direction of the recurrence.
  Expr position(Expr c, Expr r) { return add(times(c, chunk), r); }
  Expr timeAt(Expr step) {
    return s.reversed ? sub(previous(context.leaf(length)), step) : step;
  }
  Exprs statePoint(ArrayRef<Expr> i, ArrayRef<Expr> j);
  Expr meetsStart(Value query, Value states, ArrayRef<Expr> batch, Expr c,
                  Expr r, ArrayRef<Expr> i, ArrayRef<Expr> j);
  static Exprs concat(std::initializer_list<ArrayRef<Expr>> parts) {
    Exprs all;
    for (ArrayRef<Expr> part : parts)
      llvm::append_range(all, part);
    return all;
  }
  Value chunkTensor(OpBuilder &at, const llvm::Twine &suffix, Expr expr,
                    bool withLeft, bool withRight, double padding,
                    bool inBlocks = false);

  //===--------------------------------------------------------------------===//
  // Decays and scores
  //===--------------------------------------------------------------------===//

  bool isDiagonal() const { return decay && s.decayUsesLeft; }
  void emitDecays();
  void emitScalarDecays();
  Value emitPairs(OpBuilder &at, ValueRange extents, unsigned dim);
  void emitBlockDecays();
  void emitDecaysBetweenBlocks();
  Expr fromBlockStart(ArrayRef<Expr> outer, Expr R, Expr r, ArrayRef<Expr> i,
                      bool before);
  Expr toBlockEnd(ArrayRef<Expr> outer, Expr S, Expr from, ArrayRef<Expr> i);
  Value fromChunkStart(OpBuilder &at, Query query);
  Expr scaleStart(Expr sum, ArrayRef<Expr> outer, Expr r, bool before);
  void emitEnds();
  Expr wholeChunk(ArrayRef<Expr> outer, ArrayRef<Expr> i);
  void emitColumns();
  Scores emitScores(OpBuilder &at, Query query, unsigned write);
  Value emitDots(OpBuilder &at, Query query, unsigned write);
  Value emitEarlier(OpBuilder &at, Query query, unsigned write);
  Value emitBlockColumns(OpBuilder &at, unsigned write);
  Value emitRunning(OpBuilder &at, Query query, unsigned write);
  Value emitByPairs(OpBuilder &at, Query query, unsigned write);
  Value emitSlice(OpBuilder &at, const Scores &scores, Expr c);

  //===--------------------------------------------------------------------===//
  // States and readouts
  //===--------------------------------------------------------------------===//

  void emitQueries();
  bool isSolved(unsigned write);
  Values emitValues(OpBuilder &at, Expr c, Value past);
  Value emitSystem(OpBuilder &at, Expr c, Value past, ArrayRef<Value> known,
                   Body own);
  Values emitRows(OpBuilder &at, Expr c, Value past, ArrayRef<Value> frozen);
  Value sumWithin(OpBuilder &at, const Scores &scores, Value values,
                  ArrayRef<Expr> outer);
  void emitStates();
  /// The sums that make up a term of a readout without its scale.
  struct TermParts {
    Value start;     // [batch.., c, r, j..]
    Values sums;     // [batch.., c, r, j..]
    Values inBlocks; // [batch.., c, R, r, j..]
  };
  TermParts emitTerm(OpBuilder &at, ReadoutTerm &term,
                     const llvm::DenseMap<Expr, Expr> &toState);
  void emitReadout(Readout &readout);

  algebra::Context &context;
  ChunkedStructure &s;
  int64_t chunk, block, numBlocks;
  bool byPairs;
  OpBuilder builder;
  mlir::Location loc;
  mlir::Type type, index;
  unsigned numBatch;
  llvm::StringRef name;

  Value zero, length, numChunks, chunkSize, blockSize, blockCount;
  Values batchSizes, leftSizes, rightSizes;

  /// a, 1 behind the end; null for 1. [batch.., c, r], or with a decay per i
  /// [batch.., c, R, r, i..].
  Value decay;
  /// Products of a up to and with r: from the start of the chunk
  /// [batch.., c, r], or of the block [batch.., c, R, r, i..].
  Value product;
  /// Products of a in (s, r] [batch.., c, r, s], or with a decay per i, if
  /// `byPairs`, [batch.., c, R, r, s, i..].
  Value pairs;
  /// Decay with i: products of a from s to the end of its block.
  /// [batch.., c, S, s, i..]
  Value suffix;
  /// Decay with i and several blocks: products over the blocks before R and
  /// after S. [batch.., c, R, i..]
  Value blocksBefore, blocksAfter;

  Values lefts;   // x_m [batch.., c, r, i..]
  Values ends;    // x_m decayed to the end of the chunk [batch.., c, r, i..]
  Values columns; // x_m, or with a decay per i decayed to the end of its block,
                  // [batch.., c, i.., s]
  Values blocks;  // columns decayed to the start of R [batch.., c, R, i.., s]
  Values rights;  // w_m [batch.., c, r, j..]
  Values values;  // U_m [batch.., c, r, j..]
  llvm::SmallVector<Values> feedback; // b_mn [batch.., c, r, j..]
  /// What writes depend on. By system: one query, -sum over n of b_mn c_n; by
  /// rows: the c_n.
  std::optional<unsigned> solved; // the write of the system
  llvm::SmallVector<Query> queries;
  Values fromStart; // the queries as they meet the start of the chunk
  llvm::SmallVector<llvm::SmallVector<Scores>> scores; // [query][write]
  Values frozenQueries; // by read, null where it is not frozen
  Value history;        // S [batch.., c, i.., j..]
};

} // namespace rondo

#endif // RONDO_PASSES_FORMS_CHUNKEMITTER_H
