//===- Extrema.cpp - Expressions as maxima of branches --------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Analysis/Extrema.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "passes/Algebra/Range.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::algebra;
using namespace rondo::analysis;

std::optional<Extremum> rondo::analysis::asExtremum(Expr expr) {
  if (expr->isOp("arith.maximumf") || expr->isOp("arith.maxnumf"))
    return Extremum{true, expr->args[0], expr->args[1]};
  if (expr->isOp("arith.minimumf") || expr->isOp("arith.minnumf"))
    return Extremum{false, expr->args[0], expr->args[1]};
  if (!expr->isOp("arith.select") || !expr->args[0]->isOp("arith.cmpf"))
    return std::nullopt;
  Expr condition = expr->args[0], a = condition->args[0],
       b = condition->args[1];
  bool isGreater;
  using Predicate = arith::CmpFPredicate;
  auto attr = condition->attributes.getAs<IntegerAttr>("predicate");
  switch (static_cast<Predicate>(attr ? attr.getInt() : 0)) {
  case Predicate::OGT:
  case Predicate::OGE:
  case Predicate::UGT:
  case Predicate::UGE:
    isGreater = true;
    break;
  case Predicate::OLT:
  case Predicate::OLE:
  case Predicate::ULT:
  case Predicate::ULE:
    isGreater = false;
    break;
  default:
    return std::nullopt;
  }
  if (expr->args[1] == a && expr->args[2] == b)
    return Extremum{isGreater, a, b};
  if (expr->args[1] == b && expr->args[2] == a)
    return Extremum{!isGreater, a, b};
  return std::nullopt;
}

/// The operands of log(exp(a) + exp(b)), in the ways it is written:
/// max(a, b) + log1p(exp(-|a - b|)), a + softplus(b - a), log(exp(a) + exp(b)).
static std::optional<std::pair<Expr, Expr>> asLogAddExp(Expr expr) {
  if (expr->isOp("math.log") && expr->args[0]->isOp("arith.addf")) {
    Expr a = expr->args[0]->args[0], b = expr->args[0]->args[1];
    if (a->isOp("math.exp") && b->isOp("math.exp"))
      return std::pair(a->args[0], b->args[0]);
  }
  if (!expr->isOp("arith.addf"))
    return std::nullopt;
  for (unsigned i : {0, 1}) {
    Expr first = expr->args[i], second = expr->args[1 - i];
    if (second->isOp("rondo.softplus") &&
        second->args[0]->isOp("arith.subf") &&
        second->args[0]->args[1] == first)
      return std::pair(first, second->args[0]->args[0]);
    std::optional<Extremum> extremum = asExtremum(first);
    if (!extremum || !extremum->isMax || !second->isOp("math.log1p") ||
        !second->args[0]->isOp("math.exp"))
      continue;
    Expr exponent = second->args[0]->args[0];
    if (!exponent->isOp("arith.negf") ||
        !exponent->args[0]->isOp("math.absf"))
      continue;
    Expr difference = exponent->args[0]->args[0];
    if (difference->isOp("arith.subf") &&
        ((difference->args[0] == extremum->a &&
          difference->args[1] == extremum->b) ||
         (difference->args[0] == extremum->b &&
          difference->args[1] == extremum->a)))
      return std::pair(extremum->a, extremum->b);
  }
  return std::nullopt;
}

/// More branches than this are not worth a closed form.
static constexpr size_t maxBranches = 16;

SmallVector<Expr> Extrema::visit(Expr expr, bool flip) {
  if (isFree(expr) || isState(expr))
    return {expr};
  auto both = [&](Expr a, Expr b) {
    SmallVector<Expr> result = visit(a, flip);
    llvm::append_range(result, visit(b, flip));
    return result;
  };
  auto mapped = [](SmallVector<Expr> list, auto make) {
    for (Expr &each : list)
      each = make(each);
    return list;
  };
  if (auto operands = asLogAddExp(expr)) {
    hasLog = true;
    return both(operands->first, operands->second);
  }
  if (std::optional<Extremum> extremum = asExtremum(expr)) {
    (extremum->isMax != flip ? hasMax : hasMin) = true;
    return both(extremum->a, extremum->b);
  }
  if (expr->kind == Kind::Reduce && !expr->args[1] &&
      (expr->combiner == Combiner::Max || expr->combiner == Combiner::Min)) {
    ((expr->combiner == Combiner::Max) != flip ? hasMax : hasMin) = true;
    SmallVector<Expr> body = visit(expr->args[0], flip);
    // One branch a point: a second one keeps it from being a single read.
    if (body.size() == 1)
      body.push_back(context.real(0, expr->type));
    return body;
  }
  if (expr->isOp("arith.negf"))
    return mapped(visit(expr->args[0], !flip),
                  [&](Expr e) { return context.neg(e); });
  if (expr->isOp("arith.mulf"))
    for (unsigned i : {0, 1})
      if (isFree(expr->args[i]) && rangeOf(expr->args[i]).isNonNegative())
        return mapped(visit(expr->args[1 - i], flip), [&](Expr e) {
          return context.mul(expr->args[i], e);
        });
  bool isSum = expr->isOp("arith.addf");
  if (isSum || expr->isOp("arith.subf")) {
    SmallVector<Expr> result, left = visit(expr->args[0], flip),
                              right = visit(expr->args[1], flip != !isSum);
    if (left.size() * right.size() > maxBranches)
      return {expr};
    for (Expr a : left)
      for (Expr b : right)
        result.push_back(isSum ? context.add(a, b) : context.sub(a, b));
    return result;
  }
  return {expr};
}

bool Extrema::collect(Expr expr) {
  branches = visit(expr, false);
  return branches.size() <= maxBranches;
}
