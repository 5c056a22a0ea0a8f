//===- AdjointEquations.cpp - Equations and recurrences of adjoints -------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Makes equations of what adjoints say (Adjoints.cpp), each one after those
// that it reads.
//
//===----------------------------------------------------------------------===//

#include "passes/Algebra/Adjoints.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::algebra;

static Type elementType(Type scalar) {
  return scalar.isIndex() ? IntegerType::get(scalar.getContext(), 64) : scalar;
}

static Type historyType(const Array &array) {
  SmallVector<int64_t> dims(array.variables.size(), ShapedType::kDynamic);
  return RankedTensorType::get(dims, elementType(array.type));
}

/// An equation over `variables` that says what `definition` says, a reduction
/// if it is one.
Value Adjoints::emit(OpBuilder &at, const Twine &name, Location loc,
                     Type element, Expr definition,
                     ArrayRef<const Variable *> variables,
                     const llvm::DenseMap<Expr, Expr> &bindings) {
  SmallVector<Value> sizes, lowers, uppers;
  for (const Variable *variable : variables)
    sizes.push_back(variable->upper);
  std::optional<Combiner> combiner;
  ArrayRef<const Variable *> reduced;
  if (definition->kind == Kind::Reduce) {
    combiner = definition->combiner;
    reduced = definition->variables;
  }
  for (const Variable *variable : reduced) {
    lowers.push_back(variable->lower);
    uppers.push_back(variable->upper);
  }
  auto equation = EquationOp::create(at, loc, name.str(), elementType(element),
                                     sizes, lowers, uppers, combiner);
  llvm::DenseMap<Expr, Expr> here(bindings);
  for (auto [variable, argument] :
       llvm::zip_equal(variables, equation.getParallelIndices()))
    here[context.variable(variable)] = context.leaf(argument);
  for (auto [variable, argument] :
       llvm::zip_equal(reduced, equation.getReductionIndices()))
    here[context.variable(variable)] = context.leaf(argument);
  OpBuilder inner = OpBuilder::atBlockEnd(&equation.getBlock());
  Exporter exporter(equation);
  auto put = [&](Expr expr) {
    return exporter.emit(inner, context.substitute(expr, here));
  };
  if (!combiner) {
    YieldOp::create(inner, loc, put(definition));
    return equation.getResult();
  }
  Value value = put(definition->args[0]);
  Value filter = definition->args[1] ? put(definition->args[1]) : Value();
  YieldOp::create(inner, loc, value, filter);
  return equation.getResult();
}

Value Adjoints::emitConstant(const Twine &name, double number, Type type,
                             ArrayRef<const Variable *> variables) {
  return emit(builder, name, kernel.getLoc(), type, context.real(number, type),
              variables);
}

/// What `read` reads, as the array's definition says it.
Expr Adjoints::readDefinition(Array &array, Expr read) {
  llvm::DenseMap<Expr, Expr> here;
  for (auto [variable, subscript] :
       llvm::zip_equal(array.variables, read->subscripts()))
    here[context.variable(variable)] = subscript;
  return context.substitute(array.definition, here);
}

/// Reads of stand-ins become reads of what they stand for, which is computed
/// now; without what belongs to the cycle `except`.
Expr Adjoints::resolve(Expr expr, Cycle *except) {
  return context.replaceReads(expr, [&](Expr read) {
    Array *array = arrays.find(read->value);
    if (!array || array->real == array->value)
      return read;
    if (array->isAbbreviation)
      return resolve(readDefinition(*array, read), except);
    if (except) {
      Array *of = adjointOf.lookup(array);
      if (carriesOf.lookup(array) == except ||
          (of && infos[of].cycle == except))
        return read;
    }
    // What reads the same points of something else is no equation of its own.
    Array *of = adjointOf.lookup(array);
    if (of && !infos[of].cycle) {
      if (!array->definition)
        array->definition = defineAdjoint(*of);
      Expr definition = array->definition;
      if (!array->real && definition->kind == Kind::Read &&
          !definition->fallback &&
          llvm::all_of(definition->args, [](Expr subscript) {
            return subscript->kind == Kind::Variable;
          }))
        return resolve(readDefinition(*array, read), except);
    }
    ArrayRef<Expr> rest =
        ArrayRef(read->args).drop_front(read->subscripts().size());
    return context.read(materialize(*array), read->subscripts(), read->fallback,
                        rest, read->type, read->attributes);
  });
}

