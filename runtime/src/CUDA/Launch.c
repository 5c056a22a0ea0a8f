//===- Launch.c - Calls of kernels on CUDA devices ------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A call queues its work on the caller's stream and returns; nothing waits for
// the device and nothing is allocated, but for the loading of the code on the
// first call. All of it can be captured in a graph.
//
// The device is `cuda_device` of the context. If the thread's current CUDA
// context belongs to it, it is used; otherwise the device's primary context is
// current for the length of the call.
//
//===----------------------------------------------------------------------===//

#include "../Artifact/Support.h"
#include "Driver.h"

#include <inttypes.h>
#include <string.h>

typedef struct Launcher {
  const rondo_call *call;
  const rondo_cuda_driver *driver;
  int device;
  void *stream;
  int64_t image;
  rondo_status status; ///< of the first launch that failed
} Launcher;

static rondo_status failDriver(const rondo_call *call,
                               const rondo_cuda_driver *driver, int error,
                               const char *what) {
  const char *text = NULL;
  if (driver->cuGetErrorString(error, &text) != 0)
    text = NULL;
  return rondo_call_fail(call, RONDO_ERROR_DEVICE, "%s: %s (CUDA error %d)",
                         what, rondo_or(text, "unknown error"), error);
}

//===----------------------------------------------------------------------===//
// Device and context
//===----------------------------------------------------------------------===//

/// Makes a context of the device current; `out_pushed` says to pop it again.
static rondo_status enter(Launcher *launcher, bool *out_pushed) {
  const rondo_call *call = launcher->call;
  const char *problem;
  *out_pushed = false;
  launcher->driver = rondo_cuda_open(&problem);
  const rondo_cuda_driver *driver = launcher->driver;
  if (!driver)
    return rondo_call_fail(call, RONDO_ERROR_NO_DEVICE, "%s", problem);
  int32_t ordinal = call->ctx ? call->ctx->cuda_device : 0;
  launcher->stream = call->ctx ? call->ctx->cuda_stream : NULL;
  int count = 0;
  driver->cuDeviceGetCount(&count);
  if (ordinal < 0 || ordinal >= count ||
      driver->cuDeviceGet(&launcher->device, ordinal) != 0)
    return rondo_call_fail(call, RONDO_ERROR_NO_DEVICE,
                           "the context names CUDA device %" PRId32
                           ", expected 0 to %d",
                           ordinal, count - 1);
  void *context = NULL;
  int device = -1;
  if (driver->cuCtxGetCurrent(&context) == 0 && context &&
      driver->cuCtxGetDevice(&device) == 0 && device == launcher->device)
    return RONDO_OK;
  int error = driver->cuDevicePrimaryCtxRetain(&context, launcher->device);
  if (error == 0)
    error = driver->cuCtxPushCurrent_v2(context);
  if (error != 0)
    return failDriver(call, driver, error, "the device can't be used");
  *out_pushed = true;
  return RONDO_OK;
}

static void leave(const Launcher *launcher, bool pushed) {
  void *context;
  if (pushed)
    launcher->driver->cuCtxPopCurrent_v2(&context);
}

//===----------------------------------------------------------------------===//
// Code
//===----------------------------------------------------------------------===//

/// Code for the chip itself is better than code for its generation, and that is
/// better than PTX, which the driver compiles.
static int32_t rateImage(const rondo_device_image *image, int32_t capability) {
  if (image->capability > capability ||
      (image->exact && image->capability != capability))
    return 0;
  if (image->kind == RONDO_IMAGE_PTX)
    return 1000 + image->capability + (image->exact ? 1 : 0);
  if (image->capability / 10 != capability / 10)
    return 0;
  return 2000 + image->capability * 2 + (image->exact ? 1 : 0);
}

