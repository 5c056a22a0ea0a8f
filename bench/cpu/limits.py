#===- limits.py - What this processor can do -------------------------------===#
#
# Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
"""Measures the limits against which kernels are held, on one core.

    python3 bench/cpu/limits.py

  fma     f32 multiply-adds per second, times 2, from registers
  dot     the same by dot products of bf16 pairs, where there are any
  triad   bytes per second of a = b + s * c on arrays of 64 MiB: 12 per element
  copy    bytes per second of a = b on the same arrays: 8 per element
  triad_nt, copy_nt   the same with non-temporal stores
  read_l2 bytes per second of reading 512 KiB again and again

The program is C with vectors of the compiler, built by the C compiler that
--cc or $CC names, for the machine at hand; nothing of Rondo is in it.
"""

import argparse
import json
import os
import subprocess
import tempfile

SOURCE = r"""
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef __AVX512F__
#define LANES 16
#define CHAINS 24
#elif defined(__AVX__)
#define LANES 8
#define CHAINS 12
#else
#define LANES 4
#define CHAINS 12
#endif
typedef float vec __attribute__((vector_size(4 * LANES)));

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + 1e-9 * t.tv_nsec;
}

static volatile float sink;

__attribute__((noinline)) static void fma_run(long n, float x, float y) {
#pragma STDC FP_CONTRACT ON
  vec acc[CHAINS];
  for (int i = 0; i < CHAINS; ++i)
    acc[i] = (vec){0} + (float)i;
  vec a = (vec){0} + x, b = (vec){0} + y;
  for (long k = 0; k < n; ++k) {
#pragma clang loop unroll(full)
    for (int i = 0; i < CHAINS; ++i)
      acc[i] = acc[i] * a + b;
  }
  vec sum = acc[0];
  for (int i = 1; i < CHAINS; ++i)
    sum += acc[i];
  sink = sum[0];
}

#ifdef __AVX512BF16__
typedef __bf16 halves __attribute__((vector_size(4 * LANES)));
__attribute__((noinline)) static void dot_run(long n, float x, float y) {
  vec acc[CHAINS];
  for (int i = 0; i < CHAINS; ++i)
    acc[i] = (vec){0} + (float)i;
  vec a = (vec){0} + x, b = (vec){0} + y;
  for (long k = 0; k < n; ++k) {
#pragma clang loop unroll(full)
    for (int i = 0; i < CHAINS; ++i)
      acc[i] = __builtin_ia32_dpbf16ps_512(acc[i], (halves)a, (halves)b);
  }
  vec sum = acc[0];
  for (int i = 1; i < CHAINS; ++i)
    sum += acc[i];
  sink = sum[0];
}
#endif

enum { N = 16 << 20 };
static float *a, *b, *c;

__attribute__((noinline)) static void triad(float s) {
  for (long i = 0; i < N; i += LANES)
    *(vec *)(a + i) = *(vec *)(b + i) + s * *(vec *)(c + i);
}
__attribute__((noinline)) static void triad_nt(float s) {
  for (long i = 0; i < N; i += LANES)
    __builtin_nontemporal_store(*(vec *)(b + i) + s * *(vec *)(c + i),
                                (vec *)(a + i));
}
__attribute__((noinline)) static void copy(float s) {
  for (long i = 0; i < N; i += LANES)
    *(vec *)(a + i) = *(vec *)(b + i);
}
__attribute__((noinline)) static void copy_nt(float s) {
  for (long i = 0; i < N; i += LANES)
    __builtin_nontemporal_store(*(vec *)(b + i), (vec *)(a + i));
}
enum { L2 = 128 << 10, L2_TIMES = 200 };
__attribute__((noinline)) static void read_l2(float s) {
  vec sum[8] = {{0}};
  for (int r = 0; r < L2_TIMES; ++r) {
    for (long i = 0; i < L2; i += 8 * LANES) {
#pragma clang loop unroll(full)
      for (int j = 0; j < 8; ++j)
        sum[j] += *(vec *)(b + i + j * LANES);
    }
    __asm__ volatile("" ::: "memory");
  }
  for (int j = 0; j < 8; ++j)
    sink = sum[j][0];
}
enum { FMA_STEPS = 2000000 };
static void fma_call(float s) { fma_run(FMA_STEPS, s, 1e-3f); }
#ifdef __AVX512BF16__
static void dot_call(float s) { dot_run(FMA_STEPS, s, 1e-3f); }
#endif

static int compare(const void *x, const void *y) {
  double p = *(const double *)x, q = *(const double *)y;
  return p < q ? -1 : p > q;
}
/* The median of 15 runs, after two. */
static double seconds(void (*call)(float)) {
  double times[15];
  call(0.5f);
  call(0.5f);
  for (int i = 0; i < 15; ++i) {
    double start = now();
    call(0.5f);
    times[i] = now() - start;
  }
  qsort(times, 15, sizeof(double), compare);
  return times[7];
}

static int isWanted(int count, char **names, const char *name) {
  return count < 2 || strcmp(names[1], name) == 0;
}
static void print(const char *name, double work, void (*call)(float)) {
  static const char *separator = "{";
  printf("%s\"%s\": %g", separator, name, work / seconds(call));
  separator = ", ";
}

/* Of all limits, or of the one that is named. */
int main(int count, char **names) {
  a = aligned_alloc(4096, 4L * N + 64);
  b = aligned_alloc(4096, 4L * N + 64);
  c = aligned_alloc(4096, 4L * N + 64);
  for (long i = 0; i < N; ++i)
    a[i] = b[i] = c[i] = 1;
#define LIMIT(name, work, call)                                                \
  if (isWanted(count, names, name))                                            \
  print(name, work, call)
  LIMIT("fma", 2.0 * CHAINS * LANES * FMA_STEPS, fma_call);
#ifdef __AVX512BF16__
  LIMIT("dot", 4.0 * CHAINS * LANES * FMA_STEPS, dot_call);
#endif
  LIMIT("triad", 12.0 * N, triad);
  LIMIT("triad_nt", 12.0 * N, triad_nt);
  LIMIT("copy", 8.0 * N, copy);
  LIMIT("copy_nt", 8.0 * N, copy_nt);
  LIMIT("read_l2", 4.0 * L2 * L2_TIMES, read_l2);
  printf("}\n");
  return 0;
}
"""


class Limits:
    """The program, built for as long as the object lives."""

    def __init__(self, compiler):
        self.folder = tempfile.TemporaryDirectory()
        source = os.path.join(self.folder.name, "limits.c")
        self.program = os.path.join(self.folder.name, "limits")
        with open(source, "w") as file:
            file.write(SOURCE)
        subprocess.run([compiler, "-O3", "-march=native", "-ffp-contract=fast",
                        "-mprefer-vector-width=512", "-fno-unroll-loops",
                        "-o", self.program, source], check=True)

    def measure(self, *name):
        """All limits, or the one that is named, as a dict, in operations or
        bytes per second."""
        done = subprocess.run([self.program, *name], check=True,
                              capture_output=True, text=True)
        return json.loads(done.stdout)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cc", default=os.environ.get("CC", "clang-22"))
    for name, value in Limits(parser.parse_args().cc).measure().items():
        print("%-9s %7.1f G/s" % (name, value / 1e9))


if __name__ == "__main__":
    main()
