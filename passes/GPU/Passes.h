//===- Passes.h - Passes of the GPU code generator --------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_GPU_PASSES_H
#define RONDO_PASSES_GPU_PASSES_H

#include "mlir/Pass/Pass.h"

namespace mlir {
class ModuleOp;
namespace affine {
class AffineDialect;
}
namespace arith {
class ArithDialect;
}
namespace func {
class FuncDialect;
}
namespace gpu {
class GPUDialect;
class GPUModuleOp;
} // namespace gpu
namespace LLVM {
class LLVMDialect;
}
namespace math {
class MathDialect;
}
namespace memref {
class MemRefDialect;
}
namespace NVVM {
class NVVMDialect;
}
namespace scf {
class SCFDialect;
}
} // namespace mlir

namespace rondo::gpu {

/// The one module of kernels, `@kernels`, made if it is missing.
mlir::gpu::GPUModuleOp getOrCreateKernels(mlir::ModuleOp module);

/// Names of all kernels in the order in which the runtime counts them.
llvm::SmallVector<std::string> getKernelNames(mlir::ModuleOp module);

#define GEN_PASS_DECL
#include "passes/GPU/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "passes/GPU/Passes.h.inc"

} // namespace rondo::gpu

#endif // RONDO_PASSES_GPU_PASSES_H
