//===- EmitInverse.cpp - Inverses of unit triangular tiles ----------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// With blocks of 16, D_j = (1 + N_jj)^-1 and T (1 + N) = 1,
//
//   T_ii = D_i,  T_ij = sum over j < k <= i of T_ik M_kj,  M_kj = -N_kj D_j
//
// The warp that holds a block on the diagonal computes its D by substitution in
// f32, a column per lane; each warp multiplies the blocks that it holds by
// them; then each warp has rows of T, from right to left, in registers. Only D
// and M go through memory, as what they are operands of.
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "passes/GPU/Tile/EmitThreads.h"

using namespace mlir;
using namespace rondo::tile;

/// Of blocks of f32: no two rows of 8 meet in a bank, pieces of 16 bytes are
/// aligned.
static constexpr int64_t kRowBytes = 80, kBlockBytes = 16 * kRowBytes;

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

/// sum += left * a block of 16 x 16 of two planes: columns of 16 from `piece`
/// and the rows around `row`, or turned, in memory.
void ThreadEmitter::multiplyBlock(const OperandBlock &left, const Parts &tile,
                                  Value row, Value piece, int64_t constant,
                                  int64_t further, bool turned, Values &sum) {
  Value offset = pieceOffset(tile, row, piece, constant);
  for (int64_t plane = 0; plane < 2; ++plane) {
    Values right =
        at.loadMatrices(offset, further + plane * planeBytes(tile), !turned);
    for (int64_t other = 0; other + plane < 2; ++other)
      for (int64_t half = 0; half < 2; ++half) {
        MutableArrayRef<Value> four(sum.data() + 4 * half, 4);
        Values next =
            at.multiply(other ? left.small : left.large,
                        ArrayRef<Value>(right).slice(2 * half, 2), four);
        llvm::copy(next, four.begin());
      }
  }
}

/// A warp's block of 16 on the diagonal, of f32 in rows of 20, inverted and
/// turned, to rows `row` (this lane's) of a tile of two planes.
void ThreadEmitter::invertBlock(Value block, const Parts &diagonal, Value row) {
  constexpr int64_t four = 4;
  Type vector = VectorType::get(four, builder.getF32Type());
  // Each lane has a column; two lanes have the same.
  Values column;
  for (int64_t r = 0; r < 16; ++r) {
    Value sum =
        at.select(at.equal(lane15, at.constant(r)), at.real(1), at.real(0));
    for (int64_t k = 0; k < r; k += four) {
      Value factors = at.loadShared(vector, block, kRowBytes * r + 4 * k, 16);
      for (int64_t i = 0; i < std::min(four, r - k); ++i) {
        Value factor = vector::ExtractOp::create(builder, at.loc, factors, i);
        sum = at.subReal(sum, at.mul(factor, column[k + i]));
      }
    }
    column.push_back(sum);
  }
  // One of the two stores the large parts, the other one the small ones.
  Value isSmall = at.equal(lane16, at.constant(1));
  Value plane = at.mul(lane16, planeBytes(diagonal));
  Type words = VectorType::get(four, builder.getI32Type());
  for (int64_t half = 0; half < 2; ++half) {
    Values packed;
    for (int64_t r = 8 * half; r < 8 * half + 8; r += 2) {
      Value large = at.pack(column[r], column[r + 1]);
      Value small = at.pack(at.subReal(column[r], at.unpackLow(large)),
                            at.subReal(column[r + 1], at.unpackHigh(large)));
      packed.push_back(at.select(isSmall, small, large));
    }
    at.storeShared(
        vector::FromElementsOp::create(builder, at.loc, words, packed),
        at.add(pieceOffset(diagonal, row, at.constant(0), half), plane), 0, 16);
  }
}

