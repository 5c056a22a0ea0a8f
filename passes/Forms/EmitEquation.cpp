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
//   - some read uses it in a subscript that is not plain: one kept index and
//     what no kept index changes, in range of the dim (x[t - 3 + p], x[i, i],
//     emb[tokens[u]] are not). In the loop, the subscript is a scalar, and
//     guards and faults are handled once outside. Two subscripts x[e / n, e mod
//     n] that number the elements of two dims are one subscript e of both;
//   - it bounds a reduction: sum[u | u <= t] becomes a range of u for each t.
//     Where t and u could both be kept, and so is another parallel index, the
//     bound is left to the linalg.generic: rows t of a triangle share work;
//   - it chooses the slot of a ring or the step of a snapshot;
//   - it has one value only: views of memory leave out dims of size 1, and MLIR
//     can't tell one that is left out from one that is kept;
// A subscript that may leave the range of its dim at the ends of a sequence
// only, x[16 c + r] with c bound, is a *window*: the statement is emitted
// twice, for windows that are whole, where the subscript is plain, and for
// others.
//
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
  EquationEmitter(KernelEmitter &kernel, Statement &statement, bool isWhole)
      : kernel(kernel), exprs(kernel.program.exprs), b(kernel.b),
        loc(kernel.loc), statement(statement), op(statement.op),
        isWhole(isWhole) {}

  /// Decides what is looped and what is kept.
  void prepare();
  void emit() { emitParallel(0); }
  /// Windows that are taken to be whole.
  ArrayRef<Window> getWindows() const { return windows; }
  Value emitAreWhole();

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
    Value condition;
  };

  // What is looped, what is kept.
  void collectFree();
  void collectFilter(Value condition);
  bool findBound(Value condition);
  void findNeeded(Value value);
  void loopBounds(const Bound &bound);
  bool isTriangle(const Bound &bound);
  void chooseLooped();
  bool loopTime(const Access &access);
  bool loopUnlessPlain(const Access &access, const Tensor &tensor,
                       ArrayRef<Value> subscripts);
  bool isKeptPlain(AffineExpr subscript, AffineExpr size, IndexSet &taken);
  bool isKnown(Operation *def);
  bool addWindow(AffineExpr subscript, AffineExpr size, AffineExpr rest,
                 const FreeIndex &index);
  bool loopOthers(AffineExpr subscript, AffineExpr size, IndexSet set,
                  IndexSet &taken);
  IndexSet getKept(AffineExpr expr);
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
  bool isWhole; // the windows are

  SmallVector<Window> windows;
  SmallVector<FreeIndex> free;
  SmallVector<Bound> bounds;
  SmallVector<Value> conditions;       // other parts of the filter
  llvm::SetVector<Operation *> needed; // ops of the body, in order of need
  SmallVector<std::pair<Value, Value>> ranges; // of reductions: lower, upper
  llvm::DenseMap<Value, IndexSet> indicesOf;
  SmallVector<IterationDim> kept;
  SmallVector<IterationDim> filled; // the parallel ones, not narrowed

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
  EquationEmitter whole(*this, statement, /*isWhole=*/true);
  whole.prepare();
  if (whole.getWindows().empty()) {
    whole.emit();
  } else {
    auto test = scf::IfOp::create(b, loc, whole.emitAreWhole(),
                                  /*withElseRegion=*/true);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(test.thenBlock());
    windows.assign(whole.getWindows().begin(), whole.getWindows().end());
    IRMapping before = map;
    whole.emit();
    map = before;
    windows.clear();
    b.setInsertionPointToStart(test.elseBlock());
    EquationEmitter other(*this, statement, /*isWhole=*/false);
    other.prepare();
    other.emit();
    map = before;
  }
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

/// The kept ones in an expression.
EquationEmitter::IndexSet EquationEmitter::getKept(AffineExpr expr) {
  IndexSet set = 0;
  expr.walk([&](AffineExpr part) {
    Value value;
    if (isa<AffineDimExpr>(part))
      value = exprs.getIndex(part);
    else if (isa<AffineSymbolExpr>(part) && !exprs.isSize(part))
      value = exprs.getSymbolValue(part);
    if (value)
      set |= getKept(value);
  });
  return set;
}

