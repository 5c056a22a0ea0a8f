// RUN: rondo-opt %s --rondo-distribute-threads --canonicalize | FileCheck %s

#id = affine_map<(d0) -> (d0)>
#id2 = affine_map<(d0, d1) -> (d0, d1)>
#swap = affine_map<(d0, d1) -> (d1, d0)>

gpu.module @kernels {
  // Neighbouring threads, neighbouring elements. The second op reads what
  // another thread wrote: a barrier. The third reads what its own thread wrote.
  // CHECK-LABEL: gpu.func @reverse
  // CHECK: %[[T:.*]] = gpu.thread_id x
  // CHECK: scf.for %[[I:.*]] = %[[T]] to %{{.*}} step %c256
  // CHECK:   memref.store %{{.*}}, %{{.*}}[%[[I]]]
  // CHECK: gpu.barrier
  // CHECK: scf.for
  // CHECK-NOT: gpu.barrier
  // CHECK: scf.for
  // CHECK: gpu.return
  gpu.func @reverse(%n: index, %x: memref<?xf32>, %y: memref<?xf32>, %z: memref<?xf32>) kernel
      attributes {known_block_size = array<i32: 256, 1, 1>} {
    linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
        ins(%x : memref<?xf32>) outs(%y : memref<?xf32>) {
    ^bb0(%a: f32, %b: f32):
      %s = arith.addf %a, %a : f32
      linalg.yield %s : f32
    }
    linalg.generic {indexing_maps = [#id], iterator_types = ["parallel"]} outs(%z : memref<?xf32>) {
    ^bb0(%b: f32):
      %i = linalg.index 0 : index
      %j = arith.subi %n, %i : index
      %s = memref.load %y[%j] : memref<?xf32>
      linalg.yield %s : f32
    }
    linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
        ins(%z : memref<?xf32>) outs(%x : memref<?xf32>) {
    ^bb0(%a: f32, %b: f32):
      linalg.yield %a : f32
    }
    gpu.return
  }

  // A reshaped buffer is the same memory, in which other threads have elements.
  // CHECK-LABEL: gpu.func @reshaped
  // CHECK: scf.for
  // CHECK: gpu.barrier
  // CHECK: scf.for
  gpu.func @reshaped(%x: memref<64x64xf32>, %y: memref<4096xf32>, %workspace: memref<?xi8>) kernel
      attributes {known_block_size = array<i32: 256, 1, 1>} {
    %c0 = arith.constant 0 : index
    %buffer = memref.view %workspace[%c0][] : memref<?xi8> to memref<64x64xf32>
    linalg.generic {indexing_maps = [#swap, #id2], iterator_types = ["parallel", "parallel"]}
        ins(%x : memref<64x64xf32>) outs(%buffer : memref<64x64xf32>) {
    ^bb0(%a: f32, %b: f32):
      linalg.yield %a : f32
    }
    %flat = memref.collapse_shape %buffer [[0, 1]] : memref<64x64xf32> into memref<4096xf32>
    linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
        ins(%flat : memref<4096xf32>) outs(%y : memref<4096xf32>) {
    ^bb0(%a: f32, %b: f32):
      linalg.yield %a : f32
    }
    gpu.return
  }

  // A long sum is split over the block.
  // CHECK-LABEL: gpu.func @sum
  // CHECK: scf.for %{{.*}} = %{{.*}} to %{{.*}} step %c256 iter_args
  // What is there is read before any thread stores: in the reduction they meet.
  // CHECK: gpu.barrier
  // CHECK-NEXT: memref.load
  // CHECK-NEXT: gpu.all_reduce add %{{.*}} uniform
  gpu.func @sum(%x: memref<?xf32>, %y: memref<f32>) kernel
      attributes {known_block_size = array<i32: 256, 1, 1>} {
    linalg.generic {indexing_maps = [#id, affine_map<(d0) -> ()>], iterator_types = ["reduction"]}
        ins(%x : memref<?xf32>) outs(%y : memref<f32>) {
    ^bb0(%a: f32, %b: f32):
      %s = arith.addf %b, %a : f32
      linalg.yield %s : f32
    }
    gpu.return
  }

  // Kernels that were written for threads are left alone.
  // CHECK-LABEL: gpu.func @done
  // CHECK-NEXT: gpu.return
  gpu.func @done() kernel attributes {known_block_size = array<i32: 128, 1, 1>} {
    gpu.return
  }
}
