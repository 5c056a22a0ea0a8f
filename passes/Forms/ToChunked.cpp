//===- ToChunked.cpp - The pass that derives chunkwise forms --------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Remarks.h"
#include "passes/Forms/Chunked.h"
#include "passes/Forms/Passes.h"

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

  LogicalResult convert(KernelOp kernel) {
    SmallVector<RecurrenceOp> recurrences(
        kernel.getBody().front().getOps<RecurrenceOp>());
    unsigned numReplaced = 0;
    std::string firstReason = "it has no recurrence";
    for (RecurrenceOp recurrence : recurrences) {
      auto plan = recurrence->getAttrOfType<PlanAttr>("rondo.plan");
      if (plan ? plan.getForm() != Form::Chunked : planned.getValue())
        continue;
      int64_t chunk = plan ? plan.getChunk() : this->chunk.getValue();
      int64_t block = plan && plan.getSubBlock() ? plan.getSubBlock()
                                                 : this->block.getValue();
      algebra::Context context(&getContext());
      std::string reason;
      std::optional<ChunkedStructure> structure =
          findChunkedStructure(context, recurrence, reason);
      if (structure && structure->block && chunk > 0 &&
          chunk != static_cast<int64_t>(structure->block)) {
        reason = "its reads are frozen for blocks of " +
                 std::to_string(structure->block) +
                 " steps, so that is the only possible chunk";
        structure.reset();
      }
      if (!structure) {
        remark::missed(recurrence.getLoc(),
                       remark::RemarkOpts::name("ToChunked").category("form"))
            << "'" << recurrence.getName(0)
            << "' stays sequential: " << remark::reason("{0}", reason);
        if (numReplaced == 0)
          firstReason = "'" + recurrence.getName(0).str() + "': " + reason;
        continue;
      }
      int64_t steps = structure->block ? structure->block
                      : chunk > 0      ? chunk
                                       : defaultChunk;
      toChunked(context, *structure, {steps, block, diagonal == "halving"});
      ++numReplaced;
      ++numChunked;
    }
    if (required && numReplaced == 0)
      return emitError(kernel.getLoc())
             << "'" << kernel.getSymName() << "' has no chunkwise form ("
             << firstReason << "); compile it with --form=sequential";
    return success();
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
    if (diagonal != "running" && diagonal != "halving") {
      getOperation().emitError()
          << "expects diagonal blocks by `running` or `halving`, found `"
          << diagonal.getValue() << "`";
      return signalPassFailure();
    }
    for (KernelOp kernel : getOperation().getOps<KernelOp>())
      if (failed(convert(kernel)))
        return signalPassFailure();
  }
};

} // namespace
