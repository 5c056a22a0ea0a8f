//===- Adjoints.h - Reverse mode on arrays ----------------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The adjoint X.grad[i] of an array is the sum, over all definitions E that
// read X, of sum over p of E.grad[p] * d E[p] / d X[i]. Adjoints of arrays in a
// cycle of a recurrence are a recurrence in the other direction. What flows
// into X from reads of one kind, X[t-1, ..] say, is a state of it, the *carry*
// of these reads:
//
//   X.carry[t, i] = sum over E and p of E.grad[t, p] * d E[t, p] / d X[t-1, i]
//   X.grad[t, i]  = what flows in at t + X.carry[t+1, i]
//
// The carry of a state's reads at t-1 has the gradient of the state's final
// value as its initial value, and its final value is the gradient of the
// state's initial value. Coefficients of the carry are those of the same step
// of the forward pass, so that a linear recurrence has an adjoint of the same
// kind.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_ALGEBRA_ADJOINTS_H
#define RONDO_PASSES_ALGEBRA_ADJOINTS_H

#include "passes/Algebra/Arrays.h"
#include "llvm/ADT/SetVector.h"
#include <map>

namespace rondo::algebra {

class Adjoints {
public:
  /// New equations are put at `builder`.
  Adjoints(Context &context, Arrays &arrays, KernelOp kernel,
           mlir::OpBuilder &builder)
      : context(context), arrays(arrays), kernel(kernel), builder(builder) {}

  /// `result` is an output, whose gradient is the argument `gradient`.
  mlir::LogicalResult addResult(mlir::Value result, TensorSpecAttr spec,
                                mlir::BlockArgument gradient);
  /// Finds out what depends on what, after all results are known.
  mlir::LogicalResult analyze();
  /// Defines the gradient of an input, with its dims in the order `dims`. Null
  /// after an error.
  mlir::Value emitGradient(Array &input, llvm::ArrayRef<int64_t> dims,
                           llvm::StringRef name, mlir::Type element);

private:
  struct Cycle;
  /// What flows into an array from reads of one kind at other steps.
  struct Carry {
    Array *of = nullptr;    // into what
    Array *array = nullptr; // the carry itself
    Array *final = nullptr; // its final value
    /// The steps that are read, over the along variables of `of`.
    llvm::SmallVector<Expr> points;
    /// Where a point is the index less a constant: this constant.
    llvm::SmallVector<std::optional<int64_t>> lags;
    mlir::Value initial;
    /// Whether its final value is what flows into the initial value of `of`,
    /// and its initial value the gradient of the final value.
    bool isWhole = false;
  };
  /// The decay of a state (DecayAdjoints.cpp).
  struct Decay {
    Array *state = nullptr;
    Array *logarithm = nullptr; // has the adjoint
    Expr rest = nullptr;        // what else the state's definition says
    llvm::SmallVector<const Variable *> summed; // the dims that it lacks
  };
  /// Arrays that depend on one another.
  struct Cycle {
    llvm::SmallVector<Array *> members;
    std::deque<Carry> carries;
    /// Members that read others at steps that the index of a sum decides: their
    /// adjoints are read at other steps than their own.
    llvm::SetVector<Array *> shifted;
    bool isEmitted = false;
  };
  struct Info {
    bool varies = false, matters = false;
    llvm::SetVector<Array *> sources, readers;
    Array *adjoint = nullptr;
    Cycle *cycle = nullptr;
    /// Of a state and of the logarithm of its decay.
    Decay *decay = nullptr;
    /// Gradients of results that it is.
    llvm::SmallVector<std::pair<TensorSpecAttr, mlir::Value>> seeds;
    /// Of a greatest or least value: how many terms attain it.
    Array *count = nullptr;
    /// Of a state: the gradient of its final value.
    mlir::Value finalGradient;
    bool isActive() const { return varies && matters; }
  };
  /// Of a read by a definition at the step `along`.
  using ReadRule = llvm::function_ref<std::optional<DeltaTerm>(
      Expr read, llvm::ArrayRef<Expr> along)>;
  using Indices = llvm::SmallVector<Expr>;

