// Every operation is printed as it is read, in both forms. The examples of the
// operations' descriptions stand here.
// RUN: rondo-opt %s --verify-roundtrip | FileCheck %s
// RUN: rondo-opt %s --mlir-print-op-generic | rondo-opt | FileCheck %s

// CHECK-LABEL: rondo.kernel @scale
// CHECK-SAME: sizes ["T"] bound [-1] batch []
// CHECK-SAME: inputs [#rondo.tensor<"x", argument, f32, ()[s0] -> (s0)>]
// CHECK-SAME: outputs [#rondo.tensor<"y", result, f32, ()[s0] -> (s0)>]
rondo.kernel @scale sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>]
    outputs [#rondo.tensor<"y", result, f32, ()[T] -> (T)>] {
^bb0(%x: tensor<?xf32>):
  // CHECK: %[[T:.*]] = rondo.size "T"
  %T = rondo.size "T"
  // CHECK: rondo.equation "y" (%[[I:.*]] < %[[T]]) -> tensor<?xf32> {
  // CHECK-NEXT: rondo.read %{{.*}}[%[[I]]] : tensor<?xf32> -> f32
  // CHECK: rondo.yield %{{.*}} : f32
  %y = rondo.equation "y" (%t < %T) -> tensor<?xf32> {
    %0 = rondo.read %x[%t] : tensor<?xf32> -> f32
    %1 = arith.addf %0, %0 : f32
    rondo.yield %1 : f32
  }
  // CHECK: rondo.return %{{.*}} : tensor<?xf32>
  rondo.return %y : tensor<?xf32>
}

// No argument, no result, no size.
// CHECK-LABEL: rondo.kernel @empty sizes [] bound [] batch [] inputs [] outputs []
rondo.kernel @empty sizes [] bound [] batch [] inputs [] outputs [] {
  rondo.return
}

