//===- BlockRows.cpp - Rows that sum all earlier ones, by blocks ----------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A triangular system is solved row by row:
//
//   for r    y = sum over s < r of l[r, s] x[s, ..], x[r, ..] = f(y, ..)
//
// For a block of rows, what earlier blocks contribute is a product of matrices,
// which runs at the rate of products. What is left for the rows of a block is
// one nest over the other dims, with these rows in registers:
//
//   for R = 0, 16, ..
//     y[R .. R + 15, ..] = sum over s < R of l[.., s] x[s, ..]
//     for all ..   x0 = f(y0), x1 = f(y1 + l10 x0), x2 = f(y2 + l20 x0 + ..)
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "passes/CPU/Buffers.h"
#include "passes/CPU/Passes.h"

namespace rondo::cpu {
#define GEN_PASS_DEF_BLOCKROWS
#include "passes/CPU/Passes.h.inc"
} // namespace rondo::cpu

using namespace mlir;
using namespace rondo;
using namespace rondo::cpu;

/// Rows that are in registers at a time.
static constexpr int64_t kBlock = 16;

namespace {
struct Rows {
  scf::ForOp loop;
  int64_t count;
  linalg::FillOp fill;
  linalg::GenericOp sum, last;
  /// Operands of the sum: l[r, s], and x[s, ..].
  OpOperand *factor, *earlier;
  /// Their views, and those of y and of x[r, ..].
  memref::SubViewOp factors, earlierRows, sumRow, row;
};

class Blocking {
public:
  explicit Blocking(Rows rows)
      : rows(rows), b(rows.loop), loc(rows.loop.getLoc()) {}
  void run();

private:
  Value viewRows(memref::SubViewOp view, Value first, int64_t count,
                 OpFoldResult length = {});
  void emitProduct(Value first, Value sums);
  void emitBlock(Value first, int64_t count, Value sums);
  Value repeat(Value value, IRMapping &map);

  Rows rows;
  OpBuilder b;
  Location loc;
};
} // namespace

//===----------------------------------------------------------------------===//
// Matching
//===----------------------------------------------------------------------===//

/// The dim of what a view is of in which it is at one index, which it lacks.
static std::optional<unsigned> findDimAt(memref::SubViewOp view, Value index) {
  std::optional<unsigned> result;
  for (auto [dim, offset] : llvm::enumerate(view.getMixedOffsets())) {
    if (offset == OpFoldResult(index)) {
      if (result || !isOneInteger(view.getMixedSizes()[dim]) ||
          !view.getDroppedDims().test(dim))
        return std::nullopt;
      result = dim;
    } else if (!isZeroInteger(offset)) {
      return std::nullopt;
    }
  }
  return view.hasUnitStride() ? result : std::nullopt;
}

/// A row of a buffer, as the loop's step says.
static memref::SubViewOp matchRow(Value value, scf::ForOp loop) {
  auto view = value.getDefiningOp<memref::SubViewOp>();
  if (!view || !view.getSource().getDefiningOp<memref::ViewOp>() ||
      !view.getType().hasStaticShape() ||
      findDimAt(view, loop.getInductionVar()) != 0)
    return {};
  return view;
}

/// r, or the greater of r and 0.
static bool isStep(OpFoldResult value, scf::ForOp loop) {
  auto dynamic = dyn_cast<Value>(value);
  if (dynamic)
    if (auto max = dynamic.getDefiningOp<arith::MaxSIOp>())
      if (matchPattern(max.getRhs(), m_Zero()))
        dynamic = max.getLhs();
  return dynamic && dynamic == loop.getInductionVar();
}

static bool isPureBody(linalg::GenericOp op) {
  return op.getOutputs().size() == 1 && op.getNumParallelLoops() > 0 &&
         !op->hasAttr("rondo.rare") &&
         llvm::all_of(op.getBody()->without_terminator(), [](Operation &inner) {
           return isPure(&inner) && inner.getNumRegions() == 0 &&
                  !isa<linalg::IndexOp>(inner);
         });
}

static bool isInside(Value buffer, scf::ForOp loop) {
  return llvm::all_of(buffer.getUsers(), [&](Operation *user) {
    return loop->isProperAncestor(user);
  });
}

