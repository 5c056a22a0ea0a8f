// RUN: rondo-opt %s --rondo-forward-copies --canonicalize | FileCheck %s

#id = affine_map<(r, j) -> (r, j)>
#across = affine_map<(r, j) -> (j, r)>
#row = affine_map<(r, j, s) -> (r, s)>
#column = affine_map<(r, j, s) -> (s, j)>
#out = affine_map<(r, j, s) -> (r, j)>

// Read once, across, and by rows: where all rows exist, in the argument.
// CHECK-LABEL: func.func @once(
// CHECK-SAME:    %[[X:[^:]*]]: memref
// CHECK:         scf.for
// CHECK:           %[[WHOLE:.*]] = arith.cmpi
// CHECK:           %[[ROWS:.*]] = memref.subview %[[X]]
// CHECK:           %[[EITHER:.*]] = arith.select %[[WHOLE]], %[[ROWS]], %{{.*}} : memref<16x16xf32, strided<[?, 1], offset: ?>>
// CHECK:           scf.if %[[WHOLE]]
// CHECK-NEXT:      } else {
// CHECK-NEXT:        linalg.fill
// CHECK:           linalg.generic {{.*}} ins(%[[EITHER]] :
// CHECK:           memref.subview %[[EITHER]][3, 0]
func.func @once(%x: memref<?x16xf32, strided<[?, 1]>>, %y: memref<16x16xf32>, %z: memref<16xf32>, %workspace: memref<?xi8>, %n: index) {
  %zero = arith.constant 0.0 : f32
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c16 = arith.constant 16 : index
  %buffer = memref.view %workspace[%c0][] : memref<?xi8> to memref<16x16xf32>
  scf.for %c = %c0 to %n step %c1 {
    %first = arith.muli %c, %c16 : index
    %end = arith.addi %first, %c16 : index
    %whole = arith.cmpi sle, %end, %n : index
    scf.if %whole {
      %rows = memref.subview %x[%first, 0] [16, 16] [1, 1] : memref<?x16xf32, strided<[?, 1]>> to memref<16x16xf32, strided<[?, 1], offset: ?>>
      linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
          ins(%rows : memref<16x16xf32, strided<[?, 1], offset: ?>>) outs(%buffer : memref<16x16xf32>) {
      ^bb0(%0: f32, %old: f32):
        linalg.yield %0 : f32
      }
    } else {
      linalg.fill ins(%zero : f32) outs(%buffer : memref<16x16xf32>)
    }
    linalg.generic {indexing_maps = [#across, #id], iterator_types = ["parallel", "parallel"]}
        ins(%buffer : memref<16x16xf32>) outs(%y : memref<16x16xf32>) {
    ^bb0(%0: f32, %old: f32):
      linalg.yield %0 : f32
    }
    %third = memref.subview %buffer[3, 0] [1, 16] [1, 1] : memref<16x16xf32> to memref<16xf32, strided<[1], offset: 48>>
    linalg.generic {indexing_maps = [affine_map<(j) -> (j)>, affine_map<(j) -> (j)>], iterator_types = ["parallel"]}
        ins(%third : memref<16xf32, strided<[1], offset: 48>>) outs(%z : memref<16xf32>) {
    ^bb0(%0: f32, %old: f32):
      linalg.yield %0 : f32
    }
  }
  return
}

// A product reads rows again and again: it gets the copy.
// CHECK-LABEL: func.func @product(
// CHECK-NOT:     arith.select
// CHECK:         return
func.func @product(%x: memref<?x16xf32, strided<[?, 1]>>, %a: memref<16x16xf32>, %y: memref<16x16xf32>, %workspace: memref<?xi8>, %n: index) {
  %zero = arith.constant 0.0 : f32
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c16 = arith.constant 16 : index
  %buffer = memref.view %workspace[%c0][] : memref<?xi8> to memref<16x16xf32>
  scf.for %c = %c0 to %n step %c1 {
    %first = arith.muli %c, %c16 : index
    %end = arith.addi %first, %c16 : index
    %whole = arith.cmpi sle, %end, %n : index
    scf.if %whole {
      %rows = memref.subview %x[%first, 0] [16, 16] [1, 1] : memref<?x16xf32, strided<[?, 1]>> to memref<16x16xf32, strided<[?, 1], offset: ?>>
      linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
          ins(%rows : memref<16x16xf32, strided<[?, 1], offset: ?>>) outs(%buffer : memref<16x16xf32>) {
      ^bb0(%0: f32, %old: f32):
        linalg.yield %0 : f32
      }
    } else {
      linalg.fill ins(%zero : f32) outs(%buffer : memref<16x16xf32>)
    }
    linalg.generic {indexing_maps = [#row, #column, #out], iterator_types = ["parallel", "parallel", "reduction"]}
        ins(%a, %buffer : memref<16x16xf32>, memref<16x16xf32>) outs(%y : memref<16x16xf32>) {
    ^bb0(%0: f32, %1: f32, %sum: f32):
      %2 = arith.mulf %0, %1 : f32
      %3 = arith.addf %sum, %2 : f32
      linalg.yield %3 : f32
    }
  }
  return
}

// Of the copies under one test, each goes its own way: the first is read once,
// the second by a product, and the third by what is computed under the test.
// CHECK-LABEL: func.func @together(
// CHECK-SAME:    %[[X:[^:]*]]: memref
// CHECK:           %[[ROWS:.*]] = memref.subview %[[X]]
// CHECK:           %[[EITHER:.*]] = arith.select %{{.*}}, %[[ROWS]], %{{.*}} : memref<16x16xf32, strided<[?, 1], offset: ?>>
// CHECK:           scf.if
// CHECK:             linalg.generic {{.*}} outs(%[[COPY:.*]] : memref<16x16xf32>)
// CHECK:             linalg.generic {{.*}} outs(%[[THIRD:.*]] : memref<16x16xf32>)
// CHECK:             linalg.generic {{.*}} ins(%[[THIRD]] :
// CHECK-NOT:         linalg.generic
// CHECK:           } else {
// CHECK:           linalg.generic {{.*}} ins(%[[EITHER]] :
// CHECK:           linalg.generic {{.*}} ins(%{{.*}}, %[[COPY]] :
func.func @together(%x: memref<?x16xf32, strided<[?, 1]>>, %v: memref<?x16xf32, strided<[?, 1]>>, %exps: memref<16x16xf32>, %a: memref<16x16xf32>, %y: memref<16x16xf32>, %z: memref<16x16xf32>, %workspace: memref<?xi8>, %n: index) {
  %zero = arith.constant 0.0 : f32
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c16 = arith.constant 16 : index
  %c1024 = arith.constant 1024 : index
  %buffer = memref.view %workspace[%c0][] : memref<?xi8> to memref<16x16xf32>
  %c2048 = arith.constant 2048 : index
  %third = memref.view %workspace[%c2048][] : memref<?xi8> to memref<16x16xf32>
  %other = memref.view %workspace[%c1024][] : memref<?xi8> to memref<16x16xf32>
  scf.for %c = %c0 to %n step %c1 {
    %first = arith.muli %c, %c16 : index
    %end = arith.addi %first, %c16 : index
    %whole = arith.cmpi sle, %end, %n : index
    scf.if %whole {
      %rows = memref.subview %x[%first, 0] [16, 16] [1, 1] : memref<?x16xf32, strided<[?, 1]>> to memref<16x16xf32, strided<[?, 1], offset: ?>>
      linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
          ins(%rows : memref<16x16xf32, strided<[?, 1], offset: ?>>) outs(%buffer : memref<16x16xf32>) {
      ^bb0(%0: f32, %old: f32):
        linalg.yield %0 : f32
      }
      %values = memref.subview %v[%first, 0] [16, 16] [1, 1] : memref<?x16xf32, strided<[?, 1]>> to memref<16x16xf32, strided<[?, 1], offset: ?>>
      linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
          ins(%values : memref<16x16xf32, strided<[?, 1], offset: ?>>) outs(%other : memref<16x16xf32>) {
      ^bb0(%0: f32, %old: f32):
        linalg.yield %0 : f32
      }
      linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
          ins(%values : memref<16x16xf32, strided<[?, 1], offset: ?>>) outs(%third : memref<16x16xf32>) {
      ^bb0(%0: f32, %old: f32):
        linalg.yield %0 : f32
      }
      linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
          ins(%third : memref<16x16xf32>) outs(%exps : memref<16x16xf32>) {
      ^bb0(%0: f32, %old: f32):
        %1 = math.exp %0 : f32
        linalg.yield %1 : f32
      }
    } else {
      linalg.fill ins(%zero : f32) outs(%buffer : memref<16x16xf32>)
      linalg.fill ins(%zero : f32) outs(%other : memref<16x16xf32>)
    }
    linalg.generic {indexing_maps = [#across, #id], iterator_types = ["parallel", "parallel"]}
        ins(%buffer : memref<16x16xf32>) outs(%y : memref<16x16xf32>) {
    ^bb0(%0: f32, %old: f32):
      linalg.yield %0 : f32
    }
    linalg.generic {indexing_maps = [#row, #column, #out], iterator_types = ["parallel", "parallel", "reduction"]}
        ins(%a, %other : memref<16x16xf32>, memref<16x16xf32>) outs(%z : memref<16x16xf32>) {
    ^bb0(%0: f32, %1: f32, %sum: f32):
      %2 = arith.mulf %0, %1 : f32
      %3 = arith.addf %sum, %2 : f32
      linalg.yield %3 : f32
    }
  }
  return
}

// What a step copies from one buffer to another is read in the first one.
// CHECK-LABEL: func.func @buffers(
// CHECK-SAME:    %[[X:[^:]*]]: memref<16x16xf32>
// CHECK:         %[[FIRST:.*]] = memref.view %{{.*}} : memref<?xi8> to memref<1x16x16xf32>
// CHECK-NOT:     memref.view
// CHECK:         scf.for
// CHECK:           %[[ROWS:.*]] = memref.subview %[[FIRST]]
// CHECK:           linalg.generic {{.*}} ins(%[[X]] : {{.*}} outs(%[[ROWS]] :
// CHECK-NEXT:      ^bb0
// CHECK:           linalg.generic {{.*}} ins(%{{.*}}, %[[ROWS]] :
// CHECK:           memref.subview %[[ROWS]][3, 0]
func.func @buffers(%x: memref<16x16xf32>, %a: memref<16x16xf32>, %y: memref<16x16xf32>, %z: memref<16xf32>, %workspace: memref<?xi8>, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c1024 = arith.constant 1024 : index
  %first = memref.view %workspace[%c0][] : memref<?xi8> to memref<1x16x16xf32>
  %second = memref.view %workspace[%c1024][] : memref<?xi8> to memref<16x16xf32>
  scf.for %c = %c0 to %n step %c1 {
    %rows = memref.subview %first[0, 0, 0] [1, 16, 16] [1, 1, 1] : memref<1x16x16xf32> to memref<16x16xf32, strided<[16, 1]>>
    linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
        ins(%x : memref<16x16xf32>) outs(%rows : memref<16x16xf32, strided<[16, 1]>>) {
    ^bb0(%0: f32, %old: f32):
      %1 = math.exp %0 : f32
      linalg.yield %1 : f32
    }
    linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
        ins(%rows : memref<16x16xf32, strided<[16, 1]>>) outs(%second : memref<16x16xf32>) {
    ^bb0(%0: f32, %old: f32):
      linalg.yield %0 : f32
    }
    linalg.generic {indexing_maps = [#row, #column, #out], iterator_types = ["parallel", "parallel", "reduction"]}
        ins(%a, %second : memref<16x16xf32>, memref<16x16xf32>) outs(%y : memref<16x16xf32>) {
    ^bb0(%0: f32, %1: f32, %sum: f32):
      %2 = arith.mulf %0, %1 : f32
      %3 = arith.addf %sum, %2 : f32
      linalg.yield %3 : f32
    }
    %third = memref.subview %second[3, 0] [1, 16] [1, 1] : memref<16x16xf32> to memref<16xf32, strided<[1], offset: 48>>
    linalg.generic {indexing_maps = [affine_map<(j) -> (j)>, affine_map<(j) -> (j)>], iterator_types = ["parallel"]}
        ins(%third : memref<16xf32, strided<[1], offset: 48>>) outs(%z : memref<16xf32>) {
    ^bb0(%0: f32, %old: f32):
      linalg.yield %0 : f32
    }
  }
  return
}

// Not where the first one changes before the last read, nor where the second
// is read before it is filled again.
// CHECK-LABEL: func.func @stays(
// CHECK:         %[[FIRST:.*]] = memref.view
// CHECK:         %[[SECOND:.*]] = memref.view
// CHECK:         %[[THIRD:.*]] = memref.view
// CHECK:         linalg.generic {{.*}} ins(%[[THIRD]] :
// CHECK:         linalg.generic {{.*}} ins(%[[FIRST]] : {{.*}} outs(%[[SECOND]] :
// CHECK:         linalg.generic {{.*}} ins(%[[FIRST]] : {{.*}} outs(%[[THIRD]] :
// CHECK:         linalg.fill {{.*}} outs(%[[FIRST]] :
// CHECK:         linalg.generic {{.*}} ins(%[[SECOND]] :
func.func @stays(%y: memref<16x16xf32>, %z: memref<16x16xf32>, %workspace: memref<?xi8>, %n: index) {
  %zero = arith.constant 0.0 : f32
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c1024 = arith.constant 1024 : index
  %c2048 = arith.constant 2048 : index
  %first = memref.view %workspace[%c0][] : memref<?xi8> to memref<16x16xf32>
  %second = memref.view %workspace[%c1024][] : memref<?xi8> to memref<16x16xf32>
  %third = memref.view %workspace[%c2048][] : memref<?xi8> to memref<16x16xf32>
  scf.for %c = %c0 to %n step %c1 {
    linalg.generic {indexing_maps = [#across, #id], iterator_types = ["parallel", "parallel"]}
        ins(%third : memref<16x16xf32>) outs(%z : memref<16x16xf32>) {
    ^bb0(%0: f32, %old: f32):
      linalg.yield %0 : f32
    }
    linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
        ins(%first : memref<16x16xf32>) outs(%second : memref<16x16xf32>) {
    ^bb0(%0: f32, %old: f32):
      linalg.yield %0 : f32
    }
    linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
        ins(%first : memref<16x16xf32>) outs(%third : memref<16x16xf32>) {
    ^bb0(%0: f32, %old: f32):
      linalg.yield %0 : f32
    }
    linalg.fill ins(%zero : f32) outs(%first : memref<16x16xf32>)
    linalg.generic {indexing_maps = [#across, #id], iterator_types = ["parallel", "parallel"]}
        ins(%second : memref<16x16xf32>) outs(%y : memref<16x16xf32>) {
    ^bb0(%0: f32, %old: f32):
      linalg.yield %0 : f32
    }
  }
  return
}
