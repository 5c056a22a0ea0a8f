//===- LowerFormsToTile.cpp - Kernels over chunks to kernels on tiles -----===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/Remarks.h"
#include "passes/GPU/Tile/KernelLowering.h"
#include "passes/GPU/Tile/Passes.h"

namespace rondo::tile {
#define GEN_PASS_DEF_LOWERFORMSTOTILE
#include "passes/GPU/Tile/Passes.h.inc"
} // namespace rondo::tile

using namespace mlir;
using namespace rondo;
using tile::KernelLowering;
using algebra::Expr;
using algebra::Kind;

//===----------------------------------------------------------------------===//
// What there is
//===----------------------------------------------------------------------===//

bool KernelLowering::findChunks() {
  for (RecurrenceOp op : kernel.getBody().getOps<RecurrenceOp>()) {
    if (op.getNumAlong() != 1 || op.getReversed()[0])
      return refuse("a recurrence runs along several dims or backwards");
    Value count = op.getSizes()[0];
    if (numChunks && count != numChunks)
      return refuse("recurrences are over different chunks");
    numChunks = count;
    recurrences.push_back(op);
  }
  if (!numChunks)
    return refuse("nothing is over chunks");
  Expr count = importer.import(numChunks);
  if (!count->isOp("arith.floordivsi") ||
      count->args[1]->kind != Kind::Integer)
    return refuse("a recurrence has no chunkwise form");
  eval.chunkSize = count->args[1]->integer;
  // Warps share rows and columns of 16, and groups of steps are halved.
  if (!llvm::isPowerOf2_64(eval.chunkSize) || eval.chunkSize < 32 ||
      eval.chunkSize > 128)
    return refuse("chunks of " + Twine(eval.chunkSize) +
                  " steps don't make tiles, those of 32, 64 or 128 do");
  eval.recurrences = recurrences;
  if (!kernel.getTime())
    return refuse("there is no time");
  timeName = kernel.getTime()->str();
  return true;
}

/// Scalars are with the caller: a launch passes their values.
static bool isScalar(TensorSpecAttr spec) {
  return spec.getRole() == Role::Argument && !spec.getShape().getNumResults();
}

/// What threads can read: tensors of floats on the device.
bool KernelLowering::checkInputs() {
  for (unsigned i = 0; i < kernel.getInputs().size(); ++i) {
    TensorSpecAttr spec = kernel.getInput(i);
    if (!isBlocks && isScalar(spec))
      return refuse("an argument is a scalar");
  }
  return true;
}

static MemRefType memoryType(TensorSpecAttr spec) {
  MLIRContext *context = spec.getContext();
  int64_t rank = spec.getShape().getNumResults();
  SmallVector<int64_t> shape(rank, ShapedType::kDynamic), strides(shape);
  if (rank)
    strides.back() = 1;
  Type element = spec.getElementType();
  if (element.isInteger(1))
    element = IntegerType::get(context, 8);
  return MemRefType::get(shape, element,
                         StridedLayoutAttr::get(context, 0, strides));
}

