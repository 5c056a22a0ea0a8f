//===- EmitThreads.h - From tiles to what each thread does ------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every thread of the block executes the same code on its own elements. The
// emitter goes through a function once, in order, and puts scalar code in front
// of every operation of the tile dialect. `Parts` says what a tile has become:
//
//   accumulator  warps form a grid, `Grid` in all; a warp's elements are
//                numbered [block of 16 rows][block of 8 columns][4], where the
//                four are (g, 2q), (g, 2q+1), (g+8, 2q), (g+8, 2q+1) for
//                g = lane / 4 and q = lane mod 4
//   operand      [plane][block of 16 rows][block of 16 columns][4] of packed
//                pairs, as mma.sync wants its left operand
//   lanes        element 32 i + lane in value i
//   slice        [block of 16 rows][2]: rows g and g+8, as an accumulator has them
//   uniform      one value
//   shared       a place in shared memory; planes of bf16 whose sum is meant
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_GPU_TILE_EMITTHREADS_H
#define RONDO_PASSES_GPU_TILE_EMITTHREADS_H

#include "dialects/Tile/IR/TileOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "passes/GPU/Tile/Instructions.h"
#include <map>

namespace rondo::tile {

/// How warps share the elements of a matrix in layout `accumulator`.
struct Grid {
  int64_t rows, columns;           // of warps
  int64_t rowBlocks, columnBlocks; // per warp, of 16 and of 8
  Grid(TileType type, int64_t warps);
  /// Why the tile can't be shared out, or null.
  static const char *check(TileType type, int64_t warps);
};

/// Products of a matrix of factors down the rows.
struct RowProducts {
  /// [block of 16 rows][column] of f32 in shared memory: over whole blocks; then
  /// a row of ones. Negative: not yet.
  int64_t table = -1;
  /// Elements times the products within blocks, by what is weighed.
  std::map<std::pair<const void *, unsigned>, Values> reached;
  Values &at(mlir::Value weighed, bool reversed, bool exclusive) {
    return reached[{weighed.getAsOpaquePointer(), 2 * reversed + exclusive}];
  }
};

struct Parts {
  TileType type;
  Values values;      // in registers
  mlir::Value offset; // shared: in bytes; vectors: where else they are
  bool transposed = false; // shared: stored with rows and columns exchanged
  int64_t storedRows() const {
    return transposed ? type.getColumns() : type.getRows();
  }
  int64_t storedColumns() const {
    return transposed ? type.getRows() : type.getColumns();
  }
};

/// 16 rows and 16 columns as mma.sync takes them from the left, in two parts
/// whose sum is meant.
struct OperandBlock {
  Values large, small;
};

/// Planes of bf16 that hold an element.
int64_t getPlanes(mlir::Type element);

/// Where the elements of a tile are in global memory.
struct Place {
  mlir::Value pointer; // of element (0, 0)
  mlir::Value rowStride, columnStride; // i64, in bytes
  bool unitColumns; // columnStride is one element
  mlir::Value rowLimit, columnLimit;   // i32
  mlir::Type element;
};

/// Whether copies around the operation may be made by stores.
bool hasStoringCopies(mlir::Operation *op);

mlir::Value combine(Instructions &at, Combiner combiner, mlir::Value a,
                    mlir::Value b);

/// On copies and stores: pieces of 16 bytes along the innermost dim are aligned,
/// and no limit cuts it.
constexpr llvm::StringLiteral kWhole = "tile.whole";

/// Of tiles: 8 rows of 128 bytes are permuted among themselves.
constexpr int64_t kSharedAlignment = 1024;

class ThreadEmitter {
public:
  /// `warpgroups`: the chip multiplies by groups of four warps.
  ThreadEmitter(mlir::gpu::GPUFuncOp function, int64_t warps, bool warpgroups);

  /// Returns the bytes of shared memory that the function needs.
  mlir::FailureOr<int64_t> run();

private:
  mlir::LogicalResult emitBlock(mlir::Block &block);
  mlir::LogicalResult emitOp(mlir::Operation &op);
  mlir::LogicalResult emitFor(mlir::scf::ForOp loop);

  // EmitGroups.cpp
  struct Ring {
    int64_t offset = 0, places = 0; // of its barriers, in shared memory
    bool isCopied = false;          // filled by copies
    bool isReadByThreads = false;   // not only by dots
  };
  mlir::LogicalResult emitGroups(GroupsOp op);
  void emitRing(RingOp op);
  mlir::Value barrierOf(const Ring &ring, RingState state, mlir::Value item,
                        mlir::Value &place, mlir::Value &turn);
  void emitAwait(AwaitOp op);
  void emitMark(MarkOp op);
  void emitPut(PutOp op);

