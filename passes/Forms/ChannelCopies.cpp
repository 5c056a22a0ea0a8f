//===- ChannelCopies.cpp - Arguments on their way to shared memory --------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What is loaded some steps before it is needed has to be somewhere. In
// registers it competes with addresses and with what is computed, and the
// assembler puts such loads behind the steps that use the registers before:
// just before they are used themselves. So a warp, whose lanes are neighbouring
// channels, copies the rows of its steps into shared memory some blocks of
// steps ahead, 16 bytes a lane. Nobody else reads them there, and no barrier is
// needed.
//
// The steps before a segment are read here and, some time later, as the last
// ones of the segment before, by other threads. The second-level cache is asked
// to keep them until then. (A policy of the copies themselves would be shorter,
// but ptxas 13.0 encodes it wrongly where it finds that the place in shared
// memory is the same but for the thread's part.)
//
// Addresses are sums of the one before and a stride. That is hidden from LLVM,
// which would keep an address of every row of a block in registers.
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "passes/Forms/ChannelEmitter.h"
#include "passes/Forms/Storage.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::algebra;

using Values = ChannelEmitter::Values;

static constexpr int64_t bytesOfCopy = 16, lanesOfWarp = 32;

/// Bytes of an element of a read whose addresses differ by a stride from step
/// to step, and are neighbours for neighbouring channels; else 0.
int64_t ChannelEmitter::getRowElement(Expr read) {
  unsigned number = cast<BlockArgument>(read->value).getArgNumber();
  auto memref =
      dyn_cast<MemRefType>(Storage::getMemRefType(op.getInput(number)));
  if (!memref || !memref.getElementType().isIntOrFloat())
    return 0;
  SmallVector<unsigned> dims = dimsOf(/*isPrivate=*/false);
  ArrayRef<Expr> subscripts = read->subscripts();
  if (subscripts.size() < dims.size())
    return 0;
  for (auto [k, subscript] :
       llvm::zip_equal(dims, subscripts.take_back(dims.size())))
    if (subscript != s.indices[s.numBatch + k])
      return 0;
  for (Expr subscript : subscripts.drop_back(dims.size()))
    if (subscript != s.time &&
        (subscript->kind != Kind::Value || dependsOnTime(subscript) ||
         dependsOnChannel(subscript)))
      return 0;
  return memref.getElementTypeBitWidth() / 8;
}

/// How many blocks of steps fit into the memory that there is, where all
/// arguments of a step are rows.
void ChannelEmitter::planCopies() {
  constexpr int64_t most = 3, least = 2;
  int64_t bytes = 0;
  for (Expr read : s.findReads()) {
    if (!dependsOnTime(read))
      continue;
    int64_t size = getRowElement(read);
    if (!size)
      return;
    bytes += size * p.steps * getNumThreads();
    copies.canBeOfElements &= size >= 4;
  }
  // Ends of segments, a mark, and room for alignment.
  int64_t others = 8 * getNumThreads() * n + 1024;
  int64_t count = bytes ? std::min(most, (p.memory - others) / bytes) : 0;
  if (p.channels != lanesOfWarp || count < least)
    return;
  copies.blocks = count;
  copies.bytes = count * bytes;
}

/// What the compiler knows nothing about.
Value ChannelEmitter::hide(Value index) {
  Type i64 = b.getI64Type();
  Value value = arith::IndexCastOp::create(b, i64, index);
  value = LLVM::InlineAsmOp::create(
              b, i64, value, "mov.b64 $0, $1;", "=l,l",
              /*has_side_effects=*/false, /*is_align_stack=*/false,
              LLVM::TailCallKind::None, /*asm_dialect=*/LLVM::AsmDialectAttr(),
              /*operand_attrs=*/ArrayAttr())
              ->getResult(0);
  return arith::IndexCastOp::create(b, b.getIndexType(), value);
}

Value ChannelEmitter::pointerTo(Value address, unsigned space) {
  Value word = arith::IndexCastOp::create(b, b.getI64Type(), address);
  Type type = LLVM::LLVMPointerType::get(b.getContext(), space);
  return LLVM::IntToPtrOp::create(b, type, word);
}

