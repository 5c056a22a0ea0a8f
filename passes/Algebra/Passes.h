//===- Passes.h - Passes on symbolic expressions ----------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_ALGEBRA_PASSES_H
#define RONDO_PASSES_ALGEBRA_PASSES_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace rondo::algebra {

#define GEN_PASS_DECL
#include "passes/Algebra/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "passes/Algebra/Passes.h.inc"

} // namespace rondo::algebra

#endif // RONDO_PASSES_ALGEBRA_PASSES_H
