//===- EmitLoops.h - Emit the loops of a nest -------------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_CPU_EMITLOOPS_H
#define RONDO_PASSES_CPU_EMITLOOPS_H

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "passes/CPU/Ahead.h"
#include "passes/CPU/ChooseTile.h"

namespace rondo::cpu {

/// What is computed of each element of a reduction when it is complete.
struct Epilogue {
  /// Its last output is the sum.
  LoopNest nest;
  Tile tile;
  std::optional<Lanes> lanes;
  /// Dims of the reduction behind its own.
  llvm::SmallVector<unsigned> dims;
  /// The sum is stored, too.
  bool keepsSum;
};

/// Whether the loops are those of a product of matrices whose steps can be
/// counted.
bool countsSteps(const LoopNest &nest, const Tile &tile);

/// Emits the nest before its op. `lanes` is null if the tile has no vector dim.
/// Lines of `ahead` are fetched with the steps of the reduction if they can be
/// counted, else one row with each row of the row dim. `epilogue` may be null.
/// Returns the test that every dim has an iteration, if one is around the
/// nest.
mlir::scf::IfOp emitLoops(mlir::OpBuilder &builder, const LoopNest &nest,
                          const Tile &tile, const Lanes *lanes,
                          llvm::ArrayRef<RowsAhead> ahead,
                          const Epilogue *epilogue = nullptr);

} // namespace rondo::cpu

#endif // RONDO_PASSES_CPU_EMITLOOPS_H
