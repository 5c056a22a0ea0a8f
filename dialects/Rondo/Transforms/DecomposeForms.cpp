//===- DecomposeForms.cpp - Attention, scan, convolution, solve -----------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/Rondo/Transforms/Equations.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace rondo;

/// A read of a tensor whose elements are real numbers, as `scalar`.
static Value buildRead(OpBuilder &builder, Location loc, Type scalar,
                       Value tensor, ValueRange subscripts) {
  return ReadOp::create(builder, loc, scalar, tensor, subscripts);
}

static void yield(OpBuilder &builder, Location loc, Value value,
                  Value filter = {}) {
  YieldOp::create(builder, loc, value, filter);
}

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

namespace {

/// Builds the equations of one attention; see the description of the pass.
class AttentionEquations {
public:
  explicit AttentionEquations(AttentionOp op)
      : op(op), loc(op.getLoc()), scalar(op.getResultType().getElementType()),
        builder(op), numSizes(op.getSizes().size()),
        numRanges(op.getLowers().size()) {
    ArrayRef<BlockArgument> indices = op.getScore().front().getArguments();
    appendRanges(op, ranges, indices.drop_front(numSizes), op.getLowers(),
                 op.getUppers());
  }

  Value build();
  /// Of a softmax.
  Value greatest, norm;

private:
  /// name[p, u] = body(p, u), at positions u - lower.
  template <typename Fill> Value buildMap(StringRef suffix, Fill fill);
  /// name[p, j] = combiner over u where mask(p, u) of body(p, u, j).
  template <typename Fill>
  Value buildReduction(StringRef suffix, Combiner combiner, bool overValues,
                       Fill fill);
  Value buildQuotient(Value sum, Value norm);
  /// tensor[p, u - lower] for indices p, u.
  Value readScores(OpBuilder &body, Value tensor, ValueRange indices);

  AttentionOp op;
  Location loc;
  Type scalar;
  OpBuilder builder;
  unsigned numSizes, numRanges;
  SmallVector<IndexRange> ranges; // of u
};

} // namespace

template <typename Fill>
Value AttentionEquations::buildMap(StringRef suffix, Fill fill) {
  SmallVector<Value> extents(op.getSizes());
  for (const IndexRange &range : ranges)
    extents.push_back(buildExtent(builder, loc, range));
  auto equation = EquationOp::create(
      builder, loc, (op.getName() + suffix).str(), scalar, extents);
  OpBuilder body = OpBuilder::atBlockBegin(&equation.getBlock());
  SmallVector<Value> indices(equation.getParallelIndices());
  for (auto [i, range] : llvm::enumerate(ranges))
    indices[numSizes + i] = buildIndex(body, loc, indices[numSizes + i], range);
  yield(body, loc, fill(body, indices));
  return equation;
}

template <typename Fill>
Value AttentionEquations::buildReduction(StringRef suffix, Combiner combiner,
                                         bool overValues, Fill fill) {
  SmallVector<Value> sizes(op.getSizes());
  if (overValues)
    llvm::append_range(sizes, op.getValueSizes());
  auto equation =
      EquationOp::create(builder, loc, (op.getName() + suffix).str(), scalar,
                         sizes, op.getLowers(), op.getUppers(), combiner);
  OpBuilder body = OpBuilder::atBlockBegin(&equation.getBlock());
  // p, u, j: the order of the regions' arguments.
  ValueRange parallel = equation.getParallelIndices();
  SmallVector<Value> indices(parallel.take_front(numSizes));
  llvm::append_range(indices, equation.getReductionIndices());
  Value mask;
  if (Value filter = op.getScoreYield().getFilter()) {
    IRMapping mapping;
    mapping.map(op.getScore().front().getArguments(), indices);
    mask = cloneValue(body, op, filter, mapping);
  }
  llvm::append_range(indices, parallel.drop_front(numSizes));
  yield(body, loc, fill(body, indices), mask);
  return equation;
}

Value AttentionEquations::readScores(OpBuilder &body, Value tensor,
                                     ValueRange indices) {
  SmallVector<Value> subscripts(indices.take_front(numSizes + numRanges));
  for (auto [i, range] : llvm::enumerate(ranges))
    subscripts[numSizes + i] =
        buildPosition(body, loc, subscripts[numSizes + i], range);
  return buildRead(body, loc, scalar, tensor, subscripts);
}

