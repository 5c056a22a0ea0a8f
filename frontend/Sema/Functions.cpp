//===- Functions.cpp - Constants, lets, functions and built-ins -----------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontend/Sema/Internal.h"
#include "llvm/ADT/STLExtras.h"
#include <cmath>

using namespace rondo::frontend;
using namespace rondo::frontend::sema;
using model::Op;
using model::Type;

//===----------------------------------------------------------------------===//
// Constants and lets
//===----------------------------------------------------------------------===//

const ConstValue *KernelAnalyzer::constant(llvm::StringRef name) {
  const ast::Const &definition = *file.consts.lookup(name);
  ConstValue &slot = file.constValues[name];
  if (slot.state == ConstValue::State::Good)
    return &slot;
  if (slot.state == ConstValue::State::Bad)
    return nullptr;
  if (slot.state == ConstValue::State::Busy) {
    reporter.error(definition.name.range,
                   "constant `" + name + "` is defined by itself");
    slot.state = ConstValue::State::Bad;
    return nullptr;
  }
  slot.state = ConstValue::State::Busy;
  Env env;
  env.place = Env::Place::Const;
  std::vector<std::pair<llvm::SMRange, std::string>> inlinedAt;
  std::swap(inlinedAt, reporter.inlinedAt);
  llvm::SMRange current = builder.current;
  builder.current = definition.name.range;
  const Expr *value = resolve(definition.value, env);
  builder.current = current;
  std::swap(inlinedAt, reporter.inlinedAt);

  ConstValue &result = file.constValues[name]; // the map may have grown
  bool wasBusy = result.state == ConstValue::State::Busy;
  result.state = ConstValue::State::Bad;
  if (!value || !wasBusy)
    return nullptr;
  if (!isConstant(value) || value->type == Type::Bool) {
    reporter
        .error(definition.value->range,
               "constant `" + name + "` is not a compile-time number")
        .expected("a number made of numbers, constants and functions of them")
        .found(isConstant(value) ? "a condition" : "an integer beyond 64 bits");
    return nullptr;
  }
  result.state = ConstValue::State::Good;
  result.isInt = value->kind == Expr::Kind::IntConst;
  result.integer = value->integer;
  result.real = result.isInt ? double(value->integer) : value->real;
  return &result;
}

const Expr *KernelAnalyzer::resolveLet(const ast::LetItem &let,
                                       llvm::SMRange use, Env &env) {
  if (llvm::is_contained(letStack, let.name.text)) {
    reporter
        .error(let.name.range,
               "`let " + let.name.text + "` is defined by itself")
        .note(use, "used here");
    return nullptr;
  }
  Env inner;
  inner.place = Env::Place::Let;
  inner.scope = env.scope;
  inner.eq = env.eq;
  inner.batch = env.batch;
  letStack.push_back(let.name.text);
  reporter.inlinedAt.emplace_back(
      use, ("`" + let.name.text + "` is used here").str());
  const Expr *value = resolve(let.value, inner);
  reporter.inlinedAt.pop_back();
  letStack.pop_back();
  return value;
}

//===----------------------------------------------------------------------===//
// Functions
//===----------------------------------------------------------------------===//

const Expr *KernelAnalyzer::resolveFn(const ast::Fn &fn,
                                      const ast::CallExpr *expr,
                                      llvm::ArrayRef<const Expr *> args,
                                      Env &env) {
  llvm::StringRef name = fn.name.text;
  if (args.size() != fn.params.size()) {
    reporter.error(expr->range, "wrong number of arguments for `" + name + "`")
        .expected(countOf(fn.params.size(), "argument", "arguments"))
        .found(countOf(args.size(), "argument", "arguments"))
        .note(fn.name.range, "`" + name + "` is defined here");
    return nullptr;
  }
  if (llvm::is_contained(fnStack, name)) {
    reporter.error(fn.name.range, "function `" + name + "` calls itself")
        .expected("a function that can be inlined")
        .note(expr->range, "called here");
    return nullptr;
  }
  if (llvm::is_contained(args, nullptr))
    return nullptr;
  llvm::StringMap<const Expr *> params;
  for (size_t i = 0; i < args.size(); ++i)
    params[fn.params[i].text] = args[i];
  Env inner;
  inner.place = env.place;
  inner.scope = env.scope;
  inner.eq = env.eq;
  inner.batch = env.batch;
  inner.params = &params;
  fnStack.push_back(name);
  reporter.inlinedAt.emplace_back(expr->range,
                                  ("`" + name + "` is called here").str());
  const Expr *value = resolve(fn.value, inner);
  reporter.inlinedAt.pop_back();
  fnStack.pop_back();
  return value;
}

