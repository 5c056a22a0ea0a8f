// Facts and plans print as they were read; wrong ones are refused.
// RUN: rondo-opt %s --split-input-file --verify-diagnostics | FileCheck %s

// CHECK-LABEL: rondo.kernel @plan
// CHECK: rondo.facts = #rondo.facts<along = ["T"], kind = diagonal, states = [#rondo.state<name = "h", kind = diagonal, decay = unit, decay_dims = [0], write = outer, write_rank = 1, reads = "after|bonus", contracts = [0]>]>
// CHECK-SAME: rondo.plan = #rondo.plan<form = chunked, chunk = 64, sub_block = 16, tile = [8, 32], threads = 2>
rondo.kernel @plan sizes ["T", "D"] bound [-1, -1] batch [] time "T"
    inputs [#rondo.tensor<"a", argument, f32, ()[T, D] -> (T, D)>]
    outputs [#rondo.tensor<"h", result, f32, ()[T, D] -> (T, D)>] {
^bb0(%a: tensor<?x?xf32>):
  %T = rondo.size "T"
  %D = rondo.size "D"
  %zero = arith.constant 0.0 : f32
  %h0 = rondo.equation "h.start" (%d < %D) -> tensor<?xf32> {
    rondo.yield %zero : f32
  }
  %h:2 = rondo.recurrence along (%T) reversed [false] members ["h"] initial (%h0) batch 0
      {rondo.facts = #rondo.facts<along = ["T"], kind = diagonal, states = [
         #rondo.state<name = "h", kind = diagonal, decay = unit, decay_dims = [0], write = outer, write_rank = 1, reads = "after|bonus", contracts = [0]>]>,
       rondo.plan = #rondo.plan<form = chunked, chunk = 64, sub_block = 16, tile = [8, 32], threads = 2>}
      : (index, tensor<?xf32>) -> (tensor<?x?xf32>, tensor<?xf32>) {
  ^bb0(%t: index, %past: tensor<?x?xf32>):
    %c1 = arith.constant 1 : index
    %before = arith.subi %t, %c1 : index
    %next = rondo.equation "h" (%d < %D) -> tensor<?xf32> {
      %0 = rondo.read %a[%t, %d] : tensor<?x?xf32> -> f32
      %1 = rondo.read %past[%before, %d] else %h0[%d] : tensor<?x?xf32>, tensor<?xf32> -> f32
      %2 = arith.mulf %0, %1 : f32
      rondo.yield %2 : f32
    }
    rondo.yield %next : tensor<?xf32>
  }
  rondo.return %h#0 : tensor<?x?xf32>
}

// -----

// expected-error @below {{expects no chunk: the form sequential has none}}
module attributes {a = #rondo.plan<form = sequential, chunk = 16>} {}

// -----

// expected-error @below {{expects a chunk that sub-blocks of 16 steps divide, found 40}}
module attributes {a = #rondo.plan<form = chunked, chunk = 40, sub_block = 16>} {}

// -----

// expected-error @below {{expects a sub_block only with the form chunked}}
module attributes {a = #rondo.plan<form = scan, sub_block = 16>} {}

// -----

// expected-error @below {{expects no negative number}}
module attributes {a = #rondo.plan<form = tiled, tile = [-1]>} {}

// -----

// expected-error @below {{expects a rank exactly with the kind diagonal_low_rank}}
module attributes {a = #rondo.state<name = "S", kind = scalar, rank = 1>} {}

// -----

// expected-error @below {{expects a write_rank exactly with write = outer}}
module attributes {a = #rondo.state<name = "S", kind = scalar, write = outer>} {}

// -----

// expected-error @below {{expects lists of different numbers, none negative, in ascending order}}
module attributes {a = #rondo.state<name = "S", kind = scalar, decay_dims = [1, 0]>} {}

// -----

// expected-error @below {{expects a jacobian_block exactly with jacobian = blocks}}
module attributes {a = #rondo.facts<along = ["T"], kind = nonlinear, jacobian = blocks, states = []>} {}

// -----

// expected-error @below {{rondo.plan is a #rondo.plan of a recurrence, a scan, an attention or an equation}}
module attributes {rondo.plan = #rondo.plan<form = sequential>} {}

// -----

// expected-error @below {{rondo.facts is a #rondo.facts of a recurrence}}
module attributes {rondo.facts = #rondo.facts<along = [], kind = scalar, states = []>} {}
