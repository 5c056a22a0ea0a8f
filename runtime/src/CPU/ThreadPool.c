//===- ThreadPool.c - A parallel_for for hosts without one ----------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Persistent threads that look for work for a short while and then sleep.
//
// All coordination is in one word, `state`: bit 0 says that a job is open, the
// next bits count the threads inside it, the rest is the job's number. A thread
// enters by adding one to the count while the job is open; the caller, when no
// point is left, closes the job and waits for the count to reach 0. A thread
// that wakes late finds the job closed and has nothing to do, so a short job
// never waits for a sleeper.
//
// Sleeping follows one pattern twice: the one who goes to sleep announces it
// (sequentially consistent) and looks once more at `state`; the one who changes
// `state` looks at the announcement afterwards. One of them sees the other.
//
//===----------------------------------------------------------------------===//

#define _GNU_SOURCE
#include "rondo/runtime.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

enum {
  OpenBit = 1,
  OneInside = 2,
  InsideMask = 0xFFFE,
  OneJob = 0x10000,
  MaxWorkers = 4096,
  /// Looks at `state` before going to sleep: some 10 microseconds.
  Spins = 400
};

typedef struct Thread {
  struct rondo_thread_pool *pool;
  pthread_t handle;
  int32_t worker;
} Thread;

struct rondo_thread_pool {
  _Atomic uint64_t state;
  // The job: written by the caller while no thread is inside.
  rondo_task task;
  void *arg;
  int64_t count, chunk;
  _Alignas(64) _Atomic int64_t next; ///< first point not handed out
  _Alignas(64) _Atomic int32_t busy; ///< a caller owns the threads
  _Atomic int32_t sleepers;
  _Atomic int32_t caller_sleeps;
  _Atomic int32_t stop;
  pthread_mutex_t mutex;
  pthread_cond_t work, done;
  int32_t num_workers;
  int32_t num_threads;
  Thread *threads; ///< [num_workers - 1]
};

static void relax(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

/// Runs chunks until none is left.
static void runChunks(rondo_thread_pool *pool, int32_t worker) {
  for (;;) {
    int64_t begin = atomic_fetch_add_explicit(&pool->next, pool->chunk,
                                              memory_order_relaxed);
    if (begin >= pool->count)
      return;
    int64_t end =
        pool->count - begin > pool->chunk ? begin + pool->chunk : pool->count;
    pool->task(pool->arg, begin, end, worker);
  }
}

//===----------------------------------------------------------------------===//
// The threads
//===----------------------------------------------------------------------===//

/// Whether `state` shows a job that this thread has not been in.
static bool isNews(uint64_t state, uint64_t lastJob) {
  return (state & OpenBit) && state / OneJob != lastJob;
}

/// Waits for a new job or the end.
static uint64_t awaitJob(rondo_thread_pool *pool, uint64_t lastJob) {
  uint64_t state = 0;
  for (int32_t i = 0; i < Spins; ++i) {
    state = atomic_load_explicit(&pool->state, memory_order_acquire);
    if (isNews(state, lastJob) || atomic_load(&pool->stop))
      return state;
    relax();
  }
  pthread_mutex_lock(&pool->mutex);
  atomic_fetch_add(&pool->sleepers, 1);
  for (;;) {
    state = atomic_load(&pool->state);
    if (isNews(state, lastJob) || atomic_load(&pool->stop))
      break;
    pthread_cond_wait(&pool->work, &pool->mutex);
  }
  atomic_fetch_sub(&pool->sleepers, 1);
  pthread_mutex_unlock(&pool->mutex);
  return state;
}

/// Enters the open job, if it is still open.
static bool enter(rondo_thread_pool *pool, uint64_t *state, uint64_t lastJob) {
  while (isNews(*state, lastJob))
    if (atomic_compare_exchange_weak(&pool->state, state, *state + OneInside))
      return true;
  return false;
}

static void leave(rondo_thread_pool *pool) {
  uint64_t before = atomic_fetch_sub(&pool->state, OneInside);
  bool last = (before & InsideMask) == OneInside && !(before & OpenBit);
  if (last && atomic_load(&pool->caller_sleeps)) {
    pthread_mutex_lock(&pool->mutex);
    pthread_cond_signal(&pool->done);
    pthread_mutex_unlock(&pool->mutex);
  }
}

static void *threadMain(void *arg) {
  Thread *thread = arg;
  rondo_thread_pool *pool = thread->pool;
  uint64_t lastJob = 0;
  while (!atomic_load(&pool->stop)) {
    uint64_t state = awaitJob(pool, lastJob);
    if (!enter(pool, &state, lastJob))
      continue;
    lastJob = state / OneJob;
    runChunks(pool, thread->worker);
    leave(pool);
  }
  return NULL;
}

//===----------------------------------------------------------------------===//
// The caller
//===----------------------------------------------------------------------===//

static void wakeThreads(rondo_thread_pool *pool, int64_t wanted) {
  int32_t sleepers = atomic_load(&pool->sleepers);
  if (sleepers == 0 || wanted <= 0)
    return;
  pthread_mutex_lock(&pool->mutex);
  if (wanted >= sleepers)
    pthread_cond_broadcast(&pool->work);
  else
    while (wanted-- > 0)
      pthread_cond_signal(&pool->work);
  pthread_mutex_unlock(&pool->mutex);
}

static void awaitThreads(rondo_thread_pool *pool) {
  for (int32_t i = 0; i < Spins; ++i) {
    if (!(atomic_load_explicit(&pool->state, memory_order_acquire) &
          InsideMask))
      return;
    relax();
  }
  pthread_mutex_lock(&pool->mutex);
  atomic_store(&pool->caller_sleeps, 1);
  while (atomic_load(&pool->state) & InsideMask)
    pthread_cond_wait(&pool->done, &pool->mutex);
  atomic_store(&pool->caller_sleeps, 0);
  pthread_mutex_unlock(&pool->mutex);
}

void rondo_thread_pool_run(void *user, rondo_task task, void *arg,
                           int64_t count, int64_t grain) {
  rondo_thread_pool *pool = user;
  if (count <= 0)
    return;
  if (grain < 1)
    grain = 1;
  // Within a task of this pool, or while another caller has the threads, the
  // work is done right here.
  if (!pool->num_threads || count <= grain || atomic_exchange(&pool->busy, 1)) {
    task(arg, 0, count, 0);
    return;
  }
  // A few chunks per worker even out their times; more only cost.
  int64_t chunk = count / ((int64_t)pool->num_workers * 8);
  if (chunk < grain)
    chunk = grain;
  pool->task = task;
  pool->arg = arg;
  pool->count = count;
  pool->chunk = chunk;
  atomic_store_explicit(&pool->next, 0, memory_order_relaxed);
  uint64_t job = atomic_load(&pool->state) / OneJob + 1;
  atomic_store(&pool->state, job * OneJob | OpenBit);
  wakeThreads(pool, (count - 1) / chunk);
  runChunks(pool, 0);
  atomic_fetch_and(&pool->state, ~(uint64_t)OpenBit);
  awaitThreads(pool);
  atomic_store(&pool->busy, 0);
}

//===----------------------------------------------------------------------===//
// Creation
//===----------------------------------------------------------------------===//

static int32_t countProcessors(void) {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0)
    return CPU_COUNT(&set);
#endif
  long online = sysconf(_SC_NPROCESSORS_ONLN);
  return online > 0 ? (int32_t)online : 1;
}

