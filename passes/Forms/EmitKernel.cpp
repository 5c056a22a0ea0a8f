//===- EmitKernel.cpp - The function of a kernel --------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// @f(sizes.., inputs.., outputs.., %workspace, %begin, %end, %fault):
//
//   views of the workspace, scalars of the kernel
//   for each batch point, or block of rows (EmitRows.cpp)
//     for each cluster
//       fill the rings of what runs along the first loop
//       for each step: snapshots, then the statements in their order
//       final values
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "passes/Forms/Emit.h"

using namespace mlir;
using namespace rondo;

void KernelEmitter::run() {
  loc = program.kernel.getLoc();
  createFunction();
  createWorkerBytes();
}

//===----------------------------------------------------------------------===//
// The function
//===----------------------------------------------------------------------===//

/// The kernel's attributes but for its name.
DictionaryAttr KernelEmitter::getSignature() {
  SmallVector<NamedAttribute> attrs;
  for (NamedAttribute attr : program.kernel->getAttrDictionary())
    if (attr.getName() != SymbolTable::getSymbolAttrName() &&
        attr.getName() != SymbolTable::getVisibilityAttrName())
      attrs.push_back(attr);
  return b.getDictionaryAttr(attrs);
}

void KernelEmitter::createFunction() {
  KernelOp kernel = program.kernel;
  Block &source = kernel.getBody().front();
  Type index = b.getIndexType();
  unsigned numSizes = kernel.getSizes().size();
  SmallVector<Type> types(numSizes, index);
  SmallVector<Location> locs(numSizes, loc);
  for (BlockArgument argument : source.getArguments()) {
    types.push_back(
        Storage::getMemRefType(kernel.getInput(argument.getArgNumber())));
    locs.push_back(argument.getLoc());
  }
  for (auto spec : kernel.getOutputs().getAsRange<TensorSpecAttr>()) {
    types.push_back(Storage::getMemRefType(spec));
    locs.push_back(NameLoc::get(b.getStringAttr(spec.getName()), loc));
  }
  types.push_back(MemRefType::get({ShapedType::kDynamic}, b.getI8Type()));
  types.append({index, index, MemRefType::get({2}, b.getI64Type())});
  locs.append(4, loc);

  func = func::FuncOp::create(b, loc, kernel.getSymName(),
                              b.getFunctionType(types, {}));
  OpBuilder::InsertionGuard guard(b);
  Block *entry = b.createBlock(&func.getBody(), {}, types, locs);
  ValueRange arguments = entry->getArguments();
  unsigned numInputs = source.getNumArguments();
  unsigned numOutputs = kernel.getOutputs().size();
  llvm::append_range(sizes, arguments.take_front(numSizes));
  for (auto [i, bound] : llvm::enumerate(kernel.getBound()))
    if (bound >= 0)
      sizes[i] = constant(bound);
  llvm::append_range(inputs, arguments.slice(numSizes, numInputs));
  llvm::append_range(outputs,
                     arguments.slice(numSizes + numInputs, numOutputs));
  ValueRange rest = arguments.drop_front(numSizes + numInputs + numOutputs);
  workspace = rest[0];
  fault = rest[3];

  // Buffers are as large as the longest block.
  Value numChannels;
  if (storage.channels) {
    numChannels = sizes[storage.channels->number];
    limitChannels();
  }
  createBuffers();
  if (numChannels)
    sizes[storage.channels->number] = numChannels;
  for (Operation &op : source) {
    if (auto size = dyn_cast<SizeOp>(op))
      map.map(size.getResult(), sizes[kernel.getSizeIndex(size.getName())]);
    else if (!isa<EquationOp, RecurrenceOp, InitialOp, ReturnOp>(op))
      emitOp(&op, map);
  }
  entryEnd = func::ReturnOp::create(b, loc);
  b.setInsertionPoint(entryEnd);
  emitPoints(rest[1], rest[2]);

  func->setAttr("rondo.signature", getSignature());
  func->setAttr("rondo.faults", b.getArrayAttr(faults));
  func->setAttr("rondo.form", b.getStringAttr("sequential"));
  if (storage.rows)
    func->setAttr("rondo.rows", b.getUnitAttr());
  if (const ChannelBlocks *channels = storage.channels) {
    func->setAttr("rondo.rows", b.getUnitAttr());
    func->setAttr("rondo.channels",
                  b.getDenseI64ArrayAttr(
                      {channels->number, channels->getPart()}));
  }
}

