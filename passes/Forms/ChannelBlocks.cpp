//===- ChannelBlocks.cpp - Dims along which nothing meets -----------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Forms/ChannelBlocks.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace rondo;

std::optional<unsigned>
ChannelBlocks::getDim(ArrayRef<AffineExpr> shape) const {
  auto dim = llvm::find(shape, size);
  return dim == shape.end() ? std::nullopt
                            : std::optional<unsigned>(dim - shape.begin());
}

std::optional<unsigned> rondo::findChannelSize(KernelOp kernel) {
  std::optional<unsigned> found;
  for (auto spec : kernel.getOutputs().getAsRange<TensorSpecAttr>()) {
    if (spec.getRole() == Role::Final)
      continue;
    ArrayRef<AffineExpr> shape = spec.getShape().getResults();
    if (shape.empty() || !isa<AffineSymbolExpr>(shape.back()))
      return std::nullopt;
    unsigned last = cast<AffineSymbolExpr>(shape.back()).getPosition();
    if (found && *found != last)
      return std::nullopt;
    found = last;
  }
  return found;
}

//===----------------------------------------------------------------------===//
// Finding
//===----------------------------------------------------------------------===//

namespace {
class BlocksFinder {
public:
  BlocksFinder(Program &program, const Clusters &clusters, unsigned number)
      : program(program), clusters(clusters) {
    blocks.number = number;
    blocks.size = program.exprs.getOfSizes(
        getAffineSymbolExpr(number, program.exprs.getContext()));
  }
  std::optional<ChannelBlocks> run();

private:
  bool usesSize(AffineExpr expr) const {
    auto symbol = dyn_cast<AffineSymbolExpr>(blocks.size);
    return !symbol || expr.isFunctionOfSymbol(symbol.getPosition());
  }
  bool hasPlainUses() const;
  bool fits(const Tensor &tensor) const;
  bool fits(TensorSpecAttr spec) const;
  bool fits(Statement &statement) const;
  bool readsOwn(const Tensor &tensor, ArrayRef<Value> subscripts,
                Value channel) const;

  Program &program;
  const Clusters &clusters;
  ChannelBlocks blocks;
};
} // namespace

/// The size gives shapes and nothing else.
bool BlocksFinder::hasPlainUses() const {
  KernelOp kernel = program.kernel;
  for (StringAttr name : kernel.getBatch().getAsRange<StringAttr>())
    if (kernel.getSizeIndex(name.getValue()) == blocks.number)
      return false;
  return !kernel
              .walk([&](SizeOp size) {
                if (kernel.getSizeIndex(size.getName()) != blocks.number)
                  return WalkResult::advance();
                for (OpOperand &use : size->getUses()) {
                  auto equation = dyn_cast<EquationOp>(use.getOwner());
                  unsigned first = equation ? equation.getSizes().size() : 0;
                  // The sizes come first.
                  if (use.getOperandNumber() >= first)
                    return WalkResult::interrupt();
                }
                return WalkResult::advance();
              })
              .wasInterrupted();
}

bool BlocksFinder::fits(const Tensor &tensor) const {
  std::optional<unsigned> dim = blocks.getDim(tensor.shape);
  for (auto [d, size] : llvm::enumerate(tensor.shape))
    if (dim != d && usesSize(size))
      return false;
  if (!dim || !tensor.producer)
    return true;
  return *dim >= program.numBatch &&
         !llvm::is_contained(tensor.producer->timeDims, *dim) &&
         !llvm::is_contained(tensor.producer->innerDims, *dim);
}

/// What depends on the step lies in memory in the order of channels.
bool BlocksFinder::fits(TensorSpecAttr spec) const {
  SmallVector<AffineExpr> shape;
  for (AffineExpr size : spec.getShape().getResults())
    shape.push_back(program.exprs.getOfSizes(size));
  std::optional<unsigned> dim = blocks.getDim(shape);
  bool isOfStep = llvm::any_of(clusters.list, [&](const auto &cluster) {
    return llvm::any_of(cluster->loops, [&](const Loop &loop) {
      return llvm::is_contained(shape, loop.size);
    });
  });
  return !dim || !isOfStep || *dim + 1 == shape.size();
}

