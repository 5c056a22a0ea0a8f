//===- EmitTiles.cpp - Computation on tiles -------------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/GPU/Tile/EmitThreads.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace rondo::tile;

//===----------------------------------------------------------------------===//
// Pointwise
//===----------------------------------------------------------------------===//

/// The body of a map on scalars. Indices become i32.
Values ThreadEmitter::mapElement(MapOp op, ArrayRef<Value> inputs, Value row,
                                 Value column) {
  Block &body = op.getBody().front();
  IRMapping now;
  for (auto [argument, value] :
       llvm::zip(body.getArguments().drop_back(2), inputs))
    now.map(argument, value);
  now.map(body.getArgument(inputs.size()), row);
  now.map(body.getArgument(inputs.size() + 1), column);
  Type i32 = builder.getI32Type();
  for (Operation &each : body.without_terminator()) {
    for (Value operand : each.getOperands())
      if (operand.getType().isIndex() && !now.contains(operand))
        now.map(operand, at.fromIndex(operand));
    Value source =
        each.getNumOperands() ? now.lookupOrDefault(each.getOperand(0)) : Value();
    if (auto constant = dyn_cast<arith::ConstantIndexOp>(each)) {
      now.map(each.getResult(0), at.constant(constant.value()));
    } else if (isa<arith::IndexCastOp>(each)) {
      Type to = each.getResult(0).getType();
      Value value = source;
      if (to.isIndex())
        to = i32;
      unsigned from = source.getType().getIntOrFloatBitWidth();
      if (to.getIntOrFloatBitWidth() > from)
        value = arith::ExtSIOp::create(builder, at.loc, to, source);
      else if (to.getIntOrFloatBitWidth() < from)
        value = arith::TruncIOp::create(builder, at.loc, to, source);
      now.map(each.getResult(0), value);
    } else if (isa<math::ExpOp>(each)) {
      now.map(each.getResult(0), at.exponential(source));
    } else {
      Operation *copy = each.clone(now);
      for (Value result : copy->getResults())
        if (result.getType().isIndex())
          result.setType(i32);
      builder.insert(copy);
      for (auto [old, result] :
           llvm::zip_equal(each.getResults(), copy->getResults()))
        now.map(old, result);
    }
  }
  return {now.lookupOrDefault(body.getTerminator()->getOperand(0))};
}

Value ThreadEmitter::laneElement(const Parts &vector, Value position,
                                 int64_t constant) {
  // Places of a warp's lanes lie in the same value: they are in a block of 8.
  Value result;
  Value place = at.add(position, constant);
  Value number = at.shiftRight(place, 5);
  for (auto [i, value] : llvm::enumerate(vector.values))
    result = result ? at.select(
                          at.equal(number, at.constant(static_cast<int64_t>(i))),
                          value, result)
                    : value;
  return at.shuffle(result, at.bitAnd(place, 31));
}

Values ThreadEmitter::elementsOf(const Parts &source, TileType like) {
  if (source.type.getLayout() == Layout::Accumulator)
    return source.values;
  Grid grid(like, warps);
  Values elements;
  if (source.type.isScalar()) {
    elements.assign(4 * grid.rowBlocks * grid.columnBlocks,
                    source.values.front());
    return elements;
  }
  Value row = firstRow(grid), column = firstColumn(grid);
  if (source.type.isVector()) {
    bool alongRows = source.type.getColumns() == 1;
    Values one; // along the vector: [block][2]
    int64_t blocks = alongRows ? grid.rowBlocks : grid.columnBlocks;
    if (source.type.getLayout() == Layout::Slice)
      one = source.values;
    else if (source.offset) // where it lies in memory
      for (int64_t block = 0; block < blocks; ++block)
        for (int64_t half = 0; half < 2; ++half)
          one.push_back(at.loadShared(
              builder.getF32Type(),
              at.add(source.offset, at.shiftLeft(alongRows ? row : column, 2)),
              4 * (alongRows ? rowOf(grid, block, 2 * half)
                             : columnOf(block, half)),
              4));
    else
      for (int64_t block = 0; block < blocks; ++block)
        for (int64_t half = 0; half < 2; ++half)
          one.push_back(alongRows
                          ? laneElement(source, row, rowOf(grid, block, 2 * half))
                          : laneElement(source, column, columnOf(block, half)));
    for (int64_t b = 0; b < grid.rowBlocks; ++b)
      for (int64_t n = 0; n < grid.columnBlocks; ++n)
        for (int64_t e = 0; e < 4; ++e)
          elements.push_back(alongRows ? one[2 * b + e / 2]
                                       : one[2 * n + e % 2]);
    return elements;
  }
  synchronize();
  for (int64_t b = 0; b < grid.rowBlocks; ++b)
    for (int64_t n = 0; n < grid.columnBlocks; n += 2)
      llvm::append_range(elements, sharedBlock(source, grid, b, n, nullptr));
  return elements;
}

