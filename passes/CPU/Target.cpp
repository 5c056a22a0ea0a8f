//===- Target.cpp - What the CPU code generator knows of the CPU ----------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/CPU/Target.h"
#include "mlir/IR/BuiltinOps.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cpu;

int Target::level() const {
  StringRef rest(name);
  if (!rest.consume_front("x86-64"))
    return vectorBits >= 512 ? 4 : vectorBits >= 256 ? 3 : 1;
  if (rest.consume_front("-v") && !rest.empty())
    return rest.front() - '0';
  return 1;
}

Target rondo::cpu::getTarget(Operation *op) {
  Target target;
  auto module = dyn_cast<ModuleOp>(op);
  if (!module)
    module = op->getParentOfType<ModuleOp>();
  if (!module)
    return target;
  auto attr = module->getAttrOfType<DictionaryAttr>("rondo.target");
  if (!attr)
    return target;
  if (auto name = attr.getAs<StringAttr>("name"))
    target.name = name.getValue().str();
  if (auto bf16 = attr.getAs<BoolAttr>("bf16"))
    target.hasBF16 = bf16.getValue();
  if (auto bits = attr.getAs<IntegerAttr>("vector_bits"))
    target.vectorBits = bits.getInt();
  if (auto registers = attr.getAs<IntegerAttr>("registers"))
    target.registers = registers.getInt();
  return target;
}
