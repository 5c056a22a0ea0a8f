//===- EmitRowProducts.cpp - Products down the rows of matrices -----------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// In an accumulator a warp has blocks of 16 rows: rows g and g + 8 in a thread,
// g in bits 2 to 4 of the lane. Products within them are made of those of
// groups of 2, 4, 8 and 16 rows: a row's product grows by that of the group
// beside its own, which a shuffle brings. What the products weigh takes part
// from the start, so nothing is multiplied twice. Products over whole blocks
// are a table in shared memory, with a row of ones for where there are none.
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "passes/GPU/Tile/EmitThreads.h"

using namespace mlir;
using namespace rondo::tile;

/// From groups of 2^level rows to those of twice as many, for 8 elements of a
/// block of 16 x 16. `totals` are the products over groups, `up` is times the
/// factors from the group's start, `down` times those up to its end.
void ThreadEmitter::climb(int64_t level, Values &totals,
                          MutableArrayRef<Values> up,
                          MutableArrayRef<Values> down) {
  if (level == 3) {
    for (int64_t i = 0; i < 8; ++i) {
      if (i % 4 >= 2)
        continue;
      for (Values &each : up)
        each[i + 2] = at.mul(each[i + 2], totals[i]);
      for (Values &each : down)
        each[i] = at.mul(each[i], totals[i + 2]);
      totals[i] = totals[i + 2] = at.mul(totals[i], totals[i + 2]);
    }
    return;
  }
  Value bit = at.bitAnd(group, int64_t(1) << level), zero = at.constant(0);
  Value isSecond = at.less(zero, bit), isFirst = at.equal(bit, zero);
  for (int64_t i = 0; i < 8; ++i) {
    Value beside = at.shuffleXor(totals[i], int64_t(4) << level);
    for (Values &each : up)
      each[i] = at.multiplyIf(isSecond, each[i], beside);
    for (Values &each : down)
      each[i] = at.multiplyIf(isFirst, each[i], beside);
    totals[i] = at.mul(totals[i], beside);
  }
}

/// Block of 16 rows `b` and of 16 columns from block of 8 `n`: its elements,
/// and as packed pairs where it is held as such.
std::pair<Values, SmallVector<Values, 2>>
ThreadEmitter::loadBlock(Value value, int64_t b, int64_t n) {
  const Parts &source = get(value);
  Grid grid(source.type, warps);
  if (source.type.getLayout() != Layout::Shared)
    return {Values(ArrayRef<Value>(source.values)
                       .slice((b * grid.columnBlocks + n) * 4, 8)),
            {}};
  SmallVector<Values, 2> packed;
  Values elements = sharedBlock(source, grid, b, n, &packed);
  return {elements, packed};
}

/// Products over whole blocks of 16 rows, to the table. `totals` has 8 elements
/// for each block of 16 x 16.
void ThreadEmitter::storeTotals(RowProducts &products, TileType type,
                                ArrayRef<SmallVector<Values>> totals) {
  Grid grid(type, warps);
  int64_t pitch = 4 * type.getColumns(), numBlocks = type.getRows() / 16;
  products.table = allocate(pitch * (numBlocks + 1));
  Type two = VectorType::get(2, builder.getF32Type());
  auto store = [&](Value low, Value high, Value place, int64_t further) {
    at.storeShared(
        vector::FromElementsOp::create(builder, at.loc, two, {low, high}),
        place, further, 8);
  };
  Value place = at.add(at.shiftLeft(firstColumn(grid), 2), products.table);
  OpBuilder::InsertionGuard guard(builder);
  auto writes = scf::IfOp::create(builder, at.loc,
                                  at.equal(group, at.constant(0)), false);
  builder.setInsertionPointToStart(writes.thenBlock());
  for (int64_t b = 0; b < grid.rowBlocks; ++b) {
    Value row =
        at.add(place, at.mul(at.add(warpRow(grid), grid.rows * b), pitch));
    for (int64_t n = 0; n < grid.columnBlocks; ++n) {
      const Values &block = totals[b][n / 2];
      store(block[n % 2 * 4], block[n % 2 * 4 + 1], row, 32 * n);
    }
  }
  builder.setInsertionPointAfter(writes);
  auto ones = scf::IfOp::create(
      builder, at.loc, at.less(thread, at.constant(type.getColumns() / 2)),
      false);
  builder.setInsertionPointToStart(ones.thenBlock());
  store(at.real(1), at.real(1),
        at.add(at.shiftLeft(thread, 3), products.table + pitch * numBlocks), 0);
}

