//===- SeparateReductions.cpp - Every reduction its own equation ----------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontend/Lowering/SeparateReductions.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringSet.h"
#include <limits>

using namespace rondo::frontend;
using namespace rondo::frontend::model;

namespace {

/// Makes nodes that the kernel owns.
class Nodes {
public:
  explicit Nodes(Kernel &kernel) : kernel(kernel) {}

  Expr *copy(const Expr &expr) {
    kernel.exprs.push_back(std::make_unique<Expr>(expr));
    return kernel.exprs.back().get();
  }
  const Expr *real(double value, llvm::SMLoc loc) {
    Expr *expr = fresh(Expr::Kind::RealConst, Type::Real, loc);
    expr->real = value;
    return expr;
  }
  const Expr *integer(int64_t value, llvm::SMLoc loc) {
    Expr *expr = fresh(Expr::Kind::IntConst, Type::Int, loc);
    expr->integer = value;
    return expr;
  }
  const Expr *apply(Op op, Type type, std::vector<const Expr *> args) {
    Expr *expr = fresh(Expr::Kind::Apply, type, args[0]->loc);
    expr->op = op;
    expr->args = std::move(args);
    return expr;
  }
  const Expr *ref(const Index *index, llvm::SMLoc loc) {
    Expr *expr = fresh(Expr::Kind::Index, Type::Int, loc);
    expr->index = index;
    return expr;
  }
  const Expr *read(const Tensor *tensor, Type type,
                   std::vector<const Expr *> subscripts, llvm::SMLoc loc) {
    Expr *expr = fresh(Expr::Kind::Read, type, loc);
    expr->tensor = tensor;
    expr->args = std::move(subscripts);
    return expr;
  }
  const Expr *reduce(Reduction kind, std::vector<const Index *> indices,
                     const Expr *filter, const Expr *body) {
    Expr *expr = fresh(Expr::Kind::Reduce, body->type, body->loc);
    expr->reduction = kind;
    expr->indices = std::move(indices);
    expr->filter = filter;
    expr->args = {body};
    return expr;
  }
  const Expr *both(const Expr *a, const Expr *b) {
    if (!a || !b)
      return a ? a : b;
    return apply(Op::And, Type::Bool, {a, b});
  }
  Index *index(llvm::StringRef name, const Expr *lower, const Expr *upper,
               llvm::SMLoc loc) {
    kernel.indexPool.push_back(std::make_unique<Index>());
    Index *index = kernel.indexPool.back().get();
    index->name = name.str();
    index->lower = lower;
    index->upper = upper;
    index->loc = loc;
    return index;
  }

private:
  Expr *fresh(Expr::Kind kind, Type type, llvm::SMLoc loc) {
    Expr expr;
    expr.kind = kind;
    expr.type = type;
    expr.loc = loc;
    return copy(expr);
  }
  Kernel &kernel;
};

using IndexSet = llvm::SetVector<const Index *>;

/// Calls `visit` on every node below `expr`, each once.
template <typename Fn>
void walk(const Expr *expr, llvm::DenseSet<const Expr *> &seen, Fn visit) {
  if (!expr || !seen.insert(expr).second)
    return;
  visit(expr);
  walk(expr->filter, seen, visit);
  for (const Index *index : expr->indices) {
    walk(index->lower, seen, visit);
    walk(index->upper, seen, visit);
  }
  for (const Expr *arg : expr->args)
    walk(arg, seen, visit);
}

bool any(const Expr *expr, llvm::function_ref<bool(const Expr *)> test) {
  llvm::DenseSet<const Expr *> seen;
  bool found = false;
  walk(expr, seen, [&](const Expr *node) { found |= test(node); });
  return found;
}

bool usesIndices(const Expr *expr) {
  return any(expr, [](const Expr *e) { return e->kind == Expr::Kind::Index; });
}

bool hasGather(const Expr *expr) {
  return any(expr, [](const Expr *e) { return e->isGather(); });
}

/// Whether an integer expression over sizes may be a dim of a tensor.
bool isPolynomial(const Expr *expr) {
  return !any(expr, [](const Expr *e) {
    return e->kind == Expr::Kind::Apply &&
           (e->op == Op::Max || e->op == Op::Min || e->op == Op::Abs ||
            e->op == Op::Select);
  });
}

/// Surely not negative, whatever the sizes are.
bool isNonNegative(const Expr *expr) {
  switch (expr->kind) {
  case Expr::Kind::IntConst:
    return expr->integer >= 0;
  case Expr::Kind::Size:
    return true;
  case Expr::Kind::Apply:
    if (expr->op == Op::Max)
      return llvm::any_of(expr->args, isNonNegative);
    return (expr->op == Op::Add || expr->op == Op::Mul ||
            expr->op == Op::FloorDiv || expr->op == Op::Mod ||
            expr->op == Op::Min) &&
           llvm::all_of(expr->args, isNonNegative);
  default:
    return false;
  }
}

/// Indices that `expr` uses and does not bind.
void collectFree(const Expr *expr, IndexSet &free) {
  llvm::DenseSet<const Expr *> seen;
  llvm::DenseSet<const Index *> bound;
  IndexSet used;
  walk(expr, seen, [&](const Expr *node) {
    bound.insert(node->indices.begin(), node->indices.end());
    if (node->kind == Expr::Kind::Index)
      used.insert(node->index);
    for (const Index *at : node->at)
      used.insert(at);
  });
  for (const Index *index : used)
    if (!bound.contains(index))
      free.insert(index);
}

using Replacements = llvm::DenseMap<const Index *, const Expr *>;

class Separator {
public:
  explicit Separator(Kernel &kernel) : kernel(kernel), nodes(kernel) {
    for (const auto &tensor : kernel.tensorPool)
      names.insert(tensor->name);
  }

