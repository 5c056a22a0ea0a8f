//===- Run.cpp - The command that runs kernels ----------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/Driver/Compare.h"
#include "compiler/Driver/Cuda.h"
#include "compiler/Driver/Driver.h"
#include "compiler/Driver/Host.h"
#include "compiler/Driver/Inputs.h"
#include "compiler/Driver/Interpret.h"
#include "compiler/Driver/Steps.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"
#include <cmath>

using namespace rondo;
using namespace rondo::driver;
namespace cl = llvm::cl;
using llvm::StringRef;

namespace {

constexpr const char *overview =
    R"(Run a kernel on tensors from safetensors files

  rondo-run gla.rondo --in x.safetensors --out y.safetensors
  rondo-run libgla.so --in x.safetensors --check expected.safetensors
  rondo-run gla.rondo --in x.safetensors --check x.safetensors --reference

FILE is a compiled library, a program (.rondo, `-` for standard input) or IR in
the rondo dialect (.mlir); the last two are compiled first, with the options
below. Arguments are taken by name from the input files, scalars from tensors
without dims, `<state>.initial` when it is there; they are converted to the
kernel's dtypes.

Exit codes: 0 done, and every compared result is within the tolerance; 1 a
result is not; 2 the kernel could not be run.
)";

struct RunOptions {
  RunOptions();
  cl::OptionCategory category;
  cl::opt<std::string> file;
  cl::list<std::string> in;
  cl::opt<std::string> out, check;
  cl::opt<double> tolerance;
  cl::opt<bool> reference, step;
  cl::opt<std::string> device;
  cl::opt<unsigned> threads;
};

RunOptions::RunOptions()
    : category("Running"),
      file(cl::Positional, cl::desc("FILE"), cl::cat(category)),
      in("in", cl::value_desc("file"), cl::cat(category), cl::CommaSeparated,
         cl::desc("Take arguments from this file; may be given several times")),
      out("out", cl::value_desc("file"), cl::cat(category),
          cl::desc("Write results and final states")),
      check("check", cl::value_desc("file"), cl::cat(category),
            cl::desc("Compare with the results in this file, by name")),
      tolerance("tolerance", cl::value_desc("error"), cl::init(1e-4),
                cl::cat(category),
                cl::desc("Largest relative RMS error that --check accepts "
                         "(default: 1e-4)")),
      reference("reference", cl::cat(category),
                cl::desc("Interpret the program in f64 instead of compiling "
                         "it; with --dtype, inputs are first rounded to it")),
      step("step", cl::cat(category),
           cl::desc("Feed one time step after the other to the kernel's step "
                    "(of a library that was compiled with --step)")),
      device("device", cl::value_desc("cpu"), cl::init("cpu"),
             cl::cat(category),
             cl::desc("Where to run: cpu, cuda (default: cpu)")),
      threads("threads", cl::value_desc("n"), cl::init(0), cl::cat(category),
              cl::desc("Threads to use (default: one per core)")) {}

/// Refuses what can't be done; true if the options make sense.
bool checkOptions(const RunOptions &options, const CompileFlags &flags,
                  bool library) {
  if (options.file.empty())
    return usageError("no kernel to run; try `rondo-run --help`"), false;
  if (options.reference && options.device != "cpu")
    return usageError("--reference interprets on the CPU; leave --device out"),
           false;
  if (!checkDeviceOption(options.device))
    return false;
  if (!(options.tolerance >= 0))
    return usageError("--tolerance must be a number >= 0"), false;
  if (library && options.reference)
    return usageError("--reference interprets a program: give the .rondo or "
                      ".mlir file instead of the library"),
           false;
  std::string given = flags.firstProgramOption();
  if (library && !given.empty())
    return usageError("--" + given + " is for compiling, and " + options.file +
                      " is compiled already"),
           false;
  return true;
}

llvm::Error runOnHost(BoundCall &call, unsigned threads) {
  Workers workers(threads);
  return call.run({&workers, nullptr});
}

llvm::Error runOnDevice(BoundCall &call) {
  auto device = CudaDevice::open();
  if (!device)
    return device.takeError();
  if (llvm::Error error = call.moveTo(**device))
    return error;
  if (llvm::Error error = call.run({nullptr, device->get()}))
    return error;
  return call.finish(**device);
}

