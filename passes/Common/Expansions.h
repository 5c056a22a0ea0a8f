//===- Expansions.h - Arithmetic made of simpler ops -----------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_COMMON_EXPANSIONS_H
#define RONDO_PASSES_COMMON_EXPANSIONS_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/IR/TypeUtilities.h"
#include <optional>

namespace rondo {

/// The type with the shape of `type` (a scalar or a vector) and this element.
mlir::Type withElement(mlir::Type type, mlir::Type element);

/// A constant of a scalar or vector type, from its value in every lane.
mlir::Value createConstant(mlir::OpBuilder &builder, mlir::Location loc,
                           mlir::Type type, mlir::TypedAttr scalar);
mlir::Value createFloat(mlir::OpBuilder &builder, mlir::Location loc,
                        mlir::Type type, double value);
mlir::Value createInteger(mlir::OpBuilder &builder, mlir::Location loc,
                          mlir::Type type, int64_t value);

/// The remainder of floor division of scalars or vectors; `divisor` is the
/// value of `rhs` in all lanes if it is known.
mlir::Value expandFloorMod(mlir::OpBuilder &builder, mlir::Location loc,
                           mlir::Value lhs, mlir::Value rhs,
                           std::optional<int64_t> divisor);

/// The constant vector 0, step, 2 * step, ...
mlir::Value createStep(mlir::OpBuilder &builder, mlir::Location loc,
                       mlir::VectorType type, int64_t step);

} // namespace rondo

#endif // RONDO_PASSES_COMMON_EXPANSIONS_H
