//===- Interpret.cpp - Running programs in the interpreter ----------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/Driver/Interpret.h"
#include "compiler/Driver/Steps.h"
#include "dialects/Rondo/Reference/Eval.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

using namespace rondo;
using namespace rondo::driver;
using frontend::model::DType;
using llvm::StringRef;

/// The dtype of a file for an element type of the dialect.
static io::DType fileDType(mlir::Type type) {
  if (type.isF16())
    return io::DType::F16;
  if (type.isBF16())
    return io::DType::BF16;
  if (type.isF32())
    return io::DType::F32;
  if (type.isInteger(32))
    return io::DType::I32;
  if (type.isInteger(64))
    return io::DType::I64;
  if (type.isInteger(1) || type.isInteger(8))
    return io::DType::Bool;
  return io::DType::F64;
}

static io::DType fileDType(DType io) {
  switch (io) {
  case DType::F16:
    return io::DType::F16;
  case DType::BF16:
    return io::DType::BF16;
  case DType::F32:
    return io::DType::F32;
  default:
    return io::DType::F64;
  }
}

static reference::Array toReference(const io::Array &array) {
  reference::Array result;
  result.shape.assign(array.shape().begin(), array.shape().end());
  result.data.resize(array.size());
  for (size_t i = 0; i < array.size(); ++i)
    result.data[i] = array.real(i);
  return result;
}

/// Reals stay in double; integers and conditions get their type.
static io::Array fromReference(const reference::Array &array, mlir::Type type) {
  io::DType dtype =
      mlir::isa<mlir::FloatType>(type) ? io::DType::F64 : fileDType(type);
  io::Array result(dtype, array.shape);
  for (size_t i = 0; i < result.size(); ++i)
    result.setReal(i, array.data[i]);
  return result;
}

namespace {
/// One interpretation on its way.
struct Interpretation {
  Compiler &compiler;
  KernelOp kernel;
  /// Type to which arguments of the io dtype are rounded.
  std::optional<io::DType> rounding;

  llvm::Expected<std::map<std::string, reference::Array>>
  collect(const io::TensorMap &given);
  llvm::Expected<io::TensorMap> run(const io::TensorMap &given,
                                    const SizeValues &sizes);

private:
  bool hasIoType(StringRef argument);
};
} // namespace

/// Whether an argument, or the result that it is a gradient of, was declared
/// without a dtype.
bool Interpretation::hasIoType(StringRef argument) {
  auto forward = kernel->getAttrOfType<mlir::StringAttr>("kernel");
  StringRef name = forward ? forward.getValue() : kernel.getSymName();
  bool isGradient = forward && argument.consume_back(".grad");
  for (const auto &model : compiler.getModel())
    if (model->name == name)
      for (const frontend::model::Tensor *tensor :
           isGradient ? model->outputs : model->arguments)
        if (tensor->name == argument)
          return tensor->dtype == DType::Io;
  return false;
}

llvm::Expected<std::map<std::string, reference::Array>>
Interpretation::collect(const io::TensorMap &given) {
  std::map<std::string, reference::Array> inputs;
  std::vector<std::string> missing;
  for (unsigned i = 0, n = kernel.getInputs().size(); i < n; ++i) {
    TensorSpecAttr spec = kernel.getInput(i);
    std::string name = spec.getName().str();
    auto entry = given.find(name);
    if (entry == given.end()) {
      if (spec.getRole() == Role::Argument)
        missing.push_back("`" + name + "`");
      continue;
    }
    auto array = entry->second.convertTo(fileDType(spec.getElementType()));
    if (array && rounding && hasIoType(name))
      array = array->convertTo(*rounding);
    if (!array)
      return llvm::createStringError("argument `" + name +
                                     "`: " + llvm::toString(array.takeError()));
    inputs.emplace(name, toReference(*array));
  }
  if (missing.empty())
    return inputs;
  std::string names;
  for (const auto &entry : given)
    names += (names.empty() ? "" : ", ") + entry.first;
  return llvm::createStringError(
      "kernel `" + kernel.getSymName() + "` needs " +
      llvm::join(missing, " and ") + ", which no input file holds\n  " +
      (given.empty() ? std::string("no input file was given; use --in FILE")
                     : "the input holds " + names));
}

llvm::Expected<io::TensorMap> Interpretation::run(const io::TensorMap &given,
                                                  const SizeValues &values) {
  auto inputs = collect(given);
  if (!inputs)
    return inputs.takeError();
  auto sizes = reference::inferSizes(
      kernel, *inputs,
      std::map<std::string, int64_t>(values.begin(), values.end()));
  if (!sizes)
    return sizes.takeError();
  auto results = reference::evaluate(kernel, *inputs, *sizes);
  if (!results)
    return results.takeError();
  io::TensorMap outputs;
  for (unsigned i = 0, n = kernel.getOutputs().size(); i < n; ++i) {
    TensorSpecAttr spec = kernel.getOutput(i);
    auto entry = results->find(spec.getName().str());
    if (entry != results->end())
      outputs.emplace(entry->first,
                      fromReference(entry->second, spec.getElementType()));
  }
  return outputs;
}

std::optional<io::TensorMap> driver::interpret(StringRef path,
                                               CompileOptions options,
                                               bool roundInputs, bool timing,
                                               const io::TensorMap &given,
                                               const SizeValues &sizes) {
  std::optional<io::DType> rounding;
  if (roundInputs && options.io != DType::F64)
    rounding = fileDType(options.io);
  options.io = DType::F64;
  mlir::DefaultTimingManager timings;
  timings.setEnabled(timing);
  Compiler compiler(std::move(options), llvm::errs(), timings.getRootScope());
  if (compiler.open(path) != Failure::None ||
      compiler.run(Phase::Rondo) != Failure::None)
    return std::nullopt;
  KernelOp kernel = findKernel(compiler, path);
  if (!kernel)
    return std::nullopt;
  mlir::TimingScope scope = compiler.time("interpret");
  Interpretation interpretation{compiler, kernel, rounding};
  auto once = [&](const io::TensorMap &inputs, SizeValues own) {
    llvm::append_range(own, sizes);
    return interpretation.run(inputs, own);
  };
  auto outputs = compiler.getOptions().onlyStep
                     ? runSteps(StepSignature::get(kernel), given, once)
                     : once(given, {});
  if (!outputs) {
    usageError(outputs.takeError());
    return std::nullopt;
  }
  return std::move(*outputs);
}
