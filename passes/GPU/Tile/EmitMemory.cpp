//===- EmitMemory.cpp - Tiles and global memory ---------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/GPU/Tile/EmitThreads.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/ADT/ScopeExit.h"

using namespace mlir;
using namespace rondo::tile;

template <typename Op> Place ThreadEmitter::getPlace(Op op) {
  Location loc = op.getLoc();
  Value memory;
  if constexpr (std::is_same_v<Op, StoreOp>)
    memory = op.getTarget();
  else
    memory = op.getSource();
  auto type = cast<MemRefType>(memory.getType());
  auto metadata =
      memref::ExtractStridedMetadataOp::create(builder, loc, memory);
  Type i64 = builder.getI64Type();
  auto wide = [&](Value index) -> Value {
    return builder.createOrFold<arith::IndexCastOp>(loc, i64, index);
  };
  Value offset = wide(metadata.getOffset());
  for (auto [index, stride] :
       llvm::zip_equal(op.getIndices(), metadata.getStrides()))
    offset = arith::AddIOp::create(
        builder, loc, offset,
        arith::MulIOp::create(builder, loc, wide(index), wide(stride)));
  int64_t bytes = type.getElementTypeBitWidth() / 8;
  Value size = arith::ConstantIntOp::create(builder, loc, bytes, 64);
  Value base = memref::ExtractAlignedPointerAsIndexOp::create(builder, loc,
                                                              memory);
  Value pointer = LLVM::IntToPtrOp::create(
      builder, loc, LLVM::LLVMPointerType::get(builder.getContext(), 1),
      wide(base));
  Place place;
  place.element = type.getElementType();
  place.pointer = at.globalPointer(
      pointer, arith::MulIOp::create(builder, loc, offset, size));
  auto stride = [&](int64_t dim) -> Value {
    if (dim == -1)
      return arith::ConstantIntOp::create(builder, loc, 0, 64);
    return arith::MulIOp::create(builder, loc,
                                 wide(metadata.getStrides()[dim]), size);
  };
  place.rowStride = stride(op.getRowDim());
  place.columnStride = stride(op.getColumnDim());
  place.unitColumns =
      static_cast<int64_t>(op.getColumnDim()) == type.getRank() - 1;
  place.rowLimit =
      op.getRowLimit() ? at.fromIndex(op.getRowLimit()) : at.constant(1);
  place.columnLimit =
      op.getColumnLimit() ? at.fromIndex(op.getColumnLimit()) : at.constant(1);
  return place;
}

Value ThreadEmitter::pointerTo(const Place &place, Value row, Value column) {
  auto part = [&](Value position, Value stride) -> Value {
    Value wide = arith::ExtSIOp::create(builder, at.loc, builder.getI64Type(),
                                        position);
    return arith::MulIOp::create(builder, at.loc, wide, stride);
  };
  return at.globalPointer(
      place.pointer,
      arith::AddIOp::create(builder, at.loc, part(row, place.rowStride),
                            part(column, place.columnStride)));
}

static Value inside(Instructions &at, const Place &place, Value row,
                    Value column) {
  return arith::AndIOp::create(at.builder, at.loc,
                               at.less(row, place.rowLimit),
                               at.less(column, place.columnLimit));
}

Value ThreadEmitter::loadElement(const Place &place, Value row, Value column) {
  Value value = at.loadGlobalIf(inside(at, place, row, column), place.element,
                                pointerTo(place, row, column));
  if (!place.element.isF32())
    value = arith::ExtFOp::create(builder, at.loc, builder.getF32Type(), value);
  return value;
}

void ThreadEmitter::storeElement(const Place &place, Value row, Value column,
                                 Value value) {
  if (!place.element.isF32())
    value = arith::TruncFOp::create(builder, at.loc, place.element, value);
  at.storeGlobalIf(inside(at, place, row, column), value,
                   pointerTo(place, row, column));
}