/// Recognises index <= rest, index >= rest and index == rest, where the index
/// is the only one of a reduction in the condition, or, in a condition without
/// one, the last parallel index.
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
    if (!(getIndices(condition) & (IndexSet(1) << i)))
      continue;
    if (target >= 0 && free[target].isReduction) // reductions come last
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
                    exprs.simplify(coefficient > 0 ? -others : others),
                    condition});
  return true;
}

/// The other indices in a bound are known before its index runs.
void EquationEmitter::loopBounds(const Bound &bound) {
  IndexSet set = getIndices(bound.condition);
  for (auto [i, index] : llvm::enumerate(free))
    if (i != bound.free && (set & (IndexSet(1) << i)))
      index.isLooped = true;
}

/// Whether a bound is kept index <= kept parallel index + constant, of known
/// extents, and a third index is kept, of the other kind than the first.
bool EquationEmitter::isTriangle(const Bound &bound) {
  if (bound.side != 1 || free[bound.free].isLooped ||
      !isa<AffineConstantExpr>(free[bound.free].upper))
    return false;
  LinearExpr rest = LinearExpr::get(bound.rest);
  if (rest.terms.size() != 1 || rest.terms[0].coefficient != 1)
    return false;
  bool isRow = false, isThird = false;
  for (auto [i, index] : llvm::enumerate(free)) {
    if (i == bound.free || index.isLooped)
      continue;
    if (exprs.get(index.index) == rest.terms[0].atom)
      isRow = !index.isReduction && isa<AffineConstantExpr>(index.upper);
    else
      isThird |= index.isReduction != free[bound.free].isReduction;
  }
  return isRow && isThird;
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
  // Bounds that may stay conditions, until something in them is looped.
  SmallVector<Bound> triangles, others;
  for (const Bound &bound : bounds) {
    bool fits = isTriangle(bound);
    (fits ? triangles : others).push_back(bound);
    if (!fits)
      loopBounds(bound);
  }
  bounds = others;
  bool changed = true;
  while (changed) {
    changed = false;
    for (Operation *read : needed) {
      const Access *access = statement.getAccess(read);
      if (!access)
        continue;
      changed |= loopTime(*access);
      changed |= loopUnlessPlain(*access, *access->tensor, access->subscripts);
      if (access->fallback)
        changed |= loopUnlessPlain(*access, *access->fallback,
                                   access->fallbackSubscripts);
    }
    changed |= loopUnranged();
    for (const Bound &bound : triangles) {
      if (isTriangle(bound))
        continue;
      loopBounds(bound);
      bounds.push_back(bound);
      changed = true;
    }
    llvm::erase_if(triangles,
                   [&](const Bound &bound) { return !isTriangle(bound); });
  }
  for (const Bound &bound : triangles) {
    conditions.push_back(bound.condition);
    findNeeded(bound.condition);
  }
}

/// A subscript that is one kept index and what none changes, in range and used
/// once.
bool EquationEmitter::isKeptPlain(AffineExpr expr, AffineExpr size,
                                  IndexSet &taken) {
  LinearExpr linear = LinearExpr::get(expr);
  for (auto [i, index] : llvm::enumerate(free)) {
    AffineExpr dim = exprs.get(index.index);
    if (index.isLooped || linear.getCoefficient(dim) != 1 ||
        getKept(exprs.simplify(expr - dim)))
      continue;
    IndexSet bit = IndexSet(1) << i;
    if ((taken & bit) ||
        !(exprs.isInRange(expr, size) ||
          addWindow(expr, size, exprs.simplify(expr - dim), index)))
      return false;
    taken |= bit;
    return true;
  }
  return false;
}

