//===- EmitRows.cpp - Batch points and blocks of rows ---------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Points are numbered row-major over the batch sizes; where some are rows
// (Rows.h), the row dim is the last one, so that a range of points is made of
// blocks:
//
//   for the other batch dims
//     for each block of at most 16 of the rows in the range
//       pack the matrices, if there are rows and steps enough
//       the clusters, with all rows at each step
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "passes/Forms/Emit.h"

using namespace mlir;
using namespace rondo;

//===----------------------------------------------------------------------===//
// Points
//===----------------------------------------------------------------------===//

/// Rows of the largest block, for buffers.
Value KernelEmitter::emitMostRows() {
  Value size = emitExpr(program.batchSizes[storage.rows->dim]);
  return b.createOrFold<arith::MinSIOp>(loc, size, constant(Rows::kRows));
}

/// The batch dims but for the rows.
void KernelEmitter::unravel(Value point) {
  batchPoint.assign(program.numBatch, Value());
  unsigned first = isRowDim(0);
  for (unsigned i = program.numBatch; i-- > 0;) {
    if (isRowDim(i))
      continue;
    if (i == first) {
      batchPoint[i] = point;
      break;
    }
    Value size = emitExpr(program.batchSizes[i]);
    batchPoint[i] = arith::RemUIOp::create(b, loc, point, size);
    point = arith::DivUIOp::create(b, loc, point, size);
  }
}

void KernelEmitter::emitPointLoop(Value begin, Value end) {
  OpBuilder::InsertionGuard guard(b);
  auto points = scf::ForOp::create(b, loc, begin, end, constant(1));
  entryEnd = points;
  b.setInsertionPointToStart(points.getBody());
  unravel(points.getInductionVar());
  emitPoint();
}

/// Arguments and results from channel `first` on.
void KernelEmitter::sliceChannels(Value first) {
  auto slice = [&](Value &memref, TensorSpecAttr spec) {
    SmallVector<AffineExpr> shape;
    for (AffineExpr size : spec.getShape().getResults())
      shape.push_back(program.exprs.getOfSizes(size));
    std::optional<unsigned> dim = storage.channels->getDim(shape);
    if (!dim)
      return;
    SmallVector<OpFoldResult> offsets(shape.size(), b.getIndexAttr(0));
    SmallVector<OpFoldResult> ones(shape.size(), b.getIndexAttr(1)), extents;
    offsets[*dim] = first;
    for (AffineExpr size : shape)
      extents.push_back(emitExtent(size));
    memref = memref::SubViewOp::create(b, loc, memref, offsets, extents, ones);
  };
  for (auto [i, input] : llvm::enumerate(inputs))
    slice(input, program.kernel.getInput(i));
  for (auto [i, output] : llvm::enumerate(outputs))
    slice(output, program.kernel.getOutput(i));
}

/// A loop over the outer points to which the points from `begin` to `end`
/// belong, `count` of them to each; emission goes on inside.
KernelEmitter::OuterPoint KernelEmitter::enterOuterPoints(Value begin, Value end,
                                                          Value count) {
  Value first = b.createOrFold<arith::DivUIOp>(loc, begin, count);
  Value last = b.createOrFold<arith::CeilDivUIOp>(loc, end, count);
  auto loop = scf::ForOp::create(b, loc, first, last, constant(1));
  entryEnd = loop;
  b.setInsertionPointToStart(loop.getBody());
  Value point = loop.getInductionVar();
  Value start = arith::MulIOp::create(b, loc, point, count);
  Value lower = arith::SubIOp::create(b, loc, begin, start);
  lower = arith::MaxSIOp::create(b, loc, lower, constant(0));
  Value upper = arith::SubIOp::create(b, loc, end, start);
  upper = arith::MinSIOp::create(b, loc, upper, count);
  return {point, lower, upper};
}

/// Points are the parts of the first batch point, of the next one, and so on.
void KernelEmitter::emitParts(Value begin, Value end) {
  OpBuilder::InsertionGuard guard(b);
  Value one = constant(1);
  Value part = constant(storage.channels->getPart());
  Value &size = sizes[storage.channels->number];
  Value numParts = b.createOrFold<arith::CeilDivUIOp>(loc, size, part);
  numParts = b.createOrFold<arith::MaxSIOp>(loc, numParts, one);
  auto [point, lower, upper] = enterOuterPoints(begin, end, numParts);
  Value firstChannel = arith::MulIOp::create(b, loc, lower, part);
  Value lastChannel = arith::MulIOp::create(b, loc, upper, part);
  lastChannel = arith::MinSIOp::create(b, loc, lastChannel, size);
  size = arith::SubIOp::create(b, loc, lastChannel, firstChannel);
  Value block = constant(storage.channels->block);
  numBlocks = arith::CeilDivUIOp::create(b, loc, size, block);
  sliceChannels(firstChannel);
  unravel(point);
  emitPoint();
}

