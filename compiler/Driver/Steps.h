//===- Steps.h - Sequences fed one step at a time ---------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_COMPILER_DRIVER_STEPS_H
#define RONDO_COMPILER_DRIVER_STEPS_H

#include "compiler/Driver/Host.h"
#include "dialects/Rondo/IR/RondoOps.h"
#include <memory>

namespace rondo::driver {

/// What the caller of a step kernel (`rondo-derive-step`) sees of it.
struct StepSignature {
  /// A dim: a size, or an expression over sizes.
  struct Dim {
    std::string size;
    mlir::AffineExpr expr; // in a context of its own; null for a size
  };
  struct Tensor {
    std::string name;
    Role role;
    std::vector<Dim> dims;
  };
  std::vector<Tensor> tensors;
  std::vector<std::string> sizes;
  /// Those that are fixed to 1; time is one of them.
  std::vector<std::string> ones;
  std::shared_ptr<mlir::MLIRContext> context;

  static StepSignature get(const rondo_kernel_info &kernel);
  static StepSignature get(KernelOp kernel);
};

/// Feeds the sequence in `given` (whole, as the forward kernel takes it) step
/// by step to `once`, the final values of one step as the initial values of the
/// next. Gives the results of all steps, joined, and the last final values.
llvm::Expected<io::TensorMap>
runSteps(const StepSignature &signature, const io::TensorMap &given,
         llvm::function_ref<llvm::Expected<io::TensorMap>(
             const io::TensorMap &inputs, const SizeValues &sizes)>
             once);

} // namespace rondo::driver

#endif // RONDO_COMPILER_DRIVER_STEPS_H
