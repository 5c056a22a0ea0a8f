//===- CompleteBatch.cpp - Every tensor gets every batch dim --------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontend/Lowering/CompleteBatch.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringRef.h"

using namespace rondo::frontend;
using namespace rondo::frontend::model;

namespace {

template <typename Fn>
void walk(const Expr *expr, llvm::DenseSet<const Expr *> &seen, Fn visit) {
  if (!expr || !seen.insert(expr).second)
    return;
  visit(expr);
  walk(expr->filter, seen, visit);
  for (const Expr *arg : expr->args)
    walk(arg, seen, visit);
}

class BatchCompleter {
public:
  explicit BatchCompleter(Kernel &kernel) : kernel(kernel) {}

  void run() {
    findCandidates();
    while (dropCrossReads())
      ;
    for (unsigned i = 0, e = kernel.tensorPool.size(); i < e; ++i)
      complete(*kernel.tensorPool[i]);
    for (Component &component : kernel.components)
      for (auto [i, equation] : llvm::enumerate(component.equations))
        rewrite(component, i, *equation);
  }

private:
  void findCandidates();
  bool dropCrossReads();
  void complete(Tensor &tensor);
  void rewrite(Component &component, unsigned number, const Equation &old);
  const Expr *rewrite(const Expr *expr);
  const Expr *size(llvm::StringRef name, llvm::SMLoc loc) {
    return make(Expr::Kind::Size, loc, [&](Expr &e) { e.name = name.str(); });
  }
  template <typename Fn>
  const Expr *make(Expr::Kind kind, llvm::SMLoc loc, Fn fill) {
    kernel.exprs.push_back(std::make_unique<Expr>());
    Expr &expr = *kernel.exprs.back();
    expr.kind = kind;
    expr.type = Type::Int;
    expr.loc = loc;
    fill(expr);
    return &expr;
  }
  Index *makeIndex(unsigned batch, llvm::SMLoc loc) {
    kernel.indexPool.push_back(std::make_unique<Index>());
    Index *index = kernel.indexPool.back().get();
    index->name = llvm::StringRef(kernel.batch[batch]).lower();
    index->upper = size(kernel.batch[batch], loc);
    index->loc = loc;
    return index;
  }

  Kernel &kernel;
  struct Insertion {
    unsigned batch, position;
  };
  /// The dims that were added to a tensor, each at its position in the layout
  /// so far.
  llvm::DenseMap<const Tensor *, std::vector<Insertion>> added;
  llvm::DenseMap<const Tensor *, Tensor *> holders; // of results

  // The equation being rewritten: its index per batch dim.
  std::vector<const Index *> here;
  llvm::DenseMap<const Expr *, const Expr *> done;
};

} // namespace

/// A dim that has the size of a batch dim may be one. (What an inlined kernel
/// calls by another name may also be an ordinary one.)
void BatchCompleter::findCandidates() {
  for (auto &tensor : kernel.tensorPool) {
    tensor->batchDims.assign(kernel.batch.size(), -1);
    if (tensor->role == Tensor::Role::Argument)
      continue;
    bool isState = tensor->role == Tensor::Role::State;
    unsigned end = isState ? tensor->alongBegin : tensor->shape.size();
    unsigned next = 0; // the batch dims of states come first, in their order
    for (auto [b, name] : llvm::enumerate(kernel.batch))
      for (unsigned i = isState ? next : 0;
           i < (isState ? std::min(end, next + 1) : end); ++i) {
        const Expr *dim = tensor->shape[i];
        if (dim->kind != Expr::Kind::Size || dim->name != name ||
            llvm::is_contained(tensor->batchDims, int(i)))
          continue;
        tensor->batchDims[b] = int(i);
        next = i + 1;
        break;
      }
  }
}

