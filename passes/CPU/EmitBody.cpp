//===- EmitBody.cpp - Emit the scalar code of a nest for a tile -----------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/CPU/EmitBody.h"
#include "dialects/Rondo/IR/RondoOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "passes/Common/Expansions.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cpu;

/// Loads before a nest of what is the same at all of its points, at most.
static constexpr int kMaxHoisted = 16;

BodyEmitter::BodyEmitter(OpBuilder &builder, const LoopNest &nest,
                         const Tile &tile, const Lanes *lanes)
    : builder(builder), nest(nest), tile(tile), lanes(lanes),
      states(nest.getNumDims()) {
  opsAt.resize(nest.getNumDims() + 1);
  // Many numbers that are the same everywhere would not stay in registers.
  bool keepsLoads = nest.hasReduction() ||
                    llvm::count_if(nest.ops, [&](Operation *op) {
                      return isa<memref::LoadOp>(op) && !nest.getDims(op);
                    }) <= kMaxHoisted;
  for (Operation *op : nest.ops) {
    DimSet dims = nest.getDims(op);
    if (!keepsLoads && isa<memref::LoadOp>(op) && !dims)
      dims = dimBit(tile.order.back());
    int position = int(nest.getNumDims()) - 1;
    while (position >= 0 && !(dims & dimBit(tile.order[position])))
      --position;
    opsAt[position + 1].push_back(op);
  }
}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

std::pair<Value, unsigned> BodyEmitter::getKey(Value value,
                                               TilePoint point) const {
  DimSet dims = nest.getDims(value);
  auto part = [&](int dim, unsigned coordinate) {
    return dim >= 0 && (dims & dimBit(dim)) ? coordinate : 0;
  };
  unsigned key = part(tile.rowDim, point.row);
  key = key * tile.vectors + part(tile.vectorDim, point.vector);
  key = key * tile.splits + part(tile.splitDim, point.split);
  return {value, key};
}

void BodyEmitter::forEachPoint(DimSet dims,
                               function_ref<void(TilePoint)> fn) const {
  auto count = [&](int dim) {
    return dim >= 0 && (dims & dimBit(dim)) ? states[dim].count : 1;
  };
  TilePoint point;
  for (point.row = 0; point.row < count(tile.rowDim); ++point.row)
    for (point.split = 0; point.split < count(tile.splitDim); ++point.split)
      for (point.vector = 0; point.vector < count(tile.vectorDim);
           ++point.vector)
        fn(point);
}

bool BodyEmitter::isOutside(Value value) const {
  return value.getParentBlock() != nest.getBody();
}

const Output *BodyEmitter::findOutput(Value accumulator) const {
  for (const Output &output : nest.outputs)
    if (output.accumulator == accumulator)
      return &output;
  return nullptr;
}

void BodyEmitter::setAccumulator(const Output &output, TilePoint point,
                                 Value value) {
  LaneValues &entry = values[getKey(output.accumulator, point)];
  entry = {};
  (isVector() ? entry.vector : entry.scalar) = value;
}

void BodyEmitter::clearAccumulators() {
  for (const Output &output : nest.outputs)
    for (unsigned key = 0; key < tile.rows * tile.vectors * tile.splits; ++key)
      values.erase({output.accumulator, key});
}

Value BodyEmitter::getScalar(Value value, TilePoint point) {
  if (isOutside(value))
    return value;
  auto key = getKey(value, point);
  if (!values.count(key))
    if (const Output *output = findOutput(value))
      setAccumulator(*output, point, loadOutput(*output, point));
  return values.lookup(key).scalar;
}

Value BodyEmitter::getVector(Value value, TilePoint point) {
  auto key =
      isOutside(value) ? std::make_pair(value, 0u) : getKey(value, point);
  if (!values.count(key))
    if (const Output *output = findOutput(value))
      setAccumulator(*output, point, loadOutput(*output, point));
  return values.lookup(key).vector;
}

Value BodyEmitter::getLast(Value value, TilePoint point) {
  LaneKind kind = lanes->get(value);
  Value scalar = getScalar(value, point);
  if (kind.kind == LaneKind::Uniform)
    return scalar;
  if (kind.kind == LaneKind::Linear)
    return addIndex(scalar, kind.step * (tile.lanes - 1));
  return values.lookup(getKey(value, point)).last;
}

