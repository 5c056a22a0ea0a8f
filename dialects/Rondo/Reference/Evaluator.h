//===- Evaluator.h - Evaluates the operations of a kernel -------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One function per operation: structure, equations and recurrences are in
// Eval.cpp, iterations and whole forms (scan, attention, convolution) in
// EvalSequence.cpp.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_DIALECTS_RONDO_REFERENCE_EVALUATOR_H
#define RONDO_DIALECTS_RONDO_REFERENCE_EVALUATOR_H

#include "dialects/Rondo/Reference/Body.h"

namespace rondo::reference {

/// A shape as it is written in messages: [2, 3].
std::string spell(llvm::ArrayRef<int64_t> shape);

class Evaluator {
public:
  Evaluator(KernelOp kernel, llvm::ArrayRef<int64_t> sizes)
      : kernel(kernel), sizes(sizes) {}

  llvm::Error setInputs(const std::map<std::string, Array> &inputs);
  llvm::Error evaluateBlock(mlir::Block &block);
  llvm::Expected<std::map<std::string, Array>> takeOutputs();

private:
  llvm::Error evaluate(mlir::Operation *op);
  llvm::Error evaluateScalar(mlir::Operation *op);
  llvm::Error evaluateRead(ReadOp op);
  llvm::Error evaluateInitial(InitialOp op);
  llvm::Error evaluateEquation(EquationOp op);
  llvm::Error evaluateReduction(EquationOp op, Body &body,
                                llvm::ArrayRef<int64_t> lowers,
                                llvm::ArrayRef<int64_t> uppers, Scalar &result);
  llvm::Error evaluateRecurrence(RecurrenceOp op);
  llvm::Error evaluateIterate(IterateOp op);
  llvm::Error evaluateScan(ScanOp op);
  llvm::Error evaluateAttention(AttentionOp op);
  llvm::Error evaluateConvolution(ConvolutionOp op);
  llvm::Error evaluateTriangularSolve(TriangularSolveOp op);

  /// Gives every tensor that a region defines its shape, and NaN everywhere.
  llvm::Error prepareBlock(mlir::Block &block);
  llvm::Error prepare(mlir::Operation *op);
  llvm::Error prepareRecurrence(RecurrenceOp op);
  llvm::Error prepareIterate(IterateOp op);
  /// The same for the results of one operation, which have these extents.
  llvm::Error prepareAttention(AttentionOp op);
  llvm::Error prepareResults(mlir::Operation *op, mlir::ValueRange results,
                             mlir::ValueRange extents);
  llvm::Error resize(mlir::Operation *op, Array &array,
                     llvm::ArrayRef<int64_t> shape);

  /// The compiled form of a region, bound to the values from outside.
  llvm::Expected<Body *> bindBody(mlir::Region &region);
  llvm::Expected<llvm::SmallVector<int64_t>>
  getIntegers(mlir::Operation *op, mlir::ValueRange values);
  /// A tensor that must have a value of this shape.
  llvm::Expected<const Array *> getTensor(mlir::Operation *op,
                                          mlir::Value value,
                                          llvm::ArrayRef<int64_t> shape);

  KernelOp kernel;
  llvm::ArrayRef<int64_t> sizes;
  Environment environment;
  std::deque<Array> inputArrays;
  llvm::DenseMap<mlir::Region *, std::unique_ptr<Body>> bodies;
};

} // namespace rondo::reference

#endif // RONDO_DIALECTS_RONDO_REFERENCE_EVALUATOR_H
