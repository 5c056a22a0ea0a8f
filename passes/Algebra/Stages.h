//===- Stages.h - Kernels as a row of smaller kernels -----------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// On a device one launch is one way to compute: over chunks on matrix units, by
// channel, step by step. A kernel whose recurrences want different ones is cut
// into stages, kernels that are launched one after the other and hand tensors
// on in memory. Here is where it may be cut, and the cutting; which stages pay
// is decided elsewhere.
//
// A kernel is seen as *parts*: its equations and recurrences, joined where one
// reads what is too large to be handed on, as the history of a matrix state is.
//
//   m[t] = max(f[t] + m[t-1], i[t])             part 0: a recurrence
//   a[t] = exp(f[t] + m[t-1] - m[t])            part 1: pointwise
//   S[t, i, j] = a[t] S[t-1, i, j] + ..         part 2: a recurrence and
//   o[t, j] = sum[i] q[t, i] S[t, i, j]                 who reads its history
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_ALGEBRA_STAGES_H
#define RONDO_PASSES_ALGEBRA_STAGES_H

#include "dialects/Rondo/IR/RondoOps.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"

namespace rondo::algebra {

class Stages {
public:
  struct Part {
    llvm::SmallVector<mlir::Operation *> ops; // in the kernel's order
    llvm::SetVector<unsigned> needs;          // parts whose tensors it reads
    /// Equations without reductions that read arguments only, or others such:
    /// computed again wherever they are read, and never handed on.
    bool isFree = false;
    bool hasRecurrence = false;
  };

  /// The parts of a kernel, in an order in which each needs earlier ones only.
  explicit Stages(KernelOp kernel);

  llvm::ArrayRef<Part> getParts() const { return parts; }

  /// A kernel `name`, in front of `builder`'s place, of these parts and of the
  /// free ones that they read: its arguments are the kernel's, and what other
  /// stages hand on; its results the kernel's, and what is read by parts outside
  /// of it. Null if a tensor can't be handed on, as its extents are no
  /// expressions of sizes. Its attribute `rondo.stage` says which tensor is
  /// which:
  ///
  ///   {tensors = array<i64: ..>}: for its inputs and outputs the number of the
  ///   kernel's (inputs, then outputs), or -1 - n for what is handed on
  KernelOp build(mlir::OpBuilder &builder, llvm::StringRef name,
                 const llvm::SetVector<unsigned> &chosen);

  /// What is handed on: specs over the kernel's sizes, in the order of n.
  mlir::ArrayAttr getHandedOn();

private:
  struct Handed {
    TensorSpecAttr spec;
    int64_t number;
  };
  bool isNode(mlir::Operation *op) const;
  bool isTooLarge(mlir::Value value);
  void findParts();
  std::optional<Handed> handOn(mlir::Value value);
  void visitReads(mlir::Operation *op,
                  llvm::function_ref<void(mlir::Value)> visit) const;
  llvm::SetVector<mlir::Operation *>
  withFree(const llvm::SetVector<unsigned> &chosen) const;

  KernelOp kernel;
  mlir::Block *source; // the kernel's body
  int64_t largestRank = 0, mostOpen = 0; // of the caller's tensors
  llvm::SmallVector<Part> parts;
  llvm::DenseMap<mlir::Operation *, unsigned> partOf;
  llvm::MapVector<mlir::Value, Handed> handed;
};

/// What recurrences compute at each step without their past becomes equations of
/// the kernel, at all steps:
///
///   S[t, i, j] = a S[t-1, i, j] + ..  with  a[i] = exp(z[t, i])  in the step
///   becomes  a[t, i] = exp(z[t, i]),  S[t, i, j] = a[t, i] S[t-1, i, j] + ..
///
/// Members, gathers and sums whose range depends on the step stay.
void moveLocalsOut(KernelOp kernel);

/// Extents of a tensor that an equation or a recurrence defines, or none where
/// they are no expressions of the kernel's sizes.
std::optional<mlir::AffineMap> getShapeOf(KernelOp kernel, mlir::Value value);

} // namespace rondo::algebra

#endif // RONDO_PASSES_ALGEBRA_STAGES_H