Value BodyEmitter::getValue(Value value, TilePoint point) {
  if (!isVector())
    return getScalar(value, point);
  // The vector dim may be one that the value does not reach as a vector: the
  // accumulators of a reduction always are vectors.
  return getVector(value, point);
}

//===----------------------------------------------------------------------===//
// Small helpers
//===----------------------------------------------------------------------===//

VectorType BodyEmitter::getVectorType(Type type) const {
  return VectorType::get({tile.lanes}, type);
}

Value BodyEmitter::broadcast(Value scalar) {
  return vector::BroadcastOp::create(builder, nest.getLoc(),
                                     getVectorType(scalar.getType()), scalar);
}

Value BodyEmitter::constantIndex(int64_t value) {
  return arith::ConstantIndexOp::create(builder, nest.getLoc(), value);
}

Value BodyEmitter::addIndex(Value value, int64_t offset) {
  if (offset == 0)
    return value;
  auto constant = arith::ConstantOp::create(
      builder, nest.getLoc(), builder.getIntegerAttr(value.getType(), offset));
  return arith::AddIOp::create(builder, nest.getLoc(), value, constant);
}

Value BodyEmitter::getFullMask() {
  if (mask)
    return mask;
  auto type = getVectorType(builder.getI1Type());
  return arith::ConstantOp::create(builder, nest.getLoc(),
                                   DenseElementsAttr::get(type, true));
}

//===----------------------------------------------------------------------===//
// Levels
//===----------------------------------------------------------------------===//

void BodyEmitter::emitPrologue() {
  auto prepare = [&](Value value) {
    auto key = std::make_pair(value, 0u);
    if (lanes && isOutside(value) && lanes->needsVector(value) &&
        !values.count(key))
      values[key].vector = broadcast(value);
  };
  auto prepareAccess = [&](Value memref, ValueRange subscripts) {
    if (lanes && lanes->getAccess(memref, subscripts) >= AccessKind::Guarded &&
        !flatViews.count(memref))
      createFlatView(memref);
  };
  for (Operation *op : nest.ops) {
    for (Value operand : op->getOperands())
      prepare(operand);
    if (auto load = dyn_cast<memref::LoadOp>(op))
      prepareAccess(load.getMemRef(), load.getIndices());
  }
  for (const Output &output : nest.outputs) {
    prepare(output.yielded);
    prepareAccess(output.memref, output.subscripts);
  }
  emitOps(-1);
}

void BodyEmitter::enterDim(unsigned dim, DimState state, Value newMask,
                           bool scalar) {
  states[dim] = state;
  if (int(dim) == tile.vectorDim) {
    mask = newMask;
    scalarMode = scalar;
  }
}

void BodyEmitter::emitOps(int position) {
  if (!tile.chained) {
    for (Operation *op : opsAt[position + 1])
      forEachPoint(nest.getDims(op),
                   [&](TilePoint point) { emitOp(op, point); });
    return;
  }
  // One split after the other, so that few values are live at a time.
  unsigned numSplits = getCount(tile.splitDim);
  for (unsigned split = 0; split < numSplits; ++split)
    for (Operation *op : opsAt[position + 1])
      forEachPoint(nest.getDims(op), [&](TilePoint point) {
        if (point.split != split)
          return;
        emitOp(op, point);
        TilePoint next = point;
        if (++next.split == numSplits)
          return;
        for (const Output &output : nest.outputs)
          if (output.combiner == op)
            setAccumulator(output, next, getValue(output.yielded, point));
      });
}

bool BodyEmitter::needsGuard() const {
  for (auto &ops : ArrayRef(opsAt).drop_back())
    for (Operation *op : ops)
      if (!isPure(op))
        return true;
  return false;
}

