//===- ChannelStructure.cpp - Kernels that are by channel -----------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Algebra/Linear.h"
#include "passes/Analysis/Structure.h"
#include "passes/Forms/ChannelKernel.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::algebra;

namespace {

class ChannelAnalysis {
public:
  ChannelAnalysis(Context &context, ChannelStructure &structure,
                  std::string &reason)
      : context(context), s(structure), reason(reason) {}

  bool run();

private:
  bool refuse(const Twine &why) {
    reason = why.str();
    return false;
  }
  Expr inlineEquations(Expr expr);
  bool isArgument(Value tensor) {
    auto argument = dyn_cast<BlockArgument>(tensor);
    return argument && isa<KernelOp>(argument.getOwner()->getParentOp());
  }
  bool checkReads(Expr expr, StringRef name);
  bool addResult(unsigned output, Value tensor);

  Context &context;
  ChannelStructure &s;
  std::string &reason;
  llvm::DenseMap<Expr, Expr> known;
};

/// Reads of pointwise equations of the kernel become what these say.
Expr ChannelAnalysis::inlineEquations(Expr expr) {
  auto it = known.find(expr);
  if (it != known.end())
    return it->second;
  llvm::DenseMap<Expr, Expr> replacements;
  auto equationOf = [&](Expr node) {
    EquationOp equation;
    if (node->kind == Kind::Read && !node->fallback)
      equation = node->value.getDefiningOp<EquationOp>();
    if (!equation || equation.getCombiner() ||
        !isa<KernelOp>(equation->getParentOp()))
      return EquationOp();
    // In range surely: read with indices, not with computed subscripts.
    for (Expr subscript : node->subscripts())
      if (subscript->kind != Kind::Value)
        return EquationOp();
    return equation;
  };
  if (EquationOp equation = equationOf(expr))
    return known[expr] = inlineEquations(
               Importer(context).instantiate(equation, expr->subscripts()));
  walk(expr, [&](Expr node) {
    if (node != expr && equationOf(node))
      replacements.try_emplace(node, inlineEquations(node));
  });
  return known[expr] = context.substitute(expr, replacements);
}

/// Only arguments, histories and pasts are read; nothing is summed.
bool ChannelAnalysis::checkReads(Expr expr, StringRef name) {
  bool isGood = true;
  walk(expr, [&](Expr node) {
    if (node->kind == Kind::Reduce || node->kind == Kind::Variable)
      isGood = false;
    if (node->kind != Kind::Read || isArgument(node->value))
      return;
    auto argument = dyn_cast<BlockArgument>(node->value);
    bool isPast = argument && argument.getOwner() == &s.recurrence.getBlock();
    bool isHistory = node->value.getDefiningOp() == s.recurrence &&
                     cast<OpResult>(node->value).getResultNumber() <
                         s.recurrence.getNumStates();
    isGood &= isPast || isHistory;
  });
  return isGood || refuse("'" + name + "' is not computed from single elements "
                          "of the arguments and the states");
}

bool ChannelAnalysis::addResult(unsigned output, Value tensor) {
  TensorSpecAttr spec = s.kernel.getOutput(output);
  if (spec.getRole() == Role::Final) {
    for (unsigned i = 0; i < s.recurrence.getNumStates(); ++i)
      if (tensor == s.recurrence.getFinal(i)) {
        s.finals.push_back({output, i});
        return true;
      }
    return refuse("'" + spec.getName() + "' is not the final value of a state");
  }
  auto equation = tensor.getDefiningOp<EquationOp>();
  auto slice = s.recurrence.getSlice(0).getDefiningOp<EquationOp>();
  SmallVector<Value> sizes(slice.getSizes());
  unsigned time = s.recurrence.getBatch();
  sizes.insert(sizes.begin() + time, s.recurrence.getSizes()[0]);
  if (!equation || equation.getCombiner() ||
      !llvm::equal(equation.getSizes(), sizes))
    return refuse("'" + spec.getName() +
                  "' has other indices than the states");
  SmallVector<Expr> leaves;
  for (BlockArgument index : equation.getParallelIndices())
    leaves.push_back(context.leaf(index));
  Expr value =
      inlineEquations(Importer(context).instantiate(equation, leaves));
  if (!checkReads(value, spec.getName()))
    return false;
  // Histories at the point itself.
  bool isHere = true;
  walk(value, [&](Expr node) {
    if (node->kind == Kind::Read && !isArgument(node->value))
      isHere &= llvm::equal(node->subscripts(), leaves);
    if (node->kind == Kind::Value)
      if (auto argument = dyn_cast<BlockArgument>(node->value))
        isHere &= argument.getOwner() == &equation.getBlock();
  });
  if (!isHere)
    return refuse("'" + spec.getName() + "' reads states of other points");
  s.results.push_back({output, equation, value});
  return true;
}

bool ChannelAnalysis::run() {
  for (Operation &op : s.kernel.getBody().front()) {
    auto recurrence = dyn_cast<RecurrenceOp>(op);
    if (!recurrence)
      continue;
    if (s.recurrence)
      return refuse("it has several recurrences");
    s.recurrence = recurrence;
  }
  if (!s.recurrence)
    return refuse("it has no recurrence");
  if (s.recurrence.getBatch() != s.kernel.getBatch().size())
    return refuse("its recurrence has other batch dims");
  s.jacobian = analysis::findJacobian(context, s.recurrence);
  if (s.jacobian.kind == analysis::JacobianKind::None)
    return refuse(s.jacobian.reason);
  if (!s.jacobian.blockSize)
    return refuse("the step mixes elements of the state");
  StringRef name = s.recurrence.getName(0);
  for (Expr &value : s.jacobian.values) {
    value = inlineEquations(value);
    if (!checkReads(value, name))
      return false;
  }
  for (auto &row : s.jacobian.derivatives)
    for (Expr &derivative : row) {
      derivative = inlineEquations(derivative);
      if (!checkReads(derivative, name))
        return false;
    }
  for (Value initial : s.recurrence.getInitials()) {
    auto op = initial.getDefiningOp<InitialOp>();
    auto declared =
        op ? op.getDeclared().getDefiningOp<EquationOp>() : EquationOp();
    if (!declared || declared.getCombiner())
      return refuse("'" + name + "' has an initial value that is computed");
    s.declared.push_back(declared);
  }
  auto ret = cast<ReturnOp>(s.kernel.getBody().front().getTerminator());
  for (auto [i, tensor] : llvm::enumerate(ret.getOperands()))
    if (!addResult(i, tensor))
      return false;
  return true;
}

} // namespace

std::optional<ChannelStructure>
rondo::findChannelStructure(Context &context, KernelOp kernel,
                            std::string &reason) {
  ChannelStructure structure;
  structure.kernel = kernel;
  reason.clear();
  if (!ChannelAnalysis(context, structure, reason).run())
    return std::nullopt;
  return structure;
}
