//===- abi.h - The binary interface of Rondo's kernels ------------*- C -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Everything that a compiled library ("artifact"), the program that calls it
// and the compiler that writes it agree on. Plain C99 (and C++), no other
// header of Rondo is needed. `rondoc gla.rondo -o libgla.so` writes the library
// and `gla.h`, which includes this file and declares, per kernel:
//
//   typedef struct gla_args { ... } gla_args;
//   rondo_status gla_forward(const gla_args *args, void *workspace,
//                            size_t workspace_size, const rondo_context *ctx);
//   rondo_status gla_workspace_size(const gla_args *args,
//                                   const rondo_context *ctx,
//                                   size_t *out_bytes);
//   rondo_status gla_call(DLTensor *const *tensors, int32_t count,
//                         void *workspace, size_t workspace_size,
//                         const rondo_context *ctx);
//   rondo_status gla_call_workspace_size(DLTensor *const *tensors,
//                                        int32_t count,
//                                        const rondo_context *ctx,
//                                        size_t *out_bytes);
//   rondo_status gla_check(const void *workspace, const rondo_context *ctx);
//
// Ownership. The caller owns every pointer that it passes, and keeps it alive
// until the call returns. A kernel keeps nothing between calls, frees nothing
// it was given, and allocates nothing by itself: scratch memory comes from
// `workspace`, or, when that is NULL, from the context's allocator for the
// length of the call. The tables behind `rondo_library_query` are constants of
// the library and live until it is unloaded.
//
// Threads. Kernels start no thread. With a `parallel_for` in the context they
// run their batch points through it, without one they run on the calling
// thread. Any number of threads may call the same kernel at once when their
// workspaces and results are distinct. A context may be shared if its error
// buffer, allocator and parallel_for allow it.
//
// CUDA. Kernels of the target cuda take addresses of the device (arguments of
// rank 0 are values as ever; as DLTensors they are on the host), queue their
// work on the context's stream and return. The workspace is the device's too;
// an allocator of the context must free it in the stream's order. Boundaries of
// packed sequences are read on the device and kept within the time dim, not
// checked. An index out of range is not reported by the call, which does not
// wait: `<kernel>_check` with the same workspace does.
//
// Errors. Every call checks all its arguments before it writes anything:
// presence, ranks, sizes, strides, dtypes, alignment, overlap and workspace.
// The status names the class of the error; the sentence in the context's error
// buffer names kernel, tensor, dim, what was expected and what was found. An
// error found while running (an index out of range in a gather) leaves results
// unspecified and everything else untouched. Nothing exits, prints or throws.
//
// Versions. RONDO_ABI_VERSION changes when a struct or a meaning here changes
// in a way that an older reader would misread. A context carries its size and
// version; a kernel refuses one that it does not know. A program asks a library
// with the newest version it understands and gets NULL when the library is
// newer. Reserved fields are zero.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_ABI_H
#define RONDO_ABI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RONDO_ABI_VERSION 1u

/// Limits that the compiler keeps.
#define RONDO_MAX_RANK 16
#define RONDO_MAX_SIZES 1024
#define RONDO_MAX_TENSORS 1024

/// A workspace, and each worker's slice of it, is aligned to this many bytes.
#define RONDO_WORKSPACE_ALIGNMENT 64

//===----------------------------------------------------------------------===//
// Status
//===----------------------------------------------------------------------===//

/// 0 is success. `rondo_status_string` (runtime.h) gives the sentence.
typedef int32_t rondo_status;

