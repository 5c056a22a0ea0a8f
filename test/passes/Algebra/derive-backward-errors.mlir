// What has no backward pass is refused, at its place.
// RUN: rondo-opt %s --split-input-file --verify-diagnostics --rondo-derive-backward

rondo.kernel @remainder sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>]
    outputs [#rondo.tensor<"y", result, f32, ()[T] -> (T)>] {
^bb0(%x: tensor<?xf32>):
  %T = rondo.size "T"
  %two = arith.constant 2.0 : f32
  // expected-error@+1 {{cannot differentiate 'y': no derivative is known of 'arith.remf'}}
  %y = rondo.equation "y" (%t < %T) -> tensor<?xf32> {
    %0 = rondo.read %x[%t] : tensor<?xf32> -> f32
    %1 = arith.remf %0, %two : f32
    rondo.yield %1 : f32
  }
  rondo.return %y : tensor<?xf32>
}

// -----

rondo.kernel @whole sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>]
    outputs [#rondo.tensor<"y", result, f32, ()[T] -> (T)>] {
^bb0(%x: tensor<?xf32>):
  %T = rondo.size "T"
  // expected-error@+1 {{cannot differentiate 'rondo.scan': run rondo-decompose before}}
  %y = rondo.scan "y" along 0 of (%x) sizes (%T) initial ()
      : (tensor<?xf32>, index) -> tensor<?xf32> {
  ^bb0(%a: f32, %b: f32):
    %0 = arith.addf %a, %b : f32
    rondo.yield %0 : f32
  }
  rondo.return %y : tensor<?xf32>
}

// -----

rondo.kernel @f sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>]
    outputs [#rondo.tensor<"y", result, f32, ()[T] -> (T)>] {
^bb0(%x: tensor<?xf32>):
  %T = rondo.size "T"
  %y = rondo.equation "y" (%t < %T) -> tensor<?xf32> {
    %0 = rondo.read %x[%t] : tensor<?xf32> -> f32
    rondo.yield %0 : f32
  }
  rondo.return %y : tensor<?xf32>
}
// expected-error@+1 {{the kernel `f_backward` has the name of the backward pass of `f`; rename one of them}}
rondo.kernel @f_backward sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>]
    outputs [#rondo.tensor<"y", result, f32, ()[T] -> (T)>] {
^bb0(%x: tensor<?xf32>):
  %T = rondo.size "T"
  %y = rondo.equation "y" (%t < %T) -> tensor<?xf32> {
    %0 = rondo.read %x[%t] : tensor<?xf32> -> f32
    rondo.yield %0 : f32
  }
  rondo.return %y : tensor<?xf32>
}
