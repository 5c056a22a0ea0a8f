//===- FormsToTile.cpp - Equations over chunks to programs on tiles -------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/GPU/Tile/FormsToTile.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"
#include <cmath>

using namespace mlir;
using namespace rondo;
using namespace rondo::tile;
using algebra::Expr;
using algebra::Kind;

bool TileEvaluator::uses(Expr expr, Expr leaf) {
  bool found = false;
  if (expr && leaf)
    algebra::walk(expr, [&](Expr each) { found |= each == leaf; });
  return found;
}

//===----------------------------------------------------------------------===//
// Expressions
//===----------------------------------------------------------------------===//

/// c C + r divided by C is c, the remainder is r, for places r in the chunk.
Expr TileEvaluator::simplify(Expr expr) {
  llvm::DenseMap<Expr, Expr> now;
  algebra::walk(expr, [&](Expr each) {
    bool quotient = each->isOp("arith.floordivsi");
    if ((!quotient && !each->isOp("rondo.mod")) ||
        !each->args[1]->isInteger(chunkSize))
      return;
    Expr sum = each->args[0];
    if (!sum->isOp("arith.addi") || !sum->args[0]->isOp("arith.muli"))
      return;
    Expr product = sum->args[0], rest = sum->args[1];
    bool isPlace = rest->kind == Kind::Variable ||
                   (rest->kind == Kind::Integer && rest->integer >= 0 &&
                    rest->integer < chunkSize);
    if (product->args[0] == chunk && product->args[1]->isInteger(chunkSize) &&
        isPlace)
      now[each] = quotient ? chunk : sum->args[1];
  });
  return now.empty() ? expr : context.substitute(expr, now);
}

Expr TileEvaluator::inlined(Expr read) {
  if (read->kind != Kind::Read)
    return nullptr;
  auto equation = read->value.getDefiningOp<EquationOp>();
  if (!equation)
    return nullptr;
  Expr meaning = importer.instantiate(equation, read->subscripts());
  // An equation of a step has no subscript for the step.
  llvm::DenseMap<Expr, Expr> here;
  for (RecurrenceOp op : recurrences)
    here[context.leaf(op.getAlongIndices()[0])] = chunk;
  return simplify(context.substitute(meaning, here));
}

/// The value where reads of arguments at `place` give 0, behind `end`, if that
/// decides it.
std::optional<double> TileEvaluator::valueBehind(Expr expr, Expr place,
                                                 Expr end) {
  if (expr->kind == Kind::Real)
    return expr->real;
  if (Expr meaning = inlined(expr))
    return valueBehind(meaning, place, end);
  if (expr->kind == Kind::Read) {
    auto argument = dyn_cast<BlockArgument>(expr->value);
    if (!argument || !isa<KernelOp>(argument.getOwner()->getParentOp()))
      return std::nullopt;
    for (auto [dim, subscript] : llvm::enumerate(expr->subscripts()))
      if (subscript == place && isSizeOf(end, argument, dim))
        return 0;
    return std::nullopt;
  }
  if (expr->isOp("arith.mulf")) {
    std::optional<double> a = valueBehind(expr->args[0], place, end);
    std::optional<double> b = valueBehind(expr->args[1], place, end);
    if (a == 0 || b == 0)
      return 0;
    return a && b ? std::optional<double>(*a * *b) : std::nullopt;
  }
  if (expr->isOp("arith.select")) {
    std::optional<double> a = valueBehind(expr->args[1], place, end);
    std::optional<double> b = valueBehind(expr->args[2], place, end);
    return a == b ? a : std::nullopt;
  }
  bool negates = expr->isOp("arith.negf");
  if (!negates && !expr->isOp("math.exp"))
    return std::nullopt;
  std::optional<double> a = valueBehind(expr->args[0], place, end);
  return a ? std::optional<double>(negates ? -*a : std::exp(*a)) : std::nullopt;
}

