// RUN: rondo-opt %s --rondo-vectorize-loops --canonicalize --split-input-file | FileCheck %s

// Elementwise: two vectors at a time, then one masked vector.

module attributes {rondo.target = {name = "x86-64-v4", vector_bits = 512 : i64, registers = 32 : i64}} {
// CHECK-LABEL: func.func @elementwise
// CHECK-SAME:    %[[X:[a-z0-9]+]]: memref<?xf32>, %[[Y:[a-z0-9]+]]: memref<?xf32>
// CHECK-DAG:     %[[N:.*]] = memref.dim %[[X]]
// CHECK-DAG:     %[[MAIN:.*]] = arith.andi %[[N]], %c-32
// CHECK:         scf.for %[[I:.*]] = %c0 to %[[MAIN]] step %c32
// CHECK-COUNT-2:   vector.load %[[X]]{{.*}} : memref<?xf32>, vector<16xf32>
// CHECK-COUNT-2:   arith.mulf {{.*}} : vector<16xf32>
// CHECK-COUNT-2:   vector.store
// CHECK:         scf.for %[[J:.*]] = %[[MAIN]] to %[[N]] step %c16
// CHECK:           %[[MASK:.*]] = vector.create_mask
// CHECK:           vector.maskedload %[[X]][%[[J]]], %[[MASK]]
// CHECK:           vector.maskedstore %[[Y]][%[[J]]], %[[MASK]]
// CHECK-NOT:     linalg
func.func @elementwise(%x: memref<?xf32>, %y: memref<?xf32>) {
  linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>],
                  iterator_types = ["parallel"]}
      ins(%x : memref<?xf32>) outs(%y : memref<?xf32>) {
  ^bb0(%a: f32, %old: f32):
    %0 = arith.mulf %a, %a : f32
    linalg.yield %0 : f32
  }
  return
}

// Known sizes need no remainder.

// CHECK-LABEL: func.func @whole_vectors
// CHECK:         vector.load
// CHECK-NOT:     masked
// CHECK:         return
func.func @whole_vectors(%x: memref<128xf32>, %y: memref<128xf32>) {
  linalg.copy ins(%x : memref<128xf32>) outs(%y : memref<128xf32>)
  return
}

// o[j] = sum[i] q[i] S[i, j]: j is contiguous, so it is the vector dim; the
// accumulators are carried through the loop over i, two for each vector.

// CHECK-LABEL: func.func @contract_rows
// CHECK:         scf.for
// CHECK-COUNT-4:   vector.load
// CHECK:           scf.for {{.*}} iter_args({{.*}}) -> (vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>)
// CHECK-COUNT-2:     memref.load {{.*}} : memref<?xf32>
// CHECK-COUNT-8:     vector.load {{.*}} : memref<?x?xf32>
// CHECK-NOT:         vector.store
// CHECK:             scf.yield
// CHECK-COUNT-4:   vector.store
// CHECK:         scf.for
// CHECK:           vector.create_mask
// CHECK:           vector.maskedstore
func.func @contract_rows(%q: memref<?xf32>, %s: memref<?x?xf32>, %o: memref<?xf32>) {
  linalg.generic {indexing_maps = [affine_map<(j, i) -> (i)>, affine_map<(j, i) -> (i, j)>,
                                   affine_map<(j, i) -> (j)>],
                  iterator_types = ["parallel", "reduction"]}
      ins(%q, %s : memref<?xf32>, memref<?x?xf32>) outs(%o : memref<?xf32>) {
  ^bb0(%a: f32, %b: f32, %acc: f32):
    %0 = arith.mulf %a, %b : f32
    %1 = arith.addf %acc, %0 : f32
    linalg.yield %1 : f32
  }
  return
}

// o[d] = sum[e] R[d, e] h[e]: only the reduction dim is contiguous. Four rows
// share the loads of h; lanes are added up at the end.

