//===- CostModel.cpp - What a form costs on a machine ---------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Analysis/CostModel.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"
#include <cmath>

using namespace mlir;
using namespace rondo;
using namespace rondo::analysis;

const Efficiency &rondo::analysis::getEfficiency() {
  static const Efficiency table;
  return table;
}

Machine rondo::analysis::getMachine(Operation *op) {
  Machine machine;
  auto module = dyn_cast<ModuleOp>(op);
  if (!module)
    module = op->getParentOfType<ModuleOp>();
  auto target = module ? module->getAttrOfType<DictionaryAttr>("rondo.target")
                       : DictionaryAttr();
  auto number = [&](StringRef key, double otherwise) {
    auto attr = target ? target.getAs<IntegerAttr>(key) : IntegerAttr();
    return attr ? static_cast<double>(attr.getInt()) : otherwise;
  };
  if (auto name = target ? target.getAs<StringAttr>("name") : StringAttr())
    machine.name = name.getValue().str();
  machine.isGPU = target && target.get("sms");
  if (machine.isGPU) {
    machine.units = number("sms", 132);
    machine.peak = number("tensor_gflops", 400000) * 1e9;
    machine.bandwidth = number("bandwidth_mbs", 3000000) * 1e6;
    machine.launch = number("launch_ns", 3000) * 1e-9;
    machine.step = 500 / (number("clock_mhz", 1700) * 1e6);
    machine.l1 = 128 * 1024;
    machine.l2 = 40e6;
    return machine;
  }
  double lanes = number("vector_bits", 256) / 32;
  double clock = number("clock_mhz", 3000) * 1e6;
  // A fused multiply-add is two operations.
  machine.peak = lanes * number("fma_units", 2) * 2 * clock;
  machine.l1 = number("l1_kib", 32) * 1024;
  machine.l2 = number("l2_kib", 1024) * 1024;
  machine.bandwidth = number("bandwidth_mbs", 12000) * 1e6;
  machine.step = 20 / clock;
  machine.units = number("cores", 1);
  return machine;
}

//===----------------------------------------------------------------------===//
// Sizes
//===----------------------------------------------------------------------===//

double Sizes::get(StringRef name) {
  int64_t position = kernel.getSizeIndex(name);
  if (position >= 0 && kernel.getBound()[position] >= 0)
    return kernel.getBound()[position];
  bool isBatch = llvm::any_of(kernel.getBatch(), [&](Attribute batch) {
    return cast<StringAttr>(batch).getValue() == name;
  });
  bool isTime = kernel.getTime() == name;
  int64_t typical = isBatch ? 4 : isTime ? 2048 : 64;
  std::pair<std::string, int64_t> guess(name.str(), typical);
  if (!llvm::is_contained(guesses, guess))
    guesses.push_back(guess);
  return typical;
}

double Sizes::get(Value size) {
  APInt constant;
  if (matchPattern(size, m_ConstantInt(&constant)))
    return constant.getSExtValue();
  if (auto named = size.getDefiningOp<SizeOp>())
    return get(named.getName());
  Operation *op = size.getDefiningOp();
  if (op && op->getNumOperands() == 2) {
    double a = get(op->getOperand(0)), b = get(op->getOperand(1));
    StringRef name = op->getName().stripDialect();
    if (name == "addi")
      return a + b;
    if (name == "subi")
      return std::max(a - b, 0.0);
    if (name == "muli")
      return a * b;
    if (name == "floordivsi" || name == "divsi" || name == "divui")
      return b ? std::floor(a / b) : a;
    if (name == "ceildivsi" || name == "ceildivui")
      return b ? std::ceil(a / b) : a;
    if (name == "minsi" || name == "minui")
      return std::min(a, b);
    if (name == "maxsi" || name == "maxui")
      return std::max(a, b);
  }
  return 64;
}

//===----------------------------------------------------------------------===//
// Workload
//===----------------------------------------------------------------------===//

/// Operations on reals that one op of a body is worth.
static double weigh(Operation &op) {
  if (op.getNumResults() != 1 || !isa<FloatType>(op.getResult(0).getType()) ||
      op.getNumOperands() == 0 || isa<ReadOp, GatherOp>(op))
    return 0;
  return llvm::StringSwitch<double>(op.getName().getStringRef())
      .Cases({"math.exp", "math.log", "math.log1p", "math.expm1", "math.tanh",
              "rondo.sigmoid", "rondo.softplus", "math.powf", "math.erf",
              "math.sin", "math.cos"},
             16)
      .Cases({"arith.divf", "math.sqrt", "math.rsqrt"}, 4)
      .Case("arith.select", 1)
      .Default(1);
}

