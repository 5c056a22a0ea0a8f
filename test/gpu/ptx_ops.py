# Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The instructions that ptx.py knows, but for those that change the path."""

import re

import numpy as np

import ptx
from ptx import DTYPES, LOCAL, OPS, SHARED, UINT, Fault, op


def space_of(i):
    for space in ("global", "shared", "local", "param", "const"):
        if any(p.split("::")[0] == space for p in i.parts):
            return space
    return "generic"


def is_strong(i):
    return i.has("relaxed") or i.has("acquire") or i.has("release")


def vector(text):
    return [x.strip() for x in text.strip("{} ").split(",")]


@op("ld", "ldu")
def load(m, i):
    dtype, space = DTYPES[i.type], space_of(i)
    size = np.dtype(dtype).itemsize
    targets = vector(i.operands[0])
    if space == "param":
        match = re.fullmatch(r"\[\s*([\w$]+)(?:\+(\d+))?\s*\]", i.operands[1])
        start = m.kernel.offsets[match[1]] + int(match[2] or 0)
        for n, target in enumerate(targets):
            bits = m.params[start + n * size:start + (n + 1) * size]
            m.write(target, np.full(m.count, np.frombuffer(bits, UINT[size])[0]))
        return
    address = m.address(i.operands[1])
    if len(targets) > 1 and (address % np.uint64(size * len(targets))).any():
        raise Fault("misaligned vector access")
    for n, target in enumerate(targets):
        value = m.load(space, address + np.uint64(n * size), dtype, is_strong(i))
        if size == 1:  # registers have at least 16 bits
            value = value.astype(np.int16 if dtype == np.int8 else np.uint16)
        m.write(target, value)


@op("st")
def store(m, i):
    dtype, space = DTYPES[i.type], space_of(i)
    size = np.dtype(dtype).itemsize
    address = m.address(i.operands[0])
    sources = vector(i.operands[1])
    if len(sources) > 1 and (address % np.uint64(size * len(sources))).any():
        raise Fault("misaligned vector access")
    for n, source in enumerate(sources):
        m.store(space, address + np.uint64(n * size), m.read(source, dtype), is_strong(i))


