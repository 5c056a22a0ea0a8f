//===- Array.cpp - Tensors in the memory of the tools ---------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/IO/Array.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/bit.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/raw_ostream.h"
#include <cmath>
#include <cstring>
#include <limits>

using namespace rondo::io;

namespace {

struct DTypeRow {
  DType dtype;
  const char *name;
  unsigned bytes;
  bool real;
};

constexpr DTypeRow dtypeTable[] = {
    {DType::F64, "F64", 8, true},  {DType::F32, "F32", 4, true},
    {DType::F16, "F16", 2, true},  {DType::BF16, "BF16", 2, true},
    {DType::I64, "I64", 8, false}, {DType::I32, "I32", 4, false},
    {DType::I16, "I16", 2, false}, {DType::I8, "I8", 1, false},
    {DType::U8, "U8", 1, false},   {DType::Bool, "BOOL", 1, false},
};

const DTypeRow &row(DType dtype) {
  const DTypeRow &result = dtypeTable[static_cast<unsigned>(dtype)];
  assert(result.dtype == dtype && "table out of order");
  return result;
}

template <typename T> T load(const uint8_t *data, size_t i) {
  T value;
  std::memcpy(&value, data + i * sizeof(T), sizeof(T));
  return value;
}

template <typename T> void store(uint8_t *data, size_t i, T value) {
  std::memcpy(data + i * sizeof(T), &value, sizeof(T));
}

/// To f32, rounding to odd: a value that is not exact gets an odd last bit, so
/// that rounding once more to a type at least two bits shorter is correct.
uint32_t toF32Odd(double value) {
  float nearest = static_cast<float>(value);
  if (static_cast<double>(nearest) == value || std::isnan(value))
    return llvm::bit_cast<uint32_t>(nearest);
  uint32_t bits = llvm::bit_cast<uint32_t>(nearest);
  // Truncate toward zero, then set the last bit.
  if (std::fabs(static_cast<double>(nearest)) > std::fabs(value))
    --bits;
  return bits | 1;
}

/// Drops `shift` bits of `bits`, to nearest even.
uint32_t shiftRound(uint32_t bits, unsigned shift) {
  if (shift > 31)
    return 0;
  uint32_t half = 1u << (shift - 1);
  uint32_t rest = bits & (2 * half - 1);
  uint32_t result = bits >> shift;
  if (rest > half || (rest == half && (result & 1)))
    ++result;
  return result;
}

} // namespace

llvm::StringRef rondo::io::dtypeName(DType dtype) { return row(dtype).name; }
unsigned rondo::io::dtypeBytes(DType dtype) { return row(dtype).bytes; }
bool rondo::io::isReal(DType dtype) { return row(dtype).real; }

std::optional<DType> rondo::io::parseDType(llvm::StringRef name) {
  for (const DTypeRow &entry : dtypeTable)
    if (name == entry.name)
      return entry.dtype;
  return std::nullopt;
}

std::optional<size_t> rondo::io::elementCount(llvm::ArrayRef<int64_t> shape) {
  // A dim of 0 makes the tensor empty whatever the others are.
  bool empty = false;
  for (int64_t dim : shape) {
    if (dim < 0)
      return std::nullopt;
    empty |= dim == 0;
  }
  if (empty)
    return 0;
  int64_t bytes = 8, count = 1;
  for (int64_t dim : shape) {
    if (llvm::MulOverflow(bytes, dim, bytes))
      return std::nullopt;
    count *= dim;
  }
  return static_cast<size_t>(count);
}

std::string rondo::io::formatShape(llvm::ArrayRef<int64_t> shape) {
  std::string text;
  llvm::raw_string_ostream os(text);
  os << '[';
  llvm::interleaveComma(shape, os);
  os << ']';
  return text;
}

uint16_t rondo::io::toBF16(double value) {
  uint32_t bits = toF32Odd(value);
  if (std::isnan(value))
    return static_cast<uint16_t>(bits >> 16) | 0x40;
  return static_cast<uint16_t>(shiftRound(bits, 16));
}