Value Adjoints::materialize(Array &array) {
  if (array.real)
    return array.real;
  if (Cycle *cycle = carriesOf.lookup(&array)) {
    emitCycle(*cycle);
    return array.real;
  }
  if (Array *of = adjointOf.lookup(&array)) {
    Cycle *cycle = infos[of].cycle;
    if (cycle && !cycle->isEmitted) {
      emitCycle(*cycle);
      if (array.real)
        return array.real;
    }
    if (!array.definition)
      array.definition = defineAdjoint(*of);
  }
  Expr definition = resolve(array.definition);
  return array.real = emit(builder, array.name, array.loc, array.type,
                           definition, array.variables);
}

/// Whether what defines `array`, or its adjoint, reads another array of the
/// same recurrence at its own step.
bool Adjoints::isAtStep(Array &array, Expr read) {
  ArrayRef<const Variable *> variables(array.variables);
  unsigned first = array.firstAlong();
  for (auto [k, variable] : llvm::enumerate(array.along(variables)))
    if (read->subscripts()[first + k] != context.variable(variable))
      return false;
  return true;
}

/// Adjoints of a cycle, each after those that it reads at its own step.
SmallVector<Array *> Adjoints::orderMembers(Cycle &cycle) {
  llvm::SetVector<Array *> done;
  std::function<void(Array *)> visit = [&](Array *array) {
    if (done.contains(array))
      return;
    walk(infos[array].adjoint->definition, [&](Expr node) {
      Array *read =
          node->kind == Kind::Read ? arrays.find(node->value) : nullptr;
      Array *of = read ? adjointOf.lookup(read) : nullptr;
      if (of && infos[of].cycle == &cycle && isAtStep(*array, node))
        visit(of);
    });
    done.insert(array);
  };
  for (Array *array : cycle.members)
    visit(array);
  return SmallVector<Array *>(done.begin(), done.end());
}

static bool hasReduction(Expr expr) {
  bool found = false;
  walk(expr, [&](Expr node) { found |= node->kind == Kind::Reduce; });
  return found;
}

