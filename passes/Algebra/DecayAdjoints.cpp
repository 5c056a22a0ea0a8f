//===- DecayAdjoints.cpp - Adjoints of the logarithms of decays -----------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The adjoint of a decay contracts two histories, the state's and its
// adjoint's:
//
//   S[t, d, e]  = a[t, d] S[t-1, d, e] + w[t, d, e]
//   a.grad[t, d] = sum over e of S.grad[t, d, e] S[t-1, d, e]
//
// With S.grad[t] = r[t] + S.carry[t+1] and S.carry[t] = a[t] S.grad[t] + y[t],
// where r are reads of S[t] and y other reads of S[t-1], that of its logarithm
// is a sum of what enters and leaves the state, in which each term contracts
// one history:
//
//   log(a).grad[t] = a[t] sum over e of S.grad[t] S[t-1]
//                  = n[t] - sum over e of y[t] S[t-1]
//   n[t]           = n[t+1] + sum over e of r[t] S[t] - S.grad[t] w[t]
//                                                     + y[t] S[t-1]
//
// with n[T] = sum over e of S.final.grad S.final. Nothing is divided by a.
//
//===----------------------------------------------------------------------===//

#include "passes/Algebra/Adjoints.h"
#include "passes/Algebra/Linear.h"
#include "llvm/ADT/EquivalenceClasses.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::algebra;

using Variables = SmallVector<const Variable *>;

static bool usesVariable(Expr expr, const Variable *variable) {
  return contains(expr, [&](Expr node) {
    return node->kind == Kind::Variable && node->variable == variable;
  });
}

/// Sets of `variables` such that each factor uses those of one set only.
static std::vector<Variables>
splitFactors(ArrayRef<Expr> factors, ArrayRef<const Variable *> variables) {
  llvm::EquivalenceClasses<const Variable *> classes;
  for (const Variable *each : variables)
    classes.insert(each);
  for (Expr factor : factors) {
    const Variable *first = nullptr;
    for (const Variable *each : variables)
      if (usesVariable(factor, each))
        first ? (void)classes.unionSets(first, each) : (void)(first = each);
  }
  std::vector<Variables> sets;
  llvm::DenseMap<const Variable *, unsigned> position;
  for (const Variable *each : variables) {
    const Variable *leader = classes.getLeaderValue(each);
    auto [it, isNew] = position.try_emplace(leader, sets.size());
    if (isNew)
      sets.emplace_back();
    sets[it->second].push_back(each);
  }
  return sets;
}

//===----------------------------------------------------------------------===//
// Decays
//===----------------------------------------------------------------------===//

/// 1 in a recurrence that runs forwards, -1 in one from the end.
static int64_t stepOf(Array &state) {
  return RecurrenceOp(state.recurrence).getReversed()[0] ? -1 : 1;
}

/// The subscripts of the step before.
SmallVector<Expr> Adjoints::stepBefore(Array &state) {
  SmallVector<Expr> own = indexExprs(context, state.variables);
  Expr &along = own[state.firstAlong()];
  along = index("arith.subi", along, context.integer(stepOf(state)));
  return own;
}

/// Whether readers in the recurrence read the state at their own step or the
/// one before it.
bool Adjoints::isReadNearby(Array &state) {
  for (Array &reader : arrays.getArrays()) {
    if (reader.recurrence != state.recurrence || !reader.definition)
      continue;
    const Variable *own = reader.variables[reader.firstAlong()];
    bool isNear = true;
    walk(reader.definition, [&](Expr node) {
      if (node->kind != Kind::Read || arrays.find(node->value) != &state)
        return;
      auto [base, lag] = takeLag(node->subscripts()[state.firstAlong()]);
      isNear &= base == own && (lag == 0 || lag == stepOf(state));
    });
    if (!isNear)
      return false;
  }
  return true;
}

/// `expr` with the definitions of pointwise equations, those outside of
/// recurrences or locals of one, in the place of reads of them.
Expr Adjoints::inlinePointwise(Expr expr, RecurrenceOp of) {
  return context.replaceReads(expr, [&](Expr read) {
    Array *source = arrays.find(read->value);
    if (!source || !source->definition || source->initial ||
        source->recurrence != of || read->fallback ||
        contains(source->definition, [](Expr node) {
          return node->kind == Kind::Reduce || node->isGather();
        }))
      return read;
    llvm::DenseMap<Expr, Expr> here;
    for (auto [variable, subscript] :
         llvm::zip_equal(source->variables, read->subscripts())) {
      Value extent = extentOf(subscript);
      if (subscript->kind != Kind::Variable ||
          !isSameExtent(extent, variable->upper))
        return read;
      here[context.variable(variable)] = subscript;
    }
    return context.substitute(source->definition, here);
  });
}

