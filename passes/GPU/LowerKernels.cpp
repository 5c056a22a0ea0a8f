//===- LowerKernels.cpp - Convert kernels to LLVM and NVVM ----------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/GPUToNVVM/GPUToNVVMPass.h"
#include "mlir/Conversion/IndexToLLVM/IndexToLLVM.h"
#include "mlir/Conversion/LLVMCommon/ConversionTarget.h"
#include "mlir/Conversion/LLVMCommon/Pattern.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/MemRefToLLVM/MemRefToLLVM.h"
#include "mlir/Conversion/UBToLLVM/UBToLLVM.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVM.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/GPU/Transforms/Passes.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Transforms/DialectConversion.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "passes/GPU/Capabilities.h"
#include "passes/GPU/Passes.h"

namespace rondo::gpu {
#define GEN_PASS_DEF_LOWERKERNELS
#include "passes/GPU/Passes.h.inc"
} // namespace rondo::gpu

using namespace mlir;

/// What the pointers among the arguments promise, by position after memrefs
/// have become the fields of their descriptors.
static SmallVector<int64_t> flattenUses(mlir::gpu::GPUFuncOp func) {
  SmallVector<int64_t> flat;
  auto uses = func->getAttrOfType<DenseI64ArrayAttr>("rondo.pointers");
  if (!uses)
    return flat;
  for (auto [type, use] : llvm::zip(func.getArgumentTypes(), uses.asArrayRef())) {
    auto memref = dyn_cast<MemRefType>(type);
    if (!memref) {
      flat.push_back(use);
      continue;
    }
    // The allocated pointer is not used.
    flat.push_back(0);
    flat.push_back(use);
    flat.append(1 + 2 * memref.getRank(), 0);
  }
  return flat;
}

/// Takes fields out of the descriptors that were just made of arguments.
static void foldDescriptors(Operation *func) {
  SmallVector<UnrealizedConversionCastOp> casts;
  func->walk([&](UnrealizedConversionCastOp op) { casts.push_back(op); });
  reconcileUnrealizedCasts(casts);
  func->walk([](LLVM::ExtractValueOp op) {
    SmallVector<OpFoldResult> field;
    if (failed(op->fold(field)) || field.empty())
      return;
    if (auto value = dyn_cast<Value>(field[0]); value && value != op)
      op.replaceAllUsesWith(value);
  });
}

/// Loads of what nothing writes while the kernel runs. LLVM finds the argument
/// behind an address by itself through a few additions only; other loads wait
/// for stores before them.
static void markInvariantLoads(Value pointer) {
  for (Operation *user : pointer.getUsers())
    if (auto load = dyn_cast<LLVM::LoadOp>(user))
      load.setInvariant(true);
    else if (isa<LLVM::GEPOp, LLVM::AddrSpaceCastOp>(user))
      markInvariantLoads(user->getResult(0));
}

static void markPointers(LLVM::LLVMFuncOp func, ArrayRef<int64_t> uses) {
  UnitAttr unit = UnitAttr::get(func.getContext());
  foldDescriptors(func);
  for (auto [i, use] : llvm::enumerate(uses)) {
    if (i >= func.getNumArguments() ||
        !isa<LLVM::LLVMPointerType>(func.getArgument(i).getType()))
      continue;
    if (use & 1)
      func.setArgAttr(i, LLVM::LLVMDialect::getNoAliasAttrName(), unit);
    if (use & 2)
      func.setArgAttr(i, LLVM::LLVMDialect::getReadonlyAttrName(), unit);
    if ((use & 3) == 3)
      markInvariantLoads(func.getArgument(i));
  }
}

namespace {
/// Upstream's pattern makes an intrinsic that is dropped for this target, whose
/// own one is not for all chips.
struct LowerPrefetch : ConvertOpToLLVMPattern<memref::PrefetchOp> {
  using ConvertOpToLLVMPattern::ConvertOpToLLVMPattern;
  LogicalResult
  matchAndRewrite(memref::PrefetchOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Value address = getStridedElementPtr(rewriter, op.getLoc(),
                                         op.getMemRefType(), adaptor.getMemref(),
                                         adaptor.getIndices());
    rewriter.replaceOpWithNewOp<LLVM::InlineAsmOp>(
        op, TypeRange(), address, "prefetch.global.L2 [$0];", "l",
        /*has_side_effects=*/true, /*is_align_stack=*/false,
        LLVM::TailCallKind::None, /*asm_dialect=*/LLVM::AsmDialectAttr(),
        /*operand_attrs=*/ArrayAttr());
    return success();
  }
};
} // namespace