void BodyEmitter::emitOp(Operation *op, TilePoint point) {
  if (auto index = dyn_cast<linalg::IndexOp>(op))
    return emitIndex(index, point);
  if (op->getNumResults() != 1 || !isVector())
    return cloneScalar(op, point);
  Value result = op->getResult(0);
  LaneKind kind = lanes->get(result);
  if (kind.kind == LaneKind::Varying) {
    Value vector;
    if (auto load = dyn_cast<memref::LoadOp>(op))
      vector = emitLoad(load.getMemRef(), load.getIndices(), point);
    else if (auto range = lanes->matchRange(op))
      vector = emitRange(*range, point, op->getLoc());
    else
      vector = cloneVector(op, point);
    values[getKey(result, point)] = {{}, {}, vector};
    return;
  }
  cloneScalar(op, point);
  LaneValues entry = values.lookup(getKey(result, point));
  if (kind.kind == LaneKind::Clamped) {
    if (lanes->needsLast(result))
      entry.last = cloneLast(op, point);
    if (lanes->needsVector(result))
      entry.vector = cloneVector(op, point);
  } else if (lanes->needsVector(result)) {
    entry.vector = broadcast(entry.scalar);
    if (kind.kind == LaneKind::Linear)
      entry.vector = arith::AddIOp::create(
          builder, op->getLoc(), entry.vector,
          createStep(builder, op->getLoc(),
                     cast<VectorType>(entry.vector.getType()), kind.step));
  }
  values[getKey(result, point)] = entry;
}

void BodyEmitter::emitIndex(linalg::IndexOp op, TilePoint point) {
  int dim = op.getDim();
  unsigned coordinate = dim == tile.rowDim      ? point.row
                        : dim == tile.vectorDim ? point.vector
                        : dim == tile.splitDim  ? point.split
                                                : 0;
  const DimState &state = states[dim];
  LaneValues entry;
  entry.scalar = addIndex(state.index, coordinate * state.step);
  if (lanes && lanes->needsVector(op) && !scalarMode) {
    entry.vector = broadcast(entry.scalar);
    if (dim == tile.vectorDim)
      entry.vector = arith::AddIOp::create(
          builder, op.getLoc(), entry.vector,
          createStep(builder, op.getLoc(),
                     cast<VectorType>(entry.vector.getType()), 1));
  }
  values[getKey(op, point)] = entry;
}

//===----------------------------------------------------------------------===//
// Cloning
//===----------------------------------------------------------------------===//

void BodyEmitter::cloneScalar(Operation *op, TilePoint point) {
  IRMapping mapping;
  op->walk([&](Operation *inner) {
    for (Value operand : inner->getOperands())
      if (!isOutside(operand))
        mapping.map(operand, getScalar(operand, point));
  });
  Operation *clone = builder.clone(*op, mapping);
  for (auto [result, cloned] : llvm::zip(op->getResults(), clone->getResults()))
    values[getKey(result, point)] = {cloned, {}, {}};
}

Value BodyEmitter::cloneLast(Operation *op, TilePoint point) {
  IRMapping mapping;
  for (Value operand : op->getOperands())
    mapping.map(operand, getLast(operand, point));
  return builder.clone(*op, mapping)->getResult(0);
}

Value BodyEmitter::cloneVector(Operation *op, TilePoint point) {
  SmallVector<Value> operands;
  for (Value operand : op->getOperands())
    operands.push_back(getVector(operand, point));
  // In lanes that do not count, a divisor could be zero.
  bool divides =
      isa<ModOp, arith::DivSIOp, arith::DivUIOp, arith::RemSIOp, arith::RemUIOp,
          arith::FloorDivSIOp, arith::CeilDivSIOp, arith::CeilDivUIOp>(op);
  if (divides && mask &&
      lanes->get(op->getOperand(1)).kind != LaneKind::Uniform) {
    auto type = cast<ShapedType>(operands[1].getType());
    Value one = arith::ConstantOp::create(
        builder, op->getLoc(),
        DenseElementsAttr::get(
            type, builder.getIntegerAttr(type.getElementType(), 1)));
    operands[1] =
        arith::SelectOp::create(builder, op->getLoc(), mask, operands[1], one);
  }
  if (isa<ModOp>(op)) {
    std::optional<int64_t> divisor = getConstantIntValue(op->getOperand(1));
    return expandFloorMod(builder, op->getLoc(), operands[0], operands[1],
                          divisor);
  }
  OperationState state(op->getLoc(), op->getName());
  state.addOperands(operands);
  state.addTypes(getVectorType(op->getResult(0).getType()));
  state.addAttributes(op->getAttrs());
  return builder.create(state)->getResult(0);
}

