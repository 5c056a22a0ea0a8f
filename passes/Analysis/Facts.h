//===- Facts.h - The facts about a recurrence as an attribute ---*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_ANALYSIS_FACTS_H
#define RONDO_PASSES_ANALYSIS_FACTS_H

#include "passes/Analysis/Structure.h"

namespace rondo::analysis {

/// What `analyze` finds and how the states are read by the rest of the kernel,
/// in the form that passes exchange. Depends on the equations alone, never on
/// attributes that are there.
FactsAttr computeFacts(RecurrenceOp op);

/// The name of a size ("T"), its value ("64"), or "?" for a computed one.
std::string describeSize(mlir::Value size);

} // namespace rondo::analysis

#endif // RONDO_PASSES_ANALYSIS_FACTS_H
