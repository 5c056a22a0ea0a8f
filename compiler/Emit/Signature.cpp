//===- Signature.cpp - What a caller sees of a kernel ---------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/Emit/Signature.h"

#include "dialects/Rondo/IR/RondoOps.h"
#include "mlir/IR/AffineExpr.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinOps.h"
#include "rondo/abi.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/raw_ostream.h"

using namespace rondo;
using llvm::createStringError;

bool TensorSignature::isReadOnly() const {
  return role == RONDO_ROLE_ARGUMENT || role == RONDO_ROLE_INITIAL;
}

bool TensorSignature::isOptional() const {
  return role == RONDO_ROLE_INITIAL || role == RONDO_ROLE_FINAL;
}

bool TensorSignature::isValue() const {
  return role == RONDO_ROLE_ARGUMENT && getRank() == 0;
}

//===----------------------------------------------------------------------===//
// Size expressions as text
//===----------------------------------------------------------------------===//

namespace {
enum Precedence { Sum = 0, Product = 1, Atom = 2 };
} // namespace

static void print(llvm::raw_ostream &os, mlir::AffineExpr expr,
                  llvm::ArrayRef<SizeSignature> sizes, Precedence context);

static void printBinary(llvm::raw_ostream &os, mlir::AffineBinaryOpExpr expr,
                        llvm::ArrayRef<SizeSignature> sizes) {
  mlir::AffineExpr lhs = expr.getLHS(), rhs = expr.getRHS();
  switch (expr.getKind()) {
  case mlir::AffineExprKind::Add: {
    print(os, lhs, sizes, Sum);
    // a - b is a + b * -1 in an affine expression, a - 1 is a + -1.
    auto constant = mlir::dyn_cast<mlir::AffineConstantExpr>(rhs);
    if (constant && constant.getValue() < 0) {
      os << " - " << -constant.getValue();
      return;
    }
    auto product = mlir::dyn_cast<mlir::AffineBinaryOpExpr>(rhs);
    if (product && product.getKind() == mlir::AffineExprKind::Mul)
      if (auto factor =
              mlir::dyn_cast<mlir::AffineConstantExpr>(product.getRHS()))
        if (factor.getValue() == -1) {
          os << " - ";
          return print(os, product.getLHS(), sizes, Product);
        }
    os << " + ";
    return print(os, rhs, sizes, Sum);
  }
  case mlir::AffineExprKind::Mul:
    if (mlir::isa<mlir::AffineConstantExpr>(rhs))
      std::swap(lhs, rhs);
    print(os, lhs, sizes, Product);
    os << '*';
    return print(os, rhs, sizes, Product);
  case mlir::AffineExprKind::FloorDiv:
    print(os, lhs, sizes, Product);
    os << '/';
    return print(os, rhs, sizes, Atom);
  default:
    print(os, lhs, sizes, Atom);
    os << (expr.getKind() == mlir::AffineExprKind::Mod ? " mod " : " ceildiv ");
    return print(os, rhs, sizes, Atom);
  }
}

static void print(llvm::raw_ostream &os, mlir::AffineExpr expr,
                  llvm::ArrayRef<SizeSignature> sizes, Precedence context) {
  if (auto constant = mlir::dyn_cast<mlir::AffineConstantExpr>(expr)) {
    os << constant.getValue();
    return;
  }
  if (auto symbol = mlir::dyn_cast<mlir::AffineSymbolExpr>(expr)) {
    os << sizes[symbol.getPosition()].name;
    return;
  }
  auto binary = mlir::dyn_cast<mlir::AffineBinaryOpExpr>(expr);
  if (!binary) {
    os << '?';
    return;
  }
  Precedence own = binary.getKind() == mlir::AffineExprKind::Add   ? Sum
                   : binary.getKind() == mlir::AffineExprKind::Mod ? Sum
                                                                   : Product;
  if (own < context)
    os << '(';
  printBinary(os, binary, sizes);
  if (own < context)
    os << ')';
}

std::string rondo::printSizeExpr(mlir::AffineExpr expr,
                                 llvm::ArrayRef<SizeSignature> sizes) {
  std::string text;
  llvm::raw_string_ostream os(text);
  print(os, expr, sizes, Sum);
  return text;
}

//===----------------------------------------------------------------------===//
// From attributes
//===----------------------------------------------------------------------===//

