//===- RondoOps.cpp - Operations of the rondo dialect ---------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Verifiers carry the labels of the constraints in RondoOps.td.
//
//===----------------------------------------------------------------------===//

#include "dialects/Rondo/IR/RondoOps.h"
#include "dialects/Rondo/IR/OpHelpers.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/OpImplementation.h"

using namespace mlir;
using namespace rondo;

//===----------------------------------------------------------------------===//
// Helpers
//===----------------------------------------------------------------------===//

bool rondo::scalarFits(Type element, Type scalar) {
  if (element.isInteger(1))
    return scalar.isInteger(1);
  if (element.isIntOrIndex())
    return scalar.isIndex();
  if (isa<FloatType>(element))
    return scalar.isF64() || (scalar.isF32() && !element.isF64());
  return false;
}

LogicalResult rondo::verifyCombined(YieldOp yield, Combiner combiner,
                                    Type scalar) {
  bool logical = combiner == Combiner::Any || combiner == Combiner::All;
  if (logical == scalar.isInteger(1))
    return success();
  return yield.emitOpError()
         << "gives " << scalar << " to a reduction by "
         << stringifyCombiner(combiner) << ", which expects "
         << (logical ? "conditions" : "numbers");
}

LogicalResult rondo::verifyIndices(Operation *op, Block &block,
                                   unsigned count) {
  if (block.getNumArguments() == count &&
      llvm::all_of(block.getArgumentTypes(),
                   [](Type type) { return type.isIndex(); }))
    return success();
  return op->emitOpError() << "expects " << count
                           << " block arguments of type index";
}

ParseResult
rondo::parseRanges(OpAsmParser &parser,
                   SmallVectorImpl<OpAsmParser::Argument> &indices,
                   SmallVectorImpl<OpAsmParser::UnresolvedOperand> &lowers,
                   SmallVectorImpl<OpAsmParser::UnresolvedOperand> &uppers) {
  auto parseRange = [&]() -> ParseResult {
    OpAsmParser::Argument &index = indices.emplace_back();
    index.type = parser.getBuilder().getIndexType();
    return failure(parser.parseArgument(index) || parser.parseEqual() ||
                   parser.parseOperand(lowers.emplace_back()) ||
                   parser.parseKeyword("to") ||
                   parser.parseOperand(uppers.emplace_back()));
  };
  return parser.parseCommaSeparatedList(OpAsmParser::Delimiter::Paren,
                                        parseRange);
}

void rondo::printRanges(OpAsmPrinter &p, ArrayRef<BlockArgument> indices,
                        ValueRange lowers, ValueRange uppers) {
  p << '(';
  for (auto [i, index] : llvm::enumerate(indices))
    p << (i ? ", " : "") << index << " = " << lowers[i] << " to " << uppers[i];
  p << ')';
}

CombinerAttr rondo::parseOptionalCombiner(OpAsmParser &parser) {
  StringRef keyword;
  if (failed(parser.parseOptionalKeyword(
          &keyword, {"sum", "prod", "max", "min", "any", "all"})))
    return {};
  return CombinerAttr::get(parser.getContext(), *symbolizeCombiner(keyword));
}

//===----------------------------------------------------------------------===//
// KernelOp
//===----------------------------------------------------------------------===//

TensorSpecAttr KernelOp::getInput(unsigned i) {
  return cast<TensorSpecAttr>(getInputs()[i]);
}

TensorSpecAttr KernelOp::getOutput(unsigned i) {
  return cast<TensorSpecAttr>(getOutputs()[i]);
}

int64_t KernelOp::getSizeIndex(StringRef name) {
  for (auto [i, attr] : llvm::enumerate(getSizes()))
    if (cast<StringAttr>(attr).getValue() == name)
      return i;
  return -1;
}

