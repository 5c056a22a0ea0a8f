//===- ToChunked.cpp - The pass that derives chunkwise forms --------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "passes/Forms/Chunked.h"
#include "passes/Forms/Convert.h"
#include "passes/Forms/Passes.h"
#include "passes/Forms/Powers.h"

namespace rondo {
#define GEN_PASS_DEF_TOCHUNKED
#include "passes/Forms/Passes.h.inc"
} // namespace rondo

using namespace mlir;
using namespace rondo;

namespace {

/// Steps a chunk when nobody says. Measured on the CPU (bench/RESULTS.md): the
/// work within a chunk grows with its length, and 16 steps are enough to use a
/// loaded state well.
constexpr int64_t defaultChunk = 16;

struct ToChunked : rondo::impl::ToChunkedBase<ToChunked> {
  using ToChunkedBase::ToChunkedBase;

  /// What changes with time has a form by decays only; `reason` says why not.
  bool convertByPowers(RecurrenceOp recurrence, int64_t steps,
                       std::string &reason) {
    algebra::Context context(&getContext());
    std::string another;
    std::optional<PowersStructure> structure =
        findPowersStructure(context, recurrence, another);
    if (!structure)
      return false;
    toPowers(context, *structure, steps ? steps : defaultChunk);
    ++numChunked;
    return true;
  }

  LogicalResult convert(KernelOp kernel) {
    return convertRecurrences(
        kernel, {Form::Chunked, "ToChunked", "chunkwise", planned, required},
        [&](RecurrenceOp recurrence, PlanAttr plan, std::string &reason) {
          algebra::Context context(&getContext());
          std::optional<ChunkedStructure> structure =
              findChunkedStructure(context, recurrence, reason);
          int64_t steps = plan ? plan.getChunk() : chunk.getValue();
          if (!structure)
            return convertByPowers(recurrence, steps, reason);
          int64_t frozen = structure->block;
          if (frozen && steps > 0 && steps != frozen) {
            reason = "its reads are frozen for blocks of " +
                     std::to_string(frozen) +
                     " steps, so that is the only possible chunk";
            return false;
          }
          if (steps == 0)
            steps = frozen ? frozen : defaultChunk;
          int64_t blockSteps =
              plan && plan.getSubBlock() ? plan.getSubBlock() : block.getValue();
          toChunked(context, *structure,
                    {steps, blockSteps, diagonal == "pairs"});
          ++numChunked;
          return true;
        });
  }

  void runOnOperation() override {
    if (chunk < 0) {
      getOperation().emitError()
          << "expects at least one step a chunk, found " << chunk.getValue();
      return signalPassFailure();
    }
    if (block < 1) {
      getOperation().emitError()
          << "expects at least one step a block, found " << block.getValue();
      return signalPassFailure();
    }
    if (diagonal != "running" && diagonal != "pairs") {
      getOperation().emitError()
          << "expects diagonal blocks by `running` or `pairs`, found `"
          << diagonal.getValue() << "`";
      return signalPassFailure();
    }
    for (KernelOp kernel : getOperation().getOps<KernelOp>())
      if (failed(convert(kernel)))
        return signalPassFailure();
  }
};

} // namespace
