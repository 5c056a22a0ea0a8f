//===- ChannelKernel.cpp - Recurrences as device kernels by channel -------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Forms/ChannelKernel.h"
#include "mlir/Dialect/Affine/Utils.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "passes/Algebra/Linear.h"
#include "passes/Forms/Storage.h"
#include <limits>

using namespace mlir;
using namespace rondo;
using namespace rondo::algebra;

namespace {

using Values = SmallVector<Value>;

/// What expressions are at one point of the program.
using Scope = llvm::DenseMap<Expr, Value>;

class ChannelEmitter {
public:
  ChannelEmitter(Context &context, ChannelStructure &structure,
                 ChannelParameters parameters)
      : context(context), s(structure), p(parameters),
        b(structure.kernel.getLoc(), structure.kernel.getContext()),
        n(structure.recurrence.getNumStates()),
        type(structure.jacobian.values[0]->type) {}

  void run();

private:
  /// A step that a thread computes.
  struct Step {
    Value isValid; // it is not behind the end
    Value time;    // a time of the sequence, whether or not it is
    Scope scope;   // what does not depend on states
  };

  // Scalars.
  Value constant(int64_t value) {
    return arith::ConstantIndexOp::create(b, value);
  }
  Value real(double value) {
    return arith::ConstantOp::create(b, b.getFloatAttr(type, value));
  }
  Value add(Value x, Value y) { return arith::AddIOp::create(b, x, y); }
  Value sub(Value x, Value y) { return arith::SubIOp::create(b, x, y); }
  Value mul(Value x, Value y) { return arith::MulIOp::create(b, x, y); }
  Value addf(Value x, Value y) { return arith::AddFOp::create(b, x, y); }
  Value mulf(Value x, Value y) { return arith::MulFOp::create(b, x, y); }
  Value less(Value x, Value y) {
    return arith::CmpIOp::create(b, arith::CmpIPredicate::slt, x, y);
  }
  Value equal(Value x, Value y) {
    return arith::CmpIOp::create(b, arith::CmpIPredicate::eq, x, y);
  }
  Value select(Value c, Value x, Value y) {
    return arith::SelectOp::create(b, c, x, y);
  }
  Value emitSize(AffineExpr expr) {
    return affine::expandAffineExpr(b, b.getLoc(), expr, {}, sizes);
  }
  void emitIf(Value condition, llvm::function_ref<void()> body);

  // Expressions.
  Value emit(Expr expr, Scope &scope);
  Value emitRead(Expr expr, Scope &scope);
  bool isState(Expr expr);
  bool dependsOnStates(Expr expr) {
    return contains(expr, [&](Expr node) { return isState(node); });
  }
  void bindLeaf(Scope &scope, Value index, Value value) {
    scope[context.leaf(index)] = value;
  }
  Value load(Value memref, ValueRange subscripts, Type scalar);

  // The kernel.
  void createFunctions();
  void emitPlace();
  Values emitInitials();
  Step emitStep(Value number);
  Values emitNew(Step &step, ValueRange before);
  void emitResults(Step &step, ValueRange states);
  void emitFinals(ValueRange states);
  void emitSequential();
  void emitNewton();
  Values emitSteps(Value first, Value count, ValueRange states);

  // Newton.
  struct Solved {
    SmallVector<Values> defects;             // [r][i]
    SmallVector<SmallVector<Values>> factors; // [r][i][j]
    Values composed;   // the segment's map: n of the constant, n * n factors
    Value isBad;       // a defect is too large
  };
  Solved emitEvaluation(MutableArrayRef<Step> steps, ValueRange before,
                        ArrayRef<Values> states);
  Value shared(Type element, ArrayRef<int64_t> shape);

  Context &context;
  ChannelStructure &s;
  ChannelParameters p;
  ImplicitLocOpBuilder b;
  unsigned n;
  Type type;

  mlir::gpu::GPUFuncOp kernel;
  func::FuncOp host;
  Values sizes, inputs, outputs;
  Value begin, end;
  // Of the thread.
  Value lane, segment, length, isOwn, isSome;
  Values point; // batch dims, then the states' dims
};

} // namespace