void ThreadEmitter::emitLoad(LoadOp op) {
  TileType type = op.getType();
  Place place = getPlace(op);
  Parts parts{type, {}, {}};
  if (type.getLayout() == Layout::Shared) {
    parts = allocateShared(type);
    loadIntoShared(place, parts);
  } else if (type.getLayout() == Layout::Uniform) {
    parts.values.push_back(loadElement(place, at.constant(0), at.constant(0)));
  } else if (type.getLayout() == Layout::Lanes) {
    int64_t length = type.getRows() * type.getColumns();
    for (int64_t first = 0; first < length; first += 32) {
      Value position = at.add(lane, first);
      bool column = type.getRows() == 1;
      parts.values.push_back(
          loadElement(place, column ? at.constant(0) : position,
                      column ? position : at.constant(0)));
    }
  } else {
    Grid grid(type, warps);
    Value row = firstRow(grid), column = firstColumn(grid);
    for (int64_t b = 0; b < grid.rowBlocks; ++b)
      for (int64_t n = 0; n < grid.columnBlocks; ++n)
        for (int64_t e = 0; e < 4; ++e)
          parts.values.push_back(loadElement(place,
                                             at.add(row, rowOf(grid, b, e)),
                                             at.add(column, columnOf(n, e))));
  }
  set(op.getResult(), parts);
}

/// Pairs of elements, one per thread and turn, by plain loads.
void ThreadEmitter::loadIntoShared(const Place &place, const Parts &target) {
  int64_t pairs = target.storedColumns() / 2, threads = 32 * warps;
  int64_t turns = llvm::divideCeil(target.storedRows() * pairs, threads);
  auto loop = scf::ForOp::create(builder, at.loc, at.constant(0),
                                 at.constant(turns), at.constant(1));
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(loop.getBody());
  Value number = at.add(thread, at.mul(loop.getInductionVar(), threads));
  auto inTile = scf::IfOp::create(
      builder, at.loc,
      at.less(number, at.constant(target.storedRows() * pairs)), false);
  builder.setInsertionPointToStart(inTile.thenBlock());
  Value row = at.divide(number, pairs), pair = at.remainder(number, pairs);
  Value column = at.shiftLeft(pair, 1);
  Value low = loadElement(place, row, column);
  Value high = loadElement(place, row, at.add(column, 1));
  Value offset = at.add(
      pieceOffset(target, row, at.shiftRight(pair, 2), 0),
      at.shiftLeft(at.bitAnd(pair, 3), 2));
  Value packed = at.pack(low, high);
  at.storeShared(packed, offset, 0, 4);
  if (getPlanes(target.type.getElementType()) == 2)
    at.storeShared(at.pack(at.subReal(low, at.unpackLow(packed)),
                           at.subReal(high, at.unpackHigh(packed))),
                   offset, planeBytes(target), 4);
  written();
}

//===----------------------------------------------------------------------===//
// Asynchronous copies
//===----------------------------------------------------------------------===//

void ThreadEmitter::emitCopy(CopyOp op) {
  Place place = getPlace(op);
  Parts target = get(op.getBuffer());
  target.offset =
      at.add(target.offset,
             at.mul(at.fromIndex(op.getStage()),
                    getPlanes(place.element) * planeBytes(target)));
  if (!target.type.isMatrix()) {
    copyWords(place, target);
    return;
  }
  // The wait behind the copy is the barrier, not the next use.
  llvm::scope_exit restore([&, before = dirty] { dirty = before; });
  if (!place.element.isBF16() || !place.unitColumns) {
    loadIntoShared(place, target);
    return;
  }
  // Pieces of 16 bytes, if all of them are aligned.
  if (op->hasAttr(kWhole)) {
    copyPieces(place, target, /*whole=*/true);
    return;
  }
  Type i64 = builder.getI64Type();
  Value address = LLVM::PtrToIntOp::create(builder, at.loc, i64, place.pointer);
  Value all = arith::OrIOp::create(builder, at.loc, address, place.rowStride);
  Value low = arith::AndIOp::create(
      builder, at.loc, all,
      arith::ConstantIntOp::create(builder, at.loc, 15, 64));
  Value aligned = arith::CmpIOp::create(
      builder, at.loc, arith::CmpIPredicate::eq, low,
      arith::ConstantIntOp::create(builder, at.loc, 0, 64));
  auto branch = scf::IfOp::create(builder, at.loc, aligned, true);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(branch.elseBlock());
  loadIntoShared(place, target);
  builder.setInsertionPointToStart(branch.thenBlock());
  copyPieces(place, target, /*whole=*/false);
}