/// Finds the factors of the sum.
static bool matchSum(Rows &rows) {
  linalg::GenericOp sum = rows.sum;
  if (sum.getInputs().size() != 2 || sum.getNumReductionLoops() != 1)
    return false;
  unsigned reduced = sum.getNumLoops() - 1;
  MLIRContext *context = sum.getContext();
  AffineExpr along = getAffineDimExpr(reduced, context);
  unsigned numParallel = sum.getNumParallelLoops();
  if (sum.getIteratorTypesArray()[reduced] != utils::IteratorType::reduction ||
      sum.getMatchingIndexingMap(sum.getDpsInitOperand(0)) !=
          AffineMap::getMultiDimIdentityMap(numParallel + 1, context)
              .dropResult(reduced))
    return false;
  for (OpOperand *input : sum.getDpsInputOperands()) {
    auto view = input->get().getDefiningOp<memref::SubViewOp>();
    AffineMap map = sum.getMatchingIndexingMap(input);
    if (!view || !view.hasUnitStride())
      return false;
    if (map == AffineMap::get(numParallel + 1, 0, {along}, context)) {
      rows.factor = input;
      rows.factors = view;
      std::optional<unsigned> dim =
          findDimAt(view, rows.loop.getInductionVar());
      if (!dim || view.getSourceType().getRank() != 2 ||
          !isStep(view.getMixedSizes()[1 - *dim], rows.loop))
        return false;
      continue;
    }
    SmallVector<AffineExpr> results{along};
    for (unsigned dim = 0; dim < numParallel; ++dim)
      results.push_back(getAffineDimExpr(dim, context));
    if (map != AffineMap::get(numParallel + 1, 0, results, context) ||
        !llvm::all_of(view.getMixedOffsets(), isZeroInteger) ||
        view.getDroppedDims().any() ||
        !isStep(view.getMixedSizes()[0], rows.loop))
      return false;
    rows.earlier = input;
    rows.earlierRows = view;
  }
  return rows.factor && rows.earlier;
}

static std::optional<Rows> match(scf::ForOp loop) {
  std::optional<int64_t> lower = getConstantIntValue(loop.getLowerBound()),
                         upper = getConstantIntValue(loop.getUpperBound()),
                         step = getConstantIntValue(loop.getStep());
  if (lower != 0 || step != 1 || !upper || *upper < 2 ||
      (*upper > kBlock && *upper % kBlock != 0) || loop.getNumResults() > 0)
    return std::nullopt;
  Rows rows{loop, *upper, {}, {}, {}, {}, {}, {}, {}, {}, {}};
  for (Operation &op : loop.getBody()->without_terminator()) {
    if (auto fill = dyn_cast<linalg::FillOp>(op)) {
      if (std::exchange(rows.fill, fill))
        return std::nullopt;
    } else if (auto generic = dyn_cast<linalg::GenericOp>(op)) {
      linalg::GenericOp &which =
          generic.getNumReductionLoops() ? rows.sum : rows.last;
      if (std::exchange(which, generic) || !isPureBody(generic))
        return std::nullopt;
    } else if (!isPure(&op) || op.getNumRegions() > 0) {
      return std::nullopt;
    }
  }
  if (!rows.fill || !rows.sum || !rows.last ||
      !rows.sum->isBeforeInBlock(rows.last) ||
      !rows.fill->isBeforeInBlock(rows.sum) ||
      rows.fill.getOutputs()[0] != rows.sum.getOutputs()[0] || !matchSum(rows))
    return std::nullopt;
  rows.sumRow = matchRow(rows.sum.getOutputs()[0], loop);
  rows.row = matchRow(rows.last.getOutputs()[0], loop);
  if (!rows.sumRow || !rows.row ||
      rows.row.getType().getShape() != rows.sumRow.getType().getShape() ||
      rows.row.getSource() != rows.earlierRows.getSource() ||
      !isInside(rows.sumRow.getSource(), loop) ||
      mayOverlap(rows.factors, rows.row) ||
      mayOverlap(rows.factors, rows.sumRow))
    return std::nullopt;
  // f meets y and x at its own point only.
  AffineMap identity = AffineMap::getMultiDimIdentityMap(
      rows.last.getNumLoops(), loop.getContext());
  for (OpOperand &operand : rows.last->getOpOperands()) {
    AffineMap map = rows.last.getMatchingIndexingMap(&operand);
    bool isSum = operand.get() == rows.sumRow;
    bool isInit = rows.last.isDpsInit(&operand);
    if (((isSum || isInit) && map != identity) ||
        (!isSum && isa<MemRefType>(operand.get().getType()) && !isInit &&
         (mayOverlap(operand.get(), rows.row) ||
          mayOverlap(operand.get(), rows.sumRow))))
      return std::nullopt;
  }
  if (!rows.last.getRegionOutputArgs()[0].use_empty())
    return std::nullopt;
  return rows;
}

