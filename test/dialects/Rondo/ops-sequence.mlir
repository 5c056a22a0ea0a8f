// Whole forms are printed as they are read, in both forms. The examples of the
// operations' descriptions stand here.
// RUN: rondo-opt %s --verify-roundtrip | FileCheck %s
// RUN: rondo-opt %s --mlir-print-op-generic | rondo-opt | FileCheck %s

// CHECK-LABEL: rondo.kernel @attention
rondo.kernel @attention sizes ["T", "K", "V"] bound [-1, -1, -1] batch []
    inputs [#rondo.tensor<"q", argument, f32, ()[T, K, V] -> (T, K)>,
            #rondo.tensor<"k", argument, f32, ()[T, K, V] -> (T, K)>,
            #rondo.tensor<"v", argument, f32, ()[T, K, V] -> (T, V)>]
    outputs [#rondo.tensor<"o", result, f32, ()[T, K, V] -> (T, V)>] {
^bb0(%q: tensor<?x?xf32>, %k: tensor<?x?xf32>, %v: tensor<?x?xf32>):
  %T = rondo.size "T"
  %K = rondo.size "K"
  %V = rondo.size "V"
  %c0 = arith.constant 0 : index
  // o[t, j] = sum[u] (softmax[u | u <= t] sum[i] q[t, i] * k[u, i]) * v[u, j]
  // CHECK: rondo.attention "o" softmax sizes (%{{.*}}) over (%{{.*}}) to (%{{.*}}) values (%{{.*}}) -> tensor<?x?xf32>
  // CHECK-SAME: score {
  %o = rondo.attention "o" softmax sizes (%T) over (%c0) to (%T) values (%V) -> tensor<?x?xf32>
  score {
  // CHECK-NEXT: ^bb0(%[[T:.*]]: index, %[[U:.*]]: index):
  ^bb0(%t: index, %u: index):
    // CHECK: rondo.reduce sum (%[[I:.*]] = %{{.*}} to %{{.*}}) -> f32 {
    // CHECK-NEXT: rondo.read %{{.*}}[%[[T]], %[[I]]]
    %s = rondo.reduce sum (%i = %c0 to %K) -> f32 {
      %0 = rondo.read %q[%t, %i] : tensor<?x?xf32> -> f32
      %1 = rondo.read %k[%u, %i] : tensor<?x?xf32> -> f32
      %2 = arith.mulf %0, %1 : f32
      rondo.yield %2 : f32
    }
    %mask = arith.cmpi sle, %u, %t : index
    // CHECK: rondo.yield %{{.*}} where %{{.*}} : f32
    rondo.yield %s where %mask : f32
  // CHECK: } value {
  } value {
  // CHECK-NEXT: ^bb0(%{{.*}}: index, %{{.*}}: index, %{{.*}}: index):
  ^bb0(%t: index, %u: index, %j: index):
    %0 = rondo.read %v[%u, %j] : tensor<?x?xf32> -> f32
    rondo.yield %0 : f32
  }
  rondo.return %o : tensor<?x?xf32>
}

// CHECK-LABEL: rondo.kernel @scan
rondo.kernel @scan sizes ["T", "D"] bound [-1, -1] batch []
    inputs [#rondo.tensor<"a", argument, f32, ()[T, D] -> (T, D)>,
            #rondo.tensor<"x", argument, f32, ()[T, D] -> (T, D)>,
            #rondo.tensor<"s", argument, f32, ()[T, D] -> (D)>]
    outputs [#rondo.tensor<"h", result, f32, ()[T, D] -> (T, D)>,
             #rondo.tensor<"r", result, f32, ()[T, D] -> (T, D)>] {
^bb0(%a: tensor<?x?xf32>, %x: tensor<?x?xf32>, %s: tensor<?xf32>):
  %T = rondo.size "T"
  %D = rondo.size "D"
  // h[t] = a[t] h[t-1] + x[t]
  // CHECK: rondo.scan "h" along 0 of (%{{.*}}, %{{.*}}) sizes (%{{.*}}, %{{.*}}) initial ()
  // CHECK-SAME: : (tensor<?x?xf32>, tensor<?x?xf32>, index, index) -> (tensor<?x?xf32>, tensor<?x?xf32>) {
  %p:2 = rondo.scan "h" along 0 of (%a, %x) sizes (%T, %D) initial ()
      : (tensor<?x?xf32>, tensor<?x?xf32>, index, index) -> (tensor<?x?xf32>, tensor<?x?xf32>) {
  ^bb0(%a0: f32, %h0: f32, %a1: f32, %h1: f32):
    %0 = arith.mulf %a1, %a0 : f32
    %1 = arith.mulf %a1, %h0 : f32
    %2 = arith.addf %1, %h1 : f32
    // CHECK: rondo.yield %{{.*}}, %{{.*}} : f32, f32
    rondo.yield %0, %2 : f32, f32
  }
  // CHECK: rondo.scan "r" along 0 reversed of (%{{.*}}) sizes (%{{.*}}, %{{.*}}) initial (%{{.*}})
  %r = rondo.scan "r" along 0 reversed of (%x) sizes (%T, %D) initial (%s)
      : (tensor<?x?xf32>, index, index, tensor<?xf32>) -> tensor<?x?xf32> {
  ^bb0(%0: f32, %1: f32):
    %2 = arith.maximumf %0, %1 : f32
    rondo.yield %2 : f32
  }
  rondo.return %p#1, %r : tensor<?x?xf32>, tensor<?x?xf32>
}

// CHECK-LABEL: rondo.kernel @convolution
rondo.kernel @convolution sizes ["T", "D", "E"] bound [-1, -1, -1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T, D, E] -> (T, D)>,
            #rondo.tensor<"w", argument, f32, ()[T, D, E] -> (4, D)>,
            #rondo.tensor<"d", argument, f32, ()[T, D, E] -> (4, D, E)>]
    outputs [#rondo.tensor<"y", result, f32, ()[T, D, E] -> (T, D)>,
             #rondo.tensor<"z", result, f32, ()[T, D, E] -> (T, E)>] {
^bb0(%x: tensor<?x?xf32>, %w: tensor<?x?xf32>, %d: tensor<?x?x?xf32>):
  %T = rondo.size "T"
  %D = rondo.size "D"
  %E = rondo.size "E"
  %c4 = arith.constant 4 : index
  %cm3 = arith.constant -3 : index
  // y[t, d] = sum[w in 0..4] w[w, d] * x[t - 3 + w, d]
  // CHECK: rondo.convolution "y" of %{{.*}} by %{{.*}} along 0 sizes (%{{.*}}, %{{.*}}) taps %{{.*}} offset %{{.*}} dilation 1
  // CHECK-SAME: : tensor<?x?xf32>, tensor<?x?xf32> -> tensor<?x?xf32>
  %y = rondo.convolution "y" of %x by %w along 0 sizes (%T, %D) taps %c4 offset %cm3 dilation 1
      : tensor<?x?xf32>, tensor<?x?xf32> -> tensor<?x?xf32>
  // CHECK: rondo.convolution "z" of %{{.*}} by %{{.*}} along 0 sizes (%{{.*}}, %{{.*}}) taps %{{.*}} channels %{{.*}} offset %{{.*}} dilation 2
  %z = rondo.convolution "z" of %x by %d along 0 sizes (%T, %E) taps %c4 channels %D offset %cm3 dilation 2
      : tensor<?x?xf32>, tensor<?x?x?xf32> -> tensor<?x?xf32>
  rondo.return %y, %z : tensor<?x?xf32>, tensor<?x?xf32>
}

// CHECK-LABEL: rondo.kernel @triangular_solve
rondo.kernel @triangular_solve sizes ["C", "V"] bound [-1, -1] batch []
    inputs [#rondo.tensor<"l", argument, f32, ()[C, V] -> (C, C)>,
            #rondo.tensor<"b", argument, f32, ()[C, V] -> (C, V)>]
    outputs [#rondo.tensor<"x", result, f32, ()[C, V] -> (C, V)>] {
^bb0(%l: tensor<?x?xf32>, %b: tensor<?x?xf32>):
  %C = rondo.size "C"
  %V = rondo.size "V"
  // x[r, j] = b[r, j] - sum[s | s < r] l[r, s] * x[s, j]
  // CHECK: rondo.triangular_solve "x" of %{{.*}}, %{{.*}} along 0 sizes (%{{.*}}, %{{.*}})
  // CHECK-SAME: : tensor<?x?xf32>, tensor<?x?xf32> -> tensor<?x?xf32>
  %x = rondo.triangular_solve "x" of %l, %b along 0 sizes (%C, %V)
      : tensor<?x?xf32>, tensor<?x?xf32> -> tensor<?x?xf32>
  rondo.return %x : tensor<?x?xf32>
}
