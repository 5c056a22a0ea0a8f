//===- RondoAttrs.cpp - Attributes of the rondo dialect -------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/Rondo/IR/RondoOps.h"

using namespace mlir;
using namespace rondo;

using Emit = function_ref<InFlightDiagnostic()>;

static bool areDims(DenseI64ArrayAttr dims) {
  if (!dims)
    return true;
  ArrayRef<int64_t> list = dims.asArrayRef();
  return llvm::is_sorted(list, std::less_equal<int64_t>()) &&
         (list.empty() || list.front() >= 0);
}

LogicalResult StateFactsAttr::verify(
    Emit emit, StringRef name, Transition kind, Decay decay,
    DenseI64ArrayAttr decayDims, int64_t rank, DenseI64ArrayAttr mixed,
    Write write, int64_t writeRank, bool timeInvariant, int64_t lag,
    int64_t block, DenseI64ArrayAttr coupled, Coupling jacobian,
    int64_t jacobianBlock, bool threshold, StateRead reads,
    DenseI64ArrayAttr contracts) {
  for (DenseI64ArrayAttr dims : {decayDims, mixed, coupled, contracts})
    if (!areDims(dims))
      return emit() << "expects lists of different numbers, none negative, in "
                       "ascending order";
  if (rank < 0 || writeRank < 0 || lag < 0 || block < 0 || jacobianBlock < 0)
    return emit() << "expects no negative number";
  if ((rank > 0) != (kind == Transition::DiagonalLowRank))
    return emit() << "expects a rank exactly with the kind diagonal_low_rank";
  if ((writeRank > 0) != (write == Write::Outer))
    return emit() << "expects a write_rank exactly with write = outer";
  if ((jacobianBlock > 0) != (jacobian == Coupling::Blocks))
    return emit() << "expects a jacobian_block exactly with jacobian = blocks";
  return success();
}

LogicalResult FactsAttr::verify(Emit emit, ArrayAttr along, Transition kind,
                                Coupling jacobian, int64_t jacobianBlock,
                                ArrayAttr states) {
  if (!llvm::all_of(along, llvm::IsaPred<StringAttr>))
    return emit() << "expects names of sizes in `along`";
  if (!llvm::all_of(states, llvm::IsaPred<StateFactsAttr>))
    return emit() << "expects #rondo.state in `states`";
  if ((jacobianBlock > 0) != (jacobian == Coupling::Blocks))
    return emit() << "expects a jacobian_block exactly with jacobian = blocks";
  return success();
}

StateFactsAttr FactsAttr::getState(unsigned i) const {
  return cast<StateFactsAttr>(getStates()[i]);
}

LogicalResult PlanAttr::verify(Emit emit, Form form, int64_t chunk,
                               int64_t subBlock, DenseI64ArrayAttr tile,
                               int64_t threads) {
  if (chunk < 0 || subBlock < 0 || threads < 0 ||
      (tile && llvm::any_of(tile.asArrayRef(),
                            [](int64_t size) { return size < 0; })))
    return emit() << "expects no negative number";
  bool hasChunks = form != Form::Sequential && form != Form::Tiled;
  if (chunk && !hasChunks)
    return emit() << "expects no chunk: the form " << stringifyForm(form)
                  << " has none";
  if (subBlock && form != Form::Chunked)
    return emit() << "expects a sub_block only with the form chunked";
  if (subBlock && chunk && chunk % subBlock)
    return emit() << "expects a chunk that sub-blocks of " << subBlock
                  << " steps divide, found " << chunk;
  return success();
}

LogicalResult
RondoDialect::verifyOperationAttribute(Operation *op, NamedAttribute attr) {
  if (attr.getName() == "rondo.facts") {
    auto facts = dyn_cast<FactsAttr>(attr.getValue());
    auto recurrence = dyn_cast<RecurrenceOp>(op);
    if (!facts || !recurrence)
      return op->emitOpError("rondo.facts is a #rondo.facts of a recurrence");
    if (facts.getAlong().size() != recurrence.getNumAlong() ||
        facts.getStates().size() != recurrence.getNumStates())
      return op->emitOpError("rondo.facts has ")
             << facts.getAlong().size() << " dims and "
             << facts.getStates().size() << " states, the recurrence "
             << recurrence.getNumAlong() << " and "
             << recurrence.getNumStates();
  } else if (attr.getName() == "rondo.plan") {
    if (!isa<PlanAttr>(attr.getValue()) ||
        !isa<RecurrenceOp, AttentionOp, EquationOp, ScanOp>(op))
      return op->emitOpError("rondo.plan is a #rondo.plan of a recurrence, a "
                             "scan, an attention or an equation");
  }
  return success();
}
