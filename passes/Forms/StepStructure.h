//===- StepStructure.h - The steps of a kernel at a point -------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What kernels for devices have in common that hold the states of a point in
// registers: recurrences along one time, whose states have the same dims and
// are computed at a point from expressions over the leaves below.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_FORMS_STEPSTRUCTURE_H
#define RONDO_PASSES_FORMS_STEPSTRUCTURE_H

#include "passes/Algebra/Expr.h"
#include <string>

namespace rondo {

struct StepStructure {
  KernelOp kernel;
  bool reversed = false;
  /// Over these leaves all expressions are: the step, the batch dims, then the
  /// states' dims.
  algebra::Expr time = nullptr;
  llvm::SmallVector<algebra::Expr> indices;
  mlir::Value length;
  llvm::SmallVector<mlir::Value> extents; // of `indices`
  unsigned numBatch = 0;

  struct State {
    RecurrenceOp recurrence;
    unsigned member;
    algebra::Expr past, current; // reads one step before, and at the step
    algebra::Expr value;
    EquationOp declared;
    mlir::Value given;
  };
  llvm::SmallVector<State> states;
  /// (output, state) of final values.
  llvm::SmallVector<std::pair<unsigned, unsigned>> finals;
};

/// Fills a structure; where it can't, it leaves the reason in the user's words.
class StepAnalysis {
protected:
  using Expr = algebra::Expr;

  StepAnalysis(algebra::Context &context, StepStructure &structure,
               std::string &reason)
      : context(context), s(structure), reason(reason) {}

  bool refuse(const llvm::Twine &why) {
    reason = why.str();
    return false;
  }
  Expr inlineEquations(Expr expr);
  Expr nameStates(Expr expr);
  static bool isArgument(mlir::Value tensor) {
    auto argument = mlir::dyn_cast<mlir::BlockArgument>(tensor);
    return argument && mlir::isa<KernelOp>(argument.getOwner()->getParentOp());
  }
  static bool isState(Expr node) {
    return node->kind == algebra::Kind::Read && !isArgument(node->value);
  }
  bool checkValue(Expr expr, llvm::StringRef name);
  bool addRecurrence(RecurrenceOp op);
  Expr valueOf(RecurrenceOp op, EquationOp equation);
  std::optional<int64_t> numberOf(mlir::Value extent);

  algebra::Context &context;

private:
  StepStructure &s;

protected:
  std::string &reason;

private:
  llvm::DenseMap<Expr, Expr> known;
};

} // namespace rondo

#endif // RONDO_PASSES_FORMS_STEPSTRUCTURE_H
