//===- Compare.h - Results against expected values --------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_COMPILER_DRIVER_COMPARE_H
#define RONDO_COMPILER_DRIVER_COMPARE_H

#include "compiler/IO/Safetensors.h"

namespace llvm {
class raw_ostream;
}

namespace rondo::driver {

struct Comparison {
  /// |found - expected| / |expected|, both as root mean squares over the
  /// points where both are finite; the plain root mean square of the
  /// difference where the expected values are all 0.
  double relativeError = 0;
  double maxError = 0;
  /// Points where only one of the two is finite, or they are different
  /// infinities, or only one is NaN.
  size_t mismatches = 0;
  bool sameShape = true;

  bool within(double tolerance) const {
    return sameShape && mismatches == 0 && relativeError <= tolerance;
  }
};

Comparison compare(const io::Array &found, const io::Array &expected);

/// Prints one line for every result that `expected` holds. Returns how many
/// there were and how many of them are not within the tolerance.
struct CheckOutcome {
  unsigned compared = 0, failed = 0;
};
CheckOutcome checkResults(const io::TensorMap &results,
                          const io::TensorMap &expected, double tolerance,
                          llvm::raw_ostream &os);

} // namespace rondo::driver

#endif // RONDO_COMPILER_DRIVER_COMPARE_H
