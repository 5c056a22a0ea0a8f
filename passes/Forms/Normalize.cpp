//===- Normalize.cpp - Give every output its own equation -----------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Forms/Normalize.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Iterators.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;
using namespace rondo;

namespace {

/// An expression over the kernel's sizes as a value.
Value emitSize(OpBuilder &builder, Location loc, AffineExpr expr,
               KernelOp kernel) {
  if (auto constant = dyn_cast<AffineConstantExpr>(expr))
    return arith::ConstantIndexOp::create(builder, loc, constant.getValue());
  if (auto symbol = dyn_cast<AffineSymbolExpr>(expr)) {
    auto name = cast<StringAttr>(kernel.getSizes()[symbol.getPosition()]);
    return SizeOp::create(builder, loc, builder.getIndexType(), name);
  }
  auto binary = cast<AffineBinaryOpExpr>(expr);
  Value lhs = emitSize(builder, loc, binary.getLHS(), kernel);
  Value rhs = emitSize(builder, loc, binary.getRHS(), kernel);
  switch (expr.getKind()) {
  case AffineExprKind::Add:
    return arith::AddIOp::create(builder, loc, lhs, rhs);
  case AffineExprKind::Mul:
    return arith::MulIOp::create(builder, loc, lhs, rhs);
  case AffineExprKind::Mod:
    return ModOp::create(builder, loc, lhs, rhs);
  default:
    return arith::FloorDivSIOp::create(builder, loc, lhs, rhs);
  }
}

/// The sizes of a tensor's dims, as values before the builder's point.
SmallVector<Value> getSizes(OpBuilder &builder, Value tensor, KernelOp kernel) {
  if (auto equation = tensor.getDefiningOp<EquationOp>())
    return SmallVector<Value>(equation.getSizes());
  if (auto initial = tensor.getDefiningOp<InitialOp>())
    return getSizes(builder, initial.getDeclared(), kernel);
  if (auto recurrence = tensor.getDefiningOp<RecurrenceOp>()) {
    unsigned number = cast<OpResult>(tensor).getResultNumber();
    unsigned members = recurrence.getNumMembers();
    bool isFinal = number >= members;
    unsigned member = isFinal ? number - members : number;
    SmallVector<Value> sizes =
        getSizes(builder, recurrence.getSlice(member), kernel);
    if (!isFinal)
      sizes.insert(sizes.begin() + recurrence.getBatch(),
                   recurrence.getSizes().begin(), recurrence.getSizes().end());
    return sizes;
  }
  if (auto iterate = tensor.getDefiningOp<IterateOp>()) {
    unsigned number = cast<OpResult>(tensor).getResultNumber();
    bool isCount = number == iterate.getNumTensors();
    return getSizes(builder,
                    isCount ? iterate.getResidual()
                            : iterate.getGuesses()[number],
                    kernel);
  }
  auto argument = cast<BlockArgument>(tensor);
  if (auto iterate = dyn_cast<IterateOp>(argument.getOwner()->getParentOp()))
    return getSizes(builder, iterate.getGuesses()[argument.getArgNumber()],
                    kernel);
  TensorSpecAttr spec = kernel.getInput(argument.getArgNumber());
  SmallVector<Value> sizes;
  for (AffineExpr size : spec.getShape().getResults())
    sizes.push_back(emitSize(builder, tensor.getLoc(), size, kernel));
  return sizes;
}

/// y[p] = tensor[p].
Value createCopy(OpBuilder &builder, Value tensor, StringRef name, Location loc,
                 KernelOp kernel) {
  SmallVector<Value> sizes = getSizes(builder, tensor, kernel);
  Type element = cast<RankedTensorType>(tensor.getType()).getElementType();
  Type scalar = element, stored = element;
  if (element.isIntOrIndex() && !element.isInteger(1)) {
    scalar = builder.getIndexType();
    stored = builder.getI64Type();
  } else if (isa<FloatType>(element) && !element.isF64()) {
    scalar = stored = builder.getF32Type();
  }
  auto equation = EquationOp::create(builder, loc, name, stored, sizes);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(&equation.getBlock());
  Value value = ReadOp::create(builder, loc, scalar, tensor,
                               ValueRange(equation.getBlock().getArguments()));
  YieldOp::create(builder, loc, value);
  return equation.getResult();
}

void normalizeYield(RecurrenceOp recurrence, KernelOp kernel) {
  YieldOp yield = recurrence.getYield();
  llvm::SmallPtrSet<Operation *, 8> taken;
  for (OpOperand &operand : yield.getValuesMutable()) {
    auto equation = operand.get().getDefiningOp<EquationOp>();
    if (equation && equation->getBlock() == &recurrence.getBlock() &&
        taken.insert(equation).second)
      continue;
    OpBuilder builder(yield);
    operand.set(createCopy(builder, operand.get(),
                           recurrence.getName(operand.getOperandNumber()),
                           recurrence.getLoc(), kernel));
    taken.insert(operand.get().getDefiningOp());
  }
}

/// A guess is an equation of its own, which the iteration writes over; what the
/// regions yield are different equations in them.
void normalizeIterate(IterateOp iterate, KernelOp kernel) {
  OpBuilder builder(iterate);
  for (OpOperand &guess : iterate.getGuessesMutable()) {
    auto equation = guess.get().getDefiningOp<EquationOp>();
    if (equation && equation->getBlock() == iterate->getBlock() &&
        equation->hasOneUse())
      continue;
    guess.set(createCopy(builder, guess.get(), "guess", iterate.getLoc(),
                         kernel));
  }
  for (YieldOp yield : {iterate.getBodyYield(), iterate.getOtherwiseYield()}) {
    llvm::SmallPtrSet<Value, 8> taken;
    for (OpOperand &operand : yield.getValuesMutable()) {
      Operation *def = operand.get().getDefiningOp();
      if (def && def->getBlock() == yield->getBlock() &&
          isa<EquationOp, RecurrenceOp>(def) &&
          taken.insert(operand.get()).second)
        continue;
      OpBuilder atEnd(yield);
      operand.set(createCopy(atEnd, operand.get(), "next", iterate.getLoc(),
                             kernel));
    }
  }
}

void normalizeReturn(KernelOp kernel) {
  auto ret = cast<ReturnOp>(kernel.getBody().front().getTerminator());
  llvm::SmallPtrSet<Value, 8> taken;
  for (OpOperand &operand : ret.getOperandsMutable()) {
    TensorSpecAttr spec = kernel.getOutput(operand.getOperandNumber());
    auto recurrence = operand.get().getDefiningOp<RecurrenceOp>();
    bool isFinal =
        recurrence && cast<OpResult>(operand.get()).getResultNumber() >=
                          recurrence.getNumMembers();
    bool fits = spec.getRole() == Role::Final
                    ? isFinal || operand.get().getDefiningOp<EquationOp>()
                    : !isFinal && (recurrence ||
                                   operand.get().getDefiningOp<EquationOp>());
    if (fits && taken.insert(operand.get()).second)
      continue;
    OpBuilder builder(ret);
    operand.set(createCopy(builder, operand.get(), spec.getName(),
                           kernel.getLoc(), kernel));
    taken.insert(operand.get());
  }
}

void normalizeInitial(InitialOp initial, KernelOp kernel) {
  OpBuilder builder(initial);
  auto equation = initial.getDeclared().getDefiningOp<EquationOp>();
  if (!equation)
    initial.getDeclaredMutable().set(createCopy(
        builder, initial.getDeclared(), "declared", initial.getLoc(), kernel));
  else if (!equation->hasOneUse())
    initial.getDeclaredMutable().set(
        builder.clone(*equation.getOperation())->getResult(0));
}

} // namespace

void rondo::normalize(KernelOp kernel) {
  SmallVector<RecurrenceOp> recurrences;
  SmallVector<InitialOp> initials;
  SmallVector<IterateOp> iterates;
  kernel.walk([&](Operation *op) {
    if (auto recurrence = dyn_cast<RecurrenceOp>(op))
      recurrences.push_back(recurrence);
    if (auto initial = dyn_cast<InitialOp>(op))
      initials.push_back(initial);
    if (auto iterate = dyn_cast<IterateOp>(op))
      iterates.push_back(iterate);
  });
  for (IterateOp iterate : iterates)
    normalizeIterate(iterate, kernel);
  for (RecurrenceOp recurrence : recurrences)
    normalizeYield(recurrence, kernel);
  normalizeReturn(kernel);
  for (InitialOp initial : initials)
    normalizeInitial(initial, kernel);
  // Users stand after what they use: one backward sweep finds all dead code.
  kernel.walk<WalkOrder::PostOrder, mlir::ReverseIterator>([](Operation *op) {
    if (isOpTriviallyDead(op))
      op->erase();
  });
}
