//===- ToRondo.cpp - From resolved kernels to the rondo dialect -----------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The only frontend file that builds structure: kernels, recurrences and
// equations. Scalar code comes from EmitExpr.cpp.
//
// A tensor of the model has its dims in layout order. In the dialect, every
// equation has the batch dims first, and the members of a recurrence have the
// along dims right after them. `Place::order` maps between the two: dim i of
// the dialect's tensor is dim order[i] of the model's.
//
//===----------------------------------------------------------------------===//

#include "frontend/Lowering/ToRondo.h"
#include "dialects/Rondo/IR/RondoOps.h"
#include "frontend/Lowering/CompleteBatch.h"
#include "frontend/Lowering/EmitExpr.h"
#include "frontend/Lowering/SeparateReductions.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Builders.h"
#include "llvm/Support/SourceMgr.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::frontend;
using model::Component;
using model::DType;
using model::Equation;
using model::Expr;
using model::Tensor;

namespace {

/// Where a tensor of the model lives in the dialect.
struct Place {
  Value value;
  SmallVector<unsigned> order;
  Value initial; // states: [batch.., declared dims..]
};

class KernelLowering {
public:
  KernelLowering(const model::Kernel &kernel, const LoweringOptions &options,
                 const llvm::SourceMgr &sources, OpBuilder builder)
      : kernel(kernel), options(options), sources(sources), builder(builder),
        realType(options.io == DType::F64 ? Type(builder.getF64Type())
                                          : Type(builder.getF32Type())) {}

  void run();

private:
  // Types, sizes, shapes.
  Type memoryType(DType dtype);
  Type elementType(model::Type type);
  model::Type scalarType(const Tensor &tensor);
  AffineExpr affine(const Expr *size);
  AffineMap shapeOf(ArrayRef<const Expr *> dims);
  Value size(StringRef name);
  Value sizeExpr(const Expr *expr);
  Location loc(llvm::SMLoc at);

  // Structure.
  void createKernel();
  void lowerInitial(const Tensor &state);
  void lowerEquation(const Equation &equation);
  void lowerRecurrence(const Component &component);
  void lowerReturn();

  /// The equation whose body is `value` over `indices`. `along` are indices
  /// that stand for enclosing along indices.
  struct Body {
    StringRef name;
    model::Type type;
    SmallVector<const model::Index *> parallel;
    SmallVector<std::pair<const model::Index *, Value>> along;
    const Expr *value;
    llvm::SMLoc loc;
  };
  Value emitEquation(const Body &body);
  Value emitRead(const Expr &read, ArrayRef<Value> subscripts, Location at,
                 ArrayRef<std::pair<const model::Index *, Value>> along);

  const model::Kernel &kernel;
  const LoweringOptions &options;
  const llvm::SourceMgr &sources;
  OpBuilder builder;
  Type realType;
  KernelOp op;
  SmallVector<AffineExpr> unused;
  llvm::StringMap<Value> sizes;
  llvm::DenseMap<const Expr *, Value> sizeExprs;
  Operation *sizesEnd = nullptr; // sizes are inserted before it
  llvm::DenseMap<const Tensor *, Place> places;

