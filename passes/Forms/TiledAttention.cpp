//===- TiledAttention.cpp - Attention by blocks of keys -------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Forms/TiledAttention.h"
#include "dialects/Rondo/Transforms/Equations.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"
#include "llvm/Support/MathExtras.h"
#include <limits>

using namespace mlir;
using namespace rondo;
using namespace rondo::algebra;

namespace {

using Exprs = SmallVector<Expr>;

class TileEmitter {
public:
  TileEmitter(Context &context, AttentionStructure &structure, int64_t rows,
              int64_t keys, bool powers)
      : context(context), s(structure), rowBlock(rows), keyBlock(keys),
        builder(s.op), loc(s.op.getLoc()),
        type(s.op.getResultType().getElementType()),
        index(builder.getIndexType()), numBatch(s.batch.size()),
        isSoftmax(s.op.getNormaliser() == Normaliser::Softmax),
        hasNorm(s.op.getNormaliser() != Normaliser::None),
        scale(powers && isSoftmax && type.isF32() ? llvm::numbers::log2e : 1),
        isPlain(s.dots.size() == 1 && s.dots[0].expr == s.score) {}

  void run();

private:
  using Body = llvm::function_ref<Expr(ArrayRef<Expr>)>;
  using ReductionBody =
      llvm::function_ref<Expr(ArrayRef<Expr>, ArrayRef<Expr>)>;
  Value equation(OpBuilder &at, const Twine &suffix, ValueRange sizes,
                 Body body, Type scalar = {});
  Value reduction(OpBuilder &at, const Twine &suffix, Combiner combiner,
                  ValueRange sizes, ValueRange extents, ReductionBody body);
  RecurrenceOp recurrence(OpBuilder &at, Value size, ValueRange initials,
                          ArrayRef<StringRef> names,
                          ArrayRef<SmallVector<Value>> rest);
  Value emitIndex(OpBuilder &at, Expr expr);

  Expr real(double number) { return context.real(number, type); }
  Expr read(Value tensor, ArrayRef<Expr> subscripts) {
    return context.read(tensor, subscripts, {}, {}, type);
  }
  Expr apply(StringRef op, Expr a, Expr b) {
    return context.apply(op, {a, b}, index);
  }
  Expr add(Expr a, Expr b) { return apply("arith.addi", a, b); }
  Expr sub(Expr a, Expr b) { return apply("arith.subi", a, b); }
  Expr atMost(Expr a, Expr b) { return apply("arith.minsi", a, b); }
  Expr atLeast(Expr a, Expr b) { return apply("arith.maxsi", a, b); }
  Expr number(int64_t value) { return context.integer(value); }
  Expr compare(arith::CmpIPredicate predicate, Expr a, Expr b) {
    return context.compareIndex(static_cast<int64_t>(predicate), a, b);
  }
  Expr equals(Expr a, double number) {
    return context.apply(
        "arith.cmpf", {a, real(number)}, builder.getI1Type(),
        builder.getDictionaryAttr(builder.getNamedAttr(
            "predicate", builder.getI64IntegerAttr(static_cast<int64_t>(
                             arith::CmpFPredicate::OEQ)))));
  }
  /// exp(a / scale) for a <= 0, which is 0 where it is denormal: the sum of
  /// weights is at least 1.
  Expr exp(Expr a) {
    if (scale == 1)
      return context.apply("math.exp", {a}, type);
    return context.apply("math.exp2", {a}, type,
                         builder.getDictionaryAttr(builder.getNamedAttr(
                             "rondo.nonpositive", builder.getUnitAttr())));
  }
  Expr scaled(Expr a) { return scale == 1 ? a : context.mul(real(scale), a); }
  static Exprs concat(std::initializer_list<ArrayRef<Expr>> parts) {
    Exprs all;
    for (ArrayRef<Expr> part : parts)
      llvm::append_range(all, part);
    return all;
  }
  SmallVector<Value> sizes(std::initializer_list<ValueRange> parts) {
    SmallVector<Value> all(batchSizes);
    for (ValueRange part : parts)
      llvm::append_range(all, part);
    return all;
  }
  bool uses(Expr expr, Expr leaf) {
    return contains(expr, [&](Expr node) { return node == leaf; });
  }

