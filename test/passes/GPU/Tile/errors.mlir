// RUN: rondo-opt %s --rondo-lower-tile-to-nvvm --split-input-file --verify-diagnostics

module attributes {gpu.container_module} {
  gpu.module @m {
    gpu.func @unassigned() kernel attributes {tile.warps = 4 : i64} {
      // expected-error@+1 {{has a result without a layout}}
      %0 = tile.map -> !tile.tile<64x64xf32> {
      ^bb0(%r: index, %c: index):
        %1 = arith.constant 0.0 : f32
        tile.yield %1 : f32
      }
      gpu.return
    }
  }
}

// -----

module attributes {gpu.container_module} {
  gpu.module @m {
    gpu.func @uneven() kernel attributes {tile.warps = 4 : i64} {
      // expected-error@+1 {{its rows don't divide among the warps}}
      %0 = tile.map -> !tile.tile<80x64xf32, accumulator> {
      ^bb0(%r: index, %c: index):
        %1 = arith.constant 0.0 : f32
        tile.yield %1 : f32
      }
      gpu.return
    }
  }
}
