//===- Compare.cpp - Results against expected values ----------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/Driver/Compare.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"
#include <algorithm>
#include <cmath>

using namespace rondo;
using namespace rondo::driver;

Comparison driver::compare(const io::Array &found, const io::Array &expected) {
  Comparison result;
  result.sameShape = found.shape() == expected.shape();
  if (!result.sameShape)
    return result;
  // The squares of doubles fit the range of a long double.
  long double difference = 0, norm = 0;
  size_t finite = 0;
  for (size_t i = 0, n = found.size(); i < n; ++i) {
    double a = found.real(i), b = expected.real(i);
    if (!std::isfinite(a) || !std::isfinite(b)) {
      result.mismatches += !(a == b || (std::isnan(a) && std::isnan(b)));
      continue;
    }
    long double d = static_cast<long double>(a) - b;
    difference += d * d;
    norm += static_cast<long double>(b) * b;
    result.maxError = std::max(result.maxError, std::fabs(a - b));
    ++finite;
  }
  if (norm > 0)
    result.relativeError = std::sqrt(difference / norm);
  else if (finite)
    result.relativeError = std::sqrt(difference / finite);
  return result;
}

static void printLine(llvm::StringRef name, const io::Array &found,
                      const io::Array &expected, const Comparison &comparison,
                      double tolerance, llvm::raw_ostream &os) {
  os << llvm::left_justify(name, 16) << ' '
     << llvm::left_justify(io::formatShape(found.shape()), 20) << ' ';
  if (!comparison.sameShape) {
    os << "FAIL: expected the shape " << io::formatShape(expected.shape())
       << "\n";
    return;
  }
  os << "relative RMS error " << llvm::format("%.3e", comparison.relativeError)
     << "  max abs error " << llvm::format("%.3e", comparison.maxError);
  if (comparison.mismatches)
    os << "  FAIL: " << comparison.mismatches << " of " << found.size()
       << " points are NaN or infinite where the "
          "other side is not";
  else
    os << (comparison.within(tolerance) ? "  ok" : "  FAIL");
  os << "\n";
}

CheckOutcome driver::checkResults(const io::TensorMap &results,
                                  const io::TensorMap &expected,
                                  double tolerance, llvm::raw_ostream &os) {
  CheckOutcome outcome;
  for (const auto &[name, found] : results) {
    auto entry = expected.find(name);
    if (entry == expected.end())
      continue;
    Comparison comparison = compare(found, entry->second);
    printLine(name, found, entry->second, comparison, tolerance, os);
    ++outcome.compared;
    outcome.failed += !comparison.within(tolerance);
  }
  return outcome;
}
