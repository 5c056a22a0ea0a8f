//===- ChannelNewton.cpp - Channels by Newton's method --------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The unknowns are the states before each segment of a window (multiple
// shooting): a thread computes the steps of its segment one after the other, so
// what is left is that a segment's states at its end are those that the next
// one starts from. With
//
//   e[s], J[s]   the end of segment s, computed from x[s], and its derivative
//   c[s]         = e[s-1] - x[s], the defects, 0 for the first segment
//
// the corrections are d[s] = c[s] + J[s-1] d[s-1], maps that are composed in
// log2 of the number of segments rounds. What happens within a segment is exact
// at any time, and the longer a segment, the less its end depends on where it
// starts.
//
// The guess: the steps before the segment, some of them, from the states before
// the window. Where states forget within them, one sweep over the segments
// gives the results, and its defects say so. Otherwise sweeps follow that
//
//   find e and J, correct x, and compute the steps again;
//   correct x with the derivatives at hand, and compute the steps again;
//
// in turn. A window that does not settle within some of them is computed step
// by step. Newton's method on all steps at once would take more sweeps, and in
// each of them the derivatives.
//
// Windows are few: their number and with it the length of segments are found
// when the kernel runs. A sweep is a loop over blocks of steps, whose arguments
// are loaded while those of the block before are used.
//
//===----------------------------------------------------------------------===//

#include "passes/Forms/ChannelEmitter.h"
#include <limits>

using namespace mlir;
using namespace rondo;
using namespace rondo::algebra;

using Values = ChannelEmitter::Values;

/// `count` blocks of steps from `first` on; `raws` are the raw values of the
/// first one, and then, with `goesOn`, those of the block behind the last one.
Values ChannelEmitter::emitSweep(
    Value first, Value count, bool isWhole, bool goesOn,
    SmallVectorImpl<Value> &raws, ValueRange states,
    llvm::function_ref<Values(Step &, Values)> emitNext) {
  unsigned numStates = states.size();
  Values carried(states);
  llvm::append_range(carried, raws);
  auto loop =
      scf::ForOp::create(b, constant(0), count, constant(1), carried);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  Value block = loop.getInductionVar();
  Value here = add(first, mul(block, constant(p.steps)));
  Value next = add(here, constant(p.steps));
  Values now(loop.getRegionIterArgs().take_front(numStates));
  SmallVector<Value> held(loop.getRegionIterArgs().drop_front(numStates));
  SmallVector<Value> later;
  if (goesOn || held.empty()) {
    later = emitLoads({}, next, isWhole);
  } else {
    SmallVector<Type> types = llvm::to_vector(ValueRange(held).getTypes());
    auto more = scf::IfOp::create(b, types, less(block, sub(count, constant(1))),
                                  /*withElseRegion=*/true);
    OpBuilder::InsertionGuard inner(b);
    b.setInsertionPointToStart(more.thenBlock());
    scf::YieldOp::create(b, emitLoads({}, next, isWhole));
    b.setInsertionPointToStart(more.elseBlock());
    scf::YieldOp::create(b, held);
    later.assign(more.getResults().begin(), more.getResults().end());
  }
  for (int64_t u = 0; u < p.steps; ++u) {
    Step &step = emitStep(add(here, constant(u)), isWhole);
    bindRaws(step, ArrayRef(held).slice(u * direct.size(), direct.size()));
    now = emitNext(step, now);
  }
  llvm::append_range(now, later);
  scf::YieldOp::create(b, now);
  raws.assign(loop.getResults().begin() + numStates, loop.getResults().end());
  return Values(loop.getResults().take_front(numStates));
}

/// One step of the end of a segment and, after it, its derivative.
Values ChannelEmitter::emitSlope(Step &step, Values before) {
  Value zero = real(0), one = real(1);
  // Values and derivatives share what they have in common.
  Scope scope(step.points[0]);
  for (unsigned j = 0; j < n; ++j)
    scope.values[s.states[j].past] = before[j];
  Values now, factors(n, zero), slope(n, zero);
  for (unsigned i = 0; i < n; ++i)
    now.push_back(
        select(step.isValid, emit(s.states[i].value, scope), before[i]));
  for (unsigned i = 0; i < n; ++i)
    for (unsigned j = 0; j < n; ++j)
      factors.push_back(select(step.isValid, emit(s.derivatives[i][j], scope),
                               i == j ? one : zero));
  llvm::append_range(slope, ArrayRef(before).drop_front(n));
  slope = composeAffine(factors, slope, n);
  llvm::append_range(now, ArrayRef(slope).drop_front(n));
  return now;
}

/// Maps of this segment and all before it, composed; `memory` has two buffers.
Values ChannelEmitter::emitPrefix(ArrayRef<Value> memory, Values map) {
  for (int64_t distance = 1, parity = 0; distance < p.segments;
       distance *= 2, parity = 1 - parity) {
    storeAll(memory, map, {constant(parity), segment, channelInBlock});
    barrier();
    Value isThere = less(constant(distance - 1), segment);
    Value from = select(isThere, sub(segment, constant(distance)), segment);
    Values earlier =
        loadAll(memory, {constant(parity), from, channelInBlock});
    Values composed = composeAffine(map, earlier, n);
    for (auto [value, other] : llvm::zip_equal(map, composed))
      value = select(isThere, other, value);
  }
  return map;
}

