//===- ChannelNewton.cpp - Channels by Newton's method --------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Forms/ChannelEmitter.h"
#include <limits>

using namespace mlir;
using namespace rondo;
using namespace rondo::algebra;

using Values = ChannelEmitter::Values;

/// Defects and derivatives of the segment's steps, and their composition:
/// d at the segment's end = constant + factors * d before it.
ChannelEmitter::Solved ChannelEmitter::emitEvaluation(ArrayRef<Step *> steps,
                                                      ValueRange before,
                                                      ArrayRef<Values> states) {
  Solved solved;
  double epsilon = type.isF64() ? std::numeric_limits<double>::epsilon()
                                : std::numeric_limits<float>::epsilon();
  Value zero = real(0), one = real(1), tolerance = real(8 * epsilon);
  Values previous(before);
  for (auto [r, step] : llvm::enumerate(steps)) {
    Scope scope(step->points[0]);
    for (unsigned j = 0; j < n; ++j)
      scope.values[s.states[j].past] = previous[j];
    Values defects;
    SmallVector<Values> factors;
    for (unsigned i = 0; i < n; ++i) {
      Value now = states[r][i];
      Value value =
          select(step->isValid, emit(s.states[i].value, scope), previous[i]);
      defects.push_back(arith::SubFOp::create(b, value, now));
      Values row;
      for (unsigned j = 0; j < n; ++j)
        row.push_back(select(step->isValid, emit(s.derivatives[i][j], scope),
                             i == j ? one : zero));
      factors.push_back(row);
      // |e| <= tolerance max(1, |x|), false for NaN
      Value size = arith::MaximumFOp::create(
          b, one, math::AbsFOp::create(b, now).getResult());
      Value isGood = arith::CmpFOp::create(
          b, arith::CmpFPredicate::OLE,
          math::AbsFOp::create(b, defects.back()).getResult(),
          mulf(tolerance, size));
      Value isBad = arith::XOrIOp::create(
          b, isGood, arith::ConstantIntOp::create(b, b.getI1Type(), 1));
      solved.isBad =
          solved.isBad
              ? arith::OrIOp::create(b, solved.isBad, isBad).getResult()
              : isBad;
    }
    Values map(defects);
    for (const Values &row : factors)
      llvm::append_range(map, row);
    solved.composed = r ? composeAffine(map, solved.composed, n) : map;
    solved.defects.push_back(defects);
    solved.factors.push_back(factors);
    previous = states[r];
  }
  return solved;
}

