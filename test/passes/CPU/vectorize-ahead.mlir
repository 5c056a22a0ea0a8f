// RUN: rondo-opt %s --rondo-vectorize-loops --canonicalize --cse | FileCheck %s

#row = affine_map<(r, j, s) -> (r, s)>
#column = affine_map<(r, j, s) -> (s, j)>
#out = affine_map<(r, j, s) -> (r, j)>

module attributes {rondo.target = {name = "x86-64-v4", vector_bits = 512 : i64, registers = 32 : i64}} {
// The product of step c fetches the rows that step c + 1 copies, and those that
// this step writes: 32 lines each, in the 128 steps of its reductions.
// CHECK-LABEL: func.func @copy(
// CHECK-SAME:    %[[X:[^:]*]]: memref<?x32xf32, {{[^>]*}}>>, %[[W:[^:]*]]: memref<32x32xf32>, %[[Y:[^:]*]]: memref
// CHECK:         scf.for %[[C:.*]] = %c0 to
// CHECK:           %[[THIS:.*]] = arith.muli %[[C]], %c16
// CHECK:           %[[NEXT:.*]] = arith.addi %[[C]], %c1
// CHECK:           %[[FIRST:.*]] = arith.muli %[[NEXT]], %c16
// CHECK:           scf.for %[[R:.*]] = %c0 to %c16 step %c4
// CHECK:             scf.for %[[S:.*]] = %c0 to %c32 step %c1
// CHECK:               %[[TILE:.*]] = arith.divui %[[R]], %c4
// CHECK:               %[[BEFORE:.*]] = arith.muli %[[TILE]], %c32
// CHECK:               %[[DONE:.*]] = arith.addi %[[BEFORE]], %[[S]]
// CHECK:               %[[LINE:.*]] = arith.divui %[[DONE]], %c4
// CHECK:               %[[INROWS:.*]] = arith.divui %[[LINE]], %c2
// CHECK:               %[[INROW:.*]] = arith.remui %[[LINE]], %c2
// CHECK:               %[[COLUMN:.*]] = arith.muli %[[INROW]], %c16
// CHECK:               %[[ROW:.*]] = arith.addi %[[FIRST]], %[[INROWS]]
// CHECK:               memref.prefetch %[[X]][%[[ROW]], %[[COLUMN]]], read, locality<2>
// CHECK:               %[[OWN:.*]] = arith.addi %[[THIS]], %[[INROWS]]
// CHECK:               memref.prefetch %[[Y]][%[[OWN]], %[[COLUMN]]], write, locality<2>
// CHECK-NOT:         memref.prefetch
// CHECK:         return
func.func @copy(%x: memref<?x32xf32, strided<[?, 1]>>, %w: memref<32x32xf32>, %y: memref<?x32xf32, strided<[?, 1]>>,
                %a: memref<16x32xf32>, %b: memref<16x32xf32>, %n: index) {
  %zero = arith.constant 0.0 : f32
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c16 = arith.constant 16 : index
  scf.for %c = %c0 to %n step %c1 {
    %first = arith.muli %c, %c16 : index
    %rows = memref.subview %x[%first, 0] [16, 32] [1, 1] : memref<?x32xf32, strided<[?, 1]>> to memref<16x32xf32, strided<[?, 1], offset: ?>>
    linalg.copy ins(%rows : memref<16x32xf32, strided<[?, 1], offset: ?>>) outs(%a : memref<16x32xf32>)
    linalg.fill ins(%zero : f32) outs(%b : memref<16x32xf32>)
    linalg.generic {indexing_maps = [#row, #column, #out],
                    iterator_types = ["parallel", "parallel", "reduction"]}
        ins(%a, %w : memref<16x32xf32>, memref<32x32xf32>) outs(%b : memref<16x32xf32>) {
    ^bb0(%0: f32, %1: f32, %sum: f32):
      %2 = arith.mulf %0, %1 : f32
      %3 = arith.addf %sum, %2 : f32
      linalg.yield %3 : f32
    }
    %results = memref.subview %y[%first, 0] [16, 32] [1, 1] : memref<?x32xf32, strided<[?, 1]>> to memref<16x32xf32, strided<[?, 1], offset: ?>>
    linalg.copy ins(%b : memref<16x32xf32>) outs(%results : memref<16x32xf32, strided<[?, 1], offset: ?>>)
  }
  return
}

// Where the steps of the reduction are not known, two lines for each of the four
// rows of a tile are fetched with it.
// CHECK-LABEL: func.func @unknown(
// CHECK-SAME:    %[[X:[^:]*]]: memref
// CHECK:           scf.for %[[R:.*]] = %c0 to %c16 step %c4
// CHECK:             %[[ROW:.*]] = arith.addi %{{.*}}, %[[R]]
// CHECK:             memref.prefetch %[[X]][%[[ROW]], %c0], read
// CHECK:             memref.prefetch %[[X]][%[[ROW]], %c16], read
// CHECK-COUNT-6:     memref.prefetch %[[X]]
// CHECK-NOT:         memref.prefetch
// CHECK:         return
func.func @unknown(%x: memref<?x32xf32, strided<[?, 1]>>, %w: memref<?x32xf32>, %q: memref<16x?xf32>,
                   %a: memref<16x32xf32>, %b: memref<16x32xf32>, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c16 = arith.constant 16 : index
  scf.for %c = %c0 to %n step %c1 {
    %first = arith.muli %c, %c16 : index
    %rows = memref.subview %x[%first, 0] [16, 32] [1, 1] : memref<?x32xf32, strided<[?, 1]>> to memref<16x32xf32, strided<[?, 1], offset: ?>>
    linalg.copy ins(%rows : memref<16x32xf32, strided<[?, 1], offset: ?>>) outs(%a : memref<16x32xf32>)
    linalg.generic {indexing_maps = [#row, #column, #out],
                    iterator_types = ["parallel", "parallel", "reduction"]}
        ins(%q, %w : memref<16x?xf32>, memref<?x32xf32>) outs(%b : memref<16x32xf32>) {
    ^bb0(%0: f32, %1: f32, %sum: f32):
      %2 = arith.mulf %0, %1 : f32
      %3 = arith.addf %sum, %2 : f32
      linalg.yield %3 : f32
    }
  }
  return
}

// Rows that are the same at every step are in the cache.
// CHECK-LABEL: func.func @same(
// CHECK-NOT:     memref.prefetch
// CHECK:         return
func.func @same(%x: memref<16x32xf32, strided<[?, 1]>>, %w: memref<32x32xf32>, %a: memref<16x32xf32>,
                %b: memref<16x32xf32>, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  scf.for %c = %c0 to %n step %c1 {
    %rows = memref.subview %x[0, 0] [16, 32] [1, 1] : memref<16x32xf32, strided<[?, 1]>> to memref<16x32xf32, strided<[?, 1]>>
    linalg.copy ins(%rows : memref<16x32xf32, strided<[?, 1]>>) outs(%a : memref<16x32xf32>)
    linalg.generic {indexing_maps = [#row, #column, #out],
                    iterator_types = ["parallel", "parallel", "reduction"]}
        ins(%a, %w : memref<16x32xf32>, memref<32x32xf32>) outs(%b : memref<16x32xf32>) {
    ^bb0(%0: f32, %1: f32, %sum: f32):
      %2 = arith.mulf %0, %1 : f32
      %3 = arith.addf %sum, %2 : f32
      linalg.yield %3 : f32
    }
  }
  return
}
}
