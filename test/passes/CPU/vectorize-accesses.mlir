// RUN: rondo-opt %s --rondo-vectorize-loops --canonicalize | FileCheck %s

module attributes {rondo.target = {name = "x86-64-v4", vector_bits = 512 : i64, registers = 32 : i64}} {

// A subscript from a tensor: gather.

// CHECK-LABEL: func.func @gather
// CHECK:         arith.index_cast {{.*}} : vector<16xi64> to vector<16xindex>
// CHECK:         vector.gather
func.func @gather(%i: memref<?xi64>, %x: memref<?xf32>, %y: memref<?xf32>) {
  linalg.generic {indexing_maps = [affine_map<(n) -> (n)>, affine_map<(n) -> (n)>],
                  iterator_types = ["parallel"]}
      ins(%i : memref<?xi64>) outs(%y : memref<?xf32>) {
  ^bb0(%a: i64, %old: f32):
    %0 = arith.index_cast %a : i64 to index
    %1 = memref.load %x[%0] : memref<?xf32>
    linalg.yield %1 : f32
  }
  return
}

// A clamped subscript: contiguous unless the clamp takes effect.

// CHECK-LABEL: func.func @clamped
// CHECK:         %[[FIRST:.*]] = arith.maxsi
// CHECK:         %[[LAST:.*]] = arith.maxsi
// CHECK:         %[[DISTANCE:.*]] = arith.subi %[[LAST]], %[[FIRST]]
// CHECK:         %[[WHOLE:.*]] = arith.cmpi eq, %[[DISTANCE]], %c15
// CHECK:         scf.if %[[WHOLE]]
// CHECK:           vector.load
// CHECK:         else
// CHECK:           vector.gather
func.func @clamped(%x: memref<?xf32>, %y: memref<?xf32>, %lag: index) {
  %c0 = arith.constant 0 : index
  linalg.generic {indexing_maps = [affine_map<(t) -> (t)>], iterator_types = ["parallel"]}
      outs(%y : memref<?xf32>) {
  ^bb0(%old: f32):
    %t = linalg.index 0 : index
    %0 = arith.subi %t, %lag : index
    %1 = arith.maxsi %0, %c0 : index
    %2 = memref.load %x[%1] : memref<?xf32>
    linalg.yield %2 : f32
  }
  return
}

// A clamp of another dim does not matter: x[max(t - 1, 0), d] is contiguous.

// CHECK-LABEL: func.func @clamped_elsewhere
// CHECK-NOT:     vector.gather
// CHECK:         vector.load {{.*}} : memref<?x?xf32>, vector<16xf32>
// CHECK-NOT:     vector.gather
// CHECK:         return
func.func @clamped_elsewhere(%x: memref<?x?xf32>, %y: memref<?x?xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  linalg.generic {indexing_maps = [affine_map<(t, d) -> (t, d)>], iterator_types = ["parallel", "parallel"]}
      outs(%y : memref<?x?xf32>) {
  ^bb0(%old: f32):
    %t = linalg.index 0 : index
    %d = linalg.index 1 : index
    %0 = arith.subi %t, %c1 : index
    %1 = arith.maxsi %0, %c0 : index
    %2 = memref.load %x[%1, %d] : memref<?x?xf32>
    linalg.yield %2 : f32
  }
  return
}

// The comparison of an index with a bound is a mask of the first lanes.

// CHECK-LABEL: func.func @range
// CHECK:         %[[COUNT:.*]] = arith.subi %{{.*}}, %{{.*}} : index
// CHECK:         arith.maxsi
// CHECK:         arith.minsi
// CHECK:         vector.create_mask
// CHECK-NOT:     arith.cmpi {{.*}} : vector
// CHECK:         return
func.func @range(%y: memref<?xf32>, %bound: index) {
  %one = arith.constant 1.0 : f32
  %zero = arith.constant 0.0 : f32
  linalg.generic {indexing_maps = [affine_map<(t) -> (t)>], iterator_types = ["parallel"]}
      outs(%y : memref<?xf32>) {
  ^bb0(%old: f32):
    %t = linalg.index 0 : index
    %0 = arith.cmpi slt, %t, %bound : index
    %1 = arith.select %0, %one, %zero : f32
    linalg.yield %1 : f32
  }
  return
}

// The report of an index out of range depends on the row only: it is made once
// per row, and the row is copied by vectors.

// CHECK-LABEL: func.func @fault_per_row
// CHECK:         scf.for
// CHECK:           scf.if
// CHECK:             memref.store
// CHECK:           scf.for
// CHECK:             vector.load
// CHECK:             vector.store
func.func @fault_per_row(%tokens: memref<?xi32>, %table: memref<?x?xf32>, %y: memref<?x?xf32>,
                         %rows: index, %fault: memref<2xi64>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %site = arith.constant 1 : i64
  %last = arith.subi %rows, %c1 : index
  linalg.generic {indexing_maps = [affine_map<(t, d) -> (t)>, affine_map<(t, d) -> (t, d)>],
                  iterator_types = ["parallel", "parallel"]}
      ins(%tokens : memref<?xi32>) outs(%y : memref<?x?xf32>) {
  ^bb0(%a: i32, %old: f32):
    %d = linalg.index 1 : index
    %0 = arith.index_cast %a : i32 to index
    %1 = arith.cmpi uge, %0, %rows : index
    scf.if %1 {
      memref.store %site, %fault[%c0] : memref<2xi64>
    }
    %2 = arith.minui %0, %last : index
    %3 = memref.load %table[%2, %d] : memref<?x?xf32>
    linalg.yield %3 : f32
  }
  return
}

// The lanes of a strided memref are gathered and scattered.

// CHECK-LABEL: func.func @strided
// CHECK:         memref.extract_strided_metadata
// CHECK:         vector.gather
// CHECK:         vector.store
func.func @strided(%x: memref<?xf32, strided<[?]>>, %y: memref<?xf32>) {
  linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>],
                  iterator_types = ["parallel"]}
      ins(%x : memref<?xf32, strided<[?]>>) outs(%y : memref<?xf32>) {
  ^bb0(%a: f32, %old: f32):
    %0 = math.exp %a : f32
    linalg.yield %0 : f32
  }
  return
}
}
