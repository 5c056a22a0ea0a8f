//===- Passes.td - Passes on the tile dialect --------------*- tablegen -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_GPU_TILE_PASSES
#define RONDO_PASSES_GPU_TILE_PASSES

include "mlir/Pass/PassBase.td"

def LowerFormsToTile : Pass<"rondo-lower-forms-to-tile", "::mlir::ModuleOp"> {
  let summary = "Turns kernels over chunks into programs on tiles";
  let description = [{
    A kernel whose recurrences are all over chunks (`rondo-to-chunked`), with
    matrix states of which one dim is a dim of the results and the other is
    bound, and vectors of such a dim beside them, becomes a function that launches one `gpu.func`: a block for every
    batch point and every `values` places of the results' last dim, which are
    independent of one another; or for all of up to 256, with as many more
    warps, where something is summed over them. The block runs over the chunks
    and carries its part of the states as tiles.

    A kernel whose recurrences are over blocks of rows and have no states
    (`rondo-to-tiled-attention`) becomes one, too: a block for every block of rows
    of every batch point, in which the recurrences within, over blocks of keys,
    are loops that carry their states as tiles.

    Before: equations, scans and recurrences of the rondo dialect.
    After: a `gpu.func` of tile operations in `@kernels`, and a `func.func` with
    the interface of the forms level that launches it. A kernel that has no such
    form stays as it is; a remark and `rondo.tiles` on it say why.
  }];
  let options = [
    Option<"warps", "warps", "int64_t", "4", "Warps of a block">,
    Option<"values", "values", "int64_t", "64",
           "Places of the results' last dim that a block computes">];
  let dependentDialects = [
    "::rondo::tile::TileDialect", "::mlir::arith::ArithDialect",
    "::mlir::func::FuncDialect", "::mlir::gpu::GPUDialect",
    "::mlir::LLVM::LLVMDialect", "::mlir::math::MathDialect",
    "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect"];
  let statistics = [
    Statistic<"numLowered", "lowered", "kernels that became tile programs">];
}

def SplitChunks : Pass<"tile-split-chunks", "::mlir::ModuleOp"> {
  let summary = "Computes what chunks need not wait for in a kernel of its own";
  let description = [{
    In a kernel that loops over chunks and carries states, a tile is *local* when
    it does not depend on the states and is the same for all blocks of a point.
    Where a triangular inverse or products between steps are local, local
    matrices that products lead to, and vectors that reductions and scans lead
    to, are computed by a kernel before as far as the rest of the chunk reads
    them, one block for each chunk of each point, and pass through the workspace. There are many more chunks than states
    are independent, so the device is full and no step of the loop waits for an
    inverse. Where there are neither inverses nor decays of each dim, and groups
    of warps can share the loop (`tile-split-groups`), one of them computes the rest
    ahead, and the kernel stays as it is.

    Before: a launch of a kernel whose last arguments are the first point, the
    blocks of a point and the workspace. After: two launches, and
    `_worker_bytes` that returns the bytes of the workspace.
  }];
  let options = [
    Option<"memory", "memory", "int64_t", "166912",
           "Bytes of shared memory of a block">];
  let dependentDialects = [
    "::rondo::tile::TileDialect", "::mlir::arith::ArithDialect",
    "::mlir::gpu::GPUDialect", "::mlir::memref::MemRefDialect"
  ];
  let statistics = [Statistic<"numSplit", "split", "kernels that became two">];
}

def SliceColumns : Pass<"tile-slice-columns", "::mlir::gpu::GPUFuncOp"> {
  let summary = "Computes what has columns of its own for some columns at a time";
  let description = [{
    In a kernel without loops, scans down the rows, what is loaded and computed
    for them and for `tile.segment_dot`, and what is stored of it, are the same
    for every column, and a segment dot is a sum over columns. They are computed
    for `width` columns after one another, so that fewer elements are alive and
    several blocks fit on a multiprocessor. Nothing happens where something else
    needs all columns of one of these tiles at once.

    Before: operations on tiles of more than `width` columns. After: the
    operations on the first `width` columns, then those on the next, and sums of
    the segment dots. A kernel with one segment dot a slice, or without any, but
    with few elements of each matrix in a thread, asks for registers for as many
    blocks as make 16 warps (`tile.blocks`).
  }];
  let options = [
    Option<"width", "width", "int64_t", "64", "Columns at a time">];
  let dependentDialects = [
    "::rondo::tile::TileDialect", "::mlir::arith::ArithDialect"
  ];
  let statistics = [Statistic<"numSliced", "sliced", "kernels that were changed">];
}

