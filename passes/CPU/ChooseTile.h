//===- ChooseTile.h - Loop order, vector dim and register tile --*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Loops stand in this order, outermost first: parallel dims, then reduction
// dims, each group as in the op except that
//   - the vector dim is the last of its group,
//   - the row dim, if there is one, is the last parallel dim, or the last but
//     one when the vector dim is parallel.
// An iteration of the innermost loop computes `rows` points of the row dim x
// `vectors` vectors along the vector dim x `splits` points of the innermost
// reduction dim; each has its own accumulators.
//
// The vector dim is the one with the least cost per element, where a load or
// store costs 1 per vector when it is contiguous in that dim, little when it is
// the same in all lanes, and 1 per lane otherwise. Of equal dims a parallel one
// is better than a reduction dim, which ends in a horizontal reduction.
//
// Where a step computes a block of channels, all is in the first-level cache,
// and vectors are the outer loop if some are the same along another dim.
//
// Where a reduction is a triangle, loops end where its rows end: the vectors of
// the rows of a tile with the last of them, the reduction with the first, which
// is followed by the steps that fewer and fewer rows have left.
//
// Where there are few registers, an iteration takes several steps of the
// reduction, one after the other.
//
// A row dim pays when some vector load does not depend on it: the load is then
// shared by the rows. In a reduction along the vector dim it also gives the
// additions of several rows to overlap.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_CPU_CHOOSETILE_H
#define RONDO_PASSES_CPU_CHOOSETILE_H

#include "passes/CPU/Lanes.h"
#include "passes/CPU/Target.h"

namespace rondo::cpu {

struct Tile {
  /// Loop order, outermost first: a permutation of the dims.
  llvm::SmallVector<unsigned> order;
  /// -1: none.
  int vectorDim = -1;
  int rowDim = -1;
  int splitDim = -1;
  /// A parallel dim inside of the vector dim.
  int innerDim = -1;
  /// Elements of a vector.
  int64_t lanes = 1;
  unsigned rows = 1;
  unsigned vectors = 1;
  unsigned splits = 1;
  /// Splits add to the same accumulators, one after the other, else each has
  /// its own.
  bool chained = false;
  /// The row dim is contiguous in the output, the vector dim in the inputs:
  /// `lanes` rows of a vector are transposed and stored along the rows.
  bool transposed = false;
  /// The nest's triangle, if the loops are to follow it: its row dim is the row
  /// dim or outside of it, its inner dim the vector dim or the innermost
  /// reduction dim.
  std::optional<Triangle> triangle;
  /// Outputs whose whole vectors go past the caches, by number: they are
  /// aligned.
  llvm::SmallVector<unsigned> streamed;
  /// What is left of the vector dim is computed by one masked vector, else by a
  /// scalar loop.
  bool masked = true;
  /// There is no more than what is left.
  bool narrow = false;
  /// The vectors are written out one after the other.
  bool unrolled = false;
};

/// Sets `lanes` to the analysis of the chosen vector dim, if there is one. What
/// is rare gets no more than one vector at a time.
Tile chooseTile(const LoopNest &nest, const Target &target,
                std::optional<Lanes> &lanes, bool isRare);

} // namespace rondo::cpu

#endif // RONDO_PASSES_CPU_CHOOSETILE_H
