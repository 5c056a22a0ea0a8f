//===- Support.h - The support code inside an artifact ------------*- C -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Shared by the files of this folder, which become one object that is linked
// into every library the compiler writes. It needs nothing but libc.
//
// A call goes through these steps; each returns a status, and the first one
// that fails ends the call before anything is written:
//   begin   the context is one we know                       (Entry.c)
//   load    typed arguments or DLTensors -> rondo_call        (Typed.c,
//           Generic.c): presence, dtypes, ranks, sizes
//   check   strides, spans, alignment, overlap                (Layout.c,
//           Overlap.c)
//   plan    what of the workspace is used for what            (Plan.c)
//   run     pack, dispatch, scatter, report faults            (Run.c)
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_SRC_ARTIFACT_SUPPORT_H
#define RONDO_SRC_ARTIFACT_SUPPORT_H

#define RONDO_ARTIFACT_SUPPORT
#include "rondo/abi.h"

#include <stdbool.h>

#if UINTPTR_MAX != UINT64_MAX
#error "the artifact's support code assumes 64-bit pointers"
#endif

/// Sizes not found yet.
#define RONDO_UNKNOWN (-1)

/// One tensor of a call.
typedef struct rondo_operand {
  const rondo_tensor_info *info;
  /// NULL: not given. Empty tensors point to a dummy.
  char *data;
  int64_t *extents; ///< [rank]
  int64_t *strides; ///< [rank], elements, as given
  /// [rank], elements, as the body sees them.
  int64_t *frame_strides;
  int64_t element_size;
  bool given;
  bool empty; ///< some extent is 0
  /// The bytes it touches: data + [low, high).
  int64_t low, high;
  /// Offset in the workspace of its packed copy, or -1.
  int64_t copy_offset;
} rondo_operand;

/// One call, its arguments in one form whichever entry they came through.
typedef struct rondo_call {
  const rondo_kernel_info *info;
  const rondo_context *ctx; ///< may be NULL
  /// A workspace query: pointers are not looked at, except to boundaries of
  /// packed sequences.
  bool query;
  int64_t *sizes;          ///< [num_sizes]
  rondo_operand *operands; ///< [num_tensors]
  int64_t *frame_strides;  ///< [sum of ranks]

  // Packed sequences.
  bool packed;
  const void *cu_seqlens; ///< [num_sequences + 1]; may be NULL in a query
  rondo_dtype cu_dtype;
  int64_t num_sequences;
  int64_t longest; ///< length of the longest sequence

  // The plan.
  int64_t slices;        ///< CUDA: slices of scratch in the workspace
  int64_t total_points;  ///< batch points, of all sequences together
  int64_t worker_offset; ///< where in the workspace the workers' slices begin
  int64_t worker_stride; ///< bytes of one slice
  int64_t total_bytes;
} rondo_call;

static inline bool rondo_role_is_written(int32_t role) {
  return role == RONDO_ROLE_RESULT || role == RONDO_ROLE_FINAL;
}

static inline const char *rondo_or(const char *text, const char *other) {
  return text ? text : other;
}

//===----------------------------------------------------------------------===//
// Message.c
//===----------------------------------------------------------------------===//

/// A sentence under construction; too long ones are cut.
typedef struct rondo_message {
  char text[768];
  size_t length;
} rondo_message;

#if defined(__GNUC__)
#define RONDO_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define RONDO_PRINTF(text, first)
#endif

void rondo_message_add(rondo_message *message, const char *format, ...)
    RONDO_PRINTF(2, 3);
/// Adds "argument 'k'", "result 'o'" and so on.
void rondo_message_add_tensor(rondo_message *message,
                              const rondo_tensor_info *tensor);
/// Adds " dim 2 (H)".
void rondo_message_add_dim(rondo_message *message,
                           const rondo_tensor_info *tensor, int64_t dim);
/// Starts a message with the kernel's name.
void rondo_message_begin(rondo_message *message, const rondo_kernel_info *info);
/// Hands the message to the context; returns `status`.
rondo_status rondo_message_report(const rondo_message *message,
                                  const rondo_context *ctx,
                                  rondo_status status);
/// begin, one formatted text, report.
rondo_status rondo_call_fail(const rondo_call *call, rondo_status status,
                             const char *format, ...) RONDO_PRINTF(3, 4);
/// begin, the tensor, one formatted text, its shape, report.
rondo_status rondo_tensor_fail(const rondo_call *call, rondo_status status,
                               const rondo_tensor_info *tensor,
                               const char *format, ...) RONDO_PRINTF(4, 5);
