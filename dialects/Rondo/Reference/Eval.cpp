//===- Eval.cpp - The reference interpreter -------------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/Rondo/Reference/Eval.h"
#include "dialects/Rondo/Reference/Evaluator.h"
#include "dialects/Rondo/Reference/Points.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include <cmath>

using namespace mlir;
using namespace rondo;
using namespace rondo::reference;

int64_t Array::getNumElements() const {
  int64_t count = 1;
  for (int64_t extent : shape)
    count *= extent;
  return count;
}

/// More elements than this are refused rather than asked of the system.
static constexpr int64_t maxElements = int64_t(1) << 32;

//===----------------------------------------------------------------------===//
// Inputs and outputs
//===----------------------------------------------------------------------===//

static std::vector<int64_t> getShape(TensorSpecAttr spec,
                                     ArrayRef<int64_t> sizes) {
  std::vector<int64_t> shape;
  SmallVector<Attribute> symbols, values;
  Builder builder(spec.getContext());
  for (int64_t size : sizes)
    symbols.push_back(builder.getIndexAttr(size));
  // Null (a division by zero) leaves the shape short, which no array has.
  if (succeeded(spec.getShape().constantFold(symbols, values)))
    for (Attribute value : values)
      shape.push_back(cast<IntegerAttr>(value).getInt());
  return shape;
}

std::string rondo::reference::spell(ArrayRef<int64_t> shape) {
  std::string text;
  llvm::raw_string_ostream os(text);
  os << "[";
  llvm::interleaveComma(shape, os);
  os << "]";
  return text;
}

llvm::Error Evaluator::setInputs(const std::map<std::string, Array> &inputs) {
  if (sizes.size() != kernel.getSizes().size())
    return makeError(kernel, "expects " +
                                 llvm::Twine(kernel.getSizes().size()) +
                                 " sizes, found " + llvm::Twine(sizes.size()));
  kernel.walk([&](SizeOp op) {
    int64_t position = kernel.getSizeIndex(op.getName());
    environment.setScalar(op, makeInteger(sizes[position]));
  });
  for (unsigned i = 0; i < kernel.getInputs().size(); ++i) {
    TensorSpecAttr spec = kernel.getInput(i);
    auto found = inputs.find(spec.getName().str());
    if (found == inputs.end()) {
      if (spec.getRole() == Role::Initial)
        continue;
      return makeError(kernel, "expects argument '" + spec.getName() + "'");
    }
    const Array &array = found->second;
    std::vector<int64_t> expected = ::getShape(spec, sizes);
    if (array.shape != expected ||
        static_cast<int64_t>(array.data.size()) != array.getNumElements())
      return makeError(
          kernel, "expects shape " + spell(expected) + " for '" +
                      spec.getName() + "', found " + spell(array.shape) +
                      " with " + llvm::Twine(array.data.size()) + " elements");
    inputArrays.push_back(array);
    environment.setTensor(kernel.getBody().getArgument(i), &inputArrays.back());
  }
  return llvm::Error::success();
}

/// The returned array with its dims in the order of memory; dims that the
/// output lacks are read at 0.
static Array permute(const Array &array, TensorSpecAttr spec) {
  unsigned rank = array.shape.size();
  unsigned kept = spec.getShape().getNumResults();
  if (spec.getOrder().empty() && kept == rank)
    return array;
  SmallVector<int64_t> strides(rank, 1); // of `array`
  for (unsigned dim = rank; dim-- > 1;)
    strides[dim - 1] = strides[dim] * array.shape[dim];
  Array result;
  for (unsigned dim = 0; dim < kept; ++dim)
    result.shape.push_back(array.shape[spec.getReturnedDim(dim)]);
  if (array.data.empty()) {
    result.data.resize(result.getNumElements());
    return result;
  }
  for (Points points(result.shape); !points.isDone(); points.next()) {
    int64_t position = 0;
    for (auto [dim, index] : llvm::enumerate(points.get()))
      position += index * strides[spec.getReturnedDim(dim)];
    result.data.push_back(array.data[position]);
  }
  return result;
}

llvm::Expected<std::map<std::string, Array>> Evaluator::takeOutputs() {
  std::map<std::string, Array> outputs;
  auto ret = cast<ReturnOp>(kernel.getBody().front().back());
  for (auto [i, value] : llvm::enumerate(ret.getOperands())) {
    TensorSpecAttr spec = kernel.getOutput(i);
    const Array *array = environment.getTensor(value);
    if (!array)
      return makeError(ret, "has no value for '" + spec.getName() + "'");
    Array stored = permute(*array, spec);
    std::vector<int64_t> expected = ::getShape(spec, sizes);
    if (stored.shape != expected)
      return makeError(ret, "expects shape " + spell(expected) + " for '" +
                                spec.getName() + "', found " +
                                spell(stored.shape));
    outputs[spec.getName().str()] = std::move(stored);
  }
  return outputs;
}

