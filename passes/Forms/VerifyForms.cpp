//===- VerifyForms.cpp - Check what the forms promise ---------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/Rondo/IR/RondoOps.h"
#include "passes/Forms/Passes.h"

using namespace mlir;
using namespace rondo;

namespace rondo {
#define GEN_PASS_DEF_VERIFYFORMS
#include "passes/Forms/Passes.h.inc"
} // namespace rondo

namespace {

/// Element type in memory of a tensor of the signature.
bool hasMemoryType(Type element, Type inMemory) {
  if (element.isInteger(1))
    return inMemory.isInteger(8);
  return element == inMemory;
}

LogicalResult verifyTensor(func::FuncOp func, unsigned argument,
                           TensorSpecAttr spec) {
  auto type = dyn_cast<MemRefType>(func.getArgumentTypes()[argument]);
  SmallVector<int64_t> strides;
  int64_t offset = 0;
  unsigned rank = spec.getShape().getNumResults();
  if (type && type.getRank() == int64_t(rank) &&
      hasMemoryType(spec.getElementType(), type.getElementType()) &&
      type.getNumDynamicDims() == rank &&
      succeeded(type.getStridesAndOffset(strides, offset)) && offset == 0 &&
      (rank == 0 || strides.back() == 1))
    return success();
  return func.emitOpError()
         << "expects argument " << argument << ", '" << spec.getName()
         << "', to be a memref of rank " << rank << " of "
         << spec.getElementType()
         << " with dynamic sizes, no offset and innermost stride 1, found "
         << func.getArgumentTypes()[argument];
}

LogicalResult verifySignature(func::FuncOp func, DictionaryAttr signature,
                              ModuleOp module) {
  auto sizes = signature.getAs<ArrayAttr>("sizes");
  auto inputs = signature.getAs<ArrayAttr>("inputs");
  auto outputs = signature.getAs<ArrayAttr>("outputs");
  if (!sizes || !inputs || !outputs ||
      !func->getAttrOfType<ArrayAttr>("rondo.faults") ||
      !func->getAttrOfType<StringAttr>("rondo.form"))
    return func.emitOpError("expects sizes, inputs and outputs in "
                            "rondo.signature, rondo.faults and rondo.form");
  unsigned next = sizes.size();
  unsigned expected = next + inputs.size() + outputs.size() + 4;
  ArrayRef<Type> types = func.getArgumentTypes();
  // What launching kernels needs stands behind the rest.
  if (func->hasAttr("rondo.launches"))
    types = types.drop_back(std::min<size_t>(types.size(), 4));
  if (types.size() != expected || func.getNumResults() != 0)
    return func.emitOpError()
           << "expects " << expected << " arguments and no result";
  for (ArrayAttr list : {inputs, outputs})
    for (auto spec : list.getAsRange<TensorSpecAttr>())
      if (failed(verifyTensor(func, next++, spec)))
        return failure();
  Builder b(func.getContext());
  Type tail[] = {MemRefType::get({ShapedType::kDynamic}, b.getI8Type()),
                 b.getIndexType(), b.getIndexType(),
                 MemRefType::get({2}, b.getI64Type())};
  if (!llvm::all_of(types.take_front(sizes.size()),
                    [](Type type) { return type.isIndex(); }) ||
      types.take_back(4) != ArrayRef(tail))
    return func.emitOpError("expects sizes of type index first, and last the "
                            "workspace, the range of batch points and the "
                            "fault");
  std::string name = (func.getSymName() + "_worker_bytes").str();
  auto bytes = module.lookupSymbol<func::FuncOp>(name);
  SmallVector<Type> indices(sizes.size(), b.getIndexType());
  if (!bytes ||
      bytes.getFunctionType() != b.getFunctionType(indices, b.getIndexType()))
    return func.emitOpError()
           << "expects a function '" << name << "' from sizes to bytes";
  return success();
}

LogicalResult verifyOp(Operation *op) {
  if (isa<RondoDialect>(op->getDialect()) &&
      !isa<ModOp, SigmoidOp, SoftplusOp>(op))
    return op->emitOpError("is not allowed after the forms");
  auto isTensor = [](Type type) { return isa<TensorType>(type); };
  if (llvm::any_of(op->getOperandTypes(), isTensor) ||
      llvm::any_of(op->getResultTypes(), isTensor))
    return op->emitOpError("works on tensors, which the forms do not leave");
  if (isa<memref::MemRefDialect>(op->getDialect()) &&
      !isa<memref::SubViewOp, memref::LoadOp, memref::StoreOp,
           memref::PrefetchOp, memref::ViewOp, memref::DimOp, memref::CastOp, memref::CollapseShapeOp,
           memref::ReinterpretCastOp, memref::ExtractAlignedPointerAsIndexOp,
           memref::ExtractStridedMetadataOp>(
          op))
    return op->emitOpError("is not among the operations on memory that the "
                           "forms leave");
  if (isa<linalg::LinalgDialect>(op->getDialect()) &&
      !isa<linalg::GenericOp, linalg::FillOp, linalg::CopyOp, linalg::YieldOp,
           linalg::IndexOp>(op))
    return op->emitOpError("is not among the linalg operations that the forms "
                           "leave");
  return success();
}

class VerifyForms : public rondo::impl::VerifyFormsBase<VerifyForms> {
public:
  using VerifyFormsBase::VerifyFormsBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    WalkResult result = module.walk<WalkOrder::PreOrder>([&](Operation *op) {
      if (failed(verifyOp(op)))
        return WalkResult::interrupt();
      auto func = dyn_cast<func::FuncOp>(op);
      auto signature =
          func ? func->getAttrOfType<DictionaryAttr>("rondo.signature")
               : DictionaryAttr();
      if (signature && failed(verifySignature(func, signature, module)))
        return WalkResult::interrupt();
      return WalkResult::advance();
    });
    if (result.wasInterrupted())
      return signalPassFailure();
    markAllAnalysesPreserved();
  }
};

} // namespace
