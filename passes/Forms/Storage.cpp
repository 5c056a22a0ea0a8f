//===- Storage.cpp - Where tensors are kept -------------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Forms/Storage.h"

using namespace mlir;
using namespace rondo;

Type Storage::getMemoryType(Type element) {
  if (element.isInteger(1))
    return IntegerType::get(element.getContext(), 8);
  if (element.isIndex())
    return IntegerType::get(element.getContext(), 64);
  return element;
}

MemRefType Storage::getMemRefType(TensorSpecAttr spec) {
  unsigned rank = spec.getShape().getNumResults();
  SmallVector<int64_t> shape(rank, ShapedType::kDynamic);
  Type element = getMemoryType(spec.getElementType());
  if (rank == 0)
    return MemRefType::get(shape, element);
  SmallVector<int64_t> strides(rank, ShapedType::kDynamic);
  strides.back() = 1;
  return MemRefType::get(
      shape, element,
      StridedLayoutAttr::get(spec.getContext(), /*offset=*/0, strides));
}

Storage::Storage(Program &program, const Clusters &clusters, const Rows *rows,
                 ChannelBlocks *channels)
    : rows(rows), channels(channels), program(program), clusters(clusters) {
  if (rows)
    addGroups();
  for (std::unique_ptr<Tensor> &tensor : program.tensors)
    place(tensor.get());
  placeInitials();
  if (!channels)
    return;
  separateBlocks();
  channels->block = chooseBlock();
}

/// Blocks take turns: each has its own of what they leave behind.
void Storage::separateBlocks() {
  for (const auto &[tensor, place] : byTensor)
    if (place.kind == TensorStorage::Kind::Buffer) {
      Buffer &buffer = buffers[place.number];
      buffer.isOfBlocks |=
          place.isContracted()
              ? place.prefilled
              : channels->getDim(buffer.sizes).has_value();
    }
  for (const Snapshot &snapshot : snapshots)
    buffers[snapshot.buffer].isOfBlocks = true;
}

/// As many channels as keep what lasts for more than a step in the first-level
/// cache.
int64_t Storage::chooseBlock() const {
  constexpr int64_t typicalExtent = 16; // where it is not known
  int64_t bytes = 1;                    // of a channel
  llvm::DenseSet<unsigned> counted;
  for (const auto &[tensor, place] : byTensor) {
    if (place.kind != TensorStorage::Kind::Buffer ||
        (place.isContracted() && !place.prefilled) ||
        !counted.insert(place.number).second)
      continue;
    const Buffer &buffer = buffers[place.number];
    if (!channels->getDim(buffer.sizes))
      continue;
    int64_t here = llvm::divideCeil(buffer.element.getIntOrFloatBitWidth(), 8);
    for (AffineExpr size : buffer.sizes) {
      auto known = dyn_cast<AffineConstantExpr>(size);
      if (size != channels->size)
        here *= known ? std::max<int64_t>(known.getValue(), 1) : typicalExtent;
    }
    bytes += here;
  }
  int64_t block = llvm::PowerOf2Ceil(ChannelBlocks::kBytes / bytes + 1) / 2;
  return std::clamp(block, ChannelBlocks::kLeast, ChannelBlocks::kMost);
}

LogicalResult Storage::verify() const {
  for (std::unique_ptr<Tensor> &tensor : program.tensors)
    if (tensor->producer && tensor->producer->isCarried() &&
        !of(tensor.get()).isContracted())
      return tensor->producer->op.emitOpError()
             << "of an inner recurrence with states is read at other steps "
                "than this one and, in time, the one before";
  return success();
}

const Snapshot *Storage::getSnapshot(const Access &access) const {
  auto it = snapshotOf.find(&access);
  return it == snapshotOf.end() ? nullptr : &snapshots[it->second];
}

//===----------------------------------------------------------------------===//
// Buffers
//===----------------------------------------------------------------------===//

unsigned Storage::addBuffer(SmallVector<AffineExpr> sizes, Type element,
                            int cluster) {
  buffers.push_back({std::move(sizes), getMemoryType(element), cluster});
  return buffers.size() - 1;
}

/// The dims that are not batch dims, channels last.
SmallVector<unsigned> Storage::getOrder(const Tensor &tensor) const {
  SmallVector<unsigned> order;
  for (unsigned dim = tensor.numBatch; dim < tensor.getRank(); ++dim)
    order.push_back(dim);
  if (!channels)
    return order;
  auto place = llvm::find_if(order, [&](unsigned dim) {
    return tensor.shape[dim] == channels->size;
  });
  if (place != order.end())
    std::rotate(place, place + 1, order.end());
  return order;
}

