//===- ChannelEmitter.h - Writing kernels by channel ------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the kernels of ChannelKernel.h have in common, private to them.
//
//   PointEmitter.h         expressions, the functions
//   ChannelEmitter.cpp     places, steps
//   ChannelSequential.cpp  one step after the other
//   ChannelScan.cpp        composed maps
//   ChannelNewton.cpp      linearised segments
//   ChannelGuess.cpp       windows side by side
//   ChannelCopies.cpp      their arguments on the way
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_FORMS_CHANNELEMITTER_H
#define RONDO_PASSES_FORMS_CHANNELEMITTER_H

#include "passes/Forms/ChannelKernel.h"
#include "passes/Forms/PointEmitter.h"
#include <deque>

namespace rondo {

class ChannelEmitter : PointEmitter {
public:
  using Values = PointEmitter::Values;

  ChannelEmitter(algebra::Context &context, ChannelStructure &structure,
                 ChannelParameters parameters);
  void createKernel(llvm::StringRef name);
  void createHost(std::deque<ChannelEmitter> &kernels);
  /// The kernel in front of this one.
  void setGuess(ChannelEmitter &kernel) {
    guess = kernel.p;
    guessKernel = &kernel;
  }
  void run();

private:
  /// A step that a thread computes.
  struct Step {
    Value isValid;            // it is not behind the end; null: surely
    Value time;               // a time of the sequence, whether or not it is
    Value place;              // the same, if it is not behind the end
    Scope scope;              // what depends on no state and no private point
    std::deque<Scope> points; // one per private point of the thread
  };

  bool dependsOnTime(Expr expr) const { return dependsOn(expr, s.time); }
  bool dependsOnPrivate(Expr expr) const;
  bool dependsOnChannel(Expr expr) const;

  // The kernel.
  int64_t getNumThreads() const {
    return p.channels *
           (p.form == ChannelForm::Sequential ? p.lanes : p.segments);
  }
  Value emitNumChannels(Scope &scope);
  mlir::gpu::LaunchFuncOp emitLaunch(mlir::ImplicitLocOpBuilder &at,
                                     Value points, Value channels,
                                     Value windows,
                                     mlir::ValueRange operands);
  void emitLaunches(mlir::ImplicitLocOpBuilder &at, Value points,
                    Value channels, Value steps, mlir::ValueRange operands);
  Value emitWorkspaceBytes(const ChannelParameters &parameters);
  void enterBlock();
  void emitPlace();
  void unravel(Value flat, llvm::ArrayRef<unsigned> dims, Scope &scope);
  llvm::SmallVector<unsigned> dimsOf(bool isPrivate) const;
  void collectReads();
  Values emitInitials(); // [state][point]
  Step &emitStep(Value number, bool isWhole);
  Value timeOf(Value number);
  Value timeOf(Value number, bool isWhole);
  Values emitNew(Step &step, mlir::ValueRange before);
  /// Binds states of a step and those before it, [state][point].
  void bindStates(Step &step, mlir::ValueRange before, mlir::ValueRange now);
  void emitWide(Step &step);
  void emitNarrow(llvm::ArrayRef<Step *> steps);
  void emitStore(const ChannelStructure::Result &result, Step &step,
                 Scope &scope, Value value, Value isOwn);
  void emitFinals(mlir::ValueRange states, Value isOwn);

  // One step after the other.
  struct Tile {
    Expr read;
    Value memory; // [2][steps][width]
    int64_t width;
    bool isOfChannel; // else of the private points
  };
  void emitSequential();
  Values emitSteps(Value first, Value count, mlir::ValueRange states,
                   bool hasWhole);
  void planReads();
  Values emitBlock(Value first, Value buffer, llvm::ArrayRef<Value> raws,
                   bool isWhole, mlir::ValueRange before);
  void emitSums(Value first, Value buffer, bool isWhole,
                llvm::ArrayRef<llvm::SmallVector<Value>> partial);
  void bindRaws(Step &step, llvm::ArrayRef<Value> raws);
  void bindBlock(Step &step, Value u, Value buffer);
  struct TileLoad {
    unsigned tile;
    Value u, column, isInside; // null: surely
    std::unique_ptr<Scope> scope;
  };
  std::vector<TileLoad> planTiles();
  void emitDirect(Value first, int64_t u, bool isWhole,
                  llvm::SmallVectorImpl<Value> &raws);
  llvm::SmallVector<Value> emitLoads(llvm::ArrayRef<TileLoad> loads,
                                     Value first, bool isWhole);
  void emitPrefetch(Value first, Value number, int64_t threads);
  void storeTiles(llvm::ArrayRef<TileLoad> loads, llvm::ArrayRef<Value> raws,
                  Value first, Value buffer);
  Expr arrange(Expr expr);

