// RUN: rondo-opt %s --rondo-vectorize-loops --canonicalize --cse | FileCheck %s

#id = affine_map<(d) -> (d)>

module attributes {rondo.target = {name = "x86-64-v4", vector_bits = 512 : i64, registers = 32 : i64}} {
// Rows of a result go past the caches where the result is large and they are
// aligned; then they are ordered before what follows.
// CHECK-LABEL: func.func @result(
// CHECK-SAME:    %[[Y:[^:]*]]: memref<?x?xf32
// CHECK:         %[[LARGE:.*]] = arith.cmpi sge, %{{.*}}, %c16777216
// CHECK:         %[[ALIGNED:.*]] = arith.cmpi eq
// CHECK:         %[[BOTH:.*]] = arith.andi %[[LARGE]], %[[ALIGNED]]
// CHECK:         scf.if %[[BOTH]] {
// CHECK:           vector.store {{.*}} {alignment = 64 : i64, nontemporal = true}
// CHECK:           vector.maskedstore
// CHECK:         } else {
// CHECK-NOT:       nontemporal
// CHECK:           vector.store
// CHECK:         llvm.call_intrinsic "llvm.x86.sse.sfence"()
// CHECK-NEXT:    return
func.func @result(%x: memref<?xf32>, %y: memref<?x?xf32, strided<[?, 1]>>, %T: index, %D: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  scf.for %t = %c0 to %T step %c1 {
    %0 = memref.subview %x[0] [%D] [1] : memref<?xf32> to memref<?xf32, strided<[1]>>
    %1 = memref.subview %y[%t, 0] [1, %D] [1, 1] : memref<?x?xf32, strided<[?, 1]>> to memref<?xf32, strided<[1], offset: ?>>
    linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
        ins(%0 : memref<?xf32, strided<[1]>>) outs(%1 : memref<?xf32, strided<[1], offset: ?>>) {
    ^bb0(%in: f32, %out: f32):
      %2 = arith.negf %in : f32
      linalg.yield %2 : f32
    }
  } {rondo.steps}
  return
}

// A buffer is read again.
// CHECK-LABEL: func.func @buffer(
// CHECK-NOT:     nontemporal
// CHECK:         return
func.func @buffer(%x: memref<?xf32>, %w: memref<?xi8>, %T: index, %D: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %state = memref.view %w[%c0][%D] : memref<?xi8> to memref<?xf32>
  scf.for %t = %c0 to %T step %c1 {
    %0 = memref.subview %x[0] [%D] [1] : memref<?xf32> to memref<?xf32, strided<[1]>>
    %1 = memref.subview %state[0] [%D] [1] : memref<?xf32> to memref<?xf32, strided<[1]>>
    linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
        ins(%0 : memref<?xf32, strided<[1]>>) outs(%1 : memref<?xf32, strided<[1]>>) {
    ^bb0(%in: f32, %out: f32):
      %2 = arith.negf %in : f32
      linalg.yield %2 : f32
    }
  } {rondo.steps}
  return
}
}
