//===- Spelling.cpp - Operators and dtypes as written ---------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontend/AST/AST.h"
#include "llvm/Support/ErrorHandling.h"

using namespace rondo::frontend::ast;

llvm::StringRef rondo::frontend::ast::spelling(ReduceOp op) {
  switch (op) {
  case ReduceOp::Sum:
    return "sum";
  case ReduceOp::Prod:
    return "prod";
  case ReduceOp::Max:
    return "max";
  case ReduceOp::Min:
    return "min";
  case ReduceOp::Any:
    return "any";
  case ReduceOp::All:
    return "all";
  case ReduceOp::Softmax:
    return "softmax";
  case ReduceOp::LogSumExp:
    return "logsumexp";
  }
  llvm_unreachable("unknown reduction");
}

llvm::StringRef rondo::frontend::ast::spelling(BinaryOp op) {
  switch (op) {
  case BinaryOp::Or:
    return "or";
  case BinaryOp::And:
    return "and";
  case BinaryOp::Eq:
    return "==";
  case BinaryOp::Ne:
    return "!=";
  case BinaryOp::Lt:
    return "<";
  case BinaryOp::Le:
    return "<=";
  case BinaryOp::Gt:
    return ">";
  case BinaryOp::Ge:
    return ">=";
  case BinaryOp::Add:
    return "+";
  case BinaryOp::Sub:
    return "-";
  case BinaryOp::Mul:
    return "*";
  case BinaryOp::Div:
    return "/";
  case BinaryOp::Mod:
    return "mod";
  case BinaryOp::Pow:
    return "^";
  }
  llvm_unreachable("unknown operator");
}

llvm::StringRef rondo::frontend::ast::spelling(UnaryOp op) {
  return op == UnaryOp::Neg ? "-" : "not";
}

llvm::StringRef rondo::frontend::ast::spelling(DType dtype) {
  switch (dtype) {
  case DType::None:
    return "";
  case DType::F16:
    return "f16";
  case DType::BF16:
    return "bf16";
  case DType::F32:
    return "f32";
  case DType::F64:
    return "f64";
  case DType::I32:
    return "i32";
  case DType::I64:
    return "i64";
  case DType::Bool:
    return "bool";
  }
  llvm_unreachable("unknown dtype");
}
