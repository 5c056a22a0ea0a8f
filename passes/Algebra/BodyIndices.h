//===- BodyIndices.h - The indices that values in a body use ----*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_ALGEBRA_BODYINDICES_H
#define RONDO_PASSES_ALGEBRA_BODYINDICES_H

#include "dialects/Rondo/IR/RondoOps.h"
#include "llvm/ADT/SmallBitVector.h"

namespace rondo::algebra {

/// For each value in the body of an equation, the indices of the equation that
/// it depends on, by their numbers.
class BodyIndices {
public:
  explicit BodyIndices(EquationOp equation)
      : none(equation.getBlock().getNumArguments()) {
    for (mlir::BlockArgument argument : equation.getBlock().getArguments()) {
      sets[argument] = none;
      sets[argument].set(argument.getArgNumber());
    }
    for (mlir::Operation &op : equation.getBlock().without_terminator()) {
      llvm::SmallBitVector set = none;
      for (mlir::Value operand : op.getOperands())
        set |= get(operand);
      for (mlir::Value result : op.getResults())
        sets[result] = set;
    }
  }

  /// None of them for values from outside.
  const llvm::SmallBitVector &get(mlir::Value value) const {
    auto found = sets.find(value);
    return found == sets.end() ? none : found->second;
  }

private:
  llvm::DenseMap<mlir::Value, llvm::SmallBitVector> sets;
  llvm::SmallBitVector none;
};

} // namespace rondo::algebra

#endif // RONDO_PASSES_ALGEBRA_BODYINDICES_H
