//===- EmitSegmentDot.cpp - Products weighed by products between rows -----===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Two rows r > s lie in the two halves of exactly one group of 2, 4, 8, ..
// rows. Queries of the second half, times the factors from its start, meet keys
// of the first, times the factors to its end: a product of matrices.
//
//   groups up to 16   a warp has 16 rows as the matrix units take them from the
//                     left, and 8 of them are what they take from the right, so
//                     the products need no memory; of each, what belongs to
//                     the group is chosen
//   larger groups     rows of every group are one tile in shared memory; a
//                     block of 16 x 16 of the result belongs to one group
//
// Sums with the same keys and factors are computed together.
//
//===----------------------------------------------------------------------===//

#include "passes/GPU/Tile/EmitThreads.h"

using namespace mlir;
using namespace rondo::tile;

/// Sums of groups within 16 rows: none (the row itself), 2, 4, 8 and 16 rows.
static constexpr int64_t kLevels = 5;
/// Elements of a block of 16 x 16 on the diagonal that a thread has.
static constexpr int64_t kDiagonal = 6;

namespace {

/// A block of 16 x 16 in packed pairs, large parts and small ones.
using Packed = SmallVector<Values, 2>;

Packed packBlock(Instructions &at, ArrayRef<Value> values, int64_t planes) {
  Packed result(planes);
  for (int64_t i = 0; i < 8; i += 2) {
    Value packed = at.pack(values[i], values[i + 1]);
    result[0].push_back(packed);
    if (planes == 2)
      result[1].push_back(
          at.pack(at.subReal(values[i], at.unpackLow(packed)),
                  at.subReal(values[i + 1], at.unpackHigh(packed))));
  }
  return result;
}

/// sum += rows of the left's half times rows of the right's half.
void multiplyHalves(Instructions &at, const Packed &left, int64_t leftHalf,
                    const Packed &right, int64_t rightHalf, Values &sum) {
  Value zero = at.constant(0);
  for (size_t plane = 0; plane < right.size(); ++plane)
    for (size_t other = 0; other + plane < left.size(); ++other) {
      Values rows(4, zero);
      for (int64_t part = 0; part < 2; ++part)
        rows[2 * part + leftHalf] = left[other][2 * part + leftHalf];
      sum = at.multiply(
          rows, {right[plane][rightHalf], right[plane][2 + rightHalf]}, sum);
    }
}

} // namespace

/// Sums that this one can be computed with: their queries are known.
SmallVector<SegmentDotOp> ThreadEmitter::sumsBeside(SegmentDotOp first) {
  SmallVector<SegmentDotOp> sums;
  for (Operation *op = first; op; op = op->getNextNode())
    if (auto dot = dyn_cast<SegmentDotOp>(op))
      if (dot.getKeys() == first.getKeys() &&
          dot.getFactors() == first.getFactors() &&
          known.count(dot.getQueries()))
        sums.push_back(dot);
  return sums;
}

