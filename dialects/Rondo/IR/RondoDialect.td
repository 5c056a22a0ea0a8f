//===- RondoDialect.td - The rondo dialect -----------------*- tablegen -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_DIALECT
#define RONDO_DIALECT

include "mlir/IR/OpBase.td"

def RondoDialect : Dialect {
  let name = "rondo";
  let cppNamespace = "::rondo";
  let summary = "Sequence models as equations between indexed tensors";
  let description = [{
    A kernel is a list of *equations*: each one gives a tensor at every point of
    its index space. Equations that need their own earlier values stand inside a
    *recurrence*, which runs over one or several dims. Nothing here says in
    which order or in which form anything is computed, and nothing is stored:
    tensors are values.

    Inside an equation, integers (indices, sizes, values of integer tensors)
    have type `index`, real numbers the *accumulation type* (`f64` for f64
    kernels, else `f32`), conditions `i1`. Tensors of real numbers that an
    equation defines have the accumulation type as element type; arguments and
    results have the io dtype in memory.
  }];
  let useDefaultAttributePrinterParser = 1;
  let hasConstantMaterializer = 1;
  // rondo.facts and rondo.plan stand where they mean something.
  let hasOperationAttrVerify = 1;
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::math::MathDialect"
  ];
}

#endif // RONDO_DIALECT
