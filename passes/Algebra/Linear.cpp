//===- Linear.cpp - Affine forms of expressions ---------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Algebra/Linear.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/DenseSet.h"
#include <cmath>

using namespace mlir;
using namespace rondo;
using namespace rondo::algebra;

bool rondo::algebra::contains(Expr expr, llvm::function_ref<bool(Expr)> test) {
  bool found = false;
  walk(expr, [&](Expr node) { found |= test(node); });
  return found;
}

namespace {

/// More terms than this are not worth a closed form.
constexpr unsigned maxTerms = 64;

class Linearizer {
public:
  Linearizer(Context &context, llvm::function_ref<bool(Expr)> isState)
      : context(context), isState(isState) {}

  std::optional<Affine> visit(Expr expr);

private:
  std::optional<Affine> visitApply(Expr expr);
  std::optional<Affine> visitReduce(Expr expr);
  bool isFree(Expr expr) {
    auto [it, isNew] = free.try_emplace(expr, false);
    if (isNew)
      it->second = !contains(expr, isState);
    return free[expr];
  }
  Affine scaled(const Affine &affine, llvm::function_ref<Expr(Expr)> scale);
  static bool add(Affine &into, const Affine &more) {
    into.terms.append(more.terms.begin(), more.terms.end());
    return into.terms.size() <= maxTerms;
  }

  Context &context;
  llvm::function_ref<bool(Expr)> isState;
  llvm::DenseMap<Expr, bool> free;
};

Affine Linearizer::scaled(const Affine &affine,
                          llvm::function_ref<Expr(Expr)> scale) {
  Affine result;
  for (const LinearTerm &term : affine.terms)
    result.terms.push_back(
        {scale(term.coefficient), term.read, term.variables});
  result.constant = scale(affine.constant);
  return result;
}

std::optional<Affine> Linearizer::visit(Expr expr) {
  if (isFree(expr))
    return Affine{{}, expr};
  if (isState(expr))
    return Affine{{{context.real(1, expr->type), expr, {}}},
                  context.real(0, expr->type)};
  if (expr->kind == Kind::Apply)
    return visitApply(expr);
  if (expr->kind == Kind::Reduce)
    return visitReduce(expr);
  return std::nullopt;
}

std::optional<Affine> Linearizer::visitApply(Expr expr) {
  ArrayRef<Expr> args = expr->args;
  if (expr->isOp("arith.addf") || expr->isOp("arith.subf")) {
    std::optional<Affine> a = visit(args[0]), b = visit(args[1]);
    if (!a || !b)
      return std::nullopt;
    bool negate = expr->isOp("arith.subf");
    Affine rest =
        negate ? scaled(*b, [&](Expr e) { return context.neg(e); }) : *b;
    Affine result = *a;
    result.constant = negate ? context.sub(a->constant, b->constant)
                             : context.add(a->constant, b->constant);
    if (!add(result, rest))
      return std::nullopt;
    return result;
  }
  if (expr->isOp("arith.negf")) {
    std::optional<Affine> a = visit(args[0]);
    if (!a)
      return std::nullopt;
    return scaled(*a, [&](Expr e) { return context.neg(e); });
  }
  if (expr->isOp("arith.mulf")) {
    for (unsigned i : {0, 1}) {
      if (!isFree(args[i]))
        continue;
      std::optional<Affine> other = visit(args[1 - i]);
      if (!other)
        return std::nullopt;
      return scaled(*other, [&](Expr e) { return context.mul(args[i], e); });
    }
    return std::nullopt;
  }
  if (expr->isOp("arith.divf") && isFree(args[1])) {
    std::optional<Affine> a = visit(args[0]);
    if (!a)
      return std::nullopt;
    return scaled(*a, [&](Expr e) { return context.div(e, args[1]); });
  }
  if (expr->isOp("arith.select") && isFree(args[0])) {
    std::optional<Affine> a = visit(args[1]), b = visit(args[2]);
    if (!a || !b)
      return std::nullopt;
    Expr zero = context.real(0, expr->type);
    Affine result =
        scaled(*a, [&](Expr e) { return context.select(args[0], e, zero); });
    Affine rest =
        scaled(*b, [&](Expr e) { return context.select(args[0], zero, e); });
    result.constant = context.select(args[0], a->constant, b->constant);
    // The same read in both branches is one term.
    for (LinearTerm &term : rest.terms) {
      auto same = llvm::find_if(result.terms, [&](const LinearTerm &each) {
        return each.read == term.read && each.variables == term.variables;
      });
      if (same == result.terms.end())
        result.terms.push_back(term);
      else
        same->coefficient = context.add(same->coefficient, term.coefficient);
    }
    return result;
  }
  return std::nullopt;
}

std::optional<Affine> Linearizer::visitReduce(Expr expr) {
  if (expr->combiner != Combiner::Sum)
    return std::nullopt;
  Expr body = expr->args[0], filter = expr->args[1];
  if (filter && !isFree(filter))
    return std::nullopt;
  std::optional<Affine> inner = visit(body);
  if (!inner)
    return std::nullopt;
  Affine result;
  Expr zero = context.real(0, expr->type);
  for (LinearTerm term : inner->terms) {
    if (filter)
      term.coefficient = context.select(filter, term.coefficient, zero);
    term.variables.append(expr->variables.begin(), expr->variables.end());
    result.terms.push_back(term);
  }
  result.constant =
      filter ? context.reduce(Combiner::Sum, expr->variables, inner->constant,
                              filter)
             : sumOut(context, inner->constant, expr->variables);
  return result;
}

} // namespace

