//===- Rows.h - Blocks of rows that share matrices --------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The step of a dense cell multiplies its state with matrices that are the same
// at every step and for every sequence:
//
//   z[b, t, d] = sum over e of R[d, e] * h[b, t-1, e]
//
// Computed for one batch point after the other, each step of each sequence
// reads all matrices. So where a batch dim is no dim of the matrices, a *block*
// of its points, the *rows*, goes through the loop over time together: buffers
// have a dim of kRows, statements one more parallel index.
//
// The matrices of such products are *packed* once per block: copied so that the
// indices of the result that the vector lacks, the columns, come last. Products
// of the same vector, as of the gates of a cell, form a group: their matrices
// and results stand in one buffer each, and one loop runs over them. Few rows
// or few steps don't pay for the copies: a test at run time leaves the matrices
// where they are.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_FORMS_ROWS_H
#define RONDO_PASSES_FORMS_ROWS_H

#include "passes/Forms/Clusters.h"

namespace rondo {

struct Product {
  Statement *statement;
  const Access *matrix, *vector;
  /// The indices of the packed matrix: in both, reduced, columns.
  llvm::SmallVector<mlir::Value> packed;
};

/// Products of one vector, in the order of the cluster.
struct ProductGroup {
  const Cluster *cluster;
  llvm::SmallVector<Product> members;
  /// The matrices are of one type and read with the same subscripts.
  bool areAlike = true;
};

struct Rows {
  static constexpr int64_t kRows = 16;     // of a block
  static constexpr int64_t kLeastRows = 4; // that pay
  static constexpr int64_t kLeastSteps = 8;

  unsigned dim; // a batch dim
  llvm::SmallVector<ProductGroup> groups;

  /// The group of a statement and its place in it.
  std::optional<std::pair<unsigned, unsigned>>
  find(const Statement *statement) const;
};

/// The batch dim whose points are computed as rows, with the products that
/// profit. None where there is no such product, or something in the kernel is
/// computed for single points only: iterations, inner recurrences, results
/// without that dim.
std::optional<Rows> findRows(Program &program, const Clusters &clusters);

/// Gives every product of a matrix with several factors that lack one of its
/// indices, sum over e of R[d, e] * r[e] * h[e], an equation for the factors.
void separateFactors(KernelOp kernel);

} // namespace rondo

#endif // RONDO_PASSES_FORMS_ROWS_H
