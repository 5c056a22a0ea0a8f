//===- ChannelChoice.cpp - Which kernels by channel are made --------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Step by step a channel takes the latency of its step, T times, and as long as
// a quarter of a multiprocessor has no more than a warp, more channels take no
// more time. Newton's method computes a step several times, by many threads: a
// wave of blocks, one for each multiprocessor, takes the work of its steps. So
// few channels are computed by Newton's method, and many step by step.
//
//===----------------------------------------------------------------------===//

#include "dialects/Rondo/IR/RondoOps.h"
#include "passes/Algebra/Linear.h"
#include "passes/Forms/ChannelKernel.h"
#include "llvm/ADT/StringSwitch.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::algebra;

namespace {

/// Cycles of a multiprocessor's quarter.
struct Cycles {
  int64_t latency, work;
};

/// Of a device that code is not made for in particular.
constexpr int64_t multiprocessors = 132;
constexpr int64_t threadsOfWarp = 32, quarters = 4;
/// Bytes of shared memory that a kernel declares, with room for others.
constexpr int64_t mostBytes = 40 * 1024;

/// Sweeps over the steps until a window is expected to have settled: with the
/// steps for the guess and a correction, in which derivatives are computed,
/// too.
constexpr double sweepsExpected = 3.2;
/// What of the time of instructions alone is used, where warps wait for others.
constexpr double use = 0.75;

} // namespace

/// Functions are of a special unit, with some work around it; an access to
/// memory has its address, and is on its way before it is needed.
static Cycles getCycles(Expr expr) {
  if (expr->kind == Kind::Read)
    return {0, 5};
  if (expr->kind == Kind::Reduce)
    return {200, 100};
  if (expr->kind != Kind::Apply)
    return {0, 0};
  StringRef name = expr->op.getValue();
  if (name.starts_with("arith.") && name != "arith.divf")
    return {4, 1};
  return llvm::StringSwitch<Cycles>(name)
      .Case("rondo.sigmoid", {70, 12})
      .Case("math.tanh", {85, 20})
      .Cases({"math.exp", "math.exp2", "math.sqrt", "arith.divf"}, {40, 10})
      .Default({120, 30});
}

/// Latency of a step from the past on, and the work of all of it.
static Cycles measureStep(const ChannelStructure &structure) {
  Cycles step{0, 5 * static_cast<int64_t>(structure.results.size())};
  DenseMap<Expr, int64_t> known; // -1: does not depend on the past
  auto measure = [&](auto &self, Expr expr) -> int64_t {
    auto [place, isNew] = known.try_emplace(expr, -1);
    if (!isNew)
      return place->second;
    bool isState =
        expr->kind == Kind::Read && expr->value.getDefiningOp<RecurrenceOp>();
    int64_t depth = isState ? 0 : -1;
    if (!isState) {
      Cycles own = getCycles(expr);
      step.work += own.work;
      if (expr->kind == Kind::Apply)
        for (Expr arg : expr->args)
          if (int64_t before = self(self, arg); before >= 0)
            depth = std::max(depth, before + own.latency);
    }
    return known[expr] = depth;
  };
  for (const ChannelStructure::State &state : structure.states)
    step.latency = std::max(step.latency, measure(measure, state.value));
  return step;
}

/// Whether a step computes more than sums and products, with something that
/// depends on it.
static bool hasFunctions(const ChannelStructure &structure) {
  auto isOfStep = [&](Expr node) {
    return node == structure.time ||
           (node->kind == Kind::Read &&
            node->value.getDefiningOp<RecurrenceOp>());
  };
  return llvm::any_of(structure.states, [&](const auto &state) {
    return contains(state.value, [&](Expr node) {
      return node->kind == Kind::Apply && getCycles(node).work > 1 &&
             contains(node, isOfStep);
    });
  });
}

/// Neighbouring channels are read together: 16 of them are a sector of memory
/// at the least. With private points a thread has 4 to 8 of them, which is
/// enough to hide the latency of arithmetic and leaves few sums across lanes.
static ChannelParameters shape(const ChannelStructure &structure,
                               ChannelForm form) {
  ChannelParameters p;
  p.form = form;
  p.steps = 8;
  p.channels = 16;
  switch (form) {
  case ChannelForm::Sequential: {
    int64_t points = structure.numPrivate > 64 ? 8 : 4;
    p.lanes =
        llvm::PowerOf2Ceil(llvm::divideCeil(structure.numPrivate, points));
    // Functions take longer than memory: small kernels should fill the device.
    if (p.lanes == 1 || (p.lanes <= 4 && !hasFunctions(structure)))
      p.channels = 32;
    if (structure.numPrivate > 1)
      p.steps = 16;
    break;
  }
  case ChannelForm::Scan:
    // Segments wait for those before them, once for each recurrence.
    p.channels = structure.groups.size() == 1 ? 16 : 32;
    p.segments = structure.groups.size() == 1 ? 16 : 8;
    break;
  case ChannelForm::Newton: {
    int64_t n = structure.states.size();
    p.steps = structure.countReadsOfStep() <= 4 ? 8 : 4;
    p.ahead = 24 / p.steps;
    // Maps in shared memory, three for each segment.
    while (p.channels > 1 &&
           p.channels * p.segments * 3 * n * (n + 1) * 8 > mostBytes)
      p.channels /= 2;
    break;
  }
  case ChannelForm::Guess:
    break;
  }
  return p;
}

