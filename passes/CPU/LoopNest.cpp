//===- LoopNest.cpp - A linalg op as loops around scalar code -------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/CPU/LoopNest.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Affine/Utils.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cpu;

TypedAttr rondo::cpu::getIdentity(Operation *combiner, Type type) {
  Builder builder(type.getContext());
  if (isa<arith::AddFOp>(combiner))
    return builder.getFloatAttr(type, 0.0);
  if (isa<arith::MulFOp>(combiner))
    return builder.getFloatAttr(type, 1.0);
  if (isa<arith::MaximumFOp, arith::MaxNumFOp>(combiner))
    return builder.getFloatAttr(
        type, APFloat::getInf(cast<FloatType>(type).getFloatSemantics(), true));
  if (isa<arith::MinimumFOp, arith::MinNumFOp>(combiner))
    return builder.getFloatAttr(
        type, APFloat::getInf(cast<FloatType>(type).getFloatSemantics()));
  unsigned width = type.isIndex() ? 64 : type.getIntOrFloatBitWidth();
  if (isa<arith::AddIOp, arith::OrIOp, arith::XOrIOp>(combiner))
    return builder.getIntegerAttr(type, APInt(width, 0));
  if (isa<arith::MulIOp>(combiner))
    return builder.getIntegerAttr(type, APInt(width, 1));
  if (isa<arith::AndIOp>(combiner))
    return builder.getIntegerAttr(type, APInt::getAllOnes(width));
  if (isa<arith::MaxSIOp>(combiner))
    return builder.getIntegerAttr(type, APInt::getSignedMinValue(width));
  if (isa<arith::MinSIOp>(combiner))
    return builder.getIntegerAttr(type, APInt::getSignedMaxValue(width));
  return {};
}

linalg::FillOp rondo::cpu::findFill(linalg::GenericOp op) {
  if (op.getOutputs().size() != 1 || op.getNumReductionLoops() == 0)
    return {};
  Block *body = op.getBody();
  Operation *combiner = body->getTerminator()->getOperand(0).getDefiningOp();
  if (!combiner || combiner->getBlock() != body ||
      combiner->getNumOperands() != 2 || !combiner->hasOneUse() ||
      !body->getArguments().back().hasOneUse() ||
      *body->getArguments().back().user_begin() != combiner)
    return {};
  for (Operation *before = op->getPrevNode(); before;
       before = before->getPrevNode()) {
    auto fill = dyn_cast<linalg::FillOp>(before);
    if (!fill) {
      if (!isMemoryEffectFree(before))
        return {};
      continue;
    }
    Attribute value;
    if (fill.getOutputs()[0] != op.getOutputs()[0] ||
        !matchPattern(fill.getInputs()[0], m_Constant(&value)) ||
        value != getIdentity(combiner, combiner->getResult(0).getType()))
      return {};
    return fill;
  }
  return {};
}

/// The combiner of a reduction, see Output::combiner.
static Operation *findCombiner(BlockArgument accumulator, Value yielded) {
  Operation *combiner = yielded.getDefiningOp();
  if (!combiner || combiner->getBlock() != accumulator.getOwner() ||
      combiner->getNumOperands() != 2 || !accumulator.hasOneUse() ||
      *accumulator.user_begin() != combiner || !yielded.hasOneUse() ||
      !getIdentity(combiner, yielded.getType()))
    return nullptr;
  return combiner;
}

SmallVector<Value> LoopNest::expandMap(OpBuilder &builder, AffineMap map) {
  SmallVector<Value> results;
  for (AffineExpr expr : map.getResults())
    results.push_back(affine::expandAffineExpr(builder, getLoc(), expr, indices,
                                               ValueRange()));
  return results;
}

void LoopNest::readInputs(linalg::GenericOp generic, OpBuilder &builder) {
  for (OpOperand *input : generic.getDpsInputOperands()) {
    BlockArgument arg = generic.getMatchingBlockArgument(input);
    if (arg.use_empty())
      continue;
    Value replacement = input->get();
    if (isa<MemRefType>(replacement.getType())) {
      SmallVector<Value> subscripts =
          expandMap(builder, generic.getMatchingIndexingMap(input));
      replacement =
          memref::LoadOp::create(builder, getLoc(), input->get(), subscripts);
    }
    arg.replaceAllUsesWith(replacement);
  }
  // Affine ops are plain arithmetic from here on.
  SmallVector<affine::AffineApplyOp> applies;
  getBody()->walk(
      [&](affine::AffineApplyOp apply) { applies.push_back(apply); });
  for (affine::AffineApplyOp apply : applies) {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPoint(apply);
    auto values =
        affine::expandAffineMap(builder, apply.getLoc(), apply.getAffineMap(),
                                SmallVector<Value>(apply.getOperands()));
    apply.replaceAllUsesWith(values->front());
    apply.erase();
  }
}

