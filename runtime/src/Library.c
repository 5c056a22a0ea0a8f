//===- Library.c - Loading a compiled library -----------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//===----------------------------------------------------------------------===//

#define _POSIX_C_SOURCE 200112L
#include "Internal.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct rondo_library {
  void *handle;
  const rondo_library_info *info;
};

/// dlopen, where a bare name first means a file here.
static void *openHandle(const char *path) {
  if (!strchr(path, '/') && access(path, F_OK) == 0) {
    size_t length = strlen(path) + 3;
    char *local = malloc(length);
    if (!local)
      return NULL;
    snprintf(local, length, "./%s", path);
    void *handle = dlopen(local, RTLD_NOW | RTLD_LOCAL);
    free(local);
    return handle;
  }
  return dlopen(path, RTLD_NOW | RTLD_LOCAL);
}

/// The table of an open library.
static rondo_status readTable(void *handle, const char *path,
                              const rondo_library_info **outInfo, char *error,
                              size_t errorSize) {
  rondo_library_query_fn query;
  void *symbol = dlsym(handle, RONDO_LIBRARY_QUERY_NAME);
  if (!symbol)
    return RONDO_FAIL(RONDO_ERROR_BAD_LIBRARY, error, errorSize,
                      "'%s' was not written by rondoc: it has no symbol %s",
                      path, RONDO_LIBRARY_QUERY_NAME);
  memcpy(&query, &symbol, sizeof(query));
  *outInfo = query(RONDO_ABI_VERSION);
  if (*outInfo && (*outInfo)->abi_version == RONDO_ABI_VERSION &&
      (*outInfo)->struct_size >= sizeof(rondo_library_info))
    return RONDO_OK;
  if (*outInfo)
    return RONDO_FAIL(RONDO_ERROR_VERSION_MISMATCH, error, errorSize,
                      "'%s' has interface version %u, expected %u", path,
                      (*outInfo)->abi_version, RONDO_ABI_VERSION);
  return RONDO_FAIL(RONDO_ERROR_VERSION_MISMATCH, error, errorSize,
                    "'%s' is newer than interface version %u", path,
                    RONDO_ABI_VERSION);
}

rondo_status rondo_library_open(const char *path, rondo_library **out_library,
                                char *error, size_t error_size) {
  if (!path || !out_library)
    return RONDO_FAIL(RONDO_ERROR_NULL_POINTER, error, error_size,
                      "path or out_library is NULL");
  *out_library = NULL;
  rondo_library *library = calloc(1, sizeof(*library));
  if (!library)
    return RONDO_FAIL(RONDO_ERROR_OUT_OF_MEMORY, error, error_size,
                      "no memory to open '%s'", path);
  rondo_status status;
  library->handle = openHandle(path);
  if (!library->handle) {
    const char *reason = dlerror();
    status = RONDO_FAIL(RONDO_ERROR_BAD_LIBRARY, error, error_size,
                        "can't load '%s': %s", path,
                        reason ? reason : "unknown reason");
  } else {
    status =
        readTable(library->handle, path, &library->info, error, error_size);
  }
  if (status != RONDO_OK) {
    rondo_library_close(library);
    return status;
  }
  *out_library = library;
  return RONDO_OK;
}

void rondo_library_close(rondo_library *library) {
  if (!library)
    return;
  if (library->handle)
    dlclose(library->handle);
  free(library);
}

const rondo_library_info *rondo_library_table(const rondo_library *library) {
  return library->info;
}

rondo_status rondo_library_find(const rondo_library *library, const char *name,
                                const char *entry,
                                const rondo_kernel_info **out_kernel,
                                char *error, size_t error_size) {
  const rondo_library_info *info = library->info;
  const rondo_kernel_info *found = NULL;
  char names[256] = "";
  size_t length = 0;
  if (!entry)
    entry = "forward";
  *out_kernel = NULL;
  for (int64_t i = 0; i < info->num_kernels; ++i) {
    const rondo_kernel_info *kernel = info->kernels[i];
    if (strcmp(kernel->entry, entry) != 0)
      continue;
    if (length < sizeof(names))
      length += (size_t)snprintf(names + length, sizeof(names) - length, "%s%s",
                                 length ? ", " : "", kernel->name);
    if (name && strcmp(kernel->name, name) != 0)
      continue;
    if (found)
      return RONDO_FAIL(RONDO_ERROR_NOT_FOUND, error, error_size,
                        "the library has several kernels with entry '%s', "
                        "name one of: %s, ...",
                        entry, names);
    found = kernel;
  }
  if (!found)
    return RONDO_FAIL(RONDO_ERROR_NOT_FOUND, error, error_size,
                      "the library has no kernel '%s' with entry '%s'; it "
                      "has: %s",
                      name ? name : "(any)", entry, length ? names : "none");
  *out_kernel = found;
  return RONDO_OK;
}

int32_t rondo_kernel_tensor(const rondo_kernel_info *kernel, const char *name) {
  for (int32_t i = 0; i < kernel->num_tensors; ++i)
    if (strcmp(kernel->tensors[i].name, name) == 0)
      return i;
  return -1;
}

int32_t rondo_kernel_size(const rondo_kernel_info *kernel, const char *name) {
  for (int32_t i = 0; i < kernel->num_sizes; ++i)
    if (strcmp(kernel->sizes[i].name, name) == 0)
      return i;
  return -1;
}

rondo_status rondo_kernel_call(const rondo_kernel_info *kernel,
                               DLTensor *const *tensors, int32_t count,
                               const rondo_context *context) {
  return kernel->call(tensors, count, NULL, 0, context);
}
