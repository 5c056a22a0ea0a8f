//===- library.c - Loading a library and calling by name ------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Arguments: the library made from Kernels.c, one that is not Rondo's, and one
// that is newer.
//
//===----------------------------------------------------------------------===//

#include "Fixture.h"
#include "rondo/runtime.h"

static void testOpen(const char *path, const char *foreign, const char *newer) {
  char error[512] = "";
  rondo_library *library = NULL;
  CHECK(rondo_library_open(NULL, &library, error, sizeof(error)) ==
        RONDO_ERROR_NULL_POINTER);
  CHECK(rondo_library_open("no/such/file.so", &library, error, sizeof(error)) ==
        RONDO_ERROR_BAD_LIBRARY);
  CHECK(strstr(error, "can't load 'no/such/file.so': "));
  CHECK(rondo_library_open(foreign, &library, error, sizeof(error)) ==
        RONDO_ERROR_BAD_LIBRARY);
  CHECK(strstr(error, "was not written by rondoc"));
  CHECK(rondo_library_open(newer, &library, error, sizeof(error)) ==
        RONDO_ERROR_VERSION_MISMATCH);
  CHECK(strstr(error, "is newer than interface version 1"));
  CHECK(library == NULL);
  CHECK(rondo_library_open(path, &library, NULL, 0) == RONDO_OK);
  CHECK(rondo_library_table(library)->num_kernels == 2);
  rondo_library_close(library);
  rondo_library_close(NULL);
}

static void testFind(const rondo_library *library) {
  char error[512] = "";
  const rondo_kernel_info *kernel;
  CHECK(rondo_library_find(library, "embed", NULL, &kernel, error,
                           sizeof(error)) == RONDO_OK);
  CHECK(strcmp(kernel->name, "embed") == 0);
  CHECK(rondo_library_find(library, NULL, NULL, &kernel, error,
                           sizeof(error)) == RONDO_ERROR_NOT_FOUND);
  CHECK(strstr(error, "several kernels"));
  CHECK(rondo_library_find(library, "gla", NULL, &kernel, error,
                           sizeof(error)) == RONDO_ERROR_NOT_FOUND);
  CHECK(strstr(error, "no kernel 'gla' with entry 'forward'; it has: decay, "
                      "embed"));
  CHECK(rondo_library_find(library, "decay", "backward", &kernel, error,
                           sizeof(error)) == RONDO_ERROR_NOT_FOUND);
  CHECK(kernel == NULL);
}

static void testDescribe(const rondo_kernel_info *kernel) {
  char text[2048], small[16];
  size_t length = rondo_kernel_describe(kernel, text, sizeof(text));
  CHECK(length == strlen(text) && length > 100);
  CHECK(strstr(text, "decay: forward, cpu, sequential, f32\n"));
  CHECK(strstr(text, "B, T, H, K, G"));
  CHECK(strstr(text, "argument  k              f32   [B, T, H/G, K]\n"));
  CHECK(strstr(text, "S.final        f32   [B, H, K] (optional)"));
  CHECK(rondo_kernel_describe(kernel, small, sizeof(small)) == length);
  CHECK(strlen(small) == sizeof(small) - 1 && !strncmp(small, text, 15));
  CHECK(rondo_kernel_describe(kernel, NULL, 0) == length);
}

/// What a tool does: sizes from the arguments, results allocated, one call.
static void testCall(const rondo_kernel_info *kernel) {
  Fixture f;
  fixtureInit(&f);
  CHECK(rondo_kernel_tensor(kernel, "y") == Y);
  CHECK(rondo_kernel_tensor(kernel, "z") == -1);
  CHECK(rondo_kernel_size(kernel, "K") == 3 && rondo_kernel_size(kernel, "Z"));
  DLTensor *given[NumDecayTensors] = {NULL};
  int64_t sizes[5] = {-1, -1, -1, -1, -1}, shape[4];
  char error[256] = "";
  given[Q] = f.tensors[Q];
  CHECK(rondo_kernel_infer_sizes(kernel, given, NumDecayTensors, sizes, error,
                                 sizeof(error)) == RONDO_ERROR_SIZE_UNKNOWN);
  CHECK(strcmp(error, "decay: size 'G' can't be found from the shapes given") ==
        0);
  CHECK(rondo_kernel_shape(kernel, K_, sizes, shape, error, sizeof(error)) ==
        RONDO_ERROR_WRONG_SIZE);
  given[K_] = f.tensors[K_];
  CHECK(rondo_kernel_infer_sizes(kernel, given, NumDecayTensors, sizes, error,
                                 sizeof(error)) == RONDO_OK);
  CHECK(sizes[0] == B && sizes[1] == T && sizes[2] == H && sizes[3] == K &&
        sizes[4] == G);
  CHECK(rondo_kernel_shape(kernel, K_, sizes, shape, error, sizeof(error)) ==
        RONDO_OK);
  CHECK(shape[0] == B && shape[1] == T && shape[2] == HG && shape[3] == K);
  CHECK(rondo_kernel_shape(kernel, 99, sizes, shape, error, sizeof(error)) ==
        RONDO_ERROR_NOT_FOUND);

  rondo_context_init(&f.ctx);
  rondo_context_use_malloc(&f.ctx);
  rondo_context_use_error(&f.ctx, f.error, sizeof(f.error));
  CHECK(rondo_kernel_call(kernel, f.tensors, NumDecayTensors, &f.ctx) ==
        RONDO_OK);
  CHECK(fixtureIsRight(&f, f.initial, f.y, f.final));
  f.shapes[Q][3] = 2;
  CHECK(rondo_kernel_call(kernel, f.tensors, NumDecayTensors, &f.ctx) ==
        RONDO_ERROR_WRONG_SIZE);
  CHECK(strstr(f.error, "decay: argument 'k' has size 3 in dim 3 (K), expected "
                        "2 as in 'q'"));
}

int main(int argc, char **argv) {
  if (argc != 4)
    return 2;
  testOpen(argv[1], argv[2], argv[3]);
  rondo_library *library;
  CHECK(rondo_library_open(argv[1], &library, NULL, 0) == RONDO_OK);
  testFind(library);
  const rondo_kernel_info *kernel;
  CHECK(rondo_library_find(library, "decay", NULL, &kernel, NULL, 0) ==
        RONDO_OK);
  testDescribe(kernel);
  testCall(kernel);
  rondo_library_close(library);
  return CHECK_SUMMARY();
}
