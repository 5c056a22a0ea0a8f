//===- Steps.cpp - Sequences fed one step at a time -----------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/Driver/Steps.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringRef.h"
#include <cstring>

using namespace rondo;
using namespace rondo::driver;
using llvm::StringRef;

static Role roleOf(int32_t role) {
  switch (role) {
  case RONDO_ROLE_ARGUMENT:
    return Role::Argument;
  case RONDO_ROLE_INITIAL:
    return Role::Initial;
  case RONDO_ROLE_RESULT:
    return Role::Result;
  default:
    return Role::Final;
  }
}

/// The expression of a table, which is in postfix order.
static mlir::AffineExpr toExpr(const rondo_size_expr &extent,
                               mlir::MLIRContext *context) {
  std::vector<mlir::AffineExpr> stack;
  for (int32_t i = 0; i < extent.num_ops; ++i) {
    const rondo_size_op &op = extent.ops[i];
    if (op.op == RONDO_SIZE_CONST) {
      stack.push_back(mlir::getAffineConstantExpr(op.value, context));
      continue;
    }
    if (op.op == RONDO_SIZE_NAME) {
      stack.push_back(mlir::getAffineSymbolExpr(op.value, context));
      continue;
    }
    mlir::AffineExpr b = stack.back();
    stack.pop_back();
    mlir::AffineExpr &a = stack.back();
    a = op.op == RONDO_SIZE_ADD   ? a + b
        : op.op == RONDO_SIZE_SUB ? a - b
        : op.op == RONDO_SIZE_MUL ? a * b
                                  : a.floorDiv(b);
  }
  return stack.back();
}

static StepSignature::Dim toDim(mlir::AffineExpr expr,
                                llvm::ArrayRef<std::string> sizes) {
  if (auto symbol = mlir::dyn_cast<mlir::AffineSymbolExpr>(expr))
    return {sizes[symbol.getPosition()], {}};
  return {"", expr};
}

StepSignature StepSignature::get(const rondo_kernel_info &kernel) {
  StepSignature result;
  result.context = std::make_shared<mlir::MLIRContext>(
      mlir::MLIRContext::Threading::DISABLED);
  for (int32_t i = 0; i < kernel.num_sizes; ++i) {
    result.sizes.push_back(kernel.sizes[i].name);
    if (kernel.sizes[i].bound == 1)
      result.ones.push_back(kernel.sizes[i].name);
  }
  for (int32_t i = 0; i < kernel.num_tensors; ++i) {
    const rondo_tensor_info &info = kernel.tensors[i];
    Tensor tensor{info.name, roleOf(info.role), {}};
    for (int32_t dim = 0; dim < info.rank; ++dim)
      tensor.dims.push_back(
          toDim(toExpr(info.shape[dim], result.context.get()), result.sizes));
    result.tensors.push_back(std::move(tensor));
  }
  return result;
}

StepSignature StepSignature::get(KernelOp kernel) {
  StepSignature result;
  for (auto name : kernel.getSizes().getAsRange<mlir::StringAttr>())
    result.sizes.push_back(name.str());
  for (auto [name, bound] : llvm::zip_equal(result.sizes, kernel.getBound()))
    if (bound == 1)
      result.ones.push_back(name);
  for (auto specs : {kernel.getInputs(), kernel.getOutputs()})
    for (auto spec : specs.getAsRange<TensorSpecAttr>()) {
      Tensor tensor{spec.getName().str(), spec.getRole(), {}};
      for (mlir::AffineExpr extent : spec.getShape().getResults())
        tensor.dims.push_back(toDim(extent, result.sizes));
      result.tensors.push_back(std::move(tensor));
    }
  return result;
}

/// Elements `begin` to `end` of a dim; 0 before its start.
static io::Array take(const io::Array &array, unsigned dim, int64_t begin,
                      int64_t end) {
  std::vector<int64_t> shape(array.shape());
  size_t inner = io::dtypeBytes(array.dtype()), outer = 1;
  for (unsigned i = 0; i < shape.size(); ++i)
    (i < dim ? outer : inner) *= i == dim ? 1 : shape[i];
  int64_t extent = shape[dim];
  shape[dim] = end - begin;
  io::Array result(array.dtype(), shape);
  int64_t first = std::max<int64_t>(begin, 0);
  for (size_t i = 0; i < outer; ++i)
    std::memcpy(result.data() + (i * (end - begin) + first - begin) * inner,
                array.data() + (i * extent + first) * inner,
                (end - first) * inner);
  return result;
}

