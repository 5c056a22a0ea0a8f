//===- Range.cpp - Bounds on the values of expressions --------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Algebra/Range.h"
#include <algorithm>
#include <cmath>
#include <deque>
#include <limits>

using namespace rondo;
using namespace rondo::algebra;

static constexpr double inf = std::numeric_limits<double>::infinity();
static constexpr Range everything{-inf, inf};

/// a * b on ends of intervals: 0 times an infinite end is 0.
static double times(double a, double b) { return a == 0 || b == 0 ? 0 : a * b; }

static Range multiply(Range a, Range b) {
  double ends[] = {times(a.lower, b.lower), times(a.lower, b.upper),
                   times(a.upper, b.lower), times(a.upper, b.upper)};
  return {*std::min_element(ends, ends + 4), *std::max_element(ends, ends + 4)};
}

/// 1 / a.
static Range invert(Range a) {
  if (a.lower < 0 && a.upper > 0)
    return everything;
  auto one = [](double x, double atZero) { return x == 0 ? atZero : 1 / x; };
  return {one(a.upper, -inf), one(a.lower, inf)};
}

static Range monotone(Range a, double (*f)(double)) {
  return {f(a.lower), f(a.upper)};
}

namespace {

/// Visits every node once.
class RangeFinder {
public:
  Range visit(Expr expr) {
    if (auto it = known.find(expr); it != known.end())
      return it->second;
    Range range = compute(expr);
    if (std::isnan(range.lower) || std::isnan(range.upper))
      range = everything;
    return known[expr] = range;
  }

private:
  Range compute(Expr expr);
  Range computeApply(Expr expr);
  Range computeRead(Expr expr);

  llvm::DenseMap<Expr, Range> known;
  // What equations say that are read.
  std::deque<Context> contexts;
  llvm::DenseMap<mlir::Value, Range> tensors;
};

} // namespace

Range RangeFinder::computeApply(Expr expr) {
  auto arg = [&](unsigned i) { return visit(expr->args[i]); };
  if (expr->isOp("arith.addf")) {
    Range a = arg(0), b = arg(1);
    return {a.lower + b.lower, a.upper + b.upper};
  }
  if (expr->isOp("arith.subf")) {
    Range a = arg(0), b = arg(1);
    return {a.lower - b.upper, a.upper - b.lower};
  }
  if (expr->isOp("arith.negf"))
    return {-arg(0).upper, -arg(0).lower};
  if (expr->isOp("arith.mulf")) {
    Range product = multiply(arg(0), arg(1));
    if (expr->args[0] == expr->args[1])
      product.lower = std::max(product.lower, 0.0);
    return product;
  }
  if (expr->isOp("arith.divf"))
    return multiply(arg(0), invert(arg(1)));
  if (expr->isOp("arith.maximumf") || expr->isOp("arith.maxnumf"))
    return {std::max(arg(0).lower, arg(1).lower),
            std::max(arg(0).upper, arg(1).upper)};
  if (expr->isOp("arith.minimumf") || expr->isOp("arith.minnumf"))
    return {std::min(arg(0).lower, arg(1).lower),
            std::min(arg(0).upper, arg(1).upper)};
  if (expr->isOp("arith.select"))
    return {std::min(arg(1).lower, arg(2).lower),
            std::max(arg(1).upper, arg(2).upper)};
  if (expr->isOp("math.exp"))
    return monotone(arg(0), std::exp);
  if (expr->isOp("math.expm1"))
    return monotone(arg(0), std::expm1);
  if (expr->isOp("math.tanh"))
    return monotone(arg(0), std::tanh);
  if (expr->isOp("math.erf"))
    return monotone(arg(0), std::erf);
  if (expr->isOp("rondo.sigmoid"))
    return monotone(arg(0), [](double x) { return 1 / (1 + std::exp(-x)); });
  if (expr->isOp("rondo.softplus"))
    return monotone(arg(0), [](double x) {
      return std::isinf(x) && x > 0 ? inf : std::log1p(std::exp(x));
    });
  if (expr->isOp("math.log"))
    return {arg(0).lower <= 0 ? -inf : std::log(arg(0).lower),
            arg(0).upper <= 0 ? inf : std::log(arg(0).upper)};
  if (expr->isOp("math.log1p"))
    return {arg(0).lower <= -1 ? -inf : std::log1p(arg(0).lower),
            arg(0).upper <= -1 ? inf : std::log1p(arg(0).upper)};
  if (expr->isOp("math.sqrt"))
    return {std::sqrt(std::max(arg(0).lower, 0.0)),
            std::sqrt(std::max(arg(0).upper, 0.0))};
  if (expr->isOp("math.rsqrt"))
    return {0, inf};
  if (expr->isOp("math.absf")) {
    Range a = arg(0);
    double least = a.lower <= 0 && a.upper >= 0
                       ? 0
                       : std::min(std::abs(a.lower), std::abs(a.upper));
    return {least, std::max(std::abs(a.lower), std::abs(a.upper))};
  }
  if (expr->isOp("math.sin") || expr->isOp("math.cos"))
    return {-1, 1};
  if (expr->isOp("math.powf")) {
    Range base = arg(0), power = arg(1);
    bool isEven = power.lower == power.upper &&
                  std::fmod(power.lower, 2) == 0 && power.lower > 0;
    if (base.lower >= 0 && base.upper <= 1 && power.lower >= 0)
      return {0, 1};
    return base.lower >= 0 || isEven ? Range{0, inf} : everything;
  }
  // Sizes and indices are not negative.
  if (expr->isOp("arith.sitofp") || expr->isOp("arith.uitofp") ||
      expr->isOp("arith.index_cast"))
    return arg(0);
  if (expr->isOp("arith.addi"))
    return {arg(0).lower + arg(1).lower, arg(0).upper + arg(1).upper};
  if (expr->isOp("arith.muli"))
    return multiply(arg(0), arg(1));
  return everything;
}

