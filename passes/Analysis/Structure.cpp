//===- Structure.cpp - What kind of recurrence is this? -------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Analysis/Structure.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::algebra;
using namespace rondo::analysis;

StringRef rondo::analysis::stringify(Transition kind) {
  switch (kind) {
  case Transition::Identity:
    return "identity";
  case Transition::Scalar:
    return "scalar";
  case Transition::Diagonal:
    return "diagonal";
  case Transition::DiagonalLowRank:
    return "diagonal_low_rank";
  case Transition::Dense:
    return "dense";
  case Transition::Convolution:
    return "convolution";
  case Transition::MaxPlus:
    return "max_plus";
  case Transition::Nonlinear:
    return "nonlinear";
  }
  return "";
}

std::optional<int64_t> rondo::analysis::distance(Expr index, Expr subscript) {
  int64_t offset = 0;
  while (subscript != index) {
    bool isSum = subscript->isOp("arith.addi");
    if (!isSum && !subscript->isOp("arith.subi"))
      return std::nullopt;
    Expr a = subscript->args[0], b = subscript->args[1];
    if (isSum && a->kind == Kind::Integer)
      std::swap(a, b);
    if (b->kind != Kind::Integer)
      return std::nullopt;
    offset += isSum ? -b->integer : b->integer;
    subscript = a;
  }
  return offset;
}

//===----------------------------------------------------------------------===//
// Inlining
//===----------------------------------------------------------------------===//

namespace {

/// Replaces reads of the slices of a recurrence by what defines them.
class SliceInliner {
public:
  SliceInliner(Context &context, RecurrenceOp op) : context(context), op(op) {}

  Expr visit(Expr expr) {
    auto it = known.find(expr);
    if (it != known.end())
      return it->second;
    llvm::DenseMap<Expr, Expr> replacements;
    if (expr->kind == Kind::Read) {
      EquationOp equation = sliceEquation(expr->value);
      if (!equation)
        return known[expr] = expr;
      Expr value = visit(
          Importer(context).instantiate(equation, expr->subscripts()));
      return known[expr] = value;
    }
    // Substitution stops at replaced nodes, so outer reads win.
    walk(expr, [&](Expr node) {
      if (node->kind == Kind::Read && sliceEquation(node->value))
        replacements.try_emplace(node, visit(node));
    });
    return known[expr] = context.substitute(expr, replacements);
  }

private:
  EquationOp sliceEquation(Value tensor) {
    auto equation = tensor.getDefiningOp<EquationOp>();
    return equation && equation->getParentOp() == op ? equation : EquationOp();
  }

  Context &context;
  RecurrenceOp op;
  llvm::DenseMap<Expr, Expr> known;
};

//===----------------------------------------------------------------------===//
// Classification
//===----------------------------------------------------------------------===//

class StateAnalysis {
public:
  StateAnalysis(Context &context, RecurrenceOp op, StateStructure &state)
      : context(context), op(op), state(state) {}

  void run();

private:
  bool isPast(Expr node) {
    if (node->kind != Kind::Read)
      return false;
    auto argument = dyn_cast<BlockArgument>(node->value);
    return argument && argument.getOwner() == &op.getBlock();
  }
  unsigned memberOf(Expr past) {
    return cast<BlockArgument>(past->value).getArgNumber() - op.getNumAlong();
  }
  /// Subscripts behind batch and along dims.
  ArrayRef<Expr> rest(Expr past) {
    return past->subscripts().drop_front(op.getBatch() + op.getNumAlong());
  }
  bool uses(Expr expr, Expr leaf) {
    return contains(expr, [&](Expr node) { return node == leaf; });
  }
  void classifyLags();
  bool classifyMaxPlus();
  void classifyNonlinear();
  void classifyAffine(const Affine &affine);
  bool addTerm(const LinearTerm &term);
  bool addLowRank(const LinearTerm &term, unsigned dim);
  void join(Transition kind) { state.kind = std::max(state.kind, kind); }

