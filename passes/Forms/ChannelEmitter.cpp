//===- ChannelEmitter.cpp - Writing kernels by channel --------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Forms/ChannelEmitter.h"
#include "mlir/Dialect/Affine/Utils.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "passes/Algebra/Linear.h"
#include "passes/Forms/Storage.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::algebra;

ChannelEmitter::ChannelEmitter(Context &context, ChannelStructure &structure,
                               ChannelParameters parameters)
    : context(context), s(structure), p(parameters),
      b(structure.kernel.getLoc(), structure.kernel.getContext()),
      n(structure.states.size()),
      numPoints(llvm::divideCeil(structure.numPrivate, parameters.lanes)),
      type(structure.states[0].past->type) {}

void ChannelEmitter::emitIf(Value condition, llvm::function_ref<void()> body) {
  if (!condition)
    return body();
  auto test = scf::IfOp::create(b, condition, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(test.thenBlock());
  body();
}

Value ChannelEmitter::emitSize(AffineExpr expr) {
  return affine::expandAffineExpr(b, b.getLoc(), expr, {}, sizes);
}

/// Aligned so that neighbours are loaded together.
Value ChannelEmitter::shared(Type element, ArrayRef<int64_t> shape) {
  auto space = mlir::gpu::AddressSpaceAttr::get(
      b.getContext(), mlir::gpu::AddressSpace::Workgroup);
  Value memory = kernel.addWorkgroupAttribution(
      MemRefType::get(shape, element, MemRefLayoutAttrInterface(), space),
      b.getLoc());
  kernel.setWorkgroupAttributionAttr(
      kernel.getNumWorkgroupAttributions() - 1,
      b.getStringAttr(LLVM::LLVMDialect::getAlignAttrName()),
      b.getI64IntegerAttr(16));
  return memory;
}

//===----------------------------------------------------------------------===//
// Expressions
//===----------------------------------------------------------------------===//

bool ChannelEmitter::dependsOn(Expr expr, Expr leaf) const {
  return contains(expr, [&](Expr node) { return node == leaf; });
}

bool ChannelEmitter::dependsOnPrivate(Expr expr) const {
  for (auto [k, isPrivate] : llvm::enumerate(s.isPrivate))
    if (isPrivate && dependsOn(expr, s.indices[s.numBatch + k]))
      return true;
  return false;
}

bool ChannelEmitter::dependsOnChannel(Expr expr) const {
  for (auto [k, isPrivate] : llvm::enumerate(s.isPrivate))
    if (!isPrivate && dependsOn(expr, s.indices[s.numBatch + k]))
      return true;
  return false;
}

Value ChannelEmitter::load(Value raw, Type scalar) {
  Type element = raw.getType();
  if (element == scalar)
    return raw;
  if (scalar.isInteger(1))
    return arith::CmpIOp::create(
        b, arith::CmpIPredicate::ne, raw,
        arith::ConstantOp::create(b, b.getZeroAttr(element)));
  if (scalar.isIndex())
    return arith::IndexCastOp::create(b, scalar, raw);
  return arith::ExtFOp::create(b, scalar, raw);
}

void ChannelEmitter::store(Value value, Value memref, ValueRange subscripts) {
  Type element = cast<MemRefType>(memref.getType()).getElementType();
  if (value.getType().isInteger(1))
    value = arith::ExtUIOp::create(b, element, value);
  else if (value.getType().isIndex())
    value = arith::IndexCastOp::create(b, element, value);
  else if (value.getType() != element)
    value = arith::TruncFOp::create(b, element, value);
  memref::StoreOp::create(b, value, memref, subscripts);
}

/// A subscript that is an index by itself stands at a dim of its own size;
/// others are brought into range.
Value ChannelEmitter::emitRaw(Expr expr, Scope &scope) {
  unsigned number = cast<BlockArgument>(expr->value).getArgNumber();
  AffineMap shape = s.kernel.getInput(number).getShape();
  if (!isa<MemRefType>(inputs[number].getType()))
    return inputs[number]; // the value of an argument without dims
  Values subscripts;
  for (auto [dim, subscript] : llvm::enumerate(expr->subscripts())) {
    Value value = emit(subscript, scope);
    if (subscript->kind != Kind::Value) {
      Value isIn = arith::CmpIOp::create(b, arith::CmpIPredicate::ult, value,
                                         emitSize(shape.getResult(dim)));
      value = select(isIn, value, constant(0));
    }
    subscripts.push_back(value);
  }
  return memref::LoadOp::create(b, inputs[number], subscripts);
}

/// 0 out of range.
Value ChannelEmitter::finishRead(Expr expr, Value raw, Scope &scope) {
  unsigned number = cast<BlockArgument>(expr->value).getArgNumber();
  AffineMap shape = s.kernel.getInput(number).getShape();
  Value inRange;
  for (auto [dim, subscript] : llvm::enumerate(expr->subscripts()))
    if (subscript->kind != Kind::Value)
      inRange =
          both(inRange, arith::CmpIOp::create(b, arith::CmpIPredicate::ult,
                                              emit(subscript, scope),
                                              emitSize(shape.getResult(dim))));
  Value value = load(raw, expr->type);
  if (!inRange)
    return value;
  return select(inRange, value,
                arith::ConstantOp::create(b, b.getZeroAttr(expr->type)));
}

Value ChannelEmitter::emitCombined(Combiner combiner, Value x, Value y) {
  switch (combiner) {
  case Combiner::Sum:
    return addf(x, y);
  case Combiner::Prod:
    return mulf(x, y);
  case Combiner::Max:
    return arith::MaximumFOp::create(b, x, y);
  case Combiner::Min:
    return arith::MinimumFOp::create(b, x, y);
  default:
    llvm_unreachable("not a combiner of reals");
  }
}

Value ChannelEmitter::emitIdentity(Combiner combiner) {
  double infinity = std::numeric_limits<double>::infinity();
  return real(combiner == Combiner::Sum    ? 0
              : combiner == Combiner::Prod ? 1
              : combiner == Combiner::Max  ? -infinity
                                           : infinity);
}

/// A short sum of elements of arguments: a loop.
Value ChannelEmitter::emitReduce(Expr expr, Scope &scope) {
  OpBuilder::InsertionGuard guard(b);
  Value result = emitIdentity(expr->combiner);
  SmallVector<scf::ForOp> loops;
  Scope inner(scope);
  for (const Variable *variable : expr->variables) {
    auto bound = [&](Value value) { return emit(context.leaf(value), scope); };
    auto loop = scf::ForOp::create(b, bound(variable->lower),
                                   bound(variable->upper), constant(1), result);
    b.setInsertionPointToStart(loop.getBody());
    inner.values[context.variable(variable)] = loop.getInductionVar();
    result = loop.getRegionIterArg(0);
    loops.push_back(loop);
  }
  Value element = emit(expr->args[0], inner);
  if (expr->args.size() > 1 && expr->args[1])
    element = select(emit(expr->args[1], inner), element,
                     emitIdentity(expr->combiner));
  result = emitCombined(expr->combiner, result, element);
  for (scf::ForOp loop : llvm::reverse(loops)) {
    scf::YieldOp::create(b, result);
    result = loop.getResult(0);
    b.setInsertionPointAfter(loop);
  }
  return result;
}

Value ChannelEmitter::emit(Expr expr, Scope &scope) {
  if (Value value = scope.lookup(expr))
    return value;
  Value result;
  switch (expr->kind) {
  case Kind::Real:
    result =
        arith::ConstantOp::create(b, b.getFloatAttr(expr->type, expr->real));
    break;
  case Kind::Integer:
    if (expr->type.isIndex())
      result = constant(expr->integer);
    else
      result = arith::ConstantOp::create(b, b.getBoolAttr(expr->integer));
    break;
  case Kind::Value: {
    // Sizes and scalar code of the kernel.
    if (auto size = expr->value.getDefiningOp<SizeOp>()) {
      result = sizes[s.kernel.getSizeIndex(size.getName())];
      break;
    }
    Operation *clone = b.clone(*expr->value.getDefiningOp());
    for (OpOperand &operand : clone->getOpOperands())
      operand.set(emit(context.leaf(operand.get()), scope));
    result = clone->getResult(0);
    break;
  }
  case Kind::Read:
    result = finishRead(expr, emitRaw(expr, scope), scope);
    break;
  case Kind::Apply: {
    OperationState state(b.getLoc(), expr->op.getValue());
    for (Expr arg : expr->args)
      state.addOperands(emit(arg, scope));
    state.addTypes(expr->type);
    state.addAttributes(expr->attributes.getValue());
    result = b.create(state)->getResult(0);
    break;
  }
  case Kind::Reduce:
    result = emitReduce(expr, scope);
    break;
  case Kind::Variable:
    llvm_unreachable("an index without a loop");
  }
  scope.values[expr] = result;
  return result;
}

//===----------------------------------------------------------------------===//
// The functions
//===----------------------------------------------------------------------===//

static bool isValue(TensorSpecAttr spec) {
  return spec.getRole() == Role::Argument &&
         spec.getShape().getNumResults() == 0;
}

/// @f of the host, with what launching needs, @f_worker_bytes and the kernel.
void ChannelEmitter::createFunctions() {
  KernelOp op = s.kernel;
  auto module = op->getParentOfType<ModuleOp>();
  Type index = b.getIndexType();
  auto pointer = LLVM::LLVMPointerType::get(b.getContext());
  unsigned numSizes = op.getSizes().size();
  SmallVector<TensorSpecAttr> specs(
      op.getInputs().getAsRange<TensorSpecAttr>());
  llvm::append_range(specs, op.getOutputs().getAsRange<TensorSpecAttr>());
  SmallVector<Type> hostTypes(numSizes, index), types(numSizes, index);
  // Pointers that nothing else refers to: 1, and is read only: 2.
  SmallVector<int64_t> uses(numSizes, 0);
  for (TensorSpecAttr spec : specs) {
    auto memref = cast<MemRefType>(Storage::getMemRefType(spec));
    hostTypes.push_back(memref);
    types.push_back(isValue(spec) ? memref.getElementType() : Type(memref));
    bool isState =
        spec.getRole() == Role::Initial || spec.getRole() == Role::Final;
    uses.push_back(isValue(spec) || isState           ? 0
                   : spec.getRole() == Role::Argument ? 3
                                                      : 1);
  }
  hostTypes.append({MemRefType::get({ShapedType::kDynamic}, b.getI8Type()),
                    index, index, MemRefType::get({2}, b.getI64Type()),
                    Type(pointer), index, Type(pointer), index});
  types.append({index, index, Type(pointer), index});
  uses.append({0, 0, 3, 0});

  // The kernel.
  auto kernels = module.lookupSymbol<mlir::gpu::GPUModuleOp>("kernels");
  if (!kernels) {
    b.setInsertionPointToStart(module.getBody());
    module->setAttr(mlir::gpu::GPUDialect::getContainerModuleAttrName(),
                    b.getUnitAttr());
    kernels = mlir::gpu::GPUModuleOp::create(b, "kernels");
  }
  b.setInsertionPointToEnd(kernels.getBody());
  kernel = mlir::gpu::GPUFuncOp::create(b, op.getSymName(),
                                        b.getFunctionType(types, {}));
  kernel->setAttr(mlir::gpu::GPUDialect::getKernelFuncAttrName(),
                  b.getUnitAttr());
  int32_t threads =
      p.channels * (p.form == ChannelForm::Sequential ? p.lanes : p.segments);
  kernel->setAttr("nvvm.maxntid", b.getDenseI32ArrayAttr({threads, 1, 1}));
  kernel->setAttr("rondo.pointers", b.getDenseI64ArrayAttr(uses));

  // The host's functions.
  b.setInsertionPoint(op);
  host = func::FuncOp::create(b, op.getSymName(),
                              b.getFunctionType(hostTypes, {}));
  SmallVector<NamedAttribute> signature;
  for (NamedAttribute attr : op->getAttrDictionary())
    if (attr.getName() != SymbolTable::getSymbolAttrName() &&
        attr.getName() != SymbolTable::getVisibilityAttrName())
      signature.push_back(attr);
  host->setAttr("rondo.signature", b.getDictionaryAttr(signature));
  host->setAttr("rondo.faults", b.getArrayAttr({}));
  host->setAttr("rondo.form",
                b.getStringAttr(p.form == ChannelForm::Newton ? "newton"
                                : p.form == ChannelForm::Scan ? "scan"
                                                              : "sequential"));
  host->setAttr("rondo.launches", b.getUnitAttr());
  host->setAttr("rondo.channels", b.getUnitAttr());
  Block *entry = host.addEntryBlock();
  SmallVector<Type> indices(numSizes, index);
  auto bytes =
      func::FuncOp::create(b, (op.getSymName() + "_worker_bytes").str(),
                           b.getFunctionType(indices, index));
  b.setInsertionPointToStart(bytes.addEntryBlock());
  func::ReturnOp::create(b, constant(64));

  b.setInsertionPointToStart(entry);
  auto bindSizes = [&](ValueRange arguments) {
    sizes.assign(arguments.begin(), arguments.begin() + numSizes);
    for (auto [i, bound] : llvm::enumerate(op.getBound()))
      if (bound >= 0)
        sizes[i] = constant(bound);
  };
  bindSizes(host.getArguments());
  Scope scope;
  Value one = constant(1), channels = one;
  for (unsigned dim : dimsOf(/*isPrivate=*/false))
    channels =
        mul(channels, emit(context.leaf(s.extents[s.numBatch + dim]), scope));
  unsigned tail = numSizes + specs.size();
  Value first = host.getArgument(tail + 1), stop = host.getArgument(tail + 2);
  auto atLeastOne = [&](Value x) -> Value {
    return arith::MaxSIOp::create(b, x, one);
  };
  Value blocks = atLeastOne(sub(stop, first));
  Value tilesOfChannels =
      atLeastOne(arith::CeilDivSIOp::create(b, channels, constant(p.channels)));
  Values operands(host.getArguments().take_front(numSizes));
  for (auto [i, spec] : llvm::enumerate(specs)) {
    Value tensor = host.getArgument(numSizes + i);
    operands.push_back(
        isValue(spec) ? memref::LoadOp::create(b, tensor).getResult() : tensor);
  }
  operands.append(
      {first, stop, host.getArgument(tail + 6), host.getArgument(tail + 7)});
  mlir::gpu::LaunchFuncOp::create(
      b, kernel, mlir::gpu::KernelDim3{blocks, tilesOfChannels, one},
      mlir::gpu::KernelDim3{constant(threads), one, one},
      /*dynamicSharedMemorySize=*/Value(), operands);
  func::ReturnOp::create(b);

  b.setInsertionPointToStart(&kernel.getBody().front());
  ValueRange arguments = kernel.getArguments();
  bindSizes(arguments);
  begin = add(arguments[tail],
              mlir::gpu::BlockIdOp::create(b, mlir::gpu::Dimension::x));
  end = arguments[tail + 1];
  Values tensors(arguments.slice(numSizes, specs.size()));
  isSome = less(begin, end);
  // A sequence of a packed batch: tensors are moved to where it starts.
  Packing packing = Packing::get(op->getAttrDictionary());
  if (packing.timeSize >= 0 && op.getBound()[packing.timeSize] < 0) {
    Value number = arith::MinSIOp::create(b, begin, sub(end, constant(1)));
    Packing::Part part = packing.emitPart(b, sizes, arguments[tail + 2],
                                          arguments[tail + 3], number);
    begin = part.point;
    sizes[packing.timeSize] = part.length;
    for (auto [tensor, spec] : llvm::zip(tensors, specs))
      if (!isValue(spec))
        tensor = packing.shiftToPart(b, spec, tensor, part);
  }
  unsigned numInputs = op.getInputs().size();
  inputs.assign(tensors.begin(), tensors.begin() + numInputs);
  outputs.assign(tensors.begin() + numInputs, tensors.end());
}

SmallVector<unsigned> ChannelEmitter::dimsOf(bool isPrivate) const {
  SmallVector<unsigned> dims;
  for (auto [k, each] : llvm::enumerate(s.isPrivate))
    if (each == isPrivate)
      dims.push_back(k);
  return dims;
}

/// The leaves of the states' dims `dims` from a number in row-major order.
void ChannelEmitter::unravel(Value flat, ArrayRef<unsigned> dims,
                             Scope &scope) {
  for (unsigned i = dims.size(); i-- > 0;) {
    unsigned k = s.numBatch + dims[i];
    if (i == 0) {
      scope.values[s.indices[k]] = flat;
      break;
    }
    Value extent = arith::MaxSIOp::create(
        b, emit(context.leaf(s.extents[k]), base), constant(1));
    scope.values[s.indices[k]] = rem(flat, extent);
    flat = div(flat, extent);
  }
}

/// Which channel the thread has, and which of its points or segments. A thread
/// beyond the last channel computes channel 0 and stores nothing.
void ChannelEmitter::emitPlace() {
  Value thread = mlir::gpu::ThreadIdOp::create(b, mlir::gpu::Dimension::x);
  bool isSequential = p.form == ChannelForm::Sequential;
  if (isSequential) {
    lane = rem(thread, constant(p.lanes));
    channelInBlock = div(thread, constant(p.lanes));
  } else {
    lane = constant(0);
    channelInBlock = rem(thread, constant(p.channels));
    segment = div(thread, constant(p.channels));
  }
  firstChannel = mul(mlir::gpu::BlockIdOp::create(b, mlir::gpu::Dimension::y),
                     constant(p.channels));
  Value channel = add(firstChannel, channelInBlock);
  length = emit(context.leaf(s.length), base);
  last = sub(length, constant(1));
  numChannels = constant(1);
  for (unsigned dim : dimsOf(/*isPrivate=*/false))
    numChannels =
        mul(numChannels, emit(context.leaf(s.extents[s.numBatch + dim]), base));
  isOwn = less(channel, numChannels);
  channel = select(isOwn, channel, constant(0));
  isSome = both(isSome, less(constant(0), numChannels));
  Value flat = begin;
  for (unsigned k = s.numBatch; k-- > 0;) {
    Value extent = arith::MaxSIOp::create(
        b, emit(context.leaf(s.extents[k]), base), constant(1));
    base.values[s.indices[k]] = k ? rem(flat, extent) : flat;
    flat = div(flat, extent);
  }
  unravel(channel, dimsOf(/*isPrivate=*/false), base);
  SmallVector<unsigned> dims = dimsOf(/*isPrivate=*/true);
  for (int64_t j = 0; j < numPoints; ++j) {
    Value number = add(mul(lane, constant(numPoints)), constant(j));
    Value isThere;
    if (numPoints * p.lanes != s.numPrivate) {
      isThere = less(number, constant(s.numPrivate));
      number = select(isThere, number, constant(0));
    }
    isPoint.push_back(isThere);
    basePoints.emplace_back(base);
    unravel(number, dims, basePoints.back());
  }
}

/// Loads what depends on no step; finds what is loaded at each.
void ChannelEmitter::collectReads() {
  auto collect = [&](Expr root) {
    if (!root)
      return;
    // A short sum is computed where it is needed.
    SmallVector<Expr> work{root};
    while (!work.empty()) {
      Expr expr = work.pop_back_val();
      if (expr->kind == Kind::Reduce || isState(expr))
        continue;
      if (expr->kind == Kind::Read) {
        if (dependsOnTime(expr))
          reads.insert(expr);
        else if (!dependsOnPrivate(expr))
          emit(expr, base);
        else
          for (Scope &point : basePoints)
            emit(expr, point);
        continue;
      }
      llvm::append_range(work, llvm::reverse(expr->args));
    }
  };
  for (const ChannelStructure::State &state : s.states)
    collect(state.value);
  for (const ChannelStructure::Sum &sum : s.sums) {
    collect(sum.body);
    collect(sum.filter);
  }
  for (const ChannelStructure::Result &result : s.results)
    collect(result.value);
}

ChannelEmitter::Values ChannelEmitter::emitInitials() {
  Values states;
  for (ChannelStructure::State &state : s.states) {
    Value given = inputs[cast<BlockArgument>(state.given).getArgNumber()];
    Value address = memref::ExtractAlignedPointerAsIndexOp::create(b, given);
    Value isGiven = arith::CmpIOp::create(b, arith::CmpIPredicate::ne, address,
                                          constant(0));
    for (Scope &point : basePoints) {
      auto test = scf::IfOp::create(b, TypeRange{type}, isGiven,
                                    /*withElseRegion=*/true);
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(test.thenBlock());
      Values at;
      for (Expr index : s.indices)
        at.push_back(point.lookup(index));
      scf::YieldOp::create(b, load(memref::LoadOp::create(b, given, at), type));
      b.setInsertionPointToStart(test.elseBlock());
      Scope scope;
      for (auto [index, value] :
           llvm::zip(state.declared.getParallelIndices(), at))
        scope.values[context.leaf(index)] = value;
      Expr expr =
          Importer(context).import(state.declared.getYield().getValues()[0]);
      scf::YieldOp::create(b, emit(expr, scope));
      states.push_back(test.getResult(0));
    }
  }
  return states;
}

//===----------------------------------------------------------------------===//
// Steps
//===----------------------------------------------------------------------===//

/// The time of step `number`, counted in the direction of the recurrence; that
/// of the last step behind the end.
Value ChannelEmitter::timeOf(Value number) {
  Value inside = arith::MinSIOp::create(b, number, last);
  return s.reversed ? sub(last, inside) : inside;
}

ChannelEmitter::Step &ChannelEmitter::emitStep(Value number, bool isWhole) {
  steps.emplace_back();
  Step &step = steps.back();
  step.place = s.reversed ? sub(last, number) : number;
  step.time = isWhole ? step.place : timeOf(number);
  if (!isWhole)
    step.isValid = less(number, length);
  step.scope.outer = &base;
  step.scope.values[s.time] = step.time;
  for (Scope &point : basePoints) {
    step.points.emplace_back(step.scope);
    step.points.back().values = point.values;
  }
  return step;
}

void ChannelEmitter::prepare(Step &step) {
  for (Expr read : reads) {
    if (!dependsOnPrivate(read))
      emit(read, step.scope);
    else
      for (Scope &point : step.points)
        emit(read, point);
  }
}

void ChannelEmitter::bindStates(Step &step, ValueRange before, ValueRange now) {
  for (auto [k, state] : llvm::enumerate(s.states))
    for (auto [j, point] : llvm::enumerate(step.points)) {
      point.values[state.past] = before[k * numPoints + j];
      point.values[state.current] = now[k * numPoints + j];
    }
}

/// The states at a step from those before; behind the end they stay.
ChannelEmitter::Values ChannelEmitter::emitNew(Step &step, ValueRange before) {
  Values states(n * numPoints);
  for (auto [j, point] : llvm::enumerate(step.points)) {
    Scope scope(point);
    for (auto [k, state] : llvm::enumerate(s.states))
      scope.values[state.past] = before[k * numPoints + j];
    for (auto [k, state] : llvm::enumerate(s.states)) {
      Value value = select(step.isValid, emit(state.value, scope),
                           before[k * numPoints + j]);
      states[k * numPoints + j] = value;
      scope.values[state.current] = value;
    }
  }
  return states;
}

void ChannelEmitter::emitStore(const ChannelStructure::Result &result,
                               Step &step, Scope &scope, Value value,
                               Value isThere) {
  emitIf(both(isThere, step.isValid), [&] {
    TensorSpecAttr spec = s.kernel.getOutput(result.output);
    Values here;
    for (Expr index : ArrayRef(s.indices).take_front(s.numBatch))
      here.push_back(base.lookup(index));
    here.push_back(step.place);
    for (unsigned dim : result.dims)
      here.push_back(scope.lookup(s.indices[s.numBatch + dim]));
    Values subscripts;
    for (unsigned d = 0; d < here.size(); ++d)
      subscripts.push_back(here[spec.getReturnedDim(d)]);
    store(value, outputs[result.output], subscripts);
  });
}

/// Results that have all dims of the states.
void ChannelEmitter::emitWide(Step &step) {
  for (const ChannelStructure::Result &result : s.results)
    if (result.isWide)
      for (auto [j, point] : llvm::enumerate(step.points))
        emitStore(result, step, point, emit(result.value, point),
                  both(isOwn, isPoint[j]));
}

/// Results of channels, from sums that are known: all values, then one branch
/// for the stores.
void ChannelEmitter::emitNarrow(ArrayRef<Step *> steps) {
  SmallVector<Values> values;
  for (Step *step : steps) {
    Values row;
    for (const ChannelStructure::Result &result : s.results)
      if (!result.isWide)
        row.push_back(emit(result.value, step->scope));
    values.push_back(row);
  }
  emitIf(isOwn, [&] {
    for (auto [step, row] : llvm::zip_equal(steps, values)) {
      unsigned next = 0;
      for (const ChannelStructure::Result &result : s.results)
        if (!result.isWide)
          emitStore(result, *step, step->scope, row[next++], Value());
    }
  });
}

void ChannelEmitter::emitFinals(ValueRange states, Value isThere) {
  for (auto [output, state] : s.finals) {
    Value memref = outputs[output];
    Value address = memref::ExtractAlignedPointerAsIndexOp::create(b, memref);
    Value isGiven = arith::CmpIOp::create(b, arith::CmpIPredicate::ne, address,
                                          constant(0));
    TensorSpecAttr spec = s.kernel.getOutput(output);
    for (int64_t j = 0; j < numPoints; ++j) {
      Values subscripts;
      for (unsigned d = 0; d < s.indices.size(); ++d)
        subscripts.push_back(
            basePoints[j].lookup(s.indices[spec.getReturnedDim(d)]));
      Value value = states[state * numPoints + j];
      emitIf(both(both(isThere, isPoint[j]), isGiven),
             [&] { store(value, memref, subscripts); });
    }
  }
}

void ChannelEmitter::run() {
  createFunctions();
  emitPlace();
  emitIf(isSome, [&] {
    collectReads();
    switch (p.form) {
    case ChannelForm::Sequential:
      return emitSequential();
    case ChannelForm::Scan:
      return emitScan();
    case ChannelForm::Newton:
      return emitNewton();
    }
  });
  mlir::gpu::ReturnOp::create(b);
  s.kernel.erase();
}

void rondo::toChannelKernel(Context &context, ChannelStructure &structure,
                            ChannelParameters parameters) {
  ChannelEmitter(context, structure, parameters).run();
}
