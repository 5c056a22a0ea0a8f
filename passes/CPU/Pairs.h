//===- Pairs.h - Factors of products as pairs of bf16 numbers ---*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A processor with a dot product of bf16 numbers adds the products of pairs:
//
//   sum of a[i, e] * b[e, j]    becomes    sum of a[i, p] . b[p, j]
//
// where element p of either operand is a word that holds the elements 2 p and
// 2 p + 1 of before, rounded. All indices stand where they stood, so the rest
// of the code generator sees a product like any other.
//
// An operand lives in a buffer of the workspace. Its *pairs* are a second
// buffer, which every op that writes to the first is followed by a copy to, or
// the loop with such an op, if no product in it reads pairs:
//
//   - along the last dim, pairs are neighbours: the copy rounds elements, and
//     the words are another view of the same memory;
//   - along another dim, the copy reads two rows at a time. If it transposes
//     bf16 numbers of the caller, with pairs side by side there, it transposes
//     words, where the caller's rows are some.
//
// What is copied outside of the loop over time, as weights, is thus paired
// once. A product may read a part of the pairs, as of the steps before a block.
// An odd last element is paired with 0. A matrix of bf16 numbers that is
// read where the caller has it needs no copy if its rows are whole words.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_CPU_PAIRS_H
#define RONDO_PASSES_CPU_PAIRS_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include <array>
#include <memory>

namespace rondo::cpu {

/// A sum over e that ends at r, or before: e <= r, e < r.
struct PairMask {
  unsigned row; // the dim of r
  bool isStrict;

  bool operator==(const PairMask &o) const {
    return row == o.row && isStrict == o.isStrict;
  }
};

/// out[..] += select(filter, x * y, 0), summed over one dim.
struct PairProduct {
  mlir::linalg::GenericOp op;
  std::array<mlir::OpOperand *, 2> factors;
  unsigned reduced;
  mlir::arith::SelectOp filter; // may be null
  /// What the filter says, if it depends on the summed dim.
  std::optional<PairMask> mask;

  /// Whether elements of a factor beyond the mask are to be 0.
  bool isMasked(mlir::OpOperand *factor);

  /// The dim of a factor along which is summed.
  unsigned getSummedDim(mlir::OpOperand *factor);
};

std::optional<PairProduct> matchPairProduct(mlir::linalg::GenericOp op);

/// Whether a value of a body is made of indices and of what is outside.
bool isOfIndices(mlir::Value value, mlir::Block *body);

/// A buffer of the workspace that is paired along a dim.
struct PairedBuffer {
  /// A place where pairs are copied: of a view that has the paired dim in full
  /// or whole pairs of it, or, if it is null, of the whole buffer.
  struct Copy {
    mlir::Operation *after;
    mlir::Value view;
    /// The op before, which then goes, tells what is copied.
    bool isComposed = false;
    /// It copies bf16 numbers of the caller with pairs side by side.
    bool areWords = false;
  };

  mlir::Value root;
  unsigned dim;
  /// What is beyond becomes 0. The row is a dim of the buffer.
  std::optional<PairMask> mask;
  /// The ops that write to it, and what they write where that is known.
  llvm::SmallVector<std::pair<mlir::Operation *, mlir::Value>> writes;
  llvm::SmallVector<Copy> copies;
  /// Whether some product uses it.
  bool isUsed = false;
  /// Numbers of elements and of words along the dim.
  mlir::OpFoldResult extent, numWords;
  /// The words, and along the last dim the same memory as bf16 numbers.
  mlir::Value words, halves;

  bool isLast() const {
    return dim + 1 == mlir::cast<mlir::MemRefType>(root.getType()).getRank();
  }
  /// The dim of a view that is all of the paired dim, or of the mask's rows,
  /// or -1.
  int findDim(mlir::Value view) const;
  int findRow(mlir::Value view) const;
  /// The dim of a view that is a part of the paired dim that consists of whole
  /// pairs, or -1.
  int findPairs(mlir::Value view) const;
};

/// The buffers behind the factors of a function's products.
class PairedBuffers {
public:
  /// `bytes` computes the size of the function's workspace.
  PairedBuffers(mlir::func::FuncOp func, mlir::func::FuncOp bytes)
      : func(func), bytes(bytes) {}

  /// The buffer of a factor, or null if something that writes to it is not
  /// understood.
  PairedBuffer *find(PairProduct &product, mlir::OpOperand *factor);
  /// Whether a factor is bf16 numbers of the caller, with pairs side by side.
  bool isArgument(PairProduct &product, mlir::OpOperand *factor);
  /// Whether the elements of a factor are paired for enough products.
  static bool pays(PairProduct &product, mlir::OpOperand *factor,
                   const PairedBuffer &buffer);

  /// Decides where pairs are copied, for products that use them.
  void placeCopies(llvm::ArrayRef<PairProduct> products);
  /// Lets what is only read by such products not be stored unpaired.
  void compose(llvm::ArrayRef<PairProduct> products);

  llvm::SmallVector<std::unique_ptr<PairedBuffer>> list;

private:
  bool isReadElsewhere(const PairedBuffer &buffer,
                       llvm::ArrayRef<PairProduct> products);
  bool isOfSizes(mlir::Value value);
  bool isOfCaller(mlir::Value view);
  bool copiesWords(mlir::Operation *op, mlir::Value view, int dim);

  mlir::func::FuncOp func, bytes;
};

} // namespace rondo::cpu

#endif // RONDO_PASSES_CPU_PAIRS_H
