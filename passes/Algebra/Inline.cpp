//===- Inline.cpp - Equations inlined into expressions --------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Algebra/Inline.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::algebra;

namespace {

class Inliner {
public:
  Inliner(Context &context, llvm::function_ref<Value(Expr)> extentOf,
          llvm::function_ref<bool(Expr, EquationOp)> isWanted)
      : context(context), extentOf(extentOf), isWanted(isWanted) {}

  Expr visit(Expr expr) {
    if (!expr)
      return nullptr;
    auto [it, isNew] = known.try_emplace(expr, nullptr);
    if (!isNew)
      return it->second;
    Expr result = rebuild(expr);
    known[expr] = result;
    return result;
  }

private:
  Expr rebuild(Expr expr) {
    if (expr->kind == Kind::Read)
      if (EquationOp equation = getEquation(expr))
        return visit(
            Importer(context).instantiate(equation, expr->subscripts()));
    llvm::DenseMap<Expr, Expr> changed;
    for (Expr arg : expr->args)
      if (Expr now = visit(arg); now != arg)
        changed[arg] = now;
    return changed.empty() ? expr : context.substitute(expr, changed);
  }

  /// The equation that a read is to be replaced by, or null.
  EquationOp getEquation(Expr read) {
    auto equation = read->value.getDefiningOp<EquationOp>();
    if (!equation || !isa<KernelOp>(equation->getParentOp()))
      return EquationOp();
    // Gathers are not looked into: they stay where they are.
    if (!equation.getBlock().getOps<GatherOp>().empty())
      return EquationOp();
    for (auto [subscript, size] :
         llvm::zip_equal(read->subscripts(), equation.getSizes()))
      if (extentOf(subscript) != size)
        return EquationOp();
    return isWanted(read, equation) ? equation : EquationOp();
  }

  Context &context;
  llvm::function_ref<Value(Expr)> extentOf;
  llvm::function_ref<bool(Expr, EquationOp)> isWanted;
  llvm::DenseMap<Expr, Expr> known;
};

} // namespace

Expr rondo::algebra::inlineReads(
    Context &context, Expr expr, llvm::function_ref<Value(Expr)> extentOf,
    llvm::function_ref<bool(Expr, EquationOp)> isWanted) {
  return Inliner(context, extentOf, isWanted).visit(expr);
}

Value rondo::algebra::extentOf(EquationOp equation, Value value) {
  auto argument = dyn_cast<BlockArgument>(value);
  if (!argument || argument.getOwner() != &equation.getBlock())
    return Value();
  unsigned number = argument.getArgNumber();
  unsigned numParallel = equation.getSizes().size();
  if (number < numParallel)
    return equation.getSizes()[number];
  Value lower = equation.getLowers()[number - numParallel];
  return matchPattern(lower, m_Zero())
             ? equation.getUppers()[number - numParallel]
             : Value();
}

bool rondo::algebra::canInline(ReadOp read, EquationOp equation) {
  auto user = dyn_cast<EquationOp>(read->getParentOp());
  if (!user || user->getParentOp() != equation->getParentOp() ||
      equation.getCombiner() || read.getFallback())
    return false;
  return llvm::all_of(
      llvm::zip_equal(read.getSubscripts(), equation.getSizes()),
      [&](auto pair) {
        return extentOf(user, std::get<0>(pair)) == std::get<1>(pair);
      });
}

void rondo::algebra::inlineRead(ReadOp read, EquationOp equation) {
  OpBuilder builder(read);
  IRMapping mapping;
  mapping.map(equation.getBlock().getArguments(), read.getSubscripts());
  for (Operation &op : equation.getBlock().without_terminator())
    builder.clone(op, mapping);
  read.replaceAllUsesWith(
      mapping.lookupOrDefault(equation.getYield().getValues()[0]));
  read.erase();
}

void rondo::algebra::splitCondition(Expr condition,
                                    llvm::SmallSetVector<Expr, 4> &parts) {
  if (!condition || (condition->kind == Kind::Integer && condition->integer))
    return;
  if (condition->isOp("arith.andi")) {
    splitCondition(condition->args[0], parts);
    splitCondition(condition->args[1], parts);
    return;
  }
  parts.insert(condition);
}
