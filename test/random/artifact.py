#===- artifact.py - Calling compiled kernels -------------------------------===#
#
# Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
"""Calls kernels of a library through its table and its generic entry, as
runtime/include/rondo/abi.h describes them, on tensors with random layouts.
Around every result and the workspace lie guards that must stay as they are."""

import ctypes as c

import numpy as np

OPTIONAL = 1
ARGUMENT, INITIAL, RESULT, FINAL = range(4)
# rondo_dtype: (numpy's type, DLPack's code and bits); bf16 as bit patterns
DTYPES = {1: (np.float16, 2, 16), 2: (np.uint16, 4, 16),
          3: (np.float32, 2, 32), 4: (np.float64, 2, 64),
          5: (np.int32, 0, 32), 6: (np.int64, 0, 64), 7: (np.bool_, 6, 8)}
BF16, I32 = 2, 5
GUARD = 64  # bytes on either side


def structure(name, fields):
    return type(name, (c.Structure,), {"_fields_": fields})


SizeInfo = structure("SizeInfo", [("name", c.c_char_p), ("bound", c.c_int64)])
SizeOp = structure("SizeOp", [("op", c.c_int64), ("value", c.c_int64)])
SizeExpr = structure("SizeExpr", [
    ("text", c.c_char_p), ("ops", c.POINTER(SizeOp)), ("num_ops", c.c_int64)])
TensorInfo = structure("TensorInfo", [
    ("name", c.c_char_p), ("shape_text", c.c_char_p),
    ("description", c.c_char_p), ("shape", c.POINTER(SizeExpr)),
    ("role", c.c_int32), ("dtype", c.c_int32), ("rank", c.c_int32),
    ("flags", c.c_int32), ("value_offset", c.c_int64),
    ("strides_offset", c.c_int64), ("time_dim", c.c_int32),
    ("sequence_dim", c.c_int32), ("partner", c.c_int32),
    ("reserved", c.c_int32)])
DLTensor = structure("DLTensor", [
    ("data", c.c_void_p), ("device_type", c.c_int32), ("device_id", c.c_int32),
    ("ndim", c.c_int32), ("code", c.c_uint8), ("bits", c.c_uint8),
    ("lanes", c.c_uint16), ("shape", c.POINTER(c.c_int64)),
    ("strides", c.POINTER(c.c_int64)), ("byte_offset", c.c_uint64)])
TASK = c.CFUNCTYPE(None, c.c_void_p, c.c_int64, c.c_int64, c.c_int32)
PARALLEL_FOR = c.CFUNCTYPE(None, c.c_void_p, TASK, c.c_void_p, c.c_int64,
                           c.c_int64)
Context = structure("Context", [
    ("struct_size", c.c_uint32), ("abi_version", c.c_uint32),
    ("user", c.c_void_p), ("parallel_for", PARALLEL_FOR),
    ("num_workers", c.c_int32), ("max_cpu_level", c.c_int32),
    ("allocate", c.c_void_p), ("deallocate", c.c_void_p),
    ("cuda_stream", c.c_void_p), ("cuda_device", c.c_int32),
    ("reserved", c.c_int32), ("error", c.c_char_p), ("error_size", c.c_size_t),
    ("log", c.c_void_p)])
TENSORS = c.POINTER(c.POINTER(DLTensor))
CALL = c.CFUNCTYPE(c.c_int32, TENSORS, c.c_int32, c.c_void_p, c.c_size_t,
                   c.POINTER(Context))
QUERY = c.CFUNCTYPE(c.c_int32, TENSORS, c.c_int32, c.POINTER(Context),
                    c.POINTER(c.c_size_t))
CHECK = c.CFUNCTYPE(c.c_int32, c.c_void_p, c.POINTER(Context))
KernelInfo = structure("KernelInfo", [
    ("struct_size", c.c_uint32), ("abi_version", c.c_uint32),
    ("name", c.c_char_p), ("entry", c.c_char_p), ("target", c.c_char_p),
    ("form", c.c_char_p), ("signature", c.c_char_p), ("source", c.c_char_p),
    ("io_dtype", c.c_int32), ("accumulation_dtype", c.c_int32),
    ("num_sizes", c.c_int32), ("num_tensors", c.c_int32),
    ("num_batch", c.c_int32), ("num_faults", c.c_int32),
    ("num_variants", c.c_int32), ("flags", c.c_int32),
    ("time_size", c.c_int32), ("sequence_size", c.c_int32),
    ("sizes", c.POINTER(SizeInfo)), ("tensors", c.POINTER(TensorInfo)),
    ("batch", c.c_void_p), ("faults", c.c_void_p), ("variants", c.c_void_p),
    ("args_size", c.c_int64), ("packed_offset", c.c_int64),
    ("worker_bytes", c.c_void_p), ("forward", c.c_void_p),
    ("workspace_size", c.c_void_p), ("call", CALL),
    ("call_workspace_size", QUERY), ("device_code", c.c_void_p),
    ("check", CHECK)])
