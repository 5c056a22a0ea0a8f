// RUN: rondo-opt %s --rondo-pair-operands --canonicalize --split-input-file | FileCheck %s

#matrix = affine_map<(b, d, e) -> (e, d)>
#vector = affine_map<(b, d, e) -> (b, e)>
#out = affine_map<(b, d, e) -> (b, d)>
#id = affine_map<(i, j) -> (i, j)>

// A matrix that is copied before the loop over time, its rows two by two, and a
// vector that is rounded in each step; 15 terms make 8 pairs. Nothing else reads
// these, so that they are not stored as they are.
// CHECK-LABEL: func.func @cell(
// CHECK-SAME:    %[[R:[^:]*]]: memref<?x?xbf16
// CHECK:         %[[WORDS:.*]] = memref.view %{{.*}}[%{{.*}}][] : memref<{{.*}}xi8{{.*}}> to memref<8x32xi32>
// CHECK:         %[[H:.*]] = memref.view %{{.*}} : memref<{{.*}}xi8{{.*}}> to memref<4x8xi32>
// CHECK:         %[[HALVES:.*]] = memref.view %{{.*}} : memref<{{.*}}xi8{{.*}}> to memref<4x16xbf16>
// CHECK:         %[[LAST:.*]] = memref.subview %[[HALVES]][0, 15] [4, 1]
// CHECK:         linalg.fill {{.*}} outs(%[[LAST]]
// CHECK:         memref.subview %{{.*}}[0, 0] [7, 32] [2, 1]
// CHECK:         memref.subview %{{.*}}[1, 0] [7, 32] [2, 1]
// CHECK:         linalg.generic
// CHECK-NOT:       outs(%{{.*}} : memref<15x32xf32>)
// CHECK:           rondo.pack_pair %{{.*}}, %{{.*}} : f32 -> i32
// CHECK:         linalg.generic
// CHECK:           rondo.pack_pair %{{.*}}, %cst{{.*}} : f32 -> i32
// CHECK:         scf.for
// CHECK:           linalg.fill
// CHECK:           linalg.generic {{.*}} ins(%[[WORDS]], %[[H]] : memref<8x32xi32>, memref<4x8xi32>) outs(%{{.*}} : memref<4x32xf32>)
// CHECK:             %[[TERM:.*]] = rondo.dot_pair %{{.*}}, %{{.*}} : i32 -> f32
// CHECK:             arith.addf %{{.*}}, %[[TERM]]
// CHECK:           %[[ROUNDED:.*]] = memref.subview %[[HALVES]][0, 0] [4, 15] [1, 1]
// CHECK:           linalg.generic {{.*}} outs(%[[ROUNDED]]
// CHECK:             math.tanh
// CHECK:             arith.truncf %{{.*}} : f32 to bf16
// CHECK-LABEL: func.func @cell_worker_bytes(
// CHECK:         %[[BYTES:.*]] = arith.constant 3840 : index
// CHECK:         return %[[BYTES]]
module attributes {rondo.target = {name = "x86-64-v4-bf16", vector_bits = 512 : i64, registers = 32 : i64, bf16 = true}} {
  func.func @cell(%r: memref<?x?xbf16, strided<[?, 1]>>, %y: memref<?x?xbf16, strided<[?, 1]>>, %workspace: memref<?xi8>, %begin: index, %end: index, %fault: memref<2xi64>)
      attributes {rondo.signature = {sizes = [], bound = array<i64>, batch = [],
        inputs = [#rondo.tensor<"r", argument, bf16, () -> (32, 15)>],
        outputs = [#rondo.tensor<"y", result, bf16, () -> (4, 32)>]}} {
    %zero = arith.constant 0.0 : f32
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c1920 = arith.constant 1920 : index
    %c2176 = arith.constant 2176 : index
    %matrix = memref.view %workspace[%c0][] : memref<?xi8> to memref<15x32xf32>
    %h = memref.view %workspace[%c1920][] : memref<?xi8> to memref<4x15xf32>
    %z = memref.view %workspace[%c2176][] : memref<?xi8> to memref<4x32xf32>
    %rows = memref.subview %r[0, 0] [15, 32] [1, 1] : memref<?x?xbf16, strided<[?, 1]>> to memref<15x32xbf16, strided<[?, 1]>>
    linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
        ins(%rows : memref<15x32xbf16, strided<[?, 1]>>) outs(%matrix : memref<15x32xf32>) {
    ^bb0(%0: bf16, %old: f32):
      %1 = arith.extf %0 : bf16 to f32
      linalg.yield %1 : f32
    }
    scf.for %t = %begin to %end step %c1 {
      linalg.fill ins(%zero : f32) outs(%z : memref<4x32xf32>)
      linalg.generic {indexing_maps = [#matrix, #vector, #out], iterator_types = ["parallel", "parallel", "reduction"]}
          ins(%matrix, %h : memref<15x32xf32>, memref<4x15xf32>) outs(%z : memref<4x32xf32>) {
      ^bb0(%0: f32, %1: f32, %sum: f32):
        %2 = arith.mulf %0, %1 : f32
        %3 = arith.addf %sum, %2 : f32
        linalg.yield %3 : f32
      }
      %first = memref.subview %z[0, 0] [4, 15] [1, 1] : memref<4x32xf32> to memref<4x15xf32, strided<[32, 1]>>
      linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
          ins(%first : memref<4x15xf32, strided<[32, 1]>>) outs(%h : memref<4x15xf32>) {
      ^bb0(%0: f32, %old: f32):
        %1 = math.tanh %0 : f32
        linalg.yield %1 : f32
      }
    } {rondo.steps}
    return
  }
  func.func @cell_worker_bytes() -> index {
    %bytes = arith.constant 2688 : index
    return %bytes : index
  }
}

// -----

#row = affine_map<(t, j, s) -> (t, s)>
#column = affine_map<(t, j, s) -> (s, j)>
#result = affine_map<(t, j, s) -> (t, j)>
#id = affine_map<(i, j) -> (i, j)>

// The end of a sum becomes zeros in one factor, and every second end is the one
// before.
// CHECK-LABEL: func.func @triangle(
// CHECK:         %[[A:.*]] = memref.view %{{.*}} : memref<8192xi8> to memref<64x32xi32>
// CHECK:         %[[HALVES:.*]] = memref.view %{{.*}} : memref<8192xi8> to memref<64x64xbf16>
// CHECK:         linalg.generic {{.*}} outs(%[[HALVES]]
// CHECK-DAG:       %[[ROW:.*]] = linalg.index 0
// CHECK-DAG:       %[[INDEX:.*]] = linalg.index 1
// CHECK:           %[[INSIDE:.*]] = arith.cmpi sle, %[[INDEX]], %[[ROW]]
// CHECK:           arith.select %[[INSIDE]]
// CHECK:         linalg.generic {{.*}} ins(%[[A]], %{{.*}} : memref<64x32xi32>, memref<32x64xi32>)
// CHECK:           %[[PAIR:.*]] = linalg.index 2
// CHECK:           %[[FIRST:.*]] = arith.addi %[[PAIR]], %[[PAIR]]
// CHECK:           arith.cmpi sle, %[[FIRST]], %{{.*}}
module attributes {rondo.target = {name = "x86-64-v4-bf16", vector_bits = 512 : i64, registers = 32 : i64, bf16 = true}} {
  func.func @triangle(%x: memref<?x?xbf16, strided<[?, 1]>>, %y: memref<?x?xbf16, strided<[?, 1]>>, %workspace: memref<?xi8>, %begin: index, %end: index, %fault: memref<2xi64>)
      attributes {rondo.signature = {sizes = [], bound = array<i64>, batch = [],
        inputs = [#rondo.tensor<"x", argument, bf16, () -> (64, 64)>],
        outputs = [#rondo.tensor<"y", result, bf16, () -> (64, 64)>]}} {
    %zero = arith.constant 0.0 : f32
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c16384 = arith.constant 16384 : index
    %c32768 = arith.constant 32768 : index
    %a = memref.view %workspace[%c0][] : memref<?xi8> to memref<64x64xf32>
    %b = memref.view %workspace[%c16384][] : memref<?xi8> to memref<64x64xf32>
    %z = memref.view %workspace[%c32768][] : memref<?xi8> to memref<64x64xf32>
    scf.for %t = %begin to %end step %c1 {
      linalg.generic {indexing_maps = [#id], iterator_types = ["parallel", "parallel"]} outs(%a : memref<64x64xf32>) {
      ^bb0(%old: f32):
        %0 = math.exp %old : f32
        linalg.yield %0 : f32
      }
      linalg.generic {indexing_maps = [#id], iterator_types = ["parallel", "parallel"]} outs(%b : memref<64x64xf32>) {
      ^bb0(%old: f32):
        %0 = math.exp %old : f32
        linalg.yield %0 : f32
      }
      linalg.fill ins(%zero : f32) outs(%z : memref<64x64xf32>)
      linalg.generic {indexing_maps = [#row, #column, #result], iterator_types = ["parallel", "parallel", "reduction"]}
          ins(%a, %b : memref<64x64xf32>, memref<64x64xf32>) outs(%z : memref<64x64xf32>) {
      ^bb0(%0: f32, %1: f32, %sum: f32):
        %2 = arith.mulf %0, %1 : f32
        %t0 = linalg.index 0 : index
        %s0 = linalg.index 2 : index
        %inside = arith.cmpi sle, %s0, %t0 : index
        %3 = arith.select %inside, %2, %zero : f32
        %4 = arith.addf %sum, %3 : f32
        linalg.yield %4 : f32
      }
    } {rondo.steps}
    return
  }
  func.func @triangle_worker_bytes() -> index {
    %bytes = arith.constant 49152 : index
    return %bytes : index
  }
}

// -----

#row = affine_map<(t, j, s) -> (t, s)>
#column = affine_map<(t, j, s) -> (s, j)>
#result = affine_map<(t, j, s) -> (t, j)>
#id = affine_map<(i, j) -> (i, j)>

// What is written in each step for one row only is not paired.
// CHECK-LABEL: func.func @once(
// CHECK-NOT:     rondo.dot_pair
module attributes {rondo.target = {name = "x86-64-v4-bf16", vector_bits = 512 : i64, registers = 32 : i64, bf16 = true}} {
  func.func @once(%x: memref<?x?xbf16, strided<[?, 1]>>, %y: memref<?x?xbf16, strided<[?, 1]>>, %workspace: memref<?xi8>, %begin: index, %end: index, %fault: memref<2xi64>)
      attributes {rondo.signature = {sizes = [], bound = array<i64>, batch = [],
        inputs = [#rondo.tensor<"x", argument, bf16, () -> (64, 64)>],
        outputs = [#rondo.tensor<"y", result, bf16, () -> (64, 64)>]}} {
    %zero = arith.constant 0.0 : f32
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c16384 = arith.constant 16384 : index
    %c32768 = arith.constant 32768 : index
    %a = memref.view %workspace[%c0][] : memref<?xi8> to memref<64x64xf32>
    %b = memref.view %workspace[%c16384][] : memref<?xi8> to memref<64x64xf32>
    %z = memref.view %workspace[%c32768][] : memref<?xi8> to memref<64x64xf32>
    scf.for %t = %begin to %end step %c1 {
      linalg.generic {indexing_maps = [#id], iterator_types = ["parallel", "parallel"]} outs(%a : memref<64x64xf32>) {
      ^bb0(%old: f32):
        %0 = math.exp %old : f32
        linalg.yield %0 : f32
      }
      linalg.generic {indexing_maps = [#id], iterator_types = ["parallel", "parallel"]} outs(%b : memref<64x64xf32>) {
      ^bb0(%old: f32):
        %0 = math.exp %old : f32
        linalg.yield %0 : f32
      }
      %rowA = memref.subview %a[0, 0] [1, 64] [1, 1] : memref<64x64xf32> to memref<64xf32>
      %rowZ = memref.subview %z[0, 0] [1, 64] [1, 1] : memref<64x64xf32> to memref<64xf32>
      linalg.generic {indexing_maps = [affine_map<(j, s) -> (s)>, affine_map<(j, s) -> (s, j)>, affine_map<(j, s) -> (j)>], iterator_types = ["parallel", "reduction"]}
          ins(%rowA, %b : memref<64xf32>, memref<64x64xf32>) outs(%rowZ : memref<64xf32>) {
      ^bb0(%0: f32, %1: f32, %sum: f32):
        %2 = arith.mulf %0, %1 : f32
        %3 = arith.addf %sum, %2 : f32
        linalg.yield %3 : f32
      }
    } {rondo.steps}
    return
  }
  func.func @once_worker_bytes() -> index {
    %bytes = arith.constant 49152 : index
    return %bytes : index
  }
}

// -----

#row = affine_map<(t, j, s) -> (t, s)>
#column = affine_map<(t, j, s) -> (s, j)>
#result = affine_map<(t, j, s) -> (t, j)>
#id = affine_map<(i, j) -> (i, j)>

// Nor are products of a kernel with an argument of f32.
// CHECK-LABEL: func.func @single(
// CHECK-NOT:     rondo.dot_pair
module attributes {rondo.target = {name = "x86-64-v4-bf16", vector_bits = 512 : i64, registers = 32 : i64, bf16 = true}} {
  func.func @single(%x: memref<?x?xf32, strided<[?, 1]>>, %y: memref<?x?xbf16, strided<[?, 1]>>, %workspace: memref<?xi8>, %begin: index, %end: index, %fault: memref<2xi64>)
      attributes {rondo.signature = {sizes = [], bound = array<i64>, batch = [],
        inputs = [#rondo.tensor<"x", argument, f32, () -> (64, 64)>],
        outputs = [#rondo.tensor<"y", result, bf16, () -> (64, 64)>]}} {
    %zero = arith.constant 0.0 : f32
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c16384 = arith.constant 16384 : index
    %c32768 = arith.constant 32768 : index
    %a = memref.view %workspace[%c0][] : memref<?xi8> to memref<64x64xf32>
    %b = memref.view %workspace[%c16384][] : memref<?xi8> to memref<64x64xf32>
    %z = memref.view %workspace[%c32768][] : memref<?xi8> to memref<64x64xf32>
    scf.for %t = %begin to %end step %c1 {
      linalg.generic {indexing_maps = [#id], iterator_types = ["parallel", "parallel"]} outs(%a : memref<64x64xf32>) {
      ^bb0(%old: f32):
        %0 = math.exp %old : f32
        linalg.yield %0 : f32
      }
      linalg.generic {indexing_maps = [#id], iterator_types = ["parallel", "parallel"]} outs(%b : memref<64x64xf32>) {
      ^bb0(%old: f32):
        %0 = math.exp %old : f32
        linalg.yield %0 : f32
      }
      linalg.fill ins(%zero : f32) outs(%z : memref<64x64xf32>)
      linalg.generic {indexing_maps = [#row, #column, #result], iterator_types = ["parallel", "parallel", "reduction"]}
          ins(%a, %b : memref<64x64xf32>, memref<64x64xf32>) outs(%z : memref<64x64xf32>) {
      ^bb0(%0: f32, %1: f32, %sum: f32):
        %2 = arith.mulf %0, %1 : f32
        %4 = arith.addf %sum, %2 : f32
        linalg.yield %4 : f32
      }
    } {rondo.steps}
    return
  }
  func.func @single_worker_bytes() -> index {
    %bytes = arith.constant 49152 : index
    return %bytes : index
  }
}

// -----

#row = affine_map<(t, j, s) -> (t, s)>
#column = affine_map<(t, j, s) -> (s, j)>
#result = affine_map<(t, j, s) -> (t, j)>
#id = affine_map<(i, j) -> (i, j)>

// Nor without the instruction.
// CHECK-LABEL: func.func @older(
// CHECK-NOT:     rondo.dot_pair
module attributes {rondo.target = {name = "x86-64-v4", vector_bits = 512 : i64, registers = 32 : i64, bf16 = false}} {
  func.func @older(%x: memref<?x?xbf16, strided<[?, 1]>>, %y: memref<?x?xbf16, strided<[?, 1]>>, %workspace: memref<?xi8>, %begin: index, %end: index, %fault: memref<2xi64>)
      attributes {rondo.signature = {sizes = [], bound = array<i64>, batch = [],
        inputs = [#rondo.tensor<"x", argument, bf16, () -> (64, 64)>],
        outputs = [#rondo.tensor<"y", result, bf16, () -> (64, 64)>]}} {
    %zero = arith.constant 0.0 : f32
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c16384 = arith.constant 16384 : index
    %c32768 = arith.constant 32768 : index
    %a = memref.view %workspace[%c0][] : memref<?xi8> to memref<64x64xf32>
    %b = memref.view %workspace[%c16384][] : memref<?xi8> to memref<64x64xf32>
    %z = memref.view %workspace[%c32768][] : memref<?xi8> to memref<64x64xf32>
    scf.for %t = %begin to %end step %c1 {
      linalg.generic {indexing_maps = [#id], iterator_types = ["parallel", "parallel"]} outs(%a : memref<64x64xf32>) {
      ^bb0(%old: f32):
        %0 = math.exp %old : f32
        linalg.yield %0 : f32
      }
      linalg.generic {indexing_maps = [#id], iterator_types = ["parallel", "parallel"]} outs(%b : memref<64x64xf32>) {
      ^bb0(%old: f32):
        %0 = math.exp %old : f32
        linalg.yield %0 : f32
      }
      linalg.fill ins(%zero : f32) outs(%z : memref<64x64xf32>)
      linalg.generic {indexing_maps = [#row, #column, #result], iterator_types = ["parallel", "parallel", "reduction"]}
          ins(%a, %b : memref<64x64xf32>, memref<64x64xf32>) outs(%z : memref<64x64xf32>) {
      ^bb0(%0: f32, %1: f32, %sum: f32):
        %2 = arith.mulf %0, %1 : f32
        %4 = arith.addf %sum, %2 : f32
        linalg.yield %4 : f32
      }
    } {rondo.steps}
    return
  }
  func.func @older_worker_bytes() -> index {
    %bytes = arith.constant 49152 : index
    return %bytes : index
  }
}

// -----

#matrix = affine_map<(d, e) -> (d, e)>
#vector = affine_map<(d, e) -> (e)>
#out = affine_map<(d, e) -> (d)>
#id = affine_map<(i) -> (i)>

// A matrix of the caller is read in place if its rows are whole words.
// CHECK-LABEL: func.func @argument(
// CHECK-SAME:    %[[R:[^:]*]]: memref
// CHECK:         scf.for
// CHECK:           %[[WHOLE:.*]] = arith.cmpi eq
// CHECK:           %[[WORDS:.*]] = builtin.unrealized_conversion_cast %{{.*}} to memref<64x32xi32, strided<[?, 1]>>
// CHECK:           scf.if %[[WHOLE]] {
// CHECK-NEXT:        linalg.fill
// CHECK-NEXT:        linalg.generic {{.*}} ins(%[[WORDS]], %{{.*}} : memref<64x32xi32, strided<[?, 1]>>, memref<32xi32>)
// CHECK:               rondo.dot_pair
// CHECK:           } else {
// CHECK-NEXT:        linalg.fill
// CHECK-NEXT:        linalg.generic
// CHECK:               arith.mulf
module attributes {rondo.target = {name = "x86-64-v4-bf16", vector_bits = 512 : i64, registers = 32 : i64, bf16 = true}} {
  func.func @argument(%r: memref<?x?xbf16, strided<[?, 1]>>, %y: memref<?x?xbf16, strided<[?, 1]>>, %workspace: memref<?xi8>, %begin: index, %end: index, %fault: memref<2xi64>)
      attributes {rondo.signature = {sizes = [], bound = array<i64>, batch = [],
        inputs = [#rondo.tensor<"r", argument, bf16, () -> (64, 64)>],
        outputs = [#rondo.tensor<"y", result, bf16, () -> (64, 64)>]}} {
    %zero = arith.constant 0.0 : f32
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c256 = arith.constant 256 : index
    %h = memref.view %workspace[%c0][] : memref<?xi8> to memref<64xf32>
    %z = memref.view %workspace[%c256][] : memref<?xi8> to memref<64xf32>
    %matrix = memref.subview %r[0, 0] [64, 64] [1, 1] : memref<?x?xbf16, strided<[?, 1]>> to memref<64x64xbf16, strided<[?, 1]>>
    scf.for %t = %begin to %end step %c1 {
      linalg.fill ins(%zero : f32) outs(%z : memref<64xf32>)
      linalg.generic {indexing_maps = [#matrix, #vector, #out], iterator_types = ["parallel", "reduction"]}
          ins(%matrix, %h : memref<64x64xbf16, strided<[?, 1]>>, memref<64xf32>) outs(%z : memref<64xf32>) {
      ^bb0(%0: bf16, %1: f32, %sum: f32):
        %2 = arith.extf %0 : bf16 to f32
        %3 = arith.mulf %2, %1 : f32
        %4 = arith.addf %sum, %3 : f32
        linalg.yield %4 : f32
      }
      linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
          ins(%z : memref<64xf32>) outs(%h : memref<64xf32>) {
      ^bb0(%0: f32, %old: f32):
        %1 = math.tanh %0 : f32
        linalg.yield %1 : f32
      }
    } {rondo.steps}
    return
  }
  func.func @argument_worker_bytes() -> index {
    %bytes = arith.constant 512 : index
    return %bytes : index
  }
}

// -----

#row = affine_map<(t, j, s) -> (t, s)>
#column = affine_map<(t, j, s) -> (s, j)>
#result = affine_map<(t, j, s) -> (t, j)>
#id = affine_map<(i, j) -> (i, j)>

// Rows that follow from the rows before are paired when all are there: products
// with part of them don't read pairs.
// CHECK-LABEL: func.func @solve(
// CHECK:         scf.for
// CHECK:           scf.for
// CHECK-NOT:         rondo.pack_pair
// CHECK:             arith.mulf
// CHECK-NOT:         rondo.pack_pair
// CHECK:           }
// CHECK:           rondo.pack_pair
// CHECK:           rondo.dot_pair
module attributes {rondo.target = {name = "x86-64-v4-bf16", vector_bits = 512 : i64, registers = 32 : i64, bf16 = true}} {
  func.func @solve(%x: memref<?x?xbf16, strided<[?, 1]>>, %y: memref<?x?xbf16, strided<[?, 1]>>, %workspace: memref<?xi8>, %begin: index, %end: index, %fault: memref<2xi64>)
      attributes {rondo.signature = {sizes = [], bound = array<i64>, batch = [],
        inputs = [#rondo.tensor<"x", argument, bf16, () -> (64, 64)>],
        outputs = [#rondo.tensor<"y", result, bf16, () -> (64, 64)>]}} {
    %zero = arith.constant 0.0 : f32
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c64 = arith.constant 64 : index
    %c16384 = arith.constant 16384 : index
    %c32768 = arith.constant 32768 : index
    %a = memref.view %workspace[%c0][] : memref<?xi8> to memref<64x64xf32>
    %b = memref.view %workspace[%c16384][] : memref<?xi8> to memref<64x64xf32>
    %z = memref.view %workspace[%c32768][] : memref<?xi8> to memref<64x64xf32>
    scf.for %t = %begin to %end step %c1 {
      linalg.generic {indexing_maps = [#id], iterator_types = ["parallel", "parallel"]} outs(%a : memref<64x64xf32>) {
      ^bb0(%old: f32):
        %0 = math.exp %old : f32
        linalg.yield %0 : f32
      }
      scf.for %r = %c0 to %c64 step %c1 {
        %factors = memref.subview %a[%r, 0] [1, %r] [1, 1] : memref<64x64xf32> to memref<?xf32, strided<[1], offset: ?>>
        %before = memref.subview %b[0, 0] [%r, 64] [1, 1] : memref<64x64xf32> to memref<?x64xf32, strided<[64, 1]>>
        %own = memref.subview %b[%r, 0] [1, 64] [1, 1] : memref<64x64xf32> to memref<64xf32, strided<[1], offset: ?>>
        linalg.fill ins(%zero : f32) outs(%own : memref<64xf32, strided<[1], offset: ?>>)
        linalg.generic {indexing_maps = [affine_map<(j, s) -> (s)>, affine_map<(j, s) -> (s, j)>, affine_map<(j, s) -> (j)>], iterator_types = ["parallel", "reduction"]}
            ins(%factors, %before : memref<?xf32, strided<[1], offset: ?>>, memref<?x64xf32, strided<[64, 1]>>) outs(%own : memref<64xf32, strided<[1], offset: ?>>) {
        ^bb0(%0: f32, %1: f32, %sum: f32):
          %2 = arith.mulf %0, %1 : f32
          %3 = arith.addf %sum, %2 : f32
          linalg.yield %3 : f32
        }
      }
      linalg.fill ins(%zero : f32) outs(%z : memref<64x64xf32>)
      linalg.generic {indexing_maps = [#row, #column, #result], iterator_types = ["parallel", "parallel", "reduction"]}
          ins(%a, %b : memref<64x64xf32>, memref<64x64xf32>) outs(%z : memref<64x64xf32>) {
      ^bb0(%0: f32, %1: f32, %sum: f32):
        %2 = arith.mulf %0, %1 : f32
        %4 = arith.addf %sum, %2 : f32
        linalg.yield %4 : f32
      }
    } {rondo.steps}
    return
  }
  func.func @solve_worker_bytes() -> index {
    %bytes = arith.constant 49152 : index
    return %bytes : index
  }
}

// -----

#matrix = affine_map<(b, d, e) -> (e, d)>
#vector = affine_map<(b, d, e) -> (b, e)>
#out = affine_map<(b, d, e) -> (b, d)>
#id = affine_map<(i, j) -> (i, j)>
#transposed = affine_map<(i, j) -> (j, i)>

// A matrix of the caller whose copy is transposed: words are, if its rows are
// whole words, and else elements, which are then paired.
// CHECK-LABEL: func.func @transposed(
// CHECK:         %[[WORDS:.*]] = memref.view %{{.*}} : memref<{{.*}}xi8{{.*}}> to memref<32x32xi32>
// CHECK:         %[[WHOLE:.*]] = arith.cmpi eq
// CHECK:         %[[OF:.*]] = builtin.unrealized_conversion_cast %{{.*}} to memref<32x32xi32, strided<[?, 1]>>
// CHECK:         scf.if %[[WHOLE]] {
// CHECK-NEXT:      linalg.generic {indexing_maps = [#[[SWAP:.*]], #{{.*}}], {{.*}} ins(%[[OF]] : {{.*}}) outs(%[[WORDS]] : memref<32x32xi32>)
// CHECK-NEXT:      ^bb0(%[[IN:.*]]: i32, %{{.*}}: i32):
// CHECK-NEXT:        linalg.yield %[[IN]]
// CHECK:         } else {
// CHECK-NEXT:      linalg.generic {{.*}} ins(%{{.*}} : memref<32x64xbf16, strided<[?, 1]>>) outs(%{{.*}} : memref<64x32xf32>)
// CHECK:           linalg.generic {{.*}} outs(%[[WORDS]]
// CHECK:             rondo.pack_pair
// CHECK:         scf.for
// CHECK:           rondo.dot_pair
module attributes {rondo.target = {name = "x86-64-v4-bf16", vector_bits = 512 : i64, registers = 32 : i64, bf16 = true}} {
  func.func @transposed(%r: memref<?x?xbf16, strided<[?, 1]>>, %y: memref<?x?xbf16, strided<[?, 1]>>, %workspace: memref<?xi8>, %begin: index, %end: index, %fault: memref<2xi64>)
      attributes {rondo.signature = {sizes = [], bound = array<i64>, batch = [],
        inputs = [#rondo.tensor<"r", argument, bf16, () -> (32, 64)>],
        outputs = [#rondo.tensor<"y", result, bf16, () -> (4, 32)>]}} {
    %zero = arith.constant 0.0 : f32
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c8192 = arith.constant 8192 : index
    %c9216 = arith.constant 9216 : index
    %matrix = memref.view %workspace[%c0][] : memref<?xi8> to memref<64x32xf32>
    %h = memref.view %workspace[%c8192][] : memref<?xi8> to memref<4x64xf32>
    %z = memref.view %workspace[%c9216][] : memref<?xi8> to memref<4x32xf32>
    %rows = memref.subview %r[0, 0] [32, 64] [1, 1] : memref<?x?xbf16, strided<[?, 1]>> to memref<32x64xbf16, strided<[?, 1]>>
    linalg.generic {indexing_maps = [#transposed, #id], iterator_types = ["parallel", "parallel"]}
        ins(%rows : memref<32x64xbf16, strided<[?, 1]>>) outs(%matrix : memref<64x32xf32>) {
    ^bb0(%0: bf16, %old: f32):
      %1 = arith.extf %0 : bf16 to f32
      linalg.yield %1 : f32
    }
    scf.for %t = %begin to %end step %c1 {
      linalg.fill ins(%zero : f32) outs(%z : memref<4x32xf32>)
      linalg.generic {indexing_maps = [#matrix, #vector, #out], iterator_types = ["parallel", "parallel", "reduction"]}
          ins(%matrix, %h : memref<64x32xf32>, memref<4x64xf32>) outs(%z : memref<4x32xf32>) {
      ^bb0(%0: f32, %1: f32, %sum: f32):
        %2 = arith.mulf %0, %1 : f32
        %3 = arith.addf %sum, %2 : f32
        linalg.yield %3 : f32
      }
      %first = memref.subview %h[0, 0] [4, 32] [1, 1] : memref<4x64xf32> to memref<4x32xf32, strided<[64, 1]>>
      linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
          ins(%z : memref<4x32xf32>) outs(%first : memref<4x32xf32, strided<[64, 1]>>) {
      ^bb0(%0: f32, %old: f32):
        %1 = math.tanh %0 : f32
        linalg.yield %1 : f32
      }
    } {rondo.steps}
    return
  }
  func.func @transposed_worker_bytes() -> index {
    %bytes = arith.constant 9728 : index
    return %bytes : index
  }
}

// -----

#row = affine_map<(t, j, s) -> (t, s)>
#column = affine_map<(t, j, s) -> (s, j)>
#result = affine_map<(t, j, s) -> (t, j)>
#id = affine_map<(i, j) -> (i, j)>

// Sums over the steps before a block read a part of the pairs. A short sum under
// a mask stays if its factor, here sums as well, is no op over points.
// CHECK-LABEL: func.func @blocks(
// CHECK:         %[[B:.*]] = memref.view %{{.*}} : memref<{{.*}}xi8> to memref<32x64xi32>
// CHECK:         scf.for
// CHECK:           rondo.pack_pair
// CHECK:           scf.for %[[K:.*]] =
// CHECK:             %[[STEPS:.*]] = arith.muli %[[K]], %{{.*}}
// CHECK:             %[[HALF:.*]] = arith.divui %[[STEPS]], %{{.*}}
// CHECK:             memref.subview %[[B]][0, 0] [%{{.*}}, 64] [1, 1] : memref<32x64xi32> to memref<?x64xi32
// CHECK:             linalg.generic {{.*}} : memref<16x?xi32, {{.*}}>, memref<?x64xi32
// CHECK:               rondo.dot_pair
// CHECK:           linalg.generic {{.*}} : memref<16x16xf32>, memref<16x64xf32
// CHECK:             arith.mulf
module attributes {rondo.target = {name = "x86-64-v4-bf16", vector_bits = 512 : i64, registers = 32 : i64, bf16 = true}} {
  func.func @blocks(%x: memref<?x?xbf16, strided<[?, 1]>>, %y: memref<?x?xbf16, strided<[?, 1]>>, %workspace: memref<?xi8>, %begin: index, %end: index, %fault: memref<2xi64>)
      attributes {rondo.signature = {sizes = [], bound = array<i64>, batch = [],
        inputs = [#rondo.tensor<"x", argument, bf16, () -> (64, 64)>],
        outputs = [#rondo.tensor<"y", result, bf16, () -> (64, 64)>]}} {
    %zero = arith.constant 0.0 : f32
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c4 = arith.constant 4 : index
    %c16 = arith.constant 16 : index
    %c16384 = arith.constant 16384 : index
    %c32768 = arith.constant 32768 : index
    %c49152 = arith.constant 49152 : index
    %c65536 = arith.constant 65536 : index
    %c81920 = arith.constant 81920 : index
    %a = memref.view %workspace[%c0][] : memref<?xi8> to memref<64x64xf32>
    %b = memref.view %workspace[%c16384][] : memref<?xi8> to memref<64x64xf32>
    %z = memref.view %workspace[%c32768][] : memref<?xi8> to memref<64x64xf32>
    %w = memref.view %workspace[%c49152][] : memref<?xi8> to memref<64xf32>
    %u = memref.view %workspace[%c65536][] : memref<?xi8> to memref<16x16xf32>
    %v = memref.view %workspace[%c81920][] : memref<?xi8> to memref<16x64xf32>
    %first = memref.subview %b[0, 0] [16, 64] [1, 1] : memref<64x64xf32> to memref<16x64xf32, strided<[64, 1]>>
    scf.for %t = %begin to %end step %c1 {
      linalg.generic {indexing_maps = [#id], iterator_types = ["parallel", "parallel"]} outs(%a : memref<64x64xf32>) {
      ^bb0(%old: f32):
        %0 = math.exp %old : f32
        linalg.yield %0 : f32
      }
      linalg.generic {indexing_maps = [affine_map<(i, j) -> (i)>, #id], iterator_types = ["parallel", "parallel"]}
          ins(%w : memref<64xf32>) outs(%b : memref<64x64xf32>) {
      ^bb0(%0: f32, %old: f32):
        %1 = math.exp %0 : f32
        linalg.yield %1 : f32
      }
      scf.for %k = %c0 to %c4 step %c1 {
        %steps = arith.muli %k, %c16 : index
        %own = memref.subview %a[%steps, 0] [16, %steps] [1, 1] : memref<64x64xf32> to memref<16x?xf32, strided<[64, 1], offset: ?>>
        %before = memref.subview %b[0, 0] [%steps, 64] [1, 1] : memref<64x64xf32> to memref<?x64xf32, strided<[64, 1]>>
        %sums = memref.subview %z[%steps, 0] [16, 64] [1, 1] : memref<64x64xf32> to memref<16x64xf32, strided<[64, 1], offset: ?>>
        linalg.fill ins(%zero : f32) outs(%sums : memref<16x64xf32, strided<[64, 1], offset: ?>>)
        linalg.generic {indexing_maps = [#row, #column, #result], iterator_types = ["parallel", "parallel", "reduction"]}
            ins(%own, %before : memref<16x?xf32, strided<[64, 1], offset: ?>>, memref<?x64xf32, strided<[64, 1]>>) outs(%sums : memref<16x64xf32, strided<[64, 1], offset: ?>>) {
        ^bb0(%0: f32, %1: f32, %sum: f32):
          %2 = arith.mulf %0, %1 : f32
          %4 = arith.addf %sum, %2 : f32
          linalg.yield %4 : f32
        }
      }
      linalg.fill ins(%zero : f32) outs(%u : memref<16x16xf32>)
      linalg.generic {indexing_maps = [affine_map<(i, j, s) -> (s)>, affine_map<(i, j, s) -> (i, j)>], iterator_types = ["parallel", "parallel", "reduction"]}
          ins(%w : memref<64xf32>) outs(%u : memref<16x16xf32>) {
      ^bb0(%0: f32, %sum: f32):
        %4 = arith.addf %sum, %0 : f32
        linalg.yield %4 : f32
      }
      linalg.generic {indexing_maps = [#row, #column, #result], iterator_types = ["parallel", "parallel", "reduction"]}
          ins(%u, %first : memref<16x16xf32>, memref<16x64xf32, strided<[64, 1]>>) outs(%v : memref<16x64xf32>) {
      ^bb0(%0: f32, %1: f32, %sum: f32):
        %2 = arith.mulf %0, %1 : f32
        %t0 = linalg.index 0 : index
        %s0 = linalg.index 2 : index
        %inside = arith.cmpi sle, %s0, %t0 : index
        %3 = arith.select %inside, %2, %zero : f32
        %4 = arith.addf %sum, %3 : f32
        linalg.yield %4 : f32
      }
    } {rondo.steps}
    return
  }
  func.func @blocks_worker_bytes() -> index {
    %bytes = arith.constant 86016 : index
    return %bytes : index
  }
}

// -----

#row = affine_map<(t, j, s) -> (t, s)>
#column = affine_map<(t, j, s) -> (s, j)>
#result = affine_map<(t, j, s) -> (t, j)>
#id = affine_map<(i, j) -> (i, j)>

// What one op writes is paired where it is computed, each result by itself; what
// scales rows may be a vector along the pairs.
// CHECK-LABEL: func.func @results(
// CHECK:         scf.for
// CHECK-NOT:       outs(%{{.*}}, %{{.*}} : memref<64x64xf32
// CHECK:           linalg.generic {{.*}} outs(%{{.*}} : memref<32x64xi32
// CHECK:             rondo.pack_pair %{{.*}}, %{{.*}} : f32 -> i32
// CHECK:           linalg.generic {{.*}} outs(%{{.*}} : memref<32x64xi32
// CHECK:             arith.mulf
// CHECK:             rondo.pack_pair %{{.*}}, %{{.*}} : f32 -> i32
// CHECK:           rondo.dot_pair
// CHECK:           rondo.dot_pair
module attributes {rondo.target = {name = "x86-64-v4-bf16", vector_bits = 512 : i64, registers = 32 : i64, bf16 = true}} {
  func.func @results(%x: memref<?x?xbf16, strided<[?, 1]>>, %y: memref<?x?xbf16, strided<[?, 1]>>, %workspace: memref<?xi8>, %begin: index, %end: index, %fault: memref<2xi64>)
      attributes {rondo.signature = {sizes = [], bound = array<i64>, batch = [],
        inputs = [#rondo.tensor<"x", argument, bf16, () -> (64, 64)>],
        outputs = [#rondo.tensor<"y", result, bf16, () -> (64, 64)>]}} {
    %zero = arith.constant 0.0 : f32
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c16384 = arith.constant 16384 : index
    %c49152 = arith.constant 49152 : index
    %c65536 = arith.constant 65536 : index
    %a = memref.view %workspace[%c0][] : memref<?xi8> to memref<64x64xf32>
    %b = memref.view %workspace[%c16384][] : memref<?xi8> to memref<2x64x64xf32>
    %z = memref.view %workspace[%c49152][] : memref<?xi8> to memref<64x64xf32>
    %w = memref.view %workspace[%c65536][] : memref<?xi8> to memref<64xf32>
    scf.for %t = %begin to %end step %c1 {
      linalg.generic {indexing_maps = [#id], iterator_types = ["parallel", "parallel"]} outs(%a : memref<64x64xf32>) {
      ^bb0(%old: f32):
        %0 = math.exp %old : f32
        linalg.yield %0 : f32
      }
      %b0 = memref.subview %b[0, 0, 0] [1, 64, 64] [1, 1, 1] : memref<2x64x64xf32> to memref<64x64xf32, strided<[64, 1]>>
      %b1 = memref.subview %b[1, 0, 0] [1, 64, 64] [1, 1, 1] : memref<2x64x64xf32> to memref<64x64xf32, strided<[64, 1], offset: 4096>>
      linalg.generic {indexing_maps = [#id, affine_map<(i, j) -> (i)>, #id, #id], iterator_types = ["parallel", "parallel"]}
          ins(%z, %w : memref<64x64xf32>, memref<64xf32>) outs(%b0, %b1 : memref<64x64xf32, strided<[64, 1]>>, memref<64x64xf32, strided<[64, 1], offset: 4096>>) {
      ^bb0(%0: f32, %1: f32, %old0: f32, %old1: f32):
        %2 = arith.mulf %0, %1 : f32
        linalg.yield %0, %2 : f32, f32
      }
      linalg.fill ins(%zero : f32) outs(%z : memref<64x64xf32>)
      linalg.generic {indexing_maps = [#row, #column, #result], iterator_types = ["parallel", "parallel", "reduction"]}
          ins(%a, %b0 : memref<64x64xf32>, memref<64x64xf32, strided<[64, 1]>>) outs(%z : memref<64x64xf32>) {
      ^bb0(%0: f32, %1: f32, %sum: f32):
        %2 = arith.mulf %0, %1 : f32
        %4 = arith.addf %sum, %2 : f32
        linalg.yield %4 : f32
      }
      linalg.generic {indexing_maps = [#row, #column, #result], iterator_types = ["parallel", "parallel", "reduction"]}
          ins(%a, %b1 : memref<64x64xf32>, memref<64x64xf32, strided<[64, 1], offset: 4096>>) outs(%z : memref<64x64xf32>) {
      ^bb0(%0: f32, %1: f32, %sum: f32):
        %2 = arith.mulf %0, %1 : f32
        %4 = arith.addf %sum, %2 : f32
        linalg.yield %4 : f32
      }
    } {rondo.steps}
    return
  }
  func.func @results_worker_bytes() -> index {
    %bytes = arith.constant 65792 : index
    return %bytes : index
  }
}
