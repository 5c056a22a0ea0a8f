//===- Kernels.h - Kernels written by hand ------------------------*- C -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the compiler writes, written by hand: tables, bodies and entries of two
// kernels, so that the support code is tested without the compiler.
//
//   kernel decay(q: [B, T, H, K], k: [B, T, H/G, K], g: [B, T, H], scale: f32)
//       -> (y: [B, T, H, K]) {
//     batch B, H
//     state S: [K]
//     S[t, i] = g[t] * S[t-1, i] + scale * k[t, i]
//     y[t, i] = q[t, i] * S[t, i]
//   }
//
//   kernel embed(emb: bf16 [N, 2*D], tokens: i32 [T], first: f64 [D])
//       -> (y: [T, D]) {
//     state m: []
//     m[t]    = m[t-1] + 1
//     y[t, d] = emb[tokens[t], d] + first[d] + m[t]
//   }
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_TEST_RUNTIME_KERNELS_H
#define RONDO_TEST_RUNTIME_KERNELS_H

#include "rondo/abi.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct decay_args {
  int64_t B, T, H, K, G;
  const float *q; // [B, T, H, K]
  const int64_t *q_strides;
  const float *k; // [B, T, H/G, K]
  const int64_t *k_strides;
  const float *g; // [B, T, H]
  const int64_t *g_strides;
  float scale;
  const float *S_initial; // [B, H, K]
  const int64_t *S_initial_strides;
  float *y; // [B, T, H, K]
  const int64_t *y_strides;
  float *S_final; // [B, H, K]
  const int64_t *S_final_strides;
  rondo_packed packed;
} decay_args;

/// Tensors of decay in table order.
enum { Q, K_, G_, Scale, SInitial, Y, SFinal, NumDecayTensors };

rondo_status decay_forward(const decay_args *args, void *workspace,
                           size_t workspace_size, const rondo_context *ctx);
rondo_status decay_workspace_size(const decay_args *args,
                                  const rondo_context *ctx, size_t *out_bytes);
rondo_status decay_call(DLTensor *const *tensors, int32_t count,
                        void *workspace, size_t workspace_size,
                        const rondo_context *ctx);
rondo_status decay_call_workspace_size(DLTensor *const *tensors, int32_t count,
                                       const rondo_context *ctx,
                                       size_t *out_bytes);

typedef struct embed_args {
  int64_t N, D, T;
  const uint16_t *emb; // [N, 2*D]
  const int64_t *emb_strides;
  const int32_t *tokens; // [T]
  const int64_t *tokens_strides;
  const double *first; // [D]
  const int64_t *first_strides;
  const float *m_initial; // []
  float *y;               // [T, D]
  const int64_t *y_strides;
  float *m_final; // []
  rondo_packed packed;
} embed_args;

/// Tensors of embed in table order.
enum { Emb, Tokens, First, MInitial, EmbedY, MFinal, NumEmbedTensors };

rondo_status embed_forward(const embed_args *args, void *workspace,
                           size_t workspace_size, const rondo_context *ctx);
rondo_status embed_workspace_size(const embed_args *args,
                                  const rondo_context *ctx, size_t *out_bytes);
rondo_status embed_call(DLTensor *const *tensors, int32_t count,
                        void *workspace, size_t workspace_size,
                        const rondo_context *ctx);
rondo_status embed_call_workspace_size(DLTensor *const *tensors, int32_t count,
                                       const rondo_context *ctx,
                                       size_t *out_bytes);

extern const rondo_kernel_info decay_info, embed_info;

#ifdef __cplusplus
} // extern "C"
#endif

#endif // RONDO_TEST_RUNTIME_KERNELS_H
