//===- Capabilities.h - What a chip can do ----------------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The one place that knows chips: names, the PTX version that code for them is
// written in, limits, and the instructions that not all have. A module for the
// device carries the chip's name as `rondo.chip = "sm_90a"`.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_GPU_CAPABILITIES_H
#define RONDO_PASSES_GPU_CAPABILITIES_H

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringRef.h"

namespace rondo::gpu {

struct Chip {
  llvm::StringLiteral name;    // "sm_90a"
  int number;                  // 90: compute capability times ten
  /// Runs on this capability only, not on later ones.
  bool exact;
  /// The PTX version to write, times ten: the lowest that has what the chip
  /// offers, so that old drivers take it.
  int ptx;
  int64_t sharedBytes;         // of a block at most
  /// Multiplies by groups of four warps, with wgmma.
  bool hasWarpgroups() const { return exact && number == 90; }
};

/// The chip of this name, or null.
const Chip *findChip(llvm::StringRef name);
llvm::ArrayRef<Chip> getChips();
/// LLVM's features for it, "+ptx80". Never empty: LLVM ends the process when
/// the PTX version is too old for a chip.
std::string getFeatures(const Chip &chip);
/// Reads `rondo.chip`; the oldest chip without it.
const Chip &getChip(mlir::ModuleOp module);

} // namespace rondo::gpu

#endif // RONDO_PASSES_GPU_CAPABILITIES_H
