// RUN: rondo-opt %s --rondo-resolve-sizes --canonicalize --split-input-file --verify-diagnostics | FileCheck %s

// CHECK-LABEL: func.func @f(
// CHECK-SAME:    %[[T:[a-z0-9]+]]: index, %{{[a-z0-9]+}}: index
// CHECK:         %[[C:.*]] = arith.constant 32 : index
// CHECK-NOT:     memref.dim
// CHECK:         return %[[T]], %[[C]], %[[C]]
func.func @f(%T: index, %D: index, %x: memref<?x?xf32, strided<[?, 1]>>, %y: memref<?xf32>,
             %workspace: memref<?xi8>, %begin: index, %end: index, %fault: memref<2xi64>)
    -> (index, index, index)
    attributes {rondo.signature = {
      sizes = ["T", "D"], bound = array<i64: -1, 64>, batch = [],
      inputs = [#rondo.tensor<"x", argument, f32, ()[s0, s1] -> (s0, s1 floordiv 2)>],
      outputs = [#rondo.tensor<"y", result, f32, ()[s0, s1] -> (s1 floordiv 2)>]}} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %0 = memref.dim %x, %c0 : memref<?x?xf32, strided<[?, 1]>>
  %1 = memref.dim %x, %c1 : memref<?x?xf32, strided<[?, 1]>>
  %2 = memref.dim %y, %c0 : memref<?xf32>
  return %0, %1, %2 : index, index, index
}

// Without a signature nothing is known.

// CHECK-LABEL: func.func @plain
// CHECK:         memref.dim
func.func @plain(%x: memref<?xf32>) -> index {
  %c0 = arith.constant 0 : index
  %0 = memref.dim %x, %c0 : memref<?xf32>
  return %0 : index
}

// -----

// expected-error@+1 {{expects 6 arguments to match its signature, found 1}}
func.func @too_few(%T: index)
    attributes {rondo.signature = {
      sizes = ["T"], bound = array<i64: -1>, batch = [],
      inputs = [#rondo.tensor<"x", argument, f32, ()[s0] -> (s0)>], outputs = []}} {
  return
}

// -----

// expected-error@+1 {{expects a memref of rank 2 for the tensor 'x', found 'memref<?xf32>'}}
func.func @wrong_rank(%T: index, %x: memref<?xf32>,
                      %workspace: memref<?xi8>, %begin: index, %end: index, %fault: memref<2xi64>)
    attributes {rondo.signature = {
      sizes = ["T"], bound = array<i64: -1>, batch = [],
      inputs = [#rondo.tensor<"x", argument, f32, ()[s0] -> (s0, s0)>], outputs = []}} {
  return
}