  // Inside a recurrence: its op, the members' numbers and their slices.
  RecurrenceOp recurrence;
  llvm::DenseMap<const Tensor *, unsigned> members;
  llvm::DenseMap<const Tensor *, Value> slices;
};

//===----------------------------------------------------------------------===//
// Types, sizes, shapes
//===----------------------------------------------------------------------===//

Type KernelLowering::memoryType(DType dtype) {
  switch (dtype == DType::Io ? options.io : dtype) {
  case DType::F16:
    return builder.getF16Type();
  case DType::BF16:
    return builder.getBF16Type();
  case DType::F64:
    return builder.getF64Type();
  case DType::I32:
    return builder.getI32Type();
  case DType::I64:
    return builder.getI64Type();
  case DType::Bool:
    return builder.getI1Type();
  case DType::F32:
  case DType::Io:
    return builder.getF32Type();
  }
  llvm_unreachable("unknown dtype");
}

/// Element type of a tensor that an equation defines.
Type KernelLowering::elementType(model::Type type) {
  switch (type) {
  case model::Type::Real:
    return realType;
  case model::Type::Int:
    return builder.getI64Type();
  case model::Type::Bool:
    return builder.getI1Type();
  }
  llvm_unreachable("unknown type");
}

model::Type KernelLowering::scalarType(const Tensor &tensor) {
  switch (tensor.dtype) {
  case DType::I32:
  case DType::I64:
    return model::Type::Int;
  case DType::Bool:
    return model::Type::Bool;
  default:
    return model::Type::Real;
  }
}

AffineExpr KernelLowering::affine(const Expr *expr) {
  if (expr->kind == Expr::Kind::IntConst)
    return builder.getAffineConstantExpr(expr->integer);
  if (expr->kind == Expr::Kind::Size) {
    for (auto [i, info] : llvm::enumerate(kernel.sizes))
      if (info.name == expr->name)
        return builder.getAffineSymbolExpr(i);
    llvm_unreachable("a size that the kernel does not list");
  }
  assert(expr->kind == Expr::Kind::Apply && "not an expression over sizes");
  AffineExpr lhs = affine(expr->args[0]);
  if (expr->op == model::Op::Neg)
    return -lhs;
  AffineExpr rhs = affine(expr->args[1]);
  switch (expr->op) {
  case model::Op::Add:
    return lhs + rhs;
  case model::Op::Sub:
    return lhs - rhs;
  case model::Op::Mul:
    return lhs * rhs;
  case model::Op::FloorDiv:
    return lhs.floorDiv(rhs);
  case model::Op::Mod:
    return lhs % rhs;
  default:
    llvm_unreachable("not an operation on sizes");
  }
}

AffineMap KernelLowering::shapeOf(ArrayRef<const Expr *> dims) {
  SmallVector<AffineExpr> exprs;
  for (const Expr *dim : dims)
    exprs.push_back(affine(dim));
  return AffineMap::get(0, kernel.sizes.size(), exprs, builder.getContext());
}

Value KernelLowering::size(StringRef name) {
  Value &value = sizes[name];
  if (!value) {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPoint(sizesEnd);
    value = builder.createOrFold<SizeOp>(op.getLoc(), builder.getIndexType(),
                                         builder.getStringAttr(name));
  }
  return value;
}

/// An expression over sizes at the start of the kernel.
Value KernelLowering::sizeExpr(const Expr *expr) {
  if (expr->kind == Expr::Kind::Size)
    return size(expr->name);
  Value &known = sizeExprs[expr];
  if (known)
    return known;
  auto noRead = [](const Expr &, ArrayRef<Value>, Location) { return Value(); };
  auto getSize = [&](StringRef name) { return size(name); };
  auto getLoc = [&](llvm::SMLoc) -> Location { return op.getLoc(); };
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPoint(sizesEnd);
  ExprEmitter emitter(builder, realType, noRead, getSize, getLoc);
  Value value = emitter.emit(expr);
  sizeExprs[expr] = value;
  return value;
}

Location KernelLowering::loc(llvm::SMLoc at) {
  unsigned buffer = at.isValid() ? sources.FindBufferContainingLoc(at) : 0;
  if (!buffer)
    return builder.getUnknownLoc();
  auto [line, column] = sources.getLineAndColumn(at, buffer);
  return FileLineColLoc::get(
      builder.getContext(),
      sources.getMemoryBuffer(buffer)->getBufferIdentifier(), line, column);
}

/// Positions of the batch dims in the layout of a tensor that an equation
/// defines.
SmallVector<unsigned> batchDims(const Tensor &tensor) {
  return SmallVector<unsigned>(tensor.batchDims.begin(),
                               tensor.batchDims.end());
}

/// `first`, then the other dims of a tensor of this rank in their order.
SmallVector<unsigned> withRest(SmallVector<unsigned> first, unsigned rank) {
  unsigned count = first.size();
  for (unsigned i = 0; i < rank; ++i)
    if (!llvm::is_contained(ArrayRef(first).take_front(count), i))
      first.push_back(i);
  return first;
}

//===----------------------------------------------------------------------===//
// Structure
//===----------------------------------------------------------------------===//

void KernelLowering::run() {
  createKernel();
  for (const Component &component : kernel.components) {
    if (component.recurrence)
      lowerRecurrence(component);
    else
      for (const Equation *equation : component.equations)
        lowerEquation(*equation);
  }
  lowerReturn();
}

/// The name of the size that the sequence runs over, if there is one: what
/// every one-dimensional recurrence runs along, else a size called T.
static std::string timeSize(const model::Kernel &kernel) {
  std::string name;
  for (const Tensor *state : kernel.states) {
    const Expr *along = state->shape[state->alongBegin];
    if (state->alongCount != 1 || along->kind != Expr::Kind::Size ||
        (!name.empty() && name != along->name))
      return "";
    name = along->name;
  }
  if (name.empty())
    for (const auto &info : kernel.sizes)
      if (info.name == "T")
        name = "T";
  return name;
}

void KernelLowering::createKernel() {
  MLIRContext *context = builder.getContext();
  SmallVector<Attribute> sizeNames, batchNames, inputs, outputs;
  SmallVector<int64_t> bound;
  SmallVector<Type> types;
  SmallVector<Location> locs;
  for (const auto &info : kernel.sizes) {
    sizeNames.push_back(builder.getStringAttr(info.name));
    bound.push_back(info.bound.value_or(-1));
  }
  for (const std::string &name : kernel.batch)
    batchNames.push_back(builder.getStringAttr(name));
  auto addInput = [&](StringRef name, Role role, Type type, AffineMap shape,
                      llvm::SMLoc at) {
    inputs.push_back(TensorSpecAttr::get(context, name, role, type, shape, {}));
    SmallVector<int64_t> dims(shape.getNumResults(), ShapedType::kDynamic);
    types.push_back(RankedTensorType::get(dims, type));
    locs.push_back(NameLoc::get(builder.getStringAttr(name), loc(at)));
  };
  auto stateShape = [&](const Tensor &state) {
    SmallVector<const Expr *> dims;
    for (auto [i, dim] : llvm::enumerate(state.shape))
      if (i < state.alongBegin || i >= state.alongBegin + state.alongCount)
        dims.push_back(dim);
    return shapeOf(dims);
  };
  for (const Tensor *argument : kernel.arguments)
    addInput(argument->name, Role::Argument, memoryType(argument->dtype),
             shapeOf(argument->shape), argument->loc);
  auto stateType = [&](const Tensor &state) {
    return elementType(scalarType(state));
  };
  for (const Tensor *state : kernel.states)
    addInput(state->name + ".initial", Role::Initial, stateType(*state),
             stateShape(*state), state->loc);
  for (const Tensor *output : kernel.outputs) {
    const Tensor &whole = output->whole ? *output->whole : *output;
    SmallVector<unsigned> order =
        withRest(batchDims(whole), whole.shape.size());
    SmallVector<int64_t> returned;
    // A batch dim that the result lacks was put in front.
    unsigned lacking = whole.shape.size() - output->shape.size();
    for (unsigned dim = lacking; dim < order.size(); ++dim)
      returned.push_back(llvm::find(order, dim) - order.begin());
    if (!lacking && llvm::is_sorted(returned))
      returned.clear();
    outputs.push_back(TensorSpecAttr::get(context, output->name, Role::Result,
                                          memoryType(output->dtype),
                                          shapeOf(output->shape), returned));
  }
  for (const Tensor *state : kernel.states)
    outputs.push_back(TensorSpecAttr::get(
        context, state->name + ".final", Role::Final, stateType(*state),
        stateShape(*state), ArrayRef<int64_t>()));

  std::string time = timeSize(kernel);
  op = KernelOp::create(
      builder, loc(kernel.loc), kernel.name, builder.getArrayAttr(sizeNames),
      builder.getDenseI64ArrayAttr(bound), builder.getArrayAttr(batchNames),
      time.empty() ? StringAttr() : builder.getStringAttr(time),
      builder.getArrayAttr(inputs), builder.getArrayAttr(outputs));
  Block *block = builder.createBlock(&op.getBody(), {}, types, locs);
  builder.setInsertionPointToStart(block);
  // Everything is inserted before the terminator, sizes before all else.
  auto ret = ReturnOp::create(builder, op.getLoc(), ValueRange());
  auto marker = arith::ConstantIndexOp::create(builder, op.getLoc(), 0);
  marker->moveBefore(ret);
  sizesEnd = marker;
  builder.setInsertionPoint(ret);

  for (auto [argument, value] :
       llvm::zip(kernel.arguments, block->getArguments()))
    places[argument] = {value, withRest({}, argument->shape.size()), Value()};
}

void KernelLowering::lowerInitial(const Tensor &state) {
  Body body{"", scalarType(state), {}, {}, state.initial, state.loc};
  body.parallel.assign(state.initialIndices.begin(),
                       state.initialIndices.end());
  std::string name = state.name + ".declared";
  body.name = name;
  Value declared = emitEquation(body);
  unsigned position = llvm::find(kernel.states, &state) - kernel.states.begin();
  Value given = op.getBody().getArgument(kernel.arguments.size() + position);
  places[&state].initial = InitialOp::create(
      builder, loc(state.loc), declared.getType(), given, declared);
}

void KernelLowering::lowerEquation(const Equation &equation) {
  const Tensor &target = *equation.target;
  SmallVector<unsigned> order =
      withRest(batchDims(target), target.shape.size());
  Body body{target.name, scalarType(target), {},
            {},          equation.value,     equation.loc};
  for (unsigned dim : order)
    body.parallel.push_back(equation.indices[dim]);
  Value result = emitEquation(body);
  Place &place = places[&target];
  place.value = result;
  place.order = order;
}

void KernelLowering::lowerRecurrence(const Component &component) {
  // States first, then the others, both in the component's order.
  SmallVector<unsigned> numbering;
  for (bool states : {true, false})
    for (auto [i, equation] : llvm::enumerate(component.equations))
      if ((equation->target->role == Tensor::Role::State) == states)
        numbering.push_back(i);
  unsigned numAlong = component.alongCount;
  unsigned numBatch = kernel.batch.size();

  for (unsigned i : numbering)
    if (component.equations[i]->target->role == Tensor::Role::State)
      lowerInitial(*component.equations[i]->target);
  members.clear();
  slices.clear();
  SmallVector<Value> alongSizes, initials;
  SmallVector<Attribute> names;
  SmallVector<Type> histories, finals;
  for (auto [number, i] : llvm::enumerate(numbering)) {
    const Tensor &tensor = *component.equations[i]->target;
    members[&tensor] = number;
    bool isState = tensor.role == Tensor::Role::State;
    SmallVector<unsigned> first = batchDims(tensor);
    llvm::append_range(first, component.alongPosition[i]);
    Place &place = places[&tensor];
    place.order = withRest(first, tensor.shape.size());
    if (number == 0)
      for (unsigned dim : component.alongPosition[i])
        alongSizes.push_back(sizeExpr(tensor.shape[dim]));
    names.push_back(builder.getStringAttr(tensor.name));
    SmallVector<int64_t> dims(tensor.shape.size(), ShapedType::kDynamic);
    histories.push_back(
        RankedTensorType::get(dims, elementType(scalarType(tensor))));
    if (isState) {
      initials.push_back(place.initial);
      finals.push_back(place.initial.getType());
    }
  }
  SmallVector<Type> results(histories);
  llvm::append_range(results, finals);
  SmallVector<bool> reversed(component.reversed.begin(),
                             component.reversed.end());
  Location at = loc(component.equations.front()->loc);
  recurrence = RecurrenceOp::create(builder, at, results, alongSizes, initials,
                                    builder.getArrayAttr(names),
                                    builder.getDenseBoolArrayAttr(reversed),
                                    builder.getI64IntegerAttr(numBatch));

  SmallVector<Type> argTypes(numAlong, builder.getIndexType());
  llvm::append_range(argTypes, histories);
  SmallVector<Location> argLocs(argTypes.size(), at);
  {
    OpBuilder::InsertionGuard guard(builder);
    Block *block =
        builder.createBlock(&recurrence.getBody(), {}, argTypes, argLocs);
    builder.setInsertionPointToStart(block);
    for (auto [i, equation] : llvm::enumerate(component.equations)) {
      const Tensor &target = *equation->target;
      Body body{target.name, scalarType(target), {},
                {},          equation->value,    equation->loc};
      for (auto [position, dim] : llvm::enumerate(component.alongPosition[i]))
        body.along.push_back(
            {equation->indices[dim], block->getArgument(position)});
      for (unsigned dim : places[&target].order)
        if (!llvm::is_contained(component.alongPosition[i], dim))
          body.parallel.push_back(equation->indices[dim]);
      slices[&target] = emitEquation(body);
    }
    SmallVector<Value> yielded;
    for (unsigned i : numbering)
      yielded.push_back(slices[component.equations[i]->target]);
    YieldOp::create(builder, at, yielded);
  }
  for (auto [number, i] : llvm::enumerate(numbering))
    places[component.equations[i]->target].value =
        recurrence.getHistory(number);
  recurrence = {};
  members.clear();
}

void KernelLowering::lowerReturn() {
  SmallVector<Value> results;
  for (const Tensor *output : kernel.outputs)
    results.push_back(places[output->whole ? output->whole : output].value);
  for (const Tensor *state : kernel.states) {
    Value history = places[state].value;
    auto owner = history.getDefiningOp<RecurrenceOp>();
    results.push_back(
        owner.getFinal(cast<OpResult>(history).getResultNumber()));
  }
  op.getBody().front().getTerminator()->setOperands(results);
  if (sizesEnd->use_empty())
    sizesEnd->erase();
}

//===----------------------------------------------------------------------===//
// Equations
//===----------------------------------------------------------------------===//

Value KernelLowering::emitEquation(const Body &body) {
  const Expr *value = body.value;
  std::optional<Combiner> combiner;
  SmallVector<Value> extents, lowers, uppers;
  for (const model::Index *index : body.parallel)
    extents.push_back(sizeExpr(index->upper));
  bool isReduction = value->kind == Expr::Kind::Reduce;
  if (isReduction) {
    combiner = static_cast<Combiner>(value->reduction);
    for (const model::Index *index : value->indices) {
      lowers.push_back(index->lower ? sizeExpr(index->lower)
                                    : Value(arith::ConstantIndexOp::create(
                                          builder, loc(index->loc), 0)));
      uppers.push_back(sizeExpr(index->upper));
    }
  }
  auto equation = EquationOp::create(builder, loc(body.loc), body.name,
                                     elementType(body.type), extents, lowers,
                                     uppers, combiner);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(&equation.getBlock());
  auto getRead = [&](const Expr &read, ArrayRef<Value> subscripts,
                     Location at) {
    return emitRead(read, subscripts, at, body.along);
  };
  auto getSize = [&](StringRef name) { return size(name); };
  auto getLoc = [&](llvm::SMLoc at) { return loc(at); };
  ExprEmitter emitter(builder, realType, getRead, getSize, getLoc);
  for (auto [index, argument] :
       llvm::zip_equal(body.parallel, equation.getParallelIndices()))
    emitter.bind(index, argument);
  for (auto [index, argument] : body.along)
    emitter.bind(index, argument);
  Value filter, result;
  if (isReduction) {
    for (auto [index, argument] :
         llvm::zip_equal(value->indices, equation.getReductionIndices()))
      emitter.bind(index, argument);
    if (value->filter)
      filter = emitter.emit(value->filter);
    result = emitter.emit(value->args[0], filter);
  } else {
    result = emitter.emit(value);
  }
  YieldOp::create(builder, loc(body.loc), result, filter);
  return equation.getResult();
}

Value KernelLowering::emitRead(
    const Expr &read, ArrayRef<Value> subscripts, Location at,
    ArrayRef<std::pair<const model::Index *, Value>> along) {
  const Tensor &tensor = *read.tensor;
  const Place &place = places[&tensor];
  SmallVector<Value> ordered;
  SmallVector<int64_t> data;
  for (auto [position, dim] : llvm::enumerate(place.order)) {
    ordered.push_back(subscripts[dim]);
    if (read.isGather() && read.data[dim])
      data.push_back(position);
  }

  bool isState = tensor.role == Tensor::Role::State;
  Value source = place.value;
  auto member = members.find(&tensor);
  unsigned alongBegin = isState ? kernel.batch.size() : 0;
  unsigned alongCount = tensor.alongCount;
  if (member != members.end()) {
    alongBegin = recurrence.getBatch();
    alongCount = recurrence.getNumAlong();
    source = recurrence.getPast(member->second);
  }
  // Whether the point read is the point being computed (inside a recurrence)
  // or certainly one of the range (outside).
  bool isHere = true;
  for (unsigned i = 0; i < alongCount; ++i) {
    const Expr *subscript = read.args[place.order[alongBegin + i]];
    bool bare = subscript->kind == Expr::Kind::Index;
    if (member != members.end())
      bare &= i < along.size() && ordered[alongBegin + i] == along[i].second;
    isHere &= bare;
  }
  Value fallback;
  SmallVector<Value> rest(ordered.begin(), ordered.begin() + alongBegin);
  rest.append(ordered.begin() + alongBegin + alongCount, ordered.end());
  if (member != members.end() && isHere) {
    source = slices.lookup(&tensor);
    ordered = rest;
    // The subscripts of the along dims, which are left out, are indices.
    for (int64_t &dim : data)
      if (dim >= alongBegin)
        dim -= alongCount;
  } else if (isState && !isHere) {
    fallback = place.initial;
  }
  if (member != members.end() && !isHere && isState)
    fallback = recurrence.getInitials()[member->second];

  Type memory = cast<RankedTensorType>(source.getType()).getElementType();
  Type scalar = realType;
  if (memory.isInteger(1))
    scalar = memory;
  else if (memory.isIntOrIndex())
    scalar = builder.getIndexType();
  bool narrows = memory.isF64() && scalar.isF32();
  if (narrows)
    scalar = memory;
  Value result;
  if (read.isGather())
    result = GatherOp::create(builder, at, scalar, source, ordered, fallback,
                              fallback ? ValueRange(rest) : ValueRange(),
                              tensor.name, data);
  else
    result = ReadOp::create(builder, at, scalar, source, ordered, fallback,
                            fallback ? ValueRange(rest) : ValueRange());
  if (narrows)
    result = arith::TruncFOp::create(builder, at, realType, result);
  return result;
}

} // namespace

OwningOpRef<ModuleOp> rondo::frontend::lowerToRondo(
    MLIRContext &context, ArrayRef<std::unique_ptr<model::Kernel>> kernels,
    const LoweringOptions &options, const llvm::SourceMgr &sources) {
  context.loadDialect<RondoDialect, arith::ArithDialect, math::MathDialect>();
  OpBuilder builder(&context);
  OwningOpRef<ModuleOp> module = ModuleOp::create(builder.getUnknownLoc());
  for (const auto &kernel : kernels) {
    completeBatch(*kernel);
    separateReductions(*kernel);
    builder.setInsertionPointToEnd(module->getBody());
    KernelLowering(*kernel, options, sources, builder).run();
  }
  return module;
}
