// RUN: rondo-opt %s --split-input-file --rondo-to-newton=window=8 --canonicalize --cse | FileCheck %s
// RUN: not rondo-opt %s --split-input-file --rondo-to-newton=required 2>&1 | FileCheck %s --check-prefix=REQUIRED
// RUN: not rondo-opt %s --split-input-file --rondo-to-newton=window=0 2>&1 | FileCheck %s --check-prefix=WINDOW
// RUN: rondo-opt %s --split-input-file --rondo-to-newton="window=8 count" --canonicalize --cse | FileCheck %s --check-prefix=COUNT
// WINDOW: expects windows of at least one step and at least one iteration, found 0 and 12

// h[t, d] = tanh(a[d] h[t-1, d] + x[t, d])
// CHECK-LABEL: rondo.kernel @diagonal
// CHECK: %[[WINDOWS:.*]] = arith.floordivsi %{{.*}}, %c8
// CHECK: %[[H:.*]]:3 = rondo.recurrence along(%[[WINDOWS]]) reversed [false] members ["h", "h.window"]
// CHECK:   %[[START:.*]] = rondo.equation "h.start"
// CHECK:   %[[GUESS:.*]] = rondo.equation "h.guess"
// CHECK:     math.tanh
// CHECK:   %[[X:.*]]:2 = rondo.iterate from(%[[GUESS]]) bound 12 tolerance 9.5367431640625E-7
// CHECK:   ^bb0(%[[NOW:.*]]: tensor<?x?xf32>):
// CHECK:     %[[DEFECT:.*]] = rondo.equation "h.defect"
// The derivative, (1 - tanh^2) a; 1 behind the end of the sequence.
// CHECK:     %[[BY:.*]] = rondo.equation "h.by.h"
// CHECK:       %[[TANH:.*]] = math.tanh
// CHECK:       %[[SQUARE:.*]] = arith.mulf %[[TANH]], %[[TANH]]
// CHECK:       %[[SLOPE:.*]] = arith.subf %{{.*}}, %[[SQUARE]]
// CHECK:       %[[PRODUCT:.*]] = arith.mulf {{.*}}%[[SLOPE]]
// CHECK:       arith.select %{{.*}}, %[[PRODUCT]], %{{.*}}
// The recurrence that is left is linear.
// CHECK:     rondo.recurrence along(%c8) reversed [false] members ["h.correction"]
// CHECK-NOT:   math.tanh
// CHECK:     rondo.equation "h.next"
// CHECK:     rondo.equation "h.residual" {{.*}}max
// CHECK:   } otherwise {
// CHECK:     rondo.recurrence along(%c8) reversed [false] members ["h.steps"]
// CHECK:       math.tanh
// CHECK: rondo.equation "h"
// CHECK:   rondo.mod
// COUNT: outputs [{{.*}}#rondo.tensor<"h.iterations", result, i64, ()[s0, s1] -> (s0)>]
rondo.kernel @diagonal sizes ["T", "D"] bound [-1, -1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T, D] -> (T, D)>,
            #rondo.tensor<"a", argument, f32, ()[T, D] -> (D)>,
            #rondo.tensor<"h.initial", initial, f32, ()[T, D] -> (D)>]
    outputs [#rondo.tensor<"h", result, f32, ()[T, D] -> (T, D)>] {
^bb0(%x: tensor<?x?xf32>, %a: tensor<?xf32>, %given: tensor<?xf32>):
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  %T = rondo.size "T"
  %D = rondo.size "D"
  %declared = rondo.equation "h.declared" (%d < %D) -> tensor<?xf32> {
    rondo.yield %zero : f32
  }
  %h0 = rondo.initial %given else %declared : tensor<?xf32>, tensor<?xf32>
  %h:2 = rondo.recurrence along(%T) reversed [false] members ["h"] initial(%h0) batch 0
      : (index, tensor<?xf32>) -> (tensor<?x?xf32>, tensor<?xf32>) {
  ^bb0(%t: index, %past: tensor<?x?xf32>):
    %before = arith.subi %t, %c1 : index
    %next = rondo.equation "h" (%d < %D) -> tensor<?xf32> {
      %0 = rondo.read %past[%before, %d] else %h0[%d] : tensor<?x?xf32>, tensor<?xf32> -> f32
      %1 = rondo.read %a[%d] : tensor<?xf32> -> f32
      %2 = arith.mulf %1, %0 : f32
      %3 = rondo.read %x[%t, %d] : tensor<?x?xf32> -> f32
      %4 = arith.addf %2, %3 : f32
      %5 = math.tanh %4 : f32
      rondo.yield %5 : f32
    }
    rondo.yield %next : tensor<?xf32>
  }
  rondo.return %h#0 : tensor<?x?xf32>
}

// -----

// A comparison with the past: no useful derivative.
// CHECK-LABEL: rondo.kernel @threshold
// CHECK-NOT: rondo.iterate
// REQUIRED: 'threshold' has no Newton form ('h': 'h' compares old values: a step has no useful derivative); compile it with --form=sequential
rondo.kernel @threshold sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>,
            #rondo.tensor<"h.initial", initial, f32, ()[T] -> ()>]
    outputs [#rondo.tensor<"h", result, f32, ()[T] -> (T)>] {
^bb0(%x: tensor<?xf32>, %given: tensor<f32>):
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %T = rondo.size "T"
  %declared = rondo.equation "h.declared" () -> tensor<f32> {
    rondo.yield %zero : f32
  }
  %h0 = rondo.initial %given else %declared : tensor<f32>, tensor<f32>
  %h:2 = rondo.recurrence along(%T) reversed [false] members ["h"] initial(%h0) batch 0
      : (index, tensor<f32>) -> (tensor<?xf32>, tensor<f32>) {
  ^bb0(%t: index, %past: tensor<?xf32>):
    %before = arith.subi %t, %c1 : index
    %next = rondo.equation "h" () -> tensor<f32> {
      %0 = rondo.read %past[%before] else %h0[] : tensor<?xf32>, tensor<f32> -> f32
      %1 = rondo.read %x[%t] : tensor<?xf32> -> f32
      %2 = arith.cmpf olt, %0, %one : f32
      %3 = arith.addf %0, %1 : f32
      %4 = arith.select %2, %3, %zero : f32
      rondo.yield %4 : f32
    }
    rondo.yield %next : tensor<f32>
  }
  rondo.return %h#0 : tensor<?xf32>
}
