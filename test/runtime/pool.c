//===- pool.c - The thread pool under load --------------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//===----------------------------------------------------------------------===//

#define _POSIX_C_SOURCE 200809L
#include "Check.h"
#include "rondo/runtime.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

/// Every point must be run once, by a worker that runs nothing else meanwhile.
typedef struct Job {
  _Atomic int32_t *hits; // [count]
  _Atomic int32_t in_use[64];
  _Atomic int32_t errors;
  int32_t num_workers;
  int64_t count, grain;
} Job;

static void work(void *arg, int64_t begin, int64_t end, int32_t worker) {
  Job *job = arg;
  if (worker < 0 || worker >= job->num_workers || begin >= end || begin < 0 ||
      end > job->count || (end - begin < job->grain && end != job->count)) {
    atomic_fetch_add(&job->errors, 1);
    return;
  }
  if (atomic_exchange(&job->in_use[worker], 1))
    atomic_fetch_add(&job->errors, 1);
  for (int64_t i = begin; i < end; ++i)
    atomic_fetch_add_explicit(&job->hits[i], 1, memory_order_relaxed);
  atomic_store(&job->in_use[worker], 0);
}

static bool runJob(rondo_thread_pool *pool, int64_t count, int64_t grain) {
  Job job = {.num_workers = rondo_thread_pool_workers(pool),
             .count = count,
             .grain = grain};
  job.hits = calloc((size_t)count + 1, sizeof(*job.hits));
  rondo_thread_pool_run(pool, work, &job, count, grain);
  bool right = job.errors == 0;
  for (int64_t i = 0; i < count; ++i)
    right &= job.hits[i] == 1;
  free(job.hits);
  return right;
}

static void testSizes(int32_t workers) {
  rondo_thread_pool *pool;
  CHECK(rondo_thread_pool_create(workers, &pool) == RONDO_OK);
  CHECK(rondo_thread_pool_workers(pool) == workers);
  bool right = true;
  for (int64_t count = 0; count < 300; ++count)
    right &= runJob(pool, count, count % 7);
  right &= runJob(pool, 10000, 1);
  right &= runJob(pool, 10000, 9999);
  CHECK(right);
  rondo_thread_pool_destroy(pool);
}

/// Short jobs with and without pauses in which the threads fall asleep.
static void testSleep(void) {
  rondo_thread_pool *pool;
  CHECK(rondo_thread_pool_create(4, &pool) == RONDO_OK);
  bool right = true;
  for (int i = 0; i < 2000; ++i) {
    right &= runJob(pool, 16, 1);
    if (i % 100 == 0) {
      struct timespec pause = {0, 1000000};
      nanosleep(&pause, NULL);
    }
  }
  CHECK(right);
  rondo_thread_pool_destroy(pool);
}

static rondo_thread_pool *Shared;

static void inner(void *arg, int64_t begin, int64_t end, int32_t worker) {
  (void)worker;
  for (int64_t i = begin; i < end; ++i)
    if (!runJob(Shared, 20, 3))
      atomic_fetch_add((_Atomic int32_t *)arg, 1);
}

static void *caller(void *arg) {
  for (int i = 0; i < 200; ++i)
    if (!runJob(Shared, 50, 2))
      atomic_fetch_add((_Atomic int32_t *)arg, 1);
  return NULL;
}

/// Calls within tasks and from several threads at once.
static void testNestedAndShared(void) {
  CHECK(rondo_thread_pool_create(3, &Shared) == RONDO_OK);
  _Atomic int32_t errors = 0;
  rondo_thread_pool_run(Shared, inner, &errors, 100, 1);
  CHECK(errors == 0);
  pthread_t threads[4];
  for (int i = 0; i < 4; ++i)
    CHECK(pthread_create(&threads[i], NULL, caller, &errors) == 0);
  for (int i = 0; i < 4; ++i)
    pthread_join(threads[i], NULL);
  CHECK(errors == 0);
  rondo_thread_pool_destroy(Shared);
}

int main(void) {
  rondo_thread_pool *pool = NULL;
  testSizes(1);
  testSizes(2);
  testSizes(5);
  testSleep();
  testNestedAndShared();
  CHECK(rondo_thread_pool_create(-1, &pool) == RONDO_ERROR_WRONG_SIZE);
  CHECK(rondo_thread_pool_create(0, NULL) == RONDO_ERROR_NULL_POINTER);
  CHECK(rondo_thread_pool_create(0, &pool) == RONDO_OK);
  CHECK(rondo_thread_pool_workers(pool) >= 1);
  rondo_thread_pool_destroy(pool);
  for (int i = 0; i < 50; ++i) { // started and ended at once
    CHECK(rondo_thread_pool_create(4, &pool) == RONDO_OK);
    rondo_thread_pool_destroy(pool);
  }
  rondo_thread_pool_destroy(NULL);
  return CHECK_SUMMARY();
}