enum {
  /// The call did what was asked.
  RONDO_OK = 0,
  /// A required pointer is NULL.
  RONDO_ERROR_NULL_POINTER = 1,
  /// The number of tensors passed is not the number that the kernel takes.
  RONDO_ERROR_WRONG_COUNT = 2,
  /// A tensor has another number of dims than declared.
  RONDO_ERROR_WRONG_RANK = 3,
  /// A size is negative, contradicts another one, or does not divide.
  RONDO_ERROR_WRONG_SIZE = 4,
  /// A stride makes a result overlap itself.
  RONDO_ERROR_WRONG_STRIDE = 5,
  /// A tensor has another element type than the kernel was compiled for.
  RONDO_ERROR_WRONG_DTYPE = 6,
  /// A tensor is in the memory of a device that the kernel does not run on.
  RONDO_ERROR_WRONG_DEVICE = 7,
  /// A pointer is not aligned as its type requires.
  RONDO_ERROR_MISALIGNED = 8,
  /// A result shares memory with an argument or with another result.
  RONDO_ERROR_OVERLAP = 9,
  /// A product of sizes, strides and element size exceeds 63 bits.
  RONDO_ERROR_SIZE_OVERFLOW = 10,
  /// A size can't be found from the shapes of the tensors given.
  RONDO_ERROR_SIZE_UNKNOWN = 11,
  /// The packed-sequence boundaries are not valid.
  RONDO_ERROR_BAD_SEQUENCES = 12,
  /// The workspace is smaller than the workspace query says.
  RONDO_ERROR_WORKSPACE_TOO_SMALL = 13,
  /// The allocator returned NULL.
  RONDO_ERROR_OUT_OF_MEMORY = 14,
  /// An index read from a tensor is outside the tensor it indexes.
  RONDO_ERROR_INDEX_OUT_OF_RANGE = 15,
  /// This processor has none of the instruction sets compiled for.
  RONDO_ERROR_UNSUPPORTED_CPU = 16,
  /// The device or its driver is absent, or runs none of the code compiled.
  RONDO_ERROR_NO_DEVICE = 17,
  /// The device's driver reported an error.
  RONDO_ERROR_DEVICE = 18,
  /// Two parts were built for different versions of this interface.
  RONDO_ERROR_VERSION_MISMATCH = 19,
  /// A callback of the context broke its contract.
  RONDO_ERROR_BAD_CONTEXT = 20,
  /// The file is not a library written by Rondo, or can't be loaded.
  RONDO_ERROR_BAD_LIBRARY = 21,
  /// There is no kernel or tensor of this name.
  RONDO_ERROR_NOT_FOUND = 22,
  /// The operation is not offered for this kernel.
  RONDO_ERROR_UNSUPPORTED = 23,
  RONDO_STATUS_COUNT = 24
};

//===----------------------------------------------------------------------===//
// Element types
//===----------------------------------------------------------------------===//

/// Values of the `dtype` fields. In C, f16 and bf16 are uint16_t bit patterns
/// and bool is one byte, 0 or 1.
typedef int32_t rondo_dtype;

enum {
  RONDO_DTYPE_NONE = 0,
  RONDO_F16 = 1,
  RONDO_BF16 = 2,
  RONDO_F32 = 3,
  RONDO_F64 = 4,
  RONDO_I32 = 5,
  RONDO_I64 = 6,
  RONDO_BOOL = 7
};

//===----------------------------------------------------------------------===//
// Context: what the host owns
//===----------------------------------------------------------------------===//

/// A piece of work: the points [begin, end), run as `worker`.
typedef void (*rondo_task)(void *arg, int64_t begin, int64_t end,
                           int32_t worker);

/// What a host lends to a call. NULL in place of a context, and NULL or 0 in
/// any field but the first two, is allowed and means "none".
typedef struct rondo_context {
  uint32_t struct_size; ///< sizeof(rondo_context)
  uint32_t abi_version; ///< RONDO_ABI_VERSION
  /// Handed to every callback below.
  void *user;
  /// Cuts [0, count) into ranges of at least `grain` points (the last may be
  /// shorter), calls `task(arg, begin, end, worker)` once for each and returns
  /// when all have returned. Two calls that run at the same time have distinct
  /// workers in [0, num_workers). NULL: everything runs on the calling thread.
  void (*parallel_for)(void *user, rondo_task task, void *arg, int64_t count,
                       int64_t grain);
  /// Workers of parallel_for; 0 means 1. The workspace grows with it.
  int32_t num_workers;
  /// RONDO_CPU_*: use no variant above this level; 0 means no limit.
  int32_t max_cpu_level;
  /// Returns `size` bytes aligned to `alignment` (a power of two), or NULL.
  void *(*allocate)(void *user, size_t size, size_t alignment);
  void (*deallocate)(void *user, void *pointer, size_t size, size_t alignment);
  /// CUDA kernels only: the stream (CUstream) they are queued on and the
  /// ordinal of its device.
  void *cuda_stream;
  int32_t cuda_device;
  int32_t reserved;
  /// On an error, a zero-terminated sentence is written here, cut to
  /// `error_size` bytes. Untouched on success.
  char *error;
  size_t error_size;
  /// Called with every error's sentence.
  void (*log)(void *user, rondo_status status, const char *message);
} rondo_context;

