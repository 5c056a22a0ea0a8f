// RUN: rondo-opt %s --rondo-verify-kernels --split-input-file --verify-diagnostics

module attributes {rondo.chip = "sm_80"} {
  gpu.module @kernels {
    gpu.func @f() kernel {
      // expected-error@+1 {{needs sm_90, and the code is for sm_80}}
      nvvm.cluster.arrive
      gpu.return
    }
  }
}

// -----

module attributes {rondo.chip = "sm_90"} {
  gpu.module @kernels {
    gpu.func @f() kernel {
      // expected-error@+1 {{needs sm_90a, and the code is for sm_90}}
      nvvm.wgmma.fence.aligned
      gpu.return
    }
  }
}

// -----

module attributes {rondo.chip = "sm_90a"} {
  gpu.module @kernels {
    gpu.func @f() kernel {
      nvvm.cluster.arrive
      nvvm.wgmma.fence.aligned
      gpu.return
    }
  }
}