void KernelLowering::createFunctions() {
  Type index = builder.getIndexType();
  SmallVector<Type> types(kernel.getSizes().size(), index);
  for (unsigned i = 0; i < kernel.getInputs().size(); ++i)
    types.push_back(memoryType(kernel.getInput(i)));
  for (unsigned i = 0; i < kernel.getOutputs().size(); ++i)
    types.push_back(memoryType(kernel.getOutput(i)));
  SmallVector<Type> hostTypes(types);
  for (unsigned i = 0; i < kernel.getInputs().size(); ++i)
    if (isScalar(kernel.getInput(i))) {
      Type &type = types[kernel.getSizes().size() + i];
      type = cast<MemRefType>(type).getElementType();
    }
  hostTypes.push_back(MemRefType::get({ShapedType::kDynamic},
                                      builder.getI8Type()));
  hostTypes.append({index, index, MemRefType::get({2}, builder.getI64Type())});
  // What launching needs (passes/Common/Signature.h).
  Type pointer = LLVM::LLVMPointerType::get(builder.getContext());
  hostTypes.append({pointer, index, pointer, index});
  // Begin, the number of blocks of a point, and memory for all points.
  types.append({index, index, hostTypes[types.size()]});

  auto parent = kernel->getParentOfType<ModuleOp>();
  auto kernels = parent.lookupSymbol<gpu::GPUModuleOp>("kernels");
  if (!kernels) {
    builder.setInsertionPointToStart(parent.getBody());
    kernels = gpu::GPUModuleOp::create(builder, loc, "kernels");
  }
  builder.setInsertionPointToEnd(kernels.getBody());
  function = gpu::GPUFuncOp::create(builder, loc, kernel.getSymName(),
                                    builder.getFunctionType(types, {}));
  function->setAttr(gpu::GPUDialect::getKernelFuncAttrName(),
                    builder.getUnitAttr());
  function->setAttr("tile.warps", builder.getI64IntegerAttr(warps));

  builder.setInsertionPoint(kernel);
  host = func::FuncOp::create(builder, loc, kernel.getSymName(),
                              builder.getFunctionType(hostTypes, {}));
  describeHost();
  Block *entry = host.addEntryBlock();
  builder.setInsertionPointToStart(entry);
  size_t shared = types.size() - 3;
  SmallVector<Value> operands(entry->getArguments().take_front(shared));
  Value begin = entry->getArgument(shared + 1);
  Value end = entry->getArgument(shared + 2);
  unsigned numSizes = kernel.getSizes().size();
  for (unsigned i = 0; i < kernel.getInputs().size(); ++i)
    if (isScalar(kernel.getInput(i))) {
      Value &operand = operands[numSizes + i];
      operand = memref::LoadOp::create(builder, loc, operand);
    }
  // Blocks of rows, or of the last dim of results.
  Value blocks;
  if (isBlocks) {
    blocks = arith::CeilDivSIOp::create(
        builder, loc, entry->getArgument(kernel.getSizeIndex(timeName)),
        constant(eval.chunkSize));
  } else {
    Value memory = entry->getArgument(numSizes + kernel.getInputs().size());
    int64_t last = cast<MemRefType>(memory.getType()).getRank() - 1;
    Value extent = memref::DimOp::create(builder, loc, memory, last);
    blocks = arith::CeilDivSIOp::create(builder, loc, extent,
                                        constant(valueBlock));
  }
  operands.append({begin, blocks, entry->getArgument(shared)});
  Value points = arith::SubIOp::create(builder, loc, end, begin);
  Value total = arith::MulIOp::create(builder, loc, points, blocks);
  Value one = constant(1);
  gpu::LaunchFuncOp::create(
      builder, loc, function, gpu::KernelDim3{total, one, one},
      gpu::KernelDim3{constant(32 * warps), one, one}, Value(), operands);
  func::ReturnOp::create(builder, loc);
}

/// What the emitter of libraries reads, and @f_worker_bytes.
void KernelLowering::describeHost() {
  SmallVector<NamedAttribute> signature;
  for (NamedAttribute attr : kernel->getAttrDictionary())
    if (attr.getName() != SymbolTable::getSymbolAttrName() &&
        attr.getName() != SymbolTable::getVisibilityAttrName() &&
        attr.getName() != "time") // sequences are not packed
      signature.push_back(attr);
  host->setAttr("rondo.signature", builder.getDictionaryAttr(signature));
  host->setAttr("rondo.faults", builder.getArrayAttr({}));
  host->setAttr("rondo.form",
                builder.getStringAttr((isBlocks ? "tiled " : "chunked ") +
                                      Twine(eval.chunkSize)));
  host->setAttr("rondo.launches", builder.getUnitAttr());
  host->setAttr("rondo.workspace", builder.getStringAttr("whole"));
  SmallVector<Type> sizes(kernel.getSizes().size(), builder.getIndexType());
  bytes = func::FuncOp::create(
      builder, loc, (kernel.getSymName() + "_worker_bytes").str(),
      builder.getFunctionType(sizes, builder.getIndexType()));
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(bytes.addEntryBlock());
  func::ReturnOp::create(builder, loc, constant(0));
}

