//===- rondo-eval.cpp - Evaluate the kernels of an .mlir file -------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A tool for tests. Evaluates every kernel of a file with the reference
// interpreter and prints one line per result:
//
//   name: [shape] v0 v1 ...
//
// The inputs stand on the kernel, by name:
//
//   rondo.kernel @k .. attributes {rondo.test_inputs = {x = dense<1.0> :
//   tensor<2xf64>}}
//
// Sizes follow from them; `rondo.test_sizes = {T = 3 : i64}` gives others.
// With `rondo.test_shapes`, only the shapes are printed. An error is printed
// as `error: ...` in the place of the results, and the exit code is 1. With
// --decompose, whole forms are rewritten to equations before.
//
//===----------------------------------------------------------------------===//

#include "dialects/Rondo/IR/RondoOps.h"
#include "dialects/Rondo/Reference/Eval.h"
#include "dialects/Rondo/Transforms/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/InitLLVM.h"
#include <cmath>

using namespace mlir;
using namespace rondo;
using reference::Array;

static llvm::Expected<Array> readArray(DenseElementsAttr elements) {
  Array array;
  array.shape = elements.getType().getShape().vec();
  if (isa<FloatType>(elements.getElementType())) {
    for (APFloat value : elements.getValues<APFloat>()) {
      bool losesInfo;
      value.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven,
                    &losesInfo);
      array.data.push_back(value.convertToDouble());
    }
    return array;
  }
  if (!elements.getElementType().isIntOrIndex())
    return llvm::createStringError("expected numbers as test inputs");
  bool isCondition = elements.getElementType().isInteger(1);
  for (APInt value : elements.getValues<APInt>())
    array.data.push_back(isCondition
                             ? value.getBoolValue()
                             : static_cast<double>(value.getSExtValue()));
  return array;
}

static llvm::Expected<std::map<std::string, Array>>
readInputs(KernelOp kernel) {
  std::map<std::string, Array> inputs;
  auto attribute = kernel->getAttrOfType<DictionaryAttr>("rondo.test_inputs");
  if (!attribute)
    return inputs;
  for (NamedAttribute input : attribute) {
    auto elements = dyn_cast<DenseElementsAttr>(input.getValue());
    if (!elements)
      return llvm::createStringError("expected dense elements as test inputs");
    auto array = readArray(elements);
    if (!array)
      return array.takeError();
    inputs[input.getName().str()] = *array;
  }
  return inputs;
}

static std::map<std::string, int64_t> readSizes(KernelOp kernel) {
  std::map<std::string, int64_t> sizes;
  if (auto given = kernel->getAttrOfType<DictionaryAttr>("rondo.test_sizes"))
    for (NamedAttribute size : given)
      if (auto value = dyn_cast<IntegerAttr>(size.getValue()))
        sizes[size.getName().str()] = value.getInt();
  return sizes;
}

/// Whole numbers in full, others to ten digits.
static void print(double value) {
  llvm::outs() << ' ';
  if (std::isnan(value))
    llvm::outs() << "nan"; // whatever its sign
  else if (std::fabs(value) < 9007199254740992.0 && std::floor(value) == value)
    llvm::outs() << static_cast<int64_t>(value);
  else
    llvm::outs() << llvm::format("%.10g", value);
}

static llvm::Error run(KernelOp kernel) {
  auto inputs = readInputs(kernel);
  if (!inputs)
    return inputs.takeError();
  auto sizes = reference::inferSizes(kernel, *inputs, readSizes(kernel));
  if (!sizes)
    return sizes.takeError();
  auto outputs = reference::evaluate(kernel, *inputs, *sizes);
  if (!outputs)
    return outputs.takeError();
  bool onlyShapes = kernel->hasAttr("rondo.test_shapes");
  for (auto spec : kernel.getOutputs().getAsRange<TensorSpecAttr>()) {
    const Array &array = (*outputs)[spec.getName().str()];
    llvm::outs() << spec.getName() << ": [";
    llvm::interleaveComma(array.shape, llvm::outs());
    llvm::outs() << "]";
    for (double value : onlyShapes ? std::vector<double>() : array.data)
      print(value);
    llvm::outs() << '\n';
  }
  return llvm::Error::success();
}

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  llvm::cl::opt<std::string> file(llvm::cl::Positional, llvm::cl::init("-"),
                                  llvm::cl::desc("FILE.mlir"));
  llvm::cl::opt<bool> decompose("decompose",
                                llvm::cl::desc("run rondo-decompose before"));
  llvm::cl::ParseCommandLineOptions(
      argc, argv, "evaluates kernels with the reference interpreter\n");
  MLIRContext context;
  context.loadDialect<RondoDialect, arith::ArithDialect, math::MathDialect>();
  OwningOpRef<ModuleOp> module = parseSourceFile<ModuleOp>(file, &context);
  if (!module)
    return 2;
  if (decompose) {
    PassManager passes(&context);
    passes.addPass(createDecompose());
    passes.addPass(createCSEPass());
    if (failed(passes.run(*module)))
      return 2;
  }
  bool anyError = false;
  for (auto kernel : module->getOps<KernelOp>()) {
    llvm::outs() << '@' << kernel.getSymName() << '\n';
    if (llvm::Error error = run(kernel)) {
      llvm::outs() << "error: " << llvm::toString(std::move(error)) << '\n';
      anyError = true;
    }
  }
  return anyError;
}
