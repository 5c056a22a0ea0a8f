#===- guard.py - Newton's method on random cells and weights ---------------===#
#
# Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
"""Random nonlinear cells with random weights, compiled with --form=newton and
compared with the reference interpreter: whatever the iteration does, the result
must be right.

    python3 test/numerics/guard.py --build build --cases 1000
    python3 test/numerics/guard.py --build build --seed 1234 --cell 7

A case is one cell with one set of weights, in f32 or f64. Every program has a
dim for sets of weights, a batch dim, so that each of them settles, or not, by
itself. Half of the cells have fixed seeds, half come from --seed (default: the
time of day). Weights have the scales 0.3, 1, 2 and 4: at 4, ParaGRU and others
do not settle, and are chaotic.

A result passes when its relative RMS error is at most 2e-5 (f32) or 1e-9 (f64),
or, where the cell amplifies rounding errors by itself, at most 8 times that of
the form that takes one step after the other; it must be finite where the
reference is. Prints one line for each failure, with the command that repeats
it, and a summary that tells how many cases settled.
"""

import argparse
import multiprocessing
import os
import random
import shutil
import subprocess
import sys
import time

import numpy as np

sys.dont_write_bytecode = True
import safetensors

ROOT = os.path.normpath(os.path.join(os.path.dirname(__file__), "..", ".."))

SETS = 25           # sets of weights a program
WIDTH = 3           # elements of a state
WINDOW = 29         # steps solved at once
BOUND = 12          # evaluations after which a window goes step by step
SCALES = (0.3, 1, 2, 4)
TOLERANCE = {"f32": 2e-5, "f64": 1e-9}
AMPLIFICATION = 8
KINDS = {"f32": np.float32, "f64": np.float64}

PARA_GRU = """  state h: [D]
  z[t, d] = sigmoid(x0[t, d] + w0[d] * h[t-1, d])
  r[t, d] = sigmoid(x1[t, d] + w1[d] * h[t-1, d])
  h[t, d] = (1 - z[t, d]) * h[t-1, d] + z[t, d] * tanh(x2[t, d] + w2[d] * r[t, d] * h[t-1, d])
"""
PARA_LSTM = """  state h, c: [D]
  f[t, d] = sigmoid(x0[t, d] + w0[d] * h[t-1, d] + w3[d] * c[t-1, d])
  c[t, d] = f[t, d] * c[t-1, d] + (1 - f[t, d]) * tanh(x1[t, d] + w1[d] * h[t-1, d])
  h[t, d] = sigmoid(x2[t, d] + w2[d] * h[t-1, d] + w3[d] * c[t, d]) * tanh(c[t, d])
"""
STATES = ("h", "c", "m")


class Cell:
    """The equations of a random cell with one to three states."""

    def __init__(self, rng):
        self.rng = rng
        self.states = STATES[:rng.choice((1, 1, 2, 3))]
        self.back = rng.random() < 0.2

    def past(self, state):
        return "%s[t%s1, d]" % (state, "+" if self.back else "-")

    def term(self):
        weight = "w%d[d]" % self.rng.randrange(4)
        state = self.past(self.rng.choice(self.states))
        return self.rng.choice((
            "%s * %s" % (weight, state), "%s * %s" % (weight, state),
            "%s * %s * %s" % (weight, state,
                              self.past(self.rng.choice(self.states))),
            "%s * sin(%s)" % (weight, state),
            "%s * abs(%s)" % (weight, state)))

    def argument(self):
        terms = [self.term() for _ in range(self.rng.choice((1, 1, 2)))]
        return " + ".join(["x%d[t, d]" % self.rng.randrange(3)] + terms)

    def gate(self):
        return "sigmoid(%s)" % self.argument()

    def bounded(self):
        return self.rng.choice((
            "tanh(%s)", "tanh(%s)", "sin(%s)", "sigmoid(%s)",
            "min(max(%s, -1), 1)", "tanh(relu(%s))", "exp(-softplus(%s))",
            "erf(%s)")) % self.argument()

    def update(self, state):
        past = self.past(state)
        return self.rng.choice((
            lambda: self.bounded(),
            lambda: "%s * %s + %s * %s" % (self.gate(), past, self.gate(),
                                           self.bounded()),
            lambda: "g[t, d] * %s + (1 - g[t, d]) * %s" % (past,
                                                           self.bounded()),
            lambda: "0.5 * %s + 0.5 * %s" % (past, self.bounded()),
            lambda: "%s / sqrt(1 + (%s) ^ 2)" % (past, self.argument())))()

    def text(self):
        lines = ["  state %s: [D]" % ", ".join(self.states),
                 "  g[t, d] = " + self.gate()]
        lines += ["  %s[t, d] = %s" % (state, self.update(state))
                  for state in self.states]
        return "\n".join(lines) + "\n"