void ThreadEmitter::emitSegmentDot(SegmentDotOp first) {
  if (known.count(first.getResult()))
    return; // with another
  SmallVector<SegmentDotOp> sums = sumsBeside(first);
  int64_t numSums = sums.size();
  TileType operand = first.getKeys().getType();
  Grid grid(operand, warps);
  int64_t numBlocks = operand.getRows() / 16;
  int64_t numTiles = llvm::Log2_64(numBlocks);
  bool isExact = !operand.getElementType().isBF16();
  for (SegmentDotOp sum : sums)
    isExact |= !sum.getQueries().getType().getElementType().isBF16();
  int64_t planes = isExact ? 2 : 1;
  Parts tile{TileType::get(
                 builder.getContext(), operand.getRows(), operand.getColumns(),
                 isExact ? Type(builder.getF32Type()) : builder.getBF16Type(),
                 Layout::Shared),
             {},
             {}};
  int64_t tileBytes = planes * planeBytes(tile);
  int64_t memory = allocate(numSums * numTiles * tileBytes);
  tile.offset = at.constant(memory);
  int64_t blockBytes = 4 * 32 * kDiagonal, partBytes = blockBytes * numBlocks;
  int64_t sumBytes = partBytes * grid.columns;
  int64_t diagonal = allocate(sumBytes * numSums);

  synchronize();
  const Values factors = get(first.getFactors()).values;
  Value own = at.shiftLeft(quad, 1);
  Values reachedKeys;
  SmallVector<Values> reachedQueries(numSums);
  SmallVector<SmallVector<Values>> totals(grid.rowBlocks);
  for (int64_t b = 0; b < grid.rowBlocks; ++b) {
    SmallVector<SmallVector<Values>> levels(
        numSums, SmallVector<Values>(kLevels, Values(4, at.real(0))));
    for (int64_t n = 0; n < grid.columnBlocks; n += 2) {
      Values all(
          ArrayRef<Value>(factors).slice((b * grid.columnBlocks + n) * 4, 8));
      auto [keys, rightBlock] = loadBlock(first.getKeys(), b, n);
      if (rightBlock.empty() || isExact)
        rightBlock = packBlock(at, keys, planes);
      SmallVector<Values> running;
      for (auto [sum, level] : llvm::zip_equal(sums, levels)) {
        auto [queries, leftBlock] = loadBlock(sum.getQueries(), b, n);
        if (leftBlock.empty() || isExact)
          leftBlock = packBlock(at, queries, planes);
        if (!sum.getExclusive()) {
          for (int64_t half = 0; half < 2; ++half)
            multiplyHalves(at, leftBlock, half, rightBlock, half, level[0]);
          for (auto [query, factor] : llvm::zip_equal(queries, all))
            query = at.mul(query, factor);
          leftBlock.clear();
        }
        if (leftBlock.empty())
          leftBlock = packBlock(at, queries, planes);
        for (int64_t half = 0; half < 2; ++half)
          multiplyHalves(at, leftBlock, half, rightBlock, half, level[1]);
        running.push_back(queries);
      }
      for (int64_t l = 0; l < 4; ++l) {
        climb(l, all, running, keys);
        if (l == 3)
          break;
        rightBlock = packBlock(at, keys, planes);
        for (auto [queries, level] : llvm::zip_equal(running, levels)) {
          Packed leftBlock = packBlock(at, queries, planes);
          if (l == 2)
            multiplyHalves(at, leftBlock, 1, rightBlock, 0, level[4]);
          else
            for (int64_t half = 0; half < 2; ++half)
              multiplyHalves(at, leftBlock, half, rightBlock, half,
                             level[2 + l]);
        }
      }
      totals[b].push_back(all);
      llvm::append_range(reachedKeys, keys);
      for (auto [reached, queries] : llvm::zip_equal(reachedQueries, running))
        llvm::append_range(reached, queries);
    }
    // Row group and column 2 quad + e of the same 8 rows: the level is that of
    // the highest bit in which they differ.
    Value block = at.add(warpRow(grid), grid.rows * b);
    Value place =
        at.add(at.add(at.mul(at.add(at.mul(warpColumn(grid), numBlocks), block),
                             blockBytes),
                      at.shiftLeft(lane, 2)),
               diagonal);
    for (int64_t i = 0; i < numSums; ++i) {
      for (int64_t e = 0; e < 4; ++e) {
        Value column = at.add(own, e % 2), differ = at.bitXor(group, column);
        Value value = levels[i][3][e];
        for (int64_t l = 3; l-- > 0;)
          value = at.select(at.less(differ, at.constant(int64_t(1) << l)),
                            levels[i][l][e], value);
        value = at.select(
            at.less(column, sums[i].getExclusive() ? group : at.add(group, 1)),
            value, at.real(0));
        at.storeShared(value, place, i * sumBytes + 128 * e, 4);
      }
      for (int64_t e = 0; e < 2; ++e)
        at.storeShared(levels[i][4][2 + e], place, i * sumBytes + 128 * (4 + e),
                       4);
    }
  }
  RowProducts &products = rowProducts[first.getFactors()];
  bool hasTotals = products.table >= 0;
  if (!hasTotals)
    storeTotals(products, operand, totals);

  // Rows of larger groups.
  auto storeLevel = [&](int64_t l) {
    for (int64_t b = 0; b < grid.rowBlocks; ++b) {
      Value block = at.add(warpRow(grid), grid.rows * b);
      Values between = placesBetween(products, operand, block, l);
      Values factor;
      for (int64_t n = 0; n < grid.columnBlocks && !between.empty(); ++n)
        llvm::append_range(factor, totalsAt(operand, between, n));
      int64_t count = 4 * grid.columnBlocks;
      auto store = [&](const Values &reached, int64_t number) {
        Values values(ArrayRef<Value>(reached).slice(b * count, count));
        for (int64_t i = 0; i < count && !factor.empty(); ++i)
          values[i] = at.mul(values[i], factor[2 * (i / 4) + i % 2]);
        storeBlockRow(tile, b, values, (number * numTiles + l) * tileBytes);
      };
      auto branch = scf::IfOp::create(
          builder, at.loc,
          at.less(at.constant(0), at.bitAnd(block, int64_t(1) << l)), true);
      OpBuilder::InsertionGuard guard(builder);
      builder.setInsertionPointToStart(branch.thenBlock());
      for (int64_t i = 0; i < numSums; ++i)
        store(reachedQueries[i], i);
      builder.setInsertionPointToStart(branch.elseBlock());
      store(reachedKeys, 0);
    }
  };
  storeLevel(0);
  barrier();
  for (int64_t l = 1; l < numTiles; ++l)
    storeLevel(l);
  if (numTiles > 1)
    barrier();
  dirty = false;
  // What scans of the factors weigh is known by now.
  products.at(first.getKeys(), /*reversed=*/true, /*exclusive=*/true) =
      reachedKeys;
  for (int64_t i = 0; i < numSums; ++i)
    products.at(sums[i].getQueries(), /*reversed=*/false,
                sums[i].getExclusive()) = reachedQueries[i];

  for (int64_t i = 0; i < numSums; ++i) {
    Parts left = tile;
    left.offset = at.constant(memory + i * numTiles * tileBytes);
    set(sums[i].getResult(),
        Parts{sums[i].getType(),
              gatherBlocks(sums[i].getType(), left, tile, tileBytes,
                           diagonal + i * sumBytes, partBytes, grid.columns),
              {}});
  }
  release(memory, numSums * numTiles * tileBytes);
  release(diagonal, sumBytes * numSums);
}

