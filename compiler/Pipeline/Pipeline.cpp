//===- Pipeline.cpp - From a program to a library -------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/Pipeline/Pipeline.h"
#include "compiler/Pipeline/Registration.h"
#include "dialects/Rondo/IR/RondoOps.h"
#include "dialects/Rondo/Transforms/Passes.h"
#include "frontend/Lowering/ToRondo.h"
#include "frontend/Parser/Parser.h"
#include "frontend/Sema/Sema.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Algebra/Passes.h"
#include "passes/CPU/Passes.h"
#include "passes/CPU/Pipeline.h"
#include "passes/Common/Cleanup.h"
#include "passes/Forms/ChannelKernel.h"
#include "passes/Forms/Passes.h"
#include "passes/GPU/Capabilities.h"
#include "passes/GPU/Passes.h"
#include "passes/GPU/Pipeline.h"
#include "passes/GPU/Tile/Passes.h"
#include "passes/Strategy/Passes.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace rondo;

//===----------------------------------------------------------------------===//
// The recipe
//===----------------------------------------------------------------------===//

Failure Compiler::runPhase(Phase phase) {
  phaseTiming = timing.nest(phaseName(phase));
  auto stop = llvm::make_scope_exit([&] { phaseTiming.stop(); });
  switch (phase) {
  case Phase::Ast:
    return ir ? Failure::None : parseText();
  case Phase::Rondo:
    return ir ? parseIR() : lowerProgram();
  case Phase::Plan:
    return chooseForms();
  case Phase::Forms:
    return deriveForms();
  case Phase::LLVM:
    return lowerToLLVM();
  }
  llvm_unreachable("not a phase");
}

Failure Compiler::run(Phase last) {
  while (done < static_cast<int>(last)) {
    Phase phase = static_cast<Phase>(done + 1);
    if (Failure failure = runPhase(phase); failure != Failure::None)
      return failure;
    ++done;
    if (llvm::is_contained(options.dumpAfter, phase)) {
      errors << "// ----- after " << phaseName(phase) << " -----\n";
      print(phase, errors);
    }
  }
  return Failure::None;
}

/// Text to a syntax tree.
Failure Compiler::parseText() {
  ast = frontend::parse(sources, sources.getMainFileID(), diags);
  return diags.hasErrors() ? Failure::Program : Failure::None;
}

/// Syntax tree to resolved kernels to the rondo dialect.
Failure Compiler::lowerProgram() {
  frontend::SemaOptions sema;
  sema.kernel = options.kernel;
  sema.dims = options.dims;
  kernels = frontend::analyze(*ast, diags, sema);
  if (diags.hasErrors())
    return Failure::Program;
  if (kernels.empty())
    return fail(Failure::Program, "the file has no kernel");

  frontend::LoweringOptions lowering;
  lowering.io = options.io;
  module = frontend::lowerToRondo(*context, kernels, lowering, sources);
  if (diags.hasErrors())
    return Failure::Program;
  if (!module || failed(verify(*module)))
    return fail(Failure::Internal, "the lowering made invalid IR");
  return simplifyModel();
}

/// Whoever wrote the IR: no gradient is left, nothing is computed twice.
Failure Compiler::simplifyModel() {
  // Gradients inside a model; one without a closed form is the program's fault.
  PassManager passes(context.get());
  passes.addPass(algebra::createExpandGrad());
  addCleanup(passes);
  if (options.backward) {
    // Programs in IR may have whole forms.
    passes.addPass(createDecompose());
    passes.addPass(algebra::createDeriveBackward());
    addCleanup(passes);
  }
  // After the reads that expansion added; makes equal parts, which are merged.
  passes.addPass(algebra::createHoistInvariants());
  addCleanup(passes);
  passes.addPass(algebra::createMergeEquations());
  if (options.step || options.onlyStep) {
    passes.addPass(createDeriveStep({options.onlyStep}));
    addCleanup(passes);
  }
  return runPasses(passes, *module, Failure::Program);
}

