//===- Pairs.cpp - Factors of products as pairs of bf16 numbers -----------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/CPU/Pairs.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "passes/CPU/Buffers.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cpu;

/// Elements that are paired once for how many products, at least.
static constexpr int64_t kLeastReuse = 8;
/// Terms of a sum that pay, or of one under a mask, which leaves half of them,
/// with a factor that has to be rounded in a pass of its own, and what is taken
/// for an unknown extent.
static constexpr int64_t kLeastTerms = 8, kLeastMasked = 32,
                         kTypicalExtent = 64;

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

/// The block argument behind a factor: a real, or a bf16 number as one.
static BlockArgument getFactor(Value value) {
  if (auto ext = value.getDefiningOp<arith::ExtFOp>())
    value = ext.getIn();
  Type type = value.getType();
  return type.isF32() || type.isBF16() ? dyn_cast<BlockArgument>(value)
                                       : BlockArgument();
}

static bool dependsOn(Value value, Block *body, unsigned dim) {
  Operation *def = value.getDefiningOp();
  if (!def || def->getBlock() != body)
    return false;
  if (auto index = dyn_cast<linalg::IndexOp>(def))
    return index.getDim() == dim;
  return llvm::any_of(def->getOperands(), [&](Value operand) {
    return dependsOn(operand, body, dim);
  });
}

bool rondo::cpu::isOfIndices(Value value, Block *body) {
  if (auto argument = dyn_cast<BlockArgument>(value))
    return argument.getOwner() != body;
  Operation *def = value.getDefiningOp();
  return def->getBlock() != body ||
         (isPure(def) && llvm::all_of(def->getOperands(), [&](Value operand) {
            return isOfIndices(operand, body);
          }));
}

/// e <= r, e < r, r >= e or r > e of two indices, where e is the one summed
/// over.
static std::optional<PairMask> matchMask(Value condition, unsigned reduced) {
  auto compare = condition.getDefiningOp<arith::CmpIOp>();
  if (!compare)
    return std::nullopt;
  Value low = compare.getLhs(), high = compare.getRhs();
  arith::CmpIPredicate predicate = compare.getPredicate();
  if (predicate == arith::CmpIPredicate::sge ||
      predicate == arith::CmpIPredicate::sgt)
    std::swap(low, high);
  else if (predicate != arith::CmpIPredicate::sle &&
           predicate != arith::CmpIPredicate::slt)
    return std::nullopt;
  auto summed = low.getDefiningOp<linalg::IndexOp>(),
       row = high.getDefiningOp<linalg::IndexOp>();
  if (!summed || !row || summed.getDim() != reduced)
    return std::nullopt;
  return PairMask{unsigned(row.getDim()),
                  predicate == arith::CmpIPredicate::slt ||
                      predicate == arith::CmpIPredicate::sgt};
}

bool PairProduct::isMasked(OpOperand *factor) {
  return mask && op.getMatchingIndexingMap(factor).isFunctionOfDim(mask->row);
}

