//===- Bench.cpp - The command that times kernels -------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/Driver/Cuda.h"
#include "compiler/Driver/Driver.h"
#include "compiler/Driver/Inputs.h"
#include "compiler/Driver/Timing.h"
#include "compiler/Driver/Usage.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"
#include <random>

using namespace rondo;
using namespace rondo::driver;
namespace cl = llvm::cl;
using llvm::StringRef;

namespace {

constexpr const char *overview = R"(Time a kernel

  rondo-bench gla.rondo --dims B=4,T=2048,H=16,K=64,V=64
  rondo-bench libgla.so --dims B=4,T=2048,H=16,K=64,V=64 --json

Every size needs a value in --dims; sizes named by --bind are fixed when a
program is compiled, the others are run-time arguments. Arguments are random
(decays negative, indices in range, and so on) unless --in holds them.

GB/s counts inputs and outputs once; GFLOP/s counts every operation on reals
that the equations write as 1, and is given for programs only.

Exit codes: 0 done; 2 the kernel could not be run.
)";

struct BenchOptions {
  BenchOptions();
  cl::OptionCategory category;
  cl::opt<std::string> file;
  cl::list<std::string> in, bind;
  cl::opt<std::string> device;
  cl::opt<unsigned> threads, runs;
  cl::opt<double> seconds;
  cl::opt<unsigned> seed;
  cl::opt<bool> json;
};

BenchOptions::BenchOptions()
    : category("Timing"),
      file(cl::Positional, cl::desc("FILE"), cl::cat(category)),
      in("in", cl::value_desc("file"), cl::cat(category), cl::CommaSeparated,
         cl::desc("Take the arguments that this file holds from it")),
      bind("bind", cl::value_desc("K,V"), cl::cat(category), cl::CommaSeparated,
           cl::desc("Sizes to fix when the program is compiled")),
      device("device", cl::value_desc("cpu"), cl::init("cpu"),
             cl::cat(category),
             cl::desc("Where to run: cpu, cuda (default: cpu)")),
      threads("threads", cl::value_desc("n"), cl::init(0), cl::cat(category),
              cl::desc("Threads to use (default: one per core)")),
      runs("runs", cl::value_desc("n"), cl::init(10), cl::cat(category),
           cl::desc("Take at least this many times (default: 10)")),
      seconds("seconds", cl::value_desc("s"), cl::init(0.5), cl::cat(category),
              cl::desc("Go on for at least this long (default: 0.5)")),
      seed("seed", cl::value_desc("n"), cl::init(1), cl::cat(category),
           cl::desc("Seed of the random arguments (default: 1)")),
      json("json", cl::cat(category), cl::desc("Print one JSON object")) {}

/// The program in the rondo dialect, when there is one.
struct Program {
  std::unique_ptr<Compiler> compiler;
  KernelOp kernel;
};

/// Loads the program up to the rondo dialect; nothing after reporting.
std::optional<Program> loadProgram(StringRef path, CompileOptions options) {
  Program program;
  options.dumpAfter.clear();
  program.compiler =
      std::make_unique<Compiler>(std::move(options), llvm::errs());
  if (program.compiler->open(path) != Failure::None ||
      program.compiler->run(Phase::Rondo) != Failure::None)
    return std::nullopt;
  program.kernel = findKernel(*program.compiler, path);
  if (!program.kernel)
    return std::nullopt;
  return program;
}

/// Values for all sizes in the kernel's order.
llvm::Expected<std::vector<int64_t>> orderSizes(const HostKernel &kernel,
                                                const SizeValues &given) {
  std::vector<int64_t> sizes;
  std::string missing;
  const rondo_kernel_info &info = kernel.info();
  for (int32_t i = 0; i < info.num_sizes; ++i) {
    const rondo_size_info &size = info.sizes[i];
    auto entry = llvm::find_if(
        given, [&](const auto &dim) { return dim.first == size.name; });
    sizes.push_back(entry == given.end() ? size.bound : entry->second);
    if (sizes.back() < 0)
      missing += (missing.empty() ? "" : ", ") + std::string(size.name);
  }
  if (!missing.empty())
    return llvm::createStringError("--dims has no value for " + missing +
                                   "; every size of kernel `" +
                                   StringRef(info.name) + "` needs one");
  for (const auto &dim : given)
    if (rondo_kernel_size(&info, dim.first.c_str()) < 0)
      return llvm::createStringError("--dims: kernel `" + StringRef(info.name) +
                                     "` has no size `" + dim.first + "`");
  return sizes;
}

