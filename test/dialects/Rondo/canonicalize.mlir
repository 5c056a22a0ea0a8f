// Folds of the dialect, and what upstream's clean-up does with its operations.
// RUN: rondo-opt %s --canonicalize --cse --split-input-file | FileCheck %s

// A bound size is a constant; a run-time size stays.
// CHECK-LABEL: rondo.kernel @size
rondo.kernel @size sizes ["T", "K"] bound [-1, 64] batch []
    inputs [] outputs [#rondo.tensor<"y", result, i64, ()[T, K] -> (T)>] {
  // CHECK-DAG: %[[K:.*]] = arith.constant 64 : index
  // CHECK-DAG: %[[T:.*]] = rondo.size "T"
  %T = rondo.size "T"
  %K = rondo.size "K"
  // CHECK: rondo.equation "y" (%{{.*}} < %[[T]])
  %y = rondo.equation "y" (%t < %T) -> tensor<?xindex> {
    // CHECK-NOT: rondo.size
    // CHECK: rondo.yield %[[K]] : index
    rondo.yield %K : index
  }
  rondo.return %y : tensor<?xindex>
}

// -----

// The remainder of floor division is not negative.
// CHECK-LABEL: func.func @mod
func.func @mod(%x: index) -> (index, index, index) {
  // CHECK-DAG: %[[NINE:.*]] = arith.constant 9 : index
  // CHECK-DAG: %[[ZERO:.*]] = arith.constant 0 : index
  // CHECK-DAG: %[[C16:.*]] = arith.constant 16 : index
  // CHECK: %[[LEFT:.*]] = rondo.mod %{{.*}}, %[[C16]]
  // CHECK: return %[[NINE]], %[[ZERO]], %[[LEFT]]
  %c16 = arith.constant 16 : index
  %c1 = arith.constant 1 : index
  %minus7 = arith.constant -7 : index
  %0 = rondo.mod %minus7, %c16
  %1 = rondo.mod %x, %c1
  %2 = rondo.mod %x, %c16
  return %0, %1, %2 : index, index, index
}

// -----

// A remainder by zero or by a negative number is left alone.
// CHECK-LABEL: func.func @mod_undefined
func.func @mod_undefined(%x: index) -> (index, index) {
  %c0 = arith.constant 0 : index
  %minus3 = arith.constant -3 : index
  %c7 = arith.constant 7 : index
  // CHECK: rondo.mod
  // CHECK: rondo.mod
  %0 = rondo.mod %c7, %c0
  %1 = rondo.mod %c7, %minus3
  return %0, %1 : index, index
}

// -----

// An equation that nobody reads is dropped; two equal ones become one.
// CHECK-LABEL: rondo.kernel @dead_and_equal
rondo.kernel @dead_and_equal sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>]
    outputs [#rondo.tensor<"y", result, f32, ()[T] -> (T)>,
             #rondo.tensor<"z", result, f32, ()[T] -> (T)>] {
^bb0(%x: tensor<?xf32>):
  %T = rondo.size "T"
  // CHECK-NOT: "unused"
  %unused = rondo.equation "unused" (%t < %T) -> tensor<?xf32> {
    %0 = rondo.read %x[%t] : tensor<?xf32> -> f32
    rondo.yield %0 : f32
  }
  // CHECK: %[[Y:.*]] = rondo.equation "y"
  // CHECK-NOT: rondo.equation
  // CHECK: rondo.return %[[Y]], %[[Y]]
  %y = rondo.equation "y" (%t < %T) -> tensor<?xf32> {
    %0 = rondo.read %x[%t] : tensor<?xf32> -> f32
    %1 = math.exp %0 : f32
    rondo.yield %1 : f32
  }
  %z = rondo.equation "y" (%t < %T) -> tensor<?xf32> {
    %0 = rondo.read %x[%t] : tensor<?xf32> -> f32
    %1 = math.exp %0 : f32
    rondo.yield %1 : f32
  }
  rondo.return %y, %z : tensor<?xf32>, tensor<?xf32>
}
