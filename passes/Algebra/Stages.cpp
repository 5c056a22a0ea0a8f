//===- Stages.cpp - Kernels as a row of smaller kernels -------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Algebra/Stages.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/IntEqClasses.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace rondo;
using algebra::Stages;

//===----------------------------------------------------------------------===//
// Extents
//===----------------------------------------------------------------------===//

static AffineExpr toAffine(KernelOp kernel, Value extent) {
  MLIRContext *context = kernel.getContext();
  APInt number;
  if (matchPattern(extent, m_ConstantInt(&number)))
    return getAffineConstantExpr(number.getSExtValue(), context);
  Operation *def = extent.getDefiningOp();
  if (!def)
    return {};
  if (auto size = dyn_cast<SizeOp>(def))
    return getAffineSymbolExpr(kernel.getSizeIndex(size.getName()), context);
  if (def->getNumOperands() != 2)
    return {};
  AffineExpr a = toAffine(kernel, def->getOperand(0));
  AffineExpr b = toAffine(kernel, def->getOperand(1));
  if (!a || !b)
    return {};
  if (isa<arith::AddIOp>(def))
    return a + b;
  if (isa<arith::SubIOp>(def))
    return a - b;
  if (isa<arith::MulIOp>(def))
    return a * b;
  if (isa<arith::FloorDivSIOp>(def))
    return a.floorDiv(b);
  return {};
}

std::optional<AffineMap> algebra::getShapeOf(KernelOp kernel, Value value) {
  SmallVector<Value> extents;
  Operation *op = value.getDefiningOp();
  if (auto equation = dyn_cast<EquationOp>(op)) {
    llvm::append_range(extents, equation.getSizes());
  } else if (auto recurrence = dyn_cast<RecurrenceOp>(op)) {
    unsigned number = cast<OpResult>(value).getResultNumber();
    bool isFinal = number >= recurrence.getNumMembers();
    unsigned member = isFinal ? number - recurrence.getNumMembers() : number;
    auto slice =
        recurrence.getSlice(member).getDefiningOp<EquationOp>();
    if (!slice)
      return std::nullopt;
    llvm::append_range(extents, slice.getSizes());
    if (!isFinal)
      extents.insert(extents.begin() + recurrence.getBatch(),
                     recurrence.getSizes().begin(),
                     recurrence.getSizes().end());
  } else {
    return std::nullopt;
  }
  SmallVector<AffineExpr> shape;
  for (Value extent : extents) {
    shape.push_back(toAffine(kernel, extent));
    if (!shape.back())
      return std::nullopt;
  }
  return AffineMap::get(0, kernel.getSizes().size(), shape,
                        kernel.getContext());
}

//===----------------------------------------------------------------------===//
// Equations of a step
//===----------------------------------------------------------------------===//

namespace {

/// Moves equations out of one recurrence.
class LocalsMover {
public:
  explicit LocalsMover(RecurrenceOp op) : op(op), numBatch(op.getBatch()) {}
  void run();

private:
  bool isInside(Value value) {
    return op.getBody().findAncestorBlockInRegion(*value.getParentBlock());
  }
  bool canMove(EquationOp equation);
  void move(EquationOp equation);
  void replaceReads(EquationOp equation, Value moved);

  RecurrenceOp op;
  unsigned numBatch;
};

} // namespace

/// Everything inside that it uses are its own values, steps, and scalars made of
/// those; what it sums over is known outside.
bool LocalsMover::canMove(EquationOp equation) {
  if (!llvm::all_of(equation.getResult().getUsers(), llvm::IsaPred<ReadOp>))
    return false; // a member, or gathered from
  for (Value operand : equation->getOperands())
    if (isInside(operand))
      return false;
  WalkResult result = equation.walk([&](Operation *inner) {
    if (isa<GatherOp>(inner))
      return WalkResult::interrupt();
    for (Value operand : inner->getOperands())
      if (isa<TensorType>(operand.getType()) && isInside(operand))
        return WalkResult::interrupt();
    return WalkResult::advance();
  });
  return !result.wasInterrupted();
}