Value BodyEmitter::emitRange(const Lanes::RangeCompare &range, TilePoint point,
                             Location loc) {
  Value bound = getScalar(range.bound, point);
  Value count =
      arith::SubIOp::create(builder, loc, bound, getScalar(range.index, point));
  if (!count.getType().isIndex())
    count =
        arith::IndexCastOp::create(builder, loc, builder.getIndexType(), count);
  if (range.closed)
    count = addIndex(count, 1);
  count = arith::MaxSIOp::create(builder, loc, count, constantIndex(0));
  count =
      arith::MinSIOp::create(builder, loc, count, constantIndex(tile.lanes));
  auto type = getVectorType(builder.getI1Type());
  Value result = vector::CreateMaskOp::create(builder, loc, type, count);
  if (!range.inverted)
    return result;
  Value ones = arith::ConstantOp::create(builder, loc,
                                         DenseElementsAttr::get(type, true));
  return arith::XOrIOp::create(builder, loc, result, ones);
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

void BodyEmitter::createFlatView(Value memref) {
  Location loc = nest.getLoc();
  auto type = cast<MemRefType>(memref.getType());
  auto metadata =
      memref::ExtractStridedMetadataOp::create(builder, loc, memref);
  FlatView view;
  // span = 1 + sum of (size - 1) * stride
  Value span = constantIndex(1);
  for (int64_t i = 0; i < type.getRank(); ++i) {
    Value stride = metadata.getStrides()[i];
    view.strides.push_back(stride);
    Value extent = arith::SubIOp::create(builder, loc, metadata.getSizes()[i],
                                         constantIndex(1));
    extent = arith::MulIOp::create(builder, loc, extent, stride);
    span = arith::AddIOp::create(builder, loc, span, extent);
  }
  auto flatType = MemRefType::get(
      {ShapedType::kDynamic}, type.getElementType(),
      StridedLayoutAttr::get(builder.getContext(), ShapedType::kDynamic, {1}));
  view.memref = memref::ReinterpretCastOp::create(
      builder, loc, flatType, metadata.getBaseBuffer(),
      OpFoldResult(metadata.getOffset()), ArrayRef<OpFoldResult>{span},
      ArrayRef<OpFoldResult>{builder.getIndexAttr(1)});
  flatViews[memref] = view;
}

std::pair<Value, Value> BodyEmitter::flatten(const FlatView &view,
                                             ValueRange subscripts,
                                             TilePoint point) {
  Location loc = nest.getLoc();
  Value scalar = constantIndex(0), vector;
  for (auto [subscript, stride] : llvm::zip(subscripts, view.strides)) {
    if (lanes->get(subscript).kind == LaneKind::Uniform) {
      Value term = arith::MulIOp::create(builder, loc,
                                         getScalar(subscript, point), stride);
      scalar = arith::AddIOp::create(builder, loc, scalar, term);
      continue;
    }
    Value term = arith::MulIOp::create(
        builder, loc, getVector(subscript, point), broadcast(stride));
    vector = vector ? arith::AddIOp::create(builder, loc, vector, term) : term;
  }
  return {scalar, vector};
}

Value BodyEmitter::emitGather(Value memref, ValueRange subscripts,
                              TilePoint point) {
  Location loc = nest.getLoc();
  const FlatView &view = flatViews.find(memref)->second;
  auto [scalar, vector] = flatten(view, subscripts, point);
  VectorType type =
      getVectorType(cast<MemRefType>(memref.getType()).getElementType());
  Value zero =
      arith::ConstantOp::create(builder, loc, builder.getZeroAttr(type));
  return vector::GatherOp::create(builder, loc, type, view.memref,
                                  ValueRange{scalar}, vector, getFullMask(),
                                  zero);
}

Value BodyEmitter::emitLoad(Value memref, ValueRange subscripts,
                            TilePoint point) {
  Location loc = nest.getLoc();
  AccessKind access = lanes->getAccess(memref, subscripts);
  if (access == AccessKind::Scattered ||
      (access == AccessKind::Guarded && mask))
    return emitGather(memref, subscripts, point);
  SmallVector<Value> position;
  for (Value subscript : subscripts)
    position.push_back(getScalar(subscript, point));
  VectorType type =
      getVectorType(cast<MemRefType>(memref.getType()).getElementType());
  if (access == AccessKind::Contiguous && mask) {
    Value zero =
        arith::ConstantOp::create(builder, loc, builder.getZeroAttr(type));
    return vector::MaskedLoadOp::create(builder, loc, type, memref, position,
                                        mask, zero);
  }
  if (access == AccessKind::Contiguous)
    return vector::LoadOp::create(builder, loc, type, memref, position);
  // Contiguous unless the clamp takes effect among these lanes.
  Value distance = arith::SubIOp::create(
      builder, loc, getLast(subscripts.back(), point), position.back());
  Value whole = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq,
                                      distance, constantIndex(tile.lanes - 1));
  auto branch = scf::IfOp::create(builder, loc, TypeRange{type}, whole, true);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(branch.thenBlock());
  Value loaded = vector::LoadOp::create(builder, loc, type, memref, position);
  scf::YieldOp::create(builder, loc, loaded);
  builder.setInsertionPointToStart(branch.elseBlock());
  Value gathered = emitGather(memref, subscripts, point);
  scf::YieldOp::create(builder, loc, gathered);
  return branch.getResult(0);
}

