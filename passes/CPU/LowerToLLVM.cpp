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
#include "mlir/Conversion/LLVMCommon/Pattern.h"
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
#include "mlir/IR/Iterators.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
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
    forwardFields();
    splitOffsets();
    eraseDead();
  }

private:
  LogicalResult callLibm();
  LogicalResult convert();
  void forwardFields();
  void splitOffsets();
  void eraseDead();
};

//===----------------------------------------------------------------------===//
// Halves
//===----------------------------------------------------------------------===//
//
// bf16 and f16 are i16 in the LLVM dialect, and what they are only where an
// instruction converts them. What merely moves values (loads, masks, selects,
// broadcasts) LLVM would otherwise compute in f32 for want of instructions,
// with calls of functions that round.

bool isHalf(Type type) {
  Type element = getElementTypeOrSelf(type);
  return element.isBF16() || element.isF16();
}

struct ConvertTrunc : ConvertOpToLLVMPattern<arith::TruncFOp> {
  using ConvertOpToLLVMPattern::ConvertOpToLLVMPattern;
  LogicalResult
  matchAndRewrite(arith::TruncFOp op, OpAdaptor operands,
                  ConversionPatternRewriter &rewriter) const override {
    if (!isHalf(op.getType()))
      return rewriter.notifyMatchFailure(op, "the result is no half");
    Value half = LLVM::FPTruncOp::create(rewriter, op.getLoc(), op.getType(),
                                         operands.getIn());
    rewriter.replaceOpWithNewOp<LLVM::BitcastOp>(
        op, typeConverter->convertType(op.getType()), half);
    return success();
  }
};

struct ConvertExt : ConvertOpToLLVMPattern<arith::ExtFOp> {
  using ConvertOpToLLVMPattern::ConvertOpToLLVMPattern;
  LogicalResult
  matchAndRewrite(arith::ExtFOp op, OpAdaptor operands,
                  ConversionPatternRewriter &rewriter) const override {
    if (!isHalf(op.getIn().getType()))
      return rewriter.notifyMatchFailure(op, "the operand is no half");
    Value half = LLVM::BitcastOp::create(
        rewriter, op.getLoc(), op.getIn().getType(), operands.getIn());
    rewriter.replaceOpWithNewOp<LLVM::FPExtOp>(op, op.getType(), half);
    return success();
  }
};

struct ConvertConstant : ConvertOpToLLVMPattern<arith::ConstantOp> {
  using ConvertOpToLLVMPattern::ConvertOpToLLVMPattern;
  LogicalResult
  matchAndRewrite(arith::ConstantOp op, OpAdaptor,
                  ConversionPatternRewriter &rewriter) const override {
    if (!isHalf(op.getType()))
      return rewriter.notifyMatchFailure(op, "it is no half");
    Type i16 = rewriter.getI16Type();
    TypedAttr bits;
    if (auto value = dyn_cast<FloatAttr>(op.getValue()))
      bits = IntegerAttr::get(i16, value.getValue().bitcastToAPInt());
    else if (auto values = dyn_cast<DenseElementsAttr>(op.getValue()))
      bits = values.bitcast(i16);
    else
      return rewriter.notifyMatchFailure(op, "its value is not understood");
    rewriter.replaceOpWithNewOp<LLVM::ConstantOp>(
        op, typeConverter->convertType(op.getType()), bits);
    return success();
  }
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
  Type i16 = IntegerType::get(&getContext(), 16);
  converter.addConversion([&](FloatType type) -> std::optional<Type> {
    return isHalf(type) ? std::optional<Type>(i16) : std::nullopt;
  });
  converter.addConversion([&](VectorType type) -> std::optional<Type> {
    if (!isHalf(type))
      return std::nullopt;
    return converter.convertType(cast<Type>(type.clone(i16)));
  });
  RewritePatternSet patterns(&getContext());
  patterns.add<ConvertTrunc, ConvertExt, ConvertConstant>(converter,
                                                          /*benefit=*/2);
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
  ConversionConfig config;
  config.allowPatternRollback = false;
  return applyFullConversion(getOperation(), target, std::move(patterns),
                             config);
}

/// What is read from a descriptor of a memref is what was put there.
/// Descriptors are more than half of the operations here, and most are not
/// needed then.
void LowerToLLVM::forwardFields() {
  getOperation().walk([](LLVM::ExtractValueOp op) {
    SmallVector<OpFoldResult, 1> field;
    if (failed(op->fold(field)) || field.empty())
      return;
    if (Value value = dyn_cast<Value>(field.front())) {
      op.replaceAllUsesWith(value);
      op.erase();
    }
  });
}

namespace {
/// An integer is `rest` + `constant`; `rest` is null where it is 0.
struct Offset {
  Value rest;
  int64_t constant = 0;
};

/// Takes the constants out of sums and products: (k + 1) * 64 + j is
/// (k * 64 + j) + 64. Addresses of the points of a tile then differ by numbers
/// that instructions have room for.
class OffsetSplitter {
public:
  Offset split(Value value) {
    auto [it, isNew] = known.try_emplace(value, Offset{value, 0});
    if (!isNew)
      return it->second;
    Offset offset = splitOp(value);
    return known[value] = offset;
  }

private:
  Offset splitOp(Value value) {
    APInt factor;
    if (matchPattern(value, m_ConstantInt(&factor)))
      return {{}, factor.getSExtValue()};
    if (auto sum = value.getDefiningOp<LLVM::AddOp>()) {
      Offset a = split(sum.getLhs()), b = split(sum.getRhs());
      int64_t constant = a.constant + b.constant;
      if (a.rest == sum.getLhs() && b.rest == sum.getRhs())
        return {value, 0};
      if (!a.rest || !b.rest)
        return {a.rest ? a.rest : b.rest, constant};
      OpBuilder builder(sum);
      return {LLVM::AddOp::create(builder, sum.getLoc(), a.rest, b.rest),
              constant};
    }
    auto product = value.getDefiningOp<LLVM::MulOp>();
    if (!product || !matchPattern(product.getRhs(), m_ConstantInt(&factor)))
      return {value, 0};
    Offset a = split(product.getLhs());
    if (a.constant == 0)
      return {value, 0};
    OpBuilder builder(product);
    Value rest = a.rest ? LLVM::MulOp::create(builder, product.getLoc(), a.rest,
                                              product.getRhs())
                              .getResult()
                        : Value();
    return {rest, a.constant * factor.getSExtValue()};
  }

  llvm::DenseMap<Value, Offset> known;
};
} // namespace

void LowerToLLVM::splitOffsets() {
  OffsetSplitter splitter;
  getOperation().walk([&](LLVM::GEPOp op) {
    if (op.getDynamicIndices().size() != 1 || op.getIndices().size() != 1)
      return;
    Offset offset = splitter.split(op.getDynamicIndices()[0]);
    if (offset.constant == 0 || !offset.rest ||
        !llvm::isInt<31>(offset.constant))
      return;
    OpBuilder builder(op);
    auto move = [&](Value base, LLVM::GEPArg by) {
      return LLVM::GEPOp::create(builder, op.getLoc(), op.getType(),
                                 op.getElemType(), base, by)
          .getResult();
    };
    Value moved = move(move(op.getBase(), LLVM::GEPArg(offset.rest)),
                       LLVM::GEPArg(int32_t(offset.constant)));
    op.replaceAllUsesWith(moved);
    op.erase();
  });
}

void LowerToLLVM::eraseDead() {
  getOperation().walk<WalkOrder::PostOrder, ReverseIterator>([](Operation *op) {
    if (isOpTriviallyDead(op))
      op->erase();
  });
}
