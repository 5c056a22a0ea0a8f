//===- Body.h - Scalar code of an equation ----------------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The region of an equation as a list of instructions over numbered registers:
// one register per SSA value. Compiled once, bound to tensors and to values
// from outside before each use, then run once per point.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_DIALECTS_RONDO_REFERENCE_BODY_H
#define RONDO_DIALECTS_RONDO_REFERENCE_BODY_H

#include "dialects/Rondo/Reference/Eval.h"
#include "dialects/Rondo/Reference/Scalar.h"
#include "llvm/ADT/DenseMap.h"
#include <deque>
#include <memory>
#include <optional>

namespace rondo::reference {

/// An error at the location of an operation.
llvm::Error makeError(mlir::Operation *op, const llvm::Twine &message);

/// What the values outside of bodies are: scalars and tensors.
class Environment {
public:
  void setScalar(mlir::Value value, Scalar scalar) { scalars[value] = scalar; }
  /// Null when there is none.
  const Scalar *getScalar(mlir::Value value) const;

  /// Makes `value` another name of an array that outlives the environment or
  /// belongs to it.
  void setTensor(mlir::Value value, Array *array) { tensors[value] = array; }
  /// The array of `value`; a new one the first time.
  Array &defineTensor(mlir::Value value);
  /// Null when there is none (a missing optional input).
  Array *getTensor(mlir::Value value) const { return tensors.lookup(value); }

private:
  llvm::DenseMap<mlir::Value, Scalar> scalars;
  llvm::DenseMap<mlir::Value, Array *> tensors;
  std::deque<Array> storage;
};

/// The accumulator of a reduction: combines terms of one type.
struct Combining {
  Scalar identity;
  ScalarFunction combine;

  static Combining get(Combiner combiner, mlir::Type type);
};

class Body {
public:
  /// Flattens a block that ends in `rondo.yield`. An operation that has no
  /// meaning here is an error that names it.
  static llvm::Expected<std::unique_ptr<Body>> compile(mlir::Block &block);

  /// Looks up what the block uses from outside.
  llvm::Error bind(const Environment &environment);

  /// The register of the i-th block argument. Set it before `run`.
  Scalar &getArgument(unsigned i) { return registers[i]; }

  /// Runs the instructions. False when a gather is out of range; `takeFault`
  /// then tells which.
  bool run() { return run(top); }
  llvm::Error takeFault() const;

  /// After `run`: the yielded values and their condition (true without one).
  Scalar getValue(unsigned i = 0) const { return registers[top.values[i]]; }
  bool passesFilter() const { return passesFilter(top); }

private:
  using Register = unsigned;

  /// A tensor and the registers of its subscripts.
  struct Access {
    mlir::Value tensor;
    llvm::SmallVector<Register, 4> subscripts;
    const Array *array = nullptr; // while bound
  };
  struct Instruction {
    enum Kind { Compute, Read, Gather, Reduce };
    Kind kind;
    Register result;
    /// Compute: the function and its operands.
    ScalarFunction function = nullptr;
    Register operands[3] = {0, 0, 0};
    /// Read and Gather: positions among `accesses`; `fallback` is -1 without.
    int access = -1, fallback = -1;
    bool isReal = false;
    /// Reduce: the position among `reductions`.
    int reduction = -1;
    mlir::Operation *op = nullptr;
  };
  /// A block of instructions and what it yields.
  struct Sequence {
    std::vector<Instruction> instructions;
    llvm::SmallVector<Register, 2> values;
    std::optional<Register> filter;
  };
  /// A `rondo.reduce`.
  struct Reduction {
    Combining combining;
    llvm::SmallVector<Register, 2> indices, lowers, uppers;
    Sequence body;
  };

  llvm::Error addBlock(mlir::Block &block, Sequence &sequence);
  llvm::Error add(mlir::Operation *op, Sequence &sequence);
  void addCompute(mlir::Operation *op, ScalarFunction function,
                  Sequence &sequence);
  void addAccess(mlir::Operation *op, Instruction::Kind kind,
                 mlir::Value tensor, mlir::ValueRange subscripts,
                 mlir::Value fallback, mlir::ValueRange fallbackSubscripts,
                 Sequence &sequence);
  llvm::Error addReduce(ReduceOp op, Sequence &sequence);
  /// The register of a value; of a value from outside, after noting that.
  Register getRegister(mlir::Value value);
  llvm::SmallVector<Register, 2> getRegisters(mlir::ValueRange values);
  Register newRegister(mlir::Value value, Scalar scalar = makeInteger(0));

  bool run(const Sequence &sequence);
  bool reduce(const Instruction &instruction);
  bool passesFilter(const Sequence &sequence) const {
    return !sequence.filter || registers[*sequence.filter].integer != 0;
  }
  /// Position of the element, or -1 when a subscript is out of range.
  int64_t locate(const Access &access) const;
  int64_t findFault(const Instruction &gather) const;
  Scalar read(const Instruction &instruction) const;

  Sequence top;
  std::vector<Access> accesses;
  std::deque<Reduction> reductions;
  std::vector<Scalar> registers;
  llvm::DenseMap<mlir::Value, Register> registerOf;
  /// Scalars defined outside, to be looked up by `bind`.
  std::vector<std::pair<mlir::Value, Register>> captures;
  mlir::Operation *parent = nullptr;
  const Instruction *fault = nullptr;
};

} // namespace rondo::reference

#endif // RONDO_DIALECTS_RONDO_REFERENCE_BODY_H