/// Reads of arguments give 0 behind their end, so a choice of what they lead to
/// says nothing new.
Expr TileEvaluator::dropGuards(Expr expr) {
  if (!expr->isOp("arith.select") || expr->args[2]->kind != Kind::Real)
    return expr;
  Expr condition = expr->args[0];
  if (!condition->isOp("arith.cmpi") ||
      condition->attributes.getAs<IntegerAttr>("predicate").getInt() !=
          static_cast<int64_t>(arith::CmpIPredicate::slt))
    return expr;
  std::optional<double> behind =
      valueBehind(expr->args[1], condition->args[0], condition->args[1]);
  return behind == expr->args[2]->real ? expr->args[1] : expr;
}

Value TileEvaluator::emitIn(OpBuilder &inside, Expr expr,
                            llvm::DenseMap<Expr, Value> &values) {
  auto it = values.find(expr);
  if (it != values.end())
    return it->second;
  Value result = fixed.lookup(expr);
  if (result)
    return result;
  switch (expr->kind) {
  case Kind::Real:
    result = arith::ConstantOp::create(
        inside, loc, inside.getFloatAttr(expr->type, expr->real));
    break;
  case Kind::Integer:
    if (expr->type.isIndex())
      result = arith::ConstantIndexOp::create(inside, loc, expr->integer);
    else
      result = arith::ConstantIntOp::create(inside, loc, expr->integer, 1);
    break;
  case Kind::Value:
    result = function.lookupOrNull(expr->value);
    if (!result)
      return fail("an index is used in a way that tiles don't have");
    break;
  case Kind::Read: {
    OpBuilder::InsertionGuard guard(builder);
    if (&inside != &builder)
      builder.setInsertionPoint(inside.getInsertionBlock()->getParentOp());
    result = emitScalarRead(expr);
    if (!result)
      return {};
    break;
  }
  case Kind::Apply: {
    // What does not depend on the place in a tile is computed once.
    if (&inside != &builder && expr->type.isIndex() && !isInTile(expr)) {
      OpBuilder::InsertionGuard guard(builder);
      builder.setInsertionPoint(inside.getInsertionBlock()->getParentOp());
      result = emitScalar(expr);
      if (!result)
        return {};
      break;
    }
    SmallVector<Value> args;
    for (Expr arg : expr->args) {
      args.push_back(emitIn(inside, arg, values));
      if (!args.back())
        return {};
    }
    if (expr->isOp("rondo.sigmoid")) {
      Value one = arith::ConstantOp::create(inside, loc,
                                            inside.getFloatAttr(expr->type, 1));
      Value minus = arith::NegFOp::create(inside, loc, args[0]);
      Value power = math::ExpOp::create(inside, loc, minus);
      Value sum = arith::AddFOp::create(inside, loc, one, power);
      result = arith::DivFOp::create(inside, loc, one, sum);
      break;
    }
    if (expr->isOp("rondo.softplus")) {
      // max(x, 0) + log(1 + exp(-|x|))
      Value zero = arith::ConstantOp::create(
          inside, loc, inside.getFloatAttr(expr->type, 0));
      Value positive = arith::MaximumFOp::create(inside, loc, args[0], zero);
      Value minus = arith::NegFOp::create(
          inside, loc, math::AbsFOp::create(inside, loc, args[0]));
      Value power = math::ExpOp::create(inside, loc, minus);
      Value rest = math::Log1pOp::create(inside, loc, power);
      result = arith::AddFOp::create(inside, loc, positive, rest);
      break;
    }
    // Places of a tile are divided by powers of two.
    bool isRest = expr->isOp("rondo.mod");
    if ((isRest || expr->isOp("arith.floordivsi")) && &inside != &builder) {
      Expr divisor = expr->args[1];
      if (divisor->kind != Kind::Integer || divisor->integer < 1 ||
          !llvm::isPowerOf2_64(divisor->integer))
        return fail("a place is divided by what is no power of two");
      int64_t number = isRest ? divisor->integer - 1
                              : llvm::Log2_64(divisor->integer);
      Value amount = arith::ConstantIndexOp::create(inside, loc, number);
      result = isRest ? arith::AndIOp::create(inside, loc, args[0], amount)
                            .getResult()
                      : arith::ShRSIOp::create(inside, loc, args[0], amount)
                            .getResult();
      break;
    }
    if (expr->op.getValue().starts_with("rondo."))
      return fail("'" + expr->op.getValue() + "' is not for tiles");
    OperationState state(loc, expr->op.getValue());
    state.addOperands(args);
    state.addTypes(expr->type);
    if (expr->attributes)
      state.addAttributes(expr->attributes.getValue());
    result = inside.create(state)->getResult(0);
    break;
  }
  default:
    return fail("a value that is not pointwise");
  }
  values[expr] = result;
  return result;
}

