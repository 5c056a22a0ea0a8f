//===- ArgsLayout.cpp - The argument struct of a kernel -------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Names and offsets of the fields, and which dims packed sequences cut.
//
//===----------------------------------------------------------------------===//

#include "compiler/Emit/Signature.h"

#include "mlir/IR/AffineExpr.h"
#include "rondo/abi.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/MathExtras.h"

using namespace rondo;
using llvm::createStringError;

/// Words that can't name a field in C99 or C++20, or are macros of common
/// compilers and standard headers.
static bool isReservedWord(llvm::StringRef word) {
  static const llvm::StringSet<> words{"alignas",
                                       "alignof",
                                       "and",
                                       "and_eq",
                                       "asm",
                                       "auto",
                                       "bitand",
                                       "bitor",
                                       "bool",
                                       "break",
                                       "case",
                                       "catch",
                                       "char",
                                       "char16_t",
                                       "char32_t",
                                       "char8_t",
                                       "class",
                                       "co_await",
                                       "co_return",
                                       "co_yield",
                                       "compl",
                                       "concept",
                                       "const",
                                       "const_cast",
                                       "consteval",
                                       "constexpr",
                                       "constinit",
                                       "continue",
                                       "decltype",
                                       "default",
                                       "delete",
                                       "do",
                                       "double",
                                       "dynamic_cast",
                                       "else",
                                       "enum",
                                       "errno",
                                       "explicit",
                                       "export",
                                       "extern",
                                       "false",
                                       "float",
                                       "for",
                                       "friend",
                                       "goto",
                                       "if",
                                       "inline",
                                       "int",
                                       "linux",
                                       "long",
                                       "mutable",
                                       "namespace",
                                       "new",
                                       "noexcept",
                                       "not",
                                       "not_eq",
                                       "nullptr",
                                       "operator",
                                       "or",
                                       "or_eq",
                                       "private",
                                       "protected",
                                       "public",
                                       "register",
                                       "reinterpret_cast",
                                       "requires",
                                       "restrict",
                                       "return",
                                       "short",
                                       "signed",
                                       "sizeof",
                                       "static",
                                       "static_assert",
                                       "static_cast",
                                       "struct",
                                       "switch",
                                       "template",
                                       "this",
                                       "thread_local",
                                       "throw",
                                       "true",
                                       "try",
                                       "typedef",
                                       "typeid",
                                       "typename",
                                       "typeof",
                                       "union",
                                       "unix",
                                       "unsigned",
                                       "using",
                                       "virtual",
                                       "void",
                                       "volatile",
                                       "wchar_t",
                                       "while",
                                       "xor",
                                       "xor_eq",
                                       "EOF",
                                       "NULL"};
  return words.contains(word);
}

/// The name as a field: `.` becomes `_`, and a word that C or C++ keeps for
/// itself, or a field that is already there, gets `_` appended.
static std::string getFieldName(llvm::StringRef name, llvm::StringSet<> &taken,
                                bool withStrides) {
  std::string field = name.str();
  for (char &c : field)
    if (c == '.')
      c = '_';
  while (isReservedWord(field) || taken.contains(field) ||
         (withStrides && taken.contains(field + "_strides")))
    field += '_';
  taken.insert(field);
  if (withStrides)
    taken.insert(field + "_strides");
  return field;
}

static int64_t getDtypeSize(int32_t dtype) {
  switch (dtype) {
  case RONDO_F16:
  case RONDO_BF16:
    return 2;
  case RONDO_F32:
  case RONDO_I32:
    return 4;
  case RONDO_BOOL:
    return 1;
  default:
    return 8;
  }
}

/// Gives every field its offset, as a C compiler for x86-64 does.
static void layOutArgs(KernelSignature &kernel) {
  llvm::StringSet<> taken;
  taken.insert("packed");
  int64_t offset = 0;
  auto place = [&](int64_t size) {
    int64_t at = llvm::alignTo(offset, std::min<int64_t>(size, 8));
    offset = at + size;
    return at;
  };
  for (SizeSignature &size : kernel.sizes) {
    size.fieldName = getFieldName(size.name, taken, false);
    place(sizeof(int64_t));
  }
  for (TensorSignature &tensor : kernel.tensors) {
    bool withStrides = tensor.getRank() > 0;
    tensor.fieldName = getFieldName(tensor.name, taken, withStrides);
    tensor.valueOffset =
        place(tensor.isValue() ? getDtypeSize(tensor.dtype) : sizeof(void *));
    tensor.stridesOffset = withStrides ? place(sizeof(void *)) : -1;
  }
  kernel.packedOffset = -1;
  if (kernel.timeSize >= 0) {
    kernel.packedOffset = llvm::alignTo(offset, alignof(rondo_packed));
    offset = kernel.packedOffset + sizeof(rondo_packed);
  }
  kernel.argsSize = llvm::alignTo(offset, 8);
}

