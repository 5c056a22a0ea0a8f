//===- FormsToTileScans.cpp - Products along the steps of a chunk ---------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/GPU/Tile/FormsToTile.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::tile;
using algebra::Expr;
using algebra::Kind;

static bool comparesBy(Expr expr, arith::CmpIPredicate predicate) {
  if (!expr->isOp("arith.cmpi"))
    return false;
  auto attribute = expr->attributes.getAs<IntegerAttr>("predicate");
  return attribute && attribute.getInt() == static_cast<int64_t>(predicate);
}

/// A read of products along the steps of a chunk: of a[r], or of select(s < r,
/// a[r], 1), which is the product of a between s and r.
std::optional<TileEvaluator::Products> TileEvaluator::matchProducts(Expr read) {
  auto scan = read->kind == Kind::Read
                  ? read->value.getDefiningOp<rondo::ScanOp>()
                  : rondo::ScanOp();
  if (!scan || scan.getInputs().size() != 1 || !scan.getInitials().empty() ||
      !isa_and_nonnull<arith::MulFOp>(
          scan.getYield().getOperand(0).getDefiningOp()))
    return std::nullopt;
  auto subscripts = read->subscripts();
  unsigned dim = scan.getDim();
  Products result;
  result.reversed = scan.getReversed();
  result.place = subscripts[dim];
  result.exclusive =
      result.place->isOp(result.reversed ? "arith.addi" : "arith.subi") &&
      result.place->args[1]->isInteger(1);
  if (result.exclusive)
    result.place = result.place->args[0];
  // The factor at a step of our own.
  result.step = context.variable(context.fresh(Value(), Value()));
  SmallVector<Expr> inside(subscripts);
  inside[dim] = result.step;
  result.factor = context.read(scan.getInputs()[0], inside, {}, {}, read->type);
  SmallVector<Expr> rest(subscripts.drop_front(dim + 1));
  Expr meaning = inlined(result.factor);
  if (!rest.empty() && !result.reversed && meaning &&
      meaning->isOp("arith.select") &&
      comparesBy(meaning->args[0], arith::CmpIPredicate::slt) &&
      meaning->args[0]->args[0] == rest[0] &&
      meaning->args[0]->args[1] == result.step && meaning->args[2]->isReal(1) &&
      !uses(meaning->args[1], rest[0])) {
    result.from = rest[0];
    result.factor = meaning->args[1];
    rest.erase(rest.begin());
  }
  if (rest.size() > 1)
    return std::nullopt;
  if (!rest.empty())
    result.column = rest[0];
  return result;
}

/// The factors, as a vector or with a column for every place of `columns`.
Value TileEvaluator::evaluateFactors(const Products &products,
                                     const TileAxis &columns) {
  TileAxis along;
  along.leaf = products.step;
  along.extent = chunkSize;
  along.limit = arith::ConstantIndexOp::create(builder, loc, chunkSize);
  // One tile for every place that asks.
  Key key{context.substitute(products.factor,
                             {{products.step, context.integer(-1)}}),
          chunk, columns.leaf};
  auto before = known.find(key);
  if (before != known.end())
    return before->second;
  Value computed = evaluate(products.factor, along, columns);
  if (computed)
    computed = roundTo(broadcast(computed, chunkSize, columns.extent),
                       builder.getF32Type());
  return known[key] = computed;
}

/// Products with 1 in front of the first (reversed: behind the last) step are
/// those of an exclusive scan.
Expr TileEvaluator::dropEnds(Expr expr) {
  llvm::DenseMap<Expr, Expr> now;
  algebra::walk(expr, [&](Expr each) {
    if (!each->isOp("arith.select") || !each->args[1]->isReal(1) ||
        !comparesBy(each->args[0], arith::CmpIPredicate::eq))
      return;
    std::optional<Products> products = matchProducts(each->args[2]);
    if (products && products->exclusive && !products->from &&
        each->args[0]->args[0] == products->place &&
        each->args[0]->args[1]->isInteger(products->reversed ? chunkSize - 1
                                                             : 0))
      now[each] = each->args[2];
  });
  return now.empty() ? expr : context.substitute(expr, now);
}

