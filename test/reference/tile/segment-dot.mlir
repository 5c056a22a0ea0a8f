// RUN: tile-eval %s | FileCheck %s

// Queries are 1 and keys the number of the row plus 1, in the first column alone;
// factors are 0.5 in odd rows and -2 in even ones.
// CHECK-LABEL: products
// CHECK-NEXT: -0.5 -2 1.5 4 0 0 0 0 0 0 0 0 0 0 0 0
// CHECK-NEXT: -1 -4 3 0 0 0 0 0 0 0 0 0 0 0 0 0
// CHECK-NEXT: 64
// CHECK-NEXT: -64
func.func @products() -> (!tile.tile<1x16xf32>, !tile.tile<1x16xf32>, !tile.tile<1x1xf32>, !tile.tile<1x1xf32>) {
  %q = tile.map -> !tile.tile<16x64xf32> {
  ^bb0(%r: index, %c: index):
    %zero = arith.constant 0.0 : f32
    %c0 = arith.constant 0 : index
    %is = arith.cmpi eq, %c, %c0 : index
    %one = arith.constant 1.0 : f32
    %x = arith.select %is, %one, %zero : f32
    tile.yield %x : f32
  }
  %k = tile.map -> !tile.tile<16x64xf32> {
  ^bb0(%r: index, %c: index):
    %zero = arith.constant 0.0 : f32
    %c0 = arith.constant 0 : index
    %is = arith.cmpi eq, %c, %c0 : index
    %c1 = arith.constant 1 : index
    %next = arith.addi %r, %c1 : index
    %i = arith.index_cast %next : index to i32
    %real = arith.sitofp %i : i32 to f32
    %x = arith.select %is, %real, %zero : f32
    tile.yield %x : f32
  }
  %a = tile.map -> !tile.tile<16x64xf32> {
  ^bb0(%r: index, %c: index):
    %c1 = arith.constant 1 : index
    %rest = arith.andi %r, %c1 : index
    %odd = arith.cmpi eq, %rest, %c1 : index
    %half = arith.constant 0.5 : f32
    %two = arith.constant -2.0 : f32
    %x = arith.select %odd, %half, %two : f32
    tile.yield %x : f32
  }
  %d = tile.segment_dot %q, %k, %a : !tile.tile<16x64xf32>, !tile.tile<16x64xf32>, !tile.tile<16x64xf32> -> !tile.tile<16x16xf32>
  %e = tile.segment_dot %q, %k, %a exclusive : !tile.tile<16x64xf32>, !tile.tile<16x64xf32>, !tile.tile<16x64xf32> -> !tile.tile<16x16xf32>
  %d3 = tile.extract %d at 3 : !tile.tile<16x16xf32> -> !tile.tile<1x16xf32>
  %e3 = tile.extract %e at 3 : !tile.tile<16x16xf32> -> !tile.tile<1x16xf32>
  %down = tile.scan product %a : !tile.tile<16x64xf32> -> !tile.tile<16x64xf32>
  %down3 = tile.extract %down at 3 : !tile.tile<16x64xf32> -> !tile.tile<1x64xf32>
  %sum = tile.reduce sum along columns %down3 : !tile.tile<1x64xf32> -> !tile.tile<1x1xf32>
  %up = tile.scan product exclusive reversed %a : !tile.tile<16x64xf32> -> !tile.tile<16x64xf32>
  %up13 = tile.extract %up at 13 : !tile.tile<16x64xf32> -> !tile.tile<1x64xf32>
  %sum13 = tile.reduce sum along columns %up13 : !tile.tile<1x64xf32> -> !tile.tile<1x1xf32>
  return %d3, %e3, %sum, %sum13 : !tile.tile<1x16xf32>, !tile.tile<1x16xf32>, !tile.tile<1x1xf32>, !tile.tile<1x1xf32>
}
