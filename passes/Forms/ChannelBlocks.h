//===- ChannelBlocks.h - Dims along which nothing meets ---------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A size is one of *channels* when a kernel computes each index of the dims of
// that size by itself: every tensor has at most one such dim, and a statement
// reads them at its own index only, as d is in
//
//   h[t, d, n] = exp(dt[t, d] * A[d, n]) * h[t-1, d, n] + dt[t, d] * b[t, n]
//   y[t, d]    = sum[n] c[t, n] * h[t, d, n]
//
// Any range of channels is then a kernel of its own, with tensors that begin at
// the first of them. A point of the kernel is a *part* of the channels of a
// batch point, so that several threads share one batch point, too; a range of
// points computes neighbouring parts together. Within it, a *block* of channels
// runs through some steps before the next block does, so that its states stay
// in the first-level cache, and rows of arguments are read as a whole soon:
//
//   for 16 steps, for the next 16, ..
//     for each block: for each of these steps
//
// In buffers channels are the last dim, in the order of vectors. Arguments that
// don't depend on the step and have another order are copied into this one
// first.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_FORMS_CHANNELBLOCKS_H
#define RONDO_PASSES_FORMS_CHANNELBLOCKS_H

#include "passes/Forms/Clusters.h"

namespace rondo {

struct ChannelBlocks {
  /// Bytes that the states of a block should take.
  static constexpr int64_t kBytes = 20 * 1024;
  static constexpr int64_t kLeast = 64, kMost = 4096, kMostOfPart = 512;
  /// Steps that a block runs through.
  static constexpr int64_t kSteps = 16;

  unsigned number;       // of the size
  mlir::AffineExpr size; // the symbol for it
  int64_t block = kLeast;
  int64_t getPart() const { return std::min(block, kMostOfPart); }

  /// The channels' dim among those of a tensor.
  std::optional<unsigned> getDim(llvm::ArrayRef<mlir::AffineExpr> shape) const;
};

/// The size that may be one of channels: the last dim of all results.
std::optional<unsigned> findChannelSize(KernelOp kernel);

/// Whether size `number` is one of channels. A bound one is a constant, and not
/// told from others.
std::optional<ChannelBlocks>
findChannelBlocks(Program &program, const Clusters &clusters, unsigned number);

/// Gives arguments that recurrences read, that don't depend on the step and
/// whose channels are not the last dim an equation that copies them. Returns
/// whether there were any.
bool packInvariants(KernelOp kernel, unsigned number);

} // namespace rondo

#endif // RONDO_PASSES_FORMS_CHANNELBLOCKS_H
