//===- SequenceOps.cpp - Whole forms of sequence models -------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Verifiers carry the labels of the constraints in SequenceOps.td.
//
//===----------------------------------------------------------------------===//

#include "dialects/Rondo/IR/OpHelpers.h"
#include "dialects/Rondo/IR/RondoOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/OpImplementation.h"

using namespace mlir;
using namespace rondo;

static RankedTensorType getTensorType(Value value) {
  return cast<RankedTensorType>(value.getType());
}

//===----------------------------------------------------------------------===//
// ReduceOp
//===----------------------------------------------------------------------===//

YieldOp ReduceOp::getYield() {
  return cast<YieldOp>(getBlock().getTerminator());
}

LogicalResult ReduceOp::verify() {
  // reduce_c1
  if (getLowers().empty() || getLowers().size() != getUppers().size())
    return emitOpError("expects a lower and an upper bound per reduction dim, "
                       "of which there is at least one");
  // reduce_c2
  Operation *outermost = (*this)->getParentOp();
  while (isa<ReduceOp>(outermost))
    outermost = outermost->getParentOp();
  for (Value bound : getOperands())
    if (outermost->isAncestor(bound.getParentRegion()->getParentOp()))
      return emitOpError() << "expects bounds from outside of the "
                           << outermost->getName() << " around it";
  return success();
}

LogicalResult ReduceOp::verifyRegions() {
  // reduce_c1
  if (failed(verifyIndices(*this, getBlock(), getLowers().size())))
    return failure();
  // reduce_c3
  auto yield = dyn_cast<YieldOp>(getBlock().getTerminator());
  if (!yield || yield.getValues().size() != 1)
    return emitOpError("expects to end in a rondo.yield of one value");
  Type scalar = yield.getValues()[0].getType();
  if (scalar != getType())
    return yield.emitOpError()
           << "gives " << scalar << " for a result of " << getType();
  return verifyCombined(yield, getCombiner(), scalar);
}

void ReduceOp::print(OpAsmPrinter &p) {
  p << ' ' << stringifyCombiner(getCombiner()) << ' ';
  printRanges(p, getBlock().getArguments(), getLowers(), getUppers());
  p.printOptionalAttrDictWithKeyword((*this)->getAttrs(),
                                     {"combiner", "operandSegmentSizes"});
  p << " -> " << getType() << ' ';
  p.printRegion(getBody(), /*printEntryBlockArgs=*/false);
}

ParseResult ReduceOp::parse(OpAsmParser &parser, OperationState &result) {
  SmallVector<OpAsmParser::Argument> indices;
  SmallVector<OpAsmParser::UnresolvedOperand> lowers, uppers;
  auto &properties = result.getOrAddProperties<Properties>();
  properties.combiner = parseOptionalCombiner(parser);
  if (!properties.combiner)
    return parser.emitError(parser.getCurrentLocation(),
                            "expected one of sum, prod, max, min, any, all");
  Type type;
  Type index = parser.getBuilder().getIndexType();
  if (parseRanges(parser, indices, lowers, uppers) ||
      parser.parseOptionalAttrDictWithKeyword(result.attributes) ||
      parser.parseArrow() || parser.parseType(type) ||
      parser.resolveOperands(lowers, index, result.operands) ||
      parser.resolveOperands(uppers, index, result.operands))
    return failure();
  properties.operandSegmentSizes = {static_cast<int32_t>(lowers.size()),
                                    static_cast<int32_t>(uppers.size())};
  result.addTypes(type);
  return parser.parseRegion(*result.addRegion(), indices);
}

//===----------------------------------------------------------------------===//
// ScanOp
//===----------------------------------------------------------------------===//

YieldOp ScanOp::getYield() { return cast<YieldOp>(getBlock().getTerminator()); }

