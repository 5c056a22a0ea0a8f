//===- DevicePrograms.cpp - Which kernels become programs on tiles --------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// For CUDA, whether a kernel has a form on tiles is found by trying, on a copy.
// A kernel that has none as a whole is tried in stages (passes/Algebra/Stages.h).
//
//===----------------------------------------------------------------------===//

#include "compiler/Pipeline/Pipeline.h"
#include "dialects/Rondo/IR/RondoOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Algebra/Passes.h"
#include "passes/Algebra/Stages.h"
#include "passes/Common/Cleanup.h"
#include "passes/Forms/CellKernel.h"
#include "passes/Forms/ChannelKernel.h"
#include "passes/Forms/Passes.h"
#include "passes/GPU/Capabilities.h"
#include "passes/GPU/Passes.h"
#include "passes/GPU/Tile/Passes.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace rondo;
using algebra::Stages;

//===----------------------------------------------------------------------===//
// One kernel
//===----------------------------------------------------------------------===//

static bool hasChunkedPlan(Operation *op) {
  bool any = false;
  op->walk([&](RecurrenceOp each) {
    auto plan = each->getAttrOfType<PlanAttr>("rondo.plan");
    any |= plan && plan.getForm() == Form::Chunked;
  });
  return any;
}

static void planSequential(Operation *op) {
  op->walk([&](RecurrenceOp each) {
    each->setAttr("rondo.plan",
                  PlanAttr::get(op->getContext(), Form::Sequential));
  });
}

int64_t rondo::getSharedBytes(ArrayRef<std::string> chips) {
  int64_t memory = std::numeric_limits<int64_t>::max();
  for (const std::string &chip : chips)
    memory = std::min<int64_t>(memory, rondo::gpu::findChip(chip)->sharedBytes);
  return memory;
}

void rondo::addTiledAttention(PassManager &passes, int64_t block,
                              bool powers) {
  ToTiledAttentionOptions options;
  options.powers = powers;
  options.rows = options.keys = block;
  passes.addPass(createToTiledAttention(options));
  addCleanup(passes);
  passes.addPass(algebra::createMergeEquations());
}

/// For how much memory copies may be laid out so that blocks have what they
/// need on every chip; none: whatever is done, it is too much, `needed` bytes.
static std::optional<int64_t> findTileMemory(ModuleOp module,
                                             ArrayRef<std::string> chips,
                                             int64_t &needed) {
  const int64_t memory = getSharedBytes(chips);
  int64_t budget = memory;
  for (int attempt = 0; attempt < 6 && budget > 0; ++attempt) {
    needed = 0;
    for (const std::string &chip : chips) {
      OwningOpRef<ModuleOp> trial = module.clone();
      tile::LowerTileToNVVMOptions options;
      options.warpgroups = rondo::gpu::findChip(chip)->hasWarpgroups();
      PassManager passes(module.getContext());
      tile::buildPipeline(passes, budget);
      passes.addPass(tile::createLowerTileToNVVM(options));
      if (failed(passes.run(*trial)))
        return std::nullopt;
      trial->walk([&](mlir::gpu::GPUFuncOp kernel) {
        if (auto own = kernel->getAttrOfType<IntegerAttr>("tile.shared_bytes"))
          needed = std::max(needed, own.getInt());
      });
    }
    if (needed <= memory)
      return budget;
    budget -= std::max(needed - memory, budget / 4);
  }
  return std::nullopt;
}

/// `block`: of rows and of keys, of an attention.
Failure Compiler::tryTiles(KernelOp kernel, int64_t block, TileTrial &result) {
  result = {};
  OwningOpRef<ModuleOp> trial = ModuleOp::create(module->getLoc());
  OpBuilder builder = OpBuilder::atBlockEnd(trial->getBody());
  auto copy = cast<KernelOp>(builder.clone(*kernel));
  PassManager passes(context.get());
  if (hasChunkedPlan(kernel)) {
    ToChunkedOptions chunked;
    chunked.planned = true;
    chunked.diagonal = "pairs";
    chunked.block = 64;
    passes.addPass(createToChunked(chunked));
    addCleanup(passes);
    passes.addPass(algebra::createMergeEquations());
  } else {
    PassManager raising(context.get());
    raising.addPass(algebra::createRaiseAttention());
    if (Failure failure = runPasses(raising, *trial, Failure::Internal);
        failure != Failure::None)
      return failure;
    if (copy.getBody().getOps<AttentionOp>().empty())
      return Failure::None;
    addTiledAttention(passes, block, /*powers=*/false);
  }
  addCleanup(passes);
  passes.addPass(tile::createLowerFormsToTile());
  addCleanup(passes);
  if (Failure failure = runPasses(passes, *trial, Failure::Internal);
      failure != Failure::None)
    return failure;
  if (!trial->getOps<KernelOp>().empty()) {
    if (auto reason = copy->getAttrOfType<StringAttr>("rondo.tiles"))
      result.reason = reason.str();
    return Failure::None;
  }
  auto chips = parseChips(options.archs);
  if (!chips)
    return fail(Failure::Environment, llvm::toString(chips.takeError()));
  int64_t needed = 0;
  std::optional<int64_t> memory = findTileMemory(*trial, *chips, needed);
  if (!memory) {
    result.reason = "a block would need " + std::to_string(needed) +
                    " bytes of shared memory, " +
                    std::to_string(getSharedBytes(*chips)) + " are there";
    return Failure::None;
  }
  result.memory = *memory;
  result.program = std::move(trial);
  return Failure::None;
}

