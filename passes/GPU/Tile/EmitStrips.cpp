//===- EmitStrips.cpp - Tiles with blocks of rows in each thread ----------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A thread has 8 rows of its columns, so products along rows are its own as far
// as the block of rows goes. Products over whole blocks go through shared
// memory once; those over more blocks are made of them, and as every range of
// blocks that is asked for ends or begins with a block of the thread's own,
// they are running products too.
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "passes/GPU/Tile/EmitThreads.h"

using namespace mlir;
using namespace rondo::tile;

static constexpr int64_t kRows = Strips::kRows;

Strips::Strips(TileType type, int64_t warps) {
  numBlocks = type.getRows() / kRows;
  rows = std::min(warps, numBlocks);
  columns = warps / rows;
  rowBlocks = numBlocks / rows;
  int64_t own = type.getColumns() / columns;
  width = own % 128 ? 2 : 4;
  perLane = own / 32;
}

const char *Strips::check(TileType type, int64_t warps) {
  int64_t blocks = type.getRows() / kRows;
  if (type.getRows() % kRows || !llvm::isPowerOf2_64(blocks) ||
      !llvm::isPowerOf2_64(warps))
    return "its rows don't divide among the warps";
  int64_t columns = warps / std::min(warps, blocks);
  if (type.getColumns() % (64 * columns))
    return "its columns don't divide among the lanes";
  return nullptr;
}

//===----------------------------------------------------------------------===//
// Which tiles are strips
//===----------------------------------------------------------------------===//

static bool isMatrix(Value value) {
  auto type = dyn_cast<TileType>(value.getType());
  return type && type.isMatrix();
}

static bool comesFromScan(Value value) {
  Operation *op = value.getDefiningOp();
  if (!isMatrix(value) || !isa_and_nonnull<ScanOp, MapOp>(op))
    return false;
  return isa<ScanOp>(op) || llvm::any_of(op->getOperands(), comesFromScan);
}

static bool goesToScan(Value value) {
  return llvm::any_of(value.getUsers(), [](Operation *user) {
    if (auto map = dyn_cast<MapOp>(user))
      return isMatrix(map.getResult()) &&
             (comesFromScan(map.getResult()) || goesToScan(map.getResult()));
    return isa<SegmentDotOp, ScanOp, ExtractOp>(user);
  });
}

bool rondo::tile::isInStrips(Value value) {
  return isMatrix(value) &&
         isa_and_nonnull<LoadOp, MapOp, ScanOp>(value.getDefiningOp()) &&
         (comesFromScan(value) || goesToScan(value));
}

//===----------------------------------------------------------------------===//
// Places
//===----------------------------------------------------------------------===//

Value ThreadEmitter::stripBlock(const Strips &strips, int64_t block) {
  Value row = strips.rows == warps ? warp : at.bitAnd(warp, strips.rows - 1);
  return at.add(row, strips.rows * block);
}
Value ThreadEmitter::stripPart(const Strips &strips) {
  return strips.columns == 1 ? at.constant(0)
                             : at.shiftRight(warp, llvm::Log2_64(strips.rows));
}
Value ThreadEmitter::stripColumn(const Strips &strips) {
  return at.add(at.mul(stripPart(strips), 32 * strips.perLane),
                at.mul(lane, strips.width));
}

/// [row][column] of f32 in shared memory.
static Value placeOf(Instructions &at, int64_t memory, int64_t pitch, Value row,
                     Value column) {
  return at.add(at.add(at.mul(row, pitch), at.shiftLeft(column, 2)), memory);
}

static Values split(Instructions &at, Value vector, int64_t count) {
  Values parts;
  for (int64_t i = 0; i < count; ++i)
    parts.push_back(vector::ExtractOp::create(at.builder, at.loc, vector, i));
  return parts;
}
static Value join(Instructions &at, ValueRange parts) {
  return vector::FromElementsOp::create(
      at.builder, at.loc,
      VectorType::get(parts.size(), parts.front().getType()), parts);
}

