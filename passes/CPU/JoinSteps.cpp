//===- JoinSteps.cpp - A short recurrence and its products as one nest ----===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A loop over a few steps, each of which computes all of x from the x before,
// point by point, and reduces over it:
//
//   for r = 0 .. 15
//     x[i, s] = f(x[i, s], r)                      pointwise
//     y[r, s] += g(x[i, s], r)                     sum over i
//
// Turned inside out, an element of x goes through all its steps while it is in
// a register, and the sums of all steps run side by side:
//
//   for s, for i
//     x0 = f(.., 0), y[0, s] += g(x0, 0), x1 = f(x0, 1), y[1, s] += g(x1, 1),
//     ..
//
// Where there are too few registers for the sums of all steps, some steps at a
// time have their sums, and x goes again through the steps before these.
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "passes/CPU/Buffers.h"
#include "passes/CPU/Passes.h"
#include "passes/CPU/StepViews.h"
#include "passes/CPU/Target.h"

namespace rondo::cpu {
#define GEN_PASS_DEF_JOINSTEPS
#include "passes/CPU/Passes.h.inc"
} // namespace rondo::cpu

using namespace mlir;
using namespace rondo;
using namespace rondo::cpu;

namespace {
/// The ops of the loop's body that write.
struct Body {
  linalg::GenericOp pointwise, reduction;
  linalg::FillOp fill; // of what the reduction adds to
  /// Dims of the reduction behind those of the pointwise op.
  SmallVector<unsigned> dims;
  /// The buffers of x and y.
  Value states, sums;
};

/// One of the ops at one step.
struct Instance {
  linalg::GenericOp op;
  IRMapping values; // operands, and what the body uses from outside
};

class Joining {
public:
  Joining(scf::ForOp loop, const Body &body, int64_t count, int64_t numSums)
      : loop(loop), body(body), count(count), numSums(numSums), builder(loop),
        views(builder) {}
  /// Fails, having changed nothing, if some x is read that is not in a
  /// register.
  LogicalResult run();

private:
  void unroll();
  bool readsKnownStates();
  void joinUpTo(int64_t first, int64_t end);
  void emitFills();
  void collectOperands();
  AffineMap getMap(const Instance &instance, OpOperand *operand);
  void emitInstance(OpBuilder &b, const Instance &instance,
                    ValueRange arguments, SmallVectorImpl<Value> &yielded);

  scf::ForOp loop;
  Body body;
  int64_t count, numSums; // steps; sums that fit into registers
  OpBuilder builder;
  SmallVector<Instance> all, instances; // of all steps; of the nest at hand
  SmallVector<Value> inputs, outputs;
  SmallVector<AffineMap> inputMaps, outputMaps;
  /// x so far, by its place in memory.
  DenseMap<Value, Value> current;
  StepViews views;
};
} // namespace

/// The one buffer behind a memref, or null.
static Value getRoot(Value memref) {
  SmallVector<Value> roots;
  collectRoots(memref, roots);
  return roots.size() == 1 ? roots[0] : Value();
}

//===----------------------------------------------------------------------===//
// Matching
//===----------------------------------------------------------------------===//

/// Bodies that can be computed at any point in any order.
static bool isPureBody(linalg::GenericOp op) {
  return op.getOutputs().size() == 1 &&
         llvm::all_of(op.getBody()->without_terminator(),
                      [](Operation &inner) { return isPure(&inner); });
}

static bool isInside(Value buffer, scf::ForOp loop) {
  return llvm::all_of(buffer.getUsers(), [&](Operation *user) {
    return loop->isProperAncestor(user);
  });
}

/// Whether a value is the same at every step.
static bool isSame(OpFoldResult value, scf::ForOp loop) {
  auto dynamic = dyn_cast<Value>(value);
  return !dynamic || loop.isDefinedOutsideOfLoop(dynamic);
}

/// Views of a step are all of the same sizes.
static bool hasSameSizes(scf::ForOp loop) {
  for (Operation &op : loop.getBody()->without_terminator())
    if (auto view = dyn_cast<memref::SubViewOp>(op))
      for (OpFoldResult size : view.getMixedSizes())
        if (!isSame(size, loop))
          return false;
  return true;
}

