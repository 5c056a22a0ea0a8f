//===- Instructions.cpp - What one thread executes ------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/GPU/Tile/Instructions.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace rondo::tile;

//===----------------------------------------------------------------------===//
// Integers
//===----------------------------------------------------------------------===//

Value Instructions::constant(int64_t value) {
  return arith::ConstantIntOp::create(builder, loc, value, 32);
}
Value Instructions::add(Value a, Value b) {
  return builder.createOrFold<arith::AddIOp>(loc, a, b);
}
Value Instructions::add(Value a, int64_t b) {
  return b ? add(a, constant(b)) : a;
}
Value Instructions::sub(Value a, Value b) {
  return builder.createOrFold<arith::SubIOp>(loc, a, b);
}
Value Instructions::mul(Value a, int64_t b) {
  return builder.createOrFold<arith::MulIOp>(loc, a, constant(b));
}
Value Instructions::bitAnd(Value a, int64_t b) {
  return builder.createOrFold<arith::AndIOp>(loc, a, constant(b));
}
Value Instructions::bitOr(Value a, Value b) {
  return builder.createOrFold<arith::OrIOp>(loc, a, b);
}
Value Instructions::bitXor(Value a, Value b) {
  return builder.createOrFold<arith::XOrIOp>(loc, a, b);
}
Value Instructions::bitXor(Value a, int64_t b) {
  return b ? bitXor(a, constant(b)) : a;
}
Value Instructions::shiftLeft(Value a, int64_t b) {
  return b ? builder.createOrFold<arith::ShLIOp>(loc, a, constant(b)) : a;
}
Value Instructions::shiftRight(Value a, int64_t b) {
  return b ? builder.createOrFold<arith::ShRUIOp>(loc, a, constant(b)) : a;
}
Value Instructions::divide(Value a, int64_t b) {
  return builder.createOrFold<arith::DivUIOp>(loc, a, constant(b));
}
Value Instructions::remainder(Value a, int64_t b) {
  return builder.createOrFold<arith::RemUIOp>(loc, a, constant(b));
}
Value Instructions::less(Value a, Value b) {
  return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::slt, a, b);
}
Value Instructions::equal(Value a, Value b) {
  return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, a, b);
}
Value Instructions::clamp(Value a, int64_t low, int64_t high) {
  return builder.createOrFold<arith::MinSIOp>(
      loc, builder.createOrFold<arith::MaxSIOp>(loc, a, constant(low)),
      constant(high));
}
Value Instructions::select(Value condition, Value a, Value b) {
  return builder.createOrFold<arith::SelectOp>(loc, condition, a, b);
}

Value Instructions::fromIndex(Value index) {
  Value low = arith::ConstantIndexOp::create(builder, loc, INT32_MIN / 2);
  Value high = arith::ConstantIndexOp::create(builder, loc, INT32_MAX / 2);
  Value bounded = builder.createOrFold<arith::MinSIOp>(
      loc, builder.createOrFold<arith::MaxSIOp>(loc, index, low), high);
  return builder.createOrFold<arith::IndexCastOp>(loc, builder.getI32Type(),
                                                  bounded);
}

Value Instructions::bits(Value real) {
  return builder.createOrFold<arith::BitcastOp>(loc, builder.getI32Type(),
                                                real);
}
Value Instructions::fromBits(Value value) {
  return builder.createOrFold<arith::BitcastOp>(loc, builder.getF32Type(),
                                                value);
}

//===----------------------------------------------------------------------===//
// Reals
//===----------------------------------------------------------------------===//

