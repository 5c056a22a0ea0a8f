/*===- main.c - A C program that calls a compiled kernel ------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===*/

/* The kernel is ../gla.rondo, gated linear attention:
 *
 *   S[t, i, j] = exp(g[t, i]) * S[t-1, i, j] + k[t, i] * v[t, j]
 *   o[t, j]    = scale * sum[i] q[t, i] * S[t, i, j]
 *
 * A state S that adds up k v^T and fades is a memory: what was stored under a
 * key comes back for a query like it. Here it learns a text while reading it.
 * The key of step t is the character before, the value is the character at t,
 * the query is the character at t as well; so o[t] says which characters have
 * followed that one up to now. Two heads forget at different speeds.
 *
 *   embed [FILE]     reads FILE, or this program's README.md
 *
 * Everything that Rondo needs is in the seven steps of main(). */

#include "gla.h" /* written by rondoc, beside libgla.so */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* With the host library (runtime/), its thread pool can be lent to the kernel.
 * Without it, the kernel runs on this thread. */
#ifdef USE_RONDO_RUNTIME
#include <rondo/runtime.h>
#endif

enum { HEADS = 2, KEYS = 64, VALUES = 128, MAX_TEXT = 20000 };

/*===----------------------------------------------------------------------===//
// Real input: a text
//===----------------------------------------------------------------------===*/

/* Reads up to MAX_TEXT characters, all below VALUES. Returns their number. */
static size_t read_text(const char *path, unsigned char *text) {
  FILE *file = fopen(path, "rb");
  size_t length, i;
  if (!file)
    return 0;
  length = fread(text, 1, MAX_TEXT, file);
  fclose(file);
  for (i = 0; i < length; ++i)
    if (text[i] >= VALUES)
      text[i] = '?';
  return length;
}

/* A random vector of length 1 for each character: [VALUES, KEYS]. Vectors of
 * different characters are nearly at right angles. */
static void make_codes(float *codes) {
  unsigned state = 1;
  size_t i;
  for (i = 0; i < (size_t)VALUES * KEYS; ++i) {
    state = state * 1664525u + 1013904223u;
    codes[i] = (state >> 31 ? 1.0f : -1.0f) / sqrtf((float)KEYS);
  }
}

/*===----------------------------------------------------------------------===//
// The same in plain C, to compare with
//===----------------------------------------------------------------------===*/

/* q, k, g: [T, HEADS, KEYS], v, o: [T, HEADS, VALUES]. In double. */
static void gla_in_c(size_t T, const float *q, const float *k, const float *v,
                     const float *g, double *o) {
  static double S[HEADS][KEYS][VALUES];
  size_t t, h, i, j;
  memset(S, 0, sizeof S);
  for (t = 0; t < T; ++t)
    for (h = 0; h < HEADS; ++h) {
      const float *key = k + (t * HEADS + h) * KEYS;
      const float *query = q + (t * HEADS + h) * KEYS;
      const float *gate = g + (t * HEADS + h) * KEYS;
      const float *value = v + (t * HEADS + h) * VALUES;
      double *out = o + (t * HEADS + h) * VALUES;
      for (j = 0; j < VALUES; ++j)
        out[j] = 0;
      for (i = 0; i < KEYS; ++i) {
        double decay = exp(gate[i]);
        for (j = 0; j < VALUES; ++j) {
          S[h][i][j] = decay * S[h][i][j] + (double)key[i] * value[j];
          out[j] += query[i] * S[h][i][j] / sqrt((double)KEYS);
        }
      }
    }
}

/*===----------------------------------------------------------------------===//
// Looking at the result
//===----------------------------------------------------------------------===*/

/* How often the character with the largest o[t] (heads added) came next. */
static double rate_predictions(const unsigned char *text, size_t T,
                               const float *o) {
  size_t t, j, right = 0;
  for (t = 0; t + 1 < T; ++t) {
    const float *a = o + t * HEADS * VALUES, *b = a + VALUES;
    size_t best = 0;
    for (j = 1; j < VALUES; ++j)
      if (a[j] + b[j] > a[best] + b[best])
        best = j;
    right += best == text[t + 1];
  }
  return T > 1 ? (double)right / (double)(T - 1) : 0;
}

static double compare(const float *found, const double *expected, size_t n) {
  double difference = 0, norm = 0;
  size_t i;
  for (i = 0; i < n; ++i) {
    double d = found[i] - expected[i];
    difference += d * d;
    norm += expected[i] * expected[i];
  }
  return norm > 0 ? sqrt(difference / norm) : sqrt(difference);
}

static void *must_allocate(size_t bytes) {
  void *pointer = malloc(bytes ? bytes : 1);
  if (!pointer) {
    fprintf(stderr, "embed: out of memory\n");
    exit(2);
  }
  return pointer;
}

