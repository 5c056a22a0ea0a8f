//===- SplitChunks.cpp - What chunks need not wait for --------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/Tile/IR/TileOps.h"
#include "mlir/Analysis/SliceAnalysis.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"
#include "passes/GPU/Tile/Groups.h"
#include "passes/GPU/Tile/Passes.h"

namespace rondo::tile {
#define GEN_PASS_DEF_SPLITCHUNKS
#include "passes/GPU/Tile/Passes.h.inc"
} // namespace rondo::tile

using namespace mlir;
using namespace rondo::tile;

namespace {

/// A kernel whose last arguments are the first point, the blocks of a point and
/// the workspace, and what launches it.
class Splitter {
public:
  Splitter(gpu::GPUFuncOp kernel, gpu::LaunchFuncOp launch, int64_t memory)
      : kernel(kernel), launch(launch), memory(memory),
        builder(kernel.getContext()), loc(kernel.getLoc()) {}
  bool run();

private:
  bool find();
  bool isLocal(Operation *op);
  void gatherVectors();
  Value place(OpBuilder &at, Value value, ValueRange arguments,
              IRMapping &known);
  Value memoryOf(unsigned number, Value workspace, Value chunks);
  void splitKernel();
  void splitHost();
  Value constant(int64_t value) {
    return arith::ConstantIndexOp::create(builder, loc, value);
  }

