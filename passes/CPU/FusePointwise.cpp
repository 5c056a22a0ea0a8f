//===- FusePointwise.cpp - One loop for what a step computes by points ----===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Within a step of a loop over time, buffers are disjoint unless they are one
// value; so are arguments (the caller's are checked). Two neighbours of one
// iteration space are computed together when each element that one of them
// writes and the other touches is that of the same point.
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "passes/CPU/Buffers.h"
#include "passes/CPU/Passes.h"

namespace rondo::cpu {
#define GEN_PASS_DEF_FUSEPOINTWISE
#include "passes/CPU/Passes.h.inc"
} // namespace rondo::cpu

using namespace mlir;
using namespace rondo;
using namespace rondo::cpu;

/// Fused bodies have at most so many operands: each is a stream of addresses.
static constexpr unsigned kMaxOperands = 20;

/// Whether the op computes every point of its results by itself.
static bool isPointwise(linalg::GenericOp op) {
  if (op.getNumReductionLoops() > 0 || op.getNumLoops() == 0)
    return false;
  for (OpOperand &init : op.getDpsInitsMutable())
    if (!op.getMatchingIndexingMap(&init).isIdentity())
      return false;
  for (OpOperand *input : op.getDpsInputOperands())
    if (!op.getMatchingIndexingMap(input).isProjectedPermutation() ||
        !llvm::is_sorted(op.getMatchingIndexingMap(input).getResults(),
                         [](AffineExpr a, AffineExpr b) {
                           return cast<AffineDimExpr>(a).getPosition() <
                                  cast<AffineDimExpr>(b).getPosition();
                         }))
      return false;
  // Nothing in a body depends on the order of points.
  return !op.getBody()
              ->walk([](Operation *inner) {
                return isa<linalg::YieldOp>(inner) || isPure(inner)
                           ? WalkResult::advance()
                           : WalkResult::interrupt();
              })
              .wasInterrupted();
}

static bool haveSameSpace(linalg::GenericOp a, linalg::GenericOp b) {
  if (a.getNumLoops() != b.getNumLoops())
    return false;
  SmallVector<OpFoldResult> first = getShape(a.getOutputs()[0]);
  return !llvm::is_contained(first, OpFoldResult()) &&
         first == getShape(b.getOutputs()[0]);
}

/// Whether what `writer` writes and `other` touches are the same points.
static bool isAtSamePoint(linalg::GenericOp writer, linalg::GenericOp other) {
  for (Value written : writer.getOutputs())
    for (OpOperand &operand : other->getOpOperands()) {
      if (!isa<MemRefType>(operand.get().getType()) ||
          !mayOverlap(operand.get(), written))
        continue;
      if (other.isDpsInit(&operand) || operand.get() != written ||
          !other.getMatchingIndexingMap(&operand).isIdentity())
        return false;
    }
  return true;
}

/// Whether `first` can move down to `second`, its next neighbour.
static bool canMove(linalg::GenericOp first, linalg::GenericOp second) {
  for (Operation *op = first->getNextNode(); op != second;
       op = op->getNextNode()) {
    if (isPure(op))
      continue;
    auto load = dyn_cast<memref::LoadOp>(op);
    if (!load || llvm::any_of(first.getOutputs(), [&](Value written) {
          return mayOverlap(written, load.getMemRef());
        }))
      return false;
  }
  return true;
}

namespace {
/// Builds the op that does the work of two.
class Fusion {
public:
  Fusion(linalg::GenericOp first, linalg::GenericOp second)
      : first(first), second(second) {}
  linalg::GenericOp run();

private:
  void addInput(linalg::GenericOp op, OpOperand *operand);

  linalg::GenericOp first, second;
  SmallVector<Value> inputs, outputs;
  SmallVector<AffineMap> maps;
  /// The new input behind an argument of the old bodies, or the output of
  /// `first` behind one of `second`.
  DenseMap<Value, unsigned> inputOf, forwarded;
};
} // namespace

void Fusion::addInput(linalg::GenericOp op, OpOperand *operand) {
  BlockArgument argument = op.getMatchingBlockArgument(operand);
  AffineMap map = op.getMatchingIndexingMap(operand);
  if (op == second) {
    auto written = llvm::find(first.getOutputs(), operand->get());
    if (written != first.getOutputs().end()) {
      forwarded[argument] = written - first.getOutputs().begin();
      return;
    }
  }
  unsigned number = 0;
  while (number < inputs.size() &&
         (inputs[number] != operand->get() || maps[number] != map))
    ++number;
  if (number == inputs.size()) {
    inputs.push_back(operand->get());
    maps.push_back(map);
  }
  inputOf[argument] = number;
}