/// One recurrence: carries are its states; adjoints are equations of its
/// region, and locals if they are sums that are needed outside.
void Adjoints::emitCycle(Cycle &cycle) {
  cycle.isEmitted = true;
  RecurrenceOp forward = cycle.members.front()->recurrence;
  SmallVector<Array *> locals;
  for (Array *member : cycle.members) {
    Array *adjoint = infos[member].adjoint;
    adjoint->definition = defineAdjoint(*member);
    bool isNeeded = llvm::any_of(infos[member].sources, [&](Array *source) {
      return infos[source].isActive() && infos[source].cycle != &cycle;
    });
    if (cycle.shifted.contains(member) ||
        (isNeeded && hasReduction(adjoint->definition)))
      locals.push_back(member);
  }
  for (Carry &carry : cycle.carries)
    carry.array->definition = defineCarry(carry);
  // What is computed before the recurrence.
  SmallVector<Expr> adjoints, carries;
  SmallVector<Array *> order = orderMembers(cycle);
  for (Array *member : order)
    adjoints.push_back(resolve(infos[member].adjoint->definition, &cycle));
  for (Carry &carry : cycle.carries)
    carries.push_back(resolve(carry.array->definition, &cycle));

  SmallVector<Type> histories, finals;
  SmallVector<Attribute> names;
  SmallVector<Value> initials;
  for (Carry &carry : cycle.carries) {
    histories.push_back(historyType(*carry.array));
    finals.push_back(historyType(*carry.final));
    names.push_back(builder.getStringAttr(carry.array->name));
    initials.push_back(carry.initial);
  }
  for (Array *local : locals) {
    histories.push_back(historyType(*local));
    names.push_back(builder.getStringAttr(infos[local].adjoint->name));
  }
  SmallVector<Type> results(histories);
  llvm::append_range(results, finals);
  SmallVector<bool> reversed;
  for (bool each : forward.getReversed())
    reversed.push_back(!each);
  auto op = RecurrenceOp::create(
      builder, forward.getLoc(), results, forward.getSizes(), initials,
      builder.getArrayAttr(names), builder.getDenseBoolArrayAttr(reversed),
      builder.getI64IntegerAttr(forward.getBatch()));
  SmallVector<Type> types(forward.getNumAlong(), builder.getIndexType());
  llvm::append_range(types, histories);
  Block *block = &op.getBody().emplaceBlock();
  for (Type type : types)
    block->addArgument(type, forward.getLoc());

  llvm::DenseMap<Array *, Value> slices, pasts;
  for (auto [i, carry] : llvm::enumerate(cycle.carries))
    pasts[carry.array] = op.getPast(i);
  for (auto [i, local] : llvm::enumerate(locals))
    pasts[infos[local].adjoint] = op.getPast(cycle.carries.size() + i);
  OpBuilder inner = OpBuilder::atBlockEnd(block);
  auto emitStep = [&](Array &array, Expr definition) {
    ArrayRef<const Variable *> variables(array.variables);
    auto along = variables.slice(forward.getBatch(), forward.getNumAlong());
    SmallVector<const Variable *> rest(
        variables.take_front(forward.getBatch()));
    llvm::append_range(
        rest, variables.drop_front(forward.getBatch() + forward.getNumAlong()));
    SmallVector<Expr> step = indexExprs(context, along);
    llvm::DenseMap<Expr, Expr> bindings;
    for (auto [variable, index] : llvm::zip_equal(along, op.getAlongIndices()))
      bindings[context.variable(variable)] = context.leaf(index);
    Expr local = context.replaceReads(definition, [&](Expr read) {
      Array *source = arrays.find(read->value);
      if (!source)
        return read;
      ArrayRef<Expr> subscripts = read->subscripts();
      Value slice = slices.lookup(source);
      if (slice && subscripts.slice(forward.getBatch(), step.size()) ==
                       ArrayRef<Expr>(step)) {
        SmallVector<Expr> here(subscripts);
        here.erase(here.begin() + forward.getBatch(),
                   here.begin() + forward.getBatch() + step.size());
        return context.read(slice, here, Value(), {}, read->type);
      }
      if (Value past = pasts.lookup(source))
        return context.read(past, subscripts, read->fallback,
                            ArrayRef(read->args).drop_front(subscripts.size()),
                            read->type);
      return read;
    });
    return emit(inner, array.name, array.loc, array.type, local, rest,
                bindings);
  };
  for (auto [member, definition] : llvm::zip_equal(order, adjoints)) {
    Array *adjoint = infos[member].adjoint;
    slices[adjoint] = emitStep(*adjoint, definition);
  }
  SmallVector<Value> yielded;
  for (auto [carry, definition] : llvm::zip_equal(cycle.carries, carries))
    yielded.push_back(emitStep(*carry.array, definition));
  for (Array *local : locals)
    yielded.push_back(slices[infos[local].adjoint]);
  YieldOp::create(inner, forward.getLoc(), yielded);
  for (auto [i, carry] : llvm::enumerate(cycle.carries)) {
    carry.array->real = op.getHistory(i);
    carry.final->real = op.getFinal(i);
  }
  for (auto [i, local] : llvm::enumerate(locals))
    infos[local].adjoint->real = op.getHistory(cycle.carries.size() + i);
}

Value Adjoints::emitGradient(Array &input, ArrayRef<int64_t> dims,
                             StringRef name, Type element) {
  SmallVector<const Variable *> variables;
  for (int64_t dim : dims)
    variables.push_back(input.variables[dim]);
  Expr definition = zero(input.type);
  if (infos[&input].isActive())
    definition = resolve(defineAdjoint(input));
  if (hasFailed)
    return Value();
  Type type = definition->type;
  if (element.isF64() && !type.isF64()) {
    type = element;
    definition = context.apply("arith.extf", {definition}, type);
  }
  return emit(builder, name, input.loc, type, definition, variables);
}
