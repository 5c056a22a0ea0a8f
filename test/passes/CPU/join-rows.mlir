// RUN: rondo-opt %s -rondo-join-rows -canonicalize -cse | FileCheck %s

// Both loops and the op over all rows become one nest. What stands between them
// and the op is moved; p[0], which nothing else reads, is not stored.

#point = affine_map<(d0, d1) -> (d0, d1)>
#row = affine_map<(d0) -> (d0)>

// CHECK-LABEL: func @decays
// CHECK: scf.for
// CHECK-NOT: scf.for
// CHECK: linalg.generic
// CHECK-SAME: iterator_types = ["parallel"]
// CHECK: ^bb0(%[[A0:[a-z0-9_]+]]: f32, %[[A1:[a-z0-9_]+]]: f32, %[[Q0:[a-z0-9_]+]]: f32, %[[Q1:[a-z0-9_]+]]: f32
// CHECK: %[[P:.*]] = arith.mulf %[[A0]], %[[A1]]
// CHECK: %[[D0:.*]] = arith.mulf %[[Q0]], %[[A0]]
// CHECK: %[[D1:.*]] = arith.mulf %[[Q1]], %[[P]]
// CHECK: linalg.yield %[[P]], %[[A1]], %[[P]], %[[D0]], %[[D1]] :
// CHECK: linalg.fill
func.func @decays(%n: index, %a: memref<2x8xf32>, %q: memref<2x8xf32>, %last: memref<8xf32>, %workspace: memref<?xi8>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %c64 = arith.constant 64 : index
  %c128 = arith.constant 128 : index
  %c192 = arith.constant 192 : index
  %c256 = arith.constant 256 : index
  %zero = arith.constant 0.0 : f32
  %p = memref.view %workspace[%c0][] : memref<?xi8> to memref<2x8xf32>
  %s = memref.view %workspace[%c64][] : memref<?xi8> to memref<2x8xf32>
  %d = memref.view %workspace[%c128][] : memref<?xi8> to memref<2x8xf32>
  %other = memref.view %workspace[%c192][] : memref<?xi8> to memref<8xf32>
  scf.for %c = %c0 to %n step %c1 {
    scf.for %r = %c0 to %c2 step %c1 {
      %previous = arith.subi %r, %c1 : index
      %first = arith.cmpi eq, %r, %c0 : index
      %before = arith.select %first, %c0, %previous : index
      %a_r = memref.subview %a[%r, 0] [1, 8] [1, 1] : memref<2x8xf32> to memref<8xf32, strided<[1], offset: ?>>
      %p_before = memref.subview %p[%before, 0] [1, 8] [1, 1] : memref<2x8xf32> to memref<8xf32, strided<[1], offset: ?>>
      %p_r = memref.subview %p[%r, 0] [1, 8] [1, 1] : memref<2x8xf32> to memref<8xf32, strided<[1], offset: ?>>
      linalg.generic {indexing_maps = [#row, #row, #row], iterator_types = ["parallel"]}
          ins(%p_before, %a_r : memref<8xf32, strided<[1], offset: ?>>, memref<8xf32, strided<[1], offset: ?>>)
          outs(%p_r : memref<8xf32, strided<[1], offset: ?>>) {
      ^bb0(%past: f32, %decay: f32, %out: f32):
        %product = arith.mulf %past, %decay : f32
        %now = arith.select %first, %decay, %product : f32
        linalg.yield %now : f32
      }
    }
    scf.for %r = %c0 to %c2 step %c1 {
      %at = arith.subi %c1, %r : index
      %next = arith.subi %c2, %r : index
      %first = arith.cmpi eq, %r, %c0 : index
      %behind = arith.select %first, %c0, %next : index
      %a_r = memref.subview %a[%at, 0] [1, 8] [1, 1] : memref<2x8xf32> to memref<8xf32, strided<[1], offset: ?>>
      %s_next = memref.subview %s[%behind, 0] [1, 8] [1, 1] : memref<2x8xf32> to memref<8xf32, strided<[1], offset: ?>>
      %s_r = memref.subview %s[%at, 0] [1, 8] [1, 1] : memref<2x8xf32> to memref<8xf32, strided<[1], offset: ?>>
      linalg.generic {indexing_maps = [#row, #row, #row], iterator_types = ["parallel"]}
          ins(%s_next, %a_r : memref<8xf32, strided<[1], offset: ?>>, memref<8xf32, strided<[1], offset: ?>>)
          outs(%s_r : memref<8xf32, strided<[1], offset: ?>>) {
      ^bb0(%past: f32, %decay: f32, %out: f32):
        %product = arith.mulf %past, %decay : f32
        %now = arith.select %first, %decay, %product : f32
        linalg.yield %now : f32
      }
    }
    linalg.fill ins(%zero : f32) outs(%other : memref<8xf32>)
    %v = memref.load %last[%c0] : memref<8xf32>
    memref.store %v, %a[%c0, %c0] : memref<2x8xf32>
    %rows = memref.subview %p[0, 0] [2, 8] [1, 1] : memref<2x8xf32> to memref<2x8xf32, strided<[8, 1]>>
    linalg.generic {indexing_maps = [#point, #point, #point], iterator_types = ["parallel", "parallel"]}
        ins(%q, %rows : memref<2x8xf32>, memref<2x8xf32, strided<[8, 1]>>)
        outs(%d : memref<2x8xf32>) {
    ^bb0(%query: f32, %factor: f32, %out: f32):
      %product = arith.mulf %query, %factor : f32
      linalg.yield %product : f32
    }
    %end = memref.subview %p[1, 0] [1, 8] [1, 1] : memref<2x8xf32> to memref<8xf32, strided<[1], offset: 8>>
    memref.copy %end, %last : memref<8xf32, strided<[1], offset: 8>> to memref<8xf32>
    memref.copy %d, %q : memref<2x8xf32> to memref<2x8xf32>
    memref.copy %s, %q : memref<2x8xf32> to memref<2x8xf32>
  } {rondo.steps}
  return
}

// The row before is read by other points than its own.

#swapped = affine_map<(d0, d1) -> (d1, d0)>

// CHECK-LABEL: func @other_points
// CHECK: scf.for
// CHECK: scf.for
func.func @other_points(%n: index, %a: memref<2x4x4xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  scf.for %c = %c0 to %n step %c1 {
    scf.for %r = %c0 to %c2 step %c1 {
      %before = memref.subview %a[0, 0, 0] [1, 4, 4] [1, 1, 1] : memref<2x4x4xf32> to memref<4x4xf32, strided<[4, 1]>>
      %now = memref.subview %a[%r, 0, 0] [1, 4, 4] [1, 1, 1] : memref<2x4x4xf32> to memref<4x4xf32, strided<[4, 1], offset: ?>>
      linalg.generic {indexing_maps = [#swapped, #point], iterator_types = ["parallel", "parallel"]}
          ins(%before : memref<4x4xf32, strided<[4, 1]>>)
          outs(%now : memref<4x4xf32, strided<[4, 1], offset: ?>>) {
      ^bb0(%in: f32, %out: f32):
        %negated = arith.negf %in : f32
        linalg.yield %negated : f32
      }
    }
  } {rondo.steps}
  return
}

// A view that a condition chooses stands at the known offsets of its steps.
// CHECK-LABEL: func @chosen
// CHECK-DAG: %[[FIRST:.*]] = memref.cast %{{.*}} : memref<8xf32, strided<[1]>> to memref<8xf32, strided<[1], offset: ?>>
// CHECK: arith.select %{{.*}}, %{{.*}}, %{{.*}} : memref<8xf32, strided<[1], offset: ?>>
// CHECK: arith.select %{{.*}}, %{{.*}}, %{{.*}} : memref<8xf32, strided<[1], offset: ?>>
// CHECK: linalg.generic
// CHECK-NOT: linalg.generic
// CHECK: return
func.func @chosen(%n: index, %test: i1, %a: memref<2x8xf32>, %b: memref<2x8xf32>, %workspace: memref<?xi8>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %c64 = arith.constant 64 : index
  %p = memref.view %workspace[%c0][] : memref<?xi8> to memref<2x8xf32>
  %q = memref.view %workspace[%c64][] : memref<?xi8> to memref<2x8xf32>
  scf.for %c = %c0 to %n step %c1 {
    scf.for %r = %c0 to %c2 step %c1 {
      %a_r = memref.subview %a[%r, 0] [1, 8] [1, 1] : memref<2x8xf32> to memref<8xf32, strided<[1], offset: ?>>
      %b_r = memref.subview %b[%r, 0] [1, 8] [1, 1] : memref<2x8xf32> to memref<8xf32, strided<[1], offset: ?>>
      %x_r = arith.select %test, %a_r, %b_r : memref<8xf32, strided<[1], offset: ?>>
      %p_r = memref.subview %p[%r, 0] [1, 8] [1, 1] : memref<2x8xf32> to memref<8xf32, strided<[1], offset: ?>>
      linalg.generic {indexing_maps = [#row, #row], iterator_types = ["parallel"]}
          ins(%x_r : memref<8xf32, strided<[1], offset: ?>>)
          outs(%p_r : memref<8xf32, strided<[1], offset: ?>>) {
      ^bb0(%x: f32, %out: f32):
        %twice = arith.addf %x, %x : f32
        linalg.yield %twice : f32
      }
    }
    scf.for %r = %c0 to %c2 step %c1 {
      %p_r = memref.subview %p[%r, 0] [1, 8] [1, 1] : memref<2x8xf32> to memref<8xf32, strided<[1], offset: ?>>
      %q_r = memref.subview %q[%r, 0] [1, 8] [1, 1] : memref<2x8xf32> to memref<8xf32, strided<[1], offset: ?>>
      linalg.generic {indexing_maps = [#row, #row], iterator_types = ["parallel"]}
          ins(%p_r : memref<8xf32, strided<[1], offset: ?>>)
          outs(%q_r : memref<8xf32, strided<[1], offset: ?>>) {
      ^bb0(%x: f32, %out: f32):
        %square = arith.mulf %x, %x : f32
        linalg.yield %square : f32
      }
    }
  } {rondo.steps}
  return
}

// Rows that are transposed are left to a nest of their own.
// CHECK-LABEL: func @transposed
// CHECK: scf.for
// CHECK: scf.for
// CHECK: linalg.generic
// CHECK-SAME: iterator_types = ["parallel", "parallel"]
func.func @transposed(%n: index, %a: memref<32x64xf32>, %workspace: memref<?xi8>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %c16 = arith.constant 16 : index
  %p = memref.view %workspace[%c0][] : memref<?xi8> to memref<2x64x16xf32>
  scf.for %c = %c0 to %n step %c1 {
    scf.for %r = %c0 to %c2 step %c1 {
      %first = arith.muli %r, %c16 : index
      %rows = memref.subview %a[%first, 0] [16, 64] [1, 1] : memref<32x64xf32> to memref<16x64xf32, strided<[64, 1], offset: ?>>
      %p_r = memref.subview %p[%r, 0, 0] [1, 64, 16] [1, 1, 1] : memref<2x64x16xf32> to memref<64x16xf32, strided<[16, 1], offset: ?>>
      linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d1, d0)>, #point], iterator_types = ["parallel", "parallel"]}
          ins(%rows : memref<16x64xf32, strided<[64, 1], offset: ?>>) outs(%p_r : memref<64x16xf32, strided<[16, 1], offset: ?>>) {
      ^bb0(%in: f32, %out: f32):
        linalg.yield %in : f32
      }
    }
  } {rondo.steps}
  return
}