llvm::Expected<std::map<std::string, Array>>
rondo::reference::evaluate(KernelOp kernel,
                           const std::map<std::string, Array> &inputs,
                           ArrayRef<int64_t> sizes) {
  Evaluator evaluator(kernel, sizes);
  if (llvm::Error error = evaluator.setInputs(inputs))
    return error;
  if (llvm::Error error = evaluator.evaluateBlock(kernel.getBody().front()))
    return error;
  return evaluator.takeOutputs();
}

//===----------------------------------------------------------------------===//
// One function per operation
//===----------------------------------------------------------------------===//

llvm::Error Evaluator::evaluateBlock(Block &block) {
  for (Operation &op : block.without_terminator())
    if (llvm::Error error = evaluate(&op))
      return error;
  return llvm::Error::success();
}

llvm::Error Evaluator::evaluate(Operation *op) {
  if (auto equation = dyn_cast<EquationOp>(op))
    return evaluateEquation(equation);
  if (auto recurrence = dyn_cast<RecurrenceOp>(op))
    return evaluateRecurrence(recurrence);
  if (auto iterate = dyn_cast<IterateOp>(op))
    return evaluateIterate(iterate);
  if (auto initial = dyn_cast<InitialOp>(op))
    return evaluateInitial(initial);
  if (auto scan = dyn_cast<ScanOp>(op))
    return evaluateScan(scan);
  if (auto attention = dyn_cast<AttentionOp>(op))
    return evaluateAttention(attention);
  if (auto convolution = dyn_cast<ConvolutionOp>(op))
    return evaluateConvolution(convolution);
  if (auto solve = dyn_cast<TriangularSolveOp>(op))
    return evaluateTriangularSolve(solve);
  if (isa<SizeOp>(op))
    return llvm::Error::success(); // known since `setInputs`
  if (auto read = dyn_cast<ReadOp>(op))
    return evaluateRead(read);
  return evaluateScalar(op);
}

/// Sizes, bounds and constants between equations.
llvm::Error Evaluator::evaluateScalar(Operation *op) {
  if (auto constant = dyn_cast<arith::ConstantOp>(op)) {
    if (!constant.getType().isIntOrIndexOrFloat())
      return makeError(op, "is not a number");
    environment.setScalar(constant, getConstant(constant.getValue()));
    return llvm::Error::success();
  }
  ScalarFunction function = getScalarFunction(op);
  if (!function)
    return makeError(op, "is not known to the interpreter");
  Scalar operands[3] = {makeInteger(0), makeInteger(0), makeInteger(0)};
  for (auto [i, operand] : llvm::enumerate(op->getOperands())) {
    const Scalar *scalar = environment.getScalar(operand);
    if (!scalar)
      return makeError(op, "uses a value that has not been computed");
    operands[i] = *scalar;
  }
  environment.setScalar(op->getResult(0),
                        function(operands[0], operands[1], operands[2]));
  return llvm::Error::success();
}

/// An argument's element, between equations: 0 out of range.
llvm::Error Evaluator::evaluateRead(ReadOp op) {
  const Array *array = environment.getTensor(op.getSource());
  auto subscripts = getIntegers(op, op.getSubscripts());
  if (!subscripts)
    return subscripts.takeError();
  if (!array || array->shape.size() != subscripts->size() || op.getFallback())
    return makeError(op, "reads what has no value between equations");
  int64_t position = 0;
  bool inRange = true;
  for (auto [subscript, extent] : llvm::zip(*subscripts, array->shape)) {
    inRange &= subscript >= 0 && subscript < extent;
    position = position * extent + subscript;
  }
  environment.setScalar(
      op, fromElement(inRange ? array->data[position] : 0, op.getType()));
  return llvm::Error::success();
}

llvm::Error Evaluator::evaluateInitial(InitialOp op) {
  Array *chosen = environment.getTensor(op.getGiven());
  if (!chosen)
    chosen = environment.getTensor(op.getDeclared());
  if (!chosen)
    return makeError(op, "has no value");
  environment.setTensor(op, chosen);
  return llvm::Error::success();
}

