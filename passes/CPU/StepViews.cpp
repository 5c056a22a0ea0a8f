//===- StepViews.cpp - The views that known steps of a loop make ----------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/CPU/StepViews.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "passes/CPU/Buffers.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cpu;

Operation *rondo::cpu::cloneFolded(OpBuilder &builder, Operation &op,
                                   IRMapping &map) {
  Operation *clone = builder.clone(op, map);
  SmallVector<Value> folded;
  if (failed(builder.tryFold(clone, folded)) || folded.empty())
    return clone;
  map.map(op.getResults(), folded);
  clone->erase();
  return nullptr;
}

Value StepViews::getView(Location loc, Value source,
                         ArrayRef<OpFoldResult> offsets,
                         ArrayRef<OpFoldResult> sizes,
                         ArrayRef<OpFoldResult> strides,
                         ArrayRef<int64_t> shape) {
  auto type = cast<MemRefType>(memref::SubViewOp::inferRankReducedResultType(
      shape, cast<MemRefType>(source.getType()), offsets, sizes, strides));
  for (memref::SubViewOp other : views)
    if (other.getSource() == source && other.getType() == type &&
        isEqualConstantIntOrValueArray(other.getMixedOffsets(), offsets) &&
        isEqualConstantIntOrValueArray(other.getMixedSizes(), sizes) &&
        isEqualConstantIntOrValueArray(other.getMixedStrides(), strides))
      return other;
  views.push_back(memref::SubViewOp::create(builder, loc, type, source, offsets,
                                            sizes, strides));
  return views.back();
}

void StepViews::repeat(Operation &op, IRMapping &map) {
  auto view = dyn_cast<memref::SubViewOp>(op);
  if (!view) {
    Operation *clone = cloneFolded(builder, op, map);
    if (!clone)
      return;
    // A view at offset 0 has another type than those at any offset.
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPoint(clone);
    for (auto [operand, original] :
         llvm::zip_equal(clone->getOpOperands(), op.getOperandTypes()))
      if (operand.get().getType() != original)
        operand.set(memref::CastOp::create(builder, op.getLoc(), original,
                                           operand.get()));
    return;
  }
  auto resolve = [&](OpFoldResult value) -> OpFoldResult {
    auto dynamic = dyn_cast<Value>(value);
    return dynamic ? getAsOpFoldResult(map.lookupOrDefault(dynamic)) : value;
  };
  SmallVector<OpFoldResult> offsets;
  for (OpFoldResult offset : view.getMixedOffsets())
    offsets.push_back(resolve(offset));
  map.map(view.getResult(),
          getView(view.getLoc(), map.lookupOrDefault(view.getSource()), offsets,
                  view.getMixedSizes(), view.getMixedStrides(),
                  view.getType().getShape()));
}

Value StepViews::getRow(Value memref, int64_t row) {
  Location loc = memref.getLoc();
  auto type = cast<MemRefType>(memref.getType());
  OpFoldResult one = builder.getIndexAttr(1), at = builder.getIndexAttr(row);
  ArrayRef<int64_t> shape = type.getShape().drop_front();
  // A row of a view is a view of what that is a view of.
  auto view = memref.getDefiningOp<memref::SubViewOp>();
  if (view && view.hasUnitStride()) {
    llvm::SmallBitVector dropped = view.getDroppedDims();
    unsigned dim = 0;
    while (dropped.test(dim))
      ++dim;
    SmallVector<OpFoldResult> offsets(view.getMixedOffsets()),
        sizes(view.getMixedSizes());
    std::optional<int64_t> first = getConstantIntValue(offsets[dim]);
    if (first) {
      offsets[dim] = builder.getIndexAttr(*first + row);
      sizes[dim] = one;
      return getView(loc, view.getSource(), offsets, sizes,
                     view.getMixedStrides(), shape);
    }
  }
  SmallVector<OpFoldResult> offsets{at}, sizes{one},
      strides(type.getRank(), one);
  for (OpFoldResult size : ArrayRef(getShape(memref)).drop_front()) {
    if (!size)
      return {};
    offsets.push_back(builder.getIndexAttr(0));
    sizes.push_back(size);
  }
  return getView(loc, memref, offsets, sizes, strides, shape);
}

bool rondo::cpu::areApart(Value a, Value b) {
  if (!mayOverlap(a, b))
    return true;
  auto first = a.getDefiningOp<memref::SubViewOp>();
  auto second = b.getDefiningOp<memref::SubViewOp>();
  if (!first || !second || first.getSource() != second.getSource() ||
      !first.hasUnitStride() || !second.hasUnitStride())
    return false;
  auto endsBefore = [](memref::SubViewOp view, memref::SubViewOp other,
                       unsigned dim) {
    std::optional<int64_t> from =
        getConstantIntValue(view.getMixedOffsets()[dim]);
    std::optional<int64_t> size =
        getConstantIntValue(view.getMixedSizes()[dim]);
    std::optional<int64_t> start =
        getConstantIntValue(other.getMixedOffsets()[dim]);
    return from && size && start && *from + *size <= *start;
  };
  for (unsigned dim = 0; dim < first.getSourceType().getRank(); ++dim)
    if (endsBefore(first, second, dim) || endsBefore(second, first, dim))
      return true;
  return false;
}
