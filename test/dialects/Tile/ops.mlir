// RUN: rondo-opt %s --verify-roundtrip | FileCheck %s

// CHECK-LABEL: func.func @memory
func.func @memory(%m: memref<?x?x?x?xbf16>, %b: index, %t: index, %n: index) {
  %c0 = arith.constant 0 : index
  // CHECK: tile.load %{{.*}}[%{{.*}}] rows 1 below %{{.*}} columns 3 below
  %q = tile.load %m[%b, %t, %b, %c0] rows 1 below %n columns 3 below %n
      : memref<?x?x?x?xbf16> -> !tile.tile<64x128xbf16>
  // CHECK: tile.alloc : <2x64x128xbf16>
  %buffer = tile.alloc : !tile.buffer<2x64x128xbf16>
  // CHECK: tile.copy {{.*}} to
  tile.copy %m[%b, %t, %b, %c0] rows 1 below %n columns 3 below %n
      to %buffer[%c0] : memref<?x?x?x?xbf16>, !tile.buffer<2x64x128xbf16>
  // CHECK: tile.commit
  tile.commit
  // CHECK: tile.wait 0
  tile.wait 0
  // CHECK: tile.view {{.*}} -> <64x128xbf16, shared>
  %k = tile.view %buffer[%c0]
      : !tile.buffer<2x64x128xbf16> -> !tile.tile<64x128xbf16, shared>
  // CHECK: tile.store
  tile.store %q, %m[%b, %t, %b, %c0] rows 1 below %n columns 3 below %n
      : !tile.tile<64x128xbf16>, memref<?x?x?x?xbf16>
  return
}

// CHECK-LABEL: func.func @computation
func.func @computation(%q: !tile.tile<64x128xbf16>, %k: !tile.tile<64x128xbf16>,
                       %a: !tile.tile<64x1xf32>) -> !tile.tile<64x64xf32> {
  // CHECK: tile.map -> <64x64xf32>
  %zero = tile.map -> !tile.tile<64x64xf32> {
  ^bb0(%r: index, %c: index):
    %0 = arith.constant 0.0 : f32
    tile.yield %0 : f32
  }
  // CHECK: tile.dot {{.*}} transpose_right
  %s = tile.dot %q, %k, %zero transpose_right
      : !tile.tile<64x128xbf16>, !tile.tile<64x128xbf16>, !tile.tile<64x64xf32>
  // CHECK: tile.segment_product %{{.*}} : <64x1xf32> -> <64x64xf32>
  %d = tile.segment_product %a : !tile.tile<64x1xf32> -> !tile.tile<64x64xf32>
  // CHECK: tile.segment_product %{{.*}} row 63
  %e = tile.segment_product %a row 63 : !tile.tile<64x1xf32> -> !tile.tile<1x64xf32>
  // CHECK: tile.scan product exclusive
  %p = tile.scan product exclusive %a : !tile.tile<64x1xf32> -> !tile.tile<64x1xf32>
  // CHECK: tile.extract %{{.*}} at 63
  %x = tile.extract %p at 63 : !tile.tile<64x1xf32> -> !tile.tile<1x1xf32>
  // CHECK: tile.reduce max along columns
  %m = tile.reduce max along columns %s : !tile.tile<64x64xf32> -> !tile.tile<64x1xf32>
  // CHECK: tile.map %{{.*}}, %{{.*}}, %{{.*}} : !tile.tile<64x64xf32>, !tile.tile<64x1xf32>, !tile.tile<1x1xf32> -> <64x64xf32>
  %y = tile.map %s, %m, %x : !tile.tile<64x64xf32>, !tile.tile<64x1xf32>, !tile.tile<1x1xf32>
      -> !tile.tile<64x64xf32> {
  ^bb0(%u: f32, %v: f32, %w: f32, %r: index, %c: index):
    %0 = arith.mulf %u, %v : f32
    %1 = arith.mulf %0, %w : f32
    tile.yield %1 : f32
  }
  // CHECK: tile.invert
  %t = tile.invert %y : !tile.tile<64x64xf32> -> !tile.tile<64x64xf32>
  // CHECK: tile.scan product exclusive reversed
  %g = tile.scan product exclusive reversed %t : !tile.tile<64x64xf32> -> !tile.tile<64x64xf32>
  // CHECK: tile.extract %{{.*}} at 63 : <64x64xf32> -> <1x64xf32>
  %last = tile.extract %g at 63 : !tile.tile<64x64xf32> -> !tile.tile<1x64xf32>
  // CHECK: tile.segment_dot %{{.*}}, %{{.*}}, %{{.*}} exclusive
  %w = tile.segment_dot %t, %g, %g exclusive : !tile.tile<64x64xf32>, !tile.tile<64x64xf32>, !tile.tile<64x64xf32> -> !tile.tile<64x64xf32>
  // CHECK: tile.transpose
  %b = tile.transpose %a : !tile.tile<64x1xf32> -> !tile.tile<1x64xf32>
  return %t : !tile.tile<64x64xf32>
}

// CHECK-LABEL: func.func @layouts
func.func @layouts(%a: !tile.tile<64x64xbf16, accumulator>) -> !tile.tile<64x64xbf16, operand> {
  // CHECK: tile.convert %{{.*}} : <64x64xbf16, accumulator> -> <64x64xbf16, operand>
  %b = tile.convert %a : !tile.tile<64x64xbf16, accumulator> -> !tile.tile<64x64xbf16, operand>
  return %b : !tile.tile<64x64xbf16, operand>
}

// CHECK-LABEL: func.func @groups
func.func @groups(%n: index) {
  %buffer = tile.alloc : !tile.buffer<2x64x128xbf16>
  // CHECK: %[[RING:.*]] = tile.ring : <2>
  %ring = tile.ring : !tile.ring<2>
  // CHECK: tile.groups {
  tile.groups {
    %t = tile.map -> !tile.tile<64x128xbf16> {
    ^bb0(%r: index, %c: index):
      %0 = arith.constant 1.0 : f32
      tile.yield %0 : f32
    }
    // CHECK: %[[PLACE:.*]] = tile.await empty %[[RING]][%{{.*}}] : <2>
    %p = tile.await empty %ring[%n] : !tile.ring<2>
    // CHECK: tile.put %{{.*}} to %{{.*}}[%[[PLACE]]] : <64x128xbf16>, <2x64x128xbf16>
    tile.put %t to %buffer[%p] : !tile.tile<64x128xbf16>, !tile.buffer<2x64x128xbf16>
    // CHECK: tile.mark full %[[RING]][%{{.*}}] : <2>
    tile.mark full %ring[%n] : !tile.ring<2>
  // CHECK: }, {
  }, {
    %p = tile.await full %ring[%n] : !tile.ring<2>
    %t = tile.view %buffer[%p] : !tile.buffer<2x64x128xbf16> -> !tile.tile<64x128xbf16>
    tile.mark empty %ring[%n] : !tile.ring<2>
  }
  return
}
