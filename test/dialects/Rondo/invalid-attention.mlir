// One case per labelled constraint, named by the label; see Spec.md. Where the
// custom form can't express the mistake, the generic form does.
// RUN: rondo-opt %s --split-input-file --verify-diagnostics

rondo.kernel @reduce_c1 sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>]
    outputs [] {
^bb0(%x: tensor<?xf32>):
  %T = rondo.size "T"
  %c0 = arith.constant 0 : index
  %y = rondo.equation "y" (%t < %T) -> tensor<?xf32> {
    // expected-error@+1 {{expects a lower and an upper bound per reduction dim, of which there is at least one}}
    %0 = "rondo.reduce"(%T) <{combiner = 0 : i32, operandSegmentSizes = array<i32: 0, 1>}> ({
    ^bb0(%i: index):
      %2 = arith.constant 1.0 : f32
      rondo.yield %2 : f32
    }) : (index) -> f32
    %1 = arith.constant 1.0 : f32
    rondo.yield %1 : f32
  }
  rondo.return
}

// -----

rondo.kernel @reduce_c1_none sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>]
    outputs [] {
^bb0(%x: tensor<?xf32>):
  %T = rondo.size "T"
  %c0 = arith.constant 0 : index
  %y = rondo.equation "y" (%t < %T) -> tensor<?xf32> {
    // expected-error@+1 {{expects a lower and an upper bound per reduction dim, of which there is at least one}}
    %0 = "rondo.reduce"() <{combiner = 0 : i32, operandSegmentSizes = array<i32: 0, 0>}> ({
      %2 = arith.constant 1.0 : f32
      rondo.yield %2 : f32
    }) : () -> f32
    %1 = arith.constant 1.0 : f32
    rondo.yield %1 : f32
  }
  rondo.return
}

// -----

rondo.kernel @reduce_c1_block sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>]
    outputs [] {
^bb0(%x: tensor<?xf32>):
  %T = rondo.size "T"
  %c0 = arith.constant 0 : index
  %y = rondo.equation "y" (%t < %T) -> tensor<?xf32> {
    // expected-error@+1 {{expects 1 block arguments of type index}}
    %0 = "rondo.reduce"(%c0, %T) <{combiner = 0 : i32, operandSegmentSizes = array<i32: 1, 1>}> ({
      %2 = arith.constant 1.0 : f32
      rondo.yield %2 : f32
    }) : (index, index) -> f32
    %1 = arith.constant 1.0 : f32
    rondo.yield %1 : f32
  }
  rondo.return
}

// -----

rondo.kernel @reduce_c2 sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>]
    outputs [] {
^bb0(%x: tensor<?xf32>):
  %T = rondo.size "T"
  %c0 = arith.constant 0 : index
  %y = rondo.equation "y" (%t < %T) -> tensor<?xf32> {
    // expected-error@+1 {{expects bounds from outside of the rondo.equation around it}}
    %0 = rondo.reduce sum (%i = %c0 to %t) -> f32 {
      %2 = arith.constant 1.0 : f32
      rondo.yield %2 : f32
    }
    %1 = arith.constant 1.0 : f32
    rondo.yield %1 : f32
  }
  rondo.return
}

// -----

rondo.kernel @reduce_c2_nested sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>]
    outputs [] {
^bb0(%x: tensor<?xf32>):
  %T = rondo.size "T"
  %c0 = arith.constant 0 : index
  %y = rondo.equation "y" (%t < %T) -> tensor<?xf32> {
    %0 = rondo.reduce sum (%i = %c0 to %T) -> f32 {
      // expected-error@+1 {{expects bounds from outside of the rondo.equation around it}}
      %2 = rondo.reduce sum (%j = %i to %T) -> f32 {
        %3 = arith.constant 1.0 : f32
        rondo.yield %3 : f32
      }
      rondo.yield %2 : f32
    }
    %1 = arith.constant 1.0 : f32
    rondo.yield %1 : f32
  }
  rondo.return
}

// -----

rondo.kernel @reduce_c3 sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>]
    outputs [] {
^bb0(%x: tensor<?xf32>):
  %T = rondo.size "T"
  %c0 = arith.constant 0 : index
  %y = rondo.equation "y" (%t < %T) -> tensor<?xf32> {
    %0 = rondo.reduce sum (%i = %c0 to %T) -> f32 {
      // expected-error@+1 {{gives 'index' for a result of 'f32'}}
      rondo.yield %i : index
    }
    %1 = arith.constant 1.0 : f32
    rondo.yield %1 : f32
  }
  rondo.return
}

// -----

rondo.kernel @reduce_c3_numbers sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>]
    outputs [] {
^bb0(%x: tensor<?xf32>):
  %T = rondo.size "T"
  %c0 = arith.constant 0 : index
  %y = rondo.equation "y" (%t < %T) -> tensor<?xf32> {
    %0 = rondo.reduce all (%i = %c0 to %T) -> index {
      // expected-error@+1 {{gives 'index' to a reduction by all, which expects conditions}}
      rondo.yield %i : index
    }
    %1 = arith.constant 1.0 : f32
    rondo.yield %1 : f32
  }
  rondo.return
}

// -----

rondo.kernel @attention_c1 sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>]
    outputs [] {
^bb0(%x: tensor<?xf32>):
  %T = rondo.size "T"
  %c0 = arith.constant 0 : index
  // expected-error@+1 {{expects a lower and an upper bound per range, of which there is at least one}}
  %y = rondo.attention "y" softmax sizes (%T) over (%c0, %c0) to (%T) values (%T) -> tensor<?x?xf32>
  score {
  ^bb0(%t: index, %u: index):
    %0 = arith.constant 1.0 : f32
    rondo.yield %0 : f32
  } value {
  ^bb0(%t: index, %u: index, %j: index):
    %0 = arith.constant 1.0 : f32
    rondo.yield %0 : f32
  }
  rondo.return
}

