//===- EmitSlices.cpp - Vectors along the rows of accumulators ------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A thread has the rows of a slice where it has those of an accumulator, like
// the three threads beside it, and all warps along the columns.
//
//===----------------------------------------------------------------------===//

#include "passes/GPU/Tile/EmitThreads.h"

using namespace mlir;
using namespace rondo::tile;

/// The row of value `number`.
Value ThreadEmitter::sliceRow(const Grid &grid, int64_t number) {
  return at.add(firstRow(grid), rowOf(grid, number / 2, 2 * (number % 2)));
}

/// Rows lie within four threads: two shuffles.
void ThreadEmitter::reduceToSlice(ReduceOp op) {
  const Parts &source = get(op.getSource());
  Combiner how = op.getCombiner();
  Grid grid(source.type, warps);
  Values elements = elementsOf(source, source.type);
  Parts result{op.getType(), {}, {}};
  for (int64_t b = 0; b < grid.rowBlocks; ++b)
    for (int64_t half = 0; half < 2; ++half) {
      // Two chains, of the even and the odd columns.
      Value totals[2];
      for (int64_t n = 0; n < grid.columnBlocks; ++n)
        for (int64_t e = 0; e < 2; ++e) {
          Value value =
              elements[(b * grid.columnBlocks + n) * 4 + 2 * half + e];
          totals[e] = n ? combine(at, how, totals[e], value) : value;
        }
      Value total = combine(at, how, totals[0], totals[1]);
      for (int64_t mask = 1; mask < 4; mask *= 2)
        total = combine(at, how, total, at.shuffleXor(total, mask));
      result.values.push_back(total);
    }
  set(op.getResult(), result);
}

Values ThreadEmitter::toSlice(const Parts &vector) {
  Grid grid(vector.type, warps);
  Values result;
  for (int64_t i = 0; i < 2 * grid.rowBlocks; ++i)
    result.push_back(
        laneElement(vector, firstRow(grid), rowOf(grid, i / 2, 2 * (i % 2))));
  return result;
}

/// Through shared memory: every warp gets the rows of all.
Values ThreadEmitter::toLanes(const Parts &vector) {
  Grid grid(vector.type, warps);
  int64_t length = vector.type.getRows();
  Value offset = at.constant(allocate(4 * length));
  for (auto [i, value] : llvm::enumerate(vector.values))
    at.storeShared(value, at.add(offset, at.shiftLeft(sliceRow(grid, i), 2)), 0,
                   4);
  written(/*byDots=*/false);
  synchronize();
  Values result;
  for (int64_t first = 0; first < length; first += 32) {
    Value place = at.add(lane, first);
    if (first + 32 > length)
      place = at.clamp(place, 0, length - 1);
    result.push_back(at.loadShared(
        builder.getF32Type(), at.add(offset, at.shiftLeft(place, 2)), 0, 4));
  }
  return result;
}

/// One of the threads that have a row writes it.
void ThreadEmitter::storeSlice(const Place &place, const Parts &parts) {
  Grid grid(parts.type, warps);
  Value owner = at.add(quad, warpColumn(grid));
  auto first =
      scf::IfOp::create(builder, at.loc, at.less(owner, at.constant(1)), false);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(first.thenBlock());
  for (auto [i, value] : llvm::enumerate(parts.values))
    storeElement(place, sliceRow(grid, i), at.constant(0), value);
}
