//===- Usage.cpp - What a program does with its arguments -----------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/Driver/Usage.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>

using namespace mlir;
using namespace rondo;
using namespace rondo::driver;

//===----------------------------------------------------------------------===//
// Values of index expressions
//===----------------------------------------------------------------------===//

namespace {
/// Evaluates index values for given sizes; an index has its middle value.
struct IndexEvaluator {
  KernelOp kernel;
  ArrayRef<int64_t> sizes;

  double value(Value index);

private:
  double argument(BlockArgument index);
};
} // namespace

double IndexEvaluator::argument(BlockArgument index) {
  Operation *parent = index.getOwner()->getParentOp();
  unsigned position = index.getArgNumber();
  if (auto recurrence = dyn_cast<RecurrenceOp>(parent))
    return position < recurrence.getNumAlong()
               ? value(recurrence.getSizes()[position]) / 2
               : 0;
  auto equation = dyn_cast<EquationOp>(parent);
  if (!equation)
    return 0;
  unsigned parallel = equation.getSizes().size();
  if (position < parallel)
    return value(equation.getSizes()[position]) / 2;
  unsigned reduced = position - parallel;
  return (value(equation.getLowers()[reduced]) +
          value(equation.getUppers()[reduced])) /
         2;
}

double IndexEvaluator::value(Value index) {
  if (auto block = dyn_cast<BlockArgument>(index))
    return argument(block);
  APInt constant;
  if (matchPattern(index, m_ConstantInt(&constant)))
    return constant.getSExtValue();
  Operation *op = index.getDefiningOp();
  if (auto size = dyn_cast<SizeOp>(op)) {
    int64_t position = kernel.getSizeIndex(size.getName());
    return position < 0 ? 0 : sizes[position];
  }
  if (op->getNumOperands() != 2)
    return 0;
  double a = value(op->getOperand(0)), b = value(op->getOperand(1));
  return llvm::TypeSwitch<Operation *, double>(op)
      .Case([&](arith::AddIOp) { return a + b; })
      .Case([&](arith::SubIOp) { return a - b; })
      .Case([&](arith::MulIOp) { return a * b; })
      .Case<arith::FloorDivSIOp, arith::DivSIOp, arith::DivUIOp>(
          [&](auto) { return b ? std::floor(a / b) : 0; })
      .Case<arith::MinSIOp>([&](auto) { return std::min(a, b); })
      .Case<arith::MaxSIOp>([&](auto) { return std::max(a, b); })
      .Default([](Operation *) { return 0.0; });
}

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

static bool isArithmetic(Operation &op) {
  if (op.getNumResults() != 1 || !isa<FloatType>(op.getResult(0).getType()))
    return false;
  StringRef dialect = op.getName().getDialectNamespace();
  if (dialect == "math")
    return true;
  return isa<arith::AddFOp, arith::SubFOp, arith::MulFOp, arith::DivFOp,
             arith::NegFOp, arith::MaximumFOp, arith::MinimumFOp, SigmoidOp,
             SoftplusOp>(op);
}

double driver::countOperations(KernelOp kernel, ArrayRef<int64_t> sizes) {
  IndexEvaluator evaluator{kernel, sizes};
  double total = 0;
  kernel.walk([&](EquationOp equation) {
    double points = 1;
    for (Value size : equation.getSizes())
      points *= evaluator.value(size);
    for (auto [lower, upper] :
         llvm::zip(equation.getLowers(), equation.getUppers()))
      points *= std::max(0.0, evaluator.value(upper) - evaluator.value(lower));
    for (auto outer = equation->getParentOfType<RecurrenceOp>(); outer;
         outer = outer->getParentOfType<RecurrenceOp>())
      for (Value size : outer.getSizes())
        points *= evaluator.value(size);
    unsigned operations = llvm::count_if(equation.getBlock(), isArithmetic);
    if (equation.getCombiner() && isa<FloatType>(equation.getScalarType()))
      ++operations;
    total += points * operations;
  });
  return total;
}

//===----------------------------------------------------------------------===//
// Suitable values
//===----------------------------------------------------------------------===//

Suitable driver::suitByName(StringRef name) {
  if (llvm::is_contained({"g", "gk", "gv", "A", "decay", "log_decay"}, name) ||
      name.starts_with("log_"))
    return {Suitable::Negative, 1};
  if (llvm::is_contained({"beta", "alpha", "a"}, name))
    return {Suitable::Unit, 1};
  if (llvm::is_contained({"eta", "lr"}, name))
    return {Suitable::Unit, 0.1};
  if (llvm::is_contained({"dt", "delta"}, name))
    return {Suitable::Positive, 0.1};
  return {};
}

