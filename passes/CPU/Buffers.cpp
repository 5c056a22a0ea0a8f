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
  if (view && !isa<memref::ViewOp>(view))
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
