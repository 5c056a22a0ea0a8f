//===- Adjoints.cpp - Reverse mode on arrays ------------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What adjoints say. AdjointEquations.cpp makes equations of it.
//
//===----------------------------------------------------------------------===//

#include "passes/Algebra/Adjoints.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "passes/Algebra/Linear.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::algebra;

//===----------------------------------------------------------------------===//
// What depends on what
//===----------------------------------------------------------------------===//

LogicalResult Adjoints::addResult(Value result, TensorSpecAttr spec,
                                  BlockArgument gradient) {
  gradients.push_back(gradient);
  if (Array *array = arrays.find(result)) {
    infos[array].seeds.push_back({spec, gradient});
    return success();
  }
  for (Array &array : arrays.getArrays()) {
    if (array.final != result)
      continue;
    SmallVector<const Variable *> rest =
        array.withoutAlong(ArrayRef<const Variable *>(array.variables));
    Value declared =
        emitConstant(spec.getName() + ".grad.declared", 0, array.type, rest);
    infos[&array].finalGradient = InitialOp::create(
        builder, array.loc, declared.getType(), gradient, declared);
    return success();
  }
  return emitError(result.getLoc())
         << "cannot differentiate: the result '" << spec.getName()
         << "' is not defined by an equation";
}

LogicalResult Adjoints::findReads() {
  for (Array &array : arrays.getArrays()) {
    Info &info = infos[&array];
    auto addSource = [&](Value value) {
      Array *source = value ? arrays.find(value) : nullptr;
      if (source && source->isReal() && array.isReal()) {
        info.sources.insert(source);
        infos[source].readers.insert(&array);
      }
      return !value || source;
    };
    if (array.choice) {
      addSource(array.choice.getGiven());
      addSource(array.choice.getDeclared());
    }
    if (info.decay && info.decay->state == &array)
      addSource(info.decay->logarithm->value);
    bool isKnown = true;
    if (array.definition && !array.isAbbreviation)
      walk(array.definition, [&](Expr node) {
        if (node->kind == Kind::Read) {
          isKnown &= addSource(node->value);
          isKnown &= addSource(node->fallback);
        }
      });
    if (!isKnown)
      return emitError(array.loc) << "cannot differentiate '" << array.name
                                  << "': it reads the final value of a state";
  }
  return success();
}

/// Depends on an input, and results depend on it.
void Adjoints::findActive() {
  SmallVector<Array *> work;
  for (Array &array : arrays.getArrays())
    if (isa<BlockArgument>(array.value) && array.isReal()) {
      infos[&array].varies = true;
      work.push_back(&array);
    }
  while (!work.empty())
    for (Array *reader : infos[work.pop_back_val()].readers)
      if (!infos[reader].varies) {
        infos[reader].varies = true;
        work.push_back(reader);
      }
  for (Array &array : arrays.getArrays()) {
    Info &info = infos[&array];
    if (info.seeds.empty() && !info.finalGradient)
      continue;
    info.matters = true;
    work.push_back(&array);
    // Of no step, the final value is the initial one.
    if (Array *initial = array.initial ? arrays.find(array.initial) : nullptr)
      if (info.finalGradient && !infos[initial].matters) {
        infos[initial].matters = true;
        work.push_back(initial);
      }
  }
  while (!work.empty())
    for (Array *source : infos[work.pop_back_val()].sources)
      if (!infos[source].matters) {
        infos[source].matters = true;
        work.push_back(source);
      }
}

/// Whether one is in the other's cycle.
bool Adjoints::isShared(Array &a, Array &b) {
  return infos[&a].cycle && infos[&a].cycle == infos[&b].cycle;
}

