//===- Expr.cpp - Equations as symbolic expressions -----------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Algebra/Expr.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "llvm/ADT/DenseSet.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::algebra;

//===----------------------------------------------------------------------===//
// Node
//===----------------------------------------------------------------------===//

ArrayRef<Expr> Node::subscripts() const {
  return ArrayRef(args).take_front(
      cast<RankedTensorType>(value.getType()).getRank());
}

void Node::Profile(llvm::FoldingSetNodeID &id) const {
  id.AddInteger(static_cast<int>(kind));
  id.AddPointer(type.getAsOpaquePointer());
  id.AddInteger(llvm::bit_cast<uint64_t>(real));
  id.AddInteger(integer);
  id.AddPointer(value.getAsOpaquePointer());
  id.AddPointer(fallback.getAsOpaquePointer());
  id.AddPointer(variable);
  id.AddPointer(op.getAsOpaquePointer());
  id.AddPointer(attributes.getAsOpaquePointer());
  id.AddInteger(static_cast<int>(combiner));
  for (const auto *each : variables)
    id.AddPointer(each);
  id.AddInteger(args.size());
  for (Expr arg : args)
    id.AddPointer(arg);
}

void rondo::algebra::walk(Expr expr, llvm::function_ref<void(Expr)> visit) {
  llvm::DenseSet<Expr> seen;
  SmallVector<Expr> stack{expr};
  while (!stack.empty()) {
    Expr node = stack.pop_back_val();
    if (!node || !seen.insert(node).second)
      continue;
    visit(node);
    for (Expr arg : llvm::reverse(node->args))
      stack.push_back(arg);
  }
}

//===----------------------------------------------------------------------===//
// Context
//===----------------------------------------------------------------------===//

Expr Context::stepFor(Expr expr, Expr step, Value length) {
  bool gathers = false;
  walk(expr, [&](Expr node) { gathers |= node->isGather(); });
  if (!gathers)
    return step;
  Type index = IndexType::get(context);
  Expr last = apply("arith.subi", {leaf(length), integer(1)}, index);
  return apply("arith.minsi", {step, last}, index);
}

Expr Context::unique(Node &&node) {
  llvm::FoldingSetNodeID id;
  node.Profile(id);
  void *position = nullptr;
  if (Node *existing = nodes.FindNodeOrInsertPos(id, position))
    return existing;
  storage.push_back(std::move(node));
  nodes.InsertNode(&storage.back(), position);
  return &storage.back();
}

Expr Context::real(double number, Type type) {
  Node node;
  node.kind = Kind::Real;
  node.type = type;
  node.real = number;
  return unique(std::move(node));
}

Expr Context::integer(int64_t number) {
  Node node;
  node.kind = Kind::Integer;
  node.type = IndexType::get(context);
  node.integer = number;
  return unique(std::move(node));
}

Expr Context::boolean(bool truth) {
  Node node;
  node.kind = Kind::Integer;
  node.type = IntegerType::get(context, 1);
  node.integer = truth;
  return unique(std::move(node));
}

Expr Context::leaf(Value scalar) {
  Node node;
  node.kind = Kind::Value;
  node.type = scalar.getType();
  node.value = scalar;
  return unique(std::move(node));
}

const Variable *Context::fresh(Value lower, Value upper) {
  variables.push_back({lower, upper});
  return &variables.back();
}

Expr Context::variable(const Variable *variable) {
  Node node;
  node.kind = Kind::Variable;
  node.type = IndexType::get(context);
  node.variable = variable;
  return unique(std::move(node));
}

Expr Context::read(Value source, ArrayRef<Expr> subscripts, Value fallback,
                   ArrayRef<Expr> fallbackSubscripts, Type type,
                   DictionaryAttr gather) {
  Node node;
  node.kind = Kind::Read;
  node.attributes = gather;
  node.type = type;
  node.value = source;
  node.fallback = fallback;
  node.args.assign(subscripts.begin(), subscripts.end());
  node.args.append(fallbackSubscripts.begin(), fallbackSubscripts.end());
  return unique(std::move(node));
}

