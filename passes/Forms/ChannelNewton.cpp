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
// Where states forget, some steps before each segment lead to its states: one
// sweep over the segments gives the results, and its defects say whether they
// are right. A kernel that comes before computes all windows in this way at
// once (ChannelGuess.cpp); of several sequences in one, this one goes through
// them.
//
// From the first window on where it is not so, and for what is left behind the
// last whole window, sweeps of two kinds take turns:
//
//   e and J are found, x is corrected, and the steps are computed again;
//   x is corrected with the derivatives at hand, and they are computed again.
//
// Two of them are to halve the number of segments with a defect. In a window
// where they don't, or that does not settle within some sweeps, what follows
// the last segment that is right is computed step by step, as are a few steps
// that are left behind the windows. Newton's method on all steps at once would
// take more sweeps, and in each of them the derivatives.
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

/// Steps of a segment.
static constexpr int64_t leastOfSegment = 16, mostOfSegment = 128;
/// What takes less time one after the other than in segments.
static constexpr int64_t fewSteps = 128;

/// `count` blocks of steps from `first` on; `raws` are the raw values of the
/// first one, and then, with `goesOn`, those of the block behind the last one.
Values
ChannelEmitter::emitSweep(Value first, Value count, bool isWhole, bool goesOn,
                          SmallVectorImpl<Value> &raws, ValueRange states,
                          llvm::function_ref<Values(Step &, Values)> emitNext) {
  unsigned numStates = states.size();
  Values carried(states);
  llvm::append_range(carried, raws);
  auto loop = scf::ForOp::create(b, constant(0), count, constant(1), carried);
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
    auto more =
        scf::IfOp::create(b, types, less(block, sub(count, constant(1))),
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

/// Maps of this segment and all before it, composed.
Values ChannelEmitter::emitPrefix(const Segments &at, Values map) {
  for (int64_t distance = 1, parity = 0; distance < p.segments;
       distance *= 2, parity = 1 - parity) {
    storeAll(at.maps, map, {constant(parity), segment, channelInBlock});
    barrier();
    Value isThere = less(constant(distance - 1), segment);
    Value from = select(isThere, sub(segment, constant(distance)), segment);
    Values earlier = loadAll(at.maps, {constant(parity), from, channelInBlock});
    Values composed = composeAffine(map, earlier, n);
    for (auto [value, other] : llvm::zip_equal(map, composed))
      value = select(isThere, other, value);
  }
  return map;
}

ChannelEmitter::Segments ChannelEmitter::createSegments() {
  Segments at;
  int64_t C = p.channels, S = p.segments;
  for (unsigned i = 0; i < n; ++i)
    at.carry.push_back(shared(type, {C}));
  for (unsigned i = 0; i < n; ++i)
    at.ends.push_back(shared(type, {S, C}));
  for (unsigned i = 0; i < n * n; ++i)
    at.slopes.push_back(shared(type, {S, C}));
  for (unsigned i = 0; i < n + n * n; ++i)
    at.maps.push_back(shared(type, {2, S, C}));
  at.marks = shared(b.getI32Type(), {2, S});
  at.isFirst = equal(segment, constant(0));
  at.isLast = equal(segment, constant(S - 1));
  at.own = {segment, channelInBlock};
  at.before = {select(at.isFirst, segment, sub(segment, constant(1))),
               channelInBlock};
  return at;
}

/// Lets the size of windows up to `end` depend on the number of steps left: as
/// many blocks to a segment as leave few windows. With `areWhole` no window
/// reaches behind the end.
ChannelEmitter::Window ChannelEmitter::emitWindowSize(Value left,
                                                      bool areWhole) {
  Window window;
  window.blocks = constant(p.blocks);
  if (!p.blocks) {
    Value unit = constant(p.segments * p.steps);
    Value number =
        add(div(left, constant(p.segments * mostOfSegment + 1)), constant(1));
    unit = mul(unit, number);
    window.blocks = areWhole
                        ? div(left, unit)
                        : arith::CeilDivUIOp::create(b, left, unit).getResult();
    window.blocks = arith::MaxSIOp::create(
        b, window.blocks, constant(areWhole ? leastOfSegment / p.steps : 1));
  }
  Value ofSegment = mul(window.blocks, constant(p.steps));
  window.start = mul(segment, ofSegment);
  window.size = mul(ofSegment, constant(p.segments));
  return window;
}

void ChannelEmitter::emitMark(Value marks, ValueRange place, int32_t value) {
  Value mark = arith::ConstantOp::create(b, b.getI32IntegerAttr(value));
  memref::StoreOp::create(b, mark, marks, place);
}

Value ChannelEmitter::isMarked(Value marks, ValueRange place) {
  Value mark = memref::LoadOp::create(b, marks, place);
  return arith::CmpIOp::create(
      b, arith::CmpIPredicate::ne, mark,
      arith::ConstantOp::create(b, b.getI32IntegerAttr(0)));
}

/// States before the window; marks 0 are cleared.
Values ChannelEmitter::emitStart(const Segments &at) {
  barrier();
  emitIf(equal(channelInBlock, constant(0)), [&] {
    emitMark(at.marks, {constant(0), segment}, 0);
  });
  return loadAll(at.carry, channelInBlock);
}

/// The states at the end of the segment are `states`; the results are stored.
Values ChannelEmitter::emitResults(Value first, Value blocks, bool isWhole,
                                   SmallVectorImpl<Value> &raws,
                                   ValueRange states) {
  return emitSweep(first, blocks, isWhole, /*goesOn=*/false, raws, states,
                   [&](Step &step, Values past) {
                     Values now = emitNew(step, past);
                     bindStates(step, past, now);
                     emitWide(step);
                     return now;
                   });
}

/// The ends of the segments before, less `states`. The first segment has no
/// defect: its states are known.
Values ChannelEmitter::emitDefects(const Segments &at, ValueRange states) {
  Values defects = loadAll(at.ends, at.before);
  for (auto [defect, state] : llvm::zip_equal(defects, states))
    defect =
        select(at.isFirst, real(0), arith::SubFOp::create(b, defect, state));
  return defects;
}

/// Whether the thread has too large a defect.
Value ChannelEmitter::emitIsBad(ValueRange defects, ValueRange states) {
  double epsilon = type.isF64() ? std::numeric_limits<double>::epsilon()
                                : std::numeric_limits<float>::epsilon();
  Value isGood;
  for (auto [defect, state] : llvm::zip_equal(defects, states)) {
    // |e| <= tolerance max(1, |x|), false for NaN
    Value bound = arith::MaximumFOp::create(
        b, real(1), math::AbsFOp::create(b, state).getResult());
    Value error = math::AbsFOp::create(b, defect);
    isGood =
        both(isGood, arith::CmpFOp::create(b, arith::CmpFPredicate::OLE, error,
                                           mulf(real(8 * epsilon), bound)));
  }
  return arith::XOrIOp::create(
      b, isGood, arith::ConstantIntOp::create(b, b.getI1Type(), 1));
}

/// How many segments have a thread with too large a defect, and the first of
/// them. `parity` is that of the marks that are cleared; the others are then.
std::pair<Value, Value> ChannelEmitter::countBad(const Segments &at,
                                                 Value parity, Value isBad) {
  emitIf(isBad, [&] { emitMark(at.marks, {parity, segment}, 1); });
  emitIf(equal(channelInBlock, constant(0)), [&] {
    emitMark(at.marks, {sub(constant(1), parity), segment}, 0);
  });
  barrier();
  Value end = constant(p.segments);
  auto loop = scf::ForOp::create(b, constant(0), end, constant(1),
                                 ValueRange{constant(0), end});
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  Value each = loop.getInductionVar();
  Value number = loop.getRegionIterArg(0), first = loop.getRegionIterArg(1);
  Value isThere = isMarked(at.marks, {parity, each});
  Value least = arith::MinSIOp::create(b, first, each);
  scf::YieldOp::create(
      b, ValueRange{select(isThere, add(number, constant(1)), number),
                    select(isThere, least, first)});
  return {loop.getResult(0), loop.getResult(1)};
}

/// Whole windows from `done` on, if it `goesOn`, for as long as their states are
/// found from steps before each segment; where they end.
Value ChannelEmitter::emitQuickWindows(const Segments &at, Value done,
                                       Value goesOn) {
  Window window = emitWindowSize(length, /*areWhole=*/true);
  Value ahead =
      arith::MinSIOp::create(b, constant(p.ahead), mul(segment, window.blocks));
  Value early = sub(window.start, mul(ahead, constant(p.steps)));
  Value yes = arith::ConstantIntOp::create(b, b.getI1Type(), 1);
  SmallVector<Type> types{b.getIndexType(), b.getI1Type()};
  SmallVector<Location> locs(types.size(), b.getLoc());
  auto loop = scf::WhileOp::create(b, types, ValueRange{done, goesOn});
  OpBuilder::InsertionGuard guard(b);
  Block *block = b.createBlock(&loop.getBefore(), {}, types, locs);
  Value fits =
      arith::CmpIOp::create(b, arith::CmpIPredicate::sle,
                            add(block->getArgument(0), window.size), length);
  scf::ConditionOp::create(b, both(fits, block->getArgument(1)),
                           block->getArguments());

  block = b.createBlock(&loop.getAfter(), {}, types, locs);
  Value begin = block->getArgument(0);
  Values states = emitStart(at);
  SmallVector<Value> raws = emitLoads({}, add(begin, early), /*isWhole=*/true);
  states = emitSweep(
      add(begin, early), ahead, /*isWhole=*/true, /*goesOn=*/true, raws, states,
      [&](Step &step, Values past) { return emitNew(step, past); });
  Values now = emitResults(add(begin, window.start), window.blocks,
                           /*isWhole=*/true, raws, states);
  storeAll(at.ends, now, at.own);
  barrier();
  emitIf(emitIsBad(emitDefects(at, states), states), [&] {
    emitMark(at.marks, {constant(0), constant(0)}, 1);
  });
  barrier();
  Value isGood = arith::XOrIOp::create(
      b, isMarked(at.marks, {constant(0), constant(0)}), yes);
  emitIf(both(isGood, at.isLast),
         [&] { storeAll(at.carry, now, channelInBlock); });
  Value next = select(isGood, add(begin, window.size), begin);
  scf::YieldOp::create(b, ValueRange{next, isGood});
  return loop.getResult(0);
}

/// The window from `first` on. Returns the states at the end of the segment and
/// the first segment with a defect, or the number of segments where the window
/// settled.
std::pair<Values, Value> ChannelEmitter::emitCorrections(const Segments &at,
                                                         Value first,
                                                         Value blocks,
                                                         ValueRange starts) {
  unsigned numMap = n + n * n;
  Value zero = real(0), one = real(1);
  Values identity;
  for (unsigned i = 0; i < n; ++i)
    for (unsigned j = 0; j < n; ++j)
      identity.push_back(i == j ? one : zero);
  // The loop hands on the count, the numbers of segments with defects after the
  // last two sweeps, the states before the segment, their defects, and the
  // derivatives of the segment before. After it come the states at the end, and
  // the first segment with a defect.
  constexpr unsigned numCounts = 3;
  Value many = constant(2 * p.segments);
  Values guesses{constant(0), many, many};
  llvm::append_range(guesses, starts);
  guesses.append(numMap, zero);
  SmallVector<Type> types = llvm::to_vector(ValueRange(guesses).getTypes());
  SmallVector<Type> after(types), mapTypes(numMap, type);
  after.append(n, type);
  after.push_back(b.getIndexType());
  auto loop = scf::WhileOp::create(b, after, guesses);
  OpBuilder::InsertionGuard guard(b);
  SmallVector<Location> locs(after.size(), b.getLoc());
  Block *block = b.createBlock(&loop.getBefore(), {}, types,
                               ArrayRef(locs).take_front(types.size()));
  Value count = block->getArgument(0);
  Values states(block->getArguments().slice(numCounts, n));
  Value parity = arith::AndIOp::create(b, count, constant(1));
  auto fresh = scf::IfOp::create(b, mapTypes, equal(parity, constant(0)),
                                 /*withElseRegion=*/true);
  {
    OpBuilder::InsertionGuard inner(b);
    b.setInsertionPointToStart(fresh.thenBlock());
    SmallVector<Value> raws = emitLoads({}, first, /*isWhole=*/false);
    Values slope(states);
    llvm::append_range(slope, identity);
    slope = emitSweep(
        first, blocks, /*isWhole=*/false, /*goesOn=*/false, raws, slope,
        [&](Step &step, Values now) { return emitSlope(step, now); });
    storeAll(at.ends, ArrayRef(slope).take_front(n), at.own);
    storeAll(at.slopes, ArrayRef(slope).drop_front(n), at.own);
    barrier();
    Values map = emitDefects(at, states);
    llvm::append_range(map, loadAll(at.slopes, at.before));
    scf::YieldOp::create(b, map);
    b.setInsertionPointToStart(fresh.elseBlock());
    scf::YieldOp::create(b, block->getArguments().take_back(numMap));
  }
  Values map(fresh.getResults());
  Values correction = emitPrefix(at, map);
  for (unsigned i = 0; i < n; ++i)
    states[i] = addf(states[i], correction[i]);
  SmallVector<Value> raws = emitLoads({}, first, /*isWhole=*/false);
  Values now = emitResults(first, blocks, /*isWhole=*/false, raws, states);
  storeAll(at.ends, now, at.own);
  barrier();
  Values defects = emitDefects(at, states);
  auto [number, firstBad] = countBad(at, parity, emitIsBad(defects, states));
  Value falls = arith::CmpIOp::create(
      b, arith::CmpIPredicate::sle, add(number, number), block->getArgument(1));
  Value goesOn = both(less(constant(0), number), falls);
  Values handed{count, block->getArgument(2), number};
  llvm::append_range(handed, states);
  llvm::append_range(handed, defects);
  llvm::append_range(handed, ArrayRef(map).drop_front(n));
  llvm::append_range(handed, now);
  handed.push_back(firstBad);
  scf::ConditionOp::create(b, both(goesOn, less(count, constant(p.bound))),
                           handed);

  block = b.createBlock(&loop.getAfter(), {}, after, locs);
  Values again(block->getArguments().take_front(numCounts + n + numMap));
  again[0] = add(again[0], constant(1));
  scf::YieldOp::create(b, again);
  return {Values(loop.getResults().drop_back().take_back(n)),
          loop.getResults().back()};
}

/// Windows from `done` on; a few steps that are left are taken one by one.
void ChannelEmitter::emitNewtonWindows(const Segments &at, Value done) {
  Window window = emitWindowSize(sub(length, done), /*areWhole=*/false);
  auto loop = scf::ForOp::create(b, done, length, window.size);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  Value begin = loop.getInductionVar(), zero = constant(0), one = constant(1);
  Values starts = emitStart(at);
  // Where the segments end, and the first that is wrong.
  SmallVector<Type> types(n, type);
  types.push_back(b.getIndexType());
  Value left = sub(length, begin);
  // A size that is asked for is that of all windows.
  Value isFew = less(left, constant(p.blocks ? 0 : fewSteps));
  auto solved = scf::IfOp::create(b, types, isFew, /*withElseRegion=*/true);
  {
    OpBuilder::InsertionGuard inner(b);
    b.setInsertionPointToStart(solved.thenBlock());
    barrier(); // All have the states that are written over.
    Values none = starts;
    none.push_back(zero);
    scf::YieldOp::create(b, none);
    b.setInsertionPointToStart(solved.elseBlock());
    auto [ends, firstBad] =
        emitCorrections(at, add(begin, window.start), window.blocks, starts);
    ends.push_back(firstBad);
    scf::YieldOp::create(b, ends);
  }
  Value firstBad = solved.getResults().back();
  auto test = scf::IfOp::create(b, less(firstBad, constant(p.segments)),
                                /*withElseRegion=*/true);
  b.setInsertionPointToStart(test.thenBlock());
  emitIf(at.isFirst, [&] {
    Value done = mul(firstBad, mul(window.blocks, constant(p.steps)));
    Value count = arith::MinSIOp::create(b, window.size, left);
    count = arith::MaxSIOp::create(b, sub(count, done), zero);
    Value isNone = equal(firstBad, zero);
    Value before = select(isNone, zero, sub(firstBad, one));
    Values states = loadAll(at.ends, {before, channelInBlock});
    for (auto [state, start] : llvm::zip_equal(states, starts))
      state = select(isNone, start, state);
    storeAll(at.carry,
             emitSteps(add(begin, done), count, states, /*hasWhole=*/false),
             channelInBlock);
  });
  b.setInsertionPointToStart(test.elseBlock());
  emitIf(at.isLast, [&] {
    storeAll(at.carry, solved.getResults().drop_back(), channelInBlock);
  });
}

void ChannelEmitter::emitNewton() {
  Segments at = createSegments();
  Value zero = constant(0), done = zero, isLeft;
  // Of several sequences in one nothing was guessed before.
  Value isQuick = arith::ConstantIntOp::create(b, b.getI1Type(), 1);
  if (guess) {
    done = emitGuessed(at);
    isLeft = less(done, length);
    isQuick = arith::CmpIOp::create(b, arith::CmpIPredicate::ne, sequenceWidth,
                                    zero);
  } else {
    Values initials = emitInitials();
    emitIf(at.isFirst, [&] { storeAll(at.carry, initials, channelInBlock); });
  }
  emitIf(isLeft, [&] {
    collectReads();
    planReads();
    Value begin = emitQuickWindows(at, done, isQuick);
    // Less code where more of it is needed.
    p.steps = std::max<int64_t>(p.steps / 2, 1);
    emitNewtonWindows(at, begin);
    barrier();
  });
  emitIf(at.isFirst,
         [&] { emitFinals(loadAll(at.carry, channelInBlock), isOwn); });
}
