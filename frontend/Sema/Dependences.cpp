//===- Dependences.cpp - The order of computation -------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The graph of reads, its strongly connected components, and the final value of
// every equation (boundary equations folded in).
//
//===----------------------------------------------------------------------===//

#include "frontend/Sema/Graph.h"
#include "llvm/ADT/STLExtras.h"

using namespace rondo::frontend;
using namespace rondo::frontend::sema;
using model::Op;

//===----------------------------------------------------------------------===//
// The graph
//===----------------------------------------------------------------------===//

std::vector<std::vector<unsigned>>
Graph::components(llvm::ArrayRef<unsigned> nodes,
                  llvm::function_ref<bool(const Access &)> follow) const {
  // Tarjan's algorithm with a stack of its own: chains may be long.
  constexpr unsigned unseen = ~0u;
  std::vector<unsigned> number(equations.size(), unseen);
  std::vector<unsigned> low(equations.size());
  std::vector<bool> onStack(equations.size()), inside(equations.size());
  for (unsigned node : nodes)
    inside[node] = true;
  std::vector<unsigned> stack;
  std::vector<std::pair<unsigned, size_t>> work; // node, next access
  std::vector<std::vector<unsigned>> result;
  unsigned next = 0;
  auto enter = [&](unsigned node) {
    number[node] = low[node] = next++;
    stack.push_back(node);
    onStack[node] = true;
    work.emplace_back(node, 0);
  };
  for (unsigned root : nodes) {
    if (number[root] != unseen)
      continue;
    enter(root);
    while (!work.empty()) {
      auto &[node, at] = work.back();
      if (at < accesses[node].size()) {
        const Access &access = accesses[node][at++];
        unsigned target = access.target;
        if (!inside[target] || !follow(access))
          continue;
        if (number[target] == unseen)
          enter(target);
        else if (onStack[target])
          low[node] = std::min(low[node], number[target]);
        continue;
      }
      unsigned done = node;
      work.pop_back();
      if (!work.empty())
        low[work.back().first] = std::min(low[work.back().first], low[done]);
      if (low[done] != number[done])
        continue;
      result.emplace_back();
      unsigned member;
      do {
        member = stack.back();
        stack.pop_back();
        onStack[member] = false;
        result.back().push_back(member);
      } while (member != done);
      llvm::sort(result.back());
    }
  }
  return result;
}

std::vector<const Access *>
Graph::cycle(llvm::ArrayRef<unsigned> members,
             llvm::function_ref<bool(const Access &)> follow) const {
  // Breadth first from the first member back to itself: a shortest one.
  unsigned start = members[0];
  std::vector<bool> inside(equations.size());
  for (unsigned member : members)
    inside[member] = true;
  std::vector<const Access *> via(equations.size());
  std::vector<unsigned> queue = {start};
  for (size_t i = 0; i < queue.size(); ++i)
    for (const Access &access : accesses[queue[i]]) {
      if (!inside[access.target] || !follow(access) || via[access.target])
        continue;
      via[access.target] = &access;
      if (access.target == start) {
        std::vector<const Access *> result;
        unsigned at = start;
        do {
          result.push_back(via[at]);
          at = via[at]->reader;
        } while (at != start);
        std::reverse(result.begin(), result.end());
        return result;
      }
      queue.push_back(access.target);
    }
  return {};
}

namespace {
/// Collects the reads of one value.
class Collector {
public:
  Collector(const llvm::DenseMap<const Tensor *, unsigned> &numbers,
            std::vector<Access> &out, unsigned reader, const Piece *piece)
      : numbers(numbers), out(out), reader(reader), piece(piece) {}

  void walk(const Expr *expr) {
    if (!expr)
      return;
    if (expr->kind == Expr::Kind::Read) {
      auto it = numbers.find(expr->tensor);
      if (it != numbers.end())
        out.push_back({reader, it->second, expr, piece, path, {}, false});
    }
    if (expr->kind == Expr::Kind::Apply && expr->op == Op::Select) {
      walk(expr->args[0]);
      under(expr->args[0], true, expr->args[1]);
      under(expr->args[0], false, expr->args[2]);
      return;
    }
    walk(expr->filter);
    for (const Expr *arg : expr->args) {
      if (expr->filter)
        under(expr->filter, true, arg);
      else
        walk(arg);
    }
  }

private:
  void under(const Expr *condition, bool truth, const Expr *expr) {
    path.emplace_back(condition, truth);
    walk(expr);
    path.pop_back();
  }