@op("mov")
def mov(m, i):
    target, source = i.operands
    if i.type is None:  # mov.pred
        m.write(target, m.predicate(source))
    elif target.startswith("{"):
        parts = vector(target)
        size = np.dtype(DTYPES[i.type]).itemsize
        value = m.read(source, UINT[size])
        bits = 8 * size // len(parts)
        for n, part in enumerate(parts):
            m.write(part, (value >> UINT[size](n * bits)).astype(UINT[bits // 8]))
    elif source.startswith("{"):
        parts = vector(source)
        size = np.dtype(DTYPES[i.type]).itemsize
        bits = 8 * size // len(parts)
        value = np.zeros(m.count, UINT[size])
        for n, part in enumerate(parts):
            value |= m.read(part, UINT[bits // 8]).astype(UINT[size]) << UINT[size](n * bits)
        m.write(target, value)
    else:
        m.write(target, m.read(source, UINT[np.dtype(DTYPES[i.type]).itemsize]))


@op("cvta")
def cvta(m, i):
    value = m.read(i.operands[1], np.uint64)
    base = {"shared": SHARED, "local": LOCAL}.get(space_of(i), 0)
    if base and i.has("to"):
        value = value - np.uint64(base)
    elif base:
        value = value + np.uint64(base)
    m.write(i.operands[0], value)


def to_bf16(value):
    """f32 to the bits of bf16, to nearest even."""
    bits = np.ascontiguousarray(value, np.float32).view(np.uint32)
    rounded = ((bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1)))
               >> np.uint32(16)).astype(np.uint16)
    return np.where(np.isnan(value), np.uint16(0x7FFF), rounded).astype(np.uint16)


def from_bf16(bits):
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)


@op("cvt")
def cvt(m, i):
    kinds = [p for p in i.parts if p in DTYPES or p in ("bf16", "bf16x2", "f16x2", "tf32")]
    to, source = kinds[-2], kinds[-1]
    if to in ("bf16x2", "f16x2"):
        high, low = (m.read(x, np.float32) for x in i.operands[1:3])
        convert = to_bf16 if to == "bf16x2" else \
            (lambda v: v.astype(np.float16).view(np.uint16))
        m.write(i.operands[0], convert(high).astype(np.uint32) << np.uint32(16) |
                convert(low).astype(np.uint32))
        return
    if source == "bf16":
        value = from_bf16(m.read(i.operands[1], np.uint16))
    else:
        value = m.read(i.operands[1], DTYPES[source])
    if to == "tf32":
        bits = np.ascontiguousarray(value, np.float32).view(np.uint32)
        m.write(i.operands[0], (bits + np.uint32(0x1000)) & np.uint32(0xFFFFE000))
        return
    if to == "bf16":
        m.write(i.operands[0], to_bf16(value.astype(np.float32)))
        return
    dtype = DTYPES[to]
    if np.issubdtype(value.dtype, np.floating):
        for mode, function in (("rni", np.rint), ("rmi", np.floor), ("rpi", np.ceil),
                               ("rzi", np.trunc)):
            if i.has(mode):
                value = function(value)
        if not np.issubdtype(dtype, np.floating):
            info = np.iinfo(dtype)
            value = np.where(np.isnan(value), 0, value)
            low, high = value <= float(info.min), value >= float(info.max)
            whole = np.where(low | high, 0, value).astype(dtype)
            value = np.where(low, info.min, np.where(high, info.max, whole)).astype(dtype)
    with np.errstate(all="ignore"):
        value = value.astype(dtype)
    if value.dtype.itemsize == 1:
        value = value.astype(np.int16 if dtype == np.int8 else np.uint16)
    m.write(i.operands[0], value)


def arithmetic(function):
    def run(m, i):
        if i.type is None and i.has("pred"):
            m.write(i.operands[0], function(*(m.predicate(x) for x in i.operands[1:])))
            return
        if i.has("bf16") or i.has("bf16x2") or i.has("f16x2"):
            packed(m, i, function)
            return
        dtype = DTYPES[i.type]
        with np.errstate(all="ignore"):
            value = function(*(m.read(x, dtype) for x in i.operands[1:]))
        m.write(i.operands[0], value.astype(dtype, copy=False))
    return run


def packed(m, i, function):
    """Two halves of a word, or one bf16; rounded once."""
    bf16 = i.has("bf16") or i.has("bf16x2")
    halves = 2 if i.has("bf16x2") or i.has("f16x2") else 1
    word = np.uint32 if halves == 2 else np.uint16
    sources = [m.read(x, word) for x in i.operands[1:]]
    result = np.zeros(m.count, word)
    for h in range(halves):
        parts = [(s >> word(16 * h)).astype(np.uint16) for s in sources]
        values = [from_bf16(p) if bf16 else p.view(np.float16).astype(np.float32)
                  for p in parts]
        with np.errstate(all="ignore"):
            value = function(*(v.astype(np.float64) for v in values)).astype(np.float32)
        bits = to_bf16(value) if bf16 else value.astype(np.float16).view(np.uint16)
        result |= bits.astype(word) << word(16 * h)
    m.write(i.operands[0], result)


def divide(x, y):
    if np.issubdtype(x.dtype, np.floating):
        return x / y
    zero = y == 0
    y = np.where(zero, 1, y).astype(y.dtype)
    if np.issubdtype(x.dtype, np.signedinteger):
        q = np.abs(x) // np.abs(y) * np.sign(x) * np.sign(y)
    else:
        q = x // y
    return np.where(zero, -1, q).astype(x.dtype)


def maximum(x, y):
    if not np.issubdtype(x.dtype, np.floating):
        return np.maximum(x, y)
    return np.fmax(x, y)


def minimum(x, y):
    if not np.issubdtype(x.dtype, np.floating):
        return np.minimum(x, y)
    return np.fmin(x, y)


def extremum(with_nan, without):
    def run(m, i):
        arithmetic(with_nan if i.has("NaN") else without)(m, i)
    return run


for name, function in {
        "add": lambda x, y: x + y, "sub": lambda x, y: x - y, "and": lambda x, y: x & y,
        "or": lambda x, y: x | y, "xor": lambda x, y: x ^ y, "not": lambda x: ~x,
        "neg": lambda x: -x, "abs": np.abs, "div": divide,
        "rem": lambda x, y: x - divide(x, y) * y, "sqrt": np.sqrt,
        "rcp": lambda x: (1 / x).astype(x.dtype), "rsqrt": lambda x: (1 / np.sqrt(x)).astype(x.dtype),
        "ex2": np.exp2, "lg2": np.log2, "tanh": np.tanh, "sin": np.sin, "cos": np.cos,
        "copysign": lambda sign, value: np.copysign(value, sign)}.items():
    OPS[name] = arithmetic(function)
OPS["max"] = extremum(np.maximum, maximum)
OPS["min"] = extremum(np.minimum, minimum)


@op("fma")
def fma(m, i):
    if i.has("bf16") or i.has("bf16x2") or i.has("f16x2"):
        packed(m, i, lambda x, y, z: x * y + z)
        return
    dtype = DTYPES[i.type]
    wide = np.longdouble if dtype == np.float64 else np.float64
    x, y, z = (m.read(t, dtype).astype(wide) for t in i.operands[1:])
    with np.errstate(all="ignore"):
        m.write(i.operands[0], (x * y + z).astype(dtype))


def wide_product(m, i):
    dtype = DTYPES[i.type]
    signed = np.issubdtype(dtype, np.signedinteger)
    wide = {4: np.int64 if signed else np.uint64, 2: np.int32 if signed else np.uint32}
    target = wide[np.dtype(dtype).itemsize]
    x, y = (m.read(t, dtype).astype(target) for t in i.operands[1:3])
    return x * y, target


@op("mul", "mul24")
def mul(m, i):
    if i.has("wide"):
        m.write(i.operands[0], wide_product(m, i)[0])
    elif i.has("hi"):
        dtype = DTYPES[i.type]
        bits = 8 * np.dtype(dtype).itemsize
        x, y = (m.read(t, dtype) for t in i.operands[1:])
        product = [(int(a) * int(b) >> bits) & ((1 << bits) - 1) for a, b in zip(x, y)]
        m.write(i.operands[0], np.array(product, UINT[bits // 8]))
    else:
        arithmetic(lambda x, y: x * y)(m, i)


@op("mad")
def mad(m, i):
    if i.has("wide"):
        product, target = wide_product(m, i)
        m.write(i.operands[0], product + m.read(i.operands[3], target))
    else:
        arithmetic(lambda x, y, z: x * y + z)(m, i)


def shift(function):
    def run(m, i):
        dtype = DTYPES[i.type]
        bits = 8 * np.dtype(dtype).itemsize
        value = m.read(i.operands[1], dtype)
        amount = m.read(i.operands[2], np.uint32)
        kept = np.minimum(amount, bits - 1).astype(value.dtype)
        result = function(value, kept)
        if np.issubdtype(dtype, np.signedinteger) and i.name == "shr":
            m.write(i.operands[0], result)
        else:
            m.write(i.operands[0], np.where(amount >= bits, 0, result).astype(dtype))
    return run


OPS["shl"] = shift(lambda x, n: x << n)
OPS["shr"] = shift(lambda x, n: x >> n)


@op("shf")
def funnel(m, i):
    low, high = (m.read(x, np.uint32).astype(np.uint64) for x in i.operands[1:3])
    amount = m.read(i.operands[3], np.uint32)
    amount = (np.minimum(amount, 32) if i.has("clamp") else amount & 31).astype(np.uint64)
    both = high << np.uint64(32) | low
    value = both << amount >> np.uint64(32) if i.has("l") else both >> amount
    m.write(i.operands[0], value.astype(np.uint32))


@op("bfe")
def bfe(m, i):
    dtype = DTYPES[i.type]
    value = m.read(i.operands[1], dtype)
    start, length = (m.read(x, np.uint32).astype(dtype) for x in i.operands[2:])
    bits = 8 * np.dtype(dtype).itemsize
    if np.issubdtype(dtype, np.signedinteger):
        value = value << (bits - start - length) >> (bits - length)
    else:
        value = value >> start & ((dtype(1) << length) - dtype(1))
    m.write(i.operands[0], value.astype(dtype))


@op("prmt")
def prmt(m, i):
    low, high, choice = (m.read(x, np.uint32) for x in i.operands[1:])
    both = high.astype(np.uint64) << np.uint64(32) | low.astype(np.uint64)
    result = np.zeros(m.count, np.uint32)
    for n in range(4):
        pick = choice >> np.uint32(4 * n) & np.uint32(0xF)
        byte = (both >> ((pick & np.uint32(7)).astype(np.uint64) * np.uint64(8)) &
                np.uint64(0xFF)).astype(np.uint32)
        sign = np.where(byte & 0x80, 0xFF, 0).astype(np.uint32)
        result |= np.where(pick & 8, sign, byte) << np.uint32(8 * n)
    m.write(i.operands[0], result)


@op("clz")
def clz(m, i):
    bits = 8 * np.dtype(DTYPES[i.type]).itemsize
    value = m.read(i.operands[1], UINT[bits // 8])
    m.write(i.operands[0],
            np.array([bits - int(x).bit_length() for x in value], np.uint32))


@op("popc")
def popc(m, i):
    value = m.read(i.operands[1], DTYPES[i.type])
    m.write(i.operands[0], np.array([bin(int(x)).count("1") for x in value], np.uint32))


COMPARE = {"eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal,
           "gt": np.greater, "ge": np.greater_equal, "lo": np.less, "ls": np.less_equal,
           "hi": np.greater, "hs": np.greater_equal}


def compare(m, i, kind, x, y):
    dtype = DTYPES[i.type]
    x, y = m.read(x, dtype), m.read(y, dtype)
    if kind == "num":
        return ~(np.isnan(x) | np.isnan(y))
    if kind == "nan":
        return np.isnan(x) | np.isnan(y)
    floats = np.issubdtype(dtype, np.floating)
    if floats and len(kind) == 3 and kind.endswith("u"):
        return COMPARE[kind[:2]](x, y) | np.isnan(x) | np.isnan(y)
    value = COMPARE[kind](x, y)
    if floats and kind == "ne":  # ordered
        value &= ~(np.isnan(x) | np.isnan(y))
    return value


@op("setp", "set")
def setp(m, i):
    value = compare(m, i, i.parts[1], i.operands[1], i.operands[2])
    combine = i.parts[2]
    if combine in ("and", "or", "xor"):
        other = m.predicate(i.operands[3])
        value = {"and": value & other, "or": value | other, "xor": value ^ other}[combine]
    target, _, inverse = i.operands[0].partition("|")
    m.write(target, value)
    if inverse:
        m.write(inverse, ~value)


@op("selp")
def selp(m, i):
    x, y = (m.read(t, UINT[np.dtype(DTYPES[i.type]).itemsize]) for t in i.operands[1:3])
    m.write(i.operands[0], np.where(m.predicate(i.operands[3]), x, y))


@op("slct")
def slct(m, i):
    x, y = (m.read(t, np.uint32) for t in i.operands[1:3])
    m.write(i.operands[0], np.where(m.read(i.operands[3], np.int32) >= 0, x, y))


@op("shfl")
def shfl(m, i):
    target, _, valid = i.operands[0].partition("|")
    value = np.zeros(m.lanes, np.uint32)
    value[m.active] = m.read(i.operands[1], np.uint32)
    amount = m.read(i.operands[2], np.uint32).astype(np.int64)
    control = m.read(i.operands[3], np.uint32).astype(np.int64)
    lane = m.active % m.threads % 32
    warp = m.active - lane
    segment, limit = control >> 8 & 31, control & 31
    low = lane & segment
    high = low | limit & ~segment
    if i.has("bfly"):
        source = lane ^ amount
        good = source <= high
    elif i.has("down"):
        source = lane + amount
        good = source <= high
    elif i.has("up"):
        source = lane - amount
        good = source >= high
    else:
        source = low | amount & ~segment
        good = source <= high
    source = np.where(good, source, lane) + warp
    m.write(target, value[np.minimum(source, m.lanes - 1)])
    if valid:
        m.write(valid, good)


@op("vote", "activemask")
def vote(m, i):
    if i.name == "activemask":
        value = np.ones(m.count, bool)
    else:
        value = m.predicate(i.operands[1])
    warp = m.active // m.threads * 64 + m.active % m.threads // 32
    result = np.zeros(m.count, np.uint32)
    for w in np.unique(warp):
        here = warp == w
        bits = 0
        for lane, bit in zip(m.active[here] % m.threads % 32, value[here]):
            bits |= int(bit) << int(lane)
        result[here] = bits
        if i.has("all") or i.has("any"):
            result[here] = value[here].all() if i.has("all") else value[here].any()
    m.write(i.operands[0], result.astype(bool) if i.has("pred") else result)


@op("atom", "red")
def atom(m, i):
    """One lane after the other."""
    dtype = DTYPES[i.type]
    space = space_of(i)
    first = 0 if i.name == "red" else 1
    address = m.address(i.operands[first])
    values = [m.read(x, dtype) for x in i.operands[first + 1:]]
    races, m.check_races = m.check_races, False
    active, everything, count = m.active, m.all, m.count
    result = np.zeros(count, dtype)
    for n in range(count):
        m.active, m.all, m.count = active[n:n + 1], False, 1
        at = address[n:n + 1]
        old = m.load(space, at, dtype)
        v = [x[n:n + 1] for x in values]
        if i.has("cas"):
            new = np.where(old == v[0], v[1], old)
        elif i.has("add"):
            new = old + v[0]
        elif i.has("exch"):
            new = v[0]
        elif i.has("max"):
            new = np.maximum(old, v[0])
        elif i.has("min"):
            new = np.minimum(old, v[0])
        elif i.has("or"):
            new = old | v[0]
        else:
            raise NotImplementedError(i.text)
        m.store(space, at, new.astype(dtype))
        result[n] = old[0]
    m.active, m.all, m.count, m.check_races = active, everything, count, races
    if i.name == "atom":
        m.write(i.operands[0], result)


@op("membar", "fence", "prefetch", "pragma", "nanosleep", "griddepcontrol")
def nothing(m, i):
    pass


# ---------------------------------------------------------------------------
# Whole warps: matrix units and asynchronous copies
# ---------------------------------------------------------------------------

def whole_warps(m):
    """[warps, 32] of positions among the active lanes."""
    if m.count % 32 or (m.active.reshape(-1, 32)[:, 0] % 32).any() or \
            (np.diff(m.active.reshape(-1, 32)) != 1).any():
        raise Fault("an instruction for whole warps meets parts of them")
    return np.arange(m.count).reshape(-1, 32)


LANE = np.arange(32)
GROUP, QUAD = LANE >> 2, LANE & 3


def halves(m, text):
    """[warps, 32, 2] of f32 from pairs of bf16."""
    word = m.read(text, np.uint32)[whole_warps(m)]
    return np.stack([from_bf16((word & np.uint32(0xFFFF)).astype(np.uint16)),
                     from_bf16((word >> np.uint32(16)).astype(np.uint16))], -1)


@op("mma")
def mma(m, i):
    if "m16n8k16" not in i.parts or i.parts.count("bf16") != 2:
        raise NotImplementedError(i.text)
    d, a, b, c = (vector(x) for x in i.operands)
    warps = m.count // 32
    left = np.zeros((warps, 16, 16))
    right = np.zeros((warps, 16, 8))
    sums = np.zeros((warps, 16, 8))
    for n, text in enumerate(a):
        pair = halves(m, text)
        for h in range(2):
            left[:, GROUP + 8 * (n & 1), 2 * QUAD + h + 8 * (n >> 1)] = pair[:, :, h]
    for n, text in enumerate(b):
        pair = halves(m, text)
        for h in range(2):
            right[:, 2 * QUAD + h + 8 * n, GROUP] = pair[:, :, h]
    places = [(GROUP + 8 * (n >> 1), 2 * QUAD + (n & 1)) for n in range(4)]
    for text, (r, col) in zip(c, places):
        sums[:, r, col] = m.read(text, np.float32)[whole_warps(m)]
    with np.errstate(all="ignore"):
        result = (sums + left @ right).astype(np.float32)
    for text, (r, col) in zip(d, places):
        m.write(text, result[:, r, col].reshape(-1))


def swizzled(address, bits):
    """Pieces of 16 bytes are permuted within 8 rows of 128, 64 or 32 bytes."""
    mask = {1: 7, 2: 3, 3: 1}[bits]
    return address ^ ((address >> 7 & mask) << 4)


def shared_operand(m, text, groups, width, transposed):
    """[groups, width, 16]: what a descriptor says; `transposed`: the 16 lie in
    rows of their own."""
    where = m.read(text, np.uint64).reshape(groups, 128)
    if (where != where[:, :1]).any():
        raise Fault("threads of a group describe different operands")
    where = where[:, 0].astype(np.int64)
    start, bits = (where & 0x3FFF) << 4, int(where[0] >> 62) & 3
    slab, rows = (where >> 16 & 0x3FFF) << 4, (where >> 32 & 0x3FFF) << 4
    per_row = {1: 64, 2: 32, 3: 16}[bits]
    n, k = np.meshgrid(np.arange(width), np.arange(16), indexing="ij")
    at = lambda x: x[:, None, None]
    if transposed:
        place = at(start) + n // per_row * at(slab) + n % per_row * 2 + \
            k // 8 * at(rows) + k % 8 * (2 * per_row)
    else:
        place = at(start) + n // 8 * at(rows) + n % 8 * (2 * per_row) + 2 * k
    place = swizzled(place, bits)
    # Noted for races as if each thread read a part.
    flat = place.reshape(groups, 16 * width).astype(np.uint64)
    value = np.zeros(flat.shape)
    for first in range(0, flat.shape[1], 128):
        part = m.load("shared", flat[:, first:first + 128].reshape(-1), np.uint16)
        value[:, first:first + 128] = from_bf16(part).reshape(groups, 128)
    return value.reshape(groups, width, 16)


@op("wgmma")
def wgmma(m, i):
    """64 x n += 64 x 16 * 16 x n by 128 threads, the right from shared memory."""
    if not i.has("mma_async"):  # its results are there at once
        return
    shape = re.fullmatch(r"m64n(\d+)k16", i.parts[4])
    if not shape or i.parts.count("bf16") != 2 or i.operands[4:6] != ["1", "1"]:
        raise NotImplementedError(i.text)
    if m.count % 128 or (m.active.reshape(-1, 128)[:, 0] % 128).any() or \
            (np.diff(m.active.reshape(-1, 128)) != 1).any():
        raise Fault("an instruction for four warps meets parts of them")
    width, groups = int(shape[1]), m.count // 128
    thread = np.arange(128)
    group, quad = 16 * (thread >> 5) + (thread & 31) // 4, thread & 3
    if i.operands[1].startswith("{"):
        left = np.zeros((groups, 64, 16))
        for n, text in enumerate(vector(i.operands[1])):
            word = m.read(text, np.uint32).reshape(groups, 128)
            for h in range(2):
                half = (word >> np.uint32(16 * h) & np.uint32(0xFFFF)).astype(np.uint16)
                left[:, group + 8 * (n & 1), 2 * quad + h + 8 * (n >> 1)] = from_bf16(half)
    else:
        left = shared_operand(m, i.operands[1], groups, 64, i.operands[6] == "1")
    right = shared_operand(m, i.operands[2], groups, width, i.operands[-1] == "1")
    sums = np.zeros((groups, 64, width))
    names = vector(i.operands[0])
    places = [(group + 8 * (e >> 1 & 1), 8 * (e >> 2) + 2 * quad + (e & 1))
              for e in range(len(names))]
    for text, (r, c) in zip(names, places if i.operands[3] == "1" else []):
        sums[:, r, c] = m.read(text, np.float32).reshape(groups, 128)
    with np.errstate(all="ignore"):
        result = (sums + left @ right.transpose(0, 2, 1)).astype(np.float32)
    for text, (r, c) in zip(names, places):
        m.write(text, result[:, r, c].reshape(-1))


@op("ldmatrix")
def ldmatrix(m, i):
    targets = vector(i.operands[0])
    address = m.address(i.operands[1])[whole_warps(m)]
    for n, target in enumerate(targets):
        rows = address[:, 8 * n:8 * n + 8]  # [warps, 8]
        if (rows % np.uint64(16)).any():
            raise Fault("misaligned row of a matrix")
        word = np.zeros((rows.shape[0], 32), np.uint32)
        for h in range(2):
            if i.has("trans"):
                row, column = 2 * QUAD + h, GROUP
            else:
                row, column = GROUP, 2 * QUAD + h
            place = rows[:, row] + (2 * column).astype(np.uint64)
            value = m.load("shared", place.reshape(-1), np.uint16)
            word |= value.reshape(word.shape).astype(np.uint32) << np.uint32(16 * h)
        m.write(target, word.reshape(-1))


@op("stmatrix")
def stmatrix(m, i):
    address = m.address(i.operands[0])[whole_warps(m)]
    for n, source in enumerate(vector(i.operands[1])):
        word = m.read(source, np.uint32)[whole_warps(m)]
        rows = address[:, 8 * n:8 * n + 8]
        if (rows % np.uint64(16)).any():
            raise Fault("misaligned row of a matrix")
        for h in range(2):
            row, column = GROUP, 2 * QUAD + h
            if i.has("trans"):
                row, column = column, row
            place = rows[:, row] + (2 * column).astype(np.uint64)
            value = word >> np.uint32(16 * h) & np.uint32(0xFFFF)
            m.store("shared", place.reshape(-1), value.astype(np.uint16).reshape(-1))


@op("movmatrix")
def movmatrix(m, i):
    word = m.read(i.operands[1], np.uint32)[whole_warps(m)]
    matrix = np.zeros((word.shape[0], 8, 8), np.uint32)
    for h in range(2):
        matrix[:, GROUP, 2 * QUAD + h] = word >> np.uint32(16 * h) & np.uint32(0xFFFF)
    result = np.zeros(word.shape, np.uint32)
    for h in range(2):
        result |= matrix[:, 2 * QUAD + h, GROUP] << np.uint32(16 * h)
    m.write(i.operands[0], result.reshape(-1))


@op("bar")
def warp_barrier(m, i):
    """bar.warp.sync: a warp runs in lockstep anyhow."""


@op("mbarrier")
def memory_barrier(m, i):
    """Barriers in shared memory; ptx.Machine waits for them."""
    address = m.address(i.operands[-1 if i.has("arrive") else 0]).astype(np.int64)
    blocks = m.block_of[m.active]
    if i.has("init"):
        count = m.read(i.operands[1], np.uint32)
        for block, place, number in zip(blocks, address, count):
            m.phases[block, place] = ptx.Phase(int(number), m.warps)
    elif i.has("arrive"):
        arrive(m, blocks, address)
    else:
        raise NotImplementedError(i.text)


def arrive(m, blocks, address):
    for lane, block, place in zip(m.active, blocks, address):
        if (block, place) not in m.phases:
            raise Fault("an arrival at no barrier")
        m.arrive(block, place, m.warp_of[lane])


@op("cp")
def copy_async(m, i):
    """Copies when it is issued: waits are not modelled, barriers are."""
    if i.has("mbarrier"):
        arrive(m, m.block_of[m.active], m.address(i.operands[0]).astype(np.int64))
        return
    if i.has("commit_group") or i.has("wait_group") or i.has("wait_all"):
        return
    to, source = m.address(i.operands[0]), m.address(i.operands[1])
    size = int(i.operands[2])
    given = m.read(i.operands[3], np.uint32) if len(i.operands) > 3 else \
        np.full(m.count, size, np.uint32)
    if (source[given > 0] % np.uint64(size)).any():
        raise Fault("misaligned asynchronous copy")
    for n in range(size // 2):
        value = np.zeros(m.count, np.uint16)
        some = np.nonzero(given > 2 * n)[0]
        if some.size:
            active, everything, count = m.active, m.all, m.count
            m.active, m.all, m.count = active[some], False, some.size
            value[some] = m.load("global", source[some] + np.uint64(2 * n), np.uint16)
            m.active, m.all, m.count = active, everything, count
        m.store("shared", to + np.uint64(2 * n), value)