Expr Context::reduce(Combiner combiner, ArrayRef<const Variable *> variables,
                     Expr body, Expr filter) {
  if (combiner == Combiner::Sum && body->isReal(0))
    return body;
  Node node;
  node.kind = Kind::Reduce;
  node.type = body->type;
  node.combiner = combiner;
  node.variables.assign(variables.begin(), variables.end());
  node.args = {body, filter};
  return unique(std::move(node));
}

/// Integer arithmetic on constants, for subscripts.
static std::optional<int64_t> foldIntegers(StringRef op, int64_t a, int64_t b) {
  if (op == "arith.addi")
    return a + b;
  if (op == "arith.subi")
    return a - b;
  if (op == "arith.muli")
    return a * b;
  return std::nullopt;
}

Expr Context::apply(StringRef op, ArrayRef<Expr> args, Type type,
                    DictionaryAttr attributes) {
  if (args.size() == 2) {
    Expr a = args[0], b = args[1];
    if (a->kind == Kind::Integer && b->kind == Kind::Integer && type.isIndex())
      if (std::optional<int64_t> folded =
              foldIntegers(op, a->integer, b->integer))
        return integer(*folded);
    if ((op == "arith.addi" || op == "arith.subi") && b->isInteger(0))
      return a;
    if (op == "arith.addi" && a->isInteger(0))
      return b;
    if (a->kind == Kind::Real && b->kind == Kind::Real) {
      if (op == "arith.addf")
        return real(a->real + b->real, type);
      if (op == "arith.subf")
        return real(a->real - b->real, type);
    }
    if (op == "arith.addf" && a->isReal(0))
      return b;
    if ((op == "arith.addf" || op == "arith.subf") && b->isReal(0))
      return a;
    if (op == "arith.subf" && a->isReal(0))
      return neg(b);
    if (op == "arith.mulf") {
      if (a->isReal(1) || b->isReal(0))
        return b;
      if (b->isReal(1) || a->isReal(0))
        return a;
      if (a->kind == Kind::Real && b->kind == Kind::Real)
        return real(a->real * b->real, type);
      if (a->isReal(-1))
        return neg(b);
      if (b->isReal(-1))
        return neg(a);
    }
    if (op == "arith.divf" && (b->isReal(1) || a->isReal(0)))
      return a;
    if (op == "arith.andi" && type.isInteger(1)) {
      if (a->isInteger(1) || b->isInteger(0))
        return b;
      if (b->isInteger(1) || a->isInteger(0))
        return a;
    }
  }
  if (op == "arith.negf") {
    if (args[0]->kind == Kind::Real)
      return real(-args[0]->real, type);
    if (args[0]->isOp("arith.negf"))
      return args[0]->args[0];
  }
  if (op == "arith.sitofp" && args[0]->isOp("arith.index_cast")) {
    // 1 if m == i, else 0: written with integers, meant as reals.
    Expr number = args[0]->args[0];
    auto isKnown = [](Expr e) { return e->kind == Kind::Integer; };
    if (isKnown(number))
      return real(number->integer, type);
    if (number->isOp("arith.select") && isKnown(number->args[1]) &&
        isKnown(number->args[2]))
      return select(number->args[0], real(number->args[1]->integer, type),
                    real(number->args[2]->integer, type));
  }
  if (op == "arith.select") {
    if (args[0]->kind == Kind::Integer)
      return args[0]->integer ? args[1] : args[2];
    if (args[1] == args[2])
      return args[1];
  }
  Node node;
  node.kind = Kind::Apply;
  node.type = type;
  node.op = StringAttr::get(context, op);
  node.attributes = attributes ? attributes : DictionaryAttr::get(context);
  node.args.assign(args.begin(), args.end());
  return unique(std::move(node));
}

Expr Context::add(Expr a, Expr b) {
  return apply("arith.addf", {a, b}, a->type);
}
Expr Context::sub(Expr a, Expr b) {
  return apply("arith.subf", {a, b}, a->type);
}
Expr Context::mul(Expr a, Expr b) {
  return apply("arith.mulf", {a, b}, a->type);
}
Expr Context::div(Expr a, Expr b) {
  return apply("arith.divf", {a, b}, a->type);
}
Expr Context::neg(Expr a) { return apply("arith.negf", {a}, a->type); }
Expr Context::select(Expr condition, Expr a, Expr b) {
  return apply("arith.select", {condition, a, b}, a->type);
}
Expr Context::logicalAnd(Expr a, Expr b) {
  return apply("arith.andi", {a, b}, a->type);
}

