//===- ChooseTile.cpp - Loop order, vector dim and register tile ----------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/CPU/ChooseTile.h"
#include "dialects/Rondo/IR/PairOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cpu;

namespace {
/// Extent taken for one that is only known at run time.
constexpr int64_t kTypicalExtent = 64;
/// Unrolled operations per innermost iteration, at most: in reductions, and
/// where iterations do not wait for each other.
constexpr unsigned kMaxUnrolled = 128, kMaxUnrolledParallel = 48;
/// Steps of a reduction in one iteration where there are few registers.
constexpr unsigned kChainedSteps = 4;
/// Vectors that are written out one after the other, at most.
constexpr int64_t kMaxWritten = 4;

struct Access {
  Value memref;
  ValueRange subscripts;
  DimSet dims;
};

class TileChooser {
public:
  TileChooser(const LoopNest &nest, const Target &target, bool isRare)
      : nest(nest), target(target), isRare(isRare) {
    collectAccesses();
  }

  Tile choose(std::optional<Lanes> &lanes);

private:
  void collectAccesses();
  int64_t countLanes() const;
  int64_t getExtent(unsigned dim) const {
    int64_t extent = nest.staticExtents[dim];
    return extent < 0 ? kTypicalExtent : extent;
  }
  /// How often a value of these dims is computed, relative to the innermost
  /// iterations.
  double getFrequency(DimSet dims) const;
  double getScalarCost() const;
  double getVectorCost(const Lanes &lanes, unsigned dim, int64_t count) const;
  /// Operations per innermost iteration and vector.
  unsigned countWork() const;
  bool canMask(const Lanes &lanes) const;
  void chooseRows(Tile &tile, const Lanes &lanes) const;
  bool sharesWork(const Tile &tile) const;
  bool isRagged(unsigned dim) const;
  bool endsOften(const Tile &tile) const;
  void chooseUnrolling(Tile &tile) const;
  void chooseOrder(Tile &tile) const;
  void chooseSteps(Tile &tile) const;
  bool hasKnownMasks(const Tile &tile, const Lanes &lanes) const;
  void chooseTriangle(Tile &tile, const Lanes &lanes) const;
  /// Two dims that inputs and output of a copy are contiguous in.
  bool chooseTransposed(Tile &tile, std::optional<Lanes> &lanes,
                        int64_t count) const;

  const LoopNest &nest;
  const Target &target;
  bool isRare;
  SmallVector<Access> accesses;
};
} // namespace

static double getOpCost(Operation *op) {
  StringRef dialect = op->getName().getDialectNamespace();
  if (isa<DotPairOp>(op))
    return 1;
  if (isa<PackPairOp>(op))
    return 4;
  if (dialect == "rondo" || isa<math::ExpOp, math::Exp2Op, math::LogOp, math::TanhOp>(op))
    return 16;
  if (dialect == "math")
    return isa<math::AbsFOp, math::FloorOp, math::CeilOp, math::RoundEvenOp>(op)
               ? 1
               : 24;
  return 1;
}

void TileChooser::collectAccesses() {
  for (Operation *op : nest.ops)
    if (auto load = dyn_cast<memref::LoadOp>(op))
      accesses.push_back(
          {load.getMemRef(), load.getIndices(), nest.getDims(op)});
  for (const Output &output : nest.outputs) {
    DimSet dims = 0;
    for (Value subscript : output.subscripts)
      dims |= nest.getDims(subscript);
    accesses.push_back({output.memref, output.subscripts, dims});
  }
}

/// Lanes of the widest float that is computed with; of the widest integer if
/// there is no float. An index by itself only says where something is.
int64_t TileChooser::countLanes() const {
  unsigned width = 0, integer = 8;
  auto note = [&](Type type) {
    if (auto memref = dyn_cast<MemRefType>(type))
      type = memref.getElementType();
    if (auto floatType = dyn_cast<FloatType>(type))
      width = std::max(width, floatType.getWidth());
    else if (type.isIndex())
      integer = 64;
    else if (type.isInteger())
      integer = std::max(integer, type.getIntOrFloatBitWidth());
  };
  for (Operation *op : nest.ops)
    if (!isa<linalg::IndexOp>(op))
      for (Value result : op->getResults())
        note(result.getType());
  for (const Output &output : nest.outputs)
    note(output.memref.getType());
  if (width < 32)
    width = width ? 32 : std::max(32u, integer);
  return target.vectorBits / width;
}

