// One case per labelled constraint, named by the label; see Spec.md. Where the
// custom form can't express the mistake, the generic form does.
// RUN: rondo-opt %s --split-input-file --verify-diagnostics

rondo.kernel @recurrence_c1 sizes ["T"] bound [-1] batch []
    inputs []
    outputs [] {
  %T = rondo.size "T"
  %h0 = rondo.equation "h.declared" () -> tensor<f32> {
    %1 = arith.constant 1.0 : f32
    rondo.yield %1 : f32
  }
  // expected-error@+1 {{expects 1 index arguments and 1 histories, found 1 block arguments}}
  %h:2 = rondo.recurrence along (%T) reversed [false] members ["h"] initial (%h0) batch 0
      : (index, tensor<f32>) -> (tensor<?xf32>, tensor<f32>) {
  ^bb0(%t: index):
    %next = rondo.equation "h" () -> tensor<f32> {
      %1 = arith.constant 1.0 : f32
      rondo.yield %1 : f32
    }
    rondo.yield %next : tensor<f32>
  }
  rondo.return
}

// -----

rondo.kernel @recurrence_c1_index sizes ["T"] bound [-1] batch []
    inputs []
    outputs [] {
  %T = rondo.size "T"
  %h0 = rondo.equation "h.declared" () -> tensor<f32> {
    %1 = arith.constant 1.0 : f32
    rondo.yield %1 : f32
  }
  // expected-error@+1 {{expects block arguments of type index for its along dims}}
  %h:2 = rondo.recurrence along (%T) reversed [false] members ["h"] initial (%h0) batch 0
      : (index, tensor<f32>) -> (tensor<?xf32>, tensor<f32>) {
  ^bb0(%t: i64, %past: tensor<?xf32>):
    %next = rondo.equation "h" () -> tensor<f32> {
      %1 = arith.constant 1.0 : f32
      rondo.yield %1 : f32
    }
    rondo.yield %next : tensor<f32>
  }
  rondo.return
}

// -----

rondo.kernel @recurrence_c1_past sizes ["T"] bound [-1] batch []
    inputs []
    outputs [] {
  %T = rondo.size "T"
  %h0 = rondo.equation "h.declared" () -> tensor<f32> {
    %1 = arith.constant 1.0 : f32
    rondo.yield %1 : f32
  }
  // expected-error@+1 {{expects 'tensor<?xf32>' for the past of 'h', found 'tensor<?xf64>'}}
  %h:2 = rondo.recurrence along (%T) reversed [false] members ["h"] initial (%h0) batch 0
      : (index, tensor<f32>) -> (tensor<?xf32>, tensor<f32>) {
  ^bb0(%t: index, %past: tensor<?xf64>):
    %next = rondo.equation "h" () -> tensor<f32> {
      %1 = arith.constant 1.0 : f32
      rondo.yield %1 : f32
    }
    rondo.yield %next : tensor<f32>
  }
  rondo.return
}

// -----

rondo.kernel @recurrence_c1_yield sizes ["T"] bound [-1] batch []
    inputs []
    outputs [] {
  %T = rondo.size "T"
  %h0 = rondo.equation "h.declared" () -> tensor<f32> {
    %1 = arith.constant 1.0 : f32
    rondo.yield %1 : f32
  }
  // expected-error@+1 {{expects to end in a rondo.yield of one slice per member}}
  %h:2 = rondo.recurrence along (%T) reversed [false] members ["h"] initial (%h0) batch 0
      : (index, tensor<f32>) -> (tensor<?xf32>, tensor<f32>) {
  ^bb0(%t: index, %past: tensor<?xf32>):
    %next = rondo.equation "h" () -> tensor<f32> {
      %1 = arith.constant 1.0 : f32
      rondo.yield %1 : f32
    }
    rondo.yield %next, %next : tensor<f32>, tensor<f32>
  }
  rondo.return
}

// -----

rondo.kernel @recurrence_c2 sizes ["T"] bound [-1] batch []
    inputs []
    outputs [] {
  %T = rondo.size "T"
  %h0 = rondo.equation "h.declared" () -> tensor<f32> {
    %1 = arith.constant 1.0 : f32
    rondo.yield %1 : f32
  }
  // expected-error@+1 {{expects one `reversed` per along dim, found 2 for 1}}
  %h:2 = rondo.recurrence along (%T) reversed [false, true] members ["h"] initial (%h0) batch 0
      : (index, tensor<f32>) -> (tensor<?xf32>, tensor<f32>) {
  ^bb0(%t: index, %past: tensor<?xf32>):
    %next = rondo.equation "h" () -> tensor<f32> {
      %1 = arith.constant 1.0 : f32
      rondo.yield %1 : f32
    }
    rondo.yield %next : tensor<f32>
  }
  rondo.return
}

// -----