//===----------------------------------------------------------------------===//
// The workspace
//===----------------------------------------------------------------------===//

/// The byte offset of each buffer, and the bytes of all. Buffers that a cluster
/// uses alone start where those of the other clusters do.
SmallVector<Value> KernelEmitter::emitLayout(Value &total) {
  auto bytesOf = [&](const Buffer &buffer) {
    int64_t bytes = llvm::divideCeil(buffer.element.getIntOrFloatBitWidth(), 8);
    SmallVector<Value> dynamic;
    if (buffer.isOfBlocks)
      dynamic.push_back(emitMostBlocks());
    for (AffineExpr size : buffer.sizes) {
      if (!size)
        dynamic.push_back(emitMostRows());
      else if (auto value = dyn_cast<AffineConstantExpr>(size))
        bytes *= std::max<int64_t>(value.getValue(), 1);
      else
        dynamic.push_back(
            b.createOrFold<arith::MaxSIOp>(loc, emitExpr(size), constant(1)));
    }
    if (dynamic.empty())
      return constant(llvm::alignTo(bytes, 64));
    Value product = constant(bytes);
    for (Value size : dynamic)
      product = b.createOrFold<arith::MulIOp>(loc, product, size);
    product = b.createOrFold<arith::AddIOp>(loc, product, constant(63));
    return Value(b.createOrFold<arith::AndIOp>(loc, product, constant(-64)));
  };
  SmallVector<Value> offsets(storage.buffers.size());
  auto place = [&](int cluster, Value start) {
    for (auto [i, buffer] : llvm::enumerate(storage.buffers)) {
      if (buffer.cluster != cluster)
        continue;
      offsets[i] = start;
      start = b.createOrFold<arith::AddIOp>(loc, start, bytesOf(buffer));
    }
    return start;
  };
  Value shared = place(-1, constant(0));
  total = shared;
  for (unsigned cluster = 0; cluster < clusters.list.size(); ++cluster) {
    Value end = place(cluster, shared);
    if (end != shared)
      total = total == shared ? end
                              : b.createOrFold<arith::MaxSIOp>(loc, total, end);
  }
  for (const Buffer &buffer : standInBuffers)
    total = b.createOrFold<arith::MaxSIOp>(loc, total, bytesOf(buffer));
  return offsets;
}

void KernelEmitter::createBuffers() {
  Value total;
  SmallVector<Value> offsets = emitLayout(total);
  for (auto [buffer, offset] : llvm::zip(storage.buffers, offsets)) {
    SmallVector<int64_t> shape;
    SmallVector<Value> dynamic;
    if (buffer.isOfBlocks) {
      shape.push_back(ShapedType::kDynamic);
      dynamic.push_back(emitMostBlocks());
    }
    for (AffineExpr size : buffer.sizes) {
      auto value = dyn_cast_if_present<AffineConstantExpr>(size);
      // A dim of a known size of 0 has room for one, as in the layout.
      shape.push_back(value ? std::max<int64_t>(value.getValue(), 1)
                            : ShapedType::kDynamic);
      if (value)
        continue;
      Value extent = size ? emitExpr(size) : emitMostRows();
      dynamic.push_back(getConstantIntValue(extent) == 0 ? constant(1)
                                                         : extent);
    }
    buffers.push_back(
        memref::ViewOp::create(b, loc, MemRefType::get(shape, buffer.element),
                               workspace, offset, dynamic));
  }
}

/// From here on there are as many channels as in the longest block.
void KernelEmitter::limitChannels() {
  Value &size = sizes[storage.channels->number];
  Value block = constant(storage.channels->block);
  numBlocks = b.createOrFold<arith::CeilDivUIOp>(loc, size, block);
  size = b.createOrFold<arith::MinSIOp>(loc, size, block);
}

/// Blocks of all channels, at least one.
Value KernelEmitter::emitMostBlocks() {
  return b.createOrFold<arith::MaxSIOp>(loc, numBlocks, constant(1));
}

