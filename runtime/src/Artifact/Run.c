//===- Run.c - Packing, dispatch and faults -------------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Nothing here fails but for the host's parallel_for and for indices that are
// data: all else has been checked.
//
//===----------------------------------------------------------------------===//

#include "Support.h"

#include <inttypes.h>
#include <string.h>

//===----------------------------------------------------------------------===//
// Copies between strided and packed layouts
//===----------------------------------------------------------------------===//

static void copyRow(char *to, int64_t toStep, const char *from,
                    int64_t fromStep, int64_t count, int64_t size) {
#define RONDO_COPY(type)                                                       \
  for (int64_t i = 0; i < count; ++i)                                          \
    *(type *)(to + i * toStep) = *(const type *)(from + i * fromStep);         \
  return
  switch (size) {
  case 1:
    RONDO_COPY(uint8_t);
  case 2:
    RONDO_COPY(uint16_t);
  case 4:
    RONDO_COPY(uint32_t);
  default:
    RONDO_COPY(uint64_t);
  }
#undef RONDO_COPY
}

static void copyDims(const rondo_operand *operand, int32_t dim, char *to,
                     const int64_t *toStrides, const char *from,
                     const int64_t *fromStrides) {
  int64_t size = operand->element_size, count = operand->extents[dim];
  int64_t toStep = toStrides[dim] * size, fromStep = fromStrides[dim] * size;
  if (dim + 1 == operand->info->rank) {
    copyRow(to, toStep, from, fromStep, count, size);
    return;
  }
  for (int64_t i = 0; i < count; ++i)
    copyDims(operand, dim + 1, to + i * toStep, toStrides, from + i * fromStep,
             fromStrides);
}

/// Fills the packed copies of what is read (`pack`), or brings the packed
/// copies of what was written to their places.
static void copyOperands(const rondo_call *call, char *workspace, bool pack) {
  for (int32_t i = 0; i < call->info->num_tensors; ++i) {
    const rondo_operand *operand = &call->operands[i];
    if (operand->copy_offset < 0 ||
        rondo_role_is_written(operand->info->role) == pack)
      continue;
    char *copy = workspace + operand->copy_offset;
    if (pack)
      copyDims(operand, 0, copy, operand->frame_strides, operand->data,
               operand->strides);
    else
      copyDims(operand, 0, operand->data, operand->strides, copy,
               operand->frame_strides);
  }
}

//===----------------------------------------------------------------------===//
// Dispatch
//===----------------------------------------------------------------------===//

typedef struct Run {
  const rondo_call *call;
  rondo_body body;
  void **data; ///< [num_tensors]
  char *worker_base;
  int32_t workers;
  int64_t points; ///< of the whole call
  int64_t points_per_sequence;
  // Written by several workers.
  int64_t done;   ///< points handed out
  int32_t broken; ///< parallel_for passed something impossible
  int32_t fault_taken, fault_ready;
  int64_t fault[2];
  int64_t fault_length; ///< T of the sequence
} Run;

static void runPoints(Run *run, const int64_t *sizes, void *const *data,
                      int64_t begin, int64_t end, int32_t worker) {
  const rondo_call *call = run->call;
  int64_t fault[2] = {0, 0};
  rondo_frame frame;
  frame.sizes = sizes;
  frame.data = data;
  frame.strides = call->frame_strides;
  frame.workspace = call->worker_stride
                        ? run->worker_base + worker * call->worker_stride
                        : NULL;
  frame.begin = begin;
  frame.end = end;
  frame.fault = fault;
  run->body(&frame);
  if (fault[0] &&
      !__atomic_exchange_n(&run->fault_taken, 1, __ATOMIC_RELAXED)) {
    run->fault[0] = fault[0];
    run->fault[1] = fault[1];
    if (call->info->time_size >= 0)
      run->fault_length = sizes[call->info->time_size];
    __atomic_store_n(&run->fault_ready, 1, __ATOMIC_RELEASE);
  }
}

