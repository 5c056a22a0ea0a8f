//===- Explain.cpp - What was chosen, in words ----------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/Driver/Driver.h"
#include "dialects/Rondo/IR/RondoOps.h"
#include "mlir/IR/Matchers.h"

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

static void explainRecurrence(RecurrenceOp recurrence, llvm::raw_ostream &os) {
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
  os << "\n    form: sequential (one step after the other; the only form that "
        "this version has)\n";
}

void driver::explain(mlir::ModuleOp module, llvm::raw_ostream &os) {
  module.walk([&](KernelOp kernel) {
    os << "kernel " << kernel.getSymName() << "\n";
    bool any = false;
    kernel.walk([&](RecurrenceOp recurrence) {
      any = true;
      explainRecurrence(recurrence, os);
    });
    if (!any)
      os << "  no recurrence: every equation is computed at all points at "
            "once\n";
  });
}
