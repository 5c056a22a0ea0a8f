//===- Reductions.cpp - Reductions, softmax and grad ----------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontend/Sema/Internal.h"

using namespace rondo::frontend;
using namespace rondo::frontend::sema;
using model::Op;
using model::Reduction;
using model::Type;

Index *KernelAnalyzer::newIndex(llvm::StringRef name, llvm::SMRange decl,
                                const EqInfo *eq) {
  auto index = std::make_unique<Index>();
  index->name = name.str();
  index->loc = decl.Start;
  auto info = std::make_unique<IndexInfo>();
  info->index = index.get();
  info->decl = decl;
  info->eq = eq;
  infoOfIndex[index.get()] = info.get();
  polys.indexAtom(index.get()); // proofs go through the atoms in this order
  indexInfos.push_back(std::move(info));
  kernel.indexPool.push_back(std::move(index));
  return kernel.indexPool.back().get();
}

/// What a range may not depend on: the value of a tensor or of a reduction.
static const Expr *findValue(const Expr *expr) {
  if (expr->kind == Expr::Kind::Read || expr->kind == Expr::Kind::Reduce ||
      expr->kind == Expr::Kind::Softmax)
    return expr;
  for (const Expr *arg : expr->args)
    if (const Expr *found = findValue(arg))
      return found;
  return nullptr;
}

/// An end of a range: an integer known without reading a tensor.
const Expr *KernelAnalyzer::bound(const ast::Expr *text, Env &env) {
  const Expr *value = resolve(text, env);
  if (!wantInt(value, text, "an end of a range"))
    return nullptr;
  if (const Expr *found = findValue(value)) {
    reporter
        .error(text->range, "a range cannot depend on the value of " +
                                (found->tensor ? "`" + found->tensor->name + "`"
                                               : std::string("a reduction")))
        .expected("an integer expression of sizes, constants and indices")
        .hint("take the whole range and filter it: `sum[i | i < ..] ..`");
    return nullptr;
  }
  return value;
}

/// Makes the index and brings it into scope; null after an error.
Index *KernelAnalyzer::bindIndex(const ast::ReduceIndex &item, Env &env) {
  llvm::StringRef name = item.name.text;
  if (!env.params && env.scope && env.scope->sizes.count(name)) {
    reporter
        .error(item.name.range, "`" + name +
                                    "` is a size; an index needs a "
                                    "name of its own")
        .hint("write `i in 0.." + name + "`");
    return nullptr;
  }
  if (!env.params && env.eq)
    for (const Index *left : env.eq->eq->indices)
      if (left->name == name && !infoOf(left).batch) {
        bool visible = false;
        for (auto &[other, index] : env.indices)
          visible |= index == left;
        if (visible)
          reporter
              .warning(item.name.range, "index `" + name +
                                            "` of the reduction hides the "
                                            "index on the left side")
              .hint("give one of them another name")
              .note(infoOf(left).decl, "on the left side here");
      }
  const Expr *lower = nullptr, *upper = nullptr;
  if (item.upper) {
    lower = item.lower ? bound(item.lower, env) : nullptr;
    upper = bound(item.upper, env);
    if ((item.lower && !lower) || !upper ||
        !checkMagnitude(magnitude(upper) + (lower ? magnitude(lower) : 0),
                        item.upper->range)) {
      // The name is known all the same: no second report where it is used.
      lower = nullptr;
      upper = builder.integer(0, item.name.loc());
    }
  }
  Index *index = newIndex(name, item.name.range, env.eq);
  infoOf(index).explicitRange = item.upper != nullptr;
  bool zero =
      lower && lower->kind == Expr::Kind::IntConst && lower->integer == 0;
  index->lower = zero ? nullptr : lower;
  index->upper = upper;
  env.indices.emplace_back(name, index);
  return index;
}

/// Brings all indices into scope; false after an error.
bool KernelAnalyzer::bindReduction(const ast::ReduceExpr *expr, Env &env,
                                   std::vector<const Index *> &out) {
  bool good = true;
  for (size_t i = 0; i < expr->indices.size(); ++i) {
    for (size_t k = 0; k < i; ++k)
      if (expr->indices[k].name.text == expr->indices[i].name.text) {
        reporter
            .error(expr->indices[i].name.range,
                   "index `" + expr->indices[i].name.text +
                       "` is bound twice by one reduction")
            .note(expr->indices[k].name.range, "first bound here");
        good = false;
      }
    const Index *index = bindIndex(expr->indices[i], env);
    good &= index != nullptr;
    if (index)
      out.push_back(index);
  }
  return good;
}

static Reduction reductionOf(ast::ReduceOp op) {
  switch (op) {
  case ast::ReduceOp::Sum:
    return Reduction::Sum;
  case ast::ReduceOp::Prod:
    return Reduction::Prod;
  case ast::ReduceOp::Max:
    return Reduction::Max;
  case ast::ReduceOp::Min:
    return Reduction::Min;
  case ast::ReduceOp::Any:
    return Reduction::Any;
  case ast::ReduceOp::All:
    return Reduction::All;
  default:
    return Reduction::LogSumExp;
  }
}

