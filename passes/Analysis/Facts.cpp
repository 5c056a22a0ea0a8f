//===- Facts.cpp - The facts about a recurrence as an attribute -----------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Analysis/Facts.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::algebra;
using namespace rondo::analysis;

std::string rondo::analysis::describeSize(Value size) {
  APInt constant;
  if (auto named = size.getDefiningOp<SizeOp>())
    return named.getName().str();
  if (matchPattern(size, m_ConstantInt(&constant)))
    return std::to_string(constant.getSExtValue());
  return "?";
}

namespace {

/// How the rest of the kernel reads one state.
class Readers {
public:
  Readers(Context &context, RecurrenceOp op, const StateStructure &state)
      : context(context), op(op), state(state) {}

  void run();
  StateRead kinds = StateRead::None;
  llvm::SmallSetVector<int64_t, 4> contracts;

private:
  void addConsumer(EquationOp consumer);
  void addTerm(EquationOp consumer, const LinearTerm &term, Expr constant);

  Context &context;
  RecurrenceOp op;
  const StateStructure &state;
};

} // namespace

/// The tensors that `expr` is made of, through equations to what these read.
static void collectSources(Expr expr, llvm::DenseSet<Value> &into) {
  SmallVector<Value> stack;
  if (expr)
    walk(expr, [&](Expr node) {
      if (node->kind == Kind::Read)
        stack.push_back(node->value);
    });
  llvm::DenseSet<Value> seen;
  while (!stack.empty()) {
    Value tensor = stack.pop_back_val();
    if (!seen.insert(tensor).second)
      continue;
    auto equation = tensor.getDefiningOp<EquationOp>();
    if (!equation)
      into.insert(tensor);
    else
      equation.walk([&](ReadOp read) { stack.push_back(read.getSource()); });
  }
}

void Readers::addTerm(EquationOp consumer, const LinearTerm &term,
                      Expr constant) {
  bool contracts = false;
  ArrayRef<Expr> rest =
      term.read->subscripts().drop_front(op.getBatch() + op.getNumAlong());
  for (auto [k, subscript] : llvm::enumerate(rest))
    if (subscript->kind == Kind::Variable &&
        llvm::is_contained(term.variables, subscript->variable)) {
      contracts = true;
      this->contracts.insert(k);
    }
  if (!contracts) {
    kinds |= StateRead::Elements;
    return;
  }
  // The distances from the consumer's own point, if it has one.
  bool isHere = true, isNear = true;
  for (unsigned k = 0; k < op.getNumAlong(); ++k) {
    Expr when = term.read->subscripts()[op.getBatch() + k];
    std::optional<int64_t> far;
    for (BlockArgument index : consumer.getParallelIndices())
      if (std::optional<int64_t> each = distance(context.leaf(index), when))
        far = each;
    isHere = isHere && far == 0;
    isNear = isNear && (far == 0 || far == (op.getReversed()[k] ? -1 : 1));
  }
  if (isHere) {
    kinds |= StateRead::After;
  } else if (isNear) {
    kinds |= StateRead::Before;
    // The rest of the value has a product of everything that the step writes.
    llvm::DenseSet<Value> written, added;
    collectSources(state.constant, written);
    collectSources(constant, added);
    if (!written.empty() &&
        llvm::all_of(written, [&](Value each) { return added.contains(each); }))
      kinds |= StateRead::Bonus;
  } else {
    kinds |= StateRead::Lagged;
  }
}

void Readers::addConsumer(EquationOp consumer) {
  SmallVector<Expr> indices;
  for (BlockArgument index : consumer.getParallelIndices())
    indices.push_back(context.leaf(index));
  Expr value = Importer(context).instantiate(consumer, indices);
  auto isHistory = [&](Expr node) {
    return node->kind == Kind::Read &&
           node->value == op.getHistory(state.member);
  };
  std::optional<Affine> affine = linearize(context, value, isHistory);
  if (!affine) {
    kinds |= StateRead::Elements;
    return;
  }
  for (const LinearTerm &term : affine->terms)
    addTerm(consumer, term, affine->constant);
}

void Readers::run() {
  if (!op.getFinal(state.member).use_empty())
    kinds |= StateRead::Final;
  llvm::SmallSetVector<Operation *, 4> consumers;
  for (Operation *user : op.getHistory(state.member).getUsers()) {
    auto consumer = user->getParentOfType<EquationOp>();
    if (isa<ReadOp>(user) && consumer)
      consumers.insert(consumer);
    else
      kinds |= StateRead::Whole;
  }
  for (Operation *consumer : consumers)
    addConsumer(cast<EquationOp>(consumer));
}

static DenseI64ArrayAttr sorted(MLIRContext *context,
                                SmallVector<int64_t> list) {
  llvm::sort(list);
  list.erase(llvm::unique(list), list.end());
  return list.empty() ? DenseI64ArrayAttr()
                      : DenseI64ArrayAttr::get(context, list);
}

static StateFactsAttr describe(Context &context, RecurrenceOp op,
                               const StateStructure &state) {
  MLIRContext *mlir = op.getContext();
  Readers readers(context, op, state);
  readers.run();
  auto list = [&](auto &&range) {
    return sorted(mlir, SmallVector<int64_t>(range.begin(), range.end()));
  };
  bool structured = state.kind <= Transition::DiagonalLowRank;
  return StateFactsAttr::get(
      mlir, state.name, state.kind,
      structured ? state.decaySign : Decay::Unknown,
      structured ? list(state.decayDims) : DenseI64ArrayAttr(),
      state.kind == Transition::DiagonalLowRank ? state.rank : 0,
      list(state.mixed), state.write, state.writeRank, state.timeInvariant,
      state.lag, state.block, list(state.coupled), state.jacobian,
      state.jacobianBlock, state.threshold, readers.kinds,
      list(readers.contracts));
}

FactsAttr rondo::analysis::computeFacts(RecurrenceOp op) {
  MLIRContext *mlir = op.getContext();
  Context context(mlir);
  RecurrenceStructure structure = analyze(context, op);
  SmallVector<Attribute> along, states;
  for (Value size : op.getSizes())
    along.push_back(StringAttr::get(mlir, describeSize(size)));
  for (const StateStructure &state : structure.states)
    states.push_back(describe(context, op, state));
  return FactsAttr::get(mlir, ArrayAttr::get(mlir, along), structure.kind,
                        structure.jacobian, structure.jacobianBlock,
                        ArrayAttr::get(mlir, states));
}