/// Text in the rondo dialect.
Failure Compiler::parseIR() {
  // Locations in the IR's own text; its reports are the parser's.
  module = parseSourceFile<ModuleOp>(sources, context.get());
  if (!module || diags.hasErrors())
    return Failure::Program;
  if (module->getOps<KernelOp>().empty())
    return fail(Failure::Program, "the file has no rondo.kernel");
  if (options.kernel.empty())
    return simplifyModel();
  if (!module->lookupSymbol<KernelOp>(options.kernel))
    return fail(Failure::Program,
                "there is no kernel `" + options.kernel + "` in the file");
  for (KernelOp kernel : llvm::make_early_inc_range(module->getOps<KernelOp>()))
    if (kernel.getSymName() != options.kernel)
      kernel.erase();
  return simplifyModel();
}

/// Kernels of their own for what is pointwise in its channels; Newton's method
/// on devices is of this kind only, with up to 64 segments of 8 steps.
static Failure addChannelKernels(Compiler &compiler, OpPassManager &passes) {
  const CompileOptions &options = compiler.getOptions();
  auto chips = parseChips(options.archs);
  if (!chips)
    return compiler.fail(Failure::Environment,
                         llvm::toString(chips.takeError()));
  ToChannelKernelsOptions channels;
  channels.memory = getSharedBytes(*chips);
  if (options.form != Form::Newton) {
    if (options.form)
      channels.form = stringifyForm(*options.form).str();
    if (options.form != Form::Chunked) {
      passes.addPass(createToChannelKernels(channels));
      passes.addPass(createToCellKernels());
    }
    return Failure::None;
  }
  if (options.countIterations)
    return compiler.fail(Failure::Program, "--iterations is for --target=cpu");
  if (options.chunk % 8 || options.chunk > 512)
    return compiler.fail(Failure::Program,
                         "--chunk=" + llvm::Twine(options.chunk) +
                             ": on devices a window has a multiple of 8 steps, "
                             "up to 512");
  for (KernelOp kernel : compiler.getModule().getOps<KernelOp>()) {
    algebra::Context context(&compiler.getContext());
    std::string reason;
    auto structure = findChannelStructure(context, kernel, reason);
    if (!structure || !findChannelDerivatives(context, *structure, reason))
      return compiler.fail(Failure::Program,
                           "'" + kernel.getSymName() +
                               "' has no Newton form on devices (" + reason +
                               "); compile it with --form=sequential");
  }
  channels.form = "newton";
  if (options.chunk) {
    channels.steps = 4;
    channels.blocks = 2;
    channels.segments = options.chunk / 8;
  }
  passes.addPass(createToChannelKernels(channels));
  return Failure::None;
}

/// What each recurrence is, and how it will be computed.
Failure Compiler::chooseForms() {
  if (Failure failure = setTarget(); failure != Failure::None)
    return failure;
  PassManager expansion(context.get());
  // Nothing of the language becomes these operations; programs in IR may.
  expansion.addPass(createDecompose());
  addCleanup(expansion);
  // Contractions of states are seen in one equation from here on.
  expansion.addPass(algebra::createInlineReaders());
  if (Failure failure = runPasses(expansion, *module, Failure::Internal);
      failure != Failure::None)
    return failure;

  PassManager passes(context.get());
  std::string form = options.form ? stringifyForm(*options.form).str() : "";
  // Programs on tiles have one recurrence of a kind.
  if (options.target != TargetKind::CUDA) {
    passes.addPass(createSplitReaders({form, options.chunk}));
    addCleanup(passes);
    passes.addPass(algebra::createMergeEquations());
  }
  passes.addPass(createClassifyRecurrence());
  passes.addPass(createChooseForm({form, options.chunk}));
  // Also what a person wrote into the IR.
  passes.addPass(createVerifyPlan());
  Failure failure = runPasses(passes, *module, Failure::Program);
  clearTarget();
  if (failure != Failure::None || options.target != TargetKind::CUDA)
    return failure;
  return findTilePrograms();
}

/// The processors that were asked for. For kernels of bf16 numbers, those that
/// have dot products of them are among the two that are taken otherwise.
static auto findVariants(const CompileOptions &options) {
  bool isOfBF16 = options.io == frontend::model::DType::BF16;
  return rondo::getVariants(options.archs.empty() && isOfBF16
                                ? "x86-64-v3,x86-64-v4-bf16"
                                : llvm::StringRef(options.archs));
}

