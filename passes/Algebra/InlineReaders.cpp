//===- InlineReaders.cpp - Read states where they are summed --------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/Rondo/IR/RondoOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "passes/Algebra/Passes.h"

namespace rondo::algebra {
#define GEN_PASS_DEF_INLINEREADERS
#include "passes/Algebra/Passes.h.inc"
} // namespace rondo::algebra

using namespace mlir;
using namespace rondo;

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

/// The extent of the index argument `value` of `equation`, if it is one that
/// starts at 0.
Value extentOf(EquationOp equation, Value value) {
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

/// Whether `read` takes a point of `equation` that is inside its index space,
/// in the body of a sum.
bool isWithin(ReadOp read, EquationOp equation) {
  auto user = dyn_cast<EquationOp>(read->getParentOp());
  if (!user || user->getParentOp() != equation->getParentOp() ||
      !user.getCombiner() || read.getFallback())
    return false;
  return llvm::all_of(llvm::zip_equal(read.getSubscripts(),
                                      equation.getSizes()),
                      [&](auto pair) {
                        return extentOf(user, std::get<0>(pair)) ==
                               std::get<1>(pair);
                      });
}

struct InlineReaders
    : rondo::algebra::impl::InlineReadersBase<InlineReaders> {
  void inlineInto(EquationOp equation) {
    for (Operation *user :
         llvm::make_early_inc_range(equation.getResult().getUsers())) {
      auto read = cast<ReadOp>(user);
      OpBuilder builder(read);
      IRMapping mapping;
      mapping.map(equation.getBlock().getArguments(), read.getSubscripts());
      for (Operation &op : equation.getBlock().without_terminator())
        builder.clone(op, mapping);
      read.replaceAllUsesWith(
          mapping.lookupOrDefault(equation.getYield().getValues()[0]));
      read.erase();
    }
    equation.erase();
    ++numInlined;
  }

  void runOnOperation() override {
    for (KernelOp kernel : getOperation().getOps<KernelOp>()) {
      SmallVector<EquationOp> equations(
          kernel.getBody().front().getOps<EquationOp>());
      for (EquationOp equation : equations) {
        auto users = equation.getResult().getUsers();
        if (users.empty() || equation.getCombiner() ||
            equation.getScalarType().isInteger(1) || !readsHistory(equation))
          continue;
        if (llvm::all_of(users, [&](Operation *user) {
              auto read = dyn_cast<ReadOp>(user);
              return read && isWithin(read, equation);
            }))
          inlineInto(equation);
      }
    }
  }
};

} // namespace