// result[p] = body(p), or the reduction of body(p, r) over r.
llvm::Error Evaluator::evaluateEquation(EquationOp op) {
  auto body = bindBody(op.getBody());
  if (!body)
    return body.takeError();
  auto lowers = getIntegers(op, op.getLowers());
  if (!lowers)
    return lowers.takeError();
  auto uppers = getIntegers(op, op.getUppers());
  if (!uppers)
    return uppers.takeError();
  if (llvm::Error error = prepareResults(op, op->getResults(), op.getSizes()))
    return error;
  Array &result = environment.defineTensor(op);

  double *element = result.data.data();
  for (Points points(result.shape); !points.isDone(); points.next()) {
    for (auto [i, index] : llvm::enumerate(points.get()))
      (*body)->getArgument(i) = makeInteger(index);
    Scalar value;
    if (op.getCombiner()) {
      if (llvm::Error error =
              evaluateReduction(op, **body, *lowers, *uppers, value))
        return error;
    } else {
      if (!(*body)->run())
        return (*body)->takeFault();
      value = (*body)->getValue();
    }
    *element++ = toElement(value, op.getScalarType());
  }
  return llvm::Error::success();
}

// combine over r, lowers <= r < uppers and filter(p, r), of body(p, r).
llvm::Error Evaluator::evaluateReduction(EquationOp op, Body &body,
                                         ArrayRef<int64_t> lowers,
                                         ArrayRef<int64_t> uppers,
                                         Scalar &result) {
  Combining combining = Combining::get(*op.getCombiner(), op.getScalarType());
  unsigned first = op.getSizes().size();
  result = combining.identity;
  for (Points points(lowers, uppers); !points.isDone(); points.next()) {
    for (auto [i, index] : llvm::enumerate(points.get()))
      body.getArgument(first + i) = makeInteger(index);
    if (!body.run())
      return body.takeFault();
    if (body.passesFilter())
      result = combining.combine(result, body.getValue(), Scalar());
  }
  return llvm::Error::success();
}

/// history[batch, t, rest] = slice[batch, rest], where `position` is the
/// position of t among `count` points of the along dims.
static void storeSlice(const Array &slice, unsigned batchRank, int64_t position,
                       int64_t count, Array &history) {
  int64_t batch = 1, rest = 1;
  for (auto [dim, extent] : llvm::enumerate(slice.shape))
    (dim < batchRank ? batch : rest) *= extent;
  for (int64_t b = 0; b < batch; ++b)
    std::copy_n(slice.data.begin() + b * rest, rest,
                history.data.begin() + (b * count + position) * rest);
}

