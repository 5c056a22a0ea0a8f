//===- Host.cpp - Calling compiled kernels from the tools -----------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/Driver/Host.h"
#include "compiler/Driver/Cuda.h"
#include "compiler/Driver/Driver.h"
#include "compiler/Driver/TemporaryFolder.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include <unistd.h>

using namespace rondo;
using namespace rondo::driver;
using llvm::StringRef;

/// Room for the sentences of the runtime.
constexpr size_t errorBytes = 1024;

io::DType driver::dtypeOf(rondo_dtype dtype) {
  switch (dtype) {
  case RONDO_F16:
    return io::DType::F16;
  case RONDO_BF16:
    return io::DType::BF16;
  case RONDO_F64:
    return io::DType::F64;
  case RONDO_I32:
    return io::DType::I32;
  case RONDO_I64:
    return io::DType::I64;
  case RONDO_BOOL:
    return io::DType::Bool;
  default:
    return io::DType::F32;
  }
}

llvm::Error driver::checkMemory(uint64_t bytes, StringRef what) {
  uint64_t pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  if (bytes <= pages * page)
    return llvm::Error::success();
  return llvm::createStringError(
      llvm::formatv("{0} takes {1:F1} GB; this machine has {2:F1} GB", what,
                    bytes / 1e9, pages * page / 1e9));
}

//===----------------------------------------------------------------------===//
// Libraries
//===----------------------------------------------------------------------===//

HostKernel::HostKernel(HostKernel &&other)
    : library(std::exchange(other.library, nullptr)),
      kernel(std::exchange(other.kernel, nullptr)) {}

HostKernel &HostKernel::operator=(HostKernel &&other) {
  std::swap(library, other.library);
  std::swap(kernel, other.kernel);
  return *this;
}

HostKernel::~HostKernel() { rondo_library_close(library); }

llvm::Expected<HostKernel> HostKernel::open(StringRef path, StringRef kernel,
                                            StringRef entry) {
  HostKernel host;
  char error[errorBytes] = "";
  if (rondo_library_open(path.str().c_str(), &host.library, error,
                         sizeof(error)) != RONDO_OK)
    return llvm::createStringError(error);
  std::string name = kernel.str(), wanted = entry.str();
  if (rondo_library_find(host.library, kernel.empty() ? nullptr : name.c_str(),
                         wanted.c_str(), &host.kernel, error,
                         sizeof(error)) != RONDO_OK)
    return llvm::createStringError(error);
  return host;
}

std::optional<HostKernel>
driver::compileAndOpen(StringRef path, CompileOptions options, bool timing) {
  TemporaryFolder folder;
  if (!folder.create()) {
    usageError("no temporary folder can be made");
    return std::nullopt;
  }
  std::string library = folder.file("libkernel.so");
  // The library is for this machine only.
  if (options.archs.empty() && options.target == TargetKind::CPU)
    options.archs = "native";
  std::string kernel = options.kernel, entry = entryOf(options);
  mlir::DefaultTimingManager timings;
  timings.setEnabled(timing);
  Compiler compiler(std::move(options), llvm::errs(), timings.getRootScope());
  if (compiler.open(path) != Failure::None ||
      compiler.run(Phase::LLVM) != Failure::None ||
      emitLibraryFile(compiler, library) != Failure::None)
    return std::nullopt;
  llvm::Expected<HostKernel> host = HostKernel::open(library, kernel, entry);
  if (!host) {
    usageError(host.takeError());
    return std::nullopt;
  }
  return std::move(*host);
}

KernelOp driver::findKernel(Compiler &compiler, StringRef path) {
  KernelOp found;
  std::string names;
  for (KernelOp kernel : compiler.getModule().getOps<KernelOp>()) {
    auto entry = kernel->getAttrOfType<mlir::StringAttr>("entry");
    if ((entry ? entry.getValue() : "forward") !=
        StringRef(entryOf(compiler.getOptions())))
      continue;
    auto forward = kernel->getAttrOfType<mlir::StringAttr>("kernel");
    StringRef name = forward ? forward.getValue() : kernel.getSymName();
    names += (found ? ", " : "") + name.str();
    found = kernel;
  }
  if (StringRef(names).contains(',')) {
    usageError(path + " holds several kernels: " + names +
               "; choose one with --kernel");
    return {};
  }
  return found;
}

Workers::Workers(unsigned threads) {
  workers = threads ? threads : coreCount();
  if (workers > 1 && rondo_thread_pool_create(workers, &pool) != RONDO_OK)
    workers = 1; // a call then runs on this thread
}