void LocalsMover::move(EquationOp equation) {
  OpBuilder builder(op);
  SmallVector<Value> sizes(equation.getSizes());
  sizes.insert(sizes.begin() + numBatch, op.getSizes().begin(),
               op.getSizes().end());
  auto moved = EquationOp::create(
      builder, equation.getLoc(), equation.getName(),
      cast<TensorType>(equation.getResult().getType()).getElementType(), sizes,
      equation.getLowers(), equation.getUppers(), equation.getCombiner());
  SmallVector<Value> indices(moved.getBlock().getArguments());
  IRMapping map;
  map.map(op.getAlongIndices(),
          ArrayRef(indices).slice(numBatch, op.getNumAlong()));
  indices.erase(indices.begin() + numBatch,
                indices.begin() + numBatch + op.getNumAlong());
  map.map(equation.getBlock().getArguments(), indices);
  builder.setInsertionPointToEnd(&moved.getBlock());
  // Scalars of the step where they are used.
  std::function<void(Value)> bring = [&](Value value) {
    Operation *def = value.getDefiningOp();
    if (map.contains(value) || !def || def->getBlock() != &op.getBlock())
      return;
    for (Value operand : def->getOperands())
      bring(operand);
    builder.clone(*def, map);
  };
  for (Operation &inner : equation.getBlock()) {
    inner.walk([&](Operation *each) {
      for (Value operand : each->getOperands())
        bring(operand);
    });
    builder.clone(inner, map);
  }
  replaceReads(equation, moved.getResult());
  equation.erase();
}

void LocalsMover::replaceReads(EquationOp equation, Value moved) {
  for (Operation *user :
       llvm::make_early_inc_range(equation.getResult().getUsers())) {
    auto read = cast<ReadOp>(user);
    OpBuilder builder(read);
    SmallVector<Value> subscripts(read.getSubscripts());
    subscripts.insert(subscripts.begin() + numBatch,
                      op.getAlongIndices().begin(),
                      op.getAlongIndices().end());
    auto other = ReadOp::create(builder, read.getLoc(), read.getType(), moved,
                                subscripts, read.getFallback(),
                                read.getFallbackSubscripts());
    read.replaceAllUsesWith(other.getResult());
    read.erase();
  }
}

void LocalsMover::run() {
  for (EquationOp equation :
       llvm::make_early_inc_range(op.getBlock().getOps<EquationOp>()))
    if (canMove(equation))
      move(equation);
}

void algebra::moveLocalsOut(KernelOp kernel) {
  for (RecurrenceOp op : kernel.getBody().getOps<RecurrenceOp>())
    LocalsMover(op).run();
}

//===----------------------------------------------------------------------===//
// Parts
//===----------------------------------------------------------------------===//

/// What computes something, as opposed to sizes and constants.
bool Stages::isNode(Operation *op) const {
  return op->getBlock() == source &&
         llvm::any_of(op->getResultTypes(), llvm::IsaPred<TensorType>) &&
         !isa<InitialOp>(op);
}

/// Dims whose extent is known at run time only, but for batch dims.
static int64_t countOpen(KernelOp kernel, AffineMap shape) {
  return llvm::count_if(shape.getResults(), [&](AffineExpr extent) {
    auto symbol = dyn_cast<AffineSymbolExpr>(extent);
    if (!symbol)
      return !isa<AffineConstantExpr>(extent);
    Attribute name = kernel.getSizes()[symbol.getPosition()];
    return kernel.getBound()[symbol.getPosition()] < 0 &&
           !llvm::is_contained(kernel.getBatch(), name);
  });
}

