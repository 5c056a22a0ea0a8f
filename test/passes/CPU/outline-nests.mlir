// RUN: rondo-opt %s --rondo-outline-nests | FileCheck %s

#left = affine_map<(i, j, k) -> (i, k)>
#right = affine_map<(i, j, k) -> (k, j)>
#out = affine_map<(i, j, k) -> (i, j)>
#all = affine_map<(i, j) -> (i, j)>
#one = affine_map<(i) -> (i)>

// Two products, the second of a view that starts anywhere: one function, with
// the fill and its constant inside.
// CHECK-LABEL: func.func @products(
// CHECK-SAME:    %[[A:[^:]*]]: memref<?x?xf32>, %[[B:[^:]*]]: memref<?x?xf32>, %[[C:[^:]*]]: memref<?x?xf32>, %[[D:[^:]*]]: memref<?x?xf32, strided<[?, 1], offset: ?>>
// CHECK-NOT:     linalg
// CHECK-DAG:     %[[TO:.*]] = memref.cast %[[C]]
// CHECK-DAG:     %[[X:.*]] = memref.cast %[[A]]
// CHECK-DAG:     %[[Y:.*]] = memref.cast %[[B]]
// CHECK:         call @[[NEST:nest[_0-9]*]](%[[TO]], %[[X]], %[[Y]])
// CHECK:         call @[[NEST]]({{.*}}, %[[D]], {{.*}})
// CHECK-NOT:     linalg
// CHECK:         return
func.func @products(%a: memref<?x?xf32>, %b: memref<?x?xf32>, %c: memref<?x?xf32>,
                    %d: memref<?x?xf32, strided<[?, 1], offset: ?>>) {
  %zero = arith.constant 0.0 : f32
  linalg.fill ins(%zero : f32) outs(%c : memref<?x?xf32>)
  linalg.generic {indexing_maps = [#left, #right, #out], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : memref<?x?xf32>, memref<?x?xf32>) outs(%c : memref<?x?xf32>) {
  ^bb0(%x: f32, %y: f32, %sum: f32):
    %0 = arith.mulf %x, %y : f32
    %1 = arith.addf %sum, %0 : f32
    linalg.yield %1 : f32
  }
  linalg.fill ins(%zero : f32) outs(%b : memref<?x?xf32>)
  linalg.generic {indexing_maps = [#left, #right, #out], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%d, %a : memref<?x?xf32, strided<[?, 1], offset: ?>>, memref<?x?xf32>) outs(%b : memref<?x?xf32>) {
  ^bb0(%x: f32, %y: f32, %sum: f32):
    %0 = arith.mulf %x, %y : f32
    %1 = arith.addf %sum, %0 : f32
    linalg.yield %1 : f32
  }
  return
}

// Another constant, an operand that is another's, and one loop: all stay.
// CHECK-LABEL: func.func @different(
// CHECK-COUNT-5: linalg.generic
// CHECK-NOT:     call
// CHECK:         return
func.func @different(%a: memref<?x?xf32>, %b: memref<?x?xf32>, %c: memref<?x?xf32>, %v: memref<?xf32>) {
  %two = arith.constant 2.0 : f32
  %three = arith.constant 3.0 : f32
  linalg.generic {indexing_maps = [#all, #all], iterator_types = ["parallel", "parallel"]}
      ins(%a : memref<?x?xf32>) outs(%b : memref<?x?xf32>) {
  ^bb0(%x: f32, %y: f32):
    %0 = arith.mulf %x, %two : f32
    linalg.yield %0 : f32
  }
  linalg.generic {indexing_maps = [#all, #all], iterator_types = ["parallel", "parallel"]}
      ins(%a : memref<?x?xf32>) outs(%c : memref<?x?xf32>) {
  ^bb0(%x: f32, %y: f32):
    %0 = arith.mulf %x, %three : f32
    linalg.yield %0 : f32
  }
  linalg.generic {indexing_maps = [#all, #all], iterator_types = ["parallel", "parallel"]}
      ins(%b : memref<?x?xf32>) outs(%b : memref<?x?xf32>) {
  ^bb0(%x: f32, %y: f32):
    %0 = arith.mulf %x, %two : f32
    linalg.yield %0 : f32
  }
  linalg.generic {indexing_maps = [#one], iterator_types = ["parallel"]} outs(%v : memref<?xf32>) {
  ^bb0(%x: f32):
    linalg.yield %two : f32
  }
  linalg.generic {indexing_maps = [#one], iterator_types = ["parallel"]} outs(%v : memref<?xf32>) {
  ^bb0(%x: f32):
    linalg.yield %two : f32
  }
  return
}

// Values from outside of a body are arguments.
// CHECK-LABEL: func.func @scaled(
// CHECK-SAME:    %[[S:[^:]*]]: f32, %[[T:[^:]*]]: f32
// CHECK:         call @[[SCALE:nest[_0-9]*]]({{.*}}, %[[S]]) :
// CHECK:         call @[[SCALE]]({{.*}}, %[[T]]) :
func.func @scaled(%s: f32, %t: f32, %a: memref<?x?xf32>) {
  linalg.generic {indexing_maps = [#all], iterator_types = ["parallel", "parallel"]} outs(%a : memref<?x?xf32>) {
  ^bb0(%x: f32):
    %0 = arith.mulf %x, %s : f32
    linalg.yield %0 : f32
  }
  linalg.generic {indexing_maps = [#all], iterator_types = ["parallel", "parallel"]} outs(%a : memref<?x?xf32>) {
  ^bb0(%x: f32):
    %0 = arith.mulf %x, %t : f32
    linalg.yield %0 : f32
  }
  return
}

// What is computed with a product goes with it.
// CHECK-LABEL: func.func @epilogues(
// CHECK-NOT:     linalg
// CHECK:         call @[[SUM:nest[_0-9]*]](
// CHECK-NOT:     linalg
// CHECK:         call @[[SUM]](
// CHECK-NOT:     linalg
// CHECK:         return
func.func @epilogues(%a: memref<16x16xf32>, %b: memref<16x16xf32>, %w: memref<?xi8>) {
  %zero = arith.constant 0.0 : f32
  %c0 = arith.constant 0 : index
  %c1024 = arith.constant 1024 : index
  %sum = memref.view %w[%c0][] : memref<?xi8> to memref<16x16xf32>
  %other = memref.view %w[%c1024][] : memref<?xi8> to memref<16x16xf32>
  linalg.fill ins(%zero : f32) outs(%sum : memref<16x16xf32>)
  linalg.generic {indexing_maps = [#left, #right, #out], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%b, %b : memref<16x16xf32>, memref<16x16xf32>) outs(%sum : memref<16x16xf32>) {
  ^bb0(%x: f32, %y: f32, %z: f32):
    %0 = arith.mulf %x, %y : f32
    %1 = arith.addf %z, %0 : f32
    linalg.yield %1 : f32
  }
  linalg.generic {indexing_maps = [#all, #all], iterator_types = ["parallel", "parallel"]}
      ins(%sum : memref<16x16xf32>) outs(%a : memref<16x16xf32>) {
  ^bb0(%x: f32, %y: f32):
    %0 = arith.addf %x, %y : f32
    linalg.yield %0 : f32
  }
  linalg.fill ins(%zero : f32) outs(%other : memref<16x16xf32>)
  linalg.generic {indexing_maps = [#left, #right, #out], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %a : memref<16x16xf32>, memref<16x16xf32>) outs(%other : memref<16x16xf32>) {
  ^bb0(%x: f32, %y: f32, %z: f32):
    %0 = arith.mulf %x, %y : f32
    %1 = arith.addf %z, %0 : f32
    linalg.yield %1 : f32
  }
  linalg.generic {indexing_maps = [#all, #all], iterator_types = ["parallel", "parallel"]}
      ins(%other : memref<16x16xf32>) outs(%b : memref<16x16xf32>) {
  ^bb0(%x: f32, %y: f32):
    %0 = arith.addf %x, %y : f32
    linalg.yield %0 : f32
  }
  return
}

// Copies that could be fetched ahead, and the products that could fetch them.
// CHECK-LABEL: func.func @ahead(
// CHECK-NOT:     call
// CHECK:         return
func.func @ahead(%x: memref<?x32xf32, strided<[?, 1]>>, %w: memref<32x32xf32>, %a: memref<16x32xf32>,
                 %b: memref<16x32xf32>, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c16 = arith.constant 16 : index
  scf.for %c = %c0 to %n step %c1 {
    %first = arith.muli %c, %c16 : index
    %rows = memref.subview %x[%first, 0] [16, 32] [1, 1] : memref<?x32xf32, strided<[?, 1]>> to memref<16x32xf32, strided<[?, 1], offset: ?>>
    linalg.generic {indexing_maps = [#all, #all], iterator_types = ["parallel", "parallel"]}
        ins(%rows : memref<16x32xf32, strided<[?, 1], offset: ?>>) outs(%a : memref<16x32xf32>) {
    ^bb0(%0: f32, %1: f32):
      linalg.yield %0 : f32
    }
    linalg.generic {indexing_maps = [#all, #all], iterator_types = ["parallel", "parallel"]}
        ins(%rows : memref<16x32xf32, strided<[?, 1], offset: ?>>) outs(%b : memref<16x32xf32>) {
    ^bb0(%0: f32, %1: f32):
      linalg.yield %0 : f32
    }
    linalg.generic {indexing_maps = [#left, #right, #out], iterator_types = ["parallel", "parallel", "reduction"]}
        ins(%a, %w : memref<16x32xf32>, memref<32x32xf32>) outs(%b : memref<16x32xf32>) {
    ^bb0(%0: f32, %1: f32, %sum: f32):
      %2 = arith.mulf %0, %1 : f32
      %3 = arith.addf %sum, %2 : f32
      linalg.yield %3 : f32
    }
    linalg.generic {indexing_maps = [#left, #right, #out], iterator_types = ["parallel", "parallel", "reduction"]}
        ins(%b, %w : memref<16x32xf32>, memref<32x32xf32>) outs(%a : memref<16x32xf32>) {
    ^bb0(%0: f32, %1: f32, %sum: f32):
      %2 = arith.mulf %0, %1 : f32
      %3 = arith.addf %sum, %2 : f32
      linalg.yield %3 : f32
    }
  }
  return
}

// CHECK:       func.func private @[[NEST]](
// CHECK-SAME:    %[[C:[^:]*]]: memref<?x?xf32, strided<[?, 1], offset: ?>>
// CHECK:         %[[ZERO:.*]] = arith.constant 0.000000e+00
// CHECK:         linalg.fill ins(%[[ZERO]] : f32) outs(%[[C]]
// CHECK:         linalg.generic

// CHECK:       func.func private @[[SUM]](
// CHECK:         linalg.fill
// CHECK:         linalg.generic
// CHECK:         linalg.generic
// CHECK-SAME:      rondo.epilogue = false
