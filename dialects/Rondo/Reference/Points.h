//===- Points.h - All points of a box ---------------------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_DIALECTS_RONDO_REFERENCE_POINTS_H
#define RONDO_DIALECTS_RONDO_REFERENCE_POINTS_H

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"

namespace rondo::reference {

/// Counts through all points of a box, the last dim fastest.
class Points {
public:
  Points(llvm::ArrayRef<int64_t> lowers, llvm::ArrayRef<int64_t> uppers)
      : lowers(lowers), uppers(uppers), point(lowers) {
    for (auto [lower, upper] : llvm::zip(lowers, uppers))
      done |= lower >= upper;
  }
  explicit Points(llvm::ArrayRef<int64_t> sizes)
      : Points(llvm::SmallVector<int64_t>(sizes.size(), 0), sizes) {}

  bool isDone() const { return done; }
  llvm::ArrayRef<int64_t> get() const { return point; }
  void next() {
    for (int64_t dim = point.size() - 1; dim >= 0; --dim) {
      if (++point[dim] < uppers[dim])
        return;
      point[dim] = lowers[dim];
    }
    done = true;
  }

private:
  llvm::SmallVector<int64_t> lowers, uppers, point;
  bool done = false;
};

} // namespace rondo::reference

#endif // RONDO_DIALECTS_RONDO_REFERENCE_POINTS_H
