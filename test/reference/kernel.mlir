// Sizes come from the shapes of the inputs; results have the order of memory.
// RUN: rondo-eval %s | FileCheck %s

// CHECK-LABEL: @order
// CHECK-NEXT: y: [2, 3] 1 3 5 2 4 6
rondo.kernel @order sizes ["T", "D"] bound [-1, -1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T, D] -> (T, D)>]
    outputs [#rondo.tensor<"y", result, f32, ()[T, D] -> (D, T), order = [1, 0]>]
    attributes {rondo.test_inputs = {x = dense<[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]> : tensor<3x2xf32>}} {
^bb0(%x: tensor<?x?xf32>):
  rondo.return %x : tensor<?x?xf32>
}

// G = 2 follows from H / G, D = 3 from 4 * D.
// CHECK-LABEL: @solved
// CHECK-NEXT: y: [3] 6 2 3
rondo.kernel @solved sizes ["H", "G", "D"] bound [-1, -1, -1] batch []
    inputs [#rondo.tensor<"k", argument, f32, ()[H, G, D] -> (H floordiv G)>,
            #rondo.tensor<"q", argument, f32, ()[H, G, D] -> (H)>,
            #rondo.tensor<"w", argument, f32, ()[H, G, D] -> (D * 4)>]
    outputs [#rondo.tensor<"y", result, i64, ()[H, G, D] -> (3)>]
    attributes {rondo.test_inputs = {k = dense<0.0> : tensor<3xf32>,
      q = dense<0.0> : tensor<6xf32>, w = dense<0.0> : tensor<12xf32>}} {
^bb0(%k: tensor<?xf32>, %q: tensor<?xf32>, %w: tensor<?xf32>):
  %H = rondo.size "H"
  %G = rondo.size "G"
  %D = rondo.size "D"
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c3 = arith.constant 3 : index
  %y = rondo.equation "y" (%i < %c3) -> tensor<?xindex> {
    %0 = arith.cmpi eq, %i, %c0 : index
    %1 = arith.cmpi eq, %i, %c1 : index
    %2 = arith.select %1, %G, %D : index
    %3 = arith.select %0, %H, %2 : index
    rondo.yield %3 : index
  }
  rondo.return %y : tensor<?xindex>
}
