//===- RondoAttrs.td - Attributes of the rondo dialect -----*- tablegen -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_ATTRS
#define RONDO_ATTRS

include "dialects/Rondo/IR/RondoDialect.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"

def Combiner : I32EnumAttr<"Combiner", "how a reduction combines its terms", [
  I32EnumAttrCase<"Sum", 0, "sum">, I32EnumAttrCase<"Prod", 1, "prod">,
  I32EnumAttrCase<"Max", 2, "max">, I32EnumAttrCase<"Min", 3, "min">,
  I32EnumAttrCase<"Any", 4, "any">, I32EnumAttrCase<"All", 5, "all">
]> {
  let cppNamespace = "::rondo";
}

def Normaliser : I32EnumAttr<"Normaliser", "what an attention divides its scores by", [
  I32EnumAttrCase<"Softmax", 0, "softmax">, I32EnumAttrCase<"Sum", 1, "sum">,
  I32EnumAttrCase<"None", 2, "none">
]> {
  let cppNamespace = "::rondo";
}

def Role : I32EnumAttr<"Role", "what a tensor is to the caller of a kernel", [
  I32EnumAttrCase<"Argument", 0, "argument">,
  I32EnumAttrCase<"Initial", 1, "initial">,
  I32EnumAttrCase<"Result", 2, "result">,
  I32EnumAttrCase<"Final", 3, "final">
]> {
  let cppNamespace = "::rondo";
}

def TensorSpecAttr : AttrDef<RondoDialect, "TensorSpec"> {
  let mnemonic = "tensor";
  let summary = "One tensor at the border of a kernel";
  let description = [{
    Name, role, element type in memory, and shape: one expression per dim over
    the kernel's sizes (symbols of the map, in the order of the kernel's
    `sizes`). `initial` arguments are optional: a caller may leave them out.

    ```mlir
    #rondo.tensor<"k", argument, bf16, ()[B, T, H, G, K] -> (B, T, H floordiv G, K)>
    // Returned as [B, H, T], stored as [B, T, H].
    #rondo.tensor<"o", result, bf16, ()[B, T, H, G, K] -> (B, T, H), order = [0, 2, 1]>
    ```
  }];
  let parameters = (ins StringRefParameter<"name as the user wrote it">:$name,
                        EnumParameter<Role>:$role,
                        "::mlir::Type":$elementType,
                        "::mlir::AffineMap":$shape,
                        OptionalArrayRefParameter<"int64_t">:$order);
  let assemblyFormat = [{
    `<` $name `,` $role `,` $elementType `,` $shape
    (`,` `order` `=` `[` $order^ `]`)? `>`
  }];
  let extraClassDeclaration = [{
    /// Dim of the returned tensor that is dim `d` in memory.
    unsigned getReturnedDim(unsigned d) const {
      return getOrder().empty() ? d : getOrder()[d];
    }
  }];
}

//===----------------------------------------------------------------------===//
// What is true of a recurrence
//===----------------------------------------------------------------------===//

def Transition : I32EnumAttr<"Transition", "what a new state is as a function of the old one", [
  I32EnumAttrCase<"Identity", 0, "identity">,           // S' = S + ..
  I32EnumAttrCase<"Scalar", 1, "scalar">,               // S' = a[t] S + ..
  I32EnumAttrCase<"Diagonal", 2, "diagonal">,           // S' = a[t, i, ..] S + ..
  I32EnumAttrCase<"DiagonalLowRank", 3, "diagonal_low_rank">, // .. + b (c^T S)
  I32EnumAttrCase<"Dense", 4, "dense">,                 // S' = A[t] S + ..
  I32EnumAttrCase<"Convolution", 5, "convolution">,     // reads neighbours
  I32EnumAttrCase<"MaxPlus", 6, "max_plus">,            // S' = max(S + a, b)
  I32EnumAttrCase<"Semigroup", 7, "semigroup">,         // a known family of maps
  I32EnumAttrCase<"Nonlinear", 8, "nonlinear">
]> {
  let cppNamespace = "::rondo";
}

