//===- CellKernel.h - Recurrences with products as one kernel ---*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A kernel is a *cell* when its states are vectors, and a step is pointwise but
// for *contractions*: sums over all units of weights times an *operand*,
//
//   sum[e] W[.., d, e] * operand[e]
//
// where weights depend on no step, and operands are pointwise in the states,
// the arguments and other contractions. LSTM, GRU, sLSTM and what a user makes
// of them are of this kind, and layers of them over one time.
//
// Batch dims that no weight has are *rows*: what the weights of a *head* (a
// value of the other batch dims) are shared by. One device kernel takes all
// steps, a block a head and 8 rows, or several blocks, each with some of the
// units, where the weights do not fit one multiprocessor:
//
//   weights    are in registers for all steps, as left operands of the matrix
//              units: bf16, f32 as the sum of three
//   operands   go through memory to all warps at each step, in the order in
//              which the matrix units take them; a contraction whose operand
//              reads contractions waits for those
//   products   leave all contractions of a unit in the thread that holds the
//              unit's states, so that all else is scalar code
//   arguments  are loaded some steps ahead
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_FORMS_CELLKERNEL_H
#define RONDO_PASSES_FORMS_CELLKERNEL_H

#include "passes/Forms/StepStructure.h"

namespace rondo {

struct CellStructure : StepStructure {
  /// The last of `indices`, and its extent.
  algebra::Expr unit = nullptr;
  int64_t width = 0;
  llvm::SmallVector<bool> isRow; // of the batch dims

  struct Operand {
    algebra::Expr value; // at `unit`
    unsigned level;      // contractions of lower levels come first
  };
  llvm::SmallVector<Operand> operands;
  struct Contraction {
    algebra::Expr marker; // stands for it in expressions
    algebra::Expr weight; // over `unit` and `summed`
    unsigned operand;
  };
  llvm::SmallVector<Contraction> contractions;
  algebra::Expr summed = nullptr;
  unsigned numLevels = 0;

  struct Result {
    unsigned output;
    algebra::Expr value;
  };
  llvm::SmallVector<Result> results;

  /// bf16 numbers whose sum is an operand, or a weight.
  unsigned operandTerms = 1, weightTerms = 1;
};

/// None with the reason in the user's words.
std::optional<CellStructure> findCellStructure(algebra::Context &context,
                                               KernelOp kernel,
                                               std::string &reason);

struct CellParameters {
  int64_t rowTiles = 1;  // of 8 rows, in a block
  int64_t unitTiles = 1; // of 8 units, in a block
  int64_t splits = 1;    // of the sums, over warps
  int64_t parts = 1;     // blocks of a head
  int64_t steps = 4;     // that arguments are loaded ahead
};

/// How the cell is spread over warps and blocks; none, with the reason, where
/// the weights fit nowhere.
std::optional<CellParameters> chooseCellParameters(const CellStructure &cell,
                                                   std::string &reason);

/// Replaces the kernel by a `gpu.func` and a function of the host that launches
/// it.
void toCellKernel(algebra::Context &context, CellStructure &structure,
                  CellParameters parameters);

} // namespace rondo

#endif // RONDO_PASSES_FORMS_CELLKERNEL_H
