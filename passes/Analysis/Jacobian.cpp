//===- Jacobian.cpp - The derivative of a recurrence's step ---------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Analysis/Jacobian.h"
#include "passes/Analysis/Structure.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::algebra;
using namespace rondo::analysis;

StringRef rondo::analysis::stringify(JacobianKind kind) {
  switch (kind) {
  case JacobianKind::Diagonal:
    return "diagonal";
  case JacobianKind::Blocks:
    return "blocks";
  case JacobianKind::BlockDiagonal:
    return "block_diagonal";
  case JacobianKind::Dense:
    return "dense";
  case JacobianKind::None:
    return "none";
  }
  return "";
}

namespace {

class JacobianAnalysis {
public:
  JacobianAnalysis(Context &context, RecurrenceOp op, Jacobian &jacobian)
      : context(context), op(op), jacobian(jacobian) {}

  /// False with the reason.
  bool run();

private:
  bool refuse(const Twine &reason) {
    jacobian.reason = reason.str();
    return false;
  }
  bool isPast(Expr node) {
    auto argument = node->kind == Kind::Read
                        ? dyn_cast<BlockArgument>(node->value)
                        : BlockArgument();
    return argument && argument.getOwner() == &op.getBlock();
  }
  unsigned memberOf(Expr past) {
    return cast<BlockArgument>(past->value).getArgNumber() - op.getNumAlong();
  }
  ArrayRef<Expr> rest(Expr past) {
    return past->subscripts().drop_front(op.getBatch() + 1);
  }
  bool collectValues();
  bool checkNode(unsigned state, Expr node);
  bool checkPast(unsigned state, Expr past);
  void classify();
  bool differentiateAll();

