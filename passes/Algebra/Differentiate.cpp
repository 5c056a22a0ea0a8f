//===- Differentiate.cpp - Symbolic derivatives ---------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Forward symbolic differentiation in index notation. The derivative with
// respect to W[.., i, j] of a read W[.., i', j'] is delta(i', i) delta(j', j),
// so a derivative is a sum of terms: a coefficient times deltas. A sum over i'
// of a term with delta(i', i) is the term at i' = i. With a weight for each
// point of an equation, and the sum over all points, the same is reverse mode.
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "passes/Algebra/Expr.h"
#include "passes/Algebra/Linear.h"
#include "llvm/ADT/DenseSet.h"
#include <cmath>

using namespace mlir;
using namespace rondo;
using namespace rondo::algebra;

namespace {

using Delta = std::pair<Expr, Expr>;
using Term = DeltaTerm;
using Terms = SmallVector<Term, 2>;
using ReadRule = llvm::function_ref<std::optional<DeltaTerm>(Expr)>;

class Differentiator {
public:
  Differentiator(Context &context, ReadRule ofRead)
      : context(context), ofRead(ofRead) {}

  const Terms &visit(Expr expr);
  /// The sum of the terms, deltas as conditions.
  Expr close(const Terms &terms, Type type);

  std::string reason;

private:
  Terms compute(Expr expr);
  Terms visitApply(Expr expr);
  Terms visitReduce(Expr expr);
  Terms sum(const Terms &body, ArrayRef<const Variable *> variables,
            Expr filter);
  /// Replaces a summed variable by what a delta says it is. False if the
  /// delta does not determine it.
  bool resolve(Delta delta, SmallVector<const Variable *> &open, Term &term,
               Expr &filter);
  std::optional<Expr> solve(Expr side, Expr other, const Variable *unknown);
  Expr inRange(Expr point, const Variable *of);
  Expr nearest(Expr point, const Variable *of);

  void append(Terms &terms, const Terms &more, Expr factor);
  Expr partial(Expr expr, unsigned operand);
  Expr one(Type type) { return context.real(1, type); }
  Expr zero(Type type) { return context.real(0, type); }
  Expr unary(StringRef op, Expr a) { return context.apply(op, {a}, a->type); }
  Expr less(Expr a, Expr b);
  Expr equalReal(Expr a, Expr b);
  Expr compareReal(arith::CmpFPredicate predicate, Expr a, Expr b);

