// RUN: rondo-opt %s --rondo-lower-tile-to-nvvm --canonicalize --cse | FileCheck %s

module attributes {gpu.container_module} {
  gpu.module @m {
    // CHECK: llvm.mlir.global external @tile_shared() {addr_space = 3
    // CHECK-LABEL: gpu.func @product
    // CHECK-SAME: nvvm.reqntid = array<i32: 128, 1, 1>
    // CHECK-SAME: tile.shared_bytes = 16384
    gpu.func @product(%m: memref<?x?xbf16>, %o: memref<?x?xf32>, %n: index) kernel attributes {tile.warps = 4 : i64} {
      %c0 = arith.constant 0 : index
      %b = tile.alloc : !tile.buffer<2x64x64xbf16>
      // 64 rows of 8 pieces for 128 threads, when all are aligned.
      // CHECK: scf.if
      // CHECK-COUNT-4: nvvm.cp.async.shared.global
      // CHECK: } else {
      // CHECK: nvvm.cp.async.commit.group
      // CHECK: nvvm.cp.async.wait.group 0
      // CHECK: nvvm.barrier
      tile.copy %m[%c0, %c0] rows 0 below %n columns 1 below %n to %b[%c0] : memref<?x?xbf16>, !tile.buffer<2x64x64xbf16>
      tile.commit
      tile.wait 0
      %a = tile.view %b[%c0] : !tile.buffer<2x64x64xbf16> -> !tile.tile<64x64xbf16, shared>
      %zero = tile.map -> !tile.tile<64x64xf32, accumulator> {
      ^bb0(%r: index, %c: index):
        %0 = arith.constant 0.0 : f32
        tile.yield %0 : f32
      }
      // A warp has 16 rows: 4 steps of depth by 8 blocks of columns.
      // CHECK-COUNT-4: nvvm.mma.sync
      // CHECK-NOT: tile.dot
      %s = tile.dot %a, %a, %zero transpose_right : !tile.tile<64x64xbf16, shared>, !tile.tile<64x64xbf16, shared>, !tile.tile<64x64xf32, accumulator>
      // CHECK: llvm.inline_asm has_side_effects "{ .reg .pred p; {{.*}} st.global.f32
      tile.store %s, %o[%c0, %c0] rows 0 below %n columns 1 below %n : !tile.tile<64x64xf32, accumulator>, memref<?x?xf32>
      gpu.return
    }
  }
}
