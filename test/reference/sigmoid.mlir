// 1 / (1 + exp(-x)); no overflow on either side.
// RUN: rondo-eval %s | FileCheck %s

// CHECK-LABEL: @sigmoid
// CHECK-NEXT: y: [8] 0.5 0.7310585786 0.2689414214 0 1 0 1 nan{{$}}
rondo.kernel @sigmoid sizes ["N"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f64, ()[N] -> (N)>]
    outputs [#rondo.tensor<"y", result, f64, ()[N] -> (N)>]
    attributes {rondo.test_inputs = {x = dense<[0.0, 1.0, -1.0, -1000.0, 1000.0, 0xFFF0000000000000, 0x7FF0000000000000, 0x7FF8000000000000]> : tensor<8xf64>}} {
^bb0(%x: tensor<?xf64>):
  %N = rondo.size "N"
  %y = rondo.equation "y" (%n < %N) -> tensor<?xf64> {
    %0 = rondo.read %x[%n] : tensor<?xf64> -> f64
    %1 = rondo.sigmoid %0 : f64
    rondo.yield %1 : f64
  }
  rondo.return %y : tensor<?xf64>
}