static rondo_status chooseImage(Launcher *launcher) {
  const rondo_cuda_driver *driver = launcher->driver;
  const rondo_device_code *code = launcher->call->info->device_code;
  int major = 0, minor = 0;
  driver->cuDeviceGetAttribute(&major, RONDO_CU_CAPABILITY_MAJOR,
                               launcher->device);
  driver->cuDeviceGetAttribute(&minor, RONDO_CU_CAPABILITY_MINOR,
                               launcher->device);
  int32_t best = 0;
  for (int64_t i = 0; i < code->num_images; ++i) {
    int32_t rate = rateImage(&code->images[i], major * 10 + minor);
    if (rate > best)
      best = rate, launcher->image = i;
  }
  if (best)
    return RONDO_OK;
  rondo_message message;
  rondo_message_begin(&message, launcher->call->info);
  rondo_message_add(&message,
                    "the device has compute capability %d.%d, expected one "
                    "that runs code for",
                    major, minor);
  for (int64_t i = 0; i < code->num_images; ++i)
    rondo_message_add(&message, "%s %s", i ? " or" : "",
                      rondo_or(code->images[i].name, "?"));
  return rondo_message_report(&message, launcher->call->ctx,
                              RONDO_ERROR_NO_DEVICE);
}

/// The kernel, loaded if need be. Two threads that load one image at once both
/// succeed; one of the two copies is used from then on.
static rondo_status findKernel(Launcher *launcher, int64_t number,
                               void **out_kernel) {
  const rondo_device_code *code = launcher->call->info->device_code;
  void **slots = code->slots + launcher->image * (code->num_kernels + 1);
  void *kernel = __atomic_load_n(&slots[1 + number], __ATOMIC_ACQUIRE);
  if (!kernel) {
    const rondo_cuda_driver *driver = launcher->driver;
    void *library = __atomic_load_n(&slots[0], __ATOMIC_ACQUIRE);
    int error = 0;
    if (!library) {
      error = driver->cuLibraryLoadData(&library,
                                        code->images[launcher->image].data,
                                        NULL, NULL, 0, NULL, NULL, 0);
      if (error != 0)
        return failDriver(launcher->call, driver, error,
                          "the code can't be loaded");
      __atomic_store_n(&slots[0], library, __ATOMIC_RELEASE);
    }
    error = driver->cuLibraryGetKernel(&kernel, library, code->kernels[number]);
    if (error != 0)
      return failDriver(launcher->call, driver, error,
                        "the code lacks a kernel");
    __atomic_store_n(&slots[1 + number], kernel, __ATOMIC_RELEASE);
  }
  *out_kernel = kernel;
  return RONDO_OK;
}

//===----------------------------------------------------------------------===//
// Launches
//===----------------------------------------------------------------------===//

/// As much as the device gives beside the kernel's own: together they may be
/// more than what needs no leave. The same value every time, so that calls at
/// the same time don't disturb each other.
static int allowShared(const Launcher *launcher, void *kernel) {
  const rondo_cuda_driver *driver = launcher->driver;
  int limit = 0, fixed = 0;
  driver->cuDeviceGetAttribute(&limit, RONDO_CU_SHARED_OPT_IN,
                               launcher->device);
  driver->cuKernelGetAttribute(&fixed, RONDO_CU_KERNEL_STATIC_SHARED, kernel,
                               launcher->device);
  return driver->cuKernelSetAttribute(RONDO_CU_KERNEL_MAX_DYNAMIC_SHARED,
                                      limit - fixed, kernel, launcher->device);
}

/// Whether a kernel may begin before the one queued before it has ended. Its
/// code waits for that where chips can: from 9.0 on. Drivers before 12.3 can't
/// capture such a launch in a graph.
static bool mayOverlap(const Launcher *launcher) {
  const rondo_device_code *code = launcher->call->info->device_code;
  int version = 0;
  return code->images[launcher->image].capability >= 90 &&
         launcher->driver->cuDriverGetVersion(&version) == 0 &&
         version >= 12030;
}

/// How a kernel's blocks are to one another, and to those of the kernel before.
typedef enum Order { AFTER, TOGETHER, BEHIND } Order;

