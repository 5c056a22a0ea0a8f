//===- Target.cpp - The processors that code is made for ------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/Target/Target.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinOps.h"
#include "rondo/abi.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/TargetParser/Host.h"
#include <unistd.h>

using namespace rondo;

namespace {

struct TargetRow {
  llvm::StringLiteral name, cpu, features;
  int64_t vectorBits, registers, level;
  bool hasBF16;
  int64_t clockMHz, fmaUnits, l2KiB;
  /// What the host must report, beyond the row before. These are the names of
  /// the features that set the level apart.
  llvm::StringLiteral required;
};

} // namespace

/// Weakest first; every row includes the ones before it.
static constexpr TargetRow targetRows[] = {
    {"x86-64-v2", "x86-64-v2", "", 128, 16, RONDO_CPU_X86_64_V2, false,
     3000, 1, 256,
     "cx16,sahf,popcnt,sse3,sse4.1,sse4.2,ssse3"},
    {"x86-64-v3", "x86-64-v3", "", 256, 16, RONDO_CPU_X86_64_V3, false,
     3000, 2, 512,
     "avx,avx2,bmi,bmi2,f16c,fma,lzcnt,movbe,xsave"},
    {"x86-64-v4", "x86-64-v4", "", 512, 32, RONDO_CPU_X86_64_V4, false,
     3700, 2, 1024,
     "avx512f,avx512bw,avx512cd,avx512dq,avx512vl"},
    {"x86-64-v4-bf16", "x86-64-v4", "+avx512bf16", 512, 32,
     RONDO_CPU_X86_64_V4_BF16, true, 3700, 2, 1024, "avx512bf16"},
};

static constexpr llvm::StringRef targetNames[] = {
    "native", "x86-64-v2", "x86-64-v3", "x86-64-v4", "x86-64-v4-bf16"};

static TargetDescription describe(const TargetRow &row) {
  TargetDescription target;
  target.name = row.name.str();
  target.cpu = row.cpu.str();
  target.features = row.features.str();
  target.vectorBits = row.vectorBits;
  target.registers = row.registers;
  target.level = row.level;
  target.hasBF16 = row.hasBF16;
  target.clockMHz = row.clockMHz;
  target.fmaUnits = row.fmaUnits;
  target.l2KiB = row.l2KiB;
  return target;
}

/// How many rows of the table the host supports.
static size_t countHostRows() {
  llvm::StringMap<bool> features = llvm::sys::getHostCPUFeatures();
  size_t count = 0;
  for (const TargetRow &row : targetRows) {
    llvm::SmallVector<llvm::StringRef, 16> required;
    row.required.split(required, ',');
    if (!llvm::all_of(required,
                      [&](llvm::StringRef f) { return features.lookup(f); }))
      break;
    ++count;
  }
  return count;
}

std::string TargetDescription::getSymbolSuffix() const {
  std::string suffix = name;
  for (char &c : suffix)
    if (!llvm::isAlnum(c))
      c = '_';
  return suffix;
}

llvm::StringRef rondo::getTargetTriple() { return "x86_64-unknown-linux-gnu"; }

llvm::ArrayRef<llvm::StringRef> rondo::getTargetNames() { return targetNames; }

llvm::Expected<TargetDescription> rondo::getTarget(llvm::StringRef name) {
  if (name == "native") {
    size_t count = countHostRows();
    if (count == 0)
      return llvm::createStringError(
          "--arch=native: this machine ('" + llvm::sys::getHostCPUName() +
          "') does not have the instructions of x86-64-v2, the least that "
          "code can be made for");
    TargetDescription target = describe(targetRows[count - 1]);
    target.tuneCPU = llvm::sys::getHostCPUName().str();
    if (long bytes = sysconf(_SC_LEVEL1_DCACHE_SIZE); bytes > 0)
      target.l1KiB = bytes / 1024;
    if (long bytes = sysconf(_SC_LEVEL2_CACHE_SIZE); bytes > 0)
      target.l2KiB = bytes / 1024;
    return target;
  }
  for (const TargetRow &row : targetRows)
    if (row.name == name)
      return describe(row);
  return llvm::createStringError("unknown --arch '" + name +
                                 "', expected one of " +
                                 llvm::join(getTargetNames(), ", "));
}

llvm::Expected<llvm::SmallVector<TargetDescription, 2>>
rondo::getVariants(llvm::StringRef archs) {
  if (archs.empty())
    archs = "x86-64-v3,x86-64-v4";
  llvm::SmallVector<llvm::StringRef> names;
  archs.split(names, ',');
  llvm::SmallVector<TargetDescription, 2> variants;
  for (llvm::StringRef name : names) {
    llvm::Expected<TargetDescription> target = getTarget(name.trim());
    if (!target)
      return target.takeError();
    // `native` may be the same as a name that is also given.
    if (llvm::none_of(variants, [&](const TargetDescription &other) {
          return other.name == target->name;
        }))
      variants.push_back(std::move(*target));
  }
  llvm::sort(variants,
             [](const TargetDescription &a, const TargetDescription &b) {
               return a.level < b.level;
             });
  return variants;
}

bool rondo::hostSupports(const TargetDescription &target) {
  size_t count = countHostRows();
  return count > 0 && target.level <= targetRows[count - 1].level;
}

void rondo::setTargetAttr(mlir::ModuleOp module,
                          const TargetDescription &target) {
  mlir::Builder b(module.getContext());
  auto number = [&](llvm::StringRef name, int64_t value) {
    return b.getNamedAttr(name, b.getI64IntegerAttr(value));
  };
  module->setAttr(
      "rondo.target",
      b.getDictionaryAttr(
          {b.getNamedAttr("bf16", b.getBoolAttr(target.hasBF16)),
           b.getNamedAttr("name", b.getStringAttr(target.name)),
           number("registers", target.registers),
           number("vector_bits", target.vectorBits),
           number("clock_mhz", target.clockMHz),
           number("fma_units", target.fmaUnits),
           number("l1_kib", target.l1KiB), number("l2_kib", target.l2KiB),
           number("bandwidth_mbs", target.bandwidthMBs)}));
}

void rondo::setDeviceTargetAttr(mlir::ModuleOp module) {
  mlir::Builder b(module.getContext());
  auto number = [&](llvm::StringRef name, int64_t value) {
    return b.getNamedAttr(name, b.getI64IntegerAttr(value));
  };
  module->setAttr("rondo.target",
                  b.getDictionaryAttr(
                      {b.getNamedAttr("name", b.getStringAttr("cuda")),
                       number("sms", 132), number("clock_mhz", 1700),
                       number("tensor_gflops", 400000),
                       number("bandwidth_mbs", 3000000),
                       number("launch_ns", 3000)}));
}
