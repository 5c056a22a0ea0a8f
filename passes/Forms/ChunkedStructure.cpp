//===- ChunkedStructure.cpp - What the chunkwise form is made of ----------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Forms/ChunkedStructure.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/TypeUtilities.h"
#include "passes/Algebra/Inline.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::algebra;
using namespace rondo::analysis;

namespace {

class Finder {
public:
  Finder(Context &context, RecurrenceOp op, std::string &reason)
      : context(context), op(op), reason(reason) {}

  std::optional<ChunkedStructure> run();

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
  bool isPast(Expr node) {
    return node->kind == Kind::Read && node->value == op.getPast(0);
  }
  bool isHistory(Expr node) {
    return node->kind == Kind::Read && node->value == op.getHistory(0);
  }

  bool scalesInput(EquationOp equation);
  Expr withInputs(Expr expr, EquationOp equation);
  bool findConsumers();
  bool findTimeIndex(Readout &readout, Expr read);
  bool addConsumer(EquationOp consumer);
  bool addReadoutTerm(Readout &readout, const LinearTerm &term);
  bool usesOtherIndex(Readout &readout, Expr factor);
  bool findTransition();
  bool addTerm(const LinearTerm &term);
  bool findWrites();
  bool addWrite(Expr left, Expr right);
  unsigned addRead(Expr left, bool frozen);
  bool addFeedback(Expr left, Expr scale, unsigned read);
  /// Splits a product into what uses dims i and what does not; false if a
  /// factor uses both i and j.
  bool split(Expr summand, SmallVectorImpl<Expr> &left,
             SmallVectorImpl<Expr> &right);
  SmallVector<Expr> outerProducts(Expr sum, ArrayRef<ArrayRef<Expr>> sides);

