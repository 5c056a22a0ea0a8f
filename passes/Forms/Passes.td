//===- Passes.td - Passes from equations to parallel forms -*- tablegen -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_FORMS_PASSES
#define RONDO_PASSES_FORMS_PASSES

include "mlir/Pass/PassBase.td"

def ToSequential : Pass<"rondo-to-sequential", "::mlir::ModuleOp"> {
  let summary = "Turn kernels into loops over time";
  let description = [{
    Every `rondo.kernel @f` becomes two functions:

    - `@f(sizes.., inputs.., outputs.., %workspace, %begin, %end, %fault)` computes
      the batch points `%begin <= p < %end`. It carries the kernel's signature as
      `rondo.signature`, the places of gathers as `rondo.faults`, and
      `rondo.form = "sequential"`.
    - `@f_worker_bytes(sizes..) -> index` gives the bytes of `%workspace`.

    Words used. A *cluster* is a set of equations and recurrences that share one
    nest of loops over time (Clusters.h says when they may). A tensor whose
    readers all stand in the cluster of its equation is *contracted*: only the
    values at the last few steps are kept, in a ring (Storage.h). All other
    tensors are stored whole, for one batch point.

    ```mlir
    %o = rondo.equation "o" (%t < %T, %j < %V) sum (%i = %c0 to %K) -> tensor<?x?xf32> {...}
    // becomes, alone in its cluster and returned
    linalg.fill ins(%zero : f32) outs(%o : memref<?x?xf32, ..>)
    linalg.generic {iterator_types = ["parallel", "parallel", "reduction"]} ins(..) outs(%o : ..)
    // becomes, in the cluster of a recurrence along T
    scf.for %t = %c0 to %T step %c1 {
      .. // the steps of the recurrence
      %row = memref.subview %o[%t, 0] [1, %V] [1, 1]
      linalg.fill ins(%zero : f32) outs(%row : memref<?xf32, ..>)
      linalg.generic {iterator_types = ["parallel", "reduction"]} ins(..) outs(%row : ..)
    }
    ```

    Pre-condition: no `rondo.grad`. Post-condition: see `rondo-verify-forms`.
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::func::FuncDialect",
    "::mlir::linalg::LinalgDialect", "::mlir::math::MathDialect",
    "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect",
    "::rondo::RondoDialect"];
  let statistics = [
    Statistic<"numClusters", "clusters", "loop nests over time or single equations">,
    Statistic<"numContracted", "contracted", "tensors kept for a few steps only">,
    Statistic<"numWhole", "whole", "tensors stored whole in the workspace">];
}

def VerifyForms : Pass<"rondo-verify-forms", "::mlir::ModuleOp"> {
  let summary = "Check what the parallel forms promise to the code generators";
  let description = [{
    - No operation of the rondo dialect but `mod`, `sigmoid` and `softplus`, and
      no value of tensor type, is left.
    - A function with `rondo.signature` has the arguments that the signature
      gives, with memrefs of element type as in memory and innermost stride 1, and
      its `_worker_bytes` function.
    - Operations on memrefs are subviews, loads, stores, views of the workspace
      and linalg.generic, linalg.fill on memrefs; nothing is allocated.

    Changes nothing.
  }];
}

#endif // RONDO_PASSES_FORMS_PASSES
