// Reads in range and out of range, with and without a fallback.
// RUN: rondo-eval %s | FileCheck %s

// The zero-padded past: x[t - 2] + x[t + 1].
// CHECK-LABEL: @padded
// CHECK-NEXT: y: [4] 2 3 5 2
rondo.kernel @padded sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>]
    outputs [#rondo.tensor<"y", result, f32, ()[T] -> (T)>]
    attributes {rondo.test_inputs = {x = dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>}} {
^bb0(%x: tensor<?xf32>):
  %T = rondo.size "T"
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %y = rondo.equation "y" (%t < %T) -> tensor<?xf32> {
    %before = arith.subi %t, %c2 : index
    %after = arith.addi %t, %c1 : index
    %0 = rondo.read %x[%before] : tensor<?xf32> -> f32
    %1 = rondo.read %x[%after] : tensor<?xf32> -> f32
    %2 = arith.addf %0, %1 : f32
    rondo.yield %2 : f32
  }
  rondo.return %y : tensor<?xf32>
}

// Out of range in any dim is out of range: a[i, j] = x[i + j, i - j].
// CHECK-LABEL: @two_dims
// CHECK-NEXT: y: [2, 2] 1 0 4 0
rondo.kernel @two_dims sizes ["N"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[N] -> (N, N)>]
    outputs [#rondo.tensor<"y", result, f32, ()[N] -> (N, N)>]
    attributes {rondo.test_inputs = {x = dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>}} {
^bb0(%x: tensor<?x?xf32>):
  %N = rondo.size "N"
  %y = rondo.equation "y" (%i < %N, %j < %N) -> tensor<?x?xf32> {
    %plus = arith.addi %i, %j : index
    %minus = arith.subi %i, %j : index
    %0 = rondo.read %x[%plus, %minus] : tensor<?x?xf32> -> f32
    rondo.yield %0 : f32
  }
  rondo.return %y : tensor<?x?xf32>
}

// y[t] = x[t - 1] else f[t - 1], where f has one element: at t = 0 both are
// out of range, which gives 0; at t = 1 the fallback is not needed. z reads
// x[t + 1] else f[0].
// CHECK-LABEL: @fallback
// CHECK-NEXT: y: [3] 0 1 2
// CHECK-NEXT: z: [3] 2 3 9
rondo.kernel @fallback sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>,
            #rondo.tensor<"f", argument, f32, ()[T] -> (1)>]
    outputs [#rondo.tensor<"y", result, f32, ()[T] -> (T)>,
             #rondo.tensor<"z", result, f32, ()[T] -> (T)>]
    attributes {rondo.test_inputs = {x = dense<[1.0, 2.0, 3.0]> : tensor<3xf32>, f = dense<9.0> : tensor<1xf32>}} {
^bb0(%x: tensor<?xf32>, %f: tensor<?xf32>):
  %T = rondo.size "T"
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %y = rondo.equation "y" (%t < %T) -> tensor<?xf32> {
    %before = arith.subi %t, %c1 : index
    %0 = rondo.read %x[%before] else %f[%before] : tensor<?xf32>, tensor<?xf32> -> f32
    rondo.yield %0 : f32
  }
  %z = rondo.equation "z" (%t < %T) -> tensor<?xf32> {
    %after = arith.addi %t, %c1 : index
    %0 = rondo.read %x[%after] else %f[%c0] : tensor<?xf32>, tensor<?xf32> -> f32
    rondo.yield %0 : f32
  }
  rondo.return %y, %z : tensor<?xf32>, tensor<?xf32>
}

// Integers and conditions are integers and conditions; false out of range.
// CHECK-LABEL: @kinds
// CHECK-NEXT: y: [3] -4 1099511627776 7
rondo.kernel @kinds sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"n", argument, i64, ()[T] -> (T)>,
            #rondo.tensor<"c", argument, i1, ()[T] -> (2)>]
    outputs [#rondo.tensor<"y", result, i64, ()[T] -> (T)>]
    attributes {rondo.test_inputs = {n = dense<[-4, 1099511627776, 5]> : tensor<3xi64>, c = dense<true> : tensor<2xi1>}} {
^bb0(%n: tensor<?xi64>, %c: tensor<?xi1>):
  %T = rondo.size "T"
  %c7 = arith.constant 7 : index
  %y = rondo.equation "y" (%t < %T) -> tensor<?xindex> {
    %0 = rondo.read %n[%t] : tensor<?xi64> -> index
    %1 = rondo.read %c[%t] : tensor<?xi1> -> i1
    %2 = arith.select %1, %0, %c7 : index
    rondo.yield %2 : index
  }
  rondo.return %y : tensor<?xindex>
}