/// One choice for all variants: that of the best processor.
Failure Compiler::setTarget() {
  if (options.target == TargetKind::CUDA) {
    setDeviceTargetAttr(*module);
    return Failure::None;
  }
  auto targets = findVariants(options);
  if (!targets)
    return fail(Failure::Environment, llvm::toString(targets.takeError()));
  setTargetAttr(*module, targets->back());
  return Failure::None;
}

void Compiler::clearTarget() { (*module)->removeAttr("rondo.target"); }

/// The forms of a kernel's recurrences, for its callers: "sequential",
/// "chunked 16".
static std::string describeForms(KernelOp kernel) {
  SmallVector<std::string> forms;
  kernel.walk([&](RecurrenceOp op) {
    auto plan = op->getAttrOfType<PlanAttr>("rondo.plan");
    if (!plan || plan.getForm() == Form::Sequential)
      return;
    std::string form = stringifyForm(plan.getForm()).str();
    if (plan.getChunk())
      form += " " + std::to_string(plan.getChunk());
    if (!llvm::is_contained(forms, form))
      forms.push_back(form);
  });
  return forms.empty() ? "sequential" : llvm::join(forms, ", ");
}

/// Recurrences and equations to loops over memrefs.
Failure Compiler::deriveForms() {
  llvm::StringMap<std::string> forms;
  for (KernelOp kernel : module->getOps<KernelOp>())
    if (!tilePrograms.contains(kernel.getSymName())) // they know theirs
      forms[kernel.getSymName()] = describeForms(kernel);

  moveTilePrograms();

  PassManager passes(context.get());
  // The recurrences over blocks of keys are no subject of plans.
  if (options.form != Form::Sequential && options.target == TargetKind::CPU) {
    passes.addPass(algebra::createRaiseAttention());
    addTiledAttention(passes, /*block=*/64, /*powers=*/true);
  }
  // Each pass derives the forms that plans ask for; what is left is sequential.
  ToChunkedOptions chunked;
  chunked.planned = true;
  passes.addPass(createToChunked(chunked));
  if (options.target == TargetKind::CUDA)
    if (Failure failure = addChannelKernels(*this, passes);
        failure != Failure::None)
      return failure;
  ToNewtonOptions newton;
  newton.planned = true;
  newton.count = options.countIterations;
  passes.addPass(createToNewton(newton));
  ToScanOptions scan;
  scan.planned = true;
  passes.addPass(createToScan(scan));
  addCleanup(passes);
  passes.addPass(algebra::createMergeEquations());
  // The derived forms have scans and triangular systems.
  passes.addPass(createDecompose());
  addCleanup(passes);
  // Devices have an instruction for powers of two; their kernels take exp.
  if (options.target == TargetKind::CPU) {
    passes.addPass(algebra::createScaleExponents());
    addCleanup(passes);
  }
  ToSequentialOptions sequential;
  sequential.rows = options.target == TargetKind::CPU;
  passes.addPass(createToSequential(sequential));
  addCleanup(passes);
  passes.addPass(createVerifyForms());
  if (options.target == TargetKind::CUDA) {
    passes.addPass(cpu::createResolveSizes());
    passes.addPass(gpu::createOutlineKernels());
    addCleanup(passes);
  }
  if (Failure failure = runPasses(passes, *module, Failure::Internal);
      failure != Failure::None)
    return failure;
  // Kernels by channel know theirs.
  for (auto func : module->getOps<func::FuncOp>())
    if (auto form = forms.find(func.getName());
        form != forms.end() && func->hasAttr("rondo.form") &&
        !func->hasAttr("rondo.channels"))
      func->setAttr("rondo.form",
                    StringAttr::get(context.get(), form->second));
  return Failure::None;
}