std::optional<PairProduct> rondo::cpu::matchPairProduct(linalg::GenericOp op) {
  if (op.getNumReductionLoops() != 1 || op.getOutputs().size() != 1 ||
      op.getNumParallelLoops() == 0)
    return std::nullopt;
  PairProduct product{op, {}, 0, {}, {}};
  SmallVector<unsigned> reduced;
  op.getReductionDims(reduced);
  product.reduced = reduced[0];
  Block *body = op.getBody();
  Value out = body->getArguments().back();
  auto sum =
      body->getTerminator()->getOperand(0).getDefiningOp<arith::AddFOp>();
  if (!sum || !sum.getType().isF32() ||
      (sum.getLhs() != out && sum.getRhs() != out))
    return std::nullopt;
  Value term = sum.getLhs() == out ? sum.getRhs() : sum.getLhs();
  if (auto select = term.getDefiningOp<arith::SelectOp>()) {
    if (!matchPattern(select.getFalseValue(), m_AnyZeroFloat()) ||
        !isOfIndices(select.getCondition(), body))
      return std::nullopt;
    product.filter = select;
    if (dependsOn(select.getCondition(), body, product.reduced)) {
      product.mask = matchMask(select.getCondition(), product.reduced);
      if (!product.mask)
        return std::nullopt;
    }
    term = select.getTrueValue();
  }
  auto times = term.getDefiningOp<arith::MulFOp>();
  if (!times)
    return std::nullopt;
  AffineExpr index = getAffineDimExpr(product.reduced, op.getContext());
  for (auto [i, factor] : llvm::enumerate(times->getOperands())) {
    BlockArgument argument = getFactor(factor);
    if (!argument || argument == out || argument.getOwner() != body)
      return std::nullopt;
    OpOperand *operand = op.getMatchingOpOperand(argument);
    AffineMap map = op.getMatchingIndexingMap(operand);
    if (!isa<MemRefType>(operand->get().getType()) ||
        !map.isProjectedPermutation() ||
        !llvm::is_contained(map.getResults(), index))
      return std::nullopt;
    product.factors[i] = operand;
  }
  int64_t terms = op.getStaticLoopRanges()[product.reduced];
  if (product.mask && product.isMasked(product.factors[0]) ==
                          product.isMasked(product.factors[1]))
    return std::nullopt;
  if (product.factors[0] == product.factors[1] ||
      (!ShapedType::isDynamic(terms) && terms < kLeastTerms))
    return std::nullopt;
  return product;
}

unsigned PairProduct::getSummedDim(OpOperand *factor) {
  AffineMap map = op.getMatchingIndexingMap(factor);
  return *map.getResultPosition(getAffineDimExpr(reduced, map.getContext()));
}

//===----------------------------------------------------------------------===//
// Buffers
//===----------------------------------------------------------------------===//

static bool isEven(OpFoldResult number) {
  if (std::optional<int64_t> known = getConstantIntValue(number))
    return *known % 2 == 0;
  Operation *def = cast<Value>(number).getDefiningOp();
  if (isa_and_present<arith::MulIOp>(def))
    return isEven(def->getOperand(0)) || isEven(def->getOperand(1));
  return isa_and_present<arith::AddIOp, arith::SubIOp, arith::MaxSIOp,
                         arith::MinSIOp>(def) &&
         isEven(def->getOperand(0)) && isEven(def->getOperand(1));
}

/// The dim of a view that is all of a dim of the buffer behind it, or a part
/// that starts and ends between pairs, or -1.
static int findDim(Value view, Value root, unsigned dim, bool isPart = false) {
  if (view == root)
    return dim;
  auto subview = view.getDefiningOp<memref::SubViewOp>();
  if (!subview || !subview.hasUnitStride())
    return -1;
  int inner = findDim(subview.getSource(), root, dim, isPart);
  llvm::SmallBitVector dropped = subview.getDroppedDims();
  if (inner < 0 || dropped.test(inner))
    return -1;
  OpFoldResult offset = subview.getMixedOffsets()[inner],
               size = subview.getMixedSizes()[inner];
  OpFoldResult whole = getShape(subview.getSource())[inner];
  bool isWhole =
      isZeroInteger(offset) && whole && isEqualConstantIntOrValue(whole, size);
  if (!isWhole && (!isPart || !isEven(offset) || !isEven(size)))
    return -1;
  return inner - llvm::count_if(llvm::seq(0, inner),
                                [&](int d) { return dropped.test(d); });
}

int PairedBuffer::findDim(Value view) const {
  return ::findDim(view, root, dim);
}

int PairedBuffer::findRow(Value view) const {
  return ::findDim(view, root, mask->row);
}

int PairedBuffer::findPairs(Value view) const {
  return ::findDim(view, root, dim, /*isPart=*/true);
}

static Value getRoot(Value view) {
  while (auto subview = view.getDefiningOp<memref::SubViewOp>())
    view = subview.getSource();
  return view;
}

