//===- TileOps.cpp - Verifiers of the tile dialect ------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/Tile/IR/TileOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Builders.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "mlir/Interfaces/LoopLikeInterface.h"

using namespace mlir;
using namespace rondo::tile;

#define GET_OP_CLASSES
#include "dialects/Tile/IR/TileOps.cpp.inc"

//===----------------------------------------------------------------------===//
// Global and shared memory
//===----------------------------------------------------------------------===//

/// What loads, stores and copies have in common. The comments name the labels
/// of `tile.load`.
template <typename Op>
static LogicalResult verifyPlace(Op op, MemRefType memory, int64_t rows,
                                 int64_t columns, Type element) {
  int64_t rank = memory.getRank();
  // load_c1
  if (static_cast<int64_t>(op.getIndices().size()) != rank)
    return op.emitOpError("has ")
           << op.getIndices().size() << " indices for " << rank << " dims";
  SmallVector<int64_t> strides;
  int64_t offset;
  if (failed(memory.getStridesAndOffset(strides, offset)))
    return op.emitOpError("needs memory with strides");
  if (rank > 0 && strides.back() != 1 && !ShapedType::isDynamic(strides.back()))
    return op.emitOpError("needs an innermost stride of 1");
  // load_c2
  int64_t row = op.getRowDim(), column = op.getColumnDim();
  if (row < -1 || row >= rank || column < -1 || column >= rank)
    return op.emitOpError("has a row or column dim out of range");
  if (row != -1 && row == column)
    return op.emitOpError("has rows and columns along the same dim");
  if ((rows > 1 && row == -1) || (columns > 1 && column == -1))
    return op.emitOpError("needs a dim for its rows or columns");
  // load_c3
  if ((row != -1) != static_cast<bool>(op.getRowLimit()) ||
      (column != -1) != static_cast<bool>(op.getColumnLimit()))
    return op.emitOpError("needs a limit for every dim of the tile");
  // load_c4
  if (memory.getElementType() != element)
    return op.emitOpError("has elements of ")
           << element << " and memory of " << memory.getElementType();
  return success();
}

static TileType tileOf(Value value) { return cast<TileType>(value.getType()); }

LogicalResult LoadOp::verify() {
  TileType type = tileOf(getResult());
  return verifyPlace(*this, cast<MemRefType>(getSource().getType()),
                     type.getRows(), type.getColumns(), type.getElementType());
}

LogicalResult StoreOp::verify() {
  TileType type = tileOf(getValue());
  return verifyPlace(*this, cast<MemRefType>(getTarget().getType()),
                     type.getRows(), type.getColumns(), type.getElementType());
}

LogicalResult CopyOp::verify() {
  BufferType type = getBuffer().getType();
  return verifyPlace(*this, cast<MemRefType>(getSource().getType()),
                     type.getRows(), type.getColumns(), type.getElementType());
}

LogicalResult WaitOp::verify() {
  // wait_c1
  if (static_cast<int64_t>(getPending()) < 0)
    return emitOpError("has a negative number of pending groups");
  return success();
}

static LogicalResult verifyStage(Operation *op, BufferType buffer,
                                 TileType tile) {
  if (buffer.getRows() == tile.getRows() &&
      buffer.getColumns() == tile.getColumns() &&
      buffer.getElementType() == tile.getElementType())
    return success();
  return op->emitOpError("has a tile that is not a stage of ") << buffer;
}

LogicalResult ViewOp::verify() {
  // view_c1
  TileType tile = tileOf(getResult());
  if (failed(verifyStage(*this, getBuffer().getType(), tile)))
    return failure();
  Layout layout = tile.isMatrix()   ? Layout::Shared
                  : tile.isVector() ? Layout::Lanes
                                    : Layout::Uniform;
  if (tile.getLayout() != Layout::Any && tile.getLayout() != layout)
    return emitOpError("gives a tile in layout '")
           << stringifyLayout(layout) << "'";
  return success();
}

//===----------------------------------------------------------------------===//
// Groups of warps
//===----------------------------------------------------------------------===//