//===----------------------------------------------------------------------===//
// Calls
//===----------------------------------------------------------------------===//

static bool isInput(const rondo_tensor_info &tensor) {
  return tensor.role == RONDO_ROLE_ARGUMENT ||
         tensor.role == RONDO_ROLE_INITIAL;
}

/// "`q` [B, T, H, K] f32"
static std::string describeTensor(const rondo_tensor_info &tensor) {
  return llvm::formatv("`{0}` {1} {2}", tensor.name, tensor.shape_text,
                       rondo_dtype_name(tensor.dtype));
}

/// Says which arguments are missing, and what there is instead.
static llvm::Error missingArguments(const rondo_kernel_info &kernel,
                                    llvm::ArrayRef<std::string> missing,
                                    const io::TensorMap &given) {
  std::string names;
  for (const auto &entry : given)
    names += (names.empty() ? "" : ", ") + entry.first;
  return llvm::createStringError(
      "kernel `" + StringRef(kernel.name) + "` needs " +
      llvm::join(missing, " and ") + ", which no input file holds\n  " +
      (given.empty() ? std::string("no input file was given; use --in FILE")
                     : "the input holds " + names));
}

static DLTensor view(io::Array &array, rondo_dtype dtype) {
  DLTensor tensor = {};
  tensor.data = array.data();
  tensor.device.device_type = kDLCPU;
  tensor.ndim = array.shape().size();
  tensor.dtype = rondo_dtype_dlpack(dtype);
  tensor.shape = const_cast<int64_t *>(array.shape().data());
  return tensor;
}

llvm::Expected<BoundCall> BoundCall::bind(const HostKernel &host,
                                          const io::TensorMap &given,
                                          const SizeValues &values) {
  BoundCall call;
  call.kernel = &host.info();
  const rondo_kernel_info &kernel = host.info();
  call.arrays.resize(kernel.num_tensors);
  call.present.resize(kernel.num_tensors);
  std::vector<std::string> missing;
  for (auto [i, tensor] : llvm::enumerate(host.tensors())) {
    if (!isInput(tensor))
      continue;
    auto entry = given.find(StringRef(tensor.name));
    if (entry == given.end()) {
      if (!(tensor.flags & RONDO_TENSOR_OPTIONAL))
        missing.push_back(describeTensor(tensor));
      continue;
    }
    auto array = entry->second.convertTo(dtypeOf(tensor.dtype));
    if (!array)
      return llvm::createStringError("argument " + describeTensor(tensor) +
                                     ": " + llvm::toString(array.takeError()));
    if (static_cast<int32_t>(array->shape().size()) != tensor.rank)
      return llvm::createStringError("argument " + describeTensor(tensor) +
                                     ": expected " + llvm::Twine(tensor.rank) +
                                     " dims, found the shape " +
                                     io::formatShape(array->shape()));
    call.arrays[i] = std::move(*array);
    call.present[i] = true;
  }
  if (!missing.empty())
    return missingArguments(kernel, missing, given);

  // Sizes from the inputs, then room for the outputs.
  call.sizes.assign(kernel.num_sizes, -1);
  for (const auto &[name, value] : values) {
    int32_t size = rondo_kernel_size(&kernel, name.c_str());
    if (size < 0)
      return llvm::createStringError("--dims: kernel `" +
                                     StringRef(kernel.name) +
                                     "` has no size `" + name + "`");
    call.sizes[size] = value;
  }
  std::vector<DLTensor> views(kernel.num_tensors);
  std::vector<DLTensor *> pointers(kernel.num_tensors);
  for (int32_t i = 0; i < kernel.num_tensors; ++i) {
    views[i] = view(call.arrays[i], kernel.tensors[i].dtype);
    pointers[i] = call.present[i] ? &views[i] : nullptr;
  }
  char error[errorBytes] = "";
  if (rondo_kernel_infer_sizes(&kernel, pointers.data(), kernel.num_tensors,
                               call.sizes.data(), error,
                               sizeof(error)) != RONDO_OK)
    return llvm::createStringError(error);
  uint64_t total = 0;
  for (auto [i, tensor] : llvm::enumerate(host.tensors())) {
    if (isInput(tensor))
      continue;
    std::vector<int64_t> shape(tensor.rank);
    if (rondo_kernel_shape(&kernel, i, call.sizes.data(), shape.data(), error,
                           sizeof(error)) != RONDO_OK)
      return llvm::createStringError(error);
    std::optional<size_t> count = io::elementCount(shape);
    total += count.value_or(0) * rondo_dtype_bytes(tensor.dtype);
    if (!count)
      return llvm::createStringError(
          "result " + describeTensor(tensor) +
          " is too large: " + io::formatShape(shape));
    if (llvm::Error error = checkMemory(total, "the memory of the results"))
      return error;
    call.arrays[i] = io::Array(dtypeOf(tensor.dtype), shape);
    call.present[i] = true;
  }
  return call;
}

