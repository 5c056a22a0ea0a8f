//===- EquationLoops.cpp - Which indices of a statement are looped --------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Forms/EquationEmitter.h"

using namespace mlir;
using namespace rondo;

void EquationEmitter::collectFree() {
  const Tensor &result = *statement.result;
  AffineExpr zero = exprs.getConstant(0);
  bool isByRow = false;
  if (kernel.numRows) {
    // Rows share the vectors of packed matrices only.
    unsigned dim = kernel.storage.rows->dim;
    isByRow = kernel.product && !kernel.isProductPacked;
    free.push_back({statement.indices[dim],
                    /*isReduction=*/false,
                    /*isLooped=*/false,
                    zero,
                    result.shape[dim],
                    {},
                    /*isRow=*/true});
  }
  for (unsigned dim = result.numBatch; dim < result.getRank(); ++dim) {
    if (llvm::is_contained(statement.innerDims, dim) ||
        llvm::is_contained(outer, statement.indices[dim]))
      continue;
    if (!llvm::is_contained(statement.timeDims, dim)) {
      free.push_back({statement.indices[dim],
                      /*isReduction=*/false,
                      /*isLooped=*/false,
                      zero,
                      result.shape[dim],
                      {}});
    } else if (int64_t size = statement.blockSize) {
      AffineExpr first = exprs.get(statement.block) * size;
      Value end =
          b.createOrFold<arith::MinSIOp>(loc, kernel.emitExpr(first + size),
                                         kernel.emitExpr(result.shape[dim]));
      kernel.map.map(end, end);
      free.push_back({statement.indices[dim], /*isReduction=*/false,
                      /*isLooped=*/false, first, exprs.addSymbol(end),
                      result.shape[dim]});
    }
  }
  // Channels are the last dim in memory.
  if (const ChannelBlocks *channels = kernel.storage.channels) {
    auto place = llvm::find_if(free, [&](const FreeIndex &index) {
      return index.upper == channels->size;
    });
    if (place != free.end())
      std::rotate(place, place + 1, free.end());
  }
  for (auto [i, index] : llvm::enumerate(op.getReductionIndices()))
    free.push_back({index,
                    /*isReduction=*/true,
                    /*isLooped=*/false,
                    exprs.get(op.getLowers()[i]),
                    exprs.get(op.getUppers()[i]),
                    {}});
  for (auto [i, index] : llvm::enumerate(free)) {
    indicesOf[index.index] = IndexSet(1) << i;
    index.isLooped =
        (index.isRow && isByRow) ||
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

/// The kept indices in a subscript, as an expression where that holds fewer.
EquationEmitter::IndexSet EquationEmitter::getKeptIn(Value subscript) {
  return statement.blockSize ? getKept(exprs.get(subscript))
                             : getKept(subscript);
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
  if (target < 0 || free[target].isRow)
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
  // A loop over a parallel index runs whole: every result is filled.
  llvm::erase_if(bounds, [&](const Bound &bound) {
    const FreeIndex &index = free[bound.free];
    if (index.isReduction || !index.isLooped)
      return false;
    conditions.push_back(bound.condition);
    return true;
  });
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
/// a loop over time or blocks surrounds it, most of its steps find the window
/// whole.
bool EquationEmitter::addWindow(AffineExpr expr, AffineExpr size,
                                AffineExpr rest, const FreeIndex &index) {
  bool usesFree = false, usesTime = false, usesOther = false;
  SmallVector<Value> blocks;
  rest.walk([&](AffineExpr part) {
    if (!isa<AffineDimExpr>(part)) {
      usesOther |= isa<AffineSymbolExpr>(part) && !exprs.isSize(part);
      return;
    }
    Value value = exprs.getIndex(part);
    usesTime |= llvm::is_contained(outer, value) ||
                llvm::any_of(statement.timeDims, [&](unsigned dim) {
                  return statement.indices[dim] == value;
                });
    if (!indicesOf.contains(value) || getIndices(value) == 0)
      return;
    usesFree = true;
    auto place = llvm::find_if(
        free, [&](const FreeIndex &other) { return other.index == value; });
    if (place != free.end() && !place->isReduction && !place->isRow)
      blocks.push_back(value);
    else
      usesOther = true;
  });
  // More places than the dim has: no step finds it whole.
  auto spare = dyn_cast<AffineConstantExpr>(
      exprs.simplify(size - (index.upper - index.lower)));
  if (!isWhole || usesOther || index.isReduction ||
      (spare && spare.getValue() < 0))
    return false;
  bool isBlock =
      isa<AffineConstantExpr>(exprs.simplify(index.upper - index.lower));
  if (usesFree && isBlock && statement.timeDims.empty() && !kernel.numRows)
    wanted.insert_range(blocks);
  if (usesFree || !usesTime)
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
  // The row is a dim of all that has batch dims.
  if (tensor.numBatch && !free.empty() && free[0].isRow)
    taken |= 1;
  for (unsigned dim = tensor.numBatch; dim < subscripts.size(); ++dim) {
    IndexSet set = getKeptIn(subscripts[dim]);
    AffineExpr expr = exprs.get(subscripts[dim]), size = tensor.shape[dim];
    bool isChecked = access.tensor == &tensor && access.isData(dim) &&
                     !exprs.isInRange(expr, size);
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
    set |= getKeptIn(access.subscripts[tensor.producer->timeDims[i]]);
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
