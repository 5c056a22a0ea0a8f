//===- Newton.cpp - Recurrences solved by Newton's method -----------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Forms/Newton.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "passes/Analysis/Structure.h"
#include <limits>

using namespace mlir;
using namespace rondo;
using namespace rondo::algebra;

//===----------------------------------------------------------------------===//
// Structure
//===----------------------------------------------------------------------===//

/// A local that is used outside, in terms of the pasts of states; false with
/// the reason if it has another past.
static bool findLocal(Context &context, RecurrenceOp op, unsigned member,
                      NewtonStructure &structure, std::string &reason) {
  auto equation = op.getSlice(member).getDefiningOp<EquationOp>();
  if (!equation || equation->getParentOp() != op) {
    reason = "'" + op.getName(member).str() + "' is not one equation";
    return false;
  }
  Expr value = analysis::inlineSlice(context, op, equation.getResult());
  walk(value, [&](Expr node) {
    Value inner = node->kind == Kind::Value || node->kind == Kind::Read
                      ? node->value
                      : Value();
    if (!inner)
      return;
    auto argument = dyn_cast<BlockArgument>(inner);
    if (!argument) {
      if (op->isAncestor(inner.getDefiningOp()))
        reason = "'" + op.getName(member).str() +
                 "' reads at a place that is known at the step only";
      return;
    }
    bool isPast = node->kind == Kind::Read &&
                  argument.getOwner() == &op.getBlock();
    if (isPast &&
        argument.getArgNumber() >= op.getNumAlong() + op.getNumStates())
      reason = "the past of '" +
               op.getName(argument.getArgNumber() - op.getNumAlong()).str() +
               "', which is not a state, is read";
  });
  structure.locals.push_back({member, equation, value});
  return reason.empty();
}

std::optional<NewtonStructure>
rondo::findNewtonStructure(Context &context, RecurrenceOp op,
                           std::string &reason) {
  using analysis::JacobianKind;
  NewtonStructure structure{op, analysis::findJacobian(context, op), {}};
  const analysis::Jacobian &jacobian = structure.jacobian;
  reason.clear();
  if (!isa<KernelOp>(op->getParentOp()))
    reason = "it runs within a step of another recurrence";
  else if (op.getBatch() !=
           cast<KernelOp>(op->getParentOp()).getBatch().size())
    reason = "its batch dims are not those of the kernel";
  else if (analysis::gathersOwn(op))
    reason = "it is read at places that data gives while it is computed";
  else if (jacobian.kind == JacobianKind::None)
    reason = jacobian.reason;
  else if (jacobian.kind == JacobianKind::Dense ||
           jacobian.kind == JacobianKind::BlockDiagonal)
    reason = "the step mixes elements of the state, so a linearised step is a "
             "product with a dense matrix";
  else if (analysis::analyze(context, op).kind !=
           Transition::Nonlinear &&
           jacobian.blockSize == 1)
    reason = "the step is linear or a maximum, so there is nothing to iterate";
  for (unsigned i = op.getNumStates(); i < op.getNumMembers(); ++i)
    if (reason.empty() && !op.getHistory(i).use_empty())
      findLocal(context, op, i, structure, reason);
  if (!reason.empty())
    return std::nullopt;
  return structure;
}

//===----------------------------------------------------------------------===//
// Emission
//===----------------------------------------------------------------------===//

namespace {

using Exprs = SmallVector<Expr>;

/// Units of rounding within which a step of the result is what the step makes
/// of the one before. Evaluating a cell costs a few of them itself.
constexpr double roundings = 8;

class NewtonEmitter {
public:
  NewtonEmitter(Context &context, NewtonStructure &structure,
                NewtonParameters parameters)
      : context(context), structure(structure), jacobian(structure.jacobian),
        parameters(parameters), op(structure.recurrence), builder(op),
        loc(op.getLoc()), type(jacobian.values[0]->type),
        index(builder.getIndexType()), numBatch(op.getBatch()),
        numStates(op.getNumStates()) {}

