// RUN: rondo-opt %s --rondo-cpu-pipeline | FileCheck %s
// RUN: rondo-opt %s --rondo-cpu-pipeline=libm=true | FileCheck %s --check-prefix=LIBM

// CHECK-LABEL: llvm.func @f(
// CHECK-SAME:    {llvm.noalias}
// CHECK-SAME:    sym_visibility = "private"
// CHECK:         llvm.load {{.*}} -> vector<16xf32>
// CHECK:         llvm.fmul {{.*}} {fastmathFlags = #llvm.fastmath<contract>} : vector<16xf32>
// CHECK-NOT:     llvm.intr.exp
// CHECK:         llvm.intr.masked.load
// CHECK:         llvm.intr.masked.store
// CHECK-LABEL: llvm.func @f_body(%{{.*}}: !llvm.ptr)
// CHECK-SAME:    rondo.signature
// CHECK-NOT:     unrealized_conversion_cast

// LIBM:          llvm.intr.exp
module attributes {rondo.target = {name = "x86-64-v4", vector_bits = 512 : i64, registers = 32 : i64}} {
func.func @f(%T: index, %x: memref<?xf32>, %y: memref<?xf32>,
             %workspace: memref<?xi8>, %begin: index, %end: index, %fault: memref<2xi64>)
    attributes {rondo.signature = {
      sizes = ["T"], bound = array<i64: -1>, batch = [],
      inputs = [#rondo.tensor<"x", argument, f32, ()[s0] -> (s0)>],
      outputs = [#rondo.tensor<"y", result, f32, ()[s0] -> (s0)>]}} {
  linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>],
                  iterator_types = ["parallel"]}
      ins(%x : memref<?xf32>) outs(%y : memref<?xf32>) {
  ^bb0(%a: f32, %old: f32):
    %0 = math.exp %a : f32
    %1 = arith.mulf %0, %a : f32
    linalg.yield %1 : f32
  }
  return
}
}