/// Whether a value in a body is made, by products and sums, from the past of a
/// recurrence.
static bool isFromPast(Value value, unsigned depth = 0) {
  Operation *op = value.getDefiningOp();
  if (!op || depth > 8)
    return false;
  if (auto read = dyn_cast<ReadOp>(op)) {
    auto source = dyn_cast<BlockArgument>(read.getSource());
    return source && isa<RecurrenceOp>(source.getOwner()->getParentOp());
  }
  if (!isa<arith::MulFOp, arith::AddFOp, arith::SubFOp, arith::NegFOp>(op))
    return false;
  return llvm::any_of(op->getOperands(), [&](Value operand) {
    return isFromPast(operand, depth + 1);
  });
}

/// Whether a value in a body is read at a point of time.
static bool isOverTime(Value value) {
  auto read = value.getDefiningOp<ReadOp>();
  if (!read)
    return false;
  auto kernel = read->getParentOfType<KernelOp>();
  auto source = dyn_cast<BlockArgument>(read.getSource());
  if (!source || source.getOwner() != &kernel.getBody().front() ||
      !kernel.getTime())
    return true;
  int64_t time = kernel.getSizeIndex(*kernel.getTime());
  AffineMap shape = kernel.getInput(source.getArgNumber()).getShape();
  return llvm::any_of(shape.getResults(), [&](AffineExpr dim) {
    return dim.isFunctionOfSymbol(time);
  });
}

/// What one use of a value that was read says about it, if anything.
static std::optional<Suitable> judge(OpOperand &use, EquationOp equation,
                                     double reduced) {
  Operation *op = use.getOwner();
  if (isa<math::ExpOp, math::Exp2Op>(op))
    return Suitable{Suitable::Negative, 1};
  if (isa<math::LogOp, math::SqrtOp, math::RsqrtOp>(op))
    return Suitable{Suitable::Positive, 1};
  if (isa<arith::DivFOp>(op) && use.getOperandNumber() == 1)
    return Suitable{Suitable::Positive, 1};
  if (!isa<arith::MulFOp>(op))
    return std::nullopt;
  Value other = op->getOperand(1 - use.getOperandNumber());
  Value product = op->getResult(0);
  for (Operation *user : product.getUsers())
    if (isa<math::ExpOp>(user))
      return isOverTime(use.get()) && !isOverTime(other)
                 ? Suitable{Suitable::Positive, 0.1}
                 : Suitable{Suitable::Negative, 1};
  if (isFromPast(other)) {
    if (equation.getCombiner())
      return Suitable{Suitable::Normal, 1 / std::sqrt(std::max(1.0, reduced))};
    return Suitable{Suitable::Unit, 0.5};
  }
  return std::nullopt;
}

/// Extent of the dim of a gather that a value selects, or 0.
static double gatherExtent(Value value, IndexEvaluator &evaluator) {
  for (OpOperand &use : value.getUses()) {
    auto gather = dyn_cast<GatherOp>(use.getOwner());
    if (!gather || use.getOperandNumber() == 0)
      continue;
    unsigned dim = use.getOperandNumber() - 1;
    if (auto source = dyn_cast<BlockArgument>(gather.getSource());
        source && isa<KernelOp>(source.getOwner()->getParentOp())) {
      AffineExpr extent = evaluator.kernel.getInput(source.getArgNumber())
                              .getShape()
                              .getResult(dim);
      SmallVector<Attribute> values;
      Builder builder(gather.getContext());
      for (int64_t size : evaluator.sizes)
        values.push_back(builder.getIndexAttr(size));
      SmallVector<Attribute> result;
      AffineMap map = AffineMap::get(0, evaluator.sizes.size(), extent);
      if (succeeded(map.constantFold(values, result)))
        return cast<IntegerAttr>(result[0]).getInt();
    }
    if (auto equation = gather.getSource().getDefiningOp<EquationOp>())
      return evaluator.value(equation.getSizes()[dim]);
  }
  return 0;
}

Suitable driver::suitByUse(KernelOp kernel, unsigned input,
                           ArrayRef<int64_t> sizes) {
  IndexEvaluator evaluator{kernel, sizes};
  std::optional<Suitable> verdict;
  kernel.walk([&](ReadOp read) {
    if (read.getSource() != kernel.getBody().getArgument(input))
      return;
    if (double extent = gatherExtent(read.getResult(), evaluator))
      verdict = {Suitable::Index, extent};
    auto equation = read->getParentOfType<EquationOp>();
    double reduced = 1;
    for (auto [lower, upper] :
         llvm::zip(equation.getLowers(), equation.getUppers()))
      reduced *= evaluator.value(upper) - evaluator.value(lower);
    for (OpOperand &use : read.getResult().getUses())
      if (!verdict)
        verdict = judge(use, equation, reduced);
  });
  return verdict ? *verdict : suitByName(kernel.getInput(input).getName());
}
