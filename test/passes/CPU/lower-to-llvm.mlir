// RUN: rondo-opt %s --rondo-lower-to-llvm | FileCheck %s

// Halves are integers except where they are converted.

// CHECK-LABEL: llvm.func @halves
// CHECK-SAME:    %{{.*}}: f32, %{{.*}}: i1) -> !llvm.struct<(i16, vector<4xi16>)>
// CHECK:         llvm.mlir.constant(16256 : i16) : i16
// CHECK:         %[[H:.*]] = llvm.fptrunc %{{.*}} : f32 to bf16
// CHECK:         %[[BITS:.*]] = llvm.bitcast %[[H]] : bf16 to i16
// CHECK:         llvm.select %{{.*}}, %[[BITS]], %{{.*}} : i1, i16
// CHECK:         llvm.mlir.constant(dense<15360> : vector<4xi16>) : vector<4xi16>
func.func @halves(%x: f32, %c: i1) -> (bf16, vector<4xf16>) {
  %one = arith.constant 1.0 : bf16
  %h = arith.truncf %x : f32 to bf16
  %0 = arith.select %c, %h, %one : bf16
  %ones = arith.constant dense<1.0> : vector<4xf16>
  return %0, %ones : bf16, vector<4xf16>
}
