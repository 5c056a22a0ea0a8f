//===- Passes.td - Passes on symbolic expressions ----------*- tablegen -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_ALGEBRA_PASSES
#define RONDO_PASSES_ALGEBRA_PASSES

include "mlir/Pass/PassBase.td"

def DeriveBackward : Pass<"rondo-derive-backward", "::mlir::ModuleOp"> {
  let summary = "Derives the backward pass of every kernel";
  let description = [{
    Beside each kernel `f` a kernel `f_backward` (attribute `entry = "backward"`)
    that computes, from the inputs of `f` and the gradients of its results, the
    gradients of its inputs: `<argument>.grad` for arguments of real numbers,
    `<state>.initial.grad` for initial values. `<state>.final.grad` is optional
    as initial values are, else 0. The forward pass is part of it, as far as it is
    needed.

    Reverse mode in index notation (Griewank and Walther, Evaluating Derivatives,
    chapter 3): with E over all equations that read X,
    ```
    X.grad[i] = sum over E and p of E.grad[p] * d E[p] / d X[i]
    ```
    where the derivative of a read X[f(p)] is a delta of f(p) and i, which ends
    the sum over an index of p that it determines and is a condition otherwise. What a recurrence
    feeds back becomes a recurrence in the other direction, with the *carry* of
    reads at earlier steps as its state.

    Before:
    ```
    S[t, i, j] = exp(g[t, i]) * S[t-1, i, j] + k[t, i] * v[t, j]
    o[t, j]    = sum[i] q[t, i] * S[t, i, j]
    ```
    After, t running backwards, with S.final.grad for S.carry behind the end:
    ```
    S.grad[t, i, j]  = q[t, i] * o.grad[t, j] + S.carry[t+1, i, j]
    S.carry[t, i, j] = exp(g[t, i]) * S.grad[t, i, j]
    v.grad[t, j]     = sum[i] k[t, i] * S.grad[t, i, j]
    g.grad[t, i]     = sum[j] S.grad[t, i, j] * exp(g[t, i]) * S[t-1, i, j]
    S.initial.grad   = S.carry[0]
    ```
    Of conditions, rounding and `step` the derivative is 0, where they have one;
    of `max` and `min` it is that of the operand that was taken, the first of two
    equal ones; in a reduction all that attain it share it.

    A batch dim that not all inputs with a gradient have is none of the backward
    kernel: what lacks it gets the sum over it.

    Pre-condition: `rondo-decompose` and `rondo-expand-grad` have run. Fails with
    an error at the equation if something in it has no derivative.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::math::MathDialect"];
}

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

def ScaleExponents : Pass<"rondo-scale-exponents", "::mlir::ModuleOp"> {
  let summary = "Makes exponentials of products powers of two";
  let description = [{
    A processor computes exp(x) as 2^(x log2(e)). Where x is a product with a
    factor that has fewer indices than the product, that factor is multiplied
    by log2(e), once for all values of the other indices. A constant factor is
    multiplied at compile time. For f32; the result differs by one rounding of
    the exponent.

    Before:
    ```
    h[t, d, n] = exp(dt[t, d] * A[d, n]) * ..
    ```
    After:
    ```
    h[t, d, n] = exp2((dt[t, d] * 1.442695) * A[d, n]) * ..
    ```
    Comes after the analysis of recurrences, which knows exponentials by exp.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::math::MathDialect"];
  let statistics = [
    Statistic<"numScaled", "scaled", "exponentials that became powers of two">];
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
