//===- Explain.cpp - What was chosen, in words ----------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/Driver/Driver.h"
#include "dialects/Rondo/IR/RondoOps.h"
#include "passes/Analysis/Facts.h"
#include "passes/Forms/CellKernel.h"
#include "passes/Forms/ChannelKernel.h"
#include "passes/Strategy/FormTable.h"
#include "llvm/ADT/StringExtras.h"

using namespace rondo;
using namespace rondo::analysis;
using llvm::ArrayRef;
using llvm::StringRef;

namespace {

/// Explains one recurrence after the other.
class Explainer {
public:
  Explainer(const CompileOptions &options, llvm::raw_ostream &os)
      : options(options), os(os) {}
  void explain(KernelOp kernel);

private:
  void explain(RecurrenceOp op);
  void explainFound(RecurrenceOp op, StateFactsAttr state);
  void explainWrites(StateFactsAttr state, ArrayRef<std::string> dims);
  void explainReads(StateFactsAttr state, ArrayRef<std::string> dims);
  void explainKernel(KernelOp kernel);
  void explainChoice(RecurrenceOp op, FactsAttr facts);

  const CompileOptions &options;
  llvm::raw_ostream &os;
};

/// "K", "K and V", "K, L and V".
std::string list(ArrayRef<std::string> names) {
  if (names.size() < 2)
    return names.empty() ? "" : names.front();
  return llvm::join(names.drop_back(), ", ") + " and " + names.back();
}

/// The names of dims of a state.
std::string list(mlir::DenseI64ArrayAttr dims, ArrayRef<std::string> names) {
  llvm::SmallVector<std::string> chosen;
  if (dims)
    for (int64_t dim : dims.asArrayRef())
      chosen.push_back(names[dim]);
  return list(chosen);
}

StringRef describe(Decay decay) {
  switch (decay) {
  case Decay::One:
    return "1";
  case Decay::Unit:
    return "between 0 and 1";
  case Decay::Positive:
    return "not negative";
  case Decay::Signed:
    return "of either sign";
  case Decay::Unknown:
    return "of a sign that the equations do not tell";
  }
  return "";
}

std::string describe(Coupling coupling, int64_t block) {
  switch (coupling) {
  case Coupling::Diagonal:
    return "each new element depends on its own old one only";
  case Coupling::Blocks:
    return "each new element depends on " + std::to_string(block) +
           " old ones";
  case Coupling::ByHead:
    return "each new element depends on the old ones of its own head";
  case Coupling::Dense:
    return "each new element depends on all old ones";
  }
  return "";
}

/// What the new value of a state is, as a function of the old one.
std::string describeTransition(StateFactsAttr state,
                               ArrayRef<std::string> dims) {
  std::string decay = "a factor for each " + list(state.getDecayDims(), dims) +
                      ", " + describe(state.getDecay()).str();
  if (!state.getDecayDims())
    decay = "one factor a step, " + describe(state.getDecay()).str();
  if (state.getDecay() == Decay::One)
    decay = "no decay";
  std::string coupling =
      describe(state.getJacobian(), state.getJacobianBlock());
  switch (state.getKind()) {
  case Transition::Identity:
    return "a running sum (identity transition)";
  case Transition::Scalar:
    return "linear, scalar transition: " + decay;
  case Transition::Diagonal:
    return "linear, diagonal transition: " + decay;
  case Transition::DiagonalLowRank:
    return "linear, diagonal plus low rank transition (a delta rule): " +
           decay + ", and " + std::to_string(state.getRank()) +
           (state.getRank() == 1 ? " product" : " products") +
           " with a contraction of the old state over " +
           list(state.getMixed(), dims);
  case Transition::Dense:
    return "linear, dense transition: " + coupling;
  case Transition::Convolution:
    return "linear, convolution: old values at neighbouring points";
  case Transition::MaxPlus:
    return "(max, +) transition: the greater of the old value plus a number "
           "and of something else";
  case Transition::Semigroup:
    return "a semigroup: steps combine to a function of the same family";
  case Transition::Nonlinear:
    return "nonlinear: " + coupling;
  }
  return "";
}

} // namespace