/// The expression of a result at a step of this chunk.
Expr KernelLowering::outputAt(unsigned output, Expr time, Expr value) {
  Value returned = kernel.getBody().front().getTerminator()->getOperand(output);
  auto equation = returned.getDefiningOp<EquationOp>();
  size_t numBatch = batchLeaves.size();
  size_t rank = equation ? equation.getParallelIndices().size() : 0;
  if (!equation || rank < numBatch + 1 || rank > numBatch + 2) {
    refuse("a result is not over time and one dim");
    return nullptr;
  }
  auto sizeOp = equation.getSizes()[numBatch].getDefiningOp<SizeOp>();
  if (!sizeOp || sizeOp.getName() != timeName) {
    refuse("a result is not over time");
    return nullptr;
  }
  SmallVector<Expr> place(batchLeaves);
  place.push_back(time);
  if (rank == numBatch + 2)
    place.push_back(value);
  return context.read(returned, place, {}, {}, builder.getF32Type());
}

bool KernelLowering::findState(Expr expr, Expr blocked,
                               llvm::DenseSet<Expr> &seen) {
  bool fine = true;
  algebra::walk(expr, [&](Expr each) {
    if (!fine || each->kind != Kind::Read || !seen.insert(each).second)
      return;
    auto subscripts = each->subscripts();
    if (auto equation = each->value.getDefiningOp<EquationOp>()) {
      fine = findState(importer.instantiate(equation, subscripts), blocked,
                       seen);
      return;
    }
    RecurrenceOp op = each->value.getDefiningOp<RecurrenceOp>();
    unsigned member = 0;
    if (auto argument = dyn_cast<BlockArgument>(each->value))
      op = dyn_cast<RecurrenceOp>(argument.getOwner()->getParentOp());
    if (!op)
      return;
    for (unsigned i = 0; i < op.getNumMembers(); ++i)
      if (op.getPast(i) == each->value || op.getHistory(i) == each->value)
        member = i;
    unsigned along = op.getBatch();
    if (member >= op.getNumStates()) {
      SmallVector<Expr> rest(subscripts);
      rest.erase(rest.begin() + along);
      Value slice = op.getBlock().getTerminator()->getOperand(member);
      fine = findState(context.read(slice, rest, {}, {}, each->type), blocked,
                       seen);
      return;
    }
    unsigned rank = subscripts.size() - along - 1;
    if (rank != 1 && rank != 2) {
      fine = refuse("a state is neither a matrix nor a vector");
      return;
    }
    // Of a vector that is summed over, each block has all.
    if (rank == 1)
      blockedDim.try_emplace(op, 1);
    for (unsigned d = 0; d < rank; ++d)
      if (subscripts[along + 1 + d] == blocked)
        blockedDim[op] = d;
  });
  return fine;
}

//===----------------------------------------------------------------------===//
// The function
//===----------------------------------------------------------------------===//

Value KernelLowering::isNull(Value memory) {
  Value address =
      memref::ExtractAlignedPointerAsIndexOp::create(builder, loc, memory);
  return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, address,
                               constant(0));
}

/// Where a state's tile is in the state.
SmallVector<Expr>
KernelLowering::placeOf(const tile::TileEvaluator::State &state) {
  SmallVector<Expr> place(batchLeaves);
  place.push_back(state.rows.leaf);
  if (state.columns.isNone())
    return place;
  place.push_back(state.columns.leaf);
  if (state.rowDim)
    std::swap(place[place.size() - 2], place.back());
  return place;
}

