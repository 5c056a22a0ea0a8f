//===- Sizes.cpp - Sizes from the shapes of the inputs --------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/Rondo/Reference/Eval.h"
#include "mlir/IR/AffineExpr.h"
#include <optional>

using namespace mlir;
using namespace rondo;
using namespace rondo::reference;

namespace {

/// What is known of one size, and from where, for messages.
struct Size {
  std::string name;
  std::optional<int64_t> value;
  std::string origin;
};

} // namespace

/// The value of a dim, or nothing when a size is unknown or it divides by 0.
static std::optional<int64_t> evaluateDim(AffineExpr expr,
                                          ArrayRef<Size> sizes) {
  if (auto constant = dyn_cast<AffineConstantExpr>(expr))
    return constant.getValue();
  if (auto symbol = dyn_cast<AffineSymbolExpr>(expr))
    return sizes[symbol.getPosition()].value;
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  if (!binary)
    return std::nullopt;
  std::optional<int64_t> lhs = evaluateDim(binary.getLHS(), sizes);
  std::optional<int64_t> rhs = evaluateDim(binary.getRHS(), sizes);
  int64_t result;
  if (!lhs || !rhs)
    return std::nullopt;
  switch (expr.getKind()) {
  case AffineExprKind::Add:
    return llvm::AddOverflow(*lhs, *rhs, result) ? std::nullopt
                                                 : std::optional(result);
  case AffineExprKind::Mul:
    return llvm::MulOverflow(*lhs, *rhs, result) ? std::nullopt
                                                 : std::optional(result);
  case AffineExprKind::Mod:
    return *rhs > 0 ? std::optional(llvm::mod(*lhs, *rhs)) : std::nullopt;
  case AffineExprKind::FloorDiv:
    return *rhs > 0 ? std::optional(llvm::divideFloorSigned(*lhs, *rhs))
                    : std::nullopt;
  case AffineExprKind::CeilDiv:
    return *rhs > 0 ? std::optional(llvm::divideCeilSigned(*lhs, *rhs))
                    : std::nullopt;
  default:
    return std::nullopt;
  }
}

/// How often unknown sizes occur in a dim; `symbol` is the last one.
static unsigned countUnknown(AffineExpr expr, ArrayRef<Size> sizes,
                             unsigned &symbol) {
  unsigned count = 0;
  expr.walk([&](AffineExpr part) {
    auto found = dyn_cast<AffineSymbolExpr>(part);
    if (found && !sizes[found.getPosition()].value) {
      symbol = found.getPosition();
      ++count;
    }
  });
  return count;
}

/// The value of the one unknown size for which `expr` is `target`. A division
/// is taken to be exact, as in `H floordiv G`. The caller checks the answer.
static std::optional<int64_t> solveDim(AffineExpr expr, int64_t target,
                                       ArrayRef<Size> sizes) {
  if (isa<AffineSymbolExpr>(expr))
    return target;
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  if (!binary)
    return std::nullopt;
  std::optional<int64_t> lhs = evaluateDim(binary.getLHS(), sizes);
  std::optional<int64_t> rhs = evaluateDim(binary.getRHS(), sizes);
  if (lhs.has_value() == rhs.has_value())
    return std::nullopt;
  AffineExpr unknown = lhs ? binary.getRHS() : binary.getLHS();
  int64_t known = lhs ? *lhs : *rhs, next;
  switch (expr.getKind()) {
  case AffineExprKind::Add: // unknown + known = target
    if (llvm::SubOverflow(target, known, next))
      return std::nullopt;
    return solveDim(unknown, next, sizes);
  case AffineExprKind::Mul: // unknown * known = target
    if (known == 0 || known == -1 || target % known != 0)
      return std::nullopt;
    return solveDim(unknown, target / known, sizes);
  case AffineExprKind::FloorDiv:
  case AffineExprKind::CeilDiv:
    if (rhs) // unknown / known = target
      return llvm::MulOverflow(target, known, next)
                 ? std::nullopt
                 : solveDim(unknown, next, sizes);
    // known / unknown = target
    if (target <= 0 || known % target != 0)
      return std::nullopt;
    return solveDim(unknown, known / target, sizes);
  default:
    return std::nullopt;
  }
}

/// A dim as the user would write it.
static std::string spellDim(AffineExpr expr, ArrayRef<Size> sizes) {
  if (auto constant = dyn_cast<AffineConstantExpr>(expr))
    return std::to_string(constant.getValue());
  if (auto symbol = dyn_cast<AffineSymbolExpr>(expr))
    return sizes[symbol.getPosition()].name;
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  if (!binary)
    return "?";
  StringRef op = expr.getKind() == AffineExprKind::Add   ? " + "
                 : expr.getKind() == AffineExprKind::Mul ? " * "
                 : expr.getKind() == AffineExprKind::Mod ? " mod "
                                                         : " / ";
  auto spellOperand = [&](AffineExpr operand) {
    std::string text = spellDim(operand, sizes);
    return isa<AffineBinaryOpExpr>(operand) ? "(" + text + ")" : text;
  };
  return spellOperand(binary.getLHS()) + op.str() +
         spellOperand(binary.getRHS());
}

namespace {

/// Collects what each source says about the sizes.
class SizeInference {
public:
  SizeInference(KernelOp kernel, const std::map<std::string, Array> &inputs)
      : kernel(kernel), inputs(inputs) {}