LogicalResult GroupsOp::verify() {
  // groups_c1
  if (getGroups().size() < 2)
    return emitOpError("has fewer than two groups");
  // groups_c2
  for (Region &group : getGroups()) {
    auto result = group.walk([&](Operation *op) {
      for (Value operand : op->getOperands())
        if (isa<TileType>(operand.getType()) &&
            !group.isAncestor(operand.getParentRegion())) {
          emitOpError("has a group that reads a tile from outside");
          return WalkResult::interrupt();
        }
      return WalkResult::advance();
    });
    if (result.wasInterrupted())
      return failure();
  }
  // groups_c3
  if ((*this)->getParentOfType<GroupsOp>() ||
      (*this)->getParentOfType<LoopLikeOpInterface>())
    return emitOpError("stands in a loop or in another group");
  return success();
}

LogicalResult RingOp::verify() {
  // ring_c1
  if ((*this)->getParentOfType<GroupsOp>())
    return emitOpError("stands in a group");
  return success();
}

LogicalResult AwaitOp::verify() {
  // await_c1
  if (!(*this)->getParentOfType<GroupsOp>())
    return emitOpError("stands in no group");
  return success();
}

LogicalResult MarkOp::verify() {
  // mark_c1
  if (!(*this)->getParentOfType<GroupsOp>())
    return emitOpError("stands in no group");
  return success();
}

LogicalResult PutOp::verify() {
  // put_c1
  return verifyStage(*this, getBuffer().getType(), tileOf(getValue()));
}

//===----------------------------------------------------------------------===//
// Computation
//===----------------------------------------------------------------------===//

void DotOp::build(OpBuilder &builder, OperationState &state, Value left,
                  Value right, Value accumulator, bool transposeLeft,
                  bool transposeRight) {
  build(builder, state, accumulator.getType(), left, right, accumulator,
        transposeLeft, transposeRight);
}

LogicalResult DotOp::verify() {
  TileType left = tileOf(getLeft()), right = tileOf(getRight()),
           result = tileOf(getResult());
  int64_t m = left.getRows(), k = left.getColumns();
  int64_t k2 = right.getRows(), n = right.getColumns();
  if (getTransposeLeft())
    std::swap(m, k);
  if (getTransposeRight())
    std::swap(k2, n);
  // dot_c1
  if (k != k2 || m != result.getRows() || n != result.getColumns())
    return emitOpError("multiplies ") << m << "x" << k << " by " << k2 << "x"
                                      << n << " to " << result.getRows() << "x"
                                      << result.getColumns();
  // dot_c2
  if (getAccumulator().getType() != result ||
      !result.getElementType().isF32())
    return emitOpError("needs an accumulator of the result's type, of f32");
  // dot_c3
  if (m % 16 || n % 16 || k % 16)
    return emitOpError("needs dims that are multiples of 16");
  return success();
}

LogicalResult MapOp::verify() {
  // map_c1
  TileType result = tileOf(getResult());
  for (auto [i, input] : llvm::enumerate(getInputs())) {
    TileType type = tileOf(input);
    if ((type.getRows() != 1 && type.getRows() != result.getRows()) ||
        (type.getColumns() != 1 && type.getColumns() != result.getColumns()))
      return emitOpError("has operand ")
             << i << " of " << type << " for a result of " << result;
  }
  return success();
}

LogicalResult MapOp::verifyRegions() {
  Block &block = getBody().front();
  // map_c2
  size_t numInputs = getInputs().size();
  bool fits = block.getNumArguments() == numInputs + 2;
  for (size_t i = 0; fits && i < numInputs + 2; ++i) {
    Type type = block.getArgument(i).getType();
    fits = i < numInputs ? type.isF32() : type.isIndex();
  }
  if (!fits)
    return emitOpError("needs a block with one f32 per operand and two indices");
  // map_c3
  for (Operation &op : block.without_terminator())
    if (op.getNumRegions() ||
        !isa<arith::ArithDialect, math::MathDialect>(op.getDialect()))
      return op.emitOpError("can't be in a map");
  return success();
}

LogicalResult ReduceOp::verify() {
  // reduce_c1
  TileType source = tileOf(getSource()), result = tileOf(getResult());
  bool alongRows = getAxis() == Axis::Rows;
  if (result.getRows() != (alongRows ? 1 : source.getRows()) ||
      result.getColumns() != (alongRows ? source.getColumns() : 1) ||
      !result.getElementType().isF32())
    return emitOpError("has a result that is not the source reduced, in f32");
  return success();
}

static bool sameShape(TileType a, TileType b) {
  return a.getRows() == b.getRows() && a.getColumns() == b.getColumns();
}

