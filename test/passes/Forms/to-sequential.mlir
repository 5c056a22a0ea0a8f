// RUN: rondo-opt %s --rondo-to-sequential --canonicalize --cse --rondo-verify-forms | FileCheck %s

// Gated linear attention, one loop over time. The state is one [K, V] slot of
// the workspace, updated in place; nothing is as long as T.
// CHECK-LABEL: func.func @gla(
// CHECK-SAME:    %[[B:[^:]*]]: index, %[[T:[^:]*]]: index, %[[K:[^:]*]]: index, %[[V:[^:]*]]: index,
// CHECK-SAME:    %[[Q:[^:]*]]: memref<?x?x?xf32, strided<[?, ?, 1]>>
// CHECK-SAME:    %[[WORK:[^:]*]]: memref<?xi8>, %[[BEGIN:[^:]*]]: index, %[[END:[^:]*]]: index, %{{[^:]*}}: memref<2xi64>)
// CHECK-SAME:    rondo.form = "sequential"
// CHECK:         %[[S:.*]] = memref.view %[[WORK]]{{.*}}[%[[K]], %[[V]]]
// CHECK-NOT:     memref.view {{.*}}%[[T]]
// CHECK:         scf.for %[[b:.*]] = %[[BEGIN]] to %[[END]]
// CHECK:           memref.extract_aligned_pointer_as_index
// CHECK:           scf.if
// CHECK:           else
// CHECK:             linalg.generic
// CHECK:           scf.for %[[t:.*]] = %{{.*}} to %[[T]]
// CHECK-NOT:         arith.select
// CHECK:             %[[SLOT:.*]] = memref.subview %[[S]]
// CHECK:             linalg.generic {{.*}}"parallel", "parallel"]} ins(%{{.*}}, %{{.*}}, %{{.*}} : {{.*}}) outs(%[[SLOT]]
// CHECK-NEXT:        ^bb0(%{{.*}}: f32, %{{.*}}: f32, %{{.*}}: f32, %[[OLD:.*]]: f32):
// CHECK:               arith.mulf %{{.*}}, %[[OLD]]
// CHECK:             %[[ROW:.*]] = memref.subview %{{.*}}[%[[b]], %[[t]], 0] [1, 1, %[[V]]]
// CHECK:             linalg.fill {{.*}} outs(%[[ROW]]
// CHECK:             linalg.generic {{.*}}"parallel", "reduction"]} ins(%{{.*}}, %[[SLOT]] {{.*}} outs(%[[ROW]]
// CHECK-NOT:       scf.for
// CHECK:           memref.extract_aligned_pointer_as_index
// CHECK:           scf.if
// CHECK:             linalg.generic {{.*}} ins(%[[SLOT2:.*]] :
// CHECK:         return
// CHECK:       func.func @gla_worker_bytes(%{{.*}}: index, %{{.*}}: index, %[[K2:.*]]: index, %[[V2:.*]]: index) -> index
rondo.kernel @gla sizes ["B", "T", "K", "V"] bound [-1, -1, -1, -1] batch ["B"] time "T"
    inputs [#rondo.tensor<"q", argument, f32, ()[B, T, K, V] -> (B, T, K)>,
            #rondo.tensor<"k", argument, f32, ()[B, T, K, V] -> (B, T, K)>,
            #rondo.tensor<"v", argument, f32, ()[B, T, K, V] -> (B, T, V)>,
            #rondo.tensor<"g", argument, f32, ()[B, T, K, V] -> (B, T, K)>,
            #rondo.tensor<"S.initial", initial, f32, ()[B, T, K, V] -> (B, K, V)>]
    outputs [#rondo.tensor<"o", result, f32, ()[B, T, K, V] -> (B, T, V)>,
             #rondo.tensor<"S.final", final, f32, ()[B, T, K, V] -> (B, K, V)>] {
^bb0(%q: tensor<?x?x?xf32>, %k: tensor<?x?x?xf32>, %v: tensor<?x?x?xf32>,
     %g: tensor<?x?x?xf32>, %given: tensor<?x?x?xf32>):
  %B = rondo.size "B"
  %T = rondo.size "T"
  %K = rondo.size "K"
  %V = rondo.size "V"
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = rondo.equation "S.declared" (%b < %B, %i < %K, %j < %V) -> tensor<?x?x?xf32> {
    %0 = arith.constant 0.0 : f32
    rondo.yield %0 : f32
  }
  %S0 = rondo.initial %given else %zero : tensor<?x?x?xf32>, tensor<?x?x?xf32>
  %S:2 = rondo.recurrence along (%T) reversed [false] members ["S"] initial (%S0) batch 1
      : (index, tensor<?x?x?xf32>) -> (tensor<?x?x?x?xf32>, tensor<?x?x?xf32>) {
  ^bb0(%t: index, %past: tensor<?x?x?x?xf32>):
    %before = arith.subi %t, %c1 : index
    %next = rondo.equation "S" (%b < %B, %i < %K, %j < %V) -> tensor<?x?x?xf32> {
      %0 = rondo.read %g[%b, %t, %i] : tensor<?x?x?xf32> -> f32
      %1 = rondo.read %past[%b, %before, %i, %j] else %S0[%b, %i, %j] : tensor<?x?x?x?xf32>, tensor<?x?x?xf32> -> f32
      %2 = arith.mulf %0, %1 : f32
      %3 = rondo.read %k[%b, %t, %i] : tensor<?x?x?xf32> -> f32
      %4 = rondo.read %v[%b, %t, %j] : tensor<?x?x?xf32> -> f32
      %5 = arith.mulf %3, %4 : f32
      %6 = arith.addf %2, %5 : f32
      rondo.yield %6 : f32
    }
    rondo.yield %next : tensor<?x?x?xf32>
  }
  %o = rondo.equation "o" (%b < %B, %t < %T, %j < %V) sum (%i = %c0 to %K) -> tensor<?x?x?xf32> {
    %0 = rondo.read %q[%b, %t, %i] : tensor<?x?x?xf32> -> f32
    %1 = rondo.read %S#0[%b, %t, %i, %j] : tensor<?x?x?x?xf32> -> f32
    %2 = arith.mulf %0, %1 : f32
    rondo.yield %2 : f32
  }
  rondo.return %o, %S#1 : tensor<?x?x?xf32>, tensor<?x?x?xf32>
}

// A reduction that is rounded accumulates in a row of f32; dims may stand in
// another order in memory. Bound sizes are constants.
// CHECK-LABEL: func.func @rounded(
// CHECK-SAME:    %[[X:[^:]*]]: memref<?x?x?xbf16
// CHECK-SAME:    %[[Y:[^:]*]]: memref<?x?x?xbf16
// CHECK:         %[[ACC:.*]] = memref.view {{.*}} to memref<8xf32>
// CHECK:         scf.for %[[b:.*]] =
// CHECK:           scf.for %[[t:.*]] =
// CHECK:             linalg.fill {{.*}} outs(%[[ROW:.*]] :
// CHECK:             linalg.generic {{.*}} outs(%[[ROW]]
// CHECK:               arith.extf %{{.*}} : bf16 to f32
// CHECK:             %[[OUT:.*]] = memref.subview %[[Y]][%[[t]], %[[b]], 0] [1, 1, 8]
// CHECK:             linalg.generic {{.*}} outs(%[[OUT]]
// CHECK:               arith.truncf %{{.*}} : f32 to bf16
rondo.kernel @rounded sizes ["B", "T", "D", "E"] bound [-1, -1, 8, -1] batch ["B"] time "T"
    inputs [#rondo.tensor<"x", argument, bf16, ()[B, T, D, E] -> (B, T, E)>,
            #rondo.tensor<"w", argument, bf16, ()[B, T, D, E] -> (D, E)>]
    outputs [#rondo.tensor<"y", result, bf16, ()[B, T, D, E] -> (T, B, D), order = [1, 0, 2]>] {
^bb0(%x: tensor<?x?x?xbf16>, %w: tensor<?x?xbf16>):
  %B = rondo.size "B"
  %T = rondo.size "T"
  %D = rondo.size "D"
  %E = rondo.size "E"
  %c0 = arith.constant 0 : index
  %y = rondo.equation "y" (%b < %B, %t < %T, %d < %D) sum (%e = %c0 to %E) -> tensor<?x?x?xf32> {
    %0 = rondo.read %x[%b, %t, %e] : tensor<?x?x?xbf16> -> f32
    %1 = rondo.read %w[%d, %e] : tensor<?x?xbf16> -> f32
    %2 = arith.mulf %0, %1 : f32
    rondo.yield %2 : f32
  }
  rondo.return %y : tensor<?x?x?xf32>
}

// Nothing to do: an equation alone is one linalg.generic.
// CHECK-LABEL: func.func @alone(
// CHECK:         scf.for
// CHECK-NOT:     scf.for
// CHECK:         linalg.generic {{.*}}"parallel", "parallel"]}
// CHECK-NOT:     linalg.generic
// CHECK:       func.func @alone_worker_bytes
// CHECK-NEXT:    %[[ZERO:.*]] = arith.constant 0 : index
// CHECK-NEXT:    return %[[ZERO]]
rondo.kernel @alone sizes ["T", "D"] bound [-1, -1] batch [] time "T"
    inputs [#rondo.tensor<"x", argument, f32, ()[T, D] -> (T, D)>]
    outputs [#rondo.tensor<"y", result, f32, ()[T, D] -> (T, D)>] {
^bb0(%x: tensor<?x?xf32>):
  %T = rondo.size "T"
  %D = rondo.size "D"
  %y = rondo.equation "y" (%t < %T, %d < %D) -> tensor<?x?xf32> {
    %0 = rondo.read %x[%t, %d] : tensor<?x?xf32> -> f32
    %1 = rondo.sigmoid %0 : f32
    rondo.yield %1 : f32
  }
  rondo.return %y : tensor<?x?xf32>
}

// CHECK-NOT: rondo.kernel
