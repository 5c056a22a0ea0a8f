//===- Generic.c - From DLTensors to a call -------------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Sizes are found from the shapes: first from dims that are nothing but a size,
// then from expressions with one unknown left (4*D, H/G). Every extent is then
// compared with its expression.
//
//===----------------------------------------------------------------------===//

#include "Support.h"

#include <inttypes.h>
#include <string.h>

/// The dtype that a DLDataType stands for, or NONE.
static rondo_dtype dtypeOf(DLDataType type) {
  enum { Int = 0, UInt = 1, Float = 2, Bfloat = 4, Bool = 6 };
  if (type.lanes != 1)
    return RONDO_DTYPE_NONE;
  switch (type.code << 8 | type.bits) {
  case Float << 8 | 16:
    return RONDO_F16;
  case Bfloat << 8 | 16:
    return RONDO_BF16;
  case Float << 8 | 32:
    return RONDO_F32;
  case Float << 8 | 64:
    return RONDO_F64;
  case Int << 8 | 32:
    return RONDO_I32;
  case Int << 8 | 64:
    return RONDO_I64;
  case Bool << 8 | 8:
  case UInt << 8 | 8: // exporters older than DLPack's bool
    return RONDO_BOOL;
  default:
    return RONDO_DTYPE_NONE;
  }
}

static bool isHostMemory(const DLTensor *tensor) {
  int32_t type = (int32_t)tensor->device.device_type;
  return type == 1 /*kDLCPU*/ || type == 3 /*kDLCUDAHost*/;
}

/// Where the kernel wants the tensor, or a report that names what it found.
static rondo_status checkDevice(const rondo_call *call,
                                const DLTensor *tensor,
                                const rondo_tensor_info *info) {
  rondo_message message;
  int32_t type = (int32_t)tensor->device.device_type;
  rondo_message_begin(&message, call->info);
  if (info)
    rondo_message_add_tensor(&message, info);
  else
    rondo_message_add(&message, "cu_seqlens");
  bool isValue = info && info->rank == 0 && info->role == RONDO_ROLE_ARGUMENT;
  if (!rondo_on_device(call) || isValue) {
    if (isHostMemory(tensor))
      return RONDO_OK;
    rondo_message_add(&message,
                      " is on DLPack device type %d, expected 1 (CPU)", type);
    return rondo_message_report(&message, call->ctx, RONDO_ERROR_WRONG_DEVICE);
  }
  int32_t ordinal = call->ctx ? call->ctx->cuda_device : 0;
  bool managed = type == 13;
  if (managed || (type == 2 && tensor->device.device_id == ordinal))
    return RONDO_OK;
  rondo_message_add(&message,
                    " is on DLPack device type %d, number %d, expected 2 "
                    "(CUDA), number %" PRId32,
                    type, (int)tensor->device.device_id, ordinal);
  return rondo_message_report(&message, call->ctx, RONDO_ERROR_WRONG_DEVICE);
}

static char *dataOf(const DLTensor *tensor) {
  return tensor->data ? (char *)tensor->data + tensor->byte_offset : NULL;
}

/// Presence, rank, dtype, device and strides of one tensor.
static rondo_status loadDLTensor(rondo_call *call, rondo_operand *operand,
                                 const DLTensor *tensor) {
  const rondo_tensor_info *info = operand->info;
  bool optional = info->flags & RONDO_TENSOR_OPTIONAL;
  bool empty = false;
  if (!tensor)
    return optional ? RONDO_OK
                    : rondo_tensor_fail(call, RONDO_ERROR_NULL_POINTER, info,
                                        " is NULL");
  if (tensor->ndim != info->rank)
    return rondo_tensor_fail(call, RONDO_ERROR_WRONG_RANK, info,
                             " has rank %" PRId32 ", expected %" PRId32,
                             (int32_t)tensor->ndim, info->rank);
  rondo_dtype dtype = dtypeOf(tensor->dtype);
  if (dtype != info->dtype) {
    if (dtype != RONDO_DTYPE_NONE)
      return rondo_tensor_fail(
          call, RONDO_ERROR_WRONG_DTYPE, info, " has dtype %s, expected %s",
          rondo_dtype_string(dtype), rondo_dtype_string(info->dtype));
    return rondo_tensor_fail(
        call, RONDO_ERROR_WRONG_DTYPE, info,
        " has DLPack dtype (code %d, %d bits, %d lanes), expected %s",
        tensor->dtype.code, tensor->dtype.bits, tensor->dtype.lanes,
        rondo_dtype_string(info->dtype));
  }
  rondo_status placed = checkDevice(call, tensor, info);
  if (placed != RONDO_OK)
    return placed;
  if (info->rank > 0 && !tensor->shape)
    return rondo_tensor_fail(call, RONDO_ERROR_NULL_POINTER, info,
                             " has no shape: DLTensor.shape is NULL");
  for (int32_t dim = 0; dim < info->rank; ++dim) {
    operand->extents[dim] = tensor->shape[dim];
    empty |= tensor->shape[dim] == 0;
    if (tensor->shape[dim] < 0)
      return rondo_tensor_fail(
          call, RONDO_ERROR_WRONG_SIZE, info,
          " has size %" PRId64 " in dim %" PRId32 " (%s), expected at least 0",
          tensor->shape[dim], dim, rondo_or(info->shape[dim].text, "?"));
  }
  operand->data = dataOf(tensor);
  operand->given = operand->data || !optional || call->query || empty;
  if (tensor->strides && info->rank > 0)
    memcpy(operand->strides, tensor->strides,
           (size_t)info->rank * sizeof(int64_t));
  else if (!rondo_strides_packed(operand->extents, info->rank,
                                 operand->strides))
    return rondo_tensor_fail(call, RONDO_ERROR_SIZE_OVERFLOW, info,
                             " is larger than 63 bits can count");
  return RONDO_OK;
}