Value TileEvaluator::emitScalar(Expr expr) {
  llvm::DenseMap<Expr, Value> values;
  return emitIn(builder, expr, values);
}

//===----------------------------------------------------------------------===//
// Maps
//===----------------------------------------------------------------------===//

static MapOp makeMap(OpBuilder &builder, Location loc, tile::TileType type,
                     ValueRange inputs) {
  auto map = MapOp::create(builder, loc, type, inputs);
  OpBuilder::InsertionGuard guard(builder);
  SmallVector<Type> types(inputs.size(), builder.getF32Type());
  types.append(2, builder.getIndexType());
  builder.createBlock(&map.getBody(), {}, types,
                      SmallVector<Location>(types.size(), loc));
  return map;
}

Value TileEvaluator::broadcast(Value tile, int64_t rows, int64_t columns) {
  tile::TileType type = tileOf(tile);
  if (type.getRows() == rows && type.getColumns() == columns)
    return tile;
  MapOp map = makeMap(
      builder, loc,
      makeType(builder.getContext(), rows, columns,
                          type.getElementType()),
      tile);
  OpBuilder inside = OpBuilder::atBlockEnd(&map.getBody().front());
  tile::YieldOp::create(inside, loc, map.getBody().front().getArgument(0));
  return map.getResult();
}

Value TileEvaluator::roundTo(Value tile, Type element) {
  tile::TileType type = tileOf(tile);
  if (type.getElementType() == element)
    return tile;
  MapOp map = makeMap(builder, loc, type.withElementType(element), tile);
  OpBuilder inside = OpBuilder::atBlockEnd(&map.getBody().front());
  tile::YieldOp::create(inside, loc, map.getBody().front().getArgument(0));
  return map.getResult();
}

Value TileEvaluator::choose(Value condition, Value a, Value b) {
  MapOp map = makeMap(builder, loc,
                      tileOf(a).withElementType(builder.getF32Type()), {a, b});
  Block &body = map.getBody().front();
  OpBuilder inside = OpBuilder::atBlockEnd(&body);
  Value value = arith::SelectOp::create(
      inside, loc, condition, body.getArgument(0), body.getArgument(1));
  tile::YieldOp::create(inside, loc, value);
  return map.getResult();
}

/// Times a vector, a scalar, or a tile.
Value TileEvaluator::multiply(Value tile, Value scale) {
  MapOp map = makeMap(builder, loc,
                      tileOf(tile).withElementType(builder.getF32Type()),
                      {tile, scale});
  Block &body = map.getBody().front();
  OpBuilder inside = OpBuilder::atBlockEnd(&body);
  Value product = arith::MulFOp::create(inside, loc, body.getArgument(0),
                                        body.getArgument(1));
  tile::YieldOp::create(inside, loc, product);
  return map.getResult();
}