/// Initialiser of a context that lends nothing.
#define RONDO_CONTEXT_INIT                                                     \
  {(uint32_t)sizeof(rondo_context),                                            \
   RONDO_ABI_VERSION,                                                          \
   NULL,                                                                       \
   NULL,                                                                       \
   0,                                                                          \
   0,                                                                          \
   NULL,                                                                       \
   NULL,                                                                       \
   NULL,                                                                       \
   0,                                                                          \
   0,                                                                          \
   NULL,                                                                       \
   0,                                                                          \
   NULL}

//===----------------------------------------------------------------------===//
// DLPack
//===----------------------------------------------------------------------===//

// The part of DLPack that the generic entry needs, in DLPack's own names and
// layout. A program that also uses <dlpack/dlpack.h> includes it first, or
// defines RONDO_USE_DLPACK_HEADER; this copy then stands back.
#ifdef RONDO_USE_DLPACK_HEADER
#include <dlpack/dlpack.h>
#endif

#ifndef DLPACK_DLPACK_H_
#define RONDO_OWN_DLPACK 1

typedef enum { kDLCPU = 1, kDLCUDA = 2, kDLCUDAHost = 3 } DLDeviceType;

typedef struct {
  DLDeviceType device_type;
  int32_t device_id;
} DLDevice;

typedef enum {
  kDLInt = 0U,
  kDLUInt = 1U,
  kDLFloat = 2U,
  kDLOpaqueHandle = 3U,
  kDLBfloat = 4U,
  kDLComplex = 5U,
  kDLBool = 6U
} DLDataTypeCode;

typedef struct {
  uint8_t code; ///< DLDataTypeCode
  uint8_t bits;
  uint16_t lanes; ///< 1
} DLDataType;

typedef struct {
  void *data;
  DLDevice device;
  int32_t ndim;
  DLDataType dtype;
  int64_t *shape;   ///< [ndim]
  int64_t *strides; ///< [ndim] in elements; NULL: packed, row-major
  uint64_t byte_offset;
} DLTensor;
#endif // DLPACK_DLPACK_H_

//===----------------------------------------------------------------------===//
// Packed sequences
//===----------------------------------------------------------------------===//

/// The last member, `packed`, of the argument struct of every kernel with one
/// time dim. Zero means: not packed, every batch entry is one sequence of
/// length T.
///
/// With `cu_seqlens`, the time dim holds `num_sequences` sequences one after
/// the other: sequence n is [cu_seqlens[n], cu_seqlens[n+1]). The values start
/// at 0, do not decrease and end at T. States start anew at each of them, and
/// nothing is read across a boundary. Then
///   - the sequence dim (B, the first batch dim) of the tensors with a time dim
///     is 1,
///   - in tensors without a time dim, `S.initial` and `S.final` among them, the
///     sequence dim has size num_sequences,
///   - a tensor without a sequence dim is shared by all sequences, as it is by
///     all batch entries; if it has a time dim, every sequence reads it from 0.
///     (In a kernel without any sequence dim, tensors with a time dim are cut
///     at the boundaries, and initial and final states can't be given.)
/// In the generic entry, `cu_seqlens` is an additional last tensor
/// [num_sequences + 1] of type i32 or i64.
typedef struct rondo_packed {
  const void *cu_seqlens; ///< [num_sequences + 1]
  int64_t num_sequences;
  rondo_dtype dtype; ///< RONDO_I32 or RONDO_I64
  int32_t reserved;
} rondo_packed;

//===----------------------------------------------------------------------===//
// The kernel table: constants in the library, read by its own support code and
// by tools
//===----------------------------------------------------------------------===//

/// A size of a kernel, such as T.
typedef struct rondo_size_info {
  const char *name;
  int64_t bound; ///< the value fixed at compile time, or -1
} rondo_size_info;

/// Operators of size expressions, in postfix order.
enum {
  RONDO_SIZE_CONST = 0, ///< push `value`
  RONDO_SIZE_NAME = 1,  ///< push sizes[`value`]
  RONDO_SIZE_ADD = 2,   ///< pop b, pop a, push a + b
  RONDO_SIZE_SUB = 3,
  RONDO_SIZE_MUL = 4,
  /// a / b; a shape is refused when b <= 0 or b does not divide a.
  RONDO_SIZE_DIV = 5,
  /// a / b, rounded up; only of `rondo_kernel_info::batch`, with b > 0.
  RONDO_SIZE_CEIL_DIV = 6
};