/// What the expression is without names of equations.
Expr TileEvaluator::meaningOf(Expr expr) {
  expr = dropGuards(expr);
  while (Expr meaning = inlined(expr))
    expr = dropGuards(meaning);
  return expr;
}

/// In a product of the factor at a step and those before it, these are products
/// up to and with the step.
Expr TileEvaluator::joinSteps(Expr expr) {
  SmallVector<Expr> factors;
  std::function<void(Expr)> split = [&](Expr each) {
    if (!each->isOp("arith.mulf"))
      return void(factors.push_back(each));
    split(each->args[0]);
    split(each->args[1]);
  };
  split(expr);
  for (Expr &before : factors) {
    std::optional<Products> products = matchProducts(before);
    if (!products || !products->exclusive || products->reversed ||
        products->from)
      continue;
    Expr own = meaningOf(
        context.substitute(products->factor, {{products->step, products->place}}));
    auto found = llvm::find_if(
        factors, [&](Expr each) { return meaningOf(each) == own; });
    if (found == factors.end())
      continue;
    SmallVector<Expr> subscripts(before->subscripts());
    subscripts[before->value.getDefiningOp<rondo::ScanOp>().getDim()] =
        products->place;
    before = context.read(before->value, subscripts, {}, {}, before->type);
    factors.erase(found);
    Expr product = factors.front();
    for (Expr factor : llvm::drop_begin(factors))
      product = context.mul(product, factor);
    return joinSteps(product);
  }
  return expr;
}

Value TileEvaluator::evaluateScan(Expr read, const TileAxis &rows,
                                  const TileAxis &columns) {
  std::optional<Products> products = matchProducts(read);
  if (!products)
    return fail("a scan that is not of products along a chunk");
  Expr place = products->place;
  bool fixedPlace = place->kind == Kind::Integer;
  auto type = [&](int64_t r, int64_t c) {
    return makeType(builder.getContext(), r, c, builder.getF32Type());
  };
  auto turnIf = [&](bool turned, Value value) -> Value {
    return turned ? TransposeOp::create(builder, loc, value).getResult()
                  : value;
  };
  if (products->column && products->from)
    return fail("products between steps are read without a sum over them");
  if (products->column) {
    bool turned = products->column == rows.leaf;
    const TileAxis &across = turned ? rows : columns;
    const TileAxis &along = turned ? columns : rows;
    if (across.leaf != products->column ||
        (!fixedPlace && (place != along.leaf || along.extent != chunkSize)))
      return fail("products are read at places that are no steps");
    Value source = evaluateFactors(*products, across);
    if (!source)
      return {};
    Value scanned = tile::ScanOp::create(
        builder, loc, type(chunkSize, across.extent), tile::Combiner::Product,
        products->exclusive, products->reversed, source);
    if (fixedPlace)
      scanned = ExtractOp::create(builder, loc, type(1, across.extent), scanned,
                                  place->integer);
    return turnIf(turned, scanned);
  }
  if (products->reversed)
    return fail("a scan that is not from the start");
  Value source = evaluateFactors(*products, TileAxis());
  if (!source)
    return {};
  if (!products->from) {
    Value scanned = tile::ScanOp::create(
        builder, loc, type(chunkSize, 1), tile::Combiner::Product,
        products->exclusive, /*reversed=*/false, source);
    if (fixedPlace)
      return ExtractOp::create(builder, loc, type(1, 1), scanned,
                               place->integer);
    if (place != rows.leaf && place != columns.leaf)
      return fail("a product is read at a place that is not a step");
    return turnIf(place == columns.leaf, scanned);
  }
  if (fixedPlace) {
    if (products->exclusive ||
        (products->from != rows.leaf && products->from != columns.leaf))
      return fail("a product between steps is read at other places");
    Value row = SegmentProductOp::create(
        builder, loc, type(1, chunkSize), source, false,
        builder.getI64IntegerAttr(place->integer));
    return turnIf(products->from == rows.leaf, row);
  }
  bool turned = place == columns.leaf && products->from == rows.leaf;
  if (!turned && (place != rows.leaf || products->from != columns.leaf))
    return fail("a product between steps is read at other places");
  // Above the diagonal the scan is 1; who reads it masks that.
  return turnIf(turned, SegmentProductOp::create(
                            builder, loc, type(chunkSize, chunkSize), source,
                            products->exclusive, IntegerAttr()));
}

