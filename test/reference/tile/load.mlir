// RUN: tile-eval %s | FileCheck %s

memref.global "private" constant @source : memref<2x3xf32> = dense<[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]>

// Behind the limits there is 0.
// CHECK-LABEL: edges
// CHECK-NEXT: 2 3 0
// CHECK-NEXT: 5 6 0
// CHECK-NEXT: 0 0 0
func.func @edges() -> !tile.tile<3x3xf32> {
  %m = memref.get_global @source : memref<2x3xf32>
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %0 = tile.load %m[%c0, %c1] rows 0 below %c2 columns 1 below %c2
      : memref<2x3xf32> -> !tile.tile<3x3xf32>
  return %0 : !tile.tile<3x3xf32>
}

// Rows along the second dim.
// CHECK-LABEL: turned
// CHECK-NEXT: 4
// CHECK-NEXT: 5
// CHECK-NEXT: 6
func.func @turned() -> !tile.tile<3x1xf32> {
  %m = memref.get_global @source : memref<2x3xf32>
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c3 = arith.constant 3 : index
  %0 = tile.load %m[%c1, %c0] rows 1 below %c3 : memref<2x3xf32> -> !tile.tile<3x1xf32>
  return %0 : !tile.tile<3x1xf32>
}

// What a limit leaves out is not written.
// CHECK-LABEL: store
// CHECK-NEXT: 0 0 0
// CHECK-NEXT: 0 1 0
func.func @store() -> memref<2x3xf32> {
  %m = memref.alloc() : memref<2x3xf32>
  %c1 = arith.constant 1 : index
  %x = tile.map -> !tile.tile<2x2xf32> {
  ^bb0(%r: index, %c: index):
    %one = arith.constant 1.0 : f32
    tile.yield %one : f32
  }
  tile.store %x, %m[%c1, %c1] rows 0 below %c1 columns 1 below %c1
      : !tile.tile<2x2xf32>, memref<2x3xf32>
  return %m : memref<2x3xf32>
}

// A copy brings what a load gives.
// CHECK-LABEL: copy
// CHECK-NEXT: 21
func.func @copy() -> !tile.tile<1x1xf32> {
  %m = memref.get_global @source : memref<2x3xf32>
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %c3 = arith.constant 3 : index
  %b = tile.alloc : !tile.buffer<2x16x16xf32>
  tile.copy %m[%c0, %c0] rows 0 below %c2 columns 1 below %c3 to %b[%c1]
      : memref<2x3xf32>, !tile.buffer<2x16x16xf32>
  tile.commit
  tile.wait 0
  %v = tile.view %b[%c1] : !tile.buffer<2x16x16xf32> -> !tile.tile<16x16xf32>
  %s = tile.reduce sum along rows %v : !tile.tile<16x16xf32> -> !tile.tile<1x16xf32>
  %t = tile.reduce sum along columns %s : !tile.tile<1x16xf32> -> !tile.tile<1x1xf32>
  return %t : !tile.tile<1x1xf32>
}
