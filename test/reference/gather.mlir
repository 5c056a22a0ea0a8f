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
    %0 = rondo.gather %emb[%row, %d] "emb" : tensor<?x?xf32> -> f32
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
    %0 = rondo.gather %emb[%t, %column] "emb" : tensor<?x?xf32> -> f32
    rondo.yield %0 : f32
  }
  rondo.return %y : tensor<?xf32>
}