Value KernelLowering::initialTile(RecurrenceOp op, unsigned number,
                                  const tile::TileEvaluator::State &state) {
  auto initial = op.getInitials()[number].getDefiningOp<InitialOp>();
  if (!initial)
    return eval.fail("a state's initial value is computed");
  Value memory = eval.function.lookup(initial->getOperand(0));
  Value declared = initial->getOperand(1);
  Value null = isNull(memory);
  SmallVector<Expr> place = placeOf(state);
  Axis rows = state.rows;
  rows.limit = arith::SelectOp::create(builder, loc, null,
                                       rows.offset ? rows.offset : constant(0),
                                       rows.limit);
  Value loaded = eval.load(
      context.read(initial->getOperand(0), place, {}, {}, builder.getF32Type()),
      rows, state.columns, /*mayTurn=*/false);
  if (!loaded)
    return {};
  Expr value = context.read(declared, place, {}, {}, builder.getF32Type());
  auto equation = declared.getDefiningOp<EquationOp>();
  if (equation && importer.instantiate(equation, place)->isReal(0))
    return eval.roundTo(loaded, builder.getF32Type());
  // What is given, or what is declared: 0 behind the end of a dim.
  for (const Axis *axis : {&state.rows, &state.columns}) {
    if (axis->isNone())
      continue;
    Expr limit = context.leaf(axis->limit);
    eval.fixed[limit] = axis->limit;
    value = context.select(
        context.compareIndex(static_cast<int64_t>(arith::CmpIPredicate::slt),
                             axis->leaf, limit),
        value, context.real(0, builder.getF32Type()));
  }
  Value own = eval.evaluate(value, state.rows, state.columns);
  return own ? eval.choose(null, own, loaded) : Value();
}

bool KernelLowering::store(Value value, unsigned output,
                           ArrayRef<Value> indices, int64_t rowDim,
                           Value rowLimit, int64_t columnDim,
                           Value columnLimit) {
  Value memory = outputMemory(output);
  Type element = cast<MemRefType>(memory.getType()).getElementType();
  if (!isa<FloatType>(element) || element.isF64())
    return refuse("a result is not f32, bf16 or f16");
  tile::StoreOp::create(builder, loc, eval.roundTo(value, element), memory,
                        indices, rowDim, rowLimit, columnDim, columnLimit);
  return true;
}

bool KernelLowering::emitStep(Value step, ValueRange carried,
                              SmallVectorImpl<Value> &next) {
  eval.startChunk();
  eval.fixed[eval.chunk] = step;
  size_t number = 0;
  for (RecurrenceOp op : recurrences)
    for (unsigned m = 0; m < op.getNumStates(); ++m)
      eval.states[{op, m}].tile = carried[number++];
  Expr begin = context.apply("arith.muli",
                             {eval.chunk, context.integer(eval.chunkSize)},
                             builder.getIndexType());
  Expr time = context.apply("arith.addi", {begin, steps.leaf},
                            builder.getIndexType());
  size_t numBatch = batch.size();
  for (unsigned i = 0; i < kernel.getOutputs().size(); ++i) {
    if (kernel.getOutput(i).getRole() != Role::Result)
      continue;
    Expr result = outputAt(i, time, values.leaf);
    if (!result)
      return false;
    bool isVector =
        cast<RankedTensorType>(result->value.getType()).getRank() ==
        static_cast<int64_t>(numBatch + 1);
    // Values are rows: each warp has its own, and shares nothing of the states
    // with the others.
    Axis rows = isVector ? Axis() : values;
    Value tile = eval.evaluate(result, rows, steps);
    if (!tile)
      return false;
    tile = eval.broadcast(tile, rows.extent, steps.extent);
    Value first = eval.emitScalar(begin);
    SmallVector<Value> indices(numBatch + (isVector ? 1 : 2));
    for (unsigned d = 0; d < numBatch; ++d)
      indices[memoryDim(i, d)] = batch[d];
    indices[memoryDim(i, numBatch)] = first;
    Value left = arith::SubIOp::create(builder, loc, eval.numSteps, first);
    Value room;
    if (!isVector) {
      indices[memoryDim(i, numBatch + 1)] = valueOffset;
      room = arith::SubIOp::create(builder, loc, values.limit, valueOffset);
    }
    if (!store(tile, i, indices, isVector ? -1 : memoryDim(i, numBatch + 1),
               room, memoryDim(i, numBatch), left))
      return false;
  }
  for (RecurrenceOp op : recurrences)
    for (unsigned m = 0; m < op.getNumStates(); ++m) {
      const tile::TileEvaluator::State &state = eval.states[{op, m}];
      SmallVector<Expr> place = placeOf(state);
      Value slice = op.getBlock().getTerminator()->getOperand(m);
      Value tile = eval.evaluate(
          context.read(slice, place, {}, {}, builder.getF32Type()), state.rows,
          state.columns);
      if (!tile)
        return false;
      next.push_back(eval.broadcast(tile, state.rows.extent,
                                    state.columns.extent));
    }
  return true;
}

