// RUN: rondo-opt %s --rondo-lower-tile-to-nvvm=warpgroups=true --canonicalize --cse | FileCheck %s
// RUN: rondo-opt %s --rondo-lower-tile-to-nvvm --canonicalize --cse | FileCheck %s --check-prefix=OLD

!state = !tile.tile<64x64xbf16, accumulator>
!seen = !tile.tile<64x64xbf16, shared>

module attributes {gpu.container_module} {
  gpu.module @m {
    // CHECK-LABEL: gpu.func @pass
    // CHECK-SAME: nvvm.reqntid = array<i32: 256, 1, 1>
    // OLD-LABEL: gpu.func @pass
    gpu.func @pass(%o: memref<?x?xbf16>, %n: index) kernel attributes {tile.warps = 4 : i64, tile.groups = 2 : i64} {
      %c0 = arith.constant 0 : index
      %c1 = arith.constant 1 : index
      %buffer = tile.alloc : !tile.buffer<2x64x64xbf16>
      // One thread makes two barriers for each place.
      // CHECK: scf.if
      // CHECK-COUNT-4: mbarrier.init.shared.b64 [$0], $1;
      // CHECK: nvvm.barrier
      // CHECK: nvvm.shfl.sync idx
      %ring = tile.ring : !tile.ring<2>
      tile.groups {
        // CHECK: scf.if
        // CHECK: scf.for
        // Rings order what warps do.
        // CHECK-NOT: nvvm.barrier id
        // CHECK: mbarrier.try_wait.parity.shared.b64
        // CHECK-COUNT-4: stmatrix.sync.aligned.m8n8.x4.shared.b16
        // CHECK: nvvm.fence.proxy
        // Threads read what it is the ring of: each arrives.
        // CHECK-NOT: nvvm.bar.warp.sync
        // CHECK: mbarrier.arrive.shared.b64
        // OLD: mbarrier.test_wait.parity.shared.b64
        // OLD-NOT: stmatrix
        // OLD-NOT: nvvm.fence.proxy
        scf.for %i = %c0 to %n step %c1 {
          %t = tile.map -> !state {
          ^bb0(%r: index, %c: index):
            %0 = arith.index_cast %r : index to i32
            %1 = arith.sitofp %0 : i32 to f32
            tile.yield %1 : f32
          }
          %p = tile.await empty %ring[%i] : !tile.ring<2>
          tile.put %t to %buffer[%p] : !state, !tile.buffer<2x64x64xbf16>
          tile.mark full %ring[%i] : !tile.ring<2>
        }
      }, {
        // CHECK: } else {
        // CHECK: scf.for
        // CHECK: mbarrier.try_wait.parity.shared.b64
        // CHECK: nvvm.ldmatrix
        // CHECK: mbarrier.arrive.shared.b64
        scf.for %i = %c0 to %n step %c1 {
          %p = tile.await full %ring[%i] : !tile.ring<2>
          %t = tile.view %buffer[%p] : !tile.buffer<2x64x64xbf16> -> !seen
          %u = tile.convert %t : !seen -> !state
          tile.store %u, %o[%c0, %c0] rows 0 below %n columns 1 below %n : !state, memref<?x?xbf16>
          tile.mark empty %ring[%i] : !tile.ring<2>
        }
      }
      gpu.return
    }
  }
}
