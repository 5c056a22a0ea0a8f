//===- EmitExpr.h - Scalar code for resolved expressions --------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_FRONTEND_LOWERING_EMITEXPR_H
#define RONDO_FRONTEND_LOWERING_EMITEXPR_H

#include "frontend/Sema/Model.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/DenseMap.h"

namespace rondo::frontend {

/// Emits the scalar code of one equation's body at the builder's insertion
/// point. Reductions were separated before; reads are the caller's to emit
/// because they depend on where the equation stands.
class ExprEmitter {
public:
  using EmitRead = llvm::function_ref<mlir::Value(
      const model::Expr &read, llvm::ArrayRef<mlir::Value> subscripts,
      mlir::Location loc)>;
  using EmitSize = llvm::function_ref<mlir::Value(llvm::StringRef name)>;
  using GetLoc = llvm::function_ref<mlir::Location(llvm::SMLoc)>;

  ExprEmitter(mlir::OpBuilder &builder, mlir::Type realType, EmitRead emitRead,
              EmitSize emitSize, GetLoc getLoc)
      : builder(builder), realType(realType), emitRead(emitRead),
        emitSize(emitSize), getLoc(getLoc) {}

  void bind(const model::Index *index, mlir::Value value) {
    indices[index] = value;
  }

  /// Real -> realType, Int -> index, Bool -> i1. Equal nodes give one value.
  /// `guard`, if not null, is a condition without which the value does not
  /// count: gathers below it read at 0 when it is false.
  mlir::Value emit(const model::Expr *expr, mlir::Value guard = {});

private:
  mlir::Value emitNode(const model::Expr &expr, mlir::Value guard);
  mlir::Value emitApply(const model::Expr &expr, mlir::Value guard);
  mlir::Value emitInt(const model::Expr &expr, mlir::ValueRange args,
                      mlir::Location loc);
  mlir::Value emitReal(const model::Expr &expr, mlir::ValueRange args,
                       mlir::Location loc);
  mlir::Value emitPower(const model::Expr &expr, mlir::ValueRange args,
                        mlir::Location loc);
  mlir::Value emitComparison(const model::Expr &expr, mlir::ValueRange args,
                             mlir::Location loc);
  mlir::Value real(double value, mlir::Location loc);

  mlir::OpBuilder &builder;
  mlir::Type realType;
  EmitRead emitRead;
  EmitSize emitSize;
  GetLoc getLoc;
  llvm::DenseMap<const model::Index *, mlir::Value> indices;
  llvm::DenseMap<std::pair<const model::Expr *, mlir::Value>, mlir::Value>
      known;
};

} // namespace rondo::frontend

#endif // RONDO_FRONTEND_LOWERING_EMITEXPR_H
