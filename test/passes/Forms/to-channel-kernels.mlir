// RUN: rondo-opt %s --split-input-file --rondo-to-channel-kernels="form=sequential channels=32 steps=1" --canonicalize --cse | FileCheck %s
// RUN: rondo-opt %s --split-input-file --rondo-to-channel-kernels="form=newton channels=16 segments=8 steps=2" --canonicalize --cse | FileCheck %s --check-prefix=NEWTON
// RUN: rondo-opt %s --split-input-file --rondo-to-channel-kernels --canonicalize --cse | FileCheck %s --check-prefix=CHOICE
// RUN: rondo-opt %s --split-input-file --rondo-to-channel-kernels="form=newton steps=2 memory=40000" --canonicalize --cse | FileCheck %s --check-prefix=GUESS
// RUN: rondo-opt %s --split-input-file --rondo-to-channel-kernels="form=newton steps=2 memory=1000" --canonicalize --cse | FileCheck %s --check-prefix=LITTLE
// RUN: not rondo-opt %s --split-input-file --rondo-to-channel-kernels=bound=0 2>&1 | FileCheck %s --check-prefix=NONE
// NONE: expects the name of a form, and at least one channel, lane, segment, step and evaluation

// h[t, d] = tanh(a[d] h[t-1, d] + x[t, d]): a thread per channel.
// CHECK: gpu.module @kernels
// CHECK: gpu.func @units
// CHECK-SAME: kernel
// CHECK-SAME: nvvm.maxntid = array<i32: 32, 1, 1>
// What a step reads is loaded a step before; at the end, in a second loop, with
// bounds.
// CHECK: scf.for %{{.*}} iter_args(%[[H:.*]] = %{{.*}}, %[[X:.*]] = %{{.*}}) -> (f32, f32)
// CHECK:   %[[LATER:.*]] = memref.load
// CHECK:   memref.prefetch
// CHECK:   %[[AH:.*]] = arith.mulf %{{.*}}, %[[H]]
// CHECK:   %[[SUM:.*]] = arith.addf %[[AH]], %[[X]]
// CHECK:   %[[NEXT:.*]] = math.tanh %[[SUM]]
// CHECK:   memref.store %[[NEXT]]
// CHECK:   scf.yield %[[NEXT]], %[[LATER]]
// CHECK: scf.for
// CHECK:   arith.minsi
// CHECK:   memref.load
// CHECK-NOT: gpu.barrier
// The host launches a block for every batch point and tile of channels.
// CHECK: func.func @units
// CHECK-SAME: !llvm.ptr, %{{.*}}: index, %{{.*}}: !llvm.ptr, %{{.*}}: index)
// CHECK-SAME: rondo.launches
// CHECK: arith.ceildivsi
// CHECK: gpu.launch_func @kernels::@units
// CHECK: func.func @units_worker_bytes

// NEWTON: gpu.func @units
// NEWTON-SAME: workgroup(%{{.*}} : memref<16xf32, #gpu.address_space<workgroup>>
// NEWTON-SAME: nvvm.maxntid = array<i32: 128, 1, 1>
// Windows whose states are found from steps before each segment: those steps,
// then the results; a mark is for the block.
// NEWTON: scf.while
// NEWTON:   scf.condition
// NEWTON:   gpu.barrier
// NEWTON:   scf.for
// NEWTON:     math.tanh
// NEWTON:   scf.for
// NEWTON:     math.tanh
// NEWTON:     memref.store
// NEWTON:   gpu.barrier
// NEWTON:   scf.yield
// The others: the ends of segments and their derivatives, corrections, results.
// Segments with defects are counted, and two rounds are to halve their number.
// NEWTON: scf.for
// NEWTON:   scf.while (%{{[a-z0-9]*}} = %c0, %[[BEFORE:[a-z0-9]*]] = %c16, %{{[a-z0-9]*}} = %c16,
// NEWTON:     scf.if
// NEWTON:       scf.for
// NEWTON:         math.tanh
// NEWTON:     gpu.barrier
// NEWTON:     scf.for
// NEWTON:       math.tanh
// NEWTON:       memref.store
// NEWTON:     gpu.barrier
// NEWTON:     %[[BAD:.*]]:2 = scf.for
// NEWTON:     %[[TWICE:.*]] = arith.addi %[[BAD]]#0, %[[BAD]]#0
// NEWTON:     arith.cmpi sle, %[[TWICE]], %[[BEFORE]]
// NEWTON:     scf.condition{{.*}} %[[BAD]]#1 :
// What does not settle is computed one step after the other, from the first of
// them on.
// NEWTON:   arith.cmpi slt, %[[FIRST:.*]], %c8
// NEWTON:   scf.if
// NEWTON:     arith.subi %[[FIRST]], %c1
// NEWTON:     scf.for
// NEWTON:       math.tanh
// NEWTON: gpu.launch_func @kernels::@units$guess
// NEWTON: gpu.launch_func @kernels::@units blocks