/// A row of the table for every block, that of `block` (i32) + d where the
/// condition holds, else that of ones; for a warp's columns.
Value ThreadEmitter::placeOfTotals(const RowProducts &products, TileType type,
                                   Value block, Value condition) {
  int64_t pitch = 4 * type.getColumns();
  Value ones = at.constant(type.getRows() / 16);
  Value row = at.select(condition, block, ones);
  return at.add(at.add(at.mul(row, pitch),
                       at.shiftLeft(firstColumn(Grid(type, warps)), 2)),
                products.table);
}

/// Of the blocks in front of `block`, or behind it.
Values ThreadEmitter::placesBeside(const RowProducts &products, TileType type,
                                   Value block, bool behind) {
  Values places;
  for (int64_t j = 0; j + 1 < type.getRows() / 16; ++j) {
    Value other = at.constant(j + behind);
    places.push_back(
        placeOfTotals(products, type, other,
                      behind ? at.less(block, other) : at.less(other, block)));
  }
  return places;
}

/// Of the blocks between `block` and the middle of its group of 2^(level+1).
Values ThreadEmitter::placesBetween(const RowProducts &products, TileType type,
                                    Value block, int64_t level) {
  int64_t half = int64_t(1) << level;
  Value inHalf = at.bitAnd(block, half - 1);
  Value isSecond = at.less(at.constant(0), at.bitAnd(block, half));
  Values places;
  for (int64_t d = 1; d < half; ++d) {
    Value other = at.select(isSecond, at.add(block, -d), at.add(block, d));
    Value isBetween = at.select(isSecond, at.less(at.constant(d - 1), inHalf),
                                at.less(inHalf, at.constant(half - d)));
    places.push_back(placeOfTotals(products, type, other, isBetween));
  }
  return places;
}

/// The product of the rows at `places`, for the two columns of block of 8 `n`.
Values ThreadEmitter::totalsAt(TileType type, ArrayRef<Value> places,
                               int64_t n) {
  Values result;
  Type two = VectorType::get(2, builder.getF32Type());
  for (Value place : places) {
    Value loaded = at.loadShared(two, place, 32 * n, 8);
    for (int64_t e = 0; e < 2; ++e) {
      Value one = vector::ExtractOp::create(builder, at.loc, loaded, e);
      if (place == places.front())
        result.push_back(one);
      else
        result[e] = at.mul(result[e], one);
    }
  }
  return result;
}

/// Elements of `weighed` (null: ones) times products of the factors down the
/// rows, within blocks of 16 rows.
const Values &ThreadEmitter::reach(Value factors, Value weighed, bool reversed,
                                   bool exclusive) {
  RowProducts &products = rowProducts[factors];
  Values &result = products.at(weighed, reversed, exclusive);
  if (!result.empty())
    return result;
  const Values source = get(factors).values;
  auto type = cast<TileType>(factors.getType());
  Grid grid(type, warps);
  if (weighed)
    synchronize();
  SmallVector<SmallVector<Values>> totals(grid.rowBlocks);
  for (int64_t b = 0; b < grid.rowBlocks; ++b)
    for (int64_t n = 0; n < grid.columnBlocks; n += 2) {
      Values all(
          ArrayRef<Value>(source).slice((b * grid.columnBlocks + n) * 4, 8));
      Values values =
          weighed ? loadBlock(weighed, b, n).first : Values(8, at.real(1));
      if (!exclusive)
        for (auto [value, factor] : llvm::zip_equal(values, all))
          value = weighed ? at.mul(value, factor) : factor;
      MutableArrayRef<Values> one(values), none;
      for (int64_t level = 0; level < 4; ++level)
        climb(level, all, reversed ? none : one, reversed ? one : none);
      totals[b].push_back(all);
      llvm::append_range(result, values);
    }
  if (products.table < 0) {
    storeTotals(products, type, totals);
    barrier();
    dirty = false;
  }
  return result;
}

/// The scan that a map multiplies something of its shape by, and what.
static std::pair<ScanOp, Value> matchWeighing(MapOp map) {
  Block &body = map.getBody().front();
  auto product =
      body.getTerminator()->getOperand(0).getDefiningOp<arith::MulFOp>();
  if (!product || map.getInputs().size() != 2)
    return {};
  for (unsigned i = 0; i < 2; ++i) {
    auto scan = map.getInputs()[i].getDefiningOp<ScanOp>();
    Value other = map.getInputs()[1 - i];
    auto type = cast<TileType>(other.getType());
    bool isProduct =
        llvm::is_contained(product->getOperands(), body.getArgument(0)) &&
        llvm::is_contained(product->getOperands(), body.getArgument(1));
    if (scan && isProduct && scan.getType().isMatrix() &&
        type.getRows() == scan.getType().getRows() &&
        type.getColumns() == scan.getType().getColumns())
      return {scan, other};
  }
  return {};
}

