//===- PairOperands.cpp - Products of bf16 pairs --------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/Rondo/IR/PairOps.h"
#include "mlir/Conversion/LLVMCommon/MemRefBuilder.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/IRMapping.h"
#include "passes/CPU/Buffers.h"
#include "passes/CPU/LoopNest.h"
#include "passes/CPU/Pairs.h"
#include "passes/CPU/Passes.h"
#include "passes/CPU/Target.h"
#include "passes/Common/Signature.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/Support/MathExtras.h"

namespace rondo::cpu {
#define GEN_PASS_DEF_PAIROPERANDS
#include "passes/CPU/Passes.h.inc"
} // namespace rondo::cpu

using namespace mlir;
using namespace rondo;
using namespace rondo::cpu;

/// The alignment of buffers in the workspace.
static constexpr int64_t kAlignment = 64;

namespace {
class PairingOfFunction {
public:
  PairingOfFunction(func::FuncOp func, func::FuncOp bytes)
      : func(func), bytes(bytes), buffers(func, bytes), b(func.getContext()) {}
  unsigned run();

private:
  void createBuffers();
  void emitEnd(PairedBuffer &paired);
  void emitCopies(PairedBuffer &paired);
  void emitWordCopy(linalg::GenericOp op, const PairedBuffer &paired,
                    Value view);
  Value follow(Value view, const PairedBuffer &paired, Value base,
               OpFoldResult extent);
  Value viewAsWords(Value memref, Value &isWhole);
  void rewrite(PairProduct &product);
  linalg::GenericOp createPairProduct(PairProduct &product,
                                      ArrayRef<Value> words);

  func::FuncOp func, bytes;
  PairedBuffers buffers;
  OpBuilder b;
  /// Ops that write what nothing reads any more.
  llvm::SetVector<Operation *> dead;
};
} // namespace

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

static OpFoldResult emitNumWords(OpBuilder &b, Location loc,
                                 OpFoldResult extent) {
  if (std::optional<int64_t> value = getConstantIntValue(extent))
    return b.getIndexAttr(llvm::divideCeil(*value, 2));
  Value two = arith::ConstantIndexOp::create(b, loc, 2);
  return arith::CeilDivUIOp::create(b, loc, cast<Value>(extent), two)
      .getResult();
}

/// The shape of a buffer's words.
static SmallVector<OpFoldResult> getWordShape(const PairedBuffer &paired) {
  SmallVector<OpFoldResult> shape = getShape(paired.root);
  shape[paired.dim] = paired.numWords;
  return shape;
}

/// The bytes that the words of a buffer take, with what aligns the next one.
static Value emitBytes(OpBuilder &b, Location loc, const PairedBuffer &paired,
                       IRMapping *map = nullptr) {
  auto constant = [&](int64_t value) -> Value {
    return arith::ConstantIndexOp::create(b, loc, value);
  };
  Value product = constant(4);
  for (auto [dim, size] : llvm::enumerate(getShape(paired.root))) {
    OpFoldResult mapped = size;
    if (auto value = dyn_cast<Value>(size); value && map)
      mapped = map->lookup(value);
    if (dim == paired.dim)
      mapped = emitNumWords(b, loc, mapped);
    product = arith::MulIOp::create(
        b, loc, product, getValueOrCreateConstantIndexOp(b, loc, mapped));
  }
  product = arith::AddIOp::create(b, loc, product, constant(kAlignment - 1));
  return arith::AndIOp::create(b, loc, product, constant(-kAlignment));
}

/// Clones what computes a value of the sizes.
static void cloneSlice(OpBuilder &b, Value value, IRMapping &map) {
  Operation *def = value.getDefiningOp();
  if (!def || map.contains(value))
    return;
  for (Value operand : def->getOperands())
    cloneSlice(b, operand, map);
  b.clone(*def, map);
}

