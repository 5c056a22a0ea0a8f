// RUN: rondo-opt %s --rondo-merge-equations | FileCheck %s

// CHECK-LABEL: rondo.kernel @sums
// CHECK: %[[SUM:.*]] = rondo.equation "y"
// CHECK-NOT: rondo.equation "z"
// A product is not a sum.
// CHECK: %[[PROD:.*]] = rondo.equation "p"
// CHECK: rondo.equation "w"
// CHECK-NEXT: rondo.read %[[SUM]][]
// CHECK-NEXT: rondo.read %[[SUM]][]
// CHECK: rondo.return
rondo.kernel @sums sizes ["D"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[D] -> (D)>]
    outputs [#rondo.tensor<"w", result, f32, ()[D] -> ()>,
             #rondo.tensor<"p", result, f32, ()[D] -> ()>] {
^bb0(%x: tensor<?xf32>):
  %c0 = arith.constant 0 : index
  %D = rondo.size "D"
  %y = rondo.equation "y" () sum (%d = %c0 to %D) -> tensor<f32> {
    %0 = rondo.read %x[%d] : tensor<?xf32> -> f32
    rondo.yield %0 : f32
  }
  %z = rondo.equation "z" () sum (%d = %c0 to %D) -> tensor<f32> {
    %0 = rondo.read %x[%d] : tensor<?xf32> -> f32
    rondo.yield %0 : f32
  }
  %p = rondo.equation "p" () prod (%d = %c0 to %D) -> tensor<f32> {
    %0 = rondo.read %x[%d] : tensor<?xf32> -> f32
    rondo.yield %0 : f32
  }
  %w = rondo.equation "w" () -> tensor<f32> {
    %0 = rondo.read %y[] : tensor<f32> -> f32
    %1 = rondo.read %z[] : tensor<f32> -> f32
    %2 = arith.addf %0, %1 : f32
    rondo.yield %2 : f32
  }
  rondo.return %w, %p : tensor<f32>, tensor<f32>
}
