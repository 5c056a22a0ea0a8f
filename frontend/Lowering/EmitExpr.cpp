//===- EmitExpr.cpp - Scalar code for resolved expressions ----------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontend/Lowering/EmitExpr.h"
#include "dialects/Rondo/IR/RondoOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include <cmath>

using namespace mlir;
using namespace rondo;
using namespace rondo::frontend;
using model::Expr;
using ScalarOp = model::Op;

Value ExprEmitter::real(double value, Location loc) {
  return arith::ConstantOp::create(builder, loc,
                                   builder.getFloatAttr(realType, value));
}

Value ExprEmitter::emit(const Expr *expr, Value guard) {
  auto [it, isNew] = known.try_emplace({expr, guard});
  if (!isNew)
    return it->second;
  Value value = emitNode(*expr, guard);
  known[{expr, guard}] = value;
  return value;
}

Value ExprEmitter::emitNode(const Expr &expr, Value guard) {
  Location loc = getLoc(expr.loc);
  switch (expr.kind) {
  case Expr::Kind::RealConst:
    return real(expr.real, loc);
  case Expr::Kind::IntConst:
    if (expr.type == model::Type::Bool)
      return arith::ConstantOp::create(builder, loc,
                                       builder.getBoolAttr(expr.integer != 0));
    return arith::ConstantIndexOp::create(builder, loc, expr.integer);
  case Expr::Kind::Size:
    return emitSize(expr.name);
  case Expr::Kind::Index:
    return indices.lookup(expr.index);
  case Expr::Kind::Read: {
    SmallVector<Value> subscripts;
    for (auto [i, arg] : llvm::enumerate(expr.args)) {
      Value subscript = emit(arg, guard);
      if (guard && expr.isGather() && expr.data[i]) {
        Value zero = arith::ConstantIndexOp::create(builder, loc, 0);
        subscript = arith::SelectOp::create(builder, loc, guard, subscript,
                                            zero);
      }
      subscripts.push_back(subscript);
    }
    return emitRead(expr, subscripts, loc);
  }
  case Expr::Kind::Apply:
    return emitApply(expr, guard);
  case Expr::Kind::Grad: {
    Value value = emit(expr.args[0], guard);
    Value variable = emit(expr.args[1], guard);
    return GradOp::create(builder, loc, value, variable);
  }
  case Expr::Kind::Reduce:
  case Expr::Kind::Softmax:
    break;
  }
  llvm_unreachable("reductions are separated before emission");
}

Value ExprEmitter::emitApply(const Expr &expr, Value guard) {
  Location loc = getLoc(expr.loc);
  SmallVector<Value> args;
  for (auto [i, arg] : llvm::enumerate(expr.args)) {
    Value inner = guard;
    if (expr.op == ScalarOp::Select && i > 0) {
      // Only gathers look at the guard; folding removes it elsewhere.
      Value condition = args[0];
      if (i == 2)
        condition = arith::XOrIOp::create(
            builder, loc, condition,
            arith::ConstantOp::create(builder, loc, builder.getBoolAttr(true)));
      inner = guard ? Value(arith::AndIOp::create(builder, loc, guard,
                                                  condition))
                    : condition;
    }
    args.push_back(emit(arg, inner));
  }
  switch (expr.op) {
  case ScalarOp::Eq:
  case ScalarOp::Ne:
  case ScalarOp::Lt:
  case ScalarOp::Le:
  case ScalarOp::Gt:
  case ScalarOp::Ge:
    return emitComparison(expr, args, loc);
  case ScalarOp::And:
    return arith::AndIOp::create(builder, loc, args[0], args[1]);
  case ScalarOp::Or:
    return arith::OrIOp::create(builder, loc, args[0], args[1]);
  case ScalarOp::Not:
    return arith::XOrIOp::create(
        builder, loc, args[0],
        arith::ConstantOp::create(builder, loc, builder.getBoolAttr(true)));
  case ScalarOp::Select:
    return arith::SelectOp::create(builder, loc, args[0], args[1], args[2]);
  case ScalarOp::ToReal: {
    Type i64 = builder.getI64Type();
    if (args[0].getType().isInteger(1))
      return arith::UIToFPOp::create(builder, loc, realType, args[0]);
    Value integer = arith::IndexCastOp::create(builder, loc, i64, args[0]);
    return arith::SIToFPOp::create(builder, loc, realType, integer);
  }
  default:
    return expr.type == model::Type::Int ? emitInt(expr, args, loc)
                                         : emitReal(expr, args, loc);
  }
}

Value ExprEmitter::emitComparison(const Expr &expr, ValueRange args,
                                  Location loc) {
  using I = arith::CmpIPredicate;
  using F = arith::CmpFPredicate;
  I integer = I::eq;
  F real = F::OEQ;
  switch (expr.op) {
  case ScalarOp::Ne:
    integer = I::ne, real = F::UNE;
    break;
  case ScalarOp::Lt:
    integer = I::slt, real = F::OLT;
    break;
  case ScalarOp::Le:
    integer = I::sle, real = F::OLE;
    break;
  case ScalarOp::Gt:
    integer = I::sgt, real = F::OGT;
    break;
  case ScalarOp::Ge:
    integer = I::sge, real = F::OGE;
    break;
  default:
    break;
  }
  if (isa<FloatType>(args[0].getType()))
    return arith::CmpFOp::create(builder, loc, real, args[0], args[1]);
  return arith::CmpIOp::create(builder, loc, integer, args[0], args[1]);
}

