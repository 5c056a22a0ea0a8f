//===- Expansions.cpp - Arithmetic made of simpler ops --------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Common/Expansions.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace rondo;

Type rondo::withElement(Type type, Type element) {
  auto vector = dyn_cast<VectorType>(type);
  return vector ? Type(vector.clone(element)) : element;
}

Value rondo::createConstant(OpBuilder &builder, Location loc, Type type,
                                 TypedAttr scalar) {
  if (auto vector = dyn_cast<VectorType>(type))
    scalar = DenseElementsAttr::get(vector, cast<Attribute>(scalar));
  return arith::ConstantOp::create(builder, loc, scalar);
}

Value rondo::createFloat(OpBuilder &builder, Location loc, Type type,
                              double value) {
  return createConstant(
      builder, loc, type,
      builder.getFloatAttr(getElementTypeOrSelf(type), value));
}

Value rondo::createInteger(OpBuilder &builder, Location loc, Type type,
                                int64_t value) {
  return createConstant(
      builder, loc, type,
      builder.getIntegerAttr(getElementTypeOrSelf(type), value));
}

Value rondo::createStep(OpBuilder &builder, Location loc, VectorType type,
                             int64_t step) {
  SmallVector<Attribute> lanes;
  for (int64_t lane = 0; lane < type.getNumElements(); ++lane)
    lanes.push_back(builder.getIntegerAttr(type.getElementType(), lane * step));
  return arith::ConstantOp::create(builder, loc,
                                   DenseElementsAttr::get(type, lanes));
}

Value rondo::expandFloorMod(OpBuilder &builder, Location loc, Value lhs,
                                 Value rhs, std::optional<int64_t> divisor) {
  Type type = lhs.getType();
  // The low bits, for negative numbers too.
  if (divisor && *divisor > 0 && llvm::isPowerOf2_64(*divisor))
    return arith::AndIOp::create(
        builder, loc, lhs, createInteger(builder, loc, type, *divisor - 1));
  Value remainder = arith::RemSIOp::create(builder, loc, lhs, rhs);
  Value zero = createInteger(builder, loc, type, 0);
  Value moved = arith::AddIOp::create(builder, loc, remainder, rhs);
  // Off by one divisor when the remainder is not 0 and has the other sign.
  Value wrong;
  if (divisor && *divisor > 0) {
    wrong = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::slt,
                                  remainder, zero);
  } else {
    Value inexact = arith::CmpIOp::create(
        builder, loc, arith::CmpIPredicate::ne, remainder, zero);
    Value signs = arith::XOrIOp::create(builder, loc, remainder, rhs);
    Value differ = arith::CmpIOp::create(
        builder, loc, arith::CmpIPredicate::slt, signs, zero);
    wrong = arith::AndIOp::create(builder, loc, inexact, differ);
  }
  return arith::SelectOp::create(builder, loc, wrong, moved, remainder);
}
