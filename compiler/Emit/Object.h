//===- Object.h - From LLVM dialect to object files -------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_COMPILER_EMIT_OBJECT_H
#define RONDO_COMPILER_EMIT_OBJECT_H

#include "compiler/Emit/Emit.h"
#include "compiler/Emit/Tables.h"
#include <memory>

namespace llvm {
class LLVMContext;
class Module;
class TargetMachine;
} // namespace llvm

namespace rondo {

using ObjectBuffer = llvm::SmallVector<char, 0>;

/// LLVM's code generator for the target: position independent, one section per
/// function.
llvm::Expected<std::unique_ptr<llvm::TargetMachine>>
createTargetMachine(const TargetDescription &target, unsigned optLevel);

/// A module of our own (the tables): no description, plain x86-64.
TargetDescription getBaselineTarget();

/// Lets the modules of a context be translated to LLVM IR.
void registerTranslations(mlir::MLIRContext &context);

/// Translates a variant to LLVM IR for its target; several at the same time if
/// the context is for threads. Bodies get the variant's
/// name (gla_body__x86_64_v4) and stay visible within the library, all else
/// becomes internal. Fills in `symbols`.
llvm::Expected<std::unique_ptr<llvm::Module>>
translateVariant(llvm::LLVMContext &context,
                 llvm::ArrayRef<KernelSignature> kernels,
                 const Variant &variant, llvm::TargetMachine &machine,
                 VariantSymbols &symbols);

/// LLVM's optimisation pipeline, as clang runs it at this level.
void optimize(llvm::Module &module, llvm::TargetMachine &machine,
              unsigned optLevel);

/// Generates code for the module.
llvm::Expected<ObjectBuffer> generateCode(llvm::Module &module,
                                          llvm::TargetMachine &machine,
                                          bool assembly = false);

/// Fails when the object refers to a symbol that neither libc's memory
/// functions nor libm define: it names the symbol and the code it is in.
llvm::Error checkUndefinedSymbols(const ObjectBuffer &object,
                                  const llvm::Twine &what);

} // namespace rondo

#endif // RONDO_COMPILER_EMIT_OBJECT_H
