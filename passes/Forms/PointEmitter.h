//===- PointEmitter.h - Writing what happens at a point ---------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What emitters of device kernels have in common that hold the states of a
// point in registers (StepStructure.h): scalar code for expressions, and the
// functions around the kernel.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_FORMS_POINTEMITTER_H
#define RONDO_PASSES_FORMS_POINTEMITTER_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "passes/Forms/StepStructure.h"

namespace rondo {

class PointEmitter {
protected:
  using Value = mlir::Value;
  using Values = llvm::SmallVector<mlir::Value>;
  using Expr = algebra::Expr;

  PointEmitter(algebra::Context &context, StepStructure &structure)
      : context(context), common(structure), op(structure.kernel),
        b(op.getLoc(), op.getContext()), type(structure.states[0].past->type) {}

  /// What expressions are at one point of the program; what is not here is
  /// looked up further out.
  struct Scope {
    llvm::DenseMap<Expr, Value> values;
    const Scope *outer = nullptr;

    Scope() = default;
    explicit Scope(const Scope &outer) : outer(&outer) {}
    Scope(Scope &&) = default;
    Value lookup(Expr expr) const {
      for (const Scope *scope = this; scope; scope = scope->outer)
        if (Value value = scope->values.lookup(expr))
          return value;
      return {};
    }
  };

  // Scalars.
  Value constant(int64_t value) {
    return mlir::arith::ConstantIndexOp::create(b, value);
  }
  Value real(double value) {
    return mlir::arith::ConstantOp::create(b, b.getFloatAttr(type, value));
  }
  Value add(Value x, Value y) { return mlir::arith::AddIOp::create(b, x, y); }
  Value sub(Value x, Value y) { return mlir::arith::SubIOp::create(b, x, y); }
  Value mul(Value x, Value y) { return mlir::arith::MulIOp::create(b, x, y); }
  Value div(Value x, Value y) { return mlir::arith::DivUIOp::create(b, x, y); }
  Value rem(Value x, Value y) { return mlir::arith::RemUIOp::create(b, x, y); }
  Value addf(Value x, Value y) { return mlir::arith::AddFOp::create(b, x, y); }
  Value mulf(Value x, Value y) { return mlir::arith::MulFOp::create(b, x, y); }
  Value less(Value x, Value y) {
    return mlir::arith::CmpIOp::create(b, mlir::arith::CmpIPredicate::slt, x,
                                       y);
  }
  Value equal(Value x, Value y) {
    return mlir::arith::CmpIOp::create(b, mlir::arith::CmpIPredicate::eq, x, y);
  }
  Value both(Value x, Value y) {
    return x && y ? mlir::arith::AndIOp::create(b, x, y).getResult()
                  : (x ? x : y);
  }
  /// With no condition: x.
  Value select(Value c, Value x, Value y) {
    return c ? mlir::arith::SelectOp::create(b, c, x, y).getResult() : x;
  }
  Value emitSize(mlir::AffineExpr expr);
  void emitIf(Value condition, llvm::function_ref<void()> body);
  void barrier() { mlir::gpu::BarrierOp::create(b); }
  Value shared(mlir::Type element, llvm::ArrayRef<int64_t> shape);

  // Expressions.
  Value emit(Expr expr, Scope &scope);
  Value emitReduce(Expr expr, Scope &scope);
  Value emitCombined(Combiner combiner, Value x, Value y);
  Value emitIdentity(Combiner combiner);
  /// An element of an argument: where it is, as it lies in memory, and what is
  /// read. The type is none for arguments without dims, which have no memory.
  Value getTensor(Expr expr) const;
  mlir::Type getRawType(Expr expr) const;
  Values emitSubscripts(Expr expr, Scope &scope);
  Value emitRaw(Expr expr, Scope &scope);
  Value finishRead(Expr expr, Value raw, Scope &scope);
  static bool isState(Expr expr) {
    return expr->kind == algebra::Kind::Read &&
           expr->value.getDefiningOp<RecurrenceOp>();
  }
  static bool dependsOn(Expr expr, Expr leaf);
  Value load(Value raw, mlir::Type scalar);
  Value pack(Value value, mlir::Type element);
  void store(Value value, Value memref, mlir::ValueRange subscripts);

  // The functions.
  /// Makes a kernel of so many threads a block.
  void createKernel(llvm::StringRef name, int64_t threads);
  /// Goes to the kernel's start.
  void enterKernel();
  /// @f of the host and @f_worker_bytes. `emitLaunches` launches kernels for
  /// the batch points from `first` up to `stop`; without `emitBytes` there is
  /// no workspace.
  void createHost(llvm::StringRef form,
                  llvm::function_ref<void(Value first, Value stop,
                                          mlir::ValueRange operands)>
                      emitLaunches,
                  llvm::function_ref<Value()> emitBytes);
  struct Place {
    Values sizes, tensors;
    Value point;
  };
  Place emitPlaceOf(Value point);
  void enter(const Place &place);
  void bindBatch(Value point, Scope &scope);
  Value emitInitial(const StepStructure::State &state, Scope &point);
  void emitFinal(unsigned output, Scope &point, Value value, Value isThere);
  void emitResult(unsigned output, mlir::ValueRange here, Value value);
  Value getOutput(unsigned output) {
    return tensors[op.getInputs().size() + output];
  }
  Values arrangeOutput(unsigned output, mlir::ValueRange here);

  algebra::Context &context;
  StepStructure &common;
  KernelOp op;
  mlir::ImplicitLocOpBuilder b;
  mlir::Type type; // of the states

  mlir::gpu::GPUFuncOp kernel;
  llvm::SmallVector<TensorSpecAttr> getTensors();
  void bindSizes(mlir::ValueRange arguments);

  /// Of the kernel's place: inputs, then outputs.
  Values sizes, tensors;
  Value begin, end, sequences, sequenceWidth, workspace;
};

} // namespace rondo

#endif // RONDO_PASSES_FORMS_POINTEMITTER_H
