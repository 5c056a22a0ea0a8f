//===- Poly.cpp - Integer expressions in normal form ----------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontend/Sema/Poly.h"
#include "llvm/ADT/StringExtras.h"
#include <algorithm>

using namespace rondo::frontend;
using namespace rondo::frontend::sema;

/// More terms than this and the polynomial counts as unknown.
static constexpr size_t maxTerms = 128;
static constexpr size_t maxDegree = 16;

static void addTerm(Poly &poly, const Monomial &monomial, int64_t k) {
  int64_t &slot = poly.terms[monomial];
  if (__builtin_add_overflow(slot, k, &slot))
    poly.invalid = true;
  if (slot == 0)
    poly.terms.erase(monomial);
  if (poly.terms.size() > maxTerms)
    poly.invalid = true;
}

Poly sema::operator+(const Poly &a, const Poly &b) {
  Poly result = a;
  result.invalid |= b.invalid;
  for (auto &[monomial, k] : b.terms)
    addTerm(result, monomial, k);
  return result;
}

Poly sema::operator-(const Poly &a, const Poly &b) { return a + b * Poly(-1); }

Poly sema::operator*(const Poly &a, const Poly &b) {
  Poly result;
  result.invalid = a.invalid || b.invalid;
  for (auto &[ma, ka] : a.terms) {
    for (auto &[mb, kb] : b.terms) {
      int64_t k;
      if (__builtin_mul_overflow(ka, kb, &k) || result.invalid ||
          ma.size() + mb.size() > maxDegree) {
        result.invalid = true;
        return result;
      }
      Monomial monomial;
      std::merge(ma.begin(), ma.end(), mb.begin(), mb.end(),
                 std::back_inserter(monomial));
      addTerm(result, monomial, k);
    }
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Atoms
//===----------------------------------------------------------------------===//

unsigned PolyContext::intern(Atom atom, const std::string &key) {
  auto [it, isNew] = byKey.try_emplace(key, atoms.size());
  if (isNew)
    atoms.push_back(std::move(atom));
  return it->second;
}

Poly PolyContext::atomPoly(unsigned id) {
  Poly poly;
  poly.terms[{id}] = 1;
  return poly;
}

Poly PolyContext::size(llvm::StringRef name) {
  Atom atom;
  atom.kind = Atom::Kind::Size;
  atom.name = name.str();
  return atomPoly(intern(atom, "s" + name.str()));
}

unsigned PolyContext::indexAtom(const model::Index *index) {
  Atom atom;
  atom.kind = Atom::Kind::Index;
  atom.index = index;
  return intern(atom, "i" + llvm::utohexstr(uintptr_t(index)));
}

Poly PolyContext::index(const model::Index *index) {
  return atomPoly(indexAtom(index));
}

static std::string keyOf(const Poly &poly) {
  std::string key;
  for (auto &[monomial, k] : poly.terms) {
    key += std::to_string(k);
    for (unsigned id : monomial)
      key += "*" + std::to_string(id);
    key += "+";
  }
  return key;
}

static int64_t floorDivide(int64_t a, int64_t b) {
  int64_t q = a / b;
  return q - (a % b != 0 && (a < 0) != (b < 0));
}

/// a / b as monomials; false if b does not divide a.
static bool divideMonomial(const Monomial &a, const Monomial &b,
                           Monomial &quotient) {
  if (!std::includes(a.begin(), a.end(), b.begin(), b.end()))
    return false;
  quotient.clear();
  std::set_difference(a.begin(), a.end(), b.begin(), b.end(),
                      std::back_inserter(quotient));
  return true;
}

Poly PolyContext::floorDiv(const Poly &a, const Poly &b) {
  Poly bad;
  bad.invalid = true;
  if (a.invalid || b.invalid || b.isZero())
    return bad;
  if (a.isConstant() && b.isConstant()) {
    if (b.constant() == -1 && a.constant() == INT64_MIN)
      return bad;
    return Poly(floorDivide(a.constant(), b.constant()));
  }
  // Multiples of the divisor move out: div(q*b + r, b) = q + div(r, b).
  Poly quotient, rest = a;
  if (b.terms.size() == 1 && b.terms.begin()->second > 0) {
    auto &[mb, kb] = *b.terms.begin();
    rest = Poly();
    Monomial m;
    for (auto &[ma, ka] : a.terms) {
      if (!divideMonomial(ma, mb, m)) {
        addTerm(rest, ma, ka);
        continue;
      }
      int64_t q = floorDivide(ka, kb);
      if (q)
        addTerm(quotient, m, q);
      if (ka != q * kb)
        addTerm(rest, ma, ka - q * kb);
    }
    if (rest.isZero())
      return quotient;
    if (rest.isConstant() && b.isConstant())
      return quotient + Poly(floorDivide(rest.constant(), b.constant()));
  }
  Atom atom;
  atom.kind = Atom::Kind::FloorDiv;
  atom.dividend = rest;
  atom.divisor = b;
  return quotient + atomPoly(intern(atom, "d" + keyOf(rest) + "/" + keyOf(b)));
}

Poly PolyContext::mod(const Poly &a, const Poly &b) {
  return a - b * floorDiv(a, b);
}

Poly PolyContext::fromExpr(const model::Expr *expr) {
  using Kind = model::Expr::Kind;
  Poly result;
  result.invalid = true;
  switch (expr->kind) {
  case Kind::IntConst:
    return Poly(expr->integer);
  case Kind::Size:
    return size(expr->name);
  case Kind::Index:
    return index(expr->index);
  case Kind::Read:
    if (expr->args.empty() &&
        expr->tensor->role == model::Tensor::Role::Argument) {
      Atom atom;
      atom.kind = Atom::Kind::Scalar;
      atom.tensor = expr->tensor;
      return atomPoly(
          intern(atom, "t" + llvm::utohexstr(uintptr_t(expr->tensor))));
    }
    break;
  case Kind::Apply:
    switch (expr->op) {
    case model::Op::Add:
      result = fromExpr(expr->args[0]) + fromExpr(expr->args[1]);
      break;
    case model::Op::Sub:
      result = fromExpr(expr->args[0]) - fromExpr(expr->args[1]);
      break;
    case model::Op::Mul:
      result = fromExpr(expr->args[0]) * fromExpr(expr->args[1]);
      break;
    case model::Op::Neg:
      result = fromExpr(expr->args[0]) * Poly(-1);
      break;
    case model::Op::FloorDiv:
      result = floorDiv(fromExpr(expr->args[0]), fromExpr(expr->args[1]));
      break;
    case model::Op::Mod:
      result = mod(fromExpr(expr->args[0]), fromExpr(expr->args[1]));
      break;
    default:
      break;
    }
    break;
  default:
    break;
  }
  if (!result.invalid)
    return result;
  Atom atom;
  atom.kind = Atom::Kind::Opaque;
  atom.expr = expr;
  return atomPoly(intern(atom, "o" + llvm::utohexstr(uintptr_t(expr))));
}

static void collectInExpr(const model::Expr *expr,
                          std::vector<const model::Index *> &out) {
  if (expr->kind == model::Expr::Kind::Index)
    out.push_back(expr->index);
  for (const model::Expr *arg : expr->args)
    collectInExpr(arg, out);
}

void PolyContext::collectIndices(const Poly &poly,
                                 std::vector<const model::Index *> &out) const {
  for (auto &[monomial, k] : poly.terms) {
    for (unsigned id : monomial) {
      const Atom &a = atoms[id];
      if (a.kind == Atom::Kind::Index)
        out.push_back(a.index);
      if (a.kind == Atom::Kind::Opaque)
        collectInExpr(a.expr, out);
      if (a.kind == Atom::Kind::FloorDiv) {
        collectIndices(a.dividend, out);
        collectIndices(a.divisor, out);
      }
    }
  }
}

bool PolyContext::mentions(const Poly &poly, const model::Index *index) const {
  std::vector<const model::Index *> found;
  collectIndices(poly, found);
  return std::find(found.begin(), found.end(), index) != found.end();
}

std::string PolyContext::strAtom(unsigned id) const {
  const Atom &a = atoms[id];
  switch (a.kind) {
  case Atom::Kind::Size:
    return a.name;
  case Atom::Kind::Index:
    return a.index->name;
  case Atom::Kind::Scalar:
    return a.tensor->name;
  case Atom::Kind::Opaque:
    return "(..)";
  case Atom::Kind::FloorDiv: {
    auto wrap = [&](const Poly &p) {
      bool simple = p.isConstant() || (p.terms.size() == 1 &&
                                       p.terms.begin()->first.size() == 1 &&
                                       p.terms.begin()->second == 1);
      return simple ? str(p) : "(" + str(p) + ")";
    };
    // A size is divided as in a dim, anything else as in a subscript.
    std::vector<const model::Index *> indices;
    collectIndices(a.dividend, indices);
    if (indices.empty())
      return wrap(a.dividend) + "/" + wrap(a.divisor);
    return "div(" + str(a.dividend) + ", " + str(a.divisor) + ")";
  }
  }
  return "";
}

std::string PolyContext::str(const Poly &poly) const {
  if (poly.invalid)
    return "?";
  if (poly.terms.empty())
    return "0";
  std::string text;
  // Constants last, as one writes them.
  auto append = [&](const Monomial &monomial, int64_t k) {
    if (!text.empty())
      text += k < 0 ? " - " : " + ";
    else if (k < 0)
      text += "-";
    uint64_t magnitude = k < 0 ? 0 - uint64_t(k) : uint64_t(k);
    if (magnitude != 1 || monomial.empty())
      text += std::to_string(magnitude) + (monomial.empty() ? "" : "*");
    for (size_t i = 0; i < monomial.size(); ++i)
      text += (i ? "*" : "") + strAtom(monomial[i]);
  };
  for (auto &[monomial, k] : poly.terms)
    if (!monomial.empty())
      append(monomial, k);
  if (poly.constant())
    append({}, poly.constant());
  return text;
}

std::string PolyContext::strWithMod(const Poly &poly) const {
  for (auto &[monomial, k] : poly.terms) {
    if (monomial.size() != 1 || atoms[monomial[0]].kind != Atom::Kind::FloorDiv)
      continue;
    const Atom &a = atoms[monomial[0]];
    for (int sign : {1, -1}) {
      // sign * (a - c * div(a, c)) + rest
      Poly division;
      division.terms[monomial] = 1;
      Poly mod = (a.dividend - a.divisor * division) * Poly(sign);
      Poly rest = poly - mod;
      if (rest.invalid || rest.terms.count(monomial))
        continue;
      std::string text = "(" + str(a.dividend) + ") mod " + str(a.divisor);
      if (a.dividend.terms.size() == 1)
        text = str(a.dividend) + " mod " + str(a.divisor);
      if (rest.isZero())
        return sign > 0 ? text : "-(" + text + ")";
      return strWithMod(rest) + (sign > 0 ? " + " : " - ") + text;
    }
  }
  return str(poly);
}

//===----------------------------------------------------------------------===//
// Bounds
//===----------------------------------------------------------------------===//

Poly Bounds::substituteBound(const Poly &poly) {
  if (boundSizes.empty() || poly.invalid)
    return poly;
  Poly result;
  for (auto &[monomial, k] : poly.terms) {
    Poly term(k);
    for (unsigned id : monomial) {
      const Atom a = polys.atom(id);
      Poly factor;
      factor.terms[{id}] = 1;
      if (a.kind == Atom::Kind::Size && boundSizes.count(a.name))
        factor = Poly(boundSizes[a.name]);
      else if (a.kind == Atom::Kind::FloorDiv)
        factor = polys.floorDiv(substituteBound(a.dividend),
                                substituteBound(a.divisor));
      term = term * factor;
    }
    result = result + term;
  }
  return result;
}

bool Bounds::nonNegative(const Poly &question) {
  Poly poly = substituteBound(question);
  steps = 0;
  if (direct(poly, 0))
    return true;
  for (const Poly &fact : facts) {
    steps = 0;
    if (direct(poly - substituteBound(fact), 0))
      return true;
  }
  return false;
}

bool Bounds::atomNonNegative(unsigned id, unsigned depth) {
  const Atom a = polys.atom(id);
  switch (a.kind) {
  case Atom::Kind::Size:
    return true;
  case Atom::Kind::Index:
    return !a.index->lower ||
           direct(substituteBound(polys.fromExpr(a.index->lower)), depth + 1);
  case Atom::Kind::FloorDiv:
    return isDivisor(a.divisor, depth) && direct(a.dividend, depth + 1);
  case Atom::Kind::Scalar:
  case Atom::Kind::Opaque:
    return false;
  }
  return false;
}

/// What divides is at least 1 if it is not negative: dividing by 0 is
/// undefined.
bool Bounds::isDivisor(const Poly &poly, unsigned depth) {
  if (poly.isConstant())
    return poly.constant() > 0;
  return allNonNegative(poly, 1, depth + 1);
}

/// Is every term of sign * poly at least 0?
bool Bounds::allNonNegative(const Poly &poly, int sign, unsigned depth) {
  if (poly.invalid || depth > 16 || ++steps > 500)
    return false;
  for (auto &[monomial, k] : poly.terms) {
    if ((k < 0) != (sign < 0))
      return false;
    for (unsigned id : monomial)
      if (!atomNonNegative(id, depth))
        return false;
  }
  return true;
}

/// The atom to replace next: divisions first, then the index created last,
/// whose bounds may mention the earlier ones. Negative when there is none.
int Bounds::chooseAtom(const Poly &poly) const {
  auto rank = [&](unsigned id) {
    return std::pair(polys.atom(id).kind == Atom::Kind::FloorDiv, id);
  };
  int chosen = -1;
  for (auto &[monomial, k] : poly.terms)
    for (unsigned id : monomial) {
      Atom::Kind kind = polys.atom(id).kind;
      if (kind != Atom::Kind::FloorDiv && kind != Atom::Kind::Index)
        continue;
      if (chosen < 0 || rank(id) > rank(unsigned(chosen)))
        chosen = int(id);
    }
  return chosen;
}

/// poly = rest + factor * atom; false if the atom stands there squared.
static bool splitAt(const Poly &poly, unsigned atom, Poly &rest, Poly &factor) {
  for (auto &[monomial, k] : poly.terms) {
    auto it = std::find(monomial.begin(), monomial.end(), atom);
    if (it == monomial.end()) {
      rest.terms[monomial] = k;
      continue;
    }
    Monomial m = monomial;
    m.erase(m.begin() + (it - monomial.begin()));
    if (std::find(m.begin(), m.end(), atom) != m.end())
      return false;
    factor.terms[m] = k;
  }
  return true;
}

/// rest + factor * index, with the index at the end of its range that makes
/// it smallest.
bool Bounds::withoutIndex(const Poly &rest, const Poly &factor,
                          const model::Index &index, unsigned depth) {
  if (allNonNegative(factor, 1, depth)) {
    Poly lower =
        index.lower ? substituteBound(polys.fromExpr(index.lower)) : Poly();
    return direct(rest + factor * lower, depth);
  }
  if (allNonNegative(factor, -1, depth) && index.upper) {
    Poly last = substituteBound(polys.fromExpr(index.upper)) - Poly(1);
    return direct(rest + factor * last, depth);
  }
  return false;
}

/// rest + factor * div(a, c), where c * div(a, c) = a - m with m in [0, c - 1].
bool Bounds::withoutDivision(Poly rest, const Poly &factor, const Atom &atom,
                             unsigned depth) {
  const Poly &c = atom.divisor;
  if (!isDivisor(c, depth))
    return false;
  Poly multiple; // factor / c
  bool divides = c.terms.size() == 1;
  for (auto &[monomial, k] : factor.terms) {
    if (!divides)
      break;
    Monomial m;
    auto &[mc, kc] = *c.terms.begin();
    divides = divideMonomial(monomial, mc, m) && k % kc == 0;
    if (divides)
      multiple.terms[m] = k / kc;
  }
  if (!divides) {
    if (!c.isConstant())
      return false;
    rest = rest * c; // asks for c * poly >= 0
    multiple = factor;
  }
  if (allNonNegative(multiple, 1, depth))
    return direct(rest + multiple * (atom.dividend - c + Poly(1)), depth);
  if (allNonNegative(multiple, -1, depth))
    return direct(rest + multiple * atom.dividend, depth);
  return false;
}

/// Replaces one atom after the other by what makes the polynomial smallest,
/// until only terms that are not negative are left.
bool Bounds::direct(const Poly &poly, unsigned depth) {
  if (poly.invalid || depth > 16 || ++steps > 500)
    return false;
  if (allNonNegative(poly, 1, depth))
    return true;
  int chosen = chooseAtom(poly);
  Poly rest, factor;
  if (chosen < 0 || !splitAt(poly, unsigned(chosen), rest, factor))
    return false;
  const Atom atom = polys.atom(unsigned(chosen)); // the table may grow
  return atom.kind == Atom::Kind::Index
             ? withoutIndex(rest, factor, *atom.index, depth + 1)
             : withoutDivision(rest, factor, atom, depth + 1);
}
