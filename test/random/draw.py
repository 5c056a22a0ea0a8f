#===- draw.py - Sizes and arguments for random kernels ---------------------===#
#
# Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
"""Suitable sizes and arguments for the kernels of generate.py."""

import numpy as np

from evaluate import evaluate_dim
from program import COND, INT, REAL, Tensor


def names_of_sizes(kernel):
    found = []
    for tensor in kernel.tensors.values():
        for dim in tensor.dims + tensor.along:
            for word in dim.replace("*", "/").split("/"):
                if word.isidentifier() and word not in found:
                    found.append(word)
    return found


def work(node, sizes):
    """How many terms the evaluation of an expression takes."""
    count = 1
    for arg in node.args:
        count += work(arg, sizes)
    if node.op == "grad":
        count *= 3
    for entry in node.ranges:
        count *= evaluate_dim(entry[1], sizes) if len(entry) == 2 else 6
    return count


def total_work(kernel, sizes):
    result = 0
    for equation in kernel.equations:
        tensor = kernel.tensors[equation.tensor]
        points = 1
        for dim in tensor.dims + tensor.along:
            points *= evaluate_dim(dim, sizes)
        result += points * work(equation.expr, sizes)
    return result


TINY = {"T": (0, 1, 2, 3, 4, 5, 7, 9), "B": (1, 2, 3), "other": (1, 2, 3, 4, 5)}
LARGE = {"T": (8, 13, 16, 17, 19, 33, 37), "B": (1, 2, 3),
         "other": (1, 4, 7, 8, 11, 16, 17, 19)}


def draw_sizes(kernel, rng, table, most, fixed=None):
    """Random sizes that take at most about `most` steps to evaluate."""
    sizes = {}
    for name in names_of_sizes(kernel):
        key = "T" if name in "TYX" else "B" if name in "BHG" else "other"
        sizes[name] = rng.choice(table[key])
        if name in "YX":
            sizes[name] = min(sizes[name], 7)
    places = {t.draw.split()[1] for t in kernel.of("argument")
              if (t.draw or "").startswith("token ")}
    for name in sizes:
        if name not in "BHG" and name not in places and rng.random() < 0.02:
            sizes[name] = 0
    sizes.update({k: v for k, v in (fixed or {}).items() if k in sizes})
    while total_work(kernel, sizes) > most:
        name = max((n for n in sizes if n not in (fixed or {})),
                   key=lambda n: sizes[n], default=None)
        if name is None or sizes[name] < 2:
            break
        sizes[name] = sizes[name] * 2 // 3
    groups = {d.split("/")[1] for t in kernel.tensors.values()
              for d in t.dims if "/" in d}
    for group in groups:
        g = sizes.setdefault("G", 1) if group == "G" else int(group)
        sizes["H"] = g * max(1, sizes["H"] // g)
    return sizes


def clipped(rng, shape):
    return np.clip(rng.standard_normal(shape), -3, 3)


DRAW = {
    "normal": clipped,
    "unit": lambda rng, shape: rng.uniform(-1, 1, shape),
    "decay": lambda rng, shape: rng.uniform(-0.3, 0.9, shape),
    "logs": lambda rng, shape: -rng.choice(
        [0.0, 0.01, 0.5, 2.0, 60.0, 1e4], shape),
    "weights": lambda rng, shape: rng.uniform(-1, 1, shape),
    "count": lambda rng, shape: rng.integers(-3, 6, shape),
    "offset": lambda rng, shape: rng.integers(-2, 5, shape),
}


def draw_argument(tensor, sizes, rng, round_):
    shape = [evaluate_dim(d, sizes) for d in tensor.dims]
    if tensor.kind == COND:
        return np.asarray(rng.random(shape) < 0.6)
    if tensor.kind == INT:
        if tensor.draw.startswith("token "):
            n = evaluate_dim(tensor.draw.split()[1], sizes)
            x = rng.integers(0, max(1, n), shape)
        else:
            x = DRAW[tensor.draw](rng, shape)
        return np.asarray(x, np.int32 if tensor.dtype == "i32" else np.int64)
    return round_(np.asarray(DRAW[tensor.draw](rng, shape)))


def draw_inputs(kernel, sizes, rng, round_, initial):
    """Arrays by name; with `initial`, some initial values too."""
    inputs = {t.name: draw_argument(t, sizes, rng, round_)
              for t in kernel.of("argument")}
    for t in kernel.of("state") if initial else []:
        if rng.random() < 0.6:
            given = Tensor(t.name, "argument", t.dims, t.kind, t.dtype,
                           {REAL: "unit", INT: "count"}.get(t.kind), 1.0)
            inputs[t.name + ".initial"] = draw_argument(given, sizes, rng,
                                                        round_)
    return inputs
