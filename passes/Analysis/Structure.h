//===- Structure.h - What kind of recurrence is this? -----------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Finds, from the equations alone, how each state of a recurrence depends on
// the old states. The members' equations are inlined into one expression per
// state, which is brought to the form
//
//   S[t, p] = sum over terms of coefficient * (old state)[.., p or summed]
//           + constant
//
// and the terms are classified by their index patterns. What the equations are
// called, how they are cut into locals and in which order products and sums
// are written plays no role.
//
// Words: a dim of the state is *kept* by a term when the old state is read
// there at the new value's own index, *contracted* when it is summed over, and
// *shifted* when it is read at a constant distance.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_ANALYSIS_STRUCTURE_H
#define RONDO_PASSES_ANALYSIS_STRUCTURE_H

#include "passes/Algebra/Linear.h"

namespace rondo::analysis {

/// left(i) * scale * sum over i' of right(i') S[t-1, .., i', ..] : one low-rank
/// term. `left` uses the new value's index of `dim`, `right` the summed
/// variable, `scale` neither (it may use other dims and time).
struct LowRankTerm {
  unsigned dim;
  algebra::Expr left, right, scale;
  const algebra::Variable *variable;
};

struct StateStructure {
  unsigned member = 0; // number in the recurrence; states come first
  llvm::StringRef name;
  Transition kind = Transition::Nonlinear;
  /// The new value at (t, p); leaves are the slice equation's parallel
  /// indices and the recurrence's along indices.
  algebra::Expr value = nullptr;
  /// Indices of the state's dims without batch, as leaves.
  llvm::SmallVector<algebra::Expr> indices;

  // Affine kinds.
  algebra::Expr decay = nullptr;    // coefficient of S[t-1, p]
  algebra::Expr logDecay = nullptr; // its logarithm, if it is known positive
  Decay decaySign = Decay::Unknown; // what is known of the values of `decay`
  llvm::SmallVector<unsigned> decayDims; // dims of the state that decay uses
  llvm::SmallVector<LowRankTerm> lowRank;
  unsigned rank = 0; // how many b (c^T S) a step, equal b or equal c once
  algebra::Expr constant = nullptr; // the part without old states
  Write write = Write::None;        // of `constant`
  unsigned writeRank = 0;
  bool timeInvariant = false; // no coefficient uses the along index
  /// Largest distance of a read of the past, 0 if it is not bounded.
  unsigned lag = 1;
  /// The gradient point or other past is frozen at the end of blocks of this
  /// many steps (0: it is not).
  unsigned block = 0;
  /// Other states whose past this one reads.
  llvm::SmallVector<unsigned> coupled;
  /// Dims over which reads of the past are summed.
  llvm::SmallVector<unsigned> mixed;

  /// Which old elements a new one depends on; for dense and nonlinear kinds.
  Coupling jacobian = Coupling::Diagonal;
  unsigned jacobianBlock = 0;
  bool threshold = false; // a condition on the past: no useful derivative
};

struct RecurrenceStructure {
  std::vector<StateStructure> states;
  /// The join of the states' kinds.
  Transition kind = Transition::Identity;
  /// The pattern of all states together.
  Coupling jacobian = Coupling::Diagonal;
  unsigned jacobianBlock = 0;
};

/// Analyses a recurrence. Expressions belong to `context`.
RecurrenceStructure analyze(algebra::Context &context, RecurrenceOp op);

/// What a member's equation in the region says at its own indices, with all
/// reads of other members' slices inlined.
algebra::Expr inlineSlice(algebra::Context &context, RecurrenceOp op,
                          mlir::Value slice);

/// Whether a step reads what the recurrence computes at places that data
/// gives. Only one step after the other does that.
bool gathersOwn(RecurrenceOp op);

/// t - 1, t - 2, ..: the constant distance of a subscript from the leaf
/// `index`, if it is one.
std::optional<int64_t> distance(algebra::Expr index, algebra::Expr subscript);

} // namespace rondo::analysis

#endif // RONDO_PASSES_ANALYSIS_STRUCTURE_H
