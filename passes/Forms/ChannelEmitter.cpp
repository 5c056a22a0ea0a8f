//===- ChannelEmitter.cpp - Writing kernels by channel --------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Forms/ChannelEmitter.h"
#include "mlir/Dialect/Affine/Utils.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "passes/Algebra/Linear.h"
#include "passes/Forms/Storage.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::algebra;

using Values = ChannelEmitter::Values;

ChannelEmitter::ChannelEmitter(Context &context, ChannelStructure &structure,
                               ChannelParameters parameters)
    : PointEmitter(context, structure), s(structure), p(parameters),
      n(structure.states.size()),
      numPoints(llvm::divideCeil(structure.numPrivate, parameters.lanes)) {
  if (p.form == ChannelForm::Guess)
    planCopies();
}

//===----------------------------------------------------------------------===//
// Expressions
//===----------------------------------------------------------------------===//

bool ChannelEmitter::dependsOnPrivate(Expr expr) const {
  for (auto [k, isPrivate] : llvm::enumerate(s.isPrivate))
    if (isPrivate && dependsOn(expr, s.indices[s.numBatch + k]))
      return true;
  return false;
}

bool ChannelEmitter::dependsOnChannel(Expr expr) const {
  for (auto [k, isPrivate] : llvm::enumerate(s.isPrivate))
    if (!isPrivate && dependsOn(expr, s.indices[s.numBatch + k]))
      return true;
  return false;
}

//===----------------------------------------------------------------------===//
// The kernel
//===----------------------------------------------------------------------===//

void ChannelEmitter::createKernel(StringRef name) {
  PointEmitter::createKernel(name, getNumThreads());
}

Value ChannelEmitter::emitNumChannels(Scope &scope) {
  Value channels = constant(1);
  for (unsigned dim : dimsOf(/*isPrivate=*/false))
    channels =
        mul(channels, emit(context.leaf(s.extents[s.numBatch + dim]), scope));
  return channels;
}

/// A grid has a block for every batch point and tile of channels. Of several
/// kernels the first one that suits the sizes is launched.
void ChannelEmitter::createHost(std::deque<ChannelEmitter> &kernels) {
  auto launch = [&](Value first, Value stop, ValueRange operands) {
    Scope scope;
    Value channels = emitNumChannels(scope);
    Value steps = emit(context.leaf(s.length), scope);
    Value points = sub(stop, first);
    OpBuilder::InsertionGuard guard(b);
    for (ChannelEmitter &each : kernels) {
      if (&each != &kernels.back()) {
        Value isSuited = arith::CmpIOp::create(b, arith::CmpIPredicate::sle,
                                               mul(points, channels),
                                               constant(each.p.mostChannels));
        Value isLong = arith::CmpIOp::create(
            b, arith::CmpIPredicate::sge, steps, constant(each.p.leastSteps));
        auto test = scf::IfOp::create(b, both(isSuited, isLong),
                                      /*withElseRegion=*/true);
        b.setInsertionPointToStart(test.thenBlock());
        each.emitLaunches(b, points, channels, steps, operands);
        b.setInsertionPointToStart(test.elseBlock());
      } else {
        each.emitLaunches(b, points, channels, steps, operands);
      }
    }
  };
  StringRef form = p.form == ChannelForm::Newton ? "newton"
                   : p.form == ChannelForm::Scan ? "scan"
                                                 : "sequential";
  bool hasGuess =
      llvm::any_of(kernels, [](const auto &each) { return each.guess; });
  auto bytes = [&] {
    Value most = constant(64);
    for (ChannelEmitter &each : kernels)
      if (each.guess)
        most = arith::MaxSIOp::create(b, most,
                                      emitWorkspaceBytes(*each.guess));
    return most;
  };
  if (hasGuess)
    PointEmitter::createHost(form, launch, bytes);
  else
    PointEmitter::createHost(form, launch, nullptr);
}

/// What guesses of all batch points take.
Value ChannelEmitter::emitWorkspaceBytes(const ChannelParameters &parameters) {
  Scope scope;
  Value points = constant(1);
  for (Value extent : ArrayRef(s.extents).take_front(s.numBatch))
    points = mul(points, emit(context.leaf(extent), scope));
  Value steps = emit(context.leaf(s.length), scope);
  return emitRecordBytes(parameters, points, emitNumChannels(scope), steps);
}

