//===- ToScan.cpp - The pass that derives scan forms ----------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "passes/Forms/Convert.h"
#include "passes/Forms/Passes.h"
#include "passes/Forms/Scan.h"

namespace rondo {
#define GEN_PASS_DEF_TOSCAN
#include "passes/Forms/Passes.h.inc"
} // namespace rondo

using namespace mlir;
using namespace rondo;

namespace {

struct ToScan : rondo::impl::ToScanBase<ToScan> {
  using ToScanBase::ToScanBase;

  LogicalResult convert(KernelOp kernel) {
    return convertRecurrences(
        kernel, {Form::Scan, "ToScan", "scan", planned, required},
        [&](RecurrenceOp recurrence, PlanAttr, std::string &reason) {
          algebra::Context context(&getContext());
          if (!toScan(context, recurrence, reason))
            return false;
          ++numScans;
          return true;
        });
  }

  void runOnOperation() override {
    for (KernelOp kernel : getOperation().getOps<KernelOp>())
      if (failed(convert(kernel)))
        return signalPassFailure();
  }
};

} // namespace
