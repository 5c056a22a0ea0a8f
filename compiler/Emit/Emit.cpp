//===- Emit.cpp - From LLVM dialect to libraries --------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/Emit/Emit.h"

#include "compiler/Emit/Link.h"
#include "compiler/Emit/Object.h"
#include "compiler/Emit/Tables.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Target/TargetMachine.h"
#include <chrono>
#include <thread>

using namespace rondo;
using llvm::createStringError;

std::string rondo::getCompilerVersion() { return "rondo " RONDO_VERSION; }

namespace {

/// Adds the time of its scope to a counter.
class ScopedTimer {
public:
  ScopedTimer(double &milliseconds)
      : milliseconds(milliseconds), start(std::chrono::steady_clock::now()) {}
  ~ScopedTimer() {
    milliseconds += std::chrono::duration<double, std::milli>(
                        std::chrono::steady_clock::now() - start)
                        .count();
  }

private:
  double &milliseconds;
  std::chrono::steady_clock::time_point start;
};

} // namespace

llvm::Error rondo::checkExports(llvm::ArrayRef<KernelSignature> kernels) {
  llvm::StringMap<llvm::StringRef> owners;
  for (const KernelSignature &kernel : kernels) {
    if (llvm::StringRef(kernel.name).starts_with("rondo_"))
      return createStringError("kernel '" + kernel.name +
                               "': names that begin with 'rondo_' are kept "
                               "for the library itself, choose another");
    for (const std::string &symbol : getExportedSymbols({kernel})) {
      auto [owner, isNew] = owners.try_emplace(symbol, kernel.name);
      if (!isNew && symbol != getExportedSymbols({}).front())
        return createStringError("kernels '" + owner->second + "' and '" +
                                 kernel.name + "' both export '" + symbol +
                                 "', rename one of them");
    }
  }
  return llvm::Error::success();
}

namespace {

/// A variant on its way to an object, with an LLVM context of its own, so that
/// variants can be compiled at the same time.
struct VariantJob {
  const Variant &variant;
  VariantSymbols symbols;
  llvm::LLVMContext context;
  std::unique_ptr<llvm::TargetMachine> machine;
  std::unique_ptr<llvm::Module> module;
  ObjectBuffer object;
  EmitTimings timings;
  std::string problem; ///< of `compile`

  VariantJob(const Variant &variant) : variant(variant) {}

  llvm::Error translate(llvm::ArrayRef<KernelSignature> kernels,
                        unsigned optLevel);
  llvm::Error compile(unsigned optLevel);
};

} // namespace

llvm::Error VariantJob::translate(llvm::ArrayRef<KernelSignature> kernels,
                                  unsigned optLevel) {
  ScopedTimer timer(timings.translate);
  auto newMachine = createTargetMachine(variant.target, optLevel);
  if (!newMachine)
    return newMachine.takeError();
  machine = std::move(*newMachine);
  auto newModule =
      translateVariant(context, kernels, variant, *machine, symbols);
  if (!newModule)
    return newModule.takeError();
  module = std::move(*newModule);
  return llvm::Error::success();
}

llvm::Error VariantJob::compile(unsigned optLevel) {
  {
    ScopedTimer timer(timings.optimize);
    optimize(*module, *machine, optLevel);
  }
  ScopedTimer timer(timings.object);
  llvm::Expected<ObjectBuffer> result = generateCode(*module, *machine);
  if (!result)
    return result.takeError();
  object = std::move(*result);
  return checkUndefinedSymbols(object, "the code for " + variant.target.name);
}

/// Compiles all variants, each in a thread of its own; the first one in this
/// one. Gives the first error, in the order of the variants.
static llvm::Error
compileVariants(llvm::ArrayRef<std::unique_ptr<VariantJob>> jobs,
                llvm::ArrayRef<KernelSignature> kernels, unsigned optLevel) {
  // The modules share an MLIR context, which has to know that.
  mlir::MLIRContext &context =
      *jobs.front()->variant.llvmDialectModule->getContext();
  registerTranslations(context);
  context.enableMultithreading(jobs.size() > 1);
  auto compile = [&](VariantJob *job) {
    llvm::Error error = job->translate(kernels, optLevel);
    if (!error)
      error = job->compile(optLevel);
    if (error)
      job->problem = llvm::toString(std::move(error));
  };
  llvm::SmallVector<std::thread> threads;
  for (const std::unique_ptr<VariantJob> &job : jobs.drop_front())
    threads.emplace_back(compile, job.get());
  compile(jobs.front().get());
  for (std::thread &thread : threads)
    thread.join();
  context.disableMultithreading();
  for (const std::unique_ptr<VariantJob> &job : jobs)
    if (!job->problem.empty())
      return createStringError(job->problem);
  return llvm::Error::success();
}

