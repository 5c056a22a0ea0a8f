//===- FormTable.cpp - The forms that a recurrence may have ---------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Strategy/FormTable.h"
#include "passes/Forms/ChunkedStructure.h"
#include "passes/Forms/Newton.h"
#include "passes/Forms/Powers.h"
#include "passes/Forms/Scan.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::analysis;

/// Recurrences inside the step of another one run within that step.
static bool isInner(RecurrenceOp op) {
  return !isa<KernelOp>(op->getParentOp());
}

//===----------------------------------------------------------------------===//
// Sequential
//===----------------------------------------------------------------------===//

static std::string sequentialIllegal(RecurrenceOp, FactsAttr) { return ""; }

static PlanAttr sequentialPlan(RecurrenceOp op, FactsAttr, const Workload &,
                               const Machine &, int64_t) {
  return PlanAttr::get(op.getContext(), Form::Sequential);
}

//===----------------------------------------------------------------------===//
// Chunked
//===----------------------------------------------------------------------===//

/// How a recurrence is computed over chunks.
struct Chunks {
  std::string illegal; // why not, or empty
  unsigned block = 0;  // the only possible length, or 0
  PowersWork powers;   // when it is by powers of a constant transition
};

static PowersWork measurePowers(PowersStructure &structure, Sizes &sizes) {
  PowersWork work;
  work.outer = 1;
  ValueRange extents =
      structure.state.getSizes().drop_front(structure.recurrence.getBatch());
  double states = structure.transition.size();
  work.rows = work.columns = states;
  for (unsigned dim : structure.outerDims)
    work.outer *= sizes.get(extents[dim]);
  for (unsigned dim : structure.mixedDims) {
    work.rows *= sizes.get(extents[dim]);
    if (structure.isDense)
      work.columns *= sizes.get(extents[dim]);
  }
  work.writes = structure.writes.size();
  for (PowersReadout &readout : structure.readouts) {
    double outputs = readout.terms.size();
    unsigned numBatch = structure.recurrence.getBatch();
    for (auto [i, size] : llvm::enumerate(readout.consumer.getSizes()))
      if (i >= numBatch && i != readout.timeIndex &&
          !llvm::is_contained(readout.outerIndices, i))
        outputs *= sizes.get(size);
    work.outputs += outputs;
  }
  return work;
}

static Chunks findChunks(RecurrenceOp op) {
  Chunks chunks;
  algebra::Context context(op.getContext());
  if (std::optional<ChunkedStructure> structure =
          findChunkedStructure(context, op, chunks.illegal)) {
    chunks.block = structure->block;
    return chunks;
  }
  std::string reason;
  if (std::optional<PowersStructure> structure =
          findPowersStructure(context, op, reason)) {
    chunks.illegal = getMachine(op).isGPU
                         ? "powers of a constant transition are for CPUs"
                         : "";
    Sizes sizes(op->getParentOfType<KernelOp>());
    chunks.powers = measurePowers(*structure, sizes);
  } else if (chunks.illegal.empty()) {
    chunks.illegal = "it is not of the class";
  }
  return chunks;
}

static std::string chunkedIllegal(RecurrenceOp op, FactsAttr facts) {
  if (isInner(op))
    return "it runs within the steps of another recurrence";
  if (facts.getStates().size() == 1 &&
      facts.getKind() == Transition::Nonlinear)
    return "the update is not linear in the old state";
  return findChunks(op).illegal;
}

/// The lengths of chunks that are tried. Shorter ones do not use a loaded state
/// well, longer ones do more work within the chunk than across.
static constexpr int64_t chunkLengths[] = {16, 32, 64, 128};

static PlanAttr chunkedPlan(RecurrenceOp op, FactsAttr facts,
                            const Workload &work, const Machine &machine,
                            int64_t chunk) {
  Chunks chunks = findChunks(op);
  if (!chunk)
    chunk = chunks.block;
  // Tiles of matrix units.
  if (!chunk && machine.isGPU)
    chunk = 64;
  if (!chunk) {
    Workload own(work);
    own.powers = chunks.powers;
    chunk = chunkLengths[0];
    for (int64_t each : chunkLengths)
      if (chunkedCost(own, machine, each).seconds <
          chunkedCost(own, machine, chunk).seconds)
        chunk = each;
  }
  return PlanAttr::get(op.getContext(), Form::Chunked, chunk);
}

//===----------------------------------------------------------------------===//
// Scan
//===----------------------------------------------------------------------===//

