//===- IndexExprs.h - Subscripts as symbolic expressions --------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// Integer values of the rondo dialect as affine expressions: an index argument
// is a dim, a size of the kernel a symbol (or its value, when it is bound), any
// value that is not a sum, product, floor division or remainder of these
// another symbol. Two values with the same expression are equal.
//
// Ranges. A dim d lies in [lower_d, upper_d), expressions over sizes; sizes are
// not negative. `getLowerBound(e)` replaces every dim in a linear term of e by
// its bound, a maximum or minimum by its operands, simplifies (so that sizes
// cancel), and adds up what is left:
//
//   t - (t mod 16) + 3   ->  16 * (t floordiv 16) + 3  >=  3
//   T - 1 - t            ->  T - 1 - (T - 1)           >=  0
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_FORMS_INDEXEXPRS_H
#define RONDO_PASSES_FORMS_INDEXEXPRS_H

#include "dialects/Rondo/IR/RondoOps.h"
#include "mlir/IR/AffineExpr.h"
#include "llvm/ADT/DenseMap.h"
#include <optional>

namespace rondo {

/// coefficient * atom; an atom is neither a sum nor a multiple.
struct Term {
  int64_t coefficient;
  mlir::AffineExpr atom;
};

/// Sum of the terms and the constant.
struct LinearExpr {
  llvm::SmallVector<Term> terms;
  int64_t constant = 0;

  static LinearExpr get(mlir::AffineExpr expr);
  /// Coefficient of an atom, 0 if absent.
  int64_t getCoefficient(mlir::AffineExpr atom) const;
};

class IndexExprs {
public:
  explicit IndexExprs(KernelOp kernel);

  mlir::MLIRContext *getContext() const { return context; }

  /// Declares an index argument with its range. Must precede its use.
  void addIndex(mlir::Value index, mlir::AffineExpr lower,
                mlir::AffineExpr upper);

  /// Declares that `index` = size * `block` + a rest in 0 .. size - 1, from now
  /// on: its quotient is the other index, and it lies in both ranges.
  void setBlock(mlir::Value index, mlir::Value block, int64_t size);
  void clearBlock(mlir::Value index);

  /// The expression of a value of type index.
  mlir::AffineExpr get(mlir::Value value);
  /// A symbol for a value of another function.
  mlir::AffineExpr addSymbol(mlir::Value value) { return getOpaque(value); }
  /// With quotients and rests of indices by their blocks.
  mlir::AffineExpr inBlocks(mlir::AffineExpr expr) const;
  /// An expression over the kernel's sizes, e.g. of a spec.
  mlir::AffineExpr getOfSizes(mlir::AffineExpr expr);
  mlir::AffineExpr getConstant(int64_t value) const;

  /// The index argument behind a dim.
  mlir::Value getIndex(mlir::AffineExpr dim) const;
  /// The value behind a symbol, null for a size of the kernel.
  mlir::Value getSymbolValue(mlir::AffineExpr symbol) const;
  bool isSize(mlir::AffineExpr symbol) const;
  /// Whether an expression has sizes and constants only.
  bool isOfSizes(mlir::AffineExpr expr) const;

  mlir::AffineExpr simplify(mlir::AffineExpr expr) const;
  std::optional<int64_t> getLowerBound(mlir::AffineExpr expr) const;
  std::optional<int64_t> getUpperBound(mlir::AffineExpr expr) const;
  bool isAtLeast(mlir::AffineExpr expr, int64_t bound) const;
  bool isEqual(mlir::AffineExpr a, mlir::AffineExpr b) const;
  /// 0 <= subscript < size wherever the indices are in their ranges.
  bool isInRange(mlir::AffineExpr subscript, mlir::AffineExpr size) const;

private:
  struct Range {
    mlir::Value index;
    mlir::AffineExpr lower, upper;
  };
  mlir::AffineExpr compute(mlir::Value value);
  mlir::AffineExpr getOpaque(mlir::Value value);
  std::optional<int64_t> lowerBound(mlir::AffineExpr expr, int depth) const;
  std::optional<int64_t> extremeLowerBound(mlir::AffineExpr expr,
                                           const Term &term,
                                           mlir::Operation *op,
                                           int depth) const;
  std::optional<int64_t> floorDivLowerBound(const Term &term, int depth,
                                            mlir::AffineExpr &instead) const;

  mlir::MLIRContext *context;
  KernelOp kernel;
  unsigned numSizes;
  llvm::SmallVector<Range> ranges;        // per dim
  llvm::SmallVector<mlir::Value> opaques; // per symbol, after the sizes
  llvm::DenseMap<mlir::Value, mlir::AffineExpr> known;
  /// t floordiv n -> c, t mod n -> t - n c.
  llvm::DenseMap<mlir::AffineExpr, mlir::AffineExpr> blocks;
  /// t -> n c + rest, for bounds.
  llvm::DenseMap<mlir::AffineExpr, mlir::AffineExpr> blockPoints;
  llvm::DenseMap<mlir::AffineExpr, int64_t> blockSizes; // t -> n
};

} // namespace rondo

#endif // RONDO_PASSES_FORMS_INDEXEXPRS_H
