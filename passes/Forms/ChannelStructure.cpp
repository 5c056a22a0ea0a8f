//===- ChannelStructure.cpp - Kernels that are by channel -----------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"
#include "passes/Algebra/Linear.h"
#include "passes/Analysis/Jacobian.h"
#include "passes/Analysis/Structure.h"
#include "passes/Forms/ChannelKernel.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::algebra;

namespace {

/// States of a channel that lanes can hold.
constexpr int64_t mostPrivate = 256;

class ChannelAnalysis : StepAnalysis {
public:
  ChannelAnalysis(Context &context, ChannelStructure &structure,
                  std::string &reason)
      : StepAnalysis(context, structure, reason), s(structure) {}

  bool run();

private:
  bool addGroup(RecurrenceOp op);
  bool addValues();
  bool addPrivate(Expr reduction, StringRef name);
  bool addResult(unsigned output, Value tensor);
  bool addSums(Expr &value, StringRef name);
  bool countPrivate();

  ChannelStructure &s;
  bool hasPrivate = false;
};

bool ChannelAnalysis::addGroup(RecurrenceOp op) {
  unsigned first = s.states.size();
  if (!addRecurrence(op))
    return false;
  ChannelStructure::Group group;
  group.first = first;
  group.count = op.getNumStates();
  s.groups.push_back(group);
  s.isPrivate.assign(s.indices.size() - s.numBatch, false);
  return true;
}

bool ChannelAnalysis::addValues() {
  for (ChannelStructure::State &state : s.states) {
    RecurrenceOp op = state.recurrence;
    auto equation = op.getSlice(state.member).getDefiningOp<EquationOp>();
    if (equation.getCombiner())
      return refuse("'" + op.getName(state.member) +
                    "' is a sum over elements of states");
    state.value = valueOf(op, equation);
    if (!checkValue(state.value, op.getName(state.member)))
      return false;
  }
  return true;
}

/// A sum with states in it makes the dims of its variables private.
bool ChannelAnalysis::addPrivate(Expr reduction, StringRef name) {
  SmallVector<bool> here(s.isPrivate.size(), false);
  llvm::DenseMap<Expr, Expr> indices;
  bool isGood = true;
  walk(reduction->args[0], [&](Expr node) {
    if (!isState(node))
      return;
    auto rest = node->subscripts().drop_front(s.numBatch + 1);
    for (auto [k, subscript] : llvm::enumerate(rest.take_front(here.size()))) {
      if (subscript->kind != Kind::Variable)
        continue;
      APInt lower;
      Expr &known = indices[subscript];
      Expr index = s.indices[s.numBatch + k];
      isGood &=
          (!known || known == index) &&
          matchPattern(subscript->variable->lower, m_ConstantInt(&lower)) &&
          lower.isZero() &&
          isSameExtent(subscript->variable->upper, s.extents[s.numBatch + k]);
      known = index;
      here[k] = true;
    }
  });
  for (const Variable *variable : reduction->variables)
    isGood &= indices.count(context.variable(variable)) > 0;
  // Whose sum it is may not be one of the dims that it sums over.
  for (auto [k, isSummed] : llvm::enumerate(here))
    isGood &= !isSummed || !contains(reduction, [&](Expr node) {
      return node == s.indices[s.numBatch + k];
    });
  if (!isGood || !isa<FloatType>(reduction->type) ||
      reduction->type != s.states[0].past->type ||
      (hasPrivate && here != s.isPrivate))
    return refuse("'" + name + "' sums over a part of the states");
  s.isPrivate = here;
  hasPrivate = true;
  Expr marker = context.variable(context.fresh(s.length, s.length));
  ChannelStructure::Sum sum{
      marker, reduction->combiner,
      context.substitute(reduction->args[0], indices),
      reduction->args.size() > 1 && reduction->args[1]
          ? context.substitute(reduction->args[1], indices)
          : nullptr};
  sum.body = nameStates(sum.body);
  if (sum.filter)
    sum.filter = nameStates(sum.filter);
  s.sums.push_back(sum);
  return checkValue(sum.body, name) &&
         (!sum.filter || checkValue(sum.filter, name));
}

/// Sums of states in a result become markers.
bool ChannelAnalysis::addSums(Expr &value, StringRef name) {
  SmallVector<Expr> reductions;
  walk(value, [&](Expr node) {
    if (node->kind == Kind::Reduce &&
        contains(node, [&](Expr each) { return isState(each); }))
      reductions.push_back(node);
  });
  llvm::DenseMap<Expr, Expr> markers;
  for (Expr reduction : reductions) {
    if (contains(reduction->args[0],
                 [](Expr each) { return each->kind == Kind::Reduce; }))
      return refuse("'" + name + "' has a sum within a sum");
    if (!addPrivate(reduction, name))
      return false;
    markers[reduction] = s.sums.back().marker;
  }
  value = context.substitute(value, markers);
  return true;
}

bool ChannelAnalysis::addResult(unsigned output, Value tensor) {
  TensorSpecAttr spec = s.kernel.getOutput(output);
  if (spec.getRole() == Role::Final) {
    for (auto [i, state] : llvm::enumerate(s.states))
      if (tensor == state.recurrence.getFinal(state.member)) {
        s.finals.push_back({output, i});
        return true;
      }
    return refuse("'" + spec.getName() + "' is not the final value of a state");
  }
  // The history of a member is what its equation says at every step.
  if (auto op = tensor.getDefiningOp<RecurrenceOp>()) {
    unsigned member = cast<OpResult>(tensor).getResultNumber();
    if (member >= op.getNumMembers())
      return refuse("'" + spec.getName() + "' is a final value and a result");
    auto slice = op.getSlice(member).getDefiningOp<EquationOp>();
    if (!slice || slice.getCombiner() || slice->getParentOp() != op ||
        slice.getSizes().size() != s.extents.size())
      return refuse("'" + spec.getName() +
                    "' has other indices than the "
                    "states");
    ChannelStructure::Result result{output, {}, nullptr, true};
    for (unsigned k = 0; k < s.isPrivate.size(); ++k)
      result.dims.push_back(k);
    result.value = valueOf(op, slice);
    s.results.push_back(result);
    return checkValue(result.value, spec.getName());
  }
  auto equation = tensor.getDefiningOp<EquationOp>();
  if (!equation)
    return refuse("'" + spec.getName() + "' is not computed by an equation");
  unsigned rank = equation.getSizes().size();
  if (rank < s.numBatch + 1 ||
      !isSameExtent(equation.getSizes()[s.numBatch], s.length))
    return refuse("'" + spec.getName() + "' has no time dim");
  // Its own indices first: reads of states tell which dims they are.
  SmallVector<Expr> own;
  for (BlockArgument index : equation.getParallelIndices())
    own.push_back(context.leaf(index));
  llvm::DenseMap<Expr, Expr> renamed;
  for (unsigned k = 0; k < s.numBatch; ++k)
    renamed[own[k]] = s.indices[k];
  renamed[own[s.numBatch]] = s.time;
  Expr value = context.substitute(
      inlineEquations(Importer(context).instantiate(equation, own)), renamed);
  ChannelStructure::Result result{output, {}, nullptr, false};
  SmallVector<int> dims(rank - s.numBatch - 1, -1);
  bool isGood = true;
  walk(value, [&](Expr node) {
    if (!isState(node))
      return;
    auto rest = node->subscripts().drop_front(s.numBatch + 1);
    for (auto [k, subscript] :
         llvm::enumerate(rest.take_front(s.isPrivate.size())))
      for (auto [q, leaf] :
           llvm::enumerate(ArrayRef(own).drop_front(s.numBatch + 1)))
        if (subscript == leaf) {
          isGood &= dims[q] < 0 || dims[q] == static_cast<int>(k);
          dims[q] = k;
        }
  });
  for (auto [q, dim] : llvm::enumerate(dims)) {
    if (dim < 0) // reads no state: in order
      for (unsigned k = 0; k < s.isPrivate.size() && dim < 0; ++k)
        if (!llvm::is_contained(dims, static_cast<int>(k)) &&
            isSameExtent(s.extents[s.numBatch + k],
                         equation.getSizes()[s.numBatch + 1 + q]))
          dim = k;
    if (dim < 0 || !isSameExtent(s.extents[s.numBatch + dim],
                                 equation.getSizes()[s.numBatch + 1 + q]))
      return refuse("'" + spec.getName() +
                    "' has other indices than the states");
    result.dims.push_back(dim);
    renamed[own[s.numBatch + 1 + q]] = s.indices[s.numBatch + dim];
  }
  if (!isGood)
    return refuse("'" + spec.getName() + "' reads states of other points");
  value = context.substitute(value, renamed);
  if (!addSums(value, spec.getName()))
    return false;
  result.value = nameStates(value);
  // Markers are variables, whose values are known.
  if (!checkValue(result.value, spec.getName()))
    return false;
  s.results.push_back(result);
  return true;
}

/// After all results: which have private dims, and how many points these have.
bool ChannelAnalysis::countPrivate() {
  for (auto [k, isPrivate] : llvm::enumerate(s.isPrivate)) {
    if (!isPrivate)
      continue;
    std::optional<int64_t> number = numberOf(s.extents[s.numBatch + k]);
    if (!number)
      return refuse("the number of states of a channel is not known when the "
                    "kernel is compiled (--dims)");
    s.numPrivate *= std::max<int64_t>(*number, 1);
    if (s.numPrivate > mostPrivate)
      return refuse("a channel has more than " + Twine(mostPrivate) +
                    " states");
    if (*number == 0)
      return refuse("a channel has no states");
  }
  for (ChannelStructure::Result &result : s.results) {
    SmallVector<bool> has(s.isPrivate.size(), false);
    for (unsigned dim : result.dims)
      has[dim] = true;
    bool all = llvm::all_of(has, [](bool each) { return each; });
    bool channels = true, readsStates = false;
    for (auto [k, each] : llvm::enumerate(has))
      channels &= each != s.isPrivate[k];
    walk(result.value, [&](Expr node) { readsStates |= isState(node); });
    result.isWide = all;
    // Wide results are stored before sums over the channel are known.
    bool readsSums = contains(result.value, [&](Expr node) {
      return llvm::any_of(s.sums, [&](const ChannelStructure::Sum &sum) {
        return sum.marker == node;
      });
    });
    if (all && readsSums)
      return refuse("'" + s.kernel.getOutput(result.output).getName() +
                    "' is of each state of a channel and of their sum");
    if ((!all && !channels) || (!all && readsStates))
      return refuse("'" + s.kernel.getOutput(result.output).getName() +
                    "' has other indices than the states");
  }
  return true;
}

bool ChannelAnalysis::run() {
  s.numBatch = s.kernel.getBatch().size();
  for (Operation &op : s.kernel.getBody().front())
    if (auto recurrence = dyn_cast<RecurrenceOp>(op))
      if (!addGroup(recurrence))
        return false;
  if (s.states.empty())
    return refuse("it has no recurrence");
  if (!addValues())
    return false;
  auto ret = cast<ReturnOp>(s.kernel.getBody().front().getTerminator());
  for (auto [i, tensor] : llvm::enumerate(ret.getOperands()))
    if (!addResult(i, tensor))
      return false;
  return countPrivate();
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

//===----------------------------------------------------------------------===//
// Maps and derivatives
//===----------------------------------------------------------------------===//

/// max(constant, past + shift), if the value is that.
static bool findMaximum(Context &context, ChannelStructure::Group &group,
                        const ChannelStructure::State &state) {
  Expr value = state.value;
  if (group.count != 1 || !value->isOp("arith.maximumf"))
    return false;
  auto isPast = [&](Expr node) { return node == state.past; };
  Expr moving = value->args[0], fixed = value->args[1];
  if (contains(fixed, isPast))
    std::swap(moving, fixed);
  std::optional<Affine> affine = linearize(context, moving, isPast);
  if (contains(fixed, isPast) || !affine || affine->terms.size() != 1 ||
      !affine->terms[0].coefficient->isReal(1) ||
      !affine->terms[0].variables.empty())
    return false;
  group.isMaximum = group.hasMaps = true;
  group.factors = {{affine->constant}};
  group.constants = {fixed};
  return true;
}

static bool findAffine(Context &context, ChannelStructure &s,
                       ChannelStructure::Group &group) {
  ArrayRef<ChannelStructure::State> states =
      ArrayRef(s.states).slice(group.first, group.count);
  auto isPast = [&](Expr node) {
    return llvm::any_of(states,
                        [&](const auto &state) { return node == state.past; });
  };
  group.factors.clear();
  group.constants.clear();
  for (const ChannelStructure::State &state : states) {
    std::optional<Affine> affine = linearize(context, state.value, isPast);
    if (!affine)
      return false;
    SmallVector<Expr> row(group.count, context.real(0, state.value->type));
    for (const LinearTerm &term : affine->terms) {
      if (!term.variables.empty() || contains(term.coefficient, isPast))
        return false;
      for (auto [j, other] : llvm::enumerate(states))
        if (term.read == other.past)
          row[j] = context.add(row[j], term.coefficient);
    }
    if (contains(affine->constant, isPast))
      return false;
    group.factors.push_back(row);
    group.constants.push_back(affine->constant);
  }
  group.hasMaps = true;
  return true;
}

bool rondo::findChannelMaps(Context &context, ChannelStructure &s,
                            std::string &reason) {
  for (ChannelStructure::Group &group : s.groups) {
    ChannelStructure::State &first = s.states[group.first];
    if (!findMaximum(context, group, first) && !findAffine(context, s, group)) {
      reason = ("'" + first.recurrence.getName(first.member) +
                "' is not affine in its past")
                   .str();
      return false;
    }
  }
  return true;
}

bool rondo::findChannelDerivatives(Context &context, ChannelStructure &s,
                                   std::string &reason) {
  if (s.groups.size() != 1 || s.numPrivate != 1 || !s.sums.empty()) {
    reason = s.groups.size() != 1 ? "it has several recurrences"
                                  : "a channel has several states of a kind";
    return false;
  }
  analysis::Jacobian jacobian =
      analysis::findJacobian(context, s.states[0].recurrence);
  if (jacobian.kind == analysis::JacobianKind::None) {
    reason = jacobian.reason;
    return false;
  }
  for (const ChannelStructure::State &state : s.states) {
    SmallVector<Expr> row;
    for (const ChannelStructure::State &other : s.states) {
      row.push_back(differentiate(context, state.value, other.past,
                                  other.past->subscripts().size(), reason));
      if (!row.back())
        return false;
    }
    s.derivatives.push_back(row);
  }
  return true;
}

//===----------------------------------------------------------------------===//
// Reads
//===----------------------------------------------------------------------===//

SmallVector<Expr> ChannelStructure::findReads() const {
  SmallVector<Expr> reads;
  DenseSet<Expr> known;
  auto collect = [&](Expr root) {
    if (!root)
      return;
    // A short sum is computed where it is needed.
    SmallVector<Expr> work{root};
    while (!work.empty()) {
      Expr expr = work.pop_back_val();
      bool isState =
          expr->kind == Kind::Read && expr->value.getDefiningOp<RecurrenceOp>();
      if (expr->kind == Kind::Reduce || isState)
        continue;
      if (expr->kind != Kind::Read)
        llvm::append_range(work, llvm::reverse(expr->args));
      else if (known.insert(expr).second)
        reads.push_back(expr);
    }
  };
  for (const State &state : states)
    collect(state.value);
  for (const Sum &sum : sums) {
    collect(sum.body);
    collect(sum.filter);
  }
  for (const Result &result : results)
    collect(result.value);
  return reads;
}

int64_t ChannelStructure::countReadsOfStep() const {
  return llvm::count_if(findReads(), [&](Expr read) {
    return contains(read, [&](Expr node) { return node == time; });
  });
}