static int32_t getDtype(mlir::Type type) {
  if (type.isF16())
    return RONDO_F16;
  if (type.isBF16())
    return RONDO_BF16;
  if (type.isF32())
    return RONDO_F32;
  if (type.isF64())
    return RONDO_F64;
  if (type.isInteger(32))
    return RONDO_I32;
  if (type.isInteger(64))
    return RONDO_I64;
  if (type.isInteger(1) || type.isInteger(8))
    return RONDO_BOOL;
  return RONDO_DTYPE_NONE;
}

static bool isReal(int32_t dtype) {
  return dtype >= RONDO_F16 && dtype <= RONDO_F64;
}

static std::string getString(mlir::DictionaryAttr dict, llvm::StringRef key) {
  auto attr = dict.getAs<mlir::StringAttr>(key);
  return attr ? attr.getValue().str() : std::string();
}

static int32_t findSize(const KernelSignature &kernel, llvm::StringRef name) {
  for (auto [i, size] : llvm::enumerate(kernel.sizes))
    if (size.name == name)
      return i;
  return -1;
}

static llvm::Error readSizes(KernelSignature &kernel,
                             mlir::DictionaryAttr dict) {
  auto sizes = dict.getAs<mlir::ArrayAttr>("sizes");
  auto bound = dict.getAs<mlir::DenseI64ArrayAttr>("bound");
  auto batch = dict.getAs<mlir::ArrayAttr>("batch");
  if (!sizes || !bound || !batch || (int64_t)sizes.size() != bound.size())
    return createStringError("kernel '" + kernel.name +
                             "': its signature lacks sizes, bound or batch");
  for (auto [name, value] :
       llvm::zip(sizes.getAsValueRange<mlir::StringAttr>(), bound.asArrayRef()))
    kernel.sizes.push_back({name.str(), value, ""});
  for (llvm::StringRef name : batch.getAsValueRange<mlir::StringAttr>()) {
    kernel.batch.push_back(findSize(kernel, name));
    if (kernel.batch.back() < 0)
      return createStringError("kernel '" + kernel.name + "': batch dim '" +
                               name + "' is not one of its sizes");
  }
  if (auto time = dict.getAs<mlir::StringAttr>("time"))
    kernel.timeSize = findSize(kernel, time.getValue());
  return llvm::Error::success();
}

static llvm::Error readTensors(KernelSignature &kernel, mlir::ArrayAttr specs) {
  if (!specs)
    return createStringError("kernel '" + kernel.name +
                             "': its signature lacks inputs or outputs");
  for (mlir::Attribute attr : specs) {
    auto spec = mlir::dyn_cast<TensorSpecAttr>(attr);
    if (!spec || spec.getShape().getNumSymbols() != kernel.sizes.size() ||
        spec.getShape().getNumDims() != 0)
      return createStringError("kernel '" + kernel.name +
                               "': its signature holds a malformed tensor");
    TensorSignature tensor;
    tensor.name = spec.getName().str();
    tensor.dtype = getDtype(spec.getElementType());
    tensor.shape = spec.getShape();
    switch (spec.getRole()) {
    case Role::Argument:
      tensor.role = RONDO_ROLE_ARGUMENT;
      break;
    case Role::Initial:
      tensor.role = RONDO_ROLE_INITIAL;
      break;
    case Role::Result:
      tensor.role = RONDO_ROLE_RESULT;
      break;
    case Role::Final:
      tensor.role = RONDO_ROLE_FINAL;
      break;
    }
    if (tensor.dtype == RONDO_DTYPE_NONE)
      return createStringError("kernel '" + kernel.name + "': tensor '" +
                               tensor.name +
                               "' has an element type that can't cross the "
                               "border of a library");
    kernel.tensors.push_back(std::move(tensor));
  }
  return llvm::Error::success();
}

static void readFaults(KernelSignature &kernel, mlir::ArrayAttr faults) {
  if (!faults)
    return;
  for (mlir::Attribute attr : faults) {
    FaultSignature fault;
    if (auto name = mlir::dyn_cast<mlir::StringAttr>(attr)) {
      fault.tensor = fault.text = name.getValue().str();
    } else if (auto dict = mlir::dyn_cast<mlir::DictionaryAttr>(attr)) {
      fault.text = getString(dict, "text");
      fault.tensor = getString(dict, "tensor");
      fault.location = getString(dict, "location");
      if (auto dim = dict.getAs<mlir::IntegerAttr>("dim"))
        fault.dim = dim.getInt();
      if (auto extent = dict.getAs<mlir::AffineMapAttr>("extent"))
        if (extent.getValue().getNumResults() == 1)
          fault.extent = extent.getValue().getResult(0);
    }
    kernel.faults.push_back(std::move(fault));
  }
}