const char *rondo_dtype_string(rondo_dtype dtype);

//===----------------------------------------------------------------------===//
// Sizes.c
//===----------------------------------------------------------------------===//

typedef enum rondo_eval {
  RONDO_EVAL_OK,
  RONDO_EVAL_UNKNOWN,     ///< uses a size not known yet
  RONDO_EVAL_NOT_DIVIDED, ///< a remainder, or a divisor that is not positive
  RONDO_EVAL_OVERFLOW
} rondo_eval;

rondo_eval rondo_size_eval(const rondo_size_expr *expr, const int64_t *sizes,
                           int64_t *out_value);
/// Index of the size if the expression is nothing but a size, else -1.
int64_t rondo_size_plain(const rondo_size_expr *expr);
/// Whether the expression uses the size.
bool rondo_size_uses(const rondo_size_expr *expr, int64_t size);
/// If exactly one occurrence of an unknown size is left in `expr`, finds its
/// value from expr = target. Returns OK (`out_size` and `out_value` set),
/// UNKNOWN (none or several left, or any value would do) or NOT_DIVIDED (no
/// value does).
rondo_eval rondo_size_solve(const rondo_size_expr *expr, const int64_t *sizes,
                            int64_t target, int64_t *out_size,
                            int64_t *out_value);
/// Bytes of an element, 0 for an unknown dtype.
int64_t rondo_dtype_size(rondo_dtype dtype);

//===----------------------------------------------------------------------===//
// Shapes.c
//===----------------------------------------------------------------------===//

/// Adds "for H = 8, G = 3", the known sizes that the expression uses.
void rondo_message_add_sizes(rondo_message *message, const rondo_call *call,
                             const rondo_size_expr *expr);
/// Evaluates one dim of one tensor in this call, packed sequences considered.
rondo_status rondo_call_extent(const rondo_call *call,
                               const rondo_tensor_info *tensor, int32_t dim,
                               int64_t *out_extent);

//===----------------------------------------------------------------------===//
// Typed.c, Generic.c, Sequences.c
//===----------------------------------------------------------------------===//

rondo_status rondo_call_load_typed(rondo_call *call, const void *args);
rondo_status rondo_call_load_generic(rondo_call *call, DLTensor *const *tensors,
                                     int32_t count);
/// Boundary `n` of the packed sequences.
int64_t rondo_sequence_start(const rondo_call *call, int64_t n);
/// Checks the boundaries against T and finds the longest sequence.
rondo_status rondo_call_check_sequences(rondo_call *call);
/// In a packed call: checks that no state is given that has no place for one
/// value per sequence.
rondo_status rondo_call_check_states(const rondo_call *call);

//===----------------------------------------------------------------------===//
// Layout.c, Overlap.c
//===----------------------------------------------------------------------===//

/// Strides, spans, alignment and overlap of all tensors.
rondo_status rondo_call_check(rondo_call *call);
/// Packed row-major strides; false if they overflow.
bool rondo_strides_packed(const int64_t *extents, int32_t rank,
                          int64_t *out_strides);
/// Whether two tensors share a byte. Exact but for contrived layouts, for which
/// it says yes.
bool rondo_operands_overlap(const rondo_operand *a, const rondo_operand *b);

//===----------------------------------------------------------------------===//
// Plan.c, Run.c, Cpu.c
//===----------------------------------------------------------------------===//

int32_t rondo_call_workers(const rondo_call *call);
/// Product of the batch dims; -1 if it overflows.
int64_t rondo_call_points(const rondo_call *call, const int64_t *sizes);
rondo_status rondo_call_plan(rondo_call *call);
rondo_status rondo_call_run(rondo_call *call, char *workspace);
/// Reports fault[0], fault[1] of a frame.
rondo_status rondo_call_report_fault(const rondo_call *call,
                                     const int64_t *fault);
#ifndef RONDO_DEVICE
#define RONDO_DEVICE 1 // kernels may run on a device
#endif
/// Whether the kernel runs on a device.
static inline bool rondo_on_device(const rondo_call *call) {
  return RONDO_DEVICE && call->info->device_code != NULL;
}
/// rondo_call_run of kernels on CUDA devices: queues everything.
rondo_status rondo_cuda_run(rondo_call *call, char *workspace);
/// The best RONDO_CPU_* of this processor and system; found once.
int32_t rondo_cpu_level(void);

#endif // RONDO_SRC_ARTIFACT_SUPPORT_H
