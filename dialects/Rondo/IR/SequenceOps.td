//===- SequenceOps.td - Whole forms of sequence models -----*- tablegen -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Operations for forms that have a parallel algorithm of their own. Each of
// them is exactly some equations and recurrences, into which
// `rondo-decompose` rewrites it; keeping it whole keeps the choice open.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_SEQUENCE_OPS
#define RONDO_SEQUENCE_OPS

def ReduceOp : RondoOp<"reduce", [
    Pure, AttrSizedOperandSegments, SingleBlock,
    ParentOneOf<["EquationOp", "ReduceOp", "AttentionOp"]>]> {
  let summary = "Reduce inside a body";
  let description = [{
    result = combine over r, lowers <= r < uppers and filter(r), of body(r)

    A reduction as a scalar of the body around it, with the combiners, the
    identities and the filter of `rondo.equation`. `rondo-decompose` gives it an
    equation of its own.

    Constraints:
    - (C1) One block argument of type index per reduction dim, at least one, and
      a lower and an upper bound for each.
    - (C2) The bounds come from outside of all bodies, so that its equation can
      have them.
    - (C3) The yielded value has the result's type; sum and prod are of numbers,
      any and all of conditions.

    ```mlir
    // sum[i] q[t, i] * k[u, i]
    %s = rondo.reduce sum (%i = %c0 to %K) -> f32 {
      %0 = rondo.read %q[%t, %i] : tensor<?x?xf32> -> f32
      %1 = rondo.read %k[%u, %i] : tensor<?x?xf32> -> f32
      %2 = arith.mulf %0, %1 : f32
      rondo.yield %2 : f32
    }
    ```
  }];
  let arguments = (ins Variadic<Index>:$lowers /*reduce_c1, c2*/,
                       Variadic<Index>:$uppers /*reduce_c1, c2*/,
                       Combiner:$combiner);
  let results = (outs RondoScalar:$result /*reduce_c3*/);
  let regions = (region SizedRegion<1>:$body /*reduce_c1*/);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
  let extraClassDeclaration = [{
    ::mlir::Block &getBlock() { return getBody().front(); }
    ::rondo::YieldOp getYield();
  }];
}

def ScanOp : RondoOp<"scan", [Pure, AttrSizedOperandSegments, SingleBlock]> {
  let summary = "Combine all prefixes along a dim";
  let description = [{
    y[.., 0, ..] = x[.., 0, ..]                               (without initials)
    y[.., 0, ..] = combine(initial[.., ..], x[.., 0, ..])     (with initials)
    y[.., t, ..] = combine(y[.., t-1, ..], x[.., t, ..])

    x, y and initial stand for k tensors each; the region combines k scalars
    with k scalars: first the earlier ones, then the later ones. A reversed scan
    runs from the end: t+1 is earlier than t.

    The region must be associative; else the result is undefined, because every
    grouping of neighbours may be used. It need not be commutative and needs no
    identity.

    Constraints:
    - (C1) At least one input; inputs and results have one dim per size; each
      initial value one less.
    - (C2) There are no initial values or one per input.
    - (C3) `dim` is one of the dims and none of the kernel's batch dims.
    - (C4) The block has 2 k scalars; the region yields k. Scalars fit the
      elements of the inputs and of the initial values, and have the types of
      the results' elements.

    ```mlir
    // (a, h)[t] = (a[t] a[t-1], a[t] h[t-1] + h[t]): h[t] = a[t] h[t-1] + x[t]
    %p:2 = rondo.scan "h" along 0 of (%a, %x) sizes (%T, %D) initial ()
        : (tensor<?x?xf32>, tensor<?x?xf32>, index, index) -> (tensor<?x?xf32>, tensor<?x?xf32>) {
    ^bb0(%a0: f32, %h0: f32, %a1: f32, %h1: f32):
      %0 = arith.mulf %a1, %a0 : f32
      %1 = arith.mulf %a1, %h0 : f32
      %2 = arith.addf %1, %h1 : f32
      rondo.yield %0, %2 : f32, f32
    }
    ```
  }];
  let arguments = (ins StrAttr:$name,
                       I64Attr:$dim /*scan_c3*/,
                       UnitAttr:$reversed,
                       Variadic<AnyRankedTensor>:$inputs /*scan_c1, c4*/,
                       Variadic<Index>:$sizes /*scan_c1*/,
                       Variadic<AnyRankedTensor>:$initials /*scan_c1, c2, c4*/);
  let results = (outs Variadic<AnyRankedTensor>:$results /*scan_c1, c4*/);
  let regions = (region SizedRegion<1>:$body /*scan_c4*/);
  let assemblyFormat = [{
    $name `along` $dim (`reversed` $reversed^)? `of` ` ` `(` $inputs `)`
    `sizes` ` ` `(` $sizes `)` `initial` ` ` `(` $initials `)` attr-dict
    `:` functional-type(operands, results) $body
  }];
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
  let extraClassDeclaration = [{
    ::mlir::Block &getBlock() { return getBody().front(); }
    ::rondo::YieldOp getYield();
  }];
}

