//===- TileTypes.td - Types of the tile dialect ------------*- tablegen -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TILE_TYPES
#define TILE_TYPES

include "dialects/Tile/IR/TileDialect.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"

def Layout : I32EnumAttr<"Layout", "where the elements of a tile are", [
  I32EnumAttrCase<"Any", 0, "any">,
  I32EnumAttrCase<"Accumulator", 1, "accumulator">,
  I32EnumAttrCase<"Operand", 2, "operand">,
  I32EnumAttrCase<"Lanes", 3, "lanes">,
  I32EnumAttrCase<"Uniform", 4, "uniform">,
  I32EnumAttrCase<"Shared", 5, "shared">,
  I32EnumAttrCase<"Slice", 6, "slice">
]> {
  let cppNamespace = "::rondo::tile";
}

class TileTypeDef<string name, string mnem> : TypeDef<TileDialect, name> {
  let mnemonic = mnem;
}

def TileType : TileTypeDef<"Tile", "tile"> {
  let summary = "A two-dimensional value";
  let description = [{
    `rows` x `columns` elements of type bf16, f16 or f32, and a layout:

    - `any`: not chosen yet.
    - `accumulator`: what `mma.sync` accumulates in. Warps form a grid with
      min(warps, rows / 16) rows of warps; a warp holds blocks of 16 rows and 8
      columns, four elements per lane.
    - `operand`: left operand of `mma.sync`, in registers.
    - `lanes`: vectors; element e in lane e mod 32, in every warp the same.
    - `slice`: a column, each element in the threads that have its row of an
      accumulator.
    - `uniform`: scalars, in every thread.
    - `shared`: in shared memory, rows of 16-byte pieces, whose places within a
      row are permuted by the row so that neither rows nor columns of pieces
      meet in one bank. An f32 tile is stored as the sum of two bf16 tiles.

    ```mlir
    !tile.tile<64x128xbf16, shared>
    ```
  }];
  let parameters = (ins "int64_t":$rows, "int64_t":$columns,
                        "::mlir::Type":$elementType,
                        DefaultValuedParameter<"::rondo::tile::Layout", "::rondo::tile::Layout::Any">:$layout);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    bool isScalar() const { return getRows() == 1 && getColumns() == 1; }
    bool isVector() const {
      return !isScalar() && (getRows() == 1 || getColumns() == 1);
    }
    bool isMatrix() const { return getRows() != 1 && getColumns() != 1; }
    TileType withLayout(::rondo::tile::Layout layout) const {
      return get(getContext(), getRows(), getColumns(), getElementType(), layout);
    }
    TileType withElementType(::mlir::Type element) const {
      return get(getContext(), getRows(), getColumns(), element, getLayout());
    }
  }];
}

def BufferType : TileTypeDef<"Buffer", "buffer"> {
  let summary = "Several tiles in shared memory";
  let description = [{
    `stages` tiles of one shape: matrices in layout `shared`, or vectors or
    scalars of f32, one element behind the other.

    ```mlir
    !tile.buffer<2x64x128xbf16>
    ```
  }];
  let parameters = (ins "int64_t":$stages, "int64_t":$rows, "int64_t":$columns,
                        "::mlir::Type":$elementType);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

def RingType : TileTypeDef<"Ring", "ring"> {
  let summary = "Places that are filled and emptied in turn";
  let description = [{
    ```mlir
    !tile.ring<3>
    ```
  }];
  let parameters = (ins "int64_t":$places);
  let assemblyFormat = "`<` $places `>`";
  let genVerifyDecl = 1;
}

#endif // TILE_TYPES
