//===- Device.cpp - From NVVM to PTX and cubins ---------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/Emit/Device.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/GPU/GPUToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Target/TargetOptions.h"
#include <mutex>

using namespace rondo;
using llvm::createStringError;
using llvm::StringRef;

/// Seconds after which an assembler is ended.
static constexpr unsigned assemblerTimeout = 120;

//===----------------------------------------------------------------------===//
// PTX
//===----------------------------------------------------------------------===//

static void initializeNVPTX() {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
  });
}

static llvm::Expected<std::unique_ptr<llvm::TargetMachine>>
createDeviceMachine(const DeviceVariant &variant) {
  initializeNVPTX();
  llvm::Triple triple("nvptx64-nvidia-cuda");
  std::string error;
  const llvm::Target *backend =
      llvm::TargetRegistry::lookupTarget(triple, error);
  if (!backend)
    return createStringError("LLVM has no code generator for PTX: " + error);
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Fast;
  std::unique_ptr<llvm::TargetMachine> machine(backend->createTargetMachine(
      triple, variant.chip, variant.features, options, std::nullopt,
      std::nullopt, llvm::CodeGenOptLevel::Aggressive));
  if (!machine)
    return createStringError("LLVM can't generate code for " + variant.chip);
  return machine;
}

static void optimizeForDevice(llvm::Module &module,
                              llvm::TargetMachine &machine) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager components;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder(&machine);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(components);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, components, modules);
  builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O3)
      .run(module, modules);
}

llvm::Expected<std::string> rondo::emitPTX(const DeviceVariant &variant,
                                           bool asLLVM) {
  mlir::DialectRegistry registry;
  mlir::registerBuiltinDialectTranslation(registry);
  mlir::registerGPUDialectTranslation(registry);
  mlir::registerLLVMDialectTranslation(registry);
  mlir::registerNVVMDialectTranslation(registry);
  mlir::ModuleOp parent = variant.module;
  parent->getContext()->appendDialectRegistry(registry);
  auto machine = createDeviceMachine(variant);
  if (!machine)
    return machine.takeError();
  std::string text;
  for (auto kernels : parent.getOps<mlir::gpu::GPUModuleOp>()) {
    llvm::LLVMContext context;
    std::unique_ptr<llvm::Module> module = mlir::translateModuleToLLVMIR(
        kernels, context, "rondo." + variant.chip);
    if (!module)
      return createStringError("error in the compiler: the code for " +
                               variant.chip +
                               " can't be translated to LLVM IR");
    module->setTargetTriple((*machine)->getTargetTriple());
    module->setDataLayout((*machine)->createDataLayout());
    optimizeForDevice(*module, **machine);
    if (asLLVM) {
      llvm::raw_string_ostream os(text);
      module->print(os, nullptr);
      continue;
    }
    llvm::SmallString<0> buffer;
    llvm::raw_svector_ostream stream(buffer);
    llvm::legacy::PassManager pipeline;
    if ((*machine)->addPassesToEmitFile(pipeline, stream, nullptr,
                                        llvm::CodeGenFileType::AssemblyFile))
      return createStringError("LLVM can't write PTX");
    pipeline.run(*module);
    text += buffer.str();
  }
  return text;
}

//===----------------------------------------------------------------------===//
// The assembler
//===----------------------------------------------------------------------===//

std::optional<std::string> rondo::findAssembler() {
  if (auto path = llvm::sys::findProgramByName("ptxas"))
    return *path;
  llvm::SmallVector<std::string> folders;
  for (const char *name : {"CUDA_HOME", "CUDA_ROOT", "CUDA_PATH"})
    if (std::optional<std::string> value = llvm::sys::Process::GetEnv(name))
      folders.push_back(*value);
  folders.push_back("/usr/local/cuda");
  for (const std::string &folder : folders) {
    llvm::SmallString<128> path(folder);
    llvm::sys::path::append(path, "bin", "ptxas");
    if (llvm::sys::fs::can_execute(path))
      return path.str().str();
  }
  return std::nullopt;
}

namespace {
/// One run of the assembler, which goes on beside this process.
class Assembly {
public:
  Assembly() = default;
  Assembly(const Assembly &) = delete;
  Assembly &operator=(const Assembly &) = delete;
  ~Assembly() {
    if (process.Pid)
      wait();
    for (const llvm::SmallString<128> &path : paths)
      if (!path.empty())
        llvm::sys::fs::remove(path);
  }

