//===- Explain.cpp - What was chosen, in words ----------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/Driver/Driver.h"
#include "dialects/Rondo/IR/RondoOps.h"
#include "mlir/IR/Matchers.h"
#include "passes/Analysis/Structure.h"
#include "passes/Forms/ChunkedStructure.h"
#include "passes/Forms/Scan.h"

using namespace rondo;

/// "T" or "64".
static void printSize(mlir::Value size, llvm::raw_ostream &os) {
  mlir::APInt constant;
  if (auto named = size.getDefiningOp<SizeOp>())
    os << named.getName();
  else if (mlir::matchPattern(size, mlir::m_ConstantInt(&constant)))
    os << constant;
  else
    os << "a computed size";
}

/// What the new value of a state is, as a function of the old ones.
static llvm::StringRef describe(const analysis::StateStructure &state) {
  using analysis::Transition;
  switch (state.kind) {
  case Transition::Identity:
    return "the old value plus something";
  case Transition::Scalar:
    return "the old value times a number per step, plus something";
  case Transition::Diagonal:
    return "the old value times a number per element, plus something";
  case Transition::DiagonalLowRank:
    return "the old value decayed, plus products with contractions of it";
  case Transition::Dense:
    return "linear in the old values, mixing their elements";
  case Transition::Convolution:
    return "linear in the old value at neighbouring points";
  case Transition::MaxPlus:
    return "the maximum of the old value plus a number and of other things";
  case Transition::Nonlinear:
    return state.diagonalJacobian
               ? "a nonlinear function of its own old element"
               : "a nonlinear function of several old elements";
  }
  return "";
}

static void explainState(const analysis::StateStructure &state,
                         RecurrenceOp recurrence, llvm::raw_ostream &os) {
  os << "    " << state.name << " (" << analysis::stringify(state.kind)
     << "): " << describe(state);
  if (state.block)
    os << "; some reads are frozen for blocks of " << state.block << " steps";
  else if (state.lag == 0)
    os << "; it is read arbitrarily far back";
  else if (state.lag > 1)
    os << "; it is read up to " << state.lag << " steps back";
  for (auto [i, member] : llvm::enumerate(state.coupled))
    os << (i ? ", " : "; it depends on the past of ")
       << recurrence.getName(member);
  if (state.threshold)
    os << "; it compares old values, so it has no useful derivative";
  os << "\n";
}

static void explainForm(RecurrenceOp recurrence, Form form,
                        llvm::raw_ostream &os) {
  algebra::Context context(recurrence.getContext());
  std::string reason;
  bool hasChunks =
      findChunkedStructure(context, recurrence, reason).has_value();
  if (form == Form::Chunked && hasChunks) {
    os << "    form: chunked (as asked for; matrix products within chunks of "
          "steps)\n";
    return;
  }
  std::string scanReason;
  if (form == Form::Scan && hasScanForm(context, recurrence, scanReason)) {
    os << "    form: scan (as asked for; the maps of the steps combined in any "
          "grouping)\n";
    return;
  }
  os << "    form: sequential (one step after the other; every recurrence has "
        "it)\n";
  if (hasChunks)
    os << "    chunked: possible, with --form=chunked\n";
  else
    os << "    chunked: not possible; " << reason << "\n";
}

static void explainRecurrence(RecurrenceOp recurrence, Form form,
                              llvm::raw_ostream &os) {
  os << "  recurrence of ";
  for (unsigned i = 0, n = recurrence.getNumMembers(); i < n; ++i)
    os << (i ? ", " : "") << recurrence.getName(i)
       << (i < recurrence.getNumStates() ? "" : " (local)");
  os << "\n    along: ";
  for (auto [i, size] : llvm::enumerate(recurrence.getSizes())) {
    os << (i ? ", " : "");
    printSize(size, os);
    if (recurrence.getReversed()[i])
      os << " (from the end)";
  }
  os << "\n";
  algebra::Context context(recurrence.getContext());
  for (const analysis::StateStructure &state :
       analysis::analyze(context, recurrence).states)
    explainState(state, recurrence, os);
  explainForm(recurrence, form, os);
}

void driver::explain(mlir::ModuleOp module, Form form, llvm::raw_ostream &os) {
  module.walk([&](KernelOp kernel) {
    os << "kernel " << kernel.getSymName() << "\n";
    bool any = false;
    kernel.walk([&](RecurrenceOp recurrence) {
      any = true;
      explainRecurrence(recurrence, form, os);
    });
    if (!any)
      os << "  no recurrence: every equation is computed at all points at "
            "once\n";
  });
}
