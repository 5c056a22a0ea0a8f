//===- SliceColumns.cpp - Some columns at a time --------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/Tile/IR/TileOps.h"
#include "mlir/Analysis/TopologicalSortUtils.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"
#include "passes/GPU/Tile/Passes.h"

namespace rondo::tile {
#define GEN_PASS_DEF_SLICECOLUMNS
#include "passes/GPU/Tile/Passes.h.inc"
} // namespace rondo::tile

using namespace mlir;
using namespace rondo::tile;

namespace {

/// That a multiprocessor has 128 registers a thread for.
constexpr int64_t kWarps = 16;

/// What has columns of its own in a kernel without loops: from loads, by maps
/// and scans down the rows, to stores and sums over the columns.
class Slicer {
public:
  Slicer(Block &block, int64_t width)
      : block(block), width(width),
        builder(OpBuilder::atBlockTerminator(&block)) {}
  /// Returns the number of slices.
  int64_t run();

private:
  bool isWide(Value value) {
    auto type = dyn_cast<TileType>(value.getType());
    return type && type.getColumns() == columns;
  }
  bool canSlice(Value value);
  bool comesFromScan(Value value);
  Value slice(Value value);
  Value offset(Value value, int64_t by) {
    Value amount = arith::ConstantIndexOp::create(builder, value.getLoc(), by);
    return arith::AddIOp::create(builder, value.getLoc(), value, amount);
  }
  Value sum(Value a, Value b);