/// The values of the equation that defines the tensor, or 0 out of its range.
Range RangeFinder::computeRead(Expr expr) {
  auto equation = expr->value.getDefiningOp<EquationOp>();
  if (!equation || expr->fallback || !mlir::isa<mlir::FloatType>(expr->type))
    return everything;
  if (auto it = tensors.find(expr->value); it != tensors.end())
    return it->second;
  // Its own cycle, if there is one, is not looked into.
  tensors[expr->value] = everything;
  Context &context = contexts.emplace_back(equation.getContext());
  llvm::SmallVector<Expr> indices;
  for (mlir::BlockArgument index : equation.getParallelIndices())
    indices.push_back(context.leaf(index));
  Range range = visit(Importer(context).instantiate(equation, indices));
  range = {std::min(range.lower, 0.0), std::max(range.upper, 0.0)};
  return tensors[expr->value] = range;
}

Range RangeFinder::compute(Expr expr) {
  switch (expr->kind) {
  case Kind::Real:
    return {expr->real, expr->real};
  case Kind::Integer:
    return {static_cast<double>(expr->integer),
            static_cast<double>(expr->integer)};
  case Kind::Value:
    if (expr->type.isIndex() && (mlir::isa<mlir::BlockArgument>(expr->value) ||
                                 expr->value.getDefiningOp<SizeOp>()))
      return {0, inf};
    return everything;
  case Kind::Apply:
    return computeApply(expr);
  case Kind::Reduce: {
    Range body = visit(expr->args[0]);
    if (expr->combiner == Combiner::Max)
      return {-inf, body.upper};
    if (expr->combiner == Combiner::Min)
      return {body.lower, inf};
    if (expr->combiner == Combiner::Sum)
      return {body.lower >= 0 ? 0 : -inf, body.upper <= 0 ? 0 : inf};
    if (expr->combiner == Combiner::Prod && body.lower >= 0)
      return {0, body.upper <= 1 ? 1 : inf};
    return everything;
  }
  case Kind::Read:
    return computeRead(expr);
  case Kind::Variable:
    return everything;
  }
  return everything;
}

Range rondo::algebra::rangeOf(Expr expr) { return RangeFinder().visit(expr); }
