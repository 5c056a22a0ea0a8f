//===- ToNewton.cpp - Turns recurrences into iterations over windows ------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/IR/Remarks.h"
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
    SmallVector<RecurrenceOp> recurrences(
        kernel.getBody().front().getOps<RecurrenceOp>());
    unsigned numReplaced = 0;
    std::string firstReason = "it has no recurrence";
    for (RecurrenceOp recurrence : recurrences) {
      auto plan = recurrence->getAttrOfType<PlanAttr>("rondo.plan");
      if (plan ? plan.getForm() != Form::Newton : planned.getValue())
        continue;
      int64_t window = plan && plan.getChunk() ? plan.getChunk()
                                               : this->window.getValue();
      algebra::Context context(&getContext());
      std::string reason;
      std::optional<NewtonStructure> structure =
          findNewtonStructure(context, recurrence, reason);
      if (!structure) {
        remark::missed(recurrence.getLoc(),
                       remark::RemarkOpts::name("ToNewton").category("form"))
            << "'" << recurrence.getName(0)
            << "' stays sequential: " << remark::reason("{0}", reason);
        if (numReplaced == 0)
          firstReason = "'" + recurrence.getName(0).str() + "': " + reason;
        continue;
      }
      toNewton(context, *structure, {window, bound, count});
      ++numReplaced;
      ++numIterated;
    }
    if (required && numReplaced == 0)
      return emitError(kernel.getLoc())
             << "'" << kernel.getSymName() << "' has no Newton form ("
             << firstReason << "); compile it with --form=sequential";
    return success();
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
