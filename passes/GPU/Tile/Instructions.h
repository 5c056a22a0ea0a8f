//===- Instructions.h - What one thread executes ----------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The only place that makes operations of the nvvm dialect. Integers are i32,
// places in shared memory are byte offsets from its start.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_GPU_TILE_INSTRUCTIONS_H
#define RONDO_PASSES_GPU_TILE_INSTRUCTIONS_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/SmallVector.h"

namespace rondo::tile {

using Values = llvm::SmallVector<mlir::Value>;

/// 16 columns of a left operand, in registers or in shared memory, and the 16
/// rows of the right operand that they meet. Places are in bytes behind the
/// operands' starts.
struct GroupProduct {
  llvm::ArrayRef<mlir::Value> left;
  int64_t leftPlace = 0, place = 0;
};

/// An operand in shared memory as wgmma sees it.
struct SharedOperand {
  mlir::Value offset;  // in bytes
  int64_t swizzle;     // 1, 2 or 3: rows of 128, 64 or 32 bytes
  bool isTransposed;   // what is summed over lies in columns of memory
  int64_t rowsStride;  // of 8 rows in memory, in bytes
  int64_t slabStride;  // of so many columns as a row holds
};

class Instructions {
public:
  explicit Instructions(mlir::OpBuilder &builder, mlir::Location loc)
      : builder(builder), loc(loc) {}

  mlir::OpBuilder &builder;
  mlir::Location loc;
  mlir::Value shared; // the start of shared memory: !llvm.ptr<3>
  int64_t numBarriers = 0;
  /// Who meets at barriers: all threads of the block (0), or so many.
  int64_t barrierId = 0, barrierThreads = 0;

  // Integers.
  mlir::Value constant(int64_t value);
  mlir::Value add(mlir::Value a, mlir::Value b);
  mlir::Value add(mlir::Value a, int64_t b);
  mlir::Value sub(mlir::Value a, mlir::Value b);
  mlir::Value mul(mlir::Value a, int64_t b);
  mlir::Value bitAnd(mlir::Value a, int64_t b);
  mlir::Value bitOr(mlir::Value a, mlir::Value b);
  mlir::Value bitXor(mlir::Value a, mlir::Value b);
  mlir::Value bitXor(mlir::Value a, int64_t b);
  mlir::Value shiftLeft(mlir::Value a, int64_t b);
  mlir::Value shiftRight(mlir::Value a, int64_t b); // unsigned
  mlir::Value divide(mlir::Value a, int64_t b);     // unsigned
  mlir::Value remainder(mlir::Value a, int64_t b);  // unsigned
  mlir::Value less(mlir::Value a, mlir::Value b);   // signed
  mlir::Value equal(mlir::Value a, mlir::Value b);
  mlir::Value clamp(mlir::Value a, int64_t low, int64_t high);
  mlir::Value select(mlir::Value condition, mlir::Value a, mlir::Value b);
  /// An index as an i32, saturated.
  mlir::Value fromIndex(mlir::Value index);
  mlir::Value bits(mlir::Value real);      // f32 to i32
  mlir::Value fromBits(mlir::Value value); // i32 to f32

  // Reals.
  mlir::Value real(double value);
  mlir::Value mul(mlir::Value a, mlir::Value b);
  mlir::Value addReal(mlir::Value a, mlir::Value b);
  mlir::Value subReal(mlir::Value a, mlir::Value b);
  /// a * b where the condition holds, else a.
  mlir::Value multiplyIf(mlir::Value condition, mlir::Value a, mlir::Value b);
  mlir::Value reciprocal(mlir::Value a);
  mlir::Value exponential(mlir::Value a);
  mlir::Value maximum(mlir::Value a, mlir::Value b);
  /// Two reals as bf16 in one i32, the first in the lower half.
  mlir::Value pack(mlir::Value low, mlir::Value high);
  mlir::Value packAs(mlir::Type element, mlir::Value low, mlir::Value high);
  /// The reals of such an i32.
  mlir::Value unpackLow(mlir::Value packed);
  mlir::Value unpackHigh(mlir::Value packed);