  void run() {
    std::vector<Component> old = std::move(kernel.components);
    kernel.components.clear();
    for (unsigned i = 0, e = kernel.tensorPool.size(); i < e; ++i)
      if (kernel.tensorPool[i]->role == Tensor::Role::State)
        separateInitial(*kernel.tensorPool[i]);
    for (Component &component : old)
      separate(component);
  }

private:
  void separate(Component &old);
  void separateInitial(Tensor &state);
  const Expr *rewrite(const Expr *expr, const Expr *guard, bool isRoot);
  const Expr *rewriteReduce(const Expr *expr, const Expr *guard, bool isRoot);
  const Expr *rewriteSoftmax(const Expr *expr, const Expr *guard);
  const Expr *hoist(const Expr *value, llvm::StringRef suffix);
  const Expr *normaliseRanges(const Expr *expr);
  const Expr *substitute(const Expr *expr, Replacements replacements);
  const Expr *substitute(const Expr *expr, Replacements &replacements,
                         llvm::DenseMap<const Expr *, const Expr *> &known);
  const Expr *bound(const Expr *expr, bool upper);
  const Expr *widest(const Expr *expr, bool upper);
  const Expr *magnitude(const Expr *expr);
  const Expr *limit(const Expr *expr, bool upper);
  /// max of e over its indices, with infinities replaced by 0: a shift that is
  /// safe to subtract.
  const Expr *shiftOf(const Expr *reduceLike);
  std::string uniqueName(llvm::StringRef base) {
    std::string name = base.str();
    for (int i = 2; !names.insert(name).second; ++i)
      name = base.str() + std::to_string(i);
    return name;
  }

  Kernel &kernel;
  Nodes nodes;
  llvm::StringSet<> names;
  llvm::DenseMap<const Expr *, const Expr *> bounds[2]; // least, greatest

