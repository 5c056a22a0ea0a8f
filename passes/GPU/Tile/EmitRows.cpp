//===- EmitRows.cpp - Rows of tiles by their place in a group -------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A warp has 16 neighbouring rows, so rows of the same group of up to 16 are
// exchanged by shuffles; all others through shared memory.
//
//===----------------------------------------------------------------------===//

#include "passes/GPU/Tile/EmitThreads.h"

using namespace mlir;
using namespace rondo::tile;

void ThreadEmitter::emitPickRows(PickRowsOp op) {
  const Parts source = get(op.getSource());
  TileType type = source.type;
  Grid grid(type, warps);
  int64_t group = op.getGroup(), offset = op.getOffset();
  int64_t numRows = type.getRows(), numColumns = type.getColumns();
  Parts result{op.getType(), {}, {}};
  bool one = op.getType().getRows() == 1;

  // Every 8 rows that a warp has come from one row, or from 8 in one order.
  if (!one && group <= 16 && offset >= 0 && offset < group) {
    for (int64_t b = 0; b < grid.rowBlocks; ++b)
      for (int64_t n = 0; n < grid.columnBlocks; ++n)
        for (int64_t e = 0; e < 4; ++e) {
          int64_t half = group == 16 ? offset / 8 : e / 2;
          Value row = at.constant(offset % 8);
          if (group < 8)
            row = at.add(at.bitAnd(this->group, 8 - group), offset);
          Value from = at.bitOr(at.shiftLeft(row, 2), quad);
          Value value =
              source.values[(b * grid.columnBlocks + n) * 4 + 2 * half + e % 2];
          result.values.push_back(at.shuffle(value, from));
        }
    set(op.getResult(), result);
    return;
  }

  // [row][column] of f32; rows that nobody asks for stay away.
  int64_t pitch = 4 * (numColumns + 8);
  bool some = one || (group > 1 && offset >= 0 && offset < group);
  int64_t period = one ? numRows : some ? group : 1;
  int64_t bytes = pitch * (numRows / period);
  int64_t memory = allocate(bytes);
  at.barrier();
  Value row = firstRow(grid), column = firstColumn(grid);
  auto place = [&](Value r) {
    return at.add(
        at.add(at.mul(at.shiftRight(r, llvm::Log2_64(period)), pitch),
               at.shiftLeft(column, 2)),
        memory);
  };
  for (int64_t b = 0; b < grid.rowBlocks; ++b)
    for (int64_t h = 0; h < 2; ++h) {
      OpBuilder::InsertionGuard guard(builder);
      Value here = at.add(row, rowOf(grid, b, 2 * h));
      Value start = place(here);
      if (some) {
        Value wanted = at.equal(at.bitAnd(here, period - 1),
                                at.constant(offset));
        auto branch = scf::IfOp::create(builder, at.loc, wanted, false);
        builder.setInsertionPointToStart(branch.thenBlock());
      }
      for (int64_t n = 0; n < grid.columnBlocks; ++n)
        for (int64_t e = 0; e < 2; ++e)
          at.storeShared(
              source.values[(b * grid.columnBlocks + n) * 4 + 2 * h + e], start,
              4 * (8 * n + e), 4);
    }
  at.barrier();
  dirty = false;
  Type f32 = builder.getF32Type();
  if (one) {
    Value start = at.add(at.shiftLeft(lane, 2), memory);
    for (int64_t i = 0; 32 * i < numColumns; ++i)
      result.values.push_back(at.loadShared(f32, start, 128 * i, 4));
    release(memory, bytes);
    set(op.getResult(), result);
    return;
  }
  for (int64_t b = 0; b < grid.rowBlocks; ++b) {
    Value starts[2];
    for (int64_t h = 0; h < 2; ++h) {
      Value here = at.add(row, rowOf(grid, b, 2 * h));
      here = at.add(at.bitAnd(here, -group), offset);
      starts[h] = place(at.clamp(here, 0, numRows - 1));
    }
    for (int64_t n = 0; n < grid.columnBlocks; ++n)
      for (int64_t e = 0; e < 4; ++e)
        result.values.push_back(
            at.loadShared(f32, starts[e / 2], 4 * (8 * n + e % 2), 4));
  }
  release(memory, bytes);
  set(op.getResult(), result);
}