/// A vector of f32 whose elements are neighbours, one per thread.
void ThreadEmitter::copyWords(const Place &place, const Parts &target) {
  int64_t length = target.type.getRows() * target.type.getColumns();
  Value limit = target.type.getRows() > 1 ? place.rowLimit : place.columnLimit;
  if (length == 1)
    limit = builder.createOrFold<arith::MinSIOp>(at.loc, place.rowLimit,
                                                 place.columnLimit);
  for (int64_t first = 0; first < length; first += 32 * warps) {
    Value number = at.add(thread, first);
    Value offset = at.shiftLeft(number, 2);
    Value bytes =
        at.select(at.less(number, limit), at.constant(4), at.constant(0));
    Value further = arith::ExtUIOp::create(builder, at.loc, builder.getI64Type(),
                                           offset);
    at.copyWordAsyncIf(at.less(number, at.constant(length)),
                       at.add(target.offset, offset),
                       at.globalPointer(place.pointer, further), bytes);
  }
}

/// A vector or scalar of a buffer.
Parts ThreadEmitter::readStage(const Parts &buffer, TileType type,
                               Value stage) {
  int64_t length = type.getRows() * type.getColumns();
  Value start =
      at.add(buffer.offset, at.mul(at.fromIndex(stage), 4 * length));
  Parts parts{type, {}, {}};
  // A stage is kept up to the end of the step, or as groups say.
  if (type.isVector())
    parts.offset = start;
  if (!type.isScalar())
    start = at.add(start, at.shiftLeft(lane, 2));
  for (int64_t first = 0; first < length; first += 32)
    parts.values.push_back(
        at.loadShared(builder.getF32Type(), start, 4 * first, 4));
  return parts;
}

/// `whole`: nothing is cut off along columns.
void ThreadEmitter::copyPieces(const Place &place, const Parts &target,
                               bool whole) {
  int64_t pieces = target.storedColumns() / 8, threads = 32 * warps;
  int64_t total = target.storedRows() * pieces;
  bool even = threads % pieces == 0 && (threads / pieces) % 8 == 0;
  Value row, rowsLeft, offset, room, source, step;
  int64_t before = 0;
  for (int64_t first = 0; first < total; first += threads) {
    int64_t further = even ? first / pieces : 0;
    if (!even || first == 0) {
      Value number = at.add(thread, first);
      row = at.divide(number, pieces);
      Value piece = at.remainder(number, pieces);
      offset = pieceOffset(target, row, piece, 0);
      Value column = at.shiftLeft(piece, 3);
      room = whole ? at.constant(16)
                   : at.clamp(at.shiftLeft(at.sub(place.columnLimit, column), 1),
                              0, 16);
      source = pointerTo(place, row, column);
    } else {
      Type i64 = builder.getI64Type();
      if (!step)
        step = arith::MulIOp::create(
            builder, at.loc, place.rowStride,
            arith::ConstantIntOp::create(builder, at.loc, i64,
                                         further - before));
      source = at.globalPointer(source, step);
    }
    before = further;
    // Where there is nothing, no bytes are read.
    // One difference for all rows, which are constants behind the first.
    if (!even || first == 0)
      rowsLeft = at.sub(place.rowLimit, row);
    Value present = at.less(at.constant(further), rowsLeft);
    Value bytes = at.select(present, room, at.constant(0));
    auto copy = [&] {
      at.copyAsync(offset, further * pitch(target), source, bytes);
    };
    if (first + threads <= total) {
      copy();
    } else {
      auto rest = scf::IfOp::create(
          builder, at.loc,
          at.less(at.add(thread, first), at.constant(total)), false);
      OpBuilder::InsertionGuard inner(builder);
      builder.setInsertionPointToStart(rest.thenBlock());
      copy();
    }
  }
}

//===----------------------------------------------------------------------===//
// Stores
//===----------------------------------------------------------------------===//

