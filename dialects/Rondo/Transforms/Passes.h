//===- Passes.h - Passes within the rondo dialect ---------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_DIALECTS_RONDO_TRANSFORMS_PASSES_H
#define RONDO_DIALECTS_RONDO_TRANSFORMS_PASSES_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace rondo {

#define GEN_PASS_DECL
#include "dialects/Rondo/Transforms/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "dialects/Rondo/Transforms/Passes.h.inc"

} // namespace rondo

#endif // RONDO_DIALECTS_RONDO_TRANSFORMS_PASSES_H
