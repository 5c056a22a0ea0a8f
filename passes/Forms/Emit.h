//===- Emit.h - Write a kernel as a function --------------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// One KernelEmitter writes one function. Its parts, by file:
//
//   EmitScalars.cpp    integer expressions, scalar code, conversions between
//                      what bodies compute with and what memory holds
//   EmitAccess.cpp     views of tensors: subviews, guards, faults, copies
//   EmitEquation.cpp   a statement at one step: fill and linalg.generic
//   EmitKernel.cpp     the function: workspace, batch loop, clusters
//   EmitIterate.cpp    iterations within a step
//   EmitRows.cpp       batch points and blocks of rows
//
// Scalar values of the kernel are mapped to values of the function in `map`.
// Those of the kernel itself are emitted at the function's entry, those of a
// recurrence's region at the start of each step; those of an equation's body on
// demand, at the innermost place where they do not change.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_FORMS_EMIT_H
#define RONDO_PASSES_FORMS_EMIT_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"
#include "passes/Forms/SteadyStatements.h"

namespace rondo {

/// A dim of a linalg.generic: an index of the equation with its range.
struct IterationDim {
  mlir::Value index; // of the equation
  bool isReduction;
  mlir::OpFoldResult lower, extent;
  mlir::AffineExpr start; // `lower`, where that is known
};

/// A subscript that was tested to be in range of a size for all values of the
/// indices that it holds.
struct Window {
  mlir::AffineExpr subscript, size;
  mlir::AffineExpr first, last; // its range
};

/// Part of a tensor in memory, as seen by an iteration.
struct View {
  mlir::Value memref;
  llvm::SmallVector<mlir::OpFoldResult> offsets, sizes; // per dim in memory
  /// Per dim in memory: the iteration dim that runs over it, or -1.
  llvm::SmallVector<int> dims;
  /// Conditions (i1) under which the point is in range, null for surely:
  /// in the dims that the tensor's loops run over, and in the others.
  mlir::Value inTime, inRest;

  unsigned getNumKept() const {
    return llvm::count_if(dims, [](int dim) { return dim >= 0; });
  }
};

class KernelEmitter {
public:
  /// `steady`: what is not computed in all chunks.
  KernelEmitter(Program &program, const Clusters &clusters,
                const Storage &storage, const SteadyStatements &steady,
                mlir::OpBuilder &builder)
      : program(program), clusters(clusters), storage(storage), steady(steady),
        b(builder) {}

  /// Writes both functions at the builder's point.
  void run();

private:
  friend class EquationEmitter;

  // EmitScalars.cpp
  mlir::Value constant(int64_t value);
  mlir::Value emitExpr(mlir::AffineExpr expr);
  mlir::OpFoldResult emitExtent(mlir::AffineExpr expr);
  mlir::Value toValue(mlir::OpFoldResult value);
  mlir::Value emitScalar(mlir::Value value);
  void emitOp(mlir::Operation *op, mlir::IRMapping &mapping);
  mlir::Value fromMemory(mlir::Value value, mlir::Type scalar);
  mlir::Value toMemory(mlir::Value value, mlir::Type element);
  mlir::Value emitZero(mlir::Type type);
  mlir::Value emitAnd(mlir::Value a, mlir::Value b);
  mlir::Value emitSelect(mlir::Value condition, mlir::Value a, mlir::Value b);

  // EmitAccess.cpp
  mlir::Value getBase(const TensorStorage &place);
  bool isInRange(mlir::AffineExpr subscript, mlir::AffineExpr size) const;
  mlir::AffineExpr getFlat(const Access &access, const Tensor &tensor,
                           llvm::ArrayRef<mlir::Value> subscripts,
                           unsigned dim) const;
  mlir::Value getStandIn(const TensorStorage &place);
  bool isPositive(mlir::AffineExpr size) const;
  mlir::Value emitStep(const Cluster &cluster, unsigned loop,
                       mlir::Value index);
  mlir::Value emitInRange(mlir::Value subscript, mlir::AffineExpr size);
  View resolve(const Access &access, llvm::ArrayRef<IterationDim> iteration);
  View resolveFallback(const Access &access,
                       llvm::ArrayRef<IterationDim> iteration);
  View resolveSnapshot(const Access &access, const Snapshot &snapshot,
                       llvm::ArrayRef<IterationDim> iteration);
  View resolveAt(const Access &access, const Tensor &tensor,
                 const TensorStorage &place,
                 llvm::ArrayRef<mlir::Value> subscripts,
                 llvm::ArrayRef<IterationDim> iteration);
  void resolveDim(View &view, const Access &access, const Tensor &tensor,
                  unsigned dim, mlir::Value subscript, bool isTime,
                  llvm::ArrayRef<IterationDim> iteration);
  bool resolveOver(View &view, mlir::AffineExpr subscript,
                   mlir::AffineExpr size,
                   llvm::ArrayRef<IterationDim> iteration);
  mlir::Value createSubview(const View &view);
  mlir::AffineMap getMap(const View &view, unsigned numDims);
  mlir::Value loadPoint(const View &view);
  void storePoint(const View &view, mlir::Value value);
  mlir::Value emitPointRead(const Access &access);
  void recordFault(const Access &access, unsigned dim, mlir::Value subscript,
                   mlir::Value inRange);
  mlir::Attribute describeFault(const Access &access, unsigned dim);
  /// A tensor, or another place with its dims, with some dims fixed.
  struct Slice {
    mlir::Value memref;
    llvm::SmallVector<unsigned> dims; // tensor dim behind each dim left
  };
  using FixDim = llvm::function_ref<mlir::Value(unsigned dim)>;
  Slice slice(mlir::Value memref, llvm::ArrayRef<unsigned> dims,
              llvm::ArrayRef<mlir::OpFoldResult> sizes, FixDim fix,
              bool isBuffer = false);
  Slice sliceStorage(const Tensor &tensor, FixDim fix);
  Slice sliceOutput(const Tensor &tensor, FixDim fix);
  void copy(const Slice &from, const Slice &to);
  mlir::Value isGiven(mlir::Value memref);

