// RUN: rondo-opt %s --rondo-hoist-invariants | FileCheck %s

// The exponential uses %i only; the sum of products over (%i, %j) reads it.
// CHECK-LABEL: rondo.kernel @hoisted
// CHECK: %[[PART:.*]] = rondo.equation "o.part" (%[[I:.*]] < %{{.*}}) -> tensor<?xf32> {
// CHECK:   %[[G:.*]] = rondo.read %arg0[%[[I]]]
// CHECK:   math.exp %[[G]]
// CHECK: rondo.equation "o" (%[[J:.*]] < %{{.*}}) sum (%[[I:.*]] = %c0 to %{{.*}})
// CHECK:   rondo.read %[[PART]][%[[I]]]
// CHECK-NOT: math.exp
// CHECK: rondo.return
rondo.kernel @hoisted sizes ["K", "V"] bound [-1, -1] batch []
    inputs [#rondo.tensor<"g", argument, f32, ()[K, V] -> (K)>,
            #rondo.tensor<"s", argument, f32, ()[K, V] -> (K, V)>]
    outputs [#rondo.tensor<"o", result, f32, ()[K, V] -> (V)>] {
^bb0(%g: tensor<?xf32>, %s: tensor<?x?xf32>):
  %c0 = arith.constant 0 : index
  %K = rondo.size "K"
  %V = rondo.size "V"
  %o = rondo.equation "o" (%j < %V) sum (%i = %c0 to %K) -> tensor<?xf32> {
    %0 = rondo.read %g[%i] : tensor<?xf32> -> f32
    %1 = math.exp %0 : f32
    %2 = rondo.read %s[%i, %j] : tensor<?x?xf32> -> f32
    %3 = arith.mulf %1, %2 : f32
    rondo.yield %3 : f32
  }
  rondo.return %o : tensor<?xf32>
}

// Nothing to gain: a function of all indices, a cheap part, and a part that
// gathers and is guarded by the filter.
// CHECK-LABEL: rondo.kernel @kept
// CHECK-NOT: .part
// CHECK: rondo.return
rondo.kernel @kept sizes ["K", "V"] bound [-1, -1] batch []
    inputs [#rondo.tensor<"g", argument, f32, ()[K, V] -> (K)>,
            #rondo.tensor<"n", argument, i32, ()[K, V] -> (K)>,
            #rondo.tensor<"s", argument, f32, ()[K, V] -> (K, V)>]
    outputs [#rondo.tensor<"o", result, f32, ()[K, V] -> (V)>] {
^bb0(%g: tensor<?xf32>, %n: tensor<?xi32>, %s: tensor<?x?xf32>):
  %c0 = arith.constant 0 : index
  %K = rondo.size "K"
  %V = rondo.size "V"
  %o = rondo.equation "o" (%j < %V) sum (%i = %c0 to %K) -> tensor<?xf32> {
    %0 = rondo.read %g[%i] : tensor<?xf32> -> f32
    %1 = arith.addf %0, %0 : f32
    %2 = rondo.read %s[%i, %j] : tensor<?x?xf32> -> f32
    %3 = math.exp %2 : f32
    %4 = arith.mulf %1, %3 : f32
    %5 = rondo.read %n[%i] : tensor<?xi32> -> index
    %6 = rondo.gather %g[%5] "g" at [0] : tensor<?xf32> -> f32
    %7 = math.exp %6 : f32
    %8 = arith.mulf %4, %7 : f32
    %9 = arith.cmpi sge, %5, %c0 : index
    rondo.yield %8 where %9 : f32
  }
  rondo.return %o : tensor<?xf32>
}