rondo.kernel @recurrence_c3 sizes ["T"] bound [-1] batch []
    inputs []
    outputs [] {
  %T = rondo.size "T"
  %h0 = rondo.equation "h.declared" () -> tensor<f32> {
    %1 = arith.constant 1.0 : f32
    rondo.yield %1 : f32
  }
  // expected-error@+1 {{expects a name per initial value, found 0 names and 1 initial values}}
  %h:2 = rondo.recurrence along (%T) reversed [false] members [] initial (%h0) batch 0
      : (index, tensor<f32>) -> (tensor<?xf32>, tensor<f32>) {
  ^bb0(%t: index, %past: tensor<?xf32>):
    %next = rondo.equation "h" () -> tensor<f32> {
      %1 = arith.constant 1.0 : f32
      rondo.yield %1 : f32
    }
    rondo.yield %next : tensor<f32>
  }
  rondo.return
}

// -----

rondo.kernel @recurrence_c3_results sizes ["T"] bound [-1] batch []
    inputs []
    outputs [] {
  %T = rondo.size "T"
  %h0 = rondo.equation "h.declared" () -> tensor<f32> {
    %1 = arith.constant 1.0 : f32
    rondo.yield %1 : f32
  }
  // expected-error@+1 {{expects a history per member and a final value per state, 2 results, found 1}}
  %h = rondo.recurrence along (%T) reversed [false] members ["h"] initial (%h0) batch 0
      : (index, tensor<f32>) -> tensor<?xf32> {
  ^bb0(%t: index, %past: tensor<?xf32>):
    %next = rondo.equation "h" () -> tensor<f32> {
      %1 = arith.constant 1.0 : f32
      rondo.yield %1 : f32
    }
    rondo.yield %next : tensor<f32>
  }
  rondo.return
}

// -----

rondo.kernel @recurrence_c4 sizes ["T"] bound [-1] batch []
    inputs []
    outputs [] {
  %T = rondo.size "T"
  %h0 = rondo.equation "h.declared" () -> tensor<f32> {
    %1 = arith.constant 1.0 : f32
    rondo.yield %1 : f32
  }
  %h:2 = rondo.recurrence along (%T) reversed [false] members ["h"] initial (%h0) batch 0
      : (index, tensor<f32>) -> (tensor<?xf32>, tensor<f32>) {
  ^bb0(%t: index, %past: tensor<?xf32>):
    %next = rondo.equation "h" (%i < %T) -> tensor<?xf32> {
      %1 = arith.constant 1.0 : f32
      rondo.yield %1 : f32
    }
    // expected-error@+1 {{expects a tensor of rank 0 of 'f32' for 'h', found 'tensor<?xf32>'}}
    rondo.yield %next : tensor<?xf32>
  }
  rondo.return
}

// -----

rondo.kernel @recurrence_c4_final sizes ["T"] bound [-1] batch []
    inputs []
    outputs [] {
  %T = rondo.size "T"
  %h0 = rondo.equation "h.declared" () -> tensor<f32> {
    %1 = arith.constant 1.0 : f32
    rondo.yield %1 : f32
  }
  // expected-error@+1 {{expects the final value of 'h' to have the type of its initial value, 'tensor<f32>', found 'tensor<f64>'}}
  %h:2 = rondo.recurrence along (%T) reversed [false] members ["h"] initial (%h0) batch 0
      : (index, tensor<f32>) -> (tensor<?xf32>, tensor<f64>) {
  ^bb0(%t: index, %past: tensor<?xf32>):
    %next = rondo.equation "h" () -> tensor<f32> {
      %1 = arith.constant 1.0 : f32
      rondo.yield %1 : f32
    }
    rondo.yield %next : tensor<f32>
  }
  rondo.return
}

// -----

rondo.kernel @recurrence_c5 sizes ["T"] bound [-1] batch []
    inputs []
    outputs [] {
  %T = rondo.size "T"
  %h0 = rondo.equation "h.declared" () -> tensor<f32> {
    %1 = arith.constant 1.0 : f32
    rondo.yield %1 : f32
  }
  %h:2 = rondo.recurrence along (%T) reversed [false] members ["h"] initial (%h0) batch 0
      : (index, tensor<f32>) -> (tensor<?xf32>, tensor<f32>) {
  ^bb0(%t: index, %past: tensor<?xf32>):
    %next = rondo.equation "h" () -> tensor<f32> {
      // expected-error@+1 {{expects the initial value of state 'h' as its fallback}}
      %1 = rondo.read %past[%t] : tensor<?xf32> -> f32
      rondo.yield %1 : f32
    }
    rondo.yield %next : tensor<f32>
  }
  rondo.return
}

// -----