/// A subscript rest + index, rest being known before the statement runs. Where
/// a loop over time surrounds it, most of its steps find the window whole.
bool EquationEmitter::addWindow(AffineExpr expr, AffineExpr size,
                                AffineExpr rest, const FreeIndex &index) {
  bool usesFree = false, usesTime = false;
  rest.walk([&](AffineExpr part) {
    if (!isa<AffineDimExpr>(part)) {
      usesFree |= isa<AffineSymbolExpr>(part) && !exprs.isSize(part);
      return;
    }
    Value value = exprs.getIndex(part);
    usesFree |= indicesOf.contains(value) && getIndices(value) != 0;
    usesTime |= llvm::any_of(statement.timeDims, [&](unsigned dim) {
      return statement.indices[dim] == value;
    });
  });
  if (!isWhole || usesFree || !usesTime || index.isReduction)
    return false;
  for (const Window &window : windows)
    if (window.subscript == expr && window.size == size)
      return true;
  windows.push_back({expr, size, exprs.simplify(rest + index.lower),
                     exprs.simplify(rest + index.upper - 1)});
  return true;
}

/// Whether an op asks if a window is whole.
bool EquationEmitter::isKnown(Operation *def) {
  auto compare = dyn_cast<arith::CmpIOp>(def);
  return compare && compare.getPredicate() == arith::CmpIPredicate::slt &&
         llvm::any_of(windows, [&](const Window &window) {
           return window.subscript == exprs.get(compare.getLhs()) &&
                  window.size == exprs.get(compare.getRhs());
         });
}

/// Makes a subscript plain in its last index by looping over the others.
bool EquationEmitter::loopOthers(AffineExpr expr, AffineExpr size, IndexSet set,
                                 IndexSet &taken) {
  for (unsigned i = free.size(); i-- > 0;) {
    IndexSet bit = IndexSet(1) << i;
    if (!(set & bit) || set == bit)
      continue;
    SmallVector<FreeIndex> before(free);
    for (auto [k, index] : llvm::enumerate(free))
      if (k != i && (set & (IndexSet(1) << k)))
        index.isLooped = true;
    if (isKeptPlain(expr, size, taken))
      return true;
    free = before;
  }
  return false;
}

/// Loops over the indices in subscripts that no subview can express.
bool EquationEmitter::loopUnlessPlain(const Access &access,
                                      const Tensor &tensor,
                                      ArrayRef<Value> subscripts) {
  bool changed = false;
  IndexSet taken = 0;
  for (unsigned dim = tensor.numBatch; dim < subscripts.size(); ++dim) {
    IndexSet set = getKept(subscripts[dim]);
    AffineExpr expr = exprs.get(subscripts[dim]), size = tensor.shape[dim];
    bool isChecked = access.isGather && !exprs.isInRange(expr, size);
    if (!set || (!isChecked && isKeptPlain(expr, size, taken)))
      continue;
    if (AffineExpr flat = kernel.getFlat(access, tensor, subscripts, dim)) {
      if (isKeptPlain(flat, size * tensor.shape[dim + 1], taken)) {
        ++dim;
        continue;
      }
    }
    changed = true;
    if (loopOthers(expr, size, set, taken))
      continue;
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
  AffineExpr atom = exprs.get(index);
  for (unsigned dim = tensor.numBatch; dim < subscripts.size(); ++dim) {
    AffineExpr expr = exprs.get(subscripts[dim]);
    IndexSet taken = 0;
    if (LinearExpr::get(expr).getCoefficient(atom) == 1 &&
        !getKept(exprs.simplify(expr - atom)) &&
        isKeptPlain(expr, tensor.shape[dim], taken))
      return true;
  }
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
  if (!index.isReduction && !index.isLooped)
    filled.push_back({index.index, /*isReduction=*/false,
                      kernel.emitExtent(index.lower),
                      kernel.emitExtent(index.upper)});
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
  kept.push_back({index.index, index.isReduction, lower, extent});
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
  View out = kernel.resolve(statement.write, filled);
  Value identity = arith::ConstantOp::create(b, loc, getIdentity());
  if (filled.empty())
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
