//===- InterleaveChains.cpp - Order independent chains side by side -------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The expansion of a function is a chain of some 20 operations, each of which
// waits for the one before. A processor overlaps chains, but only those that
// are within some 100 operations of one another: one whole chain after the
// other leaves its units idle. So the operations of a block are ordered by how
// deep they stand in their chains, as long as there are registers for what is
// live; beyond that, what frees registers comes first.
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "passes/CPU/Passes.h"
#include "passes/CPU/Target.h"
#include <set>

namespace rondo::cpu {
#define GEN_PASS_DEF_INTERLEAVECHAINS
#include "passes/CPU/Passes.h.inc"
} // namespace rondo::cpu

using namespace mlir;
using namespace rondo;
using namespace rondo::cpu;

namespace {
/// The order of one block.
class Scheduler {
public:
  Scheduler(Block &block, unsigned registers)
      : block(block), registers(registers) {}
  void run();

private:
  struct Node {
    Operation *op;
    unsigned level = 0, numWaiting = 0, numUses = 0;
    SmallVector<unsigned> operands, followers;
  };
  void build();
  void addEdge(unsigned from, unsigned to);
  int getFreed(unsigned node) const;
  unsigned choose();

  Block &block;
  unsigned registers;
  SmallVector<Node> nodes;
  std::set<std::pair<unsigned, unsigned>> ready; // level, number
  unsigned numLive = 0;
};
} // namespace

static bool isVector(Operation *op) {
  return op->getNumResults() == 1 &&
         isa<VectorType>(op->getResult(0).getType());
}

void Scheduler::addEdge(unsigned from, unsigned to) {
  nodes[from].followers.push_back(to);
  ++nodes[to].numWaiting;
  nodes[to].level = std::max(nodes[to].level, nodes[from].level + 1);
}

void Scheduler::build() {
  DenseMap<Operation *, unsigned> numbers;
  SmallVector<unsigned> readers; // since the last writer
  std::optional<unsigned> writer;
  for (Operation &op : block.without_terminator()) {
    unsigned number = nodes.size();
    numbers[&op] = number;
    nodes.emplace_back();
    nodes[number].op = &op;
    llvm::SmallDenseSet<unsigned> before;
    auto visit = [&](Value value) {
      Operation *def = value.getDefiningOp();
      def = def ? block.findAncestorOpInBlock(*def) : nullptr;
      auto it = def && def != &op ? numbers.find(def) : numbers.end();
      if (it != numbers.end())
        before.insert(it->second);
    };
    op.walk(
        [&](Operation *inner) { llvm::for_each(inner->getOperands(), visit); });
    for (unsigned operand : before) {
      addEdge(operand, number);
      if (isVector(nodes[operand].op)) {
        nodes[number].operands.push_back(operand);
        ++nodes[operand].numUses;
      }
    }
    if (isPure(&op))
      continue;
    // Reads among themselves have no order.
    bool onlyReads = hasSingleEffect<MemoryEffects::Read>(&op);
    if (writer)
      addEdge(*writer, number);
    if (onlyReads) {
      readers.push_back(number);
      continue;
    }
    for (unsigned reader : readers)
      addEdge(reader, number);
    readers.clear();
    writer = number;
  }
}

/// Registers that a node frees, less the one that it takes.
int Scheduler::getFreed(unsigned number) const {
  const Node &node = nodes[number];
  int freed = -int(isVector(node.op));
  for (unsigned operand : node.operands)
    freed += nodes[operand].numUses == 1;
  return freed;
}

unsigned Scheduler::choose() {
  if (numLive + 1 < registers)
    return ready.begin()->second;
  unsigned best = ready.begin()->second;
  int bestFreed = std::numeric_limits<int>::min();
  for (auto [level, number] : ready) {
    int freed = getFreed(number);
    // Of equal ones the deepest: it ends a chain.
    if (freed < bestFreed)
      continue;
    bestFreed = freed;
    best = number;
  }
  return best;
}

void Scheduler::run() {
  build();
  for (auto [number, node] : llvm::enumerate(nodes))
    if (node.numWaiting == 0)
      ready.insert({node.level, number});
  Operation *end = block.getTerminator();
  while (!ready.empty()) {
    unsigned number = choose();
    Node &node = nodes[number];
    ready.erase({node.level, number});
    numLive -= getFreed(number);
    for (unsigned operand : node.operands)
      --nodes[operand].numUses;
    node.op->moveBefore(end);
    for (unsigned follower : node.followers)
      if (--nodes[follower].numWaiting == 0)
        ready.insert({nodes[follower].level, follower});
  }
}

namespace {
class InterleaveChains
    : public rondo::cpu::impl::InterleaveChainsBase<InterleaveChains> {
public:
  void runOnOperation() override {
    unsigned registers = getTarget(getOperation()).registers;
    getOperation().walk([&](scf::ForOp loop) {
      Block &block = *loop.getBody();
      // Loops that carry values are reductions, in an order of their own.
      bool isInnermost = llvm::none_of(
          block, [](Operation &op) { return op.getNumRegions() > 0; });
      if (!isInnermost || loop.getNumRegionIterArgs() > 0 ||
          llvm::none_of(block, isVectorOp))
        return;
      Scheduler(block, registers).run();
      ++numBlocks;
    });
  }

private:
  static bool isVectorOp(Operation &op) { return isVector(&op); }
};
} // namespace
