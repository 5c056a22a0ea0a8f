//===- RondoOps.h - Operations of the rondo dialect -------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_DIALECTS_RONDO_IR_RONDOOPS_H
#define RONDO_DIALECTS_RONDO_IR_RONDOOPS_H

#include "dialects/Rondo/IR/RondoDialect.h"
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/Rondo/IR/RondoEnums.h.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/Rondo/IR/RondoAttrs.h.inc"

#define GET_OP_CLASSES
#include "dialects/Rondo/IR/RondoOps.h.inc"

#endif // RONDO_DIALECTS_RONDO_IR_RONDOOPS_H