/// The address of an element, and how far it is from that of one step before.
std::pair<Value, Value> ChannelEmitter::emitAddress(Value tensor,
                                                    ValueRange place,
                                                    ArrayRef<bool> isTime) {
  auto layout = memref::ExtractStridedMetadataOp::create(b, tensor);
  Type element = cast<MemRefType>(tensor.getType()).getElementType();
  int64_t size = element.getIntOrFloatBitWidth() / 8;
  Value offset = layout.getOffset(), stride = constant(0);
  for (auto [each, at, isOfTime] :
       llvm::zip_equal(layout.getStrides(), place, isTime)) {
    offset = add(offset, mul(each, at));
    if (isOfTime)
      stride = add(stride, each);
  }
  Value start = memref::ExtractAlignedPointerAsIndexOp::create(b, tensor);
  return {add(start, mul(offset, constant(size))),
          mul(stride, constant(s.reversed ? -size : size))};
}

/// Memory for the rows, and what a lane copies of those of a block: of the row
/// of step `u` what begins at `column`; and the same of others some steps
/// further on. Or else each lane copies the elements of its channel. Returns
/// whether that can be done: channels are in order, and pieces aligned.
Value ChannelEmitter::createCopies(bool byRows) {
  auto space = mlir::gpu::AddressSpaceAttr::get(
      b.getContext(), mlir::gpu::AddressSpace::Workgroup);
  auto bytesType = MemRefType::get({ShapedType::kDynamic}, b.getI8Type(),
                                   MemRefLayoutAttrInterface(), space);
  Value memory = mlir::gpu::DynamicSharedMemoryOp::create(b, bytesType);
  SmallVector<unsigned> dims = dimsOf(/*isPrivate=*/false);
  Value isPossible;
  auto check = [&](Value x, Value y) {
    isPossible = both(isPossible, equal(x, y));
  };
  Value zero = constant(0);
  int64_t used = 0;
  copies.rows.clear();
  for (auto [read, point] : direct) {
    Row row;
    row.element = getRowElement(read);
    row.piece = byRows ? bytesOfCopy : row.element;
    auto type =
        MemRefType::get({copies.blocks, p.segments, p.steps, lanesOfWarp},
                        getRawType(read), MemRefLayoutAttrInterface(), space);
    row.memory =
        memref::ViewOp::create(b, type, memory, constant(used), ValueRange());
    row.bytesOfSlot = p.segments * p.steps * lanesOfWarp * row.element;
    used += copies.blocks * row.bytesOfSlot;
    int64_t lanesOfRow = lanesOfWarp * row.element / row.piece;
    row.count = std::min(lanesOfWarp / lanesOfRow, p.steps);
    row.u = div(channelInBlock, constant(lanesOfRow));
    Value column = mul(rem(channelInBlock, constant(lanesOfRow)),
                       constant(row.piece / row.element));
    if (row.count * lanesOfRow < lanesOfWarp)
      row.isThere = less(row.u, constant(row.count));
    Value place = add(mul(segment, constant(p.steps)), row.u);
    place = add(mul(place, constant(lanesOfWarp)), column);
    row.place =
        add(memref::ExtractAlignedPointerAsIndexOp::create(b, row.memory),
            mul(place, constant(row.element)));
    Scope scope(base);
    scope.values[s.time] = zero;
    if (byRows) {
      // Behind the last channel: the first ones of the tile once more.
      column = add(firstChannel, column);
      column = select(less(column, numChannels), column, firstChannel);
      unravel(column, dims, scope);
    }
    SmallVector<bool> isTime;
    for (Expr subscript : read->subscripts())
      isTime.push_back(subscript == s.time);
    std::tie(row.source, row.stride) =
        emitAddress(getTensor(read), emitSubscripts(read, scope), isTime);
    copies.rows.push_back(row);
    if (!byRows)
      continue;
    Value piece = constant(row.piece);
    check(rem(row.source, piece), zero);
    check(rem(row.stride, piece), zero);
    check(rem(mul(numChannels, constant(row.element)), piece), zero);
    auto layout = memref::ExtractStridedMetadataOp::create(b, getTensor(read));
    ValueRange strides = ValueRange(layout.getStrides()).take_back(dims.size());
    Value expected = constant(1);
    for (unsigned i = dims.size(); i-- > 0;) {
      check(strides[i], expected);
      expected = mul(expected,
                     emit(context.leaf(s.extents[s.numBatch + dims[i]]), base));
    }
  }
  return isPossible;
}

