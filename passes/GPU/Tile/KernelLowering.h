//===- KernelLowering.h - One kernel to one launch of tiles -----*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_GPU_TILE_KERNELLOWERING_H
#define RONDO_PASSES_GPU_TILE_KERNELLOWERING_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "passes/GPU/Tile/FormsToTile.h"

namespace rondo::tile {

/// One kernel to one launch.
class KernelLowering {
public:
  KernelLowering(KernelOp kernel, int64_t warps, int64_t valueBlock)
      : kernel(kernel), warps(warps), valueBlock(valueBlock),
        context(kernel.getContext()), importer(context),
        builder(kernel.getContext()), loc(kernel.getLoc()),
        eval(context, importer, builder, loc) {}

  /// The reason why the kernel stays as it is, or nothing.
  std::string run();

  /// The last dim of the first result, if it is bound to a number.
  std::optional<int64_t> getWidth();

private:
  using Axis = TileAxis;
  bool findChunks();
  bool checkInputs();
  void createFunctions();
  void describeHost();
  bool findState(algebra::Expr expr, algebra::Expr blocked,
                 llvm::DenseSet<algebra::Expr> &seen);
  llvm::SmallVector<algebra::Expr> placeOf(const TileEvaluator::State &state);
  mlir::Value initialTile(RecurrenceOp op, unsigned number,
                          const TileEvaluator::State &state);
  mlir::Value isNull(mlir::Value memory);
  algebra::Expr outputAt(unsigned output, algebra::Expr time,
                         algebra::Expr value);
  bool emitStep(mlir::Value step, mlir::ValueRange carried,
                llvm::SmallVectorImpl<mlir::Value> &next);
  bool store(mlir::Value tile, unsigned output,
             llvm::ArrayRef<mlir::Value> indices, int64_t rowDim,
             mlir::Value rowLimit, int64_t columnDim, mlir::Value columnLimit);
  bool emitBody();
  void emitSizes();
  void emitPoint(mlir::Value point);
  Axis makeAxis(int64_t extent, mlir::Value limit);

  // LowerBlocksToTile.cpp
  bool hasBlocks();
  bool findBlocks();
  bool emitBlocks();
  bool emitBlockResult(unsigned output, mlir::Value first);
  bool isRows(mlir::Value size);
  bool fitsMemory();

  bool refuse(const llvm::Twine &why) {
    eval.fail(why);
    return false;
  }
  mlir::Value constant(int64_t value) {
    return mlir::arith::ConstantIndexOp::create(builder, loc, value);
  }
  mlir::Value size(mlir::Value kernelSize) {
    return eval.emitScalar(importer.import(kernelSize));
  }
  mlir::Value outputMemory(unsigned i) {
    return arguments[kernel.getSizes().size() + kernel.getInputs().size() + i];
  }
  int64_t memoryDim(unsigned output, unsigned returnedDim) {
    TensorSpecAttr spec = kernel.getOutput(output);
    for (unsigned d = 0; d < spec.getShape().getNumResults(); ++d)
      if (spec.getReturnedDim(d) == returnedDim)
        return d;
    llvm_unreachable("an order is a permutation");
  }

  KernelOp kernel;
  int64_t warps, valueBlock;
  algebra::Context context;
  algebra::Importer importer;
  mlir::OpBuilder builder;
  mlir::Location loc;
  TileEvaluator eval;

  bool isBlocks = false; // of rows, which are independent of one another
  llvm::SmallVector<RecurrenceOp> recurrences;
  mlir::Value numChunks; // of the kernel, or blocks
  std::string timeName;
  mlir::gpu::GPUFuncOp function;
  mlir::func::FuncOp host, bytes;
  llvm::SmallVector<mlir::Value> arguments; // of the gpu function
  llvm::SmallVector<mlir::Value> batch;     // this block's point
  llvm::SmallVector<algebra::Expr> batchLeaves;
  mlir::Value valueOffset;
  Axis steps;  // within a chunk
  Axis values; // of the last dim of results
  /// Per recurrence: which state dim is the blocked one.
  llvm::DenseMap<mlir::Operation *, unsigned> blockedDim;
};

} // namespace rondo::tile

#endif // RONDO_PASSES_GPU_TILE_KERNELLOWERING_H
