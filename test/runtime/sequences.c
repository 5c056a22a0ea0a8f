//===- sequences.c - Packed sequences -------------------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//===----------------------------------------------------------------------===//

#define RONDO_ARTIFACT_SUPPORT
#include "Fixture.h"

enum { N = 3, Total = B * T };
static int32_t Cu[N + 1] = {0, 4, 4, Total};

/// The fixture's [B, T, ...] memory as one [1, B * T, ...] batch of three
/// sequences (the second one empty).
typedef struct Packed {
  Fixture f;
  float initial[N * H * K], final[N * H * K];
  int64_t cu_shape[1];
} Packed;

static void packedInit(Packed *p) {
  Fixture *f = &p->f;
  fixtureInit(f);
  fillRandom(p->initial, N * H * K, 9);
  fillSentinel(p->final, N * H * K);
  f->args.B = 1;
  f->args.T = Total;
  f->args.S_initial = p->initial;
  f->args.S_final = p->final;
  f->args.packed.cu_seqlens = Cu;
  f->args.packed.num_sequences = N;
  f->args.packed.dtype = RONDO_I32;
  setTensor(f, Q, f->q, 4, 1, Total, H, K);
  setTensor(f, K_, f->k, 4, 1, Total, HG, K);
  setTensor(f, G_, f->g, 3, 1, Total, H, 0);
  setTensor(f, SInitial, p->initial, 3, N, H, K, 0);
  setTensor(f, Y, f->y, 4, 1, Total, H, K);
  setTensor(f, SFinal, p->final, 3, N, H, K, 0);
  p->cu_shape[0] = N + 1;
  f->storage[NumDecayTensors] = makeTensor(Cu, 1, p->cu_shape, 0, 32);
  f->tensors[NumDecayTensors] = &f->storage[NumDecayTensors];
}

static bool packedIsRight(const Packed *p, const float *initial) {
  float expected[B * T * H * K], state[N * H * K] = {0};
  if (initial)
    memcpy(state, initial, sizeof(state));
  // Batch entry 0 of the reference, run past T, sees all B * T steps.
  for (int n = 0; n < N; ++n)
    decayReference(&p->f, 0, Cu[n], Cu[n + 1], state + n * H * K, expected);
  return near(p->f.y, expected, B * T * H * K) &&
         near(p->final, state, N * H * K);
}

static void testRight(void) {
  Packed p;
  packedInit(&p);
  CHECK(callTyped(&p.f) == RONDO_OK);
  CHECK(packedIsRight(&p, p.initial));
  packedInit(&p);
  CHECK(callGeneric(&p.f, NumDecayTensors + 1) == RONDO_OK);
  CHECK(packedIsRight(&p, p.initial));
  packedInit(&p);
  p.f.args.S_initial = NULL;
  CHECK(callTyped(&p.f) == RONDO_OK);
  CHECK(packedIsRight(&p, NULL));

  int64_t cu64[N + 1] = {0, 4, 4, Total};
  packedInit(&p);
  p.f.args.packed.cu_seqlens = cu64;
  p.f.args.packed.dtype = RONDO_I64;
  CHECK(callTyped(&p.f) == RONDO_OK);
  CHECK(packedIsRight(&p, p.initial));
  packedInit(&p);
  p.f.storage[NumDecayTensors].data = cu64;
  p.f.storage[NumDecayTensors].dtype.bits = 64;
  CHECK(callGeneric(&p.f, NumDecayTensors + 1) == RONDO_OK);
  CHECK(packedIsRight(&p, p.initial));
  // Without boundaries it is one sequence.
  fixtureInit(&p.f);
  p.f.tensors[NumDecayTensors] = NULL;
  CHECK(callGeneric(&p.f, NumDecayTensors + 1) == RONDO_OK);
  CHECK(fixtureIsRight(&p.f, p.f.initial, p.f.y, p.f.final));
}

/// Packed, and through packed copies as well: y stored as [K, T, H].
static void testStrided(void) {
  Packed p;
  packedInit(&p);
  float y[B * T * H * K];
  int64_t strides[] = {0, H, 1, Total * H};
  p.f.args.y = y;
  p.f.args.y_strides = strides;
  CHECK(callTyped(&p.f) == RONDO_OK);
  for (int64_t i = 0; i < K; ++i)
    for (int64_t r = 0; r < Total * H; ++r)
      p.f.y[r * K + i] = y[i * Total * H + r];
  CHECK(packedIsRight(&p, p.initial));
}

/// The state of each sequence in place.
static void testInPlace(void) {
  Packed p;
  packedInit(&p);
  memcpy(p.final, p.initial, sizeof(p.final));
  p.f.args.S_initial = p.final;
  CHECK(callTyped(&p.f) == RONDO_OK);
  CHECK(packedIsRight(&p, p.initial));
}

#define SPOILT(spoil, call, status, text)                                      \
  do {                                                                         \
    Packed p;                                                                  \
    packedInit(&p);                                                            \
    spoil;                                                                     \
    CHECK_REFUSED(&p.f, call, status, text);                                   \
    CHECK(p.final[0] == SENTINEL);                                             \
  } while (0)
#define TYPED callTyped(&p.f)
#define GENERIC callGeneric(&p.f, NumDecayTensors + 1)