// -----

rondo.kernel @attention_c1_score sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>]
    outputs [] {
^bb0(%x: tensor<?xf32>):
  %T = rondo.size "T"
  %c0 = arith.constant 0 : index
  // expected-error@+1 {{expects 2 block arguments of type index}}
  %y = rondo.attention "y" softmax sizes (%T) over (%c0) to (%T) values (%T) -> tensor<?x?xf32>
  score {
  ^bb0(%t: index):
    %0 = arith.constant 1.0 : f32
    rondo.yield %0 : f32
  } value {
  ^bb0(%t: index, %u: index, %j: index):
    %0 = arith.constant 1.0 : f32
    rondo.yield %0 : f32
  }
  rondo.return
}

// -----

rondo.kernel @attention_c1_value sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>]
    outputs [] {
^bb0(%x: tensor<?xf32>):
  %T = rondo.size "T"
  %c0 = arith.constant 0 : index
  // expected-error@+1 {{expects 3 block arguments of type index}}
  %y = rondo.attention "y" softmax sizes (%T) over (%c0) to (%T) values (%T) -> tensor<?x?xf32>
  score {
  ^bb0(%t: index, %u: index):
    %0 = arith.constant 1.0 : f32
    rondo.yield %0 : f32
  } value {
  ^bb0(%t: index, %u: index):
    %0 = arith.constant 1.0 : f32
    rondo.yield %0 : f32
  }
  rondo.return
}

// -----

rondo.kernel @attention_c2 sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>]
    outputs [] {
^bb0(%x: tensor<?xf32>):
  %T = rondo.size "T"
  %c0 = arith.constant 0 : index
  // expected-error@+1 {{expects a result of rank 2, one dim per size and value size, found 'tensor<?xf32>'}}
  %y = rondo.attention "y" softmax sizes (%T) over (%c0) to (%T) values (%T) -> tensor<?xf32>
  score {
  ^bb0(%t: index, %u: index):
    %0 = arith.constant 1.0 : f32
    rondo.yield %0 : f32
  } value {
  ^bb0(%t: index, %u: index, %j: index):
    %0 = arith.constant 1.0 : f32
    rondo.yield %0 : f32
  }
  rondo.return
}

// -----

rondo.kernel @attention_c3 sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>]
    outputs [] {
^bb0(%x: tensor<?xf32>):
  %T = rondo.size "T"
  %c0 = arith.constant 0 : index
  %y = rondo.attention "y" softmax sizes (%T) over (%c0) to (%T) values (%T) -> tensor<?x?xf32>
  score {
  ^bb0(%t: index, %u: index):
    // expected-error@+1 {{gives 'index' for a real tensor 'tensor<?x?xf32>'}}
    rondo.yield %t : index
  } value {
  ^bb0(%t: index, %u: index, %j: index):
    %0 = arith.constant 1.0 : f32
    rondo.yield %0 : f32
  }
  rondo.return
}

// -----

rondo.kernel @attention_c3_count sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>]
    outputs [] {
^bb0(%x: tensor<?xf32>):
  %T = rondo.size "T"
  %c0 = arith.constant 0 : index
  // expected-error@+1 {{expects both regions to end in a rondo.yield of one value}}
  %y = rondo.attention "y" softmax sizes (%T) over (%c0) to (%T) values (%T) -> tensor<?x?xf32>
  score {
  ^bb0(%t: index, %u: index):
    %0 = arith.constant 1.0 : f32
    rondo.yield %0 : f32
  } value {
  ^bb0(%t: index, %u: index, %j: index):
    %0 = arith.constant 1.0 : f32
    rondo.yield %0, %0 : f32, f32
  }
  rondo.return
}

// -----

rondo.kernel @attention_c4 sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>]
    outputs [] {
^bb0(%x: tensor<?xf32>):
  %T = rondo.size "T"
  %c0 = arith.constant 0 : index
  %y = rondo.attention "y" softmax sizes (%T) over (%c0) to (%T) values (%T) -> tensor<?x?xf32>
  score {
  ^bb0(%t: index, %u: index):
    %0 = arith.constant 1.0 : f32
    rondo.yield %0 : f32
  } value {
  ^bb0(%t: index, %u: index, %j: index):
    %0 = arith.constant 1.0 : f32
    %1 = arith.cmpi sle, %t, %u : index
    // expected-error@+1 {{has a filter, which belongs to the score}}
    rondo.yield %0 where %1 : f32
  }
  rondo.return
}

// -----

rondo.kernel @attention_c5 sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>]
    outputs [] {
^bb0(%x: tensor<?xf32>):
  %T = rondo.size "T"
  %c0 = arith.constant 0 : index
  // expected-error@+1 {{expects no statistics or two of a softmax, found 2}}
  %y, %s:2 = rondo.attention "y" sum sizes (%T) over (%c0) to (%T) values (%T) -> tensor<?x?xf32>
      statistics tensor<?xf32>, tensor<?xf32>
  score {
  ^bb0(%t: index, %u: index):
    %0 = arith.constant 1.0 : f32
    rondo.yield %0 : f32
  } value {
  ^bb0(%t: index, %u: index, %j: index):
    %0 = arith.constant 1.0 : f32
    rondo.yield %0 : f32
  }
  rondo.return
}