static double countFlops(EquationOp equation, Sizes &sizes) {
  double points = 1;
  for (Value size : equation.getSizes())
    points *= sizes.get(size);
  for (auto [lower, upper] :
       llvm::zip_equal(equation.getLowers(), equation.getUppers()))
    points *= std::max(sizes.get(upper) - sizes.get(lower), 0.0);
  double perPoint = equation.getCombiner() ? 1 : 0;
  for (Operation &op : equation.getBlock())
    perPoint += weigh(op);
  return points * perPoint;
}

static double elementBytes(Type type) {
  return type.isIntOrFloat() ? std::max(1u, type.getIntOrFloatBitWidth() / 8)
                             : 8;
}

/// Elements of a tensor at the border of the kernel.
static double countElements(TensorSpecAttr spec, KernelOp kernel,
                            Sizes &sizes) {
  SmallVector<Attribute> symbols;
  MLIRContext *context = kernel.getContext();
  for (Attribute name : kernel.getSizes())
    symbols.push_back(IntegerAttr::get(
        IndexType::get(context),
        static_cast<int64_t>(sizes.get(cast<StringAttr>(name).getValue()))));
  SmallVector<Attribute> dims;
  if (failed(spec.getShape().constantFold(symbols, dims)))
    return 0;
  double count = 1;
  for (Attribute dim : dims)
    count *= cast<IntegerAttr>(dim).getInt();
  return count;
}

/// Whether a read in the region has the same place at every step.
static bool isConstantInTime(ReadOp read, RecurrenceOp op) {
  llvm::SmallVector<Value> stack(read.getSubscripts());
  while (!stack.empty()) {
    Value value = stack.pop_back_val();
    if (llvm::is_contained(op.getAlongIndices(), value))
      return false;
    if (Operation *def = value.getDefiningOp())
      llvm::append_range(stack, def->getOperands());
  }
  return true;
}

Workload rondo::analysis::measure(RecurrenceOp op, FactsAttr facts,
                                  Sizes &sizes) {
  Workload work;
  work.facts = facts;
  auto kernel = op->getParentOfType<KernelOp>();
  for (Value size : op.getSizes())
    work.steps *= sizes.get(size);

  // States.
  for (unsigned i = 0; i < op.getNumStates(); ++i) {
    auto equation = op.getSlice(i).getDefiningOp<EquationOp>();
    if (!equation)
      continue;
    double elements = 1, batch = 1;
    DenseI64ArrayAttr contracts = facts.getState(i).getContracts();
    for (auto [k, size] : llvm::enumerate(equation.getSizes())) {
      double extent = sizes.get(size);
      if (k < op.getBatch()) {
        batch *= extent;
        continue;
      }
      elements *= extent;
      if (i == 0)
        (contracts && llvm::is_contained(contracts.asArrayRef(),
                                         k - op.getBatch())
             ? work.left
             : work.right) *= extent;
    }
    work.batch = batch;
    work.state += elements;
  }
  work.resident = 4 * work.state;

  // Arithmetic and traffic.
  llvm::SmallSetVector<Value, 8> inputs;
  llvm::SmallSetVector<Operation *, 8> readers;
  op.getBody().walk([&](EquationOp equation) {
    work.flops += work.steps * countFlops(equation, sizes);
    work.contracts |= equation.getCombiner().has_value();
    equation.getBody().walk([&](ReadOp read) {
      auto argument = dyn_cast<BlockArgument>(read.getSource());
      if (!argument || !isa<KernelOp>(argument.getOwner()->getParentOp()))
        return;
      if (inputs.insert(read.getSource()) && isConstantInTime(read, op)) {
        auto spec = kernel.getInput(argument.getArgNumber());
        work.resident += countElements(spec, kernel, sizes) *
                         elementBytes(spec.getElementType());
      }
    });
  });
  for (Value result : op.getResults())
    for (Operation *user : result.getUsers())
      if (auto reader = user->getParentOfType<EquationOp>())
        readers.insert(reader);
  for (unsigned k = 0; k < readers.size(); ++k) {
    auto reader = cast<EquationOp>(readers[k]);
    work.flops += countFlops(reader, sizes);
    work.contractions += reader.getCombiner().has_value();
    reader.getBody().walk([&](ReadOp read) {
      auto argument = dyn_cast<BlockArgument>(read.getSource());
      if (argument && isa<KernelOp>(argument.getOwner()->getParentOp()))
        inputs.insert(read.getSource());
    });
  }
  work.contracts |= work.contractions > 0;
  if (!kernel)
    return work;
  for (Value input : inputs) {
    TensorSpecAttr spec =
        kernel.getInput(cast<BlockArgument>(input).getArgNumber());
    work.bytes += countElements(spec, kernel, sizes) *
                  elementBytes(spec.getElementType());
  }
  auto returned = cast<ReturnOp>(kernel.getBody().front().getTerminator());
  for (auto [i, value] : llvm::enumerate(returned.getOperands())) {
    Operation *def = value.getDefiningOp();
    if (def == op.getOperation() || (def && readers.contains(def)))
      work.bytes +=
          countElements(kernel.getOutput(i), kernel, sizes) *
          elementBytes(kernel.getOutput(i).getElementType());
  }
  return work;
}

