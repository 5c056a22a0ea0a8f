//===- PairOps.td - Pairs of bf16 numbers ------------------*- tablegen -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Scalar operations of the CPU's code generator, and of nothing before it.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PAIR_OPS
#define RONDO_PAIR_OPS

include "dialects/Rondo/IR/RondoDialect.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

class PairOp<string mnemonic>
    : Op<RondoDialect, mnemonic, [Pure, SameTypeOperands, Elementwise,
                                  Scalarizable, Vectorizable, Tensorizable]>;

def PackPairOp : PairOp<"pack_pair"> {
  let summary = "Round two reals to bf16, in one word";
  let description = [{
    The first one is in the lower half.

    ```mlir
    %0 = rondo.pack_pair %low, %high : f32 -> i32
    ```
  }];
  let arguments = (ins FloatLike:$low, FloatLike:$high);
  let results = (outs SignlessIntegerLike:$result);
  let assemblyFormat =
      "$low `,` $high attr-dict `:` type($low) `->` type($result)";
}

def DotPairOp : PairOp<"dot_pair"> {
  let summary = "Add the products of the bf16 numbers in two words";
  let description = [{
    In f32. Processors with a dot product of bf16 numbers add it to a sum at
    once; it takes denormal numbers for 0.

    ```mlir
    %0 = rondo.dot_pair %x, %y : i32 -> f32
    ```
  }];
  let arguments = (ins SignlessIntegerLike:$lhs, SignlessIntegerLike:$rhs);
  let results = (outs FloatLike:$result);
  let assemblyFormat =
      "$lhs `,` $rhs attr-dict `:` type($lhs) `->` type($result)";
}

#endif // RONDO_PAIR_OPS