def Coupling : I32EnumAttr<"Coupling", "which old elements a new element depends on", [
  I32EnumAttrCase<"Diagonal", 0, "diagonal">, // its own
  I32EnumAttrCase<"Blocks", 1, "blocks">,     // few, of a fixed small number
  I32EnumAttrCase<"ByHead", 2, "by_head">,    // those with the same index of some dim
  I32EnumAttrCase<"Dense", 3, "dense">        // any
]> {
  let cppNamespace = "::rondo";
}

def Decay : I32EnumAttr<"Decay", "what is known of the factor of the old state", [
  I32EnumAttrCase<"Unknown", 0, "unknown">,
  I32EnumAttrCase<"One", 1, "one">,
  I32EnumAttrCase<"Unit", 2, "unit">,         // in [0, 1]
  I32EnumAttrCase<"Positive", 3, "positive">, // not negative
  I32EnumAttrCase<"Signed", 4, "signed">      // takes negative values
]> {
  let cppNamespace = "::rondo";
}

def Write : I32EnumAttr<"Write", "what is added to a state", [
  I32EnumAttrCase<"None", 0, "none">,
  I32EnumAttrCase<"Outer", 1, "outer">, // products of factors of one dim each
  I32EnumAttrCase<"Full", 2, "full">
]> {
  let cppNamespace = "::rondo";
}

def StateRead : I32BitEnumAttr<"StateRead", "how a state is read outside of its recurrence", [
  I32BitEnumAttrCaseNone<"None", "none">,
  I32BitEnumAttrCaseBit<"After", 0, "after">,   // contracted, at t
  I32BitEnumAttrCaseBit<"Before", 1, "before">, // contracted, at t - 1
  I32BitEnumAttrCaseBit<"Lagged", 2, "lagged">, // contracted, further back
  I32BitEnumAttrCaseBit<"Bonus", 3, "bonus">,   // t - 1, and the step's write again
  I32BitEnumAttrCaseBit<"Elements", 4, "elements">, // not contracted
  I32BitEnumAttrCaseBit<"Whole", 5, "whole">,   // the history is a result
  I32BitEnumAttrCaseBit<"Final", 6, "final">    // the last value
]> {
  let cppNamespace = "::rondo";
  let separator = "|";
}

def StateFactsAttr : AttrDef<RondoDialect, "StateFacts"> {
  let mnemonic = "state";
  let summary = "What is true of one state of a recurrence";
  let description = [{
    Dims of the state are counted without batch and along dims.

    | field | meaning |
    |---|---|
    | `kind` | how the new value depends on the old ones |
    | `decay`, `decay_dims` | the factor of the old element: what is known of its values, and the dims that it depends on |
    | `rank`, `mixed` | number of products b (c^T S) a step; the dims that reads of the past sum over |
    | `write`, `write_rank` | what is added, and as how many outer products |
    | `time_invariant` | no factor of an old state depends on the step |
    | `lag` | steps that reads of the past reach back; 0: not bounded |
    | `block` | reads of the past are frozen at the end of blocks of so many steps; 0: none is |
    | `coupled` | numbers of other states whose past is read |
    | `jacobian`, `jacobian_block` | for dense and nonlinear kinds: the old elements that a new one depends on, and how many with `blocks` |
    | `threshold` | old values are compared: there is no useful derivative |
    | `reads`, `contracts` | how later equations read the state, and the dims that they sum over |

    ```mlir
    #rondo.state<name = "S", kind = diagonal, decay = positive, decay_dims = [0],
                 write = outer, write_rank = 1, reads = after, contracts = [0]>
    ```
  }];
  let parameters = (ins
    StringRefParameter<"name as the user wrote it">:$name,
    EnumParameter<Transition>:$kind,
    DefaultValuedParameter<"::rondo::Decay", "::rondo::Decay::Unknown">:$decay,
    OptionalParameter<"::mlir::DenseI64ArrayAttr">:$decay_dims,
    DefaultValuedParameter<"int64_t", "0">:$rank,
    OptionalParameter<"::mlir::DenseI64ArrayAttr">:$mixed,
    DefaultValuedParameter<"::rondo::Write", "::rondo::Write::None">:$write,
    DefaultValuedParameter<"int64_t", "0">:$write_rank,
    DefaultValuedParameter<"bool", "false">:$time_invariant,
    DefaultValuedParameter<"int64_t", "1">:$lag,
    DefaultValuedParameter<"int64_t", "0">:$block,
    OptionalParameter<"::mlir::DenseI64ArrayAttr">:$coupled,
    DefaultValuedParameter<"::rondo::Coupling", "::rondo::Coupling::Diagonal">:$jacobian,
    DefaultValuedParameter<"int64_t", "0">:$jacobian_block,
    DefaultValuedParameter<"bool", "false">:$threshold,
    DefaultValuedParameter<"::rondo::StateRead", "::rondo::StateRead::None">:$reads,
    OptionalParameter<"::mlir::DenseI64ArrayAttr">:$contracts);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
}

