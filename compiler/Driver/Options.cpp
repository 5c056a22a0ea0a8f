//===- Options.cpp - Command lines of the tools ---------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/Driver/Options.h"
#include "compiler/Emit/Emit.h"
#include "compiler/Target/Target.h"
#include "mlir/IR/AsmState.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Strategy/FormTable.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/PrettyStackTrace.h"
#include "llvm/Support/Threading.h"
#include "llvm/Support/WithColor.h"
#include "llvm/Support/raw_ostream.h"

using namespace rondo;
using namespace rondo::driver;
namespace cl = llvm::cl;
using llvm::StringRef;

/// Name of the running tool, for messages.
static std::string &toolName() {
  static std::string name;
  return name;
}

int driver::exitCode(Failure failure) {
  switch (failure) {
  case Failure::None:
    return ExitSuccess;
  case Failure::Program:
    return ExitNegative;
  case Failure::Environment:
    return ExitUsage;
  case Failure::Internal:
    return ExitInternal;
  }
  llvm_unreachable("not a failure");
}

int driver::usageError(const llvm::Twine &message) {
  llvm::errs() << toolName() << ": error: " << message << "\n";
  return ExitUsage;
}

int driver::usageError(llvm::Error error) {
  return usageError(llvm::toString(std::move(error)));
}

unsigned driver::coreCount() {
  return llvm::hardware_concurrency().compute_thread_count();
}

bool driver::checkDeviceOption(StringRef device) {
  if (device == "cpu" || device == "cuda")
    return true;
  usageError("--device: `" + device +
             "` is not a device; expected cpu or cuda");
  return false;
}

void driver::startCommandLine() {
  // libLLVM registers hundreds of options of its own when it is loaded. None
  // is part of our command lines, and some have our names.
  cl::ResetCommandLineParser();
  llvm::setBugReportMsg("This is a defect of Rondo, not of the program: please "
                        "report it with the program and the command.\n");
}

//===----------------------------------------------------------------------===//
// Options of a compilation
//===----------------------------------------------------------------------===//

/// The forms that exist for the CPU: "auto, sequential or chunked".
static std::string listForms() {
  llvm::SmallVector<std::string> names{"auto"};
  for (const FormRow &row : getFormTable())
    if (row.onCPU)
      names.push_back(stringifyForm(row.form).str());
  std::string last = names.pop_back_val();
  return llvm::join(names, ", ") + " or " + last;
}

CompileFlags::CompileFlags()
    : category("Compilation"),
      kernel("kernel", cl::value_desc("name"), cl::cat(category),
             cl::desc("Use only this kernel (default: all of the file)")),
      target("target", cl::value_desc("cpu"), cl::init("cpu"),
             cl::cat(category), cl::desc("Where the code runs: cpu or cuda (default: cpu)")),
      archHelp("Processors to make code for, separated by commas: " +
               llvm::join(getTargetNames(), ", ") +
               " (default: x86-64-v3,x86-64-v4; with --dtype=bf16 "
               "x86-64-v3,x86-64-v4-bf16); for cuda: sm_80, sm_90a, ... "
               "(default: sm_80,sm_90a)"),
      arch("arch", cl::value_desc("names"), cl::cat(category),
           cl::desc(archHelp)),
      dims("dims", cl::value_desc("K=64,V=64"), cl::cat(category),
           cl::desc("Sizes fixed at compile time (default: none)")),
      dtype("dtype", cl::value_desc("dtype"), cl::init("f32"),
            cl::cat(category),
            cl::desc("Type of tensors declared without one: f32, f64, bf16 or "
                     "f16 (default: f32)")),
      formHelp("How recurrences are computed: " + listForms() +
               " (default: auto)"),
      form("form", cl::value_desc("form"), cl::init("auto"), cl::cat(category),
           cl::desc(formHelp)),
      chunk("chunk", cl::value_desc("steps"), cl::cat(category),
            cl::desc("Length of a chunk (newton: of a window), for forms that "
                     "have chunks")),
      iterations("iterations", cl::cat(category),
                 cl::desc("With --form=newton: return the number of iterations "
                          "behind every step as <state>.iterations")),
      dumpAfter("dump-after", cl::value_desc("phase"), cl::cat(category),
                cl::CommaSeparated,
                cl::desc("Print the program on the error stream after a phase: "
                         "ast, rondo, plan, forms or llvm")),
      grad("grad", cl::cat(category),
           cl::desc("Also make the backward pass of every kernel: run it, "
                    "where a kernel is run")),
      explain("explain", cl::cat(category),
              cl::desc("Say how each recurrence is computed and why")),
      timing("timing", cl::cat(category),
             cl::desc("Print how long each phase took")),
      verifyEach("verify-each", cl::cat(category),
                 cl::desc("Verify the IR after every pass to LLVM, too (for "
                          "tests of the compiler)")) {}