namespace {

/// Functions that are written with several operations, or take integers.
enum class Special {
  None,
  Div,
  Abs,
  MaxMin,
  Step,
  Silu,
  Relu,
  Gelu,
  LogSigmoid,
  Clamp,
  Select,
};

struct Builtin {
  const char *name;
  unsigned arity;
  Op op;
  Special special = Special::None;
};

const Builtin builtins[] = {
    {"exp", 1, Op::Exp},
    {"log", 1, Op::Log},
    {"log1p", 1, Op::Log1p},
    {"expm1", 1, Op::Expm1},
    {"sqrt", 1, Op::Sqrt},
    {"rsqrt", 1, Op::Rsqrt},
    {"sign", 1, Op::Sign},
    {"floor", 1, Op::Floor},
    {"ceil", 1, Op::Ceil},
    {"sin", 1, Op::Sin},
    {"cos", 1, Op::Cos},
    {"tanh", 1, Op::Tanh},
    {"sigmoid", 1, Op::Sigmoid},
    {"softplus", 1, Op::Softplus},
    {"erf", 1, Op::Erf},
    {"abs", 1, Op::Abs, Special::Abs},
    {"max", 2, Op::Max, Special::MaxMin},
    {"min", 2, Op::Min, Special::MaxMin},
    {"div", 2, Op::FloorDiv, Special::Div},
    {"step", 1, Op::Ge, Special::Step},
    {"silu", 1, Op::Mul, Special::Silu},
    {"relu", 1, Op::Max, Special::Relu},
    {"gelu", 1, Op::Mul, Special::Gelu},
    {"logsigmoid", 1, Op::Neg, Special::LogSigmoid},
    {"clamp", 3, Op::Min, Special::Clamp},
    {"select", 3, Op::Select, Special::Select},
};

} // namespace

static const Builtin *findBuiltin(llvm::StringRef name) {
  for (const Builtin &builtin : builtins)
    if (name == builtin.name)
      return &builtin;
  return nullptr;
}

bool sema::isBuiltin(llvm::StringRef name) { return findBuiltin(name); }

LLVM_ATTRIBUTE_NOINLINE
void KernelAnalyzer::unknownFunction(const ast::CallExpr *expr, Env &env) {
  llvm::StringRef name = expr->callee.text;
  if (file.kernels.count(name)) {
    reporter
        .error(expr->range, "kernel `" + name +
                                "` is called inside an "
                                "expression")
        .expected("a number")
        .hint("a kernel call is an item of its own: `y = " + name +
              "(..)` with whole tensors");
    return;
  }
  if (!env.params && lookup(env.scope, name)) {
    reporter.error(expr->range, "`" + name + "` is a tensor, not a function")
        .hint("indices stand in brackets: `" + name + "[..]`");
    return;
  }
  llvm::SmallVector<llvm::StringRef> names;
  for (const Builtin &builtin : builtins)
    names.push_back(builtin.name);
  for (const ast::Fn *fn : file.file.fns)
    names.push_back(fn->name.text);
  auto &&error =
      reporter.error(expr->callee.range, "unknown function `" + name + "`");
  error.expected("a built-in function or one that `fn` defines");
  llvm::StringRef near = nearest(name, names);
  if (!near.empty())
    error.hint("did you mean `" + near + "`?");
}

const Expr *KernelAnalyzer::resolveCall(const ast::CallExpr *expr, Env &env) {
  llvm::SmallVector<const Expr *, 4> args;
  for (const ast::Expr *arg : expr->args)
    args.push_back(resolve(arg, env));
  if (const ast::Fn *fn = file.fns.lookup(expr->callee.text))
    return resolveFn(*fn, expr, args, env);
  if (findBuiltin(expr->callee.text))
    return resolveBuiltin(expr, args, env);
  unknownFunction(expr, env);
  return nullptr;
}

