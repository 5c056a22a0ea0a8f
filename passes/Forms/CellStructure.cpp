//===- CellStructure.cpp - Kernels that are cells -------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"
#include "passes/Algebra/Linear.h"
#include "passes/Forms/CellKernel.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::algebra;

namespace {

class CellAnalysis : StepAnalysis {
public:
  CellAnalysis(Context &context, CellStructure &structure, std::string &reason)
      : StepAnalysis(context, structure, reason), s(structure) {}

  bool run();

private:
  bool readsStates(Expr expr) {
    return contains(expr, [](Expr node) { return isState(node); });
  }
  bool dependsOn(Expr expr, Expr leaf) {
    return contains(expr, [&](Expr node) { return node == leaf; });
  }
  bool addValues();
  bool addResult(unsigned output, Value tensor);
  Expr resolve(Expr expr);
  Expr contract(Expr reduction);
  Expr addProduct(Expr weight, Expr operand);
  bool countTerms();

  CellStructure &s;
  StringRef name; // of what is looked at
  llvm::DenseMap<Expr, Expr> resolved, current;
  llvm::DenseMap<Expr, unsigned> levels; // of markers: what comes after them
};

/// Sums with states in them become markers, and states of the step their
/// values. Null, with the reason, where that is not possible.
Expr CellAnalysis::resolve(Expr expr) {
  if (Expr known = resolved.lookup(expr))
    return known;
  Expr result = expr;
  if (Expr value = current.lookup(expr)) {
    result = value;
  } else if (expr->kind == Kind::Reduce) {
    if (readsStates(expr))
      result = contract(expr);
  } else if (expr->kind == Kind::Apply) {
    SmallVector<Expr> args;
    for (Expr arg : expr->args) {
      args.push_back(resolve(arg));
      if (!args.back())
        return nullptr;
    }
    result =
        context.apply(expr->op.getValue(), args, expr->type, expr->attributes);
  }
  if (result)
    resolved[expr] = result;
  return result;
}

Expr CellAnalysis::contract(Expr reduction) {
  auto fail = [&](const Twine &why) {
    refuse("'" + name + "' " + why);
    return Expr(nullptr);
  };
  APInt lower;
  if (reduction->combiner != Combiner::Sum || reduction->variables.size() != 1)
    return fail("reduces states other than by a sum over one dim");
  const Variable *variable = reduction->variables[0];
  if (!matchPattern(variable->lower, m_ConstantInt(&lower)) ||
      !lower.isZero() || !isSameExtent(variable->upper, s.extents.back()))
    return fail("sums over a part of the states");
  Expr index = context.variable(variable);
  // A weight that does not count is 0.
  Expr filter = reduction->args.size() > 1 ? reduction->args[1] : nullptr;
  if (filter && (readsStates(filter) || dependsOn(filter, s.time)))
    return fail("chooses by the step what it sums over");
  // As one product if possible: distributing makes more of them.
  auto split = [&](Expr body, Expr &weight, Expr &operand) {
    SmallVector<Expr> ofWeight, ofOperand;
    for (Expr factor : factors(context, body)) {
      bool isWeight = factor->kind == Kind::Real || dependsOn(factor, s.unit);
      if (isWeight && (readsStates(factor) || dependsOn(factor, s.time)))
        return false;
      (isWeight ? ofWeight : ofOperand).push_back(factor);
    }
    weight = product(context, ofWeight, body->type);
    operand = product(context, ofOperand, body->type);
    return true;
  };
  SmallVector<Expr> bodies{reduction->args[0]};
  Expr weight, operand;
  if (!split(bodies[0], weight, operand))
    bodies = summands(context, bodies[0]);
  Expr sum = nullptr;
  for (Expr body : bodies) {
    if (!split(body, weight, operand))
      return fail("sums over products of states with what depends on the step "
                  "and on the unit");
    operand = resolve(context.substitute(operand, {{index, s.unit}}));
    if (!operand || !checkValue(operand, name))
      return nullptr;
    if (filter)
      weight = context.select(filter, weight, context.real(0, reduction->type));
    weight = context.substitute(weight, {{index, s.summed}});
    if (!checkValue(weight, name))
      return nullptr;
    Expr marker = addProduct(weight, operand);
    sum = sum ? context.add(sum, marker) : marker;
  }
  return sum;
}

Expr CellAnalysis::addProduct(Expr weight, Expr operand) {
  unsigned number = 0;
  while (number < s.operands.size() && s.operands[number].value != operand)
    ++number;
  if (number == s.operands.size()) {
    unsigned level = 0;
    walk(operand,
         [&](Expr node) { level = std::max(level, levels.lookup(node)); });
    s.operands.push_back({operand, level});
    s.numLevels = std::max(s.numLevels, level + 1);
  }
  for (const CellStructure::Contraction &known : s.contractions)
    if (known.operand == number && known.weight == weight)
      return known.marker;
  Expr marker = context.variable(context.fresh(s.length, s.length));
  // A real number, unlike other variables: a read that only this names.
  marker = context.apply("rondo.contraction", {marker}, weight->type);
  levels[marker] = s.operands[number].level + 1;
  s.contractions.push_back({marker, weight, number});
  return marker;
}

bool CellAnalysis::addValues() {
  for (CellStructure::State &state : s.states) {
    RecurrenceOp op = state.recurrence;
    auto equation = op.getSlice(state.member).getDefiningOp<EquationOp>();
    name = op.getName(state.member);
    state.value = resolve(valueOf(op, equation));
    if (!state.value || !checkValue(state.value, name))
      return false;
    // Of states that were looked at later.
    current[state.current] = state.value;
  }
  return true;
}

bool CellAnalysis::addResult(unsigned output, Value tensor) {
  TensorSpecAttr spec = s.kernel.getOutput(output);
  name = spec.getName();
  if (spec.getRole() == Role::Final) {
    for (auto [i, state] : llvm::enumerate(s.states))
      if (tensor == state.recurrence.getFinal(state.member)) {
        s.finals.push_back({output, i});
        return true;
      }
    return refuse("'" + name + "' is not the final value of a state");
  }
  Expr value;
  if (auto op = tensor.getDefiningOp<RecurrenceOp>()) {
    // The history of a member is what its equation says at every step.
    unsigned member = cast<OpResult>(tensor).getResultNumber();
    if (member >= op.getNumMembers())
      return refuse("'" + name + "' is a final value and a result");
    auto slice = op.getSlice(member).getDefiningOp<EquationOp>();
    if (!slice || slice->getParentOp() != op ||
        slice.getSizes().size() != s.extents.size() ||
        !isSameExtent(slice.getSizes().back(), s.extents.back()))
      return refuse("'" + name + "' has other indices than the states");
    value = valueOf(op, slice);
  } else {
    auto equation = tensor.getDefiningOp<EquationOp>();
    if (!equation || equation.getSizes().size() != s.numBatch + 2 ||
        !isSameExtent(equation.getSizes()[s.numBatch], s.length) ||
        !isSameExtent(equation.getSizes().back(), s.extents.back()))
      return refuse("'" + name + "' has other indices than the states");
    SmallVector<Expr> own(s.indices);
    own.insert(own.begin() + s.numBatch, s.time);
    value = nameStates(
        inlineEquations(Importer(context).instantiate(equation, own)));
  }
  value = resolve(value);
  if (!value || !checkValue(value, name))
    return false;
  s.results.push_back({output, value});
  return true;
}

/// By the types in memory: of the results, how exact a product must be, and of
/// the weights, whether one number is all of it.
bool CellAnalysis::countTerms() {
  auto termsOf = [](Type type) {
    return type.isBF16() ? 1u : type.isF16() ? 2u : 3u;
  };
  s.operandTerms = 1;
  for (const CellStructure::Result &result : s.results) {
    Type type = s.kernel.getOutput(result.output).getElementType();
    s.operandTerms = std::max(s.operandTerms, termsOf(type));
  }
  s.weightTerms = 1;
  for (const CellStructure::Contraction &each : s.contractions) {
    unsigned terms = 3;
    if (each.weight->kind == Kind::Read)
      terms = termsOf(
          s.kernel
              .getInput(cast<BlockArgument>(each.weight->value).getArgNumber())
              .getElementType());
    s.weightTerms = std::max(s.weightTerms, std::min(terms, s.operandTerms));
  }
  return s.states[0].past->type.isF32() ||
         refuse("matrix units have no products of f64");
}

bool CellAnalysis::run() {
  s.numBatch = s.kernel.getBatch().size();
  for (Operation &op : s.kernel.getBody().front())
    if (auto recurrence = dyn_cast<RecurrenceOp>(op))
      if (!addRecurrence(recurrence))
        return false;
  if (s.states.empty())
    return refuse("it has no recurrence");
  if (s.indices.size() != s.numBatch + 1)
    return refuse("its states are not vectors");
  s.unit = s.indices.back();
  s.summed = context.variable(context.fresh(s.length, s.length));
  if (!addValues())
    return false;
  auto ret = cast<ReturnOp>(s.kernel.getBody().front().getTerminator());
  for (auto [i, tensor] : llvm::enumerate(ret.getOperands()))
    if (!addResult(i, tensor))
      return false;
  if (s.contractions.empty())
    return refuse("no sum over states is in a step");
  std::optional<int64_t> width = numberOf(s.extents.back());
  if (!width || *width < 1)
    return refuse("the number of units is not known when the kernel is "
                  "compiled (--dims)");
  s.width = *width;
  for (unsigned k = 0; k < s.numBatch; ++k)
    s.isRow.push_back(llvm::none_of(s.contractions, [&](const auto &each) {
      return dependsOn(each.weight, s.indices[k]);
    }));
  return countTerms();
}

} // namespace