void KernelEmitter::createWorkerBytes() {
  unsigned numSizes = sizes.size();
  SmallVector<Type> types(numSizes, b.getIndexType());
  auto bytes =
      func::FuncOp::create(b, loc, (func.getSymName() + "_worker_bytes").str(),
                           b.getFunctionType(types, b.getIndexType()));
  OpBuilder::InsertionGuard guard(b);
  Block *entry = bytes.addEntryBlock();
  b.setInsertionPointToStart(entry);
  sizes.assign(entry->args_begin(), entry->args_end());
  if (storage.channels)
    limitChannels();
  Value total;
  emitLayout(total);
  func::ReturnOp::create(b, loc, total);
}

//===----------------------------------------------------------------------===//
// Clusters
//===----------------------------------------------------------------------===//

/// Binds a statement's batch and time indices.
void KernelEmitter::mapIndices(const Statement &statement) {
  for (unsigned dim = 0; dim < program.numBatch; ++dim)
    if (batchPoint[dim])
      map.map(statement.indices[dim], batchPoint[dim]);
  for (auto [l, dim] : llvm::enumerate(statement.timeDims))
    map.map(statement.blockSize ? statement.block : statement.indices[dim],
            timePoint[l]);
}

void KernelEmitter::emitCluster(const Cluster &cluster) {
  if (auto initial = dyn_cast<InitialOp>(cluster.nodes[0]->op)) {
    loc = initial.getLoc();
    emitInitial(*cluster.nodes[0]);
    return;
  }
  loc = cluster.nodes[0]->op->getLoc();
  if (numRows)
    for (auto [i, group] : llvm::enumerate(storage.rows->groups))
      if (group.cluster == &cluster)
        emitPacked(i);
  emitLoop(cluster, 0);
  emitFinals(cluster);
}

void KernelEmitter::emitFinals(const Cluster &cluster) {
  for (Node *node : cluster.nodes)
    for (Statement *statement : node->statements)
      if (statement->result->final && !statement->isCarried())
        emitFinal(*statement->result);
}

/// Whether no step needs what another one has left in memory.
bool KernelEmitter::hasIndependentSteps(const Cluster &cluster) {
  if (cluster.loops[0].direction != Direction::Any)
    return false;
  for (Statement *statement : cluster.schedule) {
    const TensorStorage &place = storage.of(statement->result);
    if (place.hasRingDim() || place.prefilled)
      return false;
  }
  return llvm::none_of(storage.snapshots, [&](const Snapshot &snapshot) {
    return clusters.of(snapshot.tensor->node) == &cluster;
  });
}

void KernelEmitter::emitPrefills(const Cluster &cluster, unsigned level) {
  for (Statement *statement : cluster.schedule) {
    const TensorStorage &place = storage.of(statement->result);
    if (place.isContracted() && place.prefilled && place.level == level)
      emitPrefill(*statement->result);
  }
}

void KernelEmitter::emitLoop(const Cluster &cluster, unsigned level) {
  if (level == cluster.loops.size())
    return emitStepBody(cluster);
  emitPrefills(cluster, level);
  emitSteps(cluster, level, constant(0), emitExpr(cluster.loops[level].size));
}

void KernelEmitter::emitSteps(const Cluster &cluster, unsigned level,
                              Value lower, Value upper) {
  const Loop &loop = cluster.loops[level];
  Value size = emitExpr(loop.size);
  auto steps = scf::ForOp::create(b, loc, lower, upper, constant(1));
  if (level + 1 == cluster.loops.size())
    steps->setAttr("rondo.steps", b.getUnitAttr());
  if (level == 0 && hasIndependentSteps(cluster))
    steps->setAttr("rondo.independent", b.getUnitAttr());
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(steps.getBody());
  Value step = steps.getInductionVar(), time = step;
  if (loop.direction == Direction::Reversed) {
    Value last = arith::SubIOp::create(b, loc, size, constant(1));
    time = arith::SubIOp::create(b, loc, last, step);
  }
  this->steps.push_back(step);
  timePoint.push_back(time);
  positive.push_back(loop.size);
  emitLoop(cluster, level + 1);
  this->steps.pop_back();
  timePoint.pop_back();
  positive.pop_back();
}

