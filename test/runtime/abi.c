//===- abi.c - The layout of the binary interface -------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Compiled as C99 and as C++, pedantically. The numbers are the interface: they
// change only with RONDO_ABI_VERSION.
//
//===----------------------------------------------------------------------===//

#include "Check.h"
#include "rondo/runtime.h"

#include <string.h>

#define OFFSET(type, field, bytes) CHECK(offsetof(type, field) == (bytes))
#define SIZE(type, bytes) CHECK(sizeof(type) == (bytes))

static void testContext(void) {
  SIZE(rondo_context, 88);
  OFFSET(rondo_context, user, 8);
  OFFSET(rondo_context, parallel_for, 16);
  OFFSET(rondo_context, num_workers, 24);
  OFFSET(rondo_context, max_cpu_level, 28);
  OFFSET(rondo_context, allocate, 32);
  OFFSET(rondo_context, deallocate, 40);
  OFFSET(rondo_context, cuda_stream, 48);
  OFFSET(rondo_context, cuda_device, 56);
  OFFSET(rondo_context, error, 64);
  OFFSET(rondo_context, error_size, 72);
  OFFSET(rondo_context, log, 80);
}

static void testTables(void) {
  SIZE(rondo_packed, 24);
  SIZE(rondo_size_info, 16);
  SIZE(rondo_size_op, 16);
  SIZE(rondo_size_expr, 24);
  SIZE(rondo_tensor_info, 80);
  OFFSET(rondo_tensor_info, shape, 24);
  OFFSET(rondo_tensor_info, role, 32);
  OFFSET(rondo_tensor_info, dtype, 36);
  OFFSET(rondo_tensor_info, rank, 40);
  OFFSET(rondo_tensor_info, flags, 44);
  OFFSET(rondo_tensor_info, value_offset, 48);
  OFFSET(rondo_tensor_info, strides_offset, 56);
  OFFSET(rondo_tensor_info, time_dim, 64);
  OFFSET(rondo_tensor_info, sequence_dim, 68);
  OFFSET(rondo_tensor_info, partner, 72);
  SIZE(rondo_fault_info, 40);
  OFFSET(rondo_fault_info, extent, 24);
  OFFSET(rondo_fault_info, dim, 32);
  SIZE(rondo_variant, 24);
  SIZE(rondo_frame, 88);
  OFFSET(rondo_frame, data, 8);
  OFFSET(rondo_frame, strides, 16);
  OFFSET(rondo_frame, workspace, 24);
  OFFSET(rondo_frame, begin, 32);
  OFFSET(rondo_frame, end, 40);
  OFFSET(rondo_frame, fault, 48);
  OFFSET(rondo_frame, launcher, 56);
  OFFSET(rondo_frame, slices, 64);
  SIZE(rondo_kernel_info, 208);
  OFFSET(rondo_kernel_info, name, 8);
  OFFSET(rondo_kernel_info, source, 48);
  OFFSET(rondo_kernel_info, io_dtype, 56);
  OFFSET(rondo_kernel_info, num_sizes, 64);
  OFFSET(rondo_kernel_info, num_tensors, 68);
  OFFSET(rondo_kernel_info, num_batch, 72);
  OFFSET(rondo_kernel_info, num_faults, 76);
  OFFSET(rondo_kernel_info, num_variants, 80);
  OFFSET(rondo_kernel_info, time_size, 88);
  OFFSET(rondo_kernel_info, sequence_size, 92);
  OFFSET(rondo_kernel_info, sizes, 96);
  OFFSET(rondo_kernel_info, tensors, 104);
  OFFSET(rondo_kernel_info, batch, 112);
  OFFSET(rondo_kernel_info, faults, 120);
  OFFSET(rondo_kernel_info, variants, 128);
  OFFSET(rondo_kernel_info, args_size, 136);
  OFFSET(rondo_kernel_info, packed_offset, 144);
  OFFSET(rondo_kernel_info, worker_bytes, 152);
  OFFSET(rondo_kernel_info, forward, 160);
  OFFSET(rondo_kernel_info, workspace_size, 168);
  OFFSET(rondo_kernel_info, call, 176);
  OFFSET(rondo_kernel_info, call_workspace_size, 184);
  SIZE(rondo_library_info, 40);
  OFFSET(rondo_library_info, kernels, 24);
  OFFSET(rondo_library_info, num_kernels, 32);
}

/// The layout that <dlpack/dlpack.h> documents; with RONDO_USE_DLPACK_HEADER
/// these are the real header's types.
static void testDlpack(void) {
  SIZE(DLDevice, 8);
  OFFSET(DLDevice, device_id, 4);
  SIZE(DLDataType, 4);
  OFFSET(DLDataType, bits, 1);
  OFFSET(DLDataType, lanes, 2);
  SIZE(DLTensor, 48);
  OFFSET(DLTensor, device, 8);
  OFFSET(DLTensor, ndim, 16);
  OFFSET(DLTensor, dtype, 20);
  OFFSET(DLTensor, shape, 24);
  OFFSET(DLTensor, strides, 32);
  OFFSET(DLTensor, byte_offset, 40);
  CHECK(kDLCPU == 1 && kDLCUDA == 2 && kDLCUDAHost == 3);
  CHECK(kDLInt == 0 && kDLUInt == 1 && kDLFloat == 2 && kDLBfloat == 4);
}

static void testWords(void) {
  int32_t i;
  for (i = -1; i <= RONDO_STATUS_COUNT; ++i)
    CHECK(strlen(rondo_status_string(i)) > 10);
  CHECK(strcmp(rondo_dtype_name(RONDO_BF16), "bf16") == 0);
  CHECK(strcmp(rondo_dtype_name(99), "unknown") == 0);
  CHECK(rondo_dtype_bytes(RONDO_I64) == 8 && rondo_dtype_bytes(-1) == 0);
  CHECK(rondo_dtype_dlpack(RONDO_BF16).code == kDLBfloat);
  CHECK(rondo_dtype_dlpack(RONDO_DTYPE_NONE).lanes == 0);
}

int main(void) {
  rondo_context context = RONDO_CONTEXT_INIT;
  CHECK(context.struct_size == sizeof(context) && context.error == NULL);
  testContext();
  testTables();
  testDlpack();
  testWords();
  return CHECK_SUMMARY();
}
