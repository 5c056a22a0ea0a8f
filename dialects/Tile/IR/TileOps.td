//===- TileOps.td - Operations of the tile dialect ---------*- tablegen -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TILE_OPS
#define TILE_OPS

include "dialects/Tile/IR/TileDialect.td"
include "dialects/Tile/IR/TileTypes.td"
include "mlir/IR/BuiltinTypes.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

class TileOp<string mnemonic, list<Trait> traits = []>
    : Op<TileDialect, mnemonic, traits>;

def Combiner : I32EnumAttr<"Combiner", "how elements are combined", [
  I32EnumAttrCase<"Sum", 0, "sum">, I32EnumAttrCase<"Product", 1, "product">,
  I32EnumAttrCase<"Max", 2, "max">
]> {
  let cppNamespace = "::rondo::tile";
}

def Axis : I32EnumAttr<"Axis", "a dim of a tile", [
  I32EnumAttrCase<"Rows", 0, "rows">, I32EnumAttrCase<"Columns", 1, "columns">
]> {
  let cppNamespace = "::rondo::tile";
}

//===----------------------------------------------------------------------===//
// Global memory
//===----------------------------------------------------------------------===//

def LoadOp : TileOp<"load", [AttrSizedOperandSegments,
    MemoryEffects<[MemRead]>]> {
  let summary = "Read a tile from global memory";
  let description = [{
    Element (r, c) is `source` at `indices`, plus r in dim `row_dim` and plus c
    in dim `column_dim`; 0 where r >= `row_limit` or c >= `column_limit`, which
    may be negative or larger than the tile. A dim of -1 is none.

    Constraints:
    - (C1) There is one index per dim of `source`, whose innermost stride is 1
      or unknown.
    - (C2) `row_dim` and `column_dim` are different dims of `source`, or -1; a
      tile with several rows (columns) has a `row_dim` (`column_dim`).
    - (C3) A limit is given if and only if its dim is.
    - (C4) Element types agree.

    ```mlir
    %q = tile.load %source[%b, %t, %h, %c0] rows 1 below %n columns 3 below %k
        : memref<?x?x?x?xbf16> -> !tile.tile<64x128xbf16>
    ```
  }];
  let arguments = (ins AnyMemRef:$source, Variadic<Index>:$indices /*load_c1*/,
                       DefaultValuedAttr<I64Attr, "-1">:$row_dim /*load_c2*/,
                       Optional<Index>:$row_limit /*load_c3*/,
                       DefaultValuedAttr<I64Attr, "-1">:$column_dim /*load_c2*/,
                       Optional<Index>:$column_limit /*load_c3*/);
  let results = (outs TileType:$result /*load_c4*/);
  let assemblyFormat = [{
    $source `[` $indices `]` (`rows` $row_dim^ (`below` $row_limit^)?)?
    (`columns` $column_dim^ (`below` $column_limit^)?)? attr-dict
    `:` type($source) `->` type($result)
  }];
  let hasVerifier = 1;
}

