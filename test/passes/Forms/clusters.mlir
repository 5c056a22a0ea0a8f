// Which equations share a loop over time (passes/Forms/Clusters.h).
// RUN: rondo-opt %s --rondo-to-sequential --canonicalize --cse --rondo-verify-forms | FileCheck %s

// p[t, u] is read at the same t only: one loop, one row of T for p.
// CHECK-LABEL: func.func @rows(
// CHECK-SAME:    %[[T:[^:]*]]: index
// CHECK:         memref.view {{.*}}[%[[T]]] : memref<?xi8> to memref<?xf32>
// CHECK:         scf.for
// CHECK:           scf.for
// CHECK:             linalg.generic {{.*}}"parallel"]}
// CHECK:             linalg.generic {{.*}}"reduction"]}
// CHECK-NOT:     scf.for
// CHECK:         return
rondo.kernel @rows sizes ["T"] bound [-1] batch [] time "T"
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>]
    outputs [#rondo.tensor<"y", result, f32, ()[T] -> (T)>] {
^bb0(%x: tensor<?xf32>):
  %T = rondo.size "T"
  %c0 = arith.constant 0 : index
  %p = rondo.equation "p" (%t < %T, %u < %T) -> tensor<?x?xf32> {
    %0 = rondo.read %x[%t] : tensor<?xf32> -> f32
    %1 = rondo.read %x[%u] : tensor<?xf32> -> f32
    %2 = arith.mulf %0, %1 : f32
    rondo.yield %2 : f32
  }
  %y = rondo.equation "y" (%t < %T) sum (%u = %c0 to %T) -> tensor<?xf32> {
    %0 = rondo.read %p[%t, %u] : tensor<?x?xf32> -> f32
    rondo.yield %0 : f32
  }
  rondo.return %y : tensor<?xf32>
}

