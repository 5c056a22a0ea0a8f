// RUN: rondo-opt %s --rondo-expand-scalars --split-input-file | FileCheck %s

module attributes {rondo.target = {name = "x86-64-v4", vector_bits = 512 : i64, registers = 32 : i64}} {
// CHECK-LABEL: func.func @powers_of_two
// CHECK-SAME:    %[[X:.*]]: index
// CHECK:         %[[MASK:.*]] = arith.constant 15
// CHECK:         arith.andi %[[X]], %[[MASK]]
// CHECK:         %[[SHIFT:.*]] = arith.constant 4
// CHECK:         arith.shrsi %[[X]], %[[SHIFT]]
// CHECK-NOT:     arith.{{remsi|divsi}}
// CHECK:         return
func.func @powers_of_two(%x: index) -> (index, index) {
  %c16 = arith.constant 16 : index
  %0 = rondo.mod %x, %c16
  %1 = arith.floordivsi %x, %c16 : index
  return %0, %1 : index, index
}

// CHECK-LABEL: func.func @any_divisor
// CHECK:         %[[R:.*]] = arith.remsi
// CHECK:         arith.cmpi ne, %[[R]]
// CHECK:         arith.xori
// CHECK:         arith.select
// CHECK-NOT:     arith.floordivsi
// CHECK:         return
func.func @any_divisor(%x: index, %y: index) -> (index, index) {
  %0 = rondo.mod %x, %y
  %1 = arith.floordivsi %x, %y : index
  return %0, %1 : index, index
}

// A NaN on either side gives NaN; a constant can't be one.

// CHECK-LABEL: func.func @extrema
// CHECK-SAME:    %[[X:.*]]: f32, %[[Y:.*]]: f32
// CHECK:         %[[C:.*]] = arith.cmpf ogt, %[[X]], %[[Y]]
// CHECK:         %[[M:.*]] = arith.select %[[C]], %[[X]], %[[Y]]
// CHECK:         %[[NAN:.*]] = arith.cmpf uno, %[[X]], %[[X]]
// CHECK:         %[[R:.*]] = arith.select %[[NAN]], %[[X]], %[[M]]
// CHECK:         %[[D:.*]] = arith.cmpf olt, %{{.*}}, %[[R]]
// CHECK:         arith.select %[[D]], %{{.*}}, %[[R]]
// CHECK-NOT:     uno
// CHECK:         return
func.func @extrema(%x: f32, %y: f32) -> f32 {
  %zero = arith.constant 0.0 : f32
  %0 = arith.maximumf %x, %y : f32
  %1 = arith.minimumf %0, %zero : f32
  return %1 : f32
}

// Where NaN does not matter, it is one instruction.
// CHECK-LABEL: func.func @any_of_nan(
// CHECK-SAME:    %[[X:.*]]: f32, %[[Y:.*]]: f32
// CHECK-NEXT:    %[[C:.*]] = arith.cmpf ogt, %[[X]], %[[Y]] : f32
// CHECK-NEXT:    %[[M:.*]] = arith.select %[[C]], %[[X]], %[[Y]]
// CHECK-NEXT:    return %[[M]]
func.func @any_of_nan(%x: f32, %y: f32) -> f32 {
  %0 = arith.maximumf %x, %y fastmath<nnan> : f32
  return %0 : f32
}

// CHECK-LABEL: func.func @halfs
// CHECK:         arith.truncf %{{.*}} : f32 to f16
// CHECK-NOT:     arith.truncf {{.*}} to bf16
// CHECK:         return
func.func @halfs(%x: f32) -> (f16, bf16) {
  %0 = arith.truncf %x : f32 to f16
  %1 = arith.truncf %x : f32 to bf16
  return %0, %1 : f16, bf16
}

// What no instruction does at once goes by way of f32.

// CHECK-LABEL: func.func @by_f32
// CHECK:         %[[A:.*]] = arith.truncf %{{.*}} : f64 to f32
// CHECK:         arith.truncf %[[A]] : f32 to f16
// CHECK:         %[[B:.*]] = arith.sitofp %{{.*}} : i64 to f32
// CHECK:         arith.truncf %[[B]] : f32 to f16
// CHECK:         %[[C:.*]] = arith.extf %{{.*}} : f16 to f32
// CHECK:         arith.extf %[[C]] : f32 to f64
// CHECK:         return
func.func @by_f32(%x: f64, %i: i64, %h: f16) -> (f16, f16, f64) {
  %0 = arith.truncf %x : f64 to f16
  %1 = arith.sitofp %i : i64 to f16
  %2 = arith.extf %h : f16 to f64
  return %0, %1, %2 : f16, f16, f64
}
}

// -----

module attributes {rondo.target = {bf16 = true, name = "x86-64-v4-bf16", vector_bits = 512 : i64, registers = 32 : i64}} {
// CHECK-LABEL: func.func @native_bf16
// CHECK:         arith.truncf %{{.*}} : f32 to bf16
func.func @native_bf16(%x: f32) -> bf16 {
  %0 = arith.truncf %x : f32 to bf16
  return %0 : bf16
}
}

// -----

module attributes {rondo.target = {name = "x86-64-v2", vector_bits = 128 : i64, registers = 16 : i64}} {
// CHECK-LABEL: func.func @no_f16
// CHECK-NOT:     arith.{{truncf|extf}}
// CHECK:         return
func.func @no_f16(%x: f16) -> f16 {
  %0 = arith.extf %x : f16 to f32
  %1 = arith.truncf %0 : f32 to f16
  return %1 : f16
}
}