  Context &context;
  RecurrenceOp op;
  StateStructure &state;
};

/// `block` for the subscript t - t mod block - 1.
static unsigned frozenBlock(Expr time, Expr subscript) {
  if (!subscript->isOp("arith.subi"))
    return 0;
  Expr end = subscript->args[0], one = subscript->args[1];
  if (!one->isInteger(1) || !end->isOp("arith.subi") || end->args[0] != time)
    return 0;
  Expr mod = end->args[1];
  if (!mod->isOp("rondo.mod") || mod->args[0] != time ||
      mod->args[1]->kind != Kind::Integer)
    return 0;
  return mod->args[1]->integer;
}

void StateAnalysis::classifyLags() {
  state.lag = 0;
  bool unbounded = false;
  walk(state.value, [&](Expr node) {
    if (!isPast(node))
      return;
    unsigned member = memberOf(node);
    if (member != state.member && !llvm::is_contained(state.coupled, member))
      state.coupled.push_back(member);
    for (unsigned k = 0; k < op.getNumAlong(); ++k) {
      Expr time = context.leaf(op.getAlongIndices()[k]);
      Expr subscript = node->subscripts()[op.getBatch() + k];
      if (std::optional<int64_t> far = distance(time, subscript))
        state.lag = std::max<int64_t>(state.lag, std::abs(*far));
      else if (unsigned block = frozenBlock(time, subscript))
        state.block = std::max(state.block, block);
      else
        unbounded = true;
    }
  });
  state.lag = std::max(state.lag, state.block);
  if (unbounded)
    state.lag = 0;
}

/// b(i) * scale * c(i') from the coefficient of a term that contracts one dim.
bool StateAnalysis::addLowRank(const LinearTerm &term, unsigned dim) {
  Expr kept = state.indices[dim];
  const Variable *variable = rest(term.read)[dim]->variable;
  Expr summed = context.variable(variable);
  Type type = term.coefficient->type;
  for (Expr summand : summands(context, term.coefficient)) {
    SmallVector<Expr> left, right, scale;
    for (Expr factor : factors(context, summand)) {
      bool usesKept = uses(factor, kept), usesSummed = uses(factor, summed);
      if (usesKept && usesSummed)
        return false;
      (usesKept ? left : usesSummed ? right : scale).push_back(factor);
    }
    state.lowRank.push_back({dim, product(context, left, type),
                             product(context, right, type),
                             product(context, scale, type), variable});
  }
  return true;
}

/// Sorts one term into decay or low rank; false if it fits neither.
bool StateAnalysis::addTerm(const LinearTerm &term) {
  if (memberOf(term.read) != state.member)
    return false;
  std::optional<unsigned> contracted;
  SmallVector<const Variable *> left(term.variables.begin(),
                                     term.variables.end());
  for (auto [k, subscript] : llvm::enumerate(rest(term.read))) {
    if (subscript == state.indices[k])
      continue;
    if (subscript->kind != Kind::Variable || contracted ||
        !llvm::is_contained(left, subscript->variable)) {
      if (distance(state.indices[k], subscript))
        join(Transition::Convolution);
      return false;
    }
    contracted = k;
    llvm::erase(left, subscript->variable);
  }
  // What is summed over besides the state's dims belongs to the coefficient.
  LinearTerm closed{sumOut(context, term.coefficient, left), term.read,
                    term.variables};
  if (contracted)
    return addLowRank(closed, *contracted);
  state.decay = context.add(state.decay, closed.coefficient);
  return true;
}

void StateAnalysis::classifyAffine(const Affine &affine) {
  state.constant = affine.constant;
  state.decay = context.real(0, state.value->type);
  state.kind = Transition::Identity;
  bool fits = true;
  for (const LinearTerm &term : affine.terms)
    fits &= addTerm(term);
  for (unsigned k = 0; k < op.getNumAlong(); ++k) {
    Expr time = context.leaf(op.getAlongIndices()[k]);
    state.timeInvariant =
        llvm::none_of(affine.terms, [&](const LinearTerm &term) {
          return uses(term.coefficient, time);
        });
  }
  if (!fits) {
    join(Transition::Dense);
    return;
  }
  for (auto [k, index] : llvm::enumerate(state.indices))
    if (uses(state.decay, index))
      state.decayDims.push_back(k);
  state.logDecay = logarithm(context, state.decay);
  if (!state.decay->isReal(1))
    join(state.decayDims.empty() ? Transition::Scalar : Transition::Diagonal);
  if (!state.lowRank.empty())
    join(Transition::DiagonalLowRank);
}

/// max of old value plus something and of things without old values.
bool StateAnalysis::classifyMaxPlus() {
  SmallVector<Expr> branches{state.value};
  bool isMax = false;
  for (unsigned i = 0; i < branches.size();) {
    if (branches[i]->isOp("arith.maximumf")) {
      isMax = true;
      Expr node = branches[i];
      branches[i] = node->args[0];
      branches.push_back(node->args[1]);
    } else {
      ++i;
    }
  }
  if (!isMax)
    return false;
  for (Expr branch : branches) {
    std::optional<Affine> affine =
        linearize(context, branch, [&](Expr e) { return isPast(e); });
    if (!affine || affine->terms.size() > 1)
      return false;
    for (const LinearTerm &term : affine->terms)
      if (!term.coefficient->isReal(1) || !term.variables.empty() ||
          memberOf(term.read) != state.member ||
          !llvm::equal(rest(term.read), state.indices))
        return false;
  }
  state.kind = Transition::MaxPlus;
  return true;
}

void StateAnalysis::classifyNonlinear() {
  state.kind = Transition::Nonlinear;
  state.diagonalJacobian = true;
  walk(state.value, [&](Expr node) {
    if (isPast(node) && !llvm::equal(rest(node), state.indices))
      state.diagonalJacobian = false;
    if ((node->isOp("arith.cmpf") || node->isOp("arith.cmpi")) &&
        contains(node, [&](Expr each) { return isPast(each); }))
      state.threshold = true;
  });
}

void StateAnalysis::run() {
  auto equation = op.getSlice(state.member).getDefiningOp<EquationOp>();
  state.name = op.getName(state.member);
  state.value = inlineSlice(context, op, op.getSlice(state.member));
  for (BlockArgument index :
       equation.getParallelIndices().drop_front(op.getBatch()))
    state.indices.push_back(context.leaf(index));
  classifyLags();
  if (std::optional<Affine> affine = linearize(
          context, state.value, [&](Expr e) { return isPast(e); }))
    classifyAffine(*affine);
  else if (!classifyMaxPlus())
    classifyNonlinear();
}

} // namespace

Expr rondo::analysis::inlineSlice(Context &context, RecurrenceOp op,
                                  Value slice) {
  auto equation = slice.getDefiningOp<EquationOp>();
  SmallVector<Expr> indices;
  for (BlockArgument index : equation.getParallelIndices())
    indices.push_back(context.leaf(index));
  SliceInliner inliner(context, op);
  return inliner.visit(Importer(context).instantiate(equation, indices));
}

RecurrenceStructure rondo::analysis::analyze(Context &context,
                                             RecurrenceOp op) {
  RecurrenceStructure result;
  for (unsigned i = 0; i < op.getNumStates(); ++i) {
    StateStructure state;
    state.member = i;
    if (!op.getSlice(i).getDefiningOp<EquationOp>()) {
      state.name = op.getName(i);
    } else {
      StateAnalysis(context, op, state).run();
    }
    // States that read one another's past are not affine one by one.
    if (!state.coupled.empty() && state.kind < Transition::Dense)
      state.kind = Transition::Dense;
    result.kind = std::max(result.kind, state.kind);
    result.states.push_back(std::move(state));
  }
  return result;
}
