//===- fuzz.c - Wild sizes and strides in the workspace query -------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The query does all the arithmetic of a call without touching data. Under
// UBSan, any overflow that the checks let through ends the program.
//
//===----------------------------------------------------------------------===//

#include "Fixture.h"

static uint64_t Seed = 1;

static uint64_t next(void) {
  Seed ^= Seed << 13;
  Seed ^= Seed >> 7;
  return Seed ^= Seed << 17;
}

/// Small numbers, powers of two and their neighbours, extremes.
static int64_t wild(void) {
  switch (next() % 6) {
  case 0:
    return (int64_t)(next() % 5) - 1;
  case 1:
    return (int64_t)((uint64_t)1 << next() % 64);
  case 2:
    return (int64_t)(((uint64_t)1 << next() % 64) - 1);
  case 3:
    return (int64_t)next();
  case 4:
    return INT64_MIN + (int64_t)(next() % 3);
  default:
    return (int64_t)(next() % 64) + 1;
  }
}

static int64_t NumAccepted;

static void check(rondo_status status, size_t bytes) {
  NumAccepted += status == RONDO_OK;
  CHECK(status >= 0 && status < RONDO_STATUS_COUNT);
  CHECK(status != RONDO_OK || bytes <= INT64_MAX);
}

static void fuzzTyped(Fixture *f) {
  int64_t strides[4];
  int64_t *sizes = &f->args.B;
  for (int spoilt = (int)(next() % 3); spoilt >= 0; --spoilt)
    sizes[next() % 5] = wild();
  for (int i = 0; i < 4; ++i)
    strides[i] = wild();
  const int64_t **fields[] = {&f->args.q_strides, &f->args.k_strides,
                              &f->args.g_strides, &f->args.y_strides,
                              &f->args.S_initial_strides};
  *fields[next() % 5] = strides;
  size_t bytes = 0;
  check(decay_workspace_size(&f->args, &f->ctx, &bytes), bytes);
}

static void fuzzGeneric(Fixture *f) {
  // One size changed wherever it stands, sometimes one shape by itself.
  int64_t size = wild();
  for (int i = 0; i < NumDecayTensors; ++i)
    f->shapes[i][i == SInitial || i == SFinal ? 2 : 1] = size;
  for (int i = 0; i < NumDecayTensors; ++i)
    if (next() % 4 == 0) {
      for (int dim = 0; dim < 4; ++dim)
        f->strides[i][dim] = wild();
      f->storage[i].strides = f->strides[i];
    }
  if (next() % 4 == 0)
    f->shapes[next() % NumDecayTensors][next() % 4] = wild();
  size_t bytes = 0;
  check(decay_call_workspace_size(f->tensors, NumDecayTensors, &f->ctx, &bytes),
        bytes);
}

int main(void) {
  static Fixture f;
  for (int trial = 0; trial < 100000; ++trial) {
    fixtureInit(&f);
    f.ctx.num_workers = trial % 5 == 0 ? INT32_MAX : 1;
    if (trial % 2)
      fuzzTyped(&f);
    else
      fuzzGeneric(&f);
  }
  CHECK(NumAccepted > 1000);
  return CHECK_SUMMARY();
}
