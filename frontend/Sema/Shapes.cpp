//===- Shapes.cpp - Ranges of indices, shapes of locals -------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A fixpoint over the equations of one kernel instance: an index on the left
// has the range of the dim at which it stands, another index the size of the
// dims where it stands alone as a subscript, an undeclared dim of a local the
// range of its index.
//
//===----------------------------------------------------------------------===//

#include "frontend/Sema/Internal.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallPtrSet.h"

using namespace rondo::frontend;
using namespace rondo::frontend::sema;

IndexInfo &KernelAnalyzer::infoOf(const Index *index) {
  return *infoOfIndex.find(index)->second;
}

/// The bound index of a softmax has the range of the index where it stands.
const Index *KernelAnalyzer::canonical(const Index *index) {
  while (const Index *other = infoOf(index).sameAs)
    index = other;
  return index;
}

void KernelAnalyzer::inferShapes(Scope &scope) {
  bool changed = true, forward = false;
  while (changed) {
    changed = false;
    for (auto &eq : scope.equations) {
      if (!eq->eq || eq->eq->indices.size() != eq->target->slots.size())
        continue;
      for (size_t i = 0; i < eq->eq->indices.size(); ++i) {
        Dim &dim = eq->target->info->dims[i];
        IndexInfo &index = infoOf(eq->eq->indices[i]);
        if (dim.known && !index.range.known) {
          index.range = dim;
          index.range.from = index.decl;
          changed = true;
        } else if (!dim.known && index.range.known) {
          dim = index.range;
          changed = true;
        }
      }
    }
    // In both directions in turn, so that a chain of locals takes two passes
    // in whichever order it is written.
    forward = !forward;
    for (size_t u = 0; u < scope.uses.size(); ++u) {
      const Use &use = scope.uses[forward ? u : scope.uses.size() - 1 - u];
      IndexInfo &index = infoOf(canonical(use.index));
      const Dim &dim = use.tensor->dims[use.dim];
      if (index.explicitRange || index.range.known || !dim.known)
        continue;
      index.range = dim;
      index.range.from = use.range;
      changed = true;
      if (index.onLeft) {
        Dim &left = index.eq->target->info->dims[index.position];
        if (!left.known)
          left = index.range;
      }
    }
  }
}

/// A state may have no other use of its time index, and a local no use of an
/// index at all, F[t] = sum[u | u <= t] f[u]: then whoever reads it says how
/// long it is.
bool KernelAnalyzer::inferDimsFromReaders(Scope &scope, bool states) {
  bool changed = false;
  for (const Use &use : scope.uses) {
    const IndexInfo &index = infoOf(canonical(use.index));
    Dim &dim = use.tensor->dims[use.dim];
    if (dim.known || index.explicitRange || !index.range.known ||
        (use.tensor->tensor->role == Tensor::Role::State) != states)
      continue;
    dim = index.range;
    dim.from = use.range;
    changed = true;
  }
  if (changed)
    inferShapes(scope);
  return changed;
}

/// The one index of the left side that stands in a subscript, with something
/// added that has no such index; null: there is none.
const Index *KernelAnalyzer::shiftedIndex(const Expr *subscript, bool anyForm) {
  Poly poly = polys.fromExpr(subscript);
  const Index *found = nullptr;
  std::vector<const Index *> indices;
  polys.collectIndices(poly, indices);
  for (const Index *index : indices) {
    if (!infoOf(canonical(index)).onLeft)
      continue;
    if (found && index != found)
      return nullptr;
    found = index;
  }
  if (!found || anyForm || poly.invalid)
    return found;
  Poly alone = polys.index(found);
  bool isShift = !polys.mentions(poly - alone, found) ||
                 !polys.mentions(poly + alone, found);
  return isShift ? found : nullptr;
}

