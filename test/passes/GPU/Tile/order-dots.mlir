// RUN: rondo-opt %s --pass-pipeline="builtin.module(gpu.module(gpu.func(tile-order-dots)))" | FileCheck %s

!state = !tile.tile<64x128xf32, accumulator>
!rounded = !tile.tile<64x128xbf16, accumulator>
!operand = !tile.tile<64x128xbf16, operand>
!keys = !tile.tile<64x128xbf16, shared>
!values = !tile.tile<64x64xbf16, shared>
!square = !tile.tile<64x64xf32, accumulator>

gpu.module @m {
  // The state's dot has only to wait for what else reads the state; the result
  // is stored while it is in flight.
  // CHECK-LABEL: gpu.func @decay
  gpu.func @decay(%m: memref<?x?xbf16>, %f: memref<?x?xf32>, %n: index, %s0: !state, %b: !tile.buffer<2x64x128xbf16>,
                  %v: !values, %zero: !square) kernel attributes {tile.warps = 4 : i64} {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    // CHECK: scf.for {{.*}} iter_args(%[[S:.*]] = %{{.*}}, %[[OLD:.*]] = %{{.*}})
    %r:2 = scf.for %i = %c0 to %n step %c1 iter_args(%s = %s0, %g = %zero) -> (!state, !square) {
      // CHECK-NEXT: tile.map %[[S]]
      // CHECK: %[[LEFT:.*]] = tile.convert
      // CHECK: tile.wait 1
      // CHECK: %[[DECAYED:.*]] = tile.map %[[S]]
      // CHECK: %[[O:.*]] = tile.dot %[[LEFT]]
      // CHECK: tile.dot %{{.*}}, %{{.*}}, %[[DECAYED]]
      // Copies for other stages begin behind it.
      // CHECK: tile.copy
      // CHECK-NEXT: tile.commit
      // CHECK: %[[OUT:.*]] = tile.map %[[O]], %[[OLD]]
      // CHECK: tile.store
      // CHECK: scf.yield
      tile.wait 1
      tile.copy %m[%i, %c0] rows 0 below %n columns 1 below %n to %b[%c1] : memref<?x?xbf16>, !tile.buffer<2x64x128xbf16>
      tile.commit
      %k = tile.view %b[%c0] : !tile.buffer<2x64x128xbf16> -> !keys
      %p = tile.map %s : !state -> !rounded {
      ^bb0(%x: f32, %a: index, %c: index):
        tile.yield %x : f32
      }
      %left = tile.convert %p : !rounded -> !operand
      %o = tile.dot %left, %k, %zero transpose_right : !operand, !keys, !square
      %out = tile.map %o, %g : !square, !square -> !square {
      ^bb0(%x: f32, %y: f32, %a: index, %c: index):
        %0 = arith.addf %x, %y : f32
        tile.yield %0 : f32
      }
      tile.store %out, %f[%i, %c0] rows 0 below %n columns 1 below %n : !square, memref<?x?xf32>
      %d = tile.map %s : !state -> !state {
      ^bb0(%x: f32, %a: index, %c: index):
        %0 = arith.mulf %x, %x : f32
        tile.yield %0 : f32
      }
      %next = tile.dot %v, %k, %d : !values, !keys, !state
      scf.yield %next, %g : !state, !square
    }
    gpu.return
  }

  // Copies behind views could go to what dots in flight read: nothing moves.
  // CHECK-LABEL: gpu.func @copied
  gpu.func @copied(%m: memref<?x?xbf16>, %n: index, %b: !tile.buffer<2x64x128xbf16>,
                   %v: !values, %s0: !state) kernel attributes {tile.warps = 4 : i64} {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    // CHECK: tile.view
    // CHECK-NEXT: tile.dot
    // CHECK-NEXT: tile.copy
    // CHECK-NEXT: tile.dot
    %r = scf.for %i = %c0 to %n step %c1 iter_args(%s = %s0) -> (!state) {
      %k = tile.view %b[%c0] : !tile.buffer<2x64x128xbf16> -> !keys
      %a = tile.dot %v, %k, %s : !values, !keys, !state
      tile.copy %m[%i, %c0] rows 0 below %n columns 1 below %n to %b[%c1] : memref<?x?xbf16>, !tile.buffer<2x64x128xbf16>
      %c = tile.dot %v, %k, %a : !values, !keys, !state
      scf.yield %c : !state
    }
    gpu.return
  }
}
