// log(1 + exp(x)); no overflow, and exact where exp(x) is tiny.
// RUN: rondo-eval %s | FileCheck %s

// CHECK-LABEL: @softplus
// CHECK-NEXT: y: [9] 0.6931471806 1.313261688 0.3132616875 1000 0 1.928749848e-22 0 inf nan{{$}}
rondo.kernel @softplus sizes ["N"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f64, ()[N] -> (N)>]
    outputs [#rondo.tensor<"y", result, f64, ()[N] -> (N)>]
    attributes {rondo.test_inputs = {x = dense<[0.0, 1.0, -1.0, 1000.0, -1000.0, -50.0, 0xFFF0000000000000, 0x7FF0000000000000, 0x7FF8000000000000]> : tensor<9xf64>}} {
^bb0(%x: tensor<?xf64>):
  %N = rondo.size "N"
  %y = rondo.equation "y" (%n < %N) -> tensor<?xf64> {
    %0 = rondo.read %x[%n] : tensor<?xf64> -> f64
    %1 = rondo.softplus %0 : f64
    rondo.yield %1 : f64
  }
  rondo.return %y : tensor<?xf64>
}