def StoreOp : TileOp<"store", [AttrSizedOperandSegments,
    MemoryEffects<[MemWrite]>]> {
  let summary = "Write a tile to global memory";
  let description = [{
    The places are those of `tile.load`; elements behind a limit are not
    written.

    Constraints: those of `tile.load`, as (C1) to (C4).

    ```mlir
    tile.store %o, %target[%b, %t, %h, %c0] rows 1 below %n columns 3 below %k
        : !tile.tile<64x128xbf16>, memref<?x?x?x?xbf16>
    ```
  }];
  let arguments = (ins TileType:$value /*store_c4*/, AnyMemRef:$target,
                       Variadic<Index>:$indices /*store_c1*/,
                       DefaultValuedAttr<I64Attr, "-1">:$row_dim /*store_c2*/,
                       Optional<Index>:$row_limit /*store_c3*/,
                       DefaultValuedAttr<I64Attr, "-1">:$column_dim /*store_c2*/,
                       Optional<Index>:$column_limit /*store_c3*/);
  let assemblyFormat = [{
    $value `,` $target `[` $indices `]` (`rows` $row_dim^ (`below` $row_limit^)?)?
    (`columns` $column_dim^ (`below` $column_limit^)?)? attr-dict
    `:` type($value) `,` type($target)
  }];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Shared memory
//===----------------------------------------------------------------------===//

def AllocOp : TileOp<"alloc", [MemoryEffects<[MemAlloc]>]> {
  let summary = "Set shared memory aside for tiles";
  let description = [{
    The buffer lives as long as the block. Its contents are undefined.

    ```mlir
    %buffer = tile.alloc : !tile.buffer<2x64x128xbf16>
    ```
  }];
  let results = (outs BufferType:$result);
  let assemblyFormat = "attr-dict `:` type($result)";
}

def CopyOp : TileOp<"copy", [AttrSizedOperandSegments,
    MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "Begin to copy a tile from global to shared memory";
  let description = [{
    Reads as `tile.load` does and writes stage `stage` of `buffer`. The data is
    there for all threads after the `tile.wait` that covers the `tile.commit`
    behind this op. The stage must not be in use.

    Constraints:
    - (C1) to (C4) as `tile.load`'s.

    ```mlir
    tile.copy %source[%b, %t, %h, %c0] rows 1 below %n columns 3 below %k
        to %buffer[%s] : memref<?x?x?x?xbf16>, !tile.buffer<2x64x128xbf16>
    ```
  }];
  let arguments = (ins AnyMemRef:$source, Variadic<Index>:$indices /*copy_c1*/,
                       DefaultValuedAttr<I64Attr, "-1">:$row_dim /*copy_c2*/,
                       Optional<Index>:$row_limit /*copy_c3*/,
                       DefaultValuedAttr<I64Attr, "-1">:$column_dim /*copy_c2*/,
                       Optional<Index>:$column_limit /*copy_c3*/,
                       BufferType:$buffer /*copy_c4*/, Index:$stage);
  let assemblyFormat = [{
    $source `[` $indices `]` (`rows` $row_dim^ (`below` $row_limit^)?)?
    (`columns` $column_dim^ (`below` $column_limit^)?)?
    `to` $buffer `[` $stage `]` attr-dict
    `:` type($source) `,` type($buffer)
  }];
  let hasVerifier = 1;
}

def CommitOp : TileOp<"commit", [MemoryEffects<[MemWrite]>]> {
  let summary = "Make a group of the copies begun since the last one";
  let description = [{
    ```mlir
    tile.commit
    ```
  }];
  let assemblyFormat = "attr-dict";
}

def WaitOp : TileOp<"wait", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "Wait until at most some groups of copies are under way";
  let description = [{
    All but the last `pending` groups have arrived afterwards, and every thread
    of the block sees them. Also a barrier: what threads did before it is done.

    Constraints:
    - (C1) `pending` is not negative.

    ```mlir
    tile.wait 0
    ```
  }];
  let arguments = (ins I64Attr:$pending /*wait_c1*/);
  let assemblyFormat = "$pending attr-dict";
  let hasVerifier = 1;
}

