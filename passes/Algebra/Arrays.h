//===- Arrays.h - A kernel as definitions of arrays -------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Everything that a kernel defines, as expressions over all of its indices:
// equations of a recurrence's region are arrays over [batch.., along.., rest..]
// as those outside are over their own, and read one another in the same way. A
// definition may be used at any point, so a new equation can be derived from it
// and computed wherever its reads are known.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_ALGEBRA_ARRAYS_H
#define RONDO_PASSES_ALGEBRA_ARRAYS_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "passes/Algebra/Expr.h"
#include <deque>

namespace rondo::algebra {

struct Array {
  Array(const llvm::Twine &name, mlir::Location loc, mlir::Type type,
        mlir::Value value, mlir::Value real)
      : name(name.str()), loc(loc), type(type), value(value), real(real) {}

  std::string name;
  mlir::Location loc;
  /// Of its elements in bodies.
  mlir::Type type;
  /// What reads of it name. A stand-in until `real` is known, unless it is the
  /// same.
  mlir::Value value, real;
  llvm::SmallVector<const Variable *> variables; // one per dim
  /// What it is at `variables`; null for arguments and initial values.
  Expr definition = nullptr;
  /// The recurrence in whose region it is defined, or null.
  RecurrenceOp recurrence;
  /// What the recurrence gives for it, if it is a state.
  mlir::Value initial, final;
  /// Reads of it are replaced by its definition.
  bool isAbbreviation = false;
  /// The choice of an initial value that it is, or null.
  InitialOp choice;

  bool isReal() const { return mlir::isa<mlir::FloatType>(type); }
  unsigned firstAlong() const { return RecurrenceOp(recurrence).getBatch(); }
  unsigned numAlong() const {
    return recurrence ? RecurrenceOp(recurrence).getNumAlong() : 0;
  }
  template <typename T> llvm::ArrayRef<T> along(llvm::ArrayRef<T> dims) const {
    return recurrence ? dims.slice(firstAlong(), numAlong())
                      : dims.take_front(0);
  }
  /// `dims` without those along which the recurrence runs.
  template <typename T>
  llvm::SmallVector<T> withoutAlong(llvm::ArrayRef<T> dims) const {
    llvm::SmallVector<T> rest(dims);
    if (recurrence)
      rest.erase(rest.begin() + firstAlong(),
                 rest.begin() + firstAlong() + numAlong());
    return rest;
  }
};

/// The indices as expressions.
llvm::SmallVector<Expr> indexExprs(Context &context,
                                   llvm::ArrayRef<const Variable *> variables);

/// The variable and the constant of variable - constant; else null and 0.
std::pair<const Variable *, int64_t> takeLag(Expr point);

class Arrays {
public:
  Arrays(Context &context, KernelOp kernel)
      : context(context), kernel(kernel) {}
  ~Arrays();

  /// Reports what can't be seen in this way. Moves scalar code that does not
  /// depend on the step out of the regions of recurrences.
  mlir::LogicalResult build();

  /// The array that reads of `value` mean, or null.
  Array *find(mlir::Value value) const { return byValue.lookup(value); }
  std::deque<Array> &getArrays() { return arrays; }
  /// A new array with a stand-in to read it by.
  Array &add(const llvm::Twine &name, mlir::Location loc, mlir::Type type,
             llvm::ArrayRef<const Variable *> variables);
  /// The value of a size expression of the kernel, before all equations.
  mlir::Value getSize(mlir::AffineExpr expr);
  mlir::Value getConstant(int64_t value);

private:
  Array &append(const llvm::Twine &name, mlir::Value value,
                mlir::ValueRange sizes);
  void addArguments();
  void addEquation(EquationOp op);
  mlir::LogicalResult addRecurrence(RecurrenceOp op);
  mlir::LogicalResult addDefinitions(RecurrenceOp op);
  mlir::LogicalResult checkDefinition(Array &array);
  mlir::Value
  getScalar(llvm::function_ref<bool(mlir::Operation &)> isIt,
            llvm::function_ref<mlir::Value(mlir::OpBuilder &)> make);

  Context &context;
  KernelOp kernel;
  std::deque<Array> arrays;
  llvm::DenseMap<mlir::Value, Array *> byValue;
  llvm::SmallVector<mlir::Operation *> standIns;
};

} // namespace rondo::algebra

#endif // RONDO_PASSES_ALGEBRA_ARRAYS_H
