//===- Scan.h - Recurrences as associative scans ----------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_FORMS_SCAN_H
#define RONDO_PASSES_FORMS_SCAN_H

#include "passes/Analysis/Structure.h"
#include <string>

namespace rondo {

/// Replaces a recurrence along one dim by scans (`rondo.scan`) and equations.
/// False, with the reason in the user's words and nothing changed, when there
/// is no such form.
///
/// Members that need each other's past form a *group*; groups are computed one
/// after the other, so that to a later one the whole history of an earlier one
/// is known. A group reads its own past at the step before and at its own
/// indices only, and its step is a map of a kind that composition leaves in the
/// kind:
///
///   affine      h[t] = A[t] h[t-1] + b[t], for n members a matrix of n x n
///               (A1, b1) after (A0, b0) = (A1 A0, A1 b0 + b1)
///   (max, +)    m[t] = max(m[t-1] + a[t], b[t]), also with min
///               (a1, b1) after (a0, b0) = (a0 + a1, max(b0 + a1, b1))
///   none        no past of its own: an equation
///
/// Exponential averages whose exponent is held down by a running maximum (an
/// attention as a recurrence, RWKV-4, the stabilised states of mLSTM) need no
/// kind of their own: the maximum is a group before them, and with it known
/// they are affine with coefficients in (0, 1].
bool toScan(algebra::Context &context, RecurrenceOp op, std::string &reason);

/// Whether there is such a form; changes nothing.
bool hasScanForm(algebra::Context &context, RecurrenceOp op,
                 std::string &reason);

} // namespace rondo

#endif // RONDO_PASSES_FORMS_SCAN_H
