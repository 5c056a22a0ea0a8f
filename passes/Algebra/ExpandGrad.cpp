//===- ExpandGrad.cpp - Gradients inside a model to equations -------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "passes/Algebra/Expr.h"
#include "passes/Algebra/Passes.h"

namespace rondo::algebra {
#define GEN_PASS_DEF_EXPANDGRAD
#include "passes/Algebra/Passes.h.inc"
} // namespace rondo::algebra

using namespace mlir;
using namespace rondo;
using namespace rondo::algebra;

namespace {

/// Replaces reads of equations that depend on the variable by what these
/// equations say.
class Inliner {
public:
  Inliner(Context &context, Expr variable)
      : context(context), variable(variable) {}

  Expr inlineReads(Expr expr);
  std::string reason;

private:
  bool depends(Value tensor);
  Expr inlineRead(Expr read);

  Context &context;
  Expr variable;
  llvm::DenseMap<Value, bool> dependence;
  llvm::DenseMap<Expr, Expr> known;
};

/// Whether the equation behind a tensor reads the variable's tensor, directly
/// or through other equations.
bool Inliner::depends(Value tensor) {
  if (tensor == variable->value)
    return true;
  auto [it, isNew] = dependence.try_emplace(tensor, false);
  if (!isNew)
    return it->second;
  auto equation = tensor.getDefiningOp<EquationOp>();
  if (!equation) {
    if (auto recurrence = tensor.getDefiningOp<RecurrenceOp>())
      if (recurrence == variable->value.getDefiningOp())
        reason = "it goes through '" +
                 recurrence
                     .getName(cast<OpResult>(tensor).getResultNumber() %
                              recurrence.getNumMembers())
                     .str() +
                 "', which the recurrence defines, but stands outside of it";
    return false;
  }
  bool found = false;
  equation.walk([&](ReadOp read) { found |= depends(read.getSource()); });
  equation.walk([&](GatherOp read) { found |= depends(read.getSource()); });
  return dependence[tensor] = found;
}

Expr Inliner::inlineRead(Expr read) {
  if (read->value == variable->value || !depends(read->value))
    return read;
  auto equation = read->value.getDefiningOp<EquationOp>();
  if (read->isGather()) {
    // At a place out of range it is an error of the kernel, not 0.
    reason = "it reads '" + read->attributes.getAs<StringAttr>("name").str() +
             "', which depends on it, at places that data gives";
    return read;
  }
  SmallVector<Expr> subscripts;
  for (Expr subscript : read->subscripts())
    subscripts.push_back(inlineReads(subscript));
  Importer importer(context);
  Expr value =
      inlineReads(importer.instantiate(equation, subscripts));
  // A read out of range is 0. Indices over the same size are in range.
  Expr condition = context.boolean(true);
  for (auto [subscript, size] :
       llvm::zip_equal(subscripts, equation.getSizes())) {
    if (subscript->kind == Kind::Variable &&
        subscript->variable->upper == size)
      continue;
    if (subscript->kind == Kind::Value)
      continue; // an index of the enclosing equation, over the same dim
    condition = context.logicalAnd(
        condition,
        context.logicalAnd(
            context.compareIndex(
                static_cast<int64_t>(arith::CmpIPredicate::sge), subscript,
                context.integer(0)),
            context.compareIndex(
                static_cast<int64_t>(arith::CmpIPredicate::slt), subscript,
                context.leaf(size))));
  }
  if (condition->isInteger(1))
    return value;
  return context.select(condition, value, context.real(0, value->type));
}

Expr Inliner::inlineReads(Expr expr) {
  auto it = known.find(expr);
  if (it != known.end())
    return it->second;
  llvm::DenseMap<Expr, Expr> replacements;
  walk(expr, [&](Expr node) {
    if (node->kind == Kind::Read && node != expr) {
      Expr replaced = inlineRead(node);
      if (replaced != node)
        replacements[node] = replaced;
    }
  });
  Expr result = expr->kind == Kind::Read
                    ? inlineRead(expr)
                    : context.substitute(expr, replacements);
  return known[expr] = result;
}

/// How many leading subscripts of a read say which array is meant: the batch
/// dims and the dims that the state runs along.
unsigned numFixedSubscripts(Value tensor) {
  RecurrenceOp recurrence;
  if (auto argument = dyn_cast<BlockArgument>(tensor))
    recurrence = dyn_cast<RecurrenceOp>(argument.getOwner()->getParentOp());
  else
    recurrence = tensor.getDefiningOp<RecurrenceOp>();
  return recurrence ? recurrence.getBatch() + recurrence.getNumAlong() : 0;
}

struct ExpandGrad : rondo::algebra::impl::ExpandGradBase<ExpandGrad> {
  LogicalResult expand(GradOp grad) {
    auto equation = grad->getParentOfType<EquationOp>();
    if (!equation)
      return grad.emitError("a gradient must stand in an equation");
    Context context(&getContext());
    Importer importer(context);
    Expr variable = importer.import(grad.getVariable());
    Inliner inliner(context, variable);
    Expr value = inliner.inlineReads(importer.import(grad.getValue()));
    std::string reason = inliner.reason;
    Expr derivative =
        reason.empty()
            ? differentiate(context, value, variable,
                            numFixedSubscripts(variable->value), reason)
            : nullptr;
    if (!derivative)
      return grad.emitError() << "cannot differentiate: " << reason;
    OpBuilder builder(grad);
    grad.replaceAllUsesWith(Exporter(equation).emit(builder, derivative));
    grad.erase();
    return success();
  }

  void runOnOperation() override {
    SmallVector<GradOp> grads;
    getOperation().walk([&](GradOp grad) { grads.push_back(grad); });
    for (GradOp grad : grads)
      if (failed(expand(grad)))
        return signalPassFailure();
  }
};

} // namespace