/// Relates the dims of x, as the reduction reads it, to those of its own.
static bool relateDims(Body &body) {
  linalg::GenericOp pointwise = body.pointwise, reduction = body.reduction;
  if (pointwise.getNumLoops() != reduction.getNumLoops() ||
      !pointwise.getMatchingIndexingMap(pointwise.getDpsInitOperand(0))
           .isIdentity())
    return false;
  AffineMap map;
  for (OpOperand *input : reduction.getDpsInputOperands()) {
    if (getRoot(input->get()) != body.states)
      continue;
    if (map && map != reduction.getMatchingIndexingMap(input))
      return false;
    map = reduction.getMatchingIndexingMap(input);
  }
  if (!map || !map.isPermutation())
    return false;
  for (OpOperand *input : pointwise.getDpsInputOperands())
    if (getRoot(input->get()) == body.states &&
        !pointwise.getMatchingIndexingMap(input).isIdentity())
      return false;
  for (AffineExpr result : map.getResults())
    body.dims.push_back(cast<AffineDimExpr>(result).getPosition());
  return true;
}

static std::optional<Body> match(scf::ForOp loop) {
  Body body;
  for (Operation &op : loop.getBody()->without_terminator()) {
    if (isPure(&op))
      continue;
    if (auto fill = dyn_cast<linalg::FillOp>(op)) {
      if (std::exchange(body.fill, fill))
        return std::nullopt;
      continue;
    }
    auto generic = dyn_cast<linalg::GenericOp>(op);
    if (!generic || !isPureBody(generic))
      return std::nullopt;
    bool reduces = generic.getNumReductionLoops() > 0;
    if (std::exchange(reduces ? body.reduction : body.pointwise, generic))
      return std::nullopt;
  }
  if (!body.pointwise || !body.reduction || !body.fill ||
      body.fill.getOutputs()[0] != body.reduction.getOutputs()[0] ||
      !body.fill->isBeforeInBlock(body.reduction) || !hasSameSizes(loop))
    return std::nullopt;
  body.states = getRoot(body.pointwise.getOutputs()[0]);
  body.sums = getRoot(body.reduction.getOutputs()[0]);
  // x is not needed later; nothing reads y or the value that x had there.
  if (!body.states || !body.sums || body.states == body.sums ||
      !body.states.getDefiningOp<memref::ViewOp>() ||
      !isInside(body.states, loop) ||
      !body.pointwise.getRegionOutputArgs()[0].use_empty() || !relateDims(body))
    return std::nullopt;
  for (linalg::GenericOp op : {body.pointwise, body.reduction})
    for (Value input : op.getInputs()) {
      bool isState =
          isa<MemRefType>(input.getType()) && getRoot(input) == body.states;
      if (isState ? !input.getDefiningOp<memref::SubViewOp>()
                  : isa<MemRefType>(input.getType()) &&
                        (mayOverlap(input, body.states) ||
                         mayOverlap(input, body.sums)))
        return std::nullopt;
    }
  if (!body.pointwise.getOutputs()[0].getDefiningOp<memref::SubViewOp>())
    return std::nullopt;
  return body;
}

//===----------------------------------------------------------------------===//
// Steps
//===----------------------------------------------------------------------===//

/// Everything but the nests, step after step, before the loop.
void Joining::unroll() {
  Location loc = loop.getLoc();
  for (int64_t step = 0; step < count; ++step) {
    IRMapping map;
    map.map(loop.getInductionVar(),
            arith::ConstantIndexOp::create(builder, loc, step).getResult());
    for (Operation &op : loop.getBody()->without_terminator()) {
      if (auto generic = dyn_cast<linalg::GenericOp>(op)) {
        all.push_back({generic, map});
        continue;
      }
      if (isa<linalg::FillOp>(op))
        continue;
      views.repeat(op, map);
    }
  }
}

void Joining::emitFills() {
  for (Instance &instance : instances)
    if (instance.op == body.reduction)
      builder.clone(*body.fill, instance.values);
}

AffineMap Joining::getMap(const Instance &instance, OpOperand *operand) {
  AffineMap map =
      linalg::GenericOp(instance.op).getMatchingIndexingMap(operand);
  if (instance.op == body.reduction)
    return map;
  SmallVector<AffineExpr> dims;
  for (unsigned dim : body.dims)
    dims.push_back(builder.getAffineDimExpr(dim));
  return map.replaceDimsAndSymbols(dims, {}, dims.size(), 0);
}

void Joining::collectOperands() {
  for (Instance &instance : instances) {
    for (OpOperand *operand : instance.op.getDpsInputOperands()) {
      inputs.push_back(instance.values.lookupOrDefault(operand->get()));
      inputMaps.push_back(getMap(instance, operand));
    }
    if (instance.op != body.reduction)
      continue;
    OpOperand *sum = instance.op.getDpsInitOperand(0);
    outputs.push_back(instance.values.lookupOrDefault(sum->get()));
    outputMaps.push_back(getMap(instance, sum));
  }
}