// A loop over blocks of 8 steps: what reads a sum at every step joins it in
// blocks, up to the end of the last one, and so does what reads that.
// CHECK-LABEL: func.func @blocks(
// CHECK-SAME:    %[[T:[^:]*]]: index, %[[D:[^:]*]]: index, %[[X:[^:]*]]: memref<{{[^>]*}}>>, %[[Y:[^:]*]]: memref<{{[^>]*}}>>, %[[Z:[^:]*]]: memref
// CHECK:         scf.for %[[c:.*]] = %c0 to
// CHECK:           linalg.fill
// CHECK:           scf.for
// CHECK:             linalg.generic
// CHECK:             linalg.yield
// CHECK:             }
// CHECK:           }
// CHECK:           %[[FIRST:.*]] = arith.muli %[[c]], %c8
// CHECK:           %[[NEXT:.*]] = arith.addi %[[FIRST]], %c8
// CHECK:           %[[END:.*]] = arith.minsi %[[NEXT]], %[[T]]
// CHECK:           %[[COUNT:.*]] = arith.subi %[[END]], %[[FIRST]]
// CHECK:           memref.subview %[[Y]][%[[FIRST]], 0] [%[[COUNT]], %[[D]]]
// CHECK:           linalg.generic {{.*}}"parallel", "parallel"]}
// CHECK:           memref.subview %[[Z]][%[[FIRST]], 0] [%[[COUNT]], %[[D]]]
// CHECK:           linalg.generic {{.*}}"parallel", "parallel"]}
// CHECK-NOT:     scf.for
// CHECK:         return
rondo.kernel @blocks sizes ["T", "D"] bound [-1, -1] batch [] time "T"
    inputs [#rondo.tensor<"x", argument, f32, ()[T, D] -> (T, D)>]
    outputs [#rondo.tensor<"y", result, f32, ()[T, D] -> (T, D)>,
             #rondo.tensor<"z", result, f32, ()[T, D] -> (T, D)>] {
^bb0(%x: tensor<?x?xf32>):
  %T = rondo.size "T"
  %D = rondo.size "D"
  %c0 = arith.constant 0 : index
  %c7 = arith.constant 7 : index
  %c8 = arith.constant 8 : index
  %0 = arith.addi %T, %c7 : index
  %blocks = arith.floordivsi %0, %c8 : index
  %s = rondo.equation "s" (%c < %blocks, %d < %D) sum (%r = %c0 to %c8) -> tensor<?x?xf32> {
    %1 = arith.muli %c, %c8 : index
    %2 = arith.addi %1, %r : index
    %3 = rondo.read %x[%2, %d] : tensor<?x?xf32> -> f32
    rondo.yield %3 : f32
  }
  %y = rondo.equation "y" (%t < %T, %d < %D) -> tensor<?x?xf32> {
    %1 = arith.floordivsi %t, %c8 : index
    %2 = rondo.read %s[%1, %d] : tensor<?x?xf32> -> f32
    rondo.yield %2 : f32
  }
  %z = rondo.equation "z" (%t < %T, %d < %D) -> tensor<?x?xf32> {
    %1 = rondo.read %y[%t, %d] : tensor<?x?xf32> -> f32
    %2 = math.exp %1 : f32
    rondo.yield %2 : f32
  }
  rondo.return %y, %z : tensor<?x?xf32>, tensor<?x?xf32>
}

// Not merged: all steps of k are read at each step, so k is stored whole.
// CHECK-LABEL: func.func @all_steps(
// CHECK-SAME:    %[[T:[^:]*]]: index, %[[D:[^:]*]]: index
// CHECK:         memref.view {{.*}}[%[[T]], %[[D]]]
// CHECK:         scf.for
// CHECK-NOT:       scf.for
// CHECK:           linalg.generic {{.*}}"parallel", "parallel"]}
// CHECK:           linalg.generic {{.*}}"reduction"]}
rondo.kernel @all_steps sizes ["T", "D"] bound [-1, -1] batch [] time "T"
    inputs [#rondo.tensor<"x", argument, f32, ()[T, D] -> (T, D)>]
    outputs [#rondo.tensor<"y", result, f32, ()[T, D] -> (T, D)>] {
^bb0(%x: tensor<?x?xf32>):
  %T = rondo.size "T"
  %D = rondo.size "D"
  %c0 = arith.constant 0 : index
  %k = rondo.equation "k" (%t < %T, %d < %D) -> tensor<?x?xf32> {
    %0 = rondo.read %x[%t, %d] : tensor<?x?xf32> -> f32
    %1 = math.exp %0 : f32
    rondo.yield %1 : f32
  }
  %y = rondo.equation "y" (%t < %T, %d < %D) sum (%u = %c0 to %T) -> tensor<?x?xf32> {
    %0 = rondo.read %x[%t, %d] : tensor<?x?xf32> -> f32
    %1 = rondo.read %k[%u, %d] : tensor<?x?xf32> -> f32
    %2 = arith.mulf %0, %1 : f32
    rondo.yield %2 : f32
  }
  rondo.return %y : tensor<?x?xf32>
}

// A reader of the next step makes the loop run backwards; k keeps two steps.
// CHECK-LABEL: func.func @next_step(
// CHECK-SAME:    %[[T:[^:]*]]: index, %[[D:[^:]*]]: index
// CHECK:         %[[K:.*]] = memref.view {{.*}}[%[[D]]] : memref<?xi8> to memref<2x?xf32>
// CHECK:         linalg.fill {{.*}} outs(%{{.*}} : memref<2x?xf32
// CHECK:         scf.for %[[s:.*]] =
// CHECK:           %[[LAST:.*]] = arith.subi %[[T]], %c1
// CHECK:           %[[t:.*]] = arith.subi %[[LAST]], %[[s]]
// CHECK:           %[[SLOT:.*]] = rondo.mod %[[s]], %c2
// CHECK:           memref.subview %[[K]][%[[SLOT]], 0]
rondo.kernel @next_step sizes ["T", "D"] bound [-1, -1] batch [] time "T"
    inputs [#rondo.tensor<"x", argument, f32, ()[T, D] -> (T, D)>]
    outputs [#rondo.tensor<"y", result, f32, ()[T, D] -> (T, D)>] {
^bb0(%x: tensor<?x?xf32>):
  %T = rondo.size "T"
  %D = rondo.size "D"
  %c1 = arith.constant 1 : index
  %k = rondo.equation "k" (%t < %T, %d < %D) -> tensor<?x?xf32> {
    %0 = rondo.read %x[%t, %d] : tensor<?x?xf32> -> f32
    %1 = math.exp %0 : f32
    rondo.yield %1 : f32
  }
  %y = rondo.equation "y" (%t < %T, %d < %D) -> tensor<?x?xf32> {
    %0 = rondo.read %k[%t, %d] : tensor<?x?xf32> -> f32
    %next = arith.addi %t, %c1 : index
    %1 = rondo.read %k[%next, %d] : tensor<?x?xf32> -> f32
    %2 = arith.subf %1, %0 : f32
    rondo.yield %2 : f32
  }
  rondo.return %y : tensor<?x?xf32>
}

// Not merged: a chain of vectors without inner dims stays a chain of vectors.
// CHECK-LABEL: func.func @vectors(
// CHECK:         scf.for
// CHECK-NOT:     scf.for
// CHECK:         linalg.generic {{.*}}"parallel", "reduction"]}
// CHECK:         linalg.generic {{.*}}"parallel"]}
rondo.kernel @vectors sizes ["D", "E"] bound [-1, -1] batch []
    inputs [#rondo.tensor<"w", argument, f32, ()[D, E] -> (D, E)>]
    outputs [#rondo.tensor<"y", result, f32, ()[D, E] -> (D)>] {
^bb0(%w: tensor<?x?xf32>):
  %D = rondo.size "D"
  %E = rondo.size "E"
  %c0 = arith.constant 0 : index
  %z = rondo.equation "z" (%d < %D) sum (%e = %c0 to %E) -> tensor<?xf32> {
    %0 = rondo.read %w[%d, %e] : tensor<?x?xf32> -> f32
    rondo.yield %0 : f32
  }
  %y = rondo.equation "y" (%d < %D) -> tensor<?xf32> {
    %0 = rondo.read %z[%d] : tensor<?xf32> -> f32
    %1 = math.tanh %0 : f32
    rondo.yield %1 : f32
  }
  rondo.return %y : tensor<?xf32>
}