LogicalResult KernelOp::verify() {
  // kernel_c1
  if (getBound().size() != getSizes().size())
    return emitOpError() << "expects one bound per size, found "
                         << getBound().size() << " for " << getSizes().size()
                         << " sizes";
  for (int64_t value : getBound())
    if (value < -1)
      return emitOpError() << "expects bounds of at least 0, or -1 for a "
                              "run-time size, found "
                           << value;
  // kernel_c3, kernel_c4
  for (ArrayAttr list : {getInputs(), getOutputs()}) {
    for (auto spec : list.getAsRange<TensorSpecAttr>()) {
      if (spec.getShape().getNumSymbols() != getSizes().size() ||
          spec.getShape().getNumDims() != 0)
        return emitOpError() << "expects the shape of '" << spec.getName()
                             << "' as a map without dims over "
                             << getSizes().size() << " size symbols, found "
                             << AffineMapAttr::get(spec.getShape());
      bool isInput =
          spec.getRole() == Role::Argument || spec.getRole() == Role::Initial;
      if (isInput != (list == getInputs()))
        return emitOpError()
               << "expects '" << spec.getName() << "' among its "
               << (isInput ? "inputs" : "outputs") << " because its role is "
               << stringifyRole(spec.getRole());
    }
  }
  // kernel_c5
  for (auto name : getBatch().getAsRange<StringAttr>())
    if (getSizeIndex(name) < 0)
      return emitOpError() << "expects batch dim " << name
                           << " to be one of its sizes";
  if (getTime() && getSizeIndex(*getTime()) < 0)
    return emitOpError() << "expects time \"" << *getTime()
                         << "\" to be one of its sizes";
  return success();
}

LogicalResult KernelOp::verifyRegions() {
  Block &block = getBody().front();
  // kernel_c2
  if (block.getNumArguments() != getInputs().size())
    return emitOpError() << "expects one block argument per input, found "
                         << block.getNumArguments() << " for "
                         << getInputs().size() << " inputs";
  for (unsigned i = 0; i < block.getNumArguments(); ++i) {
    auto type = dyn_cast<RankedTensorType>(block.getArgument(i).getType());
    TensorSpecAttr spec = getInput(i);
    if (!type || type.getElementType() != spec.getElementType() ||
        type.getRank() != spec.getShape().getNumResults())
      return emitOpError() << "expects block argument " << i << " ('"
                           << spec.getName() << "') to be a tensor of rank "
                           << spec.getShape().getNumResults() << " of "
                           << spec.getElementType() << ", found "
                           << block.getArgument(i).getType();
  }
  // kernel_c6
  auto ret = block.empty() ? ReturnOp() : dyn_cast<ReturnOp>(block.back());
  if (!ret)
    return emitOpError("expects to end in rondo.return");
  if (ret.getOperands().size() != getOutputs().size())
    return ret.emitOpError() << "expects one tensor per output, found "
                             << ret.getOperands().size() << " for "
                             << getOutputs().size() << " outputs";
  for (unsigned i = 0; i < getOutputs().size(); ++i) {
    auto type = cast<RankedTensorType>(ret.getOperands()[i].getType());
    int64_t rank = getOutput(i).getShape().getNumResults();
    int64_t lacking = type.getRank() - rank;
    if (lacking < 0 || lacking > static_cast<int64_t>(getBatch().size()))
      return ret.emitOpError()
             << "expects a tensor of rank "
             << getOutput(i).getShape().getNumResults() << " for '"
             << getOutput(i).getName() << "', found " << type;
    // A dim that is left out is a batch dim.
    SmallVector<int64_t> order(getOutput(i).getOrder());
    bool isComplete = static_cast<int64_t>(order.size()) == rank ||
                      (!lacking && order.empty());
    if (order.empty() && !lacking)
      continue;
    for (int64_t dim = 0; dim < static_cast<int64_t>(getBatch().size()); ++dim)
      if (lacking && !llvm::is_contained(order, dim))
        order.push_back(dim);
    if (!isComplete || static_cast<int64_t>(order.size()) != type.getRank() ||
        !isPermutationVector(order))
      return emitOpError() << "expects the order of '" << getOutput(i).getName()
                           << "' to be a permutation of its dims"
                           << (lacking ? " and the batch dims it lacks" : "");
  }
  return success();
}

//===----------------------------------------------------------------------===//
// SizeOp, InitialOp
//===----------------------------------------------------------------------===//

LogicalResult SizeOp::verify() {
  // size_c1
  auto kernel = (*this)->getParentOfType<KernelOp>();
  if (!kernel)
    return emitOpError("expects to stand in a rondo.kernel");
  if (kernel.getSizeIndex(getName()) < 0)
    return emitOpError() << "expects one of the sizes of the kernel "
                         << kernel.getSizes() << ", found \"" << getName()
                         << "\"";
  return success();
}

