//===- ThreadLoops.cpp - A linalg op as loops over a block's threads ------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/GPU/ThreadLoops.h"
#include "mlir/Dialect/Affine/Utils.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace rondo::gpu;

/// The dim that most accesses have innermost; that of the result counts most.
static int64_t findInnerDim(linalg::GenericOp op) {
  SmallVector<int64_t> votes(op.getNumLoops(), 0);
  for (auto [i, map] : llvm::enumerate(op.getIndexingMapsArray())) {
    if (map.getNumResults() == 0)
      continue;
    auto last = dyn_cast<AffineDimExpr>(map.getResults().back());
    if (last)
      votes[last.getPosition()] += i >= op.getNumDpsInputs() ? 3 : 2;
  }
  int64_t best = -1;
  for (auto [dim, type] : llvm::enumerate(op.getIteratorTypesArray()))
    if (type == utils::IteratorType::parallel &&
        (best < 0 || votes[dim] >= votes[best]))
      best = dim;
  return best;
}

Distribution rondo::gpu::getDistribution(linalg::GenericOp op,
                                         int64_t threads) {
  Distribution result;
  result.inner = findInnerDim(op);
  if (result.inner < 0)
    return result;
  result.width = threads;
  result.groups = 1;
  SmallVector<int64_t> extents = op.getStaticLoopRanges();
  int64_t most = 0;
  for (auto [dim, type] : llvm::enumerate(op.getIteratorTypesArray())) {
    if (type != utils::IteratorType::parallel || int64_t(dim) == result.inner)
      continue;
    // The largest of the others, as far as they are known.
    int64_t extent = ShapedType::isDynamic(extents[dim]) ? 1 << 20
                                                         : extents[dim];
    if (extent >= most)
      most = extent, result.second = dim;
  }
  if (result.second < 0)
    return result;
  int64_t extent = extents[result.inner];
  result.width = ShapedType::isDynamic(extent)
                     ? 32
                     : llvm::PowerOf2Ceil(std::max<int64_t>(extent, 1));
  result.width = std::min(result.width, threads);
  result.groups = threads / result.width;
  return result;
}

/// The op that combines the output's old value with a new term, or null.
static Operation *findCombiner(linalg::GenericOp op, unsigned output) {
  Block *body = op.getBody();
  Value old = body->getArgument(op.getNumDpsInputs() + output);
  Operation *combiner =
      body->getTerminator()->getOperand(output).getDefiningOp();
  if (!combiner || combiner->getBlock() != body || !old.hasOneUse() ||
      combiner->getNumOperands() != 2 ||
      !llvm::is_contained(combiner->getOperands(), old) ||
      !combiner->getResult(0).hasOneUse())
    return nullptr;
  if (!isa<arith::AddFOp, arith::MulFOp, arith::MaximumFOp, arith::MinimumFOp,
           arith::AddIOp, arith::MulIOp, arith::MaxSIOp, arith::MinSIOp,
           arith::AndIOp, arith::OrIOp>(combiner))
    return nullptr;
  return combiner;
}

static mlir::gpu::AllReduceOperation getKind(Operation *combiner) {
  using Kind = mlir::gpu::AllReduceOperation;
  return llvm::TypeSwitch<Operation *, Kind>(combiner)
      .Case<arith::AddFOp, arith::AddIOp>([](Operation *) { return Kind::ADD; })
      .Case<arith::MulFOp, arith::MulIOp>([](Operation *) { return Kind::MUL; })
      .Case([](arith::MaximumFOp) { return Kind::MAXIMUMF; })
      .Case([](arith::MinimumFOp) { return Kind::MINIMUMF; })
      .Case([](arith::MaxSIOp) { return Kind::MAXSI; })
      .Case([](arith::MinSIOp) { return Kind::MINSI; })
      .Case([](arith::AndIOp) { return Kind::AND; })
      .Default([](Operation *) { return Kind::OR; });
}

/// gpu.all_reduce shuffles words of 32 and 64 bits.
static bool canReduce(Operation *combiner) {
  Type type = combiner->getResult(0).getType();
  return type.isIntOrFloat() && (type.getIntOrFloatBitWidth() == 32 ||
                                 type.getIntOrFloatBitWidth() == 64);
}

