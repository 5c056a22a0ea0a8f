//===- ToCellKernels.cpp - Cells as kernels for devices -------------------===//
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
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Remarks.h"
#include "passes/Forms/CellKernel.h"
#include "passes/Forms/Passes.h"

namespace rondo {
#define GEN_PASS_DEF_TOCELLKERNELS
#include "passes/Forms/Passes.h.inc"
} // namespace rondo

using namespace mlir;
using namespace rondo;

namespace {

struct ToCellKernels : rondo::impl::ToCellKernelsBase<ToCellKernels> {
  using ToCellKernelsBase::ToCellKernelsBase;

  void runOnOperation() override {
    if (steps < 0 || steps % 2) {
      getOperation().emitError("expects an even number of steps");
      return signalPassFailure();
    }
    SmallVector<KernelOp> kernels(getOperation().getOps<KernelOp>());
    for (KernelOp kernel : kernels) {
      algebra::Context context(&getContext());
      std::string reason;
      auto name = remark::RemarkOpts::name("ToCellKernels").category("form");
      std::optional<CellStructure> structure =
          findCellStructure(context, kernel, reason);
      std::optional<CellParameters> p;
      if (structure)
        p = chooseCellParameters(*structure, reason);
      if (!p) {
        remark::missed(kernel.getLoc(), name)
            << "'" << kernel.getSymName()
            << "' is no cell: " << remark::reason("{0}", reason);
        continue;
      }
      if (steps)
        p->steps = steps;
      remark::passed(kernel.getLoc(), name)
          << "'" << kernel.getSymName() << "' is a cell";
      toCellKernel(context, *structure, *p);
      ++numConverted;
    }
  }
};

} // namespace
