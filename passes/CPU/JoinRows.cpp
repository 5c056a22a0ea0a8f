//===- JoinRows.cpp - Rows that follow from one another as one nest -------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Loops over the same few steps, each of which computes rows point by point,
// and ops over all rows that read them:
//
//   for r = 0 .. 15    p[r, i] = p[r-1, i] a[r, i]
//   for r = 15 .. 0    e[r, i] = e[r+1, i] a[r, i]
//   all r              d[r, i] = q[r, i] p[r, i]
//
// A point of a row meets only the same point of other rows. So one nest over i
// computes all of them, in the order of the program, with the rows in
// registers:
//
//   for i    p0 = a0, p1 = p0 a1, .., e15 = a15, e14 = e15 a14, .., d0 = q0 p0
//
// What is computed for rows that are left behind a test (select) folds away.
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "passes/CPU/Buffers.h"
#include "passes/CPU/Passes.h"
#include "passes/CPU/StepViews.h"
#include "llvm/ADT/DenseSet.h"

namespace rondo::cpu {
#define GEN_PASS_DEF_JOINROWS
#include "passes/CPU/Passes.h.inc"
} // namespace rondo::cpu

using namespace mlir;
using namespace rondo;
using namespace rondo::cpu;

/// Operations of a nest's body, at most.
static constexpr int64_t kMaxOps = 256;

namespace {

/// One of the ops at one step. The rest of an operand's dims are those of the
/// nest.
struct Instance {
  linalg::GenericOp op;
  int64_t step;
  bool ofAllRows;
  IRMapping values; // what the body uses from outside
  SmallVector<Value> inputs, outputs;
};

/// What an op with regions reads and writes.
struct Effects {
  SmallVector<Value> reads, writes;
  bool isKnown = true;
};

class Joining {
public:
  Joining(scf::ForOp first, int64_t count)
      : first(first), count(count), builder(first), views(builder) {}
  /// Adds a loop, or an op over all rows that reads what was computed before,
  /// if that is possible.
  bool add(Operation *unit);
  void emit();
  unsigned getNumUnits() const { return units.size(); }

private:
  bool addLoop(scf::ForOp loop, SmallVectorImpl<Instance> &added);
  bool addRows(linalg::GenericOp op, SmallVectorImpl<Instance> &added);
  bool accept(Instance &instance, bool &isRelated);
  bool canMoveBefore(Operation *unit, SmallVectorImpl<Operation *> &needed);
  bool touchesOwn(Value memref, bool writtenOnly);
  void emitInstance(OpBuilder &b, Instance &instance,
                    function_ref<Value(Value, AffineMap)> getInput);
  linalg::GenericOp create();

  scf::ForOp first;
  int64_t count;
  OpBuilder builder;
  StepViews views;
  SmallVector<Operation *> units;
  SmallVector<Instance> instances;
  SmallVector<int64_t> space;
  int64_t numOps = 0;
  /// What the nest reads that it has not computed, and what it computes.
  SmallVector<Value> inputs, written;
  SmallVector<AffineMap> inputMaps;
  /// Rows so far, by their place in memory.
  DenseMap<Value, Value> current;
};

} // namespace

//===----------------------------------------------------------------------===//
// Matching
//===----------------------------------------------------------------------===//

/// Whether the op reads rows as rows: those that it transposes do better in a
/// nest of their own.
static bool keepsRows(linalg::GenericOp op) {
  return llvm::all_of(op.getDpsInputOperands(), [&](OpOperand *input) {
    AffineMap map = op.getMatchingIndexingMap(input);
    return llvm::is_sorted(map.getResults(), [](AffineExpr a, AffineExpr b) {
      return cast<AffineDimExpr>(a).getPosition() <
             cast<AffineDimExpr>(b).getPosition();
    });
  });
}

static bool isPointwise(linalg::GenericOp op) {
  return op.getNumReductionLoops() == 0 && op.getNumLoops() > 0 &&
         !op->hasAttr("rondo.rare") &&
         llvm::all_of(op.getDpsInitsMutable(),
                      [&](OpOperand &init) {
                        return op.getMatchingIndexingMap(&init).isIdentity();
                      }) &&
         llvm::all_of(
             op.getDpsInputOperands(),
             [&](OpOperand *input) {
               return op.getMatchingIndexingMap(input).isProjectedPermutation();
             }) &&
         keepsRows(op) &&
         llvm::all_of(op.getBody()->without_terminator(), [](Operation &inner) {
           return isPure(&inner) && inner.getNumRegions() == 0 &&
                  inner.getDialect()->getNamespace() != "math";
         });
}

