//===- Passes.h - Passes of the CPU code generator --------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_CPU_PASSES_H
#define RONDO_PASSES_CPU_PASSES_H

#include "mlir/Pass/Pass.h"
#include <memory>

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
namespace LLVM {
class LLVMDialect;
}
namespace math {
class MathDialect;
}
namespace memref {
class MemRefDialect;
}
namespace scf {
class SCFDialect;
}
namespace vector {
class VectorDialect;
}
} // namespace mlir

namespace rondo::cpu {

/// Conversions between f16 and f32 by integer and f32 arithmetic.
void populateExpandF16Patterns(mlir::RewritePatternSet &patterns);
/// Pairs of bf16 numbers, where there is a dot product of vectors of them.
void populateExpandPairPatterns(mlir::RewritePatternSet &patterns);

#define GEN_PASS_DECL
#include "passes/CPU/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "passes/CPU/Passes.h.inc"

} // namespace rondo::cpu

#endif // RONDO_PASSES_CPU_PASSES_H