static rondo_status loadSequences(rondo_call *call, const DLTensor *tensor) {
  rondo_dtype dtype = dtypeOf(tensor->dtype);
  if (tensor->ndim != 1 || !tensor->shape)
    return rondo_call_fail(call, RONDO_ERROR_WRONG_RANK,
                           "cu_seqlens has rank %d, expected 1",
                           (int)tensor->ndim);
  rondo_status placed = checkDevice(call, tensor, NULL);
  if (placed != RONDO_OK)
    return placed;
  if (tensor->shape[0] < 1)
    return rondo_call_fail(call, RONDO_ERROR_BAD_SEQUENCES,
                           "cu_seqlens has size %" PRId64
                           ", expected at least 1 (sequences + 1)",
                           tensor->shape[0]);
  if (tensor->shape[0] > 1 && tensor->strides && tensor->strides[0] != 1)
    return rondo_call_fail(call, RONDO_ERROR_WRONG_STRIDE,
                           "cu_seqlens has stride %" PRId64 ", expected 1",
                           tensor->strides[0]);
  call->packed = true;
  call->cu_seqlens = dataOf(tensor);
  call->cu_dtype = dtype;
  call->num_sequences = tensor->shape[0] - 1;
  if (!call->cu_seqlens && !call->query)
    return rondo_call_fail(call, RONDO_ERROR_NULL_POINTER,
                           "cu_seqlens has no data");
  return RONDO_OK;
}

/// " has size 3 in dim 2 (H), expected " of one tensor.
static void addFound(rondo_message *message, const rondo_call *call,
                     const rondo_operand *operand, int32_t dim) {
  rondo_message_begin(message, call->info);
  rondo_message_add_tensor(message, operand->info);
  rondo_message_add(message, " has size %" PRId64 " in", operand->extents[dim]);
  rondo_message_add_dim(message, operand->info, dim);
}

static rondo_status reportShape(rondo_message *message, const rondo_call *call,
                                const rondo_operand *operand) {
  rondo_message_add(message, "; shape is %s",
                    rondo_or(operand->info->shape_text, "[]"));
  return rondo_message_report(message, call->ctx, RONDO_ERROR_WRONG_SIZE);
}

/// Whether the extent of this dim is the number of sequences or 1 instead of
/// what its expression says.
static bool isSequenceDim(const rondo_call *call,
                          const rondo_tensor_info *tensor, int32_t dim) {
  return call->packed && dim == tensor->sequence_dim;
}

/// Sizes that stand alone at a dim. `source[size]` is the tensor that gave it.
static rondo_status inferPlain(rondo_call *call, int32_t *source) {
  const rondo_kernel_info *info = call->info;
  for (int32_t i = 0; i < info->num_tensors; ++i) {
    const rondo_operand *operand = &call->operands[i];
    for (int32_t dim = 0; operand->given && dim < operand->info->rank; ++dim) {
      int64_t size = rondo_size_plain(&operand->info->shape[dim]);
      if (size < 0 || isSequenceDim(call, operand->info, dim))
        continue;
      int64_t extent = operand->extents[dim];
      if (call->sizes[size] == RONDO_UNKNOWN) {
        call->sizes[size] = extent;
        source[size] = i;
      } else if (call->sizes[size] != extent) {
        rondo_message message;
        addFound(&message, call, operand, dim);
        rondo_message_add(&message, ", expected %" PRId64, call->sizes[size]);
        if (source[size] == i)
          rondo_message_add(&message, " as in another dim of it");
        else if (source[size] >= 0)
          rondo_message_add(&message, " as in '%s'",
                            rondo_or(info->tensors[source[size]].name, "?"));
        else
          rondo_message_add(&message, " as compiled");
        return reportShape(&message, call, operand);
      }
    }
  }
  return RONDO_OK;
}