/// What sizes and inputs are in the function.
void KernelLowering::emitSizes() {
  arguments.assign(function.getArguments().begin(),
                   function.getArguments().end());
  builder.setInsertionPointToStart(&function.getBody().front());
  size_t numSizes = kernel.getSizes().size();
  SmallVector<Value> sizes;
  for (size_t i = 0; i < numSizes; ++i) {
    int64_t bound = kernel.getBound()[i];
    sizes.push_back(bound >= 0 ? constant(bound) : arguments[i]);
  }
  kernel.walk([&](SizeOp op) {
    eval.function.map(op.getResult(), sizes[kernel.getSizeIndex(op.getName())]);
  });
  for (BlockArgument input : kernel.getBody().getArguments())
    eval.function.map(input, arguments[numSizes + input.getArgNumber()]);
  eval.numSteps = sizes[kernel.getSizeIndex(timeName)];
}

/// The indices of a batch point.
void KernelLowering::emitPoint(Value point) {
  batch.assign(kernel.getBatch().size(), Value());
  for (size_t i = batch.size(); i-- > 0;) {
    StringRef name = cast<StringAttr>(kernel.getBatch()[i]).getValue();
    unsigned number = kernel.getSizeIndex(name);
    int64_t bound = kernel.getBound()[number];
    Value extent = bound >= 0 ? constant(bound) : arguments[number];
    batch[i] = i ? arith::RemUIOp::create(builder, loc, point, extent) : point;
    if (i)
      point = arith::DivUIOp::create(builder, loc, point, extent);
  }
  for (Value each : batch) {
    batchLeaves.push_back(context.leaf(each));
    eval.fixed[batchLeaves.back()] = each;
  }
}

tile::TileAxis KernelLowering::makeAxis(int64_t extent, Value limit) {
  Axis result;
  result.leaf = context.variable(context.fresh(Value(), Value()));
  result.extent = extent;
  result.limit = limit;
  return result;
}

