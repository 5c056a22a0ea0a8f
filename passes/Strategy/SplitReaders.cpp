//===- SplitReaders.cpp - Copies of states for those who read them --------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/IR/IRMapping.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "passes/Algebra/Inline.h"
#include "passes/Analysis/Facts.h"
#include "passes/Strategy/FormTable.h"
#include "passes/Strategy/Passes.h"
#include "llvm/ADT/MapVector.h"

namespace rondo {
#define GEN_PASS_DEF_SPLITREADERS
#include "passes/Strategy/Passes.h.inc"
} // namespace rondo

using namespace mlir;
using namespace rondo;
using namespace rondo::analysis;

namespace {

/// Dims of the state, behind batch and along dims, that a read sums over.
using Dims = SmallVector<unsigned>;

/// Splits one recurrence. What it gives up on is left half done: it is tried on
/// a copy of the kernel first.
class Splitter {
public:
  explicit Splitter(RecurrenceOp op)
      : op(op), numBatch(op.getBatch()), copies{op} {}

  /// False where readers can't be told apart, or there is nothing to split.
  bool run();
  ArrayRef<RecurrenceOp> getCopies() const { return copies; }

private:
  bool isInside(Value value) {
    Block *block = value.getParentBlock();
    return op.getBody().findAncestorBlockInRegion(*block) != nullptr;
  }
  bool findContracting();
  bool moveLocalsOut();
  Value outside(Value slice);
  bool cloneBody(EquationOp from, EquationOp to, IRMapping &mapping);
  Value mapScalar(OpBuilder &builder, Value value, IRMapping &mapping);
  bool findReaders();
  std::optional<Dims> contracted(EquationOp reader);
  SmallVector<unsigned> orderOf(const Dims &dims);
  Value permuted(OpBuilder &builder, const Twine &name, Value tensor,
                 ValueRange sizes, ArrayRef<unsigned> order);
  void replace();
  RecurrenceOp copyFor(const Dims &dims, OpBuilder &builder);
  EquationOp permuteState(OpBuilder &builder, EquationOp from,
                          IRMapping &mapping, ArrayRef<unsigned> order);
  void permuteRead(ReadOp read, Value source, unsigned first, Value initial,
                   ArrayRef<unsigned> order);