/// Neighbouring f32, `width` at a time.
static void storeReals(Instructions &at, ArrayRef<Value> values, Value place,
                       int64_t width) {
  for (size_t j = 0; j < values.size(); j += width)
    at.storeShared(join(at, values.slice(j, width)), place, 128 * j, 4 * width);
}
static Values loadReals(Instructions &at, Value place, const Strips &strips) {
  Values values;
  Type type = VectorType::get(strips.width, at.builder.getF32Type());
  for (int64_t j = 0; j < strips.perLane; j += strips.width)
    llvm::append_range(
        values, split(at, at.loadShared(type, place, 128 * j, 4 * strips.width),
                      strips.width));
  return values;
}

/// `width` elements as words of 32 bits, and back.
static Values toWords(Instructions &at, Type element, ArrayRef<Value> values) {
  Values words;
  if (element.isF32()) {
    for (Value value : values)
      words.push_back(at.bits(value));
    return words;
  }
  for (size_t i = 0; i < values.size(); i += 2)
    words.push_back(at.packAs(element, values[i], values[i + 1]));
  return words;
}
static Values fromWords(Instructions &at, Type element, ValueRange words) {
  Values values;
  for (Value word : words) {
    if (element.isF32()) {
      values.push_back(at.fromBits(word));
      continue;
    }
    values.push_back(at.unpackLow(word));
    values.push_back(at.unpackHigh(word));
  }
  return values;
}

//===----------------------------------------------------------------------===//
// To and from other layouts
//===----------------------------------------------------------------------===//

/// Through shared memory, in f32.
Values
ThreadEmitter::exchange(TileType type,
                        llvm::function_ref<void(int64_t, int64_t)> store,
                        llvm::function_ref<Values(int64_t, int64_t)> load) {
  int64_t pitch = 4 * (type.getColumns() + 4);
  int64_t bytes = pitch * type.getRows();
  int64_t memory = allocate(bytes);
  store(memory, pitch);
  barrier();
  dirty = false;
  Values values = load(memory, pitch);
  release(memory, bytes);
  return values;
}

