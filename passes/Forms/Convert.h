//===- Convert.h - Recurrences of a kernel to a form ---------- -*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_FORMS_CONVERT_H
#define RONDO_PASSES_FORMS_CONVERT_H

#include "dialects/Rondo/IR/RondoOps.h"

namespace rondo {

/// What the passes that derive a form share.
struct FormConversion {
  Form form;
  llvm::StringRef pass; ///< in remarks: "ToScan"
  llvm::StringRef name; ///< in errors: "scan"
  bool planned;  ///< only recurrences whose plan names the form
  bool required; ///< a kernel without any such recurrence is an error
};

/// Calls `convert` on the recurrences of a kernel that are planned for the
/// form, or have no plan. It gets the plan (or null) and returns false, with
/// the reason, to leave a recurrence as it is, which becomes a remark.
mlir::LogicalResult convertRecurrences(
    KernelOp kernel, const FormConversion &conversion,
    llvm::function_ref<bool(RecurrenceOp, PlanAttr, std::string &)> convert);

} // namespace rondo

#endif // RONDO_PASSES_FORMS_CONVERT_H
