//===- Fixture.h - A call of decay, ready to be spoilt ------------*- C -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Memory, arguments and expected values of one call of the kernel `decay`, in
// both forms, and helpers that show that a refused call wrote nothing.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_TEST_RUNTIME_FIXTURE_H
#define RONDO_TEST_RUNTIME_FIXTURE_H

#include "Check.h"
#include "Kernels.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { B = 2, T = 5, H = 4, K = 3, G = 2, HG = H / G };
#define SENTINEL (-77.0f)

/// Everything one call touches.
typedef struct Fixture {
  float q[B * T * H * K], k[B * T * HG * K], g[B * T * H];
  float scale;
  float initial[B * H * K];
  float y[B * T * H * K], final[B * H * K];
  _Alignas(64) char workspace[8192];
  char error[512];
  decay_args args;
  rondo_context ctx;
  int64_t shapes[NumDecayTensors + 1][4], strides[NumDecayTensors + 1][4];
  DLTensor storage[NumDecayTensors + 1];
  DLTensor *tensors[NumDecayTensors + 1];
} Fixture;

static inline void fillRandom(float *values, int64_t count, unsigned seed) {
  for (int64_t i = 0; i < count; ++i) {
    seed = seed * 1664525u + 1013904223u;
    values[i] = (float)(seed >> 8) / (1 << 24) - 0.5f;
  }
}

static inline void fillSentinel(float *values, int64_t count) {
  for (int64_t i = 0; i < count; ++i)
    values[i] = SENTINEL;
}

static inline DLTensor makeTensor(void *data, int32_t rank, int64_t *shape,
                                  int code, int bits) {
  DLTensor tensor;
  memset(&tensor, 0, sizeof(tensor));
  tensor.data = data;
  tensor.device.device_type = (DLDeviceType)1;
  tensor.ndim = rank;
  tensor.dtype.code = (uint8_t)code;
  tensor.dtype.bits = (uint8_t)bits;
  tensor.dtype.lanes = 1;
  tensor.shape = shape;
  return tensor;
}

static inline void setTensor(Fixture *fixture, int place, void *data,
                             int32_t rank, int64_t d0, int64_t d1, int64_t d2,
                             int64_t d3) {
  int64_t shape[4] = {d0, d1, d2, d3};
  memcpy(fixture->shapes[place], shape, sizeof(shape));
  fixture->storage[place] =
      makeTensor(data, rank, fixture->shapes[place], 2, 32);
  fixture->tensors[place] = &fixture->storage[place];
}

/// A valid call with random arguments.
static inline void fixtureInit(Fixture *f) {
  memset(f, 0, sizeof(*f));
  fillRandom(f->q, B * T * H * K, 1);
  fillRandom(f->k, B * T * HG * K, 2);
  fillRandom(f->g, B * T * H, 3);
  fillRandom(f->initial, B * H * K, 4);
  fillSentinel(f->y, B * T * H * K);
  fillSentinel(f->final, B * H * K);
  memset(f->workspace, 0x5A, sizeof(f->workspace));
  f->scale = 0.75f;
  rondo_context ctx = RONDO_CONTEXT_INIT;
  f->ctx = ctx;
  f->ctx.error = f->error;
  f->ctx.error_size = sizeof(f->error);
  decay_args args = {.B = B,
                     .T = T,
                     .H = H,
                     .K = K,
                     .G = G,
                     .q = f->q,
                     .k = f->k,
                     .g = f->g,
                     .scale = f->scale,
                     .S_initial = f->initial,
                     .y = f->y,
                     .S_final = f->final};
  f->args = args;
  setTensor(f, Q, f->q, 4, B, T, H, K);
  setTensor(f, K_, f->k, 4, B, T, HG, K);
  setTensor(f, G_, f->g, 3, B, T, H, 0);
  setTensor(f, Scale, &f->scale, 0, 0, 0, 0, 0);
  setTensor(f, SInitial, f->initial, 3, B, H, K, 0);
  setTensor(f, Y, f->y, 4, B, T, H, K);
  setTensor(f, SFinal, f->final, 3, B, H, K, 0);
}

/// The recurrence for the batch entry b over t in [begin, end) with the state
/// [H, K] given and returned.
static inline void decayReference(const Fixture *f, int64_t b, int64_t begin,
                                  int64_t end, float *state, float *y) {
  for (int64_t t = begin; t < end; ++t)
    for (int64_t h = 0; h < H; ++h)
      for (int64_t i = 0; i < K; ++i) {
        float *s = &state[h * K + i];
        *s = f->g[(b * T + t) * H + h] * *s +
             f->scale * f->k[((b * T + t) * HG + h / G) * K + i];
        int64_t place = ((b * T + t) * H + h) * K + i;
        y[place] = f->q[place] * *s;
      }
}

static inline bool near(const float *a, const float *b, int64_t count) {
  for (int64_t i = 0; i < count; ++i)
    if (!(fabsf(a[i] - b[i]) <= 1e-6f))
      return false;
  return true;
}

/// Whether y and final are what they should be, given the initial state (NULL:
/// zero).
static inline bool fixtureIsRight(const Fixture *f, const float *initial,
                                  const float *y, const float *final) {
  float expected[B * T * H * K], state[B * H * K] = {0};
  if (initial)
    memcpy(state, initial, sizeof(state));
  for (int64_t b = 0; b < B; ++b)
    decayReference(f, b, 0, T, state + b * H * K, expected);
  return near(y, expected, B * T * H * K) &&
         (!final || near(final, state, B * H * K));
}

static inline bool isUntouched(const Fixture *f) {
  for (int64_t i = 0; i < B * T * H * K; ++i)
    if (f->y[i] != SENTINEL)
      return false;
  for (int64_t i = 0; i < B * H * K; ++i)
    if (f->final[i] != SENTINEL)
      return false;
  for (size_t i = 0; i < sizeof(f->workspace); ++i)
    if (f->workspace[i] != 0x5A)
      return false;
  return true;
}

static inline rondo_status callTyped(Fixture *f) {
  f->error[0] = 0;
  return decay_forward(&f->args, f->workspace, sizeof(f->workspace), &f->ctx);
}

static inline rondo_status callGeneric(Fixture *f, int32_t count) {
  f->error[0] = 0;
  return decay_call(f->tensors, count, f->workspace, sizeof(f->workspace),
                    &f->ctx);
}

/// The call has this status, says this, and wrote nothing.
#define CHECK_REFUSED(fixture, call, status, text)                             \
  do {                                                                         \
    rondo_status found = (call);                                               \
    CHECK(found == (status));                                                  \
    CHECK(strstr((fixture)->error, (text)) != NULL);                           \
    if (found != (status) || !strstr((fixture)->error, (text)))                \
      printf("  status %d, '%s'\n", (int)found, (fixture)->error);             \
    CHECK(isUntouched(fixture));                                               \
  } while (0)

#endif // RONDO_TEST_RUNTIME_FIXTURE_H