LogicalResult InitialOp::verify() {
  // initial_c1
  auto argument = dyn_cast<BlockArgument>(getGiven());
  auto kernel = argument
                    ? dyn_cast<KernelOp>(argument.getOwner()->getParentOp())
                    : KernelOp();
  // The number of block arguments is checked only after this (kernel_c2).
  if (!kernel || argument.getArgNumber() >= kernel.getInputs().size() ||
      kernel.getInput(argument.getArgNumber()).getRole() != Role::Initial)
    return emitOpError(
        "expects an argument of the kernel whose role is initial");
  // initial_c2
  if (getGiven().getType().getRank() != getDeclared().getType().getRank())
    return emitOpError() << "expects tensors of one rank, found "
                         << getGiven().getType() << " and "
                         << getDeclared().getType();
  return success();
}

//===----------------------------------------------------------------------===//
// EquationOp
//===----------------------------------------------------------------------===//

void EquationOp::build(OpBuilder &builder, OperationState &state,
                       StringRef name, Type elementType, ValueRange sizes,
                       ValueRange lowers, ValueRange uppers,
                       std::optional<Combiner> combiner) {
  OpBuilder::InsertionGuard guard(builder);
  state.addOperands(sizes);
  state.addOperands(lowers);
  state.addOperands(uppers);
  auto &properties = state.getOrAddProperties<Properties>();
  properties.operandSegmentSizes = {static_cast<int32_t>(sizes.size()),
                                    static_cast<int32_t>(lowers.size()),
                                    static_cast<int32_t>(uppers.size())};
  properties.name = builder.getStringAttr(name);
  if (combiner)
    properties.combiner = CombinerAttr::get(builder.getContext(), *combiner);
  SmallVector<int64_t> shape(sizes.size(), ShapedType::kDynamic);
  state.addTypes(RankedTensorType::get(shape, elementType));
  Region *region = state.addRegion();
  SmallVector<Type> types(sizes.size() + lowers.size(), builder.getIndexType());
  SmallVector<Location> locs(types.size(), state.location);
  builder.createBlock(region, {}, types, locs);
}

ArrayRef<BlockArgument> EquationOp::getParallelIndices() {
  return getBlock().getArguments().take_front(getSizes().size());
}

ArrayRef<BlockArgument> EquationOp::getReductionIndices() {
  return getBlock().getArguments().drop_front(getSizes().size());
}

YieldOp EquationOp::getYield() {
  return cast<YieldOp>(getBlock().getTerminator());
}

Type EquationOp::getScalarType() { return getYield().getValues()[0].getType(); }

LogicalResult EquationOp::verify() {
  // equation_c2
  if (getResult().getType().getRank() !=
      static_cast<int64_t>(getSizes().size()))
    return emitOpError() << "expects a result of rank " << getSizes().size()
                         << ", one dim per parallel index, found "
                         << getResult().getType();
  // equation_c3
  if (getLowers().size() != getUppers().size())
    return emitOpError("expects a lower and an upper bound per reduction dim");
  if (getCombiner().has_value() != !getLowers().empty())
    return emitOpError(getCombiner() ? "has a combiner but no reduction index"
                                     : "has reduction indices but no combiner");
  return success();
}

LogicalResult EquationOp::verifyRegions() {
  // equation_c1
  Block &block = getBlock();
  if (failed(
          verifyIndices(*this, block, getSizes().size() + getLowers().size())))
    return failure();
  auto yield = dyn_cast<YieldOp>(block.getTerminator());
  if (!yield || yield.getValues().size() != 1)
    return emitOpError("expects to end in a rondo.yield of one value");
  // equation_c4
  Type scalar = getScalarType();
  Type element = getResult().getType().getElementType();
  if (!scalarFits(element, scalar))
    return yield.emitOpError()
           << "gives " << scalar << " for a tensor of " << element;
  if (getCombiner() && failed(verifyCombined(yield, *getCombiner(), scalar)))
    return failure();
  // equation_c5
  if (yield.getFilter() && !getCombiner())
    return yield.emitOpError("has a filter, but the equation no combiner");
  return success();
}

