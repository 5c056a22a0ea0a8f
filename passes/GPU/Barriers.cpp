//===- Barriers.cpp - Where threads of a block wait for each other --------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A forward walk over the structured code that carries the accesses made since
// the last barrier. The body of a loop is walked until nothing is added: what
// one iteration leaves behind meets the next one.
//
// Buffers. Two tensors are distinct memory but for the initial and the final
// value of a state. Views of the workspace at one offset are one buffer; at
// different ones they are distinct within a loop, but those of two loops may
// share memory, so that outside of loops the workspace is one buffer.
//
//===----------------------------------------------------------------------===//

#include "passes/GPU/Barriers.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Interfaces/ViewLikeInterface.h"
#include "passes/GPU/ThreadLoops.h"

using namespace mlir;
using namespace rondo::gpu;

namespace {

/// Which thread touches an element, by its place in the buffer: dims of the
/// buffer and threads along each. Nothing known: every thread may.
struct Owner {
  int64_t inner = -1, width = 0;
  int64_t second = -1, groups = 0;

  bool known() const { return inner >= 0; }
  bool operator==(const Owner &other) const {
    return inner == other.inner && width == other.width &&
           second == other.second && groups == other.groups;
  }
};

struct Access {
  Value root;   // a tensor, or the workspace
  Value offset; // of a view of the workspace; null: all of it
  bool write = false;
  bool scalar = false; // by the first thread
  Owner owner;

  bool operator==(const Access &other) const {
    return root == other.root && offset == other.offset &&
           write == other.write && scalar == other.scalar &&
           owner == other.owner;
  }
};

using Accesses = SmallVector<Access>;

class BarrierPlacer {
public:
  BarrierPlacer(mlir::gpu::GPUFuncOp func, int64_t threads)
      : func(func), threads(threads) {}

  unsigned run() {
    Accesses pending;
    walk(func.getBody().front(), pending);
    return count;
  }

private:
  void walk(Block &block, Accesses &pending);
  void visit(Operation *op, Accesses &pending);
  void collect(Operation *op, Accesses &accesses);
  void collectGeneric(linalg::GenericOp op, Accesses &accesses);
  void add(Value memref, bool write, bool scalar, Owner owner,
           Accesses &accesses);
  bool mayMeet(const Access &a, const Access &b);
  static void merge(Accesses &into, const Accesses &from) {
    for (const Access &access : from)
      if (!llvm::is_contained(into, access))
        into.push_back(access);
  }

  mlir::gpu::GPUFuncOp func;
  int64_t threads;
  unsigned depth = 0; // of loops below the one over points
  unsigned count = 0;
};

} // namespace

/// Goes back through views. `place` follows dims of `memref` to those of the
/// root; a dim that does not start at 0 or steps is lost (-1).
static Value findRoot(Value memref, SmallVectorImpl<int64_t> &place,
                      Value &offset) {
  offset = nullptr;
  for (;;) {
    Operation *op = memref.getDefiningOp();
    if (auto view = dyn_cast_or_null<memref::SubViewOp>(op)) {
      llvm::SmallBitVector dropped = view.getDroppedDims();
      SmallVector<int64_t> kept;
      for (int64_t dim = 0; dim < view.getSourceType().getRank(); ++dim)
        if (!dropped.test(dim)) {
          bool plain =
              isConstantIntValue(view.getMixedOffsets()[dim], 0) &&
              isConstantIntValue(view.getMixedStrides()[dim], 1);
          kept.push_back(plain ? dim : -1);
        }
      for (int64_t &dim : place)
        dim = dim >= 0 && dim < int64_t(kept.size()) ? kept[dim] : -1;
      memref = view.getSource();
    } else if (auto cast = dyn_cast_or_null<memref::CastOp>(op)) {
      memref = cast.getSource();
    } else if (auto view = dyn_cast_or_null<memref::ViewOp>(op)) {
      if (!offset)
        offset = view.getByteShift();
      memref = view.getSource();
    } else if (auto cast =
                   dyn_cast_or_null<UnrealizedConversionCastOp>(op)) {
      // A tensor shifted to a sequence: through the pointer to its argument.
      Value input = cast.getInputs().front();
      while (Operation *from = input.getDefiningOp()) {
        if (from->getNumOperands() == 0)
          break;
        input = from->getOperand(0);
      }
      return input;
    } else if (auto view = dyn_cast_or_null<ViewLikeOpInterface>(op)) {
      // Other dims: a reshape, a cast.
      place.assign(place.size(), -1);
      memref = view.getViewSource();
    } else {
      return memref;
    }
  }
}

void BarrierPlacer::add(Value memref, bool write, bool scalar, Owner owner,
                        Accesses &accesses) {
  if (!isa<MemRefType>(memref.getType()))
    return;
  if (auto select = memref.getDefiningOp<arith::SelectOp>()) {
    add(select.getTrueValue(), write, scalar, Owner(), accesses);
    add(select.getFalseValue(), write, scalar, owner, accesses);
    return;
  }
  SmallVector<int64_t> place{owner.inner, owner.second};
  Access access;
  access.root = findRoot(memref, place, access.offset);
  if (auto select = access.root.getDefiningOp<arith::SelectOp>()) {
    add(select, write, scalar, Owner(), accesses);
    return;
  }
  if (access.root.getDefiningOp<memref::AllocaOp>())
    return; // the thread's own
  if (owner.known() && place[0] >= 0 && (owner.second < 0 || place[1] >= 0)) {
    access.owner = owner;
    access.owner.inner = place[0];
    access.owner.second = owner.second < 0 ? -1 : place[1];
  }
  if (depth == 0)
    access.offset = nullptr;
  access.write = write;
  access.scalar = scalar;
  accesses.push_back(access);
}

