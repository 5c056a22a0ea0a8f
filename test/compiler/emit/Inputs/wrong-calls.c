//===- wrong-calls.c - Calls of a compiled kernel that it must refuse -----===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A right call of gla's generic entry, then the same call with one thing wrong.
// Each must give a status and a sentence, and write nothing.
//
//===----------------------------------------------------------------------===//

#include "gla.h"
#include <stdio.h>
#include <string.h>

enum { B = 2, T = 5, H = 3, K = 4, V = 6, COUNT = 7, GUARD = 64 };
enum { Q, KEY, VALUE, GATE, INITIAL, O, FINAL };

static float q[B * T * H * K], k[B * T * H * K], g[B * T * H * K];
static float v[B * T * H * V], o[B * T * H * V + GUARD];
static float first[B * H * K * V], last[B * H * K * V + GUARD];

typedef struct {
  DLTensor tensors[COUNT];
  DLTensor *list[COUNT + 2];
  int64_t shapes[COUNT][5], strides[COUNT][5];
  int32_t count;
  _Alignas(64) char workspace[1 << 20];
  char *start;
  size_t size;
} Call;

static Call call;
static char message[256];
static int failures;

static void describe(int i, void *data, int64_t inner) {
  int64_t sizes[4] = {B, T, H, inner};
  if (i == INITIAL || i == FINAL) {
    sizes[1] = H;
    sizes[2] = K;
  }
  DLTensor *tensor = &call.tensors[i];
  memset(tensor, 0, sizeof *tensor);
  tensor->data = data;
  tensor->device.device_type = kDLCPU;
  tensor->ndim = 4;
  tensor->dtype.code = kDLFloat;
  tensor->dtype.bits = 32;
  tensor->dtype.lanes = 1;
  int64_t stride = 1;
  for (int d = 3; d >= 0; --d) {
    call.shapes[i][d] = sizes[d];
    call.strides[i][d] = stride;
    stride *= sizes[d];
  }
  tensor->shape = call.shapes[i];
  tensor->strides = call.strides[i];
  call.list[i] = tensor;
}

static void reset(void) {
  describe(Q, q, K);
  describe(KEY, k, K);
  describe(VALUE, v, V);
  describe(GATE, g, K);
  describe(INITIAL, first, V);
  describe(O, o, V);
  describe(FINAL, last, V);
  call.list[COUNT] = call.list[COUNT + 1] = NULL;
  call.count = COUNT;
  call.start = call.workspace;
  call.size = sizeof call.workspace;
  memset(o, 0x7f, sizeof o);
  memset(last, 0x7f, sizeof last);
  message[0] = 0;
}

static int isUntouched(const void *data, size_t size) {
  for (size_t i = 0; i < size; ++i)
    if (((const unsigned char *)data)[i] != 0x7f)
      return 0;
  return 1;
}

static rondo_status run(void) {
  rondo_context context = RONDO_CONTEXT_INIT;
  context.error = message;
  context.error_size = sizeof message;
  return gla_call(call.list, call.count, call.start, call.size, &context);
}

static void refuse(const char *what) {
  rondo_status status = run();
  int untouched = isUntouched(o, sizeof o) && isUntouched(last, sizeof last);
  int good = status != RONDO_OK && message[0] && untouched;
  printf("%s: %d, %s%s\n", what, (int)status, message,
         untouched ? "" : " (results were written)");
  failures += !good;
  reset();
}

int main(void) {
  reset();
  if (run() != RONDO_OK || isUntouched(o, sizeof o - GUARD * sizeof(float)) ||
      !isUntouched(o + B * T * H * V, GUARD * sizeof(float))) {
    printf("the right call fails: %s\n", message);
    return 1;
  }
  reset();

  call.tensors[Q].ndim = 3;
  refuse("rank");
  call.tensors[O].ndim = 5;
  refuse("rank of a result");
  call.tensors[KEY].dtype.bits = 64;
  refuse("f64 for f32");
  call.tensors[KEY].dtype.code = kDLInt;
  refuse("i32 for f32");
  call.tensors[KEY].dtype.lanes = 4;
  refuse("lanes");
  call.shapes[VALUE][1] = T + 1;
  refuse("T of v");
  call.shapes[INITIAL][3] = V - 1;
  refuse("V of the initial state");
  call.shapes[O][0] = -1;
  refuse("negative size");
  call.strides[O][3] = 0;
  refuse("stride 0 in a result");
  call.strides[O][1] = 1;
  refuse("results over one another");
  call.strides[Q][0] = INT64_MAX / 2;
  refuse("stride beyond memory");
  call.tensors[GATE].data = NULL;
  refuse("no data");
  call.list[GATE] = NULL;
  refuse("no tensor");
  call.tensors[GATE].shape = NULL;
  refuse("no shape");
  call.tensors[VALUE].byte_offset = 2;
  refuse("misaligned");
  call.tensors[VALUE].device.device_type = kDLCUDA;
  refuse("another device");
  call.tensors[O].data = v;
  refuse("a result over an argument");
  call.count = 3;
  refuse("too few tensors");
  call.count = COUNT + 2;
  refuse("too many tensors");
  call.start = call.workspace + 1;
  refuse("misaligned workspace");
  call.size = 1;
  refuse("small workspace");
  return failures != 0;
}
