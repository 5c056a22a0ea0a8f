//===- Passes.td - Passes that choose forms ----------------*- tablegen -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_STRATEGY_PASSES
#define RONDO_STRATEGY_PASSES

include "mlir/Pass/PassBase.td"

def ClassifyRecurrence : Pass<"rondo-classify-recurrence", "::mlir::ModuleOp"> {
  let summary = "Write down what is true of each recurrence";
  let description = [{
    Puts `rondo.facts` on every `rondo.recurrence`: the kind of its transition,
    what is written, how it is read. The facts follow from the equations alone;
    their names, order and spelling play no role. Facts that are there are left:
    `rondo-verify-plan` compares them with the equations.

    ```mlir
    // S[t, i, j] = exp(g[t]) * S[t-1, i, j] + k[t, i] * v[t, j]
    rondo.recurrence along (%T) .. {
      rondo.facts = #rondo.facts<along = ["T"], kind = scalar, states = [
        #rondo.state<name = "S", kind = scalar, decay = positive, write = outer,
                     write_rank = 1, reads = after, contracts = [0]>]>}
    ```

    Pre-condition: rondo-expand-grad and rondo-decompose have run. Changes
    nothing else.
  }];
  let dependentDialects = ["::rondo::RondoDialect"];
}

def ChooseForm : Pass<"rondo-choose-form", "::mlir::ModuleOp"> {
  let summary = "Choose the form of each recurrence";
  let description = [{
    Puts `rondo.plan` on every recurrence of a kernel that has none. Without the
    option `form`, the form with the least expected time among those that are
    legal for the facts and exist for the target (FormTable.h); with it, that
    form where it is legal, and `sequential` elsewhere. A kernel in which it is
    legal nowhere is an error that gives the reason. Plans that are there are
    kept.

    Remarks (category `form`) say what was chosen and why the other forms were
    not.

    Pre-condition: rondo-classify-recurrence. Post-condition: every recurrence
    has a plan that `rondo-verify-plan` accepts, if those that were there are
    legal.
  }];
  let options = [
    Option<"form", "form", "std::string", "\"\"",
           "sequential, scan, chunked, newton or tiled; empty: choose">,
    Option<"chunk", "chunk", "int64_t", "0",
           "Steps a chunk of every plan that has chunks; 0: choose">];
  let dependentDialects = ["::rondo::RondoDialect"];
}

def SplitReaders : Pass<"rondo-split-readers", "::mlir::ModuleOp"> {
  let summary = "Give readers that contract a state differently copies of it";
  let description = [{
    The chunkwise form contracts a state over the same dims in its update and in
    all that reads it. Where readers contract it over different ones, each kind
    gets a copy of the recurrence: its state is computed again, as kernels that
    are written by hand do. What the update itself contracts is computed by one
    of the copies, and the others read it. Locals that are read outside are
    computed there, from the state.

    Before:
    ```
    S[t, i, j] = S[t-1, i, j] + k[t, i] * u[t, j]      u[t, j] = v[t, j] - sum[i] k[t, i] * S[t-1, i, j]
    x[t, i]    = sum[j] S[t, i, j] * u[t, j]
    ```
    After:
    ```
    S[t, i, j] = S[t-1, i, j] + k[t, i] * (v[t, j] - sum[i] k[t, i] * S[t-1, i, j])
    u[t, j]    = v[t, j] - sum[i] k[t, i] * S[t-1, i, j]
    R[t, i, j] = R[t-1, i, j] + k[t, i] * u[t, j]
    x[t, i]    = sum[j] R[t, i, j] * u[t, j]
    ```

    Done where all copies then have the chunkwise form, and, unless `form` is
    `chunked`, are expected to take less time than the recurrence does without.
  }];
  let options = [
    Option<"form", "form", "std::string", "\"\"",
           "The form that was asked for; empty: choose">,
    Option<"chunk", "chunk", "int64_t", "0",
           "Steps a chunk of every plan that has chunks; 0: choose">];
  let dependentDialects = ["::rondo::RondoDialect"];
  let statistics = [
    Statistic<"numCopies", "copies", "recurrences that were added">];
}

def VerifyPlan : Pass<"rondo-verify-plan", "::mlir::ModuleOp"> {
  let summary = "Check that plans are legal for what they plan";
  let description = [{
    Finds the facts again, compares them with `rondo.facts` where it is there,
    and checks that the form of each `rondo.plan` is legal for them. An error
    gives the reason. Whoever wrote a plan, choose-form or a person, it is
    checked the same way.

    Changes nothing.
  }];
}

#endif // RONDO_STRATEGY_PASSES