void fill(io::Array &array, Suitable suitable, std::mt19937_64 &random) {
  std::normal_distribution<double> normal;
  std::uniform_real_distribution<double> uniform;
  for (size_t i = 0; i < array.size(); ++i) {
    switch (suitable.kind) {
    case Suitable::Normal:
      array.setReal(i, normal(random) * suitable.scale);
      break;
    case Suitable::Negative:
      array.setReal(i, -std::fabs(normal(random)) * suitable.scale);
      break;
    case Suitable::Positive:
      array.setReal(i, std::fabs(normal(random)) * suitable.scale + 0.01);
      break;
    case Suitable::Unit:
      array.setReal(i, uniform(random) * suitable.scale);
      break;
    case Suitable::Index:
      array.setInteger(i,
                       static_cast<int64_t>(uniform(random) * suitable.scale));
      break;
    }
  }
}

/// Draws the arguments that no file gave. Integers that select nothing are
/// small counts: 64 for scalars, else 0 or 1.
llvm::Error drawArguments(const HostKernel &kernel, KernelOp program,
                          llvm::ArrayRef<int64_t> sizes, unsigned seed,
                          io::TensorMap &inputs) {
  std::mt19937_64 random(seed);
  uint64_t total = 0;
  for (auto [i, tensor] : llvm::enumerate(kernel.tensors())) {
    if (tensor.role != RONDO_ROLE_ARGUMENT || inputs.count(tensor.name))
      continue;
    std::vector<int64_t> shape(tensor.rank);
    char error[512] = "";
    if (rondo_kernel_shape(&kernel.info(), i, sizes.data(), shape.data(), error,
                           sizeof(error)) != RONDO_OK)
      return llvm::createStringError(error);
    std::optional<size_t> count = io::elementCount(shape);
    if (!count)
      return llvm::createStringError(
          "argument `" + StringRef(tensor.name) +
          "` is too large: " + io::formatShape(shape));
    total += *count * rondo_dtype_bytes(tensor.dtype);
    if (llvm::Error failure = checkMemory(total, "the memory of the arguments"))
      return failure;
    io::Array array(dtypeOf(tensor.dtype), shape);
    Suitable suitable =
        program ? suitByUse(program, i, sizes) : suitByName(tensor.name);
    if (!io::isReal(array.dtype()) && suitable.kind != Suitable::Index)
      suitable = {Suitable::Index, 2};
    fill(array, suitable, random);
    if (array.dtype() != io::DType::Bool && !io::isReal(array.dtype()) &&
        suitable.scale == 2 && shape.empty())
      array.setInteger(0, 64);
    inputs.emplace(tensor.name, std::move(array));
  }
  return llvm::Error::success();
}

struct Report {
  std::string kernel;
  unsigned threads; // 0: on a device
  Times times;
  double bytes, operations, copyBandwidth;

  double bandwidth() const { return bytes / times.median; }
  void print(llvm::raw_ostream &os) const;
  void printJSON(llvm::raw_ostream &os) const;
};

void Report::print(llvm::raw_ostream &os) const {
  os << "kernel          " << kernel << ", ";
  if (threads)
    os << threads << (threads == 1 ? " thread\n" : " threads\n");
  else
    os << "cuda\n";
  os
     << llvm::format("time per call   %.4g ms median of %zu runs, 10 %% below "
                     "%.4g ms, 10 %% above %.4g ms\n",
                     times.median * 1e3, times.runs, times.low * 1e3,
                     times.high * 1e3)
     << llvm::format("memory          %.4g GB/s (%.4g MB in and out), %.1f %% "
                     "of the copy bandwidth of %.4g GB/s\n",
                     bandwidth() / 1e9, bytes / 1e6,
                     100 * bandwidth() / copyBandwidth, copyBandwidth / 1e9);
  if (operations > 0)
    os << llvm::format("arithmetic      %.4g GFLOP/s (%.4g MFLOP)\n",
                       operations / times.median / 1e9, operations / 1e6);
}

void Report::printJSON(llvm::raw_ostream &os) const {
  llvm::json::Object object{{"kernel", kernel},
                            {"device", threads ? "cpu" : "cuda"},
                            {"threads", threads},
                            {"runs", times.runs},
                            {"seconds_median", times.median},
                            {"seconds_p10", times.low},
                            {"seconds_p90", times.high},
                            {"seconds_min", times.least},
                            {"bytes", bytes},
                            {"bytes_per_second", bandwidth()},
                            {"copy_bytes_per_second", copyBandwidth},
                            {"fraction_of_copy", bandwidth() / copyBandwidth}};
  if (operations > 0) {
    object["flop"] = operations;
    object["flop_per_second"] = operations / times.median;
  }
  os << llvm::json::Value(std::move(object)) << "\n";
}