/// A tensor with more dims, or more of unknown extent, than all that the caller
/// sees: a history of matrix states, scores of all pairs of steps.
bool Stages::isTooLarge(Value value) {
  if (cast<RankedTensorType>(value.getType()).getRank() > largestRank)
    return true;
  std::optional<AffineMap> shape = getShapeOf(kernel, value);
  return shape && countOpen(kernel, *shape) > mostOpen;
}

/// The tensors that an op reads, through initial values too.
void Stages::visitReads(Operation *op,
                        llvm::function_ref<void(Value)> visit) const {
  op->walk([&](Operation *inner) {
    for (Value operand : inner->getOperands()) {
      Operation *def = operand.getDefiningOp();
      if (!isa<TensorType>(operand.getType()) || (def && op->isAncestor(def)))
        continue;
      if (auto initial = dyn_cast_or_null<InitialOp>(def)) {
        visit(initial.getGiven());
        visit(initial.getDeclared());
      } else if (def || operand.getParentBlock() == source) {
        visit(operand);
      }
    }
  });
}

Stages::Stages(KernelOp kernel)
    : kernel(kernel), source(&kernel.getBody().front()) {
  for (ArrayAttr specs : {kernel.getInputs(), kernel.getOutputs()})
    for (auto spec : specs.getAsRange<TensorSpecAttr>())
      if (spec.getRole() == Role::Argument || spec.getRole() == Role::Result) {
        largestRank = std::max<int64_t>(
            largestRank, spec.getShape().getNumResults());
        mostOpen = std::max(mostOpen, countOpen(kernel, spec.getShape()));
      }
  // Batch dims that a spec leaves out are part of what is handed on.
  largestRank = std::max<int64_t>(largestRank, kernel.getBatch().size() + 2);
  findParts();
}

void Stages::findParts() {
  SmallVector<Operation *> nodes;
  for (Operation &op : source->without_terminator())
    if (isNode(&op))
      nodes.push_back(&op);
  llvm::DenseMap<Operation *, unsigned> numberOf;
  for (auto [i, op] : llvm::enumerate(nodes))
    numberOf[op] = i;
  // Reads of one node by another; what is too large joins them.
  SmallVector<llvm::SetVector<unsigned>> reads(nodes.size());
  llvm::IntEqClasses joined(nodes.size());
  for (unsigned i = 0; i < nodes.size(); ++i)
    visitReads(nodes[i], [&](Value value) {
      Operation *def = value.getDefiningOp();
      if (!def)
        return;
      unsigned from = numberOf.lookup(def);
      reads[i].insert(from);
      if (isTooLarge(value))
        joined.join(i, from);
    });
  // Parts that need one another are one: until nothing changes.
  auto reaches = [&](unsigned from, unsigned to) {
    // From `from`'s class over reads, back to nodes of the class of `to` after
    // having left it.
    llvm::DenseSet<unsigned> seen;
    SmallVector<unsigned> stack;
    auto push = [&](unsigned leader) {
      for (unsigned i = 0; i < nodes.size(); ++i)
        if (joined.findLeader(i) == leader && seen.insert(i).second)
          stack.push_back(i);
    };
    push(joined.findLeader(from));
    while (!stack.empty()) {
      unsigned node = stack.pop_back_val();
      if (joined.findLeader(node) == joined.findLeader(to))
        return true;
      for (unsigned next : reads[node])
        push(joined.findLeader(next));
    }
    return false;
  };
  bool changed = true;
  while (changed) {
    changed = false;
    for (unsigned i = 0; i < nodes.size() && !changed; ++i)
      for (unsigned from : reads[i])
        if (joined.findLeader(from) != joined.findLeader(i) &&
            reaches(from, i)) {
          joined.join(from, i);
          changed = true;
          break;
        }
  }
  // In an order in which each needs earlier ones only.
  llvm::DenseMap<unsigned, SmallVector<unsigned>> members;
  SmallVector<unsigned> leaders;
  for (unsigned i = 0; i < nodes.size(); ++i) {
    unsigned leader = joined.findLeader(i);
    if (members[leader].empty())
      leaders.push_back(leader);
    members[leader].push_back(i);
  }
  llvm::DenseSet<unsigned> placed;
  while (parts.size() < leaders.size())
    for (unsigned leader : leaders) {
      bool ready = !placed.contains(leader);
      for (unsigned i : members[leader])
        for (unsigned from : reads[i])
          ready &= joined.findLeader(from) == leader ||
                   placed.contains(joined.findLeader(from));
      if (!ready)
        continue;
      placed.insert(leader);
      Part part;
      part.isFree = true;
      for (unsigned i : members[leader]) {
        partOf[nodes[i]] = parts.size();
        part.ops.push_back(nodes[i]);
        auto equation = dyn_cast<EquationOp>(nodes[i]);
        part.isFree &= equation && !equation.getCombiner();
        part.hasRecurrence |= !equation;
      }
      for (unsigned i : members[leader])
        for (unsigned from : reads[i])
          if (joined.findLeader(from) != leader)
            part.needs.insert(partOf[nodes[from]]);
      for (unsigned from : part.needs)
        part.isFree &= parts[from].isFree;
      parts.push_back(std::move(part));
    }
}

