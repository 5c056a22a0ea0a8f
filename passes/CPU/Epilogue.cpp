//===- Epilogue.cpp - What is computed from a reduction at once -----------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/CPU/Epilogue.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "passes/CPU/Buffers.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cpu;

/// The buffer behind a view, or null.
static Value getBuffer(Value memref) {
  SmallVector<Value> roots;
  collectRoots(memref, roots);
  return roots.size() == 1 && roots[0].getDefiningOp<memref::ViewOp>()
             ? roots[0]
             : Value();
}

/// Whether `view` is `sum`, or its first rows and columns.
static bool isStartOf(Value view, Value sum) {
  if (view == sum)
    return true;
  auto subview = view.getDefiningOp<memref::SubViewOp>();
  if (!subview || !subview.hasUnitStride())
    return false;
  if (subview.getSource() == sum)
    return subview.getType().getRank() == subview.getSourceType().getRank() &&
           llvm::all_of(subview.getMixedOffsets(), isZeroInteger);
  // Or of the same part of a buffer.
  auto other = sum.getDefiningOp<memref::SubViewOp>();
  return other && other.hasUnitStride() &&
         other.getSource() == subview.getSource() &&
         other.getDroppedDims() == subview.getDroppedDims() &&
         isEqualConstantIntOrValueArray(other.getMixedOffsets(),
                                        subview.getMixedOffsets());
}

/// The operand of a pointwise op that is the sum at the same point.
static OpOperand *findSum(linalg::GenericOp epilogue, Value sum) {
  OpOperand *result = nullptr;
  for (OpOperand &operand : epilogue->getOpOperands()) {
    if (!isa<MemRefType>(operand.get().getType()) ||
        !mayOverlap(operand.get(), sum))
      continue;
    if (result || epilogue.isDpsInit(&operand) ||
        !epilogue.getMatchingIndexingMap(&operand).isIdentity() ||
        !isStartOf(operand.get(), sum))
      return nullptr;
    result = &operand;
  }
  return result;
}

/// Whether the op computes every point of its outputs from the inputs there.
static bool isPointwise(linalg::GenericOp op) {
  for (OpOperand &init : op.getDpsInitsMutable())
    if (!op.getMatchingIndexingMap(&init).isIdentity())
      return false;
  for (OpOperand *input : op.getDpsInputOperands())
    for (Value output : op.getOutputs())
      if (isa<MemRefType>(input->get().getType()) &&
          mayOverlap(input->get(), output))
        return false;
  return op.getNumReductionLoops() == 0 &&
         llvm::all_of(op.getBody()->without_terminator(),
                      [](Operation &inner) { return isPure(&inner); });
}

/// What an op between touches keeps the reduction from moving behind it.
static bool blocks(Operation *between, linalg::GenericOp op) {
  Value buffer = getBuffer(op.getOutputs()[0]);
  return between
      ->walk([&](Operation *inner) {
        if (isPure(inner))
          return WalkResult::advance();
        auto dps = dyn_cast<DestinationStyleOpInterface>(inner);
        bool isLoad = isa<memref::LoadOp>(inner);
        for (OpOperand &operand : inner->getOpOperands()) {
          if (!isa<MemRefType>(operand.get().getType()))
            continue;
          if (mayOverlap(operand.get(), buffer))
            return WalkResult::interrupt();
          bool writes = dps ? dps.isDpsInit(&operand) : !isLoad;
          if (!writes)
            continue;
          for (Value input : op.getInputs())
            if (isa<MemRefType>(input.getType()) &&
                mayOverlap(input, operand.get()))
              return WalkResult::interrupt();
        }
        return WalkResult::advance();
      })
      .wasInterrupted();
}

/// Whether something but these ops uses a buffer.
static bool hasOtherUses(Value buffer, ArrayRef<Operation *> ops) {
  return llvm::any_of(buffer.getUsers(), [&](Operation *user) {
    if (isa<memref::SubViewOp, memref::CollapseShapeOp, memref::ExpandShapeOp,
            memref::CastOp>(user))
      return hasOtherUses(user->getResult(0), ops);
    return !llvm::is_contained(ops, user);
  });
}

/// Finds, in the block of the reduction `op`, the pointwise op that can be
/// computed with it; `isTaken` are ops that can't be used.
static linalg::GenericOp findEpilogue(linalg::GenericOp op,
                                      const DenseSet<Operation *> &isTaken,
                                      bool &keepsSum) {
  if (op.getOutputs().size() != 1 || op.getNumReductionLoops() == 0)
    return {};
  auto next = dyn_cast_or_null<linalg::GenericOp>(op->getNextNode());
  if (auto keeps =
          next ? next->getAttrOfType<BoolAttr>(kEpilogueAttr) : BoolAttr()) {
    keepsSum = keeps.getValue();
    return next;
  }
  Value sum = op.getOutputs()[0];
  Value buffer = getBuffer(sum);
  if (!buffer)
    return {};
  // Without a term, only the fill is left.
  SmallVector<int64_t> ranges = op.getStaticLoopRanges();
  for (auto [range, kind] : llvm::zip(ranges, op.getIteratorTypesArray()))
    if (kind == utils::IteratorType::reduction && range <= 0)
      return {};
  AffineMap map = op.getMatchingIndexingMap(op.getDpsInitOperand(0));
  if (!map.isProjectedPermutation() ||
      map.getNumResults() != op.getNumParallelLoops())
    return {};
  for (Operation *next = op->getNextNode(); next; next = next->getNextNode()) {
    if (isPure(next))
      continue;
    auto generic = dyn_cast<linalg::GenericOp>(next);
    OpOperand *operand = generic ? findSum(generic, sum) : nullptr;
    if (!operand) {
      if (blocks(next, op))
        return {};
      continue;
    }
    for (Value output : generic.getOutputs())
      for (Value input : op.getInputs())
        if (isa<MemRefType>(input.getType()) && mayOverlap(input, output))
          return {};
    if (!isPointwise(generic) || isTaken.contains(generic))
      return {};
    SmallVector<Operation *> users{op, generic};
    for (Operation *before = op->getPrevNode(); before;
         before = before->getPrevNode())
      if (auto fill = dyn_cast<linalg::FillOp>(before);
          fill && fill.getOutputs()[0] == sum)
        users.push_back(fill);
    keepsSum = hasOtherUses(buffer, users);
    return keepsSum && operand->get() != sum ? linalg::GenericOp() : generic;
  }
  return {};
}