double TileChooser::getFrequency(DimSet dims) const {
  double frequency = 1;
  for (unsigned dim = 0; dim < nest.getNumDims(); ++dim)
    if (!(dims & dimBit(dim)))
      frequency /= std::max<int64_t>(getExtent(dim), 1);
  return frequency;
}

double TileChooser::getScalarCost() const {
  double cost = 0;
  for (const Access &access : accesses)
    cost += getFrequency(access.dims);
  for (Operation *op : nest.ops)
    if (isElementwise(op))
      cost += getOpCost(op) * getFrequency(nest.getDims(op));
  return cost;
}

double TileChooser::getVectorCost(const Lanes &lanes, unsigned dim,
                                  int64_t count) const {
  // The filter of a triangle is not computed where loops follow it.
  Operation *filter = nullptr, *condition = nullptr;
  std::optional<Triangle> triangle = nest.findTriangle();
  if (triangle && triangle->row != dim) {
    filter = triangle->select;
    condition = triangle->select.getCondition().getDefiningOp();
  }
  double cost = 0; // of one vector
  for (const Access &access : accesses) {
    double frequency = getFrequency(access.dims | dimBit(dim));
    switch (lanes.getAccess(access.memref, access.subscripts)) {
    case AccessKind::Uniform:
      cost += 0.5 * frequency;
      break;
    case AccessKind::Contiguous:
      cost += frequency;
      break;
    case AccessKind::Guarded:
      cost += 2 * frequency;
      break;
    case AccessKind::Scattered:
      cost += (1.25 * count + 2) * frequency;
      break;
    }
  }
  for (Operation *op : nest.ops) {
    if (!isElementwise(op) || op == filter || op == condition)
      continue;
    bool isUniform = lanes.get(op->getResult(0)).kind == LaneKind::Uniform;
    cost += getOpCost(op) * getFrequency(nest.getDims(op) | dimBit(dim)) *
            (isUniform ? 0.5 : 1);
  }
  int64_t extent = std::max<int64_t>(getExtent(dim), 1);
  double steps = llvm::divideCeil(extent, count);
  if (nest.isReduction(dim)) // the horizontal reductions
    cost += 2 * llvm::Log2_64(count) * nest.outputs.size() / steps;
  return cost * steps / extent;
}

unsigned TileChooser::countWork() const {
  DimSet all = dimBit(nest.getNumDims()) - 1;
  double work = 0;
  for (Operation *op : nest.ops)
    if (isElementwise(op) && nest.getDims(op) == all)
      work += getOpCost(op);
  for (const Access &access : accesses)
    work += access.dims == all;
  return std::max(1.0, work);
}

/// Whether the last, incomplete vector is best computed under a mask. AVX2 has
/// masks for words that are next to each other only.
bool TileChooser::canMask(const Lanes &lanes) const {
  if (target.hasCheapMasks() || target.vectorBits < 256)
    return target.hasCheapMasks();
  return llvm::all_of(accesses, [&](const Access &access) {
    Type type = cast<MemRefType>(access.memref.getType()).getElementType();
    AccessKind kind = lanes.getAccess(access.memref, access.subscripts);
    return kind == AccessKind::Uniform ||
           (kind == AccessKind::Contiguous && type.isIntOrFloat() &&
            type.getIntOrFloatBitWidth() >= 32);
  });
}

void TileChooser::chooseRows(Tile &tile, const Lanes &lanes) const {
  bool reducesVector = nest.isReduction(tile.vectorDim);
  for (unsigned dim = 0; dim < nest.getNumDims(); ++dim) {
    if (nest.isReduction(dim) || int(dim) == tile.vectorDim ||
        getExtent(dim) < 2)
      continue;
    bool shares = llvm::any_of(accesses, [&](const Access &access) {
      return (access.dims & dimBit(tile.vectorDim)) &&
             !(access.dims & dimBit(dim)) &&
             lanes.getAccess(access.memref, access.subscripts) !=
                 AccessKind::Uniform;
    });
    if (shares || (reducesVector && tile.rowDim < 0))
      tile.rowDim = dim;
  }
}