/// A loop over a few steps of which each does nothing but such ops.
static std::optional<int64_t> matchLoop(scf::ForOp loop) {
  std::optional<int64_t> lower = getConstantIntValue(loop.getLowerBound()),
                         upper = getConstantIntValue(loop.getUpperBound()),
                         step = getConstantIntValue(loop.getStep());
  if (lower != 0 || step != 1 || !upper || *upper < 2 || *upper > kMaxSteps ||
      loop.getNumResults() > 0)
    return std::nullopt;
  bool hasOps = false;
  for (Operation &op : loop.getBody()->without_terminator()) {
    auto generic = dyn_cast<linalg::GenericOp>(op);
    if (generic ? !isPointwise(generic) : !isPure(&op) || op.getNumRegions())
      return std::nullopt;
    hasOps |= bool(generic);
  }
  return hasOps ? upper : std::nullopt;
}

static void collectEffects(Operation *op, Effects &effects) {
  auto addTo = [](SmallVectorImpl<Value> &list, Value value) {
    if (isa<MemRefType>(value.getType()))
      list.push_back(value);
  };
  if (auto linalgOp = dyn_cast<linalg::LinalgOp>(op)) {
    for (OpOperand &operand : op->getOpOperands()) {
      addTo(effects.reads, operand.get());
      if (linalgOp.isDpsInit(&operand))
        addTo(effects.writes, operand.get());
    }
    for (Operation &inner : linalgOp.getBlock()->without_terminator())
      collectEffects(&inner, effects);
    return;
  }
  if (auto load = dyn_cast<memref::LoadOp>(op))
    return effects.reads.push_back(load.getMemRef());
  if (auto store = dyn_cast<memref::StoreOp>(op))
    return effects.writes.push_back(store.getMemRef());
  if (isa<scf::ForOp, scf::IfOp>(op)) {
    for (Region &region : op->getRegions())
      for (Block &block : region)
        for (Operation &inner : block.without_terminator())
          collectEffects(&inner, effects);
    return;
  }
  effects.isKnown &= isPure(op) && op->getNumRegions() == 0;
}

static bool overlap(ArrayRef<Value> first, ArrayRef<Value> second) {
  return llvm::any_of(first, [&](Value a) {
    return llvm::any_of(second, [&](Value b) { return !areApart(a, b); });
  });
}

/// Whether `unit`, and what it needs of the ops since the first loop, can stand
/// before that loop. What it reads of the nest's own rows is no obstacle.
bool Joining::canMoveBefore(Operation *unit,
                            SmallVectorImpl<Operation *> &needed) {
  SmallVector<Operation *> moved{unit};
  Effects own;
  collectEffects(unit, own);
  if (!own.isKnown)
    return false;
  for (Operation *op = unit->getPrevNode(); op != first;
       op = op->getPrevNode()) {
    if (llvm::is_contained(units, op))
      continue;
    Effects effects;
    collectEffects(op, effects);
    bool isUsed = llvm::any_of(op->getUsers(), [&](Operation *user) {
      return llvm::any_of(
          moved, [&](Operation *other) { return other->isAncestor(user); });
    });
    if (isUsed || !effects.isKnown || overlap(effects.writes, own.reads) ||
        overlap(effects.writes, own.writes)) {
      // It has to come along, and so must not touch what the nest computes.
      auto touches = [&](Value memref) { return touchesOwn(memref, true); };
      auto changes = [&](Value memref) { return touchesOwn(memref, false); };
      if (!effects.isKnown || llvm::any_of(effects.reads, touches) ||
          llvm::any_of(effects.writes, changes))
        return false;
      moved.push_back(op);
      needed.push_back(op);
      llvm::append_range(own.reads, effects.reads);
      llvm::append_range(own.writes, effects.writes);
    } else if (overlap(effects.reads, own.writes)) {
      return false;
    }
  }
  return true;
}

bool Joining::touchesOwn(Value memref, bool writtenOnly) {
  return overlap({memref}, written) ||
         (!writtenOnly && overlap({memref}, inputs));
}

//===----------------------------------------------------------------------===//
// Steps
//===----------------------------------------------------------------------===//