  // Threads.
  mlir::Value threadId();
  /// `orders`: what threads stored in shared memory is there for wgmma, too. It
  /// waits for everything that they have under way to or from memory.
  void barrier(bool orders);
  void warpBarrier();
  /// What this thread stored in shared memory is there for wgmma, too.
  void orderStores();
  /// A barrier in shared memory, whose phase ends with `count` arrivals.
  void makeBarrier(int64_t offset, int64_t count);
  void arriveIf(mlir::Value condition, mlir::Value offset);
  /// Arrives when all copies that this thread has begun have.
  void arriveWithCopies(mlir::Value offset);
  /// Waits for the end of a phase of this parity. `suspends`: the chip can let
  /// threads sleep meanwhile.
  void awaitBarrier(mlir::Value offset, mlir::Value parity, bool suspends);
  mlir::Value shuffle(mlir::Value value, mlir::Value lane);
  mlir::Value shuffleXor(mlir::Value value, int64_t mask);
  mlir::Value shuffleUp(mlir::Value value, int64_t distance);

  // Shared memory.
  mlir::Value sharedPointer(mlir::Value offset, int64_t constant = 0);
  mlir::Value loadShared(mlir::Type type, mlir::Value offset, int64_t constant,
                         unsigned alignment);
  void storeShared(mlir::Value value, mlir::Value offset, int64_t constant,
                   unsigned alignment);
  /// Four 8x8 matrices of 16-bit elements.
  void storeMatrices(mlir::Value offset, int64_t constant,
                     llvm::ArrayRef<mlir::Value> parts,
                     bool transposed = false);
  Values loadMatrices(mlir::Value offset, int64_t constant, bool transposed);

  /// An 8x8 matrix of 16-bit elements that a warp holds as pairs within rows.
  mlir::Value transposeMatrix(mlir::Value pair);

  // Global memory.
  mlir::Value globalPointer(mlir::Value base, mlir::Value byteOffset);
  mlir::Value loadGlobal(mlir::Type type, mlir::Value pointer,
                         unsigned alignment);
  /// Without branches; 0 where the condition does not hold.
  mlir::Value loadGlobalIf(mlir::Value condition, mlir::Type type,
                           mlir::Value pointer);
  void storeGlobalIf(mlir::Value condition, mlir::Value value,
                     mlir::Value pointer);
  void storeGlobal(mlir::Value value, mlir::Value pointer, unsigned alignment);
  /// One, two or four neighbouring i32.
  void storeGlobalIf(mlir::Value condition, llvm::ArrayRef<mlir::Value> words,
                     mlir::Value pointer);
  /// 16 bytes, of which the first `bytes` are read and the others are 0.
  void copyAsync(mlir::Value sharedOffset, int64_t constant,
                 mlir::Value pointer, mlir::Value bytes);
  /// The same of 4 bytes, where the condition holds.
  void copyWordAsyncIf(mlir::Value condition, mlir::Value sharedOffset,
                       mlir::Value pointer, mlir::Value bytes);
  void waitForCopies();
  void commit();
  void wait(int64_t pending);

  // Matrix units: 16x8 += 16x16 * 16x8 of bf16.
  Values multiply(llvm::ArrayRef<mlir::Value> left,
                  llvm::ArrayRef<mlir::Value> right,
                  llvm::ArrayRef<mlir::Value> accumulator);
  /// By groups of four warps: 64 rows. Nothing may touch the sums, nor write what
  /// the products read, before a wait for this group.
  mlir::Value describe(const SharedOperand &operand);
  Values multiplyGroup(llvm::ArrayRef<GroupProduct> products,
                       const std::optional<SharedOperand> &left,
                       const SharedOperand &right,
                       llvm::ArrayRef<mlir::Value> accumulator);
  int64_t numGroups = 0; // of products
  /// All but the last `pending` groups, whose sums these are.
  Values waitForGroups(int64_t pending, llvm::ArrayRef<mlir::Value> sums);
};

} // namespace rondo::tile

#endif // RONDO_PASSES_GPU_TILE_INSTRUCTIONS_H
