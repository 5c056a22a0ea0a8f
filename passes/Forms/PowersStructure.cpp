//===- PowersStructure.cpp - Constant transitions with few numbers in, out ===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Forms/Powers.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::algebra;
using namespace rondo::analysis;

namespace {

class Finder {
public:
  Finder(Context &context, RecurrenceOp op, std::string &reason)
      : context(context), op(op), reason(reason), numBatch(op.getBatch()),
        numStates(op.getNumStates()) {}

  std::optional<PowersStructure> run();

private:
  bool fail(const Twine &why) {
    if (reason.empty())
      reason = why.str();
    return false;
  }
  bool usesAny(Expr expr, ArrayRef<Expr> leaves) {
    return contains(
        expr, [&](Expr node) { return llvm::is_contained(leaves, node); });
  }
  /// The state whose past, or history, a node reads.
  std::optional<unsigned> pastOf(Expr node);
  std::optional<unsigned> historyOf(Expr node);

  bool findStates();
  bool findMixedDims();
  bool markSummed(ArrayRef<LinearTerm> terms);
  bool findTransition();
  bool addTransition(unsigned to, const LinearTerm &term);
  SmallVector<Expr> products(Expr expr);
  bool findWrites();
  bool findReadouts();
  bool addReadout(EquationOp consumer, Affine affine);
  bool addTerm(PowersReadout &readout, const LinearTerm &term);
  bool isKnownBefore(Expr expr);