/// if norm[p] == 0 then 0 else sum[p, j] / norm[p]
Value AttentionEquations::buildQuotient(Value sum, Value norm) {
  SmallVector<Value> sizes(op.getSizes());
  llvm::append_range(sizes, op.getValueSizes());
  auto equation = EquationOp::create(builder, loc, op.getName(), scalar, sizes);
  OpBuilder body = OpBuilder::atBlockBegin(&equation.getBlock());
  ValueRange indices = equation.getParallelIndices();
  Value numerator = buildRead(body, loc, scalar, sum, indices);
  Value denominator =
      buildRead(body, loc, scalar, norm, indices.take_front(numSizes));
  Value zero = arith::ConstantOp::create(body, loc, scalar,
                                         body.getFloatAttr(scalar, 0));
  Value isZero = arith::CmpFOp::create(body, loc, arith::CmpFPredicate::OEQ,
                                       denominator, zero);
  Value quotient = arith::DivFOp::create(body, loc, numerator, denominator);
  yield(body, loc, arith::SelectOp::create(body, loc, isZero, zero, quotient));
  return equation;
}

Value AttentionEquations::build() {
  bool isSoftmax = op.getNormaliser() == Normaliser::Softmax;
  Value weights = buildMap(".score", [&](OpBuilder &body, ValueRange indices) {
    IRMapping mapping;
    mapping.map(op.getScore().front().getArguments(), indices);
    return cloneValue(body, op, op.getScoreYield().getValues()[0], mapping);
  });
  if (isSoftmax) {
    Value scores = weights;
    greatest = buildReduction(".max", Combiner::Max, false,
                              [&](OpBuilder &body, ValueRange indices) {
                                return readScores(body, scores, indices);
                              });
    weights = buildMap(".weight", [&](OpBuilder &body, ValueRange indices) {
      Value score = readScores(body, scores, indices);
      Value most =
          buildRead(body, loc, scalar, greatest, indices.take_front(numSizes));
      // Scores of -inf weigh nothing, also where there is no other.
      Value least = arith::ConstantOp::create(
          body, loc, scalar,
          body.getFloatAttr(
              scalar,
              APFloat::getInf(cast<FloatType>(scalar).getFloatSemantics(),
                              /*Negative=*/true)));
      Value zero = arith::ConstantOp::create(body, loc, scalar,
                                             body.getFloatAttr(scalar, 0));
      Value isLeast = arith::CmpFOp::create(
          body, loc, arith::CmpFPredicate::OEQ, most, least);
      Value shift = arith::SelectOp::create(body, loc, isLeast, zero, most);
      Value shifted = arith::SubFOp::create(body, loc, score, shift);
      return math::ExpOp::create(body, loc, shifted).getResult();
    });
  }
  bool isPlain = op.getNormaliser() == Normaliser::None;
  Value sum = buildReduction(
      isPlain ? "" : ".weighted", Combiner::Sum, true,
      [&](OpBuilder &body, ValueRange indices) {
        IRMapping mapping;
        mapping.map(op.getValue().front().getArguments(), indices);
        Value weight = readScores(body, weights, indices);
        Value value =
            cloneValue(body, op, op.getValueYield().getValues()[0], mapping);
        return arith::MulFOp::create(body, loc, weight, value).getResult();
      });
  if (isPlain)
    return sum;
  norm = buildReduction(".norm", Combiner::Sum, false,
                        [&](OpBuilder &body, ValueRange indices) {
                          return readScores(body, weights, indices);
                        });
  return buildQuotient(sum, norm);
}

/// Replaces the only result of `op`, whose type may say more about its shape.
static void replace(Operation *op, Value value) {
  value.setType(op->getResult(0).getType());
  op->getResult(0).replaceAllUsesWith(value);
}

void rondo::decomposeAttention(AttentionOp op) {
  AttentionEquations equations(op);
  replace(op, equations.build());
  Value statistics[] = {equations.greatest, equations.norm};
  for (auto [old, now] : llvm::zip(op.getStatistics(), statistics)) {
    now.setType(old.getType());
    old.replaceAllUsesWith(now);
  }
  op.erase();
}

//===----------------------------------------------------------------------===//
// Scan
//===----------------------------------------------------------------------===//