  // EmitMemory.cpp
  template <typename Op> Place getPlace(Op op);
  void emitLoad(LoadOp op);
  void emitStore(StoreOp op);
  void emitCopy(CopyOp op);
  void loadIntoShared(const Place &place, const Parts &target);
  /// The pointer to element (row, column).
  mlir::Value pointerTo(const Place &place, mlir::Value row, mlir::Value column);
  mlir::Value loadElement(const Place &place, mlir::Value row,
                          mlir::Value column);
  void storeElement(const Place &place, mlir::Value row, mlir::Value column,
                    mlir::Value value);
  mlir::Value isAligned(const Place &place, mlir::Value stride);
  void storePiece(const Place &place, mlir::Value present, mlir::Value aligned,
                  mlir::Value offset, mlir::Value room,
                  llvm::function_ref<mlir::Value(mlir::Value)> pointer);
  void storeWords(mlir::Value present, mlir::Value offset, int64_t further,
                  mlir::Value pointer);
  Values packedPairs(const Parts &parts, mlir::Type element);
  void storeRows(const Place &place, const Parts &parts, bool isWhole);
  void storeColumns(const Place &place, const Parts &parts, bool isWhole);
  void copyWords(const Place &place, const Parts &target);
  Parts readStage(const Parts &buffer, TileType type, mlir::Value stage);
  void copyPieces(const Place &place, const Parts &target, bool whole);

  // EmitTiles.cpp
  void emitMap(MapOp op);
  void emitDot(DotOp op);
  void emitConvert(ConvertOp op);
  void emitReduce(ReduceOp op);
  void emitScan(ScanOp op);
  void emitSegmentProduct(SegmentProductOp op);

  // EmitRowProducts.cpp
  void climb(int64_t level, Values &totals, llvm::MutableArrayRef<Values> up,
             llvm::MutableArrayRef<Values> down);
  std::pair<Values, llvm::SmallVector<Values, 2>>
  loadBlock(mlir::Value value, int64_t b, int64_t n);
  void storeTotals(RowProducts &products, TileType type,
                   llvm::ArrayRef<llvm::SmallVector<Values>> totals);
  mlir::Value placeOfTotals(const RowProducts &products, TileType type,
                            mlir::Value block, mlir::Value condition);
  Values placesBeside(const RowProducts &products, TileType type,
                      mlir::Value block, bool behind);
  Values placesBetween(const RowProducts &products, TileType type,
                       mlir::Value block, int64_t level);
  Values totalsAt(TileType type, llvm::ArrayRef<mlir::Value> places, int64_t n);
  const Values &reach(mlir::Value factors, mlir::Value weighed, bool reversed,
                      bool exclusive);
  Values weigh(ScanOp scan, mlir::Value weighed);
  void scanRows(ScanOp op);
  bool mapWeighs(MapOp op);
  int64_t tableOf(mlir::Value factors);
  void extractRow(ExtractOp op);
  // EmitSegmentDot.cpp
  llvm::SmallVector<SegmentDotOp> sumsBeside(SegmentDotOp first);
  void emitSegmentDot(SegmentDotOp op);
  Values gatherBlocks(TileType type, const Parts &left, const Parts &right,
                      int64_t tileBytes, int64_t diagonal, int64_t partBytes,
                      int64_t parts);
  void emitInvert(InvertOp op);     // EmitInverse.cpp
  // EmitSlices.cpp
  void reduceToSlice(ReduceOp op);
  mlir::Value sliceRow(const Grid &grid, int64_t number);
  Values toSlice(const Parts &vector);
  Values toLanes(const Parts &vector);
  void storeSlice(const Place &place, const Parts &parts);
  void invertBlock(mlir::Value block, const Parts &diagonal, mlir::Value row);
  bool emitGroupDot(DotOp op);
  std::optional<SharedOperand> describe(const Parts &tile, bool turned,
                                        mlir::Value first, int64_t count);
  void multiplyBlock(const OperandBlock &left, const Parts &tile,
                     mlir::Value row, mlir::Value piece, int64_t constant,
                     int64_t further, bool turned, Values &sum);
  mlir::Value leftRow(const Grid &grid, bool turned);
  mlir::Value leftPiece(const Grid &grid, bool turned);
  Values loadLeft(const Parts &source, const Grid &grid, mlir::Value row,
                  mlir::Value piece, int64_t b, int64_t k, int64_t plane,
                  bool turned);
  Values sharedBlock(const Parts &source, const Grid &grid, int64_t b,
                     int64_t n, llvm::SmallVectorImpl<Values> *packed);
  void storeBlockRow(const Parts &target, int64_t b,
                     llvm::ArrayRef<mlir::Value> values, int64_t further);
  Parts toShared(const Parts &source);
  Parts toOperand(const Parts &source);
  /// Elements as an accumulator has them.
  Values elementsOf(const Parts &source, TileType like);
  Values mapElement(MapOp op, llvm::ArrayRef<mlir::Value> inputs,
                    mlir::Value row, mlir::Value column);
  /// Element `position` (i32, in range) of a vector in lanes, plus a constant.
  mlir::Value laneElement(const Parts &vector, mlir::Value position,
                          int64_t constant);

