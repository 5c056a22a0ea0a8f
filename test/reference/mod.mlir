// The remainder of floor division has the sign of the divisor.
// RUN: rondo-eval %s | FileCheck %s

// n - 5 mod 3 for n = 0 .. 8, that is -5 .. 3, and by 0, which the interpreter
// defines as 0.
// CHECK-LABEL: @mod
// CHECK-NEXT: y: [9] 1 2 0 1 2 0 1 2 0
// CHECK-NEXT: z: [] 0
rondo.kernel @mod sizes [] bound [] batch [] inputs []
    outputs [#rondo.tensor<"y", result, i64, () -> (9)>, #rondo.tensor<"z", result, i64, () -> ()>] {
  %c0 = arith.constant 0 : index
  %c3 = arith.constant 3 : index
  %c5 = arith.constant 5 : index
  %c9 = arith.constant 9 : index
  %y = rondo.equation "y" (%n < %c9) -> tensor<?xindex> {
    %0 = arith.subi %n, %c5 : index
    %1 = rondo.mod %0, %c3
    rondo.yield %1 : index
  }
  %z = rondo.equation "z" () -> tensor<index> {
    %0 = rondo.mod %c5, %c0
    rondo.yield %0 : index
  }
  rondo.return %y, %z : tensor<?xindex>, tensor<index>
}
