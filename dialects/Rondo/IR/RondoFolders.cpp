//===- RondoFolders.cpp - Folds of rondo operations -----------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/Rondo/IR/RondoOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Matchers.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace rondo;

// What a fold gives becomes an arith.constant.
Operation *RondoDialect::materializeConstant(OpBuilder &builder,
                                             Attribute value, Type type,
                                             Location loc) {
  return arith::ConstantOp::materialize(builder, value, type, loc);
}

OpFoldResult SizeOp::fold(FoldAdaptor) {
  auto kernel = (*this)->getParentOfType<KernelOp>();
  if (!kernel)
    return {};
  int64_t position = kernel.getSizeIndex(getName());
  if (position < 0 || kernel.getBound()[position] < 0)
    return {};
  return Builder(getContext()).getIndexAttr(kernel.getBound()[position]);
}

OpFoldResult ModOp::fold(FoldAdaptor adaptor) {
  auto rhs = dyn_cast_or_null<IntegerAttr>(adaptor.getRhs());
  if (!rhs || rhs.getInt() <= 0)
    return {};
  if (rhs.getInt() == 1)
    return Builder(getContext()).getIndexAttr(0);
  auto lhs = dyn_cast_or_null<IntegerAttr>(adaptor.getLhs());
  if (!lhs)
    return {};
  return Builder(getContext())
      .getIndexAttr(llvm::mod(lhs.getInt(), rhs.getInt()));
}