Value BodyEmitter::loadOutput(const Output &output, TilePoint point) {
  if (isVector() &&
      lanes->getAccess(output.memref, output.subscripts) != AccessKind::Uniform)
    return emitLoad(output.memref, output.subscripts, point);
  SmallVector<Value> position;
  for (Value subscript : output.subscripts)
    position.push_back(getScalar(subscript, point));
  return memref::LoadOp::create(builder, nest.getLoc(), output.memref,
                                position);
}

void BodyEmitter::storeOutput(const Output &output, TilePoint point,
                              Value value) {
  Location loc = nest.getLoc();
  AccessKind access = isVector()
                          ? lanes->getAccess(output.memref, output.subscripts)
                          : AccessKind::Uniform;
  if (access >= AccessKind::Guarded) {
    const FlatView &view = flatViews.find(output.memref)->second;
    auto [scalar, vector] = flatten(view, output.subscripts, point);
    vector::ScatterOp::create(builder, loc, /*resultType=*/nullptr, view.memref,
                              ValueRange{scalar}, vector, getFullMask(), value);
    return;
  }
  SmallVector<Value> position;
  for (Value subscript : output.subscripts)
    position.push_back(getScalar(subscript, point));
  if (access == AccessKind::Uniform)
    memref::StoreOp::create(builder, loc, value, output.memref, position);
  else if (mask)
    vector::MaskedStoreOp::create(builder, loc, output.memref, position, mask,
                                  value);
  else if (llvm::is_contained(tile.streamed, &output - nest.outputs.data()))
    vector::StoreOp::create(
        builder, loc, value, output.memref, position, /*nontemporal=*/true,
        llvm::MaybeAlign(
            tile.lanes *
            cast<VectorType>(value.getType()).getElementTypeBitWidth() / 8));
  else
    vector::StoreOp::create(builder, loc, value, output.memref, position);
}

/// Exchanges lane l of row k with lane k of row l, one bit of k and l after the
/// other.
void BodyEmitter::storeTransposed(const Output &output,
                                  SmallVector<Value> rows) {
  Location loc = nest.getLoc();
  int64_t count = tile.lanes;
  for (int64_t bit = count / 2; bit > 0; bit /= 2) {
    SmallVector<int64_t> low, high;
    for (int64_t lane = 0; lane < count; ++lane) {
      low.push_back(lane & bit ? count + lane - bit : lane);
      high.push_back(lane & bit ? count + lane : lane + bit);
    }
    for (int64_t k = 0; k < count; ++k) {
      if (k & bit)
        continue;
      Value a = rows[k], b = rows[k + bit];
      rows[k] = vector::ShuffleOp::create(builder, loc, a, b, low);
      rows[k + bit] = vector::ShuffleOp::create(builder, loc, a, b, high);
    }
  }
  SmallVector<Value> first;
  for (Value subscript : output.subscripts)
    first.push_back(getScalar(subscript, TilePoint()));
  for (int64_t lane = 0; lane < count; ++lane) {
    SmallVector<Value> position(first);
    for (auto [subscript, value] : llvm::zip(output.subscripts, position)) {
      auto index = subscript.getDefiningOp<linalg::IndexOp>();
      if (index && int(index.getDim()) == tile.vectorDim)
        value = addIndex(value, lane);
    }
    vector::StoreOp::create(builder, loc, rows[lane], output.memref, position);
  }
}