/// All statements at one step.
void KernelEmitter::emitStepBody(const Cluster &cluster) {
  for (Statement *statement : cluster.schedule)
    mapIndices(*statement);
  for (Node *node : cluster.nodes)
    if (auto recurrence = dyn_cast<RecurrenceOp>(node->op))
      if (!program.isInner(recurrence))
        emitRegionScalars(recurrence.getBlock());
  for (const Snapshot &snapshot : storage.snapshots)
    if (clusters.of(snapshot.tensor->node) == &cluster)
      emitSnapshot(snapshot, cluster);
  ArrayRef<Statement *> schedule = cluster.schedule;
  while (!schedule.empty()) {
    IterateOp iterate = schedule.front()->iterate;
    ArrayRef<Statement *> together = schedule.take_while(
        [&](Statement *statement) { return statement->iterate == iterate; });
    schedule = schedule.drop_front(together.size());
    if (iterate)
      emitIterate(iterate, together);
    else
      emitStatements(together);
  }
}

/// Statements and inner recurrences, in their order.
void KernelEmitter::emitStatements(ArrayRef<Statement *> schedule) {
  while (!schedule.empty()) {
    RecurrenceOp inner = schedule.front()->inner;
    ArrayRef<Statement *> together = schedule.take_while(
        [&](Statement *statement) { return statement->inner == inner; });
    if (!inner) // each by itself
      together = together.take_front(1);
    schedule = schedule.drop_front(together.size());
    auto emit = [&] {
      if (inner)
        emitInner(inner, together, 0);
      else
        emitAndCopyOut(*together.front());
    };
    auto it = steady.find(together.front());
    if (it == steady.end() || !it->second.isKept) {
      emit();
      continue;
    }
    auto test = scf::IfOp::create(b, loc, emitChanges(it->second),
                                  /*withElseRegion=*/false);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(test.thenBlock());
    IRMapping before = map;
    emit();
    map = before;
  }
}

/// Whether a steady statement computes at this chunk what it did not before.
Value KernelEmitter::emitChanges(const Steadiness &steadiness) {
  Value chunk = timePoint[0];
  Value isFirst = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, chunk,
                                        constant(0));
  if (!steadiness.length)
    return isFirst;
  Value end = arith::AddIOp::create(b, loc, chunk, constant(1));
  end = arith::MulIOp::create(b, loc, end, constant(steadiness.chunk));
  Value isCut = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sgt, end,
                                      emitExpr(steadiness.length));
  return arith::OrIOp::create(b, loc, isFirst, isCut);
}

/// The scalar code between the equations of a region.
void KernelEmitter::emitRegionScalars(Block &block) {
  for (Operation &op : block) {
    if (auto read = dyn_cast<ReadOp>(op)) {
      Access access;
      access.op = read;
      access.tensor = program.getTensor(read.getSource());
      llvm::append_range(access.subscripts, read.getSubscripts());
      map.map(read.getResult(), emitPointRead(access));
    } else if (!isa<EquationOp, RecurrenceOp, IterateOp, YieldOp>(op)) {
      emitOp(&op, map);
    }
  }
}

/// state = initial, before the first step of an inner recurrence.
void KernelEmitter::emitCarriedInitial(const Tensor &state) {
  const Tensor &initial = *state.initial;
  auto here = [&](const Tensor &tensor) {
    return [&](unsigned dim) -> Value {
      if (dim < program.numBatch)
        return batchPoint[dim];
      if (!tensor.producer)
        return Value();
      auto loop = llvm::find(tensor.producer->timeDims, dim);
      return loop == tensor.producer->timeDims.end()
                 ? Value()
                 : timePoint[loop - tensor.producer->timeDims.begin()];
    };
  };
  Slice value = sliceStorage(initial, here(initial));
  for (unsigned &dim : value.dims)
    dim += state.getRank() - initial.getRank();
  copy(value, sliceStorage(state, here(state)));
}

