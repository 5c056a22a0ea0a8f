//===- EmitLoops.cpp - Emit the loops of a nest ---------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The loop of a dim that the tile unrolls is followed by loops for what is left
// of its range. Each of them holds the loops of the dims inside, so an element
// is computed by exactly one chain of loops:
//
//   for rows, 4 at a time           for the remaining rows
//     for j, 4 vectors at a time      for j, 1 masked vector
//     for j, 1 masked vector
//
// What is left over is little work, and gets little code.
//
// With a triangle s <= r + offset, loops over vectors along s end with the last
// row of the tile, and a reduction along s is cut in two:
//
//   for s, up to the end of the first row: all rows
//   the next step: all rows but the first; the next one: all but two; ..
//
//===----------------------------------------------------------------------===//

#include "passes/CPU/EmitLoops.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "passes/CPU/EmitBody.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cpu;

/// Lines that are fetched before a tile's reduction, at most.
static constexpr int64_t kMaxLines = 4;

namespace {
/// One of the loops of a dim: index from lower to upper, `count` points `step`
/// elements apart at a time.
struct LoopPart {
  Value lower, upper;
  unsigned count;
  int64_t step;
  bool masked = false;
  bool scalar = false;
};

class NestEmitter {
public:
  NestEmitter(OpBuilder &builder, const LoopNest &nest, const Tile &tile,
              const Lanes *lanes, ArrayRef<RowsAhead> ahead,
              const Epilogue *epilogue)
      : builder(builder), nest(nest), tile(tile), ahead(ahead),
        epilogue(epilogue), body(builder, nest, tile, lanes),
        loc(nest.getLoc()), spreads(!ahead.empty() && countsSteps(nest, tile)) {
    if (epilogue)
      epilogueBody.emplace(builder, epilogue->nest, epilogue->tile,
                           &*epilogue->lanes);
  }

  scf::IfOp emit();

private:
  Value constantIndex(int64_t value) {
    return arith::ConstantIndexOp::create(builder, loc, value);
  }
  Value roundDown(Value value, int64_t multiple);
  scf::ForOp createLoop(const LoopPart &part, ValueRange carried = {});
  SmallVector<LoopPart> splitDim(unsigned dim, bool narrow);
  ArrayRef<LoopPart> getParts(unsigned dim) const {
    if (int(dim) == tile.splitDim && tile.chained && isLeft())
      return singleSteps;
    return isRest && int(dim) == tile.vectorDim ? restParts : parts[dim];
  }
  /// Whether the current loops are over what is left of rows or vectors.
  bool isLeft() const {
    return isRest || !body.isVector() || body.getMask() ||
           body.getCount(tile.vectorDim) < tile.vectors;
  }
  scf::IfOp emitGuard();
  void emitParallel(unsigned position);
  void emitParallelAt(unsigned position, const LoopPart &part, Value index);
  void emitBehindEnds(unsigned position, const LoopPart &part, Value end);
  void fetchAhead(Value first, unsigned count);
  int64_t countTiles() const;
  int64_t countIterations() const;
  bool fetchesByTile(const RowsAhead &rows) const;
  void fetchPart(Value iteration = {});
  void storeResults();
  void reduceAndStore();

  /// The accumulators in use, in the order in which loops carry them.
  struct Accumulator {
    const Output *output;
    TilePoint point;
  };
  SmallVector<Value> initAccumulators();
  SmallVector<Value> reduce(unsigned position, SmallVector<Value> values);
  SmallVector<Value> reduceOver(unsigned position, const LoopPart &part,
                                SmallVector<Value> values);
  SmallVector<Value> reduceTriangle(unsigned position,
                                    SmallVector<Value> values);
  Value getRowEnd(unsigned row);
  unsigned getTriangleRows() const {
    return int(tile.triangle->row) == tile.rowDim ? body.getCount(tile.rowDim)
                                                  : 1;
  }
  SmallVector<Value> dropBehindEnd(SmallVector<Value> values,
                                   ArrayRef<Value> initial);
  SmallVector<Value> getNextValues(ArrayRef<Value> values);
  void setAccumulators(ValueRange values);
  void storeAccumulators(ArrayRef<Value> values);
  void emitEpilogue(ArrayRef<Accumulator> elements, ArrayRef<Value> results);
  Value combine(const Output &output, Value lhs, Value rhs);
  Value reduceLanes(const Output &output, MutableArrayRef<Value> values);
  bool hasContiguousRows(const Output &output);
  void storeRows(const Accumulator &first, Value rows, int64_t count);
  void enter(unsigned dim, const LoopPart &part, Value index);
  bool reducesVector() const {
    return tile.vectorDim >= 0 && nest.isReduction(tile.vectorDim);
  }
  unsigned getNumParallel() const { return llvm::count(nest.reduction, false); }