llvm::Expected<llvm::SmallVector<std::string>>
rondo::parseChips(StringRef archs) {
  llvm::SmallVector<std::string> chips;
  SmallVector<StringRef> names;
  StringRef(archs.empty() ? "sm_80,sm_90a" : archs).split(names, ',');
  for (StringRef name : names) {
    name = name.trim();
    if (!gpu::findChip(name)) {
      std::string known;
      for (const gpu::Chip &chip : gpu::getChips())
        known += (known.empty() ? "" : ", ") + chip.name.str();
      return llvm::createStringError("unknown --arch '" + name +
                                     "' for cuda, expected one of " + known);
    }
    if (!llvm::is_contained(chips, name))
      chips.push_back(name.str());
  }
  return chips;
}

/// Kernels to the NVVM dialect, once for each chip, and what launches them.
Failure Compiler::lowerToNVVM() {
  auto chips = parseChips(options.archs);
  if (!chips)
    return fail(Failure::Environment, llvm::toString(chips.takeError()));
  PassManager tiles(context.get());
  tile::buildPipeline(tiles, std::min(tileMemory, getSharedBytes(*chips)));
  // Programs on tiles have all their launches now.
  tiles.addPass(gpu::createJoinStages());
  if (Failure failure = runPasses(tiles, *module, Failure::Internal);
      failure != Failure::None)
    return failure;
  for (const std::string &chip : *chips) {
    OwningOpRef<ModuleOp> device = module->clone();
    (*device)->setAttr("rondo.chip", StringAttr::get(context.get(), chip));
    PassManager passes(context.get());
    tile::LowerTileToNVVMOptions tiles;
    tiles.warpgroups = gpu::findChip(chip)->hasWarpgroups();
    passes.addPass(tile::createLowerTileToNVVM(tiles));
    gpu::buildDevicePipeline(passes);
    if (Failure failure = runPasses(passes, *device, Failure::Internal);
        failure != Failure::None)
      return failure;
    devices.push_back({chip, std::move(device)});
  }
  auto target = rondo::getTarget("x86-64-v2");
  if (!target)
    return fail(Failure::Internal, llvm::toString(target.takeError()));
  OwningOpRef<ModuleOp> host = module->clone();
  setTargetAttr(*host, *target);
  PassManager passes(context.get());
  passes.addPass(tile::createLowerTileToNVVM());
  gpu::buildHostPipeline(passes);
  cpu::buildPipeline(passes, {});
  if (Failure failure = runPasses(passes, *host, Failure::Internal);
      failure != Failure::None)
    return failure;
  variants.push_back({*target, std::move(host)});
  return Failure::None;
}

/// Loops to the LLVM dialect, once for each processor.
Failure Compiler::lowerToLLVM() {
  if (options.target == TargetKind::CUDA)
    return lowerToNVVM();
  auto targets = findVariants(options);
  if (!targets)
    return fail(Failure::Environment, llvm::toString(targets.takeError()));
  // Side by side in one module, where MLIR lowers them at the same time.
  OwningOpRef<ModuleOp> all = ModuleOp::create(module->getLoc());
  SmallVector<ModuleOp> lowered;
  for (TargetDescription &target : *targets) {
    lowered.push_back(module->clone());
    setTargetAttr(lowered.back(), target);
    all->push_back(lowered.back());
  }
  PassManager passes(context.get());
  cpu::buildPipeline(passes.nest<ModuleOp>(), {});
  // To verify after every pass takes as long as half of the passes.
  passes.enableVerifier(options.verifyEach);
  context->enableMultithreading(lowered.size() > 1);
  Failure failure = runPasses(passes, *all, Failure::Internal);
  context->disableMultithreading();
  for (auto [target, variant] : llvm::zip_equal(*targets, lowered)) {
    variant->remove();
    variants.push_back({target, OwningOpRef<ModuleOp>(variant)});
  }
  return failure;
}

//===----------------------------------------------------------------------===//
// Around it
//===----------------------------------------------------------------------===//

StringRef rondo::phaseName(Phase phase) {
  switch (phase) {
  case Phase::Ast:
    return "ast";
  case Phase::Rondo:
    return "rondo";
  case Phase::Plan:
    return "plan";
  case Phase::Forms:
    return "forms";
  case Phase::LLVM:
    return "llvm";
  }
  llvm_unreachable("not a phase");
}

