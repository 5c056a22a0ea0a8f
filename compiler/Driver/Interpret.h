//===- Interpret.h - Running programs in the interpreter --------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_COMPILER_DRIVER_INTERPRET_H
#define RONDO_COMPILER_DRIVER_INTERPRET_H

#include "compiler/Driver/Host.h"

namespace rondo::driver {

/// Evaluates a program in f64. With `roundInputs` the arguments that have the
/// io dtype are first rounded to `options.io`, as a compiled kernel would see
/// them. Nothing after reporting.
std::optional<io::TensorMap> interpret(llvm::StringRef path,
                                       CompileOptions options, bool roundInputs,
                                       bool timing, const io::TensorMap &given,
                                       const SizeValues &sizes);

} // namespace rondo::driver

#endif // RONDO_COMPILER_DRIVER_INTERPRET_H