  OpBuilder &builder;
  const LoopNest &nest;
  const Tile &tile;
  ArrayRef<RowsAhead> ahead;
  const Epilogue *epilogue; // may be null
  BodyEmitter body;
  std::optional<BodyEmitter> epilogueBody;
  Location loc;
  SmallVector<SmallVector<LoopPart>> parts; // by dim
  SmallVector<LoopPart> restParts;          // of the vector dim, for rest rows
  SmallVector<LoopPart> singleSteps;        // of chained splits
  bool isRest = false;                      // of the rows
  bool spreads;                             // fetches, over the reductions
  SmallVector<Accumulator> accumulators;
};
} // namespace

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

Value NestEmitter::roundDown(Value value, int64_t multiple) {
  if (multiple == 1)
    return value;
  if (std::optional<int64_t> constant = getConstantIntValue(value))
    return constantIndex(*constant / multiple * multiple);
  assert(llvm::isPowerOf2_64(multiple) && "tiles are powers of two");
  return arith::AndIOp::create(builder, loc, value, constantIndex(-multiple));
}

/// The tile is all the unrolling that a loop needs; LLVM would unroll again
/// what is left of it. Loops of few steps may become straight code, but not
/// those over what is left.
scf::ForOp NestEmitter::createLoop(const LoopPart &part, ValueRange carried) {
  auto loop =
      scf::ForOp::create(builder, loc, part.lower, part.upper,
                         constantIndex(part.count * part.step), carried);
  if (tile.vectorDim < 0)
    return loop;
  MLIRContext *context = builder.getContext();
  BoolAttr yes = builder.getBoolAttr(true);
  bool isLeft = tile.narrow || isRest || part.masked || body.getMask();
  auto vectorize = LLVM::LoopVectorizeAttr::get(context, /*disable=*/yes, {},
                                                {}, {}, {}, {}, {});
  auto unroll = LLVM::LoopUnrollAttr::get(
      context, /*disable=*/isLeft ? yes : BoolAttr(), {},
      /*runtimeDisable=*/isLeft ? BoolAttr() : yes, {}, {}, {}, {});
  loop->setAttr("llvm.loop_annotation",
                LLVM::LoopAnnotationAttr::get(context, {}, vectorize, {},
                                              unroll, {}, {}, {}, {}, {}, {},
                                              {}, {}, {}, {}, {}));
  return loop;
}

SmallVector<LoopPart> NestEmitter::splitDim(unsigned dim, bool narrow) {
  SmallVector<LoopPart> result;
  Value extent = nest.extents[dim], done = constantIndex(0);
  auto add = [&](unsigned count, int64_t step) -> LoopPart & {
    Value upper = roundDown(extent, count * step);
    result.push_back({done, upper, count, step});
    done = upper;
    return result.back();
  };
  if (int(dim) == tile.vectorDim) {
    if (!narrow)
      add(tile.vectors, tile.lanes);
    if (!narrow && tile.vectors >= 8)
      add(tile.vectors / 2, tile.lanes);
    if (tile.masked) {
      LoopPart &rest = add(1, 1);
      rest.step = tile.lanes;
      rest.masked = true;
    } else {
      if (narrow || tile.vectors > 1)
        add(1, tile.lanes);
      add(1, 1).scalar = true;
    }
  } else if (int(dim) == tile.rowDim || int(dim) == tile.splitDim) {
    add(int(dim) == tile.rowDim ? tile.rows : tile.splits, 1);
    add(1, 1);
  } else {
    add(1, 1);
  }
  llvm::erase_if(result, [](const LoopPart &part) {
    std::optional<int64_t> lower = getConstantIntValue(part.lower);
    std::optional<int64_t> upper = getConstantIntValue(part.upper);
    return lower && upper && *lower >= *upper;
  });
  for (LoopPart &part : result) {
    // Whole vectors need no mask.
    std::optional<int64_t> upper = getConstantIntValue(part.upper);
    part.masked &= !upper || *upper % part.step != 0;
  }
  return result;
}

