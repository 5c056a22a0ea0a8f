//===- RaiseAttention.cpp - Equations that are an attention ---------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/Analysis/TopologicalSortUtils.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Iterators.h"
#include "mlir/IR/Matchers.h"
#include "passes/Algebra/Inline.h"
#include "passes/Algebra/Linear.h"
#include "passes/Algebra/Passes.h"
#include "llvm/ADT/DenseSet.h"

namespace rondo::algebra {
#define GEN_PASS_DEF_RAISEATTENTION
#include "passes/Algebra/Passes.h.inc"
} // namespace rondo::algebra

using namespace mlir;
using namespace rondo;
using namespace rondo::algebra;

namespace {

using Conditions = llvm::SmallSetVector<Expr, 4>;

/// A product under conditions: the term of a sum, taken apart.
struct Product {
  SmallVector<Expr> factors;
  Conditions selected; // where not, a factor is 0
};

/// One sum over u of an equation [batch.., t, j..], seen as an attention with
/// the rows t.
class Candidate {
public:
  Candidate(EquationOp op, unsigned row, unsigned numBatch)
      : op(op), row(row), numBatch(numBatch), context(op.getContext()),
        type(op.getResult().getType().getElementType()) {
    for (BlockArgument index : op.getParallelIndices())
      points.push_back(context.leaf(index));
    t = points[row];
    u = context.leaf(op.getReductionIndices()[0]);
  }

  bool match();
  /// Replaces the equation; the statistics of a softmax where the equations
  /// that give them stay in use.
  void replace(llvm::function_ref<void()> eraseDead);

private:
  bool uses(Expr expr, Expr leaf) {
    return contains(expr, [&](Expr node) { return node == leaf; });
  }
  bool ownsWeights();
  bool usesValueIndex(Expr expr) {
    return contains(expr, [&](Expr node) {
      auto it = llvm::find(points, node);
      unsigned position = it - points.begin();
      return it != points.end() && position >= numBatch && position != row;
    });
  }
  bool isScored(Expr expr) {
    return contains(expr, [&](Expr node) {
      auto equation = node->kind == Kind::Read
                          ? node->value.getDefiningOp<EquationOp>()
                          : EquationOp();
      return equation && equation.getCombiner() == Combiner::Sum &&
             uses(node, t) && uses(node, u);
    });
  }
  Value extentOf(Expr index);
  Expr inlined(Expr expr);
  Product split(Expr term);
  Expr atPoint(EquationOp equation, Expr read, Combiner combiner,
               Conditions &conditions);
  EquationOp reductionOf(Expr read);
  bool matchNorm(Expr factor, ArrayRef<Expr> weights);
  void matchShift();
  void findStatistics();
  AttentionOp create(bool withStatistics);
  void fillScore(AttentionOp attention);
  void fillValue(AttentionOp attention);

  EquationOp op;
  unsigned row, numBatch;
  Context context;
  Type type;
  SmallVector<Expr> points; // of the parallel dims
  Expr t, u;

  llvm::SmallPtrSet<Operation *, 8> inner; // what was inlined

  // The parts.
  Conditions mask, filter;
  Normaliser normaliser = Normaliser::None;
  Expr score = nullptr;        // softmax: before exp
  SmallVector<Expr> scores;    // factors of the weight, of t and u
  SmallVector<Expr> values;    // factors of the value
  SmallVector<Expr> outer;     // factors without u
  EquationOp greatest, norm;   // that say what the statistics say
  bool timesNorm = false;      // the equation is not divided by its norm
  SmallVector<Expr, 1> weight; // softmax: exp(..), as the program has it
  SmallVector<EquationOp> greatests, norms; // all such equations
};

/// Emits expressions in a region of an attention.
class RegionEmitter {
public:
  RegionEmitter(Location loc, Block &block)
      : loc(loc), builder(OpBuilder::atBlockEnd(&block)) {}

