//===- TimeReads.cpp - What a step needs of earlier steps -----------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Forms/TimeReads.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace rondo;

//===----------------------------------------------------------------------===//
// Queries
//===----------------------------------------------------------------------===//

bool TimeReads::isTime(Value extent) {
  return exprs.get(extent) ==
         getAffineSymbolExpr(timeSize, exprs.getContext());
}

bool TimeReads::dependsOnTime(AffineExpr expr) {
  return expr.isFunctionOfSymbol(timeSize);
}

TimeDim TimeReads::getKind(Value tensor, unsigned dim) const {
  return seen.contains({tensor, dim}) ? TimeDim::Seen : TimeDim::Present;
}

bool TimeReads::runsInTime(RecurrenceOp recurrence) {
  return llvm::any_of(recurrence.getSizes(),
                      [&](Value size) { return isTime(size); });
}

Value TimeReads::getTensor(Value source) {
  auto argument = dyn_cast<BlockArgument>(source);
  if (!argument)
    return source;
  auto recurrence = dyn_cast<RecurrenceOp>(argument.getOwner()->getParentOp());
  if (!recurrence)
    return source;
  return recurrence.getHistory(argument.getArgNumber() -
                               recurrence.getNumAlong());
}

const TimeSubscript *TimeReads::getSubscript(Operation *read,
                                             unsigned dim) const {
  auto it = subscripts.find({read, dim});
  return it == subscripts.end() ? nullptr : &it->second;
}

const Remembered *TimeReads::getRemembered(Value tensor) const {
  for (const Remembered &each : remembered)
    if (each.tensor == tensor)
      return &each;
  return nullptr;
}

Value TimeReads::getValue(AffineExpr atom) {
  if (isa<AffineDimExpr>(atom))
    return exprs.getIndex(atom);
  auto symbol = dyn_cast<AffineSymbolExpr>(atom);
  if (!symbol)
    return {};
  if (!exprs.isSize(symbol))
    return exprs.getSymbolValue(symbol);
  for (auto size : kernel.getOps<SizeOp>())
    if (kernel.getSizeIndex(size.getName()) == symbol.getPosition())
      return size;
  return {};
}

SmallVector<unsigned, 2> TimeReads::getTimeDims(Value tensor) {
  SmallVector<unsigned, 2> dims;
  if (auto recurrence = tensor.getDefiningOp<RecurrenceOp>()) {
    if (cast<OpResult>(tensor).getResultNumber() < recurrence.getNumMembers() &&
        runsInTime(recurrence))
      dims.push_back(recurrence.getBatch());
    return dims;
  }
  if (auto equation = tensor.getDefiningOp<EquationOp>()) {
    for (auto [dim, size] : llvm::enumerate(equation.getSizes()))
      if (isTime(size))
        dims.push_back(dim);
    return dims;
  }
  auto argument = dyn_cast<BlockArgument>(tensor);
  if (!argument || argument.getOwner()->getParentOp() != kernel)
    return dims;
  AffineMap shape = kernel.getInput(argument.getArgNumber()).getShape();
  for (auto [dim, expr] : llvm::enumerate(shape.getResults()))
    if (expr == getAffineSymbolExpr(timeSize, exprs.getContext()))
      dims.push_back(dim);
  return dims;
}