void Adjoints::findCycles() {
  auto reachable = [&](Array *from) {
    llvm::SetVector<Array *> found;
    SmallVector<Array *> work{from};
    while (!work.empty())
      for (Array *source : infos[work.pop_back_val()].sources)
        if (source->recurrence == from->recurrence &&
            infos[source].isActive() && found.insert(source))
          work.push_back(source);
    return found;
  };
  llvm::DenseMap<Array *, llvm::SetVector<Array *>> reach;
  for (Array &array : arrays.getArrays())
    if (array.recurrence && infos[&array].isActive())
      reach[&array] = reachable(&array);
  for (Array &array : arrays.getArrays()) {
    Info &info = infos[&array];
    if (!reach.contains(&array) || info.cycle ||
        !reach[&array].contains(&array))
      continue;
    cycles.emplace_back();
    for (Array &other : arrays.getArrays())
      if (reach[&array].contains(&other) && reach[&other].contains(&array)) {
        cycles.back().members.push_back(&other);
        infos[&other].cycle = &cycles.back();
      }
  }
}

LogicalResult Adjoints::addCarry(Cycle &cycle, Array &of, Indices points) {
  for (Carry &carry : cycle.carries)
    if (carry.of == &of && carry.points == points)
      return success();
  Carry carry;
  carry.of = &of;
  carry.points = points;
  ArrayRef<const Variable *> variables(of.variables);
  for (auto [point, variable] : llvm::zip_equal(points, of.along(variables))) {
    auto [base, lag] = takeLag(point);
    carry.lags.push_back(base == variable ? std::optional<int64_t>(lag)
                                          : std::nullopt);
    if (!carry.lags.back() && points.size() > 1)
      return emitError(of.loc)
             << "cannot differentiate: '" << of.name
             << "' runs along several dims and is read at a step that is not "
                "its index and a constant";
  }
  RecurrenceOp op = of.recurrence;
  bool isNext =
      points.size() == 1 && carry.lags[0] == (op.getReversed()[0] ? -1 : 1);
  carry.isWhole = of.initial && isNext;
  unsigned number = llvm::count_if(
      cycle.carries, [&](const Carry &each) { return each.of == &of; });
  std::string name =
      of.name + ".carry" + (number ? std::to_string(number) : "");
  SmallVector<const Variable *> rest = of.withoutAlong(variables);
  carry.array = &arrays.add(name, of.loc, of.type, of.variables);
  carry.final = &arrays.add(name + ".final", of.loc, of.type, rest);
  carry.initial = infos[&of].finalGradient;
  if (!carry.isWhole || !carry.initial)
    carry.initial = emitConstant(name + ".initial", 0, of.type, rest);
  carriesOf[carry.array] = carriesOf[carry.final] = &cycle;
  cycle.carries.push_back(carry);
  return success();
}

/// Whether the step that is read follows from the reader's step alone.
bool Adjoints::isRegular(Array &of, Expr read, ArrayRef<Expr> along) {
  bool regular = true;
  for (Expr point : of.along(read->subscripts()))
    walk(point, [&](Expr node) {
      regular &=
          node->kind != Kind::Variable || llvm::is_contained(along, node);
    });
  return regular;
}

/// Reads of members of the cycle by others, or themselves, at other steps.
LogicalResult Adjoints::findCarries(Cycle &cycle) {
  for (Array *reader : cycle.members) {
    SmallVector<Expr> own = indexExprs(context, reader->variables);
    SmallVector<std::pair<Array *, Indices>> found;
    walk(reader->definition, [&](Expr node) {
      Array *of = node->kind == Kind::Read ? arrays.find(node->value) : nullptr;
      if (!of || !isShared(*reader, *of))
        return;
      if (!isRegular(*of, node, reader->along(ArrayRef<Expr>(own)))) {
        cycle.shifted.insert(reader);
        return;
      }
      SmallVector<Expr> at = indexExprs(context, of->variables);
      llvm::DenseMap<Expr, Expr> rename;
      for (auto [from, to] : llvm::zip_equal(reader->along(ArrayRef<Expr>(own)),
                                             of->along(ArrayRef<Expr>(at))))
        rename[from] = to;
      Indices points;
      for (Expr point : of->along(node->subscripts()))
        points.push_back(context.substitute(point, rename));
      if (ArrayRef<Expr>(points) != of->along(ArrayRef<Expr>(at)))
        found.push_back({of, points});
    });
    for (auto &[of, points] : found)
      if (failed(addCarry(cycle, *of, points)))
        return failure();
  }
  return success();
}

