//===- DeriveStep.cpp - One step of a kernel as a kernel ------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The step kernel holds the kernel's equations at one time step: the last one
// of those seen so far. TimeReads.h says what they need of earlier steps.
//
// Subscripts. Step t of the kernel is step `position` here; with tensors of all
// steps seen there are `T.seen` of them, and position = T.seen - 1. Dims of the
// present step have the extent T = 1. An argument of which L earlier steps are
// needed has T + L; what the kernel computes itself is read in `<name>.all`, its
// L earlier steps and this one:
//
//   x[t - d] -> x[L - d]
//   u[t - d] -> u.all[L - d],   u.all[l] = l < L ? u.past.initial[l] : u[0]
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/IRMapping.h"
#include "passes/Forms/Passes.h"
#include "passes/Forms/TimeReads.h"

namespace rondo {
#define GEN_PASS_DEF_DERIVESTEP
#include "passes/Forms/Passes.h.inc"
} // namespace rondo

using namespace mlir;
using namespace rondo;

namespace {

class StepBuilder {
public:
  StepBuilder(KernelOp kernel, TimeReads &reads)
      : kernel(kernel), reads(reads), b(kernel.getContext()),
        seen(kernel.getTime()->str() + ".seen"),
        position(kernel.getTime()->str() + ".position"),
        positions(kernel.getTime()->str() + ".positions") {}

  KernelOp build();

private:
  void createKernel();
  unsigned addInput(StringRef name, Role role, Type element, AffineMap shape);
  AffineMap getShape(ArrayRef<AffineExpr> dims);
  SmallVector<AffineExpr> getShapeOf(const Remembered &past);
  void createSizes();
  void createPast(const Remembered &past);
  void createAll(const Remembered &past, Value now, bool hasTimeDim);
  void buildOp(Operation &op);
  void buildEquation(EquationOp equation);
  void buildRecurrence(RecurrenceOp recurrence);
  void buildReturn(ReturnOp op);
  Value emitFinal(const Remembered &past);
  bool othersTell();

  // In a body.
  struct Body {
    OpBuilder b;
    IRMapping &map;
    EquationOp source;
    Value position;
  };
  Value mapped(Body &body, Value value);
  Value getPosition(Body &body);
  void buildRead(Body &body, Operation *op);
  Value emitBack(Body &body, const TimeSubscript &read, Value subscript,
                 const Remembered &past);
  Value emitSizes(OpBuilder &at, Location loc, AffineExpr expr);

  bool isTime(Value extent) { return reads.isTime(extent); }
  Location loc() { return kernel.getLoc(); }