namespace {
/// Who touches a buffer.
struct Uses {
  struct Write {
    Operation *op;
    Value view; // of a linalg op; else null
  };
  SmallVector<Write> writes;
  SmallVector<Operation *> reads;
  bool areKnown = true;
};
} // namespace

static void collectUses(Value view, Uses &uses) {
  for (OpOperand &use : view.getUses()) {
    Operation *user = use.getOwner();
    if (auto subview = dyn_cast<memref::SubViewOp>(user)) {
      collectUses(subview, uses);
    } else if (isa<arith::SelectOp>(user)) {
      Uses others;
      collectUses(user->getResult(0), others);
      uses.areKnown &= others.areKnown && others.writes.empty();
      uses.reads.append(others.reads);
    } else if (isa<memref::LoadOp>(user)) {
      uses.reads.push_back(user);
    } else if (isa<memref::StoreOp>(user)) {
      uses.writes.push_back({user, {}});
    } else if (auto op = dyn_cast<linalg::LinalgOp>(user)) {
      if (op.isDpsInit(&use))
        uses.writes.push_back({user, view});
      else
        uses.reads.push_back(user);
    } else if (!isa<memref::DimOp>(user)) {
      uses.areKnown = false;
    }
  }
}

/// Whether a value is a number that follows from the kernel's sizes alone.
bool PairedBuffers::isOfSizes(Value value) {
  if (auto argument = dyn_cast<BlockArgument>(value))
    return argument.getOwner() == &func.front() &&
           argument.getArgNumber() < bytes.getNumArguments();
  Operation *def = value.getDefiningOp();
  return def->getNumRegions() == 0 && isPure(def) &&
         llvm::all_of(def->getOperands(),
                      [&](Value operand) { return isOfSizes(operand); });
}

/// Whether the same elements are written again before they are read.
static bool isOverwritten(const Uses::Write &write, Value root) {
  if (!write.view)
    return false;
  for (Operation *next = write.op->getNextNode(); next;
       next = next->getNextNode()) {
    auto linalgOp = dyn_cast<linalg::LinalgOp>(next);
    if (linalgOp && llvm::is_contained(linalgOp.getDpsInits(), write.view))
      return true;
    bool touches = next->walk([&](Operation *inner) {
                         for (Value operand : inner->getOperands())
                           if (isa<MemRefType>(operand.getType()) &&
                               !isPure(inner) && mayOverlap(operand, root))
                             return WalkResult::interrupt();
                         return WalkResult::advance();
                       })
                       .wasInterrupted();
    if (touches)
      return false;
  }
  return false;
}

/// The largest part of the buffer, of whole pairs, that has what is written to
/// a view in it and is the same all around an op.
static Value findWrittenPart(const PairedBuffer &paired, Value view,
                             Operation *around) {
  Value part;
  for (; view && view != paired.root;) {
    auto subview = view.getDefiningOp<memref::SubViewOp>();
    if (!around->isAncestor(subview) && paired.findPairs(view) >= 0)
      part = view;
    view = subview.getSource();
  }
  return part;
}

/// A copy follows each write that has the paired dim in full, and each loop
/// over others that has no use of pairs in it.
static void addCopies(PairedBuffer &paired, ArrayRef<Operation *> users) {
  SmallVector<PairedBuffer::Copy> copies;
  for (auto [op, view] : paired.writes) {
    if (view && paired.findDim(view) >= 0 &&
        (!paired.mask || paired.findRow(view) >= 0)) {
      copies.push_back({op, view});
      continue;
    }
    Operation *around = op;
    for (Operation *parent = around->getParentOp();
         !isa<func::FuncOp>(parent) &&
         llvm::none_of(
             users, [&](Operation *user) { return parent->isAncestor(user); });
         parent = parent->getParentOp())
      if (isa<scf::ForOp>(parent))
        around = parent;
    Value part;
    if (view && !paired.mask && !paired.isLast())
      part = findWrittenPart(paired, view, around);
    copies.push_back({around, part});
  }
  // What is copied with all around it is not copied by itself.
  for (const PairedBuffer::Copy &copy : copies)
    if (llvm::none_of(copies, [&](const PairedBuffer::Copy &other) {
          if (other.after == copy.after)
            return &other < &copy && (!other.view || other.view == copy.view);
          return !other.view && other.after->isProperAncestor(copy.after);
        }))
      paired.copies.push_back(copy);
}

