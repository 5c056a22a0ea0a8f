// RUN: rondo-opt %s --split-input-file --rondo-raise-attention | FileCheck %s

// Softmax divided outside of the sum, relative to the greatest score, with its
// logarithm as a second result: one attention with statistics.
// CHECK-LABEL: rondo.kernel @outside
// CHECK: %[[S:.*]] = rondo.equation "s"
// CHECK: %[[O:.*]], %[[ST:.*]]:2 = rondo.attention "n" softmax
// CHECK:   rondo.read %[[S]]
// CHECK:   arith.cmpi sle
// CHECK:   rondo.yield {{.*}} where
// CHECK: rondo.equation "n"
// CHECK:   rondo.read %[[O]]
// CHECK:   rondo.read %[[ST]]#1
// CHECK: rondo.equation "o"
// CHECK: rondo.equation "lse"
// CHECK:   rondo.read %[[ST]]#1
// CHECK:   rondo.read %[[ST]]#0
// CHECK-NOT: rondo.equation
rondo.kernel @outside sizes ["T", "K"] bound [-1, -1] batch []
    inputs [#rondo.tensor<"q", argument, f32, ()[T, K] -> (T, K)>]
    outputs [#rondo.tensor<"o", result, f32, ()[T, K] -> (T, K)>,
             #rondo.tensor<"lse", result, f32, ()[T, K] -> (T)>] {
^bb0(%q: tensor<?x?xf32>):
  %c0 = arith.constant 0 : index
  %T = rondo.size "T"
  %K = rondo.size "K"
  %s = rondo.equation "s" (%t < %T, %u < %T) sum (%i = %c0 to %K) -> tensor<?x?xf32> {
    %0 = rondo.read %q[%t, %i] : tensor<?x?xf32> -> f32
    %1 = rondo.read %q[%u, %i] : tensor<?x?xf32> -> f32
    %2 = arith.mulf %0, %1 : f32
    rondo.yield %2 : f32
  }
  %m = rondo.equation "m" (%t < %T) max (%u = %c0 to %T) -> tensor<?xf32> {
    %0 = rondo.read %s[%t, %u] : tensor<?x?xf32> -> f32
    %1 = arith.cmpi sle, %u, %t : index
    rondo.yield %0 where %1 : f32
  }
  %e = rondo.equation "e" (%t < %T, %u < %T) -> tensor<?x?xf32> {
    %0 = rondo.read %s[%t, %u] : tensor<?x?xf32> -> f32
    %1 = rondo.read %m[%t] : tensor<?xf32> -> f32
    %2 = arith.subf %0, %1 : f32
    %3 = math.exp %2 : f32
    rondo.yield %3 : f32
  }
  %l = rondo.equation "l" (%t < %T) sum (%u = %c0 to %T) -> tensor<?xf32> {
    %0 = rondo.read %e[%t, %u] : tensor<?x?xf32> -> f32
    %1 = arith.cmpi sle, %u, %t : index
    rondo.yield %0 where %1 : f32
  }
  %n = rondo.equation "n" (%t < %T, %j < %K) sum (%u = %c0 to %T) -> tensor<?x?xf32> {
    %0 = rondo.read %q[%u, %j] : tensor<?x?xf32> -> f32
    %1 = rondo.read %e[%t, %u] : tensor<?x?xf32> -> f32
    %2 = arith.mulf %0, %1 : f32
    %3 = arith.cmpi sle, %u, %t : index
    rondo.yield %2 where %3 : f32
  }
  %o = rondo.equation "o" (%t < %T, %j < %K) -> tensor<?x?xf32> {
    %0 = rondo.read %n[%t, %j] : tensor<?x?xf32> -> f32
    %1 = rondo.read %l[%t] : tensor<?xf32> -> f32
    %2 = arith.divf %0, %1 : f32
    rondo.yield %2 : f32
  }
  %lse = rondo.equation "lse" (%t < %T) -> tensor<?xf32> {
    %0 = rondo.read %l[%t] : tensor<?xf32> -> f32
    %1 = math.log %0 : f32
    %2 = rondo.read %m[%t] : tensor<?xf32> -> f32
    %3 = arith.addf %2, %1 : f32
    rondo.yield %3 : f32
  }
  rondo.return %o, %lse : tensor<?x?xf32>, tensor<?xf32>
}

// -----

// A sigmoid, weighted by something of the row: no normaliser, and the factor
// stays outside. What the filter leaves out does not count, finite or not.
// CHECK-LABEL: rondo.kernel @sigmoid
// CHECK: rondo.attention "o" none
// CHECK:   rondo.sigmoid
// CHECK:   rondo.yield {{.*}} where
// CHECK: value
// CHECK:   arith.select
// CHECK: rondo.equation "o"
// CHECK:   arith.mulf
rondo.kernel @sigmoid sizes ["T", "K"] bound [-1, -1] batch []
    inputs [#rondo.tensor<"q", argument, f32, ()[T, K] -> (T, K)>,
            #rondo.tensor<"g", argument, f32, ()[T, K] -> (T)>]
    outputs [#rondo.tensor<"o", result, f32, ()[T, K] -> (T, K)>] {
^bb0(%q: tensor<?x?xf32>, %g: tensor<?xf32>):
  %c0 = arith.constant 0 : index
  %T = rondo.size "T"
  %K = rondo.size "K"
  %s = rondo.equation "s" (%t < %T, %u < %T) sum (%i = %c0 to %K) -> tensor<?x?xf32> {
    %0 = rondo.read %q[%t, %i] : tensor<?x?xf32> -> f32
    %1 = rondo.read %q[%u, %i] : tensor<?x?xf32> -> f32
    %2 = arith.mulf %0, %1 : f32
    rondo.yield %2 : f32
  }
  %o = rondo.equation "o" (%t < %T, %j < %K) sum (%u = %c0 to %T) -> tensor<?x?xf32> {
    %0 = rondo.read %s[%t, %u] : tensor<?x?xf32> -> f32
    %1 = rondo.sigmoid %0 : f32
    %2 = rondo.read %q[%u, %j] : tensor<?x?xf32> -> f32
    %3 = arith.mulf %1, %2 : f32
    %4 = rondo.read %g[%t] : tensor<?xf32> -> f32
    %5 = arith.mulf %3, %4 : f32
    %6 = arith.cmpi sle, %u, %t : index
    rondo.yield %5 where %6 : f32
  }
  rondo.return %o : tensor<?x?xf32>
}

// -----

// The weights are a result: they exist anyway.
// CHECK-LABEL: rondo.kernel @weights
// CHECK-NOT: rondo.attention
rondo.kernel @weights sizes ["T", "K"] bound [-1, -1] batch []
    inputs [#rondo.tensor<"q", argument, f32, ()[T, K] -> (T, K)>]
    outputs [#rondo.tensor<"p", result, f32, ()[T, K] -> (T, T)>,
             #rondo.tensor<"o", result, f32, ()[T, K] -> (T, K)>] {
^bb0(%q: tensor<?x?xf32>):
  %c0 = arith.constant 0 : index
  %T = rondo.size "T"
  %K = rondo.size "K"
  %s = rondo.equation "s" (%t < %T, %u < %T) sum (%i = %c0 to %K) -> tensor<?x?xf32> {
    %0 = rondo.read %q[%t, %i] : tensor<?x?xf32> -> f32
    %1 = rondo.read %q[%u, %i] : tensor<?x?xf32> -> f32
    %2 = arith.mulf %0, %1 : f32
    rondo.yield %2 : f32
  }
  %p = rondo.equation "p" (%t < %T, %u < %T) -> tensor<?x?xf32> {
    %0 = rondo.read %s[%t, %u] : tensor<?x?xf32> -> f32
    %1 = math.exp %0 : f32
    rondo.yield %1 : f32
  }
  %o = rondo.equation "o" (%t < %T, %j < %K) sum (%u = %c0 to %T) -> tensor<?x?xf32> {
    %0 = rondo.read %p[%t, %u] : tensor<?x?xf32> -> f32
    %1 = rondo.read %q[%u, %j] : tensor<?x?xf32> -> f32
    %2 = arith.mulf %0, %1 : f32
    rondo.yield %2 : f32
  }
  rondo.return %p, %o : tensor<?x?xf32>, tensor<?x?xf32>
}