/// Packed sequences: the points of sequence n follow those of n - 1, and each
/// sequence looks to the body like a batch of one.
static void runSequences(Run *run, int64_t begin, int64_t end, int32_t worker) {
  const rondo_call *call = run->call;
  const rondo_kernel_info *info = call->info;
  int64_t *sizes = __builtin_alloca((size_t)info->num_sizes * sizeof(int64_t));
  void **data = __builtin_alloca((size_t)info->num_tensors * sizeof(void *));
  memcpy(sizes, call->sizes, (size_t)info->num_sizes * sizeof(int64_t));
  while (begin < end) {
    int64_t n = begin / run->points_per_sequence;
    int64_t first = n * run->points_per_sequence;
    int64_t last = first + run->points_per_sequence;
    int64_t start = rondo_sequence_start(call, n);
    sizes[info->time_size] = rondo_sequence_start(call, n + 1) - start;
    for (int32_t i = 0; i < info->num_tensors; ++i) {
      const rondo_operand *operand = &call->operands[i];
      const rondo_tensor_info *tensor = operand->info;
      int64_t offset = 0;
      if (tensor->time_dim >= 0 &&
          (tensor->sequence_dim >= 0 || info->sequence_size < 0))
        offset = start * operand->frame_strides[tensor->time_dim];
      else if (tensor->time_dim < 0 && tensor->sequence_dim >= 0)
        offset = n * operand->frame_strides[tensor->sequence_dim];
      char *base = run->data[i];
      data[i] = base && !operand->empty ? base + offset * operand->element_size
                                        : base;
    }
    int64_t stop = end < last ? end : last;
    runPoints(run, sizes, data, begin - first, stop - first, worker);
    begin = stop;
  }
}

/// Points of a range where up to 16 are computed together: as many ranges for
/// each worker, so that none is left alone with the last one.
static int64_t getRowsGrain(int64_t points, int64_t workers) {
  int64_t rounds = (points + workers * 16 - 1) / (workers * 16);
  return (points + workers * rounds - 1) / (workers * rounds);
}

static void runTask(void *arg, int64_t begin, int64_t end, int32_t worker) {
  Run *run = arg;
  if (begin < 0 || begin >= end || end > run->points || worker < 0 ||
      worker >= run->workers) {
    __atomic_store_n(&run->broken, 1, __ATOMIC_RELAXED);
    return;
  }
  __atomic_fetch_add(&run->done, end - begin, __ATOMIC_RELAXED);
  if (__atomic_load_n(&run->fault_taken, __ATOMIC_RELAXED))
    return;
  if (run->call->packed)
    runSequences(run, begin, end, worker);
  else
    runPoints(run, run->call->sizes, run->data, begin, end, worker);
}

//===----------------------------------------------------------------------===//
// Errors of a run
//===----------------------------------------------------------------------===//

static rondo_status reportFault(const rondo_call *call, const int64_t *found,
                                int64_t length) {
  const rondo_kernel_info *info = call->info;
  int64_t site = found[0] - 1;
  if (site < 0 || site >= info->num_faults)
    return rondo_call_fail(call, RONDO_ERROR_INDEX_OUT_OF_RANGE,
                           "index %" PRId64 " is out of range", found[1]);
  const rondo_fault_info *fault = &info->faults[site];
  rondo_message message;
  rondo_message_begin(&message, info);
  rondo_message_add(&message, "index %" PRId64 " is out of range for '%s'",
                    found[1], rondo_or(fault->tensor, "?"));
  rondo_message_add(&message, " dim %" PRId64, fault->dim);
  if (fault->extent && call->sizes) {
    rondo_message_add(&message, " (%s)", rondo_or(fault->extent->text, "?"));
    // In a packed call T is the length of the sequence at hand.
    int64_t *sizes = call->sizes, time = info->time_size, extent;
    int64_t whole = time >= 0 ? sizes[time] : 0;
    if (time >= 0)
      sizes[time] = length;
    if (rondo_size_eval(fault->extent, sizes, &extent) == RONDO_EVAL_OK)
      rondo_message_add(&message, ", expected 0 to %" PRId64, extent - 1);
    if (time >= 0)
      sizes[time] = whole;
  }
  rondo_message_add(&message, "; in %s", rondo_or(fault->text, "?"));
  if (fault->location)
    rondo_message_add(&message, " at %s", fault->location);
  return rondo_message_report(&message, call->ctx,
                              RONDO_ERROR_INDEX_OUT_OF_RANGE);
}