/// Gives a tensor a buffer with the dims that its contraction leaves.
void Storage::makeBuffer(Tensor *tensor, TensorStorage &storage, int cluster) {
  storage.kind = TensorStorage::Kind::Buffer;
  SmallVector<AffineExpr> sizes;
  SmallVector<unsigned> timeDims;
  if (storage.isContracted())
    timeDims = tensor->producer->timeDims;
  if (storage.hasRingDim()) {
    storage.dims.push_back(timeDims[storage.level]);
    sizes.push_back(program.exprs.getConstant(storage.ring));
  }
  if (rows) {
    storage.dims.push_back(rows->dim);
    sizes.push_back({});
  }
  for (unsigned dim : getOrder(*tensor)) {
    auto loop = llvm::find(timeDims, dim);
    if (tensor->producer && tensor->producer->isCarriedDim(dim))
      continue;
    if (loop != timeDims.end() && loop - timeDims.begin() <= storage.level)
      continue;
    storage.dims.push_back(dim);
    sizes.push_back(program.getLargest(tensor->shape[dim]));
  }
  auto place = rows && tensor->producer ? rows->find(tensor->producer)
                                        : std::nullopt;
  if (!place) {
    storage.number = addBuffer(sizes, tensor->element, cluster);
    return;
  }
  auto [group, slot] = *place;
  storage.number = groups[group].results;
  storage.slot = slot;
  sizes.insert(sizes.begin(),
               program.exprs.getConstant(rows->groups[group].members.size()));
  buffers[storage.number].sizes = sizes;
}

/// The sizes of the results are known when these are placed.
void Storage::addGroups() {
  for (const ProductGroup &group : rows->groups) {
    const Product &first = group.members[0];
    SmallVector<AffineExpr> sizes = {
        program.exprs.getConstant(group.members.size())};
    for (Value index : first.packed)
      sizes.push_back(program.getIndexSize(*first.statement, index));
    Type element = first.statement->result->element;
    int cluster = group.cluster->id;
    unsigned matrices = addBuffer(sizes, element, cluster);
    groups.push_back({matrices, addBuffer({}, element, cluster)});
  }
}

void Storage::place(Tensor *tensor) {
  TensorStorage &storage = byTensor[tensor];
  switch (tensor->kind) {
  case Tensor::Kind::Argument:
    storage.kind = TensorStorage::Kind::Input;
    storage.number = tensor->argument;
    for (unsigned dim = 0; dim < tensor->getRank(); ++dim)
      storage.dims.push_back(dim);
    return;
  case Tensor::Kind::Initial:
    return; // placeInitials
  case Tensor::Kind::Final:
    if (tensor->producer) {
      // What the state holds after the last step of an inner recurrence.
      storage = of(tensor->state);
      storage.prefilled = false;
      for (unsigned &dim : storage.dims)
        --dim; // it lacks the dim of the recurrence
      return;
    }
    if (!tensor->uses.empty())
      makeBuffer(tensor, storage, /*cluster=*/-1);
    return;
  case Tensor::Kind::Equation:
  case Tensor::Kind::Member:
    return placeMember(tensor, storage);
  }
}

/// Places what a statement defines.
void Storage::placeMember(Tensor *tensor, TensorStorage &storage) {
  bool isContracted = contract(tensor, storage);
  int cluster = isContracted ? clusters.of(tensor->node)->id : -1;
  if (tensor->output < 0) {
    makeBuffer(tensor, storage, cluster);
    return;
  }
  TensorSpecAttr spec = program.kernel.getOutput(tensor->output);
  bool sameType =
      getMemoryType(spec.getElementType()) == getMemoryType(tensor->element);
  bool readsOthersOnly = llvm::all_of(tensor->uses, [&](Access *access) {
    return clusters.isInside(*access) && clusters.getTiming(*access).isSame();
  });
  bool inPlace =
      spec.getRole() == Role::Result &&
      (sameType ? !isContracted || readsOthersOnly
                : tensor->uses.empty() && !tensor->producer->isReduction());
  // One point of the batch dims that a result lacks writes it.
  if (spec.getShape().getNumResults() < tensor->getRank())
    inPlace = false;
  // The final value of a state is easier to find in a slot.
  if (tensor->final && isContracted)
    inPlace = false;
  if (!inPlace) {
    storage.isCopiedOut = true;
    makeBuffer(tensor, storage, cluster);
    return;
  }
  storage = TensorStorage();
  storage.kind = TensorStorage::Kind::Output;
  storage.number = tensor->output;
  for (unsigned d = 0; d < tensor->getRank(); ++d)
    storage.dims.push_back(spec.getReturnedDim(d));
}

