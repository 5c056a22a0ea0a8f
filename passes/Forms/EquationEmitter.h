//===- EquationEmitter.h - One statement at one step ------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// result[p] = combine over r of body(p, r), where batch and time indices are
// already bound. The remaining indices are *free*. Each one is either *kept*, a
// dim of a linalg.generic, or *looped*, an scf.for around it:
//
//   for looped parallel indices
//     fill with the identity                          (reductions)
//     for looped reduction indices, in narrowed bounds
//       if the parts of the filter that no kept index changes
//         scalar code that no kept index changes
//         linalg.generic over the kept indices
//
// An index is looped when
//   - some read uses it in a subscript that is not plain: one kept index and
//     what no kept index changes, in range of the dim (x[t - 3 + p], x[i, i],
//     emb[tokens[u]] are not). In the loop, the subscript is a scalar, and
//     guards and faults are handled once outside. Two subscripts x[e / n, e mod
//     n] that number the elements of two dims are one subscript e of both;
//   - it bounds a reduction: sum[u | u <= t] becomes a range of u for each t.
//     Where t and u could both be kept, and so is another parallel index, the
//     bound is left to the linalg.generic: rows t of a triangle share work;
//   - it chooses the slot of a ring or the step of a snapshot;
//   - it has one value only: views of memory leave out dims of size 1, and MLIR
//     can't tell one that is left out from one that is kept;
//   - it is a reduction index by which no operand of the linalg.generic is
//     subscripted, so that nothing would give its range.
//
// A subscript that may leave the range of its dim at the ends of a sequence
// only, x[16 c + r] with c bound, is a *window*: the statement is emitted
// twice, for windows that are whole, where the subscript is plain, and for
// others. Here c is the step of a loop over time, or an index of the equation
// which is then looped around both.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_FORMS_EQUATIONEMITTER_H
#define RONDO_PASSES_FORMS_EQUATIONEMITTER_H

#include "passes/Forms/Emit.h"

namespace rondo {

class EquationEmitter {
public:
  /// `outer` are indices that are looped around, by enterOuter.
  EquationEmitter(KernelEmitter &kernel, Statement &statement, bool isWhole,
                  llvm::ArrayRef<mlir::Value> outer = {})
      : kernel(kernel), exprs(kernel.program.exprs), b(kernel.b),
        loc(kernel.loc), statement(statement), op(statement.op),
        isWhole(isWhole), outer(outer) {}

  /// Decides what is looped and what is kept.
  void prepare();
  void emit() { emitParallel(0); }
  /// Windows that are taken to be whole.
  llvm::ArrayRef<Window> getWindows() const { return windows; }
  /// Indices that, were they outer ones, would make subscripts windows.
  llvm::ArrayRef<mlir::Value> getOuter() const { return wanted.getArrayRef(); }
  /// Continues in loops over these.
  void enterOuter();
  mlir::Value emitAreWhole();

private:
  /// One bit per free index.
  using IndexSet = uint64_t;
  struct FreeIndex {
    mlir::Value index;
    bool isReduction;
    bool isLooped = false;
    mlir::AffineExpr lower, upper;
    mlir::AffineExpr size; // of the dim; null: the upper end
    bool isRow = false;    // of the block, in place of the bounds
  };
  /// A part of the filter that bounds a reduction index: with
  /// side * (index - rest) <= 0, for -1: index >= rest, for 1: index <= rest,
  /// for 0: index == rest.
  struct Bound {
    unsigned free;
    int side;
    mlir::AffineExpr rest;
    mlir::Value condition;
  };

  // What is looped, what is kept.
  void collectFree();
  void collectFilter(mlir::Value condition);
  bool findBound(mlir::Value condition);
  void findNeeded(mlir::Value value);
  void loopBounds(const Bound &bound);
  bool isTriangle(const Bound &bound);
  void chooseLooped();
  bool loopTime(const Access &access);
  bool loopUnlessPlain(const Access &access, const Tensor &tensor,
                       llvm::ArrayRef<mlir::Value> subscripts);
  bool isKeptPlain(mlir::AffineExpr subscript, mlir::AffineExpr size,
                   IndexSet &taken);
  bool isKnown(mlir::Operation *def);
  bool addWindow(mlir::AffineExpr subscript, mlir::AffineExpr size,
                 mlir::AffineExpr rest, const FreeIndex &index);
  bool loopOthers(mlir::AffineExpr subscript, mlir::AffineExpr size,
                  IndexSet set, IndexSet &taken);
  IndexSet getKept(mlir::AffineExpr expr);
  bool loopUnranged();
  IndexSet getIndices(mlir::Value value);
  IndexSet getKept(mlir::Value value);
  IndexSet getKeptIn(mlir::Value subscript);

  // Emission.
  void enterLoop(const FreeIndex &index);
  void emitParallel(unsigned next);
  void emitReduction(unsigned next);
  void emitCore();
  void emitFiltered();
  void emitPoint();
  void emitGeneric();
  void emitFill();
  void markRare(mlir::Operation *work);
  void computeRange(unsigned free);
  bool isPlacedBy(const Tensor &tensor, llvm::ArrayRef<mlir::Value> subscripts,
                  mlir::Value index);

  /// A read in the body of the linalg.generic.
  struct Operand {
    const Access *access;
    unsigned input = 0;          // position among the inputs
    int fallback = -1;           // position of the fallback, if read separately
    mlir::Value inRange;         // null: surely
    mlir::Value fallbackInRange; // null: surely
    bool isOutput = false;       // the element that is overwritten
  };
  void addOperand(const Access &access);
  unsigned addInput(mlir::Value memref, mlir::AffineMap map);
  mlir::Value readOperand(const Operand &operand, mlir::Block *body);
  void emitOutside(mlir::Value value);
  mlir::Value emitBody(mlir::Block *body);
  mlir::Value combine(mlir::Value accumulator, mlir::Value term);
  mlir::TypedAttr getIdentity();

  KernelEmitter &kernel;
  IndexExprs &exprs;
  mlir::OpBuilder &b;
  mlir::Location loc;
  Statement &statement;
  EquationOp op;
  bool isWhole; // the windows are
  llvm::ArrayRef<mlir::Value> outer;

  llvm::SetVector<mlir::Value> wanted; // as outer ones
  llvm::SmallVector<Window> windows;
  llvm::SmallVector<FreeIndex> free;
  llvm::SmallVector<Bound> bounds;
  llvm::SmallVector<mlir::Value> conditions; // other parts of the filter
  /// Ops of the body, in order of need.
  llvm::SetVector<mlir::Operation *> needed;
  /// Of reductions: lower, upper.
  llvm::SmallVector<std::pair<mlir::Value, mlir::Value>> ranges;
  llvm::DenseMap<mlir::Value, IndexSet> indicesOf;
  llvm::SmallVector<IterationDim> kept;
  llvm::SmallVector<IterationDim> filled; // the parallel ones, not narrowed

  // Of the linalg.generic being built.
  llvm::SmallVector<mlir::Value> inputs;
  llvm::SmallVector<mlir::AffineMap> maps;
  llvm::SmallVector<Operand> operands;
  mlir::IRMapping body;
};

} // namespace rondo

#endif // RONDO_PASSES_FORMS_EQUATIONEMITTER_H