Remembered TimeReads::describe(Value tensor) {
  Remembered result;
  result.tensor = tensor;
  result.dim = getTimeDims(tensor).front();
  result.stored = cast<RankedTensorType>(tensor.getType()).getElementType();
  auto addExtents = [&](ValueRange extents) {
    for (Value extent : extents)
      result.shape.push_back(exprs.get(extent));
  };
  if (auto equation = tensor.getDefiningOp<EquationOp>()) {
    result.name = equation.getName().str();
    addExtents(equation.getSizes());
  } else if (auto recurrence = tensor.getDefiningOp<RecurrenceOp>()) {
    unsigned member = cast<OpResult>(tensor).getResultNumber();
    result.name = recurrence.getName(member).str();
    addExtents(
        recurrence.getSlice(member).getDefiningOp<EquationOp>().getSizes());
    result.shape.insert(result.shape.begin() + result.dim,
                        exprs.get(recurrence.getSizes()[0]));
    if (member < recurrence.getNumStates())
      result.declared = recurrence.getInitials()[member];
  } else {
    TensorSpecAttr spec =
        kernel.getInput(cast<BlockArgument>(tensor).getArgNumber());
    result.name = spec.getName().str();
    for (AffineExpr expr : spec.getShape().getResults())
      result.shape.push_back(exprs.getOfSizes(expr));
  }
  // A body's real numbers are of the type in which it computes.
  result.element = result.stored;
  result.scalar = result.stored;
  for (Operation *user : tensor.getUsers())
    if (isa<ReadOp, GatherOp>(user) && user->getOperand(0) == tensor)
      result.scalar = user->getResult(0).getType();
  if (result.stored.isInteger() && !result.stored.isInteger(1)) {
    result.scalar = IndexType::get(exprs.getContext());
    result.element = result.stored = IntegerType::get(exprs.getContext(), 64);
  } else {
    result.stored = result.scalar;
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Analysis
//===----------------------------------------------------------------------===//

InFlightDiagnostic TimeReads::refuse(Operation *op) {
  return op->emitError() << "kernel `" << kernel.getSymName()
                         << "` has no step by step form: ";
}

FailureOr<TimeReads> TimeReads::get(KernelOp kernel) {
  TimeReads reads(kernel);
  if (failed(reads.analyze()))
    return failure();
  return reads;
}

LogicalResult TimeReads::analyze() {
  if (!kernel.getTime())
    return refuse(kernel) << "no tensor of it has a time dim, or more than one "
                             "size could be time";
  timeSize = kernel.getSizeIndex(*kernel.getTime());
  if (kernel.getBound()[timeSize] >= 0)
    return refuse(kernel) << "`" << *kernel.getTime()
                          << "` is fixed at compile time; leave it out of "
                             "--dims";
  for (auto specs : {kernel.getInputs(), kernel.getOutputs()})
    for (auto spec : specs.getAsRange<TensorSpecAttr>())
      for (AffineExpr expr : spec.getShape().getResults())
        if (dependsOnTime(expr) && !isa<AffineSymbolExpr>(expr))
          return refuse(kernel) << "the shape of `" << spec.getName()
                                << "` computes with `" << *kernel.getTime()
                                << "`";

  // Readers before what they read.
  for (Operation &op : llvm::reverse(kernel.getBody().front())) {
    LogicalResult done = success();
    if (auto equation = dyn_cast<EquationOp>(op))
      done = visitEquation(equation);
    else if (auto recurrence = dyn_cast<RecurrenceOp>(op))
      done = visitRecurrence(recurrence);
    else if (auto result = dyn_cast<ReturnOp>(op))
      done = visitReturn(result);
    else if (!isa<SizeOp, InitialOp>(op))
      for (Value result : op.getResults())
        if (result.getType().isIndex() && dependsOnTime(exprs.get(result)))
          done = refuse(&op) << "it computes with the length of the sequence";
    if (failed(done))
      return failure();
  }

  // Arguments are given whole when there is no bound on how far back they are
  // read; of others the last steps are kept.
  for (const Remembered &each : remembered)
    if (!each.length) {
      all = true;
      if (isa<BlockArgument>(each.tensor))
        seen.insert({each.tensor, each.dim});
    }
  llvm::erase_if(remembered, [&](const Remembered &each) {
    return !each.length && isa<BlockArgument>(each.tensor);
  });
  return success();
}

LogicalResult TimeReads::visitReturn(ReturnOp op) {
  for (auto [i, value] : llvm::enumerate(op.getOperands())) {
    TensorSpecAttr spec = kernel.getOutput(i);
    if (spec.getRole() != Role::Result)
      continue;
    unsigned count = llvm::count_if(
        spec.getShape().getResults(),
        [&](AffineExpr expr) { return dependsOnTime(expr); });
    if (count != 1)
      return refuse(op) << "the result `" << spec.getName() << "` has "
                        << (count ? "several dims" : "no dim")
                        << " over time; a step gives one of each";
  }
  return success();
}

LogicalResult TimeReads::visitRecurrence(RecurrenceOp recurrence) {
  bool inTime = runsInTime(recurrence);
  if (inTime && recurrence.getNumAlong() != 1)
    return refuse(recurrence)
           << "`" << recurrence.getName(0)
           << "` runs along time and another dim at once";
  if (inTime && recurrence.getReversed()[0])
    return refuse(recurrence) << "`" << recurrence.getName(0)
                              << "` runs backward in time, from the end";
  if (inTime)
    present.insert(recurrence.getAlongIndices()[0]);
  for (auto [index, size] :
       llvm::zip_equal(recurrence.getAlongIndices(), recurrence.getSizes())) {
    exprs.addIndex(index, exprs.getConstant(0), exprs.get(size));
    ranges[exprs.get(index)] = {exprs.getConstant(0), exprs.get(size)};
  }
  for (Operation &op : llvm::reverse(recurrence.getBlock())) {
    if (auto equation = dyn_cast<EquationOp>(op)) {
      if (failed(visitEquation(equation)))
        return failure();
      if (!getTimeDims(equation).empty() && isReadBack(recurrence, equation))
        return refuse(equation) << "`" << equation.getName()
                                << "` has a dim over time beside its own step";
    } else if (isa<RecurrenceOp>(op)) {
      return refuse(&op) << "a recurrence stands within a step of another";
    }
  }
  return success();
}

/// Whether a slice is read at later steps, or behind the recurrence.
bool TimeReads::isReadBack(RecurrenceOp recurrence, Value slice) {
  for (unsigned i = 0; i < recurrence.getNumMembers(); ++i)
    if (recurrence.getSlice(i) == slice &&
        (i < recurrence.getNumStates() || !recurrence.getPast(i).use_empty() ||
         !recurrence.getHistory(i).use_empty()))
      return true;
  return false;
}

TimeReads::Fact TimeReads::getFact(Value condition) {
  Operation *op = condition.getDefiningOp();
  if (isa_and_nonnull<arith::AndIOp, arith::OrIOp>(op))
    return {isa<arith::AndIOp>(op) ? Fact::Kind::All : Fact::Kind::Any,
            {},
            {getFact(op->getOperand(0)), getFact(op->getOperand(1))}};
  if (auto read = dyn_cast_or_null<ReadOp>(op))
    return getFactOfRead(read, [&](Value value) { return getFact(value); });
  auto compare = dyn_cast_or_null<arith::CmpIOp>(op);
  if (!compare || !compare.getLhs().getType().isIndex())
    return {};
  AffineExpr ahead =
      exprs.get(compare.getRhs()) - exprs.get(compare.getLhs());
  auto leaf = [](AffineExpr expr) {
    return Fact{Fact::Kind::NotNegative, expr, {}};
  };
  switch (compare.getPredicate()) {
  case arith::CmpIPredicate::sle:
    return leaf(ahead);
  case arith::CmpIPredicate::slt:
    return leaf(ahead - 1);
  case arith::CmpIPredicate::sge:
    return leaf(-ahead);
  case arith::CmpIPredicate::sgt:
    return leaf(-ahead - 1);
  case arith::CmpIPredicate::eq:
    return {Fact::Kind::All, {}, {leaf(ahead), leaf(-ahead)}};
  default:
    return {};
  }
}

/// Where a term of a sum is not 0: where none of its factors is.
TimeReads::Fact TimeReads::getFactOfTerm(Value term) {
  Operation *op = term.getDefiningOp();
  if (isa_and_nonnull<arith::MulFOp>(op))
    return {Fact::Kind::All,
            {},
            {getFactOfTerm(op->getOperand(0)), getFactOfTerm(op->getOperand(1))}};
  if (isa_and_nonnull<arith::DivFOp, arith::NegFOp>(op))
    return getFactOfTerm(op->getOperand(0));
  if (matchPattern(term, m_AnyZeroFloat()))
    return {Fact::Kind::Any, {}, {}};
  if (auto select = dyn_cast_or_null<arith::SelectOp>(op)) {
    Fact chosen{Fact::Kind::All,
                {},
                {getFact(select.getCondition()),
                 getFactOfTerm(select.getTrueValue())}};
    return {Fact::Kind::Any,
            {},
            {chosen, getFactOfTerm(select.getFalseValue())}};
  }
  if (auto read = dyn_cast_or_null<ReadOp>(op))
    return getFactOfRead(read,
                         [&](Value value) { return getFactOfTerm(value); });
  return {};
}

/// The fact of what the equation says that is read, at the point that is read.
TimeReads::Fact
TimeReads::getFactOfRead(ReadOp read,
                         llvm::function_ref<Fact(Value)> ofValue) {
  auto equation = read.getSource().getDefiningOp<EquationOp>();
  if (!equation || equation.getCombiner())
    return {};
  addIndices(equation);
  llvm::DenseMap<AffineExpr, AffineExpr> here;
  for (auto [index, subscript] :
       llvm::zip_equal(equation.getParallelIndices(), read.getSubscripts()))
    here[exprs.get(index)] = exprs.get(subscript);
  Fact fact = ofValue(equation.getYield().getValues()[0]);
  SmallVector<Fact *> stack{&fact};
  while (!stack.empty()) {
    Fact *each = stack.pop_back_val();
    if (each->expr)
      each->expr = each->expr.replace(here);
    for (Fact &part : each->parts)
      stack.push_back(&part);
  }
  return fact;
}

void TimeReads::addIndices(EquationOp equation) {
  auto add = [&](Value index, AffineExpr lower, AffineExpr upper) {
    exprs.addIndex(index, lower, upper);
    ranges[exprs.get(index)] = {lower, upper};
  };
  for (auto [index, size] :
       llvm::zip_equal(equation.getParallelIndices(), equation.getSizes()))
    add(index, exprs.getConstant(0), exprs.get(size));
  for (auto [index, lower, upper] :
       llvm::zip_equal(equation.getReductionIndices(), equation.getLowers(),
                       equation.getUppers()))
    add(index, exprs.get(lower), exprs.get(upper));
}

bool TimeReads::isNotNegative(AffineExpr expr, const Fact &fact) const {
  if (exprs.isAtLeast(expr, 0))
    return true;
  auto follows = [&](const Fact &part) { return isNotNegative(expr, part); };
  switch (fact.kind) {
  case Fact::Kind::NotNegative:
    return exprs.isAtLeast(expr - fact.expr, 0);
  case Fact::Kind::All:
    return llvm::any_of(fact.parts, follows);
  case Fact::Kind::Any:
    return llvm::all_of(fact.parts, follows);
  }
  llvm_unreachable("not a fact");
}

LogicalResult TimeReads::checkSize(Operation *user, Value extent) {
  if (isTime(extent) || !dependsOnTime(exprs.get(extent)))
    return success();
  return refuse(user) << "it computes with the length of the sequence";
}

LogicalResult TimeReads::visitEquation(EquationOp equation) {
  if (equation.use_empty())
    return success();
  AffineExpr now;
  addIndices(equation);
  if (auto recurrence = equation->getParentOfType<RecurrenceOp>())
    if (runsInTime(recurrence))
      now = exprs.get(recurrence.getAlongIndices()[0]);
  Fact fact;
  SmallVector<AffineExpr> others;
  for (auto [dim, size] : llvm::enumerate(equation.getSizes())) {
    if (failed(checkSize(equation, size)))
      return failure();
    Value index = equation.getParallelIndices()[dim];
    if (!isTime(size))
      continue;
    if (getKind(equation, dim) == TimeDim::Seen) {
      others.push_back(exprs.get(index));
      continue;
    }
    present.insert(index);
    if (now && !isa<RecurrenceOp>(equation->getParentOp()))
      return refuse(equation) << "`" << equation.getName()
                              << "` has two dims over time that are its step";
    if (!now)
      now = exprs.get(index);
  }
  for (AffineExpr other : others) // of steps seen
    if (now)
      fact.parts.push_back({Fact::Kind::NotNegative, now - other, {}});
  for (auto [lower, upper] :
       llvm::zip_equal(equation.getLowers(), equation.getUppers())) {
    if (failed(checkSize(equation, upper)))
      return failure();
    if (dependsOnTime(exprs.get(lower)))
      return refuse(equation) << "it computes with the length of the sequence";
  }
  if (Value filter = equation.getYield().getFilter())
    fact.parts.push_back(getFact(filter));
  if (equation.getCombiner() == Combiner::Sum)
    fact.parts.push_back(getFactOfTerm(equation.getYield().getValues()[0]));
  for (auto [index, upper] : llvm::zip_equal(equation.getReductionIndices(),
                                             equation.getUppers())) {
    if (!isTime(upper))
      continue;
    all = true;
    if (!now || !isNotNegative(now - exprs.get(index), fact))
      return refuse(equation)
             << "`" << equation.getName()
             << "` runs over steps that are yet to come; write `[u | u <= t]` "
                "to stop at the step itself";
  }

  for (Operation &op : equation.getBlock()) {
    if (auto read = dyn_cast<ReadOp>(op)) {
      if (failed(visitRead(read, read.getSource(), read.getSubscripts(), fact,
                           now)))
        return failure();
    } else if (auto gather = dyn_cast<GatherOp>(op)) {
      for (int64_t dim : gather.getDims())
        if (llvm::is_contained(getTimeDims(getTensor(gather.getSource())),
                               static_cast<unsigned>(dim)))
          return refuse(gather) << "data says at which step `"
                                << gather.getName() << "` is read";
      if (failed(visitRead(gather, gather.getSource(), gather.getSubscripts(),
                           fact, now)))
        return failure();
    } else if (op.getNumRegions()) {
      return refuse(&op) << "it is not made of plain equations";
    }
    for (Value operand : op.getOperands())
      if (operand.getType().isIndex() && operand.getDefiningOp() &&
          operand.getParentBlock() != &equation.getBlock() &&
          dependsOnTime(exprs.get(operand)))
        return refuse(&op) << "it computes with the length of the sequence";
  }
  return success();
}

LogicalResult TimeReads::visitRead(Operation *read, Value source,
                                   OperandRange at, const Fact &fact,
                                   AffineExpr now) {
  Value tensor = getTensor(source);
  auto recurrence = tensor.getDefiningOp<RecurrenceOp>();
  SmallVector<unsigned, 2> dims = getTimeDims(tensor);
  if (dims.empty())
    return success();
  if (!now)
    return refuse(read) << "it needs more than one step";
  // A dim over time beside the step of its recurrence.
  auto within = tensor.getDefiningOp<EquationOp>();
  bool isSlice = within && isa<RecurrenceOp>(within->getParentOp());
  for (unsigned dim : dims) {
    // All indices that are the step are one.
    AffineExpr step = exprs.get(at[dim]);
    llvm::DenseMap<AffineExpr, AffineExpr> same;
    for (auto [expr, range] : ranges)
      if (isPresent(exprs.getIndex(expr)))
        same[expr] = now;
    AffineExpr back = exprs.simplify(step.replace(same) - now);
    if (!isNotNegative(-back, fact))
      return refuse(read) << "it reads steps that are yet to come";
    TimeSubscript subscript{back};
    subscripts[{read, dim}] = subscript;
    if (subscript.isPresent())
      continue;
    if (dims.size() > 1 || isSlice) {
      seen.insert({tensor, dim});
      all = true;
      continue;
    }
    unsigned member = recurrence ? cast<OpResult>(tensor).getResultNumber() : 0;
    bool isState = recurrence && member < recurrence.getNumStates();
    if (!isState || !subscript.isBefore() || getRemembered(tensor))
      remember(tensor, dim, getLength(back));
  }
  return success();
}

/// An expression that is not greater, in which whole blocks of c steps became
/// steps: c (t floordiv c) >= t - (c - 1).
static AffineExpr boundBlocks(AffineExpr expr) {
  AffineExpr result = expr;
  for (const Term &term : LinearExpr::get(expr).terms) {
    auto division = dyn_cast<AffineBinaryOpExpr>(term.atom);
    if (!division || division.getKind() != AffineExprKind::FloorDiv)
      continue;
    auto divisor = dyn_cast<AffineConstantExpr>(division.getRHS());
    if (!divisor || divisor.getValue() <= 0 ||
        term.coefficient % divisor.getValue() != 0)
      continue;
    int64_t blocks = term.coefficient / divisor.getValue();
    AffineExpr steps = division.getLHS();
    if (blocks > 0)
      steps = steps - (divisor.getValue() - 1);
    result = result - term.atom * term.coefficient + steps * blocks;
  }
  return result;
}

/// How many steps back a subscript goes at most, over sizes; null without a
/// bound.
AffineExpr TimeReads::getLength(AffineExpr back) {
  back = exprs.simplify(boundBlocks(back));
  if (std::optional<int64_t> least = exprs.getLowerBound(back))
    return exprs.getConstant(-*least);
  AffineExpr length = exprs.getConstant(0);
  LinearExpr linear = LinearExpr::get(back);
  for (const Term &term : linear.terms) {
    auto it = ranges.find(term.atom);
    if (it != ranges.end()) {
      auto [lower, upper] = it->second;
      length = length - (term.coefficient > 0 ? lower : upper - 1) *
                            term.coefficient;
    } else if (exprs.isOfSizes(term.atom)) {
      length = length - term.atom * term.coefficient;
    } else {
      return {};
    }
  }
  length = exprs.simplify(length - linear.constant);
  return exprs.isOfSizes(length) && !dependsOnTime(length) ? length
                                                           : AffineExpr();
}

void TimeReads::remember(Value tensor, unsigned dim, AffineExpr length) {
  auto it = llvm::find_if(remembered, [&](const Remembered &each) {
    return each.tensor == tensor;
  });
  if (it == remembered.end()) {
    remembered.push_back(describe(tensor));
    remembered.back().length = length;
    return;
  }
  if (!length || !it->length) {
    it->length = {};
    return;
  }
  // The longer of two, or a length that holds both.
  if (exprs.isAtLeast(it->length - length, 0))
    return;
  it->length = exprs.isAtLeast(length - it->length, 0)
                   ? length
                   : exprs.simplify(length + it->length);
}
