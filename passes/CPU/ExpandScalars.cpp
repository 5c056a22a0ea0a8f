//===- ExpandScalars.cpp - Expand ops the target has no instruction for ---===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/Rondo/IR/RondoOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Transforms/WalkPatternRewriteDriver.h"
#include "passes/Common/Expansions.h"
#include "passes/CPU/Passes.h"
#include "passes/CPU/Target.h"
#include "llvm/Support/MathExtras.h"

namespace rondo::cpu {
#define GEN_PASS_DEF_EXPANDSCALARS
#include "passes/CPU/Passes.h.inc"
} // namespace rondo::cpu

using namespace mlir;
using namespace rondo;
using namespace rondo::cpu;

static std::optional<int64_t> getConstant(Value value) {
  APInt constant;
  if (matchPattern(value, m_ConstantInt(&constant)))
    return constant.getSExtValue();
  return std::nullopt;
}

namespace {
struct ExpandMod : OpRewritePattern<ModOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ModOp op,
                                PatternRewriter &rewriter) const override {
    rewriter.replaceOp(op,
                       expandFloorMod(rewriter, op.getLoc(), op.getLhs(),
                                      op.getRhs(), getConstant(op.getRhs())));
    return success();
  }
};

/// Floor division by a power of two is an arithmetic shift.
struct ExpandFloorDiv : OpRewritePattern<arith::FloorDivSIOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(arith::FloorDivSIOp op,
                                PatternRewriter &rewriter) const override {
    std::optional<int64_t> divisor = getConstant(op.getRhs());
    if (!divisor || *divisor <= 0 || !llvm::isPowerOf2_64(*divisor))
      return rewriter.notifyMatchFailure(
          op, "the divisor is not known to be a power of two");
    Value shift = createInteger(rewriter, op.getLoc(), op.getType(),
                                llvm::Log2_64(*divisor));
    rewriter.replaceOpWithNewOp<arith::ShRSIOp>(op, op.getLhs(), shift);
    return success();
  }
};

static bool isNumber(Value value) {
  APFloat constant(0.0f);
  return matchPattern(value, m_ConstantFloat(&constant)) && !constant.isNaN();
}

/// maximumf and minimumf give NaN when an operand is NaN. The processor's
/// instruction is `a > b ? a : b`, which gives b; what is left is to choose a
/// when a is NaN, unless the op says that the result does not matter then. (The
/// sign of a zero result is not defined here.)
template <typename Op, arith::CmpFPredicate predicate>
struct ExpandExtremum : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;
  LogicalResult matchAndRewrite(Op op,
                                PatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    Value lhs = op.getLhs(), rhs = op.getRhs();
    if (isNumber(rhs))
      std::swap(lhs, rhs);
    Value better = arith::CmpFOp::create(rewriter, loc, predicate, lhs, rhs);
    Value result = arith::SelectOp::create(rewriter, loc, better, lhs, rhs);
    bool matters =
        !bitEnumContainsAll(op.getFastmath(), arith::FastMathFlags::nnan);
    if (matters && !isNumber(lhs)) {
      Value isNaN = arith::CmpFOp::create(rewriter, loc,
                                          arith::CmpFPredicate::UNO, lhs, lhs);
      result = arith::SelectOp::create(rewriter, loc, isNaN, lhs, result);
    }
    rewriter.replaceOp(op, result);
    return success();
  }
};

/// Roundings of f64 and integers to bf16 and f16 go by way of f32, which may
/// round a tie the other way; f16 becomes f64 by way of f32, which is exact.
template <typename Op> struct GoByF32 : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;
  LogicalResult matchAndRewrite(Op op,
                                PatternRewriter &rewriter) const override {
    Type from = getElementTypeOrSelf(op.getIn());
    Type to = getElementTypeOrSelf(op.getType());
    auto isHalf = [](Type type) { return type.isF16() || type.isBF16(); };
    if (!(isHalf(from) || isHalf(to)) || from.isF32() || to.isF32())
      return rewriter.notifyMatchFailure(op, "f32 does not stand between");
    Value single = Op::create(rewriter, op.getLoc(),
                              withElement(op.getType(), rewriter.getF32Type()),
                              op.getIn());
    if (to.isF64())
      rewriter.replaceOpWithNewOp<arith::ExtFOp>(op, op.getType(), single);
    else
      rewriter.replaceOpWithNewOp<arith::TruncFOp>(op, op.getType(), single);
    return success();
  }
};

class ExpandScalars
    : public rondo::cpu::impl::ExpandScalarsBase<ExpandScalars> {
public:
  void runOnOperation() override {
    Target target = getTarget(getOperation());
    RewritePatternSet byF32(&getContext());
    byF32.add<GoByF32<arith::TruncFOp>, GoByF32<arith::ExtFOp>,
              GoByF32<arith::SIToFPOp>, GoByF32<arith::UIToFPOp>>(
        &getContext());
    walkAndApplyPatterns(getOperation(), std::move(byF32));
    RewritePatternSet patterns(&getContext());
    patterns.add<ExpandMod, ExpandFloorDiv,
                 ExpandExtremum<arith::MaximumFOp, arith::CmpFPredicate::OGT>,
                 ExpandExtremum<arith::MinimumFOp, arith::CmpFPredicate::OLT>>(
        &getContext(), /*benefit=*/2);
    arith::populateCeilFloorDivExpandOpsPatterns(patterns);
    if (target.hasBF16)
      populateExpandPairPatterns(patterns);
    else
      arith::populateExpandBFloat16Patterns(patterns);
    if (!target.hasF16())
      populateExpandF16Patterns(patterns);
    walkAndApplyPatterns(getOperation(), std::move(patterns));
  }
};
} // namespace
