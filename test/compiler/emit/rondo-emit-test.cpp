//===- rondo-emit-test.cpp - The emitter on its own -----------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Emits from a module that holds, for every kernel, a declaration with
// `rondo.signature` and the functions of its body in the LLVM dialect.
//
//===----------------------------------------------------------------------===//

#include "compiler/Emit/Emit.h"
#include "dialects/Rondo/IR/RondoDialect.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/raw_ostream.h"

using namespace rondo;

namespace cl = llvm::cl;

static cl::opt<std::string> inputOption(cl::Positional, cl::Required);
static cl::opt<std::string> outputOption("o", cl::init("-"));
static cl::opt<std::string> archOption("arch");
static cl::opt<std::string> emitOption("emit", cl::init("lib"));
static cl::opt<bool> includeAbiOption("include-abi");

static llvm::Expected<std::string>
getText(llvm::StringRef kind, llvm::ArrayRef<KernelSignature> kernels,
        llvm::ArrayRef<Variant> variants,
        llvm::ArrayRef<TargetDescription> targets, const EmitOptions &options) {
  if (kind == "header")
    return emitHeader(kernels, options);
  if (kind == "tables")
    return emitTablesText(kernels, targets);
  return emitText(kernels, variants.back(),
                  kind == "asm"    ? TextKind::Assembly
                  : kind == "llvm" ? TextKind::LLVM
                                   : TextKind::OptimizedLLVM,
                  options);
}

static llvm::Error run(mlir::ModuleOp module) {
  auto kernels = getKernelSignatures(module);
  if (!kernels)
    return kernels.takeError();
  for (mlir::Operation &op : llvm::make_early_inc_range(module.getOps()))
    if (op.hasAttr("rondo.signature"))
      op.erase();
  auto targets = getVariants(archOption);
  if (!targets)
    return targets.takeError();
  llvm::SmallVector<Variant> variants;
  for (const TargetDescription &target : *targets)
    variants.push_back({target, module});

  // Copies: the linker resets the options.
  std::string kind = emitOption, output = outputOption;
  EmitOptions options;
  options.sourceName = inputOption.substr(0, inputOption.rfind('.')) + ".rondo";
  options.standaloneHeader = !includeAbiOption;
  if (kind == "lib")
    return emitLibrary(*kernels, variants, options, output);
  if (kind == "obj")
    return emitObject(*kernels, variants, options, output);
  auto text = getText(kind, *kernels, variants, *targets, options);
  if (!text)
    return text.takeError();
  return llvm::writeToOutput(output, [&](llvm::raw_ostream &os) {
    os << *text;
    return llvm::Error::success();
  });
}

int main(int argc, char **argv) {
  cl::ParseCommandLineOptions(argc, argv, "The emitter on its own\n");
  mlir::MLIRContext context;
  context.loadDialect<RondoDialect, mlir::func::FuncDialect,
                      mlir::LLVM::LLVMDialect>();
  auto module =
      mlir::parseSourceFile<mlir::ModuleOp>(inputOption.getValue(), &context);
  if (!module)
    return 1;
  if (llvm::Error error = run(*module)) {
    llvm::errs() << "error: " << llvm::toString(std::move(error)) << '\n';
    return 1;
  }
  return 0;
}
