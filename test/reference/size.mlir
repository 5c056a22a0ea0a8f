// A size is its value, between equations and in them.
// RUN: rondo-eval %s | FileCheck %s

// CHECK-LABEL: @size
// CHECK-NEXT: y: [2] 5 5
rondo.kernel @size sizes ["T", "D"] bound [-1, 2] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T, D] -> (T)>]
    outputs [#rondo.tensor<"y", result, i64, ()[T, D] -> (D)>]
    attributes {rondo.test_inputs = {x = dense<0.0> : tensor<5xf32>}} {
^bb0(%x: tensor<?xf32>):
  %D = rondo.size "D"
  %y = rondo.equation "y" (%d < %D) -> tensor<?xindex> {
    %T = rondo.size "T"
    rondo.yield %T : index
  }
  rondo.return %y : tensor<?xindex>
}
