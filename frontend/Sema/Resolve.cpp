//===- Resolve.cpp - Names, accesses and operators ------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Reports are made by functions of their own: the frames of the functions that
// call each other stay small, so that deep expressions fit the stack.
//
//===----------------------------------------------------------------------===//

#include "frontend/Sema/Internal.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>

using namespace rondo::frontend;
using namespace rondo::frontend::sema;
using model::Op;
using model::Type;

/// Of nested text with what it inlines.
static constexpr unsigned maxResolveDepth = 1600;
static constexpr size_t maxResolveCount = 2000000;

llvm::StringRef sema::describe(Type type) {
  switch (type) {
  case Type::Real:
    return "a real number";
  case Type::Int:
    return "an integer";
  case Type::Bool:
    return "a condition (true or false)";
  }
  return "";
}

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

LLVM_ATTRIBUTE_NOINLINE
bool KernelAnalyzer::wantNumber(const Expr *value, const ast::Expr *text,
                                llvm::StringRef forWhat) {
  if (!value || value->type != Type::Bool)
    return value;
  reporter.error(text->range, forWhat + " wants a number")
      .expected("a real number or an integer")
      .found(describe(value->type))
      .hint("turn the condition into a number with `select(.., 1, 0)`");
  return false;
}

LLVM_ATTRIBUTE_NOINLINE
bool KernelAnalyzer::wantBool(const Expr *value, const ast::Expr *text,
                              llvm::StringRef forWhat) {
  if (!value || value->type == Type::Bool)
    return value;
  reporter.error(text->range, forWhat + " wants a condition")
      .expected(describe(Type::Bool))
      .found(describe(value->type))
      .hint("compare it with something, such as `.. != 0`");
  return false;
}

LLVM_ATTRIBUTE_NOINLINE
bool KernelAnalyzer::wantInt(const Expr *value, const ast::Expr *text,
                             llvm::StringRef forWhat) {
  if (!value || value->type == Type::Int)
    return value;
  auto &&error = reporter.error(text->range, forWhat + " must be an integer");
  error.expected(describe(Type::Int)).found(describe(value->type));
  auto *binary = llvm::dyn_cast<ast::BinaryExpr>(text);
  if (binary && binary->op == ast::BinaryOp::Div)
    error.hint("`/` divides real numbers; `div(a, b)` is the integer division");
  return false;
}

//===----------------------------------------------------------------------===//
// Dispatch
//===----------------------------------------------------------------------===//

const Expr *KernelAnalyzer::resolve(const ast::Expr *expr, Env &env) {
  if (!expr || builder.exhausted() || reporter.full())
    return nullptr;
  // Calls of functions that use nothing of their arguments make no nodes.
  if (++resolveCount > maxResolveCount) {
    builder.exhaust("expression is too large after inlining");
    return nullptr;
  }
  if (depth >= maxResolveDepth) {
    builder.exhaust("expression is nested too deeply after inlining");
    return nullptr;
  }
  ++depth;
  const Expr *result = resolveInner(expr, env);
  --depth;
  return result;
}

const Expr *KernelAnalyzer::resolveInner(const ast::Expr *expr, Env &env) {
  switch (expr->kind) {
  case ast::ExprKind::Error:
    return nullptr;
  case ast::ExprKind::Number: {
    auto *number = llvm::cast<ast::NumberExpr>(expr);
    return number->isInteger ? builder.integer(number->integer, expr->loc)
                             : builder.real(number->value, expr->loc);
  }
  case ast::ExprKind::Name:
    return resolveName(llvm::cast<ast::NameExpr>(expr), env);
  case ast::ExprKind::Access:
    return resolveAccess(llvm::cast<ast::AccessExpr>(expr), env);
  case ast::ExprKind::Call:
    return resolveCall(llvm::cast<ast::CallExpr>(expr), env);
  case ast::ExprKind::Unary:
    return resolveUnary(llvm::cast<ast::UnaryExpr>(expr), env);
  case ast::ExprKind::Binary:
    return resolveBinary(llvm::cast<ast::BinaryExpr>(expr), env);
  case ast::ExprKind::If:
    return resolveIf(llvm::cast<ast::IfExpr>(expr), env);
  case ast::ExprKind::Reduce: {
    auto *reduce = llvm::cast<ast::ReduceExpr>(expr);
    return reduce->op == ast::ReduceOp::Softmax ? resolveSoftmax(reduce, env)
                                                : resolveReduce(reduce, env);
  }
  case ast::ExprKind::Grad:
    return resolveGrad(llvm::cast<ast::GradExpr>(expr), env);
  }
  return nullptr;
}

