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

struct ToChannelKernels : rondo::impl::ToChannelKernelsBase<ToChannelKernels> {
  using ToChannelKernelsBase::ToChannelKernelsBase;

  void runOnOperation() override;

private:
  ChannelParameters shape(const ChannelStructure &structure,
                          ChannelForm form) const;
};

} // namespace

/// Bytes of shared memory that a kernel declares, with room for others.
static constexpr int64_t mostBytes = 40 * 1024;

/// Neighbouring channels are read together: 16 of them are a sector of memory
/// at the least. With private points a thread has 4 to 8 of them, which is
/// enough to hide the latency of arithmetic and leaves few sums across lanes.
ChannelParameters ToChannelKernels::shape(const ChannelStructure &structure,
                                          ChannelForm form) const {
  ChannelParameters p;
  p.form = form;
  p.bound = bound;
  p.steps = 8;
  if (form == ChannelForm::Sequential) {
    int64_t points = structure.numPrivate > 64 ? 8 : 4;
    p.lanes =
        llvm::PowerOf2Ceil(llvm::divideCeil(structure.numPrivate, points));
    p.channels = p.lanes == 1 ? 32 : 16;
    if (structure.numPrivate > 1)
      p.steps = 16;
  } else if (form == ChannelForm::Scan) {
    // Segments wait for those before them, once for each recurrence.
    p.channels = structure.groups.size() == 1 ? 16 : 32;
    p.segments = structure.groups.size() == 1 ? 16 : 8;
  } else {
    int64_t n = structure.states.size();
    p.steps = structure.countReadsOfStep() <= 4 ? 8 : 4;
    p.ahead = 24 / p.steps;
    p.channels = 16;
    p.segments = 32;
    // Maps in shared memory, three for each segment.
    while (p.channels > 1 &&
           p.channels * p.segments * 3 * n * (n + 1) * 8 > mostBytes)
      p.channels /= 2;
  }
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
  return p;
}

void ToChannelKernels::runOnOperation() {
  std::optional<Form> wish = symbolizeForm(form.getValue());
  if (channels < 0 || lanes < 0 || segments < 0 || steps < 0 ||
      blocks < 0 || bound < 1 ||
      (!form.empty() && !wish)) {
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
    std::optional<ChannelForm> chosen;
    if (structure)
      chosen = chooseChannelForm(context, *structure, wish, reason);
    if (!chosen) {
      remark::missed(kernel.getLoc(), name)
          << "'" << kernel.getSymName()
          << "' is not by channel: " << remark::reason("{0}", reason);
      continue;
    }
    ChannelParameters p = shape(*structure, *chosen);
    remark::passed(kernel.getLoc(), name)
        << "'" << kernel.getSymName() << "' is by channel, "
        << describeChannelForm(p.form);
    toChannelKernel(context, *structure, p);
    ++numConverted;
  }
}
