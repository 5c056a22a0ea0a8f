//===- layouts.c - Strides, sizes and overlap that are allowed ------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//===----------------------------------------------------------------------===//

#include "Fixture.h"

/// Tensors in transposed and padded memory are computed on directly or through
/// packed copies, and give the same values.
static void testStrides(void) {
  // y, q: [B, T, H, K] stored as [K, B, T, H] (innermost stride not 1);
  // g: [B, T, H] stored as [B, H, T]; final: every second element.
  Fixture f;
  fixtureInit(&f);
  float q[B * T * H * K], g[B * T * H], y[B * T * H * K];
  float final[2 * B * H * K];
  fillSentinel(final, 2 * B * H * K);
  for (int64_t p = 0; p < B * T * H; ++p)
    for (int64_t i = 0; i < K; ++i)
      q[i * B * T * H + p] = f.q[p * K + i];
  for (int64_t b = 0; b < B; ++b)
    for (int64_t t = 0; t < T; ++t)
      for (int64_t h = 0; h < H; ++h)
        g[(b * H + h) * T + t] = f.g[(b * T + t) * H + h];
  int64_t transposed[] = {T * H, H, 1, B * T * H}, gStrides[] = {H * T, 1, T};
  int64_t finalStrides[] = {2 * H * K, 2 * K, 2};
  f.args.q = q;
  f.args.q_strides = transposed;
  f.args.g = g;
  f.args.g_strides = gStrides;
  f.args.y = y;
  f.args.y_strides = transposed;
  f.args.S_final = final;
  f.args.S_final_strides = finalStrides;
  size_t bytes;
  CHECK(decay_workspace_size(&f.args, &f.ctx, &bytes) == RONDO_OK);
  // q and y: 480 -> 512 bytes, g: 160 -> 192, final: 96 -> 128, scratch: 64.
  CHECK(bytes == 512 + 192 + 512 + 128 + 64);
  CHECK(decay_forward(&f.args, f.workspace, bytes, &f.ctx) == RONDO_OK);
  for (size_t i = bytes; i < sizeof(f.workspace); ++i)
    CHECK(f.workspace[i] == 0x5A);
  for (int64_t p = 0; p < B * T * H; ++p)
    for (int64_t i = 0; i < K; ++i)
      f.y[p * K + i] = y[i * B * T * H + p];
  for (int64_t i = 0; i < B * H * K; ++i) {
    f.final[i] = final[2 * i];
    CHECK(final[2 * i + 1] == SENTINEL);
  }
  CHECK(fixtureIsRight(&f, f.initial, f.y, f.final));
}

/// Broadcast (stride 0) and reversed (negative stride) arguments.
static void testArgumentStrides(void) {
  Fixture f;
  fixtureInit(&f);
  int64_t strides[] = {0, -(HG * K), K, 1};
  float k[T * HG * K];
  memcpy(k, f.k, sizeof(k));
  f.args.k = k + (T - 1) * HG * K;
  f.args.k_strides = strides;
  CHECK(callTyped(&f) == RONDO_OK);
  for (int64_t b = 0; b < B; ++b)
    for (int64_t t = 0; t < T; ++t)
      memcpy(f.k + (b * T + t) * HG * K, k + (T - 1 - t) * HG * K,
             sizeof(float) * HG * K);
  CHECK(fixtureIsRight(&f, f.initial, f.y, f.final));
}

/// A result with a reversed dim.
static void testResultStrides(void) {
  Fixture f;
  fixtureInit(&f);
  int64_t strides[] = {T * H * K, -(H * K), K, 1};
  f.args.y = f.y + (T - 1) * H * K;
  f.args.y_strides = strides;
  CHECK(callTyped(&f) == RONDO_OK);
  float y[B * T * H * K];
  for (int64_t b = 0; b < B; ++b)
    for (int64_t t = 0; t < T; ++t)
      memcpy(y + (b * T + t) * H * K, f.y + (b * T + T - 1 - t) * H * K,
             sizeof(float) * H * K);
  CHECK(fixtureIsRight(&f, f.initial, y, f.final));
}

/// Results that interleave in one buffer without sharing an element.
static void testInterleaved(void) {
  Fixture f;
  fixtureInit(&f);
  // [B, T, H, 2, K]: q in the first halves, y in the second ones.
  float both[2 * B * T * H * K];
  for (int64_t p = 0; p < B * T * H; ++p)
    memcpy(both + 2 * p * K, f.q + p * K, sizeof(float) * K);
  int64_t strides[] = {2 * T * H * K, 2 * H * K, 2 * K, 1};
  f.args.q = both;
  f.args.q_strides = strides;
  f.args.y = both + K;
  f.args.y_strides = strides;
  CHECK(callTyped(&f) == RONDO_OK);
  for (int64_t p = 0; p < B * T * H; ++p)
    memcpy(f.y + p * K, both + (2 * p + 1) * K, sizeof(float) * K);
  CHECK(fixtureIsRight(&f, f.initial, f.y, f.final));
  // One element nearer, and they touch.
  f.args.y = both + K - 1;
  CHECK(callTyped(&f) == RONDO_ERROR_OVERLAP);
  f.args.y = both + K + 1;
  CHECK(callTyped(&f) == RONDO_ERROR_OVERLAP);
  // Not even a whole element apart.
  f.args.y = (float *)((char *)both + 4 * K * sizeof(float) - 4);
  CHECK(callTyped(&f) == RONDO_ERROR_OVERLAP);
}

