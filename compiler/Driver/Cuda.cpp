//===- Cuda.cpp - A CUDA device for the tools -----------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/Driver/Cuda.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/ScopeExit.h"
#include <dlfcn.h>

using namespace rondo;
using namespace rondo::driver;

/// The driver's functions under their names, with their stable signatures.
struct CudaDevice::Driver {
  int (*cuInit)(unsigned);
  int (*cuDeviceGetCount)(int *);
  int (*cuDevicePrimaryCtxRetain)(void **, int);
  int (*cuCtxPushCurrent_v2)(void *);
  int (*cuMemAlloc_v2)(uint64_t *, size_t);
  int (*cuMemFree_v2)(uint64_t);
  int (*cuMemcpyHtoD_v2)(uint64_t, const void *, size_t);
  int (*cuMemcpyDtoH_v2)(void *, uint64_t, size_t);
  int (*cuMemcpyDtoDAsync_v2)(uint64_t, uint64_t, size_t, void *);
  int (*cuMemsetD8_v2)(uint64_t, unsigned char, size_t);
  int (*cuStreamCreate)(void **, unsigned);
  int (*cuStreamSynchronize)(void *);
  int (*cuStreamBeginCapture_v2)(void *, int);
  int (*cuStreamEndCapture)(void *, void **);
  int (*cuGraphInstantiateWithFlags)(void **, void *, unsigned long long);
  int (*cuGraphLaunch)(void *, void *);
  int (*cuGraphExecDestroy)(void *);
  int (*cuGraphDestroy)(void *);
  int (*cuEventCreate)(void **, unsigned);
  int (*cuEventRecord)(void *, void *);
  int (*cuEventSynchronize)(void *);
  int (*cuEventElapsedTime)(float *, void *, void *);
  int (*cuEventDestroy_v2)(void *);
  int (*cuGetErrorString)(int, const char **);

  /// Null, or why there is none.
  const char *load();
};

const char *CudaDevice::Driver::load() {
  void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!library)
    return "CUDA's driver (libcuda.so.1) is not installed on this machine";
  bool isWhole = true;
  auto find = [&](auto &function, const char *name) {
    *reinterpret_cast<void **>(&function) = dlsym(library, name);
    isWhole &= function != nullptr;
  };
#define RONDO_LOAD(name) find(name, #name)
  RONDO_LOAD(cuInit);
  RONDO_LOAD(cuDeviceGetCount);
  RONDO_LOAD(cuDevicePrimaryCtxRetain);
  RONDO_LOAD(cuCtxPushCurrent_v2);
  RONDO_LOAD(cuMemAlloc_v2);
  RONDO_LOAD(cuMemFree_v2);
  RONDO_LOAD(cuMemcpyHtoD_v2);
  RONDO_LOAD(cuMemcpyDtoH_v2);
  RONDO_LOAD(cuMemcpyDtoDAsync_v2);
  RONDO_LOAD(cuMemsetD8_v2);
  RONDO_LOAD(cuStreamCreate);
  RONDO_LOAD(cuStreamSynchronize);
  RONDO_LOAD(cuStreamBeginCapture_v2);
  RONDO_LOAD(cuStreamEndCapture);
  RONDO_LOAD(cuGraphInstantiateWithFlags);
  RONDO_LOAD(cuGraphLaunch);
  RONDO_LOAD(cuGraphExecDestroy);
  RONDO_LOAD(cuGraphDestroy);
  RONDO_LOAD(cuEventCreate);
  RONDO_LOAD(cuEventRecord);
  RONDO_LOAD(cuEventSynchronize);
  RONDO_LOAD(cuEventElapsedTime);
  RONDO_LOAD(cuEventDestroy_v2);
  RONDO_LOAD(cuGetErrorString);
#undef RONDO_LOAD
  if (!isWhole)
    return "CUDA's driver is too old, expected one of CUDA 12.0 or newer";
  int count = 0;
  if (cuInit(0) != 0 || cuDeviceGetCount(&count) != 0 || count == 0)
    return "CUDA's driver finds no device";
  return nullptr;
}

CudaDevice::CudaDevice() : driver(std::make_unique<Driver>()) {}

CudaDevice::~CudaDevice() {
  for (uint64_t address : memory)
    driver->cuMemFree_v2(address);
}

llvm::Error CudaDevice::check(int status, const char *what) const {
  if (status == 0)
    return llvm::Error::success();
  const char *text = nullptr;
  if (driver->cuGetErrorString(status, &text) != 0 || !text)
    text = "unknown error";
  return llvm::createStringError(llvm::Twine(what) + ": " + text +
                                 " (CUDA error " + llvm::Twine(status) + ")");
}