  mlir::LogicalResult findReads();
  void findActive();
  void findCycles();
  mlir::LogicalResult findCarries(Cycle &cycle);
  mlir::LogicalResult addCarry(Cycle &cycle, Array &of, Indices points);
  std::optional<DeltaTerm> matchCarry(Carry &carry, Expr read);
  bool matchesCarry(Array &of, Expr read);
  bool isShared(Array &a, Array &b);
  bool isRegular(Array &of, Expr read, llvm::ArrayRef<Expr> along);

  Expr attainsValue(Array &reader, Expr term, llvm::ArrayRef<Expr> indices);
  Array &countAttained(Array &reader);
  Expr contribution(Array &reader, llvm::ArrayRef<Expr> step, ReadRule rule,
                    bool withDecay = true);
  Expr defineAdjoint(Array &array);
  Expr fromChoice(Array &choice, Array &array);
  Expr fromReader(Array &reader, Array &array);
  Expr defineCarry(Carry &carry, bool withDecay = true);
  Expr readCarry(Carry &carry);
  Expr carryBeforeStart(Carry &carry, Array &choice);
  Expr initialFromStates(Array &choice);
  Expr initialFromReader(Array &reader, Array &choice);
  Expr seed(Array &array);
  Expr isGiven(Array &choice);
  const Variable *windowOf(Carry &carry);

  void findDecays();
  void findDecay(Array &state);
  bool isReadNearby(Array &state);
  Expr inlinePointwise(Expr expr, RecurrenceOp of);
  llvm::SmallVector<Expr> stepBefore(Array &state);
  bool isGradient(mlir::Value value);
  Expr contract(Expr weight, Expr history, Array &state,
                llvm::ArrayRef<const Variable *> summed);
  mlir::Value emitBalance(Decay &decay, Expr change);
  Expr defineDecayAdjoint(Decay &decay);

  mlir::Value materialize(Array &array);
  Expr readDefinition(Array &array, Expr read);
  Expr resolve(Expr expr, Cycle *except = nullptr);
  mlir::Value emit(mlir::OpBuilder &at, const llvm::Twine &name,
                   mlir::Location loc, mlir::Type element, Expr definition,
                   llvm::ArrayRef<const Variable *> variables,
                   const llvm::DenseMap<Expr, Expr> &bindings =
                       llvm::DenseMap<Expr, Expr>());
  void emitCycle(Cycle &cycle);
  llvm::SmallVector<Array *> orderMembers(Cycle &cycle);
  bool isAtStep(Array &array, Expr read);
  mlir::Value emitConstant(const llvm::Twine &name, double number,
                           mlir::Type type,
                           llvm::ArrayRef<const Variable *> variables);

  Expr inside(Expr point, const Variable *of);
  Expr index(llvm::StringRef op, Expr a, Expr b);
  Expr compareReal(mlir::arith::CmpFPredicate predicate, Expr a, Expr b);
  Expr zero(mlir::Type type) { return context.real(0, type); }

  Context &context;
  Arrays &arrays;
  KernelOp kernel;
  mlir::OpBuilder &builder;
  std::map<Array *, Info> infos;
  /// Whose adjoint an array is, and to which cycle carries belong.
  llvm::DenseMap<Array *, Array *> adjointOf;
  llvm::DenseMap<Array *, Cycle *> carriesOf;
  std::deque<Cycle> cycles;
  std::deque<Decay> decays;
  /// Arguments that are gradients of results.
  llvm::SmallVector<mlir::Value> gradients;
  bool hasFailed = false;
};

} // namespace rondo::algebra

#endif // RONDO_PASSES_ALGEBRA_ADJOINTS_H