//===----------------------------------------------------------------------===//
// Names
//===----------------------------------------------------------------------===//

void KernelAnalyzer::collectNames(Env &env,
                                  llvm::SmallVectorImpl<llvm::StringRef> &out) {
  for (auto &[name, index] : env.indices)
    out.push_back(name);
  if (env.params)
    for (auto &entry : *env.params)
      out.push_back(entry.first());
  else if (env.scope && env.place != Env::Place::Const) {
    for (auto &view : env.scope->viewPool)
      out.push_back(view->name);
    for (auto &entry : env.scope->lets)
      out.push_back(entry.first());
    for (auto &entry : env.scope->scalars)
      out.push_back(entry.first());
    out.append(env.scope->sizeNames.begin(), env.scope->sizeNames.end());
  }
  for (const ast::Const *constant : file.file.consts)
    out.push_back(constant->name.text);
  out.append({"pi", "inf", "true", "false"});
}

LLVM_ATTRIBUTE_NOINLINE
void KernelAnalyzer::unknownName(llvm::StringRef name, llvm::SMRange range,
                                 Env &env) {
  llvm::SmallVector<llvm::StringRef> names;
  collectNames(env, names);
  llvm::StringRef near = nearest(name, names);
  bool outside = env.params || env.place == Env::Place::Const;
  if (env.inSubscript && !outside && env.place == Env::Place::Equation) {
    auto &&error = reporter.error(
        range, "index `" + name +
                   "` is neither on the left side nor bound by a reduction");
    std::string list;
    for (auto &[index, unused] : env.indices)
      list += (list.empty() ? "`" : ", `") + index.str() + "`";
    error.expected(list.empty() ? "an index that is bound"
                                : "an index in scope here: " + list);
    bool wasBound = llvm::any_of(indexInfos, [&](const auto &info) {
      return info->eq == env.eq && !info->onLeft && info->index->name == name;
    });
    if (wasBound)
      error.hint("a reduction takes the product to its right and ends before "
                 "`+` and `-`: put its term in parentheses");
    else
      error.hint("reduce over it, `sum[" + name +
                 "] ..`, or write it on the left side");
    return;
  }
  auto &&error = reporter.error(range, "unknown name `" + name + "`");
  if (env.params)
    error.expected("a parameter of the function, an index of one of its "
                   "reductions or a constant");
  else if (env.place == Env::Place::Const)
    error.expected("a constant");
  else if (env.place == Env::Place::Let)
    error.expected("a size, a constant, another let or a scalar");
  else
    error.expected("an index, a size, a constant, a let or a scalar");
  if (!near.empty())
    error.hint("did you mean `" + near + "`?");
  else if (env.params && env.scope && env.scope->declared.count(name))
    error.hint("a function does not see the kernel: make `" + name +
               "` a parameter");
}

LLVM_ATTRIBUTE_NOINLINE
void KernelAnalyzer::needsIndices(View &view, llvm::SMRange range) {
  reporter
      .error(range, "`" + view.name + "` is a tensor and needs " +
                        countOf(view.subscripts.size(), "index", "indices"))
      .expected("`" + view.name + "[..]` with " +
                countOf(view.subscripts.size(), "index", "indices"))
      .found("`" + view.name + "` alone")
      .note(view.decl, "`" + view.name + "` is declared here");
}

/// The value of a size.
const Expr *KernelAnalyzer::resolveSize(const Poly &poly, llvm::SMLoc loc) {
  if (poly.terms.size() == 1 && poly.terms.begin()->second == 1 &&
      poly.terms.begin()->first.size() == 1) {
    const Atom &atom = polys.atom(poly.terms.begin()->first[0]);
    if (atom.kind == Atom::Kind::Size)
      return builder.size(atom.name, loc);
  }
  return poly.invalid ? nullptr : polyExpr(poly);
}