/// TOGETHER: all blocks run at the same time, or none. BEHIND: they may begin
/// before those of the kernel before have ended.
static void launchKernel(Launcher *launcher, int64_t kernel, int64_t gridX,
                         int64_t gridY, int64_t gridZ, int64_t blockX,
                         int64_t blockY, int64_t blockZ, int64_t shared,
                         void **params, Order order) {
  if (launcher->status != RONDO_OK || gridX <= 0 || gridY <= 0 || gridZ <= 0)
    return;
  void *handle;
  launcher->status = findKernel(launcher, kernel, &handle);
  if (launcher->status != RONDO_OK)
    return;
  if (gridX > INT32_MAX || gridY > 65535 || gridZ > 65535) {
    launcher->status = rondo_call_fail(
        launcher->call, RONDO_ERROR_SIZE_OVERFLOW,
        "the problem needs %" PRId64 " x %" PRId64 " x %" PRId64
        " blocks, more than a device has",
        gridX, gridY, gridZ);
    return;
  }
  int error = shared > 0 ? allowShared(launcher, handle) : 0;
  if (error == 0 && order == TOGETHER) {
    error = launcher->driver->cuLaunchCooperativeKernel(
        handle, (unsigned)gridX, (unsigned)gridY, (unsigned)gridZ,
        (unsigned)blockX, (unsigned)blockY, (unsigned)blockZ, (unsigned)shared,
        launcher->stream, params);
  } else if (error == 0 && order == BEHIND && mayOverlap(launcher)) {
    rondo_cuda_attribute attribute = {
        RONDO_CU_LAUNCH_PROGRAMMATIC_SERIALIZATION, {.flag = 1}};
    rondo_cuda_launch_config config = {
        (unsigned)gridX,  (unsigned)gridY,  (unsigned)gridZ,  (unsigned)blockX,
        (unsigned)blockY, (unsigned)blockZ, (unsigned)shared, launcher->stream,
        &attribute,       1};
    error = launcher->driver->cuLaunchKernelEx(&config, handle, params, NULL);
  } else if (error == 0) {
    error = launcher->driver->cuLaunchKernel(
        handle, (unsigned)gridX, (unsigned)gridY, (unsigned)gridZ,
        (unsigned)blockX, (unsigned)blockY, (unsigned)blockZ, (unsigned)shared,
        launcher->stream, params, NULL);
  }
  if (error != 0)
    launcher->status = failDriver(launcher->call, launcher->driver, error,
                                  "the kernel can't be launched");
}

/// Called by the host's part of kernels, in place of gpu.launch_func.
void rondo_cuda_launch(void *launcher, int64_t kernel, int64_t gridX,
                       int64_t gridY, int64_t gridZ, int64_t blockX,
                       int64_t blockY, int64_t blockZ, int64_t shared,
                       void **params) {
  launchKernel(launcher, kernel, gridX, gridY, gridZ, blockX, blockY, blockZ,
               shared, params, AFTER);
}

/// The same for blocks that wait for one another.
void rondo_cuda_launch_together(void *launcher, int64_t kernel, int64_t gridX,
                                int64_t gridY, int64_t gridZ, int64_t blockX,
                                int64_t blockY, int64_t blockZ, int64_t shared,
                                void **params) {
  launchKernel(launcher, kernel, gridX, gridY, gridZ, blockX, blockY, blockZ,
               shared, params, TOGETHER);
}

/// The same for a kernel that waits itself for the one launched before it.
void rondo_cuda_launch_behind(void *launcher, int64_t kernel, int64_t gridX,
                              int64_t gridY, int64_t gridZ, int64_t blockX,
                              int64_t blockY, int64_t blockZ, int64_t shared,
                              void **params) {
  launchKernel(launcher, kernel, gridX, gridY, gridZ, blockX, blockY, blockZ,
               shared, params, BEHIND);
}

/// Fills the packed copies of what is read (`pack`), or brings the packed
/// copies of what was written to their places, by the last kernel of the code.
static void copyOperandsOnDevice(Launcher *launcher, char *workspace,
                                 bool pack) {
  const rondo_kernel_info *info = launcher->call->info;
  for (int32_t i = 0; i < info->num_tensors; ++i) {
    const rondo_operand *operand = &launcher->call->operands[i];
    if (operand->copy_offset < 0 ||
        rondo_role_is_written(operand->info->role) == pack)
      continue;
    int64_t count = 1, numbers[2 + 3 * RONDO_MAX_RANK];
    void *params[2 + 2 + 3 * RONDO_MAX_RANK];
    char *copy = workspace + operand->copy_offset;
    char *to = pack ? copy : operand->data, *from = pack ? operand->data : copy;
    const int64_t *toStrides = pack ? operand->frame_strides : operand->strides;
    const int64_t *fromStrides =
        pack ? operand->strides : operand->frame_strides;
    int32_t rank = operand->info->rank;
    for (int32_t dim = 0; dim < RONDO_MAX_RANK; ++dim) {
      // Innermost first; dims that are not there have one element.
      bool real = dim < rank;
      numbers[2 + 3 * dim] = real ? operand->extents[rank - 1 - dim] : 1;
      numbers[3 + 3 * dim] = real ? toStrides[rank - 1 - dim] : 0;
      numbers[4 + 3 * dim] = real ? fromStrides[rank - 1 - dim] : 0;
      count *= numbers[2 + 3 * dim];
    }
    numbers[0] = count;
    numbers[1] = operand->element_size;
    params[0] = &to;
    params[1] = &from;
    for (int32_t j = 0; j < 2 + 3 * RONDO_MAX_RANK; ++j)
      params[2 + j] = &numbers[j];
    int64_t blocks = (count + 255) / 256;
    rondo_cuda_launch(launcher, info->device_code->num_kernels - 1,
                      blocks < 65536 ? blocks : 65536, 1, 1, 256, 1, 1, 0,
                      params);
  }
}