void NestEmitter::enter(unsigned dim, const LoopPart &part, Value index) {
  Value mask;
  if (part.masked) {
    Value count = arith::SubIOp::create(builder, loc, part.upper, index);
    count =
        arith::MinSIOp::create(builder, loc, count, constantIndex(part.step));
    mask = vector::CreateMaskOp::create(
        builder, loc, VectorType::get({part.step}, builder.getI1Type()), count);
  }
  body.enterDim(dim, {index, part.count, part.step}, mask, part.scalar);
}

void NestEmitter::emitParallel(unsigned position) {
  if (position == getNumParallel()) {
    if (nest.hasReduction())
      reduceAndStore();
    else
      storeResults();
    return;
  }
  unsigned dim = tile.order[position];
  for (const LoopPart &part : getParts(dim)) {
    LoopPart limited = part;
    if (int(dim) == tile.rowDim)
      isRest = part.count < tile.rows;
    if (tile.triangle && dim == tile.triangle->inner)
      limited.upper = arith::MinSIOp::create(builder, loc, part.upper,
                                             getRowEnd(getTriangleRows() - 1));
    if (tile.unrolled && int(dim) == tile.vectorDim && !isRest &&
        !part.masked && !part.scalar) {
      int64_t end = *getConstantIntValue(part.upper);
      for (int64_t i = *getConstantIntValue(part.lower); i < end;
           i += part.count * part.step)
        emitParallelAt(position, part, constantIndex(i));
      continue;
    }
    scf::ForOp loop = createLoop(limited);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(loop.getBody());
    if (int(dim) == tile.rowDim && !spreads)
      fetchAhead(loop.getInductionVar(), part.count);
    emitParallelAt(position, part, loop.getInductionVar());
    builder.setInsertionPointAfter(loop);
    if (nest.startsFresh && tile.triangle && dim == tile.triangle->inner)
      emitBehindEnds(position, part, limited.upper);
  }
  if (int(dim) == tile.rowDim)
    isRest = false;
  body.enterDim(dim, {});
}

/// One iteration of a loop of the dim at `position`.
void NestEmitter::emitParallelAt(unsigned position, const LoopPart &part,
                                 Value index) {
  enter(tile.order[position], part, index);
  body.clearAccumulators();
  body.emitOps(position);
  emitParallel(position + 1);
}

/// The vectors that no row of a triangle reaches: nothing was added to them.
void NestEmitter::emitBehindEnds(unsigned position, const LoopPart &part,
                                 Value end) {
  assert(position + 1 == getNumParallel() && "vectors are innermost");
  int64_t step = part.count * part.step;
  Value done = arith::SubIOp::create(builder, loc, end, part.lower);
  done = arith::MaxSIOp::create(builder, loc, done, constantIndex(0));
  done = arith::AddIOp::create(builder, loc, done, constantIndex(step - 1));
  LoopPart rest = part;
  rest.lower =
      arith::AddIOp::create(builder, loc, part.lower, roundDown(done, step));
  scf::ForOp loop = createLoop(rest);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(loop.getBody());
  enter(tile.order[position], part, loop.getInductionVar());
  body.clearAccumulators();
  body.emitOps(position);
  storeAccumulators(initAccumulators());
}

/// As many rows as the tile has.
void NestEmitter::fetchAhead(Value first, unsigned count) {
  for (const RowsAhead &rows : ahead)
    for (unsigned row = 0; row < count; ++row)
      fetchRow(builder, rows,
               arith::AddIOp::create(builder, loc, first, constantIndex(row)));
}