/// Block of 16 rows `b` and of 16 columns from block of 8 `n`, from shared
/// memory, also as it is packed there.
Values ThreadEmitter::sharedBlock(const Parts &source, const Grid &grid,
                                  int64_t b, int64_t n,
                                  SmallVectorImpl<Values> *packed) {
  bool turned = source.transposed;
  Value fromRow = leftRow(grid, turned), fromPiece = leftPiece(grid, turned);
  if (grid.columns > 1) { // the warp's own columns
    Value first = at.mul(warpColumn(grid), grid.columnBlocks);
    if (turned)
      fromRow = at.add(fromRow, at.shiftLeft(first, 3));
    else
      fromPiece = at.add(fromPiece, first);
  }
  Values block(8);
  for (int64_t plane = 0; plane < getPlanes(source.type.getElementType());
       ++plane) {
    Values loaded =
        loadLeft(source, grid, fromRow, fromPiece, b, n / 2, plane, turned);
    for (int64_t i = 0; i < 4; ++i)
      for (int64_t e = 0; e < 2; ++e) {
        Value value = e ? at.unpackHigh(loaded[i]) : at.unpackLow(loaded[i]);
        // The four are rows g, g + 8 of the first columns, then of the next.
        Value &sum = block[2 * i + e];
        sum = plane ? at.addReal(sum, value) : value;
      }
    if (packed)
      packed->push_back(loaded);
  }
  return block;
}

/// Rows and pieces of the lanes' addresses for blocks of the left operand.
Value ThreadEmitter::leftRow(const Grid &grid, bool turned) {
  return turned ? at.bitOr(lane7, at.shiftLeft(lane16, 3))
                : at.add(at.shiftLeft(warpRow(grid), 4), lane15);
}
Value ThreadEmitter::leftPiece(const Grid &grid, bool turned) {
  return turned ? at.bitOr(at.shiftLeft(warpRow(grid), 1), lane8) : lane16;
}

/// Block of 16 rows `b` and of 16 columns `k` as the left operand of mma.sync.
Values ThreadEmitter::loadLeft(const Parts &source, const Grid &grid, Value row,
                               Value piece, int64_t b, int64_t k,
                               int64_t plane, bool turned) {
  int64_t down = 16 * grid.rows * b;
  Value offset = pieceOffset(source, row, piece, turned ? down / 8 : 2 * k);
  int64_t place = plane * planeBytes(source) +
                  (turned ? 16 * k : down) * pitch(source);
  return at.loadMatrices(offset, place, turned);
}

