//===- Overlap.c - Do two strided tensors share a byte? -------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Two results may well interleave, such as the parts of one fused q, k, v
// buffer, so comparing their first and last bytes is not enough. With `delta`
// the distance of the two bases, the tensors share a byte when
//
//   delta + sum_k i_k * a_k - sum_l j_l * b_l   lies in (-size a, size b)
//
// for some indices i and j. Strides of both are put in one list, equal ones
// merged (their indices add up to one variable with a wider range); going from
// the largest stride down, only values that the rest of the list can still
// bring into the window are tried. For ordinary layouts that is one or two per
// stride.
//
//===----------------------------------------------------------------------===//

#include "Support.h"

/// A variable with values in [low, high] and a positive coefficient.
typedef struct Term {
  int64_t coefficient, low, high;
} Term;

typedef struct Problem {
  Term terms[2 * RONDO_MAX_RANK];
  int32_t count;
  /// Least and greatest sum of the terms from this one on.
  int64_t least[2 * RONDO_MAX_RANK + 1], most[2 * RONDO_MAX_RANK + 1];
  int64_t windowLow, windowHigh;
  int32_t budget;
} Problem;

/// Adds sign * stride * x with x from 0 to extent - 1.
static void addTerm(Problem *problem, const rondo_operand *operand, int32_t dim,
                    int64_t sign) {
  int64_t steps = operand->extents[dim] - 1;
  if (steps == 0 || operand->strides[dim] == 0)
    return;
  int64_t coefficient = sign * operand->strides[dim] * operand->element_size;
  int64_t low = 0, high = steps;
  if (coefficient < 0) {
    coefficient = -coefficient;
    low = -steps;
    high = 0;
  }
  int32_t place = 0;
  while (place < problem->count &&
         problem->terms[place].coefficient > coefficient)
    ++place;
  Term *term = &problem->terms[place];
  if (place < problem->count && term->coefficient == coefficient) {
    term->low += low;
    term->high += high;
    return;
  }
  for (int32_t i = problem->count; i > place; --i)
    problem->terms[i] = problem->terms[i - 1];
  ++problem->count;
  *term = (Term){coefficient, low, high};
}

static int64_t floorDiv(int64_t a, int64_t b) { return a / b - (a % b < 0); }

/// Whether values of the terms from `first` on bring `sum` into the window.
static bool solve(Problem *problem, int32_t first, int64_t sum) {
  if (sum + problem->least[first] > problem->windowHigh ||
      sum + problem->most[first] < problem->windowLow)
    return false;
  if (first == problem->count || --problem->budget < 0)
    return true;
  const Term *term = &problem->terms[first];
  int64_t c = term->coefficient;
  // c * x + sum + most >= windowLow and c * x + sum + least <= windowHigh.
  int64_t from =
      -floorDiv(-(problem->windowLow - sum - problem->most[first + 1]), c);
  int64_t to =
      floorDiv(problem->windowHigh - sum - problem->least[first + 1], c);
  if (from < term->low)
    from = term->low;
  if (to > term->high)
    to = term->high;
  for (int64_t x = from; x <= to; ++x)
    if (solve(problem, first + 1, sum + c * x))
      return true;
  return false;
}

bool rondo_operands_overlap(const rondo_operand *a, const rondo_operand *b) {
  if ((intptr_t)a->data + a->low >= (intptr_t)b->data + b->high ||
      (intptr_t)b->data + b->low >= (intptr_t)a->data + a->high)
    return false;
  Problem problem;
  problem.count = 0;
  problem.budget = 4096;
  problem.windowLow = 1 - a->element_size;
  problem.windowHigh = b->element_size - 1;
  for (int32_t dim = 0; dim < a->info->rank; ++dim)
    addTerm(&problem, a, dim, 1);
  for (int32_t dim = 0; dim < b->info->rank; ++dim)
    addTerm(&problem, b, dim, -1);
  int64_t least = 0, most = 0;
  for (int32_t i = problem.count; i >= 0; --i) {
    if (i < problem.count) {
      least += problem.terms[i].coefficient * problem.terms[i].low;
      most += problem.terms[i].coefficient * problem.terms[i].high;
    }
    problem.least[i] = least;
    problem.most[i] = most;
  }
  return solve(&problem, 0, (intptr_t)a->data - (intptr_t)b->data);
}
