//===- EmitLoops.h - Emit the loops of a nest -------------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_CPU_EMITLOOPS_H
#define RONDO_PASSES_CPU_EMITLOOPS_H

#include "passes/CPU/Ahead.h"
#include "passes/CPU/ChooseTile.h"

namespace rondo::cpu {

/// Emits the nest before its op. `lanes` is null if the tile has no vector dim.
/// With each row of the row dim, one of `ahead` is fetched.
void emitLoops(mlir::OpBuilder &builder, const LoopNest &nest, const Tile &tile,
               const Lanes *lanes, llvm::ArrayRef<RowsAhead> ahead);

} // namespace rondo::cpu

#endif // RONDO_PASSES_CPU_EMITLOOPS_H