//===----------------------------------------------------------------------===//
// Sums over a Kronecker delta
//===----------------------------------------------------------------------===//

bool rondo::algebra::isSameExtent(Value a, Value b) {
  if (!a || !b || a == b)
    return a && b;
  auto first = a.getDefiningOp<SizeOp>(), second = b.getDefiningOp<SizeOp>();
  if (first && second)
    return first.getName() == second.getName();
  APInt x, y;
  return matchPattern(a, m_ConstantInt(&x)) &&
         matchPattern(b, m_ConstantInt(&y)) && x == y;
}

Value rondo::algebra::extentOf(Expr index) {
  if (index->kind == Kind::Variable)
    return matchPattern(index->variable->lower, m_Zero())
               ? index->variable->upper
               : Value();
  auto argument = index->kind == Kind::Value
                      ? dyn_cast<BlockArgument>(index->value)
                      : BlockArgument();
  if (!argument || !argument.getType().isIndex())
    return Value();
  Operation *owner = argument.getOwner()->getParentOp();
  unsigned number = argument.getArgNumber();
  if (auto equation = dyn_cast<EquationOp>(owner))
    return number < equation.getSizes().size() ? equation.getSizes()[number]
                                               : Value();
  auto recurrence = dyn_cast<RecurrenceOp>(owner);
  return recurrence ? recurrence.getSizes()[number] : Value();
}

/// Whether the index `expr` takes values of the range of `variable` only.
static bool isInRange(const Variable *variable, Expr expr) {
  return matchPattern(variable->lower, m_Zero()) &&
         isSameExtent(extentOf(expr), variable->upper);
}

namespace {

/// variable == value, as the condition of a select.
struct Delta {
  const Variable *variable = nullptr;
  Expr value = nullptr;
  Expr rest = nullptr; // what else the condition demands
  bool negated = false;
};

} // namespace

static std::optional<Delta> findDelta(Context &context, Expr condition,
                                      ArrayRef<const Variable *> variables) {
  if (condition->isOp("arith.andi"))
    for (unsigned i : {0, 1})
      if (std::optional<Delta> delta =
              findDelta(context, condition->args[i], variables);
          delta && !delta->negated) {
        Expr other = condition->args[1 - i];
        delta->rest = delta->rest ? context.logicalAnd(delta->rest, other)
                                  : other;
        return delta;
      }
  if (!condition->isOp("arith.cmpi"))
    return std::nullopt;
  auto predicate = condition->attributes.getAs<IntegerAttr>("predicate");
  bool isEqual = predicate && predicate.getInt() == 0;
  if (!isEqual && !(predicate && predicate.getInt() == 1))
    return std::nullopt;
  for (unsigned i : {0, 1}) {
    Expr variable = condition->args[i], value = condition->args[1 - i];
    if (variable->kind == Kind::Variable &&
        llvm::is_contained(variables, variable->variable) &&
        value != variable && isInRange(variable->variable, value))
      return Delta{variable->variable, value, nullptr, !isEqual};
  }
  return std::nullopt;
}

/// a - b, without the products that both have.
static Expr difference(Context &context, Expr a, Expr b) {
  auto keys = [&](Expr expr) {
    SmallVector<std::pair<SmallVector<Expr>, Expr>> list;
    for (Expr summand : summands(context, expr)) {
      SmallVector<Expr> key = factors(context, summand);
      llvm::sort(key);
      list.push_back({key, summand});
    }
    return list;
  };
  auto left = keys(a), right = keys(b);
  Expr result = context.real(0, a->type);
  for (auto &[key, summand] : right) {
    auto same = llvm::find_if(
        left, [&, &key = key](auto &each) { return each.first == key; });
    if (same != left.end())
      left.erase(same);
    else
      result = context.sub(result, summand);
  }
  for (auto &[key, summand] : left)
    result = context.add(result, summand);
  return result;
}

