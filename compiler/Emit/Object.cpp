//===- Object.cpp - From LLVM dialect to object files ---------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/Emit/Object.h"

#include "rondo/abi.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/OptBisect.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Object/ObjectFile.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Target/TargetOptions.h"
#include <mutex>

using namespace rondo;
using llvm::createStringError;

//===----------------------------------------------------------------------===//
// Target machine
//===----------------------------------------------------------------------===//

static void initializeX86() {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
  });
}

TargetDescription rondo::getBaselineTarget() {
  TargetDescription target;
  target.name = target.cpu = "x86-64";
  return target;
}

llvm::Expected<std::unique_ptr<llvm::TargetMachine>>
rondo::createTargetMachine(const TargetDescription &target, unsigned optLevel) {
  initializeX86();
  llvm::Triple triple(getTargetTriple());
  std::string error;
  const llvm::Target *backend =
      llvm::TargetRegistry::lookupTarget(triple, error);
  if (!backend)
    return createStringError("LLVM has no code generator for x86-64: " + error);
  llvm::TargetOptions options;
  options.FunctionSections = true;
  options.DataSections = true;
  // a * b + c in one rounding wherever it comes up: never less accurate.
  options.AllowFPOpFusion = llvm::FPOpFusion::Fast;
  std::unique_ptr<llvm::TargetMachine> machine(backend->createTargetMachine(
      triple, target.cpu, target.features, options, llvm::Reloc::PIC_,
      std::nullopt,
      llvm::CodeGenOpt::getLevel(optLevel).value_or(
          llvm::CodeGenOptLevel::Aggressive)));
  if (!machine)
    return createStringError("LLVM can't generate code for " + target.name);
  return machine;
}

//===----------------------------------------------------------------------===//
// Optimisation and code generation
//===----------------------------------------------------------------------===//

/// What our code needs of LLVM: loops are vectorised, unrolled and free of
/// common subexpressions when they come here, but for scalar ones. The default
/// pipelines take four times as long and make code that is as fast.
static const char kPipeline[] =
    "deadargelim,"
    "function("
    // The IR in SSA form; loops tested at their ends, without what is constant.
    "sroa,early-cse<memssa>,simplifycfg,instcombine<no-verify-fixpoint>,"
    "loop-mssa(loop-rotate,licm),"
    // Loops of few steps; scalar loops.
    "loop(loop-unroll-full),early-cse<memssa>,"
    "loop-vectorize,loop-mssa(licm),simplifycfg)";

/// LLVM 22 selects a store of a truncated vector, of which a constant mask lets
/// one lane pass, as one of the lane's width before it was truncated: it writes
/// over its neighbour. Such lanes are stored as the scalars that they are.
static void storeSingleLanes(llvm::Function &function) {
  for (llvm::Instruction &instruction :
       llvm::make_early_inc_range(llvm::instructions(function))) {
    auto *store = llvm::dyn_cast<llvm::IntrinsicInst>(&instruction);
    if (!store || store->getIntrinsicID() != llvm::Intrinsic::masked_store)
      continue;
    llvm::Value *vector = store->getArgOperand(0);
    auto *type = llvm::dyn_cast<llvm::FixedVectorType>(vector->getType());
    auto *mask = llvm::dyn_cast<llvm::Constant>(store->getArgOperand(2));
    if (!type || !mask || !type->getElementType()->isIntegerTy())
      continue;
    llvm::SmallVector<unsigned, 1> lanes;
    for (unsigned lane = 0; lane < type->getNumElements(); ++lane) {
      llvm::Constant *bit = mask->getAggregateElement(lane);
      if (!bit || !bit->isNullValue())
        lanes.push_back(lane);
    }
    if (lanes.size() != 1 || !mask->getAggregateElement(lanes[0]) ||
        !mask->getAggregateElement(lanes[0])->isOneValue())
      continue;
    llvm::IRBuilder<> builder(store);
    llvm::Value *place = builder.CreateConstInBoundsGEP1_64(
        type->getElementType(), store->getArgOperand(1), lanes[0]);
    builder.CreateAlignedStore(
        builder.CreateExtractElement(vector, lanes[0]), place,
        llvm::Align(std::max(1u, type->getScalarSizeInBits() / 8)));
    store->eraseFromParent();
  }
}

