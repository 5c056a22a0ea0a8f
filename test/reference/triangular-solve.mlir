// A unit lower triangular system, as it stands and as a recurrence.
// RUN: rondo-eval %s | FileCheck %s
// RUN: rondo-eval --decompose %s | FileCheck %s

// x0 = 1; x1 = 2 - 2 x0; x2 = 3 - 3 x0 - 4 x1; two columns. What stands on and
// above the diagonal does not matter.
// CHECK-LABEL: @solve
// CHECK-NEXT: x: [3, 2] 1 2 0 -4 0 10
rondo.kernel @solve sizes ["C", "V"] bound [-1, -1] batch []
    inputs [#rondo.tensor<"l", argument, f32, ()[C, V] -> (C, C)>,
            #rondo.tensor<"b", argument, f32, ()[C, V] -> (C, V)>]
    outputs [#rondo.tensor<"x", result, f32, ()[C, V] -> (C, V)>]
    attributes {rondo.test_inputs = {
      l = dense<[[0x7F800000, 5.0, 0x7FC00000], [2.0, 9.0, 7.0], [3.0, 4.0, 8.0]]> : tensor<3x3xf32>,
      b = dense<[[1.0, 2.0], [2.0, 0.0], [3.0, 0.0]]> : tensor<3x2xf32>}} {
^bb0(%l: tensor<?x?xf32>, %b: tensor<?x?xf32>):
  %C = rondo.size "C"
  %V = rondo.size "V"
  %x = rondo.triangular_solve "x" of %l, %b along 0 sizes (%C, %V)
      : tensor<?x?xf32>, tensor<?x?xf32> -> tensor<?x?xf32>
  rondo.return %x : tensor<?x?xf32>
}

// Two systems with one right side each, and no column dim; elements in memory
// are narrower than the result's.
// CHECK-LABEL: @batch
// CHECK-NEXT: x: [2, 2] 1 -1 3 10
rondo.kernel @batch sizes ["B", "C"] bound [-1, -1] batch ["B"]
    inputs [#rondo.tensor<"l", argument, bf16, ()[B, C] -> (B, C, C)>,
            #rondo.tensor<"b", argument, bf16, ()[B, C] -> (B, C)>]
    outputs [#rondo.tensor<"x", result, f32, ()[B, C] -> (B, C)>]
    attributes {rondo.test_inputs = {
      l = dense<[[[0.0, 0.0], [2.0, 0.0]], [[0.0, 0.0], [-2.0, 0.0]]]> : tensor<2x2x2xbf16>,
      b = dense<[[1.0, 1.0], [3.0, 4.0]]> : tensor<2x2xbf16>}} {
^bb0(%l: tensor<?x?x?xbf16>, %b: tensor<?x?xbf16>):
  %B = rondo.size "B"
  %C = rondo.size "C"
  %x = rondo.triangular_solve "x" of %l, %b along 1 sizes (%B, %C)
      : tensor<?x?x?xbf16>, tensor<?x?xbf16> -> tensor<?x?xf32>
  rondo.return %x : tensor<?x?xf32>
}
