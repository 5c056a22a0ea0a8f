//===- CostModel.h - What a form costs on a machine -------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Counts what each form of a recurrence does (operations on reals, bytes,
// dependent steps, launches) and turns the counts into an expected time with
// the rates of the machine and one table of measured efficiencies
// (`Efficiency`). The arithmetic is kept as text, for people.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_ANALYSIS_COSTMODEL_H
#define RONDO_PASSES_ANALYSIS_COSTMODEL_H

#include "dialects/Rondo/IR/RondoOps.h"
#include <string>

namespace rondo::analysis {

/// The machine that a plan is made for, from `rondo.target`. Keys that are not
/// there have the defaults below, which describe a common server core.
struct Machine {
  std::string name = "x86-64";
  bool isGPU = false;
  /// Operations on f32 a second: of one core, of the whole GPU.
  double peak = 0;
  /// Bytes of the first and second level cache of a core.
  double l1 = 0, l2 = 0;
  /// Bytes a second to memory.
  double bandwidth = 0;
  /// Seconds that one dependent step of a loop takes at least, and one launch.
  double step = 0, launch = 0;
  /// Cores, or multiprocessors.
  double units = 1;
};

/// Reads `rondo.target` of the module around `op`. CPU keys: `vector_bits`,
/// `clock_mhz` (3000), `fma_units` (2), `l1_kib` (32), `l2_kib` (1024),
/// `bandwidth_mbs` (12000), `cores` (1). GPU keys, told by `sms`: `sms`,
/// `clock_mhz` (1700), `bandwidth_mbs` (3000000), `tensor_gflops` (400000),
/// `launch_ns` (3000).
Machine getMachine(mlir::Operation *op);

/// Fractions of the peak that the forms reach on the CPU. Measured
/// (bench/RESULTS.md); to be set again when the code generator changes.
struct Efficiency {
  // One step after the other, by the cache that holds the state.
  double stepInL1 = 0.42, stepInL2 = 0.25, stepInMemory = 0.10;
  // Elementwise work without contractions.
  double elementwise = 0.12;
  // Matrix products in chunks, by transition; a decay per i counts before the
  // rank.
  double chunkScalar = 0.65, chunkDiagonal = 0.52, chunkLowRank = 0.63;
  // Powers of a constant transition: products of matrices, of vectors.
  double powersDense = 0.25, powersDiagonal = 0.06;
  // Short forms: what a scan or an iteration does beside its arithmetic.
  double scan = 0.10;
  // Attention by tiles.
  double tiled = 0.70;
};
const Efficiency &getEfficiency();

/// What the sizes of a kernel are taken to be: their value where it is known at
/// compile time, else a typical one.
class Sizes {
public:
  explicit Sizes(KernelOp kernel) : kernel(kernel) {}

  double get(mlir::Value size);
  /// The size with this name.
  double get(llvm::StringRef name);
  /// Names and values that were not known.
  llvm::ArrayRef<std::pair<std::string, int64_t>> assumed() const {
    return guesses;
  }

private:
  KernelOp kernel;
  llvm::SmallVector<std::pair<std::string, int64_t>> guesses;
};

/// What the chunkwise form of a constant transition has to do
/// (passes/Forms/Powers.h), for one batch point.
struct PowersWork {
  double outer = 0;     // independent vectors of all states; 0: no such form
  double rows = 1;      // elements of one
  double columns = 1;   // that a new element is made of
  double writes = 0;    // numbers that enter a vector a step
  double outputs = 0;   // numbers that leave it a step
};

/// What one recurrence has to do, whatever the form.
struct Workload {
  FactsAttr facts;
  double steps = 1;   // product of the extents of the along dims
  double batch = 1;   // batch points
  double state = 0;   // elements of all states of one batch point
  double resident = 0; // bytes that every step touches again
  double flops = 0;   // of all steps as the equations say, with the readers
  double bytes = 0;   // inputs and results once
  double left = 1;    // product of the contracted dims of the first state
  double right = 1;   // product of its other dims
  double contractions = 0; // reads of the state that contract it, a step
  bool contracts = false;  // some equation of a step is a contraction
  PowersWork powers;
};
Workload measure(RecurrenceOp op, FactsAttr facts, Sizes &sizes);

/// What a form is expected to take.
struct Cost {
  double flops = 0, bytes = 0, depth = 0, launches = 0;
  double seconds = 0;
  /// How `seconds` comes about, in one line.
  std::string arithmetic;
};

Cost sequentialCost(const Workload &work, const Machine &machine);
/// By powers of the transition when `work.powers` is there.
Cost chunkedCost(const Workload &work, const Machine &machine, int64_t chunk);
Cost scanCost(const Workload &work, const Machine &machine);
Cost newtonCost(const Workload &work, const Machine &machine);

/// The time that no form can beat: `flops`, the least that any of them needs, at
/// the peak, or the bytes once, whichever is more.
Cost floorCost(const Workload &work, const Machine &machine, double flops);

/// 0.00123 -> "1.23 ms".
std::string formatSeconds(double seconds);
/// 2.1e9 -> "2.1 G".
std::string formatCount(double count);

} // namespace rondo::analysis

#endif // RONDO_PASSES_ANALYSIS_COSTMODEL_H
