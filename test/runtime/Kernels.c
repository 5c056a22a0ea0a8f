//===- Kernels.c - Kernels written by hand --------------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// See Kernels.h.
//
//===----------------------------------------------------------------------===//

#define RONDO_ARTIFACT_SUPPORT
#include "Kernels.h"

#include <assert.h>
#include <string.h>

#define LENGTH(array) ((int32_t)(sizeof(array) / sizeof((array)[0])))
#define EXPR(text, ops) {text, ops, sizeof(ops) / sizeof((ops)[0])}
#define NAMED(size) {RONDO_SIZE_NAME, size}

#define ENTRIES(kernel)                                                        \
  static rondo_status kernel##Typed(const void *args, void *workspace,         \
                                    size_t size, const rondo_context *ctx) {   \
    return rondo_artifact_forward(&kernel##_info, args, workspace, size, ctx); \
  }                                                                            \
  rondo_status kernel##_forward(const kernel##_args *args, void *workspace,    \
                                size_t size, const rondo_context *ctx) {       \
    return kernel##Typed(args, workspace, size, ctx);                          \
  }                                                                            \
  static rondo_status kernel##Query(                                           \
      const void *args, const rondo_context *ctx, size_t *out_bytes) {         \
    return rondo_artifact_workspace_size(&kernel##_info, args, ctx,            \
                                         out_bytes);                           \
  }                                                                            \
  rondo_status kernel##_workspace_size(const kernel##_args *args,              \
                                       const rondo_context *ctx,               \
                                       size_t *out_bytes) {                    \
    return kernel##Query(args, ctx, out_bytes);                                \
  }                                                                            \
  rondo_status kernel##_call(DLTensor *const *tensors, int32_t count,          \
                             void *workspace, size_t size,                     \
                             const rondo_context *ctx) {                       \
    return rondo_artifact_call(&kernel##_info, tensors, count, workspace,      \
                               size, ctx);                                     \
  }                                                                            \
  rondo_status kernel##_call_workspace_size(                                   \
      DLTensor *const *tensors, int32_t count, const rondo_context *ctx,       \
      size_t *out_bytes) {                                                     \
    return rondo_artifact_call_workspace_size(&kernel##_info, tensors, count,  \
                                              ctx, out_bytes);                 \
  }
ENTRIES(decay)
ENTRIES(embed)

//===----------------------------------------------------------------------===//
// decay
//===----------------------------------------------------------------------===//

enum { SizeB, SizeT, SizeH, SizeK, SizeG };

static void decayBody(const rondo_frame *frame) {
  int64_t T = frame->sizes[SizeT], H = frame->sizes[SizeH];
  int64_t K = frame->sizes[SizeK], G = frame->sizes[SizeG];
  const int64_t *qs = frame->strides, *ks = qs + 4, *gs = ks + 4;
  const int64_t *is = gs + 3, *ys = is + 3, *fs = ys + 4;
  float scale = *(const float *)frame->data[Scale];
  float *state = frame->workspace; // [K]
  assert(qs[3] == 1 && ks[3] == 1 && gs[2] == 1 && ys[3] == 1);
  assert(K == 0 || (uintptr_t)state % RONDO_WORKSPACE_ALIGNMENT == 0);
  for (int64_t point = frame->begin; point < frame->end; ++point) {
    int64_t b = point / H, h = point % H;
    const float *initial = frame->data[SInitial];
    for (int64_t i = 0; i < K; ++i)
      state[i] = initial ? initial[b * is[0] + h * is[1] + i] : 0;
    for (int64_t t = 0; t < T; ++t) {
      const float *q = frame->data[Q], *k = frame->data[K_];
      float g = ((const float *)frame->data[G_])[b * gs[0] + t * gs[1] + h];
      float *y = frame->data[Y];
      q += b * qs[0] + t * qs[1] + h * qs[2];
      k += b * ks[0] + t * ks[1] + h / G * ks[2];
      y += b * ys[0] + t * ys[1] + h * ys[2];
      for (int64_t i = 0; i < K; ++i) {
        state[i] = g * state[i] + scale * k[i];
        y[i] = q[i] * state[i];
      }
    }
    float *final = frame->data[SFinal];
    for (int64_t i = 0; final && i < K; ++i)
      final[b * fs[0] + h * fs[1] + i] = state[i];
  }
}

static int64_t decayWorkerBytes(const int64_t *sizes) {
  int64_t bytes;
  return __builtin_mul_overflow(sizes[SizeK], 4, &bytes) ? -1 : bytes;
}

static const rondo_size_info DecaySizes[] = {
    {"B", -1}, {"T", -1}, {"H", -1}, {"K", -1}, {"G", -1}};
