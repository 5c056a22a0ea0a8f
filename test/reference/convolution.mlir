// Convolutions along a dim, as they stand and as equations.
// RUN: rondo-eval %s | FileCheck %s
// RUN: rondo-eval --decompose %s | FileCheck %s

// Depthwise and causal, two taps: y[t, d] = w[0, d] x[t-1, d] + w[1, d] x[t, d].
// CHECK-LABEL: @depthwise
// CHECK-NEXT: y: [3, 2] 1 100 12 200 23 300
rondo.kernel @depthwise sizes ["T", "D"] bound [-1, -1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T, D] -> (T, D)>,
            #rondo.tensor<"w", argument, f32, ()[T, D] -> (2, D)>]
    outputs [#rondo.tensor<"y", result, f32, ()[T, D] -> (T, D)>]
    attributes {rondo.test_inputs = {x = dense<[[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]> : tensor<3x2xf32>,
      w = dense<[[10.0, 0.0], [1.0, 100.0]]> : tensor<2x2xf32>}} {
^bb0(%x: tensor<?x?xf32>, %w: tensor<?x?xf32>):
  %T = rondo.size "T"
  %D = rondo.size "D"
  %c2 = arith.constant 2 : index
  %back = arith.constant -1 : index
  %y = rondo.convolution "y" of %x by %w along 0 sizes (%T, %D) taps %c2 offset %back dilation 1
      : tensor<?x?xf32>, tensor<?x?xf32> -> tensor<?x?xf32>
  rondo.return %y : tensor<?x?xf32>
}

// Dilated and centred, with a batch dim and no channel: y[b, t] = x[b, t-2] + 10 x[b, t] + 100 x[b, t+2].
// CHECK-LABEL: @dilated
// CHECK-NEXT: y: [2, 4] 310 420 31 42 10 10 1 1
rondo.kernel @dilated sizes ["B", "T"] bound [-1, -1] batch ["B"]
    inputs [#rondo.tensor<"x", argument, bf16, ()[B, T] -> (B, T)>,
            #rondo.tensor<"w", argument, f32, ()[B, T] -> (3)>]
    outputs [#rondo.tensor<"y", result, f32, ()[B, T] -> (B, T)>]
    attributes {rondo.test_inputs = {x = dense<[[1.0, 2.0, 3.0, 4.0], [1.0, 1.0, 0.0, 0.0]]> : tensor<2x4xbf16>,
      w = dense<[1.0, 10.0, 100.0]> : tensor<3xf32>}} {
^bb0(%x: tensor<?x?xbf16>, %w: tensor<?xf32>):
  %B = rondo.size "B"
  %T = rondo.size "T"
  %c3 = arith.constant 3 : index
  %back = arith.constant -2 : index
  %y = rondo.convolution "y" of %x by %w along 1 sizes (%B, %T) taps %c3 offset %back dilation 2
      : tensor<?x?xbf16>, tensor<?xf32> -> tensor<?x?xf32>
  rondo.return %y : tensor<?x?xf32>
}

// Dense, two channels in, three out: y[t, c] = sum[w, e] w[w, e, c] x[t + w, e].
// w[0] = [[1, 0, 1], [0, 1, 1]], w[1] = 10 w[0].
// CHECK-LABEL: @dense
// CHECK-NEXT: y: [2, 3] 31 42 73 3 4 7
rondo.kernel @dense sizes ["T", "E", "C"] bound [-1, -1, -1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T, E, C] -> (T, E)>,
            #rondo.tensor<"w", argument, f32, ()[T, E, C] -> (2, E, C)>]
    outputs [#rondo.tensor<"y", result, f32, ()[T, E, C] -> (T, C)>]
    attributes {rondo.test_inputs = {x = dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>,
      w = dense<[[[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]], [[10.0, 0.0, 10.0], [0.0, 10.0, 10.0]]]> : tensor<2x2x3xf32>}} {
^bb0(%x: tensor<?x?xf32>, %w: tensor<?x?x?xf32>):
  %T = rondo.size "T"
  %E = rondo.size "E"
  %C = rondo.size "C"
  %c0 = arith.constant 0 : index
  %c2 = arith.constant 2 : index
  %y = rondo.convolution "y" of %x by %w along 0 sizes (%T, %C) taps %c2 channels %E offset %c0 dilation 1
      : tensor<?x?xf32>, tensor<?x?x?xf32> -> tensor<?x?xf32>
  rondo.return %y : tensor<?x?xf32>
}
