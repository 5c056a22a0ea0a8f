//===- ChannelEmitter.h - Writing kernels by channel ------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the three kernels of ChannelKernel.h have in common, private to them.
//
//   ChannelEmitter.cpp     expressions, steps, the functions
//   ChannelSequential.cpp  one step after the other
//   ChannelScan.cpp        composed maps
//   ChannelNewton.cpp      linearised steps
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_FORMS_CHANNELEMITTER_H
#define RONDO_PASSES_FORMS_CHANNELEMITTER_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "passes/Common/PackedSequences.h"
#include "passes/Forms/ChannelKernel.h"
#include "llvm/ADT/SetVector.h"
#include <deque>

namespace rondo {

class ChannelEmitter {
public:
  using Value = mlir::Value;
  using Values = llvm::SmallVector<mlir::Value>;
  using Expr = algebra::Expr;

  ChannelEmitter(algebra::Context &context, ChannelStructure &structure,
                 ChannelParameters parameters);
  void run();

private:
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

  /// A step that a thread computes.
  struct Step {
    Value isValid;            // it is not behind the end; null: surely
    Value time;               // a time of the sequence, whether or not it is
    Value place;              // the same, if it is not behind the end
    Scope scope;              // what depends on no state and no private point
    std::deque<Scope> points; // one per private point of the thread
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
  /// An element of an argument: as it lies in memory, and what is read.
  Value emitRaw(Expr expr, Scope &scope);
  Value finishRead(Expr expr, Value raw, Scope &scope);
  bool isState(Expr expr) const {
    return expr->kind == algebra::Kind::Read &&
           expr->value.getDefiningOp<RecurrenceOp>();
  }
  bool dependsOn(Expr expr, Expr leaf) const;
  bool dependsOnTime(Expr expr) const { return dependsOn(expr, s.time); }
  bool dependsOnPrivate(Expr expr) const;
  bool dependsOnChannel(Expr expr) const;
  Value load(Value raw, mlir::Type scalar);
  void store(Value value, Value memref, mlir::ValueRange subscripts);

  // The kernel.
  void createFunctions();
  void emitPlace();
  void unravel(Value flat, llvm::ArrayRef<unsigned> dims, Scope &scope);
  llvm::SmallVector<unsigned> dimsOf(bool isPrivate) const;
  void collectReads();
  Values emitInitials(); // [state][point]
  Step &emitStep(Value number, bool isWhole);
  /// Loads what the states need that is not loaded yet.
  void prepare(Step &step);
  Value timeOf(Value number);
  Values emitNew(Step &step, mlir::ValueRange before);
  /// Binds states of a step and those before it, [state][point].
  void bindStates(Step &step, mlir::ValueRange before, mlir::ValueRange now);
  void emitWide(Step &step);
  void emitNarrow(llvm::ArrayRef<Step *> steps);
  void emitStore(const ChannelStructure::Result &result, Step &step,
                 Scope &scope, Value value, Value isOwn);
  void emitFinals(mlir::ValueRange states, Value isOwn);

  // One step after the other.
  struct Tile {
    Expr read;
    Value memory; // [2][steps][width]
    int64_t width;
    bool isOfChannel; // else of the private points
  };
  void emitSequential();
  Values emitSteps(Value first, Value count, mlir::ValueRange states);
  void planReads();
  Values emitBlock(Value first, Value buffer, llvm::ArrayRef<Value> raws,
                   bool isWhole, mlir::ValueRange before);
  void emitSums(Value first, Value buffer, bool isWhole,
                llvm::ArrayRef<llvm::SmallVector<Value>> partial);
  void bindRaws(Step &step, llvm::ArrayRef<Value> raws);
  void bindBlock(Step &step, Value u, Value buffer);
  struct TileLoad {
    unsigned tile;
    Value u, column, isInside; // null: surely
    std::unique_ptr<Scope> scope;
  };
  std::vector<TileLoad> planTiles();
  llvm::SmallVector<Value> emitLoads(llvm::ArrayRef<TileLoad> loads,
                                     Value first, bool isWhole);
  void storeTiles(llvm::ArrayRef<TileLoad> loads, llvm::ArrayRef<Value> raws,
                  Value first, Value buffer);
  Expr arrange(Expr expr);

  // Windows.
  void emitScan();
  void emitNewton();
  struct Solved {
    llvm::SmallVector<Values> defects;                    // [r][i]
    llvm::SmallVector<llvm::SmallVector<Values>> factors; // [r][i][j]
    Values composed; // the segment's map: n of the constant, n * n factors
    Value isBad;     // a defect is too large
  };
  Solved emitEvaluation(llvm::ArrayRef<Step *> steps, mlir::ValueRange before,
                        llvm::ArrayRef<Values> states);
  Values composeAffine(mlir::ValueRange later, mlir::ValueRange earlier,
                       unsigned n);
  Values applyAffine(mlir::ValueRange map, mlir::ValueRange x, unsigned n);

  algebra::Context &context;
  ChannelStructure &s;
  ChannelParameters p;
  mlir::ImplicitLocOpBuilder b;
  unsigned n;        // states
  int64_t numPoints; // private points of a thread
  mlir::Type type;   // of the states

  mlir::gpu::GPUFuncOp kernel;
  mlir::func::FuncOp host;
  Values sizes, inputs, outputs;
  Value begin, end;
  // Of the thread.
  Value lane, segment, channelInBlock, firstChannel, numChannels, length, last;
  Value isOwn;                  // it has a channel
  Value isSome;                 // the block has work
  Scope base;                   // what depends on no step
  std::deque<Scope> basePoints; // and on a private point
  Values isPoint;               // a private point is there; null: surely
  /// Reads of arguments that depend on the step but on no state: of a point,
  /// through shared memory, or as they are.
  llvm::SetVector<Expr> reads;
  llvm::DenseMap<Expr, Expr> arranged;
  llvm::SmallVector<Tile> tiles;
  llvm::SmallVector<std::pair<Expr, int64_t>> direct; // and the point, or -1
  std::deque<Step> steps; // their scopes stay in place
};

} // namespace rondo

#endif // RONDO_PASSES_FORMS_CHANNELEMITTER_H
