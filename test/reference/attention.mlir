// Attention, as it stands and as equations.
// RUN: rondo-eval %s | FileCheck %s
// RUN: rondo-eval --decompose %s | FileCheck %s
// RUN: rondo-opt --rondo-to-tiled-attention="rows=2 keys=2" %s | rondo-eval - | FileCheck %s

// Causal softmax. At t = 1 the scores are 0 and 1: o = (1 + 10 e) / (1 + e).
// CHECK-LABEL: @causal
// CHECK-NEXT: o: [3, 2] 1 2 7.579527208 15.15905442 67.66912978 135.3382596{{$}}
rondo.kernel @causal sizes ["T", "K", "V"] bound [-1, -1, -1] batch []
    inputs [#rondo.tensor<"q", argument, f32, ()[T, K, V] -> (T, K)>,
            #rondo.tensor<"k", argument, f32, ()[T, K, V] -> (T, K)>,
            #rondo.tensor<"v", argument, f32, ()[T, K, V] -> (T, V)>]
    outputs [#rondo.tensor<"o", result, f64, ()[T, K, V] -> (T, V)>]
    attributes {rondo.test_inputs = {q = dense<[[1.0, 0.0], [0.5, 0.5], [-2.0, 1.0]]> : tensor<3x2xf32>,
      k = dense<[[0.0, 0.0], [1.0, 1.0], [1.0, 3.0]]> : tensor<3x2xf32>,
      v = dense<[[1.0, 2.0], [10.0, 20.0], [100.0, 200.0]]> : tensor<3x2xf32>}} {
^bb0(%q: tensor<?x?xf32>, %k: tensor<?x?xf32>, %v: tensor<?x?xf32>):
  %T = rondo.size "T"
  %K = rondo.size "K"
  %V = rondo.size "V"
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %o = rondo.attention "o" softmax sizes (%T) over (%c0) to (%T) values (%V) -> tensor<?x?xf64>
  score {
  ^bb0(%t: index, %u: index):
    %s = rondo.reduce sum (%i = %c0 to %K) -> f64 {
      %0 = rondo.read %q[%t, %i] : tensor<?x?xf32> -> f64
      %1 = rondo.read %k[%u, %i] : tensor<?x?xf32> -> f64
      %2 = arith.mulf %0, %1 : f64
      rondo.yield %2 : f64
    }
    %mask = arith.cmpi sle, %u, %t : index
    rondo.yield %s where %mask : f64
  } value {
  ^bb0(%t: index, %u: index, %j: index):
    %0 = rondo.read %v[%u, %j] : tensor<?x?xf32> -> f64
    rondo.yield %0 : f64
  }
  rondo.return %o : tensor<?x?xf64>
}

// Nobody to look at: 0. From 1 on: o[2] sees u = 1 only.
// CHECK-LABEL: @strict
// CHECK-NEXT: o: [3, 2] 0 0 0 0 10 20{{$}}
rondo.kernel @strict sizes ["T", "K", "V"] bound [-1, -1, -1] batch []
    inputs [#rondo.tensor<"q", argument, f32, ()[T, K, V] -> (T, K)>,
            #rondo.tensor<"k", argument, f32, ()[T, K, V] -> (T, K)>,
            #rondo.tensor<"v", argument, f32, ()[T, K, V] -> (T, V)>]
    outputs [#rondo.tensor<"o", result, f64, ()[T, K, V] -> (T, V)>]
    attributes {rondo.test_inputs = {q = dense<[[1.0, 0.0], [0.5, 0.5], [-2.0, 1.0]]> : tensor<3x2xf32>,
      k = dense<[[0.0, 0.0], [1.0, 1.0], [1.0, 3.0]]> : tensor<3x2xf32>,
      v = dense<[[1.0, 2.0], [10.0, 20.0], [100.0, 200.0]]> : tensor<3x2xf32>}} {
^bb0(%q: tensor<?x?xf32>, %k: tensor<?x?xf32>, %v: tensor<?x?xf32>):
  %T = rondo.size "T"
  %K = rondo.size "K"
  %V = rondo.size "V"
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %o = rondo.attention "o" softmax sizes (%T) over (%c1) to (%T) values (%V) -> tensor<?x?xf64>
  score {
  ^bb0(%t: index, %u: index):
    %s = rondo.reduce sum (%i = %c0 to %K) -> f64 {
      %0 = rondo.read %q[%t, %i] : tensor<?x?xf32> -> f64
      %1 = rondo.read %k[%u, %i] : tensor<?x?xf32> -> f64
      %2 = arith.mulf %0, %1 : f64
      rondo.yield %2 : f64
    }
    %mask = arith.cmpi slt, %u, %t : index
    rondo.yield %s where %mask : f64
  } value {
  ^bb0(%t: index, %u: index, %j: index):
    %0 = rondo.read %v[%u, %j] : tensor<?x?xf32> -> f64
    rondo.yield %0 : f64
  }
  rondo.return %o : tensor<?x?xf64>
}

// Scores of 1000 and 2000 do not overflow: the greatest takes all.
// CHECK-LABEL: @large
// CHECK-NEXT: o: [3, 2] 100 200 100 200 100 200{{$}}
rondo.kernel @large sizes ["T", "K", "V"] bound [-1, -1, -1] batch []
    inputs [#rondo.tensor<"q", argument, f32, ()[T, K, V] -> (T, K)>,
            #rondo.tensor<"k", argument, f32, ()[T, K, V] -> (T, K)>,
            #rondo.tensor<"v", argument, f32, ()[T, K, V] -> (T, V)>]
    outputs [#rondo.tensor<"o", result, f64, ()[T, K, V] -> (T, V)>]
    attributes {rondo.test_inputs = {q = dense<1000.0> : tensor<3x2xf32>,
      k = dense<[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]]> : tensor<3x2xf32>,
      v = dense<[[1.0, 2.0], [10.0, 20.0], [100.0, 200.0]]> : tensor<3x2xf32>}} {
^bb0(%q: tensor<?x?xf32>, %k: tensor<?x?xf32>, %v: tensor<?x?xf32>):
  %T = rondo.size "T"
  %K = rondo.size "K"
  %V = rondo.size "V"
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %o = rondo.attention "o" softmax sizes (%T) over (%c0) to (%T) values (%V) -> tensor<?x?xf64>
  score {
  ^bb0(%t: index, %u: index):
    %s = rondo.reduce sum (%i = %c0 to %K) -> f64 {
      %0 = rondo.read %q[%t, %i] : tensor<?x?xf32> -> f64
      %1 = rondo.read %k[%u, %i] : tensor<?x?xf32> -> f64
      %2 = arith.mulf %0, %1 : f64
      rondo.yield %2 : f64
    }
    rondo.yield %s : f64
  } value {
  ^bb0(%t: index, %u: index, %j: index):
    %0 = rondo.read %v[%u, %j] : tensor<?x?xf32> -> f64
    rondo.yield %0 : f64
  }
  rondo.return %o : tensor<?x?xf64>
}

// No normaliser: relu(q k + u - t), the plain sum of scores times values.
// CHECK-LABEL: @relu
// CHECK-NEXT: o: [3, 2] 320 640 310 620 100 200{{$}}
rondo.kernel @relu sizes ["T", "K", "V"] bound [-1, -1, -1] batch []
    inputs [#rondo.tensor<"q", argument, f32, ()[T, K, V] -> (T, K)>,
            #rondo.tensor<"k", argument, f32, ()[T, K, V] -> (T, K)>,
            #rondo.tensor<"v", argument, f32, ()[T, K, V] -> (T, V)>]
    outputs [#rondo.tensor<"o", result, f64, ()[T, K, V] -> (T, V)>]
    attributes {rondo.test_inputs = {q = dense<[[1.0, 0.0], [0.5, 0.5], [-2.0, 1.0]]> : tensor<3x2xf32>,
      k = dense<[[0.0, 0.0], [1.0, 1.0], [1.0, 3.0]]> : tensor<3x2xf32>,
      v = dense<[[1.0, 2.0], [10.0, 20.0], [100.0, 200.0]]> : tensor<3x2xf32>}} {
^bb0(%q: tensor<?x?xf32>, %k: tensor<?x?xf32>, %v: tensor<?x?xf32>):
  %T = rondo.size "T"
  %K = rondo.size "K"
  %V = rondo.size "V"
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %o = rondo.attention "o" none sizes (%T) over (%c0) to (%T) values (%V) -> tensor<?x?xf64>
  score {
  ^bb0(%t: index, %u: index):
    %s = rondo.reduce sum (%i = %c0 to %K) -> f64 {
      %0 = rondo.read %q[%t, %i] : tensor<?x?xf32> -> f64
      %1 = rondo.read %k[%u, %i] : tensor<?x?xf32> -> f64
      %2 = arith.mulf %0, %1 : f64
      rondo.yield %2 : f64
    }
    %distance = arith.subi %u, %t : index
    %1 = arith.index_cast %distance : index to i64
    %2 = arith.sitofp %1 : i64 to f64
    %3 = arith.addf %s, %2 : f64
    %zero = arith.constant 0.0 : f64
    %relu = arith.maximumf %3, %zero : f64
    rondo.yield %relu : f64
  } value {
  ^bb0(%t: index, %u: index, %j: index):
    %0 = rondo.read %v[%u, %j] : tensor<?x?xf32> -> f64
    rondo.yield %0 : f64
  }
  rondo.return %o : tensor<?x?xf64>
}

// Scores divided by their sum; where that is 0, the result is 0.
// CHECK-LABEL: @normalised
// CHECK-NEXT: o: [3, 2] 0 0 10 20 0 0{{$}}
rondo.kernel @normalised sizes ["T", "K", "V"] bound [-1, -1, -1] batch []
    inputs [#rondo.tensor<"q", argument, f32, ()[T, K, V] -> (T, K)>,
            #rondo.tensor<"k", argument, f32, ()[T, K, V] -> (T, K)>,
            #rondo.tensor<"v", argument, f32, ()[T, K, V] -> (T, V)>]
    outputs [#rondo.tensor<"o", result, f64, ()[T, K, V] -> (T, V)>]
    attributes {rondo.test_inputs = {q = dense<[[1.0, 0.0], [0.5, 0.5], [-2.0, 1.0]]> : tensor<3x2xf32>,
      k = dense<[[0.0, 0.0], [1.0, 1.0], [1.0, 3.0]]> : tensor<3x2xf32>,
      v = dense<[[1.0, 2.0], [10.0, 20.0], [100.0, 200.0]]> : tensor<3x2xf32>}} {
^bb0(%q: tensor<?x?xf32>, %k: tensor<?x?xf32>, %v: tensor<?x?xf32>):
  %T = rondo.size "T"
  %K = rondo.size "K"
  %V = rondo.size "V"
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %o = rondo.attention "o" sum sizes (%T) over (%c0) to (%T) values (%V) -> tensor<?x?xf64>
  score {
  ^bb0(%t: index, %u: index):
    %s = rondo.reduce sum (%i = %c0 to %K) -> f64 {
      %0 = rondo.read %q[%t, %i] : tensor<?x?xf32> -> f64
      %1 = rondo.read %k[%u, %i] : tensor<?x?xf32> -> f64
      %2 = arith.mulf %0, %1 : f64
      rondo.yield %2 : f64
    }
    %mask = arith.cmpi sle, %u, %t : index
    rondo.yield %s where %mask : f64
  } value {
  ^bb0(%t: index, %u: index, %j: index):
    %0 = rondo.read %v[%u, %j] : tensor<?x?xf32> -> f64
    rondo.yield %0 : f64
  }
  rondo.return %o : tensor<?x?xf64>
}

// Values are rows of a table, from the second token on; the first one is not in
// the table and must not be looked up. Score 0: the mean.
// CHECK-LABEL: @table
// CHECK-NEXT: o: [3] 25 25 25
rondo.kernel @table sizes ["T", "N"] bound [-1, -1] batch []
    inputs [#rondo.tensor<"tokens", argument, i32, ()[T, N] -> (T)>,
            #rondo.tensor<"table", argument, f32, ()[T, N] -> (N)>]
    outputs [#rondo.tensor<"o", result, f32, ()[T, N] -> (T)>]
    attributes {rondo.test_inputs = {tokens = dense<[-1, 1, 2]> : tensor<3xi32>,
      table = dense<[10.0, 20.0, 30.0]> : tensor<3xf32>}} {
^bb0(%tokens: tensor<?xi32>, %table: tensor<?xf32>):
  %T = rondo.size "T"
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  %o = rondo.attention "o" softmax sizes (%T) over (%c1) to (%T) values () -> tensor<?xf32>
  score {
  ^bb0(%t: index, %u: index):
    %row = rondo.read %tokens[%u] : tensor<?xi32> -> index
    %0 = rondo.gather %table[%row] "table" at [0] : tensor<?xf32> -> f32
    %1 = arith.mulf %0, %zero : f32
    rondo.yield %1 : f32
  } value {
  ^bb0(%t: index, %u: index):
    %row = rondo.read %tokens[%u] : tensor<?xi32> -> index
    %0 = rondo.gather %table[%row] "table" at [0] : tensor<?xf32> -> f32
    rondo.yield %0 : f32
  }
  rondo.return %o : tensor<?xf32>
}

// The statistics. Row 0 sees the scores 1 and 1 - ln 2, row 1 sees nothing, row 2
// scores of -inf only.
// CHECK-LABEL: @statistics
// CHECK-NEXT: o: [3, 1] 3 0 0{{$}}
// CHECK-NEXT: m: [3] 1 -inf -inf{{$}}
// CHECK-NEXT: l: [3] 1.499999999 0 0{{$}}
rondo.kernel @statistics sizes ["T", "K"] bound [-1, -1] batch []
    inputs [#rondo.tensor<"q", argument, f32, ()[T, K] -> (T, K)>,
            #rondo.tensor<"k", argument, f32, ()[T, K] -> (T, K)>,
            #rondo.tensor<"v", argument, f32, ()[T, K] -> (T)>]
    outputs [#rondo.tensor<"o", result, f64, ()[T, K] -> (T, K)>,
             #rondo.tensor<"m", result, f64, ()[T, K] -> (T)>,
             #rondo.tensor<"l", result, f64, ()[T, K] -> (T)>]
    attributes {rondo.test_inputs = {q = dense<[[1.0], [1.0], [0xFF800000]]> : tensor<3x1xf32>,
      k = dense<[[1.0], [1.0], [0.3068528194400547]]> : tensor<3x1xf32>,
      v = dense<[3.0, 0.0, 3.0]> : tensor<3xf32>}} {
^bb0(%q: tensor<?x?xf32>, %k: tensor<?x?xf32>, %v: tensor<?xf32>):
  %T = rondo.size "T"
  %K = rondo.size "K"
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %o, %s:2 = rondo.attention "o" softmax sizes (%T) over (%c0) to (%T) values (%K) -> tensor<?x?xf64>
      statistics tensor<?xf64>, tensor<?xf64>
  score {
  ^bb0(%t: index, %u: index):
    %s = rondo.reduce sum (%i = %c0 to %K) -> f64 {
      %0 = rondo.read %q[%t, %i] : tensor<?x?xf32> -> f64
      %1 = rondo.read %k[%u, %i] : tensor<?x?xf32> -> f64
      %2 = arith.mulf %0, %1 : f64
      rondo.yield %2 : f64
    }
    %isEven = arith.cmpi ne, %t, %c1 : index
    %isOdd = arith.cmpi ne, %u, %c1 : index
    %mask = arith.andi %isEven, %isOdd : i1
    rondo.yield %s where %mask : f64
  } value {
  ^bb0(%t: index, %u: index, %j: index):
    %0 = rondo.read %v[%u] : tensor<?xf32> -> f64
    rondo.yield %0 : f64
  }
  rondo.return %o, %s#0, %s#1 : tensor<?x?xf64>, tensor<?xf64>, tensor<?xf64>
}