rondo_status rondo_thread_pool_create(int32_t num_workers,
                                      rondo_thread_pool **out_pool) {
  if (!out_pool)
    return RONDO_ERROR_NULL_POINTER;
  *out_pool = NULL;
  if (num_workers < 0)
    return RONDO_ERROR_WRONG_SIZE;
  if (num_workers == 0)
    num_workers = countProcessors();
  if (num_workers > MaxWorkers)
    num_workers = MaxWorkers;
  void *memory;
  if (posix_memalign(&memory, _Alignof(rondo_thread_pool),
                     sizeof(rondo_thread_pool)) != 0)
    return RONDO_ERROR_OUT_OF_MEMORY;
  rondo_thread_pool *pool = memory;
  *pool = (rondo_thread_pool){.num_workers = num_workers};
  pthread_mutex_init(&pool->mutex, NULL);
  pthread_cond_init(&pool->work, NULL);
  pthread_cond_init(&pool->done, NULL);
  pool->threads = calloc((size_t)num_workers, sizeof(Thread));
  bool failed = !pool->threads;
  for (int32_t i = 0; !failed && i < num_workers - 1; ++i) {
    Thread *thread = &pool->threads[i];
    thread->pool = pool;
    thread->worker = i + 1;
    failed = pthread_create(&thread->handle, NULL, threadMain, thread) != 0;
    if (!failed)
      ++pool->num_threads;
  }
  if (failed) {
    rondo_thread_pool_destroy(pool);
    return RONDO_ERROR_OUT_OF_MEMORY;
  }
  *out_pool = pool;
  return RONDO_OK;
}

void rondo_thread_pool_destroy(rondo_thread_pool *pool) {
  if (!pool)
    return;
  pthread_mutex_lock(&pool->mutex);
  atomic_store(&pool->stop, 1);
  pthread_cond_broadcast(&pool->work);
  pthread_mutex_unlock(&pool->mutex);
  for (int32_t i = 0; i < pool->num_threads; ++i)
    pthread_join(pool->threads[i].handle, NULL);
  pthread_cond_destroy(&pool->work);
  pthread_cond_destroy(&pool->done);
  pthread_mutex_destroy(&pool->mutex);
  free(pool->threads);
  free(pool);
}

int32_t rondo_thread_pool_workers(const rondo_thread_pool *pool) {
  return pool->num_workers;
}
