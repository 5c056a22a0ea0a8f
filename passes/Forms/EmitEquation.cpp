//===- EmitEquation.cpp - One statement at one step -----------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "passes/Forms/EquationEmitter.h"

using namespace mlir;
using namespace rondo;

void KernelEmitter::emitStatement(Statement &statement) {
  Statement *outer = std::exchange(current, &statement);
  Location outerLoc = std::exchange(loc, statement.op.getLoc());
  OpBuilder::InsertionGuard outside(b);
  IRMapping before = map;
  auto positiveBefore = positive;
  EquationEmitter probe(*this, statement, /*isWhole=*/true);
  probe.prepare();
  probe.enterOuter();
  EquationEmitter whole(*this, statement, /*isWhole=*/true, probe.getOuter());
  whole.prepare();
  if (whole.getWindows().empty()) {
    whole.emit();
  } else {
    auto test = scf::IfOp::create(b, loc, whole.emitAreWhole(),
                                  /*withElseRegion=*/true);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(test.thenBlock());
    windows.assign(whole.getWindows().begin(), whole.getWindows().end());
    IRMapping inside = map;
    whole.emit();
    map = inside;
    windows.clear();
    b.setInsertionPointToStart(test.elseBlock());
    EquationEmitter other(*this, statement, /*isWhole=*/false,
                          probe.getOuter());
    other.prepare();
    other.emit();
    map = before;
  }
  positive = positiveBefore;
  current = outer;
  loc = outerLoc;
}

void EquationEmitter::prepare() {
  collectFree();
  if (Value filter = op.getYield().getFilter())
    collectFilter(filter);
  findNeeded(op.getYield().getValues()[0]);
  for (Value condition : conditions)
    findNeeded(condition);
  chooseLooped();
}

/// Whether every window lies within its dim.
Value EquationEmitter::emitAreWhole() {
  Value result;
  for (const Window &window : windows) {
    if (!exprs.isAtLeast(window.first, 0))
      result = kernel.emitAnd(
          result, arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sge,
                                        kernel.emitExpr(window.first),
                                        kernel.constant(0)));
    result = kernel.emitAnd(
        result, arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt,
                                      kernel.emitExpr(window.last),
                                      kernel.emitExpr(window.size)));
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

/// Continues in a loop over an index.
void EquationEmitter::enterLoop(const FreeIndex &index) {
  Value lower, upper;
  if (index.isRow) {
    lower = kernel.firstRow;
    upper = b.createOrFold<arith::AddIOp>(loc, lower, kernel.numRows);
  } else {
    lower = kernel.emitExpr(index.lower);
    upper = kernel.emitExpr(index.upper);
  }
  auto loop = scf::ForOp::create(b, loc, lower, upper, kernel.constant(1));
  b.setInsertionPointToStart(loop.getBody());
  kernel.map.map(index.index, loop.getInductionVar());
  kernel.positive.push_back(index.size ? index.size : index.upper);
}

void EquationEmitter::enterOuter() {
  for (const FreeIndex &index : free)
    if (wanted.contains(index.index))
      enterLoop(index);
}

void EquationEmitter::emitParallel(unsigned next) {
  while (next < free.size() && (free[next].isReduction || !free[next].isLooped))
    ++next;
  if (next < free.size()) {
    OpBuilder::InsertionGuard guard(b);
    enterLoop(free[next]);
    emitParallel(next + 1);
    kernel.positive.pop_back();
    return;
  }
  ranges.assign(free.size(), {});
  for (unsigned i = 0; i < free.size(); ++i)
    computeRange(i);
  if (statement.isReduction())
    emitFill();
  emitReduction(0);
}