Value ExprEmitter::emitInt(const Expr &expr, ValueRange args, Location loc) {
  switch (expr.op) {
  case ScalarOp::Add:
    return builder.createOrFold<arith::AddIOp>(loc, args[0], args[1]);
  case ScalarOp::Sub:
    return builder.createOrFold<arith::SubIOp>(loc, args[0], args[1]);
  case ScalarOp::Mul:
    return builder.createOrFold<arith::MulIOp>(loc, args[0], args[1]);
  case ScalarOp::FloorDiv:
    return builder.createOrFold<arith::FloorDivSIOp>(loc, args[0], args[1]);
  case ScalarOp::Mod:
    return builder.createOrFold<ModOp>(loc, args[0], args[1]);
  case ScalarOp::Max:
    return builder.createOrFold<arith::MaxSIOp>(loc, args[0], args[1]);
  case ScalarOp::Min:
    return builder.createOrFold<arith::MinSIOp>(loc, args[0], args[1]);
  case ScalarOp::Neg:
  case ScalarOp::Abs: {
    Value zero = arith::ConstantIndexOp::create(builder, loc, 0);
    Value negated =
        builder.createOrFold<arith::SubIOp>(loc, zero, args[0]);
    if (expr.op == ScalarOp::Neg)
      return negated;
    return builder.createOrFold<arith::MaxSIOp>(loc, args[0], negated);
  }
  default:
    llvm_unreachable("not an operation on integers");
  }
}

/// x^n for a whole n up to 16 by repeated squaring, x^0.5 as a square root,
/// else math.powf.
Value ExprEmitter::emitPower(const Expr &expr, ValueRange args, Location loc) {
  const Expr *exponent = expr.args[1];
  if (exponent->kind == Expr::Kind::Apply && exponent->op == ScalarOp::ToReal)
    exponent = exponent->args[0];
  std::optional<double> constant;
  if (exponent->kind == Expr::Kind::RealConst)
    constant = exponent->real;
  else if (exponent->kind == Expr::Kind::IntConst)
    constant = static_cast<double>(exponent->integer);
  if (!constant)
    return math::PowFOp::create(builder, loc, args[0], args[1]);
  if (*constant == 0.5)
    return math::SqrtOp::create(builder, loc, args[0]);
  double magnitude = std::abs(*constant);
  if (magnitude > 16 || magnitude != std::floor(magnitude))
    return math::PowFOp::create(builder, loc, args[0], args[1]);
  Value result, square = args[0];
  for (unsigned n = static_cast<unsigned>(magnitude); n; n >>= 1) {
    if (n & 1)
      result = result ? Value(arith::MulFOp::create(builder, loc, result,
                                                    square))
                      : square;
    if (n > 1)
      square = arith::MulFOp::create(builder, loc, square, square);
  }
  if (!result)
    return real(1, loc);
  if (*constant < 0)
    return arith::DivFOp::create(builder, loc, real(1, loc), result);
  return result;
}

Value ExprEmitter::emitReal(const Expr &expr, ValueRange args, Location loc) {
  switch (expr.op) {
  case ScalarOp::Add:
    return arith::AddFOp::create(builder, loc, args[0], args[1]);
  case ScalarOp::Sub:
    return arith::SubFOp::create(builder, loc, args[0], args[1]);
  case ScalarOp::Mul:
    return arith::MulFOp::create(builder, loc, args[0], args[1]);
  case ScalarOp::Div:
    return arith::DivFOp::create(builder, loc, args[0], args[1]);
  case ScalarOp::Pow:
    return emitPower(expr, args, loc);
  case ScalarOp::Neg:
    return arith::NegFOp::create(builder, loc, args[0]);
  case ScalarOp::Abs:
    return math::AbsFOp::create(builder, loc, args[0]);
  case ScalarOp::Max:
    return arith::MaximumFOp::create(builder, loc, args[0], args[1]);
  case ScalarOp::Min:
    return arith::MinimumFOp::create(builder, loc, args[0], args[1]);
  case ScalarOp::Exp:
    return math::ExpOp::create(builder, loc, args[0]);
  case ScalarOp::Log:
    return math::LogOp::create(builder, loc, args[0]);
  case ScalarOp::Log1p:
    return math::Log1pOp::create(builder, loc, args[0]);
  case ScalarOp::Expm1:
    return math::ExpM1Op::create(builder, loc, args[0]);
  case ScalarOp::Sqrt:
    return math::SqrtOp::create(builder, loc, args[0]);
  case ScalarOp::Rsqrt:
    return math::RsqrtOp::create(builder, loc, args[0]);
  case ScalarOp::Floor:
    return math::FloorOp::create(builder, loc, args[0]);
  case ScalarOp::Ceil:
    return math::CeilOp::create(builder, loc, args[0]);
  case ScalarOp::Sin:
    return math::SinOp::create(builder, loc, args[0]);
  case ScalarOp::Cos:
    return math::CosOp::create(builder, loc, args[0]);
  case ScalarOp::Tanh:
    return math::TanhOp::create(builder, loc, args[0]);
  case ScalarOp::Erf:
    return math::ErfOp::create(builder, loc, args[0]);
  case ScalarOp::Sigmoid:
    return SigmoidOp::create(builder, loc, args[0]);
  case ScalarOp::Softplus:
    return SoftplusOp::create(builder, loc, args[0]);
  case ScalarOp::Sign: {
    // x > 0 ? 1 : x < 0 ? -1 : x, which keeps zeros and NaN.
    Value zero = real(0, loc);
    Value positive = arith::CmpFOp::create(
        builder, loc, arith::CmpFPredicate::OGT, args[0], zero);
    Value negative = arith::CmpFOp::create(
        builder, loc, arith::CmpFPredicate::OLT, args[0], zero);
    Value rest = arith::SelectOp::create(builder, loc, negative,
                                         real(-1, loc), args[0]);
    return arith::SelectOp::create(builder, loc, positive, real(1, loc), rest);
  }
  default:
    llvm_unreachable("not an operation on reals");
  }
}
