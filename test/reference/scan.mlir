// Prefixes along a dim, as they stand and as a recurrence.
// RUN: rondo-eval %s | FileCheck %s
// RUN: rondo-eval --decompose %s | FileCheck %s

// A cumulative sum of integers, along the last dim.
// CHECK-LABEL: @sum
// CHECK-NEXT: y: [2, 3] 1 3 6 4 9 15
rondo.kernel @sum sizes ["B", "T"] bound [-1, -1] batch ["B"]
    inputs [#rondo.tensor<"x", argument, i64, ()[B, T] -> (B, T)>]
    outputs [#rondo.tensor<"y", result, i64, ()[B, T] -> (B, T)>]
    attributes {rondo.test_inputs = {x = dense<[[1, 2, 3], [4, 5, 6]]> : tensor<2x3xi64>}} {
^bb0(%x: tensor<?x?xi64>):
  %B = rondo.size "B"
  %T = rondo.size "T"
  %y = rondo.scan "y" along 1 of (%x) sizes (%B, %T) initial ()
      : (tensor<?x?xi64>, index, index) -> tensor<?x?xi64> {
  ^bb0(%0: index, %1: index):
    %2 = arith.addi %0, %1 : index
    rondo.yield %2 : index
  }
  rondo.return %y : tensor<?x?xi64>
}

// Not commutative: the first of the pair is the earlier one. Reversed, it
// begins at the end. f(a, b) = 10 a + b on digits does not associate, but
// (value, power) pairs do: (v, p) then (w, q) is (v q + w, p q).
// CHECK-LABEL: @digits
// CHECK-NEXT: forward: [3] 1 12 123
// CHECK-NEXT: backward: [3] 321 32 3
rondo.kernel @digits sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"v", argument, f32, ()[T] -> (T)>,
            #rondo.tensor<"p", argument, f32, ()[T] -> (T)>]
    outputs [#rondo.tensor<"forward", result, f32, ()[T] -> (T)>,
             #rondo.tensor<"backward", result, f32, ()[T] -> (T)>]
    attributes {rondo.test_inputs = {v = dense<[1.0, 2.0, 3.0]> : tensor<3xf32>, p = dense<10.0> : tensor<3xf32>}} {
^bb0(%v: tensor<?xf32>, %p: tensor<?xf32>):
  %T = rondo.size "T"
  %f:2 = rondo.scan "forward" along 0 of (%v, %p) sizes (%T) initial ()
      : (tensor<?xf32>, tensor<?xf32>, index) -> (tensor<?xf32>, tensor<?xf32>) {
  ^bb0(%v0: f32, %p0: f32, %v1: f32, %p1: f32):
    %0 = arith.mulf %v0, %p1 : f32
    %1 = arith.addf %0, %v1 : f32
    %2 = arith.mulf %p0, %p1 : f32
    rondo.yield %1, %2 : f32, f32
  }
  %b:2 = rondo.scan "backward" along 0 reversed of (%v, %p) sizes (%T) initial ()
      : (tensor<?xf32>, tensor<?xf32>, index) -> (tensor<?xf32>, tensor<?xf32>) {
  ^bb0(%v0: f32, %p0: f32, %v1: f32, %p1: f32):
    %0 = arith.mulf %v0, %p1 : f32
    %1 = arith.addf %0, %v1 : f32
    %2 = arith.mulf %p0, %p1 : f32
    rondo.yield %1, %2 : f32, f32
  }
  rondo.return %f#0, %b#0 : tensor<?xf32>, tensor<?xf32>
}

// With an initial value, of another element type, along the middle dim: the
// batch dim is in front, another one between it and the dim of the scan.
// CHECK-LABEL: @initial
// CHECK-NEXT: y: [1, 2, 3] 10 10 12 21 22 22
rondo.kernel @initial sizes ["B", "D", "T"] bound [-1, -1, -1] batch ["B"]
    inputs [#rondo.tensor<"x", argument, bf16, ()[B, D, T] -> (B, D, T)>,
            #rondo.tensor<"s", argument, bf16, ()[B, D, T] -> (B, D)>]
    outputs [#rondo.tensor<"y", result, f32, ()[B, D, T] -> (B, D, T)>]
    attributes {rondo.test_inputs = {x = dense<[[[9.0, 3.0, 12.0], [21.0, 22.0, 5.0]]]> : tensor<1x2x3xbf16>,
      s = dense<[[10.0, 20.0]]> : tensor<1x2xbf16>}} {
^bb0(%x: tensor<?x?x?xbf16>, %s: tensor<?x?xbf16>):
  %B = rondo.size "B"
  %D = rondo.size "D"
  %T = rondo.size "T"
  %y = rondo.scan "y" along 2 of (%x) sizes (%B, %D, %T) initial (%s)
      : (tensor<?x?x?xbf16>, index, index, index, tensor<?x?xbf16>) -> tensor<?x?x?xf32> {
  ^bb0(%0: f32, %1: f32):
    %2 = arith.maximumf %0, %1 : f32
    rondo.yield %2 : f32
  }
  rondo.return %y : tensor<?x?x?xf32>
}

// Nothing to combine.
// CHECK-LABEL: @empty
// CHECK-NEXT: y: [0]{{$}}
rondo.kernel @empty sizes ["T"] bound [0] batch [] inputs []
    outputs [#rondo.tensor<"y", result, f32, ()[T] -> (T)>] {
  %T = rondo.size "T"
  %x = rondo.equation "x" (%t < %T) -> tensor<?xf32> {
    %0 = arith.constant 1.0 : f32
    rondo.yield %0 : f32
  }
  %y = rondo.scan "y" along 0 of (%x) sizes (%T) initial () : (tensor<?xf32>, index) -> tensor<?xf32> {
  ^bb0(%0: f32, %1: f32):
    %2 = arith.addf %0, %1 : f32
    rondo.yield %2 : f32
  }
  rondo.return %y : tensor<?xf32>
}
