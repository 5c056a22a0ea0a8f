//===- SteadyStatements.cpp - What whole chunks have in common ------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Forms/SteadyStatements.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace rondo;

namespace {

class SteadyFinder {
public:
  SteadyFinder(Program &program, const Clusters &clusters,
               const Storage &storage)
      : program(program), clusters(clusters), storage(storage) {}

  void run(const Cluster &cluster);

  SteadyStatements found;

private:
  bool isSteady(Statement &statement, Steadiness &result);
  bool keepsItsPlace(const Statement &statement) const;
  bool readsSteady(const Statement &statement, const Access &access,
                   ReadOp read, const llvm::DenseSet<Value> &depending,
                   Steadiness &result);
  bool isTrueWithin(arith::CmpIOp compare, Value chunk,
                    const llvm::DenseSet<Value> &depending, Steadiness &result);

  Program &program;
  const Clusters &clusters;
  const Storage &storage;
  ArrayRef<Statement *> group; // looked at together
};

} // namespace

/// Whether what a statement leaves in its buffer stays there.
bool SteadyFinder::keepsItsPlace(const Statement &statement) const {
  const Tensor &tensor = *statement.result;
  const TensorStorage &place = storage.of(&tensor);
  return !statement.iterate && !statement.blockSize &&
         statement.timeDims.size() == 1 && tensor.output < 0 &&
         !tensor.initial && !tensor.final &&
         place.kind == TensorStorage::Kind::Buffer && place.isContracted() &&
         !place.hasRingDim() && !place.prefilled;
}

/// Lets `result` hold only as long as `other` does, too.
static bool merge(Steadiness &result, const Steadiness &other) {
  if (!other.length)
    return true;
  if (result.length &&
      (result.length != other.length || result.chunk != other.chunk))
    return false;
  result.chunk = other.chunk;
  result.length = other.length;
  return true;
}

/// Whether a read takes something that does not change with the chunk.
bool SteadyFinder::readsSteady(const Statement &statement, const Access &access,
                               ReadOp read,
                               const llvm::DenseSet<Value> &depending,
                               Steadiness &result) {
  auto depends = [&](Value value) { return depending.contains(value); };
  if (access.fallback)
    return false;
  const Tensor &tensor = *access.tensor;
  bool isHere =
      tensor.node && clusters.of(tensor.node) == clusters.of(statement.node);
  if (!isHere)
    return llvm::none_of(read->getOperands(), depends);
  Statement *writer = tensor.producer;
  if (!writer || writer->timeDims.size() != 1 ||
      (!found.contains(writer) && !llvm::is_contained(group, writer)))
    return false;
  // At the same chunk, and nowhere else by it.
  unsigned timeDim = writer->timeDims[0];
  for (auto [dim, subscript] : llvm::enumerate(access.subscripts))
    if (dim == timeDim ? subscript != statement.indices[statement.timeDims[0]]
                       : depends(subscript))
      return false;
  auto it = found.find(writer);
  return it == found.end() || merge(result, it->second);
}

/// Whether a comparison holds in whole chunks: n c + r < T.
bool SteadyFinder::isTrueWithin(arith::CmpIOp compare, Value chunk,
                                const llvm::DenseSet<Value> &depending,
                                Steadiness &result) {
  IndexExprs &exprs = program.exprs;
  if (compare.getPredicate() != arith::CmpIPredicate::slt ||
      depending.contains(compare.getRhs()))
    return false;
  AffineExpr step = exprs.get(compare.getLhs());
  AffineExpr length = exprs.get(compare.getRhs()), c = exprs.get(chunk);
  if (!exprs.isOfSizes(length))
    return false;
  auto perChunk = dyn_cast<AffineConstantExpr>(
      exprs.simplify(step.replace(c, c + 1) - step));
  if (!perChunk || perChunk.getValue() <= 0 ||
      !exprs.isAtLeast(exprs.simplify((c + 1) * perChunk.getValue() - 1 - step),
                       0))
    return false;
  return merge(result, {perChunk.getValue(), length});
}

bool SteadyFinder::isSteady(Statement &statement, Steadiness &result) {
  if (!keepsItsPlace(statement))
    return false;
  Value chunk = statement.indices[statement.timeDims[0]];
  llvm::DenseSet<Value> depending{chunk};
  for (Operation &op : statement.op.getBlock()) {
    if (isa<GatherOp>(op) || op.getNumRegions() > 0)
      return false;
    if (auto read = dyn_cast<ReadOp>(op)) {
      const Access *access = statement.getAccess(read);
      if (!access || !readsSteady(statement, *access, read, depending, result))
        return false;
      continue;
    }
    if (llvm::none_of(op.getOperands(), [&](Value operand) {
          return depending.contains(operand);
        }))
      continue;
    auto compare = dyn_cast<arith::CmpIOp>(op);
    if (compare && isTrueWithin(compare, chunk, depending, result))
      continue;
    // Other values of the index must end in such comparisons.
    if (compare || op.getNumResults() != 1 ||
        !op.getResult(0).getType().isIndex())
      return false;
    depending.insert(op.getResult(0));
  }
  return true;
}

/// Whether a step has more than a row of a tensor.
static bool isMatrix(const Tensor &tensor) {
  return tensor.getRank() > tensor.numBatch + 2;
}

void SteadyFinder::run(const Cluster &cluster) {
  if (cluster.loops.size() != 1 ||
      cluster.loops[0].direction == Direction::Reversed)
    return;
  ArrayRef<Statement *> schedule = cluster.schedule;
  while (!schedule.empty()) {
    RecurrenceOp inner = schedule.front()->inner;
    unsigned size = 1;
    while (inner && size < schedule.size() && schedule[size]->inner == inner)
      ++size;
    group = schedule.take_front(size);
    schedule = schedule.drop_front(size);
    // What stands between the equations of a region is not looked into.
    if (inner && llvm::any_of(inner.getBlock(), [](Operation &op) {
          return isa<ReadOp, GatherOp, RecurrenceOp, IterateOp>(op);
        }))
      continue;
    Steadiness steadiness;
    if (llvm::all_of(group, [&](Statement *statement) {
          return isSteady(*statement, steadiness);
        })) {
      steadiness.isKept = inner || isMatrix(*group.front()->result);
      for (Statement *statement : group)
        found[statement] = steadiness;
    }
  }
}

SteadyStatements rondo::findSteadyStatements(Program &program,
                                             const Clusters &clusters,
                                             const Storage &storage) {
  SteadyFinder finder(program, clusters, storage);
  for (const std::unique_ptr<Cluster> &cluster : clusters.list)
    finder.run(*cluster);
  return std::move(finder.found);
}
