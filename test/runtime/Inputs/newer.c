//===- newer.c - A library of a later interface version -------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//===----------------------------------------------------------------------===//

#include "rondo/abi.h"

__attribute__((visibility("default"))) const rondo_library_info *
rondo_library_query(uint32_t max_abi_version) {
  static const rondo_library_info info = {0, RONDO_ABI_VERSION + 1, "", "", 0,
                                          0};
  return info.abi_version <= max_abi_version ? &info : NULL;
}