void LoopNest::collectOutputs(linalg::GenericOp generic, OpBuilder &builder) {
  auto yield = cast<linalg::YieldOp>(generic.getBody()->getTerminator());
  for (auto [i, init] : llvm::enumerate(generic.getDpsInitsMutable())) {
    Output output;
    output.memref = init.get();
    output.subscripts =
        expandMap(builder, generic.getMatchingIndexingMap(&init));
    output.accumulator = generic.getMatchingBlockArgument(&init);
    output.yielded = yield.getOperand(i);
    if (hasReduction())
      output.combiner = findCombiner(output.accumulator, output.yielded);
    outputs.push_back(std::move(output));
  }
}

void LoopNest::collectOps() {
  Block *body = getBody();
  SmallVector<Value> worklist;
  DenseSet<Operation *> needed;
  auto require = [&](Operation *bodyOp) {
    if (!needed.insert(bodyOp).second)
      return;
    bodyOp->walk([&](Operation *inner) {
      worklist.append(inner->operand_begin(), inner->operand_end());
    });
  };
  for (const Output &output : outputs) {
    worklist.push_back(output.yielded);
    worklist.append(output.subscripts);
  }
  for (Operation &bodyOp : body->without_terminator())
    if (!isMemoryEffectFree(&bodyOp) && !isa<memref::LoadOp>(bodyOp))
      require(&bodyOp);
  while (!worklist.empty()) {
    Operation *def = worklist.pop_back_val().getDefiningOp();
    if (Operation *bodyOp = def ? body->findAncestorOpInBlock(*def) : nullptr)
      require(bodyOp);
  }

  DimSet all = dimBit(getNumDims()) - 1;
  for (const Output &output : outputs)
    dims[output.accumulator] = all;
  for (Operation &bodyOp : body->without_terminator()) {
    if (!needed.contains(&bodyOp))
      continue;
    ops.push_back(&bodyOp);
    DimSet set = 0;
    if (auto index = dyn_cast<linalg::IndexOp>(bodyOp))
      set = dimBit(index.getDim());
    bodyOp.walk([&](Operation *inner) {
      for (Value operand : inner->getOperands())
        set |= getDims(operand);
    });
    for (Value result : bodyOp.getResults())
      dims[result] = set;
  }
}

/// How many points a value of these dims has.
double LoopNest::countPoints(DimSet dims) const {
  constexpr int64_t kTypicalExtent = 64;
  double points = 1;
  for (unsigned dim = 0; dim < getNumDims(); ++dim)
    if (dims & dimBit(dim))
      points *= staticExtents[dim] < 0 ? kTypicalExtent : staticExtents[dim];
  return points;
}

