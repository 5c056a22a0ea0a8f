// RUN: rondo-opt %s --rondo-vectorize-loops --canonicalize --cse | FileCheck %s

#row = affine_map<(r, j, s) -> (r, s)>
#column = affine_map<(r, j, s) -> (s, j)>
#out = affine_map<(r, j, s) -> (r, j)>

module attributes {rondo.target = {name = "x86-64-v4", vector_bits = 512 : i64, registers = 32 : i64}} {
// A reduction over s <= r: the steps that all rows of a tile have, then one
// step that three of them have, two, one. Nothing is tested.
// CHECK-LABEL: func.func @reduction
// CHECK:         scf.for %[[R:.*]] = %c0 to %c64 step %c4
// CHECK:           %[[END:.*]] = arith.addi %[[R]], %c1
// CHECK:           scf.for %{{.*}} = %c0 to %[[END]] step %c1 iter_args
// CHECK-NOT:     arith.select
// CHECK:         return
func.func @reduction(%a: memref<64x64xf32>, %b: memref<64x64xf32>, %c: memref<64x64xf32>) {
  %zero = arith.constant 0.0 : f32
  linalg.generic {indexing_maps = [#row, #column, #out],
                  iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : memref<64x64xf32>, memref<64x64xf32>) outs(%c : memref<64x64xf32>) {
  ^bb0(%0: f32, %1: f32, %sum: f32):
    %r = linalg.index 0 : index
    %s = linalg.index 2 : index
    %holds = arith.cmpi sle, %s, %r : index
    %2 = arith.mulf %0, %1 : f32
    %3 = arith.select %holds, %2, %zero : f32
    %4 = arith.addf %sum, %3 : f32
    linalg.yield %4 : f32
  }
  return
}

// A result at s < r only: vectors along s end with the last row of a tile, and
// those that reach beyond an end keep what was there.
// CHECK-LABEL: func.func @result
// CHECK:         scf.for %[[R:.*]] = %c0 to %c64 step %c16
// CHECK:           %[[LAST:.*]] = arith.addi %[[R]], %c15
// CHECK:           %[[END:.*]] = arith.minsi %[[LAST]], %c64
// CHECK:           scf.for %{{.*}} = %c0 to %[[END]] step %c16
// CHECK:             scf.for %{{.*}} = %c0 to %c32 step %c1 iter_args
// CHECK-NOT:           arith.select
// CHECK:             scf.if
// CHECK:               arith.select
// CHECK:         return
func.func @result(%a: memref<64x32xf32>, %b: memref<32x64xf32>, %c: memref<64x64xf32>) {
  %zero = arith.constant 0.0 : f32
  linalg.generic {indexing_maps = [affine_map<(r, s, i) -> (r, i)>, affine_map<(r, s, i) -> (i, s)>,
                                   affine_map<(r, s, i) -> (r, s)>],
                  iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : memref<64x32xf32>, memref<32x64xf32>) outs(%c : memref<64x64xf32>) {
  ^bb0(%0: f32, %1: f32, %sum: f32):
    %r = linalg.index 0 : index
    %s = linalg.index 1 : index
    %holds = arith.cmpi slt, %s, %r : index
    %2 = arith.mulf %0, %1 : f32
    %3 = arith.select %holds, %2, %zero : f32
    %4 = arith.addf %sum, %3 : f32
    linalg.yield %4 : f32
  }
  return
}

// Rows that end beyond the range are no triangle: every term is tested.
// CHECK-LABEL: func.func @wide
// CHECK:         arith.select
// CHECK:         return
func.func @wide(%a: memref<64x64xf32>, %b: memref<64x64xf32>, %c: memref<64x64xf32>) {
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1 : index
  linalg.generic {indexing_maps = [#row, #column, #out],
                  iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : memref<64x64xf32>, memref<64x64xf32>) outs(%c : memref<64x64xf32>) {
  ^bb0(%0: f32, %1: f32, %sum: f32):
    %r = linalg.index 0 : index
    %s = linalg.index 2 : index
    %end = arith.addi %r, %one : index
    %holds = arith.cmpi sle, %s, %end : index
    %2 = arith.mulf %0, %1 : f32
    %3 = arith.select %holds, %2, %zero : f32
    %4 = arith.addf %sum, %3 : f32
    linalg.yield %4 : f32
  }
  return
}

// A copy across: squares are transposed in registers.
// CHECK-LABEL: func.func @across
// CHECK-COUNT-16: vector.load
// CHECK-COUNT-64: vector.shuffle
// CHECK-COUNT-16: vector.store
// CHECK-NOT:     vector.gather
// CHECK-NOT:     vector.scatter
// CHECK:         return
func.func @across(%a: memref<64x32xf32>, %b: memref<32x64xf32>) {
  linalg.generic {indexing_maps = [affine_map<(i, s) -> (s, i)>, affine_map<(i, s) -> (i, s)>],
                  iterator_types = ["parallel", "parallel"]}
      ins(%a : memref<64x32xf32>) outs(%b : memref<32x64xf32>) {
  ^bb0(%0: f32, %old: f32):
    linalg.yield %0 : f32
  }
  return
}
}