/// Whole tiles.
int64_t NestEmitter::countTiles() const {
  return nest.staticExtents[tile.rowDim] / tile.rows *
         (nest.staticExtents[tile.vectorDim] / (tile.vectors * tile.lanes));
}

/// The iterations of a tile's reduction.
int64_t NestEmitter::countIterations() const {
  return nest.staticExtents[tile.order.back()] / tile.splits;
}

/// Whether these are fetched before a tile's reduction and not within it: a few
/// lines are soon on their way, and iterations of small tiles are short.
bool NestEmitter::fetchesByTile(const RowsAhead &rows) const {
  return tile.chained && rows.getNumLines() <= kMaxLines * countTiles();
}

/// Fetches as large a part of the lines as this tile, or this iteration of its
/// reduction, is of all. A line that is fetched by several in a row costs less
/// than loops over those would.
void NestEmitter::fetchPart(Value iteration) {
  if (isRest || !body.isVector() || body.getMask() ||
      body.getCount(tile.vectorDim) != tile.vectors)
    return;
  int64_t width = tile.vectors * tile.lanes;
  int64_t acrossRows = nest.staticExtents[tile.vectorDim] / width;
  int64_t each = iteration ? countIterations() : 1;
  auto scale = [&](Value value, int64_t by, int64_t over) -> Value {
    value = arith::DivUIOp::create(builder, loc, value, constantIndex(over));
    return arith::MulIOp::create(builder, loc, value, constantIndex(by));
  };
  Value done;
  for (const RowsAhead &rows : ahead) {
    if (fetchesByTile(rows) == bool(iteration))
      continue;
    if (!done) {
      done = arith::AddIOp::create(
          builder, loc,
          scale(body.getIndex(tile.rowDim), acrossRows * each, tile.rows),
          scale(body.getIndex(tile.vectorDim), each, width));
      if (iteration)
        done = arith::AddIOp::create(builder, loc, done,
                                     scale(iteration, 1, tile.splits));
    }
    int64_t lines = rows.getNumLines(), parts = countTiles() * each;
    int64_t atOnce = llvm::divideCeil(lines, parts);
    Value line = scale(done, atOnce, std::max<int64_t>(parts / lines, 1));
    for (int64_t i = 0; i < atOnce; ++i)
      fetchLine(builder, rows,
                arith::AddIOp::create(builder, loc, line, constantIndex(i)));
  }
}

void NestEmitter::storeResults() {
  DimSet all = dimBit(nest.getNumDims()) - 1;
  if (tile.transposed && body.isVector() && !body.getMask() &&
      body.getCount(tile.rowDim) == tile.lanes) {
    const Output &output = nest.outputs[0];
    SmallVector<Value> rows;
    for (TilePoint point; point.row < tile.lanes; ++point.row)
      rows.push_back(body.getValue(output.yielded, point));
    return body.storeTransposed(output, rows);
  }
  for (const Output &output : nest.outputs)
    body.forEachPoint(all, [&](TilePoint point) {
      body.storeOutput(output, point, body.getValue(output.yielded, point));
    });
}

//===----------------------------------------------------------------------===//
// Reductions
//===----------------------------------------------------------------------===//

Value NestEmitter::combine(const Output &output, Value lhs, Value rhs) {
  OperationState state(loc, output.combiner->getName());
  state.addOperands({lhs, rhs});
  state.addTypes(lhs.getType());
  state.addAttributes(output.combiner->getAttrs());
  return builder.create(state)->getResult(0);
}