/// A buffer of words for each buffer that is used, behind all others.
void PairingOfFunction::createBuffers() {
  Location loc = func.getLoc();
  // The number of bytes so far is computed here, too.
  IRMapping map;
  map.map(bytes.getArguments(),
          func.getArguments().take_front(bytes.getNumArguments()));
  Operation *last = nullptr;
  for (const std::unique_ptr<PairedBuffer> &paired : buffers.list) {
    Operation *view = paired->root.getDefiningOp();
    if (paired->isUsed && (!last || last->isBeforeInBlock(view)))
      last = view;
  }
  b.setInsertionPointAfter(last);
  for (Operation &op : bytes.front().without_terminator())
    b.clone(op, map);
  Operation *end = bytes.front().getTerminator();
  Value total = end->getOperand(0), offset = map.lookupOrDefault(total);
  OpBuilder inBytes(end);
  Value workspace = func.getArgument(func.getNumArguments() - 4);
  for (const std::unique_ptr<PairedBuffer> &each : buffers.list) {
    PairedBuffer &paired = *each;
    if (!paired.isUsed)
      continue;
    IRMapping sizes;
    sizes.map(func.getArguments().take_front(bytes.getNumArguments()),
              bytes.getArguments());
    for (Value size : paired.root.getDefiningOp<memref::ViewOp>().getSizes())
      cloneSlice(inBytes, size, sizes);
    total = arith::AddIOp::create(inBytes, loc, total,
                                  emitBytes(inBytes, loc, paired, &sizes));
    paired.numWords = emitNumWords(b, loc, paired.extent);
    Value size = emitBytes(b, loc, paired);
    auto memory = memref::ViewOp::create(
        b, loc, MemRefType::get({ShapedType::kDynamic}, b.getI8Type()),
        workspace, offset, ValueRange{size});
    offset = arith::AddIOp::create(b, loc, offset, size);
    // Both views are of this one: it is what may overlap.
    Value zero = arith::ConstantIndexOp::create(b, loc, 0);
    auto createView = [&](ArrayRef<OpFoldResult> shape, Type element) -> Value {
      SmallVector<int64_t> extents;
      SmallVector<Value> dynamic;
      dispatchIndexOpFoldResults(shape, dynamic, extents);
      return memref::ViewOp::create(b, loc, MemRefType::get(extents, element),
                                    memory, zero, dynamic);
    };
    SmallVector<OpFoldResult> shape = getWordShape(paired);
    paired.words = createView(shape, b.getI32Type());
    if (!paired.isLast())
      continue;
    OpFoldResult &halves = shape[paired.dim];
    if (std::optional<int64_t> count = getConstantIntValue(halves)) {
      halves = b.getIndexAttr(2 * *count);
    } else {
      Value two = arith::ConstantIndexOp::create(b, loc, 2);
      halves =
          arith::MulIOp::create(b, loc, cast<Value>(halves), two).getResult();
    }
    paired.halves = createView(shape, b.getBF16Type());
  }
  end->setOperand(0, total);
}

static OpFoldResult emitHalf(OpBuilder &b, Location loc, OpFoldResult even) {
  if (std::optional<int64_t> known = getConstantIntValue(even))
    return b.getIndexAttr(*known / 2);
  Value two = arith::ConstantIndexOp::create(b, loc, 2);
  return arith::DivUIOp::create(b, loc, cast<Value>(even), two).getResult();
}

/// The part of a buffer of pairs that belongs to a view of the buffer.
Value PairingOfFunction::follow(Value view, const PairedBuffer &paired,
                                Value base, OpFoldResult extent) {
  if (view == paired.root)
    return base;
  auto subview = view.getDefiningOp<memref::SubViewOp>();
  Value source = follow(subview.getSource(), paired, base, extent);
  int dim = paired.findPairs(subview.getSource());
  SmallVector<OpFoldResult> offsets = subview.getMixedOffsets(),
                            sizes = subview.getMixedSizes();
  if (paired.findDim(view) >= 0) {
    sizes[dim] = extent;
  } else {
    offsets[dim] = emitHalf(b, view.getLoc(), offsets[dim]);
    sizes[dim] = emitHalf(b, view.getLoc(), sizes[dim]);
  }
  SmallVector<int64_t> shape(subview.getType().getShape());
  shape[paired.findPairs(view)] =
      getConstantIntValue(sizes[dim]).value_or(ShapedType::kDynamic);
  auto type = memref::SubViewOp::inferRankReducedResultType(
      shape, cast<MemRefType>(source.getType()), offsets, sizes,
      subview.getMixedStrides());
  return memref::SubViewOp::create(b, view.getLoc(), type, source, offsets,
                                   sizes, subview.getMixedStrides());
}

