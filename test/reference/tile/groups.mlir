// RUN: tile-eval %s | FileCheck %s

// Five items pass through two places: the second group sums them up as they
// come, and the first waits for it.
// CHECK-LABEL: ring
// CHECK-NEXT: 10
func.func @ring() -> memref<1x1xf32> {
  %m = memref.alloc() : memref<1x1xf32>
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c5 = arith.constant 5 : index
  %buffer = tile.alloc : !tile.buffer<2x1x1xf32>
  %ring = tile.ring : !tile.ring<2>
  tile.groups {
    %zero = tile.map -> !tile.tile<1x1xf32> {
    ^bb0(%r: index, %c: index):
      %0 = arith.constant 0.0 : f32
      tile.yield %0 : f32
    }
    %sum = scf.for %i = %c0 to %c5 step %c1 iter_args(%s = %zero) -> (!tile.tile<1x1xf32>) {
      %p = tile.await full %ring[%i] : !tile.ring<2>
      %x = tile.view %buffer[%p] : !tile.buffer<2x1x1xf32> -> !tile.tile<1x1xf32>
      %t = tile.map %s, %x : !tile.tile<1x1xf32>, !tile.tile<1x1xf32> -> !tile.tile<1x1xf32> {
      ^bb0(%a: f32, %b: f32, %r: index, %c: index):
        %0 = arith.addf %a, %b : f32
        tile.yield %0 : f32
      }
      tile.mark empty %ring[%i] : !tile.ring<2>
      scf.yield %t : !tile.tile<1x1xf32>
    }
    tile.store %sum, %m[%c0, %c0] : !tile.tile<1x1xf32>, memref<1x1xf32>
  }, {
    scf.for %i = %c0 to %c5 step %c1 {
      %p = tile.await empty %ring[%i] : !tile.ring<2>
      %x = tile.map -> !tile.tile<1x1xf32> {
      ^bb0(%r: index, %c: index):
        %0 = arith.index_cast %i : index to i32
        %1 = arith.sitofp %0 : i32 to f32
        tile.yield %1 : f32
      }
      tile.put %x to %buffer[%p] : !tile.tile<1x1xf32>, !tile.buffer<2x1x1xf32>
      tile.mark full %ring[%i] : !tile.ring<2>
    }
  }
  return %m : memref<1x1xf32>
}
