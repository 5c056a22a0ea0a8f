//===- EmitEquation.cpp - One statement at one step -----------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// result[p] = combine over r of body(p, r), where batch and time indices are
// already bound. The remaining indices are *free*. Each one is either *kept*, a
// dim of a linalg.generic, or *looped*, an scf.for around it:
//
//   for looped parallel indices
//     fill with the identity                          (reductions)
//     for looped reduction indices, in narrowed bounds
//       if the parts of the filter that no kept index changes
//         scalar code that no kept index changes
//         linalg.generic over the kept indices
//
// An index is looped when
//   - some read uses it in a subscript that is not just this index, in range of
//     the dim (x[t - 3 + p], x[i, i], emb[tokens[u]]): in the loop, the
//     subscript is a scalar, and guards and faults are handled once outside;
//   - it bounds a reduction: sum[u | u <= t] becomes a range of u for each t;
//   - it chooses the slot of a ring or the step of a snapshot;
//   - it has one value only: views of memory leave out dims of size 1, and MLIR
//     can't tell one that is left out from one that is kept;
//   - it is a reduction index by which no operand of the linalg.generic is
//     subscripted, so that nothing would give its range.
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "passes/Forms/Emit.h"

using namespace mlir;
using namespace rondo;

namespace rondo {

class EquationEmitter {
public:
  EquationEmitter(KernelEmitter &kernel, Statement &statement)
      : kernel(kernel), exprs(kernel.program.exprs), b(kernel.b),
        loc(kernel.loc), statement(statement), op(statement.op) {}

  void emit();

private:
  /// One bit per free index.
  using IndexSet = uint64_t;
  struct FreeIndex {
    Value index;
    bool isReduction;
    bool isLooped = false;
    AffineExpr lower, upper;
  };
  /// A part of the filter that bounds a reduction index: with
  /// side * (index - rest) <= 0, for -1: index >= rest, for 1: index <= rest,
  /// for 0: index == rest.
  struct Bound {
    unsigned free;
    int side;
    AffineExpr rest;
  };

  // What is looped, what is kept.
  void collectFree();
  void collectFilter(Value condition);
  bool findBound(Value condition);
  void findNeeded(Value value);
  void chooseLooped();
  bool loopTime(const Access &access);
  bool loopUnlessPlain(ArrayRef<Value> subscripts, const Tensor &tensor);
  bool isKeptPlain(Value subscript, AffineExpr size, IndexSet &taken);
  bool loopUnranged();
  IndexSet getIndices(Value value);
  IndexSet getKept(Value value);

  // Emission.
  void emitParallel(unsigned next);
  void emitReduction(unsigned next);
  void emitCore();
  void emitFiltered();
  void emitPoint();
  void emitGeneric();
  void emitFill();
  void computeRange(unsigned free);
  bool isPlacedBy(const Tensor &tensor, ArrayRef<Value> subscripts,
                  Value index);

  /// A read in the body of the linalg.generic.
  struct Operand {
    const Access *access;
    unsigned input = 0;    // position among the inputs
    int fallback = -1;     // position of the fallback, if read separately
    Value inRange;         // null: surely
    Value fallbackInRange; // null: surely
    bool isOutput = false; // the element that is overwritten
  };
  void addOperand(const Access &access);
  unsigned addInput(Value memref, AffineMap map);
  Value readOperand(const Operand &operand, Block *body);
  void emitOutside(Value value);
  Value emitBody(Block *body);
  Value combine(Value accumulator, Value term);
  TypedAttr getIdentity();

  KernelEmitter &kernel;
  IndexExprs &exprs;
  OpBuilder &b;
  Location loc;
  Statement &statement;
  EquationOp op;

  SmallVector<FreeIndex> free;
  SmallVector<Bound> bounds;
  SmallVector<Value> conditions;       // other parts of the filter
  llvm::SetVector<Operation *> needed; // ops of the body, in order of need
  SmallVector<std::pair<Value, Value>> ranges; // of reductions: lower, upper
  llvm::DenseMap<Value, IndexSet> indicesOf;
  SmallVector<IterationDim> kept;

  // Of the linalg.generic being built.
  SmallVector<Value> inputs;
  SmallVector<AffineMap> maps;
  SmallVector<Operand> operands;
  IRMapping body;
};

} // namespace rondo

void KernelEmitter::emitStatement(Statement &statement) {
  Statement *outer = std::exchange(current, &statement);
  Location outerLoc = std::exchange(loc, statement.op.getLoc());
  EquationEmitter(*this, statement).emit();
  current = outer;
  loc = outerLoc;
}

void EquationEmitter::emit() {
  collectFree();
  if (Value filter = op.getYield().getFilter())
    collectFilter(filter);
  findNeeded(op.getYield().getValues()[0]);
  for (Value condition : conditions)
    findNeeded(condition);
  chooseLooped();
  emitParallel(0);
}

//===----------------------------------------------------------------------===//
// What is looped, what is kept
//===----------------------------------------------------------------------===//