int main(int argc, char **argv) {
  const char *path = argc > 1 ? argv[1] : README_PATH;
  static unsigned char text[MAX_TEXT];
  static float codes[VALUES * KEYS];
  size_t T = read_text(path, text), keys = T * HEADS * KEYS,
         values = T * HEADS * VALUES, t, h, i;
  float *q, *k, *g, *v, *o;
  float *last; /* [HEADS, KEYS, VALUES] */
  double *expected, error, sum = 0;
  if (T == 0) {
    fprintf(stderr, "embed: %s can't be read, or is empty\n", path);
    return 2;
  }

  /* 1. The tensors are ordinary arrays. Their layout is the order of the dims
   *    in the program, here with B = 1. */
  q = must_allocate(keys * sizeof *q);     /* [1, T, HEADS, KEYS] */
  k = must_allocate(keys * sizeof *k);     /* [1, T, HEADS, KEYS] */
  g = must_allocate(keys * sizeof *g);     /* [1, T, HEADS, KEYS] */
  v = must_allocate(values * sizeof *v);   /* [1, T, HEADS, VALUES] */
  o = must_allocate(values * sizeof *o);   /* [1, T, HEADS, VALUES] */
  expected = must_allocate(values * sizeof *expected);
  last = must_allocate(HEADS * KEYS * VALUES * sizeof *last);
  make_codes(codes);
  memset(v, 0, values * sizeof *v);
  for (t = 0; t < T; ++t)
    for (h = 0; h < HEADS; ++h) {
      size_t at = (t * HEADS + h) * KEYS;
      for (i = 0; i < KEYS; ++i) {
        q[at + i] = codes[text[t] * KEYS + i];
        k[at + i] = t ? codes[text[t - 1] * KEYS + i] : 0.0f;
        g[at + i] = h ? -0.1f : -0.005f;
      }
      v[(t * HEADS + h) * VALUES + text[t]] = 1.0f;
    }

  {
    /* 2. The context is what this program lends to the kernel for a call. A
     *    kernel allocates nothing, starts no thread and prints nothing by
     *    itself. All we lend here is a buffer for the text of an error. */
    char message[512] = "";
    rondo_context context = RONDO_CONTEXT_INIT;
    gla_args args;
    size_t bytes = 0;
    void *memory = NULL;
    char *workspace = NULL;
    rondo_status status;
#ifdef USE_RONDO_RUNTIME
    rondo_thread_pool *pool = NULL;
    if (rondo_thread_pool_create(0, &pool) == RONDO_OK) {
      rondo_context_use_pool(&context, pool);
      printf("threads    %d\n", (int)rondo_thread_pool_workers(pool));
    }
#endif
    context.error = message;
    context.error_size = sizeof message;

    /* 3. The arguments: the sizes, then a pointer for each tensor. Strides that
     *    are left NULL mean packed, and S_initial that is left NULL means that
     *    the state starts as the program says, at 0. */
    memset(&args, 0, sizeof args);
    args.B = 1;
    args.T = (int64_t)T;
    args.H = HEADS;
    args.K = KEYS;
    args.V = VALUES;
    args.q = q;
    args.k = k;
    args.v = v;
    args.g = g;
    args.o = o;
    args.S_final = last;

    /* 4. How much scratch memory does such a call need? The question is cheap;
     *    a program with fixed sizes asks once. */
    status = gla_workspace_size(&args, &context, &bytes);
    if (status != RONDO_OK) {
      fprintf(stderr, "embed: error %d: %s\n", (int)status, message);
      return 1;
    }

    /* 5. The memory, aligned (C99 has no aligned allocation). */
    if (bytes) {
      memory = must_allocate(bytes + RONDO_WORKSPACE_ALIGNMENT);
      workspace = (char *)memory + RONDO_WORKSPACE_ALIGNMENT -
                  (uintptr_t)memory % RONDO_WORKSPACE_ALIGNMENT;
    }

    /* 6. The call. All arguments are checked first; on an error nothing has
     *    been written. Try it: a negative size, or `args.q = NULL`. */
    status = gla_forward(&args, workspace, bytes, &context);
    if (status != RONDO_OK) {
      fprintf(stderr, "embed: error %d: %s\n", (int)status, message);
      return 1;
    }

    /* 7. A sequence can be cut anywhere: the final state of one call is the
     *    initial state of the next. This reads the text again in two halves and
     *    must give the same. (One buffer may serve as both.) */
    {
      size_t half = T / 2;
      float *again = must_allocate(values * sizeof *again);
      double *whole = must_allocate(values * sizeof *whole);
      args.o = again;
      args.T = (int64_t)half;
      status = gla_forward(&args, workspace, bytes, &context);
      if (status == RONDO_OK) {
        args.T = (int64_t)(T - half);
        args.q += half * HEADS * KEYS;
        args.k += half * HEADS * KEYS;
        args.g += half * HEADS * KEYS;
        args.v += half * HEADS * VALUES;
        args.o += half * HEADS * VALUES;
        args.S_initial = last;
        status = gla_forward(&args, workspace, bytes, &context);
      }
      if (status != RONDO_OK) {
        fprintf(stderr, "embed: error %d: %s\n", (int)status, message);
        return 1;
      }
      for (i = 0; i < values; ++i)
        whole[i] = o[i];
      printf("two halves %.1e from one call\n", compare(again, whole, values));
      free(whole);
      free(again);
    }
    free(memory);
#ifdef USE_RONDO_RUNTIME
    rondo_thread_pool_destroy(pool);
#endif
  }

  for (i = 0; i < values; ++i)
    sum += o[i];
  gla_in_c(T, q, k, v, g, expected);
  error = compare(o, expected, values);
  printf("text       %s, %lu characters\n", path, (unsigned long)T);
  printf("checksum   %.4f\n", sum);
  printf("predicted  %.1f %% of the characters\n",
         100 * rate_predictions(text, T, o));
  printf("plain C    %.1e relative RMS error: %s\n", error,
         error <= 1e-5 ? "the same" : "NOT the same");
  free(q);
  free(k);
  free(g);
  free(v);
  free(o);
  free(expected);
  free(last);
  return error <= 1e-5 ? 0 : 1;
}
