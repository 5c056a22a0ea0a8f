//===- Entry.c - What the exported entries of a kernel call ---------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The steps of a call in order; see Support.h.
//
//===----------------------------------------------------------------------===//

#include "Support.h"

#include <inttypes.h>
#include <string.h>

typedef struct Request {
  const rondo_kernel_info *info;
  const rondo_context *ctx;
  // One of the two entries.
  bool generic;
  const void *args;
  DLTensor *const *tensors;
  int32_t count;
  // Run, or the query when out_bytes is set.
  size_t *out_bytes;
  char *workspace;
  size_t workspace_size;
} Request;

static rondo_status checkContext(rondo_call *call, const rondo_context *ctx) {
  if (!ctx)
    return RONDO_OK;
  if (ctx->abi_version != RONDO_ABI_VERSION ||
      ctx->struct_size < sizeof(rondo_context))
    return RONDO_ERROR_VERSION_MISMATCH;
  call->ctx = ctx;
  if (ctx->num_workers < 0)
    return rondo_call_fail(call, RONDO_ERROR_BAD_CONTEXT,
                           "the context has %" PRId32
                           " workers, expected at least 0",
                           ctx->num_workers);
  if (!ctx->allocate != !ctx->deallocate)
    return rondo_call_fail(call, RONDO_ERROR_BAD_CONTEXT,
                           "the context has only one of allocate and "
                           "deallocate, expected both or none");
  return RONDO_OK;
}

/// Distributes the rank-long arrays in `pool` ([3 * sum of ranks]).
static void initOperands(rondo_call *call, int64_t *pool, int64_t rankSum) {
  const rondo_kernel_info *info = call->info;
  call->frame_strides = pool;
  int64_t place = 0;
  for (int32_t i = 0; i < info->num_tensors; ++i) {
    rondo_operand *operand = &call->operands[i];
    memset(operand, 0, sizeof(*operand));
    operand->info = &info->tensors[i];
    operand->element_size = rondo_dtype_size(operand->info->dtype);
    operand->frame_strides = pool + place;
    operand->strides = pool + rankSum + place;
    operand->extents = pool + 2 * rankSum + place;
    operand->copy_offset = -1;
    place += operand->info->rank;
  }
}

/// The workspace must not share memory with any tensor.
static rondo_status checkWorkspaceOverlap(const rondo_call *call,
                                          const char *workspace, size_t size) {
  for (int32_t i = 0; i < call->info->num_tensors; ++i) {
    const rondo_operand *operand = &call->operands[i];
    if (operand->given && !operand->empty &&
        operand->data + operand->low < workspace + size &&
        workspace < operand->data + operand->high)
      return rondo_tensor_fail(call, RONDO_ERROR_OVERLAP, operand->info,
                               " overlaps the workspace");
  }
  return RONDO_OK;
}

static rondo_status runInWorkspace(rondo_call *call, const Request *request) {
  const rondo_context *ctx = call->ctx;
  size_t needed = (size_t)call->total_bytes;
  if (needed == 0)
    return rondo_call_run(call, NULL);
  if (!request->workspace) {
    if (!ctx || !ctx->allocate)
      return rondo_call_fail(call, RONDO_ERROR_WORKSPACE_TOO_SMALL,
                             "workspace is NULL, expected %zu bytes, or a "
                             "context with an allocator",
                             needed);
    char *memory = ctx->allocate(ctx->user, needed, RONDO_WORKSPACE_ALIGNMENT);
    if (!memory)
      return rondo_call_fail(call, RONDO_ERROR_OUT_OF_MEMORY,
                             "the allocator has no %zu bytes", needed);
    rondo_status status =
        (uintptr_t)memory % RONDO_WORKSPACE_ALIGNMENT
            ? rondo_call_fail(call, RONDO_ERROR_BAD_CONTEXT,
                              "the allocator returned memory that is not "
                              "aligned to %d bytes",
                              RONDO_WORKSPACE_ALIGNMENT)
            : rondo_call_run(call, memory);
    ctx->deallocate(ctx->user, memory, needed, RONDO_WORKSPACE_ALIGNMENT);
    return status;
  }
  if (request->workspace_size < needed)
    return rondo_call_fail(call, RONDO_ERROR_WORKSPACE_TOO_SMALL,
                           "workspace has %zu bytes, expected at least %zu",
                           request->workspace_size, needed);
  if ((uintptr_t)request->workspace % RONDO_WORKSPACE_ALIGNMENT)
    return rondo_call_fail(call, RONDO_ERROR_MISALIGNED,
                           "workspace is not aligned to %d bytes",
                           RONDO_WORKSPACE_ALIGNMENT);
  rondo_status status = checkWorkspaceOverlap(call, request->workspace, needed);
  return status == RONDO_OK ? rondo_call_run(call, request->workspace) : status;
}

