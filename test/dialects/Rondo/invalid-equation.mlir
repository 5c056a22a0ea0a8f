// One case per labelled constraint, named by the label; see Spec.md. Where the
// custom form can't express the mistake, the generic form does.
// RUN: rondo-opt %s --split-input-file --verify-diagnostics

rondo.kernel @equation_c1 sizes ["T"] bound [-1] batch []
    inputs []
    outputs [] {
  %T = rondo.size "T"
  // expected-error@+1 {{expects 1 block arguments of type index}}
  %y = "rondo.equation"(%T) <{name = "y", operandSegmentSizes = array<i32: 1, 0, 0>}> ({
    %0 = arith.constant 1.0 : f32
    rondo.yield %0 : f32
  }) : (index) -> tensor<?xf32>
  rondo.return
}

// -----

rondo.kernel @equation_c1_type sizes ["T"] bound [-1] batch []
    inputs []
    outputs [] {
  %T = rondo.size "T"
  // expected-error@+1 {{expects 1 block arguments of type index}}
  %y = "rondo.equation"(%T) <{name = "y", operandSegmentSizes = array<i32: 1, 0, 0>}> ({
  ^bb0(%t: f32):
    rondo.yield %t : f32
  }) : (index) -> tensor<?xf32>
  rondo.return
}

// -----

rondo.kernel @equation_c1_empty sizes ["T"] bound [-1] batch []
    inputs []
    outputs [] {
  %T = rondo.size "T"
  // expected-error@+1 {{expects a non-empty block}}
  %y = "rondo.equation"(%T) <{name = "y", operandSegmentSizes = array<i32: 1, 0, 0>}> ({
  ^bb0(%t: index):
  }) : (index) -> tensor<?xf32>
  rondo.return
}

// -----

rondo.kernel @equation_c1_end sizes ["T"] bound [-1] batch []
    inputs []
    outputs [] {
  %T = rondo.size "T"
  // expected-error@+1 {{expects to end in a rondo.yield of one value}}
  %y = rondo.equation "y" (%t < %T) -> tensor<?xf32> {
    %0 = arith.constant 1.0 : f32
    rondo.yield %0, %0 : f32, f32
  }
  rondo.return
}

// -----

rondo.kernel @equation_c2 sizes ["T"] bound [-1] batch []
    inputs []
    outputs [] {
  %T = rondo.size "T"
  // expected-error@+1 {{expects a result of rank 1, one dim per parallel index, found 'tensor<?x?xf32>'}}
  %y = rondo.equation "y" (%t < %T) -> tensor<?x?xf32> {
    %0 = arith.constant 1.0 : f32
    rondo.yield %0 : f32
  }
  rondo.return
}

// -----

rondo.kernel @equation_c3 sizes ["T"] bound [-1] batch []
    inputs []
    outputs [] {
  %T = rondo.size "T"
  // expected-error@+1 {{has a combiner but no reduction index}}
  %y = rondo.equation "y" (%t < %T) sum () -> tensor<?xf32> {
    %0 = arith.constant 1.0 : f32
    rondo.yield %0 : f32
  }
  rondo.return
}

// -----

rondo.kernel @equation_c3_none sizes ["T"] bound [-1] batch []
    inputs []
    outputs [] {
  %T = rondo.size "T"
  // expected-error@+1 {{has reduction indices but no combiner}}
  %y = "rondo.equation"(%T, %T) <{name = "y", operandSegmentSizes = array<i32: 0, 1, 1>}> ({
  ^bb0(%t: index):
    %0 = arith.constant 1.0 : f32
    rondo.yield %0 : f32
  }) : (index, index) -> tensor<f32>
  rondo.return
}

// -----

rondo.kernel @equation_c3_bounds sizes ["T"] bound [-1] batch []
    inputs []
    outputs [] {
  %T = rondo.size "T"
  // expected-error@+1 {{expects a lower and an upper bound per reduction dim}}
  %y = "rondo.equation"(%T) <{name = "y", operandSegmentSizes = array<i32: 0, 1, 0>}> ({
  ^bb0(%t: index):
    %0 = arith.constant 1.0 : f32
    rondo.yield %0 : f32
  }) : (index) -> tensor<f32>
  rondo.return
}

// -----

rondo.kernel @equation_c4 sizes ["T"] bound [-1] batch []
    inputs []
    outputs [] {
  %T = rondo.size "T"
  %y = rondo.equation "y" (%t < %T) -> tensor<?xf32> {
    // expected-error@+1 {{gives 'index' for a tensor of 'f32'}}
    rondo.yield %t : index
  }
  rondo.return
}

// -----

rondo.kernel @equation_c4_numbers sizes ["T"] bound [-1] batch []
    inputs []
    outputs [] {
  %T = rondo.size "T"
  %y = rondo.equation "y" () any (%t = %T to %T) -> tensor<f32> {
    %0 = arith.constant 1.0 : f32
    // expected-error@+1 {{gives 'f32' to a reduction by any, which expects conditions}}
    rondo.yield %0 : f32
  }
  rondo.return
}

// -----

rondo.kernel @equation_c4_conditions sizes ["T"] bound [-1] batch []
    inputs []
    outputs [] {
  %T = rondo.size "T"
  %y = rondo.equation "y" () sum (%t = %T to %T) -> tensor<i1> {
    %0 = arith.constant true
    // expected-error@+1 {{gives 'i1' to a reduction by sum, which expects numbers}}
    rondo.yield %0 : i1
  }
  rondo.return
}

// -----

