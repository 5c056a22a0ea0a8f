//===- LowerEntry.cpp - Give kernels the C interface of libraries ---------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The function behind the entry keeps one pointer argument per tensor, because
// that is where LLVM can be told what does not alias: results and arguments
// have memory of their own, while the initial and the final value of a state
// may share a buffer.
//
//===----------------------------------------------------------------------===//

#include "mlir/Conversion/LLVMCommon/MemRefBuilder.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Affine/Utils.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "passes/CPU/Passes.h"
#include "passes/Common/Signature.h"
#include "rondo/abi.h"

namespace rondo::cpu {
#define GEN_PASS_DEF_LOWERENTRY
#include "passes/CPU/Passes.h.inc"
} // namespace rondo::cpu

using namespace mlir;
using namespace rondo;
using namespace rondo::cpu;

namespace {

/// A function at the forms level that gets its entry.
class EntryLowering {
public:
  EntryLowering(func::FuncOp func, const Signature &signature)
      : func(func), signature(signature), b(func.getLoc(), func.getContext()),
        converter(func.getContext()),
        pointerType(LLVM::LLVMPointerType::get(func.getContext())) {}

  void run() {
    lowerArguments();
    createBody();
  }
  void createWorkerBytesEntry(func::FuncOp bytes);

private:
  enum Alias { MayAlias, NoAlias };
  Value addPointer(Alias alias, uint64_t alignment = 0);
  Value addIndex();
  Value buildMemRef(MemRefType type, Value pointer, ValueRange sizes,
                    ValueRange strides);
  Value buildTensor(TensorSpecAttr spec, MemRefType type, ValueRange sizes);
  void lowerArguments();
  void createBody();
  Value loadField(Value base, Type type, int64_t position);
  Value loadIndex(Value base, int64_t position);
  SmallVector<Value> loadSizes(Value sizes, unsigned count);

  func::FuncOp func;
  const Signature &signature;
  ImplicitLocOpBuilder b;
  LLVMTypeConverter converter;
  Type pointerType;
};

} // namespace

//===----------------------------------------------------------------------===//
// Arguments of the function
//===----------------------------------------------------------------------===//

Value EntryLowering::addPointer(Alias alias, uint64_t alignment) {
  unsigned position = func.getNumArguments();
  NamedAttrList attrs;
  if (alias == NoAlias)
    attrs.set(LLVM::LLVMDialect::getNoAliasAttrName(), b.getUnitAttr());
  if (alignment)
    attrs.set(LLVM::LLVMDialect::getAlignAttrName(),
              b.getI64IntegerAttr(alignment));
  (void)func.insertArgument(position, pointerType,
                            attrs.getDictionary(b.getContext()), b.getLoc());
  return func.getArgument(position);
}

Value EntryLowering::addIndex() {
  unsigned position = func.getNumArguments();
  (void)func.insertArgument(position, b.getIndexType(), {}, b.getLoc());
  return func.getArgument(position);
}

/// A memref with these sizes and strides; the innermost stride is 1.
Value EntryLowering::buildMemRef(MemRefType type, Value pointer,
                                 ValueRange sizes, ValueRange strides) {
  auto toInteger = [&](Value index) -> Value {
    return arith::IndexCastOp::create(b, b.getI64Type(), index);
  };
  auto descriptor =
      MemRefDescriptor::poison(b, b.getLoc(), converter.convertType(type));
  descriptor.setAllocatedPtr(b, b.getLoc(), pointer);
  descriptor.setAlignedPtr(b, b.getLoc(), pointer);
  descriptor.setConstantOffset(b, b.getLoc(), 0);
  for (auto [i, size] : llvm::enumerate(sizes)) {
    descriptor.setSize(b, b.getLoc(), i, toInteger(size));
    if (i < strides.size())
      descriptor.setStride(b, b.getLoc(), i, toInteger(strides[i]));
    else
      descriptor.setConstantStride(b, b.getLoc(), i, 1);
  }
  return UnrealizedConversionCastOp::create(b, type, Value(descriptor))
      .getResult(0);
}

Value EntryLowering::buildTensor(TensorSpecAttr spec, MemRefType type,
                                 ValueRange sizes) {
  bool isState =
      spec.getRole() == Role::Initial || spec.getRole() == Role::Final;
  Value pointer = addPointer(isState ? MayAlias : NoAlias);
  SmallVector<Value> extents, strides;
  for (AffineExpr expr : spec.getShape().getResults())
    extents.push_back(
        affine::expandAffineExpr(b, b.getLoc(), expr, ValueRange(), sizes));
  for (int64_t i = 0; i + 1 < type.getRank(); ++i)
    strides.push_back(addIndex());
  return buildMemRef(type, pointer, extents, strides);
}