/// Asks the second-level cache to keep the rows of a block of steps, where most
/// of what is read comes once.
void ChannelEmitter::emitKeeps(ArrayRef<Value> sources) {
  for (auto [row, source] : llvm::zip_equal(copies.rows, sources)) {
    Value hop = mul(row.stride, constant(row.count)), at = source;
    for (int64_t u = 0; u < p.steps; u += row.count) {
      Value word = arith::IndexCastOp::create(b, b.getI64Type(), at);
      emitIf(row.isThere, [&] {
        LLVM::InlineAsmOp::create(
            b, TypeRange(), ValueRange{word},
            "prefetch.global.L2::evict_last [$0];", "l",
            /*has_side_effects=*/true, /*is_align_stack=*/false,
            LLVM::TailCallKind::None, /*asm_dialect=*/LLVM::AsmDialectAttr(),
            /*operand_attrs=*/ArrayAttr());
      });
      at = add(at, hop);
    }
  }
}

/// Copies the block of steps at the sources into `slot`, if one is left; they
/// and what is left become those behind it.
void ChannelEmitter::emitCopies(Ahead &ahead, Value slot) {
  Value isLeft = less(constant(0), ahead.left);
  auto test = scf::IfOp::create(b, ValueRange(ahead.sources).getTypes(), isLeft,
                                /*withElseRegion=*/true);
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(test.thenBlock());
    Values sources = ahead.sources;
    for (unsigned k = 0; k < sources.size(); ++k) {
      const Row &row = copies.rows[k];
      Value hop = mul(row.stride, constant(row.count));
      Value place = add(row.place, mul(slot, constant(row.bytesOfSlot)));
      int64_t bytes = lanesOfWarp * row.element * row.count;
      auto cache = row.piece == bytesOfCopy ? NVVM::LoadCacheModifierKind::CG
                                            : NVVM::LoadCacheModifierKind::CA;
      for (int64_t u = 0; u < p.steps; u += row.count) {
        emitIf(row.isThere, [&] {
          Value to = add(place, constant(u / row.count * bytes));
          NVVM::CpAsyncOp::create(b, pointerTo(to, 3),
                                  pointerTo(sources[k], 1),
                                  static_cast<uint32_t>(row.piece), cache,
                                  Value());
        });
        sources[k] = hide(add(sources[k], hop));
      }
    }
    // After the copies, which would change how long it is kept. From the first
    // results on there is nothing to keep.
    if (ahead.targets.empty())
      emitIf(less(ahead.last, ahead.left), [&] { emitKeeps(ahead.sources); });
    scf::YieldOp::create(b, sources);
    b.setInsertionPointToStart(test.elseBlock());
    scf::YieldOp::create(b, ahead.sources);
  }
  NVVM::CpAsyncCommitGroupOp::create(b);
  ahead.sources.assign(test.getResults().begin(), test.getResults().end());
  ahead.left = sub(ahead.left, constant(1));
}

/// The first of `before` and then `count` blocks of steps from `first` on. What
/// is in the first ones is read once more.
ChannelEmitter::Ahead ChannelEmitter::startCopies(Value first, Value before,
                                                  Value count) {
  Ahead ahead;
  ahead.slot = constant(0);
  ahead.left = add(before, count);
  ahead.last = count;
  Value time = timeOf(first, /*isWhole=*/true);
  for (const Row &row : copies.rows) {
    // The source is at time 0; the stride is that of the direction.
    Value ofTime = s.reversed ? sub(constant(0), time) : time;
    ahead.sources.push_back(
        add(row.source, mul(add(ofTime, row.u), row.stride)));
  }
  for (int64_t i = 0; i + 1 < copies.blocks; ++i)
    emitCopies(ahead, constant(i));
  return ahead;
}