/// Multiplies first what has the fewest points: in (a[i] b[j]) c[i], the
/// product a[i] c[i] is the same for all j. Returns whether anything has
/// changed.
bool LoopNest::orderProducts(OpBuilder &builder) {
  auto isFactor = [&](Operation *op) {
    return op->hasOneUse() && isa<arith::MulFOp>(*op->user_begin());
  };
  bool changed = false;
  for (Operation *op : ops) {
    auto root = dyn_cast<arith::MulFOp>(op);
    if (!root || isFactor(root))
      continue;
    SmallVector<Value> factors, worklist{root.getLhs(), root.getRhs()};
    double before = countPoints(getDims(root.getResult()));
    while (!worklist.empty()) {
      Value factor = worklist.front();
      worklist.erase(worklist.begin());
      auto product = factor.getDefiningOp<arith::MulFOp>();
      if (product && product->getBlock() == getBody() && isFactor(product)) {
        before += countPoints(getDims(factor));
        worklist.insert(worklist.begin(), {product.getLhs(), product.getRhs()});
        continue;
      }
      factors.push_back(factor);
    }
    bool isCombiner = llvm::any_of(outputs, [&](const Output &output) {
      return llvm::is_contained(factors, Value(output.accumulator));
    });
    if (factors.size() < 3 || isCombiner)
      continue;
    // Always the two whose product has the fewest points.
    SmallVector<DimSet> sets;
    for (Value factor : factors)
      sets.push_back(getDims(factor));
    SmallVector<std::pair<unsigned, unsigned>> order;
    double after = 0;
    while (sets.size() > 1) {
      std::pair<unsigned, unsigned> best{0, 1};
      for (unsigned j = 1; j < sets.size(); ++j)
        for (unsigned i = 0; i < j; ++i)
          if (countPoints(sets[i] | sets[j]) <
              countPoints(sets[best.first] | sets[best.second]))
            best = {i, j};
      sets[best.first] |= sets[best.second];
      after += countPoints(sets[best.first]);
      sets.erase(sets.begin() + best.second);
      order.push_back(best);
    }
    if (after >= before)
      continue;
    builder.setInsertionPoint(root);
    for (auto [i, j] : order) {
      factors[i] = arith::MulFOp::create(builder, root.getLoc(), factors[i],
                                         factors[j], root.getFastmath());
      factors.erase(factors.begin() + j);
    }
    root.getResult().replaceAllUsesWith(factors.front());
    for (Output &output : outputs)
      if (output.yielded == root.getResult())
        output.yielded = factors.front();
    changed = true;
  }
  return changed;
}

DimSet LoopNest::getDims(Operation *bodyOp) const {
  if (bodyOp->getNumResults())
    return getDims(bodyOp->getResult(0));
  DimSet set = 0;
  bodyOp->walk([&](Operation *inner) {
    for (Value operand : inner->getOperands())
      set |= getDims(operand);
  });
  return set;
}

namespace {
/// sum of coefficients times indices + constant.
struct LinearIndex {
  SmallVector<int64_t> coefficients; // by dim
  int64_t constant = 0;
};
} // namespace

static std::optional<LinearIndex> getLinear(Value value, unsigned numDims) {
  LinearIndex result{SmallVector<int64_t>(numDims)};
  if (std::optional<int64_t> constant = getConstantIntValue(value)) {
    result.constant = *constant;
    return result;
  }
  Operation *def = value.getDefiningOp();
  if (auto index = dyn_cast_or_null<linalg::IndexOp>(def)) {
    result.coefficients[index.getDim()] = 1;
    return result;
  }
  if (!isa_and_nonnull<arith::AddIOp, arith::SubIOp>(def))
    return std::nullopt;
  auto lhs = getLinear(def->getOperand(0), numDims);
  auto rhs = getLinear(def->getOperand(1), numDims);
  if (!lhs || !rhs)
    return std::nullopt;
  int64_t sign = isa<arith::AddIOp>(def) ? 1 : -1;
  for (unsigned dim = 0; dim < numDims; ++dim)
    lhs->coefficients[dim] += sign * rhs->coefficients[dim];
  lhs->constant += sign * rhs->constant;
  return lhs;
}

std::optional<Triangle> LoopNest::findTriangle() const {
  if (outputs.size() != 1 || !outputs[0].combiner)
    return std::nullopt;
  const Output &output = outputs[0];
  unsigned term = output.combiner->getOperand(0) == output.accumulator;
  auto select =
      output.combiner->getOperand(term).getDefiningOp<arith::SelectOp>();
  if (!select || !select->hasOneUse())
    return std::nullopt;
  Attribute other;
  TypedAttr identity = getIdentity(output.combiner, select.getType());
  if (!matchPattern(select.getFalseValue(), m_Constant(&other)) ||
      other != identity)
    return std::nullopt;
  auto compare = select.getCondition().getDefiningOp<arith::CmpIOp>();
  if (!compare)
    return std::nullopt;
  // difference <= 0.
  Value lhs = compare.getLhs(), rhs = compare.getRhs();
  int64_t constant = 0;
  switch (compare.getPredicate()) {
  case arith::CmpIPredicate::sge:
    std::swap(lhs, rhs);
    break;
  case arith::CmpIPredicate::sgt:
    std::swap(lhs, rhs);
    [[fallthrough]];
  case arith::CmpIPredicate::slt:
    constant = 1;
    break;
  case arith::CmpIPredicate::sle:
    break;
  default:
    return std::nullopt;
  }
  auto left = getLinear(lhs, getNumDims()),
       right = getLinear(rhs, getNumDims());
  if (!left || !right)
    return std::nullopt;
  Triangle triangle{0, 0, right->constant - left->constant - constant, select};
  unsigned numInner = 0, numRow = 0;
  for (unsigned dim = 0; dim < getNumDims(); ++dim) {
    int64_t c = left->coefficients[dim] - right->coefficients[dim];
    if ((c == 1 || (c == 2 && isReduction(dim))) && ++numInner) {
      triangle.inner = dim;
      triangle.scale = c;
    } else if (c == -1 && ++numRow)
      triangle.row = dim;
    else if (c != 0)
      return std::nullopt;
  }
  // Every row has its last index in range, and an end of at least 0.
  bool isSquare = extents[triangle.row] == extents[triangle.inner];
  int64_t rows = staticExtents[triangle.row];
  int64_t width = staticExtents[triangle.inner];
  bool isInRange = (isSquare && triangle.offset <= 0) ||
                   (rows >= 0 && rows + triangle.offset <= triangle.scale * width);
  if (numInner != 1 || numRow != 1 || isReduction(triangle.row) ||
      triangle.offset < -1 || !isInRange)
    return std::nullopt;
  return triangle;
}