def AttentionOp : RondoOp<"attention", [
    Pure, AttrSizedOperandSegments, SingleBlock]> {
  let summary = "Average values by scores";
  let description = [{
    result[p, j] = sum over u, lowers <= u < uppers and mask(p, u), of
                   weight(p, u) * value(p, u, j)

    | normaliser | weight(p, u) |
    |---|---|
    | `softmax` | exp(score(p, u)) / sum over u', mask(p, u'), of exp(score(p, u')) |
    | `sum`     | score(p, u) / sum over u', mask(p, u'), of score(p, u') |
    | `none`    | score(p, u) |

    Where a weight would be divided by 0, above all where no u passes the mask,
    the result is 0. Softmax is computed relative to the greatest score, so that
    no finite score overflows. It may give two more results, its statistics:

    greatest(p) = max over u, mask(p, u), of score(p, u)
    norm(p)     = sum over u, mask(p, u), of exp(score(p, u) - greatest(p))

    -inf and 0 where no u passes the mask, so that greatest + log(norm) is the
    logarithm of the sum of the exponentials.

    The score region's block has one index per size, then one per range; it
    yields the score `where` the mask. The value region's block has in addition
    one index per value size; it yields the value. A score or value where the
    mask is false has no effect, not even when it is not finite. Sigmoid, ReLU
    and similar attention are `none` with that function in the score.

    Non-goals: dropout, and weights as a result.

    Constraints:
    - (C1) The score block has one argument of type index per size and range,
      the value block in addition one per value size; there is at least one
      range, with a lower and an upper bound.
    - (C2) The result's rank is the number of sizes and value sizes.
    - (C3) Each region ends in a rondo.yield of one real number of the result's
      element type.
    - (C4) The value has no filter.
    - (C5) Statistics are none, or two of a softmax, with one dim per size.

    ```mlir
    // o[t, j] = sum[u] (softmax[u | u <= t] sum[i] q[t, i] * k[u, i]) * v[u, j]
    %o = rondo.attention "o" softmax sizes (%T) over (%c0) to (%T) values (%V) -> tensor<?x?xf32>
    score {
    ^bb0(%t: index, %u: index):
      %s = rondo.reduce sum (%i = %c0 to %K) -> f32 {
        %0 = rondo.read %q[%t, %i] : tensor<?x?xf32> -> f32
        %1 = rondo.read %k[%u, %i] : tensor<?x?xf32> -> f32
        %2 = arith.mulf %0, %1 : f32
        rondo.yield %2 : f32
      }
      %mask = arith.cmpi sle, %u, %t : index
      rondo.yield %s where %mask : f32
    } value {
    ^bb0(%t: index, %u: index, %j: index):
      %0 = rondo.read %v[%u, %j] : tensor<?x?xf32> -> f32
      rondo.yield %0 : f32
    }
    ```
  }];
  let arguments = (ins StrAttr:$name, Normaliser:$normaliser,
                       Variadic<Index>:$sizes,
                       Variadic<Index>:$lowers /*attention_c1*/,
                       Variadic<Index>:$uppers /*attention_c1*/,
                       Variadic<Index>:$valueSizes);
  let results = (outs AnyRankedTensor:$result /*attention_c2, c3*/,
                      Variadic<AnyRankedTensor>:$statistics /*attention_c5*/);
  let regions = (region SizedRegion<1>:$score /*attention_c1, c3*/,
                        SizedRegion<1>:$value /*attention_c1, c3, c4*/);
  let assemblyFormat = [{
    $name $normaliser `sizes` ` ` `(` $sizes `)`
    `over` ` ` `(` $lowers `)` `to` ` ` `(` $uppers `)`
    `values` ` ` `(` $valueSizes `)` attr-dict `->` type($result)
    (`statistics` type($statistics)^)? `score` $score `value` $value
  }];
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
  let extraClassDeclaration = [{
    ::mlir::RankedTensorType getResultType() {
      return ::llvm::cast<::mlir::RankedTensorType>(getResult().getType());
    }
    ::rondo::YieldOp getScoreYield();
    ::rondo::YieldOp getValueYield();
  }];
}

def ConvolutionOp : RondoOp<"convolution", [Pure, AttrSizedOperandSegments]> {
  let summary = "Convolve along a dim";
  let description = [{
    Depthwise (without `channels`), c standing for all dims after t:

    y[b, t, c] = sum over w < taps, of weights[w, c] * x[b, t + offset + dilation * w, c]

    Dense (with `channels`), c being the one dim after t:

    y[b, t, c] = sum over w < taps, e < channels, of
                 weights[w, e, c] * x[b, t + offset + dilation * w, e]

    b stands for all dims before t, which is dim `dim`; `sizes` are the extents
    of the result. x is 0 out of range. A causal convolution has the offset
    -dilation * (taps - 1).

    Constraints:
    - (C1) Input and result have one dim per size.
    - (C2) `dim` is one of the dims; a dense convolution has one dim after it.
    - (C3) The weights have one dim for the taps, one more if dense, and one per
      dim after `dim`.
    - (C4) Elements are real numbers; those of input and weights fit the
      result's, which is f32 or f64.
    - (C5) `dilation` is positive.

    ```mlir
    // y[t, d] = sum[w in 0..4] w[w, d] * x[t - 3 + w, d]
    %y = rondo.convolution "y" of %x by %w along 0 sizes (%T, %D) taps %c4 offset %cm3 dilation 1
        : tensor<?x?xf32>, tensor<?x?xf32> -> tensor<?x?xf32>
    ```
  }];
  let arguments = (ins StrAttr:$name,
                       AnyRankedTensor:$input /*convolution_c1, c4*/,
                       AnyRankedTensor:$weights /*convolution_c3, c4*/,
                       I64Attr:$dim /*convolution_c2*/,
                       Variadic<Index>:$sizes /*convolution_c1*/,
                       Index:$taps, Optional<Index>:$channels,
                       Index:$offset, I64Attr:$dilation /*convolution_c5*/);
  let results = (outs AnyRankedTensor:$result /*convolution_c1, c4*/);
  let assemblyFormat = [{
    $name `of` $input `by` $weights `along` $dim `sizes` ` ` `(` $sizes `)`
    `taps` $taps (`channels` $channels^)? `offset` $offset `dilation` $dilation
    attr-dict `:` type($input) `,` type($weights) `->` type($result)
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    bool isDense() { return bool(getChannels()); }
  }];
}

def TriangularSolveOp : RondoOp<"triangular_solve", [Pure]> {
  let summary = "Solve a unit lower triangular system";
  let description = [{
    result[p, r, j] = right[p, r, j]
                    - sum over s < r of matrix[p, r, s] * result[p, s, j]

    p stands for all dims before r, which is dim `dim`, and j for all dims after
    it: (I + L) result = right, L being the part of the matrix below its
    diagonal. What the matrix holds on and above the diagonal has no effect,
    finite or not; result[r] depends on the rows s <= r only.

    Non-goals: an upper triangle, and a diagonal other than 1. Rows are solved
    from the first to the last.

    Constraints:
    - (C1) The right side and the result have one dim per size.
    - (C2) `dim` is one of the dims and none of the kernel's batch dims.
    - (C3) The matrix has the dims p, r and s.
    - (C4) Elements are real numbers; those of matrix and right side fit the
      result's, which is f32 or f64.

    ```mlir
    // x[r, j] = b[r, j] - sum[s | s < r] l[r, s] * x[s, j]
    %x = rondo.triangular_solve "x" of %l, %b along 0 sizes (%C, %V)
        : tensor<?x?xf32>, tensor<?x?xf32> -> tensor<?x?xf32>
    ```
  }];
  let arguments = (ins StrAttr:$name,
                       AnyRankedTensor:$matrix /*triangular_solve_c3, c4*/,
                       AnyRankedTensor:$right /*triangular_solve_c1, c4*/,
                       I64Attr:$dim /*triangular_solve_c2*/,
                       Variadic<Index>:$sizes /*triangular_solve_c1*/);
  let results = (outs AnyRankedTensor:$result /*triangular_solve_c1, c4*/);
  let assemblyFormat = [{
    $name `of` $matrix `,` $right `along` $dim `sizes` ` ` `(` $sizes `)`
    attr-dict `:` type($matrix) `,` type($right) `->` type($result)
  }];
  let hasVerifier = 1;
}

#endif // RONDO_SEQUENCE_OPS
