//===- Inputs.h - Tensors for a run from files ------------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_COMPILER_DRIVER_INPUTS_H
#define RONDO_COMPILER_DRIVER_INPUTS_H

#include "compiler/IO/Safetensors.h"

namespace rondo::driver {

/// Reads several files as one; a name that two of them hold is an error.
llvm::Expected<io::TensorMap> readInputs(llvm::ArrayRef<std::string> paths);

/// True for compiled libraries, by the file's first bytes; a file that can't be
/// read is none.
bool isLibrary(llvm::StringRef path);

} // namespace rondo::driver

#endif // RONDO_COMPILER_DRIVER_INPUTS_H