typedef struct rondo_size_op {
  int64_t op;    ///< RONDO_SIZE_*
  int64_t value; ///< of CONST and NAME, else 0
} rondo_size_op;

/// An expression over sizes, such as H/G.
typedef struct rondo_size_expr {
  const char *text; ///< as in the program, for messages
  const rondo_size_op *ops;
  int64_t num_ops;
} rondo_size_expr;

enum {
  RONDO_ROLE_ARGUMENT = 0,
  RONDO_ROLE_INITIAL = 1, ///< a state's initial value; read only
  RONDO_ROLE_RESULT = 2,
  RONDO_ROLE_FINAL = 3 ///< a state's final value; written
};

enum {
  /// The pointer may be NULL (or the DLTensor absent).
  RONDO_TENSOR_OPTIONAL = 1
};

/// A tensor that crosses the border.
///
/// Its fields in the argument struct. `X` is the name with `.` replaced by `_`.
///   rank 0, role argument:  T X;             (the value itself)
///   rank 0, other roles:    [const] T *X;
///   rank > 0:               [const] T *X; const int64_t *X_strides;
/// T is uint16_t (f16, bf16), float, double, int32_t, int64_t or uint8_t
/// (bool). Strides count elements, one per dim; NULL means packed, row-major.
typedef struct rondo_tensor_info {
  const char *name;             ///< "q", "S.initial"
  const char *shape_text;       ///< "[B, T, H, K]", "[]"
  const char *description;      ///< may be NULL
  const rondo_size_expr *shape; ///< [rank]; NULL for rank 0
  int32_t role;                 ///< RONDO_ROLE_*
  rondo_dtype dtype;
  int32_t rank;
  int32_t flags; ///< RONDO_TENSOR_*
  /// Byte offsets in the argument struct of the pointer (or, for arguments of
  /// rank 0, of the value) and of the strides pointer (-1 for rank 0).
  int64_t value_offset;
  int64_t strides_offset;
  /// Position of the kernel's time dim and of its sequence dim, or -1.
  int32_t time_dim;
  int32_t sequence_dim;
  /// Initial and final value of one state name each other: index of the other
  /// one, or -1. The two may share one buffer of the same layout.
  int32_t partner;
  int32_t reserved;
} rondo_tensor_info;

/// A place in the program that reads a tensor at an index which is the value of
/// another tensor.
typedef struct rondo_fault_info {
  const char *text;              ///< the access as written: "emb[tokens[t], d]"
  const char *tensor;            ///< "emb"
  const char *location;          ///< "embed.rondo:3:14"
  const rondo_size_expr *extent; ///< size of the dim that is indexed
  int64_t dim;                   ///< position of that dim
} rondo_fault_info;

/// What a generated body receives. All checks are done: the body trusts it.
typedef struct rondo_frame {
  const int64_t *sizes; ///< [num_sizes], in table order
  /// [num_tensors], in table order. NULL for an optional tensor not given.
  /// Arguments of rank 0 are pointers to their value too. Pointers are aligned
  /// to the element only.
  void *const *data;
  /// The strides of all tensors one after the other in table order, in
  /// elements (rank 0 takes no place; absent tensors have packed strides). The
  /// innermost stride of every tensor is 1.
  const int64_t *strides;
  /// This worker's scratch: worker_bytes(sizes) bytes, 64-byte aligned, with
  /// unspecified content; NULL when worker_bytes is NULL or gives 0.
  void *workspace;
  /// The points of the batch dims to compute, as linear row-major indices.
  int64_t begin, end;
  /// [2], zero at first. A gather that finds an index out of range stores, if
  /// fault[0] is 0, its position in the table of faults plus 1, and the index;
  /// it then goes on with any valid index.
  int64_t *fault;
  /// CUDA kernels only, whose body queues launches. `data`, `workspace` and
  /// `fault` are addresses of the device, but for arguments of rank 0.
  void *launcher; ///< first argument of rondo_cuda_launch
  int64_t slices; ///< parts of worker_bytes(sizes) bytes in the workspace
  /// Boundaries of packed sequences on the device, and the bytes of one of
  /// them (4 or 8); 0: not packed. The points of sequence n follow those of
  /// n - 1.
  const void *sequences;
  int64_t sequence_width;
} rondo_frame;

