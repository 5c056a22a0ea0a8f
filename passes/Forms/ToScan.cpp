//===- ToScan.cpp - The pass that derives scan forms ----------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Remarks.h"
#include "passes/Forms/Passes.h"
#include "passes/Forms/Scan.h"

namespace rondo {
#define GEN_PASS_DEF_TOSCAN
#include "passes/Forms/Passes.h.inc"
} // namespace rondo

using namespace mlir;
using namespace rondo;

namespace {

struct ToScan : rondo::impl::ToScanBase<ToScan> {
  using ToScanBase::ToScanBase;

  LogicalResult convert(KernelOp kernel) {
    SmallVector<RecurrenceOp> recurrences(
        kernel.getBody().front().getOps<RecurrenceOp>());
    unsigned numReplaced = 0;
    std::string firstReason = "it has no recurrence";
    for (RecurrenceOp recurrence : recurrences) {
      auto plan = recurrence->getAttrOfType<PlanAttr>("rondo.plan");
      if (plan ? plan.getForm() != Form::Scan : planned.getValue())
        continue;
      algebra::Context context(&getContext());
      std::string reason, name = recurrence.getName(0).str();
      Location loc = recurrence.getLoc();
      if (toScan(context, recurrence, reason)) {
        ++numReplaced;
        ++numScans;
        continue;
      }
      remark::missed(loc, remark::RemarkOpts::name("ToScan").category("form"))
          << "'" << name
          << "' stays sequential: " << remark::reason("{0}", reason);
      if (numReplaced == 0)
        firstReason = "'" + name + "': " + reason;
    }
    if (required && numReplaced == 0)
      return emitError(kernel.getLoc())
             << "'" << kernel.getSymName() << "' has no scan form ("
             << firstReason << "); compile it with --form=sequential";
    return success();
  }

  void runOnOperation() override {
    for (KernelOp kernel : getOperation().getOps<KernelOp>())
      if (failed(convert(kernel)))
        return signalPassFailure();
  }
};

} // namespace