/// An inner recurrence: its own loops around its statements.
void KernelEmitter::emitInner(RecurrenceOp inner,
                              ArrayRef<Statement *> statements,
                              unsigned level) {
  if (level == inner.getNumAlong()) {
    emitRegionScalars(inner.getBlock());
    for (Statement *statement : statements)
      emitAndCopyOut(*statement);
    return;
  }
  for (Statement *statement : statements)
    if (statement->isCarried() && statement->result->initial)
      emitCarriedInitial(*statement->result);
  Value size = emitExpr(program.exprs.get(inner.getSizes()[level]));
  auto steps = scf::ForOp::create(b, loc, constant(0), size, constant(1));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(steps.getBody());
  Value time = steps.getInductionVar();
  if (inner.getReversed()[level]) {
    Value last = arith::SubIOp::create(b, loc, size, constant(1));
    time = arith::SubIOp::create(b, loc, last, time);
  }
  map.map(inner.getAlongIndices()[level], time);
  positive.push_back(program.exprs.get(inner.getSizes()[level]));
  emitInner(inner, statements, level + 1);
  positive.pop_back();
}

void KernelEmitter::emitAndCopyOut(Statement &statement) {
  loc = statement.op.getLoc();
  if (numRows && emitProducts(statement))
    return;
  emitStatement(statement);
  const Tensor &tensor = *statement.result;
  if (!storage.of(&tensor).isCopiedOut)
    return;
  OpBuilder::InsertionGuard guard(b);
  TensorSpecAttr spec = program.kernel.getOutput(tensor.output);
  if (spec.getRole() == Role::Final) {
    Value given = isGiven(outputs[tensor.output]);
    auto test = scf::IfOp::create(b, loc, given, /*withElseRegion=*/false);
    b.setInsertionPointToStart(test.thenBlock());
  }
  // A result that lacks batch dims is written at their first point.
  Value isFirst;
  SmallVector<unsigned> returned;
  for (unsigned d = 0; d < spec.getShape().getNumResults(); ++d)
    returned.push_back(spec.getReturnedDim(d));
  for (unsigned dim = 0; dim < program.numBatch; ++dim)
    if (!llvm::is_contained(returned, dim))
      isFirst = emitAnd(isFirst,
                        arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq,
                                              batchPoint[dim], constant(0)));
  if (isFirst) {
    auto test = scf::IfOp::create(b, loc, isFirst, /*withElseRegion=*/false);
    b.setInsertionPointToStart(test.thenBlock());
  }
  auto here = [&](unsigned dim) -> Value {
    if (dim < program.numBatch)
      return batchPoint[dim];
    auto loop = llvm::find(statement.timeDims, dim);
    return loop == statement.timeDims.end()
               ? Value()
               : timePoint[loop - statement.timeDims.begin()];
  };
  copy(sliceStorage(tensor, here), sliceOutput(tensor, here));
}

//===----------------------------------------------------------------------===//
// States
//===----------------------------------------------------------------------===//