  // Windows.
  void emitScan();
  void emitNewton();
  /// What the segments of a block share, and where the thread's is in it.
  struct Segments {
    Values carry;        // states before the window, [channel]
    Values ends, slopes; // states at the end, derivatives, [segment][channel]
    Values maps;         // in two buffers
    Value marks;         // whether something is bad, [2][segment]
    Value isFirst, isLast;
    Values own, before;
  };
  struct Window {
    Value blocks, start, size; // of a segment; the thread's; of all
  };
  Segments createSegments();
  Window emitWindowSize(Value left, bool areWhole);
  Value emitQuickWindows(const Segments &at, Value done, Value goesOn);
  void emitNewtonWindows(const Segments &at, Value done);
  std::pair<Values, Value> emitCorrections(const Segments &at, Value first,
                                           Value blocks,
                                           mlir::ValueRange starts);
  std::pair<Value, Value> countBad(const Segments &at, Value parity,
                                   Value isBad);
  Values emitSweep(Value first, Value count, bool isWhole, bool goesOn,
                   llvm::SmallVectorImpl<Value> &raws, mlir::ValueRange states,
                   llvm::function_ref<Values(Step &, Values)> emitNext);
  Values emitResults(Value first, Value blocks, bool isWhole,
                     llvm::SmallVectorImpl<Value> &raws,
                     mlir::ValueRange states);

  // Windows side by side.
  void emitGuess();
  Value emitGuessed(const Segments &at);
  std::pair<Value, Value> emitWindows(const ChannelParameters &guess,
                                      Value points, Value channels,
                                      Value steps);
  int64_t getRecordBytes(const ChannelParameters &guess) const;
  Value emitRecordBytes(const ChannelParameters &guess, Value points,
                        Value channels, Value steps);
  Value emitRecord(const ChannelParameters &guess, Value tile, Value window,
                   Value windows);
  Value placeInRecord(const ChannelParameters &guess, Value record, bool isEnd,
                      unsigned i, Value channel);

  // Arguments on their way.
  /// What a lane copies of a read: `piece` bytes from `source`, which is at
  /// time 0, and `u` strides on, to `place` in the first slot; then what lies
  /// `count` steps further on.
  struct Row {
    Value memory, source, stride, place, u;
    Value isThere; // null: every lane copies something
    int64_t element, piece, bytesOfSlot, count;
  };
  struct Copies {
    int64_t blocks = 0, bytes = 0;
    bool canBeOfElements = true;
    llvm::SmallVector<Row> rows; // of `direct`
  };
  /// Where a thread is: addresses behind what is copied, and of the results of
  /// its next step, if there are any; the slot of its next block, how many
  /// blocks are still to be copied, and how many of them for the last time.
  struct Ahead {
    Values sources, targets, targetStrides;
    Value slot, left, last;
  };
  int64_t getRowElement(Expr read);
  void planCopies();
  Value createCopies(bool byRows);
  Value hide(Value index);
  Value pointerTo(Value address, unsigned space);
  std::pair<Value, Value> emitAddress(Value tensor, mlir::ValueRange place,
                                      llvm::ArrayRef<bool> isTime);
  void emitKeeps(llvm::ArrayRef<Value> sources);
  void emitCopies(Ahead &ahead, Value slot);
  Ahead startCopies(Value first, Value before, Value count);
  void startResults(Ahead &ahead, Value first);
  void emitResultsAt(Ahead &ahead, Step &step);
  Values emitCopiedSweep(Value first, Value count, Ahead &ahead,
                         mlir::ValueRange states);
  Values placeOf(const ChannelStructure::Result &result, Value time,
                 Scope &scope);
  Values emitSlope(Step &step, Values before);
  Values emitPrefix(const Segments &at, Values map);
  Values emitStart(const Segments &at);
  Values emitDefects(const Segments &at, mlir::ValueRange states);
  Value emitIsBad(mlir::ValueRange defects, mlir::ValueRange states);
  void emitMark(Value marks, mlir::ValueRange place, int32_t value);
  Value isMarked(Value marks, mlir::ValueRange place);
  void storeAll(llvm::ArrayRef<Value> to, mlir::ValueRange values,
                mlir::ValueRange at);
  Values loadAll(llvm::ArrayRef<Value> from, mlir::ValueRange at);
  Values composeAffine(mlir::ValueRange later, mlir::ValueRange earlier,
                       unsigned n);
  Values applyAffine(mlir::ValueRange map, mlir::ValueRange x, unsigned n);

  ChannelStructure &s;
  ChannelParameters p;
  /// Of the kernel in front of this one.
  std::optional<ChannelParameters> guess;
  ChannelEmitter *guessKernel = nullptr;
  unsigned n;        // states
  int64_t numPoints; // private points of a thread

  // Of the thread.
  Value lane, segment, channelInBlock, firstChannel, numChannels, length, last;
  Value pointsOfCall;
  Value isOwn;                  // it has a channel
  Value isSome;                 // the block has work
  Scope base;                   // what depends on no step
  std::deque<Scope> basePoints; // and on a private point
  Values isPoint;               // a private point is there; null: surely
  /// Reads of arguments that depend on the step but on no state: of a point,
  /// through shared memory, or as they are.
  llvm::SmallVector<Expr> reads;
  llvm::DenseMap<Expr, Expr> arranged;
  llvm::SmallVector<Tile> tiles;
  llvm::SmallVector<std::pair<Expr, int64_t>> direct; // and the point, or -1
  Copies copies;
  std::deque<Step> steps; // their scopes stay in place
};

} // namespace rondo

#endif // RONDO_PASSES_FORMS_CHANNELEMITTER_H
