//===- ExpandPairs.cpp - Pairs of bf16 numbers ----------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/Rondo/IR/PairOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "passes/CPU/Passes.h"
#include "passes/Common/Expansions.h"

using namespace mlir;
using namespace rondo;

/// Whether there is an instruction for vectors of this type.
static bool hasDot(Type type) {
  auto vector = dyn_cast<VectorType>(type);
  return vector && vector.getRank() == 1 &&
         (vector.getDimSize(0) == 4 || vector.getDimSize(0) == 8 ||
          vector.getDimSize(0) == 16);
}

/// sum + x . y
static Value createDot(OpBuilder &b, Location loc, Value sum, Value x,
                       Value y) {
  // The instruction reads a word for all lanes from memory as its second factor
  // only.
  if (x.getDefiningOp<vector::BroadcastOp>())
    std::swap(x, y);
  auto type = cast<VectorType>(sum.getType());
  int64_t lanes = type.getDimSize(0);
  auto halves = VectorType::get({2 * lanes}, b.getBF16Type());
  SmallVector<Value> operands{sum};
  for (Value words : {x, y})
    operands.push_back(LLVM::BitcastOp::create(b, loc, halves, words));
  std::string name =
      "llvm.x86.avx512bf16.dpbf16ps." + std::to_string(32 * lanes);
  return LLVM::CallIntrinsicOp::create(b, loc, type, b.getStringAttr(name),
                                       operands)
      ->getResult(0);
}

namespace {
/// The instruction adds to a sum.
struct AddDot : OpRewritePattern<arith::AddFOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(arith::AddFOp op,
                                PatternRewriter &rewriter) const override {
    auto dot = op.getRhs().getDefiningOp<DotPairOp>();
    Value sum = op.getLhs();
    if (!dot) {
      dot = op.getLhs().getDefiningOp<DotPairOp>();
      sum = op.getRhs();
    }
    if (!dot || !dot->hasOneUse() || !hasDot(op.getType()))
      return rewriter.notifyMatchFailure(op, "it adds no dot products");
    rewriter.replaceOp(
        op, createDot(rewriter, op.getLoc(), sum, dot.getLhs(), dot.getRhs()));
    rewriter.eraseOp(dot);
    return success();
  }
};

struct ExpandDot : OpRewritePattern<DotPairOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(DotPairOp op,
                                PatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    Type type = op.getType(), word = op.getLhs().getType();
    if (hasDot(type)) {
      if (op->hasOneUse() && isa<arith::AddFOp>(*op->user_begin()))
        return rewriter.notifyMatchFailure(op, "it is part of a sum");
      Value zero =
          arith::ConstantOp::create(rewriter, loc, rewriter.getZeroAttr(type));
      rewriter.replaceOp(
          op, createDot(rewriter, loc, zero, op.getLhs(), op.getRhs()));
      return success();
    }
    Value half = createInteger(rewriter, loc, word, 16);
    Value mask = createInteger(rewriter, loc, word, -65536);
    auto multiply = [&](bool high) -> Value {
      SmallVector<Value> reals;
      for (Value value : {op.getLhs(), op.getRhs()}) {
        Value bits =
            high ? arith::AndIOp::create(rewriter, loc, value, mask).getResult()
                 : arith::ShLIOp::create(rewriter, loc, value, half);
        reals.push_back(arith::BitcastOp::create(rewriter, loc, type, bits));
      }
      return arith::MulFOp::create(rewriter, loc, reals[0], reals[1]);
    };
    Value low = multiply(false), high = multiply(true);
    rewriter.replaceOpWithNewOp<arith::AddFOp>(op, low, high);
    return success();
  }
};

struct ExpandPack : OpRewritePattern<PackPairOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(PackPairOp op,
                                PatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    Type type = op.getType();
    auto round = [&](Value value) -> Value {
      Value half = arith::TruncFOp::create(
          rewriter, loc, withElement(value.getType(), rewriter.getBF16Type()),
          value);
      half = arith::BitcastOp::create(
          rewriter, loc, withElement(value.getType(), rewriter.getI16Type()),
          half);
      return arith::ExtUIOp::create(rewriter, loc, type, half);
    };
    Value high = arith::ShLIOp::create(rewriter, loc, round(op.getHigh()),
                                       createInteger(rewriter, loc, type, 16));
    rewriter.replaceOpWithNewOp<arith::OrIOp>(op, round(op.getLow()), high);
    return success();
  }
};
} // namespace

void rondo::cpu::populateExpandPairPatterns(RewritePatternSet &patterns) {
  patterns.add<AddDot, ExpandDot, ExpandPack>(patterns.getContext(),
                                              /*benefit=*/2);
}