Expr Context::compareIndex(int64_t predicate, Expr a, Expr b) {
  Builder builder(context);
  return apply("arith.cmpi", {a, b}, builder.getI1Type(),
               builder.getDictionaryAttr(builder.getNamedAttr(
                   "predicate", builder.getI64IntegerAttr(predicate))));
}

Expr Context::equal(Expr a, Expr b) {
  if (a == b)
    return boolean(true);
  if (a->kind == Kind::Integer && b->kind == Kind::Integer)
    return boolean(false);
  return compareIndex(static_cast<int64_t>(arith::CmpIPredicate::eq), a, b);
}

/// `known` holds `replacements` and what was made of other nodes.
static Expr substituteImpl(Context &context, Expr expr,
                           const llvm::DenseMap<Expr, Expr> &replacements,
                           llvm::DenseMap<Expr, Expr> &known,
                           llvm::function_ref<Expr(Expr)> replaceRead) {
  if (!expr)
    return nullptr;
  auto it = known.find(expr);
  if (it != known.end())
    return it->second;
  // The index of a reduction is another one than that of the same identity
  // outside of it.
  llvm::DenseMap<Expr, Expr> outer, inner;
  llvm::DenseMap<Expr, Expr> *here = &known;
  for (const Variable *bound : expr->variables)
    if (Expr own = context.variable(bound); replacements.contains(own)) {
      if (here == &known)
        outer = replacements;
      outer.erase(own);
      here = &inner;
    }
  inner = outer;
  SmallVector<Expr> args;
  for (Expr arg : expr->args)
    args.push_back(substituteImpl(context, arg,
                                  here == &known ? replacements : outer, *here,
                                  replaceRead));
  Expr result = expr;
  if (ArrayRef<Expr>(args) != ArrayRef<Expr>(expr->args)) {
    switch (expr->kind) {
    case Kind::Read: {
      unsigned rank = expr->subscripts().size();
      result = context.read(expr->value, ArrayRef(args).take_front(rank),
                            expr->fallback, ArrayRef(args).drop_front(rank),
                            expr->type, expr->attributes);
      break;
    }
    case Kind::Apply:
      result = context.apply(expr->op.getValue(), args, expr->type,
                             expr->attributes);
      break;
    case Kind::Reduce:
      result =
          context.reduce(expr->combiner, expr->variables, args[0], args[1]);
      break;
    default:
      break;
    }
  }
  if (replaceRead && result->kind == Kind::Read)
    result = replaceRead(result);
  known[expr] = result;
  return result;
}

Expr Context::substitute(Expr expr,
                         const llvm::DenseMap<Expr, Expr> &replacements) {
  llvm::DenseMap<Expr, Expr> known(replacements);
  return substituteImpl(*this, expr, replacements, known, nullptr);
}

Expr Context::replaceReads(Expr expr, llvm::function_ref<Expr(Expr)> replace) {
  llvm::DenseMap<Expr, Expr> none, known;
  return substituteImpl(*this, expr, none, known, replace);
}

//===----------------------------------------------------------------------===//
// Importer
//===----------------------------------------------------------------------===//

template <typename Op> Expr Importer::importRead(Op op, DictionaryAttr gather) {
  SmallVector<Expr> subscripts, fallback;
  for (Value subscript : op.getSubscripts())
    subscripts.push_back(import(subscript));
  for (Value subscript : op.getFallbackSubscripts())
    fallback.push_back(import(subscript));
  return context.read(op.getSource(), subscripts, op.getFallback(), fallback,
                      op.getType(), gather);
}

