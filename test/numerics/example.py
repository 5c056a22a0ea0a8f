#===- example.py - What a test of an example program needs -----------------===#
#
# Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
"""Examples: their arguments, suitable random values, and expected results.

    @example("q k: B T H K; v: B T H V; g: B T H K decay", init="S: B H K V")
    def gla(a): ...

registers a formula. Every argument has its dims (before them f32 if the program
fixes its dtype), and after them the kind of its values (a key of KINDS, normal
by default). `a` holds the arguments as float64
(or integer) arrays in their declared layout; the result is a dict of expected
tensors by name, `S.final` among them. Formulas are written from the published
equations, one step after the other, and share no code with the compiler.
"""

import numpy as np

EXAMPLES = {}


def to_unit(x):
    return x / np.sqrt((x * x).sum(-1, keepdims=True) + 1e-12)


def unit_rows(rng, shape):
    return to_unit(rng.standard_normal(shape))


def few(rng, shape):
    """Rows in four directions, as keys of like words are."""
    return rng.standard_normal((*shape[:-1], 4)) @ \
        rng.standard_normal((4, shape[-1]))


def extreme(rng, shape):
    """Logarithms of decays, from none at all to complete."""
    return rng.choice([0.0, -1e-6, -0.1, -1.0, -30.0, -200.0, -1e4], shape)


def wild(rng, shape):
    """Gates before their sigmoid or exp, far on both sides."""
    return rng.choice([-1e4, -100.0, -5.0, -0.5, 0.0, 1.0, 20.0, 100.0], shape)


def weights(rng, shape):
    return rng.standard_normal(shape) / np.sqrt(max(1, shape[-1]))


def documents(rng, shape):
    """Numbers that increase with time: [0, 0, 1, 1, 1, 2, ..]."""
    return np.cumsum(rng.random(shape) < 0.15, axis=-1)


def trailing(rng, shape):
    """How many bits at the end of each index are 0; -1 of index 0."""
    t = np.arange(shape[0])
    return np.where(t > 0, np.log2((t & -t) + (t == 0)), -1)


KINDS = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "small": lambda rng, shape: 0.1 * rng.standard_normal(shape),
    "unit": lambda rng, shape: rng.uniform(0.02, 0.98, shape),
    "half": lambda rng, shape: rng.uniform(0.0, 0.5, shape),
    "rate": lambda rng, shape: rng.uniform(0.0, 0.05, shape),
    "decay": lambda rng, shape: -0.3 * np.abs(rng.standard_normal(shape)),
    "negative": lambda rng, shape: -rng.uniform(0.3, 2.0, shape),
    "step": lambda rng, shape: rng.uniform(0.001, 0.3, shape),
    "above1": lambda rng, shape: rng.uniform(1.2, 5.0, shape),
    "around1": lambda rng, shape: 1 + 0.2 * rng.standard_normal(shape),
    "keys": unit_rows,
    "few": few,
    "few keys": lambda rng, shape: to_unit(few(rng, shape)),
    "no decay": lambda rng, shape: -1e-4 * rng.random(shape),
    "ones": lambda rng, shape: np.ones(shape),
    "weights": weights,
    "extreme": extreme,
    "wild": wild,
    "window": lambda rng, shape: rng.integers(1, 12, shape),
    "token": lambda rng, shape: rng.integers(0, 3, shape),
    "period": lambda rng, shape: rng.choice([1, 2, 4, 8], shape),
    "count": lambda rng, shape: rng.integers(1, 4, shape),
    "documents": documents,
    "trailing": trailing,
    "low": lambda rng, shape: -7.625 * np.ones(shape),
}
INTEGERS = {"window", "token", "period", "count", "documents", "trailing"}


class Tensors:
    """Arguments by name; sizes by theirs."""

    def __init__(self, tensors, sizes):
        self.__dict__.update(
            {name.replace(".", "_"): x for name, x in tensors.items()})
        self.size = sizes

    def initial(self, state, *dims, value=0.0):
        """A state's initial value: given, or as declared."""
        given = self.__dict__.get(state + "_initial")
        if given is not None:
            return given.copy()
        return np.full([self.size[dim] for dim in dims], value)