  Context &context;
  RecurrenceOp op;
  std::string &reason;
  ChunkedStructure result;
  StateStructure state;
  std::optional<SmallVector<unsigned>> contracted; // dims i
};

//===----------------------------------------------------------------------===//
// Operands of products
//===----------------------------------------------------------------------===//

/// Whether the equation multiplies a tensor of a narrow type by what has fewer
/// indices: a normalised key, for instance.
bool Finder::scalesInput(EquationOp equation) {
  if (equation.getCombiner() || !isa<FloatType>(equation.getScalarType()))
    return false;
  SmallVector<Expr> indices;
  for (BlockArgument each : equation.getParallelIndices())
    indices.push_back(context.leaf(each));
  Expr value = Importer(context).instantiate(equation, indices);
  SmallVector<Expr> all = factors(context, value);
  unsigned width = equation.getScalarType().getIntOrFloatBitWidth();
  auto isOnlyOneWith = [&](Expr factor, Expr own) {
    return llvm::all_of(
        all, [&](Expr e) { return usesAny(e, own) == (e == factor); });
  };
  return all.size() > 1 && llvm::any_of(all, [&](Expr factor) {
    if (factor->kind != Kind::Read || factor->fallback)
      return false;
    auto element =
        dyn_cast<FloatType>(getElementTypeOrSelf(factor->value.getType()));
    return element && element.getWidth() < width &&
           llvm::any_of(indices,
                        [&](Expr own) { return isOnlyOneWith(factor, own); });
  });
}

/// `expr`, a value of `equation`, with such equations inlined. Operands of
/// products may be rounded to the narrow type, which the input has already; its
/// factors then scale the other operand, or the product.
Expr Finder::withInputs(Expr expr, EquationOp equation) {
  return inlineReads(
      context, expr,
      [&](Expr index) -> Value {
        if (index->kind == Kind::Variable)
          return matchPattern(index->variable->lower, m_Zero())
                     ? index->variable->upper
                     : Value();
        if (index == result.time)
          return op.getSizes()[0];
        return index->kind == Kind::Value ? extentOf(equation, index->value)
                                          : Value();
      },
      [&](Expr, EquationOp each) { return scalesInput(each); });
}

/// Summands, each of factors that use indices of one side at most. Sums that
/// are such factors stay whole: to subtract a k v from k v for (1 - a) k v would
/// be another product, and would lose what 1 - a has left.
SmallVector<Expr> Finder::outerProducts(Expr sum,
                                        ArrayRef<ArrayRef<Expr>> sides) {
  bool isProduct = llvm::all_of(factors(context, sum), [&](Expr factor) {
    return llvm::count_if(sides, [&](ArrayRef<Expr> side) {
             return usesAny(factor, side);
           }) <= 1;
  });
  if (isProduct)
    return {sum};
  if (!sum->isOp("arith.addf") && !sum->isOp("arith.subf"))
    return summands(context, sum);
  SmallVector<Expr> all = outerProducts(sum->args[0], sides);
  for (Expr each : outerProducts(sum->args[1], sides))
    all.push_back(sum->isOp("arith.subf") ? context.neg(each) : each);
  return all;
}

//===----------------------------------------------------------------------===//
// What reads the state later
//===----------------------------------------------------------------------===//

bool Finder::findConsumers() {
  for (unsigned m = 1; m < op.getNumMembers(); ++m)
    if (!op.getHistory(m).use_empty())
      return fail("'" + op.getName(m) +
                  "', a local of the recurrence, is read outside of it");
  SmallVector<EquationOp> consumers;
  for (Operation *user : op.getHistory(0).getUsers()) {
    auto read = dyn_cast<ReadOp>(user);
    if (!read)
      return fail("the whole history of the state is a result");
    auto consumer = read->getParentOfType<EquationOp>();
    if (consumer->getParentOp() != op->getParentOp())
      return fail("another recurrence reads the state");
    if (!llvm::is_contained(consumers, consumer))
      consumers.push_back(consumer);
  }
  for (EquationOp consumer : consumers)
    if (!addConsumer(consumer))
      return false;
  return true;
}

/// The consumer's parallel index behind the time subscript of a read.
bool Finder::findTimeIndex(Readout &readout, Expr read) {
  Expr subscript = read->subscripts()[op.getBatch()];
  for (auto [i, index] : llvm::enumerate(readout.consumer.getParallelIndices()))
    if (distance(context.leaf(index), subscript)) {
      readout.timeIndex = i;
      return readout.consumer.getSizes()[i] == op.getSizes()[0] ||
             fail("the state is read along another size than it runs over");
    }
  return fail("'" + readout.consumer.getName() +
              "' reads the state at a point that is not t or t - 1");
}

/// Whether a factor uses an index of the consumer other than batch and time.
bool Finder::usesOtherIndex(Readout &readout, Expr factor) {
  return contains(factor, [&](Expr node) {
    auto argument = node->kind == Kind::Value
                        ? dyn_cast<BlockArgument>(node->value)
                        : BlockArgument();
    return argument && argument.getOwner() == &readout.consumer.getBlock() &&
           argument.getArgNumber() >= op.getBatch() &&
           argument.getArgNumber() != readout.timeIndex;
  });
}

bool Finder::addReadoutTerm(Readout &readout, const LinearTerm &term) {
  Expr time =
      context.leaf(readout.consumer.getParallelIndices()[readout.timeIndex]);
  std::optional<int64_t> far =
      distance(time, term.read->subscripts()[op.getBatch()]);
  int64_t before = result.reversed ? -1 : 1;
  if (!far || (*far != 0 && *far != before))
    return fail("'" + readout.consumer.getName() +
                "' reads the state at a point that is not t or t - 1");
  SmallVector<unsigned> dims;
  llvm::DenseMap<Expr, Expr> toState;
  SmallVector<const Variable *> open(term.variables.begin(),
                                     term.variables.end());
  SmallVector<unsigned> rightIndices;
  ArrayRef<Expr> rest = term.read->subscripts().drop_front(op.getBatch() + 1);
  for (auto [k, subscript] : llvm::enumerate(rest)) {
    if (subscript->kind == Kind::Variable &&
        llvm::is_contained(open, subscript->variable)) {
      llvm::erase(open, subscript->variable);
      toState[subscript] = state.indices[k];
      dims.push_back(k);
      continue;
    }
    auto argument = subscript->kind == Kind::Value
                        ? dyn_cast<BlockArgument>(subscript->value)
                        : BlockArgument();
    if (!argument || argument.getOwner() != &readout.consumer.getBlock())
      return fail("'" + readout.consumer.getName() +
                  "' reads the state with a subscript that is neither summed "
                  "over nor an index");
    rightIndices.push_back(argument.getArgNumber());
  }
  if (!open.empty())
    return fail("'" + readout.consumer.getName() +
                "' sums over more than dims of the state");
  if (dims.empty())
    return fail("'" + readout.consumer.getName() +
                "' reads the state without contracting it");
  if (contracted && *contracted != dims)
    return fail("the state is contracted over different dims");
  if (!readout.terms.empty() && readout.rightIndices != rightIndices)
    return fail("the state is read with its dims in different orders");
  contracted = dims;
  readout.rightIndices = rightIndices;

  for (unsigned i = 0; i < op.getBatch(); ++i)
    if (term.read->subscripts()[i] !=
        context.leaf(readout.consumer.getParallelIndices()[i]))
      return fail("'" + readout.consumer.getName() +
                  "' reads the state of another batch point");
  SmallVector<Expr> rightLeaves;
  for (unsigned index : rightIndices)
    rightLeaves.push_back(
        context.leaf(readout.consumer.getParallelIndices()[index]));
  SmallVector<Expr> variables;
  for (auto &[variable, leaf] : toState)
    variables.push_back(variable);
  for (Expr summand :
       outerProducts(term.coefficient, {variables, rightLeaves})) {
    SmallVector<Expr> left, scale;
    for (Expr factor : factors(context, summand)) {
      bool usesLeft = usesAny(factor, variables);
      if (usesLeft && usesAny(factor, rightLeaves))
        return fail("the weight of the state in '" +
                    readout.consumer.getName() + "' is not a product");
      if (usesLeft && usesOtherIndex(readout, factor))
        return fail("the weight of the state in '" +
                    readout.consumer.getName() +
                    "' uses an index that the state does not have");
      (usesLeft ? left : scale).push_back(factor);
    }
    Type type = term.coefficient->type;
    readout.terms.push_back(
        {context.substitute(product(context, left, type), toState),
         product(context, scale, type), *far != 0});
  }
  return true;
}

bool Finder::addConsumer(EquationOp consumer) {
  Readout readout;
  readout.consumer = consumer;
  SmallVector<Expr> indices;
  for (BlockArgument index : consumer.getParallelIndices())
    indices.push_back(context.leaf(index));
  Expr value =
      withInputs(Importer(context).instantiate(consumer, indices), consumer);
  std::optional<Affine> affine =
      linearize(context, value, [&](Expr e) { return isHistory(e); });
  if (!affine)
    return fail("'" + consumer.getName() + "' is not linear in the state");
  readout.constant = affine->constant;
  for (const LinearTerm &term : affine->terms)
    if (!findTimeIndex(readout, term.read) || !addReadoutTerm(readout, term))
      return false;
  if (readout.terms.empty())
    return fail("'" + consumer.getName() +
                "' reads the state where no condition holds");
  result.readouts.push_back(readout);
  return true;
}

//===----------------------------------------------------------------------===//
// The transition
//===----------------------------------------------------------------------===//

bool Finder::split(Expr summand, SmallVectorImpl<Expr> &left,
                   SmallVectorImpl<Expr> &right) {
  for (Expr factor : factors(context, summand)) {
    bool usesLeft = usesAny(factor, result.left);
    if (usesLeft && usesAny(factor, result.right))
      return fail("what is written into the state is not an outer product");
    (usesLeft ? left : right).push_back(factor);
  }
  return true;
}

bool Finder::addWrite(Expr left, Expr right) {
  for (ChunkedWrite &write : result.writes)
    if (write.left == left) {
      write.right = context.add(write.right, right);
      return true;
    }
  result.writes.push_back({left, right, {}});
  return true;
}

unsigned Finder::addRead(Expr left, bool frozen) {
  for (auto [i, read] : llvm::enumerate(result.reads))
    if (read.left == left && read.frozen == frozen)
      return i;
  result.reads.push_back({left, frozen});
  return result.reads.size() - 1;
}

bool Finder::addFeedback(Expr left, Expr scale, unsigned read) {
  addWrite(left, context.real(0, scale->type));
  for (ChunkedWrite &write : result.writes) {
    if (write.left != left)
      continue;
    write.feedback.resize(result.reads.size());
    Expr &factor = write.feedback[read];
    factor = factor ? context.add(factor, scale) : scale;
  }
  return true;
}

/// A term of the state's own equation: decay or a low-rank update.
bool Finder::addTerm(const LinearTerm &term) {
  if (!isPast(term.read))
    return fail("the states read one another's past");
  Expr when = term.read->subscripts()[op.getBatch()];
  std::optional<int64_t> far = distance(result.time, when);
  bool frozen = false;
  if (!far || *far != (result.reversed ? -1 : 1)) {
    if (!state.block || far || result.reversed)
      return fail("the state is read more than one step back");
    frozen = true;
    result.block = state.block;
  }
  ArrayRef<Expr> rest = term.read->subscripts().drop_front(op.getBatch() + 1);
  SmallVector<const Variable *> open(term.variables.begin(),
                                     term.variables.end());
  llvm::DenseMap<Expr, Expr> toState;
  SmallVector<Expr> variables;
  for (auto [k, subscript] : llvm::enumerate(rest)) {
    if (subscript == state.indices[k])
      continue;
    if (subscript->kind != Kind::Variable ||
        !llvm::is_contained(open, subscript->variable))
      return fail("the state reads its neighbours");
    llvm::erase(open, subscript->variable);
    toState[subscript] = state.indices[k];
    variables.push_back(subscript);
    if (!llvm::is_contained(result.leftDims, k))
      return fail("the update contracts other dims of the state than its "
                  "readouts");
  }
  // What is summed over besides the state's dims belongs to the coefficient.
  Expr coefficient = sumOut(context, term.coefficient, open);
  if (variables.empty()) {
    if (frozen)
      return fail("the state itself, not a contraction of it, is frozen");
    result.decay = context.add(result.decay, coefficient);
    return true;
  }
  if (variables.size() != result.left.size())
    return fail("the update contracts a part of the contracted dims only");
  Type type = coefficient->type;
  for (Expr summand :
       outerProducts(coefficient, {result.left, variables, result.right})) {
    SmallVector<Expr> left, summed, scale;
    for (Expr factor : factors(context, summand)) {
      bool usesLeft = usesAny(factor, result.left);
      bool usesSummed = usesAny(factor, variables);
      if (usesLeft + usesSummed + usesAny(factor, result.right) > 1)
        return fail("the transition is dense: its weight of the old state is "
                    "not a product");
      (usesLeft ? left : usesSummed ? summed : scale).push_back(factor);
    }
    unsigned read = addRead(
        context.substitute(product(context, summed, type), toState), frozen);
    addFeedback(product(context, left, type), product(context, scale, type),
                read);
  }
  return true;
}

bool Finder::findTransition() {
  Expr value = withInputs(state.value, result.state);
  std::optional<Affine> affine = linearize(context, value, [&](Expr e) {
    auto argument = e->kind == Kind::Read ? dyn_cast<BlockArgument>(e->value)
                                          : BlockArgument();
    return argument && argument.getOwner() == &op.getBlock();
  });
  if (!affine)
    return fail("the update is not linear in the old state");
  state.constant = affine->constant;
  result.decay = context.real(0, state.value->type);
  for (const LinearTerm &term : affine->terms)
    if (!addTerm(term))
      return false;
  if (usesAny(result.decay, result.right))
    return fail("the decay depends on dims that the readouts do not contract");
  result.decayUsesLeft = usesAny(result.decay, result.left);
  return true;
}

bool Finder::findWrites() {
  for (Expr summand :
       outerProducts(state.constant, {result.left, result.right})) {
    SmallVector<Expr> left, right;
    if (!split(summand, left, right))
      return false;
    Type type = summand->type;
    addWrite(product(context, left, type), product(context, right, type));
  }
  for (ChunkedWrite &write : result.writes)
    write.feedback.resize(result.reads.size());
  return true;
}

std::optional<ChunkedStructure> Finder::run() {
  if (op.getNumAlong() != 1) {
    fail("it runs over several dims");
    return std::nullopt;
  }
  if (op.getNumStates() != 1) {
    fail("several states depend on one another");
    return std::nullopt;
  }
  if (gathersOwn(op)) {
    fail("it is read at places that data gives while it is computed");
    return std::nullopt;
  }
  RecurrenceStructure structure = analyze(context, op);
  state = structure.states[0];
  if (!state.value) {
    fail("the state is not defined by an equation");
    return std::nullopt;
  }
  result.recurrence = op;
  result.state = op.getSlice(0).getDefiningOp<EquationOp>();
  result.reversed = op.getReversed()[0];
  result.time = context.leaf(op.getAlongIndices()[0]);
  for (BlockArgument index :
       result.state.getParallelIndices().take_front(op.getBatch()))
    result.batch.push_back(context.leaf(index));
  if (!findConsumers())
    return std::nullopt;
  if (!contracted) {
    fail("nothing but its final value is read, which needs no chunks");
    return std::nullopt;
  }
  for (auto [k, index] : llvm::enumerate(state.indices)) {
    bool isLeft = llvm::is_contained(*contracted, k);
    (isLeft ? result.left : result.right).push_back(index);
    (isLeft ? result.leftDims : result.rightDims).push_back(k);
  }
  if (!findTransition() || !findWrites())
    return std::nullopt;
  return result;
}

} // namespace

std::optional<ChunkedStructure>
rondo::findChunkedStructure(Context &context, RecurrenceOp op,
                            std::string &reason) {
  return Finder(context, op, reason).run();
}