bool Joining::addLoop(scf::ForOp loop, SmallVectorImpl<Instance> &added) {
  for (int64_t step = 0; step < count; ++step) {
    IRMapping map;
    map.map(loop.getInductionVar(),
            arith::ConstantIndexOp::create(builder, loop.getLoc(), step)
                .getResult());
    for (Operation &op : loop.getBody()->without_terminator()) {
      auto generic = dyn_cast<linalg::GenericOp>(op);
      if (!generic) {
        views.repeat(op, map);
        continue;
      }
      Instance instance{generic, step, /*ofAllRows=*/false, map, {}, {}};
      for (Value input : generic.getInputs())
        instance.inputs.push_back(map.lookupOrDefault(input));
      for (Value output : generic.getOutputs())
        instance.outputs.push_back(map.lookupOrDefault(output));
      added.push_back(instance);
    }
  }
  return true;
}

/// The map of an operand of an op over all rows, without the dim of the rows.
static AffineMap withoutRows(AffineMap map) {
  SmallVector<AffineExpr> dims;
  MLIRContext *context = map.getContext();
  for (unsigned dim = 0; dim < map.getNumDims(); ++dim)
    dims.push_back(getAffineDimExpr(dim ? dim - 1 : 0, context));
  bool hasRows = map.isFunctionOfDim(0);
  AffineMap rest = hasRows ? map.dropResult(0) : map;
  return rest.replaceDimsAndSymbols(dims, {}, map.getNumDims() - 1, 0);
}

bool Joining::addRows(linalg::GenericOp op, SmallVectorImpl<Instance> &added) {
  for (OpOperand &operand : op->getOpOperands()) {
    AffineMap map = op.getMatchingIndexingMap(&operand);
    if (map.isFunctionOfDim(0) &&
        cast<AffineDimExpr>(map.getResult(0)).getPosition() != 0)
      return false;
  }
  for (int64_t step = 0; step < count; ++step) {
    Instance instance{op, step, /*ofAllRows=*/true, {}, {}, {}};
    for (OpOperand &operand : op->getOpOperands()) {
      bool hasRows = op.getMatchingIndexingMap(&operand).isFunctionOfDim(0);
      Value row = hasRows ? views.getRow(operand.get(), step) : operand.get();
      if (!row)
        return false;
      (op.isDpsInit(&operand) ? instance.outputs : instance.inputs)
          .push_back(row);
    }
    added.push_back(instance);
  }
  return true;
}

static AffineMap getMap(const Instance &instance, OpOperand *operand) {
  AffineMap map =
      linalg::GenericOp(instance.op).getMatchingIndexingMap(operand);
  return instance.ofAllRows ? withoutRows(map) : map;
}

/// Notes what an instance reads and writes; fails if some row would have to be
/// read from memory after the nest has computed a part of it.
bool Joining::accept(Instance &instance, bool &isRelated) {
  auto type = cast<MemRefType>(instance.outputs[0].getType());
  if (space.empty())
    space.assign(type.getShape().begin(), type.getShape().end());
  // Where sizes are not known, the rest of a row is code as large again.
  if (!type.hasStaticShape() || type.getShape() != ArrayRef(space))
    return false;
  auto read = [&](Value memref, AffineMap map) {
    if (!isa<MemRefType>(memref.getType()))
      return true;
    if (llvm::is_contained(written, memref)) {
      isRelated = true;
      return map.isIdentity();
    }
    if (overlap({memref}, written))
      return false;
    for (auto [known, knownMap] : llvm::zip(inputs, inputMaps))
      if (known == memref && knownMap == map) {
        isRelated = true;
        return true;
      }
    inputs.push_back(memref);
    inputMaps.push_back(map);
    return true;
  };
  for (auto [operand, memref] :
       llvm::zip(instance.op.getDpsInputOperands(), instance.inputs))
    if (!read(memref, getMap(instance, operand)))
      return false;
  for (auto [operand, memref] :
       llvm::zip(instance.op.getDpsInitsMutable(), instance.outputs)) {
    if (!instance.op.getMatchingBlockArgument(&operand).use_empty() &&
        !read(memref, getMap(instance, &operand)))
      return false;
    for (auto [known, map] : llvm::zip(inputs, inputMaps))
      if (known == memref ? !map.isIdentity() : !areApart(known, memref))
        return false;
    for (Value other : written)
      if (other != memref && !areApart(other, memref))
        return false;
    if (!memref.getDefiningOp<memref::SubViewOp>())
      return false;
    if (!llvm::is_contained(written, memref))
      written.push_back(memref);
  }
  numOps += llvm::range_size(instance.op.getBody()->without_terminator());
  return numOps <= kMaxOps;
}

