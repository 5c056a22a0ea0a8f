// RUN: rondo-opt %s --rondo-scale-exponents | FileCheck %s

// -dt has fewer indices than the product.
// CHECK-LABEL: rondo.kernel @scan
// CHECK: rondo.equation "a"
// CHECK:   %[[DT:.*]] = rondo.read %arg0[%{{.*}}]
// CHECK:   %[[MINUS:.*]] = arith.negf %[[DT]]
// CHECK:   %[[LOG:.*]] = arith.constant 1.44269502 : f32
// CHECK:   %[[SCALED:.*]] = arith.mulf %[[MINUS]], %[[LOG]]
// CHECK:   %[[PRODUCT:.*]] = arith.mulf %[[SCALED]], %{{.*}}
// CHECK:   %[[POWER:.*]] = math.exp2 %[[PRODUCT]]
// CHECK:   rondo.yield %[[POWER]]
rondo.kernel @scan sizes ["D", "N"] bound [-1, -1] batch []
    inputs [#rondo.tensor<"dt", argument, f32, ()[D, N] -> (D)>,
            #rondo.tensor<"A", argument, f32, ()[D, N] -> (D, N)>]
    outputs [#rondo.tensor<"a", result, f32, ()[D, N] -> (D, N)>] {
^bb0(%dt: tensor<?xf32>, %A: tensor<?x?xf32>):
  %D = rondo.size "D"
  %N = rondo.size "N"
  %a = rondo.equation "a" (%d < %D, %n < %N) -> tensor<?x?xf32> {
    %0 = rondo.read %dt[%d] : tensor<?xf32> -> f32
    %1 = arith.negf %0 : f32
    %2 = rondo.read %A[%d, %n] : tensor<?x?xf32> -> f32
    %3 = arith.mulf %1, %2 : f32
    %4 = math.exp %3 : f32
    rondo.yield %4 : f32
  }
  rondo.return %a : tensor<?x?xf32>
}

// A constant is a factor, too.
// CHECK-LABEL: rondo.kernel @constant
// CHECK: math.exp2
rondo.kernel @constant sizes ["D"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[D] -> (D)>]
    outputs [#rondo.tensor<"y", result, f32, ()[D] -> (D)>] {
^bb0(%x: tensor<?xf32>):
  %D = rondo.size "D"
  %half = arith.constant 0.5 : f32
  %y = rondo.equation "y" (%d < %D) -> tensor<?xf32> {
    %0 = rondo.read %x[%d] : tensor<?xf32> -> f32
    %1 = arith.mulf %0, %half : f32
    %2 = math.exp %1 : f32
    rondo.yield %2 : f32
  }
  rondo.return %y : tensor<?xf32>
}

// Nothing to gain: both factors have all indices, no product, a product that
// something else needs, another type.
// CHECK-LABEL: rondo.kernel @kept
// CHECK-NOT: exp2
// CHECK: rondo.return
rondo.kernel @kept sizes ["D"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[D] -> (D)>,
            #rondo.tensor<"z", argument, f64, ()[D] -> (D)>]
    outputs [#rondo.tensor<"y", result, f32, ()[D] -> (D)>,
             #rondo.tensor<"w", result, f64, ()[D] -> (D)>] {
^bb0(%x: tensor<?xf32>, %z: tensor<?xf64>):
  %D = rondo.size "D"
  %half = arith.constant 0.5 : f32
  %double = arith.constant 0.5 : f64
  %y = rondo.equation "y" (%d < %D) -> tensor<?xf32> {
    %0 = rondo.read %x[%d] : tensor<?xf32> -> f32
    %1 = arith.mulf %0, %0 : f32
    %2 = math.exp %1 : f32
    %3 = math.exp %0 : f32
    %4 = arith.mulf %0, %half : f32
    %5 = math.exp %4 : f32
    %6 = arith.addf %4, %5 : f32
    %7 = arith.addf %2, %3 : f32
    %8 = arith.addf %6, %7 : f32
    rondo.yield %8 : f32
  }
  %w = rondo.equation "w" (%d < %D) -> tensor<?xf64> {
    %0 = rondo.read %z[%d] : tensor<?xf64> -> f64
    %1 = arith.mulf %0, %double : f64
    %2 = math.exp %1 : f64
    rondo.yield %2 : f64
  }
  rondo.return %y, %w : tensor<?xf32>, tensor<?xf64>
}
