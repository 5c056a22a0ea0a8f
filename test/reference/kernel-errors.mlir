// Inputs that do not fit are refused with the names of both sides.
// RUN: not rondo-eval %s | FileCheck %s

// CHECK-LABEL: @missing
// CHECK-NEXT: error: {{.*}}expects argument 'x'
rondo.kernel @missing sizes ["T"] bound [3] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>] outputs [] {
^bb0(%x: tensor<?xf32>):
  rondo.return
}

// CHECK-LABEL: @disagree
// CHECK-NEXT: error: argument 'b', dim 0: expected T = 3 (from dim 0 of 'a'), found 2
rondo.kernel @disagree sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"a", argument, f32, ()[T] -> (T)>,
            #rondo.tensor<"b", argument, f32, ()[T] -> (T)>] outputs []
    attributes {rondo.test_inputs = {a = dense<0.0> : tensor<3xf32>, b = dense<0.0> : tensor<2xf32>}} {
^bb0(%a: tensor<?xf32>, %b: tensor<?xf32>):
  rondo.return
}

// CHECK-LABEL: @bound
// CHECK-NEXT: error: argument 'a', dim 0: expected T = 4 (bound when the kernel was compiled), found 3
rondo.kernel @bound sizes ["T"] bound [4] batch []
    inputs [#rondo.tensor<"a", argument, f32, ()[T] -> (T)>] outputs []
    attributes {rondo.test_inputs = {a = dense<0.0> : tensor<3xf32>}} {
^bb0(%a: tensor<?xf32>):
  rondo.return
}

// CHECK-LABEL: @divide
// CHECK-NEXT: error: argument 'a', dim 1: expected D * 4, found 7, which gives no value of D
rondo.kernel @divide sizes ["T", "D"] bound [-1, -1] batch []
    inputs [#rondo.tensor<"a", argument, f32, ()[T, D] -> (T, D * 4)>] outputs []
    attributes {rondo.test_inputs = {a = dense<0.0> : tensor<3x7xf32>}} {
^bb0(%a: tensor<?x?xf32>):
  rondo.return
}

// CHECK-LABEL: @unknown
// CHECK-NEXT: error: the value of size D does not follow from the shapes of the arguments of 'unknown': give it by name
rondo.kernel @unknown sizes ["T", "D"] bound [-1, -1] batch []
    inputs [#rondo.tensor<"a", argument, f32, ()[T, D] -> (T)>] outputs []
    attributes {rondo.test_inputs = {a = dense<0.0> : tensor<3xf32>}} {
^bb0(%a: tensor<?xf32>):
  rondo.return
}

// CHECK-LABEL: @given
// CHECK-NEXT: error: argument 'a', dim 0: expected T = 5 (as given), found 3
rondo.kernel @given sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"a", argument, f32, ()[T] -> (T)>] outputs []
    attributes {rondo.test_sizes = {T = 5 : i64}, rondo.test_inputs = {a = dense<0.0> : tensor<3xf32>}} {
^bb0(%a: tensor<?xf32>):
  rondo.return
}

// CHECK-LABEL: @rank
// CHECK-NEXT: error: argument 'a': expected 1 dims, found 2
rondo.kernel @rank sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"a", argument, f32, ()[T] -> (T)>] outputs []
    attributes {rondo.test_inputs = {a = dense<0.0> : tensor<3x1xf32>}} {
^bb0(%a: tensor<?xf32>):
  rondo.return
}

// CHECK-LABEL: @unknown_op
// CHECK-NEXT: error: loc("{{.*}}kernel-errors.mlir":[[@LINE+5]]:{{.*}}): 'math.ctlz' is not known to the interpreter
rondo.kernel @unknown_op sizes ["T"] bound [3] batch [] inputs []
    outputs [#rondo.tensor<"y", result, i64, ()[T] -> (T)>] {
  %T = rondo.size "T"
  %y = rondo.equation "y" (%t < %T) -> tensor<?xindex> {
    %0 = math.ctlz %t : index
    rondo.yield %0 : index
  }
  rondo.return %y : tensor<?xindex>
}
