//===- Passes.td - Passes on symbolic expressions ----------*- tablegen -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_ALGEBRA_PASSES
#define RONDO_PASSES_ALGEBRA_PASSES

include "mlir/Pass/PassBase.td"

def ExpandGrad : Pass<"rondo-expand-grad", "::mlir::ModuleOp"> {
  let summary = "Replaces gradients inside a model by equations";
  let description = [{
    Each `rondo.grad %value wrt %variable` becomes scalar code and, for the sums
    in it, equations in front of its own. Equations that `value` reads and that
    depend on the variable are differentiated through.

    Before:
    ```
    loss   = 0.5 * sum[j] (sum[i] W[p, i, j] * k[i] - v[j]) ^ 2
    W[..]  = .. grad(loss, W[p, i, j]) ..
    ```
    After:
    ```
    r[i, j] = sum[i'] W[p, i', j] * k[i']
    W[..]   = .. (r[i, j] - v[j]) * k[i] ..
    ```
    Fails with an error at the gradient if something in between has no
    derivative. After it no `rondo.grad` is left.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::math::MathDialect"];
}

#endif // RONDO_PASSES_ALGEBRA_PASSES
