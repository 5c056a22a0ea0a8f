//===- ChannelKernel.h - Recurrences as kernels by channel ------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A kernel is *by channel* when its recurrences are pointwise: a state at a
// point of its dims depends on states at that point only. All states have the
// same dims; results are pointwise in them, too, or are sums over some, which
// are *private*: the others are the channels. Each channel is computed by
// itself. Mamba's scan (a channel has N states), RWKV-4 (a maximum and two
// averages), ParaGRU, LIF neurons and linear recurrences on vectors are of this
// kind.
//
// Three device kernels compute one:
//
//   sequential  one step after the other, with the states in registers. Some
//               lanes share a channel when it has private states. Arguments are
//               loaded for a block of steps while the one before is computed;
//               those that several threads read go through shared memory
//   scan        for steps that are affine, or a maximum, in the past: a block
//               has some channels and many segments of steps. A thread composes
//               the maps of its segment, finds the states before it from the
//               segments before, and then computes its steps
//   newton      for other steps that can be differentiated: segments are
//               computed from guessed states, which are corrected by their
//               derivatives until each segment starts where the one before
//               ends. What does not settle is computed step by step. A kernel
//               in front of it computes windows side by side, in case the steps
//               before a segment lead to its states
//
// Everything that does not depend on the states is loaded once.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_FORMS_CHANNELKERNEL_H
#define RONDO_PASSES_FORMS_CHANNELKERNEL_H

#include "passes/Forms/StepStructure.h"

namespace rondo {

struct ChannelStructure : StepStructure {
  llvm::SmallVector<bool> isPrivate; // of the states' dims
  int64_t numPrivate = 1;            // points of a channel

  /// The states of one recurrence.
  struct Group {
    unsigned first, count;
    /// With `hasMaps`: value[i] = constants[i] + sum of factors[i][j] past[j],
    /// or max(constants[0], factors[0][0] + past).
    bool hasMaps = false, isMaximum = false;
    llvm::SmallVector<llvm::SmallVector<algebra::Expr>> factors;
    llvm::SmallVector<algebra::Expr> constants;
  };
  llvm::SmallVector<Group> groups;

  /// A reduction over all private dims; `marker` stands for it.
  struct Sum {
    algebra::Expr marker;
    Combiner combiner;
    algebra::Expr body, filter; // filter may be null
  };
  llvm::SmallVector<Sum> sums;
  struct Result {
    unsigned output;
    llvm::SmallVector<unsigned> dims; // of the states, after batch and time
    algebra::Expr value;
    bool isWide; // has the private dims
  };
  llvm::SmallVector<Result> results;

  /// Newton: d value[i] / d past[j], of the only group.
  llvm::SmallVector<llvm::SmallVector<algebra::Expr>> derivatives;

  /// Elements of arguments that a step reads, but for those in short sums.
  llvm::SmallVector<algebra::Expr> findReads() const;
  /// How many of them depend on the step.
  int64_t countReadsOfStep() const;
};

/// None with the reason in the user's words.
std::optional<ChannelStructure> findChannelStructure(algebra::Context &context,
                                                     KernelOp kernel,
                                                     std::string &reason);

/// Whether all steps are maps that can be composed; fills those.
bool findChannelMaps(algebra::Context &context, ChannelStructure &structure,
                     std::string &reason);

/// Whether the step can be differentiated; fills the derivatives.
bool findChannelDerivatives(algebra::Context &context,
                            ChannelStructure &structure, std::string &reason);

/// Guess: a kernel in front of that for Newton's method.
enum class ChannelForm { Sequential, Scan, Newton, Guess };

struct ChannelParameters {
  ChannelForm form = ChannelForm::Sequential;
  int64_t channels = 16; // of a block
  int64_t lanes = 1;     // of a channel, sequential
  int64_t segments = 32; // threads of a channel, scan and newton
  int64_t steps = 8;     // of a segment; else of a block of loads
  int64_t blocks = 0;    // of a segment, newton; 0: when it runs
  int64_t ahead = 3;     // blocks before a segment for a guess, newton
  int64_t bound = 12;    // corrections of a window, newton
  int64_t memory = 0;    // bytes of shared memory that a block may have
  /// Where there is another kernel: for up to so many channels of all batch
  /// points, and from so many steps on.
  int64_t mostChannels = 0, leastSteps = 0;
};

/// The kernels for a form that is asked for, or for those that are expected to
/// be fast; with several, sizes decide at each call. None, with the reason,
/// where it is not possible.
llvm::SmallVector<ChannelParameters, 2>
chooseChannelKernels(algebra::Context &context, ChannelStructure &structure,
                     std::optional<Form> wish, std::string &reason);
/// The kernel in front of one by Newton's method, if there is one.
std::optional<ChannelParameters> shapeGuess(const ChannelStructure &structure,
                                            const ChannelParameters &newton);
/// "step by step", in a sentence that says how a kernel is computed.
std::string describeChannelKernels(llvm::ArrayRef<ChannelParameters> kernels);

/// Replaces the kernel by a `gpu.func` for each of these and a function of the
/// host that launches one.
void toChannelKernels(algebra::Context &context, ChannelStructure &structure,
                      llvm::ArrayRef<ChannelParameters> kernels);

} // namespace rondo

#endif // RONDO_PASSES_FORMS_CHANNELKERNEL_H
