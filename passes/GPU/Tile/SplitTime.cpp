//===- SplitTime.cpp - Blocks for segments of time ------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A state that a chunk takes to a * X + b, element by element, is taken by
// several chunks to A * X + B, where A is the product of the a and B is what X
// = 0 becomes. A kernel before computes A and B of every segment but the last;
// then every segment starts from what those before it make of the first state.
//
//===----------------------------------------------------------------------===//

#include "dialects/Tile/IR/TileOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"
#include "passes/GPU/Tile/Passes.h"

namespace rondo::tile {
#define GEN_PASS_DEF_SPLITTIME
#include "passes/GPU/Tile/Passes.h.inc"
} // namespace rondo::tile

using namespace mlir;
using namespace rondo::tile;

namespace {

/// A kernel with one loop over chunks, whose last argument is the workspace.
class TimeSplitter {
public:
  TimeSplitter(gpu::GPUFuncOp kernel, gpu::LaunchFuncOp launch, int64_t blocks)
      : kernel(kernel), launch(launch), builder(kernel.getContext()),
        loc(kernel.getLoc()), blocks(blocks) {}
  bool run();

private:
  bool find();
  bool depends(Value value);
  bool isAffine(Value value, BlockArgument state);
  Value withoutSums(Value value, BlockArgument state, Value start,
                    IRMapping &mapping);
  Value copyScalar(Value value, ValueRange arguments, IRMapping &known);
  Value segmentMemory(unsigned state, bool isFactor, Value workspace,
                      Value base);
  int64_t offsetOf(unsigned state, bool isFactor);
  void access(Value memory, Value record, TileType type, Value &tile);
  bool isSameForRows(Value value, BlockArgument state);
  TileType factorType(unsigned state);
  scf::ForOp restrictLoop(scf::ForOp old, Value segment, Value segments,
                          ValueRange inits);
  void addSegments(Value base);
  void splitKernel(Value base);
  func::FuncOp getBytes();
  void splitHost();
  Value constant(int64_t value) {
    return arith::ConstantIndexOp::create(builder, loc, value);
  }