void Explainer::explainWrites(StateFactsAttr state,
                              ArrayRef<std::string> dims) {
  if (state.getWrite() == Write::Full)
    os << "      written by a full "
       << (dims.size() == 2 ? "matrix" : "tensor") << " each step\n";
  else if (state.getWrite() == Write::Outer && dims.size() > 1)
    os << "      written by " << state.getWriteRank()
       << (state.getWriteRank() == 1 ? " outer product" : " outer products")
       << " each step\n";
}

void Explainer::explainReads(StateFactsAttr state,
                             ArrayRef<std::string> dims) {
  StateRead reads = state.getReads();
  auto has = [&](StateRead each) { return bitEnumContainsAny(reads, each); };
  llvm::SmallVector<std::string> ways;
  std::string over = state.getContracts()
                         ? " contracted over " +
                               list(state.getContracts(), dims)
                         : "";
  if (has(StateRead::After))
    ways.push_back("after the update," + over);
  if (has(StateRead::Before))
    ways.push_back("before the update," + over +
                   (has(StateRead::Bonus)
                        ? ", with the step's own write weighted apart"
                        : ""));
  if (has(StateRead::Lagged))
    ways.push_back("some steps later," + over);
  if (has(StateRead::Elements))
    ways.push_back("element by element");
  if (has(StateRead::Whole))
    ways.push_back("as a whole: its history is a result");
  if (!ways.empty())
    os << "      read " << list(ways) << "\n";
}

void Explainer::explainFound(RecurrenceOp op, StateFactsAttr state) {
  auto equation = op.getSlice(0).getDefiningOp<EquationOp>();
  for (unsigned i = 0; i < op.getNumStates(); ++i)
    if (op.getName(i) == state.getName())
      equation = op.getSlice(i).getDefiningOp<EquationOp>();
  // Dims are called by their sizes; where these are numbers, by their places.
  llvm::SmallVector<std::string> shape, dims;
  if (equation)
    for (mlir::Value size : equation.getSizes().drop_front(op.getBatch())) {
      shape.push_back(describeSize(size));
      bool isNamed = llvm::isAlpha(shape.back().front());
      dims.push_back(isNamed ? shape.back()
                             : "dim " + std::to_string(dims.size()));
    }
  os << "    " << state.getName() << "[" << llvm::join(shape, ", ") << "] ("
     << stringifyTransition(state.getKind()) << ")\n"
     << "      " << describeTransition(state, dims) << "\n";
  if (state.getTimeInvariant() && state.getKind() != Transition::Identity)
    os << "      the transition is the same at every step\n";
  if (state.getBlock())
    os << "      some reads are frozen for blocks of " << state.getBlock()
       << " steps\n";
  else if (state.getLag() == 0)
    os << "      read arbitrarily far back\n";
  else if (state.getLag() > 1)
    os << "      read up to " << state.getLag() << " steps back\n";
  if (state.getCoupled()) {
    llvm::SmallVector<std::string> others;
    for (int64_t member : state.getCoupled().asArrayRef())
      others.push_back(op.getName(member).str());
    os << "      depends on the past of " << list(others) << "\n";
  }
  if (state.getThreshold())
    os << "      compares old values, so its derivative says nothing about a "
          "jump\n";
  explainWrites(state, dims);
  explainReads(state, dims);
}

void Explainer::explainChoice(RecurrenceOp op, FactsAttr facts) {
  Choice choice = weigh(op, facts, options.chunk);
  auto plan = op->getAttrOfType<PlanAttr>("rondo.plan");
  const FormRow *row = getFormRow(plan.getForm());
  os << "    form: " << stringifyForm(plan.getForm());
  if (plan.getChunk())
    os << ", " << plan.getChunk() << " steps a chunk";
  os << " (" << row->meaning << ")"
     << (options.form == plan.getForm() ? ", as asked for" : "") << "\n";
  Cost cost = row->cost(choice.work, choice.machine, plan);
  double least = choice.work.flops;
  for (const Candidate &each : choice.candidates)
    if (each.illegal.empty() && each.exists)
      least = std::min(least, each.cost.flops);
  Cost floor = floorCost(choice.work, choice.machine, least);
  os << "      expected " << formatSeconds(cost.seconds) << " on "
     << (choice.machine.isGPU ? "" : "one core of ") << choice.machine.name
     << ": " << cost.arithmetic << "\n"
     << "      floor    " << formatSeconds(floor.seconds) << ": "
     << floor.arithmetic << "\n"
     << "    other forms\n";
  for (const Candidate &each : choice.candidates) {
    if (each.row == row)
      continue;
    os << "      " << stringifyForm(each.row->form) << ": ";
    if (!each.illegal.empty())
      os << "not possible, " << each.illegal;
    else if (!each.exists)
      os << (options.target == TargetKind::CUDA
                 ? "possible, and chosen for kernels by channel alone (below)"
                 : "possible, but not derived for this target");
    else if (options.form)
      os << "possible, expected " << formatSeconds(each.cost.seconds);
    else
      os << "possible, but expected " << formatSeconds(each.cost.seconds)
         << ": " << each.cost.arithmetic;
    os << "\n";
  }
  if (choice.assumed.empty())
    return;
  os << "    assumed, as --dims does not say: ";
  llvm::interleaveComma(choice.assumed, os, [&](auto &size) {
    os << size.first << " = " << size.second;
  });
  os << "\n";
}