LogicalResult Adjoints::analyze() {
  findDecays();
  if (failed(findReads()))
    return failure();
  findActive();
  findCycles();
  SmallVector<Array *> active;
  for (Array &array : arrays.getArrays())
    if (infos[&array].isActive())
      active.push_back(&array);
  for (Array *array : active) {
    Array &adjoint = arrays.add(array->name + ".grad", array->loc, array->type,
                                array->variables);
    infos[array].adjoint = &adjoint;
    adjointOf[&adjoint] = array;
  }
  for (Cycle &cycle : cycles)
    if (failed(findCarries(cycle)))
      return failure();
  return success();
}

//===----------------------------------------------------------------------===//
// Indices
//===----------------------------------------------------------------------===//

Expr Adjoints::compareReal(arith::CmpFPredicate predicate, Expr a, Expr b) {
  Builder builder(context.getContext());
  return context.apply("arith.cmpf", {a, b}, builder.getI1Type(),
                       builder.getDictionaryAttr(builder.getNamedAttr(
                           "predicate", builder.getI64IntegerAttr(
                                            static_cast<int64_t>(predicate)))));
}

Expr Adjoints::index(StringRef op, Expr a, Expr b) {
  return context.apply(op, {a, b}, IndexType::get(context.getContext()));
}

/// 0 <= point < extent.
Expr Adjoints::inside(Expr point, const Variable *of) {
  return context.logicalAnd(
      context.compareIndex(static_cast<int64_t>(arith::CmpIPredicate::sge),
                           point, context.integer(0)),
      context.compareIndex(static_cast<int64_t>(arith::CmpIPredicate::slt),
                           point, context.leaf(of->upper)));
}

/// Least and greatest value of point - variable, if they are known.
static std::optional<std::pair<int64_t, int64_t>> boundShift(Expr point,
                                                             Expr variable) {
  using Bounds = std::optional<std::pair<int64_t, int64_t>>;
  if (point == variable)
    return std::pair<int64_t, int64_t>(0, 0);
  auto boundRest = [&](Expr rest) -> Bounds {
    if (rest->kind == Kind::Integer)
      return std::pair<int64_t, int64_t>(rest->integer, rest->integer);
    if (rest->isOp("rondo.mod") && rest->args[1]->kind == Kind::Integer &&
        rest->args[1]->integer > 0)
      return std::pair<int64_t, int64_t>(0, rest->args[1]->integer - 1);
    return std::nullopt;
  };
  bool isSum = point->isOp("arith.addi");
  if (!isSum && !point->isOp("arith.subi"))
    return std::nullopt;
  Bounds first = boundShift(point->args[0], variable);
  Bounds second = boundRest(point->args[1]);
  if (!first && isSum) {
    first = boundShift(point->args[1], variable);
    second = boundRest(point->args[0]);
  }
  if (!first || !second)
    return std::nullopt;
  if (isSum)
    return std::pair(first->first + second->first,
                     first->second + second->second);
  return std::pair(first->first - second->second,
                   first->second - second->first);
}

/// A variable over the distances less 1 from a step to what it reads.
const Variable *Adjoints::windowOf(Carry &carry) {
  const Variable *along =
      carry.of->along(ArrayRef<const Variable *>(carry.of->variables))[0];
  Value extent = along->upper;
  if (auto shift = boundShift(carry.points[0], context.variable(along)))
    extent = arrays.getConstant(std::max(-shift->first, shift->second));
  return context.fresh(arrays.getConstant(0), extent);
}

//===----------------------------------------------------------------------===//
// Reverse mode
//===----------------------------------------------------------------------===//

/// Whether a term is the greatest or least value that `reader` is.
Expr Adjoints::attainsValue(Array &reader, Expr term, ArrayRef<Expr> indices) {
  Expr value = context.read(reader.value, indices, Value(), {}, reader.type);
  return compareReal(arith::CmpFPredicate::OEQ, term, value);
}