  gpu::GPUFuncOp kernel, before;
  gpu::LaunchFuncOp launch;
  OpBuilder builder;
  Location loc;
  int64_t blocks; // that fill a device
  scf::ForOp loop;
  Operation *block = nullptr; // its number
  int64_t record = 0;         // of a segment, in elements of f32
  llvm::DenseMap<Value, bool> dependent;
};

bool TimeSplitter::find() {
  if (kernel->hasAttr("tile.blocks"))
    return false; // its steps are not chunks of time
  for (auto each : kernel.getBody().front().getOps<scf::ForOp>()) {
    if (loop)
      return false;
    loop = each;
  }
  if (!loop || loop.getInitArgs().empty())
    return false;
  for (auto id : kernel.getBody().front().getOps<gpu::BlockIdOp>()) {
    if (block)
      return false;
    block = id;
  }
  if (!block)
    return false;
  for (Value init : loop.getInitArgs()) {
    auto type = dyn_cast<TileType>(init.getType());
    if (!type || !type.isMatrix() || !type.getElementType().isF32())
      return false;
    record += 2 * type.getRows() * type.getColumns();
  }
  auto yield = cast<scf::YieldOp>(loop.getBody()->getTerminator());
  return llvm::all_of(llvm::zip(yield.getOperands(), loop.getRegionIterArgs()),
                      [&](auto pair) {
                        return isAffine(std::get<0>(pair), std::get<1>(pair));
                      });
}

/// Whether a state at the start of the chunk leads to the value.
bool TimeSplitter::depends(Value value) {
  if (auto argument = dyn_cast<BlockArgument>(value))
    return argument.getOwner() == loop.getBody() &&
           argument != loop.getInductionVar();
  Operation *op = value.getDefiningOp();
  if (op->getBlock() != loop.getBody())
    return false;
  auto known = dependent.find(value);
  if (known != dependent.end())
    return known->second;
  bool result = llvm::any_of(op->getOperands(),
                             [&](Value operand) { return depends(operand); });
  op->walk([&](Operation *inner) {
    if (inner != op)
      for (Value operand : inner->getOperands())
        if (operand.getParentBlock() == loop.getBody())
          result |= depends(operand);
  });
  return dependent[value] = result;
}

/// The operand of a body's operation that comes from `argument`, if there is
/// one, and the operation is linear in it; -1 if not.
static int64_t linearOperand(Operation &op, Value from) {
  int64_t number = -1;
  for (OpOperand &operand : op.getOpOperands())
    if (operand.get() == from) {
      if (number != -1)
        return -1;
      number = operand.getOperandNumber();
    }
  bool linear = isa<arith::MulFOp, arith::AddFOp>(op) ||
                (isa<arith::SubFOp, arith::DivFOp>(op) && number == 0);
  return linear ? number : -1;
}

/// Whether the value is a * state + b, where neither depends on states.
bool TimeSplitter::isAffine(Value value, BlockArgument state) {
  if (value == state)
    return true;
  if (auto dot = value.getDefiningOp<DotOp>())
    return !depends(dot.getLeft()) && !depends(dot.getRight()) &&
           isAffine(dot.getAccumulator(), state);
  auto map = value.getDefiningOp<MapOp>();
  if (!map || map->getBlock() != loop.getBody() ||
      map.getType() != state.getType())
    return false;
  Value current;
  for (auto [input, argument] :
       llvm::zip(map.getInputs(), map.getBody().front().getArguments())) {
    if (!depends(input))
      continue;
    if (current || input.getType() != state.getType() ||
        !isAffine(input, state))
      return false;
    current = argument;
  }
  Operation *yield = map.getBody().front().getTerminator();
  while (current && !llvm::is_contained(yield->getOperands(), current)) {
    if (!current.hasOneUse())
      return false;
    Operation &user = **current.user_begin();
    if (linearOperand(user, current) < 0)
      return false;
    current = user.getResult(0);
  }
  return current && current.hasOneUse();
}

/// The same with b = 0, for `start` in place of the state.
Value TimeSplitter::withoutSums(Value value, BlockArgument state, Value start,
                                IRMapping &mapping) {
  if (value == state)
    return start;
  if (auto dot = value.getDefiningOp<DotOp>())
    return withoutSums(dot.getAccumulator(), state, start, mapping);
  auto map = value.getDefiningOp<MapOp>();
  // Of what the body has of its own, there is a copy already.
  IRMapping inside;
  map->walk([&](Operation *op) {
    for (Value operand : op->getOperands())
      if (operand.getParentRegion() != &map.getBody())
        inside.map(operand, mapping.lookupOrDefault(operand));
  });
  Value current;
  for (auto [input, argument] :
       llvm::zip(map.getInputs(), map.getBody().front().getArguments()))
    if (depends(input)) {
      inside.map(input, withoutSums(input, state, start, mapping));
      current = argument;
    }
  auto copy = cast<MapOp>(builder.clone(*map, inside));
  copy.getResult().setType(cast<TileType>(start.getType()));
  current = copy.getBody().front().getArgument(
      cast<BlockArgument>(current).getArgNumber());
  Operation *yield = copy.getBody().front().getTerminator();
  while (!llvm::is_contained(yield->getOperands(), current)) {
    Operation *user = *current.user_begin();
    if (isa<arith::AddFOp, arith::SubFOp>(user))
      user->getResult(0).replaceAllUsesWith(current);
    else
      current = user->getResult(0);
    if (user->use_empty())
      user->erase();
  }
  return copy.getResult();
}

/// A scalar of another function with the same first arguments.
Value TimeSplitter::copyScalar(Value value, ValueRange arguments,
                               IRMapping &known) {
  if (auto argument = dyn_cast<BlockArgument>(value))
    return arguments[argument.getArgNumber()];
  if (Value done = known.lookupOrNull(value))
    return done;
  Operation *op = value.getDefiningOp();
  for (Value operand : op->getOperands())
    known.map(operand, copyScalar(operand, arguments, known));
  builder.clone(*op, known);
  return known.lookup(value);
}

int64_t TimeSplitter::offsetOf(unsigned state, bool isFactor) {
  int64_t offset = 0;
  for (unsigned i = 0; i <= state; ++i) {
    auto type = cast<TileType>(loop.getInitArgs()[i].getType());
    offset += (i < state ? 2 : isFactor) * type.getRows() * type.getColumns();
  }
  return offset;
}

/// [record, row, column] of A or B of a state, `base` bytes into the workspace.
Value TimeSplitter::segmentMemory(unsigned state, bool isFactor,
                                  Value workspace, Value base) {
  auto type = cast<TileType>(loop.getInitArgs()[state].getType());
  constexpr int64_t dynamic = ShapedType::kDynamic;
  Value flat = memref::ViewOp::create(
      builder, loc, MemRefType::get({dynamic}, builder.getF32Type()), workspace,
      base, ValueRange{constant(1)});
  int64_t offset = offsetOf(state, isFactor);
  auto memory = MemRefType::get(
      {dynamic, type.getRows(), type.getColumns()}, builder.getF32Type(),
      StridedLayoutAttr::get(builder.getContext(), offset,
                             {record, type.getColumns(), 1}));
  SmallVector<OpFoldResult> sizes{OpFoldResult(constant(1)),
                                  builder.getIndexAttr(type.getRows()),
                                  builder.getIndexAttr(type.getColumns())};
  SmallVector<OpFoldResult> strides{builder.getIndexAttr(record),
                                    builder.getIndexAttr(type.getColumns()),
                                    builder.getIndexAttr(1)};
  return memref::ReinterpretCastOp::create(
      builder, loc, memory, flat, builder.getIndexAttr(offset), sizes, strides);
}

/// Whether what the state is multiplied by is the same for all its rows.
bool TimeSplitter::isSameForRows(Value value, BlockArgument state) {
  if (value == state)
    return true;
  if (auto dot = value.getDefiningOp<DotOp>())
    return isSameForRows(dot.getAccumulator(), state);
  auto map = value.getDefiningOp<MapOp>();
  Block &body = map.getBody().front();
  if (!body.getArgument(map.getInputs().size()).use_empty())
    return false;
  return llvm::all_of(map.getInputs(), [&](Value input) {
    return depends(input) ? isSameForRows(input, state)
                          : cast<TileType>(input.getType()).getRows() == 1;
  });
}

/// Of A: a row, where that is enough.
TileType TimeSplitter::factorType(unsigned state) {
  auto type = cast<TileType>(loop.getInitArgs()[state].getType());
  auto yield = cast<scf::YieldOp>(loop.getBody()->getTerminator());
  return isSameForRows(yield.getOperand(state), loop.getRegionIterArgs()[state])
             ? TileType::get(type.getContext(), 1, type.getColumns(),
                             type.getElementType(), type.getLayout())
             : type;
}

/// Stores the tile to a record, or loads it where there is none.
void TimeSplitter::access(Value memory, Value number, TileType type,
                          Value &tile) {
  SmallVector<Value> indices{number, constant(0), constant(0)};
  Value rows = constant(type.getRows()), columns = constant(type.getColumns());
  int64_t rowDim = 1;
  if (type.getRows() == 1) {
    rowDim = -1;
    rows = {};
  }
  if (tile)
    StoreOp::create(builder, loc, tile, memory, indices, rowDim, rows, 2,
                    columns);
  else
    tile = LoadOp::create(builder, loc, type, memory, indices, rowDim, rows, 2,
                          columns);
}

/// A loop over the chunks of a segment, without a body.
scf::ForOp TimeSplitter::restrictLoop(scf::ForOp old, Value segment,
                                      Value segments, ValueRange inits) {
  Value chunks = old.getUpperBound();
  Value length = arith::CeilDivSIOp::create(builder, loc, chunks, segments);
  Value lower = arith::MulIOp::create(builder, loc, segment, length);
  Value upper = arith::MinSIOp::create(
      builder, loc, arith::AddIOp::create(builder, loc, lower, length), chunks);
  auto result =
      scf::ForOp::create(builder, loc, lower, upper, old.getStep(), inits);
  if (!result.getBody()->empty())
    result.getBody()->getTerminator()->erase();
  return result;
}

static Value fill(OpBuilder &builder, Location loc, TileType type,
                  double value) {
  auto map = MapOp::create(builder, loc, type, ValueRange());
  OpBuilder::InsertionGuard guard(builder);
  Type index = builder.getIndexType();
  builder.createBlock(&map.getBody(), {}, {index, index}, {loc, loc});
  Value constant = arith::ConstantOp::create(
      builder, loc, builder.getF32FloatAttr(static_cast<float>(value)));
  YieldOp::create(builder, loc, constant);
  return map.getResult();
}

/// The kernel before: A and B of segments.
void TimeSplitter::addSegments(Value base) {
  IRMapping mapping;
  builder.setInsertionPoint(kernel);
  before = cast<gpu::GPUFuncOp>(builder.clone(*kernel, mapping));
  before.setName((kernel.getName() + "_segments").str());
  auto old = cast<scf::ForOp>(mapping.lookup(loop.getOperation()));
  Operation *id = mapping.lookup(block);
  Value segments = before.getArguments().back();
  Value workspace = before.getArgument(before.getNumArguments() - 2);

  builder.setInsertionPointAfter(id);
  Value earlier = arith::MaxSIOp::create(
      builder, loc, arith::SubIOp::create(builder, loc, segments, constant(1)),
      constant(1));
  Value own = arith::DivUIOp::create(builder, loc, id->getResult(0), earlier);
  Value segment =
      arith::RemUIOp::create(builder, loc, id->getResult(0), earlier);
  id->getResult(0).replaceUsesWithIf(own, [&](OpOperand &use) {
    return use.getOwner() != own.getDefiningOp() &&
           use.getOwner() != segment.getDefiningOp();
  });

  builder.setInsertionPoint(old);
  SmallVector<Value> inits;
  for (Value init : loop.getInitArgs())
    inits.push_back(fill(builder, loc, cast<TileType>(init.getType()), 0));
  for (unsigned i = 0; i < loop.getInitArgs().size(); ++i)
    inits.push_back(fill(builder, loc, factorType(i), 1));
  scf::ForOp next = restrictLoop(old, segment, segments, inits);
  unsigned count = loop.getInitArgs().size();
  builder.setInsertionPointToEnd(next.getBody());
  IRMapping inside;
  inside.map(loop.getInductionVar(), next.getInductionVar());
  for (auto [from, to] :
       llvm::zip(loop.getRegionIterArgs(), next.getRegionIterArgs()))
    inside.map(from, to);
  for (Operation &op : loop.getBody()->without_terminator()) {
    if (isa<StoreOp>(op))
      continue;
    // What stands outside of the loop is that of the other function.
    op.walk([&](Operation *inner) {
      for (Value operand : inner->getOperands())
        if (!inside.contains(operand) && mapping.contains(operand) &&
            loop.isDefinedOutsideOfLoop(operand))
          inside.map(operand, mapping.lookup(operand));
    });
    builder.clone(op, inside);
  }
  auto yield = cast<scf::YieldOp>(loop.getBody()->getTerminator());
  SmallVector<Value> results;
  for (Value value : yield.getOperands())
    results.push_back(inside.lookupOrDefault(value));
  for (auto [i, value] : llvm::enumerate(yield.getOperands()))
    results.push_back(withoutSums(value, loop.getRegionIterArgs()[i],
                                  next.getRegionIterArgs()[count + i], inside));
  scf::YieldOp::create(builder, loc, results);

  builder.setInsertionPointAfter(next);
  IRMapping known;
  Value start = copyScalar(base, before.getArguments(), known);
  Value number = arith::AddIOp::create(
      builder, loc, arith::MulIOp::create(builder, loc, own, segments),
      segment);
  for (unsigned i = 0; i < count; ++i)
    for (bool isFactor : {false, true}) {
      Value tile = next.getResult(isFactor ? count + i : i);
      access(segmentMemory(i, isFactor, workspace, start), number,
             cast<TileType>(tile.getType()), tile);
    }
  SmallVector<Operation *> rest;
  for (Operation *op = old; !isa<gpu::ReturnOp>(op); op = op->getNextNode())
    rest.push_back(op);
  for (Operation *op : llvm::reverse(rest))
    op->erase();
}

void TimeSplitter::splitKernel(Value base) {
  Value segments = kernel.getArguments().back();
  Value workspace = kernel.getArgument(kernel.getNumArguments() - 2);
  builder.setInsertionPointAfter(block);
  Value id = block->getResult(0);
  Value own = arith::DivUIOp::create(builder, loc, id, segments);
  Value segment = arith::RemUIOp::create(builder, loc, id, segments);
  id.replaceUsesWithIf(own, [&](OpOperand &use) {
    return use.getOwner() != own.getDefiningOp() &&
           use.getOwner() != segment.getDefiningOp();
  });

  // From the first state through the segments before.
  builder.setInsertionPoint(loop);
  IRMapping known;
  Value start = copyScalar(base, kernel.getArguments(), known);
  Value first = arith::MulIOp::create(builder, loc, own, segments);
  SmallVector<std::pair<Value, Value>> memory;
  for (unsigned i = 0; i < loop.getInitArgs().size(); ++i)
    memory.push_back({segmentMemory(i, true, workspace, start),
                      segmentMemory(i, false, workspace, start)});
  auto through =
      scf::ForOp::create(builder, loc, constant(0), segment, constant(1),
                         SmallVector<Value>(loop.getInitArgs()));
  if (!through.getBody()->empty())
    through.getBody()->getTerminator()->erase();
  {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToEnd(through.getBody());
    Value number =
        arith::AddIOp::create(builder, loc, first, through.getInductionVar());
    SmallVector<Value> results;
    for (auto [i, state] : llvm::enumerate(through.getRegionIterArgs())) {
      auto type = cast<TileType>(state.getType());
      Value factor, sum;
      access(memory[i].first, number, factorType(i), factor);
      access(memory[i].second, number, type, sum);
      auto map =
          MapOp::create(builder, loc, type, ValueRange{state, factor, sum});
      OpBuilder::InsertionGuard inner(builder);
      Type f32 = builder.getF32Type(), index = builder.getIndexType();
      Block *body =
          builder.createBlock(&map.getBody(), {}, {f32, f32, f32, index, index},
                              SmallVector<Location>(5, loc));
      Value product = arith::MulFOp::create(builder, loc, body->getArgument(0),
                                            body->getArgument(1));
      YieldOp::create(
          builder, loc,
          arith::AddFOp::create(builder, loc, product, body->getArgument(2)));
      results.push_back(map.getResult());
    }
    scf::YieldOp::create(builder, loc, results);
  }
  scf::ForOp next = restrictLoop(loop, segment, segments, through.getResults());
  next.getBody()->getOperations().splice(next.getBody()->end(),
                                         loop.getBody()->getOperations());
  loop.getInductionVar().replaceAllUsesWith(next.getInductionVar());
  for (auto [from, to] :
       llvm::zip(loop.getRegionIterArgs(), next.getRegionIterArgs()))
    from.replaceAllUsesWith(to);
  for (auto [from, to] : llvm::zip(loop.getResults(), next.getResults()))
    from.replaceAllUsesWith(to);

  // Final values are those of the last segment.
  Value isLast = arith::CmpIOp::create(
      builder, loc, arith::CmpIPredicate::eq,
      arith::AddIOp::create(builder, loc, segment, constant(1)), segments);
  for (Operation *op = next->getNextNode(); op; op = op->getNextNode())
    if (auto store = dyn_cast<StoreOp>(op)) {
      builder.setInsertionPoint(store);
      store.getRowLimitMutable().assign(arith::SelectOp::create(
          builder, loc, isLast, store.getRowLimit(), constant(0)));
    }
  loop.erase();
  loop = next;
}

func::FuncOp TimeSplitter::getBytes() {
  auto host = launch->getParentOfType<func::FuncOp>();
  return host->getParentOfType<ModuleOp>().lookupSymbol<func::FuncOp>(
      (host.getSymName() + "_worker_bytes").str());
}

void TimeSplitter::splitHost() {
  auto host = launch->getParentOfType<func::FuncOp>();
  func::FuncOp bytes = getBytes();
  builder.setInsertionPoint(launch);
  IRMapping inHost;
  Value chunks = copyScalar(loop.getUpperBound(), host.getArguments(), inHost);
  // As many segments as there is room for, of four chunks at least. Two are no
  // gain: two blocks of a multiprocessor are less than twice as fast as one,
  // and half of the work is done twice.
  Value total = launch.getGridSizeOperandValues().x, one = constant(1);
  Value fit =
      arith::DivUIOp::create(builder, loc, constant(blocks),
                             arith::MaxSIOp::create(builder, loc, total, one));
  Value some = arith::DivUIOp::create(builder, loc, chunks, constant(4));
  Value pays = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::sge,
                                     fit, constant(3));
  fit = arith::SelectOp::create(builder, loc, pays, fit, one);
  Value segments = arith::MaxSIOp::create(
      builder, loc, arith::MinSIOp::create(builder, loc, fit, some), one);
  SmallVector<Value> operands(launch.getKernelOperands());
  operands.push_back(segments);
  gpu::KernelDim3 threads = launch.getBlockSizeOperandValues();
  Value earlier = arith::SubIOp::create(builder, loc, segments, one);
  for (bool isFirst : {true, false}) {
    Value count = arith::MulIOp::create(builder, loc, total,
                                        isFirst ? earlier : segments);
    gpu::LaunchFuncOp::create(builder, loc, isFirst ? before : kernel,
                              gpu::KernelDim3{count, one, one}, threads,
                              Value(), operands);
  }
  launch.erase();
  launch = {};

