//===- Inline.cpp - Equations inlined into expressions --------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Algebra/Inline.h"

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
