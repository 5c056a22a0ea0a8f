//===- ToNewton.cpp - Turns recurrences into iterations over windows ------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Forms/Convert.h"
#include "passes/Forms/Newton.h"
#include "passes/Forms/Passes.h"

namespace rondo {
#define GEN_PASS_DEF_TONEWTON
#include "passes/Forms/Passes.h.inc"
} // namespace rondo

using namespace mlir;
using namespace rondo;

namespace {

struct ToNewton : rondo::impl::ToNewtonBase<ToNewton> {
  using ToNewtonBase::ToNewtonBase;

  LogicalResult convert(KernelOp kernel) {
    return convertRecurrences(
        kernel, {Form::Newton, "ToNewton", "Newton", planned, required},
        [&](RecurrenceOp recurrence, PlanAttr plan, std::string &reason) {
          algebra::Context context(&getContext());
          std::optional<NewtonStructure> structure =
              findNewtonStructure(context, recurrence, reason);
          if (!structure)
            return false;
          int64_t steps =
              plan && plan.getChunk() ? plan.getChunk() : window.getValue();
          toNewton(context, *structure, {steps, bound, count});
          ++numIterated;
          return true;
        });
  }

  void runOnOperation() override {
    if (window < 1 || bound < 1) {
      getOperation().emitError()
          << "expects windows of at least one step and at least one iteration, "
             "found "
          << window.getValue() << " and " << bound.getValue();
      return signalPassFailure();
    }
    for (KernelOp kernel : getOperation().getOps<KernelOp>())
      if (failed(convert(kernel)))
        return signalPassFailure();
  }
};

} // namespace