//===----------------------------------------------------------------------===//
// Stages
//===----------------------------------------------------------------------===//

std::optional<Stages::Handed> Stages::handOn(Value value) {
  auto known = handed.find(value);
  if (known != handed.end())
    return known->second;
  std::optional<AffineMap> shape = getShapeOf(kernel, value);
  if (!shape)
    return std::nullopt;
  int64_t number = handed.size();
  auto spec = TensorSpecAttr::get(
      kernel.getContext(), "handed." + std::to_string(number), Role::Argument,
      cast<TensorType>(value.getType()).getElementType(), *shape, {});
  return handed.insert({value, {spec, number}}).first->second;
}

ArrayAttr Stages::getHandedOn() {
  SmallVector<Attribute> specs;
  for (auto &[value, each] : handed)
    specs.push_back(each.spec);
  return ArrayAttr::get(kernel.getContext(), specs);
}

/// The ops of these parts and of the free ones that they read.
llvm::SetVector<Operation *>
Stages::withFree(const llvm::SetVector<unsigned> &chosen) const {
  llvm::DenseSet<unsigned> all(chosen.begin(), chosen.end());
  for (unsigned i = parts.size(); i-- > 0;)
    if (all.contains(i))
      for (unsigned from : parts[i].needs)
        if (parts[from].isFree)
          all.insert(from);
  llvm::SetVector<Operation *> ops;
  for (Operation &op : *source)
    if (auto found = partOf.find(&op);
        found != partOf.end() && all.contains(found->second))
      ops.insert(&op);
  return ops;
}