PairedBuffer *PairedBuffers::find(PairProduct &product, OpOperand *factor) {
  Value root = getRoot(factor->get());
  auto view = root.getDefiningOp<memref::ViewOp>();
  auto type = dyn_cast<MemRefType>(root.getType());
  if (!view || view->getBlock() != &func.front() ||
      !type.getElementType().isF32() ||
      !llvm::all_of(view.getSizes(),
                    [&](Value size) { return isOfSizes(size); }))
    return nullptr;
  // The dims of the buffer behind those of the factor.
  auto findInRoot = [&](unsigned dim, bool isPart) -> std::optional<unsigned> {
    for (unsigned other = 0; other < type.getRank(); ++other)
      if (findDim(factor->get(), root, other, isPart) == int(dim))
        return other;
    return std::nullopt;
  };
  // What is beyond a mask is told by places in all of the buffer.
  bool isMasked = product.isMasked(factor);
  std::optional<unsigned> dim =
      findInRoot(product.getSummedDim(factor), !isMasked);
  if (!dim)
    return nullptr;
  std::optional<PairMask> mask;
  if (isMasked) {
    AffineMap map = product.op.getMatchingIndexingMap(factor);
    std::optional<unsigned> row =
        findInRoot(*map.getResultPosition(
                       getAffineDimExpr(product.mask->row, map.getContext())),
                   /*isPart=*/false);
    if (!row || *dim + 1 != type.getRank())
      return nullptr;
    mask = PairMask{*row, product.mask->isStrict};
  }
  for (const std::unique_ptr<PairedBuffer> &known : list)
    if (known->root == root && known->dim == *dim && known->mask == mask)
      return known.get();
  Uses uses;
  collectUses(root, uses);
  if (!uses.areKnown)
    return nullptr;
  auto buffer = std::make_unique<PairedBuffer>();
  buffer->root = root;
  buffer->dim = *dim;
  buffer->mask = mask;
  buffer->extent = getShape(root)[*dim];
  for (const Uses::Write &write : uses.writes)
    if (!isOverwritten(write, root))
      buffer->writes.push_back({write.op, write.view});
  list.push_back(std::move(buffer));
  return list.back().get();
}

void PairedBuffers::placeCopies(ArrayRef<PairProduct> products) {
  for (const std::unique_ptr<PairedBuffer> &buffer : list) {
    SmallVector<Operation *> users;
    for (PairProduct product : products)
      for (OpOperand *factor : product.factors)
        if (!isArgument(product, factor) &&
            find(product, factor) == buffer.get())
          users.push_back(product.op);
    buffer->isUsed = !users.empty();
    if (buffer->isUsed)
      addCopies(*buffer, users);
  }
}

/// Whether these are bf16 numbers of the caller.
bool PairedBuffers::isOfCaller(Value view) {
  if (!cast<MemRefType>(view.getType()).getElementType().isBF16())
    return false;
  SmallVector<Value> roots;
  collectRoots(view, roots);
  return llvm::all_of(roots, [&](Value root) {
    auto argument = dyn_cast<BlockArgument>(root);
    return argument && argument.getOwner() == &func.front();
  });
}

bool PairedBuffers::isArgument(PairProduct &product, OpOperand *factor) {
  auto type = cast<MemRefType>(factor->get().getType());
  return product.getSummedDim(factor) + 1 == type.getRank() &&
         isOfCaller(factor->get());
}