Value Instructions::real(double value) {
  return arith::ConstantOp::create(builder, loc,
                                   builder.getF32FloatAttr(value));
}
Value Instructions::mul(Value a, Value b) {
  return builder.createOrFold<arith::MulFOp>(loc, a, b);
}
Value Instructions::addReal(Value a, Value b) {
  return builder.createOrFold<arith::AddFOp>(loc, a, b);
}
Value Instructions::subReal(Value a, Value b) {
  return builder.createOrFold<arith::SubFOp>(loc, a, b);
}
Value Instructions::multiplyIf(Value condition, Value a, Value b) {
  // One instruction, where a choice of two would be two.
  return LLVM::InlineAsmOp::create(
             builder, loc, a.getType(), ValueRange{a, b, condition},
             "@$3 mul.f32 $0, $0, $2;", "=f,0,f,b",
             /*has_side_effects=*/false, /*is_align_stack=*/false,
             LLVM::tailcallkind::TailCallKind::None,
             /*asm_dialect=*/LLVM::AsmDialectAttr(),
             /*operand_attrs=*/ArrayAttr())
      ->getResult(0);
}

static Value callIntrinsic(Instructions &at, StringRef name, Value a) {
  return LLVM::CallIntrinsicOp::create(at.builder, at.loc,
                                       at.builder.getF32Type(),
                                       at.builder.getStringAttr(name),
                                       ValueRange(a))
      .getResult(0);
}

Value Instructions::reciprocal(Value a) {
  return callIntrinsic(*this, "llvm.nvvm.rcp.rn.f", a);
}
Value Instructions::exponential(Value a) {
  return callIntrinsic(*this, "llvm.nvvm.ex2.approx.ftz",
                       mul(a, real(1.4426950408889634)));
}
Value Instructions::maximum(Value a, Value b) {
  return arith::MaximumFOp::create(builder, loc, a, b);
}

Value Instructions::packAs(Type element, Value low, Value high) {
  Value pair = vector::FromElementsOp::create(
      builder, loc, VectorType::get(2, builder.getF32Type()),
      ValueRange{low, high});
  Value rounded = arith::TruncFOp::create(builder, loc,
                                          VectorType::get(2, element), pair);
  return LLVM::BitcastOp::create(builder, loc, builder.getI32Type(), rounded);
}
Value Instructions::pack(Value low, Value high) {
  return packAs(builder.getBF16Type(), low, high);
}
Value Instructions::unpackLow(Value packed) {
  return fromBits(shiftLeft(packed, 16));
}
Value Instructions::unpackHigh(Value packed) {
  return fromBits(bitAnd(packed, static_cast<int32_t>(0xffff0000)));
}

//===----------------------------------------------------------------------===//
// Threads
//===----------------------------------------------------------------------===//

Value Instructions::threadId() {
  return NVVM::ThreadIdXOp::create(builder, loc, builder.getI32Type());
}
void Instructions::orderStores() {
  NVVM::FenceProxyOp::create(
      builder, loc,
      NVVM::ProxyKindAttr::get(builder.getContext(),
                               NVVM::ProxyKind::async_shared),
      NVVM::SharedSpaceAttr::get(builder.getContext(),
                                 NVVM::SharedSpace::shared_cta));
}
void Instructions::barrier(bool orders) {
  if (orders)
    orderStores();
  if (barrierId)
    NVVM::BarrierOp::create(builder, loc, Type(), constant(barrierId),
                            constant(barrierThreads),
                            NVVM::BarrierReductionAttr(), Value());
  else
    NVVM::Barrier0Op::create(builder, loc);
  ++numBarriers;
}
void Instructions::warpBarrier() {
  NVVM::SyncWarpOp::create(builder, loc, constant(-1));
}

static Value shuffleWith(Instructions &at, Value value, Value lane,
                         int64_t clamp, NVVM::ShflKind kind) {
  return NVVM::ShflOp::create(at.builder, at.loc, value.getType(),
                              at.constant(-1), value, lane, at.constant(clamp),
                              kind, UnitAttr());
}
Value Instructions::shuffle(Value value, Value lane) {
  return shuffleWith(*this, value, lane, 31, NVVM::ShflKind::idx);
}
Value Instructions::shuffleXor(Value value, int64_t mask) {
  return shuffleWith(*this, value, constant(mask), 31, NVVM::ShflKind::bfly);
}
Value Instructions::shuffleUp(Value value, int64_t distance) {
  return shuffleWith(*this, value, constant(distance), 0, NVVM::ShflKind::up);
}