static const rondo_size_op OpsB[] = {NAMED(SizeB)}, OpsT[] = {NAMED(SizeT)},
                           OpsH[] = {NAMED(SizeH)}, OpsK[] = {NAMED(SizeK)},
                           OpsHG[] = {
                               NAMED(SizeH), NAMED(SizeG), {RONDO_SIZE_DIV, 0}};
static const rondo_size_expr ShapeQ[] = {EXPR("B", OpsB), EXPR("T", OpsT),
                                         EXPR("H", OpsH), EXPR("K", OpsK)};
static const rondo_size_expr ShapeK[] = {EXPR("B", OpsB), EXPR("T", OpsT),
                                         EXPR("H/G", OpsHG), EXPR("K", OpsK)};
static const rondo_size_expr ShapeS[] = {EXPR("B", OpsB), EXPR("H", OpsH),
                                         EXPR("K", OpsK)};
static const rondo_size_expr DecayBatch[] = {EXPR("B", OpsB), EXPR("H", OpsH)};

#define FIELD(args, name) offsetof(args, name), offsetof(args, name##_strides)
static const rondo_tensor_info DecayTensors[] = {
    {"q", "[B, T, H, K]", NULL, ShapeQ, RONDO_ROLE_ARGUMENT, RONDO_F32, 4, 0,
     FIELD(decay_args, q), 1, 0, -1, 0},
    {"k", "[B, T, H/G, K]", NULL, ShapeK, RONDO_ROLE_ARGUMENT, RONDO_F32, 4, 0,
     FIELD(decay_args, k), 1, 0, -1, 0},
    {"g", "[B, T, H]", NULL, ShapeQ, RONDO_ROLE_ARGUMENT, RONDO_F32, 3, 0,
     FIELD(decay_args, g), 1, 0, -1, 0},
    {"scale", "[]", NULL, NULL, RONDO_ROLE_ARGUMENT, RONDO_F32, 0, 0,
     offsetof(decay_args, scale), -1, -1, -1, -1, 0},
    {"S.initial", "[B, H, K]", NULL, ShapeS, RONDO_ROLE_INITIAL, RONDO_F32, 3,
     RONDO_TENSOR_OPTIONAL, FIELD(decay_args, S_initial), -1, 0, SFinal, 0},
    {"y", "[B, T, H, K]", NULL, ShapeQ, RONDO_ROLE_RESULT, RONDO_F32, 4, 0,
     FIELD(decay_args, y), 1, 0, -1, 0},
    {"S.final", "[B, H, K]", NULL, ShapeS, RONDO_ROLE_FINAL, RONDO_F32, 3,
     RONDO_TENSOR_OPTIONAL, FIELD(decay_args, S_final), -1, 0, SInitial, 0}};

static const rondo_variant DecayVariants[] = {
    {"x86-64-v2", RONDO_CPU_X86_64_V2, decayBody}};

const rondo_kernel_info decay_info = {
    .struct_size = sizeof(rondo_kernel_info),
    .abi_version = RONDO_ABI_VERSION,
    .name = "decay",
    .entry = "forward",
    .target = "cpu",
    .form = "sequential",
    .signature = "kernel decay(...)",
    .source = "decay.rondo:1:1",
    .io_dtype = RONDO_F32,
    .accumulation_dtype = RONDO_F32,
    .num_sizes = LENGTH(DecaySizes),
    .num_tensors = LENGTH(DecayTensors),
    .num_batch = LENGTH(DecayBatch),
    .num_variants = LENGTH(DecayVariants),
    .time_size = SizeT,
    .sequence_size = SizeB,
    .sizes = DecaySizes,
    .tensors = DecayTensors,
    .batch = DecayBatch,
    .variants = DecayVariants,
    .args_size = sizeof(decay_args),
    .packed_offset = offsetof(decay_args, packed),
    .worker_bytes = decayWorkerBytes,
    .forward = decayTyped,
    .workspace_size = decayQuery,
    .call = decay_call,
    .call_workspace_size = decay_call_workspace_size};

//===----------------------------------------------------------------------===//
// embed
//===----------------------------------------------------------------------===//

enum { SizeN, SizeD, EmbedSizeT };

static float fromBf16(uint16_t bits) {
  uint32_t wide = (uint32_t)bits << 16;
  float value;
  memcpy(&value, &wide, sizeof(value));
  return value;
}

static void embedBody(const rondo_frame *frame) {
  int64_t N = frame->sizes[SizeN], D = frame->sizes[SizeD];
  const int64_t *es = frame->strides, *ys = frame->strides + 4;
  const float *initial = frame->data[MInitial];
  float *final = frame->data[MFinal];
  assert(frame->workspace == NULL && frame->begin == 0 && frame->end == 1);
  float m = initial ? *initial : 0;
  for (int64_t t = 0; t < frame->sizes[EmbedSizeT]; ++t) {
    int64_t token = ((const int32_t *)frame->data[Tokens])[t];
    if (token < 0 || token >= N) {
      if (!frame->fault[0]) {
        frame->fault[0] = 1;
        frame->fault[1] = token;
      }
      token = 0;
    }
    m += 1;
    const uint16_t *row = (const uint16_t *)frame->data[Emb] + token * es[0];
    float *y = (float *)frame->data[EmbedY] + t * ys[0];
    for (int64_t d = 0; d < D; ++d)
      y[d] = fromBf16(row[d]) + (float)((double *)frame->data[First])[d] + m;
  }
  if (final)
    *final = m;
}

