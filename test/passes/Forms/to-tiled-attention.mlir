// RUN: rondo-opt %s --split-input-file --rondo-to-tiled-attention --canonicalize --cse | FileCheck %s
// RUN: not rondo-opt %s --split-input-file --rondo-to-tiled-attention=keys=0 2>&1 | FileCheck %s --check-prefix=NONE
// RUN: rondo-opt %s --split-input-file --rondo-to-tiled-attention=powers --canonicalize --cse | FileCheck %s --check-prefix=POWERS
// NONE: expects blocks of at least one row and one key, found 64 and 0

// Scores are multiplied by log2(e) in the queries, with their scale; weights
// that are no exponentials stay as they are.
// POWERS-LABEL: rondo.kernel @causal
// POWERS:         %[[LOG2E:.*]] = arith.constant 1.442{{.*}} : f32
// POWERS:         rondo.equation "o.queries"
// POWERS:           arith.mulf %{{.*}}, %[[LOG2E]]
// POWERS:         rondo.equation "o.keys"
// POWERS-NOT:     math.exp %
// The greatest score need not be NaN where weights are.
// POWERS:         rondo.equation "o.most" {{.*}}rondo.any_of_nan
// POWERS:         rondo.equation "o.decay"
// POWERS:           math.exp2
// POWERS:         rondo.equation "o.weights"
// POWERS:           math.exp2
// POWERS-NOT:     math.exp %
// POWERS-LABEL: rondo.kernel @window
// POWERS-NOT:     math.exp