/// Whether a derivative may be infinite where the value is defined: of a
/// quotient, a logarithm, a root or a power of what is read.
static bool hasPole(Expr value) {
  auto reads = [](Expr expr) {
    return contains(expr, [](Expr node) { return node->kind == Kind::Read; });
  };
  return contains(value, [&](Expr node) {
    if (node->isOp("arith.divf"))
      return reads(node->args[1]);
    return (node->isOp("math.log") || node->isOp("math.log1p") ||
            node->isOp("math.sqrt") || node->isOp("math.rsqrt") ||
            node->isOp("math.powf")) &&
           reads(node);
  });
}

/// How many terms do.
Array &Adjoints::countAttained(Array &reader) {
  Info &info = infos[&reader];
  if (info.count)
    return *info.count;
  info.count = &arrays.add(reader.name + ".count", reader.loc, reader.type,
                           reader.variables);
  SmallVector<Expr> indices = indexExprs(context, reader.variables);
  Expr extreme = reader.definition;
  Expr one = context.select(attainsValue(reader, extreme->args[0], indices),
                            context.real(1, reader.type), zero(reader.type));
  info.count->definition =
      context.reduce(Combiner::Sum, extreme->variables, one, extreme->args[1]);
  return *info.count;
}

/// Sum over the points p of `reader` of its adjoint at p times the derivative
/// of its definition at p; the step is fixed if one is given.
Expr Adjoints::contribution(Array &reader, ArrayRef<Expr> step, ReadRule rule,
                            bool withDecay) {
  SmallVector<Expr> indices;
  SmallVector<const Variable *> open;
  llvm::DenseMap<Expr, Expr> here;
  for (auto [i, variable] : llvm::enumerate(reader.variables)) {
    unsigned position = i - (step.empty() ? 0 : reader.firstAlong());
    if (!step.empty() && i >= reader.firstAlong() && position < step.size()) {
      indices.push_back(step[position]);
    } else {
      open.push_back(context.fresh(variable->lower, variable->upper));
      indices.push_back(context.variable(open.back()));
    }
    here[context.variable(variable)] = indices.back();
  }
  Expr definition =
      withDecay ? reader.definition : infos[&reader].decay->rest;
  Expr value = context.substitute(definition, here);
  Expr weight = context.read(infos[&reader].adjoint->value, indices, Value(),
                             {}, reader.type);
  Expr filter = nullptr;
  bool isExtreme =
      value->kind == Kind::Reduce &&
      (value->combiner == Combiner::Max || value->combiner == Combiner::Min);
  if (isExtreme ||
      (value->kind == Kind::Reduce && value->combiner == Combiner::Sum)) {
    llvm::append_range(open, value->variables);
    filter = value->args[1];
    value = value->args[0];
  }
  if (isExtreme) {
    // Shared evenly among the terms that attain the value.
    Expr count = context.read(countAttained(reader).value, indices, Value(), {},
                              reader.type);
    Expr attains = attainsValue(reader, value, indices);
    weight =
        context.select(attains, context.div(weight, count), zero(reader.type));
  }
  // Of the indices that a delta determines, those of run-time sizes go first.
  auto isSmall = [](const Variable *each) {
    return getConstantIntValue(each->upper).has_value();
  };
  SmallVector<const Variable *> small;
  llvm::copy_if(open, std::back_inserter(small), isSmall);
  llvm::erase_if(open, isSmall);
  llvm::append_range(open, small);
  Expr total = context.mul(weight, value);
  // Where nothing flows in nothing flows out, also where a derivative is not
  // finite: 0 / 0 of a softmax without terms.
  if (hasPole(value))
    total = context.select(
        compareReal(arith::CmpFPredicate::UNE, weight, zero(weight->type)),
        total, zero(total->type));
  if (!open.empty())
    total = context.reduce(Combiner::Sum, open, total, filter);
  else if (filter)
    total = context.select(filter, total, zero(total->type));
  std::string reason;
  SmallVector<Expr> along(reader.along(ArrayRef<Expr>(indices)));
  auto ofRead = [&](Expr read) { return rule(read, along); };
  Expr derivative = differentiate(context, total, ofRead, reason);
  if (derivative)
    return derivative;
  if (!hasFailed)
    emitError(reader.loc) << "cannot differentiate '" << reader.name
                          << "': " << reason;
  hasFailed = true;
  return zero(reader.type);
}

