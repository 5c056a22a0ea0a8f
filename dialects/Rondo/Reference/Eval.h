//===- Eval.h - The reference interpreter -----------------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Evaluates a `rondo.kernel` on arrays of doubles, one point and one time step
// at a time. It is the meaning of the dialect: every compiled form is compared
// with it. It is written to be read; its only concession to speed is that the
// scalar code of an equation is flattened once (Body.h) before its points are
// visited.
//
// - Real numbers are computed in double, whatever their type in the IR, and
//   are not rounded to the element type of a result. (A constant of type f32
//   holds a rounded value: lower a program with dtype f64 to have exact ones.)
// - Integers are 64-bit in bodies and wrap around; arrays hold them, and
//   conditions (0 or 1), as doubles, so values from 2^53 on are rounded when
//   they are stored.
// - A division of integers by zero, which the dialect leaves undefined, is 0.
// - The whole history of every member of a recurrence is kept: 8 bytes times
//   the product of its dims. A point that has not been computed yet holds NaN.
// - A gather out of range is an error, also where a `select` or the filter of
//   a reduction then drops the value.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_DIALECTS_RONDO_REFERENCE_EVAL_H
#define RONDO_DIALECTS_RONDO_REFERENCE_EVAL_H

#include "dialects/Rondo/IR/RondoOps.h"
#include "llvm/Support/Error.h"
#include <map>
#include <string>
#include <vector>

namespace rondo::reference {

/// A tensor, row-major. Integers and conditions are held as doubles.
struct Array {
  std::vector<int64_t> shape;
  std::vector<double> data; // product of shape

  int64_t getNumElements() const;
};

/// Finds the value of every size of `kernel`, in their order, from the shapes
/// of the inputs that are there: dims that are a size by itself first, then
/// dims that hold one unknown size (`H floordiv G`, `4 * D`), until nothing
/// new is found. `given` fixes sizes by name and wins nothing: a shape, a
/// bound or a given value that disagrees is an error which names the tensor,
/// the dim, what was expected and what was found, and so is a size that no
/// shape tells. Inputs that the kernel does not have are ignored.
llvm::Expected<llvm::SmallVector<int64_t>>
inferSizes(KernelOp kernel, const std::map<std::string, Array> &inputs,
           const std::map<std::string, int64_t> &given = {});

/// Evaluates `kernel` with its sizes in order. `inputs` holds every argument
/// under its name and may hold `<state>.initial`; a missing one has the value
/// that the kernel declares. The answer holds every result and every
/// `<state>.final` under its name.
llvm::Expected<std::map<std::string, Array>>
evaluate(KernelOp kernel, const std::map<std::string, Array> &inputs,
         llvm::ArrayRef<int64_t> sizes);

} // namespace rondo::reference

#endif // RONDO_DIALECTS_RONDO_REFERENCE_EVAL_H
