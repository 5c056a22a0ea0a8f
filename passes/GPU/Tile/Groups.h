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

  /// Why one group should run the loop, or null.
  const char *whyOne = nullptr;
  /// The groups that execute an operation of the loop's body; of loads, none.
  unsigned groupsOf(mlir::Operation *op) const { return groups.lookup(op); }
  /// What each load's tile is used by.
  llvm::MapVector<mlir::Operation *, unsigned> loads;
  /// Values of the first (second) group that others use, and which.
  llvm::MapVector<mlir::Value, unsigned> fromAhead, fromChain;
  int64_t stages = 2; // of buffers that loads are copied to

private:
  const char *classify();
  const char *chooseStages(int64_t memory);
  unsigned usersOf(mlir::Operation *op);
  bool isHandedOn(mlir::Operation *op);

  mlir::scf::ForOp loop;
  llvm::DenseMap<mlir::Operation *, unsigned> groups;
};

/// Whether the operation is a scan down the rows of a matrix.
bool isMatrixScan(mlir::Operation *op);
/// Whether there is a product in what leads, in a step, to a matrix, or more
/// than pointwise computation in what leads to a vector.
bool computes(mlir::scf::ForOp loop, mlir::Operation *op, bool isVector);
/// Whether a scalar of a loop depends on its index and outer values only.
bool isEarly(mlir::scf::ForOp loop, mlir::Value value);
/// The load at another step, with nothing in it unless `runs` (null: it does).
LoadOp placeLoad(mlir::OpBuilder &builder, mlir::scf::ForOp loop, LoadOp load,
                 mlir::Value step, mlir::Value runs);
/// The same as a copy.
void placeCopy(mlir::OpBuilder &builder, mlir::scf::ForOp loop, LoadOp load,
               mlir::Value step, mlir::Value runs, mlir::Value buffer,
               mlir::Value stage);

} // namespace rondo::tile

#endif // RONDO_PASSES_GPU_TILE_GROUPS_H
