#===- backward.py - Gradients against differences --------------------------===#
#
# Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
"""Runs the backward pass of every example program in the reference interpreter
and compares it with central differences of the interpreted forward pass, both in
f64; then the compiled backward pass in f32 with the interpreted one. Golden files
that hold gradients are checked, too.

    python3 test/numerics/backward.py --build build
    python3 test/numerics/backward.py --build build --only gla,lstm

A difference is taken for each input along a random direction. Prints a line for
each case that fails, with the command that repeats it, and a summary; exits with
1 when a case failed.
"""

import argparse
import multiprocessing
import os
import shlex
import shutil
import subprocess
import sys
import zlib

import numpy as np

sys.dont_write_bytecode = True
import formulas  # registers the examples
import safetensors
from example import EXAMPLES

ROOT = os.path.normpath(os.path.join(os.path.dirname(__file__), "..", ".."))
LENGTHS = [0, 1, 2, 17, 37]
DIFFERENCES = {1, 2, 17}
# Central differences of a step of 1e-5: 1e-10 by curvature, 1e-11 by rounding.
STEP, DIFFERENCE_TOLERANCE = 1e-5, 2e-6
# In which small changes grow tenfold every few steps.
STEPS = {"moneta": 1e-9}
COMPILED_TOLERANCE = 2e-5
# Where an error is greater, so many times what one rounding of the arguments in
# f32 changes is allowed: the gradient is ill-conditioned.
ROUNDINGS = 100
# What cancels is as exact as what it cancels from: errors are relative to the
# tensor's RMS, or to this part of the greatest RMS of all gradients, times the
# root of how many terms it sums (a weight's: over all points); to that RMS itself
# where everything cancels, so that rounding is all there is in f64.
CANCELLED, ZERO = 1e-2, 1e-12
GOLDEN_TOLERANCE = {"reference": 1e-6, "auto": 1e-5, "sequential": 1e-5}


