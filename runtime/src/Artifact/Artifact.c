//===- Artifact.c - The support code as one translation unit --------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Compiled when the compiler is built, and linked into every library: with
// RONDO_DEVICE=1 into those with device code, with 0 into the others.
//
//===----------------------------------------------------------------------===//

#include "Support.h"
#if RONDO_DEVICE
#include "../CUDA/Driver.c"
#include "../CUDA/Launch.c"
#endif
#include "Cpu.c"
#include "Entry.c"
#include "Generic.c"
#include "Layout.c"
#include "Message.c"
#include "Overlap.c"
#include "Plan.c"
#include "Run.c"
#include "Sequences.c"
#include "Shapes.c"
#include "Sizes.c"
#include "Typed.c"