static rondo_status runEntered(Launcher *launcher, char *workspace) {
  const rondo_call *call = launcher->call;
  const rondo_kernel_info *info = call->info;
  rondo_status status = chooseImage(launcher);
  if (status != RONDO_OK)
    return status;
  void **data =
      __builtin_alloca((size_t)info->num_tensors * sizeof(void *) + 1);
  for (int32_t i = 0; i < info->num_tensors; ++i) {
    const rondo_operand *operand = &call->operands[i];
    data[i] = operand->copy_offset >= 0 ? workspace + operand->copy_offset
                                        : operand->data;
  }
  rondo_frame frame;
  memset(&frame, 0, sizeof(frame));
  frame.sizes = call->sizes;
  frame.data = data;
  frame.strides = call->frame_strides;
  frame.workspace = workspace ? workspace + call->worker_offset : NULL;
  frame.end = call->total_points;
  frame.fault = info->num_faults ? (int64_t *)workspace : NULL;
  frame.launcher = launcher;
  frame.slices = call->slices;
  frame.sequences = call->packed ? call->cu_seqlens : NULL;
  frame.sequence_width =
      call->packed ? rondo_dtype_size(call->cu_dtype) : 0;
  if (info->num_faults) {
    int error = launcher->driver->cuMemsetD8Async(
        (uint64_t)(uintptr_t)workspace, 0, 2 * sizeof(int64_t),
        launcher->stream);
    if (error != 0)
      return failDriver(call, launcher->driver, error,
                        "the workspace can't be written");
  }
  copyOperandsOnDevice(launcher, workspace, /*pack=*/true);
  if (launcher->status == RONDO_OK)
    info->variants[0].body(&frame);
  copyOperandsOnDevice(launcher, workspace, /*pack=*/false);
  return launcher->status;
}

rondo_status rondo_cuda_run(rondo_call *call, char *workspace) {
  Launcher launcher;
  memset(&launcher, 0, sizeof(launcher));
  launcher.call = call;
  bool pushed;
  rondo_status status = enter(&launcher, &pushed);
  if (status != RONDO_OK)
    return status;
  status = call->total_points ? runEntered(&launcher, workspace) : RONDO_OK;
  leave(&launcher, pushed);
  return status;
}

//===----------------------------------------------------------------------===//
// Faults
//===----------------------------------------------------------------------===//

rondo_status rondo_artifact_check(const rondo_kernel_info *info,
                                  const void *workspace,
                                  const rondo_context *ctx) {
  rondo_call call;
  memset(&call, 0, sizeof(call));
  call.info = info;
  call.ctx = ctx;
  if (!info->device_code || !info->num_faults)
    return RONDO_OK;
  if (!workspace)
    return rondo_call_fail(&call, RONDO_ERROR_NULL_POINTER,
                           "workspace is NULL");
  Launcher launcher;
  memset(&launcher, 0, sizeof(launcher));
  launcher.call = &call;
  bool pushed;
  rondo_status status = enter(&launcher, &pushed);
  if (status != RONDO_OK)
    return status;
  int64_t fault[2] = {0, 0};
  int error = launcher.driver->cuMemcpyDtoHAsync_v2(
      fault, (uint64_t)(uintptr_t)workspace, sizeof(fault), launcher.stream);
  if (error == 0)
    error = launcher.driver->cuStreamSynchronize(launcher.stream);
  leave(&launcher, pushed);
  if (error != 0)
    return failDriver(&call, launcher.driver, error, "the stream has failed");
  return fault[0] ? rondo_call_report_fault(&call, fault) : RONDO_OK;
}