/// Whether something costly is the same in all rows.
bool TileChooser::sharesWork(const Tile &tile) const {
  return llvm::any_of(nest.ops, [&](Operation *op) {
    DimSet dims = nest.getDims(op);
    return isElementwise(op) && getOpCost(op) > 1 &&
           (dims & dimBit(tile.vectorDim)) && !(dims & dimBit(tile.rowDim));
  });
}

/// Whether the extent changes from one step of a loop to the next, as the
/// number of steps before a block does: mostly it is less than a wide tile.
bool TileChooser::isRagged(unsigned dim) const {
  SmallVector<Value> values{nest.extents[dim]};
  while (!values.empty()) {
    Value value = values.pop_back_val();
    if (auto argument = dyn_cast<BlockArgument>(value)) {
      if (isa<scf::ForOp>(argument.getOwner()->getParentOp()))
        return true;
      continue;
    }
    Operation *def = value.getDefiningOp();
    if (def->getNumRegions() == 0 && value.getType().isIntOrIndex() &&
        def->getDialect()->getNamespace() == "arith")
      llvm::append_range(values, def->getOperands());
  }
  return false;
}

/// Whether rows that share no vectors are reduced to one value each after a few
/// vectors.
bool TileChooser::endsOften(const Tile &tile) const {
  int64_t extent = nest.staticExtents[tile.vectorDim];
  return tile.rowDim >= 0 && extent > 0 && extent <= 8 * tile.lanes &&
         getExtent(tile.rowDim) >= tile.lanes &&
         llvm::none_of(accesses, [&](const Access &access) {
           return (access.dims & dimBit(tile.vectorDim)) &&
                  !(access.dims & dimBit(tile.rowDim));
         });
}

void TileChooser::chooseUnrolling(Tile &tile) const {
  unsigned work = countWork();
  bool reduces = nest.hasReduction();
  bool reducesVector = reduces && nest.isReduction(tile.vectorDim);
  bool wide = target.registers >= 32;
  // What is added to them needs some registers, too.
  unsigned numAccumulators = wide ? target.registers : target.registers - 4;
  unsigned budget = std::max(1u, kMaxUnrolled / work);

  if (reducesVector) {
    tile.rows = tile.rowDim >= 0 ? 4 : 1;
    tile.vectors = tile.rowDim >= 0 ? 2 : 4;
    // The ends of short rows are most of the work, and common to all rows of
    // the tile.
    if (endsOften(tile)) {
      tile.rows = tile.lanes;
      tile.vectors = 1;
    }
  } else if (reduces) {
    tile.rows = tile.rowDim >= 0 ? 4 : 1;
    tile.vectors = tile.rowDim < 0 ? (wide ? 8 : 4) : wide ? 4 : 2;
    if (tile.rowDim >= 0 && wide && isRagged(tile.vectorDim)) {
      tile.rows *= 2;
      tile.vectors /= 2;
    }
    // Narrow tiles follow the end of a triangle's rows more closely.
    std::optional<Triangle> triangle = nest.findTriangle();
    if (wide && triangle && int(triangle->inner) == tile.vectorDim &&
        int(triangle->row) == tile.rowDim) {
      tile.rows = 16;
      tile.vectors = 1;
    }
    if (tile.rowDim < 0 && nest.isReorderable())
      tile.splits = 2;
    // Several outputs are chains enough, but their terms may be long ones.
    tile.chained = nest.outputs.size() >= 4;
  } else {
    // Iterations overlap by themselves, and stores take as long as the loads
    // that rows would share; not so what is computed for all rows.
    tile.rows = tile.rowDim >= 0 && sharesWork(tile) ? 4 : 1;
    tile.vectors = 2;
    budget = std::max(1u, kMaxUnrolledParallel / work);
  }
  auto halve = [](unsigned &count) { count = std::max(1u, count / 2); };
  // Known extents need no tile beyond themselves.
  if (tile.rowDim >= 0)
    while (tile.rows > getExtent(tile.rowDim) && tile.rows > 1)
      halve(tile.rows);
  while (tile.vectors > 1 &&
         tile.vectors * tile.lanes > getExtent(tile.vectorDim))
    halve(tile.vectors);
  if (tile.splits > 1 && tile.vectors == 1 && !tile.chained)
    tile.splits = 4;
  auto isTooLarge = [&] {
    unsigned points = tile.rows * tile.vectors;
    unsigned accumulators = points * (tile.chained ? 1 : tile.splits);
    return (tile.chained ? points : points * tile.splits) > budget ||
           (reduces && accumulators > 1 &&
            accumulators * nest.outputs.size() > numAccumulators);
  };
  while (isTooLarge()) {
    if (tile.splits > 1)
      halve(tile.splits);
    else if (tile.vectors > tile.rows)
      halve(tile.vectors);
    else
      halve(tile.rows);
  }
  if (tile.rows == 1) {
    auto func = nest.op->getParentOfType<func::FuncOp>();
    if (!reduces && func && func->hasAttr("rondo.channels"))
      tile.innerDim = tile.rowDim;
    tile.rowDim = -1;
  }
}