llvm::DenseMap<Operation *, FoundEpilogue>
rondo::cpu::findEpilogues(Operation *root) {
  llvm::DenseMap<Operation *, FoundEpilogue> result;
  DenseSet<Operation *> taken;
  SmallVector<linalg::GenericOp> ops;
  root->walk([&](linalg::GenericOp op) { ops.push_back(op); });
  for (linalg::GenericOp op : llvm::reverse(ops)) {
    FoundEpilogue found;
    found.op = findEpilogue(op, taken, found.keepsSum);
    if (!found.op)
      continue;
    result[op] = found;
    taken.insert(found.op);
  }
  return result;
}

linalg::GenericOp rondo::cpu::withSumAsOutput(linalg::GenericOp epilogue,
                                              linalg::GenericOp op) {
  OpOperand *sum = findSum(epilogue, op.getOutputs()[0]);
  SmallVector<Value> inputs, outputs(epilogue.getOutputs());
  SmallVector<AffineMap> maps;
  for (OpOperand *input : epilogue.getDpsInputOperands()) {
    if (input == sum)
      continue;
    inputs.push_back(input->get());
    maps.push_back(epilogue.getMatchingIndexingMap(input));
  }
  outputs.push_back(sum->get());
  OpBuilder builder(epilogue);
  maps.append(outputs.size(),
              builder.getMultiDimIdentityMap(epilogue.getNumLoops()));
  auto result = linalg::GenericOp::create(
      builder, epilogue.getLoc(), inputs, outputs, maps,
      epilogue.getIteratorTypesArray(),
      [&](OpBuilder &b, Location loc, ValueRange arguments) {
        IRMapping map;
        SmallVector<Value> old(epilogue.getBody()->getArguments());
        old.erase(old.begin() + sum->getOperandNumber());
        map.map(old, arguments.drop_back());
        map.map(epilogue.getMatchingBlockArgument(sum), arguments.back());
        for (Operation &inner : epilogue.getBody()->without_terminator())
          b.clone(inner, map);
        SmallVector<Value> yielded;
        for (Value value : epilogue.getBody()->getTerminator()->getOperands())
          yielded.push_back(map.lookupOrDefault(value));
        yielded.push_back(arguments.back());
        linalg::YieldOp::create(b, loc, yielded);
      });
  epilogue.erase();
  return result;
}

FailureOr<Epilogue> rondo::cpu::createEpilogue(OpBuilder &builder,
                                               LoopNest &nest, const Tile &tile,
                                               linalg::GenericOp op,
                                               bool keepsSum) {
  // Loops along a triangle leave out what they add nothing to.
  bool endsVectors = tile.triangle && !nest.isReduction(tile.triangle->inner);
  if (tile.vectorDim < 0 || nest.isReduction(tile.vectorDim) ||
      (endsVectors && !nest.startsFresh))
    return failure();
  FailureOr<LoopNest> own = LoopNest::create(op, builder);
  if (failed(own))
    return failure();
  Epilogue result{std::move(*own), {}, {}, {}, keepsSum};
  auto reduction = cast<linalg::GenericOp>(nest.op);
  AffineMap map =
      reduction.getMatchingIndexingMap(reduction.getDpsInitOperand(0));
  DenseMap<unsigned, unsigned> dimOf;
  for (auto [dim, expr] : llvm::enumerate(map.getResults())) {
    result.dims.push_back(cast<AffineDimExpr>(expr).getPosition());
    dimOf[result.dims.back()] = dim;
  }
  result.tile.lanes = tile.lanes;
  result.tile.rows = tile.rows;
  result.tile.vectors = tile.vectors;
  result.tile.masked = tile.masked;
  result.tile.vectorDim = dimOf.lookup(tile.vectorDim);
  if (tile.rowDim >= 0)
    result.tile.rowDim = dimOf.lookup(tile.rowDim);
  for (unsigned dim : tile.order)
    if (!nest.isReduction(dim))
      result.tile.order.push_back(dimOf.lookup(dim));
  FailureOr<Lanes> lanes = Lanes::analyze(result.nest, result.tile.vectorDim);
  if (failed(lanes))
    return failure();
  auto isSimple = [&](Value memref, ValueRange subscripts) {
    return lanes->getAccess(memref, subscripts) <= AccessKind::Contiguous;
  };
  for (Operation *each : result.nest.ops)
    if (auto load = dyn_cast<memref::LoadOp>(each))
      if (!isSimple(load.getMemRef(), load.getIndices()))
        return failure();
  for (const Output &output : result.nest.outputs)
    if (lanes->getAccess(output.memref, output.subscripts) !=
        AccessKind::Contiguous)
      return failure();
  result.lanes = std::move(*lanes);
  for (auto [dim, of] : llvm::enumerate(result.dims)) {
    int64_t extent = result.nest.staticExtents[dim];
    if (extent < 0 || extent != nest.staticExtents[of])
      nest.extents[of] = result.nest.extents[dim];
  }
  return result;
}