//===----------------------------------------------------------------------===//
// Emission
//===----------------------------------------------------------------------===//

/// The rows from `first` on of what a view has one of, and of these, if
/// `length` is given, as many elements of the other dim.
Value Blocking::viewRows(memref::SubViewOp view, Value first, int64_t count,
                         OpFoldResult length) {
  Value step = rows.loop.getInductionVar();
  SmallVector<OpFoldResult> offsets(view.getMixedOffsets()),
      sizes(view.getMixedSizes());
  for (auto [offset, size] : llvm::zip_equal(offsets, sizes)) {
    if (offset == OpFoldResult(step)) {
      offset = getAsOpFoldResult(first);
      size = b.getIndexAttr(count);
    } else if (length) {
      size = length;
    }
  }
  return memref::SubViewOp::create(b, loc, view.getSource(), offsets, sizes,
                                   view.getMixedStrides());
}

/// What all rows before `first` contribute.
void Blocking::emitProduct(Value first, Value sums) {
  linalg::GenericOp sum = rows.sum;
  linalg::FillOp::create(b, loc, rows.fill.getInputs()[0], sums);
  Value factors =
      viewRows(rows.factors, first, kBlock, getAsOpFoldResult(first));
  SmallVector<OpFoldResult> sizes(rows.earlierRows.getMixedSizes());
  sizes[0] = getAsOpFoldResult(first);
  Value earlier = memref::SubViewOp::create(
      b, loc, rows.earlierRows.getSource(), rows.earlierRows.getMixedOffsets(),
      sizes, rows.earlierRows.getMixedStrides());
  unsigned numLoops = sum.getNumLoops() + 1;
  AffineExpr row = b.getAffineDimExpr(0);
  SmallVector<Value> inputs;
  SmallVector<AffineMap> maps;
  for (OpOperand &operand : sum->getOpOperands()) {
    AffineMap map = sum.getMatchingIndexingMap(&operand);
    SmallVector<AffineExpr> results;
    for (AffineExpr expr : map.getResults())
      results.push_back(
          b.getAffineDimExpr(cast<AffineDimExpr>(expr).getPosition() + 1));
    if (&operand == rows.factor) {
      bool isLast =
          *findDimAt(rows.factors, rows.loop.getInductionVar()) == 1;
      results.insert(isLast ? results.end() : results.begin(), row);
      inputs.push_back(factors);
    } else if (&operand == rows.earlier) {
      inputs.push_back(earlier);
    } else {
      results.insert(results.begin(), row);
    }
    maps.push_back(AffineMap::get(numLoops, 0, results, b.getContext()));
  }
  SmallVector<utils::IteratorType> kinds(sum.getIteratorTypesArray());
  kinds.insert(kinds.begin(), utils::IteratorType::parallel);
  linalg::GenericOp::create(
      b, loc, inputs, sums, maps, kinds,
      [&](OpBuilder &inner, Location, ValueRange arguments) {
        IRMapping map;
        map.map(sum.getBody()->getArguments(), arguments);
        for (Operation &op : sum.getBody()->getOperations())
          inner.clone(op, map);
      });
}

/// What the loop makes at the step that `map` holds.
Value Blocking::repeat(Value value, IRMapping &map) {
  Operation *def = value.getDefiningOp();
  if (map.contains(value) || !def || def->getBlock() != rows.loop.getBody())
    return map.lookupOrDefault(value);
  for (Value operand : def->getOperands())
    repeat(operand, map);
  b.clone(*def, map);
  return map.lookup(value);
}