void ChannelEmitter::emitIf(Value condition, llvm::function_ref<void()> body) {
  auto test = scf::IfOp::create(b, condition, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(test.thenBlock());
  body();
}

//===----------------------------------------------------------------------===//
// Expressions
//===----------------------------------------------------------------------===//

/// A read of a state, at this step or before.
bool ChannelEmitter::isState(Expr expr) {
  if (expr->kind != Kind::Read)
    return false;
  if (expr->value.getDefiningOp() == s.recurrence)
    return true;
  auto argument = dyn_cast<BlockArgument>(expr->value);
  return argument && argument.getOwner() == &s.recurrence.getBlock();
}

Value ChannelEmitter::load(Value memref, ValueRange subscripts, Type scalar) {
  Value value = memref::LoadOp::create(b, memref, subscripts);
  Type element = value.getType();
  if (element == scalar)
    return value;
  if (scalar.isInteger(1))
    return arith::CmpIOp::create(
        b, arith::CmpIPredicate::ne, value,
        arith::ConstantOp::create(b, b.getZeroAttr(element)));
  if (scalar.isIndex())
    return arith::IndexCastOp::create(b, scalar, value);
  return arith::ExtFOp::create(b, scalar, value);
}

/// An element of an argument, 0 out of range.
Value ChannelEmitter::emitRead(Expr expr, Scope &scope) {
  unsigned number = cast<BlockArgument>(expr->value).getArgNumber();
  AffineMap shape = s.kernel.getInput(number).getShape();
  Value inRange;
  Values subscripts;
  for (auto [dim, subscript] : llvm::enumerate(expr->subscripts())) {
    Value value = emit(subscript, scope);
    // An index by itself stands at a dim of its own size.
    if (subscript->kind != Kind::Value) {
      Value isIn = arith::CmpIOp::create(b, arith::CmpIPredicate::ult, value,
                                         emitSize(shape.getResult(dim)));
      value = select(isIn, value, constant(0));
      inRange = inRange ? arith::AndIOp::create(b, inRange, isIn).getResult()
                        : isIn;
    }
    subscripts.push_back(value);
  }
  Value value = load(inputs[number], subscripts, expr->type);
  if (!inRange)
    return value;
  return select(inRange, value,
                arith::ConstantOp::create(b, b.getZeroAttr(expr->type)));
}

Value ChannelEmitter::emit(Expr expr, Scope &scope) {
  auto it = scope.find(expr);
  if (it != scope.end())
    return it->second;
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
    result = emitRead(expr, scope);
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
  case Kind::Variable:
  case Kind::Reduce:
    llvm_unreachable("not in a kernel by channel");
  }
  scope[expr] = result;
  return result;
}

//===----------------------------------------------------------------------===//
// The functions
//===----------------------------------------------------------------------===//

