//===- TranslateVariant.cpp - LLVM dialect to LLVM IR for a target --------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/Emit/Object.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "rondo/abi.h"
#include "llvm/ADT/SmallPtrSet.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/Instructions.h"
#include "llvm/IR/Module.h"
#include "llvm/Target/TargetMachine.h"

using namespace rondo;
using llvm::createStringError;

/// Renames the function of a kernel and lets the tables refer to it.
static llvm::Function *expose(llvm::Module &module, llvm::StringRef kernel,
                              llvm::StringRef suffix, const llvm::Twine &name) {
  llvm::Function *function = module.getFunction((kernel + suffix).str());
  if (!function || function->isDeclaration())
    return nullptr;
  function->setName(name);
  function->setLinkage(llvm::GlobalValue::ExternalLinkage);
  function->setVisibility(llvm::GlobalValue::HiddenVisibility);
  function->setDSOLocal(true);
  return function;
}

/// All functions that these call, directly or not, and themselves.
static llvm::SmallPtrSet<llvm::Function *, 8>
getReachable(llvm::ArrayRef<llvm::Function *> roots) {
  llvm::SmallVector<llvm::Function *> work(roots);
  llvm::SmallPtrSet<llvm::Function *, 8> seen(roots.begin(), roots.end());
  while (!work.empty())
    for (llvm::Instruction &instruction :
         llvm::instructions(*work.pop_back_val()))
      if (auto *call = llvm::dyn_cast<llvm::CallBase>(&instruction))
        if (llvm::Function *callee = call->getCalledFunction();
            callee && seen.insert(callee).second)
          work.push_back(callee);
  return seen;
}

static void setTarget(llvm::Function &function,
                      const TargetDescription &target) {
  function.addFnAttr("target-cpu", target.cpu);
  if (!target.features.empty())
    function.addFnAttr("target-features", target.features);
  if (!target.tuneCPU.empty())
    function.addFnAttr("tune-cpu", target.tuneCPU);
  if (target.vectorBits)
    function.addFnAttr("prefer-vector-width", llvm::utostr(target.vectorBits));
}

/// Nothing writes to a frame, and a body keeps no pointer to it.
static void addFrameAttributes(llvm::Function &body) {
  llvm::Argument *frame = body.getArg(0);
  llvm::LLVMContext &context = body.getContext();
  frame->addAttr(llvm::Attribute::NoAlias);
  frame->addAttr(llvm::Attribute::NonNull);
  frame->addAttr(llvm::Attribute::ReadOnly);
  frame->addAttr(llvm::Attribute::getWithAlignment(context, llvm::Align(8)));
  frame->addAttr(llvm::Attribute::getWithDereferenceableBytes(
      context, sizeof(rondo_frame)));
}

void rondo::registerTranslations(mlir::MLIRContext &context) {
  mlir::DialectRegistry registry;
  mlir::registerBuiltinDialectTranslation(registry);
  mlir::registerLLVMDialectTranslation(registry);
  context.appendDialectRegistry(registry);
}

llvm::Expected<std::unique_ptr<llvm::Module>>
rondo::translateVariant(llvm::LLVMContext &context,
                        llvm::ArrayRef<KernelSignature> kernels,
                        const Variant &variant, llvm::TargetMachine &machine,
                        VariantSymbols &symbols) {
  mlir::ModuleOp source = variant.llvmDialectModule;
  const TargetDescription &target = variant.target;
  std::unique_ptr<llvm::Module> module =
      mlir::translateModuleToLLVMIR(source, context, "rondo." + target.name);
  if (!module)
    return createStringError("error in the compiler: the code for " +
                             target.name + " can't be translated to LLVM IR");
  module->setTargetTriple(machine.getTargetTriple());
  module->setDataLayout(machine.createDataLayout());

  // Internal first, so that what is exposed below stays so.
  for (llvm::GlobalValue &value : module->global_values())
    if (!value.isDeclaration() && !value.hasAppendingLinkage()) {
      value.setVisibility(llvm::GlobalValue::DefaultVisibility);
      value.setLinkage(llvm::GlobalValue::InternalLinkage);
    }
  symbols.name = target.name;
  symbols.level = target.level;
  std::string suffix = "__" + target.getSymbolSuffix();
  llvm::SmallVector<llvm::Function *> anywhere;
  for (const KernelSignature &kernel : kernels) {
    llvm::Function *body =
        expose(*module, kernel.name, "_body", kernel.name + "_body" + suffix);
    if (!body || body->arg_size() != 1)
      return createStringError("error in the compiler: the code for " +
                               target.name + " lacks the function '" +
                               kernel.name + "_body' of one argument");
    addFrameAttributes(*body);
    symbols.bodies.push_back(body->getName().str());
    llvm::Function *bytes = expose(*module, kernel.name, "_worker_bytes_entry",
                                   kernel.name + "_worker_bytes" + suffix);
    symbols.workerBytes.push_back(bytes ? bytes->getName().str() : "");
    if (bytes)
      anywhere.push_back(bytes);
  }
  // The size of the scratch is asked for on every machine: whatever computes it
  // keeps to instructions that all have.
  llvm::SmallPtrSet<llvm::Function *, 8> baseline = getReachable(anywhere);
  for (llvm::Function &function : *module) {
    if (function.isDeclaration())
      continue;
    setTarget(function,
              baseline.contains(&function) ? getBaselineTarget() : target);
    function.setDoesNotThrow();
  }
  return module;
}