/// The step at which a reader outside of the cycle reads as the carry's readers
/// do: its index there is an index over the same steps.
std::optional<DeltaTerm> Adjoints::matchCarry(Carry &carry, Expr read) {
  Array &of = *carry.of;
  DeltaTerm term{context.real(1, read->type), {}};
  ArrayRef<const Variable *> variables(of.variables);
  ArrayRef<Expr> points = of.along(read->subscripts());
  for (unsigned k = 0; k < points.size(); ++k) {
    Expr point = points[k];
    const Variable *variable = of.along(variables)[k], *base = nullptr;
    if (carry.lags[k]) {
      auto [found, lag] = takeLag(point);
      if (lag == *carry.lags[k])
        base = found;
    } else {
      walk(point, [&](Expr node) {
        if (node->kind != Kind::Variable)
          return;
        llvm::DenseMap<Expr, Expr> rename{{context.variable(variable), node}};
        if (context.substitute(carry.points[k], rename) == point)
          base = node->variable;
      });
    }
    if (!base || !isConstantIntValue(base->lower, 0) ||
        !isSameExtent(base->upper, variable->upper))
      return std::nullopt;
    term.deltas.push_back({context.variable(base), context.variable(variable)});
  }
  SmallVector<Expr> own = indexExprs(context, of.variables);
  for (auto [subscript, expr] :
       llvm::zip_equal(of.withoutAlong(read->subscripts()),
                       of.withoutAlong(ArrayRef<Expr>(own))))
    term.deltas.push_back({subscript, expr});
  return term;
}

bool Adjoints::matchesCarry(Array &of, Expr read) {
  Cycle *cycle = infos[&of].cycle;
  return cycle && llvm::any_of(cycle->carries, [&](Carry &carry) {
           return carry.of == &of && matchCarry(carry, read);
         });
}

/// What flows into `array` from a reader, without carries.
Expr Adjoints::fromReader(Array &reader, Array &array) {
  SmallVector<Expr> own = indexExprs(context, array.variables);
  bool isSameCycle = isShared(reader, array);
  SmallVector<Expr> step;
  if (isSameCycle)
    llvm::append_range(step, array.along(ArrayRef<Expr>(own)));
  auto toPoint = [&](Expr read) {
    DeltaTerm term{context.real(1, read->type), {}};
    for (auto [subscript, expr] : llvm::zip_equal(read->subscripts(), own))
      term.deltas.push_back({subscript, expr});
    return term;
  };
  auto rule = [&](Expr read, ArrayRef<Expr>) -> std::optional<DeltaTerm> {
    if (arrays.find(read->value) != &array)
      return std::nullopt;
    if (isSameCycle ? array.along(read->subscripts()) != ArrayRef<Expr>(step)
                    : matchesCarry(array, read))
      return std::nullopt;
    return toPoint(read);
  };
  Expr total = contribution(reader, step, rule);
  if (!isSameCycle || !infos[&array].cycle->shifted.contains(&reader))
    return total;
  auto shifted = [&](Expr read,
                     ArrayRef<Expr> along) -> std::optional<DeltaTerm> {
    if (arrays.find(read->value) != &array || isRegular(array, read, along))
      return std::nullopt;
    return toPoint(read);
  };
  return context.add(total, contribution(reader, {}, shifted));
}

