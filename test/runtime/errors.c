//===- errors.c - Every refusal, and that it wrote nothing ----------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//===----------------------------------------------------------------------===//

#include "Fixture.h"

static void testValid(void) {
  Fixture f;
  fixtureInit(&f);
  CHECK(callTyped(&f) == RONDO_OK);
  CHECK(fixtureIsRight(&f, f.initial, f.y, f.final));
  CHECK(f.error[0] == 0);
  fixtureInit(&f);
  CHECK(callGeneric(&f, NumDecayTensors) == RONDO_OK);
  CHECK(fixtureIsRight(&f, f.initial, f.y, f.final));
}

/// One spoilt field of a typed call per line.
#define TYPED(spoil, status, text)                                             \
  do {                                                                         \
    Fixture f;                                                                 \
    fixtureInit(&f);                                                           \
    spoil;                                                                     \
    CHECK_REFUSED(&f, callTyped(&f), status, text);                            \
  } while (0)

/// One spoilt field of a generic call per line.
#define GENERIC(spoil, status, text)                                           \
  do {                                                                         \
    Fixture f;                                                                 \
    fixtureInit(&f);                                                           \
    spoil;                                                                     \
    CHECK_REFUSED(&f, callGeneric(&f, NumDecayTensors), status, text);         \
  } while (0)

static void testTyped(void) {
  static const int64_t zero[] = {0, H * K, K, 1}, inner[] = {60, 12, 3, 0},
                       tight[] = {60, 12, 2, 1}, wide[] = {INT64_MAX, 12, 3, 1},
                       lowest[] = {INT64_MIN, 12, 3, 1};
  TYPED(f.args.q = NULL, RONDO_ERROR_NULL_POINTER,
        "decay: argument 'q' is NULL; shape is [B, T, H, K]");
  TYPED(f.args.y = NULL, RONDO_ERROR_NULL_POINTER, "decay: result 'y' is NULL");
  TYPED(f.args.T = -3, RONDO_ERROR_WRONG_SIZE,
        "decay: size 'T' is -3, expected at least 0");
  TYPED(f.args.G = 3, RONDO_ERROR_WRONG_SIZE,
        "decay: argument 'k' dim 2 (H/G) is not a whole number for H = 4, "
        "G = 3");
  TYPED(f.args.G = 0, RONDO_ERROR_WRONG_SIZE, "for H = 4, G = 0");
  TYPED(f.args.y_strides = zero, RONDO_ERROR_WRONG_STRIDE,
        "decay: result 'y' has stride 0 in dim 0 (B), expected at least");
  TYPED(f.args.y_strides = inner, RONDO_ERROR_WRONG_STRIDE,
        "has stride 0 in dim 3 (K), expected at least 1");
  TYPED(f.args.y_strides = tight, RONDO_ERROR_WRONG_STRIDE,
        "has stride 2 in dim 2 (H), expected at least 3");
  TYPED(f.args.q_strides = wide, RONDO_ERROR_SIZE_OVERFLOW,
        "argument 'q' spans more bytes");
  TYPED(f.args.q_strides = lowest, RONDO_ERROR_SIZE_OVERFLOW,
        "argument 'q' spans more bytes");
  TYPED(f.args.B = f.args.T = INT64_MAX / 2, RONDO_ERROR_SIZE_OVERFLOW,
        "argument 'q' is larger than 63 bits");
  TYPED(f.args.q = (float *)((char *)f.q + 2), RONDO_ERROR_MISALIGNED,
        "argument 'q' is not aligned");
  TYPED(f.args.y = f.q, RONDO_ERROR_OVERLAP,
        "decay: result 'y' overlaps argument 'q'");
  TYPED(f.args.S_final = f.y + 3, RONDO_ERROR_OVERLAP,
        "decay: result 'y' overlaps final value 'S.final'");
  TYPED(f.args.S_final = &f.scale, RONDO_ERROR_OVERLAP,
        "decay: final value 'S.final' overlaps initial value 'S.initial'");
  TYPED(f.args.S_final = &f.args.scale, RONDO_ERROR_OVERLAP,
        "overlaps argument 'scale'");
  TYPED(f.args.S_final = (float *)f.workspace, RONDO_ERROR_OVERLAP,
        "final value 'S.final' overlaps the workspace");
  Fixture f;
  fixtureInit(&f);
  CHECK_REFUSED(&f, decay_forward(NULL, NULL, 0, &f.ctx),
                RONDO_ERROR_NULL_POINTER, "decay: args is NULL");
  CHECK(decay_forward(NULL, NULL, 0, NULL) == RONDO_ERROR_NULL_POINTER);
}

