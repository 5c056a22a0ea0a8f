//===- Reporter.cpp - Collects, removes doubles, sorts --------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontend/Sema/Reporter.h"
#include "llvm/ADT/STLExtras.h"
#include <functional>
#include <numeric>

using namespace rondo::frontend;
using namespace rondo::frontend::sema;

void Reporter::file(Diagnostic diagnostic) {
  if (diagnostic.severity == Severity::Error)
    ++errors;
  const char *place = diagnostic.range.Start.getPointer();
  if (!seen.insert({place, diagnostic.message}).second || full())
    return;
  // The innermost uses say the most.
  size_t first = inlinedAt.size() > 4 ? inlinedAt.size() - 4 : 0;
  for (size_t i = inlinedAt.size(); i > first; --i)
    diagnostic.notes.push_back(inlinedAt[i - 1]);
  reports.push_back(std::move(diagnostic));
}

void Reporter::flush(Diagnostics &diags) {
  std::vector<size_t> order(reports.size());
  std::iota(order.begin(), order.end(), 0);
  llvm::sort(order, [&](size_t a, size_t b) {
    const char *x = reports[a].range.Start.getPointer();
    const char *y = reports[b].range.Start.getPointer();
    return x == y ? a < b : std::less<const char *>()(x, y);
  });
  for (size_t i : order)
    diags.report(reports[i]);
  reports.clear();
}
