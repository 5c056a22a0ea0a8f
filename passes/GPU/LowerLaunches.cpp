//===- LowerLaunches.cpp - Launches as calls of the runtime ---------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/Conversion/LLVMCommon/MemRefBuilder.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "passes/GPU/Passes.h"

namespace rondo::gpu {
#define GEN_PASS_DEF_LOWERLAUNCHES
#include "passes/GPU/Passes.h.inc"
} // namespace rondo::gpu

using namespace mlir;

static constexpr StringLiteral launchSymbol = "rondo_cuda_launch";
static constexpr StringLiteral togetherSymbol = "rondo_cuda_launch_together";
static constexpr StringLiteral behindSymbol = "rondo_cuda_launch_behind";

namespace {
class LowerLaunches : public rondo::gpu::impl::LowerLaunchesBase<LowerLaunches> {
public:
  void runOnOperation() override;

private:
  LogicalResult lower(mlir::gpu::LaunchFuncOp launch,
                      ArrayRef<std::string> names);
  LLVM::LLVMFuncOp getLaunchFunction(StringRef symbol);
};
} // namespace

/// void rondo_cuda_launch(launcher, kernel, grid.., block.., shared, params)
LLVM::LLVMFuncOp LowerLaunches::getLaunchFunction(StringRef symbol) {
  ModuleOp module = getOperation();
  if (auto known = module.lookupSymbol<LLVM::LLVMFuncOp>(symbol))
    return known;
  OpBuilder b = OpBuilder::atBlockBegin(module.getBody());
  auto pointer = LLVM::LLVMPointerType::get(&getContext());
  SmallVector<Type> types(10, b.getI64Type());
  types.front() = types.back() = pointer;
  return LLVM::LLVMFuncOp::create(
      b, module.getLoc(), symbol,
      LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(&getContext()),
                                  types));
}

/// The values that the kernel's arguments become: a memref is the fields of
/// its descriptor, in the order of the conversion of gpu.func.
static SmallVector<Value> flatten(ImplicitLocOpBuilder &b,
                                  const LLVMTypeConverter &converter,
                                  ValueRange operands) {
  SmallVector<Value> values;
  for (Value operand : operands) {
    Type type = converter.convertType(operand.getType());
    Value value =
        type == operand.getType()
            ? operand
            : UnrealizedConversionCastOp::create(b, type, operand).getResult(0);
    if (auto memref = dyn_cast<MemRefType>(operand.getType()))
      MemRefDescriptor::unpack(b, b.getLoc(), value, memref, values);
    else
      values.push_back(value);
  }
  return values;
}

LogicalResult LowerLaunches::lower(mlir::gpu::LaunchFuncOp launch,
                                   ArrayRef<std::string> names) {
  auto func = launch->getParentOfType<func::FuncOp>();
  if (!func || !func->hasAttr("rondo.launches"))
    return launch.emitOpError("expects a function with rondo.launches");
  auto name = llvm::find(names, launch.getKernelName().getValue());
  if (name == names.end())
    return launch.emitOpError("names a kernel that is not in the module");
  ImplicitLocOpBuilder b(launch.getLoc(), launch);
  LLVMTypeConverter converter(&getContext());
  auto pointer = LLVM::LLVMPointerType::get(&getContext());
  SmallVector<Value> values =
      flatten(b, converter, launch.getKernelOperands());

  // Variables live once per call, also when the launch is in a loop.
  auto variable = [&](Type type, int64_t count) -> Value {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(&func.front());
    Value size = LLVM::ConstantOp::create(b, b.getI64IntegerAttr(count));
    return LLVM::AllocaOp::create(b, pointer, type, size);
  };
  Value params = variable(pointer, std::max<size_t>(values.size(), 1));
  for (auto [i, value] : llvm::enumerate(values)) {
    Value slot = variable(value.getType(), 1);
    LLVM::StoreOp::create(b, value, slot);
    Value place = LLVM::GEPOp::create(
        b, pointer, pointer, params,
        ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(i)});
    LLVM::StoreOp::create(b, slot, place);
  }
  auto toI64 = [&](Value value) -> Value {
    if (value.getType().isIndex())
      return arith::IndexCastOp::create(b, b.getI64Type(), value);
    return arith::ExtUIOp::create(b, b.getI64Type(), value);
  };
  auto constant = [&](int64_t value) -> Value {
    return arith::ConstantOp::create(b, b.getI64IntegerAttr(value));
  };
  mlir::gpu::KernelDim3 grid = launch.getGridSizeOperandValues();
  mlir::gpu::KernelDim3 block = launch.getBlockSizeOperandValues();
  Value shared = launch.getDynamicSharedMemorySize();
  Value launcher = func.getArgument(func.getNumArguments() - 4);
  // Blocks that wait for one another must all run.
  StringRef symbol = launchSymbol;
  if (launch->hasAttr("rondo.together"))
    symbol = togetherSymbol;
  else if (launch->hasAttr("rondo.behind"))
    symbol = behindSymbol;
  LLVM::CallOp::create(
      b, getLaunchFunction(symbol),
      ValueRange{launcher, constant(name - names.begin()), toI64(grid.x),
                 toI64(grid.y), toI64(grid.z), toI64(block.x), toI64(block.y),
                 toI64(block.z), shared ? toI64(shared) : constant(0), params});
  launch.erase();
  return success();
}

void LowerLaunches::runOnOperation() {
  SmallVector<std::string> names = rondo::gpu::getKernelNames(getOperation());
  SmallVector<mlir::gpu::LaunchFuncOp> launches;
  getOperation().walk(
      [&](mlir::gpu::LaunchFuncOp launch) { launches.push_back(launch); });
  for (mlir::gpu::LaunchFuncOp launch : launches)
    if (failed(lower(launch, names)))
      return signalPassFailure();
  for (auto kernels : llvm::make_early_inc_range(
           getOperation().getOps<mlir::gpu::GPUModuleOp>()))
    kernels.erase();
  getOperation()->removeAttr(
      mlir::gpu::GPUDialect::getContainerModuleAttrName());
}
