// Reductions inside a body, as they stand and with equations of their own.
// RUN: rondo-eval %s | FileCheck %s
// RUN: rondo-eval --decompose %s | FileCheck %s

// y[t] = 10 * (sum[i | i <= t] x[i]) + max[i] x[i]
// CHECK-LABEL: @two
// CHECK-NEXT: y: [3] 13 43 63
rondo.kernel @two sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>]
    outputs [#rondo.tensor<"y", result, f32, ()[T] -> (T)>]
    attributes {rondo.test_inputs = {x = dense<[1.0, 3.0, 2.0]> : tensor<3xf32>}} {
^bb0(%x: tensor<?xf32>):
  %T = rondo.size "T"
  %c0 = arith.constant 0 : index
  %ten = arith.constant 10.0 : f32
  %y = rondo.equation "y" (%t < %T) -> tensor<?xf32> {
    %0 = rondo.reduce sum (%i = %c0 to %T) -> f32 {
      %3 = rondo.read %x[%i] : tensor<?xf32> -> f32
      %4 = arith.cmpi sle, %i, %t : index
      rondo.yield %3 where %4 : f32
    }
    %1 = rondo.reduce max (%i = %c0 to %T) -> f32 {
      %3 = rondo.read %x[%i] : tensor<?xf32> -> f32
      rondo.yield %3 : f32
    }
    %2 = math.fma %0, %ten, %1 : f32
    rondo.yield %2 : f32
  }
  rondo.return %y : tensor<?xf32>
}

// Nested, over a range that does not begin at 0, under a reduction, with a value
// from around it: y[t] = sum[u in 1..3] max[i in 1..3] (u * x[i] + t)
// CHECK-LABEL: @nested
// CHECK-NEXT: y: [2] 9 11
rondo.kernel @nested sizes ["T"] bound [2] batch []
    inputs [#rondo.tensor<"x", argument, i64, ()[T] -> (3)>]
    outputs [#rondo.tensor<"y", result, i64, ()[T] -> (T)>]
    attributes {rondo.test_inputs = {x = dense<[9, 3, 2]> : tensor<3xi64>}} {
^bb0(%x: tensor<?xi64>):
  %T = rondo.size "T"
  %c1 = arith.constant 1 : index
  %c3 = arith.constant 3 : index
  %y = rondo.equation "y" (%t < %T) sum (%u = %c1 to %c3) -> tensor<?xindex> {
    %0 = rondo.reduce max (%i = %c1 to %c3) -> index {
      %1 = rondo.read %x[%i] : tensor<?xi64> -> index
      %2 = arith.muli %u, %1 : index
      %3 = arith.addi %2, %t : index
      rondo.yield %3 : index
    }
    rondo.yield %0 : index
  }
  rondo.return %y : tensor<?xindex>
}

// Three deep: y = 1 + sum[i | i > 0] ((prod[j] (if any[l] i + j + l == 2 then 2
// else 3)) - 1), with i in 0..3, j and l in 0..2: 1 + (4 - 1) + (6 - 1).
// CHECK-LABEL: @deep
// CHECK-NEXT: y: [] 9
rondo.kernel @deep sizes ["N"] bound [2] batch [] inputs []
    outputs [#rondo.tensor<"y", result, i64, ()[N] -> ()>] {
  %N = rondo.size "N"
  %c0 = arith.constant 0 : index
  %c2 = arith.constant 2 : index
  %c3 = arith.constant 3 : index
  %y = rondo.equation "y" () -> tensor<index> {
    %c1 = arith.constant 1 : index
    %0 = rondo.reduce sum (%i = %c0 to %c3) -> index {
      %1 = rondo.reduce prod (%j = %c0 to %N) -> index {
        %ij = arith.addi %i, %j : index
        %2 = rondo.reduce any (%l = %c0 to %N) -> i1 {
          %3 = arith.addi %ij, %l : index
          %4 = arith.cmpi eq, %3, %c2 : index
          rondo.yield %4 : i1
        }
        %5 = arith.select %2, %c2, %c3 : index
        rondo.yield %5 : index
      }
      %6 = arith.subi %1, %c1 : index
      %7 = arith.cmpi sgt, %i, %c0 : index
      rondo.yield %6 where %7 : index
    }
    %8 = arith.addi %0, %c1 : index
    rondo.yield %8 : index
  }
  rondo.return %y : tensor<index>
}

// The range around it begins at a size: y = sum[u in T-2..T] max[i] (u * x[i]).
// CHECK-LABEL: @shifted
// CHECK-NEXT: y: [] 27
rondo.kernel @shifted sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, i64, ()[T] -> (T)>]
    outputs [#rondo.tensor<"y", result, i64, ()[T] -> ()>]
    attributes {rondo.test_inputs = {x = dense<[4, 9, 2]> : tensor<3xi64>}} {
^bb0(%x: tensor<?xi64>):
  %T = rondo.size "T"
  %c0 = arith.constant 0 : index
  %c2 = arith.constant 2 : index
  %from = arith.subi %T, %c2 : index
  %y = rondo.equation "y" () sum (%u = %from to %T) -> tensor<index> {
    %0 = rondo.reduce max (%i = %c0 to %T) -> index {
      %1 = rondo.read %x[%i] : tensor<?xi64> -> index
      %2 = arith.muli %u, %1 : index
      rondo.yield %2 : index
    }
    rondo.yield %0 : index
  }
  rondo.return %y : tensor<index>
}
