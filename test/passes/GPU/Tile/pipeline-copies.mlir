// RUN: rondo-opt %s --pass-pipeline="builtin.module(gpu.module(gpu.func(tile-pipeline-copies)))" | FileCheck %s

gpu.module @m {
  // CHECK-LABEL: gpu.func @ahead
  gpu.func @ahead(%m: memref<?x?xbf16>, %g: memref<?xf32>, %h: memref<?xbf16>, %n: index, %zero: !tile.tile<64x64xf32>) kernel {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c64 = arith.constant 64 : index
    // The first two steps' copies stand before the loop, a vector that can't be
    // copied by words is carried.
    // CHECK: %[[BUFFER:.*]] = tile.alloc : <3x64x64xbf16>
    // CHECK: %[[WORDS:.*]] = tile.alloc : <3x64x1xf32>
    // CHECK: tile.copy {{.*}} to %[[BUFFER]]
    // CHECK: tile.copy {{.*}} to %[[WORDS]]
    // CHECK: tile.commit
    // CHECK: tile.copy {{.*}} to %[[BUFFER]]
    // CHECK: tile.copy {{.*}} to %[[WORDS]]
    // CHECK: tile.commit
    // CHECK: %[[FIRST:.*]] = tile.load {{.*}} -> <64x1xbf16>
    // CHECK: scf.for {{.*}} iter_args(%{{.*}} = %{{.*}}, %[[H:.*]] = %[[FIRST]], %[[STAGE:.*]] = %{{.*}})
    %r = scf.for %i = %c0 to %n step %c1 iter_args(%acc = %zero) -> (!tile.tile<64x64xf32>) {
      // CHECK: arith.cmpi eq, %[[STAGE]]
      // CHECK: arith.cmpi eq, %[[STAGE]]
      // CHECK: %[[FREE:.*]] = arith.select
      // CHECK: tile.wait 1
      // CHECK: tile.copy {{.*}} to %[[BUFFER]][%[[FREE]]]
      // CHECK: tile.copy {{.*}} to %[[WORDS]][%[[FREE]]]
      // CHECK: tile.commit
      // CHECK: %[[A:.*]] = tile.view %[[BUFFER]][%[[STAGE]]]
      // CHECK: %[[G:.*]] = tile.view %[[WORDS]][%[[STAGE]]]
      %t = arith.muli %i, %c64 : index
      %a = tile.load %m[%t, %c0] rows 0 below %n columns 1 below %n : memref<?x?xbf16> -> !tile.tile<64x64xbf16>
      %v = tile.load %g[%t] rows 0 below %n : memref<?xf32> -> !tile.tile<64x1xf32>
      %w = tile.load %h[%t] rows 0 below %n : memref<?xbf16> -> !tile.tile<64x1xbf16>
      // CHECK: tile.dot %[[A]], %[[A]]
      %s = tile.dot %a, %a, %acc : !tile.tile<64x64xbf16>, !tile.tile<64x64xbf16>, !tile.tile<64x64xf32>
      // CHECK: tile.map %{{.*}}, %[[G]], %[[H]]
      %o = tile.map %s, %v, %w : !tile.tile<64x64xf32>, !tile.tile<64x1xf32>, !tile.tile<64x1xbf16> -> !tile.tile<64x64xf32> {
      ^bb0(%x: f32, %y: f32, %z: f32, %p: index, %q: index):
        %0 = arith.mulf %x, %y : f32
        tile.yield %0 : f32
      }
      scf.yield %o : !tile.tile<64x64xf32>
    }
    // Nothing is under way to the buffers when others use their memory.
    // CHECK: }
    // CHECK: }
    // CHECK-NEXT: tile.wait 0
    gpu.return
  }

  // A place that depends on what the loop carries can't be known ahead.
  // CHECK-LABEL: gpu.func @late
  // CHECK-NOT: tile.copy
  gpu.func @late(%m: memref<?x?xbf16>, %n: index) kernel {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %r = scf.for %i = %c0 to %n step %c1 iter_args(%t = %c0) -> (index) {
      %a = tile.load %m[%t, %c0] rows 0 below %n columns 1 below %n : memref<?x?xbf16> -> !tile.tile<64x64xbf16>
      tile.store %a, %m[%t, %c0] rows 0 below %n columns 1 below %n : !tile.tile<64x64xbf16>, memref<?x?xbf16>
      %u = arith.addi %t, %i : index
      scf.yield %u : index
    }
    gpu.return
  }

  // Loops one behind the other use the same buffer.
  // CHECK-LABEL: gpu.func @twice
  // CHECK: %[[BUFFER:.*]] = tile.alloc
  // CHECK-NOT: tile.alloc
  // CHECK: gpu.return
  gpu.func @twice(%m: memref<?x?xbf16>, %n: index, %zero: !tile.tile<64x64xf32>) kernel {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %r = scf.for %i = %c0 to %n step %c1 iter_args(%acc = %zero) -> (!tile.tile<64x64xf32>) {
      %a = tile.load %m[%i, %c0] rows 0 below %n columns 1 below %n : memref<?x?xbf16> -> !tile.tile<64x64xbf16>
      %s = tile.dot %a, %a, %acc : !tile.tile<64x64xbf16>, !tile.tile<64x64xbf16>, !tile.tile<64x64xf32>
      scf.yield %s : !tile.tile<64x64xf32>
    }
    %t = scf.for %i = %c0 to %n step %c1 iter_args(%acc = %r) -> (!tile.tile<64x64xf32>) {
      %a = tile.load %m[%i, %c0] rows 0 below %n columns 1 below %n : memref<?x?xbf16> -> !tile.tile<64x64xbf16>
      %s = tile.dot %a, %a, %acc : !tile.tile<64x64xbf16>, !tile.tile<64x64xbf16>, !tile.tile<64x64xf32>
      scf.yield %s : !tile.tile<64x64xf32>
    }
    gpu.return
  }

  // What loops read alone is copied with the first step, and its wait is theirs.
  // CHECK-LABEL: gpu.func @before
  // CHECK: %[[BUFFER:.*]] = tile.alloc : <1x64x64xbf16>
  // CHECK: tile.copy {{.*}} to %[[BUFFER]]
  // CHECK: %[[A:.*]] = tile.view %[[BUFFER]]
  // CHECK: tile.commit
  // CHECK: scf.for
  // CHECK: tile.dot %[[A]]
  gpu.func @before(%m: memref<?x?xbf16>, %n: index, %zero: !tile.tile<64x64xf32>) kernel attributes {tile.warps = 4 : i64} {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %a = tile.load %m[%c0, %c0] rows 0 below %n columns 1 below %n : memref<?x?xbf16> -> !tile.tile<64x64xbf16>
    %r = scf.for %i = %c0 to %n step %c1 iter_args(%acc = %zero) -> (!tile.tile<64x64xf32>) {
      %b = tile.load %m[%i, %c0] rows 0 below %n columns 1 below %n : memref<?x?xbf16> -> !tile.tile<64x64xbf16>
      %s = tile.dot %a, %b, %acc : !tile.tile<64x64xbf16>, !tile.tile<64x64xbf16>, !tile.tile<64x64xf32>
      scf.yield %s : !tile.tile<64x64xf32>
    }
    gpu.return
  }
}