  RecurrenceOp op;
  unsigned numBatch;
  SmallVector<RecurrenceOp> copies;
  /// Reductions of the region that depend on the past.
  SmallVector<EquationOp> contracting;
  /// Equations of the kernel that say what those of the region do.
  llvm::DenseMap<Value, Value> moved;
  llvm::MapVector<Dims, SmallVector<EquationOp>, std::map<Dims, unsigned>>
      readers;
  Operation *last = nullptr;                 // behind which equations are put
  std::pair<RecurrenceOp, Dims> replacement; // the copy in place of `op`
  bool isChanged = false;                    // other than by copies
};

//===----------------------------------------------------------------------===//
// Equations of the region, outside
//===----------------------------------------------------------------------===//

bool Splitter::findContracting() {
  llvm::DenseSet<Value> depending;
  for (EquationOp equation : op.getBlock().getOps<EquationOp>()) {
    bool depends = false, gathers = false;
    equation.walk([&](Operation *each) {
      gathers |= isa<GatherOp>(each);
      if (auto read = dyn_cast<ReadOp>(each))
        depends |= read.getSource() == op.getPast(0) ||
                   depending.contains(read.getSource());
    });
    // Locals that are read at other steps stay.
    for (unsigned m = 1; m < op.getNumMembers(); ++m)
      if (!op.getPast(m).use_empty())
        return false;
    if (gathers)
      return false;
    if (!depends)
      continue;
    depending.insert(equation.getResult());
    if (equation.getCombiner())
      contracting.push_back(equation);
  }
  return true;
}

/// A scalar of the region's block or of an equation in it, in another body.
Value Splitter::mapScalar(OpBuilder &builder, Value value, IRMapping &mapping) {
  if (Value known = mapping.lookupOrNull(value))
    return known;
  Operation *from = value.getDefiningOp();
  if (!from || from->getBlock() != &op.getBlock() || isa<EquationOp>(from))
    return value;
  for (Value operand : from->getOperands())
    mapScalar(builder, operand, mapping);
  return builder.clone(*from, mapping)->getResult(0);
}

/// What `from`, of the region, says, with its tensors read outside.
bool Splitter::cloneBody(EquationOp from, EquationOp to, IRMapping &mapping) {
  OpBuilder inner = OpBuilder::atBlockEnd(&to.getBlock());
  Value step = mapping.lookup(op.getAlongIndices()[0]);
  for (Operation &each : from.getBlock()) {
    if (each.getNumRegions())
      return false;
    for (Value operand : each.getOperands())
      if (!isa<RankedTensorType>(operand.getType()))
        mapping.map(operand, mapScalar(inner, operand, mapping));
    auto read = dyn_cast<ReadOp>(each);
    Value source = read ? read.getSource() : Value();
    if (!source || !isInside(source)) {
      inner.clone(each, mapping);
      continue;
    }
    SmallVector<Value> subscripts, fallbacks;
    for (Value subscript : read.getSubscripts())
      subscripts.push_back(mapping.lookupOrDefault(subscript));
    for (Value subscript : read.getFallbackSubscripts())
      fallbacks.push_back(mapping.lookupOrDefault(subscript));
    Value now = op.getHistory(0);
    if (source != op.getPast(0)) {
      now = outside(source);
      if (!now)
        return false;
      subscripts.insert(subscripts.begin() + numBatch, step);
    }
    Value result = ReadOp::create(inner, each.getLoc(), read.getType(), now,
                                  subscripts, read.getFallback(), fallbacks);
    mapping.map(read.getResult(), result);
  }
  return true;
}

/// The history of what an equation of the region says, computed outside from
/// the state's; null if that can't be done.
Value Splitter::outside(Value slice) {
  if (slice == op.getSlice(0))
    return op.getHistory(0);
  auto [it, isNew] = moved.try_emplace(slice, Value());
  if (!isNew)
    return it->second;
  auto from = slice.getDefiningOp<EquationOp>();
  if (!from || from->getBlock() != &op.getBlock() ||
      llvm::any_of(from->getOperands(),
                   [&](Value size) { return isInside(size); }))
    return Value();
  SmallVector<Value> sizes(from.getSizes());
  sizes.insert(sizes.begin() + numBatch, op.getSizes()[0]);
  Type element =
      cast<RankedTensorType>(from.getResult().getType()).getElementType();
  OpBuilder builder(op);
  auto to = EquationOp::create(builder, from.getLoc(), from.getName(), element,
                               sizes, from.getLowers(), from.getUppers(),
                               from.getCombiner());
  IRMapping mapping;
  SmallVector<Value> indices(to.getBlock().getArguments());
  mapping.map(op.getAlongIndices()[0], indices[numBatch]);
  indices.erase(indices.begin() + numBatch);
  mapping.map(from.getBlock().getArguments(), indices);
  if (!cloneBody(from, to, mapping)) {
    to.erase();
    return Value();
  }
  // Behind what it reads.
  to->moveAfter(last);
  last = to;
  moved[slice] = to.getResult();
  return to.getResult();
}

bool Splitter::moveLocalsOut() {
  last = op;
  for (unsigned m = 1; m < op.getNumMembers(); ++m) {
    if (op.getHistory(m).use_empty())
      continue;
    Value history = outside(op.getSlice(m));
    if (!history)
      return false;
    op.getHistory(m).replaceAllUsesWith(history);
    isChanged = true;
  }
  for (EquationOp equation : contracting)
    if (!outside(equation.getResult()))
      return false;
  return true;
}

//===----------------------------------------------------------------------===//
// Readers
//===----------------------------------------------------------------------===//

std::optional<Dims> Splitter::contracted(EquationOp reader) {
  std::optional<Dims> all;
  for (auto read : reader.getBlock().getOps<ReadOp>()) {
    if (read.getSource() != op.getHistory(0))
      continue;
    Dims dims;
    for (auto [k, subscript] :
         llvm::enumerate(read.getSubscripts().drop_front(numBatch + 1))) {
      auto argument = dyn_cast<BlockArgument>(subscript);
      if (argument && argument.getOwner() == &reader.getBlock() &&
          argument.getArgNumber() >= reader.getSizes().size())
        dims.push_back(k);
    }
    if (all && *all != dims)
      return std::nullopt;
    all = dims;
  }
  return all;
}

/// Readers of the state by what they sum it over.
bool Splitter::findReaders() {
  SmallVector<EquationOp> all;
  for (Operation *user : op.getHistory(0).getUsers()) {
    auto reader = dyn_cast<EquationOp>(user->getParentOp());
    if (!isa<ReadOp>(user) || !reader || reader->getBlock() != op->getBlock())
      return false;
    if (!llvm::is_contained(all, reader))
      all.push_back(reader);
  }
  llvm::sort(all,
             [](EquationOp a, EquationOp b) { return a->isBeforeInBlock(b); });
  for (EquationOp reader : all) {
    std::optional<Dims> dims = contracted(reader);
    if (!dims || dims->empty())
      return false;
    readers[*dims].push_back(reader);
  }
  return !readers.empty();
}

/// `values` with those behind the first `first` in another order.
static SmallVector<Value> permute(ValueRange values, unsigned first,
                                  ArrayRef<unsigned> order) {
  SmallVector<Value> result(values.take_front(first));
  for (unsigned dim : order)
    result.push_back(values[first + dim]);
  return result;
}

/// Another source for a read of the state, with its dims in another order.
void Splitter::permuteRead(ReadOp read, Value source, unsigned first,
                           Value initial, ArrayRef<unsigned> order) {
  Value fallback = read.getFallback();
  SmallVector<Value> points(read.getFallbackSubscripts());
  if (fallback) {
    fallback = initial;
    points = permute(points, numBatch, order);
  }
  OpBuilder at(read);
  Value now = ReadOp::create(at, read.getLoc(), read.getType(), source,
                             permute(read.getSubscripts(), first, order),
                             fallback, points);
  read.replaceAllUsesWith(now);
  read.erase();
}

/// The dims of the state, with those that are contracted first.
SmallVector<unsigned> Splitter::orderOf(const Dims &dims) {
  SmallVector<unsigned> order(dims);
  auto state = op.getSlice(0).getDefiningOp<EquationOp>();
  for (unsigned dim = 0; dim < state.getSizes().size() - numBatch; ++dim)
    if (!llvm::is_contained(dims, dim))
      order.push_back(dim);
  return order;
}

/// A slice of the extents `sizes`: at its place i is dim order[i] of `tensor`.
Value Splitter::permuted(OpBuilder &builder, const Twine &name, Value tensor,
                         ValueRange sizes, ArrayRef<unsigned> order) {
  auto state = op.getSlice(0).getDefiningOp<EquationOp>();
  Type type = cast<RankedTensorType>(tensor.getType()).getElementType();
  auto equation =
      EquationOp::create(builder, op.getLoc(), name.str(), type, sizes);
  SmallVector<Value> point(equation.getBlock().getArguments());
  for (auto [i, dim] : llvm::enumerate(order))
    point[numBatch + dim] = equation.getBlock().getArgument(numBatch + i);
  OpBuilder inner = OpBuilder::atBlockEnd(&equation.getBlock());
  Value value = ReadOp::create(inner, op.getLoc(), state.getScalarType(),
                               tensor, point, Value(), ValueRange());
  YieldOp::create(inner, op.getLoc(), value);
  return equation.getResult();
}

/// A copy of the state's equation with its dims in another order.
EquationOp Splitter::permuteState(OpBuilder &builder, EquationOp from,
                                  IRMapping &mapping,
                                  ArrayRef<unsigned> order) {
  Type element =
      cast<RankedTensorType>(from.getResult().getType()).getElementType();
  auto to = EquationOp::create(builder, from.getLoc(), from.getName(), element,
                               permute(from.getSizes(), numBatch, order));
  for (auto [old, now] :
       llvm::zip_equal(permute(from.getBlock().getArguments(), numBatch, order),
                       to.getBlock().getArguments()))
    mapping.map(old, now);
  OpBuilder inner = OpBuilder::atBlockEnd(&to.getBlock());
  for (Operation &each : from.getBlock())
    inner.clone(each, mapping);
  mapping.map(from.getResult(), to.getResult());
  return to;
}

/// Whether the dims are the first ones.
static bool isFirst(const Dims &dims) { return dims.back() == dims.size() - 1; }

/// A copy takes the recurrence's place.
void Splitter::replace() {
  auto [copy, dims] = replacement;
  OpBuilder builder(op->getContext());
  copy.setNamesAttr(
      builder.getArrayAttr({builder.getStringAttr(op.getName(0))}));
  if (!op.getFinal(0).use_empty()) {
    builder.setInsertionPointAfter(copy);
    SmallVector<unsigned> order = orderOf(dims), inverse(order);
    for (auto [i, dim] : llvm::enumerate(order))
      inverse[dim] = i;
    auto state = op.getSlice(0).getDefiningOp<EquationOp>();
    Value last = permuted(builder, op.getName(0) + ".final", copy.getFinal(0),
                          state.getSizes(), inverse);
    op.getFinal(0).replaceAllUsesWith(last);
  }
  llvm::erase(copies, op);
  op.erase();
  isChanged = true;
}

/// The recurrence of the state alone, which reads what the update contracts.
/// The dims that its readers contract are the first ones, as products like it.
RecurrenceOp Splitter::copyFor(const Dims &dims, OpBuilder &builder) {
  Location loc = op.getLoc();
  auto state = op.getSlice(0).getDefiningOp<EquationOp>();
  SmallVector<unsigned> order = orderOf(dims);
  std::string name = (op.getName(0) + ".copy" +
                      (copies.size() > 1 ? Twine(copies.size() - 1) : Twine()))
                         .str();
  Value initial = op.getInitials()[0];
  if (!llvm::is_sorted(order))
    initial = permuted(builder, name + ".initial", initial,
                       permute(state.getSizes(), numBatch, order), order);
  auto copy = RecurrenceOp::create(
      builder, loc,
      TypeRange{op.getHistory(0).getType(), op.getFinal(0).getType()},
      op.getSizes(), initial,
      builder.getArrayAttr({builder.getStringAttr(name)}), op.getReversedAttr(),
      op.getBatchAttr());
  Block *block = &copy.getBody().emplaceBlock();
  IRMapping mapping;
  Value step = block->addArgument(builder.getIndexType(), loc);
  mapping.map(op.getAlongIndices()[0], step);
  mapping.map(op.getPast(0), block->addArgument(op.getPast(0).getType(), loc));
  OpBuilder inner = OpBuilder::atBlockEnd(block);
  for (Operation &each : op.getBlock().without_terminator()) {
    if (&each == state)
      permuteState(inner, state, mapping, order);
    else if (!llvm::is_contained(contracting, &each))
      inner.clone(each, mapping);
  }
  Value slice = mapping.lookup(op.getSlice(0));
  YieldOp::create(inner, loc, slice);
  SmallVector<ReadOp> reads;
  copy.walk([&](ReadOp read) { reads.push_back(read); });
  for (ReadOp read : reads) {
    if (Value now = moved.lookup(read.getSource())) {
      SmallVector<Value> subscripts(read.getSubscripts());
      subscripts.insert(subscripts.begin() + numBatch, step);
      OpBuilder at(read);
      Value value = ReadOp::create(at, read.getLoc(), read.getType(), now,
                                   subscripts, Value(), ValueRange());
      read.replaceAllUsesWith(value);
      read.erase();
    } else if (read.getSource() == copy.getPast(0)) {
      permuteRead(read, copy.getPast(0), numBatch + 1, initial, order);
    } else if (read.getSource() == slice) {
      permuteRead(read, slice, numBatch, initial, order);
    }
  }
  SmallVector<Operation *> ops;
  for (Operation &each : block->without_terminator())
    ops.push_back(&each);
  for (Operation *each : llvm::reverse(ops))
    if (isOpTriviallyDead(each))
      each->erase();
  copies.push_back(copy);
  for (EquationOp reader : readers[dims])
    for (auto read :
         llvm::make_early_inc_range(reader.getBlock().getOps<ReadOp>()))
      if (read.getSource() == op.getHistory(0))
        permuteRead(read, copy.getHistory(0), numBatch + 1, initial, order);
  return copy;
}

bool Splitter::run() {
  auto state = op.getSlice(0).getDefiningOp<EquationOp>();
  if (op.getNumAlong() != 1 || op.getNumStates() != 1 || !state ||
      state.getCombiner() ||
      llvm::any_of(state->getOperands(),
                   [&](Value size) { return isInside(size); }))
    return false;
  if (!findContracting() || !moveLocalsOut())
    return false;
  algebra::inlineReaders(op->getParentOfType<KernelOp>());
  if (!findReaders())
    return false;
  // The recurrence itself serves those that contract it as its update does.
  Dims own = readers.front().first;
  for (auto &[dims, those] : readers)
    if (isFirst(dims))
      own = dims;
  for (auto [i, equation] : llvm::enumerate(contracting)) {
    auto reader =
        moved.lookup(equation.getResult()).getDefiningOp<EquationOp>();
    std::optional<Dims> dims = contracted(reader);
    if (!dims || dims->empty() || (i > 0 && *dims != own))
      return false;
    own = *dims;
  }
  // Copies behind what they read.
  Operation *behind = op;
  for (EquationOp equation : contracting) {
    Operation *read = moved.lookup(equation.getResult()).getDefiningOp();
    behind = behind->isBeforeInBlock(read) ? read : behind;
  }
  OpBuilder builder(op);
  builder.setInsertionPointAfter(behind);
  for (auto &[dims, those] : readers) {
    bool isOwn = dims == own;
    // What the update contracts stays where it is.
    if (isOwn && (isFirst(dims) || !contracting.empty()))
      continue;
    RecurrenceOp copy = copyFor(dims, builder);
    for (EquationOp reader : those)
      if (!copy->isBeforeInBlock(reader))
        return false;
    if (isOwn)
      replacement = {copy, dims};
  }
  if (replacement.first)
    replace();
  return copies.size() > 1 || isChanged;
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

struct SplitReaders : rondo::impl::SplitReadersBase<SplitReaders> {
  using SplitReadersBase::SplitReadersBase;

  static RecurrenceOp find(KernelOp kernel, unsigned number) {
    auto all = kernel.getBody().front().getOps<RecurrenceOp>();
    return *std::next(all.begin(), number);
  }

  /// Whether it pays, by a trial.
  bool isWorthwhile(KernelOp kernel, unsigned number) {
    RecurrenceOp op = find(kernel, number);
    FactsAttr facts = computeFacts(op);
    const FormRow *chunks = getFormRow(Form::Chunked);
    OwningOpRef<ModuleOp> trial = ModuleOp::create(kernel.getLoc());
    (*trial)->setAttrs(getOperation()->getAttrDictionary());
    OpBuilder builder = OpBuilder::atBlockEnd(trial->getBody());
    Splitter splitter(find(cast<KernelOp>(builder.clone(*kernel)), number));
    if (!splitter.run())
      return false;
    double seconds = 0;
    for (RecurrenceOp copy : splitter.getCopies()) {
      FactsAttr own = computeFacts(copy);
      if (!chunks->illegal(copy, own).empty())
        return false;
      Choice choice = weigh(copy, own, chunk);
      const Candidate &best = choice.candidates[choice.best];
      if (choice.work.powers.outer ||
          (form.empty() && best.row->form != Form::Chunked))
        return false;
      seconds += best.cost.seconds;
    }
    if (!form.empty())
      return true;
    Choice choice = weigh(op, facts, chunk);
    // The order of dims plays no role in what is expected.
    return seconds <= choice.candidates[choice.best].cost.seconds;
  }

  void runOnOperation() override {
    if (!form.empty() && form != "chunked")
      return;
    for (KernelOp kernel : getOperation().getOps<KernelOp>()) {
      unsigned count =
          llvm::range_size(kernel.getBody().front().getOps<RecurrenceOp>());
      for (unsigned i = 0; i < count; ++i) {
        if (find(kernel, i)->hasAttr("rondo.plan") || !isWorthwhile(kernel, i))
          continue;
        Splitter splitter(find(kernel, i));
        splitter.run();
        unsigned added = splitter.getCopies().size() - 1;
        numCopies += added;
        i += added;
        count += added;
      }
    }
  }
};

} // namespace
