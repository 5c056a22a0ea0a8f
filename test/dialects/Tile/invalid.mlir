// RUN: rondo-opt %s --split-input-file --verify-diagnostics

func.func @load_c1(%m: memref<?x?xf32>, %i: index) {
  // expected-error@+1 {{has 1 indices for 2 dims}}
  %0 = tile.load %m[%i] rows 0 below %i columns 1 below %i : memref<?x?xf32> -> !tile.tile<16x16xf32>
  return
}

// -----

func.func @load_c2(%m: memref<?x?xf32>, %i: index) {
  // expected-error@+1 {{has rows and columns along the same dim}}
  %0 = tile.load %m[%i, %i] rows 1 below %i columns 1 below %i : memref<?x?xf32> -> !tile.tile<16x16xf32>
  return
}

// -----

func.func @load_c3(%m: memref<?x?xf32>, %i: index) {
  // expected-error@+1 {{needs a limit for every dim of the tile}}
  %0 = tile.load %m[%i, %i] rows 0 columns 1 below %i : memref<?x?xf32> -> !tile.tile<16x16xf32>
  return
}

// -----

func.func @load_c4(%m: memref<?x?xf32>, %i: index) {
  // expected-error@+1 {{has elements of 'bf16' and memory of 'f32'}}
  %0 = tile.load %m[%i, %i] rows 0 below %i columns 1 below %i : memref<?x?xf32> -> !tile.tile<16x16xbf16>
  return
}

// -----

func.func @wait_c1() {
  // expected-error@+1 {{negative number of pending groups}}
  tile.wait -1
  return
}

// -----

func.func @view_c1(%b: !tile.buffer<2x64x64xbf16>, %i: index) {
  // expected-error@+1 {{has a tile that is not a stage}}
  %0 = tile.view %b[%i] : !tile.buffer<2x64x64xbf16> -> !tile.tile<64x32xbf16>
  return
}

// -----

func.func @dot_c1(%a: !tile.tile<64x32xbf16>, %c: !tile.tile<64x64xf32>) {
  // expected-error@+1 {{multiplies 64x32 by 64x32 to 64x64}}
  %0 = tile.dot %a, %a, %c : !tile.tile<64x32xbf16>, !tile.tile<64x32xbf16>, !tile.tile<64x64xf32>
  return
}

// -----

func.func @dot_c2(%a: !tile.tile<64x64xbf16>) {
  // expected-error@+1 {{needs an accumulator of the result's type, of f32}}
  %0 = tile.dot %a, %a, %a : !tile.tile<64x64xbf16>, !tile.tile<64x64xbf16>, !tile.tile<64x64xbf16>
  return
}

// -----

func.func @map_c1(%a: !tile.tile<64x32xbf16>) {
  // expected-error@+1 {{has operand 0 of}}
  %0 = tile.map %a : !tile.tile<64x32xbf16> -> !tile.tile<64x64xf32> {
  ^bb0(%x: f32, %r: index, %c: index):
    tile.yield %x : f32
  }
  return
}

// -----

func.func @map_c2(%a: !tile.tile<64x64xbf16>) {
  // expected-error@+1 {{needs a block with one f32 per operand and two indices}}
  %0 = tile.map %a : !tile.tile<64x64xbf16> -> !tile.tile<64x64xf32> {
  ^bb0(%x: f32, %r: index):
    tile.yield %x : f32
  }
  return
}

// -----

func.func @map_c3(%a: !tile.tile<64x64xbf16>, %i: index, %m: memref<?xf32>) {
  %0 = tile.map %a : !tile.tile<64x64xbf16> -> !tile.tile<64x64xf32> {
  ^bb0(%x: f32, %r: index, %c: index):
    // expected-error@+1 {{can't be in a map}}
    %y = memref.load %m[%i] : memref<?xf32>
    tile.yield %y : f32
  }
  return
}

// -----

func.func @reduce_c1(%a: !tile.tile<64x32xf32>) {
  // expected-error@+1 {{has a result that is not the source reduced}}
  %0 = tile.reduce sum along rows %a : !tile.tile<64x32xf32> -> !tile.tile<64x1xf32>
  return
}

// -----

func.func @scan_c1(%a: !tile.tile<1x1xf32>) {
  // expected-error@+1 {{needs a vector or a matrix}}
  %0 = tile.scan sum %a : !tile.tile<1x1xf32> -> !tile.tile<1x1xf32>
  return
}

// -----

func.func @scan_c2_combiner(%a: !tile.tile<64x32xf32>) {
  // expected-error@+1 {{combines the rows of a matrix by `product` alone}}
  %0 = tile.scan sum %a : !tile.tile<64x32xf32> -> !tile.tile<64x32xf32>
  return
}

// -----

func.func @scan_c2_reversed(%a: !tile.tile<64x1xf32>) {
  // expected-error@+1 {{is reversed for matrices alone}}
  %0 = tile.scan product reversed %a : !tile.tile<64x1xf32> -> !tile.tile<64x1xf32>
  return
}

// -----

