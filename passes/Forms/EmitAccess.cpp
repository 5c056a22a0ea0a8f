//===- EmitAccess.cpp - Views of tensors in memory ------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "passes/Forms/Emit.h"

using namespace mlir;
using namespace rondo;

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Value KernelEmitter::getBase(const TensorStorage &place) {
  switch (place.kind) {
  case TensorStorage::Kind::Input:
    return inputs[place.number];
  case TensorStorage::Kind::Output:
    return outputs[place.number];
  case TensorStorage::Kind::Buffer:
    if (place.slot) {
      bool isProduct =
          product && storage.groups[productGroup].results == place.number;
      return sliceSlot(buffers[place.number],
                       isProduct ? product : constant(*place.slot));
    }
    return buffers[place.number];
  case TensorStorage::Kind::None:
    break;
  }
  llvm_unreachable("a tensor without a place");
}

/// Whether a size is surely positive at the current point.
bool KernelEmitter::isPositive(AffineExpr size) const {
  return llvm::is_contained(positive, size) || program.exprs.isAtLeast(size, 1);
}

/// The memref of a tensor that may be empty and is read under a guard all the
/// same, at index 0 of the empty dims: where it is empty, a row of the
/// workspace with strides that lead nowhere else. (Buffers have at least one
/// element.)
Value KernelEmitter::getStandIn(const TensorStorage &place) {
  Value memref = getBase(place);
  if (place.kind == TensorStorage::Kind::Buffer)
    return memref;
  Value &known = standIns[memref];
  if (known)
    return known;
  OpBuilder::InsertionGuard guard(b);
  if (memref.getDefiningOp()) // of a block of channels
    b.setInsertionPointAfterValue(memref);
  else
    b.setInsertionPoint(entryEnd);
  auto type = cast<MemRefType>(memref.getType());
  ArrayRef<AffineExpr> shape;
  SmallVector<AffineExpr> inMemory;
  TensorSpecAttr spec = place.kind == TensorStorage::Kind::Input
                            ? program.kernel.getInput(place.number)
                            : program.kernel.getOutput(place.number);
  for (AffineExpr size : spec.getShape().getResults())
    inMemory.push_back(program.exprs.getOfSizes(size));
  shape = inMemory;
  standInBuffers.push_back({{shape.back()}, type.getElementType(), -1});

  Value isEmpty, zero = constant(0);
  SmallVector<OpFoldResult> extents, strides;
  for (AffineExpr size : shape) {
    Value extent = emitExpr(size);
    Value here =
        arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, extent, zero);
    isEmpty = isEmpty ? b.createOrFold<arith::OrIOp>(loc, isEmpty, here) : here;
    extents.push_back(extent);
    strides.push_back(zero);
  }
  strides.back() = b.getIndexAttr(1);
  Value row = memref::ViewOp::create(
      b, loc, MemRefType::get({ShapedType::kDynamic}, type.getElementType()),
      workspace, zero, ValueRange(toValue(extents.back())));
  // The memref may begin within an argument.
  SmallVector<int64_t> layout;
  int64_t offset;
  (void)type.getStridesAndOffset(layout, offset);
  OpFoldResult start = b.getIndexAttr(0);
  if (ShapedType::isDynamic(offset))
    start = zero;
  Value standIn = memref::ReinterpretCastOp::create(b, loc, type, row, start,
                                                    extents, strides);
  known = arith::SelectOp::create(b, loc, isEmpty, standIn, memref);
  return known;
}

/// How many steps of a loop come before the one at `index`.
Value KernelEmitter::emitStep(const Cluster &cluster, unsigned loop,
                              Value index) {
  if (loop < steps.size() && index == timePoint[loop])
    return steps[loop];
  if (cluster.loops[loop].direction != Direction::Reversed)
    return index;
  Value last = b.createOrFold<arith::SubIOp>(
      loc, emitExpr(cluster.loops[loop].size), constant(1));
  return b.createOrFold<arith::SubIOp>(loc, last, index);
}

Value KernelEmitter::emitInRange(Value subscript, AffineExpr size) {
  return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, subscript,
                               emitExpr(size));
}

//===----------------------------------------------------------------------===//
// Accesses
//===----------------------------------------------------------------------===//

