#!/usr/bin/env python3
#===- backward.py - Random programs: their gradients -----------------------===#
#
# Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
"""Checks the backward pass of random programs (see generate.py): in the
interpreter against central differences of its forward pass, and compiled in f64
against the interpreter.

    backward.py                     100 programs that are always the same
    backward.py --only 1234         one program, by its seed

A difference is taken along one random direction of all inputs. Where differences
to both sides disagree (a kink) or no step gives a stable one (a jump, a value that
grows without end), no claim is made. The last line is
`random backward: N passed, N failed (N without a claim)`.
"""

import argparse
import multiprocessing
import os
import random
import shutil
import sys

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "test", "numerics"))

import draw  # noqa: E402
import safetensors  # noqa: E402
from check import (  # noqa: E402
    Failure, RESULT_ROUNDING, ROUND, compare, execute)
from generate import generate  # noqa: E402
from program import file_text  # noqa: E402

STEPS = (1e-5, 1e-6, 1e-7)
TOLERANCE, COMPILED_TOLERANCE = 1e-4, 1e-8


class Check:

    def __init__(self, options, seed):
        self.options, self.seed = options, seed
        self.kernel = generate(seed)
        self.folder = os.path.join(options.build, "random-backward", str(seed))
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder)
        self.source = self.path("program.rondo")
        with open(self.source, "w") as file:
            file.write(file_text(self.kernel))

    def path(self, name):
        return os.path.join(self.folder, name)

    def run(self, inputs, flags):
        given, out = self.path("in"), self.path("out")
        safetensors.write(given, inputs)
        if os.path.exists(out):
            os.remove(out)
        code, output = execute([
            os.path.join(self.options.build, "bin", "rondo-run"), self.source,
            "--kernel=" + self.kernel.name, "--dtype=f64", "--in", given,
            "--out", out] + flags)
        if code != 0:
            lines = [line for line in output.splitlines() if "error" in line]
            raise Failure("run", "exit code %s with %s: %s" % (
                code, " ".join(flags), (lines or ["no message"])[0]))
        return safetensors.read(out)

    def value(self, inputs, weights):
        results = self.run(inputs, ["--reference"])
        return sum(float(np.sum(w * results[name]))
                   for name, w in weights.items())

    def along(self, inputs, weights, direction):
        """The derivative by differences, None: no claim."""
        middle = self.value(inputs, weights)
        for step in STEPS:
            sides = [self.value({
                name: np.asarray(x + sign * step * direction[name])
                if name in direction else x
                for name, x in inputs.items()}, weights) for sign in (1, -1)]
            after, before = (sides[0] - middle) / step, \
                (middle - sides[1]) / step
            scale = max(abs(after), abs(before), 1e-3)
            if not np.isfinite([after, before]).all():
                return None
            if abs(after - before) <= 1e-3 * scale and \
                    abs(middle) * 1e-15 / step <= 1e-5 * scale:
                return (sides[0] - sides[1]) / (2 * step)
        return None

    def in_dtype(self, name, x):
        """As exact as the gradient of this result is given."""
        tensor = self.kernel.tensors.get(name)
        dtype = tensor.dtype if tensor else ""
        x = np.asarray(x, np.float32 if dtype in ROUND or dtype == "f32"
                       else np.float64)
        return np.asarray(ROUND[dtype](x) if dtype in ROUND else x, np.float64)

    def check(self):
        """Whether a claim was made; raises a Failure."""
        rng = random.Random("backward %d" % self.seed)
        numbers = np.random.default_rng(rng.getrandbits(32))
        sizes = draw.draw_sizes(self.kernel, rng, draw.TINY, 3000)
        inputs = draw.draw_inputs(self.kernel, sizes, numbers, np.float32,
                                  rng.random() < 0.5)
        f64 = {name for name, x in inputs.items() if x.dtype.kind == "f" and
               getattr(self.kernel.tensors.get(name), "dtype", "") not in
               ("f32", "bf16", "f16")}
        inputs = {name: np.asarray(x, np.float64) if x.dtype.kind == "f" else x
                  for name, x in inputs.items()}
        results = self.run(inputs, ["--reference"])
        weights = {name: self.in_dtype(name, numbers.standard_normal(x.shape))
                   for name, x in results.items()
                   if x.dtype.kind == "f" and np.isfinite(x).all()}
        given = dict(inputs)
        for name, x in results.items():
            if name in weights:
                given[name + ".grad"] = weights[name]
            elif x.dtype.kind == "f":
                given[name + ".grad"] = np.zeros(x.shape)
        gradients = self.run(given, ["--reference", "--grad"])
        compiled = self.run(given, ["--grad", "--threads=2"])
        wrong = {}
        for name, x in gradients.items():
            tensor = self.kernel.tensors.get(name[:-len(".grad")])
            own = RESULT_ROUNDING.get(tensor.dtype, 0) if tensor else 0
            what = compare(compiled[name], x, COMPILED_TOLERANCE, own)
            if what:
                wrong[name] = what
        claimed = False
        direction = {name: np.asarray(numbers.standard_normal(
            inputs[name].shape)) for name in sorted(f64)}
        expected = self.along(inputs, weights, direction)
        if expected is not None:
            found = sum(float(np.sum(gradients[name + ".grad"] * d))
                        for name, d in direction.items())
            norm = sum(float(np.sum(gradients[name + ".grad"] ** 2))
                       for name in direction) ** 0.5
            claimed = True
            if not abs(found - expected) <= TOLERANCE * max(
                    abs(expected), norm, 1e-3):
                raise Failure("gradient", "along a direction %.9g, by "
                              "differences %.9g" % (found, expected))
            for name, what in wrong.items():
                raise Failure("compiled", "%s is %s" % (name, what))
        return claimed


def run(job):
    options, seed = job
    check = Check(options, seed)
    try:
        claimed = check.check()
    except Exception as error:
        return "seed %d: %s: %s\n%s" % (seed, type(error).__name__, error,
                                        file_text(check.kernel))
    shutil.rmtree(check.folder, ignore_errors=True)
    return claimed


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default=os.path.join(ROOT, "build"))
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--only")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()
    options.build = os.path.abspath(options.build)
    seeds = [int(word) for word in options.only.split(",")] if options.only \
        else range(options.first, options.first + options.count)
    passed, failed, unclaimed = 0, 0, 0
    with multiprocessing.Pool(options.jobs) as pool:
        for outcome in pool.imap_unordered(run, [(options, s) for s in seeds]):
            if isinstance(outcome, str):
                failed += 1
                print("FAIL " + outcome, flush=True)
            else:
                passed += 1
                unclaimed += not outcome
    print("random backward: %d passed, %d failed (%d without a claim)" % (
        passed, failed, unclaimed))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
