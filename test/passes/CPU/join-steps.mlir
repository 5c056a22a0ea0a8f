// RUN: rondo-opt %s -rondo-join-steps -canonicalize -cse --split-input-file | FileCheck %s

// An element of x goes through all steps in the body, and is not stored; the
// sums of the steps are outputs side by side.

#point = affine_map<(d0, d1) -> (d0, d1)>
#row = affine_map<(d0, d1) -> (d0)>
#column = affine_map<(d0, d1) -> (d1)>
#transposed = affine_map<(d0, d1) -> (d1, d0)>

// CHECK-LABEL: func @decays
// CHECK-NOT: scf.for
// CHECK: %[[Y0:.*]] = memref.subview %arg3[0, 0] [1, 4]
// CHECK: %[[Y1:.*]] = memref.subview %arg3[1, 0] [1, 4]
// CHECK: linalg.fill {{.*}} outs(%[[Y0]]
// CHECK: linalg.fill {{.*}} outs(%[[Y1]]
// CHECK: linalg.generic
// CHECK-SAME: iterator_types = ["parallel", "reduction"]
// CHECK-SAME: outs(%[[Y0]], %[[Y1]]
// CHECK: ^bb0({{.*}}%[[OUT0:[a-z0-9_]+]]: f32, %[[OUT1:[a-z0-9_]+]]: f32):
// CHECK: %[[X0:.*]] = arith.mulf
// CHECK: %[[TERM0:.*]] = arith.mulf %{{.*}}, %[[X0]]
// CHECK: %[[SUM0:.*]] = arith.addf %[[OUT0]], %[[TERM0]]
// CHECK: %[[X1:.*]] = arith.mulf %[[X0]]
// CHECK: %[[TERM1:.*]] = arith.mulf %{{.*}}, %[[X1]]
// CHECK: %[[SUM1:.*]] = arith.addf %[[OUT1]], %[[TERM1]]
// CHECK: linalg.yield %[[SUM0]], %[[SUM1]]
func.func @decays(%a: memref<2x8xf32>, %q: memref<2x8xf32>, %k: memref<8x4xf32>,
                  %y: memref<2x4xf32>, %workspace: memref<?xi8>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %zero = arith.constant 0.0 : f32
  %x = memref.view %workspace[%c0][] : memref<?xi8> to memref<2x8x4xf32>
  scf.for %r = %c0 to %c2 step %c1 {
    %previous = arith.subi %r, %c1 : index
    %first = arith.cmpi eq, %r, %c0 : index
    %before = arith.select %first, %c0, %previous : index
    %x_before = memref.subview %x[%before, 0, 0] [1, 8, 4] [1, 1, 1] : memref<2x8x4xf32> to memref<8x4xf32, strided<[4, 1], offset: ?>>
    %x_now = memref.subview %x[%r, 0, 0] [1, 8, 4] [1, 1, 1] : memref<2x8x4xf32> to memref<8x4xf32, strided<[4, 1], offset: ?>>
    %a_r = memref.subview %a[%r, 0] [1, 8] [1, 1] : memref<2x8xf32> to memref<8xf32, strided<[1], offset: ?>>
    %q_r = memref.subview %q[%r, 0] [1, 8] [1, 1] : memref<2x8xf32> to memref<8xf32, strided<[1], offset: ?>>
    %y_r = memref.subview %y[%r, 0] [1, 4] [1, 1] : memref<2x4xf32> to memref<4xf32, strided<[1], offset: ?>>
    linalg.generic {indexing_maps = [#point, #point, #row, #point], iterator_types = ["parallel", "parallel"]}
        ins(%x_before, %k, %a_r : memref<8x4xf32, strided<[4, 1], offset: ?>>, memref<8x4xf32>, memref<8xf32, strided<[1], offset: ?>>)
        outs(%x_now : memref<8x4xf32, strided<[4, 1], offset: ?>>) {
    ^bb0(%past: f32, %start: f32, %decay: f32, %out: f32):
      %from = arith.select %first, %start, %past : f32
      %next = arith.mulf %from, %decay : f32
      linalg.yield %next : f32
    }
    linalg.fill ins(%zero : f32) outs(%y_r : memref<4xf32, strided<[1], offset: ?>>)
    linalg.generic {indexing_maps = [#column, #transposed, #row], iterator_types = ["parallel", "reduction"]}
        ins(%q_r, %x_now : memref<8xf32, strided<[1], offset: ?>>, memref<8x4xf32, strided<[4, 1], offset: ?>>)
        outs(%y_r : memref<4xf32, strided<[1], offset: ?>>) {
    ^bb0(%query: f32, %state: f32, %out: f32):
      %term = arith.mulf %query, %state : f32
      %sum = arith.addf %out, %term : f32
      linalg.yield %sum : f32
    }
  }
  return
}

// x is needed behind the loop.

// CHECK-LABEL: func @kept
// CHECK: scf.for
func.func @kept(%q: memref<2x8xf32>, %y: memref<2x4xf32>, %last: memref<8x4xf32>, %workspace: memref<?xi8>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %zero = arith.constant 0.0 : f32
  %x = memref.view %workspace[%c0][] : memref<?xi8> to memref<2x8x4xf32>
  scf.for %r = %c0 to %c2 step %c1 {
    %x_now = memref.subview %x[%r, 0, 0] [1, 8, 4] [1, 1, 1] : memref<2x8x4xf32> to memref<8x4xf32, strided<[4, 1], offset: ?>>
    %q_r = memref.subview %q[%r, 0] [1, 8] [1, 1] : memref<2x8xf32> to memref<8xf32, strided<[1], offset: ?>>
    %y_r = memref.subview %y[%r, 0] [1, 4] [1, 1] : memref<2x4xf32> to memref<4xf32, strided<[1], offset: ?>>
    linalg.generic {indexing_maps = [#row, #point], iterator_types = ["parallel", "parallel"]}
        ins(%q_r : memref<8xf32, strided<[1], offset: ?>>)
        outs(%x_now : memref<8x4xf32, strided<[4, 1], offset: ?>>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    }
    linalg.fill ins(%zero : f32) outs(%y_r : memref<4xf32, strided<[1], offset: ?>>)
    linalg.generic {indexing_maps = [#column, #transposed, #row], iterator_types = ["parallel", "reduction"]}
        ins(%q_r, %x_now : memref<8xf32, strided<[1], offset: ?>>, memref<8x4xf32, strided<[4, 1], offset: ?>>)
        outs(%y_r : memref<4xf32, strided<[1], offset: ?>>) {
    ^bb0(%query: f32, %state: f32, %out: f32):
      %term = arith.mulf %query, %state : f32
      %sum = arith.addf %out, %term : f32
      linalg.yield %sum : f32
    }
  }
  %x_last = memref.subview %x[1, 0, 0] [1, 8, 4] [1, 1, 1] : memref<2x8x4xf32> to memref<8x4xf32, strided<[4, 1], offset: 32>>
  linalg.copy ins(%x_last : memref<8x4xf32, strided<[4, 1], offset: 32>>) outs(%last : memref<8x4xf32>)
  return
}

// -----

// With registers for two sums, four steps are two nests; x goes through the
// first two steps again in the second.

#point = affine_map<(d0, d1) -> (d0, d1)>
#row = affine_map<(d0, d1) -> (d0)>
#transposed = affine_map<(d0, d1) -> (d1, d0)>

module attributes {rondo.target = {name = "x86-64", vector_bits = 128 : i64, registers = 4 : i64}} {
// CHECK-LABEL: func.func @halves
// CHECK-NOT: scf.for
// CHECK: linalg.generic
// CHECK-SAME: outs(%{{[a-z0-9_]+}}, %{{[a-z0-9_]+}} :
// CHECK: ^bb0
// CHECK-COUNT-2: arith.mulf
// CHECK-NOT: arith.mulf
// CHECK: linalg.yield %{{.*}}, %{{.*}} : f32, f32
// CHECK: linalg.generic
// CHECK-SAME: outs(%{{[a-z0-9_]+}}, %{{[a-z0-9_]+}} :
// CHECK: ^bb0
// CHECK-COUNT-4: arith.mulf
// CHECK-NOT: arith.mulf
// CHECK: linalg.yield %{{.*}}, %{{.*}} : f32, f32
func.func @halves(%a: memref<4x8xf32>, %k: memref<8x4xf32>, %y: memref<4x4xf32>, %workspace: memref<?xi8>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %zero = arith.constant 0.0 : f32
  %x = memref.view %workspace[%c0][] : memref<?xi8> to memref<4x8x4xf32>
  scf.for %r = %c0 to %c4 step %c1 {
    %previous = arith.subi %r, %c1 : index
    %first = arith.cmpi eq, %r, %c0 : index
    %before = arith.select %first, %c0, %previous : index
    %x_before = memref.subview %x[%before, 0, 0] [1, 8, 4] [1, 1, 1] : memref<4x8x4xf32> to memref<8x4xf32, strided<[4, 1], offset: ?>>
    %x_now = memref.subview %x[%r, 0, 0] [1, 8, 4] [1, 1, 1] : memref<4x8x4xf32> to memref<8x4xf32, strided<[4, 1], offset: ?>>
    %a_r = memref.subview %a[%r, 0] [1, 8] [1, 1] : memref<4x8xf32> to memref<8xf32, strided<[1], offset: ?>>
    %y_r = memref.subview %y[%r, 0] [1, 4] [1, 1] : memref<4x4xf32> to memref<4xf32, strided<[1], offset: ?>>
    linalg.generic {indexing_maps = [#point, #point, #row, #point], iterator_types = ["parallel", "parallel"]}
        ins(%x_before, %k, %a_r : memref<8x4xf32, strided<[4, 1], offset: ?>>, memref<8x4xf32>, memref<8xf32, strided<[1], offset: ?>>)
        outs(%x_now : memref<8x4xf32, strided<[4, 1], offset: ?>>) {
    ^bb0(%past: f32, %start: f32, %decay: f32, %out: f32):
      %from = arith.select %first, %start, %past : f32
      %next = arith.mulf %from, %decay : f32
      linalg.yield %next : f32
    }
    linalg.fill ins(%zero : f32) outs(%y_r : memref<4xf32, strided<[1], offset: ?>>)
    linalg.generic {indexing_maps = [#transposed, #row], iterator_types = ["parallel", "reduction"]}
        ins(%x_now : memref<8x4xf32, strided<[4, 1], offset: ?>>)
        outs(%y_r : memref<4xf32, strided<[1], offset: ?>>) {
    ^bb0(%state: f32, %out: f32):
      %sum = arith.addf %out, %state : f32
      linalg.yield %sum : f32
    }
  }
  return
}
}
