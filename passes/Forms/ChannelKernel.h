//===- ChannelKernel.h - Recurrences as device kernels by channel -*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A kernel is *by channel* when it has one recurrence, whose step is pointwise
// (Jacobian.h: diagonal, or blocks of the states at a point), and its results
// are pointwise in the same indices. Every point of the states' dims, a
// channel, is then computed by itself: ParaGRU, ParaLSTM, other units without
// connections, and linear recurrences on vectors are of this kind.
//
// Two device kernels compute one:
//
//   sequential  a thread per channel takes one step after the other; the states
//               are in registers
//   newton      a block has some channels and many segments of steps. Every
//               thread has the states of a few consecutive steps of a channel in
//               registers; all of them evaluate the step and its derivative,
//               compose the linearised steps of their segment, and find the
//               correction at its start from the segments before (in shared
//               memory). A window goes on until no thread of the block has a
//               defect, without the host. One that does not settle is computed
//               step by step by the first threads.
//
// Everything that does not depend on the states is loaded once per window.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_FORMS_CHANNELKERNEL_H
#define RONDO_PASSES_FORMS_CHANNELKERNEL_H

#include "passes/Analysis/Jacobian.h"
#include <string>

namespace rondo {

struct ChannelStructure {
  KernelOp kernel;
  RecurrenceOp recurrence;
  analysis::Jacobian jacobian;
  /// The equations of the states' declared initial values.
  llvm::SmallVector<EquationOp> declared;
  struct Result {
    unsigned output;
    EquationOp equation; // whose indices are the leaves
    algebra::Expr value; // other equations are inlined
  };
  llvm::SmallVector<Result> results;
  /// (output, state) of final values.
  llvm::SmallVector<std::pair<unsigned, unsigned>> finals;
};

/// None with the reason in the user's words.
std::optional<ChannelStructure>
findChannelStructure(algebra::Context &context, KernelOp kernel,
                     std::string &reason);

struct ChannelParameters {
  bool newton = false;
  int64_t channels = 16; // of a block
  int64_t segments = 32; // threads of a channel, newton
  int64_t steps = 8;     // of a segment
  int64_t bound = 12;    // evaluations of a window
};

/// Replaces the kernel by a `gpu.func` and a function of the host that launches
/// it.
void toChannelKernel(algebra::Context &context, ChannelStructure &structure,
                     ChannelParameters parameters);

} // namespace rondo

#endif // RONDO_PASSES_FORMS_CHANNELKERNEL_H