/// @f of the host, with what launching needs, @f_worker_bytes and the kernel.
void ChannelEmitter::createFunctions() {
  KernelOp op = s.kernel;
  auto module = op->getParentOfType<ModuleOp>();
  Type index = b.getIndexType();
  unsigned numSizes = op.getSizes().size();
  SmallVector<Type> tensors;
  SmallVector<int64_t> uses(numSizes, 0);
  for (auto spec : op.getInputs().getAsRange<TensorSpecAttr>()) {
    tensors.push_back(Storage::getMemRefType(spec));
    uses.push_back(spec.getRole() == Role::Initial ? 0 : 3);
  }
  for (auto spec : op.getOutputs().getAsRange<TensorSpecAttr>()) {
    tensors.push_back(Storage::getMemRefType(spec));
    uses.push_back(spec.getRole() == Role::Final ? 0 : 1);
  }
  uses.append(2, 0);
  SmallVector<Type> types(numSizes, index);
  llvm::append_range(types, tensors);
  SmallVector<Type> hostTypes(types);
  types.append(2, index);
  auto pointer = LLVM::LLVMPointerType::get(b.getContext());
  hostTypes.append({MemRefType::get({ShapedType::kDynamic}, b.getI8Type()),
                    index, index, MemRefType::get({2}, b.getI64Type()),
                    Type(pointer), index, Type(pointer), index});

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
  int32_t threads = p.channels * (p.newton ? p.segments : 1);
  kernel->setAttr("nvvm.maxntid", b.getDenseI32ArrayAttr({threads, 1, 1}));
  kernel->setAttr("rondo.pointers", b.getDenseI64ArrayAttr(uses));

  // The host's functions.
  b.setInsertionPoint(op);
  host = func::FuncOp::create(b, op.getSymName(),
                              b.getFunctionType(hostTypes, {}));
  SmallVector<NamedAttribute> signature;
  for (NamedAttribute attr : op->getAttrDictionary())
    if (attr.getName() != SymbolTable::getSymbolAttrName() &&
        attr.getName() != SymbolTable::getVisibilityAttrName() &&
        attr.getName() != "time") // sequences are not packed
      signature.push_back(attr);
  host->setAttr("rondo.signature", b.getDictionaryAttr(signature));
  host->setAttr("rondo.faults", b.getArrayAttr({}));
  host->setAttr("rondo.form",
                b.getStringAttr(p.newton ? "newton" : "sequential"));
  host->setAttr("rondo.launches", b.getUnitAttr());
  Block *entry = host.addEntryBlock();
  SmallVector<Type> indices(numSizes, index);
  auto bytes = func::FuncOp::create(b, (op.getSymName() + "_worker_bytes").str(),
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
  auto slice = s.recurrence.getSlice(0).getDefiningOp<EquationOp>();
  for (Value size : slice.getSizes().drop_front(s.recurrence.getBatch()))
    channels = mul(channels, emit(context.leaf(size), scope));
  unsigned tail = numSizes + tensors.size();
  Value first = host.getArgument(tail + 1), last = host.getArgument(tail + 2);
  auto atLeastOne = [&](Value x) -> Value {
    return arith::MaxSIOp::create(b, x, one);
  };
  Value blocks = atLeastOne(sub(last, first));
  Value tiles = atLeastOne(arith::CeilDivSIOp::create(b, channels,
                                                      constant(p.channels)));
  Values operands(host.getArguments().take_front(tail));
  operands.append({first, last});
  mlir::gpu::LaunchFuncOp::create(
      b, kernel, mlir::gpu::KernelDim3{blocks, tiles, one},
      mlir::gpu::KernelDim3{constant(threads), one, one},
      /*dynamicSharedMemorySize=*/Value(), operands);
  func::ReturnOp::create(b);

  b.setInsertionPointToStart(&kernel.getBody().front());
  ValueRange arguments = kernel.getArguments();
  bindSizes(arguments);
  unsigned numInputs = op.getInputs().size();
  inputs.assign(arguments.begin() + numSizes,
                arguments.begin() + numSizes + numInputs);
  outputs.assign(arguments.begin() + numSizes + numInputs,
                 arguments.begin() + tail);
  begin = arguments[tail];
  end = arguments[tail + 1];
}

/// Which channel and which segment the thread has. A thread beyond the last
/// channel computes channel 0 and stores nothing.
void ChannelEmitter::emitPlace() {
  Value thread = mlir::gpu::ThreadIdOp::create(b, mlir::gpu::Dimension::x);
  Value width = constant(p.channels);
  lane = arith::RemUIOp::create(b, thread, width);
  segment = arith::DivUIOp::create(b, thread, width);
  Value number = add(
      begin, mlir::gpu::BlockIdOp::create(b, mlir::gpu::Dimension::x));
  Value channel = add(
      mul(mlir::gpu::BlockIdOp::create(b, mlir::gpu::Dimension::y), width),
      lane);
  auto slice = s.recurrence.getSlice(0).getDefiningOp<EquationOp>();
  Scope scope;
  Values extents;
  for (Value size : slice.getSizes())
    extents.push_back(emit(context.leaf(size), scope));
  length = emit(context.leaf(s.recurrence.getSizes()[0]), scope);
  unsigned numBatch = s.recurrence.getBatch();
  Value channels = constant(1);
  for (Value extent : ArrayRef(extents).drop_front(numBatch))
    channels = mul(channels, extent);
  isOwn = less(channel, channels);
  channel = select(isOwn, channel, constant(0));
  isSome = arith::AndIOp::create(b, less(number, end),
                                 less(constant(0), channels));
  point.assign(extents.size(), Value());
  auto unravel = [&](Value flat, unsigned first, unsigned last) {
    for (unsigned i = last; i-- > first;) {
      if (i == first) {
        point[i] = flat;
        break;
      }
      Value extent = arith::MaxSIOp::create(b, extents[i], constant(1));
      point[i] = arith::RemUIOp::create(b, flat, extent);
      flat = arith::DivUIOp::create(b, flat, extent);
    }
  };
  unravel(number, 0, numBatch);
  unravel(channel, numBatch, extents.size());
}

Values ChannelEmitter::emitInitials() {
  Values states;
  for (unsigned i = 0; i < n; ++i) {
    auto initial = s.recurrence.getInitials()[i].getDefiningOp<InitialOp>();
    Value given =
        inputs[cast<BlockArgument>(initial.getGiven()).getArgNumber()];
    Value address = memref::ExtractAlignedPointerAsIndexOp::create(b, given);
    Value isGiven = arith::CmpIOp::create(b, arith::CmpIPredicate::ne, address,
                                          constant(0));
    auto test = scf::IfOp::create(b, TypeRange{type}, isGiven,
                                  /*withElseRegion=*/true);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(test.thenBlock());
    scf::YieldOp::create(b, load(given, point, type));
    b.setInsertionPointToStart(test.elseBlock());
    Scope scope;
    EquationOp declared = s.declared[i];
    for (auto [index, value] : llvm::zip(declared.getParallelIndices(), point))
      bindLeaf(scope, index, value);
    Expr expr = Importer(context).import(declared.getYield().getValues()[0]);
    scf::YieldOp::create(b, emit(expr, scope));
    states.push_back(test.getResult(0));
  }
  return states;
}

//===----------------------------------------------------------------------===//
// Steps
//===----------------------------------------------------------------------===//

/// Step `number`, counted in the direction of the recurrence, and all that its
/// equations need without the states.
ChannelEmitter::Step ChannelEmitter::emitStep(Value number) {
  Step step;
  step.isValid = less(number, length);
  Value last = sub(length, constant(1));
  Value inside = arith::MinSIOp::create(b, number, last);
  step.time = s.jacobian.reversed ? sub(last, inside) : inside;
  bindLeaf(step.scope, s.recurrence.getAlongIndices()[0], step.time);
  for (auto [leaf, value] : llvm::zip_equal(s.jacobian.indices, point))
    step.scope[leaf] = value;
  auto prepare = [&](Expr expr) {
    walk(expr, [&](Expr node) {
      if (node->kind == Kind::Read && !dependsOnStates(node))
        emit(node, step.scope);
    });
  };
  for (Expr value : s.jacobian.values)
    prepare(value);
  return step;
}

/// The states at a step from those before; behind the end they stay.
Values ChannelEmitter::emitNew(Step &step, ValueRange before) {
  Scope scope(step.scope);
  for (unsigned j = 0; j < n; ++j)
    if (Expr past = s.jacobian.pasts[j])
      scope[past] = before[j];
  Values states;
  for (unsigned i = 0; i < n; ++i)
    states.push_back(select(step.isValid, emit(s.jacobian.values[i], scope),
                            before[i]));
  return states;
}

void ChannelEmitter::emitResults(Step &step, ValueRange states) {
  emitIf(arith::AndIOp::create(b, isOwn, step.isValid), [&] {
    for (ChannelStructure::Result &result : s.results) {
      Values here(point);
      here.insert(here.begin() + s.recurrence.getBatch(), step.time);
      Scope scope;
      for (auto [index, value] :
           llvm::zip_equal(result.equation.getParallelIndices(), here))
        bindLeaf(scope, index, value);
      walk(result.value, [&](Expr node) {
        if (isState(node))
          scope[node] =
              states[cast<OpResult>(node->value).getResultNumber()];
      });
      Value value = emit(result.value, scope);
      TensorSpecAttr spec = s.kernel.getOutput(result.output);
      Values subscripts;
      for (unsigned d = 0; d < here.size(); ++d)
        subscripts.push_back(here[spec.getReturnedDim(d)]);
      Type element =
          cast<MemRefType>(outputs[result.output].getType()).getElementType();
      if (value.getType().isInteger(1))
        value = arith::ExtUIOp::create(b, element, value);
      else if (value.getType().isIndex())
        value = arith::IndexCastOp::create(b, element, value);
      else if (value.getType() != element)
        value = arith::TruncFOp::create(b, element, value);
      memref::StoreOp::create(b, value, outputs[result.output], subscripts);
    }
  });
}

void ChannelEmitter::emitFinals(ValueRange states) {
  for (auto [output, state] : s.finals) {
    Value memref = outputs[output];
    Value address = memref::ExtractAlignedPointerAsIndexOp::create(b, memref);
    Value isGiven = arith::CmpIOp::create(b, arith::CmpIPredicate::ne, address,
                                          constant(0));
    Value value = states[state];
    TensorSpecAttr spec = s.kernel.getOutput(output);
    emitIf(arith::AndIOp::create(b, isOwn, isGiven), [&] {
      Values subscripts;
      for (unsigned d = 0; d < point.size(); ++d)
        subscripts.push_back(point[spec.getReturnedDim(d)]);
      Type element = cast<MemRefType>(memref.getType()).getElementType();
      if (element != type)
        value = arith::TruncFOp::create(b, element, value);
      memref::StoreOp::create(b, value, memref, subscripts);
    });
  }
}

/// `count` steps one after the other, some at a time, whose arguments are loaded
/// together.
Values ChannelEmitter::emitSteps(Value first, Value count, ValueRange states) {
  auto loop =
      scf::ForOp::create(b, constant(0), count, constant(p.steps), states);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  SmallVector<Step> steps;
  Value start = add(first, loop.getInductionVar());
  for (int64_t r = 0; r < p.steps; ++r)
    steps.push_back(emitStep(add(start, constant(r))));
  Values now(loop.getRegionIterArgs());
  for (Step &step : steps) {
    now = emitNew(step, now);
    emitResults(step, now);
  }
  scf::YieldOp::create(b, now);
  return Values(loop.getResults());
}

void ChannelEmitter::emitSequential() {
  emitFinals(emitSteps(constant(0), length, emitInitials()));
}

//===----------------------------------------------------------------------===//
// Newton's method
//===----------------------------------------------------------------------===//

Value ChannelEmitter::shared(Type element, ArrayRef<int64_t> shape) {
  auto space = mlir::gpu::AddressSpaceAttr::get(
      b.getContext(), mlir::gpu::AddressSpace::Workgroup);
  return kernel.addWorkgroupAttribution(
      MemRefType::get(shape, element, MemRefLayoutAttrInterface(), space),
      b.getLoc());
}

/// Defects and derivatives of the segment's steps, and their composition:
/// d at the segment's end = constant + factors * d before it.
ChannelEmitter::Solved
ChannelEmitter::emitEvaluation(MutableArrayRef<Step> steps, ValueRange before,
                               ArrayRef<Values> states) {
  Solved solved;
  double epsilon = type.isF64() ? std::numeric_limits<double>::epsilon()
                                : std::numeric_limits<float>::epsilon();
  Value zero = real(0), one = real(1), tolerance = real(8 * epsilon);
  Values previous(before);
  for (auto [r, step] : llvm::enumerate(steps)) {
    Scope scope(step.scope);
    for (unsigned j = 0; j < n; ++j)
      if (Expr past = s.jacobian.pasts[j])
        scope[past] = previous[j];
    Values defects;
    SmallVector<Values> factors;
    for (unsigned i = 0; i < n; ++i) {
      Value now = states[r][i];
      Value value = select(step.isValid, emit(s.jacobian.values[i], scope),
                           previous[i]);
      defects.push_back(arith::SubFOp::create(b, value, now));
      Values row;
      for (unsigned j = 0; j < n; ++j)
        row.push_back(select(step.isValid,
                             emit(s.jacobian.derivatives[i][j], scope),
                             i == j ? one : zero));
      factors.push_back(row);
      // |e| <= tolerance max(1, |x|), false for NaN
      Value size = arith::MaximumFOp::create(
          b, one, math::AbsFOp::create(b, now).getResult());
      Value isGood = arith::CmpFOp::create(
          b, arith::CmpFPredicate::OLE,
          math::AbsFOp::create(b, defects.back()).getResult(),
          mulf(tolerance, size));
      Value isBad = arith::XOrIOp::create(
          b, isGood, arith::ConstantIntOp::create(b, b.getI1Type(), 1));
      solved.isBad =
          solved.isBad
              ? arith::OrIOp::create(b, solved.isBad, isBad).getResult()
              : isBad;
    }
    // composed = e + J composed
    Values composed;
    for (unsigned i = 0; i < n; ++i) {
      Value sum = defects[i];
      for (unsigned k = 0; r && k < n; ++k)
        sum = addf(sum, mulf(factors[i][k], solved.composed[k]));
      composed.push_back(sum);
    }
    for (unsigned i = 0; i < n; ++i)
      for (unsigned j = 0; j < n; ++j) {
        Value sum = r ? Value() : factors[i][j];
        for (unsigned k = 0; r && k < n; ++k) {
          Value product =
              mulf(factors[i][k], solved.composed[n + k * n + j]);
          sum = sum ? addf(sum, product) : product;
        }
        composed.push_back(sum);
      }
    solved.composed = composed;
    solved.defects.push_back(defects);
    solved.factors.push_back(factors);
    previous = states[r];
  }
  return solved;
}

void ChannelEmitter::emitNewton() {
  unsigned numSteps = p.steps, numComposed = n + n * n;
  int64_t C = p.channels, S = p.segments, size = S * p.steps;
  SmallVector<Value> carry, ends, maps;
  for (unsigned i = 0; i < n; ++i) {
    carry.push_back(shared(type, {C}));
    ends.push_back(shared(type, {S, C}));
  }
  for (unsigned i = 0; i < numComposed; ++i)
    maps.push_back(shared(type, {S, C}));
  Type i32 = b.getI32Type();
  Value flags = shared(i32, {2});
  Value isFirst = equal(segment, constant(0));
  Value isLast = equal(segment, constant(S - 1));
  Value isLeader =
      arith::AndIOp::create(b, isFirst, equal(lane, constant(0)));
  auto flag = [&](Value number, int32_t value) {
    memref::StoreOp::create(
        b, arith::ConstantOp::create(b, b.getI32IntegerAttr(value)), flags,
        number);
  };
  auto storeAll = [&](ArrayRef<Value> to, ValueRange values, ValueRange at) {
    for (auto [memref, value] : llvm::zip_equal(to, values))
      memref::StoreOp::create(b, value, memref, at);
  };
  auto loadAll = [&](ArrayRef<Value> from, ValueRange at) {
    Values values;
    for (Value memref : from)
      values.push_back(memref::LoadOp::create(b, memref, at));
    return values;
  };
  auto barrier = [&] { mlir::gpu::BarrierOp::create(b); };
  Value row[] = {segment, lane};

  Values initials = emitInitials();
  emitIf(isFirst, [&] { storeAll(carry, initials, lane); });
  auto windows = scf::ForOp::create(b, constant(0), length, constant(size));
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(windows.getBody());
    Value window = windows.getInductionVar();
    Value first = add(window, mul(segment, constant(p.steps)));
    SmallVector<Step> steps;
    for (unsigned r = 0; r < numSteps; ++r)
      steps.push_back(emitStep(add(first, constant(r))));
    barrier();
    Values starts = loadAll(carry, lane);

    // Guess: f at the state that the window starts from.
    Values guesses{constant(1)};
    Values guess;
    for (Step &step : steps) {
      guess = emitNew(step, starts);
      llvm::append_range(guesses, guess);
    }
    storeAll(ends, guess, row);
    emitIf(isLeader, [&] { flag(constant(1), 0); });
    barrier();

    // The loop hands on the count, the states, and whether all is well.
    unsigned numStates = numSteps * n;
    SmallVector<Type> stateTypes(numStates, type);
    SmallVector<Type> before{b.getIndexType()};
    llvm::append_range(before, stateTypes);
    SmallVector<Type> after(before);
    after.append(numStates * (1 + n), type); // defects and factors
    after.push_back(b.getI1Type());
    auto loop = scf::WhileOp::create(b, after, guesses);
    SmallVector<Location> locs(after.size(), b.getLoc());
    {
      OpBuilder::InsertionGuard inner(b);
      Block *block = b.createBlock(&loop.getBefore(), {}, before,
                                   ArrayRef(locs).take_front(before.size()));
      Value count = block->getArgument(0);
      SmallVector<Values> states;
      for (unsigned r = 0; r < numSteps; ++r)
        states.push_back(
            Values(block->getArguments().slice(1 + r * n, n)));
      // The states at the end of the segment before.
      Value earlier =
          select(isFirst, constant(0), sub(segment, constant(1)));
      Values past = loadAll(ends, {earlier, lane});
      for (unsigned i = 0; i < n; ++i)
        past[i] = select(isFirst, starts[i], past[i]);
      Solved solved = emitEvaluation(steps, past, states);
      storeAll(maps, solved.composed, row);
      Value here = arith::AndIOp::create(b, count, constant(1));
      emitIf(solved.isBad, [&] { flag(here, 1); });
      emitIf(isLeader, [&] { flag(sub(constant(1), here), 0); });
      barrier();
      Value mark = memref::LoadOp::create(b, flags, here);
      Value isBad = arith::CmpIOp::create(
          b, arith::CmpIPredicate::ne, mark,
          arith::ConstantOp::create(b, b.getI32IntegerAttr(0)));
      Value goesOn = arith::AndIOp::create(b, isBad,
                                           less(count, constant(p.bound)));
      Values handed(block->getArguments());
      for (unsigned r = 0; r < numSteps; ++r) {
        llvm::append_range(handed, solved.defects[r]);
        for (unsigned i = 0; i < n; ++i)
          llvm::append_range(handed, solved.factors[r][i]);
      }
      handed.push_back(isBad);
      scf::ConditionOp::create(b, goesOn, handed);

      block = b.createBlock(&loop.getAfter(), {}, after, locs);
      // d before the segment, from the segments before.
      Values none(n, real(0));
      auto prefix = scf::ForOp::create(b, constant(0), segment, constant(1),
                                       none);
      {
        OpBuilder::InsertionGuard innermost(b);
        b.setInsertionPointToStart(prefix.getBody());
        Values map = loadAll(maps, {prefix.getInductionVar(), lane});
        Values next;
        for (unsigned i = 0; i < n; ++i) {
          Value sum = map[i];
          for (unsigned j = 0; j < n; ++j)
            sum = addf(sum, mulf(map[n + i * n + j],
                                 prefix.getRegionIterArgs()[j]));
          next.push_back(sum);
        }
        scf::YieldOp::create(b, next);
      }
      Values correction(prefix.getResults());
      Values improved{add(block->getArgument(0), constant(1))};
      auto arguments = block->getArguments();
      Values state;
      for (unsigned r = 0; r < numSteps; ++r) {
        auto solution =
            arguments.slice(1 + numStates + r * n * (1 + n), n * (1 + n));
        Values next;
        for (unsigned i = 0; i < n; ++i) {
          Value sum = solution[i];
          for (unsigned j = 0; j < n; ++j)
            sum = addf(sum, mulf(solution[n + i * n + j], correction[j]));
          next.push_back(sum);
        }
        correction = next;
        state.clear();
        for (unsigned i = 0; i < n; ++i)
          state.push_back(addf(arguments[1 + r * n + i], correction[i]));
        llvm::append_range(improved, state);
      }
      storeAll(ends, state, row);
      barrier();
      scf::YieldOp::create(b, improved);
    }

    auto test = scf::IfOp::create(b, loop.getResults().back(),
                                  /*withElseRegion=*/true);
    b.setInsertionPointToStart(test.thenBlock());
    emitIf(isFirst, [&] {
      Values last = emitSteps(window, constant(size), starts);
      storeAll(carry, last, lane);
    });
    b.setInsertionPointToStart(test.elseBlock());
    Values state;
    for (unsigned r = 0; r < numSteps; ++r) {
      state = Values(loop.getResults().slice(1 + r * n, n));
      emitResults(steps[r], state);
    }
    emitIf(isLast, [&] { storeAll(carry, state, lane); });
  }
  barrier();
  emitIf(isFirst, [&] { emitFinals(loadAll(carry, lane)); });
}

void ChannelEmitter::run() {
  createFunctions();
  emitPlace();
  emitIf(isSome, [&] { p.newton ? emitNewton() : emitSequential(); });
  mlir::gpu::ReturnOp::create(b);
  s.kernel.erase();
}

void rondo::toChannelKernel(Context &context, ChannelStructure &structure,
                            ChannelParameters parameters) {
  ChannelEmitter(context, structure, parameters).run();
}
