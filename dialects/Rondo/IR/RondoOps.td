//===- RondoOps.td - Operations of the rondo dialect -------*- tablegen -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_OPS
#define RONDO_OPS

include "dialects/Rondo/IR/RondoDialect.td"
include "dialects/Rondo/IR/RondoAttrs.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

class RondoOp<string mnemonic, list<Trait> traits = []>
    : Op<RondoDialect, mnemonic, traits>;

/// What a body computes with: a real number, an integer, a condition.
def RondoScalar : AnyTypeOf<[F32, F64, Index, I1],
                            "a real number, an index or a condition">;
def RondoReal : AnyTypeOf<[F32, F64], "a real number">;

//===----------------------------------------------------------------------===//
// Structure
//===----------------------------------------------------------------------===//

def KernelOp : RondoOp<"kernel", [IsolatedFromAbove, Symbol, SingleBlock]> {
  let summary = "Define a kernel";
  let description = [{
    A function from tensors to tensors, given by equations.

    The block's arguments are the tensors of `inputs` in order: the arguments,
    then one optional `<state>.initial` per state. `rondo.return` gives the
    tensors of `outputs`: the results, then one `<state>.final` per state;
    values are rounded to the element type of the spec when they are stored.
    Sizes are the symbols of all shapes; `bound` holds the value of a size that
    is fixed at compile time, else -1. Every equation has the `batch` dims as
    its first indices and holds for each of their points independently.
    `time`, when there is one, is the size that a sequence runs over.

    Constraints:
    - (C1) `bound` has one entry per size, each -1 or not negative.
    - (C2) The block has one argument per input; it is a tensor with the rank
      and the element type of the spec.
    - (C3) Every shape has as many symbols as there are sizes, and no dims.
    - (C4) Inputs are arguments or initials, outputs results or finals.
    - (C5) Every batch name and `time` is one of the sizes.
    - (C6) The last op is a `rondo.return` with one tensor per output, of the
      rank of the spec; an `order` is a permutation of its dims. The tensor may
      have batch dims that the spec lacks and `order` leaves out: all their
      points are the same.

    ```mlir
    rondo.kernel @scale sizes ["T"] bound [-1] batch []
        inputs [#rondo.tensor<"x", argument, f32, ()[T] -> (T)>]
        outputs [#rondo.tensor<"y", result, f32, ()[T] -> (T)>] {
    ^bb0(%x: tensor<?xf32>):
      %T = rondo.size "T"
      %y = rondo.equation "y" (%t < %T) -> tensor<?xf32> {
        %0 = rondo.read %x[%t] : tensor<?xf32> -> f32
        %1 = arith.addf %0, %0 : f32
        rondo.yield %1 : f32
      }
      rondo.return %y : tensor<?xf32>
    }
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name,
                       StrArrayAttr:$sizes /*kernel_c1, kernel_c3, kernel_c5*/,
                       DenseI64ArrayAttr:$bound /*kernel_c1*/,
                       StrArrayAttr:$batch /*kernel_c5*/,
                       OptionalAttr<StrAttr>:$time /*kernel_c5*/,
                       TypedArrayAttrBase<TensorSpecAttr, "tensor specs">:$inputs /*kernel_c2..c4*/,
                       TypedArrayAttrBase<TensorSpecAttr, "tensor specs">:$outputs /*kernel_c3, c4, c6*/);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $sym_name `sizes` $sizes `bound` $bound `batch` $batch (`time` $time^)?
    `inputs` $inputs `outputs` $outputs attr-dict-with-keyword $body
  }];
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
  let extraClassDeclaration = [{
    ::rondo::TensorSpecAttr getInput(unsigned i);
    ::rondo::TensorSpecAttr getOutput(unsigned i);
    /// Position of a size among `sizes`, or -1.
    int64_t getSizeIndex(::llvm::StringRef name);
  }];
}

def ReturnOp : RondoOp<"return", [Pure, Terminator, HasParent<"KernelOp">]> {
  let summary = "Give the results of a kernel";
  let description = [{
    One tensor per output of the kernel, in order. Values are rounded once, to
    the element type of the output's spec, when they are stored; dims are
    permuted by the spec's `order`.
  }];
  let arguments = (ins Variadic<AnyRankedTensor>:$operands);
  let assemblyFormat = "($operands^ `:` type($operands))? attr-dict";
}

def SizeOp : RondoOp<"size", [Pure]> {
  let summary = "Give the value of a size";
  let description = [{
    The extent with this name in the enclosing kernel. Folds to a constant when
    the kernel binds it.

    Constraints:
    - (C1) The name is one of the sizes of the enclosing kernel.

    ```mlir
    %T = rondo.size "T"
    ```
  }];
  let arguments = (ins StrAttr:$name /*size_c1*/);
  let results = (outs Index:$result);
  let assemblyFormat = "$name attr-dict";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def InitialOp : RondoOp<"initial", [Pure, AllTypesMatch<["declared", "result"]>]> {
  let summary = "Choose a state's initial value";
  let description = [{
    The optional argument `given` when the caller passed it, else `declared`.
    Both have the shape of the state without the dims it runs along.

    Constraints:
    - (C1) `given` is an argument of the kernel whose role is `initial`.
    - (C2) `given` and `declared` have the same rank.

    ```mlir
    %h0 = rondo.initial %h.initial else %zero : tensor<?x?xf32>, tensor<?x?xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$given /*initial_c1, c2*/,
                       AnyRankedTensor:$declared /*initial_c2*/);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$given `else` $declared attr-dict `:` type($given) `,` type($declared)";
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Equations
//===----------------------------------------------------------------------===//

def EquationOp : RondoOp<"equation", [
    Pure, AttrSizedOperandSegments, SingleBlock]> {
  let summary = "Define a tensor at every point of an index space";
  let description = [{
    result[p] = body(p), or, with a combiner,
    result[p] = combine over r, lowers <= r < uppers and filter(p, r), of body(p, r).

    The block has one index argument per parallel dim (`sizes`), then one per
    reduction dim. The body is scalar code that reads tensors and ends in
    `rondo.yield value` or `rondo.yield value where condition`; the condition is
    the reduction's filter. An empty sum is 0, an empty product 1, an empty max
    -inf, an empty min +inf, an empty any false, an empty all true (max and min
    of integers: the least and the greatest 64-bit integer).
    A value where the filter is false has no effect, not even when it is not
    finite. Points are independent; their order is not defined, and neither is
    the order in which a reduction combines.

    Constraints:
    - (C1) One block argument of type index per parallel and reduction dim.
    - (C2) The result's rank is the number of parallel dims.
    - (C3) There are reduction dims exactly when there is a combiner.
    - (C4) The yielded value has the result's element type (`index` is stored
      as i64); sum and prod are of numbers, any and all of conditions.
    - (C5) A filter stands only with a combiner.

    ```mlir
    // o[t, j] = sum[i | i <= t] q[t, i] * s[i, j]
    %o = rondo.equation "o" (%t < %T, %j < %V) sum (%i = %c0 to %K) -> tensor<?x?xf32> {
      %0 = rondo.read %q[%t, %i] : tensor<?x?xf32> -> f32
      %1 = rondo.read %s[%i, %j] : tensor<?x?xf32> -> f32
      %2 = arith.mulf %0, %1 : f32
      %3 = arith.cmpi sle, %i, %t : index
      rondo.yield %2 where %3 : f32
    }
    ```
  }];
  let arguments = (ins StrAttr:$name,
                       Variadic<Index>:$sizes,
                       Variadic<Index>:$lowers, Variadic<Index>:$uppers,
                       OptionalAttr<Combiner>:$combiner /*equation_c3*/);
  let results = (outs AnyRankedTensor:$result /*equation_c2, c4*/);
  let regions = (region SizedRegion<1>:$body /*equation_c1*/);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
  let builders = [
    // Creates the block with its index arguments; the caller fills the body.
    OpBuilder<(ins "::llvm::StringRef":$name, "::mlir::Type":$elementType,
                   "::mlir::ValueRange":$sizes,
                   CArg<"::mlir::ValueRange", "{}">:$lowers,
                   CArg<"::mlir::ValueRange", "{}">:$uppers,
                   CArg<"std::optional<::rondo::Combiner>", "std::nullopt">:$combiner)>
  ];
  let extraClassDeclaration = [{
    ::mlir::Block &getBlock() { return getBody().front(); }
    ::mlir::ArrayRef<::mlir::BlockArgument> getParallelIndices();
    ::mlir::ArrayRef<::mlir::BlockArgument> getReductionIndices();
    ::rondo::YieldOp getYield();
    /// Type of the scalar that the body yields.
    ::mlir::Type getScalarType();
  }];
}

def YieldOp : RondoOp<"yield", [Pure, Terminator, AttrSizedOperandSegments,
    ParentOneOf<["EquationOp", "RecurrenceOp", "IterateOp", "ReduceOp",
                 "ScanOp", "AttentionOp"]>]> {
  let summary = "End a body";
  let description = [{
    In an equation: the value at this point and, in a reduction, optionally the
    condition under which it counts. In a recurrence: the tensors at this step.
    In an iteration: the next tensors and the residual, or the tensors instead.
    In a scan: the combined values. In an attention: a score, optionally with
    its mask, and a value.

    Constraints:
    - (C1) A filter stands only in an equation, a reduce or an attention.
  }];
  let arguments = (ins Variadic<AnyType>:$values,
                       Optional<I1>:$filter /*yield_c1*/);
  let assemblyFormat = "$values (`where` $filter^)? attr-dict `:` type($values)";
  let hasVerifier = 1;
  let builders = [OpBuilder<(ins "::mlir::ValueRange":$values), [{
    build($_builder, $_state, values, ::mlir::Value());
  }]>];
}

def ReadOp : RondoOp<"read", [Pure, AttrSizedOperandSegments]> {
  let summary = "Read a tensor at a point";
  let description = [{
    source[subscripts]; where a subscript is out of range:
    fallback[fallbackSubscripts] if there is one, else 0 (false for conditions).
    A fallback that is itself read out of range gives 0. The fallback of a
    state's history is the state's initial value, so a read before the start
    gives the initial value.

    Real elements are extended to the accumulation type, integers to index.

    Constraints:
    - (C1) One subscript per dim of the source.
    - (C2) One fallback subscript per dim of the fallback.
    - (C3) The result is a real number for real elements, index for integers,
      i1 for conditions, of the source and of the fallback.

    ```mlir
    %0 = rondo.read %x[%t, %d] : tensor<?x?xbf16> -> f32
    %1 = rondo.read %h[%before, %d] else %h0[%d] : tensor<?x?xf32>, tensor<?xf32> -> f32
    ```
  }];
  let arguments = (ins AnyRankedTensor:$source /*read_c1*/,
                       Variadic<Index>:$subscripts /*read_c1*/,
                       Optional<AnyRankedTensor>:$fallback /*read_c2*/,
                       Variadic<Index>:$fallbackSubscripts /*read_c2*/);
  let results = (outs RondoScalar:$result /*read_c3*/);
  let assemblyFormat = [{
    $source `[` $subscripts `]`
    (`else` $fallback^ `[` $fallbackSubscripts `]`)? attr-dict
    `:` type($source) (`,` type($fallback)^)? `->` type($result)
  }];
  let hasVerifier = 1;
  let builders = [
    OpBuilder<(ins "::mlir::Type":$result, "::mlir::Value":$source,
                   "::mlir::ValueRange":$subscripts), [{
      build($_builder, $_state, result, source, subscripts, ::mlir::Value(),
            ::mlir::ValueRange());
    }]>
  ];
}

def GatherOp : RondoOp<"gather", [Pure, AttrSizedOperandSegments]> {
  let summary = "Read a tensor where data says";
  let description = [{
    source[subscripts], where the subscripts at `dims` come from values of
    integer tensors: one of these out of range is a run-time error of the
    kernel, which names the tensor, the dim and the value. Where another
    subscript is out of range, the value is what `rondo.read` gives:
    fallback[fallbackSubscripts] if there is a fallback, else 0.

    Constraints:
    - (C1) One subscript per dim of the source.
    - (C2) One fallback subscript per dim of the fallback.
    - (C3) The result is a real number for real elements, index for integers,
      i1 for conditions, of the source and of the fallback.
    - (C4) `dims` has at least one dim of the source, and is increasing.

    ```mlir
    %row = rondo.read %tokens[%t] : tensor<?xi32> -> index
    %0 = rondo.gather %emb[%row, %d] "emb" at [0] : tensor<?x?xf32> -> f32
    %1 = rondo.gather %S[%before, %row] else %S0[%row] "S" at [1] : tensor<?x?xf32>, tensor<?xf32> -> f32
    ```
  }];
  let arguments = (ins AnyRankedTensor:$source /*gather_c1*/,
                       Variadic<Index>:$subscripts /*gather_c1*/,
                       Optional<AnyRankedTensor>:$fallback /*gather_c2*/,
                       Variadic<Index>:$fallbackSubscripts /*gather_c2*/,
                       StrAttr:$name,
                       DenseI64ArrayAttr:$dims /*gather_c4*/);
  let results = (outs RondoScalar:$result /*gather_c3*/);
  let assemblyFormat = [{
    $source `[` $subscripts `]`
    (`else` $fallback^ `[` $fallbackSubscripts `]`)? $name `at` $dims attr-dict
    `:` type($source) (`,` type($fallback)^)? `->` type($result)
  }];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Recurrences
//===----------------------------------------------------------------------===//

def RecurrenceOp : RondoOp<"recurrence", [Pure, AttrSizedOperandSegments,
    SingleBlock]> {
  let summary = "Solve equations that need their own earlier values";
  let description = [{
    Members x_1 .. x_n (the states first, then the locals) run along one or
    several dims. At each point t of these dims, in order (the last dim
    fastest, a reversed dim from its end), the region computes every member's
    value at t from the members' earlier values:

    (x_1[.., t, ..], .., x_n[.., t, ..]) = step(t, x_1, .., x_n)

    The block has one index argument per along dim, then one tensor per member:
    its *history*, of which only points before t may be read. `rondo.yield`
    gives the *slices* at t, whose dims are those of the member without the
    along dims. Inside the region, a value at the same point is read from the
    slice that defines it.

    Results: for each member its whole history (batch dims, along dims, the
    rest), then for each state its final value: the slice at the last point, or
    the initial value when an along dim is empty.

    What may be read before the start is said by the reads themselves: a state
    is read, or gathered from, with its initial value as fallback, a local
    without.

    Constraints:
    - (C1) One block argument of type index per along dim, then one tensor per
      member, of the type of its history.
    - (C2) `reversed` has one entry per along dim.
    - (C3) There are at least as many names as initial values, and two results
      per state and one per local.
    - (C4) A slice has the rank of its history less the number of along dims;
      initial and final values have the slice's type.
    - (C5) Reads of a history inside the region, gathers too, have its state's
      initial value as fallback; those of a local's history have none.
    - (C6) `batch` is not negative and at most the rank of every slice.

    ```mlir
    // h[t, d] = a[t, d] * h[t-1, d]
    %h:2 = rondo.recurrence along (%T) reversed [false] members ["h"] initial (%h0) batch 0
        : (index, tensor<?xf32>) -> (tensor<?x?xf32>, tensor<?xf32>) {
    ^bb0(%t: index, %past: tensor<?x?xf32>):
      %c1 = arith.constant 1 : index
      %before = arith.subi %t, %c1 : index
      %next = rondo.equation "h" (%d < %D) -> tensor<?xf32> {
        %0 = rondo.read %a[%t, %d] : tensor<?x?xf32> -> f32
        %1 = rondo.read %past[%before, %d] else %h0[%d] : tensor<?x?xf32>, tensor<?xf32> -> f32
        %2 = arith.mulf %0, %1 : f32
        rondo.yield %2 : f32
      }
      rondo.yield %next : tensor<?xf32>
    }
    ```
  }];
  let arguments = (ins Variadic<Index>:$sizes,
                       Variadic<AnyRankedTensor>:$initials /*recurrence_c3, c4*/,
                       StrArrayAttr:$names /*recurrence_c3*/,
                       DenseBoolArrayAttr:$reversed /*recurrence_c2*/,
                       I64Attr:$batch /*recurrence_c6*/);
  let results = (outs Variadic<AnyRankedTensor>:$results /*recurrence_c3, c4*/);
  let regions = (region SizedRegion<1>:$body /*recurrence_c1*/);
  let assemblyFormat = [{
    `along` `(` $sizes `)` `reversed` $reversed `members` $names
    `initial` `(` $initials `)` `batch` $batch attr-dict
    `:` functional-type(operands, results) $body
  }];
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
  let extraClassDeclaration = [{
    unsigned getNumAlong() { return getSizes().size(); }
    unsigned getNumMembers() { return getNames().size(); }
    unsigned getNumStates() { return getInitials().size(); }
    ::mlir::Block &getBlock() { return getBody().front(); }
    ::llvm::StringRef getName(unsigned member);
    /// The index arguments of the region.
    ::mlir::ArrayRef<::mlir::BlockArgument> getAlongIndices();
    /// The region's view of a member's past.
    ::mlir::BlockArgument getPast(unsigned member);
    /// What the region yields for a member: its slice at this point.
    ::mlir::Value getSlice(unsigned member);
    /// The result that holds a member's whole history.
    ::mlir::OpResult getHistory(unsigned member);
    /// The result that holds a state's final value.
    ::mlir::OpResult getFinal(unsigned state);
    ::rondo::YieldOp getYield();
  }];
}

//===----------------------------------------------------------------------===//
// Iterations
//===----------------------------------------------------------------------===//

def IterateOp : RondoOp<"iterate", [Pure]> {
  let summary = "Improve tensors until a residual is small";
  let description = [{
    Tensors x_1 .. x_n, which begin as `guesses`, are replaced by what `body`
    makes of them until they are good enough. `body` gives the next tensors and
    the residual of the present ones, a number per batch point. For each batch
    point, with x^0 = guesses and (x^{k+1}, r^k) = body(x^k):

    result = x^k       for the first k < bound with r^k <= tolerance,
    result = otherwise if there is none, or if some r^l before is not finite.

    The last result counts the evaluations of the body: k + 1, or those until it
    was given up. The tensor dims of the residual are the batch dims, which come
    first in every other tensor.

    Constraints:
    - (C1) The body's block has one argument per guess, of its type; the other
      block has none.
    - (C2) The body yields one tensor per guess, of its type, then the residual,
      a tensor of real numbers; `otherwise` yields one tensor per guess.
    - (C3) The results have the types of the guesses; the last one is a tensor
      of i64 of the residual's rank.
    - (C4) `bound` is at least 1, `tolerance` is not negative.

    ```mlir
    // Roots of a by Newton's method; 0 where it does not settle.
    %x, %count = rondo.iterate from (%a) bound 20 tolerance 1.0e-12
        : (tensor<?xf64>) -> (tensor<?xf64>, tensor<?xi64>) {
    ^bb0(%x: tensor<?xf64>):
      %next = rondo.equation "next" (%b < %B) -> tensor<?xf64> {..}
      %residual = rondo.equation "residual" (%b < %B) -> tensor<?xf64> {..}
      rondo.yield %next, %residual : tensor<?xf64>, tensor<?xf64>
    } otherwise {
      %zero = rondo.equation "zero" (%b < %B) -> tensor<?xf64> {..}
      rondo.yield %zero : tensor<?xf64>
    }
    ```
  }];
  let arguments = (ins Variadic<AnyRankedTensor>:$guesses,
                       I64Attr:$bound /*iterate_c4*/,
                       F64Attr:$tolerance /*iterate_c4*/);
  let results = (outs Variadic<AnyRankedTensor>:$results /*iterate_c3*/);
  let regions = (region SizedRegion<1>:$body /*iterate_c1, c2*/,
                        SizedRegion<1>:$otherwise /*iterate_c1, c2*/);
  let assemblyFormat = [{
    `from` `(` $guesses `)` `bound` $bound `tolerance` $tolerance attr-dict
    `:` functional-type(operands, results) $body `otherwise` $otherwise
  }];
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
  let extraClassDeclaration = [{
    unsigned getNumTensors() { return getGuesses().size(); }
    ::rondo::YieldOp getBodyYield();
    ::rondo::YieldOp getOtherwiseYield();
    ::mlir::Value getResidual();
    /// The result that counts evaluations.
    ::mlir::OpResult getCount();
  }];
}

//===----------------------------------------------------------------------===//
// Gradients
//===----------------------------------------------------------------------===//

def GradOp : RondoOp<"grad", [Pure, SameOperandsAndResultType]> {
  let summary = "Differentiate a value in a body with respect to a read";
  let description = [{
    d value / d variable, where `variable` is the result of a `rondo.read` of a
    state, or a `rondo.gather` from one, and `value` is a scalar of the same body. Equations that `value` reads
    are differentiated through; other reads of the state at the same point of
    the dims it runs along are the same variable where their remaining
    subscripts agree. `rondo-expand-grad` replaces it by equations.

    Constraints:
    - (C1) `variable` is the result of a rondo.read or a rondo.gather.

    ```mlir
    %g = rondo.grad %loss wrt %w : f32
    ```
  }];
  let arguments = (ins RondoReal:$value, RondoReal:$variable /*grad_c1*/);
  let results = (outs RondoReal:$result);
  let assemblyFormat = "$value `wrt` $variable attr-dict `:` type($result)";
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Scalar operations that have no upstream counterpart
//===----------------------------------------------------------------------===//

def ModOp : RondoOp<"mod", [Pure, SameOperandsAndResultType]> {
  let summary = "Compute the remainder of floor division";
  let description = [{
    lhs - floordiv(lhs, rhs) * rhs: for a positive rhs in [0, rhs), also when
    lhs is negative. Undefined for rhs = 0. (`arith.remsi` rounds to zero.)

    ```mlir
    %0 = rondo.mod %t, %c16
    ```
  }];
  let arguments = (ins Index:$lhs, Index:$rhs);
  let results = (outs Index:$result);
  let assemblyFormat = "$lhs `,` $rhs attr-dict";
  let hasFolder = 1;
}

class RealUnaryOp<string mnemonic>
    : RondoOp<mnemonic, [Pure, SameOperandsAndResultType, Elementwise,
                         Scalarizable, Vectorizable, Tensorizable]> {
  // Vectors of reals too: the vectoriser clones scalar code with vector types.
  let arguments = (ins FloatLike:$operand);
  let results = (outs FloatLike:$result);
  let assemblyFormat = "$operand attr-dict `:` type($result)";
}

def SigmoidOp : RealUnaryOp<"sigmoid"> {
  let summary = "Compute the logistic function";
  let description = [{
    1 / (1 + exp(-x)); 0 at -inf, 1 at +inf. An op of its own because its
    derivative s (1 - s) must not be computed from exp, which overflows.
  }];
}

def SoftplusOp : RealUnaryOp<"softplus"> {
  let summary = "Compute the logarithm of 1 + exp";
  let description = [{
    log(1 + exp(x)), computed as max(x, 0) + log1p(exp(-|x|)): finite and
    accurate everywhere.
  }];
}

include "dialects/Rondo/IR/SequenceOps.td"

#endif // RONDO_OPS
