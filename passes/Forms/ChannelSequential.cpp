//===- ChannelSequential.cpp - Channels step by step ----------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Steps come in blocks. What the next block reads is loaded before the steps of
// this one are computed, and waits in registers. Where several threads share a
// channel, reads that do not depend on both the channel and the private point
// go through shared memory: the block loads them together, side by side in
// memory and converted once, into one of two buffers.
//
// A sum over private points is a sum over a thread's points, then over lanes.
// For as many steps as there are lanes, halves are exchanged, so that in the
// end every lane has the whole sum of one step, and computes and stores the
// results of that step.
//
//===----------------------------------------------------------------------===//

#include "passes/Algebra/Linear.h"
#include "passes/Forms/ChannelEmitter.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::algebra;

using Values = ChannelEmitter::Values;

/// How many steps before they are loaded arguments are brought into the
/// second-level cache: a block of steps takes less time than memory.
static constexpr int64_t stepsAhead = 32;

/// What a thread brings into the tiles.
std::vector<ChannelEmitter::TileLoad> ChannelEmitter::planTiles() {
  std::vector<TileLoad> loads;
  int64_t threads = p.channels * p.lanes;
  Value thread = mlir::gpu::ThreadIdOp::create(b, mlir::gpu::Dimension::x);
  for (auto [number, tile] : llvm::enumerate(tiles)) {
    int64_t elements = p.steps * tile.width;
    int64_t count = llvm::divideCeil(elements, threads);
    for (int64_t i = 0; i < count; ++i) {
      TileLoad load;
      load.tile = number;
      if (threads % tile.width == 0) {
        // The same column, some steps further on.
        load.u = add(div(thread, constant(tile.width)),
                     constant(i * (threads / tile.width)));
        load.column = rem(thread, constant(tile.width));
      } else {
        Value element = add(thread, constant(i * threads));
        load.u = div(element, constant(tile.width));
        load.column = rem(element, constant(tile.width));
      }
      if ((i + 1) * threads > elements)
        load.isInside = less(load.u, constant(p.steps));
      // Nothing of the thread's own channel.
      load.scope = std::make_unique<Scope>();
      for (Expr index : ArrayRef(s.indices).take_front(s.numBatch))
        load.scope->values[index] = base.lookup(index);
      Value columns = tile.isOfChannel ? numChannels : constant(s.numPrivate);
      Value at =
          tile.isOfChannel ? add(firstChannel, load.column) : load.column;
      at = arith::MinSIOp::create(b, at, sub(columns, constant(1)));
      unravel(at, dimsOf(!tile.isOfChannel), *load.scope);
      loads.push_back(std::move(load));
    }
  }
  return loads;
}

/// Appends what is loaded as it is at step `u` from `first` on.
void ChannelEmitter::emitDirect(Value first, int64_t u, bool isWhole,
                                SmallVectorImpl<Value> &raws) {
  if (direct.empty())
    return;
  Scope common(base);
  common.values[s.time] = timeOf(add(first, constant(u)), isWhole);
  for (auto [read, point] : direct) {
    Scope scope(common);
    if (point >= 0)
      for (unsigned dim : dimsOf(/*isPrivate=*/true)) {
        Expr index = s.indices[s.numBatch + dim];
        scope.values[index] = basePoints[point].lookup(index);
      }
    raws.push_back(emitRaw(read, scope));
  }
}

/// Values as they lie in memory for the block of steps from `first` on: of the
/// tiles, then of `direct` by step. Times that are surely inside (`isWhole`)
/// need no bounds, and addresses differ by constant strides.
SmallVector<Value> ChannelEmitter::emitLoads(ArrayRef<TileLoad> loads,
                                             Value first, bool isWhole) {
  SmallVector<Value> raws;
  for (const TileLoad &load : loads) {
    Scope scope(*load.scope);
    // Threads beyond the tile load its first step.
    Value u =
        load.isInside ? select(load.isInside, load.u, constant(0)) : load.u;
    scope.values[s.time] = timeOf(add(first, u), isWhole);
    raws.push_back(emitRaw(tiles[load.tile].read, scope));
  }
  for (int64_t u = 0; u < p.steps; ++u)
    emitDirect(first, u, isWhole, raws);
  return raws;
}

