//===- Passes.h - Passes that choose forms ----------------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_STRATEGY_PASSES_H
#define RONDO_PASSES_STRATEGY_PASSES_H

#include "dialects/Rondo/IR/RondoDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace rondo {

#define GEN_PASS_DECL
#include "passes/Strategy/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "passes/Strategy/Passes.h.inc"

} // namespace rondo

#endif // RONDO_PASSES_STRATEGY_PASSES_H