LibraryInfo = structure("LibraryInfo", [
    ("struct_size", c.c_uint32), ("abi_version", c.c_uint32),
    ("compiler_version", c.c_char_p), ("llvm_version", c.c_char_p),
    ("kernels", c.POINTER(c.POINTER(KernelInfo))), ("num_kernels", c.c_int64)])


class CallError(Exception):
    pass


def open_library(path):
    """{kernel's name: its table}"""
    library = c.CDLL(path)
    library.rondo_library_query.restype = c.POINTER(LibraryInfo)
    table = library.rondo_library_query(1)
    if not table:
        raise CallError("the library's table is newer than version 1")
    table = table.contents
    if table.struct_size != c.sizeof(LibraryInfo):
        raise CallError("rondo_library_info has another size")
    kernels = {}
    for i in range(table.num_kernels):
        info = table.kernels[i].contents
        if info.struct_size != c.sizeof(KernelInfo):
            raise CallError("rondo_kernel_info has another size")
        kernels[info.name.decode()] = info
    return kernels


def to_bf16(x):
    bits = np.asarray(x, np.float32).view(np.uint32)
    return ((bits + 0x7fff + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def from_bf16(x):
    bits = np.asarray(np.left_shift(x, 16, dtype=np.uint32))
    return bits.view(np.float32)


#===------------------------------------------------------------------------===#
# Layouts
#===------------------------------------------------------------------------===#


class Buffer:
    """An array of some layout between two guards."""

    def __init__(self, shape, dtype, rng, plain):
        shape = [int(n) for n in shape]
        outer, index = list(shape), [slice(None)] * len(shape)
        order = list(range(len(shape)))
        if not plain and shape:
            if rng.random() < 0.3:
                rng.shuffle(order)
            for axis in range(len(shape)):
                if rng.random() < 0.3:  # a view into something larger
                    before, after = rng.integers(0, 3, 2)
                    outer[axis] += before + after
                    index[axis] = slice(before, before + shape[axis])
                elif rng.random() < 0.15:  # every second one, or backwards
                    outer[axis] *= 2
                    index[axis] = slice(None, None, 2)
                elif rng.random() < 0.1:
                    index[axis] = slice(None, None, -1)
        itemsize = np.dtype(dtype).itemsize
        count = int(np.prod(outer, dtype=np.int64))
        self.whole = np.full(count * itemsize + 2 * GUARD, 0xA5, np.uint8)
        inner = self.whole[GUARD:GUARD + count * itemsize].view(dtype)
        stored = inner.reshape([outer[axis] for axis in order])
        self.array = stored.transpose(np.argsort(order))[(*index, ...)]
        self.used = np.zeros(count, bool)
        self.used.reshape([outer[axis] for axis in order]).transpose(
            np.argsort(order))[(*index, ...)] = True
        self.before = self.whole.copy()
        self.itemsize = itemsize

    def outside_is_untouched(self):
        changed = self.whole != self.before
        if changed[:GUARD].any() or changed[len(changed) - GUARD:].any():
            return False
        inner = changed[GUARD:len(changed) - GUARD].reshape(-1, self.itemsize)
        return not inner.any(axis=1)[~self.used].any()


def view(array, dtype, packed):
    """The DLTensor of an array, and what must stay alive with it."""
    _, code, bits = DTYPES[dtype]
    shape = (c.c_int64 * max(1, array.ndim))(*array.shape)
    strides = (c.c_int64 * max(1, array.ndim))(
        *(s // array.itemsize for s in array.strides))
    tensor = DLTensor(array.ctypes.data, 1, 0, array.ndim, code, bits, 1,
                      shape, None if packed else strides, 0)
    return tensor, (shape, strides, array)


#===------------------------------------------------------------------------===#
# Calls
#===------------------------------------------------------------------------===#


def shape_of(info, sizes):
    """The shape of a tensor for given sizes."""
    shape = []
    for i in range(info.rank):
        stack = []
        for j in range(info.shape[i].num_ops):
            op = info.shape[i].ops[j]
            if op.op == 0:
                stack.append(op.value)
            elif op.op == 1:
                stack.append(sizes[op.value])
            else:
                b, a = stack.pop(), stack.pop()
                stack.append([a + b, a - b, a * b, a // b if b else 0][
                    op.op - 2])
        shape.append(stack[0])
    return shape


def make_parallel_for(workers, rng):
    """Runs ranges one after the other, in any order, as any worker."""
    def run(user, task, arg, count, grain):
        grain = max(1, grain)
        ranges = [(i, min(count, i + grain)) for i in range(0, count, grain)]
        rng.shuffle(ranges)
        for begin, end in ranges:
            task(arg, int(begin), int(end), int(rng.integers(workers)))
    return PARALLEL_FOR(run)


def has_dim(entry, size):
    """Whether a dim of the tensor is the size with this position."""
    return any(entry.shape[d].num_ops == 1 and entry.shape[d].ops[0].op == 1 and
               entry.shape[d].ops[0].value == size for d in range(entry.rank))


def call_kernel(info, sizes, inputs, rng, plain=False, memory=None, boundaries=None):
    """{name: array} of the results and final values. With `memory`, the arrays
    are a device's, and are made known to it (test/gpu/ptx.py). With `boundaries`,
    sequences are packed, and those without a time dim have one of each."""
    values = []
    for i in range(info.num_sizes):
        name = info.sizes[i].name.decode()
        values.append(sizes.get(name, info.sizes[i].bound))
    count = info.num_tensors + (boundaries is not None)
    pointers = (c.POINTER(DLTensor) * max(1, count))()
    keep, outputs = [], {}
    for i in range(info.num_tensors):
        entry = info.tensors[i]
        name, type_ = entry.name.decode(), DTYPES[entry.dtype][0]
        is_input = entry.role in (ARGUMENT, INITIAL)
        if is_input and name not in inputs:
            if not entry.flags & OPTIONAL:
                raise CallError("the argument %s is not known" % name)
            continue
        packed = plain or rng.random() < 0.5
        here = list(values)
        if boundaries is not None and not has_dim(entry, info.time_size):
            here[info.sequence_size] = len(boundaries) - 1
        buffer = Buffer(shape_of(entry, here), type_, rng, packed)
        if is_input:
            given = inputs[name]
            if list(buffer.array.shape) != list(given.shape):
                raise CallError("%s has the shape %s, not %s" % (
                    name, buffer.array.shape, given.shape))
            buffer.array[...] = to_bf16(given) if entry.dtype == BF16 else \
                given.astype(type_)
        else:
            outputs[name] = buffer, entry.dtype
        tensor, alive = view(buffer.array, entry.dtype,
                             packed and rng.random() < 0.5)
        if memory and (entry.rank or entry.role != ARGUMENT):
            tensor.device_type = 2
            memory.add(buffer.whole[GUARD:len(buffer.whole) - GUARD])
        keep.append((tensor, alive, buffer))
        pointers[i] = c.pointer(tensor)

    if boundaries is not None:
        buffer = Buffer([len(boundaries)], np.int32, rng, True)
        buffer.array[...] = boundaries
        tensor, alive = view(buffer.array, I32, True)
        if memory:
            tensor.device_type = 2
            memory.add(buffer.whole[GUARD:len(buffer.whole) - GUARD])
        keep.append((tensor, alive, buffer))
        pointers[info.num_tensors] = c.pointer(tensor)

    error = c.create_string_buffer(1024)
    context = Context(c.sizeof(Context), 1)
    context.error, context.error_size = c.addressof(error), 1024
    if not plain and rng.random() < 0.5:
        context.num_workers = int(rng.integers(1, 4))
        context.parallel_for = make_parallel_for(context.num_workers, rng)
    bytes_ = c.c_size_t()

    def check(status):
        if status:
            raise CallError("status %d: %s" % (
                status, error.value.decode(errors="replace")))

    check(info.call_workspace_size(pointers, count,
                                   c.byref(context), c.byref(bytes_)))
    space = np.full(bytes_.value + 128, 0xA5, np.uint8)
    start = -space.ctypes.data % 64
    # Scratch memory is not zero.
    space[start:start + bytes_.value] = rng.integers(0, 256, bytes_.value)
    if memory:
        memory.add(space[start:start + bytes_.value])
    check(info.call(pointers, count, space.ctypes.data + start,
                    bytes_.value, c.byref(context)))
    check(info.check(space.ctypes.data + start, c.byref(context)))
    if (space[:start] != 0xA5).any() or \
            (space[start + bytes_.value:] != 0xA5).any():
        raise CallError("it wrote outside of the workspace")
    results = {}
    for name, (buffer, dtype) in outputs.items():
        if not buffer.outside_is_untouched():
            raise CallError("it wrote outside of the result %s" % name)
        array = buffer.array.copy()
        results[name] = from_bf16(array) if dtype == BF16 else array
    return results