/// The values of the command line; the linker resets the options themselves.
struct Plan {
  std::string file, device;
  std::vector<std::string> in, bind;
  unsigned threads, runs, seed;
  double seconds;
  bool json, timing;
};

llvm::Error timeOnHost(BoundCall &call, const Plan &plan, Report &report) {
  Workers workers(plan.threads);
  Place place{&workers, nullptr};
  if (llvm::Error error = call.run(place))
    return error;
  report.threads = workers.count();
  report.times = measure(plan.runs, plan.seconds, [&] {
    llvm::cantFail(call.run(place), "the same call succeeded before");
  });
  report.copyBandwidth = measureCopyBandwidth(workers);
  return llvm::Error::success();
}

llvm::Error timeOnDevice(BoundCall &call, const Plan &plan, Report &report) {
  auto device = CudaDevice::open();
  if (!device)
    return device.takeError();
  if (llvm::Error error = call.moveTo(**device))
    return error;
  Place place{nullptr, device->get()};
  auto times = (*device)->measure(plan.runs, plan.seconds,
                                  [&] { return call.run(place); });
  if (!times)
    return times.takeError();
  auto bandwidth = (*device)->measureCopyBandwidth();
  if (!bandwidth)
    return bandwidth.takeError();
  report.threads = 0;
  report.times = *times;
  report.copyBandwidth = *bandwidth;
  return llvm::Error::success();
}

int bench(const Plan &plan, CompileOptions options) {
  SizeValues given = options.dims;
  llvm::erase_if(options.dims, [&](const auto &dim) {
    return !llvm::is_contained(plan.bind, dim.first);
  });
  for (const std::string &name : plan.bind)
    if (llvm::none_of(given, [&](auto &dim) { return dim.first == name; }))
      return usageError("--bind: --dims has no value for `" + name + "`");

  HostKernel kernel;
  Program program;
  if (isLibrary(plan.file)) {
    auto opened = HostKernel::open(plan.file, options.kernel, entryOf(options));
    if (!opened)
      return usageError(opened.takeError());
    kernel = std::move(*opened);
  } else {
    auto loaded = loadProgram(plan.file, options);
    if (!loaded)
      return ExitUsage;
    program = std::move(*loaded);
    auto compiled = compileAndOpen(plan.file, options, plan.timing);
    if (!compiled)
      return ExitUsage;
    kernel = std::move(*compiled);
  }
  if (llvm::Error error = checkDevice(kernel, plan.device))
    return usageError(std::move(error));
  auto sizes = orderSizes(kernel, given);
  if (!sizes)
    return usageError(sizes.takeError());
  auto inputs = readInputs(plan.in);
  if (!inputs)
    return usageError(inputs.takeError());
  if (llvm::Error error =
          drawArguments(kernel, program.kernel, *sizes, plan.seed, *inputs))
    return usageError(std::move(error));
  auto call = BoundCall::bind(kernel, *inputs, given);
  if (!call)
    return usageError(call.takeError());
  inputs->clear();

  Report report;
  report.kernel = kernel.info().name;
  if (llvm::Error error = plan.device == "cuda"
                              ? timeOnDevice(*call, plan, report)
                              : timeOnHost(*call, plan, report))
    return usageError(std::move(error));
  report.bytes = call->getBytes();
  report.operations =
      program.kernel ? countOperations(program.kernel, *sizes) : 0;
  plan.json ? report.printJSON(llvm::outs()) : report.print(llvm::outs());
  return ExitSuccess;
}

} // namespace

int driver::rondoBenchMain(int argc, char **argv) {
  startCommandLine();
  BenchOptions options;
  CompileFlags flags;
  if (!parseCommandLine(argc, argv, overview,
                        {&options.category, &flags.getCategory()}))
    return ExitUsage;
  if (options.file.empty())
    return usageError("no kernel to time; try `rondo-bench --help`");
  if (!checkDeviceOption(options.device))
    return ExitUsage;
  if (isLibrary(options.file) && !flags.firstProgramOption().empty())
    return usageError("--" + flags.firstProgramOption() +
                      " is for compiling, and " + options.file +
                      " is compiled already");
  std::optional<CompileOptions> compile = flags.get(options.device);
  if (!compile)
    return ExitUsage;
  Plan plan{options.file, options.device,  options.in,   options.bind,
            options.threads, options.runs, options.seed, options.seconds,
            options.json, flags.wantsTiming()};
  return bench(plan, std::move(*compile));
}