/// Sizes that stand in expressions with nothing else unknown, until none is
/// found any more.
static rondo_status inferSolved(rondo_call *call) {
  const rondo_kernel_info *info = call->info;
  for (bool changed = true; changed;) {
    changed = false;
    for (int32_t i = 0; i < info->num_tensors; ++i) {
      const rondo_operand *operand = &call->operands[i];
      for (int32_t dim = 0; operand->given && dim < operand->info->rank;
           ++dim) {
        if (isSequenceDim(call, operand->info, dim))
          continue;
        const rondo_size_expr *expr = &operand->info->shape[dim];
        int64_t size, value;
        rondo_eval result = rondo_size_solve(
            expr, call->sizes, operand->extents[dim], &size, &value);
        if (result == RONDO_EVAL_UNKNOWN)
          continue;
        if (result != RONDO_EVAL_OK) {
          rondo_message message;
          addFound(&message, call, operand, dim);
          rondo_message_add(&message, ", which no size fits");
          rondo_message_add_sizes(&message, call, expr);
          return reportShape(&message, call, operand);
        }
        call->sizes[size] = value;
        changed = true;
      }
    }
  }
  return RONDO_OK;
}

/// Every size is known, every extent is what its expression says.
static rondo_status checkShapes(rondo_call *call) {
  const rondo_kernel_info *info = call->info;
  int32_t sequence = info->sequence_size;
  if (call->packed && sequence >= 0) {
    if (call->sizes[sequence] > 1)
      return rondo_call_fail(
          call, RONDO_ERROR_WRONG_SIZE,
          "size '%s' is %" PRId64 ", expected 1 because cu_seqlens is given",
          rondo_or(info->sizes[sequence].name, "?"), call->sizes[sequence]);
    call->sizes[sequence] = 1;
  }
  for (int32_t i = 0; i < info->num_sizes; ++i)
    if (call->sizes[i] == RONDO_UNKNOWN)
      return rondo_call_fail(call, RONDO_ERROR_SIZE_UNKNOWN,
                             "size '%s' can't be found from the shapes given; "
                             "pass an optional tensor that has it",
                             rondo_or(info->sizes[i].name, "?"));
  for (int32_t i = 0; i < info->num_tensors; ++i) {
    const rondo_operand *operand = &call->operands[i];
    for (int32_t dim = 0; dim < operand->info->rank; ++dim) {
      int64_t expected;
      rondo_status status =
          rondo_call_extent(call, operand->info, dim, &expected);
      if (status != RONDO_OK)
        return status;
      if (!operand->given)
        operand->extents[dim] = expected;
      if (operand->extents[dim] == expected)
        continue;
      rondo_message message;
      addFound(&message, call, operand, dim);
      rondo_message_add(&message, ", expected %" PRId64, expected);
      if (isSequenceDim(call, operand->info, dim))
        rondo_message_add(&message,
                          expected == 1 && operand->info->time_dim >= 0
                              ? " because cu_seqlens is given"
                              : ", the number of sequences");
      else
        rondo_message_add_sizes(&message, call, &operand->info->shape[dim]);
      return reportShape(&message, call, operand);
    }
  }
  return RONDO_OK;
}

rondo_status rondo_call_load_generic(rondo_call *call, DLTensor *const *tensors,
                                     int32_t count) {
  const rondo_kernel_info *info = call->info;
  bool mayPack = info->time_size >= 0;
  if (count != info->num_tensors &&
      !(mayPack && count == info->num_tensors + 1))
    return rondo_call_fail(call, RONDO_ERROR_WRONG_COUNT,
                           "%" PRId32 " tensors given, expected %" PRId32 "%s",
                           count, info->num_tensors,
                           mayPack ? " (one more with cu_seqlens)" : "");
  if (!tensors && count > 0)
    return rondo_call_fail(call, RONDO_ERROR_NULL_POINTER, "tensors is NULL");
  rondo_status status = RONDO_OK;
  for (int32_t i = 0; status == RONDO_OK && i < info->num_tensors; ++i)
    status = loadDLTensor(call, &call->operands[i], tensors[i]);
  if (status == RONDO_OK && count > info->num_tensors && tensors[count - 1])
    status = loadSequences(call, tensors[count - 1]);
  if (status != RONDO_OK)
    return status;

  int32_t *source =
      __builtin_alloca((size_t)info->num_sizes * sizeof(int32_t) + 1);
  for (int32_t i = 0; i < info->num_sizes; ++i) {
    source[i] = -1;
    call->sizes[i] =
        info->sizes[i].bound >= 0 ? info->sizes[i].bound : RONDO_UNKNOWN;
  }
  status = inferPlain(call, source);
  if (status == RONDO_OK)
    status = inferSolved(call);
  if (status == RONDO_OK)
    status = checkShapes(call);
  if (status == RONDO_OK && call->packed)
    status = rondo_call_check_sequences(call);
  // Tensors not given take packed strides; whether these overflow is of no
  // interest.
  for (int32_t i = 0; status == RONDO_OK && i < info->num_tensors; ++i) {
    rondo_operand *operand = &call->operands[i];
    if (!operand->given)
      rondo_strides_packed(operand->extents, operand->info->rank,
                           operand->strides);
  }
  return status;
}
