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
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
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

struct ToChannelKernels : rondo::impl::ToChannelKernelsBase<ToChannelKernels> {
  using ToChannelKernelsBase::ToChannelKernelsBase;

  void runOnOperation() override;

private:
  void override(ChannelParameters &p) const;
};

} // namespace

/// What the options say.
void ToChannelKernels::override(ChannelParameters &p) const {
  p.bound = bound;
  p.memory = memory;
  if (channels)
    p.channels = channels;
  if (lanes)
    p.lanes = lanes;
  if (segments)
    p.segments = segments;
  if (steps)
    p.steps = steps;
  if (blocks)
    p.blocks = blocks;
}

void ToChannelKernels::runOnOperation() {
  std::optional<Form> wish = symbolizeForm(form.getValue());
  if (channels < 0 || lanes < 0 || segments < 0 || steps < 0 || blocks < 0 ||
      bound < 1 || (!form.empty() && !wish)) {
    getOperation().emitError("expects the name of a form, and at least one "
                             "channel, lane, segment, step and evaluation");
    return signalPassFailure();
  }
  SmallVector<KernelOp> kernels(getOperation().getOps<KernelOp>());
  for (KernelOp kernel : kernels) {
    algebra::Context context(&getContext());
    std::string reason;
    std::optional<ChannelStructure> structure =
        findChannelStructure(context, kernel, reason);
    auto name = remark::RemarkOpts::name("ToChannelKernels").category("form");
    SmallVector<ChannelParameters, 2> chosen;
    if (structure)
      chosen = chooseChannelKernels(context, *structure, wish, reason);
    if (chosen.empty()) {
      remark::missed(kernel.getLoc(), name)
          << "'" << kernel.getSymName()
          << "' is not by channel: " << remark::reason("{0}", reason);
      continue;
    }
    for (ChannelParameters &p : chosen)
      override(p);
    remark::passed(kernel.getLoc(), name)
        << "'" << kernel.getSymName() << "' is by channel, "
        << describeChannelKernels(chosen);
    toChannelKernels(context, *structure, chosen);
    ++numConverted;
  }
}
