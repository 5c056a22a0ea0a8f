// Rows of a table by the values of an integer tensor.
// RUN: not rondo-eval %s | FileCheck %s

// CHECK-LABEL: @rows
// CHECK-NEXT: y: [3, 2] 5 6 1 2 5 6
rondo.kernel @rows sizes ["T", "N", "D"] bound [-1, -1, -1] batch []
    inputs [#rondo.tensor<"tokens", argument, i32, ()[T, N, D] -> (T)>,
            #rondo.tensor<"emb", argument, f32, ()[T, N, D] -> (N, D)>]
    outputs [#rondo.tensor<"y", result, f32, ()[T, N, D] -> (T, D)>]
    attributes {rondo.test_inputs = {tokens = dense<[2, 0, 2]> : tensor<3xi32>,
      emb = dense<[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]> : tensor<3x2xf32>}} {
^bb0(%tokens: tensor<?xi32>, %emb: tensor<?x?xf32>):
  %T = rondo.size "T"
  %D = rondo.size "D"
  %y = rondo.equation "y" (%t < %T, %d < %D) -> tensor<?x?xf32> {
    %row = rondo.read %tokens[%t] : tensor<?xi32> -> index
    %0 = rondo.gather %emb[%row, %d] "emb" at [0] : tensor<?x?xf32> -> f32
    rondo.yield %0 : f32
  }
  rondo.return %y : tensor<?x?xf32>
}

// A value outside of the table is an error that names tensor, dim and value.
// CHECK-LABEL: @out_of_range
// CHECK-NEXT: error: {{.*}}'rondo.gather' index out of range: dim 1 of 'emb' expects a value in [0, 2), found -1
rondo.kernel @out_of_range sizes ["T", "N"] bound [-1, -1] batch []
    inputs [#rondo.tensor<"tokens", argument, i32, ()[T, N] -> (T)>,
            #rondo.tensor<"emb", argument, f32, ()[T, N] -> (T, N)>]
    outputs [#rondo.tensor<"y", result, f32, ()[T, N] -> (T)>]
    attributes {rondo.test_inputs = {tokens = dense<[1, 0, -1]> : tensor<3xi32>,
      emb = dense<1.0> : tensor<3x2xf32>}} {
^bb0(%tokens: tensor<?xi32>, %emb: tensor<?x?xf32>):
  %T = rondo.size "T"
  %y = rondo.equation "y" (%t < %T) -> tensor<?xf32> {
    %column = rondo.read %tokens[%t] : tensor<?xi32> -> index
    %0 = rondo.gather %emb[%t, %column] "emb" at [1] : tensor<?x?xf32> -> f32
    rondo.yield %0 : f32
  }
  rondo.return %y : tensor<?xf32>
}

// Only data is checked: another subscript out of range gives 0, or the fallback.
// CHECK-LABEL: @past
// CHECK-NEXT: y: [3] 8 2 3
// CHECK-NEXT: z: [3] 0 2 3
rondo.kernel @past sizes ["T", "N"] bound [-1, -1] batch []
    inputs [#rondo.tensor<"n", argument, i32, ()[T, N] -> (T)>,
            #rondo.tensor<"x", argument, f32, ()[T, N] -> (T, N)>,
            #rondo.tensor<"x0", argument, f32, ()[T, N] -> (N)>]
    outputs [#rondo.tensor<"y", result, f32, ()[T, N] -> (T)>,
             #rondo.tensor<"z", result, f32, ()[T, N] -> (T)>]
    attributes {rondo.test_inputs = {n = dense<[1, 1, 0]> : tensor<3xi32>,
      x = dense<[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]> : tensor<3x2xf32>,
      x0 = dense<[7.0, 8.0]> : tensor<2xf32>}} {
^bb0(%n: tensor<?xi32>, %x: tensor<?x?xf32>, %x0: tensor<?xf32>):
  %T = rondo.size "T"
  %c1 = arith.constant 1 : index
  %y = rondo.equation "y" (%t < %T) -> tensor<?xf32> {
    %place = rondo.read %n[%t] : tensor<?xi32> -> index
    %before = arith.subi %t, %c1 : index
    %0 = rondo.gather %x[%before, %place] else %x0[%place] "x" at [1] : tensor<?x?xf32>, tensor<?xf32> -> f32
    rondo.yield %0 : f32
  }
  %z = rondo.equation "z" (%t < %T) -> tensor<?xf32> {
    %place = rondo.read %n[%t] : tensor<?xi32> -> index
    %before = arith.subi %t, %c1 : index
    %0 = rondo.gather %x[%before, %place] "x" at [1] : tensor<?x?xf32> -> f32
    rondo.yield %0 : f32
  }
  rondo.return %y, %z : tensor<?xf32>, tensor<?xf32>
}

// Data out of range is an error before the start, too.
// CHECK-LABEL: @past_out_of_range
// CHECK-NEXT: error: {{.*}}'rondo.gather' index out of range: dim 1 of 'x' expects a value in [0, 2), found 2
rondo.kernel @past_out_of_range sizes ["T", "N"] bound [-1, -1] batch []
    inputs [#rondo.tensor<"n", argument, i32, ()[T, N] -> (T)>,
            #rondo.tensor<"x", argument, f32, ()[T, N] -> (T, N)>]
    outputs [#rondo.tensor<"y", result, f32, ()[T, N] -> (T)>]
    attributes {rondo.test_inputs = {n = dense<[2, 0, 1]> : tensor<3xi32>,
      x = dense<1.0> : tensor<3x2xf32>}} {
^bb0(%n: tensor<?xi32>, %x: tensor<?x?xf32>):
  %T = rondo.size "T"
  %c1 = arith.constant 1 : index
  %y = rondo.equation "y" (%t < %T) -> tensor<?xf32> {
    %place = rondo.read %n[%t] : tensor<?xi32> -> index
    %before = arith.subi %t, %c1 : index
    %0 = rondo.gather %x[%before, %place] "x" at [1] : tensor<?x?xf32> -> f32
    rondo.yield %0 : f32
  }
  rondo.return %y : tensor<?xf32>
}
