//===- Capabilities.cpp - What a chip can do ------------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/GPU/Capabilities.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "passes/GPU/Passes.h"

namespace rondo::gpu {
#define GEN_PASS_DEF_VERIFYKERNELS
#include "passes/GPU/Passes.h.inc"
} // namespace rondo::gpu

using namespace mlir;
using namespace rondo::gpu;

/// Oldest first.
static constexpr Chip chips[] = {
    {"sm_80", 80, false, 80, 163 * 1024},  {"sm_86", 86, false, 80, 99 * 1024},
    {"sm_87", 87, false, 80, 163 * 1024},  {"sm_89", 89, false, 80, 99 * 1024},
    {"sm_90", 90, false, 80, 227 * 1024},  {"sm_90a", 90, true, 80, 227 * 1024},
    {"sm_100", 100, false, 86, 227 * 1024},
    {"sm_120", 120, false, 87, 99 * 1024},
};

llvm::ArrayRef<Chip> rondo::gpu::getChips() { return chips; }

const Chip *rondo::gpu::findChip(StringRef name) {
  for (const Chip &chip : chips)
    if (chip.name == name)
      return &chip;
  return nullptr;
}

std::string rondo::gpu::getFeatures(const Chip &chip) {
  return "+ptx" + std::to_string(chip.ptx);
}

const Chip &rondo::gpu::getChip(ModuleOp module) {
  if (auto name = module->getAttrOfType<StringAttr>("rondo.chip"))
    if (const Chip *chip = findChip(name.getValue()))
      return *chip;
  return chips[0];
}

namespace {

/// An op of the nvvm dialect that not every chip has.
struct Requirement {
  StringLiteral op;
  int number;  // least capability, times ten
  bool exact;  // needs the instructions of that architecture alone
};

constexpr Requirement requirements[] = {
    {"nvvm.stmatrix", 90, false},
    {"nvvm.cluster.arrive", 90, false},
    {"nvvm.cluster.arrive.relaxed", 90, false},
    {"nvvm.cluster.wait", 90, false},
    {"nvvm.mapa", 90, false},
    {"nvvm.mbarrier.arrive.expect_tx", 90, false},
    {"nvvm.mbarrier.try_wait.parity", 90, false},
    {"nvvm.cp.async.bulk.tensor.shared.cluster.global", 90, false},
    {"nvvm.cp.async.bulk.tensor.global.shared.cta", 90, false},
    {"nvvm.cp.async.bulk.shared.cluster.global", 90, false},
    {"nvvm.elect.sync", 90, false},
    {"nvvm.wgmma.fence.aligned", 90, true},
    {"nvvm.wgmma.commit.group.sync.aligned", 90, true},
    {"nvvm.wgmma.wait.group.sync.aligned", 90, true},
    {"nvvm.wgmma.mma_async", 90, true},
    {"nvvm.setmaxregister", 90, true},
};

/// Bytes of arguments, memrefs as descriptors.
int64_t getArgumentBytes(mlir::gpu::GPUFuncOp func) {
  int64_t bytes = 0;
  for (Type type : func.getArgumentTypes()) {
    auto memref = dyn_cast<MemRefType>(type);
    bytes += memref ? 8 * (3 + 2 * memref.getRank()) : 8;
  }
  return bytes;
}

int64_t getSharedBytes(mlir::gpu::GPUFuncOp func) {
  int64_t bytes = 0;
  for (BlockArgument buffer : func.getWorkgroupAttributions()) {
    auto type = cast<MemRefType>(buffer.getType());
    bytes += llvm::divideCeil(type.getElementTypeBitWidth(), 8) *
             type.getNumElements();
  }
  return bytes;
}

class VerifyKernels
    : public rondo::gpu::impl::VerifyKernelsBase<VerifyKernels> {
public:
  void runOnOperation() override {
    const Chip &chip = getChip(getOperation());
    bool ok = true;
    getOperation().walk([&](mlir::gpu::GPUFuncOp func) {
      ok &= succeeded(verify(func, chip));
    });
    if (!ok)
      return signalPassFailure();
    markAllAnalysesPreserved();
  }

private:
  static LogicalResult verify(mlir::gpu::GPUFuncOp func, const Chip &chip) {
    // PTX before 8.1 has 4 KiB.
    int64_t limit = chip.ptx >= 81 ? 32764 : 4096;
    if (int64_t bytes = getArgumentBytes(func); bytes > limit)
      return func.emitOpError()
             << "has " << bytes << " bytes of arguments, expected at most "
             << limit << " for " << chip.name << ": too many tensors";
    if (int64_t bytes = getSharedBytes(func); bytes > 48 * 1024)
      return func.emitOpError()
             << "has " << bytes << " bytes of static shared memory, expected "
             << "at most 49152";
    auto result = func.walk([&](Operation *op) {
      for (const Requirement &need : requirements) {
        if (op->getName().getStringRef() != need.op)
          continue;
        if (chip.number < need.number ||
            (need.exact && !(chip.exact && chip.number == need.number))) {
          op->emitOpError() << "needs sm_" << need.number
                            << (need.exact ? "a" : "") << ", and the code is "
                            << "for " << chip.name;
          return WalkResult::interrupt();
        }
      }
      return WalkResult::advance();
    });
    return failure(result.wasInterrupted());
  }
};

} // namespace