/// Some elements of a view along a dim.
static Value slice(OpBuilder &b, Location loc, Value memref, unsigned dim,
                   OpFoldResult first, OpFoldResult count, int64_t step) {
  int64_t rank = cast<MemRefType>(memref.getType()).getRank();
  SmallVector<OpFoldResult> offsets(rank, b.getIndexAttr(0)),
      strides(rank, b.getIndexAttr(1)),
      sizes = memref::getMixedSizes(b, loc, memref);
  offsets[dim] = first;
  sizes[dim] = count;
  strides[dim] = b.getIndexAttr(step);
  return memref::SubViewOp::create(b, loc, memref, offsets, sizes, strides);
}

/// value up to the mask, then 0. `row` is the dim of the op with its rows.
static Value createMasked(OpBuilder &b, Location loc, const PairMask &mask,
                          Value index, unsigned row, Value value) {
  Value end = linalg::IndexOp::create(b, loc, row);
  Value isInside = arith::CmpIOp::create(
      b, loc,
      mask.isStrict ? arith::CmpIPredicate::slt : arith::CmpIPredicate::sle,
      index, end);
  Value zero = arith::ConstantOp::create(b, loc, b.getF32FloatAttr(0));
  return arith::SelectOp::create(b, loc, isInside, value, zero);
}

namespace {
/// What a view holds, as the op that writes it, or as what can be read there.
struct Content {
  SmallVector<Value> inputs;
  SmallVector<AffineMap> maps;
  linalg::GenericOp writer; // null: the only input
  unsigned result = 0;      // of the writer

  Content(const PairedBuffer::Copy &copy, Value view) {
    unsigned rank = cast<MemRefType>(view.getType()).getRank();
    if (!copy.isComposed) {
      inputs = {view};
      maps = {AffineMap::getMultiDimIdentityMap(rank, view.getContext())};
      return;
    }
    writer = cast<linalg::GenericOp>(copy.after);
    for (OpOperand *input : writer.getDpsInputOperands()) {
      inputs.push_back(input->get());
      maps.push_back(writer.getMatchingIndexingMap(input));
    }
    result =
        llvm::find(writer.getOutputs(), view) - writer.getOutputs().begin();
  }

  /// The element whose inputs these are; `index` is that along `dim`.
  Value emit(OpBuilder &b, ValueRange arguments, unsigned dim, Value index) {
    if (!writer)
      return arguments[0];
    IRMapping map;
    map.map(writer.getBody()->getArguments().take_front(inputs.size()),
            arguments);
    for (Operation &op : writer.getBody()->without_terminator()) {
      auto old = dyn_cast<linalg::IndexOp>(op);
      if (old && old.getDim() == dim)
        map.map(old.getResult(), index);
      else
        b.clone(op, map);
    }
    return map.lookupOrDefault(
        writer.getBody()->getTerminator()->getOperand(result));
  }
};
} // namespace