const Expr *KernelAnalyzer::resolveName(const ast::NameExpr *expr, Env &env) {
  llvm::StringRef name = expr->name;
  for (size_t i = env.indices.size(); i-- > 0;)
    if (env.indices[i].first == name)
      return builder.index(env.indices[i].second, expr->loc);
  if (env.params) {
    auto it = env.params->find(name);
    if (it != env.params->end())
      return it->second;
  } else if (env.scope && env.place != Env::Place::Const) {
    auto scalar = env.scope->scalars.find(name);
    if (scalar != env.scope->scalars.end())
      return scalar->second;
    if (View *view = lookup(env.scope, name)) {
      if (!view->info)
        return nullptr;
      if (view->subscripts.empty())
        return readTensor(*view, {}, expr->range, env);
      needsIndices(*view, expr->range);
      return nullptr;
    }
    auto let = env.scope->lets.find(name);
    if (let != env.scope->lets.end())
      return resolveLet(*let->second, expr->range, env);
    auto size = env.scope->sizes.find(name);
    if (size != env.scope->sizes.end())
      return resolveSize(size->second, expr->loc);
  }
  if (file.consts.count(name)) {
    const ConstValue *value = constant(name);
    if (!value)
      return nullptr;
    return value->isInt ? builder.integer(value->integer, expr->loc)
                        : builder.real(value->real, expr->loc);
  }
  if (name == "pi")
    return builder.real(M_PI, expr->loc);
  if (name == "inf")
    return builder.real(HUGE_VAL, expr->loc);
  if (name == "true" || name == "false")
    return builder.boolean(name == "true", expr->loc);
  unknownName(name, expr->range, env);
  return nullptr;
}

//===----------------------------------------------------------------------===//
// Accesses
//===----------------------------------------------------------------------===//

LLVM_ATTRIBUTE_NOINLINE
void KernelAnalyzer::notATensor(const ast::AccessExpr *expr, Env &env) {
  llvm::StringRef name = expr->name.text;
  llvm::SmallVector<llvm::StringRef> names;
  if (env.scope && !env.params && env.place != Env::Place::Const)
    for (auto &view : env.scope->viewPool)
      names.push_back(view->name);
  bool known =
      env.scope && !env.params &&
      (env.scope->declared.count(name) || env.scope->scalars.count(name));
  for (auto &[index, unused] : env.indices)
    known |= index == name;
  auto &&error =
      reporter.error(expr->name.range, known ? "`" + name + "` is not a tensor"
                                             : "unknown tensor `" + name + "`");
  if (env.params || env.place == Env::Place::Const) {
    error.expected("numbers, constants and parameters only")
        .hint("tensors can only be read in the equations of a kernel");
    return;
  }
  error.expected("an argument, a result, a state or a local");
  llvm::StringRef near = nearest(name, names);
  if (!near.empty())
    error.hint("did you mean `" + near + "`?");
  else if (!known)
    error.hint("declare it as an argument, or define it with an equation");
}

LLVM_ATTRIBUTE_NOINLINE
void KernelAnalyzer::wrongRank(View &view, size_t found, llvm::SMRange range) {
  size_t want = view.subscripts.size();
  auto &&error =
      reporter.error(range, "wrong number of indices for `" + view.name + "`");
  std::string shape;
  for (unsigned i : view.subscripts) {
    const Dim &dim = view.info->dims[i];
    shape += (shape.empty() ? "" : ", ") +
             (dim.known ? polys.str(dim.poly) : std::string("?"));
  }
  error.expected(countOf(want, "index", "indices") +
                 (want ? ", over [" + shape + "]" : ""));
  error.found(countOf(found, "index", "indices"));
  if (found == view.slots.size() && found != want)
    error.hint("batch dims are left out of every index list");
  else if (view.role == Tensor::Role::State && found + view.alongCount == want)
    error.hint("a state has the index of the dim it runs along in front, such "
               "as `" +
               view.name + "[t-1, ..]`");
  error.note(view.decl, "`" + view.name + "` is declared here");
}

static bool readsTensor(const Expr *expr) {
  if (expr->kind == Expr::Kind::Read &&
      (!expr->args.empty() || expr->tensor->role != Tensor::Role::Argument))
    return true;
  if (expr->filter && readsTensor(expr->filter))
    return true;
  for (const Expr *arg : expr->args)
    if (readsTensor(arg))
      return true;
  return false;
}

