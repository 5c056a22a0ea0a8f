//===- TileDialect.td - The tile dialect -------------------*- tablegen -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TILE_DIALECT
#define TILE_DIALECT

include "mlir/IR/OpBase.td"

def TileDialect : Dialect {
  let name = "tile";
  let cppNamespace = "::rondo::tile";
  let summary = "One thread block's program on two-dimensional tiles";
  let description = [{
    A function of tiles is the program of one block of a GPU's grid. Tiles are
    values with two static dims; a column vector has one column, a row vector
    one row, a scalar both. All warps of the block execute every operation
    together. Tiles come from global memory by `tile.load` or, through buffers
    in shared memory that are filled while other work goes on, by `tile.copy`
    and `tile.view`; they go back by `tile.store`. Loops and branches are
    `scf`'s, scalars `arith`'s.

    The *layout* of a tile says where its elements are: in which registers of
    which threads, or in shared memory. A program without layouts is complete;
    `tile-assign-layouts` adds them with the conversions that they need.
  }];
  let useDefaultTypePrinterParser = 1;
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::math::MathDialect",
    "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect"
  ];
}

#endif // TILE_DIALECT