/// Brings arguments of the block of steps from `first` on into the second-level
/// cache, by sectors of 32 bytes: the thread with this `number` of as many as
/// there are `threads` has one, or some.
void ChannelEmitter::emitPrefetch(Value first, Value number, int64_t threads) {
  for (Expr read : reads) {
    Type element = getRawType(read);
    bool ofChannel = dependsOnChannel(read), ofPoint = dependsOnPrivate(read);
    if (!element || !element.isIntOrFloat() || (ofChannel && ofPoint))
      continue;
    int64_t elements = ofChannel ? p.channels : ofPoint ? s.numPrivate : 1;
    int64_t width = std::min<int64_t>(
        elements, 256 / llvm::PowerOf2Ceil(std::max(
                            8u, element.getIntOrFloatBitWidth())));
    int64_t sectors = llvm::divideCeil(elements, width);
    int64_t count = p.steps * sectors;
    for (int64_t i = 0; i < count; i += threads) {
      Value place = add(number, constant(i));
      Scope scope;
      for (Expr index : ArrayRef(s.indices).take_front(s.numBatch))
        scope.values[index] = base.lookup(index);
      Value at = mul(rem(place, constant(sectors)), constant(width));
      if (ofChannel)
        at = add(firstChannel, at);
      Value extent = ofChannel ? numChannels : constant(elements);
      at = arith::MinSIOp::create(b, at, sub(extent, constant(1)));
      unravel(at, dimsOf(/*isPrivate=*/!ofChannel), scope);
      scope.values[s.time] = timeOf(add(first, div(place, constant(sectors))));
      Value isThere =
          i + threads > count ? less(place, constant(count)) : Value();
      emitIf(isThere, [&] {
        memref::PrefetchOp::create(b, getTensor(read),
                                   emitSubscripts(read, scope),
                                   /*isWrite=*/false, /*localityHint=*/2,
                                   /*isDataCache=*/true);
      });
    }
  }
}

void ChannelEmitter::storeTiles(ArrayRef<TileLoad> loads, ArrayRef<Value> raws,
                                Value first, Value buffer) {
  for (auto [load, raw] : llvm::zip(loads, raws)) {
    const Tile &tile = tiles[load.tile];
    Scope scope(*load.scope);
    scope.values[s.time] = timeOf(add(first, load.u));
    Value value = finishRead(tile.read, raw, scope);
    Value place[] = {buffer, load.u, load.column};
    emitIf(load.isInside, [&, &memory = tile.memory] {
      memref::StoreOp::create(b, value, memory, place);
    });
  }
}

void ChannelEmitter::bindRaws(Step &step, ArrayRef<Value> raws) {
  for (auto [each, raw] : llvm::zip_equal(direct, raws)) {
    Scope &scope = each.second < 0 ? step.scope : step.points[each.second];
    scope.values[each.first] = finishRead(each.first, raw, scope);
  }
}

/// What the tiles hold for step `u` of the block.
void ChannelEmitter::bindBlock(Step &step, Value u, Value buffer) {
  for (const Tile &tile : tiles) {
    auto at = [&](Value column) -> Value {
      return memref::LoadOp::create(b, tile.memory,
                                    ValueRange{buffer, u, column});
    };
    if (tile.isOfChannel)
      step.scope.values[tile.read] = at(channelInBlock);
    else if (tile.width == 1)
      step.scope.values[tile.read] = at(constant(0));
    else
      for (auto [j, point] : llvm::enumerate(step.points))
        point.values[tile.read] =
            at(add(mul(lane, constant(numPoints)), constant(j)));
  }
}