  const llvm::DenseMap<const Tensor *, unsigned> &numbers;
  std::vector<Access> &out;
  unsigned reader;
  const Piece *piece;
  std::vector<std::pair<const Expr *, bool>> path;
};
} // namespace

void KernelAnalyzer::orderEquations() {
  Graph graph;
  llvm::DenseMap<const Tensor *, unsigned> numbers;
  for (auto &scope : scopes)
    for (auto &eq : scope->equations)
      if (eq->eq && !eq->pieces.empty() &&
          eq->eq->indices.size() == eq->target->slots.size()) {
        numbers[eq->target->info->tensor] = unsigned(graph.equations.size());
        graph.equations.push_back(eq.get());
      }
  graph.accesses.resize(graph.equations.size());
  for (unsigned i = 0; i < graph.equations.size(); ++i) {
    EqInfo &eq = *graph.equations[i];
    for (const Piece &piece : eq.pieces)
      Collector(numbers, graph.accesses[i], i, &piece).walk(piece.value);
    Collector(numbers, graph.accesses[i], i, nullptr)
        .walk(eq.target->info->tensor->initial);
  }
  std::vector<unsigned> all(graph.equations.size());
  for (unsigned i = 0; i < all.size(); ++i)
    all[i] = i;
  for (auto &members :
       graph.components(all, [](const Access &) { return true; }))
    finishComponent(graph, members);
}

void KernelAnalyzer::finishComponent(Graph &graph,
                                     llvm::ArrayRef<unsigned> members) {
  bool hasState = false, cyclic = members.size() > 1;
  for (unsigned member : members) {
    hasState |= graph.equations[member]->target->role == Tensor::Role::State;
    for (const Access &access : graph.accesses[member])
      cyclic |= access.target == member;
  }
  if (hasState)
    finishRecurrence(graph, members);
  else if (cyclic)
    reportNoState(graph, members);
  else
    finishSingle(*graph.equations[members[0]]);
}

void KernelAnalyzer::finishSingle(EqInfo &eq) {
  finishEquation(eq, false);
  kernel.components.emplace_back();
  kernel.components.back().equations.push_back(eq.eq);
  kernel.components.back().alongPosition.emplace_back();
}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

static bool
usesAny(const Expr *expr,
        const llvm::DenseMap<const Index *, const Index *> &indices) {
  return expr && (indices.contains(expr->index) ||
                  llvm::any_of(expr->args, [&](const Expr *arg) {
                    return usesAny(arg, indices);
                  }));
}

const Expr *KernelAnalyzer::substitute(
    const Expr *expr, llvm::DenseMap<const Index *, const Index *> &replacement,
    llvm::DenseMap<const Expr *, const Expr *> &done) {
  if (!expr)
    return nullptr;
  auto it = done.find(expr);
  if (it != done.end())
    return it->second;
  Expr copy = *expr;
  auto index = replacement.find(expr->index);
  if (index != replacement.end())
    copy.index = index->second;
  // A range that uses an index is another one, and so is what runs over it.
  for (const Index *ranging : copy.indices)
    if (usesAny(ranging->lower, replacement) ||
        usesAny(ranging->upper, replacement)) {
      const IndexInfo &known = infoOf(ranging);
      Index *other = newIndex(ranging->name, known.decl, known.eq);
      infoOf(other).range = known.range;
      infoOf(other).explicitRange = known.explicitRange;
      other->lower = substitute(ranging->lower, replacement, done);
      other->upper = substitute(ranging->upper, replacement, done);
      replacement[ranging] = other;
    }
  for (auto *names : {&copy.indices, &copy.at})
    for (const Index *&at : *names) {
      auto other = replacement.find(at);
      if (other != replacement.end())
        at = other->second;
    }
  copy.filter = substitute(expr->filter, replacement, done);
  for (const Expr *&arg : copy.args)
    arg = substitute(arg, replacement, done);
  const Expr *result = builder.make(std::move(copy));
  done[expr] = result;
  return result;
}

