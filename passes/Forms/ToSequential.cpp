//===- ToSequential.cpp - Turn kernels into loops over time ---------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Forms/Emit.h"
#include "passes/Forms/Normalize.h"
#include "passes/Forms/Passes.h"

using namespace mlir;
using namespace rondo;

namespace rondo {
#define GEN_PASS_DEF_TOSEQUENTIAL
#include "passes/Forms/Passes.h.inc"
} // namespace rondo

namespace {

class ToSequential : public rondo::impl::ToSequentialBase<ToSequential> {
public:
  using ToSequentialBase::ToSequentialBase;

  void runOnOperation() override {
    SmallVector<KernelOp> kernels(getOperation().getOps<KernelOp>());
    for (KernelOp kernel : kernels)
      if (failed(lower(kernel)))
        return signalPassFailure();
  }

private:
  /// Operations that other passes replace by equations first.
  LogicalResult checkOps(KernelOp kernel) {
    WalkResult result = kernel.walk([](Operation *op) {
      if (!isa<RondoDialect>(op->getDialect()) ||
          isa<KernelOp, ReturnOp, SizeOp, InitialOp, EquationOp, YieldOp,
              ReadOp, GatherOp, RecurrenceOp, IterateOp, ModOp, SigmoidOp, SoftplusOp>(op))
        return WalkResult::advance();
      op->emitOpError() << "must be expanded to equations before (by "
                        << (isa<GradOp>(op) ? "rondo-expand-grad"
                                            : "rondo-decompose")
                        << ")";
      return WalkResult::interrupt();
    });
    return failure(result.wasInterrupted());
  }

  LogicalResult lower(KernelOp kernel) {
    if (failed(checkOps(kernel)))
      return failure();
    if (rows)
      separateFactors(kernel);
    normalize(kernel);
    std::unique_ptr<Program> program = Program::create(kernel);
    if (!program)
      return failure();
    auto clusters = std::make_unique<Clusters>(*program);
    std::optional<Rows> found;
    if (rows)
      found = findRows(*program, *clusters);
    std::optional<ChannelBlocks> channels;
    if (rows && !found)
      if (std::optional<unsigned> number = findChannelSize(kernel)) {
        channels = findChannelBlocks(*program, *clusters, *number);
        if (channels && packInvariants(kernel, *number)) {
          program = Program::create(kernel);
          if (!program)
            return failure();
          clusters = std::make_unique<Clusters>(*program);
          channels = findChannelBlocks(*program, *clusters, *number);
        }
      }
    auto storage = std::make_unique<Storage>(*program, *clusters,
                                             found ? &*found : nullptr,
                                             channels ? &*channels : nullptr);
    // Snapshots are taken at single points.
    if (found && !storage->snapshots.empty())
      storage = std::make_unique<Storage>(*program, *clusters, nullptr);
    if (failed(storage->verify()))
      return failure();
    SteadyStatements steady;
    if (rows && !storage->rows && !storage->channels)
      steady = findSteadyStatements(*program, *clusters, *storage);
    for (const auto &[statement, steadiness] : steady)
      numSteady += steadiness.isKept;
    OpBuilder builder(kernel);
    KernelEmitter(*program, *clusters, *storage, steady, builder).run();
    kernel.erase();

    numClusters += clusters->list.size();
    for (const std::unique_ptr<Tensor> &tensor : program->tensors) {
      const TensorStorage &place = storage->of(tensor.get());
      if (place.isContracted())
        ++numContracted;
      else if (place.kind == TensorStorage::Kind::Buffer)
        ++numWhole;
    }
    return success();
  }
};

} // namespace