bool KernelLowering::emitBody() {
  emitSizes();
  // This block's point and values.
  Value block = gpu::BlockIdOp::create(builder, loc, gpu::Dimension::x);
  Value numBlocks = arguments[arguments.size() - 2];
  Value begin = arguments[arguments.size() - 3];
  Value point = arith::AddIOp::create(
      builder, loc, begin,
      arith::DivUIOp::create(builder, loc, block, numBlocks));
  valueOffset = arith::MulIOp::create(
      builder, loc, arith::RemUIOp::create(builder, loc, block, numBlocks),
      constant(valueBlock));
  emitPoint(point);

  // Axes and states.
  steps = makeAxis(eval.chunkSize, constant(eval.chunkSize));
  eval.chunk = context.variable(context.fresh(Value(), Value()));
  for (RecurrenceOp op : recurrences)
    importer.bind(op.getAlongIndices()[0], eval.chunk);
  unsigned result = 0;
  Value returned = kernel.getBody().front().getTerminator()->getOperand(result);
  auto equation = returned.getDefiningOp<EquationOp>();
  if (!equation || equation.getSizes().size() != batch.size() + 2)
    return refuse("the first result is not over time and one dim");
  values = makeAxis(valueBlock, size(equation.getSizes().back()));
  std::optional<int64_t> width = getWidth();
  if (width && *width <= valueBlock)
    eval.whole = values;
  else
    values.offset = valueOffset;

  Expr begins = context.apply("arith.muli",
                              {eval.chunk, context.integer(eval.chunkSize)},
                              builder.getIndexType());
  Expr time = context.apply("arith.addi", {begins, steps.leaf},
                            builder.getIndexType());
  Expr first = outputAt(0, time, values.leaf);
  llvm::DenseSet<Expr> seen;
  if (!first || !findState(first, values.leaf, seen))
    return false;
  SmallVector<Value> inits;
  for (RecurrenceOp op : recurrences) {
    auto blocked = blockedDim.find(op);
    if (blocked == blockedDim.end() || op.getNumStates() != 1)
      return refuse("a state has no dim in common with the result");
    ValueRange extents;
    if (auto equation = op.getBlock()
                            .getTerminator()
                            ->getOperand(0)
                            .getDefiningOp<EquationOp>())
      extents = equation.getSizes().drop_front(batch.size());
    Axis both[2];
    unsigned row = blocked->second;
    for (auto [d, extent] : llvm::enumerate(extents)) {
      if (d == row) {
        both[d] = values;
        both[d].leaf = context.variable(context.fresh(Value(), Value()));
        continue;
      }
      APInt number;
      if (!matchPattern(extent, m_ConstantInt(&number)))
        return refuse("a dim that is summed over is not bound to a number");
      if (number.getSExtValue() > 256)
        return refuse("a dim that is summed over is larger than 256");
      both[d] = makeAxis(llvm::alignTo(number.getSExtValue(), 64),
                     constant(number.getSExtValue()));
    }
    if (extents.empty())
      return refuse("a state is computed by no equation");
    if (extents.size() == 1)
      row = 0;
    tile::TileEvaluator::State state{{}, both[row], both[1 - row], row};
    state.tile = initialTile(op, 0, state);
    if (!state.tile)
      return false;
    eval.states[{op, 0}] = state;
    inits.push_back(state.tile);
  }

  // Over chunks.
  Value chunks = size(numChunks);
  auto loop = scf::ForOp::create(builder, loc, constant(0), chunks, constant(1),
                                 inits);
  {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(loop.getBody());
    SmallVector<Value> next;
    bool fine = emitStep(loop.getInductionVar(), loop.getRegionIterArgs(), next);
    if (!fine)
      next.assign(inits);
    scf::YieldOp::create(builder, loc, next);
    if (!fine)
      return false;
  }
  builder.setInsertionPointAfter(loop);
  for (unsigned i = 0; i < kernel.getOutputs().size(); ++i) {
    if (kernel.getOutput(i).getRole() != Role::Final)
      continue;
    Value final = kernel.getBody().front().getTerminator()->getOperand(i);
    auto op = final.getDefiningOp<RecurrenceOp>();
    if (!op || op.getFinal(0) != final)
      return refuse("a final value is computed");
    size_t number = llvm::find(recurrences, op) - recurrences.begin();
    const tile::TileEvaluator::State &state = eval.states[{op, 0}];
    Value null = isNull(outputMemory(i));
    unsigned rank = state.columns.isNone() ? 1 : 2;
    SmallVector<Value> indices(batch.size() + rank);
    for (unsigned d = 0; d < batch.size(); ++d)
      indices[memoryDim(i, d)] = batch[d];
    Value limits[2], skipped = null;
    int64_t dims[2] = {-1, -1};
    // One of the blocks that have the same stores it.
    if (!state.rows.offset)
      skipped = arith::OrIOp::create(
          builder, loc, null,
          arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ne,
                                valueOffset, constant(0)));
    for (unsigned d = 0; d < rank; ++d) {
      const Axis &axis = d ? state.columns : state.rows;
      dims[d] = memoryDim(i, batch.size() + (d ^ state.rowDim));
      indices[dims[d]] = axis.offset ? axis.offset : constant(0);
      Value room = axis.limit;
      if (axis.offset)
        room = arith::SubIOp::create(builder, loc, room, axis.offset);
      limits[d] =
          arith::SelectOp::create(builder, loc, skipped, constant(0), room);
    }
    if (!store(loop.getResult(number), i, indices, dims[0], limits[0], dims[1],
               limits[1]))
      return false;
  }
  gpu::ReturnOp::create(builder, loc);
  return eval.reason.empty();
}

