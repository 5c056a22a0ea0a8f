// RUN: tile-eval %s | FileCheck %s

memref.global "private" constant @decays : memref<4xf32> = dense<[0.5, 3.0, 0.0, 2.0]>

// CHECK-LABEL: scans
// CHECK-NEXT: 0.5
// CHECK-NEXT: 3.5
// CHECK-NEXT: 3.5
// CHECK-NEXT: 5.5
// CHECK-NEXT: 1
// CHECK-NEXT: 0.5
// CHECK-NEXT: 1.5
// CHECK-NEXT: 0
// CHECK-NEXT: 0
func.func @scans() -> (!tile.tile<4x1xf32>, !tile.tile<4x1xf32>, !tile.tile<1x1xf32>) {
  %m = memref.get_global @decays : memref<4xf32>
  %c0 = arith.constant 0 : index
  %c4 = arith.constant 4 : index
  %a = tile.load %m[%c0] rows 0 below %c4 : memref<4xf32> -> !tile.tile<4x1xf32>
  %s = tile.scan sum %a : !tile.tile<4x1xf32> -> !tile.tile<4x1xf32>
  %p = tile.scan product exclusive %a : !tile.tile<4x1xf32> -> !tile.tile<4x1xf32>
  %e = tile.extract %p at 3 : !tile.tile<4x1xf32> -> !tile.tile<1x1xf32>
  return %s, %p, %e : !tile.tile<4x1xf32>, !tile.tile<4x1xf32>, !tile.tile<1x1xf32>
}

// CHECK-LABEL: segments
// CHECK-NEXT: 1 0 0 0
// CHECK-NEXT: 3 1 0 0
// CHECK-NEXT: 0 0 1 0
// CHECK-NEXT: 0 0 2 1
// CHECK-NEXT: 1 0 0 0
// CHECK-NEXT: 1 1 0 0
// CHECK-NEXT: 3 1 1 0
// CHECK-NEXT: 0 0 1 1
// CHECK-NEXT: 0 0 1 0
func.func @segments() -> (!tile.tile<4x4xf32>, !tile.tile<4x4xf32>, !tile.tile<1x4xf32>) {
  %m = memref.get_global @decays : memref<4xf32>
  %c0 = arith.constant 0 : index
  %c4 = arith.constant 4 : index
  %a = tile.load %m[%c0] rows 0 below %c4 : memref<4xf32> -> !tile.tile<4x1xf32>
  %d = tile.segment_product %a : !tile.tile<4x1xf32> -> !tile.tile<4x4xf32>
  %x = tile.segment_product %a exclusive : !tile.tile<4x1xf32> -> !tile.tile<4x4xf32>
  %r = tile.segment_product %a row 2 : !tile.tile<4x1xf32> -> !tile.tile<1x4xf32>
  return %d, %x, %r : !tile.tile<4x4xf32>, !tile.tile<4x4xf32>, !tile.tile<1x4xf32>
}
