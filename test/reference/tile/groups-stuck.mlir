// RUN: not tile-eval %s 2>&1 | FileCheck %s

// No group puts a second item into the ring.
func.func @stuck() -> index {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %ring = tile.ring : !tile.ring<1>
  tile.groups {
    %0 = tile.await full %ring[%c0] : !tile.ring<1>
    // CHECK: waits for what no group will do
    %1 = tile.await full %ring[%c1] : !tile.ring<1>
  }, {
    tile.mark full %ring[%c0] : !tile.ring<1>
  }
  return %c0 : index
}
