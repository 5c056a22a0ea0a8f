//===- Timing.cpp - How long things take ----------------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/Driver/Timing.h"
#include <algorithm>
#include <chrono>
#include <cstring>

using namespace rondo;
using namespace rondo::driver;

Times driver::summarizeTimes(std::vector<double> seconds) {
  llvm::sort(seconds);
  size_t last = seconds.size() - 1;
  return {seconds[last / 2], seconds.front(), seconds[last / 10],
          seconds[last - last / 10], seconds.size()};
}

Times driver::measure(unsigned runs, double seconds,
                      llvm::function_ref<void()> call) {
  using Clock = std::chrono::steady_clock;
  constexpr size_t mostRuns = 100'000;
  call();
  call();
  std::vector<double> times;
  double total = 0;
  while (times.empty() || times.size() < runs ||
         (total < seconds && times.size() < mostRuns)) {
    Clock::time_point start = Clock::now();
    call();
    times.push_back(
        std::chrono::duration<double>(Clock::now() - start).count());
    total += times.back();
  }
  return summarizeTimes(std::move(times));
}

namespace {
struct Copy {
  std::vector<uint8_t, io::CacheLineAllocator<uint8_t>> from, to;
};
} // namespace

double driver::measureCopyBandwidth(Workers &workers) {
  constexpr size_t bytes = size_t(256) << 20;
  Copy copy;
  copy.from.resize(bytes, 1);
  copy.to.resize(bytes);
  auto task = [](void *arg, int64_t begin, int64_t end, int32_t) {
    Copy &copy = *static_cast<Copy *>(arg);
    std::memcpy(copy.to.data() + begin, copy.from.data() + begin, end - begin);
  };
  Times times = measure(5, 0, [&] {
    if (workers.get())
      rondo_thread_pool_run(workers.get(), task, &copy, bytes,
                            bytes / workers.count());
    else
      task(&copy, 0, bytes, 0);
  });
  return 2.0 * bytes / times.least;
}
