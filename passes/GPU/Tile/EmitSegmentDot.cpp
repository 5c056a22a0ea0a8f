//===- EmitSegmentDot.cpp - Products weighed by products between rows -----===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Two rows r > s lie in the two halves of one group of 8, 16, .. rows, or in
// the same four rows.
//
//   halves      queries of the second half, times the factors from its start,
//               meet keys of the first, times the factors to its end: a product
//               of matrices by tensor cores. Every row is one of the two, so a
//               level is one tile in shared memory, in the order of rows.
//   four rows   in f32, by each thread for its own columns; then over lanes
//
// A block of 16 x 16 of the result below the diagonal belongs to one level. On
// the diagonal there are two, of 8 and of 16 rows, and the four rows.
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Math/IR/Math.h"
#include "passes/GPU/Tile/EmitThreads.h"

using namespace mlir;
using namespace rondo::tile;

static constexpr int64_t kRows = Strips::kRows, kBase = 4;

/// Sums over the lanes: one value per lane is left, of the sum `number`.
Values ThreadEmitter::reduceOverLanes(Values values, Value &number) {
  SmallVector<std::pair<int64_t, int64_t>> steps; // values before, mask
  for (int64_t mask = 16; mask > 0; mask /= 2) {
    int64_t count = values.size(), half = llvm::divideCeil(count, 2);
    Value isUpper = at.less(at.constant(0), at.bitAnd(lane, mask));
    Values next;
    for (int64_t i = 0; i < half; ++i) {
      Value keep = values[i], give = keep;
      if (count > 1 && i + half < count) {
        keep = at.select(isUpper, values[i + half], values[i]);
        give = at.select(isUpper, values[i], values[i + half]);
      }
      next.push_back(at.addReal(keep, at.shuffleXor(give, mask)));
    }
    steps.push_back({count, mask});
    values = next;
  }
  number = at.constant(0);
  for (auto [count, mask] : llvm::reverse(steps)) {
    int64_t half = llvm::divideCeil(count, 2);
    if (count == 1)
      continue;
    Value upper = at.add(number, half);
    Value isUpper = arith::AndIOp::create(
        builder, at.loc, at.less(at.constant(0), at.bitAnd(lane, mask)),
        at.less(upper, at.constant(count)));
    number = at.select(isUpper, upper, number);
  }
  return values;
}