LogicalResult ScanOp::verify() {
  int64_t rank = getSizes().size();
  // scan_c1
  if (getInputs().empty() || getInputs().size() != getNumResults())
    return emitOpError() << "expects as many results as inputs, and at least "
                            "one, found "
                         << getInputs().size() << " inputs and "
                         << getNumResults() << " results";
  for (ValueRange tensors : {ValueRange(getInputs()), ValueRange(getResults())})
    for (Value tensor : tensors)
      if (getTensorType(tensor).getRank() != rank)
        return emitOpError()
               << "expects inputs and results of rank " << rank
               << ", one dim per size, found " << tensor.getType();
  for (Value initial : getInitials())
    if (getTensorType(initial).getRank() != rank - 1)
      return emitOpError() << "expects initial values of rank " << rank - 1
                           << ", found " << initial.getType();
  // scan_c2
  if (!getInitials().empty() && getInitials().size() != getInputs().size())
    return emitOpError() << "expects no initial values or one per input, found "
                         << getInitials().size() << " for "
                         << getInputs().size() << " inputs";
  // scan_c3
  if (getDim() >= getSizes().size())
    return emitOpError() << "expects to run along one of its " << rank
                         << " dims, found " << static_cast<int64_t>(getDim());
  auto kernel = (*this)->getParentOfType<KernelOp>();
  if (kernel && getDim() < kernel.getBatch().size())
    return emitOpError() << "expects not to run along batch dim " << getDim()
                         << " of the kernel";
  return success();
}

LogicalResult ScanOp::verifyRegions() {
  // scan_c4
  unsigned count = getInputs().size();
  auto yield = dyn_cast<YieldOp>(getBlock().getTerminator());
  if (!yield || yield.getValues().size() != count ||
      getBlock().getNumArguments() != 2 * count)
    return emitOpError() << "expects a block of " << 2 * count
                         << " scalars that ends in a rondo.yield of " << count;
  for (unsigned i = 0; i < count; ++i) {
    Type scalar = yield.getValues()[i].getType();
    if (getBlock().getArgument(i).getType() != scalar ||
        getBlock().getArgument(count + i).getType() != scalar)
      return emitOpError() << "expects block arguments " << i << " and "
                           << count + i << " to have the type that is yielded "
                           << "for them, " << scalar;
    SmallVector<Value> tensors = {getInputs()[i], getResult(i)};
    if (!getInitials().empty())
      tensors.push_back(getInitials()[i]);
    for (Value tensor : tensors)
      if (!scalarFits(getTensorType(tensor).getElementType(), scalar))
        return emitOpError()
               << "combines scalars of " << scalar
               << ", which do not fit the elements of " << tensor.getType();
  }
  return success();
}

//===----------------------------------------------------------------------===//
// AttentionOp
//===----------------------------------------------------------------------===//

YieldOp AttentionOp::getScoreYield() {
  return cast<YieldOp>(getScore().front().getTerminator());
}

YieldOp AttentionOp::getValueYield() {
  return cast<YieldOp>(getValue().front().getTerminator());
}

LogicalResult AttentionOp::verify() {
  // attention_c1
  if (getLowers().empty() || getLowers().size() != getUppers().size())
    return emitOpError("expects a lower and an upper bound per range, of which "
                       "there is at least one");
  // attention_c2
  int64_t rank = getSizes().size() + getValueSizes().size();
  if (getResultType().getRank() != rank)
    return emitOpError() << "expects a result of rank " << rank
                         << ", one dim per size and value size, found "
                         << getResultType();
  // attention_c5
  if (getStatistics().empty())
    return success();
  if (getStatistics().size() != 2 || getNormaliser() != Normaliser::Softmax)
    return emitOpError() << "expects no statistics or two of a softmax, found "
                         << getStatistics().size();
  for (Value each : getStatistics()) {
    auto type = cast<RankedTensorType>(each.getType());
    if (type.getRank() != static_cast<int64_t>(getSizes().size()) ||
        type.getElementType() != getResultType().getElementType())
      return emitOpError() << "expects statistics of "
                           << getResultType().getElementType()
                           << " with one dim per size, found " << type;
  }
  return success();
}