/// A read at the reader's own channel, which is no part of other subscripts.
bool BlocksFinder::readsOwn(const Tensor &tensor, ArrayRef<Value> subscripts,
                            Value channel) const {
  std::optional<unsigned> dim = blocks.getDim(tensor.shape);
  for (auto [d, subscript] : llvm::enumerate(subscripts))
    if ((dim == d) != (channel && subscript == channel))
      return false;
  return true;
}

bool BlocksFinder::fits(Statement &statement) const {
  std::optional<unsigned> dim = blocks.getDim(statement.result->shape);
  Value channel = dim ? statement.indices[*dim] : Value();
  for (Value bound : statement.op.getUppers())
    if (usesSize(program.exprs.get(bound)))
      return false;
  for (Value bound : statement.op.getLowers())
    if (usesSize(program.exprs.get(bound)))
      return false;
  for (const std::unique_ptr<Access> &access : statement.accesses)
    if (!readsOwn(*access->tensor, access->subscripts, channel) ||
        (access->fallback &&
         !readsOwn(*access->fallback, access->fallbackSubscripts, channel)))
      return false;
  // Other equations of a step would gather such elements again and again.
  if (!statement.recurrence && !statement.timeDims.empty())
    for (const std::unique_ptr<Access> &access : statement.accesses) {
      const Tensor &tensor = *access->tensor;
      std::optional<unsigned> place = blocks.getDim(tensor.shape);
      if (tensor.kind == Tensor::Kind::Argument && place &&
          *place + 1 != tensor.getRank())
        return false;
    }
  // What has no channels is computed for every block: little, and no result.
  if (!channel)
    return !statement.isReduction() && statement.result->output < 0;
  return llvm::all_of(channel.getUsers(), [](Operation *user) {
    return isa<ReadOp, GatherOp>(user);
  });
}

std::optional<ChannelBlocks> BlocksFinder::run() {
  if (!isa<AffineSymbolExpr>(blocks.size) || !hasPlainUses())
    return std::nullopt;
  bool hasRecurrence = false;
  for (const std::unique_ptr<Cluster> &cluster : clusters.list) {
    hasRecurrence |= cluster->hasRecurrence();
    for (const Loop &loop : cluster->loops)
      if (usesSize(loop.size))
        return std::nullopt;
  }
  if (!hasRecurrence)
    return std::nullopt;
  for (const std::unique_ptr<Tensor> &tensor : program.tensors)
    if (!fits(*tensor))
      return std::nullopt;
  for (const std::unique_ptr<Statement> &statement : program.statements)
    if (!fits(*statement))
      return std::nullopt;
  for (auto spec : program.kernel.getInputs().getAsRange<TensorSpecAttr>())
    if (!fits(spec))
      return std::nullopt;
  for (auto spec : program.kernel.getOutputs().getAsRange<TensorSpecAttr>()) {
    // Each element is written by one block.
    bool isOfChannels = false;
    for (AffineExpr size : spec.getShape().getResults())
      isOfChannels |= program.exprs.getOfSizes(size) == blocks.size;
    if (!isOfChannels || !fits(spec))
      return std::nullopt;
  }
  // Scalar code between equations reads nothing of a channel.
  WalkResult reads = program.kernel.walk([&](ReadOp read) {
    Tensor *tensor = program.getTensor(read.getSource());
    bool isOutside = !read->getParentOfType<EquationOp>();
    return isOutside && (!tensor || blocks.getDim(tensor->shape))
               ? WalkResult::interrupt()
               : WalkResult::advance();
  });
  return reads.wasInterrupted() ? std::nullopt : std::optional(blocks);
}

std::optional<ChannelBlocks> rondo::findChannelBlocks(Program &program,
                                                      const Clusters &clusters,
                                                      unsigned number) {
  return BlocksFinder(program, clusters, number).run();
}

//===----------------------------------------------------------------------===//
// Packing
//===----------------------------------------------------------------------===//

namespace {
/// A copy of an argument, in the order of the subscripts of a read.
struct Packed {
  Value source;
  SmallVector<int> places; // among the sizes of the copy, per dim of the source
  SmallVector<Value> sizes;
  EquationOp copy;
};
} // namespace

