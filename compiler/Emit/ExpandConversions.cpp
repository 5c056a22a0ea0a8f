//===- ExpandConversions.cpp - Roundings without an instruction -----------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// LLVM turns these roundings into calls of its run-time library, one element at
// a time, which a library doesn't have:
//
//   f32 to bf16 without AVX512-BF16:
//     ((x + 0x7fff + (x >> 16 & 1)) >> 16), or x >> 16 | 0x40 when x is NaN,
//     on the bits of x: round to nearest, ties to even, a NaN stays quiet
//   f64 to bf16 or f16: by way of f32, which may round a tie the other way
//
//===----------------------------------------------------------------------===//

#include "compiler/Emit/Object.h"

#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/Instructions.h"
#include "llvm/IR/Module.h"

using namespace rondo;

/// The type with the shape of `type` (a scalar or a vector) and this element.
static llvm::Type *withElement(llvm::Type *type, llvm::Type *element) {
  auto *vector = llvm::dyn_cast<llvm::VectorType>(type);
  return vector ? llvm::VectorType::get(element, vector->getElementCount())
                : element;
}

static llvm::Value *roundToBF16(llvm::IRBuilder<> &builder,
                                llvm::Value *value) {
  llvm::Type *bitsType = withElement(value->getType(), builder.getInt32Ty());
  auto constant = [&](uint32_t bits) {
    return llvm::ConstantInt::get(bitsType, bits);
  };
  llvm::Value *bits = builder.CreateBitCast(value, bitsType);
  llvm::Value *upper = builder.CreateLShr(bits, constant(16));
  llvm::Value *odd = builder.CreateAnd(upper, constant(1));
  llvm::Value *bias = builder.CreateAdd(odd, constant(0x7fff));
  llvm::Value *rounded =
      builder.CreateLShr(builder.CreateAdd(bits, bias), constant(16));
  llvm::Value *quiet = builder.CreateOr(upper, constant(0x40));
  llvm::Value *isNaN = builder.CreateFCmpUNO(value, value);
  llvm::Value *result = builder.CreateSelect(isNaN, quiet, rounded);
  result =
      builder.CreateTrunc(result, withElement(bitsType, builder.getInt16Ty()));
  return builder.CreateBitCast(result,
                               withElement(bitsType, builder.getBFloatTy()));
}

void rondo::expandConversions(llvm::Module &module,
                              const TargetDescription &target) {
  llvm::SmallVector<llvm::FPTruncInst *> roundings;
  for (llvm::Function &function : module)
    for (llvm::Instruction &instruction : llvm::instructions(function))
      if (auto *rounding = llvm::dyn_cast<llvm::FPTruncInst>(&instruction))
        roundings.push_back(rounding);
  for (llvm::FPTruncInst *rounding : roundings) {
    llvm::Value *value = rounding->getOperand(0);
    llvm::Type *type = rounding->getType();
    bool fromF64 = value->getType()->getScalarType()->isDoubleTy();
    bool toBF16 = type->getScalarType()->isBFloatTy();
    bool toF16 = type->getScalarType()->isHalfTy();
    if (!(fromF64 && (toBF16 || toF16)) && !(toBF16 && !target.hasBF16))
      continue;
    llvm::IRBuilder<> builder(rounding);
    if (fromF64)
      value =
          builder.CreateFPTrunc(value, withElement(type, builder.getFloatTy()));
    value = toBF16 && !target.hasBF16 ? roundToBF16(builder, value)
                                      : builder.CreateFPTrunc(value, type);
    rounding->replaceAllUsesWith(value);
    rounding->eraseFromParent();
  }
}
