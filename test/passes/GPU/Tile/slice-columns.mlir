// RUN: rondo-opt %s --pass-pipeline="builtin.module(gpu.module(gpu.func(tile-slice-columns,canonicalize,cse)))" | FileCheck %s

!wide = !tile.tile<64x128xf32>
gpu.module @m {
  // 64 columns, then the other 64; what is summed over all comes behind.
  // CHECK-LABEL: gpu.func @scores
  // CHECK-SAME: tile.blocks = 2
  // CHECK: %[[K:.*]] = tile.load %{{.*}}[%c0, %c0] rows 0 below %{{.*}} columns 1 below %{{.*}} -> <64x64xf32>
  // CHECK: %[[P:.*]] = tile.scan product %{{.*}} : <64x64xf32> -> <64x64xf32>
  // CHECK: tile.store %[[P]], %{{.*}}[%c0, %c0]
  // CHECK: %[[A:.*]] = tile.segment_dot %[[K]], %[[K]], %{{.*}} -> <64x64xf32>
  // CHECK: %[[LIMIT:.*]] = arith.addi %{{.*}}, %c-64
  // CHECK: tile.load %{{.*}}[%c0, %c64] rows 0 below %{{.*}} columns 1 below %[[LIMIT]]
  // The second slice knows its columns.
  // CHECK: ^bb0({{.*}}, %[[C:.*]]: index):
  // CHECK-NEXT: arith.addi %[[C]], %c64
  // CHECK: tile.store %{{.*}}, %{{.*}}[%c0, %c64]
  // CHECK: %[[B:.*]] = tile.segment_dot
  // CHECK: %[[SUM:.*]] = tile.map %[[A]], %[[B]]
  // CHECK: tile.store %[[SUM]]
  gpu.func @scores(%m: memref<?x?xf32>, %p: memref<?x?xf32>, %o: memref<?x?xf32>, %n: index) kernel attributes {tile.warps = 8 : i64} {
    %c0 = arith.constant 0 : index
    %c64 = arith.constant 64 : index
    %k = tile.load %m[%c0, %c0] rows 0 below %n columns 1 below %n : memref<?x?xf32> -> !wide
    %a = tile.map %k : !wide -> !wide {
    ^bb0(%x: f32, %r: index, %c: index):
      %one = arith.constant 1.0 : f32
      %in = arith.cmpi slt, %c, %n : index
      %0 = arith.select %in, %x, %one : f32
      tile.yield %0 : f32
    }
    %down = tile.scan product %a : !wide -> !wide
    tile.store %down, %p[%c0, %c0] rows 0 below %n columns 1 below %n : !wide, memref<?x?xf32>
    %s = tile.segment_dot %k, %k, %a : !wide, !wide, !wide -> !tile.tile<64x64xf32>
    tile.store %s, %o[%c0, %c0] rows 0 below %c64 columns 1 below %c64 : !tile.tile<64x64xf32>, memref<?x?xf32>
    gpu.return
  }

  // Sums over columns that are not a segment dot need them all at once.
  // CHECK-LABEL: gpu.func @normalized
  // CHECK-NOT: tile.blocks
  // CHECK: tile.segment_dot {{.*}} : <64x128xf32>
  gpu.func @normalized(%m: memref<?x?xf32>, %o: memref<?x?xf32>, %n: index) kernel attributes {tile.warps = 8 : i64} {
    %c0 = arith.constant 0 : index
    %c64 = arith.constant 64 : index
    %k = tile.load %m[%c0, %c0] rows 0 below %n columns 1 below %n : memref<?x?xf32> -> !wide
    %zero = tile.map -> !wide {
    ^bb0(%r: index, %c: index):
      %0 = arith.constant 0.0 : f32
      tile.yield %0 : f32
    }
    %w = tile.load %m[%c0, %c0] rows 0 below %n columns 1 below %n : memref<?x?xf32> -> !tile.tile<128x128xf32>
    %q = tile.dot %k, %w, %zero : !wide, !tile.tile<128x128xf32>, !wide
    %s = tile.segment_dot %q, %k, %k : !wide, !wide, !wide -> !tile.tile<64x64xf32>
    tile.store %s, %o[%c0, %c0] rows 0 below %c64 columns 1 below %c64 : !tile.tile<64x64xf32>, memref<?x?xf32>
    gpu.return
  }

  // Without segment dots: registers for four blocks, where matrices are narrow.
  // CHECK-LABEL: gpu.func @narrow
  // CHECK-SAME: tile.blocks = 4
  gpu.func @narrow(%m: memref<?x?xbf16>, %o: memref<?x?xf32>, %n: index) kernel attributes {tile.warps = 4 : i64} {
    %c0 = arith.constant 0 : index
    %k = tile.load %m[%c0, %c0] rows 0 below %n columns 1 below %n : memref<?x?xbf16> -> !tile.tile<64x64xbf16>
    %z = tile.map -> !tile.tile<64x64xf32> {
    ^bb0(%r: index, %c: index):
      %0 = arith.constant 0.0 : f32
      tile.yield %0 : f32
    }
    %s = tile.dot %k, %k, %z transpose_right : !tile.tile<64x64xbf16>, !tile.tile<64x64xbf16>, !tile.tile<64x64xf32>
    tile.store %s, %o[%c0, %c0] rows 0 below %n columns 1 below %n : !tile.tile<64x64xf32>, memref<?x?xf32>
    gpu.return
  }

  // CHECK-LABEL: gpu.func @wide
  // CHECK-NOT: tile.blocks
  gpu.func @wide(%m: memref<?x?xbf16>, %o: memref<?x?xf32>, %n: index) kernel attributes {tile.warps = 4 : i64} {
    %c0 = arith.constant 0 : index
    %k = tile.load %m[%c0, %c0] rows 0 below %n columns 1 below %n : memref<?x?xbf16> -> !tile.tile<128x64xbf16>
    %z = tile.map -> !tile.tile<128x128xf32> {
    ^bb0(%r: index, %c: index):
      %0 = arith.constant 0.0 : f32
      tile.yield %0 : f32
    }
    %s = tile.dot %k, %k, %z transpose_right : !tile.tile<128x64xbf16>, !tile.tile<128x64xbf16>, !tile.tile<128x128xf32>
    tile.store %s, %o[%c0, %c0] rows 0 below %n columns 1 below %n : !tile.tile<128x128xf32>, memref<?x?xf32>
    gpu.return
  }
}
