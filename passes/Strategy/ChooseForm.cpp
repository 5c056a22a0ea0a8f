//===- ChooseForm.cpp - Choose the form of each recurrence ----------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/IR/Remarks.h"
#include "passes/Analysis/Facts.h"
#include "passes/Strategy/FormTable.h"
#include "passes/Strategy/Passes.h"

namespace rondo {
#define GEN_PASS_DEF_CHOOSEFORM
#include "passes/Strategy/Passes.h.inc"
} // namespace rondo

using namespace mlir;
using namespace rondo;
using namespace rondo::analysis;

static remark::RemarkOpts remarkName() {
  return remark::RemarkOpts::name("ChooseForm").category("form");
}

static FactsAttr factsOf(RecurrenceOp op) {
  auto facts = op->getAttrOfType<FactsAttr>("rondo.facts");
  return facts ? facts : computeFacts(op);
}

/// Why `loser` was not chosen.
static std::string whyNot(const Candidate &loser, const Candidate &best) {
  if (!loser.illegal.empty())
    return loser.illegal;
  if (!loser.exists)
    return "not derived for this target";
  return "expected to take " + formatSeconds(loser.cost.seconds) + ", not " +
         formatSeconds(best.cost.seconds);
}

static void choose(RecurrenceOp op, int64_t chunk) {
  Choice choice = weigh(op, factsOf(op), chunk);
  const Candidate &best = choice.candidates[choice.best];
  op->setAttr("rondo.plan", best.plan);
  std::string subject = "'" + op.getName(0).str() + "': ";
  auto name = [](const Candidate &candidate) {
    return stringifyForm(candidate.row->form).str();
  };
  remark::passed(op.getLoc(), remarkName())
      << subject + name(best) << remark::reason("{0}", best.cost.arithmetic);
  for (const Candidate &each : choice.candidates)
    if (&each != &best)
      remark::missed(op.getLoc(), remarkName())
          << subject + "not " + name(each)
          << remark::reason("{0}", whyNot(each, best));
}

/// Names of forms in the words of messages.
static StringRef describe(Form form) {
  return form == Form::Chunked  ? "chunkwise"
         : form == Form::Newton ? "Newton"
                                : stringifyForm(form);
}

/// The user's form wherever it is legal.
static LogicalResult obey(KernelOp kernel, Form form, int64_t chunk) {
  const FormRow *row = getFormRow(form);
  bool any = false;
  std::string firstReason = "it has no recurrence";
  bool isFirst = true;
  kernel.walk([&](RecurrenceOp op) {
    if (auto given = op->getAttrOfType<PlanAttr>("rondo.plan")) {
      any |= given.getForm() == form;
      return;
    }
    FactsAttr facts = factsOf(op);
    std::string reason =
        row ? whyIllegal(op, facts, PlanAttr::get(op.getContext(), form, chunk))
            : "recurrences have no such form";
    PlanAttr plan = PlanAttr::get(op.getContext(), Form::Sequential);
    if (reason.empty()) {
      Sizes sizes(kernel);
      plan = row->plan(op, facts, measure(op, facts, sizes), getMachine(op),
                       chunk);
      any = true;
    } else {
      remark::missed(op.getLoc(), remarkName())
          << "'" + op.getName(0).str() + "' stays sequential"
          << remark::reason("{0}", reason);
      if (isFirst)
        firstReason = "'" + op.getName(0).str() + "': " + reason;
      isFirst = false;
    }
    op->setAttr("rondo.plan", plan);
  });
  if (any || form == Form::Sequential)
    return success();
  return emitError(kernel.getLoc())
         << "'" << kernel.getSymName() << "' has no " << describe(form)
         << " form (" << firstReason
         << "); compile it with --form=sequential";
}

namespace {

struct ChooseForm : rondo::impl::ChooseFormBase<ChooseForm> {
  using ChooseFormBase::ChooseFormBase;

  void runOnOperation() override {
    std::optional<Form> wish = symbolizeForm(form.getValue());
    if (!form.empty() && !wish) {
      getOperation().emitError()
          << "expects form to be sequential, scan, chunked, newton or tiled, "
             "found '"
          << form.getValue() << "'";
      return signalPassFailure();
    }
    if (chunk < 0) {
      getOperation().emitError()
          << "expects at least one step a chunk, found " << chunk.getValue();
      return signalPassFailure();
    }
    for (KernelOp kernel : getOperation().getOps<KernelOp>()) {
      if (wish) {
        if (failed(obey(kernel, *wish, chunk)))
          return signalPassFailure();
        continue;
      }
      kernel.walk([&](RecurrenceOp op) {
        if (!op->hasAttr("rondo.plan"))
          choose(op, chunk);
      });
    }
  }
};

} // namespace