/// Replaces vectors, a power of two of them and not more than there are lanes,
/// by the combinations of their lanes. The vectors are folded into one first:
///
///   a0 a1 a2 a3, b0 b1 b2 b3 -> a0+a2 a1+a3 b0+b2 b1+b3
///
/// which halves the part that each has. The rest is common work of all.
/// Returns the vector that begins with these.
Value NestEmitter::reduceLanes(const Output &output,
                               MutableArrayRef<Value> values) {
  SmallVector<Value> vectors(values.begin(), values.end());
  int64_t parts = 1, width = tile.lanes; // of each vector
  // Half of every part of `a`, then of `b`.
  auto half = [&](Value a, Value b, bool high) -> Value {
    SmallVector<int64_t> lanes;
    for (int64_t part = 0; part < (b ? 2 : 1) * parts; ++part)
      for (int64_t lane = 0; lane < width / 2; ++lane)
        lanes.push_back(part * width + high * (width / 2) + lane);
    return vector::ShuffleOp::create(builder, loc, a, b ? b : a, lanes);
  };
  for (; vectors.size() > 1; parts *= 2, width /= 2) {
    SmallVector<Value> folded;
    for (unsigned i = 0; i < vectors.size(); i += 2) {
      Value low = half(vectors[i], vectors[i + 1], false);
      Value high = half(vectors[i], vectors[i + 1], true);
      folded.push_back(combine(output, low, high));
    }
    vectors = folded;
  }
  Value all = vectors.front();
  for (; width > 1; width /= 2) {
    Value low = half(all, {}, false), high = half(all, {}, true);
    all = combine(output, low, high);
  }
  for (auto [i, value] : llvm::enumerate(values))
    value = vector::ExtractOp::create(builder, loc, all, int64_t(i));
  return all;
}

/// Whether an output has the rows of the tile next to one another.
bool NestEmitter::hasContiguousRows(const Output &output) {
  auto type = cast<MemRefType>(output.memref.getType());
  if (tile.rowDim < 0 || !type.isLastDimUnitStride())
    return false;
  auto isRow = [&](Value subscript) {
    auto index = subscript.getDefiningOp<linalg::IndexOp>();
    return index && int(index.getDim()) == tile.rowDim;
  };
  return !output.subscripts.empty() && isRow(output.subscripts.back()) &&
         llvm::none_of(ArrayRef(output.subscripts).drop_back(),
                       [&](Value subscript) {
                         return nest.getDims(subscript) & dimBit(tile.rowDim);
                       });
}

/// Stores rows of the tile that are the first lanes of a vector.
void NestEmitter::storeRows(const Accumulator &first, Value rows,
                            int64_t count) {
  auto type = VectorType::get({count}, getElementTypeOrSelf(rows.getType()));
  if (rows.getType() != type) {
    auto lanes = llvm::to_vector(llvm::seq<int64_t>(0, count));
    rows = vector::ShuffleOp::create(builder, loc, rows, rows, lanes);
  }
  SmallVector<Value> position;
  for (Value subscript : first.output->subscripts)
    position.push_back(body.getScalar(subscript, first.point));
  if (!nest.startsFresh) {
    Value old = vector::LoadOp::create(builder, loc, type, first.output->memref,
                                       position);
    rows = combine(*first.output, old, rows);
  }
  vector::StoreOp::create(builder, loc, rows, first.output->memref, position);
}

/// The first accumulator of an element starts from its value in memory, the
/// others, and all those of a reduction along the vector dim, from the
/// identity.
SmallVector<Value> NestEmitter::initAccumulators() {
  SmallVector<Value> values;
  accumulators.clear();
  TilePoint point;
  unsigned vectors =
      reducesVector() ? tile.vectors : body.getCount(tile.vectorDim);
  for (const Output &output : nest.outputs) {
    Type type = output.yielded.getType();
    Value identity;
    if (output.combiner) {
      TypedAttr attr = getIdentity(output.combiner, type);
      if (body.isVector())
        attr = DenseElementsAttr::get(VectorType::get({tile.lanes}, type),
                                      cast<Attribute>(attr));
      identity = arith::ConstantOp::create(builder, loc, attr);
    }
    for (point.row = 0; point.row < body.getCount(tile.rowDim); ++point.row)
      for (point.vector = 0; point.vector < vectors; ++point.vector)
        for (point.split = 0; point.split < (tile.chained ? 1 : tile.splits);
             ++point.split) {
          accumulators.push_back({&output, point});
          bool fromMemory =
              !reducesVector() && point.split == 0 && !nest.startsFresh;
          values.push_back(fromMemory ? body.loadOutput(output, point)
                                      : identity);
        }
  }
  return values;
}

