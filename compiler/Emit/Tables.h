//===- Tables.h - The constant tables of a library --------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_COMPILER_EMIT_TABLES_H
#define RONDO_COMPILER_EMIT_TABLES_H

#include "compiler/Emit/Device.h"
#include "compiler/Emit/Signature.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"
#include <memory>

namespace llvm {
class LLVMContext;
class Module;
} // namespace llvm

namespace rondo {

/// What the tables have to know of one variant's object.
struct VariantSymbols {
  std::string name;  ///< "x86-64-v4"
  int64_t level = 0; ///< RONDO_CPU_*
  /// Per kernel, the symbol of its body, and of its worker_bytes function or
  /// "" if it needs no scratch.
  llvm::SmallVector<std::string, 1> bodies, workerBytes;
};

/// Builds the module with the tables of abi.h, the exported entries of every
/// kernel and rondo_library_query. `variants` are weakest first; with `device`,
/// they are the host's part of its kernels.
llvm::Expected<std::unique_ptr<llvm::Module>>
buildTables(llvm::LLVMContext &context, llvm::ArrayRef<KernelSignature> kernels,
            llvm::ArrayRef<VariantSymbols> variants,
            const DeviceCode *device = nullptr);

/// The symbols that a library with these kernels exports.
llvm::SmallVector<std::string>
getExportedSymbols(llvm::ArrayRef<KernelSignature> kernels);

} // namespace rondo

#endif // RONDO_COMPILER_EMIT_TABLES_H