  Expr rowAt(Expr block, Expr r) {
    return add(apply("arith.muli", block, number(rowBlock)), r);
  }
  Expr keyAt(Expr block, Expr s) {
    return add(firstKey, add(apply("arith.muli", block, number(keyBlock)), s));
  }
  Expr emptyAs(Expr like) {
    if (isa<FloatType>(like->type))
      return context.real(0, like->type);
    return like->type.isIndex() ? number(0) : context.boolean(false);
  }

  void packDots();
  Value packRows(Expr expr);
  Value packKeys(Expr expr);
  void packReads(Expr expr);
  void findRanges();
  struct Running {
    Value greatest, norm, result;
  };
  Running start(OpBuilder &at);
  /// Takes blocks of keys in: `count` of them, where the one in step `step` is
  /// `block(step)`.
  Running phase(OpBuilder &at, Value count,
                llvm::function_ref<Expr(Expr)> block, bool isMasked,
                Running before);
  Expr atTile(Expr expr, ArrayRef<Expr> batch, Expr e, Expr r, Expr key,
              ArrayRef<Expr> tiles = {});
  Expr passes(ArrayRef<Expr> batch, Expr e, Expr r, Expr key);
  Value emitResult(RecurrenceOp outer, unsigned member, Value old,
                   unsigned numValues, StringRef suffix);

  Context &context;
  AttentionStructure &s;
  int64_t rowBlock, keyBlock;
  OpBuilder builder;
  Location loc;
  Type type, index;
  unsigned numBatch;
  bool isSoftmax, hasNorm;
  double scale; // of scores: log2(e) where weights are powers of two
  bool isPlain; // the score is its one product

  SmallVector<Value> batchSizes, valueSizes;
  Value zero, length, rowSize, keySize, numRowBlocks, numKeyBlocks;
  Value rowsHere;        // rows of the block, inside the recurrence over blocks
  Expr firstKey, endKey; // of the range of u
  struct Operands {
    Value queries; // [batch.., c, r, i..]
    Value keys;    // [batch.., e, i.., s]
  };
  SmallVector<Operands> dots;
  Value values; // [batch.., e, s, j..]
  /// What the score, the mask and the factor read of t or u alone.
  llvm::MapVector<Expr, Value> rowParts; // [batch.., c, r]
  llvm::MapVector<Expr, Value> keyParts; // [batch.., e, s]