KernelOp Stages::build(OpBuilder &builder, StringRef name,
                       const llvm::SetVector<unsigned> &chosen) {
  llvm::SetVector<Operation *> ops = withFree(chosen);
  Operation *returns = source->getTerminator();
  unsigned numInputs = kernel.getInputs().size();

  // What is read from outside, and what is read there.
  llvm::DenseSet<unsigned> arguments;
  llvm::SetVector<Value> taken, given;
  for (Operation *op : ops) {
    visitReads(op, [&](Value value) {
      if (auto argument = dyn_cast<BlockArgument>(value))
        arguments.insert(argument.getArgNumber());
      else if (!ops.contains(value.getDefiningOp()))
        taken.insert(value);
    });
    if (parts[partOf.lookup(op)].isFree)
      continue;
    for (Operation *user : op->getUsers()) {
      while (user->getBlock() != source)
        user = user->getParentOp();
      if (ops.contains(user) || user == returns)
        continue;
      if (auto initial = dyn_cast<InitialOp>(user);
          initial && llvm::all_of(initial->getUsers(), [&](Operation *reader) {
            return ops.contains(source->findAncestorOpInBlock(*reader));
          }))
        continue;
      for (Value value : op->getResults())
        if (llvm::any_of(value.getUsers(), [&](Operation *reader) {
              Operation *ancestor = source->findAncestorOpInBlock(*reader);
              return ancestor == user;
            }))
          given.insert(value);
    }
  }

  SmallVector<Attribute> inputs, outputs;
  SmallVector<int64_t> numbers;
  SmallVector<std::pair<Value, Type>> bodyArguments;
  auto addInput = [&](TensorSpecAttr spec, Value value, int64_t number) {
    inputs.push_back(spec);
    numbers.push_back(number);
    bodyArguments.push_back(
        {value,
         RankedTensorType::get(
             SmallVector<int64_t>(spec.getShape().getNumResults(),
                                  ShapedType::kDynamic),
             spec.getElementType())});
  };
  auto addArguments = [&](bool initials) {
    for (unsigned i = 0; i < numInputs; ++i)
      if (arguments.contains(i) &&
          (kernel.getInput(i).getRole() == Role::Initial) == initials)
        addInput(kernel.getInput(i), source->getArgument(i), i);
  };
  addArguments(/*initials=*/false);
  for (Value value : taken) {
    std::optional<Handed> hand = handOn(value);
    if (!hand)
      return nullptr;
    addInput(hand->spec, value, -1 - hand->number);
  }
  addArguments(/*initials=*/true);

  SmallVector<Value> returned;
  auto addOutputs = [&](bool finals) {
    for (unsigned i = 0; i < kernel.getOutputs().size(); ++i) {
      Value value = returns->getOperand(i);
      if (!ops.contains(value.getDefiningOp()) ||
          !chosen.contains(partOf.lookup(value.getDefiningOp())) ||
          (kernel.getOutput(i).getRole() == Role::Final) != finals)
        continue;
      outputs.push_back(kernel.getOutput(i));
      numbers.push_back(numInputs + i);
      returned.push_back(value);
    }
  };
  addOutputs(/*finals=*/false);
  for (Value value : given) {
    std::optional<Handed> hand = handOn(value);
    if (!hand)
      return nullptr;
    TensorSpecAttr spec = hand->spec;
    outputs.push_back(TensorSpecAttr::get(
        kernel.getContext(), spec.getName(), Role::Result,
        spec.getElementType(), spec.getShape(), spec.getOrder()));
    numbers.push_back(-1 - hand->number);
    returned.push_back(value);
  }
  addOutputs(/*finals=*/true);

  auto stage = KernelOp::create(
      builder, kernel.getLoc(), name, kernel.getSizes(), kernel.getBoundAttr(),
      kernel.getBatch(), kernel.getTimeAttr(), builder.getArrayAttr(inputs),
      builder.getArrayAttr(outputs));
  stage->setAttr("rondo.stage",
                 builder.getDictionaryAttr(builder.getNamedAttr(
                     "tensors", builder.getDenseI64ArrayAttr(numbers))));
  OpBuilder::InsertionGuard guard(builder);
  Block *body = builder.createBlock(&stage.getBody());
  IRMapping map;
  for (auto [value, type] : bodyArguments)
    map.map(value, body->addArgument(type, value.getLoc()));
  // Sizes, constants and initial values where they are used.
  std::function<void(Value)> bring = [&](Value value) {
    Operation *def = value.getDefiningOp();
    if (map.contains(value) || !def || def->getBlock() != source)
      return;
    assert(!isNode(def) && "a tensor that nobody hands on");
    for (Value operand : def->getOperands())
      bring(operand);
    builder.clone(*def, map);
  };
  for (Operation *op : ops) {
    op->walk([&](Operation *inner) {
      for (Value operand : inner->getOperands())
        bring(operand);
    });
    builder.clone(*op, map);
  }
  for (Value &value : returned)
    value = map.lookup(value);
  ReturnOp::create(builder, kernel.getLoc(), returned);
  return stage;
}
