//===- RondoDialect.cpp - The rondo dialect -------------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/Rondo/IR/RondoDialect.h"
#include "dialects/Rondo/IR/PairOps.h"
#include "dialects/Rondo/IR/RondoOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace rondo;

#include "dialects/Rondo/IR/RondoDialect.cpp.inc"
#include "dialects/Rondo/IR/RondoEnums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/Rondo/IR/RondoAttrs.cpp.inc"

void RondoDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/Rondo/IR/RondoAttrs.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/Rondo/IR/RondoOps.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/Rondo/IR/PairOps.cpp.inc"
      >();
}
