// RUN: rondo-opt %s --rondo-outline-kernels --canonicalize | FileCheck %s

// Where a point's work ends in a loop whose steps are independent, blocks of a
// second dim of the grid share the steps; each fills its own slice before.
// CHECK-LABEL: gpu.func @steps
// CHECK: %[[PART:.*]] = gpu.block_id y
// CHECK: %[[PARTS:.*]] = gpu.grid_dim y
// CHECK: linalg.fill
// CHECK: %[[FIRST:.*]] = arith.divui %{{.*}}, %[[PARTS]]
// CHECK: %[[LAST:.*]] = arith.divui %{{.*}}, %[[PARTS]]
// CHECK: scf.for %{{.*}} = %[[FIRST]] to %[[LAST]]

// Not where a block would need what another one has computed.
// CHECK-LABEL: gpu.func @after
// CHECK-NOT: gpu.block_id y
// CHECK: gpu.func @rondo_copy

// CHECK-LABEL: func.func @steps(
// CHECK-SAME: rondo.independent
// CHECK: %[[ALL:.*]] = arith.minsi
// CHECK: %[[SHARE:.*]] = arith.divui %{{.*}}, %{{.*}}
// CHECK: blocks in (%[[ALL]], %[[SHARE]], %{{.*}})
// CHECK-LABEL: func.func @after(
// CHECK-NOT: rondo.independent
func.func @steps(%B: index, %T: index, %x: memref<?x?xf32, strided<[?, 1]>>, %y: memref<?x?xf32, strided<[?, 1]>>,
                 %workspace: memref<?xi8>, %begin: index, %end: index, %fault: memref<2xi64>)
    attributes {rondo.faults = [], rondo.form = "sequential",
                rondo.signature = {batch = ["B"], bound = array<i64: -1, -1>, sizes = ["B", "T"],
                  inputs = [#rondo.tensor<"x", argument, f32, ()[s0, s1] -> (s0, s1)>],
                  outputs = [#rondo.tensor<"y", result, f32, ()[s0, s1] -> (s0, s1)>]}} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  %own = memref.view %workspace[%c0][%T] : memref<?xi8> to memref<?xf32>
  scf.for %p = %begin to %end step %c1 {
    linalg.fill ins(%zero : f32) outs(%own : memref<?xf32>)
    scf.for %t = %c0 to %T step %c1 {
      %in = memref.load %x[%p, %t] : memref<?x?xf32, strided<[?, 1]>>
      %old = memref.load %own[%t] : memref<?xf32>
      %sum = arith.addf %in, %old : f32
      memref.store %sum, %y[%p, %t] : memref<?x?xf32, strided<[?, 1]>>
    } {rondo.independent}
  }
  return
}
func.func private @steps_worker_bytes(index, index) -> index
func.func @after(%B: index, %T: index, %x: memref<?x?xf32, strided<[?, 1]>>, %y: memref<?x?xf32, strided<[?, 1]>>,
                 %workspace: memref<?xi8>, %begin: index, %end: index, %fault: memref<2xi64>)
    attributes {rondo.faults = [], rondo.form = "sequential",
                rondo.signature = {batch = ["B"], bound = array<i64: -1, -1>, sizes = ["B", "T"],
                  inputs = [#rondo.tensor<"x", argument, f32, ()[s0, s1] -> (s0, s1)>],
                  outputs = [#rondo.tensor<"y", result, f32, ()[s0, s1] -> (s0, s1)>]}} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %own = memref.view %workspace[%c0][%T] : memref<?xi8> to memref<?xf32>
  scf.for %p = %begin to %end step %c1 {
    scf.for %t = %c0 to %T step %c1 {
      %in = memref.load %x[%p, %t] : memref<?x?xf32, strided<[?, 1]>>
      memref.store %in, %own[%t] : memref<?xf32>
    } {rondo.independent}
    %last = memref.load %own[%c0] : memref<?xf32>
    memref.store %last, %y[%p, %c0] : memref<?x?xf32, strided<[?, 1]>>
  }
  return
}
func.func private @after_worker_bytes(index, index) -> index
