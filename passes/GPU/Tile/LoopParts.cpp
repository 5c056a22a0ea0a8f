//===- LoopParts.cpp - What a step computes, by what it waits for ---------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Transforms/RegionUtils.h"
#include "passes/GPU/Tile/Groups.h"

using namespace mlir;
using namespace rondo::tile;

LoopParts::LoopParts(scf::ForOp loop, int64_t memory) : loop(loop) {
  whyOne = classify();
  if (!whyOne)
    whyOne = chooseStages(memory);
  if (!whyOne)
    return;
  whyCopies = classifyCopies();
  if (!whyCopies)
    whyCopies = chooseStages(memory);
}

/// The groups that execute what reads an operation's results.
unsigned LoopParts::usersOf(Operation *op) {
  unsigned result = kNone;
  for (Operation *user : op->getUsers())
    result |= groupsOf(loop.getBody()->findAncestorOpInBlock(*user));
  return result;
}

bool rondo::tile::isMatrixScan(Operation *op) {
  auto scan = dyn_cast<ScanOp>(op);
  return scan && scan.getType().isMatrix();
}

bool rondo::tile::computes(scf::ForOp loop, Operation *op, bool isVector) {
  if (isa<DotOp, InvertOp, SegmentDotOp>(op) || isMatrixScan(op) ||
      (isVector && isa<ReduceOp, ScanOp, SegmentProductOp>(op)))
    return true;
  return llvm::any_of(op->getOperands(), [&](Value operand) {
    Operation *source = operand.getDefiningOp();
    return source && source->getBlock() == loop.getBody() &&
           computes(loop, source, isVector);
  });
}

/// Whether a tile can pass from group to group.
static bool canPass(Value value) {
  auto type = dyn_cast<TileType>(value.getType());
  return type && (type.isMatrix() ? type.getElementType().isBF16()
                                  : type.getElementType().isF32());
}

bool LoopParts::isHandedOn(Operation *op) {
  return op->getNumResults() == 1 && canPass(op->getResult(0)) &&
         computes(loop, op,
                  !cast<TileType>(op->getResult(0).getType()).isMatrix());
}

static bool isMatrix(Value value) {
  return cast<TileType>(value.getType()).isMatrix();
}

/// Whether the chain multiplies by a matrix that is computed from what is
/// loaded, and would wait for it: it has to be short.
bool LoopParts::isFactorOfChain(Operation *op) {
  return isa<MapOp>(op) && op->getNumOperands() && isMatrix(op->getResult(0)) &&
         canPass(op->getResult(0)) &&
         llvm::any_of(op->getUsers(), [&](Operation *user) {
           if (isa<TransposeOp>(user))
             return llvm::any_of(user->getUsers(), [&](Operation *each) {
               return isa<DotOp>(each) && groupsOf(each) & kChain;
             });
           return isa<DotOp>(user) && groupsOf(user) & kChain;
         });
}

/// Whether a map only rounds.
static bool isCast(Operation *op) {
  auto map = dyn_cast<MapOp>(op);
  return map && map.getInputs().size() == 1 &&
         isa<YieldOp>(map.getBody().front().front());
}

const char *LoopParts::whyNotCopied(LoadOp load) {
  TileType type = load.getType();
  if (!llvm::all_of(load->getOperands(),
                    [&](Value each) { return isEarly(loop, each); }))
    return "it loads from a place that is computed";
  if (!hasWords(load) && !(type.isMatrix() && type.getElementType().isBF16()))
    return "it loads something else than matrices of bf16 and vectors of f32";
  return nullptr;
}

const char *LoopParts::classify() {
  if (loop.getInitArgs().empty() || !matchPattern(loop.getStep(), m_One()))
    return "it carries nothing";
  for (Value init : loop.getInitArgs()) {
    auto type = dyn_cast<TileType>(init.getType());
    if (!type || !type.getElementType().isF32())
      return "it carries something else than tiles of f32";
  }
  Block *body = loop.getBody();
  auto yield = cast<scf::YieldOp>(body->getTerminator());

  // What depends on the states, and what leads to the next ones.
  llvm::DenseSet<Operation *> dependent, leading;
  for (Operation &op : body->without_terminator()) {
    if (op.getNumRegions() && !isa<MapOp>(op))
      return "there is a loop or a branch in a step";
    llvm::SetVector<Value> read(op.operand_begin(), op.operand_end());
    getUsedValuesDefinedAbove(op.getRegions(), read);
    for (Value value : read)
      if (llvm::is_contained(loop.getRegionIterArgs(), value) ||
          dependent.contains(value.getDefiningOp()))
        dependent.insert(&op);
  }
  for (Operation &op : llvm::reverse(body->without_terminator()))
    for (Operation *user : op.getUsers()) {
      Operation *inBody = body->findAncestorOpInBlock(*user);
      if (inBody == yield || leading.contains(inBody))
        leading.insert(&op);
    }
  bool chainHasDot = false, readersHaveDot = false, stores = false;
  for (Operation &op : llvm::reverse(body->without_terminator())) {
    unsigned users = usersOf(&op);
    if (isa<StoreOp>(op)) {
      groups[&op] = kReaders;
      stores = true;
    } else if (dependent.contains(&op)) {
      bool isChain = leading.contains(&op);
      // What is rounded for readers is handed on rounded.
      if (isCast(&op) && canPass(op.getResult(0))) {
        Value from = op.getOperand(0);
        isChain |= llvm::is_contained(loop.getRegionIterArgs(), from) ||
                   leading.contains(from.getDefiningOp());
      }
      groups[&op] = isChain ? kChain : kReaders;
      (isChain ? chainHasDot : readersHaveDot) |= isa<DotOp>(op);
      if (isChain && users & kReaders) {
        if (!canPass(op.getResult(0)))
          return "readers need a matrix of f32";
        fromChain[op.getResult(0)] = kReaders;
      }
    } else if (auto load = dyn_cast<LoadOp>(op)) {
      bool isInvariant = llvm::all_of(op.getOperands(), [&](Value each) {
        return loop.isDefinedOutsideOfLoop(each);
      });
      if (isInvariant && !load.getType().isMatrix()) {
        groups[&op] = users;
        continue;
      }
      if (const char *why = whyNotCopied(load))
        return why;
      loads[load] = users;
    } else if (users & (kChain | kReaders) &&
               (isHandedOn(&op) || isFactorOfChain(&op))) {
      groups[&op] = kAhead;
      fromAhead[op.getResult(0)] = users & (kChain | kReaders);
    } else {
      groups[&op] = users;
    }
  }
  for (Value state : loop.getRegionIterArgs())
    for (Operation *user : state.getUsers())
      if (groupsOf(body->findAncestorOpInBlock(*user)) & kReaders)
        return "readers need a matrix of f32";
  if (!chainHasDot)
    return "states are not products";
  hasReaders = stores;
  if (stores && !readersHaveDot)
    return "what is stored is no product of states";
  if (loads.empty())
    return "it loads nothing";
  // Else the chain takes as long as all of it did.
  if (stores && llvm::none_of(fromAhead, [&](auto &each) {
        return isMatrix(each.first) &&
               computes(loop, each.first.getDefiningOp(), /*isVector=*/false);
      }))
    return "there are no products ahead of the states";
  return nullptr;
}

