//===- StepStructure.cpp - The steps of a kernel at a point ---------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Forms/StepStructure.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"
#include "passes/Analysis/Structure.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::algebra;

/// Sums of elements of arguments that a thread repeats have at most so many.
static constexpr int64_t mostRepeated = 64;

/// Reads of equations of the kernel become what these say.
Expr StepAnalysis::inlineEquations(Expr expr) {
  auto it = known.find(expr);
  if (it != known.end())
    return it->second;
  llvm::DenseMap<Expr, Expr> replacements;
  auto equationOf = [&](Expr node) {
    EquationOp equation;
    if (node->kind == Kind::Read && !node->fallback)
      equation = node->value.getDefiningOp<EquationOp>();
    if (!equation || !isa<KernelOp>(equation->getParentOp()))
      return EquationOp();
    // In range surely: read with indices, not with computed subscripts.
    for (Expr subscript : node->subscripts())
      if (subscript->kind != Kind::Value && subscript->kind != Kind::Variable)
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

/// Reads of states at their own point, at the step or the one before, become
/// `current` and `past`, however they are spelled. Private dims may be indexed
/// by the variables of sums, which stay.
Expr StepAnalysis::nameStates(Expr expr) {
  llvm::DenseMap<Expr, Expr> replacements;
  walk(expr, [&](Expr node) {
    if (!isState(node))
      return;
    for (StepStructure::State &state : s.states) {
      RecurrenceOp op = state.recurrence;
      bool isPast = node->value == op.getPast(state.member);
      if (!isPast && node->value != op.getHistory(state.member))
        continue;
      auto subscripts = node->subscripts();
      std::optional<int64_t> far =
          analysis::distance(s.time, subscripts[s.numBatch]);
      bool isBefore = far == (s.reversed ? -1 : 1);
      if (!isBefore && (isPast || far != 0))
        return;
      if (isBefore && node->fallback != op.getInitials()[state.member])
        return;
      Expr named = isBefore ? state.past : state.current;
      llvm::DenseMap<Expr, Expr> indices;
      for (auto [k, subscript] : llvm::enumerate(subscripts))
        if (k != s.numBatch)
          indices[s.indices[k - (k > s.numBatch)]] = subscript;
      replacements[node] = context.substitute(named, indices);
      return;
    }
  });
  return context.substitute(expr, replacements);
}

/// Only arguments and states at the point are read; indices are known.
bool StepAnalysis::checkValue(Expr expr, StringRef name) {
  bool isGood = true;
  walk(expr, [&](Expr node) {
    // Kernels of these forms report no faults.
    isGood &= !node->isGather();
    if (node->kind == Kind::Reduce) {
      int64_t count = 1;
      for (const Variable *variable : node->variables) {
        APInt lower, upper;
        bool isKnown = matchPattern(variable->lower, m_ConstantInt(&lower)) &&
                       matchPattern(variable->upper, m_ConstantInt(&upper));
        count *= isKnown ? std::max<int64_t>(
                               upper.getSExtValue() - lower.getSExtValue(), 0)
                         : mostRepeated + 1;
      }
      isGood &= count <= mostRepeated && isa<FloatType>(node->type) &&
                !contains(node, [&](Expr each) { return isState(each); });
    }
    if (node->kind == Kind::Value && node != s.time &&
        !llvm::is_contained(s.indices, node) &&
        !node->value.getDefiningOp<SizeOp>())
      isGood = false;
    if (isState(node))
      isGood &= llvm::any_of(s.states, [&](const auto &state) {
        return node == state.past || node == state.current;
      });
  });
  return isGood || refuse("'" + name +
                          "' is not computed from single elements "
                          "of the arguments and of states at its own point");
}

/// Names the states; their values come when all have names.
bool StepAnalysis::addRecurrence(RecurrenceOp op) {
  if (op.getNumAlong() != 1)
    return refuse("'" + op.getName(0) + "' runs along several dims");
  if (op.getNumStates() == 0)
    return refuse("a recurrence has no state");
  if (op.getBatch() != s.numBatch)
    return refuse("its recurrences have other batch dims");
  bool isFirst = s.states.empty();
  if (isFirst) {
    s.reversed = op.getReversed()[0];
    s.time = context.leaf(op.getAlongIndices()[0]);
    s.length = op.getSizes()[0];
  } else if (s.reversed != op.getReversed()[0] ||
             !isSameExtent(op.getSizes()[0], s.length)) {
    return refuse("its recurrences run in different directions");
  }
  for (unsigned i = 0; i < op.getNumStates(); ++i) {
    auto equation = op.getSlice(i).getDefiningOp<EquationOp>();
    if (!equation || equation->getParentOp() != op)
      return refuse("'" + op.getName(i) + "' is not computed by an equation");
    SmallVector<Value> sizes(equation.getSizes());
    if (s.indices.empty()) {
      for (BlockArgument index : equation.getParallelIndices())
        s.indices.push_back(context.leaf(index));
      s.extents = sizes;
    } else if (sizes.size() != s.extents.size() ||
               !llvm::all_of(llvm::zip(sizes, s.extents), [](auto pair) {
                 return isSameExtent(std::get<0>(pair), std::get<1>(pair));
               })) {
      return refuse("its states have different shapes");
    }
    Type type = cast<RankedTensorType>(equation.getType()).getElementType();
    if (!isa<FloatType>(type) ||
        (!s.states.empty() && type != s.states[0].past->type))
      return refuse("'" + op.getName(i) +
                    "' is not a real number like the other states");
    auto initial = op.getInitials()[i].getDefiningOp<InitialOp>();
    auto declared = initial ? initial.getDeclared().getDefiningOp<EquationOp>()
                            : EquationOp();
    if (!declared || declared.getCombiner())
      return refuse("'" + op.getName(i) +
                    "' has an initial value that is computed");
    SmallVector<Expr> at(s.indices);
    at.insert(at.begin() + s.numBatch,
              context.apply(s.reversed ? "arith.addi" : "arith.subi",
                            {s.time, context.integer(1)}, s.time->type));
    Expr past = context.read(op.getHistory(i), at, op.getInitials()[i],
                             s.indices, type);
    at[s.numBatch] = s.time;
    Expr current = context.read(op.getHistory(i), at, {}, {}, type);
    s.states.push_back(
        {op, i, past, current, nullptr, declared, initial.getGiven()});
  }
  return true;
}

/// What an equation in a recurrence says, over the common leaves.
Expr StepAnalysis::valueOf(RecurrenceOp op, EquationOp equation) {
  Expr value = analysis::inlineSlice(context, op, equation.getResult());
  llvm::DenseMap<Expr, Expr> renamed;
  renamed[context.leaf(op.getAlongIndices()[0])] = s.time;
  for (auto [index, leaf] : llvm::zip(equation.getParallelIndices(), s.indices))
    renamed[context.leaf(index)] = leaf;
  return nameStates(inlineEquations(context.substitute(value, renamed)));
}

/// A number of elements that is known when the kernel is compiled.
std::optional<int64_t> StepAnalysis::numberOf(Value extent) {
  APInt constant;
  if (matchPattern(extent, m_ConstantInt(&constant)))
    return constant.getSExtValue();
  if (auto size = extent.getDefiningOp<SizeOp>())
    if (int64_t bound =
            s.kernel.getBound()[s.kernel.getSizeIndex(size.getName())];
        bound >= 0)
      return bound;
  return std::nullopt;
}