static Type typeOf(model::DType dtype) {
  switch (dtype) {
  case model::DType::I32:
  case model::DType::I64:
    return Type::Int;
  case model::DType::Bool:
    return Type::Bool;
  default:
    return Type::Real;
  }
}

/// `subscripts` without batch dims; their number is right.
const Expr *KernelAnalyzer::readTensor(View &view,
                                       llvm::ArrayRef<const Expr *> subscripts,
                                       llvm::SMRange range, Env &env) {
  Expr read;
  read.kind = Expr::Kind::Read;
  read.type = typeOf(view.info->tensor->dtype);
  read.loc = range.Start;
  read.tensor = view.info->tensor;
  size_t next = 0;
  for (unsigned i = 0; i < view.slots.size(); ++i) {
    const View::Slot &slot = view.slots[i];
    if (slot.batch < 0) {
      const Expr *subscript = subscripts[next++];
      if (subscript->kind == Expr::Kind::Index)
        env.scope->uses.push_back({subscript->index, view.info, i, range});
      else
        env.scope->shifts.push_back(
            {subscript,
             view.role == Tensor::Role::State &&
                 i >= view.info->tensor->alongBegin &&
                 i < view.info->tensor->alongBegin + view.alongCount,
             {nullptr, view.info, i, range}});
      if (readsTensor(subscript)) {
        read.data.resize(view.slots.size());
        read.data[i] = true;
      }
      read.args.push_back(subscript);
      continue;
    }
    const Index *index = env.batch ? (*env.batch)[slot.batch] : nullptr;
    if (!index) {
      llvm::StringRef batch = env.scope->batch[slot.batch].name;
      reporter
          .error(range, "`" + view.name + "` depends on the batch dim `" +
                            batch + "`, which what is defined here lacks")
          .hint("give the left side the dim `" + batch + "`")
          .note(view.decl, "`" + view.name + "` is declared here");
      return nullptr;
    }
    const Expr *subscript = builder.index(index, range.Start);
    if (slot.divisor != Poly(1))
      subscript =
          builder.apply(model::Op::FloorDiv,
                        {subscript, polyExpr(slot.divisor)}, range.Start);
    read.args.push_back(subscript);
  }
  return builder.make(std::move(read));
}

const Expr *KernelAnalyzer::resolveAccess(const ast::AccessExpr *expr,
                                          Env &env) {
  View *view = env.params || env.place == Env::Place::Const
                   ? nullptr
                   : lookup(env.scope, expr->name.text);
  if (!view)
    notATensor(expr, env);
  llvm::SmallVector<const Expr *, 6> subscripts;
  bool bad = !view || !view->info;
  ++env.inSubscript;
  for (const ast::Expr *text : expr->subscripts) {
    const Expr *subscript = resolve(text, env);
    bad |= !wantInt(subscript, text, "a subscript");
    subscripts.push_back(subscript);
  }
  --env.inSubscript;
  if (view && view->info && subscripts.size() != view->subscripts.size()) {
    wrongRank(*view, subscripts.size(), expr->range);
    return nullptr;
  }
  if (bad)
    return nullptr;
  std::vector<Use> &uses = env.scope->uses;
  size_t firstUse = uses.size();
  const Expr *read = readTensor(*view, subscripts, expr->range, env);
  // Point at the subscripts themselves.
  for (size_t i = firstUse; i < uses.size(); ++i)
    for (size_t s = 0; s < subscripts.size(); ++s)
      if (view->subscripts[s] == uses[i].dim)
        uses[i].range = expr->subscripts[s]->range;
  return read;
}

//===----------------------------------------------------------------------===//
// Operators
//===----------------------------------------------------------------------===//

const Expr *KernelAnalyzer::resolveUnary(const ast::UnaryExpr *expr, Env &env) {
  const Expr *operand = resolve(expr->operand, env);
  if (expr->op == ast::UnaryOp::Not)
    return wantBool(operand, expr->operand, "`not`")
               ? builder.apply(Op::Not, operand, expr->loc)
               : nullptr;
  return wantNumber(operand, expr->operand, "`-`")
             ? checkMagnitude(builder.apply(Op::Neg, operand, expr->loc),
                              expr->range, env)
             : nullptr;
}

