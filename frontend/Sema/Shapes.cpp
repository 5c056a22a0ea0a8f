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
#include "llvm/ADT/STLExtras.h"

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

/// A state may have no other use of its time index: then whoever reads it says
/// how long it is.
bool KernelAnalyzer::inferStateDimsFromReaders(Scope &scope) {
  bool changed = false;
  for (const Use &use : scope.uses) {
    const IndexInfo &index = infoOf(canonical(use.index));
    Dim &dim = use.tensor->dims[use.dim];
    if (dim.known || index.explicitRange || !index.range.known ||
        use.tensor->tensor->role != Tensor::Role::State)
      continue;
    dim = index.range;
    dim.from = use.range;
    changed = true;
  }
  if (changed)
    inferShapes(scope);
  return changed;
}

/// An index that stands nowhere alone, but in the time of a state, runs over
/// that time: past[t, d] = f(h[t-1, d]).
bool KernelAnalyzer::inferFromTimeUses(Scope &scope) {
  bool changed = false;
  for (const Scope::TimeUse &use : scope.timeUses) {
    const Dim &dim = use.tensor->dims[use.dim];
    std::vector<const Index *> indices;
    polys.collectIndices(polys.fromExpr(use.subscript), indices);
    if (!dim.known || indices.empty() ||
        llvm::any_of(indices, [&](const Index *i) { return i != indices[0]; }))
      continue;
    IndexInfo &index = infoOf(canonical(indices[0]));
    if (!index.onLeft || index.explicitRange || index.range.known)
      continue;
    index.range = dim;
    index.range.from = use.range;
    changed = true;
  }
  if (changed)
    inferShapes(scope);
  return changed;
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
            use.index->name + " in 0..n]`")
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
