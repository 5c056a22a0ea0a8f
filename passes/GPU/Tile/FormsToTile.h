//===- FormsToTile.h - Equations over chunks to programs on tiles -*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What is computed, is computed on demand: the outputs at chunk c, and the next
// states, are evaluated at tiles. An expression at (rows, columns) becomes
//
//   reads of arguments      loads of the tile that the subscripts run over
//   reads of equations      their expressions, evaluated once per place
//   reads of a state at c-1 the tile that the loop over chunks carries
//   reads of final values   those of a loop, emitted where it is asked for
//   sums of products        dots
//   scans of products       tile.scan and tile.segment_product
//   sums weighed by those   tile.segment_dot
//   triangular systems      tile.invert and a dot
//   everything else         maps
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_GPU_TILE_FORMSTOTILE_H
#define RONDO_PASSES_GPU_TILE_FORMSTOTILE_H

#include "dialects/Tile/IR/TileOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"
#include "passes/Algebra/Expr.h"
#include <map>
#include <string>

namespace rondo::tile {

/// A dim of a tile: an index that runs over `extent` places from `offset`.
struct TileAxis {
  algebra::Expr leaf = nullptr; // the index; null for a dim of 1
  int64_t extent = 1;
  mlir::Value offset; // null for 0
  mlir::Value limit;  // of the index, behind which there is nothing
  bool isNone() const { return !leaf; }
};

inline TileType tileOf(mlir::Value value) {
  return llvm::cast<TileType>(value.getType());
}
inline TileType makeType(mlir::MLIRContext *context, int64_t rows,
                         int64_t columns, mlir::Type element) {
  return TileType::get(context, rows, columns, element, Layout::Any);
}

/// Evaluates expressions at tiles. Failure is remembered with the first
/// reason; values are null then.
class TileEvaluator {
public:
  TileEvaluator(algebra::Context &context, algebra::Importer &importer,
                mlir::OpBuilder &builder, mlir::Location loc)
      : context(context), importer(importer), builder(builder), loc(loc) {}

  algebra::Context &context;
  algebra::Importer &importer;
  mlir::OpBuilder &builder;
  mlir::Location loc;

  /// What kernel tensors and scalars are in the function.
  mlir::IRMapping function;
  /// Indices that have one value in a step: batch and chunk.
  llvm::DenseMap<algebra::Expr, mlir::Value> fixed;
  algebra::Expr chunk = nullptr; // the index of chunks
  mlir::Value numSteps;          // the size of time
  int64_t chunkSize = 0;
  llvm::SmallVector<RecurrenceOp> recurrences;
  /// The states at the start of the chunk, by recurrence and member: tiles
  /// with the state's dims as rows and columns, with its axes. Rows are dim
  /// `rowDim`.
  struct State {
    mlir::Value tile;
    TileAxis rows, columns;
    unsigned rowDim = 0;
  };
  std::map<std::pair<mlir::Operation *, unsigned>, State> states;
  /// Recurrences within a step become loops when their final values are read.
  /// Their first dim is the step's rows.
  TileAxis rowsHere;
  std::map<std::pair<mlir::Operation *, unsigned>, State> finals;
  /// The results' last dim where a block has all of it: what is summed over it
  /// is the tile that is stored.
  TileAxis whole;
  /// bf16 operands of dots, where f32 would be three times the work.
  bool rounds = false;
  std::string reason;

  mlir::Value evaluate(algebra::Expr expr, const TileAxis &rows,
                       const TileAxis &columns);
  mlir::Value broadcast(mlir::Value tile, int64_t rows, int64_t columns);
  mlir::Value roundTo(mlir::Value tile, mlir::Type element);
  /// One of two tiles by a condition that is the same for all of it.
  mlir::Value choose(mlir::Value condition, mlir::Value a, mlir::Value b);
  mlir::Value emitScalar(algebra::Expr expr);
  /// A tile of an argument. With `mayTurn` a matrix is loaded along its
  /// innermost dim and transposed.
  mlir::Value load(algebra::Expr read, const TileAxis &rows,
                   const TileAxis &columns, bool mayTurn = true);
  /// Forgets what was computed for the chunk before.
  void startChunk() { known.clear(); }
  mlir::Value fail(const llvm::Twine &why) {
    if (reason.empty())
      reason = why.str();
    return {};
  }
  static bool uses(algebra::Expr expr, algebra::Expr leaf);

private:
  using Key = std::tuple<algebra::Expr, algebra::Expr, algebra::Expr>;