  Context &context;
  RecurrenceOp op;
  std::string &reason;
  unsigned numBatch, numStates;
  PowersStructure result;
  SmallVector<Expr> indices;    // leaves of the state's dims, without batch
  SmallVector<Affine> updates;  // by state, over the leaves
  SmallVector<std::pair<EquationOp, Affine>> consumers;
  SmallVector<bool> mixed;      // by dim of the state
};

std::optional<unsigned> Finder::pastOf(Expr node) {
  for (unsigned i = 0; i < numStates; ++i)
    if (node->kind == Kind::Read && node->value == op.getPast(i))
      return i;
  return std::nullopt;
}

std::optional<unsigned> Finder::historyOf(Expr node) {
  for (unsigned i = 0; i < numStates; ++i)
    if (node->kind == Kind::Read && node->value == op.getHistory(i))
      return i;
  return std::nullopt;
}

/// Whether nothing in `expr` is computed by a step.
bool Finder::isKnownBefore(Expr expr) {
  return !contains(expr, [&](Expr node) {
    Value value = node->kind == Kind::Value || node->kind == Kind::Read
                      ? node->value
                      : Value();
    if (!value)
      return false;
    if (auto argument = dyn_cast<BlockArgument>(value))
      return node->kind == Kind::Read && argument.getOwner() == &op.getBlock();
    return op->isAncestor(value.getDefiningOp());
  });
}

/// The updates of all states over the leaves of the first one.
bool Finder::findStates() {
  RecurrenceStructure structure = analyze(context, op);
  for (auto [i, state] : llvm::enumerate(structure.states)) {
    auto equation = op.getSlice(i).getDefiningOp<EquationOp>();
    if (!state.value || !equation)
      return fail("the state is not defined by an equation");
    if (i == 0) {
      result.state = equation;
      indices = state.indices;
    }
    if (equation.getSizes().size() != result.state.getSizes().size() ||
        !llvm::all_of(
            llvm::zip_equal(equation.getSizes(), result.state.getSizes()),
            [](auto pair) {
              return isSameExtent(std::get<0>(pair), std::get<1>(pair));
            }))
      return fail("the states that depend on one another have different dims");
    if (state.value->type != structure.states[0].value->type)
      return fail("the states that depend on one another have different types");
    llvm::DenseMap<Expr, Expr> here;
    for (auto [from, to] : llvm::zip_equal(equation.getParallelIndices(),
                                           result.state.getParallelIndices()))
      here[context.leaf(from)] = context.leaf(to);
    std::optional<Affine> affine =
        linearize(context, context.substitute(state.value, here), [&](Expr e) {
          auto argument = e->kind == Kind::Read
                              ? dyn_cast<BlockArgument>(e->value)
                              : BlockArgument();
          return argument && argument.getOwner() == &op.getBlock();
        });
    if (!affine)
      return fail("the update is not linear in the old state");
    if (!isKnownBefore(affine->constant))
      return fail("'" + op.getName(i) +
                  "' reads at a place that is known at the step only");
    updates.push_back(*affine);
  }
  for (BlockArgument index :
       result.state.getParallelIndices().take_front(numBatch))
    result.outer.push_back(context.leaf(index));
  return true;
}

/// Dims at which a read has an index that is summed over.
bool Finder::markSummed(ArrayRef<LinearTerm> terms) {
  for (const LinearTerm &term : terms) {
    ArrayRef<Expr> rest = term.read->subscripts().drop_front(numBatch + 1);
    if (rest.size() != mixed.size())
      return fail("the states that depend on one another have different dims");
    for (auto [k, subscript] : llvm::enumerate(rest))
      if (subscript->kind == Kind::Variable &&
          llvm::is_contained(term.variables, subscript->variable))
        mixed[k] = true;
  }
  return true;
}

bool Finder::findMixedDims() {
  for (unsigned m = numStates; m < op.getNumMembers(); ++m)
    if (!op.getHistory(m).use_empty())
      return fail("'" + op.getName(m) +
                  "', a local of the recurrence, is read outside of it");
  SmallVector<EquationOp> readers;
  for (unsigned i = 0; i < numStates; ++i)
    for (Operation *user : op.getHistory(i).getUsers()) {
      auto read = dyn_cast<ReadOp>(user);
      if (!read)
        return fail("the whole history of the state is a result");
      auto reader = read->getParentOfType<EquationOp>();
      if (reader->getParentOp() != op->getParentOp())
        return fail("another recurrence reads the state");
      if (!llvm::is_contained(readers, reader))
        readers.push_back(reader);
    }
  if (readers.empty())
    return fail("nothing but its final value is read, which needs no chunks");
  mixed.assign(indices.size(), false);
  for (EquationOp reader : readers) {
    SmallVector<Expr> points;
    for (BlockArgument index : reader.getParallelIndices())
      points.push_back(context.leaf(index));
    std::optional<Affine> affine = linearize(
        context, Importer(context).instantiate(reader, points),
        [&](Expr e) { return historyOf(e).has_value(); });
    if (!affine)
      return fail("'" + reader.getName() + "' is not linear in the state");
    if (!markSummed(affine->terms))
      return false;
    consumers.push_back({reader, *affine});
  }
  for (Affine &update : updates)
    if (!markSummed(update.terms))
      return false;
  for (auto [k, index] : llvm::enumerate(indices)) {
    if (!mixed[k]) {
      result.outer.push_back(index);
      result.outerDims.push_back(k);
      continue;
    }
    Value size = result.state.getSizes()[numBatch + k];
    result.rows.push_back(index);
    result.columns.push_back(context.variable(context.fresh(Value(), size)));
    result.mixedDims.push_back(k);
  }
  return true;
}

bool Finder::addTransition(unsigned to, const LinearTerm &term) {
  std::optional<unsigned> from = pastOf(term.read);
  ArrayRef<Expr> subscripts = term.read->subscripts();
  std::optional<int64_t> far = distance(result.time, subscripts[numBatch]);
  if (!from || !far || *far != (result.reversed ? -1 : 1))
    return fail("the state is read more than one step back");
  for (unsigned i = 0; i < numBatch; ++i)
    if (subscripts[i] != result.outer[i])
      return fail("the state of another batch point is read");
  SmallVector<const Variable *> open(term.variables.begin(),
                                     term.variables.end());
  llvm::DenseMap<Expr, Expr> toColumns;
  Expr onDiagonal = nullptr; // the condition, when only some dims are summed
  unsigned column = 0;
  bool sums = false;
  for (auto [k, subscript] :
       llvm::enumerate(subscripts.drop_front(numBatch + 1))) {
    bool isOwn = subscript == indices[k];
    if (mixed[k]) {
      Expr old = result.columns[column++];
      if (isOwn) {
        Expr same = context.equal(indices[k], old);
        onDiagonal = onDiagonal ? context.logicalAnd(onDiagonal, same) : same;
        continue;
      }
      if (subscript->kind == Kind::Variable &&
          llvm::is_contained(open, subscript->variable)) {
        llvm::erase(open, subscript->variable);
        toColumns[subscript] = old;
        sums = true;
        continue;
      }
    }
    if (!isOwn)
      return fail("the state reads its neighbours");
  }
  Expr coefficient =
      context.substitute(sumOut(context, term.coefficient, open), toColumns);
  if (usesAny(coefficient, {result.time}))
    return fail("the transition changes with time");
  if (!isKnownBefore(coefficient))
    return fail("the transition reads at a place that is known at the step "
                "only");
  result.isDense |= sums;
  if (onDiagonal)
    coefficient = context.select(onDiagonal, coefficient,
                                 context.real(0, coefficient->type));
  Expr &entry = result.transition[to][*from];
  entry = entry ? context.add(entry, coefficient) : coefficient;
  return true;
}

bool Finder::findTransition() {
  result.transition.assign(numStates, SmallVector<Expr, 2>(numStates, nullptr));
  for (auto [to, update] : llvm::enumerate(updates))
    for (const LinearTerm &term : update.terms)
      if (!addTransition(to, term))
        return false;
  if (result.isDense)
    return true;
  // Entries on the diagonal only: without columns, and without the conditions.
  llvm::DenseMap<Expr, Expr> toRows;
  for (auto [row, column] : llvm::zip_equal(result.rows, result.columns))
    toRows[column] = row;
  for (auto &entries : result.transition)
    for (Expr &entry : entries)
      if (entry)
        entry = context.substitute(entry, toRows);
  return true;
}

/// The products whose sum `expr` is, with nothing in a sum that can stand in
/// front of it.
SmallVector<Expr> Finder::products(Expr expr) {
  SmallVector<Expr> result;
  for (Expr summand : summands(context, expr)) {
    Expr total = context.real(1, summand->type);
    for (Expr factor : factors(context, summand))
      total = context.mul(
          total, factor->kind == Kind::Reduce &&
                         factor->combiner == Combiner::Sum && !factor->args[1]
                     ? sumOut(context, factor->args[0], factor->variables)
                     : factor);
    llvm::append_range(result, summands(context, total));
  }
  return result;
}

bool Finder::findWrites() {
  for (auto [i, update] : llvm::enumerate(updates))
    for (Expr summand : products(update.constant)) {
      // What is free of time belongs to B, so that u_k are as few as may be.
      SmallVector<Expr> left, right;
      for (Expr factor : factors(context, summand)) {
        bool usesTime = usesAny(factor, {result.time});
        if (usesTime && usesAny(factor, result.rows))
          return fail("what is written at a step differs along a dim that is "
                      "summed over");
        (usesTime ? right : left).push_back(factor);
      }
      Expr value = product(context, right, summand->type);
      Expr into = product(context, left, summand->type);
      PowersWrite *write = llvm::find_if(
          result.writes, [&](PowersWrite &each) { return each.value == value; });
      if (write == result.writes.end()) {
        result.writes.push_back({value, {}});
        write = &result.writes.back();
        write->into.resize(numStates);
      }
      Expr &entry = write->into[i];
      entry = entry ? context.add(entry, into) : into;
    }
  return true;
}

bool Finder::addTerm(PowersReadout &readout, const LinearTerm &term) {
  EquationOp consumer = readout.consumer;
  ArrayRef<BlockArgument> points = consumer.getParallelIndices();
  StringRef name = consumer.getName();
  ArrayRef<Expr> subscripts = term.read->subscripts();
  std::optional<int64_t> far =
      distance(context.leaf(points[readout.timeIndex]), subscripts[numBatch]);
  if (!far || (*far != 0 && *far != (result.reversed ? -1 : 1)))
    return fail("'" + name + "' reads the state at a point that is not t or "
                             "t - 1");
  for (unsigned i = 0; i < numBatch; ++i)
    if (subscripts[i] != context.leaf(points[i]))
      return fail("'" + name + "' reads the state of another batch point");
  SmallVector<const Variable *> open(term.variables.begin(),
                                     term.variables.end());
  llvm::DenseMap<Expr, Expr> toState; // summed indices and outer dims
  for (auto [leaf, point] : llvm::zip(result.outer, points.take_front(numBatch)))
    toState[context.leaf(point)] = leaf;
  SmallVector<Expr> variables;
  SmallVector<unsigned> outerIndices;
  Expr onDiagonal = nullptr;
  for (auto [k, subscript] :
       llvm::enumerate(subscripts.drop_front(numBatch + 1))) {
    if (subscript->kind == Kind::Variable &&
        llvm::is_contained(open, subscript->variable)) {
      llvm::erase(open, subscript->variable);
      toState[subscript] = indices[k];
      variables.push_back(subscript);
      continue;
    }
    auto argument = subscript->kind == Kind::Value
                        ? dyn_cast<BlockArgument>(subscript->value)
                        : BlockArgument();
    if (!argument || argument.getOwner() != &consumer.getBlock() ||
        argument.getArgNumber() == readout.timeIndex)
      return fail("'" + name + "' reads the state with a subscript that is "
                               "neither summed over nor an index");
    if (mixed[k]) {
      Expr same = context.equal(subscript, indices[k]);
      onDiagonal = onDiagonal ? context.logicalAnd(onDiagonal, same) : same;
      continue;
    }
    outerIndices.push_back(argument.getArgNumber());
    toState[subscript] = indices[k];
  }
  if (!open.empty())
    return fail("'" + name + "' sums over more than dims of the state");
  if (!readout.terms.empty() && readout.outerIndices != outerIndices)
    return fail("the state is read with its dims in different orders");
  readout.outerIndices = outerIndices;

  Expr time = context.leaf(points[readout.timeIndex]);
  for (Expr summand : summands(context, term.coefficient)) {
    SmallVector<Expr> weights, scales;
    for (Expr factor : factors(context, summand)) {
      bool usesSummed = usesAny(factor, variables);
      if (usesSummed && usesAny(factor, {time}))
        return fail("the weight of the state in '" + name +
                    "' changes with time");
      bool usesPoint = contains(factor, [&](Expr node) {
        auto argument = node->kind == Kind::Value
                            ? dyn_cast<BlockArgument>(node->value)
                            : BlockArgument();
        return argument && argument.getOwner() == &consumer.getBlock() &&
               argument.getArgNumber() >= numBatch;
      });
      (usesSummed || !usesPoint ? weights : scales).push_back(factor);
    }
    Expr weight = context.substitute(product(context, weights, summand->type),
                                     toState);
    if (onDiagonal)
      weight = context.select(onDiagonal, weight,
                              context.real(0, weight->type));
    Expr scale = product(context, scales, summand->type);
    PowersTerm *found = llvm::find_if(readout.terms, [&](PowersTerm &each) {
      return each.scale == scale && each.before == (*far != 0);
    });
    if (found == readout.terms.end()) {
      readout.terms.push_back({scale, *far != 0, {}});
      found = &readout.terms.back();
      found->weights.resize(numStates);
    }
    Expr &entry = found->weights[*historyOf(term.read)];
    entry = entry ? context.add(entry, weight) : weight;
  }
  return true;
}

bool Finder::addReadout(EquationOp consumer, Affine affine) {
  PowersReadout readout;
  readout.consumer = consumer;
  readout.constant = affine.constant;
  for (const LinearTerm &term : affine.terms) {
    Expr subscript = term.read->subscripts()[numBatch];
    const BlockArgument *index = llvm::find_if(
        consumer.getParallelIndices(), [&](BlockArgument point) {
          return distance(context.leaf(point), subscript).has_value();
        });
    if (index == consumer.getParallelIndices().end())
      return fail("'" + consumer.getName() +
                  "' reads the state at a point that is not t or t - 1");
    readout.timeIndex = index->getArgNumber();
    if (!isSameExtent(consumer.getSizes()[readout.timeIndex],
                      op.getSizes()[0]))
      return fail("the state is read along another size than it runs over");
    if (!addTerm(readout, term))
      return false;
  }
  if (readout.terms.empty())
    return fail("'" + consumer.getName() +
                "' reads the state where no condition holds");
  result.readouts.push_back(std::move(readout));
  return true;
}

bool Finder::findReadouts() {
  for (auto &[consumer, affine] : consumers)
    if (!addReadout(consumer, affine))
      return false;
  return true;
}

std::optional<PowersStructure> Finder::run() {
  if (op.getNumAlong() != 1)
    fail("it runs over several dims");
  else if (numStates == 0)
    fail("it has no states");
  else if (gathersOwn(op))
    fail("it is read at places that data gives while it is computed");
  if (!reason.empty())
    return std::nullopt;
  result.recurrence = op;
  result.reversed = op.getReversed()[0];
  result.time = context.leaf(op.getAlongIndices()[0]);
  if (!findStates() || !findMixedDims() || !findTransition() ||
      !findWrites() || !findReadouts())
    return std::nullopt;
  return result;
}

} // namespace

std::optional<PowersStructure>
rondo::findPowersStructure(Context &context, RecurrenceOp op,
                           std::string &reason) {
  return Finder(context, op, reason).run();
}
