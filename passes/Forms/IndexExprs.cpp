//===- IndexExprs.cpp - Subscripts as symbolic expressions ----------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Forms/IndexExprs.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace rondo;

//===----------------------------------------------------------------------===//
// LinearExpr
//===----------------------------------------------------------------------===//

static void addTerms(AffineExpr expr, int64_t factor, LinearExpr &result) {
  if (auto constant = dyn_cast<AffineConstantExpr>(expr)) {
    result.constant += factor * constant.getValue();
    return;
  }
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  if (binary && expr.getKind() == AffineExprKind::Add) {
    addTerms(binary.getLHS(), factor, result);
    addTerms(binary.getRHS(), factor, result);
    return;
  }
  if (binary && expr.getKind() == AffineExprKind::Mul) {
    if (auto constant = dyn_cast<AffineConstantExpr>(binary.getRHS()))
      return addTerms(binary.getLHS(), factor * constant.getValue(), result);
    if (auto constant = dyn_cast<AffineConstantExpr>(binary.getLHS()))
      return addTerms(binary.getRHS(), factor * constant.getValue(), result);
  }
  for (Term &term : result.terms) {
    if (term.atom == expr) {
      term.coefficient += factor;
      return;
    }
  }
  result.terms.push_back({factor, expr});
}

LinearExpr LinearExpr::get(AffineExpr expr) {
  LinearExpr result;
  addTerms(expr, 1, result);
  llvm::erase_if(result.terms,
                 [](const Term &term) { return term.coefficient == 0; });
  return result;
}

int64_t LinearExpr::getCoefficient(AffineExpr atom) const {
  for (const Term &term : terms)
    if (term.atom == atom)
      return term.coefficient;
  return 0;
}

//===----------------------------------------------------------------------===//
// From values to expressions
//===----------------------------------------------------------------------===//

IndexExprs::IndexExprs(KernelOp kernel)
    : context(kernel.getContext()), kernel(kernel),
      numSizes(kernel.getSizes().size()) {}

AffineExpr IndexExprs::getConstant(int64_t value) const {
  return getAffineConstantExpr(value, context);
}

void IndexExprs::addIndex(Value index, AffineExpr lower, AffineExpr upper) {
  if (known.count(index))
    return;
  known[index] = getAffineDimExpr(ranges.size(), context);
  ranges.push_back({index, lower, upper});
}

void IndexExprs::setBlock(Value index, Value block, int64_t size) {
  AffineExpr dim = known.lookup(index), quotient = known.lookup(block);
  AffineExpr rest = getAffineDimExpr(ranges.size(), context);
  ranges.push_back({{}, getConstant(0), getConstant(size)});
  blocks[dim.floorDiv(size)] = quotient;
  blocks[dim % size] = simplify(dim - quotient * size);
  blockPoints[dim] = quotient * size + rest;
  blockSizes[dim] = size;
}

void IndexExprs::clearBlock(Value index) {
  AffineExpr dim = known.lookup(index);
  int64_t size = blockSizes.lookup(dim);
  blocks.erase(dim.floorDiv(size));
  blocks.erase(dim % size);
  blockPoints.erase(dim);
}

AffineExpr IndexExprs::inBlocks(AffineExpr expr) const {
  return blocks.empty() ? expr : simplify(expr.replace(blocks));
}

AffineExpr IndexExprs::get(Value value) {
  auto it = known.find(value);
  if (it != known.end())
    return inBlocks(it->second);
  AffineExpr expr = compute(value);
  expr = expr ? simplify(expr) : getOpaque(value);
  known[value] = expr;
  return inBlocks(expr);
}

AffineExpr IndexExprs::getOpaque(Value value) {
  AffineExpr symbol = getAffineSymbolExpr(numSizes + opaques.size(), context);
  opaques.push_back(value);
  return symbol;
}