void ThreadEmitter::emitMap(MapOp op) {
  TileType type = op.getType();
  // Where a vector is in memory, its elements are, too.
  if (!type.isMatrix() && op.getInputs().size() == 1 &&
      isa<YieldOp>(op.getBody().front().front()) &&
      get(op.getInputs().front()).type.withElementType(type.getElementType()) ==
          type) {
    Parts parts = get(op.getInputs().front());
    parts.type = type;
    set(op.getResult(), parts);
    return;
  }
  // What lies in memory, and vectors, are read while dots are under way.
  SmallVector<Values> inputs(op.getInputs().size());
  for (auto [input, elements] : llvm::zip_equal(op.getInputs(), inputs)) {
    TileType from = get(input).type;
    bool isThere = from.getLayout() == Layout::Shared && !dirty;
    if (type.isMatrix() && (!from.isMatrix() || isThere))
      elements = elementsOf(get(input), type);
  }
  finishOperands(*op);
  if (mapWeighs(op))
    return;
  Parts parts{type, {}, {}};
  if (type.isMatrix()) {
    for (auto [input, elements] : llvm::zip_equal(op.getInputs(), inputs))
      if (elements.empty())
        elements = elementsOf(get(input), type);
    Grid grid(type, warps);
    Value row = firstRow(grid), column = firstColumn(grid);
    int64_t next = 0;
    for (int64_t b = 0; b < grid.rowBlocks; ++b)
      for (int64_t n = 0; n < grid.columnBlocks; ++n)
        for (int64_t e = 0; e < 4; ++e, ++next) {
          Values here;
          for (Values &input : inputs)
            here.push_back(input[next]);
          llvm::append_range(
              parts.values,
              mapElement(op, here, at.add(row, rowOf(grid, b, e)),
                         at.add(column, columnOf(n, e))));
        }
  } else if (type.getLayout() == Layout::Slice) {
    Grid grid(type, warps);
    for (int64_t i = 0; i < 2 * grid.rowBlocks; ++i) {
      Values here;
      for (Value input : op.getInputs()) {
        Parts &source = get(input);
        here.push_back(source.type.isScalar() ? source.values.front()
                                              : source.values[i]);
      }
      llvm::append_range(parts.values, mapElement(op, here, sliceRow(grid, i),
                                                  at.constant(0)));
    }
  } else {
    bool alongRows = type.getColumns() == 1;
    int64_t length = type.getRows() * type.getColumns();
    Value zero = at.constant(0);
    for (int64_t i = 0; 32 * i < length; ++i) {
      Values here;
      for (Value input : op.getInputs()) {
        Parts &source = get(input);
        here.push_back(source.type.isScalar() ? source.values.front()
                                              : source.values[i]);
      }
      Value position = type.isScalar() ? zero : at.add(lane, 32 * i);
      llvm::append_range(parts.values,
                         mapElement(op, here, alongRows ? position : zero,
                                    alongRows ? zero : position));
    }
  }
  set(op.getResult(), parts);
}

//===----------------------------------------------------------------------===//
// Layouts
//===----------------------------------------------------------------------===//

/// A warp's block of 16 rows `b`, `further` bytes behind a tile.
void ThreadEmitter::storeBlockRow(const Parts &target, int64_t b,
                                  ArrayRef<Value> values, int64_t further) {
  Grid grid(target.type, warps);
  Value row = firstRow(grid);
  Value piece = at.mul(warpColumn(grid), grid.columnBlocks);
  int64_t planes = getPlanes(target.type.getElementType()), next = 0;
  if (warpgroups && grid.columnBlocks % 2 == 0) {
    // Whole matrices, 16 rows and 16 columns at a time.
    Value fromRow = leftRow(grid, false);
    Value fromPiece = at.add(piece, lane16);
    for (int64_t n = 0; n < grid.columnBlocks; n += 2, next += 8) {
      Value offset = pieceOffset(target, fromRow, fromPiece, n);
      int64_t place = 16 * grid.rows * b * pitch(target) + further;
      Values large, small;
      for (int64_t i = 0; i < 8; i += 2) {
        Value low = values[next + i], high = values[next + i + 1];
        Value packed = at.pack(low, high);
        large.push_back(packed);
        if (planes == 2)
          small.push_back(at.pack(at.subReal(low, at.unpackLow(packed)),
                                  at.subReal(high, at.unpackHigh(packed))));
      }
      at.storeMatrices(offset, place, large);
      if (planes == 2)
        at.storeMatrices(offset, place + planeBytes(target), small);
    }
    return;
  }
  for (int64_t n = 0; n < grid.columnBlocks; ++n) {
    Value offset =
        at.add(pieceOffset(target, row, piece, n), at.shiftLeft(quad, 2));
    for (int64_t h = 0; h < 2; ++h, next += 2) {
      Value low = values[next], high = values[next + 1];
      Value packed = at.pack(low, high);
      int64_t place = rowOf(grid, b, 2 * h) * pitch(target) + further;
      at.storeShared(packed, offset, place, 4);
      if (planes == 2)
        at.storeShared(at.pack(at.subReal(low, at.unpackLow(packed)),
                               at.subReal(high, at.unpackHigh(packed))),
                       offset, place + planeBytes(target), 4);
    }
  }
}