def FactsAttr : AttrDef<RondoDialect, "Facts"> {
  let mnemonic = "facts";
  let summary = "What is true of a recurrence";
  let description = [{
    Written by `rondo-classify-recurrence` onto `rondo.recurrence`, from the
    equations alone. `along` names the sizes that it runs over, `kind` is the
    join of the states' kinds, `jacobian` the pattern of all states together.

    ```mlir
    #rondo.facts<along = ["T"], kind = diagonal, states = [#rondo.state<..>]>
    ```
  }];
  let parameters = (ins
    "::mlir::ArrayAttr":$along,
    EnumParameter<Transition>:$kind,
    DefaultValuedParameter<"::rondo::Coupling", "::rondo::Coupling::Diagonal">:$jacobian,
    DefaultValuedParameter<"int64_t", "0">:$jacobian_block,
    "::mlir::ArrayAttr":$states);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    ::rondo::StateFactsAttr getState(unsigned i) const;
  }];
}

//===----------------------------------------------------------------------===//
// What was chosen for it
//===----------------------------------------------------------------------===//

def Form : I32EnumAttr<"Form", "how a recurrence or an attention is computed", [
  I32EnumAttrCase<"Sequential", 0, "sequential">, // step by step
  I32EnumAttrCase<"Scan", 1, "scan">,             // associative, over steps
  I32EnumAttrCase<"Chunked", 2, "chunked">,       // matrix products in chunks
  I32EnumAttrCase<"Newton", 3, "newton">,         // iterated linear recurrences
  I32EnumAttrCase<"Tiled", 4, "tiled">            // attention by tiles
]> {
  let cppNamespace = "::rondo";
}

def PlanAttr : AttrDef<RondoDialect, "Plan"> {
  let mnemonic = "plan";
  let summary = "The form that a recurrence is to be computed in";
  let description = [{
    Stands as `rondo.plan` on a `rondo.recurrence`, a `rondo.attention` or an
    equation. `rondo-choose-form` writes it where there is none;
    `rondo-verify-plan` checks it against the facts; the passes that derive forms
    obey it. Numbers that are 0 are left to the form.

    | field | meaning |
    |---|---|
    | `form` | `sequential`, `scan`, `chunked`, `newton` or `tiled` |
    | `chunk` | steps a chunk |
    | `sub_block` | steps of the blocks that a chunk is cut into |
    | `tile` | sizes of tiles, outermost dim first |
    | `threads` | parts of one batch point that may run at the same time |

    ```mlir
    #rondo.plan<form = chunked, chunk = 64, sub_block = 16>
    ```
  }];
  let parameters = (ins
    EnumParameter<Form>:$form,
    DefaultValuedParameter<"int64_t", "0">:$chunk,
    DefaultValuedParameter<"int64_t", "0">:$sub_block,
    OptionalParameter<"::mlir::DenseI64ArrayAttr">:$tile,
    DefaultValuedParameter<"int64_t", "0">:$threads);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
  let builders = [AttrBuilder<(ins "::rondo::Form":$form,
                                   CArg<"int64_t", "0">:$chunk), [{
    return $_get($_ctxt, form, chunk, 0, ::mlir::DenseI64ArrayAttr(), 0);
  }]>];
}

#endif // RONDO_ATTRS