/// An index on the left that stands nowhere alone runs over the time of the
/// state where it stands, past[t, d] = f(h[t-1, d]), or else over the dims
/// where it stands with something added, c[t] = sum[p in 0..4] w[p] * x[t - p],
/// if these are alike.
bool KernelAnalyzer::inferFromShifts(Scope &scope) {
  // Who stands in the time of a state that is not known yet waits, unless
  // nobody else knows more.
  enum { Times, Others, Waiting };
  for (int round : {Times, Others, Waiting}) {
    llvm::MapVector<IndexInfo *, const Use *> found;
    llvm::SmallPtrSet<IndexInfo *, 4> passed;
    for (const Scope::Shift &shift : scope.shifts) {
      const Dim &dim = shift.use.tensor->dims[shift.use.dim];
      const Index *index = shiftedIndex(shift.subscript, shift.isTime);
      if (!index)
        continue;
      IndexInfo &info = infoOf(canonical(index));
      if (info.explicitRange || info.range.known)
        continue;
      if (round == Others && shift.isTime)
        passed.insert(&info);
      if (shift.isTime != (round == Times) || !dim.known)
        continue;
      const Use *&use = found[&info];
      if (!use)
        use = &shift.use;
      else if (round != Times && use->tensor->dims[use->dim].poly != dim.poly)
        passed.insert(&info);
    }
    bool changed = false;
    for (auto [info, use] : found) {
      if (passed.contains(info))
        continue;
      info->range = use->tensor->dims[use->dim];
      info->range.from = use->range;
      changed = true;
    }
    if (!changed)
      continue;
    inferShapes(scope);
    return true;
  }
  return false;
}

void KernelAnalyzer::checkUse(const Use &use) {
  const IndexInfo &index = infoOf(canonical(use.index));
  const Dim &dim = use.tensor->dims[use.dim];
  if (index.explicitRange || !index.range.known || !dim.known ||
      index.range.poly.invalid || dim.poly.invalid ||
      index.range.poly == dim.poly)
    return;
  reporter
      .error(use.range, "index `" + use.index->name +
                            "` stands at dims of different sizes")
      .expected("a dim of size `" + polys.str(index.range.poly) + "`")
      .found("a dim of `" + use.tensor->tensor->name + "` of size `" +
             polys.str(dim.poly) + "`")
      .hint("use another index here, or write a range: `sum[" +
            use.index->name + " in 0..n]`; `0 + " + use.index->name +
            "` reads the first places of a longer dim")
      .note(index.range.from, "`" + use.index->name + "` runs over `" +
                                  polys.str(index.range.poly) +
                                  "` because of this place")
      .note(use.tensor->decl,
            "`" + use.tensor->tensor->name + "` is declared here");
}

void KernelAnalyzer::checkShapes() {
  for (auto &scope : scopes)
    for (const Use &use : scope->uses)
      checkUse(use);
}

/// Asked last: whatever else is wrong may be what would have told the range.
void KernelAnalyzer::checkRanges() {
  if (reporter.errorCount() != errorsAtStart)
    return;
  for (auto &info : indexInfos) {
    const Index *index = info->index;
    if (info->explicitRange || infoOf(canonical(index)).range.known ||
        info->sameAs)
      continue;
    if (!info->onLeft) {
      reporter
          .error(info->decl,
                 "the range of index `" + index->name + "` is not known")
          .expected("a use of `" + index->name +
                    "` alone as a subscript, or a range")
          .hint("write `" + index->name + " in 0..n`");
      continue;
    }
    const View &view = *info->eq->target;
    std::string shape;
    for (unsigned i : view.subscripts)
      shape += (shape.empty() ? "" : ", ") +
               (view.info->dims[i].known ? polys.str(view.info->dims[i].poly)
                                         : std::string(".."));
    reporter
        .error(info->decl,
               "the range of index `" + index->name + "` is not known")
        .expected("a use of `" + index->name +
                  "` alone as a subscript on the right, or a declaration")
        .hint(view.role == Tensor::Role::State
                  ? "say along which size the state runs: `state " + view.name +
                        ": [..] along T`"
                  : "declare the shape: `local " + view.name + ": [" + shape +
                        "]`");
  }
}

void KernelAnalyzer::finishShapes() {
  builder.current = kernelStack.front()->name.range;
  for (auto &info : tensors)
    for (const Dim &dim : info->dims)
      info->tensor->shape.push_back(
          polyExpr(dim.poly.invalid ? Poly() : dim.poly));
  for (auto &info : indexInfos) {
    if (info->index->upper)
      continue;
    const Dim &range = infoOf(canonical(info->index)).range;
    info->index->upper = polyExpr(range.poly.invalid ? Poly() : range.poly);
  }
  // A softmax over an index with a written range runs over the same range.
  for (auto &info : indexInfos)
    if (info->sameAs) {
      const Index *at = canonical(info->index);
      info->index->lower = at->lower;
      info->index->upper = at->upper;
    }
}