static std::string scanIllegal(RecurrenceOp op, FactsAttr facts) {
  if (isInner(op))
    return "it runs within the steps of another recurrence";
  algebra::Context context(op.getContext());
  std::string reason;
  if (!hasScanForm(context, op, reason))
    return reason.empty() ? "it is not of the class" : reason;
  return "";
}

static PlanAttr scanPlan(RecurrenceOp op, FactsAttr, const Workload &,
                         const Machine &, int64_t chunk) {
  return PlanAttr::get(op.getContext(), Form::Scan, chunk);
}

//===----------------------------------------------------------------------===//
// Newton
//===----------------------------------------------------------------------===//

static std::string newtonIllegal(RecurrenceOp op, FactsAttr facts) {
  if (isInner(op))
    return "it runs within the steps of another recurrence";
  algebra::Context context(op.getContext());
  std::string reason;
  if (!findNewtonStructure(context, op, reason))
    return reason.empty() ? "it is not of the class" : reason;
  return "";
}

static PlanAttr newtonPlan(RecurrenceOp op, FactsAttr, const Workload &,
                           const Machine &, int64_t chunk) {
  return PlanAttr::get(op.getContext(), Form::Newton, chunk);
}

//===----------------------------------------------------------------------===//
// The table
//===----------------------------------------------------------------------===//

static const FormRow table[] = {
    {Form::Sequential, "one step after the other", true, true,
     sequentialIllegal, sequentialPlan,
     [](const Workload &work, const Machine &machine, PlanAttr) {
       return sequentialCost(work, machine);
     }},
    {Form::Scan, "steps are combined pairwise, as a prefix sum is", true,
     false, scanIllegal, scanPlan,
     [](const Workload &work, const Machine &machine, PlanAttr) {
       return scanCost(work, machine);
     }},
    {Form::Chunked, "matrix products within chunks of steps", true, true,
     chunkedIllegal, chunkedPlan,
     [](const Workload &work, const Machine &machine, PlanAttr plan) {
       return chunkedCost(work, machine, plan.getChunk());
     }},
    {Form::Newton,
     "the steps of a window are guessed at once and corrected until they fit",
     true, false, newtonIllegal, newtonPlan,
     [](const Workload &work, const Machine &machine, PlanAttr) {
       return newtonCost(work, machine);
     }},
};

ArrayRef<FormRow> rondo::getFormTable() { return table; }

const FormRow *rondo::getFormRow(Form form) {
  const FormRow *row = llvm::find_if(
      table, [&](const FormRow &each) { return each.form == form; });
  return row == std::end(table) ? nullptr : row;
}

std::string rondo::whyIllegal(RecurrenceOp op, FactsAttr facts,
                              PlanAttr plan) {
  const FormRow *row = getFormRow(plan.getForm());
  if (!row)
    return "a recurrence has no such form";
  std::string reason = row->illegal(op, facts);
  if (!reason.empty() || plan.getForm() != Form::Chunked || !plan.getChunk())
    return reason;
  unsigned block = findChunks(op).block;
  if (block && plan.getChunk() != block)
    return "its reads are frozen for blocks of " + std::to_string(block) +
           " steps, so that is the only possible chunk";
  return reason;
}

Choice rondo::weigh(RecurrenceOp op, FactsAttr facts, int64_t chunk) {
  Choice choice;
  Sizes sizes(op->getParentOfType<KernelOp>());
  choice.work = measure(op, facts, sizes);
  choice.work.powers = findChunks(op).powers;
  choice.machine = getMachine(op);
  choice.assumed.assign(sizes.assumed().begin(), sizes.assumed().end());
  for (const FormRow &row : table) {
    Candidate candidate{&row, row.illegal(op, facts),
                        choice.machine.isGPU ? row.onGPU : row.onCPU,
                        PlanAttr(), Cost()};
    if (candidate.illegal.empty()) {
      candidate.plan =
          row.plan(op, facts, choice.work, choice.machine, chunk);
      candidate.illegal = whyIllegal(op, facts, candidate.plan);
      candidate.cost = row.cost(choice.work, choice.machine, candidate.plan);
    }
    choice.candidates.push_back(candidate);
    const Candidate &best = choice.candidates[choice.best];
    if (candidate.illegal.empty() && candidate.exists &&
        candidate.cost.seconds < best.cost.seconds)
      choice.best = choice.candidates.size() - 1;
  }
  return choice;
}
