//===- Passes.td - Passes from equations to parallel forms -*- tablegen -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_FORMS_PASSES
#define RONDO_PASSES_FORMS_PASSES

include "mlir/Pass/PassBase.td"

def DeriveStep : Pass<"rondo-derive-step", "::mlir::ModuleOp"> {
  let summary = "Derive a kernel that computes one time step";
  let description = [{
    Beside each kernel `f` comes `f_step`: its equations at one step, for
    generating token by token. Recurrences in time become plain equations of the
    state before. Arguments that are read at earlier steps are given with these: L of
    them and this one where L steps back are read at most (0 before the start),
    all `T.seen` steps where there is no bound, as for the keys and values of an
    attention. Other tensors that are read at earlier steps come from an optional
    input `<name>.past.initial`, 0 (a state's initial value) when it is absent,
    and go to an output `<name>.past.final` for the next step. Where the number of a step is asked for and no tensor tells it, it
    is the argument `T.position`.

    Before:
    ```
    h[t, d] = a[t, d] * h[t-1, d] + x[t, d]
    u[t, d] = silu(h[t, d])
    y[t, d] = x[t - 1, d] * sum[p in 0..4] w[p, d] * u[t - 3 + p, d]
    ```
    After (T = 1; x has 2 steps, u.past.initial and u.past.final 3):
    ```
    h[d]        = a[0, d] * h.initial[d] + x[1, d]
    u[0, d]     = silu(h[d])
    u.all[l, d] = l < 3 ? u.past.initial[l, d] : u[0, d]
    y[0, d]     = x[0, d] * sum[p in 0..4] w[p, d] * u.all[p, d]
    u.past.final[l, d] = u.all[l + 1, d]
    ```
    Fails for a kernel in which something reads later steps, with a report that
    says where.
  }];
  let options = [
    Option<"only", "only", "bool", "false", "Leave no other kernel">];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
}

def ToChunked : Pass<"rondo-to-chunked", "::mlir::ModuleOp"> {
  let summary = "Turn recurrences into recurrences over chunks of steps";
  let description = [{
    A recurrence whose state is a matrix (or a vector) that decays, is written by
    outer products and is read by contractions, and whose writes may depend on
    contractions of the old state, is replaced by its chunkwise form: matrix
    products within chunks and one recurrence over chunks. ChunkedStructure.h
    defines the class, Chunked.h the form. The result is made of equations and
    recurrences again; the reference interpreter evaluates it like any other.

    Before:
    ```
    S[t, i, j] = a[t] * S[t-1, i, j] + k[t, i] * v[t, j]
    o[t, j]    = sum[i] q[t, i] * S[t, i, j]
    ```
    After (C steps a chunk; D[c, r, s] is the product of a in (s, r]):
    ```
    L[c, r, s] = D[c, r, s] * sum[i] q[c, r, i] * k[c, s, i]
    S[c, i, j] = P[c, last] * S[c-1, i, j]
               + sum[s] D[c, last, s] * k[c, s, i] * v[c, s, j]
    o[c, r, j] = sum[i] P[c, r] * q[c, r, i] * S[c-1, i, j]
               + sum[s] L[c, r, s] * v[c, s, j]
    ```
    Where writes depend on what is read of the state, the values of a chunk are a
    `rondo.triangular_solve`; products of decays are `rondo.scan`s. Where decays
    depend on i, a chunk is cut into blocks: L of a block with an earlier one is a
    matrix product of decayed queries and decayed writes; within a block it is
    made as the option `diagonal` says. All factors are products of decays.

    Other recurrences stay as they are; a remark says why. Sources: Yang et al.,
    Gated Linear Attention, 2023; Yang et al., Parallelizing Linear Transformers
    with the Delta Rule, 2024.
  }];
  let options = [
    Option<"chunk", "chunk", "int64_t", "0",
           "Steps a chunk; 0: 16, or the block of a frozen read">,
    Option<"block", "block", "int64_t", "16",
           "Steps of a block within a chunk, where decays depend on the "
           "contracted dims">,
    Option<"diagonal", "diagonal", "std::string", "\"running\"",
           "How the products within such a block are made: `running`, step by "
           "step, or `pairs`, as sums weighed by products between steps">,
    Option<"required", "required", "bool", "false",
           "Fail for a kernel in which nothing has a chunkwise form">,
    Option<"planned", "planned", "bool", "false",
           "Only recurrences whose rondo.plan names the form">];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
  let statistics = [
    Statistic<"numChunked", "chunked", "recurrences that were replaced">];
}

def ToChannelKernels : Pass<"rondo-to-channel-kernels", "::mlir::ModuleOp"> {
  let summary = "Turn kernels that are pointwise in their channels into device kernels";
  let description = [{
    A `rondo.kernel @f` whose recurrences are pointwise, as are its results or
    sums over private dims (ChannelKernel.h), becomes `@kernels::@f`, a `gpu.func`, and functions of the
    host, `@f`, which launches it, and `@f_worker_bytes`. The arguments of `@f`
    are those of the forms level and, last, the launcher, the number of slices of
    the workspace, and the boundaries of packed sequences with the bytes of one;
    it has the attribute `rondo.launches`.

    A grid has a block for every batch point and tile of channels. `form` is
    `sequential` (the lanes of a channel take its steps one after the other),
    `scan` (the threads of a channel compose the maps of a window of steps) or
    `newton` (they solve for the states before their segments together); by default a scan where the steps are maps
    that can be composed and a channel has one state of a kind; else sequential,
    with a second kernel by Newton's method where that is expected to be faster
    for few channels and many steps, which the host's function decides.

    Other kernels stay as they are; a remark says why.
  }];
  let options = [
    Option<"form", "form", "std::string", "\"\"",
           "sequential, scan or newton (default: chosen)">,
    Option<"channels", "channels", "int64_t", "0",
           "Channels of a block (0: chosen, as for the others)">,
    Option<"lanes", "lanes", "int64_t", "0",
           "Threads of a channel (sequential): a power of two">,
    Option<"segments", "segments", "int64_t", "0",
           "Threads of a channel (scan, newton)">,
    Option<"steps", "steps", "int64_t", "0", "Steps a thread has in registers">,
    Option<"blocks", "blocks", "int64_t", "0",
           "Times that many are a segment (newton)">,
    Option<"bound", "bound", "int64_t", "12",
           "Corrections after which a window is computed step by step">,
    Option<"memory", "memory", "int64_t", "0",
           "Bytes of shared memory that a block may have (newton)">];
  let dependentDialects = [
    "::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect",
    "::mlir::func::FuncDialect", "::mlir::gpu::GPUDialect",
    "::mlir::LLVM::LLVMDialect", "::mlir::math::MathDialect",
    "::mlir::memref::MemRefDialect", "::mlir::NVVM::NVVMDialect",
    "::mlir::scf::SCFDialect"];
  let statistics = [
    Statistic<"numConverted", "converted", "kernels that were replaced">];
}

def ToCellKernels : Pass<"rondo-to-cell-kernels", "::mlir::ModuleOp"> {
  let summary = "Turn recurrences with products of vectors into one device kernel";
  let description = [{
    A `rondo.kernel @f` whose steps are pointwise but for sums of weights times
    vectors (CellKernel.h) becomes `@kernels::@f`, a `gpu.func` that takes all
    steps with the weights in registers, and the functions of the host that
    `rondo-to-channel-kernels` makes.

    Other kernels stay as they are; a remark says why.
  }];
  let options = [
    Option<"steps", "steps", "int64_t", "0",
           "Steps that arguments are loaded ahead (0: chosen)">];
  let dependentDialects = [
    "::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect",
    "::mlir::func::FuncDialect", "::mlir::gpu::GPUDialect",
    "::mlir::LLVM::LLVMDialect", "::mlir::math::MathDialect",
    "::mlir::memref::MemRefDialect", "::mlir::NVVM::NVVMDialect",
    "::mlir::scf::SCFDialect", "::mlir::vector::VectorDialect"];
  let statistics = [
    Statistic<"numConverted", "converted", "kernels that were replaced">];
}

def ToNewton : Pass<"rondo-to-newton", "::mlir::ModuleOp"> {
  let summary = "Turn nonlinear recurrences into iterations over windows";
  let description = [{
    A recurrence whose step is nonlinear and pointwise (its Jacobian is diagonal,
    or consists of blocks of the states at a point) is solved for a window of
    steps at once by Newton's method: `rondo.iterate` evaluates all steps of the
    window and their derivatives, solves the recurrence that is linearised, and
    repeats that until the states satisfy the equations up to rounding. What
    does not settle is computed one step after the other. Newton.h tells the
    method.

    Before:
    ```
    h[t, d] = f(h[t-1, d], t, d)
    ```
    After (C steps a window; f' is df/dh):
    ```
    x[c, r, d]  iterates from f(h[c-1, d]):
      e[r, d]     = f(x[r-1, d]) - x[r, d]
      dx[r, d]    = e[r, d] + f'(x[r-1, d]) * dx[r-1, d]
      next[r, d]  = x[r, d] + dx[r, d],  residual = max[r, d] |e[r, d]|
    h[c, d]     = x[c, C-1, d]
    ```
    The result is made of equations and recurrences again; the reference
    interpreter evaluates it like any other. Other recurrences stay as they are;
    a remark says why.
  }];
  let options = [
    Option<"window", "window", "int64_t", "64", "Steps a window">,
    Option<"bound", "bound", "int64_t", "12",
           "Evaluations after which a window is computed step by step">,
    Option<"count", "count", "bool", "false",
           "Return the evaluations behind every step as `<state>.iterations`">,
    Option<"required", "required", "bool", "false",
           "Fail for a kernel in which nothing has a Newton form">,
    Option<"planned", "planned", "bool", "false",
           "Only recurrences whose rondo.plan names the form">];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::math::MathDialect"];
  let statistics = [
    Statistic<"numIterated", "iterated", "recurrences that were replaced">];
}

def ToScan : Pass<"rondo-to-scan", "::mlir::ModuleOp"> {
  let summary = "Turn recurrences into associative scans";
  let description = [{
    A recurrence whose members read their past at their own indices only, through
    affine maps or sums under a maximum, becomes `rondo.scan` ops over the steps'
    maps; Scan.h gives the class and the order in which coupled members are
    taken. The result has the same values at every step, in any grouping of the
    steps.

    Before:
    ```
    h[t, d] = a[t, d] * h[t-1, d] + x[t, d]
    ```
    After:
    ```
    %h:2 = rondo.scan "h" along 0 of (%a, %x) sizes (%T, %D) initial (%one, %h0)
    ^bb0(%a0, %h0, %a1, %h1):
      rondo.yield %a1 * %a0, %a1 * %h0 + %h1
    ```
    Other recurrences stay as they are; a remark says why. Source: Blelloch,
    Prefix Sums and Their Applications, 1990.
  }];
  let options = [
    Option<"required", "required", "bool", "false",
           "Fail for a kernel in which nothing has a scan form">,
    Option<"planned", "planned", "bool", "false",
           "Only recurrences whose rondo.plan names the form">];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::math::MathDialect"];
  let statistics = [
    Statistic<"numScans", "scans", "recurrences that were replaced">];
}

def ToTiledAttention : Pass<"rondo-to-tiled-attention", "::mlir::ModuleOp"> {
  let summary = "Turn attentions into recurrences over blocks of keys";
  let description = [{
    A `rondo.attention` whose score is made of products of queries and keys is
    replaced by its tiled form (TiledAttention.h): blocks of rows, and for each of
    them a recurrence over the blocks of keys that its mask lets pass, with the
    running maximum, sum and result of online softmax. Comparisons of indices in
    the mask bound the recurrence (AttentionStructure.h); blocks in which every
    key passes for every row run without a mask.

    Before:
    ```
    o = attention softmax, score sum[i] q[t, i] * k[u, i] where u <= t, value v[u, j]
    ```
    After (c: blocks of rows, e: blocks of keys, each of 64):
    ```
    along c:
      along e in 0 .. 64 c / 64:       no mask
      along e up to (64 c + 63) / 64:  with the mask
        x[r, s]  = sum[i] q[c, r, i] * k[e, i, s]
        m'[r]    = max(m[r], max[s] x[r, s])
        w[r, s]  = exp(x[r, s] - m'[r])
        l'[r]    = exp(m[r] - m'[r]) * l[r] + sum[s] w[r, s]
        a'[r, j] = exp(m[r] - m'[r]) * a[r, j] + sum[s] w[r, s] * v[e, s, j]
      o[c, r, j] = a[r, j] / l[r]
    ```
    With `powers`, the weights of f32 are 2^(log2(e) x[r, s] - m'[r]), where the
    factor is one of the queries.
    Other attentions stay; a remark says why.
  }];
  let options = [
    Option<"rows", "rows", "int64_t", "64", "Rows of a block">,
    Option<"keys", "keys", "int64_t", "64", "Keys of a block">,
    Option<"powers", "powers", "bool", "false",
           "Weights of f32 are powers of two">];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::math::MathDialect"];
  let statistics = [
    Statistic<"numTiled", "tiled", "attentions that were replaced">];
}

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

    Pre-condition: rondo-expand-grad and rondo-decompose have run. Post-condition: see `rondo-verify-forms`.
  }];
  let options = [
    Option<"rows", "rows", "bool", "false",
           "Compute blocks of batch points together where they share matrices, blocks of channels through some steps, and once what whole chunks have in common">];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::func::FuncDialect",
    "::mlir::linalg::LinalgDialect", "::mlir::math::MathDialect",
    "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect",
    "::rondo::RondoDialect"];
  let statistics = [
    Statistic<"numClusters", "clusters", "loop nests over time or single equations">,
    Statistic<"numContracted", "contracted", "tensors kept for a few steps only">,
    Statistic<"numSteady", "steady", "statements that whole chunks have in common">,
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