/// Where a read's subscripts are distinct indices of its equation: the sizes of
/// a copy, [batch.., others..], and the place of each subscript in it.
static bool findPlaces(EquationOp equation, ReadOp read, unsigned numBatch,
                       Packed &packed, SmallVectorImpl<Value> &subscripts) {
  for (unsigned i = 0; i < numBatch; ++i) {
    packed.sizes.push_back(equation.getSizes()[i]);
    subscripts.push_back(equation.getParallelIndices()[i]);
  }
  for (Value subscript : read.getSubscripts()) {
    if (auto known = llvm::find(subscripts, subscript);
        known != subscripts.end()) {
      if (known - subscripts.begin() >= numBatch)
        return false;
      packed.places.push_back(known - subscripts.begin());
      continue;
    }
    auto parallel = llvm::find(equation.getParallelIndices(), subscript);
    auto reduced = llvm::find(equation.getReductionIndices(), subscript);
    packed.places.push_back(subscripts.size());
    subscripts.push_back(subscript);
    if (parallel != equation.getParallelIndices().end()) {
      unsigned i = parallel - equation.getParallelIndices().begin();
      packed.sizes.push_back(equation.getSizes()[i]);
    } else if (reduced != equation.getReductionIndices().end()) {
      unsigned i = reduced - equation.getReductionIndices().begin();
      if (!matchPattern(equation.getLowers()[i], m_Zero()))
        return false;
      packed.sizes.push_back(equation.getUppers()[i]);
    } else {
      return false;
    }
  }
  return true;
}

/// The copy that a read can read in place of an argument, or null.
static EquationOp pack(KernelOp kernel, ReadOp read, unsigned number,
                       SmallVectorImpl<Packed> &copies,
                       SmallVectorImpl<Value> &subscripts) {
  auto argument = dyn_cast<BlockArgument>(read.getSource());
  auto equation = read->getParentOfType<EquationOp>();
  if (!argument || argument.getOwner()->getParentOp() != kernel || !equation ||
      read.getFallback())
    return {};
  TensorSpecAttr spec = kernel.getInput(argument.getArgNumber());
  ArrayRef<AffineExpr> shape = spec.getShape().getResults();
  auto isChannel = [&](AffineExpr size) {
    auto symbol = dyn_cast<AffineSymbolExpr>(size);
    return symbol && symbol.getPosition() == number;
  };
  if (!llvm::any_of(shape, isChannel) || isChannel(shape.back()))
    return {};
  Packed packed;
  packed.source = argument;
  if (!findPlaces(equation, read, kernel.getBatch().size(), packed, subscripts))
    return {};
  Operation *outer = kernel.getBody().findAncestorOpInRegion(*equation);
  for (Value size : packed.sizes)
    if (size.getParentBlock() != outer->getBlock())
      return {};
  for (const Packed &other : copies)
    if (other.source == packed.source && other.places == packed.places &&
        other.sizes == packed.sizes)
      return other.copy;
  OpBuilder builder(outer);
  Location loc = read.getLoc();
  packed.copy =
      EquationOp::create(builder, loc, (spec.getName() + ".packed").str(),
                         read.getType(), packed.sizes);
  builder.setInsertionPointToStart(&packed.copy.getBlock());
  SmallVector<Value> from;
  for (int place : packed.places)
    from.push_back(packed.copy.getParallelIndices()[place]);
  Value value = ReadOp::create(builder, loc, read.getType(), argument, from);
  YieldOp::create(builder, loc, value);
  copies.push_back(packed);
  return packed.copy;
}

bool rondo::packInvariants(KernelOp kernel, unsigned number) {
  SmallVector<Packed> copies;
  SmallVector<ReadOp> reads;
  for (auto recurrence : kernel.getBody().getOps<RecurrenceOp>())
    recurrence.walk([&](ReadOp read) { reads.push_back(read); });
  for (ReadOp read : reads) {
    SmallVector<Value> subscripts;
    EquationOp copy = pack(kernel, read, number, copies, subscripts);
    if (!copy)
      continue;
    OpBuilder builder(read);
    Value value = ReadOp::create(builder, read.getLoc(), read.getType(),
                                 copy.getResult(), subscripts);
    read->replaceAllUsesWith(ValueRange{value});
    read->erase();
  }
  return !copies.empty();
}
