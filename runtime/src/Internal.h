//===- Internal.h - Shared by the files of the host library -------*- C -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_SRC_INTERNAL_H
#define RONDO_SRC_INTERNAL_H

#include "rondo/runtime.h"

#include <stdio.h>

/// Writes a sentence into an error buffer that may be NULL, gives `status`.
#define RONDO_FAIL(status, error, error_size, ...)                             \
  ((void)((error) && (error_size)                                              \
              ? snprintf((error), (error_size), __VA_ARGS__)                   \
              : 0),                                                            \
   (status))

#endif // RONDO_SRC_INTERNAL_H
