// RUN: rondo-opt %s --rondo-block-rows --canonicalize --cse | FileCheck %s

#row = affine_map<(j) -> (j)>
#factor = affine_map<(j, s) -> (s)>
#earlier = affine_map<(j, s) -> (s, j)>
#sum = affine_map<(j, s) -> (j)>

// What the rows before a block of 16 contribute is a product of matrices; the
// block itself is one nest over j.
// CHECK-LABEL: func.func @solve(
// CHECK-SAME:    %[[L:[^:]*]]: memref<32x32xf32>, %[[B:[^:]*]]: memref<32x8xf32>
// CHECK-DAG:     %[[Y:.*]] = memref.view %{{.*}}[%c1024]
// CHECK-DAG:     %[[X:.*]] = memref.view %{{.*}}[%c0]
// CHECK:         scf.for %[[BLOCK:.*]] = %c0 to %c2
// CHECK:           %[[FIRST:.*]] = arith.muli %[[BLOCK]], %c16
// CHECK:           %[[SUMS:.*]] = memref.subview %[[Y]][%[[FIRST]], 0] [16, 8]
// CHECK:           linalg.fill {{.*}} outs(%[[SUMS]] :
// CHECK:           %[[FACTORS:.*]] = memref.subview %[[L]][%[[FIRST]], 0] [16, %[[FIRST]]]
// CHECK:           %[[EARLIER:.*]] = memref.subview %[[X]][0, 0] [%[[FIRST]], 8]
// CHECK:           linalg.generic {{.*}} iterator_types = ["parallel", "parallel", "reduction"]} ins(%[[FACTORS]], %[[EARLIER]] : {{.*}} outs(%[[SUMS]] :
// CHECK:           %[[OWN:.*]] = memref.subview %[[L]][%[[FIRST]], %[[FIRST]]] [16, 16]
// CHECK:           linalg.generic {{.*}} iterator_types = ["parallel"]}
// CHECK:             %[[X0:.*]] = arith.subf
// CHECK:             %[[L10:.*]] = memref.load %[[OWN]][%c1, %c0]
// CHECK:             %[[TERM:.*]] = arith.mulf %[[L10]], %[[X0]]
// CHECK:             arith.addf %{{.*}}, %[[TERM]]
// CHECK-COUNT-119:   memref.load %[[OWN]]
// CHECK-NOT:         memref.load
// CHECK-NOT:       scf.for
// CHECK:         return
func.func @solve(%l: memref<32x32xf32>, %b: memref<32x8xf32>, %workspace: memref<?xi8>) {
  %zero = arith.constant 0.0 : f32
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c32 = arith.constant 32 : index
  %c1024 = arith.constant 1024 : index
  %x = memref.view %workspace[%c0][] : memref<?xi8> to memref<32x8xf32>
  %y = memref.view %workspace[%c1024][] : memref<?xi8> to memref<32x8xf32>
  scf.for %r = %c0 to %c32 step %c1 {
    %n = arith.maxsi %r, %c0 : index
    %sum = memref.subview %y[%r, 0] [1, 8] [1, 1] : memref<32x8xf32> to memref<8xf32, strided<[1], offset: ?>>
    linalg.fill ins(%zero : f32) outs(%sum : memref<8xf32, strided<[1], offset: ?>>)
    %factors = memref.subview %l[%r, 0] [1, %n] [1, 1] : memref<32x32xf32> to memref<?xf32, strided<[1], offset: ?>>
    %earlier = memref.subview %x[0, 0] [%n, 8] [1, 1] : memref<32x8xf32> to memref<?x8xf32, strided<[8, 1]>>
    linalg.generic {indexing_maps = [#factor, #earlier, #sum], iterator_types = ["parallel", "reduction"]}
        ins(%factors, %earlier : memref<?xf32, strided<[1], offset: ?>>, memref<?x8xf32, strided<[8, 1]>>) outs(%sum : memref<8xf32, strided<[1], offset: ?>>) {
    ^bb0(%0: f32, %1: f32, %old: f32):
      %2 = arith.mulf %0, %1 : f32
      %3 = arith.addf %old, %2 : f32
      linalg.yield %3 : f32
    }
    %right = memref.subview %b[%r, 0] [1, 8] [1, 1] : memref<32x8xf32> to memref<8xf32, strided<[1], offset: ?>>
    %row = memref.subview %x[%r, 0] [1, 8] [1, 1] : memref<32x8xf32> to memref<8xf32, strided<[1], offset: ?>>
    linalg.generic {indexing_maps = [#row, #row, #row], iterator_types = ["parallel"]}
        ins(%right, %sum : memref<8xf32, strided<[1], offset: ?>>, memref<8xf32, strided<[1], offset: ?>>) outs(%row : memref<8xf32, strided<[1], offset: ?>>) {
    ^bb0(%0: f32, %1: f32, %old: f32):
      %2 = arith.subf %0, %1 : f32
      linalg.yield %2 : f32
    }
  }
  return
}

// Not where a row meets another one than those before it: the right side here
// is what is solved for.
// CHECK-LABEL: func.func @other(
// CHECK:         scf.for %{{.*}} = %c0 to %c16
// CHECK:           linalg.generic {{.*}} iterator_types = ["parallel", "reduction"]}
func.func @other(%l: memref<16x16xf32>, %workspace: memref<?xi8>) {
  %zero = arith.constant 0.0 : f32
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c16 = arith.constant 16 : index
  %c1024 = arith.constant 1024 : index
  %x = memref.view %workspace[%c0][] : memref<?xi8> to memref<16x8xf32>
  %y = memref.view %workspace[%c1024][] : memref<?xi8> to memref<16x8xf32>
  scf.for %r = %c0 to %c16 step %c1 {
    %sum = memref.subview %y[%r, 0] [1, 8] [1, 1] : memref<16x8xf32> to memref<8xf32, strided<[1], offset: ?>>
    linalg.fill ins(%zero : f32) outs(%sum : memref<8xf32, strided<[1], offset: ?>>)
    %factors = memref.subview %l[%r, 0] [1, %r] [1, 1] : memref<16x16xf32> to memref<?xf32, strided<[1], offset: ?>>
    %earlier = memref.subview %x[0, 0] [%r, 8] [1, 1] : memref<16x8xf32> to memref<?x8xf32, strided<[8, 1]>>
    linalg.generic {indexing_maps = [#factor, #earlier, #sum], iterator_types = ["parallel", "reduction"]}
        ins(%factors, %earlier : memref<?xf32, strided<[1], offset: ?>>, memref<?x8xf32, strided<[8, 1]>>) outs(%sum : memref<8xf32, strided<[1], offset: ?>>) {
    ^bb0(%0: f32, %1: f32, %old: f32):
      %2 = arith.mulf %0, %1 : f32
      %3 = arith.addf %old, %2 : f32
      linalg.yield %3 : f32
    }
    %right = memref.subview %x[0, 0] [1, 8] [1, 1] : memref<16x8xf32> to memref<8xf32, strided<[1]>>
    %row = memref.subview %x[%r, 0] [1, 8] [1, 1] : memref<16x8xf32> to memref<8xf32, strided<[1], offset: ?>>
    linalg.generic {indexing_maps = [#row, #row, #row], iterator_types = ["parallel"]}
        ins(%right, %sum : memref<8xf32, strided<[1]>>, memref<8xf32, strided<[1], offset: ?>>) outs(%row : memref<8xf32, strided<[1], offset: ?>>) {
    ^bb0(%0: f32, %1: f32, %old: f32):
      %2 = arith.subf %0, %1 : f32
      linalg.yield %2 : f32
    }
  }
  return
}
