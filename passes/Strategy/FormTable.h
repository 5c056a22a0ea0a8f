//===- FormTable.h - The forms that a recurrence may have -------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One row per form: when it is legal, what it costs, and for which machines it
// exists. Choosing, verifying and explaining read this table and nothing else;
// a new form is a new row.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_STRATEGY_FORMTABLE_H
#define RONDO_PASSES_STRATEGY_FORMTABLE_H

#include "passes/Analysis/CostModel.h"
#include <string>

namespace rondo {

struct FormRow {
  Form form;
  /// What it is, for people who have not seen the word.
  llvm::StringLiteral meaning;
  /// Whether a pass derives it for CPUs and for GPUs.
  bool onCPU, onGPU;
  /// Why the form does not fit a recurrence with these facts, in the user's
  /// words; empty if it does.
  std::string (*illegal)(RecurrenceOp op, FactsAttr facts);
  /// The plan with the best parameters, `chunk` steps a chunk if it is not 0.
  PlanAttr (*plan)(RecurrenceOp op, FactsAttr facts,
                   const analysis::Workload &work,
                   const analysis::Machine &machine, int64_t chunk);
  analysis::Cost (*cost)(const analysis::Workload &work,
                         const analysis::Machine &machine, PlanAttr plan);
};

/// All rows that recurrences have; the first one fits every program.
llvm::ArrayRef<FormRow> getFormTable();
/// The row of a form; null for one that recurrences do not have.
const FormRow *getFormRow(Form form);

/// Why a plan must not be followed for this recurrence; empty if it may.
std::string whyIllegal(RecurrenceOp op, FactsAttr facts, PlanAttr plan);

/// What is known of one form for one recurrence.
struct Candidate {
  const FormRow *row;
  std::string illegal; // the reason, or empty
  bool exists;         // for the machine
  PlanAttr plan;       // if it is legal
  analysis::Cost cost; // likewise
};

/// Everything that is weighed for one recurrence.
struct Choice {
  analysis::Workload work;
  analysis::Machine machine;
  llvm::SmallVector<std::pair<std::string, int64_t>> assumed;
  llvm::SmallVector<Candidate> candidates; // in the order of the table
  unsigned best = 0; // the cheapest that is legal and exists
};
/// Weighs all forms; `chunk` is a wish of the user (0: none).
Choice weigh(RecurrenceOp op, FactsAttr facts, int64_t chunk);

} // namespace rondo

#endif // RONDO_PASSES_STRATEGY_FORMTABLE_H