void ThreadEmitter::emitInvert(InvertOp op) {
  const Parts source = get(op.getSource());
  TileType type = op.getType();
  Grid grid(type, warps);
  int64_t n = type.getRows(), numBlocks = n / 16;
  int64_t own = grid.columnBlocks / 2; // blocks of 16 columns of a warp
  Parts diagonal = allocateShared(TileType::get(
      builder.getContext(), n, 16, builder.getF32Type(), Layout::Shared));
  int64_t diagonalOffset = lastOffset;
  // Blocks on the diagonal, then products with their inverses.
  Parts products{type.withLayout(Layout::Shared), {}, {}};
  int64_t bytes = std::max(2 * planeBytes(products), kBlockBytes * numBlocks);
  int64_t memory = allocate(bytes);
  products.offset = at.constant(memory);

  SmallVector<Value> blocks; // of 16 rows
  for (int64_t b = 0; b < grid.rowBlocks; ++b)
    blocks.push_back(at.add(warpRow(grid), grid.rows * b));
  SmallVector<Value> columns; // of 16
  for (int64_t c = 0; c < own; ++c)
    columns.push_back(at.add(at.mul(warpColumn(grid), own), c));
  auto element = [&](int64_t b, int64_t c, int64_t e) {
    return source.values[(b * grid.columnBlocks + 2 * c) * 4 + e];
  };
  auto when = [&](Value condition, llvm::function_ref<void()> emit) {
    auto branch = scf::IfOp::create(builder, at.loc, condition, false);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(branch.thenBlock());
    emit();
  };

  Value low = at.bitOr(lane7, at.shiftLeft(lane16, 3));
  for (int64_t b = 0; b < grid.rowBlocks; ++b) {
    Value place = at.add(at.mul(blocks[b], kBlockBytes), memory);
    Value mine =
        at.add(at.add(place, at.mul(group, kRowBytes)), at.shiftLeft(quad, 3));
    Type two = VectorType::get(2, builder.getF32Type());
    for (int64_t c = 0; c < own; ++c)
      when(at.equal(blocks[b], columns[c]), [&] {
        for (int64_t e = 0; e < 8; e += 2)
          at.storeShared(vector::FromElementsOp::create(
                             builder, at.loc, two,
                             {element(b, c, e), element(b, c, e + 1)}),
                         mine, 8 * kRowBytes * (e % 4 / 2) + 32 * (e / 4), 8);
      });
    at.warpBarrier();
    auto invert = [&] {
      invertBlock(place, diagonal, at.add(at.shiftLeft(blocks[b], 4), lane15));
    };
    if (grid.columns == 1)
      invert();
    else
      when(at.equal(at.divide(blocks[b], own), warpColumn(grid)), invert);
  }
  barrier();
  for (int64_t b = 0; b < grid.rowBlocks && numBlocks > 1; ++b)
    for (int64_t c = 0; c < own; ++c)
      when(at.less(columns[c], blocks[b]), [&] {
        Values negative, sums(8, at.real(0));
        for (int64_t e = 0; e < 8; ++e)
          negative.push_back(at.subReal(at.real(0), element(b, c, e)));
        multiplyBlock(split(at, negative), diagonal,
                      at.add(at.shiftLeft(columns[c], 4), low), lane8, 0, 0,
                      /*turned=*/true, sums);
        OperandBlock product = split(at, sums);
        Value row = at.add(at.shiftLeft(blocks[b], 4), group);
        Value piece = at.shiftLeft(columns[c], 1);
        for (int64_t i = 0; i < 4; ++i) {
          Value offset = at.add(pieceOffset(products, row, piece, i / 2),
                                at.shiftLeft(quad, 2));
          int64_t further = 8 * (i % 2) * pitch(products);
          at.storeShared(product.large[i], offset, further, 4);
          at.storeShared(product.small[i], offset,
                         further + planeBytes(products), 4);
        }
      });
  if (numBlocks > 1)
    barrier();
  dirty = false;

  Parts result{type, {}, {}};
  Value zero = at.real(0), zeros = at.constant(0);
  Value first = at.mul(warpColumn(grid), own);
  SmallVector<Type> types(8, builder.getF32Type());
  types.append(8, builder.getI32Type());
  for (int64_t b = 0; b < grid.rowBlocks; ++b) {
    // The inverse on the diagonal, as it was packed.
    OperandBlock inverse;
    Value offset = pieceOffset(
        diagonal, at.add(at.shiftLeft(blocks[b], 4), low), lane8, 0);
    inverse.large = at.loadMatrices(offset, 0, true);
    inverse.small = at.loadMatrices(offset, planeBytes(diagonal), true);
    Values onDiagonal;
    for (int64_t i = 0; i < 4; ++i) {
      onDiagonal.push_back(at.addReal(at.unpackLow(inverse.large[i]),
                                      at.unpackLow(inverse.small[i])));
      onDiagonal.push_back(at.addReal(at.unpackHigh(inverse.large[i]),
                                      at.unpackHigh(inverse.small[i])));
    }
    SmallVector<Values> row(numBlocks); // elements
    SmallVector<OperandBlock> operands(numBlocks);
    for (int64_t j = numBlocks; j-- > 0;) {
      Value isOn = at.equal(blocks[b], at.constant(j));
      Values all; // elements, then what is packed of them
      for (int64_t e = 0; e < 8; ++e)
        all.push_back(at.select(isOn, onDiagonal[e], zero));
      for (const Values &part : {inverse.large, inverse.small})
        for (Value packed : part)
          all.push_back(at.select(isOn, packed, zeros));
      if (j + 1 < numBlocks) {
        // Of what is left of the warp's own columns nothing is wanted.
        Value isLeft = at.less(at.constant(j), blocks[b]);
        if (grid.columns > 1)
          isLeft = arith::AndIOp::create(builder, at.loc, isLeft,
                                         at.less(first, at.constant(j + 1)));
        auto branch = scf::IfOp::create(builder, at.loc, types, isLeft, true);
        OpBuilder::InsertionGuard guard(builder);
        builder.setInsertionPointToStart(branch.elseBlock());
        scf::YieldOp::create(builder, at.loc, all);
        builder.setInsertionPointToStart(branch.thenBlock());
        Values sums(8, zero);
        for (int64_t k = numBlocks; --k > j;)
          multiplyBlock(operands[k], products, lane15, lane16, 2 * j,
                        16 * k * pitch(products), /*turned=*/false, sums);
        OperandBlock packed = split(at, sums);
        llvm::append_range(sums, packed.large);
        llvm::append_range(sums, packed.small);
        scf::YieldOp::create(builder, at.loc, sums);
        all.assign(branch.result_begin(), branch.result_end());
      }
      row[j].assign(all.begin(), all.begin() + 8);
      operands[j].large.assign(all.begin() + 8, all.begin() + 12);
      operands[j].small.assign(all.begin() + 12, all.end());
    }
    // The warp's own columns of the row.
    for (int64_t c = 0; c < own; ++c)
      for (int64_t e = 0; e < 8; ++e) {
        Value value;
        for (int64_t w = 0; w < grid.columns; ++w) {
          Value here = row[w * own + c][e];
          value = w ? at.select(at.equal(warpColumn(grid), at.constant(w)),
                                here, value)
                    : here;
        }
        result.values.push_back(value);
      }
  }
  release(memory, bytes);
  release(diagonalOffset, 2 * planeBytes(diagonal));
  set(op.getResult(), result);
}