LogicalResult AttentionOp::verifyRegions() {
  // attention_c1
  unsigned count = getSizes().size() + getLowers().size();
  if (failed(verifyIndices(*this, getScore().front(), count)) ||
      failed(verifyIndices(*this, getValue().front(),
                           count + getValueSizes().size())))
    return failure();
  // attention_c3
  for (Region *region : {&getScore(), &getValue()}) {
    auto yield = dyn_cast<YieldOp>(region->front().getTerminator());
    if (!yield || yield.getValues().size() != 1)
      return emitOpError("expects both regions to end in a rondo.yield of one "
                         "value");
    Type scalar = yield.getValues()[0].getType();
    if ((!scalar.isF32() && !scalar.isF64()) ||
        scalar != getResultType().getElementType())
      return yield.emitOpError()
             << "gives " << scalar << " for a real tensor " << getResultType();
  }
  // attention_c4
  if (getValueYield().getFilter())
    return getValueYield().emitOpError(
        "has a filter, which belongs to the score");
  return success();
}

//===----------------------------------------------------------------------===//
// ConvolutionOp
//===----------------------------------------------------------------------===//

LogicalResult ConvolutionOp::verify() {
  int64_t rank = getSizes().size();
  // convolution_c1
  for (Value tensor : {getInput(), getResult()})
    if (getTensorType(tensor).getRank() != rank)
      return emitOpError() << "expects input and result of rank " << rank
                           << ", one dim per size, found " << tensor.getType();
  // convolution_c2
  if (getDim() >= getSizes().size())
    return emitOpError() << "expects to run along one of its " << rank
                         << " dims, found " << static_cast<int64_t>(getDim());
  int64_t after = rank - 1 - static_cast<int64_t>(getDim());
  if (isDense() && after != 1)
    return emitOpError() << "is dense and expects one dim after dim "
                         << getDim() << ", found " << after;
  // convolution_c3
  if (getWeights().getType().getRank() != 1 + isDense() + after)
    return emitOpError() << "expects weights of rank " << 1 + isDense() + after
                         << ", found " << getWeights().getType();
  // convolution_c4
  Type scalar = getType().getElementType();
  if (!scalar.isF32() && !scalar.isF64())
    return emitOpError() << "expects a result of f32 or f64, found "
                         << getType();
  for (Value tensor : {getInput(), getWeights()})
    if (!scalarFits(getTensorType(tensor).getElementType(), scalar))
      return emitOpError() << "gives " << scalar << " from "
                           << tensor.getType();
  // convolution_c5
  if (static_cast<int64_t>(getDilation()) <= 0)
    return emitOpError() << "expects a positive dilation, found "
                         << static_cast<int64_t>(getDilation());
  return success();
}

//===----------------------------------------------------------------------===//
// TriangularSolveOp
//===----------------------------------------------------------------------===//

LogicalResult TriangularSolveOp::verify() {
  int64_t rank = getSizes().size();
  // triangular_solve_c1
  for (Value tensor : {getRight(), getResult()})
    if (getTensorType(tensor).getRank() != rank)
      return emitOpError() << "expects right side and result of rank " << rank
                           << ", one dim per size, found " << tensor.getType();
  // triangular_solve_c2
  if (getDim() >= getSizes().size())
    return emitOpError() << "expects to run along one of its " << rank
                         << " dims, found " << static_cast<int64_t>(getDim());
  auto kernel = (*this)->getParentOfType<KernelOp>();
  if (kernel && getDim() < kernel.getBatch().size())
    return emitOpError() << "expects not to run along batch dim " << getDim()
                         << " of the kernel";
  // triangular_solve_c3
  int64_t matrixRank = static_cast<int64_t>(getDim()) + 2;
  if (getTensorType(getMatrix()).getRank() != matrixRank)
    return emitOpError() << "expects a matrix of rank " << matrixRank
                         << ", found " << getMatrix().getType();
  // triangular_solve_c4
  Type scalar = getTensorType(getResult()).getElementType();
  if (!scalar.isF32() && !scalar.isF64())
    return emitOpError() << "expects a result of f32 or f64, found "
                         << getType();
  for (Value tensor : {getMatrix(), getRight()})
    if (!scalarFits(getTensorType(tensor).getElementType(), scalar))
      return emitOpError() << "gives " << scalar << " from "
                           << tensor.getType();
  return success();
}
