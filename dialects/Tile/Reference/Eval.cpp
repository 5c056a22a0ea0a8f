//===- Eval.cpp - What programs on tiles mean -----------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/Tile/Reference/Eval.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

using namespace mlir;
using namespace rondo::tile;

Array::Array(ArrayRef<int64_t> shape) : shape(shape) {
  int64_t size = 1;
  for (int64_t extent : shape)
    size *= extent;
  values.resize(size);
}

double rondo::tile::roundTo(Type element, double value) {
  auto type = cast<FloatType>(element);
  llvm::APFloat rounded(value);
  bool loses;
  rounded.convert(type.getFloatSemantics(),
                  llvm::APFloat::rmNearestTiesToEven, &loses);
  rounded.convert(llvm::APFloat::IEEEdouble(),
                  llvm::APFloat::rmNearestTiesToEven, &loses);
  return rounded.convertToDouble();
}

namespace {

using ArrayPtr = std::shared_ptr<Array>;

class Evaluator {
public:
  explicit Evaluator(int64_t blockId) : blockId(blockId) {}

  LogicalResult runBlock(Block &block, SmallVectorImpl<Datum> &results);
  void set(Value value, Datum datum) { data[value] = std::move(datum); }

private:
  LogicalResult run(Operation &op);
  LogicalResult runScalar(Operation &op);
  LogicalResult runFor(scf::ForOp loop);
  LogicalResult runGroups(GroupsOp op);
  LogicalResult runAwait(AwaitOp op);
  void runMark(MarkOp op);
  LogicalResult runMap(MapOp op);
  void runDot(DotOp op);
  void runReduce(ReduceOp op);
  void runScan(ScanOp op);
  void runSegmentProduct(SegmentProductOp op);
  void runSegmentDot(SegmentDotOp op);
  void runInvert(InvertOp op);

  Datum get(Value value) { return data.lookup(value); }
  ArrayPtr array(Value value) { return std::get<ArrayPtr>(get(value)); }
  int64_t integer(Value value) {
    return cast<IntegerAttr>(std::get<Attribute>(get(value))).getInt();
  }
  ArrayPtr make(Value value) {
    auto type = cast<TileType>(value.getType());
    auto result = std::make_shared<Array>(
        ArrayRef<int64_t>{type.getRows(), type.getColumns()});
    set(value, result);
    return result;
  }
  /// Calls `visit(memory, place, row, column)` for the elements of a tile that
  /// are within the limits.
  template <typename Op>
  void visitPlaces(Op op, Value memory, int64_t rows, int64_t columns,
                   llvm::function_ref<void(double &, int64_t, int64_t)> visit);

  /// Items that have been filled, and emptied by each group that does.
  struct Ring {
    int64_t filled = 0;
    llvm::MapVector<Region *, int64_t> emptied;
  };

