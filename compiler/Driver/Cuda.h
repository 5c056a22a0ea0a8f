//===- Cuda.h - A CUDA device for the tools ---------------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What a caller of CUDA kernels needs beside the library: memory, a stream, and
// times. The driver is opened when it is asked for, so that the tools run on
// machines without one.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_COMPILER_DRIVER_CUDA_H
#define RONDO_COMPILER_DRIVER_CUDA_H

#include "compiler/Driver/Timing.h"
#include "llvm/Support/Error.h"
#include <memory>

namespace rondo::driver {

class CudaDevice {
public:
  /// Device 0 with its primary context current on this thread, and a stream.
  static llvm::Expected<std::unique_ptr<CudaDevice>> open();
  ~CudaDevice();
  CudaDevice(const CudaDevice &) = delete;

  void *getStream() const { return stream; }
  /// Memory that lives as long as the device.
  llvm::Expected<void *> allocate(size_t bytes);
  llvm::Error copyIn(void *to, const void *from, size_t bytes);
  /// Waits for the stream.
  llvm::Error copyOut(void *to, const void *from, size_t bytes);
  llvm::Error fill(void *to, uint8_t value, size_t bytes);
  llvm::Error wait();

  /// Times what `call` queues on the stream, as `measure` does, by events
  /// around replays of a graph that holds it several times.
  llvm::Expected<Times> measure(unsigned runs, double seconds,
                                llvm::function_ref<llvm::Error()> call);
  /// Bytes per second, read and written, of copying memory far larger than the
  /// caches.
  llvm::Expected<double> measureCopyBandwidth();

private:
  struct Driver;
  CudaDevice();
  llvm::Error check(int status, const char *what) const;

  std::unique_ptr<Driver> driver;
  std::vector<uint64_t> memory;
  void *stream = nullptr;
};

} // namespace rondo::driver

#endif // RONDO_COMPILER_DRIVER_CUDA_H
