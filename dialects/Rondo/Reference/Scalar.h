//===- Scalar.h - Scalar operations of the interpreter ----------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One value of a body, and the table of what each scalar operation computes.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_DIALECTS_RONDO_REFERENCE_SCALAR_H
#define RONDO_DIALECTS_RONDO_REFERENCE_SCALAR_H

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Operation.h"

namespace rondo::reference {

/// A value of a body. Its type in the IR says which member is alive: `real`
/// for floats, `integer` for integers, indices and conditions (0 or 1).
union Scalar {
  double real;
  int64_t integer;
};

inline Scalar makeReal(double value) { return {value}; }
inline Scalar makeInteger(int64_t value) {
  Scalar scalar;
  scalar.integer = value;
  return scalar;
}

/// What an operation computes from its operands (at most three; the rest of
/// the arguments is undefined).
using ScalarFunction = Scalar (*)(Scalar, Scalar, Scalar);

/// The function of a scalar operation, or null when it is not one.
ScalarFunction getScalarFunction(mlir::Operation *op);
/// The same by full name, for operations whose name says everything.
ScalarFunction getScalarFunction(llvm::StringRef name);

/// The value of a numeric attribute, as a constant of its type.
Scalar getConstant(mlir::TypedAttr attribute);

/// The integer of an array's element: toward zero; the nearest one when no
/// int64 can hold it, and 0 for NaN.
int64_t toInteger(double value);
/// The element of an array that holds a body's value, and back.
double toElement(Scalar value, mlir::Type type);
Scalar fromElement(double element, mlir::Type type);

} // namespace rondo::reference

#endif // RONDO_DIALECTS_RONDO_REFERENCE_SCALAR_H
