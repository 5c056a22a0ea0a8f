//===- EmitScalars.cpp - Integer expressions and scalar code --------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/Matchers.h"
#include "passes/Forms/Emit.h"

using namespace mlir;
using namespace rondo;

//===----------------------------------------------------------------------===//
// Integers
//===----------------------------------------------------------------------===//

Value KernelEmitter::constant(int64_t value) {
  return arith::ConstantIndexOp::create(b, loc, value);
}

Value KernelEmitter::emitExpr(AffineExpr expr) {
  switch (expr.getKind()) {
  case AffineExprKind::Constant:
    return constant(cast<AffineConstantExpr>(expr).getValue());
  case AffineExprKind::DimId:
    return emitScalar(program.exprs.getIndex(expr));
  case AffineExprKind::SymbolId:
    if (program.exprs.isSize(expr))
      return sizes[cast<AffineSymbolExpr>(expr).getPosition()];
    return emitScalar(program.exprs.getSymbolValue(expr));
  case AffineExprKind::Mod:
  case AffineExprKind::FloorDiv: {
    auto binary = cast<AffineBinaryOpExpr>(expr);
    Value lhs = emitExpr(binary.getLHS()), rhs = emitExpr(binary.getRHS());
    if (!isa<AffineConstantExpr>(binary.getRHS()))
      rhs = b.createOrFold<arith::MaxSIOp>(loc, rhs, constant(1));
    if (expr.getKind() == AffineExprKind::Mod)
      return b.createOrFold<ModOp>(loc, lhs, rhs);
    return b.createOrFold<arith::FloorDivSIOp>(loc, lhs, rhs);
  }
  default:
    break;
  }
  // A sum: added terms first, so that t - 1 is one subtraction.
  LinearExpr linear = LinearExpr::get(expr);
  if (linear.terms.size() == 1 && linear.terms[0].atom == expr) {
    auto product = cast<AffineBinaryOpExpr>(expr);
    return b.createOrFold<arith::MulIOp>(loc, emitExpr(product.getLHS()),
                                         emitExpr(product.getRHS()));
  }
  Value sum;
  if (linear.constant > 0)
    sum = constant(linear.constant);
  for (bool added : {true, false}) {
    for (const Term &term : linear.terms) {
      if ((term.coefficient > 0) != added)
        continue;
      int64_t factor = std::abs(term.coefficient);
      Value value = emitExpr(term.atom);
      if (factor != 1)
        value = b.createOrFold<arith::MulIOp>(loc, value, constant(factor));
      if (!sum && added) {
        sum = value;
        continue;
      }
      if (!sum)
        sum = constant(0);
      sum = added ? b.createOrFold<arith::AddIOp>(loc, value, sum)
                  : b.createOrFold<arith::SubIOp>(loc, sum, value);
    }
  }
  if (linear.constant < 0)
    sum = b.createOrFold<arith::SubIOp>(loc, sum ? sum : constant(0),
                                        constant(-linear.constant));
  return sum ? sum : constant(0);
}

OpFoldResult KernelEmitter::emitExtent(AffineExpr expr) {
  if (auto value = dyn_cast<AffineConstantExpr>(expr))
    return b.getIndexAttr(value.getValue());
  return emitExpr(expr);
}

Value KernelEmitter::toValue(OpFoldResult value) {
  return getValueOrCreateConstantIndexOp(b, loc, value);
}

//===----------------------------------------------------------------------===//
// Scalar code
//===----------------------------------------------------------------------===//

/// The value of the current statement's body, or of its surroundings, at the
/// current point; emitted here when it is not yet known.
Value KernelEmitter::emitScalar(Value value) {
  if (Value known = map.lookupOrNull(value))
    return known;
  Operation *op = value.getDefiningOp();
  assert(op && "an index that is not bound at this point");
  if (isa<ReadOp, GatherOp>(op)) {
    Value read = emitPointRead(*current->getAccess(op));
    map.map(value, read);
    return read;
  }
  for (Value operand : op->getOperands())
    emitScalar(operand);
  emitOp(op, map);
  return map.lookup(value);
}

/// Clones an op without regions. Code may run where the program's would not
/// (under a filter, in a loop without iterations): a division by 0 must not
/// trap.
void KernelEmitter::emitOp(Operation *op, IRMapping &mapping) {
  Operation *clone = b.clone(*op, mapping);
  bool divides = isa<ModOp, arith::FloorDivSIOp, arith::CeilDivSIOp,
                     arith::DivSIOp, arith::RemSIOp>(op);
  APInt divisor;
  if (!divides || (matchPattern(op->getOperand(1), m_ConstantInt(&divisor)) &&
                   !divisor.isZero()))
    return;
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(clone);
  Value rhs = clone->getOperand(1);
  Value isZero =
      arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, rhs, constant(0));
  clone->setOperand(1,
                    arith::SelectOp::create(b, loc, isZero, constant(1), rhs));
}

Value KernelEmitter::emitZero(Type type) {
  return arith::ConstantOp::create(b, loc, b.getZeroAttr(type));
}

/// a and b; null stands for true.
Value KernelEmitter::emitAnd(Value a, Value c) {
  if (!a || !c)
    return a ? a : c;
  return b.createOrFold<arith::AndIOp>(loc, a, c);
}

/// condition ? a : c; null stands for true.
Value KernelEmitter::emitSelect(Value condition, Value a, Value c) {
  return condition ? arith::SelectOp::create(b, loc, condition, a, c) : a;
}

//===----------------------------------------------------------------------===//
// Conversions
//===----------------------------------------------------------------------===//

Value KernelEmitter::fromMemory(Value value, Type scalar) {
  Type type = value.getType();
  if (type == scalar)
    return value;
  if (scalar.isInteger(1)) {
    Value zero = emitZero(type);
    return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, value, zero);
  }
  if (scalar.isIndex())
    return arith::IndexCastOp::create(b, loc, scalar, value);
  return arith::ExtFOp::create(b, loc, scalar, value);
}

Value KernelEmitter::toMemory(Value value, Type element) {
  Type type = value.getType();
  if (type == element)
    return value;
  if (type.isIndex())
    return arith::IndexCastOp::create(b, loc, element, value);
  if (isa<FloatType>(type) && isa<FloatType>(element)) {
    if (type.getIntOrFloatBitWidth() > element.getIntOrFloatBitWidth())
      return arith::TruncFOp::create(b, loc, element, value);
    return arith::ExtFOp::create(b, loc, element, value);
  }
  if (type.getIntOrFloatBitWidth() > element.getIntOrFloatBitWidth())
    return arith::TruncIOp::create(b, loc, element, value);
  if (type.isInteger(1))
    return arith::ExtUIOp::create(b, loc, element, value);
  return arith::ExtSIOp::create(b, loc, element, value);
}