void rondo::optimize(llvm::Module &module, llvm::TargetMachine &machine,
                     unsigned optLevel) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager components;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder(&machine);
  // Before the defaults: the first registration of an analysis stays.
  llvm::TargetLibraryInfoImpl library(module.getTargetTriple());
  functions.registerPass([&] { return llvm::TargetLibraryAnalysis(library); });
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(components);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, components, modules);
  llvm::ModulePassManager pipeline;
  if (optLevel == 0)
    pipeline = builder.buildO0DefaultPipeline(llvm::OptimizationLevel::O0);
  else
    llvm::cantFail(builder.parsePassPipeline(pipeline, kPipeline));
  pipeline.run(module, modules);
  for (llvm::Function &function : module)
    storeSingleLanes(function);
}

namespace {
/// Leaves out loop strength reduction, which takes up to 80 % of the time of
/// code generation for loops with many addresses. What it would save are
/// additions beside vector operations. Leaves out the scheduler, which would put
/// the chains that `rondo-interleave-chains` has side by side one after the
/// other, to save registers.
class CodeGenGate : public llvm::OptPassGate {
public:
  bool isEnabled() const override { return true; }
  bool shouldRunPass(llvm::StringRef pass, llvm::StringRef) const override {
    return pass != "Loop Strength Reduction" &&
           pass != "Canonicalize Freeze Instructions in Loops" &&
           pass != "Machine Instruction Scheduler";
  }
};
} // namespace

llvm::Expected<ObjectBuffer> rondo::generateCode(llvm::Module &module,
                                                 llvm::TargetMachine &machine,
                                                 bool assembly) {
  ObjectBuffer buffer;
  static CodeGenGate gate;
  module.getContext().setOptPassGate(gate);
  llvm::raw_svector_ostream stream(buffer);
  llvm::legacy::PassManager pipeline;
  pipeline.add(
      new llvm::TargetLibraryInfoWrapperPass(module.getTargetTriple()));
  if (machine.addPassesToEmitFile(pipeline, stream, nullptr,
                                  assembly ? llvm::CodeGenFileType::AssemblyFile
                                           : llvm::CodeGenFileType::ObjectFile))
    return createStringError("LLVM can't write an object file for x86-64");
  pipeline.run(module);
  return buffer;
}

//===----------------------------------------------------------------------===//
// What code may call
//===----------------------------------------------------------------------===//

static bool isExpectedSymbol(llvm::StringRef name) {
  // Made by LLVM itself, or by position independent code.
  static const llvm::StringSet<> others{"memcpy", "memmove", "memset", "memcmp",
                                        "_GLOBAL_OFFSET_TABLE_"};
  static const llvm::StringSet<> math{
      "acos",  "acosh",     "asin",  "asinh", "atan",   "atan2",    "atanh",
      "cbrt",  "ceil",      "cos",   "cosh",  "erf",    "erfc",     "exp",
      "exp10", "exp2",      "expm1", "fabs",  "floor",  "fma",      "fmax",
      "fmin",  "fmod",      "frexp", "hypot", "ldexp",  "lgamma",   "log",
      "log10", "log1p",     "log2",  "pow",   "rint",   "round",    "roundeven",
      "sin",   "nearbyint", "sinh",  "sqrt",  "sincos", "copysign", "tan",
      "tanh",  "tgamma",    "trunc"};
  // Support code that bodies call.
  if (name.starts_with("rondo_cuda_launch") || others.contains(name) ||
      math.contains(name))
    return true;
  return name.consume_back("f") && math.contains(name);
}

llvm::Error rondo::checkUndefinedSymbols(const ObjectBuffer &object,
                                         const llvm::Twine &what) {
  llvm::Expected<std::unique_ptr<llvm::object::ObjectFile>> file =
      llvm::object::ObjectFile::createObjectFile(llvm::MemoryBufferRef(
          llvm::StringRef(object.data(), object.size()), "object"));
  if (!file)
    return file.takeError();
  llvm::SmallVector<std::string> unexpected;
  for (const llvm::object::SymbolRef &symbol : (*file)->symbols()) {
    llvm::Expected<uint32_t> flags = symbol.getFlags();
    if (!flags)
      return flags.takeError();
    llvm::Expected<llvm::StringRef> name = symbol.getName();
    if (!name)
      return name.takeError();
    if ((*flags & llvm::object::SymbolRef::SF_Undefined) && !name->empty() &&
        !isExpectedSymbol(*name))
      unexpected.push_back("'" + name->str() + "'");
  }
  if (unexpected.empty())
    return llvm::Error::success();
  llvm::sort(unexpected);
  return createStringError(
      "error in the compiler: " + what + " calls " +
      llvm::join(unexpected, ", ") +
      ", which a library can't rely on; this may be scalar code that should "
      "have been vectorised, or an allocation that should not be there");
}