/// `partial` is [u][sum]: of the thread's points.
void ChannelEmitter::emitSums(Value first, Value buffer, bool isWhole,
                              ArrayRef<SmallVector<Value>> partial) {
  SmallVector<Step *> own;
  for (int64_t u = 0; u < p.steps; u += p.lanes) {
    Step &step = emitStep(add(add(first, constant(u)), lane), isWhole);
    bindBlock(step, add(constant(u), lane), buffer);
    for (auto [number, sum] : llvm::enumerate(s.sums)) {
      SmallVector<Value> values;
      for (int64_t i = 0; i < p.lanes; ++i)
        values.push_back(partial[u + i][number]);
      for (int64_t half = p.lanes / 2; half > 0; half /= 2) {
        Value isUpper = arith::CmpIOp::create(
            b, arith::CmpIPredicate::ne,
            arith::AndIOp::create(b, lane, constant(half)), constant(0));
        for (int64_t i = 0; i < half; ++i) {
          Value keep = select(isUpper, values[i + half], values[i]);
          Value give = select(isUpper, values[i], values[i + half]);
          Value got =
              mlir::gpu::ShuffleOp::create(b, give, static_cast<int32_t>(half),
                                           32, mlir::gpu::ShuffleMode::XOR)
                  .getShuffleResult();
          values[i] = emitCombined(sum.combiner, keep, got);
        }
      }
      step.scope.values[sum.marker] = values[0];
    }
    own.push_back(&step);
  }
  emitNarrow(own);
}

Values ChannelEmitter::emitBlock(Value first, Value buffer,
                                 ArrayRef<Value> raws, bool isWhole,
                                 ValueRange before) {
  Values states(before);
  SmallVector<SmallVector<Value>> partial;
  bool hasNarrow = llvm::any_of(
      s.results, [](const auto &result) { return !result.isWide; });
  for (int64_t u = 0; u < p.steps; ++u) {
    Step &step = emitStep(add(first, constant(u)), isWhole);
    bindRaws(step, raws.slice(u * direct.size(), direct.size()));
    bindBlock(step, constant(u), buffer);
    Values now = emitNew(step, states);
    bindStates(step, states, now);
    states = now;
    emitWide(step);
    SmallVector<Value> sums;
    for (const ChannelStructure::Sum &sum : s.sums) {
      Value total;
      for (auto [j, point] : llvm::enumerate(step.points)) {
        Value element = emit(sum.body, point);
        Value isThere = isPoint[j];
        if (sum.filter)
          isThere = both(isThere, emit(sum.filter, point));
        if (isThere)
          element = select(isThere, element, emitIdentity(sum.combiner));
        total = total ? emitCombined(sum.combiner, total, element) : element;
      }
      sums.push_back(total);
    }
    partial.push_back(sums);
  }
  if (hasNarrow)
    emitSums(first, buffer, isWhole, partial);
  return states;
}

/// `count` steps from `first` on: blocks whose next one is whole, too (unless
/// there is no code of their own for them), then the rest with bounds.
Values ChannelEmitter::emitSteps(Value first, Value count, ValueRange states,
                                 bool hasWhole) {
  Value size = constant(p.steps), zero = constant(0), one = constant(1);
  Value thread = mlir::gpu::ThreadIdOp::create(b, mlir::gpu::Dimension::x);
  std::vector<TileLoad> loads = planTiles();
  size_t numLoads = loads.size();
  unsigned numStates = states.size();
  auto fill = [&](ArrayRef<Value> raws, Value from, Value buffer) {
    if (tiles.empty())
      return;
    storeTiles(loads, raws, from, buffer);
    barrier();
  };
  SmallVector<Value> raws = emitLoads(loads, first, /*isWhole=*/false);
  fill(raws, first, zero);
  Values carried(states);
  llvm::append_range(carried, ArrayRef(raws).drop_front(numLoads));
  Value whole = hasWhole ? arith::MaxSIOp::create(
                               b, sub(div(count, size), one), zero)
                         : zero;
  Value blocks = div(add(count, constant(p.steps - 1)), size);
  for (bool isWhole : {true, false}) {
    if (isWhole && !hasWhole)
      continue;
    auto loop = scf::ForOp::create(b, isWhole ? zero : whole,
                                   isWhole ? whole : blocks, one, carried);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Value block = loop.getInductionVar();
    Value here = add(first, mul(block, size)), next = add(here, size);
    SmallVector<Value> later = emitLoads(loads, next, isWhole);
    if (isWhole)
      emitPrefetch(add(next, constant(stepsAhead)), thread,
                   p.channels * p.lanes);
    Values held(loop.getRegionIterArgs());
    Value parity = rem(block, constant(2));
    Values now = emitBlock(here, parity, ArrayRef(held).drop_front(numStates),
                           isWhole, ArrayRef(held).take_front(numStates));
    fill(later, next, sub(one, parity));
    llvm::append_range(now, ArrayRef(later).drop_front(numLoads));
    scf::YieldOp::create(b, now);
    carried.assign(loop.getResults().begin(), loop.getResults().end());
  }
  carried.resize(numStates);
  return carried;
}

