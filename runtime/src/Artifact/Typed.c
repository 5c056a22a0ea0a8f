//===- Typed.c - From an argument struct to a call ------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The struct's layout is in the table: sizes first, then one or two fields per
// tensor, then `packed`.
//
//===----------------------------------------------------------------------===//

#include "Support.h"

#include <inttypes.h>
#include <string.h>

static rondo_status loadSizes(rondo_call *call, const char *args) {
  const rondo_kernel_info *info = call->info;
  memcpy(call->sizes, args, (size_t)info->num_sizes * sizeof(int64_t));
  for (int32_t i = 0; i < info->num_sizes; ++i) {
    const rondo_size_info *size = &info->sizes[i];
    int64_t value = call->sizes[i];
    if (value < 0)
      return rondo_call_fail(call, RONDO_ERROR_WRONG_SIZE,
                             "size '%s' is %" PRId64 ", expected at least 0",
                             rondo_or(size->name, "?"), value);
    if (size->bound >= 0 && value != size->bound)
      return rondo_call_fail(call, RONDO_ERROR_WRONG_SIZE,
                             "size '%s' is %" PRId64 ", expected %" PRId64
                             " as compiled",
                             rondo_or(size->name, "?"), value, size->bound);
  }
  return RONDO_OK;
}

static rondo_status loadPacked(rondo_call *call, const char *args) {
  const rondo_kernel_info *info = call->info;
  if (info->time_size < 0 || info->packed_offset < 0)
    return RONDO_OK;
  rondo_packed packed;
  memcpy(&packed, args + info->packed_offset, sizeof(packed));
  if (!packed.cu_seqlens)
    return RONDO_OK;
  call->packed = true;
  call->cu_seqlens = packed.cu_seqlens;
  call->cu_dtype = packed.dtype;
  call->num_sequences = packed.num_sequences;
  if (info->sequence_size >= 0 && call->sizes[info->sequence_size] != 1)
    return rondo_call_fail(call, RONDO_ERROR_WRONG_SIZE,
                           "size '%s' is %" PRId64
                           ", expected 1 because cu_seqlens is given",
                           rondo_or(info->sizes[info->sequence_size].name, "?"),
                           call->sizes[info->sequence_size]);
  return rondo_call_check_sequences(call);
}

static rondo_status loadField(rondo_call *call, rondo_operand *operand,
                              const char *args) {
  const rondo_tensor_info *tensor = operand->info;
  const int64_t *strides = NULL;
  if (tensor->rank == 0 && tensor->role == RONDO_ROLE_ARGUMENT)
    operand->data = (char *)args + tensor->value_offset;
  else
    memcpy(&operand->data, args + tensor->value_offset, sizeof(char *));
  if (tensor->rank > 0)
    memcpy(&strides, args + tensor->strides_offset, sizeof(strides));
  bool optional = tensor->flags & RONDO_TENSOR_OPTIONAL;
  operand->given = operand->data || !optional || (call->query && strides);

  for (int32_t dim = 0; dim < tensor->rank; ++dim) {
    rondo_status status =
        rondo_call_extent(call, tensor, dim, &operand->extents[dim]);
    if (status != RONDO_OK)
      return status;
  }
  if (strides) {
    memcpy(operand->strides, strides, (size_t)tensor->rank * sizeof(int64_t));
    return RONDO_OK;
  }
  if (!rondo_strides_packed(operand->extents, tensor->rank, operand->strides))
    return rondo_tensor_fail(call, RONDO_ERROR_SIZE_OVERFLOW, tensor,
                             " is larger than 63 bits can count");
  return RONDO_OK;
}

rondo_status rondo_call_load_typed(rondo_call *call, const void *args) {
  if (!args)
    return rondo_call_fail(call, RONDO_ERROR_NULL_POINTER, "args is NULL");
  rondo_status status = loadSizes(call, args);
  if (status == RONDO_OK)
    status = loadPacked(call, args);
  for (int32_t i = 0; status == RONDO_OK && i < call->info->num_tensors; ++i)
    status = loadField(call, &call->operands[i], args);
  return status;
}
