//===- ChannelGuess.cpp - Windows that settle by themselves ---------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Where states forget within some steps, those before each segment lead to the
// state it starts from, whatever they start from themselves. So all windows of
// the sequence are computed side by side, each by a block of threads, as if
// that were so. A block checks that the ends of its segments are the starts of
// the next ones, and leaves in the workspace whether they are, where it started
// and where it ended:
//
//   record of a window   marked if wrong; [state][channel] starts; ends
//
// The kernel for Newton's method, which comes behind it, compares the starts
// and ends of neighbouring windows, and goes on behind the last one that is
// right. Where all of them are, there is nothing left to do.
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "passes/Forms/ChannelEmitter.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::algebra;

using Values = ChannelEmitter::Values;

/// Threads that keep a device busy, and the least and most steps of a segment.
static constexpr int64_t threadsOfDevice = 64 * 1024, leastOfSegment = 32,
                         mostOfSegment = 128, markBytes = 16;

int64_t ChannelEmitter::getRecordBytes(const ChannelParameters &guess) const {
  int64_t size = type.getIntOrFloatBitWidth() / 8;
  return markBytes + 2 * n * guess.channels * size;
}

/// How many windows there are, and of how many blocks their segments are. The
/// longer a segment, the fewer steps are computed twice.
std::pair<Value, Value>
ChannelEmitter::emitWindows(const ChannelParameters &guess, Value points,
                            Value channels, Value steps) {
  Value unit = constant(guess.segments * guess.steps);
  if (guess.blocks) {
    Value blocks = constant(guess.blocks);
    return {div(steps, mul(unit, blocks)), blocks};
  }
  Value work = mul(mul(points, channels), steps);
  Value wanted = div(work, constant(threadsOfDevice));
  wanted = arith::MinSIOp::create(b, wanted, constant(mostOfSegment));
  wanted = arith::MaxSIOp::create(b, wanted, constant(leastOfSegment));
  // As few steps as possible are left behind the last window.
  Value size = mul(wanted, constant(guess.segments));
  Value count = div(add(steps, sub(size, constant(1))), size);
  count = arith::MaxSIOp::create(b, count, constant(1));
  Value blocks = div(steps, mul(unit, count));
  Value isLong = less(constant(leastOfSegment / 2 / guess.steps - 1), blocks);
  return {select(isLong, count, constant(0)), blocks};
}

/// Bytes that all records take at the most.
Value ChannelEmitter::emitRecordBytes(const ChannelParameters &guess,
                                      Value points, Value channels,
                                      Value steps) {
  int64_t least = guess.segments *
                  (guess.blocks ? guess.blocks * guess.steps : leastOfSegment);
  Value tiles = add(div(channels, constant(guess.channels)), constant(1));
  Value windows = add(div(steps, constant(least)), constant(1));
  return mul(mul(points, tiles),
             mul(windows, constant(getRecordBytes(guess))));
}

Value ChannelEmitter::emitRecord(const ChannelParameters &guess, Value tile,
                                 Value window, Value windows) {
  Value point = mlir::gpu::BlockIdOp::create(b, mlir::gpu::Dimension::x);
  Value tiles =
      arith::CeilDivUIOp::create(b, numChannels, constant(guess.channels));
  Value number = add(mul(add(mul(point, tiles), tile), windows), window);
  Value start = arith::IndexCastOp::create(
      b, b.getIndexType(),
      LLVM::PtrToIntOp::create(b, b.getI64Type(), workspace));
  return add(start, mul(number, constant(getRecordBytes(guess))));
}

/// Where state `i` at the start or the end of a window is, of a channel of its
/// tile.
Value ChannelEmitter::placeInRecord(const ChannelParameters &guess,
                                    Value record, bool isEnd, unsigned i,
                                    Value channel) {
  int64_t size = type.getIntOrFloatBitWidth() / 8;
  int64_t number = ((isEnd ? n : 0) + i) * guess.channels;
  Value offset =
      add(mul(channel, constant(size)), constant(markBytes + number * size));
  return pointerTo(add(record, offset), 1);
}

