//===- Timing.h - How long things take --------------------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_COMPILER_DRIVER_TIMING_H
#define RONDO_COMPILER_DRIVER_TIMING_H

#include "compiler/Driver/Host.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace rondo::driver {

/// Seconds: the median, the least, and the bounds of the middle 80 %.
struct Times {
  double median = 0, least = 0, low = 0, high = 0;
  size_t runs = 0;
};

/// Of at least one run.
Times summarizeTimes(std::vector<double> seconds);

/// Times `call` at least `runs` times and for at least `seconds`, after two
/// runs to warm up.
Times measure(unsigned runs, double seconds, llvm::function_ref<void()> call);

/// Bytes per second, read and written, of copying memory far larger than the
/// caches with these workers.
double measureCopyBandwidth(Workers &workers);

} // namespace rondo::driver

#endif // RONDO_COMPILER_DRIVER_TIMING_H
