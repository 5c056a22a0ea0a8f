//===- Driver.h - What is used of CUDA's driver -------------------*- C -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// libcuda.so.1 is opened on the first call of a CUDA kernel and never closed.
// These are its functions, under their names and with their stable signatures;
// no header of CUDA is needed.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_SRC_CUDA_DRIVER_H
#define RONDO_SRC_CUDA_DRIVER_H

#include <stddef.h>
#include <stdint.h>

/// CUlaunchAttribute and CUlaunchConfig.
typedef struct rondo_cuda_attribute {
  int id;
  union {
    int flag;
    uint64_t words[8];
  } value __attribute__((aligned(8)));
} rondo_cuda_attribute;

typedef struct rondo_cuda_launch_config {
  unsigned gridX, gridY, gridZ, blockX, blockY, blockZ, shared;
  void *stream;
  rondo_cuda_attribute *attributes;
  unsigned numAttributes;
} rondo_cuda_launch_config;

typedef struct rondo_cuda_driver {
  int (*cuInit)(unsigned flags);
  int (*cuDriverGetVersion)(int *version);
  int (*cuDeviceGetCount)(int *count);
  int (*cuDeviceGet)(int *device, int ordinal);
  int (*cuDeviceGetAttribute)(int *value, int attribute, int device);
  int (*cuCtxGetCurrent)(void **context);
  int (*cuCtxGetDevice)(int *device);
  int (*cuDevicePrimaryCtxRetain)(void **context, int device);
  int (*cuCtxPushCurrent_v2)(void *context);
  int (*cuCtxPopCurrent_v2)(void **context);
  int (*cuLibraryLoadData)(void **library, const void *code, void *options,
                           void **optionValues, unsigned numOptions,
                           void *libraryOptions, void **libraryOptionValues,
                           unsigned numLibraryOptions);
  int (*cuLibraryGetKernel)(void **kernel, void *library, const char *name);
  int (*cuKernelGetAttribute)(int *value, int attribute, void *kernel,
                              int device);
  int (*cuKernelSetAttribute)(int attribute, int value, void *kernel,
                              int device);
  int (*cuLaunchKernel)(void *kernel, unsigned gridX, unsigned gridY,
                        unsigned gridZ, unsigned blockX, unsigned blockY,
                        unsigned blockZ, unsigned shared, void *stream,
                        void **params, void **extra);
  int (*cuLaunchCooperativeKernel)(void *kernel, unsigned gridX, unsigned gridY,
                                   unsigned gridZ, unsigned blockX,
                                   unsigned blockY, unsigned blockZ,
                                   unsigned shared, void *stream,
                                   void **params);
  int (*cuLaunchKernelEx)(const rondo_cuda_launch_config *config, void *kernel,
                          void **params, void **extra);
  int (*cuMemsetD8Async)(uint64_t address, unsigned char value, size_t bytes,
                         void *stream);
  int (*cuMemcpyDtoHAsync_v2)(void *to, uint64_t from, size_t bytes,
                              void *stream);
  int (*cuStreamSynchronize)(void *stream);
  int (*cuGetErrorString)(int error, const char **text);
} rondo_cuda_driver;

/// Attributes of devices, kernels and launches.
enum {
  RONDO_CU_CAPABILITY_MAJOR = 75,
  RONDO_CU_CAPABILITY_MINOR = 76,
  RONDO_CU_SHARED_OPT_IN = 97,
  RONDO_CU_KERNEL_STATIC_SHARED = 1,
  RONDO_CU_KERNEL_MAX_DYNAMIC_SHARED = 8,
  RONDO_CU_LAUNCH_PROGRAMMATIC_SERIALIZATION = 6
};

/// The driver, or NULL and a sentence why there is none. The first call decides
/// for the life of the process.
const rondo_cuda_driver *rondo_cuda_open(const char **out_problem);

#endif // RONDO_SRC_CUDA_DRIVER_H
