//===- EmitIterate.cpp - Iterations within a step -------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// An iteration within a step of the loops around it:
//
//   while (true)
//     the statements of the body
//     isGood = residual <= tolerance
//     leave if isGood, if the residual is not finite, or at the bound
//     copy what the body made over the tensors
//   if not isGood
//     the statements of the other region, and copies of what they made
//
//===----------------------------------------------------------------------===//

#include "passes/Forms/Emit.h"
#include <limits>

using namespace mlir;
using namespace rondo;

void KernelEmitter::emitIterate(IterateOp op,
                                ArrayRef<Statement *> statements) {
  // Scalars of both regions are known to both, and before the loop.
  emitRegionScalars(op.getBody().front());
  emitRegionScalars(op.getOtherwise().front());
  auto at = [&](const Tensor &tensor) {
    ArrayRef<unsigned> timeDims = tensor.producer->timeDims;
    return sliceStorage(tensor, [&](unsigned dim) -> Value {
      if (dim < program.numBatch)
        return batchPoint[dim];
      auto loop = llvm::find(timeDims, dim);
      return loop == timeDims.end() ? Value()
                                    : timePoint[loop - timeDims.begin()];
    });
  };
  auto copyAll = [&](ValueRange from) {
    for (auto [value, to] : llvm::zip(from, op.getGuesses()))
      copy(at(*program.getTensor(value)), at(*program.getTensor(to)));
  };
  SmallVector<Statement *> body, otherwise;
  for (Statement *statement : statements)
    (op.getBody().isAncestor(statement->op->getParentRegion()) ? body
                                                               : otherwise)
        .push_back(statement);

  OpBuilder::InsertionGuard guard(b);
  Type i1 = b.getI1Type(), index = b.getIndexType();
  auto loop = scf::WhileOp::create(b, loc, TypeRange{index, i1},
                                   ValueRange{constant(1)});
  Block *before = b.createBlock(&loop.getBefore(), {}, index, loc);
  Value count = before->getArgument(0);
  emitStatements(body);
  Value residual = memref::LoadOp::create(
      b, loc, at(*program.getTensor(op.getResidual())).memref, ValueRange());
  auto real = [&](double number) -> Value {
    return arith::ConstantOp::create(
        b, loc, b.getFloatAttr(residual.getType(), number));
  };
  Value isGood =
      arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OLE, residual,
                            real(op.getTolerance().convertToDouble()));
  Value isFinite =
      arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OLT, residual,
                            real(std::numeric_limits<double>::infinity()));
  Value isBelow = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult,
                                        count, constant(op.getBound()));
  Value isBad = arith::XOrIOp::create(
      b, loc, isGood, arith::ConstantIntOp::create(b, loc, i1, 1));
  Value goesOn = emitAnd(isBad, emitAnd(isFinite, isBelow));
  scf::ConditionOp::create(b, loc, goesOn, ValueRange{count, isGood});

  Block *after =
      b.createBlock(&loop.getAfter(), {}, TypeRange{index, i1}, {loc, loc});
  copyAll(op.getBodyYield().getValues().drop_back());
  Value next =
      arith::AddIOp::create(b, loc, after->getArgument(0), constant(1));
  scf::YieldOp::create(b, loc, next);

  b.setInsertionPointAfter(loop);
  if (Tensor *tensor = program.getTensor(op.getCount())) {
    Slice place = at(*tensor);
    memref::StoreOp::create(
        b, loc,
        toMemory(loop.getResult(0),
                 cast<MemRefType>(place.memref.getType()).getElementType()),
        place.memref, ValueRange());
  }
  auto test = scf::IfOp::create(b, loc, loop.getResult(1),
                                /*withElseRegion=*/true);
  b.setInsertionPointToStart(test.elseBlock());
  emitStatements(otherwise);
  copyAll(op.getOtherwiseYield().getValues());
}
