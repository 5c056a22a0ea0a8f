//===- Inline.h - Equations inlined into expressions ------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_ALGEBRA_INLINE_H
#define RONDO_PASSES_ALGEBRA_INLINE_H

#include "passes/Algebra/Expr.h"

namespace rondo::algebra {

/// `expr` with those reads of equations of the kernel that `isWanted` accepts
/// replaced by what the equations say, again and again. `extentOf` gives, for
/// an index, the size n of which it is surely in [0, n), or null; only reads
/// that are in range this way are replaced.
Expr inlineReads(Context &context, Expr expr,
                 llvm::function_ref<mlir::Value(Expr)> extentOf,
                 llvm::function_ref<bool(Expr, EquationOp)> isWanted);

/// The extent of the index `value` of `equation`, if it is one that starts at 0;
/// else null.
mlir::Value extentOf(EquationOp equation, mlir::Value value);
/// Whether `read`, in the body of another equation of the same block, takes a
/// point that is surely one of `equation`, which is no reduction.
bool canInline(ReadOp read, EquationOp equation);
/// Replaces such a read by what the equation says. Erases the read.
void inlineRead(ReadOp read, EquationOp equation);

/// Equations that read the history of a state and are read inside reductions
/// only become part of these (rondo-inline-readers). How many did.
unsigned inlineReaders(KernelOp kernel);

/// The parts of a condition, all of which must hold.
void splitCondition(Expr condition, llvm::SmallSetVector<Expr, 4> &parts);

} // namespace rondo::algebra

#endif // RONDO_PASSES_ALGEBRA_INLINE_H