static void readDtypes(KernelSignature &kernel, mlir::DictionaryAttr dict) {
  if (auto type = dict.getAs<mlir::TypeAttr>("io_dtype"))
    kernel.ioDtype = getDtype(type.getValue());
  if (auto type = dict.getAs<mlir::TypeAttr>("accumulation_dtype"))
    kernel.accumulationDtype = getDtype(type.getValue());
  bool hasF64 = false;
  for (const TensorSignature &tensor : kernel.tensors) {
    hasF64 |= tensor.dtype == RONDO_F64;
    if (kernel.ioDtype == RONDO_DTYPE_NONE && isReal(tensor.dtype))
      kernel.ioDtype = tensor.dtype;
  }
  if (kernel.accumulationDtype == RONDO_DTYPE_NONE)
    kernel.accumulationDtype = hasF64 ? RONDO_F64 : RONDO_F32;
}

/// "gla.rondo:2:1", without the folders: a library must not tell where it was
/// built.
static std::string printLocation(mlir::Location location) {
  auto file = location->findInstanceOf<mlir::FileLineColLoc>();
  if (!file)
    return "";
  llvm::StringRef name = file.getFilename().getValue();
  return (name.substr(name.rfind('/') + 1) + ":" + llvm::Twine(file.getLine()) +
          ":" + llvm::Twine(file.getColumn()))
      .str();
}

llvm::Expected<KernelSignature> KernelSignature::get(mlir::Operation *op) {
  KernelSignature kernel;
  if (auto name = op->getAttrOfType<mlir::StringAttr>("sym_name"))
    kernel.name = name.getValue().str();
  auto dict = op->getAttrOfType<mlir::DictionaryAttr>("rondo.signature");
  if (!dict) {
    if (!mlir::isa<KernelOp>(op))
      return createStringError("'" + kernel.name +
                               "' has no attribute rondo.signature");
    // Properties and discardable attributes together, under the same names.
    dict = op->getAttrDictionary();
  }
  if (llvm::Error error = readSizes(kernel, dict))
    return error;
  for (llvm::StringRef key : {"inputs", "outputs"})
    if (llvm::Error error =
            readTensors(kernel, dict.getAs<mlir::ArrayAttr>(key)))
      return error;
  readFaults(kernel, op->getAttrOfType<mlir::ArrayAttr>("rondo.faults"));
  readDtypes(kernel, dict);
  if (auto workspace = op->getAttrOfType<mlir::StringAttr>("rondo.workspace");
      workspace && workspace.getValue() == "whole")
    kernel.flags |= RONDO_KERNEL_WHOLE_WORKSPACE;
  if (op->hasAttr("rondo.independent"))
    kernel.flags |= RONDO_KERNEL_INDEPENDENT_STEPS;
  if (auto channels =
          op->getAttrOfType<mlir::DenseI64ArrayAttr>("rondo.channels");
      channels && channels.size() == 2) {
    kernel.channels = channels[0];
    kernel.channelBlock = channels[1];
  }
  if (op->hasAttr("rondo.rows"))
    kernel.flags |= RONDO_KERNEL_ROWS;
  if (auto form = op->getAttrOfType<mlir::StringAttr>("rondo.form"))
    kernel.form = form.getValue().str();
  kernel.kernel = kernel.name;
  if (std::string entry = getString(dict, "entry"); !entry.empty()) {
    kernel.entry = entry;
    kernel.kernel = getString(dict, "kernel");
  }
  kernel.text = getString(dict, "text");
  kernel.description = getString(dict, "description");
  kernel.source = getString(dict, "source");
  if (kernel.source.empty())
    kernel.source = printLocation(op->getLoc());
  if (llvm::Error error = kernel.complete())
    return error;
  return kernel;
}

llvm::Expected<llvm::SmallVector<KernelSignature, 1>>
rondo::getKernelSignatures(mlir::ModuleOp module) {
  llvm::SmallVector<KernelSignature, 1> kernels;
  for (mlir::Operation &op : module.getOps()) {
    if (!mlir::isa<KernelOp>(op) && !op.hasAttr("rondo.signature"))
      continue;
    llvm::Expected<KernelSignature> kernel = KernelSignature::get(&op);
    if (!kernel)
      return kernel.takeError();
    kernels.push_back(std::move(*kernel));
  }
  return kernels;
}