rondo_status rondo_call_report_fault(const rondo_call *call,
                                     const int64_t *fault) {
  return reportFault(call, fault, 0);
}

/// The last variant that the processor and the context allow.
static rondo_status findBody(const rondo_call *call, rondo_body *outBody) {
  const rondo_kernel_info *info = call->info;
  int64_t level = rondo_cpu_level();
  if (call->ctx && call->ctx->max_cpu_level > 0 &&
      call->ctx->max_cpu_level < level)
    level = call->ctx->max_cpu_level;
  for (int32_t i = info->num_variants - 1; i >= 0; --i)
    if (info->variants[i].cpu_level <= level) {
      *outBody = info->variants[i].body;
      return RONDO_OK;
    }
  static const char *const names[] = {"the base instruction set",
                                      "the base instruction set",
                                      "x86-64-v2",
                                      "x86-64-v3",
                                      "x86-64-v4",
                                      "x86-64-v4 with bf16"};
  rondo_message message;
  rondo_message_begin(&message, info);
  rondo_message_add(&message, "the processor has %s, expected",
                    level >= 0 && level < 6 ? names[level] : "?");
  for (int32_t i = 0; i < info->num_variants; ++i)
    rondo_message_add(&message, "%s %s", i ? " or" : "",
                      rondo_or(info->variants[i].name, "?"));
  return rondo_message_report(&message, call->ctx, RONDO_ERROR_UNSUPPORTED_CPU);
}

rondo_status rondo_call_run(rondo_call *call, char *workspace) {
  const rondo_kernel_info *info = call->info;
  const rondo_context *ctx = call->ctx;
  if (rondo_on_device(call))
    return rondo_cuda_run(call, workspace);
  if (call->total_points == 0)
    return RONDO_OK;
  Run run;
  memset(&run, 0, sizeof(run));
  rondo_status status = findBody(call, &run.body);
  if (status != RONDO_OK)
    return status;
  run.call = call;
  run.data = __builtin_alloca((size_t)info->num_tensors * sizeof(void *) + 1);
  for (int32_t i = 0; i < info->num_tensors; ++i) {
    const rondo_operand *operand = &call->operands[i];
    run.data[i] = operand->copy_offset >= 0 ? workspace + operand->copy_offset
                                            : operand->data;
  }
  run.worker_base = workspace ? workspace + call->worker_offset : NULL;
  run.workers = rondo_call_workers(call);
  run.points = call->total_points;
  run.points_per_sequence =
      call->packed ? call->total_points / call->num_sequences : 0;

  copyOperands(call, workspace, /*pack=*/true);
  if (ctx && ctx->parallel_for) {
    // Several ranges per worker even out their times.
    int64_t grain = run.points / ((int64_t)run.workers * 8);
    if (run.workers == 1)
      grain = run.points;
    else if (info->flags & RONDO_KERNEL_ROWS)
      grain = getRowsGrain(run.points, run.workers);
    ctx->parallel_for(ctx->user, runTask, &run, run.points,
                      grain > 1 ? grain : 1);
  } else {
    runTask(&run, 0, run.points, 0);
  }
  if (run.broken || run.done != run.points)
    return rondo_call_fail(
        call, RONDO_ERROR_BAD_CONTEXT,
        "parallel_for ran %" PRId64 " of %" PRId64 " points%s", run.done,
        run.points,
        run.broken ? " and passed a range or worker out of bounds" : "");
  if (run.fault_taken)
    return reportFault(call, run.fault, run.fault_length);
  copyOperands(call, workspace, /*pack=*/false);
  return RONDO_OK;
}

#if !RONDO_DEVICE
rondo_status rondo_artifact_check(const rondo_kernel_info *info,
                                  const void *workspace,
                                  const rondo_context *ctx) {
  (void)info, (void)workspace, (void)ctx;
  return RONDO_OK; // a call has reported its faults
}
#endif
