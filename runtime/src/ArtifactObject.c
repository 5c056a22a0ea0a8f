//===- ArtifactObject.c - The support object, as bytes --------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// RONDO_ARTIFACT_OBJECT and RONDO_ARTIFACT_DEVICE_OBJECT are the paths of the
// object files.
//
//===----------------------------------------------------------------------===//

#include "ArtifactObject.h"

#define RONDO_BYTES_OF(name, path)                                             \
  __asm__(".section .rodata\n"                                                 \
          ".balign 16\n"                                                       \
          ".global " name "\n"                                                 \
          ".hidden " name "\n"                                                 \
          name ":\n"                                                           \
          ".incbin \"" path "\"\n"                                             \
          name "_end:\n"                                                       \
          ".balign 8\n"                                                        \
          ".global " name "_size\n"                                            \
          ".hidden " name "_size\n"                                            \
          name "_size:\n"                                                      \
          ".quad " name "_end - " name "\n"                                    \
          ".text\n")

RONDO_BYTES_OF("rondo_artifact_object", RONDO_ARTIFACT_OBJECT);
RONDO_BYTES_OF("rondo_artifact_device_object", RONDO_ARTIFACT_DEVICE_OBJECT);