/// Factors that depend on one of a matrix's places alone are multiplied as a
/// vector, once for all of the other dim.
Expr TileEvaluator::joinFactors(Expr expr, const TileAxis &rows,
                                const TileAxis &columns) {
  if (expr->kind != Kind::Apply)
    return expr;
  SmallVector<Expr> parts;
  bool isProduct = expr->isOp("arith.mulf");
  std::function<void(Expr)> split = [&](Expr each) {
    for (Expr arg : each->args)
      if (isProduct && arg->isOp("arith.mulf"))
        split(arg);
      else
        parts.push_back(arg);
  };
  split(expr);
  SmallVector<Expr> joined, along[2];
  bool changed = false;
  for (Expr part : parts) {
    bool r = uses(part, rows.leaf), c = uses(part, columns.leaf);
    if (isProduct && r != c) {
      along[c].push_back(part);
      continue;
    }
    joined.push_back(joinFactors(part, rows, columns));
    changed |= joined.back() != part;
  }
  if (!isProduct) {
    llvm::DenseMap<Expr, Expr> now;
    for (auto [part, other] : llvm::zip_equal(parts, joined))
      if (part != other)
        now[part] = other;
    return now.empty() ? expr : context.substitute(expr, now);
  }
  for (bool isColumn : {false, true}) {
    SmallVector<Expr> &factors = along[isColumn];
    if (factors.empty())
      continue;
    // Numbers, too.
    for (Expr &each : joined)
      if (each && each->kind == Kind::Real)
        factors.push_back(std::exchange(each, nullptr));
    llvm::erase(joined, nullptr);
    if (factors.size() < 2 || joined.empty()) {
      llvm::append_range(joined, factors);
      continue;
    }
    Value product = isColumn
                        ? evaluate(productOf(factors), TileAxis(), columns)
                        : evaluate(productOf(factors), rows, TileAxis());
    if (!product)
      return expr;
    Expr mark = context.variable(context.fresh(Value(), Value()));
    Expr whole = context.read(numSteps, {mark}, {}, {}, expr->type);
    known[{whole, nullptr, nullptr}] = product;
    joined.insert(joined.begin(), whole);
    changed = true;
  }
  return changed ? productOf(joined) : expr;
}

Value TileEvaluator::evaluatePointwise(Expr expr, const TileAxis &rows,
                                       const TileAxis &columns) {
  places = {rows.leaf, columns.leaf};
  expr = joinSteps(dropEnds(expr));
  if (!rows.isNone() && !columns.isNone()) {
    expr = joinFactors(expr, rows, columns);
    if (!reason.empty())
      return {};
  }
  // What is not pointwise, in order.
  llvm::SetVector<Expr> atoms;
  std::function<void(Expr)> collect = [&](Expr each) {
    if ((each->kind == Kind::Read && !isScalarRead(each)) ||
        each->kind == Kind::Reduce)
      return void(atoms.insert(each));
    for (Expr arg : each->args)
      collect(arg);
  };
  collect(expr);
  SmallVector<Value> inputs;
  for (Expr atom : atoms) {
    TileAxis atRows = uses(atom, rows.leaf) ? rows : TileAxis();
    TileAxis atColumns = uses(atom, columns.leaf) ? columns : TileAxis();
    Value input = evaluate(atom, atRows, atColumns);
    if (!input)
      return {};
    inputs.push_back(input);
  }
  places = {rows.leaf, columns.leaf};
  auto type = makeType(builder.getContext(), rows.extent,
                                  columns.extent, builder.getF32Type());
  MapOp map = makeMap(builder, loc, type, inputs);
  Block &body = map.getBody().front();
  OpBuilder inside = OpBuilder::atBlockEnd(&body);
  llvm::DenseMap<Expr, Value> values;
  for (auto [atom, argument] : llvm::zip(atoms, body.getArguments()))
    values[atom] = argument;
  for (auto [axis, argument] :
       llvm::zip(std::initializer_list<const TileAxis *>{&rows, &columns},
                 body.getArguments().take_back(2))) {
    if (axis->isNone())
      continue;
    Value index = argument;
    if (axis->offset)
      index = arith::AddIOp::create(inside, loc, index, axis->offset);
    values[axis->leaf] = index;
  }
  Value value = emitIn(inside, expr, values);
  if (!value) {
    map.erase();
    return {};
  }
  tile::YieldOp::create(inside, loc, value);
  return map.getResult();
}