void EquationEmitter::collectFree() {
  const Tensor &result = *statement.result;
  AffineExpr zero = exprs.getConstant(0);
  for (unsigned dim = result.numBatch; dim < result.getRank(); ++dim)
    if (!llvm::is_contained(statement.timeDims, dim) &&
        !llvm::is_contained(statement.innerDims, dim))
      free.push_back({statement.indices[dim], /*isReduction=*/false,
                      /*isLooped=*/false, zero, result.shape[dim]});
  for (auto [i, index] : llvm::enumerate(op.getReductionIndices()))
    free.push_back({index, /*isReduction=*/true, /*isLooped=*/false,
                    exprs.get(op.getLowers()[i]),
                    exprs.get(op.getUppers()[i])});
  for (auto [i, index] : llvm::enumerate(free)) {
    indicesOf[index.index] = IndexSet(1) << i;
    index.isLooped =
        exprs.isEqual(index.upper - index.lower, exprs.getConstant(1));
  }
}

/// The free indices on which a value depends.
EquationEmitter::IndexSet EquationEmitter::getIndices(Value value) {
  auto it = indicesOf.find(value);
  if (it != indicesOf.end())
    return it->second;
  IndexSet set = 0;
  Operation *def = value.getDefiningOp();
  if (def && def->getBlock() == &op.getBlock())
    for (Value operand : def->getOperands())
      set |= getIndices(operand);
  indicesOf[value] = set;
  return set;
}

/// The kept ones among them.
EquationEmitter::IndexSet EquationEmitter::getKept(Value value) {
  IndexSet set = getIndices(value);
  for (auto [i, index] : llvm::enumerate(free))
    if (index.isLooped)
      set &= ~(IndexSet(1) << i);
  return set;
}

void EquationEmitter::collectFilter(Value condition) {
  if (auto both = condition.getDefiningOp<arith::AndIOp>()) {
    collectFilter(both.getLhs());
    collectFilter(both.getRhs());
    return;
  }
  if (!findBound(condition))
    conditions.push_back(condition);
}

/// Recognises index <= rest, index >= rest and index == rest, where the index
/// is the only one of a reduction in the condition.
bool EquationEmitter::findBound(Value condition) {
  auto compare = condition.getDefiningOp<arith::CmpIOp>();
  if (!compare || !compare.getLhs().getType().isIndex())
    return false;
  // difference <= 0, or == 0.
  AffineExpr lhs = exprs.get(compare.getLhs());
  AffineExpr rhs = exprs.get(compare.getRhs()), difference;
  switch (compare.getPredicate()) {
  case arith::CmpIPredicate::eq:
  case arith::CmpIPredicate::sle:
    difference = lhs - rhs;
    break;
  case arith::CmpIPredicate::slt:
    difference = lhs - rhs + 1;
    break;
  case arith::CmpIPredicate::sge:
    difference = rhs - lhs;
    break;
  case arith::CmpIPredicate::sgt:
    difference = rhs - lhs + 1;
    break;
  default:
    return false;
  }
  difference = exprs.simplify(difference);
  int target = -1;
  for (auto [i, index] : llvm::enumerate(free)) {
    if (!index.isReduction || !(getIndices(condition) & (IndexSet(1) << i)))
      continue;
    if (target >= 0)
      return false;
    target = i;
  }
  if (target < 0)
    return false;
  AffineExpr dim = exprs.get(free[target].index);
  int64_t coefficient = LinearExpr::get(difference).getCoefficient(dim);
  if (std::abs(coefficient) != 1)
    return false;
  // difference = coefficient * index + others.
  AffineExpr others = exprs.simplify(difference - dim * coefficient);
  bool isElsewhere = false;
  others.walk([&](AffineExpr part) {
    if (part == dim)
      isElsewhere = true;
    if (isa<AffineSymbolExpr>(part))
      if (Value value = exprs.getSymbolValue(part))
        isElsewhere |= (getIndices(value) & (IndexSet(1) << target)) != 0;
  });
  if (isElsewhere)
    return false;
  bool isEqual = compare.getPredicate() == arith::CmpIPredicate::eq;
  bounds.push_back({static_cast<unsigned>(target),
                    isEqual ? 0 : static_cast<int>(coefficient),
                    exprs.simplify(coefficient > 0 ? -others : others)});
  // The indices in the bound are known before the reduction runs.
  for (auto [i, index] : llvm::enumerate(free))
    if (!index.isReduction && (getIndices(condition) & (IndexSet(1) << i)))
      index.isLooped = true;
  return true;
}

/// Collects the body's ops behind a value, operands first.
void EquationEmitter::findNeeded(Value value) {
  Operation *def = value.getDefiningOp();
  if (!def || def->getBlock() != &op.getBlock() || needed.contains(def))
    return;
  for (Value operand : def->getOperands())
    findNeeded(operand);
  needed.insert(def);
}

void EquationEmitter::chooseLooped() {
  bool changed = true;
  while (changed) {
    changed = false;
    for (Operation *read : needed) {
      const Access *access = statement.getAccess(read);
      if (!access)
        continue;
      changed |= loopTime(*access);
      changed |= loopUnlessPlain(access->subscripts, *access->tensor);
      if (access->fallback)
        changed |=
            loopUnlessPlain(access->fallbackSubscripts, *access->fallback);
    }
    changed |= loopUnranged();
  }
}

