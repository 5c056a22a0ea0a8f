//===- Lanes.cpp - How values differ between the lanes of a vector --------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/CPU/Lanes.h"
#include "dialects/Rondo/IR/RondoOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cpu;

bool rondo::cpu::isElementwise(Operation *op) {
  return op->getNumResults() == 1 && op->getNumRegions() == 0 &&
         (OpTrait::hasElementwiseMappableTraits(op) || isa<ModOp>(op));
}

/// addi and subi of linear, clamped and uniform values.
static LaneKind addKinds(LaneKind lhs, LaneKind rhs, int sign) {
  if (lhs.kind <= LaneKind::Linear && rhs.kind <= LaneKind::Linear) {
    int64_t step = lhs.step + sign * rhs.step;
    return {step ? LaneKind::Linear : LaneKind::Uniform, step};
  }
  if (lhs.kind == LaneKind::Clamped && rhs.kind == LaneKind::Uniform)
    return lhs;
  if (rhs.kind == LaneKind::Clamped && lhs.kind == LaneKind::Uniform &&
      sign == 1)
    return rhs;
  return {LaneKind::Varying};
}

/// maxsi and minsi of values that grow by 0 or 1 per lane do so too.
static LaneKind clampKinds(LaneKind lhs, LaneKind rhs) {
  auto slow = [](LaneKind kind) {
    return kind.kind == LaneKind::Uniform || kind.kind == LaneKind::Clamped ||
           (kind.kind == LaneKind::Linear && kind.step == 1);
  };
  return {slow(lhs) && slow(rhs) ? LaneKind::Clamped : LaneKind::Varying};
}

static LaneKind scaleKinds(LaneKind lhs, LaneKind rhs, Value lhsValue,
                           Value rhsValue) {
  if (rhs.kind == LaneKind::Linear) {
    std::swap(lhs, rhs);
    std::swap(lhsValue, rhsValue);
  }
  std::optional<int64_t> factor = getConstantIntValue(rhsValue);
  if (lhs.kind != LaneKind::Linear || !factor)
    return {LaneKind::Varying};
  int64_t step = lhs.step * *factor;
  return {step ? LaneKind::Linear : LaneKind::Uniform, step};
}

std::optional<Lanes::RangeCompare> Lanes::matchRange(Operation *op) const {
  auto cmp = dyn_cast<arith::CmpIOp>(op);
  if (!cmp)
    return std::nullopt;
  Value lhs = cmp.getLhs(), rhs = cmp.getRhs();
  arith::CmpIPredicate predicate = cmp.getPredicate();
  if (get(lhs).kind == LaneKind::Uniform) {
    std::swap(lhs, rhs);
    switch (predicate) {
    case arith::CmpIPredicate::slt:
      predicate = arith::CmpIPredicate::sgt;
      break;
    case arith::CmpIPredicate::sle:
      predicate = arith::CmpIPredicate::sge;
      break;
    case arith::CmpIPredicate::sgt:
      predicate = arith::CmpIPredicate::slt;
      break;
    case arith::CmpIPredicate::sge:
      predicate = arith::CmpIPredicate::sle;
      break;
    default:
      return std::nullopt;
    }
  }
  if (!(get(lhs) == LaneKind{LaneKind::Linear, 1}) ||
      get(rhs).kind != LaneKind::Uniform)
    return std::nullopt;
  switch (predicate) {
  case arith::CmpIPredicate::slt:
    return RangeCompare{lhs, rhs, false, false};
  case arith::CmpIPredicate::sle:
    return RangeCompare{lhs, rhs, true, false};
  case arith::CmpIPredicate::sge:
    return RangeCompare{lhs, rhs, false, true};
  case arith::CmpIPredicate::sgt:
    return RangeCompare{lhs, rhs, true, true};
  default:
    return std::nullopt;
  }
}

AccessKind Lanes::getAccess(Value memref, ValueRange subscripts) const {
  if (llvm::all_of(subscripts, [&](Value subscript) {
        return get(subscript).kind == LaneKind::Uniform;
      }))
    return AccessKind::Uniform;
  for (Value subscript : subscripts.drop_back())
    if (get(subscript).kind != LaneKind::Uniform)
      return AccessKind::Scattered;
  SmallVector<int64_t> strides;
  int64_t offset;
  if (failed(cast<MemRefType>(memref.getType())
                 .getStridesAndOffset(strides, offset)) ||
      strides.back() != 1)
    return AccessKind::Scattered;
  LaneKind last = get(subscripts.back());
  if (last == LaneKind{LaneKind::Linear, 1})
    return AccessKind::Contiguous;
  return last.kind == LaneKind::Clamped ? AccessKind::Guarded
                                        : AccessKind::Scattered;
}

