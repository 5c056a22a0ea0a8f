//===- TileDialect.h - The tile dialect -------------------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_DIALECTS_TILE_IR_TILEDIALECT_H
#define RONDO_DIALECTS_TILE_IR_TILEDIALECT_H

#include "mlir/IR/Dialect.h"

#include "dialects/Tile/IR/TileDialect.h.inc"

#endif // RONDO_DIALECTS_TILE_IR_TILEDIALECT_H