/// The bounds of a free index, narrowed by the filter, as values (reductions)
/// or as the kept dim's range.
void EquationEmitter::computeRange(unsigned number) {
  FreeIndex &index = free[number];
  bool isNarrowed = llvm::any_of(
      bounds, [&](const Bound &bound) { return bound.free == number; });
  if (index.isRow) {
    if (index.isLooped)
      return;
    IterationDim dim = {index.index, /*isReduction=*/false, kernel.firstRow,
                        kernel.numRows};
    filled.push_back(dim);
    kept.push_back(dim);
    return;
  }
  if (!index.isReduction && !index.isLooped)
    filled.push_back(
        {index.index, /*isReduction=*/false, kernel.emitExtent(index.lower),
         kernel.emitExtent(exprs.simplify(index.upper - index.lower)),
         index.lower});
  if (!isNarrowed && !index.isLooped) {
    AffineExpr extent = exprs.simplify(index.upper - index.lower);
    OpFoldResult size = kernel.emitExtent(extent);
    if (index.isReduction && !exprs.isAtLeast(extent, 0))
      size = b.createOrFold<arith::MaxSIOp>(loc, kernel.toValue(size),
                                            kernel.constant(0));
    kept.push_back({index.index, index.isReduction,
                    kernel.emitExtent(index.lower), size, index.lower});
    return;
  }
  if (!index.isReduction && index.isLooped)
    return;
  Value lower = kernel.emitExpr(index.lower);
  Value upper = kernel.emitExpr(index.upper);
  bool isLowerDeclared = true, isUpperDeclared = true;
  for (const Bound &bound : bounds) {
    if (bound.free != number)
      continue;
    if (bound.side <= 0) {
      // index >= rest
      Value least = kernel.emitExpr(bound.rest);
      bool isTighter =
          isLowerDeclared && exprs.isAtLeast(bound.rest - index.lower, 0);
      lower =
          isTighter ? least : b.createOrFold<arith::MaxSIOp>(loc, lower, least);
      isLowerDeclared = false;
    }
    if (bound.side >= 0) {
      // index <= rest
      Value limit = kernel.emitExpr(exprs.simplify(bound.rest + 1));
      bool isTighter =
          isUpperDeclared && exprs.isAtLeast(index.upper - 1 - bound.rest, 0);
      upper =
          isTighter ? limit : b.createOrFold<arith::MinSIOp>(loc, upper, limit);
      isUpperDeclared = false;
    }
  }
  ranges[number] = {lower, upper};
  if (index.isLooped)
    return;
  upper = b.createOrFold<arith::MaxSIOp>(loc, lower, upper);
  Value extent = b.createOrFold<arith::SubIOp>(loc, upper, lower);
  kept.push_back({index.index, index.isReduction, lower, extent, {}});
}

void EquationEmitter::emitReduction(unsigned next) {
  while (next < free.size() &&
         (!free[next].isReduction || !free[next].isLooped))
    ++next;
  if (next == free.size()) {
    emitFiltered();
    return;
  }
  auto [lower, upper] = ranges[next];
  auto loop = scf::ForOp::create(b, loc, lower, upper, kernel.constant(1));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  kernel.map.map(free[next].index, loop.getInductionVar());
  emitReduction(next + 1);
}