std::optional<LaneKind> Lanes::classify(Operation *op, const LoopNest &nest,
                                        unsigned dim) const {
  if (auto index = dyn_cast<linalg::IndexOp>(op))
    return index.getDim() == dim ? LaneKind{LaneKind::Linear, 1} : LaneKind{};
  if (!(nest.getDims(op) & dimBit(dim)))
    return LaneKind{};
  if (isa<memref::LoadOp>(op)) {
    bool uniform = llvm::all_of(op->getOperands(), [&](Value operand) {
      return get(operand).kind == LaneKind::Uniform;
    });
    return uniform ? LaneKind{} : LaneKind{LaneKind::Varying};
  }
  bool uniform = true;
  op->walk([&](Operation *inner) {
    for (Value operand : inner->getOperands())
      uniform &= get(operand).kind == LaneKind::Uniform;
  });
  if (uniform)
    return LaneKind{};
  if (!isElementwise(op) || !isMemoryEffectFree(op))
    return std::nullopt;
  if (isa<arith::AddIOp>(op))
    return addKinds(get(op->getOperand(0)), get(op->getOperand(1)), 1);
  if (isa<arith::SubIOp>(op))
    return addKinds(get(op->getOperand(0)), get(op->getOperand(1)), -1);
  if (isa<arith::MulIOp>(op))
    return scaleKinds(get(op->getOperand(0)), get(op->getOperand(1)),
                      op->getOperand(0), op->getOperand(1));
  if (isa<arith::MaxSIOp, arith::MinSIOp>(op))
    return clampKinds(get(op->getOperand(0)), get(op->getOperand(1)));
  return LaneKind{LaneKind::Varying};
}

/// Marks, from uses to definitions, which values are needed as vectors and in
/// the last lane.
void Lanes::findDemands(const LoopNest &nest, unsigned dim) {
  for (const Output &output : nest.outputs) {
    vectors.insert(output.yielded);
    if (getAccess(output.memref, output.subscripts) >= AccessKind::Guarded)
      for (Value subscript : output.subscripts)
        if (get(subscript).kind != LaneKind::Uniform)
          vectors.insert(subscript);
  }
  for (Operation *op : llvm::reverse(nest.ops)) {
    if (op->getNumResults() != 1)
      continue;
    Value result = op->getResult(0);
    LaneKind kind = get(result);
    if (auto load = dyn_cast<memref::LoadOp>(op)) {
      AccessKind access = getAccess(load.getMemRef(), load.getIndices());
      if (access == AccessKind::Guarded)
        lasts.insert(load.getIndices().back());
      if (access >= AccessKind::Guarded)
        for (Value subscript : load.getIndices())
          if (get(subscript).kind != LaneKind::Uniform)
            vectors.insert(subscript);
      continue;
    }
    bool asVector =
        (kind.kind == LaneKind::Varying && !matchRange(op)) ||
        (kind.kind == LaneKind::Clamped && vectors.contains(result));
    for (Value operand : op->getOperands()) {
      if (asVector)
        vectors.insert(operand);
      if (lasts.contains(result))
        lasts.insert(operand);
    }
  }
}

FailureOr<Lanes> Lanes::analyze(const LoopNest &nest, unsigned dim) {
  Lanes lanes;
  for (const Output &output : nest.outputs)
    lanes.kinds[output.accumulator] = {LaneKind::Varying};
  for (Operation *op : nest.ops) {
    std::optional<LaneKind> kind = lanes.classify(op, nest, dim);
    if (!kind)
      return failure();
    for (Value result : op->getResults())
      lanes.kinds[result] = *kind;
  }
  for (const Output &output : nest.outputs) {
    // Nothing is written twice by the lanes of a parallel dim.
    AccessKind access = lanes.getAccess(output.memref, output.subscripts);
    if (nest.isReduction(dim) != (access == AccessKind::Uniform))
      return failure();
    if (nest.isReduction(dim) && !output.combiner)
      return failure();
  }
  lanes.findDemands(nest, dim);
  return lanes;
}