  Context &context;
  RecurrenceOp op;
  Jacobian &jacobian;
  /// Per dim of the states, whether all reads keep it.
  SmallVector<bool> kept;
};

/// The values of the states, all over the same leaves.
bool JacobianAnalysis::collectValues() {
  EquationOp first;
  for (unsigned i = 0; i < op.getNumStates(); ++i) {
    auto equation = op.getSlice(i).getDefiningOp<EquationOp>();
    if (!equation || equation->getParentOp() != op)
      return refuse("'" + op.getName(i) + "' is not computed by an equation");
    Expr value = inlineSlice(context, op, equation.getResult());
    if (!first) {
      first = equation;
      for (BlockArgument index : equation.getParallelIndices())
        jacobian.indices.push_back(context.leaf(index));
    } else if (!llvm::equal(equation.getSizes(), first.getSizes())) {
      return refuse("its states have different shapes");
    } else {
      llvm::DenseMap<Expr, Expr> renamed;
      for (auto [index, leaf] :
           llvm::zip(equation.getParallelIndices(), jacobian.indices))
        renamed[context.leaf(index)] = leaf;
      value = context.substitute(value, renamed);
    }
    if (!isa<FloatType>(value->type))
      return refuse("'" + op.getName(i) + "' is not a real number");
    jacobian.values.push_back(value);
  }
  return true;
}

/// What every part of a value must be like.
bool JacobianAnalysis::checkNode(unsigned state, Expr node) {
  if ((node->isOp("arith.cmpf") || node->isOp("arith.cmpi")) &&
      contains(node, [&](Expr each) { return isPast(each); })) {
    jacobian.threshold = true;
    return refuse("'" + op.getName(state) +
                  "' compares old values: a step has no useful derivative");
  }
  // Leaves are indices or computed outside; others can't be moved.
  if (node->kind == Kind::Value) {
    Operation *home = isa<BlockArgument>(node->value)
                          ? cast<BlockArgument>(node->value)
                                .getOwner()
                                ->getParentOp()
                          : node->value.getDefiningOp();
    bool isIndex = node->value == op.getAlongIndices()[0] ||
                   llvm::is_contained(jacobian.indices, node);
    if (!isIndex && op->isAncestor(home))
      return refuse("'" + op.getName(state) +
                    "' reads at a place that is known at the step only");
  }
  // So are the ranges of sums.
  if (node->kind == Kind::Variable)
    for (Value bound : {node->variable->lower, node->variable->upper})
      if (op->isAncestor(bound.getParentRegion()->getParentOp()))
        return refuse("'" + op.getName(state) +
                      "' sums over a range that is known at the step only");
  return !isPast(node) || checkPast(state, node);
}

/// Batch indices as they are, one step before.
bool JacobianAnalysis::checkPast(unsigned state, Expr past) {
  unsigned batch = op.getBatch();
  StringRef name = op.getName(memberOf(past));
  if (memberOf(past) >= op.getNumStates())
    return refuse("the past of '" + name + "', which is not a state, is read");
  std::optional<int64_t> far = distance(
      context.leaf(op.getAlongIndices()[0]), past->subscripts()[batch]);
  if (far != (jacobian.reversed ? -1 : 1))
    return refuse("'" + name + "' is read at other steps than the last one");
  if (past->subscripts().take_front(batch) !=
      ArrayRef(jacobian.indices).take_front(batch))
    return refuse("'" + name + "' is read across batch dims");
  for (auto [k, subscript] : llvm::enumerate(rest(past)))
    kept[k] = kept[k] && subscript == jacobian.indices[batch + k];
  return true;
}

void JacobianAnalysis::classify() {
  if (llvm::all_of(kept, [](bool each) { return each; })) {
    jacobian.blockSize = op.getNumStates();
    jacobian.kind = jacobian.blockSize == 1 ? JacobianKind::Diagonal
                                            : JacobianKind::Blocks;
    return;
  }
  for (auto [k, each] : llvm::enumerate(kept))
    if (each)
      jacobian.keptDims.push_back(k);
  jacobian.kind = jacobian.keptDims.empty() ? JacobianKind::Dense
                                            : JacobianKind::BlockDiagonal;
}

/// For pointwise steps: every read of a past is at the point itself.
bool JacobianAnalysis::differentiateAll() {
  // One spelling of the step before for all reads of a state.
  jacobian.pasts.assign(op.getNumStates(), nullptr);
  for (Expr &value : jacobian.values) {
    llvm::DenseMap<Expr, Expr> same;
    walk(value, [&](Expr node) {
      if (!isPast(node))
        return;
      Expr &past = jacobian.pasts[memberOf(node)];
      past = past ? past : node;
      same[node] = past;
    });
    value = context.substitute(value, same);
  }
  for (Expr value : jacobian.values) {
    SmallVector<Expr> row;
    for (Expr past : jacobian.pasts) {
      if (!past) { // no state depends on this one
        row.push_back(context.real(0, value->type));
        continue;
      }
      std::string reason;
      Expr derivative = differentiate(context, value, past,
                                      past->subscripts().size(), reason);
      if (!derivative)
        return refuse(reason);
      row.push_back(derivative);
    }
    jacobian.derivatives.push_back(std::move(row));
  }
  return true;
}

bool JacobianAnalysis::run() {
  if (op.getNumAlong() != 1)
    return refuse("it runs along several dims");
  if (op.getNumStates() == 0)
    return refuse("it has no state");
  jacobian.reversed = op.getReversed()[0];
  if (!collectValues())
    return false;
  kept.assign(jacobian.indices.size() - op.getBatch(), true);
  for (auto [i, value] : llvm::enumerate(jacobian.values)) {
    bool isGood = true;
    walk(value, [&, i = i](Expr node) {
      isGood = isGood && checkNode(i, node);
    });
    if (!isGood)
      return false;
  }
  classify();
  return jacobian.blockSize == 0 || differentiateAll();
}

} // namespace

Jacobian rondo::analysis::findJacobian(Context &context, RecurrenceOp op) {
  Jacobian jacobian;
  if (!JacobianAnalysis(context, op, jacobian).run())
    jacobian.kind = JacobianKind::None;
  return jacobian;
}