class Case:

    def __init__(self, options, name):
        self.options, self.example = options, EXAMPLES[name]
        self.program = os.path.join(ROOT, "examples", name + ".rondo")
        self.folder = os.path.join(options.build, "backward", name)
        self.reports, self.passed = [], 0
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder)
        kernel = self.example.kernel
        self.choice = ["--kernel=" + kernel] if kernel else []

    def tool(self, name):
        return os.path.join(self.options.build, "bin", name)

    def path(self, name):
        return os.path.join(self.folder, name)

    def execute(self, command):
        try:
            done = subprocess.run(command, capture_output=True, timeout=300)
        except subprocess.TimeoutExpired:
            return None, "it takes more than 5 minutes"
        return done.returncode, (done.stdout + done.stderr).decode(
            errors="replace")

    def fail(self, title, reason, command):
        self.reports.append("FAIL %s %s: %s\n  %s" % (
            self.example.name, title, reason, shlex.join(command)))

    def interpret(self, title, inputs, grad):
        """Results by name, or None."""
        stem = self.path(title.replace(" ", "-"))
        safetensors.write(stem + ".in", inputs)
        command = [self.tool("rondo-run"), self.program, "--reference",
                   "--dtype=f64", "--in", stem + ".in", "--out",
                   stem + ".out"] + self.choice + (["--grad"] if grad else [])
        code, output = self.execute(command)
        if code != 0:
            lines = output.strip().splitlines() or ["no message"]
            self.fail(title, "exit code %s: %s" % (code, lines[0]), command)
            return None
        return safetensors.read(stem + ".out")

    def compare(self, title, command, tolerance, names):
        code, output = self.execute(command + ["--tolerance", "%g" % tolerance])
        lines = output.strip().splitlines()
        compared = {line.split()[0] for line in lines if line.strip()}
        missing = [name for name in names if name not in compared]
        if code == 0 and not missing:
            self.passed += 1
            return
        bad = [" ".join(line.split()) for line in lines if "FAIL" in line]
        self.fail(title, "; ".join(bad) or "exit code %s: %s, without %s" % (
            code, lines[0] if lines else "no message", missing), command)

    def differences(self, title, rng, inputs, weights, gradients):
        """One direction for each input; `weights` are of the results."""
        for name, x in inputs.items():
            if x.dtype.kind != "f":
                continue
            gradient = gradients.get(name + ".grad")
            if gradient is None or gradient.shape != x.shape:
                self.fail(title, "has no gradient of " + name, [])
                continue
            step = STEPS.get(self.example.name, STEP)
            direction = rng.standard_normal(x.shape)
            sums, points = [], []
            for sign in (1, -1):
                moved = dict(inputs)
                point = np.asarray(x + sign * step * direction)
                if name in self.example.fixed:  # the argument is f32
                    point = point.astype(np.float32).astype(np.float64)
                points.append(point)
                moved[name] = point
                results = self.interpret(title, moved, grad=False)
                if results is None:
                    return
                sums.append(sum(np.sum(weights[r] * y) for r, y in
                                results.items() if r in weights))
            direction = (points[0] - points[1]) / (2 * step)
            expected = (sums[0] - sums[1]) / (2 * step)
            found = float(np.sum(gradient * direction))
            scale = max(abs(expected), np.sqrt(np.sum(gradient ** 2)), 1e-3)
            scale = max(scale, 1e-5 * max(abs(sums[0]), 1e-300))
            if abs(found - expected) <= DIFFERENCE_TOLERANCE * scale:
                self.passed += 1
            else:
                self.fail(title, "%s.grad: along a direction %.9g, by "
                          "differences %.9g" % (name, found, expected), [])

    def compiled(self, title, inputs, gradients):
        stem = self.path(title.replace(" ", "-"))
        safetensors.write(stem + ".in", inputs)
        rms = {name: np.sqrt(np.mean(x ** 2)) if x.size else 0.0
               for name, x in gradients.items()}
        greatest = max(rms.values(), default=0.0)
        largest = max((x.size for x in gradients.values()), default=1)
        scale = {name: greatest if x <= ZERO * greatest else
                 max(x, CANCELLED * greatest * np.sqrt(
                     largest / max(gradients[name].size, 1)))
                 for name, x in rms.items()}
        for form, library in self.libraries.items():
            command = [self.tool("rondo-run"), library, "--grad", "--in",
                       stem + ".in", "--out", stem + ".out"] + self.choice
            code, output = self.execute(command)
            if code != 0:
                lines = output.strip().splitlines() or ["no message"]
                self.fail("%s, %s" % (title, form), "exit code %s: %s" % (
                    code, lines[0]), command)
                continue
            found = safetensors.read(stem + ".out")
            bad = []
            for name, x in gradients.items():
                error = np.sqrt(np.mean((found[name] - x) ** 2)) / max(
                    scale[name], 1e-30) if x.size else 0.0
                allowed = COMPILED_TOLERANCE * self.example.loosen
                if allowed < error < 1e-2:
                    allowed = ROUNDINGS / scale[name] * self.spread(
                        title, inputs, gradients, name)
                if not error <= allowed:
                    bad.append("%s: relative RMS error %.3e" % (name, error))
            if bad:
                self.fail("%s, %s" % (title, form), "; ".join(bad), command)
            else:
                self.passed += 1

    def spread(self, title, inputs, gradients, name):
        """By how much rounding the arguments changes a gradient (its RMS)."""
        rng = np.random.default_rng(0)
        moved = {n: x * (1 + 2.0 ** -24 * rng.choice([-1.0, 1.0], x.shape))
                 if x.dtype.kind == "f" and n not in self.example.fixed else x
                 for n, x in inputs.items()}
        moved = {n: np.asarray(x) for n, x in moved.items()}
        other = self.interpret(title + " moved", moved, grad=True)
        return 0.0 if other is None else np.sqrt(
            np.mean((other[name] - gradients[name]) ** 2))

    def case(self, title, time, initial):
        seed = "%s %s %d" % (self.example.name, title, self.options.seed)
        rng = np.random.default_rng(zlib.crc32(seed.encode()))
        sizes = self.example.draw_sizes(rng, time)
        inputs = {name: x.astype(np.float32).astype(np.float64)
                  if x.dtype.kind == "f" else x for name, x in
                  self.example.draw(rng, sizes, False, initial).items()}
        results = self.interpret(title, inputs, grad=False)
        if results is None:
            return
        weights = {name: np.asarray(
            rng.standard_normal(x.shape).astype(np.float32), np.float64)
                   for name, x in results.items() if x.dtype.kind == "f"}
        if not initial:  # then those of final values are 0
            weights = {name: x for name, x in weights.items()
                       if not name.endswith(".final")}
        given = dict(inputs)
        given.update({name + ".grad": x for name, x in weights.items()})
        gradients = self.interpret(title + " backward", given, grad=True)
        if gradients is None:
            return
        if time in DIFFERENCES or not self.example.has("T"):
            self.differences(title, rng, inputs, weights, gradients)
        if all(np.isfinite(x).all() for x in gradients.values()):
            self.compiled(title, given, gradients)
        else:
            self.fail(title, "gradients are not finite", [])

    def golden(self):
        file = os.path.join(self.options.golden,
                            self.example.name + ".safetensors")
        if not os.path.exists(file):
            return
        names = [name for name in safetensors.read(file)
                 if name.endswith(".grad")]
        results = {name + ".grad" for name in ("o", "y")}
        names = [name for name in names if name not in results]
        if not names:
            return
        run = self.tool("rondo-run")
        files = ["--grad", "--in", file, "--check", file]
        self.compare("golden", [run, self.program, "--reference"] + files,
                     GOLDEN_TOLERANCE["reference"], names)
        for form, library in self.libraries.items():
            self.compare("golden, " + form, [run, library] + files,
                         GOLDEN_TOLERANCE[form], names)

    def all(self):
        self.libraries = {}
        for form in self.options.forms.split(","):
            library = self.path(form + ".so")
            command = [self.tool("rondoc"), self.program, "--grad", "-o",
                       library, "--form=" + form, "--arch=native"] + self.choice
            code, output = self.execute(command)
            if code != 0:
                lines = output.strip().splitlines() or ["no message"]
                self.fail("compile " + form,
                          "exit code %s: %s" % (code, lines[0]), command)
                return
            self.libraries[form] = library
        lengths = LENGTHS if self.example.has("T") else [4]
        for length in lengths:
            self.case("T = %d" % length, length, initial=False)
        if self.example.init:
            for length in (0, 1, 17):
                self.case("initial T = %d" % length, length, initial=True)
        self.golden()
        if not self.reports:
            shutil.rmtree(self.folder, ignore_errors=True)


def run(job):
    options, name = job
    case = Case(options, name)
    case.all()
    return case.passed, case.reports


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default=os.path.join(ROOT, "build"))
    parser.add_argument("--golden", default=os.environ.get("RONDO_GOLDEN", ""))
    parser.add_argument("--only", default="")
    parser.add_argument("--forms", default="auto,sequential")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()
    names = [name for name in EXAMPLES
             if not options.only or name in options.only.split(",")]
    passed, failed = 0, 0
    with multiprocessing.Pool(options.jobs) as pool:
        for count, reports in pool.imap_unordered(
                run, [(options, name) for name in names]):
            passed += count
            failed += len(reports)
            for report in reports:
                print(report, flush=True)
    print("backward: %d passed, %d failed (seed %d)" % (
        passed, failed, options.seed))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
