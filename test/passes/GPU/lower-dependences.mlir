// RUN: rondo-opt --rondo-lower-kernels --split-input-file %s | FileCheck %s

// A kernel may begin before the one in front of it has ended; on older chips it
// never does.
module attributes {rondo.chip = "sm_90"} {
  gpu.module @kernels {
    // CHECK-LABEL: llvm.func @new
    gpu.func @new() kernel {
      // CHECK: nvvm.griddepcontrol launch_dependents
      nvvm.griddepcontrol launch_dependents
      // CHECK: nvvm.griddepcontrol wait
      nvvm.griddepcontrol wait
      gpu.return
    }
  }
}

// -----

module attributes {rondo.chip = "sm_80"} {
  gpu.module @kernels {
    // CHECK-LABEL: llvm.func @old
    // CHECK-NOT: nvvm.griddepcontrol
    gpu.func @old() kernel {
      nvvm.griddepcontrol launch_dependents
      nvvm.griddepcontrol wait
      // CHECK: llvm.return
      gpu.return
    }
  }
}
