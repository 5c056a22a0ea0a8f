//===- JoinStages.cpp - The host's functions of stages become one ---------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//   workspace   what is handed on, tensor after tensor, then what a stage needs
//               for itself; the stages run one after the other and share that
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Affine/Utils.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "passes/Common/Signature.h"
#include "passes/GPU/Passes.h"
#include "llvm/ADT/MapVector.h"

namespace rondo::gpu {
#define GEN_PASS_DEF_JOINSTAGES
#include "passes/GPU/Passes.h.inc"
} // namespace rondo::gpu

using namespace mlir;
using namespace rondo;

namespace {

/// Tensors and slices of the workspace begin at multiples of this.
constexpr int64_t kAlignment = 64;
/// As the runtime does for kernels of one stage (runtime/src/Artifact/Plan.c).
constexpr int64_t kMostSlices = 2048;
constexpr int64_t kSharedSliceBytes = int64_t(256) << 20;
/// For a packed batch, where these are not too large together.
constexpr int64_t kPackedSlices = 256;

struct Stage {
  func::FuncOp host, bytes;
  DictionaryAttr signature, stage;
  bool isWhole() {
    auto kind = host->getAttrOfType<StringAttr>("rondo.workspace");
    return kind && kind.getValue() == "whole";
  }
  bool sharesSteps() { return host->hasAttr("rondo.independent"); }
};

/// Joins the stages of one kernel.
class Joiner {
public:
  explicit Joiner(MutableArrayRef<Stage> stages)
      : stages(stages), b(stages.front().host.getLoc(),
                          stages.front().host.getContext()),
        whole(stages.front().stage.getAs<DictionaryAttr>("whole")),
        handed(stages.front().stage.getAs<ArrayAttr>("handed")),
        isPacked(llvm::all_of(stages, [](const Stage &stage) {
          return stage.signature.contains("time");
        })) {}

  LogicalResult run();

private:
  /// Where things lie in the workspace, in bytes.
  struct Layout {
    SmallVector<Value> handed;
    Value own; // of the stage that runs
    Value total;
    SmallVector<Value> slices; // for each stage
    SmallVector<Value> bytes;  // of all of them
  };
  Value index(int64_t value) {
    return arith::ConstantIndexOp::create(b, value);
  }
  Value add(Value x, Value y) { return arith::AddIOp::create(b, x, y); }
  Value mul(Value x, Value y) { return arith::MulIOp::create(b, x, y); }
  Value min(Value x, Value y) { return arith::MinSIOp::create(b, x, y); }
  Value max(Value x, Value y) { return arith::MaxSIOp::create(b, x, y); }
  Value align(Value bytes) {
    return arith::AndIOp::create(b, add(bytes, index(kAlignment - 1)),
                                 index(-kAlignment));
  }
  Value emitSize(AffineExpr expr, ValueRange sizes) {
    return affine::expandAffineExpr(b, b.getLoc(), expr, {}, sizes);
  }
  SmallVector<Value> emitShape(TensorSpecAttr spec, ValueRange sizes);
  SmallVector<Value> bindSizes(ValueRange sizes);
  Value emitPoints(const Stage &stage, ValueRange sizes);
  Value emitSlices(Stage &stage, Value stride, ValueRange sizes);
  Layout emitLayout(ValueRange sizes);
  SmallVector<Value> inlineBody(func::FuncOp func, ValueRange arguments);
  void emitStage(Stage &stage, unsigned number, const Layout &layout,
                 func::FuncOp host, ValueRange sizes);
  DictionaryAttr getSignature();

  MutableArrayRef<Stage> stages;
  ImplicitLocOpBuilder b;
  DictionaryAttr whole;
  ArrayAttr handed;
  bool isPacked; // sequences may be
};

} // namespace

static MemRefType memoryType(TensorSpecAttr spec) {
  Type element = spec.getElementType();
  if (element.isInteger(1))
    element = IntegerType::get(spec.getContext(), 8);
  if (element.isIndex())
    element = IntegerType::get(spec.getContext(), 64);
  unsigned rank = spec.getShape().getNumResults();
  SmallVector<int64_t> shape(rank, ShapedType::kDynamic), strides(shape);
  if (!rank)
    return MemRefType::get(shape, element);
  strides.back() = 1;
  return MemRefType::get(
      shape, element, StridedLayoutAttr::get(spec.getContext(), 0, strides));
}

SmallVector<Value> Joiner::emitShape(TensorSpecAttr spec, ValueRange sizes) {
  SmallVector<Value> shape;
  for (AffineExpr extent : spec.getShape().getResults())
    shape.push_back(max(emitSize(extent, sizes), index(0)));
  return shape;
}

