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

// A field of a descriptor is what was put there; no descriptor is left.

// CHECK-LABEL: llvm.func @field
// CHECK-SAME:    (%{{.*}}: !llvm.ptr, %[[ALIGNED:.*]]: !llvm.ptr, %{{.*}}: i64, %{{.*}}: i64, %{{.*}}: i64, %[[I:.*]]: i64)
// CHECK-NOT:     insertvalue
// CHECK:         %[[AT:.*]] = llvm.getelementptr {{.*}}%[[ALIGNED]][%[[I]]]
// CHECK:         llvm.load %[[AT]]
func.func @field(%m: memref<?xf32>, %i: index) -> f32 {
  %x = memref.load %m[%i] : memref<?xf32>
  return %x : f32
}

// A descriptor that comes from elsewhere is read.

// CHECK-LABEL: llvm.func @returned
// CHECK:         %[[D:.*]] = llvm.call @make
// CHECK:         llvm.extractvalue %[[D]][1]
func.func private @make() -> memref<?xf32>
func.func @returned(%i: index) -> f32 {
  %m = func.call @make() : () -> memref<?xf32>
  %x = memref.load %m[%i] : memref<?xf32>
  return %x : f32
}

// What is known of a place is added last: i * 64 + j, and then 64 + 2.

// CHECK-LABEL: llvm.func @known_offset
// CHECK-SAME:    %[[I:[a-z0-9]+]]: i64, %[[J:[a-z0-9]+]]: i64)
// CHECK:         %[[ROW:.*]] = llvm.mul %[[I]], %{{.*}} : i64
// CHECK:         %[[AT:.*]] = llvm.add %[[ROW]], %[[J]] : i64
// CHECK:         %[[NEAR:.*]] = llvm.getelementptr %{{.*}}[%[[AT]]]
// CHECK:         %[[PLACE:.*]] = llvm.getelementptr %[[NEAR]][66]
// CHECK:         llvm.load %[[PLACE]]
func.func @known_offset(%m: memref<?x64xf32>, %i: index, %j: index) -> f32 {
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %row = arith.addi %i, %c1 : index
  %column = arith.addi %j, %c2 : index
  %x = memref.load %m[%row, %column] : memref<?x64xf32>
  return %x : f32
}
