//===- Layout.c - Strides, spans and alignment ----------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Everything about where a tensor's elements lie.
//
//===----------------------------------------------------------------------===//

#include "Support.h"

#include <inttypes.h>

/// Empty tensors without data point here.
static const char Dummy[RONDO_WORKSPACE_ALIGNMENT]
    __attribute__((aligned(RONDO_WORKSPACE_ALIGNMENT)));

bool rondo_strides_packed(const int64_t *extents, int32_t rank,
                          int64_t *out_strides) {
  bool overflow = false, empty = false;
  int64_t stride = 1;
  for (int32_t dim = rank - 1; dim >= 0; --dim) {
    out_strides[dim] = stride;
    empty |= extents[dim] == 0;
    if (extents[dim] > 0 &&
        __builtin_mul_overflow(stride, extents[dim], &stride)) {
      overflow = true;
      stride = 1;
    }
  }
  return empty || !overflow;
}

/// The bytes that the operand touches, relative to its data.
static rondo_status findSpan(const rondo_call *call, rondo_operand *operand) {
  int64_t low = 0, high = 0;
  bool overflow = false;
  for (int32_t dim = 0; dim < operand->info->rank; ++dim) {
    int64_t reach;
    overflow |= __builtin_mul_overflow(operand->extents[dim] - 1,
                                       operand->strides[dim], &reach);
    overflow |= reach < 0 ? __builtin_add_overflow(low, reach, &low)
                          : __builtin_add_overflow(high, reach, &high);
  }
  int64_t size = operand->element_size;
  overflow |= __builtin_mul_overflow(low, size, &operand->low);
  overflow |= __builtin_add_overflow(high, 1, &high);
  overflow |= __builtin_mul_overflow(high, size, &operand->high);
  // A quarter of the range leaves room for sums of offsets of two tensors.
  overflow |= operand->low < -(INT64_MAX / 4) || operand->high > INT64_MAX / 4;
  // A packed copy, and the body's own counting, need the number of elements.
  int64_t bytes = size;
  for (int32_t dim = 0; dim < operand->info->rank; ++dim)
    overflow |= __builtin_mul_overflow(bytes, operand->extents[dim], &bytes);
  overflow |= bytes > INT64_MAX / 4;
  if (overflow)
    return rondo_tensor_fail(call, RONDO_ERROR_SIZE_OVERFLOW, operand->info,
                             " spans more bytes than 63 bits can count");
  return RONDO_OK;
}

static int64_t magnitude(int64_t value) { return value < 0 ? -value : value; }

/// A tensor that is written must not lie on itself: taken by increasing stride,
/// each dim has to step over everything that the smaller ones reach.
static rondo_status checkWrittenStrides(const rondo_call *call,
                                        const rondo_operand *operand) {
  const int64_t *extents = operand->extents, *strides = operand->strides;
  uint32_t done = 0;
  int64_t reach = 0;
  for (;;) {
    int32_t best = -1;
    for (int32_t dim = 0; dim < operand->info->rank; ++dim)
      if (extents[dim] > 1 && !(done >> dim & 1) &&
          (best < 0 || magnitude(strides[dim]) < magnitude(strides[best])))
        best = dim;
    if (best < 0)
      return RONDO_OK;
    if (magnitude(strides[best]) <= reach)
      return rondo_tensor_fail(
          call, RONDO_ERROR_WRONG_STRIDE, operand->info,
          " has stride %" PRId64 " in dim %" PRId32
          " (%s), expected at least %" PRId64 ": its elements overlap",
          strides[best], best, rondo_or(operand->info->shape[best].text, "?"),
          reach + 1);
    reach += magnitude(strides[best]) * (extents[best] - 1);
    done |= 1u << best;
  }
}

