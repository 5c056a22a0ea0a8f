// RUN: tile-eval %s | FileCheck %s

// (1 + N)^-1 for N with ones right below the diagonal has (-1)^(r - c) below it;
// times 1 + N, summed up, it is the number of rows.
// CHECK-LABEL: invert
// CHECK-NEXT: 16
// CHECK-NEXT: -1
func.func @invert() -> (!tile.tile<1x1xf32>, !tile.tile<1x1xf32>) {
  %n = tile.map -> !tile.tile<16x16xf32> {
  ^bb0(%r: index, %c: index):
    %one = arith.constant 1.0 : f32
    %zero = arith.constant 0.0 : f32
    %c1 = arith.constant 1 : index
    %below = arith.addi %c, %c1 : index
    %is = arith.cmpi eq, %r, %below : index
    %0 = arith.select %is, %one, %zero : f32
    tile.yield %0 : f32
  }
  %t = tile.invert %n : !tile.tile<16x16xf32> -> !tile.tile<16x16xf32>
  // t n + t = 1
  %i = tile.dot %t, %n, %t : !tile.tile<16x16xf32>, !tile.tile<16x16xf32>, !tile.tile<16x16xf32>
  %s = tile.reduce sum along rows %i : !tile.tile<16x16xf32> -> !tile.tile<1x16xf32>
  %sum = tile.reduce sum along columns %s : !tile.tile<1x16xf32> -> !tile.tile<1x1xf32>
  %u = tile.transpose %t : !tile.tile<16x16xf32> -> !tile.tile<16x16xf32>
  // Row 0 of the transposed inverse is column 0: 1, -1, 1, ..
  %first = tile.map %u : !tile.tile<16x16xf32> -> !tile.tile<16x16xf32> {
  ^bb0(%x: f32, %r: index, %c: index):
    %zero = arith.constant 0.0 : f32
    %c0 = arith.constant 0 : index
    %c3 = arith.constant 3 : index
    %a = arith.cmpi eq, %r, %c0 : index
    %b = arith.cmpi eq, %c, %c3 : index
    %ab = arith.andi %a, %b : i1
    %0 = arith.select %ab, %x, %zero : f32
    tile.yield %0 : f32
  }
  %f = tile.reduce sum along rows %first : !tile.tile<16x16xf32> -> !tile.tile<1x16xf32>
  %g = tile.reduce sum along columns %f : !tile.tile<1x16xf32> -> !tile.tile<1x1xf32>
  return %sum, %g : !tile.tile<1x1xf32>, !tile.tile<1x1xf32>
}

// CHECK-LABEL: transposed
// CHECK-NEXT: 0
func.func @transposed() -> !tile.tile<1x1xf32> {
  %a = tile.map -> !tile.tile<16x32xf32> {
  ^bb0(%r: index, %c: index):
    %c3 = arith.constant 3 : index
    %p = arith.muli %r, %c3 : index
    %s = arith.addi %p, %c : index
    %0 = arith.index_cast %s : index to i32
    %1 = arith.sitofp %0 : i32 to f32
    tile.yield %1 : f32
  }
  %zero = tile.map -> !tile.tile<16x16xf32> {
  ^bb0(%r: index, %c: index):
    %0 = arith.constant 0.0 : f32
    tile.yield %0 : f32
  }
  %t = tile.transpose %a : !tile.tile<16x32xf32> -> !tile.tile<32x16xf32>
  %x = tile.dot %a, %t, %zero : !tile.tile<16x32xf32>, !tile.tile<32x16xf32>, !tile.tile<16x16xf32>
  %y = tile.dot %t, %a, %zero transpose_left transpose_right
      : !tile.tile<32x16xf32>, !tile.tile<16x32xf32>, !tile.tile<16x16xf32>
  %d = tile.map %x, %y : !tile.tile<16x16xf32>, !tile.tile<16x16xf32> -> !tile.tile<16x16xf32> {
  ^bb0(%u: f32, %v: f32, %r: index, %c: index):
    %0 = arith.subf %u, %v : f32
    %1 = math.absf %0 : f32
    tile.yield %1 : f32
  }
  %s = tile.reduce max along rows %d : !tile.tile<16x16xf32> -> !tile.tile<1x16xf32>
  %m = tile.reduce max along columns %s : !tile.tile<1x16xf32> -> !tile.tile<1x1xf32>
  return %m : !tile.tile<1x1xf32>
}