// CHECK-LABEL: func.func @dot_rows
// CHECK-SAME:    %[[R:[a-z0-9]+]]: memref<?x?xf32>, %[[H:[a-z0-9]+]]: memref<?xf32>
// CHECK:         scf.for
// CHECK:           scf.for {{.*}} iter_args
// CHECK-COUNT-8:     vector.load %[[R]]
// CHECK-COUNT-2:     vector.load %[[H]]
// CHECK-NOT:         vector.load
// CHECK-COUNT-8:     arith.addf {{.*}} : vector<16xf32>
// CHECK:           scf.for {{.*}} iter_args
// CHECK:             vector.create_mask
// CHECK:             arith.select
// CHECK:           vector.shuffle
// CHECK:           vector.load {{.*}} vector<4xf32>
// CHECK:           vector.store {{.*}} vector<4xf32>
// The rows that are left take one masked vector at a time, not unrolled.
// CHECK:         scf.for
// CHECK:           scf.for {{.*}} iter_args
// CHECK-NOT:         vector.load
// CHECK-COUNT-2:     vector.maskedload
// CHECK:           } {llvm.loop_annotation = {{.*}}}
// CHECK-NOT:       scf.for
// CHECK:         return
func.func @dot_rows(%r: memref<?x?xf32>, %h: memref<?xf32>, %o: memref<?xf32>) {
  linalg.generic {indexing_maps = [affine_map<(d, e) -> (d, e)>, affine_map<(d, e) -> (e)>,
                                   affine_map<(d, e) -> (d)>],
                  iterator_types = ["parallel", "reduction"]}
      ins(%r, %h : memref<?x?xf32>, memref<?xf32>) outs(%o : memref<?xf32>) {
  ^bb0(%a: f32, %b: f32, %acc: f32):
    %0 = arith.mulf %a, %b : f32
    %1 = arith.addf %acc, %0 : f32
    linalg.yield %1 : f32
  }
  return
}

// Short rows that share nothing: the ends of sixteen are computed together.

// CHECK-LABEL: func.func @row_ends
// CHECK-SAME:    %[[X:[a-z0-9]+]]: memref<?x64xf32>, %[[O:[a-z0-9]+]]: memref<?xf32>
// CHECK:         scf.for {{.*}} step %c16
// CHECK:           scf.for {{.*}} step %c16
// CHECK-COUNT-16:    vector.load %[[X]]
// CHECK-NOT:         vector.load
// CHECK:             scf.yield
// CHECK:           vector.shuffle
// CHECK-NOT:       memref.store
// CHECK:           vector.store {{.*}}, %[[O]]{{.*}} vector<16xf32>
// CHECK:         return
func.func @row_ends(%x: memref<?x64xf32>, %o: memref<?xf32>) {
  %least = arith.constant 0xFF800000 : f32
  linalg.fill ins(%least : f32) outs(%o : memref<?xf32>)
  linalg.generic {indexing_maps = [affine_map<(r, s) -> (r, s)>, affine_map<(r, s) -> (r)>],
                  iterator_types = ["parallel", "reduction"]}
      ins(%x : memref<?x64xf32>) outs(%o : memref<?xf32>) {
  ^bb0(%a: f32, %acc: f32):
    %0 = arith.maximumf %acc, %a : f32
    linalg.yield %0 : f32
  }
  return
}

// What rarely runs is as little code as what is left.

// CHECK-LABEL: func.func @rare
// CHECK:         scf.for
// CHECK-NOT:       vector.load
// CHECK:           vector.maskedload
// CHECK:           vector.maskedstore
// CHECK-NOT:     scf.for
// CHECK:         return
func.func @rare(%x: memref<?xf32>, %y: memref<?xf32>) {
  linalg.copy {rondo.rare} ins(%x : memref<?xf32>) outs(%y : memref<?xf32>)
  return
}

// What depends on fewer dims is computed further out, once.

// CHECK-LABEL: func.func @hoisted
// CHECK:         scf.if
// CHECK:           memref.load
// CHECK:           math.exp {{.*}} : f32
// CHECK:           scf.for
// CHECK-NOT:         math.exp
func.func @hoisted(%g: memref<f32>, %x: memref<?xf32>, %y: memref<?xf32>) {
  linalg.generic {indexing_maps = [affine_map<(i) -> ()>, affine_map<(i) -> (i)>,
                                   affine_map<(i) -> (i)>],
                  iterator_types = ["parallel"]}
      ins(%g, %x : memref<f32>, memref<?xf32>) outs(%y : memref<?xf32>) {
  ^bb0(%a: f32, %b: f32, %old: f32):
    %0 = math.exp %a : f32
    %1 = arith.mulf %0, %b : f32
    linalg.yield %1 : f32
  }
  return
}

// A transposed copy of words reads whole vectors and exchanges their elements.

// CHECK-LABEL: func.func @transposed_words
// CHECK-COUNT-16: vector.load {{.*}} vector<16xi32>
// CHECK-COUNT-64: vector.shuffle {{.*}} vector<16xi32>
// CHECK-COUNT-16: vector.store {{.*}} vector<16xi32>
func.func @transposed_words(%x: memref<?x?xi32, strided<[?, 1]>>, %y: memref<?x?xi32>) {
  linalg.generic {indexing_maps = [affine_map<(i, j) -> (j, i)>, affine_map<(i, j) -> (i, j)>],
                  iterator_types = ["parallel", "parallel"]}
      ins(%x : memref<?x?xi32, strided<[?, 1]>>) outs(%y : memref<?x?xi32>) {
  ^bb0(%a: i32, %old: i32):
    linalg.yield %a : i32
  }
  return
}
}