/// The body of an op at one step; `arguments` are its own.
void Joining::emitInstance(OpBuilder &b, const Instance &instance,
                           ValueRange arguments,
                           SmallVectorImpl<Value> &yielded) {
  linalg::GenericOp op = instance.op;
  IRMapping map(instance.values);
  for (auto [input, argument, value] :
       llvm::zip(op.getInputs(), op.getRegionInputArgs(), arguments)) {
    Value state = current.lookup(instance.values.lookupOrDefault(input));
    map.map(argument, state ? state : value);
  }
  if (op == body.reduction)
    map.map(op.getRegionOutputArgs()[0], arguments.back());
  for (Operation &inner : op.getBody()->without_terminator()) {
    if (auto index = dyn_cast<linalg::IndexOp>(inner)) {
      unsigned dim = index.getDim();
      map.map(
          index.getResult(),
          linalg::IndexOp::create(b, index.getLoc(),
                                  op == body.reduction ? dim : body.dims[dim])
              .getResult());
      continue;
    }
    cloneFolded(b, inner, map);
  }
  Value result = map.lookupOrDefault(
      cast<linalg::YieldOp>(op.getBody()->getTerminator()).getOperand(0));
  if (op == body.reduction)
    yielded.push_back(result);
  else
    current[instance.values.lookupOrDefault(op.getOutputs()[0])] = result;
}

/// Whether what is read of x was computed by an earlier op, or is what x was
/// before the loop.
bool Joining::readsKnownStates() {
  DenseSet<Value> written;
  for (Instance &instance : all) {
    for (Value input : instance.op.getInputs())
      if (isa<MemRefType>(input.getType()) && getRoot(input) == body.states &&
          !written.empty() &&
          !written.contains(instance.values.lookupOrDefault(input)))
        return false;
    if (instance.op == body.pointwise)
      written.insert(
          instance.values.lookupOrDefault(instance.op.getOutputs()[0]));
  }
  return true;
}

LogicalResult Joining::run() {
  unroll();
  if (!readsKnownStates())
    return failure();
  int64_t numNests = llvm::divideCeil(count, numSums);
  for (int64_t nest = 0; nest < numNests; ++nest)
    joinUpTo(nest * count / numNests, (nest + 1) * count / numNests);
  loop.erase();
  return success();
}

/// One nest with the sums of the steps from `first` to before `end`.
void Joining::joinUpTo(int64_t first, int64_t end) {
  instances.clear();
  inputs.clear();
  outputs.clear();
  inputMaps.clear();
  outputMaps.clear();
  current.clear();
  for (int64_t i = 0; i < 2 * end; ++i)
    if (all[i].op == body.pointwise || i >= 2 * first)
      instances.push_back(all[i]);
  emitFills();
  collectOperands();
  SmallVector<AffineMap> maps(inputMaps);
  llvm::append_range(maps, outputMaps);
  linalg::GenericOp::create(
      builder, body.reduction.getLoc(), inputs, outputs, maps,
      body.reduction.getIteratorTypesArray(),
      [&](OpBuilder &b, Location loc, ValueRange arguments) {
        SmallVector<Value> yielded;
        unsigned nextInput = 0;
        for (const Instance &instance : instances) {
          linalg::GenericOp op = instance.op;
          SmallVector<Value> own(
              arguments.slice(nextInput, op.getInputs().size()));
          nextInput += own.size();
          if (op == body.reduction)
            own.push_back(arguments[inputs.size() + yielded.size()]);
          emitInstance(b, instance, own, yielded);
        }
        linalg::YieldOp::create(b, loc, yielded);
      });
}

namespace {
struct JoinSteps : rondo::cpu::impl::JoinStepsBase<JoinSteps> {
  void runOnOperation() override {
    int64_t numSums = getTarget(getOperation()).registers / 2;
    SmallVector<scf::ForOp> loops;
    getOperation().walk([&](scf::ForOp loop) { loops.push_back(loop); });
    for (scf::ForOp loop : loops) {
      std::optional<int64_t> lower = getConstantIntValue(loop.getLowerBound()),
                             upper = getConstantIntValue(loop.getUpperBound()),
                             step = getConstantIntValue(loop.getStep());
      if (lower != 0 || step != 1 || !upper || *upper < 2 ||
          *upper > kMaxSteps || loop.getNumResults() > 0)
        continue;
      std::optional<Body> body = match(loop);
      if (body && succeeded(Joining(loop, *body, *upper, numSums).run()))
        ++numJoined;
    }
  }
};
} // namespace