Failure Compiler::tryTiles(KernelOp kernel, TileTrial &result) {
  // The larger blocks of rows and keys are, the less often keys are read.
  for (int64_t block : {128, 64}) {
    if (Failure failure = tryTiles(kernel, block, result);
        failure != Failure::None)
      return failure;
    // Only a refusal is tried again.
    if (hasChunkedPlan(kernel) || result.reason.empty())
      break;
  }
  return Failure::None;
}

//===----------------------------------------------------------------------===//
// Stages
//===----------------------------------------------------------------------===//

namespace rondo {

/// Cuts a kernel into stages, those on tiles as large as they can be, the rest
/// as small as they must be.
class StageSearch {
public:
  /// `kernel` is a copy that may be changed.
  StageSearch(Compiler &compiler, KernelOp kernel)
      : compiler(compiler), kernel(withoutLocals(kernel)), stages(kernel) {}

  /// The stages as kernels and programs on tiles; null where nothing is won.
  Failure run(OwningOpRef<ModuleOp> &result, int64_t &memory);
  ArrayRef<Attribute> getDescriptions() const { return descriptions; }

private:
  using Set = llvm::SetVector<unsigned>;
  static KernelOp withoutLocals(KernelOp kernel) {
    algebra::moveLocalsOut(kernel);
    return kernel;
  }
  const Stages::Part &part(unsigned i) const { return stages.getParts()[i]; }
  bool isOpen(unsigned i) const {
    return !part(i).isFree && !placed.contains(i);
  }
  bool isOnTiles(unsigned i) const;
  bool isSeed(unsigned i) const;
  bool isSum(unsigned i) const;
  bool isReady(unsigned i, const Set &with) const;
  Set ancestors(unsigned i) const;
  Set descendants(Set set, bool seeds) const;
  Failure tryStage(const Set &set, bool &found);
  bool place(const Set &set);
  bool isByChannel(const Set &set);
  Set withPointwise(const Set &set);
  void describe(const Set &set, const Twine &how);
  std::string nextName() {
    return (kernel.getSymName() + "_stage_" + Twine(programs.size())).str();
  }
  bool placeRest();

  Compiler &compiler;
  KernelOp kernel;
  Stages stages;
  Set placed;
  llvm::DenseMap<unsigned, std::string> refused; // from tiles, with the reason
  SmallVector<OwningOpRef<ModuleOp>> programs;
  SmallVector<Attribute> descriptions;
  int64_t leastMemory = std::numeric_limits<int64_t>::max();
  bool pays = false;
  std::string why; // the last set that was tried is no program on tiles
};

} // namespace rondo

/// Without recurrences, or with such as go by chunks only.
bool StageSearch::isOnTiles(unsigned i) const {
  if (refused.contains(i))
    return false;
  return llvm::all_of(part(i).ops, [](Operation *op) {
    auto recurrence = dyn_cast<RecurrenceOp>(op);
    return isa<EquationOp>(op) || (recurrence && hasChunkedPlan(recurrence));
  });
}

/// What matrix units are for: recurrences by chunks; scores of all pairs of
/// rows, which are too large to be handed on.
bool StageSearch::isSeed(unsigned i) const {
  return isOnTiles(i) && (part(i).hasRecurrence || part(i).ops.size() > 1);
}

bool StageSearch::isSum(unsigned i) const {
  return llvm::any_of(part(i).ops, [](Operation *op) {
    auto equation = dyn_cast<EquationOp>(op);
    return equation && equation.getCombiner();
  });
}

bool StageSearch::isReady(unsigned i, const Set &with) const {
  return llvm::all_of(part(i).needs, [&](unsigned from) {
    return part(from).isFree || placed.contains(from) || with.contains(from);
  });
}

