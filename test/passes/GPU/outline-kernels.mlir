// RUN: rondo-opt %s --rondo-resolve-sizes --rondo-outline-kernels --canonicalize | FileCheck %s

#tensor = affine_map<()[s0, s1] -> (s0, s1)>

// The body goes to the device, point by point of a grid of blocks.
// CHECK-LABEL: gpu.module @kernels
// CHECK: gpu.func @scale(%{{.*}}: index, %{{.*}}: index, %[[X:[a-z0-9]+]]: memref<?x?xf32, strided<[?, 1]>>
// CHECK-SAME: kernel attributes {known_block_size = array<i32: 256, 1, 1>
// CHECK: %[[BLOCK:.*]] = gpu.block_id x
// CHECK: %[[BLOCKS:.*]] = gpu.grid_dim x
// CHECK: scf.for %{{.*}} = %{{.*}} to %{{.*}} step %[[BLOCKS]]
// CHECK: linalg.generic
// CHECK: gpu.func @rondo_copy

// The host launches as many blocks as there are points or slices.
// CHECK-LABEL: func.func @scale(
// CHECK-SAME: rondo.launches
// CHECK: call @scale_worker_bytes
// CHECK: %[[COUNT:.*]] = arith.minsi
// CHECK: gpu.launch_func @kernels::@scale blocks in (%[[COUNT]], %{{.*}}, %{{.*}}) threads in (%c256{{.*}})
// CHECK-NOT: linalg
func.func @scale(%B: index, %D: index, %x: memref<?x?xf32, strided<[?, 1]>>, %y: memref<?x?xf32, strided<[?, 1]>>,
                 %workspace: memref<?xi8>, %begin: index, %end: index, %fault: memref<2xi64>)
    attributes {rondo.faults = [], rondo.form = "sequential",
                rondo.signature = {batch = ["B"], bound = array<i64: -1, -1>, sizes = ["B", "D"],
                  inputs = [#rondo.tensor<"x", argument, f32, ()[s0, s1] -> (s0, s1)>],
                  outputs = [#rondo.tensor<"y", result, f32, ()[s0, s1] -> (s0, s1)>]}} {
  %c1 = arith.constant 1 : index
  scf.for %p = %begin to %end step %c1 {
    %in = memref.subview %x[%p, 0] [1, %D] [1, 1] : memref<?x?xf32, strided<[?, 1]>> to memref<?xf32, strided<[1], offset: ?>>
    %out = memref.subview %y[%p, 0] [1, %D] [1, 1] : memref<?x?xf32, strided<[?, 1]>> to memref<?xf32, strided<[1], offset: ?>>
    linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]}
        ins(%in : memref<?xf32, strided<[1], offset: ?>>) outs(%out : memref<?xf32, strided<[1], offset: ?>>) {
    ^bb0(%a: f32, %b: f32):
      %s = arith.addf %a, %a : f32
      linalg.yield %s : f32
    }
  }
  return
}
func.func @scale_worker_bytes(%B: index, %D: index) -> index {
  %c0 = arith.constant 0 : index
  return %c0 : index
}

// A function without a signature stays where it is.
// CHECK-LABEL: func.func @plain
// CHECK-NOT: gpu
func.func @plain(%x: memref<?xf32>) {
  return
}
