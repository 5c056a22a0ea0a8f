// Subscripts, filters and faults (passes/Forms/EmitEquation.cpp).
// RUN: rondo-opt %s --rondo-to-sequential --canonicalize --cse --rondo-verify-forms | FileCheck %s

// x[t - 3 + p]: p is looped, so that the guard is one test per row.
// CHECK-LABEL: func.func @convolution(
// CHECK-SAME:    %[[T:[^:]*]]: index, %[[D:[^:]*]]: index, %[[X:[^:]*]]: memref
// CHECK:         scf.for %[[t:.*]] = %c0 to %[[T]]
// CHECK:           linalg.fill
// CHECK:           scf.for %[[p:.*]] = %c0 to %c4
// CHECK:             %[[M3:.*]] = arith.subi %[[t]], %c3
// CHECK:             %[[AT:.*]] = arith.addi %[[M3]], %[[p]]
// CHECK:             %[[INSIDE:.*]] = arith.cmpi ult, %[[AT]], %[[T]]
// CHECK:             %[[SAFE:.*]] = arith.select %[[INSIDE]], %[[AT]], %c0
// CHECK:             %[[ROW:.*]] = memref.subview %[[X]][%[[SAFE]], 0] [1, %[[D]]]
// CHECK:             linalg.generic {{.*}}"parallel"]} ins(%{{.*}}, %[[ROW]]
// CHECK:               arith.select %[[INSIDE]]
rondo.kernel @convolution sizes ["T", "D"] bound [-1, -1] batch [] time "T"
    inputs [#rondo.tensor<"x", argument, f32, ()[T, D] -> (T, D)>,
            #rondo.tensor<"w", argument, f32, ()[T, D] -> (4, D)>]
    outputs [#rondo.tensor<"y", result, f32, ()[T, D] -> (T, D)>] {
^bb0(%x: tensor<?x?xf32>, %w: tensor<?x?xf32>):
  %T = rondo.size "T"
  %D = rondo.size "D"
  %c0 = arith.constant 0 : index
  %c3 = arith.constant 3 : index
  %c4 = arith.constant 4 : index
  %y = rondo.equation "y" (%t < %T, %d < %D) sum (%p = %c0 to %c4) -> tensor<?x?xf32> {
    %0 = rondo.read %w[%p, %d] : tensor<?x?xf32> -> f32
    %1 = arith.subi %t, %c3 : index
    %2 = arith.addi %1, %p : index
    %3 = rondo.read %x[%2, %d] : tensor<?x?xf32> -> f32
    %4 = arith.mulf %0, %3 : f32
    rondo.yield %4 : f32
  }
  rondo.return %y : tensor<?x?xf32>
}

// A filter that bounds an index of the result, which is looped for x[d, d]: the
// loop runs over all results, and the sum is behind a test.
// CHECK-LABEL: func.func @filtered(
// CHECK-SAME:    %[[T:[^:]*]]: index, %[[D:[^:]*]]: index
// CHECK:         scf.for %[[t:.*]] = %c0 to %[[T]]
// CHECK:           scf.for %[[d:.*]] = %c0 to %[[D]]
// CHECK:             memref.store
// CHECK:             arith.cmpi sgt, %[[d]], %[[t]]
// CHECK-NEXT:        scf.if
rondo.kernel @filtered sizes ["T", "D"] bound [-1, -1] batch [] time "T"
    inputs [#rondo.tensor<"x", argument, f32, ()[T, D] -> (D, D, T)>]
    outputs [#rondo.tensor<"y", result, f32, ()[T, D] -> (T, D)>] {
^bb0(%x: tensor<?x?x?xf32>):
  %T = rondo.size "T"
  %D = rondo.size "D"
  %c0 = arith.constant 0 : index
  %y = rondo.equation "y" (%t < %T, %d < %D) sum (%p = %c0 to %T) -> tensor<?x?xf32> {
    %0 = rondo.read %x[%d, %d, %p] : tensor<?x?x?xf32> -> f32
    %1 = arith.cmpi sgt, %d, %t : index
    rondo.yield %0 where %1 : f32
  }
  rondo.return %y : tensor<?x?xf32>
}

// u <= t and t - u < 64 are the bounds of the reduction; what is left of the
// filter, c[u], is tested inside.
// CHECK-LABEL: func.func @window(
// CHECK-SAME:    %[[T:[^:]*]]: index, %[[X:[^:]*]]: memref<?xf32, strided<[1]>>, %[[C:[^:]*]]: memref<?xi8, strided
// CHECK:         scf.for %[[t:.*]] = %c0 to %[[T]]
// CHECK-DAG:       %[[HI:.*]] = arith.addi %[[t]], %c1
// CHECK-DAG:       %[[FIRST:.*]] = arith.subi %[[t]], %c63
// CHECK-DAG:       %[[LO:.*]] = arith.maxsi %[[FIRST]], %c0
// CHECK-DAG:       %[[N:.*]] = arith.subi %{{.*}}, %[[LO]]
// CHECK-DAG:       %[[PART:.*]] = memref.subview %[[X]][%[[LO]]] [%[[N]]]
// CHECK-DAG:       %[[COND:.*]] = memref.subview %[[C]][%[[LO]]] [%[[N]]]
// CHECK:           linalg.generic {{.*}}"reduction"]} ins(%{{.*}}, %{{.*}} : memref<?xf32, {{.*}}>, memref<?xi8
// CHECK-NOT:         arith.cmpi sle
// CHECK:             %[[TERM:.*]] = arith.select %{{.*}}, %{{.*}}, %cst
// CHECK-NEXT:        arith.maximumf %{{.*}}, %[[TERM]]
rondo.kernel @window sizes ["T"] bound [-1] batch [] time "T"
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>,
            #rondo.tensor<"c", argument, i1, ()[T] -> (T)>]
    outputs [#rondo.tensor<"y", result, f32, ()[T] -> (T)>] {
^bb0(%x: tensor<?xf32>, %c: tensor<?xi1>):
  %T = rondo.size "T"
  %c0 = arith.constant 0 : index
  %c64 = arith.constant 64 : index
  %y = rondo.equation "y" (%t < %T) max (%u = %c0 to %T) -> tensor<?xf32> {
    %0 = rondo.read %x[%u] : tensor<?xf32> -> f32
    %1 = arith.cmpi sle, %u, %t : index
    %2 = arith.subi %t, %u : index
    %3 = arith.cmpi slt, %2, %c64 : index
    %4 = arith.andi %1, %3 : i1
    %5 = rondo.read %c[%u] : tensor<?xi1> -> i1
    %6 = arith.andi %4, %5 : i1
    rondo.yield %0 where %6 : f32
  }
  rondo.return %y : tensor<?xf32>
}

// A gather: the row is chosen outside, an index out of range is recorded. The
// table may be empty, then a stand-in is read.
// CHECK-LABEL: func.func @embed(
// CHECK-SAME:    %[[T:[^:]*]]: index, %[[N:[^:]*]]: index, %[[D:[^:]*]]: index, %[[TOKENS:[^:]*]]: memref<?xi32, strided<[1]>>, %[[TABLE:[^:]*]]: memref<?x?xf32
// CHECK-SAME:    %[[FAULT:[^:]*]]: memref<2xi64>)
// CHECK-SAME:    rondo.faults = [{dim = 0 : i64, extent = {{.*}}, location = "{{.*}}", tensor = "table", text = "table"}]
// CHECK:         %[[BASE:.*]] = arith.select %{{.*}}, %{{.*}}, %[[TABLE]]
// CHECK:         scf.for %[[t:.*]] = %c0 to %[[T]]
// CHECK:           %[[TOKEN:.*]] = memref.load %[[TOKENS]][%[[t]]]
// CHECK:           %[[ROW:.*]] = arith.index_cast %[[TOKEN]]
// CHECK:           %[[INSIDE:.*]] = arith.cmpi ult, %[[ROW]], %[[N]]
// CHECK:           scf.if
// CHECK:             memref.load %[[FAULT]][%c0]
// CHECK:             scf.if
// CHECK:               memref.store %{{.*}}, %[[FAULT]][%c0]
// CHECK:               memref.store %{{.*}}, %[[FAULT]][%c1]
// CHECK:           memref.subview %[[BASE]]
// CHECK:           linalg.generic {{.*}}"parallel"]}
rondo.kernel @embed sizes ["T", "N", "D"] bound [-1, -1, -1] batch [] time "T"
    inputs [#rondo.tensor<"tokens", argument, i32, ()[T, N, D] -> (T)>,
            #rondo.tensor<"table", argument, f32, ()[T, N, D] -> (N, D)>]
    outputs [#rondo.tensor<"y", result, f32, ()[T, N, D] -> (T, D)>] {
^bb0(%tokens: tensor<?xi32>, %table: tensor<?x?xf32>):
  %T = rondo.size "T"
  %D = rondo.size "D"
  %y = rondo.equation "y" (%t < %T, %d < %D) -> tensor<?x?xf32> {
    %0 = rondo.read %tokens[%t] : tensor<?xi32> -> index
    %1 = rondo.gather %table[%0, %d] "table" at [0] : tensor<?x?xf32> -> f32
    rondo.yield %1 : f32
  }
  rondo.return %y : tensor<?x?xf32>
}

// Grouped heads: h / G is in range of H / G, so there is no guard.
// CHECK-LABEL: func.func @groups(
// CHECK-NOT:     cmpi ult
// CHECK:         linalg.generic
rondo.kernel @groups sizes ["H", "G", "D"] bound [-1, -1, -1] batch ["H"]
    inputs [#rondo.tensor<"x", argument, f32, ()[H, G, D] -> (H floordiv G, D)>]
    outputs [#rondo.tensor<"y", result, f32, ()[H, G, D] -> (H, D)>] {
^bb0(%x: tensor<?x?xf32>):
  %H = rondo.size "H"
  %G = rondo.size "G"
  %D = rondo.size "D"
  %y = rondo.equation "y" (%h < %H, %d < %D) -> tensor<?x?xf32> {
    %0 = arith.floordivsi %h, %G : index
    %1 = rondo.read %x[%0, %d] : tensor<?x?xf32> -> f32
    rondo.yield %1 : f32
  }
  rondo.return %y : tensor<?x?xf32>
}
