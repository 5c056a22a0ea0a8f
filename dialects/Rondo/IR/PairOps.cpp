//===- PairOps.cpp - Pairs of bf16 numbers --------------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/Rondo/IR/PairOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

using namespace mlir;
using namespace rondo;

#define GET_OP_CLASSES
#include "dialects/Rondo/IR/PairOps.cpp.inc"
