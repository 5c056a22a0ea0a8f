//===- OutlineNests.cpp - One function for equal nests --------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A chunkwise form multiplies matrices of the same few shapes many times. Each
// product becomes a kilobyte of code for every processor, in which only the
// addresses differ. Nests are compared as functions of what they read and
// write; views that start anywhere are the same to them as buffers. What is
// computed with a product (Epilogue.h) goes with it.
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/SymbolTable.h"
#include "passes/CPU/Ahead.h"
#include "passes/CPU/Epilogue.h"
#include "passes/CPU/LoopNest.h"
#include "passes/CPU/Passes.h"
#include "llvm/ADT/SetVector.h"

namespace rondo::cpu {
#define GEN_PASS_DEF_OUTLINENESTS
#include "passes/CPU/Passes.h.inc"
} // namespace rondo::cpu

using namespace mlir;
using namespace rondo;
using namespace rondo::cpu;

/// Nests of fewer loops are short: a call would take as long.
static constexpr unsigned kLeastLoops = 2;

namespace {
/// An op, with its fill and its epilogue if it has one, and what these use of
/// their function.
struct Nest {
  linalg::GenericOp op;
  linalg::FillOp fill;
  FoundEpilogue epilogue;
  SmallVector<Value> used; // without constants

  Nest(linalg::GenericOp op, FoundEpilogue epilogue);
  /// A function of `used` that does the same.
  OwningOpRef<func::FuncOp> createFunction();
  void replaceByCall(func::FuncOp function);

private:
  SmallVector<Operation *, 3> getOps() {
    SmallVector<Operation *, 3> ops;
    if (fill)
      ops.push_back(fill);
    ops.push_back(op);
    if (epilogue.op)
      ops.push_back(epilogue.op);
    return ops;
  }
};

class OutlineNests : public rondo::cpu::impl::OutlineNestsBase<OutlineNests> {
public:
  void runOnOperation() override;
};
} // namespace

Nest::Nest(linalg::GenericOp op, FoundEpilogue epilogue)
    : op(op), fill(findFill(op)), epilogue(epilogue) {
  llvm::SetVector<Value> values;
  for (Operation *part : getOps())
    part->walk<WalkOrder::PreOrder>([&](Operation *inner) {
      for (Value operand : inner->getOperands())
        if (!part->isAncestor(operand.getParentRegion()->getParentOp()) &&
            !matchPattern(operand, m_Constant()))
          values.insert(operand);
    });
  used = values.takeVector();
}

/// The type of views of the same form that start anywhere.
static Type getArgumentType(Value value) {
  auto type = dyn_cast<MemRefType>(value.getType());
  SmallVector<int64_t> strides;
  int64_t offset;
  if (!type || failed(type.getStridesAndOffset(strides, offset)))
    return value.getType();
  return MemRefType::get(
      type.getShape(), type.getElementType(),
      StridedLayoutAttr::get(type.getContext(), ShapedType::kDynamic, strides),
      type.getMemorySpace());
}

OwningOpRef<func::FuncOp> Nest::createFunction() {
  SmallVector<Type> types;
  for (Value value : used)
    types.push_back(getArgumentType(value));
  OpBuilder builder(op.getContext());
  auto function = func::FuncOp::create(
      op.getLoc(), "nest", builder.getFunctionType(types, TypeRange()));
  function.setPrivate();
  builder.setInsertionPointToStart(function.addEntryBlock());
  IRMapping map;
  map.map(used, function.getArguments());
  for (Operation *part : getOps()) {
    part->walk([&](Operation *inner) {
      for (Value operand : inner->getOperands())
        if (Operation *constant = operand.getDefiningOp();
            constant && !part->isAncestor(constant) && !map.contains(operand))
          builder.clone(*constant, map);
    });
    Operation *copy = builder.clone(*part, map);
    if (part == epilogue.op)
      copy->setAttr(kEpilogueAttr, builder.getBoolAttr(epilogue.keepsSum));
  }
  func::ReturnOp::create(builder, op.getLoc());
  return function;
}

void Nest::replaceByCall(func::FuncOp function) {
  OpBuilder builder(getOps().back());
  SmallVector<Value> operands;
  for (auto [value, type] : llvm::zip_equal(used, function.getArgumentTypes()))
    operands.push_back(
        value.getType() == type
            ? value
            : memref::CastOp::create(builder, op.getLoc(), type, value)
                  .getResult());
  func::CallOp::create(builder, op.getLoc(), function, operands);
  for (Operation *part : llvm::reverse(getOps()))
    part->erase();
}

/// Whether it may be a function of its own.
static bool canLeave(linalg::GenericOp op, ArrayRef<CopiedRows> copiedRows) {
  if (op.getNumLoops() < kLeastLoops || !op.hasPureBufferSemantics())
    return false;
  // What products fetch, and the products that could.
  scf::ForOp loop = getLoop(op);
  bool mayFetch = op.getNumReductionLoops() > 0 &&
                  llvm::any_of(copiedRows, [&](const CopiedRows &rows) {
                    return rows.loop == loop;
                  });
  return !mayFetch && findCopiedRows(op).empty();
}

static bool areEqual(func::FuncOp a, func::FuncOp b) {
  return a.getFunctionType() == b.getFunctionType() &&
         OperationEquivalence::isRegionEquivalentTo(
             &a.getBody(), &b.getBody(), OperationEquivalence::IgnoreLocations);
}

void OutlineNests::runOnOperation() {
  struct Class {
    OwningOpRef<func::FuncOp> function;
    SmallVector<Nest> nests;
  };
  SmallVector<Class> classes;
  SmallVector<CopiedRows> copiedRows = findCopiedRows(getOperation());
  llvm::DenseMap<Operation *, FoundEpilogue> epilogues =
      findEpilogues(getOperation());
  llvm::DenseSet<Operation *> taken;
  for (auto &[reduction, epilogue] : epilogues)
    taken.insert(epilogue.op);
  getOperation().walk([&](linalg::GenericOp op) {
    FoundEpilogue epilogue = epilogues.lookup(op);
    if (taken.contains(op) || !canLeave(op, copiedRows))
      return;
    // As arguments, different views of the sum would be unrelated.
    if (epilogue.op &&
        (!canLeave(epilogue.op, copiedRows) ||
         !llvm::is_contained(epilogue.op.getInputs(), op.getOutputs()[0])))
      return;
    Nest nest(op, epilogue);
    OwningOpRef<func::FuncOp> function = nest.createFunction();
    auto known = llvm::find_if(classes, [&](Class &each) {
      return areEqual(*each.function, *function);
    });
    if (known == classes.end())
      known = &classes.emplace_back(Class{std::move(function), {}});
    known->nests.push_back(nest);
  });
  SymbolTable symbols(getOperation());
  for (Class &each : classes) {
    if (each.nests.size() < 2)
      continue;
    func::FuncOp function = each.function.release();
    symbols.insert(function);
    for (Nest &nest : each.nests)
      nest.replaceByCall(function);
    numOutlined += each.nests.size();
  }
}
