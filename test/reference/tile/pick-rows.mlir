// RUN: tile-eval %s | FileCheck %s

// Rows hold their number: the sum over 16 rows of the last of each 4 is
// 4 (3 + 7 + 11 + 15), of the one before, kept within the tile, 0 + 0 + .. + 14.
// CHECK-LABEL: pick
// CHECK-NEXT: 144
// CHECK-NEXT: 105
// CHECK-NEXT: 9
func.func @pick() -> (!tile.tile<1x1xf32>, !tile.tile<1x1xf32>, !tile.tile<1x1xf32>) {
  %a = tile.map -> !tile.tile<16x16xf32> {
  ^bb0(%r: index, %c: index):
    %zero = arith.constant 0.0 : f32
    %c0 = arith.constant 0 : index
    %i = arith.index_cast %r : index to i32
    %x = arith.sitofp %i : i32 to f32
    %is = arith.cmpi eq, %c, %c0 : index
    %0 = arith.select %is, %x, %zero : f32
    tile.yield %0 : f32
  }
  %b = tile.pick_rows %a group 4 offset 3 : !tile.tile<16x16xf32> -> !tile.tile<16x16xf32>
  %b1 = tile.reduce sum along rows %b : !tile.tile<16x16xf32> -> !tile.tile<1x16xf32>
  %b2 = tile.reduce sum along columns %b1 : !tile.tile<1x16xf32> -> !tile.tile<1x1xf32>
  %p = tile.pick_rows %a group 1 offset -1 : !tile.tile<16x16xf32> -> !tile.tile<16x16xf32>
  %p1 = tile.reduce sum along rows %p : !tile.tile<16x16xf32> -> !tile.tile<1x16xf32>
  %p2 = tile.reduce sum along columns %p1 : !tile.tile<1x16xf32> -> !tile.tile<1x1xf32>
  %l = tile.pick_rows %a group 16 offset 9 : !tile.tile<16x16xf32> -> !tile.tile<1x16xf32>
  %l2 = tile.reduce sum along columns %l : !tile.tile<1x16xf32> -> !tile.tile<1x1xf32>
  return %b2, %p2, %l2 : !tile.tile<1x1xf32>, !tile.tile<1x1xf32>, !tile.tile<1x1xf32>
}
