//===- MergeEquations.cpp - Equal equations are computed once -------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/Rondo/IR/RondoOps.h"
#include "mlir/IR/OperationSupport.h"
#include "passes/Algebra/Passes.h"

namespace rondo::algebra {
#define GEN_PASS_DEF_MERGEEQUATIONS
#include "passes/Algebra/Passes.h.inc"
} // namespace rondo::algebra

using namespace mlir;
using namespace rondo;

namespace {

/// Whether `b` says what `a` says.
bool saysTheSame(EquationOp a, EquationOp b) {
  if (a.getResult().getType() != b.getResult().getType() ||
      a.getCombiner() != b.getCombiner() ||
      a->getOperands() != b->getOperands())
    return false;
  StringAttr name = b.getNameAttr();
  b.setNameAttr(a.getNameAttr());
  bool equal = OperationEquivalence::isEquivalentTo(
      a, b, OperationEquivalence::IgnoreLocations);
  b.setNameAttr(name);
  return equal;
}

struct MergeEquations
    : rondo::algebra::impl::MergeEquationsBase<MergeEquations> {
  void merge(Block &block) {
    SmallVector<EquationOp> kept;
    for (EquationOp equation :
         llvm::make_early_inc_range(block.getOps<EquationOp>())) {
      auto same = llvm::find_if(
          kept, [&](EquationOp each) { return saysTheSame(each, equation); });
      // Each member of a recurrence and each result has its own equation.
      bool isYielded = llvm::any_of(
          equation.getResult().getUsers(),
          [](Operation *user) { return isa<YieldOp, ReturnOp>(user); });
      if (same == kept.end() || isYielded) {
        kept.push_back(equation);
        continue;
      }
      equation.getResult().replaceAllUsesWith(same->getResult());
      equation.erase();
      ++numMerged;
    }
  }

  void runOnOperation() override {
    // Top down: what a kernel's equations share is settled before regions.
    getOperation().walk<WalkOrder::PreOrder>([&](Operation *op) {
      if (auto kernel = dyn_cast<KernelOp>(op))
        merge(kernel.getBody().front());
      else if (auto recurrence = dyn_cast<RecurrenceOp>(op))
        merge(recurrence.getBlock());
    });
  }
};

} // namespace