/// A warp has neighbouring channels of one segment: their rows are lines of
/// memory, or half of one.
std::optional<ChannelParameters>
rondo::shapeGuess(const ChannelStructure &structure,
                  const ChannelParameters &newton) {
  if (newton.form != ChannelForm::Newton ||
      structure.states.size() * 512 * 8 > mostBytes)
    return std::nullopt;
  ChannelParameters p = newton;
  p.form = ChannelForm::Guess;
  p.channels = threadsOfWarp;
  p.segments = std::min<int64_t>(p.segments, 16);
  return p;
}

/// Up to how many channels, and from how many steps on, Newton's method is
/// expected to be faster than one step after the other.
static void setLimits(const ChannelStructure &structure, ChannelParameters &p) {
  Cycles step = measureStep(structure);
  double warps =
      static_cast<double>(p.channels * p.segments) / (threadsOfWarp * quarters);
  double sweep = std::max<double>(step.latency, warps * step.work) / use;
  double oneByOne = std::max(step.latency, step.work) / use;
  int64_t waves = oneByOne * p.segments / (sweepsExpected * sweep);
  p.mostChannels = waves * multiprocessors * p.channels;
  // The least segment, with a guess, and what it takes to meet.
  int64_t least = ((16 * sweepsExpected + 24) * sweep + 4000) / oneByOne;
  p.leastSteps = llvm::divideCeil(least, 64) * 64;
}

/// Whether a state is a maximum, or its smooth kin, of its past: it remembers
/// the greatest value for as long as there is none greater, so that Newton's
/// sweeps carry it from segment to segment one by one (log-add-exp over 2048
/// steps: nine times as long as step by step).
static bool remembersExtrema(const ChannelStructure &structure) {
  return llvm::any_of(structure.states, [](const auto &state) {
    RecurrenceOp op = state.recurrence;
    auto facts = op->template getAttrOfType<FactsAttr>("rondo.facts");
    if (!facts || state.member >= facts.getStates().size())
      return false;
    Transition kind = facts.getState(state.member).getKind();
    return kind == Transition::MaxPlus || kind == Transition::Semigroup;
  });
}

SmallVector<ChannelParameters, 2>
rondo::chooseChannelKernels(Context &context, ChannelStructure &structure,
                            std::optional<Form> wish, std::string &reason) {
  bool hasPrivate = structure.numPrivate > 1 || !structure.sums.empty();
  if (wish == Form::Newton) {
    if (!findChannelDerivatives(context, structure, reason))
      return {};
    return {shape(structure, ChannelForm::Newton)};
  }
  if (wish != Form::Sequential && !hasPrivate &&
      findChannelMaps(context, structure, reason))
    return {shape(structure, ChannelForm::Scan)};
  if (wish == Form::Scan && hasPrivate)
    reason = "a channel has several states of a kind";
  if (wish == Form::Scan)
    return {};
  SmallVector<ChannelParameters, 2> kernels;
  std::string unused;
  if (!wish && !remembersExtrema(structure) &&
      findChannelDerivatives(context, structure, unused)) {
    kernels.push_back(shape(structure, ChannelForm::Newton));
    setLimits(structure, kernels.back());
    if (!kernels.back().mostChannels)
      kernels.clear();
  }
  kernels.push_back(shape(structure, ChannelForm::Sequential));
  return kernels;
}

static std::string describe(ChannelForm form) {
  switch (form) {
  case ChannelForm::Sequential:
    return "step by step";
  case ChannelForm::Scan:
    return "by composed steps";
  case ChannelForm::Newton:
    return "by Newton's method";
  case ChannelForm::Guess:
    break;
  }
  llvm_unreachable("not a form");
}

std::string rondo::describeChannelKernels(ArrayRef<ChannelParameters> kernels) {
  std::string text;
  for (const ChannelParameters &p : kernels.drop_back())
    text += describe(p.form) + " for up to " + std::to_string(p.mostChannels) +
            " channels of all batch points together and at least " +
            std::to_string(p.leastSteps) +
            " steps, where that is expected to take less time; else ";
  return text + describe(kernels.back().form);
}