Values ThreadEmitter::stripsOf(const Parts &source, TileType like) {
  if (source.type.getLayout() == Layout::Strips)
    return source.values;
  Strips strips(like, warps);
  Values values;
  auto forRows = [&](llvm::function_ref<void(Value, int64_t)> visit) {
    for (int64_t b = 0; b < strips.rowBlocks; ++b) {
      Value first = at.shiftLeft(stripBlock(strips, b), 3);
      for (int64_t r = 0; r < kRows; ++r)
        visit(first, r);
    }
  };
  Value column = stripColumn(strips);
  if (source.type.isScalar()) {
    values.assign(strips.rowBlocks * kRows * strips.perLane,
                  source.values.front());
  } else if (source.type.isVector()) {
    bool alongRows = source.type.getColumns() == 1;
    Values ofColumns;
    for (int64_t j = 0; j < strips.perLane && !alongRows; ++j)
      ofColumns.push_back(laneElement(source, column, strips.columnOf(j)));
    forRows([&](Value first, int64_t r) {
      if (alongRows)
        values.append(strips.perLane, laneElement(source, first, r));
      else
        llvm::append_range(values, ofColumns);
    });
  } else if (source.type.getLayout() == Layout::Accumulator) {
    return exchange(
        source.type,
        [&](int64_t memory, int64_t pitch) {
          Grid grid(source.type, warps);
          Value row = firstRow(grid), from = firstColumn(grid);
          int64_t next = 0;
          for (int64_t b = 0; b < grid.rowBlocks; ++b)
            for (int64_t n = 0; n < grid.columnBlocks; ++n)
              for (int64_t e = 0; e < 4; ++e)
                at.storeShared(source.values[next++],
                               placeOf(at, memory, pitch,
                                       at.add(row, rowOf(grid, b, e)),
                                       at.add(from, columnOf(n, e))),
                               0, 4);
        },
        [&](int64_t memory, int64_t pitch) {
          Values loaded;
          forRows([&](Value first, int64_t r) {
            llvm::append_range(
                loaded,
                loadReals(at,
                          placeOf(at, memory, pitch, at.add(first, r), column),
                          strips));
          });
          return loaded;
        });
  } else if (source.transposed) {
    // 8 rows of a column are a piece of 16 bytes.
    synchronize();
    int64_t planes = getPlanes(source.type.getElementType());
    Type four = VectorType::get(4, builder.getI32Type());
    for (int64_t b = 0; b < strips.rowBlocks; ++b) {
      SmallVector<Values> columns;
      for (int64_t j = 0; j < strips.perLane; ++j) {
        Value offset = pieceOffset(source, at.add(column, strips.columnOf(j)),
                                   stripBlock(strips, b), 0);
        Values sums;
        for (int64_t plane = 0; plane < planes; ++plane) {
          Value loaded =
              at.loadShared(four, offset, plane * planeBytes(source), 16);
          Values part =
              fromWords(at, builder.getBF16Type(), split(at, loaded, 4));
          for (int64_t r = 0; r < kRows; ++r)
            if (plane)
              sums[r] = at.addReal(sums[r], part[r]);
            else
              sums.push_back(part[r]);
        }
        columns.push_back(sums);
      }
      for (int64_t r = 0; r < kRows; ++r)
        for (Values &each : columns)
          values.push_back(each[r]);
    }
  } else {
    synchronize();
    int64_t planes = getPlanes(source.type.getElementType());
    Type words = VectorType::get(strips.width / 2, builder.getI32Type());
    forRows([&](Value first, int64_t r) {
      for (int64_t j = 0; j < strips.perLane; j += strips.width) {
        Value offset = stripOffset(source, strips, at.add(first, r), j);
        Values sums;
        for (int64_t plane = 0; plane < planes; ++plane) {
          Value loaded = at.loadShared(
              words, offset, plane * planeBytes(source), 2 * strips.width);
          Values part = fromWords(at, builder.getBF16Type(),
                                  split(at, loaded, strips.width / 2));
          for (int64_t i = 0; i < strips.width; ++i)
            if (plane)
              sums[i] = at.addReal(sums[i], part[i]);
            else
              sums.push_back(part[i]);
        }
        llvm::append_range(values, sums);
      }
    });
  }
  return values;
}

/// Where column `j` of a lane is in row `row` of a tile in shared memory.
Value ThreadEmitter::stripOffset(const Parts &tile, const Strips &strips,
                                 Value row, int64_t j) {
  Value column = at.add(stripColumn(strips), strips.columnOf(j));
  return at.add(pieceOffset(tile, row, at.shiftRight(column, 3), 0),
                at.shiftLeft(at.bitAnd(column, 7), 1));
}

/// A row of a lane's columns, to shared memory.
void ThreadEmitter::storeStripRow(const Parts &target, const Strips &strips,
                                  Value row, ArrayRef<Value> values,
                                  int64_t further) {
  int64_t planes = getPlanes(target.type.getElementType());
  Type half = builder.getBF16Type();
  for (int64_t j = 0; j < strips.perLane; j += strips.width) {
    Values part(values.slice(j, strips.width));
    Value offset = stripOffset(target, strips, row, j);
    for (int64_t plane = 0; plane < planes; ++plane) {
      Values words = toWords(at, half, part);
      at.storeShared(join(at, words), offset,
                     further + plane * planeBytes(target), 2 * strips.width);
      if (plane + 1 < planes) {
        Values large = fromWords(at, half, words);
        for (int64_t i = 0; i < strips.width; ++i)
          part[i] = at.subReal(part[i], large[i]);
      }
    }
  }
}

