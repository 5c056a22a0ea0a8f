// The value given, else the declared one.
// RUN: rondo-eval %s | FileCheck %s

// CHECK-LABEL: @given
// CHECK-NEXT: y: [2] 3 4
rondo.kernel @given sizes ["D"] bound [2] batch []
    inputs [#rondo.tensor<"h.initial", initial, f32, ()[D] -> (D)>]
    outputs [#rondo.tensor<"y", result, f32, ()[D] -> (D)>]
    attributes {rondo.test_inputs = {"h.initial" = dense<[3.0, 4.0]> : tensor<2xf32>}} {
^bb0(%given: tensor<?xf32>):
  %D = rondo.size "D"
  %declared = rondo.equation "h.declared" (%d < %D) -> tensor<?xf32> {
    %0 = arith.constant -1.0 : f32
    rondo.yield %0 : f32
  }
  %h0 = rondo.initial %given else %declared : tensor<?xf32>, tensor<?xf32>
  rondo.return %h0 : tensor<?xf32>
}

// CHECK-LABEL: @declared
// CHECK-NEXT: y: [2] -1 -1
rondo.kernel @declared sizes ["D"] bound [2] batch []
    inputs [#rondo.tensor<"h.initial", initial, f32, ()[D] -> (D)>]
    outputs [#rondo.tensor<"y", result, f32, ()[D] -> (D)>] {
^bb0(%given: tensor<?xf32>):
  %D = rondo.size "D"
  %declared = rondo.equation "h.declared" (%d < %D) -> tensor<?xf32> {
    %0 = arith.constant -1.0 : f32
    rondo.yield %0 : f32
  }
  %h0 = rondo.initial %given else %declared : tensor<?xf32>, tensor<?xf32>
  rondo.return %h0 : tensor<?xf32>
}