  void run();

private:
  using Body = llvm::function_ref<Expr(ArrayRef<Expr>)>;
  /// A term of a state, at a step r of the window: given its own indices.
  using Past = llvm::function_ref<Expr(unsigned state, ArrayRef<Expr> batch,
                                       Expr r, ArrayRef<Expr> rest)>;

  Value equation(OpBuilder &at, const Twine &suffix, ValueRange sizes,
                 Body body);
  RecurrenceOp createRecurrence(OpBuilder &at, Value size,
                                ArrayRef<std::string> names,
                                ArrayRef<Type> types, ValueRange initials);
  Expr read(Value tensor, ArrayRef<Expr> subscripts) {
    return context.read(tensor, subscripts, {}, {}, type);
  }
  Expr real(double number) { return context.real(number, type); }
  Expr previous(Expr e) { return sub(e, context.integer(1)); }
  Expr add(Expr a, Expr b) {
    return context.apply("arith.addi", {a, b}, index);
  }
  Expr sub(Expr a, Expr b) {
    return context.apply("arith.subi", {a, b}, index);
  }
  Expr maximum(Expr a, Expr b) {
    return context.apply("arith.maximumf", {a, b}, type);
  }
  Expr absolute(Expr a) { return context.apply("math.absf", a, type); }
  static Exprs concat(std::initializer_list<ArrayRef<Expr>> parts) {
    Exprs all;
    for (ArrayRef<Expr> part : parts)
      llvm::append_range(all, part);
    return all;
  }
  std::string name(unsigned state, const Twine &suffix) {
    return (op.getName(state) + "." + suffix).str();
  }
  Type tensorType(unsigned rank) {
    return RankedTensorType::get(
        SmallVector<int64_t>(rank, ShapedType::kDynamic), type);
  }

  Expr stepOf(Expr r);
  Expr isValid(Expr r);
  Expr atStep(Expr expr, ArrayRef<Expr> batch, Expr r, ArrayRef<Expr> rest,
              Past past);
  Expr newValue(unsigned state, ArrayRef<Expr> batch, Expr r,
                ArrayRef<Expr> rest, Past past);
  Expr start(unsigned state, ArrayRef<Expr> batch, ArrayRef<Expr> rest) {
    return read(starts[state], concat({batch, rest}));
  }
  Expr before(Value tensor, unsigned state, ArrayRef<Expr> batch, Expr r,
              ArrayRef<Expr> rest) {
    return context.select(context.equal(r, context.integer(0)),
                          start(state, batch, rest),
                          read(tensor, concat({batch, {previous(r)}, rest})));
  }
  void emitGuesses(OpBuilder &at);
  void emitBody(IterateOp iterate);
  /// Row i: the factors of d_j in d_i; null for 0.
  using Factors = SmallVector<SmallVector<Value>>;
  SmallVector<Value> emitCorrections(OpBuilder &at, ArrayRef<Value> defects,
                                     const Factors &factors);
  Value emitResidual(OpBuilder &at, ArrayRef<Value> defects,
                     ValueRange tensors);
  void emitOtherwise(IterateOp iterate);
  void emitWindows();
  void emitHistories();
  void returnCount(Value count);
  std::pair<Expr, Expr> windowOf(Expr time);

  Context &context;
  NewtonStructure &structure;
  analysis::Jacobian &jacobian;
  NewtonParameters parameters;
  RecurrenceOp op;
  OpBuilder builder;
  Location loc;
  Type type, index;
  unsigned numBatch, numStates;