/// The value, of which nothing is known: what follows from it in front of a
/// loop is not kept in registers up to what is stored behind.
static Value computeAnew(Instructions &at, Value value) {
  return LLVM::InlineAsmOp::create(
             at.builder, at.loc, value.getType(), value, "mov.b32 $0, $1;",
             "=r,r", /*has_side_effects=*/true, /*is_align_stack=*/false,
             LLVM::tailcallkind::TailCallKind::None,
             /*asm_dialect=*/LLVM::AsmDialectAttr(),
             /*operand_attrs=*/ArrayAttr())
      ->getResult(0);
}

void ThreadEmitter::emitStore(StoreOp op) {
  Place place = getPlace(op);
  Parts parts = get(op.getValue());
  TileType type = parts.type;
  if (type.getLayout() == Layout::Slice) {
    storeSlice(place, parts);
    return;
  }
  if (type.isScalar() || type.isVector()) {
    // One warp writes.
    auto first = scf::IfOp::create(
        builder, at.loc,
        at.less(type.isScalar() ? thread : warp, at.constant(1)), false);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(first.thenBlock());
    bool column = type.getRows() == 1;
    int64_t length = type.getRows() * type.getColumns();
    for (auto [i, value] : llvm::enumerate(parts.values)) {
      Value position = type.isScalar() ? at.constant(0) : at.add(lane, 32 * i);
      Value zero = at.constant(0);
      if (length % 32 && !type.isScalar())
        (column ? place.columnLimit : place.rowLimit) =
            arith::MinSIOp::create(builder, at.loc,
                                   column ? place.columnLimit : place.rowLimit,
                                   at.constant(length));
      storeElement(place, column ? zero : position, column ? position : zero,
                   value);
    }
    return;
  }
  Grid grid(type, warps);
  bool power = (grid.columnBlocks & (grid.columnBlocks - 1)) == 0;
  if (!place.element.isF32() && place.unitColumns && power) {
    storeRows(place, parts, op->hasAttr(kWhole));
    return;
  }
  bool unitRows = static_cast<int64_t>(op.getRowDim()) ==
                  cast<MemRefType>(op.getTarget().getType()).getRank() - 1;
  if (!place.element.isF32() && unitRows) {
    storeColumns(place, parts, op->hasAttr(kWhole));
    return;
  }
  Value row = firstRow(grid), column = firstColumn(grid);
  if (function->hasAttr("tile.groups")) {
    row = computeAnew(at, row);
    column = computeAnew(at, column);
  }
  int64_t next = 0;
  for (int64_t b = 0; b < grid.rowBlocks; ++b)
    for (int64_t n = 0; n < grid.columnBlocks; ++n)
      for (int64_t e = 0; e < 4; ++e)
        storeElement(place, at.add(row, rowOf(grid, b, e)),
                     at.add(column, columnOf(n, e)), parts.values[next++]);
}

/// Whether 16 bytes can be written at every multiple of `stride` (bytes).
Value ThreadEmitter::isAligned(const Place &place, Value stride) {
  Type i64 = builder.getI64Type();
  Value address = LLVM::PtrToIntOp::create(builder, at.loc, i64, place.pointer);
  Value all = arith::OrIOp::create(builder, at.loc, address, stride);
  Value low = arith::AndIOp::create(
      builder, at.loc, all,
      arith::ConstantIntOp::create(builder, at.loc, 15, 64));
  return arith::CmpIOp::create(
      builder, at.loc, arith::CmpIPredicate::eq, low,
      arith::ConstantIntOp::create(builder, at.loc, 0, 64));
}

/// Writes up to 8 values of 2 bytes from `offset` in shared memory, if
/// `present`: at once where they are aligned and there is room for all, else
/// one by one. `pointer` gives the place of the first (null) or a later one.
void ThreadEmitter::storePiece(const Place &place, Value present, Value aligned,
                               Value offset, Value room,
                               llvm::function_ref<Value(Value)> pointer) {
  Value whole = arith::AndIOp::create(builder, at.loc, aligned,
                                      at.less(at.constant(7), room));
  auto inBounds = scf::IfOp::create(builder, at.loc, present, false);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(inBounds.thenBlock());
  auto branch = scf::IfOp::create(builder, at.loc, whole, true);
  builder.setInsertionPointToStart(branch.thenBlock());
  Type four = VectorType::get(4, builder.getI32Type());
  at.storeGlobal(at.loadShared(four, offset, 0, 16), pointer(nullptr), 16);
  builder.setInsertionPointToStart(branch.elseBlock());
  auto loop = scf::ForOp::create(builder, at.loc, at.constant(0),
                                 at.clamp(room, 0, 8), at.constant(1));
  builder.setInsertionPointToStart(loop.getBody());
  Value one = loop.getInductionVar();
  at.storeGlobal(at.loadShared(place.element,
                               at.add(offset, at.shiftLeft(one, 1)), 0, 2),
                 pointer(one), 2);
}

