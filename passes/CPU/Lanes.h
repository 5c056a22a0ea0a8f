//===- Lanes.h - How values differ between the lanes of a vector *- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// When one dim of a nest is computed a vector at a time, lane l has that dim's
// index at i + l. This analysis tells for every value of the body how it
// depends on l, for one choice of the dim.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_CPU_LANES_H
#define RONDO_PASSES_CPU_LANES_H

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "passes/CPU/LoopNest.h"

namespace rondo::cpu {

struct LaneKind {
  enum Kind {
    /// The same in all lanes.
    Uniform,
    /// An integer, first + l * step.
    Linear,
    /// An integer that grows by 0 or 1 from lane to lane: an index clamped to a
    /// range. When last - first is the number of lanes less one, it is linear
    /// with step 1.
    Clamped,
    Varying
  } kind = Uniform;
  int64_t step = 0;

  bool operator==(const LaneKind &o) const {
    return kind == o.kind && step == o.step;
  }
};

/// How the lanes of one access lie in memory.
enum class AccessKind {
  Uniform,    // one address
  Contiguous, // neighbours in order
  Guarded,    // contiguous where the last subscript is not clamped
  Scattered
};

class Lanes {
public:
  /// Fails if the body can't be computed with vectors along `dim`.
  static mlir::FailureOr<Lanes> analyze(const LoopNest &nest, unsigned dim);

  LaneKind get(mlir::Value value) const { return kinds.lookup(value); }
  AccessKind getAccess(mlir::Value memref, mlir::ValueRange subscripts) const;

  /// The value is needed as a vector.
  bool needsVector(mlir::Value value) const { return vectors.contains(value); }
  /// The value is needed in the last lane.
  bool needsLast(mlir::Value value) const { return lasts.contains(value); }

  /// An integer comparison of a linear value of step 1 with a uniform one,
  /// whose true lanes are a range: `mask` is true for the first (or, if
  /// `inverted`, all but the first) bound - index (+ 1 if `closed`) lanes.
  struct RangeCompare {
    mlir::Value index, bound;
    bool closed, inverted;
  };
  std::optional<RangeCompare> matchRange(mlir::Operation *op) const;

private:
  std::optional<LaneKind> classify(mlir::Operation *op, const LoopNest &nest,
                                   unsigned dim) const;
  void findDemands(const LoopNest &nest, unsigned dim);

  llvm::DenseMap<mlir::Value, LaneKind> kinds;
  llvm::DenseSet<mlir::Value> vectors, lasts;
};

/// The op does the same to each lane and can be cloned with vector types.
bool isElementwise(mlir::Operation *op);

} // namespace rondo::cpu

#endif // RONDO_PASSES_CPU_LANES_H