std::optional<int64_t> KernelLowering::getWidth() {
  Operation *returns = kernel.getBody().front().getTerminator();
  auto equation = returns->getNumOperands()
                      ? returns->getOperand(0).getDefiningOp<EquationOp>()
                      : EquationOp();
  APInt width;
  if (!equation || equation.getSizes().empty() ||
      !matchPattern(equation.getSizes().back(), m_ConstantInt(&width)))
    return std::nullopt;
  return width.getSExtValue();
}

std::string KernelLowering::run() {
  Type io;
  for (unsigned i = 0; i < kernel.getInputs().size(); ++i)
    if (kernel.getInput(i).getRole() == Role::Argument &&
        isa<FloatType>(kernel.getInput(i).getElementType()))
      io = kernel.getInput(i).getElementType();
  eval.rounds = io && io.isBF16();
  isBlocks = hasBlocks();
  if (!(isBlocks ? findBlocks() : findChunks()) || !checkInputs())
    return eval.reason;
  createFunctions();
  if (!(isBlocks ? emitBlocks() : emitBody())) {
    host.erase();
    bytes.erase();
    function.erase();
    return eval.reason.empty() ? "it has no form on tiles" : eval.reason;
  }
  kernel.erase();
  return {};
}

namespace {

/// The most values that a block has.
constexpr int64_t kWidest = 256;

struct LowerFormsToTile
    : public rondo::tile::impl::LowerFormsToTileBase<LowerFormsToTile> {
  using LowerFormsToTileBase::LowerFormsToTileBase;

  std::string lower(KernelOp kernel) {
    KernelLowering blocks(kernel, warps, values);
    std::optional<int64_t> width = blocks.getWidth();
    std::string reason = blocks.run();
    if (reason.empty() || !width || *width <= values || *width > kWidest)
      return reason;
    // What sums over values, as a norm does, needs all of them in a block.
    int64_t times = llvm::PowerOf2Ceil(llvm::divideCeil(*width, values));
    return KernelLowering(kernel, warps * times, values * times).run().empty()
               ? ""
               : reason;
  }

  void runOnOperation() override {
    SmallVector<KernelOp> kernels(getOperation().getOps<KernelOp>());
    for (KernelOp kernel : kernels) {
      Location where = kernel.getLoc();
      std::string name = kernel.getSymName().str();
      std::string reason = lower(kernel);
      if (reason.empty()) {
        getOperation()->setAttr(
            gpu::GPUDialect::getContainerModuleAttrName(),
            UnitAttr::get(&getContext()));
        ++numLowered;
        continue;
      }
      remark::missed(where, remark::RemarkOpts::name("LowerFormsToTile")
                                .category("form"))
          << "'" << name << "' does not run on tiles: "
          << remark::reason("{0}", reason);
      kernel->setAttr("rondo.tiles", StringAttr::get(&getContext(), reason));
    }
    auto gpu = getOperation().lookupSymbol<gpu::GPUModuleOp>("kernels");
    if (gpu && gpu.getBody()->empty())
      gpu.erase();
  }
};

} // namespace
