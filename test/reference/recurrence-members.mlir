// Recurrences over two dims, with several members, with batch dims.
// RUN: rondo-eval %s | FileCheck %s

// Paths in a grid: h[y, x] = h[y-1, x] + h[y, x-1], 1 at the border.
// CHECK-LABEL: @grid
// CHECK-NEXT: h: [3, 3] 2 3 4 3 6 10 4 10 20
// CHECK-NEXT: h.final: [] 20
rondo.kernel @grid sizes ["Y", "X"] bound [3, 3] batch [] inputs []
    outputs [#rondo.tensor<"h", result, f32, ()[Y, X] -> (Y, X)>,
             #rondo.tensor<"h.final", result, f32, ()[Y, X] -> ()>] {
  %Y = rondo.size "Y"
  %X = rondo.size "X"
  %c1 = arith.constant 1 : index
  %h0 = rondo.equation "h.declared" () -> tensor<f32> {
    %0 = arith.constant 1.0 : f32
    rondo.yield %0 : f32
  }
  %h:2 = rondo.recurrence along (%Y, %X) reversed [false, false] members ["h"] initial (%h0) batch 0
      : (index, index, tensor<f32>) -> (tensor<?x?xf32>, tensor<f32>) {
  ^bb0(%y: index, %x: index, %past: tensor<?x?xf32>):
    %above = arith.subi %y, %c1 : index
    %left = arith.subi %x, %c1 : index
    %next = rondo.equation "h" () -> tensor<f32> {
      %0 = rondo.read %past[%above, %x] else %h0[] : tensor<?x?xf32>, tensor<f32> -> f32
      %1 = rondo.read %past[%y, %left] else %h0[] : tensor<?x?xf32>, tensor<f32> -> f32
      %2 = arith.addf %0, %1 : f32
      rondo.yield %2 : f32
    }
    rondo.yield %next : tensor<f32>
  }
  rondo.return %h#0, %h#1 : tensor<?x?xf32>, tensor<f32>
}

// The second dim runs backward: h[y, x] = 10 h[y, x+1] + h[y-1, x] + 1, 0 before.
// CHECK-LABEL: @half_reversed
// CHECK-NEXT: h: [2, 2] 11 1 32 2
// CHECK-NEXT: h.final: [] 32
rondo.kernel @half_reversed sizes ["Y", "X"] bound [2, 2] batch [] inputs []
    outputs [#rondo.tensor<"h", result, f32, ()[Y, X] -> (Y, X)>,
             #rondo.tensor<"h.final", result, f32, ()[Y, X] -> ()>] {
  %Y = rondo.size "Y"
  %X = rondo.size "X"
  %c1 = arith.constant 1 : index
  %one = arith.constant 1.0 : f32
  %ten = arith.constant 10.0 : f32
  %h0 = rondo.equation "h.declared" () -> tensor<f32> {
    %0 = arith.constant 0.0 : f32
    rondo.yield %0 : f32
  }
  %h:2 = rondo.recurrence along (%Y, %X) reversed [false, true] members ["h"] initial (%h0) batch 0
      : (index, index, tensor<f32>) -> (tensor<?x?xf32>, tensor<f32>) {
  ^bb0(%y: index, %x: index, %past: tensor<?x?xf32>):
    %above = arith.subi %y, %c1 : index
    %right = arith.addi %x, %c1 : index
    %next = rondo.equation "h" () -> tensor<f32> {
      %0 = rondo.read %past[%above, %x] else %h0[] : tensor<?x?xf32>, tensor<f32> -> f32
      %1 = rondo.read %past[%y, %right] else %h0[] : tensor<?x?xf32>, tensor<f32> -> f32
      %2 = arith.mulf %1, %ten : f32
      %3 = arith.addf %0, %2 : f32
      %4 = arith.addf %3, %one : f32
      rondo.yield %4 : f32
    }
    rondo.yield %next : tensor<f32>
  }
  rondo.return %h#0, %h#1 : tensor<?x?xf32>, tensor<f32>
}

// A batch dim stands before time in the history. Two states and a local; the
// local's own past is 0 before the start:
//   u[b, t] = a[b, t] + u[b, t-1]
//   p[b, t] = q[b, t-1] + u[b, t]
//   q[b, t] = p[b, t]
// CHECK-LABEL: @members
// CHECK-NEXT: p: [2, 3] 101 103 106 110 130 160
// CHECK-NEXT: u: [2, 3] 1 2 3 10 20 30
// CHECK-NEXT: q.final: [2] 106 160
rondo.kernel @members sizes ["B", "T"] bound [-1, -1] batch ["B"] time "T"
    inputs [#rondo.tensor<"a", argument, f32, ()[B, T] -> (B, T)>,
            #rondo.tensor<"q.initial", initial, f32, ()[B, T] -> (B)>]
    outputs [#rondo.tensor<"p", result, f32, ()[B, T] -> (B, T)>,
             #rondo.tensor<"u", result, f32, ()[B, T] -> (B, T)>,
             #rondo.tensor<"q.final", final, f32, ()[B, T] -> (B)>]
    attributes {rondo.test_inputs = {a = dense<[[1.0, 1.0, 1.0], [10.0, 10.0, 10.0]]> : tensor<2x3xf32>}} {
^bb0(%a: tensor<?x?xf32>, %given: tensor<?xf32>):
  %B = rondo.size "B"
  %T = rondo.size "T"
  %c1 = arith.constant 1 : index
  %p0 = rondo.equation "p.declared" (%b < %B) -> tensor<?xf32> {
    %0 = arith.constant 0.0 : f32
    rondo.yield %0 : f32
  }
  %hundred = rondo.equation "q.declared" (%b < %B) -> tensor<?xf32> {
    %0 = arith.constant 100.0 : f32
    rondo.yield %0 : f32
  }
  %q0 = rondo.initial %given else %hundred : tensor<?xf32>, tensor<?xf32>
  %r:5 = rondo.recurrence along (%T) reversed [false] members ["p", "q", "u"] initial (%p0, %q0) batch 1
      : (index, tensor<?xf32>, tensor<?xf32>)
      -> (tensor<?x?xf32>, tensor<?x?xf32>, tensor<?x?xf32>, tensor<?xf32>, tensor<?xf32>) {
  ^bb0(%t: index, %pastP: tensor<?x?xf32>, %pastQ: tensor<?x?xf32>, %pastU: tensor<?x?xf32>):
    %before = arith.subi %t, %c1 : index
    %u = rondo.equation "u" (%b < %B) -> tensor<?xf32> {
      %0 = rondo.read %a[%b, %t] : tensor<?x?xf32> -> f32
      %1 = rondo.read %pastU[%b, %before] : tensor<?x?xf32> -> f32
      %2 = arith.addf %0, %1 : f32
      rondo.yield %2 : f32
    }
    %p = rondo.equation "p" (%b < %B) -> tensor<?xf32> {
      %0 = rondo.read %pastQ[%b, %before] else %q0[%b] : tensor<?x?xf32>, tensor<?xf32> -> f32
      %1 = rondo.read %u[%b] : tensor<?xf32> -> f32
      %2 = arith.addf %0, %1 : f32
      rondo.yield %2 : f32
    }
    rondo.yield %p, %p, %u : tensor<?xf32>, tensor<?xf32>, tensor<?xf32>
  }
  rondo.return %r#0, %r#2, %r#4 : tensor<?x?xf32>, tensor<?x?xf32>, tensor<?xf32>
}
