// One case per labelled constraint, named by the label; see Spec.md. Where the
// custom form can't express the mistake, the generic form does.
// RUN: rondo-opt %s --split-input-file --verify-diagnostics

rondo.kernel @scan_c1 sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>]
    outputs [] {
^bb0(%x: tensor<?xf32>):
  %T = rondo.size "T"
  %c0 = arith.constant 0 : index
  // expected-error@+1 {{expects as many results as inputs, and at least one, found 1 inputs and 2 results}}
  %y:2 = rondo.scan "y" along 0 of (%x) sizes (%T) initial () : (tensor<?xf32>, index) -> (tensor<?xf32>, tensor<?xf32>) {
  ^bb0(%0: f32, %1: f32):
    %2 = arith.addf %0, %1 : f32
    rondo.yield %2 : f32
  }
  rondo.return
}

// -----

rondo.kernel @scan_c1_rank sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>]
    outputs [] {
^bb0(%x: tensor<?xf32>):
  %T = rondo.size "T"
  %c0 = arith.constant 0 : index
  // expected-error@+1 {{expects inputs and results of rank 2, one dim per size, found 'tensor<?xf32>'}}
  %y = rondo.scan "y" along 0 of (%x) sizes (%T, %T) initial () : (tensor<?xf32>, index, index) -> tensor<?x?xf32> {
  ^bb0(%0: f32, %1: f32):
    %2 = arith.addf %0, %1 : f32
    rondo.yield %2 : f32
  }
  rondo.return
}

// -----

rondo.kernel @scan_c1_initial sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>]
    outputs [] {
^bb0(%x: tensor<?xf32>):
  %T = rondo.size "T"
  %c0 = arith.constant 0 : index
  // expected-error@+1 {{expects initial values of rank 0, found 'tensor<?xf32>'}}
  %y = rondo.scan "y" along 0 of (%x) sizes (%T) initial (%x) : (tensor<?xf32>, index, tensor<?xf32>) -> tensor<?xf32> {
  ^bb0(%0: f32, %1: f32):
    %2 = arith.addf %0, %1 : f32
    rondo.yield %2 : f32
  }
  rondo.return
}

// -----

rondo.kernel @scan_c2 sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>]
    outputs [] {
^bb0(%x: tensor<?xf32>):
  %T = rondo.size "T"
  %c0 = arith.constant 0 : index
  %s = rondo.equation "s" () -> tensor<f32> {
    %0 = arith.constant 1.0 : f32
    rondo.yield %0 : f32
  }
  // expected-error@+1 {{expects no initial values or one per input, found 2 for 1 inputs}}
  %y = rondo.scan "y" along 0 of (%x) sizes (%T) initial (%s, %s) : (tensor<?xf32>, index, tensor<f32>, tensor<f32>) -> tensor<?xf32> {
  ^bb0(%0: f32, %1: f32):
    %2 = arith.addf %0, %1 : f32
    rondo.yield %2 : f32
  }
  rondo.return
}

// -----

rondo.kernel @scan_c3 sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>]
    outputs [] {
^bb0(%x: tensor<?xf32>):
  %T = rondo.size "T"
  %c0 = arith.constant 0 : index
  // expected-error@+1 {{expects to run along one of its 1 dims, found 1}}
  %y = rondo.scan "y" along 1 of (%x) sizes (%T) initial () : (tensor<?xf32>, index) -> tensor<?xf32> {
  ^bb0(%0: f32, %1: f32):
    %2 = arith.addf %0, %1 : f32
    rondo.yield %2 : f32
  }
  rondo.return
}

// -----

rondo.kernel @scan_c3_batch sizes ["T"] bound [-1] batch ["T"]
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>]
    outputs [] {
^bb0(%x: tensor<?xf32>):
  %T = rondo.size "T"
  // expected-error@+1 {{expects not to run along batch dim 0 of the kernel}}
  %y = rondo.scan "y" along 0 of (%x) sizes (%T) initial () : (tensor<?xf32>, index) -> tensor<?xf32> {
  ^bb0(%0: f32, %1: f32):
    %2 = arith.addf %0, %1 : f32
    rondo.yield %2 : f32
  }
  rondo.return
}

// -----

rondo.kernel @scan_c4 sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>]
    outputs [] {
^bb0(%x: tensor<?xf32>):
  %T = rondo.size "T"
  %c0 = arith.constant 0 : index
  // expected-error@+1 {{expects a block of 2 scalars that ends in a rondo.yield of 1}}
  %y = rondo.scan "y" along 0 of (%x) sizes (%T) initial () : (tensor<?xf32>, index) -> tensor<?xf32> {
  ^bb0(%0: f32):
    rondo.yield %0 : f32
  }
  rondo.return
}

// -----

rondo.kernel @scan_c4_type sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>]
    outputs [] {
^bb0(%x: tensor<?xf32>):
  %T = rondo.size "T"
  %c0 = arith.constant 0 : index
  // expected-error@+1 {{expects block arguments 0 and 1 to have the type that is yielded for them, 'f32'}}
  %y = rondo.scan "y" along 0 of (%x) sizes (%T) initial () : (tensor<?xf32>, index) -> tensor<?xf32> {
  ^bb0(%0: f32, %1: index):
    rondo.yield %0 : f32
  }
  rondo.return
}

