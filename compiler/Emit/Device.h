//===- Device.h - From NVVM to PTX and cubins -------------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// PTX is made in the process, by LLVM, and always becomes part of a library:
// the driver compiles it when there is nothing better. Where NVIDIA's assembler
// is found (in PATH, or in bin/ of CUDA_HOME, CUDA_ROOT, CUDA_PATH or
// /usr/local/cuda), it makes a cubin for every chip beside it, as a process of
// its own that is ended when it takes too long.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_COMPILER_EMIT_DEVICE_H
#define RONDO_COMPILER_EMIT_DEVICE_H

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/Error.h"
#include <optional>
#include <string>

namespace rondo {

/// A module whose gpu.module ops are in the NVVM dialect, for one chip.
struct DeviceVariant {
  std::string chip, features; // "sm_90a", "+ptx80"
  int capability = 0;         // 90
  bool exact = false;         // runs on this capability only
  mlir::ModuleOp module;
};

/// As in rondo_device_image of abi.h.
struct DeviceImage {
  std::string name;
  bool isPTX = false;
  int capability = 0;
  bool exact = false;
  std::string data;
};

struct DeviceCode {
  llvm::SmallVector<DeviceImage> images;
  llvm::SmallVector<std::string> kernels; // in the order of the launches
};

/// The code of a variant's kernels as PTX, or as LLVM IR.
llvm::Expected<std::string> emitPTX(const DeviceVariant &variant,
                                    bool asLLVM = false);

/// The path of ptxas, if there is one.
std::optional<std::string> findAssembler();

/// Everything that a library carries for these variants.
llvm::Expected<DeviceCode>
emitDeviceCode(llvm::ArrayRef<DeviceVariant> variants,
               llvm::ArrayRef<std::string> kernels);

} // namespace rondo

#endif // RONDO_COMPILER_EMIT_DEVICE_H
