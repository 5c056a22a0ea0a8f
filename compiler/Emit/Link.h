//===- Link.h - From objects to a library -----------------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_COMPILER_EMIT_LINK_H
#define RONDO_COMPILER_EMIT_LINK_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <string>

namespace rondo {

struct LinkOptions {
  /// The symbols to export; all others become local.
  llvm::ArrayRef<std::string> exports;
  bool keepSymbols = false;
};

/// Links object files, given by their content, to a shared library. Uses LLD
/// inside the process, or an `ld.lld` or `cc` that is found when LLD can't be
/// used again after an earlier crash.
llvm::Error linkLibrary(llvm::ArrayRef<llvm::StringRef> objects,
                        const LinkOptions &options, llvm::StringRef outputPath);

/// Joins object files into one, with the same local symbols.
llvm::Error linkObject(llvm::ArrayRef<llvm::StringRef> objects,
                       const LinkOptions &options, llvm::StringRef outputPath);

/// The object with the code of runtime/src/Artifact, embedded in the compiler;
/// with what runs kernels on a device, or without.
llvm::StringRef getSupportObject(bool device);

} // namespace rondo

#endif // RONDO_COMPILER_EMIT_LINK_H