static void testErrors(void) {
  static const int32_t late[] = {1, 4, 4, Total}, down[] = {0, 4, 3, Total},
                       past[] = {0, 4, 4, Total + 1}, early[] = {0, 4, 4, 9};
  SPOILT(p.f.args.packed.cu_seqlens = late, TYPED, RONDO_ERROR_BAD_SEQUENCES,
         "decay: cu_seqlens[0] is 1, expected 0");
  SPOILT(p.f.args.packed.cu_seqlens = down, TYPED, RONDO_ERROR_BAD_SEQUENCES,
         "cu_seqlens[2] is 3, expected a value from 4 to 10 (T)");
  SPOILT(p.f.args.packed.cu_seqlens = past, TYPED, RONDO_ERROR_BAD_SEQUENCES,
         "cu_seqlens[3] is 11, expected a value from 4 to 10 (T)");
  SPOILT(p.f.args.packed.cu_seqlens = early, TYPED, RONDO_ERROR_BAD_SEQUENCES,
         "cu_seqlens ends at 9, expected 10 (T)");
  SPOILT(p.f.args.packed.num_sequences = -1, TYPED, RONDO_ERROR_BAD_SEQUENCES,
         "num_sequences is -1");
  SPOILT(p.f.args.packed.dtype = 0, TYPED, RONDO_ERROR_WRONG_DTYPE,
         "cu_seqlens has dtype none, expected i32 or i64");
  SPOILT(p.f.args.packed.cu_seqlens = (const char *)Cu + 1, TYPED,
         RONDO_ERROR_MISALIGNED, "cu_seqlens is not aligned");
  SPOILT(p.f.args.B = 2, TYPED, RONDO_ERROR_WRONG_SIZE,
         "size 'B' is 2, expected 1 because cu_seqlens is given");
  SPOILT(p.f.shapes[SFinal][0] = 2, GENERIC, RONDO_ERROR_WRONG_SIZE,
         "final value 'S.final' has size 2 in dim 0 (B), expected 3, the "
         "number of sequences");
  SPOILT(p.f.shapes[Q][0] = 2, GENERIC, RONDO_ERROR_WRONG_SIZE,
         "argument 'q' has size 2 in dim 0 (B), expected 1 because");
  SPOILT(p.f.storage[NumDecayTensors].ndim = 2, GENERIC, RONDO_ERROR_WRONG_RANK,
         "cu_seqlens has rank 2, expected 1");
  SPOILT(p.f.storage[NumDecayTensors].dtype.code = 2, GENERIC,
         RONDO_ERROR_WRONG_DTYPE, "cu_seqlens has dtype f32");
  SPOILT(p.cu_shape[0] = 0, GENERIC, RONDO_ERROR_BAD_SEQUENCES,
         "cu_seqlens has size 0");
  SPOILT(p.f.storage[NumDecayTensors].data = NULL, GENERIC,
         RONDO_ERROR_NULL_POINTER, "cu_seqlens has no data");
}

/// A kernel without a batch dim: sequences cut its tensors, and a state has no
/// place for several values.
static void testNoBatch(void) {
  enum { Length = 6, D = 4 };
  uint16_t emb[2 * 2 * D];
  double first[D] = {0, 10, 20, 30};
  int32_t tokens[Length] = {0, 1, 0, 1, 0, 1};
  int64_t cu[] = {0, 2, 6};
  float y[Length * D], m = 0;
  char error[256] = "";
  rondo_context ctx = RONDO_CONTEXT_INIT;
  ctx.error = error;
  ctx.error_size = sizeof(error);
  for (int i = 0; i < 2 * 2 * D; ++i)
    emb[i] = i < 2 * D ? 0x0000 : 0x3F80; // 0 and 1
  embed_args args = {.N = 2,
                     .D = D,
                     .T = Length,
                     .emb = emb,
                     .tokens = tokens,
                     .first = first,
                     .y = y,
                     .packed = {cu, 2, RONDO_I64, 0}};
  CHECK(embed_forward(&args, NULL, 0, &ctx) == RONDO_OK);
  for (int t = 0; t < Length; ++t)
    for (int d = 0; d < D; ++d)
      CHECK(y[t * D + d] == (float)(t % 2 + 10 * d + (t < 2 ? t + 1 : t - 1)));
  args.m_final = &m;
  CHECK(embed_forward(&args, NULL, 0, &ctx) == RONDO_ERROR_BAD_SEQUENCES);
  CHECK(strstr(error, "final value 'm.final' can't be given with cu_seqlens"));
  CHECK(m == 0);
}

/// A kernel compiled for one T can't run sequences of other lengths.
static void testBoundTime(void) {
  rondo_size_info sizes[] = {
      {"B", -1}, {"T", Total}, {"H", -1}, {"K", -1}, {"G", -1}};
  rondo_kernel_info info = decay_info;
  info.sizes = sizes;
  Packed p;
  packedInit(&p);
  CHECK_REFUSED(&p.f,
                rondo_artifact_forward(&info, &p.f.args, p.f.workspace,
                                       sizeof(p.f.workspace), &p.f.ctx),
                RONDO_ERROR_BAD_SEQUENCES,
                "cu_seqlens needs a kernel compiled for any T; this one is for "
                "T = 10");
}

/// Scratch is for the longest sequence; a query without data assumes T.
static void testQuery(void) {
  Packed p;
  packedInit(&p);
  size_t bytes;
  CHECK(decay_workspace_size(&p.f.args, &p.f.ctx, &bytes) == RONDO_OK);
  CHECK(bytes == 64);
  p.f.storage[NumDecayTensors].data = NULL;
  CHECK(decay_call_workspace_size(p.f.tensors, NumDecayTensors + 1, &p.f.ctx,
                                  &bytes) == RONDO_OK);
  CHECK(bytes == 64);
}

int main(void) {
  testRight();
  testStrided();
  testInPlace();
  testErrors();
  testNoBatch();
  testBoundTime();
  testQuery();
  return CHECK_SUMMARY();
}
