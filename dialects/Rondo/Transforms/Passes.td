//===- Passes.td - Passes within the rondo dialect ---------*- tablegen -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_TRANSFORMS_PASSES
#define RONDO_TRANSFORMS_PASSES

include "mlir/Pass/PassBase.td"

def Decompose : Pass<"rondo-decompose", "::mlir::ModuleOp"> {
  let summary = "Rewrites whole forms to equations and recurrences";
  let description = [{
    Every `rondo.reduce` gets an equation of its own, over the indices that it
    uses; every `rondo.attention`, `rondo.scan`, `rondo.convolution` and
    `rondo.triangular_solve` becomes the equations and recurrences that its description stands for. After it,
    what computes in a kernel is equations and recurrences only, and reductions
    stand at the root of their equations.

    The values stay the same, up to the rounding of sums. Equations are over the
    batch dims first, and a recurrence's history has the layout that passes
    expect. Run CSE afterwards: equal reductions become equal equations.

    Before:
    ```
    o = attention softmax: score s(t, u) where u <= t, value v[u, j]
    ```
    After:
    ```
    o.score[t, u]  = s(t, u)
    o.max[t]       = max[u | u <= t] o.score[t, u]
    o.weight[t, u] = exp(o.score[t, u] - o.max[t])
    o.weighted[t, j] = sum[u | u <= t] o.weight[t, u] * v[u, j]
    o.norm[t]      = sum[u | u <= t] o.weight[t, u]
    o[t, j]        = if o.norm[t] == 0 then 0 else o.weighted[t, j] / o.norm[t]
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::math::MathDialect", "::rondo::RondoDialect"];
  let statistics = [
    Statistic<"numReduces", "reduces", "reductions given an equation">,
    Statistic<"numForms", "forms", "whole forms rewritten">];
}

#endif // RONDO_TRANSFORMS_PASSES
