//===- CellProducts.cpp - Weights, operands and products of cells ---------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A number is a sum of bf16 terms, 8 bits of it each. A product of two such
// sums is the products of terms that matter: with three, the six of which the
// places sum up to less than three.
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "passes/Forms/CellEmitter.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::algebra;

using Values = CellEmitter::Values;

/// Two contractions of one operand are a tile.
void CellEmitter::planTiles() {
  for (unsigned operand = 0; operand < s.operands.size(); ++operand)
    for (auto [number, contraction] : llvm::enumerate(s.contractions)) {
      if (contraction.operand != operand)
        continue;
      if (!tiles.empty() && tiles.back().operand == operand &&
          tiles.back().second < 0)
        tiles.back().second = number;
      else
        tiles.push_back({operand, static_cast<int>(number), -1});
    }
}

Value CellEmitter::packPair(Value low, Value high) {
  Value pair = vector::FromElementsOp::create(
      b, VectorType::get(2, b.getF32Type()), ValueRange{low, high});
  Value rounded =
      arith::TruncFOp::create(b, VectorType::get(2, b.getBF16Type()), pair);
  return LLVM::BitcastOp::create(b, b.getI32Type(), rounded);
}

Values CellEmitter::splitPair(Value low, Value high, unsigned terms) {
  Values result;
  auto rest = [&](Value value) -> Value {
    Value term = arith::TruncFOp::create(b, b.getBF16Type(), value);
    return arith::SubFOp::create(
        b, value, arith::ExtFOp::create(b, b.getF32Type(), term));
  };
  for (unsigned i = 0; i < terms; ++i) {
    result.push_back(packPair(low, high));
    if (i + 1 < terms) {
      low = rest(low);
      high = rest(high);
    }
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

/// 0 beyond the last unit.
Value CellEmitter::emitWeight(int contraction, Value k) {
  if (contraction < 0)
    return real(0);
  Value isInside = isUnit;
  Scope scope(elements[0].scope);
  if (s.width % 32) {
    Value last = constant(s.width - 1);
    isInside = both(
        isInside, arith::CmpIOp::create(b, arith::CmpIPredicate::sle, k, last));
    k = arith::MinSIOp::create(b, k, last);
  }
  scope.values[s.summed] = k;
  Value value = emit(s.contractions[contraction].weight, scope);
  return isInside ? select(isInside, value, real(0)) : value;
}

void CellEmitter::loadWeights() {
  enter(elements[0].place);
  for (const Tile &tile : tiles) {
    auto &ofTile = weights.emplace_back();
    for (int64_t k = 0; k < 2 * numPairs; ++k) {
      Values fragment(4 * s.weightTerms);
      for (int part = 0; part < 4; ++part) {
        int contraction = part % 2 ? tile.second : tile.first;
        Value column =
            add(mul(quad, constant(2)), constant(16 * k + 8 * (part / 2)));
        Values terms = splitPair(
            emitWeight(contraction, column),
            emitWeight(contraction, add(column, constant(1))), s.weightTerms);
        for (unsigned i = 0; i < s.weightTerms; ++i)
          fragment[4 * i + part] = terms[i];
      }
      ofTile.push_back(fragment);
    }
  }
}

//===----------------------------------------------------------------------===//
// Operands
//===----------------------------------------------------------------------===//

/// Zero where no unit is.
void CellEmitter::createBuffers() {
  int64_t size = numBuffers * s.operandTerms * planeSize;
  Value thread = mlir::gpu::ThreadIdOp::create(b, mlir::gpu::Dimension::x);
  for (unsigned i = 0; i < s.operands.size(); ++i) {
    Value memory = shared(b.getBF16Type(), {size});
    buffers.push_back(memory);
    if (8 * p.unitTiles == 32 * numPairs)
      continue;
    auto loop = scf::ForOp::create(b, thread, constant(size),
                                   constant(32 * p.unitTiles));
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Value zero = arith::ConstantOp::create(b, b.getZeroAttr(b.getBF16Type()));
    memref::StoreOp::create(b, zero, memory,
                            ValueRange{loop.getInductionVar()});
  }
  barrier();
}

void CellEmitter::storeOperand(unsigned operand, unsigned buffer,
                               Element &element, Value value) {
  for (unsigned i = 0; i < s.operandTerms; ++i) {
    Value term = arith::TruncFOp::create(b, b.getBF16Type(), value);
    int64_t plane = (buffer * s.operandTerms + i) * planeSize;
    memref::StoreOp::create(b, term, buffers[operand],
                            ValueRange{add(element.offset, constant(plane))});
    if (i + 1 < s.operandTerms)
      value = arith::SubFOp::create(
          b, value, arith::ExtFOp::create(b, b.getF32Type(), term));
  }
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

/// 16x8 += 16x16 * 16x8.
Value CellEmitter::multiply(ValueRange left, ValueRange right, Value sums) {
  Values accumulator;
  for (int64_t i = 0; i < 4; ++i)
    accumulator.push_back(LLVM::ExtractValueOp::create(b, sums, i));
  std::array<NVVM::MMATypes, 2> types{NVVM::MMATypes::bf16,
                                      NVVM::MMATypes::bf16};
  std::array<NVVM::MMALayout, 2> layouts{NVVM::MMALayout::row,
                                         NVVM::MMALayout::col};
  return NVVM::MmaOp::create(b, b.getLoc(), sums.getType(), left, right,
                             accumulator, ArrayRef<int64_t>{16, 8, 16},
                             std::nullopt, std::nullopt, types, layouts);
}

/// Gives the contractions of a level their values in the elements' scopes.
void CellEmitter::emitProducts(unsigned level, unsigned buffer,
                               std::deque<Scope> &scopes) {
  Type f32 = b.getF32Type();
  Type four =
      LLVM::LLVMStructType::getLiteral(b.getContext(), {f32, f32, f32, f32});
  unsigned places = std::max(s.operandTerms, s.weightTerms);
  Value zero = LLVM::ZeroOp::create(b, four);
  // [tile][row tile][place]: sums of one size each.
  std::vector<std::vector<Values>> sums(
      tiles.size(), std::vector<Values>(p.rowTiles, Values(places, zero)));
  for (int64_t pair = 0; pair < numPairs; ++pair)
    for (int64_t r = 0; r < p.rowTiles; ++r)
      for (unsigned o = 0; o < s.operands.size(); ++o) {
        if (s.operands[o].level != level)
          continue;
        SmallVector<Values> right;
        for (unsigned i = 0; i < s.operandTerms; ++i) {
          int64_t plane = (buffer * s.operandTerms + i) * planeSize;
          Value place = add(mul(lane, constant(8)),
                            constant(plane + (pair * p.rowTiles + r) * 256));
          Value eight = vector::LoadOp::create(
              b, VectorType::get(8, b.getBF16Type()), buffers[o],
              ValueRange{place}, /*nontemporal=*/false, llvm::MaybeAlign(16));
          Value words = vector::BitCastOp::create(
              b, VectorType::get(4, b.getI32Type()), eight);
          Values &parts = right.emplace_back();
          for (int64_t j = 0; j < 4; ++j)
            parts.push_back(vector::ExtractOp::create(b, words, j));
        }
        for (int64_t half = 0; half < 2; ++half)
          for (auto [t, tile] : llvm::enumerate(tiles)) {
            if (tile.operand != o)
              continue;
            ArrayRef<Value> left = weights[t][2 * pair + half];
            for (unsigned i = 0; i < s.weightTerms; ++i)
              for (unsigned j = 0; j < s.operandTerms && i + j < places; ++j)
                sums[t][r][i + j] = multiply(
                    left.slice(4 * i, 4), ArrayRef(right[j]).slice(2 * half, 2),
                    sums[t][r][i + j]);
          }
      }
  for (auto [t, tile] : llvm::enumerate(tiles)) {
    if (s.operands[tile.operand].level != level)
      continue;
    for (int64_t r = 0; r < p.rowTiles; ++r)
      for (int part = 0; part < 4; ++part) {
        int contraction = part / 2 ? tile.second : tile.first;
        if (contraction < 0)
          continue;
        Value total;
        for (Value sum : llvm::reverse(sums[t][r])) {
          Value each = LLVM::ExtractValueOp::create(b, sum, part);
          total = total ? addf(total, each) : each;
        }
        scopes[2 * r + part % 2].values[s.contractions[contraction].marker] =
            total;
      }
  }
}