/// Without the decay of the state: what flows in from all other reads.
Expr Adjoints::defineCarry(Carry &carry, bool withDecay) {
  Array &of = *carry.of;
  SmallVector<Expr> own = indexExprs(context, of.variables);
  SmallVector<Expr> step(of.along(ArrayRef<Expr>(own)));
  Expr total = zero(of.type);
  for (Array *reader : infos[&of].readers) {
    if (!infos[reader].isActive() || reader->choice)
      continue;
    bool isSameCycle = isShared(*reader, of);
    auto rule = [&](Expr read, ArrayRef<Expr>) -> std::optional<DeltaTerm> {
      if (arrays.find(read->value) != &of)
        return std::nullopt;
      if (!isSameCycle)
        return matchCarry(carry, read);
      if (of.along(read->subscripts()) != ArrayRef<Expr>(carry.points))
        return std::nullopt;
      DeltaTerm term{context.real(1, read->type), {}};
      for (auto [subscript, expr] :
           llvm::zip_equal(of.withoutAlong(read->subscripts()),
                           of.withoutAlong(ArrayRef<Expr>(own))))
        term.deltas.push_back({subscript, expr});
      return term;
    };
    total = context.add(total, contribution(*reader,
                                            isSameCycle ? ArrayRef<Expr>(step)
                                                        : ArrayRef<Expr>(),
                                            rule, withDecay || reader != &of));
  }
  return total;
}

/// What flows into an array, at its variables, through the carry: from the
/// steps that read this one.
Expr Adjoints::readCarry(Carry &carry) {
  Array &of = *carry.of;
  SmallVector<Expr> subscripts = indexExprs(context, of.variables);
  SmallVector<Expr> rest = of.withoutAlong(ArrayRef<Expr>(subscripts));
  unsigned first = of.firstAlong();
  auto read = [&] {
    return context.read(carry.array->value, subscripts, carry.initial, rest,
                        of.type);
  };
  if (llvm::all_of(carry.lags, [](auto lag) { return lag.has_value(); })) {
    for (auto [k, lag] : llvm::enumerate(carry.lags)) {
      Expr &subscript = subscripts[first + k];
      subscript = *lag < 0
                      ? index("arith.subi", subscript, context.integer(-*lag))
                      : index("arith.addi", subscript, context.integer(*lag));
    }
    return read();
  }
  // Sum over the later steps, up to the farthest, that read this one.
  RecurrenceOp op = of.recurrence;
  Expr here = subscripts[first];
  const Variable *window = windowOf(carry);
  Expr distance =
      index("arith.addi", context.variable(window), context.integer(1));
  subscripts[first] =
      index(op.getReversed()[0] ? "arith.subi" : "arith.addi", here, distance);
  llvm::DenseMap<Expr, Expr> there{{here, subscripts[first]}};
  Expr isHere = context.equal(context.substitute(carry.points[0], there), here);
  return context.reduce(Combiner::Sum, {window}, read(), isHere);
}

/// What flows into the initial value through the carry: from the steps that
/// read a point out of range.
Expr Adjoints::carryBeforeStart(Carry &carry, Array &choice) {
  Array &of = *carry.of;
  SmallVector<Expr> rest = indexExprs(context, choice.variables);
  if (carry.isWhole)
    return context.read(carry.final->value, rest, Value(), {}, of.type);
  ArrayRef<const Variable *> variables(of.variables);
  RecurrenceOp op = of.recurrence;
  SmallVector<const Variable *> steps;
  SmallVector<Expr> subscripts(rest);
  llvm::DenseMap<Expr, Expr> there;
  bool isConstant = carry.lags.size() == 1 && carry.lags[0];
  for (auto [k, along] : llvm::enumerate(of.along(variables))) {
    Value extent = along->upper;
    if (isConstant)
      extent = arrays.getConstant(std::abs(*carry.lags[k]));
    steps.push_back(carry.points.size() == 1 && !isConstant
                        ? windowOf(carry)
                        : context.fresh(arrays.getConstant(0), extent));
    Expr step = context.variable(steps.back());
    if (carry.points.size() == 1 && op.getReversed()[0])
      step = index(
          "arith.subi",
          index("arith.subi", context.leaf(along->upper), context.integer(1)),
          step);
    subscripts.insert(subscripts.begin() + of.firstAlong() + k, step);
    there[context.variable(along)] = step;
  }
  Expr isInside = context.boolean(true);
  if (!isConstant)
    for (auto [point, along] :
         llvm::zip_equal(carry.points, of.along(variables)))
      isInside = context.logicalAnd(
          isInside, inside(context.substitute(point, there), along));
  Expr read =
      context.read(carry.array->value, subscripts, Value(), {}, of.type);
  if (!isConstant)
    read = context.select(isInside, zero(of.type), read);
  return context.reduce(Combiner::Sum, steps, read, nullptr);
}