/// Initial values: in the state's own slot when nobody else needs them.
void Storage::placeInitials() {
  for (std::unique_ptr<Tensor> &owned : program.tensors) {
    Tensor *tensor = owned.get();
    if (tensor->kind != Tensor::Kind::Initial)
      continue;
    SmallVector<Tensor *> states;
    for (std::unique_ptr<Tensor> &state : program.tensors)
      if (state->initial == tensor)
        states.push_back(state.get());
    TensorStorage &storage = byTensor[tensor];
    bool alone = states.size() == 1 && tensor->output < 0;
    if (alone) {
      const TensorStorage &slot = of(states[0]);
      alone = slot.ring == 1 && slot.prefilled &&
              clusters.of(states[0]->node)->loops.size() == 1 &&
              llvm::all_of(tensor->uses, [&](Access *access) {
                return access->tensor == states[0] &&
                       clusters.isInside(*access) && isServedByPrefill(*access);
              });
    }
    if (!alone) {
      makeBuffer(tensor, storage, /*cluster=*/-1);
      continue;
    }
    storage.kind = TensorStorage::Kind::Buffer;
    storage.number = of(states[0]).number;
    if (rows)
      storage.dims.push_back(rows->dim);
    llvm::append_range(storage.dims, getOrder(*tensor));
    // It is written before the loop, maybe by an earlier cluster.
    buffers[storage.number].cluster = -1;
  }
}

//===----------------------------------------------------------------------===//
// Contraction
//===----------------------------------------------------------------------===//

/// A statement that reads, at the point that it computes, the step before.
bool Storage::isElementwise(const Access &access) const {
  Statement *writer = access.tensor->producer;
  if (access.reader != writer || writer->isReduction())
    return false;
  for (unsigned dim = 0; dim < access.subscripts.size(); ++dim)
    if (!llvm::is_contained(writer->timeDims, dim) &&
        !writer->isCarriedDim(dim) &&
        program.exprs.get(access.subscripts[dim]) !=
            program.exprs.get(writer->indices[dim]))
      return false;
  return true;
}

bool Storage::readsOverwritten(const Access &access) const {
  const TensorStorage &storage = of(access.tensor);
  if (access.isPast && access.tensor->producer->isCarried())
    return isElementwise(access) && isServedByPrefill(access);
  return storage.ring == 1 && storage.prefilled && clusters.isInside(access) &&
         access.reader == access.tensor->producer && !getSnapshot(access) &&
         clusters.getTiming(access).isPrevious(storage.level) &&
         isElementwise(access) && isServedByPrefill(access);
}

bool Storage::isServedByPrefill(const Access &access) const {
  const Tensor *tensor = access.tensor;
  if (!tensor->initial)
    return !access.fallback;
  if (access.fallback != tensor->initial)
    return false;
  if (tensor->producer->isCarried()) {
    // The initial value has the same last dims.
    unsigned rest = tensor->getRank() - tensor->producer->innerDims[0] - 1;
    ArrayRef<Value> here(access.subscripts), there(access.fallbackSubscripts);
    return llvm::equal(here.take_back(rest), there.take_back(rest),
                       [&](Value a, Value b) {
                         return program.exprs.get(a) == program.exprs.get(b);
                       });
  }
  unsigned next = 0;
  ArrayRef<unsigned> timeDims = tensor->producer->timeDims;
  for (unsigned dim = 0; dim < tensor->getRank(); ++dim) {
    if (llvm::is_contained(timeDims, dim))
      continue;
    if (program.exprs.get(access.subscripts[dim]) !=
        program.exprs.get(access.fallbackSubscripts[next++]))
      return false;
  }
  return true;
}

/// Whether the read is x[t - t mod n - 1] in a forward loop, and the n.
bool Storage::isBlockEnd(const Access &access, const Timing &timing,
                         AffineExpr &period) const {
  const Cluster *cluster = clusters.of(access.reader->node);
  if (cluster->loops.size() != 1 || access.reader->blockSize ||
      !isServedByPrefill(access) ||
      cluster->loops[0].direction != Direction::Forward)
    return false;
  auto mod = dyn_cast<AffineBinaryOpExpr>(
      program.exprs.simplify(timing.distances[0].expr - 1));
  AffineExpr now =
      program.exprs.get(access.reader->indices[access.reader->timeDims[0]]);
  if (!mod || mod.getKind() != AffineExprKind::Mod || mod.getLHS() != now)
    return false;
  period = mod.getRHS();
  return true;
}

