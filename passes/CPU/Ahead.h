//===- Ahead.h - Memory that the next step of a loop will need --*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A step of a loop over time often starts with copies of rows of the arguments:
//
//   for c
//     copy x[b, 64 c .. 64 c + 63, h, :]     rows far apart, not in the cache
//     products of what was copied
//
// The copies wait for memory while nothing is computed, and the products
// compute while memory is idle. So products fetch what the next step copies,
// and what this one will write: line by line within their reductions, so that
// few fetches are under way at a time, or, where there is no such product, a
// few rows with each tile of rows.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_CPU_AHEAD_H
#define RONDO_PASSES_CPU_AHEAD_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

namespace rondo::cpu {

/// The rows of an argument that a step of `loop` copies, or writes.
struct CopiedRows {
  mlir::memref::SubViewOp view; // [.., rows, .., elements of a row]
  mlir::scf::ForOp loop;
  bool isWritten;
  unsigned rowDim;     // of the argument
  int64_t rows, bytes; // rows: at most, or -1
};

/// The loop that an op stands in, but for conditions; null if there is none.
mlir::scf::ForOp getLoop(mlir::Operation *op);

/// All of them in a function that the products of the same loop can fetch.
llvm::SmallVector<CopiedRows> findCopiedRows(mlir::Operation *root);

/// Where some steps of a block of channels come before those of the next block,
/// rows are read in pieces, far apart from one step to the next: every step
/// fetches those of the one after it.
void fetchNextPieces(mlir::func::FuncOp func);

/// Rows of the step after this one, or rows that this one will write.
struct RowsAhead {
  mlir::Value memref;
  bool isWritten;
  llvm::SmallVector<mlir::Value> offsets; // of row 0
  unsigned rowDim;
  int64_t rows, bytes;

  int64_t getLinesPerRow() const;
  int64_t getNumLines() const { return rows * getLinesPerRow(); }
};

/// Emits the offsets at the builder's point, inside the loop.
RowsAhead moveAhead(mlir::OpBuilder &builder, CopiedRows &rows);
/// Fetches one row.
void fetchRow(mlir::OpBuilder &builder, const RowsAhead &rows, mlir::Value row);
/// Fetches the line with this number, row by row.
void fetchLine(mlir::OpBuilder &builder, const RowsAhead &rows,
               mlir::Value line);

} // namespace rondo::cpu

#endif // RONDO_PASSES_CPU_AHEAD_H