/// sum over m of (m == i ? x : y) read[m] -> x read[i] - y read[i]
///                                           + sum over m of y read[m].
static void resolveDeltas(Context &context, const LinearTerm &term,
                          SmallVectorImpl<LinearTerm> &out) {
  auto hasDelta = [&](Expr node) {
    return node->isOp("arith.select") &&
           findDelta(context, node->args[0], term.variables);
  };
  if (!contains(term.coefficient, hasDelta)) {
    out.push_back(term);
    return;
  }
  Type type = term.coefficient->type;
  for (Expr summand : summands(context, term.coefficient)) {
    SmallVector<Expr> list = factors(context, summand);
    auto found = llvm::find_if(list, hasDelta);
    if (found == list.end()) {
      out.push_back({summand, term.read, term.variables});
      continue;
    }
    Expr choice = *found;
    list.erase(found);
    Expr rest = product(context, list, type);
    Delta delta = *findDelta(context, choice->args[0], term.variables);
    Expr inside = choice->args[1], outside = choice->args[2];
    if (delta.negated)
      std::swap(inside, outside);
    Expr change = outside->isReal(0) ? inside
                                     : difference(context, inside, outside);
    if (delta.rest)
      change = context.select(delta.rest, change, context.real(0, type));
    llvm::DenseMap<Expr, Expr> toValue;
    toValue[context.variable(delta.variable)] = delta.value;
    LinearTerm resolved{
        context.substitute(context.mul(rest, change), toValue),
        context.substitute(term.read, toValue), term.variables};
    llvm::erase(resolved.variables, delta.variable);
    resolveDeltas(context, resolved, out);
    if (!outside->isReal(0))
      resolveDeltas(context,
                    {context.mul(rest, outside), term.read, term.variables},
                    out);
  }
}

/// A sum over Kronecker deltas, written as a sum of what they leave.
static Expr resolveSum(Context &context, Expr sum) {
  SmallVector<LinearTerm> terms;
  LinearTerm term{sum->args[0], context.real(1, sum->type), {}};
  term.variables.append(sum->variables.begin(), sum->variables.end());
  resolveDeltas(context, term, terms);
  Expr total = context.real(0, sum->type);
  for (const LinearTerm &term : terms)
    total = context.add(total,
                        sumOut(context, term.coefficient, term.variables));
  return total;
}

Expr rondo::algebra::resolveSums(Context &context, Expr expr) {
  auto isResolvable = [&](Expr node) {
    return node->kind == Kind::Reduce && node->combiner == Combiner::Sum &&
           !node->args[1] && contains(node->args[0], [&](Expr each) {
             return each->isOp("arith.select") &&
                    findDelta(context, each->args[0], node->variables);
           });
  };
  // Inner sums first: what they leave may hold the delta of an outer one.
  for (unsigned round = 0; round < maxTerms; ++round) {
    Expr inner = nullptr;
    walk(expr, [&](Expr node) {
      if (isResolvable(node) && !contains(node->args[0], isResolvable))
        inner = node;
    });
    if (!inner)
      break;
    Expr resolved = resolveSum(context, inner);
    if (contains(resolved, isResolvable))
      break; // the delta is not a factor of a product
    expr = context.substitute(expr, {{inner, resolved}});
  }
  return expr;
}

std::optional<Affine>
rondo::algebra::linearize(Context &context, Expr expr,
                          llvm::function_ref<bool(Expr)> isState) {
  std::optional<Affine> affine = Linearizer(context, isState).visit(expr);
  if (!affine)
    return std::nullopt;
  affine->constant = resolveSums(context, affine->constant);
  for (LinearTerm &term : affine->terms)
    term.coefficient = resolveSums(context, term.coefficient);
  // Terms with equal reads and variables become one.
  Affine merged;
  merged.constant = affine->constant;
  SmallVector<LinearTerm> terms;
  for (const LinearTerm &term : affine->terms)
    resolveDeltas(context, term, terms);
  for (const LinearTerm &term : terms) {
    auto same = llvm::find_if(merged.terms, [&](const LinearTerm &each) {
      return each.read == term.read && each.variables == term.variables;
    });
    if (same == merged.terms.end())
      merged.terms.push_back(term);
    else
      same->coefficient = context.add(same->coefficient, term.coefficient);
  }
  llvm::erase_if(merged.terms, [](const LinearTerm &term) {
    return term.coefficient->isReal(0);
  });
  return merged;
}

//===----------------------------------------------------------------------===//
// Products and sums
//===----------------------------------------------------------------------===//