Parts ThreadEmitter::stripsToShared(const Parts &source) {
  Parts target = allocateShared(source.type);
  Strips strips(source.type, warps);
  ArrayRef<Value> values(source.values);
  for (int64_t b = 0; b < strips.rowBlocks; ++b)
    for (int64_t r = 0; r < kRows; ++r)
      storeStripRow(target, strips,
                    at.add(at.shiftLeft(stripBlock(strips, b), 3), r),
                    values.slice(strips.number(b, r, 0), strips.perLane), 0);
  written();
  return target;
}

Values ThreadEmitter::stripsToAccumulator(const Parts &source) {
  Strips strips(source.type, warps);
  return exchange(
      source.type,
      [&](int64_t memory, int64_t pitch) {
        ArrayRef<Value> values(source.values);
        for (int64_t b = 0; b < strips.rowBlocks; ++b)
          for (int64_t r = 0; r < kRows; ++r)
            storeReals(
                at, values.slice(strips.number(b, r, 0), strips.perLane),
                placeOf(at, memory, pitch,
                        at.add(at.shiftLeft(stripBlock(strips, b), 3), r),
                        stripColumn(strips)),
                strips.width);
      },
      [&](int64_t memory, int64_t pitch) {
        Grid grid(source.type, warps);
        Value row = firstRow(grid), column = firstColumn(grid);
        Values loaded;
        for (int64_t b = 0; b < grid.rowBlocks; ++b)
          for (int64_t n = 0; n < grid.columnBlocks; ++n)
            for (int64_t e = 0; e < 4; ++e)
              loaded.push_back(at.loadShared(
                  builder.getF32Type(),
                  placeOf(at, memory, pitch, at.add(row, rowOf(grid, b, e)),
                          at.add(column, columnOf(n, e))),
                  0, 4));
        return loaded;
      });
}

//===----------------------------------------------------------------------===//
// Global memory
//===----------------------------------------------------------------------===//

/// `isWhole`: rows begin at multiples of 16 bytes and are not cut off.
Parts ThreadEmitter::loadStrips(TileType type, const Place &place,
                                bool isWhole) {
  Parts parts{type, {}, {}};
  Strips strips(type, warps);
  if (!isWhole && place.element.isBF16()) {
    Parts stage = allocateShared(type);
    int64_t offset = lastOffset;
    loadIntoShared(place, stage);
    parts.values = stripsOf(stage, type);
    release(offset, planeBytes(stage));
    return parts;
  }
  Value column = stripColumn(strips);
  int64_t bytes = place.element.isF32() ? 4 : 2;
  for (int64_t b = 0; b < strips.rowBlocks; ++b) {
    Value first = at.shiftLeft(stripBlock(strips, b), 3);
    Value start = pointerTo(place, first, column);
    for (int64_t r = 0; r < kRows; ++r) {
      Value row = at.add(first, r);
      if (!isWhole) {
        for (int64_t j = 0; j < strips.perLane; ++j)
          parts.values.push_back(
              loadElement(place, row, at.add(column, strips.columnOf(j))));
        continue;
      }
      if (r)
        start = at.globalPointer(start, place.rowStride);
      Value present = at.less(row, place.rowLimit);
      for (int64_t j = 0; j < strips.perLane; j += strips.width) {
        Value from = at.globalPointer(
            start,
            arith::ConstantIntOp::create(builder, at.loc, 32 * j * bytes, 64));
        llvm::append_range(
            parts.values,
            fromWords(at, place.element,
                      at.loadWordsIf(present, strips.width * bytes / 4, from)));
      }
    }
  }
  return parts;
}

