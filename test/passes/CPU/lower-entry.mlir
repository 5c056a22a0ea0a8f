// RUN: rondo-opt %s --rondo-lower-entry | FileCheck %s

// One pointer per tensor, one index per stride but the innermost. Initial and
// final states may share memory, nothing else does.

// CHECK-LABEL: func.func private @f(
// CHECK-SAME:    %[[T:[a-z0-9]+]]: index,
// CHECK-SAME:    %[[X:[a-z0-9]+]]: !llvm.ptr {llvm.noalias}, %{{[a-z0-9]+}}: index,
// CHECK-SAME:    %[[SI:[a-z0-9]+]]: !llvm.ptr, %[[Y:[a-z0-9]+]]: !llvm.ptr {llvm.noalias}, %[[SF:[a-z0-9]+]]: !llvm.ptr,
// CHECK-SAME:    %[[WS:[a-z0-9]+]]: !llvm.ptr {llvm.align = 64 : i64, llvm.noalias}, %{{[a-z0-9]+}}: index, %{{[a-z0-9]+}}: index,
// CHECK-SAME:    %{{[a-z0-9]+}}: !llvm.ptr {llvm.noalias})
// CHECK-NOT:     rondo.signature
// CHECK:         builtin.unrealized_conversion_cast {{.*}} to memref<?x?xf32, strided<[?, 1]>>

// CHECK-LABEL: func.func @f_body(
// CHECK-SAME:    %[[FRAME:.*]]: !llvm.ptr) attributes {rondo.faults = [], rondo.signature
// CHECK-COUNT-2: llvm.load %{{.*}} : !llvm.ptr -> !llvm.ptr
// CHECK:         call @f(

// CHECK-LABEL: func.func private @f_worker_bytes(
// CHECK-LABEL: func.func @f_worker_bytes_entry(
// CHECK-SAME:    %[[SIZES:.*]]: !llvm.ptr) -> i64
// CHECK:         %[[SIZE:.*]] = llvm.load %{{.*}} : !llvm.ptr -> i64
// CHECK:         %[[INDEX:.*]] = arith.index_cast %[[SIZE]]
// CHECK:         call @f_worker_bytes(%[[INDEX]])
func.func @f(%T: index, %x: memref<?x?xf32, strided<[?, 1]>>, %si: memref<f32>, %y: memref<?xf32>,
             %sf: memref<f32>, %workspace: memref<?xi8>, %begin: index, %end: index,
             %fault: memref<2xi64>)
    attributes {rondo.faults = [], rondo.signature = {
      sizes = ["T"], bound = array<i64: -1>, batch = [],
      inputs = [#rondo.tensor<"x", argument, f32, ()[s0] -> (s0, s0)>,
                #rondo.tensor<"s.initial", initial, f32, ()[s0] -> ()>],
      outputs = [#rondo.tensor<"y", result, f32, ()[s0] -> (s0)>,
                 #rondo.tensor<"s.final", final, f32, ()[s0] -> ()>]}} {
  %c0 = arith.constant 0 : index
  %0 = memref.load %x[%begin, %end] : memref<?x?xf32, strided<[?, 1]>>
  memref.store %0, %y[%c0] : memref<?xf32>
  return
}

func.func @f_worker_bytes(%T: index) -> index {
  return %T : index
}
