//===- ToChannelKernels.cpp - Kernels by channel for devices --------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Remarks.h"
#include "passes/Forms/ChannelKernel.h"
#include "passes/Forms/Passes.h"

namespace rondo {
#define GEN_PASS_DEF_TOCHANNELKERNELS
#include "passes/Forms/Passes.h.inc"
} // namespace rondo

using namespace mlir;
using namespace rondo;

namespace {

struct ToChannelKernels
    : rondo::impl::ToChannelKernelsBase<ToChannelKernels> {
  using ToChannelKernelsBase::ToChannelKernelsBase;

  void runOnOperation() override {
    if (channels < 1 || segments < 1 || steps < 1 || bound < 1) {
      getOperation().emitError("expects at least one channel, segment, step and "
                               "evaluation");
      return signalPassFailure();
    }
    SmallVector<KernelOp> kernels(getOperation().getOps<KernelOp>());
    for (KernelOp kernel : kernels) {
      algebra::Context context(&getContext());
      std::string reason;
      std::optional<ChannelStructure> structure =
          findChannelStructure(context, kernel, reason);
      if (!structure) {
        remark::missed(kernel.getLoc(), remark::RemarkOpts::name(
                                            "ToChannelKernels")
                                            .category("form"))
            << "'" << kernel.getSymName()
            << "' is not by channel: " << remark::reason("{0}", reason);
        continue;
      }
      toChannelKernel(context, *structure,
                      {newton, channels, segments, steps, bound});
      ++numConverted;
    }
  }
};

} // namespace