//===----------------------------------------------------------------------===//
// Text
//===----------------------------------------------------------------------===//

static std::string number(double value) {
  std::string text;
  llvm::raw_string_ostream os(text);
  os << llvm::format(value >= 99.95 ? "%.0f" : value >= 9.995 ? "%.1f" : "%.2f",
                     value);
  return text;
}

std::string rondo::analysis::formatSeconds(double seconds) {
  if (seconds >= 1)
    return number(seconds) + " s";
  if (seconds >= 1e-3)
    return number(seconds * 1e3) + " ms";
  if (seconds >= 1e-6)
    return number(seconds * 1e6) + " us";
  return number(seconds * 1e9) + " ns";
}

std::string rondo::analysis::formatCount(double count) {
  for (auto [unit, name] : {std::pair<double, const char *>{1e12, " T"},
                            {1e9, " G"},
                            {1e6, " M"},
                            {1e3, " k"}})
    if (count >= unit)
      return number(count / unit) + name;
  return std::to_string(static_cast<int64_t>(count)) + " ";
}

static std::string formatBytes(double bytes) {
  if (bytes >= 1 << 20)
    return number(bytes / (1 << 20)) + " MiB";
  if (bytes >= 1 << 10)
    return number(bytes / (1 << 10)) + " KiB";
  return std::to_string(static_cast<int64_t>(bytes)) + " bytes";
}

//===----------------------------------------------------------------------===//
// Costs
//===----------------------------------------------------------------------===//

/// Fills in `seconds` and `arithmetic` from the counts. Batch points run after
/// one another on a core, side by side on the multiprocessors of a GPU.
static Cost finish(Cost cost, const Machine &machine, double efficiency,
                   const std::string &why) {
  double rate = machine.peak * efficiency;
  double compute = cost.flops / rate;
  double memory = cost.bytes / machine.bandwidth;
  double chain = cost.depth * machine.step + cost.launches * machine.launch;
  cost.seconds = std::max({compute, memory, chain});
  llvm::raw_string_ostream os(cost.arithmetic);
  os << formatCount(cost.flops) << "flop at " << formatCount(rate) << "flop/s ("
     << static_cast<int>(std::lround(efficiency * 100)) << " % of the peak"
     << (why.empty() ? "" : ", ") << why << ") = " << formatSeconds(compute)
     << "; " << formatBytes(cost.bytes) << " at "
     << formatCount(machine.bandwidth) << "B/s = " << formatSeconds(memory);
  if (cost.depth == 0)
    return cost;
  os << "; " << static_cast<int64_t>(std::ceil(cost.depth))
     << " dependent steps of " << formatSeconds(machine.step);
  if (cost.launches && machine.launch)
    os << " and " << static_cast<int64_t>(cost.launches) << " launches";
  os << " = " << formatSeconds(chain);
  return cost;
}

/// Dependent steps: those of the batch points that run one after the other.
static double inTurn(const Workload &work, const Machine &machine) {
  return machine.isGPU ? std::ceil(work.batch / machine.units) : work.batch;
}

Cost rondo::analysis::sequentialCost(const Workload &work,
                                     const Machine &machine) {
  const Efficiency &table = getEfficiency();
  Cost cost;
  cost.flops = work.flops;
  cost.bytes = work.bytes;
  cost.depth = work.steps * inTurn(work, machine);
  cost.launches = 1;
  double efficiency = table.elementwise;
  std::string why = "elementwise";
  // Half of a cache is left to what streams through it.
  if (work.contracts) {
    bool isSmall = work.resident <= machine.l1 / 2 + 1024;
    bool isMedium = work.resident <= machine.l2 / 2;
    efficiency = isSmall    ? table.stepInL1
                 : isMedium ? table.stepInL2
                            : table.stepInMemory;
    why = "each step goes through " + formatBytes(work.resident) + " in " +
          (isSmall    ? "the first-level cache"
           : isMedium ? "the second-level cache"
                      : "memory");
    if (!isSmall && !isMedium)
      cost.bytes += cost.depth * work.resident;
  }
  return finish(cost, machine, efficiency, why);
}

