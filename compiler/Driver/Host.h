//===- Host.h - Calling compiled kernels from the tools ---------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_COMPILER_DRIVER_HOST_H
#define RONDO_COMPILER_DRIVER_HOST_H

#include "compiler/Driver/Options.h"
#include "compiler/IO/Safetensors.h"
#include "rondo/runtime.h"
#include "llvm/ADT/SmallVector.h"

namespace rondo::driver {

using SizeValues = std::vector<std::pair<std::string, int64_t>>;

io::DType dtypeOf(rondo_dtype dtype);

/// An opened library and one of its kernels.
class HostKernel {
public:
  HostKernel() = default;
  HostKernel(HostKernel &&other);
  HostKernel &operator=(HostKernel &&other);
  ~HostKernel();

  /// `entry` is what the kernel computes: "forward", "backward" or "step".
  static llvm::Expected<HostKernel> open(llvm::StringRef path,
                                         llvm::StringRef kernel,
                                         llvm::StringRef entry);
  const rondo_kernel_info &info() const { return *kernel; }
  llvm::ArrayRef<rondo_tensor_info> tensors() const {
    return {kernel->tensors, static_cast<size_t>(kernel->num_tensors)};
  }

private:
  rondo_library *library = nullptr;
  const rondo_kernel_info *kernel = nullptr;
};

/// What a tool with these options runs: "forward", "backward".
inline const char *entryOf(const CompileOptions &options) {
  return options.onlyStep ? "step" : options.backward ? "backward" : "forward";
}

/// The kernel of a module in the rondo dialect that a tool with these options
/// runs; null, after reporting, unless there is exactly one.
KernelOp findKernel(Compiler &compiler, llvm::StringRef path);

/// Compiles the program `path` to a library in a temporary folder and opens
/// it. Nothing after reporting.
std::optional<HostKernel> compileAndOpen(llvm::StringRef path,
                                         CompileOptions options, bool timing);

/// Threads for calls; `threads` 0 means one per core.
class Workers {
public:
  explicit Workers(unsigned threads);
  ~Workers() { rondo_thread_pool_destroy(pool); }
  Workers(const Workers &) = delete;
  rondo_thread_pool *get() { return pool; }
  unsigned count() const { return workers; }

private:
  rondo_thread_pool *pool = nullptr;
  unsigned workers = 1;
};

class CudaDevice;

/// Where kernels run. On a device calls are queued on its stream.
struct Place {
  Workers *workers = nullptr;   // on the CPU
  CudaDevice *device = nullptr; // else
};

/// A call with all its memory: bound once, run any number of times.
class BoundCall {
public:
  /// Takes arguments and initial values by name, converted to the kernel's
  /// dtypes; makes room for all results and final values. `sizes` are taken as
  /// given where shapes don't tell them.
  static llvm::Expected<BoundCall> bind(const HostKernel &kernel,
                                        const io::TensorMap &given,
                                        const SizeValues &sizes);
  /// Moves arguments and makes room on a device, whose memory keeps them.
  llvm::Error moveTo(CudaDevice &device);
  /// On the device, returns before the kernel has run.
  llvm::Error run(const Place &place);
  /// Waits for a run on a device, and brings its results.
  llvm::Error finish(CudaDevice &device);

  llvm::ArrayRef<int64_t> getSizes() const { return sizes; }
  /// Results and final values by name; after `run`.
  io::TensorMap takeOutputs();
  /// Bytes of all inputs and outputs.
  uint64_t getBytes() const;

private:
  const rondo_kernel_info *kernel = nullptr;
  /// Per tensor of the table; absent ones are not `present`.
  std::vector<io::Array> arrays;
  std::vector<bool> present;
  std::vector<int64_t> sizes;
  /// On a device: the addresses of tensors, and of the workspace there.
  std::vector<void *> addresses;
  void *deviceWorkspace = nullptr;
  size_t deviceWorkspaceBytes = 0;
  /// Scratch, grown when a run needs more.
  std::vector<uint8_t, io::CacheLineAllocator<uint8_t>> workspace;
};

/// Fails unless the kernel's code is for this device ("cpu", "cuda").
llvm::Error checkDevice(const HostKernel &kernel, llvm::StringRef device);

/// Fails when `bytes` more can't fit this machine's memory.
llvm::Error checkMemory(uint64_t bytes, llvm::StringRef what);

} // namespace rondo::driver

#endif // RONDO_COMPILER_DRIVER_HOST_H