namespace {

/// Builds the recurrence of one scan:
///   y_i[t] = combine(y[t-1], x[t])_i, or x_i[0] at the first step.
/// The dims before t are batch dims to it: its points are independent. Results
/// that nobody reads and no other result needs are left out.
class ScanRecurrence {
public:
  explicit ScanRecurrence(ScanOp op)
      : op(op), loc(op.getLoc()), builder(op), count(op.getInputs().size()),
        dim(op.getDim()) {}

  void build();

private:
  Type getScalar(unsigned i) { return op.getYield().getValues()[i].getType(); }
  void findKept();
  SmallVector<Value> convertInitials();
  void fillStep(RecurrenceOp recurrence);
  Value buildSlice(OpBuilder &step, RecurrenceOp recurrence, unsigned member,
                   Value before, Value isFirst);
  Value convertHistory(Value history, unsigned i);

  ScanOp op;
  Location loc;
  OpBuilder builder;
  unsigned count, dim;
  SmallVector<Value> sliceSizes; // of all dims but `dim`
  /// The results that are computed, in the order of the members.
  llvm::SetVector<unsigned> kept;
};

} // namespace

void ScanRecurrence::findKept() {
  SmallVector<bool> wanted(count);
  bool changed = true;
  while (changed) {
    changed = false;
    for (unsigned i = 0; i < count; ++i) {
      if (wanted[i])
        continue;
      wanted[i] = !op.getResult(i).use_empty();
      for (unsigned j = 0; j < count; ++j) {
        if (!wanted[j])
          continue;
        llvm::SmallPtrSet<Value, 8> arguments;
        Value combined = op.getYield().getValues()[j];
        collectSlice(op, combined, arguments);
        wanted[i] |= arguments.contains(op.getBlock().getArgument(i));
      }
      changed |= wanted[i];
    }
  }
  for (unsigned i = 0; i < count; ++i)
    if (wanted[i])
      kept.insert(i);
}

/// The initial values in the type of the slices.
SmallVector<Value> ScanRecurrence::convertInitials() {
  SmallVector<Value> initials;
  for (unsigned i : kept) {
    if (op.getInitials().empty())
      break;
    Value initial = op.getInitials()[i];
    auto equation =
        EquationOp::create(builder, loc, (op.getName() + ".initial").str(),
                           getElementType(getScalar(i)), sliceSizes);
    OpBuilder body = OpBuilder::atBlockBegin(&equation.getBlock());
    yield(body, loc,
          buildRead(body, loc, getScalar(i), initial,
                    equation.getParallelIndices()));
    initials.push_back(equation);
  }
  return initials;
}

/// The equation of one member's slice.
Value ScanRecurrence::buildSlice(OpBuilder &step, RecurrenceOp recurrence,
                                 unsigned member, Value before, Value isFirst) {
  unsigned result = kept[member];
  auto equation =
      EquationOp::create(step, loc, recurrence.getName(member),
                         getElementType(getScalar(result)), sliceSizes);
  OpBuilder body = OpBuilder::atBlockBegin(&equation.getBlock());
  SmallVector<Value> slicePoint(equation.getParallelIndices());
  SmallVector<Value> inputPoint(slicePoint), pastPoint(slicePoint);
  inputPoint.insert(inputPoint.begin() + dim, recurrence.getAlongIndices()[0]);
  pastPoint.insert(pastPoint.begin() + dim, before);

  IRMapping mapping;
  SmallVector<Operation *> reads;
  auto addRead = [&](unsigned argument, ReadOp read) {
    mapping.map(op.getBlock().getArgument(argument), read.getResult());
    reads.push_back(read);
  };
  for (auto [k, i] : llvm::enumerate(kept)) {
    Value initial = k < recurrence.getNumStates()
                        ? Value(recurrence.getInitials()[k])
                        : Value();
    addRead(i, ReadOp::create(body, loc, getScalar(i), recurrence.getPast(k),
                              pastPoint, initial,
                              initial ? ValueRange(slicePoint) : ValueRange()));
  }
  for (unsigned i = 0; i < count; ++i)
    addRead(count + i, ReadOp::create(body, loc, getScalar(i),
                                      op.getInputs()[i], inputPoint));
  Value combined =
      cloneValue(body, op, op.getYield().getValues()[result], mapping);
  if (isFirst)
    combined = arith::SelectOp::create(
        body, loc, isFirst,
        mapping.lookup(op.getBlock().getArgument(count + result)), combined);
  yield(body, loc, combined);
  for (Operation *read : reads)
    if (read->use_empty())
      read->erase();
  return equation;
}

