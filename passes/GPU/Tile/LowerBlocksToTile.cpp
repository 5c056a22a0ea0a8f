//===- LowerBlocksToTile.cpp - Blocks of rows to kernels on tiles ---------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Recurrences over blocks of rows without states (TiledAttention.h): a block of
// threads computes one block of rows of all results. The recurrences within,
// over blocks of keys, are its loops.
//
//===----------------------------------------------------------------------===//

#include "mlir/Transforms/LoopInvariantCodeMotionUtils.h"
#include "passes/GPU/Tile/KernelLowering.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::tile;
using algebra::Expr;
using algebra::Kind;

/// Of a multiprocessor of sm_80, without what the system takes.
static constexpr int64_t kSharedMemory = 160 << 10;

bool KernelLowering::hasBlocks() {
  return llvm::any_of(kernel.getBody().getOps<RecurrenceOp>(),
                      [](RecurrenceOp op) {
                        return !op.getNumStates() &&
                               !op.getBlock().getOps<RecurrenceOp>().empty();
                      });
}

bool KernelLowering::findBlocks() {
  for (RecurrenceOp op : kernel.getBody().getOps<RecurrenceOp>()) {
    if (op.getNumStates() || op.getNumAlong() != 1 || op.getReversed()[0])
      return refuse("a recurrence is not over blocks of rows");
    if (numChunks && op.getSizes()[0] != numChunks)
      return refuse("recurrences are over different blocks of rows");
    numChunks = op.getSizes()[0];
    recurrences.push_back(op);
  }
  // A block's slice is [batch.., r, ..].
  auto slice = recurrences[0]
                   .getBlock()
                   .getTerminator()
                   ->getOperand(0)
                   .getDefiningOp<EquationOp>();
  auto returned = kernel.getBody().front().getTerminator()->getOperand(0);
  auto result = returned.getDefiningOp<EquationOp>();
  size_t numBatch = kernel.getBatch().size();
  APInt rows, all;
  if (!slice || slice.getSizes().size() <= numBatch || !result ||
      result.getSizes().size() <= numBatch ||
      !matchPattern(slice.getSizes()[numBatch], m_ConstantInt(&rows)))
    return refuse("a result is not over rows");
  eval.chunkSize = rows.getSExtValue();
  Value size = result.getSizes()[numBatch];
  if (auto op = size.getDefiningOp<SizeOp>()) {
    timeName = op.getName().str();
  } else if (matchPattern(size, m_ConstantInt(&all))) {
    for (auto [name, bound] :
         llvm::zip_equal(kernel.getSizes(), kernel.getBound()))
      if (bound == all.getSExtValue())
        timeName = cast<StringAttr>(name).getValue().str();
  }
  if (timeName.empty())
    return refuse("the number of rows is not a size");
  // As many blocks as it takes, for these rows.
  Expr count = importer.import(numChunks);
  bool isWhole = count->isOp("arith.floordivsi") &&
                 count->args[1]->isInteger(eval.chunkSize) &&
                 count->args[0]->isOp("arith.addi") &&
                 count->args[0]->args[0] == importer.import(size) &&
                 count->args[0]->args[1]->isInteger(eval.chunkSize - 1);
  if (count->kind == Kind::Integer && all.getBitWidth() > 1)
    isWhole =
        count->integer == llvm::divideCeil(all.getSExtValue(), eval.chunkSize);
  if (!isWhole)
    return refuse("the rows of a result are not those of the blocks");
  if (eval.chunkSize % 16 || eval.chunkSize > 256)
    return refuse("blocks of " + Twine(eval.chunkSize) +
                  " rows don't make tiles");
  eval.recurrences = recurrences;
  warps = std::min<int64_t>(eval.chunkSize / 16, 8);
  return true;
}

/// Whether a size is that of the rows.
bool KernelLowering::isRows(Value size) {
  APInt number;
  if (matchPattern(size, m_ConstantInt(&number)))
    return kernel.getBound()[kernel.getSizeIndex(timeName)] ==
           number.getSExtValue();
  auto op = size.getDefiningOp<SizeOp>();
  return op && op.getName() == timeName;
}

/// Whether what is loaded into shared memory has room there: in loops, of which
/// one runs at a time, two steps of what is copied.
bool KernelLowering::fitsMemory() {
  int64_t outside = 0, most = 0;
  auto bytes = [](LoadOp load) {
    TileType type = load.getType();
    bool isShort = type.getElementType().isBF16();
    return type.isMatrix()
               ? type.getRows() * type.getColumns() * (isShort ? 2 : 4)
               : 0;
  };
  llvm::SmallDenseSet<std::pair<Value, Type>> seen; // by one loop or another
  for (Operation &op : function.getBody().front()) {
    auto load = dyn_cast<LoadOp>(op);
    if (load && seen.insert({load.getSource(), load.getType()}).second)
      outside += bytes(load);
    auto loop = dyn_cast<scf::ForOp>(op);
    if (!loop)
      continue;
    int64_t inside = 0;
    for (auto load : loop.getBody()->getOps<LoadOp>())
      inside +=
          bytes(load) * (load.getType().getElementType().isBF16() ? 2 : 1);
    most = std::max(most, inside);
  }
  return outside + most <= kSharedMemory;
}

