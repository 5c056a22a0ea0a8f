//===- Driver.c - Open CUDA's driver --------------------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Driver.h"

#include <dlfcn.h>
#include <sched.h>

static rondo_cuda_driver Driver;
static const char *DriverProblem;
/// 0: not tried, 1: someone is at it, 2: done.
static int32_t DriverState;

static const char *openDriver(void) {
  void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!library)
    return "CUDA's driver (libcuda.so.1) is not installed on this machine";
#define RONDO_LOAD(name)                                                       \
  *(void **)&Driver.name = dlsym(library, #name);                              \
  if (!Driver.name)                                                            \
  return "CUDA's driver is too old: it lacks " #name                           \
         ", expected a driver of CUDA 12.0 or newer"
  RONDO_LOAD(cuInit);
  RONDO_LOAD(cuDriverGetVersion);
  RONDO_LOAD(cuDeviceGetCount);
  RONDO_LOAD(cuDeviceGet);
  RONDO_LOAD(cuDeviceGetAttribute);
  RONDO_LOAD(cuCtxGetCurrent);
  RONDO_LOAD(cuCtxGetDevice);
  RONDO_LOAD(cuDevicePrimaryCtxRetain);
  RONDO_LOAD(cuCtxPushCurrent_v2);
  RONDO_LOAD(cuCtxPopCurrent_v2);
  RONDO_LOAD(cuLibraryLoadData);
  RONDO_LOAD(cuLibraryGetKernel);
  RONDO_LOAD(cuKernelGetAttribute);
  RONDO_LOAD(cuKernelSetAttribute);
  RONDO_LOAD(cuLaunchKernel);
  RONDO_LOAD(cuLaunchCooperativeKernel);
  RONDO_LOAD(cuLaunchKernelEx);
  RONDO_LOAD(cuMemsetD8Async);
  RONDO_LOAD(cuMemcpyDtoHAsync_v2);
  RONDO_LOAD(cuStreamSynchronize);
  RONDO_LOAD(cuGetErrorString);
#undef RONDO_LOAD
  int count = 0;
  if (Driver.cuInit(0) != 0 || Driver.cuDeviceGetCount(&count) != 0 ||
      count == 0)
    return "CUDA's driver finds no device";
  return NULL;
}

const rondo_cuda_driver *rondo_cuda_open(const char **out_problem) {
  while (__atomic_load_n(&DriverState, __ATOMIC_ACQUIRE) != 2) {
    int32_t untried = 0;
    if (__atomic_compare_exchange_n(&DriverState, &untried, 1, 0,
                                    __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
      DriverProblem = openDriver();
      __atomic_store_n(&DriverState, 2, __ATOMIC_RELEASE);
    } else {
      sched_yield();
    }
  }
  *out_problem = DriverProblem;
  return DriverProblem ? NULL : &Driver;
}