void ScanRecurrence::fillStep(RecurrenceOp recurrence) {
  OpBuilder step = OpBuilder::atBlockEnd(&recurrence.getBlock());
  Value t = recurrence.getAlongIndices()[0];
  Value one = arith::ConstantIndexOp::create(step, loc, 1);
  Value before, isFirst;
  if (op.getReversed())
    before = arith::AddIOp::create(step, loc, t, one);
  else
    before = arith::SubIOp::create(step, loc, t, one);
  if (op.getInitials().empty()) {
    Value first =
        op.getReversed()
            ? arith::SubIOp::create(step, loc, op.getSizes()[dim], one)
                  .getResult()
            : arith::ConstantIndexOp::create(step, loc, 0);
    isFirst =
        arith::CmpIOp::create(step, loc, arith::CmpIPredicate::eq, t, first);
  }
  SmallVector<Value> slices;
  for (unsigned member = 0; member < kept.size(); ++member)
    slices.push_back(buildSlice(step, recurrence, member, before, isFirst));
  YieldOp::create(step, loc, slices);
}

/// The history with the type of the scan's result.
Value ScanRecurrence::convertHistory(Value history, unsigned i) {
  Type type = op.getResult(i).getType();
  if (history.getType() == type)
    return history;
  auto equation =
      EquationOp::create(builder, loc, (op.getName() + ".result").str(),
                         getElementType(getScalar(i)), op.getSizes());
  OpBuilder body = OpBuilder::atBlockBegin(&equation.getBlock());
  yield(body, loc,
        buildRead(body, loc, getScalar(i), history,
                  equation.getParallelIndices()));
  equation.getResult().setType(cast<RankedTensorType>(type));
  return equation;
}

void ScanRecurrence::build() {
  findKept();
  if (kept.empty())
    return;
  sliceSizes.assign(op.getSizes().begin(), op.getSizes().end());
  sliceSizes.erase(sliceSizes.begin() + dim);
  SmallVector<Value> initials = convertInitials();
  SmallVector<Type> histories, slices;
  SmallVector<Attribute> names;
  for (unsigned i : kept) {
    SmallVector<int64_t> shape(op.getSizes().size(), ShapedType::kDynamic);
    Type element = getElementType(getScalar(i));
    histories.push_back(RankedTensorType::get(shape, element));
    shape.pop_back();
    slices.push_back(RankedTensorType::get(shape, element));
    std::string name = op.getName().str();
    names.push_back(builder.getStringAttr(
        count > 1 ? name + "." + std::to_string(i) : name));
  }
  SmallVector<Type> results(histories);
  if (!initials.empty())
    llvm::append_range(results, slices);
  auto recurrence = RecurrenceOp::create(
      builder, loc, results, ValueRange(op.getSizes()[dim]), initials,
      builder.getArrayAttr(names), ArrayRef<bool>(op.getReversed()),
      static_cast<uint64_t>(dim));
  SmallVector<Type> arguments = {builder.getIndexType()};
  llvm::append_range(arguments, histories);
  SmallVector<Location> locs(arguments.size(), loc);
  recurrence.getBody().emplaceBlock().addArguments(arguments, locs);
  fillStep(recurrence);
  for (auto [member, i] : llvm::enumerate(kept))
    op.getResult(i).replaceAllUsesWith(
        convertHistory(recurrence.getHistory(member), i));
}

void rondo::decomposeScan(ScanOp op) {
  ScanRecurrence(op).build();
  op.erase();
}

//===----------------------------------------------------------------------===//
// Convolution
//===----------------------------------------------------------------------===//