def SplitTime : Pass<"tile-split-time", "::mlir::ModuleOp"> {
  let summary = "Gives segments of time blocks of their own";
  let description = [{
    Where a chunk takes every state X to a * X + b, element by element, with a
    and b that no state leads to, segments of chunks are independent but for
    their first states. A kernel before runs through all segments but the last
    and stores what X = 0 becomes and the product of the a; the kernel then
    begins each segment with the first state, taken through the segments before.
    The launch chooses the number of segments: as many as `blocks` blocks allow,
    if that is three at least, with four chunks each at least; 1 leaves the
    kernel as it was.

    Before: a launch of a kernel with one loop over chunks, whose last argument
    is the workspace. After: two launches, whose last argument is the number of
    segments; `_worker_bytes` has room for their states. States that are
    multiplied by matrices (delta rules) have no such kernel.
  }];
  let options = [
    Option<"blocks", "blocks", "int64_t", "264",
           "Blocks that fill a device: two for each of 132 multiprocessors">];
  let dependentDialects = [
    "::rondo::tile::TileDialect", "::mlir::arith::ArithDialect",
    "::mlir::gpu::GPUDialect", "::mlir::memref::MemRefDialect",
    "::mlir::scf::SCFDialect"
  ];
  let statistics = [Statistic<"numSplit", "split", "kernels that became two">];
}

def SplitGroups : Pass<"tile-split-groups", "::mlir::gpu::GPUFuncOp"> {
  let summary = "Gives groups of warps their own parts of a loop over chunks";
  let description = [{
    What a step of a loop over chunks computes falls apart by what it waits for:
    what is *ahead* depends on nothing that a step hands on, the *chain* is what
    leads from the states that a step is handed to those that it hands on, and
    the *readers* are what hangs off it and ends in stores. Each becomes the loop
    of a group of warps in `tile.groups`:

    - The first group computes what is ahead and has products in it (matrices), is
      reduced or scanned (vectors), or is a matrix that the chain multiplies by;
      what else is only pointwise stays with its users.
    - The second carries the states, and hands on what readers need of them: it
      marks what it has put while its next dot is under way.
    - The third computes results and stores them.

    Tiles pass between groups through buffers of two stages, and rings say when
    these are full and empty. What the loop loads is copied by the second and the
    third group, about as much each, while their dots are under way. What the
    first group computes that is the same for all chunks but those that the end of
    time cuts, as decays that don't change, is computed once, in front of a loop
    over these chunks. A loop without readers, for the states of segments of time,
    becomes two groups, with registers for two blocks.

    A loop whose chain or readers have no products ahead, as those of delta rules
    whose inverses a kernel before has computed, is not shared: its chain takes as
    long as everything did. It isn't either if something that would pass is a
    matrix of f32, or buffers don't fit in `memory`; `tile.one_group` on the kernel
    says why. If the states are multiplied on the way to the next ones, so that a
    step waits for one product behind the other, one group copies for the one that
    computes. Only matrices of bf16 and vectors of f32 are copied.

    Before: a loop that carries matrices. After: `tile.groups`, in which
    everything that concerns tiles is, and `tile.groups` on the kernel, their
    number.
  }];
  let options = [
    Option<"memory", "memory", "int64_t", "166912",
           "Bytes of shared memory of a block">];
  let dependentDialects = [
    "::rondo::tile::TileDialect", "::mlir::arith::ArithDialect",
    "::mlir::scf::SCFDialect"
  ];
  let statistics = [Statistic<"numSplit", "split", "loops that became groups">];
}

