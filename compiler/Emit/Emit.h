//===- Emit.h - From LLVM dialect to libraries and headers ------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The last stage of the compiler. Before it: one module in the LLVM dialect per
// variant, which defines for every kernel
//
//   void @<kernel>_body(ptr frame)               // rondo_frame of abi.h
//   i64 @<kernel>_worker_bytes_entry(ptr sizes)  // may be missing: 0 bytes
//
// After it: a library as runtime/include/rondo/abi.h describes it, an object
// file with the same content, a C header, or text.
//
// The linker runs inside the process. It resets every `cl::opt` of the process
// to its default: whoever calls `emitLibrary` or `emitObject` copies the values
// of its options first.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_COMPILER_EMIT_EMIT_H
#define RONDO_COMPILER_EMIT_EMIT_H

#include "compiler/Emit/Device.h"
#include "compiler/Emit/Signature.h"
#include "compiler/Target/Target.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"
#include <string>

namespace rondo {

/// The code of all kernels for one processor.
struct Variant {
  TargetDescription target;
  mlir::ModuleOp llvmDialectModule;
};

struct EmitOptions {
  /// File name of the program, for the header's comment and its guard.
  std::string sourceName;
  /// Keep the names of local symbols, for profilers and debuggers.
  bool keepSymbols = false;
  /// LLVM's optimisation level, 0 to 3.
  unsigned optLevel = 3;
  /// The header holds the declarations of abi.h itself and can be used alone.
  /// Otherwise it includes <rondo/abi.h>.
  bool standaloneHeader = true;
  /// Leave the memory of the modules to the end of the process: to take them
  /// apart takes longer than to link.
  bool processEnds = false;
  /// The device's part of the kernels, for libraries and objects; the variants
  /// are then the host's.
  const DeviceCode *device = nullptr;
};

/// How long the parts took, in milliseconds. Variants are compiled at the same
/// time; theirs are added up.
struct EmitTimings {
  double translate = 0, optimize = 0, object = 0, link = 0;
};

/// Writes a shared library. It exports the kernels' entries and
/// rondo_library_query, and needs libm and libc at most. The same input gives
/// the same bytes.
llvm::Error emitLibrary(llvm::ArrayRef<KernelSignature> kernels,
                        llvm::ArrayRef<Variant> variants,
                        const EmitOptions &options, llvm::StringRef outputPath,
                        EmitTimings *timings = nullptr);

/// Writes a relocatable object with the content of the library; to be linked
/// with -lm. Two such objects can't be in one program: both define
/// rondo_library_query.
llvm::Error emitObject(llvm::ArrayRef<KernelSignature> kernels,
                       llvm::ArrayRef<Variant> variants,
                       const EmitOptions &options, llvm::StringRef outputPath,
                       EmitTimings *timings = nullptr);

enum class TextKind { LLVM, OptimizedLLVM, Assembly };

/// The code of one variant as text.
llvm::Expected<std::string> emitText(llvm::ArrayRef<KernelSignature> kernels,
                                     const Variant &variant, TextKind kind,
                                     const EmitOptions &options);

/// The tables and entries of a library as LLVM IR, as they are for variants of
/// these targets.
llvm::Expected<std::string>
emitTablesText(llvm::ArrayRef<KernelSignature> kernels,
               llvm::ArrayRef<TargetDescription> targets);

/// The C header of a library.
std::string emitHeader(llvm::ArrayRef<KernelSignature> kernels,
                       const EmitOptions &options);

/// Fails when the kernels' names don't fit into one library: two export the
/// same symbol, or one is a symbol of the support code.
llvm::Error checkExports(llvm::ArrayRef<KernelSignature> kernels);

/// "rondo 0.1.0"
std::string getCompilerVersion();

} // namespace rondo

#endif // RONDO_COMPILER_EMIT_EMIT_H