void EquationOp::print(OpAsmPrinter &p) {
  p << ' ';
  p.printAttributeWithoutType(getNameAttr());
  p << " (";
  auto indices = getBlock().getArguments();
  for (auto [i, size] : llvm::enumerate(getSizes()))
    p << (i ? ", " : "") << indices[i] << " < " << size;
  p << ')';
  if (getCombiner()) {
    p << ' ' << stringifyCombiner(*getCombiner()) << ' ';
    printRanges(p, getReductionIndices(), getLowers(), getUppers());
  }
  p.printOptionalAttrDictWithKeyword(
      (*this)->getAttrs(), {"name", "combiner", "operandSegmentSizes"});
  p << " -> " << getResult().getType() << ' ';
  p.printRegion(getBody(), /*printEntryBlockArgs=*/false);
}

ParseResult EquationOp::parse(OpAsmParser &parser, OperationState &result) {
  Builder &builder = parser.getBuilder();
  StringAttr name;
  SmallVector<OpAsmParser::Argument> indices;
  SmallVector<OpAsmParser::UnresolvedOperand> sizes, lowers, uppers;
  auto parseSize = [&]() -> ParseResult {
    OpAsmParser::Argument &index = indices.emplace_back();
    index.type = builder.getIndexType();
    return failure(parser.parseArgument(index) || parser.parseLess() ||
                   parser.parseOperand(sizes.emplace_back()));
  };
  if (parser.parseAttribute(name) ||
      parser.parseCommaSeparatedList(OpAsmParser::Delimiter::Paren, parseSize))
    return failure();
  auto &properties = result.getOrAddProperties<Properties>();
  properties.name = name;
  properties.combiner = parseOptionalCombiner(parser);
  if (properties.combiner && parseRanges(parser, indices, lowers, uppers))
    return failure();
  RankedTensorType type;
  if (parser.parseOptionalAttrDictWithKeyword(result.attributes) ||
      parser.parseArrow() || parser.parseType(type))
    return failure();
  Type index = builder.getIndexType();
  if (parser.resolveOperands(sizes, index, result.operands) ||
      parser.resolveOperands(lowers, index, result.operands) ||
      parser.resolveOperands(uppers, index, result.operands))
    return failure();
  properties.operandSegmentSizes = {static_cast<int32_t>(sizes.size()),
                                    static_cast<int32_t>(lowers.size()),
                                    static_cast<int32_t>(uppers.size())};
  result.addTypes(type);
  return parser.parseRegion(*result.addRegion(), indices);
}

//===----------------------------------------------------------------------===//
// YieldOp, ReadOp, GatherOp
//===----------------------------------------------------------------------===//

LogicalResult YieldOp::verify() {
  // yield_c1
  if (getFilter() &&
      !isa<EquationOp, ReduceOp, AttentionOp>((*this)->getParentOp()))
    return emitOpError("has a filter, but stands in a ")
           << (*this)->getParentOp()->getName();
  return success();
}

/// The tensor whose elements have the given subscripts, checked.
static LogicalResult verifyAccess(Operation *op, RankedTensorType type,
                                  unsigned count, StringRef what) {
  if (type.getRank() == static_cast<int64_t>(count))
    return success();
  return op->emitOpError() << "expects " << type.getRank() << " " << what
                           << " for " << type << ", found " << count;
}

/// What reads and gathers have in common.
template <typename Op> static LogicalResult verifyAccesses(Op op) {
  // read_c1, gather_c1
  if (failed(verifyAccess(op, op.getSource().getType(),
                          op.getSubscripts().size(), "subscripts")))
    return failure();
  // read_c2, gather_c2
  if (op.getFallback() &&
      failed(verifyAccess(
          op, cast<RankedTensorType>(op.getFallback().getType()),
          op.getFallbackSubscripts().size(), "fallback subscripts")))
    return failure();
  // read_c3, gather_c3
  for (Value tensor : {Value(op.getSource()), Value(op.getFallback())}) {
    if (!tensor)
      continue;
    Type element = cast<RankedTensorType>(tensor.getType()).getElementType();
    if (!scalarFits(element, op.getResult().getType()))
      return op.emitOpError() << "gives " << op.getResult().getType()
                              << " from a tensor of " << element;
  }
  return success();
}

LogicalResult ReadOp::verify() { return verifyAccesses(*this); }

