// RUN: rondo-opt --rondo-lower-kernels %s | FileCheck %s

// Of tensors that share no memory with others (1) and are only read (2), loads
// are invariant, also behind a view. Others are not.
gpu.module @kernels {
  // CHECK-LABEL: llvm.func @kernel
  // CHECK-SAME: !llvm.ptr {llvm.noalias, llvm.readonly}
  gpu.func @kernel(%x: memref<?xf32>, %y: memref<?xf32>, %z: memref<?xf32>,
                   %n: index) kernel attributes {
      rondo.pointers = array<i64: 3, 1, 2, 0>} {
    %c0 = arith.constant 0 : index
    %part = memref.reinterpret_cast %x to offset: [%n], sizes: [%n],
        strides: [1] : memref<?xf32> to memref<?xf32, strided<[1], offset: ?>>
    cf.br ^next(%c0 : index)
  ^next(%i: index):
    // CHECK: llvm.load %{{.*}} invariant : !llvm.ptr -> f32
    %a = memref.load %x[%i] : memref<?xf32>
    // CHECK: llvm.load %{{.*}} invariant : !llvm.ptr -> f32
    %b = memref.load %part[%i] : memref<?xf32, strided<[1], offset: ?>>
    // CHECK: llvm.load %{{[0-9a-z]+}} : !llvm.ptr -> f32
    %c = memref.load %y[%i] : memref<?xf32>
    // CHECK: llvm.load %{{[0-9a-z]+}} : !llvm.ptr -> f32
    %d = memref.load %z[%i] : memref<?xf32>
    %ab = arith.addf %a, %b : f32
    %cd = arith.addf %c, %d : f32
    %sum = arith.addf %ab, %cd : f32
    memref.store %sum, %y[%i] : memref<?xf32>
    gpu.return
  }

  // Behind a barrier, what is written may be what another thread wrote; what is
  // only read stays so.
  // CHECK-LABEL: llvm.func @waits
  // CHECK-SAME: %arg1: !llvm.ptr {llvm.noalias, llvm.readonly}
  // CHECK-SAME: %arg6: !llvm.ptr,
  gpu.func @waits(%x: memref<?xf32>, %y: memref<?xf32>) kernel attributes {
      rondo.pointers = array<i64: 3, 1>} {
    %c0 = arith.constant 0 : index
    // CHECK: llvm.load %{{.*}} invariant : !llvm.ptr -> f32
    %a = memref.load %x[%c0] : memref<?xf32>
    memref.store %a, %y[%c0] : memref<?xf32>
    // CHECK: nvvm.barrier0
    gpu.barrier
    // CHECK: llvm.load %{{[0-9a-z]+}} : !llvm.ptr -> f32
    %b = memref.load %y[%c0] : memref<?xf32>
    memref.store %b, %y[%c0] : memref<?xf32>
    gpu.return
  }
}