/// The initial value that the caller gave, else the declared one.
void KernelEmitter::emitInitial(const Node &node) {
  const Tensor &tensor = *node.initial;
  Statement &declared = *node.statements[0];
  mapIndices(declared);
  auto given = cast<BlockArgument>(cast<InitialOp>(node.op).getGiven());
  Value memref = inputs[given.getArgNumber()];
  auto test =
      scf::IfOp::create(b, loc, isGiven(memref), /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(test.thenBlock());
  auto here = [&](unsigned dim) {
    return dim < program.numBatch ? batchPoint[dim] : Value();
  };
  SmallVector<unsigned> dims;
  SmallVector<OpFoldResult> extents;
  for (unsigned dim = 0; dim < tensor.getRank(); ++dim) {
    dims.push_back(dim);
    extents.push_back(emitExtent(tensor.shape[dim]));
  }
  copy(slice(memref, dims, extents, here), sliceStorage(tensor, here));
  b.setInsertionPointToStart(test.elseBlock());
  emitStatement(declared);
}

/// Fills a ring with what a read before the first step must find.
void KernelEmitter::emitPrefill(const Tensor &tensor) {
  const TensorStorage &place = storage.of(&tensor);
  auto nothing = [](unsigned) { return Value(); };
  Slice ring = sliceStorage(tensor, nothing);
  if (!tensor.initial) {
    Type element = cast<MemRefType>(ring.memref.getType()).getElementType();
    Value zero = emitZero(element);
    if (ring.dims.empty())
      memref::StoreOp::create(b, loc, zero, ring.memref);
    else
      linalg::FillOp::create(b, loc, zero, ring.memref);
    return;
  }
  const TensorStorage &initial = storage.of(tensor.initial);
  if (initial.kind == place.kind && initial.number == place.number)
    return; // it was computed in the slot
  auto here = [&](unsigned dim) {
    return dim < program.numBatch ? batchPoint[dim] : Value();
  };
  Slice value = sliceStorage(*tensor.initial, here);
  unsigned along = RecurrenceOp(tensor.recurrence).getBatch();
  for (unsigned &dim : value.dims)
    if (dim >= along)
      dim += tensor.producer->timeDims.size();
  copy(value, ring);
}

/// buffer = tensor at the step before, if time mod period = 0.
void KernelEmitter::emitSnapshot(const Snapshot &snapshot,
                                 const Cluster &cluster) {
  const Tensor &tensor = *snapshot.tensor;
  Value time = timePoint[0];
  Value rest = b.createOrFold<ModOp>(loc, time, emitExpr(snapshot.period));
  Value isStart = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, rest,
                                        constant(0));
  auto test = scf::IfOp::create(b, loc, isStart, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(test.thenBlock());
  Value before = arith::SubIOp::create(b, loc, time, constant(1));
  unsigned timeDim = tensor.producer->timeDims[0];
  Slice from = sliceStorage(
      tensor, [&](unsigned dim) { return dim == timeDim ? before : Value(); });
  SmallVector<unsigned> dims;
  SmallVector<OpFoldResult> extents;
  for (unsigned dim = tensor.numBatch; dim < tensor.getRank(); ++dim) {
    if (dim == timeDim)
      continue;
    dims.push_back(dim);
    extents.push_back(emitExtent(tensor.shape[dim]));
  }
  copy(from, slice(buffers[snapshot.buffer], dims, extents,
                   [](unsigned) { return Value(); }));
}

/// to = the state at its last point, or its initial value.
void KernelEmitter::copyFinal(const Tensor &state, const Slice &to) {
  const Cluster &cluster = *clusters.of(state.node);
  const TensorStorage &place = storage.of(&state);
  ArrayRef<unsigned> timeDims = state.producer->timeDims;
  auto copyLast = [&]() {
    Slice last = sliceStorage(state, [&](unsigned dim) -> Value {
      if (dim < program.numBatch)
        return batchPoint[dim];
      auto it = llvm::find(timeDims, dim);
      if (it == timeDims.end())
        return Value();
      const Loop &loop = cluster.loops[it - timeDims.begin()];
      if (loop.direction == Direction::Reversed)
        return constant(0);
      return b.createOrFold<arith::SubIOp>(loc, emitExpr(loop.size),
                                           constant(1));
    });
    // The final value has no along dims.
    unsigned along = RecurrenceOp(state.recurrence).getBatch();
    for (unsigned &dim : last.dims)
      if (dim > along)
        dim -= timeDims.size();
    copy(last, to);
  };
  if (cluster.loops.size() == 1 && place.prefilled)
    return copyLast();
  Value hasSteps;
  for (const Loop &loop : cluster.loops)
    hasSteps = emitAnd(hasSteps,
                       arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sgt,
                                             emitExpr(loop.size), constant(0)));
  auto test = scf::IfOp::create(b, loc, hasSteps, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(test.thenBlock());
  copyLast();
  b.setInsertionPointToStart(test.elseBlock());
  copy(sliceStorage(*state.initial,
                    [&](unsigned dim) {
                      return dim < program.numBatch ? batchPoint[dim] : Value();
                    }),
       to);
}

void KernelEmitter::emitFinal(const Tensor &state) {
  const Tensor &final = *state.final;
  auto here = [&](unsigned dim) {
    return dim < program.numBatch ? batchPoint[dim] : Value();
  };
  if (!final.uses.empty())
    copyFinal(state, sliceStorage(final, here));
  if (final.output < 0)
    return;
  auto test = scf::IfOp::create(b, loc, isGiven(outputs[final.output]),
                                /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(test.thenBlock());
  copyFinal(state, sliceOutput(final, here));
}
