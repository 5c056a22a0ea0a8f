//===- ChunkedStructure.h - What the chunkwise form is made of --*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A recurrence has a chunkwise form when it has one state with dims (i, j) and
//
//   S[t, i, j] = a[t, i] S[t-1, i, j] + sum over m of x_m[t, i] u_m[t, j]
//   u_m[t, j]  = w_m[t, j] + sum over n of b_mn[t, j] p_n[t, j]
//   p_n[t, j]  = sum over i of c_n[t, i] S[t-1, i, j]
//
// where everything but S is free of states, and when all that is read of S
// later are contractions over i,
//
//   o[t, j]    = z[t, j] sum over i of q[t, i] S[t, i, j]   (or S[t-1, i, j]).
//
// Where c, x or q is an input of a narrow type times what lacks dims i, it is
// the input alone, an operand that needs no rounding: normalised keys.
//
// i and j stand for any number of dims, also none; a may be 1. Linear
// attention, retention, GLA, DeltaNet, Gated DeltaNet, KDA, RWKV-6/7,
// DeltaProduct, mLSTM's states and TTT are of this class; nothing here knows
// their names. Sources: Yang et al. 2023 (GLA), Yang et al. 2024 (DeltaNet's
// UT transform).
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_FORMS_CHUNKEDSTRUCTURE_H
#define RONDO_PASSES_FORMS_CHUNKEDSTRUCTURE_H

#include "passes/Analysis/Structure.h"
#include <string>

namespace rondo {

/// One write x_m[t, i] u_m[t, j]. Expressions are over the state equation's
/// index leaves.
struct ChunkedWrite {
  algebra::Expr left;  // x_m: uses dims i
  algebra::Expr right; // w_m: uses dims j; zero when all of u_m is read back
  /// b_mn for read n of `reads`; null where it is 0.
  llvm::SmallVector<algebra::Expr> feedback;
};

/// One read-back p_n: c_n over the leaves of dims i.
struct ChunkedRead {
  algebra::Expr left;
  /// Reads the state at the start of the chunk, not at t-1 (a gradient point
  /// that is frozen for blocks as long as the chunk).
  bool frozen = false;
};

/// One term z * sum over i of q * S of an equation that reads the state.
struct ReadoutTerm {
  algebra::Expr left;  // q, over the state's leaves of dims i and the
                       // consumer's indices
  algebra::Expr scale; // z, over the consumer's indices
  bool before = false; // reads S[t-1]
};

struct Readout {
  EquationOp consumer;
  unsigned timeIndex; // its parallel index that stands for t
  /// For each dim in j, the consumer's parallel index.
  llvm::SmallVector<unsigned> rightIndices;
  llvm::SmallVector<ReadoutTerm> terms;
  algebra::Expr constant; // what is added without the state
};

struct ChunkedStructure {
  RecurrenceOp recurrence;
  EquationOp state; // the slice's equation, whose indices are the leaves
  bool reversed = false;
  algebra::Expr time; // the along index
  algebra::Expr decay;
  llvm::SmallVector<algebra::Expr> batch; // leaves of the batch indices
  llvm::SmallVector<algebra::Expr> left,
      right; // leaves of dims i and of dims j
  llvm::SmallVector<unsigned> leftDims, rightDims; // their positions
  bool decayUsesLeft = false;
  llvm::SmallVector<ChunkedWrite> writes;
  llvm::SmallVector<ChunkedRead> reads;
  std::vector<Readout> readouts;
  /// When a read is frozen for blocks, the block: the only possible chunk.
  unsigned block = 0;
};

/// The chunkwise structure of a recurrence, or none with the reason in the
/// user's words.
std::optional<ChunkedStructure> findChunkedStructure(algebra::Context &context,
                                                     RecurrenceOp op,
                                                     std::string &reason);

} // namespace rondo

#endif // RONDO_PASSES_FORMS_CHUNKEDSTRUCTURE_H