static void testGeneric(void) {
  GENERIC(f.tensors[Q] = NULL, RONDO_ERROR_NULL_POINTER,
          "decay: argument 'q' is NULL");
  GENERIC(f.storage[Y].data = NULL, RONDO_ERROR_NULL_POINTER,
          "decay: result 'y' is NULL");
  GENERIC(f.storage[Q].shape = NULL, RONDO_ERROR_NULL_POINTER, "has no shape");
  GENERIC(f.storage[G_].ndim = 4, RONDO_ERROR_WRONG_RANK,
          "decay: argument 'g' has rank 4, expected 3; shape is [B, T, H]");
  GENERIC(f.storage[Scale].ndim = 1, RONDO_ERROR_WRONG_RANK,
          "argument 'scale' has rank 1, expected 0; shape is []");
  GENERIC(f.storage[K_].dtype.bits = 64, RONDO_ERROR_WRONG_DTYPE,
          "decay: argument 'k' has dtype f64, expected f32");
  GENERIC(f.storage[K_].dtype.lanes = 4, RONDO_ERROR_WRONG_DTYPE,
          "(code 2, 32 bits, 4 lanes), expected f32");
  GENERIC(f.storage[SFinal].device.device_type = (DLDeviceType)2,
          RONDO_ERROR_WRONG_DEVICE,
          "final value 'S.final' is on DLPack device type 2, expected 1 (CPU)");
  GENERIC(f.shapes[G_][2] = 3, RONDO_ERROR_WRONG_SIZE,
          "decay: argument 'g' has size 3 in dim 2 (H), expected 4 as in 'q'; "
          "shape is [B, T, H]");
  GENERIC(f.shapes[Y][1] = T - 1, RONDO_ERROR_WRONG_SIZE,
          "result 'y' has size 4 in dim 1 (T), expected 5 as in 'q'");
  GENERIC(f.shapes[K_][2] = 3, RONDO_ERROR_WRONG_SIZE,
          "argument 'k' has size 3 in dim 2 (H/G), which no size fits for "
          "H = 4");
  GENERIC(f.shapes[Q][0] = -1, RONDO_ERROR_WRONG_SIZE,
          "argument 'q' has size -1 in dim 0 (B), expected at least 0");
  GENERIC(f.storage[Q].byte_offset = 1, RONDO_ERROR_MISALIGNED,
          "argument 'q' is not aligned");
  GENERIC(f.storage[Y].data = f.k, RONDO_ERROR_OVERLAP,
          "result 'y' overlaps argument");
  Fixture f;
  fixtureInit(&f);
  CHECK_REFUSED(&f, callGeneric(&f, 3), RONDO_ERROR_WRONG_COUNT,
                "decay: 3 tensors given, expected 7 (one more with cu_seqlens");
  CHECK_REFUSED(&f, decay_call(NULL, NumDecayTensors, NULL, 0, &f.ctx),
                RONDO_ERROR_NULL_POINTER, "tensors is NULL");
}

static void *noMemory(void *user, size_t size, size_t alignment) {
  (void)user, (void)size, (void)alignment;
  return NULL;
}

static void *crookedMemory(void *user, size_t size, size_t alignment) {
  (void)size, (void)alignment;
  return (char *)user + 8;
}

static void keepMemory(void *user, void *pointer, size_t size,
                       size_t alignment) {
  (void)user, (void)pointer, (void)size, (void)alignment;
}

static void testWorkspace(void) {
  Fixture f;
  fixtureInit(&f);
  size_t bytes = 99;
  CHECK(decay_workspace_size(&f.args, &f.ctx, &bytes) == RONDO_OK);
  CHECK(bytes == 64);
  CHECK(decay_workspace_size(&f.args, &f.ctx, NULL) ==
        RONDO_ERROR_NULL_POINTER);
  CHECK(strstr(f.error, "decay: out_bytes is NULL"));
  CHECK_REFUSED(&f, decay_forward(&f.args, f.workspace, bytes - 1, &f.ctx),
                RONDO_ERROR_WORKSPACE_TOO_SMALL,
                "decay: workspace has 63 bytes, expected at least 64");
  CHECK_REFUSED(&f, decay_forward(&f.args, f.workspace + 32, bytes, &f.ctx),
                RONDO_ERROR_MISALIGNED, "workspace is not aligned to 64");
  CHECK_REFUSED(&f, decay_forward(&f.args, NULL, 0, &f.ctx),
                RONDO_ERROR_WORKSPACE_TOO_SMALL,
                "workspace is NULL, expected 64 bytes");
  f.ctx.allocate = noMemory;
  CHECK_REFUSED(&f, decay_forward(&f.args, NULL, 0, &f.ctx),
                RONDO_ERROR_BAD_CONTEXT, "only one of allocate and deallocate");
  f.ctx.deallocate = keepMemory;
  CHECK_REFUSED(&f, decay_forward(&f.args, NULL, 0, &f.ctx),
                RONDO_ERROR_OUT_OF_MEMORY, "the allocator has no 64 bytes");
  f.ctx.allocate = crookedMemory;
  f.ctx.user = f.workspace;
  CHECK_REFUSED(&f, decay_forward(&f.args, NULL, 0, &f.ctx),
                RONDO_ERROR_BAD_CONTEXT, "not aligned to 64 bytes");
}

