//===- TimeReads.h - What a step needs of earlier steps ---------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A kernel has a step when nothing in it looks ahead: every read of a tensor
// that has a time dim is of the reader's own step or of an earlier one. How far
// back it goes decides what has to be kept between steps:
//
//   a state at the step before   its value, as ever
//   at most L steps back         the last L steps: a window
//   no bound                     all steps seen so far
//
// Dims over time that sums run over, and those of tensors between two steps
// (scores), hold all steps seen.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_FORMS_TIMEREADS_H
#define RONDO_PASSES_FORMS_TIMEREADS_H

#include "passes/Forms/IndexExprs.h"
#include <vector>

namespace rondo {

/// What a dim over time is to a step: its own step alone, or all seen so far.
enum class TimeDim { Present, Seen };

/// A subscript of a dim over time, relative to the reader's step.
struct TimeSubscript {
  mlir::AffineExpr back; // 0: the same step; never positive
  bool isPresent() const { return isa(0); }
  bool isBefore() const { return isa(-1); }

private:
  bool isa(int64_t value) const {
    auto constant = mlir::dyn_cast<mlir::AffineConstantExpr>(back);
    return constant && constant.getValue() == value;
  }
};

/// A tensor of which earlier steps are needed.
struct Remembered {
  mlir::Value tensor; // an argument, a result of an equation, a history
  std::string name;
  unsigned dim = 0;                          // over time
  mlir::AffineExpr length;                   // how many steps; null: all
  llvm::SmallVector<mlir::AffineExpr> shape; // as the kernel has it
  mlir::Type element, stored, scalar; // at the border, in tensors, in bodies
  mlir::Value declared;               // what stands before the start; null: 0
};

class TimeReads {
public:
  /// Reports why the kernel has no step, if it has none.
  static mlir::FailureOr<TimeReads> get(KernelOp kernel);

  unsigned getTimeSize() const { return timeSize; }
  bool isTime(mlir::Value extent);
  /// Whether something asks for all steps seen so far.
  bool readsAll() const { return all; }
  TimeDim getKind(mlir::Value tensor, unsigned dim) const;
  /// Whether a scalar is the number of the reader's step.
  bool isPresent(mlir::Value index) const { return present.contains(index); }
  bool runsInTime(RecurrenceOp recurrence);
  /// The tensor itself, or the result of the recurrence that a region calls so.
  mlir::Value getTensor(mlir::Value source);
  /// Null for dims that are not over time.
  const TimeSubscript *getSubscript(mlir::Operation *read, unsigned dim) const;
  llvm::ArrayRef<Remembered> getRemembered() const { return remembered; }
  const Remembered *getRemembered(mlir::Value tensor) const;
  Remembered describe(mlir::Value tensor);
  /// The index or size behind an atom, null for other values.
  mlir::Value getValue(mlir::AffineExpr atom);

private:
  explicit TimeReads(KernelOp kernel) : kernel(kernel), exprs(kernel) {}

  /// What holds where something counts: an expression that is not negative, all
  /// of some facts, or one of them (of none: it never counts).
  struct Fact {
    enum class Kind { NotNegative, All, Any } kind = Kind::All;
    mlir::AffineExpr expr;
    std::vector<Fact> parts;
  };

  mlir::LogicalResult analyze();
  mlir::LogicalResult checkSize(mlir::Operation *user, mlir::Value extent);
  mlir::LogicalResult visitRecurrence(RecurrenceOp recurrence);
  mlir::LogicalResult visitEquation(EquationOp equation);
  mlir::LogicalResult visitRead(mlir::Operation *read, mlir::Value source,
                                mlir::OperandRange subscripts,
                                const Fact &fact, mlir::AffineExpr now);
  mlir::LogicalResult visitReturn(ReturnOp op);
  Fact getFact(mlir::Value condition);
  Fact getFactOfTerm(mlir::Value term);
  Fact getFactOfRead(ReadOp read,
                     llvm::function_ref<Fact(mlir::Value)> ofValue);
  void addIndices(EquationOp equation);
  bool isNotNegative(mlir::AffineExpr expr, const Fact &fact) const;
  llvm::SmallVector<unsigned, 2> getTimeDims(mlir::Value tensor);
  bool isReadBack(RecurrenceOp recurrence, mlir::Value slice);
  mlir::AffineExpr getLength(mlir::AffineExpr back);
  void remember(mlir::Value tensor, unsigned dim, mlir::AffineExpr length);
  bool dependsOnTime(mlir::AffineExpr expr);
  mlir::InFlightDiagnostic refuse(mlir::Operation *op);

  KernelOp kernel;
  IndexExprs exprs;
  unsigned timeSize = 0;
  bool all = false;
  llvm::DenseMap<mlir::AffineExpr, std::pair<mlir::AffineExpr, mlir::AffineExpr>>
      ranges; // of dims
  llvm::DenseSet<std::pair<mlir::Value, unsigned>> seen;
  llvm::DenseSet<mlir::Value> present;
  llvm::DenseMap<std::pair<mlir::Operation *, unsigned>, TimeSubscript>
      subscripts;
  llvm::SmallVector<Remembered> remembered;
};

} // namespace rondo

#endif // RONDO_PASSES_FORMS_TIMEREADS_H
