// Iterations: tensors that are improved until a residual is small.
// RUN: rondo-eval %s | FileCheck %s

// Square roots by Newton's method from x = a, a point of the batch at a time.
// 4 needs 5 steps and the evaluation that sees it; the root of -3 is never
// found (bound), and 0 / 0 is not finite at once: both are 7 by the other
// region.
// CHECK-LABEL: @roots
// CHECK-NEXT: x: [4] 2 1 7 7
// CHECK-NEXT: n: [4] 6 1 9 1
rondo.kernel @roots sizes ["B"] bound [-1] batch ["B"]
    inputs [#rondo.tensor<"a", argument, f64, ()[B] -> (B)>]
    outputs [#rondo.tensor<"x", result, f64, ()[B] -> (B)>,
             #rondo.tensor<"n", result, i64, ()[B] -> (B)>]
    attributes {rondo.test_inputs = {a = dense<[4.0, 1.0, -3.0, 0.0]> : tensor<4xf64>}} {
^bb0(%a: tensor<?xf64>):
  %B = rondo.size "B"
  %half = arith.constant 0.5 : f64
  %seven = arith.constant 7.0 : f64
  %guess = rondo.equation "guess" (%b < %B) -> tensor<?xf64> {
    %0 = rondo.read %a[%b] : tensor<?xf64> -> f64
    rondo.yield %0 : f64
  }
  %x, %n = rondo.iterate from(%guess) bound 9 tolerance 1.000000e-12
      : (tensor<?xf64>) -> (tensor<?xf64>, tensor<?xi64>) {
  ^bb0(%now: tensor<?xf64>):
    %next = rondo.equation "next" (%b < %B) -> tensor<?xf64> {
      %0 = rondo.read %now[%b] : tensor<?xf64> -> f64
      %1 = rondo.read %a[%b] : tensor<?xf64> -> f64
      %2 = arith.divf %1, %0 : f64
      %3 = arith.addf %0, %2 : f64
      %4 = arith.mulf %half, %3 : f64
      rondo.yield %4 : f64
    }
    %residual = rondo.equation "residual" (%b < %B) -> tensor<?xf64> {
      %0 = rondo.read %now[%b] : tensor<?xf64> -> f64
      %1 = rondo.read %a[%b] : tensor<?xf64> -> f64
      %2 = arith.divf %1, %0 : f64
      %3 = arith.subf %0, %2 : f64
      %4 = math.absf %3 : f64
      rondo.yield %4 : f64
    }
    rondo.yield %next, %residual : tensor<?xf64>, tensor<?xf64>
  } otherwise {
    %other = rondo.equation "other" (%b < %B) -> tensor<?xf64> {
      rondo.yield %seven : f64
    }
    rondo.yield %other : tensor<?xf64>
  }
  rondo.return %x, %n : tensor<?xf64>, tensor<?xi64>
}