/// Words of pairs along a dim that is not the last one, from some element on,
/// or of elements paired with 0.
static void emitPairs(OpBuilder &b, Location loc, Content &content, Value words,
                      unsigned dim, OpFoldResult first, OpFoldResult count,
                      bool isPaired) {
  AffineExpr along = b.getAffineDimExpr(dim);
  SmallVector<Value> inputs;
  SmallVector<AffineMap> maps;
  // Of each input, those with the first and with the second number of a pair.
  SmallVector<std::array<unsigned, 2>> places;
  for (auto [input, map] : llvm::zip_equal(content.inputs, content.maps)) {
    unsigned place = inputs.size();
    std::optional<unsigned> at = map.getResultPosition(along);
    places.push_back({place, at && isPaired ? place + 1 : place});
    for (bool second : {false, true}) {
      if (second && places.back()[1] == place)
        continue;
      Value part = input;
      if (at) {
        OpFoldResult from = first;
        if (second)
          from = b.getIndexAttr(1);
        part = slice(b, loc, input, *at, from, count, isPaired ? 2 : 1);
      }
      inputs.push_back(part);
      maps.push_back(map);
    }
  }
  unsigned rank = cast<MemRefType>(words.getType()).getRank();
  maps.push_back(b.getMultiDimIdentityMap(rank));
  SmallVector<utils::IteratorType> kinds(rank, utils::IteratorType::parallel);
  linalg::GenericOp::create(
      b, loc, inputs, words, maps, kinds,
      [&](OpBuilder &inner, Location, ValueRange arguments) {
        auto emit = [&](unsigned half) {
          SmallVector<Value> own;
          for (const std::array<unsigned, 2> &place : places)
            own.push_back(arguments[place[half]]);
          Value index = linalg::IndexOp::create(inner, loc, dim);
          if (isPaired)
            index = arith::AddIOp::create(inner, loc, index, index);
          Value offset = getValueOrCreateConstantIndexOp(
              inner, loc, half ? OpFoldResult(inner.getIndexAttr(1)) : first);
          index = arith::AddIOp::create(inner, loc, index, offset);
          return content.emit(inner, own, dim, index);
        };
        Value low = emit(0);
        Value high = isPaired ? emit(1)
                              : arith::ConstantOp::create(
                                    inner, loc, inner.getF32FloatAttr(0))
                                    .getResult();
        Value pair =
            PackPairOp::create(inner, loc, inner.getI32Type(), low, high);
        linalg::YieldOp::create(inner, loc, pair);
      });
}

/// All pairs of a view along a dim that is not the last one.
static void emitAllPairs(OpBuilder &b, Location loc, Content &content,
                         Value words, unsigned dim, OpFoldResult extent) {
  std::optional<int64_t> known = getConstantIntValue(extent);
  OpFoldResult count, odd, last, zero = b.getIndexAttr(0);
  if (known) {
    count = b.getIndexAttr(*known / 2);
    odd = b.getIndexAttr(*known % 2);
    last = b.getIndexAttr(*known - 1);
  } else {
    Value two = arith::ConstantIndexOp::create(b, loc, 2);
    Value value = cast<Value>(extent);
    Value half = arith::DivUIOp::create(b, loc, value, two);
    count = half;
    odd = arith::RemUIOp::create(b, loc, value, two).getResult();
    last = arith::MulIOp::create(b, loc, half, two).getResult();
  }
  emitPairs(b, loc, content, slice(b, loc, words, dim, zero, count, 1), dim,
            zero, count, /*isPaired=*/true);
  if (!known || *known % 2 != 0)
    emitPairs(b, loc, content, slice(b, loc, words, dim, count, odd, 1), dim,
              last, odd, /*isPaired=*/false);
}

/// The elements of a view, rounded.
static void emitRounded(OpBuilder &b, Location loc, Content &content,
                        const PairedBuffer &paired, Value view, Value halves) {
  unsigned rank = cast<MemRefType>(halves.getType()).getRank();
  unsigned dim = paired.findDim(view);
  SmallVector<AffineMap> maps(content.maps);
  maps.push_back(b.getMultiDimIdentityMap(rank));
  SmallVector<utils::IteratorType> kinds(rank, utils::IteratorType::parallel);
  linalg::GenericOp::create(
      b, loc, content.inputs, halves, maps, kinds,
      [&](OpBuilder &inner, Location, ValueRange arguments) {
        Value index = linalg::IndexOp::create(inner, loc, dim);
        Value value = content.emit(
            inner, arguments.take_front(content.inputs.size()), dim, index);
        if (paired.mask)
          value = createMasked(inner, loc, *paired.mask, index,
                               paired.findRow(view), value);
        value = arith::TruncFOp::create(inner, loc, inner.getBF16Type(), value);
        linalg::YieldOp::create(inner, loc, value);
      });
}