rondo.kernel @recurrence_c5_local sizes ["T"] bound [-1] batch []
    inputs []
    outputs [] {
  %T = rondo.size "T"
  %h0 = rondo.equation "h.declared" () -> tensor<f32> {
    %1 = arith.constant 1.0 : f32
    rondo.yield %1 : f32
  }
  %h = rondo.recurrence along (%T) reversed [false] members ["h"] initial () batch 0
      : (index) -> tensor<?xf32> {
  ^bb0(%t: index, %past: tensor<?xf32>):
    %next = rondo.equation "h" () -> tensor<f32> {
      // expected-error@+1 {{expects no fallback for local 'h'}}
      %1 = rondo.read %past[%t] else %h0[] : tensor<?xf32>, tensor<f32> -> f32
      rondo.yield %1 : f32
    }
    rondo.yield %next : tensor<f32>
  }
  rondo.return
}

// -----

rondo.kernel @recurrence_c5_gather sizes ["T"] bound [-1] batch []
    inputs []
    outputs [] {
  %T = rondo.size "T"
  %h0 = rondo.equation "h.declared" () -> tensor<f32> {
    %1 = arith.constant 1.0 : f32
    rondo.yield %1 : f32
  }
  %h:2 = rondo.recurrence along (%T) reversed [false] members ["h"] initial (%h0) batch 0
      : (index, tensor<f32>) -> (tensor<?xf32>, tensor<f32>) {
  ^bb0(%t: index, %past: tensor<?xf32>):
    %next = rondo.equation "h" () -> tensor<f32> {
      // expected-error@+1 {{expects the initial value of state 'h' as its fallback}}
      %1 = rondo.gather %past[%t] "h" at [0] : tensor<?xf32> -> f32
      rondo.yield %1 : f32
    }
    rondo.yield %next : tensor<f32>
  }
  rondo.return
}

// -----

rondo.kernel @recurrence_c5_use sizes ["T"] bound [-1] batch []
    inputs []
    outputs [] {
  %T = rondo.size "T"
  %h0 = rondo.equation "h.declared" () -> tensor<f32> {
    %1 = arith.constant 1.0 : f32
    rondo.yield %1 : f32
  }
  %h:2 = rondo.recurrence along (%T) reversed [false] members ["h"] initial (%h0) batch 0
      : (index, tensor<f32>) -> (tensor<?xf32>, tensor<f32>) {
  ^bb0(%t: index, %past: tensor<?xf32>):
    %next = rondo.equation "h" () -> tensor<f32> {
      // expected-error@+1 {{may not use the past of 'h' except to read it}}
      %1 = rondo.read %past[%t] else %past[%t] : tensor<?xf32>, tensor<?xf32> -> f32
      rondo.yield %1 : f32
    }
    rondo.yield %next : tensor<f32>
  }
  rondo.return
}

// -----

rondo.kernel @recurrence_c6 sizes ["T"] bound [-1] batch []
    inputs []
    outputs [] {
  %T = rondo.size "T"
  %h0 = rondo.equation "h.declared" () -> tensor<f32> {
    %1 = arith.constant 1.0 : f32
    rondo.yield %1 : f32
  }
  // expected-error@+1 {{expects at most 0 batch dims because of 'h', found 1}}
  %h:2 = rondo.recurrence along (%T) reversed [false] members ["h"] initial (%h0) batch 1
      : (index, tensor<f32>) -> (tensor<?xf32>, tensor<f32>) {
  ^bb0(%t: index, %past: tensor<?xf32>):
    %next = rondo.equation "h" () -> tensor<f32> {
      %1 = arith.constant 1.0 : f32
      rondo.yield %1 : f32
    }
    rondo.yield %next : tensor<f32>
  }
  rondo.return
}

// -----

rondo.kernel @recurrence_c6_negative sizes ["T"] bound [-1] batch []
    inputs []
    outputs [] {
  %T = rondo.size "T"
  %h0 = rondo.equation "h.declared" () -> tensor<f32> {
    %1 = arith.constant 1.0 : f32
    rondo.yield %1 : f32
  }
  // expected-error@+1 {{expects at most 0 batch dims because of 'h', found -1}}
  %h:2 = rondo.recurrence along (%T) reversed [false] members ["h"] initial (%h0) batch -1
      : (index, tensor<f32>) -> (tensor<?xf32>, tensor<f32>) {
  ^bb0(%t: index, %past: tensor<?xf32>):
    %next = rondo.equation "h" () -> tensor<f32> {
      %1 = arith.constant 1.0 : f32
      rondo.yield %1 : f32
    }
    rondo.yield %next : tensor<f32>
  }
  rondo.return
}

// -----

rondo.kernel @yield_c1 sizes ["T"] bound [-1] batch []
    inputs []
    outputs [] {
  %T = rondo.size "T"
  %h = rondo.recurrence along (%T) reversed [false] members ["h"] initial () batch 0
      : (index) -> tensor<?xf32> {
  ^bb0(%t: index, %past: tensor<?xf32>):
    %next = rondo.equation "h" () -> tensor<f32> {
      %1 = arith.constant 1.0 : f32
      rondo.yield %1 : f32
    }
    %true = arith.constant true
    // expected-error@+1 {{has a filter, but stands in a rondo.recurrence}}
    rondo.yield %next where %true : tensor<f32>
  }
  rondo.return
}