static char Logged[512];
static rondo_status LoggedStatus;

static void logMessage(void *user, rondo_status status, const char *message) {
  (void)user;
  LoggedStatus = status;
  snprintf(Logged, sizeof(Logged), "%s", message);
}

static void testContext(void) {
  Fixture f;
  fixtureInit(&f);
  f.ctx.struct_size -= 8;
  CHECK_REFUSED(&f, callTyped(&f), RONDO_ERROR_VERSION_MISMATCH, "");
  fixtureInit(&f);
  f.ctx.abi_version += 1;
  CHECK_REFUSED(&f, callGeneric(&f, NumDecayTensors),
                RONDO_ERROR_VERSION_MISMATCH, "");
  fixtureInit(&f);
  f.ctx.num_workers = -1;
  CHECK_REFUSED(&f, callTyped(&f), RONDO_ERROR_BAD_CONTEXT, "-1 workers");
  fixtureInit(&f);
  f.ctx.max_cpu_level = 1;
  CHECK_REFUSED(&f, callTyped(&f), RONDO_ERROR_UNSUPPORTED_CPU,
                "decay: the processor has the base instruction set, expected "
                "x86-64-v2");
  // The message is cut to any size, and the log gets all of it.
  for (size_t size = 0; size < 64; ++size) {
    fixtureInit(&f);
    memset(f.error, 'x', sizeof(f.error));
    f.ctx.error_size = size;
    f.ctx.log = logMessage;
    f.args.q = NULL;
    CHECK(decay_forward(&f.args, NULL, 0, &f.ctx) == RONDO_ERROR_NULL_POINTER);
    const char *full = "decay: argument 'q' is NULL; shape is [B, T, H, K]";
    CHECK(size == 0 ||
          strlen(f.error) == (size <= strlen(full) ? size - 1 : strlen(full)));
    CHECK(size == 0 || strncmp(f.error, full, strlen(f.error)) == 0);
    CHECK(f.error[size] == 'x');
    CHECK(strcmp(Logged, full) == 0);
    CHECK(LoggedStatus == RONDO_ERROR_NULL_POINTER);
  }
}

static void testBoundSize(void) {
  char error[256] = "";
  rondo_context ctx = RONDO_CONTEXT_INIT;
  ctx.error = error;
  ctx.error_size = sizeof(error);
  embed_args args = {.N = 1, .D = 3, .T = 0};
  CHECK(embed_forward(&args, NULL, 0, &ctx) == RONDO_ERROR_WRONG_SIZE);
  CHECK(strstr(error, "embed: size 'D' is 3, expected 4 as compiled"));
  uint16_t emb[10] = {0};
  int32_t tokens[1] = {0};
  double first[4] = {0};
  float y[4];
  int64_t embShape[] = {1, 10}, one[] = {1}, four[] = {4}, yShape[] = {1, 4};
  DLTensor storage[] = {makeTensor(emb, 2, embShape, 4, 16),
                        makeTensor(tokens, 1, one, 0, 32),
                        makeTensor(first, 1, four, 2, 64),
                        {0},
                        makeTensor(y, 2, yShape, 2, 32)};
  DLTensor *tensors[] = {&storage[0], &storage[1], &storage[2],
                         NULL,        &storage[4], NULL};
  CHECK(embed_call(tensors, 6, NULL, 0, &ctx) == RONDO_ERROR_WRONG_SIZE);
  CHECK(strcmp(error, "embed: argument 'emb' has size 10 in dim 1 (2*D), "
                      "expected 8 for D = 4; shape is [N, 2*D]") == 0);
  embShape[1] = 8;
  four[0] = 3;
  CHECK(embed_call(tensors, 6, NULL, 0, &ctx) == RONDO_ERROR_WRONG_SIZE);
  CHECK(strstr(error, "argument 'first' has size 3 in dim 0 (D), expected 4 "
                      "as compiled"));
}

int main(void) {
  testValid();
  testTyped();
  testGeneric();
  testWorkspace();
  testContext();
  testBoundSize();
  return CHECK_SUMMARY();
}