void TileChooser::chooseOrder(Tile &tile) const {
  for (bool reduction : {false, true}) {
    for (unsigned dim = 0; dim < nest.getNumDims(); ++dim)
      if (nest.isReduction(dim) == reduction && int(dim) != tile.vectorDim &&
          int(dim) != tile.rowDim && int(dim) != tile.innerDim)
        tile.order.push_back(dim);
    if (!reduction && tile.rowDim >= 0)
      tile.order.push_back(tile.rowDim);
    if (tile.vectorDim >= 0 && nest.isReduction(tile.vectorDim) == reduction)
      tile.order.push_back(tile.vectorDim);
    if (!reduction && tile.innerDim >= 0)
      tile.order.push_back(tile.innerDim);
  }
  if (tile.splits > 1)
    tile.splitDim = tile.order.back();
}

/// A tile of few registers has little work for each step of its reduction:
/// counting the steps and their addresses are a fifth of the instructions, and
/// where another thread shares the core, instructions are what is short.
void TileChooser::chooseSteps(Tile &tile) const {
  if (target.registers >= 32 || tile.rowDim < 0 || tile.splits > 1 ||
      !nest.hasReduction() || nest.isReduction(tile.vectorDim) ||
      !nest.isReorderable())
    return;
  unsigned steps = kChainedSteps;
  int64_t extent = nest.staticExtents[tile.order.back()];
  unsigned work = tile.rows * tile.vectors * countWork();
  while (steps > 1 &&
         (steps * work > kMaxUnrolled || (extent >= 0 && extent % steps != 0)))
    steps /= 2;
  if (steps == 1)
    return;
  tile.splits = steps;
  tile.chained = true;
  tile.splitDim = tile.order.back();
}

/// Whether lanes are compared with numbers, and all masks would be numbers if
/// the vectors were written out.
bool TileChooser::hasKnownMasks(const Tile &tile, const Lanes &lanes) const {
  int64_t extent = nest.staticExtents[tile.vectorDim];
  if (target.hasCheapMasks() || nest.isReduction(tile.vectorDim) ||
      extent < 0 || extent > kMaxWritten * tile.vectors * tile.lanes)
    return false;
  return llvm::any_of(nest.ops, [&](Operation *op) {
    std::optional<Lanes::RangeCompare> range = lanes.matchRange(op);
    return range && getConstantIntValue(range->bound) &&
           range->index.getDefiningOp<linalg::IndexOp>();
  });
}