/// Splits the decay off the definition of a state that has one.
void Adjoints::findDecay(Array &state) {
  if (state.numAlong() != 1 || !state.isReal() || !state.definition ||
      !isReadNearby(state))
    return;
  SmallVector<Expr> own = indexExprs(context, state.variables);
  auto isPast = [&](Expr node) {
    if (node->kind != Kind::Read || arrays.find(node->value) != &state)
      return false;
    return state.withoutAlong(node->subscripts()) ==
           state.withoutAlong(ArrayRef<Expr>(own));
  };
  // A local may hold the decayed state, P = a * S[t-1].
  Expr definition = state.definition;
  if (!contains(definition, isPast))
    definition = inlinePointwise(definition, state.recurrence);
  std::optional<Affine> affine = linearize(context, definition, isPast);
  if (!affine || affine->terms.size() != 1 ||
      !affine->terms[0].variables.empty())
    return;
  Expr factor = affine->terms[0].coefficient;
  Expr logOfFactor = logarithm(context, factor);
  for (unsigned depth = 0; !logOfFactor && depth < 4; ++depth) {
    factor = inlinePointwise(factor, RecurrenceOp());
    logOfFactor = logarithm(context, factor);
  }
  bool isOfStates = contains(factor, [&](Expr node) {
    Array *source =
        node->kind == Kind::Read ? arrays.find(node->value) : nullptr;
    return source && source->recurrence == state.recurrence;
  });
  if (!logOfFactor || isOfStates)
    return;
  // Batch dims, the step, and the dims that the decay uses.
  unsigned numOuter = state.firstAlong() + 1;
  ArrayRef<const Variable *> variables(state.variables);
  Variables kept(variables.take_front(numOuter)), summed;
  for (const Variable *each : variables.drop_front(numOuter))
    (usesVariable(factor, each) ? kept : summed).push_back(each);
  if (summed.empty())
    return;
  // Elements that are written one by one are as easily contracted as they are.
  for (Expr summand : summands(context, affine->constant))
    if (splitFactors(factors(context, summand), variables.drop_front(numOuter))
            .size() < 2)
      return;

  decays.emplace_back();
  Decay &decay = decays.back();
  decay.state = &state;
  decay.rest = affine->constant;
  decay.summed = summed;
  Array &abbreviation =
      arrays.add(state.name + ".decay", state.loc, state.type, kept);
  abbreviation.definition = affine->terms[0].coefficient;
  abbreviation.isAbbreviation = true;
  decay.logarithm =
      &arrays.add(state.name + ".decay.log", state.loc, state.type, kept);
  decay.logarithm->definition = logOfFactor;
  Expr value = context.read(abbreviation.value, indexExprs(context, kept),
                            Value(), {}, state.type);
  state.definition =
      context.add(context.mul(value, affine->terms[0].read), decay.rest);
  infos[&state].decay = infos[decay.logarithm].decay = &decay;
}

void Adjoints::findDecays() {
  SmallVector<Array *> states;
  for (Array &array : arrays.getArrays())
    if (array.initial)
      states.push_back(&array);
  for (Array *state : states)
    findDecay(*state);
}

//===----------------------------------------------------------------------===//
// Adjoints of logarithms
//===----------------------------------------------------------------------===//

/// The sum over `summed` of weight * history, where the weight is a sum of
/// products: each contracts the history over the dims of one factor, and what
/// is left over others. Factors that hold gradients go first, as gradients
/// with respect to the others contract the history in this way, too.
Expr Adjoints::contract(Expr weight, Expr history, Array &state,
                        ArrayRef<const Variable *> summed) {
  ArrayRef<const Variable *> dims(state.variables);
  dims = dims.drop_front(state.firstAlong() + 1);
  auto isSummed = [&](const Variable *each) {
    return llvm::is_contained(summed, each);
  };
  Expr total = zero(weight->type);
  for (Expr summand : summands(context, resolveSums(context, weight))) {
    SmallVector<Expr> list = factors(context, summand);
    std::vector<Variables> sets = splitFactors(list, dims);
    auto usesSet = [&](Expr factor, ArrayRef<const Variable *> set) {
      return llvm::any_of(set, [&](const Variable *each) {
        return usesVariable(factor, each);
      });
    };
    const Variables *first = nullptr;
    bool holdsAny = false;
    for (const Variables &set : sets) {
      if (!llvm::all_of(set, isSummed))
        continue;
      bool holdsGradient = llvm::any_of(list, [&](Expr factor) {
        return usesSet(factor, set) && contains(factor, [&](Expr node) {
                 return node->kind == Kind::Read && isGradient(node->value);
               });
      });
      if (holdsGradient || !holdsAny)
        first = &set;
      holdsAny |= holdsGradient;
    }
    // In the order in which derivatives have them, so that equal ones are seen.
    SmallVector<Expr> inner, outer;
    list.insert(isGradient(history->value) ? list.end() : list.begin(),
                history);
    Variables innerSum, outerSum;
    for (Expr factor : list) {
      bool isOuter = first && factor != history && !usesSet(factor, *first) &&
                     usesSet(factor, dims);
      (isOuter ? outer : inner).push_back(factor);
    }
    for (const Variable *each : summed)
      (!first || llvm::is_contained(*first, each) ? innerSum : outerSum)
          .push_back(each);
    Expr sum = context.reduce(Combiner::Sum, innerSum,
                              product(context, inner, weight->type), nullptr);
    outer.push_back(sum);
    Expr both = product(context, outer, weight->type);
    if (!outerSum.empty())
      both = context.reduce(Combiner::Sum, outerSum, both, nullptr);
    total = context.add(total, both);
  }
  return total;
}