func.func @segment_product_c2(%a: !tile.tile<64x1xf32>) {
  // expected-error@+1 {{has a row out of range}}
  %0 = tile.segment_product %a row 64 : !tile.tile<64x1xf32> -> !tile.tile<1x64xf32>
  return
}

// -----

func.func @extract_c2(%a: !tile.tile<64x1xf32>) {
  // expected-error@+1 {{has a position out of range}}
  %0 = tile.extract %a at 64 : !tile.tile<64x1xf32> -> !tile.tile<1x1xf32>
  return
}

// -----

func.func @invert_c1(%a: !tile.tile<48x48xf32>) {
  // expected-error@+1 {{needs a power of two times 16 rows}}
  %0 = tile.invert %a : !tile.tile<48x48xf32> -> !tile.tile<48x48xf32>
  return
}

// -----

func.func @transpose_c1(%a: !tile.tile<48x16xf32>) {
  // expected-error@+1 {{has a result that is not the transposed source}}
  %0 = tile.transpose %a : !tile.tile<48x16xf32> -> !tile.tile<48x16xf32>
  return
}

// -----

func.func @convert_c1(%a: !tile.tile<48x16xf32>) {
  // expected-error@+1 {{changes more than the layout}}
  %0 = tile.convert %a : !tile.tile<48x16xf32> -> !tile.tile<48x16xbf16, shared>
  return
}

// -----

// expected-error@+1 {{layout 'lanes' is for vectors}}
func.func @tile_layout(%a: !tile.tile<48x16xf32, lanes>) {
  return
}

// -----

func.func @segment_dot_c1(%q: !tile.tile<64x64xbf16>, %a: !tile.tile<32x64xf32>) {
  // expected-error@+1 {{needs operands of one shape}}
  %0 = tile.segment_dot %q, %q, %a : !tile.tile<64x64xbf16>, !tile.tile<64x64xbf16>, !tile.tile<32x64xf32> -> !tile.tile<64x64xf32>
  return
}

// -----

func.func @segment_dot_c2(%a: !tile.tile<48x64xf32>) {
  // expected-error@+1 {{needs a power of two of 16 rows at least}}
  %0 = tile.segment_dot %a, %a, %a : !tile.tile<48x64xf32>, !tile.tile<48x64xf32>, !tile.tile<48x64xf32> -> !tile.tile<48x48xf32>
  return
}

// -----

func.func @segment_dot_c3(%a: !tile.tile<32x64xf32>) {
  // expected-error@+1 {{has a result that is not 32x32 of f32}}
  %0 = tile.segment_dot %a, %a, %a : !tile.tile<32x64xf32>, !tile.tile<32x64xf32>, !tile.tile<32x64xf32> -> !tile.tile<32x64xf32>
  return
}

// -----

func.func @extract_c1_row(%a: !tile.tile<64x16xf32>) {
  // expected-error@+1 {{takes a scalar from a vector of its type, or a row from a matrix}}
  %0 = tile.extract %a at 0 : !tile.tile<64x16xf32> -> !tile.tile<64x1xf32>
  return
}

// -----

func.func @extract_c2_row(%a: !tile.tile<64x16xf32>) {
  // expected-error@+1 {{has a position out of range}}
  %0 = tile.extract %a at 64 : !tile.tile<64x16xf32> -> !tile.tile<1x16xf32>
  return
}

// -----

func.func @groups_c1() {
  // expected-error@+1 {{has fewer than two groups}}
  tile.groups {
  }
  return
}

// -----

func.func @groups_c2(%a: !tile.tile<64x64xbf16>, %b: !tile.buffer<1x64x64xbf16>, %i: index) {
  // expected-error@+1 {{has a group that reads a tile from outside}}
  tile.groups {
    tile.put %a to %b[%i] : !tile.tile<64x64xbf16>, !tile.buffer<1x64x64xbf16>
  }, {
  }
  return
}

// -----

func.func @groups_c3(%n: index) {
  scf.for %i = %n to %n step %n {
    // expected-error@+1 {{stands in a loop or in another group}}
    tile.groups {
    }, {
    }
  }
  return
}

// -----

func.func @ring_c1() {
  tile.groups {
    // expected-error@+1 {{stands in a group}}
    %0 = tile.ring : !tile.ring<2>
  }, {
  }
  return
}

// -----

func.func @await_c1(%i: index) {
  %0 = tile.ring : !tile.ring<2>
  // expected-error@+1 {{stands in no group}}
  %1 = tile.await full %0[%i] : !tile.ring<2>
  return
}

// -----

func.func @mark_c1(%i: index) {
  %0 = tile.ring : !tile.ring<2>
  // expected-error@+1 {{stands in no group}}
  tile.mark full %0[%i] : !tile.ring<2>
  return
}

// -----

func.func @put_c1(%a: !tile.tile<64x64xbf16>, %b: !tile.buffer<1x64x32xbf16>, %i: index) {
  // expected-error@+1 {{has a tile that is not a stage of}}
  tile.put %a to %b[%i] : !tile.tile<64x64xbf16>, !tile.buffer<1x64x32xbf16>
  return
}

// -----

// expected-error@+1 {{a ring has one place at least}}
func.func @ring_places(%r: !tile.ring<0>) {
  return
}
