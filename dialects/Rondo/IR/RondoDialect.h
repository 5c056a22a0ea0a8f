//===- RondoDialect.h - The rondo dialect -----------------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_DIALECTS_RONDO_IR_RONDODIALECT_H
#define RONDO_DIALECTS_RONDO_IR_RONDODIALECT_H

#include "mlir/IR/Dialect.h"

#include "dialects/Rondo/IR/RondoDialect.h.inc"

#endif // RONDO_DIALECTS_RONDO_IR_RONDODIALECT_H