void NestEmitter::setAccumulators(ValueRange values) {
  for (auto [accumulator, value] : llvm::zip(accumulators, values))
    body.setAccumulator(*accumulator.output, accumulator.point, value);
}

/// The accumulators after the innermost iteration. Those of points that the
/// current loops do not compute keep their values.
SmallVector<Value> NestEmitter::getNextValues(ArrayRef<Value> values) {
  SmallVector<Value> next;
  for (auto [accumulator, value] : llvm::zip(accumulators, values)) {
    TilePoint point = accumulator.point;
    if (point.vector >= body.getCount(tile.vectorDim) ||
        point.split >= body.getCount(tile.splitDim)) {
      next.push_back(value);
      continue;
    }
    if (tile.chained)
      point.split = body.getCount(tile.splitDim) - 1;
    Value result = body.getValue(accumulator.output->yielded, point);
    if (reducesVector() && body.getMask())
      result =
          arith::SelectOp::create(builder, loc, body.getMask(), result, value);
    next.push_back(result);
  }
  return next;
}

/// The first index of a triangle's inner dim that row `row` of the tile does
/// not have.
Value NestEmitter::getRowEnd(unsigned row) {
  const Triangle &triangle = *tile.triangle;
  int64_t next = int64_t(row) + triangle.offset + 1;
  Value end = arith::AddIOp::create(builder, loc, body.getIndex(triangle.row),
                                    constantIndex(next + triangle.scale - 1));
  if (triangle.scale == 1)
    return end;
  return arith::ShRUIOp::create(builder, loc, end, constantIndex(1));
}

/// Keeps what the accumulators started from where vectors reach beyond the ends
/// of their rows.
SmallVector<Value> NestEmitter::dropBehindEnd(SmallVector<Value> values,
                                              ArrayRef<Value> initial) {
  unsigned dim = tile.triangle->inner;
  unsigned numVectors = body.getCount(tile.vectorDim);
  int64_t step = body.isVector() ? tile.lanes : 1;
  Value first = body.getIndex(dim);
  Value end = arith::AddIOp::create(builder, loc, first,
                                    constantIndex(numVectors * step));
  Value crosses = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::sgt,
                                        end, getRowEnd(0));
  SmallVector<Type> types;
  for (Value value : values)
    types.push_back(value.getType());
  auto test = scf::IfOp::create(builder, loc, types, crosses,
                                /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(test.thenBlock());
  bool hasRows = int(tile.triangle->row) == tile.rowDim;
  SmallVector<Value> kept;
  for (auto [accumulator, value, before] :
       llvm::zip(accumulators, values, initial)) {
    const TilePoint &point = accumulator.point;
    Value start = arith::AddIOp::create(builder, loc, first,
                                        constantIndex(point.vector * step));
    Value count = arith::SubIOp::create(
        builder, loc, getRowEnd(hasRows ? point.row : 0), start);
    Value condition;
    if (body.isVector()) {
      count = arith::MaxSIOp::create(builder, loc, count, constantIndex(0));
      count = arith::MinSIOp::create(builder, loc, count, constantIndex(step));
      condition = vector::CreateMaskOp::create(
          builder, loc, VectorType::get({step}, builder.getI1Type()), count);
    } else {
      condition = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::sgt,
                                        count, constantIndex(0));
    }
    // Memory still holds it, and need not be in a register meanwhile.
    Value old =
        nest.startsFresh ? before : body.loadOutput(*accumulator.output, point);
    kept.push_back(
        arith::SelectOp::create(builder, loc, condition, value, old));
  }
  scf::YieldOp::create(builder, loc, kept);
  builder.setInsertionPointToStart(test.elseBlock());
  scf::YieldOp::create(builder, loc, values);
  return SmallVector<Value>(test.getResults());
}