/// A subscript that is one kept index, in range and used once.
bool EquationEmitter::isKeptPlain(Value subscript, AffineExpr size,
                                  IndexSet &taken) {
  AffineExpr expr = exprs.get(subscript);
  for (auto [i, index] : llvm::enumerate(free)) {
    if (index.isLooped || expr != exprs.get(index.index))
      continue;
    IndexSet bit = IndexSet(1) << i;
    if ((taken & bit) || !exprs.isInRange(expr, size))
      return false;
    taken |= bit;
    return true;
  }
  return false;
}

/// Loops over the indices in subscripts that no subview can express.
bool EquationEmitter::loopUnlessPlain(ArrayRef<Value> subscripts,
                                      const Tensor &tensor) {
  bool changed = false;
  IndexSet taken = 0;
  for (unsigned dim = tensor.numBatch; dim < subscripts.size(); ++dim) {
    IndexSet set = getKept(subscripts[dim]);
    if (!set || isKeptPlain(subscripts[dim], tensor.shape[dim], taken))
      continue;
    changed = true;
    for (auto [i, index] : llvm::enumerate(free))
      if (set & (IndexSet(1) << i))
        index.isLooped = true;
  }
  return changed;
}

/// Loops over the indices in the subscript that chooses a slot of a ring or the
/// step of a snapshot: neither is a dim of the operand.
bool EquationEmitter::loopTime(const Access &access) {
  const Tensor &tensor = *access.tensor;
  const TensorStorage &place = kernel.storage.of(&tensor);
  if (!place.isContracted() && !kernel.storage.getSnapshot(access))
    return false;
  IndexSet set = 0;
  for (unsigned i = 0; i <= place.level; ++i)
    set |= getKept(access.subscripts[tensor.producer->timeDims[i]]);
  for (auto [i, index] : llvm::enumerate(free))
    if (set & (IndexSet(1) << i))
      index.isLooped = true;
  return set != 0;
}

bool EquationEmitter::isPlacedBy(const Tensor &tensor,
                                 ArrayRef<Value> subscripts, Value index) {
  for (unsigned dim = tensor.numBatch; dim < subscripts.size(); ++dim)
    if (exprs.get(subscripts[dim]) == exprs.get(index))
      return true;
  return false;
}

/// Loops over kept reduction indices that subscript no operand.
bool EquationEmitter::loopUnranged() {
  bool changed = false;
  for (FreeIndex &index : free) {
    if (!index.isReduction || index.isLooped)
      continue;
    bool isPlaced = llvm::any_of(needed, [&](Operation *read) {
      const Access *access = statement.getAccess(read);
      return access &&
             isPlacedBy(*access->tensor, access->subscripts, index.index);
    });
    if (isPlaced)
      continue;
    index.isLooped = true;
    changed = true;
  }
  return changed;
}

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

void EquationEmitter::emitParallel(unsigned next) {
  while (next < free.size() && (free[next].isReduction || !free[next].isLooped))
    ++next;
  if (next < free.size()) {
    FreeIndex &index = free[next];
    auto loop =
        scf::ForOp::create(b, loc, kernel.constant(0),
                           kernel.emitExpr(index.upper), kernel.constant(1));
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    kernel.map.map(index.index, loop.getInductionVar());
    kernel.positive.push_back(index.upper);
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
  if (!isNarrowed && !index.isLooped) {
    AffineExpr extent = exprs.simplify(index.upper - index.lower);
    OpFoldResult size = kernel.emitExtent(extent);
    if (index.isReduction && !exprs.isAtLeast(extent, 0))
      size = b.createOrFold<arith::MaxSIOp>(loc, kernel.toValue(size),
                                            kernel.constant(0));
    kept.push_back(
        {index.index, index.isReduction, kernel.emitExtent(index.lower), size});
    return;
  }
  if (!index.isReduction)
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
  kept.push_back({index.index, /*isReduction=*/true, lower, extent});
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
    if (isReal)
      return arith::MaximumFOp::create(b, loc, accumulator, term);
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

void EquationEmitter::emitFill() {
  SmallVector<IterationDim> parallel;
  for (const IterationDim &dim : kept)
    if (!dim.isReduction)
      parallel.push_back(dim);
  View out = kernel.resolve(statement.write, parallel);
  Value identity = arith::ConstantOp::create(b, loc, getIdentity());
  if (parallel.empty())
    kernel.storePoint(out, identity);
  else
    linalg::FillOp::create(b, loc, identity, kernel.createSubview(out));
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
  View view = kernel.resolve(access, kept);
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
  linalg::GenericOp::create(b, loc, inputs, target, maps, iterators,
                            [&](OpBuilder &inner, Location, ValueRange) {
                              OpBuilder::InsertionGuard guard(b);
                              Block *block = inner.getInsertionBlock();
                              b.setInsertionPointToEnd(block);
                              linalg::YieldOp::create(b, loc, emitBody(block));
                            });
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
