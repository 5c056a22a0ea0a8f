//===- CellEmitter.h - Writing kernels of cells -----------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Private to CellKernel.h.
//
//   PointEmitter.h    expressions, the functions
//   CellEmitter.cpp   places, the loop over steps
//   CellProducts.cpp  weights, operands, products
//
// In a product of the matrix units, weights are the left operand: its 16 rows
// are 8 units of one contraction, and the same 8 of another. The 8 columns of
// the right operand are rows of the batch. Thus lane 4 g + q has both
// contractions of unit g for rows 2 q and 2 q + 1, and holds these two
// *elements* of the states.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_FORMS_CELLEMITTER_H
#define RONDO_PASSES_FORMS_CELLEMITTER_H

#include "passes/Forms/CellKernel.h"
#include "passes/Forms/PointEmitter.h"
#include "llvm/ADT/SetVector.h"
#include <deque>

namespace rondo {

class CellEmitter : PointEmitter {
public:
  using Values = PointEmitter::Values;

  CellEmitter(algebra::Context &context, CellStructure &structure,
              CellParameters parameters);
  void run();

private:
  /// A unit and a row.
  struct Element {
    Place own;
    Scope ownScope;
    /// What it reads at steps: its own, but for a sequence without steps,
    /// which has no step to read.
    Place place;
    Scope scope;
    Value isOwn;  // it is there
    Value length; // of its sequence
    Value offset; // of its operands in memory
    Value rowTile;
  };
  struct Tile {
    unsigned operand;
    int first, second; // contractions; second: -1 for none
  };

  // The kernel.
  void createKernel();
  Value countHeads(Value points);
  void launchClear(Value space, int64_t bytes);
  void emitPlaces(Value team);
  void emitTeam(Value team);
  Value pointOf(Value row);
  Place emitPlaceOfRow(Value row);
  void collectReads();

  // Steps.
  Value timeOf(const Element &element, Value number);
  Values emitRaws(Element &element, Value number);
  Values emitSteps(mlir::ValueRange initials);
  Values emitOwned(mlir::ValueRange otherwise,
                   llvm::function_ref<Values()> body);
  Values emitStep(Value number, unsigned u, mlir::ValueRange before,
                  mlir::ValueRange raws);

  // Products.
  void planTiles();
  void loadWeights();
  Value emitWeight(int contraction, Value k);
  /// Pairs as bf16 numbers in one i32, one for each term.
  Values splitPair(Value low, Value high, unsigned terms);
  Value packPair(Value low, Value high);
  void createBuffers();
  void storeOperand(unsigned operand, unsigned buffer, Element &element,
                    Value value);
  Values loadOperand(unsigned operand, unsigned buffer, int64_t pair,
                     int64_t r);
  void emitProducts(unsigned level, unsigned buffer,
                    std::vector<Values> &products);
  Value emitSum(unsigned contraction, unsigned element);

  // Between blocks.
  int64_t getSlotBytes() const;
  void findSlot(Value slot);
  Value at(Value pointer, Value bytes);
  void emitExchange(Value number);
  Value multiply(mlir::ValueRange left, mlir::ValueRange right, Value sums);

  CellStructure &s;
  CellParameters p;
  int64_t numPairs;   // of 16 summed units each, that a warp has
  int64_t planeSize;  // elements of one term of an operand
  unsigned numStates; // of an element
  unsigned numBuffers;

  Values whole; // the kernel's sizes
  Values wholeTensors;
  Value warp, lane, group, quad; // group = lane / 4, quad = lane mod 4
  Value split;                   // which part of the sums the warp has
  Value part;                    // which of the head's blocks this is
  Value flags, space; // of the team: what its parts have done, and operands
  Value epoch;        // what they had done before
  Value head, numHeads, firstRow, numRows, longest, longestRow;
  Value unit, isUnit; // isUnit: null: surely
  std::deque<Element> elements;
  llvm::SetVector<Expr> reads;
  llvm::SmallVector<Tile> tiles;
  llvm::SmallVector<llvm::SmallVector<Values>> weights; // [tile][k][term * 4]
  Values buffers;                                       // of operands
  Value partial;                                        // sums of warps
};

} // namespace rondo

#endif // RONDO_PASSES_FORMS_CELLEMITTER_H
