//===- ToRondo.h - From resolved kernels to the rondo dialect ---*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_FRONTEND_LOWERING_TORONDO_H
#define RONDO_FRONTEND_LOWERING_TORONDO_H

#include "frontend/Sema/Model.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace llvm {
class SourceMgr;
}

namespace rondo::frontend {

struct LoweringOptions {
  /// The io dtype: one of F16, BF16, F32, F64. The accumulation type is f64
  /// for F64 and f32 otherwise.
  model::DType io = model::DType::F32;
};

/// Lowers resolved kernels to a module of `rondo.kernel` ops with source
/// locations. Rewrites the kernels on the way (reductions are separated, see
/// SeparateReductions.h). Returns null after reporting on the context's
/// diagnostic engine if a gradient has no closed form.
mlir::OwningOpRef<mlir::ModuleOp>
lowerToRondo(mlir::MLIRContext &context,
             llvm::ArrayRef<std::unique_ptr<model::Kernel>> kernels,
             const LoweringOptions &options, const llvm::SourceMgr &sources);

} // namespace rondo::frontend

#endif // RONDO_FRONTEND_LOWERING_TORONDO_H