void LoopNest::dropFilter(const Triangle &triangle) {
  arith::SelectOp select = triangle.select;
  select.getResult().replaceAllUsesWith(select.getTrueValue());
  // What computed the condition, and nothing else, is not needed.
  SmallVector<Operation *> left;
  llvm::SmallPtrSet<Operation *, 8> dead;
  for (Operation *each : llvm::reverse(ops)) {
    bool isUsed = !isMemoryEffectFree(each);
    for (Operation *user : each->getUsers())
      isUsed |= !dead.contains(user);
    if (isa<memref::LoadOp>(each))
      isUsed = llvm::any_of(each->getUsers(), [&](Operation *user) {
        return !dead.contains(user);
      });
    for (const Output &output : outputs)
      isUsed |= llvm::is_contained(each->getResults(), output.yielded) ||
                llvm::any_of(output.subscripts, [&](Value subscript) {
                  return subscript.getDefiningOp() == each;
                });
    if (isUsed)
      left.push_back(each);
    else
      dead.insert(each);
  }
  ops.assign(left.rbegin(), left.rend());
}

bool LoopNest::isReorderable() const {
  return llvm::all_of(outputs,
                      [](const Output &output) { return output.combiner; });
}

FailureOr<LoopNest> LoopNest::create(linalg::GenericOp op, OpBuilder &builder) {
  if (op.getNumLoops() > 63) {
    op.emitOpError("has more than 63 loops");
    return failure();
  }
  for (Value operand : op->getOperands()) {
    if (!isa<TensorType, VectorType>(operand.getType()))
      continue;
    op.emitOpError("expects memrefs or scalars as operands, found ")
        << operand.getType();
    return failure();
  }
  LoopNest nest;
  nest.op = op;
  for (utils::IteratorType type : op.getIteratorTypesArray())
    nest.reduction.push_back(type == utils::IteratorType::reduction);

  builder.setInsertionPoint(op);
  for (Range range : cast<linalg::LinalgOp>(op.getOperation())
                         .createLoopRanges(builder, op.getLoc())) {
    nest.extents.push_back(
        getValueOrCreateConstantIndexOp(builder, op.getLoc(), range.size));
    nest.staticExtents.push_back(
        getConstantIntValue(range.size)
            .value_or(getConstantIntValue(nest.extents.back()).value_or(-1)));
  }

  Block *body = op.getBody();
  SmallVector<linalg::IndexOp> old;
  body->walk([&](linalg::IndexOp index) { old.push_back(index); });
  builder.setInsertionPointToStart(body);
  for (unsigned dim = 0; dim < nest.getNumDims(); ++dim)
    nest.indices.push_back(linalg::IndexOp::create(builder, op.getLoc(), dim));
  for (linalg::IndexOp index : old) {
    index.replaceAllUsesWith(nest.indices[index.getDim()]);
    index.erase();
  }
  if (!nest.indices.empty())
    builder.setInsertionPointAfterValue(nest.indices.back());
  else
    builder.setInsertionPointToStart(body);
  nest.readInputs(op, builder);
  nest.collectOutputs(op, builder);
  nest.collectOps();
  if (nest.orderProducts(builder)) {
    nest.ops.clear();
    nest.dims.clear();
    nest.collectOps();
  }
  return nest;
}
