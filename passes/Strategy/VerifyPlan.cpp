//===- VerifyPlan.cpp - Check that plans are legal ------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Analysis/Facts.h"
#include "passes/Strategy/FormTable.h"
#include "passes/Strategy/Passes.h"

namespace rondo {
#define GEN_PASS_DEF_VERIFYPLAN
#include "passes/Strategy/Passes.h.inc"
} // namespace rondo

using namespace mlir;
using namespace rondo;

static LogicalResult check(RecurrenceOp op) {
  FactsAttr facts = analysis::computeFacts(op);
  if (auto claimed = op->getAttrOfType<FactsAttr>("rondo.facts");
      claimed && claimed != facts) {
    InFlightDiagnostic error = emitError(op.getLoc())
                               << "the facts about '" << op.getName(0)
                               << "' are not those of its equations";
    error.attachNote() << "the equations say " << facts;
    error.attachNote() << "rondo.facts says " << claimed;
    return error;
  }
  auto plan = op->getAttrOfType<PlanAttr>("rondo.plan");
  if (!plan)
    return success();
  std::string reason = whyIllegal(op, facts, plan);
  if (reason.empty())
    return success();
  return emitError(op.getLoc())
         << "'" << op.getName(0) << "' can't be computed in the form "
         << stringifyForm(plan.getForm()) << ": " << reason;
}

namespace {

struct VerifyPlan : rondo::impl::VerifyPlanBase<VerifyPlan> {
  void runOnOperation() override {
    bool isLegal = true;
    getOperation().walk(
        [&](RecurrenceOp op) { isLegal &= succeeded(check(op)); });
    if (!isLegal)
      signalPassFailure();
    markAllAnalysesPreserved();
  }
};

} // namespace