/// The element without a partner, if there is one, gets 0 at the start.
void PairingOfFunction::emitEnd(PairedBuffer &paired) {
  std::optional<int64_t> known = getConstantIntValue(paired.extent);
  if (!paired.isLast() || (known && *known % 2 == 0))
    return;
  Location loc = paired.root.getLoc();
  b.setInsertionPointAfterValue(paired.halves);
  OpFoldResult odd = b.getIndexAttr(1);
  if (!known) {
    Value two = arith::ConstantIndexOp::create(b, loc, 2);
    odd = arith::RemUIOp::create(b, loc, cast<Value>(paired.extent), two)
              .getResult();
  }
  Value last = slice(b, loc, paired.halves, paired.dim, paired.extent, odd, 1);
  Value zero =
      arith::ConstantOp::create(b, loc, b.getFloatAttr(b.getBF16Type(), 0));
  linalg::FillOp::create(b, loc, zero, last);
}

void PairingOfFunction::emitCopies(PairedBuffer &paired) {
  emitEnd(paired);
  std::optional<int64_t> known = getConstantIntValue(paired.extent);
  for (const PairedBuffer::Copy &copy : paired.copies) {
    Value view = copy.view ? copy.view : paired.root;
    unsigned dim = paired.findPairs(view);
    if (copy.areWords) {
      emitWordCopy(cast<linalg::GenericOp>(copy.after), paired, view);
      continue;
    }
    b.setInsertionPointAfter(copy.after);
    Location loc = copy.after->getLoc();
    Content content(copy, view);
    if (!paired.isLast()) {
      Value words = follow(view, paired, paired.words, paired.numWords);
      emitAllPairs(b, loc, content, words, dim,
                   paired.findDim(view) >= 0 ? paired.extent
                                             : getShape(view)[dim]);
    } else {
      OpFoldResult padded = getShape(paired.halves)[paired.dim];
      Value halves = follow(view, paired, paired.halves, padded);
      if (!known || *known % 2 != 0)
        halves =
            slice(b, loc, halves, dim, b.getIndexAttr(0), paired.extent, 1);
      emitRounded(b, loc, content, paired, view, halves);
    }
    if (copy.isComposed)
      dead.insert(copy.after);
  }
}

/// bf16 numbers of the caller as words. `isWhole` becomes the test that they
/// are some: all rows have an even number of elements and start at a word.
Value PairingOfFunction::viewAsWords(Value memref, Value &isWhole) {
  Location loc = memref.getLoc();
  auto type = cast<MemRefType>(memref.getType());
  int64_t rank = type.getRank();
  LLVMTypeConverter converter(b.getContext());
  auto metadata = memref::ExtractStridedMetadataOp::create(b, loc, memref);
  auto constant = [&](int64_t value) -> Value {
    return arith::ConstantIndexOp::create(b, loc, value);
  };
  Value one = constant(1), two = constant(2);
  Value bits = metadata.getSizes()[rank - 1];
  for (int64_t dim = 0; dim + 1 < rank; ++dim)
    bits = arith::OrIOp::create(b, loc, bits, metadata.getStrides()[dim]);
  Value address = memref::ExtractAlignedPointerAsIndexOp::create(
      b, loc, metadata.getBaseBuffer());
  Value offset =
      arith::MulIOp::create(b, loc, metadata.getOffset(), two).getResult();
  address = arith::AddIOp::create(b, loc, address, offset);
  Value inWord = arith::ShRUIOp::create(b, loc, address, one);
  bits = arith::AndIOp::create(b, loc,
                               arith::OrIOp::create(b, loc, bits, inWord), one);
  Value test = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, bits,
                                     constant(0));
  isWhole =
      isWhole ? arith::AndIOp::create(b, loc, isWhole, test).getResult() : test;

  SmallVector<int64_t> shape(type.getShape()),
      strides(rank, ShapedType::kDynamic);
  strides.back() = 1;
  if (!type.isDynamicDim(rank - 1))
    shape.back() /= 2;
  auto words =
      MemRefType::get(shape, b.getI32Type(),
                      StridedLayoutAttr::get(b.getContext(), 0, strides));
  auto pointerType = LLVM::LLVMPointerType::get(b.getContext());
  auto toInteger = [&](Value index) -> Value {
    return arith::IndexCastOp::create(b, loc, b.getI64Type(), index);
  };
  Value pointer =
      LLVM::IntToPtrOp::create(b, loc, pointerType, toInteger(address));
  auto descriptor =
      MemRefDescriptor::poison(b, loc, converter.convertType(words));
  descriptor.setAllocatedPtr(b, loc, pointer);
  descriptor.setAlignedPtr(b, loc, pointer);
  descriptor.setConstantOffset(b, loc, 0);
  for (int64_t dim = 0; dim < rank; ++dim) {
    bool isLast = dim + 1 == rank;
    Value size = metadata.getSizes()[dim];
    if (isLast)
      size = arith::ShRUIOp::create(b, loc, size, one);
    descriptor.setSize(b, loc, dim, toInteger(size));
    if (isLast) {
      descriptor.setConstantStride(b, loc, dim, 1);
      continue;
    }
    Value stride =
        arith::ShRUIOp::create(b, loc, metadata.getStrides()[dim], one);
    descriptor.setStride(b, loc, dim, toInteger(stride));
  }
  return UnrealizedConversionCastOp::create(b, loc, words, Value(descriptor))
      .getResult(0);
}

