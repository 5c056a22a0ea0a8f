//===- Signature.cpp - The attribute that describes a kernel --------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Common/Signature.h"

using namespace mlir;
using namespace rondo;
using namespace rondo;

FailureOr<std::optional<Signature>> Signature::get(func::FuncOp func) {
  auto dict = func->getAttrOfType<DictionaryAttr>("rondo.signature");
  if (!dict)
    return std::optional<Signature>();
  Signature signature;
  auto bounds = dict.getAs<DenseI64ArrayAttr>("bound");
  auto inputs = dict.getAs<ArrayAttr>("inputs");
  auto outputs = dict.getAs<ArrayAttr>("outputs");
  if (!bounds || !inputs || !outputs) {
    func.emitOpError("expects bound, inputs and outputs in its signature");
    return failure();
  }
  signature.bounds.assign(bounds.asArrayRef().begin(),
                          bounds.asArrayRef().end());
  for (ArrayAttr specs : {inputs, outputs})
    for (Attribute attr : specs) {
      auto spec = dyn_cast<TensorSpecAttr>(attr);
      if (!spec) {
        func.emitOpError("expects tensor specs in its signature, found ")
            << attr;
        return failure();
      }
      signature.tensors.push_back(spec);
    }
  signature.launches = func->hasAttr("rondo.launches");
  if (func.getNumArguments() != signature.getNumArguments()) {
    func.emitOpError("expects ") << signature.getNumArguments()
                                 << " arguments to match its signature, found "
                                 << func.getNumArguments();
    return failure();
  }
  for (auto [i, spec] : llvm::enumerate(signature.tensors)) {
    BlockArgument arg = func.getArgument(signature.bounds.size() + i);
    auto type = dyn_cast<MemRefType>(arg.getType());
    if (!type || type.getRank() != int64_t(spec.getShape().getNumResults())) {
      func.emitOpError("expects a memref of rank ")
          << spec.getShape().getNumResults() << " for the tensor '"
          << spec.getName() << "', found " << arg.getType();
      return failure();
    }
  }
  return std::optional<Signature>(std::move(signature));
}