/// How large an integer is in terms of its constants, where indices, sizes and
/// values of tensors count as 1.
double KernelAnalyzer::magnitude(const Expr *expr) {
  if (expr->kind == Expr::Kind::IntConst)
    return std::fabs(double(expr->integer));
  if (expr->kind != Expr::Kind::Apply || expr->type != Type::Int)
    return 1;
  auto [it, isNew] = magnitudes.try_emplace(expr, 1);
  if (!isNew)
    return it->second;
  double result = 1;
  switch (expr->op) {
  case Op::Add:
  case Op::Sub:
    result = magnitude(expr->args[0]) + magnitude(expr->args[1]);
    break;
  case Op::Mul:
    result = magnitude(expr->args[0]) * magnitude(expr->args[1]);
    break;
  case Op::FloorDiv:
  case Op::Neg:
  case Op::Abs:
    result = magnitude(expr->args[0]);
    break;
  case Op::Mod:
    result = magnitude(expr->args[1]);
    break;
  case Op::Max:
  case Op::Min:
    result = std::max(magnitude(expr->args[0]), magnitude(expr->args[1]));
    break;
  case Op::Select:
    result = std::max(magnitude(expr->args[1]), magnitude(expr->args[2]));
    break;
  default:
    break;
  }
  return magnitudes[expr] = result;
}

bool KernelAnalyzer::checkMagnitude(double value, llvm::SMRange range) {
  if (value < 0x1p53)
    return true;
  reporter.error(range, "the integers here may not fit in 64 bits")
      .expected("constants that come to less than 2^53, beside indices and "
                "sizes")
      .found(llvm::formatv("about {0:e2}", value).str())
      .hint("numbers with a point, as in `2.0`, are real and larger");
  return false;
}

/// The definition of a constant has a report of its own.
const Expr *KernelAnalyzer::checkMagnitude(const Expr *expr,
                                           llvm::SMRange range,
                                           const Env &env) {
  if (!expr || expr->type != Type::Int || expr->kind == Expr::Kind::IntConst ||
      env.place == Env::Place::Const)
    return expr;
  return checkMagnitude(magnitude(expr), range) ? expr : nullptr;
}

static Op opOf(ast::BinaryOp op) {
  switch (op) {
  case ast::BinaryOp::Or:
    return Op::Or;
  case ast::BinaryOp::And:
    return Op::And;
  case ast::BinaryOp::Eq:
    return Op::Eq;
  case ast::BinaryOp::Ne:
    return Op::Ne;
  case ast::BinaryOp::Lt:
    return Op::Lt;
  case ast::BinaryOp::Le:
    return Op::Le;
  case ast::BinaryOp::Gt:
    return Op::Gt;
  case ast::BinaryOp::Ge:
    return Op::Ge;
  case ast::BinaryOp::Add:
    return Op::Add;
  case ast::BinaryOp::Sub:
    return Op::Sub;
  case ast::BinaryOp::Mul:
    return Op::Mul;
  case ast::BinaryOp::Div:
    return Op::Div;
  case ast::BinaryOp::Mod:
    return Op::Mod;
  case ast::BinaryOp::Pow:
    return Op::Pow;
  }
  return Op::Add;
}

LLVM_ATTRIBUTE_NOINLINE
const Expr *KernelAnalyzer::resolveIntegerOp(Op op, llvm::StringRef name,
                                             const Expr *a, const Expr *b,
                                             const ast::Expr *aText,
                                             const ast::Expr *bText,
                                             llvm::SMRange range) {
  bool good = wantInt(a, aText, "an operand of `" + name.str() + "`");
  good &= wantInt(b, bText, "an operand of `" + name.str() + "`");
  if (!good)
    return nullptr;
  if (b->kind == Expr::Kind::IntConst && b->integer <= 0) {
    reporter
        .error(bText->range, "`" + name + "` by " + std::to_string(b->integer))
        .expected("a positive divisor");
    return nullptr;
  }
  return builder.apply(op, {a, b}, range.Start);
}

