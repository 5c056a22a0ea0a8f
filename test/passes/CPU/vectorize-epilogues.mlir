// RUN: rondo-opt %s --rondo-vectorize-loops --canonicalize | FileCheck %s

#left = affine_map<(d0, d1, d2) -> (d0, d2)>
#right = affine_map<(d0, d1, d2) -> (d2, d1)>
#out = affine_map<(d0, d1, d2) -> (d0, d1)>
#point = affine_map<(d0, d1) -> (d0, d1)>
#row = affine_map<(d0, d1) -> (d0)>

module attributes {rondo.target = {name = "x86-64-v4", vector_bits = 512 : i64, registers = 32 : i64}} {

// The update of the state is computed with the product, although the product
// stood before the read of the old state; the product itself is not stored.

// CHECK-LABEL: func.func @update
// CHECK:         %[[OLD:.*]] = memref.view %arg6[%c0]
// CHECK-NOT:     memref.view
// CHECK:         scf.for
// CHECK:           %[[SUMS:.*]]:16 = scf.for
// CHECK:           vector.load %[[OLD]]
// CHECK:           vector.store %{{[^,]*}}, %[[OLD]]
// CHECK:         return
func.func @update(%x: memref<16x64xf32>, %v: memref<16x64xf32>, %a: memref<64xf32>,
                  %q: memref<16x64xf32>, %y: memref<16x64xf32>, %other: memref<16x64xf32>,
                  %workspace: memref<?xi8>) {
  %c0 = arith.constant 0 : index
  %c16384 = arith.constant 16384 : index
  %zero = arith.constant 0.0 : f32
  %state = memref.view %workspace[%c0][] : memref<?xi8> to memref<64x64xf32>
  %written = memref.view %workspace[%c16384][] : memref<?xi8> to memref<64x64xf32>
  linalg.fill ins(%zero : f32) outs(%written : memref<64x64xf32>)
  linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d2, d0)>, #right, #out],
                  iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %v : memref<16x64xf32>, memref<16x64xf32>) outs(%written : memref<64x64xf32>) {
  ^bb0(%l: f32, %r: f32, %sum: f32):
    %0 = arith.mulf %l, %r : f32
    %1 = arith.addf %sum, %0 : f32
    linalg.yield %1 : f32
  }
  linalg.generic {indexing_maps = [#row, #point, #point], iterator_types = ["parallel", "parallel"]}
      ins(%a, %written : memref<64xf32>, memref<64x64xf32>) outs(%state : memref<64x64xf32>) {
  ^bb0(%decay: f32, %new: f32, %old: f32):
    %0 = arith.mulf %decay, %old : f32
    %1 = arith.addf %0, %new : f32
    linalg.yield %1 : f32
  }
  return
}

// The epilogue writes what the product reads: they stay apart.

// CHECK-LABEL: func.func @overwritten
// CHECK:         vector.store %{{[^,]*}}, %[[SUM:[a-z0-9_]+]]
// CHECK:         vector.load %[[SUM]]
func.func @overwritten(%a: memref<64x64xf32>, %workspace: memref<?xi8>) {
  %c0 = arith.constant 0 : index
  %c16384 = arith.constant 16384 : index
  %zero = arith.constant 0.0 : f32
  %state = memref.view %workspace[%c0][] : memref<?xi8> to memref<64x64xf32>
  %sum = memref.view %workspace[%c16384][] : memref<?xi8> to memref<64x64xf32>
  linalg.fill ins(%zero : f32) outs(%sum : memref<64x64xf32>)
  linalg.generic {indexing_maps = [#left, #right, #out],
                  iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %state : memref<64x64xf32>, memref<64x64xf32>) outs(%sum : memref<64x64xf32>) {
  ^bb0(%l: f32, %r: f32, %so_far: f32):
    %0 = arith.mulf %l, %r : f32
    %1 = arith.addf %so_far, %0 : f32
    linalg.yield %1 : f32
  }
  linalg.generic {indexing_maps = [#point, #point], iterator_types = ["parallel", "parallel"]}
      ins(%sum : memref<64x64xf32>) outs(%state : memref<64x64xf32>) {
  ^bb0(%new: f32, %old: f32):
    linalg.yield %new : f32
  }
  return
}

// Others read the sum: it is stored, too.

// CHECK-LABEL: func.func @kept
// CHECK:         %[[SUM:.*]] = memref.view
// CHECK:         vector.store %{{[^,]*}}, %arg1
// CHECK:         vector.store %{{[^,]*}}, %[[SUM]]
func.func @kept(%a: memref<64x64xf32>, %y: memref<64x64xf32>, %z: memref<64xf32>, %workspace: memref<?xi8>) {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  %sum = memref.view %workspace[%c0][] : memref<?xi8> to memref<64x64xf32>
  linalg.fill ins(%zero : f32) outs(%sum : memref<64x64xf32>)
  linalg.generic {indexing_maps = [#left, #right, #out],
                  iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %a : memref<64x64xf32>, memref<64x64xf32>) outs(%sum : memref<64x64xf32>) {
  ^bb0(%l: f32, %r: f32, %so_far: f32):
    %0 = arith.mulf %l, %r : f32
    %1 = arith.addf %so_far, %0 : f32
    linalg.yield %1 : f32
  }
  linalg.generic {indexing_maps = [#point, #point], iterator_types = ["parallel", "parallel"]}
      ins(%sum : memref<64x64xf32>) outs(%y : memref<64x64xf32>) {
  ^bb0(%new: f32, %old: f32):
    linalg.yield %new : f32
  }
  %first = memref.subview %sum[0, 0] [1, 64] [1, 1] : memref<64x64xf32> to memref<64xf32, strided<[1]>>
  linalg.copy ins(%first : memref<64xf32, strided<[1]>>) outs(%z : memref<64xf32>)
  return
}

}