  Value zero, length, windowSize, numWindows;
  SmallVector<Value> batchSizes, restSizes;
  SmallVector<Value> sliceSizes;  // [batch.., rest..]
  SmallVector<Value> windowSizes; // [batch.., r, rest..]
  Expr window = nullptr;          // the number of the window
  SmallVector<Value> starts, guesses;
  SmallVector<Value> windows; // histories [batch.., c, r, rest..]
};

//===----------------------------------------------------------------------===//
// Building blocks
//===----------------------------------------------------------------------===//

Value NewtonEmitter::equation(OpBuilder &at, const Twine &suffix,
                              ValueRange sizes, Body body) {
  return emitEquation(context, at, loc, suffix, type, sizes, body);
}

/// A recurrence with an empty region. `types` are those of the histories.
RecurrenceOp NewtonEmitter::createRecurrence(OpBuilder &at, Value size,
                                             ArrayRef<std::string> names,
                                             ArrayRef<Type> types,
                                             ValueRange initials) {
  SmallVector<Type> results(types);
  llvm::append_range(results, initials.getTypes());
  SmallVector<Attribute> nameAttrs;
  for (const std::string &each : names)
    nameAttrs.push_back(builder.getStringAttr(each));
  auto created = RecurrenceOp::create(
      at, loc, results, ValueRange(size), initials,
      builder.getArrayAttr(nameAttrs), builder.getDenseBoolArrayAttr({false}),
      builder.getI64IntegerAttr(numBatch));
  SmallVector<Type> arguments{index};
  llvm::append_range(arguments, types);
  OpBuilder::InsertionGuard guard(at);
  at.createBlock(&created.getBody(), {}, arguments,
                 SmallVector<Location>(arguments.size(), loc));
  return created;
}

/// Step r of the window, counted in the direction of the recurrence.
Expr NewtonEmitter::stepOf(Expr r) {
  Expr first = context.apply(
      "arith.muli", {window, context.integer(parameters.window)}, index);
  return add(first, r);
}

Expr NewtonEmitter::isValid(Expr r) {
  return context.compareIndex(static_cast<int64_t>(arith::CmpIPredicate::slt),
                              stepOf(r), context.leaf(length));
}

/// `expr` over the leaves of the Jacobian, at step r of the window.
Expr NewtonEmitter::atStep(Expr expr, ArrayRef<Expr> batch, Expr r,
                           ArrayRef<Expr> rest, Past past) {
  Expr time = context.stepFor(expr, stepOf(r), length);
  if (jacobian.reversed)
    time = sub(previous(context.leaf(length)), time);
  llvm::DenseMap<Expr, Expr> here{
      {context.leaf(op.getAlongIndices()[0]), time}};
  for (auto [leaf, value] :
       llvm::zip_equal(jacobian.indices, concat({batch, rest})))
    here[leaf] = value;
  for (unsigned j = 0; j < numStates; ++j)
    if (jacobian.pasts[j])
      here[jacobian.pasts[j]] = past(j, batch, r, rest);
  return context.substitute(expr, here);
}

/// f of a state, the old value behind the end.
Expr NewtonEmitter::newValue(unsigned state, ArrayRef<Expr> batch, Expr r,
                             ArrayRef<Expr> rest, Past past) {
  return context.select(
      isValid(r), atStep(jacobian.values[state], batch, r, rest, past),
      past(state, batch, r, rest));
}

//===----------------------------------------------------------------------===//
// A window
//===----------------------------------------------------------------------===//

/// f at the state that the window starts from.
void NewtonEmitter::emitGuesses(OpBuilder &at) {
  auto past = [&](unsigned j, ArrayRef<Expr> batch, Expr, ArrayRef<Expr> rest) {
    return start(j, batch, rest);
  };
  for (unsigned i = 0; i < numStates; ++i)
    guesses.push_back(
        equation(at, name(i, "guess"), windowSizes, [&](ArrayRef<Expr> p) {
          return newValue(i, p.take_front(numBatch), p[numBatch],
                          p.drop_front(numBatch + 1), past);
        }));
}

/// d_i[r] = e_i[r] + sum over j of J_ij[r] d_j[r-1], d = 0 before the window.
SmallVector<Value>
NewtonEmitter::emitCorrections(OpBuilder &at, ArrayRef<Value> defects,
                               const Factors &factors) {
  SmallVector<std::string> names;
  for (unsigned i = 0; i < numStates; ++i)
    names.push_back(name(i, "correction"));
  SmallVector<Type> types(numStates, tensorType(windowSizes.size()));
  RecurrenceOp linear = createRecurrence(at, windowSize, names, types, {});
  OpBuilder inside = OpBuilder::atBlockEnd(&linear.getBlock());
  Expr r = context.leaf(linear.getAlongIndices()[0]);
  SmallVector<Value> slices;
  for (unsigned i = 0; i < numStates; ++i)
    slices.push_back(
        equation(inside, names[i], sliceSizes, [&](ArrayRef<Expr> p) {
          ArrayRef<Expr> batch = p.take_front(numBatch);
          ArrayRef<Expr> rest = p.drop_front(numBatch);
          Exprs point = concat({batch, {r}, rest});
          Exprs pointBefore = concat({batch, {previous(r)}, rest});
          Expr total = read(defects[i], point);
          for (unsigned j = 0; j < numStates; ++j)
            if (Value factor = factors[i][j])
              total = context.add(
                  total, context.mul(read(factor, point),
                                     read(linear.getPast(j), pointBefore)));
          return total;
        }));
  YieldOp::create(inside, loc, slices);
  return SmallVector<Value>(linear.getResults());
}

/// The greatest defect, relative to max(1, |x|).
Value NewtonEmitter::emitResidual(OpBuilder &at, ArrayRef<Value> defects,
                                  ValueRange tensors) {
  SmallVector<Value> extents{windowSize};
  llvm::append_range(extents, restSizes);
  SmallVector<Value> lowers(extents.size(), zero);
  auto residual = EquationOp::create(at, loc, name(0, "residual"), type,
                                     batchSizes, lowers, extents, Combiner::Max);
  Exprs point;
  for (BlockArgument each : residual.getBlock().getArguments())
    point.push_back(context.leaf(each));
  Expr greatest = nullptr;
  for (auto [defect, tensor] : llvm::zip_equal(defects, tensors)) {
    Expr scale = maximum(real(1), absolute(read(tensor, point)));
    Expr relative = context.div(absolute(read(defect, point)), scale);
    greatest = greatest ? maximum(greatest, relative) : relative;
  }
  OpBuilder inside = OpBuilder::atBlockEnd(&residual.getBlock());
  Value value = Exporter(residual).emit(inside, greatest);
  YieldOp::create(inside, loc, value);
  return residual.getResult();
}

void NewtonEmitter::emitBody(IterateOp iterate) {
  Block &block = iterate.getBody().front();
  OpBuilder at = OpBuilder::atBlockEnd(&block);
  ValueRange tensors = block.getArguments();
  auto past = [&](unsigned j, ArrayRef<Expr> batch, Expr r,
                  ArrayRef<Expr> rest) {
    return before(tensors[j], j, batch, r, rest);
  };
  SmallVector<Value> defects, next;
  Factors factors(numStates);
  for (unsigned i = 0; i < numStates; ++i)
    defects.push_back(
        equation(at, name(i, "defect"), windowSizes, [&](ArrayRef<Expr> p) {
          Expr value = newValue(i, p.take_front(numBatch), p[numBatch],
                                p.drop_front(numBatch + 1), past);
          return context.sub(value, read(tensors[i], p));
        }));
  for (unsigned i = 0; i < numStates; ++i)
    for (unsigned j = 0; j < numStates; ++j) {
      Expr derivative = jacobian.derivatives[i][j];
      Expr behind = real(i == j ? 1 : 0);
      if (i != j && derivative->isReal(0)) {
        factors[i].push_back(Value());
        continue;
      }
      factors[i].push_back(equation(
          at, name(i, "by." + op.getName(j)), windowSizes,
          [&](ArrayRef<Expr> p) {
            Expr r = p[numBatch];
            return context.select(isValid(r),
                                  atStep(derivative, p.take_front(numBatch), r,
                                         p.drop_front(numBatch + 1), past),
                                  behind);
          }));
    }
  SmallVector<Value> corrections = emitCorrections(at, defects, factors);
  for (unsigned i = 0; i < numStates; ++i)
    next.push_back(
        equation(at, name(i, "next"), windowSizes, [&](ArrayRef<Expr> p) {
          return context.add(read(tensors[i], p), read(corrections[i], p));
        }));
  next.push_back(emitResidual(at, defects, tensors));
  YieldOp::create(at, loc, next);
}

/// One step after the other.
void NewtonEmitter::emitOtherwise(IterateOp iterate) {
  OpBuilder at = OpBuilder::atBlockEnd(&iterate.getOtherwise().front());
  SmallVector<std::string> names;
  for (unsigned i = 0; i < numStates; ++i)
    names.push_back(name(i, "steps"));
  SmallVector<Type> types(numStates, tensorType(windowSizes.size()));
  RecurrenceOp steps = createRecurrence(at, windowSize, names, types, {});
  OpBuilder inside = OpBuilder::atBlockEnd(&steps.getBlock());
  Expr r = context.leaf(steps.getAlongIndices()[0]);
  auto past = [&](unsigned j, ArrayRef<Expr> batch, Expr at,
                  ArrayRef<Expr> rest) {
    return before(steps.getPast(j), j, batch, at, rest);
  };
  SmallVector<Value> slices;
  for (unsigned i = 0; i < numStates; ++i)
    slices.push_back(
        equation(inside, names[i], sliceSizes, [&](ArrayRef<Expr> p) {
          return newValue(i, p.take_front(numBatch), r,
                          p.drop_front(numBatch), past);
        }));
  YieldOp::create(inside, loc, slices);
  YieldOp::create(at, loc, SmallVector<Value>(steps.getResults()));
}

//===----------------------------------------------------------------------===//
// All windows
//===----------------------------------------------------------------------===//

void NewtonEmitter::emitWindows() {
  unsigned rank = windowSizes.size();
  SmallVector<std::string> names;
  SmallVector<Type> types;
  for (unsigned i = 0; i < numStates; ++i) {
    names.push_back(op.getName(i).str());
    types.push_back(tensorType(rank));
  }
  for (unsigned i = 0; i < numStates; ++i) {
    names.push_back(name(i, "window"));
    types.push_back(tensorType(rank + 1));
  }
  Type integers = RankedTensorType::get(
      SmallVector<int64_t>(numBatch, ShapedType::kDynamic),
      builder.getI64Type());
  if (parameters.count) {
    names.push_back(name(0, "iterations"));
    types.push_back(RankedTensorType::get(
        SmallVector<int64_t>(numBatch + 1, ShapedType::kDynamic),
        builder.getI64Type()));
  }
  RecurrenceOp along =
      createRecurrence(builder, numWindows, names, types, op.getInitials());
  OpBuilder inside = OpBuilder::atBlockEnd(&along.getBlock());
  window = context.leaf(along.getAlongIndices()[0]);
  for (unsigned i = 0; i < numStates; ++i)
    starts.push_back(
        equation(inside, name(i, "start"), sliceSizes, [&](ArrayRef<Expr> p) {
          Exprs point = concat({p.take_front(numBatch),
                                {previous(window)},
                                p.drop_front(numBatch)});
          return context.read(along.getPast(i), point, op.getInitials()[i], p,
                              type);
        }));
  emitGuesses(inside);

  double epsilon = type.isF64() ? std::numeric_limits<double>::epsilon()
                                : std::numeric_limits<float>::epsilon();
  SmallVector<Type> results(ValueRange(guesses).getTypes());
  results.push_back(integers);
  auto iterate = IterateOp::create(
      inside, loc, results, guesses,
      builder.getI64IntegerAttr(parameters.bound),
      builder.getF64FloatAttr(roundings * epsilon));
  {
    OpBuilder::InsertionGuard guard(inside);
    SmallVector<Location> locs(numStates, loc);
    inside.createBlock(&iterate.getBody(), {}, ValueRange(guesses).getTypes(),
                       locs);
    inside.createBlock(&iterate.getOtherwise());
  }
  emitBody(iterate);
  emitOtherwise(iterate);

  SmallVector<Value> slices;
  for (unsigned i = 0; i < numStates; ++i)
    slices.push_back(
        equation(inside, op.getName(i), sliceSizes, [&](ArrayRef<Expr> p) {
          Expr last = context.integer(parameters.window - 1);
          return read(iterate.getResult(i), concat({p.take_front(numBatch),
                                                    {last},
                                                    p.drop_front(numBatch)}));
        }));
  for (unsigned i = 0; i < numStates; ++i)
    slices.push_back(
        equation(inside, name(i, "window"), windowSizes,
                 [&](ArrayRef<Expr> p) { return read(iterate.getResult(i), p); }));
  if (parameters.count) {
    auto count = EquationOp::create(inside, loc, names.back(),
                                    builder.getI64Type(), batchSizes);
    OpBuilder body = OpBuilder::atBlockEnd(&count.getBlock());
    Value value =
        ReadOp::create(body, loc, index, iterate.getCount(),
                       ValueRange(count.getBlock().getArguments()));
    YieldOp::create(body, loc, value);
    slices.push_back(count.getResult());
  }
  YieldOp::create(inside, loc, slices);
  for (unsigned i = 0; i < numStates; ++i) {
    op.getFinal(i).replaceAllUsesWith(along.getFinal(i));
    windows.push_back(along.getHistory(numStates + i));
  }
  if (parameters.count && length.getDefiningOp<SizeOp>())
    returnCount(along.getHistory(2 * numStates));
}

/// The count of the window of every step as one more result of the kernel.
void NewtonEmitter::returnCount(Value count) {
  auto kernel = op->getParentOfType<KernelOp>();
  MLIRContext *mlir = builder.getContext();
  SmallVector<AffineExpr> shape;
  auto symbolOf = [&](StringRef size) {
    return getAffineSymbolExpr(kernel.getSizeIndex(size), mlir);
  };
  for (auto batch : kernel.getBatch().getAsRange<StringAttr>())
    shape.push_back(symbolOf(batch.getValue()));
  shape.push_back(symbolOf(length.getDefiningOp<SizeOp>().getName()));
  auto map = AffineMap::get(0, kernel.getSizes().size(), shape, mlir);
  SmallVector<Attribute> outputs(kernel.getOutputs().begin(),
                                 kernel.getOutputs().end());
  outputs.push_back(TensorSpecAttr::get(mlir, name(0, "iterations"),
                                        Role::Result, builder.getI64Type(), map,
                                        {}));
  kernel.setOutputsAttr(builder.getArrayAttr(outputs));
  SmallVector<Value> extents(batchSizes);
  extents.push_back(length);
  auto steps = EquationOp::create(builder, loc, name(0, "iterations"),
                                  builder.getI64Type(), extents);
  Exprs point;
  for (BlockArgument each : steps.getParallelIndices())
    point.push_back(context.leaf(each));
  point.back() = windowOf(point.back()).first;
  OpBuilder body = OpBuilder::atBlockEnd(&steps.getBlock());
  Value value = Exporter(steps).emit(
      body, context.read(count, point, {}, {}, index));
  YieldOp::create(body, loc, value);
  auto ret = cast<ReturnOp>(kernel.getBody().front().getTerminator());
  ret.getOperandsMutable().append(steps.getResult());
}

/// The window of a step at `time`, and the step's place in it.
std::pair<Expr, Expr> NewtonEmitter::windowOf(Expr time) {
  Expr step =
      jacobian.reversed ? sub(previous(context.leaf(length)), time) : time;
  Expr size = context.integer(parameters.window);
  return {context.apply("arith.floordivsi", {step, size}, index),
          context.apply("rondo.mod", {step, size}, index)};
}

/// The old histories, from those of the windows.
void NewtonEmitter::emitHistories() {
  SmallVector<Value> extents(batchSizes);
  extents.push_back(length);
  llvm::append_range(extents, restSizes);
  llvm::DenseMap<Value, Value> historyOf; // past -> history
  for (unsigned i = 0; i < numStates; ++i) {
    Value history =
        equation(builder, op.getName(i), extents, [&](ArrayRef<Expr> p) {
          auto [c, r] = windowOf(p[numBatch]);
          return read(windows[i], concat({p.take_front(numBatch),
                                          {c, r},
                                          p.drop_front(numBatch + 1)}));
        });
    op.getHistory(i).replaceAllUsesWith(history);
    historyOf[op.getPast(i)] = history;
  }
  // Locals, from the histories of the states.
  for (NewtonStructure::Local &local : structure.locals) {
    SmallVector<Value> sizes(local.equation.getSizes());
    sizes.insert(sizes.begin() + numBatch, length);
    Value history = equation(
        builder, op.getName(local.member), sizes, [&](ArrayRef<Expr> p) {
          llvm::DenseMap<Expr, Expr> here{
              {context.leaf(op.getAlongIndices()[0]), p[numBatch]}};
          Exprs own = concat(
              {p.take_front(numBatch), p.drop_front(numBatch + 1)});
          for (auto [leaf, value] :
               llvm::zip_equal(local.equation.getParallelIndices(), own))
            here[context.leaf(leaf)] = value;
          llvm::DenseMap<Expr, Expr> reads;
          walk(local.value, [&](Expr node) {
            if (node->kind != Kind::Read || !historyOf.contains(node->value))
              return;
            unsigned rank = node->subscripts().size();
            Exprs subscripts;
            for (Expr each : node->args)
              subscripts.push_back(context.substitute(each, here));
            reads[node] = context.read(
                historyOf[node->value], ArrayRef(subscripts).take_front(rank),
                node->fallback, ArrayRef(subscripts).drop_front(rank),
                node->type);
          });
          for (auto [node, read] : reads)
            here[node] = read;
          return context.substitute(local.value, here);
        });
    op.getHistory(local.member).replaceAllUsesWith(history);
  }
}

void NewtonEmitter::run() {
  zero = arith::ConstantIndexOp::create(builder, loc, 0);
  windowSize = arith::ConstantIndexOp::create(builder, loc, parameters.window);
  length = op.getSizes()[0];
  Value round =
      arith::ConstantIndexOp::create(builder, loc, parameters.window - 1);
  numWindows = builder.createOrFold<arith::FloorDivSIOp>(
      loc, builder.createOrFold<arith::AddIOp>(loc, length, round), windowSize);
  auto slice = op.getSlice(0).getDefiningOp<EquationOp>();
  llvm::append_range(sliceSizes, slice.getSizes());
  llvm::append_range(batchSizes, ArrayRef(sliceSizes).take_front(numBatch));
  llvm::append_range(restSizes, ArrayRef(sliceSizes).drop_front(numBatch));
  windowSizes = batchSizes;
  windowSizes.push_back(windowSize);
  llvm::append_range(windowSizes, restSizes);
  emitWindows();
  emitHistories();
  op.erase();
}

} // namespace

void rondo::toNewton(Context &context, NewtonStructure &structure,
                     NewtonParameters parameters) {
  NewtonEmitter(context, structure, parameters).run();
}