/// A block is a kernel of its own, of fewer channels.
void KernelEmitter::forEachBlock(llvm::function_ref<void()> emit) {
  OpBuilder::InsertionGuard guard(b);
  auto allSizes = sizes, allInputs = inputs, allOutputs = outputs,
       allBuffers = buffers;
  IRMapping before = map;
  auto blocks =
      scf::ForOp::create(b, loc, constant(0), numBlocks, constant(1));
  b.setInsertionPointToStart(blocks.getBody());
  Value number = blocks.getInductionVar();
  Value length = constant(storage.channels->block);
  Value &size = sizes[storage.channels->number];
  Value first = arith::MulIOp::create(b, loc, number, length);
  size = arith::SubIOp::create(b, loc, size, first);
  size = arith::MinSIOp::create(b, loc, size, length);
  sliceChannels(first);
  for (auto [buffer, view] : llvm::zip_equal(storage.buffers, buffers))
    if (buffer.isOfBlocks)
      view = sliceSlot(view, number);
  emit();
  sizes = allSizes;
  inputs = allInputs;
  outputs = allOutputs;
  buffers = allBuffers;
  map = before;
}

void KernelEmitter::emitInBlocks(const Cluster &cluster) {
  if (cluster.loops.size() != 1)
    return forEachBlock([&] { emitCluster(cluster); });
  loc = cluster.nodes[0]->op->getLoc();
  forEachBlock([&] { emitPrefills(cluster, 0); });
  OpBuilder::InsertionGuard guard(b);
  Value size = emitExpr(cluster.loops[0].size);
  Value most = constant(ChannelBlocks::kSteps);
  auto some = scf::ForOp::create(b, loc, constant(0), size, most);
  b.setInsertionPointToStart(some.getBody());
  Value lower = some.getInductionVar();
  Value upper = arith::AddIOp::create(b, loc, lower, most);
  upper = arith::MinSIOp::create(b, loc, upper, size);
  forEachBlock([&] { emitSteps(cluster, 0, lower, upper); });
  b.setInsertionPointAfter(some);
  forEachBlock([&] { emitFinals(cluster); });
}

void KernelEmitter::emitPoints(Value begin, Value end) {
  if (storage.channels)
    return emitParts(begin, end);
  if (!storage.rows)
    return emitPointLoop(begin, end);
  Value one = constant(1);
  OpBuilder::InsertionGuard guard(b);
  Value size = emitExpr(program.batchSizes[storage.rows->dim]);
  size = b.createOrFold<arith::MaxSIOp>(loc, size, one);
  // The rows of this point that are in the range.
  auto [point, lower, upper] = enterOuterPoints(begin, end, size);
  unravel(point);
  auto blocks = scf::ForOp::create(b, loc, lower, upper, constant(Rows::kRows));
  b.setInsertionPointToStart(blocks.getBody());
  Value rest = arith::SubIOp::create(b, loc, upper, blocks.getInductionVar());
  Value count = arith::MinSIOp::create(b, loc, rest, constant(Rows::kRows));
  emitBlock(blocks.getInductionVar(), count);
}

void KernelEmitter::emitBlock(Value begin, Value count) {
  firstRow = begin;
  numRows = count;
  const Cluster &cluster = *storage.rows->groups[0].cluster;
  Value enough = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sge, count,
                                       constant(Rows::kLeastRows));
  Value steps = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sge,
                                      emitExpr(cluster.loops[0].size),
                                      constant(Rows::kLeastSteps));
  isPacked = emitAnd(enough, steps);
  emitPoint();
}

/// All clusters at a point, or block.
void KernelEmitter::emitPoint() {
  positive.assign(program.batchSizes.begin(), program.batchSizes.end());
  for (const std::unique_ptr<Cluster> &cluster : clusters.list)
    storage.channels ? emitInBlocks(*cluster) : emitCluster(*cluster);
}

