//===- LowerToLLVM.cpp - Convert what is left to the LLVM dialect ---------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/FuncToLLVM/ConvertFuncToLLVM.h"
#include "mlir/Conversion/IndexToLLVM/IndexToLLVM.h"
#include "mlir/Conversion/LLVMCommon/ConversionTarget.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/MathToLibm/MathToLibm.h"
#include "mlir/Conversion/MemRefToLLVM/MemRefToLLVM.h"
#include "mlir/Conversion/UBToLLVM/UBToLLVM.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVM.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/Transforms/LoweringPatterns.h"
#include "mlir/Dialect/Vector/Transforms/VectorRewritePatterns.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Transforms/DialectConversion.h"
#include "passes/CPU/Passes.h"

namespace rondo::cpu {
#define GEN_PASS_DEF_ALLOWCONTRACTION
#define GEN_PASS_DEF_LOWERTOLLVM
#include "passes/CPU/Passes.h.inc"
} // namespace rondo::cpu

using namespace mlir;

namespace {

class AllowContraction
    : public rondo::cpu::impl::AllowContractionBase<AllowContraction> {
public:
  void runOnOperation() override {
    getOperation().walk([](Operation *op) {
      if (!isa<arith::AddFOp, arith::MulFOp, arith::SubFOp>(op))
        return;
      auto fast = cast<arith::ArithFastMathInterface>(op);
      auto flags = fast.getFastMathFlagsAttr().getValue() |
                   arith::FastMathFlags::contract;
      op->setAttr(fast.getFastMathAttrName(),
                  arith::FastMathFlagsAttr::get(op->getContext(), flags));
    });
  }
};

class LowerToLLVM : public rondo::cpu::impl::LowerToLLVMBase<LowerToLLVM> {
public:
  void runOnOperation() override {
    if (failed(callLibm()) || failed(convert()))
      return signalPassFailure();
    maskHalfsAsIntegers();
  }

private:
  LogicalResult callLibm();
  LogicalResult convert();
  void maskHalfsAsIntegers();
};

} // namespace

/// Functions that LLVM has no intrinsic for, or that MLIR's conversion to LLVM
/// would compute from others less accurately (log1p, expm1).
LogicalResult LowerToLLVM::callLibm() {
  ConversionTarget target(getContext());
  target.addLegalDialect<arith::ArithDialect, func::FuncDialect,
                         vector::VectorDialect, LLVM::LLVMDialect>();
  target.addIllegalOp<math::AcosOp, math::AcoshOp, math::AsinOp, math::AsinhOp,
                      math::AtanOp, math::Atan2Op, math::AtanhOp, math::CbrtOp,
                      math::CoshOp, math::ErfOp, math::ErfcOp, math::ExpM1Op,
                      math::Log1pOp, math::SinhOp, math::TanOp>();
  bool found = getOperation()
                   .walk([&](Operation *op) {
                     return target.isIllegal(op) ? WalkResult::interrupt()
                                                 : WalkResult::advance();
                   })
                   .wasInterrupted();
  if (!found)
    return success();
  RewritePatternSet patterns(&getContext());
  populateMathToLibmConversionPatterns(patterns);
  return applyPartialConversion(getOperation(), target, std::move(patterns));
}

LogicalResult LowerToLLVM::convert() {
  LLVMTypeConverter converter(&getContext());
  RewritePatternSet patterns(&getContext());
  arith::populateArithToLLVMConversionPatterns(converter, patterns);
  cf::populateControlFlowToLLVMConversionPatterns(converter, patterns);
  index::populateIndexToLLVMConversionPatterns(converter, patterns);
  populateFinalizeMemRefToLLVMConversionPatterns(converter, patterns);
  populateFuncToLLVMConversionPatterns(converter, patterns);
  populateMathToLLVMConversionPatterns(converter, patterns);
  ub::populateUBToLLVMConversionPatterns(converter, patterns);
  vector::populateVectorMaskOpLoweringPatterns(patterns);
  vector::populateVectorMaskMaterializationPatterns(
      patterns, /*force32BitVectorIndices=*/true);
  populateVectorToLLVMConversionPatterns(converter, patterns,
                                         /*reassociateFPReductions=*/false,
                                         /*force32BitVectorIndices=*/true);
  LLVMConversionTarget target(getContext());
  target.addLegalOp<ModuleOp, UnrealizedConversionCastOp>();
  return applyFullConversion(getOperation(), target, std::move(patterns));
}

/// LLVM splits masked accesses of bf16 and f16 into elements, and rounds each
/// by a call; those of i16 are instructions.
void LowerToLLVM::maskHalfsAsIntegers() {
  OpBuilder b(&getContext());
  auto isHalf = [](Type type) {
    Type element = getElementTypeOrSelf(type);
    return element.isBF16() || element.isF16();
  };
  auto cast = [&](Value value, Type element) -> Value {
    return LLVM::BitcastOp::create(
        b, value.getLoc(),
        mlir::cast<VectorType>(value.getType()).clone(element), value);
  };
  getOperation().walk([&](Operation *op) {
    if (!isa<LLVM::MaskedLoadOp, LLVM::MaskedStoreOp, LLVM::masked_gather,
             LLVM::masked_scatter>(op))
      return;
    b.setInsertionPoint(op);
    for (OpOperand &operand : op->getOpOperands())
      if (isHalf(operand.get().getType()))
        operand.set(cast(operand.get(), b.getI16Type()));
    for (OpResult result : op->getResults()) {
      Type type = result.getType();
      if (!isHalf(type))
        continue;
      result.setType(mlir::cast<VectorType>(type).clone(b.getI16Type()));
      b.setInsertionPointAfter(op);
      Value restored = cast(result, getElementTypeOrSelf(type));
      result.replaceAllUsesExcept(restored, restored.getDefiningOp());
    }
  });
}
