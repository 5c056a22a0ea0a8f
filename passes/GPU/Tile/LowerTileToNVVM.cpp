//===- LowerTileToNVVM.cpp - Programs on tiles to code of one thread ------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "passes/Common/Cleanup.h"
#include "passes/GPU/Tile/EmitThreads.h"
#include "passes/GPU/Tile/Passes.h"

namespace rondo::tile {
#define GEN_PASS_DEF_LOWERTILETONVVM
#include "passes/GPU/Tile/Passes.h.inc"
} // namespace rondo::tile

using namespace mlir;
using namespace rondo::tile;

namespace {

struct LowerTileToNVVM
    : public rondo::tile::impl::LowerTileToNVVMBase<LowerTileToNVVM> {
  using LowerTileToNVVMBase::LowerTileToNVVMBase;

  void runOnOperation() override {
    SmallVector<gpu::GPUFuncOp> kernels;
    getOperation().walk([&](gpu::GPUFuncOp function) {
      if (function->hasAttr("tile.warps"))
        kernels.push_back(function);
    });
    llvm::DenseMap<Operation *, int64_t> bytes, threadsOf;
    for (gpu::GPUFuncOp kernel : kernels) {
      auto warps = kernel->getAttrOfType<IntegerAttr>("tile.warps");
      FailureOr<int64_t> needed =
          ThreadEmitter(kernel, warps.getInt(), warpgroups).run();
      if (failed(needed))
        return signalPassFailure();
      bytes[kernel] = *needed;
      Builder builder(kernel.getContext());
      kernel->setAttr("tile.shared_bytes", builder.getI64IntegerAttr(*needed));
      if (auto blocks = kernel->getAttrOfType<IntegerAttr>("tile.blocks"))
        kernel->setAttr(NVVM::NVVMDialect::getMinctasmAttrName(),
                        builder.getI32IntegerAttr(blocks.getInt()));
      auto groups = kernel->getAttrOfType<IntegerAttr>("tile.groups");
      int32_t threads = 32 * warps.getInt() * (groups ? groups.getInt() : 1);
      threadsOf[kernel] = threads;
      kernel->setAttr(NVVM::NVVMDialect::getReqntidAttrName(),
                      builder.getDenseI32ArrayAttr({threads, 1, 1}));
    }
    getOperation().walk([&](gpu::LaunchFuncOp launch) {
      auto kernel = SymbolTable::lookupNearestSymbolFrom(
          launch, launch.getKernel());
      auto found = bytes.find(kernel);
      if (found == bytes.end())
        return;
      OpBuilder builder(launch);
      launch.getBlockSizeXMutable().assign(arith::ConstantIndexOp::create(
          builder, launch.getLoc(), threadsOf.lookup(kernel)));
      launch.getDynamicSharedMemorySizeMutable().assign(
          arith::ConstantIntOp::create(builder, launch.getLoc(), found->second,
                                       32));
    });
  }
};

} // namespace

void rondo::tile::buildPipeline(OpPassManager &pm, int64_t memory) {
  pm.addPass(createSplitChunks({memory}));
  addCleanup(pm);
  pm.addPass(createSplitTime());
  addCleanup(pm);
  OpPassManager &kernels = pm.nest<gpu::GPUModuleOp>().nest<gpu::GPUFuncOp>();
  kernels.addPass(createSliceColumns());
  addCleanup(kernels);
  kernels.addPass(createSplitGroups({memory}));
  kernels.addPass(createPipelineCopies({memory}));
  kernels.addPass(createAssignLayouts());
  kernels.addPass(createOverlapSteps());
  kernels.addPass(createOrderDots());
}