/// Whether a tensor is an adjoint or the gradient of a result.
bool Adjoints::isGradient(Value value) {
  Array *array = arrays.find(value);
  return array && (adjointOf.contains(array) ||
                   llvm::is_contained(gradients, array->value));
}

/// n, by which log(a).grad[t] = z[t] + n[t+1].
Value Adjoints::emitBalance(Decay &decay, Expr change) {
  Array &state = *decay.state;
  RecurrenceOp forward = state.recurrence;
  std::string name = decay.logarithm->name + ".grad.sum";
  Variables kept(decay.logarithm->variables);
  Variables rest =
      state.withoutAlong(ArrayRef<const Variable *>(state.variables));
  Variables keptRest = kept;
  keptRest.erase(keptRest.begin() + state.firstAlong());
  Expr end = zero(state.type);
  if (Value gradient = infos[&state].finalGradient) {
    SmallVector<Expr> own = indexExprs(context, rest);
    end = context.reduce(
        Combiner::Sum, decay.summed,
        context.mul(context.read(gradient, own, Value(), {}, state.type),
                    context.read(state.final, own, Value(), {}, state.type)),
        nullptr);
  }
  Value initial =
      emit(builder, name + ".initial", state.loc, state.type, end, keptRest);
  Value step = emit(builder, name + ".step", state.loc, state.type,
                    resolve(change), kept);

  auto op = RecurrenceOp::create(
      builder, state.loc, TypeRange{step.getType(), initial.getType()},
      forward.getSizes(), initial,
      builder.getArrayAttr({builder.getStringAttr(name)}),
      builder.getDenseBoolArrayAttr({!forward.getReversed()[0]}),
      builder.getI64IntegerAttr(forward.getBatch()));
  Block *block = &op.getBody().emplaceBlock();
  block->addArgument(builder.getIndexType(), state.loc);
  block->addArgument(step.getType(), state.loc);
  const Variable *along = kept[state.firstAlong()];
  SmallVector<Expr> here = indexExprs(context, kept), next(here);
  next[state.firstAlong()] = index("arith.addi", next[state.firstAlong()],
                                   context.integer(stepOf(state)));
  Expr definition =
      context.add(context.read(op.getPast(0), next, initial,
                               indexExprs(context, keptRest), state.type),
                  context.read(step, here, Value(), {}, state.type));
  OpBuilder inner = OpBuilder::atBlockEnd(block);
  Value slice =
      emit(inner, name, state.loc, state.type, definition, keptRest,
           {{context.variable(along), context.leaf(op.getAlongIndices()[0])}});
  YieldOp::create(inner, state.loc, slice);
  return op.getHistory(0);
}

/// log(a).grad at its variables.
Expr Adjoints::defineDecayAdjoint(Decay &decay) {
  Array &state = *decay.state;
  SmallVector<Expr> own = indexExprs(context, state.variables);
  SmallVector<Expr> rest = state.withoutAlong(ArrayRef<Expr>(own));
  auto at = [&](Value tensor, ArrayRef<Expr> subscripts) {
    return context.read(tensor, subscripts, Value(), {}, state.type);
  };
  Expr reads = seed(state);
  for (Array *reader : infos[&state].readers)
    if (infos[reader].isActive() && !reader->choice)
      reads = context.add(reads, fromReader(*reader, state));
  Expr others = zero(state.type);
  for (Carry &carry : infos[&state].cycle->carries)
    if (carry.of == &state)
      others = context.add(others, defineCarry(carry, /*withDecay=*/false));
  auto sum = [&](Expr weight, Expr history) {
    return contract(weight, history, state, decay.summed);
  };
  Expr written = sum(decay.rest, at(infos[&state].adjoint->value, own));
  Expr here = context.sub(sum(reads, at(state.value, own)), written);
  Expr past = context.read(state.value, stepBefore(state), state.initial, rest,
                           state.type);
  Expr before = sum(others, past);
  Value balance = emitBalance(decay, context.add(here, before));
  return context.sub(
      at(balance, indexExprs(context, decay.logarithm->variables)), before);
}