// CHECK-LABEL: rondo.kernel @specs
// CHECK-SAME: batch ["B", "H"] time "T"
// CHECK-SAME: #rondo.tensor<"k", argument, bf16, ()[s0, s1, s2, s3, s4] -> (s0, s1, s2 floordiv s3, s4)>
// CHECK-SAME: #rondo.tensor<"o", result, bf16, ()[s0, s1, s2, s3, s4] -> (s0, s1, s2), order = [0, 2, 1]>
// CHECK-SAME: attributes {rondo.note = "kept"}
rondo.kernel @specs sizes ["B", "T", "H", "G", "K"] bound [-1, -1, 8, 2, 64]
    batch ["B", "H"] time "T"
    inputs [#rondo.tensor<"k", argument, bf16, ()[B, T, H, G, K] -> (B, T, H floordiv G, K)>]
    outputs [#rondo.tensor<"o", result, bf16, ()[B, T, H, G, K] -> (B, T, H), order = [0, 2, 1]>]
    attributes {rondo.note = "kept"} {
^bb0(%k: tensor<?x?x?x?xbf16>):
  %B = rondo.size "B"
  %T = rondo.size "T"
  %H = rondo.size "H"
  %G = rondo.size "G"
  %c0 = arith.constant 0 : index
  %o = rondo.equation "o" (%b < %B, %h < %H, %t < %T) -> tensor<?x?x?xf32> {
    %group = arith.floordivsi %h, %G : index
    %0 = rondo.read %k[%b, %t, %group, %c0] : tensor<?x?x?x?xbf16> -> f32
    rondo.yield %0 : f32
  }
  rondo.return %o : tensor<?x?x?xf32>
}

// CHECK-LABEL: rondo.kernel @reduction
rondo.kernel @reduction sizes ["T", "K", "V"] bound [-1, -1, -1] batch []
    inputs [#rondo.tensor<"q", argument, f32, ()[T, K, V] -> (T, K)>,
            #rondo.tensor<"s", argument, f32, ()[T, K, V] -> (K, V)>]
    outputs [#rondo.tensor<"o", result, f32, ()[T, K, V] -> (T, V)>,
             #rondo.tensor<"top", result, f32, ()[T, K, V] -> ()>] {
^bb0(%q: tensor<?x?xf32>, %s: tensor<?x?xf32>):
  %T = rondo.size "T"
  %K = rondo.size "K"
  %V = rondo.size "V"
  %c0 = arith.constant 0 : index
  // o[t, j] = sum[i | i <= t] q[t, i] * s[i, j]
  // CHECK: rondo.equation "o" (%{{.*}} < %{{.*}}, %{{.*}} < %{{.*}}) sum (%{{.*}} = %{{.*}} to %{{.*}}) -> tensor<?x?xf32> {
  // CHECK: rondo.yield %{{.*}} where %{{.*}} : f32
  %o = rondo.equation "o" (%t < %T, %j < %V) sum (%i = %c0 to %K) -> tensor<?x?xf32> {
    %0 = rondo.read %q[%t, %i] : tensor<?x?xf32> -> f32
    %1 = rondo.read %s[%i, %j] : tensor<?x?xf32> -> f32
    %2 = arith.mulf %0, %1 : f32
    %3 = arith.cmpi sle, %i, %t : index
    rondo.yield %2 where %3 : f32
  }
  // A reduction over two dims to a scalar.
  // CHECK: rondo.equation "top" () max (%{{.*}} = %{{.*}} to %{{.*}}, %{{.*}} = %{{.*}} to %{{.*}}) attributes {note} -> tensor<f32> {
  %top = rondo.equation "top" () max (%t = %c0 to %T, %j = %c0 to %V) attributes {note} -> tensor<f32> {
    %0 = rondo.read %o[%t, %j] : tensor<?x?xf32> -> f32
    rondo.yield %0 : f32
  }
  rondo.return %o, %top : tensor<?x?xf32>, tensor<f32>
}

// CHECK-LABEL: rondo.kernel @reads
rondo.kernel @reads sizes ["T", "N", "D"] bound [-1, -1, -1] batch []
    inputs [#rondo.tensor<"x", argument, bf16, ()[T, N, D] -> (T, D)>,
            #rondo.tensor<"tokens", argument, i32, ()[T, N, D] -> (T)>,
            #rondo.tensor<"keep", argument, i1, ()[T, N, D] -> (T)>,
            #rondo.tensor<"emb", argument, f32, ()[T, N, D] -> (N, D)>]
    outputs [#rondo.tensor<"y", result, f32, ()[T, N, D] -> (T, D)>] {
^bb0(%x: tensor<?x?xbf16>, %tokens: tensor<?xi32>, %keep: tensor<?xi1>, %emb: tensor<?x?xf32>):
  %T = rondo.size "T"
  %D = rondo.size "D"
  %c16 = arith.constant 16 : index
  %y = rondo.equation "y" (%t < %T, %d < %D) -> tensor<?x?xf32> {
    // CHECK: rondo.read %{{.*}}[%{{.*}}, %{{.*}}] : tensor<?x?xbf16> -> f32
    %0 = rondo.read %x[%t, %d] : tensor<?x?xbf16> -> f32
    // CHECK: %[[ROW:.*]] = rondo.read %{{.*}}[%{{.*}}] : tensor<?xi32> -> index
    %row = rondo.read %tokens[%t] : tensor<?xi32> -> index
    // CHECK: rondo.read %{{.*}}[%{{.*}}] : tensor<?xi1> -> i1
    %1 = rondo.read %keep[%t] : tensor<?xi1> -> i1
    // CHECK: rondo.gather %{{.*}}[%[[ROW]], %{{.*}}] "emb" at [0] : tensor<?x?xf32> -> f32
    %2 = rondo.gather %emb[%row, %d] "emb" at [0] : tensor<?x?xf32> -> f32
    // CHECK: rondo.gather %{{.*}}[%{{.*}}, %[[ROW]]] else %{{.*}}[%[[ROW]], %{{.*}}] "x" at [1] : tensor<?x?xbf16>, tensor<?x?xf32> -> f32
    %8 = rondo.gather %x[%t, %row] else %emb[%row, %d] "x" at [1] : tensor<?x?xbf16>, tensor<?x?xf32> -> f32
    // CHECK: rondo.mod %{{.*}}, %{{.*}}
    %block = rondo.mod %t, %c16
    // CHECK: rondo.read %{{.*}}[%{{.*}}, %{{.*}}] else %{{.*}}[%{{.*}}, %{{.*}}] : tensor<?x?xf32>, tensor<?x?xbf16> -> f32
    %3 = rondo.read %emb[%block, %d] else %x[%t, %d] : tensor<?x?xf32>, tensor<?x?xbf16> -> f32
    %4 = arith.select %1, %0, %2 : f32
    // CHECK: rondo.sigmoid %{{.*}} : f32
    %5 = rondo.sigmoid %4 : f32
    // CHECK: rondo.softplus %{{.*}} : f32
    %6 = rondo.softplus %3 : f32
    %7 = arith.mulf %5, %6 : f32
    rondo.yield %7 : f32
  }
  rondo.return %y : tensor<?x?xf32>
}

// CHECK-LABEL: rondo.kernel @recurrence
rondo.kernel @recurrence sizes ["T", "D"] bound [-1, -1] batch [] time "T"
    inputs [#rondo.tensor<"a", argument, f32, ()[T, D] -> (T, D)>,
            #rondo.tensor<"h.initial", initial, f32, ()[T, D] -> (D)>]
    outputs [#rondo.tensor<"y", result, f32, ()[T, D] -> (T, D)>,
             #rondo.tensor<"h.final", final, f32, ()[T, D] -> (D)>] {
^bb0(%a: tensor<?x?xf32>, %given: tensor<?xf32>):
  %T = rondo.size "T"
  %D = rondo.size "D"
  %zero = rondo.equation "h.declared" (%d < %D) -> tensor<?xf32> {
    %0 = arith.constant 0.0 : f32
    rondo.yield %0 : f32
  }
  // CHECK: %[[H0:.*]] = rondo.initial %{{.*}} else %{{.*}} : tensor<?xf32>, tensor<?xf32>
  %h0 = rondo.initial %given else %zero : tensor<?xf32>, tensor<?xf32>
  // h[t, d] = a[t, d] * h[t-1, d]
  // CHECK: rondo.recurrence along(%{{.*}}) reversed [false] members ["h"] initial(%[[H0]]) batch 0 : (index, tensor<?xf32>) -> (tensor<?x?xf32>, tensor<?xf32>) {
  // CHECK-NEXT: ^bb0(%{{.*}}: index, %{{.*}}: tensor<?x?xf32>):
  %h:2 = rondo.recurrence along (%T) reversed [false] members ["h"] initial (%h0) batch 0
      : (index, tensor<?xf32>) -> (tensor<?x?xf32>, tensor<?xf32>) {
  ^bb0(%t: index, %past: tensor<?x?xf32>):
    %c1 = arith.constant 1 : index
    %before = arith.subi %t, %c1 : index
    %next = rondo.equation "h" (%d < %D) -> tensor<?xf32> {
      %0 = rondo.read %a[%t, %d] : tensor<?x?xf32> -> f32
      %1 = rondo.read %past[%before, %d] else %h0[%d] : tensor<?x?xf32>, tensor<?xf32> -> f32
      %2 = arith.mulf %0, %1 : f32
      rondo.yield %2 : f32
    }
    // CHECK: rondo.yield %{{.*}} : tensor<?xf32>
    rondo.yield %next : tensor<?xf32>
  }
  rondo.return %h#0, %h#1 : tensor<?x?xf32>, tensor<?xf32>
}

// Two dims, one of them backward; a state and a local.
// CHECK-LABEL: rondo.kernel @grid
rondo.kernel @grid sizes ["Y", "X"] bound [-1, -1] batch []
    inputs [#rondo.tensor<"a", argument, f32, ()[Y, X] -> (Y, X)>]
    outputs [#rondo.tensor<"h", result, f32, ()[Y, X] -> (Y, X)>,
             #rondo.tensor<"u", result, f32, ()[Y, X] -> (Y, X)>] {
^bb0(%a: tensor<?x?xf32>):
  %Y = rondo.size "Y"
  %X = rondo.size "X"
  %h0 = rondo.equation "h.declared" () -> tensor<f32> {
    %0 = arith.constant 1.0 : f32
    rondo.yield %0 : f32
  }
  // CHECK: rondo.recurrence along(%{{.*}}, %{{.*}}) reversed [false, true] members ["h", "u"]
  %r:3 = rondo.recurrence along (%Y, %X) reversed [false, true] members ["h", "u"] initial (%h0) batch 0
      : (index, index, tensor<f32>) -> (tensor<?x?xf32>, tensor<?x?xf32>, tensor<f32>) {
  ^bb0(%y: index, %x: index, %pastH: tensor<?x?xf32>, %pastU: tensor<?x?xf32>):
    %c1 = arith.constant 1 : index
    %above = arith.subi %y, %c1 : index
    %right = arith.addi %x, %c1 : index
    %u = rondo.equation "u" () -> tensor<f32> {
      %0 = rondo.read %pastH[%above, %x] else %h0[] : tensor<?x?xf32>, tensor<f32> -> f32
      %1 = rondo.read %pastU[%y, %right] : tensor<?x?xf32> -> f32
      %2 = arith.addf %0, %1 : f32
      rondo.yield %2 : f32
    }
    %h = rondo.equation "h" () -> tensor<f32> {
      %0 = rondo.read %u[] : tensor<f32> -> f32
      %1 = rondo.read %a[%y, %x] : tensor<?x?xf32> -> f32
      %2 = arith.mulf %0, %1 : f32
      rondo.yield %2 : f32
    }
    rondo.yield %h, %u : tensor<f32>, tensor<f32>
  }
  rondo.return %r#0, %r#1 : tensor<?x?xf32>, tensor<?x?xf32>
}

// CHECK-LABEL: rondo.kernel @gradient
rondo.kernel @gradient sizes ["D"] bound [-1] batch []
    inputs [#rondo.tensor<"w", argument, f32, ()[D] -> (D)>]
    outputs [#rondo.tensor<"g", result, f32, ()[D] -> (D)>] {
^bb0(%w: tensor<?xf32>):
  %D = rondo.size "D"
  %g = rondo.equation "g" (%d < %D) -> tensor<?xf32> {
    %0 = rondo.read %w[%d] : tensor<?xf32> -> f32
    %1 = arith.mulf %0, %0 : f32
    // CHECK: rondo.grad %{{.*}} wrt %{{.*}} : f32
    %2 = rondo.grad %1 wrt %0 : f32
    rondo.yield %2 : f32
  }
  rondo.return %g : tensor<?xf32>
}

// Sigmoid and softplus are elementwise on vectors too.
// CHECK-LABEL: func.func @vectors
func.func @vectors(%x: vector<8xf32>) -> vector<8xf32> {
  // CHECK: rondo.sigmoid %{{.*}} : vector<8xf32>
  %0 = rondo.sigmoid %x : vector<8xf32>
  // CHECK: rondo.softplus %{{.*}} : vector<8xf32>
  %1 = rondo.softplus %0 : vector<8xf32>
  return %1 : vector<8xf32>
}

// CHECK-LABEL: rondo.kernel @iterate
rondo.kernel @iterate sizes ["B"] bound [-1] batch ["B"]
    inputs [#rondo.tensor<"a", argument, f32, ()[B] -> (B)>]
    outputs [#rondo.tensor<"x", result, f32, ()[B] -> (B)>] {
^bb0(%a: tensor<?xf32>):
  // CHECK: rondo.iterate from(%{{.*}}) bound 20 tolerance 9.9999999999999995E-7
  // CHECK: } otherwise {
  %x:2 = rondo.iterate from(%a) bound 20 tolerance 1.0e-6
      : (tensor<?xf32>) -> (tensor<?xf32>, tensor<?xi64>) {
  ^bb0(%now: tensor<?xf32>):
    rondo.yield %now, %now : tensor<?xf32>, tensor<?xf32>
  } otherwise {
    rondo.yield %a : tensor<?xf32>
  }
  rondo.return %x#0 : tensor<?xf32>
}
