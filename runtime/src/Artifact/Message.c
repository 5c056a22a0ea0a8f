//===- Message.c - Sentences for errors -----------------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Only error paths come here.
//
//===----------------------------------------------------------------------===//

#include "Support.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void addFormatted(rondo_message *message, const char *format,
                         va_list list) {
  size_t room = sizeof(message->text) - message->length;
  int length = vsnprintf(message->text + message->length, room, format, list);
  if (length < 0)
    return;
  message->length += (size_t)length < room ? (size_t)length : room - 1;
}

void rondo_message_add(rondo_message *message, const char *format, ...) {
  va_list list;
  va_start(list, format);
  addFormatted(message, format, list);
  va_end(list);
}

void rondo_message_add_tensor(rondo_message *message,
                              const rondo_tensor_info *tensor) {
  static const char *const words[] = {"argument", "initial value", "result",
                                      "final value"};
  uint32_t role = (uint32_t)tensor->role;
  rondo_message_add(message, "%s '%s'", role < 4 ? words[role] : "tensor",
                    rondo_or(tensor->name, "?"));
}

void rondo_message_add_dim(rondo_message *message,
                           const rondo_tensor_info *tensor, int64_t dim) {
  rondo_message_add(message, " dim %" PRId64 " (%s)", dim,
                    rondo_or(tensor->shape[dim].text, "?"));
}

void rondo_message_begin(rondo_message *message,
                         const rondo_kernel_info *info) {
  message->length = 0;
  message->text[0] = 0;
  const char *name = rondo_or(info->name, "?");
  if (info->entry && strcmp(info->entry, "forward") != 0)
    rondo_message_add(message, "%s_%s: ", name, info->entry);
  else
    rondo_message_add(message, "%s: ", name);
}

rondo_status rondo_message_report(const rondo_message *message,
                                  const rondo_context *ctx,
                                  rondo_status status) {
  if (!ctx)
    return status;
  if (ctx->error && ctx->error_size) {
    size_t length = message->length;
    if (length >= ctx->error_size) {
      length = ctx->error_size - 1;
      // Never cut inside a UTF-8 character.
      while (length && ((unsigned char)message->text[length] & 0xC0) == 0x80)
        --length;
    }
    memcpy(ctx->error, message->text, length);
    ctx->error[length] = 0;
  }
  if (ctx->log)
    ctx->log(ctx->user, status, message->text);
  return status;
}

rondo_status rondo_call_fail(const rondo_call *call, rondo_status status,
                             const char *format, ...) {
  rondo_message message;
  rondo_message_begin(&message, call->info);
  va_list list;
  va_start(list, format);
  addFormatted(&message, format, list);
  va_end(list);
  return rondo_message_report(&message, call->ctx, status);
}

rondo_status rondo_tensor_fail(const rondo_call *call, rondo_status status,
                               const rondo_tensor_info *tensor,
                               const char *format, ...) {
  rondo_message message;
  rondo_message_begin(&message, call->info);
  rondo_message_add_tensor(&message, tensor);
  va_list list;
  va_start(list, format);
  addFormatted(&message, format, list);
  va_end(list);
  rondo_message_add(&message, "; shape is %s",
                    rondo_or(tensor->shape_text, "[]"));
  return rondo_message_report(&message, call->ctx, status);
}

const char *rondo_dtype_string(rondo_dtype dtype) {
  static const char *const names[] = {"none", "f16", "bf16", "f32",
                                      "f64",  "i32", "i64",  "bool"};
  return (uint32_t)dtype < 8 ? names[dtype] : "unknown";
}