def ViewOp : TileOp<"view", [MemoryEffects<[MemRead]>]> {
  let summary = "See a stage of a buffer as a tile";
  let description = [{
    The tile is read where it is used; the stage must not change before.

    Constraints:
    - (C1) Shapes and element types agree; the layout is `any`, or `shared` for
      matrices, `lanes` for vectors and `uniform` for scalars, which are read
      where the operation stands.

    ```mlir
    %k = tile.view %buffer[%s]
        : !tile.buffer<2x64x128xbf16> -> !tile.tile<64x128xbf16, shared>
    ```
  }];
  let arguments = (ins BufferType:$buffer, Index:$stage);
  let results = (outs TileType:$result /*view_c1*/);
  let assemblyFormat = [{
    $buffer `[` $stage `]` attr-dict `:` type($buffer) `->` type($result)
  }];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Groups of warps
//===----------------------------------------------------------------------===//

def GroupsOp : TileOp<"groups", [RecursiveMemoryEffects, NoRegionArguments,
    SingleBlock, NoTerminator]> {
  let summary = "Let groups of warps run programs of their own side by side";
  let description = [{
    Each region is executed by a group of as many warps as the kernel's tiles
    are shared out to (`tile.warps`); what the operations of this dialect say of
    the block is true of the group. Groups meet in buffers alone, and rings say
    when those may be read and written. The operation ends when all have.

    Constraints:
    - (C1) There are two groups at least.
    - (C2) A group reads no tile from outside.
    - (C3) It does not stand in a loop or in another group.

    ```mlir
    tile.groups {
      %s = tile.await empty %ring[%c0] : !tile.ring<2>
      tile.put %tile to %buffer[%s] : !tile.tile<64x128xbf16>, !tile.buffer<2x64x128xbf16>
      tile.mark full %ring[%c0] : !tile.ring<2>
    }, {
      %s = tile.await full %ring[%c0] : !tile.ring<2>
      %t = tile.view %buffer[%s] : !tile.buffer<2x64x128xbf16> -> !tile.tile<64x128xbf16>
    }
    ```
  }];
  let regions = (region VariadicRegion<SizedRegion<1>>:$groups /*groups_c1, groups_c2*/);
  let assemblyFormat = "$groups attr-dict";
  let hasVerifier = 1;
}

def RingState : I32EnumAttr<"RingState", "what a place of a ring is", [
  I32EnumAttrCase<"Full", 0, "full">, I32EnumAttrCase<"Empty", 1, "empty">
]> {
  let cppNamespace = "::rondo::tile";
}

def RingOp : TileOp<"ring", [MemoryEffects<[MemAlloc]>]> {
  let summary = "Places that are filled and emptied in turn";
  let description = [{
    Item n = 0, 1, .. has place n mod the ring's size, a stage of one or more
    buffers. One group marks places as full, one or more as empty. All are empty
    at first.

    Constraints:
    - (C1) It stands in front of groups, not in one.

    ```mlir
    %ring = tile.ring : !tile.ring<3>
    ```
  }];
  let results = (outs RingType:$result);
  let assemblyFormat = "attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def AwaitOp : TileOp<"await", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "Wait for the place of an item";
  let description = [{
    Waits until item `item` is there (`full`), or until every group that empties
    the ring is done with the item that had its place before (`empty`). The
    result is the place.

    Constraints:
    - (C1) It stands in a group.

    ```mlir
    %s = tile.await full %ring[%n] : !tile.ring<3>
    ```
  }];
  let arguments = (ins RingState:$state, RingType:$ring, Index:$item);
  let results = (outs Index:$place);
  let assemblyFormat = "$state $ring `[` $item `]` attr-dict `:` type($ring)";
  let hasVerifier = 1;
}

def MarkOp : TileOp<"mark", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "Hand on the place of an item";
  let description = [{
    As `full`: the item is there when the copies to its place and what was put
    there before this operation have arrived. As `empty`: the group reads the
    place no more, whose views were used before this operation alone.

    Constraints:
    - (C1) It stands in a group.

    ```mlir
    tile.mark full %ring[%n] : !tile.ring<3>
    ```
  }];
  let arguments = (ins RingState:$state, RingType:$ring, Index:$item);
  let assemblyFormat = "$state $ring `[` $item `]` attr-dict `:` type($ring)";
  let hasVerifier = 1;
}

