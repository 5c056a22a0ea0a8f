//===- Pipeline.h - From a program to a library -----------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The phases of a compilation and what runs in each. `Compiler::run` walks
// through them in order; after each one the program can be looked at.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_COMPILER_PIPELINE_PIPELINE_H
#define RONDO_COMPILER_PIPELINE_PIPELINE_H

#include "compiler/Target/Target.h"
#include "dialects/Rondo/IR/RondoOps.h"
#include "frontend/AST/AST.h"
#include "frontend/Diagnostics/Diagnostics.h"
#include "frontend/Sema/Model.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"
#include "mlir/Support/Timing.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/SourceMgr.h"
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace mlir {
class PassManager;
} // namespace mlir

namespace rondo {

/// What a program is after the step of this name.
enum class Phase {
  Ast,   // a syntax tree
  Rondo, // kernels in the rondo dialect
  Plan,  // the same, with facts about every recurrence and a form for it
  Forms, // functions on memrefs, no recurrence left
  LLVM,  // one module in the LLVM dialect per processor variant
};

/// "ast", "rondo", ...
llvm::StringRef phaseName(Phase phase);
std::optional<Phase> parsePhase(llvm::StringRef name);

/// Where the code runs.
enum class TargetKind { CPU, CUDA };

struct CompileOptions {
  TargetKind target = TargetKind::CPU;
  /// Only this kernel; empty: all kernels of the file.
  std::string kernel;
  /// Sizes fixed at compile time.
  std::vector<std::pair<std::string, int64_t>> dims;
  frontend::model::DType io = frontend::model::DType::F32;
  /// The form of every recurrence that has it; none: chosen for each one.
  std::optional<Form> form;
  /// Steps a chunk or a window; 0: chosen.
  int64_t chunk = 0;
  /// Newton: return the evaluations of every window.
  bool countIterations = false;
  /// Also the backward pass of every kernel.
  bool backward = false;
  /// Names of processors or of NVIDIA's chips, separated by commas; empty: the
  /// default variants.
  std::string archs;
  /// Also one time step of each kernel as a kernel; or that alone.
  bool step = false, onlyStep = false;
  /// Whether the IR is verified after every pass to LLVM, too.
  bool verifyEach = false;
  /// Whether the process ends after this compilation: what takes long to take
  /// apart is left to the end.
  bool processEnds = false;
  /// Phases after which the program is printed on the error stream.
  std::vector<Phase> dumpAfter;
};

/// Whose fault it is that a compilation stopped.
enum class Failure {
  None,
  Program,     // the program has errors, all reported
  Environment, // a file, an option or the machine
  Internal     // Rondo's: a phase refused what the one before it made
};

/// The code of one processor variant.
struct VariantModule {
  TargetDescription target;
  mlir::OwningOpRef<mlir::ModuleOp> module; // LLVM dialect
};

/// The kernels for one chip.
struct DeviceModule {
  std::string chip;
  mlir::OwningOpRef<mlir::ModuleOp> module; // gpu.module in the NVVM dialect
};

class Compiler {
public:
  /// Reports go to `errors`; times to children of `timing`.
  Compiler(CompileOptions options, llvm::raw_ostream &errors,
           mlir::TimingScope timing = {});
  ~Compiler();

  /// Reads FILE.rondo, or FILE.mlir in the rondo dialect; `-` is a program on
  /// standard input.
  Failure open(llvm::StringRef path);
  /// Runs the phases up to `last` that have not run yet.
  Failure run(Phase last);

  /// What the phases left. The tree and the kernels are absent for FILE.mlir.
  const frontend::ast::File *getAst() const { return ast.get(); }
  llvm::ArrayRef<std::unique_ptr<frontend::model::Kernel>> getModel() const {
    return kernels;
  }
  /// After Rondo and Plan in the rondo dialect, from Forms on at that level.
  mlir::ModuleOp getModule() { return module.get(); }
  llvm::MutableArrayRef<VariantModule> getVariants() { return variants; }
  /// For CUDA, after LLVM: the device's part; the variants are the host's.
  llvm::MutableArrayRef<DeviceModule> getDeviceModules() { return devices; }

  llvm::SourceMgr &getSources() { return sources; }
  mlir::MLIRContext &getContext() { return *context; }
  const CompileOptions &getOptions() const { return options; }
  /// The file's name without folder and ending: "gla".
  llvm::StringRef getStem() const { return stem; }
  bool isIR() const { return ir; }

  /// A part of the compilation whose time is taken.
  mlir::TimingScope time(llvm::StringRef name) { return timing.nest(name); }
  /// Reports something that is no error in the program.
  Failure fail(Failure kind, const llvm::Twine &message);
  /// Puts the description of the machine that forms are chosen for on the
  /// module, as `rondo.target`, and takes it off.
  Failure setTarget();
  void clearTarget();
  /// Prints what the phase left.
  void print(Phase phase, llvm::raw_ostream &os);

private:
  Failure runPhase(Phase phase);
  Failure parseText();
  Failure lowerProgram();
  Failure parseIR();
  Failure simplifyModel();
  Failure chooseForms();
  /// A kernel, or a stage of one, as a program on tiles.
  struct TileTrial {
    mlir::OwningOpRef<mlir::ModuleOp> program;
    int64_t memory = 0; // that copies may be laid out for
    std::string reason; // why there is no program; empty: nothing asks for one
  };
  friend class StageSearch;
  Failure tryTiles(KernelOp kernel, int64_t block, TileTrial &result);
  Failure tryTiles(KernelOp kernel, TileTrial &result);
  Failure findStages(KernelOp kernel, TileTrial &result);
  Failure findTilePrograms();
  void moveTilePrograms();
  Failure deriveForms();
  Failure lowerToLLVM();
  Failure lowerToNVVM();
  Failure runPasses(mlir::PassManager &passes, mlir::ModuleOp target,
                    Failure blame);

  CompileOptions options;
  llvm::raw_ostream &errors;
  mlir::TimingScope timing, phaseTiming;
  llvm::SourceMgr sources;
  frontend::Diagnostics diags;
  std::unique_ptr<mlir::MLIRContext> context;
  std::string stem;
  bool ir = false;
  int done = -1; // the last phase that has run

  std::unique_ptr<frontend::ast::File> ast;
  std::vector<std::unique_ptr<frontend::model::Kernel>> kernels;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  /// Kernels that became programs on tiles when the forms were chosen.
  llvm::StringMap<mlir::OwningOpRef<mlir::ModuleOp>> tilePrograms;
  /// What copies of all of them are laid out for, in bytes of shared memory.
  int64_t tileMemory = std::numeric_limits<int64_t>::max();
  llvm::SmallVector<VariantModule, 2> variants;
  llvm::SmallVector<DeviceModule, 2> devices;
};

/// Attentions as recurrences over blocks of keys.
void addTiledAttention(mlir::PassManager &passes, int64_t block, bool powers);

/// Bytes of shared memory that a block may have on each of the chips.
int64_t getSharedBytes(llvm::ArrayRef<std::string> chips);

/// Moves a program's functions to a place; its device functions join those of
/// the module there.
void moveProgram(mlir::ModuleOp from, mlir::Block *to,
                 mlir::Block::iterator place);

/// The chips of --arch for CUDA: those named, or sm_80 and sm_90a.
llvm::Expected<llvm::SmallVector<std::string>>
parseChips(llvm::StringRef archs);

} // namespace rondo

#endif // RONDO_COMPILER_PIPELINE_PIPELINE_H