void ChannelEmitter::emitGuess() {
  // The kernel behind this one waits for its end itself, and is launched as
  // soon as there is room for it.
  NVVM::GriddepcontrolOp::create(b,
                                 NVVM::GridDepActionKind::launch_dependents);
  planReads();
  Segments at;
  for (unsigned i = 0; i < n; ++i)
    at.ends.push_back(shared(type, {p.segments, p.channels}));
  Value zero = constant(0), one = constant(1);
  auto sizes = emitWindows(p, pointsOfCall, numChannels, length);
  Value windows = sizes.first, blocks = sizes.second;
  Value window = mlir::gpu::BlockIdOp::create(b, mlir::gpu::Dimension::z);
  Value tile = mlir::gpu::BlockIdOp::create(b, mlir::gpu::Dimension::y);
  Value record = emitRecord(p, tile, window, windows);
  Value isFirst = equal(segment, zero);
  Value thread = mlir::gpu::ThreadIdOp::create(b, mlir::gpu::Dimension::x);
  auto mark = [&](int32_t value) {
    LLVM::StoreOp::create(
        b, arith::ConstantOp::create(b, b.getI32IntegerAttr(value)),
        pointerTo(record, 1));
  };
  emitIf(equal(thread, zero), [&] { mark(0); });

  Value number = add(mul(window, constant(p.segments)), segment);
  Value ahead = arith::MinSIOp::create(b, constant(p.ahead),
                                       mul(number, blocks));
  Value start = mul(number, mul(blocks, constant(p.steps)));
  Value first = sub(start, mul(ahead, constant(p.steps)));
  Values initials = emitInitials();
  auto byCopies = [&]() -> Values {
    Ahead copied = startCopies(first, ahead, blocks);
    Values states = emitCopiedSweep(first, ahead, copied, initials);
    startResults(copied, start);
    llvm::append_range(states,
                       emitCopiedSweep(start, blocks, copied, states));
    return states;
  };
  auto byLoads = [&]() -> Values {
    SmallVector<Value> raws = emitLoads({}, first, /*isWhole=*/true);
    Values states = emitSweep(
        first, ahead, /*isWhole=*/true, /*goesOn=*/true, raws, initials,
        [&](Step &step, Values past) { return emitNew(step, past); });
    llvm::append_range(states, emitResults(start, blocks, /*isWhole=*/true,
                                           raws, states));
    return states;
  };
  Values found; // where the segment starts, and where it ends
  if (copies.blocks) {
    SmallVector<Type> types(2 * n, type);
    auto test = scf::IfOp::create(b, types, createCopies(/*byRows=*/true),
                                  /*withElseRegion=*/true);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(test.thenBlock());
    scf::YieldOp::create(b, byCopies());
    b.setInsertionPointToStart(test.elseBlock());
    if (copies.canBeOfElements) {
      createCopies(/*byRows=*/false);
      scf::YieldOp::create(b, byCopies());
    } else {
      scf::YieldOp::create(b, byLoads());
    }
    found.assign(test.getResults().begin(), test.getResults().end());
  } else {
    found = byLoads();
  }
  ArrayRef<Value> starts = ArrayRef(found).take_front(n);
  ArrayRef<Value> ends = ArrayRef(found).drop_front(n);
  storeAll(at.ends, ends, {segment, channelInBlock});
  auto keep = [&](Value isThere, bool isEnd, ArrayRef<Value> states) {
    emitIf(isThere, [&] {
      for (auto [i, state] : llvm::enumerate(states))
        LLVM::StoreOp::create(
            b, state, placeInRecord(p, record, isEnd, i, channelInBlock));
    });
  };
  keep(isFirst, /*isEnd=*/false, starts);
  keep(equal(segment, constant(p.segments - 1)), /*isEnd=*/true, ends);
  barrier();
  at.isFirst = isFirst;
  at.before = {select(isFirst, segment, sub(segment, one)), channelInBlock};
  Value isBad = emitIsBad(emitDefects(at, starts), starts);
  emitIf(both(isBad, isOwn), [&] { mark(1); });
}