double rondo::io::fromBF16(uint16_t bits) {
  return llvm::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

uint16_t rondo::io::toF16(double value) {
  uint32_t bits = toF32Odd(value);
  uint16_t sign = static_cast<uint16_t>(bits >> 16) & 0x8000;
  if (std::isnan(value))
    return sign | 0x7e00;
  uint32_t magnitude = bits & 0x7fffffff;
  int exponent = static_cast<int>(magnitude >> 23) - 127;
  if (exponent > 15)
    return sign | 0x7c00;
  if (exponent < -25)
    return sign;
  if (exponent < -14) { // subnormal: count units of 2^-24
    uint32_t significand = (magnitude & 0x7fffff) | 0x800000;
    return sign |
           static_cast<uint16_t>(shiftRound(significand, 13 - 14 - exponent));
  }
  // A carry out of the significand moves the exponent up, to infinity at last.
  return sign | static_cast<uint16_t>(
                    shiftRound(magnitude - ((127u - 15u) << 23), 13));
}

double rondo::io::fromF16(uint16_t bits) {
  double sign = bits & 0x8000 ? -1.0 : 1.0;
  int exponent = (bits >> 10) & 0x1f;
  int significand = bits & 0x3ff;
  if (exponent == 31)
    return significand ? std::numeric_limits<double>::quiet_NaN()
                       : sign * std::numeric_limits<double>::infinity();
  if (exponent == 0)
    return sign * std::ldexp(significand, -24);
  return sign * std::ldexp(significand + 1024, exponent - 25);
}

Array::Array(DType dtype, llvm::ArrayRef<int64_t> shape)
    : type(dtype), dims(shape.begin(), shape.end()),
      count(elementCount(shape).value()), bytes(count * dtypeBytes(dtype)) {}

double Array::real(size_t i) const {
  switch (type) {
  case DType::F64:
    return load<double>(data(), i);
  case DType::F32:
    return load<float>(data(), i);
  case DType::F16:
    return fromF16(load<uint16_t>(data(), i));
  case DType::BF16:
    return fromBF16(load<uint16_t>(data(), i));
  default:
    return static_cast<double>(integer(i));
  }
}

int64_t Array::integer(size_t i) const {
  switch (type) {
  case DType::I64:
    return load<int64_t>(data(), i);
  case DType::I32:
    return load<int32_t>(data(), i);
  case DType::I16:
    return load<int16_t>(data(), i);
  case DType::I8:
    return load<int8_t>(data(), i);
  case DType::U8:
    return load<uint8_t>(data(), i);
  case DType::Bool:
    return load<uint8_t>(data(), i) != 0;
  default:
    return static_cast<int64_t>(real(i));
  }
}

void Array::setReal(size_t i, double value) {
  switch (type) {
  case DType::F64:
    return store(data(), i, value);
  case DType::F32:
    return store(data(), i, static_cast<float>(value));
  case DType::F16:
    return store(data(), i, toF16(value));
  case DType::BF16:
    return store(data(), i, toBF16(value));
  default:
    return setInteger(i, static_cast<int64_t>(value));
  }
}

void Array::setInteger(size_t i, int64_t value) {
  switch (type) {
  case DType::I64:
    return store(data(), i, value);
  case DType::I32:
    return store(data(), i, static_cast<int32_t>(value));
  case DType::I16:
    return store(data(), i, static_cast<int16_t>(value));
  case DType::I8:
  case DType::U8:
    return store(data(), i, static_cast<uint8_t>(value));
  case DType::Bool:
    return store(data(), i, static_cast<uint8_t>(value != 0));
  default:
    return setReal(i, static_cast<double>(value));
  }
}

/// Whether `value` is one of the values of an integer type.
static bool fits(DType target, int64_t value) {
  switch (target) {
  case DType::I32:
    return llvm::isInt<32>(value);
  case DType::I16:
    return llvm::isInt<16>(value);
  case DType::I8:
    return llvm::isInt<8>(value);
  case DType::U8:
    return llvm::isUInt<8>(value);
  case DType::Bool:
    return value == 0 || value == 1;
  default:
    return true;
  }
}

llvm::Expected<Array> Array::convertTo(DType target) const {
  if (target == type)
    return *this;
  Array result(target, dims);
  if (isReal(target)) {
    for (size_t i = 0; i < count; ++i)
      result.setReal(i, real(i));
    return result;
  }
  for (size_t i = 0; i < count; ++i) {
    // The comparison is false for NaN; 2^63 itself is out of range.
    double value = real(i);
    bool whole = !isReal(type) || (value >= -0x1p63 && value < 0x1p63 &&
                                   std::floor(value) == value);
    if (!whole || !fits(target, integer(i)))
      return llvm::createStringError(
          llvm::formatv("the value {0} at position {1} has no {2} equal to it",
                        value, i, dtypeName(target)));
    result.setInteger(i, integer(i));
  }
  return result;
}
