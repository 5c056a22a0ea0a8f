//===- EvalSequence.cpp - Scan, attention, convolution, solve -------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/Rondo/Reference/Evaluator.h"
#include "dialects/Rondo/Reference/Points.h"
#include <cmath>
#include <limits>
#include <numeric>

using namespace mlir;
using namespace rondo;
using namespace rondo::reference;

static int64_t getProduct(ArrayRef<int64_t> extents) {
  return std::accumulate(extents.begin(), extents.end(), int64_t(1),
                         std::multiplies<int64_t>());
}

//===----------------------------------------------------------------------===//
// Iterations
//===----------------------------------------------------------------------===//

/// to[b] = from[b] for the batch points b that `isChosen`.
static void copyPoints(const Array &from, const std::vector<char> &isChosen,
                       Array &to) {
  int64_t rest = isChosen.empty()
                     ? 0
                     : static_cast<int64_t>(to.data.size() / isChosen.size());
  for (auto [b, chosen] : llvm::enumerate(isChosen))
    if (chosen)
      std::copy_n(from.data.begin() + b * rest, rest,
                  to.data.begin() + b * rest);
}

// x = x^k for the first k with a small residual, else what `otherwise` says.
llvm::Error Evaluator::evaluateIterate(IterateOp op) {
  if (llvm::Error error = prepareIterate(op))
    return error;
  unsigned numTensors = op.getNumTensors();
  SmallVector<Array *> now;
  for (unsigned i = 0; i < numTensors; ++i) {
    now.push_back(environment.getTensor(op.getResult(i)));
    *now[i] = *environment.getTensor(op.getGuesses()[i]);
  }
  Array &count = *environment.getTensor(op.getCount());
  double tolerance = op.getTolerance().convertToDouble();
  std::vector<char> runs(count.data.size(), true), failed(runs.size(), false);
  for (uint64_t k = 0; llvm::is_contained(runs, true); ++k) {
    if (llvm::Error error = evaluateBlock(op.getBody().front()))
      return error;
    const Array &residual = *environment.getTensor(op.getResidual());
    for (unsigned b = 0; b < runs.size(); ++b) {
      if (!runs[b])
        continue;
      count.data[b] = k + 1;
      bool isGood = residual.data[b] <= tolerance;
      failed[b] = !isGood &&
                  (!std::isfinite(residual.data[b]) || k + 1 == op.getBound());
      runs[b] = !isGood && !failed[b];
    }
    for (unsigned i = 0; i < numTensors; ++i)
      copyPoints(*environment.getTensor(op.getBodyYield().getValues()[i]), runs,
                 *now[i]);
  }
  if (!llvm::is_contained(failed, true))
    return llvm::Error::success();
  if (llvm::Error error = evaluateBlock(op.getOtherwise().front()))
    return error;
  for (unsigned i = 0; i < numTensors; ++i)
    copyPoints(*environment.getTensor(op.getOtherwiseYield().getValues()[i]),
               failed, *now[i]);
  return llvm::Error::success();
}

llvm::Error Evaluator::prepareIterate(IterateOp op) {
  for (unsigned i = 0; i < op.getNumTensors(); ++i) {
    const Array *guess = environment.getTensor(op.getGuesses()[i]);
    if (!guess)
      return makeError(op, "uses a tensor that has no value");
    Array &result = environment.defineTensor(op.getResult(i));
    if (llvm::Error error = resize(op, result, guess->shape))
      return error;
    // The body sees the present value under another name.
    environment.setTensor(op.getBody().getArgument(i), &result);
  }
  for (Region *region : {&op.getBody(), &op.getOtherwise()})
    if (llvm::Error error = prepareBlock(region->front()))
      return error;
  for (YieldOp yield : {op.getBodyYield(), op.getOtherwiseYield()})
    for (unsigned i = 0; i < op.getNumTensors(); ++i) {
      const Array *next = environment.getTensor(yield.getValues()[i]);
      const Array *guess = environment.getTensor(op.getGuesses()[i]);
      if (!next || next->shape != guess->shape)
        return makeError(op, "expects shape " + spell(guess->shape) +
                                 ", found " +
                                 (next ? spell(next->shape) : "none"));
    }
  const Array *residual = environment.getTensor(op.getResidual());
  if (!residual)
    return makeError(op, "has no residual");
  return resize(op, environment.defineTensor(op.getCount()), residual->shape);
}

//===----------------------------------------------------------------------===//
// Scan
//===----------------------------------------------------------------------===//