Expr Importer::import(Value scalar) {
  auto it = known.find(scalar);
  if (it != known.end())
    return it->second;
  Operation *op = scalar.getDefiningOp();
  Expr result = nullptr;
  Attribute constant;
  if (auto constantOp = dyn_cast_or_null<arith::ConstantOp>(op)) {
    constant = constantOp.getValue();
    if (auto number = dyn_cast<FloatAttr>(constant))
      result = context.real(number.getValueAsDouble(), scalar.getType());
    else if (scalar.getType().isIndex())
      result = context.integer(cast<IntegerAttr>(constant).getInt());
    else if (scalar.getType().isInteger(1))
      result =
          context.boolean(!cast<IntegerAttr>(constant).getValue().isZero());
    else
      result = context.leaf(scalar);
  } else if (auto read = dyn_cast_or_null<ReadOp>(op)) {
    result = importRead(read);
  } else if (auto gather = dyn_cast_or_null<GatherOp>(op)) {
    Builder builder(context.getContext());
    result =
        importRead(gather, builder.getDictionaryAttr(
                               {builder.getNamedAttr(gather.getDimsAttrName(),
                                                     gather.getDimsAttr()),
                                builder.getNamedAttr(gather.getNameAttrName(),
                                                     gather.getNameAttr())}));
  } else if (auto reduce = dyn_cast_or_null<ReduceOp>(op)) {
    SmallVector<const Variable *> variables;
    for (auto [index, lower, upper] :
         llvm::zip_equal(reduce.getBlock().getArguments(), reduce.getLowers(),
                         reduce.getUppers())) {
      variables.push_back(context.fresh(lower, upper));
      bind(index, context.variable(variables.back()));
    }
    YieldOp yield = reduce.getYield();
    Expr filter = yield.getFilter() ? import(yield.getFilter()) : nullptr;
    result = context.reduce(reduce.getCombiner(), variables,
                            import(yield.getValues()[0]), filter);
  } else if (op && op->getNumRegions() == 0 && op->getNumResults() == 1 &&
             op->getNumOperands() > 0 && !isa<GradOp>(op) &&
             llvm::all_of(op->getOperandTypes(), [](Type type) {
               return type.isIntOrIndexOrFloat();
             })) {
    SmallVector<Expr> args;
    for (Value operand : op->getOperands())
      args.push_back(import(operand));
    SmallVector<NamedAttribute> attributes;
    for (NamedAttribute each : op->getAttrDictionary())
      if (each.getName() != "fastmath")
        attributes.push_back(each);
    result = context.apply(op->getName().getStringRef(), args, scalar.getType(),
                           DictionaryAttr::get(op->getContext(), attributes));
  } else {
    result = context.leaf(scalar);
  }
  known[scalar] = result;
  return result;
}

Expr Importer::instantiate(EquationOp equation, ArrayRef<Expr> subscripts) {
  Importer inner(context);
  for (auto [index, subscript] :
       llvm::zip_equal(equation.getParallelIndices(), subscripts))
    inner.bind(index, subscript);
  SmallVector<const Variable *> variables;
  for (auto [index, lower, upper] :
       llvm::zip_equal(equation.getReductionIndices(), equation.getLowers(),
                       equation.getUppers())) {
    variables.push_back(context.fresh(lower, upper));
    inner.bind(index, context.variable(variables.back()));
  }
  YieldOp yield = equation.getYield();
  Expr value = inner.import(yield.getValues()[0]);
  if (!equation.getCombiner())
    return value;
  Expr filter = yield.getFilter() ? inner.import(yield.getFilter()) : nullptr;
  return context.reduce(*equation.getCombiner(), variables, value, filter);
}

//===----------------------------------------------------------------------===//
// Exporter
//===----------------------------------------------------------------------===//

Value algebra::emitRead(OpBuilder &builder, Location loc, Expr expr,
                        ValueRange args) {
  unsigned rank = expr->subscripts().size();
  ValueRange subscripts = args.take_front(rank), other = args.drop_front(rank);
  if (!expr->isGather())
    return ReadOp::create(builder, loc, expr->type, expr->value, subscripts,
                          expr->fallback, other);
  return GatherOp::create(builder, loc, expr->type, expr->value, subscripts,
                          expr->fallback, other,
                          expr->attributes.getAs<StringAttr>("name"),
                          expr->attributes.getAs<DenseI64ArrayAttr>("dims"));
}

Value Exporter::emit(OpBuilder &builder, Expr expr) {
  Scope scope{equation, Bindings()};
  return emit(builder, expr, scope);
}