  Expr block; // the block of rows, inside the recurrence over them
};

//===----------------------------------------------------------------------===//
// Building blocks
//===----------------------------------------------------------------------===//

Value TileEmitter::equation(OpBuilder &at, const Twine &suffix,
                            ValueRange sizes, Body body, Type scalar) {
  return emitEquation(context, at, loc, s.op.getName() + suffix,
                      getElementType(scalar ? scalar : type), sizes, body);
}

Value TileEmitter::reduction(OpBuilder &at, const Twine &suffix,
                             Combiner combiner, ValueRange sizes,
                             ValueRange extents, ReductionBody body) {
  return emitReduction(
      context, at, loc, s.op.getName() + suffix, type, sizes, combiner, zero,
      extents, [&](ArrayRef<Expr> point, ArrayRef<Expr> reduced) {
        return std::pair<Expr, Expr>(body(point, reduced), nullptr);
      });
}

/// A recurrence with an empty region, of members [batch.., step, rest..].
RecurrenceOp TileEmitter::recurrence(OpBuilder &at, Value size,
                                     ValueRange initials,
                                     ArrayRef<StringRef> names,
                                     ArrayRef<SmallVector<Value>> rest) {
  SmallVector<Type> types;
  for (const SmallVector<Value> &each : rest)
    types.push_back(RankedTensorType::get(
        SmallVector<int64_t>(numBatch + 1 + each.size(), ShapedType::kDynamic),
        type));
  SmallVector<Type> results(types), arguments{index};
  llvm::append_range(results, initials.getTypes());
  llvm::append_range(arguments, types);
  SmallVector<Attribute> nameAttrs;
  for (StringRef each : names)
    nameAttrs.push_back(builder.getStringAttr(s.op.getName() + each));
  auto op = RecurrenceOp::create(at, loc, results, size, initials,
                                 builder.getArrayAttr(nameAttrs),
                                 builder.getDenseBoolArrayAttr({false}),
                                 builder.getI64IntegerAttr(numBatch));
  OpBuilder::InsertionGuard guard(at);
  at.createBlock(&op.getBody(), {}, arguments,
                 SmallVector<Location>(arguments.size(), loc));
  return op;
}

/// Integer code between equations.
Value TileEmitter::emitIndex(OpBuilder &at, Expr expr) {
  SmallVector<Value> args;
  for (Expr arg : expr->args)
    args.push_back(emitIndex(at, arg));
  switch (expr->kind) {
  case Kind::Integer:
    return arith::ConstantIndexOp::create(at, loc, expr->integer);
  case Kind::Value:
    return expr->value;
  case Kind::Read:
    return ReadOp::create(at, loc, expr->type, expr->value, args);
  case Kind::Apply: {
    OperationState state(loc, expr->op.getValue());
    state.addOperands(args);
    state.addTypes(expr->type);
    state.addAttributes(expr->attributes.getValue());
    return at.create(state)->getResult(0);
  }
  default:
    llvm_unreachable("not integer code");
  }
}

//===----------------------------------------------------------------------===//
// Operands in blocks
//===----------------------------------------------------------------------===//

void TileEmitter::packDots() {
  for (ScoreDot &dot : s.dots) {
    SmallVector<Value> extents;
    for (const Variable *variable : dot.variables)
      extents.push_back(variable->upper);
    unsigned count = extents.size();
    auto here = [&](ArrayRef<Expr> batch, ArrayRef<Expr> i) {
      llvm::DenseMap<Expr, Expr> map;
      for (auto [leaf, value] : llvm::zip_equal(s.batch, batch))
        map[leaf] = value;
      for (auto [variable, value] : llvm::zip_equal(dot.variables, i))
        map[context.variable(variable)] = value;
      return map;
    };
    Operands operands;
    operands.queries = equation(
        builder, ".queries", sizes({numRowBlocks, rowSize, extents}),
        [&](ArrayRef<Expr> at) {
          auto map = here(at.take_front(numBatch), at.take_back(count));
          Expr t = rowAt(at[numBatch], at[numBatch + 1]);
          map[s.t] = t;
          Expr left = context.substitute(dot.left, map);
          return context.select(
              compare(arith::CmpIPredicate::slt, t, context.leaf(length)),
              isPlain ? scaled(left) : left, real(0));
        });
    operands.keys = equation(
        builder, ".keys", sizes({numKeyBlocks, extents, keySize}),
        [&](ArrayRef<Expr> at) {
          auto map =
              here(at.take_front(numBatch), at.slice(numBatch + 1, count));
          Expr u = keyAt(at[numBatch], at.back());
          map[s.u] = u;
          return context.select(compare(arith::CmpIPredicate::slt, u, endKey),
                                context.substitute(dot.right, map), real(0));
        });
    dots.push_back(operands);
  }
  values = equation(
      builder, ".values", sizes({numKeyBlocks, keySize, valueSizes}),
      [&](ArrayRef<Expr> at) {
        llvm::DenseMap<Expr, Expr> map;
        for (auto [leaf, value] :
             llvm::zip_equal(s.batch, at.take_front(numBatch)))
          map[leaf] = value;
        for (auto [leaf, value] :
             llvm::zip_equal(s.j, at.drop_front(numBatch + 2)))
          map[leaf] = value;
        Expr u = keyAt(at[numBatch], at[numBatch + 1]);
        map[s.u] = u;
        return context.select(compare(arith::CmpIPredicate::slt, u, endKey),
                              context.substitute(s.value, map), real(0));
      });
}

/// expr(t) as [batch.., c, r], empty behind the end.
Value TileEmitter::packRows(Expr expr) {
  return equation(
      builder, ".rows", sizes({numRowBlocks, rowSize}),
      [&](ArrayRef<Expr> at) {
        llvm::DenseMap<Expr, Expr> map;
        for (auto [leaf, value] :
             llvm::zip_equal(s.batch, at.take_front(numBatch)))
          map[leaf] = value;
        Expr t = rowAt(at[numBatch], at[numBatch + 1]);
        map[s.t] = t;
        return context.select(
            compare(arith::CmpIPredicate::slt, t, context.leaf(length)),
            context.substitute(expr, map), emptyAs(expr));
      },
      expr->type);
}

/// expr(u) as [batch.., e, s], empty behind the end.
Value TileEmitter::packKeys(Expr expr) {
  return equation(
      builder, ".columns", sizes({numKeyBlocks, keySize}),
      [&](ArrayRef<Expr> at) {
        llvm::DenseMap<Expr, Expr> map;
        for (auto [leaf, value] :
             llvm::zip_equal(s.batch, at.take_front(numBatch)))
          map[leaf] = value;
        Expr u = keyAt(at[numBatch], at[numBatch + 1]);
        map[s.u] = u;
        return context.select(compare(arith::CmpIPredicate::slt, u, endKey),
                              context.substitute(expr, map), emptyAs(expr));
      },
      expr->type);
}

/// The greatest parts of an expression that read tensors at t or u alone.
void TileEmitter::packReads(Expr expr) {
  if (llvm::any_of(s.dots,
                   [&](const ScoreDot &dot) { return dot.expr == expr; }) ||
      rowParts.count(expr) || keyParts.count(expr))
    return;
  bool readsAny = contains(expr, [](Expr node) {
    return node->kind == Kind::Read || node->kind == Kind::Reduce;
  });
  bool usesRow = uses(expr, s.t), usesKey = uses(expr, s.u);
  if (!readsAny || (!usesRow && !usesKey))
    return;
  if (!usesKey) {
    rowParts[expr] = packRows(expr);
    return;
  }
  if (!usesRow) {
    keyParts[expr] = packKeys(expr);
    return;
  }
  for (Expr arg : expr->args)
    packReads(arg);
}

//===----------------------------------------------------------------------===//
// Tiles
//===----------------------------------------------------------------------===//

/// An expression of t and u at row r and key s of the current tile, with
/// `tiles` in place of the dots.
Expr TileEmitter::atTile(Expr expr, ArrayRef<Expr> batch, Expr e, Expr r,
                         Expr key, ArrayRef<Expr> tiles) {
  llvm::DenseMap<Expr, Expr> map;
  for (auto [dot, tile] : llvm::zip(s.dots, tiles))
    map[dot.expr] = tile;
  for (auto [leaf, value] : llvm::zip_equal(s.batch, batch))
    map[leaf] = value;
  for (auto &[part, tensor] : rowParts)
    map[part] =
        context.read(tensor, concat({batch, {block, r}}), {}, {}, part->type);
  for (auto &[part, tensor] : keyParts)
    map[part] =
        context.read(tensor, concat({batch, {e, key}}), {}, {}, part->type);
  map[s.t] = rowAt(block, r);
  map[s.u] = keyAt(e, key);
  return context.substitute(expr, map);
}

/// The mask at a tile that holds other keys, too.
Expr TileEmitter::passes(ArrayRef<Expr> batch, Expr e, Expr r, Expr key) {
  Expr all = compare(arith::CmpIPredicate::slt, keyAt(e, key), endKey);
  for (Expr condition : s.mask)
    all = context.logicalAnd(all, atTile(condition, batch, e, r, key));
  return all;
}

/// Before the first block of keys.
TileEmitter::Running TileEmitter::start(OpBuilder &at) {
  Running running;
  double least = -std::numeric_limits<double>::infinity();
  if (isSoftmax)
    running.greatest = equation(at, ".greatest", sizes({rowsHere}),
                                [&](ArrayRef<Expr>) { return real(least); });
  if (hasNorm)
    running.norm = equation(at, ".norm", sizes({rowsHere}),
                            [&](ArrayRef<Expr>) { return real(0); });
  running.result = equation(at, ".result", sizes({rowsHere, valueSizes}),
                            [&](ArrayRef<Expr>) { return real(0); });
  return running;
}

/// A recurrence over `count` blocks of keys.
TileEmitter::Running TileEmitter::phase(OpBuilder &at, Value count,
                                        llvm::function_ref<Expr(Expr)> blockAt,
                                        bool isMasked, Running before) {
  SmallVector<Value> initials;
  SmallVector<StringRef> names;
  SmallVector<SmallVector<Value>> rest;
  auto addState = [&](Value initial, StringRef name, SmallVector<Value> dims) {
    if (!initial)
      return;
    initials.push_back(initial);
    names.push_back(name);
    rest.push_back(std::move(dims));
  };
  addState(before.greatest, ".greatest", {rowsHere});
  addState(before.norm, ".norm", {rowsHere});
  SmallVector<Value> resultSizes{rowsHere};
  llvm::append_range(resultSizes, valueSizes);
  addState(before.result, ".result", resultSizes);
  RecurrenceOp op = recurrence(at, count, initials, names, rest);

  OpBuilder in = OpBuilder::atBlockEnd(&op.getBlock());
  Expr step = context.leaf(op.getAlongIndices()[0]);
  Expr e = blockAt(step);
  unsigned numMembers = initials.size();
  unsigned greatestMember = 0, normMember = isSoftmax ? 1 : 0,
           resultMember = numMembers - 1;
  // A member before this step; `point` begins with the batch.
  auto past = [&](unsigned member, ArrayRef<Expr> point) {
    return context.read(op.getPast(member),
                        concat({point.take_front(numBatch),
                                {sub(step, number(1))},
                                point.drop_front(numBatch)}),
                        op.getInitials()[member], point, type);
  };
  SmallVector<Value> tileSizes = sizes({rowsHere, keySize});
  auto parts = [&](ArrayRef<Expr> point) {
    return std::make_tuple(point.take_front(numBatch), point[numBatch],
                           point[numBatch + 1]);
  };

  // Scores.
  SmallVector<Value> products;
  for (auto [i, dot] : llvm::enumerate(s.dots)) {
    SmallVector<Value> extents;
    for (const Variable *variable : dot.variables)
      extents.push_back(variable->upper);
    products.push_back(
        reduction(in, ".products", Combiner::Sum, tileSizes, extents,
                  [&, i = i](ArrayRef<Expr> point, ArrayRef<Expr> sum) {
                    auto [batch, r, key] = parts(point);
                    return context.mul(
                        read(dots[i].queries, concat({batch, {block, r}, sum})),
                        read(dots[i].keys, concat({batch, {e}, sum, {key}})));
                  }));
  }
  double least = isSoftmax ? -std::numeric_limits<double>::infinity() : 0;
  Value scores = products[0];
  if (!isPlain || isMasked)
    scores = equation(in, ".scores", tileSizes, [&](ArrayRef<Expr> point) {
      auto [batch, r, key] = parts(point);
      Exprs tiles;
      for (Value product : products)
        tiles.push_back(read(product, point));
      Expr score = atTile(s.score, batch, e, r, key, tiles);
      if (!isPlain)
        score = scaled(score);
      if (isMasked)
        score = context.select(passes(batch, e, r, key), score, real(least));
      return score;
    });

  Value weights = scores, alpha, greatest;
  SmallVector<Value> slices;
  if (isSoftmax) {
    Value most =
        reduction(in, ".most", Combiner::Max, sizes({rowsHere}), keySize,
                  [&](ArrayRef<Expr> point, ArrayRef<Expr> key) {
                    return read(scores, concat({point, key}));
                  });
    // The weight of a score that is NaN is NaN, whatever the greatest one is.
    if (scale != 1 && s.op.getStatistics().empty())
      most.getDefiningOp()->setAttr("rondo.any_of_nan", builder.getUnitAttr());
    greatest =
        equation(in, ".next", sizes({rowsHere}), [&](ArrayRef<Expr> point) {
          return context.apply("arith.maximumf",
                               {past(greatestMember, point), read(most, point)},
                               type);
        });
    // Where all scores are -inf, nothing is subtracted.
    Value shift =
        equation(in, ".shift", sizes({rowsHere}), [&](ArrayRef<Expr> point) {
          Expr value = read(greatest, point);
          return context.select(equals(value, least), real(0), value);
        });
    alpha =
        equation(in, ".decay", sizes({rowsHere}), [&](ArrayRef<Expr> point) {
          return exp(
              context.sub(past(greatestMember, point), read(shift, point)));
        });
    weights = equation(in, ".weights", tileSizes, [&](ArrayRef<Expr> point) {
      return exp(
          context.sub(read(scores, point), read(shift, point.drop_back())));
    });
  }
  if (hasNorm) {
    Value sum = reduction(in, ".sum", Combiner::Sum, sizes({rowsHere}), keySize,
                          [&](ArrayRef<Expr> point, ArrayRef<Expr> key) {
                            return read(weights, concat({point, key}));
                          });
    slices.push_back(
        equation(in, ".norm", sizes({rowsHere}), [&](ArrayRef<Expr> point) {
          Expr old = past(normMember, point);
          if (alpha)
            old = context.mul(old, read(alpha, point));
          return context.add(old, read(sum, point));
        }));
  }
  if (!s.factor->isReal(1)) {
    Value plain = weights;
    weights = equation(in, ".factored", tileSizes, [&](ArrayRef<Expr> point) {
      auto [batch, r, key] = parts(point);
      Expr factor = atTile(s.factor, batch, e, r, key);
      if (isMasked)
        factor = context.select(passes(batch, e, r, key), factor, real(0));
      return context.mul(read(plain, point), factor);
    });
  }
  Value weighted = reduction(
      in, ".weighted", Combiner::Sum, sizes({rowsHere, valueSizes}), keySize,
      [&](ArrayRef<Expr> point, ArrayRef<Expr> key) {
        ArrayRef<Expr> batch = point.take_front(numBatch);
        Expr r = point[numBatch];
        Expr term = context.mul(
            read(weights, concat({batch, {r}, key})),
            read(values,
                 concat({batch, {e}, key, point.drop_front(numBatch + 1)})));
        if (s.guard && isMasked)
          term = context.select(atTile(s.guard, batch, e, r, key[0]), term,
                                real(0));
        return term;
      });
  slices.push_back(equation(
      in, ".result", sizes({rowsHere, valueSizes}), [&](ArrayRef<Expr> point) {
        Expr old = past(resultMember, point);
        if (alpha)
          old = context.mul(old, read(alpha, point.take_front(numBatch + 1)));
        return context.add(old, read(weighted, point));
      }));
  if (isSoftmax)
    slices.insert(slices.begin(), equation(in, ".greatest", sizes({rowsHere}),
                                           [&](ArrayRef<Expr> point) {
                                             return read(greatest, point);
                                           }));
  YieldOp::create(in, loc, slices);
  Running after;
  if (isSoftmax)
    after.greatest = op.getFinal(greatestMember);
  if (hasNorm)
    after.norm = op.getFinal(normMember);
  after.result = op.getFinal(resultMember);
  return after;
}

//===----------------------------------------------------------------------===//
// The whole
//===----------------------------------------------------------------------===//

/// result[batch.., t, j..] of the blocks [batch.., c, r, j..].
Value TileEmitter::emitResult(RecurrenceOp outer, unsigned member, Value old,
                              unsigned numValues, StringRef suffix) {
  SmallVector<Value> extents = sizes({length});
  llvm::append_range(extents, ArrayRef(valueSizes).take_front(numValues));
  Value result = equation(builder, suffix, extents, [&](ArrayRef<Expr> at) {
    Expr t = at[numBatch];
    return read(outer.getHistory(member),
                concat({at.take_front(numBatch),
                        {apply("arith.floordivsi", t, number(rowBlock)),
                         apply("rondo.mod", t, number(rowBlock))},
                        at.drop_front(numBatch + 1)}));
  });
  result.setType(old.getType());
  old.replaceAllUsesWith(result);
  return result;
}

void TileEmitter::run() {
  AttentionOp op = s.op;
  zero = arith::ConstantIndexOp::create(builder, loc, 0);
  ValueRange opSizes = op.getSizes();
  llvm::append_range(batchSizes, opSizes.drop_back());
  llvm::append_range(valueSizes, op.getValueSizes());
  length = opSizes.back();
  Value lower = op.getLowers()[0], upper = op.getUppers()[0];
  APInt lowest, bound;
  matchPattern(lower, m_ConstantInt(&lowest));
  firstKey = number(lowest.getSExtValue());
  endKey = context.leaf(upper);
  // No block is longer than what it is for.
  if (matchPattern(length, m_ConstantInt(&bound)))
    rowBlock = std::clamp<int64_t>(bound.getSExtValue(), 1, rowBlock);
  rowSize = arith::ConstantIndexOp::create(builder, loc, rowBlock);
  keySize = arith::ConstantIndexOp::create(builder, loc, keyBlock);
  auto blocks = [&](Expr extent, int64_t block) {
    return emitIndex(builder,
                     apply("arith.floordivsi", add(extent, number(block - 1)),
                           number(block)));
  };
  numRowBlocks = blocks(context.leaf(length), rowBlock);
  numKeyBlocks = blocks(sub(endKey, firstKey), keyBlock);

  packDots();
  packReads(s.score);
  packReads(s.factor);
  for (Expr condition : s.mask)
    packReads(condition);
  if (s.guard)
    packReads(s.guard);

  SmallVector<StringRef> names{".blocks"};
  SmallVector<SmallVector<Value>> rest{{rowSize}};
  llvm::append_range(rest[0], valueSizes);
  bool hasStatistics = !op.getStatistics().empty();
  if (hasStatistics) {
    names.append({".greatests", ".norms"});
    rest.append(2, SmallVector<Value>{rowSize});
  }
  RecurrenceOp outer = recurrence(builder, numRowBlocks, {}, names, rest);
  OpBuilder in = OpBuilder::atBlockEnd(&outer.getBlock());
  block = context.leaf(outer.getAlongIndices()[0]);

  // The last block may be short.
  APInt rows;
  bool isEven = matchPattern(length, m_ConstantInt(&rows)) &&
                rows.getSExtValue() % rowBlock == 0;
  rowsHere = isEven ? rowSize
                    : emitIndex(in, atMost(sub(context.leaf(length),
                                               rowAt(block, number(0))),
                                           number(rowBlock)));

  // The keys that the rows of the block meet, in blocks of keys.
  Expr t0 = rowAt(block, number(0));
  Expr t1 =
      sub(atMost(add(t0, number(rowBlock)), context.leaf(length)), number(1));
  KeyRange range;
  for (Expr condition : s.mask)
    range = intersect(context, range,
                      findKeyRange(context, condition, s.t, s.u, t0, t1));
  Expr count = context.leaf(numKeyBlocks);
  auto blockOf = [&](Expr key) {
    return apply("arith.floordivsi", sub(key, firstKey), number(keyBlock));
  };
  auto clamped = [&](Expr e) { return atMost(atLeast(e, number(0)), count); };
  Value first =
      emitIndex(in, range.first ? clamped(blockOf(range.first)) : number(0));
  Value last = emitIndex(
      in, range.last ? clamped(add(blockOf(range.last), number(1))) : count);
  Running running = start(in);
  auto distance = [&](Value from, Value to) {
    return emitIndex(
        in, atLeast(sub(context.leaf(to), context.leaf(from)), number(0)));
  };
  auto from = [&](Value start) {
    return [&, start](Expr step) { return add(context.leaf(start), step); };
  };
  if (range.never) {
    running = phase(in, distance(first, last), from(first), true, running);
  } else {
    // Blocks that lie within the keys that surely pass.
    auto between = [&](Expr e, Value least) {
      return emitIndex(
          in, atMost(atLeast(e, context.leaf(least)), context.leaf(last)));
    };
    Value sure = first;
    if (range.sureFirst)
      sure =
          between(blockOf(add(range.sureFirst, number(keyBlock - 1))), first);
    Expr end = endKey;
    if (range.sureLast)
      end = atMost(end, add(range.sureLast, number(1)));
    Value edge = between(blockOf(end), sure);
    running = phase(in, distance(sure, edge), from(sure), false, running);
    // The blocks before and behind these, one after the other.
    Value numBefore = distance(first, sure), numBehind = distance(edge, last);
    if (sure == first) {
      running = phase(in, numBehind, from(edge), true, running);
    } else {
      Value count =
          emitIndex(in, add(context.leaf(numBefore), context.leaf(numBehind)));
      auto either = [&](Expr step) {
        Expr behind = sub(step, context.leaf(numBefore));
        return context.select(
            compare(arith::CmpIPredicate::slt, behind, number(0)),
            add(context.leaf(first), step), add(context.leaf(edge), behind));
      };
      running = phase(in, count, either, true, running);
    }
  }

  // Results of the block.
  Value inverse;
  if (hasNorm)
    inverse =
        equation(in, ".inverse", sizes({rowsHere}), [&](ArrayRef<Expr> point) {
          Expr norm = read(running.norm, point);
          return context.select(equals(norm, 0), real(0),
                                context.div(real(1), norm));
        });
  SmallVector<Value> slices{equation(
      in, ".block", sizes({rowSize, valueSizes}), [&](ArrayRef<Expr> point) {
        Expr value = read(running.result, point);
        if (inverse)
          value =
              context.mul(value, read(inverse, point.take_front(numBatch + 1)));
        return value;
      })};
  if (hasStatistics)
    for (Value each : {running.greatest, running.norm})
      slices.push_back(
          equation(in, ".block", sizes({rowSize}), [&](ArrayRef<Expr> point) {
            Expr value = read(each, point);
            if (scale == 1 || each == running.norm)
              return value;
            return context.mul(value, real(1 / scale));
          }));
  YieldOp::create(in, loc, slices);

  emitResult(outer, 0, op.getResult(), valueSizes.size(), "");
  if (hasStatistics) {
    emitResult(outer, 1, op.getStatistics()[0], 0, ".greatest");
    emitResult(outer, 2, op.getStatistics()[1], 0, ".norm");
  }
  op.erase();
}

} // namespace

void rondo::toTiledAttention(Context &context, AttentionStructure &structure,
                             int64_t rows, int64_t keys, bool powers) {
  TileEmitter(context, structure, rows, keys, powers).run();
}
