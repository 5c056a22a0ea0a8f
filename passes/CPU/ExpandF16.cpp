//===- ExpandF16.cpp - Conversions of f16 without F16C --------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// An f16 whose exponent and fraction are moved to their places in an f32 is too
// small by the difference of the exponents' biases, 2^112, also when it is
// denormal. Multiplying by that power of two corrects it exactly; what comes
// out at 2^16 or above was infinity or NaN. The other direction rounds by
// adding a number in whose last place the result's last place falls.
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "passes/CPU/Passes.h"
#include "passes/Common/Expansions.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cpu;

namespace {
struct ExpandExtF16 : OpRewritePattern<arith::ExtFOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(arith::ExtFOp op,
                                PatternRewriter &rewriter) const override {
    Type type = op.getType();
    if (!getElementTypeOrSelf(op.getIn()).isF16() ||
        !getElementTypeOrSelf(type).isF32())
      return rewriter.notifyMatchFailure(op, "not from f16 to f32");
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    Type bits = withElement(type, b.getI32Type());
    auto constant = [&](int64_t value) {
      return createInteger(b, b.getLoc(), bits, value);
    };
    Value half = arith::ExtUIOp::create(
        b, bits,
        arith::BitcastOp::create(b, withElement(type, b.getI16Type()),
                                 op.getIn()));
    Value sign = arith::ShLIOp::create(
        b, arith::AndIOp::create(b, half, constant(0x8000)), constant(16));
    Value size = arith::ShLIOp::create(
        b, arith::AndIOp::create(b, half, constant(0x7fff)), constant(13));
    Value scaled =
        arith::MulFOp::create(b, arith::BitcastOp::create(b, type, size),
                              createFloat(b, b.getLoc(), type, 0x1p112));
    Value result = arith::BitcastOp::create(b, bits, scaled);
    Value special = arith::CmpIOp::create(b, arith::CmpIPredicate::uge, size,
                                          constant(0x0f800000));
    result = arith::SelectOp::create(
        b, special, arith::OrIOp::create(b, size, constant(0x7f800000)),
        result);
    rewriter.replaceOpWithNewOp<arith::BitcastOp>(
        op, type, arith::OrIOp::create(b, result, sign));
    return success();
  }
};

struct ExpandTruncF16 : OpRewritePattern<arith::TruncFOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(arith::TruncFOp op,
                                PatternRewriter &rewriter) const override {
    Type type = op.getIn().getType();
    if (!getElementTypeOrSelf(type).isF32() ||
        !getElementTypeOrSelf(op.getType()).isF16())
      return rewriter.notifyMatchFailure(op, "not from f32 to f16");
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    Type bits = withElement(type, b.getI32Type());
    auto constant = [&](int64_t value) {
      return createInteger(b, b.getLoc(), bits, value);
    };
    auto compare = [&](arith::CmpIPredicate predicate, Value value,
                       int64_t bound) {
      return arith::CmpIOp::create(b, predicate, value, constant(bound));
    };
    Value x = arith::BitcastOp::create(b, bits, op.getIn());
    Value size = arith::AndIOp::create(b, x, constant(0x7fffffff));
    Value sign = arith::AndIOp::create(
        b, arith::ShRUIOp::create(b, x, constant(16)), constant(0x8000));
    // Denormal results: in 0.5 + size the last place is that of a denormal f16.
    Value aligned =
        arith::AddFOp::create(b, arith::BitcastOp::create(b, type, size),
                              createFloat(b, b.getLoc(), type, 0.5));
    Value denormal = arith::SubIOp::create(
        b, arith::BitcastOp::create(b, bits, aligned), constant(0x3f000000));
    // Normal results: change the bias, round to nearest, ties to even.
    Value odd = arith::AndIOp::create(
        b, arith::ShRUIOp::create(b, size, constant(13)), constant(1));
    Value biased = arith::AddIOp::create(b, size, constant(0xfff - 0x38000000));
    Value normal = arith::ShRUIOp::create(
        b, arith::AddIOp::create(b, biased, odd), constant(13));
    Value result = arith::SelectOp::create(
        b, compare(arith::CmpIPredicate::ult, size, 0x38800000), denormal,
        normal);
    Value infinityOrNaN = arith::SelectOp::create(
        b, compare(arith::CmpIPredicate::ugt, size, 0x7f800000),
        constant(0x7e00), constant(0x7c00));
    result = arith::SelectOp::create(
        b, compare(arith::CmpIPredicate::uge, size, 0x477ff000), infinityOrNaN,
        result);
    result = arith::TruncIOp::create(b, withElement(type, b.getI16Type()),
                                     arith::OrIOp::create(b, result, sign));
    rewriter.replaceOpWithNewOp<arith::BitcastOp>(op, op.getType(), result);
    return success();
  }
};
} // namespace

void rondo::cpu::populateExpandF16Patterns(RewritePatternSet &patterns) {
  patterns.add<ExpandExtF16, ExpandTruncF16>(patterns.getContext());
}