/// The state is updated in place, packed or strided.
static void testInPlace(void) {
  Fixture f;
  fixtureInit(&f);
  float state[B * H * K];
  memcpy(state, f.initial, sizeof(state));
  f.args.S_initial = f.args.S_final = state;
  CHECK(callTyped(&f) == RONDO_OK);
  CHECK(fixtureIsRight(&f, f.initial, f.y, state));

  fixtureInit(&f);
  float wide[2 * B * H * K];
  int64_t strides[] = {2 * H * K, 2 * K, 2};
  for (int64_t i = 0; i < B * H * K; ++i)
    wide[2 * i] = f.initial[i];
  f.args.S_initial = f.args.S_final = wide;
  f.args.S_initial_strides = f.args.S_final_strides = strides;
  CHECK(callTyped(&f) == RONDO_OK);
  for (int64_t i = 0; i < B * H * K; ++i)
    state[i] = wide[2 * i];
  CHECK(fixtureIsRight(&f, f.initial, f.y, state));
  // Same buffer, another layout.
  f.args.S_initial_strides = NULL;
  CHECK(callTyped(&f) == RONDO_ERROR_OVERLAP);
}

static void testOptional(void) {
  Fixture f;
  fixtureInit(&f);
  f.args.S_initial = NULL;
  f.args.S_final = NULL;
  CHECK(callTyped(&f) == RONDO_OK);
  CHECK(fixtureIsRight(&f, NULL, f.y, NULL));
  CHECK(f.final[0] == SENTINEL);
  fixtureInit(&f);
  f.tensors[SInitial] = NULL;
  f.storage[SFinal].data = NULL;
  CHECK(callGeneric(&f, NumDecayTensors) == RONDO_OK);
  CHECK(fixtureIsRight(&f, NULL, f.y, NULL));
  CHECK(decay_call(f.tensors, NumDecayTensors, f.workspace, sizeof(f.workspace),
                   NULL) == RONDO_OK);
}

static void testEmpty(void) {
  // No batch point: nothing runs, nothing is needed.
  Fixture f;
  fixtureInit(&f);
  f.args.B = 0;
  f.args.q = NULL;
  size_t bytes = 1;
  CHECK(decay_workspace_size(&f.args, &f.ctx, &bytes) == RONDO_OK);
  CHECK(bytes == 0);
  CHECK(decay_forward(&f.args, NULL, 0, &f.ctx) == RONDO_OK);
  CHECK(isUntouched(&f));
  // No time step: the final state is the initial one.
  fixtureInit(&f);
  f.args.T = 0;
  f.args.q = f.args.k = f.args.g = NULL;
  f.args.y = NULL;
  CHECK(callTyped(&f) == RONDO_OK);
  CHECK(near(f.final, f.initial, B * H * K) && f.y[0] == SENTINEL);
  fixtureInit(&f);
  f.shapes[Q][1] = f.shapes[K_][1] = f.shapes[G_][1] = f.shapes[Y][1] = 0;
  CHECK(callGeneric(&f, NumDecayTensors) == RONDO_OK);
  CHECK(near(f.final, f.initial, B * H * K) && f.y[0] == SENTINEL);
  // No key dim: no scratch.
  fixtureInit(&f);
  f.args.K = 0;
  CHECK(decay_forward(&f.args, NULL, 0, &f.ctx) == RONDO_OK);
  // No head: H/G = 0 says nothing about G.
  fixtureInit(&f);
  f.shapes[Q][2] = f.shapes[K_][2] = f.shapes[G_][2] = f.shapes[Y][2] = 0;
  f.shapes[SInitial][1] = f.shapes[SFinal][1] = 0;
  CHECK(callGeneric(&f, NumDecayTensors) == RONDO_OK);
  CHECK(isUntouched(&f));
}

/// Sizes of 1 make every stride fine.
static void testUnitDims(void) {
  Fixture f;
  fixtureInit(&f);
  int64_t strides[] = {0, 7, -5, 0};
  f.args.B = f.args.T = f.args.H = f.args.K = f.args.G = 1;
  f.args.q_strides = f.args.k_strides = f.args.y_strides = strides;
  size_t bytes;
  CHECK(decay_workspace_size(&f.args, &f.ctx, &bytes) == RONDO_OK);
  CHECK(bytes == 64);
  CHECK(callTyped(&f) == RONDO_OK);
  float state = f.g[0] * f.initial[0] + f.scale * f.k[0];
  CHECK(near(&f.final[0], &state, 1) && f.final[1] == SENTINEL);
}

/// The query takes DLTensors without data.
static void testGenericQuery(void) {
  Fixture f;
  fixtureInit(&f);
  for (int i = 0; i < NumDecayTensors; ++i)
    f.storage[i].data = NULL;
  int64_t strides[] = {1, B, B * T, B * T * H};
  f.storage[Y].strides = strides;
  size_t bytes;
  CHECK(decay_call_workspace_size(f.tensors, NumDecayTensors, &f.ctx, &bytes) ==
        RONDO_OK);
  CHECK(bytes == 512 + 64);
  CHECK(decay_call_workspace_size(f.tensors, 2, &f.ctx, &bytes) ==
        RONDO_ERROR_WRONG_COUNT);
}

int main(void) {
  testStrides();
  testArgumentStrides();
  testResultStrides();
  testInterleaved();
  testInPlace();
  testOptional();
  testEmpty();
  testUnitDims();
  testGenericQuery();
  return CHECK_SUMMARY();
}