Value Exporter::emit(OpBuilder &builder, Expr expr, Scope &scope) {
  auto it = scope.bindings.find(expr);
  if (it != scope.bindings.end())
    return it->second;
  Location loc = scope.equation.getLoc();
  Value result;
  switch (expr->kind) {
  case Kind::Real:
    result = arith::ConstantOp::create(
        builder, loc, builder.getFloatAttr(expr->type, expr->real));
    break;
  case Kind::Integer:
    if (expr->type.isIndex())
      result = arith::ConstantIndexOp::create(builder, loc, expr->integer);
    else
      result = arith::ConstantOp::create(builder, loc,
                                         builder.getBoolAttr(expr->integer));
    break;
  case Kind::Value:
    result = expr->value;
    break;
  case Kind::Variable:
    llvm_unreachable("a variable outside its reduction");
  case Kind::Read: {
    SmallVector<Value> args;
    for (Expr arg : expr->args)
      args.push_back(emit(builder, arg, scope));
    result = emitRead(builder, loc, expr, args);
    break;
  }
  case Kind::Apply: {
    OperationState state(loc, expr->op.getValue());
    for (Expr arg : expr->args)
      state.addOperands(emit(builder, arg, scope));
    state.addTypes(expr->type);
    state.addAttributes(expr->attributes.getValue());
    result = builder.create(state)->getResult(0);
    break;
  }
  case Kind::Reduce:
    result = emitReduce(builder, expr, scope);
    break;
  }
  scope.bindings[expr] = result;
  return result;
}

/// Defines an equation in front of the current one, over the batch indices and
/// those indices of the enclosing bodies that the reduction uses.
Value Exporter::emitReduce(OpBuilder &builder, Expr expr, Scope &scope) {
  // Leaves that are indices of the scope's equation, and outer variables.
  llvm::SmallSetVector<Expr, 8> used;
  llvm::DenseSet<const Variable *> own;
  walk(expr, [&](Expr node) {
    own.insert(node->variables.begin(), node->variables.end());
  });
  Block *body = &scope.equation.getBlock();
  walk(expr, [&](Expr node) {
    auto argument = node->kind == Kind::Value
                        ? dyn_cast<BlockArgument>(node->value)
                        : BlockArgument();
    bool isOuterVariable =
        node->kind == Kind::Variable && !own.contains(node->variable);
    if ((argument && isa<EquationOp>(argument.getOwner()->getParentOp())) ||
        isOuterVariable)
      used.insert(node);
  });
  unsigned numBatch = 0;
  if (auto recurrence = scope.equation->getParentOfType<RecurrenceOp>())
    numBatch = recurrence.getBatch();
  else if (auto kernel = scope.equation->getParentOfType<KernelOp>())
    numBatch = kernel.getBatch().size();

  // Parallel indices of the new equation: (size, value of the index here, leaf
  // that it stands for). They count from 0: those of a reduction from its lower
  // bound, which is null where it is 0.
  struct Parallel {
    Value size, here, lower;
    Expr leaf;
  };
  OpBuilder outer(scope.equation);
  Location loc = scope.equation.getLoc();
  SmallVector<Parallel> parallel;
  for (auto [i, argument] : llvm::enumerate(body->getArguments())) {
    Expr leaf = nullptr;
    for (Expr node : used)
      if (node->kind == Kind::Value && node->value == argument)
        leaf = node;
    // In an equation made here the leaf is bound to the argument.
    for (auto &[node, value] : scope.bindings)
      if (value == argument && used.contains(node))
        leaf = node;
    if (!leaf && i >= numBatch)
      continue;
    unsigned numParallel = scope.equation.getSizes().size();
    if (i < numParallel) {
      parallel.push_back(
          {scope.equation.getSizes()[i], argument, Value(), leaf});
      continue;
    }
    Value lower = scope.equation.getLowers()[i - numParallel];
    Value upper = scope.equation.getUppers()[i - numParallel];
    // Where places below a lower bound are few, they are computed, too: a size
    // is a sum of sizes.
    std::optional<int64_t> first = getConstantIntValue(lower);
    if (first && *first >= 0) {
      parallel.push_back({upper, argument, Value(), leaf});
      continue;
    }
    Value size =
        first ? outer.createOrFold<arith::AddIOp>(
                    loc, upper,
                    arith::ConstantIndexOp::create(outer, loc, -*first))
              : outer.createOrFold<arith::MaxSIOp>(
                    loc, outer.createOrFold<arith::SubIOp>(loc, upper, lower),
                    arith::ConstantIndexOp::create(outer, loc, 0));
    Value here = arith::SubIOp::create(builder, loc, argument, lower);
    parallel.push_back({size, here, lower, leaf});
  }

  OpBuilder::InsertionGuard guard(builder);
  SmallVector<Value> sizes, lowers, uppers;
  for (const Parallel &each : parallel)
    sizes.push_back(each.size);
  for (const Variable *variable : expr->variables) {
    lowers.push_back(variable->lower);
    uppers.push_back(variable->upper);
  }
  auto created = EquationOp::create(
      outer, loc,
      (scope.equation.getName() + "." + stringifyCombiner(expr->combiner))
          .str(),
      expr->type, sizes, lowers, uppers, expr->combiner);
  Scope inner{created, Bindings()};
  OpBuilder inside = OpBuilder::atBlockEnd(&created.getBlock());
  for (auto [i, each] : llvm::enumerate(parallel)) {
    Value index = created.getParallelIndices()[i];
    if (each.lower)
      index = arith::AddIOp::create(inside, loc, index, each.lower);
    if (each.leaf)
      inner.bindings[each.leaf] = index;
  }
  for (auto [i, variable] : llvm::enumerate(expr->variables))
    for (Expr arg : expr->args)
      if (arg)
        walk(arg, [&, i = i, variable = variable](Expr node) {
          if (node->kind == Kind::Variable && node->variable == variable)
            inner.bindings[node] = created.getReductionIndices()[i];
        });
  Value value = emit(inside, expr->args[0], inner);
  Value filter;
  if (expr->args[1])
    filter = emit(inside, expr->args[1], inner);
  YieldOp::create(inside, created.getLoc(), value, filter);

  SmallVector<Value> subscripts;
  for (const Parallel &each : parallel)
    subscripts.push_back(each.here);
  return ReadOp::create(builder, scope.equation.getLoc(), expr->type,
                        created.getResult(), subscripts);
}

