// An equation's value at every point; reductions over nothing.
// RUN: rondo-eval %s | FileCheck %s

// Points are visited in row-major order of the result.
// CHECK-LABEL: @points
// CHECK-NEXT: y: [2, 3] 0 1 2 10 11 12
rondo.kernel @points sizes ["N"] bound [0] batch []
    inputs []
    outputs [#rondo.tensor<"y", result, i64, ()[N] -> (2, 3)>] {
  %c2 = arith.constant 2 : index
  %c3 = arith.constant 3 : index
  %c10 = arith.constant 10 : index
  %y = rondo.equation "y" (%i < %c2, %j < %c3) -> tensor<?x?xindex> {
    %0 = arith.muli %i, %c10 : index
    %1 = arith.addi %0, %j : index
    rondo.yield %1 : index
  }
  rondo.return %y : tensor<?x?xindex>
}

// A scalar is an equation without indices.
// CHECK-LABEL: @scalar
// CHECK-NEXT: y: [] 0.5
rondo.kernel @scalar sizes ["N"] bound [0] batch []
    inputs []
    outputs [#rondo.tensor<"y", result, f32, ()[N] -> ()>] {
  %y = rondo.equation "y" () -> tensor<f32> {
    %0 = arith.constant 0.5 : f32
    rondo.yield %0 : f32
  }
  rondo.return %y : tensor<f32>
}

// No point at all.
// CHECK-LABEL: @no_points
// CHECK-NEXT: y: [0, 3]{{$}}
rondo.kernel @no_points sizes ["N"] bound [0] batch []
    inputs []
    outputs [#rondo.tensor<"y", result, f32, ()[N] -> (N, 3)>] {
  %N = rondo.size "N"
  %c3 = arith.constant 3 : index
  %y = rondo.equation "y" (%i < %N, %j < %c3) -> tensor<?x?xf32> {
    %0 = arith.constant 0.5 : f32
    rondo.yield %0 : f32
  }
  rondo.return %y : tensor<?x?xf32>
}

// o[t, j] = sum[i, l | i + l <= t] q[t, i] * s[l, j] with q = 1, s = l + 1, i and l in 0..2
// CHECK-LABEL: @two_dims
// CHECK-NEXT: o: [3] 1 4 6
rondo.kernel @two_dims sizes ["N"] bound [0] batch []
    inputs []
    outputs [#rondo.tensor<"o", result, i64, ()[N] -> (3)>] {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %c3 = arith.constant 3 : index
  %o = rondo.equation "o" (%t < %c3) sum (%i = %c0 to %c2, %l = %c0 to %c2) -> tensor<?xindex> {
    %0 = arith.addi %l, %c1 : index
    %1 = arith.addi %i, %l : index
    %2 = arith.cmpi sle, %1, %t : index
    rondo.yield %0 where %2 : index
  }
  rondo.return %o : tensor<?xindex>
}

// CHECK-LABEL: @empty
// CHECK-NEXT: sum: [] 0{{$}}
// CHECK-NEXT: prod: [] 1{{$}}
// CHECK-NEXT: max: [] -inf{{$}}
// CHECK-NEXT: min: [] inf{{$}}
// CHECK-NEXT: any: [] 0{{$}}
// CHECK-NEXT: all: [] 1{{$}}
// CHECK-NEXT: imax: [] -9.223372037e+18{{$}}
// CHECK-NEXT: imin: [] 9.223372037e+18{{$}}
rondo.kernel @empty sizes ["N"] bound [0] batch []
    inputs []
    outputs [#rondo.tensor<"sum", result, f32, ()[N] -> ()>,
             #rondo.tensor<"prod", result, f32, ()[N] -> ()>,
             #rondo.tensor<"max", result, f32, ()[N] -> ()>,
             #rondo.tensor<"min", result, f32, ()[N] -> ()>,
             #rondo.tensor<"any", result, i1, ()[N] -> ()>,
             #rondo.tensor<"all", result, i1, ()[N] -> ()>,
             #rondo.tensor<"imax", result, i64, ()[N] -> ()>,
             #rondo.tensor<"imin", result, i64, ()[N] -> ()>] {
  %N = rondo.size "N"
  %c0 = arith.constant 0 : index
  %sum = rondo.equation "sum" () sum (%n = %c0 to %N) -> tensor<f32> {
    %0 = arith.constant 3.0 : f32
    rondo.yield %0 : f32
  }
  %prod = rondo.equation "prod" () prod (%n = %c0 to %N) -> tensor<f32> {
    %0 = arith.constant 3.0 : f32
    rondo.yield %0 : f32
  }
  %max = rondo.equation "max" () max (%n = %c0 to %N) -> tensor<f32> {
    %0 = arith.constant 3.0 : f32
    rondo.yield %0 : f32
  }
  %min = rondo.equation "min" () min (%n = %c0 to %N) -> tensor<f32> {
    %0 = arith.constant 3.0 : f32
    rondo.yield %0 : f32
  }
  %any = rondo.equation "any" () any (%n = %c0 to %N) -> tensor<i1> {
    %0 = arith.constant true
    rondo.yield %0 : i1
  }
  %all = rondo.equation "all" () all (%n = %c0 to %N) -> tensor<i1> {
    %0 = arith.constant true
    rondo.yield %0 : i1
  }
  %imax = rondo.equation "imax" () max (%n = %c0 to %N) -> tensor<i64> {
    rondo.yield %n : index
  }
  %imin = rondo.equation "imin" () min (%n = %c0 to %N) -> tensor<i64> {
    rondo.yield %n : index
  }
  rondo.return %sum, %prod, %max, %min, %any, %all, %imax, %imin
      : tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<i1>, tensor<i1>, tensor<i64>, tensor<i64>
}