// -----

// AVX2 has masks for words that stand next to each other, and no others.

module attributes {rondo.target = {name = "x86-64-v3", vector_bits = 256 : i64, registers = 16 : i64}} {
// CHECK-LABEL: func.func @masked_words
// CHECK:         vector.load {{.*}} vector<8xf32>
// CHECK:         vector.maskedload
// CHECK:         vector.maskedstore
func.func @masked_words(%x: memref<?xf32>, %y: memref<?xf32>) {
  linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>],
                  iterator_types = ["parallel"]}
      ins(%x : memref<?xf32>) outs(%y : memref<?xf32>) {
  ^bb0(%a: f32, %old: f32):
    %0 = arith.addf %a, %a : f32
    linalg.yield %0 : f32
  }
  return
}

// CHECK-LABEL: func.func @scalar_remainder
// CHECK:         vector.load {{.*}} vector<8xf16>
// CHECK-NOT:     masked
// CHECK:         scf.for
// CHECK:         scf.for {{.*}} step %c1
// CHECK:           memref.load
// CHECK:           memref.store
func.func @scalar_remainder(%x: memref<?xf16>, %y: memref<?xf16>) {
  linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>],
                  iterator_types = ["parallel"]}
      ins(%x : memref<?xf16>) outs(%y : memref<?xf16>) {
  ^bb0(%a: f16, %old: f16):
    linalg.yield %a : f16
  }
  return
}
}

// -----

module attributes {rondo.target = {name = "x86-64-v4", vector_bits = 512 : i64, registers = 32 : i64}} {
// A nest without dims is scalar code without a loop.

// CHECK-LABEL: func.func @no_dims
// CHECK-NOT:     scf.for
// CHECK:         memref.load
// CHECK-NEXT:    arith.addf {{.*}} : f32
// CHECK-NEXT:    memref.store
func.func @no_dims(%x: memref<f32>, %y: memref<f32>) {
  linalg.generic {indexing_maps = [affine_map<() -> ()>, affine_map<() -> ()>],
                  iterator_types = []}
      ins(%x : memref<f32>) outs(%y : memref<f32>) {
  ^bb0(%a: f32, %old: f32):
    %0 = arith.addf %a, %a : f32
    linalg.yield %0 : f32
  }
  return
}

// A store in the body that differs from element to element keeps it scalar.

// CHECK-LABEL: func.func @side_effect
// CHECK-NOT:     vector
// CHECK:         scf.for
// CHECK:           scf.if
// CHECK:             memref.store
// CHECK-NOT:     vector
// CHECK:         return
func.func @side_effect(%x: memref<?xf32>, %y: memref<?xf32>, %count: memref<i64>) {
  %zero = arith.constant 0.0 : f32
  linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>],
                  iterator_types = ["parallel"]}
      ins(%x : memref<?xf32>) outs(%y : memref<?xf32>) {
  ^bb0(%a: f32, %old: f32):
    %0 = arith.cmpf ogt, %a, %zero : f32
    scf.if %0 {
      %1 = arith.constant 1 : i64
      memref.store %1, %count[] : memref<i64>
    }
    linalg.yield %a : f32
  }
  return
}

// The order of a reduction that is not a sum (or the like) is kept: the loop
// over i is not split, and the vector dim is d although i is contiguous.

// CHECK-LABEL: func.func @ordered
// CHECK:         scf.for
// CHECK-COUNT-4:   vector.load %{{.*}} : memref<?xf32>
// CHECK:           scf.for {{.*}} step %c1 iter_args({{.*}}) -> (vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>)
// CHECK-COUNT-4:     vector.gather
// CHECK-NOT:     vector.shuffle
// CHECK:         return
func.func @ordered(%x: memref<?x?xf32>, %y: memref<?xf32>) {
  %half = arith.constant 0.5 : f32
  linalg.generic {indexing_maps = [affine_map<(d, i) -> (d, i)>, affine_map<(d, i) -> (d)>],
                  iterator_types = ["parallel", "reduction"]}
      ins(%x : memref<?x?xf32>) outs(%y : memref<?xf32>) {
  ^bb0(%a: f32, %acc: f32):
    %0 = arith.mulf %acc, %half : f32
    %1 = arith.addf %0, %a : f32
    linalg.yield %1 : f32
  }
  return
}
}