Parts ThreadEmitter::toShared(const Parts &source) {
  Parts target = allocateShared(source.type);
  Grid grid(source.type, warps);
  int64_t perBlock = 4 * grid.columnBlocks;
  for (int64_t b = 0; b < grid.rowBlocks; ++b)
    storeBlockRow(target, b,
                  ArrayRef<Value>(source.values).slice(b * perBlock, perBlock),
                  0);
  written();
  return target;
}

Parts ThreadEmitter::toOperand(const Parts &source) {
  Grid grid(source.type, warps);
  Parts target{source.type.withLayout(Layout::Operand), {}, {}};
  int64_t planes = getPlanes(source.type.getElementType());
  Values rest; // the second plane
  for (int64_t b = 0; b < grid.rowBlocks; ++b)
    for (int64_t k = 0; k < grid.columnBlocks / 2; ++k)
      for (int64_t part = 0; part < 4; ++part) {
        int64_t n = 2 * k + part / 2, h = part % 2;
        int64_t first = (b * grid.columnBlocks + n) * 4 + 2 * h;
        Value low = source.values[first], high = source.values[first + 1];
        Value packed = at.pack(low, high);
        target.values.push_back(packed);
        if (planes == 2)
          rest.push_back(at.pack(at.subReal(low, at.unpackLow(packed)),
                                 at.subReal(high, at.unpackHigh(packed))));
      }
  llvm::append_range(target.values, rest);
  return target;
}

