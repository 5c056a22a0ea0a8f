//===- Passes.td - Passes of the GPU code generator --------*- tablegen -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_GPU_PASSES
#define RONDO_PASSES_GPU_PASSES

include "mlir/Pass/PassBase.td"

def OutlineKernels : Pass<"rondo-outline-kernels", "::mlir::ModuleOp"> {
  let summary = "Move the bodies of kernels to the device";
  let description = [{
    A function `@f` with `rondo.signature` becomes a function of the host that
    launches `@kernels::@f`, a `gpu.func` with the old body. A block computes
    one batch point at a time, in its own slice of the workspace.

    Words: a *slice* is `@f_worker_bytes(sizes..)` bytes, rounded up to 64; there
    are as many as blocks. Where the work for a point ends in one loop whose
    steps are independent (`rondo.independent`), as in attention and
    convolutions, blocks beyond the number of points share its steps, and the
    function of the host gets that attribute. A *sequence* is a part of a packed batch; the kernel
    reads its boundaries from the device's memory and shifts its tensors there.

    Pre-condition: the forms' contract (`rondo-verify-forms`), and no
    `memref.dim` of a tensor (`rondo-resolve-sizes`).
    Post-condition: the host's function holds no loop and no linalg op. It has
    four more arguments, the launcher, the number of slices, the boundaries of
    packed sequences and the bytes of one of them (0: not packed), and the
    attribute `rondo.launches`.

    ```mlir
    func.func @f(%B: index, %x: memref<?xf32>, .., %workspace, %begin, %end, %fault)
    // becomes
    gpu.module @kernels { gpu.func @f(..) kernel { scf.for %p = .. } }
    func.func @f(.., %launcher, %slices, %sequences, %width) {
      gpu.launch_func @kernels::@f blocks in (%n, 1, 1) threads in (256, 1, 1) args(..)
    }
    ```
  }];
  let options = [
    Option<"threads", "threads", "int64_t", "256", "Threads of a block">];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::func::FuncDialect",
    "::mlir::gpu::GPUDialect", "::mlir::LLVM::LLVMDialect",
    "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect"];
}

def JoinStages : Pass<"rondo-join-stages", "::mlir::ModuleOp"> {
  let summary = "Make the host's functions of a kernel's stages one";
  let description = [{
    Functions whose `rondo.signature` has a `rondo.stage` are stages of a kernel
    (`passes/Algebra/Stages.h`). They are replaced by one function with the
    kernel's own signature, which launches the stages one after the other, and by
    `@f_worker_bytes`: the tensors that are handed on, and what the stage that
    needs most has for itself. Fields of `rondo.stage`:

    - `of`, `number`: the kernel's name, and the stage's place in the order
    - `tensors`: for each of its inputs and outputs the number of the kernel's
      tensor (inputs, then outputs), or -1 - n for tensor n that is handed on
    - `whole`, `handed`, in the first stage: the kernel's attributes, and the
      specs of what is handed on

    Pre-condition: all are functions with `rondo.launches`, and have all their
    launches. Sequences of such a kernel can be packed if they can be in every
    stage. It is an error if two stages report faults.

    ```mlir
    func.func @f_stage_0(..) {rondo.launches, rondo.signature = {rondo.stage = {..}}}
    func.func @f_stage_1(..) {rondo.launches, rondo.signature = {rondo.stage = {..}}}
    // becomes
    func.func @f(..) {rondo.launches, rondo.workspace = "whole", ..}
    ```
  }];
  let dependentDialects = [
    "::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect",
    "::mlir::func::FuncDialect", "::mlir::LLVM::LLVMDialect",
    "::mlir::memref::MemRefDialect"];
}

def DistributeThreads : Pass<"rondo-distribute-threads", "::mlir::ModuleOp"> {
  let summary = "Lower linalg ops in kernels to loops shared by a block's threads";
  let description = [{
    In every `gpu.func` with a known block size, linalg.generic, linalg.fill,
    linalg.copy and memref.copy become loops. The parallel dim whose elements
    lie side by side in memory goes over neighbouring threads, the next one over
    groups of them. Reductions without a parallel dim are split over the block.
    Scalar code is executed by every thread, its stores by the first one;
    scalars of the workspace move to registers.

    A `gpu.barrier` stands between accesses of one buffer by different threads,
    at least one of which writes. Two accesses in which the same thread touches
    the same elements need none.

    Pre-condition: code outside of linalg ops is uniform: every thread of a
    block takes the same path.
    Post-condition: no linalg op is left in a kernel.
  }];
  let dependentDialects = [
    "::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect",
    "::mlir::gpu::GPUDialect", "::mlir::LLVM::LLVMDialect",
    "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect"];
  let statistics = [
    Statistic<"numDistributed", "distributed", "linalg ops made loops">,
    Statistic<"numBarriers", "barriers", "barriers placed">];
}

def VerifyKernels : Pass<"rondo-verify-kernels", "::mlir::ModuleOp"> {
  let summary = "Check that the chip can do what the kernels ask for";
  let description = [{
    LLVM's code generator ends the process on an instruction that a chip lacks.
    This pass reports such ops before: it compares every `gpu.func` with the
    table in Capabilities.cpp for the module's `rondo.chip`, and the size of its
    arguments and of its shared memory with the chip's limits.
  }];
}

def ExpandDeviceMath : Pass<"rondo-expand-device-math", "::mlir::ModuleOp"> {
  let summary = "Expand functions to what a device computes without a library";
  let description = [{
    Elementary functions of f32 and f64, `rondo.mod`, `rondo.sigmoid`,
    `rondo.softplus`, floor division and powers in kernels become arithmetic,
    so that no library of the device is needed. f32 exp is `ex2.approx` of a
    product; the rest are polynomials (passes/Common/MathExpansions.h).
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::LLVM::LLVMDialect",
    "::mlir::math::MathDialect", "::mlir::scf::SCFDialect"];
}

def LowerKernels : Pass<"rondo-lower-kernels", "::mlir::ModuleOp"> {
  let summary = "Convert kernels to the LLVM and NVVM dialects in one step";
  let description = [{
    Everything in `gpu.module` ops. Pointers of tensors that share no memory
    with others are marked `llvm.noalias`, those that are only read
    `llvm.readonly`, and loads by pointers that are both `invariant`. scf must
    be lowered to cf and views expanded before. `nvvm.griddepcontrol` ops are
    erased for chips that begin a kernel when the one before it has ended.
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect",
                           "::mlir::NVVM::NVVMDialect"];
}

def LowerLaunches : Pass<"rondo-lower-launches", "::mlir::ModuleOp"> {
  let summary = "Make launches calls of the runtime and drop the kernels";
  let description = [{
    `gpu.launch_func` becomes a call of `rondo_cuda_launch` with the function's
    launcher, the kernel's position among all kernels of the module, and the
    addresses of the arguments, memrefs as the fields of their descriptors; with
    `rondo.together`, of `rondo_cuda_launch_together`, with `rondo.behind`, of
    `rondo_cuda_launch_behind`. `gpu.module` ops are erased: their code has been
    made before.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::LLVM::LLVMDialect"];
}

#endif // RONDO_PASSES_GPU_PASSES