std::optional<CellStructure> rondo::findCellStructure(Context &context,
                                                      KernelOp kernel,
                                                      std::string &reason) {
  CellStructure structure;
  structure.kernel = kernel;
  reason.clear();
  if (!CellAnalysis(context, structure, reason).run())
    return std::nullopt;
  return structure;
}

//===----------------------------------------------------------------------===//
// Parameters
//===----------------------------------------------------------------------===//

/// Products of 16 rows, each of two contractions of one operand.
static int64_t countTiles(const CellStructure &cell) {
  int64_t tiles = 0;
  for (unsigned operand = 0; operand < cell.operands.size(); ++operand)
    tiles += llvm::divideCeil(llvm::count_if(cell.contractions,
                                             [&](const auto &each) {
                                               return each.operand == operand;
                                             }),
                              2);
  return tiles;
}

/// Registers of a thread that hold weights.
static int64_t countWeightRegisters(const CellStructure &cell,
                                    const CellParameters &p) {
  int64_t pairs = llvm::divideCeil(llvm::divideCeil(cell.width, 32), p.splits);
  return countTiles(cell) * pairs * 2 * 4 * cell.weightTerms;
}

/// Bytes for operands of a block, and for sums of its warps.
static int64_t countSharedBytes(const CellStructure &cell,
                                const CellParameters &p) {
  int64_t pairs = llvm::divideCeil(cell.width, 32);
  int64_t operands = 2 * cell.operands.size() * cell.operandTerms * pairs *
                     p.rowTiles * 256 * 2;
  int64_t sums = countTiles(cell) * p.splits * p.rowTiles * 128 * 4;
  return (p.parts > 1 ? 0 : operands) + (p.splits > 1 ? sums : 0);
}

std::optional<CellParameters>
rondo::chooseCellParameters(const CellStructure &cell, std::string &reason) {
  int64_t tiles = llvm::divideCeil(cell.width, 8);
  // What a thread needs beside weights.
  constexpr int64_t others = 96, mostShared = 48 * 1024;
  auto fits = [&](const CellParameters &p) {
    int64_t threads = 32 * p.unitTiles * p.splits;
    return threads <= 1024 && countSharedBytes(cell, p) <= mostShared &&
           countWeightRegisters(cell, p) + others <=
               std::min<int64_t>(255, 65536 / threads);
  };
  CellParameters p;
  p.unitTiles = tiles;
  if (fits(p))
    return p;
  // Over blocks: 8 units each, 8 warps that share the sums.
  constexpr int64_t mostParts = 128;
  p.unitTiles = 1;
  p.rowTiles = 2;
  p.splits = std::min<int64_t>(8, llvm::divideCeil(cell.width, 32));
  p.parts = tiles;
  if (p.parts <= mostParts && fits(p))
    return p;
  reason = "the weights of " + std::to_string(cell.width) +
           " units do not fit registers, or their sums shared memory";
  return std::nullopt;
}
