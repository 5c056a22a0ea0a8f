//===- run.c - Dispatch, faults and allocators ----------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//===----------------------------------------------------------------------===//

#include "Fixture.h"
#include "rondo/runtime.h"

/// A parallel_for that runs ranges of one point, backwards, with changing
/// workers, and records what it was asked for.
typedef struct Recorder {
  int64_t calls, count, grain;
  int32_t num_workers;
  int64_t skip; // leave out the last `skip` points
  int32_t extra_worker;
} Recorder;

static void backwards(void *user, rondo_task task, void *arg, int64_t count,
                      int64_t grain) {
  Recorder *recorder = user;
  ++recorder->calls;
  recorder->count = count;
  recorder->grain = grain;
  for (int64_t i = count - 1 - recorder->skip; i >= 0; --i)
    task(arg, i, i + 1,
         (int32_t)(i % recorder->num_workers) + recorder->extra_worker);
}

static void testParallelFor(void) {
  Fixture f;
  fixtureInit(&f);
  Recorder recorder = {.num_workers = 3};
  f.ctx.user = &recorder;
  f.ctx.parallel_for = backwards;
  f.ctx.num_workers = 3;
  size_t bytes;
  CHECK(decay_workspace_size(&f.args, &f.ctx, &bytes) == RONDO_OK);
  CHECK(bytes == 3 * 64);
  CHECK(decay_forward(&f.args, f.workspace, bytes, &f.ctx) == RONDO_OK);
  CHECK(recorder.calls == 1 && recorder.count == B * H && recorder.grain == 1);
  CHECK(fixtureIsRight(&f, f.initial, f.y, f.final));
  CHECK(f.workspace[bytes] == 0x5A);
  recorder.skip = 1;
  CHECK(callTyped(&f) == RONDO_ERROR_BAD_CONTEXT);
  CHECK(strstr(f.error, "decay: parallel_for ran 7 of 8 points"));
  recorder.skip = 0;
  recorder.extra_worker = 1;
  CHECK(callTyped(&f) == RONDO_ERROR_BAD_CONTEXT);
  CHECK(strstr(f.error, "worker out of bounds"));
}

static void testPacked(void) {
  Fixture f;
  fixtureInit(&f);
  Recorder recorder = {.num_workers = 2};
  f.ctx.user = &recorder;
  f.ctx.parallel_for = backwards;
  f.ctx.num_workers = 2;
  int64_t cu[] = {0, 5, 10};
  f.args.B = 1;
  f.args.T = B * T;
  f.args.packed = (rondo_packed){cu, B, RONDO_I64, 0};
  CHECK(callTyped(&f) == RONDO_OK);
  CHECK(recorder.count == B * H);
  CHECK(fixtureIsRight(&f, f.initial, f.y, f.final));
}

static void testPool(void) {
  Fixture f;
  rondo_thread_pool *pool;
  CHECK(rondo_thread_pool_create(4, &pool) == RONDO_OK);
  for (int i = 0; i < 50; ++i) {
    fixtureInit(&f);
    rondo_context_use_pool(&f.ctx, pool);
    rondo_context_use_malloc(&f.ctx);
    CHECK(decay_forward(&f.args, NULL, 0, &f.ctx) == RONDO_OK);
    CHECK(fixtureIsRight(&f, f.initial, f.y, f.final));
  }
  rondo_thread_pool_destroy(pool);
}

typedef struct Allocations {
  int64_t live, count;
} Allocations;

static void *countedAllocate(void *user, size_t size, size_t alignment) {
  Allocations *allocations = user;
  ++allocations->live;
  ++allocations->count;
  return aligned_alloc(alignment,
                       (size + alignment - 1) / alignment * alignment);
}

static void countedFree(void *user, void *pointer, size_t size,
                        size_t alignment) {
  (void)size, (void)alignment;
  --((Allocations *)user)->live;
  free(pointer);
}

static void testAllocator(void) {
  Fixture f;
  fixtureInit(&f);
  Allocations allocations = {0, 0};
  f.ctx.user = &allocations;
  f.ctx.allocate = countedAllocate;
  f.ctx.deallocate = countedFree;
  CHECK(decay_forward(&f.args, NULL, 0, &f.ctx) == RONDO_OK);
  CHECK(allocations.count == 1 && allocations.live == 0);
  CHECK(fixtureIsRight(&f, f.initial, f.y, f.final));
  CHECK(callTyped(&f) == RONDO_OK); // its own workspace: no allocation
  CHECK(allocations.count == 1);
}

static void testFault(void) {
  enum { Length = 3, D = 4 };
  uint16_t emb[100 * 2 * D];
  memset(emb, 0, sizeof(emb));
  double first[D] = {0};
  int32_t tokens[Length] = {5, 912, -1};
  float y[Length * D];
  char error[256] = "";
  rondo_context ctx = RONDO_CONTEXT_INIT;
  ctx.error = error;
  ctx.error_size = sizeof(error);
  embed_args args = {.N = 100,
                     .D = D,
                     .T = Length,
                     .emb = emb,
                     .tokens = tokens,
                     .first = first,
                     .y = y};
  CHECK(embed_forward(&args, NULL, 0, &ctx) == RONDO_ERROR_INDEX_OUT_OF_RANGE);
  CHECK(strcmp(error,
               "embed: index 912 is out of range for 'emb' dim 0 (N), expected "
               "0 to 99; in emb[tokens[t], d] at embed.rondo:3:14") == 0);
  CHECK(embed_forward(&args, NULL, 0, NULL) == RONDO_ERROR_INDEX_OUT_OF_RANGE);
  tokens[1] = 99;
  tokens[2] = 0;
  float m = 2;
  args.m_initial = args.m_final = &m; // rank 0, in place
  CHECK(embed_forward(&args, NULL, 0, &ctx) == RONDO_OK);
  CHECK(m == 5 && y[0] == 3 && y[Length * D - 1] == 5);
}

int main(void) {
  testParallelFor();
  testPacked();
  testPool();
  testAllocator();
  testFault();
  return CHECK_SUMMARY();
}