void ThreadEmitter::emitConvert(ConvertOp op) {
  Parts &source = get(op.getSource());
  TileType type = op.getType();
  Parts result{type, {}, {}};
  if (source.type.getLayout() == type.getLayout())
    result = source;
  else if (type.getLayout() == Layout::Shared)
    result = toShared(source);
  else if (type.getLayout() == Layout::Operand)
    result = toOperand(source);
  else if (type.getLayout() == Layout::Slice)
    result.values = toSlice(source);
  else if (type.getLayout() == Layout::Lanes)
    result.values = toLanes(source);
  else
    result.values = elementsOf(source, type);
  result.type = type;
  set(op.getResult(), result);
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

/// An operand in shared memory whose rows (turned: columns) `first` and further
/// are wanted, `count` of them.
std::optional<SharedOperand> ThreadEmitter::describe(const Parts &tile,
                                                     bool turned, Value first,
                                                     int64_t count) {
  int64_t atom = pitch(tile) / 2; // columns that are permuted among themselves
  if (atom != 64 && atom != 32 && atom != 16)
    return std::nullopt;
  SharedOperand result;
  result.swizzle = atom == 64 ? 1 : atom == 32 ? 2 : 3;
  result.isTransposed = turned;
  result.rowsStride = 8 * pitch(tile);
  result.slabStride = slabBytes(tile);
  result.offset = tile.offset;
  if (!first)
    return result;
  Value begin;
  if (!turned) {
    begin = at.mul(first, pitch(tile));
  } else {
    // They begin with an atom, or lie in one.
    if (count % atom && atom % count)
      return std::nullopt;
    begin = at.add(at.mul(at.divide(first, atom), slabBytes(tile)),
                   at.shiftLeft(at.remainder(first, atom), 1));
  }
  result.offset = at.add(result.offset, begin);
  return result;
}

/// The dot by instructions of groups of four warps, which read the right operand
/// from shared memory once for 64 rows. False if the tiles don't suit them.
bool ThreadEmitter::emitGroupDot(DotOp op) {
  TileType type = op.getType();
  Grid grid(type, warps);
  int64_t columns = 8 * grid.columnBlocks;
  if (!warpgroups || grid.rows % 4 || columns > 256)
    return false;
  const Parts &left = get(op.getLeft()), &right = get(op.getRight());
  bool leftTurned = op.getTransposeLeft() != left.transposed;
  bool rightTurned = op.getTransposeRight() == right.transposed;
  int64_t depth = op.getTransposeLeft() ? left.type.getRows()
                                        : left.type.getColumns();
  bool inRegisters = left.type.getLayout() == Layout::Operand;
  auto rightPlace = describe(
      right, rightTurned,
      grid.columns == 1 ? Value() : at.mul(warpColumn(grid), columns), columns);
  if (!rightPlace)
    return false;
  Parts result = get(op.getAccumulator());
  result.type = type;
  // Where 16 of what is summed begin.
  auto placeOf = [](const Parts &tile, bool turned, int64_t k) {
    int64_t atom = pitch(tile) / 2;
    return turned ? 16 * k * pitch(tile)
                  : 16 * k / atom * slabBytes(tile) + 2 * (16 * k % atom);
  };
  int64_t leftPlanes = getPlanes(left.type.getElementType());
  int64_t rightPlanes = getPlanes(right.type.getElementType());
  for (int64_t b = 0; b < grid.rowBlocks; ++b) {
    std::optional<SharedOperand> leftPlace;
    if (!inRegisters) {
      Value first;
      if (grid.rows > 4 || b)
        first = at.add(at.shiftLeft(at.shiftRight(warpRow(grid), 2), 6),
                       16 * grid.rows * b);
      leftPlace = describe(left, leftTurned, first, 64);
      if (!leftPlace)
        return false;
    }
    SmallVector<GroupProduct> products;
    for (int64_t k = 0; k < depth / 16; ++k)
      for (int64_t plane = 0; plane < leftPlanes; ++plane)
        for (int64_t other = 0; other < rightPlanes && other + plane < 2;
             ++other) {
          GroupProduct product;
          product.place = placeOf(right, rightTurned, k) +
                          other * planeBytes(right);
          if (inRegisters)
            product.left = ArrayRef<Value>(left.values)
                               .slice(((plane * grid.rowBlocks + b) *
                                           (depth / 16) +
                                       k) * 4,
                                      4);
          else
            product.leftPlace = placeOf(left, leftTurned, k) +
                                plane * planeBytes(left);
          products.push_back(product);
        }
    MutableArrayRef<Value> sums(result.values.data() +
                                    b * grid.columnBlocks * 4,
                                grid.columnBlocks * 4);
    llvm::copy(at.multiplyGroup(products, leftPlace, *rightPlace, sums),
               sums.begin());
  }
  set(op.getResult(), result);
  running.push_back({op.getResult(), at.numGroups});
  return true;
}

void ThreadEmitter::emitDot(DotOp op) {
  synchronize();
  if (emitGroupDot(op))
    return;
  TileType type = op.getType();
  Grid grid(type, warps);
  const Parts &left = get(op.getLeft()), &right = get(op.getRight());
  bool leftTurned = op.getTransposeLeft() != left.transposed;
  bool rightTurned = op.getTransposeRight() != right.transposed;
  int64_t depth = op.getTransposeLeft() ? left.type.getRows()
                                        : left.type.getColumns();
  int64_t leftPlanes = getPlanes(left.type.getElementType());
  int64_t rightPlanes = getPlanes(right.type.getElementType());
  Parts result = get(op.getAccumulator());
  result.type = type;

  Value low = at.bitOr(lane7, at.shiftLeft(lane16, 3));
  Value fromRow, fromPiece;
  bool inRegisters = left.type.getLayout() == Layout::Operand;
  if (!inRegisters) {
    fromRow = leftRow(grid, leftTurned);
    fromPiece = leftPiece(grid, leftTurned);
  }
  Value pieces = at.mul(warpColumn(grid), grid.columnBlocks);
  Value rightRow = rightTurned ? at.add(at.shiftLeft(pieces, 3), low) : lane15;
  Value rightPiece = rightTurned ? lane8 : at.bitOr(pieces, lane16);

  for (int64_t k = 0; k < depth / 16; ++k) {
    SmallVector<SmallVector<Values>> lefts(leftPlanes); // [plane][block][4]
    for (int64_t plane = 0; plane < leftPlanes; ++plane)
      for (int64_t b = 0; b < grid.rowBlocks; ++b) {
        if (inRegisters) {
          size_t first =
              ((plane * grid.rowBlocks + b) * (depth / 16) + k) * 4;
          lefts[plane].push_back(Values(
              ArrayRef<Value>(left.values).slice(first, 4)));
          continue;
        }
        lefts[plane].push_back(loadLeft(left, grid, fromRow, fromPiece, b, k,
                                        plane, leftTurned));
      }
    for (int64_t n = 0; n < grid.columnBlocks; n += 2)
      for (int64_t plane = 0; plane < rightPlanes; ++plane) {
        Value offset = pieceOffset(right, rightRow, rightPiece,
                                   rightTurned ? 2 * k : n);
        int64_t place = plane * planeBytes(right) +
                        (rightTurned ? 8 * n : 16 * k) * pitch(right);
        Values loaded = at.loadMatrices(offset, place, !rightTurned);
        for (int64_t other = 0; other < leftPlanes; ++other) {
          if (other + plane > 1)
            continue; // the product of the small parts
          for (int64_t b = 0; b < grid.rowBlocks; ++b)
            for (int64_t half = 0; half < 2; ++half) {
              size_t first = (b * grid.columnBlocks + n + half) * 4;
              MutableArrayRef<Value> sum(result.values.data() + first, 4);
              Values next = at.multiply(
                  lefts[other][b],
                  ArrayRef<Value>(loaded).slice(2 * half, 2), sum);
              llvm::copy(next, sum.begin());
            }
        }
      }
  }
  set(op.getResult(), result);
}

//===----------------------------------------------------------------------===//
// Vectors
//===----------------------------------------------------------------------===//

Value rondo::tile::combine(Instructions &at, Combiner combiner, Value a,
                           Value b) {
  switch (combiner) {
  case Combiner::Sum:
    return at.addReal(a, b);
  case Combiner::Product:
    return at.mul(a, b);
  case Combiner::Max:
    return at.maximum(a, b);
  }
  llvm_unreachable("a combiner");
}

static double neutral(Combiner combiner) {
  switch (combiner) {
  case Combiner::Sum:
    return 0;
  case Combiner::Product:
    return 1;
  case Combiner::Max:
    return -std::numeric_limits<double>::infinity();
  }
  llvm_unreachable("a combiner");
}

void ThreadEmitter::emitReduce(ReduceOp op) {
  const Parts source = get(op.getSource());
  Combiner how = op.getCombiner();
  bool alongRows = op.getAxis() == Axis::Rows;
  Parts result{op.getType(), {}, {}};
  if (op.getType().getLayout() == Layout::Slice) {
    reduceToSlice(op);
    return;
  }
  if (!source.type.isMatrix()) {
    int64_t length = source.type.getRows() * source.type.getColumns();
    bool reduces = op.getType().isScalar() && length > 1;
    if (!reduces) {
      result.values = source.values;
      set(op.getResult(), result);
      return;
    }
    Value total;
    for (auto [i, value] : llvm::enumerate(source.values)) {
      Value here = value;
      if (length < 32 * static_cast<int64_t>(i + 1))
        here = at.select(at.less(at.add(lane, 32 * i), at.constant(length)),
                         value, at.real(neutral(how)));
      total = total ? combine(at, how, total, here) : here;
    }
    for (int64_t mask = 1; mask < 32; mask *= 2)
      total = combine(at, how, total, at.shuffleXor(total, mask));
    result.values.push_back(total);
    set(op.getResult(), result);
    return;
  }
  // Within threads, within warps, then among warps through shared memory.
  Grid grid(source.type, warps);
  Values elements = elementsOf(source, source.type);
  int64_t length = alongRows ? source.type.getColumns() : source.type.getRows();
  int64_t parts = alongRows ? grid.rows : grid.columns;
  Value offset = at.constant(allocate(4 * length * parts));
  Value row = firstRow(grid), column = firstColumn(grid);
  Value part = alongRows ? warpRow(grid) : warpColumn(grid);
  int64_t blocks = alongRows ? grid.columnBlocks : grid.rowBlocks;
  int64_t others = alongRows ? grid.rowBlocks : grid.columnBlocks;
  for (int64_t block = 0; block < blocks; ++block)
    for (int64_t half = 0; half < 2; ++half) {
      Value total;
      for (int64_t other = 0; other < others; ++other)
        for (int64_t e = 0; e < 2; ++e) {
          int64_t b = alongRows ? other : block, n = alongRows ? block : other;
          int64_t element = alongRows ? 2 * e + half : 2 * half + e;
          Value value = elements[(b * grid.columnBlocks + n) * 4 + element];
          total = total ? combine(at, how, total, value) : value;
        }
      for (int64_t mask = alongRows ? 4 : 1; mask < (alongRows ? 32 : 4);
           mask *= 2)
        total = combine(at, how, total, at.shuffleXor(total, mask));
      Value position =
          alongRows ? at.add(column, columnOf(block, half))
                    : at.add(row, rowOf(grid, block, 2 * half));
      at.storeShared(total,
                     at.add(offset, at.shiftLeft(
                                        at.add(at.mul(part, length), position),
                                        2)),
                     0, 4);
    }
  written(/*byDots=*/false);
  synchronize();
  for (int64_t first = 0; first < length; first += 32) {
    Value total;
    Value place = at.add(offset, at.shiftLeft(at.add(lane, first), 2));
    for (int64_t i = 0; i < parts; ++i) {
      Value value =
          at.loadShared(builder.getF32Type(), place, 4 * i * length, 4);
      total = total ? combine(at, how, total, value) : value;
    }
    result.values.push_back(total);
  }
  set(op.getResult(), result);
}

void ThreadEmitter::emitScan(ScanOp op) {
  if (op.getType().isMatrix())
    return scanRows(op);
  Parts result{op.getType(), {}, {}};
  Combiner how = op.getCombiner();
  Value carried;
  for (Value value : get(op.getSource()).values) {
    for (int64_t distance = 1; distance < 32; distance *= 2) {
      Value before = at.shuffleUp(value, distance);
      value = at.select(at.less(lane, at.constant(distance)), value,
                        combine(at, how, before, value));
    }
    if (carried)
      value = combine(at, how, carried, value);
    Value last = carried ? carried : at.real(neutral(how));
    carried = at.shuffle(value, at.constant(31));
    if (op.getExclusive())
      value = at.select(at.less(at.constant(0), lane), at.shuffleUp(value, 1),
                        last);
    result.values.push_back(value);
  }
  set(op.getResult(), result);
}

/// Products as mantissa (with sign, in [1, 2)) and exponent. A factor of 0 is
/// an exponent that no other factors make up for.
namespace {
struct Product {
  Value mantissa, exponent;
};
} // namespace

static constexpr int64_t kZero = -100000;

static Product normalize(Instructions &at, Value real, Value exponent) {
  Value bits = at.bits(real);
  Value own = at.bitAnd(at.shiftRight(bits, 23), 255);
  Value mantissa = at.fromBits(at.bitOr(
      at.bitAnd(bits, static_cast<int32_t>(0x807fffff)),
      at.constant(0x3f800000)));
  Value power = at.add(own, -127);
  return {mantissa, exponent ? at.add(power, exponent) : power};
}

static Product multiply(Instructions &at, Product a, Product b) {
  return normalize(at, at.mul(a.mantissa, b.mantissa),
                   at.add(a.exponent, b.exponent));
}

static Product choose(Instructions &at, Value condition, Product a, Product b) {
  return {at.select(condition, a.mantissa, b.mantissa),
          at.select(condition, a.exponent, b.exponent)};
}

void ThreadEmitter::emitSegmentProduct(SegmentProductOp op) {
  const Parts source = get(op.getSource());
  TileType type = op.getType();
  // The product up to every place, in lanes.
  Parts mantissas{source.type, {}, {}}, exponents = mantissas;
  Parts inverses = mantissas, upperMantissas = mantissas,
        upperExponents = mantissas;
  Product carried;
  for (Value value : source.values) {
    Product here = normalize(at, value, {});
    Value isZero = at.equal(here.exponent, at.constant(-127));
    here = choose(at, isZero, {at.real(1), at.constant(kZero)}, here);
    for (int64_t distance = 1; distance < 32; distance *= 2) {
      Product before{at.shuffleUp(here.mantissa, distance),
                     at.shuffleUp(here.exponent, distance)};
      here = choose(at, at.less(lane, at.constant(distance)), here,
                    multiply(at, before, here));
    }
    if (carried.mantissa)
      here = multiply(at, carried, here);
    carried = {at.shuffle(here.mantissa, at.constant(31)),
               at.shuffle(here.exponent, at.constant(31))};
    mantissas.values.push_back(here.mantissa);
    exponents.values.push_back(here.exponent);
    inverses.values.push_back(at.reciprocal(here.mantissa));
  }
  auto quotient = [&](Value mantissa, Value exponent, Value inverse,
                      Value lower) {
    Value power = at.clamp(at.sub(exponent, lower), -127, 127);
    Value scale = at.fromBits(at.shiftLeft(at.add(power, 127), 23));
    return at.mul(at.mul(mantissa, inverse), scale);
  };
  Parts result{type, {}, {}};
  if (op.getRow()) {
    Value from = at.constant(*op.getRow() % 32);
    int64_t number = *op.getRow() / 32;
    Value mantissa = at.shuffle(mantissas.values[number], from);
    Value exponent = at.shuffle(exponents.values[number], from);
    for (auto [i, inverse] : llvm::enumerate(inverses.values)) {
      Value value = quotient(mantissa, exponent, inverse, exponents.values[i]);
      if (static_cast<int64_t>(32 * (i + 1)) > static_cast<int64_t>(*op.getRow()) + 1)
        value = at.select(at.less(at.add(lane, 32 * i),
                                  at.constant(*op.getRow() + 1)),
                          value, at.real(0));
      result.values.push_back(value);
    }
    set(op.getResult(), result);
    return;
  }
  if (op.getExclusive()) {
    Product last{at.real(1), at.constant(0)};
    for (auto [mantissa, exponent] :
         llvm::zip_equal(mantissas.values, exponents.values)) {
      Value isFirst = at.less(lane, at.constant(1));
      Product shifted =
          choose(at, isFirst, last,
                 {at.shuffleUp(mantissa, 1), at.shuffleUp(exponent, 1)});
      last = {at.shuffle(mantissa, at.constant(31)),
              at.shuffle(exponent, at.constant(31))};
      upperMantissas.values.push_back(shifted.mantissa);
      upperExponents.values.push_back(shifted.exponent);
    }
  } else {
    upperMantissas = mantissas;
    upperExponents = exponents;
  }
  Grid grid(type, warps);
  auto along = [&](Parts &parts, int64_t rows, int64_t columns) {
    parts.type = TileType::get(type.getContext(), rows, columns,
                               builder.getF32Type(), Layout::Lanes);
    return parts;
  };
  int64_t n = type.getRows();
  Values mantissa = elementsOf(along(upperMantissas, n, 1), type);
  Values exponent = elementsOf(along(upperExponents, n, 1), type);
  Values inverse = elementsOf(along(inverses, 1, n), type);
  Values lower = elementsOf(along(exponents, 1, n), type);
  Value row = firstRow(grid), column = firstColumn(grid);
  int64_t next = 0;
  for (int64_t b = 0; b < grid.rowBlocks; ++b)
    for (int64_t c = 0; c < grid.columnBlocks; ++c)
      for (int64_t e = 0; e < 4; ++e, ++next) {
        Value value = quotient(mantissa[next], exponent[next], inverse[next],
                               lower[next]);
        Value here = at.add(row, rowOf(grid, b, e));
        Value there = at.add(column, columnOf(c, e));
        Value above = at.less(here, there);
        value = at.select(above, at.real(0), value);
        if (op.getExclusive())
          value = at.select(at.equal(here, there), at.real(1), value);
        result.values.push_back(value);
      }
  set(op.getResult(), result);
}