// y[t] = combine(y[t-1], x[t]); without initials, y[0] = x[0].
llvm::Error Evaluator::evaluateScan(ScanOp op) {
  auto shape = getIntegers(op, op.getSizes());
  if (!shape)
    return shape.takeError();
  SmallVector<int64_t> sliceShape(*shape);
  sliceShape.erase(sliceShape.begin() + op.getDim());
  SmallVector<const Array *> inputs, initials;
  for (Value input : op.getInputs()) {
    auto array = getTensor(op, input, *shape);
    if (!array)
      return array.takeError();
    inputs.push_back(*array);
  }
  for (Value initial : op.getInitials()) {
    auto array = getTensor(op, initial, sliceShape);
    if (!array)
      return array.takeError();
    initials.push_back(*array);
  }
  if (llvm::Error error = prepareResults(op, op->getResults(), op.getSizes()))
    return error;
  auto body = bindBody(op.getBody());
  if (!body)
    return body.takeError();

  unsigned count = inputs.size();
  int64_t steps = (*shape)[op.getDim()];
  int64_t before = getProduct(ArrayRef(*shape).take_front(op.getDim()));
  int64_t after = getProduct(ArrayRef(*shape).drop_front(op.getDim() + 1));
  auto getType = [&](unsigned i) {
    return op.getYield().getValues()[i].getType();
  };
  for (int64_t line = 0; line < before * after; ++line) {
    // y[t-1], or the initial value; not there at the first step without one.
    SmallVector<Scalar> earlier;
    for (unsigned i = 0; i < initials.size(); ++i)
      earlier.push_back(fromElement(initials[i]->data[line], getType(i)));
    for (int64_t step = 0; step < steps; ++step) {
      int64_t t = op.getReversed() ? steps - 1 - step : step;
      int64_t position = (line / after * steps + t) * after + line % after;
      SmallVector<Scalar> later;
      for (unsigned i = 0; i < count; ++i)
        later.push_back(fromElement(inputs[i]->data[position], getType(i)));
      if (earlier.empty()) {
        earlier = later;
      } else {
        for (unsigned i = 0; i < count; ++i) {
          (*body)->getArgument(i) = earlier[i];
          (*body)->getArgument(count + i) = later[i];
        }
        if (!(*body)->run())
          return (*body)->takeFault();
        for (unsigned i = 0; i < count; ++i)
          earlier[i] = (*body)->getValue(i);
      }
      for (unsigned i = 0; i < count; ++i)
        environment.defineTensor(op.getResult(i)).data[position] =
            toElement(earlier[i], getType(i));
    }
  }
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

/// greatest and norm of a softmax.
using Statistics = std::pair<double, double>;

/// Turns the scores of the points that pass the mask into weights.
static Statistics normalise(Normaliser normaliser,
                            std::vector<double> &scores) {
  double greatest = -std::numeric_limits<double>::infinity();
  if (normaliser == Normaliser::None)
    return {greatest, 0};
  if (normaliser == Normaliser::Softmax) {
    // Relative to the greatest score, which changes no weight and keeps exp
    // from overflowing. Scores of -inf weigh nothing.
    for (double score : scores)
      greatest = std::fmax(greatest, score);
    double shift = std::isinf(greatest) && greatest < 0 ? 0 : greatest;
    for (double &score : scores)
      score = std::exp(score - shift);
  }
  double sum = std::accumulate(scores.begin(), scores.end(), 0.0);
  for (double &score : scores)
    score = sum == 0 ? 0 : score / sum;
  return {greatest, sum};
}

// result[p, j] = sum over u where mask(p, u) of weight(p, u) * value(p, u, j)
llvm::Error Evaluator::evaluateAttention(AttentionOp op) {
  auto sizes = getIntegers(op, op.getSizes());
  if (!sizes)
    return sizes.takeError();
  auto valueSizes = getIntegers(op, op.getValueSizes());
  if (!valueSizes)
    return valueSizes.takeError();
  auto lowers = getIntegers(op, op.getLowers());
  if (!lowers)
    return lowers.takeError();
  auto uppers = getIntegers(op, op.getUppers());
  if (!uppers)
    return uppers.takeError();
  auto score = bindBody(op.getScore());
  if (!score)
    return score.takeError();
  auto value = bindBody(op.getValue());
  if (!value)
    return value.takeError();
  if (llvm::Error error = prepareAttention(op))
    return error;
  Array &result = environment.defineTensor(op.getResult());
  SmallVector<Array *> statistics;
  for (Value each : op.getStatistics())
    statistics.push_back(&environment.defineTensor(each));

  auto setArguments = [](Body &body, unsigned first, ArrayRef<int64_t> point) {
    for (auto [i, index] : llvm::enumerate(point))
      body.getArgument(first + i) = makeInteger(index);
  };
  double *element = result.data.data();
  size_t row = 0;
  for (Points p(*sizes); !p.isDone(); p.next(), ++row) {
    setArguments(**score, 0, p.get());
    setArguments(**value, 0, p.get());
    std::vector<SmallVector<int64_t>> passing;
    std::vector<double> weights;
    for (Points u(*lowers, *uppers); !u.isDone(); u.next()) {
      setArguments(**score, sizes->size(), u.get());
      if (!(*score)->run())
        return (*score)->takeFault();
      if (!(*score)->passesFilter())
        continue;
      passing.emplace_back(u.get());
      weights.push_back((*score)->getValue().real);
    }
    auto [greatest, norm] = normalise(op.getNormaliser(), weights);
    if (!statistics.empty()) {
      statistics[0]->data[row] = greatest;
      statistics[1]->data[row] = norm;
    }
    for (Points j(*valueSizes); !j.isDone(); j.next()) {
      setArguments(**value, sizes->size() + lowers->size(), j.get());
      double sum = 0;
      for (auto [u, weight] : llvm::zip(passing, weights)) {
        setArguments(**value, sizes->size(), u);
        if (!(*value)->run())
          return (*value)->takeFault();
        sum += weight * (*value)->getValue().real;
      }
      *element++ = sum;
    }
  }
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// Convolution
//===----------------------------------------------------------------------===//

// y[b, t, c] = sum over w (and e, if dense) of
//              weights[w, (e,) c] * x[b, t + offset + dilation * w, c or e]
llvm::Error Evaluator::evaluateConvolution(ConvolutionOp op) {
  auto shape = getIntegers(op, op.getSizes());
  if (!shape)
    return shape.takeError();
  auto numbers = getIntegers(op, {op.getTaps(), op.getOffset()});
  if (!numbers)
    return numbers.takeError();
  int64_t taps = (*numbers)[0], offset = (*numbers)[1], channels = 1;
  SmallVector<int64_t> inputShape(*shape), weightsShape = {taps};
  if (op.isDense()) {
    auto found = getIntegers(op, {op.getChannels()});
    if (!found)
      return found.takeError();
    channels = inputShape.back() = found->front();
    weightsShape.push_back(channels);
  }
  llvm::append_range(weightsShape,
                     ArrayRef(*shape).drop_front(op.getDim() + 1));
  auto input = getTensor(op, op.getInput(), inputShape);
  if (!input)
    return input.takeError();
  auto weights = getTensor(op, op.getWeights(), weightsShape);
  if (!weights)
    return weights.takeError();
  if (llvm::Error error = prepareResults(op, op->getResults(), op.getSizes()))
    return error;

  int64_t steps = (*shape)[op.getDim()];
  int64_t after = getProduct(ArrayRef(*shape).drop_front(op.getDim() + 1));
  int64_t inputAfter = op.isDense() ? channels : after;
  Array &result = environment.defineTensor(op);
  for (int64_t position = 0, end = result.data.size(); position < end;
       ++position) {
    int64_t b = position / (steps * after), t = position / after % steps;
    int64_t c = position % after;
    double sum = 0;
    for (int64_t w = 0; w < taps; ++w) {
      int64_t from = t + offset + static_cast<int64_t>(op.getDilation()) * w;
      for (int64_t e = 0; e < channels; ++e) {
        double x = from < 0 || from >= steps
                       ? 0
                       : (*input)->data[(b * steps + from) * inputAfter +
                                        (op.isDense() ? e : c)];
        sum += (*weights)->data[(w * channels + e) * after + c] * x;
      }
    }
    result.data[position] = sum;
  }
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// Triangular solve
//===----------------------------------------------------------------------===//

// x[p, r, j] = right[p, r, j] - sum over s < r of matrix[p, r, s] * x[p, s, j]
llvm::Error Evaluator::evaluateTriangularSolve(TriangularSolveOp op) {
  auto shape = getIntegers(op, op.getSizes());
  if (!shape)
    return shape.takeError();
  int64_t rows = (*shape)[op.getDim()];
  int64_t before = getProduct(ArrayRef(*shape).take_front(op.getDim()));
  int64_t after = getProduct(ArrayRef(*shape).drop_front(op.getDim() + 1));
  SmallVector<int64_t> matrixShape(
      ArrayRef(*shape).take_front(op.getDim() + 1));
  matrixShape.push_back(rows);
  auto matrix = getTensor(op, op.getMatrix(), matrixShape);
  if (!matrix)
    return matrix.takeError();
  auto right = getTensor(op, op.getRight(), *shape);
  if (!right)
    return right.takeError();
  if (llvm::Error error = prepareResults(op, op->getResults(), op.getSizes()))
    return error;

  std::vector<double> &x = environment.defineTensor(op.getResult()).data;
  for (int64_t p = 0; p < before; ++p)
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t j = 0; j < after; ++j) {
        double value = (*right)->data[(p * rows + r) * after + j];
        for (int64_t s = 0; s < r; ++s)
          value -= (*matrix)->data[(p * rows + r) * rows + s] *
                   x[(p * rows + s) * after + j];
        x[(p * rows + r) * after + j] = value;
      }
  return llvm::Error::success();
}
