//===- AttentionStructure.cpp - The parts of an attention -----------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Forms/AttentionStructure.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::algebra;

namespace {

class Finder {
public:
  Finder(Context &context, AttentionOp op, std::string &reason)
      : context(context), reason(reason) {
    s.op = op;
    type = op.getResultType().getElementType();
  }

  std::optional<AttentionStructure> find() {
    if (!bindIndices() || !findScore() || !findValue())
      return std::nullopt;
    return std::move(s);
  }

private:
  bool fail(const Twine &why) {
    reason = why.str();
    return false;
  }
  bool uses(Expr expr, Expr leaf) {
    return contains(expr, [&](Expr node) { return node == leaf; });
  }
  bool usesAny(Expr expr, ArrayRef<Expr> leaves) {
    return contains(
        expr, [&](Expr node) { return llvm::is_contained(leaves, node); });
  }
  bool bindIndices();
  Value extentOf(Expr index);
  Expr withContractions(Expr expr);
  bool isOpaque(Expr expr);
  bool findScore();
  bool addDot(Expr reduce);
  void collectScaled(Expr expr, Expr dot, llvm::SetVector<Expr> &found);
  Expr scaleOf(Expr expr, Expr dot);
  bool findValue();

  Context &context;
  std::string &reason;
  AttentionStructure s;
  Type type;
};

/// Kernel batch dims, one dim of rows, one range.
bool Finder::bindIndices() {
  AttentionOp op = s.op;
  auto kernel = dyn_cast<KernelOp>(op->getParentOp());
  if (!kernel)
    return fail("it stands inside of a recurrence");
  unsigned numBatch = kernel.getBatch().size();
  if (op.getSizes().size() != numBatch + 1)
    return fail("it has " + Twine(op.getSizes().size() - numBatch) +
                " dims of rows");
  if (op.getLowers().size() != 1)
    return fail("it runs over several ranges");
  APInt lower;
  if (!matchPattern(op.getLowers()[0], m_ConstantInt(&lower)) ||
      lower.isNegative())
    return fail("its range does not begin at a constant");
  ArrayRef<BlockArgument> indices = op.getScore().front().getArguments();
  for (BlockArgument index : indices.take_front(numBatch))
    s.batch.push_back(context.leaf(index));
  s.t = context.leaf(indices[numBatch]);
  s.u = context.leaf(indices[numBatch + 1]);
  for (BlockArgument index :
       op.getValue().front().getArguments().drop_front(numBatch + 2))
    s.j.push_back(context.leaf(index));
  return true;
}

Value Finder::extentOf(Expr index) {
  AttentionOp op = s.op;
  if (index == s.u)
    return op.getUppers()[0];
  if (index == s.t)
    return op.getSizes().back();
  for (auto [leaf, size] : llvm::zip(s.batch, op.getSizes()))
    if (index == leaf)
      return size;
  return Value();
}

/// With what equations over t and u say.
Expr Finder::withContractions(Expr expr) {
  return inlineReads(
      context, expr, [&](Expr index) { return extentOf(index); },
      [&](Expr read, EquationOp equation) {
        return uses(read, s.t) && uses(read, s.u) &&
               (!equation.getCombiner() ||
                equation.getCombiner() == Combiner::Sum);
      });
}

/// Whether something in it can't leave the attention's regions.
bool Finder::isOpaque(Expr expr) {
  return contains(expr, [&](Expr node) {
    Operation *def =
        node->kind == Kind::Value ? node->value.getDefiningOp() : nullptr;
    return def && !isa<KernelOp>(def->getParentOp());
  });
}

bool Finder::findScore() {
  YieldOp yield = s.op.getScoreYield();
  Importer importer(context);
  s.score = withContractions(importer.import(yield.getValues()[0]));
  if (Value filter = yield.getFilter())
    splitCondition(withContractions(importer.import(filter)), s.mask);
  for (Expr condition : s.mask)
    if (isOpaque(condition) || contains(condition, [](Expr node) {
          return node->kind == Kind::Reduce;
        }))
      return fail("its mask is not pointwise");
  if (isOpaque(s.score))
    return fail("its score gathers");
  llvm::SetVector<Expr> sums;
  walk(s.score, [&](Expr node) {
    if (node->kind == Kind::Reduce && uses(node, s.t) && uses(node, s.u))
      sums.insert(node);
  });
  if (sums.empty())
    return fail("its score is no contraction");
  return llvm::all_of(sums, [&](Expr sum) { return addDot(sum); });
}

/// `expr` = scale * dot, with a scale of t or of u alone; else null.
Expr Finder::scaleOf(Expr expr, Expr dot) {
  if (expr == dot)
    return context.real(1, expr->type);
  auto separates = [&](Expr scale) {
    return !uses(scale, dot) && (!uses(scale, s.t) || !uses(scale, s.u));
  };
  if (expr->isOp("arith.negf")) {
    Expr scale = scaleOf(expr->args[0], dot);
    return scale ? context.neg(scale) : nullptr;
  }
  if (expr->isOp("arith.mulf"))
    for (unsigned i : {0, 1})
      if (separates(expr->args[1 - i]))
        if (Expr scale = scaleOf(expr->args[i], dot))
          return context.mul(scale, expr->args[1 - i]);
  if (expr->isOp("arith.divf") && separates(expr->args[1]))
    if (Expr scale = scaleOf(expr->args[0], dot))
      return context.div(scale, expr->args[1]);
  return nullptr;
}

/// The greatest subexpressions that are multiples of the dot.
void Finder::collectScaled(Expr expr, Expr dot, llvm::SetVector<Expr> &found) {
  if (!expr || !uses(expr, dot))
    return;
  if (scaleOf(expr, dot)) {
    found.insert(expr);
    return;
  }
  for (Expr arg : expr->args)
    collectScaled(arg, dot, found);
}

/// A sum of products of something of t and something of u.
bool Finder::addDot(Expr reduce) {
  if (reduce->combiner != Combiner::Sum || reduce->args[1])
    return fail("a contraction in its score has a filter");
  for (const Variable *variable : reduce->variables)
    if (!matchPattern(variable->lower, m_Zero()))
      return fail("a contraction in its score does not begin at 0");
  ScoreDot dot;
  dot.expr = reduce;
  dot.variables.append(reduce->variables.begin(), reduce->variables.end());
  SmallVector<Expr> lefts, rights;
  for (Expr factor : factors(context, reduce->args[0])) {
    if (uses(factor, s.t) && uses(factor, s.u))
      return fail("its score is no product of queries and keys");
    if (contains(factor, [](Expr node) { return node->kind == Kind::Reduce; }))
      return fail("its score has nested contractions");
    (uses(factor, s.u) ? rights : lefts).push_back(factor);
  }
  llvm::SetVector<Expr> scaled;
  collectScaled(s.score, reduce, scaled);
  if (scaled.size() == 1) {
    dot.expr = scaled[0];
    for (Expr factor : factors(context, scaleOf(scaled[0], reduce)))
      (uses(factor, s.u) ? rights : lefts).push_back(factor);
  }
  dot.left = product(context, lefts, type);
  dot.right = product(context, rights, type);
  s.dots.push_back(dot);
  return true;
}

bool Finder::findValue() {
  AttentionOp op = s.op;
  Importer importer(context);
  unsigned shared = s.batch.size() + 2;
  for (auto [inScore, inValue] :
       llvm::zip(op.getScore().front().getArguments(),
                 op.getValue().front().getArguments().take_front(shared)))
    importer.bind(inValue, context.leaf(inScore));
  Expr value =
      withContractions(importer.import(op.getValueYield().getValues()[0]));
  if (isOpaque(value))
    return fail("its value gathers");
  s.guard = nullptr;
  if (value->isOp("arith.select") && value->args[2]->isReal(0) &&
      uses(value->args[0], s.t)) {
    s.guard = value->args[0];
    value = value->args[1];
    if (usesAny(s.guard, s.j))
      return fail("its value has a mask of its own");
  }
  SmallVector<Expr> pairs, plain;
  for (Expr factor : factors(context, value)) {
    bool usesRow = uses(factor, s.t);
    if (usesRow && (usesAny(factor, s.j) || contains(factor, [](Expr node) {
                      return node->kind == Kind::Reduce;
                    })))
      return fail("its value depends on the row");
    (usesRow ? pairs : plain).push_back(factor);
  }
  s.factor = product(context, pairs, type);
  s.value = product(context, plain, type);
  return true;
}

//===----------------------------------------------------------------------===//
// Ranges
//===----------------------------------------------------------------------===//

/// u * keys + t * rows + rest.
struct Linear {
  int64_t keys = 0, rows = 0;
  Expr rest;
};

class Ranges {
public:
  Ranges(Context &context, Expr t, Expr u, Expr t0, Expr t1)
      : context(context), index(IndexType::get(context.getContext())), t(t),
        u(u), t0(t0), t1(t1) {}

