// Recurrences: one step after the other.
// RUN: rondo-eval %s | FileCheck %s

// h[t] = a[t] * h[t-1], from 1.
// CHECK-LABEL: @forward
// CHECK-NEXT: h: [4] 2 6 24 120
// CHECK-NEXT: h.final: [] 120
rondo.kernel @forward sizes ["T"] bound [-1] batch [] time "T"
    inputs [#rondo.tensor<"a", argument, f32, ()[T] -> (T)>,
            #rondo.tensor<"h.initial", initial, f32, ()[T] -> ()>]
    outputs [#rondo.tensor<"h", result, f32, ()[T] -> (T)>,
             #rondo.tensor<"h.final", final, f32, ()[T] -> ()>]
    attributes {rondo.test_inputs = {a = dense<[2.0, 3.0, 4.0, 5.0]> : tensor<4xf32>}} {
^bb0(%a: tensor<?xf32>, %given: tensor<f32>):
  %T = rondo.size "T"
  %zero = rondo.equation "h.declared" () -> tensor<f32> {
    %0 = arith.constant 1.0 : f32
    rondo.yield %0 : f32
  }
  %h0 = rondo.initial %given else %zero : tensor<f32>, tensor<f32>
  %h:2 = rondo.recurrence along (%T) reversed [false] members ["h"] initial (%h0) batch 0
      : (index, tensor<f32>) -> (tensor<?xf32>, tensor<f32>) {
  ^bb0(%t: index, %past: tensor<?xf32>):
    %c1 = arith.constant 1 : index
    %before = arith.subi %t, %c1 : index
    %next = rondo.equation "h" () -> tensor<f32> {
      %0 = rondo.read %a[%t] : tensor<?xf32> -> f32
      %1 = rondo.read %past[%before] else %h0[] : tensor<?xf32>, tensor<f32> -> f32
      %2 = arith.mulf %0, %1 : f32
      rondo.yield %2 : f32
    }
    rondo.yield %next : tensor<f32>
  }
  rondo.return %h#0, %h#1 : tensor<?xf32>, tensor<f32>
}

// h[t] = a[t] * h[t+1]: runs from the end, the final value is the one at 0.
// CHECK-LABEL: @backward
// CHECK-NEXT: h: [4] 120 60 20 5
// CHECK-NEXT: h.final: [] 120
rondo.kernel @backward sizes ["T"] bound [-1] batch [] time "T"
    inputs [#rondo.tensor<"a", argument, f32, ()[T] -> (T)>,
            #rondo.tensor<"h.initial", initial, f32, ()[T] -> ()>]
    outputs [#rondo.tensor<"h", result, f32, ()[T] -> (T)>,
             #rondo.tensor<"h.final", final, f32, ()[T] -> ()>]
    attributes {rondo.test_inputs = {a = dense<[2.0, 3.0, 4.0, 5.0]> : tensor<4xf32>}} {
^bb0(%a: tensor<?xf32>, %given: tensor<f32>):
  %T = rondo.size "T"
  %zero = rondo.equation "h.declared" () -> tensor<f32> {
    %0 = arith.constant 1.0 : f32
    rondo.yield %0 : f32
  }
  %h0 = rondo.initial %given else %zero : tensor<f32>, tensor<f32>
  %h:2 = rondo.recurrence along (%T) reversed [true] members ["h"] initial (%h0) batch 0
      : (index, tensor<f32>) -> (tensor<?xf32>, tensor<f32>) {
  ^bb0(%t: index, %past: tensor<?xf32>):
    %c1 = arith.constant 1 : index
    %before = arith.addi %t, %c1 : index
    %next = rondo.equation "h" () -> tensor<f32> {
      %0 = rondo.read %a[%t] : tensor<?xf32> -> f32
      %1 = rondo.read %past[%before] else %h0[] : tensor<?xf32>, tensor<f32> -> f32
      %2 = arith.mulf %0, %1 : f32
      rondo.yield %2 : f32
    }
    rondo.yield %next : tensor<f32>
  }
  rondo.return %h#0, %h#1 : tensor<?xf32>, tensor<f32>
}

// No step: the final value is the initial one.
// CHECK-LABEL: @no_step
// CHECK-NEXT: h: [0]{{$}}
// CHECK-NEXT: h.final: [] 1
rondo.kernel @no_step sizes ["T"] bound [-1] batch [] time "T"
    inputs [#rondo.tensor<"a", argument, f32, ()[T] -> (T)>,
            #rondo.tensor<"h.initial", initial, f32, ()[T] -> ()>]
    outputs [#rondo.tensor<"h", result, f32, ()[T] -> (T)>,
             #rondo.tensor<"h.final", final, f32, ()[T] -> ()>]
    attributes {rondo.test_inputs = {a = dense<> : tensor<0xf32>}} {
^bb0(%a: tensor<?xf32>, %given: tensor<f32>):
  %T = rondo.size "T"
  %zero = rondo.equation "h.declared" () -> tensor<f32> {
    %0 = arith.constant 1.0 : f32
    rondo.yield %0 : f32
  }
  %h0 = rondo.initial %given else %zero : tensor<f32>, tensor<f32>
  %h:2 = rondo.recurrence along (%T) reversed [false] members ["h"] initial (%h0) batch 0
      : (index, tensor<f32>) -> (tensor<?xf32>, tensor<f32>) {
  ^bb0(%t: index, %past: tensor<?xf32>):
    %c1 = arith.constant 1 : index
    %before = arith.subi %t, %c1 : index
    %next = rondo.equation "h" () -> tensor<f32> {
      %0 = rondo.read %a[%t] : tensor<?xf32> -> f32
      %1 = rondo.read %past[%before] else %h0[] : tensor<?xf32>, tensor<f32> -> f32
      %2 = arith.mulf %0, %1 : f32
      rondo.yield %2 : f32
    }
    rondo.yield %next : tensor<f32>
  }
  rondo.return %h#0, %h#1 : tensor<?xf32>, tensor<f32>
}

// h[t] = a[t] * h[t-1] + h[t-2].
// CHECK-LABEL: @lags
// CHECK-NEXT: h: [4] 2 3 5 23
// CHECK-NEXT: h.final: [] 23
rondo.kernel @lags sizes ["T"] bound [-1] batch [] time "T"
    inputs [#rondo.tensor<"a", argument, f32, ()[T] -> (T)>,
            #rondo.tensor<"h.initial", initial, f32, ()[T] -> ()>]
    outputs [#rondo.tensor<"h", result, f32, ()[T] -> (T)>,
             #rondo.tensor<"h.final", final, f32, ()[T] -> ()>]
    attributes {rondo.test_inputs = {a = dense<[1.0, 1.0, 1.0, 4.0]> : tensor<4xf32>}} {
^bb0(%a: tensor<?xf32>, %given: tensor<f32>):
  %T = rondo.size "T"
  %zero = rondo.equation "h.declared" () -> tensor<f32> {
    %0 = arith.constant 1.0 : f32
    rondo.yield %0 : f32
  }
  %h0 = rondo.initial %given else %zero : tensor<f32>, tensor<f32>
  %h:2 = rondo.recurrence along (%T) reversed [false] members ["h"] initial (%h0) batch 0
      : (index, tensor<f32>) -> (tensor<?xf32>, tensor<f32>) {
  ^bb0(%t: index, %past: tensor<?xf32>):
    %c1 = arith.constant 1 : index
    %c2 = arith.constant 2 : index
    %before = arith.subi %t, %c1 : index
    %older = arith.subi %t, %c2 : index
    %next = rondo.equation "h" () -> tensor<f32> {
      %0 = rondo.read %a[%t] : tensor<?xf32> -> f32
      %1 = rondo.read %past[%before] else %h0[] : tensor<?xf32>, tensor<f32> -> f32
      %2 = rondo.read %past[%older] else %h0[] : tensor<?xf32>, tensor<f32> -> f32
      %3 = arith.mulf %0, %1 : f32
      %4 = arith.addf %3, %2 : f32
      rondo.yield %4 : f32
    }
    rondo.yield %next : tensor<f32>
  }
  rondo.return %h#0, %h#1 : tensor<?xf32>, tensor<f32>
}

// h[t] = h[t-1] + a[t] * h[t - t mod 2 - 1]: frozen at the end of the block before.
// CHECK-LABEL: @blocks
// CHECK-NEXT: h: [6] 2 3 6 9 18 27
// CHECK-NEXT: h.final: [] 27
rondo.kernel @blocks sizes ["T"] bound [-1] batch [] time "T"
    inputs [#rondo.tensor<"a", argument, f32, ()[T] -> (T)>,
            #rondo.tensor<"h.initial", initial, f32, ()[T] -> ()>]
    outputs [#rondo.tensor<"h", result, f32, ()[T] -> (T)>,
             #rondo.tensor<"h.final", final, f32, ()[T] -> ()>]
    attributes {rondo.test_inputs = {a = dense<1.0> : tensor<6xf32>}} {
^bb0(%a: tensor<?xf32>, %given: tensor<f32>):
  %T = rondo.size "T"
  %zero = rondo.equation "h.declared" () -> tensor<f32> {
    %0 = arith.constant 1.0 : f32
    rondo.yield %0 : f32
  }
  %h0 = rondo.initial %given else %zero : tensor<f32>, tensor<f32>
  %h:2 = rondo.recurrence along (%T) reversed [false] members ["h"] initial (%h0) batch 0
      : (index, tensor<f32>) -> (tensor<?xf32>, tensor<f32>) {
  ^bb0(%t: index, %past: tensor<?xf32>):
    %c1 = arith.constant 1 : index
    %c2 = arith.constant 2 : index
    %before = arith.subi %t, %c1 : index
    %inside = rondo.mod %t, %c2
    %start = arith.subi %t, %inside : index
    %frozen = arith.subi %start, %c1 : index
    %next = rondo.equation "h" () -> tensor<f32> {
      %0 = rondo.read %a[%t] : tensor<?xf32> -> f32
      %1 = rondo.read %past[%before] else %h0[] : tensor<?xf32>, tensor<f32> -> f32
      %2 = rondo.read %past[%frozen] else %h0[] : tensor<?xf32>, tensor<f32> -> f32
      %3 = arith.mulf %0, %2 : f32
      %4 = arith.addf %1, %3 : f32
      rondo.yield %4 : f32
    }
    rondo.yield %next : tensor<f32>
  }
  rondo.return %h#0, %h#1 : tensor<?xf32>, tensor<f32>
}

// A point that is not computed yet is not a number.
// h[t] = a[t] * h[t+1], run forward: a program that the frontend refuses.
// CHECK-LABEL: @future
// CHECK-NEXT: h: [2] nan 1
// CHECK-NEXT: h.final: [] 1
rondo.kernel @future sizes ["T"] bound [-1] batch [] time "T"
    inputs [#rondo.tensor<"a", argument, f32, ()[T] -> (T)>,
            #rondo.tensor<"h.initial", initial, f32, ()[T] -> ()>]
    outputs [#rondo.tensor<"h", result, f32, ()[T] -> (T)>,
             #rondo.tensor<"h.final", final, f32, ()[T] -> ()>]
    attributes {rondo.test_inputs = {a = dense<1.0> : tensor<2xf32>}} {
^bb0(%a: tensor<?xf32>, %given: tensor<f32>):
  %T = rondo.size "T"
  %zero = rondo.equation "h.declared" () -> tensor<f32> {
    %0 = arith.constant 1.0 : f32
    rondo.yield %0 : f32
  }
  %h0 = rondo.initial %given else %zero : tensor<f32>, tensor<f32>
  %h:2 = rondo.recurrence along (%T) reversed [false] members ["h"] initial (%h0) batch 0
      : (index, tensor<f32>) -> (tensor<?xf32>, tensor<f32>) {
  ^bb0(%t: index, %past: tensor<?xf32>):
    %c1 = arith.constant 1 : index
    %before = arith.addi %t, %c1 : index
    %next = rondo.equation "h" () -> tensor<f32> {
      %0 = rondo.read %a[%t] : tensor<?xf32> -> f32
      %1 = rondo.read %past[%before] else %h0[] : tensor<?xf32>, tensor<f32> -> f32
      %2 = arith.mulf %0, %1 : f32
      rondo.yield %2 : f32
    }
    rondo.yield %next : tensor<f32>
  }
  rondo.return %h#0, %h#1 : tensor<?xf32>, tensor<f32>
}
