//===- Status.c - Sentences for codes -------------------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//===----------------------------------------------------------------------===//

#include "rondo/runtime.h"

const char *rondo_status_string(rondo_status status) {
  static const char *const sentences[] = {
      "The call did what was asked.",
      "A required pointer is NULL.",
      "The number of tensors is not the number that the kernel takes.",
      "A tensor has another number of dims than declared.",
      "A size is negative, contradicts another one, or does not divide.",
      "A stride makes a result overlap itself.",
      "A tensor has another element type than the kernel was compiled for.",
      "A tensor is in the memory of a device that the kernel does not run on.",
      "A pointer is not aligned as its type requires.",
      "A result shares memory with an argument or with another result.",
      "A product of sizes, strides and element size exceeds 63 bits.",
      "A size can't be found from the shapes of the tensors given.",
      "The packed-sequence boundaries are not valid.",
      "The workspace is smaller than the workspace query says.",
      "The allocator returned NULL.",
      "An index read from a tensor is outside the tensor it indexes.",
      "This processor has none of the instruction sets compiled for.",
      "The device or its driver is absent.",
      "The device's driver reported an error.",
      "Two parts were built for different versions of the binary interface.",
      "A callback of the context broke its contract.",
      "The file is not a library written by Rondo, or can't be loaded.",
      "There is no kernel or tensor of this name.",
      "The operation is not offered for this kernel.",
  };
  _Static_assert(sizeof(sentences) / sizeof(sentences[0]) == RONDO_STATUS_COUNT,
                 "one sentence per code");
  return (uint32_t)status < RONDO_STATUS_COUNT ? sentences[status]
                                               : "Unknown status code.";
}

/// In the order of the dtype constants.
static const struct {
  const char *name;
  uint8_t code, bits;
} Dtypes[] = {{"unknown", 0, 0}, {"f16", 2, 16}, {"bf16", 4, 16},
              {"f32", 2, 32},    {"f64", 2, 64}, {"i32", 0, 32},
              {"i64", 0, 64},    {"bool", 6, 8}};

static uint32_t known(rondo_dtype dtype) {
  return (uint32_t)dtype < 8 ? (uint32_t)dtype : 0;
}

const char *rondo_dtype_name(rondo_dtype dtype) {
  return Dtypes[known(dtype)].name;
}

int64_t rondo_dtype_bytes(rondo_dtype dtype) {
  return Dtypes[known(dtype)].bits / 8;
}

DLDataType rondo_dtype_dlpack(rondo_dtype dtype) {
  uint32_t place = known(dtype);
  DLDataType type = {Dtypes[place].code, Dtypes[place].bits, place != 0};
  return type;
}