bool PairedBuffers::pays(PairProduct &product, OpOperand *factor,
                         const PairedBuffer &paired) {
  auto getSteps = [](Operation *op) {
    auto loop = op->getParentOfType<scf::ForOp>();
    while (loop && !loop->hasAttr("rondo.steps"))
      loop = loop->getParentOfType<scf::ForOp>();
    return loop;
  };
  scf::ForOp steps = getSteps(product.op);
  if (steps && llvm::none_of(paired.writes, [&](const auto &write) {
        return steps->isProperAncestor(write.first);
      }))
    return true;
  int64_t terms = product.op.getStaticLoopRanges()[product.reduced];
  bool isOfPoints = llvm::none_of(paired.writes, [](const auto &write) {
    auto op = dyn_cast<linalg::LinalgOp>(write.first);
    return !op || op.getNumReductionLoops() > 0;
  });
  if (product.isMasked(factor) && !isOfPoints &&
      !ShapedType::isDynamic(terms) && terms < kLeastMasked)
    return false;
  AffineMap map = product.op.getMatchingIndexingMap(factor);
  int64_t reuse = 1;
  for (auto [dim, range] : llvm::enumerate(product.op.getStaticLoopRanges()))
    if (!map.isFunctionOfDim(dim))
      reuse *= ShapedType::isDynamic(range) ? kTypicalExtent : range;
  return reuse >= kLeastReuse;
}

//===----------------------------------------------------------------------===//
// Composition
//===----------------------------------------------------------------------===//

bool PairedBuffers::isReadElsewhere(const PairedBuffer &buffer,
                                    ArrayRef<PairProduct> products) {
  Uses uses;
  collectUses(buffer.root, uses);
  // One that reads an argument in place stays, for rows that are not words.
  return llvm::any_of(uses.reads, [&](Operation *read) {
    return llvm::none_of(products, [&](PairProduct product) {
      return product.op == read &&
             llvm::none_of(product.factors, [&](OpOperand *factor) {
               return isArgument(product, factor);
             });
    });
  });
}

/// Whether an op's result at each point can be computed again behind it, for
/// pairs along the dim `dim` unless that is -1.
static bool canCompose(Operation *op, Value view, int dim) {
  auto generic = dyn_cast<linalg::GenericOp>(op);
  if (!generic || generic.getNumReductionLoops() > 0 ||
      !llvm::is_contained(generic.getOutputs(), view))
    return false;
  for (OpOperand &init : generic.getDpsInitsMutable())
    if (!generic.getMatchingIndexingMap(&init).isIdentity() ||
        !generic.getMatchingBlockArgument(&init).use_empty())
      return false;
  for (OpOperand *input : generic.getDpsInputOperands()) {
    AffineMap map = generic.getMatchingIndexingMap(input);
    auto type = dyn_cast<MemRefType>(input->get().getType());
    if (!type)
      return false;
    if (!map.isProjectedPermutation() ||
        llvm::any_of(generic.getOutputs(), [&](Value output) {
          return mayOverlap(input->get(), output);
        }))
      return false;
    // Two neighbours in memory are not two rows.
    if (dim >= 0 && map.getNumResults() > 1 &&
        map.getResults().back() == getAffineDimExpr(dim, map.getContext()))
      return false;
  }
  return llvm::all_of(generic.getBody()->without_terminator(),
                      [](Operation &inner) { return isPure(&inner); });
}

/// Whether an op writes bf16 numbers of the caller, of which the pairs along a
/// dim are neighbours in memory.
bool PairedBuffers::copiesWords(Operation *op, Value view, int dim) {
  auto generic = dyn_cast<linalg::GenericOp>(op);
  if (!generic || generic.getInputs().size() != 1 ||
      generic.getOutputs().size() != 1 || generic.getOutputs()[0] != view ||
      generic.getNumReductionLoops() > 0 ||
      !generic.getMatchingIndexingMap(generic.getDpsInitOperand(0))
           .isIdentity())
    return false;
  auto type = dyn_cast<MemRefType>(generic.getInputs()[0].getType());
  AffineMap map = generic.getMatchingIndexingMap(generic.getDpsInputOperand(0));
  auto ext = generic.getBody()
                 ->getTerminator()
                 ->getOperand(0)
                 .getDefiningOp<arith::ExtFOp>();
  return type && map.isProjectedPermutation() && map.getNumResults() > 0 &&
         map.getResults().back() == getAffineDimExpr(dim, map.getContext()) &&
         (type.isDynamicDim(type.getRank() - 1) ||
          type.getShape().back() % 2 == 0) &&
         isOfCaller(generic.getInputs()[0]) && ext &&
         ext.getIn() == generic.getBody()->getArgument(0);
}

