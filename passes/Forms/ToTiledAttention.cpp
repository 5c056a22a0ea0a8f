//===- ToTiledAttention.cpp - The pass that tiles attentions --------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Remarks.h"
#include "passes/Forms/Passes.h"
#include "passes/Forms/TiledAttention.h"

namespace rondo {
#define GEN_PASS_DEF_TOTILEDATTENTION
#include "passes/Forms/Passes.h.inc"
} // namespace rondo

using namespace mlir;
using namespace rondo;

namespace {

struct ToTiledAttention : rondo::impl::ToTiledAttentionBase<ToTiledAttention> {
  using ToTiledAttentionBase::ToTiledAttentionBase;

  void runOnOperation() override {
    if (rows < 1 || keys < 1) {
      getOperation().emitError()
          << "expects blocks of at least one row and "
             "one key, found "
          << rows.getValue() << " and " << keys.getValue();
      return signalPassFailure();
    }
    SmallVector<AttentionOp> attentions;
    getOperation().walk([&](AttentionOp op) { attentions.push_back(op); });
    for (AttentionOp op : attentions) {
      algebra::Context context(&getContext());
      std::string reason;
      std::optional<AttentionStructure> structure =
          findAttentionStructure(context, op, reason);
      if (!structure) {
        remark::missed(
            op.getLoc(),
            remark::RemarkOpts::name("ToTiledAttention").category("form"))
            << "'" << op.getName()
            << "' stays row by row: " << remark::reason("{0}", reason);
        continue;
      }
      toTiledAttention(context, *structure, rows, keys, powers);
      ++numTiled;
    }
  }
};

} // namespace
