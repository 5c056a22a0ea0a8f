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

static Value emitAsm(ImplicitLocOpBuilder &b, Type result, StringRef text,
                     StringRef constraints, ValueRange operands) {
  Operation *op = LLVM::InlineAsmOp::create(
      b, result, operands, text, constraints, /*has_side_effects=*/true,
      /*is_align_stack=*/false, LLVM::tailcallkind::TailCallKind::None,
      /*asm_dialect=*/LLVM::AsmDialectAttr(), /*operand_attrs=*/ArrayAttr());
  return result ? op->getResult(0) : Value();
}

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
  if (s.width != 32 * numPairs * p.splits) {
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
            add(mul(split, constant(32 * numPairs)),
                add(mul(quad, constant(2)), constant(16 * k + 8 * (part / 2))));
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

/// Zero where no unit is: between blocks, all is cleared before.
void CellEmitter::createBuffers() {
  Value thread = mlir::gpu::ThreadIdOp::create(b, mlir::gpu::Dimension::x);
  if (p.splits > 1)
    partial = shared(b.getF32Type(), {static_cast<int64_t>(tiles.size()) *
                                      p.splits * p.rowTiles * 128});
  int64_t size = numBuffers * s.operandTerms * planeSize;
  for (unsigned i = 0; i < s.operands.size() && p.parts == 1; ++i) {
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
    Value place = add(element.offset,
                      constant((buffer * s.operandTerms + i) * planeSize));
    if (p.parts > 1)
      emitAsm(b, {}, "st.relaxed.gpu.global.b16 [$0], $1;", "l,h,~{memory}",
              {at(space, mul(add(place, constant(operand * numBuffers *
                                                 s.operandTerms * planeSize)),
                             constant(2))),
               LLVM::BitcastOp::create(b, b.getI16Type(), term)});
    else
      memref::StoreOp::create(b, term, buffers[operand], ValueRange{place});
    if (i + 1 < s.operandTerms)
      value = arith::SubFOp::create(
          b, value, arith::ExtFOp::create(b, b.getF32Type(), term));
  }
}

/// The right operands of two products, one after the other: a lane has them in
/// one piece of memory.
Values CellEmitter::loadOperand(unsigned operand, unsigned buffer, int64_t pair,
                                int64_t r) {
  Values parts;
  for (unsigned i = 0; i < s.operandTerms; ++i) {
    int64_t plane = (buffer * s.operandTerms + i) * planeSize;
    Value place = add(mul(lane, constant(8)),
                      constant(plane + (pair * p.rowTiles + r) * 256));
    if (p.splits > 1)
      place = add(place, mul(split, constant(numPairs * p.rowTiles * 256)));
    if (p.parts > 1) {
      Type i32 = b.getI32Type();
      Type four = LLVM::LLVMStructType::getLiteral(b.getContext(),
                                                   {i32, i32, i32, i32});
      place = add(place,
                  constant(operand * numBuffers * s.operandTerms * planeSize));
      Value words = emitAsm(
          b, four, "ld.relaxed.gpu.global.v4.b32 {$0, $1, $2, $3}, [$4];",
          "=r,=r,=r,=r,l,~{memory}", {at(space, mul(place, constant(2)))});
      for (int64_t j = 0; j < 4; ++j)
        parts.push_back(LLVM::ExtractValueOp::create(b, words, j));
      continue;
    }
    Value eight = vector::LoadOp::create(
        b, VectorType::get(8, b.getBF16Type()), buffers[operand],
        ValueRange{place}, /*nontemporal=*/false, llvm::MaybeAlign(16));
    Value words =
        vector::BitCastOp::create(b, VectorType::get(4, b.getI32Type()), eight);
    for (int64_t j = 0; j < 4; ++j)
      parts.push_back(vector::ExtractOp::create(b, words, j));
  }
  return parts;
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

/// The contractions of a level, [contraction][element], or the warp's part of
/// them into shared memory.
void CellEmitter::emitProducts(unsigned level, unsigned buffer,
                               std::vector<Values> &products) {
  Type f32 = b.getF32Type();
  Type four =
      LLVM::LLVMStructType::getLiteral(b.getContext(), {f32, f32, f32, f32});
  unsigned places = std::max(s.operandTerms, s.weightTerms);
  Value zero = LLVM::ZeroOp::create(b, four);
  for (unsigned o = 0; o < s.operands.size(); ++o) {
    if (s.operands[o].level != level)
      continue;
    // Loads first: those from other blocks take long.
    std::vector<Values> right;
    for (int64_t pair = 0; pair < numPairs; ++pair)
      for (int64_t r = 0; r < p.rowTiles; ++r)
        right.push_back(loadOperand(o, buffer, pair, r));
    for (auto [t, tile] : llvm::enumerate(tiles)) {
      if (tile.operand != o)
        continue;
      for (int64_t r = 0; r < p.rowTiles; ++r) {
        // [place]: sums of one size each.
        Values sums(places, zero);
        for (int64_t pair = 0; pair < numPairs; ++pair)
          for (int64_t half = 0; half < 2; ++half) {
            ArrayRef<Value> left = weights[t][2 * pair + half];
            ArrayRef<Value> here = right[pair * p.rowTiles + r];
            for (unsigned i = 0; i < s.weightTerms; ++i)
              for (unsigned j = 0; j < s.operandTerms && i + j < places; ++j)
                sums[i + j] =
                    multiply(left.slice(4 * i, 4),
                             here.slice(4 * j + 2 * half, 2), sums[i + j]);
          }
        Values totals;
        for (int64_t part = 0; part < 4; ++part) {
          Value total;
          for (Value sum : llvm::reverse(sums)) {
            Value each = LLVM::ExtractValueOp::create(b, sum, part);
            total = total ? addf(total, each) : each;
          }
          totals.push_back(total);
        }
        if (p.splits > 1) {
          Value place = add(mul(split, constant(p.rowTiles * 128)),
                            mul(lane, constant(4)));
          place = add(place, constant((t * p.splits * p.rowTiles + r) * 128));
          Value all = vector::FromElementsOp::create(b, VectorType::get(4, f32),
                                                     totals);
          vector::StoreOp::create(b, all, partial, ValueRange{place},
                                  /*nontemporal=*/false, llvm::MaybeAlign(16));
          continue;
        }
        for (int contraction : {tile.first, tile.second})
          if (contraction >= 0)
            for (int i = 0; i < 2; ++i)
              products[contraction].push_back(
                  totals[2 * (contraction == tile.second) + i]);
      }
    }
  }
}

/// A contraction from the parts of all warps.
Value CellEmitter::emitSum(unsigned contraction, unsigned element) {
  Value total;
  for (auto [t, tile] : llvm::enumerate(tiles)) {
    bool isSecond = tile.second == static_cast<int>(contraction);
    if (!isSecond && tile.first != static_cast<int>(contraction))
      continue;
    for (int64_t k = 0; k < p.splits; ++k) {
      Value place = add(mul(elements[element].rowTile, constant(128)),
                        mul(lane, constant(4)));
      place = add(place, constant((t * p.splits + k) * p.rowTiles * 128));
      Value all = vector::LoadOp::create(
          b, VectorType::get(4, b.getF32Type()), partial, ValueRange{place},
          /*nontemporal=*/false, llvm::MaybeAlign(16));
      Value each = vector::ExtractOp::create(
          b, all, static_cast<int64_t>(2 * isSecond + element % 2));
      total = total ? addf(total, each) : each;
    }
  }
  return total;
}

//===----------------------------------------------------------------------===//
// Between blocks
//===----------------------------------------------------------------------===//

/// A team's part of the workspace: how far each of its blocks is, and operands.
int64_t CellEmitter::getSlotBytes() const {
  return llvm::alignTo(4 * p.parts, 128) +
         2 * s.operands.size() * numBuffers * s.operandTerms * planeSize;
}

Value CellEmitter::at(Value pointer, Value bytes) {
  bytes = arith::IndexCastOp::create(b, b.getI64Type(), bytes);
  return LLVM::GEPOp::create(b, pointer.getType(), b.getI8Type(), pointer,
                             ArrayRef<LLVM::GEPArg>{bytes});
}

void CellEmitter::findSlot(Value slot) {
  flags = at(workspace, mul(slot, constant(getSlotBytes())));
  space = at(flags, constant(llvm::alignTo(4 * p.parts, 128)));
}

/// Queues a kernel that clears the workspace.
void CellEmitter::launchClear(Value space, int64_t bytes) {
  mlir::gpu::GPUFuncOp clear;
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPoint(kernel);
    clear =
        mlir::gpu::GPUFuncOp::create(b, (op.getSymName() + "_clear").str(),
                                     b.getFunctionType(space.getType(), {}));
    clear->setAttr(mlir::gpu::GPUDialect::getKernelFuncAttrName(),
                   b.getUnitAttr());
    clear->setAttr("nvvm.maxntid", b.getDenseI32ArrayAttr({256, 1, 1}));
    b.setInsertionPointToStart(&clear.getBody().front());
    Value thread = mlir::gpu::ThreadIdOp::create(b, mlir::gpu::Dimension::x);
    auto loop =
        scf::ForOp::create(b, thread, constant(bytes / 4), constant(256));
    mlir::gpu::ReturnOp::create(b);
    b.setInsertionPointToStart(loop.getBody());
    Value zero = arith::ConstantOp::create(b, b.getI32IntegerAttr(0));
    LLVM::StoreOp::create(
        b, zero,
        at(clear.getArgument(0), mul(loop.getInductionVar(), constant(4))));
  }
  Value one = constant(1);
  mlir::gpu::LaunchFuncOp::create(
      b, clear, mlir::gpu::KernelDim3{one, one, one},
      mlir::gpu::KernelDim3{constant(256), one, one},
      /*dynamicSharedMemorySize=*/Value(), ValueRange{space});
}

/// Says that this block has stored its operands, the `number`th time, and waits
/// for the others. A block stores over what it has stored before only after all
/// others have said that they are done with the products before, so each has
/// read it. One warp waits for all: flags that every warp of every block looks
/// at hold each other up.
void CellEmitter::emitExchange(Value number) {
  Type i32 = b.getI32Type();
  Value wanted = arith::IndexCastOp::create(b, i32, add(epoch, number));
  emitIf(equal(warp, constant(0)), [&] {
    emitIf(equal(lane, constant(0)), [&] {
      emitAsm(b, {}, "st.release.gpu.global.b32 [$0], $1;", "l,r,~{memory}",
              {at(flags, mul(part, constant(4))), wanted});
    });
    auto loop = scf::ForOp::create(b, lane, constant(p.parts), constant(32));
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Value address = at(flags, mul(loop.getInductionVar(), constant(4)));
    auto wait = scf::WhileOp::create(b, TypeRange(), ValueRange());
    OpBuilder::InsertionGuard inner(b);
    b.createBlock(&wait.getBefore());
    Value seen = emitAsm(b, i32, "ld.acquire.gpu.global.b32 $0, [$1];",
                         "=r,l,~{memory}", {address});
    Value isBehind =
        arith::CmpIOp::create(b, arith::CmpIPredicate::slt, seen, wanted);
    scf::ConditionOp::create(b, isBehind, ValueRange());
    b.createBlock(&wait.getAfter());
    scf::YieldOp::create(b);
  });
  barrier();
}