/// Copies words of the caller as they are, or, where they are none, elements,
/// which are then paired.
void PairingOfFunction::emitWordCopy(linalg::GenericOp op,
                                     const PairedBuffer &paired, Value view) {
  Location loc = op.getLoc();
  b.setInsertionPoint(op);
  Value isWhole;
  Value source = viewAsWords(op.getInputs()[0], isWhole);
  Value words = follow(view, paired, paired.words, paired.numWords);
  auto test = scf::IfOp::create(b, loc, isWhole, /*withElseRegion=*/true);
  b.setInsertionPointToStart(test.thenBlock());
  linalg::GenericOp::create(
      b, loc, source, words, op.getIndexingMapsArray(),
      op.getIteratorTypesArray(),
      [](OpBuilder &inner, Location place, ValueRange arguments) {
        linalg::YieldOp::create(inner, place, arguments[0]);
      });
  op->moveBefore(test.elseBlock()->getTerminator());
  b.setInsertionPointAfter(op);
  Content content({op, view}, view);
  emitAllPairs(b, loc, content, words, paired.findDim(view), paired.extent);
}

//===----------------------------------------------------------------------===//
// Rewriting
//===----------------------------------------------------------------------===//

linalg::GenericOp PairingOfFunction::createPairProduct(PairProduct &product,
                                                       ArrayRef<Value> words) {
  linalg::GenericOp op = product.op;
  SmallVector<AffineMap> maps;
  for (OpOperand *factor : product.factors)
    maps.push_back(op.getMatchingIndexingMap(factor));
  maps.push_back(op.getMatchingIndexingMap(op.getDpsInitOperand(0)));
  return linalg::GenericOp::create(
      b, op.getLoc(), words, op.getOutputs(), maps, op.getIteratorTypesArray(),
      [&](OpBuilder &inner, Location loc, ValueRange arguments) {
        Value term = DotPairOp::create(inner, loc, inner.getF32Type(),
                                       arguments[0], arguments[1]);
        if (product.mask) {
          // The second number of a pair is not inside where the first isn't,
          // and else is 0 in the masked factor.
          Value index = linalg::IndexOp::create(inner, loc, product.reduced);
          index = arith::AddIOp::create(inner, loc, index, index);
          term = createMasked(inner, loc, *product.mask, index,
                              product.mask->row, term);
        } else if (arith::SelectOp filter = product.filter) {
          IRMapping map;
          for (Operation &each : op.getBody()->without_terminator())
            if (each.isBeforeInBlock(filter) && each.getNumResults() == 1 &&
                isOfIndices(each.getResult(0), op.getBody()))
              inner.clone(each, map);
          Value zero =
              arith::ConstantOp::create(inner, loc, inner.getF32FloatAttr(0));
          term = arith::SelectOp::create(
              inner, loc, map.lookupOrDefault(filter.getCondition()), term,
              zero);
        }
        Value sum = arith::AddFOp::create(inner, loc, arguments[2], term);
        linalg::YieldOp::create(inner, loc, sum);
      });
}

