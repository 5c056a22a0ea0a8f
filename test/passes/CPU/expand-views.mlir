// RUN: rondo-opt %s --rondo-expand-views | FileCheck %s

// CHECK-LABEL: func @row
// CHECK-SAME:    (%{{.*}}: memref<?x?xf32>, %[[I:.*]]: index)
// CHECK-NOT:     memref.subview
// CHECK:         %[[BASE:.*]], %{{.*}}, %{{.*}}:2, %[[STRIDES:.*]]:2 = memref.extract_strided_metadata
// CHECK:         %[[OFFSET:.*]] = arith.muli %[[I]], %[[STRIDES]]#0
// CHECK:         memref.reinterpret_cast %[[BASE]] to offset: [%[[OFFSET]]], sizes: [4], strides: [1]
func.func @row(%m: memref<?x?xf32>, %i: index) -> f32 {
  %c1 = arith.constant 1 : index
  %row = memref.subview %m[%i, 0] [1, 4] [1, 1]
      : memref<?x?xf32> to memref<4xf32, strided<[1], offset: ?>>
  %x = memref.load %row[%c1] : memref<4xf32, strided<[1], offset: ?>>
  return %x : f32
}

// What is neither a view nor an affine expression stays, foldable or not.

// CHECK-LABEL: func @others
// CHECK:         arith.addi
// CHECK:         arith.muli
func.func @others(%i: index) -> index {
  %c0 = arith.constant 0 : index
  %0 = arith.addi %i, %c0 : index
  %1 = affine.apply affine_map<(d0) -> (d0 * 5)>(%0)
  return %1 : index
}
