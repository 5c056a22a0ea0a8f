// What is kept of a tensor (passes/Forms/Storage.h).
// RUN: rondo-opt %s --rondo-to-sequential --canonicalize --cse --rondo-verify-forms | FileCheck %s

// h[t] = h[t-1] + h[t-3]: a ring of 4. What is before the start is in the ring
// before the first step, so no read is tested.
// CHECK-LABEL: func.func @ring(
// CHECK:         %[[RING:.*]] = memref.view {{.*}} to memref<4x?xf32>
// CHECK:         linalg.generic {{.*}} outs(%{{.*}} : memref<4x?xf32
// CHECK:         scf.for %[[t:.*]] = %c0
// CHECK-NOT:       arith.select
// CHECK-DAG:       %[[M1:.*]] = arith.subi %[[t]], %c1
// CHECK-DAG:       %[[S1:.*]] = rondo.mod %[[M1]], %c4
// CHECK-DAG:       memref.subview %[[RING]][%[[S1]], 0]
// CHECK-DAG:       %[[M3:.*]] = arith.subi %[[t]], %c3
// CHECK-DAG:       %[[S3:.*]] = rondo.mod %[[M3]], %c4
// CHECK-DAG:       memref.subview %[[RING]][%[[S3]], 0]
// CHECK-DAG:       %[[S0:.*]] = rondo.mod %[[t]], %c4
// CHECK-DAG:       memref.subview %[[RING]][%[[S0]], 0]
rondo.kernel @ring sizes ["T", "D"] bound [-1, -1] batch [] time "T"
    inputs [#rondo.tensor<"h.initial", initial, f32, ()[T, D] -> (D)>]
    outputs [#rondo.tensor<"h.final", final, f32, ()[T, D] -> (D)>] {
^bb0(%given: tensor<?xf32>):
  %T = rondo.size "T"
  %D = rondo.size "D"
  %c1 = arith.constant 1 : index
  %c3 = arith.constant 3 : index
  %one = rondo.equation "h.declared" (%d < %D) -> tensor<?xf32> {
    %0 = arith.constant 1.0 : f32
    rondo.yield %0 : f32
  }
  %h0 = rondo.initial %given else %one : tensor<?xf32>, tensor<?xf32>
  %h:2 = rondo.recurrence along (%T) reversed [false] members ["h"] initial (%h0) batch 0
      : (index, tensor<?xf32>) -> (tensor<?x?xf32>, tensor<?xf32>) {
  ^bb0(%t: index, %past: tensor<?x?xf32>):
    %t1 = arith.subi %t, %c1 : index
    %t3 = arith.subi %t, %c3 : index
    %next = rondo.equation "h" (%d < %D) -> tensor<?xf32> {
      %0 = rondo.read %past[%t1, %d] else %h0[%d] : tensor<?x?xf32>, tensor<?xf32> -> f32
      %1 = rondo.read %past[%t3, %d] else %h0[%d] : tensor<?x?xf32>, tensor<?xf32> -> f32
      %2 = arith.addf %0, %1 : f32
      rondo.yield %2 : f32
    }
    rondo.yield %next : tensor<?xf32>
  }
  rondo.return %h#1 : tensor<?xf32>
}

// h[t, d] = sum[e] w[d, e] * h[t-1, e]: the sum reads the step before it is
// overwritten, so one slot is enough.
// CHECK-LABEL: func.func @slot(
// CHECK-SAME:    %[[T:[^:]*]]: index, %[[D:[^:]*]]: index
// CHECK-COUNT-2: memref.view {{.*}}[%[[D]]] : memref<?xi8> to memref<?xf32>
// CHECK-NOT:     memref.view
// CHECK:         scf.for
// CHECK:           scf.for
// CHECK:             linalg.generic {{.*}}"parallel", "reduction"]}
// CHECK:             linalg.generic {{.*}}"parallel"]}
rondo.kernel @slot sizes ["T", "D"] bound [-1, -1] batch [] time "T"
    inputs [#rondo.tensor<"w", argument, f32, ()[T, D] -> (D, D)>,
            #rondo.tensor<"h.initial", initial, f32, ()[T, D] -> (D)>]
    outputs [#rondo.tensor<"h.final", final, f32, ()[T, D] -> (D)>] {
^bb0(%w: tensor<?x?xf32>, %given: tensor<?xf32>):
  %T = rondo.size "T"
  %D = rondo.size "D"
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %one = rondo.equation "h.declared" (%d < %D) -> tensor<?xf32> {
    %0 = arith.constant 1.0 : f32
    rondo.yield %0 : f32
  }
  %h0 = rondo.initial %given else %one : tensor<?xf32>, tensor<?xf32>
  %h:2 = rondo.recurrence along (%T) reversed [false] members ["h"] initial (%h0) batch 0
      : (index, tensor<?xf32>) -> (tensor<?x?xf32>, tensor<?xf32>) {
  ^bb0(%t: index, %past: tensor<?x?xf32>):
    %before = arith.subi %t, %c1 : index
    %sum = rondo.equation "h.sum" (%d < %D) sum (%e = %c0 to %D) -> tensor<?xf32> {
      %0 = rondo.read %w[%d, %e] : tensor<?x?xf32> -> f32
      %1 = rondo.read %past[%before, %e] else %h0[%e] : tensor<?x?xf32>, tensor<?xf32> -> f32
      %2 = arith.mulf %0, %1 : f32
      rondo.yield %2 : f32
    }
    %next = rondo.equation "h" (%d < %D) -> tensor<?xf32> {
      %0 = rondo.read %sum[%d] : tensor<?xf32> -> f32
      %1 = math.tanh %0 : f32
      rondo.yield %1 : f32
    }
    rondo.yield %next : tensor<?xf32>
  }
  rondo.return %h#1 : tensor<?xf32>
}

// W[t - t mod 16 - 1] is a snapshot, taken at the start of every block.
// CHECK-LABEL: func.func @block_end(
// CHECK-SAME:    %[[T:[^:]*]]: index, %[[D:[^:]*]]: index
// CHECK-DAG:     %[[W:.*]] = memref.view {{.*}}[%c0][%[[D]]] : memref<?xi8> to memref<?xf32>
// CHECK-DAG:     %[[SNAP:.*]] = memref.view {{.*}}[%{{[0-9]*}}][%[[D]]] : memref<?xi8> to memref<?xf32>
// CHECK:         scf.for %[[t:.*]] = %c0 to %[[T]]
// CHECK:           %[[REST:.*]] = rondo.mod %[[t]], %c16
// CHECK:           %[[START:.*]] = arith.cmpi eq, %[[REST]], %c0
// CHECK:           scf.if %[[START]] {
// CHECK:             linalg.generic
// CHECK:           }
// CHECK:           %[[OLD:.*]] = memref.subview %[[SNAP]]
// CHECK:           linalg.generic {{.*}} ins(%[[OLD]]
rondo.kernel @block_end sizes ["T", "D"] bound [-1, -1] batch [] time "T"
    inputs [#rondo.tensor<"W.initial", initial, f32, ()[T, D] -> (D)>]
    outputs [#rondo.tensor<"W.final", final, f32, ()[T, D] -> (D)>] {
^bb0(%given: tensor<?xf32>):
  %T = rondo.size "T"
  %D = rondo.size "D"
  %c1 = arith.constant 1 : index
  %c16 = arith.constant 16 : index
  %one = rondo.equation "W.declared" (%d < %D) -> tensor<?xf32> {
    %0 = arith.constant 1.0 : f32
    rondo.yield %0 : f32
  }
  %W0 = rondo.initial %given else %one : tensor<?xf32>, tensor<?xf32>
  %W:2 = rondo.recurrence along (%T) reversed [false] members ["W"] initial (%W0) batch 0
      : (index, tensor<?xf32>) -> (tensor<?x?xf32>, tensor<?xf32>) {
  ^bb0(%t: index, %past: tensor<?x?xf32>):
    %before = arith.subi %t, %c1 : index
    %rest = rondo.mod %t, %c16
    %end = arith.subi %before, %rest : index
    %next = rondo.equation "W" (%d < %D) -> tensor<?xf32> {
      %0 = rondo.read %past[%before, %d] else %W0[%d] : tensor<?x?xf32>, tensor<?xf32> -> f32
      %1 = rondo.read %past[%end, %d] else %W0[%d] : tensor<?x?xf32>, tensor<?xf32> -> f32
      %2 = arith.subf %0, %1 : f32
      rondo.yield %2 : f32
    }
    rondo.yield %next : tensor<?xf32>
  }
  rondo.return %W#1 : tensor<?xf32>
}

// A recurrence along Y, X keeps one row. Left of it is the initial value.
// CHECK-LABEL: func.func @rows(
// CHECK-SAME:    %[[Y:[^:]*]]: index, %[[X:[^:]*]]: index
// CHECK-DAG:     memref.view {{.*}}[%[[X]]] : memref<?xi8> to memref<?xf32>
// CHECK-DAG:     memref.view {{.*}}[] : memref<?xi8> to memref<f32>
// CHECK:         scf.for %{{.*}} = %c0 to %[[Y]]
// CHECK:           scf.for %[[x:.*]] = %c0 to %[[X]]
// CHECK:             %[[LEFT:.*]] = arith.subi %[[x]], %c1
// CHECK:             %[[INSIDE:.*]] = arith.cmpi ult, %[[LEFT]], %[[X]]
// CHECK:             arith.select %[[INSIDE]], %{{.*}}, %{{.*}} : f32
rondo.kernel @rows sizes ["Y", "X"] bound [-1, -1] batch []
    inputs [#rondo.tensor<"h.initial", initial, f32, ()[Y, X] -> ()>]
    outputs [#rondo.tensor<"h.final", final, f32, ()[Y, X] -> ()>] {
^bb0(%given: tensor<f32>):
  %Y = rondo.size "Y"
  %X = rondo.size "X"
  %c1 = arith.constant 1 : index
  %one = rondo.equation "h.declared" () -> tensor<f32> {
    %0 = arith.constant 1.0 : f32
    rondo.yield %0 : f32
  }
  %h0 = rondo.initial %given else %one : tensor<f32>, tensor<f32>
  %h:2 = rondo.recurrence along (%Y, %X) reversed [false, false] members ["h"] initial (%h0) batch 0
      : (index, index, tensor<f32>) -> (tensor<?x?xf32>, tensor<f32>) {
  ^bb0(%y: index, %x: index, %past: tensor<?x?xf32>):
    %above = arith.subi %y, %c1 : index
    %left = arith.subi %x, %c1 : index
    %next = rondo.equation "h" () -> tensor<f32> {
      %0 = rondo.read %past[%above, %x] else %h0[] : tensor<?x?xf32>, tensor<f32> -> f32
      %1 = rondo.read %past[%y, %left] else %h0[] : tensor<?x?xf32>, tensor<f32> -> f32
      %2 = arith.addf %0, %1 : f32
      rondo.yield %2 : f32
    }
    rondo.yield %next : tensor<f32>
  }
  rondo.return %h#1 : tensor<f32>
}
