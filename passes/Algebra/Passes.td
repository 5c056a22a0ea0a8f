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

def HoistInvariants : Pass<"rondo-hoist-invariants", "::mlir::ModuleOp"> {
  let summary = "Gives expensive parts of equations equations of their own";
  let description = [{
    A value in the body of an equation that uses only some of its indices is the
    same for all values of the others. If computing it takes a function, a
    division or a square root, it becomes an equation over the indices it uses,
    so that it is computed once for each of their values.

    Before:
    ```
    o[t, j] = sum[u] exp(s[t, u] - m[t]) * v[u, j]
    ```
    After:
    ```
    o.part[t, u] = exp(s[t, u] - m[t])
    o[t, j]      = sum[u] o.part[t, u] * v[u, j]
    ```
    Parts that gather stay where they are: their filter guards them.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
  let statistics = [
    Statistic<"numHoisted", "hoisted", "parts that became equations">];
}

def InlineReaders : Pass<"rondo-inline-readers", "::mlir::ModuleOp"> {
  let summary = "Reads states where they are summed";
  let description = [{
    An equation that reads the history of a state, is no reduction, and is itself
    only read inside reductions, at their indices, becomes part of these. It would
    be as large as the history; and what a state is contracted with is then seen
    in one equation, however it was written.

    Before:
    ```
    p[t, i, j] = q[t, i] * S[t, i, j]
    o[t, j]    = sum[i] p[t, i, j]
    ```
    After:
    ```
    o[t, j]    = sum[i] q[t, i] * S[t, i, j]
    ```
  }];
  let statistics = [
    Statistic<"numInlined", "inlined", "equations that became parts of others">];
}

def MergeEquations : Pass<"rondo-merge-equations", "::mlir::ModuleOp"> {
  let summary = "Merges equations that differ in their name only";
  let description = [{
    An equation that says the same as an earlier one of the same block is
    replaced by it. Common subexpression elimination keeps them apart because
    their names differ; the first name stays.

    Before:
    ```
    y.sum[t] = sum[d] x[t, d]
    z.sum[t] = sum[d] x[t, d]
    ```
    After: `y.sum` serves both.
  }];
  let statistics = [
    Statistic<"numMerged", "merged", "equations that were replaced">];
}

def RaiseAttention : Pass<"rondo-raise-attention", "::mlir::ModuleOp"> {
  let summary = "Find the attentions among the equations";
  let description = [{
    A sum over u of products of weights of t and u, in which a contraction of t
    with u stands, and values of u, becomes a `rondo.attention`:

    - `softmax` when the weights are an exponential that is divided by its own sum
      under the same conditions, inside of the sum or, relative to the greatest
      score, outside of it. What else reads this sum and the greatest score (a
      logsumexp) reads the attention's statistics;
    - `sum` when other weights are divided by their own sum;
    - `none` for all other weights: sigmoid, ReLU, polynomials, decayed products.

    What decides is the algebra, not the spelling: pointwise equations over t and
    u are inlined, products taken apart, conditions collected from filters and
    selects. Factors of t and u beside a softmax join the value, factors without u
    stay outside.

    Before:
    ```
    s[t, u] = sum[i] q[t, i] * k[u, i]
    m[t]    = max[u | u <= t] s[t, u]
    l[t]    = sum[u | u <= t] exp(s[t, u] - m[t])
    o[t, j] = sum[u] (if u <= t then exp(s[t, u] - m[t]) / l[t] else 0) * v[u, j]
    ```
    After: `o = attention softmax`, score `s[t, u] where u <= t`, value `v[u, j]`.

    Post-condition: the contractions stay equations, which the score reads.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
  let statistics = [
    Statistic<"numRaised", "raised", "sums that became attentions">];
}

#endif // RONDO_PASSES_ALGEBRA_PASSES