/// A boundary equation before the start or after the end. True when it was
/// made the initial value (or was wrong), false when it is inside.
bool KernelAnalyzer::finishBoundary(EqInfo &eq, const Piece &piece,
                                    bool reversed) {
  View &view = *eq.target;
  auto *tensor = view.info->tensor;
  for (unsigned a = 0; a < view.alongCount; ++a) {
    if (!piece.guard[a])
      continue;
    Poly at = polys.fromExpr(piece.guard[a]);
    const Poly &extent = view.info->dims[tensor->alongBegin + a].poly;
    bool before = at.isConstant() && at.constant() < 0;
    bool after = !extent.invalid && bounds.nonNegative(at - extent);
    if (!before && !after)
      continue;
    llvm::SMRange place = piece.item->subscripts[a]->range;
    bool isStart = reversed ? at == extent : at == Poly(-1);
    if (!isStart || view.alongCount > 1) {
      auto &&error = reporter.error(
          place, "`" + view.name + "` has no point at `" + polys.str(at) + "`");
      error.expected("a point from 0 to `" + polys.str(extent) + " - 1`");
      if (view.alongCount > 1)
        error.hint("give the initial value where the state is declared: "
                   "`state " +
                   view.name + ": [..] = ..`");
      else
        error.hint("the initial value of this state stands at `" +
                   (reversed ? polys.str(extent) : std::string("-1")) + "`");
      return true;
    }
    if (view.state->initial) {
      reporter
          .error(piece.item->lhsRange,
                 "the initial value of `" + view.name + "` is given twice")
          .note(view.state->initial->range, "first given here");
      return true;
    }
    llvm::DenseMap<const Index *, const Index *> replacement;
    size_t next = 0;
    for (unsigned i = 0; i < eq.eq->indices.size(); ++i)
      if (i != tensor->alongBegin)
        replacement[eq.eq->indices[i]] = tensor->initialIndices[next++];
    llvm::DenseMap<const Expr *, const Expr *> done;
    const Expr *value = substitute(piece.value, replacement, done);
    if (const Expr *read = value ? readBesidesArguments(value) : nullptr)
      reporter
          .error(piece.item->lhsRange, "the initial value of a state can only "
                                       "use arguments")
          .expected("a number, an argument or an expression of them")
          .found("`" + read->tensor->name + "`, which is computed");
    else if (value)
      tensor->initial = value;
    return true;
  }
  return false;
}

/// Folds boundary equations into the value: if t == c then .. else general.
void KernelAnalyzer::finishEquation(EqInfo &eq, bool reversed) {
  const Expr *value = nullptr;
  for (const Piece &piece : eq.pieces)
    if (piece.general)
      value = piece.value;
  unsigned first = eq.target->info->tensor->alongBegin;
  std::vector<const Piece *> folded;
  for (const Piece &piece : eq.pieces) {
    if (piece.general || finishBoundary(eq, piece, reversed))
      continue;
    for (const Piece *other : folded) {
      bool same = true;
      for (unsigned a = 0; a < eq.alongCount(); ++a)
        same &= !piece.guard[a] == !other->guard[a] &&
                (!piece.guard[a] || polys.fromExpr(piece.guard[a]) ==
                                        polys.fromExpr(other->guard[a]));
      if (same)
        reporter
            .error(piece.item->lhsRange,
                   "`" + eq.target->name + "` is defined twice at this point")
            .note(other->item->lhsRange, "first defined here");
    }
    folded.push_back(&piece);
    const Expr *test = nullptr;
    llvm::SMLoc loc = piece.item->lhsRange.Start;
    for (unsigned a = 0; a < eq.alongCount(); ++a) {
      if (!piece.guard[a])
        continue;
      const Expr *here = builder.apply(
          Op::Eq,
          {builder.index(eq.eq->indices[first + a], loc), piece.guard[a]}, loc);
      test = test ? builder.apply(Op::And, {test, here}, loc) : here;
    }
    value = builder.apply(Op::Select, {test, piece.value, value}, loc);
  }
  eq.eq->value = value;
}
