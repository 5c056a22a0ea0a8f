//===- fake_cuda.c - A CUDA driver without a device -----------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Built as libcuda.so.1. The device's memory is the process's; a launch calls
// the function that the test has set, with the code and the kernel's name, or
// does nothing. The device has a compute capability that no cubin fits, so that PTX is taken.
//
//===----------------------------------------------------------------------===//

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct Library {
  const void *code;
} Library;

typedef struct Kernel {
  Library *library;
  const char *name;
} Kernel;

typedef int (*Launch)(const char *code, const char *kernel, unsigned gridX,
                      unsigned gridY, unsigned gridZ, unsigned blockX,
                      unsigned blockY, unsigned blockZ, unsigned shared,
                      void **params);

static Launch launch;
static int devices = 1, major = 20, current = -1, pushes, loads, launches;
static int failing; // number of the call that fails: 1 load, 2 launch
static char context[8];

void fake_set_launch(Launch function) { launch = function; }
void fake_set_devices(int count, int capability) {
  devices = count;
  major = capability;
}
void fake_fail(int what) { failing = what; }
int fake_count(int what) {
  return what == 0 ? pushes : what == 1 ? loads : launches;
}

int cuInit(unsigned flags) { return 0; }
int cuDeviceGetCount(int *count) {
  *count = devices;
  return 0;
}
int cuDeviceGet(int *device, int ordinal) {
  *device = ordinal;
  return 0;
}
int cuDeviceGetAttribute(int *value, int attribute, int device) {
  *value = attribute == 75 ? major : attribute == 76 ? 0 : 227 * 1024;
  return 0;
}
int cuCtxGetCurrent(void **out) {
  *out = current < 0 ? NULL : &context[current];
  return 0;
}
int cuCtxGetDevice(int *device) {
  *device = current;
  return current < 0;
}
int cuDevicePrimaryCtxRetain(void **out, int device) {
  *out = &context[device];
  return 0;
}
int cuCtxPushCurrent_v2(void *pushed) {
  current = (int)((char *)pushed - context);
  ++pushes;
  return 0;
}
int cuCtxPopCurrent_v2(void **out) {
  *out = NULL;
  current = -1;
  --pushes;
  return 0;
}
int cuLibraryLoadData(void **library, const void *code, void *options,
                      void **values, unsigned count, void *libraryOptions,
                      void **libraryValues, unsigned libraryCount) {
  if (failing == 1)
    return 218;
  Library *loaded = malloc(sizeof(Library));
  loaded->code = code;
  *library = loaded;
  ++loads;
  return 0;
}
int cuLibraryGetKernel(void **kernel, void *library, const char *name) {
  Kernel *found = malloc(sizeof(Kernel));
  found->library = library;
  found->name = name;
  *kernel = found;
  return 0;
}
int cuKernelGetAttribute(int *value, int attribute, void *kernel, int device) {
  *value = 0;
  return 0;
}
int cuKernelSetAttribute(int attribute, int value, void *kernel, int device) {
  return 0;
}
int cuLaunchKernel(void *kernel, unsigned gridX, unsigned gridY,
                   unsigned gridZ, unsigned blockX, unsigned blockY,
                   unsigned blockZ, unsigned shared, void *stream,
                   void **params, void **extra) {
  const Kernel *known = kernel;
  ++launches;
  if (failing == 2)
    return 701;
  return launch ? launch(known->library->code, known->name, gridX, gridY, gridZ,
                         blockX, blockY, blockZ, shared, params)
                : 0;
}
int cuLaunchCooperativeKernel(void *kernel, unsigned gridX, unsigned gridY,
                              unsigned gridZ, unsigned blockX, unsigned blockY,
                              unsigned blockZ, unsigned shared, void *stream,
                              void **params) {
  return cuLaunchKernel(kernel, gridX, gridY, gridZ, blockX, blockY, blockZ,
                        shared, stream, params, 0);
}
int cuDriverGetVersion(int *version) {
  *version = 13000;
  return 0;
}
/// As in CUDA's header.
typedef struct Config {
  unsigned gridX, gridY, gridZ, blockX, blockY, blockZ, shared;
  void *stream, *attributes;
  unsigned numAttributes;
} Config;
int cuLaunchKernelEx(const Config *config, void *kernel, void **params,
                     void **extra) {
  const int *attribute = config->attributes;
  if (config->numAttributes != 1 || attribute[0] != 6 || attribute[2] != 1)
    return 1;
  return cuLaunchKernel(kernel, config->gridX, config->gridY, config->gridZ,
                        config->blockX, config->blockY, config->blockZ,
                        config->shared, config->stream, params, extra);
}
int cuMemsetD8Async(uint64_t address, unsigned char value, size_t bytes,
                    void *stream) {
  memset((void *)(uintptr_t)address, value, bytes);
  return 0;
}
int cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t bytes, void *stream) {
  memcpy(to, (const void *)(uintptr_t)from, bytes);
  return 0;
}
int cuStreamSynchronize(void *stream) { return 0; }
int cuMemAlloc_v2(uint64_t *address, size_t bytes) {
  void *memory = calloc(1, bytes);
  *address = (uint64_t)(uintptr_t)memory;
  return memory ? 0 : 2;
}
int cuMemFree_v2(uint64_t address) {
  free((void *)(uintptr_t)address);
  return 0;
}
int cuMemcpyHtoD_v2(uint64_t to, const void *from, size_t bytes) {
  memcpy((void *)(uintptr_t)to, from, bytes);
  return 0;
}
int cuMemcpyDtoH_v2(void *to, uint64_t from, size_t bytes) {
  memcpy(to, (const void *)(uintptr_t)from, bytes);
  return 0;
}
int cuMemcpyDtoDAsync_v2(uint64_t to, uint64_t from, size_t bytes,
                         void *stream) {
  return 0;
}
int cuMemsetD8_v2(uint64_t address, unsigned char value, size_t bytes) {
  memset((void *)(uintptr_t)address, value, bytes);
  return 0;
}
int cuStreamCreate(void **stream, unsigned flags) {
  *stream = context;
  return 0;
}
// What is captured has run already.
int cuStreamBeginCapture_v2(void *stream, int mode) { return 0; }
int cuStreamEndCapture(void *stream, void **graph) {
  *graph = context;
  return 0;
}
int cuGraphInstantiateWithFlags(void **replay, void *graph,
                                unsigned long long flags) {
  *replay = graph;
  return 0;
}
int cuGraphLaunch(void *replay, void *stream) { return 0; }
int cuGraphExecDestroy(void *replay) { return 0; }
int cuGraphDestroy(void *graph) { return 0; }
int cuEventCreate(void **event, unsigned flags) {
  *event = context;
  return 0;
}
int cuEventRecord(void *event, void *stream) { return 0; }
int cuEventSynchronize(void *event) { return 0; }
int cuEventElapsedTime(float *milliseconds, void *start, void *end) {
  *milliseconds = 4.0f;
  return 0;
}
int cuEventDestroy_v2(void *event) { return 0; }
int cuGetErrorString(int error, const char **text) {
  *text = error == 218 ? "a PTX JIT compilation failed" : "launch failed";
  return 0;
}
