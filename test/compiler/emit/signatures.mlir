// What tables and headers make of shapes, names and faults.
// RUN: rondo-emit-test %s --emit=tables --arch=x86-64-v3 | FileCheck %s --check-prefix=TABLES
// RUN: rondo-emit-test %s --emit=header --include-abi -o %t.h
// RUN: FileCheck %s --check-prefix=HEADER --input-file=%t.h
// RUN: %cc -std=c99 -Wall -Wextra -pedantic -Werror -fsyntax-only -I%runtime -xc %t.h
// RUN: %cc -std=c++11 -Wall -Wextra -pedantic -Werror -fsyntax-only -I%runtime -xc++ %t.h

// Sizes in expressions; a size with a fixed value; words that C keeps.
// TABLES-DAG: c"H/G\00"
// TABLES-DAG: c"4*D\00"
// TABLES-DAG: c"T - H/G\00"
// TABLES-DAG: c"3*(T + 1)\00"
// T H G / -: NAME 0, NAME 1, NAME 2, DIV, SUB
// TABLES-DAG: [5 x { i64, i64 }] [{ i64, i64 } { i64 1, i64 0 }, { i64, i64 } { i64 1, i64 1 }, { i64, i64 } { i64 1, i64 2 }, { i64, i64 } { i64 5, i64 0 }, { i64, i64 } { i64 3, i64 0 }]
// TABLES-DAG: @shapes_sizes = {{.*}} i64 -1 }, {{.*}} i64 -1 }, {{.*}} i64 2 }, {{.*}} i64 -1 }
// A gather: text, tensor, place, extent and dim; only a name.
// TABLES-DAG: c"emb[ids[t], d]\00"
// TABLES-DAG: @shapes_faults = {{.*}} ptr @shapes_extent, i64 0 }, { ptr, ptr, ptr, ptr, i64 } { ptr @[[W:.*]], ptr @[[W]], ptr null, ptr null, i64 -1 }

// HEADER:      typedef struct shapes_args {
// HEADER:        int64_t G; {{ *}}///< must be 2
// HEADER:        const uint16_t *new_; {{ *}}///< new: [H/G, 4*D] bf16
// HEADER-NEXT:   const int64_t *new__strides;
// HEADER:        const int64_t *ids; {{ *}}///< [T - H/G, 3*(T + 1)] i64
// HEADER:        const uint8_t *S_initial; {{ *}}///< [] bool
// HEADER:        double *S_initial_; {{ *}}///< S.initial: [D] f64
// HEADER-NOT:    packed;
// HEADER:      } shapes_args;
func.func private @shapes() attributes {
  rondo.form = "sequential",
  rondo.faults = [
    {text = "emb[ids[t], d]", tensor = "emb", location = "a.rondo:3:4", dim = 0 : i64,
     extent = affine_map<()[T, H, G, D] -> (T)>}, "w"],
  rondo.signature = {
    sizes = ["T", "H", "G", "D"], bound = array<i64: -1, -1, 2, -1>, batch = ["H"], time = "T",
    inputs = [
      #rondo.tensor<"new", argument, bf16, ()[T, H, G, D] -> (H floordiv G, D * 4)>,
      #rondo.tensor<"ids", argument, i64, ()[T, H, G, D] -> (T - H floordiv G, (T + 1) * 3)>,
      #rondo.tensor<"S_initial", initial, i1, ()[T, H, G, D] -> ()>],
    outputs = [#rondo.tensor<"S.initial", result, f64, ()[T, H, G, D] -> (D)>]
  }
}
