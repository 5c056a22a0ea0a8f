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
  // (T + C - 1) / C
  Expr count = importer.import(numChunks);
  Expr size = count->isOp("arith.floordivsi") &&
                      count->args[1]->kind == Kind::Integer &&
                      count->args[0]->isOp("arith.addi")
                  ? count->args[0]->args[0]
                  : nullptr;
  if (!size || !count->args[0]->args[1]->isInteger(count->args[1]->integer - 1))
    return refuse("the number of rows is bound");
  auto op = size->kind == Kind::Value ? size->value.getDefiningOp<SizeOp>()
                                      : SizeOp();
  if (!op)
    return refuse("the number of rows is not a size");
  timeName = op.getName().str();
  eval.chunkSize = count->args[1]->integer;
  if (eval.chunkSize % 16 || eval.chunkSize > 256)
    return refuse("blocks of " + Twine(eval.chunkSize) +
                  " rows don't make tiles");
  eval.recurrences = recurrences;
  warps = std::min<int64_t>(eval.chunkSize / 16, 8);
  return true;
}

/// The rows of a result from `first` on.
bool KernelLowering::emitBlockResult(unsigned output, Value first) {
  Value returned = kernel.getBody().front().getTerminator()->getOperand(output);
  auto equation = returned.getDefiningOp<EquationOp>();
  size_t numBatch = batch.size();
  size_t rank = equation ? equation.getSizes().size() : 0;
  if (!equation || (rank != numBatch + 1 && rank != numBatch + 2))
    return refuse("a result is not over rows and one dim");
  auto sizeOp = equation.getSizes()[numBatch].getDefiningOp<SizeOp>();
  if (!sizeOp || sizeOp.getName() != timeName)
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
  return eval.reason.empty();
}