/// For every batch point in the frame: reads the initial value of a state
/// before writing its final value, so that the two may share a buffer; writes
/// only results and final values, at this point; T = 0 writes the final values.
typedef void (*rondo_body)(const rondo_frame *frame);

/// Instruction sets, each includes those before it.
enum {
  RONDO_CPU_ANY = 0,
  RONDO_CPU_X86_64_V2 = 2,
  RONDO_CPU_X86_64_V3 = 3,
  RONDO_CPU_X86_64_V4 = 4,
  RONDO_CPU_X86_64_V4_BF16 = 5 ///< v4 and AVX512-BF16
};

/// The code of a kernel for one instruction set.
typedef struct rondo_variant {
  const char *name;  ///< "x86-64-v4"
  int64_t cpu_level; ///< RONDO_CPU_*
  rondo_body body;
} rondo_variant;

enum { RONDO_IMAGE_CUBIN = 1, RONDO_IMAGE_PTX = 2 };

/// Code for a device.
typedef struct rondo_device_image {
  const char *name;   ///< "sm_90a", "sm_80 (PTX)"
  int32_t kind;       ///< RONDO_IMAGE_*
  int32_t capability; ///< 90: compute capability times ten
  int32_t exact;      ///< 1: runs on this capability only
  int32_t reserved;
  const void *data; ///< PTX ends in a zero
  int64_t size;
} rondo_device_image;

/// The device code of a library; its kernels share it. Every image holds all of
/// `kernels`; the last one copies tensors of any strides.
typedef struct rondo_device_code {
  const rondo_device_image *images;
  int64_t num_images;
  const char *const *kernels;
  int64_t num_kernels;
  /// [num_images][1 + num_kernels], NULL at first: what has been loaded.
  void **slots;
} rondo_device_code;

enum {
  /// worker_bytes is what the whole problem needs, not one worker.
  RONDO_KERNEL_WHOLE_WORKSPACE = 1,
  /// Neighbouring batch points are computed together, up to 16: ranges of them
  /// should not be shorter than needed to keep all workers busy.
  RONDO_KERNEL_ROWS = 2,
  /// CUDA: more slices of the workspace than batch points are of use, up to one
  /// for each step of the longest dim.
  RONDO_KERNEL_INDEPENDENT_STEPS = 4
};

/// One kernel.
typedef struct rondo_kernel_info {
  uint32_t struct_size;  ///< sizeof(rondo_kernel_info)
  uint32_t abi_version;  ///< RONDO_ABI_VERSION
  const char *name;      ///< "gla"
  const char *entry;     ///< "forward", "backward", "step"
  const char *target;    ///< "cpu", "cuda"
  const char *form;      ///< "sequential", "chunked 64", ...
  const char *signature; ///< the kernel's first line as written
  const char *source;    ///< "gla.rondo:2:1"
  rondo_dtype io_dtype;
  rondo_dtype accumulation_dtype;

  int32_t num_sizes;
  int32_t num_tensors;
  int32_t num_batch;
  int32_t num_faults;
  int32_t num_variants;
  int32_t flags; ///< RONDO_KERNEL_*
  /// Index of the size of the one time dim, or -1: no packed sequences. When
  /// set, no shape uses this size but as a whole dim, once per tensor.
  int32_t time_size;
  /// Index of the size of the first batch dim, or -1. The same holds for it.
  int32_t sequence_size;

  const rondo_size_info *sizes;
  /// In the order of the generic entry.
  const rondo_tensor_info *tensors;
  /// The parallel dims. Their product is the number of points; none means one
  /// point. They do not use the time size. The last one may be the number of
  /// blocks of a dim whose indices are independent of one another.
  const rondo_size_expr *batch;
  const rondo_fault_info *faults;
  /// Best last.
  const rondo_variant *variants;

  /// The argument struct: int64_t sizes in table order, then the fields of the
  /// tensors in table order (see rondo_tensor_info), then, if time_size >= 0,
  /// `rondo_packed packed`; laid out as C lays it out.
  int64_t args_size;
  int64_t packed_offset; ///< -1 if time_size < 0

  /// Bytes of scratch that one worker needs, or a negative number when they
  /// exceed 63 bits; grows with every size. NULL: 0. Sizes may be anything from
  /// 0 up: the check happens here, before a body runs.
  int64_t (*worker_bytes)(const int64_t *sizes);

  /// The exported entries (`args` is the kernel's own struct).
  rondo_status (*forward)(const void *args, void *workspace,
                          size_t workspace_size, const rondo_context *ctx);
  rondo_status (*workspace_size)(const void *args, const rondo_context *ctx,
                                 size_t *out_bytes);
  rondo_status (*call)(DLTensor *const *tensors, int32_t count, void *workspace,
                       size_t workspace_size, const rondo_context *ctx);
  rondo_status (*call_workspace_size)(DLTensor *const *tensors, int32_t count,
                                      const rondo_context *ctx,
                                      size_t *out_bytes);
  /// NULL for the target cpu.
  const rondo_device_code *device_code;
  /// Waits for the context's stream and tells whether the last call with this
  /// workspace met an index out of range. Targets that tell it at once return
  /// RONDO_OK.
  rondo_status (*check)(const void *workspace, const rondo_context *ctx);
} rondo_kernel_info;