class Example:

    def __init__(self, formula, args, init, split, sizes, override, modes,
                 long, kernel, loosen, chunks):
        self.name = formula.__name__
        self.formula = formula
        self.fixed = set()  # arguments with a dtype of their own, f32
        self.args = self.parse(args)
        self.init = self.parse(init)
        self.split = split  # where a sequence may be cut: multiples of it
        self.sizes = sizes  # those that are not drawn
        self.override = override  # kinds of arguments in the extreme cases
        self.chunks = chunks  # such kinds by title, for a few long chunks
        self.modes = modes
        self.long = long  # cheap enough for T = 4096
        self.kernel = kernel  # None: the file holds one
        self.loosen = loosen  # tolerances are multiplied by it

    def parse(self, text):
        """{name: (dims, kind)}"""
        tensors = {}
        for group in filter(None, (g.strip() for g in text.split(";"))):
            names, words = group.split(":")
            dims = words.split()
            kind = dims.pop() if dims and dims[-1] in KINDS else "normal"
            for name in names.split():
                if dims[:1] == ["f32"]:
                    self.fixed.add(name)
                tensors[name] = ([dim for dim in dims if dim != "f32"], kind)
        return tensors

    def has(self, size):
        return any(size in dims for dims, _ in self.args.values())

    def draw_sizes(self, rng, time):
        """Small, mostly odd sizes."""
        sizes = {"T": time, "G": int(rng.choice([1, 2, 3]))}
        sizes["H"] = sizes["G"] * int(rng.choice([1, 1, 2]))
        sizes["B"] = int(rng.choice([1, 2, 3]))
        for dims, _ in self.args.values():
            for dim in dims:
                if dim.isidentifier() and dim not in sizes:
                    sizes[dim] = int(rng.choice([1, 3, 4, 5, 7, 8, 9, 16, 17]))
        for name, size in self.sizes.items():
            sizes[name] = size(rng) if callable(size) else size
        return sizes

    def draw(self, rng, sizes, kinds=None, initial=False):
        """{name: array}, `kinds` in place of the declared ones"""
        tensors = {}
        wanted = dict(self.args)
        if initial:
            wanted.update({name + ".initial": entry
                           for name, entry in self.init.items()})
        for name, (dims, kind) in wanted.items():
            shape = [sizes["H"] // sizes["G"] if dim == "H/G" else
                     int(dim) if dim.isdigit() else sizes[dim] for dim in dims]
            kind = (kinds or {}).get(name, kind)
            tensors[name] = np.asarray(KINDS[kind](rng, shape))
            if kind in INTEGERS:
                tensors[name] = tensors[name].astype(np.int32)
        return tensors

    def expect(self, tensors, sizes):
        with np.errstate(all="ignore"):
            results = self.formula(Tensors(tensors, sizes))
        return {name: np.asarray(x, np.float64) for name, x in results.items()}

    def time_axis(self, name):
        """Position of T in an argument; None: it has none."""
        dims = self.args[name][0]
        return dims.index("T") if "T" in dims else None


# `chunked`, `newton`, `scan`: f32 in that form, for the programs that have it.
ALL_MODES = ("reference", "f32", "chunked", "newton", "scan", "f64", "bf16", "f16")


def example(args, init="", split=None, sizes=None, override=None,
            modes=ALL_MODES, long=False, kernel=None, loosen=1, chunks=None):

    def register(formula):
        EXAMPLES[formula.__name__] = Example(formula, args, init, split,
                                             sizes or {}, override or {}, modes,
                                             long, kernel, loosen,
                                             chunks or {})
        return formula

    return register


#===-----------------------------------------------------------------------===#
# Words of the formulas
#===-----------------------------------------------------------------------===#


def softplus(x):
    return np.logaddexp(0.0, x)


def logsigmoid(x):
    return -softplus(-x)


def sigmoid(x):
    return np.exp(logsigmoid(x))


def silu(x):
    return x * sigmoid(x)


def softmax(scores, mask=True, axis=-1):
    """0 where the mask is false, and everywhere when nothing is left."""
    scores = np.where(mask, scores, -np.inf)
    if scores.size == 0:
        return scores
    top = scores.max(axis, keepdims=True)
    e = np.exp(scores - np.where(np.isfinite(top), top, 0.0))
    total = e.sum(axis, keepdims=True)
    return np.where(total > 0, e / np.where(total > 0, total, 1.0), 0.0)


def outer(k, v):
    """[.., K], [.., V] -> [.., K, V]"""
    return k[..., :, None] * v[..., None, :]


def read(q, S):
    """S^T q: [.., K], [.., K, V] -> [.., V]"""
    return np.einsum("...i,...ij->...j", q, S)


def apply(R, h):
    """R h for each batch entry: [D, E], [B, E] -> [B, D]"""
    return np.einsum("de,...e->...d", R, h)


def apply_heads(R, h):
    """R h for each head: [H, D, E], [B, H, E] -> [B, H, D]"""
    return np.einsum("hde,bhe->bhd", R, h)


def stack(steps, like):
    """The steps as one array, time second; if there are none, `like`, empty."""
    return np.stack(steps, axis=1) if steps else like


def past(x, distance, axis=1):
    """x[t - distance], 0 outside."""
    result = np.zeros_like(x)
    for t in range(x.shape[axis]):
        if 0 <= t - distance < x.shape[axis]:
            target = [slice(None)] * x.ndim
            source = list(target)
            target[axis], source[axis] = t, t - distance
            result[tuple(target)] = x[tuple(source)]
    return result


def share(x, a):
    """Heads of a group read the same slice: [.., H/G, X] -> [.., H, X]"""
    return np.repeat(x, a.size["G"], axis=-2)


def times(count):
    """t as a column and u as a row, for masks."""
    return np.arange(count)[:, None], np.arange(count)[None, :]