  int64_t blockId;
  llvm::DenseMap<Value, Datum> data;
  llvm::DenseMap<Value, Ring> rings;
  /// Of groups one runs at a time, with the lock, until it has to wait.
  std::mutex lock;
  std::condition_variable changed;
  SmallVector<const std::function<bool()> *> waiting;
  size_t unfinished = 0;
  bool isStuck();
};

//===----------------------------------------------------------------------===//
// Scalars and control
//===----------------------------------------------------------------------===//

/// Scalar operations are folded.
LogicalResult Evaluator::runScalar(Operation &op) {
  SmallVector<Attribute> operands;
  for (Value operand : op.getOperands()) {
    Datum datum = get(operand);
    auto *attribute = std::get_if<Attribute>(&datum);
    if (!attribute || !*attribute)
      return op.emitError("has an operand that is no known scalar");
    operands.push_back(*attribute);
  }
  SmallVector<OpFoldResult> results;
  if (failed(op.fold(operands, results)) ||
      results.size() != op.getNumResults())
    return op.emitError("can't be evaluated");
  for (auto [result, folded] : llvm::zip_equal(op.getResults(), results))
    set(result, isa<Attribute>(folded) ? Datum(cast<Attribute>(folded))
                                       : get(cast<Value>(folded)));
  return success();
}

LogicalResult Evaluator::runFor(scf::ForOp loop) {
  SmallVector<Datum> carried;
  for (Value init : loop.getInitArgs())
    carried.push_back(get(init));
  Builder builder(loop.getContext());
  int64_t upper = integer(loop.getUpperBound()), step = integer(loop.getStep());
  for (int64_t i = integer(loop.getLowerBound()); i < upper; i += step) {
    set(loop.getInductionVar(),
        builder.getIntegerAttr(loop.getInductionVar().getType(), i));
    for (auto [argument, datum] :
         llvm::zip_equal(loop.getRegionIterArgs(), carried))
      set(argument, datum);
    SmallVector<Datum> next;
    if (failed(runBlock(*loop.getBody(), next)))
      return failure();
    carried.assign(next.begin(), next.end());
  }
  for (auto [result, datum] : llvm::zip_equal(loop.getResults(), carried))
    set(result, datum);
  return success();
}

LogicalResult Evaluator::runBlock(Block &block,
                                  SmallVectorImpl<Datum> &results) {
  for (Operation &op : block) {
    if (op.hasTrait<OpTrait::IsTerminator>()) {
      for (Value operand : op.getOperands())
        results.push_back(get(operand));
      return success();
    }
    if (failed(run(op)))
      return failure();
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Groups
//===----------------------------------------------------------------------===//

Region *groupOf(Operation *op) {
  Region *region = op->getParentRegion();
  while (!isa<GroupsOp>(region->getParentOp()))
    region = region->getParentRegion();
  return region;
}

LogicalResult Evaluator::runGroups(GroupsOp op) {
  bool failed = false;
  std::vector<std::thread> groups;
  unfinished = op.getGroups().size();
  for (Region &group : op.getGroups())
    groups.emplace_back([&] {
      std::lock_guard<std::mutex> guard(lock);
      for (Operation &each : group.front())
        if (!failed)
          failed |= run(each).failed();
      --unfinished;
      changed.notify_all();
    });
  for (std::thread &group : groups)
    group.join();
  return failure(failed);
}

/// Whether every group waits for another one.
bool Evaluator::isStuck() {
  return waiting.size() == unfinished &&
         llvm::none_of(waiting, [](auto *ready) { return (*ready)(); });
}

LogicalResult Evaluator::runAwait(AwaitOp op) {
  int64_t item = integer(op.getItem()), places = op.getRing().getType().getPlaces();
  bool isFull = op.getState() == RingState::Full;
  std::function<bool()> isReady = [&] {
    const Ring &ring = rings[op.getRing()];
    return isFull ? ring.filled > item
                  : llvm::all_of(ring.emptied, [&](auto &each) {
                      return each.second > item - places;
                    });
  };
  // The caller holds the lock.
  std::unique_lock<std::mutex> guard(lock, std::adopt_lock);
  waiting.push_back(&isReady);
  changed.notify_all();
  changed.wait(guard, [&] { return isReady() || isStuck(); });
  llvm::erase(waiting, &isReady);
  guard.release();
  if (!isReady())
    return op.emitError("waits for what no group will do");
  set(op.getPlace(), Builder(op.getContext()).getIndexAttr(item % places));
  return success();
}

void Evaluator::runMark(MarkOp op) {
  Ring &ring = rings[op.getRing()];
  int64_t next = integer(op.getItem()) + 1;
  if (op.getState() == RingState::Full)
    ring.filled = next;
  else
    ring.emptied[groupOf(op)] = next;
  changed.notify_all();
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

template <typename Op>
void Evaluator::visitPlaces(
    Op op, Value memory, int64_t rows, int64_t columns,
    llvm::function_ref<void(double &, int64_t, int64_t)> visit) {
  ArrayPtr source = array(memory);
  int64_t rowLimit = op.getRowLimit() ? integer(op.getRowLimit()) : 1;
  int64_t columnLimit = op.getColumnLimit() ? integer(op.getColumnLimit()) : 1;
  for (int64_t r = 0; r < std::min(rows, rowLimit); ++r)
    for (int64_t c = 0; c < std::min(columns, columnLimit); ++c) {
      int64_t place = 0;
      for (auto [dim, index] : llvm::enumerate(op.getIndices())) {
        int64_t position = integer(index);
        if (static_cast<int64_t>(dim) == static_cast<int64_t>(op.getRowDim()))
          position += r;
        if (static_cast<int64_t>(dim) ==
            static_cast<int64_t>(op.getColumnDim()))
          position += c;
        place = place * source->shape[dim] + position;
      }
      visit(source->values[place], r, c);
    }
}

//===----------------------------------------------------------------------===//
// Tiles
//===----------------------------------------------------------------------===//

LogicalResult Evaluator::runMap(MapOp op) {
  TileType type = op.getType();
  Block &body = op.getBody().front();
  ArrayPtr result = make(op.getResult());
  Builder builder(op.getContext());
  size_t numInputs = op.getInputs().size();
  for (int64_t r = 0; r < type.getRows(); ++r)
    for (int64_t c = 0; c < type.getColumns(); ++c) {
      for (size_t i = 0; i < numInputs; ++i) {
        ArrayPtr input = array(op.getInputs()[i]);
        double value = input->at(input->shape[0] == 1 ? 0 : r,
                                 input->shape[1] == 1 ? 0 : c);
        set(body.getArgument(i), builder.getF32FloatAttr(value));
      }
      set(body.getArgument(numInputs), builder.getIndexAttr(r));
      set(body.getArgument(numInputs + 1), builder.getIndexAttr(c));
      SmallVector<Datum> value;
      if (failed(runBlock(body, value)))
        return failure();
      double real =
          cast<FloatAttr>(std::get<Attribute>(value[0])).getValueAsDouble();
      result->at(r, c) = roundTo(type.getElementType(), real);
    }
  return success();
}

void Evaluator::runDot(DotOp op) {
  ArrayPtr left = array(op.getLeft()), right = array(op.getRight());
  ArrayPtr start = array(op.getAccumulator()), result = make(op.getResult());
  bool turnLeft = op.getTransposeLeft(), turnRight = op.getTransposeRight();
  int64_t depth = left->shape[turnLeft ? 0 : 1];
  for (int64_t r = 0; r < result->shape[0]; ++r)
    for (int64_t c = 0; c < result->shape[1]; ++c) {
      double sum = start->at(r, c);
      for (int64_t k = 0; k < depth; ++k)
        sum += (turnLeft ? left->at(k, r) : left->at(r, k)) *
               (turnRight ? right->at(c, k) : right->at(k, c));
      result->at(r, c) = roundTo(op.getType().getElementType(), sum);
    }
}

double combine(Combiner combiner, double a, double b) {
  switch (combiner) {
  case Combiner::Sum:
    return a + b;
  case Combiner::Product:
    return a * b;
  case Combiner::Max:
    return std::isnan(a) || std::isnan(b) ? std::nan("") : std::max(a, b);
  }
  llvm_unreachable("a combiner");
}

double neutral(Combiner combiner) {
  return combiner == Combiner::Sum       ? 0
         : combiner == Combiner::Product ? 1
                                         : -INFINITY;
}

void Evaluator::runReduce(ReduceOp op) {
  ArrayPtr source = array(op.getSource()), result = make(op.getResult());
  llvm::fill(result->values, neutral(op.getCombiner()));
  bool alongRows = op.getAxis() == Axis::Rows;
  for (int64_t r = 0; r < source->shape[0]; ++r)
    for (int64_t c = 0; c < source->shape[1]; ++c) {
      double &total = result->at(alongRows ? 0 : r, alongRows ? c : 0);
      total = combine(op.getCombiner(), total, source->at(r, c));
    }
}

void Evaluator::runScan(ScanOp op) {
  ArrayPtr source = array(op.getSource()), result = make(op.getResult());
  bool isMatrix = source->shape[0] != 1 && source->shape[1] != 1;
  int64_t columns = isMatrix ? source->shape[1] : 1;
  int64_t length = source->values.size() / columns;
  for (int64_t c = 0; c < columns; ++c) {
    double total = neutral(op.getCombiner());
    for (int64_t step = 0; step < length; ++step) {
      int64_t e = op.getReversed() ? length - 1 - step : step;
      double next =
          combine(op.getCombiner(), total, source->values[e * columns + c]);
      result->values[e * columns + c] = op.getExclusive() ? total : next;
      total = next;
    }
  }
}

void Evaluator::runSegmentDot(SegmentDotOp op) {
  ArrayPtr queries = array(op.getQueries()), keys = array(op.getKeys());
  ArrayPtr factors = array(op.getFactors()), result = make(op.getResult());
  for (int64_t s = 0; s < keys->shape[0]; ++s)
    for (int64_t i = 0; i < keys->shape[1]; ++i) {
      double weight = keys->at(s, i); // times the factors so far
      if (!op.getExclusive())
        result->at(s, s) += queries->at(s, i) * weight;
      for (int64_t r = s + 1; r < keys->shape[0]; ++r) {
        if (!op.getExclusive())
          weight *= factors->at(r, i);
        result->at(r, s) += queries->at(r, i) * weight;
        if (op.getExclusive())
          weight *= factors->at(r, i);
      }
    }
}

void Evaluator::runSegmentProduct(SegmentProductOp op) {
  ArrayPtr source = array(op.getSource()), result = make(op.getResult());
  int64_t first = op.getRow().value_or(0);
  for (int64_t row = 0; row < result->shape[0]; ++row)
    for (int64_t s = 0; s <= first + row; ++s) {
      double product = 1;
      int64_t last = first + row - (op.getExclusive() ? 1 : 0);
      for (int64_t e = s + 1; e <= last; ++e)
        product *= source->values[e];
      result->at(row, s) = product;
    }
}

void Evaluator::runInvert(InvertOp op) {
  ArrayPtr source = array(op.getSource()), result = make(op.getResult());
  int64_t n = source->shape[0];
  for (int64_t c = 0; c < n; ++c)
    for (int64_t r = c; r < n; ++r) {
      double value = r == c;
      for (int64_t k = c; k < r; ++k)
        value -= source->at(r, k) * result->at(k, c);
      result->at(r, c) = value;
    }
}

LogicalResult Evaluator::run(Operation &op) {
  Builder builder(op.getContext());
  return llvm::TypeSwitch<Operation *, LogicalResult>(&op)
      .Case([&](LoadOp op) {
        ArrayPtr result = make(op.getResult());
        visitPlaces(op, op.getSource(), result->shape[0], result->shape[1],
                    [&](double &element, int64_t r, int64_t c) {
                      result->at(r, c) = element;
                    });
        return success();
      })
      .Case([&](StoreOp op) {
        ArrayPtr value = array(op.getValue());
        Type element = cast<MemRefType>(op.getTarget().getType()).getElementType();
        visitPlaces(op, op.getTarget(), value->shape[0], value->shape[1],
                    [&](double &place, int64_t r, int64_t c) {
                      place = roundTo(element, value->at(r, c));
                    });
        return success();
      })
      .Case([&](AllocOp op) {
        BufferType type = op.getType();
        auto buffer = std::make_shared<Array>(ArrayRef<int64_t>{
            type.getStages() * type.getRows(), type.getColumns()});
        llvm::fill(buffer->values, std::nan(""));
        set(op.getResult(), buffer);
        return success();
      })
      .Case([&](CopyOp op) {
        BufferType type = op.getBuffer().getType();
        ArrayPtr buffer = array(op.getBuffer());
        int64_t first = integer(op.getStage()) * type.getRows();
        for (int64_t r = 0; r < type.getRows(); ++r)
          for (int64_t c = 0; c < type.getColumns(); ++c)
            buffer->at(first + r, c) = 0;
        visitPlaces(op, op.getSource(), type.getRows(), type.getColumns(),
                    [&](double &element, int64_t r, int64_t c) {
                      buffer->at(first + r, c) = element;
                    });
        return success();
      })
      .Case([&](ViewOp op) {
        ArrayPtr buffer = array(op.getBuffer()), result = make(op.getResult());
        int64_t first = integer(op.getStage()) * result->shape[0];
        for (int64_t r = 0; r < result->shape[0]; ++r)
          for (int64_t c = 0; c < result->shape[1]; ++c)
            result->at(r, c) = buffer->at(first + r, c);
        return success();
      })
      .Case([&](GroupsOp op) { return runGroups(op); })
      .Case([&](RingOp op) {
        for (Operation *user : op->getUsers())
          if (auto mark = dyn_cast<MarkOp>(user);
              mark && mark.getState() == RingState::Empty)
            rings[op.getResult()].emptied[groupOf(mark)] = 0;
        return success();
      })
      .Case([&](AwaitOp op) { return runAwait(op); })
      .Case([&](MarkOp op) {
        runMark(op);
        return success();
      })
      .Case([&](PutOp op) {
        ArrayPtr value = array(op.getValue()), buffer = array(op.getBuffer());
        int64_t first = integer(op.getStage()) * value->shape[0];
        for (int64_t r = 0; r < value->shape[0]; ++r)
          for (int64_t c = 0; c < value->shape[1]; ++c)
            buffer->at(first + r, c) = value->at(r, c);
        return success();
      })
      .Case<CommitOp, WaitOp>([](Operation *) { return success(); })
      .Case([&](DotOp op) {
        runDot(op);
        return success();
      })
      .Case([&](MapOp op) { return runMap(op); })
      .Case([&](ReduceOp op) {
        runReduce(op);
        return success();
      })
      .Case([&](ScanOp op) {
        runScan(op);
        return success();
      })
      .Case([&](SegmentProductOp op) {
        runSegmentProduct(op);
        return success();
      })
      .Case([&](InvertOp op) {
        runInvert(op);
        return success();
      })
      .Case([&](SegmentDotOp op) {
        runSegmentDot(op);
        return success();
      })
      .Case([&](ExtractOp op) {
        ArrayPtr source = array(op.getSource()), result = make(op.getResult());
        int64_t size = result->values.size();
        std::copy_n(source->values.begin() + op.getPosition() * size, size,
                    result->values.begin());
        return success();
      })
      .Case([&](TransposeOp op) {
        ArrayPtr source = array(op.getSource()), result = make(op.getResult());
        for (int64_t r = 0; r < result->shape[0]; ++r)
          for (int64_t c = 0; c < result->shape[1]; ++c)
            result->at(r, c) = source->at(c, r);
        return success();
      })
      .Case([&](ConvertOp op) {
        set(op.getResult(), get(op.getSource()));
        return success();
      })
      .Case([&](scf::ForOp op) { return runFor(op); })
      .Case([&](memref::AllocOp op) {
        set(op.getResult(), std::make_shared<Array>(op.getType().getShape()));
        return success();
      })
      .Case([&](memref::GetGlobalOp op) {
        auto global = SymbolTable::lookupNearestSymbolFrom<memref::GlobalOp>(
            op, op.getNameAttr());
        auto memory = std::make_shared<Array>(
            cast<MemRefType>(op.getType()).getShape());
        auto initial = dyn_cast_or_null<DenseElementsAttr>(
            global ? global.getInitialValueAttr() : Attribute());
        if (!initial)
          return LogicalResult(op.emitError("has no constant contents"));
        for (auto [place, value] :
             llvm::zip_equal(memory->values, initial.getValues<APFloat>())) {
          llvm::APFloat wide = value;
          bool loses;
          wide.convert(llvm::APFloat::IEEEdouble(),
                       llvm::APFloat::rmNearestTiesToEven, &loses);
          place = wide.convertToDouble();
        }
        set(op.getResult(), memory);
        return success();
      })
      .Default([&](Operation *op) {
        if (op->getName().getStringRef() == "gpu.block_id") {
          set(op->getResult(0), builder.getIndexAttr(blockId));
          return success();
        }
        return runScalar(*op);
      });
}

} // namespace

FailureOr<SmallVector<Datum>> rondo::tile::evaluate(Operation *function,
                                                    ArrayRef<Datum> arguments,
                                                    int64_t blockId) {
  Evaluator evaluator(blockId);
  Block &entry = function->getRegion(0).front();
  for (auto [argument, datum] :
       llvm::zip_equal(entry.getArguments(), arguments))
    evaluator.set(argument, datum);
  SmallVector<Datum> results;
  if (failed(evaluator.runBlock(entry, results)))
    return failure();
  return results;
}