LLVM_ATTRIBUTE_NOINLINE
const Expr *KernelAnalyzer::resolveCompare(const ast::BinaryExpr *expr,
                                           const Expr *lhs, const Expr *rhs) {
  std::string name = "`" + ast::spelling(expr->op).str() + "`";
  if (lhs && rhs && lhs->type == Type::Bool && rhs->type == Type::Bool) {
    reporter.error(expr->range, name + " cannot compare conditions")
        .expected("numbers on both sides")
        .hint("use `and`, `or` and `not`; comparisons are not chained");
    return nullptr;
  }
  bool good = wantNumber(lhs, expr->lhs, name);
  good &= wantNumber(rhs, expr->rhs, name);
  return good ? builder.numeric(opOf(expr->op), lhs, rhs, expr->loc) : nullptr;
}

/// Whole powers of whole constants stay whole.
static std::optional<int64_t> integerPower(const Expr *base,
                                           const Expr *exponent) {
  if (base->kind != Expr::Kind::IntConst ||
      exponent->kind != Expr::Kind::IntConst || exponent->integer < 0)
    return std::nullopt;
  if (base->integer >= -1 && base->integer <= 1) // 0, 1, -1 to any power
    return exponent->integer == 0  ? 1
           : exponent->integer % 2 ? base->integer
                                   : base->integer * base->integer;
  int64_t result = 1;
  for (int64_t i = 0; i < exponent->integer; ++i)
    if (__builtin_mul_overflow(result, base->integer, &result))
      return std::nullopt;
  return result;
}

const Expr *KernelAnalyzer::resolveBinary(const ast::BinaryExpr *expr,
                                          Env &env) {
  const Expr *lhs = resolve(expr->lhs, env);
  const Expr *rhs = resolve(expr->rhs, env);
  switch (expr->op) {
  case ast::BinaryOp::Or:
  case ast::BinaryOp::And: {
    llvm::StringRef name = expr->op == ast::BinaryOp::Or ? "`or`" : "`and`";
    bool good = wantBool(lhs, expr->lhs, name);
    good &= wantBool(rhs, expr->rhs, name);
    return good ? builder.apply(opOf(expr->op), {lhs, rhs}, expr->loc)
                : nullptr;
  }
  case ast::BinaryOp::Eq:
  case ast::BinaryOp::Ne:
  case ast::BinaryOp::Lt:
  case ast::BinaryOp::Le:
  case ast::BinaryOp::Gt:
  case ast::BinaryOp::Ge:
    return resolveCompare(expr, lhs, rhs);
  case ast::BinaryOp::Mod:
    return resolveIntegerOp(Op::Mod, "mod", lhs, rhs, expr->lhs, expr->rhs,
                            expr->opRange);
  default:
    break;
  }
  bool good = wantNumber(lhs, expr->lhs, "arithmetic");
  good &= wantNumber(rhs, expr->rhs, "arithmetic");
  if (!good)
    return nullptr;
  if (expr->op == ast::BinaryOp::Div)
    return builder.realOp(Op::Div, {lhs, rhs}, expr->loc);
  if (expr->op == ast::BinaryOp::Pow) {
    if (std::optional<int64_t> power = integerPower(lhs, rhs))
      return builder.integer(*power, expr->loc);
    return builder.realOp(Op::Pow, {lhs, rhs}, expr->loc);
  }
  return checkMagnitude(builder.numeric(opOf(expr->op), lhs, rhs, expr->loc),
                        expr->range, env);
}

const Expr *KernelAnalyzer::condition(const ast::Expr *text,
                                      llvm::StringRef forWhat, Env &env) {
  const Expr *value = resolve(text, env);
  return wantBool(value, text, forWhat) ? value : nullptr;
}

const Expr *KernelAnalyzer::resolveIf(const ast::IfExpr *expr, Env &env) {
  const Expr *test = condition(expr->condition, "`if`", env);
  const Expr *a = resolve(expr->thenValue, env);
  const Expr *b = resolve(expr->elseValue, env);
  if (!test || !a || !b)
    return nullptr;
  if ((a->type == Type::Bool) != (b->type == Type::Bool)) {
    wantNumber(a, expr->thenValue, "the other branch of this `if`");
    wantNumber(b, expr->elseValue, "the other branch of this `if`");
    return nullptr;
  }
  if (a->type != b->type) {
    a = builder.toReal(a);
    b = builder.toReal(b);
  }
  return builder.apply(Op::Select, {test, a, b}, expr->loc);
}