/// Results are stored from step `first` on.
void ChannelEmitter::startResults(Ahead &ahead, Value first) {
  Value time = timeOf(first, /*isWhole=*/true);
  for (const ChannelStructure::Result &result : s.results) {
    Values place = arrangeOutput(
        result.output, placeOf(result, time, basePoints.front()));
    SmallVector<bool> isTime;
    for (Value index : place)
      isTime.push_back(index == time);
    auto [target, stride] =
        emitAddress(getOutput(result.output), place, isTime);
    ahead.targets.push_back(target);
    ahead.targetStrides.push_back(stride);
  }
}

void ChannelEmitter::emitResultsAt(Ahead &ahead, Step &step) {
  Values values;
  for (const ChannelStructure::Result &result : s.results)
    values.push_back(pack(emit(result.value, step.points.front()),
                          cast<MemRefType>(getOutput(result.output).getType())
                              .getElementType()));
  emitIf(isOwn, [&] {
    for (auto [value, target] : llvm::zip_equal(values, ahead.targets))
      LLVM::StoreOp::create(b, value, pointerTo(target, 1));
  });
  for (auto [target, stride] :
       llvm::zip_equal(ahead.targets, ahead.targetStrides))
    target = hide(add(target, stride));
}

/// `count` blocks of steps from `first` on, which are the next ones.
Values ChannelEmitter::emitCopiedSweep(Value first, Value count, Ahead &ahead,
                                       ValueRange states) {
  unsigned numStates = states.size(), numRows = copies.rows.size();
  Values carried(states);
  llvm::append_range(carried, ahead.sources);
  llvm::append_range(carried, ahead.targets);
  carried.push_back(ahead.slot);
  carried.push_back(ahead.left);
  auto loop = scf::ForOp::create(b, constant(0), count, constant(1), carried);
  auto take = [&](Ahead &ahead, ValueRange values) {
    values = values.drop_front(numStates);
    llvm::copy(values.take_front(numRows), ahead.sources.begin());
    llvm::copy(values.drop_front(numRows).drop_back(2), ahead.targets.begin());
    ahead.slot = values.drop_back().back();
    ahead.left = values.back();
  };
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  Values now(loop.getRegionIterArgs().take_front(numStates));
  Ahead here = ahead;
  take(here, loop.getRegionIterArgs());
  NVVM::CpAsyncWaitGroupOp::create(b, copies.blocks - 2);
  NVVM::SyncWarpOp::create(
      b, arith::ConstantOp::create(b, b.getI32IntegerAttr(-1)));
  Values raws;
  for (int64_t u = 0; u < p.steps; ++u)
    for (const Row &row : copies.rows)
      raws.push_back(memref::LoadOp::create(
          b, row.memory,
          ValueRange{here.slot, segment, constant(u), channelInBlock}));
  // All lanes have read the slot of the block before.
  Value lastSlot = constant(copies.blocks - 1);
  emitCopies(here, select(equal(here.slot, constant(0)), lastSlot,
                          sub(here.slot, constant(1))));
  Value start = add(first, mul(loop.getInductionVar(), constant(p.steps)));
  for (int64_t u = 0; u < p.steps; ++u) {
    Step &step = emitStep(add(start, constant(u)), /*isWhole=*/true);
    bindRaws(step, ArrayRef(raws).slice(u * numRows, numRows));
    Values past = std::exchange(now, emitNew(step, now));
    if (here.targets.empty())
      continue;
    bindStates(step, past, now);
    emitResultsAt(here, step);
  }
  llvm::append_range(now, here.sources);
  llvm::append_range(now, here.targets);
  now.push_back(select(equal(here.slot, lastSlot), constant(0),
                       add(here.slot, constant(1))));
  now.push_back(here.left);
  scf::YieldOp::create(b, now);
  take(ahead, loop.getResults());
  return Values(loop.getResults().take_front(numStates));
}