/// The value's expression, or null when its operation is not understood.
AffineExpr IndexExprs::compute(Value value) {
  APInt constant;
  if (matchPattern(value, m_ConstantInt(&constant)))
    return getConstant(constant.getSExtValue());
  Operation *op = value.getDefiningOp();
  if (!op)
    return {};
  if (auto size = dyn_cast<SizeOp>(op))
    return getOfSizes(
        getAffineSymbolExpr(kernel.getSizeIndex(size.getName()), context));
  if (op->getNumOperands() != 2 || !op->getOperand(0).getType().isIndex())
    return {};
  if (!isa<arith::AddIOp, arith::SubIOp, arith::MulIOp, arith::FloorDivSIOp,
           ModOp, arith::MaxSIOp, arith::MinSIOp>(op))
    return {};
  AffineExpr lhs = get(op->getOperand(0)), rhs = get(op->getOperand(1));
  if (isa<arith::MaxSIOp, arith::MinSIOp>(op))
    return {}; // a symbol, whose range its operands give
  if (isa<arith::AddIOp>(op))
    return lhs + rhs;
  if (isa<arith::SubIOp>(op))
    return lhs - rhs;
  if (isa<arith::MulIOp>(op)) {
    if (!lhs.isSymbolicOrConstant() && !rhs.isSymbolicOrConstant())
      return {};
    return lhs * rhs;
  }
  // Divisors must be positive: sizes are where it matters.
  auto divisor = dyn_cast<AffineConstantExpr>(rhs);
  if (divisor ? divisor.getValue() <= 0 : !isSize(rhs))
    return {};
  return isa<ModOp>(op) ? lhs % rhs : lhs.floorDiv(rhs);
}

AffineExpr IndexExprs::getOfSizes(AffineExpr expr) {
  SmallVector<AffineExpr> symbols;
  for (auto [i, bound] : llvm::enumerate(kernel.getBound()))
    symbols.push_back(bound >= 0 ? getConstant(bound)
                                 : getAffineSymbolExpr(i, context));
  return simplify(expr.replaceSymbols(symbols));
}

Value IndexExprs::getIndex(AffineExpr dim) const {
  return ranges[cast<AffineDimExpr>(dim).getPosition()].index;
}

Value IndexExprs::getSymbolValue(AffineExpr symbol) const {
  unsigned position = cast<AffineSymbolExpr>(symbol).getPosition();
  return position < numSizes ? Value() : opaques[position - numSizes];
}

bool IndexExprs::isSize(AffineExpr symbol) const {
  auto expr = dyn_cast<AffineSymbolExpr>(symbol);
  return expr && expr.getPosition() < numSizes;
}

bool IndexExprs::isOfSizes(AffineExpr expr) const {
  bool result = true;
  expr.walk([&](AffineExpr part) {
    if (isa<AffineDimExpr>(part) ||
        (isa<AffineSymbolExpr>(part) && !isSize(part)))
      result = false;
  });
  return result;
}

//===----------------------------------------------------------------------===//
// Ranges
//===----------------------------------------------------------------------===//

AffineExpr IndexExprs::simplify(AffineExpr expr) const {
  return simplifyAffineExpr(expr, ranges.size(), numSizes + opaques.size());
}

/// Lower bound of coefficient * (lhs floordiv rhs), or an expression that is
/// not greater in `instead`.
std::optional<int64_t>
IndexExprs::floorDivLowerBound(const Term &term, int depth,
                               AffineExpr &instead) const {
  auto division = cast<AffineBinaryOpExpr>(term.atom);
  AffineExpr lhs = division.getLHS();
  auto divisor = dyn_cast<AffineConstantExpr>(division.getRHS());
  std::optional<int64_t> least = lowerBound(lhs, depth + 1);
  if (term.coefficient > 0) {
    if (least && divisor)
      return term.coefficient *
             llvm::divideFloorSigned(*least, divisor.getValue());
    if (least && *least >= 0)
      return 0;
    return std::nullopt;
  }
  std::optional<int64_t> minusGreatest = lowerBound(-lhs, depth + 1);
  if (minusGreatest && divisor)
    return term.coefficient *
           llvm::divideFloorSigned(-*minusGreatest, divisor.getValue());
  if (least && *least >= 0)
    instead = lhs * term.coefficient;
  return std::nullopt;
}

/// Lower bound of an expression through a term that is the greatest or the
/// least of two values.
std::optional<int64_t> IndexExprs::extremeLowerBound(AffineExpr expr,
                                                     const Term &term,
                                                     Operation *op,
                                                     int depth) const {
  SmallVector<std::optional<int64_t>, 2> bounds;
  for (Value operand : op->getOperands()) {
    AffineExpr other = known.lookup(operand);
    bounds.push_back(other ? lowerBound(expr + (other - term.atom) *
                                                   term.coefficient,
                                        depth + 1)
                           : std::nullopt);
  }
  // One operand bounds a maximum from below, and a minimum from above.
  if (isa<arith::MaxSIOp>(op) == (term.coefficient > 0))
    return std::max(bounds[0], bounds[1]);
  if (!bounds[0] || !bounds[1])
    return std::nullopt;
  return std::min(bounds[0], bounds[1]);
}

