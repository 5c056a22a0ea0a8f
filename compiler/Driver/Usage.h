//===- Usage.h - What a program does with its arguments ---------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Two questions of rondo-bench about a kernel in the rondo dialect: which
// values suit an argument, and how much arithmetic there is.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_COMPILER_DRIVER_USAGE_H
#define RONDO_COMPILER_DRIVER_USAGE_H

#include "compiler/Driver/Host.h"
#include "dialects/Rondo/IR/RondoOps.h"

namespace rondo::driver {

/// How the values of an argument are drawn.
struct Suitable {
  enum Kind {
    Normal,   // N(0, 1) * scale
    Negative, // -|N(0, 1)| * scale
    Positive, // |N(0, 1)| * scale + 0.01
    Unit,     // uniform in [0, scale)
    Index,    // uniform integers in [0, scale)
  };
  Kind kind = Normal;
  double scale = 1;
};

/// Judges by the argument's name alone, for libraries.
Suitable suitByName(llvm::StringRef name);

/// Judges by what the kernel does with the argument, then by its name.
/// - it goes into an exponential: negative, so that it is a decay; of the two
///   factors of a product that does, the one over time is positive;
/// - into a logarithm, a root or a divisor: positive;
/// - it is multiplied with a state: small enough to keep it bounded;
/// - it is a subscript of a gather: within the dim.
Suitable suitByUse(KernelOp kernel, unsigned input,
                   llvm::ArrayRef<int64_t> sizes);

/// Arithmetic operations of one call: every operation on reals in a body, and
/// every step of a reduction, counts 1, at all points of the equation's space
/// (filters are not looked at; bounds that depend on an index count for its
/// middle).
double countOperations(KernelOp kernel, llvm::ArrayRef<int64_t> sizes);

} // namespace rondo::driver

#endif // RONDO_COMPILER_DRIVER_USAGE_H
