//===- Driver.h - The tools as functions ------------------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_COMPILER_DRIVER_DRIVER_H
#define RONDO_COMPILER_DRIVER_DRIVER_H

#include "compiler/Emit/Emit.h"
#include "compiler/Pipeline/Pipeline.h"

namespace rondo::driver {

/// Compiles a program to a library, an object, a header or text.
int rondocMain(int argc, char **argv);
/// Runs a kernel, compiled or interpreted, on tensors from files.
int rondoRunMain(int argc, char **argv);
/// Times a kernel.
int rondoBenchMain(int argc, char **argv);

/// Write the outcome of a compilation that has run; `-` is standard output.
Failure emitLibraryFile(Compiler &compiler, llvm::StringRef path);
Failure emitObjectFile(Compiler &compiler, llvm::StringRef path);
Failure emitLLVMFile(Compiler &compiler, llvm::StringRef path);
Failure emitPTXFile(Compiler &compiler, llvm::StringRef path);
Failure emitHeaderFile(Compiler &compiler, llvm::StringRef path);
/// Writes a file in one go, replacing an old one only when all went well.
llvm::Error writeFile(llvm::StringRef path,
                      llvm::function_ref<void(llvm::raw_ostream &)> print);

/// The signatures of all kernels, with what only the program's text tells.
llvm::Expected<llvm::SmallVector<KernelSignature, 1>>
describeKernels(Compiler &compiler);

/// Says for each recurrence of the program what was found in its equations, how
/// it is computed, and why not otherwise. To be called after the phase Plan.
void explain(Compiler &compiler, llvm::raw_ostream &os);

} // namespace rondo::driver

#endif // RONDO_COMPILER_DRIVER_DRIVER_H
