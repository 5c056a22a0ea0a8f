//===- EmitInverse.cpp - Inverses of unit triangular tiles ----------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// With blocks of 16, D_j = (1 + N_jj)^-1 and T (1 + N) = 1,
//
//   T_ii = D_i,  T_ij = -(sum over j < k <= i of T_ik N_kj) D_j
//
// A warp computes the D of a block by substitution in f32, a column per lane;
// then each warp has rows of T of its own, from right to left, in registers.
//
//===----------------------------------------------------------------------===//

#include "passes/GPU/Tile/EmitThreads.h"

using namespace mlir;
using namespace rondo::tile;

/// From [block of 8 columns][4].
static OperandBlock split(Instructions &at, ArrayRef<Value> block) {
  OperandBlock result;
  for (int64_t part = 0; part < 4; ++part) {
    int64_t first = 4 * (part / 2) + 2 * (part % 2);
    Value low = block[first], high = block[first + 1];
    Value packed = at.pack(low, high);
    result.large.push_back(packed);
    result.small.push_back(at.pack(at.subReal(low, at.unpackLow(packed)),
                                   at.subReal(high, at.unpackHigh(packed))));
  }
  return result;
}

/// sum += left * the block of 16 x 16 at (row, piece) of a tile of two planes.
void ThreadEmitter::multiplyBlock(const OperandBlock &left, const Parts &tile,
                                  int64_t row, int64_t piece, Values &sum) {
  Value offset = pieceOffset(tile, lane15, lane16, piece);
  for (int64_t plane = 0; plane < 2; ++plane) {
    Values right = at.loadMatrices(
        offset, row * pitch(tile) + plane * planeBytes(tile), true);
    for (int64_t other = 0; other + plane < 2; ++other)
      for (int64_t half = 0; half < 2; ++half) {
        MutableArrayRef<Value> four(sum.data() + 4 * half, 4);
        Values next = at.multiply(other ? left.small : left.large,
                                  ArrayRef<Value>(right).slice(2 * half, 2),
                                  four);
        llvm::copy(next, four.begin());
      }
  }
}

static Value placeIn(Instructions &at, int64_t matrix, int64_t n, Value row,
                     Value column) {
  return at.add(at.add(at.mul(row, 4 * (n + 1)), at.shiftLeft(column, 2)),
                matrix);
}

/// The blocks of 16 on the diagonal of a matrix of f32, in place and as the rows
/// of a tile.
void ThreadEmitter::invertDiagonal(int64_t n, int64_t matrix,
                                   const Parts &diagonal) {
  int64_t numBlocks = n / 16, pitch = 4 * (n + 1);
  for (int64_t first = 0; first < numBlocks; first += warps) {
    OpBuilder::InsertionGuard guard(builder);
    Value block = at.add(warp, first);
    if (first + warps > numBlocks) {
      auto active = scf::IfOp::create(
          builder, at.loc, at.less(block, at.constant(numBlocks)), false);
      builder.setInsertionPointToStart(active.thenBlock());
    }
    Value start = at.shiftLeft(block, 4);
    Value corner = placeIn(at, matrix, n, start, start);
    // Each lane has a column; two lanes have the same.
    Values column;
    for (int64_t r = 0; r < 16; ++r) {
      Value sum = at.select(at.equal(lane15, at.constant(r)), at.real(1),
                            at.real(0));
      for (int64_t k = 0; k < r; ++k) {
        Value factor = at.loadShared(builder.getF32Type(), corner,
                                     r * pitch + 4 * k, 4);
        sum = at.subReal(sum, at.mul(factor, column[k]));
      }
      column.push_back(sum);
    }
    at.warpBarrier();
    Value mine = at.add(corner, at.shiftLeft(lane15, 2));
    Value piece = at.shiftRight(lane15, 3);
    Value inPiece = at.shiftLeft(at.bitAnd(lane15, 7), 1);
    Type half = builder.getBF16Type();
    for (int64_t r = 0; r < 16; ++r) {
      at.storeShared(column[r], mine, r * pitch, 4);
      Value offset =
          at.add(pieceOffset(diagonal, at.add(start, r), piece, 0), inPiece);
      Value large = arith::TruncFOp::create(builder, at.loc, half, column[r]);
      Value rest = at.subReal(column[r],
                              arith::ExtFOp::create(
                                  builder, at.loc, builder.getF32Type(), large));
      Value small = arith::TruncFOp::create(builder, at.loc, half, rest);
      at.storeShared(large, offset, 0, 2);
      at.storeShared(small, offset, planeBytes(diagonal), 2);
    }
  }
}

