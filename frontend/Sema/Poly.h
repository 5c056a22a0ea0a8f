//===- Poly.h - Integer expressions in normal form --------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Dims and subscripts as polynomials over atoms: sizes, indices, floor
// divisions and opaque values. `a mod b` is a - b * div(a, b), so equal
// expressions become equal polynomials, and a remainder can be found again in
// the difference of two of them.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_FRONTEND_SEMA_POLY_H
#define RONDO_FRONTEND_SEMA_POLY_H

#include "frontend/Sema/Model.h"
#include <map>

namespace rondo::frontend::sema {

/// A product of atoms: their numbers, sorted, a square twice.
using Monomial = std::vector<unsigned>;

/// The sum of coefficient * product over `terms`; no coefficient is 0.
struct Poly {
  std::map<Monomial, int64_t> terms;
  /// A coefficient overflowed or there were too many terms: nothing is known.
  /// Equal to nothing, not even itself.
  bool invalid = false;

  Poly() = default;
  Poly(int64_t value) {
    if (value)
      terms[{}] = value;
  }
  bool isConstant() const {
    return !invalid && (terms.empty() ||
                        (terms.size() == 1 && terms.begin()->first.empty()));
  }
  int64_t constant() const {
    auto it = terms.find({});
    return it == terms.end() ? 0 : it->second;
  }
  bool isZero() const { return !invalid && terms.empty(); }
  bool operator==(const Poly &other) const {
    return !invalid && !other.invalid && terms == other.terms;
  }
  bool operator!=(const Poly &other) const { return !(*this == other); }
};

Poly operator+(const Poly &a, const Poly &b);
Poly operator-(const Poly &a, const Poly &b);
Poly operator*(const Poly &a, const Poly &b);

struct Atom {
  enum class Kind { Size, Index, FloorDiv, Scalar, Opaque };
  Kind kind;
  std::string name;                      // Size
  const model::Index *index = nullptr;   // Index
  const model::Tensor *tensor = nullptr; // Scalar: a scalar argument
  const model::Expr *expr = nullptr;     // Opaque
  Poly dividend, divisor;                // FloorDiv
};

/// Numbers the atoms of one kernel.
class PolyContext {
public:
  Poly size(llvm::StringRef name);
  Poly index(const model::Index *index);
  Poly floorDiv(const Poly &a, const Poly &b);
  Poly mod(const Poly &a, const Poly &b);
  /// What is no polynomial becomes one opaque atom.
  Poly fromExpr(const model::Expr *expr);

  const Atom &atom(unsigned id) const { return atoms[id]; }
  /// The number of the index as an atom; creates it when new.
  unsigned indexAtom(const model::Index *index);

  /// Does the index occur anywhere in the polynomial, inside divisions too?
  bool mentions(const Poly &poly, const model::Index *index) const;
  /// Every index that occurs.
  void collectIndices(const Poly &poly,
                      std::vector<const model::Index *> &out) const;

  /// As a user would write it: `4*D`, `H/G`.
  std::string str(const Poly &poly) const;
  /// With remainders where they can be found again: `t mod 16`.
  std::string strWithMod(const Poly &poly) const;

private:
  Poly atomPoly(unsigned id);
  unsigned intern(Atom atom, const std::string &key);
  std::string strAtom(unsigned id) const;

  std::vector<Atom> atoms;
  std::map<std::string, unsigned> byKey;
};

/// Proofs that a polynomial is never negative, given that sizes are at least 0
/// (at least 1 where they divide) and indices are in their ranges.
class Bounds {
public:
  Bounds(PolyContext &polys) : polys(polys) {}
  /// Sizes fixed by the compile command.
  std::map<std::string, int64_t> boundSizes;
  /// Polynomials known to be at least 0 where the question is asked.
  std::vector<Poly> facts;

  bool nonNegative(const Poly &poly);

private:
  bool direct(const Poly &poly, unsigned depth);
  int chooseAtom(const Poly &poly) const;
  bool withoutIndex(const Poly &rest, const Poly &factor,
                    const model::Index &index, unsigned depth);
  bool withoutDivision(Poly rest, const Poly &factor, const Atom &atom,
                       unsigned depth);
  bool allNonNegative(const Poly &poly, int sign, unsigned depth);
  bool atomNonNegative(unsigned id, unsigned depth);
  bool isDivisor(const Poly &poly, unsigned depth);
  Poly substituteBound(const Poly &poly);

  PolyContext &polys;
  unsigned steps = 0;
};

} // namespace rondo::frontend::sema

#endif // RONDO_FRONTEND_SEMA_POLY_H