/// Sizes that are bound are numbers.
SmallVector<Value> Joiner::bindSizes(ValueRange sizes) {
  SmallVector<Value> result(sizes);
  auto bounds = whole.getAs<DenseI64ArrayAttr>("bound");
  for (auto [i, bound] : llvm::enumerate(bounds.asArrayRef()))
    if (bound >= 0)
      result[i] = index(bound);
  return result;
}

/// The batch points that a stage has.
Value Joiner::emitPoints(const Stage &stage, ValueRange sizes) {
  Value points = index(1);
  auto names = stage.signature.getAs<ArrayAttr>("sizes");
  for (Attribute batch : stage.signature.getAs<ArrayAttr>("batch"))
    for (auto [i, name] : llvm::enumerate(names))
      if (name == batch)
        points = mul(points, sizes[i]);
  return points;
}

/// As many as blocks of the stage may run, as the runtime decides it for kernels
/// of one stage. How many sequences a packed batch has is not known here.
Value Joiner::emitSlices(Stage &stage, Value stride, ValueRange sizes) {
  if (stage.isWhole())
    return index(1);
  Value points = min(emitPoints(stage, sizes), index(kMostSlices));
  Value most = min(arith::DivSIOp::create(b, index(kSharedSliceBytes),
                                          max(stride, index(kAlignment))),
                   index(kMostSlices));
  if (isPacked)
    points = max(points, min(most, index(kPackedSlices)));
  if (!stage.sharesSteps())
    return points;
  Value longest = index(1);
  for (Value size : sizes)
    longest = max(longest, size);
  Value parts =
      arith::DivSIOp::create(b, most, max(points, index(1)));
  return mul(points, max(min(parts, longest), index(1)));
}

/// Clones a function of one block here.
SmallVector<Value> Joiner::inlineBody(func::FuncOp func, ValueRange arguments) {
  IRMapping map;
  Block &body = func.getBody().front();
  map.map(body.getArguments(), arguments);
  for (Operation &op : body.without_terminator()) {
    // A general kernel asks for the bytes of its slices.
    auto call = dyn_cast<func::CallOp>(op);
    if (!call) {
      b.clone(op, map);
      continue;
    }
    auto callee = cast<func::FuncOp>(
        SymbolTable::lookupNearestSymbolFrom(func, call.getCalleeAttr()));
    SmallVector<Value> operands;
    for (Value operand : call.getOperands())
      operands.push_back(map.lookup(operand));
    map.map(call.getResults(), inlineBody(callee, operands));
  }
  SmallVector<Value> results;
  for (Value result : body.getTerminator()->getOperands())
    results.push_back(map.lookup(result));
  return results;
}

Joiner::Layout Joiner::emitLayout(ValueRange sizes) {
  Layout layout;
  Value offset = index(0);
  for (auto spec : handed.getAsRange<TensorSpecAttr>()) {
    layout.handed.push_back(offset);
    int64_t width = memoryType(spec).getElementTypeBitWidth() / 8;
    Value bytes = index(width);
    for (Value extent : emitShape(spec, sizes))
      bytes = mul(bytes, extent);
    offset = add(offset, align(bytes));
  }
  layout.own = offset;
  Value most = index(0);
  for (Stage &stage : stages) {
    Value stride = align(inlineBody(stage.bytes, sizes).front());
    layout.slices.push_back(emitSlices(stage, stride, sizes));
    layout.bytes.push_back(mul(stride, layout.slices.back()));
    most = max(most, layout.bytes.back());
  }
  layout.total = add(offset, most);
  return layout;
}

void Joiner::emitStage(Stage &stage, unsigned number,
                       const Layout &layout, func::FuncOp host,
                       ValueRange sizes) {
  unsigned numSizes = sizes.size();
  auto numbers = stage.stage.getAs<DenseI64ArrayAttr>("tensors").asArrayRef();
  Value workspace = host.getArgument(host.getNumArguments() - 8);
  SmallVector<Value> operands(sizes);
  for (int64_t tensor : numbers) {
    Value value;
    if (tensor >= 0) {
      value = host.getArgument(numSizes + tensor);
    } else {
      auto spec = cast<TensorSpecAttr>(handed[-1 - tensor]);
      SmallVector<Value> shape = emitShape(spec, sizes);
      SmallVector<int64_t> extents(shape.size(), ShapedType::kDynamic);
      value = memref::ViewOp::create(
          b, MemRefType::get(extents, memoryType(spec).getElementType()),
          workspace, layout.handed[-1 - tensor], shape);
    }
    Type type = stage.host.getArgument(operands.size()).getType();
    if (value.getType() != type)
      value = memref::CastOp::create(b, type, value);
    operands.push_back(value);
  }
  operands.push_back(memref::ViewOp::create(
      b, cast<MemRefType>(workspace.getType()), workspace, layout.own,
      layout.bytes[number]));
  ValueRange tail = host.getArguments().take_back(7);
  operands.append({tail[0], tail[1], tail[2], tail[3], layout.slices[number],
                   tail[5], tail[6]});
  inlineBody(stage.host, operands);
}

