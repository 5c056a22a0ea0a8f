//===- Eval.h - What programs on tiles mean ---------------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// An interpreter that follows dialects/Tile/Spec.md and the cards of the
// operations, one element after the other, in f64. Results are rounded to the
// element type of a tile where the operation rounds. Layouts have no meaning
// here, copies happen at once.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_DIALECTS_TILE_REFERENCE_EVAL_H
#define RONDO_DIALECTS_TILE_REFERENCE_EVAL_H

#include "dialects/Tile/IR/TileOps.h"
#include <memory>
#include <variant>
#include <vector>

namespace rondo::tile {

/// Numbers with a shape: tiles, and memory.
struct Array {
  llvm::SmallVector<int64_t> shape;
  std::vector<double> values; // row-major
  Array() = default;
  explicit Array(llvm::ArrayRef<int64_t> shape);
  double &at(int64_t row, int64_t column) {
    return values[row * shape.back() + column];
  }
};

/// A tile, memory or buffer, or a scalar.
using Datum = std::variant<std::shared_ptr<Array>, mlir::Attribute>;

/// Evaluates a function of one block (`func.func` or `gpu.func`). `blockId` is
/// what `gpu.block_id x` gives. Fails, with an error at the operation, where
/// one is not known.
mlir::FailureOr<llvm::SmallVector<Datum>>
evaluate(mlir::Operation *function, llvm::ArrayRef<Datum> arguments,
         int64_t blockId = 0);

/// `value` as the nearest number of the type.
double roundTo(mlir::Type element, double value);

} // namespace rondo::tile

#endif // RONDO_DIALECTS_TILE_REFERENCE_EVAL_H