/// What flows into an initial value from the states that start with it.
Expr Adjoints::initialFromStates(Array &choice) {
  Expr total = zero(choice.type);
  SmallVector<Expr> own = indexExprs(context, choice.variables);
  for (Array &state : arrays.getArrays()) {
    if (!state.initial || arrays.find(state.initial) != &choice)
      continue;
    Info &info = infos[&state];
    bool isWhole = false;
    if (info.cycle)
      for (Carry &carry : info.cycle->carries)
        if (carry.of == &state) {
          isWhole |= carry.isWhole;
          total = context.add(total, carryBeforeStart(carry, choice));
        }
    if (isWhole || !info.finalGradient)
      continue;
    // Without steps the final value is the initial one.
    Expr read = context.read(info.finalGradient, own, Value(), {}, state.type);
    Expr none = zero(state.type);
    Expr product = none;
    for (const Variable *along :
         state.along(ArrayRef<const Variable *>(state.variables)))
      product = context.select(
          context.compareIndex(static_cast<int64_t>(arith::CmpIPredicate::sle),
                               context.leaf(along->upper), context.integer(0)),
          read, product);
    total = context.add(total, product);
  }
  return total;
}

/// What flows into an initial value from reads, outside of carries, of states
/// before their start.
Expr Adjoints::initialFromReader(Array &reader, Array &choice) {
  SmallVector<Expr> own = indexExprs(context, choice.variables);
  auto rule = [&](Expr read, ArrayRef<Expr> along) -> std::optional<DeltaTerm> {
    DeltaTerm term{context.real(1, read->type), {}};
    auto append = [&](ArrayRef<Expr> subscripts) {
      for (auto [subscript, expr] : llvm::zip_equal(subscripts, own))
        term.deltas.push_back({subscript, expr});
    };
    if (arrays.find(read->value) == &choice) {
      append(read->subscripts());
      return term;
    }
    if (!read->fallback || arrays.find(read->fallback) != &choice)
      return std::nullopt;
    Array &state = *arrays.find(read->value);
    if (isShared(reader, state) ? isRegular(state, read, along)
                                : matchesCarry(state, read))
      return std::nullopt;
    append(ArrayRef(read->args).drop_front(read->subscripts().size()));
    ArrayRef<const Variable *> variables(state.variables);
    ArrayRef<Expr> points = state.along(read->subscripts());
    auto [base, lag] = points.size() == 1
                           ? takeLag(points[0])
                           : std::pair<const Variable *, int64_t>(nullptr, 0);
    const Variable *steps =
        points.empty() ? nullptr : state.along(variables)[0];
    if (base && isSameExtent(base->upper, steps->upper) &&
        isConstantIntValue(base->lower, 0) && (lag == 1 || lag == -1)) {
      Expr edge = lag == 1 ? context.integer(0)
                           : index("arith.subi", context.leaf(steps->upper),
                                   context.integer(1));
      term.deltas.push_back({context.variable(base), edge});
      return term;
    }
    Expr isInside = context.boolean(true);
    for (auto [subscript, variable] :
         llvm::zip_equal(read->subscripts(), variables))
      isInside = context.logicalAnd(isInside, inside(subscript, variable));
    term.coefficient =
        context.select(isInside, zero(read->type), term.coefficient);
    return term;
  };
  return contribution(reader, {}, rule);
}