View KernelEmitter::resolve(const Access &access,
                            ArrayRef<IterationDim> iteration) {
  if (const Snapshot *snapshot = storage.getSnapshot(access))
    return resolveSnapshot(access, *snapshot, iteration);
  const Tensor &tensor = *access.tensor;
  return resolveAt(access, tensor, storage.of(&tensor), access.subscripts,
                   iteration);
}

View KernelEmitter::resolveFallback(const Access &access,
                                    ArrayRef<IterationDim> iteration) {
  const Tensor &tensor = *access.fallback;
  return resolveAt(access, tensor, storage.of(&tensor),
                   access.fallbackSubscripts, iteration);
}

View KernelEmitter::resolveSnapshot(const Access &access,
                                    const Snapshot &snapshot,
                                    ArrayRef<IterationDim> iteration) {
  const Tensor &tensor = *access.tensor;
  View view;
  for (unsigned dim = tensor.numBatch; dim < tensor.getRank(); ++dim)
    if (dim != tensor.producer->timeDims[0])
      resolveDim(view, access, tensor, dim, access.subscripts[dim],
                 /*isTime=*/false, iteration);
  // A buffer is never empty and needs no stand-in.
  view.memref = buffers[snapshot.buffer];
  return view;
}

View KernelEmitter::resolveAt(const Access &access, const Tensor &tensor,
                              const TensorStorage &place,
                              ArrayRef<Value> subscripts,
                              ArrayRef<IterationDim> iteration) {
  View view;
  view.memref = getBase(place);
  ArrayRef<unsigned> timeDims;
  if (tensor.producer)
    timeDims = tensor.producer->timeDims;
  if (place.isContracted()) {
    const Cluster &cluster = *clusters.of(tensor.node);
    unsigned dim = timeDims[place.level];
    Value subscript = current->blockSize
                          ? emitExpr(program.exprs.get(subscripts[dim]))
                          : emitScalar(subscripts[dim]);
    if (access.op && !storage.isServedByPrefill(access) &&
        !program.exprs.isInRange(program.exprs.get(subscripts[dim]),
                                 tensor.shape[dim]))
      view.inTime = emitInRange(subscript, tensor.shape[dim]);
    if (place.hasRingDim()) {
      Value step = emitStep(cluster, place.level, subscript);
      Value slot = b.createOrFold<ModOp>(loc, step, constant(place.ring));
      view.offsets.push_back(slot);
      view.sizes.push_back(b.getIndexAttr(1));
      view.dims.push_back(-1);
    }
  }
  SmallVector<ReassociationIndices> groups;
  for (unsigned d = 0; d < unsigned(place.hasRingDim()); ++d)
    groups.push_back({d});
  for (unsigned d = place.hasRingDim(); d < place.dims.size(); ++d) {
    unsigned dim = place.dims[d];
    groups.push_back({d});
    if (place.kind == TensorStorage::Kind::Buffer && isRowDim(dim)) {
      resolveRow(view, subscripts[dim], iteration);
      continue;
    }
    AffineExpr outer = program.exprs.get(subscripts[dim]), flat;
    // An index within the subscript, as in e / n.
    if (llvm::any_of(iteration, [&](const IterationDim &over) {
          AffineExpr index = program.exprs.get(over.index);
          return outer != index &&
                 outer.isFunctionOfDim(
                     cast<AffineDimExpr>(index).getPosition());
        }))
      flat = getFlat(access, tensor, subscripts, dim);
    if (flat &&
        resolveOver(view, flat, tensor.shape[dim] * tensor.shape[dim + 1],
                    iteration)) {
      groups.back().push_back(++d);
      continue;
    }
    resolveDim(view, access, tensor, dim, subscripts[dim],
               llvm::is_contained(timeDims, dim), iteration);
  }
  if (groups.size() < place.dims.size())
    view.memref = memref::CollapseShapeOp::create(b, loc, view.memref, groups);
  return view;
}

/// Surely, or as was tested.
bool KernelEmitter::isInRange(AffineExpr subscript, AffineExpr size) const {
  return program.exprs.isInRange(subscript, size) ||
         llvm::any_of(windows, [&](const Window &window) {
           return window.subscript == subscript && window.size == size;
         });
}

