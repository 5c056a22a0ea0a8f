//===- Groups.h - Parts of a loop over chunks -------------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What a step computes, by what it waits for. `tile-split-groups` gives the
// parts to groups of warps, `tile-split-chunks` asks whether it will.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_GPU_TILE_GROUPS_H
#define RONDO_PASSES_GPU_TILE_GROUPS_H

#include "dialects/Tile/IR/TileOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/MapVector.h"

namespace rondo::tile {

/// Groups of warps, and sets of them.
enum GroupSet : unsigned { kNone = 0, kAhead = 1, kChain = 2, kReaders = 4 };

class LoopParts {
public:
  LoopParts(mlir::scf::ForOp loop, int64_t memory);

  /// Why groups don't share what the loop computes, or null.
  const char *whyOne = nullptr;
  /// If so, why no group copies for the one that computes, or null.
  const char *whyCopies = nullptr;
  /// Whether a group copies for one that does the rest.
  bool isCopied() const { return whyOne && !whyCopies; }
  bool isForTwoBlocks() const { return !hasReaders && !whyOne; }
  /// The groups that execute an operation of the loop's body; of loads, none.
  unsigned groupsOf(mlir::Operation *op) const { return groups.lookup(op); }
  /// Loads whose tiles are copied to the same stages, and the group that copies.
  struct Copies {
    unsigned group = kAhead;
    int64_t stages = 2, bytes = 0;
    llvm::SmallVector<LoadOp> loads;
  };
  Copies copies[2];
  /// Values of the first (second) group that others use, and which.
  llvm::MapVector<mlir::Value, unsigned> fromAhead, fromChain;
  bool hasReaders = true;
  unsigned numGroups() const { return hasReaders ? 3 : 2; }

private:
  const char *whyNotCopied(LoadOp load);
  const char *classify();
  bool leadsOn(mlir::Operation *op);
  const char *classifyCopies();
  void shareCopies();
  const char *chooseStages(int64_t memory);
  unsigned usersOf(mlir::Operation *op);
  bool isHandedOn(mlir::Operation *op);
  bool isFactorOfChain(mlir::Operation *op);

  mlir::scf::ForOp loop;
  llvm::DenseMap<mlir::Operation *, unsigned> groups;
  llvm::MapVector<LoadOp, unsigned> loads; // and who uses their tiles
};

/// Whether the operation is a scan down the rows of a matrix.
bool isMatrixScan(mlir::Operation *op);
/// Whether there is a product in what leads, in a step, to a matrix, or more
/// than pointwise computation in what leads to a vector.
bool computes(mlir::scf::ForOp loop, mlir::Operation *op, bool isVector);
/// Whether a scalar of a loop depends on its index and outer values only.
bool isEarly(mlir::scf::ForOp loop, mlir::Value value);
/// Whether a vector or scalar lies in memory so that words of it can be copied.
bool hasWords(LoadOp load);
/// The load at another step, with nothing in it unless `runs` (null: it does).
LoadOp placeLoad(mlir::OpBuilder &builder, mlir::scf::ForOp loop, LoadOp load,
                 mlir::Value step, mlir::Value runs);
/// The same as a copy.
void placeCopy(mlir::OpBuilder &builder, mlir::scf::ForOp loop, LoadOp load,
               mlir::Value step, mlir::Value runs, mlir::Value buffer,
               mlir::Value stage);

} // namespace rondo::tile

#endif // RONDO_PASSES_GPU_TILE_GROUPS_H
