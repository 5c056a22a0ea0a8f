// RUN: rondo-opt %s --rondo-interleave-chains | FileCheck %s

module attributes {rondo.target = {name = "x86-64-v4", vector_bits = 512 : i64, registers = 32 : i64}} {
// Two chains, side by side; the stores stay in order.
// CHECK-LABEL: func.func @chains(
// CHECK:         scf.for
// CHECK:           vector.load
// CHECK-NEXT:      vector.load
// CHECK-NEXT:      arith.addf
// CHECK-NEXT:      arith.addf
// CHECK-NEXT:      arith.mulf
// CHECK-NEXT:      arith.mulf
// CHECK-NEXT:      vector.store %{{.*}}, %{{.*}}[%[[I:.*]]]
// CHECK-NEXT:      vector.store
func.func @chains(%x: memref<?xf32>, %y: memref<?xf32>, %z: memref<?xf32>, %n: index) {
  %c0 = arith.constant 0 : index
  %c16 = arith.constant 16 : index
  scf.for %i = %c0 to %n step %c16 {
    %0 = vector.load %x[%i] : memref<?xf32>, vector<16xf32>
    %1 = arith.addf %0, %0 : vector<16xf32>
    %2 = arith.mulf %1, %0 : vector<16xf32>
    %3 = vector.load %y[%i] : memref<?xf32>, vector<16xf32>
    %4 = arith.addf %3, %3 : vector<16xf32>
    %5 = arith.mulf %4, %3 : vector<16xf32>
    vector.store %2, %x[%i] : memref<?xf32>, vector<16xf32>
    vector.store %5, %z[%i] : memref<?xf32>, vector<16xf32>
  }
  return
}

// What carries values keeps its order.
// CHECK-LABEL: func.func @sum(
// CHECK:         vector.load
// CHECK-NEXT:    arith.addf
// CHECK-NEXT:    vector.load
func.func @sum(%x: memref<?xf32>, %init: vector<16xf32>, %n: index) -> vector<16xf32> {
  %c0 = arith.constant 0 : index
  %c16 = arith.constant 16 : index
  %r = scf.for %i = %c0 to %n step %c16 iter_args(%a = %init) -> (vector<16xf32>) {
    %0 = vector.load %x[%i] : memref<?xf32>, vector<16xf32>
    %1 = arith.addf %a, %0 : vector<16xf32>
    %2 = vector.load %x[%i] : memref<?xf32>, vector<16xf32>
    %3 = arith.addf %1, %2 : vector<16xf32>
    scf.yield %3 : vector<16xf32>
  }
  return %r : vector<16xf32>
}
}