bool TileChooser::chooseTransposed(Tile &tile, std::optional<Lanes> &lanes,
                                   int64_t count) const {
  if (nest.hasReduction() || nest.outputs.size() != 1 || nest.getNumDims() < 2)
    return false;
  const Output &output = nest.outputs[0];
  // A copy that computes much, or reads much, is better off with gathers.
  auto type = cast<MemRefType>(output.memref.getType());
  if (countWork() > 4 || type.getElementTypeBitWidth() * count !=
                             static_cast<unsigned>(target.vectorBits))
    return false;
  for (unsigned row = 0; row < nest.getNumDims(); ++row) {
    FailureOr<Lanes> along = Lanes::analyze(nest, row);
    if (failed(along) || getExtent(row) < count ||
        along->getAccess(output.memref, output.subscripts) !=
            AccessKind::Contiguous)
      continue;
    bool isScattered = llvm::any_of(accesses, [&](const Access &access) {
      return along->getAccess(access.memref, access.subscripts) ==
             AccessKind::Scattered;
    });
    if (!isScattered)
      return false;
    for (unsigned dim = 0; dim < nest.getNumDims(); ++dim) {
      FailureOr<Lanes> across = Lanes::analyze(nest, dim);
      if (dim == row || failed(across) || getExtent(dim) < count)
        continue;
      bool fits = llvm::all_of(accesses, [&](const Access &access) {
        AccessKind kind = across->getAccess(access.memref, access.subscripts);
        return access.memref == output.memref || kind == AccessKind::Uniform ||
               kind == AccessKind::Contiguous;
      });
      bool isIndex = llvm::any_of(output.subscripts, [&](Value subscript) {
        auto index = subscript.getDefiningOp<linalg::IndexOp>();
        return index && index.getDim() == dim;
      });
      if (!fits || !isIndex || nest.getDims(output.yielded) == 0)
        continue;
      tile.transposed = true;
      tile.vectorDim = dim;
      tile.rowDim = row;
      tile.rows = tile.lanes = count;
      tile.masked = target.hasCheapMasks();
      lanes = std::move(*across);
      return true;
    }
  }
  return false;
}

void TileChooser::chooseTriangle(Tile &tile, const Lanes &lanes) const {
  std::optional<Triangle> triangle = nest.findTriangle();
  if (!triangle || tile.vectorDim < 0 || int(triangle->row) == tile.vectorDim ||
      tile.splits > 1)
    return;
  // Without the filter, the term itself is added to vectors.
  Value term = triangle->select.getTrueValue();
  if (lanes.get(term).kind != LaneKind::Varying && !lanes.needsVector(term))
    return;
  bool endsVectors = int(triangle->inner) == tile.vectorDim &&
                     !nest.isReduction(tile.vectorDim);
  bool endsReduction = nest.isReduction(triangle->inner) &&
                       triangle->inner == tile.order.back() &&
                       int(triangle->inner) != tile.vectorDim;
  if (endsVectors || endsReduction)
    tile.triangle = triangle;
}

Tile TileChooser::choose(std::optional<Lanes> &lanes) {
  Tile tile;
  int64_t count = countLanes();
  double best = getScalarCost();
  for (unsigned dim = 0; dim < nest.getNumDims() && count > 1; ++dim) {
    FailureOr<Lanes> candidate = Lanes::analyze(nest, dim);
    if (failed(candidate))
      continue;
    double cost = getVectorCost(*candidate, dim, count);
    // Of equal ones the last parallel dim: it is the innermost in memory.
    bool better = cost < best || (cost == best && tile.vectorDim >= 0 &&
                                  !nest.isReduction(dim));
    if (!better)
      continue;
    best = cost;
    tile.vectorDim = dim;
    lanes = std::move(*candidate);
  }
  if (count > 1 && !isRare && chooseTransposed(tile, lanes, count)) {
    chooseOrder(tile);
    return tile;
  }
  if (tile.vectorDim >= 0) {
    tile.lanes = count;
    tile.masked = canMask(*lanes) || nest.isReduction(tile.vectorDim);
    tile.narrow = isRare;
    if (!isRare) {
      chooseRows(tile, *lanes);
      chooseUnrolling(tile);
    }
  }
  chooseOrder(tile);
  if (lanes)
    chooseTriangle(tile, *lanes);
  if (lanes && !isRare) {
    chooseSteps(tile);
    tile.unrolled = !tile.triangle && hasKnownMasks(tile, *lanes);
  }
  return tile;
}

Tile rondo::cpu::chooseTile(const LoopNest &nest, const Target &target,
                            std::optional<Lanes> &lanes, bool isRare) {
  return TileChooser(nest, target, isRare).choose(lanes);
}