/// Launches the kernel, and the one in front of it unless several sequences are
/// in one.
void ChannelEmitter::emitLaunches(ImplicitLocOpBuilder &at, Value points,
                                  Value channels, Value steps,
                                  ValueRange operands) {
  Value zero = arith::ConstantIndexOp::create(at, 0);
  Value one = arith::ConstantIndexOp::create(at, 1);
  if (guess) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPoint(at.getInsertionBlock(), at.getInsertionPoint());
    Value windows = emitWindows(*guess, points, channels, steps).first;
    OpBuilder::InsertionGuard inner(at);
    at.setInsertionPoint(b.getInsertionBlock(), b.getInsertionPoint());
    Value width = operands.drop_back().back();
    Value isGuessed = both(equal(width, zero), less(zero, windows));
    auto test = scf::IfOp::create(at, isGuessed, /*withElseRegion=*/true);
    at.setInsertionPointToStart(test.thenBlock());
    guessKernel->emitLaunch(at, points, channels, windows, operands);
    emitLaunch(at, points, channels, one, operands)
        ->setAttr("rondo.behind", at.getUnitAttr());
    at.setInsertionPointToStart(test.elseBlock());
    emitLaunch(at, points, channels, one, operands);
    return;
  }
  emitLaunch(at, points, channels, one, operands);
}

mlir::gpu::LaunchFuncOp
ChannelEmitter::emitLaunch(ImplicitLocOpBuilder &at, Value points,
                           Value channels, Value windows,
                           ValueRange operands) {
  Value one = arith::ConstantIndexOp::create(at, 1);
  Value width = arith::ConstantIndexOp::create(at, p.channels);
  Value tiles = arith::CeilDivSIOp::create(at, channels, width);
  tiles = arith::MaxSIOp::create(at, tiles, one);
  points = arith::MaxSIOp::create(at, points, one);
  Value threads = arith::ConstantIndexOp::create(at, getNumThreads());
  Value memory;
  if (copies.bytes)
    memory = arith::ConstantIntOp::create(at, copies.bytes, 32);
  return mlir::gpu::LaunchFuncOp::create(
      at, kernel, mlir::gpu::KernelDim3{points, tiles, windows},
      mlir::gpu::KernelDim3{threads, one, one}, memory, operands);
}

/// The kernel's tensors at the batch point of the block.
void ChannelEmitter::enterBlock() {
  enterKernel();
  Value block = mlir::gpu::BlockIdOp::create(b, mlir::gpu::Dimension::x);
  Value point = add(begin, block);
  pointsOfCall = sub(end, begin);
  isSome = less(point, end);
  Place place =
      emitPlaceOf(arith::MinSIOp::create(b, point, sub(end, constant(1))));
  enter(place);
  begin = place.point;
}

SmallVector<unsigned> ChannelEmitter::dimsOf(bool isPrivate) const {
  SmallVector<unsigned> dims;
  for (auto [k, each] : llvm::enumerate(s.isPrivate))
    if (each == isPrivate)
      dims.push_back(k);
  return dims;
}

/// The leaves of the states' dims `dims` from a number in row-major order.
void ChannelEmitter::unravel(Value flat, ArrayRef<unsigned> dims,
                             Scope &scope) {
  for (unsigned i = dims.size(); i-- > 0;) {
    unsigned k = s.numBatch + dims[i];
    if (i == 0) {
      scope.values[s.indices[k]] = flat;
      break;
    }
    Value extent = arith::MaxSIOp::create(
        b, emit(context.leaf(s.extents[k]), base), constant(1));
    scope.values[s.indices[k]] = rem(flat, extent);
    flat = div(flat, extent);
  }
}