/// Whether a loop writes every element of a buffer, one row after the other.
static bool writesAll(Operation *op, Value root) {
  auto loop = dyn_cast<scf::ForOp>(op);
  if (!loop || !isZeroInteger(loop.getLowerBound()) ||
      !isOneInteger(loop.getStep()))
    return false;
  SmallVector<OpFoldResult> shape = getShape(root);
  return llvm::any_of(
      loop.getBody()->getOps<linalg::GenericOp>(), [&](linalg::GenericOp row) {
        auto view = row.getOutputs()[0].getDefiningOp<memref::SubViewOp>();
        if (!view || view.getSource() != root || !view.hasUnitStride() ||
            row.getNumReductionLoops() > 0)
          return false;
        unsigned numRows = 0;
        for (auto [size, offset, count] : llvm::zip_equal(
                 shape, view.getMixedOffsets(), view.getMixedSizes())) {
          bool isRow = offset == OpFoldResult(loop.getInductionVar()) &&
                       isOneInteger(count) && size &&
                       isEqualConstantIntOrValue(size, loop.getUpperBound());
          bool isWhole = isZeroInteger(offset) && size &&
                         isEqualConstantIntOrValue(size, count);
          numRows += isRow;
          if (!isRow && !isWhole)
            return false;
        }
        return numRows == 1;
      });
}

void PairedBuffers::compose(ArrayRef<PairProduct> products) {
  for (const std::unique_ptr<PairedBuffer> &buffer : list) {
    // One that is paired in two ways stays.
    bool isAlone = llvm::none_of(list, [&](const auto &other) {
      return other != buffer && other->root == buffer->root && other->isUsed;
    });
    if (!buffer->isUsed || !isAlone || isReadElsewhere(*buffer, products))
      continue;
    auto getDim = [&](const PairedBuffer::Copy &copy) -> int {
      return buffer->isLast() ? -1 : buffer->findDim(copy.view);
    };
    auto isComposable = [&](const PairedBuffer::Copy &copy) {
      return copy.view && canCompose(copy.after, copy.view, getDim(copy));
    };
    auto isOfWords = [&](const PairedBuffer::Copy &copy) {
      return copy.view && !buffer->isLast() &&
             copiesWords(copy.after, copy.view, getDim(copy));
    };
    bool areComplete =
        llvm::all_of(buffer->copies, [&](const PairedBuffer::Copy &copy) {
          return copy.view ? isComposable(copy) || isOfWords(copy) ||
                                 isa<linalg::FillOp>(copy.after)
                           : writesAll(copy.after, buffer->root);
        });
    if (!areComplete)
      continue;
    // All that an op writes is composed, or nothing.
    bool areOps = llvm::all_of(buffer->copies, [&](PairedBuffer::Copy &copy) {
      auto writer = dyn_cast<linalg::GenericOp>(copy.after);
      return !writer || !copy.view ||
             llvm::all_of(writer.getOutputs(), [&](Value output) {
               return llvm::any_of(
                   buffer->copies, [&](const PairedBuffer::Copy &other) {
                     return other.after == writer && other.view == output;
                   });
             });
    });
    if (!areOps)
      continue;
    for (PairedBuffer::Copy &copy : buffer->copies) {
      copy.isComposed = isComposable(copy);
      copy.areWords = isOfWords(copy);
    }
  }
}