static Cost powersCost(const Workload &work, const Machine &machine,
                       int64_t chunk) {
  const PowersWork &powers = work.powers;
  double rows = powers.rows, columns = powers.columns, steps = chunk;
  double chunks = std::ceil(work.steps / steps);
  // A^C, then a row or column for each step and write or output; their products.
  double products = llvm::isPowerOf2_64(chunk) ? std::log2(steps) : steps - 1;
  double tables = products * rows * columns * columns +
                  steps * rows * columns * (powers.writes + powers.outputs) +
                  steps * rows * powers.writes * powers.outputs;
  double perChunk = rows * columns +
                    steps * rows * (powers.writes + powers.outputs) +
                    steps * (steps + 1) / 2 * powers.writes * powers.outputs;
  Cost cost;
  cost.flops =
      2 * work.batch * powers.outer * (tables + chunks * perChunk);
  cost.bytes = work.bytes;
  cost.depth = 8 * chunks * inTurn(work, machine);
  cost.launches = 2;
  const Efficiency &table = getEfficiency();
  return finish(cost, machine,
                columns * columns > rows ? table.powersDense
                                         : table.powersDiagonal,
                "powers of the transition for chunks of " +
                    std::to_string(chunk) + " steps");
}

Cost rondo::analysis::chunkedCost(const Workload &work, const Machine &machine,
                                  int64_t chunk) {
  if (work.powers.outer)
    return powersCost(work, machine, chunk);
  const Efficiency &table = getEfficiency();
  StateFactsAttr state = work.facts.getState(0);
  double left = work.left, right = work.right, steps = chunk;
  // The last chunk is padded.
  double points = std::ceil(work.steps / steps) * steps * work.batch;
  double writes = std::max<int64_t>(state.getWriteRank(), 1);
  double rank = state.getRank();
  double reads = std::max(work.contractions, 1.0);
  // Across chunks: reads of the carried state, its update, its decay.
  double across = 2 * left * right * (reads + writes + rank) +
                  2 * left * right / steps;
  // Within a chunk, on and below the diagonal.
  double pairs = (steps + 1) / 2 * writes * (reads + rank);
  double weight = state.getDecayDims() ? 3 : 2;
  double within = pairs * (weight * left + 2 * right);
  Cost cost;
  cost.flops = points * (across + within);
  cost.bytes = work.bytes;
  cost.depth = 8 * std::ceil(work.steps / steps) * inTurn(work, machine);
  cost.launches = 2;
  double efficiency = state.getDecayDims() ? table.chunkDiagonal
                      : state.getRank()      ? table.chunkLowRank
                                             : table.chunkScalar;
  return finish(cost, machine, efficiency,
                "matrix products of chunks of " + std::to_string(chunk) +
                    " steps");
}

Cost rondo::analysis::scanCost(const Workload &work, const Machine &machine) {
  Cost cost;
  // Up and down the tree: twice the work of a step, on pairs (factor, value).
  cost.flops = 2 * work.flops;
  cost.bytes = work.bytes + 2 * 4 * work.steps * work.batch * work.state;
  // A core takes the steps in order, whatever their grouping.
  double levels = 2 * std::log2(std::max(work.steps, 2.0));
  cost.depth =
      (machine.isGPU ? levels : work.steps) * inTurn(work, machine);
  cost.launches = 1;
  return finish(cost, machine, getEfficiency().scan,
                "every step's factor and value are stored");
}

Cost rondo::analysis::newtonCost(const Workload &work,
                                 const Machine &machine) {
  // An iteration evaluates all steps with their derivatives and solves the
  // linear recurrence; measured iteration counts are 3 to 10.
  constexpr double iterations = 6;
  Workload linear = work;
  linear.flops *= 2;
  Cost once = scanCost(linear, machine);
  Cost cost;
  cost.flops = iterations * once.flops;
  cost.bytes = iterations * once.bytes;
  cost.depth = iterations * once.depth;
  cost.launches = iterations * 2;
  return finish(cost, machine, getEfficiency().scan, "6 iterations");
}

Cost rondo::analysis::floorCost(const Workload &work, const Machine &machine,
                                double flops) {
  Cost cost;
  cost.flops = flops;
  cost.bytes = work.bytes;
  return finish(cost, machine, 1, "");
}