/// Replaces memref arguments by pointers and strides, which are appended and
/// then stand in the order of the frame's tensors.
void EntryLowering::lowerArguments() {
  unsigned numSizes = signature.bounds.size();
  SmallVector<Value> old(func.getArguments().drop_front(numSizes));
  SmallVector<Value> sizes;
  b.setInsertionPointToStart(&func.front());
  for (auto [i, bound] : llvm::enumerate(signature.bounds))
    sizes.push_back(bound < 0 ? Value(func.getArgument(i))
                              : arith::ConstantIndexOp::create(b, bound));
  SmallVector<Value> replacements;
  for (auto [spec, arg] : llvm::zip(signature.tensors, old))
    replacements.push_back(
        buildTensor(spec, cast<MemRefType>(arg.getType()), sizes));
  ArrayRef<Value> rest = ArrayRef(old).drop_front(signature.tensors.size());
  // The workspace's size is not looked at; it is large enough.
  Value unknown =
      arith::ConstantIndexOp::create(b, std::numeric_limits<int64_t>::max());
  Value workspace = addPointer(NoAlias, RONDO_WORKSPACE_ALIGNMENT);
  replacements.push_back(
      buildMemRef(cast<MemRefType>(rest[0].getType()), workspace, unknown, {}));
  replacements.push_back(addIndex());
  replacements.push_back(addIndex());
  Value two = arith::ConstantIndexOp::create(b, 2);
  Value fault = addPointer(NoAlias);
  replacements.push_back(
      buildMemRef(cast<MemRefType>(rest[3].getType()), fault, two, {}));
  if (signature.launches) {
    replacements.push_back(addPointer(MayAlias));
    replacements.push_back(addIndex());
    replacements.push_back(addPointer(MayAlias));
    replacements.push_back(addIndex());
  }
  for (auto [value, replacement] : llvm::zip(old, replacements))
    value.replaceAllUsesWith(replacement);
  llvm::BitVector erased(func.getNumArguments());
  erased.set(numSizes, numSizes + old.size());
  (void)func.eraseArguments(erased);
  func.setPrivate();
}

//===----------------------------------------------------------------------===//
// The entry
//===----------------------------------------------------------------------===//

Value EntryLowering::loadField(Value base, Type type, int64_t position) {
  Value address = LLVM::GEPOp::create(
      b, pointerType, type, base,
      ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(position)});
  return LLVM::LoadOp::create(b, type, address);
}

Value EntryLowering::loadIndex(Value base, int64_t position) {
  return arith::IndexCastOp::create(b, b.getIndexType(),
                                    loadField(base, b.getI64Type(), position));
}

SmallVector<Value> EntryLowering::loadSizes(Value sizes, unsigned count) {
  SmallVector<Value> values;
  for (unsigned i = 0; i < count; ++i)
    values.push_back(loadIndex(sizes, i));
  return values;
}

void EntryLowering::createBody() {
  static_assert(sizeof(rondo_frame) == 11 * 8, "fields are read as 8 bytes");
  b.setInsertionPointAfter(func);
  auto body = func::FuncOp::create(b, (func.getSymName() + "_body").str(),
                                   b.getFunctionType(pointerType, {}));
  // What the library's tables are made from stays with the entry.
  SmallVector<NamedAttribute> moved;
  for (NamedAttribute attr : func->getDiscardableAttrs())
    if (attr.getName().strref().starts_with("rondo."))
      moved.push_back(attr);
  for (NamedAttribute attr : moved) {
    body->setAttr(attr.getName(), attr.getValue());
    func->removeAttr(attr.getName());
  }
  b.setInsertionPointToStart(body.addEntryBlock());
  Value frame = body.getArgument(0);
  auto pointerAt = [&](int64_t offset) {
    return loadField(frame, pointerType, offset / 8);
  };
  Value data = pointerAt(offsetof(rondo_frame, data));
  Value strides = pointerAt(offsetof(rondo_frame, strides));
  SmallVector<Value> args = loadSizes(pointerAt(offsetof(rondo_frame, sizes)),
                                      signature.bounds.size());
  int64_t stride = 0;
  for (auto [i, spec] : llvm::enumerate(signature.tensors)) {
    args.push_back(loadField(data, pointerType, i));
    int64_t rank = spec.getShape().getNumResults();
    for (int64_t dim = 0; dim + 1 < rank; ++dim)
      args.push_back(loadIndex(strides, stride + dim));
    stride += rank;
  }
  args.push_back(pointerAt(offsetof(rondo_frame, workspace)));
  args.push_back(loadIndex(frame, offsetof(rondo_frame, begin) / 8));
  args.push_back(loadIndex(frame, offsetof(rondo_frame, end) / 8));
  args.push_back(pointerAt(offsetof(rondo_frame, fault)));
  if (signature.launches) {
    args.push_back(pointerAt(offsetof(rondo_frame, launcher)));
    args.push_back(loadIndex(frame, offsetof(rondo_frame, slices) / 8));
    args.push_back(pointerAt(offsetof(rondo_frame, sequences)));
    args.push_back(loadIndex(frame, offsetof(rondo_frame, sequence_width) / 8));
  }
  func::CallOp::create(b, func, args);
  func::ReturnOp::create(b);
}

void EntryLowering::createWorkerBytesEntry(func::FuncOp bytes) {
  b.setInsertionPointAfter(bytes);
  auto entry =
      func::FuncOp::create(b, (bytes.getSymName() + "_entry").str(),
                           b.getFunctionType(pointerType, b.getI64Type()));
  b.setInsertionPointToStart(entry.addEntryBlock());
  SmallVector<Value> sizes =
      loadSizes(entry.getArgument(0), signature.bounds.size());
  Value result = func::CallOp::create(b, bytes, sizes).getResult(0);
  result = arith::IndexCastOp::create(b, b.getI64Type(), result);
  func::ReturnOp::create(b, result);
  bytes.setPrivate();
}

namespace {
class LowerEntry : public rondo::cpu::impl::LowerEntryBase<LowerEntry> {
public:
  void runOnOperation() override {
    SmallVector<func::FuncOp> funcs(getOperation().getOps<func::FuncOp>());
    for (func::FuncOp func : funcs) {
      FailureOr<std::optional<Signature>> signature = Signature::get(func);
      if (failed(signature))
        return signalPassFailure();
      if (!*signature || func.isExternal())
        continue;
      EntryLowering lowering(func, **signature);
      lowering.run();
      std::string name = (func.getSymName() + "_worker_bytes").str();
      if (auto bytes = getOperation().lookupSymbol<func::FuncOp>(name))
        lowering.createWorkerBytesEntry(bytes);
    }
  }
};
} // namespace
