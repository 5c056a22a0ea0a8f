//===- Passes.td - Passes of the CPU code generator --------*- tablegen -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_CPU_PASSES
#define RONDO_PASSES_CPU_PASSES

include "mlir/Pass/PassBase.td"

def ResolveSizes : Pass<"rondo-resolve-sizes", "::mlir::ModuleOp"> {
  let summary = "Replace the dims of a kernel's tensors by expressions of its sizes";
  let description = [{
    In a function with `rondo.signature`, `memref.dim` of a tensor argument
    becomes its shape's expression over the size arguments, and a size that is
    bound at compile time becomes a constant. Equal sizes are then one value.
  }];
  let dependentDialects = ["::mlir::affine::AffineDialect",
                           "::mlir::arith::ArithDialect"];
}

def ForwardCopies : Pass<"rondo-forward-copies", "::mlir::ModuleOp"> {
  let summary = "Read rows of arguments where they are, not in a copy";
  let description = [{
    A step of a loop over chunks copies rows of an argument where all of them
    exist, and else fills in what is missing. When the copy is read once by what
    follows, and not by products, the rows are read themselves, and the buffer
    only where something had to be filled in:

    ```mlir
    scf.if %whole { linalg.generic copy %rows to %buffer } else { .. }
    linalg.generic ins(%buffer) ..
    // becomes
    scf.if %whole {} else { .. }
    %either = arith.select %whole, %rows, %buffer
    linalg.generic ins(%either) ..
    ```

    A copy of one buffer in another, which holds nothing else, is left out where
    the first one stays as it is until the last read of the second.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::memref::MemRefDialect"];
  let statistics = [Statistic<"numForwarded", "forwarded", "copies left out">];
}

def JoinSteps : Pass<"rondo-join-steps", "::mlir::ModuleOp"> {
  let summary = "Compute a short recurrence and the sums over it in one nest";
  let description = [{
    A loop over at most 16 steps, each with one pointwise op that computes a
    buffer x from the x before and one reduction that reads x, becomes one
    reduction with an output for every step. Elements of x live in registers
    and are not stored; they must not be needed after the loop.

    ```mlir
    scf.for %r = %c0 to %c16 step %c1 {
      linalg.generic ins(%x_before, %a_r) outs(%x) { x_before * a }
      linalg.fill ins(%zero) outs(%y_r)
      linalg.generic ins(%q_r, %x) outs(%y_r) { y + q * x }
    }
    // becomes
    linalg.fill ins(%zero) outs(%y_0) ..
    linalg.generic ins(%a_0, %q_0, %a_1, ..) outs(%y_0, %y_1, ..) { .. }
    ```

    Pre-condition: as for rondo-fuse-pointwise.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::linalg::LinalgDialect",
                           "::mlir::memref::MemRefDialect"];
  let statistics = [Statistic<"numJoined", "joined", "loops that became one nest">];
}

def JoinRows : Pass<"rondo-join-rows", "::mlir::ModuleOp"> {
  let summary = "Compute rows that follow from one another in one nest";
  let description = [{
    In the body of a loop over time (`rondo.steps`), loops over at most 16 steps
    that compute rows point by point, one after the other, become one pointwise
    op of all of them, and so do ops over all rows that read what it computes.
    A row lives in registers, and is stored if something else reads it.

    ```mlir
    scf.for %r = %c0 to %c16 step %c1 {
      linalg.generic ins(%a_r, %p_before) outs(%p_r) { a * p }
    }
    linalg.generic ins(%q, %p) outs(%d) { q * p }    // all rows
    // becomes
    linalg.generic ins(%a_0, %a_1, .., %q_0, ..) outs(%d_0, ..) {
      %p1 = a0 * a1 .. }
    ```

    What the ops over all rows need is moved before the loop. The rows' sizes
    are known. Pre-condition: as for rondo-fuse-pointwise.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::linalg::LinalgDialect",
                           "::mlir::memref::MemRefDialect"];
  let statistics = [Statistic<"numJoined", "joined", "ops and loops that became part of a nest">];
}

def BlockRows : Pass<"rondo-block-rows", "::mlir::ModuleOp"> {
  let summary = "Compute rows that sum all earlier ones by blocks";
  let description = [{
    A loop over rows, each of which is computed from a sum over the rows before
    it, as of a triangular system, is a loop over blocks of 16 of them: what the
    rows before the block contribute is one product of matrices, and the rows of
    the block are one nest over their elements, with all rows in registers.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::memref::MemRefDialect",
                           "::mlir::scf::SCFDialect"];
  let statistics = [Statistic<"numBlocked", "blocked", "loops over rows">];
}

def PairOperands : Pass<"rondo-pair-operands", "::mlir::ModuleOp"> {
  let summary = "Let products of matrices be dot products of bf16 pairs";
  let description = [{
    On a processor with a dot product of bf16 numbers, in kernels all of whose
    real arguments and results are such numbers: the factors of a sum of products
    are rounded to bf16, and two neighbours along the summed dim become one word.
    What is written to a factor's buffer is copied to a buffer of words behind
    the workspace of before.

    ```mlir
    linalg.generic ins(%r) outs(%a) { r }
    linalg.generic ins(%a, %b) outs(%c) { c + a * b }
    // becomes
    linalg.generic ins(%r) outs(%a) { r }
    linalg.generic ins(%a_even, %a_odd) outs(%a_words) { rondo.pack_pair }
    linalg.generic ins(%a_words, %b_words) outs(%c) { c + rondo.dot_pair }
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::linalg::LinalgDialect",
                           "::mlir::LLVM::LLVMDialect",
                           "::mlir::memref::MemRefDialect",
                           "::mlir::scf::SCFDialect",
                           "::rondo::RondoDialect"];
  let statistics = [Statistic<"numPaired", "paired", "products of pairs">];
}

def FusePointwise : Pass<"rondo-fuse-pointwise", "::mlir::ModuleOp"> {
  let summary = "Compute the pointwise ops of a step in one loop";
  let description = [{
    In the body of a loop over time (`rondo.steps`), neighbouring linalg.generic
    ops that are parallel in the same iteration space become one, if whatever
    one of them writes and the other reads is at the same point. What nothing
    else reads then is not stored.

    ```mlir
    linalg.generic ins(%f) outs(%a) { sigmoid }
    linalg.generic ins(%a, %x) outs(%h) { a * h + (1 - a) * x }
    linalg.generic ins(%h) outs(%y) { h }
    // becomes
    linalg.generic ins(%f, %x) outs(%h, %y) { .. }
    ```

    Pre-condition: within a step, views of the workspace that are different
    values do not overlap.
  }];
  let dependentDialects = ["::mlir::linalg::LinalgDialect"];
  let statistics = [Statistic<"numFused", "fused", "ops that became part of another">];
}

def OutlineNests : Pass<"rondo-outline-nests", "::mlir::ModuleOp"> {
  let summary = "Let equal linalg ops be one function";
  let description = [{
    linalg.generic ops of two or more loops that are the same but for their
    operands become calls of one private function. What they read and write are
    its arguments; constants stay inside. A fill right before a reduction, of its
    output, goes with it.

    ```mlir
    linalg.generic ins(%a, %b) outs(%c) { a * b + c }
    linalg.generic ins(%d, %e) outs(%f) { a * b + c }
    // becomes
    func.call @nest(%a, %b, %c)
    func.call @nest(%d, %e, %f)
    ```

    Products that could fetch rows for the next step of their loop (Ahead.h) stay
    in it, and so do nests of one loop, which are short.
  }];
  let dependentDialects = ["::mlir::func::FuncDialect",
                           "::mlir::memref::MemRefDialect"];
  let statistics = [Statistic<"numOutlined", "outlined", "ops that became calls">];
}

def VectorizeLoops : Pass<"rondo-vectorize-loops", "::mlir::ModuleOp"> {
  let summary = "Lower linalg ops on memrefs to loops over vectors";
  let description = [{
    Every linalg.generic, linalg.fill, linalg.copy and memref.copy becomes a
    nest of scf.for. One dim, chosen by the access patterns (see ChooseTile.h),
    is computed a vector at a time; parallel dims are outside, reduction dims
    inside with their accumulators in registers. A body that can't be
    vectorised along any dim becomes scalar loops.
    An op with `rondo.rare`, which computes the ends of a sequence, takes one
    vector at a time.

    A pointwise op that reads the result of a reduction is computed where the
    reduction's accumulators are in registers (Epilogue.h).

    Pre-condition: operands are memrefs or scalars; bodies hold scalar code
    (elementwise ops, memref.load) and regions only in ops that do not depend
    on every dim, such as the report of an index out of range.
    Post-condition: no linalg op is left.

    ```mlir
    linalg.generic {iterator_types = ["parallel"], ...}
        ins(%x : memref<?xf32>) outs(%y : memref<?xf32>) { ... addf ... }
    // becomes
    scf.for %i = %c0 to %main step %c64 { vector.load, arith.addf, vector.store }
    scf.for %i = %main to %n step %c16 { vector.maskedload, ... }
    ```
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::LLVM::LLVMDialect",
    "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect", "::mlir::vector::VectorDialect"];
  let statistics = [
    Statistic<"numVectorized", "vectorized", "nests computed by vectors">,
    Statistic<"numEpilogues", "epilogues", "ops computed with a reduction">,
    Statistic<"numScalar", "scalar", "nests computed one element at a time">];
}

def ApproximateMath : Pass<"rondo-approximate-math", "::mlir::ModuleOp"> {
  let summary = "Expand functions of f32 to polynomials";
  let description = [{
    exp, exp2, expm1, log, log2, log1p, tanh, erf, sin, cos, rsqrt, sigmoid and
    softplus of f32 scalars and vectors become arithmetic; errors are given in
    MathExpansions.cpp. In f64, sigmoid, softplus and rsqrt are expressed by exp
    and friends, which stay calls of libm.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::LLVM::LLVMDialect",
                           "::mlir::math::MathDialect",
                           "::mlir::scf::SCFDialect",
                           "::mlir::vector::VectorDialect"];
}

def InterleaveChains : Pass<"rondo-interleave-chains", "::mlir::ModuleOp"> {
  let summary = "Order independent chains of vector operations side by side";
  let description = [{
    In the body of an innermost loop without carried values, operations are
    ordered by their depth, as long as there are registers for what is live.
    Expanded functions, one chain of dependent operations each, then run side by
    side within the window of the processor.
  }];
  let statistics = [Statistic<"numBlocks", "blocks", "bodies that were ordered">];
}

def ExpandScalars : Pass<"rondo-expand-scalars", "::mlir::ModuleOp"> {
  let summary = "Expand operations that the target has no instruction for";
  let description = [{
    rondo.mod, floor and ceiling division; maximumf and minimumf (to a compare
    and select pair that keeps NaN); conversions between bf16 or f16 and f32 on
    targets that lack them.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
}

def LowerEntry : Pass<"rondo-lower-entry", "::mlir::ModuleOp"> {
  let summary = "Give kernels the C interface of compiled libraries";
  let description = [{
    A function `@f` with `rondo.signature` becomes internal, with one pointer per
    tensor (and one index per size and stride) in place of memrefs; the new
    `@f_body(!llvm.ptr)` reads a `rondo_frame` (rondo/abi.h) and calls it.
    `@f_worker_bytes` becomes internal behind
    `@f_worker_bytes_entry(!llvm.ptr) -> i64`, which takes the sizes' address.
    The signature's attributes move to `@f_body`.
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect",
                           "::mlir::arith::ArithDialect",
                           "::mlir::affine::AffineDialect",
                           "::mlir::func::FuncDialect",
                           "::mlir::memref::MemRefDialect"];
}

def AllowContraction : Pass<"rondo-allow-contraction", "::mlir::ModuleOp"> {
  let summary = "Let multiplications and additions be fused";
  let description = [{
    Adds the fast-math flag `contract`, and no other, to sums, differences and
    products of floats, so that the back end may form fused multiply-adds.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
}

def LowerToLLVM : Pass<"rondo-lower-to-llvm", "::mlir::ModuleOp"> {
  let summary = "Convert what is left to the LLVM dialect in one step";
  let description = [{
    arith, cf, func, index, math, memref, ub and vector to llvm; scf must be
    lowered to cf and memref views expanded before.
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect"];
}

#endif // RONDO_PASSES_CPU_PASSES