// At every point t of the along dims, in order:
// (x_1[.., t, ..], .., x_n[.., t, ..]) = step(t, x_1, .., x_n)
llvm::Error Evaluator::evaluateRecurrence(RecurrenceOp op) {
  if (llvm::Error error = prepareRecurrence(op))
    return error;
  auto along = getIntegers(op, op.getSizes());
  if (!along)
    return along.takeError();
  int64_t count = 1;
  for (int64_t extent : *along)
    count *= std::max<int64_t>(extent, 0);

  for (Points steps(*along); !steps.isDone(); steps.next()) {
    int64_t position = 0; // of t in the histories
    for (auto [i, step] : llvm::enumerate(steps.get())) {
      int64_t extent = (*along)[i];
      int64_t t = op.getReversed()[i] ? extent - 1 - step : step;
      position = position * extent + t;
      environment.setScalar(op.getAlongIndices()[i], makeInteger(t));
    }
    if (llvm::Error error = evaluateBlock(op.getBlock()))
      return error;
    for (unsigned i = 0; i < op.getNumMembers(); ++i)
      storeSlice(*environment.getTensor(op.getSlice(i)), op.getBatch(),
                 position, count, *environment.getTensor(op.getHistory(i)));
  }
  for (unsigned i = 0; i < op.getNumStates(); ++i)
    environment.defineTensor(op.getFinal(i)) = *environment.getTensor(
        count > 0 ? op.getSlice(i) : op.getInitials()[i]);
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// Shapes
//===----------------------------------------------------------------------===//

// The histories need the shapes of the slices before the first step, and also
// when there is none.
llvm::Error Evaluator::prepareBlock(Block &block) {
  for (Operation &op : block.without_terminator())
    if (llvm::Error error = prepare(&op))
      return error;
  return llvm::Error::success();
}

llvm::Error Evaluator::prepare(Operation *op) {
  if (auto equation = dyn_cast<EquationOp>(op))
    return prepareResults(op, op->getResults(), equation.getSizes());
  if (auto recurrence = dyn_cast<RecurrenceOp>(op))
    return prepareRecurrence(recurrence);
  if (auto iterate = dyn_cast<IterateOp>(op))
    return prepareIterate(iterate);
  if (auto scan = dyn_cast<ScanOp>(op))
    return prepareResults(op, op->getResults(), scan.getSizes());
  if (auto convolution = dyn_cast<ConvolutionOp>(op))
    return prepareResults(op, op->getResults(), convolution.getSizes());
  if (auto solve = dyn_cast<TriangularSolveOp>(op))
    return prepareResults(op, op->getResults(), solve.getSizes());
  if (auto attention = dyn_cast<AttentionOp>(op))
    return prepareAttention(attention);
  return evaluate(op); // sizes and scalars, which are cheap
}

llvm::Error Evaluator::prepareAttention(AttentionOp op) {
  SmallVector<Value> extents(op.getSizes());
  if (llvm::Error error = prepareResults(op, op.getStatistics(), extents))
    return error;
  llvm::append_range(extents, op.getValueSizes());
  return prepareResults(op, op.getResult(), extents);
}

llvm::Error Evaluator::prepareResults(Operation *op, ValueRange results,
                                      ValueRange extents) {
  auto shape = getIntegers(op, extents);
  if (!shape)
    return shape.takeError();
  for (Value result : results)
    if (llvm::Error error =
            resize(op, environment.defineTensor(result), *shape))
      return error;
  return llvm::Error::success();
}

llvm::Error Evaluator::prepareRecurrence(RecurrenceOp op) {
  auto along = getIntegers(op, op.getSizes());
  if (!along)
    return along.takeError();
  for (BlockArgument index : op.getAlongIndices())
    environment.setScalar(index, makeInteger(0));
  // The region sees a member's past under another name.
  for (unsigned i = 0; i < op.getNumMembers(); ++i)
    environment.setTensor(op.getPast(i),
                          &environment.defineTensor(op.getHistory(i)));
  if (llvm::Error error = prepareBlock(op.getBlock()))
    return error;

  for (unsigned i = 0; i < op.getNumMembers(); ++i) {
    const Array *slice = environment.getTensor(op.getSlice(i));
    if (!slice)
      return makeError(op, "has no value for '" + op.getName(i) + "'");
    if (op.getBatch() > slice->shape.size())
      return makeError(op, "has more batch dims than '" + op.getName(i) + "'");
    if (i < op.getNumStates()) {
      const Array *initial = environment.getTensor(op.getInitials()[i]);
      if (!initial || initial->shape != slice->shape)
        return makeError(op, "expects shape " + spell(slice->shape) +
                                 " for the initial value of '" + op.getName(i) +
                                 "', found " +
                                 (initial ? spell(initial->shape) : "none"));
      environment.defineTensor(op.getFinal(i)) = *initial;
    }
    SmallVector<int64_t> shape(slice->shape.begin(), slice->shape.end());
    shape.insert(shape.begin() + op.getBatch(), along->begin(), along->end());
    if (llvm::Error error =
            resize(op, environment.defineTensor(op.getHistory(i)), shape))
      return error;
  }
  return llvm::Error::success();
}

/// Every element becomes NaN, so that reading one that is not computed yet
/// can't pass unnoticed. A size below 0 is an empty dim, as in loops.
llvm::Error Evaluator::resize(Operation *op, Array &array,
                              ArrayRef<int64_t> shape) {
  int64_t count = 1;
  array.shape.clear();
  for (int64_t extent : shape) {
    array.shape.push_back(std::max<int64_t>(extent, 0));
    if (llvm::MulOverflow(count, array.shape.back(), count) ||
        count > maxElements)
      return makeError(op, "can't hold a tensor of shape " + spell(shape));
  }
  array.data.assign(count, std::nan(""));
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// Helpers
//===----------------------------------------------------------------------===//

llvm::Expected<Body *> Evaluator::bindBody(Region &region) {
  std::unique_ptr<Body> &body = bodies[&region];
  if (!body) {
    auto compiled = Body::compile(region.front());
    if (!compiled)
      return compiled.takeError();
    body = std::move(*compiled);
  }
  if (llvm::Error error = body->bind(environment))
    return error;
  return body.get();
}

llvm::Expected<const Array *> Evaluator::getTensor(Operation *op, Value value,
                                                   ArrayRef<int64_t> shape) {
  const Array *array = environment.getTensor(value);
  if (!array)
    return makeError(op, "uses a tensor that has no value");
  if (ArrayRef<int64_t>(array->shape) != shape)
    return makeError(op, "expects a tensor of shape " + spell(shape) +
                             ", found " + spell(array->shape));
  return array;
}

llvm::Expected<SmallVector<int64_t>> Evaluator::getIntegers(Operation *op,
                                                            ValueRange values) {
  SmallVector<int64_t> integers;
  for (Value value : values) {
    const Scalar *scalar = environment.getScalar(value);
    if (!scalar)
      return makeError(op, "uses a size that has not been computed");
    integers.push_back(scalar->integer);
  }
  return integers;
}
