//===- Array.h - Tensors in the memory of the tools -------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_COMPILER_IO_ARRAY_H
#define RONDO_COMPILER_IO_ARRAY_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <cstdint>
#include <new>
#include <optional>
#include <string>
#include <vector>

namespace rondo::io {

enum class DType { F64, F32, F16, BF16, I64, I32, I16, I8, U8, Bool };

/// As safetensors writes it: "F32", "BOOL".
llvm::StringRef dtypeName(DType dtype);
std::optional<DType> parseDType(llvm::StringRef name);
unsigned dtypeBytes(DType dtype);
bool isReal(DType dtype);

/// Memory aligned for vector loads.
template <typename T> struct CacheLineAllocator {
  using value_type = T;
  CacheLineAllocator() = default;
  template <typename U> CacheLineAllocator(const CacheLineAllocator<U> &) {}
  T *allocate(size_t n) {
    return static_cast<T *>(
        ::operator new(n * sizeof(T), std::align_val_t(64)));
  }
  void deallocate(T *pointer, size_t) {
    ::operator delete(pointer, std::align_val_t(64));
  }
  template <typename U> bool operator==(const CacheLineAllocator<U> &) const {
    return true;
  }
  template <typename U> bool operator!=(const CacheLineAllocator<U> &) const {
    return false;
  }
};

/// A packed row-major tensor that owns its elements.
class Array {
public:
  Array() = default;
  /// Zeros. The caller has checked the shape with `elementCount`.
  Array(DType dtype, llvm::ArrayRef<int64_t> shape);

  DType dtype() const { return type; }
  llvm::ArrayRef<int64_t> shape() const { return dims; }
  size_t size() const { return count; }
  uint8_t *data() { return bytes.data(); }
  const uint8_t *data() const { return bytes.data(); }
  size_t sizeInBytes() const { return bytes.size(); }

  double real(size_t i) const;
  int64_t integer(size_t i) const;
  /// Rounds to nearest even in real types; the value must fit integer ones.
  void setReal(size_t i, double value);
  void setInteger(size_t i, int64_t value);

  /// The same values in another type. Real to real rounds to nearest, ties to
  /// even; to an integer type every value must be exactly representable.
  llvm::Expected<Array> convertTo(DType target) const;

private:
  DType type = DType::F32;
  std::vector<int64_t> dims;
  size_t count = 0;
  std::vector<uint8_t, CacheLineAllocator<uint8_t>> bytes;
};

/// Product of the dims; nothing if one is negative or the size in bytes of any
/// element type does not fit 63 bits.
std::optional<size_t> elementCount(llvm::ArrayRef<int64_t> shape);

/// "[2, 150, 3]", for messages.
std::string formatShape(llvm::ArrayRef<int64_t> shape);

/// Bit patterns of the narrow types.
uint16_t toBF16(double value);
uint16_t toF16(double value);
double fromBF16(uint16_t bits);
double fromF16(uint16_t bits);

} // namespace rondo::io

#endif // RONDO_COMPILER_IO_ARRAY_H
