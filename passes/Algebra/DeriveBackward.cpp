//===- DeriveBackward.cpp - The backward pass of kernels ------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/Rondo/IR/RondoOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "passes/Algebra/Adjoints.h"
#include "passes/Algebra/Passes.h"

namespace rondo::algebra {
#define GEN_PASS_DEF_DERIVEBACKWARD
#include "passes/Algebra/Passes.h.inc"
} // namespace rondo::algebra

using namespace mlir;
using namespace rondo;
using namespace rondo::algebra;

namespace {

bool isReal(TensorSpecAttr spec) {
  return isa<FloatType>(spec.getElementType());
}

/// Position of the dim that is the size `name` as a whole, or -1.
int64_t findDim(KernelOp kernel, TensorSpecAttr spec, StringRef name) {
  int64_t size = kernel.getSizeIndex(name);
  for (auto [dim, expr] : llvm::enumerate(spec.getShape().getResults()))
    if (auto symbol = dyn_cast<AffineSymbolExpr>(expr))
      if (symbol.getPosition() == size)
        return dim;
  return -1;
}

/// One backward kernel on its way: at first a copy of the kernel.
class BackwardKernel {
public:
  BackwardKernel(KernelOp kernel, OpBuilder builder)
      : kernel(kernel), builder(builder), context(kernel.getContext()),
        arrays(context, kernel) {}

  LogicalResult derive();

private:
  void addInput(unsigned position, const Twine &name, Role role,
                TensorSpecAttr like);
  void addGradientInputs();
  void keepCommonBatch();
  Value emitOutput(Adjoints &adjoints, unsigned input, TensorSpecAttr &spec);

