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

/// Whether a map only rounds.
static bool isCast(Operation *op) {
  auto map = dyn_cast<MapOp>(op);
  return map && map.getInputs().size() == 1 &&
         isa<YieldOp>(map.getBody().front().front());
}

const char *LoopParts::classify() {
  if (loop.getInitArgs().empty() || !matchPattern(loop.getStep(), m_One()))
    return "it carries nothing";
  for (Value init : loop.getInitArgs()) {
    auto type = dyn_cast<TileType>(init.getType());
    if (!type || !type.isMatrix())
      return "it carries something else than matrices";
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
      TileType type = load.getType();
      if (isInvariant && !type.isMatrix()) {
        groups[&op] = users;
        continue;
      }
      if (!llvm::all_of(op.getOperands(),
                        [&](Value each) { return isEarly(loop, each); }))
        return "it loads from a place that is computed";
      if (!type.isMatrix() || !type.getElementType().isBF16())
        return "it loads something else than matrices of bf16";
      loads[&op] = users;
    } else if (users & (kChain | kReaders) && isHandedOn(&op)) {
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
  if (!readersHaveDot || !stores)
    return "nothing reads the states";
  // Else the chain takes as long as all of it did.
  if (llvm::none_of(fromAhead, [](auto &each) {
        return cast<TileType>(each.first.getType()).isMatrix();
      }))
    return "there are no products ahead of the states";
  return loads.empty() ? "it loads nothing" : nullptr;
}

static int64_t bytesOf(Type type) {
  auto tile = cast<TileType>(type);
  return llvm::alignTo(tile.getRows() * tile.getColumns() *
                           tile.getElementType().getIntOrFloatBitWidth() / 8,
                       512);
}

const char *LoopParts::chooseStages(int64_t memory) {
  constexpr int64_t kBesides = 18 << 10; // the buffers, about
  int64_t passing = 0, copied = 0;
  for (auto &handed : {fromAhead, fromChain})
    for (auto [value, users] : handed)
      passing += 2 * bytesOf(value.getType());
  for (auto [load, users] : loads)
    copied += bytesOf(load->getResult(0).getType());
  stages = std::min<int64_t>((memory - kBesides - passing) / copied, 4);
  return stages < 2 ? "buffers between groups don't fit" : nullptr;
}