static bool takesTotal(Operation *user, ScanOp scan) {
  auto extract = dyn_cast<ExtractOp>(user);
  return extract && !scan.getReversed() && !scan.getExclusive() &&
         extract.getPosition() + 1 ==
             static_cast<uint64_t>(scan.getType().getRows());
}

/// `weighed` (null: ones) times a scan.
Values ThreadEmitter::weigh(ScanOp scan, Value weighed) {
  TileType type = scan.getType();
  Values values =
      reach(scan.getSource(), weighed, scan.getReversed(), scan.getExclusive());
  const RowProducts &products = rowProducts[scan.getSource()];
  Grid grid(type, warps);
  int64_t next = 0;
  for (int64_t b = 0; b < grid.rowBlocks; ++b) {
    Value block = at.add(warpRow(grid), grid.rows * b);
    Values places = placesBeside(products, type, block, scan.getReversed());
    for (int64_t n = 0; n < grid.columnBlocks; ++n) {
      Values factor = totalsAt(type, places, n);
      for (int64_t e = 0; e < 4; ++e, ++next)
        values[next] = at.mul(values[next], factor[e % 2]);
    }
  }
  return values;
}

/// A scan that is only multiplied by others is computed with them.
void ThreadEmitter::scanRows(ScanOp op) {
  Parts result{op.getType(), {}, {}};
  if (!llvm::all_of(op->getUsers(), [&](Operation *user) {
        auto map = dyn_cast<MapOp>(user);
        return takesTotal(user, op) || (map && matchWeighing(map).first == op);
      }))
    result.values = weigh(op, {});
  set(op.getResult(), result);
}

/// Whether the map is the product of a scan and something else.
bool ThreadEmitter::mapWeighs(MapOp op) {
  auto [scan, weighed] = matchWeighing(op);
  if (!scan || !get(scan.getResult()).values.empty())
    return false;
  set(op.getResult(), Parts{op.getType(), weigh(scan, weighed), {}});
  return true;
}

/// The table of products over whole blocks, with what else is wanted of them if
/// there is anything.
int64_t ThreadEmitter::tableOf(Value factors) {
  const RowProducts &products = rowProducts[factors];
  for (Operation *user : factors.getUsers())
    if (auto scan = dyn_cast<ScanOp>(user))
      for (Operation *other : scan->getUsers()) {
        auto map = dyn_cast<MapOp>(other);
        auto [here, weighed] =
            map ? matchWeighing(map) : std::pair<ScanOp, Value>();
        if (here == scan && known.count(weighed) && products.table < 0)
          reach(factors, weighed, scan.getReversed(), scan.getExclusive());
      }
  if (products.table < 0)
    reach(factors, {}, /*reversed=*/false, /*exclusive=*/false);
  return products.table;
}

void ThreadEmitter::extractRow(ExtractOp op) {
  auto scan = op.getSource().getDefiningOp<ScanOp>();
  Parts result{op.getType(), {}, {}};
  TileType type = op.getSource().getType();
  int64_t columns = type.getColumns(), numBlocks = type.getRows() / 16;
  auto loadRow = [&](int64_t memory) {
    Values values;
    Value place = at.add(at.shiftLeft(lane, 2), memory);
    for (int64_t i = 0; 32 * i < columns; ++i)
      values.push_back(at.loadShared(builder.getF32Type(), place, 128 * i, 4));
    return values;
  };
  if (scan && takesTotal(op, scan)) {
    int64_t table = tableOf(scan.getSource());
    for (int64_t block = 0; block < numBlocks; ++block)
      for (auto [i, one] :
           llvm::enumerate(loadRow(table + 4 * columns * block)))
        if (block)
          result.values[i] = at.mul(result.values[i], one);
        else
          result.values.push_back(one);
    set(op.getResult(), result);
    return;
  }
  const Values source = get(op.getSource()).values;
  Grid grid(type, warps);
  int64_t block = op.getPosition() / 16, row = op.getPosition() % 16;
  int64_t memory = allocate(4 * columns);
  {
    Value isOurs = arith::AndIOp::create(
        builder, at.loc,
        at.equal(warpRow(grid), at.constant(block % grid.rows)),
        at.equal(group, at.constant(row % 8)));
    auto branch = scf::IfOp::create(builder, at.loc, isOurs, false);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(branch.thenBlock());
    Value place = at.add(at.shiftLeft(firstColumn(grid), 2), memory);
    for (int64_t n = 0; n < grid.columnBlocks; ++n)
      for (int64_t e = 0; e < 2; ++e)
        at.storeShared(source[(block / grid.rows * grid.columnBlocks + n) * 4 +
                              row / 8 * 2 + e],
                       place, 32 * n + 4 * e, 4);
  }
  barrier();
  dirty = false;
  result.values = loadRow(memory);
  release(memory, 4 * columns);
  set(op.getResult(), result);
}