rondo.kernel @equation_c5 sizes ["T"] bound [-1] batch []
    inputs []
    outputs [] {
  %T = rondo.size "T"
  %y = rondo.equation "y" (%t < %T) -> tensor<?xf32> {
    %0 = arith.constant 1.0 : f32
    %1 = arith.cmpi slt, %t, %T : index
    // expected-error@+1 {{has a filter, but the equation no combiner}}
    rondo.yield %0 where %1 : f32
  }
  rondo.return
}

// -----

rondo.kernel @read_c1 sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>]
    outputs [] {
^bb0(%x: tensor<?xf32>):
  %T = rondo.size "T"
  %y = rondo.equation "y" (%t < %T) -> tensor<?xf32> {
    // expected-error@+1 {{expects 1 subscripts for 'tensor<?xf32>', found 2}}
    %0 = rondo.read %x[%t, %t] : tensor<?xf32> -> f32
    rondo.yield %0 : f32
  }
  rondo.return
}

// -----

rondo.kernel @read_c2 sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>]
    outputs [] {
^bb0(%x: tensor<?xf32>):
  %T = rondo.size "T"
  %y = rondo.equation "y" (%t < %T) -> tensor<?xf32> {
    // expected-error@+1 {{expects 1 fallback subscripts for 'tensor<?xf32>', found 0}}
    %0 = rondo.read %x[%t] else %x[] : tensor<?xf32>, tensor<?xf32> -> f32
    rondo.yield %0 : f32
  }
  rondo.return
}

// -----

rondo.kernel @read_c3 sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>]
    outputs [] {
^bb0(%x: tensor<?xf32>):
  %T = rondo.size "T"
  %y = rondo.equation "y" (%t < %T) -> tensor<?xf32> {
    // expected-error@+1 {{gives 'index' from a tensor of 'f32'}}
    %0 = rondo.read %x[%t] : tensor<?xf32> -> index
    %1 = arith.constant 1.0 : f32
    rondo.yield %1 : f32
  }
  rondo.return
}

// -----

rondo.kernel @read_c3_fallback sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>]
    outputs [] {
^bb0(%x: tensor<?xf32>):
  %T = rondo.size "T"
  %z = rondo.equation "z" (%t < %T) -> tensor<?xindex> {
    rondo.yield %t : index
  }
  %y = rondo.equation "y" (%t < %T) -> tensor<?xf32> {
    // expected-error@+1 {{gives 'f32' from a tensor of 'index'}}
    %0 = rondo.read %x[%t] else %z[%t] : tensor<?xf32>, tensor<?xindex> -> f32
    rondo.yield %0 : f32
  }
  rondo.return
}

// -----

rondo.kernel @gather_c1 sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>]
    outputs [] {
^bb0(%x: tensor<?xf32>):
  %T = rondo.size "T"
  %y = rondo.equation "y" (%t < %T) -> tensor<?xf32> {
    // expected-error@+1 {{expects 1 subscripts for 'tensor<?xf32>', found 0}}
    %0 = rondo.gather %x[] "x" at [0] : tensor<?xf32> -> f32
    rondo.yield %0 : f32
  }
  rondo.return
}

// -----

rondo.kernel @gather_c2 sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>]
    outputs [] {
^bb0(%x: tensor<?xf32>):
  %T = rondo.size "T"
  %y = rondo.equation "y" (%t < %T) -> tensor<?xf32> {
    // expected-error@+1 {{expects 1 fallback subscripts for 'tensor<?xf32>', found 0}}
    %0 = rondo.gather %x[%t] else %x[] "x" at [0] : tensor<?xf32>, tensor<?xf32> -> f32
    rondo.yield %0 : f32
  }
  rondo.return
}

// -----

rondo.kernel @gather_c3 sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>]
    outputs [] {
^bb0(%x: tensor<?xf32>):
  %T = rondo.size "T"
  %y = rondo.equation "y" (%t < %T) -> tensor<?xf32> {
    // expected-error@+1 {{gives 'i1' from a tensor of 'f32'}}
    %0 = rondo.gather %x[%t] "x" at [0] : tensor<?xf32> -> i1
    %1 = arith.constant 1.0 : f32
    rondo.yield %1 : f32
  }
  rondo.return
}

// -----

rondo.kernel @gather_c4 sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>]
    outputs [] {
^bb0(%x: tensor<?xf32>):
  %T = rondo.size "T"
  %y = rondo.equation "y" (%t < %T) -> tensor<?xf32> {
    // expected-error@+1 {{expects increasing dims of 'tensor<?xf32>' where subscripts are data, found 1}}
    %0 = rondo.gather %x[%t] "x" at [0, 1] : tensor<?xf32> -> f32
    rondo.yield %0 : f32
  }
  rondo.return
}

// -----

rondo.kernel @gather_c4_none sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>]
    outputs [] {
^bb0(%x: tensor<?xf32>):
  %T = rondo.size "T"
  %y = rondo.equation "y" (%t < %T) -> tensor<?xf32> {
    // expected-error@+1 {{expects a dim where a subscript is data}}
    %0 = rondo.gather %x[%t] "x" at [] : tensor<?xf32> -> f32
    rondo.yield %0 : f32
  }
  rondo.return
}

// -----

rondo.kernel @grad_c1 sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>]
    outputs [] {
^bb0(%x: tensor<?xf32>):
  %T = rondo.size "T"
  %y = rondo.equation "y" (%t < %T) -> tensor<?xf32> {
    %0 = rondo.read %x[%t] : tensor<?xf32> -> f32
    %1 = arith.mulf %0, %0 : f32
    // expected-error@+1 {{expects the variable to be the result of a rondo.read}}
    %2 = rondo.grad %0 wrt %1 : f32
    rondo.yield %2 : f32
  }
  rondo.return
}
