//===- PackedSequences.h - Several sequences in one batch -------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A packed batch holds sequences one after the other along the time dim. Device
// kernels read the boundaries themselves: a batch point becomes a sequence and
// a point within, and tensors are moved to where the sequence starts.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_COMMON_PACKEDSEQUENCES_H
#define RONDO_PASSES_COMMON_PACKEDSEQUENCES_H

#include "dialects/Rondo/IR/RondoOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace rondo {

/// Which sizes are the time and the sequences of packed batches.
struct Packing {
  int64_t timeSize = -1;     // position of the size; -1: not packable
  int64_t sequenceSize = -1; // of the first batch dim, if there is one
  llvm::SmallVector<int64_t> batchSizes;

  /// From the attributes of a kernel, or of a function's signature.
  static Packing get(mlir::DictionaryAttr signature);
  /// The dim of the tensor that is this size as a whole, or -1.
  static int64_t findDim(TensorSpecAttr spec, int64_t size);

  /// The sequence of a point, its start and length, and the point in it.
  struct Part {
    mlir::Value number, start, length, point;
  };
  /// Boundaries are kept within the time dim, whatever they are. `width` is
  /// the bytes of one, 0: not packed. `sizes` are the kernel's.
  Part emitPart(mlir::ImplicitLocOpBuilder &b, mlir::ValueRange sizes,
                mlir::Value sequences, mlir::Value width,
                mlir::Value point) const;
  /// The tensor as the part sees it.
  mlir::Value shiftToPart(mlir::ImplicitLocOpBuilder &b, TensorSpecAttr spec,
                          mlir::Value tensor, const Part &part) const;
};

} // namespace rondo

#endif // RONDO_PASSES_COMMON_PACKEDSEQUENCES_H