llvm::Expected<std::unique_ptr<CudaDevice>> CudaDevice::open() {
  std::unique_ptr<CudaDevice> device(new CudaDevice());
  if (const char *problem = device->driver->load())
    return llvm::createStringError(problem);
  void *context = nullptr;
  int status = device->driver->cuDevicePrimaryCtxRetain(&context, 0);
  if (status == 0)
    status = device->driver->cuCtxPushCurrent_v2(context);
  if (status == 0) // 1: does not wait for the default stream
    status = device->driver->cuStreamCreate(&device->stream, 1);
  if (llvm::Error error = device->check(status, "the device can't be used"))
    return error;
  return device;
}

llvm::Expected<void *> CudaDevice::allocate(size_t bytes) {
  uint64_t address = 0;
  if (llvm::Error error =
          check(driver->cuMemAlloc_v2(&address, std::max<size_t>(bytes, 1)),
                "the device has no memory left"))
    return error;
  memory.push_back(address);
  return reinterpret_cast<void *>(address);
}

llvm::Error CudaDevice::copyIn(void *to, const void *from, size_t bytes) {
  return check(bytes ? driver->cuMemcpyHtoD_v2(reinterpret_cast<uint64_t>(to),
                                               from, bytes)
                     : 0,
               "memory can't be copied to the device");
}

llvm::Error CudaDevice::copyOut(void *to, const void *from, size_t bytes) {
  if (llvm::Error error = wait())
    return error;
  return check(bytes ? driver->cuMemcpyDtoH_v2(
                           to, reinterpret_cast<uint64_t>(from), bytes)
                     : 0,
               "memory can't be copied from the device");
}

llvm::Error CudaDevice::fill(void *to, uint8_t value, size_t bytes) {
  return check(bytes ? driver->cuMemsetD8_v2(reinterpret_cast<uint64_t>(to),
                                             value, bytes)
                     : 0,
               "the device's memory can't be filled");
}

llvm::Error CudaDevice::wait() {
  return check(driver->cuStreamSynchronize(stream), "the kernel has failed");
}

llvm::Expected<Times>
CudaDevice::measure(unsigned runs, double seconds,
                    llvm::function_ref<llvm::Error()> call) {
  constexpr int perGraph = 4;
  constexpr size_t mostRuns = 100'000;
  // Loads the code, which can't happen in a capture.
  if (llvm::Error error = call())
    return error;
  if (llvm::Error error = wait())
    return error;
  void *graph = nullptr, *replay = nullptr, *start = nullptr, *end = nullptr;
  llvm::scope_exit release([&] {
    if (start)
      driver->cuEventDestroy_v2(start);
    if (end)
      driver->cuEventDestroy_v2(end);
    if (replay)
      driver->cuGraphExecDestroy(replay);
    if (graph)
      driver->cuGraphDestroy(graph);
  });
  // 2: calls of other kinds on this thread are not the capture's business.
  if (llvm::Error error = check(driver->cuStreamBeginCapture_v2(stream, 2),
                                "the call can't be captured"))
    return error;
  llvm::Error failure = llvm::Error::success();
  for (int i = 0; i < perGraph && !failure; ++i)
    failure = call();
  int status = driver->cuStreamEndCapture(stream, &graph);
  if (failure)
    return failure;
  if (status == 0)
    status = driver->cuGraphInstantiateWithFlags(&replay, graph, 0);
  if (status == 0)
    status = driver->cuEventCreate(&start, 0);
  if (status == 0)
    status = driver->cuEventCreate(&end, 0);
  if (llvm::Error error = check(status, "the call can't be captured"))
    return error;
  std::vector<double> times;
  double total = 0;
  for (size_t i = 0; i < 2 + runs || (total < seconds && i < mostRuns); ++i) {
    float milliseconds = 0;
    status = driver->cuEventRecord(start, stream);
    if (status == 0)
      status = driver->cuGraphLaunch(replay, stream);
    if (status == 0)
      status = driver->cuEventRecord(end, stream);
    if (status == 0)
      status = driver->cuEventSynchronize(end);
    if (status == 0)
      status = driver->cuEventElapsedTime(&milliseconds, start, end);
    if (llvm::Error error = check(status, "the kernel can't be timed"))
      return error;
    if (i < 2) // warm up
      continue;
    times.push_back(milliseconds * 1e-3 / perGraph);
    total += milliseconds * 1e-3;
  }
  return summarizeTimes(std::move(times));
}

llvm::Expected<double> CudaDevice::measureCopyBandwidth() {
  constexpr size_t bytes = size_t(512) << 20;
  auto from = allocate(bytes);
  if (!from)
    return from.takeError();
  auto to = allocate(bytes);
  if (!to)
    return to.takeError();
  if (llvm::Error error = fill(*from, 1, bytes))
    return error;
  auto times = measure(5, 0, [&] {
    return check(driver->cuMemcpyDtoDAsync_v2(reinterpret_cast<uint64_t>(*to),
                                              reinterpret_cast<uint64_t>(*from),
                                              bytes, stream),
                 "memory can't be copied on the device");
  });
  for (int i = 0; i < 2; ++i) {
    driver->cuMemFree_v2(memory.back());
    memory.pop_back();
  }
  if (!times)
    return times.takeError();
  return 2.0 * bytes / times->least;
}
