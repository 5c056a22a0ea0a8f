//===- Target.h - What the CPU code generator knows of the CPU --*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The driver describes the target once, in the module's attribute
//   rondo.target = {name = "x86-64-v4", vector_bits = 512 : i64,
//                   registers = 32 : i64, ...}
// and the passes read nothing else. Without the attribute the target is the
// oldest x86-64.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_CPU_TARGET_H
#define RONDO_PASSES_CPU_TARGET_H

#include "mlir/IR/Operation.h"
#include <string>

namespace rondo::cpu {

/// An x86-64 level, perhaps with a suffix: "x86-64-v4-bf16" is "x86-64-v4" with
/// AVX512-BF16.
struct Target {
  std::string name = "x86-64";
  int64_t vectorBits = 128;
  int64_t registers = 16;

  /// Level of the x86-64 ABI: 1 to 4.
  int level() const;
  bool hasFMA() const { return level() >= 3; }
  /// Conversions between f16 and f32 (F16C).
  bool hasF16() const { return level() >= 3; }
  bool hasAVX512() const { return level() >= 4; }
  /// Rounding of f32 to bf16 (AVX512-BF16).
  bool hasBF16 = false;
  /// Loads and stores of part of a vector cost about as much as whole ones.
  bool hasCheapMasks() const { return vectorBits >= 512; }
};

/// Reads the attribute of the module around `op`.
Target getTarget(mlir::Operation *op);

} // namespace rondo::cpu

#endif // RONDO_PASSES_CPU_TARGET_H