  // EmitEquation.cpp
  void emitStatement(Statement &statement);

  // EmitKernel.cpp
  void createFunction();
  llvm::SmallVector<mlir::Value> emitLayout(mlir::Value &total);
  void createWorkerBytes();
  void limitChannels();
  void createBuffers();
  void emitCluster(const Cluster &cluster);
  bool hasIndependentSteps(const Cluster &cluster);
  void emitPrefills(const Cluster &cluster, unsigned level);
  void emitLoop(const Cluster &cluster, unsigned level);
  void emitSteps(const Cluster &cluster, unsigned level, mlir::Value lower,
                 mlir::Value upper);
  void emitFinals(const Cluster &cluster);
  void emitStepBody(const Cluster &cluster);
  void emitInitial(const Node &node);
  void emitPrefill(const Tensor &tensor);
  void emitSnapshot(const Snapshot &snapshot, const Cluster &cluster);
  void emitRegionScalars(mlir::Block &block);
  void emitCarriedInitial(const Tensor &state);
  void emitInner(RecurrenceOp inner, llvm::ArrayRef<Statement *> statements,
                 unsigned level);
  void emitStatements(llvm::ArrayRef<Statement *> statements);
  mlir::Value emitChanges(const Steadiness &steadiness);
  void emitIterate(IterateOp op, llvm::ArrayRef<Statement *> statements);
  void emitAndCopyOut(Statement &statement);
  void emitFinal(const Tensor &state);
  void copyFinal(const Tensor &state, const Slice &to);
  void mapIndices(const Statement &statement);
  mlir::DictionaryAttr getSignature();

  // EmitRows.cpp
  mlir::Value emitMostRows();
  void emitPoints(mlir::Value begin, mlir::Value end);
  void emitPointLoop(mlir::Value begin, mlir::Value end);
  /// Of an outer point, those of its points that are in a range.
  struct OuterPoint {
    mlir::Value point, lower, upper;
  };
  OuterPoint enterOuterPoints(mlir::Value begin, mlir::Value end,
                              mlir::Value count);
  void emitParts(mlir::Value begin, mlir::Value end);
  void sliceChannels(mlir::Value first);
  mlir::Value emitMostBlocks();
  void forEachBlock(llvm::function_ref<void()> emit);
  void emitInBlocks(const Cluster &cluster);
  void emitBlock(mlir::Value begin, mlir::Value count);
  void emitPoint();
  void unravel(mlir::Value point);
  mlir::Value selectMatrix(const ProductGroup &group, mlir::Value place);
  void forEachProduct(unsigned group,
                      llvm::function_ref<void(const Product &member)> emit);
  void emitPacked(unsigned group);
  View resolveMatrix(const Access &access,
                     llvm::ArrayRef<IterationDim> iteration);
  View resolvePacked(const Access &access,
                     llvm::ArrayRef<IterationDim> iteration);
  void resolveRow(View &view, mlir::Value subscript,
                  llvm::ArrayRef<IterationDim> iteration);
  bool emitProducts(Statement &statement);
  mlir::Value sliceSlot(mlir::Value buffer, mlir::Value slot);
  /// A dim that a block of rows runs over.
  bool isRowDim(unsigned dim) const {
    return storage.rows && storage.rows->dim == dim;
  }

  Program &program;
  const Clusters &clusters;
  const Storage &storage;
  const SteadyStatements &steady;
  mlir::OpBuilder &b;
  mlir::Location loc = mlir::UnknownLoc::get(b.getContext());

  mlir::func::FuncOp func;
  llvm::SmallVector<mlir::Value> sizes, inputs, outputs;
  mlir::Value workspace, fault;
  llvm::SmallVector<mlir::Value> buffers; // views of the workspace
  llvm::SmallVector<mlir::Attribute> faults;
  /// Replacements of inputs and outputs that may be empty where they are read.
  llvm::DenseMap<mlir::Value, mlir::Value> standIns;
  llvm::SmallVector<Buffer> standInBuffers;
  /// Of channels: those of the range at hand, in parts of a block.
  mlir::Value numBlocks;
  mlir::Operation *entryEnd = nullptr; // the function's entry ends before it

  // The current point of the loops.
  mlir::IRMapping map;
  llvm::SmallVector<mlir::Value> batchPoint, timePoint, steps;
  /// The block of rows, null for a single point, and whether matrices are
  /// packed for it.
  mlir::Value firstRow, numRows, isPacked;
  /// The product of a group that is computed, null for none: its number, and
  /// its matrix among the inputs.
  mlir::Value product, matrix;
  unsigned productGroup = 0;
  bool isProductPacked = false;
  llvm::SmallVector<mlir::AffineExpr> positive; // sizes of the loops around
  Statement *current = nullptr;
  llvm::SmallVector<Window> windows; // of the statement, where it is whole
};

} // namespace rondo

#endif // RONDO_PASSES_FORMS_EMIT_H
