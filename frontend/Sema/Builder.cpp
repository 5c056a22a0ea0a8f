//===- Builder.cpp - Makes resolved expressions ---------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontend/Sema/Builder.h"
#include <algorithm>
#include <cmath>

using namespace rondo::frontend;
using namespace rondo::frontend::model;
using sema::Builder;

/// A tree this deep is safe for every later stage to walk by recursion.
static constexpr unsigned maxDepth = 2000;
/// Of one expression with shared nodes counted as often as they are used.
static constexpr uint64_t maxTree = 400000;
static constexpr size_t maxNodes = 400000;

void Builder::exhaust(const llvm::Twine &what) {
  if (isExhausted)
    return;
  isExhausted = true;
  reporter.error(current, what)
      .hint("name the common parts: an equation of their own is computed once");
}

const Expr *Builder::make(Expr node) {
  if (isExhausted)
    return nullptr;
  Extent extent = {1, 1};
  auto count = [&](const Expr *part) {
    if (!part)
      return;
    Extent e = extents.lookup(part);
    extent.depth = std::max(extent.depth, e.depth + 1);
    extent.nodes += e.nodes;
  };
  for (const Expr *arg : node.args) {
    if (!arg)
      return nullptr;
    count(arg);
  }
  count(node.filter);
  if (extent.depth > maxDepth) {
    exhaust("expression is nested too deeply after inlining");
    return nullptr;
  }
  if (extent.nodes > maxTree || kernel.exprs.size() >= maxNodes) {
    exhaust("expression is too large after inlining");
    return nullptr;
  }
  kernel.exprs.push_back(std::make_unique<Expr>(std::move(node)));
  const Expr *result = kernel.exprs.back().get();
  extents[result] = extent;
  return result;
}

static Expr node(Expr::Kind kind, Type type, llvm::SMLoc loc) {
  Expr e;
  e.kind = kind;
  e.type = type;
  e.loc = loc;
  return e;
}

const Expr *Builder::integer(int64_t value, llvm::SMLoc loc) {
  Expr e = node(Expr::Kind::IntConst, Type::Int, loc);
  e.integer = value;
  return make(std::move(e));
}

const Expr *Builder::real(double value, llvm::SMLoc loc) {
  Expr e = node(Expr::Kind::RealConst, Type::Real, loc);
  e.real = value;
  return make(std::move(e));
}

const Expr *Builder::boolean(bool value, llvm::SMLoc loc) {
  Expr e = node(Expr::Kind::IntConst, Type::Bool, loc);
  e.integer = value;
  return make(std::move(e));
}

const Expr *Builder::size(llvm::StringRef name, llvm::SMLoc loc) {
  Expr e = node(Expr::Kind::Size, Type::Int, loc);
  e.name = name.str();
  return make(std::move(e));
}

const Expr *Builder::index(const Index *index, llvm::SMLoc loc) {
  Expr e = node(Expr::Kind::Index, Type::Int, loc);
  e.index = index;
  return make(std::move(e));
}

static Type resultType(Op op, llvm::ArrayRef<const Expr *> args) {
  switch (op) {
  case Op::Add:
  case Op::Sub:
  case Op::Mul:
  case Op::Neg:
  case Op::Abs:
  case Op::Max:
  case Op::Min:
    return args[0]->type;
  case Op::FloorDiv:
  case Op::Mod:
    return Type::Int;
  case Op::Eq:
  case Op::Ne:
  case Op::Lt:
  case Op::Le:
  case Op::Gt:
  case Op::Ge:
  case Op::And:
  case Op::Or:
  case Op::Not:
    return Type::Bool;
  case Op::Select:
    return args[1]->type;
  default:
    return Type::Real;
  }
}

const Expr *Builder::apply(Op op, llvm::ArrayRef<const Expr *> args,
                           llvm::SMLoc loc) {
  for (const Expr *arg : args)
    if (!arg)
      return nullptr;
  if (op == Op::Select && isConstant(args[0]))
    return args[0]->integer ? args[1] : args[2];
  if (std::all_of(args.begin(), args.end(),
                  [](const Expr *e) { return isConstant(e); }))
    if (const Expr *folded = fold(op, args, loc))
      return folded;
  Expr e = node(Expr::Kind::Apply, resultType(op, args), loc);
  e.op = op;
  e.args.assign(args.begin(), args.end());
  return make(std::move(e));
}

const Expr *Builder::toReal(const Expr *expr) {
  if (!expr || expr->type == Type::Real)
    return expr;
  return apply(Op::ToReal, expr, expr->loc);
}

const Expr *Builder::numeric(Op op, const Expr *a, const Expr *b,
                             llvm::SMLoc loc) {
  if (!a || !b)
    return nullptr;
  if (a->type != b->type) {
    a = toReal(a);
    b = toReal(b);
  }
  return apply(op, {a, b}, loc);
}