/// Where the windows that were guessed right end; the states there are carried
/// on.
Value ChannelEmitter::emitGuessed(const Segments &at) {
  const ChannelParameters &guess = *this->guess;
  Value zero = constant(0), one = constant(1);
  auto sizes = emitWindows(guess, pointsOfCall, numChannels, length);
  Value windows = select(equal(sequenceWidth, zero), sizes.first, zero);
  Value least = shared(b.getI32Type(), {1});
  auto narrow = [&](Value index) -> Value {
    return arith::IndexCastOp::create(b, b.getI32Type(), index);
  };
  Value thread = mlir::gpu::ThreadIdOp::create(b, mlir::gpu::Dimension::x);
  emitIf(equal(thread, zero), [&] {
    memref::StoreOp::create(b, narrow(windows), least, ValueRange{zero});
  });
  barrier();
  Value channel = add(firstChannel, channelInBlock);
  channel = select(isOwn, channel, zero);
  Value tile = div(channel, constant(guess.channels));
  Value place = rem(channel, constant(guess.channels));
  auto load = [&](Value record, bool isEnd) {
    Values states;
    for (unsigned i = 0; i < n; ++i)
      states.push_back(LLVM::LoadOp::create(
          b, type, placeInRecord(guess, record, isEnd, i, place)));
    return states;
  };
  // Each segment's thread looks at some.
  auto loop = scf::ForOp::create(b, segment, windows, constant(p.segments));
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Value window = loop.getInductionVar();
    Value isFirst = equal(window, zero);
    Value record = emitRecord(guess, tile, window, windows);
    Value before = emitRecord(
        guess, tile, select(isFirst, window, sub(window, one)), windows);
    Values starts = load(record, /*isEnd=*/false), defects;
    for (auto [start, end] : llvm::zip_equal(starts, load(before, true)))
      defects.push_back(select(isFirst, real(0),
                               arith::SubFOp::create(b, end, start)));
    Value mark =
        LLVM::LoadOp::create(b, b.getI32Type(), pointerTo(record, 1));
    Value isMarked = arith::CmpIOp::create(
        b, arith::CmpIPredicate::ne, mark,
        arith::ConstantOp::create(b, b.getI32IntegerAttr(0)));
    Value isBad =
        arith::OrIOp::create(b, isMarked, emitIsBad(defects, starts));
    emitIf(both(isBad, isOwn), [&] {
      Value place = memref::ExtractAlignedPointerAsIndexOp::create(b, least);
      Value number = narrow(window);
      LLVM::AtomicRMWOp::create(b, LLVM::AtomicBinOp::min, pointerTo(place, 3),
                                number, LLVM::AtomicOrdering::monotonic);
    });
  }
  barrier();
  Value done = arith::IndexCastOp::create(
      b, b.getIndexType(),
      memref::LoadOp::create(b, least, ValueRange{zero}));
  SmallVector<Type> types(n, type);
  emitIf(at.isFirst, [&] {
    auto test = scf::IfOp::create(b, types, less(zero, done),
                                  /*withElseRegion=*/true);
    {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(test.thenBlock());
      Value last = emitRecord(guess, tile, sub(done, one), windows);
      scf::YieldOp::create(b, load(last, /*isEnd=*/true));
      b.setInsertionPointToStart(test.elseBlock());
      scf::YieldOp::create(b, emitInitials());
    }
    storeAll(at.carry, test.getResults(), channelInBlock);
  });
  return mul(done, mul(sizes.second, constant(guess.segments * guess.steps)));
}
