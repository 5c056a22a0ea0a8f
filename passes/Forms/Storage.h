//===- Storage.h - Where tensors are kept -----------------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// Everything is stored for one batch point at a time: batch dims take no place.
// Where points are computed as rows (Rows.h), buffers have a dim for these; where
// channels are computed in blocks (ChannelBlocks.h), they are the last dim, and
// what lasts for more than a step has a place for each block.
//
// A tensor is *contracted* when all its readers stand in the cluster of its
// equation and the distances at which they read are bounded. Let `level` be the
// outermost loop of which some reader wants an earlier step, and d the greatest
// distance there. Dims of outer loops take no place, the dim of this loop
// becomes a ring of d + 1 slots (slot = step mod ring), dims of inner loops
// stay whole:
//
//   S[t-1] and S[t], along T      [2, K, V], or [K, V] in place (below)
//   h[y-1, x], h[y, x-1]          [2, X, D], or [X, D] in place
//   s[t, u] at the same t only    [U]
//
// In place: one slot is enough for d = 1 when everything that reads the step
// before is scheduled before the writer, or is the writer itself at the same
// point.
//
// An inner recurrence with states keeps its current step, in place, whatever
// runs around it; its dim takes no place, and its final values are what its
// slots hold. They start with copies of the initial values.
//
// Before its loop starts, a ring that may be read before its first step is
// filled with the state's initial value (with 0 for locals): reads need no
// test. The final value of a state is then what its last slot holds, also
// when there was no step at all.
//
// A read at the end of the previous block, x[t - t mod n - 1], is served by a
// *snapshot*: a copy of the step before, taken whenever t mod n = 0.
//
// A result is written in place when its type in memory is the type of its
// values, or when nobody reads it and it needs no accumulator; else every step
// is copied and rounded. All other tensors are stored whole in the workspace.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_FORMS_STORAGE_H
#define RONDO_PASSES_FORMS_STORAGE_H

#include "passes/Forms/ChannelBlocks.h"
#include "passes/Forms/Rows.h"

namespace rondo {

/// A piece of the workspace. Buffers of different clusters may overlap.
struct Buffer {
  llvm::SmallVector<mlir::AffineExpr> sizes; // null: the rows of a block
  mlir::Type element;
  int cluster; // that alone uses it, or -1
  bool isOfBlocks = false; // has a leading dim for the blocks of channels
};

struct TensorStorage {
  enum class Kind { None, Input, Output, Buffer };
  Kind kind = Kind::None;
  unsigned number = 0; // of the input, output or buffer
  /// Dim of the tensor behind each dim in memory.
  llvm::SmallVector<unsigned> dims;
  /// Slots, 0 for a tensor that is stored whole.
  int64_t ring = 0;
  unsigned level = 0;
  bool prefilled = false;
  /// Written elsewhere, then copied to the output.
  bool isCopiedOut = false;
  /// Of a buffer that several tensors share: its first dim at this index.
  std::optional<unsigned> slot;

  bool isContracted() const { return ring > 0; }
  /// With one slot, the ring has no dim in memory.
  bool hasRingDim() const { return ring > 1; }
};

/// buffer = tensor at the step before, whenever time mod period = 0.
struct Snapshot {
  Tensor *tensor;
  mlir::AffineExpr period;
  unsigned buffer;
};

class Storage {
public:
  /// `rows` and `channels` may be null; the length of a block of channels is
  /// decided here.
  Storage(Program &program, const Clusters &clusters, const Rows *rows,
          ChannelBlocks *channels = nullptr);
  /// Reports a tensor of an inner recurrence that needs more than a step.
  mlir::LogicalResult verify() const;

  const TensorStorage &of(const Tensor *tensor) const {
    return byTensor.find(tensor)->second;
  }
  const Snapshot *getSnapshot(const Access &access) const;
  /// The writer reads the value that it overwrites.
  bool readsOverwritten(const Access &access) const;
  /// A read before the first step finds the right value in the ring.
  bool isServedByPrefill(const Access &access) const;

  /// The rows that are computed together, or null.
  const Rows *rows;
  /// The channels that are computed in blocks, or null.
  const ChannelBlocks *channels;
  llvm::SmallVector<Buffer> buffers;
  llvm::SmallVector<Snapshot> snapshots;
  /// Of each group of products: the buffers of the packed matrices and of the
  /// results.
  struct GroupBuffers {
    unsigned matrices, results;
  };
  llvm::SmallVector<GroupBuffers> groups;

  /// Element type in memory: conditions are i8, indices i64.
  static mlir::Type getMemoryType(mlir::Type element);
  /// A tensor of the signature in memory: innermost stride 1.
  static mlir::MemRefType getMemRefType(TensorSpecAttr spec);

private:
  void place(Tensor *tensor);
  void placeMember(Tensor *tensor, TensorStorage &storage);
  void placeInitials();
  bool contract(Tensor *tensor, TensorStorage &storage);
  bool fitsCarried(const Tensor *tensor) const;
  bool needsRingDim(Tensor *tensor, unsigned level) const;
  bool isBlockEnd(const Access &access, const Timing &timing,
                  mlir::AffineExpr &period) const;
  bool isElementwise(const Access &access) const;
  void addSnapshots(Tensor *tensor);
  unsigned addBuffer(llvm::SmallVector<mlir::AffineExpr> sizes,
                     mlir::Type element, int cluster);
  void makeBuffer(Tensor *tensor, TensorStorage &storage, int cluster);
  void addGroups();
  llvm::SmallVector<unsigned> getOrder(const Tensor &tensor) const;
  void separateBlocks();
  int64_t chooseBlock() const;

  Program &program;
  const Clusters &clusters;
  llvm::DenseMap<const Tensor *, TensorStorage> byTensor;
  llvm::DenseMap<const Access *, unsigned> snapshotOf;
};

} // namespace rondo

#endif // RONDO_PASSES_FORMS_STORAGE_H
