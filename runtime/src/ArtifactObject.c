//===- ArtifactObject.c - The support object, as bytes --------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// RONDO_ARTIFACT_OBJECT is the path of the object file.
//
//===----------------------------------------------------------------------===//

#include "ArtifactObject.h"

__asm__(".section .rodata\n"
        ".balign 16\n"
        ".global rondo_artifact_object\n"
        ".hidden rondo_artifact_object\n"
        "rondo_artifact_object:\n"
        ".incbin \"" RONDO_ARTIFACT_OBJECT "\"\n"
        "rondo_artifact_object_end:\n"
        ".balign 8\n"
        ".global rondo_artifact_object_size\n"
        ".hidden rondo_artifact_object_size\n"
        "rondo_artifact_object_size:\n"
        ".quad rondo_artifact_object_end - rondo_artifact_object\n"
        ".text\n");