/// The kernel's. Sequences may be packed if they may in every stage.
DictionaryAttr Joiner::getSignature() {
  SmallVector<NamedAttribute> attrs;
  for (NamedAttribute attr : whole)
    if (attr.getName() != SymbolTable::getSymbolAttrName() &&
        attr.getName() != SymbolTable::getVisibilityAttrName() &&
        (isPacked || attr.getName() != "time"))
      attrs.push_back(attr);
  return b.getDictionaryAttr(attrs);
}

LogicalResult Joiner::run() {
  auto name = whole.getAs<StringAttr>(SymbolTable::getSymbolAttrName());
  unsigned numSizes = whole.getAs<ArrayAttr>("sizes").size();
  Type index = b.getIndexType();
  auto pointer = LLVM::LLVMPointerType::get(b.getContext());
  SmallVector<Type> types(numSizes, index);
  for (StringRef list : {"inputs", "outputs"})
    for (auto spec : whole.getAs<ArrayAttr>(list).getAsRange<TensorSpecAttr>())
      types.push_back(memoryType(spec));
  types.append({MemRefType::get({ShapedType::kDynamic}, b.getI8Type()), index,
                index, MemRefType::get({2}, b.getI64Type()), Type(pointer),
                index, Type(pointer), index});
  ArrayAttr faults = b.getArrayAttr({});
  SmallVector<std::string> forms;
  for (Stage &stage : stages) {
    auto own = stage.host->getAttrOfType<ArrayAttr>("rondo.faults");
    if (!own.empty() && !faults.empty())
      return stage.host.emitOpError("has faults, as a stage before has");
    if (!own.empty())
      faults = own;
    std::string form =
        stage.host->getAttrOfType<StringAttr>("rondo.form").str();
    if (!llvm::is_contained(forms, form))
      forms.push_back(form);
  }

  b.setInsertionPoint(stages.front().host);
  auto host = func::FuncOp::create(b, name, b.getFunctionType(types, {}));
  host->setAttr("rondo.signature", getSignature());
  host->setAttr("rondo.faults", faults);
  host->setAttr("rondo.form", b.getStringAttr(llvm::join(forms, ", ")));
  host->setAttr("rondo.launches", b.getUnitAttr());
  host->setAttr("rondo.workspace", b.getStringAttr("whole"));
  auto bytes = func::FuncOp::create(
      b, (name.getValue() + "_worker_bytes").str(),
      b.getFunctionType(SmallVector<Type>(numSizes, index), index));
  b.setInsertionPointToStart(bytes.addEntryBlock());
  func::ReturnOp::create(b, emitLayout(bindSizes(bytes.getArguments())).total);

  b.setInsertionPointToStart(host.addEntryBlock());
  SmallVector<Value> sizes =
      bindSizes(host.getArguments().take_front(numSizes));
  Layout layout = emitLayout(sizes);
  for (auto [i, stage] : llvm::enumerate(stages))
    emitStage(stage, i, layout, host, sizes);
  func::ReturnOp::create(b);
  for (Stage &stage : stages) {
    stage.host->erase();
    stage.bytes->erase();
  }
  return success();
}

namespace {
class JoinStages : public rondo::gpu::impl::JoinStagesBase<JoinStages> {
public:
  using JoinStagesBase::JoinStagesBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    llvm::MapVector<StringAttr, SmallVector<Stage>> kernels;
    for (auto func : module.getOps<func::FuncOp>()) {
      auto signature = func->getAttrOfType<DictionaryAttr>("rondo.signature");
      auto stage = signature
                       ? signature.getAs<DictionaryAttr>("rondo.stage")
                       : DictionaryAttr();
      if (!stage)
        continue;
      auto bytes = module.lookupSymbol<func::FuncOp>(
          (func.getSymName() + "_worker_bytes").str());
      kernels[stage.getAs<StringAttr>("of")].push_back(
          {func, bytes, signature, stage});
    }
    for (auto &[name, stages] : kernels) {
      llvm::sort(stages, [](const Stage &a, const Stage &b) {
        return a.stage.getAs<IntegerAttr>("number").getInt() <
               b.stage.getAs<IntegerAttr>("number").getInt();
      });
      if (failed(Joiner(stages).run()))
        return signalPassFailure();
    }
  }
};
} // namespace