/// What part `i` needs and is not placed yet, and the part.
StageSearch::Set StageSearch::ancestors(unsigned i) const {
  Set all;
  all.insert(i);
  for (unsigned k = 0; k < all.size(); ++k)
    for (unsigned from : part(all[k]).needs)
      if (isOpen(from))
        all.insert(from);
  return all;
}

/// `set` and what can be computed from it.
StageSearch::Set StageSearch::descendants(Set set, bool seeds) const {
  for (unsigned i = 0; i < stages.getParts().size(); ++i)
    if (isOpen(i) && isOnTiles(i) && (seeds || !isSeed(i)) && isReady(i, set) &&
        llvm::any_of(part(i).needs,
                     [&](unsigned from) { return set.contains(from); }))
      set.insert(i);
  return set;
}

/// "S, o: on tiles".
void StageSearch::describe(const Set &set, const Twine &how) {
  SmallVector<std::string> names;
  for (unsigned i : set)
    for (Operation *op : part(i).ops) {
      if (auto equation = dyn_cast<EquationOp>(op))
        names.push_back(equation.getName().str());
      else if (auto recurrence = dyn_cast<RecurrenceOp>(op))
        for (unsigned m = 0; m < recurrence.getNumMembers(); ++m)
          names.push_back(recurrence.getName(m).str());
    }
  descriptions.push_back(StringAttr::get(
      kernel.getContext(), llvm::join(names, ", ") + ": " + how.str()));
}

Failure StageSearch::tryStage(const Set &set, bool &found) {
  found = false;
  OwningOpRef<ModuleOp> scratch = ModuleOp::create(kernel.getLoc());
  OpBuilder builder = OpBuilder::atBlockEnd(scratch->getBody());
  KernelOp stage = stages.build(builder, nextName(), set);
  if (!stage)
    return Failure::None;
  Compiler::TileTrial trial;
  if (Failure failure = compiler.tryTiles(stage, trial);
      failure != Failure::None)
    return failure;
  if (!trial.program) {
    why = trial.reason;
    return Failure::None;
  }
  found = pays = true;
  leastMemory = std::min(leastMemory, trial.memory);
  describe(set, "a program on tiles");
  programs.push_back(std::move(trial.program));
  placed.insert(set.begin(), set.end());
  return Failure::None;
}

/// A stage that other passes find a form for.
bool StageSearch::place(const Set &set) {
  OwningOpRef<ModuleOp> scratch = ModuleOp::create(kernel.getLoc());
  OpBuilder builder = OpBuilder::atBlockEnd(scratch->getBody());
  KernelOp stage = stages.build(builder, nextName(), set);
  if (!stage)
    return false;
  planSequential(stage);
  algebra::Context context(kernel.getContext());
  std::string reason, how = "step by step";
  bool recurs = !stage.getBody().getOps<RecurrenceOp>().empty();
  SmallVector<ChannelParameters, 2> channels;
  if (auto structure = findChannelStructure(context, stage, reason))
    channels = chooseChannelKernels(context, *structure,
                                    compiler.getOptions().form, reason);
  if (!channels.empty()) {
    how = "channels side by side, " + describeChannelKernels(channels);
    pays |= recurs;
  } else if (auto cell = findCellStructure(context, stage, reason);
             cell && chooseCellParameters(*cell, reason)) {
    how = "a cell, all steps in one kernel";
    pays = true;
  } else if (!recurs) {
    how = "all points at once";
  }
  for (unsigned i : set)
    if (auto found = refused.find(i); found != refused.end())
      how += ", not on tiles (" + found->second + ")";
  describe(set, how);
  programs.push_back(std::move(scratch));
  placed.insert(set.begin(), set.end());
  return true;
}

bool StageSearch::isByChannel(const Set &set) {
  OwningOpRef<ModuleOp> scratch = ModuleOp::create(kernel.getLoc());
  OpBuilder builder = OpBuilder::atBlockEnd(scratch->getBody());
  KernelOp stage = stages.build(builder, nextName(), set);
  algebra::Context context(kernel.getContext());
  std::string reason;
  return stage && findChannelStructure(context, stage, reason);
}

/// With what is computed from it point by point, if that is by channel, too.
StageSearch::Set StageSearch::withPointwise(const Set &set) {
  Set wider = set;
  for (unsigned i = 0; i < stages.getParts().size(); ++i)
    if (isOpen(i) && part(i).ops.size() == 1 && !isSum(i) &&
        !part(i).hasRecurrence && isReady(i, wider) &&
        llvm::any_of(part(i).needs,
                     [&](unsigned from) { return wider.contains(from); }))
      wider.insert(i);
  return wider.size() > set.size() && isByChannel(wider) ? wider : set;
}