bool Joining::add(Operation *unit) {
  SmallVector<Operation *> needed;
  if (unit != first && !canMoveBefore(unit, needed))
    return false;
  // Views that are made here are made of what stands before the loop.
  for (Operation *op : llvm::reverse(needed))
    op->moveBefore(first);
  SmallVector<Instance> added;
  auto loop = dyn_cast<scf::ForOp>(unit);
  if (loop ? !addLoop(loop, added)
           : !addRows(cast<linalg::GenericOp>(unit), added))
    return false;
  auto oldSpace = space;
  auto oldInputs = inputs, oldWritten = written;
  auto oldMaps = inputMaps;
  int64_t oldNumOps = numOps;
  bool isRelated = unit == first;
  if (llvm::all_of(added,
                   [&](Instance &each) { return accept(each, isRelated); }) &&
      isRelated) {
    units.push_back(unit);
    llvm::append_range(instances, added);
    return true;
  }
  space = oldSpace;
  inputs = oldInputs;
  written = oldWritten;
  inputMaps = oldMaps;
  numOps = oldNumOps;
  return false;
}

//===----------------------------------------------------------------------===//
// Emission
//===----------------------------------------------------------------------===//

void Joining::emitInstance(OpBuilder &b, Instance &instance,
                           function_ref<Value(Value, AffineMap)> getInput) {
  linalg::GenericOp op = instance.op;
  IRMapping map(instance.values);
  auto bind = [&](OpOperand *operand, Value memref) {
    Value argument = op.getMatchingBlockArgument(operand);
    if (argument.use_empty())
      return;
    Value row = current.lookup(memref);
    map.map(argument, row ? row : getInput(memref, getMap(instance, operand)));
  };
  for (auto [operand, memref] :
       llvm::zip(op.getDpsInputOperands(), instance.inputs))
    if (isa<MemRefType>(memref.getType()))
      bind(operand, memref);
    else
      map.map(op.getMatchingBlockArgument(operand), memref);
  for (auto [operand, memref] :
       llvm::zip(op.getDpsInitsMutable(), instance.outputs))
    bind(&operand, memref);
  for (Operation &inner : op.getBody()->without_terminator()) {
    if (auto index = dyn_cast<linalg::IndexOp>(inner)) {
      int64_t dim = index.getDim();
      Value value;
      if (instance.ofAllRows && dim == 0)
        value =
            arith::ConstantIndexOp::create(b, index.getLoc(), instance.step);
      else
        value = linalg::IndexOp::create(b, index.getLoc(),
                                        dim - instance.ofAllRows);
      map.map(index.getResult(), value);
      continue;
    }
    cloneFolded(b, inner, map);
  }
  for (auto [value, memref] : llvm::zip(
           op.getBody()->getTerminator()->getOperands(), instance.outputs))
    current[memref] = map.lookupOrDefault(value);
}

/// All instances as one op.
linalg::GenericOp Joining::create() {
  SmallVector<AffineMap> maps(inputMaps);
  maps.append(written.size(), builder.getMultiDimIdentityMap(space.size()));
  return linalg::GenericOp::create(
      builder, first.getLoc(), inputs, written, maps,
      SmallVector<utils::IteratorType>(space.size(),
                                       utils::IteratorType::parallel),
      [&](OpBuilder &b, Location loc, ValueRange arguments) {
        for (Instance &instance : instances)
          emitInstance(b, instance, [&](Value memref, AffineMap map) {
            for (auto [i, input] : llvm::enumerate(inputs))
              if (input == memref && inputMaps[i] == map)
                return arguments[i];
            llvm_unreachable("every input was noted");
          });
        SmallVector<Value> yielded;
        for (Value output : written)
          yielded.push_back(current.lookup(output));
        linalg::YieldOp::create(b, loc, yielded);
      });
}