/// Blocks of 16 x 16 of the result: products of the rows of a group, or what is
/// on the diagonal in `parts` sums.
Values ThreadEmitter::gatherBlocks(TileType type, const Parts &left,
                                   const Parts &right, int64_t tileBytes,
                                   int64_t diagonal, int64_t partBytes,
                                   int64_t parts) {
  Grid grid(type, warps);
  Values result;
  Value zero = at.real(0), low = at.bitOr(lane7, at.shiftLeft(lane16, 3));
  SmallVector<Type> eight(8, builder.getF32Type());
  int64_t planes = getPlanes(left.type.getElementType());
  auto product = [&](Value blockRow, Value blockColumn, Value which) {
    Parts lefts = left, rights = right;
    Value further = at.mul(which, tileBytes);
    lefts.offset = at.add(left.offset, further);
    rights.offset = at.add(right.offset, further);
    Value leftFrom = at.add(at.shiftLeft(blockRow, 4), lane15);
    Value rightFrom = at.add(at.shiftLeft(blockColumn, 4), low);
    Values sum(8, zero);
    for (int64_t k = 0; k < left.type.getColumns() / 16; ++k) {
      Packed rows, columns;
      for (int64_t plane = 0; plane < planes; ++plane) {
        rows.push_back(
            at.loadMatrices(pieceOffset(lefts, leftFrom, lane16, 2 * k),
                            plane * planeBytes(left), false));
        columns.push_back(
            at.loadMatrices(pieceOffset(rights, rightFrom, lane8, 2 * k),
                            plane * planeBytes(right), false));
      }
      for (int64_t plane = 0; plane < planes; ++plane)
        for (int64_t other = 0; other + plane < planes; ++other)
          for (int64_t half = 0; half < 2; ++half) {
            MutableArrayRef<Value> four(sum.data() + 4 * half, 4);
            Values next = at.multiply(
                rows[other], ArrayRef<Value>(columns[plane]).slice(2 * half, 2),
                four);
            llvm::copy(next, four.begin());
          }
    }
    return sum;
  };
  for (int64_t b = 0; b < grid.rowBlocks; ++b)
    for (int64_t n = 0; n < grid.columnBlocks / 2; ++n) {
      Value blockRow = at.add(warpRow(grid), grid.rows * b);
      Value blockColumn =
          at.add(at.mul(warpColumn(grid), grid.columnBlocks / 2), n);
      // The tile: of the highest bit in which the numbers differ.
      Value differ = at.bitXor(blockRow, blockColumn), which = at.constant(0);
      for (int64_t size = 2; 16 * size < type.getRows(); size *= 2)
        which = at.add(which, arith::ExtUIOp::create(
                                  builder, at.loc, builder.getI32Type(),
                                  at.less(at.constant(size - 1), differ)));
      OpBuilder::InsertionGuard guard(builder);
      auto below = scf::IfOp::create(builder, at.loc, eight,
                                     at.less(blockColumn, blockRow), true);
      builder.setInsertionPointToStart(below.thenBlock());
      scf::YieldOp::create(builder, at.loc,
                           product(blockRow, blockColumn, which));
      builder.setInsertionPointToStart(below.elseBlock());
      auto on = scf::IfOp::create(builder, at.loc, eight,
                                  at.equal(differ, at.constant(0)), true);
      scf::YieldOp::create(builder, at.loc, on.getResults());
      builder.setInsertionPointToStart(on.elseBlock());
      scf::YieldOp::create(builder, at.loc, Values(8, zero));
      builder.setInsertionPointToStart(on.thenBlock());
      Value place = at.add(
          at.add(at.mul(blockRow, 4 * 32 * kDiagonal), at.shiftLeft(lane, 2)),
          diagonal);
      Values six;
      for (int64_t i = 0; i < kDiagonal; ++i) {
        Value total;
        for (int64_t part = 0; part < parts; ++part) {
          Value one = at.loadShared(builder.getF32Type(), place,
                                    part * partBytes + 128 * i, 4);
          total = total ? at.addReal(total, one) : one;
        }
        six.push_back(total);
      }
      // Rows g and g + 8, of the first 8 columns, then of the next.
      scf::YieldOp::create(
          builder, at.loc,
          Values{six[0], six[1], six[4], six[5], zero, zero, six[2], six[3]});
      llvm::append_range(result, below.getResults());
    }
  return result;
}