static const rondo_size_info EmbedSizes[] = {{"N", -1}, {"D", 4}, {"T", -1}};
static const rondo_size_op OpsN[] = {NAMED(SizeN)}, OpsD[] = {NAMED(SizeD)},
                           OpsTime[] = {NAMED(EmbedSizeT)},
                           Ops2D[] = {{RONDO_SIZE_CONST, 2},
                                      NAMED(SizeD),
                                      {RONDO_SIZE_MUL, 0}};
static const rondo_size_expr ShapeEmb[] = {EXPR("N", OpsN), EXPR("2*D", Ops2D)};
static const rondo_size_expr ShapeTD[] = {EXPR("T", OpsTime), EXPR("D", OpsD)};
static const rondo_size_expr ShapeD[] = {EXPR("D", OpsD)};

static const rondo_tensor_info EmbedTensors[] = {
    {"emb", "[N, 2*D]", NULL, ShapeEmb, RONDO_ROLE_ARGUMENT, RONDO_BF16, 2, 0,
     FIELD(embed_args, emb), -1, -1, -1, 0},
    {"tokens", "[T]", NULL, ShapeTD, RONDO_ROLE_ARGUMENT, RONDO_I32, 1, 0,
     FIELD(embed_args, tokens), 0, -1, -1, 0},
    {"first", "[D]", NULL, ShapeD, RONDO_ROLE_ARGUMENT, RONDO_F64, 1, 0,
     FIELD(embed_args, first), -1, -1, -1, 0},
    {"m.initial", "[]", NULL, NULL, RONDO_ROLE_INITIAL, RONDO_F32, 0,
     RONDO_TENSOR_OPTIONAL, offsetof(embed_args, m_initial), -1, -1, -1, MFinal,
     0},
    {"y", "[T, D]", NULL, ShapeTD, RONDO_ROLE_RESULT, RONDO_F32, 2, 0,
     FIELD(embed_args, y), 0, -1, -1, 0},
    {"m.final", "[]", NULL, NULL, RONDO_ROLE_FINAL, RONDO_F32, 0,
     RONDO_TENSOR_OPTIONAL, offsetof(embed_args, m_final), -1, -1, -1, MInitial,
     0}};

static const rondo_fault_info EmbedFaults[] = {
    {"emb[tokens[t], d]", "emb", "embed.rondo:3:14", &ShapeEmb[0], 0}};

// Never chosen: no processor has this level.
static void impossibleBody(const rondo_frame *frame) {
  (void)frame;
  assert(0);
}

static const rondo_variant EmbedVariants[] = {
    {"base", RONDO_CPU_ANY, embedBody}, {"x86-64-v99", 99, impossibleBody}};

const rondo_kernel_info embed_info = {
    .struct_size = sizeof(rondo_kernel_info),
    .abi_version = RONDO_ABI_VERSION,
    .name = "embed",
    .entry = "forward",
    .target = "cpu",
    .form = "sequential",
    .io_dtype = RONDO_F32,
    .accumulation_dtype = RONDO_F32,
    .num_sizes = LENGTH(EmbedSizes),
    .num_tensors = LENGTH(EmbedTensors),
    .num_faults = LENGTH(EmbedFaults),
    .num_variants = LENGTH(EmbedVariants),
    .time_size = EmbedSizeT,
    .sequence_size = -1,
    .sizes = EmbedSizes,
    .tensors = EmbedTensors,
    .faults = EmbedFaults,
    .variants = EmbedVariants,
    .args_size = sizeof(embed_args),
    .packed_offset = offsetof(embed_args, packed),
    .forward = embedTyped,
    .workspace_size = embedQuery,
    .call = embed_call,
    .call_workspace_size = embed_call_workspace_size};

//===----------------------------------------------------------------------===//
// The library
//===----------------------------------------------------------------------===//

static const rondo_kernel_info *const Kernels[] = {&decay_info, &embed_info};
static const rondo_library_info Library = {sizeof(rondo_library_info),
                                           RONDO_ABI_VERSION,
                                           "by hand",
                                           "none",
                                           Kernels,
                                           LENGTH(Kernels)};

__attribute__((visibility("default"))) const rondo_library_info *
rondo_library_query(uint32_t max_abi_version) {
  return rondo_artifact_query(&Library, max_abi_version);
}