/// The rows of a block, which start from `sums` if there are any.
void Blocking::emitBlock(Value first, int64_t count, Value sums) {
  auto rowOf = [&](Value block, int64_t k) -> Value {
    auto type = cast<MemRefType>(block.getType());
    SmallVector<OpFoldResult> offsets(type.getRank(), b.getIndexAttr(0)),
        sizes = memref::getMixedSizes(b, loc, block),
        strides(type.getRank(), b.getIndexAttr(1));
    offsets[0] = b.getIndexAttr(k);
    sizes[0] = b.getIndexAttr(1);
    auto row = cast<MemRefType>(memref::SubViewOp::inferRankReducedResultType(
        type.getShape().drop_front(), type, offsets, sizes, strides));
    return memref::SubViewOp::create(b, loc, row, block, offsets, sizes,
                                     strides);
  };
  linalg::GenericOp sum = rows.sum, last = rows.last;
  bool isLast = *findDimAt(rows.factors, rows.loop.getInductionVar()) == 1;
  SmallVector<OpFoldResult> offsets(2, getAsOpFoldResult(first)),
      sizes(2, b.getIndexAttr(count)), strides(2, b.getIndexAttr(1));
  Value factors = memref::SubViewOp::create(b, loc, rows.factors.getSource(),
                                            offsets, sizes, strides);
  Value block = viewRows(rows.row, first, count);
  unsigned numLoops = last.getNumLoops();
  AffineMap identity = b.getMultiDimIdentityMap(numLoops);
  SmallVector<Value> inputs, outputs;
  SmallVector<AffineMap> maps;
  SmallVector<IRMapping> steps(count);
  for (int64_t k = 0; k < count; ++k) {
    Value step = b.createOrFold<arith::AddIOp>(
        loc, first, arith::ConstantIndexOp::create(b, loc, k));
    steps[k].map(rows.loop.getInductionVar(), step);
    if (sums) {
      inputs.push_back(rowOf(sums, k));
      maps.push_back(identity);
    }
    for (OpOperand *input : last.getDpsInputOperands()) {
      if (input->get() == rows.sumRow)
        continue;
      inputs.push_back(repeat(input->get(), steps[k]));
      maps.push_back(last.getMatchingIndexingMap(input));
    }
    for (linalg::GenericOp op : {sum, last})
      op->walk([&](Operation *inner) {
        for (Value operand : inner->getOperands())
          if (inner != op)
            repeat(operand, steps[k]);
      });
    outputs.push_back(rowOf(block, k));
  }
  maps.append(count, identity);
  Value zero = rows.fill.getInputs()[0];
  SmallVector<Value> indices;
  for (int64_t k = 0; k < count; ++k)
    indices.push_back(arith::ConstantIndexOp::create(b, loc, k));
  auto emit = [](OpBuilder &inner, linalg::GenericOp op, IRMapping &map) {
    for (Operation &each : op.getBody()->without_terminator())
      inner.clone(each, map);
    return map.lookupOrDefault(
        op.getBody()->getTerminator()->getOperand(0));
  };
  linalg::GenericOp::create(
      b, loc, inputs, outputs, maps, last.getIteratorTypesArray(),
      [&](OpBuilder &inner, Location, ValueRange arguments) {
        SmallVector<Value> solved;
        unsigned next = 0;
        for (int64_t k = 0; k < count; ++k) {
          IRMapping map(steps[k]);
          Value total = sums ? arguments[next++] : zero;
          for (int64_t s = 0; s < k; ++s) {
            Value row = indices[k], column = indices[s];
            if (isLast)
              std::swap(row, column);
            IRMapping term(steps[k]);
            term.map(sum.getMatchingBlockArgument(rows.factor),
                     memref::LoadOp::create(inner, loc, factors,
                                            ValueRange{row, column}));
            term.map(sum.getMatchingBlockArgument(rows.earlier), solved[s]);
            term.map(sum.getRegionOutputArgs()[0], total);
            total = emit(inner, sum, term);
          }
          for (OpOperand *input : last.getDpsInputOperands())
            map.map(last.getMatchingBlockArgument(input),
                    input->get() == rows.sumRow ? total : arguments[next++]);
          solved.push_back(emit(inner, last, map));
        }
        linalg::YieldOp::create(inner, loc, solved);
      });
}

void Blocking::run() {
  Value zero = arith::ConstantIndexOp::create(b, loc, 0);
  if (rows.count <= kBlock) {
    emitBlock(zero, rows.count, {});
    rows.loop.erase();
    return;
  }
  auto blocks = scf::ForOp::create(
      b, loc, zero,
      arith::ConstantIndexOp::create(b, loc, rows.count / kBlock),
      arith::ConstantIndexOp::create(b, loc, 1));
  b.setInsertionPointToStart(blocks.getBody());
  Value first =
      arith::MulIOp::create(b, loc, blocks.getInductionVar(),
                            arith::ConstantIndexOp::create(b, loc, kBlock));
  Value sums = viewRows(rows.sumRow, first, kBlock);
  emitProduct(first, sums);
  emitBlock(first, kBlock, sums);
  rows.loop.erase();
}

namespace {
struct BlockRows : rondo::cpu::impl::BlockRowsBase<BlockRows> {
  void runOnOperation() override {
    SmallVector<scf::ForOp> loops;
    getOperation().walk([&](scf::ForOp loop) { loops.push_back(loop); });
    for (scf::ForOp loop : loops)
      if (std::optional<Rows> rows = match(loop)) {
        Blocking(*rows).run();
        ++numBlocked;
      }
  }
};
} // namespace
