//===- gla.c - A C program that calls a compiled kernel -------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Calls gated linear attention on made-up input, prints some of the output, and
// writes both to the file named on the command line (safetensors), so that
// rondo-run can compare them with the interpreter. Needs gla.h, which rondoc
// wrote, and libgla.so; nothing else of Rondo.
//
//===----------------------------------------------------------------------===//

#include "gla.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { B = 2, T = 256, H = 4, K = 32, V = 32 };

static float q[B * T * H * K], k[B * T * H * K], g[B * T * H * K];
static float v[B * T * H * V], o[B * T * H * V], S_final[B * H * K * V];

/* Uniform in [-1, 1). */
static float draw(void) {
  static unsigned long long state = 1;
  state = state * 6364136223846793005ULL + 1442695040888963407ULL;
  return (float)((double)(state >> 40) / (1 << 23) - 1.0);
}

/* Aligned memory for the kernel's scratch. */
static void *allocate(void *user, size_t size, size_t alignment) {
  void *pointer = NULL;
  char *raw = malloc(size + alignment + sizeof(void *));
  (void)user;
  if (raw) {
    size_t address = (size_t)raw + sizeof(void *) + alignment - 1;
    pointer = (void *)(address / alignment * alignment);
    ((void **)pointer)[-1] = raw;
  }
  return pointer;
}

static void deallocate(void *user, void *pointer, size_t size,
                       size_t alignment) {
  (void)user, (void)size, (void)alignment;
  if (pointer)
    free(((void **)pointer)[-1]);
}

static int write_file(const char *path) {
  static const struct {
    const char *name;
    const float *data;
    unsigned shape[4], count;
  } tensors[] = {{"q", q, {B, T, H, K}, B * T * H * K},
                 {"k", k, {B, T, H, K}, B * T * H * K},
                 {"v", v, {B, T, H, V}, B * T * H * V},
                 {"g", g, {B, T, H, K}, B * T * H * K},
                 {"o", o, {B, T, H, V}, B * T * H * V},
                 {"S.final", S_final, {B, H, K, V}, B * H * K * V}};
  char header[2048], length[8];
  size_t size = 0, offset = 0, i;
  FILE *file;
  for (i = 0; i < 6; ++i) {
    const unsigned *n = tensors[i].shape;
    size_t end = offset + 4 * (size_t)tensors[i].count;
    size += (size_t)sprintf(header + size,
                            "%c\"%s\":{\"dtype\":\"F32\",\"shape\":[%u,%u,%u,"
                            "%u],\"data_offsets\":[%lu,%lu]}",
                            i ? ',' : '{', tensors[i].name, n[0], n[1], n[2],
                            n[3], (unsigned long)offset, (unsigned long)end);
    offset = end;
  }
  header[size++] = '}';
  for (i = 0; i < 8; ++i)
    length[i] = (char)(size >> (8 * i) & 0xff);
  file = fopen(path, "wb");
  if (!file)
    return 1;
  fwrite(length, 1, 8, file);
  fwrite(header, 1, size, file);
  for (i = 0; i < 6; ++i)
    fwrite(tensors[i].data, 4, tensors[i].count, file);
  return fclose(file) != 0;
}

int main(int argc, char **argv) {
  char error[256] = "";
  rondo_context context = RONDO_CONTEXT_INIT;
  rondo_status status;
  gla_args args = {0};
  size_t i;

  for (i = 0; i < sizeof(q) / sizeof(*q); ++i) {
    q[i] = draw();
    k[i] = draw() / 4;
    g[i] = -0.1f * fabsf(draw()); /* the logarithm of a decay */
  }
  for (i = 0; i < sizeof(v) / sizeof(*v); ++i)
    v[i] = draw();

  context.allocate = allocate;
  context.deallocate = deallocate;
  context.error = error;
  context.error_size = sizeof(error);
  args.B = B, args.T = T, args.H = H, args.K = K, args.V = V;
  args.q = q, args.k = k, args.v = v, args.g = g;
  args.o = o, args.S_final = S_final;

  status = gla_forward(&args, NULL, 0, &context);
  if (status != RONDO_OK) {
    fprintf(stderr, "gla_forward: status %d: %s\n", (int)status, error);
    return 1;
  }
  printf("o[0, %d, 0, 0..4] = %g %g %g %g\n", T - 1, o[(T - 1) * H * V],
         o[(T - 1) * H * V + 1], o[(T - 1) * H * V + 2],
         o[(T - 1) * H * V + 3]);

  /* A mistake is answered with a status and a sentence. */
  args.k = NULL;
  status = gla_forward(&args, NULL, 0, &context);
  printf("without k: status %d: %s\n", (int)status, error);
  if (status == RONDO_OK)
    return 1;
  return argc > 1 ? write_file(argv[1]) : 0;
}