void ChannelEmitter::emitNewton() {
  unsigned numSteps = p.steps, numComposed = n + n * n;
  int64_t C = p.channels, S = p.segments, size = S * p.steps;
  SmallVector<Value> carry, ends, maps;
  for (unsigned i = 0; i < n; ++i) {
    carry.push_back(shared(type, {C}));
    ends.push_back(shared(type, {S, C}));
  }
  for (unsigned i = 0; i < numComposed; ++i)
    maps.push_back(shared(type, {S, C}));
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
  auto storeAll = [&](ArrayRef<Value> to, ValueRange values, ValueRange at) {
    for (auto [memref, value] : llvm::zip_equal(to, values))
      memref::StoreOp::create(b, value, memref, at);
  };
  auto loadAll = [&](ArrayRef<Value> from, ValueRange at) {
    Values values;
    for (Value memref : from)
      values.push_back(memref::LoadOp::create(b, memref, at));
    return values;
  };
  Value row[] = {segment, channelInBlock};
  // The states at the end of the segment before.
  auto loadPast = [&](ValueRange starts) {
    Value earlier = select(isFirst, constant(0), sub(segment, constant(1)));
    Values past = loadAll(ends, {earlier, channelInBlock});
    for (unsigned i = 0; i < n; ++i)
      past[i] = select(isFirst, starts[i], past[i]);
    return past;
  };

  planReads();
  Values initials = emitInitials();
  emitIf(isFirst, [&] { storeAll(carry, initials, channelInBlock); });
  auto windows = scf::ForOp::create(b, constant(0), length, constant(size));
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(windows.getBody());
    Value window = windows.getInductionVar();
    Value first = add(window, mul(segment, constant(p.steps)));
    SmallVector<Step *> steps;
    for (unsigned r = 0; r < numSteps; ++r) {
      steps.push_back(&emitStep(add(first, constant(r)), /*isWhole=*/false));
      prepare(*steps.back());
    }
    barrier();
    Values starts = loadAll(carry, channelInBlock);

    // Guess: f at the state that the window starts from.
    Values guesses{constant(1)};
    Values guess;
    for (Step *step : steps) {
      guess = emitNew(*step, starts);
      llvm::append_range(guesses, guess);
    }
    storeAll(ends, guess, row);
    emitIf(isLeader, [&] { flag(constant(1), 0); });
    barrier();

    // The loop hands on the count, the states, and whether all is well.
    unsigned numStates = numSteps * n;
    SmallVector<Type> stateTypes(numStates, type);
    SmallVector<Type> before{b.getIndexType()};
    llvm::append_range(before, stateTypes);
    SmallVector<Type> after(before);
    after.append(numStates * (1 + n), type); // defects and factors
    after.push_back(b.getI1Type());
    auto loop = scf::WhileOp::create(b, after, guesses);
    SmallVector<Location> locs(after.size(), b.getLoc());
    {
      OpBuilder::InsertionGuard inner(b);
      Block *block = b.createBlock(&loop.getBefore(), {}, before,
                                   ArrayRef(locs).take_front(before.size()));
      Value count = block->getArgument(0);
      SmallVector<Values> states;
      for (unsigned r = 0; r < numSteps; ++r)
        states.push_back(Values(block->getArguments().slice(1 + r * n, n)));
      Values past = loadPast(starts);
      Solved solved = emitEvaluation(steps, past, states);
      storeAll(maps, solved.composed, row);
      Value here = arith::AndIOp::create(b, count, constant(1));
      emitIf(solved.isBad, [&] { flag(here, 1); });
      emitIf(isLeader, [&] { flag(sub(constant(1), here), 0); });
      barrier();
      Value mark = memref::LoadOp::create(b, flags, here);
      Value isBad = arith::CmpIOp::create(
          b, arith::CmpIPredicate::ne, mark,
          arith::ConstantOp::create(b, b.getI32IntegerAttr(0)));
      Value goesOn =
          arith::AndIOp::create(b, isBad, less(count, constant(p.bound)));
      Values handed(block->getArguments());
      for (unsigned r = 0; r < numSteps; ++r) {
        llvm::append_range(handed, solved.defects[r]);
        for (unsigned i = 0; i < n; ++i)
          llvm::append_range(handed, solved.factors[r][i]);
      }
      handed.push_back(isBad);
      scf::ConditionOp::create(b, goesOn, handed);

      block = b.createBlock(&loop.getAfter(), {}, after, locs);
      // d before the segment, from the segments before.
      Values none(n, real(0));
      auto prefix =
          scf::ForOp::create(b, constant(0), segment, constant(1), none);
      {
        OpBuilder::InsertionGuard innermost(b);
        b.setInsertionPointToStart(prefix.getBody());
        Values map = loadAll(maps, {prefix.getInductionVar(), channelInBlock});
        scf::YieldOp::create(b,
                             applyAffine(map, prefix.getRegionIterArgs(), n));
      }
      Values correction(prefix.getResults());
      Values improved{add(block->getArgument(0), constant(1))};
      auto arguments = block->getArguments();
      Values state;
      for (unsigned r = 0; r < numSteps; ++r) {
        auto solution =
            arguments.slice(1 + numStates + r * n * (1 + n), n * (1 + n));
        correction = applyAffine(solution, correction, n);
        state.clear();
        for (unsigned i = 0; i < n; ++i)
          state.push_back(addf(arguments[1 + r * n + i], correction[i]));
        llvm::append_range(improved, state);
      }
      storeAll(ends, state, row);
      barrier();
      scf::YieldOp::create(b, improved);
    }

    auto test = scf::IfOp::create(b, loop.getResults().back(),
                                  /*withElseRegion=*/true);
    b.setInsertionPointToStart(test.thenBlock());
    emitIf(isFirst, [&] {
      Value count =
          arith::MinSIOp::create(b, constant(size), sub(length, window));
      Values last = emitSteps(window, count, starts);
      storeAll(carry, last, channelInBlock);
    });
    b.setInsertionPointToStart(test.elseBlock());
    Values state, previous = loadPast(starts);
    for (unsigned r = 0; r < numSteps; ++r) {
      state = Values(loop.getResults().slice(1 + r * n, n));
      bindStates(*steps[r], previous, state);
      previous = state;
      emitWide(*steps[r]);
    }
    emitIf(isLast, [&] { storeAll(carry, state, channelInBlock); });
  }
  barrier();
  emitIf(isFirst, [&] { emitFinals(loadAll(carry, channelInBlock), isOwn); });
}