/// Puts a step into the sequence at `at`.
static void put(const io::Array &step, io::Array &sequence, unsigned dim,
                int64_t at) {
  llvm::ArrayRef<int64_t> shape = sequence.shape();
  size_t inner = io::dtypeBytes(step.dtype()), outer = 1;
  for (unsigned i = 0; i < shape.size(); ++i)
    (i < dim ? outer : inner) *= i == dim ? 1 : shape[i];
  for (size_t i = 0; i < outer; ++i)
    std::memcpy(sequence.data() + (i * shape[dim] + at) * inner,
                step.data() + i * inner, inner);
}

namespace {
class Steps {
public:
  Steps(const StepSignature &signature, const io::TensorMap &given)
      : signature(signature), given(given) {}

  llvm::Error findTime();
  int64_t length() const { return steps; }
  io::TensorMap inputsOf(int64_t step);
  /// What no shape may tell.
  SizeValues sizesOf(int64_t step) const {
    return llvm::is_contained(signature.sizes, seen)
               ? SizeValues{{seen, step + 1}}
               : SizeValues();
  }
  void keep(io::TensorMap outputs, int64_t step);
  io::TensorMap takeResults();

private:
  const io::Array *find(StringRef name) const {
    auto it = given.find(name.str());
    return it == given.end() ? nullptr : &it->second;
  }
  /// "h.final", when there is "h.past.final".
  bool isKeptWhole(StringRef final) const {
    std::string past = final.drop_back(strlen("final")).str() + "past.final";
    return llvm::any_of(signature.tensors,
                        [&](const auto &each) { return each.name == past; });
  }
  static int dimOf(const StepSignature::Tensor &tensor, StringRef size) {
    auto it = llvm::find_if(tensor.dims, [&](const StepSignature::Dim &dim) {
      return dim.size == size;
    });
    return it == tensor.dims.end() ? -1 : it - tensor.dims.begin();
  }
  std::optional<int64_t> extentOf(StringRef size) const;
  std::optional<int64_t> windowOf(const StepSignature::Dim &dim) const;

  const StepSignature &signature;
  const io::TensorMap &given;
  std::string time, seen;
  int64_t steps = 1;
  io::TensorMap results, state, finals;
};
} // namespace

/// The extent of a size in what is given.
std::optional<int64_t> Steps::extentOf(StringRef size) const {
  for (const StepSignature::Tensor &tensor : signature.tensors) {
    const io::Array *array =
        tensor.role == Role::Argument ? find(tensor.name) : nullptr;
    int dim = dimOf(tensor, size);
    if (array && dim >= 0 && array->shape().size() == tensor.dims.size())
      return array->shape()[dim];
  }
  return std::nullopt;
}

/// How many steps an argument holds that is read at a few earlier ones, `T + L`;
/// none for other dims.
std::optional<int64_t>
Steps::windowOf(const StepSignature::Dim &dim) const {
  auto place = llvm::find(signature.sizes, time);
  if (!dim.expr || place == signature.sizes.end() ||
      !dim.expr.isFunctionOfSymbol(place - signature.sizes.begin()))
    return std::nullopt;
  llvm::SmallVector<mlir::AffineExpr> values;
  for (const std::string &size : signature.sizes)
    values.push_back(mlir::getAffineConstantExpr(
        size == time ? 1 : extentOf(size).value_or(0), dim.expr.getContext()));
  auto value =
      mlir::dyn_cast<mlir::AffineConstantExpr>(dim.expr.replaceSymbols(values));
  return value ? std::optional(value.getValue()) : std::nullopt;
}