/// The first part that is left, and the equations that it needs: sums in stages
/// of their own, as points of these are independent.
bool StageSearch::placeRest() {
  for (bool recurrences : {true, false})
    for (unsigned i = 0; i < stages.getParts().size(); ++i) {
      if (!isOpen(i) || part(i).hasRecurrence != recurrences)
        continue;
      // The ancestors' order is that of needs; parts' numbers are an order too.
      Set all = ancestors(i);
      SmallVector<unsigned> order(all.begin(), all.end());
      llvm::sort(order);
      Set own;
      for (unsigned each : order) {
        if (each != i && !isSum(each) && !part(each).hasRecurrence) {
          own.insert(each);
          continue;
        }
        // With the pointwise ones before it that are not handed on yet.
        Set stage;
        for (unsigned before : own)
          if (llvm::is_contained(ancestors(each), before))
            stage.insert(before);
        stage.insert(each);
        if (part(each).hasRecurrence)
          stage = withPointwise(stage);
        if (!place(stage))
          return false;
      }
      return true;
    }
  return true;
}

Failure StageSearch::run(OwningOpRef<ModuleOp> &result, int64_t &memory) {
  auto numParts = static_cast<unsigned>(stages.getParts().size());
  auto anyOpen = [&] {
    for (unsigned i = 0; i < numParts; ++i)
      if (isOpen(i))
        return true;
    return false;
  };
  while (anyOpen()) {
    // All that can be on tiles now; then around one of its seeds, less and less.
    Set widest;
    for (unsigned i = 0; i < numParts; ++i)
      if (isOpen(i) && isOnTiles(i) && isReady(i, widest))
        widest.insert(i);
    SmallVector<unsigned> seeds;
    for (unsigned i : widest)
      if (isSeed(i))
        seeds.push_back(i);
    if (seeds.empty()) {
      if (!placeRest())
        return Failure::None;
      continue;
    }
    SmallVector<Set> candidates;
    auto add = [&](Set set) {
      // Built in the parts' order.
      SmallVector<unsigned> order(set.begin(), set.end());
      llvm::sort(order);
      Set sorted;
      sorted.insert(order.begin(), order.end());
      if (!llvm::is_contained(candidates, sorted))
        candidates.push_back(std::move(sorted));
    };
    if (!placed.empty() || widest.size() < numParts)
      add(widest);
    for (unsigned seed : seeds) {
      Set before = ancestors(seed);
      add(descendants(before, /*seeds=*/true));
      add(descendants(before, /*seeds=*/false));
      add(before);
    }
    bool found = false;
    for (const Set &set : candidates) {
      if (Failure failure = tryStage(set, found); failure != Failure::None)
        return failure;
      if (found)
        break;
    }
    if (found)
      continue;
    // Alone, with all that it needs in memory; or it is none for tiles.
    unsigned seed = seeds.front();
    Set before = ancestors(seed);
    bool isAlone = before.size() == 1;
    before.remove(seed);
    if (isAlone || llvm::any_of(before, [&](unsigned i) { return isSeed(i); })) {
      refused.insert({seed, why});
      continue;
    }
    SmallVector<unsigned> order(before.begin(), before.end());
    llvm::sort(order);
    for (unsigned each : order) {
      Set one;
      one.insert(each);
      if (!place(one))
        return Failure::None;
    }
  }
  // Which index was out of range is told by one stage.
  auto reportsFaults = [](OwningOpRef<ModuleOp> &program) {
    return program
        ->walk([](GatherOp) { return WalkResult::interrupt(); })
        .wasInterrupted();
  };
  if (!pays || programs.size() < 2 ||
      llvm::count_if(programs, reportsFaults) > 1)
    return Failure::None;

  // In their order; the first one tells of the whole.
  result = ModuleOp::create(kernel.getLoc());
  memory = leastMemory;
  Builder b(kernel.getContext());
  SmallVector<NamedAttribute> whole;
  for (NamedAttribute attr : kernel->getAttrDictionary())
    if (attr.getName() != "rondo.tiles")
      whole.push_back(attr);
  for (auto [i, program] : llvm::enumerate(programs)) {
    program->walk([&](Operation *op) {
      auto complete = [&](DictionaryAttr stage) {
        NamedAttrList attrs(stage);
        attrs.set("number", b.getI64IntegerAttr(i));
        attrs.set("of", kernel.getSymNameAttr());
        if (i == 0) {
          attrs.set("whole", b.getDictionaryAttr(whole));
          attrs.set("handed", stages.getHandedOn());
        }
        return attrs.getDictionary(kernel.getContext());
      };
      if (auto stage = op->getAttrOfType<DictionaryAttr>("rondo.stage"))
        op->setAttr("rondo.stage", complete(stage));
      auto signature = op->getAttrOfType<DictionaryAttr>("rondo.signature");
      auto stage =
          signature ? signature.getAs<DictionaryAttr>("rondo.stage") : nullptr;
      if (!stage)
        return;
      NamedAttrList attrs(signature);
      attrs.set("rondo.stage", complete(stage));
      op->setAttr("rondo.signature", attrs.getDictionary(kernel.getContext()));
    });
    moveProgram(*program, result->getBody(), result->getBody()->end());
  }
  return Failure::None;
}

