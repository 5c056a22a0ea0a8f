//===- OrderDots.cpp - Dots before what need not precede them -------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A list scheduler for the body of a loop. A warp issues one operation after
// the other; matrix units compute dots meanwhile, in the order in which they
// were begun. Of what can be issued without waiting, that goes first from which
// the most is left to do up to the end of the next step: so what one step hands
// to the next is computed first, and results are written while dots are under
// way.
//
//===----------------------------------------------------------------------===//

#include "dialects/Tile/IR/TileOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Transforms/RegionUtils.h"
#include "passes/GPU/Tile/Passes.h"

namespace rondo::tile {
#define GEN_PASS_DEF_ORDERDOTS
#include "passes/GPU/Tile/Passes.h.inc"
} // namespace rondo::tile

using namespace mlir;
using namespace rondo::tile;

namespace {

class BodyScheduler {
public:
  /// `groups`: of warps that share the registers.
  BodyScheduler(scf::ForOp loop, int64_t warps, int64_t groups)
      : body(*loop.getBody()), loop(loop), warps(warps),
        registers(std::min<int64_t>(160, 2048 / (warps * groups) - 40)) {}
  void run();

private:
  bool collect(bool late);
  bool hasIndependentDots();
  llvm::SetVector<int64_t> findEarlier(int64_t number);
  int64_t issueTime(Operation &op);
  int64_t matrixTime(Operation &op);
  void findHeights(ArrayRef<int64_t> ofYielded);
  int64_t schedule(SmallVectorImpl<Operation *> &order);
  int64_t mostRegisters(ArrayRef<Operation *> order);

  struct Node {
    Operation *op;
    int64_t issue, matrix; // cycles of the warp and of the matrix units
    SmallVector<int64_t> before, after;
    int64_t height = 0; // cycles from its start to the end
    int64_t left = 0;   // of `before`, in the schedule
    int64_t ready = 0;  // when what it reads has been computed
    int64_t latency() const { return issue + (matrix ? matrix + kLatency : 0); }
  };
  static constexpr int64_t kLatency = 40; // of dots, behind their products
  static constexpr int64_t kWait = 20;    // that are better than something else

