//===- Check.h - Counting checks ----------------------------------*- C -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A test program includes this once, uses CHECK and ends with CHECK_SUMMARY().
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_TEST_RUNTIME_CHECK_H
#define RONDO_TEST_RUNTIME_CHECK_H

#include <stdio.h>

static int NumPassed, NumFailed;

#define CHECK(condition)                                                       \
  do {                                                                         \
    if (condition) {                                                           \
      ++NumPassed;                                                             \
    } else {                                                                   \
      ++NumFailed;                                                             \
      printf("%s:%d: failed: %s\n", __FILE__, __LINE__, #condition);           \
    }                                                                          \
  } while (0)

#define CHECK_SUMMARY()                                                        \
  (printf("%d passed, %d failed\n", NumPassed, NumFailed), NumFailed != 0)

#endif // RONDO_TEST_RUNTIME_CHECK_H