llvm::Expected<std::vector<std::pair<std::string, int64_t>>>
driver::parseDims(StringRef text) {
  std::vector<std::pair<std::string, int64_t>> dims;
  if (text.trim().empty())
    return dims;
  llvm::SmallVector<StringRef> parts;
  text.split(parts, ',');
  for (StringRef part : parts) {
    StringRef name = part.split('=').first.trim();
    StringRef value = part.split('=').second.trim();
    int64_t size;
    bool named =
        !name.empty() && (llvm::isAlpha(name[0]) || name[0] == '_') &&
        llvm::all_of(name, [](char c) { return llvm::isAlnum(c) || c == '_'; });
    if (!named || value.getAsInteger(10, size) || size < 0)
      return llvm::createStringError(
          "--dims: `" + part +
          "` is not NAME=SIZE with a size >= 0, as in K=64,V=64");
    if (llvm::any_of(dims, [&](auto &dim) { return dim.first == name; }))
      return llvm::createStringError("--dims: `" + name + "` has two values");
    dims.emplace_back(name.str(), size);
  }
  return dims;
}

std::string CompileFlags::firstProgramOption() const {
  const cl::Option *options[] = {&target, &arch,       &dtype,  &form,
                                 &chunk,  &iterations, &explain};
  for (const cl::Option *option : options)
    if (option->getNumOccurrences())
      return option->ArgStr.str();
  if (dumpAfter.getNumOccurrences())
    return dumpAfter.ArgStr.str();
  return "";
}

/// Refuses forms that this version can't make; true if `form` is usable.
static bool checkForm(StringRef form, bool hasChunk) {
  std::optional<Form> known = symbolizeForm(form);
  const FormRow *row = known ? getFormRow(*known) : nullptr;
  if (row && !row->onCPU) {
    usageError("--form=" + form +
               " is not available yet; "
               "use --form=sequential, which compiles every program");
    return false;
  }
  if (!row && form != "auto") {
    usageError("--form: `" + form + "` is not a form; expected " + listForms());
    return false;
  }
  if (hasChunk && (!row || *known == Form::Sequential ||
                   *known == Form::Scan)) {
    usageError("--chunk is the length of a chunk, and the form `" + form +
               "` has no chunks; leave it out, or ask for --form=chunked or "
               "--form=newton");
    return false;
  }
  return true;
}

std::optional<CompileOptions> CompileFlags::get(StringRef device) const {
  using frontend::model::DType;
  CompileOptions options;
  options.kernel = kernel;
  options.archs = arch;
  auto io = llvm::StringSwitch<std::optional<DType>>(dtype)
                .Case("f32", DType::F32)
                .Case("f64", DType::F64)
                .Case("bf16", DType::BF16)
                .Case("f16", DType::F16)
                .Default(std::nullopt);
  if (!io) {
    usageError("--dtype: `" + dtype +
               "` is not a dtype; expected f32, f64, bf16 or f16");
    return std::nullopt;
  }
  options.io = *io;
  if (target != "cpu" && target != "cuda") {
    usageError("--target: `" + target +
               "` is not a target; expected cpu or cuda");
    return std::nullopt;
  }
  StringRef goal = target.getNumOccurrences() ? StringRef(target) : device;
  options.target = goal == "cuda" ? TargetKind::CUDA : TargetKind::CPU;
  if (!checkForm(form, chunk.getNumOccurrences()))
    return std::nullopt;
  options.form = symbolizeForm(form.getValue()); // none for auto
  options.countIterations = iterations;
  if (iterations && options.form != Form::Newton) {
    usageError("--iterations counts those of Newton's method; ask for "
               "--form=newton");
    return std::nullopt;
  }
  if (chunk.getNumOccurrences() &&
      (StringRef(chunk).getAsInteger(10, options.chunk) || options.chunk < 1)) {
    usageError("--chunk: expected a number of steps of at least 1, found `" +
               chunk + "`");
    return std::nullopt;
  }
  options.backward = grad;
  auto parsed = parseDims(dims);
  if (!parsed) {
    usageError(parsed.takeError());
    return std::nullopt;
  }
  options.dims = std::move(*parsed);
  options.verifyEach = verifyEach;
  if (options.target == TargetKind::CUDA) {
    if (auto chips = parseChips(arch); !chips) {
      usageError(chips.takeError());
      return std::nullopt;
    }
  } else if (auto variants = getVariants(arch); !variants) {
    usageError(variants.takeError());
    return std::nullopt;
  }
  for (const std::string &name : dumpAfter) {
    std::optional<Phase> phase = parsePhase(name);
    if (!phase) {
      usageError("--dump-after: `" + name +
                 "` is not a phase; expected ast, rondo, plan, forms or llvm");
      return std::nullopt;
    }
    options.dumpAfter.push_back(*phase);
  }
  return options;
}

//===----------------------------------------------------------------------===//
// The command line as a whole
//===----------------------------------------------------------------------===//

static void printVersion(llvm::raw_ostream &os) {
  os << getCompilerVersion() << "\n"
     << "LLVM " << LLVM_VERSION_STRING << "\n"
     << "targets: cpu (" << llvm::join(getTargetNames(), ", ")
     << "), cuda (sm_80 and newer)\n";
}

bool driver::parseCommandLine(
    int argc, char **argv, StringRef overview,
    llvm::ArrayRef<const cl::OptionCategory *> groups) {
  toolName() = llvm::sys::path::stem(argv[0]).str();
  // MLIR's own switches (--mlir-print-ir-after-all, ...) work, but are not
  // among the tool's options in --help.
  mlir::registerAsmPrinterCLOptions();
  mlir::registerPassManagerCLOptions();
  cl::HideUnrelatedOptions(groups);
  cl::SetVersionPrinter(printVersion);
  return cl::ParseCommandLineOptions(argc, argv, overview, &llvm::errs());
}
