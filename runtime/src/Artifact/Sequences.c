//===- Sequences.c - Packed sequences -------------------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Boundaries of sequences that lie one after the other along the time dim.
//
//===----------------------------------------------------------------------===//

#include "Support.h"

#include <inttypes.h>

int64_t rondo_sequence_start(const rondo_call *call, int64_t n) {
  return call->cu_dtype == RONDO_I32 ? ((const int32_t *)call->cu_seqlens)[n]
                                     : ((const int64_t *)call->cu_seqlens)[n];
}

rondo_status rondo_call_check_sequences(rondo_call *call) {
  const rondo_kernel_info *info = call->info;
  int64_t length = call->sizes[info->time_size];
  const char *timeName = rondo_or(info->sizes[info->time_size].name, "T");
  int64_t bound = info->sizes[info->time_size].bound;
  if (bound >= 0)
    return rondo_call_fail(call, RONDO_ERROR_BAD_SEQUENCES,
                           "cu_seqlens needs a kernel compiled for any %s; "
                           "this one is for %s = %" PRId64,
                           timeName, timeName, bound);
  if (call->cu_dtype != RONDO_I32 && call->cu_dtype != RONDO_I64)
    return rondo_call_fail(call, RONDO_ERROR_WRONG_DTYPE,
                           "cu_seqlens has dtype %s, expected i32 or i64",
                           rondo_dtype_string(call->cu_dtype));
  if (call->num_sequences < 0)
    return rondo_call_fail(call, RONDO_ERROR_BAD_SEQUENCES,
                           "num_sequences is %" PRId64 ", expected at least 0",
                           call->num_sequences);
  call->longest = length;
  if (!call->cu_seqlens)
    return RONDO_OK; // a query without data: the longest is at most T
  uintptr_t alignment = (uintptr_t)rondo_dtype_size(call->cu_dtype);
  if ((uintptr_t)call->cu_seqlens % alignment)
    return rondo_call_fail(call, RONDO_ERROR_MISALIGNED,
                           "cu_seqlens is not aligned to %d bytes",
                           (int)alignment);
  if (rondo_on_device(call))
    return RONDO_OK; // the values are on the device
  int64_t last = rondo_sequence_start(call, 0);
  if (last != 0)
    return rondo_call_fail(call, RONDO_ERROR_BAD_SEQUENCES,
                           "cu_seqlens[0] is %" PRId64 ", expected 0", last);
  call->longest = 0;
  for (int64_t n = 1; n <= call->num_sequences; ++n) {
    int64_t next = rondo_sequence_start(call, n);
    if (next < last || next > length)
      return rondo_call_fail(call, RONDO_ERROR_BAD_SEQUENCES,
                             "cu_seqlens[%" PRId64 "] is %" PRId64
                             ", expected a value from %" PRId64 " to %" PRId64
                             " (%s)",
                             n, next, last, length, timeName);
    if (next - last > call->longest)
      call->longest = next - last;
    last = next;
  }
  if (last != length)
    return rondo_call_fail(call, RONDO_ERROR_BAD_SEQUENCES,
                           "cu_seqlens ends at %" PRId64 ", expected %" PRId64
                           " (%s)",
                           last, length, timeName);
  return RONDO_OK;
}

rondo_status rondo_call_check_states(const rondo_call *call) {
  for (int32_t i = 0; i < call->info->num_tensors; ++i) {
    const rondo_operand *operand = &call->operands[i];
    const rondo_tensor_info *tensor = operand->info;
    bool state =
        tensor->role == RONDO_ROLE_INITIAL || tensor->role == RONDO_ROLE_FINAL;
    if (operand->given && state && tensor->sequence_dim < 0)
      return rondo_tensor_fail(call, RONDO_ERROR_BAD_SEQUENCES, tensor,
                               " can't be given with cu_seqlens: it has no "
                               "batch dim to hold one value per sequence");
  }
  return RONDO_OK;
}