/// Which channel the thread has, and which of its points or segments. A thread
/// beyond the last channel computes channel 0 and stores nothing.
void ChannelEmitter::emitPlace() {
  Value thread = mlir::gpu::ThreadIdOp::create(b, mlir::gpu::Dimension::x);
  bool isSequential = p.form == ChannelForm::Sequential;
  if (isSequential) {
    lane = rem(thread, constant(p.lanes));
    channelInBlock = div(thread, constant(p.lanes));
  } else {
    lane = constant(0);
    channelInBlock = rem(thread, constant(p.channels));
    segment = div(thread, constant(p.channels));
  }
  firstChannel = mul(mlir::gpu::BlockIdOp::create(b, mlir::gpu::Dimension::y),
                     constant(p.channels));
  Value channel = add(firstChannel, channelInBlock);
  length = emit(context.leaf(s.length), base);
  last = sub(length, constant(1));
  numChannels = emitNumChannels(base);
  isOwn = less(channel, numChannels);
  channel = select(isOwn, channel, constant(0));
  isSome = both(isSome, less(constant(0), numChannels));
  bindBatch(begin, base);
  unravel(channel, dimsOf(/*isPrivate=*/false), base);
  SmallVector<unsigned> dims = dimsOf(/*isPrivate=*/true);
  for (int64_t j = 0; j < numPoints; ++j) {
    Value number = add(mul(lane, constant(numPoints)), constant(j));
    Value isThere;
    if (numPoints * p.lanes != s.numPrivate) {
      isThere = less(number, constant(s.numPrivate));
      number = select(isThere, number, constant(0));
    }
    isPoint.push_back(isThere);
    basePoints.emplace_back(base);
    unravel(number, dims, basePoints.back());
  }
}

/// Loads what depends on no step; finds what is loaded at each.
void ChannelEmitter::collectReads() {
  for (Expr read : s.findReads()) {
    if (dependsOnTime(read))
      reads.push_back(read);
    else if (!dependsOnPrivate(read))
      emit(read, base);
    else
      for (Scope &point : basePoints)
        emit(read, point);
  }
}

ChannelEmitter::Values ChannelEmitter::emitInitials() {
  Values states;
  for (ChannelStructure::State &state : s.states)
    for (Scope &point : basePoints)
      states.push_back(emitInitial(state, point));
  return states;
}

//===----------------------------------------------------------------------===//
// Steps
//===----------------------------------------------------------------------===//

/// The time of step `number`, counted in the direction of the recurrence; that
/// of the last step behind the end.
Value ChannelEmitter::timeOf(Value number) {
  Value inside = arith::MinSIOp::create(b, number, last);
  return s.reversed ? sub(last, inside) : inside;
}

/// With `isWhole` no step is behind the end.
Value ChannelEmitter::timeOf(Value number, bool isWhole) {
  if (!isWhole)
    return timeOf(number);
  return s.reversed ? sub(last, number) : number;
}

ChannelEmitter::Step &ChannelEmitter::emitStep(Value number, bool isWhole) {
  steps.emplace_back();
  Step &step = steps.back();
  step.place = s.reversed ? sub(last, number) : number;
  step.time = isWhole ? step.place : timeOf(number);
  if (!isWhole)
    step.isValid = less(number, length);
  step.scope.outer = &base;
  step.scope.values[s.time] = step.time;
  for (Scope &point : basePoints) {
    step.points.emplace_back(step.scope);
    step.points.back().values = point.values;
  }
  return step;
}

void ChannelEmitter::bindStates(Step &step, ValueRange before, ValueRange now) {
  for (auto [k, state] : llvm::enumerate(s.states))
    for (auto [j, point] : llvm::enumerate(step.points)) {
      point.values[state.past] = before[k * numPoints + j];
      point.values[state.current] = now[k * numPoints + j];
    }
}

/// The states at a step from those before; behind the end they stay.
ChannelEmitter::Values ChannelEmitter::emitNew(Step &step, ValueRange before) {
  Values states(n * numPoints);
  for (auto [j, point] : llvm::enumerate(step.points)) {
    Scope scope(point);
    for (auto [k, state] : llvm::enumerate(s.states))
      scope.values[state.past] = before[k * numPoints + j];
    for (auto [k, state] : llvm::enumerate(s.states)) {
      Value value = select(step.isValid, emit(state.value, scope),
                           before[k * numPoints + j]);
      states[k * numPoints + j] = value;
      scope.values[state.current] = value;
    }
  }
  return states;
}

