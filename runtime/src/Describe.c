//===- Describe.c - A kernel's table for people ---------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//===----------------------------------------------------------------------===//

#include "Internal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>

typedef struct Writer {
  char *buffer;
  size_t size, length;
} Writer;

static void put(Writer *writer, const char *format, ...) {
  bool fits = writer->length < writer->size;
  va_list list;
  va_start(list, format);
  int length =
      vsnprintf(fits ? writer->buffer + writer->length : NULL,
                fits ? writer->size - writer->length : 0, format, list);
  va_end(list);
  if (length > 0)
    writer->length += (size_t)length;
}

static void putTensor(Writer *writer, const rondo_tensor_info *tensor) {
  static const char *const roles[] = {"argument", "initial", "result", "final"};
  uint32_t role = (uint32_t)tensor->role;
  put(writer, "  %-9s %-14s %-5s %s", role < 4 ? roles[role] : "?",
      tensor->name, rondo_dtype_name(tensor->dtype), tensor->shape_text);
  if (tensor->flags & RONDO_TENSOR_OPTIONAL)
    put(writer, " (optional)");
  if (tensor->description)
    put(writer, "  %s", tensor->description);
  put(writer, "\n");
}

size_t rondo_kernel_describe(const rondo_kernel_info *kernel, char *buffer,
                             size_t size) {
  Writer writer = {buffer, buffer ? size : 0, 0};
  put(&writer, "%s: %s, %s, %s, %s\n", kernel->name, kernel->entry,
      kernel->target, kernel->form, rondo_dtype_name(kernel->io_dtype));
  if (kernel->source)
    put(&writer, "  from      %s\n", kernel->source);
  put(&writer, "  sizes    ");
  for (int32_t i = 0; i < kernel->num_sizes; ++i) {
    put(&writer, "%s %s", i ? "," : "", kernel->sizes[i].name);
    if (kernel->sizes[i].bound >= 0)
      put(&writer, " = %" PRId64, kernel->sizes[i].bound);
  }
  put(&writer, "\n");
  for (int32_t i = 0; i < kernel->num_tensors; ++i)
    putTensor(&writer, &kernel->tensors[i]);
  put(&writer, "  variants ");
  for (int32_t i = 0; i < kernel->num_variants; ++i)
    put(&writer, "%s %s", i ? "," : "", kernel->variants[i].name);
  put(&writer, "\n  packed sequences: %s\n",
      kernel->time_size >= 0 ? "yes" : "no");
  return writer.length;
}