void PairingOfFunction::rewrite(PairProduct &product) {
  linalg::GenericOp op = product.op;
  b.setInsertionPoint(op);
  SmallVector<Value> words;
  Value isWhole;
  for (OpOperand *factor : product.factors) {
    if (buffers.isArgument(product, factor)) {
      words.push_back(viewAsWords(factor->get(), isWhole));
      continue;
    }
    const PairedBuffer &paired = *buffers.find(product, factor);
    words.push_back(
        follow(factor->get(), paired, paired.words, paired.numWords));
  }
  if (!isWhole) {
    createPairProduct(product, words);
    op.erase();
    return;
  }
  auto test = scf::IfOp::create(b, op.getLoc(), isWhole,
                                /*withElseRegion=*/true);
  linalg::FillOp fill = findFill(op);
  b.setInsertionPointToStart(test.thenBlock());
  if (fill)
    b.clone(*fill);
  createPairProduct(product, words);
  op->moveBefore(test.elseBlock()->getTerminator());
  if (fill)
    fill->moveBefore(op);
}

unsigned PairingOfFunction::run() {
  SmallVector<PairProduct> products, chosen;
  func.walk([&](linalg::GenericOp op) {
    if (std::optional<PairProduct> product = matchPairProduct(op))
      products.push_back(*product);
  });
  for (PairProduct &product : products) {
    unsigned numPaired = 0;
    bool fits = true;
    for (OpOperand *factor : product.factors) {
      if (buffers.isArgument(product, factor))
        continue;
      PairedBuffer *paired = buffers.find(product, factor);
      fits &= paired && PairedBuffers::pays(product, factor, *paired);
      ++numPaired;
    }
    if (fits && numPaired > 0)
      chosen.push_back(product);
  }
  if (chosen.empty())
    return 0;
  buffers.placeCopies(chosen);
  buffers.compose(chosen);
  bool needsBuffers = llvm::any_of(
      buffers.list, [](const auto &paired) { return paired->isUsed; });
  if (needsBuffers)
    createBuffers();
  for (const std::unique_ptr<PairedBuffer> &paired : buffers.list)
    if (paired->isUsed)
      emitCopies(*paired);
  for (PairProduct &product : chosen)
    rewrite(product);
  for (Operation *op : dead)
    op->erase();
  return chosen.size();
}

//===----------------------------------------------------------------------===//
// Pass
//===----------------------------------------------------------------------===//

/// Whether all reals that a kernel takes and gives are bf16 numbers.
static bool isOfBF16(const Signature &signature) {
  bool found = false;
  for (TensorSpecAttr spec : signature.tensors) {
    bool isState =
        spec.getRole() == Role::Initial || spec.getRole() == Role::Final;
    if (isState || !isa<FloatType>(spec.getElementType()))
      continue;
    if (!spec.getElementType().isBF16())
      return false;
    found = true;
  }
  return found;
}

namespace {
struct PairOperands : rondo::cpu::impl::PairOperandsBase<PairOperands> {
  void runOnOperation() override {
    if (!getTarget(getOperation()).hasBF16)
      return;
    SmallVector<func::FuncOp> funcs(getOperation().getOps<func::FuncOp>());
    for (func::FuncOp func : funcs) {
      FailureOr<std::optional<Signature>> signature = Signature::get(func);
      if (failed(signature))
        return signalPassFailure();
      auto bytes = getOperation().lookupSymbol<func::FuncOp>(
          (func.getSymName() + "_worker_bytes").str());
      if (*signature && !func.isExternal() && bytes && isOfBF16(**signature))
        numPaired += PairingOfFunction(func, bytes).run();
    }
  }
};
} // namespace