static LogicalResult convert(mlir::gpu::GPUModuleOp module) {
  MLIRContext *context = module.getContext();
  {
    RewritePatternSet patterns(context);
    populateGpuRewritePatterns(patterns);
    if (failed(applyPatternsGreedily(module, std::move(patterns))))
      return failure();
  }
  LLVMTypeConverter converter(context);
  configureGpuToNVVMTypeConverter(converter);
  RewritePatternSet patterns(context);
  arith::populateArithToLLVMConversionPatterns(converter, patterns);
  cf::populateControlFlowToLLVMConversionPatterns(converter, patterns);
  index::populateIndexToLLVMConversionPatterns(converter, patterns);
  populateFinalizeMemRefToLLVMConversionPatterns(converter, patterns);
  patterns.add<LowerPrefetch>(converter, /*benefit=*/10);
  // Before those that call a library of the device.
  populateMathToLLVMConversionPatterns(converter, patterns,
                                       /*approximateLog1p=*/false,
                                       /*benefit=*/10);
  ub::populateUBToLLVMConversionPatterns(converter, patterns);
  populateVectorToLLVMConversionPatterns(converter, patterns);
  populateGpuToNVVMConversionPatterns(converter, patterns);
  LLVMConversionTarget target(*context);
  configureGpuToNVVMConversionLegality(target);
  // These are instructions; upstream would call a library.
  target.addLegalOp<LLVM::CopySignOp, LLVM::FAbsOp, LLVM::FCeilOp,
                    LLVM::FFloorOp, LLVM::FTruncOp, LLVM::RoundEvenOp,
                    LLVM::SqrtOp>();
  target.addLegalOp<UnrealizedConversionCastOp>();
  return applyPartialConversion(module, target, std::move(patterns));
}

/// Older chips begin a kernel when the one before it has ended.
static void dropDependences(ModuleOp module) {
  if (rondo::gpu::getChip(module).number < 90)
    module.walk([](NVVM::GriddepcontrolOp op) { op.erase(); });
}

namespace {
class LowerKernels : public rondo::gpu::impl::LowerKernelsBase<LowerKernels> {
public:
  void runOnOperation() override {
    dropDependences(getOperation());
    for (auto module : getOperation().getOps<mlir::gpu::GPUModuleOp>()) {
      llvm::StringMap<SmallVector<int64_t>> uses;
      module.walk([&](mlir::gpu::GPUFuncOp func) {
        SmallVector<int64_t> &pointers = uses[func.getName()];
        pointers = flattenUses(func);
        // Behind a barrier, what is written is what other threads wrote: no
        // promise to the compiler, which would take it from a register.
        if (func.walk([](mlir::gpu::BarrierOp) {
                  return WalkResult::interrupt();
                }).wasInterrupted())
          llvm::replace(pointers, 1, 0);
        func->removeAttr("rondo.pointers");
        // Multiply-adds in one rounding wherever they come up.
        func.walk([](Operation *op) {
          if (!isa<arith::AddFOp, arith::MulFOp, arith::SubFOp>(op))
            return;
          auto fast = cast<arith::ArithFastMathInterface>(op);
          auto flags = fast.getFastMathFlagsAttr().getValue() |
                       arith::FastMathFlags::contract;
          op->setAttr(fast.getFastMathAttrName(),
                      arith::FastMathFlagsAttr::get(op->getContext(), flags));
        });
      });
      if (failed(convert(module)))
        return signalPassFailure();
      // Dynamic memory is declared, not defined: as something of the module's
      // own LLVM would give it a byte in every kernel.
      for (auto global : module.getOps<LLVM::GlobalOp>())
        if (auto array = dyn_cast<LLVM::LLVMArrayType>(global.getType());
            array && array.getNumElements() == 0)
          global.setLinkage(LLVM::Linkage::External);
      module.walk([&](LLVM::LLVMFuncOp func) {
        auto known = uses.find(func.getSymName());
        if (known != uses.end())
          markPointers(func, known->second);
      });
    }
  }
};
} // namespace
