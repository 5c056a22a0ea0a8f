//===- FormsToTile.cpp - Equations over chunks to programs on tiles -------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/GPU/Tile/FormsToTile.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::tile;
using algebra::Expr;
using algebra::Kind;

static tile::TileType tileOf(Value value) {
  return cast<tile::TileType>(value.getType());
}

static tile::TileType makeType(MLIRContext *context, int64_t rows,
                               int64_t columns, Type element) {
  return tile::TileType::get(context, rows, columns, element,
                             tile::Layout::Any);
}

bool TileEvaluator::uses(Expr expr, Expr leaf) {
  bool found = false;
  if (expr && leaf)
    algebra::walk(expr, [&](Expr each) { found |= each == leaf; });
  return found;
}

//===----------------------------------------------------------------------===//
// Expressions
//===----------------------------------------------------------------------===//

/// c C + r divided by C is c, the remainder is r.
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
    Expr product = sum->args[0];
    if (product->args[0] == chunk && product->args[1]->isInteger(chunkSize))
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

/// Reads of arguments give 0 behind their end, so a choice of 0 there says
/// nothing new about products that have such a read.
Expr TileEvaluator::dropGuards(Expr expr) {
  if (!expr->isOp("arith.select") || !expr->args[2]->isReal(0))
    return expr;
  Expr condition = expr->args[0];
  if (!condition->isOp("arith.cmpi"))
    return expr;
  Expr place = condition->args[0];
  std::function<bool(Expr)> vanishes = [&](Expr each) {
    if (each->isOp("arith.mulf"))
      return vanishes(each->args[0]) || vanishes(each->args[1]);
    if (each->isOp("arith.negf"))
      return vanishes(each->args[0]);
    if (Expr meaning = inlined(each))
      return vanishes(meaning);
    if (each->kind != Kind::Read)
      return false;
    auto argument = dyn_cast<BlockArgument>(each->value);
    return argument && isa<KernelOp>(argument.getOwner()->getParentOp()) &&
           llvm::is_contained(each->subscripts(), place);
  };
  return vanishes(expr->args[1]) ? expr->args[1] : expr;
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
  case Kind::Apply: {
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

Value TileEvaluator::evaluatePointwise(Expr expr, const TileAxis &rows,
                                       const TileAxis &columns) {
  // What is not pointwise, in order.
  llvm::SetVector<Expr> atoms;
  std::function<void(Expr)> collect = [&](Expr each) {
    if (each->kind == Kind::Read || each->kind == Kind::Reduce)
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
  return {};
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
// Reads
//===----------------------------------------------------------------------===//

/// The part of a subscript that does not depend on the axis, if the subscript
/// is that plus the axis.
static std::optional<Expr> without(algebra::Context &context, Expr subscript,
                                   Expr leaf) {
  if (subscript == leaf)
    return context.integer(0);
  if (subscript->isOp("arith.addi"))
    for (unsigned i = 0; i < 2; ++i)
      if (std::optional<Expr> rest = without(context, subscript->args[i], leaf))
        if (!TileEvaluator::uses(subscript->args[1 - i], leaf))
          return (*rest)->isInteger(0)
                     ? subscript->args[1 - i]
                     : context.apply("arith.addi",
                                     {*rest, subscript->args[1 - i]},
                                     subscript->type);
  return std::nullopt;
}

Value TileEvaluator::load(Expr read, const TileAxis &rows,
                          const TileAxis &columns) {
  Value memory = function.lookupOrNull(read->value);
  auto type = dyn_cast_or_null<MemRefType>(memory ? memory.getType() : Type());
  if (!type || !isa<FloatType>(type.getElementType()) ||
      type.getElementType().isF64())
    return fail("a tensor that is not f32, bf16 or f16");
  int64_t rank = type.getRank();
  int64_t rowDim = -1, columnDim = -1;
  SmallVector<Value> indices;
  Value rowLimit, columnLimit;
  for (auto [dim, subscript] : llvm::enumerate(read->subscripts())) {
    Expr start = subscript;
    for (bool isRow : {true, false}) {
      const TileAxis &axis = isRow ? rows : columns;
      if (axis.isNone() || !uses(subscript, axis.leaf))
        continue;
      std::optional<Expr> rest = without(context, subscript, axis.leaf);
      int64_t &axisDim = isRow ? rowDim : columnDim;
      if (!rest || axisDim != -1)
        return fail("a tensor is read at places that are not a tile");
      axisDim = dim;
      start = *rest;
    }
    Value index = emitScalar(start);
    if (!index)
      return {};
    for (bool isRow : {true, false}) {
      const TileAxis &axis = isRow ? rows : columns;
      if ((isRow ? rowDim : columnDim) != static_cast<int64_t>(dim))
        continue;
      // What is left: of the tensor for a step of time, of the axis else.
      Value extent = axis.limit;
      if (start->isInteger(0)) {
        if (axis.offset) {
          index = axis.offset;
          extent = arith::SubIOp::create(builder, loc, extent, axis.offset);
        }
      } else if (start->isOp("arith.muli") && start->args[0] == chunk &&
                 start->args[1]->isInteger(chunkSize)) {
        extent = arith::SubIOp::create(builder, loc, numSteps, index);
      } else {
        return fail("a tensor is read at steps that are not a chunk");
      }
      (isRow ? rowLimit : columnLimit) = extent;
    }
    indices.push_back(index);
  }
  // Vectors are loaded as columns, matrices along the innermost dim.
  bool turned = rowDim == -1 ? columnDim != -1
                             : columnDim != -1 && rowDim == rank - 1;
  int64_t height = rowDim == -1 ? 1 : rows.extent;
  int64_t width = columnDim == -1 ? 1 : columns.extent;
  if (turned) {
    std::swap(rowDim, columnDim);
    std::swap(rowLimit, columnLimit);
    std::swap(height, width);
  }
  // The same load serves every axis name.
  for (Operation &op : *builder.getInsertionBlock()) {
    auto other = dyn_cast<LoadOp>(op);
    if (!other || other.getSource() != memory ||
        static_cast<int64_t>(other.getRowDim()) != rowDim ||
        static_cast<int64_t>(other.getColumnDim()) != columnDim ||
        other.getType().getRows() != height ||
        other.getType().getColumns() != width)
      continue;
    bool same = true;
    auto equal = [&](Value a, Value b) {
      if (a == b)
        return true;
      // Scalars are emitted anew; equal trees are equal.
      std::function<bool(Value, Value)> tree = [&](Value x, Value y) {
        if (x == y)
          return true;
        Operation *p = x.getDefiningOp(), *q = y.getDefiningOp();
        if (!p || !q || p->getName() != q->getName() ||
            p->getAttrDictionary() != q->getAttrDictionary() ||
            p->getNumOperands() != q->getNumOperands())
          return false;
        for (auto [u, v] : llvm::zip(p->getOperands(), q->getOperands()))
          if (!tree(u, v))
            return false;
        return true;
      };
      return static_cast<bool>(a) && static_cast<bool>(b) && tree(a, b);
    };
    for (auto [a, b] : llvm::zip_equal(other.getIndices(), indices))
      same &= equal(a, b);
    same &= equal(other.getRowLimit(), rowLimit) &&
            equal(other.getColumnLimit(), columnLimit);
    if (!same)
      continue;
    Value result = other.getResult();
    return turned ? TransposeOp::create(builder, loc, result).getResult()
                  : result;
  }
  auto loaded = LoadOp::create(
      builder, loc,
      makeType(builder.getContext(), height, width,
                          type.getElementType()),
      memory, indices, rowDim, rowLimit, columnDim, columnLimit);
  Value result = loaded.getResult();
  return turned ? TransposeOp::create(builder, loc, result).getResult()
                : result;
}

Value TileEvaluator::atRecurrence(Expr read, RecurrenceOp recurrence,
                                  unsigned member, const TileAxis &rows,
                                  const TileAxis &columns) {
  auto subscripts = read->subscripts();
  unsigned along = recurrence.getBatch();
  Expr step = subscripts[along];
  auto drop = [&] {
    SmallVector<Expr> rest(subscripts);
    rest.erase(rest.begin() + along);
    return rest;
  };
  if (step == chunk) {
    Value slice = recurrence.getBlock().getTerminator()->getOperand(member);
    Expr value = context.read(slice, drop(), {}, {}, read->type);
    return evaluate(value, rows, columns);
  }
  bool before = step->isOp("arith.subi") && step->args[0] == chunk &&
                step->args[1]->isInteger(1);
  auto state = states.find({recurrence, member});
  if (!before || state == states.end())
    return fail("a recurrence is read at other steps than this and the one "
                "before");
  SmallVector<Expr> place(ArrayRef<Expr>(subscripts).drop_front(along + 1));
  const State &held = state->second;
  auto matches = [&](const TileAxis &axis, const TileAxis &stored) {
    return axis.extent == stored.extent && axis.offset == stored.offset;
  };
  if (place.size() == 2 && place[0] == rows.leaf && place[1] == columns.leaf &&
      matches(rows, held.rows) && matches(columns, held.columns))
    return held.tile;
  if (place.size() == 2 && place[1] == rows.leaf && place[0] == columns.leaf &&
      matches(columns, held.rows) && matches(rows, held.columns))
    return TransposeOp::create(builder, loc, held.tile);
  return fail("a state is not read at a tile of its own");
}

Value TileEvaluator::evaluateRead(Expr read, const TileAxis &rows,
                                  const TileAxis &columns) {
  if (auto argument = dyn_cast<BlockArgument>(read->value)) {
    Operation *owner = argument.getOwner()->getParentOp();
    if (isa<KernelOp>(owner))
      return load(read, rows, columns);
    auto recurrence = dyn_cast<RecurrenceOp>(owner);
    if (!recurrence || !llvm::is_contained(recurrences, recurrence))
      return fail("a recurrence that is not over chunks");
    for (unsigned i = 0; i < recurrence.getNames().size(); ++i)
      if (recurrence.getPast(i) == argument)
        return atRecurrence(read, recurrence, i, rows, columns);
    return fail("an index of a recurrence is read");
  }
  if (Expr meaning = inlined(read))
    return evaluate(meaning, rows, columns);
  Operation *op = read->value.getDefiningOp();
  if (auto recurrence = dyn_cast<RecurrenceOp>(op)) {
    if (!llvm::is_contained(recurrences, recurrence))
      return fail("a recurrence that is not over chunks");
    for (unsigned i = 0; i < recurrence.getNames().size(); ++i)
      if (recurrence.getHistory(i) == read->value)
        return atRecurrence(read, recurrence, i, rows, columns);
  }
  if (auto scan = dyn_cast<rondo::ScanOp>(op))
    return evaluateScan(read, scan, rows, columns);
  if (auto solve = dyn_cast<TriangularSolveOp>(op)) {
    auto subscripts = read->subscripts();
    unsigned dim = solve.getDim();
    if (subscripts.size() != dim + 2 || subscripts[dim] != rows.leaf ||
        subscripts[dim + 1] != columns.leaf || rows.extent != chunkSize)
      return fail("a triangular system that is not one of tiles");
    TileAxis depth = rows;
    depth.leaf = context.variable(context.fresh(Value(), Value()));
    SmallVector<Expr> place(ArrayRef<Expr>(subscripts).take_front(dim + 1));
    place.push_back(depth.leaf);
    Value matrix =
        evaluate(context.read(solve.getMatrix(), place, {}, {}, read->type),
                 rows, depth);
    Value right = evaluate(
        context.read(solve.getRight(), subscripts, {}, {}, read->type), rows,
        columns);
    if (!matrix || !right)
      return {};
    auto square = makeType(builder.getContext(), rows.extent,
                                      rows.extent, builder.getF32Type());
    Value inverse = InvertOp::create(builder, loc, square,
                                     broadcast(matrix, rows.extent, rows.extent));
    right = broadcast(right, rows.extent, columns.extent);
    if (rounds) {
      inverse = roundTo(inverse, builder.getBF16Type());
      right = roundTo(right, builder.getBF16Type());
    }
    Value zero = evaluatePointwise(context.real(0, builder.getF32Type()), rows,
                                   columns);
    return DotOp::create(builder, loc, inverse, right, zero, false, false);
  }
  return fail("'" + op->getName().getStringRef() + "' is not for tiles");
}

/// Products of a vector along the steps of a chunk, and of select(s < r, a[r],
/// 1) over r, which is the product of a between s and r.
Value TileEvaluator::evaluateScan(Expr read, rondo::ScanOp scan,
                                  const TileAxis &rows,
                                  const TileAxis &columns) {
  Operation *combine = scan.getYield().getOperand(0).getDefiningOp();
  if (scan.getInputs().size() != 1 || !scan.getInitials().empty() ||
      !isa_and_nonnull<arith::MulFOp>(combine) || scan.getReversed())
    return fail("a scan that is not of products, from the start");
  auto subscripts = read->subscripts();
  unsigned dim = scan.getDim();
  Expr place = subscripts[dim];
  bool exclusive = place->isOp("arith.subi") && place->args[1]->isInteger(1);
  if (exclusive)
    place = place->args[0];
  // The input at a step of our own.
  Expr step = context.variable(context.fresh(Value(), Value()));
  SmallVector<Expr> inside(subscripts);
  inside[dim] = step;
  Expr input = context.read(scan.getInputs()[0], inside, {}, {}, read->type);
  bool isVector = subscripts.size() == dim + 1;
  Expr from = isVector ? nullptr : subscripts[dim + 1];
  if (subscripts.size() > dim + 2)
    return fail("a scan of more than two dims");
  if (!isVector) {
    // select(s < r, a[r], 1)
    Expr factor = inlined(input);
    bool fits = factor && factor->isOp("arith.select") &&
                factor->args[0]->isOp("arith.cmpi") &&
                factor->args[0]->args[0] == from &&
                factor->args[0]->args[1] == step &&
                factor->args[2]->isReal(1) && !uses(factor->args[1], from);
    if (fits) {
      auto predicate =
          factor->args[0]->attributes.getAs<IntegerAttr>("predicate");
      fits = predicate && predicate.getInt() == static_cast<int64_t>(
                                                    arith::CmpIPredicate::slt);
    }
    if (!fits)
      return fail("a scan of a matrix that is not of products between steps");
    input = factor->args[1];
  }
  TileAxis along;
  along.leaf = step;
  along.extent = chunkSize;
  along.limit = arith::ConstantIndexOp::create(builder, loc, chunkSize);
  // One vector for every place that asks.
  Expr canonical = context.substitute(input, {{step, context.integer(-1)}});
  Key key{canonical, scan.getInputs().empty() ? nullptr : chunk, nullptr};
  Value &vector = known[key];
  if (!vector) {
    Value computed = evaluate(input, along, {});
    if (!computed)
      return {};
    computed = broadcast(computed, chunkSize, 1);
    known[key] = computed;
  }
  Value source = known[key];
  auto type = [&](int64_t r, int64_t c) {
    return makeType(builder.getContext(), r, c,
                               builder.getF32Type());
  };
  bool fixedPlace = place->kind == Kind::Integer;
  if (isVector) {
    Value scanned = tile::ScanOp::create(
        builder, loc, type(chunkSize, 1), tile::Combiner::Product, exclusive,
        source);
    if (fixedPlace)
      return ExtractOp::create(builder, loc, type(1, 1), scanned,
                               place->integer);
    if (place == rows.leaf)
      return scanned;
    if (place == columns.leaf)
      return TransposeOp::create(builder, loc, scanned);
    return fail("a product is read at a place that is not a step");
  }
  if (fixedPlace) {
    if (exclusive || (from != rows.leaf && from != columns.leaf))
      return fail("a product between steps is read at other places");
    Value row = SegmentProductOp::create(
        builder, loc, type(1, chunkSize), source, false,
        builder.getI64IntegerAttr(place->integer));
    return from == columns.leaf
               ? row
               : TransposeOp::create(builder, loc, row).getResult();
  }
  if (place != rows.leaf || from != columns.leaf)
    return fail("a product between steps is read at other places");
  // Above the diagonal the scan is 1; who reads it masks that.
  return SegmentProductOp::create(builder, loc, type(chunkSize, chunkSize),
                                  source, exclusive, IntegerAttr());
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

std::optional<TileEvaluator::Product>
TileEvaluator::matchProduct(Expr sum, const TileAxis &rows,
                            const TileAxis &columns) {
  if (sum->combiner != rondo::Combiner::Sum || sum->variables.size() != 1)
    return std::nullopt;
  const algebra::Variable *variable = sum->variables[0];
  APInt lower, upper;
  if (!matchPattern(variable->lower, m_ConstantInt(&lower)) ||
      !matchPattern(variable->upper, m_ConstantInt(&upper)) ||
      !lower.isZero())
    return std::nullopt;
  Product product;
  product.depth.leaf = context.variable(variable);
  product.depth.extent = upper.getSExtValue() == chunkSize
                             ? chunkSize
                             : llvm::alignTo(upper.getSExtValue(), 64);
  product.depth.limit =
      arith::ConstantIndexOp::create(builder, loc, upper.getSExtValue());
  Expr depth = product.depth.leaf;

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
  split(sum->args[0]);
  if (Expr filter = sum->args[1])
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

std::pair<Value, bool>
TileEvaluator::evaluateOperand(Expr expr, const TileAxis &rows,
                               const TileAxis &columns) {
  bool turned = turnedReads(expr, rows.leaf, columns.leaf) > 0;
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
  auto [left, leftTurned] = evaluateOperand(product.left, rows, product.depth);
  auto [right, rightTurned] =
      evaluateOperand(product.right, product.depth, columns);
  if (!left || !right)
    return {};
  return DotOp::create(builder, loc, left, right, accumulator, leftTurned,
                       rightTurned);
}

Value TileEvaluator::evaluateReduce(Expr sum, const TileAxis &rows,
                                    const TileAxis &columns) {
  if (!rows.isNone() && !columns.isNone()) {
    std::optional<Product> product = matchProduct(sum, rows, columns);
    if (!product)
      return fail("a reduction that is not a product of two tiles");
    Value zero = evaluatePointwise(context.real(0, builder.getF32Type()), rows,
                                   columns);
    Value result = emitProduct(*product, rows, columns, zero);
    if (!result || !product->outer)
      return result;
    // Times what does not depend on the summed index.
    Expr mark = context.variable(context.fresh(Value(), Value()));
    Expr whole = context.read(numSteps, {mark}, {}, {}, sum->type);
    known[{whole, nullptr, nullptr}] = result;
    return evaluatePointwise(context.mul(product->outer, whole), rows, columns);
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
  Expr neutral = context.real(
      isSum ? 0 : -std::numeric_limits<double>::infinity(), sum->type);
  Expr term = sum->args[0];
  if (sum->args[1])
    term = context.select(sum->args[1], term, neutral);
  if (depth.extent != extent)
    term = context.select(
        context.compareIndex(static_cast<int64_t>(arith::CmpIPredicate::slt),
                             depth.leaf, context.integer(extent)),
        term, neutral);
  bool alongRows = rows.isNone() && !columns.isNone();
  Value terms = alongRows ? evaluate(term, columns, depth)
                          : evaluate(term, rows, depth);
  if (!terms)
    return {};
  int64_t height = alongRows ? columns.extent : rows.extent;
  terms = broadcast(terms, height, depth.extent);
  Value result = ReduceOp::create(
      builder, loc,
      makeType(builder.getContext(), height, 1,
                          builder.getF32Type()),
      isSum ? tile::Combiner::Sum : tile::Combiner::Max, tile::Axis::Columns,
      terms);
  return alongRows ? TransposeOp::create(builder, loc, result).getResult()
                   : result;
}