/// x * 0.5 * (1 + erf(x / sqrt(2))) and the like.
static const Expr *expand(Builder &b, Special special,
                          llvm::ArrayRef<const Expr *> args, llvm::SMLoc loc) {
  const Expr *x = b.toReal(args[0]);
  switch (special) {
  case Special::Step:
    return b.apply(Op::Select,
                   {b.apply(Op::Ge, {x, b.real(0, loc)}, loc), b.real(1, loc),
                    b.real(0, loc)},
                   loc);
  case Special::Silu:
    return b.apply(Op::Mul, {x, b.apply(Op::Sigmoid, x, loc)}, loc);
  case Special::Relu:
    return b.apply(Op::Max, {x, b.real(0, loc)}, loc);
  case Special::Gelu: {
    const Expr *erf = b.apply(
        Op::Erf, b.apply(Op::Mul, {x, b.real(M_SQRT1_2, loc)}, loc), loc);
    return b.apply(Op::Mul,
                   {b.apply(Op::Mul, {b.real(0.5, loc), x}, loc),
                    b.apply(Op::Add, {b.real(1, loc), erf}, loc)},
                   loc);
  }
  case Special::LogSigmoid:
    return b.apply(Op::Neg,
                   b.apply(Op::Softplus, b.apply(Op::Neg, x, loc), loc), loc);
  default:
    return nullptr;
  }
}

const Expr *KernelAnalyzer::resolveBuiltin(const ast::CallExpr *expr,
                                           llvm::ArrayRef<const Expr *> args,
                                           Env &env) {
  const Builtin &builtin = *findBuiltin(expr->callee.text);
  std::string name = "`" + expr->callee.text.str() + "`";
  // max and min take any number of values.
  bool many = builtin.special == Special::MaxMin && args.size() > 2;
  if (args.size() != builtin.arity && !many) {
    auto &&error =
        reporter.error(expr->range, "wrong number of arguments for " + name);
    error.expected(countOf(builtin.arity, "argument", "arguments") +
                   (builtin.special == Special::MaxMin ? " or more" : ""));
    error.found(countOf(args.size(), "argument", "arguments"));
    if (builtin.special == Special::MaxMin && args.size() == 1)
      error.hint("over an index it is " + llvm::Twine("`") + expr->callee.text +
                 "[i] ..`");
    return nullptr;
  }
  if (builtin.special == Special::Div)
    return resolveIntegerOp(Op::FloorDiv, "div", args[0], args[1],
                            expr->args[0], expr->args[1], expr->range);
  if (builtin.special == Special::Select) {
    bool good = wantBool(args[0], expr->args[0], "`select`");
    if (!good || !args[1] || !args[2])
      return nullptr;
    const Expr *a = args[1], *b = args[2];
    if ((a->type == Type::Bool) != (b->type == Type::Bool)) {
      wantNumber(a, expr->args[1], "the other value of this `select`");
      wantNumber(b, expr->args[2], "the other value of this `select`");
      return nullptr;
    }
    if (a->type != b->type) {
      a = builder.toReal(a);
      b = builder.toReal(b);
    }
    return builder.apply(Op::Select, {args[0], a, b}, expr->loc);
  }
  bool good = true;
  for (size_t i = 0; i < args.size(); ++i)
    good &= wantNumber(args[i], expr->args[i], name);
  if (!good)
    return nullptr;
  switch (builtin.special) {
  case Special::None:
    return builder.realOp(builtin.op, args, expr->loc);
  case Special::Abs:
    return builder.apply(Op::Abs, args, expr->loc);
  case Special::MaxMin: {
    const Expr *result = args[0];
    for (size_t i = 1; i < args.size(); ++i)
      result = builder.numeric(builtin.op, result, args[i], expr->loc);
    return result;
  }
  case Special::Clamp: {
    const Expr *low = builder.numeric(Op::Max, args[0], args[1], expr->loc);
    return builder.numeric(Op::Min, low, args[2], expr->loc);
  }
  default:
    return expand(builder, builtin.special, args, expr->loc);
  }
}