/// Whether the next states hang on the operation.
bool LoopParts::leadsOn(Operation *op) {
  return llvm::any_of(op->getUsers(), [&](Operation *user) {
    return isa<scf::YieldOp>(user) ||
           (user->getBlock() == loop.getBody() && leadsOn(user));
  });
}

/// A group copies, the other one does the rest: where a step waits for products
/// one behind the other, it should wait for nothing else.
const char *LoopParts::classifyCopies() {
  groups.clear();
  fromAhead.clear();
  fromChain.clear();
  loads.clear();
  for (Copies &each : copies)
    each = Copies();
  hasReaders = false;
  // What the states lead to, and whether they are multiplied on the way to the
  // next ones.
  llvm::SetVector<Value> states(loop.getRegionIterArgs().begin(),
                                loop.getRegionIterArgs().end());
  bool isMultiplied = false;
  for (Operation &op : loop.getBody()->without_terminator()) {
    if (op.getNumRegions() && !isa<MapOp>(op))
      return "there is a loop or a branch in a step";
    groups[&op] = kChain;
    auto dot = dyn_cast<DotOp>(op);
    if (llvm::any_of(op.getOperands(),
                     [&](Value each) { return states.contains(each); })) {
      isMultiplied |= dot && leadsOn(dot) &&
                      (states.contains(dot.getLeft()) ||
                       states.contains(dot.getRight()));
      states.insert(op.result_begin(), op.result_end());
    }
    auto load = dyn_cast<LoadOp>(op);
    if (!load)
      continue;
    bool isInvariant = llvm::all_of(op.getOperands(), [&](Value each) {
      return loop.isDefinedOutsideOfLoop(each);
    });
    if (isInvariant && !load.getType().isMatrix())
      continue;
    if (const char *why = whyNotCopied(load))
      return why;
    groups.erase(&op);
    loads[load] = kChain;
  }
  if (!isMultiplied)
    return "states wait for no products";
  return loads.empty() ? "it loads nothing" : nullptr;
}

static int64_t bytesOf(Type type) {
  auto tile = cast<TileType>(type);
  return llvm::alignTo(tile.getRows() * tile.getColumns() *
                           tile.getElementType().getIntOrFloatBitWidth() / 8,
                       512);
}

/// Two groups copy, about as much each: the chain what readers don't look at,
/// and the readers or, where there are none, the first group.
void LoopParts::shareCopies() {
  copies[0].group = isCopied() ? kAhead : kChain;
  copies[1].group = hasReaders ? kReaders : kAhead;
  SmallVector<std::pair<LoadOp, unsigned>> order;
  for (auto each : loads)
    order.push_back(each);
  llvm::sort(order, [](auto &a, auto &b) {
    auto keyOf = [](auto &each) {
      return std::make_pair(each.second & kReaders,
                            -bytesOf(LoadOp(each.first).getType()));
    };
    auto first = keyOf(a), second = keyOf(b);
    return first != second ? first < second
                           : LoadOp(a.first)->isBeforeInBlock(b.first);
  });
  for (auto &[load, users] : order) {
    Copies &least = copies[copies[0].bytes > copies[1].bytes];
    bool isFree = users & kReaders || (!hasReaders && !isCopied());
    Copies &here = isFree ? least : copies[0];
    here.loads.push_back(load);
    here.bytes += bytesOf(load.getType());
  }
}

const char *LoopParts::chooseStages(int64_t memory) {
  constexpr int64_t kBesides = 18 << 10; // the buffers, about
  int64_t left = (isForTwoBlocks() ? memory / 2 : memory) - kBesides;
  for (auto &handed : {fromAhead, fromChain})
    for (auto [value, users] : handed)
      left -= 2 * bytesOf(value.getType());
  shareCopies();
  for (Copies &each : copies)
    left -= each.stages * each.bytes;
  if (left < 0)
    return "buffers between groups don't fit";
  for (int64_t stages = 3; stages <= 4; ++stages)
    for (Copies &each : llvm::reverse(copies))
      if (left >= each.bytes) {
        each.stages = stages;
        left -= each.bytes;
      }
  return nullptr;
}