static void collectFactors(Context &context, Expr expr, bool inverse,
                           SmallVectorImpl<Expr> &out) {
  if (expr->isOp("arith.mulf")) {
    collectFactors(context, expr->args[0], inverse, out);
    collectFactors(context, expr->args[1], inverse, out);
  } else if (expr->isOp("arith.divf")) {
    collectFactors(context, expr->args[0], inverse, out);
    collectFactors(context, expr->args[1], !inverse, out);
  } else if (expr->isOp("arith.negf")) {
    out.push_back(context.real(-1, expr->type));
    collectFactors(context, expr->args[0], inverse, out);
  } else if (!expr->isReal(1)) {
    out.push_back(inverse ? context.div(context.real(1, expr->type), expr)
                          : expr);
  }
}

SmallVector<Expr> rondo::algebra::factors(Context &context, Expr expr) {
  SmallVector<Expr> result;
  collectFactors(context, expr, false, result);
  return result;
}

Expr rondo::algebra::product(Context &context, ArrayRef<Expr> factors,
                             Type type) {
  Expr result = context.real(1, type);
  for (Expr factor : factors)
    result = context.mul(result, factor);
  return result;
}

SmallVector<Expr> rondo::algebra::summands(Context &context, Expr expr) {
  SmallVector<Expr> result;
  auto combine = [&](Expr a, Expr b, auto make) {
    for (Expr x : summands(context, a))
      for (Expr y : summands(context, b))
        result.push_back(make(x, y));
  };
  if (expr->isOp("arith.addf") || expr->isOp("arith.subf")) {
    result = summands(context, expr->args[0]);
    for (Expr each : summands(context, expr->args[1]))
      result.push_back(expr->isOp("arith.subf") ? context.neg(each) : each);
  } else if (expr->isOp("arith.negf")) {
    for (Expr each : summands(context, expr->args[0]))
      result.push_back(context.neg(each));
  } else if (expr->isOp("arith.mulf")) {
    combine(expr->args[0], expr->args[1],
            [&](Expr a, Expr b) { return context.mul(a, b); });
  } else if (expr->isOp("arith.divf")) {
    for (Expr each : summands(context, expr->args[0]))
      result.push_back(context.div(each, expr->args[1]));
  } else if (!expr->isReal(0)) {
    result.push_back(expr);
  }
  if (result.size() > maxTerms)
    result = {expr};
  return result;
}

Expr rondo::algebra::sumOut(Context &context, Expr expr,
                            ArrayRef<const Variable *> variables) {
  if (variables.empty())
    return expr;
  Expr total = context.real(0, expr->type);
  for (Expr summand : summands(context, expr)) {
    SmallVector<Expr> summed, rest;
    for (Expr factor : factors(context, summand)) {
      bool uses = contains(factor, [&](Expr node) {
        return node->kind == Kind::Variable &&
               llvm::is_contained(variables, node->variable);
      });
      (uses ? summed : rest).push_back(factor);
    }
    Expr sum = context.reduce(Combiner::Sum, variables,
                              product(context, summed, expr->type), nullptr);
    rest.push_back(sum);
    total = context.add(total, product(context, rest, expr->type));
  }
  return total;
}

Expr rondo::algebra::logarithm(Context &context, Expr expr) {
  Type type = expr->type;
  if (expr->kind == Kind::Real)
    return expr->real > 0 ? context.real(std::log(expr->real), type) : nullptr;
  if (expr->kind != Kind::Apply)
    return nullptr;
  ArrayRef<Expr> args = expr->args;
  if (expr->isOp("math.exp"))
    return args[0];
  if (expr->isOp("rondo.sigmoid"))
    return context.neg(
        context.apply("rondo.softplus", {context.neg(args[0])}, type));
  if (expr->isOp("arith.mulf") || expr->isOp("arith.divf")) {
    Expr a = logarithm(context, args[0]), b = logarithm(context, args[1]);
    if (!a || !b)
      return nullptr;
    return expr->isOp("arith.mulf") ? context.add(a, b) : context.sub(a, b);
  }
  if (expr->isOp("math.powf")) {
    Expr a = logarithm(context, args[0]);
    return a ? context.mul(args[1], a) : nullptr;
  }
  if (expr->isOp("math.sqrt") || expr->isOp("math.rsqrt")) {
    Expr a = logarithm(context, args[0]);
    double factor = expr->isOp("math.sqrt") ? 0.5 : -0.5;
    return a ? context.mul(context.real(factor, type), a) : nullptr;
  }
  if (expr->isOp("arith.select")) {
    Expr a = logarithm(context, args[1]), b = logarithm(context, args[2]);
    return a && b ? context.select(args[0], a, b) : nullptr;
  }
  return nullptr;
}