const Expr *Builder::realOp(Op op, llvm::ArrayRef<const Expr *> args,
                            llvm::SMLoc loc) {
  std::vector<const Expr *> converted;
  for (const Expr *arg : args)
    converted.push_back(toReal(arg));
  return apply(op, converted, loc);
}

//===----------------------------------------------------------------------===//
// Constants
//===----------------------------------------------------------------------===//

/// Null when the result does not fit or is undefined.
static std::optional<int64_t> foldInt(Op op, int64_t a, int64_t b) {
  int64_t r;
  switch (op) {
  case Op::Add:
    return __builtin_add_overflow(a, b, &r) ? std::nullopt : std::optional(r);
  case Op::Sub:
    return __builtin_sub_overflow(a, b, &r) ? std::nullopt : std::optional(r);
  case Op::Mul:
    return __builtin_mul_overflow(a, b, &r) ? std::nullopt : std::optional(r);
  case Op::Neg:
    return a == INT64_MIN ? std::nullopt : std::optional(-a);
  case Op::Abs:
    return a == INT64_MIN ? std::nullopt : std::optional(a < 0 ? -a : a);
  case Op::FloorDiv:
  case Op::Mod:
    if (b == 0 || (a == INT64_MIN && b == -1))
      return std::nullopt;
    r = a / b - (a % b != 0 && (a < 0) != (b < 0));
    return op == Op::FloorDiv ? r : a - r * b;
  case Op::Max:
    return std::max(a, b);
  case Op::Min:
    return std::min(a, b);
  case Op::Eq:
    return a == b;
  case Op::Ne:
    return a != b;
  case Op::Lt:
    return a < b;
  case Op::Le:
    return a <= b;
  case Op::Gt:
    return a > b;
  case Op::Ge:
    return a >= b;
  case Op::And:
    return a && b;
  case Op::Or:
    return a || b;
  case Op::Not:
    return !a;
  default:
    return std::nullopt;
  }
}

static std::optional<bool> foldCompare(Op op, double a, double b) {
  switch (op) {
  case Op::Eq:
    return a == b;
  case Op::Ne:
    return a != b;
  case Op::Lt:
    return a < b;
  case Op::Le:
    return a <= b;
  case Op::Gt:
    return a > b;
  case Op::Ge:
    return a >= b;
  default:
    return std::nullopt;
  }
}

static std::optional<double> foldReal(Op op, double a, double b) {
  switch (op) {
  case Op::Add:
    return a + b;
  case Op::Sub:
    return a - b;
  case Op::Mul:
    return a * b;
  case Op::Div:
    return a / b;
  case Op::Pow:
    return std::pow(a, b);
  case Op::Neg:
    return -a;
  case Op::Abs:
    return std::fabs(a);
  case Op::Max:
    return std::isnan(a) || std::isnan(b) ? a + b : std::max(a, b);
  case Op::Min:
    return std::isnan(a) || std::isnan(b) ? a + b : std::min(a, b);
  case Op::Exp:
    return std::exp(a);
  case Op::Log:
    return std::log(a);
  case Op::Log1p:
    return std::log1p(a);
  case Op::Expm1:
    return std::expm1(a);
  case Op::Sqrt:
    return std::sqrt(a);
  case Op::Rsqrt:
    return 1 / std::sqrt(a);
  case Op::Sign:
    return a > 0 ? 1 : a < 0 ? -1 : a;
  case Op::Floor:
    return std::floor(a);
  case Op::Ceil:
    return std::ceil(a);
  case Op::Sin:
    return std::sin(a);
  case Op::Cos:
    return std::cos(a);
  case Op::Tanh:
    return std::tanh(a);
  case Op::Sigmoid:
    return a >= 0 ? 1 / (1 + std::exp(-a)) : std::exp(a) / (1 + std::exp(a));
  case Op::Softplus:
    return std::max(a, 0.0) + std::log1p(std::exp(-std::fabs(a)));
  case Op::Erf:
    return std::erf(a);
  default:
    return std::nullopt;
  }
}

const Expr *Builder::fold(Op op, llvm::ArrayRef<const Expr *> args,
                          llvm::SMLoc loc) {
  const Expr *a = args[0], *b = args.size() > 1 ? args[1] : args[0];
  if (op == Op::ToReal)
    return real(double(a->integer), loc);
  if (a->type != Type::Real) {
    std::optional<int64_t> value = foldInt(op, a->integer, b->integer);
    if (!value)
      return nullptr;
    return resultType(op, args) == Type::Bool ? boolean(*value != 0, loc)
                                              : integer(*value, loc);
  }
  if (std::optional<bool> value = foldCompare(op, a->real, b->real))
    return boolean(*value, loc);
  if (std::optional<double> value = foldReal(op, a->real, b->real))
    return real(*value, loc);
  return nullptr;
}
