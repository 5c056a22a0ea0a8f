//===- Options.h - Command lines of the tools -------------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every tool builds its options as local objects, parses the command line once
// and copies the values out: the linker in the process later resets them.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_COMPILER_DRIVER_OPTIONS_H
#define RONDO_COMPILER_DRIVER_OPTIONS_H

#include "compiler/Pipeline/Pipeline.h"
#include "llvm/Support/CommandLine.h"
#include <optional>
#include <string>

namespace rondo::driver {

/// What the tools return. One table for all of them, printed by --help.
enum ExitCode {
  ExitSuccess = 0,
  /// rondoc: the program has errors. rondo-run: a result is off.
  ExitNegative = 1,
  /// The command line, a file or the machine.
  ExitUsage = 2,
  /// A defect of Rondo.
  ExitInternal = 3
};

/// Exit code of rondoc for a compilation that ended this way.
int exitCode(Failure failure);

/// Prints "<tool>: error: <message>" on the error stream.
int usageError(const llvm::Twine &message);
int usageError(llvm::Error error);

/// The options that say what to compile and how; shared by all tools.
class CompileFlags {
public:
  CompileFlags();
  /// Checks and copies the values. Refuses what this version does not have and
  /// says what there is; nothing on an error, which has been reported. Without
  /// --target, code is for `device` ("cpu", "cuda").
  std::optional<CompileOptions> get(llvm::StringRef device = "cpu") const;
  llvm::cl::OptionCategory &getCategory() { return category; }
  bool wantsTiming() const { return timing; }
  bool wantsExplanation() const { return explain; }
  /// The first option given that only makes sense when something is compiled,
  /// or "".
  std::string firstProgramOption() const;
  /// Whether the command line fixes the io dtype.
  bool hasDType() const { return dtype.getNumOccurrences() != 0; }

private:
  llvm::cl::OptionCategory category;
  llvm::cl::opt<std::string> kernel, target;
  std::string archHelp;
  llvm::cl::opt<std::string> arch, dims, dtype;
  std::string formHelp;
  llvm::cl::opt<std::string> form, chunk;
  llvm::cl::opt<bool> iterations;
  llvm::cl::list<std::string> dumpAfter;
  llvm::cl::opt<bool> grad, explain, timing, verifyEach;
};

/// Whether --device names one; false after reporting.
bool checkDeviceOption(llvm::StringRef device);

/// To be called before the tool makes its first option.
void startCommandLine();

/// "K=64,V=64" to pairs; an error names the part that is wrong.
llvm::Expected<std::vector<std::pair<std::string, int64_t>>>
parseDims(llvm::StringRef text);

/// Parses the command line of one tool. Shows only options of `categories` in
/// --help. Returns false after reporting (exit with ExitUsage).
bool parseCommandLine(int argc, char **argv, llvm::StringRef overview,
                      llvm::ArrayRef<const llvm::cl::OptionCategory *> groups);

/// How many cores this process may run on.
unsigned coreCount();

} // namespace rondo::driver

#endif // RONDO_COMPILER_DRIVER_OPTIONS_H