SmallVector<Value> NestEmitter::reduceTriangle(unsigned position,
                                               SmallVector<Value> values) {
  unsigned dim = tile.order[position];
  LoopPart whole{constantIndex(0), getRowEnd(0), 1, 1};
  SmallVector<LoopPart> shared{whole}; // by all rows
  if (int(dim) == tile.splitDim && !isLeft()) {
    Value unrolled = roundDown(whole.upper, tile.splits);
    shared = {{whole.lower, unrolled, tile.splits, 1},
              {unrolled, whole.upper, 1, 1}};
  }
  for (const LoopPart &part : shared)
    values = reduceOver(position, part, std::move(values));
  for (unsigned row = 1; row < getTriangleRows(); ++row) {
    // With a scale of 2, every other row ends where the one before does: tiles
    // of several rows start at even ones.
    if ((row + tile.triangle->offset) % tile.triangle->scale != 0)
      continue;
    enter(dim, whole, getRowEnd(row - 1));
    setAccumulators(values);
    body.emitOps(position);
    SmallVector<Value> next = getNextValues(values);
    for (auto [i, accumulator] : llvm::enumerate(accumulators))
      if (accumulator.point.row >= row)
        values[i] = next[i];
  }
  body.enterDim(dim, {});
  return values;
}

SmallVector<Value> NestEmitter::reduce(unsigned position,
                                       SmallVector<Value> values) {
  if (position == nest.getNumDims())
    return getNextValues(values);
  unsigned dim = tile.order[position];
  if (tile.triangle && dim == tile.triangle->inner)
    return reduceTriangle(position, values);
  for (const LoopPart &part : getParts(dim))
    values = reduceOver(position, part, std::move(values));
  body.enterDim(dim, {});
  return values;
}

/// One loop of the dim at `position`.
SmallVector<Value> NestEmitter::reduceOver(unsigned position,
                                           const LoopPart &part,
                                           SmallVector<Value> values) {
  scf::ForOp loop = createLoop(part, values);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(loop.getBody());
  SmallVector<Value> carried(loop.getRegionIterArgs());
  enter(tile.order[position], part, loop.getInductionVar());
  if (spreads)
    fetchPart(loop.getInductionVar());
  setAccumulators(carried);
  body.emitOps(position);
  scf::YieldOp::create(builder, loc, reduce(position + 1, std::move(carried)));
  return SmallVector<Value>(loop.getResults());
}

void NestEmitter::storeAccumulators(ArrayRef<Value> values) {
  // Accumulators of one element stand together but for the rows' vectors.
  SmallVector<bool> used(values.size());
  SmallVector<Accumulator> elements;
  SmallVector<Value> results;
  for (unsigned i = 0; i < values.size(); ++i) {
    if (used[i])
      continue;
    const Accumulator &first = accumulators[i];
    SmallVector<Value> copies;
    for (unsigned j = i; j < values.size(); ++j) {
      const Accumulator &other = accumulators[j];
      if (other.output != first.output || other.point.row != first.point.row ||
          (!reducesVector() && other.point.vector != first.point.vector))
        continue;
      used[j] = true;
      copies.push_back(values[j]);
    }
    for (; copies.size() > 1; copies.resize(copies.size() / 2))
      for (unsigned j = 0, half = copies.size() / 2; j < half; ++j)
        copies[j] = combine(*first.output, copies[j], copies[j + half]);
    elements.push_back(first);
    results.push_back(copies.front());
  }
  // The elements of one output stand together, by row.
  SmallVector<bool> stored(results.size());
  for (unsigned i = 0; reducesVector() && i < results.size();) {
    unsigned count = 1;
    while (2 * count <= tile.lanes && i + 2 * count <= results.size() &&
           elements[i + 2 * count - 1].output == elements[i].output)
      count *= 2;
    const Output &output = *elements[i].output;
    Value all = reduceLanes(output, MutableArrayRef(results).slice(i, count));
    if (!epilogue && count > 1 && hasContiguousRows(output)) {
      storeRows(elements[i], all, count);
      std::fill_n(stored.begin() + i, count, true);
    }
    i += count;
  }
  if (epilogue)
    return emitEpilogue(elements, results);
  for (auto [i, element, result] : llvm::enumerate(elements, results)) {
    if (stored[i])
      continue;
    if (reducesVector() && !nest.startsFresh)
      result = combine(*element.output,
                       body.loadOutput(*element.output, element.point), result);
    body.storeOutput(*element.output, element.point, result);
  }
}

