// Whole forms become equations and recurrences; test/reference shows that their
// values stay the same.
// RUN: rondo-opt %s --rondo-decompose --cse --split-input-file | FileCheck %s

// CHECK-LABEL: rondo.kernel @attention
rondo.kernel @attention sizes ["B", "T", "K", "V"] bound [-1, -1, -1, -1] batch ["B"]
    inputs [#rondo.tensor<"q", argument, f32, ()[B, T, K, V] -> (B, T, K)>,
            #rondo.tensor<"v", argument, f32, ()[B, T, K, V] -> (B, T, V)>]
    outputs [#rondo.tensor<"o", result, f32, ()[B, T, K, V] -> (B, T, V)>] {
^bb0(%q: tensor<?x?x?xf32>, %v: tensor<?x?x?xf32>):
  // CHECK-DAG: %[[B:.*]] = rondo.size "B"
  // CHECK-DAG: %[[T:.*]] = rondo.size "T"
  // CHECK-DAG: %[[K:.*]] = rondo.size "K"
  // CHECK-DAG: %[[V:.*]] = rondo.size "V"
  %B = rondo.size "B"
  %T = rondo.size "T"
  %K = rondo.size "K"
  %V = rondo.size "V"
  %c0 = arith.constant 0 : index
  // CHECK-NOT: rondo.attention
  // CHECK-NOT: rondo.reduce
  // The reduction in the score: over the batch dim and the indices it uses.
  // CHECK: %[[QK:.*]] = rondo.equation "o.sum" (%{{.*}} < %[[B]], %{{.*}} < %[[T]], %{{.*}} < %[[T]]) sum (%{{.*}} = %{{.*}} to %[[K]])
  // CHECK: rondo.equation "o.score" (%[[I:.*]] < %[[B]], %[[J:.*]] < %[[T]], %[[L:.*]] < %[[T]])
  // CHECK-NEXT: rondo.read %[[QK]][%[[I]], %[[J]], %[[L]]]
  // CHECK: rondo.equation "o.max" (%{{.*}} < %[[B]], %[[X:.*]] < %[[T]]) max (%[[U:.*]] = %{{.*}} to %[[T]])
  // CHECK: %[[MASK:.*]] = arith.cmpi sle, %[[U]], %[[X]]
  // CHECK: rondo.yield %{{.*}} where %[[MASK]]
  // CHECK: rondo.equation "o.weight" (%{{.*}} < %[[B]], %{{.*}} < %[[T]], %{{.*}} < %[[T]])
  // CHECK: math.exp
  // CHECK: rondo.equation "o.weighted" (%{{.*}} < %[[B]], %{{.*}} < %[[T]], %{{.*}} < %[[V]]) sum (%{{.*}} = %{{.*}} to %[[T]])
  // CHECK: rondo.equation "o.norm" (%{{.*}} < %[[B]], %{{.*}} < %[[T]]) sum (%{{.*}} = %{{.*}} to %[[T]])
  // CHECK: %[[O:.*]] = rondo.equation "o" (%{{.*}} < %[[B]], %{{.*}} < %[[T]], %{{.*}} < %[[V]])
  // CHECK: rondo.return %[[O]]
  %o = rondo.attention "o" softmax sizes (%B, %T) over (%c0) to (%T) values (%V) -> tensor<?x?x?xf32>
  score {
  ^bb0(%b: index, %t: index, %u: index):
    %s = rondo.reduce sum (%i = %c0 to %K) -> f32 {
      %0 = rondo.read %q[%b, %t, %i] : tensor<?x?x?xf32> -> f32
      %1 = rondo.read %q[%b, %u, %i] : tensor<?x?x?xf32> -> f32
      %2 = arith.mulf %0, %1 : f32
      rondo.yield %2 : f32
    }
    %mask = arith.cmpi sle, %u, %t : index
    rondo.yield %s where %mask : f32
  } value {
  ^bb0(%b: index, %t: index, %u: index, %j: index):
    %0 = rondo.read %v[%b, %u, %j] : tensor<?x?x?xf32> -> f32
    rondo.yield %0 : f32
  }
  rondo.return %o : tensor<?x?x?xf32>
}

// -----

// The state's slice is over all dims but the one of the scan; those before it
// are batch dims of the recurrence.
// CHECK-LABEL: rondo.kernel @scan
rondo.kernel @scan sizes ["B", "D", "T"] bound [-1, -1, -1] batch ["B"]
    inputs [#rondo.tensor<"x", argument, f32, ()[B, D, T] -> (B, D, T)>]
    outputs [#rondo.tensor<"y", result, f32, ()[B, D, T] -> (B, D, T)>] {
^bb0(%x: tensor<?x?x?xf32>):
  // CHECK-DAG: %[[B:.*]] = rondo.size "B"
  // CHECK-DAG: %[[D:.*]] = rondo.size "D"
  // CHECK-DAG: %[[T:.*]] = rondo.size "T"
  %B = rondo.size "B"
  %D = rondo.size "D"
  %T = rondo.size "T"
  // CHECK-NOT: rondo.scan
  // CHECK: rondo.recurrence along(%[[T]]) reversed [true] members ["y"] initial() batch 2
  // CHECK: %[[AFTER:.*]] = arith.addi
  // CHECK: rondo.equation "y" (%[[I:.*]] < %[[B]], %[[J:.*]] < %[[D]])
  // CHECK: rondo.read %{{.*}}[%[[I]], %[[J]], %[[AFTER]]]
  %y = rondo.scan "y" along 2 reversed of (%x) sizes (%B, %D, %T) initial ()
      : (tensor<?x?x?xf32>, index, index, index) -> tensor<?x?x?xf32> {
  ^bb0(%0: f32, %1: f32):
    %2 = arith.addf %0, %1 : f32
    rondo.yield %2 : f32
  }
  rondo.return %y : tensor<?x?x?xf32>
}

// -----

// A triangular system is solved row by row.
// CHECK-LABEL: rondo.kernel @triangular_solve
rondo.kernel @triangular_solve sizes ["C", "V"] bound [-1, -1] batch []
    inputs [#rondo.tensor<"l", argument, f32, ()[C, V] -> (C, C)>,
            #rondo.tensor<"b", argument, f32, ()[C, V] -> (C, V)>]
    outputs [#rondo.tensor<"x", result, f32, ()[C, V] -> (C, V)>] {
^bb0(%l: tensor<?x?xf32>, %b: tensor<?x?xf32>):
  %C = rondo.size "C"
  %V = rondo.size "V"
  // CHECK-NOT: rondo.triangular_solve
  // CHECK: rondo.recurrence along(%{{.*}}) reversed [false] members ["x"] initial() batch 0
  // CHECK: ^bb0(%[[R:.*]]: index, %[[PAST:.*]]: tensor<?x?xf32>):
  // CHECK: rondo.equation "x.known" (%[[J:.*]] < %{{.*}}) sum (%[[S:.*]] = %{{.*}} to %{{.*}})
  // CHECK: rondo.read %{{.*}}[%[[R]], %[[S]]]
  // CHECK: rondo.read %[[PAST]][%[[S]], %[[J]]]
  // CHECK: arith.cmpi slt, %[[S]], %[[R]]
  // CHECK: rondo.equation "x"
  // CHECK: arith.subf
  %x = rondo.triangular_solve "x" of %l, %b along 0 sizes (%C, %V)
      : tensor<?x?xf32>, tensor<?x?xf32> -> tensor<?x?xf32>
  rondo.return %x : tensor<?x?xf32>
}

// -----

// Equations and recurrences are left alone.
// CHECK-LABEL: rondo.kernel @nothing
rondo.kernel @nothing sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>]
    outputs [#rondo.tensor<"y", result, f32, ()[T] -> ()>] {
^bb0(%x: tensor<?xf32>):
  %T = rondo.size "T"
  %c0 = arith.constant 0 : index
  // CHECK: rondo.equation "y" () sum
  // CHECK-NOT: rondo.equation
  // CHECK: rondo.return
  %y = rondo.equation "y" () sum (%t = %c0 to %T) -> tensor<f32> {
    %0 = rondo.read %x[%t] : tensor<?xf32> -> f32
    rondo.yield %0 : f32
  }
  rondo.return %y : tensor<f32>
}
