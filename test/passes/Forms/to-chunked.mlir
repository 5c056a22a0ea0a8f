// RUN: rondo-opt %s --split-input-file --rondo-to-chunked=chunk=8 --canonicalize --cse | FileCheck %s
// RUN: not rondo-opt %s --split-input-file --rondo-to-chunked=required 2>&1 | FileCheck %s --check-prefix=REQUIRED
// RUN: not rondo-opt %s --split-input-file --rondo-to-chunked=chunk=-1 2>&1 | FileCheck %s --check-prefix=NEGATIVE
// NEGATIVE: expects at least one step a chunk, found -1
// RUN: not rondo-opt %s --split-input-file --rondo-to-chunked=diagonal=both 2>&1 | FileCheck %s --check-prefix=DIAGONAL
// DIAGONAL: expects diagonal blocks by `running` or `pairs`, found `both`

// S[t, i, j] = a[t] S[t-1, i, j] + k[t, i] v[t, j]; o[t, j] = sum[i] k[t, i] S[t, i, j]
// CHECK-LABEL: rondo.kernel @decay
// CHECK: %[[C8:.*]] = arith.constant 8 : index
// CHECK: %[[CHUNKS:.*]] = arith.floordivsi %{{.*}}, %[[C8]]
// The last chunk is padded by writes of 0 and decays of 1.
// CHECK: rondo.equation "S.x0" (%{{.*}} < %[[CHUNKS]], %{{.*}} < %[[C8]], %{{.*}} < %{{.*}})
// CHECK: %[[A:.*]] = rondo.equation "S.a" (%{{.*}} < %[[CHUNKS]], %{{.*}} < %[[C8]])
// CHECK:   arith.select %{{.*}}, %{{.*}}, %cst
// Products of decays step by step, within each chunk.
// CHECK: rondo.scan "S.product" along 1 of (%[[A]])
// CHECK: %[[FACTORS:.*]] = rondo.equation "S.factors"
// CHECK: rondo.scan "S.pairs" along 1 of (%[[FACTORS]])
// CHECK: %[[S:.*]]:2 = rondo.recurrence along(%[[CHUNKS]]) reversed [false] members ["S"]
// CHECK:   rondo.equation "S.written" {{.*}} sum (%{{.*}} = %c0 to %[[C8]])
// CHECK: rondo.equation "S.out.start"
// CHECK:   rondo.read %[[S]]#0
// CHECK: rondo.equation "S.dots"
// CHECK: rondo.equation "S.out.within"
// CHECK: rondo.equation "o" (%[[T:.*]] < %{{.*}}, %{{.*}} < %{{.*}})
// CHECK-DAG: arith.floordivsi %[[T]], %[[C8]]
// CHECK-DAG: rondo.mod %[[T]], %[[C8]]
// CHECK: rondo.return %{{.*}}, %[[S]]#1
// CHECK-NOT: members ["S"]
// REQUIRED-NOT: 'decay' has no chunkwise form
rondo.kernel @decay sizes ["T", "K", "V"] bound [-1, -1, -1] batch []
    inputs [#rondo.tensor<"a", argument, f32, ()[T, K, V] -> (T)>,
            #rondo.tensor<"k", argument, f32, ()[T, K, V] -> (T, K)>,
            #rondo.tensor<"v", argument, f32, ()[T, K, V] -> (T, V)>,
            #rondo.tensor<"S.initial", initial, f32, ()[T, K, V] -> (K, V)>]
    outputs [#rondo.tensor<"o", result, f32, ()[T, K, V] -> (T, V)>,
             #rondo.tensor<"S.final", final, f32, ()[T, K, V] -> (K, V)>] {
^bb0(%a: tensor<?xf32>, %k: tensor<?x?xf32>, %v: tensor<?x?xf32>, %given: tensor<?x?xf32>):
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  %T = rondo.size "T"
  %K = rondo.size "K"
  %V = rondo.size "V"
  %declared = rondo.equation "S.declared" (%i < %K, %j < %V) -> tensor<?x?xf32> {
    rondo.yield %zero : f32
  }
  %S0 = rondo.initial %given else %declared : tensor<?x?xf32>, tensor<?x?xf32>
  %S:2 = rondo.recurrence along(%T) reversed [false] members ["S"] initial(%S0) batch 0
      : (index, tensor<?x?xf32>) -> (tensor<?x?x?xf32>, tensor<?x?xf32>) {
  ^bb0(%t: index, %past: tensor<?x?x?xf32>):
    %before = arith.subi %t, %c1 : index
    %next = rondo.equation "S" (%i < %K, %j < %V) -> tensor<?x?xf32> {
      %0 = rondo.read %past[%before, %i, %j] else %S0[%i, %j] : tensor<?x?x?xf32>, tensor<?x?xf32> -> f32
      %1 = rondo.read %a[%t] : tensor<?xf32> -> f32
      %2 = arith.mulf %1, %0 : f32
      %3 = rondo.read %k[%t, %i] : tensor<?x?xf32> -> f32
      %4 = rondo.read %v[%t, %j] : tensor<?x?xf32> -> f32
      %5 = arith.mulf %3, %4 : f32
      %6 = arith.addf %2, %5 : f32
      rondo.yield %6 : f32
    }
    rondo.yield %next : tensor<?x?xf32>
  }
  %o = rondo.equation "o" (%t < %T, %j < %V) sum (%i = %c0 to %K) -> tensor<?x?xf32> {
    %0 = rondo.read %S#0[%t, %i, %j] : tensor<?x?x?xf32> -> f32
    %1 = rondo.read %k[%t, %i] : tensor<?x?xf32> -> f32
    %2 = arith.mulf %0, %1 : f32
    rondo.yield %2 : f32
  }
  rondo.return %o, %S#1 : tensor<?x?xf32>, tensor<?x?xf32>
}

// -----

// A vector state that is read as it is: nothing to contract, nothing changes.
// CHECK-LABEL: rondo.kernel @vector
// CHECK: rondo.recurrence along(%{{.*}}) reversed [false] members ["h"]
// REQUIRED: 'vector' has no chunkwise form ('h': 'y' reads the state without contracting it); compile it with --form=sequential
rondo.kernel @vector sizes ["T", "D"] bound [-1, -1] batch []
    inputs [#rondo.tensor<"a", argument, f32, ()[T, D] -> (T, D)>,
            #rondo.tensor<"h.initial", initial, f32, ()[T, D] -> (D)>]
    outputs [#rondo.tensor<"y", result, f32, ()[T, D] -> (T, D)>] {
^bb0(%a: tensor<?x?xf32>, %given: tensor<?xf32>):
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  %T = rondo.size "T"
  %D = rondo.size "D"
  %declared = rondo.equation "h.declared" (%d < %D) -> tensor<?xf32> {
    rondo.yield %zero : f32
  }
  %h0 = rondo.initial %given else %declared : tensor<?xf32>, tensor<?xf32>
  %h:2 = rondo.recurrence along(%T) reversed [false] members ["h"] initial(%h0) batch 0
      : (index, tensor<?xf32>) -> (tensor<?x?xf32>, tensor<?xf32>) {
  ^bb0(%t: index, %past: tensor<?x?xf32>):
    %before = arith.subi %t, %c1 : index
    %next = rondo.equation "h" (%d < %D) -> tensor<?xf32> {
      %0 = rondo.read %past[%before, %d] else %h0[%d] : tensor<?x?xf32>, tensor<?xf32> -> f32
      %1 = rondo.read %a[%t, %d] : tensor<?x?xf32> -> f32
      %2 = arith.mulf %1, %0 : f32
      rondo.yield %2 : f32
    }
    rondo.yield %next : tensor<?xf32>
  }
  %y = rondo.equation "y" (%t < %T, %d < %D) -> tensor<?x?xf32> {
    %0 = rondo.read %h#0[%t, %d] : tensor<?x?xf32> -> f32
    rondo.yield %0 : f32
  }
  rondo.return %y : tensor<?x?xf32>
}
