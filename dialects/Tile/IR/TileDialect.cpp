//===- TileDialect.cpp - The tile dialect and its types -------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/Tile/IR/TileDialect.h"
#include "dialects/Tile/IR/TileOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace rondo::tile;

#include "dialects/Tile/IR/TileDialect.cpp.inc"
#include "dialects/Tile/IR/TileEnums.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/Tile/IR/TileTypes.cpp.inc"

void TileDialect::initialize() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/Tile/IR/TileTypes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/Tile/IR/TileOps.cpp.inc"
      >();
}

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

/// `64x128xbf16` with `rank` dims.
static ParseResult parseShape(AsmParser &parser, size_t rank,
                              SmallVectorImpl<int64_t> &shape, Type &element) {
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseDimensionList(shape, /*allowDynamic=*/false) ||
      parser.parseType(element))
    return failure();
  if (shape.size() != rank)
    return parser.emitError(loc) << "expected " << rank << " dims";
  return success();
}

static LogicalResult
verifyShape(function_ref<InFlightDiagnostic()> emitError,
            ArrayRef<int64_t> shape, Type element) {
  if (llvm::any_of(shape, [](int64_t extent) { return extent <= 0; }))
    return emitError() << "dims must be positive";
  if (!element.isF32() && !element.isBF16() && !element.isF16())
    return emitError() << "elements must be f32, bf16 or f16, not " << element;
  return success();
}

Type TileType::parse(AsmParser &parser) {
  SmallVector<int64_t> shape;
  Type element;
  Layout layout = Layout::Any;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseLess() || parseShape(parser, 2, shape, element))
    return {};
  if (succeeded(parser.parseOptionalComma())) {
    StringRef keyword;
    SMLoc at = parser.getCurrentLocation();
    if (parser.parseKeyword(&keyword))
      return {};
    std::optional<Layout> known = symbolizeLayout(keyword);
    if (!known) {
      parser.emitError(at) << "unknown layout '" << keyword << "'";
      return {};
    }
    layout = *known;
  }
  if (parser.parseGreater())
    return {};
  return getChecked([&] { return parser.emitError(loc); },
                    parser.getContext(), shape[0], shape[1], element, layout);
}

void TileType::print(AsmPrinter &printer) const {
  printer << '<' << getRows() << 'x' << getColumns() << 'x'
          << getElementType();
  if (getLayout() != Layout::Any)
    printer << ", " << stringifyLayout(getLayout());
  printer << '>';
}

LogicalResult TileType::verify(function_ref<InFlightDiagnostic()> emitError,
                               int64_t rows, int64_t columns, Type element,
                               Layout layout) {
  if (failed(verifyShape(emitError, {rows, columns}, element)))
    return failure();
  bool scalar = rows == 1 && columns == 1;
  bool vector = !scalar && (rows == 1 || columns == 1);
  if (layout == Layout::Uniform && !scalar)
    return emitError() << "layout 'uniform' is for scalars";
  if (layout == Layout::Lanes && !vector)
    return emitError() << "layout 'lanes' is for vectors";
  if (layout == Layout::Slice && (columns != 1 || rows % 16))
    return emitError() << "layout 'slice' is for columns of multiples of 16";
  if ((layout == Layout::Accumulator || layout == Layout::Operand ||
       layout == Layout::Shared) &&
      (rows % 16 || columns % 16))
    return emitError() << "layout '" << stringifyLayout(layout)
                       << "' needs dims that are multiples of 16";
  return success();
}

Type BufferType::parse(AsmParser &parser) {
  SmallVector<int64_t> shape;
  Type element;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseLess() || parseShape(parser, 3, shape, element) ||
      parser.parseGreater())
    return {};
  return getChecked([&] { return parser.emitError(loc); },
                    parser.getContext(), shape[0], shape[1], shape[2], element);
}

void BufferType::print(AsmPrinter &printer) const {
  printer << '<' << getStages() << 'x' << getRows() << 'x' << getColumns()
          << 'x' << getElementType() << '>';
}

LogicalResult BufferType::verify(function_ref<InFlightDiagnostic()> emitError,
                                 int64_t stages, int64_t rows, int64_t columns,
                                 Type element) {
  if (failed(verifyShape(emitError, {stages, rows, columns}, element)))
    return failure();
  if (rows == 1 || columns == 1) {
    if (!element.isF32())
      return emitError() << "vectors must be of f32";
    return success();
  }
  if (rows % 16 || columns % 16)
    return emitError() << "rows and columns must be multiples of 16";
  return success();
}

LogicalResult RingType::verify(function_ref<InFlightDiagnostic()> emitError,
                               int64_t places) {
  if (places < 1)
    return emitError() << "a ring has one place at least";
  return success();
}
