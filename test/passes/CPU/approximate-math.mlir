// RUN: rondo-opt %s --rondo-approximate-math --split-input-file | FileCheck %s

module attributes {rondo.target = {name = "x86-64-v4", vector_bits = 512 : i64, registers = 32 : i64}} {
// CHECK-LABEL: func.func @exp
// CHECK-NOT:     math.exp
// CHECK:         math.fma
// CHECK:         llvm.call_intrinsic "llvm.x86.avx512.vpermi2var.ps.512"
// CHECK:         llvm.call_intrinsic "llvm.x86.avx512.mask.scalef.ps.512"
func.func @exp(%x: vector<16xf32>) -> vector<16xf32> {
  %0 = math.exp %x : vector<16xf32>
  return %0 : vector<16xf32>
}

// Of powers of two, nothing needs to be in range: 9 and 89 round down.

// CHECK-LABEL: func.func @exp2
// CHECK-NOT:     arith.cmpf
// CHECK:         %[[DOWN:.*]] = arith.constant 9 : i32
// CHECK:         llvm.call_intrinsic "llvm.x86.avx512.add.ps.512"(%[[X:.*]], %{{.*}}, %[[DOWN]])
// CHECK:         %[[DOWN:.*]] = arith.constant 89 : i32
// CHECK:         llvm.call_intrinsic "llvm.x86.avx512.mask.reduce.ps.512"(%[[X]], %[[DOWN]],
// CHECK:         llvm.call_intrinsic "llvm.x86.avx512.vpermi2var.ps.512"
// CHECK:         llvm.call_intrinsic "llvm.x86.avx512.mask.scalef.ps.512"(%{{.*}}, %[[X]],
func.func @exp2(%x: vector<16xf32>) -> vector<16xf32> {
  %0 = math.exp2 %x : vector<16xf32>
  return %0 : vector<16xf32>
}

// Shorter vectors have no such look-up.

// CHECK-LABEL: func.func @short_exp
// CHECK-NOT:     vpermi2var
// CHECK:         llvm.call_intrinsic "llvm.ldexp.v8f32.v8i32"
func.func @short_exp(%x: vector<8xf32>) -> vector<8xf32> {
  %0 = math.exp %x : vector<8xf32>
  return %0 : vector<8xf32>
}

// CHECK-LABEL: func.func @every_function
// CHECK-NOT:     math.{{exp|log|tanh|erf|sin|cos|rsqrt}}
// CHECK-NOT:     rondo.
// CHECK:         return
func.func @every_function(%x: f32) -> f32 {
  %0 = math.exp2 %x : f32
  %1 = math.expm1 %0 : f32
  %2 = math.log %1 : f32
  %3 = math.log2 %2 : f32
  %4 = math.log1p %3 : f32
  %5 = math.tanh %4 : f32
  %6 = math.erf %5 : f32
  %7 = math.sin %6 : f32
  %8 = math.cos %7 : f32
  %9 = math.rsqrt %8 : f32
  %10 = rondo.sigmoid %9 : f32
  %11 = rondo.softplus %10 : f32
  return %11 : f32
}

// In f64, exp and its like stay calls of libm.

// CHECK-LABEL: func.func @double
// CHECK:         %[[E:.*]] = math.exp
// CHECK:         math.exp
// CHECK:         math.log1p
// CHECK-NOT:     rondo.
// CHECK:         return
func.func @double(%x: f64) -> f64 {
  %0 = rondo.sigmoid %x : f64
  %1 = rondo.softplus %0 : f64
  return %1 : f64
}

// Rounding has instructions.

// CHECK-LABEL: func.func @kept
// CHECK:         math.floor
// CHECK:         math.sqrt
// CHECK:         math.powf
func.func @kept(%x: f32) -> f32 {
  %0 = math.floor %x : f32
  %1 = math.sqrt %0 : f32
  %2 = math.powf %1, %x : f32
  return %2 : f32
}
}

// -----

// Without AVX-512 the power of two is made of exponent bits; without fused
// multiply-add, sin stays a call.

module attributes {rondo.target = {name = "x86-64-v2", vector_bits = 128 : i64, registers = 16 : i64}} {
// CHECK-LABEL: func.func @old
// CHECK-NOT:     llvm.call_intrinsic
// CHECK-NOT:     math.fma
// CHECK:         arith.shli
// CHECK:         math.sin
func.func @old(%x: vector<4xf32>) -> vector<4xf32> {
  %0 = math.exp %x : vector<4xf32>
  %1 = math.sin %0 : vector<4xf32>
  return %1 : vector<4xf32>
}
}

// -----

// Of what is at most 0, only what is too small for the exponent's bits needs a
// test; these are then in place for one shift.

module attributes {rondo.target = {name = "x86-64-v3", vector_bits = 256 : i64, registers = 16 : i64}} {
// CHECK-LABEL: func.func @nonpositive
// CHECK-COUNT-1: arith.cmpf
// CHECK-NOT:     arith.cmpf
// CHECK:         math.fma
// CHECK:         arith.shli
// CHECK-NOT:     arith.shli
// CHECK:         return
func.func @nonpositive(%x: vector<8xf32>) -> vector<8xf32> {
  %0 = math.exp2 %x {rondo.nonpositive} : vector<8xf32>
  return %0 : vector<8xf32>
}
}