/// A library.
typedef struct rondo_library_info {
  uint32_t struct_size;                    ///< sizeof(rondo_library_info)
  uint32_t abi_version;                    ///< RONDO_ABI_VERSION
  const char *compiler_version;            ///< "rondo 0.1.0"
  const char *llvm_version;                ///< "22.1.8"
  const rondo_kernel_info *const *kernels; ///< [num_kernels]
  int64_t num_kernels;
} rondo_library_info;

/// Exported by every library under the name RONDO_LIBRARY_QUERY_NAME. Returns
/// its table, or NULL when the table's version is above `max_abi_version`.
typedef const rondo_library_info *(*rondo_library_query_fn)(
    uint32_t max_abi_version);

#define RONDO_LIBRARY_QUERY_NAME "rondo_library_query"

const rondo_library_info *rondo_library_query(uint32_t max_abi_version);

//===----------------------------------------------------------------------===//
// Support code, linked into every library (not exported). The exported entries
// of a kernel call these with their table.
//===----------------------------------------------------------------------===//

#ifdef RONDO_ARTIFACT_SUPPORT
rondo_status rondo_artifact_forward(const rondo_kernel_info *info,
                                    const void *args, void *workspace,
                                    size_t workspace_size,
                                    const rondo_context *ctx);
rondo_status rondo_artifact_workspace_size(const rondo_kernel_info *info,
                                           const void *args,
                                           const rondo_context *ctx,
                                           size_t *out_bytes);
rondo_status rondo_artifact_call(const rondo_kernel_info *info,
                                 DLTensor *const *tensors, int32_t count,
                                 void *workspace, size_t workspace_size,
                                 const rondo_context *ctx);
rondo_status rondo_artifact_call_workspace_size(const rondo_kernel_info *info,
                                                DLTensor *const *tensors,
                                                int32_t count,
                                                const rondo_context *ctx,
                                                size_t *out_bytes);
rondo_status rondo_artifact_check(const rondo_kernel_info *info,
                                  const void *workspace,
                                  const rondo_context *ctx);
/// Called by bodies of CUDA kernels: queues kernel number `kernel` of the
/// library's device code. `params` are the addresses of its arguments.
void rondo_cuda_launch(void *launcher, int64_t kernel, int64_t grid_x,
                       int64_t grid_y, int64_t grid_z, int64_t block_x,
                       int64_t block_y, int64_t block_z, int64_t shared_bytes,
                       void **params);
/// The same for a kernel whose blocks wait for one another: all of them run at
/// the same time, or the call fails.
void rondo_cuda_launch_together(void *launcher, int64_t kernel, int64_t grid_x,
                                int64_t grid_y, int64_t grid_z,
                                int64_t block_x, int64_t block_y,
                                int64_t block_z, int64_t shared_bytes,
                                void **params);
/// The same for a kernel that waits itself, where its chip can, for the one that
/// was launched before it in this call: it may begin before that one has ended.
void rondo_cuda_launch_behind(void *launcher, int64_t kernel, int64_t grid_x,
                              int64_t grid_y, int64_t grid_z, int64_t block_x,
                              int64_t block_y, int64_t block_z,
                              int64_t shared_bytes, void **params);
/// The body of a library's rondo_library_query.
const rondo_library_info *
rondo_artifact_query(const rondo_library_info *library,
                     uint32_t max_abi_version);
#endif // RONDO_ARTIFACT_SUPPORT

#ifdef __cplusplus
} // extern "C"
#endif

#endif // RONDO_ABI_H