/// The rows of a result from `first` on.
bool KernelLowering::emitBlockResult(unsigned output, Value first) {
  Value returned = kernel.getBody().front().getTerminator()->getOperand(output);
  auto equation = returned.getDefiningOp<EquationOp>();
  size_t numBatch = batch.size();
  size_t rank = equation ? equation.getSizes().size() : 0;
  if (!equation || (rank != numBatch + 1 && rank != numBatch + 2))
    return refuse("a result is not over rows and one dim");
  if (!isRows(equation.getSizes()[numBatch]))
    return refuse("a result is not over the rows");
  SmallVector<Expr> place(batchLeaves);
  Expr begin =
      context.apply("arith.muli", {eval.chunk, context.integer(eval.chunkSize)},
                    builder.getIndexType());
  place.push_back(
      context.apply("arith.addi", {begin, steps.leaf}, builder.getIndexType()));
  Axis columns;
  if (rank == numBatch + 2) {
    APInt width;
    if (!matchPattern(equation.getSizes().back(), m_ConstantInt(&width)))
      return refuse("a dim of a result is not bound to a number");
    columns = makeAxis(llvm::alignTo(width.getSExtValue(), 64),
                       constant(width.getSExtValue()));
    if (columns.extent > 256)
      return refuse("a dim of a result is larger than 256");
    place.push_back(columns.leaf);
  }
  Value tile =
      eval.evaluate(context.read(returned, place, {}, {}, builder.getF32Type()),
                    steps, columns);
  if (!tile)
    return false;
  tile = eval.broadcast(tile, steps.extent, columns.extent);
  SmallVector<Value> indices(rank);
  for (unsigned d = 0; d < numBatch; ++d)
    indices[memoryDim(output, d)] = batch[d];
  indices[memoryDim(output, numBatch)] = first;
  if (!columns.isNone())
    indices[memoryDim(output, numBatch + 1)] = constant(0);
  Value left = arith::SubIOp::create(builder, loc, eval.numSteps, first);
  return store(tile, output, indices, memoryDim(output, numBatch), left,
               columns.isNone() ? -1 : memoryDim(output, numBatch + 1),
               columns.limit);
}

/// Loads and computation that are the same in all steps go in front of a loop.
/// Inputs don't change while a kernel runs.
static void hoistInvariants(scf::ForOp loop) {
  moveLoopInvariantCode(
      &loop.getBodyRegion(),
      [&](Value value, Region *) { return loop.isDefinedOutsideOfLoop(value); },
      [](Operation *op, Region *) {
        return isa<LoadOp>(op) || isMemoryEffectFree(op);
      },
      [&](Operation *op, Region *) { op->moveBefore(loop); });
}

bool KernelLowering::emitBlocks() {
  // Its passes know loops over chunks, which this has none of.
  function->setAttr("tile.blocks", builder.getUnitAttr());
  emitSizes();
  // The last block of rows of a point comes first: under a causal mask it has
  // the most to do.
  Value block = gpu::BlockIdOp::create(builder, loc, gpu::Dimension::x);
  Value numBlocks = arguments[arguments.size() - 2];
  Value begin = arguments[arguments.size() - 3];
  emitPoint(arith::AddIOp::create(
      builder, loc, begin,
      arith::DivUIOp::create(builder, loc, block, numBlocks)));
  Value behind = arith::AddIOp::create(
      builder, loc, arith::RemUIOp::create(builder, loc, block, numBlocks),
      constant(1));
  Value number = arith::SubIOp::create(builder, loc, numBlocks, behind);
  eval.chunk = context.variable(context.fresh(Value(), Value()));
  eval.fixed[eval.chunk] = number;
  for (RecurrenceOp op : recurrences)
    importer.bind(op.getAlongIndices()[0], eval.chunk);
  steps = makeAxis(eval.chunkSize, constant(eval.chunkSize));
  eval.rowsHere = steps;
  Value first =
      arith::MulIOp::create(builder, loc, number, constant(eval.chunkSize));
  for (unsigned i = 0; i < kernel.getOutputs().size(); ++i) {
    if (kernel.getOutput(i).getRole() != Role::Result)
      return refuse("a state is returned");
    if (!emitBlockResult(i, first))
      return false;
  }
  gpu::ReturnOp::create(builder, loc);
  for (auto loop : function.getBody().front().getOps<scf::ForOp>())
    hoistInvariants(loop);
  if (!fitsMemory())
    return refuse("its blocks have no room in shared memory");
  return eval.reason.empty();
}
