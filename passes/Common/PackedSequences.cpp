//===- PackedSequences.cpp - Several sequences in one batch ---------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Common/PackedSequences.h"
#include "mlir/Conversion/LLVMCommon/MemRefBuilder.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace rondo;

static Value index(ImplicitLocOpBuilder &b, int64_t value) {
  return arith::ConstantIndexOp::create(b, value);
}

static int64_t findSize(DictionaryAttr dict, StringRef name) {
  for (auto [i, size] :
       llvm::enumerate(dict.getAs<ArrayAttr>("sizes").getAsRange<StringAttr>()))
    if (size.getValue() == name)
      return i;
  return -1;
}

Packing Packing::get(DictionaryAttr dict) {
  Packing packing;
  if (auto batch = dict.getAs<ArrayAttr>("batch"))
    for (auto name : batch.getAsRange<StringAttr>())
      packing.batchSizes.push_back(findSize(dict, name.getValue()));
  if (auto time = dict.getAs<StringAttr>("time"))
    packing.timeSize = findSize(dict, time.getValue());
  if (!packing.batchSizes.empty())
    packing.sequenceSize = packing.batchSizes.front();
  return packing;
}

int64_t Packing::findDim(TensorSpecAttr spec, int64_t size) {
  if (size < 0)
    return -1;
  for (auto [dim, expr] : llvm::enumerate(spec.getShape().getResults()))
    if (auto symbol = dyn_cast<AffineSymbolExpr>(expr))
      if (symbol.getPosition() == size)
        return dim;
  return -1;
}

static Value loadBoundary(ImplicitLocOpBuilder &b, Value sequences, Value width,
                          Value position) {
  Value isInt =
      arith::CmpIOp::create(b, arith::CmpIPredicate::eq, width, index(b, 4));
  Value at = arith::IndexCastOp::create(b, b.getI64Type(), position);
  auto load = [&](Type type) -> Value {
    Value address = LLVM::GEPOp::create(b, sequences.getType(), type, sequences,
                                        ArrayRef<LLVM::GEPArg>{at});
    Value value = LLVM::LoadOp::create(b, type, address);
    return arith::IndexCastOp::create(b, b.getIndexType(), value);
  };
  auto choice = scf::IfOp::create(b, TypeRange{b.getIndexType()}, isInt,
                                  /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(choice.thenBlock());
  scf::YieldOp::create(b, load(b.getI32Type()));
  b.setInsertionPointToStart(choice.elseBlock());
  scf::YieldOp::create(b, load(b.getI64Type()));
  return choice.getResult(0);
}

Packing::Part Packing::emitPart(ImplicitLocOpBuilder &b, ValueRange sizes,
                                Value sequences, Value width,
                                Value point) const {
  Value zero = index(b, 0);
  Value isPacked =
      arith::CmpIOp::create(b, arith::CmpIPredicate::ne, width, zero);
  SmallVector<Type> types(4, b.getIndexType());
  auto part = scf::IfOp::create(b, types, isPacked, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  Value time = sizes[timeSize];
  b.setInsertionPointToStart(part.thenBlock());
  Value each = index(b, 1);
  for (int64_t batch : batchSizes)
    each = arith::MulIOp::create(b, each, sizes[batch]);
  Value number = arith::DivUIOp::create(b, point, each);
  Value inside = arith::RemUIOp::create(b, point, each);
  auto clamp = [&](Value value) -> Value {
    value = arith::MaxSIOp::create(b, value, zero);
    return arith::MinSIOp::create(b, value, time);
  };
  Value start = clamp(loadBoundary(b, sequences, width, number));
  Value next = arith::AddIOp::create(b, number, index(b, 1));
  Value stop = clamp(loadBoundary(b, sequences, width, next));
  Value length = arith::SubIOp::create(b, stop, start);
  length = arith::MaxSIOp::create(b, length, zero);
  scf::YieldOp::create(b, ValueRange{number, start, length, inside});
  b.setInsertionPointToStart(part.elseBlock());
  scf::YieldOp::create(b, ValueRange{zero, zero, time, point});
  return {part.getResult(0), part.getResult(1), part.getResult(2),
          part.getResult(3)};
}

/// The same memref further on. By its descriptor: the type tells no offset.
static Value shift(ImplicitLocOpBuilder &b, Value tensor, Value elements) {
  auto type = cast<MemRefType>(tensor.getType());
  LLVMTypeConverter converter(b.getContext());
  Value cast =
      UnrealizedConversionCastOp::create(b, converter.convertType(type), tensor)
          .getResult(0);
  MemRefDescriptor descriptor(cast);
  Value pointer = descriptor.alignedPtr(b, b.getLoc());
  Value amount = arith::IndexCastOp::create(b, b.getI64Type(), elements);
  Value moved = LLVM::GEPOp::create(b, pointer.getType(), type.getElementType(),
                                    pointer, ArrayRef<LLVM::GEPArg>{amount});
  descriptor.setAlignedPtr(b, b.getLoc(), moved);
  return UnrealizedConversionCastOp::create(b, type, Value(descriptor))
      .getResult(0);
}

Value Packing::shiftToPart(ImplicitLocOpBuilder &b, TensorSpecAttr spec,
                           Value tensor, const Part &part) const {
  int64_t time = findDim(spec, timeSize);
  int64_t sequence = findDim(spec, sequenceSize);
  Value steps;
  int64_t dim = -1;
  if (time >= 0 && (sequence >= 0 || sequenceSize < 0))
    steps = part.start, dim = time;
  else if (time < 0 && sequence >= 0)
    steps = part.number, dim = sequence;
  if (dim < 0)
    return tensor;
  auto metadata = memref::ExtractStridedMetadataOp::create(b, tensor);
  Value elements = arith::MulIOp::create(b, steps, metadata.getStrides()[dim]);
  // An absent tensor stays so.
  Value pointer = memref::ExtractAlignedPointerAsIndexOp::create(b, tensor);
  Value given =
      arith::CmpIOp::create(b, arith::CmpIPredicate::ne, pointer, index(b, 0));
  elements = arith::SelectOp::create(b, given, elements, index(b, 0));
  return shift(b, tensor, elements);
}