/// Where two neighbouring subscripts number the elements of two dims of a
/// buffer, x[e / n, e mod n], the one subscript e of both; else null.
AffineExpr KernelEmitter::getFlat(const Access &access, const Tensor &tensor,
                                  ArrayRef<Value> subscripts,
                                  unsigned dim) const {
  const TensorStorage &place = storage.of(&tensor);
  IndexExprs &exprs = program.exprs;
  if (place.kind != TensorStorage::Kind::Buffer || access.isGather() ||
      dim + 1 >= tensor.getRank() || storage.getSnapshot(access) ||
      !isa<AffineConstantExpr>(tensor.shape[dim + 1]))
    return {};
  ArrayRef<unsigned> dims = ArrayRef(place.dims).drop_front(place.hasRingDim());
  auto here = llvm::find(dims, dim);
  if (here == dims.end() || here + 1 == dims.end() || here[1] != dim + 1)
    return {};
  AffineExpr inner = exprs.get(subscripts[dim + 1]);
  if (!exprs.isInRange(inner, tensor.shape[dim + 1]))
    return {};
  return exprs.simplify(exprs.get(subscripts[dim]) * tensor.shape[dim + 1] +
                        inner);
}

/// Adds a dim in memory that the iteration runs over: the subscript is one of
/// its indices, and what is none of them, in range of the size.
bool KernelEmitter::resolveOver(View &view, AffineExpr expr, AffineExpr size,
                                ArrayRef<IterationDim> iteration) {
  IndexExprs &exprs = program.exprs;
  LinearExpr linear = LinearExpr::get(expr);
  for (auto [i, over] : llvm::enumerate(iteration)) {
    AffineExpr index = exprs.get(over.index);
    if (linear.getCoefficient(index) != 1)
      continue;
    AffineExpr rest = exprs.simplify(expr - index);
    bool isElsewhere = false;
    for (const IterationDim &other : iteration)
      isElsewhere |= rest.isFunctionOfDim(
          cast<AffineDimExpr>(exprs.get(other.index)).getPosition());
    if (isElsewhere || (expr != index && !isInRange(expr, size)))
      continue;
    OpFoldResult offset = over.lower;
    if (expr != index && over.start) {
      offset = emitExtent(exprs.simplify(rest + over.start));
    } else if (expr != index) {
      offset = emitExtent(rest);
      if (!isConstantIntValue(over.lower, 0))
        offset = b.createOrFold<arith::AddIOp>(loc, toValue(over.lower),
                                               toValue(offset));
    }
    view.offsets.push_back(offset);
    view.sizes.push_back(over.extent);
    view.dims.push_back(i);
    return true;
  }
  return false;
}

/// Adds the next dim in memory, dim `dim` of the tensor, to a view.
void KernelEmitter::resolveDim(View &view, const Access &access,
                               const Tensor &tensor, unsigned dim,
                               Value subscript, bool isTime,
                               ArrayRef<IterationDim> iteration) {
  AffineExpr expr = program.exprs.get(subscript);
  AffineExpr size = tensor.shape[dim];
  if (resolveOver(view, expr, size, iteration))
    return;
  bool inBlocks = current && current->blockSize;
  Value value = inBlocks ? emitExpr(expr) : emitScalar(subscript);
  if (access.op && !program.exprs.isInRange(expr, size)) {
    Value inRange = emitInRange(value, size);
    if (access.tensor == &tensor && access.isData(dim)) {
      recordFault(access, dim, value, inRange);
    } else {
      Value &condition = isTime ? view.inTime : view.inRest;
      condition = emitAnd(condition, inRange);
    }
    value = emitSelect(inRange, value, constant(0));
    if (!isPositive(size))
      view.memref = getStandIn(storage.of(&tensor));
  }
  view.offsets.push_back(value);
  view.sizes.push_back(b.getIndexAttr(1));
  view.dims.push_back(-1);
}

/// The dims of the view that the iteration runs over.
Value KernelEmitter::createSubview(const View &view) {
  if (view.dims.empty())
    return view.memref;
  auto source = cast<MemRefType>(view.memref.getType());
  SmallVector<OpFoldResult> ones(view.dims.size(), b.getIndexAttr(1));
  // Where nothing is, it may begin behind the end.
  SmallVector<OpFoldResult> offsets(view.offsets);
  for (auto [offset, size] : llvm::zip_equal(offsets, view.sizes))
    if (getConstantIntValue(size) == 0)
      offset = b.getIndexAttr(0);
  MemRefType full =
      memref::SubViewOp::inferResultType(source, offsets, view.sizes, ones);
  SmallVector<int64_t> strides, keptStrides, keptShape;
  int64_t offset;
  (void)full.getStridesAndOffset(strides, offset);
  for (auto [d, dim] : llvm::enumerate(view.dims)) {
    if (dim < 0)
      continue;
    keptShape.push_back(full.getDimSize(d));
    keptStrides.push_back(strides[d]);
  }
  auto type = MemRefType::get(
      keptShape, source.getElementType(),
      StridedLayoutAttr::get(b.getContext(), offset, keptStrides));
  return memref::SubViewOp::create(b, loc, type, view.memref, offsets,
                                   view.sizes, ones);
}

