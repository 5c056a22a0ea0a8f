//===- Structure.cpp - What kind of recurrence is this? -------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Analysis/Structure.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"
#include "passes/Algebra/Inline.h"
#include "passes/Algebra/Range.h"
#include "passes/Analysis/Extrema.h"
#include "llvm/ADT/IntEqClasses.h"
#include <cmath>
#include <set>

using namespace mlir;
using namespace rondo;
using namespace rondo::algebra;
using namespace rondo::analysis;

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
      for (auto [subscript, size] :
           llvm::zip_equal(expr->subscripts(), equation.getSizes()))
        if (!isInRange(subscript, size))
          value = context.select(inRange(subscript, size), value,
                                 zero(value->type));
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

  /// Is it an index that runs over a dim of this size?
  static bool isInRange(Expr subscript, Value size) {
    if (subscript->kind == Kind::Variable)
      return subscript->variable->upper == size &&
             matchPattern(subscript->variable->lower, m_Zero());
    APInt extent;
    if (subscript->kind == Kind::Integer)
      return subscript->integer >= 0 &&
             matchPattern(size, m_ConstantInt(&extent)) &&
             extent.sgt(subscript->integer);
    auto index = dyn_cast_or_null<BlockArgument>(
        subscript->kind == Kind::Value ? subscript->value : Value());
    if (!index)
      return false;
    Operation *owner = index.getOwner()->getParentOp();
    if (auto equation = dyn_cast<EquationOp>(owner))
      return algebra::extentOf(equation, index) == size;
    auto recurrence = dyn_cast<RecurrenceOp>(owner); // a step
    return recurrence && recurrence.getSizes()[index.getArgNumber()] == size;
  }

  /// What is read outside of a slice is 0.
  Expr inRange(Expr subscript, Value size) {
    return context.compareIndex(static_cast<int64_t>(arith::CmpIPredicate::ult),
                                subscript, context.leaf(size));
  }
  Expr zero(Type type) {
    if (isa<FloatType>(type))
      return context.real(0, type);
    if (type.isInteger(1))
      return context.boolean(false);
    Expr none = context.integer(0);
    return type.isIndex() ? none
                          : context.apply("arith.index_cast", none, type);
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
  Expr inlineWide(Expr expr, unsigned depth = 0);
  Expr inlineSum(EquationOp equation, ArrayRef<Expr> indices, unsigned depth);
  Expr resolveStateSums(Expr expr);
  void classifyLags();
  void findCoupling();
  void findMixed(const Affine &affine);
  void findRank();
  void findWrite();
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

static Decay signOf(Expr decay) {
  Range range = rangeOf(decay);
  if (range.isWithin(1, 1))
    return Decay::One;
  if (range.isNonNegative())
    return range.isWithin(0, 1) ? Decay::Unit : Decay::Positive;
  // Bounded from below by a negative number: such a value can be reached. A
  // factor that the caller gives is anything.
  bool isKnown = range.upper <= 0 || std::isfinite(range.lower);
  return isKnown ? Decay::Signed : Decay::Unknown;
}

/// Equal products have equal keys, in whatever order they are written.
static SmallVector<Expr> productKey(Context &context, Expr expr) {
  SmallVector<Expr> key = factors(context, expr);
  llvm::sort(key);
  return key;
}

/// The transition is a sum of left right^T: terms with the same left, or with
/// the same right, are one.
void StateAnalysis::findRank() {
  std::set<SmallVector<Expr>> lefts, rights;
  for (const LowRankTerm &term : state.lowRank) {
    lefts.insert(productKey(context, term.left));
    llvm::DenseMap<Expr, Expr> toState;
    toState[context.variable(term.variable)] = state.indices[term.dim];
    rights.insert(productKey(context, context.substitute(term.right, toState)));
  }
  state.rank = std::min(lefts.size(), rights.size());
}

/// Whether what is added is a sum of products of factors that use disjoint dims
/// of the state, at least two groups of them if it has two dims.
void StateAnalysis::findWrite() {
  if (state.constant->isReal(0))
    return;
  SmallVector<Expr> terms = summands(context, state.constant);
  unsigned rank = state.indices.size();
  llvm::IntEqClasses groups(rank);
  for (Expr term : terms)
    for (Expr factor : factors(context, term)) {
      std::optional<unsigned> first;
      for (auto [k, index] : llvm::enumerate(state.indices))
        if (uses(factor, index)) {
          if (first)
            groups.join(*first, k);
          else
            first = k;
        }
    }
  groups.compress();
  if (rank >= 2 && groups.getNumClasses() < 2) {
    state.write = Write::Full;
    return;
  }
  state.write = Write::Outer;
  state.writeRank = 1;
  if (rank < 2)
    return;
  // Terms that differ in one group of dims only are one product.
  state.writeRank = terms.size();
  for (unsigned group = 0; group < groups.getNumClasses(); ++group) {
    std::set<SmallVector<Expr>> keys;
    for (Expr term : terms) {
      SmallVector<Expr> key;
      for (Expr factor : factors(context, term))
        for (auto [k, index] : llvm::enumerate(state.indices))
          if (groups[k] == group && uses(factor, index)) {
            key.push_back(factor);
            break;
          }
      llvm::sort(key);
      keys.insert(key);
    }
    if (groups.getNumClasses() == 2)
      state.writeRank = std::min<unsigned>(state.writeRank, keys.size());
  }
}

/// The dims that terms still sum over, after Kronecker deltas.
void StateAnalysis::findMixed(const Affine &affine) {
  llvm::SmallSetVector<unsigned, 4> mixed;
  for (const LinearTerm &term : affine.terms)
    if (memberOf(term.read) == state.member)
      for (auto [k, subscript] : llvm::enumerate(rest(term.read)))
        if (!llvm::is_contained(state.indices, subscript))
          mixed.insert(k);
  state.mixed.assign(mixed.begin(), mixed.end());
  llvm::sort(state.mixed);
}

/// More states or elements than this are not a small block.
static constexpr unsigned largestBlock = 8;

/// Which old elements the new one depends on.
void StateAnalysis::findCoupling() {
  llvm::SmallDenseSet<unsigned> mixed;
  SmallVector<bool> kept(state.indices.size(), true);
  bool isSmall = true;
  unsigned block = 1;
  bool any = false;
  walk(state.value, [&](Expr node) {
    if (!isPast(node))
      return;
    any = true;
    unsigned size = 1;
    SmallVector<bool> here(state.indices.size(), false);
    for (auto [k, subscript] : llvm::enumerate(rest(node))) {
      auto own = llvm::find(state.indices, subscript);
      if (own != state.indices.end()) {
        here[own - state.indices.begin()] = true;
        continue;
      }
      if (memberOf(node) == state.member)
        mixed.insert(k);
      APInt lower, upper;
      if (subscript->kind == Kind::Variable &&
          matchPattern(subscript->variable->lower, m_ConstantInt(&lower)) &&
          matchPattern(subscript->variable->upper, m_ConstantInt(&upper)) &&
          (upper - lower).sle(largestBlock))
        size *= (upper - lower).getSExtValue();
      else
        isSmall = false;
    }
    block = std::max(block, size);
    for (unsigned k = 0; k < kept.size(); ++k)
      kept[k] = kept[k] && here[k];
  });
  state.mixed.assign(mixed.begin(), mixed.end());
  llvm::sort(state.mixed);
  block *= op.getNumStates();
  if (!any)
    return;
  if (isSmall && block == 1)
    state.jacobian = Coupling::Diagonal;
  else if (isSmall && block <= largestBlock)
    state.jacobian = Coupling::Blocks, state.jacobianBlock = block;
  else if (llvm::is_contained(kept, true))
    state.jacobian = Coupling::ByHead;
  else
    state.jacobian = Coupling::Dense;
}

void StateAnalysis::classifyAffine(const Affine &affine) {
  state.constant = affine.constant;
  state.decay = context.real(0, state.value->type);
  state.kind = Transition::Identity;
  bool fits = true;
  for (const LinearTerm &term : affine.terms)
    fits &= addTerm(term);
  state.timeInvariant = llvm::none_of(op.getAlongIndices(), [&](Value index) {
    return llvm::any_of(affine.terms, [&](const LinearTerm &term) {
      Expr time = context.leaf(index);
      return uses(term.coefficient, time) ||
             llvm::any_of(rest(term.read),
                          [&](Expr each) { return uses(each, time); });
    });
  });
  findWrite();
  if (!fits) {
    join(Transition::Dense);
    return;
  }
  for (auto [k, index] : llvm::enumerate(state.indices))
    if (uses(state.decay, index))
      state.decayDims.push_back(k);
  state.logDecay = logarithm(context, state.decay);
  state.decaySign = signOf(state.decay);
  findRank();
  if (!state.decay->isReal(1))
    join(state.decayDims.empty() ? Transition::Scalar : Transition::Diagonal);
  if (!state.lowRank.empty())
    join(Transition::DiagonalLowRank);
}

void StateAnalysis::classifyNonlinear() {
  state.kind = Transition::Nonlinear;
  // A choice of the greater or the less of two is continuous.
  llvm::DenseSet<Expr> continuous;
  walk(state.value, [&](Expr node) {
    if (asExtremum(node))
      continuous.insert(node->args[0]);
  });
  auto usesPast = [&](Expr node) {
    return contains(node, [&](Expr each) { return isPast(each); });
  };
  walk(state.value, [&](Expr node) {
    bool isJump = node->isOp("arith.cmpf") || node->isOp("arith.cmpi") ||
                  node->isOp("math.floor") || node->isOp("math.ceil") ||
                  node->isOp("math.round") || node->isOp("math.roundeven");
    if (isJump && !continuous.contains(node) && usesPast(node))
      state.threshold = true;
  });
}

/// max and min of affine branches, however nested: (max, +), or a semigroup
/// that contains it.
bool StateAnalysis::classifyMaxPlus() {
  auto isState = [&](Expr node) { return isPast(node); };
  Extrema extrema(context, isState); // keeps a reference to it
  if (!extrema.collect(state.value) || extrema.branches.size() < 2)
    return false;
  bool isScaled = false;
  for (Expr branch : extrema.branches) {
    // Under a maximum over an index it is a read at a summed subscript.
    std::optional<Affine> affine =
        linearize(context, branch, [&](Expr e) { return isPast(e); });
    if (!affine || affine->terms.size() > 1)
      return false;
    for (const LinearTerm &term : affine->terms) {
      if (!term.variables.empty() || memberOf(term.read) != state.member)
        return false;
      if (!rangeOf(term.coefficient).isNonNegative())
        return false;
      isScaled |= !term.coefficient->isReal(1);
    }
  }
  bool isPure = extrema.hasMax + extrema.hasMin + extrema.hasLog == 1;
  if (extrema.hasLog && (!isPure || isScaled))
    return false;
  state.kind = isPure && !isScaled && !extrema.hasLog ? Transition::MaxPlus
                                                      : Transition::Semigroup;
  return true;
}

/// A product of matrices that are sums of deltas and products of vectors is
/// one again: (I - a b^T)(I - c d^T). Null for other reductions.
Expr StateAnalysis::inlineSum(EquationOp equation, ArrayRef<Expr> indices,
                              unsigned depth) {
  if (equation.getCombiner() != Combiner::Sum || depth > 4)
    return nullptr;
  Expr sum = inlineWide(Importer(context).instantiate(equation, indices), depth);
  Expr resolved = algebra::resolveSums(context, sum);
  return resolved == sum ? nullptr : resolved;
}

/// Replaces reads of equations outside, at two or more indices of the state or
/// of sums, by what they say: a product that got a name is a product still.
Expr StateAnalysis::inlineWide(Expr expr, unsigned depth) {
  for (unsigned round = 0; round < 4; ++round) {
    llvm::DenseMap<Expr, Expr> replacements;
    walk(expr, [&](Expr node) {
      auto equation = node->kind == Kind::Read
                          ? node->value.getDefiningOp<EquationOp>()
                          : EquationOp();
      if (!equation || equation->getParentOp() == op || node->fallback ||
          !isa<FloatType>(node->type))
        return;
      unsigned numWide = 0;
      for (auto [subscript, size] :
           llvm::zip_equal(node->subscripts(), equation.getSizes())) {
        if (!isSameExtent(extentOf(subscript), size))
          return;
        numWide += subscript->kind == Kind::Variable ||
                   llvm::is_contained(state.indices, subscript);
      }
      bool gathers = !equation.getOps<GatherOp>().empty();
      if (numWide < 2 || gathers)
        return;
      Expr value =
          equation.getCombiner()
              ? inlineSum(equation, node->subscripts(), depth + 1)
              : Importer(context).instantiate(equation, node->subscripts());
      if (value)
        replacements[node] = value;
    });
    if (replacements.empty())
      break;
    expr = context.substitute(expr, replacements);
  }
  return expr;
}

/// Takes out the sums over Kronecker deltas: a sum that is affine in single old
/// elements is written as that.
Expr StateAnalysis::resolveStateSums(Expr expr) {
  auto isState = [&](Expr node) { return isPast(node); };
  llvm::DenseMap<Expr, Expr> replacements;
  walk(expr, [&](Expr node) {
    if (node->kind != Kind::Reduce || !contains(node, isState))
      return;
    std::optional<Affine> affine = linearize(context, node, isState);
    if (!affine || llvm::any_of(affine->terms, [](const LinearTerm &term) {
          return !term.variables.empty();
        }))
      return;
    Expr value = affine->constant;
    for (const LinearTerm &term : affine->terms)
      value = context.add(value, context.mul(term.coefficient, term.read));
    replacements[node] = value;
  });
  return context.substitute(expr, replacements);
}

void StateAnalysis::run() {
  auto equation = op.getSlice(state.member).getDefiningOp<EquationOp>();
  state.name = op.getName(state.member);
  state.value = inlineSlice(context, op, op.getSlice(state.member));
  for (BlockArgument index :
       equation.getParallelIndices().drop_front(op.getBatch()))
    state.indices.push_back(context.leaf(index));
  state.value = resolveStateSums(inlineWide(state.value));
  classifyLags();
  std::optional<Affine> affine = linearize(
      context, state.value, [&](Expr e) { return isPast(e); });
  if (affine)
    classifyAffine(*affine);
  else if (!classifyMaxPlus())
    classifyNonlinear();
  findCoupling();
  if (affine)
    findMixed(*affine);
  // States that read one another's past are not affine one by one.
  if (!state.coupled.empty())
    if (state.kind < Transition::Dense)
      state.kind = Transition::Dense;
  if (state.kind < Transition::Dense)
    state.jacobian = Coupling::Diagonal, state.jacobianBlock = 0;
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

bool rondo::analysis::gathersOwn(RecurrenceOp op) {
  return op
      .walk([&](GatherOp gather) {
        return op.getBody().isAncestor(gather.getSource().getParentRegion())
                   ? WalkResult::interrupt()
                   : WalkResult::advance();
      })
      .wasInterrupted();
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
    result.kind = std::max(result.kind, state.kind);
    result.jacobian = std::max(result.jacobian, state.jacobian);
    result.jacobianBlock = std::max(result.jacobianBlock, state.jacobianBlock);
    result.states.push_back(std::move(state));
  }
  if (result.jacobian != Coupling::Blocks)
    result.jacobianBlock = 0;
  return result;
}