// -----

rondo.kernel @scan_c4_elements sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>]
    outputs [] {
^bb0(%x: tensor<?xf32>):
  %T = rondo.size "T"
  %c0 = arith.constant 0 : index
  // expected-error@+1 {{combines scalars of 'index', which do not fit the elements of 'tensor<?xf32>'}}
  %y = rondo.scan "y" along 0 of (%x) sizes (%T) initial () : (tensor<?xf32>, index) -> tensor<?xf32> {
  ^bb0(%0: index, %1: index):
    rondo.yield %0 : index
  }
  rondo.return
}

// -----

rondo.kernel @convolution_c1 sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>]
    outputs [] {
^bb0(%x: tensor<?xf32>):
  %T = rondo.size "T"
  %c0 = arith.constant 0 : index
  // expected-error@+1 {{expects input and result of rank 2, one dim per size, found 'tensor<?xf32>'}}
  %y = rondo.convolution "y" of %x by %x along 0 sizes (%T, %T) taps %T offset %c0 dilation 1 : tensor<?xf32>, tensor<?xf32> -> tensor<?x?xf32>
  rondo.return
}

// -----

rondo.kernel @convolution_c2 sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>]
    outputs [] {
^bb0(%x: tensor<?xf32>):
  %T = rondo.size "T"
  %c0 = arith.constant 0 : index
  // expected-error@+1 {{expects to run along one of its 1 dims, found 1}}
  %y = rondo.convolution "y" of %x by %x along 1 sizes (%T) taps %T offset %c0 dilation 1 : tensor<?xf32>, tensor<?xf32> -> tensor<?xf32>
  rondo.return
}

// -----

rondo.kernel @convolution_c2_dense sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>]
    outputs [] {
^bb0(%x: tensor<?xf32>):
  %T = rondo.size "T"
  %c0 = arith.constant 0 : index
  // expected-error@+1 {{is dense and expects one dim after dim 0, found 0}}
  %y = rondo.convolution "y" of %x by %x along 0 sizes (%T) taps %T channels %T offset %c0 dilation 1 : tensor<?xf32>, tensor<?xf32> -> tensor<?xf32>
  rondo.return
}

// -----

rondo.kernel @convolution_c4 sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>]
    outputs [] {
^bb0(%x: tensor<?xf32>):
  %T = rondo.size "T"
  %c0 = arith.constant 0 : index
  // expected-error@+1 {{expects a result of f32 or f64, found 'tensor<?xbf16>'}}
  %y = rondo.convolution "y" of %x by %x along 0 sizes (%T) taps %T offset %c0 dilation 1 : tensor<?xf32>, tensor<?xf32> -> tensor<?xbf16>
  rondo.return
}

// -----

rondo.kernel @convolution_c5 sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>]
    outputs [] {
^bb0(%x: tensor<?xf32>):
  %T = rondo.size "T"
  %c0 = arith.constant 0 : index
  // expected-error@+1 {{expects a positive dilation, found 0}}
  %y = rondo.convolution "y" of %x by %x along 0 sizes (%T) taps %T offset %c0 dilation 0 : tensor<?xf32>, tensor<?xf32> -> tensor<?xf32>
  rondo.return
}

// -----

rondo.kernel @convolution_c3 sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>,
            #rondo.tensor<"w", argument, f32, ()[T] -> (T, T)>]
    outputs [] {
^bb0(%x: tensor<?xf32>, %w: tensor<?x?xf32>):
  %T = rondo.size "T"
  // expected-error@+1 {{expects weights of rank 1, found 'tensor<?x?xf32>'}}
  %y = rondo.convolution "y" of %x by %w along 0 sizes (%T) taps %T offset %T dilation 1 : tensor<?xf32>, tensor<?x?xf32> -> tensor<?xf32>
  rondo.return
}

// -----

rondo.kernel @convolution_c4_input sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>,
            #rondo.tensor<"w", argument, f64, ()[T] -> (T)>]
    outputs [] {
^bb0(%x: tensor<?xf32>, %w: tensor<?xf64>):
  %T = rondo.size "T"
  // expected-error@+1 {{gives 'f32' from 'tensor<?xf64>'}}
  %y = rondo.convolution "y" of %x by %w along 0 sizes (%T) taps %T offset %T dilation 1 : tensor<?xf32>, tensor<?xf64> -> tensor<?xf32>
  rondo.return
}

// -----

rondo.kernel @yield_c1_scan sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>]
    outputs [] {
^bb0(%x: tensor<?xf32>):
  %T = rondo.size "T"
  %c0 = arith.constant 0 : index
  %y = rondo.scan "y" along 0 of (%x) sizes (%T) initial () : (tensor<?xf32>, index) -> tensor<?xf32> {
  ^bb0(%0: f32, %1: f32):
    %true = arith.constant true
    // expected-error@+1 {{has a filter, but stands in a rondo.scan}}
    rondo.yield %0 where %true : f32
  }
  rondo.return
}
