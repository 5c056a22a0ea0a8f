// One case per labelled constraint, named by the label; see Spec.md. Where the
// custom form can't express the mistake, the generic form does.
// RUN: rondo-opt %s --split-input-file --verify-diagnostics

// expected-error@+1 {{'rondo.kernel' op expects one bound per size, found 2 for 1 sizes}}
rondo.kernel @kernel_c1 sizes ["T"] bound [-1, 3] batch []
    inputs []
    outputs [] {
  rondo.return
}

// -----

// expected-error@+1 {{expects bounds of at least 0, or -1 for a run-time size, found -2}}
rondo.kernel @kernel_c1_negative sizes ["T"] bound [-2] batch []
    inputs []
    outputs [] {
  rondo.return
}

// -----

// expected-error@+1 {{expects one block argument per input, found 0 for 1 inputs}}
rondo.kernel @kernel_c2 sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>]
    outputs [] {
  rondo.return
}

// -----

// expected-error@+1 {{expects block argument 0 ('x') to be a tensor of rank 1 of 'f32', found 'tensor<?xf64>'}}
rondo.kernel @kernel_c2_type sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>]
    outputs [] {
^bb0(%x: tensor<?xf64>):
  rondo.return
}

// -----

// expected-error@+1 {{expects block argument 0 ('x') to be a tensor of rank 1 of 'f32', found 'index'}}
rondo.kernel @kernel_c2_no_tensor sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>]
    outputs [] {
^bb0(%x: index):
  rondo.return
}

// -----

// expected-error@+1 {{expects the shape of 'x' as a map without dims over 2 size symbols}}
rondo.kernel @kernel_c3 sizes ["T", "D"] bound [-1, -1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>]
    outputs [] {
^bb0(%x: tensor<?xf32>):
  rondo.return
}

// -----

// expected-error@+1 {{expects the shape of 'x' as a map without dims over 1 size symbols}}
rondo.kernel @kernel_c3_dims sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, (d)[T] -> (d)>]
    outputs [] {
^bb0(%x: tensor<?xf32>):
  rondo.return
}

// -----

// expected-error@+1 {{expects 'x' among its inputs because its role is initial}}
rondo.kernel @kernel_c4 sizes ["T"] bound [-1] batch []
    inputs []
    outputs [#rondo.tensor<"x", initial, f32, ()[T] -> (T)>] {
  rondo.return
}

// -----

// expected-error@+1 {{expects 'y' among its outputs because its role is final}}
rondo.kernel @kernel_c4_output sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"y", final, f32, ()[T] -> (T)>]
    outputs [] {
^bb0(%y: tensor<?xf32>):
  rondo.return
}

// -----

// expected-error@+1 {{expects batch dim "B" to be one of its sizes}}
rondo.kernel @kernel_c5 sizes ["T"] bound [-1] batch ["B"]
    inputs []
    outputs [] {
  rondo.return
}

// -----

// expected-error@+1 {{expects time "S" to be one of its sizes}}
rondo.kernel @kernel_c5_time sizes ["T"] bound [-1] batch [] time "S"
    inputs []
    outputs [] {
  rondo.return
}

// -----

rondo.kernel @kernel_c6 sizes ["T"] bound [-1] batch []
    inputs []
    outputs [#rondo.tensor<"y", result, f32, ()[T] -> (T)>] {
  // expected-error@+1 {{expects one tensor per output, found 0 for 1 outputs}}
  rondo.return
}

// -----

rondo.kernel @kernel_c6_rank sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>]
    outputs [#rondo.tensor<"y", result, f32, ()[T] -> (T, T)>] {
^bb0(%x: tensor<?xf32>):
  // expected-error@+1 {{expects a tensor of rank 2 for 'y', found 'tensor<?xf32>'}}
  rondo.return %x : tensor<?xf32>
}

// -----

// expected-error@+1 {{expects the order of 'y' to be a permutation of its dims}}
rondo.kernel @kernel_c6_order sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T, T)>]
    outputs [#rondo.tensor<"y", result, f32, ()[T] -> (T, T), order = [1, 2]>] {
^bb0(%x: tensor<?x?xf32>):
  rondo.return %x : tensor<?x?xf32>
}

// -----

// expected-error@+1 {{expects to end in rondo.return}}
rondo.kernel @kernel_c6_end sizes ["T"] bound [-1] batch []
    inputs []
    outputs [] {
  llvm.unreachable
}

// -----

rondo.kernel @size_c1 sizes ["T"] bound [-1] batch []
    inputs []
    outputs [] {
  // expected-error@+1 {{expects one of the sizes of the kernel ["T"], found "S"}}
  %S = rondo.size "S"
  rondo.return
}

// -----

func.func @size_c1_outside() {
  // expected-error@+1 {{expects to stand in a rondo.kernel}}
  %S = rondo.size "S"
  return
}

// -----

rondo.kernel @initial_c1 sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>]
    outputs [] {
^bb0(%x: tensor<?xf32>):
  // expected-error@+1 {{expects an argument of the kernel whose role is initial}}
  %0 = rondo.initial %x else %x : tensor<?xf32>, tensor<?xf32>
  rondo.return
}

// -----

rondo.kernel @initial_c1_no_input sizes ["T"] bound [-1] batch []
    inputs []
    outputs [] {
^bb0(%x: tensor<?xf32>):
  // That the kernel has too many block arguments (kernel_c2) is found later.
  // expected-error@+1 {{expects an argument of the kernel whose role is initial}}
  %0 = rondo.initial %x else %x : tensor<?xf32>, tensor<?xf32>
  rondo.return
}

// -----

rondo.kernel @initial_c2 sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T, T)>,
            #rondo.tensor<"h.initial", initial, f32, ()[T] -> (T)>]
    outputs [] {
^bb0(%x: tensor<?x?xf32>, %h: tensor<?xf32>):
  // expected-error@+1 {{expects tensors of one rank, found 'tensor<?xf32>' and 'tensor<?x?xf32>'}}
  %0 = rondo.initial %h else %x : tensor<?xf32>, tensor<?x?xf32>
  rondo.return
}