  void bind(Expr leaf, Value value) { known[leaf] = value; }
  Value emit(Expr expr) {
    if (Value value = known.lookup(expr))
      return value;
    Value result;
    SmallVector<Value> args;
    for (Expr arg : expr->args)
      args.push_back(emit(arg));
    switch (expr->kind) {
    case Kind::Real:
      result = arith::ConstantOp::create(
          builder, loc, builder.getFloatAttr(expr->type, expr->real));
      break;
    case Kind::Integer:
      result = expr->type.isIndex()
                   ? arith::ConstantIndexOp::create(builder, loc, expr->integer)
                         .getResult()
                   : arith::ConstantOp::create(
                         builder, loc, builder.getBoolAttr(expr->integer));
      break;
    case Kind::Value:
      result = expr->value;
      break;
    case Kind::Read:
      result = emitRead(builder, loc, expr, args);
      break;
    case Kind::Apply: {
      OperationState state(loc, expr->op.getValue());
      state.addOperands(args);
      state.addTypes(expr->type);
      state.addAttributes(expr->attributes.getValue());
      result = builder.create(state)->getResult(0);
      break;
    }
    case Kind::Variable:
    case Kind::Reduce:
      llvm_unreachable("reductions are equations here");
    }
    known[expr] = result;
    return result;
  }
  void yield(Value value, Value filter) {
    YieldOp::create(builder, loc, value, filter);
  }

private:
  Location loc;
  OpBuilder builder;
  llvm::DenseMap<Expr, Value> known;
};

//===----------------------------------------------------------------------===//
// Recognition
//===----------------------------------------------------------------------===//

/// The size n of an index in [0, n), null for other expressions.
Value Candidate::extentOf(Expr index) {
  for (auto [point, size] : llvm::zip_equal(points, op.getSizes()))
    if (index == point)
      return size;
  APInt lower;
  if (index == u && matchPattern(op.getLowers()[0], m_ConstantInt(&lower)) &&
      !lower.isNegative())
    return op.getUppers()[0];
  return Value();
}

/// With what pointwise equations over t and u say.
Expr Candidate::inlined(Expr expr) {
  return inlineReads(
      context, expr, [&](Expr index) { return extentOf(index); },
      [&](Expr read, EquationOp equation) {
        if (equation.getCombiner() || !uses(read, t) || !uses(read, u))
          return false;
        inner.insert(equation);
        return true;
      });
}

/// Whether what was inlined serves sums like this one only. If it stays, there
/// is nothing to gain.
bool Candidate::ownsWeights() {
  return llvm::all_of(inner, [&](Operation *equation) {
    return llvm::all_of(equation->getUsers(), [&](Operation *user) {
      auto reader = user->getParentOfType<EquationOp>();
      return reader && isa<KernelOp>(reader->getParentOp()) &&
             (reader.getCombiner() || inner.contains(reader));
    });
  });
}

Product Candidate::split(Expr term) {
  Product result;
  SmallVector<Expr> work{term};
  while (!work.empty()) {
    for (Expr factor : factors(context, work.pop_back_val())) {
      bool isSelected =
          factor->isOp("arith.select") && factor->args[2]->isReal(0);
      if (!isSelected) {
        result.factors.push_back(factor);
        continue;
      }
      splitCondition(factor->args[0], result.selected);
      work.push_back(factor->args[1]);
    }
  }
  return result;
}

/// The reduction over u that a read gives for the row t, or null.
EquationOp Candidate::reductionOf(Expr read) {
  auto equation = read->kind == Kind::Read
                      ? read->value.getDefiningOp<EquationOp>()
                      : EquationOp();
  if (!equation || !isa<KernelOp>(equation->getParentOp()) ||
      !equation.getCombiner() || equation.getUppers() != op.getUppers() ||
      equation.getLowers() != op.getLowers() ||
      !equation.getBlock().getOps<GatherOp>().empty())
    return EquationOp();
  ArrayRef<Expr> subscripts = read->subscripts();
  if (subscripts != ArrayRef(points).take_front(numBatch + 1) ||
      row != numBatch ||
      equation.getSizes() != op.getSizes().take_front(row + 1))
    return EquationOp();
  return equation;
}

/// The term of such a reduction at u, and its conditions.
Expr Candidate::atPoint(EquationOp equation, Expr read, Combiner combiner,
                        Conditions &conditions) {
  if (equation.getCombiner() != combiner)
    return nullptr;
  Expr reduce = Importer(context).instantiate(equation, read->subscripts());
  if (reduce->kind != Kind::Reduce)
    return nullptr;
  llvm::DenseMap<Expr, Expr> here{{context.variable(reduce->variables[0]), u}};
  Expr term = inlined(context.substitute(reduce->args[0], here));
  if (Expr filter = reduce->args[1])
    splitCondition(inlined(context.substitute(filter, here)), conditions);
  return term;
}

static bool areEqual(const Conditions &a, const Conditions &b) {
  return a.size() == b.size() &&
         llvm::all_of(a, [&](Expr each) { return b.contains(each); });
}

/// Whether a factor is 1 / sum over u of the weights.
bool Candidate::matchNorm(Expr factor, ArrayRef<Expr> weights) {
  if (!factor->isOp("arith.divf") || !factor->args[0]->isReal(1))
    return false;
  EquationOp equation = reductionOf(factor->args[1]);
  if (!equation)
    return false;
  Conditions conditions;
  Expr term = atPoint(equation, factor->args[1], Combiner::Sum, conditions);
  if (!term)
    return false;
  Product product = split(term);
  conditions.insert_range(product.selected);
  SmallVector<Expr> expected(weights);
  llvm::sort(expected);
  llvm::sort(product.factors);
  if (expected != product.factors || !areEqual(conditions, mask))
    return false;
  norm = equation;
  return true;
}

/// Takes the greatest score, or anything else that all scores of a row share
/// and that stands for it, out of the score.
void Candidate::matchShift() {
  if (!score->isOp("arith.subf"))
    return;
  Expr rest = score->args[0], shift = score->args[1], read = nullptr;
  if (uses(shift, u))
    return;
  walk(shift, [&](Expr node) {
    EquationOp equation = reductionOf(node);
    if (equation && equation.getCombiner() == Combiner::Max)
      read = node;
  });
  if (!read)
    return;
  Conditions conditions;
  EquationOp equation = reductionOf(read);
  Expr term = atPoint(equation, read, Combiner::Max, conditions);
  bool isGreatest = term == rest && areEqual(conditions, mask);
  // Without its norm, the weight depends on the shift.
  if (!isGreatest && !norm)
    return;
  score = rest;
  if (isGreatest)
    greatest = equation;
}

bool Candidate::match() {
  Importer importer(context);
  YieldOp yield = op.getYield();
  Product product = split(inlined(importer.import(yield.getValues()[0])));
  mask = product.selected;
  if (yield.getFilter()) {
    splitCondition(inlined(importer.import(yield.getFilter())), filter);
    mask.insert_range(filter);
  }
  for (Expr condition : mask)
    if (usesValueIndex(condition))
      return false;
  // Values that stay in the equation's body can't be used elsewhere.
  bool isOpaque = false;
  auto checkLeaves = [&](Expr expr) {
    walk(expr, [&](Expr node) {
      if (node->kind == Kind::Value && node->value.getDefiningOp())
        isOpaque |= isa<EquationOp>(node->value.getDefiningOp()->getParentOp());
      isOpaque |= node->kind == Kind::Reduce;
    });
  };
  for (Expr factor : product.factors) {
    checkLeaves(factor);
    if (!uses(factor, u))
      outer.push_back(factor);
    else if (!uses(factor, t))
      values.push_back(factor);
    else if (usesValueIndex(factor))
      return false;
    else
      scores.push_back(factor);
  }
  for (Expr condition : mask)
    checkLeaves(condition);
  if (isOpaque || !llvm::any_of(scores, [&](Expr e) { return isScored(e); }))
    return false;

  // One exponential that holds the scores: a softmax, if it is normalised by
  // itself or relative to the greatest score.
  SmallVector<Expr> scored, others;
  for (Expr factor : scores)
    (isScored(factor) ? scored : others).push_back(factor);
  bool isExponential = scored.size() == 1 && scored[0]->isOp("math.exp");
  for (Expr factor : llvm::to_vector(outer)) {
    if (isExponential && matchNorm(factor, scored)) {
      // The other factors are not part of the norm.
    } else if (matchNorm(factor, scores)) {
      isExponential = false;
    } else {
      continue;
    }
    outer.erase(llvm::find(outer, factor));
    normaliser = Normaliser::Sum;
    break;
  }
  if (!isExponential)
    return ownsWeights();
  score = scored[0]->args[0];
  matchShift();
  if (!norm && !greatest) {
    score = nullptr;
    return ownsWeights();
  }
  normaliser = Normaliser::Softmax;
  weight.assign(scored.begin(), scored.end());
  timesNorm = !norm;
  values.append(others);
  if (norm && !greatest)
    norm = EquationOp(); // relative to something else
  return ownsWeights();
}

//===----------------------------------------------------------------------===//
// Replacement
//===----------------------------------------------------------------------===//

void Candidate::fillScore(AttentionOp attention) {
  Block &block = attention.getScore().front();
  RegionEmitter emitter(op.getLoc(), block);
  for (unsigned i = 0; i <= row; ++i)
    emitter.bind(points[i], block.getArgument(i));
  emitter.bind(u, block.getArgument(row + 1));
  Value value = emitter.emit(score ? score : product(context, scores, type));
  Value condition;
  Expr all = context.boolean(true);
  for (Expr each : mask)
    all = context.logicalAnd(all, each);
  if (!mask.empty())
    condition = emitter.emit(all);
  emitter.yield(value, condition);
}

void Candidate::fillValue(AttentionOp attention) {
  Block &block = attention.getValue().front();
  RegionEmitter emitter(op.getLoc(), block);
  for (unsigned i = 0; i <= row; ++i)
    emitter.bind(points[i], block.getArgument(i));
  emitter.bind(u, block.getArgument(row + 1));
  for (unsigned i = row + 1; i < points.size(); ++i)
    emitter.bind(points[i], block.getArgument(i + 1));
  Expr value = product(context, values, type);
  // What the sum leaves out must not count, finite or not.
  Expr all = context.boolean(true);
  for (Expr each : filter)
    all = context.logicalAnd(all, each);
  value = context.select(all, value, context.real(0, type));
  emitter.yield(emitter.emit(value), Value());
}

AttentionOp Candidate::create(bool withStatistics) {
  OpBuilder builder(op);
  auto tensorOf = [&](unsigned rank) {
    return RankedTensorType::get(
        SmallVector<int64_t>(rank, ShapedType::kDynamic), type);
  };
  SmallVector<Type> statistics(withStatistics ? 2 : 0, tensorOf(row + 1));
  ValueRange sizes = op.getSizes();
  auto attention = AttentionOp::create(
      builder, op.getLoc(), tensorOf(points.size()), statistics, op.getName(),
      normaliser, sizes.take_front(row + 1), op.getLowers(), op.getUppers(),
      sizes.drop_front(row + 1));
  for (Region *region : {&attention.getScore(), &attention.getValue()}) {
    unsigned count =
        region == &attention.getScore() ? row + 2 : points.size() + 1;
    builder.createBlock(region, {},
                        SmallVector<Type>(count, builder.getIndexType()),
                        SmallVector<Location>(count, op.getLoc()));
  }
  fillScore(attention);
  fillValue(attention);
  return attention;
}

/// Finds all equations that say what the statistics say.
void Candidate::findStatistics() {
  for (EquationOp equation : op->getBlock()->getOps<EquationOp>()) {
    if (!equation.getCombiner() ||
        equation.getSizes() != op.getSizes().take_front(row + 1))
      continue;
    Expr read =
        context.read(equation.getResult(), ArrayRef(points).take_front(row + 1),
                     Value(), {}, type);
    if (!reductionOf(read))
      continue;
    Conditions conditions;
    if (Expr term = atPoint(equation, read, Combiner::Max, conditions)) {
      if (term == score && areEqual(conditions, mask))
        greatests.push_back(equation);
      continue;
    }
    conditions.clear();
    if (Expr term = atPoint(equation, read, Combiner::Sum, conditions)) {
      Product product = split(term);
      conditions.insert_range(product.selected);
      if (product.factors == ArrayRef<Expr>(weight) &&
          areEqual(conditions, mask))
        norms.push_back(equation);
    }
  }
}

void Candidate::replace(llvm::function_ref<void()> eraseDead) {
  bool isSoftmax = normaliser == Normaliser::Softmax;
  if (isSoftmax && greatest)
    findStatistics();
  AttentionOp attention = create(isSoftmax && greatest);
  Value result = attention.getResult();
  if (!outer.empty() || timesNorm) {
    OpBuilder builder(op);
    auto scaled = EquationOp::create(builder, op.getLoc(), op.getName(), type,
                                     op.getSizes());
    llvm::DenseMap<Expr, Expr> here;
    SmallVector<Expr> now;
    for (auto [point, index] :
         llvm::zip_equal(points, scaled.getParallelIndices())) {
      now.push_back(context.leaf(index));
      here[point] = now.back();
    }
    Expr value = context.read(result, now, Value(), {}, type);
    if (timesNorm)
      value = context.mul(value, context.read(attention.getStatistics()[1],
                                              ArrayRef(now).take_front(row + 1),
                                              Value(), {}, type));
    if (!outer.empty()) {
      // A sum without terms stays 0 beside a factor that is infinite.
      Expr sum = value, zero = context.real(0, type);
      for (Expr factor : outer)
        value = context.mul(value, context.substitute(factor, here));
      Expr isZero = context.apply(
          "arith.cmpf", {sum, zero}, builder.getI1Type(),
          builder.getDictionaryAttr(builder.getNamedAttr(
              "predicate", builder.getI64IntegerAttr(static_cast<int64_t>(
                               arith::CmpFPredicate::OEQ)))));
      value = context.select(isZero, zero, value);
    }
    OpBuilder inside = OpBuilder::atBlockEnd(&scaled.getBlock());
    YieldOp::create(inside, op.getLoc(), Exporter(scaled).emit(inside, value));
    result = scaled.getResult();
  }
  result.setType(op.getResult().getType());
  op.getResult().replaceAllUsesWith(result);
  Block *block = op->getBlock();
  // What else reads the norm and the greatest score finds them here; first what
  // only served this sum goes.
  eraseDead();
  if (attention.getStatistics().empty())
    return;
  auto replaceAlive = [&](ArrayRef<EquationOp> equations, Value by) {
    llvm::DenseSet<Operation *> alive;
    for (Operation &each : *block)
      alive.insert(&each);
    for (EquationOp equation : equations)
      if (alive.contains(equation.getOperation()))
        equation.getResult().replaceAllUsesWith(by);
    eraseDead();
  };
  replaceAlive(norms, attention.getStatistics()[1]);
  if (!attention.getStatistics()[1].use_empty())
    replaceAlive(greatests, attention.getStatistics()[0]);
  sortTopologically(block);
  if (llvm::all_of(attention.getStatistics(),
                   [](Value each) { return each.use_empty(); })) {
    OpBuilder builder(attention);
    auto plain = AttentionOp::create(
        builder, attention.getLoc(), attention.getResult().getType(),
        TypeRange(), attention.getName(), attention.getNormaliser(),
        attention.getSizes(), attention.getLowers(), attention.getUppers(),
        attention.getValueSizes());
    plain.getScore().takeBody(attention.getScore());
    plain.getValue().takeBody(attention.getValue());
    attention.getResult().replaceAllUsesWith(plain.getResult());
    attention.erase();
  }
}

struct RaiseAttention
    : rondo::algebra::impl::RaiseAttentionBase<RaiseAttention> {
  /// Erases what nothing uses, and forgets it.
  void eraseDead(KernelOp kernel) {
    kernel.walk<WalkOrder::PostOrder, mlir::ReverseIterator>(
        [&](Operation *op) {
          if (isOpTriviallyDead(op)) {
            tried.erase(op);
            op->erase();
          }
        });
  }

  /// One equation of the kernel. Sums of values come before sums of weights,
  /// which their statistics may give; later ones first, which use up earlier
  /// ones.
  bool raiseOne(KernelOp kernel, bool hasValues) {
    unsigned numBatch = kernel.getBatch().size();
    SmallVector<EquationOp> equations(
        kernel.getBody().front().getOps<EquationOp>());
    for (EquationOp op : llvm::reverse(equations)) {
      if (op.getCombiner() != Combiner::Sum ||
          op.getReductionIndices().size() != 1 ||
          op.getSizes().size() <= numBatch ||
          (op.getSizes().size() > numBatch + 1) != hasValues ||
          !tried.insert(op.getOperation()).second)
        continue;
      // Batch dims lead; rows come next.
      Candidate candidate(op, numBatch, numBatch);
      if (!candidate.match())
        continue;
      candidate.replace([&] { eraseDead(kernel); });
      ++numRaised;
      return true;
    }
    return false;
  }

  void runOnOperation() override {
    for (KernelOp kernel : getOperation().getOps<KernelOp>()) {
      tried.clear();
      for (bool hasValues : {true, false})
        while (raiseOne(kernel, hasValues))
          ;
    }
  }

  llvm::DenseSet<Operation *> tried;
};

} // namespace