void ChannelEmitter::emitNewton() {
  unsigned numFactors = n * n, numMap = n + numFactors;
  int64_t C = p.channels, S = p.segments;
  // Of each segment: the states at its end and the derivative; maps.
  Values carry, ends, memory;
  for (unsigned i = 0; i < n; ++i)
    carry.push_back(shared(type, {C}));
  for (unsigned i = 0; i < numMap; ++i)
    ends.push_back(shared(type, {S, C}));
  for (unsigned i = 0; i < numMap; ++i)
    memory.push_back(shared(type, {2, S, C}));
  ArrayRef<Value> stateEnds = ArrayRef(ends).take_front(n);
  Type i32 = b.getI32Type();
  Value flags = shared(i32, {2});
  Value isFirst = equal(segment, constant(0));
  Value isLast = equal(segment, constant(S - 1));
  Value isLeader =
      arith::AndIOp::create(b, isFirst, equal(channelInBlock, constant(0)));
  auto flag = [&](Value number, int32_t value) {
    memref::StoreOp::create(
        b, arith::ConstantOp::create(b, b.getI32IntegerAttr(value)), flags,
        number);
  };
  Value own[] = {segment, channelInBlock};
  Value before[] = {select(isFirst, segment, sub(segment, constant(1))),
                    channelInBlock};
  double epsilon = type.isF64() ? std::numeric_limits<double>::epsilon()
                                : std::numeric_limits<float>::epsilon();
  Value tolerance = real(8 * epsilon), zero = real(0), one = real(1);
  // The first segment has no defect: its states are known.
  auto emitDefects = [&](ValueRange states) {
    Values defects = loadAll(stateEnds, before);
    for (auto [defect, state] : llvm::zip_equal(defects, states))
      defect = select(isFirst, zero, arith::SubFOp::create(b, defect, state));
    return defects;
  };
  // |e| <= tolerance max(1, |x|), false for NaN
  auto emitIsBad = [&](ValueRange defects, ValueRange states) {
    Value isGood;
    for (auto [defect, state] : llvm::zip_equal(defects, states)) {
      Value bound = arith::MaximumFOp::create(
          b, one, math::AbsFOp::create(b, state).getResult());
      isGood = both(isGood, arith::CmpFOp::create(
                                b, arith::CmpFPredicate::OLE,
                                math::AbsFOp::create(b, defect).getResult(),
                                mulf(tolerance, bound)));
    }
    return arith::XOrIOp::create(
               b, isGood, arith::ConstantIntOp::create(b, b.getI1Type(), 1))
        .getResult();
  };

  planReads();
  Values initials = emitInitials();
  emitIf(isFirst, [&] { storeAll(carry, initials, channelInBlock); });
  // Blocks of a segment: as many as leave few windows.
  Value blocks = constant(p.blocks);
  if (!p.blocks) {
    Value unit = constant(S * p.steps);
    Value all = add(div(length, unit), constant(1));
    Value number = arith::CeilDivUIOp::create(b, all, constant(128 / p.steps));
    blocks = arith::CeilDivUIOp::create(b, length, mul(number, unit));
    blocks = arith::MaxSIOp::create(b, blocks, constant(16 / p.steps));
  }
  Value ofSegment = mul(blocks, constant(p.steps));
  Value size = mul(ofSegment, constant(S));
  // Those before it that make the guess.
  Value ahead = arith::MinSIOp::create(b, constant(p.ahead),
                                       mul(segment, blocks));
  Value start = mul(segment, ofSegment);
  Value early = sub(start, mul(ahead, constant(p.steps)));
  SmallVector<Type> stateTypes(n, type), mapTypes(numMap, type);
  Values identity;
  for (unsigned i = 0; i < n; ++i)
    for (unsigned j = 0; j < n; ++j)
      identity.push_back(i == j ? one : zero);

  auto emitWindow = [&](Value window, ArrayRef<Value> held, bool isWhole) {
    Value first = add(window, start);
    barrier();
    Values starts = loadAll(carry, channelInBlock);
    emitIf(isLeader, [&] { flag(constant(0), 0); });

    SmallVector<Value> firstRaws(held);
    Values guess = emitSweep(
        add(window, early), ahead, isWhole, /*goesOn=*/true, firstRaws, starts,
        [&](Step &step, Values past) { return emitNew(step, past); });

    // The loop hands on the count, the states before the segment, their
    // defects, the derivatives of the segment before, and the arguments of the
    // first block. After it come the states at the end, and whether the window
    // did not settle.
    Values guesses{constant(0)};
    llvm::append_range(guesses, guess);
    guesses.append(numMap, zero);
    llvm::append_range(guesses, firstRaws);
    SmallVector<Type> types = llvm::to_vector(ValueRange(guesses).getTypes());
    SmallVector<Type> after(types);
    llvm::append_range(after, stateTypes);
    after.push_back(b.getI1Type());
    auto loop = scf::WhileOp::create(b, after, guesses);
    {
      OpBuilder::InsertionGuard guard(b);
      SmallVector<Location> locs(after.size(), b.getLoc());
      Block *block = b.createBlock(&loop.getBefore(), {}, types,
                                   ArrayRef(locs).take_front(types.size()));
      Value count = block->getArgument(0);
      Values states(block->getArguments().slice(1, n));
      Values known(block->getArguments().slice(1 + n, numMap));
      SmallVector<Value> raws(block->getArguments().drop_front(1 + n + numMap));
      Value parity = arith::AndIOp::create(b, count, constant(1));

      Values kept(states);
      llvm::append_range(kept, known);
      auto corrected = scf::IfOp::create(b, ValueRange(kept).getTypes(),
                                         less(constant(0), count),
                                         /*withElseRegion=*/true);
      {
        OpBuilder::InsertionGuard inner(b);
        b.setInsertionPointToStart(corrected.elseBlock());
        scf::YieldOp::create(b, kept);
        b.setInsertionPointToStart(corrected.thenBlock());
        auto fresh = scf::IfOp::create(b, mapTypes, equal(parity, constant(1)),
                                       /*withElseRegion=*/true);
        {
          OpBuilder::InsertionGuard innermost(b);
          b.setInsertionPointToStart(fresh.thenBlock());
          SmallVector<Value> again = emitLoads({}, first, isWhole);
          Values slope(states);
          llvm::append_range(slope, identity);
          slope = emitSweep(
              first, blocks, isWhole, /*goesOn=*/false, again, slope,
              [&](Step &step, Values now) { return emitSlope(step, now); });
          storeAll(ends, slope, own);
          barrier();
          Values map = emitDefects(states);
          llvm::append_range(map,
                             loadAll(ArrayRef(ends).drop_front(n), before));
          scf::YieldOp::create(b, map);
          b.setInsertionPointToStart(fresh.elseBlock());
          scf::YieldOp::create(b, known);
        }
        Values map(fresh.getResults());
        Values correction = emitPrefix(memory, map);
        Values better;
        for (unsigned i = 0; i < n; ++i)
          better.push_back(addf(states[i], correction[i]));
        llvm::append_range(better, map);
        scf::YieldOp::create(b, better);
      }
      states.assign(corrected.getResults().begin(),
                    corrected.getResults().begin() + n);
      ValueRange slopes = corrected.getResults().drop_front(2 * n);
      Values now =
          emitSweep(first, blocks, isWhole, /*goesOn=*/false, raws, states,
                    [&](Step &step, Values past) {
                      Values next = emitNew(step, past);
                      bindStates(step, past, next);
                      emitWide(step);
                      return next;
                    });
      storeAll(stateEnds, now, own);
      barrier();
      Values defects = emitDefects(states);
      emitIf(emitIsBad(defects, states), [&] { flag(parity, 1); });
      emitIf(isLeader, [&] { flag(sub(constant(1), parity), 0); });
      barrier();
      Value mark = memref::LoadOp::create(b, flags, parity);
      Value isBad = arith::CmpIOp::create(
          b, arith::CmpIPredicate::ne, mark,
          arith::ConstantOp::create(b, b.getI32IntegerAttr(0)));
      Value goesOn =
          arith::AndIOp::create(b, isBad, less(count, constant(p.bound)));
      Values handed{count};
      llvm::append_range(handed, states);
      llvm::append_range(handed, defects);
      llvm::append_range(handed, slopes);
      llvm::append_range(handed, raws);
      llvm::append_range(handed, now);
      handed.push_back(isBad);
      scf::ConditionOp::create(b, goesOn, handed);

      block = b.createBlock(&loop.getAfter(), {}, after, locs);
      Values again(block->getArguments().take_front(1 + n + numMap));
      again[0] = add(again[0], constant(1));
      llvm::append_range(again, emitLoads({}, first, isWhole));
      scf::YieldOp::create(b, again);
    }
    SmallVector<Value> later =
        emitLoads({}, add(add(window, size), early), /*isWhole=*/false);
    auto results = loop.getResults();
    auto test =
        scf::IfOp::create(b, results.back(), /*withElseRegion=*/true);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(test.thenBlock());
    emitIf(isFirst, [&] {
      Value count =
          arith::MinSIOp::create(b, size, sub(length, window));
      Values last = emitSteps(window, count, starts, /*hasWhole=*/false);
      storeAll(carry, last, channelInBlock);
    });
    b.setInsertionPointToStart(test.elseBlock());
    emitIf(isLast, [&] {
      storeAll(carry, results.drop_back().take_back(n), channelInBlock);
    });
    return later;
  };
  emitWindows(early, size, mul(div(length, size), size), emitWindow);
  barrier();
  emitIf(isFirst, [&] { emitFinals(loadAll(carry, channelInBlock), isOwn); });
}
