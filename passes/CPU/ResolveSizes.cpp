//===- ResolveSizes.cpp - Dims of tensors as expressions of sizes ---------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Affine/Utils.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/BuiltinOps.h"
#include "passes/CPU/Passes.h"
#include "passes/Common/Signature.h"

namespace rondo::cpu {
#define GEN_PASS_DEF_RESOLVESIZES
#include "passes/CPU/Passes.h.inc"
} // namespace rondo::cpu

using namespace mlir;
using namespace rondo;
using namespace rondo::cpu;

/// Replaces the arguments for sizes that are bound by constants.
static void bindSizes(func::FuncOp func, ArrayRef<int64_t> bounds) {
  if (func.isExternal())
    return;
  OpBuilder builder = OpBuilder::atBlockBegin(&func.front());
  for (auto [i, bound] : llvm::enumerate(bounds)) {
    if (bound < 0 || i >= func.getNumArguments())
      continue;
    Value constant =
        arith::ConstantIndexOp::create(builder, func.getLoc(), bound);
    func.getArgument(i).replaceAllUsesWith(constant);
  }
}

/// The sizes as values at the start of the function.
static SmallVector<Value> getSizes(func::FuncOp func, ArrayRef<int64_t> bounds,
                                   OpBuilder &builder) {
  SmallVector<Value> sizes;
  for (auto [i, bound] : llvm::enumerate(bounds))
    sizes.push_back(bound < 0 ? Value(func.getArgument(i))
                              : arith::ConstantIndexOp::create(
                                    builder, func.getLoc(), bound));
  return sizes;
}

static void resolveDims(func::FuncOp func, const Signature &signature) {
  OpBuilder builder = OpBuilder::atBlockBegin(&func.front());
  SmallVector<Value> sizes = getSizes(func, signature.bounds, builder);
  for (auto [i, spec] : llvm::enumerate(signature.tensors)) {
    Value tensor = func.getArgument(signature.bounds.size() + i);
    SmallVector<Value> extents(spec.getShape().getNumResults());
    for (Operation *user : llvm::make_early_inc_range(tensor.getUsers())) {
      auto dim = dyn_cast<memref::DimOp>(user);
      std::optional<int64_t> position;
      if (dim)
        position = dim.getConstantIndex();
      if (!position || *position >= int64_t(extents.size()))
        continue;
      Value &extent = extents[*position];
      if (!extent)
        extent = affine::expandAffineExpr(builder, func.getLoc(),
                                          spec.getShape().getResult(*position),
                                          ValueRange(), sizes);
      dim.replaceAllUsesWith(extent);
      dim.erase();
    }
  }
}

namespace {
class ResolveSizes : public rondo::cpu::impl::ResolveSizesBase<ResolveSizes> {
public:
  void runOnOperation() override {
    for (auto func : getOperation().getOps<func::FuncOp>()) {
      FailureOr<std::optional<Signature>> signature = Signature::get(func);
      if (failed(signature))
        return signalPassFailure();
      if (!*signature || func.isExternal())
        continue;
      bindSizes(func, (*signature)->bounds);
      resolveDims(func, **signature);
      auto bytes = getOperation().lookupSymbol<func::FuncOp>(
          (func.getSymName() + "_worker_bytes").str());
      if (bytes)
        bindSizes(bytes, (*signature)->bounds);
    }
  }
};
} // namespace