/// Inline PTX without a result.
static void emitPTX(Instructions &at, ValueRange operands, const Twine &text,
                    StringRef constraints) {
  LLVM::InlineAsmOp::create(
      at.builder, at.loc, Type(), operands, text.str(), constraints,
      /*has_side_effects=*/true, /*is_align_stack=*/false,
      LLVM::tailcallkind::TailCallKind::None,
      /*asm_dialect=*/LLVM::AsmDialectAttr(), /*operand_attrs=*/ArrayAttr());
}

/// The address in shared memory, of 32 bits.
static Value sharedAddress(Instructions &at, Value offset) {
  return at.add(LLVM::PtrToIntOp::create(at.builder, at.loc,
                                         at.builder.getI32Type(), at.shared),
                offset);
}

void Instructions::makeBarrier(int64_t offset, int64_t count) {
  emitPTX(*this, {sharedAddress(*this, constant(offset)), constant(count)},
          "mbarrier.init.shared.b64 [$0], $1;", "r,r,~{memory}");
}
void Instructions::arriveIf(Value condition, Value offset) {
  Value flag = arith::ExtUIOp::create(builder, loc, builder.getI32Type(),
                                      condition);
  emitPTX(*this, {sharedAddress(*this, offset), flag},
          "{ .reg .pred p; .reg .b64 phase; setp.ne.b32 p, $1, 0; "
          "@p mbarrier.arrive.shared.b64 phase, [$0]; }",
          "r,r,~{memory}");
}
void Instructions::arriveWithCopies(Value offset) {
  emitPTX(*this, sharedAddress(*this, offset),
          "cp.async.mbarrier.arrive.noinc.shared.b64 [$0];", "r,~{memory}");
}
void Instructions::awaitBarrier(Value offset, Value parity, bool suspends) {
  emitPTX(*this, {sharedAddress(*this, offset), parity},
          Twine("{ .reg .pred p; again_${:uid}: mbarrier.") +
              (suspends ? "try" : "test") +
              "_wait.parity.shared.b64 p, [$0], $1; @!p bra again_${:uid}; }",
          "r,r,~{memory}");
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

static LLVM::LLVMPointerType pointer(OpBuilder &builder, unsigned space) {
  return LLVM::LLVMPointerType::get(builder.getContext(), space);
}

Value Instructions::sharedPointer(Value offset, int64_t constant) {
  Type type = pointer(builder, 3);
  Value at = LLVM::GEPOp::create(builder, loc, type, builder.getI8Type(),
                                 shared, ArrayRef<LLVM::GEPArg>{offset});
  if (!constant)
    return at;
  return LLVM::GEPOp::create(
      builder, loc, type, builder.getI8Type(), at,
      ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(constant)});
}
Value Instructions::loadShared(Type type, Value offset, int64_t constant,
                               unsigned alignment) {
  return LLVM::LoadOp::create(builder, loc, type,
                              sharedPointer(offset, constant), alignment);
}
void Instructions::storeShared(Value value, Value offset, int64_t constant,
                               unsigned alignment) {
  LLVM::StoreOp::create(builder, loc, value, sharedPointer(offset, constant),
                        alignment);
}

void Instructions::storeMatrices(Value offset, int64_t constant,
                                 ArrayRef<Value> parts, bool transposed) {
  SmallVector<Value> operands{sharedAddress(*this, offset)};
  llvm::append_range(operands, parts);
  emitPTX(*this, operands,
          Twine("stmatrix.sync.aligned.m8n8.x4") +
              (transposed ? ".trans" : "") + ".shared.b16 [$0+" +
              Twine(constant) + "], {$1, $2, $3, $4};",
          "r,r,r,r,r,~{memory}");
}

Values Instructions::loadMatrices(Value offset, int64_t constant,
                                  bool transposed) {
  MLIRContext *context = builder.getContext();
  Type i32 = builder.getI32Type();
  Type four = LLVM::LLVMStructType::getLiteral(context, {i32, i32, i32, i32});
  Value loaded = NVVM::LdMatrixOp::create(
      builder, loc, four, sharedPointer(offset, constant), 4u,
      transposed ? NVVM::MMALayout::col : NVVM::MMALayout::row,
      NVVM::LdStMatrixShapeAttr::get(context, 8, 8),
      NVVM::LdStMatrixEltType::B16);
  Values parts;
  for (int64_t i = 0; i < 4; ++i)
    parts.push_back(LLVM::ExtractValueOp::create(builder, loc, loaded, i));
  return parts;
}