void BarrierPlacer::collectGeneric(linalg::GenericOp op, Accesses &accesses) {
  Distribution distribution = getDistribution(op, threads);
  auto ownerOf = [&](AffineMap map) {
    Owner owner;
    for (auto [i, expr] : llvm::enumerate(map.getResults())) {
      auto dim = dyn_cast<AffineDimExpr>(expr);
      if (!dim)
        continue;
      if (int64_t(dim.getPosition()) == distribution.inner)
        owner.inner = i, owner.width = distribution.width;
      if (int64_t(dim.getPosition()) == distribution.second)
        owner.second = i, owner.groups = distribution.groups;
    }
    // An element that several groups touch has no owner.
    if (distribution.inner < 0 || owner.inner < 0 ||
        (distribution.second >= 0 && owner.second < 0))
      return Owner();
    return owner;
  };
  for (OpOperand *input : op.getDpsInputOperands())
    add(input->get(), false, false, ownerOf(op.getMatchingIndexingMap(input)),
        accesses);
  // Without parallel dims the first thread writes, or all the same value after
  // a barrier of the reduction.
  bool scalar = distribution.inner < 0;
  for (OpOperand &init : op.getDpsInitsMutable()) {
    Owner owner = ownerOf(op.getMatchingIndexingMap(&init));
    add(init.get(), true, scalar, owner, accesses);
    add(init.get(), false, scalar, owner, accesses);
  }
  op.getRegion().walk([&](memref::LoadOp load) {
    add(load.getMemRef(), false, false, Owner(), accesses);
  });
}

void BarrierPlacer::collect(Operation *op, Accesses &accesses) {
  if (auto generic = dyn_cast<linalg::GenericOp>(op))
    collectGeneric(generic, accesses);
  else if (auto load = dyn_cast<memref::LoadOp>(op))
    add(load.getMemRef(), false, false, Owner(), accesses);
  else if (auto store = dyn_cast<memref::StoreOp>(op))
    add(store.getMemRef(), true, true, Owner(), accesses);
}

bool BarrierPlacer::mayMeet(const Access &a, const Access &b) {
  if (!a.write && !b.write)
    return false;
  if (a.scalar && b.scalar)
    return false; // the same thread
  if (a.root != b.root) {
    // The two values of a state may be one buffer.
    auto uses = func->getAttrOfType<DenseI64ArrayAttr>("rondo.pointers");
    auto mayAlias = [&](Value root) {
      auto arg = dyn_cast<BlockArgument>(root);
      return arg && arg.getOwner() == &func.getBody().front() && uses &&
             arg.getArgNumber() < uses.size() && uses[arg.getArgNumber()] == 0;
    };
    return mayAlias(a.root) && mayAlias(b.root) &&
           a.root.getType() == b.root.getType();
  }
  if (a.offset && b.offset && a.offset != b.offset)
    return false;
  return !(a.owner.known() && a.owner == b.owner && a.offset == b.offset);
}

void BarrierPlacer::visit(Operation *op, Accesses &pending) {
  Accesses accesses;
  collect(op, accesses);
  bool meets = llvm::any_of(accesses, [&](const Access &access) {
    return llvm::any_of(pending, [&](const Access &other) {
      return mayMeet(access, other);
    });
  });
  if (meets) {
    OpBuilder b(op);
    mlir::gpu::BarrierOp::create(b, op->getLoc());
    ++count;
    pending.clear();
  }
  merge(pending, accesses);
}

void BarrierPlacer::walk(Block &block, Accesses &pending) {
  // Barriers are inserted on the way.
  for (Operation &op : llvm::make_early_inc_range(block)) {
    if (isa<mlir::gpu::BarrierOp>(op)) {
      pending.clear();
    } else if (auto loop = dyn_cast<scf::ForOp>(op)) {
      bool overPoints = loop->getParentOp() == func.getOperation();
      depth += overPoints ? 0 : 1;
      for (;;) {
        Accesses before = pending;
        walk(*loop.getBody(), pending);
        merge(pending, before);
        if (pending.size() == before.size())
          break;
      }
      depth -= overPoints ? 0 : 1;
      if (depth == 0)
        for (Access &access : pending)
          access.offset = nullptr;
    } else if (auto choice = dyn_cast<scf::IfOp>(op)) {
      Accesses other = pending;
      walk(*choice.thenBlock(), pending);
      if (choice.elseBlock())
        walk(*choice.elseBlock(), other);
      merge(pending, other);
    } else {
      visit(&op, pending);
    }
  }
}

unsigned rondo::gpu::placeBarriers(mlir::gpu::GPUFuncOp func,
                                   int64_t threads) {
  return BarrierPlacer(func, threads).run();
}