  llvm::Error start(StringRef assembler, StringRef ptx, StringRef chip);
  /// The cubin; none if it takes too long.
  llvm::Expected<std::optional<std::string>> finish();

private:
  int wait() {
    llvm::sys::ProcessInfo running = std::exchange(process, {});
    return llvm::sys::Wait(running, assemblerTimeout, &problem).ReturnCode;
  }

  std::string assembler, chip, problem;
  llvm::SmallString<128> paths[3]; // PTX, cubin, log
  llvm::sys::ProcessInfo process;
};
} // namespace

llvm::Error Assembly::start(StringRef program, StringRef ptx, StringRef name) {
  assembler = program.str();
  chip = name.str();
  const char *endings[] = {"ptx", "cubin", "log"};
  for (int i = 0; i < 3; ++i)
    if (std::error_code error =
            llvm::sys::fs::createTemporaryFile("rondo", endings[i], paths[i]))
      return createStringError("no temporary file can be made: " +
                               error.message());
  if (llvm::Error error = llvm::writeToOutput(
          paths[0], [&](llvm::raw_ostream &os) -> llvm::Error {
            os << ptx;
            return llvm::Error::success();
          }))
    return error;
  std::string arch = "-arch=" + chip;
  StringRef arguments[] = {assembler, arch, "-O3", paths[0], "-o", paths[1]};
  std::optional<StringRef> redirects[] = {StringRef(""), StringRef(paths[2]),
                                          StringRef(paths[2])};
  bool failed = false;
  process =
      llvm::sys::ExecuteNoWait(assembler, arguments, std::nullopt, redirects,
                               /*MemoryLimit=*/0, &problem, &failed);
  if (failed)
    return createStringError(assembler + " can't be run: " + problem);
  return llvm::Error::success();
}

llvm::Expected<std::optional<std::string>> Assembly::finish() {
  int code = wait();
  if (code == -2) // ended
    return std::nullopt;
  auto log = llvm::MemoryBuffer::getFile(paths[2]);
  StringRef text = log ? (*log)->getBuffer() : "";
  if (code != 0)
    return createStringError(
        assembler + " failed for " + chip + " (exit code " + llvm::Twine(code) +
        ")" + (problem.empty() ? "" : ": " + problem) + "\n" + text);
  auto cubin = llvm::MemoryBuffer::getFile(paths[1], /*IsText=*/false);
  if (!cubin)
    return createStringError("ptxas wrote no file");
  return std::optional((*cubin)->getBuffer().str());
}

llvm::Expected<DeviceCode>
rondo::emitDeviceCode(llvm::ArrayRef<DeviceVariant> variants,
                      llvm::ArrayRef<std::string> kernels) {
  DeviceCode code;
  code.kernels.assign(kernels.begin(), kernels.end());
  std::optional<std::string> assembler = findAssembler();
  // Each chip's code is assembled while that of the next one is made.
  llvm::SmallVector<std::string> texts;
  llvm::SmallVector<std::unique_ptr<Assembly>> assemblies;
  for (const DeviceVariant &variant : variants) {
    llvm::Expected<std::string> ptx = emitPTX(variant);
    if (!ptx)
      return ptx.takeError();
    texts.push_back(std::move(*ptx));
    if (!assembler)
      continue;
    assemblies.push_back(std::make_unique<Assembly>());
    if (llvm::Error error =
            assemblies.back()->start(*assembler, texts.back(), variant.chip))
      return error;
  }
  for (auto [i, variant] : llvm::enumerate(variants)) {
    if (assembler) {
      auto cubin = assemblies[i]->finish();
      if (!cubin)
        return cubin.takeError();
      // Without it the driver assembles the PTX, on the first call.
      if (*cubin)
        code.images.push_back({variant.chip, /*isPTX=*/false,
                               variant.capability, variant.exact,
                               std::move(**cubin)});
    }
    code.images.push_back({variant.chip + " (PTX)", /*isPTX=*/true,
                           variant.capability, variant.exact,
                           std::move(texts[i])});
  }
  return code;
}
