// RUN: rondo-opt %s --split-input-file --rondo-to-scan --canonicalize --cse | FileCheck %s
// RUN: not rondo-opt %s --split-input-file --rondo-to-scan=required 2>&1 | FileCheck %s --check-prefix=REQUIRED

// m[t] = max(m[t-1] + a[t], x[t]); h[t] = exp(m[t-1] - m[t]) h[t-1] + x[t]: the
// maximum first, then a recurrence whose factors are known.
// CHECK-LABEL: rondo.kernel @stages
// CHECK-NOT: rondo.recurrence
// CHECK: %[[M:.*]]:2 = rondo.scan "m" along 0 of (%{{.*}}, %{{.*}}) sizes (%{{.*}}) initial (%{{.*}}, %{{.*}})
// CHECK-NEXT: ^bb0(%[[A0:.*]]: f32, %[[B0:.*]]: f32, %[[A1:.*]]: f32, %[[B1:.*]]: f32):
// CHECK-DAG: %[[A:.*]] = arith.addf %[[A0]], %[[A1]]
// CHECK-DAG: %[[LATER:.*]] = arith.addf %[[B0]], %[[A1]]
// CHECK: %[[B:.*]] = arith.maximumf %[[LATER]], %[[B1]]
// CHECK: rondo.yield %[[A]], %[[B]]
// CHECK: rondo.equation "h.factor"
// CHECK:   rondo.read %[[M]]#1[%{{.*}}] else %{{.*}}[]
// CHECK:   math.exp
// CHECK: %[[H:.*]]:2 = rondo.scan "h" along 0
// The last step, or the initial value when there is none.
// CHECK: %[[LAST:.*]] = rondo.equation "h.last"
// CHECK:   rondo.read %[[H]]#1[%{{.*}}] else %{{.*}}[]
// CHECK: rondo.return %[[H]]#1, %[[LAST]]
// REQUIRED-NOT: 'stages' has no scan form
rondo.kernel @stages sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"a", argument, f32, ()[T] -> (T)>,
            #rondo.tensor<"x", argument, f32, ()[T] -> (T)>,
            #rondo.tensor<"m.initial", initial, f32, ()[T] -> ()>,
            #rondo.tensor<"h.initial", initial, f32, ()[T] -> ()>]
    outputs [#rondo.tensor<"h", result, f32, ()[T] -> (T)>,
             #rondo.tensor<"h.final", final, f32, ()[T] -> ()>] {
^bb0(%a: tensor<?xf32>, %x: tensor<?xf32>, %givenM: tensor<f32>, %givenH: tensor<f32>):
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  %T = rondo.size "T"
  %declared = rondo.equation "declared" () -> tensor<f32> {
    rondo.yield %zero : f32
  }
  %m0 = rondo.initial %givenM else %declared : tensor<f32>, tensor<f32>
  %h0 = rondo.initial %givenH else %declared : tensor<f32>, tensor<f32>
  %r:4 = rondo.recurrence along(%T) reversed [false] members ["m", "h"] initial(%m0, %h0) batch 0
      : (index, tensor<f32>, tensor<f32>) -> (tensor<?xf32>, tensor<?xf32>, tensor<f32>, tensor<f32>) {
  ^bb0(%t: index, %pastM: tensor<?xf32>, %pastH: tensor<?xf32>):
    %before = arith.subi %t, %c1 : index
    %m = rondo.equation "m" () -> tensor<f32> {
      %0 = rondo.read %pastM[%before] else %m0[] : tensor<?xf32>, tensor<f32> -> f32
      %1 = rondo.read %a[%t] : tensor<?xf32> -> f32
      %2 = arith.addf %0, %1 : f32
      %3 = rondo.read %x[%t] : tensor<?xf32> -> f32
      %4 = arith.maximumf %2, %3 : f32
      rondo.yield %4 : f32
    }
    %h = rondo.equation "h" () -> tensor<f32> {
      %0 = rondo.read %pastM[%before] else %m0[] : tensor<?xf32>, tensor<f32> -> f32
      %1 = rondo.read %m[] : tensor<f32> -> f32
      %2 = arith.subf %0, %1 : f32
      %3 = math.exp %2 : f32
      %4 = rondo.read %pastH[%before] else %h0[] : tensor<?xf32>, tensor<f32> -> f32
      %5 = arith.mulf %3, %4 : f32
      %6 = rondo.read %x[%t] : tensor<?xf32> -> f32
      %7 = arith.addf %5, %6 : f32
      rondo.yield %7 : f32
    }
    rondo.yield %m, %h : tensor<f32>, tensor<f32>
  }
  rondo.return %r#1, %r#3 : tensor<?xf32>, tensor<f32>
}

// -----

// h[t] = tanh(h[t-1]) + x[t] does not compose: nothing changes.
// CHECK-LABEL: rondo.kernel @nonlinear
// CHECK: rondo.recurrence
// REQUIRED: 'nonlinear' has no scan form ('h': the step of 'h' is neither affine nor a maximum of sums in its past); compile it with --form=sequential
rondo.kernel @nonlinear sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>,
            #rondo.tensor<"h.initial", initial, f32, ()[T] -> ()>]
    outputs [#rondo.tensor<"h", result, f32, ()[T] -> (T)>] {
^bb0(%x: tensor<?xf32>, %given: tensor<f32>):
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  %T = rondo.size "T"
  %declared = rondo.equation "declared" () -> tensor<f32> {
    rondo.yield %zero : f32
  }
  %h0 = rondo.initial %given else %declared : tensor<f32>, tensor<f32>
  %r:2 = rondo.recurrence along(%T) reversed [false] members ["h"] initial(%h0) batch 0
      : (index, tensor<f32>) -> (tensor<?xf32>, tensor<f32>) {
  ^bb0(%t: index, %past: tensor<?xf32>):
    %before = arith.subi %t, %c1 : index
    %h = rondo.equation "h" () -> tensor<f32> {
      %0 = rondo.read %past[%before] else %h0[] : tensor<?xf32>, tensor<f32> -> f32
      %1 = math.tanh %0 : f32
      %2 = rondo.read %x[%t] : tensor<?xf32> -> f32
      %3 = arith.addf %1, %2 : f32
      rondo.yield %3 : f32
    }
    rondo.yield %h : tensor<f32>
  }
  rondo.return %r#0 : tensor<?xf32>
}
