//===- runtime.h - Loading and calling compiled kernels -----------*- C -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The host library: everything here is a convenience. A program that knows its
// kernels at build time needs only the generated header and the library that
// the compiler wrote.
//
// Ownership. A function named `..._create` or `..._open` gives the caller an
// object that the function named beside it frees; nothing else here allocates.
// Tables (`rondo_kernel_info` and so on) belong to the library that they came
// from and vanish when it is closed. Strings returned are constants.
//
// Threads. A library may be used from any number of threads; it is closed by
// one, when no call is running. A thread pool may be shared by any number of
// callers: one at a time gets its threads, the others run on their own thread
// meanwhile, and so does a call made from within a task. A pool does not
// survive fork().
//
// Errors. Functions return a status; those with an `error` buffer also write a
// sentence into it, cut to its size (it may be NULL). Nothing exits or prints.
//
// Versions. A library newer than this header is refused when it is opened.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_RUNTIME_H
#define RONDO_RUNTIME_H

#include "rondo/abi.h"

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define RONDO_API __attribute__((visibility("default")))
#else
#define RONDO_API
#endif

//===----------------------------------------------------------------------===//
// Words
//===----------------------------------------------------------------------===//

/// One sentence per status; never NULL.
RONDO_API const char *rondo_status_string(rondo_status status);

/// "f32" and so on; "unknown" for anything else.
RONDO_API const char *rondo_dtype_name(rondo_dtype dtype);

/// Bytes of one element, 0 for an unknown dtype.
RONDO_API int64_t rondo_dtype_bytes(rondo_dtype dtype);

/// The DLPack type of a dtype (lanes 0 for an unknown one).
RONDO_API DLDataType rondo_dtype_dlpack(rondo_dtype dtype);

//===----------------------------------------------------------------------===//
// Libraries
//===----------------------------------------------------------------------===//

typedef struct rondo_library rondo_library;

/// Loads a compiled library. A name without a slash means a file in the current
/// directory if there is one, else the system's search path.
RONDO_API rondo_status rondo_library_open(const char *path,
                                          rondo_library **out_library,
                                          char *error, size_t error_size);

/// Unloads it. NULL is allowed.
RONDO_API void rondo_library_close(rondo_library *library);

/// The library's table.
RONDO_API const rondo_library_info *
rondo_library_table(const rondo_library *library);

/// Finds a kernel by name and entry. A NULL name means the library's only
/// kernel, a NULL entry means "forward".
RONDO_API rondo_status rondo_library_find(const rondo_library *library,
                                          const char *name, const char *entry,
                                          const rondo_kernel_info **out_kernel,
                                          char *error, size_t error_size);

//===----------------------------------------------------------------------===//
// Kernels
//===----------------------------------------------------------------------===//

/// Position of a tensor in the order of the generic entry, or -1.
RONDO_API int32_t rondo_kernel_tensor(const rondo_kernel_info *kernel,
                                      const char *name);

/// Position of a size, or -1.
RONDO_API int32_t rondo_kernel_size(const rondo_kernel_info *kernel,
                                    const char *name);

/// Finds sizes from the shapes of the tensors that are not NULL (results need
/// not be there yet). `sizes` [num_sizes]: values >= 0 are taken as given, -1
/// are filled in. RONDO_ERROR_SIZE_UNKNOWN names the first that can't be found;
/// it stays -1. Contradictions are left to the call itself, which checks
/// everything.
RONDO_API rondo_status rondo_kernel_infer_sizes(const rondo_kernel_info *kernel,
                                                DLTensor *const *tensors,
                                                int32_t count, int64_t *sizes,
                                                char *error, size_t error_size);

/// The shape of a tensor for given sizes. `out_shape` [rank].
RONDO_API rondo_status rondo_kernel_shape(const rondo_kernel_info *kernel,
                                          int32_t tensor, const int64_t *sizes,
                                          int64_t *out_shape, char *error,
                                          size_t error_size);

/// Runs a kernel on DLTensors in table order, optional ones NULL, with scratch
/// memory from the context's allocator.
RONDO_API rondo_status rondo_kernel_call(const rondo_kernel_info *kernel,
                                         DLTensor *const *tensors,
                                         int32_t count,
                                         const rondo_context *context);

/// Writes a description for people, cut to `size` bytes with the terminating
/// zero; returns the length of the whole.
RONDO_API size_t rondo_kernel_describe(const rondo_kernel_info *kernel,
                                       char *buffer, size_t size);

//===----------------------------------------------------------------------===//
// Threads
//===----------------------------------------------------------------------===//

typedef struct rondo_thread_pool rondo_thread_pool;

/// Starts `num_workers` - 1 threads; the caller of a run is worker 0.
/// `num_workers` 0 means one per processor that this process may use.
RONDO_API rondo_status rondo_thread_pool_create(int32_t num_workers,
                                                rondo_thread_pool **out_pool);

/// Ends the threads. No run may be going on. NULL is allowed.
RONDO_API void rondo_thread_pool_destroy(rondo_thread_pool *pool);

RONDO_API int32_t rondo_thread_pool_workers(const rondo_thread_pool *pool);

/// The parallel_for of a context whose `user` is the pool.
RONDO_API void rondo_thread_pool_run(void *pool, rondo_task task, void *arg,
                                     int64_t count, int64_t grain);

//===----------------------------------------------------------------------===//
// Contexts
//===----------------------------------------------------------------------===//

/// A context that lends nothing.
RONDO_API void rondo_context_init(rondo_context *out_context);

/// Lends aligned memory from malloc.
RONDO_API void rondo_context_use_malloc(rondo_context *context);

/// Lends the threads of a pool; sets `user`. NULL: none.
RONDO_API void rondo_context_use_pool(rondo_context *context,
                                      rondo_thread_pool *pool);

/// Lends a buffer for errors and empties it.
RONDO_API void rondo_context_use_error(rondo_context *context, char *error,
                                       size_t error_size);

#ifdef __cplusplus
} // extern "C"
#endif

#endif // RONDO_RUNTIME_H