LogicalResult ScanOp::verify() {
  // scan_c1
  TileType source = tileOf(getSource()), result = tileOf(getResult());
  if (source.isScalar() || !sameShape(source, result) ||
      !result.getElementType().isF32())
    return emitOpError(
        "needs a vector or a matrix, and a result of its shape in f32");
  // scan_c2
  if (source.isMatrix() && getCombiner() != Combiner::Product)
    return emitOpError("combines the rows of a matrix by `product` alone");
  if (getReversed() && !source.isMatrix())
    return emitOpError("is reversed for matrices alone");
  return success();
}

LogicalResult SegmentProductOp::verify() {
  // segment_product_c1
  TileType source = tileOf(getSource()), result = tileOf(getResult());
  if (!source.isVector() || !source.getElementType().isF32())
    return emitOpError("needs a vector of f32");
  // segment_product_c2
  int64_t n = source.getRows() * source.getColumns();
  if (result.getColumns() != n || result.getRows() != (getRow() ? 1 : n) ||
      !result.getElementType().isF32())
    return emitOpError("has a result that is not ")
           << (getRow() ? 1 : n) << "x" << n << " of f32";
  if (getRow() && static_cast<int64_t>(*getRow()) >= n)
    return emitOpError("has a row out of range");
  return success();
}

LogicalResult SegmentDotOp::verify() {
  // segment_dot_c1
  TileType queries = tileOf(getQueries()), keys = tileOf(getKeys()),
           factors = tileOf(getFactors()), result = tileOf(getResult());
  if (!sameShape(queries, keys) || !sameShape(keys, factors) ||
      !factors.getElementType().isF32())
    return emitOpError("needs operands of one shape, and factors of f32");
  // segment_dot_c2
  int64_t rows = keys.getRows();
  if (rows < 16 || !llvm::isPowerOf2_64(rows) || keys.getColumns() % 64)
    return emitOpError("needs a power of two of 16 rows at least, and multiples "
                       "of 64 columns");
  // segment_dot_c3
  if (result.getRows() != rows || result.getColumns() != rows ||
      !result.getElementType().isF32())
    return emitOpError("has a result that is not ")
           << rows << "x" << rows << " of f32";
  return success();
}

LogicalResult ExtractOp::verify() {
  // extract_c1
  TileType source = tileOf(getSource()), result = tileOf(getResult());
  bool isRow = source.isMatrix() && result.getRows() == 1 &&
               result.getColumns() == source.getColumns();
  bool isElement = source.isVector() && result.isScalar();
  if ((!isRow && !isElement) ||
      source.getElementType() != result.getElementType())
    return emitOpError(
        "takes a scalar from a vector of its type, or a row from a matrix");
  // extract_c2
  int64_t places =
      source.getRows() * (isRow ? int64_t(1) : source.getColumns());
  if (static_cast<int64_t>(getPosition()) >= places)
    return emitOpError("has a position out of range");
  return success();
}

LogicalResult InvertOp::verify() {
  // invert_c1
  TileType source = tileOf(getSource()), result = tileOf(getResult());
  int64_t n = source.getRows();
  if (source.getColumns() != n || !sameShape(source, result) ||
      !source.getElementType().isF32() || !result.getElementType().isF32())
    return emitOpError("needs a square matrix of f32 and gives another");
  if (n % 16 || (n / 16) & (n / 16 - 1))
    return emitOpError("needs a power of two times 16 rows");
  return success();
}

void TransposeOp::build(OpBuilder &builder, OperationState &state,
                        Value source) {
  TileType type = tileOf(source);
  build(builder, state,
        TileType::get(type.getContext(), type.getColumns(), type.getRows(),
                      type.getElementType(), type.getLayout()),
        source);
}

LogicalResult TransposeOp::verify() {
  // transpose_c1
  TileType source = tileOf(getSource()), result = tileOf(getResult());
  if (source.getRows() != result.getColumns() ||
      source.getColumns() != result.getRows() ||
      source.getElementType() != result.getElementType())
    return emitOpError("has a result that is not the transposed source");
  return success();
}

LogicalResult ConvertOp::verify() {
  // convert_c1
  TileType source = tileOf(getSource()), result = tileOf(getResult());
  if (!sameShape(source, result) ||
      source.getElementType() != result.getElementType())
    return emitOpError("changes more than the layout");
  return success();
}
