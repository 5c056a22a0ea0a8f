//===- Target.h - The processors that code is made for ----------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// `--arch` names become descriptions here, once. A description is put on the
// module as the attribute
//
//   rondo.target = {name = "x86-64-v4", vector_bits = 512 : i64,
//                   registers = 32 : i64, bf16 = false, clock_mhz = 3700 : i64,
//                   fma_units = 2 : i64, l1_kib = 32 : i64, l2_kib = 1024 : i64,
//                   bandwidth_mbs = 12000 : i64}
//
// and passes read only this attribute. A library holds one variant of its code
// per description; which one runs is chosen when the library is loaded.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_COMPILER_TARGET_TARGET_H
#define RONDO_COMPILER_TARGET_TARGET_H

#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <string>

namespace mlir {
class ModuleOp;
} // namespace mlir

namespace rondo {

struct TargetDescription {
  /// The `--arch` name, "x86-64-v4"; also the variant's name in the library.
  std::string name;
  /// What LLVM calls the processor and the features beyond it.
  std::string cpu, features;
  /// The processor whose instruction costs are assumed; empty: that of `cpu`.
  std::string tuneCPU;
  /// Width of the vectors to use, and how many vector registers there are.
  int64_t vectorBits = 0;
  int64_t registers = 0;
  /// RONDO_CPU_* of abi.h.
  int64_t level = 0;
  /// Has dot products and conversions of bf16 vectors.
  bool hasBF16 = false;
  /// What the cost model knows of the processor: typical values for its level,
  /// for "native" the host's own caches.
  int64_t clockMHz = 3000; // of vector code on all cores
  int64_t fmaUnits = 2;
  int64_t l1KiB = 32, l2KiB = 512;
  int64_t bandwidthMBs = 12000; // of one core

  /// `name` as part of a symbol: "x86_64_v4".
  std::string getSymbolSuffix() const;
};

/// The triple of every description.
llvm::StringRef getTargetTriple();

/// The names that `getTarget` knows, for help texts.
llvm::ArrayRef<llvm::StringRef> getTargetNames();

/// The description with this name. "native" is the best one that the host can
/// run, tuned for the host.
llvm::Expected<TargetDescription> getTarget(llvm::StringRef name);

/// The variants of a library, weakest first: those named by `archs`, separated
/// by commas, or x86-64-v3 and x86-64-v4 when it is empty.
llvm::Expected<llvm::SmallVector<TargetDescription, 2>>
getVariants(llvm::StringRef archs);

/// True if this machine can run code for the target.
bool hostSupports(const TargetDescription &target);

/// Sets `rondo.target` on the module.
void setTargetAttr(mlir::ModuleOp module, const TargetDescription &target);
/// Sets it to a data-centre GPU, for the choice of forms: multiprocessors,
/// clock, rate of matrix products, bandwidth and the cost of a launch.
void setDeviceTargetAttr(mlir::ModuleOp module);

} // namespace rondo

#endif // RONDO_COMPILER_TARGET_TARGET_H