static rondo_status execute(const Request *request) {
  const rondo_kernel_info *info = request->info;
  int64_t rankSum = 0;
  for (int32_t i = 0; i < info->num_tensors; ++i)
    rankSum += info->tensors[i].rank;
  // All of a call's bookkeeping is on the stack; the compiler keeps the counts
  // below the limits in abi.h.
  rondo_call call;
  memset(&call, 0, sizeof(call));
  call.info = info;
  call.query = request->out_bytes != NULL;
  call.sizes = __builtin_alloca((size_t)info->num_sizes * sizeof(int64_t) + 8);
  call.operands =
      __builtin_alloca((size_t)info->num_tensors * sizeof(rondo_operand) + 8);
  int64_t *pool = __builtin_alloca(3 * (size_t)rankSum * sizeof(int64_t) + 8);
  initOperands(&call, pool, rankSum);

  rondo_status status = checkContext(&call, request->ctx);
  if (status == RONDO_OK)
    status = request->generic ? rondo_call_load_generic(&call, request->tensors,
                                                        request->count)
                              : rondo_call_load_typed(&call, request->args);
  if (status == RONDO_OK)
    status = rondo_call_check(&call);
  if (status == RONDO_OK)
    status = rondo_call_plan(&call);
  if (status != RONDO_OK)
    return status;
  if (!call.query)
    return runInWorkspace(&call, request);
  *request->out_bytes = (size_t)call.total_bytes;
  return RONDO_OK;
}

static rondo_status failNoResult(const rondo_kernel_info *info,
                                 const rondo_context *ctx) {
  rondo_call call;
  memset(&call, 0, sizeof(call));
  call.info = info;
  rondo_status status = checkContext(&call, ctx);
  return status == RONDO_OK ? rondo_call_fail(&call, RONDO_ERROR_NULL_POINTER,
                                              "out_bytes is NULL")
                            : status;
}

rondo_status rondo_artifact_forward(const rondo_kernel_info *info,
                                    const void *args, void *workspace,
                                    size_t workspace_size,
                                    const rondo_context *ctx) {
  Request request = {.info = info,
                     .ctx = ctx,
                     .args = args,
                     .workspace = workspace,
                     .workspace_size = workspace_size};
  return execute(&request);
}

rondo_status rondo_artifact_workspace_size(const rondo_kernel_info *info,
                                           const void *args,
                                           const rondo_context *ctx,
                                           size_t *out_bytes) {
  if (!out_bytes)
    return failNoResult(info, ctx);
  Request request = {
      .info = info, .ctx = ctx, .args = args, .out_bytes = out_bytes};
  return execute(&request);
}

rondo_status rondo_artifact_call(const rondo_kernel_info *info,
                                 DLTensor *const *tensors, int32_t count,
                                 void *workspace, size_t workspace_size,
                                 const rondo_context *ctx) {
  Request request = {.info = info,
                     .ctx = ctx,
                     .generic = true,
                     .tensors = tensors,
                     .count = count,
                     .workspace = workspace,
                     .workspace_size = workspace_size};
  return execute(&request);
}

rondo_status rondo_artifact_call_workspace_size(const rondo_kernel_info *info,
                                                DLTensor *const *tensors,
                                                int32_t count,
                                                const rondo_context *ctx,
                                                size_t *out_bytes) {
  if (!out_bytes)
    return failNoResult(info, ctx);
  Request request = {.info = info,
                     .ctx = ctx,
                     .generic = true,
                     .tensors = tensors,
                     .count = count,
                     .out_bytes = out_bytes};
  return execute(&request);
}

const rondo_library_info *
rondo_artifact_query(const rondo_library_info *library,
                     uint32_t max_abi_version) {
  return library->abi_version <= max_abi_version ? library : NULL;
}
