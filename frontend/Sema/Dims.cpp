//===- Dims.cpp - Dims of declarations as polynomials ---------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontend/Sema/Internal.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/FormatVariadic.h"

using namespace rondo::frontend;
using namespace rondo::frontend::sema;

static Poly unknown() {
  Poly poly;
  poly.invalid = true;
  return poly;
}

void KernelAnalyzer::collectSizeNames(
    const ast::Expr *dim, llvm::SmallVectorImpl<const ast::NameExpr *> &out) {
  if (auto *name = llvm::dyn_cast<ast::NameExpr>(dim)) {
    if (!file.consts.count(name->name))
      out.push_back(name);
  } else if (auto *binary = llvm::dyn_cast<ast::BinaryExpr>(dim)) {
    collectSizeNames(binary->lhs, out);
    collectSizeNames(binary->rhs, out);
  }
}

/// A constant, a size, or a size that the compile command introduces.
Poly KernelAnalyzer::namedDim(Scope &scope, const ast::NameExpr *dim) {
  llvm::StringRef name = dim->name;
  auto it = scope.sizes.find(name);
  if (it != scope.sizes.end())
    return it->second;
  if (file.consts.count(name)) {
    const ConstValue *value = constant(name);
    if (!value)
      return unknown();
    if (value->isInt)
      return Poly(value->integer);
    reporter
        .error(dim->range, "constant `" + name +
                               "` is not an integer, so it cannot be a dim")
        .expected("an integer constant")
        .found(llvm::formatv("{0}", llvm::format("%g", value->real)).str());
    return unknown();
  }
  if (!scope.parent)
    for (auto &[bound, value] : file.options.dims)
      if (bound == name) {
        kernel.sizes.push_back({name.str(), value});
        scope.sizeNames.push_back(name);
        return scope.sizes[name] = polys.size(name);
      }
  std::string list;
  for (llvm::StringRef size : scope.sizeNames)
    list += (list.empty() ? "" : ", ") + size.str();
  auto &&error = reporter.error(dim->range, "unknown size `" + name + "`");
  error.expected("a size that an argument or a result has" +
                 (list.empty() ? "" : " (" + list + ")"));
  llvm::StringRef near = nearest(name, scope.sizeNames);
  if (!near.empty())
    error.hint("did you mean `" + near + "`?");
  else
    error.hint("bind it with --dims " + name + "=.., or make it a `const`");
  return unknown();
}

Poly KernelAnalyzer::computedDim(Scope &scope, const ast::BinaryExpr *dim) {
  Poly a = dimPoly(scope, dim->lhs), b = dimPoly(scope, dim->rhs);
  if (a.invalid || b.invalid)
    return unknown();
  Poly result;
  switch (dim->op) {
  case ast::BinaryOp::Add:
    result = a + b;
    break;
  case ast::BinaryOp::Sub:
    result = a - b;
    break;
  case ast::BinaryOp::Mul:
    result = a * b;
    break;
  case ast::BinaryOp::Div:
    if (b.isConstant() && b.constant() <= 0) {
      reporter.error(dim->rhs->range, "a dim is divided by " + polys.str(b))
          .expected("a positive divisor");
      return unknown();
    }
    result = polys.floorDiv(a, b);
    break;
  default:
    reporter
        .error(dim->opRange,
               "`" + ast::spelling(dim->op) + "` cannot be used in a dim")
        .expected("one of + - * /");
    return unknown();
  }
  if (result.invalid)
    reporter.error(dim->range, "dim is too large or has too many terms");
  else if (result.isConstant() && result.constant() < 0)
    reporter.error(dim->range, "dim is negative")
        .expected("at least 0")
        .found(polys.str(result));
  return result;
}

/// An invalid polynomial after a report.
Poly KernelAnalyzer::dimPoly(Scope &scope, const ast::Expr *dim) {
  switch (dim->kind) {
  case ast::ExprKind::Number: {
    auto *number = llvm::cast<ast::NumberExpr>(dim);
    if (number->isInteger)
      return Poly(number->integer);
    reporter.error(dim->range, "a dim must be an integer")
        .expected("an integer or the name of a size")
        .found("`" + number->text + "`");
    return unknown();
  }
  case ast::ExprKind::Name:
    return namedDim(scope, llvm::cast<ast::NameExpr>(dim));
  case ast::ExprKind::Binary:
    return computedDim(scope, llvm::cast<ast::BinaryExpr>(dim));
  case ast::ExprKind::Error:
    return unknown();
  default:
    reporter.error(dim->range, "this cannot be a dim")
        .expected("an integer expression of sizes with + - * /");
    return unknown();
  }
}

/// The polynomial as an expression; `0` for an unknown one.
const Expr *KernelAnalyzer::polyExpr(const Poly &poly) {
  llvm::SMLoc loc;
  const Expr *sum = nullptr;
  auto addTerm = [&](const Monomial &monomial, int64_t k) {
    bool subtract = sum && k < 0 && k != INT64_MIN;
    if (subtract)
      k = -k;
    const Expr *term = nullptr;
    if (k != 1 || monomial.empty())
      term = builder.integer(k, loc);
    for (unsigned id : monomial) {
      const Atom atom = polys.atom(id);
      const Expr *factor = nullptr;
      if (atom.kind == Atom::Kind::Size)
        factor = builder.size(atom.name, loc);
      else if (atom.kind == Atom::Kind::Index)
        factor = builder.index(atom.index, loc);
      else if (atom.kind == Atom::Kind::FloorDiv)
        factor = builder.apply(
            model::Op::FloorDiv,
            {polyExpr(atom.dividend), polyExpr(atom.divisor)}, loc);
      else
        factor = atom.expr;
      term = term ? builder.apply(model::Op::Mul, {term, factor}, loc) : factor;
    }
    sum = sum ? builder.apply(subtract ? model::Op::Sub : model::Op::Add,
                              {sum, term}, loc)
              : term;
  };
  for (auto &[monomial, k] : poly.terms)
    if (!monomial.empty())
      addTerm(monomial, k);
  if (int64_t k = poly.constant())
    addTerm({}, k);
  return sum ? sum : builder.integer(0, loc);
}