/// A dim through which one point reads another is an ordinary one.
bool BatchCompleter::dropCrossReads() {
  bool changed = false;
  for (const Component &component : kernel.components)
    for (const Equation *equation : component.equations) {
      llvm::DenseSet<const Expr *> seen;
      walk(equation->value, seen, [&](const Expr *expr) {
        if (expr->kind != Expr::Kind::Read)
          return;
        auto *source = const_cast<Tensor *>(expr->tensor);
        for (auto [b, dim] : llvm::enumerate(source->batchDims)) {
          if (dim < 0)
            continue;
          int own = equation->target->batchDims[b];
          const Expr *subscript = expr->args[dim];
          if (own >= 0 && subscript->kind == Expr::Kind::Index &&
              subscript->index == equation->indices[own])
            continue;
          dim = -1;
          changed = true;
        }
      });
    }
  return changed;
}

void BatchCompleter::complete(Tensor &tensor) {
  if (tensor.role == Tensor::Role::Argument ||
      !llvm::is_contained(tensor.batchDims, -1))
    return;
  Tensor *target = &tensor;
  if (tensor.role == Tensor::Role::Output) {
    kernel.tensorPool.push_back(std::make_unique<Tensor>(tensor));
    target = kernel.tensorPool.back().get();
    target->role = Tensor::Role::Local;
    tensor.whole = holders[&tensor] = target;
  }
  for (unsigned b = 0; b < kernel.batch.size(); ++b) {
    if (target->batchDims[b] >= 0)
      continue;
    // In states, after the batch dims that come before this one.
    unsigned position = 0;
    if (tensor.role == Tensor::Role::State)
      for (unsigned other = 0; other < b; ++other)
        position = std::max(position, unsigned(target->batchDims[other] + 1));
    for (int &dim : target->batchDims)
      dim += dim >= int(position);
    target->batchDims[b] = int(position);
    target->shape.insert(target->shape.begin() + position,
                         size(kernel.batch[b], tensor.loc));
    if (tensor.role == Tensor::Role::State) {
      ++target->alongBegin;
      target->initialIndices.insert(target->initialIndices.begin() + position,
                                    makeIndex(b, tensor.loc));
    }
    added[&tensor].push_back({b, position});
  }
}

const Expr *BatchCompleter::rewrite(const Expr *expr) {
  if (!expr)
    return nullptr;
  if (auto it = done.find(expr); it != done.end())
    return it->second;
  Expr copy = *expr;
  copy.filter = rewrite(expr->filter);
  bool changed = copy.filter != expr->filter;
  for (const Expr *&arg : copy.args) {
    const Expr *old = arg;
    arg = rewrite(old);
    changed |= arg != old;
  }
  if (expr->kind == Expr::Kind::Read) {
    if (Tensor *holder = holders.lookup(expr->tensor))
      copy.tensor = holder;
    for (const Insertion &each : added.lookup(expr->tensor)) {
      changed = true;
      if (copy.isGather())
        copy.data.insert(copy.data.begin() + each.position, false);
      copy.args.insert(copy.args.begin() + each.position,
                       make(Expr::Kind::Index, expr->loc, [&](Expr &index) {
                         index.index = here[each.batch];
                       }));
    }
  }
  const Expr *result = expr;
  if (changed) {
    kernel.exprs.push_back(std::make_unique<Expr>(copy));
    result = kernel.exprs.back().get();
  }
  return done[expr] = result;
}

void BatchCompleter::rewrite(Component &component, unsigned number,
                             const Equation &old) {
  kernel.equationPool.push_back(std::make_unique<Equation>(old));
  Equation &equation = *kernel.equationPool.back();
  if (Tensor *holder = holders.lookup(old.target))
    equation.target = holder;
  for (const Insertion &each : added.lookup(old.target)) {
    equation.indices.insert(equation.indices.begin() + each.position,
                            makeIndex(each.batch, old.loc));
    if (component.recurrence)
      for (unsigned &dim : component.alongPosition[number])
        dim += dim >= each.position;
  }
  here.clear();
  for (int dim : equation.target->batchDims)
    here.push_back(equation.indices[dim]);
  done.clear();
  equation.value = rewrite(old.value);
  component.equations[number] = &equation;
}

void rondo::frontend::completeBatch(Kernel &kernel) {
  if (!kernel.batch.empty())
    BatchCompleter(kernel).run();
}