/// A sum over i of q[r, i] x[s, i] times the product of a[., i] between s and
/// r, for s up to r. `outer` is set to the factors without i.
Value TileEvaluator::evaluateSegmentDot(Expr sum, const TileAxis &rows,
                                        const TileAxis &columns, Expr &outer) {
  std::optional<TileAxis> depth = depthOf(sum);
  if (!depth || !sum->args[1])
    return {};
  std::optional<Products> products;
  SmallVector<Expr> factors = splitFactors(sum->args[0]);
  for (Expr &factor : factors) {
    products = matchProducts(factor);
    if (products && products->from && products->column == depth->leaf) {
      factors.erase(&factor);
      break;
    }
    products.reset();
  }
  if (!products)
    return {};
  bool turned = products->from == rows.leaf;
  const TileAxis &later = turned ? columns : rows;
  const TileAxis &earlier = turned ? rows : columns;
  if (products->place != later.leaf || products->from != earlier.leaf ||
      later.extent != chunkSize || earlier.extent != chunkSize)
    return {};
  Expr filter = sum->args[1];
  if (!comparesBy(filter, products->exclusive ? arith::CmpIPredicate::slt
                                              : arith::CmpIPredicate::sle) ||
      filter->args[0] != earlier.leaf || filter->args[1] != later.leaf)
    return {};
  // With the last factor in the queries, the products go up to it.
  bool isStrict = false;
  if (products->exclusive) {
    Expr own = meaningOf(
        context.substitute(products->factor, {{products->step, later.leaf}}));
    auto found = llvm::find_if(
        factors, [&](Expr each) { return meaningOf(each) == own; });
    isStrict = found != factors.end();
    if (isStrict)
      factors.erase(found);
  }
  Expr queries = nullptr, keys = nullptr;
  for (Expr factor : factors) {
    bool q = uses(factor, later.leaf), k = uses(factor, earlier.leaf);
    if (uses(factor, depth->leaf) && q && k)
      return {};
    Expr &part = !uses(factor, depth->leaf) ? outer : k ? keys : queries;
    part = part ? context.mul(part, factor) : factor;
  }
  if (!queries || !keys)
    return {};
  endFactors(queries, keys, *depth);
  auto operand = [&](Expr expr, const TileAxis &steps) -> Value {
    Value value = evaluate(expr, steps, *depth);
    if (!value)
      return {};
    value = broadcast(value, chunkSize, depth->extent);
    return rounds ? roundTo(value, builder.getBF16Type()) : value;
  };
  Value left = operand(queries, later), right = operand(keys, earlier);
  Value source = evaluateFactors(*products, *depth);
  if (!left || !right || !source)
    return {};
  Value result = SegmentDotOp::create(builder, loc,
                                      makeType(builder.getContext(), chunkSize,
                                               chunkSize, builder.getF32Type()),
                                      left, right, source,
                                      products->exclusive && !isStrict);
  if (isStrict) {
    Expr mark = context.variable(context.fresh(Value(), Value()));
    Expr whole = context.read(numSteps, {mark}, {}, {}, sum->type);
    known[{whole, nullptr, nullptr}] = result;
    result = evaluatePointwise(
        context.select(filter, whole, context.real(0, sum->type)), later,
        earlier);
  }
  return turned ? TransposeOp::create(builder, loc, result).getResult()
                : result;
}