// y[b, t, c] = sum over w, e of weights[w, e, c] * x[b, t + offset + dilation
// w, e]
void rondo::decomposeConvolution(ConvolutionOp op) {
  Location loc = op.getLoc();
  OpBuilder builder(op);
  Type scalar = op.getType().getElementType();
  unsigned dim = op.getDim();
  Value zero = arith::ConstantIndexOp::create(builder, loc, 0);
  Value dilation =
      arith::ConstantIndexOp::create(builder, loc, op.getDilation());
  SmallVector<Value> lowers = {zero}, uppers = {op.getTaps()};
  if (op.isDense()) {
    lowers.push_back(zero);
    uppers.push_back(op.getChannels());
  }
  auto equation =
      EquationOp::create(builder, loc, op.getName(), scalar, op.getSizes(),
                         lowers, uppers, Combiner::Sum);
  OpBuilder body = OpBuilder::atBlockBegin(&equation.getBlock());
  SmallVector<Value> point(equation.getParallelIndices());
  ArrayRef<BlockArgument> reduction = equation.getReductionIndices();

  SmallVector<Value> weightsPoint(reduction);
  weightsPoint.append(point.begin() + dim + 1, point.end());
  Value distance = arith::MulIOp::create(body, loc, reduction[0], dilation);
  Value start = arith::AddIOp::create(body, loc, point[dim], op.getOffset());
  point[dim] = arith::AddIOp::create(body, loc, start, distance);
  if (op.isDense())
    point.back() = reduction[1];
  Value weight = buildRead(body, loc, scalar, op.getWeights(), weightsPoint);
  Value x = buildRead(body, loc, scalar, op.getInput(), point);
  yield(body, loc, arith::MulFOp::create(body, loc, weight, x));
  replace(op, equation);
  op.erase();
}

//===----------------------------------------------------------------------===//
// Triangular solve
//===----------------------------------------------------------------------===//

// x[p, r, j] = right[p, r, j] - sum over s < r of matrix[p, r, s] * x[p, s, j],
// as a recurrence along r to which the dims p are batch dims.
void rondo::decomposeTriangularSolve(TriangularSolveOp op) {
  Location loc = op.getLoc();
  OpBuilder builder(op);
  auto type = cast<RankedTensorType>(op.getType());
  Type scalar = type.getElementType();
  unsigned dim = op.getDim();
  Value rows = op.getSizes()[dim];
  Value zero = arith::ConstantIndexOp::create(builder, loc, 0);
  SmallVector<Value> rowSizes(op.getSizes());
  rowSizes.erase(rowSizes.begin() + dim);

  auto recurrence =
      RecurrenceOp::create(builder, loc, TypeRange(type), ValueRange(rows),
                           ValueRange(), builder.getArrayAttr(op.getNameAttr()),
                           ArrayRef<bool>(false), static_cast<uint64_t>(dim));
  recurrence.getBody().emplaceBlock().addArguments(
      {builder.getIndexType(), type}, {loc, loc});
  OpBuilder step = OpBuilder::atBlockEnd(&recurrence.getBlock());
  Value r = recurrence.getAlongIndices()[0];
  auto at = [&](ValueRange point, Value row) {
    SmallVector<Value> full(point);
    full.insert(full.begin() + dim, row);
    return full;
  };

  auto known = EquationOp::create(step, loc, (op.getName() + ".known").str(),
                                  scalar, rowSizes, ValueRange(zero),
                                  ValueRange(rows), Combiner::Sum);
  OpBuilder body = OpBuilder::atBlockBegin(&known.getBlock());
  ValueRange point = known.getParallelIndices();
  Value s = known.getReductionIndices()[0];
  SmallVector<Value> entry(point.take_front(dim));
  entry.append({r, s});
  Value factor = buildRead(body, loc, scalar, op.getMatrix(), entry);
  Value x = buildRead(body, loc, scalar, recurrence.getPast(0), at(point, s));
  Value earlier =
      arith::CmpIOp::create(body, loc, arith::CmpIPredicate::slt, s, r);
  yield(body, loc, arith::MulFOp::create(body, loc, factor, x), earlier);

  auto row = EquationOp::create(step, loc, op.getName(), scalar, rowSizes);
  body = OpBuilder::atBlockBegin(&row.getBlock());
  point = row.getParallelIndices();
  Value right = buildRead(body, loc, scalar, op.getRight(), at(point, r));
  Value sum = buildRead(body, loc, scalar, known, point);
  yield(body, loc, arith::SubFOp::create(body, loc, right, sum));
  YieldOp::create(step, loc, ValueRange(row.getResult()));
  op.replaceAllUsesWith(recurrence.getHistory(0));
  op.erase();
}