/// At the points of the tile whose sums these are.
void NestEmitter::emitEpilogue(ArrayRef<Accumulator> elements,
                               ArrayRef<Value> results) {
  BodyEmitter &own = *epilogueBody;
  const Output &sum = epilogue->nest.outputs.back();
  for (auto [dim, of] : llvm::enumerate(epilogue->dims))
    own.enterDim(dim, body.getState(of), body.getMask(), !body.isVector());
  own.clearAccumulators();
  for (auto [element, result] : llvm::zip_equal(elements, results))
    own.setAccumulator(sum, element.point, result);
  DimSet all = dimBit(epilogue->nest.getNumDims()) - 1;
  for (unsigned position = 0; position < epilogue->dims.size(); ++position)
    own.emitOps(position);
  for (const Output &output : epilogue->nest.outputs)
    if (&output != &sum || epilogue->keepsSum)
      own.forEachPoint(all, [&](TilePoint point) {
        own.storeOutput(output, point, own.getValue(output.yielded, point));
      });
}

void NestEmitter::reduceAndStore() {
  if (spreads)
    fetchPart();
  SmallVector<Value> initial = initAccumulators();
  SmallVector<Value> values = reduce(getNumParallel(), initial);
  if (tile.triangle && !nest.isReduction(tile.triangle->inner))
    values = dropBehindEnd(values, initial);
  storeAccumulators(values);
}

//===----------------------------------------------------------------------===//
// Nest
//===----------------------------------------------------------------------===//

/// Continues inside of `if every dim has an iteration`.
scf::IfOp NestEmitter::emitGuard() {
  Value condition;
  for (Value extent : nest.extents) {
    if (getConstantIntValue(extent).value_or(0) > 0)
      continue;
    Value some = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::sgt,
                                       extent, constantIndex(0));
    condition =
        condition ? arith::AndIOp::create(builder, loc, condition, some) : some;
  }
  if (!condition)
    return {};
  auto guard = scf::IfOp::create(builder, loc, condition);
  builder.setInsertionPointToStart(guard.thenBlock());
  return guard;
}

scf::IfOp NestEmitter::emit() {
  scf::IfOp guard;
  if (body.needsGuard())
    guard = emitGuard();
  parts.resize(nest.getNumDims());
  for (unsigned dim = 0; dim < nest.getNumDims(); ++dim)
    parts[dim] = splitDim(dim, tile.narrow);
  if (tile.chained && tile.splitDim >= 0)
    singleSteps = {{constantIndex(0), nest.extents[tile.splitDim], 1, 1}};
  if (tile.vectorDim >= 0)
    restParts = splitDim(tile.vectorDim, /*narrow=*/true);
  body.emitPrologue();
  if (epilogueBody)
    epilogueBody->emitPrologue();
  emitParallel(0);
  return guard;
}

bool rondo::cpu::countsSteps(const LoopNest &nest, const Tile &tile) {
  return nest.getNumDims() == 3 && llvm::count(nest.reduction, true) == 1 &&
         !tile.triangle && (tile.splits == 1 || tile.chained) &&
         tile.rowDim >= 0 && tile.vectorDim >= 0 &&
         !nest.isReduction(tile.vectorDim) &&
         llvm::all_of(nest.staticExtents,
                      [](int64_t extent) { return extent > 0; }) &&
         nest.staticExtents[tile.rowDim] >= int64_t(tile.rows) &&
         nest.staticExtents[tile.vectorDim] >= tile.vectors * tile.lanes;
}

scf::IfOp rondo::cpu::emitLoops(OpBuilder &builder, const LoopNest &nest,
                                const Tile &tile, const Lanes *lanes,
                                ArrayRef<RowsAhead> ahead,
                                const Epilogue *epilogue) {
  return NestEmitter(builder, nest, tile, lanes, ahead, epilogue).emit();
}