/// a + b where b is a product: b accumulates on a.
Value TileEvaluator::evaluateSum(Expr sum, const TileAxis &rows,
                                 const TileAxis &columns) {
  if (rows.isNone() || columns.isNone())
    return {};
  for (unsigned i = 2; i-- > 0;) {
    Expr term = sum->args[i];
    while (Expr meaning = inlined(term))
      term = meaning;
    if (term->kind != Kind::Reduce)
      continue;
    std::optional<Product> product = matchProduct(term, rows, columns);
    if (!product || product->outer)
      continue;
    Value start = evaluate(sum->args[1 - i], rows, columns);
    if (!start)
      return {};
    return emitProduct(*product, rows, columns,
                       broadcast(start, rows.extent, columns.extent));
  }
  // One after the other: fewer tiles are alive at once.
  auto isSum = [&](Expr term) {
    while (Expr meaning = inlined(term))
      term = meaning;
    return term->kind == Kind::Reduce;
  };
  if (!isSum(sum->args[0]) && !isSum(sum->args[1]))
    return {};
  Value terms[2];
  for (unsigned i = 0; i < 2; ++i) {
    terms[i] = evaluate(sum->args[i], rows, columns);
    if (!terms[i])
      return {};
  }
  MapOp map = makeMap(builder, loc,
                      makeType(builder.getContext(), rows.extent,
                               columns.extent, builder.getF32Type()),
                      terms);
  Block &body = map.getBody().front();
  OpBuilder inside = OpBuilder::atBlockEnd(&body);
  Value total = arith::AddFOp::create(inside, loc, body.getArgument(0),
                                      body.getArgument(1));
  tile::YieldOp::create(inside, loc, total);
  return map.getResult();
}

