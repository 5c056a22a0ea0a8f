//===- Buffers.cpp - What views of memory are views of --------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/CPU/Buffers.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Interfaces/ViewLikeInterface.h"

using namespace mlir;
using namespace rondo;

void rondo::cpu::collectRoots(Value memref, SmallVectorImpl<Value> &roots) {
  if (auto select = memref.getDefiningOp<arith::SelectOp>()) {
    collectRoots(select.getTrueValue(), roots);
    collectRoots(select.getFalseValue(), roots);
    return;
  }
  auto view = memref.getDefiningOp<ViewLikeOpInterface>();
  if (view && (!isa<memref::ViewOp>(view) ||
               view.getViewSource().getDefiningOp<memref::ViewOp>()))
    return collectRoots(view.getViewSource(), roots);
  roots.push_back(memref);
}

bool rondo::cpu::mayOverlap(Value a, Value b) {
  SmallVector<Value> first, second;
  collectRoots(a, first);
  collectRoots(b, second);
  return llvm::any_of(
      first, [&](Value root) { return llvm::is_contained(second, root); });
}

SmallVector<OpFoldResult> rondo::cpu::getShape(Value memref) {
  auto type = cast<MemRefType>(memref.getType());
  Builder builder(type.getContext());
  SmallVector<OpFoldResult> shape, sizes;
  if (auto view = memref.getDefiningOp<memref::SubViewOp>()) {
    llvm::SmallBitVector dropped = view.getDroppedDims();
    for (auto [dim, size] : llvm::enumerate(view.getMixedSizes()))
      if (!dropped.test(dim))
        sizes.push_back(size);
  }
  auto view = memref.getDefiningOp<memref::ViewOp>();
  for (int64_t dim = 0, next = 0; dim < type.getRank(); ++dim) {
    if (!type.isDynamicDim(dim))
      shape.push_back(builder.getIndexAttr(type.getDimSize(dim)));
    else if (view)
      shape.push_back(view.getSizes()[next++]);
    else
      shape.push_back(sizes.empty() ? OpFoldResult() : sizes[dim]);
  }
  return shape;
}
