// RUN: rondo-opt %s --pass-pipeline="builtin.module(gpu.module(gpu.func(tile-overlap-steps)))" | FileCheck %s

!state = !tile.tile<64x128xf32, accumulator>
!rounded = !tile.tile<64x128xbf16, accumulator>
!operand = !tile.tile<64x128xbf16, operand>
!keys = !tile.tile<64x128xbf16, shared>
!square = !tile.tile<64x64xf32, accumulator>
!result = !tile.tile<64x64xbf16, accumulator>
!factor = !tile.tile<64x64xbf16, operand>

gpu.module @m {
  // The state is multiplied on the way to the next one: it is rounded by the step
  // that computes it, and results are stored one step later.
  // CHECK-LABEL: gpu.func @delta
  // CHECK-SAME: %[[M:[a-z0-9]*]]: memref<?x?xbf16>, %[[K:[a-z0-9]*]]: !{{.*}}, %[[FIRST:[a-z0-9]*]]: !{{.*}}, %[[N:[a-z0-9]*]]: index
  gpu.func @delta(%m: memref<?x?xbf16>, %k: !keys, %s0: !state, %n: index) kernel
      attributes {tile.warps = 4 : i64, tile.groups = 2 : i64} {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c64 = arith.constant 64 : index
    // CHECK: %[[R0:.*]] = tile.map %[[FIRST]]
    // CHECK: %[[P0:.*]] = tile.convert %[[R0]]
    // CHECK: %[[NONE:.*]] = tile.convert
    // CHECK: %[[LOOP:.*]]:3 = scf.for %[[I:.*]] = %[[LOWER:.*]] to %[[N]] step %{{.*}} iter_args(%[[S:.*]] = %[[FIRST]], %[[P:.*]] = %[[P0]], %[[OLD:.*]] = %[[NONE]])
    %r = scf.for %i = %c0 to %n step %c1 iter_args(%s = %s0) -> (!state) {
      %zero = tile.map -> !square {
      ^bb0(%a: index, %c: index):
        %0 = arith.constant 0.0 : f32
        tile.yield %0 : f32
      }
      %round = tile.map %s : !state -> !rounded {
      ^bb0(%x: f32, %a: index, %c: index):
        tile.yield %x : f32
      }
      %left = tile.convert %round : !rounded -> !operand
      // CHECK: %[[U:.*]] = tile.dot %[[P]]
      %u = tile.dot %left, %k, %zero transpose_right : !operand, !keys, !square
      %out = tile.map %u : !square -> !result {
      ^bb0(%x: f32, %a: index, %c: index):
        tile.yield %x : f32
      }
      %first = arith.muli %i, %c64 : index
      // CHECK: %[[O:.*]] = tile.convert %{{.*}} -> <64x64xbf16, operand>
      // CHECK: %[[BEFORE:.*]] = arith.subi %[[I]]
      // CHECK: %[[IS:.*]] = arith.cmpi sgt, %[[I]], %[[LOWER]]
      // CHECK: %[[PLACE:.*]] = arith.muli %[[BEFORE]]
      // CHECK: %[[LIMIT:.*]] = arith.select %[[IS]], %[[N]]
      // CHECK: tile.store %[[OLD]], %[[M]][%[[PLACE]], %{{.*}}] rows 1 below %[[N]] columns 0 below %[[LIMIT]]
      tile.store %out, %m[%first, %c0] rows 1 below %n columns 0 below %n : !result, memref<?x?xbf16>
      %f = tile.convert %out : !result -> !factor
      // CHECK: %[[NEXT:.*]] = tile.dot %{{.*}}, %[[K]], %[[S]]
      %next = tile.dot %f, %k, %s : !factor, !keys, !state
      // CHECK: %[[R1:.*]] = tile.map %[[NEXT]]
      // CHECK: %[[P1:.*]] = tile.convert %[[R1]]
      // CHECK: scf.yield %[[NEXT]], %[[P1]], %[[O]]
      scf.yield %next : !state
    }
    // CHECK: %[[LAST:.*]] = arith.subi %[[N]]
    // CHECK: arith.cmpi sgt, %[[N]], %[[LOWER]]
    // CHECK: tile.store %[[LOOP]]#2
    gpu.return
  }

  // What is only added to need not wait for products: all stays.
  // CHECK-LABEL: gpu.func @sum
  gpu.func @sum(%k: !keys, %f: !factor, %s0: !state, %n: index) kernel
      attributes {tile.warps = 4 : i64, tile.groups = 2 : i64} {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    // CHECK: scf.for {{.*}} iter_args(%{{.*}} = %{{.*}}) -> (!tile.tile<64x128xf32, accumulator>)
    %r = scf.for %i = %c0 to %n step %c1 iter_args(%s = %s0) -> (!state) {
      %next = tile.dot %f, %k, %s : !factor, !keys, !state
      scf.yield %next : !state
    }
    gpu.return
  }
}