// Windows side by side come before it; the kernel goes on where they are wrong,
// and is done at once where they are right.
// GUESS: gpu.func @units(
// GUESS: nvvm.griddepcontrol wait
// GUESS: gpu.barrier
// GUESS: scf.for
// GUESS:   llvm.atomicrmw min
// GUESS: gpu.barrier
// GUESS: arith.cmpi slt, %[[DONE:.*]], %{{.*}}#1
// GUESS: scf.if
// GUESS:   scf.while (%{{.*}} = %[[DONE]],
// A warp copies rows of arguments by 16 bytes a lane, or, where they are not
// aligned, each lane its own elements, two blocks of steps ahead.
// GUESS: gpu.func @units$guess
// GUESS-SAME: nvvm.maxntid = array<i32: 512, 1, 1>
// GUESS: nvvm.griddepcontrol launch_dependents
// GUESS: gpu.dynamic_shared_memory
// GUESS: scf.if
// GUESS:   nvvm.cp.async.shared.global {{.*}}, 16, cache = cg
// What is read once more, as the last steps of the segment before, is kept.
// GUESS:   llvm.inline_asm has_side_effects {{.*}}prefetch.global.L2::evict_last
// GUESS:   scf.for
// GUESS:     nvvm.cp.async.wait.group 1
// GUESS:     nvvm.bar.warp.sync
// GUESS:     memref.load
// GUESS:     nvvm.cp.async.shared.global {{.*}}, 16, cache = cg
// GUESS:     nvvm.cp.async.commit.group
// GUESS:     math.tanh
// GUESS:   scf.for
// GUESS:     math.tanh
// GUESS:     llvm.store
// GUESS: } else {
// GUESS:   nvvm.cp.async.shared.global {{.*}}, 4, cache = ca
// The window's record: where it started and ended, and whether it is wrong.
// GUESS: llvm.store
// GUESS: llvm.store
// GUESS: gpu.barrier
// GUESS: scf.if
// GUESS:   llvm.store
// GUESS: func.func @units
// GUESS: scf.if
// GUESS:   gpu.launch_func @kernels::@units$guess blocks in ({{.*}}) threads in (%c512, %c1, %c1) dynamic_shared_memory_size %c12288_i32
// GUESS: gpu.launch_func @kernels::@units blocks
// GUESS-SAME: {rondo.behind}
// GUESS: gpu.launch_func @kernels::@units blocks
// GUESS-NOT: rondo.behind
// GUESS: func.func @units_worker_bytes
// GUESS: arith.maxsi {{.*}} %c64
// With little shared memory arguments are loaded.
// LITTLE: gpu.func @units$guess
// LITTLE-NOT: nvvm.cp.async
// LITTLE: func.func @units

