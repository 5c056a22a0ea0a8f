// RUN: tile-eval %s | FileCheck %s

// CHECK-LABEL: broadcast
// CHECK-NEXT: 0 1 2
// CHECK-NEXT: 10 12 14
func.func @broadcast() -> !tile.tile<2x3xf32> {
  %row = tile.map -> !tile.tile<1x3xf32> {
  ^bb0(%r: index, %c: index):
    %0 = arith.index_cast %c : index to i32
    %1 = arith.sitofp %0 : i32 to f32
    tile.yield %1 : f32
  }
  %0 = tile.map %row : !tile.tile<1x3xf32> -> !tile.tile<2x3xf32> {
  ^bb0(%x: f32, %r: index, %c: index):
    %c0 = arith.constant 0 : index
    %first = arith.cmpi eq, %r, %c0 : index
    %ten = arith.constant 10.0 : f32
    %sum = arith.addf %x, %x : f32
    %more = arith.addf %ten, %sum : f32
    %1 = arith.select %first, %x, %more : f32
    tile.yield %1 : f32
  }
  return %0 : !tile.tile<2x3xf32>
}

// A narrower type rounds.
// CHECK-LABEL: rounding
// CHECK-NEXT: 1.00781
func.func @rounding() -> !tile.tile<1x1xbf16> {
  %0 = tile.map -> !tile.tile<1x1xbf16> {
  ^bb0(%r: index, %c: index):
    %x = arith.constant 1.0065 : f32
    tile.yield %x : f32
  }
  return %0 : !tile.tile<1x1xbf16>
}
