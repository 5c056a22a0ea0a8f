//===- Convert.cpp - Recurrences of a kernel to a form --------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Forms/Convert.h"
#include "mlir/IR/Remarks.h"

using namespace mlir;
using namespace rondo;

LogicalResult rondo::convertRecurrences(
    KernelOp kernel, const FormConversion &conversion,
    llvm::function_ref<bool(RecurrenceOp, PlanAttr, std::string &)> convert) {
  SmallVector<RecurrenceOp> recurrences(
      kernel.getBody().front().getOps<RecurrenceOp>());
  bool isReplaced = false;
  std::string firstReason = "it has no recurrence";
  for (RecurrenceOp recurrence : recurrences) {
    auto plan = recurrence->getAttrOfType<PlanAttr>("rondo.plan");
    if (plan ? plan.getForm() != conversion.form : conversion.planned)
      continue;
    // A recurrence that is converted is gone.
    std::string reason, name = recurrence.getName(0).str();
    Location loc = recurrence.getLoc();
    if (convert(recurrence, plan, reason)) {
      isReplaced = true;
      continue;
    }
    remark::missed(loc,
                   remark::RemarkOpts::name(conversion.pass).category("form"))
        << "'" << name
        << "' stays sequential: " << remark::reason("{0}", reason);
    firstReason = "'" + name + "': " + reason;
  }
  // The form of the kernel is asked for; what is derived from it takes what it
  // has.
  if (conversion.required && !isReplaced && !kernel->hasAttr("entry"))
    return emitError(kernel.getLoc())
           << "'" << kernel.getSymName() << "' has no " << conversion.name
           << " form (" << firstReason << "); compile it with --form=sequential";
  return success();
}