const Expr *KernelAnalyzer::resolveReduce(const ast::ReduceExpr *expr,
                                          Env &env) {
  size_t outer = env.indices.size();
  unsigned inSubscript = env.inSubscript;
  env.inSubscript = 0;
  Expr node;
  node.kind = Expr::Kind::Reduce;
  node.loc = expr->loc;
  node.reduction = reductionOf(expr->op);
  bool good = bindReduction(expr, env, node.indices);
  if (expr->filter) {
    node.filter = condition(expr->filter, "a filter", env);
    good &= node.filter != nullptr;
  }
  const Expr *body = resolve(expr->body, env);
  env.indices.resize(outer);
  env.inSubscript = inSubscript;

  std::string name = "`" + ast::spelling(expr->op).str() + "`";
  if (node.reduction == Reduction::Any || node.reduction == Reduction::All) {
    good &= wantBool(body, expr->body, name);
    node.type = Type::Bool;
  } else {
    good &= wantNumber(body, expr->body, name);
    // An empty max is -inf and so no integer.
    bool staysInt =
        node.reduction == Reduction::Sum || node.reduction == Reduction::Prod;
    if (good && !staysInt)
      body = builder.toReal(body);
    node.type = body ? body->type : Type::Real;
  }
  if (!good)
    return nullptr;
  node.args = {body};
  return builder.make(std::move(node));
}

/// The value of softmax at indices in scope: args and filter are resolved with
/// fresh indices in their place.
const Expr *KernelAnalyzer::resolveSoftmax(const ast::ReduceExpr *expr,
                                           Env &env) {
  Expr node;
  node.kind = Expr::Kind::Softmax;
  node.type = Type::Real;
  node.loc = expr->loc;
  bool good = true;
  for (const ast::ReduceIndex &item : expr->indices) {
    const Index *at = nullptr;
    for (auto &[name, index] : env.indices)
      if (name == item.name.text)
        at = index;
    if (!at) {
      llvm::StringRef name = item.name.text;
      reporter
          .error(item.name.range,
                 "index `" + name + "` of `softmax` is not in scope here")
          .expected("an index at which the value of softmax is wanted")
          .hint("`softmax[" + name + "] ..` is a value at each `" + name +
                "`: use it under `sum[" + name + "]`, or write `" + name +
                "` on the left side; `logsumexp[" + name +
                "]` reduces over it");
      good = false;
    }
    node.at.push_back(at);
  }
  if (!good)
    return nullptr;

  size_t outer = env.indices.size();
  // The inner index hides the one on the left on purpose.
  EqInfo *eq = env.eq;
  env.eq = nullptr;
  good = bindReduction(expr, env, node.indices);
  env.eq = eq;
  for (size_t i = 0; good && i < node.indices.size(); ++i) {
    IndexInfo &info = infoOf(node.indices[i]);
    info.eq = eq;
    if (!info.explicitRange)
      info.sameAs = node.at[i];
  }
  unsigned inSubscript = env.inSubscript;
  env.inSubscript = 0;
  if (expr->filter) {
    node.filter = condition(expr->filter, "a filter", env);
    good &= node.filter != nullptr;
  }
  const Expr *body = resolve(expr->body, env);
  env.indices.resize(outer);
  env.inSubscript = inSubscript;
  if (!wantNumber(body, expr->body, "`softmax`") || !good)
    return nullptr;
  node.args = {builder.toReal(body)};

  // Outside a written range the value is 0, as where the filter is false.
  const Expr *inside = nullptr;
  auto require = [&](Op op, const Expr *a, const Expr *b) {
    const Expr *test = builder.apply(op, {a, b}, expr->loc);
    inside = inside ? builder.apply(Op::And, {inside, test}, expr->loc) : test;
  };
  for (size_t i = 0; i < node.indices.size(); ++i) {
    if (!infoOf(node.indices[i]).explicitRange)
      continue;
    const Expr *at = builder.index(node.at[i], expr->loc);
    if (const Expr *lower = node.indices[i]->lower)
      require(Op::Ge, at, lower);
    require(Op::Lt, at, node.indices[i]->upper);
  }
  const Expr *value = builder.make(std::move(node));
  if (!inside)
    return value;
  return builder.apply(Op::Select, {inside, value, builder.real(0, expr->loc)},
                       expr->loc);
}

const Expr *KernelAnalyzer::resolveGrad(const ast::GradExpr *expr, Env &env) {
  const Expr *value = resolve(expr->value, env);
  const Expr *access = resolve(expr->access, env);
  bool good = wantNumber(value, expr->value, "`grad`");
  if (access && (access->kind != Expr::Kind::Read ||
                 access->tensor->role != Tensor::Role::State)) {
    reporter
        .error(expr->access->range, "`grad` is taken with respect to `" +
                                        expr->access->name.text +
                                        "`, which is no state")
        .expected("an access of a state, such as `S[t-1, i, j]`");
    return nullptr;
  }
  if (!good || !access)
    return nullptr;
  Expr node;
  node.kind = Expr::Kind::Grad;
  node.type = Type::Real;
  node.loc = expr->loc;
  node.args = {builder.toReal(value), access};
  return builder.make(std::move(node));
}