void ThreadEmitter::emitInvert(InvertOp op) {
  const Parts source = get(op.getSource());
  TileType type = op.getType();
  Grid grid(type, warps);
  int64_t n = type.getRows(), numBlocks = n / 16;
  int64_t matrix = allocate(4 * (n + 1) * n);
  Value row = firstRow(grid), column = firstColumn(grid);
  barrier();
  int64_t next = 0;
  for (int64_t b = 0; b < grid.rowBlocks; ++b)
    for (int64_t c = 0; c < grid.columnBlocks; ++c)
      for (int64_t e = 0; e < 4; ++e)
        at.storeShared(source.values[next++],
                       placeIn(at, matrix, n, at.add(row, rowOf(grid, b, e)),
                               at.add(column, columnOf(c, e))),
                       0, 4);
  Parts below = toShared(source);
  int64_t belowOffset = lastOffset;
  Parts diagonal = allocateShared(
      TileType::get(builder.getContext(), n, 16, builder.getF32Type(),
                    Layout::Shared));
  int64_t diagonalOffset = lastOffset;
  barrier();
  invertDiagonal(n, matrix, diagonal);
  barrier();
  dirty = false;

  Parts result{type, {}, {}};
  Value zero = at.real(0);
  for (int64_t b = 0; b < grid.rowBlocks; ++b) {
    Value block = at.add(warpRow(grid), grid.rows * b);
    SmallVector<Values> blocks(numBlocks); // of this row
    SmallVector<OperandBlock> operands(numBlocks);
    for (int64_t j = numBlocks; j-- > 0;) {
      Value isOn = at.equal(block, at.constant(j));
      Value isLeft = at.less(at.constant(j), block);
      Values product(8, zero);
      for (int64_t k = j + 1; k < numBlocks; ++k)
        multiplyBlock(operands[k], below, 16 * k, 2 * j, product);
      if (j + 1 < numBlocks) {
        Values whole(8, zero);
        multiplyBlock(split(at, product), diagonal, 16 * j, 0, whole);
        product = whole;
      }
      for (int64_t e = 0; e < 8; ++e) {
        Value at16 = at.constant(16 * j);
        Value own = at.loadShared(
            builder.getF32Type(),
            placeIn(at, matrix, n,
                    at.add(group, 16 * j + 8 * (e % 4 / 2)),
                    at.add(at.add(at.shiftLeft(quad, 1), at16),
                           8 * (e / 4) + e % 2)),
            0, 4);
        blocks[j].push_back(
            at.select(isLeft, at.subReal(zero, product[e]),
                      at.select(isOn, own, zero)));
      }
      operands[j] = split(at, blocks[j]);
    }
    // The warp's own columns of the row.
    for (int64_t c = 0; c < grid.columnBlocks; ++c)
      for (int64_t e = 0; e < 4; ++e) {
        Value value;
        for (int64_t w = 0; w < grid.columns; ++w) {
          int64_t n8 = w * grid.columnBlocks + c;
          Value here = blocks[n8 / 2][4 * (n8 % 2) + e];
          value = w ? at.select(at.equal(warpColumn(grid), at.constant(w)),
                                here, value)
                    : here;
        }
        result.values.push_back(value);
      }
  }
  release(matrix, 4 * (n + 1) * n);
  release(belowOffset, 2 * planeBytes(below));
  release(diagonalOffset, 2 * planeBytes(diagonal));
  set(op.getResult(), result);
}