//===----------------------------------------------------------------------===//
// All kernels
//===----------------------------------------------------------------------===//

/// Moves a program's functions to a place; its device functions join those of
/// the module there.
void rondo::moveProgram(ModuleOp from, Block *to, Block::iterator place) {
  auto module = cast<ModuleOp>(to->getParentOp());
  for (Operation &op : llvm::make_early_inc_range(*from.getBody())) {
    auto program = dyn_cast<mlir::gpu::GPUModuleOp>(op);
    if (!program) {
      op.moveBefore(to, place);
      continue;
    }
    mlir::gpu::GPUModuleOp kernels = gpu::getOrCreateKernels(module);
    kernels.getBody()->getOperations().splice(
        kernels.getBody()->end(), program.getBody()->getOperations());
  }
}

/// Kernels by chunks, and attentions, as programs on tiles, whole or in stages:
/// `rondo.tiles` on the kernel says that there is one, or why there is none, and
/// `rondo.stages` what its stages are. Where there is none, and unless chunks
/// were asked for, the kernel goes on step by step: products of chunks pay on
/// matrix units only.
Failure Compiler::findTilePrograms() {
  for (KernelOp kernel : module->getOps<KernelOp>()) {
    bool isChunked = hasChunkedPlan(kernel);
    if (!isChunked && options.form == Form::Sequential)
      continue;
    TileTrial trial;
    if (Failure failure = tryTiles(kernel, trial); failure != Failure::None)
      return failure;
    Builder b(context.get());
    if (trial.program) {
      kernel->setAttr("rondo.tiles", b.getUnitAttr());
    } else {
      if (!trial.reason.empty())
        kernel->setAttr("rondo.tiles", b.getStringAttr(trial.reason));
      if (Failure failure = findStages(kernel, trial); failure != Failure::None)
        return failure;
    }
    if (trial.program) {
      tileMemory = std::min(tileMemory, trial.memory);
      tilePrograms[kernel.getSymName()] = std::move(trial.program);
    } else if (isChunked && !options.form) {
      planSequential(kernel);
    }
  }
  return Failure::None;
}

Failure Compiler::findStages(KernelOp kernel, TileTrial &result) {
  // A step of time is a launch by itself, and backward passes are one kernel.
  auto entry = kernel->getAttrOfType<StringAttr>("entry");
  if (!kernel.getTime() || (entry && entry.getValue() == "backward") ||
      (options.form && options.form != Form::Chunked))
    return Failure::None;
  // What one kernel of another kind does is best left to it.
  algebra::Context algebra(context.get());
  std::string reason;
  if (findChannelStructure(algebra, kernel, reason))
    return Failure::None;
  if (auto cell = findCellStructure(algebra, kernel, reason);
      cell && chooseCellParameters(*cell, reason))
    return Failure::None;
  OwningOpRef<ModuleOp> scratch = ModuleOp::create(kernel.getLoc());
  OpBuilder builder = OpBuilder::atBlockEnd(scratch->getBody());
  StageSearch search(*this, cast<KernelOp>(builder.clone(*kernel)));
  if (Failure failure = search.run(result.program, result.memory);
      failure != Failure::None || !result.program)
    return failure;
  kernel->setAttr("rondo.stages",
                  ArrayAttr::get(context.get(), search.getDescriptions()));
  return Failure::None;
}

/// Puts programs on tiles in the place of their kernels.
void Compiler::moveTilePrograms() {
  for (KernelOp kernel :
       llvm::make_early_inc_range(module->getOps<KernelOp>())) {
    kernel->removeAttr("rondo.tiles");
    kernel->removeAttr("rondo.stages");
    auto found = tilePrograms.find(kernel.getSymName());
    if (found == tilePrograms.end())
      continue;
    moveProgram(*found->second, module->getBody(), kernel->getIterator());
    kernel.erase();
  }
  tilePrograms.clear();
}