/// Time is the size fixed to 1 over which what is given is not as short.
llvm::Error Steps::findTime() {
  for (const StepSignature::Tensor &tensor : signature.tensors) {
    if (StringRef(tensor.name).ends_with(".position"))
      time = StringRef(tensor.name).drop_back(strlen(".position")).str();
  }
  for (const std::string &size : signature.sizes)
    if (StringRef(size).ends_with(".seen"))
      time = StringRef(size).drop_back(strlen(".seen")).str();
  // Of windows alone, the expressions tell.
  for (const StepSignature::Tensor &tensor : signature.tensors)
    for (const StepSignature::Dim &dim : tensor.dims)
      for (auto [i, size] : llvm::enumerate(signature.sizes))
        if (time.empty() && tensor.role == Role::Argument && dim.expr &&
            dim.expr.isFunctionOfSymbol(i) &&
            llvm::is_contained(signature.ones, size))
          time = size;
  for (const std::string &size : signature.ones)
    if (time.empty() && extentOf(size).value_or(1) != 1)
      time = size;
  if (time.empty() && !signature.ones.empty())
    time = signature.ones.front();
  seen = time + ".seen";
  steps = extentOf(time).value_or(extentOf(seen).value_or(-1));
  for (const StepSignature::Tensor &tensor : signature.tensors)
    for (auto [i, dim] : llvm::enumerate(tensor.dims))
      if (const io::Array *array = find(tensor.name);
          steps < 0 && array && array->shape().size() == tensor.dims.size() &&
          windowOf(dim))
        steps = array->shape()[i];
  if (steps > 0)
    return llvm::Error::success();
  return llvm::createStringError("--step: there is no step to feed, as `" +
                                 time + "` is 0");
}

io::TensorMap Steps::inputsOf(int64_t step) {
  io::TensorMap inputs;
  for (const StepSignature::Tensor &tensor : signature.tensors) {
    if (tensor.role == Role::Initial) {
      auto kept = state.find(tensor.name);
      if (kept != state.end())
        inputs.emplace(tensor.name, std::move(kept->second));
      else if (const io::Array *array = find(tensor.name))
        inputs.emplace(tensor.name, *array);
    }
    if (tensor.role != Role::Argument)
      continue;
    if (tensor.name == time + ".position") {
      io::Array number(io::DType::I64, {});
      number.setInteger(0, step);
      inputs.emplace(tensor.name, std::move(number));
      continue;
    }
    if (tensor.name == time + ".positions") {
      io::Array numbers(io::DType::I64, {step + 1});
      for (int64_t i = 0; i <= step; ++i)
        numbers.setInteger(i, i);
      inputs.emplace(tensor.name, std::move(numbers));
      continue;
    }
    const io::Array *array = find(tensor.name);
    if (!array)
      continue;
    io::Array part = *array;
    if (part.shape().size() == tensor.dims.size())
      for (auto [i, dim] : llvm::enumerate(tensor.dims)) {
        int64_t end = std::min(step + 1, part.shape()[i]);
        if (dim.size == time)
          part = take(part, i, std::min(step, end), end);
        else if (dim.size == seen)
          part = take(part, i, 0, end);
        else if (auto window = windowOf(dim))
          part = take(part, i, end - *window, end);
      }
    inputs.emplace(tensor.name, std::move(part));
  }
  return inputs;
}

void Steps::keep(io::TensorMap outputs, int64_t step) {
  state.clear();
  for (const StepSignature::Tensor &tensor : signature.tensors) {
    auto found = outputs.find(tensor.name);
    if (found == outputs.end())
      continue;
    io::Array &array = found->second;
    if (tensor.role == Role::Final) {
      // Its earlier steps are kept: before the start it stays as it was.
      if (isKeptWhole(tensor.name)) {
        finals.insert_or_assign(tensor.name, std::move(array));
        continue;
      }
      std::string name =
          StringRef(tensor.name).drop_back(strlen("final")).str() + "initial";
      state.emplace(name, std::move(array));
      continue;
    }
    unsigned dim = dimOf(tensor, time);
    auto [result, isNew] = results.try_emplace(tensor.name);
    if (isNew) {
      std::vector<int64_t> shape(array.shape());
      shape[dim] = steps;
      result->second = io::Array(array.dtype(), shape);
    }
    put(array, result->second, dim, step);
  }
}

io::TensorMap Steps::takeResults() {
  results.merge(finals);
  for (auto &[name, array] : state)
    results.emplace(StringRef(name).drop_back(strlen("initial")).str() +
                        "final",
                    std::move(array));
  return std::move(results);
}

llvm::Expected<io::TensorMap> driver::runSteps(
    const StepSignature &signature, const io::TensorMap &given,
    llvm::function_ref<llvm::Expected<io::TensorMap>(const io::TensorMap &,
                                                     const SizeValues &)>
        once) {
  Steps steps(signature, given);
  if (llvm::Error error = steps.findTime())
    return std::move(error);
  for (int64_t step = 0; step < steps.length(); ++step) {
    auto outputs = once(steps.inputsOf(step), steps.sizesOf(step));
    if (!outputs)
      return outputs.takeError();
    steps.keep(std::move(*outputs), step);
  }
  return steps.takeResults();
}