def make(seed):
    """Program and input tensors of a seed, in f64."""
    rng = random.Random(seed)
    body = {0: PARA_GRU, 1: PARA_LSTM}.get(seed) or Cell(rng).text()
    text = ("kernel cell(x0, x1, x2: [N, T, D], w0, w1, w2, w3: [N, D]) -> "
            "(y: [N, T, D]) {\n  batch N\n%s  y[t, d] = h[t, d]\n}\n" % body)
    numbers = np.random.default_rng(seed)
    steps = rng.choice((1, WINDOW - 1, WINDOW, WINDOW + 1, 47, 60))
    tensors = {"x%d" % i: numbers.normal(size=(SETS, steps, WIDTH))
               for i in range(3)}
    scales = np.array([SCALES[i % len(SCALES)] for i in range(SETS)])
    for i in range(4):
        tensors["w%d" % i] = (numbers.normal(size=(SETS, WIDTH))
                              * scales[:, None])
    return text, {name: x.astype(np.float32).astype(np.float64)
                  for name, x in tensors.items()}


def errors(found, expected):
    """Relative RMS error for each set of weights; inf where one is not finite
    and the reference is."""
    found = found.astype(np.float64).reshape(SETS, -1)
    expected = expected.reshape(SETS, -1)
    good = np.isfinite(expected)
    wrong = (good & ~np.isfinite(found)).any(axis=1)
    with np.errstate(invalid="ignore", over="ignore"):
        square = np.where(good & np.isfinite(found), found - expected, 0) ** 2
    scale = np.where(good, expected, 0) ** 2
    error = np.sqrt(square.sum(axis=1) / np.maximum(scale.sum(axis=1), 1e-30))
    return np.where(wrong, np.inf, error)


def work(task):
    """(cases, failures, cases that settled, greatest error) of one program."""
    options, seed = task
    folder = os.path.join(options.build, "numerics", "guard", str(seed))
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    text, tensors = make(seed)
    program = os.path.join(folder, "cell.rondo")
    with open(program, "w") as file:
        file.write(text)
    again = "python3 test/numerics/guard.py --seed %d --cell 0" % seed

    def run(name, *choice):
        out = os.path.join(folder, name + ".out")
        done = subprocess.run(
            [os.path.join(options.build, "bin", "rondo-run"), program, "--in",
             os.path.join(folder, "in"), "--out", out] + list(choice),
            capture_output=True, text=True, timeout=300)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip().splitlines()[0])
        return safetensors.read(out)

    reports, settled, worst = [], 0, 0
    try:
        safetensors.write(os.path.join(folder, "in"), tensors)
        expected = run("reference", "--reference")
        for dtype, kind in KINDS.items():
            how = ["--dtype=" + dtype, "--arch=native"]
            safetensors.write(os.path.join(folder, "in"),
                              {n: x.astype(kind) for n, x in tensors.items()})
            newton = run("newton", "--form=newton", "--chunk=%d" % WINDOW,
                         "--iterations", *how)
            steps = run("steps", "--form=sequential", *how)
            count = next(x for n, x in newton.items()
                         if n.endswith(".iterations"))
            settled += int((count < BOUND).all(axis=1).sum())
            for name, value in expected.items():
                error = errors(newton[name], value)
                allowed = np.maximum(
                    TOLERANCE[dtype], AMPLIFICATION * errors(steps[name], value))
                finite = error[error <= allowed]
                worst = max(worst, (finite / TOLERANCE[dtype]).max(initial=0))
                for i in np.flatnonzero(~(error <= allowed)):
                    reports.append(
                        "FAIL cell %d, weights %d, %s: %s is %.1e off, one step "
                        "after the other %.1e\n  %s" % (
                            seed, i, dtype, name, error[i],
                            errors(steps[name], value)[i], again))
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        reports.append("FAIL cell %d: %s\n  %s" % (seed, error, again))
    if not reports:
        shutil.rmtree(folder, ignore_errors=True)
    return SETS * len(KINDS), reports, settled, worst


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--build", default=os.path.join(ROOT, "build"))
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=int(time.time()) % 10 ** 6)
    parser.add_argument("--cell", type=int, help="only this one after the seed")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()
    options.build = os.path.abspath(options.build)
    cells = -(-options.cases // (SETS * len(KINDS)))
    seeds = list(range(cells // 2))
    seeds += [options.seed + i for i in range(cells - len(seeds))]
    if options.cell is not None:
        seeds = [options.seed + options.cell]
    begin, cases, failures, settled, worst = time.time(), 0, [], 0, 0
    with multiprocessing.Pool(options.jobs) as pool:
        for number, reports, good, error in pool.imap_unordered(
                work, [(options, seed) for seed in seeds]):
            cases += number
            settled += good
            worst = max(worst, error)
            failures += reports
            for report in reports:
                print(report, flush=True)
    print("newton: %d cases, %d failed; %d settled, %d went on step by step; "
          "errors up to %.1f of the tolerance (%d cells, from seed %d, %.0f s)"
          % (cases, len(failures), settled, cases - settled, worst, len(seeds),
             options.seed, time.time() - begin))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