void ThreadEmitter::emitSegmentDot(SegmentDotOp op) {
  TileType operand = op.getKeys().getType(), type = op.getType();
  const StripProducts products = productsOf(op.getFactors());
  const Values queries = get(op.getQueries()).values;
  const Values keys = get(op.getKeys()).values;
  Strips strips(operand, warps);
  bool exclusive = op.getExclusive();
  bool isExact = !operand.getElementType().isBF16() ||
                 !op.getQueries().getType().getElementType().isBF16();
  Parts level{TileType::get(
                  builder.getContext(), operand.getRows(), operand.getColumns(),
                  isExact ? Type(builder.getF32Type()) : builder.getBF16Type(),
                  Layout::Shared),
              {},
              {}};
  int64_t planes = isExact ? 2 : 1, levelBytes = planes * planeBytes(level);
  int64_t numLevels = llvm::Log2_64(strips.numBlocks) + 1;
  int64_t memory = allocate(numLevels * levelBytes);
  level.offset = at.constant(memory);
  // Sums within four rows: [part of the columns][block of 8][pair of rows].
  int64_t ofFour =
      exclusive ? kBase * (kBase - 1) / 2 : kBase * (kBase + 1) / 2;
  int64_t perBlock = kRows / kBase * ofFour;
  int64_t tableBytes = 4 * perBlock * strips.numBlocks;
  int64_t table = allocate(tableBytes * strips.columns);

  for (int64_t b = 0; b < strips.rowBlocks; ++b) {
    Value block = stripBlock(strips, b);
    Value first = at.shiftLeft(block, 3);
    auto number = [&](int64_t r, int64_t j) { return strips.number(b, r, j); };
    // From the start of the block, or of its half, to where row r meets.
    auto head = [&](const Values &up, int64_t r, int64_t start,
                    int64_t j) -> Value {
      if (exclusive)
        return r == start ? Value() : up[number(r - 1, j)];
      return up[number(r, j)];
    };
    auto times = [&](Value a, Value b) { return b ? at.mul(a, b) : a; };

    Values sums;
    for (int64_t start = 0; start < kRows; start += kBase)
      for (int64_t r = start; r < start + kBase; ++r)
        for (int64_t s = start; s <= r - exclusive; ++s)
          sums.push_back(at.real(0));
    auto sumOf = [&](int64_t r, int64_t s) -> Value & {
      int64_t row = r % kBase, column = s % kBase;
      int64_t before = exclusive ? row * (row - 1) / 2 : row * (row + 1) / 2;
      return sums[r / kBase * ofFour + before + column];
    };
    for (int64_t j = 0; j < strips.perLane; ++j)
      for (int64_t s = 0; s < kRows; ++s) {
        Value weighed = keys[number(s, j)];
        for (int64_t r = s; r < s - s % kBase + kBase; ++r) {
          if (r > s + exclusive)
            weighed =
                at.mul(weighed, products.source[number(r - exclusive, j)]);
          if (r >= s + exclusive)
            sumOf(r, s) =
                at.multiplyAdd(queries[number(r, j)], weighed, sumOf(r, s));
        }
      }
    Value which;
    Values sum = reduceOverLanes(sums, which);
    Value row = at.add(at.mul(block, perBlock), which);
    at.storeShared(sum[0],
                   at.add(at.add(at.shiftLeft(row, 2),
                                 at.mul(stripPart(strips), tableBytes)),
                          table),
                   0, 4);

    for (int64_t r = 0; r < kRows; ++r) {
      Values values;
      for (int64_t j = 0; j < strips.perLane; ++j)
        values.push_back(r < kBase
                             ? times(keys[number(r, j)],
                                     r + 1 == kBase
                                         ? Value()
                                         : products.downOfHalf[number(r, j)])
                             : times(queries[number(r, j)],
                                     head(products.upOfHalf, r, kBase, j)));
      storeStripRow(level, strips, at.add(first, r), values, 0);
    }
    Values heads(kRows * strips.perLane), tails = heads;
    for (int64_t r = 0; r < kRows; ++r)
      for (int64_t j = 0; j < strips.perLane; ++j) {
        int64_t n = r * strips.perLane + j;
        heads[n] = times(queries[number(r, j)], head(products.up, r, 0, j));
        tails[n] =
            times(keys[number(r, j)],
                  r + 1 == kRows ? Value() : products.down[number(r, j)]);
      }
    for (int64_t l = 1; l < numLevels; ++l) {
      Value isSecond =
          at.less(at.constant(0), at.bitAnd(block, int64_t(1) << (l - 1)));
      auto branch = scf::IfOp::create(builder, at.loc, isSecond, true);
      for (bool second : {true, false}) {
        OpBuilder::InsertionGuard guard(builder);
        builder.setInsertionPointToStart(second ? branch.thenBlock()
                                                : branch.elseBlock());
        const Values &outer =
            (second ? products.before : products.after)[b][l - 1];
        for (int64_t r = 0; r < kRows; ++r) {
          Values values;
          for (int64_t j = 0; j < strips.perLane; ++j) {
            Value own = (second ? heads : tails)[r * strips.perLane + j];
            values.push_back(l == 1 ? own : at.mul(own, outer[j]));
          }
          storeStripRow(level, strips, at.add(first, r), values,
                        l * levelBytes);
        }
      }
    }
  }
  barrier();
  dirty = false;

  // Blocks of 16 x 16.
  Grid grid(type, warps);
  Parts result{type, {}, {}};
  Value zero = at.real(0), low = at.bitOr(lane7, at.shiftLeft(lane16, 3));
  SmallVector<Type> eight(8, builder.getF32Type());
  auto product = [&](Value blockRow, Value blockColumn, Value which) {
    Parts tile = level;
    tile.offset = at.add(at.mul(which, levelBytes), memory);
    Value leftFrom = at.add(at.shiftLeft(blockRow, 4), lane15);
    Value rightFrom = at.add(at.shiftLeft(blockColumn, 4), low);
    Values sum(8, zero);
    for (int64_t k = 0; k < operand.getColumns() / 16; ++k) {
      SmallVector<Values> lefts, rights;
      for (int64_t plane = 0; plane < planes; ++plane) {
        lefts.push_back(
            at.loadMatrices(pieceOffset(tile, leftFrom, lane16, 2 * k),
                            plane * planeBytes(level), false));
        rights.push_back(
            at.loadMatrices(pieceOffset(tile, rightFrom, lane8, 2 * k),
                            plane * planeBytes(level), false));
      }
      for (int64_t plane = 0; plane < planes; ++plane)
        for (int64_t other = 0; other + plane < planes; ++other)
          for (int64_t half = 0; half < 2; ++half) {
            MutableArrayRef<Value> four(sum.data() + 4 * half, 4);
            Values next = at.multiply(
                lefts[other], ArrayRef<Value>(rights[plane]).slice(2 * half, 2),
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
      // The level: of the highest bit in which the numbers differ.
      Value differ = at.bitXor(blockRow, blockColumn), which = at.constant(1);
      for (int64_t size = 1; 16 * size < operand.getRows(); size *= 2)
        which = at.add(which, arith::ExtUIOp::create(
                                  builder, at.loc, builder.getI32Type(),
                                  at.less(at.constant(size - 1), differ)));
      OpBuilder::InsertionGuard guard(builder);
      auto below =
          scf::IfOp::create(builder, at.loc, eight,
                            at.less(blockColumn, at.add(blockRow, 1)), true);
      builder.setInsertionPointToStart(below.elseBlock());
      scf::YieldOp::create(builder, at.loc, Values(8, zero));
      builder.setInsertionPointToStart(below.thenBlock());
      Values far = product(blockRow, blockColumn, which);
      auto diagonal = scf::IfOp::create(builder, at.loc, eight,
                                        at.equal(differ, at.constant(0)), true);
      builder.setInsertionPointToStart(diagonal.elseBlock());
      scf::YieldOp::create(builder, at.loc, far);
      builder.setInsertionPointToStart(diagonal.thenBlock());
      Values near = product(blockRow, blockColumn, at.constant(0));
      Values all;
      for (int64_t e = 0; e < 8; ++e) {
        // Row group + 8 (e / 2 mod 2), column 2 quad + e mod 2 + 8 (e / 4).
        int64_t rowHalf = e / 2 % 2, columnHalf = e / 4;
        if (rowHalf != columnHalf) {
          all.push_back(rowHalf ? far[e] : zero);
          continue;
        }
        Value row = at.bitAnd(group, kBase - 1);
        Value column =
            at.bitAnd(at.add(at.shiftLeft(quad, 1), e % 2), kBase - 1);
        Value rowFour = at.shiftRight(group, 2);
        Value columnFour = at.shiftRight(quad, 1);
        Value before = at.shiftRight(
            arith::MulIOp::create(builder, at.loc, row,
                                  at.add(row, exclusive ? -1 : 1)),
            1);
        Value inside = at.less(column, exclusive ? row : at.add(row, 1));
        Value place = at.add(at.add(before, at.mul(rowFour, ofFour)),
                             at.select(inside, column, at.constant(0)));
        place = at.add(place, at.mul(at.add(at.shiftLeft(blockRow, 1), rowHalf),
                                     perBlock));
        place = at.add(at.shiftLeft(place, 2), table);
        Value own;
        for (int64_t part = 0; part < strips.columns; ++part) {
          Value loaded =
              at.loadShared(builder.getF32Type(), place, part * tableBytes, 4);
          own = own ? at.addReal(own, loaded) : loaded;
        }
        own = at.select(inside, own, zero);
        all.push_back(
            at.select(at.equal(rowFour, columnFour), own,
                      at.select(at.less(columnFour, rowFour), near[e], zero)));
      }
      scf::YieldOp::create(builder, at.loc, all);
      builder.setInsertionPointToEnd(below.thenBlock());
      scf::YieldOp::create(builder, at.loc, diagonal.getResults());
      llvm::append_range(result.values, below.getResults());
    }
  release(memory, numLevels * levelBytes);
  release(table, tableBytes * strips.columns);
  set(op.getResult(), result);
}