/// Compiles if need be, and calls. Nothing after reporting.
std::optional<io::TensorMap> runCompiled(const RunOptions &run,
                                         const CompileOptions &options,
                                         bool timing, bool library,
                                         const io::TensorMap &inputs) {
  // The linker in this process resets options: copy first.
  unsigned threads = run.threads;
  std::string file = run.file, where = run.device;
  bool step = run.step;
  std::optional<HostKernel> kernel;
  if (library) {
    auto opened = HostKernel::open(file, options.kernel, entryOf(options));
    if (!opened) {
      std::string hint =
          step ? "; `rondoc --step` compiles kernels with their steps" : "";
      return usageError(llvm::toString(opened.takeError()) + hint),
             std::nullopt;
    }
    kernel = std::move(*opened);
  } else {
    kernel = compileAndOpen(file, options, timing);
    if (!kernel)
      return std::nullopt;
  }
  if (llvm::Error error = checkDevice(*kernel, where))
    return usageError(std::move(error)), std::nullopt;
  auto once = [&](const io::TensorMap &given,
                  SizeValues sizes) -> llvm::Expected<io::TensorMap> {
    llvm::append_range(sizes, options.dims);
    auto call = BoundCall::bind(*kernel, given, sizes);
    if (!call)
      return call.takeError();
    if (llvm::Error error = where == "cuda" ? runOnDevice(*call)
                                            : runOnHost(*call, threads))
      return std::move(error);
    return call->takeOutputs();
  };
  auto outputs =
      step ? runSteps(StepSignature::get(kernel->info()), inputs, once)
           : once(inputs, {});
  if (!outputs)
    return usageError(outputs.takeError()), std::nullopt;
  return std::move(*outputs);
}

/// What there is to say about results that nothing is compared with.
void summarize(const io::TensorMap &outputs, llvm::raw_ostream &os) {
  for (const auto &[name, array] : outputs) {
    double low = 0, high = 0;
    bool any = false;
    size_t odd = 0;
    for (size_t i = 0; i < array.size(); ++i) {
      double value = array.real(i);
      if (!std::isfinite(value)) {
        ++odd;
        continue;
      }
      low = any ? std::min(low, value) : value;
      high = any ? std::max(high, value) : value;
      any = true;
    }
    os << llvm::left_justify(name, 16) << ' '
       << llvm::left_justify(io::formatShape(array.shape()), 20) << ' '
       << io::dtypeName(array.dtype());
    if (any)
      os << llvm::format("  from %g to %g", low, high);
    if (odd)
      os << "  " << odd << " points are NaN or infinite";
    os << "\n";
  }
}

} // namespace

int driver::rondoRunMain(int argc, char **argv) {
  startCommandLine();
  RunOptions run;
  CompileFlags flags;
  if (!parseCommandLine(argc, argv, overview,
                        {&run.category, &flags.getCategory()}))
    return ExitUsage;
  bool library = isLibrary(run.file);
  if (!checkOptions(run, flags, library))
    return ExitUsage;
  std::optional<CompileOptions> options = flags.get(run.device);
  if (!options)
    return ExitUsage;
  if (run.step && options->backward)
    return usageError("--step computes forward; leave --grad out");
  options->onlyStep = run.step;
  std::string out = run.out, check = run.check;
  double tolerance = run.tolerance;

  auto inputs = readInputs(run.in);
  if (!inputs)
    return usageError(inputs.takeError());
  io::TensorMap expected;
  if (!check.empty()) {
    auto read = io::readSafetensors(check);
    if (!read)
      return usageError(read.takeError());
    expected = std::move(*read);
  }

  std::optional<io::TensorMap> outputs =
      run.reference
          ? interpret(run.file, *options, flags.hasDType(), flags.wantsTiming(),
                      *inputs, options->dims)
          : runCompiled(run, *options, flags.wantsTiming(), library, *inputs);
  if (!outputs)
    return ExitUsage;

  llvm::raw_ostream &os = out == "-" ? llvm::errs() : llvm::outs();
  if (!out.empty())
    if (llvm::Error error = io::writeSafetensors(out, *outputs))
      return usageError(std::move(error));
  if (check.empty()) {
    summarize(*outputs, os);
    return ExitSuccess;
  }
  CheckOutcome outcome = checkResults(*outputs, expected, tolerance, os);
  if (!outcome.compared) {
    std::string names;
    for (const auto &entry : *outputs)
      names += (names.empty() ? "" : ", ") + entry.first;
    return usageError(check + " holds none of the kernel's results: " + names);
  }
  return outcome.failed ? ExitNegative : ExitSuccess;
}