AffineMap KernelEmitter::getMap(const View &view, unsigned numDims) {
  SmallVector<AffineExpr> results;
  for (int dim : view.dims)
    if (dim >= 0)
      results.push_back(b.getAffineDimExpr(dim));
  return AffineMap::get(numDims, 0, results, b.getContext());
}

Value KernelEmitter::loadPoint(const View &view) {
  return memref::LoadOp::create(
      b, loc, view.memref,
      getValueOrCreateConstantIndexOp(b, loc, view.offsets));
}

void KernelEmitter::storePoint(const View &view, Value value) {
  memref::StoreOp::create(
      b, loc, value, view.memref,
      getValueOrCreateConstantIndexOp(b, loc, view.offsets));
}

/// A read of one point, at the current point of the loops.
Value KernelEmitter::emitPointRead(const Access &access) {
  Type scalar = access.op->getResult(0).getType();
  View view = resolve(access, {});
  Value value = fromMemory(loadPoint(view), scalar);
  Value inRange = emitAnd(view.inTime, view.inRest);
  if (!inRange)
    return value;
  Value other = emitZero(scalar);
  if (access.fallback) {
    View fallback = resolveFallback(access, {});
    other = emitSelect(emitAnd(fallback.inTime, fallback.inRest),
                       fromMemory(loadPoint(fallback), scalar), other);
  }
  return emitSelect(inRange, value, other);
}

//===----------------------------------------------------------------------===//
// Faults
//===----------------------------------------------------------------------===//

/// What the library's table of faults says about an access.
Attribute KernelEmitter::describeFault(const Access &access, unsigned dim) {
  std::string place;
  if (auto file = access.op->getLoc()->findInstanceOf<FileLineColLoc>()) {
    StringRef name = file.getFilename().getValue();
    place = (name.substr(name.rfind('/') + 1) + ":" + Twine(file.getLine()) +
             ":" + Twine(file.getColumn()))
                .str();
  }
  const Tensor &tensor = *access.tensor;
  StringRef name = cast<GatherOp>(access.op).getName();
  auto extent =
      AffineMap::get(0, program.kernel.getSizes().size(), tensor.shape[dim]);
  return b.getDictionaryAttr(
      {b.getNamedAttr("dim", b.getI64IntegerAttr(dim)),
       b.getNamedAttr("extent", AffineMapAttr::get(extent)),
       b.getNamedAttr("location", b.getStringAttr(place)),
       b.getNamedAttr("tensor", b.getStringAttr(name)),
       b.getNamedAttr("text", b.getStringAttr(name))});
}

/// fault = (1 + site, subscript), if it is the first one.
void KernelEmitter::recordFault(const Access &access, unsigned dim,
                                Value subscript, Value inRange) {
  Attribute site = describeFault(access, dim);
  auto known = llvm::find(faults, site);
  int64_t number = known - faults.begin();
  if (known == faults.end())
    faults.push_back(site);

  Type i64 = b.getI64Type();
  Value isOut = arith::XOrIOp::create(
      b, loc, inRange, arith::ConstantOp::create(b, loc, b.getBoolAttr(true)));
  auto report = scf::IfOp::create(b, loc, isOut, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(report.thenBlock());
  Value first = constant(0), second = constant(1);
  Value before = memref::LoadOp::create(b, loc, fault, first);
  Value isFirst = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq,
                                        before, emitZero(i64));
  auto store = scf::IfOp::create(b, loc, isFirst, /*withElseRegion=*/false);
  b.setInsertionPointToStart(store.thenBlock());
  Value code =
      arith::ConstantOp::create(b, loc, b.getI64IntegerAttr(number + 1));
  memref::StoreOp::create(b, loc, code, fault, first);
  memref::StoreOp::create(b, loc,
                          arith::IndexCastOp::create(b, loc, i64, subscript),
                          fault, second);
}

//===----------------------------------------------------------------------===//
// Slices and copies
//===----------------------------------------------------------------------===//

