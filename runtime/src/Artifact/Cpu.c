//===- Cpu.c - Which instruction sets does this processor have? -----------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// By the x86-64 micro-architecture levels of the psABI. The operating system
// must save the registers too (xgetbv).
//
//===----------------------------------------------------------------------===//

#include "Support.h"

#if defined(__x86_64__)
#include <cpuid.h>

static bool hasAll(uint32_t value, uint32_t bits) {
  return (value & bits) == bits;
}

static uint32_t enabledState(void) {
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

static int32_t detect(void) {
  uint32_t a, b, c, d, ext = 0, leaf7b = 0, leaf7Sub1a = 0;
  if (__get_cpuid(0x80000001, &a, &b, &c, &d))
    ext = c;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
    leaf7b = b;
    uint32_t subleaves = a;
    if (subleaves >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d))
      leaf7Sub1a = a;
  }
  if (!__get_cpuid(1, &a, &b, &c, &d))
    return RONDO_CPU_ANY;
  // SSE3, SSSE3, CMPXCHG16B, SSE4.1, SSE4.2, POPCNT; LAHF.
  uint32_t v2 = 1u << 0 | 1u << 9 | 1u << 13 | 1u << 19 | 1u << 20 | 1u << 23;
  if (!hasAll(c, v2) || !hasAll(ext, 1u << 0))
    return RONDO_CPU_ANY;
  // FMA, MOVBE, OSXSAVE, AVX, F16C; LZCNT; BMI1, AVX2, BMI2.
  uint32_t v3 = 1u << 12 | 1u << 22 | 1u << 27 | 1u << 28 | 1u << 29;
  if (!hasAll(c, v3) || !hasAll(ext, 1u << 5) ||
      !hasAll(leaf7b, 1u << 3 | 1u << 5 | 1u << 8))
    return RONDO_CPU_X86_64_V2;
  uint32_t state = enabledState();
  if (!hasAll(state, 0x6)) // XMM, YMM
    return RONDO_CPU_X86_64_V2;
  // AVX512 F, DQ, CD, BW, VL; opmask, ZMM.
  uint32_t v4 = 1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31;
  if (!hasAll(leaf7b, v4) || !hasAll(state, 0xE6))
    return RONDO_CPU_X86_64_V3;
  return hasAll(leaf7Sub1a, 1u << 5) ? RONDO_CPU_X86_64_V4_BF16
                                     : RONDO_CPU_X86_64_V4;
}
#else
static int32_t detect(void) { return RONDO_CPU_ANY; }
#endif

int32_t rondo_cpu_level(void) {
  static int32_t cached = -1;
  int32_t level = __atomic_load_n(&cached, __ATOMIC_RELAXED);
  if (level < 0) {
    level = detect();
    __atomic_store_n(&cached, level, __ATOMIC_RELAXED);
  }
  return level;
}