// With no form asked for there are two kernels, between which sizes decide.
// CHOICE: gpu.func @units
// CHOICE: gpu.func @units$1
// CHOICE: func.func @units
// CHOICE: scf.if
// CHOICE:   gpu.launch_func @kernels::@units blocks
// CHOICE: } else {
// CHOICE:   gpu.launch_func @kernels::@units$1 blocks
rondo.kernel @units sizes ["T", "D"] bound [-1, -1] batch [] time "T"
    inputs [#rondo.tensor<"x", argument, f32, ()[T, D] -> (T, D)>,
            #rondo.tensor<"a", argument, f32, ()[T, D] -> (D)>,
            #rondo.tensor<"h.initial", initial, f32, ()[T, D] -> (D)>]
    outputs [#rondo.tensor<"y", result, f32, ()[T, D] -> (T, D)>,
             #rondo.tensor<"h.final", final, f32, ()[T, D] -> (D)>] {
^bb0(%x: tensor<?x?xf32>, %a: tensor<?xf32>, %given: tensor<?xf32>):
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  %T = rondo.size "T"
  %D = rondo.size "D"
  %declared = rondo.equation "h.declared" (%d < %D) -> tensor<?xf32> {
    rondo.yield %zero : f32
  }
  %h0 = rondo.initial %given else %declared : tensor<?xf32>, tensor<?xf32>
  %h:2 = rondo.recurrence along(%T) reversed [false] members ["h"] initial(%h0) batch 0
      : (index, tensor<?xf32>) -> (tensor<?x?xf32>, tensor<?xf32>) {
  ^bb0(%t: index, %past: tensor<?x?xf32>):
    %before = arith.subi %t, %c1 : index
    %next = rondo.equation "h" (%d < %D) -> tensor<?xf32> {
      %0 = rondo.read %past[%before, %d] else %h0[%d] : tensor<?x?xf32>, tensor<?xf32> -> f32
      %1 = rondo.read %a[%d] : tensor<?xf32> -> f32
      %2 = arith.mulf %1, %0 : f32
      %3 = rondo.read %x[%t, %d] : tensor<?x?xf32> -> f32
      %4 = arith.addf %2, %3 : f32
      %5 = math.tanh %4 : f32
      rondo.yield %5 : f32
    }
    rondo.yield %next : tensor<?xf32>
  }
  %y = rondo.equation "y" (%t < %T, %d < %D) -> tensor<?x?xf32> {
    %0 = rondo.read %h#0[%t, %d] : tensor<?x?xf32> -> f32
    rondo.yield %0 : f32
  }
  rondo.return %y, %h#1 : tensor<?x?xf32>, tensor<?xf32>
}

// -----

// The result sums over the channels: nothing changes.
// CHECK-LABEL: rondo.kernel @summed
// NEWTON-LABEL: rondo.kernel @summed
rondo.kernel @summed sizes ["T", "D"] bound [-1, -1] batch [] time "T"
    inputs [#rondo.tensor<"x", argument, f32, ()[T, D] -> (T, D)>,
            #rondo.tensor<"h.initial", initial, f32, ()[T, D] -> (D)>]
    outputs [#rondo.tensor<"y", result, f32, ()[T, D] -> (T)>] {
^bb0(%x: tensor<?x?xf32>, %given: tensor<?xf32>):
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  %T = rondo.size "T"
  %D = rondo.size "D"
  %declared = rondo.equation "h.declared" (%d < %D) -> tensor<?xf32> {
    rondo.yield %zero : f32
  }
  %h0 = rondo.initial %given else %declared : tensor<?xf32>, tensor<?xf32>
  %h:2 = rondo.recurrence along(%T) reversed [false] members ["h"] initial(%h0) batch 0
      : (index, tensor<?xf32>) -> (tensor<?x?xf32>, tensor<?xf32>) {
  ^bb0(%t: index, %past: tensor<?x?xf32>):
    %before = arith.subi %t, %c1 : index
    %next = rondo.equation "h" (%d < %D) -> tensor<?xf32> {
      %0 = rondo.read %past[%before, %d] else %h0[%d] : tensor<?x?xf32>, tensor<?xf32> -> f32
      %1 = rondo.read %x[%t, %d] : tensor<?x?xf32> -> f32
      %2 = arith.addf %0, %1 : f32
      %3 = math.tanh %2 : f32
      rondo.yield %3 : f32
    }
    rondo.yield %next : tensor<?xf32>
  }
  %y = rondo.equation "y" (%t < %T) sum (%d = %c0 to %D) -> tensor<?xf32> {
    %0 = rondo.read %h#0[%t, %d] : tensor<?x?xf32> -> f32
    rondo.yield %0 : f32
  }
  rondo.return %y : tensor<?xf32>
}
