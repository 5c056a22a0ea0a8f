// RUN: rondo-opt %s --pass-pipeline="builtin.module(gpu.module(gpu.func(tile-assign-layouts)))" | FileCheck %s

gpu.module @m {
  // CHECK-LABEL: gpu.func @chained
  gpu.func @chained(%m: memref<?x?xbf16>, %n: index) kernel attributes {tile.warps = 4 : i64} {
    %c0 = arith.constant 0 : index
    // What is loaded in bf16 is in shared memory.
    // CHECK: %[[A:.*]] = tile.load {{.*}} -> <64x64xbf16, shared>
    %a = tile.load %m[%c0, %c0] rows 0 below %n columns 1 below %n : memref<?x?xbf16> -> !tile.tile<64x64xbf16>
    %zero = tile.map -> !tile.tile<64x64xf32> {
    ^bb0(%r: index, %c: index):
      %0 = arith.constant 0.0 : f32
      tile.yield %0 : f32
    }
    // CHECK: %[[S:.*]] = tile.dot %[[A]], %[[A]]
    %s = tile.dot %a, %a, %zero transpose_right : !tile.tile<64x64xbf16>, !tile.tile<64x64xbf16>, !tile.tile<64x64xf32>
    // A computed left operand stays in registers, a right one goes to memory.
    // CHECK: %[[P:.*]] = tile.map %[[S]] {{.*}} -> <64x64xbf16, accumulator>
    // CHECK: tile.convert %[[P]] : <64x64xbf16, accumulator> -> <64x64xbf16, {{operand|shared}}>
    %p = tile.map %s : !tile.tile<64x64xf32> -> !tile.tile<64x64xbf16> {
    ^bb0(%x: f32, %r: index, %c: index):
      tile.yield %x : f32
    }
    // CHECK: tile.dot {{.*}} : <64x64xbf16, operand>, <64x64xbf16, shared>, <64x64xf32, accumulator>
    %o = tile.dot %p, %p, %zero : !tile.tile<64x64xbf16>, !tile.tile<64x64xbf16>, !tile.tile<64x64xf32>
    // CHECK: tile.reduce max along columns {{.*}} -> <64x1xf32, slice>
    %v = tile.reduce max along columns %o : !tile.tile<64x64xf32> -> !tile.tile<64x1xf32>
    gpu.return
  }

  // What meets a vector that rows were reduced to is where that is, also around
  // a loop; scans are for lanes.
  // CHECK-LABEL: gpu.func @slices
  gpu.func @slices(%m: memref<?x?xbf16>, %g: memref<?xf32>, %n: index) kernel attributes {tile.warps = 4 : i64} {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %a = tile.load %m[%c0, %c0] rows 0 below %n columns 1 below %n : memref<?x?xbf16> -> !tile.tile<64x64xbf16>
    // CHECK: %[[FIRST:.*]] = tile.load {{.*}} -> <64x1xf32, lanes>
    // CHECK: %[[START:.*]] = tile.convert %[[FIRST]] : <64x1xf32, lanes> -> <64x1xf32, slice>
    %first = tile.load %g[%c0] rows 0 below %n : memref<?xf32> -> !tile.tile<64x1xf32>
    // CHECK: scf.for {{.*}} iter_args(%{{.*}} = %[[START]])
    %r = scf.for %i = %c0 to %n step %c1 iter_args(%v = %first) -> (!tile.tile<64x1xf32>) {
      %s = tile.reduce sum along columns %a : !tile.tile<64x64xbf16> -> !tile.tile<64x1xf32>
      // CHECK: tile.map {{.*}} -> <64x1xf32, slice>
      %t = tile.map %s, %v : !tile.tile<64x1xf32>, !tile.tile<64x1xf32> -> !tile.tile<64x1xf32> {
      ^bb0(%x: f32, %y: f32, %p: index, %q: index):
        %0 = arith.addf %x, %y : f32
        tile.yield %0 : f32
      }
      scf.yield %t : !tile.tile<64x1xf32>
    }
    // CHECK: tile.convert {{.*}} : <64x1xf32, slice> -> <64x1xf32, lanes>
    // CHECK: tile.scan
    %z = tile.scan sum %r : !tile.tile<64x1xf32> -> !tile.tile<64x1xf32>
    gpu.return
  }

  // Not a kernel on tiles: nothing happens.
  // CHECK-LABEL: gpu.func @other
  // CHECK: tile.scan {{.*}} : <64x1xf32> -> <64x1xf32>
  gpu.func @other(%a: !tile.tile<64x1xf32>) {
    %0 = tile.scan sum %a : !tile.tile<64x1xf32> -> !tile.tile<64x1xf32>
    gpu.return
  }
}
