//===- Passes.h - Passes on the tile dialect --------------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_GPU_TILE_PASSES_H
#define RONDO_PASSES_GPU_TILE_PASSES_H

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassManager.h"

namespace rondo::tile {

#define GEN_PASS_DECL
#include "passes/GPU/Tile/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "passes/GPU/Tile/Passes.h.inc"

/// Programs on tiles to programs that `rondo-lower-tile-to-nvvm` takes, once for
/// every chip. `memory`: bytes of shared memory that a block has on all of them.
void buildPipeline(mlir::OpPassManager &pm, int64_t memory);

} // namespace rondo::tile

#endif // RONDO_PASSES_GPU_TILE_PASSES_H
