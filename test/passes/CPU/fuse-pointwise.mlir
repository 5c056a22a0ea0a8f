// RUN: rondo-opt %s --rondo-fuse-pointwise | FileCheck %s

#id = affine_map<(d) -> (d)>

// A local, a state and a result in one loop; nobody else reads the local.
// CHECK-LABEL: func.func @step(
// CHECK-SAME:    %[[X:[^:]*]]: memref<?xf32>, %[[Y:[^:]*]]: memref<?x?xf32>
// CHECK:         %[[LOCAL:.*]] = memref.view %{{.*}}[%c0]
// CHECK:         %[[STATE:.*]] = memref.view %{{.*}}[%c64]
// CHECK:         scf.for
// CHECK:           %[[A:.*]] = memref.subview %[[STATE]]
// CHECK:           %[[B:.*]] = memref.subview %[[Y]]
// CHECK:           linalg.generic
// CHECK-SAME:        ins(%{{[a-z0-9_]*}} : memref<?xf32, strided<[1]>>) outs(%[[A]], %[[B]] :
// CHECK-NEXT:      ^bb0(%[[IN:.*]]: f32, %[[OLD:.*]]: f32, %{{.*}}: f32):
// CHECK-NEXT:        %[[LOG:.*]] = math.exp %[[IN]]
// CHECK-NEXT:        %[[NEW:.*]] = arith.mulf %[[LOG]], %[[OLD]]
// CHECK-NEXT:        linalg.yield %[[NEW]], %[[NEW]]
// CHECK-NOT:       linalg.generic
// CHECK:         return
func.func @step(%x: memref<?xf32>, %y: memref<?x?xf32>, %w: memref<?xi8>, %T: index, %D: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c64 = arith.constant 64 : index
  %local = memref.view %w[%c0][%D] : memref<?xi8> to memref<?xf32>
  %state = memref.view %w[%c64][%D] : memref<?xi8> to memref<?xf32>
  scf.for %t = %c0 to %T step %c1 {
    %0 = memref.subview %x[0] [%D] [1] : memref<?xf32> to memref<?xf32, strided<[1]>>
    %1 = memref.subview %local[0] [%D] [1] : memref<?xf32> to memref<?xf32, strided<[1]>>
    linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
        ins(%0 : memref<?xf32, strided<[1]>>) outs(%1 : memref<?xf32, strided<[1]>>) {
    ^bb0(%in: f32, %out: f32):
      %4 = math.exp %in : f32
      linalg.yield %4 : f32
    }
    %2 = memref.subview %state[0] [%D] [1] : memref<?xf32> to memref<?xf32, strided<[1]>>
    linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
        ins(%1 : memref<?xf32, strided<[1]>>) outs(%2 : memref<?xf32, strided<[1]>>) {
    ^bb0(%in: f32, %out: f32):
      %4 = arith.mulf %in, %out : f32
      linalg.yield %4 : f32
    }
    %3 = memref.subview %y[%t, 0] [1, %D] [1, 1] : memref<?x?xf32> to memref<?xf32, strided<[1], offset: ?>>
    linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
        ins(%2 : memref<?xf32, strided<[1]>>) outs(%3 : memref<?xf32, strided<[1], offset: ?>>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    }
  } {rondo.steps}
  return
}

// The second op reads neighbours of what the first one writes.
// CHECK-LABEL: func.func @neighbours(
// CHECK:         linalg.generic
// CHECK:         linalg.generic
// CHECK:         return
func.func @neighbours(%x: memref<?xf32>, %y: memref<?xf32>, %w: memref<?xi8>, %T: index, %D: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %state = memref.view %w[%c0][%D] : memref<?xi8> to memref<?xf32>
  scf.for %t = %c0 to %T step %c1 {
    %0 = memref.subview %state[1] [%D] [1] : memref<?xf32> to memref<?xf32, strided<[1], offset: 1>>
    %1 = memref.subview %state[0] [%D] [1] : memref<?xf32> to memref<?xf32, strided<[1]>>
    %2 = memref.subview %x[0] [%D] [1] : memref<?xf32> to memref<?xf32, strided<[1]>>
    %3 = memref.subview %y[0] [%D] [1] : memref<?xf32> to memref<?xf32, strided<[1]>>
    linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
        ins(%2 : memref<?xf32, strided<[1]>>) outs(%1 : memref<?xf32, strided<[1]>>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    }
    linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
        ins(%0 : memref<?xf32, strided<[1], offset: 1>>) outs(%3 : memref<?xf32, strided<[1]>>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    }
  } {rondo.steps}
  return
}
