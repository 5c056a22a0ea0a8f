// Gradients in IR are expanded as those of programs are.
// RUN: rondoc %s --emit=rondo -o - | FileCheck %s
// RUN: rondoc %s -o %t.so
// CHECK-LABEL: rondo.kernel @matrix
// CHECK: %[[R:.*]] = rondo.equation "r"
// CHECK-NOT: rondo.grad
// CHECK: rondo.equation "W" (%[[I:.*]] < %{{.*}}, %[[J:.*]] <
// CHECK: %[[K:.*]] = rondo.read %{{.*}}[%{{.*}}, %[[I]]]
// CHECK: %[[E:.*]] = rondo.read %[[R]][%[[J]]]
// CHECK: %[[P:.*]] = arith.mulf %[[K]], %[[E]]
// CHECK: arith.addf %[[P]], %[[P]]
// CHECK-NOT: rondo.grad
rondo.kernel @matrix sizes ["T", "K", "V"] bound [-1, -1, -1] batch []
    inputs [#rondo.tensor<"k", argument, f32, ()[T, K, V] -> (T, K)>,
            #rondo.tensor<"W.initial", initial, f32, ()[T, K, V] -> (K, V)>]
    outputs [#rondo.tensor<"W.final", final, f32, ()[T, K, V] -> (K, V)>] {
^bb0(%k: tensor<?x?xf32>, %given: tensor<?x?xf32>):
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  %T = rondo.size "T"
  %K = rondo.size "K"
  %V = rondo.size "V"
  %declared = rondo.equation "W.declared" (%i < %K, %j < %V) -> tensor<?x?xf32> {
    rondo.yield %zero : f32
  }
  %W0 = rondo.initial %given else %declared : tensor<?x?xf32>, tensor<?x?xf32>
  %W:5 = rondo.recurrence along(%T) reversed [false] members ["W", "r", "s", "l"] initial(%W0) batch 0
      : (index, tensor<?x?xf32>) -> (tensor<?x?x?xf32>, tensor<?x?xf32>, tensor<?x?xf32>, tensor<?xf32>, tensor<?x?xf32>) {
  ^bb0(%t: index, %past: tensor<?x?x?xf32>, %pr: tensor<?x?xf32>, %ps: tensor<?x?xf32>, %pl: tensor<?xf32>):
    %before = arith.subi %t, %c1 : index
    %r = rondo.equation "r" (%j < %V) sum (%i = %c0 to %K) -> tensor<?xf32> {
      %0 = rondo.read %past[%before, %i, %j] else %W0[%i, %j] : tensor<?x?x?xf32>, tensor<?x?xf32> -> f32
      %1 = rondo.read %k[%t, %i] : tensor<?x?xf32> -> f32
      %2 = arith.mulf %0, %1 : f32
      rondo.yield %2 : f32
    }
    %s = rondo.equation "s" (%j < %V) -> tensor<?xf32> {
      %0 = rondo.read %r[%j] : tensor<?xf32> -> f32
      %1 = arith.mulf %0, %0 : f32
      rondo.yield %1 : f32
    }
    %l = rondo.equation "l" () sum (%j = %c0 to %V) -> tensor<f32> {
      %0 = rondo.read %s[%j] : tensor<?xf32> -> f32
      rondo.yield %0 : f32
    }
    %next = rondo.equation "W" (%i < %K, %j < %V) -> tensor<?x?xf32> {
      %0 = rondo.read %past[%before, %i, %j] else %W0[%i, %j] : tensor<?x?x?xf32>, tensor<?x?xf32> -> f32
      %1 = rondo.read %l[] : tensor<f32> -> f32
      %2 = rondo.grad %1 wrt %0 : f32
      %3 = arith.subf %0, %2 : f32
      rondo.yield %3 : f32
    }
    rondo.yield %next, %r, %s, %l : tensor<?x?xf32>, tensor<?xf32>, tensor<?xf32>, tensor<f32>
  }
  rondo.return %W#4 : tensor<?x?xf32>
}