/// The op with some of its operands only; nothing uses the other inputs.
static void keep(linalg::GenericOp op, ArrayRef<unsigned> inputs,
                 ArrayRef<unsigned> outputs) {
  OpBuilder builder(op);
  SmallVector<Value> ins, outs;
  SmallVector<AffineMap> maps;
  unsigned numInputs = op.getInputs().size();
  for (unsigned i : inputs) {
    ins.push_back(op.getInputs()[i]);
    maps.push_back(op.getIndexingMapsArray()[i]);
  }
  for (unsigned i : outputs) {
    outs.push_back(op.getOutputs()[i]);
    maps.push_back(op.getIndexingMapsArray()[numInputs + i]);
  }
  linalg::GenericOp::create(
      builder, op.getLoc(), ins, outs, maps, op.getIteratorTypesArray(),
      [&](OpBuilder &b, Location loc, ValueRange arguments) {
        IRMapping map;
        for (auto [i, argument] : llvm::zip(inputs, arguments))
          map.map(op.getBody()->getArgument(i), argument);
        for (Operation &inner : op.getBody()->without_terminator())
          b.clone(inner, map);
        SmallVector<Value> yielded;
        for (unsigned i : outputs)
          yielded.push_back(map.lookupOrDefault(
              op.getBody()->getTerminator()->getOperand(i)));
        linalg::YieldOp::create(b, loc, yielded);
      });
  op.erase();
}

/// Whether something but the nest may read a place.
static bool isReadBy(Value value, Value place, Operation *nest) {
  return llvm::any_of(value.getUsers(), [&](Operation *user) {
    if (user == nest)
      return false;
    if (isa<memref::SubViewOp>(user))
      return !areApart(user->getResult(0), place) &&
             isReadBy(user->getResult(0), place, nest);
    return true;
  });
}

void Joining::emit() {
  linalg::GenericOp nest = create();
  for (Operation *unit : units)
    unit->erase();
  // Without rows that only discarded values came from, and that nothing reads.
  for (Operation &inner :
       llvm::make_early_inc_range(llvm::reverse(*nest.getBody())))
    if (inner.use_empty() && !isa<linalg::YieldOp>(inner))
      inner.erase();
  SmallVector<unsigned> usedInputs, usedOutputs;
  for (unsigned i = 0; i < inputs.size(); ++i)
    if (!nest.getBody()->getArgument(i).use_empty())
      usedInputs.push_back(i);
  for (unsigned i = 0; i < written.size(); ++i) {
    SmallVector<Value> roots;
    collectRoots(written[i], roots);
    bool isInput = llvm::any_of(usedInputs, [&](unsigned input) {
      return inputs[input] == written[i];
    });
    if (isInput || roots.size() != 1 ||
        !roots[0].getDefiningOp<memref::ViewOp>() ||
        isReadBy(roots[0], written[i], nest))
      usedOutputs.push_back(i);
  }
  if (!usedOutputs.empty())
    keep(nest, usedInputs, usedOutputs);
}

namespace {
struct JoinRows : rondo::cpu::impl::JoinRowsBase<JoinRows> {
  void runOnOperation() override {
    SmallVector<Block *> blocks;
    getOperation().walk([&](scf::ForOp loop) {
      if (loop->hasAttr("rondo.steps"))
        blocks.push_back(loop.getBody());
    });
    for (Block *block : blocks) {
      SmallVector<scf::ForOp> loops(block->getOps<scf::ForOp>());
      DenseSet<Operation *> isJoined;
      for (scf::ForOp loop : loops)
        if (!isJoined.contains(loop))
          join(loop, isJoined);
    }
  }

private:
  void join(scf::ForOp loop, DenseSet<Operation *> &isJoined);
};
} // namespace

void JoinRows::join(scf::ForOp loop, DenseSet<Operation *> &isJoined) {
  std::optional<int64_t> count = matchLoop(loop);
  if (!count)
    return;
  Joining joining(loop, *count);
  if (!joining.add(loop))
    return;
  isJoined.insert(loop);
  SmallVector<Operation *> following;
  for (Operation *op = loop->getNextNode(); op; op = op->getNextNode())
    following.push_back(op);
  for (Operation *op : following) {
    auto other = dyn_cast<scf::ForOp>(op);
    auto rows = dyn_cast<linalg::GenericOp>(op);
    bool fits = other ? matchLoop(other) == count
                      : rows && isPointwise(rows) && rows.getNumLoops() > 1 &&
                            rows.getStaticLoopRanges()[0] == *count;
    if (fits && joining.add(op) && other)
      isJoined.insert(op);
  }
  numJoined += joining.getNumUnits();
  joining.emit();
}
