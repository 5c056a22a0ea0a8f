//===- ClassifyRecurrence.cpp - Write down the facts ----------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Analysis/Facts.h"
#include "passes/Strategy/Passes.h"

namespace rondo {
#define GEN_PASS_DEF_CLASSIFYRECURRENCE
#include "passes/Strategy/Passes.h.inc"
} // namespace rondo

using namespace mlir;
using namespace rondo;

namespace {

struct ClassifyRecurrence
    : rondo::impl::ClassifyRecurrenceBase<ClassifyRecurrence> {
  void runOnOperation() override {
    getOperation().walk([&](RecurrenceOp op) {
      if (!op->hasAttr("rondo.facts"))
        op->setAttr("rondo.facts", analysis::computeFacts(op));
    });
  }
};

} // namespace