def PutOp : TileOp<"put", [MemoryEffects<[MemWrite]>]> {
  let summary = "Write a tile to a stage of a buffer";
  let description = [{
    Other groups see it behind the `tile.mark` behind this op.

    Constraints:
    - (C1) Shapes and element types agree.

    ```mlir
    tile.put %s to %buffer[%p] : !tile.tile<64x128xbf16>, !tile.buffer<2x64x128xbf16>
    ```
  }];
  let arguments = (ins TileType:$value /*put_c1*/, BufferType:$buffer, Index:$stage);
  let assemblyFormat = [{
    $value `to` $buffer `[` $stage `]` attr-dict `:` type($value) `,` type($buffer)
  }];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Computation
//===----------------------------------------------------------------------===//

def DotOp : TileOp<"dot", [Pure,
    AllTypesMatch<["accumulator", "result"]>]> {
  let summary = "Multiply tiles";
  let description = [{
    result[r, c] = accumulator[r, c] + sum over k of left[r, k] * right[k, c].
    With `transpose_left` (`transpose_right`) the operand is stored the other
    way round. Sums are in f32. Operands in bf16 are multiplied exactly; f32
    operands are taken to 16 bits of mantissa at least.

    Constraints:
    - (C1) The shapes fit: m x k, k x n and m x n.
    - (C2) The accumulator and the result have the same type, of f32.
    - (C3) m, n and k are multiples of 16.

    ```mlir
    %s = tile.dot %q, %k, %zero transpose_right
        : !tile.tile<64x128xbf16>, !tile.tile<64x128xbf16>, !tile.tile<64x64xf32>
    ```
  }];
  let arguments = (ins TileType:$left /*dot_c1*/, TileType:$right /*dot_c1*/,
                       TileType:$accumulator /*dot_c2*/,
                       UnitAttr:$transpose_left, UnitAttr:$transpose_right);
  let results = (outs TileType:$result /*dot_c2*/);
  let assemblyFormat = [{
    $left `,` $right `,` $accumulator (`transpose_left` $transpose_left^)?
    (`transpose_right` $transpose_right^)? attr-dict
    `:` type($left) `,` type($right) `,` type($result)
  }];
  let builders = [OpBuilder<(ins "::mlir::Value":$left, "::mlir::Value":$right,
      "::mlir::Value":$accumulator, "bool":$transposeLeft, "bool":$transposeRight)>];
  let hasVerifier = 1;
}

def MapOp : TileOp<"map", [Pure, SingleBlockImplicitTerminator<"YieldOp">]> {
  let summary = "Compute every element from elements in the same place";
  let description = [{
    The region computes element (r, c) from the operands' elements at (r, c),
    where an operand with one row (column) is the same for all rows (columns).
    Its block has an argument per operand, in f32 whatever the element type,
    then r and c as indices; it may use scalars from outside. Results are
    rounded to the result's element type, or kept more exactly. This is also how constants, masks and
    casts are written.

    Constraints:
    - (C1) Each dim of an operand is 1 or the result's.
    - (C2) The block's arguments are one f32 per operand and two indices, and it
      yields one f32.
    - (C3) The region has only operations of `arith` and `math` on scalars.

    ```mlir
    %p = tile.map %s, %scale : !tile.tile<64x64xf32>, !tile.tile<64x1xf32> -> !tile.tile<64x64xbf16> {
    ^bb0(%x: f32, %y: f32, %r: index, %c: index):
      %0 = arith.mulf %x, %y : f32
      tile.yield %0 : f32
    }
    ```
  }];
  let arguments = (ins Variadic<TileType>:$inputs /*map_c1*/);
  let results = (outs TileType:$result);
  let regions = (region SizedRegion<1>:$body /*map_c2, map_c3*/);
  let assemblyFormat = [{
    ($inputs^ `:` type($inputs))? `->` type($result) $body attr-dict
  }];
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
}

def YieldOp : TileOp<"yield", [Pure, Terminator, HasParent<"MapOp">]> {
  let summary = "Give the element of a map";
  let description = [{ See `tile.map`. }];
  let arguments = (ins F32:$value);
  let builders = [OpBuilder<(ins), [{ /* for the implicit terminator */ }]>];
  let assemblyFormat = "$value attr-dict `:` type($value)";
}

def ReduceOp : TileOp<"reduce", [Pure]> {
  let summary = "Combine the elements along an axis";
  let description = [{
    Along `columns`: result[r, 0] = combination over c of source[r, c]; along
    `rows` likewise.

    Constraints:
    - (C1) The result is the source's shape with one row (column), in f32.

    ```mlir
    %m = tile.reduce max along columns %s : !tile.tile<64x64xf32> -> !tile.tile<64x1xf32>
    ```
  }];
  let arguments = (ins Combiner:$combiner, Axis:$axis, TileType:$source);
  let results = (outs TileType:$result /*reduce_c1*/);
  let assemblyFormat = [{
    $combiner `along` $axis $source attr-dict `:` type($source) `->` type($result)
  }];
  let hasVerifier = 1;
}

def ScanOp : TileOp<"scan", [Pure]> {
  let summary = "Combine the elements of a vector up to each place";
  let description = [{
    result[e] = combination of source[0], .., source[e]; with `exclusive`, without
    source[e], which is 0, 1 or -inf for the first. Of a matrix, the same for
    every column, down the rows; with `reversed`, from the last row up.

    Constraints:
    - (C1) The source is a vector or a matrix; the result has its shape, in f32.
    - (C2) Matrices are combined by `product`; only they are `reversed`.

    ```mlir
    %p = tile.scan product %a : !tile.tile<64x1xf32> -> !tile.tile<64x1xf32>
    %q = tile.scan product exclusive reversed %b : !tile.tile<64x128xf32> -> !tile.tile<64x128xf32>
    ```
  }];
  let arguments = (ins Combiner:$combiner /*scan_c2*/, UnitAttr:$exclusive,
                       UnitAttr:$reversed /*scan_c2*/,
                       TileType:$source /*scan_c1*/);
  let results = (outs TileType:$result /*scan_c1*/);
  let assemblyFormat = "$combiner (`exclusive` $exclusive^)? (`reversed` $reversed^)? $source attr-dict `:` type($source) `->` type($result)";
  let hasVerifier = 1;
}

def SegmentProductOp : TileOp<"segment_product", [Pure]> {
  let summary = "Multiply the elements of a vector between two places";
  let description = [{
    result[r, s] = product over s < e <= r of source[e]; 1 for r = s and 0 for
    r < s; with `exclusive` over s < e < r, and 1 also for r = s + 1. With `row`,
    that row alone. Neither overflows nor underflows where
    the result does not, whatever the products of all elements are.

    Constraints:
    - (C1) The source is a vector of n elements of f32.
    - (C2) The result is n x n, or 1 x n with `row`, which is below n.

    ```mlir
    %d = tile.segment_product %a : !tile.tile<64x1xf32> -> !tile.tile<64x64xf32>
    %e = tile.segment_product %a row 63 : !tile.tile<64x1xf32> -> !tile.tile<1x64xf32>
    ```
  }];
  let arguments = (ins TileType:$source /*segment_product_c1*/,
                       UnitAttr:$exclusive,
                       OptionalAttr<I64Attr>:$row /*segment_product_c2*/);
  let results = (outs TileType:$result /*segment_product_c2*/);
  let assemblyFormat = [{
    $source (`exclusive` $exclusive^)? (`row` $row^)? attr-dict `:` type($source) `->` type($result)
  }];
  let hasVerifier = 1;
}

def SegmentDotOp : TileOp<"segment_dot", [Pure]> {
  let summary = "Multiply rows by rows, weighed by products between them";
  let description = [{
    result[r, s] = sum over i of queries[r, i] * keys[s, i] * product over s < e
    <= r of factors[e, i], and 0 for r < s; with `exclusive` over s < e < r, and
    0 also for r = s. It is what `tile.dot` and `tile.segment_product` are together
    when each column has factors of its own. Nothing is divided, and a product
    over a range of rows is made of products over parts of it alone.

    Sums are in f32. Queries and keys times products of factors are rounded to
    bf16 where the operand is, else taken to 16 bits of mantissa at least.

    Constraints:
    - (C1) The operands have the same shape, the factors are f32.
    - (C2) The number of rows is a power of two, 16 at least, and of columns a
      multiple of 64.
    - (C3) The result has a row and a column for every row, of f32.

    ```mlir
    %s = tile.segment_dot %q, %k, %a
        : !tile.tile<64x128xbf16>, !tile.tile<64x128xbf16>, !tile.tile<64x128xf32>
          -> !tile.tile<64x64xf32>
    ```
  }];
  let arguments = (ins TileType:$queries /*segment_dot_c1*/,
                       TileType:$keys /*segment_dot_c1, segment_dot_c2*/,
                       TileType:$factors /*segment_dot_c1*/,
                       UnitAttr:$exclusive);
  let results = (outs TileType:$result /*segment_dot_c3*/);
  let assemblyFormat = [{
    $queries `,` $keys `,` $factors (`exclusive` $exclusive^)? attr-dict
    `:` type($queries) `,` type($keys) `,` type($factors) `->` type($result)
  }];
  let hasVerifier = 1;
}

def ExtractOp : TileOp<"extract", [Pure]> {
  let summary = "Take one element of a vector, or one row of a matrix";
  let description = [{
    Constraints:
    - (C1) Of a vector, the result is a scalar of its element type; of a matrix,
      a row.
    - (C2) `position` is below the number of elements, or of rows.

    ```mlir
    %e = tile.extract %p at 63 : !tile.tile<64x1xf32> -> !tile.tile<1x1xf32>
    %r = tile.extract %q at 63 : !tile.tile<64x128xf32> -> !tile.tile<1x128xf32>
    ```
  }];
  let arguments = (ins TileType:$source /*extract_c1*/, I64Attr:$position /*extract_c2*/);
  let results = (outs TileType:$result /*extract_c1*/);
  let assemblyFormat = "$source `at` $position attr-dict `:` type($source) `->` type($result)";
  let hasVerifier = 1;
}

def InvertOp : TileOp<"invert", [Pure]> {
  let summary = "Invert a unit lower triangular matrix";
  let description = [{
    result = (1 + N)^-1 where N is what the source holds below its diagonal; the
    rest of the source is not looked at.

    Constraints:
    - (C1) The source is square, of f32, and the result of its type; the number
      of rows is a power of two times 16.

    ```mlir
    %t = tile.invert %n : !tile.tile<64x64xf32> -> !tile.tile<64x64xf32>
    ```
  }];
  let arguments = (ins TileType:$source /*invert_c1*/);
  let results = (outs TileType:$result /*invert_c1*/);
  let assemblyFormat = "$source attr-dict `:` type($source) `->` type($result)";
  let hasVerifier = 1;
}

def TransposeOp : TileOp<"transpose", [Pure]> {
  let summary = "Exchange rows and columns";
  let description = [{
    Constraints:
    - (C1) The result has the source's dims the other way round and its element
      type.

    ```mlir
    %b = tile.transpose %a : !tile.tile<64x1xf32> -> !tile.tile<1x64xf32>
    ```
  }];
  let arguments = (ins TileType:$source);
  let results = (outs TileType:$result /*transpose_c1*/);
  let assemblyFormat = "$source attr-dict `:` type($source) `->` type($result)";
  let builders = [OpBuilder<(ins "::mlir::Value":$source)>];
  let hasVerifier = 1;
}

def ConvertOp : TileOp<"convert", [Pure]> {
  let summary = "Change the layout";
  let description = [{
    Constraints:
    - (C1) Shapes and element types agree.

    ```mlir
    %b = tile.convert %a : !tile.tile<64x64xbf16, accumulator> -> !tile.tile<64x64xbf16, shared>
    ```
  }];
  let arguments = (ins TileType:$source);
  let results = (outs TileType:$result /*convert_c1*/);
  let assemblyFormat = "$source attr-dict `:` type($source) `->` type($result)";
  let hasVerifier = 1;
}

#endif // TILE_OPS