llvm::Error driver::checkDevice(const HostKernel &kernel, StringRef device) {
  StringRef target = kernel.info().target;
  if (target == device)
    return llvm::Error::success();
  return llvm::createStringError("kernel `" + StringRef(kernel.info().name) +
                                 "` is code for " + target +
                                 "; use --device=" + target);
}

/// Values stay on the host.
static bool isOnDevice(const rondo_tensor_info &tensor) {
  return tensor.role != RONDO_ROLE_ARGUMENT || tensor.rank > 0;
}

llvm::Error BoundCall::moveTo(CudaDevice &device) {
  addresses.assign(arrays.size(), nullptr);
  for (size_t i = 0; i < arrays.size(); ++i) {
    const rondo_tensor_info &tensor = kernel->tensors[i];
    if (!present[i] || !isOnDevice(tensor))
      continue;
    size_t bytes = arrays[i].sizeInBytes();
    auto address = device.allocate(bytes);
    if (!address)
      return address.takeError();
    addresses[i] = *address;
    // What a kernel leaves unwritten is seen.
    if (llvm::Error error =
            isInput(tensor) ? device.copyIn(*address, arrays[i].data(), bytes)
                            : device.fill(*address, 0xA5, bytes))
      return error;
  }
  return llvm::Error::success();
}

llvm::Error BoundCall::finish(CudaDevice &device) {
  char error[errorBytes] = "";
  rondo_context context;
  rondo_context_init(&context);
  rondo_context_use_error(&context, error, sizeof(error));
  context.cuda_stream = device.getStream();
  if (kernel->check && kernel->check(deviceWorkspace, &context) != RONDO_OK)
    return llvm::createStringError(error);
  for (size_t i = 0; i < arrays.size(); ++i)
    if (!isInput(kernel->tensors[i]))
      if (llvm::Error failure = device.copyOut(arrays[i].data(), addresses[i],
                                               arrays[i].sizeInBytes()))
        return failure;
  return llvm::Error::success();
}

llvm::Error BoundCall::run(const Place &place) {
  std::vector<DLTensor> views(arrays.size());
  std::vector<DLTensor *> pointers(arrays.size());
  for (size_t i = 0; i < arrays.size(); ++i) {
    views[i] = view(arrays[i], kernel->tensors[i].dtype);
    if (place.device && isOnDevice(kernel->tensors[i])) {
      views[i].data = addresses[i];
      views[i].device.device_type = kDLCUDA;
    }
    pointers[i] = present[i] ? &views[i] : nullptr;
  }
  char error[errorBytes] = "";
  rondo_context context;
  rondo_context_init(&context);
  rondo_context_use_error(&context, error, sizeof(error));
  if (place.device)
    context.cuda_stream = place.device->getStream();
  else if (place.workers->get())
    rondo_context_use_pool(&context, place.workers->get());
  size_t bytes = 0;
  if (kernel->call_workspace_size(pointers.data(), pointers.size(), &context,
                                  &bytes) != RONDO_OK)
    return llvm::createStringError(error);
  void *scratch = nullptr;
  if (place.device) {
    if (deviceWorkspaceBytes < bytes) {
      auto address = place.device->allocate(bytes);
      if (!address)
        return address.takeError();
      deviceWorkspace = *address;
      deviceWorkspaceBytes = bytes;
    }
    scratch = deviceWorkspace;
  } else {
    if (llvm::Error failure = checkMemory(bytes, "the workspace"))
      return failure;
    if (workspace.size() < bytes)
      workspace.resize(bytes);
    scratch = workspace.data();
  }
  if (kernel->call(pointers.data(), pointers.size(), scratch, bytes,
                   &context) != RONDO_OK)
    return llvm::createStringError(error);
  return llvm::Error::success();
}

io::TensorMap BoundCall::takeOutputs() {
  io::TensorMap outputs;
  for (int32_t i = 0; i < kernel->num_tensors; ++i)
    if (!isInput(kernel->tensors[i]))
      outputs.emplace(kernel->tensors[i].name, std::move(arrays[i]));
  return outputs;
}

uint64_t BoundCall::getBytes() const {
  uint64_t bytes = 0;
  for (const io::Array &array : arrays)
    bytes += array.sizeInBytes();
  return bytes;
}
