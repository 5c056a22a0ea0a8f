//===- InlineReaders.cpp - Read states where they are summed --------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/Rondo/IR/RondoOps.h"
#include "passes/Algebra/Inline.h"
#include "passes/Algebra/Passes.h"

namespace rondo::algebra {
#define GEN_PASS_DEF_INLINEREADERS
#include "passes/Algebra/Passes.h.inc"
} // namespace rondo::algebra

using namespace mlir;
using namespace rondo;
using namespace rondo::algebra;

namespace {

/// Whether the equation reads the history of a state, and so may be as large.
bool readsHistory(EquationOp equation) {
  return equation
      .walk([](ReadOp read) {
        return read.getSource().getDefiningOp<RecurrenceOp>()
                   ? WalkResult::interrupt()
                   : WalkResult::advance();
      })
      .wasInterrupted();
}

} // namespace

unsigned rondo::algebra::inlineReaders(KernelOp kernel) {
  unsigned count = 0;
  SmallVector<EquationOp> equations(
      kernel.getBody().front().getOps<EquationOp>());
  for (EquationOp equation : equations) {
    auto users = equation.getResult().getUsers();
    if (users.empty() || equation.getCombiner() ||
        equation.getScalarType().isInteger(1) || !readsHistory(equation))
      continue;
    if (!llvm::all_of(users, [&](Operation *user) {
          auto read = dyn_cast<ReadOp>(user);
          return read && canInline(read, equation) &&
                 cast<EquationOp>(read->getParentOp()).getCombiner();
        }))
      continue;
    for (Operation *user : llvm::make_early_inc_range(users))
      inlineRead(cast<ReadOp>(user), equation);
    equation.erase();
    ++count;
  }
  return count;
}

namespace {

struct InlineReaders : rondo::algebra::impl::InlineReadersBase<InlineReaders> {
  void runOnOperation() override {
    for (KernelOp kernel : getOperation().getOps<KernelOp>())
      numInlined += inlineReaders(kernel);
  }
};

} // namespace
