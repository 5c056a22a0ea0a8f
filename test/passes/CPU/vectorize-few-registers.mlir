// RUN: rondo-opt %s --rondo-vectorize-loops --canonicalize | FileCheck %s

// With 16 registers a tile has 4 rows and 2 vectors, and an iteration takes
// four steps of the reduction, whose sums follow from one another. What is left
// of rows takes one.

#lhs = affine_map<(i, j, k) -> (i, k)>
#rhs = affine_map<(i, j, k) -> (k, j)>
#out = affine_map<(i, j, k) -> (i, j)>

module attributes {rondo.target = {name = "x86-64-v3", vector_bits = 256 : i64, registers = 16 : i64}} {
// CHECK-LABEL: func.func @product
// CHECK:         scf.for %{{.*}} = %c0 to %c16 step %c4
// CHECK:           scf.for %{{.*}} = %c0 to %c32 step %c16
// CHECK:             scf.for %[[K:.*]] = %c0 to %c64 step %c4 iter_args(%[[SUM:[a-z0-9_]+]] = %{{.*}}) ->
// CHECK-COUNT-8:       arith.mulf
// CHECK:               %[[FIRST:.*]] = arith.addf %[[SUM]], %{{.*}} : vector<8xf32>
// CHECK:               arith.addi %[[K]], %c1
// CHECK:               %[[SECOND:.*]] = arith.addf %[[FIRST]], %{{.*}} : vector<8xf32>
// CHECK:               arith.addi %[[K]], %c2
// CHECK:               %[[THIRD:.*]] = arith.addf %[[SECOND]], %{{.*}} : vector<8xf32>
// CHECK:               arith.addi %[[K]], %c3
// CHECK:               %[[LAST:.*]] = arith.addf %[[THIRD]], %{{.*}} : vector<8xf32>
// CHECK:               scf.yield %[[LAST]],
// CHECK:         scf.for %{{.*}} = %c16 to %c19 step %c1
// CHECK:           scf.for
// CHECK:             scf.for %{{.*}} = %c0 to %c64 step %c1 iter_args
func.func @product(%a: memref<19x64xf32>, %b: memref<64x32xf32>, %c: memref<19x32xf32>) {
  linalg.generic {indexing_maps = [#lhs, #rhs, #out], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : memref<19x64xf32>, memref<64x32xf32>) outs(%c : memref<19x32xf32>) {
  ^bb0(%x: f32, %y: f32, %sum: f32):
    %0 = arith.mulf %x, %y : f32
    %1 = arith.addf %sum, %0 : f32
    linalg.yield %1 : f32
  }
  return
}

// The row that ends first says how many steps all rows of a tile have; these go
// by fours, too.

// CHECK-LABEL: func.func @triangle
// CHECK:         scf.for %{{.*}} = %c0 to %c16 step %c4
// CHECK:           %[[MAIN:.*]] = arith.andi %[[END:.*]], %c-4
// CHECK:           scf.for %{{.*}} = %c0 to %[[MAIN]] step %c4 iter_args
// CHECK:           scf.for %{{.*}} = %[[MAIN]] to %[[END]] step %c1 iter_args
func.func @triangle(%a: memref<16x16xf32>, %b: memref<16x32xf32>, %c: memref<16x32xf32>) {
  %zero = arith.constant 0.0 : f32
  linalg.generic {indexing_maps = [#lhs, #rhs, #out], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : memref<16x16xf32>, memref<16x32xf32>) outs(%c : memref<16x32xf32>) {
  ^bb0(%x: f32, %y: f32, %sum: f32):
    %i = linalg.index 0 : index
    %k = linalg.index 2 : index
    %0 = arith.mulf %x, %y : f32
    %inside = arith.cmpi sle, %k, %i : index
    %1 = arith.select %inside, %0, %zero : f32
    %2 = arith.addf %sum, %1 : f32
    linalg.yield %2 : f32
  }
  return
}

// Lanes that are compared with a number: the two tiles of four vectors are
// written out, and the masks are numbers.

// CHECK-LABEL: func.func @known_lanes
// CHECK-NOT:     vector.create_mask
// CHECK:         %[[SOME:.*]] = vector.constant_mask [3] : vector<8xi1>
// CHECK:         scf.for %{{.*}} = %c0 to %c32
// CHECK:           arith.select %[[SOME]]
// CHECK:         scf.for %{{.*}} = %c0 to %c32
// CHECK-NOT:     vector.create_mask
// CHECK:         return
func.func @known_lanes(%a: memref<32xf32>, %x: memref<32x64xf32>, %y: memref<64xf32>) {
  %three = arith.constant 3 : index
  linalg.generic {indexing_maps = [affine_map<(s, i) -> (i)>, affine_map<(s, i) -> (i, s)>,
                                   affine_map<(s, i) -> (s)>],
                  iterator_types = ["parallel", "reduction"]}
      ins(%a, %x : memref<32xf32>, memref<32x64xf32>) outs(%y : memref<64xf32>) {
  ^bb0(%decay: f32, %key: f32, %sum: f32):
    %s = linalg.index 0 : index
    %before = arith.cmpi slt, %s, %three : index
    %0 = arith.mulf %decay, %key : f32
    %1 = arith.select %before, %0, %key : f32
    %2 = arith.addf %sum, %1 : f32
    linalg.yield %2 : f32
  }
  return
}

// The 32 lines that the next step copies are fetched by the 8 tiles of a
// product, each before its reduction.

// CHECK-LABEL: func.func @ahead(
// CHECK-SAME:    %[[X:[^:]*]]: memref<?x32xf32,
// CHECK:         scf.for %[[ROW:.*]] = %c0 to %c16 step %c4
// CHECK:           scf.for %[[COLUMN:.*]] = %c0 to %c32 step %c16
// CHECK:             %[[ROWS:.*]] = arith.divui %[[ROW]], %c4
// CHECK:             %[[BEFORE:.*]] = arith.muli %[[ROWS]], %c2
// CHECK:             %[[COLUMNS:.*]] = arith.divui %[[COLUMN]], %c16
// CHECK:             %[[TILE:.*]] = arith.addi %[[BEFORE]], %[[COLUMNS]]
// CHECK:             arith.muli %[[TILE]], %c4
// CHECK-COUNT-4:     memref.prefetch %[[X]]
// CHECK:             scf.for {{.*}} iter_args
// CHECK-NOT:           memref.prefetch
// CHECK:         return
func.func @ahead(%x: memref<?x32xf32, strided<[?, 1]>>, %w: memref<32x32xf32>,
                 %a: memref<16x32xf32>, %b: memref<16x32xf32>, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c16 = arith.constant 16 : index
  scf.for %c = %c0 to %n step %c1 {
    %first = arith.muli %c, %c16 : index
    %rows = memref.subview %x[%first, 0] [16, 32] [1, 1] : memref<?x32xf32, strided<[?, 1]>> to memref<16x32xf32, strided<[?, 1], offset: ?>>
    linalg.copy ins(%rows : memref<16x32xf32, strided<[?, 1], offset: ?>>) outs(%a : memref<16x32xf32>)
    linalg.generic {indexing_maps = [#lhs, #rhs, #out], iterator_types = ["parallel", "parallel", "reduction"]}
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