def PipelineCopies : Pass<"tile-pipeline-copies", "::mlir::gpu::GPUFuncOp"> {
  let summary = "Loads what the next step of a loop needs while this one works";
  let description = [{
    A `tile.load` directly in a loop is *early* when its place depends on the
    loop's index and on values from outside only. Early loads of bf16 matrices
    become copies to a buffer of two stages: the first step's
    before the loop, the next step's at the start of each step, right behind the
    wait for its own. In a kernel with one loop that has dots there are three stages, and
    copies for two steps ahead, where there is memory. Loops one behind the other share buffers. What is
    loaded in front of loops and read by such loops alone is copied with the
    first step. Early loads of vectors and scalars are carried in
    registers from step to step in the same way. Behind the last step a load's
    place is not looked at: its row limit becomes 0.

    In a kernel without such a loop, all matrices of bf16 are copied at once.

    The kernel gets two versions: in one, copies and stores have `tile.whole`,
    every piece of 16 bytes is aligned and no limit cuts one; a condition in
    front of both chooses.

    After the pass, loops begin with `tile.wait` where anything is copied, and one
    stands behind them.
  }];
  let options = [
    Option<"memory", "memory", "int64_t", "99 * 1024",
           "Bytes of shared memory of a block">];
  let dependentDialects = [
    "::rondo::tile::TileDialect", "::mlir::arith::ArithDialect",
    "::mlir::scf::SCFDialect"
  ];
}

def AssignLayouts : Pass<"tile-assign-layouts", "::mlir::gpu::GPUFuncOp"> {
  let summary = "Gives every tile a layout";
  let description = [{
    Scalars are `uniform` and vectors in `lanes`. Matrices are computed as
    `accumulator`, by maps, dots and inverses alike; a matrix that is loaded in
    bf16, or meets a dot, is in `shared` memory. A dot's left operand that was computed
    stays in registers (`operand`) when each warp has whole rows, everything
    else that a dot reads goes to `shared` memory. `tile.convert` stands where a
    value is wanted in another layout. A `tile.segment_dot` moves in front of
    scans of its factors, which are computed on the way to it, and beside others
    with these factors.
  }];
  let dependentDialects = ["::rondo::tile::TileDialect"];
}

def OverlapSteps : Pass<"tile-overlap-steps", "::mlir::gpu::GPUFuncOp"> {
  let summary = "Lets a step of a loop end while the next one begins";
  let description = [{
    Where groups of warps share a loop whose states go through products on the
    way to the next ones, nothing keeps matrix units busy at the border of two
    steps. Two things move across it:

    - A state that is the left operand of dots is rounded and packed in the step
      that computes it, behind its last dot and while others are under way, and
      the loop carries it as an operand, too.
    - A result of bf16 is carried, packed, and stored by the next step, while its
      first dot is under way; the last one behind the loop.

    Before: loops with layouts. After: the same loops, which carry more. A first
    step has nothing to store: a limit of its store is 0.
  }];
  let dependentDialects = [
    "::rondo::tile::TileDialect", "::mlir::arith::ArithDialect"];
}

def OrderDots : Pass<"tile-order-dots", "::mlir::gpu::GPUFuncOp"> {
  let summary = "Begins dots before what need not precede them";
  let description = [{
    Groups of warps go on while matrix units compute a dot that they began, up to
    the first operation that reads the result. The operations of a loop's body
    in which something that takes a while does not hang together with a dot are
    put in an order in which what the next step waits for comes first, dots as
    soon as their operands are there, and everything else, like the stores of
    results, while dots are in flight; of these orders, one that needs no more
    registers than there are.

    Operations on memory keep their order, but for views of buffers, which only
    stay behind the waits and copies in front of them; `tile.mark empty` stays
    behind everything. A body with other loops in it, or with copies behind views
    that no ring orders, stays as it is.
  }];
  let dependentDialects = ["::rondo::tile::TileDialect"];
}

def LowerTileToNVVM : Pass<"rondo-lower-tile-to-nvvm", "::mlir::ModuleOp"> {
  let summary = "Turns programs on tiles into code of one thread";
  let description = [{
    Kernels are `gpu.func`s with `tile.warps`, the number of warps of a block,
    and `tile.blocks`, if registers are to suffice for so many of them.
    Their tiles, all with layouts, become values in registers and places in
    shared memory (passes/GPU/Tile/EmitThreads.h), computation becomes `arith`,
    `math`, `scf` and `nvvm`. The bytes of dynamic shared memory are put on the
    kernel (`tile.shared_bytes`) and on every launch of it; they are the same
    with and without `warpgroups`.
  }];
  let options = [
    Option<"warpgroups", "warpgroups", "bool", "false",
           "Multiply by wgmma, groups of four warps (sm_90a)">];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::math::MathDialect",
    "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect",
    "::mlir::vector::VectorDialect", "::mlir::LLVM::LLVMDialect",
    "::mlir::NVVM::NVVMDialect", "::mlir::gpu::GPUDialect"
  ];
}

#endif // RONDO_PASSES_GPU_TILE_PASSES