static llvm::Expected<ObjectBuffer>
compileTables(llvm::ArrayRef<KernelSignature> kernels,
              llvm::ArrayRef<VariantSymbols> symbols,
              const DeviceCode *device) {
  TargetDescription target = getBaselineTarget();
  auto machine = createTargetMachine(target, 2);
  if (!machine)
    return machine.takeError();
  llvm::LLVMContext context;
  auto module = buildTables(context, kernels, symbols, device);
  if (!module)
    return module.takeError();
  (*module)->setDataLayout((*machine)->createDataLayout());
  return generateCode(**module, **machine);
}

using LinkFunction = llvm::Error (*)(llvm::ArrayRef<llvm::StringRef>,
                                     const LinkOptions &, llvm::StringRef);

static llvm::Error emit(llvm::ArrayRef<KernelSignature> kernels,
                        llvm::ArrayRef<Variant> variants,
                        const EmitOptions &options, llvm::StringRef outputPath,
                        EmitTimings *outTimings, LinkFunction link) {
  if (llvm::Error error = checkExports(kernels))
    return error;
  if (variants.empty())
    return createStringError("no processor to make code for");
  EmitTimings timings;
  llvm::SmallVector<std::unique_ptr<VariantJob>> jobs;
  for (const Variant &variant : variants)
    jobs.push_back(std::make_unique<VariantJob>(variant));
  if (llvm::Error error = compileVariants(jobs, kernels, options.optLevel))
    return error;
  llvm::SmallVector<VariantSymbols> symbols;
  llvm::SmallVector<llvm::StringRef> contents;
  for (const std::unique_ptr<VariantJob> &job : jobs) {
    symbols.push_back(job->symbols);
    contents.emplace_back(job->object.data(), job->object.size());
    timings.translate += job->timings.translate;
    timings.optimize += job->timings.optimize;
    timings.object += job->timings.object;
  }
  llvm::Expected<ObjectBuffer> tables = ObjectBuffer();
  {
    ScopedTimer timer(timings.object);
    tables = compileTables(kernels, symbols, options.device);
    if (!tables)
      return tables.takeError();
  }
  contents.emplace_back(tables->data(), tables->size());
  contents.push_back(getSupportObject(options.device != nullptr));
  llvm::SmallVector<std::string> exports = getExportedSymbols(kernels);
  {
    ScopedTimer timer(timings.link);
    if (llvm::Error error =
            link(contents, {exports, options.keepSymbols}, outputPath))
      return error;
  }
  if (outTimings)
    *outTimings = timings;
  if (options.processEnds)
    for (std::unique_ptr<VariantJob> &job : jobs)
      job.release();
  return llvm::Error::success();
}

llvm::Error rondo::emitLibrary(llvm::ArrayRef<KernelSignature> kernels,
                               llvm::ArrayRef<Variant> variants,
                               const EmitOptions &options,
                               llvm::StringRef outputPath,
                               EmitTimings *timings) {
  return emit(kernels, variants, options, outputPath, timings, linkLibrary);
}

llvm::Error rondo::emitObject(llvm::ArrayRef<KernelSignature> kernels,
                              llvm::ArrayRef<Variant> variants,
                              const EmitOptions &options,
                              llvm::StringRef outputPath,
                              EmitTimings *timings) {
  return emit(kernels, variants, options, outputPath, timings, linkObject);
}

llvm::Expected<std::string>
rondo::emitText(llvm::ArrayRef<KernelSignature> kernels, const Variant &variant,
                TextKind kind, const EmitOptions &options) {
  auto machine = createTargetMachine(variant.target, options.optLevel);
  if (!machine)
    return machine.takeError();
  llvm::LLVMContext context;
  VariantSymbols symbols;
  registerTranslations(*variant.llvmDialectModule->getContext());
  auto module = translateVariant(context, kernels, variant, **machine, symbols);
  if (!module)
    return module.takeError();
  if (kind != TextKind::LLVM)
    optimize(**module, **machine, options.optLevel);
  std::string text;
  llvm::raw_string_ostream os(text);
  if (kind != TextKind::Assembly) {
    (*module)->print(os, nullptr);
    return text;
  }
  auto assembly = generateCode(**module, **machine, /*assembly=*/true);
  if (!assembly)
    return assembly.takeError();
  return std::string(assembly->data(), assembly->size());
}

llvm::Expected<std::string>
rondo::emitTablesText(llvm::ArrayRef<KernelSignature> kernels,
                      llvm::ArrayRef<TargetDescription> targets) {
  llvm::SmallVector<VariantSymbols> symbols;
  for (const TargetDescription &target : targets) {
    VariantSymbols &variant = symbols.emplace_back();
    variant.name = target.name;
    variant.level = target.level;
    for (const KernelSignature &kernel : kernels) {
      std::string suffix = "__" + target.getSymbolSuffix();
      variant.bodies.push_back(kernel.name + "_body" + suffix);
      variant.workerBytes.push_back(kernel.name + "_worker_bytes" + suffix);
    }
  }
  llvm::LLVMContext context;
  auto module = buildTables(context, kernels, symbols);
  if (!module)
    return module.takeError();
  std::string text;
  llvm::raw_string_ostream os(text);
  (*module)->print(os, nullptr);
  return text;
}