std::optional<int64_t> IndexExprs::lowerBound(AffineExpr expr,
                                              int depth) const {
  if (depth > 12)
    return std::nullopt;
  expr = simplify(expr);
  LinearExpr linear = LinearExpr::get(expr);
  int64_t bound = linear.constant;
  // Dims first, so that the sizes in their bounds can cancel.
  for (const Term &term : linear.terms) {
    auto dim = dyn_cast<AffineDimExpr>(term.atom);
    if (!dim)
      continue;
    const Range &range = ranges[dim.getPosition()];
    AffineExpr extreme = term.coefficient > 0 ? range.lower : range.upper - 1;
    return lowerBound(expr + (extreme - dim) * term.coefficient, depth + 1);
  }
  for (const Term &term : linear.terms) {
    Value value =
        isa<AffineSymbolExpr>(term.atom) ? getSymbolValue(term.atom) : Value();
    Operation *def = value ? value.getDefiningOp() : nullptr;
    if (isa_and_nonnull<arith::MaxSIOp, arith::MinSIOp>(def))
      return extremeLowerBound(expr, term, def, depth);
  }
  for (const Term &term : linear.terms) {
    auto replace = [&](AffineExpr by) {
      return lowerBound(expr - term.atom * term.coefficient + by, depth + 1);
    };
    switch (term.atom.getKind()) {
    case AffineExprKind::SymbolId:
      if (!isSize(term.atom) || term.coefficient < 0)
        return std::nullopt;
      break;
    case AffineExprKind::Mod:
      if (term.coefficient < 0)
        return replace((cast<AffineBinaryOpExpr>(term.atom).getRHS() - 1) *
                       term.coefficient);
      break;
    case AffineExprKind::FloorDiv: {
      AffineExpr instead;
      std::optional<int64_t> least = floorDivLowerBound(term, depth, instead);
      if (instead)
        return replace(instead);
      if (!least)
        return std::nullopt;
      bound += *least;
      break;
    }
    case AffineExprKind::Mul: {
      auto product = cast<AffineBinaryOpExpr>(term.atom);
      std::optional<int64_t> lhs = lowerBound(product.getLHS(), depth + 1);
      std::optional<int64_t> rhs = lowerBound(product.getRHS(), depth + 1);
      if (term.coefficient < 0 || !lhs || !rhs || *lhs < 0 || *rhs < 0)
        return std::nullopt;
      break;
    }
    default:
      return std::nullopt;
    }
  }
  return bound;
}

std::optional<int64_t> IndexExprs::getLowerBound(AffineExpr expr) const {
  std::optional<int64_t> bound = lowerBound(expr, 0);
  if (!blockPoints.empty())
    bound = std::max(bound, lowerBound(expr.replace(blockPoints), 0));
  return bound;
}

std::optional<int64_t> IndexExprs::getUpperBound(AffineExpr expr) const {
  std::optional<int64_t> bound = getLowerBound(-expr);
  return bound ? std::optional(-*bound) : std::nullopt;
}

bool IndexExprs::isAtLeast(AffineExpr expr, int64_t bound) const {
  std::optional<int64_t> least = getLowerBound(expr);
  return least && *least >= bound;
}

bool IndexExprs::isEqual(AffineExpr a, AffineExpr b) const {
  return a == b || simplify(a - b) == getConstant(0);
}

bool IndexExprs::isInRange(AffineExpr subscript, AffineExpr size) const {
  if (isAtLeast(subscript, 0) && isAtLeast(size - 1 - subscript, 0))
    return true;
  // h / G in a dim of size H / G: shapes divide without a remainder.
  auto lhs = dyn_cast<AffineBinaryOpExpr>(subscript);
  if (lhs && lhs.getKind() == AffineExprKind::Mod)
    return isAtLeast(size - lhs.getRHS(), 0);
  auto rhs = dyn_cast<AffineBinaryOpExpr>(size);
  return lhs && rhs && lhs.getKind() == AffineExprKind::FloorDiv &&
         rhs.getKind() == AffineExprKind::FloorDiv &&
         lhs.getRHS() == rhs.getRHS() && isInRange(lhs.getLHS(), rhs.getLHS());
}