LogicalResult GatherOp::verify() {
  // gather_c4
  int64_t next = 0, rank = getSource().getType().getRank();
  for (int64_t dim : getDims()) {
    if (dim < next || dim >= rank)
      return emitOpError() << "expects increasing dims of "
                           << getSource().getType()
                           << " where subscripts are data, found " << dim;
    next = dim + 1;
  }
  if (getDims().empty())
    return emitOpError("expects a dim where a subscript is data");
  return verifyAccesses(*this);
}

LogicalResult GradOp::verify() {
  // grad_c1
  if (!isa_and_nonnull<ReadOp, GatherOp>(getVariable().getDefiningOp()))
    return emitOpError("expects the variable to be the result of a rondo.read "
                       "or a rondo.gather");
  return success();
}

//===----------------------------------------------------------------------===//
// RecurrenceOp
//===----------------------------------------------------------------------===//

StringRef RecurrenceOp::getName(unsigned member) {
  return cast<StringAttr>(getNames()[member]).getValue();
}

ArrayRef<BlockArgument> RecurrenceOp::getAlongIndices() {
  return getBlock().getArguments().take_front(getNumAlong());
}

BlockArgument RecurrenceOp::getPast(unsigned member) {
  return getBlock().getArgument(getNumAlong() + member);
}

Value RecurrenceOp::getSlice(unsigned member) {
  return getYield().getValues()[member];
}

OpResult RecurrenceOp::getHistory(unsigned member) {
  return getOperation()->getResult(member);
}

OpResult RecurrenceOp::getFinal(unsigned state) {
  return getOperation()->getResult(getNumMembers() + state);
}

YieldOp RecurrenceOp::getYield() {
  return cast<YieldOp>(getBlock().getTerminator());
}

LogicalResult RecurrenceOp::verify() {
  // recurrence_c2
  if (getReversed().size() != getSizes().size())
    return emitOpError() << "expects one `reversed` per along dim, found "
                         << getReversed().size() << " for "
                         << getSizes().size();
  // recurrence_c3
  if (getNumStates() > getNumMembers())
    return emitOpError() << "expects a name per initial value, found "
                         << getNumMembers() << " names and " << getNumStates()
                         << " initial values";
  if (getNumResults() != getNumMembers() + getNumStates())
    return emitOpError() << "expects a history per member and a final value "
                            "per state, "
                         << getNumMembers() + getNumStates()
                         << " results, found " << getNumResults();
  // recurrence_c4
  for (unsigned i = 0; i < getNumStates(); ++i) {
    Type initial = getInitials()[i].getType();
    if (initial != getFinal(i).getType())
      return emitOpError() << "expects the final value of '" << getName(i)
                           << "' to have the type of its initial value, "
                           << initial << ", found " << getFinal(i).getType();
  }
  return success();
}

LogicalResult RecurrenceOp::verifyRegions() {
  Block &block = getBlock();
  unsigned along = getNumAlong();
  // recurrence_c1
  if (block.getNumArguments() != along + getNumMembers())
    return emitOpError() << "expects " << along << " index arguments and "
                         << getNumMembers() << " histories, found "
                         << block.getNumArguments() << " block arguments";
  for (BlockArgument index : getAlongIndices())
    if (!index.getType().isIndex())
      return emitOpError("expects block arguments of type index for its "
                         "along dims");
  auto yield = dyn_cast<YieldOp>(block.getTerminator());
  if (!yield || yield.getValues().size() != getNumMembers())
    return emitOpError("expects to end in a rondo.yield of one slice per "
                       "member");
  for (unsigned i = 0; i < getNumMembers(); ++i) {
    auto history = cast<RankedTensorType>(getHistory(i).getType());
    if (getPast(i).getType() != history)
      return emitOpError() << "expects " << history << " for the past of '"
                           << getName(i) << "', found " << getPast(i).getType();
    // recurrence_c4
    auto slice = dyn_cast<RankedTensorType>(getSlice(i).getType());
    if (!slice || slice.getRank() + along != history.getRank() ||
        slice.getElementType() != history.getElementType())
      return yield.emitOpError()
             << "expects a tensor of rank " << history.getRank() - along
             << " of " << history.getElementType() << " for '" << getName(i)
             << "', found " << getSlice(i).getType();
    if (i < getNumStates() && getFinal(i).getType() != slice)
      return emitOpError() << "expects the final value of '" << getName(i)
                           << "' to have the type of its slice, " << slice
                           << ", found " << getFinal(i).getType();
    // recurrence_c6
    if (getBatch() > static_cast<uint64_t>(slice.getRank()))
      return emitOpError() << "expects at most " << slice.getRank()
                           << " batch dims because of '" << getName(i)
                           << "', found " << static_cast<int64_t>(getBatch());
    // recurrence_c5
    Value fallback = i < getNumStates() ? getInitials()[i] : Value();
    for (Operation *user : getPast(i).getUsers()) {
      Value other;
      if (auto read = dyn_cast<ReadOp>(user))
        other = read.getFallback();
      else if (auto gather = dyn_cast<GatherOp>(user))
        other = gather.getFallback();
      else
        other = getPast(i);
      if (other == getPast(i))
        return user->emitOpError() << "may not use the past of '" << getName(i)
                                   << "' except to read it";
      if (other != fallback)
        return user->emitOpError()
               << (fallback ? "expects the initial value of state '"
                            : "expects no fallback for local '")
               << getName(i) << (fallback ? "' as its fallback" : "'");
    }
  }
  return success();
}