Value TileEvaluator::evaluate(Expr expr, const TileAxis &rows,
                              const TileAxis &columns) {
  if (!reason.empty())
    return {};
  expr = dropGuards(expr);
  // Where several places ask for the same tile, it is computed once.
  Key key{expr, rows.leaf, columns.leaf};
  auto it = known.find(key);
  if (it != known.end())
    return it->second;
  Value result;
  if (expr->kind == Kind::Read)
    result = evaluateRead(expr, rows, columns);
  else if (expr->kind == Kind::Reduce)
    result = evaluateReduce(expr, rows, columns);
  else if (expr->isOp("arith.addf"))
    result = evaluateSum(expr, rows, columns);
  if (!result && reason.empty())
    result = evaluatePointwise(expr, rows, columns);
  known[key] = result;
  return result;
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

/// The index of a sum over one index from 0 to a number.
std::optional<TileAxis> TileEvaluator::depthOf(Expr sum) {
  if (sum->combiner != rondo::Combiner::Sum || sum->variables.size() != 1)
    return std::nullopt;
  const algebra::Variable *variable = sum->variables[0];
  APInt lower, upper;
  if (!matchPattern(variable->lower, m_ConstantInt(&lower)) ||
      !matchPattern(variable->upper, m_ConstantInt(&upper)) ||
      !lower.isZero())
    return std::nullopt;
  TileAxis depth;
  depth.leaf = context.variable(variable);
  depth.extent = upper.getSExtValue() == chunkSize
                     ? chunkSize
                     : llvm::alignTo(upper.getSExtValue(), 64);
  depth.limit =
      arith::ConstantIndexOp::create(builder, loc, upper.getSExtValue());
  return depth;
}

/// Tiles go on behind the end of what is summed: one of the factors is 0 there.
void TileEvaluator::endFactors(Expr &left, Expr right, const TileAxis &depth) {
  APInt number;
  if (!matchPattern(depth.limit, m_ConstantInt(&number)) ||
      number.getSExtValue() == depth.extent)
    return;
  Expr end = context.integer(number.getSExtValue());
  if (valueBehind(left, depth.leaf, end) == 0 ||
      valueBehind(right, depth.leaf, end) == 0)
    return;
  Expr isIn = context.compareIndex(
      static_cast<int64_t>(arith::CmpIPredicate::slt), depth.leaf, end);
  left = context.select(isIn, left, context.real(0, left->type));
}

SmallVector<Expr> TileEvaluator::splitFactors(Expr term) {
  SmallVector<Expr> factors;
  std::function<void(Expr)> split = [&](Expr each) {
    each = dropGuards(each);
    if (each->isOp("arith.mulf")) {
      split(each->args[0]);
      split(each->args[1]);
      return;
    }
    if (each->isOp("arith.negf")) {
      factors.push_back(context.real(-1, each->type));
      return split(each->args[0]);
    }
    if (each->isOp("arith.select") && each->args[2]->isReal(0)) {
      factors.push_back(context.select(each->args[0],
                                       context.real(1, each->type),
                                       context.real(0, each->type)));
      return split(each->args[1]);
    }
    if (each->isOp("arith.divf")) {
      split(each->args[0]);
      factors.push_back(context.div(context.real(1, each->type), each->args[1]));
      return;
    }
    // Products hide in equations.
    if (Expr meaning = inlined(each)) {
      meaning = dropGuards(meaning);
      if (meaning->isOp("arith.mulf") || meaning->isOp("arith.negf") ||
          inlined(meaning))
        return split(meaning);
      if (meaning->kind == Kind::Read)
        each = meaning;
    }
    factors.push_back(each);
  };
  split(term);
  return factors;
}

std::optional<TileEvaluator::Product>
TileEvaluator::matchProduct(Expr sum, const TileAxis &rows,
                            const TileAxis &columns) {
  std::optional<TileAxis> summed = depthOf(sum);
  if (!summed)
    return std::nullopt;
  Product product;
  product.depth = *summed;
  Expr depth = summed->leaf;
  SmallVector<Expr> factors = splitFactors(sum->args[0]);
  // A sum of nothing is 0 already.
  auto isEmptyWithout = [&](Expr factor, Expr filter) {
    while (Expr meaning = inlined(factor))
      factor = meaning;
    return factor->kind == Kind::Reduce &&
           factor->combiner == rondo::Combiner::Sum &&
           factor->args[1] == filter;
  };
  Expr filter = sum->args[1];
  if (filter && llvm::none_of(factors, [&](Expr factor) {
        return isEmptyWithout(factor, filter);
      }))
    factors.push_back(context.select(filter, context.real(1, sum->type),
                                     context.real(0, sum->type)));
  auto multiply = [&](Expr &product, Expr factor) {
    product = product ? context.mul(product, factor) : factor;
  };
  SmallVector<Expr> loose;
  for (Expr factor : factors) {
    bool r = uses(factor, rows.leaf), c = uses(factor, columns.leaf);
    if (!uses(factor, depth))
      multiply(product.outer, factor);
    else if (r && c)
      return std::nullopt;
    else if (r)
      multiply(product.left, factor);
    else if (c)
      multiply(product.right, factor);
    else
      loose.push_back(factor);
  }
  if (!product.left || !product.right)
    return std::nullopt;
  // What depends on the summed index alone goes to the smaller operand.
  for (Expr factor : loose)
    multiply(rows.extent < columns.extent ? product.left : product.right,
             factor);
  endFactors(product.left, product.right, product.depth);
  return product;
}

/// How many more argument tiles lie across than along.
int TileEvaluator::turnedReads(Expr expr, Expr rows, Expr columns) {
  int turned = 0;
  algebra::walk(dropGuards(expr), [&](Expr each) {
    if (each->kind != Kind::Read)
      return;
    if (Expr meaning = inlined(each)) {
      turned += turnedReads(meaning, rows, columns);
      return;
    }
    auto subscripts = each->subscripts();
    if (subscripts.empty() || !uses(each, rows) || !uses(each, columns))
      return;
    turned += subscripts.back() == rows    ? 1
              : subscripts.back() == columns ? -1
                                           : 0;
  });
  return turned;
}

/// What is computed for the left stays in registers, the way it is multiplied;
/// all else is in shared memory, where both ways are the same.
std::pair<Value, bool>
TileEvaluator::evaluateOperand(Expr expr, const TileAxis &rows,
                               const TileAxis &columns, bool isLeft) {
  Expr meaning = dropGuards(expr);
  while (Expr next = inlined(meaning))
    meaning = dropGuards(next);
  auto argument = meaning->kind == Kind::Read
                      ? dyn_cast<BlockArgument>(meaning->value)
                      : BlockArgument();
  bool isLoaded =
      argument && isa<KernelOp>(argument.getOwner()->getParentOp());
  bool turned = (isLoaded || !isLeft) &&
                turnedReads(expr, rows.leaf, columns.leaf) > 0;
  Value value =
      turned ? evaluate(expr, columns, rows) : evaluate(expr, rows, columns);
  if (!value)
    return {};
  while (auto transpose = value.getDefiningOp<TransposeOp>()) {
    if (!tileOf(value).isMatrix())
      break;
    value = transpose.getSource();
    turned = !turned;
  }
  value = turned ? broadcast(value, columns.extent, rows.extent)
                 : broadcast(value, rows.extent, columns.extent);
  if (rounds)
    value = roundTo(value, builder.getBF16Type());
  return {value, turned};
}

Value TileEvaluator::emitProduct(const Product &product, const TileAxis &rows,
                                 const TileAxis &columns, Value accumulator) {
  auto [left, leftTurned] =
      evaluateOperand(product.left, rows, product.depth, /*isLeft=*/true);
  auto [right, rightTurned] = evaluateOperand(product.right, product.depth,
                                              columns, /*isLeft=*/false);
  if (!left || !right)
    return {};
  return DotOp::create(builder, loc, left, right, accumulator, leftTurned,
                       rightTurned);
}

/// The map that a tile is, if it is x * c for a constant c > 0.
static MapOp getScaling(Value tile) {
  auto map = tile.getDefiningOp<MapOp>();
  if (!map || map.getInputs().size() != 1 ||
      tileOf(map.getInputs()[0]) != map.getType())
    return nullptr;
  Block &body = map.getBody().front();
  auto product =
      body.getTerminator()->getOperand(0).getDefiningOp<arith::MulFOp>();
  if (!product)
    return nullptr;
  Value factor = product.getLhs(), other = product.getRhs();
  if (factor == body.getArgument(0))
    std::swap(factor, other);
  APFloat number(0.0f);
  bool fits = other == body.getArgument(0) &&
              matchPattern(factor, m_ConstantFloat(&number)) &&
              number.isFiniteNonZero() && !number.isNegative();
  return fits ? map : nullptr;
}

Value TileEvaluator::evaluateReduce(Expr sum, const TileAxis &rows,
                                    const TileAxis &columns) {
  if (!rows.isNone() && !columns.isNone()) {
    Expr outer = nullptr;
    Value result = evaluateSegmentDot(sum, rows, columns, outer);
    if (!result && reason.empty()) {
      std::optional<Product> product = matchProduct(sum, rows, columns);
      if (!product)
        return fail("a reduction that is not a product of two tiles");
      Value zero = evaluatePointwise(context.real(0, builder.getF32Type()),
                                     rows, columns);
      result = emitProduct(*product, rows, columns, zero);
      outer = product->outer;
    }
    if (!result || !outer)
      return result;
    // Times what does not depend on the summed index.
    Expr mark = context.variable(context.fresh(Value(), Value()));
    Expr whole = context.read(numSteps, {mark}, {}, {}, sum->type);
    known[{whole, nullptr, nullptr}] = result;
    return evaluatePointwise(context.mul(outer, whole), rows, columns);
  }
  // To a vector or a scalar: the terms as a tile, then along the summed index.
  if (sum->variables.size() != 1)
    return fail("a reduction over several indices");
  const algebra::Variable *variable = sum->variables[0];
  APInt lower, upper;
  if (!matchPattern(variable->lower, m_ConstantInt(&lower)) ||
      !matchPattern(variable->upper, m_ConstantInt(&upper)) || !lower.isZero())
    return fail("a reduction over an index without bounds");
  bool isSum = sum->combiner == rondo::Combiner::Sum;
  if (!isSum && sum->combiner != rondo::Combiner::Max)
    return fail("a reduction that is neither a sum nor a maximum");
  TileAxis depth;
  depth.leaf = context.variable(variable);
  int64_t extent = upper.getSExtValue();
  depth.extent = extent == chunkSize ? extent : llvm::alignTo(extent, 64);
  depth.limit = arith::ConstantIndexOp::create(builder, loc, extent);
  bool alongRows = rows.isNone() && !columns.isNone();
  APInt wholeExtent;
  bool isWhole = alongRows && !whole.isNone() &&
                 matchPattern(whole.limit, m_ConstantInt(&wholeExtent)) &&
                 wholeExtent.getSExtValue() == extent;
  Expr argument = sum->args[0], filter = sum->args[1];
  if (isWhole) {
    llvm::DenseMap<Expr, Expr> now{{depth.leaf, whole.leaf}};
    argument = context.substitute(argument, now);
    filter = filter ? context.substitute(filter, now) : filter;
    depth = whole;
  }
  Expr neutral = context.real(
      isSum ? 0 : -std::numeric_limits<double>::infinity(), sum->type);
  Expr term = argument;
  if (filter)
    term = context.select(filter, term, neutral);
  if (depth.extent != extent)
    term = context.select(
        context.compareIndex(static_cast<int64_t>(arith::CmpIPredicate::slt),
                             depth.leaf, context.integer(extent)),
        term, neutral);
  if (isWhole) {
    Value terms = evaluate(term, whole, columns);
    if (!terms)
      return {};
    return ReduceOp::create(
        builder, loc,
        makeType(builder.getContext(), 1, columns.extent, builder.getF32Type()),
        isSum ? tile::Combiner::Sum : tile::Combiner::Max, tile::Axis::Rows,
        broadcast(terms, whole.extent, columns.extent));
  }
  Value terms = alongRows ? evaluate(term, columns, depth)
                          : evaluate(term, rows, depth);
  if (!terms)
    return {};
  int64_t height = alongRows ? columns.extent : rows.extent;
  terms = broadcast(terms, height, depth.extent);
  // The maximum of what is scaled is the scaled maximum.
  MapOp scaling = isSum ? MapOp() : getScaling(terms);
  if (scaling)
    terms = scaling.getInputs()[0];
  Value result = ReduceOp::create(
      builder, loc,
      makeType(builder.getContext(), height, 1,
                          builder.getF32Type()),
      isSum ? tile::Combiner::Sum : tile::Combiner::Max, tile::Axis::Columns,
      terms);
  if (scaling) {
    IRMapping now;
    now.map(scaling.getInputs()[0], result);
    auto scaled = cast<MapOp>(builder.clone(*scaling, now));
    scaled.getResult().setType(tileOf(result));
    result = scaled.getResult();
  }
  return alongRows ? TransposeOp::create(builder, loc, result).getResult()
                   : result;
}
