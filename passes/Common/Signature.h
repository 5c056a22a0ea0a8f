//===- Signature.h - The attribute that describes a kernel ------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_COMMON_SIGNATURE_H
#define RONDO_PASSES_COMMON_SIGNATURE_H

#include "dialects/Rondo/IR/RondoOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace rondo {

/// `rondo.signature` of a function at the forms level. Its arguments are: one
/// index per size, one memref per tensor (inputs, then outputs), the workspace,
/// the first batch point and the one after the last, and the fault; then, if it
/// has `rondo.launches`, what launching kernels needs: the launcher, the number
/// of slices in the workspace, the boundaries of packed sequences on the device
/// and the bytes of one of them.
struct Signature {
  llvm::SmallVector<int64_t> bounds; // per size; -1: known at run time
  llvm::SmallVector<TensorSpecAttr> tensors;

  bool launches = false;

  unsigned getNumArguments() const {
    return bounds.size() + tensors.size() + 4 + (launches ? 4 : 0);
  }

  /// Fails with a report if there is a signature that does not fit the
  /// function; gives nullopt if there is none.
  static mlir::FailureOr<std::optional<Signature>> get(mlir::func::FuncOp func);
};

} // namespace rondo

#endif // RONDO_PASSES_COMMON_SIGNATURE_H