Value Instructions::transposeMatrix(Value pair) {
  Operation *exchanged = LLVM::InlineAsmOp::create(
      builder, loc, builder.getI32Type(), pair,
      "movmatrix.sync.aligned.m8n8.trans.b16 $0, $1;", "=r,r",
      /*has_side_effects=*/true, /*is_align_stack=*/false,
      LLVM::tailcallkind::TailCallKind::None,
      /*asm_dialect=*/LLVM::AsmDialectAttr(), /*operand_attrs=*/ArrayAttr());
  return exchanged->getResult(0);
}

Value Instructions::globalPointer(Value base, Value byteOffset) {
  return LLVM::GEPOp::create(builder, loc, pointer(builder, 1),
                             builder.getI8Type(), base,
                             ArrayRef<LLVM::GEPArg>{byteOffset});
}
Value Instructions::loadGlobal(Type type, Value pointer, unsigned alignment) {
  return LLVM::LoadOp::create(builder, loc, type, pointer, alignment);
}
void Instructions::storeGlobal(Value value, Value pointer,
                               unsigned alignment) {
  LLVM::StoreOp::create(builder, loc, value, pointer, alignment);
}
/// Inline PTX of one predicated access; the predicate is operand `last`.
static Operation *predicated(Instructions &at, Type result,
                             ValueRange operands, const Twine &access,
                             StringRef constraints, unsigned last) {
  std::string text = ("{ .reg .pred p; setp.ne.b32 p, $" + Twine(last) +
                      ", 0; " + access + " }")
                         .str();
  return LLVM::InlineAsmOp::create(
      at.builder, at.loc, result, operands, text, constraints,
      /*has_side_effects=*/true, /*is_align_stack=*/false,
      LLVM::tailcallkind::TailCallKind::None,
      /*asm_dialect=*/LLVM::AsmDialectAttr(), /*operand_attrs=*/ArrayAttr());
}

Value Instructions::loadGlobalIf(Value condition, Type type, Value pointer) {
  bool wide = type.isF32();
  Value flag = arith::ExtUIOp::create(builder, loc, builder.getI32Type(),
                                      condition);
  Type memory = wide ? type : builder.getI16Type();
  Operation *load = predicated(
      *this, memory, {pointer, flag},
      wide ? "mov.f32 $0, 0f00000000; @p ld.global.f32 $0, [$1];"
           : "mov.b16 $0, 0; @p ld.global.b16 $0, [$1];",
      wide ? "=f,l,r" : "=h,l,r", 2);
  Value value = load->getResult(0);
  return wide ? value
              : LLVM::BitcastOp::create(builder, loc, type, value).getResult();
}

void Instructions::storeGlobalIf(Value condition, Value value, Value pointer) {
  bool wide = value.getType().isF32();
  Value flag = arith::ExtUIOp::create(builder, loc, builder.getI32Type(),
                                      condition);
  if (!wide)
    value = LLVM::BitcastOp::create(builder, loc, builder.getI16Type(), value);
  predicated(*this, Type(), {pointer, value, flag},
             wide ? "@p st.global.f32 [$0], $1;" : "@p st.global.b16 [$0], $1;",
             wide ? "l,f,r,~{memory}" : "l,h,r,~{memory}", 2);
}

/// ".v4.b32" and "{$first, ..}".
static std::pair<std::string, std::string> wordsFrom(size_t count,
                                                     size_t first) {
  std::string list;
  for (size_t i = 0; i < count; ++i)
    list += (i ? ", $" : "$") + std::to_string(first + i);
  if (count == 1)
    return {".b32", list};
  return {".v" + std::to_string(count) + ".b32", "{" + list + "}"};
}