  KeyRange visit(Expr condition);

private:
  static KeyRange unknown() {
    KeyRange range;
    range.never = true;
    return range;
  }
  Expr apply(StringRef op, Expr a, Expr b) {
    return context.apply(op, {a, b}, index);
  }
  std::optional<Linear> linear(Expr expr);
  Linear combine(const Linear &a, const Linear &b, int64_t sign);
  bool isUniform(Expr expr);
  KeyRange below(const Linear &difference, int64_t offset);
  /// Of either condition.
  KeyRange unite(const KeyRange &a, const KeyRange &b);

  Context &context;
  Type index;
  Expr t, u, t0, t1;
};

/// The same for all rows and batch points, and known between equations.
bool Ranges::isUniform(Expr expr) {
  return !contains(expr, [&](Expr node) {
    switch (node->kind) {
    case Kind::Value:
      return isa<BlockArgument>(node->value) ||
             !isa<KernelOp>(node->value.getDefiningOp()->getParentOp());
    case Kind::Read:
      // Arguments only: they are complete.
      return !isa<BlockArgument>(node->value) || node->fallback ||
             node->isGather() ||
             !isa<KernelOp>(
                 cast<BlockArgument>(node->value).getOwner()->getParentOp());
    case Kind::Variable:
    case Kind::Reduce:
      return true;
    default:
      return false;
    }
  });
}

Linear Ranges::combine(const Linear &a, const Linear &b, int64_t sign) {
  return {a.keys + sign * b.keys, a.rows + sign * b.rows,
          apply(sign > 0 ? "arith.addi" : "arith.subi", a.rest, b.rest)};
}

std::optional<Linear> Ranges::linear(Expr expr) {
  Expr zero = context.integer(0);
  if (expr == u)
    return Linear{1, 0, zero};
  if (expr == t)
    return Linear{0, 1, zero};
  if (expr->type.isIndex() && isUniform(expr))
    return Linear{0, 0, expr};
  if (expr->isOp("arith.addi") || expr->isOp("arith.subi")) {
    std::optional<Linear> a = linear(expr->args[0]), b = linear(expr->args[1]);
    if (!a || !b)
      return std::nullopt;
    return combine(*a, *b, expr->isOp("arith.addi") ? 1 : -1);
  }
  if (expr->isOp("arith.muli"))
    for (unsigned i : {0, 1})
      if (expr->args[i]->kind == Kind::Integer) {
        int64_t factor = expr->args[i]->integer;
        std::optional<Linear> a = linear(expr->args[1 - i]);
        if (!a)
          return std::nullopt;
        return Linear{a->keys * factor, a->rows * factor,
                      apply("arith.muli", a->rest, context.integer(factor))};
      }
  return std::nullopt;
}

/// difference + offset <= 0.
KeyRange Ranges::below(const Linear &difference, int64_t offset) {
  if (std::abs(difference.keys) != 1)
    return unknown();
  // u <= limit(t) or u >= limit(t), limit = slope * t + constant.
  int64_t side = difference.keys;
  int64_t slope = -side * difference.rows;
  Expr constant = apply("arith.addi", difference.rest, context.integer(offset));
  if (side > 0)
    constant = apply("arith.subi", context.integer(0), constant);
  auto limitAt = [&](Expr row) {
    return apply("arith.addi", apply("arith.muli", row, context.integer(slope)),
                 constant);
  };
  bool rises = slope >= 0;
  KeyRange range;
  if (side > 0) {
    range.last = limitAt(rises ? t1 : t0);
    range.sureLast = limitAt(rises ? t0 : t1);
  } else {
    range.first = limitAt(rises ? t0 : t1);
    range.sureFirst = limitAt(rises ? t1 : t0);
  }
  return range;
}

KeyRange Ranges::unite(const KeyRange &a, const KeyRange &b) {
  KeyRange range = a.never ? b : a;
  range.first =
      a.first && b.first ? apply("arith.minsi", a.first, b.first) : nullptr;
  range.last =
      a.last && b.last ? apply("arith.maxsi", a.last, b.last) : nullptr;
  return range;
}

KeyRange Ranges::visit(Expr condition) {
  if (condition->isOp("arith.andi"))
    return intersect(context, visit(condition->args[0]),
                     visit(condition->args[1]));
  if (condition->isOp("arith.ori"))
    return unite(visit(condition->args[0]), visit(condition->args[1]));
  if (condition->kind == Kind::Integer && condition->integer)
    return KeyRange();
  if (!condition->isOp("arith.cmpi") || !condition->args[0]->type.isIndex())
    return unknown();
  std::optional<Linear> a = linear(condition->args[0]),
                        b = linear(condition->args[1]);
  if (!a || !b)
    return unknown();
  auto predicate = static_cast<arith::CmpIPredicate>(
      cast<IntegerAttr>(condition->attributes.get("predicate")).getInt());
  Linear up = combine(*a, *b, -1), down = combine(*b, *a, -1);
  switch (predicate) {
  case arith::CmpIPredicate::sle:
    return below(up, 0);
  case arith::CmpIPredicate::slt:
    return below(up, 1);
  case arith::CmpIPredicate::sge:
    return below(down, 0);
  case arith::CmpIPredicate::sgt:
    return below(down, 1);
  case arith::CmpIPredicate::eq:
    return intersect(context, below(up, 0), below(down, 0));
  default:
    return unknown();
  }
}

} // namespace

std::optional<AttentionStructure>
rondo::findAttentionStructure(Context &context, AttentionOp op,
                              std::string &reason) {
  return Finder(context, op, reason).find();
}

KeyRange rondo::findKeyRange(Context &context, Expr condition, Expr t, Expr u,
                             Expr t0, Expr t1) {
  return Ranges(context, t, u, t0, t1).visit(condition);
}

KeyRange rondo::intersect(Context &context, const KeyRange &a,
                          const KeyRange &b) {
  auto join = [&](StringRef op, Expr x, Expr y) {
    if (!x || !y)
      return x ? x : y;
    return context.apply(op, {x, y}, x->type);
  };
  KeyRange range;
  range.first = join("arith.maxsi", a.first, b.first);
  range.last = join("arith.minsi", a.last, b.last);
  range.sureFirst = join("arith.maxsi", a.sureFirst, b.sureFirst);
  range.sureLast = join("arith.minsi", a.sureLast, b.sureLast);
  range.never = a.never || b.never;
  return range;
}
