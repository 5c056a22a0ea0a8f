// RUN: rondo-opt %s --split-input-file --verify-diagnostics

rondo.kernel @triangular_solve_c1 sizes ["C", "V"] bound [-1, -1] batch []
    inputs [#rondo.tensor<"l", argument, f32, ()[C, V] -> (C, C)>,
            #rondo.tensor<"b", argument, f32, ()[C, V] -> (C, V)>]
    outputs [] {
^bb0(%l: tensor<?x?xf32>, %b: tensor<?x?xf32>):
  %C = rondo.size "C"
  %V = rondo.size "V"
  // expected-error@+1 {{expects right side and result of rank 1, one dim per size, found 'tensor<?x?xf32>'}}
  %x = rondo.triangular_solve "x" of %l, %b along 0 sizes (%C) : tensor<?x?xf32>, tensor<?x?xf32> -> tensor<?x?xf32>
  rondo.return
}

// -----

rondo.kernel @triangular_solve_c2 sizes ["C", "V"] bound [-1, -1] batch []
    inputs [#rondo.tensor<"l", argument, f32, ()[C, V] -> (C, C)>,
            #rondo.tensor<"b", argument, f32, ()[C, V] -> (C, V)>]
    outputs [] {
^bb0(%l: tensor<?x?xf32>, %b: tensor<?x?xf32>):
  %C = rondo.size "C"
  %V = rondo.size "V"
  // expected-error@+1 {{expects to run along one of its 2 dims, found 2}}
  %x = rondo.triangular_solve "x" of %l, %b along 2 sizes (%C, %V) : tensor<?x?xf32>, tensor<?x?xf32> -> tensor<?x?xf32>
  rondo.return
}

// -----

rondo.kernel @triangular_solve_c2_batch sizes ["C", "V"] bound [-1, -1] batch ["C"]
    inputs [#rondo.tensor<"l", argument, f32, ()[C, V] -> (C, C)>,
            #rondo.tensor<"b", argument, f32, ()[C, V] -> (C, V)>]
    outputs [] {
^bb0(%l: tensor<?x?xf32>, %b: tensor<?x?xf32>):
  %C = rondo.size "C"
  %V = rondo.size "V"
  // expected-error@+1 {{expects not to run along batch dim 0 of the kernel}}
  %x = rondo.triangular_solve "x" of %l, %b along 0 sizes (%C, %V) : tensor<?x?xf32>, tensor<?x?xf32> -> tensor<?x?xf32>
  rondo.return
}

// -----

rondo.kernel @triangular_solve_c3 sizes ["C", "V"] bound [-1, -1] batch []
    inputs [#rondo.tensor<"l", argument, f32, ()[C, V] -> (C, C)>,
            #rondo.tensor<"b", argument, f32, ()[C, V] -> (C, V)>]
    outputs [] {
^bb0(%l: tensor<?x?xf32>, %b: tensor<?x?xf32>):
  %C = rondo.size "C"
  %V = rondo.size "V"
  // expected-error@+1 {{expects a matrix of rank 3, found 'tensor<?x?xf32>'}}
  %x = rondo.triangular_solve "x" of %l, %b along 1 sizes (%C, %V) : tensor<?x?xf32>, tensor<?x?xf32> -> tensor<?x?xf32>
  rondo.return
}

// -----

rondo.kernel @triangular_solve_c4 sizes ["C", "V"] bound [-1, -1] batch []
    inputs [#rondo.tensor<"l", argument, f32, ()[C, V] -> (C, C)>,
            #rondo.tensor<"b", argument, f32, ()[C, V] -> (C, V)>]
    outputs [] {
^bb0(%l: tensor<?x?xf32>, %b: tensor<?x?xf32>):
  %C = rondo.size "C"
  %V = rondo.size "V"
  // expected-error@+1 {{expects a result of f32 or f64, found 'tensor<?x?xbf16>'}}
  %x = rondo.triangular_solve "x" of %l, %b along 0 sizes (%C, %V) : tensor<?x?xf32>, tensor<?x?xf32> -> tensor<?x?xbf16>
  rondo.return
}

// -----

rondo.kernel @triangular_solve_c4_right sizes ["C", "V"] bound [-1, -1] batch []
    inputs [#rondo.tensor<"l", argument, f32, ()[C, V] -> (C, C)>,
            #rondo.tensor<"b", argument, f32, ()[C, V] -> (C, V)>,
            #rondo.tensor<"d", argument, f64, ()[C, V] -> (C, V)>]
    outputs [] {
^bb0(%l: tensor<?x?xf32>, %b: tensor<?x?xf32>, %d: tensor<?x?xf64>):
  %C = rondo.size "C"
  %V = rondo.size "V"
  // expected-error@+1 {{gives 'f32' from 'tensor<?x?xf64>'}}
  %x = rondo.triangular_solve "x" of %l, %d along 0 sizes (%C, %V) : tensor<?x?xf32>, tensor<?x?xf64> -> tensor<?x?xf32>
  rondo.return
}