void Instructions::storeGlobalIf(Value condition, ArrayRef<Value> words,
                                 Value pointer) {
  Value flag = arith::ExtUIOp::create(builder, loc, builder.getI32Type(),
                                      condition);
  SmallVector<Value> operands{pointer};
  operands.append(words.begin(), words.end());
  operands.push_back(flag);
  std::string constraints = "l,";
  for (size_t i = 0; i <= words.size(); ++i)
    constraints += "r,";
  auto [type, list] = wordsFrom(words.size(), 1);
  predicated(*this, Type(), operands,
             "@p st.global" + type + " [$0], " + list + ";",
             constraints + "~{memory}", words.size() + 1);
}

void Instructions::copyAsync(Value sharedOffset, int64_t constant,
                             Value pointer, Value bytes) {
  NVVM::CpAsyncOp::create(builder, loc, sharedPointer(sharedOffset, constant),
                          pointer, 16u, NVVM::LoadCacheModifierKind::CG,
                          bytes);
}
void Instructions::copyWordAsyncIf(Value condition, Value sharedOffset,
                                   Value pointer, Value bytes) {
  Value flag = arith::ExtUIOp::create(builder, loc, builder.getI32Type(),
                                      condition);
  predicated(*this, Type(), {sharedPointer(sharedOffset), pointer, bytes, flag},
             "@p cp.async.ca.shared.global [$0], [$1], 4, $2;",
             "l,l,r,r,~{memory}", 3);
}
void Instructions::waitForCopies() {
  emitPTX(*this, {}, "cp.async.wait_all;", "~{memory}");
}
void Instructions::commit() { NVVM::CpAsyncCommitGroupOp::create(builder, loc); }
void Instructions::wait(int64_t pending) {
  NVVM::CpAsyncWaitGroupOp::create(builder, loc, pending);
}

//===----------------------------------------------------------------------===//
// Matrix units
//===----------------------------------------------------------------------===//

Values Instructions::multiply(ArrayRef<Value> left, ArrayRef<Value> right,
                              ArrayRef<Value> accumulator) {
  Type f32 = builder.getF32Type();
  Type four = LLVM::LLVMStructType::getLiteral(builder.getContext(),
                                               {f32, f32, f32, f32});
  std::array<NVVM::MMATypes, 2> types{NVVM::MMATypes::bf16,
                                      NVVM::MMATypes::bf16};
  std::array<NVVM::MMALayout, 2> layouts{NVVM::MMALayout::row,
                                         NVVM::MMALayout::col};
  Value product = NVVM::MmaOp::create(
      builder, loc, four, left, right, accumulator,
      ArrayRef<int64_t>{16, 8, 16}, std::nullopt, std::nullopt, types, layouts);
  Values parts;
  for (int64_t i = 0; i < 4; ++i)
    parts.push_back(LLVM::ExtractValueOp::create(builder, loc, product, i));
  return parts;
}

/// The descriptor of an operand.
Value Instructions::describe(const SharedOperand &operand) {
  Type i64 = builder.getI64Type();
  uint64_t slab = operand.isTransposed ? operand.slabStride / 16 : 1;
  uint64_t fixed = uint64_t(operand.swizzle) << 62 |
                   uint64_t(operand.rowsStride / 16) << 32 | slab << 16;
  Value start = add(LLVM::PtrToIntOp::create(builder, loc, builder.getI32Type(),
                                             shared),
                    operand.offset);
  return arith::OrIOp::create(
      builder, loc,
      arith::ExtUIOp::create(builder, loc, i64, shiftRight(start, 4)),
      arith::ConstantIntOp::create(builder, loc, i64,
                                   static_cast<int64_t>(fixed)));
}