  KernelOp kernel, step;
  TimeReads &reads;
  OpBuilder b;
  std::string seen, position, positions;
  IRMapping map; // of tensors and of scalars outside of bodies
  SmallVector<Attribute> inputs, outputs;
  SmallVector<Value> sizes; // per size of the new kernel
  Value lastStep;           // T.seen - 1, or null
  BlockArgument positionTensor; // the number of this step, or of all seen
  /// By the kernel's tensor.
  llvm::DenseMap<Value, Value> past, all;
  llvm::DenseMap<Value, Value> slices; // of a history: this step's, no time dim
};

//===----------------------------------------------------------------------===//
// The kernel
//===----------------------------------------------------------------------===//

AffineMap StepBuilder::getShape(ArrayRef<AffineExpr> dims) {
  return AffineMap::get(0, step.getSizes().size(), dims, b.getContext());
}

unsigned StepBuilder::addInput(StringRef name, Role role, Type element,
                               AffineMap shape) {
  inputs.push_back(
      TensorSpecAttr::get(b.getContext(), name, role, element, shape, {}));
  step.getBody().addArgument(
      RankedTensorType::get(SmallVector<int64_t>(shape.getNumResults(),
                                                 ShapedType::kDynamic),
                            element),
      loc());
  return inputs.size() - 1;
}

void StepBuilder::createKernel() {
  SmallVector<Attribute> names(kernel.getSizes().begin(),
                               kernel.getSizes().end());
  SmallVector<int64_t> bound(kernel.getBound());
  bound[reads.getTimeSize()] = 1;
  if (reads.readsAll()) {
    names.push_back(b.getStringAttr(seen));
    bound.push_back(-1);
  }
  b.setInsertionPointAfter(kernel);
  step = KernelOp::create(b, loc(), (kernel.getSymName() + "_step").str(),
                          b.getArrayAttr(names), b.getDenseI64ArrayAttr(bound),
                          kernel.getBatch(), StringAttr(), b.getArrayAttr({}),
                          b.getArrayAttr({}));
  for (NamedAttribute attr : kernel->getDiscardableAttrs())
    step->setAttr(attr.getName(), attr.getValue());
  step->setAttr("entry", b.getStringAttr("step"));
  step->setAttr("kernel", kernel.getSymNameAttr());
  b.createBlock(&step.getBody());

  AffineExpr allSteps =
      getAffineSymbolExpr(kernel.getSizes().size(), b.getContext());
  Block &source = kernel.getBody().front();
  for (BlockArgument argument : source.getArguments()) {
    TensorSpecAttr spec = kernel.getInput(argument.getArgNumber());
    if (spec.getRole() != Role::Argument)
      continue;
    SmallVector<AffineExpr> shape(spec.getShape().getResults());
    for (unsigned dim = 0; dim < shape.size(); ++dim)
      if (reads.getKind(argument, dim) == TimeDim::Seen)
        shape[dim] = allSteps;
    const Remembered *remembered = reads.getRemembered(argument);
    if (remembered)
      shape[remembered->dim] = shape[remembered->dim] + remembered->length;
    unsigned number = addInput(spec.getName(), Role::Argument,
                               spec.getElementType(), getShape(shape));
    map.map(argument, step.getBody().getArgument(number));
    if (remembered)
      all[argument] = step.getBody().getArgument(number);
  }
  positionTensor = step.getBody().getArgument(
      reads.readsAll()
          ? addInput(positions, Role::Argument, b.getI64Type(),
                     getShape(allSteps))
          : addInput(position, Role::Argument, b.getI64Type(), getShape({})));
  for (BlockArgument argument : source.getArguments()) {
    TensorSpecAttr spec = kernel.getInput(argument.getArgNumber());
    if (spec.getRole() != Role::Initial)
      continue;
    unsigned number = addInput(spec.getName(), Role::Initial,
                               spec.getElementType(),
                               getShape(spec.getShape().getResults()));
    map.map(argument, step.getBody().getArgument(number));
  }
}

/// The dims of a tensor with its earlier steps.
SmallVector<AffineExpr> StepBuilder::getShapeOf(const Remembered &past) {
  SmallVector<AffineExpr> shape = past.shape;
  shape[past.dim] =
      past.length
          ? past.length
          : getAffineSymbolExpr(kernel.getSizes().size(), b.getContext()) - 1;
  return shape;
}

void StepBuilder::createSizes() {
  for (auto name : step.getSizes().getAsRange<StringAttr>())
    sizes.push_back(SizeOp::create(b, loc(), b.getIndexType(), name));
  if (reads.readsAll())
    lastStep = arith::SubIOp::create(b, loc(), sizes.back(),
                                     arith::ConstantIndexOp::create(b, loc(), 1));
}

/// An expression over the kernel's sizes.
Value StepBuilder::emitSizes(OpBuilder &at, Location loc, AffineExpr expr) {
  if (auto constant = dyn_cast<AffineConstantExpr>(expr))
    return arith::ConstantIndexOp::create(at, loc, constant.getValue());
  if (auto symbol = dyn_cast<AffineSymbolExpr>(expr))
    return sizes[symbol.getPosition()];
  auto binary = cast<AffineBinaryOpExpr>(expr);
  Value lhs = emitSizes(at, loc, binary.getLHS());
  Value rhs = emitSizes(at, loc, binary.getRHS());
  switch (expr.getKind()) {
  case AffineExprKind::Add:
    return at.createOrFold<arith::AddIOp>(loc, lhs, rhs);
  case AffineExprKind::Mul:
    return at.createOrFold<arith::MulIOp>(loc, lhs, rhs);
  case AffineExprKind::Mod:
    return at.createOrFold<ModOp>(loc, lhs, rhs);
  default:
    return at.createOrFold<arith::FloorDivSIOp>(loc, lhs, rhs);
  }
}

/// What is known of a tensor before this step: given, or what stands before the
/// start.
void StepBuilder::createPast(const Remembered &remembered) {
  SmallVector<AffineExpr> shape = getShapeOf(remembered);
  Type scalar = remembered.scalar;
  unsigned number =
      addInput(remembered.name + ".past.initial", Role::Initial, remembered.element,
               getShape(shape));
  Value given = step.getBody().getArgument(number);
  SmallVector<Value> extents;
  for (AffineExpr extent : shape)
    extents.push_back(emitSizes(b, loc(), extent));
  auto declared = EquationOp::create(b, loc(), remembered.name + ".before",
                                     remembered.stored, extents);
  OpBuilder inside = OpBuilder::atBlockEnd(&declared.getBlock());
  Value value;
  if (remembered.declared) {
    SmallVector<Value> subscripts(declared.getParallelIndices());
    subscripts.erase(subscripts.begin() + remembered.dim);
    value = ReadOp::create(inside, loc(), scalar,
                           map.lookup(remembered.declared), subscripts);
  } else if (scalar.isIndex()) {
    value = arith::ConstantIndexOp::create(inside, loc(), 0);
  } else {
    value = arith::ConstantOp::create(inside, loc(), inside.getZeroAttr(scalar));
  }
  YieldOp::create(inside, loc(), value);
  past[remembered.tensor] =
      InitialOp::create(b, loc(), declared.getType(), given, declared);
}

/// A tensor's earlier steps and this one.
void StepBuilder::createAll(const Remembered &remembered, Value now,
                            bool hasTimeDim) {
  SmallVector<AffineExpr> shape = getShapeOf(remembered);
  AffineExpr length = shape[remembered.dim];
  shape[remembered.dim] = length + 1;
  SmallVector<Value> extents;
  for (AffineExpr extent : shape)
    extents.push_back(emitSizes(b, loc(), extent));
  Value numPast = emitSizes(b, loc(), length);
  auto equation = EquationOp::create(b, loc(), remembered.name + ".all",
                                     remembered.stored, extents);
  OpBuilder inside = OpBuilder::atBlockEnd(&equation.getBlock());
  SmallVector<Value> here(equation.getParallelIndices()), present(here);
  if (hasTimeDim)
    present[remembered.dim] = arith::SubIOp::create(
        inside, loc(), here[remembered.dim], numPast);
  else
    present.erase(present.begin() + remembered.dim);
  Value value =
      ReadOp::create(inside, loc(), remembered.scalar, past[remembered.tensor],
                     here, now, present);
  YieldOp::create(inside, loc(), value);
  all[remembered.tensor] = equation;
}

/// Whether the number of steps seen can be found without their positions.
bool StepBuilder::othersTell() {
  unsigned symbol = kernel.getSizes().size();
  auto tells = [&](Attribute each) {
    return llvm::any_of(
        cast<TensorSpecAttr>(each).getShape().getResults(),
        [&](AffineExpr extent) { return extent.isFunctionOfSymbol(symbol); });
  };
  for (auto [i, input] : llvm::enumerate(inputs))
    if (i != positionTensor.getArgNumber() && tells(input))
      return true;
  return llvm::any_of(outputs, tells);
}

KernelOp StepBuilder::build() {
  createKernel();
  createSizes();
  for (auto [i, name] :
       llvm::enumerate(kernel.getSizes().getAsRange<StringAttr>()))
    for (auto size : kernel.getOps<SizeOp>())
      if (size.getNameAttr() == name)
        map.map(size.getResult(), sizes[i]);
  for (Operation &op : kernel.getBody().front())
    buildOp(op);

  // Most kernels don't ask which step it is, or another tensor tells.
  if (reads.readsAll() ? othersTell() : positionTensor.use_empty()) {
    inputs.erase(inputs.begin() + positionTensor.getArgNumber());
    step.getBody().eraseArgument(positionTensor.getArgNumber());
  }
  step.setInputsAttr(b.getArrayAttr(inputs));
  step.setOutputsAttr(b.getArrayAttr(outputs));
  return step;
}

void StepBuilder::buildOp(Operation &op) {
  if (isa<SizeOp>(op))
    return;
  if (auto equation = dyn_cast<EquationOp>(op)) {
    buildEquation(equation);
    if (const Remembered *remembered = reads.getRemembered(equation)) {
      createPast(*remembered);
      createAll(*remembered, map.lookup(equation.getResult()),
                /*hasTimeDim=*/true);
    }
    return;
  }
  if (auto recurrence = dyn_cast<RecurrenceOp>(op);
      recurrence && reads.runsInTime(recurrence))
    return buildRecurrence(recurrence);
  if (auto result = dyn_cast<ReturnOp>(op))
    return buildReturn(result);
  b.clone(op, map);
}

/// What the region says at this step.
void StepBuilder::buildRecurrence(RecurrenceOp recurrence) {
  SmallVector<const Remembered *> members;
  for (const Remembered &each : reads.getRemembered())
    if (each.tensor.getDefiningOp() == recurrence)
      members.push_back(&each);
  for (const Remembered *each : members)
    createPast(*each);
  for (Operation &op : recurrence.getBlock().without_terminator())
    if (auto equation = dyn_cast<EquationOp>(op))
      buildEquation(equation);
  for (unsigned i = 0; i < recurrence.getNumMembers(); ++i)
    slices[recurrence.getHistory(i)] = map.lookup(recurrence.getSlice(i));
  for (const Remembered *each : members)
    createAll(*each, slices[each->tensor], /*hasTimeDim=*/false);
  for (unsigned i = 0; i < recurrence.getNumStates(); ++i)
    map.map(recurrence.getFinal(i), slices[recurrence.getHistory(i)]);
}

//===----------------------------------------------------------------------===//
// Equations
//===----------------------------------------------------------------------===//

void StepBuilder::buildEquation(EquationOp equation) {
  if (equation.use_empty())
    return;
  Value one = reads.readsAll() ? sizes.back() : Value();
  auto extentOf = [&](Value extent, bool isSeen) {
    return isSeen && isTime(extent) ? one : map.lookup(extent);
  };
  SmallVector<Value> extents, lowers, uppers;
  for (auto [dim, extent] : llvm::enumerate(equation.getSizes()))
    extents.push_back(extentOf(
        extent, reads.getKind(equation.getResult(), dim) == TimeDim::Seen));
  for (auto [lower, upper] :
       llvm::zip_equal(equation.getLowers(), equation.getUppers())) {
    lowers.push_back(map.lookup(lower));
    uppers.push_back(extentOf(upper, /*isSeen=*/true));
  }
  auto type = cast<RankedTensorType>(equation.getType());
  auto created = EquationOp::create(b, equation.getLoc(), equation.getName(),
                                    type.getElementType(), extents, lowers,
                                    uppers, equation.getCombiner());
  IRMapping inner(map);
  Body body{OpBuilder::atBlockEnd(&created.getBlock()), inner, equation,
            Value()};
  for (auto [index, now] :
       llvm::zip_equal(equation.getBlock().getArguments(),
                       created.getBlock().getArguments()))
    if (!reads.isPresent(index))
      inner.map(index, now);
  for (Operation &op : equation.getBlock()) {
    if (isa<ReadOp, GatherOp>(op)) {
      buildRead(body, &op);
      continue;
    }
    for (Value operand : op.getOperands())
      mapped(body, operand);
    body.b.clone(op, inner);
  }
  // What only computed subscripts that are spelt anew.
  SmallVector<Operation *> ops;
  for (Operation &op : llvm::reverse(created.getBlock().without_terminator()))
    ops.push_back(&op);
  for (Operation *op : ops)
    if (isOpTriviallyDead(op))
      op->erase();
  map.map(equation.getResult(), created.getResult());
}

/// The number of this step.
Value StepBuilder::getPosition(Body &body) {
  if (lastStep)
    return lastStep;
  if (!body.position) {
    OpBuilder::InsertionGuard guard(body.b);
    body.b.setInsertionPointToStart(body.b.getInsertionBlock());
    body.position = ReadOp::create(body.b, body.source.getLoc(),
                                   body.b.getIndexType(), positionTensor,
                                   ValueRange());
  }
  return body.position;
}

/// A scalar of the kernel in the new body: the index of the step is its number,
/// what stood in a recurrence's region comes along.
Value StepBuilder::mapped(Body &body, Value value) {
  if (Value known = body.map.lookupOrNull(value))
    return known;
  if (reads.isPresent(value)) {
    Value number = getPosition(body);
    body.map.map(value, number);
    return number;
  }
  Operation *op = value.getDefiningOp();
  for (Value operand : op->getOperands())
    mapped(body, operand);
  body.b.clone(*op, body.map);
  return body.map.lookup(value);
}

/// Where `<name>.all` holds what is read: the subscript itself when it holds all
/// steps, else counted from the earliest one.
Value StepBuilder::emitBack(Body &body, const TimeSubscript &read,
                            Value subscript, const Remembered &remembered) {
  if (!remembered.length)
    return mapped(body, subscript);
  Location loc = body.source.getLoc();
  OpBuilder &at = body.b;
  Value result = emitSizes(at, loc, remembered.length);
  auto add = [&](Value value) {
    result = at.createOrFold<arith::AddIOp>(loc, result, value);
  };
  LinearExpr linear = LinearExpr::get(read.back);
  bool isSimple = llvm::all_of(linear.terms, [&](const Term &term) {
    return isa<AffineDimExpr, AffineSymbolExpr>(term.atom) &&
           reads.getValue(term.atom);
  });
  if (!isSimple) {
    add(at.createOrFold<arith::SubIOp>(loc, mapped(body, subscript),
                                       getPosition(body)));
    return result;
  }
  for (const Term &term : linear.terms)
    add(at.createOrFold<arith::MulIOp>(
        loc, mapped(body, reads.getValue(term.atom)),
        arith::ConstantIndexOp::create(at, loc, term.coefficient)));
  add(arith::ConstantIndexOp::create(at, loc, linear.constant));
  return result;
}

void StepBuilder::buildRead(Body &body, Operation *op) {
  auto read = dyn_cast<ReadOp>(op);
  auto gather = dyn_cast<GatherOp>(op);
  Value source = read ? read.getSource() : gather.getSource();
  OperandRange from = read ? read.getSubscripts() : gather.getSubscripts();
  Value fallback = read ? read.getFallback() : gather.getFallback();
  OperandRange otherwise =
      read ? read.getFallbackSubscripts() : gather.getFallbackSubscripts();
  SmallVector<int64_t> dims;
  if (gather)
    llvm::append_range(dims, gather.getDims());

  SmallVector<Value> subscripts, instead;
  Value tensor = reads.getTensor(source);
  Value here = map.lookupOrNull(source);
  std::optional<unsigned> dropped;
  bool usesFallback = false;
  for (auto [dim, subscript] : llvm::enumerate(from)) {
    const TimeSubscript *time = reads.getSubscript(op, dim);
    if (!time) {
      subscripts.push_back(mapped(body, subscript));
      continue;
    }
    const Remembered *remembered = reads.getRemembered(tensor);
    if (remembered && isa<BlockArgument>(tensor)) {
      subscripts.push_back(emitBack(body, *time, subscript, *remembered));
      continue;
    }
    if (reads.getKind(tensor, dim) == TimeDim::Seen) {
      subscripts.push_back(mapped(body, subscript)); // of all steps
      continue;
    }
    if (time->isPresent()) {
      if (Value slice = slices.lookup(tensor)) {
        here = slice;
        dropped = dim;
        subscripts.push_back({});
      } else {
        subscripts.push_back(
            arith::ConstantIndexOp::create(body.b, op->getLoc(), 0));
      }
      continue;
    }
    if (!remembered) {
      // The step before, of a state.
      auto recurrence = tensor.getDefiningOp<RecurrenceOp>();
      here = map.lookup(
          recurrence.getInitials()[cast<OpResult>(tensor).getResultNumber()]);
      dropped = dim;
      subscripts.push_back({});
      fallback = {};
      continue;
    }
    here = all.lookup(tensor);
    if (!here)
      here = past.lookup(tensor);
    usesFallback = !remembered->length && fallback;
    subscripts.push_back(emitBack(body, *time, subscript, *remembered));
  }
  if (dropped) {
    subscripts.erase(subscripts.begin() + *dropped);
    for (int64_t &each : dims)
      each -= each > static_cast<int64_t>(*dropped);
  }
  if (fallback && !slices.count(tensor) && !reads.getRemembered(tensor))
    usesFallback = true;
  if (usesFallback)
    for (Value each : otherwise)
      instead.push_back(mapped(body, each));
  Value other = usesFallback ? map.lookup(fallback) : Value();
  Value result =
      read ? ReadOp::create(body.b, op->getLoc(), read.getType(), here,
                            subscripts, other, instead)
                 .getResult()
           : GatherOp::create(body.b, op->getLoc(), gather.getType(), here,
                              subscripts, other, instead,
                              gather.getNameAttr(),
                              body.b.getDenseI64ArrayAttr(dims))
                 .getResult();
  body.map.map(op->getResult(0), result);
}

//===----------------------------------------------------------------------===//
// Results
//===----------------------------------------------------------------------===//

/// The earlier steps as the next step sees them.
Value StepBuilder::emitFinal(const Remembered &remembered) {
  Value whole = all.lookup(remembered.tensor);
  if (!remembered.length)
    return whole;
  SmallVector<Value> extents;
  for (AffineExpr extent : getShapeOf(remembered))
    extents.push_back(emitSizes(b, loc(), extent));
  auto equation = EquationOp::create(b, loc(), remembered.name + ".next",
                                     remembered.stored, extents);
  OpBuilder inside = OpBuilder::atBlockEnd(&equation.getBlock());
  SmallVector<Value> subscripts(equation.getParallelIndices());
  subscripts[remembered.dim] = arith::AddIOp::create(
      inside, loc(), subscripts[remembered.dim],
      arith::ConstantIndexOp::create(inside, loc(), 1));
  YieldOp::create(inside, loc(),
                  ReadOp::create(inside, loc(), remembered.scalar, whole,
                                 subscripts)
                      .getResult());
  return equation;
}

void StepBuilder::buildReturn(ReturnOp op) {
  SmallVector<Value> values;
  for (auto [i, value] : llvm::enumerate(op.getOperands())) {
    TensorSpecAttr spec = kernel.getOutput(i);
    if (Value slice = slices.lookup(value)) {
      // A result that is a history has a time dim.
      Remembered shape = reads.describe(value);
      SmallVector<Value> extents;
      for (AffineExpr extent : shape.shape)
        extents.push_back(emitSizes(b, loc(), extent));
      auto equation = EquationOp::create(b, loc(), spec.getName(),
                                         shape.stored, extents);
      OpBuilder inside = OpBuilder::atBlockEnd(&equation.getBlock());
      SmallVector<Value> subscripts(equation.getParallelIndices());
      subscripts.erase(subscripts.begin() + shape.dim);
      YieldOp::create(
          inside, loc(),
          ReadOp::create(inside, loc(), shape.scalar, slice, subscripts)
              .getResult());
      values.push_back(equation);
    } else {
      values.push_back(map.lookup(value));
    }
    outputs.push_back(TensorSpecAttr::get(
        b.getContext(), spec.getName(), spec.getRole(), spec.getElementType(),
        getShape(spec.getShape().getResults()), spec.getOrder()));
  }
  for (const Remembered &each : reads.getRemembered()) {
    if (isa<BlockArgument>(each.tensor))
      continue;
    SmallVector<AffineExpr> shape = getShapeOf(each);
    if (!each.length)
      shape[each.dim] = shape[each.dim] + 1;
    values.push_back(emitFinal(each));
    outputs.push_back(TensorSpecAttr::get(b.getContext(),
                                          each.name + ".past.final",
                                          Role::Final, each.element,
                                          getShape(shape), {}));
  }
  ReturnOp::create(b, op.getLoc(), values);
}

struct DeriveStep : rondo::impl::DeriveStepBase<DeriveStep> {
  using DeriveStepBase::DeriveStepBase;

  LogicalResult derive(KernelOp kernel) {
    std::string name = (kernel.getSymName() + "_step").str();
    if (Operation *other = SymbolTable::lookupSymbolIn(getOperation(), name))
      return other->emitError()
             << "the kernel `" << name << "` has the name that one step of `"
             << kernel.getSymName() << "` gets; rename it";
    FailureOr<TimeReads> reads = TimeReads::get(kernel);
    if (failed(reads))
      return failure();
    StepBuilder(kernel, *reads).build();
    if (only)
      kernel.erase();
    return success();
  }

  void runOnOperation() override {
    for (KernelOp kernel :
         llvm::make_early_inc_range(getOperation().getOps<KernelOp>()))
      if (!kernel->hasAttr("entry") && failed(derive(kernel)))
        return signalPassFailure();
  }
};

} // namespace
