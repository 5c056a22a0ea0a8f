//===- Rondoc.cpp - The compiler's command --------------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/Driver/Driver.h"
#include "compiler/Driver/Options.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/raw_ostream.h"

using namespace rondo;
using namespace rondo::driver;
namespace cl = llvm::cl;
using llvm::StringRef;

namespace {

constexpr const char *overview =
    R"(Compile sequence models written as equations to shared libraries

  rondoc gla.rondo                      writes libgla.so and gla.h
  rondoc gla.rondo -o out/libgla.so     writes out/libgla.so and out/gla.h
  rondoc gla.rondo --emit=rondo         prints the program in the rondo dialect

FILE is a program (.rondo), or IR in the rondo dialect (.mlir); `-` reads a
program from standard input. `-o -` writes to standard output.

Exit codes: 0 done; 1 the program has errors; 2 the command line, a file or the
machine; 3 a defect of Rondo.
)";

enum class Level {
  Lib,
  Obj,
  Header,
  Ast,
  Rondo,
  Plan,
  Forms,
  Tile,
  LLVM,
  PTX
};

struct Command {
  std::string input, output;
  Level level = Level::Lib;
  bool explain = false;
};

/// "libgla.so" is the library of "gla".
std::string headerPath(StringRef library) {
  llvm::SmallString<128> path(llvm::sys::path::parent_path(library));
  StringRef stem = llvm::sys::path::stem(library);
  stem.consume_front("lib");
  llvm::sys::path::append(path, stem + ".h");
  return path.str().str();
}

/// Where the output goes when no -o says it.
std::string defaultOutput(Level level, StringRef stem) {
  switch (level) {
  case Level::Lib:
    return ("lib" + stem + ".so").str();
  case Level::Obj:
    return (stem + ".o").str();
  case Level::Header:
    return (stem + ".h").str();
  default:
    return "-";
  }
}

/// The level of --emit; nothing after reporting.
std::optional<Level> parseLevel(StringRef name) {
  auto level = llvm::StringSwitch<std::optional<Level>>(name)
                   .Case("lib", Level::Lib)
                   .Case("obj", Level::Obj)
                   .Case("header", Level::Header)
                   .Case("ast", Level::Ast)
                   .Case("rondo", Level::Rondo)
                   .Case("plan", Level::Plan)
                   .Case("forms", Level::Forms)
                   .Case("tile", Level::Tile)
                   .Case("llvm", Level::LLVM)
                   .Case("ptx", Level::PTX)
                   .Default(std::nullopt);
  if (!level)
    usageError("--emit: `" + name +
               "` is not a level; expected lib, obj, header, ast, rondo, "
               "plan, forms, tile, llvm or ptx");
  return level;
}

Phase lastPhase(Level level) {
  switch (level) {
  case Level::Ast:
    return Phase::Ast;
  case Level::Rondo:
    return Phase::Rondo;
  case Level::Plan:
    return Phase::Plan;
  case Level::Forms:
  case Level::Tile:
  case Level::Header:
    return Phase::Forms;
  default:
    return Phase::LLVM;
  }
}

/// Whether operations on tiles are in it.
bool hasTiles(mlir::ModuleOp module) {
  return module
      .walk([](mlir::Operation *op) {
        return op->getName().getDialectNamespace() == "tile"
                   ? mlir::WalkResult::interrupt()
                   : mlir::WalkResult::advance();
      })
      .wasInterrupted();
}

int compile(Compiler &compiler, const Command &command) {
  if (Failure failure = compiler.open(command.input); failure != Failure::None)
    return exitCode(failure);
  std::string output = command.output.empty()
                           ? defaultOutput(command.level, compiler.getStem())
                           : command.output;
  if (command.level == Level::Ast && compiler.isIR())
    return usageError("--emit=ast needs a program, not IR");
  if (command.explain) {
    if (Failure failure = compiler.run(Phase::Plan); failure != Failure::None)
      return exitCode(failure);
    explain(compiler, output == "-" ? llvm::errs() : llvm::outs());
  }
  Phase last = lastPhase(command.level);
  if (Failure failure = compiler.run(last); failure != Failure::None)
    return exitCode(failure);

  switch (command.level) {
  case Level::Lib: {
    Failure failure = emitLibraryFile(compiler, output);
    if (failure == Failure::None && output != "-")
      failure = emitHeaderFile(compiler, headerPath(output));
    return exitCode(failure);
  }
  case Level::Obj:
    return exitCode(emitObjectFile(compiler, output));
  case Level::Header:
    return exitCode(emitHeaderFile(compiler, output));
  case Level::LLVM:
    return exitCode(emitLLVMFile(compiler, output));
  case Level::PTX:
    return exitCode(emitPTXFile(compiler, output));
  case Level::Tile:
    if (!hasTiles(compiler.getModule()))
      return usageError("no kernel of " + command.input +
                        " becomes a program on tiles, which matrix products "
                        "of chunks or attentions over bound sizes do; "
                        "--emit=forms shows what it becomes");
    [[fallthrough]];
  default:
    if (llvm::Error error = writeFile(
            output, [&](llvm::raw_ostream &os) { compiler.print(last, os); }))
      return usageError(std::move(error));
    return ExitSuccess;
  }
}

} // namespace

int driver::rondocMain(int argc, char **argv) {
  startCommandLine();
  cl::OptionCategory category("Input and output");
  cl::opt<std::string> input(cl::Positional, cl::desc("FILE"),
                             cl::cat(category));
  cl::opt<std::string> output(
      "o", cl::value_desc("file"), cl::cat(category),
      cl::desc("Write here (default: named after FILE; text goes to standard "
               "output)"));
  cl::opt<std::string> emit(
      "emit", cl::value_desc("level"), cl::init("lib"), cl::cat(category),
      cl::desc("What to write: lib, obj, header, ast, rondo, plan, forms, tile, "
               "llvm or ptx (default: lib)"));
  cl::opt<bool> step("step", cl::cat(category),
                     cl::desc("Also compile one time step of each kernel, "
                              "<kernel>_step"));
  CompileFlags flags;
  if (!parseCommandLine(argc, argv, overview,
                        {&category, &flags.getCategory()}))
    return ExitUsage;
  if (input.empty())
    return usageError("no input file; try `rondoc --help`");
  std::optional<Level> level = parseLevel(emit);
  if (!level)
    return ExitUsage;
  std::optional<CompileOptions> options = flags.get();
  if (!options)
    return ExitUsage;
  if (*level == Level::PTX && options->target != TargetKind::CUDA)
    return usageError("--emit=ptx needs --target=cuda");
  if (*level == Level::Tile && options->target != TargetKind::CUDA)
    return usageError("--emit=tile needs --target=cuda");
  options->step = step;
  Command command{input, output, *level, flags.wantsExplanation()};

  mlir::DefaultTimingManager timing;
  timing.setEnabled(flags.wantsTiming());
  // Asked now: the linker resets all options.
  bool ends = !flags.wantsTiming();
  options->processEnds = ends;
  Compiler compiler(std::move(*options), llvm::errs(), timing.getRootScope());
  int code = compile(compiler, command);
  if (!ends)
    return code;
  // To take apart what is left takes longer than most phases.
  llvm::outs().flush();
  llvm::errs().flush();
  llvm::sys::Process::Exit(code, /*NoCleanup=*/true);
}
