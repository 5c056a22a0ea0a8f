//===- Plan.c - Workspace -------------------------------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The workspace holds, in this order, a packed copy of each tensor whose
// innermost stride is not 1 (bodies are compiled for stride 1) and one slice of
// scratch per worker. On a device, the record of a fault comes first, and the
// slices are those of its blocks. Every part begins at a multiple of 64 bytes.
//
//===----------------------------------------------------------------------===//

#include "Support.h"

#include <inttypes.h>
#include <string.h>

/// Blocks that have a slice each; points beyond share them in turn. Enough to
/// fill any device several times over.
#define RONDO_MAX_SLICES 2048

int32_t rondo_call_workers(const rondo_call *call) {
  const rondo_context *ctx = call->ctx;
  return ctx && ctx->parallel_for && ctx->num_workers > 1 ? ctx->num_workers
                                                          : 1;
}

/// Rounds up to the workspace's alignment; the callers stay below INT64_MAX/2.
static int64_t roundUp(int64_t bytes) {
  return (bytes + RONDO_WORKSPACE_ALIGNMENT - 1) &
         ~(int64_t)(RONDO_WORKSPACE_ALIGNMENT - 1);
}

/// How the body will see the operand; adds its copy, if it needs one.
static void planOperand(rondo_operand *operand, int64_t *bytes) {
  int32_t rank = operand->info->rank;
  operand->copy_offset = -1;
  if (!rank)
    return;
  memcpy(operand->frame_strides, operand->strides,
         (size_t)rank * sizeof(int64_t));
  bool unit = operand->strides[rank - 1] == 1;
  if (!operand->given || operand->empty || operand->extents[rank - 1] <= 1) {
    operand->frame_strides[rank - 1] = 1;
  } else if (!unit) {
    rondo_strides_packed(operand->extents, rank, operand->frame_strides);
    int64_t copy = operand->element_size;
    for (int32_t dim = 0; dim < rank; ++dim)
      copy *= operand->extents[dim];
    operand->copy_offset = *bytes;
    *bytes += roundUp(copy);
  }
}

static rondo_status checkBatch(const rondo_call *call) {
  const rondo_kernel_info *info = call->info;
  for (int32_t i = 0; i < info->num_batch; ++i) {
    int64_t value;
    rondo_eval result = rondo_size_eval(&info->batch[i], call->sizes, &value);
    if (result != RONDO_EVAL_OK || value < 0)
      return rondo_call_fail(call, RONDO_ERROR_WRONG_SIZE,
                             "batch dim %s has no valid size",
                             rondo_or(info->batch[i].text, "?"));
  }
  return RONDO_OK;
}

int64_t rondo_call_points(const rondo_call *call, const int64_t *sizes) {
  int64_t points = 1;
  for (int32_t i = 0; i < call->info->num_batch; ++i) {
    int64_t value;
    if (rondo_size_eval(&call->info->batch[i], sizes, &value) !=
            RONDO_EVAL_OK ||
        value <= 0)
      return 0;
    if (__builtin_mul_overflow(points, value, &points))
      return -1;
  }
  return points;
}

/// Slices for blocks that share the steps of batch points: as many as a device
/// keeps busy, within 256 MiB.
static int64_t shareSteps(const rondo_call *call, int64_t points) {
  int64_t longest = 1;
  for (int32_t i = 0; i < call->info->num_sizes; ++i)
    longest = call->sizes[i] > longest ? call->sizes[i] : longest;
  int64_t most = RONDO_MAX_SLICES;
  if (call->worker_stride > 0 && call->worker_stride < INT64_MAX / 4) {
    int64_t fit = (INT64_C(256) << 20) / roundUp(call->worker_stride);
    most = fit < most ? fit : most;
  }
  if (points < 1 || most <= points)
    return points;
  int64_t parts = most / points;
  return points * (parts < longest ? parts : longest);
}

rondo_status rondo_call_plan(rondo_call *call) {
  const rondo_kernel_info *info = call->info;
  rondo_status status = checkBatch(call);
  if (status != RONDO_OK)
    return status;
  int64_t points = rondo_call_points(call, call->sizes);
  if (points < 0 || (call->packed && __builtin_mul_overflow(
                                         points, call->num_sequences, &points)))
    return rondo_call_fail(call, RONDO_ERROR_SIZE_OVERFLOW,
                           "the product of the batch dims exceeds 63 bits");
  call->total_points = points;

  // The same as one per worker when no slice is needed.
  int64_t workers = rondo_call_workers(call);
  if (rondo_on_device(call)) {
    workers = info->flags & RONDO_KERNEL_WHOLE_WORKSPACE ? 1 : RONDO_MAX_SLICES;
    workers = points < workers ? points : workers;
  }

  int64_t bytes = rondo_on_device(call) && info->num_faults
                      ? RONDO_WORKSPACE_ALIGNMENT
                      : 0;
  for (int32_t i = 0; i < info->num_tensors; ++i) {
    planOperand(&call->operands[i], &bytes);
    if (bytes > INT64_MAX / 4)
      break;
  }
  call->worker_offset = bytes;
  call->worker_stride = 0;
  if (info->worker_bytes) {
    // For one worker, the longest sequence needs the most.
    int64_t time = info->time_size;
    bool longest =
        call->packed && !(info->flags & RONDO_KERNEL_WHOLE_WORKSPACE);
    int64_t whole = longest ? call->sizes[time] : 0;
    if (longest)
      call->sizes[time] = call->longest;
    call->worker_stride = info->worker_bytes(call->sizes);
    if (longest)
      call->sizes[time] = whole;
  }
  if (rondo_on_device(call) && info->flags & RONDO_KERNEL_INDEPENDENT_STEPS)
    workers = shareSteps(call, workers);
  call->slices = workers;
  int64_t slices;
  if (bytes > INT64_MAX / 4 || call->worker_stride < 0 ||
      call->worker_stride > INT64_MAX / 4 ||
      __builtin_mul_overflow(roundUp(call->worker_stride),
                             workers, &slices) ||
      slices > INT64_MAX / 4)
    return rondo_call_fail(call, RONDO_ERROR_SIZE_OVERFLOW,
                           "the workspace exceeds 63 bits");
  call->worker_stride = roundUp(call->worker_stride);
  call->total_bytes = points ? bytes + slices : 0;
  return RONDO_OK;
}