/// 16 bytes at `offset` and `further` in shared memory, if they are present.
void ThreadEmitter::storeWords(Value present, Value offset, int64_t further,
                               Value pointer) {
  Type four = VectorType::get(4, builder.getI32Type());
  Value loaded = at.loadShared(four, offset, further, 16);
  Values words;
  for (int64_t i = 0; i < 4; ++i)
    words.push_back(vector::ExtractOp::create(builder, at.loc, loaded, i));
  at.storeGlobalIf(present, words, pointer);
}

/// Neighbours of a row in one word each, as an operand has them already.
Values ThreadEmitter::packedPairs(const Parts &parts, Type element) {
  if (parts.type.getLayout() == Layout::Operand)
    return parts.values;
  Values pairs;
  for (size_t i = 0; i < parts.values.size(); i += 2)
    pairs.push_back(
        at.packAs(element, parts.values[i], parts.values[i + 1]));
  return pairs;
}

/// Each warp exchanges its elements through shared memory so that lanes write
/// 16 bytes in a row.
void ThreadEmitter::storeRows(const Place &place, const Parts &parts,
                              bool isWhole) {
  Grid grid(parts.type, warps);
  Parts stage{parts.type.withElementType(builder.getBF16Type())
                  .withLayout(Layout::Shared),
              {},
              {}};
  int64_t memory = allocate(planeBytes(stage), /*ofWarps=*/true);
  stage.offset = at.constant(memory);
  at.warpBarrier();
  Value row = firstRow(grid);
  Value warpPiece = at.mul(warpColumn(grid), grid.columnBlocks);
  Values pairs = packedPairs(parts, place.element);
  int64_t next = 0;
  // Whole matrices at once where the chip stores them.
  bool matrices = warpgroups && grid.columnBlocks % 2 == 0;
  Value fromRow = leftRow(grid, false);
  Value fromPiece = at.add(warpPiece, lane16);
  for (int64_t b = 0; matrices && b < grid.rowBlocks; ++b)
    for (int64_t n = 0; n < grid.columnBlocks; n += 2, next += 4)
      at.storeMatrices(pieceOffset(stage, fromRow, fromPiece, n),
                       16 * grid.rows * b * pitch(stage),
                       ArrayRef<Value>(pairs).slice(next, 4));
  for (int64_t b = 0; !matrices && b < grid.rowBlocks; ++b)
    for (int64_t n = 0; n < grid.columnBlocks; ++n) {
      Value offset = at.add(pieceOffset(stage, row, warpPiece, n),
                            at.shiftLeft(quad, 2));
      for (int64_t h = 0; h < 2; ++h)
        at.storeShared(pairs[next++], offset,
                       (16 * grid.rows * b + 8 * h) * pitch(stage), 4);
    }
  at.warpBarrier();
  Value aligned = isAligned(place, place.rowStride);
  int64_t pieces = grid.columnBlocks, perWarp = 16 * pieces;
  for (int64_t b = 0; b < grid.rowBlocks; ++b)
    for (int64_t first = 0; first < perWarp; first += 32) {
      Value number = at.add(lane, first);
      Value inBlock = at.divide(number, pieces);
      Value piece = at.add(warpPiece, at.remainder(number, pieces));
      Value here = at.add(at.add(at.shiftLeft(warpRow(grid), 4), inBlock),
                          16 * grid.rows * b);
      Value column = at.shiftLeft(piece, 3);
      Value offset = pieceOffset(stage, here, piece, 0);
      Value inRows = at.less(here, place.rowLimit);
      if (isWhole) {
        storeWords(inRows, offset, 0, pointerTo(place, here, column));
        continue;
      }
      storePiece(place, inRows, aligned, offset,
                 at.sub(place.columnLimit, column), [&](Value more) {
                   return pointerTo(place, here,
                                    more ? at.add(column, more) : column);
                 });
    }
  release(memory, planeBytes(stage));
}