/// Tests what no kept index changes before the work.
void EquationEmitter::emitFiltered() {
  Value holds;
  SmallVector<Value> inner;
  for (Value condition : conditions) {
    if (getKept(condition))
      inner.push_back(condition);
    else
      holds = kernel.emitAnd(holds, kernel.emitScalar(condition));
  }
  conditions = inner;
  if (!holds)
    return emitCore();
  auto test = scf::IfOp::create(b, loc, holds, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(test.thenBlock());
  emitCore();
}

//===----------------------------------------------------------------------===//
// Reductions
//===----------------------------------------------------------------------===//

TypedAttr EquationEmitter::getIdentity() {
  Type type = Storage::getMemoryType(statement.result->element);
  bool isReal = isa<FloatType>(type);
  auto infinity = [&](bool negative) {
    return FloatAttr::get(
        type,
        APFloat::getInf(cast<FloatType>(type).getFloatSemantics(), negative));
  };
  unsigned width = type.getIntOrFloatBitWidth();
  switch (*op.getCombiner()) {
  case Combiner::Sum:
  case Combiner::Any:
    return b.getZeroAttr(type);
  case Combiner::Prod:
  case Combiner::All:
    return b.getOneAttr(type);
  case Combiner::Max:
    return isReal ? TypedAttr(infinity(true))
                  : IntegerAttr::get(type, APInt::getSignedMinValue(width));
  case Combiner::Min:
    return isReal ? TypedAttr(infinity(false))
                  : IntegerAttr::get(type, APInt::getSignedMaxValue(width));
  }
  llvm_unreachable("not a combiner");
}

Value EquationEmitter::combine(Value accumulator, Value term) {
  bool isReal = isa<FloatType>(term.getType());
  switch (*op.getCombiner()) {
  case Combiner::Sum:
    if (isReal)
      return arith::AddFOp::create(b, loc, accumulator, term);
    return arith::AddIOp::create(b, loc, accumulator, term);
  case Combiner::Prod:
    if (isReal)
      return arith::MulFOp::create(b, loc, accumulator, term);
    return arith::MulIOp::create(b, loc, accumulator, term);
  case Combiner::Max:
    // The flag says that any result will do where one of them is NaN.
    if (isReal)
      return arith::MaximumFOp::create(b, loc, accumulator, term,
                                       op->hasAttr("rondo.any_of_nan")
                                           ? arith::FastMathFlags::nnan
                                           : arith::FastMathFlags::none);
    return arith::MaxSIOp::create(b, loc, accumulator, term);
  case Combiner::Min:
    if (isReal)
      return arith::MinimumFOp::create(b, loc, accumulator, term);
    return arith::MinSIOp::create(b, loc, accumulator, term);
  case Combiner::Any:
    return arith::OrIOp::create(b, loc, accumulator, term);
  case Combiner::All:
    return arith::AndIOp::create(b, loc, accumulator, term);
  }
  llvm_unreachable("not a combiner");
}

/// At most some steps of a sequence, at its ends, have windows that are not
/// whole.
void EquationEmitter::markRare(Operation *work) {
  if (!isWhole)
    work->setAttr("rondo.rare", b.getUnitAttr());
}

void EquationEmitter::emitFill() {
  View out = kernel.resolve(statement.write, filled);
  Value identity = arith::ConstantOp::create(b, loc, getIdentity());
  if (filled.empty())
    kernel.storePoint(out, identity);
  else
    markRare(
        linalg::FillOp::create(b, loc, identity, kernel.createSubview(out)));
}

//===----------------------------------------------------------------------===//
// The work
//===----------------------------------------------------------------------===//

void EquationEmitter::emitCore() {
  if (kept.empty())
    emitPoint();
  else
    emitGeneric();
}

/// No kept index: plain scalar code.
void EquationEmitter::emitPoint() {
  Value value = kernel.emitScalar(op.getYield().getValues()[0]);
  View out = kernel.resolve(statement.write, {});
  Type element = cast<MemRefType>(out.memref.getType()).getElementType();
  value = kernel.toMemory(value, element);
  if (statement.isReduction())
    value = combine(kernel.loadPoint(out), value);
  kernel.storePoint(out, value);
}

unsigned EquationEmitter::addInput(Value memref, AffineMap map) {
  inputs.push_back(memref);
  maps.push_back(map);
  return inputs.size() - 1;
}

/// Prepares a read that depends on kept indices.
void EquationEmitter::addOperand(const Access &access) {
  Operand operand;
  operand.access = &access;
  if (kernel.storage.readsOverwritten(access)) {
    operand.isOutput = true;
    operands.push_back(operand);
    return;
  }
  View view = kernel.product && access.tensor->kind == Tensor::Kind::Argument
                  ? kernel.resolveMatrix(access, kept)
                  : kernel.resolve(access, kept);
  AffineMap map = kernel.getMap(view, kept.size());
  Value memref = kernel.createSubview(view);
  operand.inRange = kernel.emitAnd(view.inTime, view.inRest);
  if (access.fallback && operand.inRange) {
    View other = kernel.resolveFallback(access, kept);
    Value initial = kernel.createSubview(other);
    // The same subscripts elsewhere: before the start, read the initial value
    // in place of the history.
    bool isAlike = kernel.storage.isServedByPrefill(access) &&
                   initial.getType() == memref.getType() &&
                   kernel.getMap(other, kept.size()) == map;
    if (isAlike) {
      memref = kernel.emitSelect(view.inTime, memref, initial);
      operand.inRange = view.inRest;
    } else {
      operand.fallbackInRange = kernel.emitAnd(other.inTime, other.inRest);
      operand.fallback = addInput(initial, kernel.getMap(other, kept.size()));
    }
  }
  operand.input = addInput(memref, map);
  operands.push_back(operand);
}

/// Emits what a kept index does not change before the linalg.generic.
void EquationEmitter::emitOutside(Value value) {
  Operation *def = value.getDefiningOp();
  if (def && def->getBlock() == &op.getBlock() && !getKept(value))
    kernel.emitScalar(value);
}

void EquationEmitter::emitGeneric() {
  Value result = op.getYield().getValues()[0];
  for (Operation *def : needed) {
    if (!getKept(def->getResult(0)))
      continue;
    if (const Access *access = statement.getAccess(def)) {
      addOperand(*access);
      continue;
    }
    for (Value operand : def->getOperands())
      emitOutside(operand);
  }
  emitOutside(result);

  View out = kernel.resolve(statement.write, kept);
  Value target = kernel.createSubview(out);
  maps.push_back(kernel.getMap(out, kept.size()));
  SmallVector<utils::IteratorType> iterators;
  for (const IterationDim &dim : kept)
    iterators.push_back(dim.isReduction ? utils::IteratorType::reduction
                                        : utils::IteratorType::parallel);
  markRare(linalg::GenericOp::create(
      b, loc, inputs, target, maps, iterators,
      [&](OpBuilder &inner, Location, ValueRange) {
        OpBuilder::InsertionGuard guard(b);
        Block *block = inner.getInsertionBlock();
        b.setInsertionPointToEnd(block);
        linalg::YieldOp::create(b, loc, emitBody(block));
      }));
}

/// The value of a read, in the body.
Value EquationEmitter::readOperand(const Operand &operand, Block *block) {
  Type scalar = operand.access->op->getResult(0).getType();
  if (operand.isOutput)
    return kernel.fromMemory(block->getArguments().back(), scalar);
  Value value = kernel.fromMemory(block->getArgument(operand.input), scalar);
  if (!operand.inRange)
    return value;
  Value other = kernel.emitZero(scalar);
  if (operand.fallback >= 0)
    other = kernel.emitSelect(
        operand.fallbackInRange,
        kernel.fromMemory(block->getArgument(operand.fallback), scalar), other);
  return kernel.emitSelect(operand.inRange, value, other);
}

Value EquationEmitter::emitBody(Block *block) {
  // Everything outside of the body keeps its value in the function.
  body = kernel.map;
  for (auto [i, dim] : llvm::enumerate(kept)) {
    Value index = linalg::IndexOp::create(b, loc, i);
    if (!isConstantIntValue(dim.lower, 0))
      index = arith::AddIOp::create(b, loc, index, kernel.toValue(dim.lower));
    body.map(dim.index, index);
  }
  auto operand = operands.begin();
  for (Operation *def : needed) {
    if (!getKept(def->getResult(0)))
      continue;
    if (statement.getAccess(def))
      body.map(def->getResult(0), readOperand(*operand++, block));
    else if (isKnown(def))
      body.map(def->getResult(0),
               arith::ConstantOp::create(b, loc, b.getBoolAttr(true)));
    else
      kernel.emitOp(def, body);
  }
  Value value = body.lookup(op.getYield().getValues()[0]);
  Value accumulator = block->getArguments().back();
  value = kernel.toMemory(value, accumulator.getType());
  if (!statement.isReduction())
    return value;
  Value holds;
  for (Value condition : conditions)
    holds = kernel.emitAnd(holds, body.lookup(condition));
  if (holds)
    value = kernel.emitSelect(holds, value,
                              arith::ConstantOp::create(b, loc, getIdentity()));
  return combine(accumulator, value);
}