  llvm::Error addGiven(const std::map<std::string, int64_t> &given);
  llvm::Error checkRanks();
  /// One pass over all dims; true when a size was found.
  bool solve(bool onlyPlain);
  llvm::Error check();
  llvm::Expected<SmallVector<int64_t>> finish();

private:
  template <typename Visit> void forEachDim(Visit visit);

  KernelOp kernel;
  const std::map<std::string, Array> &inputs;
  SmallVector<Size> sizes;
};

} // namespace

template <typename... Parts> static llvm::Error makeSizeError(Parts... parts) {
  std::string text;
  llvm::raw_string_ostream os(text);
  (os << ... << parts);
  return llvm::createStringError(text);
}

llvm::Error
SizeInference::addGiven(const std::map<std::string, int64_t> &given) {
  for (auto [name, bound] : llvm::zip(
           kernel.getSizes().getAsRange<StringAttr>(), kernel.getBound())) {
    Size &size = sizes.emplace_back();
    size.name = name.str();
    if (bound >= 0) {
      size.value = bound;
      size.origin = "bound when the kernel was compiled";
    }
  }
  for (const auto &[name, value] : given) {
    int64_t position = kernel.getSizeIndex(name);
    if (position < 0)
      return makeSizeError("kernel '", kernel.getSymName(), "' has no size '",
                           name, "'");
    Size &size = sizes[position];
    if (value < 0)
      return makeSizeError("size ", name, " is negative: ", value);
    if (size.value && *size.value != value)
      return makeSizeError("size ", name, ": expected ", *size.value, ", ",
                           size.origin, ", found ", value);
    size.value = value;
    size.origin = "as given";
  }
  return llvm::Error::success();
}

llvm::Error SizeInference::checkRanks() {
  for (auto spec : kernel.getInputs().getAsRange<TensorSpecAttr>()) {
    auto found = inputs.find(spec.getName().str());
    if (found == inputs.end())
      continue;
    const Array &array = found->second;
    if (array.shape.size() != spec.getShape().getNumResults())
      return makeSizeError("argument '", spec.getName(), "': expected ",
                           spec.getShape().getNumResults(), " dims, found ",
                           array.shape.size());
    if (static_cast<int64_t>(array.data.size()) != array.getNumElements())
      return makeSizeError("argument '", spec.getName(), "': expected ",
                           array.getNumElements(), " elements, found ",
                           array.data.size());
  }
  return llvm::Error::success();
}

/// Calls visit(spec, dim, expression, extent) for every dim of the inputs that
/// are there.
template <typename Visit> void SizeInference::forEachDim(Visit visit) {
  for (auto spec : kernel.getInputs().getAsRange<TensorSpecAttr>()) {
    auto found = inputs.find(spec.getName().str());
    if (found == inputs.end())
      continue;
    for (auto [dim, expr] : llvm::enumerate(spec.getShape().getResults()))
      visit(spec, dim, expr, found->second.shape[dim]);
  }
}

bool SizeInference::solve(bool onlyPlain) {
  bool progress = false;
  forEachDim([&](TensorSpecAttr spec, unsigned dim, AffineExpr expr,
                 int64_t extent) {
    if (onlyPlain && !isa<AffineSymbolExpr>(expr))
      return;
    unsigned symbol = 0;
    if (countUnknown(expr, sizes, symbol) != 1)
      return;
    std::optional<int64_t> value = solveDim(expr, extent, sizes);
    if (!value || *value < 0)
      return;
    sizes[symbol].value = value;
    sizes[symbol].origin =
        ("from dim " + llvm::Twine(dim) + " of '" + spec.getName() + "'").str();
    progress = true;
  });
  return progress;
}

llvm::Error SizeInference::check() {
  std::string message;
  llvm::raw_string_ostream os(message);
  forEachDim(
      [&](TensorSpecAttr spec, unsigned dim, AffineExpr expr, int64_t extent) {
        std::optional<int64_t> expected = evaluateDim(expr, sizes);
        if (!message.empty() || (expected && *expected == extent))
          return;
        unsigned symbol = 0;
        unsigned unknown = countUnknown(expr, sizes, symbol);
        if (unknown > 1)
          return; // `finish` names the sizes
        os << "argument '" << spec.getName() << "', dim " << dim
           << ": expected " << spellDim(expr, sizes);
        if (expected)
          os << " = " << *expected;
        if (auto plain = dyn_cast<AffineSymbolExpr>(expr))
          os << " (" << sizes[plain.getPosition()].origin << ")";
        os << ", found " << extent;
        if (unknown)
          os << ", which gives no value of " << sizes[symbol].name;
      });
  if (message.empty())
    return llvm::Error::success();
  return llvm::createStringError(message);
}

llvm::Expected<SmallVector<int64_t>> SizeInference::finish() {
  SmallVector<int64_t> values;
  for (const Size &size : sizes) {
    if (!size.value)
      return makeSizeError("the value of size ", size.name,
                           " does not follow from the shapes of the arguments "
                           "of '",
                           kernel.getSymName(), "': give it by name");
    values.push_back(*size.value);
  }
  return values;
}

llvm::Expected<SmallVector<int64_t>>
rondo::reference::inferSizes(KernelOp kernel,
                             const std::map<std::string, Array> &inputs,
                             const std::map<std::string, int64_t> &given) {
  SizeInference inference(kernel, inputs);
  if (llvm::Error error = inference.addGiven(given))
    return error;
  if (llvm::Error error = inference.checkRanks())
    return error;
  inference.solve(/*onlyPlain=*/true);
  while (inference.solve(/*onlyPlain=*/false)) {
  }
  if (llvm::Error error = inference.check())
    return error;
  return inference.finish();
}