void ChannelEmitter::emitStore(const ChannelStructure::Result &result,
                               Step &step, Scope &scope, Value value,
                               Value isThere) {
  emitIf(both(isThere, step.isValid), [&] {
    emitResult(result.output, placeOf(result, step.place, scope), value);
  });
}

/// The indices of a result: batch, time, others.
Values ChannelEmitter::placeOf(const ChannelStructure::Result &result,
                               Value time, Scope &scope) {
  Values here;
  for (Expr index : ArrayRef(s.indices).take_front(s.numBatch))
    here.push_back(base.lookup(index));
  here.push_back(time);
  for (unsigned dim : result.dims)
    here.push_back(scope.lookup(s.indices[s.numBatch + dim]));
  return here;
}

/// Results that have all dims of the states.
void ChannelEmitter::emitWide(Step &step) {
  for (const ChannelStructure::Result &result : s.results)
    if (result.isWide)
      for (auto [j, point] : llvm::enumerate(step.points))
        emitStore(result, step, point, emit(result.value, point),
                  both(isOwn, isPoint[j]));
}

/// Results of channels, from sums that are known: all values, then one branch
/// for the stores.
void ChannelEmitter::emitNarrow(ArrayRef<Step *> steps) {
  SmallVector<Values> values;
  for (Step *step : steps) {
    Values row;
    for (const ChannelStructure::Result &result : s.results)
      if (!result.isWide)
        row.push_back(emit(result.value, step->scope));
    values.push_back(row);
  }
  emitIf(isOwn, [&] {
    for (auto [step, row] : llvm::zip_equal(steps, values)) {
      unsigned next = 0;
      for (const ChannelStructure::Result &result : s.results)
        if (!result.isWide)
          emitStore(result, *step, step->scope, row[next++], Value());
    }
  });
}

void ChannelEmitter::storeAll(ArrayRef<Value> to, ValueRange values,
                              ValueRange at) {
  for (auto [memref, value] : llvm::zip_equal(to, values))
    memref::StoreOp::create(b, value, memref, at);
}

ChannelEmitter::Values ChannelEmitter::loadAll(ArrayRef<Value> from,
                                               ValueRange at) {
  Values values;
  for (Value memref : from)
    values.push_back(memref::LoadOp::create(b, memref, at));
  return values;
}

void ChannelEmitter::emitFinals(ValueRange states, Value isThere) {
  for (auto [output, state] : s.finals)
    for (int64_t j = 0; j < numPoints; ++j)
      emitFinal(output, basePoints[j], states[state * numPoints + j],
                both(isThere, isPoint[j]));
}

void ChannelEmitter::run() {
  enterBlock();
  emitPlace();
  if (guess)
    NVVM::GriddepcontrolOp::create(b, NVVM::GridDepActionKind::wait);
  emitIf(isSome, [&] {
    switch (p.form) {
    case ChannelForm::Sequential:
      collectReads();
      return emitSequential();
    case ChannelForm::Scan:
      collectReads();
      return emitScan();
    case ChannelForm::Newton:
      return emitNewton();
    case ChannelForm::Guess:
      collectReads();
      return emitGuess();
    }
  });
  mlir::gpu::ReturnOp::create(b);
}

void rondo::toChannelKernels(Context &context, ChannelStructure &structure,
                             ArrayRef<ChannelParameters> parameters) {
  std::deque<ChannelEmitter> kernels, guesses;
  std::string name = structure.kernel.getSymName().str();
  for (auto [i, each] : llvm::enumerate(parameters)) {
    kernels.emplace_back(context, structure, each);
    ChannelEmitter &kernel = kernels.back();
    // No name of a program has this character.
    std::string own = i ? name + "$" + std::to_string(i) : name;
    kernel.createKernel(own);
    if (std::optional<ChannelParameters> guess = shapeGuess(structure, each)) {
      guesses.emplace_back(context, structure, *guess);
      guesses.back().createKernel(own + "$guess");
      kernel.setGuess(guesses.back());
    }
  }
  kernels.front().createHost(kernels);
  for (auto *list : {&kernels, &guesses})
    for (ChannelEmitter &kernel : *list)
      kernel.run();
  structure.kernel.erase();
}
