//===- OpHelpers.h - Shared by the operations' definitions ------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the verifiers and the custom forms of several operations have in common.
// Private to this folder.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_DIALECTS_RONDO_IR_OPHELPERS_H
#define RONDO_DIALECTS_RONDO_IR_OPHELPERS_H

#include "dialects/Rondo/IR/RondoOps.h"

namespace rondo {

/// Whether bodies see elements of type `element` as scalars of type `scalar`:
/// real numbers as f32 or f64 (not narrowed), integers as index, i1 as i1.
bool scalarFits(mlir::Type element, mlir::Type scalar);

/// Checks that a reduction can combine what `yield` gives.
mlir::LogicalResult verifyCombined(YieldOp yield, Combiner combiner,
                                   mlir::Type scalar);

/// Checks that a block has `count` arguments of type index.
mlir::LogicalResult verifyIndices(mlir::Operation *op, mlir::Block &block,
                                  unsigned count);

/// `(%i = %lower to %upper, ..)`, of which the indices become block arguments.
mlir::ParseResult parseRanges(
    mlir::OpAsmParser &parser,
    llvm::SmallVectorImpl<mlir::OpAsmParser::Argument> &indices,
    llvm::SmallVectorImpl<mlir::OpAsmParser::UnresolvedOperand> &lowers,
    llvm::SmallVectorImpl<mlir::OpAsmParser::UnresolvedOperand> &uppers);
void printRanges(mlir::OpAsmPrinter &p,
                 llvm::ArrayRef<mlir::BlockArgument> indices,
                 mlir::ValueRange lowers, mlir::ValueRange uppers);

/// One of the combiners' keywords, if there is one.
CombinerAttr parseOptionalCombiner(mlir::OpAsmParser &parser);

} // namespace rondo

#endif // RONDO_DIALECTS_RONDO_IR_OPHELPERS_H
