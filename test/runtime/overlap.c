//===- overlap.c - The overlap test against enumeration -------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Random small layouts: the answer must be that of marking every byte.
//
//===----------------------------------------------------------------------===//

#include "../../runtime/src/Artifact/Support.h"
#include "Check.h"

#include <string.h>

enum { Bytes = 4096, MaxRank = 3, Trials = 200000 };

static unsigned Seed = 1;

static int64_t pick(int64_t low, int64_t high) {
  Seed = Seed * 1664525u + 1013904223u;
  return low + (int64_t)((Seed >> 8) % (unsigned)(high - low + 1));
}

/// An operand with memory for its extents and strides.
typedef struct Layout {
  rondo_tensor_info info;
  int64_t extents[MaxRank], strides[MaxRank];
  rondo_operand operand;
} Layout;

/// A random layout whose bytes lie inside `memory`.
static void makeLayout(Layout *layout, char *memory, const Layout *like) {
  static const int64_t sizes[] = {1, 2, 4, 8};
  memset(layout, 0, sizeof(*layout));
  rondo_operand *operand = &layout->operand;
  operand->info = &layout->info;
  operand->extents = layout->extents;
  operand->strides = layout->strides;
  operand->element_size = like ? like->operand.element_size : sizes[pick(0, 3)];
  layout->info.rank = like ? like->info.rank : (int32_t)pick(0, MaxRank);
  int64_t low = 0, high = 0;
  for (int32_t dim = 0; dim < layout->info.rank; ++dim) {
    layout->extents[dim] = pick(1, 4);
    layout->strides[dim] = like ? like->strides[dim] : pick(-12, 24);
    int64_t reach = (layout->extents[dim] - 1) * layout->strides[dim];
    low += reach < 0 ? reach : 0;
    high += reach > 0 ? reach : 0;
  }
  operand->low = low * operand->element_size;
  operand->high = (high + 1) * operand->element_size;
  operand->data = memory + Bytes / 2 + pick(-40, 40) * pick(1, 8);
}

/// Marks the operand's bytes, or tells whether one is marked.
static bool visit(const rondo_operand *operand, int32_t dim, const char *place,
                  const char *memory, char *marks, bool mark) {
  bool hit = false;
  if (dim < operand->info->rank) {
    for (int64_t i = 0; i < operand->extents[dim]; ++i)
      hit |= visit(operand, dim + 1,
                   place + i * operand->strides[dim] * operand->element_size,
                   memory, marks, mark);
    return hit;
  }
  for (int64_t byte = 0; byte < operand->element_size; ++byte) {
    char *slot = &marks[place + byte - memory];
    hit |= *slot;
    if (mark)
      *slot = 1;
  }
  return hit;
}

int main(void) {
  static char memory[Bytes], marks[Bytes];
  int wrong = 0, overlapping = 0;
  for (int trial = 0; trial < Trials; ++trial) {
    Layout a, b;
    makeLayout(&a, memory, NULL);
    makeLayout(&b, memory, trial % 2 ? &a : NULL);
    memset(marks, 0, sizeof(marks));
    visit(&a.operand, 0, a.operand.data, memory, marks, true);
    bool expected = visit(&b.operand, 0, b.operand.data, memory, marks, false);
    overlapping += expected;
    wrong += rondo_operands_overlap(&a.operand, &b.operand) != expected;
  }
  CHECK(wrong == 0);
  CHECK(overlapping > Trials / 20 && overlapping < Trials * 19 / 20);
  return CHECK_SUMMARY();
}
