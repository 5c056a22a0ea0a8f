//===- PairOps.h - Pairs of bf16 numbers ------------------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_DIALECTS_RONDO_IR_PAIROPS_H
#define RONDO_DIALECTS_RONDO_IR_PAIROPS_H

#include "dialects/Rondo/IR/RondoDialect.h"
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#define GET_OP_CLASSES
#include "dialects/Rondo/IR/PairOps.h.inc"

#endif // RONDO_DIALECTS_RONDO_IR_PAIROPS_H
