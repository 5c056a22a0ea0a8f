// The optimiser reads and prints the dialect, and knows upstream's passes.
// RUN: rondo-opt %s --verify-roundtrip --canonicalize | FileCheck %s
// RUN: rondo-opt --help | FileCheck %s --check-prefix=HELP

// HELP-DAG: --canonicalize
// HELP-DAG: --convert-scf-to-cf
// HELP-DAG: Available Dialects:{{.*}} rondo

// CHECK-LABEL: rondo.kernel @scale
// CHECK: rondo.equation "y"
rondo.kernel @scale sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>]
    outputs [#rondo.tensor<"y", result, f32, ()[T] -> (T)>] {
^bb0(%x: tensor<?xf32>):
  %T = rondo.size "T"
  %y = rondo.equation "y" (%t < %T) -> tensor<?xf32> {
    %0 = rondo.read %x[%t] : tensor<?xf32> -> f32
    %1 = arith.addf %0, %0 : f32
    rondo.yield %1 : f32
  }
  rondo.return %y : tensor<?xf32>
}