  // The equation being rewritten.
  const Equation *equation = nullptr;
  std::vector<const Index *> batchIndices, alongIndices;
  llvm::DenseSet<const Tensor *> inside; // members and locals split off inside
  Component *component = nullptr;        // the recurrence, or null
  llvm::DenseMap<const Expr *, const Expr *> done;
};

//===----------------------------------------------------------------------===//
// Ranges
//===----------------------------------------------------------------------===//

/// The least or greatest value of an integer expression without reads over the
/// ranges of its indices, as an expression over sizes. Ranges are closed here:
/// [lower, upper - 1].
const Expr *Separator::bound(const Expr *expr, bool upper) {
  if (!usesIndices(expr))
    return expr;
  if (const Expr *known = bounds[upper].lookup(expr))
    return known;
  const Expr *result = widest(expr, upper);
  return bounds[upper][expr] = result;
}

const Expr *Separator::widest(const Expr *expr, bool upper) {
  auto number = [&](int64_t value) { return nodes.integer(value, expr->loc); };
  auto apply = [&](Op op, std::vector<const Expr *> args) {
    return nodes.apply(op, Type::Int, std::move(args));
  };
  Op extreme = upper ? Op::Max : Op::Min;
  if (expr->kind == Expr::Kind::Index) {
    const Index *index = expr->index;
    if (upper)
      return apply(Op::Sub, {bound(index->upper, true), number(1)});
    return index->lower ? bound(index->lower, false) : number(0);
  }
  assert(expr->kind == Expr::Kind::Apply && "an end of a range reads a tensor");
  auto low = [&](int arg) { return bound(expr->args[arg], false); };
  auto high = [&](int arg) { return bound(expr->args[arg], true); };
  auto end = [&](int arg) { return bound(expr->args[arg], upper); };
  auto largest = [&](int arg) {
    return apply(Op::Max, {high(arg), apply(Op::Neg, {low(arg)})});
  };
  switch (expr->op) {
  case Op::Add:
  case Op::Max:
  case Op::Min:
    return apply(expr->op, {end(0), end(1)});
  case Op::Sub:
    return apply(Op::Sub, {end(0), upper ? low(1) : high(1)});
  case Op::Neg:
    return apply(Op::Neg, {upper ? low(0) : high(0)});
  case Op::Abs:
    return upper ? largest(0) : number(0);
  case Op::Mul:
    for (int i : {0, 1})
      if (const Expr *factor = expr->args[i];
          factor->kind == Expr::Kind::IntConst)
        return apply(Op::Mul,
                     {factor, upper == (factor->integer >= 0) ? high(1 - i)
                                                              : low(1 - i)});
    return apply(extreme,
                 {apply(extreme, {apply(Op::Mul, {low(0), low(1)}),
                                  apply(Op::Mul, {low(0), high(1)})}),
                  apply(extreme, {apply(Op::Mul, {high(0), low(1)}),
                                  apply(Op::Mul, {high(0), high(1)})})});
  case Op::FloorDiv: {
    if (!usesIndices(expr->args[1])) // sizes and constants are positive
      return apply(Op::FloorDiv, {end(0), expr->args[1]});
    // By a divisor that is not 0; nothing is said of others.
    const Expr *most = largest(0);
    return upper ? most : apply(Op::Neg, {most});
  }
  case Op::Mod:
    if (upper)
      return apply(Op::Max, {apply(Op::Sub, {high(1), number(1)}), number(0)});
    return apply(Op::Min, {apply(Op::Add, {low(1), number(1)}), number(0)});
  case Op::Select:
    return apply(extreme, {end(1), end(2)});
  default:
    llvm_unreachable("not an operation on integers");
  }
}

/// At least the magnitude of an integer expression over sizes: sums and
/// products only.
const Expr *Separator::magnitude(const Expr *expr) {
  auto apply = [&](Op op, const Expr *a, const Expr *b) {
    return nodes.apply(op, Type::Int, {magnitude(a), magnitude(b)});
  };
  if (expr->kind != Expr::Kind::Apply)
    return expr->kind == Expr::Kind::IntConst && expr->integer < 0
               ? nodes.integer(-expr->integer, expr->loc)
               : expr;
  switch (expr->op) {
  case Op::Mul:
    return apply(Op::Mul, expr->args[0], expr->args[1]);
  case Op::Neg:
  case Op::Abs:
  case Op::FloorDiv:
    return magnitude(expr->args[0]);
  case Op::Mod:
    return magnitude(expr->args[1]);
  case Op::Select:
    return apply(Op::Add, expr->args[1], expr->args[2]);
  default:
    return apply(Op::Add, expr->args[0], expr->args[1]);
  }
}

/// A limit of an integer expression over sizes that is a polynomial.
const Expr *Separator::limit(const Expr *expr, bool upper) {
  if (isPolynomial(expr))
    return expr;
  switch (expr->op) {
  case Op::Add:
    return nodes.apply(
        Op::Add, Type::Int,
        {limit(expr->args[0], upper), limit(expr->args[1], upper)});
  case Op::Sub:
    return nodes.apply(
        Op::Sub, Type::Int,
        {limit(expr->args[0], upper), limit(expr->args[1], !upper)});
  case Op::Max:
  case Op::Min:
    if ((expr->op == Op::Min) == upper) { // either of them is one
      bool second = expr->args[1]->kind != Expr::Kind::Apply;
      return limit(expr->args[second], upper);
    }
    break;
  default:
    break;
  }
  const Expr *most = magnitude(expr);
  return upper ? most : nodes.apply(Op::Neg, Type::Int, {most});
}

/// Moves bounds that use indices, or are no shape, into the filter.
const Expr *Separator::normaliseRanges(const Expr *expr) {
  Replacements replacements;
  std::vector<const Index *> indices;
  const Expr *filter = nullptr;
  auto isKept = [](const Expr *end) {
    return !end || (!usesIndices(end) && isPolynomial(end));
  };
  for (const Index *index : expr->indices) {
    bool keepsLower = isKept(index->lower), keepsUpper = isKept(index->upper);
    if (keepsLower && keepsUpper) {
      indices.push_back(index);
      continue;
    }
    const Expr *lower =
        keepsLower ? index->lower : limit(bound(index->lower, false), false);
    const Expr *upper = limit(bound(index->upper, true), true);
    const Index *wide = nodes.index(index->name, lower, upper, index->loc);
    const Expr *ref = nodes.ref(wide, index->loc);
    replacements[index] = ref;
    indices.push_back(wide);
    if (!keepsLower)
      filter = nodes.both(filter,
                          nodes.apply(Op::Ge, Type::Bool, {ref, index->lower}));
    if (!keepsUpper)
      filter = nodes.both(filter,
                          nodes.apply(Op::Lt, Type::Bool, {ref, index->upper}));
  }
  if (replacements.empty())
    return expr;
  Expr *result = nodes.copy(*expr);
  result->indices = indices;
  result->filter = nodes.both(substitute(filter, replacements),
                              substitute(expr->filter, replacements));
  result->args[0] = substitute(expr->args[0], replacements);
  return result;
}

const Expr *Separator::substitute(const Expr *expr, Replacements replacements) {
  llvm::DenseMap<const Expr *, const Expr *> known;
  return substitute(expr, replacements, known);
}

/// Indices that are bound below become others where their ranges change.
const Expr *
Separator::substitute(const Expr *expr, Replacements &replacements,
                      llvm::DenseMap<const Expr *, const Expr *> &known) {
  if (!expr)
    return nullptr;
  if (expr->kind == Expr::Kind::Index) {
    auto it = replacements.find(expr->index);
    return it == replacements.end() ? expr : it->second;
  }
  if (auto it = known.find(expr); it != known.end())
    return it->second;
  Expr copy = *expr;
  bool changed = false;
  for (const Index *index : copy.indices) {
    const Expr *lower = substitute(index->lower, replacements, known);
    const Expr *upper = substitute(index->upper, replacements, known);
    if (lower != index->lower || upper != index->upper)
      replacements.try_emplace(
          index, nodes.ref(nodes.index(index->name, lower, upper, index->loc),
                           index->loc));
  }
  for (std::vector<const Index *> *names : {&copy.indices, &copy.at})
    for (const Index *&index : *names)
      if (const Expr *other = replacements.lookup(index)) {
        assert(other->kind == Expr::Kind::Index && "an index is bound here");
        index = other->index;
        changed = true;
      }
  copy.filter = substitute(copy.filter, replacements, known);
  changed |= copy.filter != expr->filter;
  for (const Expr *&arg : copy.args) {
    const Expr *old = arg;
    arg = substitute(arg, replacements, known);
    changed |= arg != old;
  }
  const Expr *result = changed ? nodes.copy(copy) : expr;
  known[expr] = result;
  return result;
}

//===----------------------------------------------------------------------===//
// Reductions
//===----------------------------------------------------------------------===//

/// Defines a local by `value` over the indices it uses and reads it.
const Expr *Separator::hoist(const Expr *value, llvm::StringRef suffix) {
  IndexSet free, wanted;
  collectFree(value, free);
  bool isInside =
      component && any(value, [&](const Expr *e) {
        return e->kind == Expr::Kind::Read && inside.contains(e->tensor);
      });
  for (const Index *index : batchIndices)
    wanted.insert(index);
  if (isInside)
    for (const Index *index : alongIndices)
      wanted.insert(index);
  // Left-hand order first, so that names and layouts are predictable.
  for (const Index *index : equation->indices)
    if (free.contains(index))
      wanted.insert(index);
  for (const Index *index : free)
    wanted.insert(index);

  kernel.tensorPool.push_back(std::make_unique<Tensor>());
  Tensor *local = kernel.tensorPool.back().get();
  local->name = uniqueName(equation->target->name + "." + suffix.str());
  local->role = Tensor::Role::Local;
  local->dtype = value->type == Type::Real  ? DType::Io
                 : value->type == Type::Int ? DType::I64
                                            : DType::Bool;
  local->loc = value->loc;
  for (unsigned b = 0; b < batchIndices.size(); ++b)
    local->batchDims.push_back(int(b));

  kernel.equationPool.push_back(std::make_unique<Equation>());
  Equation *definition = kernel.equationPool.back().get();
  definition->target = local;
  definition->loc = value->loc;
  Replacements replacements;
  std::vector<const Expr *> subscripts;
  for (const Index *index : wanted) {
    // A fresh index from 0; bounds that use indices are widened. Points below
    // a positive bound are computed in vain, which keeps sizes simple.
    const Expr *lower =
        index->lower ? limit(bound(index->lower, false), false) : nullptr;
    if (lower && isNonNegative(lower) && !hasGather(value))
      lower = nullptr;
    const Expr *upper = limit(bound(index->upper, true), true);
    const Expr *extent =
        lower ? nodes.apply(Op::Sub, Type::Int, {upper, lower}) : upper;
    const Index *fresh = nodes.index(index->name, nullptr, extent, index->loc);
    const Expr *ref = nodes.ref(fresh, value->loc);
    replacements[index] =
        lower ? nodes.apply(Op::Add, Type::Int, {ref, lower}) : ref;
    const Expr *old = nodes.ref(index, value->loc);
    subscripts.push_back(lower ? nodes.apply(Op::Sub, Type::Int, {old, lower})
                               : old);
    definition->indices.push_back(fresh);
    local->shape.push_back(extent);
  }
  definition->value = substitute(value, replacements);

  if (isInside) {
    inside.insert(local);
    component->equations.push_back(definition);
    std::vector<unsigned> positions;
    for (unsigned i = 0; i < alongIndices.size(); ++i)
      positions.push_back(batchIndices.size() + i);
    component->alongPosition.push_back(positions);
  } else {
    Component own;
    own.equations.push_back(definition);
    kernel.components.push_back(std::move(own));
  }
  return nodes.read(local, value->type, subscripts, value->loc);
}

const char *suffixOf(Reduction kind) {
  switch (kind) {
  case Reduction::Sum:
    return "sum";
  case Reduction::Prod:
    return "prod";
  case Reduction::Max:
    return "max";
  case Reduction::Min:
    return "min";
  case Reduction::Any:
    return "any";
  case Reduction::All:
    return "all";
  case Reduction::LogSumExp:
    return "lse";
  }
  return "";
}

/// `expr` is a Reduce or Softmax whose body and filter are rewritten already.
const Expr *Separator::shiftOf(const Expr *expr) {
  const Expr *max = hoist(
      nodes.reduce(Reduction::Max, expr->indices, expr->filter, expr->args[0]),
      "max");
  const Expr *infinite = nodes.apply(
      Op::Eq, Type::Bool,
      {nodes.apply(Op::Abs, Type::Real, {max}),
       nodes.real(std::numeric_limits<double>::infinity(), expr->loc)});
  return nodes.apply(Op::Select, Type::Real,
                     {infinite, nodes.real(0, expr->loc), max});
}

const Expr *Separator::rewriteReduce(const Expr *original, const Expr *guard,
                                     bool isRoot) {
  Expr *expr = nodes.copy(*normaliseRanges(original));
  expr->filter = rewrite(expr->filter, guard, false);
  // A term that does not count may not be gathered.
  const Expr *inner = nodes.both(guard, expr->filter);
  expr->args[0] = rewrite(expr->args[0], inner, false);
  if (guard && !isRoot && hasGather(expr->args[0]))
    expr->filter = inner;
  if (expr->reduction != Reduction::LogSumExp)
    return isRoot ? expr : hoist(expr, suffixOf(expr->reduction));
  const Expr *shift = shiftOf(expr);
  const Expr *shifted =
      nodes.apply(Op::Exp, Type::Real,
                  {nodes.apply(Op::Sub, Type::Real, {expr->args[0], shift})});
  const Expr *sum =
      hoist(nodes.reduce(Reduction::Sum, expr->indices, expr->filter, shifted),
            "sum");
  return nodes.apply(Op::Add, Type::Real,
                     {shift, nodes.apply(Op::Log, Type::Real, {sum})});
}

const Expr *Separator::rewriteSoftmax(const Expr *original, const Expr *guard) {
  const Expr *ranged = normaliseRanges(original);
  Expr *expr = nodes.copy(*ranged);
  expr->filter = rewrite(expr->filter, guard, false);
  expr->args[0] =
      rewrite(expr->args[0], nodes.both(guard, expr->filter), false);
  const Expr *shift = shiftOf(expr);
  const Expr *weight =
      nodes.apply(Op::Exp, Type::Real,
                  {nodes.apply(Op::Sub, Type::Real, {expr->args[0], shift})});
  // The weights are needed twice: in their sum and in what uses the softmax.
  weight = hoist(weight, "exp");
  const Expr *sum = hoist(
      nodes.reduce(Reduction::Sum, expr->indices, expr->filter, weight), "sum");
  Replacements here;
  for (auto [index, at] : llvm::zip_equal(expr->indices, expr->at))
    here[index] = nodes.ref(at, expr->loc);
  const Expr *value =
      nodes.apply(Op::Div, Type::Real, {substitute(weight, here), sum});
  if (!expr->filter)
    return value;
  return nodes.apply(
      Op::Select, Type::Real,
      {substitute(expr->filter, here), value, nodes.real(0, expr->loc)});
}

const Expr *Separator::rewrite(const Expr *expr, const Expr *guard,
                               bool isRoot) {
  if (!expr)
    return nullptr;
  // Nodes are shared; a guard only matters to gathers.
  if (auto it = done.find(expr); it != done.end() && !isRoot)
    return it->second;
  const Expr *result = expr;
  if (expr->kind == Expr::Kind::Reduce) {
    result = rewriteReduce(expr, guard, isRoot);
  } else if (expr->kind == Expr::Kind::Softmax) {
    result = rewriteSoftmax(expr, guard);
  } else if (!expr->args.empty()) {
    Expr copy = *expr;
    bool changed = false;
    const Expr *condition = nullptr;
    for (unsigned i = 0; i < copy.args.size(); ++i) {
      const Expr *inner = guard;
      if (expr->kind == Expr::Kind::Apply && expr->op == Op::Select && i > 0)
        inner = nodes.both(
            guard,
            i == 1 ? condition : nodes.apply(Op::Not, Type::Bool, {condition}));
      copy.args[i] = rewrite(expr->args[i], inner, false);
      if (i == 0)
        condition = copy.args[0];
      changed |= copy.args[i] != expr->args[i];
    }
    if (changed)
      result = nodes.copy(copy);
  }
  if (!hasGather(result))
    done[expr] = result;
  return result;
}

/// An initial value is computed before everything else.
void Separator::separateInitial(Tensor &state) {
  Equation start{&state, state.initialIndices, state.initial, state.loc};
  equation = &start;
  component = nullptr;
  done.clear();
  batchIndices.clear();
  for (int dim : state.batchDims)
    batchIndices.push_back(state.initialIndices[dim]);
  state.initial = rewrite(state.initial, nullptr, /*isRoot=*/true);
}

void Separator::separate(Component &old) {
  Component rebuilt;
  rebuilt.recurrence = old.recurrence;
  rebuilt.alongCount = old.alongCount;
  rebuilt.reversed = old.reversed;
  component = old.recurrence ? &rebuilt : nullptr;
  inside.clear();
  if (old.recurrence)
    for (const Equation *member : old.equations)
      inside.insert(member->target);

  for (auto [position, member] : llvm::enumerate(old.equations)) {
    equation = member;
    done.clear();
    batchIndices.clear();
    alongIndices.clear();
    for (int dim : member->target->batchDims)
      batchIndices.push_back(member->indices[dim]);
    if (old.recurrence)
      for (unsigned dim : old.alongPosition[position])
        alongIndices.push_back(member->indices[dim]);
    const Expr *value = rewrite(member->value, nullptr, /*isRoot=*/true);
    kernel.equationPool.push_back(std::make_unique<Equation>(*member));
    kernel.equationPool.back()->value = value;
    rebuilt.equations.push_back(kernel.equationPool.back().get());
    if (old.recurrence)
      rebuilt.alongPosition.push_back(old.alongPosition[position]);
  }
  kernel.components.push_back(std::move(rebuilt));
}

} // namespace

void rondo::frontend::separateReductions(Kernel &kernel) {
  Separator(kernel).run();
}