/// Decides whether a tensor is contracted, and how; fills in ring, level and
/// prefilled.
bool Storage::contract(Tensor *tensor, TensorStorage &storage) {
  const Cluster *cluster = clusters.of(tensor->node);
  unsigned numLoops = cluster->loops.size();
  if (!numLoops || tensor->producer->blockSize)
    return false;
  SmallVector<Timing> timings;
  unsigned level = numLoops - 1;
  bool readsEarlier = false, hasSnapshots = false;
  for (Access *access : tensor->uses) {
    // The initial value of an inner recurrence, which follows.
    if (access->fallback == tensor && access->tensor != tensor &&
        access->tensor->producer->isCarried() &&
        clusters.of(access->reader->node) == cluster)
      continue;
    if (access->tensor != tensor || !clusters.isInside(*access))
      return false;
    Timing timing = clusters.getTiming(*access);
    AffineExpr period;
    readsEarlier |= !timing.isSame();
    if (isBlockEnd(*access, timing, period)) {
      hasSnapshots = true;
      continue;
    }
    if (!timing.isAligned())
      return false;
    level = std::min(level, timing.getLevel());
    timings.push_back(timing);
  }
  int64_t greatest = 0;
  for (const Timing &timing : timings) {
    const Distance &distance = timing.distances[level];
    if (!distance.max || *distance.max > (1 << 20))
      return false;
    greatest = std::max(greatest, *distance.max);
  }
  bool isCarried = tensor->producer->isCarried();
  if (isCarried && !fitsCarried(tensor))
    return false;
  bool keepsFinal = tensor->final && numLoops == 1 && !isCarried;
  storage.level = level;
  storage.ring = 1;
  storage.prefilled = readsEarlier || keepsFinal;
  if (greatest > 1 || (greatest == 1 && needsRingDim(tensor, level)))
    storage.ring = greatest + 1;
  if (hasSnapshots)
    addSnapshots(tensor);
  return true;
}

/// Whether one step of an inner recurrence is enough: what is read of the step
/// before is read before it is overwritten.
bool Storage::fitsCarried(const Tensor *tensor) const {
  const Statement *writer = tensor->producer;
  AffineExpr step = program.exprs.get(writer->indices[writer->innerDims[0]]);
  return llvm::all_of(tensor->uses, [&](Access *access) {
    if (access->tensor != tensor)
      return true;
    AffineExpr point =
        program.exprs.get(access->subscripts[writer->innerDims[0]]);
    if (access->reader->inner != writer->inner)
      return false;
    if (point == step)
      return !access->isPast;
    return access->isPast && point == step - 1 && isServedByPrefill(*access) &&
           (access->reader == writer
                ? isElementwise(*access)
                : access->reader->position < writer->position);
  });
}

/// Whether some statement reads the step before after it was overwritten.
bool Storage::needsRingDim(Tensor *tensor, unsigned level) const {
  Statement *writer = tensor->producer;
  return llvm::any_of(tensor->uses, [&](Access *access) {
    Timing timing = clusters.getTiming(*access);
    AffineExpr period;
    if (timing.distances[level].isExactly(0) ||
        isBlockEnd(*access, timing, period))
      return false;
    if (!timing.isPrevious(level))
      return true;
    return access->reader == writer
               ? !isElementwise(*access)
               : access->reader->position > writer->position;
  });
}

void Storage::addSnapshots(Tensor *tensor) {
  Statement *writer = tensor->producer;
  SmallVector<AffineExpr> sizes;
  for (unsigned dim = tensor->numBatch; dim < tensor->getRank(); ++dim)
    if (dim != writer->timeDims[0])
      sizes.push_back(tensor->shape[dim]);
  for (Access *access : tensor->uses) {
    AffineExpr period;
    if (!isBlockEnd(*access, clusters.getTiming(*access), period))
      continue;
    auto it = llvm::find_if(snapshots, [&](const Snapshot &snapshot) {
      return snapshot.tensor == tensor && snapshot.period == period;
    });
    if (it == snapshots.end()) {
      snapshots.push_back(
          {tensor, period,
           addBuffer(sizes, tensor->element, clusters.of(tensor->node)->id)});
      it = std::prev(snapshots.end());
    }
    snapshotOf[access] = it - snapshots.begin();
  }
}