// Causal: blocks before the diagonal run without a mask, those on it with one.
// CHECK-LABEL: rondo.kernel @causal
// CHECK: %[[Q:.*]] = rondo.equation "o.queries"
// The scale is in the queries.
// CHECK:   arith.mulf %{{.*}}, %cst
// CHECK: %[[K:.*]] = rondo.equation "o.keys"
// CHECK: %[[V:.*]] = rondo.equation "o.values"
// CHECK: rondo.recurrence along(%{{.*}}) reversed [false] members ["o.blocks"] initial()
// CHECK:   rondo.recurrence along(%{{.*}}) reversed [false] members ["o.greatest", "o.norm", "o.result"]
// CHECK:     rondo.equation "o.products"
// CHECK-NOT: "o.scores"
// CHECK:     rondo.equation "o.most"
// CHECK:     rondo.equation "o.weights"
// CHECK:     rondo.equation "o.weighted"
// CHECK:   rondo.recurrence along(%{{.*}}) reversed [false] members ["o.greatest", "o.norm", "o.result"]
// CHECK:     rondo.equation "o.scores"
// CHECK:       arith.cmpi sle
// CHECK-NOT: rondo.recurrence
// CHECK-NOT: rondo.attention
rondo.kernel @causal sizes ["T", "K"] bound [-1, -1] batch []
    inputs [#rondo.tensor<"q", argument, f32, ()[T, K] -> (T, K)>]
    outputs [#rondo.tensor<"o", result, f32, ()[T, K] -> (T, K)>] {
^bb0(%q: tensor<?x?xf32>):
  %c0 = arith.constant 0 : index
  %half = arith.constant 0.5 : f32
  %T = rondo.size "T"
  %K = rondo.size "K"
  %o = rondo.attention "o" softmax sizes (%T) over (%c0) to (%T) values (%K) -> tensor<?x?xf32>
  score {
  ^bb0(%t: index, %u: index):
    %s = rondo.reduce sum (%i = %c0 to %K) -> f32 {
      %0 = rondo.read %q[%t, %i] : tensor<?x?xf32> -> f32
      %1 = rondo.read %q[%u, %i] : tensor<?x?xf32> -> f32
      %2 = arith.mulf %0, %1 : f32
      rondo.yield %2 : f32
    }
    %scaled = arith.mulf %s, %half : f32
    %mask = arith.cmpi sle, %u, %t : index
    rondo.yield %scaled where %mask : f32
  } value {
  ^bb0(%t: index, %u: index, %j: index):
    %0 = rondo.read %q[%u, %j] : tensor<?x?xf32> -> f32
    rondo.yield %0 : f32
  }
  rondo.return %o : tensor<?x?xf32>
}

// -----

// A window of W: edges on both sides. What is read of u alone stands in blocks.
// CHECK-LABEL: rondo.kernel @window
// CHECK: rondo.equation "o.columns"
// CHECK: members ["o.blocks"]
// CHECK:   rondo.read %{{.*}}[] : tensor<i32> -> index
// CHECK-COUNT-2: members ["o.result"]
// CHECK-NOT: rondo.recurrence
rondo.kernel @window sizes ["T", "K"] bound [-1, -1] batch []
    inputs [#rondo.tensor<"q", argument, f32, ()[T, K] -> (T, K)>,
            #rondo.tensor<"c", argument, f32, ()[T, K] -> (T)>,
            #rondo.tensor<"W", argument, i32, ()[T, K] -> ()>]
    outputs [#rondo.tensor<"o", result, f32, ()[T, K] -> (T, K)>] {
^bb0(%q: tensor<?x?xf32>, %c: tensor<?xf32>, %W: tensor<i32>):
  %c0 = arith.constant 0 : index
  %T = rondo.size "T"
  %K = rondo.size "K"
  %o = rondo.attention "o" none sizes (%T) over (%c0) to (%T) values (%K) -> tensor<?x?xf32>
  score {
  ^bb0(%t: index, %u: index):
    %s = rondo.reduce sum (%i = %c0 to %K) -> f32 {
      %0 = rondo.read %q[%t, %i] : tensor<?x?xf32> -> f32
      %1 = rondo.read %q[%u, %i] : tensor<?x?xf32> -> f32
      %2 = arith.mulf %0, %1 : f32
      rondo.yield %2 : f32
    }
    %bias = rondo.read %c[%u] : tensor<?xf32> -> f32
    %biased = arith.addf %s, %bias : f32
    %w = rondo.read %W[] : tensor<i32> -> index
    %ago = arith.subi %t, %u : index
    %near = arith.cmpi slt, %ago, %w : index
    %past = arith.cmpi sle, %u, %t : index
    %mask = arith.andi %near, %past : i1
    rondo.yield %biased where %mask : f32
  } value {
  ^bb0(%t: index, %u: index, %j: index):
    %0 = rondo.read %q[%u, %j] : tensor<?x?xf32> -> f32
    rondo.yield %0 : f32
  }
  rondo.return %o : tensor<?x?xf32>
}

// -----

// No product of queries and keys: it stays.
// CHECK-LABEL: rondo.kernel @additive
// CHECK: rondo.attention
rondo.kernel @additive sizes ["T", "K"] bound [-1, -1] batch []
    inputs [#rondo.tensor<"q", argument, f32, ()[T, K] -> (T, K)>]
    outputs [#rondo.tensor<"o", result, f32, ()[T, K] -> (T, K)>] {
^bb0(%q: tensor<?x?xf32>):
  %c0 = arith.constant 0 : index
  %T = rondo.size "T"
  %K = rondo.size "K"
  %o = rondo.attention "o" softmax sizes (%T) over (%c0) to (%T) values (%K) -> tensor<?x?xf32>
  score {
  ^bb0(%t: index, %u: index):
    %s = rondo.reduce sum (%i = %c0 to %K) -> f32 {
      %0 = rondo.read %q[%t, %i] : tensor<?x?xf32> -> f32
      %1 = rondo.read %q[%u, %i] : tensor<?x?xf32> -> f32
      %2 = arith.addf %0, %1 : f32
      %3 = math.tanh %2 : f32
      rondo.yield %3 : f32
    }
    rondo.yield %s : f32
  } value {
  ^bb0(%t: index, %u: index, %j: index):
    %0 = rondo.read %q[%u, %j] : tensor<?x?xf32> -> f32
    rondo.yield %0 : f32
  }
  rondo.return %o : tensor<?x?xf32>
}
