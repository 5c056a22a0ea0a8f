//===- LoopNest.h - A linalg op as loops around scalar code -----*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The form in which a linalg op is analysed and emitted: all reads are
// memref.load ops in the body, all indices are linalg.index ops, and what is
// written is described by `Output`.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_CPU_LOOPNEST_H
#define RONDO_PASSES_CPU_LOOPNEST_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/PatternMatch.h"
#include "llvm/ADT/DenseMap.h"

namespace rondo::cpu {

/// One bit per dim of a nest.
using DimSet = uint64_t;
inline DimSet dimBit(unsigned dim) { return DimSet(1) << dim; }

/// Something that a nest writes: memref[subscripts] = yielded.
struct Output {
  mlir::Value memref;
  /// Values in the body.
  llvm::SmallVector<mlir::Value> subscripts;
  /// The old value of memref[subscripts], or the value so far in a reduction.
  mlir::BlockArgument accumulator;
  mlir::Value yielded;
  /// In a reduction: the op `yielded` = combiner(accumulator, term), when the
  /// order of combination does not matter and the accumulator has no other
  /// use. Null otherwise.
  mlir::Operation *combiner = nullptr;
};

/// A reduction that adds only where
///   scale * index of `inner` <= index of `row` + offset,
/// `row` being a parallel dim. The scale is 1, or 2 where `inner` is one of the
/// reduction.
struct Triangle {
  unsigned inner, row;
  int64_t offset;
  mlir::arith::SelectOp select; // select(condition, term, identity)
  int64_t scale = 1;
};

class LoopNest {
public:
  /// Brings `op` into this form. The op's body is rewritten in place; the op is
  /// to be erased once the nest is emitted.
  static mlir::FailureOr<LoopNest> create(mlir::linalg::GenericOp op,
                                          mlir::OpBuilder &builder);

  mlir::Location getLoc() const { return op->getLoc(); }
  mlir::Block *getBody() const { return &op->getRegion(0).front(); }
  unsigned getNumDims() const { return reduction.size(); }
  bool isReduction(unsigned dim) const { return reduction[dim]; }
  bool hasReduction() const { return llvm::is_contained(reduction, true); }

  /// Dims that a value depends on; none for values from outside of the body.
  /// The accumulators of reductions depend on all dims.
  DimSet getDims(mlir::Value value) const { return dims.lookup(value); }
  DimSet getDims(mlir::Operation *bodyOp) const;

  /// Every reduction combines in any order.
  bool isReorderable() const;

  /// The triangle of the one output, if the nest has the form of one.
  std::optional<Triangle> findTriangle() const;
  /// Makes the reduction add everywhere.
  void dropFilter(const Triangle &triangle);

  mlir::Operation *op; // the linalg.generic
  llvm::SmallVector<bool> reduction;
  /// Number of iterations of each dim: an index value before the op, and its
  /// constant value if it has one (or what it is at most), else -1.
  llvm::SmallVector<mlir::Value> extents;
  llvm::SmallVector<int64_t> staticExtents;
  llvm::SmallVector<Output> outputs;
  /// The reduction starts from its identity, whatever stands in its output.
  bool startsFresh = false;
  /// The ops of the body that are needed, in order, without the terminator.
  llvm::SmallVector<mlir::Operation *> ops;

private:
  void readInputs(mlir::linalg::GenericOp generic, mlir::OpBuilder &builder);
  void collectOutputs(mlir::linalg::GenericOp generic,
                      mlir::OpBuilder &builder);
  void collectOps();
  double countPoints(DimSet dims) const;
  bool orderProducts(mlir::OpBuilder &builder);
  mlir::SmallVector<mlir::Value> expandMap(mlir::OpBuilder &builder,
                                           mlir::AffineMap map);

  llvm::SmallVector<mlir::Value> indices; // one linalg.index per dim
  llvm::DenseMap<mlir::Value, DimSet> dims;
};

/// The value that leaves a reduction by `combiner` unchanged.
mlir::TypedAttr getIdentity(mlir::Operation *combiner, mlir::Type type);

/// The fill right before a reduction that it need not read: the fill of its
/// output with the identity.
mlir::linalg::FillOp findFill(mlir::linalg::GenericOp op);

} // namespace rondo::cpu

#endif // RONDO_PASSES_CPU_LOOPNEST_H