//===----------------------------------------------------------------------===//
// New equations
//===----------------------------------------------------------------------===//

static SmallVector<Expr> leaves(Context &context,
                                ArrayRef<BlockArgument> indices) {
  SmallVector<Expr> result;
  for (BlockArgument each : indices)
    result.push_back(context.leaf(each));
  return result;
}

Value rondo::algebra::emitEquation(
    Context &context, OpBuilder &at, Location loc, const Twine &name, Type type,
    ValueRange sizes, llvm::function_ref<Expr(ArrayRef<Expr>)> body) {
  auto equation = EquationOp::create(at, loc, name.str(), type, sizes);
  OpBuilder inside = OpBuilder::atBlockEnd(&equation.getBlock());
  Expr value = body(leaves(context, equation.getParallelIndices()));
  YieldOp::create(inside, loc, Exporter(equation).emit(inside, value));
  return equation.getResult();
}

Value rondo::algebra::emitReduction(
    Context &context, OpBuilder &at, Location loc, const Twine &name, Type type,
    ValueRange sizes, Combiner combiner, Value zero, ValueRange extents,
    llvm::function_ref<std::pair<Expr, Expr>(ArrayRef<Expr>, ArrayRef<Expr>)>
        body) {
  SmallVector<Value> lowers(extents.size(), zero);
  auto equation = EquationOp::create(at, loc, name.str(), type, sizes, lowers,
                                     extents, combiner);
  OpBuilder inside = OpBuilder::atBlockEnd(&equation.getBlock());
  auto [term, filter] = body(leaves(context, equation.getParallelIndices()),
                             leaves(context, equation.getReductionIndices()));
  // One block of code: the filter is emitted with the term.
  Value value = Exporter(equation).emit(inside, term);
  Value condition = filter ? Exporter(equation).emit(inside, filter) : Value();
  YieldOp::create(inside, loc, value, condition);
  return equation.getResult();
}