  Context &context;
  ReadRule ofRead;
  llvm::DenseMap<Expr, Terms> known;
};

bool uses(Expr expr, const Variable *variable) {
  bool found = false;
  walk(expr, [&](Expr node) {
    found |= node->kind == Kind::Variable && node->variable == variable;
  });
  return found;
}

Expr Differentiator::compareReal(arith::CmpFPredicate predicate, Expr a,
                                 Expr b) {
  Builder builder(context.getContext());
  return context.apply("arith.cmpf", {a, b}, builder.getI1Type(),
                       builder.getDictionaryAttr(builder.getNamedAttr(
                           "predicate", builder.getI64IntegerAttr(
                                            static_cast<int64_t>(predicate)))));
}

Expr Differentiator::equalReal(Expr a, Expr b) {
  return compareReal(arith::CmpFPredicate::OEQ, a, b);
}

Expr Differentiator::less(Expr a, Expr b) {
  return compareReal(arith::CmpFPredicate::OLT, a, b);
}

/// Adds `more`, each coefficient times `factor`; terms with the same deltas
/// become one.
void Differentiator::append(Terms &terms, const Terms &more, Expr factor) {
  for (const Term &term : more) {
    Expr coefficient = context.mul(term.coefficient, factor);
    if (coefficient->isReal(0))
      continue;
    auto same = llvm::find_if(
        terms, [&](const Term &each) { return each.deltas == term.deltas; });
    if (same != terms.end())
      same->coefficient = context.add(same->coefficient, coefficient);
    else
      terms.push_back({coefficient, term.deltas});
  }
}

const Terms &Differentiator::visit(Expr expr) {
  auto it = known.find(expr);
  if (it != known.end())
    return it->second;
  Terms terms = compute(expr);
  return known[expr] = std::move(terms);
}

Terms Differentiator::compute(Expr expr) {
  switch (expr->kind) {
  case Kind::Real:
  case Kind::Integer:
  case Kind::Value:
  case Kind::Variable:
    return {};
  case Kind::Read: {
    std::optional<DeltaTerm> term = ofRead(expr);
    return term ? Terms{*term} : Terms{};
  }
  case Kind::Apply:
    return visitApply(expr);
  case Kind::Reduce:
    return visitReduce(expr);
  }
  llvm_unreachable("unknown kind");
}

/// d expr / d args[operand] for an op on reals; null if there is none.
Expr Differentiator::partial(Expr expr, unsigned operand) {
  Expr a = expr->args[0];
  Expr b = expr->args.size() > 1 ? expr->args[1] : nullptr;
  Type type = expr->type;
  StringRef op = expr->op.getValue();
  auto squared = [&](Expr e) { return context.mul(e, e); };
  if (op == "arith.addf")
    return one(type);
  if (op == "arith.subf")
    return context.real(operand ? -1 : 1, type);
  if (op == "arith.mulf")
    return operand ? a : b;
  if (op == "arith.divf")
    return operand ? context.neg(context.div(expr, b))
                   : context.div(one(type), b);
  if (op == "arith.negf")
    return context.real(-1, type);
  if (op == "arith.extf" || op == "arith.truncf")
    return one(type);
  if (op == "arith.maximumf" || op == "arith.maxnumf")
    return operand ? context.select(less(a, b), one(type), zero(type))
                   : context.select(less(a, b), zero(type), one(type));
  if (op == "arith.minimumf" || op == "arith.minnumf")
    return operand ? context.select(less(b, a), one(type), zero(type))
                   : context.select(less(b, a), zero(type), one(type));
  if (op == "math.exp")
    return expr;
  if (op == "math.expm1")
    return context.add(expr, one(type));
  if (op == "math.log")
    return context.div(one(type), a);
  if (op == "math.log1p")
    return context.div(one(type), context.add(a, one(type)));
  if (op == "math.sqrt")
    return context.div(context.real(0.5, type), expr);
  if (op == "math.rsqrt")
    return context.mul(context.real(-0.5, type),
                       context.mul(expr, squared(expr)));
  if (op == "math.absf")
    return context.select(less(zero(type), a), one(type),
                          context.select(less(a, zero(type)),
                                         context.real(-1, type), zero(type)));
  if (op == "math.sin")
    return unary("math.cos", a);
  if (op == "math.cos")
    return context.neg(unary("math.sin", a));
  if (op == "math.tanh")
    return context.sub(one(type), squared(expr));
  if (op == "math.erf")
    return context.mul(context.real(2 / std::sqrt(M_PI), type),
                       unary("math.exp", context.neg(squared(a))));
  if (op == "rondo.sigmoid")
    return context.mul(expr, context.sub(one(type), expr));
  if (op == "rondo.softplus")
    return unary("rondo.sigmoid", a);
  if (op == "math.floor" || op == "math.ceil")
    return zero(type);
  if (op == "math.powf") {
    if (operand)
      return context.mul(expr, unary("math.log", a));
    Expr lower =
        context.apply("math.powf", {a, context.sub(b, one(type))}, type);
    return context.mul(b, lower);
  }
  return nullptr;
}

Terms Differentiator::visitApply(Expr expr) {
  Terms terms;
  if (!isa<FloatType>(expr->type))
    return terms; // conditions and integers: 0 almost everywhere
  if (expr->isOp("arith.select")) {
    Expr none = zero(expr->type);
    Expr condition = expr->args[0];
    auto chosen = [&](const Terms &side, bool isTrue) {
      Terms result;
      for (const Term &term : side)
        result.push_back(
            {isTrue ? context.select(condition, term.coefficient, none)
                    : context.select(condition, none, term.coefficient),
             term.deltas});
      return result;
    };
    append(terms, chosen(Terms(visit(expr->args[1])), true), one(expr->type));
    append(terms, chosen(Terms(visit(expr->args[2])), false), one(expr->type));
    return terms;
  }
  for (unsigned i = 0; i < expr->args.size(); ++i) {
    if (!isa<FloatType>(expr->args[i]->type))
      continue;
    Terms inner = visit(expr->args[i]);
    if (inner.empty())
      continue;
    if (expr->args[i]->type != expr->type)
      for (Term &term : inner)
        term.coefficient =
            context.apply(expr->op.getValue(), {term.coefficient}, expr->type);
    Expr factor = partial(expr, i);
    if (!factor) {
      reason = "no derivative is known of '" + expr->op.getValue().str() + "'";
      return {};
    }
    append(terms, inner, factor);
  }
  return terms;
}

/// The condition that `point` is in a variable's range, true where the ranges
/// are the same.
Expr Differentiator::inRange(Expr point, const Variable *of) {
  if (point->kind == Kind::Variable && point->variable->lower == of->lower &&
      isSameExtent(point->variable->upper, of->upper))
    return context.boolean(true);
  std::optional<int64_t> lower = getConstantIntValue(of->lower);
  if (point->kind == Kind::Value && lower == 0)
    if (auto argument = dyn_cast<BlockArgument>(point->value))
      if (auto equation =
              dyn_cast<EquationOp>(argument.getOwner()->getParentOp()))
        if (argument.getArgNumber() < equation.getSizes().size() &&
            equation.getSizes()[argument.getArgNumber()] == of->upper)
          return context.boolean(true);
  Expr low = lower ? context.integer(*lower) : context.leaf(of->lower);
  return context.logicalAnd(
      context.compareIndex(static_cast<int64_t>(arith::CmpIPredicate::sge),
                           point, low),
      context.compareIndex(static_cast<int64_t>(arith::CmpIPredicate::slt),
                           point, context.leaf(of->upper)));
}

/// a + b or a - b on indices; constants that were added before cancel.
static Expr addIndex(Context &context, Expr a, Expr b, bool subtract) {
  Type index = IndexType::get(context.getContext());
  if (b->kind == Kind::Integer) {
    int64_t shift = subtract ? -b->integer : b->integer;
    bool isSum = a->isOp("arith.addi");
    if ((isSum || a->isOp("arith.subi")) && a->args[1]->kind == Kind::Integer) {
      shift += isSum ? a->args[1]->integer : -a->args[1]->integer;
      a = a->args[0];
    }
    return shift < 0 ? context.apply("arith.subi", {a, context.integer(-shift)},
                                     index)
                     : context.apply("arith.addi", {a, context.integer(shift)},
                                     index);
  }
  return context.apply(subtract ? "arith.subi" : "arith.addi", {a, b}, index);
}

/// The value of `unknown` for which side == other, when side is the unknown
/// plus or minus something.
std::optional<Expr> Differentiator::solve(Expr side, Expr other,
                                          const Variable *unknown) {
  if (uses(other, unknown))
    return std::nullopt;
  while (!(side->kind == Kind::Variable && side->variable == unknown)) {
    bool isSum = side->isOp("arith.addi");
    if (!isSum && !side->isOp("arith.subi"))
      return std::nullopt;
    bool inFirst = uses(side->args[0], unknown);
    Expr rest = side->args[inFirst ? 1 : 0];
    if (uses(rest, unknown))
      return std::nullopt;
    if (isSum)
      other = addIndex(context, other, rest, /*subtract=*/true);
    else if (inFirst)
      other = addIndex(context, other, rest, /*subtract=*/false);
    else
      other = addIndex(context, rest, other, /*subtract=*/true);
    side = side->args[inFirst ? 0 : 1];
  }
  return other;
}

/// The point of the range that is nearest to `point`.
Expr Differentiator::nearest(Expr point, const Variable *of) {
  Type index = IndexType::get(context.getContext());
  Expr last = context.apply(
      "arith.subi", {context.leaf(of->upper), context.integer(1)}, index);
  point = context.apply("arith.minsi", {point, last}, index);
  std::optional<int64_t> lower = getConstantIntValue(of->lower);
  Expr low = lower ? context.integer(*lower) : context.leaf(of->lower);
  return context.apply("arith.maxsi", {point, low}, index);
}

static bool gathers(Expr expr) {
  return contains(expr, [](Expr node) { return node->isGather(); });
}

bool Differentiator::resolve(Delta delta, SmallVector<const Variable *> &open,
                             Term &term, Expr &filter) {
  for (const Variable *unknown : open) {
    std::optional<Expr> point;
    if (uses(delta.first, unknown))
      point = solve(delta.first, delta.second, unknown);
    else if (uses(delta.second, unknown))
      point = solve(delta.second, delta.first, unknown);
    if (!point)
      continue;
    Expr range = inRange(*point, unknown);
    llvm::DenseMap<Expr, Expr> replacement{{context.variable(unknown), *point}};
    // A gather is looked up wherever it is evaluated: at a point in range.
    llvm::DenseMap<Expr, Expr> inside(replacement);
    if (!range->isInteger(1) &&
        (gathers(term.coefficient) || (filter && gathers(filter))))
      inside[context.variable(unknown)] = nearest(*point, unknown);
    term.coefficient = context.substitute(term.coefficient, inside);
    for (Delta &other : term.deltas)
      other = {context.substitute(other.first, replacement),
               context.substitute(other.second, replacement)};
    if (filter)
      range = context.logicalAnd(range, context.substitute(filter, inside));
    filter = range->isInteger(1) ? nullptr : range;
    llvm::erase(open, unknown);
    return true;
  }
  return false;
}

Terms Differentiator::sum(const Terms &body,
                          ArrayRef<const Variable *> variables, Expr filter) {
  struct Sum {
    SmallVector<const Variable *> open;
    Expr condition;
    Term term;
  };
  SmallVector<Sum> sums;
  for (const Term &original : body) {
    Term term = original;
    Expr condition = filter;
    SmallVector<const Variable *> open(variables);
    SmallVector<Delta, 2> kept;
    while (!term.deltas.empty()) {
      Delta delta = term.deltas.pop_back_val();
      if (delta.first == delta.second)
        continue;
      if (resolve(delta, open, term, condition))
        continue;
      bool bound = llvm::any_of(open, [&](const Variable *each) {
        return uses(delta.first, each) || uses(delta.second, each);
      });
      if (bound) {
        Expr same = context.equal(delta.first, delta.second);
        condition = condition ? context.logicalAnd(condition, same) : same;
      } else {
        kept.push_back(delta);
      }
    }
    // Terms that are summed over the same points are one sum.
    auto same = llvm::find_if(sums, [&](const Sum &each) {
      return each.open == open && each.condition == condition &&
             each.term.deltas == kept;
    });
    if (same != sums.end())
      same->term.coefficient =
          context.add(same->term.coefficient, term.coefficient);
    else
      sums.push_back({open, condition, {term.coefficient, kept}});
  }
  Terms result;
  for (Sum &each : sums) {
    Expr value = each.term.coefficient;
    if (!each.open.empty())
      value = context.reduce(Combiner::Sum, each.open, value, each.condition);
    else if (each.condition)
      value = context.select(each.condition, value, zero(value->type));
    append(result, {Term{value, each.term.deltas}}, one(value->type));
  }
  return result;
}

Terms Differentiator::visitReduce(Expr expr) {
  if (!isa<FloatType>(expr->type))
    return {};
  Expr body = expr->args[0], filter = expr->args[1];
  Terms inner = visit(body);
  if (inner.empty())
    return {};
  Terms weighted;
  switch (expr->combiner) {
  case Combiner::Sum:
    return sum(inner, expr->variables, filter);
  case Combiner::Max:
  case Combiner::Min: {
    // Shared evenly among the terms that attain the value.
    SmallVector<const Variable *> others;
    llvm::DenseMap<Expr, Expr> rename;
    for (const Variable *each : expr->variables) {
      others.push_back(context.fresh(each->lower, each->upper));
      rename[context.variable(each)] = context.variable(others.back());
    }
    Expr other = context.substitute(body, rename);
    Expr count =
        context.reduce(Combiner::Sum, others,
                       context.select(equalReal(other, expr), one(expr->type),
                                      zero(expr->type)),
                       filter ? context.substitute(filter, rename) : nullptr);
    append(weighted, inner,
           context.select(equalReal(body, expr),
                          context.div(one(expr->type), count),
                          zero(expr->type)));
    return sum(weighted, expr->variables, filter);
  }
  case Combiner::Prod: {
    // sum over i of d body(i) times the product over all other k.
    SmallVector<const Variable *> others;
    llvm::DenseMap<Expr, Expr> rename;
    Expr same = context.boolean(true);
    for (const Variable *each : expr->variables) {
      others.push_back(context.fresh(each->lower, each->upper));
      Expr other = context.variable(others.back());
      rename[context.variable(each)] = other;
      same = context.logicalAnd(same,
                                context.equal(other, context.variable(each)));
    }
    Expr rest =
        context.select(same, one(expr->type), context.substitute(body, rename));
    Expr restFilter = filter ? context.substitute(filter, rename) : nullptr;
    append(weighted, inner,
           context.reduce(Combiner::Prod, others, rest, restFilter));
    return sum(weighted, expr->variables, filter);
  }
  case Combiner::Any:
  case Combiner::All:
    break;
  }
  return {};
}

Expr Differentiator::close(const Terms &terms, Type type) {
  Expr total = zero(type);
  for (const Term &term : terms) {
    Expr condition = context.boolean(true);
    for (const Delta &delta : term.deltas)
      condition = context.logicalAnd(condition,
                                     context.equal(delta.first, delta.second));
    total = context.add(
        total, context.select(condition, term.coefficient, zero(type)));
  }
  return total;
}

} // namespace

Expr rondo::algebra::differentiate(Context &context, Expr value, Expr variable,
                                   unsigned numFixed, std::string &reason) {
  ArrayRef<Expr> at = variable->subscripts();
  auto ofRead = [&](Expr read) -> std::optional<DeltaTerm> {
    if (read->value != variable->value)
      return std::nullopt;
    DeltaTerm term{context.real(1, read->type), {}};
    for (auto [i, here] : llvm::enumerate(read->subscripts())) {
      if (here == at[i])
        continue;
      if (i < numFixed)
        return std::nullopt;
      term.deltas.push_back({here, at[i]});
    }
    return term;
  };
  return differentiate(context, value, ofRead, reason);
}

Expr rondo::algebra::differentiate(
    Context &context, Expr value,
    llvm::function_ref<std::optional<DeltaTerm>(Expr)> ofRead,
    std::string &reason) {
  Differentiator differentiator(context, ofRead);
  Terms terms = differentiator.visit(value);
  reason = differentiator.reason;
  if (!reason.empty())
    return nullptr;
  return differentiator.close(terms, value->type);
}
