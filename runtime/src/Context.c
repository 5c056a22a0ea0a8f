//===- Context.c - What a host lends --------------------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//===----------------------------------------------------------------------===//

#define _POSIX_C_SOURCE 200112L
#include "rondo/runtime.h"

#include <stdlib.h>

void rondo_context_init(rondo_context *out_context) {
  rondo_context context = RONDO_CONTEXT_INIT;
  *out_context = context;
}

static void *allocateAligned(void *user, size_t size, size_t alignment) {
  (void)user;
  void *pointer = NULL;
  if (alignment < sizeof(void *))
    alignment = sizeof(void *);
  return posix_memalign(&pointer, alignment, size) == 0 ? pointer : NULL;
}

static void deallocateAligned(void *user, void *pointer, size_t size,
                              size_t alignment) {
  (void)user;
  (void)size;
  (void)alignment;
  free(pointer);
}

void rondo_context_use_malloc(rondo_context *context) {
  context->allocate = allocateAligned;
  context->deallocate = deallocateAligned;
}

void rondo_context_use_pool(rondo_context *context, rondo_thread_pool *pool) {
  context->user = pool;
  context->parallel_for = pool ? rondo_thread_pool_run : NULL;
  context->num_workers = pool ? rondo_thread_pool_workers(pool) : 0;
}

void rondo_context_use_error(rondo_context *context, char *error,
                             size_t error_size) {
  context->error = error;
  context->error_size = error_size;
  if (error && error_size)
    error[0] = 0;
}