  KernelOp kernel;
  OpBuilder builder;
  Context context;
  Arrays arrays;
  unsigned numInputs; // of the forward kernel
  ArrayAttr batch;    // likewise
  SmallVector<BlockArgument> forwardInputs;
  /// The gradient of each output, null for those that have none.
  SmallVector<BlockArgument> gradients;
};

void BackwardKernel::addInput(unsigned position, const Twine &name, Role role,
                              TensorSpecAttr like) {
  SmallVector<Attribute> inputs(kernel.getInputs().getValue());
  inputs.insert(inputs.begin() + position,
                TensorSpecAttr::get(kernel.getContext(), name.str(), role,
                                    like.getElementType(), like.getShape(),
                                    ArrayRef<int64_t>()));
  kernel.setInputsAttr(builder.getArrayAttr(inputs));
  SmallVector<int64_t> dims(like.getShape().getNumResults(),
                            ShapedType::kDynamic);
  kernel.getBody().insertArgument(
      position, RankedTensorType::get(dims, like.getElementType()),
      NameLoc::get(builder.getStringAttr(name)));
}

/// After the arguments those of results; after the initial values of states,
/// and optional as they are, those of final values.
void BackwardKernel::addGradientInputs() {
  numInputs = kernel.getInputs().size();
  forwardInputs.assign(kernel.getBody().args_begin(),
                       kernel.getBody().args_end());
  unsigned position = 0;
  while (position < numInputs &&
         kernel.getInput(position).getRole() == Role::Argument)
    ++position;
  for (unsigned i = 0; i < kernel.getOutputs().size(); ++i) {
    TensorSpecAttr spec = kernel.getOutput(i);
    gradients.push_back({});
    if (!isReal(spec))
      continue;
    bool isFinal = spec.getRole() == Role::Final;
    unsigned at = isFinal ? kernel.getInputs().size() : position++;
    addInput(at, spec.getName() + ".grad",
             isFinal ? Role::Initial : Role::Argument, spec);
    gradients.back() = kernel.getBody().getArgument(at);
  }
}

/// What lacks a batch dim gets the sum of the gradients of its points: a dim is
/// a batch dim of the backward kernel if everything that gets a gradient has
/// it. Those that stay must be the first ones of all equations.
void BackwardKernel::keepCommonBatch() {
  batch = kernel.getBatch();
  SmallVector<Attribute> kept;
  for (auto name : kernel.getBatch().getAsRange<StringAttr>()) {
    bool isCommon = true;
    for (unsigned i = 0; i < numInputs; ++i) {
      TensorSpecAttr spec =
          kernel.getInput(cast<BlockArgument>(forwardInputs[i]).getArgNumber());
      isCommon &= !isReal(spec) || findDim(kernel, spec, name) >= 0;
    }
    if (!isCommon)
      break;
    kept.push_back(name);
  }
  kernel.setBatchAttr(builder.getArrayAttr(kept));
}

/// The gradient of an input. Batch dims of the forward kernel come first, as in
/// histories.
Value BackwardKernel::emitOutput(Adjoints &adjoints, unsigned input,
                                 TensorSpecAttr &spec) {
  BlockArgument argument = forwardInputs[input];
  TensorSpecAttr like = kernel.getInput(argument.getArgNumber());
  unsigned rank = like.getShape().getNumResults();
  SmallVector<int64_t> dims; // in memory, of the returned dims
  for (auto name : batch.getAsRange<StringAttr>())
    if (int64_t dim = findDim(kernel, like, name); dim >= 0)
      dims.push_back(dim);
  for (unsigned dim = 0; dim < rank; ++dim)
    if (!llvm::is_contained(dims, dim))
      dims.push_back(dim);
  SmallVector<int64_t> order;
  for (unsigned dim = 0; dim < rank; ++dim)
    order.push_back(llvm::find(dims, dim) - dims.begin());
  if (llvm::is_sorted(order))
    order.clear();
  bool isInitial = like.getRole() == Role::Initial;
  spec =
      TensorSpecAttr::get(kernel.getContext(), (like.getName() + ".grad").str(),
                          isInitial ? Role::Final : Role::Result,
                          like.getElementType(), like.getShape(), order);
  return adjoints.emitGradient(*arrays.find(argument), dims,
                               (like.getName() + ".grad").str(),
                               like.getElementType());
}

LogicalResult BackwardKernel::derive() {
  addGradientInputs();
  keepCommonBatch();
  auto terminator = cast<ReturnOp>(kernel.getBody().front().getTerminator());
  SmallVector<Value> results(terminator.getOperands());
  SmallVector<TensorSpecAttr> specs;
  for (unsigned i = 0; i < results.size(); ++i)
    specs.push_back(kernel.getOutput(i));
  // While the gradients are derived nothing is returned, so that what the forward
  // pass alone needs goes.
  if (failed(arrays.build()))
    return failure();
  builder.setInsertionPoint(terminator);
  Adjoints adjoints(context, arrays, kernel, builder);
  for (auto [result, spec, gradient] :
       llvm::zip_equal(results, specs, gradients))
    if (gradient && failed(adjoints.addResult(result, spec, gradient)))
      return failure();
  if (failed(adjoints.analyze()))
    return failure();
  SmallVector<Value> outputs;
  SmallVector<Attribute> outputSpecs;
  for (Role role : {Role::Argument, Role::Initial})
    for (unsigned i = 0; i < numInputs; ++i) {
      TensorSpecAttr spec = kernel.getInput(forwardInputs[i].getArgNumber());
      if (spec.getRole() != role || !isReal(spec))
        continue;
      Value output = emitOutput(adjoints, i, spec);
      if (!output)
        return failure();
      outputs.push_back(output);
      outputSpecs.push_back(spec);
    }
  terminator->setOperands(outputs);
  kernel.setOutputsAttr(builder.getArrayAttr(outputSpecs));
  return success();
}

struct DeriveBackward
    : rondo::algebra::impl::DeriveBackwardBase<DeriveBackward> {
  LogicalResult derive(KernelOp kernel) {
    std::string name = (kernel.getSymName() + "_backward").str();
    if (Operation *other = getOperation().lookupSymbol(name)) {
      if (other->getAttr("kernel") == kernel.getSymNameAttr())
        return success(); // IR that was derived already
      InFlightDiagnostic error =
          other->emitError("the kernel `")
          << name << "` has the name of the backward pass of `"
          << kernel.getSymName() << "`; rename one of them";
      return error;
    }
    OpBuilder builder(kernel->getContext());
    builder.setInsertionPointAfter(kernel);
    auto copy = cast<KernelOp>(builder.clone(*kernel));
    copy.setSymName(name);
    copy->setAttr("entry", builder.getStringAttr("backward"));
    copy->setAttr("kernel", kernel.getSymNameAttr());
    return BackwardKernel(copy, builder).derive();
  }

  void runOnOperation() override {
    SmallVector<KernelOp> kernels(getOperation().getOps<KernelOp>());
    for (KernelOp kernel : kernels)
      if (!kernel->hasAttr("entry") && failed(derive(kernel)))
        return signalPassFailure();
  }
};

} // namespace