  Block &body;
  scf::ForOp loop;
  int64_t warps;
  int64_t registers; // of a thread, that tiles may have
  SmallVector<Node> nodes;
};

/// About the instructions of a warp.
int64_t BodyScheduler::issueTime(Operation &op) {
  int64_t elements = 0; // of a thread
  auto add = [&](Value value) {
    if (auto type = dyn_cast<TileType>(value.getType()))
      elements =
          std::max(elements, type.getRows() * type.getColumns() / (32 * warps));
  };
  llvm::for_each(op.getOperands(), add);
  llvm::for_each(op.getResults(), add);
  if (auto map = dyn_cast<MapOp>(op)) {
    if (map.getInputs().empty())
      return 0;
    int64_t each = std::distance(map.getBody().front().begin(),
                                 map.getBody().front().end()) -
                   1;
    for (Value input : map.getInputs()) // unpacked
      each += cast<TileType>(input.getType()).getLayout() == Layout::Shared;
    return each * std::max<int64_t>(elements, 1);
  }
  if (isa<DotOp>(op))
    return 16;
  if (auto convert = dyn_cast<ConvertOp>(op))
    return convert.getType().getLayout() == Layout::Operand ? elements / 2
                                                            : elements;
  if (auto copy = dyn_cast<CopyOp>(op)) {
    BufferType type = copy.getBuffer().getType();
    return type.getRows() * type.getColumns() / (64 * warps) + 10;
  }
  if (isa<StoreOp>(op))
    return 2 * elements + 10;
  if (isa<ViewOp, TransposeOp>(op) ||
      !isa_and_nonnull<TileDialect>(op.getDialect()))
    return 1;
  return 4 * elements + 20;
}

int64_t BodyScheduler::matrixTime(Operation &op) {
  auto dot = dyn_cast<DotOp>(op);
  if (!dot)
    return 0;
  auto left = cast<TileType>(dot.getLeft().getType());
  // 2048 products a cycle.
  return left.getRows() * left.getColumns() * dot.getType().getColumns() / 2048;
}

/// Of a block.
static int64_t registersOf(Value value) {
  auto type = dyn_cast<TileType>(value.getType());
  if (!type)
    return 0;
  int64_t elements = type.getRows() * type.getColumns();
  switch (type.getLayout()) {
  case Layout::Accumulator:
    if (auto map = value.getDefiningOp<MapOp>(); map && map.getInputs().empty())
      return 0;
    return elements;
  case Layout::Operand:
    return elements / 2;
  default:
    return 0;
  }
}

/// Everything that reads the value, also what reads a tile that is only rounded
/// where it is read.
static bool isForwarding(MapOp map) {
  return isa<YieldOp>(map.getBody().front().front()) &&
         !map.getInputs().empty();
}
static void addReaders(Value value, SmallVectorImpl<Operation *> &readers) {
  for (Operation *user : value.getUsers()) {
    readers.push_back(user);
    auto map = dyn_cast<MapOp>(user);
    if (map && isForwarding(map))
      addReaders(map.getResult(), readers);
  }
}

/// Whether the operation may need shared memory besides its operands.
static bool usesShared(Operation &op) {
  if (auto convert = dyn_cast<ConvertOp>(op))
    return convert.getType().getLayout() != Layout::Operand;
  return isa_and_nonnull<TileDialect>(op.getDialect()) &&
         !isa<MapOp, DotOp, WaitOp>(op);
}

/// Whether nobody reads any more what a copy overwrites.
static bool isOrderedByRing(Operation &op) {
  auto copy = dyn_cast<CopyOp>(op);
  return copy && copy.getStage().getDefiningOp<AwaitOp>();
}

/// A node and what it waits for.
llvm::SetVector<int64_t> BodyScheduler::findEarlier(int64_t number) {
  llvm::SetVector<int64_t> earlier;
  earlier.insert(number);
  for (size_t i = 0; i < earlier.size(); ++i)
    earlier.insert_range(nodes[earlier[i]].before);
  return earlier;
}

/// False if dots have nothing to overlap with, or something is in the body
/// whose order is not understood. `late`: what is read from shared memory to
/// meet something else is read behind that.
bool BodyScheduler::collect(bool late) {
  nodes.clear();
  llvm::DenseMap<Operation *, int64_t> numberOf;
  // What is loaded for the next step, and what this step has of it.
  llvm::DenseMap<Operation *, Value> carried;
  for (auto [argument, value] :
       llvm::zip_equal(loop.getRegionIterArgs(), loop.getYieldedValues()))
    if (auto load = value.getDefiningOp<LoadOp>())
      carried[load] = argument;
  int64_t lastWait = -1, lastCopy = -1, lastMemory = -1;
  bool views = false;
  SmallVector<int64_t> reads;
  for (Operation &op : body.without_terminator()) {
    if (op.getNumRegions() && !isa<MapOp>(op))
      return false;
    int64_t number = nodes.size();
    Node node{&op, issueTime(op), matrixTime(op), {}, {}};
    auto depend = [&](int64_t on) {
      if (on >= 0 && !llvm::is_contained(node.before, on))
        node.before.push_back(on);
    };
    llvm::SetVector<Value> read(op.operand_begin(), op.operand_end());
    getUsedValuesDefinedAbove(op.getRegions(), read);
    for (Value value : read)
      if (Operation *source = value.getDefiningOp())
        if (auto known = numberOf.find(source); known != numberOf.end())
          depend(known->second);
    if (usesShared(op))
      depend(lastWait); // what the step before has there is read up to it
    if (isa<ViewOp>(op)) {
      // Of a stage that no copy of this step goes to.
      views = true;
    } else if (auto mark = dyn_cast<MarkOp>(op);
               mark && mark.getState() == RingState::Empty) {
      // What was seen is not used any more.
      for (int64_t each = 0; each < number; ++each)
        depend(each);
      lastMemory = number;
      reads.clear();
    } else if (isa<CopyOp, CommitOp, WaitOp>(op) && !isOrderedByRing(op)) {
      if (views)
        return false; // dots in flight may read what is copied over
      depend(lastWait);
      depend(lastCopy);
      (isa<WaitOp>(op) ? lastWait : lastCopy) = number;
    } else if (carried.contains(&op)) {
      // It has been taken in front of what the steps before store.
    } else if (isa<LoadOp>(op)) {
      depend(lastMemory);
      reads.push_back(number);
    } else if (!isMemoryEffectFree(&op)) {
      depend(lastMemory);
      llvm::for_each(reads, depend);
      reads.clear();
      lastMemory = number;
    }
    numberOf[&op] = number;
    nodes.push_back(std::move(node));
  }
  // What a step hands on has the registers of what it was handed: it is
  // computed behind all other uses of that.
  for (auto [argument, value] :
       llvm::zip_equal(loop.getRegionIterArgs(), loop.getYieldedValues())) {
    Operation *next = value.getDefiningOp();
    while (next && !isa<LoadOp>(next) &&
           !llvm::is_contained(next->getOperands(), argument)) {
      Operation *from = nullptr;
      for (Value operand : next->getOperands())
        if (operand.getType() == argument.getType())
          from = operand.getDefiningOp();
      next = from;
    }
    auto replaces = numberOf.find(next);
    if (!isa<TileType>(argument.getType()) || replaces == numberOf.end())
      continue;
    SmallVector<Operation *> readers;
    addReaders(argument, readers);
    for (Operation *reader : readers)
      if (auto known = numberOf.find(reader);
          known != numberOf.end() && known != replaces)
        nodes[replaces->second].before.push_back(known->second);
  }
  // The assembler lets nothing read sums of the step before while dots are in
  // flight.
  for (auto [argument, value] :
       llvm::zip_equal(loop.getRegionIterArgs(), loop.getYieldedValues())) {
    if (!value.getDefiningOp<DotOp>())
      continue;
    SmallVector<Operation *> readers;
    addReaders(argument, readers);
    for (Operation *reader : readers) {
      auto known = numberOf.find(reader);
      if (known == numberOf.end() || isa<DotOp>(reader))
        continue;
      llvm::SetVector<int64_t> earlier = findEarlier(known->second);
      for (auto [number, node] : llvm::enumerate(nodes))
        if (isa<DotOp>(node.op) && !earlier.contains(number))
          node.before.push_back(known->second);
    }
  }
  for (auto [number, node] : llvm::enumerate(nodes)) {
    auto map = dyn_cast<MapOp>(node.op);
    if (!late || !map || !map->hasOneUse() ||
        registersOf(map.getResult()) == 0 ||
        llvm::any_of(map.getInputs(), registersOf))
      continue;
    Operation *user = *map->user_begin();
    for (Value other : user->getOperands())
      if (auto known = numberOf.find(other.getDefiningOp());
          known != numberOf.end() && registersOf(other) && isa<MapOp>(user) &&
          other != map.getResult())
        node.before.push_back(known->second);
  }
  for (auto [number, node] : llvm::enumerate(nodes))
    for (int64_t on : node.before)
      nodes[on].after.push_back(number);
  return hasIndependentDots();
}

/// Whether something that takes a while neither needs a dot nor leads to it.
bool BodyScheduler::hasIndependentDots() {
  SmallVector<llvm::SetVector<int64_t>> earlier;
  for (size_t number = 0; number < nodes.size(); ++number)
    earlier.push_back(findEarlier(number));
  for (auto [number, node] : llvm::enumerate(nodes))
    for (auto [other, beside] : llvm::enumerate(nodes))
      if (isa<DotOp>(node.op) &&
          (isa<DotOp>(beside.op) || beside.issue >= kLatency) &&
          !earlier[number].contains(other) && !earlier[other].contains(number))
        return true;
  return false;
}

/// With what is left behind the end for each yielded value.
void BodyScheduler::findHeights(ArrayRef<int64_t> ofYielded) {
  auto yield = cast<scf::YieldOp>(body.getTerminator());
  for (Node &node : llvm::reverse(nodes)) {
    int64_t further = 0;
    for (int64_t user : node.after)
      further = std::max(further, nodes[user].height);
    for (auto [value, left] : llvm::zip_equal(yield.getOperands(), ofYielded))
      if (value.getDefiningOp() == node.op)
        further = std::max(further, left);
    node.height = further + node.latency();
  }
}

/// The cycles of a step in the order that heights lead to, and that order.
int64_t BodyScheduler::schedule(SmallVectorImpl<Operation *> &order) {
  SmallVector<int64_t> open;
  for (auto [number, node] : llvm::enumerate(nodes)) {
    node.left = node.before.size();
    node.ready = 0;
    if (!node.left)
      open.push_back(number);
  }
  int64_t now = 0, matrixFree = 0;
  while (!open.empty()) {
    int64_t first = nodes[open.front()].ready;
    for (int64_t number : open)
      first = std::min(first, nodes[number].ready);
    int64_t until = std::max(now, first) + kWait, chosen = -1;
    for (int64_t number : open)
      if (nodes[number].ready <= until &&
          (chosen < 0 || nodes[number].height > nodes[chosen].height ||
           (nodes[number].height == nodes[chosen].height && number < chosen)))
        chosen = number;
    llvm::erase(open, chosen);
    Node &node = nodes[chosen];
    now = std::max(now, node.ready) + node.issue;
    int64_t done = now;
    if (node.matrix) {
      matrixFree = std::max(matrixFree, now) + node.matrix;
      done = matrixFree + kLatency;
    }
    order.push_back(node.op);
    for (int64_t user : node.after) {
      nodes[user].ready = std::max(nodes[user].ready, done);
      if (--nodes[user].left == 0)
        open.push_back(user);
    }
  }
  return std::max(now, matrixFree);
}

/// Of tiles that are alive at a time.
int64_t BodyScheduler::mostRegisters(ArrayRef<Operation *> order) {
  llvm::DenseMap<Operation *, int64_t> numberOf;
  for (auto [number, op] : llvm::enumerate(order))
    numberOf[op] = number;
  int64_t end = order.size();
  auto placeOf = [&](Operation *op) {
    auto known = numberOf.find(op);
    return known == numberOf.end() ? end : known->second;
  };
  SmallVector<int64_t> alive(end + 1, 0);
  auto add = [&](Value value, int64_t from) {
    auto map = value.getDefiningOp<MapOp>();
    if (map && isForwarding(map))
      return;
    SmallVector<Operation *> readers;
    addReaders(value, readers);
    int64_t last = from;
    for (Operation *reader : readers) {
      int64_t read = placeOf(reader);
      auto dot = dyn_cast<DotOp>(reader);
      // In flight until its result is read, which has the sum's registers.
      if (dot && dot.getAccumulator() != value) {
        int64_t done = end;
        for (Operation *user : reader->getUsers())
          done = std::min(done, placeOf(user));
        read = done;
      }
      last = std::max(last, read);
    }
    for (int64_t at = from; at < last; ++at)
      alive[at] += registersOf(value) / (32 * warps);
  };
  for (Value argument : loop.getRegionIterArgs())
    add(argument, 0);
  for (auto [number, op] : llvm::enumerate(order))
    for (Value result : op->getResults())
      add(result, number);
  return *llvm::max_element(alive);
}

void BodyScheduler::run() {
  SmallVector<Operation *> best;
  int64_t bestTime = 0, bestMost = 0;
  auto consider = [&] {
    SmallVector<Operation *> order;
    int64_t time = schedule(order);
    if (order.size() != nodes.size())
      return; // something is handed on and used behind what it becomes
    int64_t most = std::max(mostRegisters(order), registers);
    if (!best.empty() &&
        std::make_pair(most, time) >= std::make_pair(bestMost, bestTime))
      return;
    std::swap(best, order);
    bestTime = time;
    bestMost = most;
  };
  for (bool late : {false, true}) {
    if (!collect(late))
      return;
    // First what is far from the end of the step, or what is far from the end
    // of the next step.
    SmallVector<int64_t> ofYielded(loop.getRegionIterArgs().size(), 0);
    findHeights(ofYielded);
    for (auto [argument, left] :
         llvm::zip_equal(loop.getRegionIterArgs(), ofYielded))
      for (const Node &node : nodes)
        if (llvm::is_contained(node.op->getOperands(), argument))
          left = std::max(left, node.height);
    consider();
    findHeights(ofYielded);
    consider();
  }
  for (Operation *op : best)
    op->moveBefore(body.getTerminator());
}

struct OrderDots : public rondo::tile::impl::OrderDotsBase<OrderDots> {
  void runOnOperation() override {
    auto warps = getOperation()->getAttrOfType<IntegerAttr>("tile.warps");
    auto groups = getOperation()->getAttrOfType<IntegerAttr>("tile.groups");
    if (!warps)
      return;
    getOperation().walk([&](scf::ForOp loop) {
      BodyScheduler(loop, warps.getInt(), groups ? groups.getInt() : 1).run();
    });
  }
};

} // namespace