  Block &block;
  int64_t width, columns = 0;
  OpBuilder builder;
  int64_t first = 0;                  // column of the slice
  llvm::DenseMap<Value, Value> known; // slices
};

/// The dim of a load or store that the columns run along; -1 if they are
/// turned.
template <typename Op> bool runsAlongColumns(Op op) {
  return static_cast<int64_t>(op.getColumnDim()) != -1;
}

bool Slicer::canSlice(Value value) {
  if (!isWide(value))
    return true;
  Operation *op = value.getDefiningOp();
  if (!op || op->getBlock() != &block)
    return false;
  if (auto load = dyn_cast<LoadOp>(op))
    return runsAlongColumns(load);
  return isa<MapOp, ScanOp, ExtractOp>(op) &&
         llvm::all_of(op->getOperands(),
                      [&](Value operand) { return canSlice(operand); });
}

bool Slicer::comesFromScan(Value value) {
  Operation *op = value.getDefiningOp();
  if (!isWide(value) || !op)
    return false;
  return isa<ScanOp>(op) ||
         (isa<MapOp, ExtractOp>(op) &&
          llvm::any_of(op->getOperands(),
                       [&](Value operand) { return comesFromScan(operand); }));
}

Value Slicer::slice(Value value) {
  if (!isWide(value))
    return value;
  auto found = known.find(value);
  if (found != known.end())
    return found->second;
  Operation *op = value.getDefiningOp();
  auto type = cast<TileType>(value.getType());
  auto narrow = TileType::get(type.getContext(), type.getRows(), width,
                              type.getElementType(), type.getLayout());
  IRMapping mapping;
  for (Value operand : op->getOperands())
    if (isa<TileType>(operand.getType()))
      mapping.map(operand, slice(operand));
  Operation *copy = builder.clone(*op, mapping);
  copy->getResult(0).setType(narrow);
  if (auto load = dyn_cast<LoadOp>(copy)) {
    builder.setInsertionPoint(copy);
    unsigned dim = load.getColumnDim();
    load.getIndicesMutable()[dim].set(offset(load.getIndices()[dim], first));
    load.getColumnLimitMutable().assign(offset(load.getColumnLimit(), -first));
    builder.setInsertionPointAfter(copy);
  } else if (auto map = dyn_cast<MapOp>(copy); map && first) {
    Block &body = map.getBody().front();
    Value column = body.getArguments().back();
    if (!column.use_empty()) {
      OpBuilder inside = OpBuilder::atBlockBegin(&body);
      Value amount =
          arith::ConstantIndexOp::create(inside, map.getLoc(), first);
      auto moved = arith::AddIOp::create(inside, map.getLoc(), column, amount);
      column.replaceAllUsesExcept(moved, moved);
    }
  }
  return known[value] = copy->getResult(0);
}

Value Slicer::sum(Value a, Value b) {
  auto map = MapOp::create(builder, a.getLoc(), a.getType(), ValueRange{a, b});
  OpBuilder::InsertionGuard guard(builder);
  Type f32 = builder.getF32Type(), index = builder.getIndexType();
  Block *body =
      builder.createBlock(&map.getBody(), {}, {f32, f32, index, index},
                          SmallVector<Location>(4, a.getLoc()));
  Value total = arith::AddFOp::create(builder, a.getLoc(), body->getArgument(0),
                                      body->getArgument(1));
  YieldOp::create(builder, a.getLoc(), total);
  return map.getResult();
}

int64_t Slicer::run() {
  SmallVector<Operation *> sinks;
  for (auto dot : block.getOps<SegmentDotOp>()) {
    int64_t own = dot.getKeys().getType().getColumns();
    if (columns && own != columns)
      return 1;
    columns = own;
  }
  if (columns <= width || columns % width)
    return 1;
  for (Operation &op : block) {
    auto store = dyn_cast<StoreOp>(op);
    bool isSink =
        isa<SegmentDotOp>(op) ||
        (store && comesFromScan(store.getValue()) && runsAlongColumns(store));
    if (!isSink)
      continue;
    if (!llvm::all_of(op.getOperands(),
                      [&](Value operand) { return canSlice(operand); }))
      return 1;
    sinks.push_back(&op);
  }
  llvm::DenseMap<Operation *, Value> sums;
  for (; first < columns; first += width) {
    known.clear();
    for (Operation *op : sinks) {
      IRMapping mapping;
      for (Value operand : op->getOperands())
        if (isa<TileType>(operand.getType()))
          mapping.map(operand, slice(operand));
      Operation *copy = builder.clone(*op, mapping);
      if (auto store = dyn_cast<StoreOp>(copy)) {
        builder.setInsertionPoint(copy);
        unsigned dim = store.getColumnDim();
        store.getIndicesMutable()[dim].set(
            offset(store.getIndices()[dim], first));
        store.getColumnLimitMutable().assign(
            offset(store.getColumnLimit(), -first));
        builder.setInsertionPointAfter(copy);
        continue;
      }
      Value &total = sums[op];
      total = total ? sum(total, copy->getResult(0)) : copy->getResult(0);
    }
  }
  for (Operation *op : sinks) {
    if (op->getNumResults())
      op->getResult(0).replaceAllUsesWith(sums[op]);
    op->erase();
  }
  sortTopologically(&block);
  return columns / width;
}

/// Whether a thread has few elements of every matrix, and what is loaded is kept
/// as packed pairs.
bool isNarrow(gpu::GPUFuncOp kernel, int64_t warps) {
  constexpr int64_t kElements = 64; // of a thread
  bool result = false;
  WalkResult walked = kernel.walk([&](Operation *op) {
    for (Value value : op->getResults()) {
      auto type = dyn_cast<TileType>(value.getType());
      if (!type || !type.isMatrix())
        continue;
      bool isLoad = isa<LoadOp>(op);
      result |= isLoad;
      if ((isLoad && !type.getElementType().isBF16()) ||
          type.getRows() * type.getColumns() > kElements * 32 * warps)
        return WalkResult::interrupt();
    }
    return WalkResult::advance();
  });
  return result && !walked.wasInterrupted();
}

struct SliceColumns : public rondo::tile::impl::SliceColumnsBase<SliceColumns> {
  using SliceColumnsBase::SliceColumnsBase;

  void runOnOperation() override {
    gpu::GPUFuncOp kernel = getOperation();
    if (!kernel->hasAttr("tile.warps"))
      return;
    Block &block = kernel.getBody().front();
    if (!block.getOps<scf::ForOp>().empty())
      return;
    int64_t numSlices = Slicer(block, width).run();
    numSliced += numSlices > 1;
    // One sum of each slice, and what is computed for it, fits the registers of
    // two blocks of 8 warps; more would go to memory. So does what is narrow, and
    // no such sum.
    int64_t columns = 0;
    for (auto dot : block.getOps<SegmentDotOp>())
      columns += dot.getKeys().getType().getColumns();
    int64_t warps = kernel->getAttrOfType<IntegerAttr>("tile.warps").getInt();
    int64_t slices = std::max<int64_t>(1, numSlices);
    bool fits = columns ? columns <= width * slices : isNarrow(kernel, warps);
    if (fits && warps < kWarps && !kernel->hasAttr("tile.blocks"))
      kernel->setAttr("tile.blocks",
                      Builder(kernel).getI64IntegerAttr(kWarps / warps));
  }
};

} // namespace
