//===- Shapes.c - Sizes and shapes before a call --------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A host that has the arguments of a kernel finds its sizes here, and from
// these the shapes of the results to allocate.
//
//===----------------------------------------------------------------------===//

#include "Artifact/Support.h"
#include "Internal.h"

#include <inttypes.h>

/// Sizes that stand alone at a dim of a tensor (`solve` false) or in an
/// expression with nothing else unknown. Returns whether one was found.
static bool inferFrom(const rondo_tensor_info *info, const DLTensor *tensor,
                      bool solve, int64_t *sizes) {
  bool found = false;
  for (int32_t dim = 0; dim < info->rank && dim < tensor->ndim; ++dim) {
    const rondo_size_expr *expr = &info->shape[dim];
    int64_t size = rondo_size_plain(expr), value = tensor->shape[dim];
    if (size >= 0 ? sizes[size] != RONDO_UNKNOWN
                  : !solve || rondo_size_solve(expr, sizes, value, &size,
                                               &value) != RONDO_EVAL_OK)
      continue;
    if (value < 0)
      continue;
    sizes[size] = value;
    found = true;
  }
  return found;
}

rondo_status rondo_kernel_infer_sizes(const rondo_kernel_info *kernel,
                                      DLTensor *const *tensors, int32_t count,
                                      int64_t *sizes, char *error,
                                      size_t error_size) {
  if (count > kernel->num_tensors)
    count = kernel->num_tensors;
  for (int32_t i = 0; i < kernel->num_sizes; ++i)
    if (sizes[i] < 0)
      sizes[i] =
          kernel->sizes[i].bound >= 0 ? kernel->sizes[i].bound : RONDO_UNKNOWN;
  for (int32_t i = 0; i < count; ++i)
    if (tensors[i] && tensors[i]->shape)
      inferFrom(&kernel->tensors[i], tensors[i], /*solve=*/false, sizes);
  for (bool found = true; found;) {
    found = false;
    for (int32_t i = 0; i < count; ++i)
      if (tensors[i] && tensors[i]->shape)
        found |=
            inferFrom(&kernel->tensors[i], tensors[i], /*solve=*/true, sizes);
  }
  for (int32_t i = 0; i < kernel->num_sizes; ++i)
    if (sizes[i] == RONDO_UNKNOWN)
      return RONDO_FAIL(RONDO_ERROR_SIZE_UNKNOWN, error, error_size,
                        "%s: size '%s' can't be found from the shapes given",
                        kernel->name, kernel->sizes[i].name);
  return RONDO_OK;
}

rondo_status rondo_kernel_shape(const rondo_kernel_info *kernel, int32_t tensor,
                                const int64_t *sizes, int64_t *out_shape,
                                char *error, size_t error_size) {
  if (tensor < 0 || tensor >= kernel->num_tensors)
    return RONDO_FAIL(RONDO_ERROR_NOT_FOUND, error, error_size,
                      "%s: there is no tensor %" PRId32, kernel->name, tensor);
  const rondo_tensor_info *info = &kernel->tensors[tensor];
  for (int32_t dim = 0; dim < info->rank; ++dim)
    if (rondo_size_eval(&info->shape[dim], sizes, &out_shape[dim]) !=
            RONDO_EVAL_OK ||
        out_shape[dim] < 0)
      return RONDO_FAIL(RONDO_ERROR_WRONG_SIZE, error, error_size,
                        "%s: dim %" PRId32 " (%s) of '%s' has no valid size",
                        kernel->name, dim, info->shape[dim].text, info->name);
  return RONDO_OK;
}
