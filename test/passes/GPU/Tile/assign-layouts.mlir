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
    // CHECK: tile.reduce max along columns {{.*}} -> <64x1xf32, lanes>
    %v = tile.reduce max along columns %o : !tile.tile<64x64xf32> -> !tile.tile<64x1xf32>
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