/// What is given for results, at the array's variables.
Expr Adjoints::seed(Array &array) {
  Expr total = zero(array.type);
  Info &info = infos[&array];
  SmallVector<Expr> own = indexExprs(context, array.variables);
  for (auto &[spec, gradient] : info.seeds) {
    SmallVector<Expr> subscripts;
    llvm::SmallSetVector<unsigned, 4> used;
    for (unsigned dim = 0; dim < spec.getShape().getNumResults(); ++dim) {
      used.insert(spec.getReturnedDim(dim));
      subscripts.push_back(own[spec.getReturnedDim(dim)]);
    }
    // Batch dims that the result lacks: all points are the same, one counts.
    bool lacks =
        spec.getShape().getNumResults() < own.size() && spec.getOrder().empty();
    unsigned lacking = own.size() - subscripts.size();
    if (lacks) {
      used.clear();
      for (unsigned dim = 0; dim < subscripts.size(); ++dim) {
        subscripts[dim] = own[lacking + dim];
        used.insert(lacking + dim);
      }
    }
    Expr counts = context.boolean(true);
    for (unsigned dim = 0; dim < own.size(); ++dim)
      if (!used.contains(dim))
        counts = context.logicalAnd(
            counts, context.equal(own[dim], context.integer(0)));
    Expr read = context.read(gradient, subscripts, Value(), {}, array.type);
    total = context.add(total, context.select(counts, read, zero(array.type)));
  }
  if (!info.finalGradient)
    return total;
  if (info.cycle && llvm::any_of(info.cycle->carries, [&](Carry &carry) {
        return carry.of == &array && carry.isWhole;
      }))
    return total;
  Expr isLast = context.boolean(true);
  RecurrenceOp op = array.recurrence;
  for (auto [k, along] : llvm::enumerate(
           array.along(ArrayRef<const Variable *>(array.variables)))) {
    Expr last = op.getReversed()[k]
                    ? context.integer(0)
                    : index("arith.subi", context.leaf(along->upper),
                            context.integer(1));
    isLast = context.logicalAnd(isLast,
                                context.equal(context.variable(along), last));
  }
  Expr read =
      context.read(info.finalGradient, array.withoutAlong(ArrayRef<Expr>(own)),
                   Value(), {}, array.type);
  return context.add(total, context.select(isLast, read, zero(array.type)));
}

/// Whether the caller passed the initial value: then zeros and ones in its
/// place make no difference.
Expr Adjoints::isGiven(Array &choice) {
  Expr both[2];
  for (int number : {0, 1}) {
    Value declared = emitConstant(choice.name + (number ? ".one" : ".zero"),
                                  number, choice.type, choice.variables);
    Value chosen = InitialOp::create(builder, choice.loc, declared.getType(),
                                     choice.choice.getGiven(), declared);
    both[number] = context.read(chosen, indexExprs(context, choice.variables),
                                Value(), {}, choice.type);
  }
  return compareReal(arith::CmpFPredicate::UEQ, both[0], both[1]);
}

/// What flows into what is given, or declared, as an initial value.
Expr Adjoints::fromChoice(Array &choice, Array &array) {
  Expr adjoint = context.read(infos[&choice].adjoint->value,
                              indexExprs(context, array.variables), Value(), {},
                              array.type);
  if (array.value == choice.choice.getGiven())
    return adjoint;
  llvm::DenseMap<Expr, Expr> here;
  for (auto [from, to] : llvm::zip_equal(choice.variables, array.variables))
    here[context.variable(from)] = context.variable(to);
  return context.select(context.substitute(isGiven(choice), here),
                        zero(array.type), adjoint);
}

Expr Adjoints::defineAdjoint(Array &array) {
  if (Decay *decay = infos[&array].decay; decay && decay->logarithm == &array)
    return defineDecayAdjoint(*decay);
  Expr total = seed(array);
  if (array.choice)
    total = context.add(total, initialFromStates(array));
  for (Array *reader : infos[&array].readers) {
    if (!infos[reader].isActive())
      continue;
    Expr more = array.choice     ? initialFromReader(*reader, array)
                : reader->choice ? fromChoice(*reader, array)
                                 : fromReader(*reader, array);
    total = context.add(total, more);
  }
  if (Cycle *cycle = infos[&array].cycle)
    for (Carry &carry : cycle->carries)
      if (carry.of == &array)
        total = context.add(total, readCarry(carry));
  return total;
}
