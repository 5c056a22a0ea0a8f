//===- Shapes.c - Extents of a call's tensors ----------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What a declared shape comes to in one call, and the sentences when it comes
// to nothing sensible.
//
//===----------------------------------------------------------------------===//

#include "Support.h"

#include <inttypes.h>

void rondo_message_add_sizes(rondo_message *message, const rondo_call *call,
                             const rondo_size_expr *expr) {
  const char *separator = " for ";
  for (int64_t size = 0; size < call->info->num_sizes; ++size) {
    if (call->sizes[size] == RONDO_UNKNOWN || !rondo_size_uses(expr, size))
      continue;
    rondo_message_add(message, "%s%s = %" PRId64, separator,
                      rondo_or(call->info->sizes[size].name, "?"),
                      call->sizes[size]);
    separator = ", ";
  }
}

rondo_status rondo_call_extent(const rondo_call *call,
                               const rondo_tensor_info *tensor, int32_t dim,
                               int64_t *out_extent) {
  if (call->packed && dim == tensor->sequence_dim) {
    *out_extent = tensor->time_dim >= 0 ? 1 : call->num_sequences;
    return RONDO_OK;
  }
  const rondo_size_expr *expr = &tensor->shape[dim];
  rondo_eval result = rondo_size_eval(expr, call->sizes, out_extent);
  if (result == RONDO_EVAL_OK && *out_extent >= 0)
    return RONDO_OK;
  rondo_message message;
  rondo_message_begin(&message, call->info);
  rondo_message_add_tensor(&message, tensor);
  rondo_message_add_dim(&message, tensor, dim);
  rondo_status status = RONDO_ERROR_WRONG_SIZE;
  if (result == RONDO_EVAL_OVERFLOW) {
    status = RONDO_ERROR_SIZE_OVERFLOW;
    rondo_message_add(&message, " overflows 63 bits");
  } else if (result == RONDO_EVAL_NOT_DIVIDED) {
    rondo_message_add(&message, " is not a whole number");
  } else {
    rondo_message_add(&message, " is %" PRId64 ", expected at least 0",
                      *out_extent);
  }
  rondo_message_add_sizes(&message, call, expr);
  return rondo_message_report(&message, call->ctx, status);
}