  gpu::GPUFuncOp kernel, first;
  gpu::LaunchFuncOp launch;
  int64_t memory; // of a block, shared
  OpBuilder builder;
  Location loc;
  scf::ForOp loop;
  Value point, part; // of this block
  llvm::DenseMap<Operation *, bool> local;
  llvm::DenseSet<Operation *> gathered; // vectors that lie apart in memory
  SmallVector<Value> cut;       // what the first kernel hands on
  SmallVector<int64_t> offsets; // in bytes, in the record of a chunk
  int64_t record = 0;
  int64_t warps = 4; // of the first kernel
};

/// The block's point and part: quotient and remainder of its number.
bool Splitter::find() {
  if (kernel->hasAttr("tile.blocks"))
    return false; // its steps are not chunks of time
  for (auto each : kernel.getBody().front().getOps<scf::ForOp>()) {
    if (loop || each.getInitArgs().empty())
      return false;
    loop = each;
  }
  unsigned count = kernel.getNumArguments();
  if (!loop || count < 3)
    return false;
  Value parts = kernel.getArgument(count - 2);
  for (Operation *user : parts.getUsers()) {
    if (isa<arith::DivUIOp>(user))
      point = user->getResult(0);
    if (isa<arith::RemUIOp>(user))
      part = user->getResult(0);
  }
  return point && part;
}

/// The same for all parts of a point, and not a matter of the chunks before.
bool Splitter::isLocal(Operation *op) {
  auto known = local.find(op);
  if (known != local.end())
    return known->second;
  bool result = isa<LoadOp>(op) || isMemoryEffectFree(op);
  auto check = [&](Value operand) {
    if (auto argument = dyn_cast<BlockArgument>(operand)) {
      if (argument.getOwner() == loop.getBody() &&
          argument != loop.getInductionVar())
        result = false;
      return;
    }
    if (operand == part)
      result = false;
    else if (operand.getDefiningOp() &&
             !op->isProperAncestor(operand.getDefiningOp()))
      result &= isLocal(operand.getDefiningOp());
  };
  if (result && isa<BlockArgument>(point))
    return local[op] = false;
  for (Value operand : op->getOperands())
    if (result && operand != point)
      check(operand);
  op->walk([&](Operation *inner) {
    if (inner != op)
      for (Value operand : inner->getOperands())
        if (result && operand.getParentRegion() != inner->getParentRegion())
          check(operand);
  });
  return local[op] = result;
}

/// A scalar of the kernel, in terms of other values of its arguments.
Value Splitter::place(OpBuilder &at, Value value, ValueRange arguments,
                      IRMapping &known) {
  if (auto argument = dyn_cast<BlockArgument>(value))
    return arguments[argument.getArgNumber()];
  if (Value done = known.lookupOrNull(value))
    return done;
  Operation *op = value.getDefiningOp();
  for (Value operand : op->getOperands())
    known.map(operand, place(at, operand, arguments, known));
  at.clone(*op, known);
  return known.lookup(value);
}

/// [point, chunk, row, column] of value `number` in the workspace.
Value Splitter::memoryOf(unsigned number, Value workspace, Value chunks) {
  auto type = cast<TileType>(cut[number].getType());
  Type element = type.getElementType();
  int64_t bytes = element.getIntOrFloatBitWidth() / 8;
  constexpr int64_t dynamic = ShapedType::kDynamic;
  Value flat = memref::ViewOp::create(
      builder, loc, MemRefType::get({dynamic}, element), workspace, constant(0),
      ValueRange{constant(1)});
  int64_t step = record / bytes, offset = offsets[number] / bytes;
  Value perPoint =
      arith::MulIOp::create(builder, loc, chunks, constant(step));
  auto layout = StridedLayoutAttr::get(builder.getContext(), offset,
                                       {dynamic, step, type.getColumns(), 1});
  auto memory = MemRefType::get(
      {dynamic, dynamic, type.getRows(), type.getColumns()}, element, layout);
  SmallVector<OpFoldResult> sizes{
      OpFoldResult(constant(1)), OpFoldResult(chunks),
      builder.getIndexAttr(type.getRows()),
      builder.getIndexAttr(type.getColumns())};
  SmallVector<OpFoldResult> strides{
      OpFoldResult(perPoint), builder.getIndexAttr(step),
      builder.getIndexAttr(type.getColumns()), builder.getIndexAttr(1)};
  return memref::ReinterpretCastOp::create(
      builder, loc, memory, flat, builder.getIndexAttr(offset), sizes, strides);
}

/// Dims of [point, chunk, row, column] that a tile runs along. Every tile has one
/// with a limit, so that nothing is read behind the last chunk.
static bool hasRows(TileType type) {
  return type.getRows() > 1 || type.isScalar();
}
static int64_t rowDim(TileType type) { return hasRows(type) ? 2 : -1; }
static int64_t columnDim(TileType type) {
  return type.getColumns() > 1 ? 3 : -1;
}

void Splitter::splitKernel() {
  // The first kernel: a block computes one chunk.
  IRMapping mapping;
  builder.setInsertionPoint(kernel);
  first = cast<gpu::GPUFuncOp>(builder.clone(*kernel, mapping));
  first.setName((kernel.getName() + "_chunks").str());
  first->setAttr("tile.warps", builder.getI64IntegerAttr(warps));
  Operation *copied = mapping.lookup(loop.getOperation());
  builder.setInsertionPoint(copied);
  Value chunk = mapping.lookup(part);
  IRMapping inside;
  inside.map(mapping.lookup(loop.getInductionVar()), chunk);
  for (Operation &op : loop.getBody()->without_terminator())
    if (isLocal(&op))
      builder.clone(*mapping.lookup(&op), inside);
  Value chunks = mapping.lookupOrDefault(loop.getUpperBound());
  Value workspace = first.getArguments().back();
  for (auto [i, value] : llvm::enumerate(cut)) {
    auto type = cast<TileType>(value.getType());
    // At once, so that few tiles are alive.
    Value computed = inside.lookup(mapping.lookup(value));
    builder.setInsertionPointAfterValue(computed);
    Value memory = memoryOf(i, workspace, chunks);
    StoreOp::create(builder, loc, computed, memory,
                    ValueRange{mapping.lookup(point), chunk, constant(0),
                               constant(0)},
                    rowDim(type),
                    hasRows(type) ? constant(type.getRows()) : Value(),
                    columnDim(type),
                    type.getColumns() > 1 ? constant(type.getColumns())
                                          : Value());
  }
  SmallVector<Operation *> rest;
  for (Operation *op = copied; !isa<gpu::ReturnOp>(op); op = op->getNextNode())
    rest.push_back(op);
  for (Operation *op : llvm::reverse(rest))
    op->erase();

  // The kernel loads what was computed.
  for (auto [i, value] : llvm::enumerate(cut)) {
    auto type = cast<TileType>(value.getType());
    builder.setInsertionPoint(loop);
    Value memory =
        memoryOf(i, kernel.getArguments().back(), loop.getUpperBound());
    Value zero = constant(0), rows, columns;
    if (hasRows(type))
      rows = constant(type.getRows());
    if (type.getColumns() > 1)
      columns = constant(type.getColumns());
    builder.setInsertionPointAfterValue(value);
    Value loaded = LoadOp::create(
        builder, loc, type, memory,
        ValueRange{point, loop.getInductionVar(), zero, zero}, rowDim(type),
        rows, columnDim(type), columns);
    value.replaceAllUsesWith(loaded);
  }
}

void Splitter::splitHost() {
  auto host = launch->getParentOfType<func::FuncOp>();
  builder.setInsertionPoint(launch);
  IRMapping known;
  Value chunks =
      place(builder, loop.getUpperBound(), host.getArguments(), known);
  SmallVector<Value> operands(launch.getKernelOperands());
  Value parts = operands[operands.size() - 2];
  operands[operands.size() - 2] = chunks;
  Value one = constant(1);
  // The launch has points times parts blocks.
  Value blocks = launch.getGridSizeOperandValues().x;
  Value some = arith::MaxSIOp::create(builder, loc, parts, one);
  Value points = arith::DivUIOp::create(builder, loc, blocks, some);
  Value total = arith::MulIOp::create(builder, loc, points, chunks);
  gpu::LaunchFuncOp::create(builder, loc, first,
                            gpu::KernelDim3{total, one, one},
                            gpu::KernelDim3{constant(32 * warps), one, one},
                            Value(), operands);

  // The workspace: a record for every chunk of every point.
  auto bytes = host->getParentOfType<ModuleOp>().lookupSymbol<func::FuncOp>(
      (host.getSymName() + "_worker_bytes").str());
  Operation *exit = bytes.getBody().front().getTerminator();
  builder.setInsertionPoint(exit);
  IRMapping sizes;
  Value need = arith::MulIOp::create(
      builder, loc,
      place(builder, loop.getUpperBound(), bytes.getArguments(), sizes),
      constant(record));
  auto signature = host->getAttrOfType<DictionaryAttr>("rondo.signature");
  auto names = signature.getAs<ArrayAttr>("sizes");
  auto bounds = signature.getAs<DenseI64ArrayAttr>("bound");
  for (Attribute batch : signature.getAs<ArrayAttr>("batch")) {
    unsigned number = llvm::find(names, batch) - names.begin();
    Value size = bytes.getArgument(number);
    if (bounds && bounds[number] >= 0)
      size = constant(bounds[number]);
    need = arith::MulIOp::create(builder, loc, need, size);
  }
  need = arith::AddIOp::create(builder, loc, need, exit->getOperand(0));
  exit->setOperand(0, need);
}

/// Vectors of the inputs, as a number per head often is, whose elements are not
/// neighbours in memory, or not of f32, are handed on, too: then they can be
/// copied ahead.
void Splitter::gatherVectors() {
  for (LoadOp load :
       llvm::make_early_inc_range(loop.getBody()->getOps<LoadOp>())) {
    TileType type = load.getType();
    if (!type.isVector() || type.getElementType().isF32() || !isLocal(load))
      continue;
    builder.setInsertionPointAfter(load);
    auto copy = [&](Value from, Type element) {
      auto map = MapOp::create(builder, loc, type.withElementType(element),
                               ValueRange(from));
      OpBuilder::InsertionGuard guard(builder);
      Type index = builder.getIndexType();
      Block *body = builder.createBlock(
          &map.getBody(), {}, {builder.getF32Type(), index, index},
          {loc, loc, loc});
      YieldOp::create(builder, loc, body->getArgument(0));
      return map;
    };
    MapOp wide = copy(load, builder.getF32Type());
    MapOp narrow = copy(wide, type.getElementType());
    load.getResult().replaceAllUsesExcept(narrow, wide);
    gathered.insert(wide);
  }
}

bool Splitter::run() {
  if (!find())
    return false;
  bool pays = false, inverts = false;
  for (Operation &op : *loop.getBody()) {
    bool isLong = isa<InvertOp, SegmentDotOp>(op) || isMatrixScan(&op);
    inverts |= isLong && isLocal(&op);
    pays |= (isLong || isa<SegmentProductOp>(op)) && isLocal(&op);
  }
  // A group of warps computes the rest ahead of the others.
  if (!pays || (!inverts && !LoopParts(loop, memory).whyOne))
    return false;
  gatherVectors();
  // From the end: what is cheap stays with its users, and asks for its operands.
  llvm::DenseSet<Operation *> stays;
  for (Operation &op : llvm::reverse(loop.getBody()->without_terminator())) {
    if (!isLocal(&op)) {
      stays.insert(&op);
      continue;
    }
    // A warp has a block of 8 rows.
    if (auto dot = dyn_cast<SegmentDotOp>(op))
      warps = std::min<int64_t>(16, dot.getKeys().getType().getRows() / 8);
    bool leaves = llvm::any_of(op.getUsers(), [&](Operation *user) {
      Operation *inLoop = loop.getBody()->findAncestorOpInBlock(*user);
      return isa<scf::YieldOp>(inLoop) || stays.contains(inLoop);
    });
    if (!leaves)
      continue;
    auto type = op.getNumResults() == 1
                    ? dyn_cast<TileType>(op.getResult(0).getType())
                    : TileType();
    if (!type || (!gathered.contains(&op) &&
                  !computes(loop, &op, !type.isMatrix()))) {
      stays.insert(&op);
      continue;
    }
    cut.push_back(op.getResult(0));
    offsets.push_back(record);
    record += llvm::alignTo(
        type.getRows() * type.getColumns() *
            type.getElementType().getIntOrFloatBitWidth() / 8,
        16);
  }
  if (cut.empty())
    return false;
  splitKernel();
  splitHost();
  return true;
}

struct SplitChunks : public rondo::tile::impl::SplitChunksBase<SplitChunks> {
  using SplitChunksBase::SplitChunksBase;
  void runOnOperation() override {
    SmallVector<gpu::LaunchFuncOp> launches;
    getOperation().walk(
        [&](gpu::LaunchFuncOp launch) { launches.push_back(launch); });
    for (gpu::LaunchFuncOp launch : launches) {
      auto kernel = dyn_cast_or_null<gpu::GPUFuncOp>(
          SymbolTable::lookupNearestSymbolFrom(launch, launch.getKernel()));
      if (kernel && kernel->hasAttr("tile.warps") &&
          Splitter(kernel, launch, memory).run())
        ++numSplit;
    }
  }
};

} // namespace