/// Reductions worth splitting; short ones are done by every thread itself.
static bool isSplit(linalg::GenericOp op) {
  if (op.getNumParallelLoops() || !op.getNumReductionLoops())
    return false;
  int64_t steps = 1;
  for (int64_t extent : op.getStaticLoopRanges()) {
    if (ShapedType::isDynamic(extent))
      steps = 1 << 20;
    else if (steps < 1 << 20)
      steps *= extent;
  }
  if (steps <= 16)
    return false;
  for (unsigned i = 0; i < op.getNumDpsInits(); ++i) {
    Operation *combiner = findCombiner(op, i);
    if (!combiner || !canReduce(combiner))
      return false;
  }
  return true;
}

bool rondo::gpu::isComputedByAll(linalg::GenericOp op) {
  return op.getNumParallelLoops() == 0;
}

namespace {

class LoopEmitter {
public:
  LoopEmitter(linalg::GenericOp op, Value thread, int64_t threads)
      : op(op), thread(thread), threads(threads), b(op.getLoc(), op),
        indices(op.getNumLoops()) {}

  LogicalResult emit();

private:
  Value constant(int64_t value) {
    return arith::ConstantIndexOp::create(b, value);
  }
  void emitParallel(unsigned position);
  void emitElement();
  void emitSplit();
  SmallVector<Value> reduce(unsigned position, ValueRange values, bool split);
  SmallVector<Value> emitBody(ValueRange outputs);
  SmallVector<Value> subscripts(OpOperand *operand);
  Value load(OpOperand *operand);
  void store(OpOperand *operand, Value value);

  linalg::GenericOp op;
  Value thread;
  int64_t threads;
  ImplicitLocOpBuilder b;
  Distribution distribution;
  SmallVector<Value> extents, indices;
  SmallVector<unsigned> parallel, reductions;
};

} // namespace

SmallVector<Value> LoopEmitter::subscripts(OpOperand *operand) {
  SmallVector<Value> result;
  for (AffineExpr expr : op.getMatchingIndexingMap(operand).getResults())
    result.push_back(affine::expandAffineExpr(b, b.getLoc(), expr, indices,
                                              ValueRange()));
  return result;
}

Value LoopEmitter::load(OpOperand *operand) {
  if (!isa<MemRefType>(operand->get().getType()))
    return operand->get();
  return memref::LoadOp::create(b, operand->get(), subscripts(operand));
}

void LoopEmitter::store(OpOperand *operand, Value value) {
  memref::StoreOp::create(b, value, operand->get(), subscripts(operand));
}

/// One iteration; gives what is yielded.
SmallVector<Value> LoopEmitter::emitBody(ValueRange outputs) {
  Block *body = op.getBody();
  IRMapping map;
  for (OpOperand *input : op.getDpsInputOperands()) {
    BlockArgument arg = op.getMatchingBlockArgument(input);
    if (!arg.use_empty())
      map.map(arg, load(input));
  }
  for (auto [i, value] : llvm::enumerate(outputs))
    map.map(body->getArgument(op.getNumDpsInputs() + i), value);
  // linalg.index also stands in regions inside the body.
  body->walk([&](linalg::IndexOp index) {
    map.map(index.getResult(), indices[index.getDim()]);
  });
  for (Operation &inner : body->without_terminator())
    if (!isa<linalg::IndexOp>(inner))
      b.clone(inner, map);
  return llvm::to_vector(llvm::map_range(
      body->getTerminator()->getOperands(),
      [&](Value value) { return map.lookupOrDefault(value); }));
}

SmallVector<Value> LoopEmitter::reduce(unsigned position, ValueRange values,
                                       bool split) {
  if (position == reductions.size())
    return emitBody(values);
  unsigned dim = reductions[position];
  bool here = split && position + 1 == reductions.size();
  Value lower = here ? thread : constant(0);
  auto loop = scf::ForOp::create(b, lower, extents[dim],
                                 constant(here ? threads : 1), values);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  indices[dim] = loop.getInductionVar();
  SmallVector<Value> next =
      reduce(position + 1, loop.getRegionIterArgs(), split);
  scf::YieldOp::create(b, next);
  return SmallVector<Value>(loop.getResults());
}