/// There is no operation for a left operand in registers: one piece of inline
/// PTX, which nothing else can come in between. The sums are in flight behind it.
Values Instructions::multiplyGroup(ArrayRef<GroupProduct> products,
                                   const std::optional<SharedOperand> &left,
                                   const SharedOperand &right,
                                   ArrayRef<Value> accumulator) {
  size_t numSums = accumulator.size();
  // Sums from 0 need no registers that hold it.
  bool isFresh = llvm::all_of(accumulator, [](Value value) {
    return matchPattern(value, m_PosZeroFloat());
  });
  Type f32 = builder.getF32Type();
  SmallVector<Value> operands;
  std::string sums, constraints;
  for (size_t i = 0; i < numSums; ++i) {
    sums += (i ? ", $" : "$") + std::to_string(i);
    constraints += "=f,";
  }
  auto add = [&](Value operand, StringRef constraint) {
    size_t number = llvm::find(operands, operand) - operands.begin();
    if (number == operands.size()) {
      operands.push_back(operand);
      constraints += constraint;
      constraints += ",";
    }
    return "$" + std::to_string(numSums + number);
  };
  std::string rightStart = add(describe(right), "l"), leftStart;
  if (left)
    leftStart = add(describe(*left), "l");
  std::string name =
      "wgmma.mma_async.sync.aligned.m64n" + std::to_string(2 * numSums) +
      "k16.f32.bf16.bf16 {" + sums + "}, ";
  std::string text =
      "{ .reg .b64 left, right; wgmma.fence.sync.aligned; ";
  for (const GroupProduct &product : products) {
    text += "add.s64 right, " + rightStart + ", " +
            std::to_string(product.place / 16) + "; ";
    if (left) {
      text += "add.s64 left, " + leftStart + ", " +
              std::to_string(product.leftPlace / 16) + "; " + name + "left";
    } else {
      text += name + "{";
      for (auto [i, part] : llvm::enumerate(product.left))
        text += (i ? ", " : "") + add(part, "r");
      text += "}";
    }
    bool isFirst = &product == products.begin();
    text += isFirst && isFresh ? ", right, 0, 1, 1, " : ", right, 1, 1, 1, ";
    if (left)
      text += left->isTransposed ? "1, " : "0, ";
    text += right.isTransposed ? "1; " : "0; ";
  }
  text += "wgmma.commit_group.sync.aligned; }";
  ++numGroups;
  if (!isFresh)
    llvm::append_range(operands, accumulator);
  for (size_t i = 0; i < numSums && !isFresh; ++i)
    constraints += std::to_string(i) + ",";
  auto product = LLVM::InlineAsmOp::create(
      builder, loc,
      LLVM::LLVMStructType::getLiteral(builder.getContext(),
                                       SmallVector<Type>(numSums, f32)),
      operands, text, constraints + "~{memory}", /*has_side_effects=*/true,
      /*is_align_stack=*/false, LLVM::tailcallkind::TailCallKind::None,
      /*asm_dialect=*/LLVM::AsmDialectAttr(), /*operand_attrs=*/ArrayAttr());
  Values parts;
  for (size_t i = 0; i < numSums; ++i)
    parts.push_back(LLVM::ExtractValueOp::create(builder, loc,
                                                 product->getResult(0), i));
  return parts;
}

/// The sums go through the wait, so that nothing that reads them is in front.
Values Instructions::waitForGroups(int64_t pending, ArrayRef<Value> sums) {
  std::string constraints;
  for (size_t i = 0; i < sums.size(); ++i)
    constraints += "=f,";
  for (size_t i = 0; i < sums.size(); ++i)
    constraints += std::to_string(i) + ",";
  auto wait = LLVM::InlineAsmOp::create(
      builder, loc,
      LLVM::LLVMStructType::getLiteral(
          builder.getContext(),
          SmallVector<Type>(sums.size(), builder.getF32Type())),
      sums, "wgmma.wait_group.sync.aligned " + std::to_string(pending) + ";",
      constraints + "~{memory}", /*has_side_effects=*/true,
      /*is_align_stack=*/false, LLVM::tailcallkind::TailCallKind::None,
      /*asm_dialect=*/LLVM::AsmDialectAttr(), /*operand_attrs=*/ArrayAttr());
  Values parts;
  for (size_t i = 0; i < sums.size(); ++i)
    parts.push_back(LLVM::ExtractValueOp::create(builder, loc,
                                                 wait->getResult(0), i));
  return parts;
}