linalg::GenericOp Fusion::run() {
  for (linalg::GenericOp op : {first, second})
    for (OpOperand *operand : op.getDpsInputOperands())
      addInput(op, operand);
  for (linalg::GenericOp op : {first, second})
    for (OpOperand &operand : op.getDpsInitsMutable()) {
      outputs.push_back(operand.get());
      maps.push_back(op.getMatchingIndexingMap(&operand));
    }
  OpBuilder builder(second);
  Location loc = builder.getFusedLoc({first.getLoc(), second.getLoc()});
  auto build = [&](OpBuilder &b, Location, ValueRange arguments) {
    SmallVector<Value> yielded;
    unsigned nextOutput = inputs.size();
    for (linalg::GenericOp op : {first, second}) {
      IRMapping map;
      for (OpOperand *operand : op.getDpsInputOperands()) {
        Value argument = op.getMatchingBlockArgument(operand);
        auto other = forwarded.find(argument);
        map.map(argument, other != forwarded.end()
                              ? yielded[other->second]
                              : arguments[inputOf.lookup(argument)]);
      }
      for (OpOperand &operand : op.getDpsInitsMutable())
        map.map(op.getMatchingBlockArgument(&operand), arguments[nextOutput++]);
      for (Operation &inner : op.getBody()->without_terminator())
        b.clone(inner, map);
      for (Value value : op.getBody()->getTerminator()->getOperands())
        yielded.push_back(map.lookupOrDefault(value));
    }
    linalg::YieldOp::create(b, loc, yielded);
  };
  auto fused = linalg::GenericOp::create(
      builder, loc, inputs, outputs, maps,
      SmallVector<utils::IteratorType>(first.getNumLoops(),
                                       utils::IteratorType::parallel),
      build);
  first.erase();
  second.erase();
  return fused;
}

/// Whether nothing reads a buffer: it is only written, by one op.
static bool isNeverRead(Value buffer, linalg::GenericOp writer) {
  for (OpOperand &use : buffer.getUses()) {
    Operation *user = use.getOwner();
    if (isa<memref::SubViewOp>(user)) {
      if (!isNeverRead(user->getResult(0), writer))
        return false;
      continue;
    }
    if (user != writer || !writer.isDpsInit(&use) ||
        !writer.getMatchingBlockArgument(&use).use_empty())
      return false;
  }
  return true;
}

/// Drops results that live on in the body only.
static linalg::GenericOp dropUnread(linalg::GenericOp op) {
  SmallVector<unsigned> kept;
  for (auto [i, output] : llvm::enumerate(op.getOutputs())) {
    SmallVector<Value> roots;
    collectRoots(output, roots);
    if (roots.size() > 1 || !roots[0].getDefiningOp<memref::ViewOp>() ||
        !isNeverRead(roots[0], op))
      kept.push_back(i);
  }
  if (kept.size() == op.getOutputs().size() || kept.empty())
    return op;
  OpBuilder builder(op);
  SmallVector<Value> outputs;
  SmallVector<AffineMap> maps(op.getIndexingMapsArray());
  maps.resize(op.getInputs().size());
  for (unsigned i : kept) {
    outputs.push_back(op.getOutputs()[i]);
    maps.push_back(builder.getMultiDimIdentityMap(op.getNumLoops()));
  }
  auto result = linalg::GenericOp::create(
      builder, op.getLoc(), op.getInputs(), outputs, maps,
      op.getIteratorTypesArray(),
      [&](OpBuilder &b, Location loc, ValueRange arguments) {
        IRMapping map;
        unsigned numInputs = op.getInputs().size();
        map.map(op.getBody()->getArguments().take_front(numInputs),
                arguments.take_front(numInputs));
        for (auto [n, i] : llvm::enumerate(kept))
          map.map(op.getBody()->getArgument(numInputs + i),
                  arguments[numInputs + n]);
        for (Operation &inner : op.getBody()->without_terminator())
          b.clone(inner, map);
        SmallVector<Value> yielded;
        for (unsigned i : kept)
          yielded.push_back(map.lookupOrDefault(
              op.getBody()->getTerminator()->getOperand(i)));
        linalg::YieldOp::create(b, loc, yielded);
      });
  op.erase();
  return result;
}

namespace {
class FusePointwise
    : public rondo::cpu::impl::FusePointwiseBase<FusePointwise> {
public:
  void runOnOperation() override {
    SmallVector<Block *> blocks;
    getOperation().walk([&](scf::ForOp loop) {
      if (loop->hasAttr("rondo.steps"))
        blocks.push_back(loop.getBody());
    });
    for (Block *block : blocks)
      fuse(*block);
  }

private:
  void fuse(Block &block);
};
} // namespace

void FusePointwise::fuse(Block &block) {
  linalg::GenericOp last;
  for (Operation &op : llvm::make_early_inc_range(block)) {
    auto generic = dyn_cast<linalg::GenericOp>(op);
    if (!generic)
      continue;
    if (!isPointwise(generic)) {
      last = {};
      continue;
    }
    bool fits =
        last && haveSameSpace(last, generic) && canMove(last, generic) &&
        isAtSamePoint(last, generic) && isAtSamePoint(generic, last) &&
        last->getNumOperands() + generic->getNumOperands() <= kMaxOperands;
    if (!fits) {
      last = generic;
      continue;
    }
    last = dropUnread(Fusion(last, generic).run());
    ++numFused;
  }
}