static bool isSymbol(mlir::AffineExpr expr, int32_t position) {
  auto symbol = mlir::dyn_cast<mlir::AffineSymbolExpr>(expr);
  return symbol && position >= 0 && symbol.getPosition() == (unsigned)position;
}

/// Position of the size among the dims of a shape, -1 if it is not there, -2
/// if it is there twice or as a part of an expression.
static int32_t findDim(mlir::AffineMap shape, int32_t size) {
  int32_t found = -1;
  for (auto [dim, expr] : llvm::enumerate(shape.getResults())) {
    if (size < 0 || !expr.isFunctionOfSymbol(size))
      continue;
    if (!isSymbol(expr, size) || found >= 0)
      return -2;
    found = dim;
  }
  return found;
}

/// Packed sequences replace the time dim and the first batch dim, so both have
/// to be whole dims wherever they are used, with run-time sizes.
static void findPackedDims(KernelSignature &kernel) {
  kernel.sequenceSize = kernel.batch.empty() ? -1 : kernel.batch.front();
  for (int32_t size : {kernel.timeSize, kernel.sequenceSize}) {
    if (size >= 0 && kernel.sizes[size].bound >= 0)
      kernel.timeSize = -1;
    for (const TensorSignature &tensor : kernel.tensors)
      if (findDim(tensor.shape, size) == -2)
        kernel.timeSize = -1;
  }
  // What all sequences add to can't be computed one by one.
  if (kernel.entry == "backward")
    for (const TensorSignature &tensor : kernel.tensors)
      if (!tensor.isReadOnly() && findDim(tensor.shape, kernel.timeSize) < 0 &&
          findDim(tensor.shape, kernel.sequenceSize) < 0)
        kernel.timeSize = -1;
  if (kernel.timeSize < 0 || llvm::is_contained(kernel.batch, kernel.timeSize))
    kernel.timeSize = kernel.sequenceSize = -1;
  for (TensorSignature &tensor : kernel.tensors) {
    tensor.timeDim = findDim(tensor.shape, kernel.timeSize);
    tensor.sequenceDim = findDim(tensor.shape, kernel.sequenceSize);
  }
}

static void findPartners(KernelSignature &kernel) {
  for (auto [i, tensor] : llvm::enumerate(kernel.tensors)) {
    tensor.partner = -1;
    llvm::StringRef stem = tensor.name;
    if (!tensor.isOptional() ||
        !(stem.consume_back(".initial") || stem.consume_back(".final")))
      continue;
    for (auto [j, other] : llvm::enumerate(kernel.tensors)) {
      llvm::StringRef otherStem = other.name;
      if (i != j && other.isOptional() && other.role != tensor.role &&
          (otherStem.consume_back(".initial") ||
           otherStem.consume_back(".final")) &&
          stem == otherStem)
        tensor.partner = j;
    }
  }
}

llvm::Error KernelSignature::complete() {
  if (sizes.size() > RONDO_MAX_SIZES || tensors.size() > RONDO_MAX_TENSORS)
    return createStringError(
        "kernel '" + name + "' has " + llvm::Twine(sizes.size()) +
        " sizes and " + llvm::Twine(tensors.size()) +
        " tensors; a library takes up to " + llvm::Twine(RONDO_MAX_SIZES) +
        " and " + llvm::Twine(RONDO_MAX_TENSORS));
  for (TensorSignature &tensor : tensors) {
    if (tensor.getRank() > RONDO_MAX_RANK)
      return createStringError("kernel '" + name + "': tensor '" + tensor.name +
                               "' has " + llvm::Twine(tensor.getRank()) +
                               " dims; a library takes up to " +
                               llvm::Twine(RONDO_MAX_RANK));
    tensor.shapeText = "[";
    for (auto [i, expr] : llvm::enumerate(tensor.shape.getResults()))
      tensor.shapeText += (i ? ", " : "") + printSizeExpr(expr, sizes);
    tensor.shapeText += "]";
  }
  findPackedDims(*this);
  layOutArgs(*this);
  findPartners(*this);
  return llvm::Error::success();
}