//===----------------------------------------------------------------------===//
// IterateOp
//===----------------------------------------------------------------------===//

YieldOp IterateOp::getBodyYield() {
  return cast<YieldOp>(getBody().front().getTerminator());
}

YieldOp IterateOp::getOtherwiseYield() {
  return cast<YieldOp>(getOtherwise().front().getTerminator());
}

Value IterateOp::getResidual() { return getBodyYield().getValues().back(); }

OpResult IterateOp::getCount() {
  return getOperation()->getResult(getNumTensors());
}

LogicalResult IterateOp::verify() {
  // iterate_c4
  if (getBound() == 0 || static_cast<int64_t>(getBound()) < 0)
    return emitOpError() << "expects a bound of at least 1, found "
                         << static_cast<int64_t>(getBound());
  if (!(getTolerance().convertToDouble() >= 0))
    return emitOpError("expects a tolerance that is not negative");
  // iterate_c3
  if (getNumResults() != getNumTensors() + 1)
    return emitOpError() << "expects a result per guess and the count, "
                         << getNumTensors() + 1 << " results, found "
                         << getNumResults();
  for (auto [guess, result] : llvm::zip(getGuesses(), getResults()))
    if (guess.getType() != result.getType())
      return emitOpError() << "expects a result of the type of its guess, "
                           << guess.getType() << ", found "
                           << result.getType();
  return success();
}

LogicalResult IterateOp::verifyRegions() {
  // iterate_c1
  if (getBody().front().getArgumentTypes() != getGuesses().getTypes() ||
      getOtherwise().front().getNumArguments() != 0)
    return emitOpError("expects one block argument per guess, of its type, in "
                       "the body, and none in the other region");
  // iterate_c2
  auto verifyYield = [&](Region &region, unsigned more) -> LogicalResult {
    auto yield = dyn_cast<YieldOp>(region.front().getTerminator());
    if (!yield || yield.getValues().size() != getNumTensors() + more)
      return emitOpError() << "expects " << (more ? "the body" : "'otherwise'")
                           << " to end in a rondo.yield of "
                           << getNumTensors() + more << " tensors";
    for (auto [guess, value] : llvm::zip(getGuesses(), yield.getValues()))
      if (guess.getType() != value.getType())
        return yield.emitOpError() << "expects " << guess.getType()
                                   << ", found " << value.getType();
    return success();
  };
  if (failed(verifyYield(getBody(), 1)) ||
      failed(verifyYield(getOtherwise(), 0)))
    return failure();
  auto residual = dyn_cast<RankedTensorType>(getResidual().getType());
  if (!residual || !isa<FloatType>(residual.getElementType()))
    return emitOpError("expects the residual to be a tensor of real numbers");
  // iterate_c3
  auto count = cast<RankedTensorType>(getCount().getType());
  if (count.getRank() != residual.getRank() ||
      !count.getElementType().isInteger(64))
    return emitOpError() << "expects the count to be a tensor of i64 of rank "
                         << residual.getRank() << ", found " << count;
  return success();
}

#define GET_OP_CLASSES
#include "dialects/Rondo/IR/RondoOps.cpp.inc"