std::optional<Phase> rondo::parsePhase(StringRef name) {
  return llvm::StringSwitch<std::optional<Phase>>(name)
      .Case("ast", Phase::Ast)
      .Case("rondo", Phase::Rondo)
      .Case("plan", Phase::Plan)
      .Case("forms", Phase::Forms)
      .Case("llvm", Phase::LLVM)
      .Default(std::nullopt);
}

/// The place in the program that a location stems from, if there is one.
static llvm::SMLoc findPlace(const llvm::SourceMgr &sources, Location loc) {
  llvm::SMLoc place;
  loc->walk([&](Location part) {
    auto file = dyn_cast<FileLineColLoc>(part);
    if (!file || !file.getLine())
      return WalkResult::advance();
    unsigned buffer = sources.getMainFileID();
    if (file.getFilename() !=
        sources.getMemoryBuffer(buffer)->getBufferIdentifier())
      return WalkResult::advance();
    place = const_cast<llvm::SourceMgr &>(sources).FindLocForLineAndColumn(
        buffer, file.getLine(), file.getColumn());
    return WalkResult::interrupt();
  });
  return place;
}

Compiler::Compiler(CompileOptions options, llvm::raw_ostream &errors,
                   TimingScope timing)
    : options(std::move(options)), errors(errors), timing(std::move(timing)),
      diags(sources, errors) {
  DialectRegistry registry;
  registerDialects(registry);
  // One kernel is too little work for MLIR's threads to pay; `lowerToLLVM` has
  // one for each processor.
  context =
      std::make_unique<MLIRContext>(registry, MLIRContext::Threading::DISABLED);
  context->printOpOnDiagnostic(false); // places say it
  context->getDiagEngine().registerHandler([this](Diagnostic &diagnostic) {
    if (diagnostic.getSeverity() == DiagnosticSeverity::Remark)
      return;
    llvm::SMLoc place = findPlace(sources, diagnostic.getLocation());
    frontend::Report report =
        diagnostic.getSeverity() == DiagnosticSeverity::Error
            ? diags.error(place, diagnostic.str())
            : diags.warning(llvm::SMRange(place, place), diagnostic.str());
    for (Diagnostic &note : diagnostic.getNotes())
      report.note(findPlace(sources, note.getLocation()), note.str());
  });
}

Compiler::~Compiler() = default;

Failure Compiler::runPasses(PassManager &passes, ModuleOp target,
                            Failure blame) {
  (void)applyPassManagerCLOptions(passes);
  TimingScope scope = phaseTiming.nest("passes");
  passes.enableTiming(scope);
  if (succeeded(passes.run(target)))
    return Failure::None;
  if (blame == Failure::Program && diags.hasErrors())
    return blame;
  return fail(Failure::Internal, "a pass failed");
}

Failure Compiler::fail(Failure kind, const llvm::Twine &message) {
  if (sources.getNumBuffers())
    errors << sources.getMemoryBuffer(sources.getMainFileID())
                  ->getBufferIdentifier()
           << ": ";
  errors << (kind == Failure::Internal ? "internal error: " : "error: ")
         << message << "\n";
  if (kind == Failure::Internal)
    errors << "This is a defect of Rondo, not of the program: please report it "
              "with the program and the command.\n";
  return kind;
}

Failure Compiler::open(StringRef path) {
  auto buffer = llvm::MemoryBuffer::getFileOrSTDIN(path);
  if (std::error_code error = buffer.getError())
    return fail(Failure::Environment,
                path + ": cannot be read: " + error.message());
  ir = llvm::sys::path::extension(path) == ".mlir";
  stem = path == "-" ? "stdin" : llvm::sys::path::stem(path).str();
  sources.AddNewSourceBuffer(std::move(*buffer), llvm::SMLoc());
  return Failure::None;
}

void Compiler::print(Phase phase, llvm::raw_ostream &os) {
  if (phase == Phase::Ast) {
    if (ast)
      frontend::ast::dump(*ast, sources, os);
    return;
  }
  if (phase != Phase::LLVM) {
    module->print(os);
    return;
  }
  for (VariantModule &variant : variants) {
    os << "// " << variant.target.name << "\n";
    variant.module->print(os);
  }
}
