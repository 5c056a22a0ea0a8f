// Calls the library of ema.mlir and compares its tables with its header. Prints
// nothing and exits with 0 when all is well.
#include "ema.h"
#include <stdio.h>
#include <string.h>

enum { B = 3, T = 5 };

static int failures;

static void expect(int condition, const char *what) {
  if (condition)
    return;
  printf("failed: %s\n", what);
  ++failures;
}

static void checkTables(void) {
  const rondo_library_info *library = rondo_library_query(RONDO_ABI_VERSION);
  expect(rondo_library_query(0) == NULL, "an old program gets nothing");
  expect(library && library->num_kernels == 1, "one kernel");
  const rondo_kernel_info *kernel = library->kernels[0];
  expect(kernel->args_size == (int64_t)sizeof(ema_args), "args_size");
  expect(kernel->packed_offset == (int64_t)offsetof(ema_args, packed),
         "packed_offset");
  const int64_t values[] = {
      (int64_t)offsetof(ema_args, a), (int64_t)offsetof(ema_args, x),
      (int64_t)offsetof(ema_args, h_initial), (int64_t)offsetof(ema_args, y),
      (int64_t)offsetof(ema_args, h_final)};
  const int64_t strides[] = {-1, (int64_t)offsetof(ema_args, x_strides),
                             (int64_t)offsetof(ema_args, h_initial_strides),
                             (int64_t)offsetof(ema_args, y_strides),
                             (int64_t)offsetof(ema_args, h_final_strides)};
  expect(kernel->num_tensors == 5, "num_tensors");
  for (int i = 0; i < kernel->num_tensors; ++i) {
    expect(kernel->tensors[i].value_offset == values[i], "value_offset");
    expect(kernel->tensors[i].strides_offset == strides[i], "strides_offset");
  }
  expect(kernel->tensors[2].partner == 4 && kernel->tensors[4].partner == 2,
         "partner");
  expect(kernel->tensors[1].time_dim == 1 &&
             kernel->tensors[1].sequence_dim == 0,
         "dims of x");
}

static void checkResults(int32_t level) {
  float x[B][T], y[B][T], initial[B] = {1, 2, 3}, final[B];
  for (int b = 0; b < B; ++b)
    for (int t = 0; t < T; ++t)
      x[b][t] = (float)(b * T + t);
  ema_args args;
  memset(&args, 0, sizeof(args));
  args.B = B;
  args.T = T;
  args.a = 0.5f;
  args.x = &x[0][0];
  args.h_initial = initial;
  args.y = &y[0][0];
  args.h_final = final;
  char error[200] = "";
  rondo_context context = RONDO_CONTEXT_INIT;
  context.error = error;
  context.error_size = sizeof(error);
  context.max_cpu_level = level;
  size_t bytes = 0;
  expect(ema_workspace_size(&args, &context, &bytes) == RONDO_OK &&
             bytes >= 128,
         "workspace_size");
  _Alignas(RONDO_WORKSPACE_ALIGNMENT) char workspace[1024];
  expect(ema_forward(&args, workspace, sizeof(workspace), &context) == RONDO_OK,
         error);
  for (int b = 0; b < B; ++b) {
    float h = initial[b];
    for (int t = 0; t < T; ++t) {
      h = 0.5f * h + x[b][t];
      expect(y[b][t] == h, "y");
    }
    expect(final[b] == h, "h.final");
  }
  args.y = NULL;
  expect(ema_forward(&args, workspace, sizeof(workspace), &context) ==
                 RONDO_ERROR_NULL_POINTER &&
             strstr(error, "'y'"),
         "a missing result is named");
}

int main(void) {
  checkTables();
  checkResults(RONDO_CPU_X86_64_V2);
  checkResults(0);
  return failures != 0;
}
