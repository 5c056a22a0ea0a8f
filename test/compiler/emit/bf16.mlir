// Roundings without an instruction are spelled out, so that they stay vectors
// and nothing is called.
// RUN: rondo-emit-test %s --emit=opt --arch=x86-64-v4 | FileCheck %s --check-prefix=V4
// RUN: rondo-emit-test %s --emit=opt --arch=x86-64-v4-bf16 | FileCheck %s --check-prefix=BF16
// RUN: rondo-emit-test %s -o %t.so

func.func private @f() attributes {rondo.signature = {
  sizes = [], bound = array<i64>, batch = [],
  inputs = [], outputs = [#rondo.tensor<"y", result, bf16, () -> ()>]}}

// V4-LABEL: @f_body__x86_64_v4(
// V4-NOT:     fptrunc <16 x float>
// V4:         fcmp uno <16 x float>
// V4:         fptrunc <16 x double> %{{.*}} to <16 x float>
// V4:         fptrunc <16 x float> %{{.*}} to <16 x half>
// BF16-LABEL: @f_body__x86_64_v4_bf16(
// BF16:         fptrunc <16 x float> %{{.*}} to <16 x bfloat>
llvm.func @f_body(%frame: !llvm.ptr) {
  %0 = llvm.getelementptr %frame[1] : (!llvm.ptr) -> !llvm.ptr, i64
  %data = llvm.load %0 : !llvm.ptr -> !llvm.ptr
  %1 = llvm.load %data : !llvm.ptr -> vector<16xf32>
  %2 = llvm.fptrunc %1 : vector<16xf32> to vector<16xbf16>
  llvm.store %2, %data : vector<16xbf16>, !llvm.ptr
  %3 = llvm.load %data : !llvm.ptr -> vector<16xf64>
  %4 = llvm.fptrunc %3 : vector<16xf64> to vector<16xf16>
  llvm.store %4, %data : vector<16xf16>, !llvm.ptr
  llvm.return
}