  // Never more than `blocks` records, and none where there is one segment.
  Operation *exit = bytes.getBody().front().getTerminator();
  builder.setInsertionPoint(exit);
  IRMapping known;
  Value count = copyScalar(loop.getUpperBound(), bytes.getArguments(), known);
  Value any = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::sge,
                                    count, constant(8));
  Value need = arith::SelectOp::create(
      builder, loc, any, constant(4 * record * blocks), constant(0));
  exit->setOperand(
      0, arith::AddIOp::create(builder, loc, exit->getOperand(0), need));
}

bool TimeSplitter::run() {
  if (!find())
    return false;
  unsigned number = kernel.getNumArguments();
  if (failed(kernel.insertArgument(number, builder.getIndexType(), {}, loc)))
    return false;
  Value base = getBytes().getBody().front().getTerminator()->getOperand(0);
  addSegments(base);
  splitHost();
  splitKernel(base);
  return true;
}

struct SplitTime : public rondo::tile::impl::SplitTimeBase<SplitTime> {
  using SplitTimeBase::SplitTimeBase;
  void runOnOperation() override {
    SmallVector<gpu::LaunchFuncOp> launches;
    getOperation().walk(
        [&](gpu::LaunchFuncOp launch) { launches.push_back(launch); });
    for (gpu::LaunchFuncOp launch : launches) {
      auto kernel = dyn_cast_or_null<gpu::GPUFuncOp>(
          SymbolTable::lookupNearestSymbolFrom(launch, launch.getKernel()));
      if (kernel && kernel->hasAttr("tile.warps") &&
          TimeSplitter(kernel, launch, blocks).run())
        ++numSplit;
    }
  }
};

} // namespace