/// One operand by itself; fills in what the later steps use.
static rondo_status checkOperand(const rondo_call *call,
                                 rondo_operand *operand) {
  const rondo_tensor_info *tensor = operand->info;
  operand->empty = false;
  for (int32_t dim = 0; dim < tensor->rank; ++dim)
    operand->empty |= operand->extents[dim] == 0;
  if (!operand->given) {
    operand->data = NULL;
    return RONDO_OK;
  }
  if (operand->empty) {
    if (!operand->data)
      operand->data = (char *)Dummy;
    return RONDO_OK;
  }
  if (!operand->data && !call->query)
    return rondo_tensor_fail(call, RONDO_ERROR_NULL_POINTER, tensor,
                             " is NULL");
  rondo_status status = findSpan(call, operand);
  if (status == RONDO_OK && rondo_role_is_written(tensor->role))
    status = checkWrittenStrides(call, operand);
  if (status != RONDO_OK || call->query)
    return status;
  if ((uintptr_t)operand->data % (uintptr_t)operand->element_size)
    return rondo_tensor_fail(
        call, RONDO_ERROR_MISALIGNED, tensor,
        " is not aligned: its address ends in 0x%02x, expected a multiple of "
        "%" PRId64 " (%s)",
        (unsigned)((uintptr_t)operand->data & 0xFF), operand->element_size,
        rondo_dtype_string(tensor->dtype));
  return RONDO_OK;
}

/// Whether `a` and `b` are the two ends of one state in one buffer.
static bool sameBuffer(const rondo_call *call, int32_t a, int32_t b) {
  const rondo_operand *left = &call->operands[a], *right = &call->operands[b];
  if (left->info->partner != b || left->data != right->data ||
      left->element_size != right->element_size ||
      left->info->rank != right->info->rank)
    return false;
  for (int32_t dim = 0; dim < left->info->rank; ++dim)
    if (left->extents[dim] != right->extents[dim] ||
        (left->extents[dim] > 1 && left->strides[dim] != right->strides[dim]))
      return false;
  return true;
}

static rondo_status failOverlap(const rondo_call *call,
                                const rondo_operand *operand,
                                const rondo_tensor_info *other) {
  rondo_message message;
  rondo_message_begin(&message, call->info);
  rondo_message_add_tensor(&message, operand->info);
  rondo_message_add(&message, " overlaps ");
  rondo_message_add_tensor(&message, other);
  rondo_message_add(&message, ", expected memory of its own");
  return rondo_message_report(&message, call->ctx, RONDO_ERROR_OVERLAP);
}

/// Written tensors against all others and against the boundaries.
static rondo_status checkOverlap(const rondo_call *call) {
  int32_t count = call->info->num_tensors;
  for (int32_t i = 0; i < count; ++i) {
    const rondo_operand *written = &call->operands[i];
    if (!written->given || written->empty ||
        !rondo_role_is_written(written->info->role))
      continue;
    for (int32_t j = 0; j < count; ++j) {
      const rondo_operand *other = &call->operands[j];
      if (j == i || !other->given || other->empty ||
          (j < i && rondo_role_is_written(other->info->role)))
        continue;
      if (rondo_operands_overlap(written, other) && !sameBuffer(call, i, j))
        return failOverlap(call, written, other->info);
    }
    if (!call->packed)
      continue;
    const char *from = call->cu_seqlens;
    const char *to =
        from + (call->num_sequences + 1) * rondo_dtype_size(call->cu_dtype);
    if (written->data + written->low < to &&
        from < written->data + written->high)
      return rondo_tensor_fail(call, RONDO_ERROR_OVERLAP, written->info,
                               " overlaps cu_seqlens");
  }
  return RONDO_OK;
}

rondo_status rondo_call_check(rondo_call *call) {
  for (int32_t i = 0; i < call->info->num_tensors; ++i) {
    rondo_status status = checkOperand(call, &call->operands[i]);
    if (status != RONDO_OK)
      return status;
  }
  if (call->packed) {
    rondo_status status = rondo_call_check_states(call);
    if (status != RONDO_OK)
      return status;
  }
  return call->query ? RONDO_OK : checkOverlap(call);
}