void ThreadEmitter::storeStrips(const Place &place, const Parts &parts,
                                bool isWhole) {
  Strips strips(parts.type, warps);
  Value column = stripColumn(strips);
  int64_t bytes = place.element.isF32() ? 4 : 2;
  ArrayRef<Value> values(parts.values);
  for (int64_t b = 0; b < strips.rowBlocks; ++b) {
    Value first = at.shiftLeft(stripBlock(strips, b), 3);
    Value start = pointerTo(place, first, column);
    for (int64_t r = 0; r < kRows; ++r) {
      Value row = at.add(first, r);
      ArrayRef<Value> own =
          values.slice(strips.number(b, r, 0), strips.perLane);
      if (!isWhole) {
        for (auto [j, value] : llvm::enumerate(own))
          storeElement(place, row, at.add(column, strips.columnOf(j)), value);
        continue;
      }
      if (r)
        start = at.globalPointer(start, place.rowStride);
      Value present = at.less(row, place.rowLimit);
      for (int64_t j = 0; j < strips.perLane; j += strips.width)
        at.storeGlobalIf(
            present, toWords(at, place.element, own.slice(j, strips.width)),
            at.globalPointer(start, arith::ConstantIntOp::create(
                                        builder, at.loc, 32 * j * bytes, 64)));
    }
  }
}

//===----------------------------------------------------------------------===//
// Products down the rows
//===----------------------------------------------------------------------===//

void ThreadEmitter::mapStrips(MapOp op) {
  TileType type = op.getType();
  Parts parts{type, {}, {}};
  SmallVector<Values> inputs;
  for (Value input : op.getInputs())
    inputs.push_back(stripsOf(get(input), type));
  Strips strips(type, warps);
  Value column = stripColumn(strips);
  for (int64_t b = 0; b < strips.rowBlocks; ++b) {
    Value first = at.shiftLeft(stripBlock(strips, b), 3);
    for (int64_t r = 0; r < kRows; ++r)
      for (int64_t j = 0; j < strips.perLane; ++j) {
        Values here;
        for (Values &input : inputs)
          here.push_back(input[strips.number(b, r, j)]);
        llvm::append_range(parts.values,
                           mapElement(op, here, at.add(first, r),
                                      at.add(column, strips.columnOf(j))));
      }
  }
  set(op.getResult(), parts);
}

/// Products of the source within blocks and over whole blocks.
const StripProducts &ThreadEmitter::productsOf(Value value) {
  auto known = stripProducts.find(value);
  if (known != stripProducts.end())
    return known->second;
  const Parts &source = get(value);
  StripProducts products;
  products.source = source.values;
  Strips strips(source.type, warps);
  int64_t half = kRows / 2, pitch = 4 * source.type.getColumns();
  products.up.resize(source.values.size());
  products.down.resize(source.values.size());
  products.upOfHalf.resize(source.values.size());
  products.downOfHalf.resize(source.values.size());
  int64_t memory = allocate(pitch * strips.numBlocks);
  for (int64_t b = 0; b < strips.rowBlocks; ++b) {
    Values totals;
    for (int64_t j = 0; j < strips.perLane; ++j) {
      auto number = [&](int64_t r) { return strips.number(b, r, j); };
      Value all[2];
      for (int64_t h = 0; h < 2; ++h) {
        Value up, down = at.real(1);
        for (int64_t r = h * half; r < (h + 1) * half; ++r) {
          Value here = source.values[number(r)];
          up = up ? at.mul(up, here) : here;
          products.upOfHalf[number(r)] = up;
        }
        for (int64_t r = (h + 1) * half; r-- > h * half;) {
          products.downOfHalf[number(r)] = down;
          Value here = source.values[number(r)];
          down = r + 1 == (h + 1) * half ? here : at.mul(down, here);
        }
        all[h] = up;
      }
      for (int64_t r = 0; r < kRows; ++r) {
        Value up = products.upOfHalf[number(r)];
        Value down = products.downOfHalf[number(r)];
        products.up[number(r)] = r < half ? up : at.mul(up, all[0]);
        products.down[number(r)] = r >= half       ? down
                                   : r + 1 == half ? all[1]
                                                   : at.mul(down, all[1]);
      }
      totals.push_back(at.mul(all[0], all[1]));
    }
    storeReals(
        at, totals,
        placeOf(at, memory, pitch, stripBlock(strips, b), stripColumn(strips)),
        strips.width);
  }
  barrier();
  dirty = false;
  // Level by level, with the neighbour of 1, 2, 4, .. blocks.
  for (int64_t b = 0; b < strips.rowBlocks; ++b) {
    Value block = stripBlock(strips, b), one = at.real(1);
    Values before(strips.perLane, one), after = before;
    products.before.push_back({before});
    products.after.push_back({after});
    for (int64_t size = 1; size < strips.numBlocks; size *= 2) {
      Value neighbour = at.bitAnd(at.bitXor(block, size), -size);
      Value place = placeOf(at, memory, pitch, neighbour, stripColumn(strips));
      Values all;
      for (int64_t k = 0; k < size; ++k) {
        Values loaded = loadReals(at, at.add(place, k * pitch), strips);
        for (int64_t j = 0; j < strips.perLane; ++j)
          if (k)
            all[j] = at.mul(all[j], loaded[j]);
          else
            all.push_back(loaded[j]);
      }
      Value isFirst = at.equal(at.bitAnd(block, size), at.constant(0));
      for (int64_t j = 0; j < strips.perLane; ++j) {
        before[j] = at.mul(before[j], at.select(isFirst, one, all[j]));
        after[j] = at.mul(after[j], at.select(isFirst, all[j], one));
      }
      products.before[b].push_back(before);
      products.after[b].push_back(after);
    }
  }
  release(memory, pitch * strips.numBlocks);
  return stripProducts[value] = products;
}

