//===- PointEmitter.cpp - Writing what happens at a point -----------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Forms/PointEmitter.h"
#include "mlir/Dialect/Affine/Utils.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "passes/Algebra/Linear.h"
#include "passes/Common/PackedSequences.h"
#include "passes/Forms/Storage.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::algebra;

void PointEmitter::emitIf(Value condition, llvm::function_ref<void()> body) {
  if (!condition)
    return body();
  auto test = scf::IfOp::create(b, condition, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(test.thenBlock());
  body();
}

Value PointEmitter::emitSize(AffineExpr expr) {
  return affine::expandAffineExpr(b, b.getLoc(), expr, {}, sizes);
}

/// Aligned so that neighbours are loaded together.
Value PointEmitter::shared(Type element, ArrayRef<int64_t> shape) {
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

bool PointEmitter::dependsOn(Expr expr, Expr leaf) {
  return contains(expr, [&](Expr node) { return node == leaf; });
}

Value PointEmitter::load(Value raw, Type scalar) {
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

/// As it lies in memory.
Value PointEmitter::pack(Value value, Type element) {
  if (value.getType().isInteger(1))
    return arith::ExtUIOp::create(b, element, value);
  if (value.getType().isIndex())
    return arith::IndexCastOp::create(b, element, value);
  if (value.getType() == element)
    return value;
  // Results may be declared wider than the kernel computes.
  if (element.getIntOrFloatBitWidth() > value.getType().getIntOrFloatBitWidth())
    return arith::ExtFOp::create(b, element, value);
  return arith::TruncFOp::create(b, element, value);
}

void PointEmitter::store(Value value, Value memref, ValueRange subscripts) {
  Type element = cast<MemRefType>(memref.getType()).getElementType();
  memref::StoreOp::create(b, pack(value, element), memref, subscripts);
}

Value PointEmitter::getTensor(Expr expr) const {
  return tensors[cast<BlockArgument>(expr->value).getArgNumber()];
}

Type PointEmitter::getRawType(Expr expr) const {
  auto memref = dyn_cast<MemRefType>(getTensor(expr).getType());
  return memref ? memref.getElementType() : Type();
}

/// A subscript that is an index by itself stands at a dim of its own size;
/// others are brought into range.
PointEmitter::Values PointEmitter::emitSubscripts(Expr expr, Scope &scope) {
  unsigned number = cast<BlockArgument>(expr->value).getArgNumber();
  AffineMap shape = op.getInput(number).getShape();
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
  return subscripts;
}

Value PointEmitter::emitRaw(Expr expr, Scope &scope) {
  if (!getRawType(expr))
    return getTensor(expr); // the value of an argument without dims
  return memref::LoadOp::create(b, getTensor(expr),
                                emitSubscripts(expr, scope));
}

/// 0 out of range.
Value PointEmitter::finishRead(Expr expr, Value raw, Scope &scope) {
  unsigned number = cast<BlockArgument>(expr->value).getArgNumber();
  AffineMap shape = op.getInput(number).getShape();
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

Value PointEmitter::emitCombined(Combiner combiner, Value x, Value y) {
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

Value PointEmitter::emitIdentity(Combiner combiner) {
  double infinity = std::numeric_limits<double>::infinity();
  return real(combiner == Combiner::Sum    ? 0
              : combiner == Combiner::Prod ? 1
              : combiner == Combiner::Max  ? -infinity
                                           : infinity);
}

/// A short sum of elements of arguments: a loop.
Value PointEmitter::emitReduce(Expr expr, Scope &scope) {
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

Value PointEmitter::emit(Expr expr, Scope &scope) {
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
      result = sizes[op.getSizeIndex(size.getName())];
      break;
    }
    Operation *scalar = expr->value.getDefiningOp();
    IRMapping map;
    for (Value operand : scalar->getOperands())
      map.map(operand, emit(context.leaf(operand), scope));
    result = b.clone(*scalar, map)->getResult(0);
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

/// Inputs, then outputs.
SmallVector<TensorSpecAttr> PointEmitter::getTensors() {
  SmallVector<TensorSpecAttr> specs(
      op.getInputs().getAsRange<TensorSpecAttr>());
  llvm::append_range(specs, op.getOutputs().getAsRange<TensorSpecAttr>());
  return specs;
}

void PointEmitter::bindSizes(ValueRange arguments) {
  sizes.assign(arguments.begin(), arguments.begin() + op.getSizes().size());
  for (auto [i, bound] : llvm::enumerate(op.getBound()))
    if (bound >= 0)
      sizes[i] = constant(bound);
}

void PointEmitter::createKernel(StringRef name, int64_t threads) {
  auto module = op->getParentOfType<ModuleOp>();
  Type index = b.getIndexType();
  auto pointer = LLVM::LLVMPointerType::get(b.getContext());
  SmallVector<Type> types(op.getSizes().size(), index);
  // Pointers that nothing else refers to: 1, and is read only: 2.
  SmallVector<int64_t> uses(types.size(), 0);
  for (TensorSpecAttr spec : getTensors()) {
    auto memref = cast<MemRefType>(Storage::getMemRefType(spec));
    types.push_back(isValue(spec) ? memref.getElementType() : Type(memref));
    bool isState =
        spec.getRole() == Role::Initial || spec.getRole() == Role::Final;
    uses.push_back(isValue(spec) || isState           ? 0
                   : spec.getRole() == Role::Argument ? 3
                                                      : 1);
  }
  types.append({index, index, Type(pointer), index, Type(pointer)});
  uses.append({0, 0, 3, 0, 0});
  auto kernels = module.lookupSymbol<mlir::gpu::GPUModuleOp>("kernels");
  if (!kernels) {
    b.setInsertionPointToStart(module.getBody());
    module->setAttr(mlir::gpu::GPUDialect::getContainerModuleAttrName(),
                    b.getUnitAttr());
    kernels = mlir::gpu::GPUModuleOp::create(b, "kernels");
  }
  b.setInsertionPointToEnd(kernels.getBody());
  kernel = mlir::gpu::GPUFuncOp::create(b, name, b.getFunctionType(types, {}));
  kernel->setAttr(mlir::gpu::GPUDialect::getKernelFuncAttrName(),
                  b.getUnitAttr());
  kernel->setAttr("nvvm.maxntid", b.getDenseI32ArrayAttr(
                                      {static_cast<int32_t>(threads), 1, 1}));
  kernel->setAttr("rondo.pointers", b.getDenseI64ArrayAttr(uses));
}

void PointEmitter::enterKernel() {
  b.setInsertionPointToStart(&kernel.getBody().front());
  ValueRange arguments = kernel.getArguments();
  bindSizes(arguments);
  unsigned tail = arguments.size() - 5;
  begin = arguments[tail];
  end = arguments[tail + 1];
  sequences = arguments[tail + 2];
  sequenceWidth = arguments[tail + 3];
  workspace = arguments[tail + 4];
  tensors.assign(arguments.begin() + op.getSizes().size(),
                 arguments.begin() + tail);
}

void PointEmitter::createHost(
    StringRef form,
    llvm::function_ref<void(Value first, Value stop, ValueRange operands)>
        emitLaunches,
    llvm::function_ref<Value()> emitBytes) {
  Type index = b.getIndexType();
  auto pointer = LLVM::LLVMPointerType::get(b.getContext());
  unsigned numSizes = op.getSizes().size();
  SmallVector<TensorSpecAttr> specs = getTensors();
  SmallVector<Type> types(numSizes, index);
  for (TensorSpecAttr spec : specs)
    types.push_back(Storage::getMemRefType(spec));
  types.append({MemRefType::get({ShapedType::kDynamic}, b.getI8Type()), index,
                index, MemRefType::get({2}, b.getI64Type()), Type(pointer),
                index, Type(pointer), index});
  b.setInsertionPoint(op);
  auto host =
      func::FuncOp::create(b, op.getSymName(), b.getFunctionType(types, {}));
  SmallVector<NamedAttribute> signature;
  for (NamedAttribute attr : op->getAttrDictionary())
    if (attr.getName() != SymbolTable::getSymbolAttrName() &&
        attr.getName() != SymbolTable::getVisibilityAttrName())
      signature.push_back(attr);
  host->setAttr("rondo.signature", b.getDictionaryAttr(signature));
  host->setAttr("rondo.faults", b.getArrayAttr({}));
  host->setAttr("rondo.form", b.getStringAttr(form));
  host->setAttr("rondo.launches", b.getUnitAttr());
  host->setAttr("rondo.channels", b.getUnitAttr());
  b.setInsertionPointToStart(host.addEntryBlock());
  bindSizes(host.getArguments());
  unsigned tail = numSizes + specs.size();
  Value first = host.getArgument(tail + 1), stop = host.getArgument(tail + 2);
  Values operands(host.getArguments().take_front(numSizes));
  for (auto [i, spec] : llvm::enumerate(specs)) {
    Value tensor = host.getArgument(numSizes + i);
    operands.push_back(
        isValue(spec) ? memref::LoadOp::create(b, tensor).getResult() : tensor);
  }
  Value address =
      memref::ExtractAlignedPointerAsIndexOp::create(b, host.getArgument(tail));
  address = arith::IndexCastOp::create(b, b.getI64Type(), address);
  Value space = LLVM::IntToPtrOp::create(b, Type(pointer), address,
                                         LLVM::DereferenceableAttr());
  operands.append({first, stop, host.getArgument(tail + 6),
                   host.getArgument(tail + 7), space});
  emitLaunches(first, stop, operands);
  func::ReturnOp::create(b);

  SmallVector<Type> indices(numSizes, index);
  b.setInsertionPointAfter(host);
  auto bytes =
      func::FuncOp::create(b, (op.getSymName() + "_worker_bytes").str(),
                           b.getFunctionType(indices, index));
  b.setInsertionPointToStart(bytes.addEntryBlock());
  bindSizes(bytes.getArguments());
  func::ReturnOp::create(b, emitBytes ? emitBytes() : constant(64));
}

/// The tensors as they are seen at a batch point, and that point: those of a
/// sequence of a packed batch are moved to where it starts.
PointEmitter::Place PointEmitter::emitPlaceOf(Value point) {
  Place place{sizes, tensors, point};
  Packing packing = Packing::get(op->getAttrDictionary());
  if (packing.timeSize >= 0 && op.getBound()[packing.timeSize] < 0) {
    Packing::Part part =
        packing.emitPart(b, sizes, sequences, sequenceWidth, point);
    place.point = part.point;
    place.sizes[packing.timeSize] = part.length;
    SmallVector<TensorSpecAttr> specs(
        op.getInputs().getAsRange<TensorSpecAttr>());
    llvm::append_range(specs, op.getOutputs().getAsRange<TensorSpecAttr>());
    for (auto [tensor, spec] : llvm::zip(place.tensors, specs))
      if (!isValue(spec))
        tensor = packing.shiftToPart(b, spec, tensor, part);
  }
  return place;
}

void PointEmitter::enter(const Place &place) {
  sizes = place.sizes;
  tensors = place.tensors;
}

/// The leaves of the batch dims from a number in row-major order.
void PointEmitter::bindBatch(Value point, Scope &scope) {
  for (unsigned k = common.numBatch; k-- > 0;) {
    Value extent = arith::MaxSIOp::create(
        b, emit(context.leaf(common.extents[k]), scope), constant(1));
    scope.values[common.indices[k]] = k ? rem(point, extent) : point;
    point = div(point, extent);
  }
}

//===----------------------------------------------------------------------===//
// States
//===----------------------------------------------------------------------===//

PointEmitter::Value PointEmitter::emitInitial(const StepStructure::State &state,
                                              Scope &point) {
  Value given = tensors[cast<BlockArgument>(state.given).getArgNumber()];
  Value address = memref::ExtractAlignedPointerAsIndexOp::create(b, given);
  Value isGiven =
      arith::CmpIOp::create(b, arith::CmpIPredicate::ne, address, constant(0));
  auto test = scf::IfOp::create(b, TypeRange{type}, isGiven,
                                /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(test.thenBlock());
  Values at;
  for (Expr index : common.indices)
    at.push_back(point.lookup(index));
  scf::YieldOp::create(b, load(memref::LoadOp::create(b, given, at), type));
  b.setInsertionPointToStart(test.elseBlock());
  Scope scope;
  EquationOp declared = state.declared;
  for (auto [index, value] : llvm::zip(declared.getParallelIndices(), at))
    scope.values[context.leaf(index)] = value;
  Expr expr = Importer(context).import(declared.getYield().getValues()[0]);
  scf::YieldOp::create(b, emit(expr, scope));
  return test.getResult(0);
}

/// Stores the final value of a state at a point, if the caller asks for it.
void PointEmitter::emitFinal(unsigned output, Scope &point, Value value,
                             Value isThere) {
  Value memref = getOutput(output);
  Value address = memref::ExtractAlignedPointerAsIndexOp::create(b, memref);
  Value isGiven =
      arith::CmpIOp::create(b, arith::CmpIPredicate::ne, address, constant(0));
  TensorSpecAttr spec = op.getOutput(output);
  Values subscripts;
  for (unsigned d = 0; d < common.indices.size(); ++d)
    subscripts.push_back(point.lookup(common.indices[spec.getReturnedDim(d)]));
  emitIf(both(isThere, isGiven), [&] { store(value, memref, subscripts); });
}

/// Stores a result; `here` are its indices: batch, time, others.
void PointEmitter::emitResult(unsigned output, ValueRange here, Value value) {
  store(value, getOutput(output), arrangeOutput(output, here));
}

PointEmitter::Values PointEmitter::arrangeOutput(unsigned output,
                                                 ValueRange here) {
  TensorSpecAttr spec = op.getOutput(output);
  Values subscripts;
  for (unsigned d = 0; d < here.size(); ++d)
    subscripts.push_back(here[spec.getReturnedDim(d)]);
  return subscripts;
}
