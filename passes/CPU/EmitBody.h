//===- EmitBody.h - Emit the scalar code of a nest for a tile ---*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Clones the ops of a nest's body where the loops want them: every op at the
// outermost loop whose index it does not depend on, once for every point of the
// tile that makes a difference to it, as scalar or vector code.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_CPU_EMITBODY_H
#define RONDO_PASSES_CPU_EMITBODY_H

#include "passes/CPU/ChooseTile.h"

namespace rondo::cpu {

/// A point of the tile: which row, which vector, which split.
struct TilePoint {
  unsigned row = 0, vector = 0, split = 0;
};

/// How the loop of a dim runs at the moment: the tile has `count` points along
/// the dim from `index` on, `step` elements apart.
struct DimState {
  mlir::Value index;
  unsigned count = 1;
  int64_t step = 1;
};

class BodyEmitter {
public:
  BodyEmitter(mlir::OpBuilder &builder, const LoopNest &nest, const Tile &tile,
              const Lanes *lanes);

  /// Emits what depends on no index.
  void emitPrologue();
  /// Sets the loop state of a dim. `mask` (with the vector dim only) tells the
  /// lanes that count; `scalar` asks for scalar code in the loop's body.
  void enterDim(unsigned dim, DimState state, mlir::Value mask = {},
                bool scalar = false);
  /// Emits the ops whose innermost loop is the one at `position` in the order.
  void emitOps(int position);
  /// Some op is hoisted that must not run when the nest has no iteration.
  bool needsGuard() const;

  /// Calls `fn` for the points of the tile that differ in one of `dims`.
  void forEachPoint(DimSet dims, llvm::function_ref<void(TilePoint)> fn) const;

  /// The value at a point: a vector where it is computed as one.
  mlir::Value getValue(mlir::Value value, TilePoint point);
  /// In lane 0.
  mlir::Value getScalar(mlir::Value value, TilePoint point);
  void setAccumulator(const Output &output, TilePoint point, mlir::Value value);
  /// Forgets the old values of the outputs, which are loaded on demand.
  void clearAccumulators();

  mlir::Value loadOutput(const Output &output, TilePoint point);
  void storeOutput(const Output &output, TilePoint point, mlir::Value value);

  /// Stores one vector per row so that rows become lanes.
  void storeTransposed(const Output &output,
                       llvm::SmallVector<mlir::Value> rows);

  bool isVector() const { return tile.vectorDim >= 0 && !scalarMode; }
  mlir::Value getIndex(unsigned dim) const { return states[dim].index; }
  const DimState &getState(unsigned dim) const { return states[dim]; }
  mlir::Value getMask() const { return mask; }
  unsigned getCount(int dim) const { return dim < 0 ? 1 : states[dim].count; }

private:
  /// What a value is at one point of the tile, as far as it is needed.
  struct LaneValues {
    mlir::Value scalar; // lane 0
    mlir::Value last;   // the last lane
    mlir::Value vector;
  };
  struct FlatView {
    mlir::Value memref; // [span], stride 1
    llvm::SmallVector<mlir::Value> strides;
  };

  std::pair<mlir::Value, unsigned> getKey(mlir::Value value,
                                          TilePoint point) const;
  mlir::Value getLast(mlir::Value value, TilePoint point);
  mlir::Value getVector(mlir::Value value, TilePoint point);
  bool isOutside(mlir::Value value) const;
  const Output *findOutput(mlir::Value accumulator) const;

  void emitOp(mlir::Operation *op, TilePoint point);
  void emitIndex(mlir::linalg::IndexOp op, TilePoint point);
  void cloneScalar(mlir::Operation *op, TilePoint point);
  mlir::Value cloneLast(mlir::Operation *op, TilePoint point);
  mlir::Value cloneVector(mlir::Operation *op, TilePoint point);
  mlir::Value emitRange(const Lanes::RangeCompare &range, TilePoint point,
                        mlir::Location loc);
  mlir::Value emitLoad(mlir::Value memref, mlir::ValueRange subscripts,
                       TilePoint point);
  mlir::Value emitGather(mlir::Value memref, mlir::ValueRange subscripts,
                         TilePoint point);
  /// Position of an access in the flat view of its memref: a scalar and a
  /// vector part.
  std::pair<mlir::Value, mlir::Value>
  flatten(const FlatView &view, mlir::ValueRange subscripts, TilePoint point);
  void createFlatView(mlir::Value memref);

  mlir::Value broadcast(mlir::Value scalar);
  mlir::Value constantIndex(int64_t value);
  mlir::Value addIndex(mlir::Value value, int64_t offset);
  mlir::VectorType getVectorType(mlir::Type type) const;
  mlir::Value getFullMask();

  mlir::OpBuilder &builder;
  const LoopNest &nest;
  const Tile &tile;
  const Lanes *lanes; // null if there is no vector dim
  llvm::SmallVector<DimState> states;
  mlir::Value mask;
  bool scalarMode = false;
  /// Ops by the position of their innermost loop, plus one.
  llvm::SmallVector<llvm::SmallVector<mlir::Operation *>> opsAt;
  llvm::DenseMap<std::pair<mlir::Value, unsigned>, LaneValues> values;
  llvm::DenseMap<mlir::Value, FlatView> flatViews;
};

} // namespace rondo::cpu

#endif // RONDO_PASSES_CPU_EMITBODY_H
