#!/usr/bin/env python3
#===- compare.py - A program, interpreted and compiled ---------------------===#
#
# Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
"""Runs a program on random arguments, once by the interpreter and once
compiled, and compares the results:

    compare.py BUILD PROGRAM --sizes B=2,T=3 --sizes B=1,T=0 [OPTION of rondoc]..

Integers are drawn from 0 to 3, reals from a normal distribution."""

import argparse
import os
import subprocess
import sys
import tempfile

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", part) for part in ("random", "numerics")]

import artifact  # noqa: E402
import safetensors  # noqa: E402

TOLERANCE = {"f64": 1e-12, "f32": 1e-5, "bf16": 1e-2, "f16": 1e-3}


def draw(type_, shape, rng):
    if type_ == np.bool_:
        return rng.random(shape) < 0.5
    if np.issubdtype(type_, np.integer):
        return rng.integers(0, 4, shape).astype(type_)
    return rng.standard_normal(shape).astype(np.float32)


def make_inputs(library, sizes, rng):
    inputs = {}
    for info in artifact.open_library(library).values():
        values = [sizes.get(info.sizes[i].name.decode(), info.sizes[i].bound)
                  for i in range(info.num_sizes)]
        for entry in (info.tensors[i] for i in range(info.num_tensors)):
            if entry.role == artifact.ARGUMENT:
                type_ = np.float32 if entry.dtype == artifact.BF16 else \
                    artifact.DTYPES[entry.dtype][0]
                inputs[entry.name.decode()] = np.asarray(
                    draw(type_, artifact.shape_of(entry, values), rng))
    return inputs


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("program")
    parser.add_argument("--sizes", action="append", required=True)
    parser.add_argument("--dtype", default="f32")
    parser.add_argument("--tolerance", type=float)
    arguments, options = parser.parse_known_args()
    options.append("--dtype=" + arguments.dtype)

    def tool(name, *rest):
        command = [os.path.join(arguments.build, "bin", name), *rest]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            sys.exit("%s\nexit code %d: %s\n%s" % (
                text, done.returncode, " ".join(command),
                done.stdout + done.stderr))

    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        library, given, out = (os.path.join(folder, name)
                               for name in ("k.so", "in", "out"))
        text = arguments.program
        tool("rondoc", arguments.program, "-o", library, *options)
        for text in arguments.sizes:
            sizes = {name: int(value) for name, value in (
                part.split("=") for part in text.split(","))}
            safetensors.write(given, make_inputs(library, sizes, rng))
            same = [o for o in options
                    if o.startswith(("--dtype", "--kernel"))]
            tool("rondo-run", arguments.program, "--reference", "--in", given,
                 "--out", out, *same)
            tool("rondo-run", library, "--in", given, "--check", out,
                 "--tolerance", str(arguments.tolerance or
                                    TOLERANCE[arguments.dtype]))


if __name__ == "__main__":
    main()
