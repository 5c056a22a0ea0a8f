// RUN: rondo-opt %s --split-input-file --rondo-to-sequential --verify-diagnostics

rondo.kernel @grad_left sizes ["T"] bound [-1] batch [] time "T"
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>]
    outputs [#rondo.tensor<"y", result, f32, ()[T] -> (T)>] {
^bb0(%x: tensor<?xf32>):
  %T = rondo.size "T"
  %y = rondo.equation "y" (%t < %T) -> tensor<?xf32> {
    %0 = rondo.read %x[%t] : tensor<?xf32> -> f32
    %1 = arith.mulf %0, %0 : f32
    // expected-error@+1 {{must be expanded to equations before (by rondo-expand-grad)}}
    %2 = rondo.grad %1 wrt %0 : f32
    rondo.yield %2 : f32
  }
  rondo.return %y : tensor<?xf32>
}