/// The product with what lanes and steps share multiplied first, and
/// exponentials as powers of two, whose factor joins the product:
///   exp(dt[t, d] * A[d, n]) -> exp2(dt[t, d] * (log2(e) * A[d, n]))
///   dt[t, d] * b[t, n] * x[t, d] -> (dt[t, d] * x[t, d]) * b[t, n]
Expr ChannelEmitter::arrange(Expr expr) {
  if (Expr known = arranged.lookup(expr))
    return known;
  Expr result = expr;
  auto isProduct = [](Expr node) { return node->isOp("arith.mulf"); };
  if (expr->isOp("math.exp") && expr->type.isF32()) {
    Expr power = context.mul(context.real(1.4426950408889634, expr->type),
                             expr->args[0]);
    result = context.apply("math.exp2", {arrange(power)}, expr->type,
                           expr->attributes);
  } else if (isProduct(expr)) {
    SmallVector<Expr> work{expr}, factors;
    while (!work.empty()) {
      Expr factor = work.pop_back_val();
      if (isProduct(factor))
        llvm::append_range(work, llvm::reverse(factor->args));
      else
        factors.push_back(arrange(factor));
    }
    auto rank = [&](Expr factor) {
      if (contains(factor, [&](Expr node) { return isState(node); }))
        return 4;
      bool ofTime = dependsOnTime(factor), ofPoint = dependsOnPrivate(factor);
      if (!ofTime)
        return 0;
      return !ofPoint ? 1 : !dependsOnChannel(factor) ? 2 : 3;
    };
    result = nullptr;
    for (int each = 0; each <= 4; ++each) {
      Expr product = nullptr;
      for (Expr factor : factors)
        if (rank(factor) == each)
          product = product ? context.mul(product, factor) : factor;
      if (product)
        result = result ? context.mul(result, product) : product;
    }
  } else if (expr->kind == Kind::Apply) {
    SmallVector<Expr> args;
    for (Expr arg : expr->args)
      args.push_back(arrange(arg));
    result =
        context.apply(expr->op.getValue(), args, expr->type, expr->attributes);
  }
  return arranged[expr] = result;
}

/// Which reads go through shared memory, as long as there is some.
void ChannelEmitter::planReads() {
  constexpr int64_t mostBytes = 40 * 1024;
  bool isShared = p.lanes > 1 || numPoints > 1;
  int64_t used = 0;
  for (Expr read : reads) {
    bool ofChannel = dependsOnChannel(read), ofPoint = dependsOnPrivate(read);
    int64_t width = ofChannel ? p.channels : ofPoint ? numPoints * p.lanes : 1;
    int64_t bytes = 2 * p.steps * width * 8;
    if (isShared && !(ofChannel && ofPoint) && isa<FloatType>(read->type) &&
        used + bytes <= mostBytes) {
      used += bytes;
      tiles.push_back(
          {read, shared(read->type, {2, p.steps, width}), width, ofChannel});
    } else if (ofPoint) {
      for (int64_t j = 0; j < numPoints; ++j)
        direct.push_back({read, j});
    } else {
      direct.push_back({read, -1});
    }
  }
}

void ChannelEmitter::emitSequential() {
  planReads();
  if (s.numPrivate > 1) {
    for (ChannelStructure::State &state : s.states)
      state.value = arrange(state.value);
    for (ChannelStructure::Sum &sum : s.sums)
      sum.body = arrange(sum.body);
  }
  Values initials = emitInitials();
  SmallVector<Type> types(initials.size(), type);
  auto test = scf::IfOp::create(b, types, less(constant(0), length),
                                /*withElseRegion=*/true);
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(test.thenBlock());
    scf::YieldOp::create(b, emitSteps(constant(0), length, initials,
                                      /*hasWhole=*/true));
    b.setInsertionPointToStart(test.elseBlock());
    scf::YieldOp::create(b, initials);
  }
  emitFinals(Values(test.getResults()), isOwn);
}