/// The dim in a buffer for the rows.
void KernelEmitter::resolveRow(View &view, Value subscript,
                               ArrayRef<IterationDim> iteration) {
  for (auto [i, over] : llvm::enumerate(iteration)) {
    if (program.exprs.get(subscript) != program.exprs.get(over.index))
      continue;
    view.offsets.push_back(b.getIndexAttr(0));
    view.sizes.push_back(over.extent);
    view.dims.push_back(i);
    return;
  }
  view.offsets.push_back(OpFoldResult(
      b.createOrFold<arith::SubIOp>(loc, emitScalar(subscript), firstRow)));
  view.sizes.push_back(b.getIndexAttr(1));
  view.dims.push_back(-1);
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

/// buffer[slot, ..].
Value KernelEmitter::sliceSlot(Value buffer, Value slot) {
  auto type = cast<MemRefType>(buffer.getType());
  View view;
  view.memref = buffer;
  for (int64_t dim = 0; dim < type.getRank(); ++dim) {
    view.offsets.push_back(dim ? OpFoldResult(b.getIndexAttr(0))
                               : OpFoldResult(slot));
    view.sizes.push_back(dim ? memref::getMixedSize(b, loc, buffer, dim)
                             : OpFoldResult(b.getIndexAttr(1)));
    view.dims.push_back(dim - 1);
  }
  return createSubview(view);
}

/// As it was packed.
View KernelEmitter::resolvePacked(const Access &access,
                                  ArrayRef<IterationDim> iteration) {
  const ProductGroup &group = storage.rows->groups[productGroup];
  auto member = llvm::find_if(group.members, [&](const Product &each) {
    return each.matrix == &access;
  });
  View view;
  view.memref =
      sliceSlot(buffers[storage.groups[productGroup].matrices], product);
  for (Value index : member->packed) {
    auto over = llvm::find_if(iteration, [&](const IterationDim &each) {
      return each.index == index;
    });
    bool isFixed = over == iteration.end();
    view.offsets.push_back(isFixed ? OpFoldResult(emitScalar(index))
                                   : over->lower);
    view.sizes.push_back(isFixed ? OpFoldResult(b.getIndexAttr(1))
                                 : over->extent);
    view.dims.push_back(isFixed ? -1 : int(over - iteration.begin()));
  }
  return view;
}

/// The input that is the matrix of product number `place` of a group.
Value KernelEmitter::selectMatrix(const ProductGroup &group, Value place) {
  Value matrix;
  for (auto [m, member] : llvm::enumerate(group.members)) {
    Value input = inputs[member.matrix->tensor->argument];
    if (m == 0) {
      matrix = input;
      continue;
    }
    Value isThis = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq,
                                         place, constant(m));
    matrix = emitSelect(isThis, input, matrix);
  }
  return matrix;
}

/// Emits something for each product of a group: in a loop where these differ
/// in their matrices' addresses only.
void KernelEmitter::forEachProduct(
    unsigned number, llvm::function_ref<void(const Product &member)> emit) {
  const ProductGroup &group = storage.rows->groups[number];
  OpBuilder::InsertionGuard guard(b);
  productGroup = number;
  if (group.areAlike) {
    auto loop = scf::ForOp::create(b, loc, constant(0),
                                   constant(group.members.size()), constant(1));
    b.setInsertionPointToStart(loop.getBody());
    product = loop.getInductionVar();
    matrix = selectMatrix(group, product);
    emit(group.members[0]);
  } else {
    for (auto [m, member] : llvm::enumerate(group.members)) {
      product = constant(m);
      matrix = inputs[member.matrix->tensor->argument];
      emit(member);
    }
  }
  product = matrix = Value();
}

/// Copies the matrices of a group, before the loop over time.
void KernelEmitter::emitPacked(unsigned number) {
  Value buffer = buffers[storage.groups[number].matrices];
  auto test = scf::IfOp::create(b, loc, isPacked, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(test.thenBlock());
  IRMapping before = map;
  forEachProduct(number, [&](const Product &member) {
    Statement &statement = *member.statement;
    loc = statement.op.getLoc();
    current = &statement;
    for (unsigned dim = 0; dim < program.numBatch; ++dim)
      if (batchPoint[dim])
        map.map(statement.indices[dim], batchPoint[dim]);
    SmallVector<IterationDim> iteration;
    View to;
    to.memref = sliceSlot(buffer, product);
    for (Value index : member.packed) {
      OpFoldResult size = emitExtent(program.getIndexSize(statement, index));
      // Views have no dims of one value.
      bool isOne = isConstantIntValue(size, 1);
      to.offsets.push_back(b.getIndexAttr(0));
      to.sizes.push_back(size);
      to.dims.push_back(isOne ? -1 : int(iteration.size()));
      if (isOne)
        map.map(index, constant(0));
      else
        iteration.push_back({index, false, b.getIndexAttr(0), size});
    }
    View from = resolve(*member.matrix, iteration);
    from.memref = matrix;
    Slice source{createSubview(from), {}}, target{createSubview(to), {}};
    for (int dim : from.dims)
      if (dim >= 0)
        source.dims.push_back(dim);
    for (unsigned dim = 0; dim < iteration.size(); ++dim)
      target.dims.push_back(dim);
    copy(source, target);
  });
  current = nullptr;
  map = before;
}

/// All products of a group where the first one stands. Returns whether the
/// statement is one.
bool KernelEmitter::emitProducts(Statement &statement) {
  auto place = storage.rows->find(&statement);
  if (!place)
    return false;
  auto [group, member] = *place;
  if (member > 0)
    return true;
  auto test = scf::IfOp::create(b, loc, isPacked, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  IRMapping before = map;
  for (bool packed : {true, false}) {
    b.setInsertionPointToStart(packed ? test.thenBlock() : test.elseBlock());
    isProductPacked = packed;
    forEachProduct(
        group, [&](const Product &each) { emitStatement(*each.statement); });
    map = before;
  }
  return true;
}

/// The matrix of the product that is computed.
View KernelEmitter::resolveMatrix(const Access &access,
                                  ArrayRef<IterationDim> iteration) {
  if (isProductPacked)
    return resolvePacked(access, iteration);
  View view = resolve(access, iteration);
  view.memref = matrix;
  return view;
}