  // Places of a thread's elements.
  mlir::Value warpRow(const Grid &grid);
  mlir::Value warpColumn(const Grid &grid);
  /// Row g + 16 (rows of warps before) and column 2 q + .., of element 0.
  mlir::Value firstRow(const Grid &grid);
  mlir::Value firstColumn(const Grid &grid);
  static int64_t rowOf(const Grid &grid, int64_t block, int64_t element) {
    return 16 * grid.rows * block + 8 * (element / 2);
  }
  static int64_t columnOf(int64_t block, int64_t element) {
    return 8 * block + element % 2;
  }
  /// Byte offset of piece `piece ^ constant` of row `row` of a tile; rows that
  /// are multiples of 8 further down add `pitch` each.
  mlir::Value pieceOffset(const Parts &tile, mlir::Value row,
                          mlir::Value piece, int64_t constant);
  /// Wide tiles are slabs of 64 columns, one behind the other, as wgmma wants
  /// them.
  static int64_t pitch(const Parts &tile) {
    int64_t columns = tile.storedColumns();
    return columns % 64 ? 2 * columns : 128;
  }
  static int64_t slabBytes(const Parts &tile) {
    return tile.storedRows() * pitch(tile);
  }
  static int64_t planeBytes(const Parts &tile) {
    return 2 * tile.storedRows() * tile.storedColumns();
  }

  /// Memory that was released is given again, behind a barrier. `ofWarps`: each
  /// warp reads only what it writes itself.
  int64_t allocate(int64_t bytes, bool ofWarps = false);
  void release(int64_t offset, int64_t bytes);
  void releaseOperands(mlir::Operation &op);
  void releaseBuffers(mlir::Operation &op);
  Parts allocateShared(TileType type);
  /// `byDots`: what was stored is read by dots, not only by threads.
  void written(bool byDots = true) {
    dirty = true;
    unordered |= byDots;
  }
  /// A barrier if shared memory was written since the last one.
  void synchronize();
  /// Behind it products that were begun have been computed, and have read what
  /// they read.
  void barrier();
  /// Waits for products up to group `last`.
  void finishDots(int64_t last);
  void finishOperands(mlir::Operation &op);

  void set(mlir::Value value, Parts parts) { known[value] = std::move(parts); }
  Parts &get(mlir::Value value) { return known.find(value)->second; }

  mlir::gpu::GPUFuncOp function;
  int64_t warps;
  bool warpgroups;
  mlir::OpBuilder builder;
  Instructions at;
  mlir::Value thread, lane, warp, group, quad, lane7, lane15, lane8, lane16;
  llvm::DenseMap<mlir::Value, Parts> known;
  llvm::DenseMap<mlir::Value, Ring> rings;
  llvm::DenseMap<mlir::Value, RowProducts> rowProducts;
  llvm::SmallVector<mlir::Operation *> done;
  int64_t sharedBytes = 0;
  struct Released {
    int64_t offset, bytes;
    int64_t barriers; // that there had been
  };
  llvm::SmallVector<Released> released;
  /// Tiles with memory of their own: where, and uses that are left.
  struct Owned {
    int64_t offset, bytes, uses;
  };
  llvm::DenseMap<mlir::Value, Owned> owned;
  /// Buffers by the last operation in their block that uses them.
  struct Buffer {
    mlir::Operation *last;
    int64_t offset, bytes;
  };
  llvm::SmallVector<Buffer> buffers;
  /// Dots in flight, and the last group of each.
  struct Running {
    mlir::Value result;
    int64_t group;
  };
  llvm::SmallVector<Running> running;
  int64_t lastOffset = 0; // of the last allocation
  /// How often threads have met, or have had memory to do so.
  int64_t numExchanges = 0;
  bool dirty = false;
  bool unordered = false; // stores since the last barrier that orders them
};

} // namespace rondo::tile

#endif // RONDO_PASSES_GPU_TILE_EMITTHREADS_H
