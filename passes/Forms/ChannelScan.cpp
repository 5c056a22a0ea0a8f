//===- ChannelScan.cpp - Channels by composed maps ------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A block goes through windows of steps. A thread has a few consecutive steps,
// its segment, of a channel in registers. For one recurrence after the other it
//
//   composes the maps of its steps and leaves the result in shared memory,
//   applies those of the segments before it to the states before the window,
//   and computes its steps from there.
//
// Rounding is that of the steps, but for the states before a segment.
//
//===----------------------------------------------------------------------===//

#include "passes/Forms/ChannelEmitter.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::algebra;

using Values = ChannelEmitter::Values;

/// Maps are n constants, then n rows of n factors: (A, b) after (C, d) is
/// (A C, A d + b).
Values ChannelEmitter::composeAffine(ValueRange later, ValueRange earlier,
                                     unsigned n) {
  Values composed = applyAffine(later, earlier.take_front(n), n);
  for (unsigned i = 0; i < n; ++i)
    for (unsigned j = 0; j < n; ++j) {
      Value sum;
      for (unsigned k = 0; k < n; ++k) {
        Value product = mulf(later[n + i * n + k], earlier[n + k * n + j]);
        sum = sum ? addf(sum, product) : product;
      }
      composed.push_back(sum);
    }
  return composed;
}

Values ChannelEmitter::applyAffine(ValueRange map, ValueRange x, unsigned n) {
  Values result;
  for (unsigned i = 0; i < n; ++i) {
    Value sum = map[i];
    for (unsigned j = 0; j < n; ++j)
      sum = addf(sum, mulf(map[n + i * n + j], x[j]));
    result.push_back(sum);
  }
  return result;
}

void ChannelEmitter::emitScan() {
  int64_t C = p.channels, S = p.segments, size = S * p.steps;
  Values carry;
  for (unsigned i = 0; i < n; ++i)
    carry.push_back(shared(type, {C}));
  SmallVector<Values> memory; // [group][part of a map]
  for (const ChannelStructure::Group &group : s.groups) {
    Values parts;
    for (unsigned i = 0; i < group.count * (1 + group.count); ++i)
      parts.push_back(shared(type, {S, C}));
    memory.push_back(parts);
  }
  Value row[] = {segment, channelInBlock};
  Value isFirst = equal(segment, constant(0));
  Value isLast = equal(segment, constant(S - 1));
  auto compose = [&](const ChannelStructure::Group &group, ValueRange later,
                     ValueRange earlier) {
    if (!group.isMaximum)
      return composeAffine(later, earlier, group.count);
    Value moved = addf(earlier[0], later[1]);
    return Values{arith::MaximumFOp::create(b, later[0], moved),
                  addf(earlier[1], later[1])};
  };
  auto apply = [&](const ChannelStructure::Group &group, ValueRange map,
                   ValueRange x) {
    if (!group.isMaximum)
      return applyAffine(map, x, group.count);
    return Values{arith::MaximumFOp::create(b, map[0], addf(x[0], map[1]))};
  };

  planReads();
  emitIf(isFirst, [&] { storeAll(carry, emitInitials(), channelInBlock); });
  Value start = mul(segment, constant(p.steps));
  // The window at `window`, whose raw values are held; those of the next one
  // are on their way meanwhile.
  auto emitWindow = [&](Value window, ArrayRef<Value> held, bool isWhole) {
    Value first = add(window, start);
    SmallVector<Value> later =
        emitLoads({}, add(first, constant(size)), isWhole);
    SmallVector<Step *> own;
    for (int64_t r = 0; r < p.steps; ++r) {
      own.push_back(&emitStep(add(first, constant(r)), isWhole));
      bindRaws(*own.back(), held.slice(r * direct.size(), direct.size()));
    }
    barrier();
    Values starts = loadAll(carry, channelInBlock);
    Values ends;
    for (auto [number, group] : llvm::enumerate(s.groups)) {
      unsigned count = group.count;
      ArrayRef<ChannelStructure::State> states =
          ArrayRef(s.states).slice(group.first, count);
      // Behind the end a map is the identity.
      SmallVector<Values> maps;
      Values composed;
      for (Step *step : own) {
        Scope &point = step->points[0];
        Values map;
        double infinity = std::numeric_limits<double>::infinity();
        for (Expr fixed : group.constants)
          map.push_back(select(step->isValid, emit(fixed, point),
                               real(group.isMaximum ? -infinity : 0)));
        for (unsigned i = 0; i < count; ++i)
          for (unsigned j = 0; j < count; ++j)
            map.push_back(select(step->isValid,
                                 emit(group.factors[i][j], point),
                                 real(i == j && !group.isMaximum ? 1 : 0)));
        composed = composed.empty() ? map : compose(group, map, composed);
        maps.push_back(map);
      }
      storeAll(memory[number], composed, row);
      barrier();
      auto prefix =
          scf::ForOp::create(b, constant(0), segment, constant(1),
                             ArrayRef(starts).slice(group.first, count));
      {
        OpBuilder::InsertionGuard inner(b);
        b.setInsertionPointToStart(prefix.getBody());
        Values map =
            loadAll(memory[number], {prefix.getInductionVar(), channelInBlock});
        scf::YieldOp::create(b, apply(group, map, prefix.getRegionIterArgs()));
      }
      Values now(prefix.getResults());
      for (auto [r, step] : llvm::enumerate(own)) {
        Scope &point = step->points[0];
        for (auto [state, value] : llvm::zip_equal(states, now))
          point.values[state.past] = value;
        now = apply(group, maps[r], now);
        for (auto [state, value] : llvm::zip_equal(states, now))
          point.values[state.current] = value;
      }
      llvm::append_range(ends, now);
    }
    for (Step *step : own)
      emitWide(*step);
    emitIf(isLast, [&] { storeAll(carry, ends, channelInBlock); });
    return later;
  };
  emitIf(less(constant(0), length), [&] {
    SmallVector<Value> held = emitLoads({}, start, /*isWhole=*/false);
    Value whole = arith::MaxSIOp::create(
        b, sub(div(length, constant(size)), constant(1)), constant(0));
    whole = mul(whole, constant(size));
    for (bool isWhole : {true, false}) {
      auto windows =
          scf::ForOp::create(b, isWhole ? constant(0) : whole,
                             isWhole ? whole : length, constant(size), held);
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(windows.getBody());
      SmallVector<Value> later =
          emitWindow(windows.getInductionVar(),
                     SmallVector<Value>(windows.getRegionIterArgs()), isWhole);
      if (!later.empty()) // else there is a terminator already
        scf::YieldOp::create(b, later);
      held.assign(windows.getResults().begin(), windows.getResults().end());
    }
  });
  barrier();
  emitIf(isFirst, [&] { emitFinals(loadAll(carry, channelInBlock), isOwn); });
}