void ThreadEmitter::scanStrips(ScanOp op) {
  const StripProducts products = productsOf(op.getSource());
  Parts result{op.getType(), {}, {}};
  Strips strips(op.getType(), warps);
  for (int64_t b = 0; b < strips.rowBlocks; ++b) {
    const Values &outer =
        op.getReversed() ? products.after[b].back() : products.before[b].back();
    for (int64_t r = 0; r < kRows; ++r)
      for (int64_t j = 0; j < strips.perLane; ++j) {
        int64_t number = strips.number(b, r, j);
        Value value;
        if (op.getReversed()) {
          value = at.mul(products.down[number], outer[j]);
          if (!op.getExclusive())
            value = at.mul(value, products.source[number]);
        } else if (!op.getExclusive()) {
          value = at.mul(products.up[number], outer[j]);
        } else {
          value = r ? at.mul(products.up[strips.number(b, r - 1, j)], outer[j])
                    : outer[j];
        }
        result.values.push_back(value);
      }
  }
  set(op.getResult(), result);
}

void ThreadEmitter::extractRow(ExtractOp op) {
  const Parts source = get(op.getSource());
  Strips strips(source.type, warps);
  int64_t block = op.getPosition() / kRows, columns = source.type.getColumns();
  int64_t memory = allocate(4 * columns);
  {
    Value own =
        at.equal(stripBlock(strips, block / strips.rows), at.constant(block));
    auto branch = scf::IfOp::create(builder, at.loc, own, false);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(branch.thenBlock());
    int64_t first =
        strips.number(block / strips.rows, op.getPosition() % kRows, 0);
    storeReals(at, ArrayRef<Value>(source.values).slice(first, strips.perLane),
               placeOf(at, memory, 0, at.constant(0), stripColumn(strips)),
               strips.width);
  }
  barrier();
  dirty = false;
  Parts result{op.getType(), {}, {}};
  Value place = at.add(at.shiftLeft(lane, 2), memory);
  for (int64_t i = 0; 32 * i < columns; ++i)
    result.values.push_back(
        at.loadShared(builder.getF32Type(), place, 128 * i, 4));
  release(memory, 4 * columns);
  set(op.getResult(), result);
}