  /// A sum over one index as the product that it is.
  struct Product {
    TileAxis depth;
    algebra::Expr left = nullptr, right = nullptr; // over (rows, depth) and
                                                   // (depth, columns)
    algebra::Expr outer = nullptr;                 // without the index; or null
  };
  std::optional<TileAxis> depthOf(algebra::Expr sum);
  llvm::SmallVector<algebra::Expr> splitFactors(algebra::Expr term);
  algebra::Expr productOf(llvm::ArrayRef<algebra::Expr> factors);
  std::pair<llvm::SmallVector<algebra::Expr>, algebra::Expr>
  factorOut(algebra::Expr expr, algebra::Expr step, algebra::Expr other);
  bool dependsOnStates(algebra::Expr expr);
  mlir::Value multiply(mlir::Value tile, mlir::Value scale);
  algebra::Expr joinFactors(algebra::Expr expr, const TileAxis &rows,
                            const TileAxis &columns);
  void endFactors(algebra::Expr &left, algebra::Expr right,
                  const TileAxis &depth);
  std::optional<Product> matchProduct(algebra::Expr sum, const TileAxis &rows,
                                      const TileAxis &columns);
  mlir::Value emitProduct(const Product &product, const TileAxis &rows,
                          const TileAxis &columns, mlir::Value accumulator);
  std::pair<mlir::Value, bool> evaluateOperand(algebra::Expr expr,
                                               const TileAxis &rows,
                                               const TileAxis &columns,
                                               bool isLeft);
  int turnedReads(algebra::Expr expr, algebra::Expr rows,
                  algebra::Expr columns);
  mlir::Value evaluateRead(algebra::Expr read, const TileAxis &rows,
                           const TileAxis &columns);
  mlir::Value evaluateReduce(algebra::Expr sum, const TileAxis &rows,
                             const TileAxis &columns);
  // FormsToTileScans.cpp
  struct Products {
    algebra::Expr place;    // up to here
    bool exclusive;         // without the place itself
    bool reversed;          // from the end down to the place
    algebra::Expr step;     // an index of the factors
    algebra::Expr factor;   // at the step
    algebra::Expr from = nullptr;   // factors behind this step only
    algebra::Expr column = nullptr; // of factors that are a matrix
  };
  std::optional<Products> matchProducts(algebra::Expr read);
  mlir::Value evaluateFactors(const Products &products,
                              const TileAxis &columns);
  algebra::Expr dropEnds(algebra::Expr expr);
  algebra::Expr meaningOf(algebra::Expr expr);
  algebra::Expr joinSteps(algebra::Expr expr);
  mlir::Value evaluateScan(algebra::Expr read, const TileAxis &rows,
                           const TileAxis &columns);
  mlir::Value evaluateSegmentDot(algebra::Expr sum, const TileAxis &rows,
                                 const TileAxis &columns,
                                 algebra::Expr &outer);
  mlir::Value evaluateSum(algebra::Expr sum, const TileAxis &rows,
                          const TileAxis &columns);
  mlir::Value evaluatePointwise(algebra::Expr expr, const TileAxis &rows,
                                const TileAxis &columns);
  mlir::Value readState(const State &state, llvm::ArrayRef<algebra::Expr> place,
                        const TileAxis &rows, const TileAxis &columns);
  // FormsToTileLoops.cpp
  algebra::Expr stepOf(RecurrenceOp recurrence);
  bool isInner(RecurrenceOp recurrence);
  bool emitLoop(RecurrenceOp recurrence,
                llvm::ArrayRef<algebra::Expr> batch);
  mlir::Value evaluateFinal(algebra::Expr read, RecurrenceOp recurrence,
                            unsigned member, const TileAxis &rows,
                            const TileAxis &columns);
  mlir::Value sizeOf(mlir::Value memory, int64_t dim);
  bool isSizeOf(algebra::Expr size, mlir::BlockArgument input, unsigned dim);
  bool isScalarRead(algebra::Expr read);
  mlir::Value emitScalarRead(algebra::Expr read);
  bool isInTile(algebra::Expr expr) {
    return uses(expr, places.first) || uses(expr, places.second);
  }

  mlir::Value atRecurrence(algebra::Expr read, RecurrenceOp recurrence,
                           unsigned member, const TileAxis &rows,
                           const TileAxis &columns);
  /// The expression that a read of an equation stands for, or null.
  algebra::Expr inlined(algebra::Expr read);
  algebra::Expr simplify(algebra::Expr expr);
  std::optional<double> valueBehind(algebra::Expr expr, algebra::Expr place,
                                    algebra::Expr end);
  algebra::Expr dropGuards(algebra::Expr expr);
  mlir::Value emitIn(mlir::OpBuilder &inside, algebra::Expr expr,
                     llvm::DenseMap<algebra::Expr, mlir::Value> &values);

  std::pair<algebra::Expr, algebra::Expr> places; // in the tile of a map
  std::map<Key, mlir::Value> known;
  std::map<std::pair<Key, void *>, mlir::Value> loads;
};

} // namespace rondo::tile

#endif // RONDO_PASSES_GPU_TILE_FORMSTOTILE_H