/// The part of a memref at the dims that `fix` fixes, whole in the others.
/// Dims of size 1 are left out.
KernelEmitter::Slice KernelEmitter::slice(Value memref, ArrayRef<unsigned> dims,
                                          ArrayRef<OpFoldResult> extents,
                                          FixDim fix, bool isBuffer) {
  View view;
  Slice result;
  view.memref = memref;
  for (auto [dim, extent] : llvm::zip(dims, extents)) {
    Value index = fix(dim);
    if (isRowDim(dim)) {
      view.offsets.push_back(isBuffer ? OpFoldResult(b.getIndexAttr(0))
                                      : OpFoldResult(firstRow));
      view.sizes.push_back(numRows);
      view.dims.push_back(result.dims.size());
      result.dims.push_back(dim);
      continue;
    }
    if (!index && isConstantIntValue(extent, 1))
      index = constant(0);
    if (index) {
      view.offsets.push_back(index);
      view.sizes.push_back(b.getIndexAttr(1));
      view.dims.push_back(-1);
      continue;
    }
    view.offsets.push_back(b.getIndexAttr(0));
    view.sizes.push_back(extent);
    view.dims.push_back(result.dims.size());
    result.dims.push_back(dim);
  }
  result.memref = createSubview(view);
  return result;
}

/// A tensor where it is kept; `fix` gives indices, also for a ring.
KernelEmitter::Slice KernelEmitter::sliceStorage(const Tensor &tensor,
                                                 FixDim fix) {
  const TensorStorage &place = storage.of(&tensor);
  SmallVector<OpFoldResult> extents;
  for (unsigned dim : place.dims)
    extents.push_back(emitExtent(tensor.shape[dim]));
  unsigned ringDim = tensor.getRank();
  if (place.hasRingDim()) {
    ringDim = place.dims[0];
    extents[0] = b.getIndexAttr(place.ring);
  }
  return slice(
      getBase(place), place.dims, extents,
      [&](unsigned dim) {
        Value index = fix(dim);
        if (!index || dim != ringDim)
          return index;
        Value step = emitStep(*clusters.of(tensor.node), place.level, index);
        return b.createOrFold<ModOp>(loc, step, constant(place.ring));
      },
      place.kind == TensorStorage::Kind::Buffer);
}

/// A tensor's output.
KernelEmitter::Slice KernelEmitter::sliceOutput(const Tensor &tensor,
                                                FixDim fix) {
  TensorSpecAttr spec = program.kernel.getOutput(tensor.output);
  SmallVector<unsigned> dims;
  SmallVector<OpFoldResult> extents;
  for (unsigned d = 0; d < spec.getShape().getNumResults(); ++d) {
    dims.push_back(spec.getReturnedDim(d));
    extents.push_back(emitExtent(tensor.shape[dims.back()]));
  }
  return slice(outputs[tensor.output], dims, extents, fix);
}

/// to[p] = from[p], converted; `from` may lack dims of `to`.
void KernelEmitter::copy(const Slice &from, const Slice &to) {
  unsigned numDims = to.dims.size();
  SmallVector<AffineExpr> results;
  for (unsigned dim : from.dims)
    results.push_back(
        b.getAffineDimExpr(llvm::find(to.dims, dim) - to.dims.begin()));
  SmallVector<AffineMap> maps = {
      AffineMap::get(numDims, 0, results, b.getContext()),
      b.getMultiDimIdentityMap(numDims)};
  Type element = cast<MemRefType>(to.memref.getType()).getElementType();
  if (numDims == 0) {
    Value value = memref::LoadOp::create(b, loc, from.memref);
    memref::StoreOp::create(b, loc, toMemory(value, element), to.memref);
    return;
  }
  SmallVector<utils::IteratorType> iterators(numDims,
                                             utils::IteratorType::parallel);
  linalg::GenericOp::create(
      b, loc, from.memref, to.memref, maps, iterators,
      [&](OpBuilder &inner, Location at, ValueRange args) {
        OpBuilder::InsertionGuard guard(b);
        b.setInsertionPoint(inner.getInsertionBlock(),
                            inner.getInsertionPoint());
        linalg::YieldOp::create(b, at, toMemory(args[0], element));
      });
}

/// Whether an optional tensor was passed.
Value KernelEmitter::isGiven(Value memref) {
  Value address =
      memref::ExtractAlignedPointerAsIndexOp::create(b, loc, memref);
  return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, address,
                               constant(0));
}