/// One element of every output, at the indices of the parallel dims.
void LoopEmitter::emitElement() {
  SmallVector<Value> values;
  for (OpOperand &init : op.getDpsInitsMutable()) {
    bool used = !reductions.empty() ||
                !op.getMatchingBlockArgument(&init).use_empty();
    values.push_back(used ? load(&init) : Value());
  }
  for (auto [i, value] : llvm::enumerate(values))
    if (!value) // not read
      value = arith::ConstantOp::create(
          b, b.getZeroAttr(getElementTypeOrSelf(
                 op.getDpsInits()[i].getType())));
  values = reduce(0, values, /*split=*/false);
  for (auto [init, value] : llvm::zip(op.getDpsInitsMutable(), values))
    store(&init, value);
}

/// A reduction of everything, split over the block.
void LoopEmitter::emitSplit() {
  SmallVector<Value> values;
  SmallVector<Operation *> combiners;
  for (unsigned i = 0; i < op.getNumDpsInits(); ++i) {
    combiners.push_back(findCombiner(op, i));
    values.push_back(arith::ConstantOp::create(
        b, *arith::getNeutralElement(combiners.back())));
  }
  values = reduce(0, values, /*split=*/true);
  for (auto [i, init] : llvm::enumerate(op.getDpsInitsMutable())) {
    // The reduction before may still be read from the buffer they share.
    mlir::gpu::BarrierOp::create(b);
    // Every thread stores the sum: each reads what is there before any does.
    Value before = load(&init);
    Value all = mlir::gpu::AllReduceOp::create(
        b, values[i],
        mlir::gpu::AllReduceOperationAttr::get(b.getContext(),
                                               getKind(combiners[i])),
        /*uniform=*/true);
    OperationState state(b.getLoc(), combiners[i]->getName());
    state.addOperands({before, all});
    state.addTypes(all.getType());
    state.addAttributes(combiners[i]->getAttrs());
    values[i] = b.create(state)->getResult(0);
  }
  for (auto [init, value] : llvm::zip(op.getDpsInitsMutable(), values))
    store(&init, value);
}

void LoopEmitter::emitParallel(unsigned position) {
  if (position == parallel.size()) {
    emitElement();
    return;
  }
  unsigned dim = parallel[position];
  Value lower = constant(0), step = constant(1);
  if (int64_t(dim) == distribution.inner) {
    lower = thread;
    if (distribution.second >= 0)
      lower = arith::AndIOp::create(b, thread, constant(distribution.width - 1));
    step = constant(distribution.width);
  } else if (int64_t(dim) == distribution.second) {
    lower = arith::ShRUIOp::create(
        b, thread, constant(llvm::Log2_64(distribution.width)));
    step = constant(distribution.groups);
  }
  auto loop = scf::ForOp::create(b, lower, extents[dim], step);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  indices[dim] = loop.getInductionVar();
  emitParallel(position + 1);
}

LogicalResult LoopEmitter::emit() {
  for (Range range : cast<linalg::LinalgOp>(op.getOperation())
                         .createLoopRanges(b, b.getLoc()))
    extents.push_back(
        getValueOrCreateConstantIndexOp(b, b.getLoc(), range.size));
  distribution = getDistribution(op, threads);
  for (auto [dim, type] : llvm::enumerate(op.getIteratorTypesArray()))
    if (type == utils::IteratorType::reduction)
      reductions.push_back(dim);
    else if (int64_t(dim) != distribution.inner &&
             int64_t(dim) != distribution.second)
      parallel.push_back(dim);
  if (distribution.second >= 0)
    parallel.push_back(distribution.second);
  if (distribution.inner >= 0)
    parallel.push_back(distribution.inner);
  if (isSplit(op)) {
    emitSplit();
  } else if (parallel.empty()) {
    // By every thread for itself; memory is written by the first one.
    bool own = llvm::all_of(op.getDpsInits(), [](Value init) {
      return isa_and_nonnull<memref::AllocaOp>(init.getDefiningOp());
    });
    if (!own) {
      Value isFirst = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, thread,
                                            constant(0));
      auto guard = scf::IfOp::create(b, isFirst, /*withElseRegion=*/false);
      b.setInsertionPointToStart(guard.thenBlock());
    }
    emitElement();
  } else {
    emitParallel(0);
  }
  op.erase();
  return success();
}

LogicalResult rondo::gpu::emitThreadLoops(linalg::GenericOp op, Value thread,
                                          int64_t threads) {
  return LoopEmitter(op, thread, threads).emit();
}