void Explainer::explain(RecurrenceOp op) {
  os << "  recurrence of ";
  for (unsigned i = 0, n = op.getNumMembers(); i < n; ++i)
    os << (i ? ", " : "") << op.getName(i)
       << (i < op.getNumStates() ? "" : " (local)");
  auto facts = op->getAttrOfType<FactsAttr>("rondo.facts");
  for (auto [i, size] : llvm::enumerate(facts.getAlong()))
    os << (i ? ", " : " along ")
       << llvm::cast<mlir::StringAttr>(size).getValue()
       << (op.getReversed()[i] ? " (from the end)" : "");
  os << "\n";
  for (unsigned i = 0; i < op.getNumStates(); ++i)
    explainFound(op, facts.getState(i));
  explainChoice(op, facts);
}

void Explainer::explain(KernelOp kernel) {
  os << "kernel " << kernel.getSymName() << "\n";
  bool any = false;
  kernel.walk([&](RecurrenceOp op) {
    any = true;
    explain(op);
  });
  if (auto why = kernel->getAttrOfType<mlir::StringAttr>("rondo.tiles"))
    os << "  its form by blocks does not run on tiles"
       << (kernel->hasAttr("rondo.stages") ? " as a whole: " : ": ")
       << why.getValue() << "\n";
  if (!any)
    os << "  no recurrence: every equation is computed at all points at "
          "once\n";
  if (options.target == TargetKind::CUDA)
    explainKernel(kernel);
}

/// Which device kernel it becomes, unless a form took its recurrences before.
void Explainer::explainKernel(KernelOp kernel) {
  if (kernel->hasAttrOfType<mlir::UnitAttr>("rondo.tiles")) {
    os << "  on the device: a program on tiles\n";
    return;
  }
  if (auto stages = kernel->getAttrOfType<mlir::ArrayAttr>("rondo.stages")) {
    os << "  on the device: " << stages.size()
       << " stages, one launch or more each\n";
    for (auto [i, stage] :
         llvm::enumerate(stages.getAsRange<mlir::StringAttr>()))
      os << "    " << i + 1 << ". " << stage.getValue() << "\n";
    return;
  }
  algebra::Context context(kernel.getContext());
  std::string reason;
  auto structure = findChannelStructure(context, kernel, reason);
  llvm::SmallVector<ChannelParameters, 2> kernels;
  if (structure)
    kernels = chooseChannelKernels(context, *structure, options.form, reason);
  os << "  on the device: ";
  if (!kernels.empty()) {
    os << "channels side by side, " << describeChannelKernels(kernels) << "\n";
    return;
  }
  std::string why;
  auto cell = findCellStructure(context, kernel, why);
  auto p = cell ? chooseCellParameters(*cell, why) : std::nullopt;
  if (p)
    os << "a cell, all steps in one kernel, "
       << llvm::divideCeil(cell->width, p->parts) << " units a block\n";
  else
    os << "not by channel (" << reason << "), no cell (" << why
       << "); without other forms, a block per batch point\n";
}

void driver::explain(Compiler &compiler, llvm::raw_ostream &os) {
  mlir::ModuleOp module = compiler.getModule();
  const CompileOptions &options = compiler.getOptions();
  // It went well when the forms were chosen.
  (void)compiler.setTarget();
  for (KernelOp kernel : module.getOps<KernelOp>())
    Explainer(options, os).explain(kernel);
  compiler.clearTarget();
}