/// The same for a tile whose columns lie along the innermost dim: a warp
/// transposes 8 x 8 blocks, in registers where the chip doesn't as it stores
/// them, and lanes write 16 bytes of a column.
void ThreadEmitter::storeColumns(const Place &place, const Parts &parts,
                                 bool isWhole) {
  Grid grid(parts.type, warps);
  // A row of the stage is a column of the tile.
  Parts stage{TileType::get(builder.getContext(), parts.type.getColumns(),
                            parts.type.getRows(), builder.getBF16Type(),
                            Layout::Shared),
              {},
              {}};
  int64_t memory = allocate(planeBytes(stage), /*ofWarps=*/true);
  stage.offset = at.constant(memory);
  at.warpBarrier();
  Value firstPiece = at.shiftLeft(warpRow(grid), 1);
  Value firstStep =
      at.add(at.mul(warpColumn(grid), 8 * grid.columnBlocks), group);
  Values pairs = packedPairs(parts, place.element);
  int64_t next = 0;
  bool matrices = warpgroups && grid.columnBlocks % 2 == 0;
  for (int64_t b = 0; matrices && b < grid.rowBlocks; ++b) {
    Value laneStep = at.add(at.mul(warpColumn(grid), 8 * grid.columnBlocks),
                            at.bitOr(lane7, at.shiftLeft(lane16, 3)));
    Value offset = pieceOffset(stage, laneStep, at.bitOr(firstPiece, lane8),
                               2 * grid.rows * b);
    for (int64_t n = 0; n < grid.columnBlocks; n += 2, next += 4)
      at.storeMatrices(offset, 8 * n * pitch(stage),
                       ArrayRef<Value>(pairs).slice(next, 4),
                       /*transposed=*/true);
  }
  for (int64_t b = 0; !matrices && b < grid.rowBlocks; ++b)
    for (int64_t n = 0; n < grid.columnBlocks; ++n)
      for (int64_t h = 0; h < 2; ++h) {
        Value pair = at.transposeMatrix(pairs[next++]);
        Value offset =
            at.add(pieceOffset(stage, firstStep, firstPiece,
                               2 * grid.rows * b + h),
                   at.shiftLeft(quad, 2));
        at.storeShared(pair, offset, 8 * n * pitch(stage), 4);
      }
  at.warpBarrier();
  Value aligned = isAligned(place, place.columnStride);
  Value half = at.bitAnd(lane, 1), ownStep = at.shiftRight(lane, 1);
  int64_t steps = 8 * grid.columnBlocks;
  Value firstOwn = at.add(at.mul(warpColumn(grid), steps), ownStep);
  for (int64_t b = 0; b < grid.rowBlocks; ++b) {
    Value piece = at.add(at.add(firstPiece, half), 2 * grid.rows * b);
    Value row = at.shiftLeft(piece, 3);
    Value firstOffset = pieceOffset(stage, firstOwn, piece, 0);
    Value pointer = pointerTo(place, row, firstOwn);
    Value stepsLeft = at.sub(place.columnLimit, firstOwn);
    for (int64_t first = 0; first < steps; first += 16) {
      if (isWhole) {
        // What differs is the same for all threads: it has no registers of
        // theirs.
        Value further = arith::MulIOp::create(
            builder, at.loc, place.columnStride,
            arith::ConstantIntOp::create(builder, at.loc, builder.getI64Type(),
                                         first));
        storeWords(at.less(at.constant(first), stepsLeft), firstOffset,
                   first * pitch(stage), at.globalPointer(pointer, further));
        continue;
      }
      Value step = at.add(firstOwn, first);
      Value offset = pieceOffset(stage, step, piece, 0);
      Value inColumns = at.less(step, place.columnLimit);
      storePiece(place, inColumns, aligned, offset, at.sub(place.rowLimit, row),
                 [&](Value more) {
                   return pointerTo(place, more ? at.add(row, more) : row,
                                    step);
                 });
    }
  }
  release(memory, planeBytes(stage));
}
